/*
 * Stands in for Concurrency Kit's ck_pr.h when it comes first on the include path (-Itests/tsan),
 * so that ThreadSanitizer sees what it cannot see in inline assembly.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Every access is a relaxed atomic of the compiler: to TSan it is no data race and orders nothing.
 * Only the fences order, but TSan does not model fences. They are rebuilt from its acquire and
 * release calls on a key, one for each pair of address and value:
 *
 *   - A store that a release fence has armed publishes, under the key of what it stores, all that
 *     the thread had done before the fence, and nothing later. A TSan fiber keeps the clock of that
 *     moment; to TSan it is a thread, and it costs no stack.
 *   - A load notes the key of what it found. The next acquire fence acquires all noted keys.
 *
 * Stricter than C11: a release fence arms exactly one store, the next, and later ones to the same
 * word, which publish no more than that. In ipc_ring.h that is always the next line, so an earlier
 * fence cannot stand in for a missing one.
 *
 * What it cannot see: orders that are wrong without a data race, such as a stale value (that is
 * tests/model); the difference between a store fence and a release fence, or a load fence and an
 * acquire fence; reordering by the compiler or the machine, as TSan runs what this machine does.
 * Keys are hashed: two that collide add order, and may hide one race in some ten thousand. A
 * successful compare-and-swap does not pass on what the value it replaced had published (C11's
 * release sequences): that could only raise a false alarm.
 *
 * The weakened twins of twin.h must be caught, except for lines whose fence keeps values in order
 * and prevents no data race: the first fence of ipc_spsc_init, one that follows taking an end.
 */
#ifndef CK_PR_H
#define CK_PR_H

#include "../twin.h"
#include <ck_cc.h>
#include <ck_md.h>
#include <sanitizer/tsan_interface.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* gcc expands a memcpy of constant size into moves that it does not instrument. Through a volatile
 * pointer it stays a call, which libtsan intercepts. */
static void *(*volatile tsan_memcpy_)(void *, const void *, size_t) = memcpy;
#define memcpy (*tsan_memcpy_)

#define CK_F_PR_LOAD_64
#define CK_F_PR_STORE_64
#define CK_F_PR_CAS_64

/* Only their addresses are used. */
#define TSAN_KEYS_ 65536u
static uint64_t tsan_key_[TSAN_KEYS_];

/* Loads since the last acquire fence. The oldest are forgotten, which can only raise a false alarm.
 */
#define TSAN_SEEN_ 256u /* more than a broadcast's gate loads */

static __thread struct {
    void *seen[TSAN_SEEN_];
    unsigned first, count;
    void *fiber;   /* its clock is that of the last release fence */
    uint64_t then; /* carries the clock there; only its address is used */
    int armed;
    const volatile void *published; /* the word of the store that the last release fence armed */
} tsan_me_;

CK_CC_INLINE static void *tsan_key_of_(const volatile void *at, uint64_t value)
{
    uint64_t hash = ((uint64_t)(uintptr_t)at * UINT64_C(0x9e3779b97f4a7c15)) ^
                    (value * UINT64_C(0xc2b2ae3d27d4eb4f));

    return &tsan_key_[((hash ^ (hash >> 29)) * UINT64_C(0xbf58476d1ce4e5b9)) >> 48];
}

CK_CC_INLINE static void tsan_loaded_(const volatile void *at, uint64_t value)
{
    void *key = tsan_key_of_(at, value);
    unsigned i;

    for (i = 0; i < tsan_me_.count; i++)
        if (tsan_me_.seen[(tsan_me_.first + i) % TSAN_SEEN_] == key)
            return; /* polling */
    if (tsan_me_.count == TSAN_SEEN_) {
        tsan_me_.first++;
        tsan_me_.count--;
    }
    tsan_me_.seen[(tsan_me_.first + tsan_me_.count++) % TSAN_SEEN_] = key;
}

/* Call before the value can be seen, or a reader could come before the key is published. */
CK_CC_INLINE static void tsan_storing_(const volatile void *at, uint64_t value)
{
    void *me;

    if (!tsan_me_.armed && at != tsan_me_.published)
        return;
    tsan_me_.armed = 0;
    tsan_me_.published = at;
    me = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(tsan_me_.fiber, __tsan_switch_to_fiber_no_sync);
    __tsan_acquire(&tsan_me_.then);
    __tsan_release(tsan_key_of_(at, value));
    __tsan_switch_to_fiber(me, __tsan_switch_to_fiber_no_sync);
}

