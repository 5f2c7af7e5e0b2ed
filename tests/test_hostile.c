/*
 * A hostile peer at its worst: just before each compare-and-swap and each fetch-and-add, or before
 * each load, it changes the word in question, as another core may at any time. Every call of every
 * ring must return all the same, before its deadline if it has one; its result does not matter. An
 * alarm ends a call that does not return, and fails the test. So does a signal for memory beyond
 * the ring, which has pages around it that nobody may touch.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#define _GNU_SOURCE
#include <ck_pr.h>
#include <stddef.h>
#include <stdint.h>

static void meddle(void *at, uint64_t from, uint64_t to);
static void meddle_with_load(const void *at);

static inline int plain_cas_64(uint64_t *at, uint64_t from, uint64_t to)
{
    return __sync_bool_compare_and_swap(at, from, to);
}
static inline int plain_cas_32(uint32_t *at, uint32_t from, uint32_t to)
{
    return __sync_bool_compare_and_swap(at, from, to);
}
static inline uint64_t plain_faa_64(uint64_t *at, uint64_t more)
{
    return __sync_fetch_and_add(at, more);
}
static const uint64_t *unseen; /* the next load of this word finds 0, what it was a moment ago */
static const void *blinks;     /* two of three loads of this word find 0 */
static unsigned blinked;
static inline uint64_t hostile_load_64(const uint64_t *at)
{
    if (blinks != NULL && at == blinks && blinked++ % 3 != 2)
        return 0;
    if (unseen != NULL && at == unseen) {
        unseen = NULL;
        return 0;
    }
    meddle_with_load(at);
    return ck_pr_load_64(at);
}
static inline uint32_t hostile_load_32(const uint32_t *at)
{
    meddle_with_load(at);
    return ck_pr_load_32(at);
}
#define ck_pr_cas_64(at, from, to) (meddle((at), (from), (to)), plain_cas_64((at), (from), (to)))
#define ck_pr_cas_32(at, from, to) (meddle((at), (from), (to)), plain_cas_32((at), (from), (to)))

#define ck_pr_faa_64(at, more) (meddle((at), 0, 0), plain_faa_64((at), (more)))
#undef ck_pr_load_64
#undef ck_pr_load_32
#define ck_pr_load_64(at) hostile_load_64(at)
#define ck_pr_load_32(at) hostile_load_32(at)

#include "chance.h"
#include "ipc_shm.h"
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/mman.h>

enum { HANG_S = 20, SLOTS = 64, MANY = 16 };

struct message {
    uint64_t n[4];
};
IPC_SPSC(spsc, struct message)
IPC_SPSC(newer, struct message, 2)
IPC_MPMC(mpmc, struct message)
IPC_MPSC(mpsc, struct message)
IPC_SPMC(spmc, struct message)
IPC_BROADCAST(cast, struct message)
IPC_RECORDS(records)
IPC_CALL(call, struct message, struct message)

/* ------------------------------------------------------------------ the peer */

/* How the peer changes a word. */
enum meddling {
    NOTHING,
    BACK,    /* FREE of the same lap: no longer claimed or taken */
    RENAMED, /* the same state with another holder */
    LATER,   /* a lap later: stamped, or passed over */
    OTHER,   /* any bit flipped */
    MEDDLINGS,
    LOADS = MEDDLINGS, /* before each load, some change */
    SOME_LOADS,        /* before few loads, so that a call gets further */
    ALL_MEDDLINGS
};

static struct {
    enum meddling how;
    unsigned char *from, *to; /* the memory that it changes */
    uint64_t acts;
    unsigned char *mapped; /* from and to with the pages around them */
    size_t size;
    unsigned maps; /* so far */
} peer;

static void meddle(void *at, uint64_t from, uint64_t to)
{
    uint64_t *word = (uint64_t *)(void *)((uintptr_t)at & ~(uintptr_t)7);

    if ((unsigned char *)at < peer.from || (unsigned char *)at >= peer.to)
        return;
    peer.acts++;
    (void)to;
    switch (peer.how) {
    case BACK:
        *word = from & ~(IPC_MPMC_LAP_ - 1);
        break;
    case RENAMED:
        *word = (from & ~(65535 * IPC_MPMC_NAME_)) + (peer.acts % 65535 + 1) * IPC_MPMC_NAME_;
        break;
    case LATER:
        *word = from + IPC_MPMC_LAP_;
        break;
    case OTHER:
        *word ^= UINT64_C(1) << peer.acts % 64;
        break;
    default:
        break;
    }
}

