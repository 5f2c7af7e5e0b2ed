/* SPSC rings of ipc_ring.h on plain memory: their contract, their edges, hostile memory. */
#define _GNU_SOURCE
#include "chance.h"
#include "ipc_ring.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------ helpers */

static const uint64_t starts[] = {0, UINT32_MAX - 2, UINT64_C(1) << 63, (UINT64_C(1) << 63) - 3};
enum { STARTS = sizeof starts / sizeof starts[0] };

/* Memory shared with the test's children. */
static void *shared(size_t size)
{
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(mem, MAP_FAILED);
    return mem;
}

/* A ring whose positions begin at `start`, in memory that was not zeroed. */
static void *ring(size_t bytes, uint64_t capacity, uint64_t start)
{
    size_t size = ipc_spsc_footprint(bytes, capacity);
    void *mem = shared(size);

    memset(mem, 0xa5, size);
    assert_int_equal(ipc_spsc_init(mem, size, bytes, capacity), 0);
    ((struct ipc_spsc_shared *)mem)->head = start;
    return mem;
}

static void ring_free(void *mem, size_t bytes, uint64_t capacity)
{
    (void)munmap(mem, ipc_spsc_footprint(bytes, capacity));
}

static void both(void *mem, size_t bytes, uint64_t capacity, struct ipc_spsc_producer *p,
                 struct ipc_spsc_consumer *c)
{
    size_t size = ipc_spsc_footprint(bytes, capacity);

    assert_int_equal(ipc_spsc_producer_attach(p, mem, size, bytes, NULL), 0);
    assert_int_equal(ipc_spsc_consumer_attach(c, mem, size, bytes, NULL), 0);
}

/* Makes message number n: every byte depends on n and on its place. */
static void fill(unsigned char *m, size_t bytes, uint64_t n)
{
    size_t i;

    for (i = 0; i < bytes; i++)
        m[i] = (unsigned char)((n + i) * 0x9e3779b97f4a7c15u >> 56);
}

static int is_message(const unsigned char *m, size_t bytes, uint64_t n)
{
    unsigned char want[8192];

    fill(want, bytes, n);
    return memcmp(m, want, bytes) == 0;
}

static int alive_says(void *arg, uint64_t id)
{
    (void)id;
    return *(const int *)arg;
}

static struct ipc_peer peer(uint64_t id, const int *others_alive)
{
    struct ipc_peer me;

    memset(&me, 0, sizeof me);
    me.id = id;
    me.alive = alive_says;
    me.arg = (void *)(uintptr_t)others_alive;
    return me;
}

/* ------------------------------------------------------------------ geometry */

static void slots_fill_lines_and_never_straddle_one(void **state)
{
    size_t bytes;

    (void)state;
    for (bytes = 1; bytes < 5000; bytes++) {
        size_t stride = ipc_ring_stride_(bytes);

        assert_true(stride >= bytes + 8 && stride < bytes + 8 + 64);
        assert_true(64 % stride == 0 || stride % 64 == 0);
    }
    assert_int_equal(ipc_ring_stride_(8), 16);
    assert_int_equal(ipc_ring_stride_(56), 64);
    assert_int_equal(ipc_ring_stride_(57), 128);
    assert_int_equal(ipc_ring_stride_(120), 128);
    assert_int_equal(ipc_ring_stride_(1016), 1024);
}

/* Two handles beside each other, or a handle and what another thread writes, wherever they are. */
#define APART(TYPE, FIRST, LAST)                                                                   \
    do {                                                                                           \
        static struct TYPE h;                                                                      \
        assert_true((char *)&h.FIRST - (char *)&h >= 64);                                          \
        assert_true((char *)(&h + 1) - (char *)(&h.LAST + 1) >= 64);                               \
    } while (0)

static void a_handle_shares_no_line_with_what_stands_beside_it(void **state)
{
    (void)state;
    APART(ipc_spsc_producer, slots, limit_then);
    APART(ipc_spsc_consumer, slots, self);
    APART(ipc_stream_producer, s.data, trials);
    APART(ipc_stream_consumer, s.data, try_after);
    APART(ipc_record_producer, data, limit_then);
    APART(ipc_record_consumer, data, merge);
    APART(ipc_broadcast_producer, s.slots, how);
    APART(ipc_broadcast_consumer, s.slots, how);
    APART(ipc_record_broadcast_producer, r.data, how);
    APART(ipc_record_broadcast_consumer, r.data, how);
    APART(ipc_mpmc_producer, m.slots, trials);
    APART(ipc_mpmc_consumer, m.slots, m.seats_count);
    APART(ipc_call_client, slot, self);
    APART(ipc_call_server, slots, self);
}

static void impossible_geometry_is_refused(void **state)
{
    static const uint64_t capacities[] = {0,
                                          3,
                                          6,
                                          UINT64_MAX,
                                          UINT64_C(1) << 63,
                                          UINT64_C(1) << 62,
                                          UINT64_C(1) << 60,
                                          (UINT64_C(1) << 32) + 1};
    unsigned char *mem = shared(1 << 20);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        assert_int_equal(ipc_spsc_footprint(8, capacities[i]), 0);
        assert_int_equal(ipc_spsc_init(mem, 1 << 20, 8, capacities[i]), -EINVAL);
    }
    assert_int_equal(ipc_spsc_footprint(0, 4), 0);
    assert_int_equal(ipc_spsc_footprint(SIZE_MAX, 4), 0);
    assert_int_equal(ipc_spsc_footprint(SIZE_MAX - 7, 4), 0);
    assert_int_equal(ipc_spsc_footprint(SIZE_MAX / 4, 4), 0);
    assert_int_equal(ipc_spsc_init(mem, 1 << 20, 0, 4), -EINVAL);
    assert_int_equal(ipc_spsc_init(NULL, 1 << 20, 8, 4), -EINVAL);
    assert_int_equal(ipc_spsc_init(mem + 8, 1 << 19, 8, 4), -EINVAL);
    assert_int_equal(ipc_spsc_init(mem, ipc_spsc_footprint(8, 4) - 1, 8, 4), -ENOSPC);
    assert_int_equal(ipc_spsc_init(mem, ipc_spsc_footprint(8, 4), 8, 4), 0);
    (void)munmap(mem, 1 << 20);
}

/* ------------------------------------------------------------------ attach */

