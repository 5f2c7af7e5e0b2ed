/*
 * Stands in for Concurrency Kit's ck_pr.h when it comes first on the include path (-Itests/model),
 * so that the Relacy model checker runs the real ipc_ring.h and ipc_notify.h, compiled as C++,
 * under the C11 memory model: it picks the interleaving, and the value that each load returns, of
 * those it may. With -Itests/weak before it, a machine whose stores come out of order takes the
 * place of Relacy: see tests/weak/relacy/relacy.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * The shared memory is shadowed by one rl::atomic for each 8 bytes. Every access is relaxed; the
 * fences are those of C11: a load fence is an acquire, a store fence a release, and a fence that
 * keeps a load behind something is sequentially consistent. Until model_begin, while a test
 * prepares its threads, accesses are plain. After it the memory itself has the newest values, for
 * code that reads it as a kernel does.
 *
 * What it cannot see:
 *   - Writes to the ring without ck_pr_*: ipc_spsc_init and the payload. For the payload the test
 *     has an rl::var for each slot, which Relacy watches for data races.
 *   - A load fence that ought to hold back a store: a C11 fence is stronger than a CK fence, which
 *     orders only loads or only stores.
 *   - A store that arrives after another thread has stored to the same word: a store changes its
 *     word at once, though a load may return the value before it. tests/weak sees this.
 *   - Values older than the last three of a word, which are all that Relacy keeps.
 *   - A compare-and-swap that fails by an old value.
 *   - C11's weaker order of sequentially consistent fences: here each happens before the next.
 *   - Values out of thin air, which C11 allows and no machine produces.
 *
 * The weakened twins of twin.h must be caught, except for the lines of ipc_spsc_init and
 * ipc_spsc_check_, which have nothing to order here.
 */
#ifndef CK_PR_H
#define CK_PR_H

#include "../twin.h"
#include <ck_cc.h>
#include <ck_md.h>
#include <errno.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <relacy/relacy.hpp>

/* Relacy defines its own. ipc_notify.h needs libc's. */
#undef errno
#define errno (*__errno_location())
#undef sem_t
#undef sem_init
#undef sem_wait
#undef sem_trywait
#undef sem_post
#undef sem_getvalue
#undef sched_yield

#define CK_F_PR_LOAD_64
#define CK_F_PR_STORE_64
#define CK_F_PR_CAS_64
#ifndef WEAK_RELACY_HPP
#define CK_F_PR_CAS_64_2 /* what uses it is for x86-64 only */
#endif

/* The one block of shared memory, and its shadow while a test runs. */
static struct {
    unsigned char *memory;
    size_t words;
    rl::atomic<uint64_t> *shadow;
    void (*step)(); /* if not NULL: called before each access and fence */
} model_;

/* From here on the shadow stands for [memory, memory + 8 * words); it begins with a copy of it. */
static inline void model_begin(void *memory, rl::atomic<uint64_t> *shadow, size_t words)
{
    for (size_t i = 0; i < words; i++)
        shadow[i].store(static_cast<uint64_t *>(memory)[i], rl::mo_relaxed, $);
    model_.memory = static_cast<unsigned char *>(memory);
    model_.words = words;
    model_.shadow = shadow;
}

static inline void model_end()
{
    model_.shadow = NULL;
}

static inline void model_step_()
{
    if (model_.shadow != NULL && model_.step != NULL)
        model_.step();
}

static inline rl::atomic<uint64_t> &model_word_(const void *at, rl::debug_info_param info)
{
    size_t offset = (size_t)(static_cast<const unsigned char *>(at) - model_.memory);

    if (offset / 8 >= model_.words) /* has wrapped if `at` is below the memory */
        rl::ctx().fail_test("access outside the memory", rl::test_result_user_assert_failed, info);
    return model_.shadow[offset / 8];
}

template <typename T> static inline T model_load_(const T *at, rl::debug_info_param info)
{
    uint64_t word;
    T value;

    model_step_();
    if (model_.shadow == NULL)
        return *at;
    word = model_word_(at, info).load(rl::mo_relaxed, info);
    memcpy(&value, reinterpret_cast<unsigned char *>(&word) + (uintptr_t)at % 8, sizeof value);
    return value;
}

static inline void model_store_(uint64_t *at, uint64_t value, rl::debug_info_param info)
{
    model_step_();
    if (model_.shadow != NULL)
        model_word_(at, info).store(value, rl::mo_relaxed, info);
    *at = value;
}

