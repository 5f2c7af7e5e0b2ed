/*
 * A hostile peer at its worst: just before each compare-and-swap and each fetch-and-add it changes
 * the word in question, as another core may at any time. Every call of every ring must return all
 * the same, before its deadline if it has one; its result does not matter. An alarm ends a call
 * that does not return, and fails the test.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#define _GNU_SOURCE
#include <ck_pr.h>
#include <stdint.h>

static void meddle(void *at, uint64_t from, uint64_t to);

static inline int plain_cas_64(uint64_t *at, uint64_t from, uint64_t to)
{
    return __sync_bool_compare_and_swap(at, from, to);
}
static inline int plain_cas_32(uint32_t *at, uint32_t from, uint32_t to)
{
    return __sync_bool_compare_and_swap(at, from, to);
}
#define ck_pr_cas_64(at, from, to) (meddle((at), (from), (to)), plain_cas_64((at), (from), (to)))
#define ck_pr_cas_32(at, from, to) (meddle((at), (from), (to)), plain_cas_32((at), (from), (to)))

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
    MEDDLINGS
};

static struct {
    enum meddling how;
    unsigned char *from, *to; /* the memory that it changes */
    uint64_t acts;
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

/* Half of the processes that it names are alive. */
static int odd_live(void *arg, uint64_t id)
{
    (void)arg;
    return (int)(id & 1);
}

static struct ipc_peer me = {7, odd_live, NULL, NULL, NULL, ""};
static struct ipc_peer you = {9, odd_live, NULL, NULL, NULL, ""};

static void *memory(size_t size)
{
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(mem, MAP_FAILED);
    peer.how = NOTHING;
    peer.from = (unsigned char *)mem;
    peer.to = peer.from + size;
    return mem;
}

static sigjmp_buf out;

static void hangs(int signal)
{
    (void)signal;
    siglongjmp(out, 1);
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
    (void)munmap(peer.from, (size_t)(peer.to - peer.from));
}

#define MUST_RETURN                                                                                \
    if (sigsetjmp(out, 1) != 0)                                                                    \
    fail_msg("a call has not returned after %d s; meddling %d", HANG_S, (int)peer.how)

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
                    size_t size = NAME##_footprint(SLOTS);                                         \
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
        uint64_t *at = (uint64_t *)(void *)(mem + sizeof(struct ipc_mpmc_shared) + i * 64 + 56);

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
    const size_t size = ipc_mpmc_footprint(8, slots);
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mpmc_calls_return), cmocka_unit_test(mpsc_calls_return),
        cmocka_unit_test(spmc_calls_return), cmocka_unit_test(a_ring_of_holders_keeps_no_call),
        cmocka_unit_test(attaching_returns), cmocka_unit_test(calls_return),
    };

    (void)signal(SIGALRM, hangs);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