static void attach_names_what_does_not_match(void **state)
{
    static const struct {
        size_t at;
        uint64_t value;
        size_t width;
        int rc;
        const char *why;
    } wrong[] = {
        {offsetof(struct ipc_spsc_shared, is.magic), 0, 8, -EAGAIN, "not initialised"},
        {offsetof(struct ipc_spsc_shared, is.magic), 12345, 8, -EPROTO, "not an SPSC ring"},
        {offsetof(struct ipc_spsc_shared, is.order), IPC_RING_SWAPPED, 4, -EPROTO, "byte order"},
        {offsetof(struct ipc_spsc_shared, is.order), 7, 4, -EPROTO, "not an SPSC ring"},
        {offsetof(struct ipc_spsc_shared, is.abi), 1, 4, -EPROTO, "ABI: 1 there"},
        {offsetof(struct ipc_spsc_shared, is.line), 128, 4, -EPROTO,
         "line size: 128 there, 64 here"},
        {offsetof(struct ipc_spsc_shared, is.bytes), 24, 8, -EPROTO, "bytes: 24 there, 16 here"},
        {offsetof(struct ipc_spsc_shared, is.capacity), 0, 8, -EPROTO, "does not fit"},
        {offsetof(struct ipc_spsc_shared, is.capacity), 3, 8, -EPROTO, "does not fit"},
        {offsetof(struct ipc_spsc_shared, is.capacity), 8, 8, -EPROTO, "does not fit"},
        {offsetof(struct ipc_spsc_shared, is.capacity), UINT64_C(1) << 59, 8, -EPROTO, "not fit"},
    };
    const int dead = 0;
    size_t size = ipc_spsc_footprint(16, 4), i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ipc_peer me = peer(7, &dead);
        struct ipc_spsc_producer p;
        struct ipc_spsc_consumer c;
        char *mem = ring(16, 4, 0), message[16] = "";

        if (wrong[i].width == 4)
            ck_pr_store_32((uint32_t *)(void *)(mem + wrong[i].at), (uint32_t)wrong[i].value);
        else
            memcpy(mem + wrong[i].at, &wrong[i].value, 8);
        assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 16, &me), wrong[i].rc);
        if (strstr(me.why, wrong[i].why) == NULL)
            fail_msg("'%s' does not say '%s'", me.why, wrong[i].why);
        assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, 16, NULL), wrong[i].rc);
        /* Calls on a refused handle return the reason of the refusal. */
        assert_int_equal(ipc_spsc_push(&p, message, 16), wrong[i].rc);
        assert_int_equal(ipc_spsc_push_n(&p, message, 16, 1), wrong[i].rc);
        assert_int_equal(ipc_spsc_pop(&c, message, 16), wrong[i].rc);
        assert_int_equal(ipc_spsc_pop_n(&c, message, 16, 1), wrong[i].rc);
        assert_int_equal(ipc_spsc_producer_error(&p), wrong[i].rc);
        assert_null(ipc_spsc_claim(&p));
        assert_null(ipc_spsc_peek(&c));
        assert_int_equal(ipc_spsc_commit(&p), -EINVAL);
        assert_int_equal(ipc_spsc_release(&c), -EINVAL);
        assert_int_equal(ipc_spsc_producer_was_size(&p) + ipc_spsc_consumer_was_size(&c), 0);
        ipc_spsc_producer_detach(&p);
        ipc_spsc_consumer_detach(&c);
        ring_free(mem, 16, 4);
    }
}

static void attach_checks_its_arguments(void **state)
{
    const int dead = 0;
    struct ipc_peer nobody = peer(0, &dead);
    struct ipc_spsc_producer p;
    size_t size = ipc_spsc_footprint(16, 4);
    char *mem = ring(16, 4, 0);

    (void)state;
    assert_int_equal(ipc_spsc_producer_attach(&p, NULL, size, 16, NULL), -EINVAL);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem + 1, size, 16, NULL), -EINVAL);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, 100, 16, NULL), -EINVAL);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size - 1, 16, NULL), -EPROTO);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 0, NULL), -EINVAL);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 17, NULL), -EPROTO);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 16, &nobody), -EINVAL);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 16, NULL), 0);
    ring_free(mem, 16, 4);
}

static void an_end_has_one_holder_until_it_is_proven_dead(void **state)
{
    int others_alive = 1;
    struct ipc_peer a = peer(7, &others_alive), b = peer(8, &others_alive);
    struct ipc_spsc_producer p, q;
    struct ipc_spsc_consumer c, d;
    size_t size = ipc_spsc_footprint(8, 4);
    void *mem = ring(8, 4, 0);
    uint64_t m = 1;

    (void)state;
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 8, &a), 0);
    assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, 8, &a), 0);
    assert_int_equal(ipc_spsc_producer_peer(&p), 7);
    assert_int_equal(ipc_spsc_producer_attach(&q, mem, size, 8, &b), -EBUSY);
    assert_non_null(strstr(b.why, "taken; peer: 7 there, 8 here"));
    assert_int_equal(ipc_spsc_consumer_attach(&d, mem, size, 8, &b), -EBUSY);
    assert_int_equal(ipc_spsc_producer_attach(&q, mem, size, 8, NULL), -EBUSY);
    assert_int_equal(ipc_spsc_producer_attach(&q, mem, size, 8, &a),
                     -EBUSY); /* also twice by one process */

    others_alive = 0;
    assert_int_equal(ipc_spsc_producer_attach(&q, mem, size, 8, NULL),
                     -EBUSY); /* without ipc_peer no death is known */
    assert_int_equal(ipc_spsc_producer_attach(&q, mem, size, 8, &b), 0);
    assert_int_equal(ipc_spsc_consumer_peer(&c), 8);
    ipc_spsc_producer_detach(
        &p); /* it is alive but has lost its end: the new holder keeps the end */
    assert_int_equal(ipc_spsc_consumer_peer(&c), 8);
    ipc_spsc_producer_detach(&q);
    assert_int_equal(ipc_spsc_consumer_peer(&c), 0);
    assert_int_equal(ipc_spsc_push(&q, &m, 8), -EINVAL);
    assert_int_equal(ipc_spsc_producer_error(&q), -EINVAL);
    assert_int_equal(ipc_spsc_producer_attach(&q, mem, size, 8, NULL), 0);
    assert_int_equal(ipc_spsc_push(&q, &m, 8), 0);
    ipc_spsc_consumer_detach(&c);
    assert_int_equal(ipc_spsc_consumer_attach(&d, mem, size, 8, NULL), 0);
    assert_int_equal(ipc_spsc_pop(&d, &m, 8), 0);
    ring_free(mem, 8, 4);
}