/* Works on half a shadow word too: the other half must be unchanged, or nothing is stored. */
template <typename T> static inline bool model_cas_(T *at, T from, T to, rl::debug_info_param info)
{
    size_t offset = (uintptr_t)at % 8;
    uint64_t old, next;
    bool done;
    T seen;

    model_step_();
    if (model_.shadow == NULL) {
        done = *at == from;
    } else {
        memcpy(&old, reinterpret_cast<unsigned char *>(at) - offset, 8);
        do {
            memcpy(reinterpret_cast<unsigned char *>(&old) + offset, &from, sizeof from);
            next = old;
            memcpy(reinterpret_cast<unsigned char *>(&next) + offset, &to, sizeof to);
            done = model_word_(at, info).compare_exchange_strong(old, next, rl::mo_relaxed, info);
            memcpy(&seen, reinterpret_cast<unsigned char *>(&old) + offset, sizeof seen);
        } while (!done && seen == from);
    }
    if (done)
        *at = to;
    return done;
}

#ifdef CK_F_PR_CAS_64_2
/* Of 16 bytes, as x86-64 has it: nothing comes between its two words, and whoever sees the second sees
 * the first. */
static inline bool model_cas_2_(uint64_t *at, const uint64_t *from, const uint64_t *to,
                                rl::debug_info_param info)
{
    bool done;

    (void)model_load_(at, info); /* others may come before it */
    rl::preemption_disabler together(rl::ctx());
    done = at[0] == from[0] && at[1] == from[1];
    if (done && model_.shadow != NULL) {
        uint64_t old = from[1];

        model_word_(at, info).store(to[0], rl::mo_relaxed, info);
        (void)model_word_(at + 1, info).compare_exchange_strong(old, to[1], rl::mo_acq_rel, info);
    }
    if (done)
        memcpy(at, to, 2 * sizeof *to);
    return done;
}
#endif

static inline uint64_t model_faa_(uint64_t *at, uint64_t more, rl::debug_info_param info)
{
    uint64_t from = *at;

    model_step_();
    if (model_.shadow != NULL)
        from = model_word_(at, info).fetch_add(more, rl::mo_relaxed, info);
    *at = from + more;
    return from;
}

static inline void model_fence_(bool there, rl::memory_order order, rl::debug_info_param info)
{
    model_step_();
    if (there && model_.shadow != NULL)
        rl::atomic_thread_fence(order, info);
}

/* Macros, so that Relacy's history names the line of the header. */
#define ck_pr_load_64(at) model_load_<uint64_t>((at), $)
#define ck_pr_load_32(at) model_load_<uint32_t>((at), $)
#define ck_pr_load_8(at) model_load_<uint8_t>((at), $)
#define ck_pr_store_64(at, value) model_store_((at), (value), $)
#define ck_pr_cas_64(at, from, to) model_cas_<uint64_t>((at), (from), (to), $)
#define ck_pr_cas_32(at, from, to) model_cas_<uint32_t>((at), (from), (to), $)
#define ck_pr_cas_64_2(at, from, to) model_cas_2_((at), (from), (to), $)
#define ck_pr_faa_64(at, more) model_faa_((at), (more), $)

#define ck_pr_fence_load() model_fence_(TWIN_HAS(LOAD), rl::mo_acquire, $)
#define ck_pr_fence_acquire() model_fence_(TWIN_HAS(ACQUIRE), rl::mo_acquire, $)
#define ck_pr_fence_lock() model_fence_(TWIN_HAS(ACQUIRE), rl::mo_acquire, $)
#define ck_pr_fence_store() model_fence_(TWIN_HAS(STORE), rl::mo_release, $)
#define ck_pr_fence_release() model_fence_(TWIN_HAS(RELEASE), rl::mo_release, $)
#define ck_pr_fence_unlock() model_fence_(TWIN_HAS(RELEASE), rl::mo_release, $)
#define ck_pr_fence_memory() model_fence_(TWIN_HAS(FULL), rl::mo_seq_cst, $)
#define ck_pr_fence_store_load() model_fence_(TWIN_HAS(FULL), rl::mo_seq_cst, $)
#define ck_pr_fence_atomic_load() model_fence_(TWIN_HAS(FULL), rl::mo_seq_cst, $)

/* A prefetch is no access, a pause is no step, and there is no compiler to restrain. */
#define ck_pr_rfo(at) ((void)(at))
#define ck_pr_stall() ((void)0)
#define ck_pr_barrier() ((void)0)

#endif /* CK_PR_H */