static void meddle_with_load(const void *at)
{
    uint64_t *word = (uint64_t *)((uintptr_t)at & ~(uintptr_t)7);

    if (peer.how < LOADS || (unsigned char *)word < peer.from || (unsigned char *)word >= peer.to)
        return;
    if (peer.how == SOME_LOADS && chance(16) != 0)
        return;
    peer.acts++;
    switch (chance(6)) {
    case 0:
        *word ^= UINT64_C(1) << chance(64);
        break;
    case 1:
        *word += (chance(2) ? 1 : UINT64_MAX) * (UINT64_C(1) << chance(8));
        break;
    case 2:
        *word += (chance(2) ? 1 : UINT64_MAX) * IPC_MPMC_LAP_;
        break;
    case 3:
        *word = chance(2) ? 0 : UINT64_MAX;
        break;
    case 4:
        *word = chance(4096);
        break;
    default:
        break;
    }
}

/* Half of the processes that it names are alive. */
static int odd_live(void *arg, uint64_t id)
{
    (void)arg;
    return (int)(id & 1);
}

static struct ipc_peer me = {7, odd_live, NULL, NULL, NULL, "", NULL, NULL};
static struct ipc_peer you = {9, odd_live, NULL, NULL, NULL, "", NULL, NULL};

enum { GUARD = 1 << 16 };

/* Memory that touches a page that nobody may touch: the one before it and the one behind it in
 * turns. */