/* The peer reports all others dead, but a holder without an ipc_peer may be alive. */
static void a_holder_without_a_peer_is_never_replaced(void **state)
{
    int others_alive = 0;
    struct ipc_peer me = peer(7, &others_alive), odd = peer(~UINT64_C(0), &others_alive);
    size_t size = 1 << 18, i;
    void *mem = aligned_alloc(64, size);
    struct ipc_spsc_producer p;
    struct ipc_spsc_consumer c;
    struct ipc_stream_producer sp;
    struct ipc_record_producer rp, lane[2];
    struct ipc_broadcast_producer writer;
    struct ipc_broadcast_consumer reader;
    struct ipc_mpmc_producer many;
    struct ipc_mpmc_consumer one;
    struct ipc_call_client caller;
    struct ipc_call_server server;
    uint64_t m = 1;

    (void)state;
    assert_non_null(mem);
    assert_int_equal(ipc_spsc_init(mem, size, 8, 4), 0);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 8, &odd), -EINVAL);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 8, NULL), 0);
    assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, 8, NULL), 0);
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 8, &me), -EBUSY);
    assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, 8, &me), -EBUSY);
    assert_int_equal(ipc_stream_init(mem, size, 8, 4), 0);
    assert_int_equal(ipc_stream_producer_attach(&sp, mem, size, 8, NULL), 0);
    assert_int_equal(ipc_stream_producer_attach(&sp, mem, size, 8, &me), -EBUSY);
    assert_int_equal(ipc_record_init(mem, size, 64, 2), 0);
    for (i = 0; i < 2; i++)
        assert_int_equal(ipc_record_producer_attach(&lane[i], mem, size, NULL), 0);
    assert_int_equal(ipc_record_producer_attach(&rp, mem, size, &me), -EBUSY);
    assert_int_equal(ipc_broadcast_init(mem, size, 8, 4, IPC_BROADCAST_LOSSLESS), 0);
    for (i = 0; i < IPC_BROADCAST_SEATS; i++)
        assert_int_equal(ipc_broadcast_consumer_attach(&reader, mem, size, 8, NULL), 0);
    assert_int_equal(ipc_broadcast_consumer_attach(&reader, mem, size, 8, &me), -EUSERS);
    assert_int_equal(ipc_broadcast_producer_attach(&writer, mem, size, 8, &me), 0);
    for (i = 0; i < 4; i++)
        assert_int_equal(ipc_broadcast_push(&writer, &m, 8), 0);
    for (i = 0; i < 3 * IPC_BROADCAST_ASK_EVERY_; i++) /* nor is its seat dropped from the gate */
        assert_int_equal(ipc_broadcast_push(&writer, &m, 8), -EAGAIN);
    assert_int_equal(ipc_mpmc_init(mem, size, 8, 4, IPC_MPMC_ONE_CONSUMER), 0);
    assert_int_equal(ipc_mpmc_consumer_attach(&one, mem, size, 8, NULL, IPC_MPMC_ONE_CONSUMER), 0);
    assert_int_equal(ipc_mpmc_consumer_attach(&one, mem, size, 8, &me, IPC_MPMC_ONE_CONSUMER),
                     -EBUSY);
    for (i = 1; i < IPC_MPMC_SEATS; i++)
        assert_int_equal(ipc_mpmc_producer_attach(&many, mem, size, 8, NULL, IPC_MPMC_ONE_CONSUMER),
                         0);
    assert_int_equal(ipc_mpmc_producer_attach(&many, mem, size, 8, &me, IPC_MPMC_ONE_CONSUMER),
                     -EUSERS);
    assert_int_equal(ipc_call_init(mem, size, 8, 8, 1), 0);
    for (i = 0; i < IPC_CALL_SLOTS_EACH_; i++)
        assert_int_equal(ipc_call_client_attach(&caller, mem, size, 8, 8, NULL), 0);
    assert_int_equal(ipc_call_client_attach(&caller, mem, size, 8, 8, &me), -EUSERS);
    for (i = 0; i < IPC_CALL_SERVERS; i++)
        assert_int_equal(ipc_call_server_attach(&server, mem, size, 8, 8, NULL), 0);
    assert_int_equal(ipc_call_server_attach(&server, mem, size, 8, 8, &me), -EUSERS);
    free(mem);
}

/* ------------------------------------------------------------------ first in, first out */

static void every_size_and_capacity_keeps_every_byte(void **state)
{
    static const size_t sizes[] = {1,   2,   3,   7,   8,   9,   13,   15,   16,   17,  23,
                                   24,  25,  31,  32,  33,  55,  56,   57,   63,   64,  65,
                                   119, 120, 121, 255, 256, 257, 1000, 1016, 1017, 4096};
    static const uint64_t capacities[] = {1, 2, 4, 32, 64, 256};
    size_t i, k, s;
    unsigned combinations = 0;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (k = 0; k < sizeof capacities / sizeof capacities[0]; k++)
            for (s = 0; s < STARTS; s++) {
                struct ipc_spsc_producer p;
                struct ipc_spsc_consumer c;
                unsigned char m[8192 + 1];
                size_t bytes = sizes[i];
                uint64_t capacity = capacities[k], sent = 0, seen = 0, lap;
                void *mem = ring(bytes, capacity, starts[s]);

                both(mem, bytes, capacity, &p, &c);
                assert_int_equal(ipc_spsc_push(&p, m, bytes + 1), -EMSGSIZE);
                assert_int_equal(ipc_spsc_push(&p, m, bytes - 1), -EMSGSIZE);
                assert_int_equal(ipc_spsc_pop(&c, m, bytes + 1), -EMSGSIZE);
                assert_int_equal(ipc_spsc_pop(&c, m, 0), -EMSGSIZE);
                for (lap = 0; lap < 5; lap++) {
                    for (;;) {
                        fill(m, bytes, sent);
                        if (ipc_spsc_push(&p, m, bytes) != 0)
                            break;
                        sent++;
                    }
                    assert_int_equal(ipc_spsc_push(&p, m, bytes), -EAGAIN);
                    assert_int_equal(sent - seen, capacity);
                    assert_int_equal(ipc_spsc_producer_was_size(&p), capacity);
                    assert_int_equal(ipc_spsc_consumer_was_size(&c), capacity);
                    while (seen < sent) {
                        m[bytes] = 0x5a;
                        assert_int_equal(ipc_spsc_pop(&c, m, bytes), 0);
                        assert_true(is_message(m, bytes, seen));
                        assert_int_equal(m[bytes], 0x5a);
                        seen++;
                    }
                    assert_int_equal(ipc_spsc_pop(&c, m, bytes), -EAGAIN);
                    assert_int_equal(ipc_spsc_producer_was_size(&p), 0);
                    assert_int_equal(ipc_spsc_consumer_was_size(&c), 0);
                }
                ring_free(mem, bytes, capacity);
                combinations++;
            }
    print_message("note: %u combinations of size, capacity and position\n", combinations);
}

/* Every call in random order, attaching again included, against a count of the messages inside. */
/* Makes the producer copy long messages past the caches, or not, whatever is the fastest here. */
static void copy_past(struct ipc_spsc_producer *p, int past)
{
    p->trials.way = past ? IPC_RING_PAST_ : IPC_RING_BY_LINES_;
    p->trials.left = UINT64_MAX / 2;
}