CK_CC_INLINE static void tsan_fence_acquire_(int there)
{
    if (!there)
        return;
    for (; tsan_me_.count > 0; tsan_me_.count--)
        __tsan_acquire(tsan_me_.seen[tsan_me_.first++ % TSAN_SEEN_]);
}

CK_CC_INLINE static void tsan_fence_release_(int there)
{
    if (!there)
        return;
    if (tsan_me_.fiber == NULL)
        tsan_me_.fiber = __tsan_create_fiber(0);
    __tsan_release(&tsan_me_.then);
    tsan_me_.armed = 1;
}

#define ck_pr_fence_load() tsan_fence_acquire_(TWIN_HAS(LOAD))
#define ck_pr_fence_acquire() tsan_fence_acquire_(TWIN_HAS(ACQUIRE))
#define ck_pr_fence_lock() tsan_fence_acquire_(TWIN_HAS(ACQUIRE))
#define ck_pr_fence_store() tsan_fence_release_(TWIN_HAS(STORE))
#define ck_pr_fence_release() tsan_fence_release_(TWIN_HAS(RELEASE))
#define ck_pr_fence_unlock() tsan_fence_release_(TWIN_HAS(RELEASE))
#define ck_pr_fence_memory()                                                                       \
    (tsan_fence_acquire_(TWIN_HAS(FULL)), tsan_fence_release_(TWIN_HAS(FULL)))

/* For the machine alone: what they order is no race, and they must not stand in for a missing fence
 * of those above. */
#define ck_pr_fence_store_load() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define ck_pr_fence_atomic_load() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#define TSAN_LOAD_(name, type)                                                                     \
    CK_CC_INLINE static type ck_pr_load_##name(const type *at)                                     \
    {                                                                                              \
        type value = __atomic_load_n(at, __ATOMIC_RELAXED);                                        \
                                                                                                   \
        tsan_loaded_(at, value);                                                                   \
        return value;                                                                              \
    }
#define TSAN_STORE_(name, type)                                                                    \
    CK_CC_INLINE static void ck_pr_store_##name(type *at, type value)                              \
    {                                                                                              \
        tsan_storing_(at, value);                                                                  \
        __atomic_store_n(at, value, __ATOMIC_RELAXED);                                             \
    }
#define TSAN_CAS_(name, type)                                                                      \
    CK_CC_INLINE static bool ck_pr_cas_##name(type *at, type from, type to)                        \
    {                                                                                              \
        bool done;                                                                                 \
                                                                                                   \
        tsan_storing_(at, to);                                                                     \
        done =                                                                                     \
            __atomic_compare_exchange_n(at, &from, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED); \
        tsan_loaded_(at, from);                                                                    \
        return done;                                                                               \
    }
/* By compare-and-swap, as the value that a fetch-and-add stores is known only afterwards. */
#define TSAN_FAA_(name, type)                                                                      \
    CK_CC_INLINE static type ck_pr_faa_##name(type *at, type more)                                 \
    {                                                                                              \
        type from = __atomic_load_n(at, __ATOMIC_RELAXED);                                         \
        int armed = tsan_me_.armed;                                                                \
                                                                                                   \
        while (!ck_pr_cas_##name(at, from, (type)(from + more))) {                                 \
            from = __atomic_load_n(at, __ATOMIC_RELAXED);                                          \
            tsan_me_.armed = armed;                                                                \
        }                                                                                          \
        return from;                                                                               \
    }

TSAN_LOAD_(64, uint64_t)
TSAN_LOAD_(32, uint32_t)
TSAN_LOAD_(8, uint8_t)
TSAN_LOAD_(uint, unsigned)
TSAN_STORE_(64, uint64_t)
TSAN_STORE_(32, uint32_t)
TSAN_CAS_(64, uint64_t)
TSAN_CAS_(32, uint32_t)
TSAN_CAS_(uint, unsigned)
TSAN_FAA_(64, uint64_t)
TSAN_FAA_(uint, unsigned)

#undef TSAN_LOAD_
#undef TSAN_STORE_
#undef TSAN_CAS_
#undef TSAN_FAA_

/* A prefetch: no access. */
CK_CC_INLINE static void ck_pr_rfo(const void *at)
{
    (void)at;
}

CK_CC_INLINE static void ck_pr_stall(void)
{
}

CK_CC_INLINE static void ck_pr_barrier(void)
{
    __asm__ __volatile__("" ::: "memory");
}

#endif /* CK_PR_H */