static void *memory(size_t size)
{
    size_t whole = (size + GUARD - 1) / GUARD * GUARD;
    void *mem = mmap(NULL, whole + 2 * GUARD, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(mem, MAP_FAILED);
    peer.mapped = (unsigned char *)mem;
    peer.size = whole + 2 * GUARD;
    assert_int_equal(mprotect(peer.mapped + GUARD, whole, PROT_READ | PROT_WRITE), 0);
    peer.how = NOTHING;
    peer.from = peer.mapped + GUARD + (peer.maps++ % 2 != 0 ? whole - size : 0);
    peer.to = peer.from + size;
    return peer.from;
}

static sigjmp_buf out;

static void caught(int signal)
{
    siglongjmp(out, signal);
}

static void begin(enum meddling how)
{
    (void)alarm(HANG_S);
    peer.how = how;
}

static void end(void)
{
    (void)alarm(0);
    peer.how = NOTHING;
    (void)munmap(peer.mapped, peer.size);
}

static unsigned script_step, script_from; /* of the calls below */

static void must_not_come_here(int signal)
{
    fail_msg("%s; meddling %d, from step %u on, at step %u",
             signal == SIGALRM ? "a call has not returned" : "memory beyond the ring is touched",
             (int)peer.how, script_from, script_step);
}

#define MUST_RETURN                                                                                \
    do {                                                                                           \
        int signal_ = sigsetjmp(out, 1);                                                           \
        if (signal_ != 0)                                                                          \
            must_not_come_here(signal_);                                                           \
    } while (0)

/* ------------------------------------------------------------------ many at an end */

#define MANY_CALLS(NAME)                                                                           \
    static void NAME##_calls_return(void **state)                                                  \
    {                                                                                              \
        struct message m[MANY];                                                                    \
        unsigned how, call, full;                                                                  \
                                                                                                   \
        (void)state;                                                                               \
        MUST_RETURN;                                                                               \
        memset(m, 0, sizeof m);                                                                    \
        for (how = 1; how < MEDDLINGS; how++)                                                      \
            for (full = 0; full < 2; full++)                                                       \
                for (call = 0; call < 12; call++) {                                                \
                    size_t size = NAME##_footprint(SLOTS, 0);                                      \
                    void *mem = memory(size);                                                      \
                    struct NAME##_producer p;                                                      \
                    struct NAME##_consumer c;                                                      \
                                                                                                   \
                    assert_int_equal(NAME##_init(mem, size, SLOTS, IPC_MPMC_AT_LEAST_ONCE), 0);    \
                    assert_int_equal(NAME##_producer_attach(&p, mem, size, &me), 0);               \
                    assert_int_equal(NAME##_consumer_attach(&c, mem, size, &you), 0);              \
                    assert_int_equal(NAME##_push_n(&p, m, full ? MANY : 0), full ? MANY : 0);      \
                    if (call == 11) /* detach gives back what was peeked */                        \
                        (void)NAME##_peek(&c);                                                     \
                    begin((enum meddling)how);                                                     \
                    switch (call) {                                                                \
                    case 0:                                                                        \
                        (void)NAME##_push(&p, m);                                                  \
                        break;                                                                     \
                    case 1:                                                                        \
                        (void)NAME##_push_n(&p, m, MANY);                                          \
                        break;                                                                     \
                    case 2:                                                                        \
                        if (NAME##_claim(&p) != NULL)                                              \
                            (void)NAME##_commit(&p);                                               \
                        break;                                                                     \
                    case 3:                                                                        \
                        if (NAME##_claim(&p) != NULL)                                              \
                            NAME##_cancel(&p);                                                     \
                        break;                                                                     \
                    case 4:                                                                        \
                        (void)NAME##_send(&p, m, ipc_in_ms(20));                                   \
                        break;                                                                     \
                    case 5:                                                                        \
                        (void)NAME##_producer_recover(&p, 0);                                      \
                        break;                                                                     \
                    case 6:                                                                        \
                        (void)NAME##_pop(&c, m);                                                   \
                        break;                                                                     \
                    case 7:                                                                        \
                        (void)NAME##_pop_n(&c, m, MANY);                                           \
                        break;                                                                     \
                    case 8:                                                                        \
                        if (NAME##_peek(&c) != NULL)                                               \
                            (void)NAME##_release(&c);                                              \
                        break;                                                                     \
                    case 9:                                                                        \
                        (void)NAME##_recv(&c, m, ipc_in_ms(20));                                   \
                        break;                                                                     \
                    case 10:                                                                       \
                        (void)NAME##_consumer_recover(&c, 0);                                      \
                        break;                                                                     \
                    default:                                                                       \
                        break;                                                                     \
                    }                                                                              \
                    NAME##_consumer_detach(&c);                                                    \
                    NAME##_producer_detach(&p);                                                    \
                    (void)NAME##_producer_attach(&p, mem, size, &you);                             \
                    (void)NAME##_consumer_attach(&c, mem, size, &me);                              \
                    end();                                                                         \
                }                                                                                  \
    }
MANY_CALLS(mpmc)
MANY_CALLS(mpsc)
MANY_CALLS(spmc)

/* As many holders as slots, all alive: a call looks at each holder a few times at most, and does
 * not look at all of them for each one. */
static void fill_with_holders(unsigned char *mem, size_t size, uint64_t slots, int full)
{
    struct ipc_mpmc_producer p;
    struct ipc_mpmc_consumer c;
    uint64_t m = 1, i;

    assert_int_equal(ipc_mpmc_init(mem, size, 8, slots, 0), 0);
    assert_int_equal(ipc_mpmc_producer_attach(&p, mem, size, 8, &you, 0), 0);
    assert_int_equal(ipc_mpmc_consumer_attach(&c, mem, size, 8, &you, 0), 0);
    for (i = 0; i < slots; i++) {
        uint64_t *at = (uint64_t *)(void *)(p.m.slots + i * 64 + 56);

        *at = p.m.name + (full ? IPC_MPMC_WRITING_ : IPC_MPMC_READING_);
        if (i == slots - 1)
            *at = full ? IPC_MPMC_FULL_ : IPC_MPMC_LAP_;
    }
    p.m.next = slots;
    begin(NOTHING);
    for (i = 0; i < 64; i++) {
        (void)ipc_mpmc_push(&p, &m, 8);
        (void)ipc_mpmc_pop(&c, &m, 8);
    }
    (void)alarm(0);
}

static void a_ring_of_holders_keeps_no_call(void **state)
{
    const uint64_t slots = 1 << 17;
    const size_t size = ipc_mpmc_footprint(8, slots, 0);
    unsigned char *const mem = (unsigned char *)memory(size);

    (void)state;
    MUST_RETURN;
    fill_with_holders(mem, size, slots, 0);
    fill_with_holders(mem, size, slots, 1);
    end();
}

/* ------------------------------------------------------------------ ends, lanes, seats */

/* Rings where only attach and detach use compare-and-swap. */
static void attaching_returns(void **state)
{
    unsigned how;

    (void)state;
    MUST_RETURN;
    for (how = 1; how < MEDDLINGS; how++) {
        size_t size = 1 << 18;
        unsigned char *mem = (unsigned char *)memory(size);
        struct spsc_producer p;
        struct spsc_consumer c;
        struct cast_producer writer;
        struct cast_consumer reader;
        struct records_producer lane;
        struct records_consumer all;
        struct message m;
        unsigned i;

        memset(&m, 0, sizeof m);
        assert_int_equal(spsc_init(mem, size, SLOTS), 0);
        begin((enum meddling)how);
        (void)spsc_producer_attach(&p, mem, size, &me);
        (void)spsc_consumer_attach(&c, mem, size, &you);
        (void)spsc_send(&p, &m, ipc_in_ms(5));
        (void)spsc_recv(&c, &m, ipc_in_ms(5));
        (void)spsc_recv(&c, &m, ipc_in_ms(5));
        spsc_producer_detach(&p);
        spsc_consumer_detach(&c);
        assert_int_equal(cast_init(mem, size, SLOTS, IPC_BROADCAST_LOSSLESS), 0);
        (void)cast_producer_attach(&writer, mem, size, &me);
        (void)cast_consumer_attach(&reader, mem, size, &you);
        for (i = 0; i < 3000; i++)
            (void)cast_push(&writer, &m);
        (void)cast_send(&writer, &m, ipc_in_ms(5));
        (void)cast_recv(&reader, &m, ipc_in_ms(5));
        cast_producer_detach(&writer);
        cast_consumer_detach(&reader);
        assert_int_equal(records_init(mem, size, 1024, 4), 0);
        (void)records_producer_attach(&lane, mem, size, &me);
        (void)records_consumer_attach(&all, mem, size, &you);
        (void)records_send(&lane, &m, sizeof m, ipc_in_ms(5));
        (void)records_recv(&all, &m, sizeof m, ipc_in_ms(5));
        records_producer_detach(&lane);
        records_consumer_detach(&all);
        end();
    }
}

/* ------------------------------------------------------------------ calls */

static void calls_return(void **state)
{
    unsigned how, step;

    (void)state;
    MUST_RETURN;
    for (how = 1; how < MEDDLINGS; how++)
        for (step = 0; step < 6; step++) {
            size_t size = call_footprint(4);
            void *mem = memory(size);
            struct call_client c;
            struct call_server s;
            union call_slot *slot = NULL;
            struct message m;

            memset(&m, 0, sizeof m);
            assert_int_equal(call_init(mem, size, 4), 0);
            if (step == 0)
                begin((enum meddling)how);
            (void)call_client_attach(&c, mem, size, &me);
            (void)call_server_attach(&s, mem, size, &you);
            if (step == 1)
                begin((enum meddling)how);
            (void)call_ask(&c, &m);
            if (step == 2)
                begin((enum meddling)how);
            (void)call_serve(&s, &slot, ipc_in_ms(5));
            if (step == 3)
                begin((enum meddling)how);
            if (slot != NULL)
                (void)call_answer(&s, slot);
            (void)call_poll(&c);
            (void)call_collect(&c, &m);
            if (step == 4)
                begin((enum meddling)how);
            (void)call_call(&c, &m, &m, ipc_in_ms(5));
            call_cancel(&c);
            if (step == 5)
                begin((enum meddling)how);
            (void)call_ask(&c, &m);
            call_client_detach(&c);
            call_server_detach(&s);
            end();
        }
}

/* ------------------------------------------------------------------ every call, in a row */

IPC_STREAM(stream, struct message)
IPC_RECORD_BROADCAST(record_cast)
#define spsc_init(mem, size, slots, how) ((void)(how), spsc_init(mem, size, slots))
#define spsc_footprint(slots, how) ((void)(how), spsc_footprint(slots))
#define stream_init(mem, size, slots, how) ((void)(how), stream_init(mem, size, slots))

/* The peer begins to meddle before step script_from, and goes on to the end of the script. */
#define STEP(CALL)                                                                                 \
    do {                                                                                           \
        if (script_step++ == script_from)                                                          \
            begin(how);                                                                            \
        (void)(CALL);                                                                              \
    } while (0)
#define SOON ipc_in_ms(1)

/* Runs the script with every kind of meddling, from each of its steps on. */
static void run_scripts(void (*script)(enum meddling, unsigned), unsigned option)
{
    unsigned how, tries;

    (void)signal(SIGSEGV, caught); /* cmocka has its own while a test runs */
    (void)signal(SIGBUS, caught);
    MUST_RETURN;
    for (how = 1; how < ALL_MEDDLINGS; how++)
        for (tries = 0; tries < (how < LOADS ? 1 : 3); tries++)
            for (script_from = 0; script_from == 0 || script_from < script_step; script_from++) {
                script_step = 0;
                script((enum meddling)how, option);
                end();
            }
}

/* What all kinds of slots have in common. MORE: the calls that only this kind has. */
#define SLOT_SCRIPT(NAME, MORE)                                                                    \
    static void NAME##_script(enum meddling how, unsigned option)                                  \
    {                                                                                              \
        size_t size = NAME##_footprint(SLOTS, option);                                             \
        void *mem = memory(size);                                                                  \
        struct NAME##_producer p;                                                                  \
        struct NAME##_consumer c;                                                                  \
        struct message m[2 * MANY];                                                                \
                                                                                                   \
        memset(m, 0, sizeof m);                                                                    \
        assert_int_equal(NAME##_init(mem, size, SLOTS, option), 0);                                \
        STEP(NAME##_producer_attach(&p, mem, size, &me));                                          \
        STEP(NAME##_consumer_attach(&c, mem, size, &you));                                         \
        STEP(NAME##_push(&p, m));                                                                  \
        STEP(NAME##_push_n(&p, m, 2 * MANY));                                                      \
        STEP(NAME##_pop(&c, m));                                                                   \
        STEP(NAME##_pop_n(&c, m, 2 * MANY));                                                       \
        STEP(NAME##_claim(&p));                                                                    \
        STEP(NAME##_commit(&p));                                                                   \
        STEP(NAME##_claim(&p));                                                                    \
        STEP((NAME##_cancel(&p), 0));                                                              \
        STEP(NAME##_peek(&c));                                                                     \
        STEP(NAME##_release(&c));                                                                  \
        STEP(NAME##_send(&p, m, SOON));                                                            \
        STEP(NAME##_recv(&c, m, SOON));                                                            \
        STEP(NAME##_recv(&c, m, SOON));                                                            \
        STEP(NAME##_consumer_wait(&c, SOON));                                                      \
        if (script_step <= script_from) /* full */                                                 \
            (void)(NAME##_push_n(&p, m, 2 * MANY) + NAME##_push_n(&p, m, 2 * MANY));               \
        STEP(NAME##_producer_wait(&p, SOON));                                                      \
        STEP(NAME##_send(&p, m, SOON));                                                            \
        MORE;                                                                                      \
        STEP(NAME##_producer_post(&p));                                                            \
        STEP(NAME##_consumer_post(&c));                                                            \
        STEP(NAME##_producer_error(&p));                                                           \
        STEP(NAME##_consumer_error(&c));                                                           \
        STEP(NAME##_peek(&c)); /* detach gives it back */                                          \
        STEP(NAME##_claim(&p));                                                                    \
        STEP((NAME##_consumer_detach(&c), 0));                                                     \
        STEP((NAME##_producer_detach(&p), 0));                                                     \
        STEP(NAME##_producer_attach(&p, mem, size, &you));                                         \
        STEP(NAME##_consumer_attach(&c, mem, size, &me));                                          \
        STEP(NAME##_pop_n(&c, m, MANY));                                                           \
        STEP(NAME##_push_n(&p, m, MANY));                                                          \
        NAME##_consumer_detach(&c);                                                                \
        NAME##_producer_detach(&p);                                                                \
    }
#define MANY_MORE(NAME)                                                                            \
    STEP((NAME##_producer_recover(&p, 0)));                                                        \
    STEP((NAME##_consumer_recover(&c, 9)));                                                        \
    STEP((NAME##_producer_losses(&p), 0));                                                         \
    STEP((NAME##_consumer_losses(&c), 0))
SLOT_SCRIPT(spsc, STEP((spsc_replay(&c, 8), 0)); STEP(spsc_producer_was_size(&p));
            STEP(spsc_consumer_was_size(&c)); STEP(spsc_producer_peer(&p));
            STEP(spsc_consumer_peer(&c)))
SLOT_SCRIPT(mpmc, MANY_MORE(mpmc))
SLOT_SCRIPT(mpsc, MANY_MORE(mpsc))
SLOT_SCRIPT(spmc, MANY_MORE(spmc))
SLOT_SCRIPT(cast, STEP(cast_missed(&c)))

static void stream_script(enum meddling how, unsigned option)
{
    size_t size = stream_footprint(SLOTS);
    void *mem = memory(size);
    struct stream_producer p;
    struct stream_consumer c;
    struct stream_regions r;
    struct message m[2 * MANY];

    memset(m, 0, sizeof m);
    assert_int_equal(stream_init(mem, size, SLOTS, option), 0);
    STEP(stream_producer_attach(&p, mem, size, &me));
    STEP(stream_consumer_attach(&c, mem, size, &you));
    STEP(stream_push_n(&p, m, 2 * MANY));
    STEP(stream_push_all(&p, m, MANY));
    STEP(stream_pop_n(&c, m, MANY));
    STEP(stream_pop_all(&c, m, 3));
    STEP(stream_claim(&p, 3));
    STEP(stream_commit(&p, 3));
    STEP(stream_room(&p, &r));
    STEP(stream_commit(&p, 1));
    STEP(stream_peek(&c, 3));
    STEP(stream_release(&c, 3));
    STEP(stream_data(&c, &r));
    STEP(stream_release(&c, 1));
    STEP(stream_send(&p, m, 2 * MANY, SOON));
    STEP(stream_send(&p, m, 2 * MANY, SOON));
    STEP(stream_producer_wait(&p, MANY, SOON));
    STEP(stream_recv(&c, m, 2 * MANY, SOON));
    STEP(stream_recv(&c, m, 2 * MANY, SOON));
    STEP(stream_consumer_wait(&c, MANY, SOON));
    STEP(stream_producer_was_size(&p));
    STEP(stream_consumer_was_size(&c));
    STEP(stream_producer_post(&p));
    STEP(stream_consumer_post(&c));
    STEP((stream_consumer_detach(&c), 0));
    STEP((stream_producer_detach(&p), 0));
    STEP(stream_producer_attach(&p, mem, size, &you));
    STEP(stream_consumer_attach(&c, mem, size, &me));
    STEP(stream_pop_n(&c, m, MANY));
    stream_consumer_detach(&c);
    stream_producer_detach(&p);
}

/* MORE: the calls that only this kind has. FOOTPRINT: of 1 KiB, made that way. */
#define RECORD_SCRIPT(NAME, FOOTPRINT, MORE)                                                       \
    static void NAME##_script(enum meddling how, unsigned option)                                  \
    {                                                                                              \
        size_t size = FOOTPRINT, n = 0;                                                            \
        void *mem = memory(size);                                                                  \
        struct NAME##_producer p;                                                                  \
        struct NAME##_consumer c;                                                                  \
        unsigned char to[1024];                                                                    \
        struct ipc_record some[4];                                                                 \
                                                                                                   \
        memset(to, 0, sizeof to);                                                                  \
        assert_int_equal(NAME##_init(mem, size, 1024, option), 0);                                 \
        STEP(NAME##_producer_attach(&p, mem, size, &me));                                          \
        STEP(NAME##_consumer_attach(&c, mem, size, &you));                                         \
        for (n = 0; n < 4; n++) {                                                                  \
            some[n].at = to;                                                                       \
            some[n].n = 9 * n;                                                                     \
        }                                                                                          \
        STEP(NAME##_push(&p, to, 100));                                                            \
        STEP(NAME##_push_n(&p, some, 4));                                                          \
        STEP(NAME##_pop(&c, to, sizeof to));                                                       \
        STEP(NAME##_pop_n(&c, to, sizeof to, some, 4));                                            \
        STEP(NAME##_claim(&p, 200));                                                               \
        STEP(NAME##_commit(&p, 150));                                                              \
        STEP(NAME##_claim(&p, 20));                                                                \
        STEP((NAME##_cancel(&p), 0));                                                              \
        STEP(NAME##_peek(&c, &n));                                                                 \
        STEP(NAME##_release(&c));                                                                  \
        STEP(NAME##_send(&p, to, 300, SOON));                                                      \
        STEP(NAME##_recv(&c, to, sizeof to, SOON));                                                \
        STEP(NAME##_recv(&c, to, sizeof to, SOON));                                                \
        STEP(NAME##_consumer_wait(&c, SOON));                                                      \
        STEP(NAME##_send(&p, to, 400, SOON));                                                      \
        STEP(NAME##_send(&p, to, 400, SOON));                                                      \
        STEP(NAME##_send(&p, to, 400, SOON));                                                      \
        STEP(NAME##_producer_wait(&p, 400, SOON));                                                 \
        MORE;                                                                                      \
        STEP(NAME##_most(&p));                                                                     \
        STEP(NAME##_producer_post(&p));                                                            \
        STEP(NAME##_consumer_post(&c));                                                            \
        STEP(NAME##_peek(&c, &n));                                                                 \
        STEP((NAME##_consumer_detach(&c), 0));                                                     \
        STEP((NAME##_producer_detach(&p), 0));                                                     \
        STEP(NAME##_producer_attach(&p, mem, size, &you));                                         \
        STEP(NAME##_consumer_attach(&c, mem, size, &me));                                          \
        STEP(NAME##_pop(&c, to, sizeof to));                                                       \
        STEP(NAME##_push(&p, to, 50));                                                             \
        NAME##_consumer_detach(&c);                                                                \
        NAME##_producer_detach(&p);                                                                \
    }
RECORD_SCRIPT(records, records_footprint(1024, option), STEP((records_replay(&c, 64), 0));
              STEP(records_producer_peer(&p)); STEP(records_consumer_peer(&c)))
RECORD_SCRIPT(record_cast, record_cast_footprint(1024, 0), STEP(record_cast_missed(&c)))

static void call_script(enum meddling how, unsigned option)
{
    size_t size = call_footprint(4);
    void *mem = memory(size);
    struct call_client c;
    struct call_server s;
    union call_slot *slot = NULL;
    struct message m, *request;

    (void)option;
    memset(&m, 0, sizeof m);
    assert_int_equal(call_init(mem, size, 4), 0);
    STEP(call_client_attach(&c, mem, size, &me));
    STEP(call_server_attach(&s, mem, size, &you));
    STEP(call_ask(&c, &m));
    STEP(slot = call_take(&s));
    STEP(slot != NULL ? call_server_peer(&s, slot) : 0);
    STEP(slot != NULL ? call_answer(&s, slot) : 0);
    STEP(call_poll(&c));
    STEP(call_peek(&c));
    STEP(call_collect(&c, &m));
    STEP(call_claim(&c, &request));
    STEP(call_commit(&c));
    STEP(call_client_wait(&c, SOON));
    STEP((slot = NULL, call_serve(&s, &slot, SOON)));
    STEP((call_cancel(&c), 0));
    STEP(call_ask(&c, &m));
    STEP(slot != NULL ? call_answer(&s, slot) : 0);
    STEP(call_call(&c, &m, &m, SOON));
    STEP((slot = NULL, call_serve(&s, &slot, SOON)));
    STEP((call_server_detach(&s), 0));
    STEP(call_collect(&c, &m));
    STEP((call_client_detach(&c), 0));
    STEP(call_server_attach(&s, mem, size, &me));
    STEP(call_client_attach(&c, mem, size, &you));
    STEP(call_call(&c, &m, &m, SOON));
    call_client_detach(&c);
    call_server_detach(&s);
}

#define EVERY_CALL(NAME, SCRIPT, OPTION)                                                           \
    static void every_call_of_##NAME(void **state)                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run_scripts(SCRIPT##_script, OPTION);                                                      \
    }
EVERY_CALL(spsc, spsc, 0)
EVERY_CALL(mpmc, mpmc, IPC_MPMC_AT_LEAST_ONCE)
EVERY_CALL(mpsc, mpsc, IPC_MPMC_AT_LEAST_ONCE)
EVERY_CALL(spmc, spmc, IPC_MPMC_AT_MOST_ONCE)
EVERY_CALL(lossless, cast, IPC_BROADCAST_LOSSLESS)
EVERY_CALL(lossy, cast, IPC_BROADCAST_LOSSY)
EVERY_CALL(streams, stream, 0)
EVERY_CALL(records, records, 1)
EVERY_CALL(lanes, records, 4)
EVERY_CALL(records_lossless, record_cast, IPC_BROADCAST_LOSSLESS)
EVERY_CALL(records_lossy, record_cast, IPC_BROADCAST_LOSSY)
EVERY_CALL(calls, call, 0)

/* A process looks which version a ring is of, and finds none yet; then the ring is there. */
static void ring_made_between_two_looks_is_refused(void **state)
{
    size_t size = newer_footprint(SLOTS);
    void *mem = memory(size);
    struct spsc_producer older;
    struct newer_producer newer;

    (void)state;
    assert_int_equal(newer_init(mem, size, SLOTS), 0);
    unseen = &((const struct ipc_ring_shared_ *)mem)->magic;
    assert_int_equal(spsc_producer_attach(&older, mem, size, &me), -EPROTO);
    assert_true(unseen == NULL);
    assert_int_equal(spsc_producer_error(&older), -EPROTO);
    assert_int_equal(newer_producer_attach(&newer, mem, size, &you), 0);
    newer_producer_detach(&newer);
    end();
}

/* A message is there at every third look: the first, second or third. A call with a deadline does
 * not say -EAGAIN. */
#define COMES_AND_GOES(NAME, FOOTPRINT, INIT, PUSH, WORDS, RECV)                                   \
    do {                                                                                           \
        unsigned first_;                                                                           \
                                                                                                   \
        for (first_ = 0; first_ < 3; first_++) {                                                   \
            size_t size = FOOTPRINT;                                                               \
            void *mem = memory(size);                                                              \
            struct NAME##_producer p;                                                              \
            struct NAME##_consumer c;                                                              \
            int64_t rc;                                                                            \
                                                                                                   \
            assert_int_equal(INIT, 0);                                                             \
            assert_int_equal(NAME##_producer_attach(&p, mem, size, &me), 0);                       \
            assert_int_equal(NAME##_consumer_attach(&c, mem, size, &you), 0);                      \
            assert_true((PUSH) >= 0);                                                              \
            begin(NOTHING);                                                                        \
            blinked = first_;                                                                      \
            blinks = (WORDS);                                                                      \
            rc = (RECV);                                                                           \
            blinks = NULL;                                                                         \
            assert_true(rc > 0 || rc == -ETIMEDOUT);                                               \
            NAME##_consumer_detach(&c);                                                            \
            NAME##_producer_detach(&p);                                                            \
            end();                                                                                 \
        }                                                                                          \
    } while (0)

static void what_comes_and_goes_ends_no_call_early(void **state)
{
    struct message m[2];

    (void)state;
    memset(m, 0, sizeof m);
    COMES_AND_GOES(stream, stream_footprint(SLOTS), stream_init(mem, size, SLOTS, 0),
                   stream_push_n(&p, m, 1), c.raw.s.theirs, stream_recv(&c, m, 2, SOON));
    COMES_AND_GOES(records, records_footprint(1024, 1), records_init(mem, size, 1024, 1),
                   records_push(&p, m, 8), c.raw.data, records_recv(&c, m, sizeof m, SOON));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mpmc_calls_return), cmocka_unit_test(mpsc_calls_return),
        cmocka_unit_test(spmc_calls_return), cmocka_unit_test(a_ring_of_holders_keeps_no_call),
        cmocka_unit_test(attaching_returns), cmocka_unit_test(calls_return),
        cmocka_unit_test(every_call_of_spsc), cmocka_unit_test(every_call_of_mpmc),
        cmocka_unit_test(every_call_of_mpsc), cmocka_unit_test(every_call_of_spmc),
        cmocka_unit_test(every_call_of_lossless), cmocka_unit_test(every_call_of_lossy),
        cmocka_unit_test(every_call_of_streams), cmocka_unit_test(every_call_of_records),
        cmocka_unit_test(every_call_of_lanes), cmocka_unit_test(every_call_of_records_lossless),
        cmocka_unit_test(every_call_of_records_lossy), cmocka_unit_test(every_call_of_calls),
        cmocka_unit_test(ring_made_between_two_looks_is_refused),
        cmocka_unit_test(what_comes_and_goes_ends_no_call_early),
    };

    (void)signal(SIGALRM, caught);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