static void any_order_of_calls_agrees_with_a_queue(void **state)
{
    static const size_t sizes[] = {1, 8, 24, 56, 120, 256, 500};
    unsigned round, calls = 0, put_off = 0;

    (void)state;
    seed = 42;
    for (round = 0; round < 200; round++) {
        size_t bytes = sizes[chance(7)], size;
        uint64_t capacity = UINT64_C(1) << chance(8), sent = 0, seen = 0;
        struct ipc_spsc_producer p;
        struct ipc_spsc_consumer c;
        unsigned char m[64 * 500];
        void *mem = ring(bytes, capacity, starts[chance(STARTS)]), *slot;
        const void *peeked;
        unsigned step;

        size = ipc_spsc_footprint(bytes, capacity);
        both(mem, bytes, capacity, &p, &c);
        for (step = 0; step < 2000; step++, calls++) {
            /* With unpublished positions the ring may look fuller than it is, never emptier. */
            int full = sent - seen == capacity;
            uint64_t n, i, there = sent - p.put_off;
            int64_t did;
            int rc;

            switch (chance(11)) {
            case 0:
                fill(m, bytes, sent);
                rc = ipc_spsc_push(&p, m, bytes);
                assert_true(rc == 0 ? !full : rc == -EAGAIN);
                assert_int_equal(p.put_off, 0);
                sent += rc == 0;
                break;
            case 1:
                n = chance(64);
                for (i = 0; i < n; i++)
                    fill(m + i * bytes, bytes, sent + i);
                did = ipc_spsc_push_n(&p, m, bytes, n);
                assert_true(did == -EAGAIN || (did >= 0 && (uint64_t)did <= n));
                assert_true(n > 0 || did == 0);
                assert_true(p.put_off == 0 || n == 0);
                sent += did > 0 ? (uint64_t)did : 0;
                assert_true(sent - seen <= capacity);
                break;
            case 2:
                slot = ipc_spsc_claim(&p);
                assert_int_equal(p.put_off, 0);
                if (slot == NULL) {
                    assert_int_equal(ipc_spsc_commit(&p), -EINVAL);
                    break;
                }
                assert_false(full);
                assert_ptr_equal(ipc_spsc_claim(&p), slot);
                memset(slot, 0xee, bytes);
                if (chance(2)) {
                    ipc_spsc_cancel(&p);
                    break;
                }
                fill((unsigned char *)slot, bytes, sent);
                assert_int_equal(ipc_spsc_commit(&p), 0);
                sent++;
                break;
            case 3:
                rc = ipc_spsc_pop(&c, m, bytes);
                assert_int_equal(rc, there == seen ? -EAGAIN : 0);
                if (rc == 0)
                    assert_true(is_message(m, bytes, seen++));
                break;
            case 4:
                n = chance(64);
                did = ipc_spsc_pop_n(&c, m, bytes, n);
                n = n < there - seen ? n : there - seen;
                assert_true(did == (int64_t)n || (n == 0 && (did == -EAGAIN || did == 0)));
                for (i = 0; i < n; i++)
                    assert_true(is_message(m + i * bytes, bytes, seen++));
                break;
            case 5:
                peeked = ipc_spsc_peek(&c);
                assert_int_equal(peeked != NULL, there != seen);
                assert_ptr_equal(ipc_spsc_peek(&c), peeked);
                if (peeked == NULL) {
                    assert_int_equal(ipc_spsc_release(&c), -EINVAL);
                } else {
                    assert_true(is_message((const unsigned char *)peeked, bytes, seen));
                    assert_int_equal(ipc_spsc_release(&c), 0);
                    seen++;
                }
                break;
            case 6:
                assert_int_equal(ipc_spsc_consumer_was_size(&c), there - seen);
                assert_true(ipc_spsc_producer_was_size(&p) >= sent - seen);
                ipc_spsc_replay(&c, chance(300));
                break;
            case 7:
                ipc_spsc_producer_detach(&p);
                assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, bytes, NULL), 0);
                copy_past(&p, chance(2) == 0);
                break;
            case 8:
                fill(m, bytes, sent);
                rc = ipc_spsc_push_more(&p, m, bytes);
                assert_true(rc == 0 ? !full : rc == -EAGAIN);
                sent += rc == 0;
                put_off += p.put_off > 1;
                assert_true(p.put_off <= capacity / 4 + 1);
                if (chance(4) == 0)
                    copy_past(&p, chance(2) == 0);
                break;
            case 9:
                assert_int_equal(ipc_spsc_flush(&p), 0);
                assert_int_equal(p.put_off, 0);
                break;
            default:
                ipc_spsc_consumer_detach(&c); /* publishes: no message is seen again */
                assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, bytes, NULL), 0);
            }
        }
        ring_free(mem, bytes, capacity);
    }
    assert_true(put_off > 0 || !IPC_RING_IS_PUT_OFF_(500));
    print_message("note: %u calls\n", calls);
}

/* ------------------------------------------------------------------ peers that died */

static void a_new_producer_goes_on_behind_the_last_commit(void **state)
{
    const int dead = 0;
    uint64_t capacity, before, inside, points = 0;

    (void)state;
    for (capacity = 1; capacity <= 64; capacity *= 4)
        for (before = 0; before < 2 * capacity; before++)
            for (inside = 0; inside <= capacity; inside++) {
                struct ipc_peer a = peer(7, &dead), b = peer(8, &dead);
                struct ipc_spsc_producer p, q;
                struct ipc_spsc_consumer c;
                size_t size = ipc_spsc_footprint(8, capacity);
                void *mem = ring(8, capacity, starts[points++ % STARTS]), *half;
                uint64_t i, m;

                assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 8, &a), 0);
                assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, 8, &a), 0);
                for (i = 0; i < before; i++) {
                    assert_int_equal(ipc_spsc_push(&p, &i, 8), 0);
                    assert_int_equal(ipc_spsc_pop(&c, &m, 8), 0);
                    assert_int_equal(ipc_spsc_pop(&c, &m, 8), -EAGAIN); /* publishes */
                }
                for (; i < before + inside; i++)
                    assert_int_equal(ipc_spsc_push(&p, &i, 8), 0);
                half = ipc_spsc_claim(&p); /* killed in the middle of a message */
                if (half != NULL)
                    memset(half, 0xff, 8);
                assert_int_equal(ipc_spsc_producer_attach(&q, mem, size, 8, &b), 0);
                for (; i <= before + capacity && ipc_spsc_push(&q, &i, 8) == 0; i++)
                    ;
                assert_int_equal(i, before + capacity);
                for (i = before; i < before + capacity; i++) {
                    assert_int_equal(ipc_spsc_pop(&c, &m, 8), 0);
                    assert_int_equal(m, i);
                }
                assert_int_equal(ipc_spsc_pop(&c, &m, 8), -EAGAIN);
                ring_free(mem, 8, capacity);
            }
    print_message("note: %llu states\n", (unsigned long long)points);
}

static void what_is_put_off_is_lost_with_its_producer_and_nothing_else(void **state)
{
    const int dead = 0;
    struct ipc_peer a = peer(7, &dead), b = peer(8, &dead);
    struct ipc_spsc_producer p, q;
    struct ipc_spsc_consumer c;
    size_t size = ipc_spsc_footprint(500, 32);
    void *mem = ring(500, 32, 0);
    unsigned char m[500];
    unsigned i;

    (void)state;
    assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 500, &a), 0);
    assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, 500, &a), 0);
    copy_past(&p, 1);
    for (i = 0; i < 5; i++) {
        fill(m, 500, i);
        assert_int_equal(i < 2 ? ipc_spsc_push(&p, m, 500) : ipc_spsc_push_more(&p, m, 500), 0);
    }
    assert_int_equal(p.put_off, IPC_RING_IS_PUT_OFF_(500) ? 3 : 0);
    assert_int_equal(ipc_spsc_consumer_was_size(&c), 5 - p.put_off);
    assert_int_equal(ipc_spsc_producer_attach(&q, mem, size, 500, &b), 0);
    for (i = 5 - (unsigned)p.put_off; i < 32; i++) {
        fill(m, 500, i);
        assert_int_equal(ipc_spsc_push(&q, m, 500), 0);
    }
    for (i = 0; i < 32; i++) {
        assert_int_equal(ipc_spsc_pop(&c, m, 500), 0);
        assert_true(is_message(m, 500, i));
    }
    assert_int_equal(ipc_spsc_pop(&c, m, 500), -EAGAIN);
    ring_free(mem, 500, 32);
}

static void a_new_consumer_sees_again_at_most_what_was_agreed(void **state)
{
    static const uint64_t replays[] = {0, 1, 5, 31, 32, UINT64_MAX};
    const int dead = 0;
    const uint64_t capacity = 64;
    size_t size = ipc_spsc_footprint(8, capacity), k;

    (void)state;
    for (k = 0; k <= sizeof replays / sizeof replays[0]; k++) {
        uint64_t agreed = k == 6 ? 8 : replays[k] < 32 ? replays[k] : 32, taken;

        for (taken = 0; taken < 200; taken++) {
            struct ipc_peer a = peer(7, &dead), b = peer(8, &dead);
            struct ipc_spsc_producer p;
            struct ipc_spsc_consumer c, d;
            void *mem = ring(8, capacity, starts[taken % STARTS]);
            uint64_t sent = 0, m = 0, i;

            assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 8, &a), 0);
            assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, 8, &a), 0);
            if (k < 6)
                ipc_spsc_replay(&c, replays[k]);
            for (i = 0; i < taken; i++) {
                for (; ipc_spsc_push(&p, &sent, 8) == 0; sent++)
                    ;
                if (i % 2 == 0) {
                    assert_int_equal(ipc_spsc_pop(&c, &m, 8), 0);
                } else {
                    memcpy(&m, ipc_spsc_peek(&c), 8);
                    assert_int_equal(ipc_spsc_release(&c), 0);
                }
                assert_int_equal(m, i);
            }
            sent += ipc_spsc_push(&p, &sent, 8) == 0;
            /* It is killed here. */
            assert_int_equal(ipc_spsc_consumer_attach(&d, mem, size, 8, &b), 0);
            assert_int_equal(ipc_spsc_pop(&d, &m, 8), 0);
            assert_true(m <= taken && taken - m <= agreed);
            assert_true(agreed > 0 || m == taken);
            if (agreed > 0 && taken % 2 == 1)
                assert_true(m < taken); /* a pop was the last: its message was in hand */
            while (m + 1 < sent) {
                uint64_t next;

                assert_int_equal(ipc_spsc_pop(&d, &next, 8), 0);
                assert_int_equal(next, ++m);
            }
            ring_free(mem, 8, capacity);
        }
    }
}

/* A batch is in hand until the next call: none of it is lost, if as many may be seen again. */
static void a_killed_consumers_batch_is_seen_again(void **state)
{
    const int dead = 0;
    const uint64_t capacity = 64, replay = 16;
    size_t size = ipc_spsc_footprint(8, capacity), n;
    uint64_t messages[64], before;

    (void)state;
    for (n = 1; n <= 20; n++)
        for (before = 0; before < 100; before++) {
            struct ipc_peer a = peer(7, &dead), b = peer(8, &dead);
            struct ipc_spsc_producer p;
            struct ipc_spsc_consumer c, d;
            void *mem = ring(8, capacity, starts[before % STARTS]);
            uint64_t sent = 0, m, i;
            int64_t got;

            assert_int_equal(ipc_spsc_producer_attach(&p, mem, size, 8, &a), 0);
            assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, 8, &a), 0);
            ipc_spsc_replay(&c, replay);
            for (i = 0; i < before; i++, sent++) {
                assert_int_equal(ipc_spsc_push(&p, &sent, 8), 0);
                assert_int_equal(ipc_spsc_pop(&c, &m, 8), 0);
            }
            for (i = 0; i < 18 && ipc_spsc_push(&p, &sent, 8) == 0; i++, sent++)
                ;
            got = ipc_spsc_pop_n(&c, messages, 8, n);
            assert_int_equal(got, n < 18 ? n : 18);
            assert_int_equal(messages[0], before);
            /* It is killed here. */
            assert_int_equal(ipc_spsc_consumer_attach(&d, mem, size, 8, &b), 0);
            assert_int_equal(ipc_spsc_pop(&d, &m, 8), 0);
            assert_true(m < before + (uint64_t)got);
            if (n <= replay)
                assert_true(m <= before && before + (uint64_t)got - m <= replay);
            ring_free(mem, 8, capacity);
        }
}

/* A batch that empties the ring is in hand until the next call, which finds nothing and publishes
 * it. Later looks at the same slot have nothing to do, until a message is there. */
static void what_emptied_the_ring_is_published_by_the_next_look(void **state)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)ring(8, 8, 0);
    struct ipc_spsc_producer p;
    struct ipc_spsc_consumer c;
    uint64_t m[8] = {0}, i;

    (void)state;
    both(r, 8, 8, &p, &c);
    for (i = 0; i < 20; i++) {
        assert_int_equal(ipc_spsc_push_n(&p, m, 8, 1), 1);
        assert_int_equal(ipc_spsc_pop_n(&c, m, 8, 8), 1);
        assert_int_equal(r->head, i);
        assert_int_equal(ipc_spsc_pop(&c, m, 8), -EAGAIN);
        assert_int_equal(r->head, i + 1);
        assert_int_equal(ipc_spsc_pop(&c, m, 8), -EAGAIN);
    }
    ring_free(r, 8, 8);
}

/* Two processes are killed at random moments and started again; messages carry their position. */
struct arena {
    uint64_t produced, consumed; /* by the children, as far as they know */
    uint64_t wrong;
    int dead[4096]; /* by id, set once the parent has waited for it */
};

static int arena_alive(void *arg, uint64_t id)
{
    const struct arena *a = (const struct arena *)arg;

    return !ck_pr_load_int(&a->dead[id % 4096]);
}

struct bulk {
    uint64_t word[15];
};

IPC_SPSC(bulks, struct bulk)

static void produce_for_ever(void *mem, size_t size, struct ipc_peer *me, struct arena *a)
{
    struct bulks_producer p;
    struct bulk m;
    size_t i;

    if (bulks_producer_attach(&p, mem, size, me) != 0)
        _exit(1);
    for (;;) {
        for (i = 0; i < 15; i++)
            m.word[i] = p.raw.tail;
        if (bulks_push(&p, &m) == 0)
            ck_pr_store_64(&a->produced, p.raw.tail);
        else
            (void)sched_yield();
    }
}

static void consume_for_ever(void *mem, size_t size, struct ipc_peer *me, struct arena *a,
                             uint64_t replay)
{
    struct bulks_consumer c;
    struct bulk m;
    uint64_t expect = ck_pr_load_64(&a->consumed), first = 1;
    size_t i;

    if (bulks_consumer_attach(&c, mem, size, me) != 0)
        _exit(1);
    bulks_replay(&c, replay);
    for (;;) {
        if (bulks_pop(&c, &m) != 0) {
            (void)sched_yield();
            continue;
        }
        /* Its predecessor may have been killed with one message taken but not counted yet. */
        if (first ? m.word[0] + replay < expect || m.word[0] > expect + 1 : m.word[0] != expect)
            ck_pr_store_64(&a->wrong, 1 + m.word[0]);
        for (i = 0; i < 15; i++)
            if (m.word[i] != m.word[0])
                ck_pr_store_64(&a->wrong, 1 + m.word[0]);
        first = 0;
        expect = m.word[0] + 1;
        if (expect > ck_pr_load_64(&a->consumed))
            ck_pr_store_64(&a->consumed, expect);
    }
}

static pid_t start(int consumer, uint64_t id, void *mem, size_t size, struct arena *a,
                   uint64_t replay)
{
    pid_t parent = getpid(), pid = fork();
    struct ipc_peer me;

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    memset(&me, 0, sizeof me);
    me.id = id;
    me.alive = arena_alive;
    me.arg = a;
    if (consumer)
        consume_for_ever(mem, size, &me, a, replay);
    produce_for_ever(mem, size, &me, a);
    _exit(1);
}

static void killed_and_started_again_nothing_is_lost(void **state)
{
    static const uint64_t replays[] = {0, 16};
    size_t size = bulks_footprint(128), k;
    unsigned kills = 0;

    (void)state;
    seed = 7;
    for (k = 0; k < 2; k++) {
        void *mem = ring(sizeof(struct bulk), 128, 0);
        struct arena *a = (struct arena *)shared(sizeof *a);
        uint64_t id[2] = {1, 2}, next = 3, goal = 0;
        pid_t pid[2];
        int i, status;

        for (i = 0; i < 2; i++)
            pid[i] = start(i, id[i], mem, size, a, replays[k]);
        for (; next < 400; next++) {
            goal += chance(3000);
            while (ck_pr_load_64(&a->consumed) < goal && ck_pr_load_64(&a->wrong) == 0)
                (void)sched_yield();
            i = (int)chance(2);
            assert_int_equal(kill(pid[i], SIGKILL), 0);
            assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
            assert_true(WIFSIGNALED(status)); /* it did not exit by itself */
            ck_pr_store_int(&a->dead[id[i]], 1);
            id[i] = next;
            pid[i] = start(i, id[i], mem, size, a, replays[k]);
            kills++;
        }
        goal += 5000;
        while (ck_pr_load_64(&a->consumed) < goal && ck_pr_load_64(&a->wrong) == 0)
            (void)sched_yield();
        for (i = 0; i < 2; i++) {
            (void)kill(pid[i], SIGKILL);
            (void)waitpid(pid[i], &status, 0);
        }
        assert_int_equal(a->wrong, 0);
        (void)munmap(a, sizeof *a);
        ring_free(mem, sizeof(struct bulk), 128);
    }
    print_message("note: %u kills\n", kills);
}

/* ------------------------------------------------------------------ two processes */

static void processes_at_other_addresses_stream(void **state)
{
    static const size_t sizes[] = {1, 8, 56, 120, 1016};
    static const uint64_t capacities[] = {1, 2, 16, 1024};
    size_t i, k;

    (void)state;
    for (i = 0; i < 5; i++)
        for (k = 0; k < 4; k++) {
            size_t bytes = sizes[i], size = ipc_spsc_footprint(bytes, capacities[k]);
            uint64_t n, count = capacities[k] < 16 ? 20000 : 100000;
            void *mem = ring(bytes, capacities[k], starts[(i + k) % STARTS]);
            struct ipc_spsc_consumer c;
            unsigned char m[1016];
            int status;
            pid_t pid = fork();

            assert_true(pid >= 0);
            if (pid == 0) {
                struct ipc_spsc_producer p;
                void *other;

                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                other = mremap(mem, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                               (char *)mem - (64 << 20));
                if (other == MAP_FAILED ||
                    ipc_spsc_producer_attach(&p, other, size, bytes, NULL) != 0)
                    _exit(1);
                for (n = 0; n < count; n++) {
                    fill(m, bytes, n);
                    while (ipc_spsc_push(&p, m, bytes) == -EAGAIN)
                        (void)sched_yield();
                }
                _exit(0);
            }
            assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, bytes, NULL), 0);
            for (n = 0; n < count; n++) {
                int rc;

                while ((rc = ipc_spsc_pop(&c, m, bytes)) == -EAGAIN) {
                    if (waitpid(pid, &status, WNOHANG) == pid && status != 0)
                        fail_msg("the producer failed");
                    (void)sched_yield();
                }
                assert_int_equal(rc, 0);
                assert_true(is_message(m, bytes, n));
            }
            assert_int_equal(ipc_spsc_pop(&c, m, bytes), -EAGAIN);
            (void)waitpid(pid, &status, 0);
            ring_free(mem, bytes, capacities[k]);
        }
}

#ifdef __x86_64__ /* elsewhere there is one way to copy, the libc's */
/* By each way of copying that a producer tries, wherever the caller's message lies. */
static void long_messages_are_copied_exactly(void **state)
{
    static unsigned char from[IPC_RING_LONG_ + 512], to[sizeof from], want[sizeof from];
    unsigned way, at;
    size_t n, k;

    (void)state;
    fill(from, sizeof from, 1);
    for (way = 0; way < IPC_RING_WAYS_; way++)
        for (at = 0; at < 64; at++)
            for (n = IPC_RING_SHORT_, k = at; n < IPC_RING_LONG_ + 130; n += 13, k = (k + 5) % 64) {
                memset(to, 0x5a, sizeof to);
                memset(want, 0x5a, sizeof want);
                memcpy(want + 128 + at, from + k, n);
                ipc_ring_copy_way_(way, to + 128 + at, from + k, n);
                assert_memory_equal(to, want, sizeof to);
            }
}

/* One way costs little, the others take long, but for some copies, whose lines the producer still
 * has: within some trials it is found to be the best. (One trial may be interrupted.) If none is
 * better than by lines, lines it is. */
static void trials_find_the_best_way(void **state)
{
    unsigned best, trial, i;

    (void)state;
    for (best = 0; best < IPC_RING_WAYS_; best++) {
        struct ipc_ring_trials_ t;
        uint64_t then, tried = 0, copies = 0;

        ipc_ring_trials_begin_(&t, 1000);
        for (trial = 0; trial < 50 && (tried != 7 || t.phase > 0 || t.way != best); trial++) {
            for (t.left = 1; t.phase == 0;)
                ipc_ring_trials_note_(&t, 500, 0);
            while (t.phase > 0) {
                tried |= UINT64_C(1) << ipc_ring_trials_way_(&t, &then);
                for (i = t.way == best || ++copies % 4 == 0 ? 0 : 2000; i > 0; i--)
                    ck_pr_stall();
                ipc_ring_trials_note_(&t, 500, then);
            }
        }
        assert_true(trial < 50);
        assert_true(t.left > 500 * IPC_RING_TRIAL_AFTER_);
    }
}
#endif

static void long_messages_cross_whole(void **state)
{
    static const size_t sizes[] = {IPC_RING_LONG_, 20001, 65544};
    static const uint64_t capacities[] = {1, 4};
    static unsigned char message[65544 + 64], want[65544];
    size_t i, k;

    (void)state;
    for (i = 0; i < 3; i++)
        for (k = 0; k < 2; k++) {
            size_t bytes = sizes[i], size = ipc_spsc_footprint(bytes, capacities[k]);
            uint64_t n, count = 60 * capacities[k]; /* each way was tried */
            void *mem = ring(bytes, capacities[k], starts[i]);
            struct ipc_spsc_consumer c;
            int status;
            pid_t pid = fork();

            assert_true(pid >= 0);
            if (pid == 0) {
                struct ipc_spsc_producer p;

                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (ipc_spsc_producer_attach(&p, mem, size, bytes, NULL) != 0)
                    _exit(1);
                fill(want, bytes, 0);
                for (n = 0; n < count; n++) {
                    unsigned char *m = message + n % 64;

                    memcpy(m, want, bytes);
                    memset(m + n % (bytes - 8), (int)n, 8);
                    while (ipc_spsc_push(&p, m, bytes) == -EAGAIN)
                        ck_pr_stall();
                }
                _exit(0);
            }
            assert_int_equal(ipc_spsc_consumer_attach(&c, mem, size, bytes, NULL), 0);
            fill(want, bytes, 0);
            for (n = 0; n < count; n++) {
                unsigned char *m = message + n * 7 % 64, was[8];
                size_t at = n % (bytes - 8);

                while (ipc_spsc_pop(&c, m, bytes) == -EAGAIN)
                    if (waitpid(pid, &status, WNOHANG) == pid && status != 0)
                        fail_msg("the producer failed");
                memcpy(was, want + at, 8);
                memset(want + at, (int)n, 8);
                assert_memory_equal(m, want, bytes);
                memcpy(want + at, was, 8);
            }
            (void)waitpid(pid, &status, 0);
            ring_free(mem, bytes, capacities[k]);
        }
}

/* ------------------------------------------------------------------ layout */

struct wide {
    uint64_t n[5];
};
IPC_SPSC(slots, uint64_t)
IPC_SPSC(slots_wide, struct wide)
IPC_MPMC(many, uint64_t)
IPC_MPMC(many_wide, struct wide)
IPC_BROADCAST(cast, struct wide)
IPC_RECORDS(lanes)
IPC_RECORD_BROADCAST(tape)
#ifdef __x86_64__
IPC_STREAM(bytes, uint64_t)
#endif
IPC_CALL(calls, uint64_t, uint64_t)

static const struct wide sent = {{0x0102030405060708, 9, 10, 11, 12}};

/* Is that the sum over all bytes of a ring? Unmaps it. */
static int sums_to(const char *name, void *mem, size_t size, uint64_t expected)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    size_t i;

    for (i = 0; i < size; i++)
        sum = (sum ^ ((unsigned char *)mem)[i]) * UINT64_C(0x100000001b3);
    (void)munmap(mem, size);
    if (sum == expected)
        return 1;
    print_error("%s: 0x%016llx. What is in memory has changed: see IPC_RING_LAYOUT in ABI.md\n", name,
                (unsigned long long)sum);
    return 0;
}

/* Makes a ring and sends one message, without a process's id, so that each byte is known. */
#define SUM(NAME, PRODUCER, INIT, SEND, EXPECTED)                                                  \
    do {                                                                                           \
        struct NAME##_##PRODUCER p;                                                                \
        size_t size = 16384;                                                                       \
        void *mem = shared(size);                                                                  \
        assert_int_equal(NAME##_init INIT, 0);                                                     \
        assert_int_equal(NAME##_##PRODUCER##_attach(&p, mem, size, NULL), 0);                      \
        assert_int_equal(SEND, 0);                                                                 \
        same &= sums_to(#NAME, mem, size, UINT64_C(EXPECTED));                                     \
    } while (0)

/* Two programs of one IPC_RING_LAYOUT find the same bytes in a ring. */
static void the_layout_is_that_of_its_number(void **state)
{
    int same = 1;

    (void)state;
    if (IPC_RING_ORDER != *(const uint32_t *)"\4\3\2\1") /* the sums are those of low bytes first */
        skip();
    assert_int_equal(IPC_RING_LAYOUT, 5);
    SUM(slots, producer, (mem, size, 4), slots_push(&p, sent.n), 0x931b4e2e0a7fcd9e);
    SUM(slots_wide, producer, (mem, size, 4), slots_wide_push(&p, &sent), 0x35d765f88eababfa);
    SUM(many, producer, (mem, size, 4, 0), many_push(&p, sent.n), 0x0b9676d7f428a9ec);
    SUM(many_wide, producer, (mem, size, 4, 0), many_wide_push(&p, &sent), 0x21931a5ac038a808);
    SUM(cast, producer, (mem, size, 4, IPC_BROADCAST_LOSSY), cast_push(&p, &sent), 0x26b3ac845cca26b0);
    SUM(lanes, producer, (mem, size, 256, 2), lanes_push(&p, &sent, sizeof sent), 0xfe84fd355412914e);
    SUM(tape, producer, (mem, size, 256, IPC_BROADCAST_LOSSLESS), tape_push(&p, &sent, sizeof sent), 0x1003d6807acaf7eb);
#ifdef __x86_64__ /* where a stream's elements begin depends on the largest page */
    SUM(bytes, producer, (mem, size, 8), bytes_push_all(&p, sent.n, 5), 0x2cbff06f6dd4a8c0);
#endif
    SUM(calls, client, (mem, size, 4), calls_ask(&p, sent.n), 0x99a3ecbb54362d3e);
    assert_true(same);
}

/* ------------------------------------------------------------------ hostile memory */

static void results_have_words(void **state)
{
    static const int own[] = {-EAGAIN,   -ETIMEDOUT, -EINTR, -EPIPE,  -EOWNERDEAD, -EOVERFLOW,
                              -EMSGSIZE, -EBADMSG,   -EBUSY, -ECHILD, -EPROTO,
                              -EROFS,    -EUSERS};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof own / sizeof *own; i++) {
        assert_true(strlen(ipc_strerror(own[i])) > 0);
        assert_string_not_equal(ipc_strerror(own[i]), strerror(-own[i]));
    }
    assert_string_equal(ipc_strerror(-ENOSPC), strerror(ENOSPC));
    assert_string_equal(ipc_strerror(0), "no error");
    assert_string_equal(ipc_strerror(7), "no error");
    assert_non_null(ipc_strerror(INT32_MIN));
}

static void a_corrupt_position_stops_the_producer_for_good(void **state)
{
    static const uint64_t heads[] = {5, 1, UINT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 4};
    size_t i;

    (void)state;
    for (i = 0; i < 5; i++) {
        struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)ring(8, 4, 0);
        struct ipc_spsc_producer p;
        struct ipc_spsc_consumer c;
        uint64_t m = 0;

        both(r, 8, 4, &p, &c);
        while (ipc_spsc_push(&p, &m, 8) == 0)
            m++;
        r->head = heads[i];
        if (heads[i] == 1) { /* plausible: one was consumed */
            assert_int_equal(ipc_spsc_push(&p, &m, 8), 0);
        } else {
            assert_int_equal(ipc_spsc_push(&p, &m, 8), -EBADMSG);
            r->head = 4;
            assert_int_equal(ipc_spsc_push(&p, &m, 8), -EBADMSG);
            assert_null(ipc_spsc_claim(&p));
            assert_int_equal(ipc_spsc_producer_error(&p), -EBADMSG);
            assert_int_equal(ipc_spsc_push_n(&p, &m, 8, 1), -EBADMSG);
        }
        ring_free(r, 8, 4);
    }
}

static void a_corrupt_sequence_stops_the_consumer_for_good(void **state)
{
    static const uint64_t sequences[] = {2, 5, UINT64_MAX, 1000, UINT64_MAX - 4};
    size_t i;

    (void)state;
    for (i = 0; i < 5; i++) {
        struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)ring(8, 4, 0);
        struct ipc_spsc_producer p;
        struct ipc_spsc_consumer c;
        uint64_t m = 0;

        both(r, 8, 4, &p, &c);
        assert_int_equal(ipc_spsc_pop(&c, &m, 8), -EAGAIN);
        memcpy((char *)(r + 1) + 8, &sequences[i], 8);
        assert_int_equal(ipc_spsc_pop(&c, &m, 8), -EBADMSG);
        memset((char *)(r + 1) + 8, 0, 8);
        assert_int_equal(ipc_spsc_pop(&c, &m, 8), -EBADMSG);
        assert_null(ipc_spsc_peek(&c));
        assert_int_equal(ipc_spsc_consumer_error(&c), -EBADMSG);
        assert_int_equal(ipc_spsc_pop_n(&c, &m, 8, 1), -EBADMSG);
        ring_free(r, 8, 4);
    }
}

/* A peer scribbles over everything between any two calls. The calls must return, and memory beside
 * the ring (canaries; AddressSanitizer sees the handles) must stay untouched. */
static void scribbling_gives_no_access_outside(void **state)
{
    static const size_t sizes[] = {1, 8, 56, 120};
    unsigned round, refused = 0, broken = 0;

    (void)state;
    seed = 99;
    for (round = 0; round < 20000; round++) {
        size_t bytes = sizes[chance(4)];
        uint64_t capacity = UINT64_C(1) << chance(5);
        size_t size = ipc_spsc_footprint(bytes, capacity), i;
        static unsigned char area[64 + sizeof(struct ipc_spsc_shared) + 128 * 16 + 64]
            __attribute__((aligned(64)));
        unsigned char *mem = area + 64, m[120 * 4];
        struct ipc_spsc_producer p;
        struct ipc_spsc_consumer c;
        unsigned step;

        memset(area, 0xcc, sizeof area);
        assert_int_equal(ipc_spsc_init(mem, size, bytes, capacity), 0);
        if (chance(4) == 0)
            mem[chance(72)] ^= (unsigned char)(1u << chance(8)); /* the geometry, before attach */
        refused += ipc_spsc_producer_attach(&p, mem, size, bytes, NULL) != 0;
        refused += ipc_spsc_consumer_attach(&c, mem, size, bytes, NULL) != 0;
        memset(m, 1, sizeof m);
        for (step = 0; step < 20; step++) {
            uint64_t word = chance(2) ? chance(64) : chance(UINT64_MAX);

            memcpy(mem + 8 * chance(size / 8), &word, 8);
            switch (chance(6)) {
            case 0:
                (void)ipc_spsc_push(&p, m, bytes);
                break;
            case 1:
                (void)ipc_spsc_push_n(&p, m, bytes, 4);
                break;
            case 2:
                (void)ipc_spsc_pop(&c, m, bytes);
                break;
            case 3:
                (void)ipc_spsc_pop_n(&c, m, bytes, 4);
                break;
            case 4:
                if (ipc_spsc_peek(&c) != NULL)
                    (void)ipc_spsc_release(&c);
                break;
            default:
                assert_true(ipc_spsc_producer_was_size(&p) <= capacity);
                assert_true(ipc_spsc_consumer_was_size(&c) <= capacity);
            }
        }
        broken += ipc_spsc_producer_error(&p) == -EBADMSG;
        broken += ipc_spsc_consumer_error(&c) == -EBADMSG;
        for (i = 0; i < 64; i++)
            assert_true(area[i] == 0xcc && mem[size + i] == 0xcc);
    }
    print_message("note: %u refused, %u found corrupt\n", refused, broken);
    assert_true(refused > 100 && broken > 100);
}

/* ------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_fill_lines_and_never_straddle_one),
        cmocka_unit_test(a_handle_shares_no_line_with_what_stands_beside_it),
        cmocka_unit_test(impossible_geometry_is_refused),
        cmocka_unit_test(attach_names_what_does_not_match),
        cmocka_unit_test(attach_checks_its_arguments),
        cmocka_unit_test(an_end_has_one_holder_until_it_is_proven_dead),
        cmocka_unit_test(a_holder_without_a_peer_is_never_replaced),
        cmocka_unit_test(every_size_and_capacity_keeps_every_byte),
        cmocka_unit_test(any_order_of_calls_agrees_with_a_queue),
        cmocka_unit_test(a_new_producer_goes_on_behind_the_last_commit),
        cmocka_unit_test(what_is_put_off_is_lost_with_its_producer_and_nothing_else),
        cmocka_unit_test(a_new_consumer_sees_again_at_most_what_was_agreed),
        cmocka_unit_test(a_killed_consumers_batch_is_seen_again),
        cmocka_unit_test(what_emptied_the_ring_is_published_by_the_next_look),
        cmocka_unit_test(killed_and_started_again_nothing_is_lost),
        cmocka_unit_test(processes_at_other_addresses_stream),
#ifdef __x86_64__
        cmocka_unit_test(long_messages_are_copied_exactly),
        cmocka_unit_test(trials_find_the_best_way),
#endif
        cmocka_unit_test(long_messages_cross_whole),
        cmocka_unit_test(the_layout_is_that_of_its_number),
        cmocka_unit_test(results_have_words),
        cmocka_unit_test(a_corrupt_position_stops_the_producer_for_good),
        cmocka_unit_test(a_corrupt_sequence_stops_the_consumer_for_good),
        cmocka_unit_test(scribbling_gives_no_access_outside),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* with * and ? */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
