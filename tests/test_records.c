/*
 * Records: random calls against a queue, exact fits at every offset, edges, several producers,
 * successors, hostile memory, and processes that wait, end, and are killed at random. What is in a
 * record follows from a number and its length: so each can be checked wherever it comes out.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#define LONG_MS 10000 /* never reached by what works */
#define HANG_S 120
#include "harness.h"

static uint64_t seed = 88172645463325252u;

static uint64_t chance(uint64_t below)
{
    seed ^= seed << 13; /* xorshift: G. Marsaglia, 2003 */
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

enum { LONGEST = 1 << 16 };

static void fill(void *to, uint64_t number, size_t n)
{
    unsigned char *t = (unsigned char *)to;
    size_t i;

    for (i = 0; i < n; i++)
        t[i] = (unsigned char)(i < 8 ? number >> 8 * i : i + number);
}

static void check(const void *at, uint64_t number, size_t n)
{
    static unsigned char good[LONGEST];

    fill(good, number, n);
    MUST(memcmp(at, good, n) == 0);
}

/* Memory for a ring with guards on both sides, so that it ends where the second begins. */
static unsigned char *guarded(size_t size)
{
    size_t room = (size + 4095) & ~(size_t)4095;
    unsigned char *map = (unsigned char *)mmap(NULL, room + 8192, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    MUST((void *)map != MAP_FAILED && size % 64 == 0);
    MUST(mprotect(map, 4096, PROT_NONE) == 0);
    MUST(mprotect(map + 4096 + room, 4096, PROT_NONE) == 0);
    return map + 4096 + (room - size);
}

static void unguard(unsigned char *mem, size_t size)
{
    size_t room = (size + 4095) & ~(size_t)4095;

    MUST(munmap(mem - (room - size) - 4096, room + 8192) == 0);
}

static struct ipc_record_lane_ *lane_of(unsigned char *mem, unsigned i)
{
    return (struct ipc_record_lane_ *)(void *)(mem + sizeof(struct ipc_record_shared)) + i;
}

/* ------------------------------------------------------------------ against a queue */

enum { PRODUCERS = 3, PENDING = 4096 };

static struct {
    uint64_t first, next; /* numbers: sent, and not yet received */
    size_t n[PENDING];
} queue[PRODUCERS];

static void sent(unsigned i, size_t n)
{
    queue[i].n[queue[i].next++ % PENDING] = n;
}

/* One random call of producer i. */
static void feed(struct ipc_record_producer *p, unsigned i)
{
    static unsigned char buffer[4][LONGEST];
    size_t most = ipc_record_most(p), n = (size_t)chance(chance(4) == 0 ? most + 2 : most / 8 + 2),
           k, m;
    struct ipc_record some[4];
    int64_t rc;
    void *at;

    switch (chance(4)) {
    case 0:
    case 1:
        fill(buffer[0], queue[i].next, n);
        rc = ipc_record_push(p, buffer[0], n);
        MUST(rc == 0 || rc == (n > most ? -EMSGSIZE : -EAGAIN));
        if (rc == 0)
            sent(i, n);
        return;
    case 2:
        at = ipc_record_claim(p, n);
        if (at == NULL)
            return;
        MUST(n <= most && (uintptr_t)at % 8 == 0);
        IS(ipc_record_commit(p, n + 1), -EINVAL);
        memset(at, 0xff, n);
        if (chance(4) == 0) {
            ipc_record_cancel(p);
            IS(ipc_record_commit(p, 0), -EINVAL);
            return;
        }
        m = (size_t)chance(n + 1);
        fill(at, queue[i].next, m);
        IS(ipc_record_commit(p, m), 0);
        IS(ipc_record_commit(p, 0), -EINVAL);
        sent(i, m);
        return;
    default:
        for (k = 0; k < 4; k++) {
            some[k].n = (size_t)chance(most / 8 + 1);
            some[k].at = buffer[k];
            fill(buffer[k], queue[i].next + k, some[k].n);
        }
        rc = ipc_record_push_n(p, some, 4);
        MUST((rc > 0 && rc <= 4) || rc == -EAGAIN);
        for (k = 0; rc > 0 && k < (size_t)rc; k++)
            sent(i, some[k].n);
    }
}

/* A record came out: it is the next of one of the producers, which its number and length tell; of
 * a short one, the producer is that of the lane. */
static void received(const struct ipc_record_consumer *c, const void *at, size_t n, unsigned i)
{
    (void)c;
    MUST(queue[i].first < queue[i].next);
    IS(n, queue[i].n[queue[i].first % PENDING]);
    check(at, queue[i].first, n);
    queue[i].first++;
}

static void drain(struct ipc_record_consumer *c)
{
    static unsigned char buffer[LONGEST];
    const void *at;
    unsigned lane;
    int64_t rc;
    size_t n;

    at = ipc_record_peek(c, &n);
    if (at == NULL) {
        unsigned i;

        IS(ipc_record_consumer_error(c), 0);
        IS(ipc_record_release(c), -EINVAL);
        IS(ipc_record_pop(c, buffer, sizeof buffer), -EAGAIN);
        for (i = 0; i < c->producers; i++)
            IS(queue[i].next - queue[i].first, 0);
        return;
    }
    MUST((uintptr_t)at % 8 == 0);
    lane = (unsigned)(c->lane - c->lanes);
    if (chance(2)) {
        received(c, at, n, lane);
        IS(ipc_record_release(c), 0);
        IS(ipc_record_release(c), -EINVAL);
        return;
    }
    if (n > 0)
        IS(ipc_record_pop(c, buffer, n - 1), -EMSGSIZE);
    rc = ipc_record_pop(c, buffer, n);
    IS(rc, n);
    received(c, buffer, n, lane);
}

static void every_call(uint64_t capacity, unsigned producers, uint64_t from)
{
    size_t size = ipc_record_footprint(capacity, producers);
    unsigned char *mem = guarded(size);
    struct ipc_record_producer p[PRODUCERS];
    struct ipc_record_consumer c;
    unsigned i, k;

    memset(queue, 0, sizeof queue);
    IS(ipc_record_init(mem, size - 1, capacity, producers), -ENOSPC);
    IS(ipc_record_init(mem, size, capacity, producers), 0);
    for (k = 0; k < producers; k++) {
        lane_of(mem, k)->head = from;
        IS(ipc_record_produce(&p[k], mem, size, NULL), 0);
    }
    IS(ipc_record_consume(&c, mem, size, NULL), 0);
    for (i = 0; i < 3000; i++) {
        for (k = 0; k < producers; k++)
            if (chance(3))
                feed(&p[k], k);
        for (k = (unsigned)chance(3 * producers + 1); k > 0; k--)
            drain(&c);
        if (i % 100 == 99) { /* who comes next goes on */
            k = (unsigned)chance(producers);
            ipc_record_producer_detach(&p[k]);
            ipc_record_consumer_detach(&c);
            IS(ipc_record_produce(&p[k], mem, size, NULL), 0);
            IS(ipc_record_consume(&c, mem, size, NULL), 0);
        }
    }
    unguard(mem, size);
}

static void what_goes_in_comes_out_in_its_order(void **state)
{
    static const uint64_t from[] = {0, (UINT64_C(1) << 32) - 8, (UINT64_C(1) << 63) - 24,
                                    UINT64_MAX - 39};
    uint64_t capacity;
    unsigned producers;
    size_t k;

    (void)state;
    for (capacity = 64; capacity <= 8192; capacity *= 2)
        for (producers = 1; producers <= PRODUCERS; producers += 2)
            for (k = 0; k < 4; k++)
                every_call(capacity, producers, from[k]);
}

/* Every length at every offset, into an empty ring: it fits, also where that ends exactly at the
 * end of the memory, or its word alone does. */
static void the_longest_record_fits_at_every_offset(void **state)
{
    enum { CAPACITY = 256, MOST = CAPACITY / 2 - 8 };
    size_t size = ipc_record_footprint(CAPACITY, 1), at, n, k, was = 0;
    unsigned char *mem = guarded(size), buffer[MOST + 1];
    struct ipc_record_producer p;
    struct ipc_record_consumer c;

    (void)state;
    for (at = 0; at < CAPACITY; at += 8)
        for (n = 0; n <= MOST; n++) {
            IS(ipc_record_init(mem, size, CAPACITY, 1), 0);
            memset(mem + sizeof(struct ipc_record_shared) + sizeof(struct ipc_record_lane_), 0xff,
                   CAPACITY);
            lane_of(mem, 0)->head = at;
            memset(mem + size - CAPACITY + at, 0, 8);
            IS(ipc_record_produce(&p, mem, size, NULL), 0);
            IS(ipc_record_consume(&c, mem, size, NULL), 0);
            IS(ipc_record_most(&p), MOST);
            for (k = 0; k < 3; k++) {
                fill(buffer, k, n);
                IS(ipc_record_push(&p, buffer, MOST + 1), -EMSGSIZE);
                IS(ipc_record_push(&p, buffer, n), 0);
                IS(ipc_record_pop(&c, buffer, sizeof buffer), n);
                check(buffer, k, n);
                IS(ipc_record_pop(&c, buffer, sizeof buffer), -EAGAIN);
            }
            /* Full is full, and all of it comes out again. */
            for (k = 0; ipc_record_push(&p, buffer, n) == 0; k++)
                was = (size_t)ipc_record_was_size(&p);
            MUST(k > 0 && was <= CAPACITY - 8);
            IS(ipc_record_push(&p, buffer, n), -EAGAIN);
            MUST(ipc_record_claim(&p, n) == NULL);
            for (; k > 0; k--)
                IS(ipc_record_pop(&c, buffer, sizeof buffer), n);
            IS(ipc_record_pop(&c, buffer, sizeof buffer), -EAGAIN);
            IS(ipc_record_was_size(&p), 0);
        }
    unguard(mem, size);
}

/* A claim that goes to the beginning of the memory stays there, however little of it is sent. */
static void claims_stay_where_they_are(void **state)
{
    size_t size = ipc_record_footprint(256, 1), n;
    unsigned char *mem = guarded(size), buffer[256];
    struct ipc_record_producer p;
    struct ipc_record_consumer c;
    void *at;

    (void)state;
    IS(ipc_record_init(mem, size, 256, 1), 0);
    IS(ipc_record_produce(&p, mem, size, NULL), 0);
    IS(ipc_record_consume(&c, mem, size, NULL), 0);
    IS(ipc_record_push(&p, buffer, 112), 0);
    IS(ipc_record_push(&p, buffer, 40), 0);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), 112);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), 40);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), -EAGAIN);
    at = ipc_record_claim(&p, 104);
    MUST((unsigned char *)at == mem + size - 256 + 8);
    IS(ipc_record_commit(&p, 105), -EINVAL);
    fill(at, 7, 3);
    IS(ipc_record_commit(&p, 3), 0);
    at = ipc_record_claim(&p, 50); /* an empty claim, and a push instead of it */
    MUST((unsigned char *)at == mem + size - 256 + 24);
    fill(buffer, 8, 9);
    IS(ipc_record_push(&p, buffer, 9), 0);
    IS(ipc_record_commit(&p, 0), -EINVAL);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), 3);
    check(buffer, 7, 3);
    MUST(ipc_record_peek(&c, &n) == ipc_record_peek(&c, &n));
    IS(n, 9);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), 9);
    check(buffer, 8, 9);
    unguard(mem, size);
}

static void batches_are_whole_records(void **state)
{
    size_t size = ipc_record_footprint(1024, 1);
    unsigned char *mem = guarded(size), buffer[64], in[64];
    struct ipc_record out[5], got[5];
    struct ipc_record_producer p;
    struct ipc_record_consumer c;
    size_t i;

    (void)state;
    IS(ipc_record_init(mem, size, 1024, 1), 0);
    IS(ipc_record_produce(&p, mem, size, NULL), 0);
    IS(ipc_record_consume(&c, mem, size, NULL), 0);
    fill(buffer, 1, sizeof buffer);
    for (i = 0; i < 5; i++) {
        out[i].at = buffer;
        out[i].n = i == 2 ? 0 : 11 + i;
    }
    IS(ipc_record_pop_n(&c, in, sizeof in, got, 5), -EAGAIN);
    IS(ipc_record_push_n(&p, out, 0), 0);
    IS(ipc_record_push_n(&p, out, 5), 5);
    IS(ipc_record_pop_n(&c, in, sizeof in, got, 0), 0);
    IS(ipc_record_pop_n(&c, in, 10, got, 5), -EMSGSIZE);
    IS(ipc_record_pop_n(&c, in, 46, got, 5), 4); /* 16 + 16 + 0 + 14 */
    for (i = 0; i < 4; i++) {
        IS(got[i].n, out[i].n);
        IS((uintptr_t)got[i].at - (uintptr_t)in, i < 3 ? i * 16 : 32);
        MUST(memcmp(got[i].at, buffer, got[i].n) == 0);
    }
    IS(ipc_record_pop_n(&c, in, sizeof in, got, 5), 1);
    IS(got[0].n, 15);
    IS(ipc_record_push(&p, NULL, 0), 0);
    IS(ipc_record_pop(&c, NULL, 0), 0);
    unguard(mem, size);
}

static void edges_have_names(void **state)
{
    size_t size = ipc_record_footprint(64, 2);
    unsigned char *mem = guarded(size), x[24] = {0};
    struct ipc_record_producer p, q, third;
    struct ipc_record_consumer c, d;
    struct ipc_peer me;
    volatile size_t huge = SIZE_MAX; /* that the compiler does not see */
    size_t n;

    (void)state;
    memset(&me, 0, sizeof me);
    IS(ipc_record_footprint(0, 1), 0);
    IS(ipc_record_footprint(32, 1), 0);
    IS(ipc_record_footprint(65, 1), 0);
    IS(ipc_record_footprint(64, 0), 0);
    IS(ipc_record_footprint(64, 65), 0);
    MUST(ipc_record_footprint(64, 64) != 0);
    IS(ipc_record_footprint(UINT64_C(1) << 60, 64), 0);
    IS(ipc_record_produce(&p, mem, size, NULL), -EAGAIN);
    IS(ipc_record_push(&p, x, 8), -EAGAIN);
    IS(ipc_record_init(mem, size, 63, 2), -EINVAL);
    IS(ipc_record_init(mem, size, 64, 0), -EINVAL);
    IS(ipc_record_init(NULL, size, 64, 2), -EINVAL);
    IS(ipc_record_init(mem, size, 64, 2), 0);
    IS(ipc_record_produce(&p, mem, size, &me), -EINVAL);
    IS(ipc_record_produce(&p, mem + 1, size, NULL), -EINVAL);
    IS(ipc_record_produce(&p, mem, size - 1, NULL), -EPROTO);
    IS(ipc_record_consume(&c, mem, size - 1, NULL), -EPROTO);
    IS(ipc_record_pop(&c, x, 8), -EPROTO);
    MUST(ipc_record_peek(&c, &n) == NULL);
    IS(ipc_record_push(&p, x, 8), -EPROTO);
    MUST(ipc_record_claim(&p, 0) == NULL);
    IS(ipc_record_commit(&p, 0), -EINVAL);
    IS(ipc_record_produce(&p, mem, size, NULL), 0);
    IS(ipc_record_produce(&q, mem, size, NULL), 0);
    me.id = 7;
    IS(ipc_record_produce(&third, mem, size, &me), -EBUSY);
    MUST(strstr(me.why, "taken") != NULL);
    IS(ipc_record_consume(&c, mem, size, NULL), 0);
    IS(ipc_record_consume(&d, mem, size, NULL), -EBUSY);
    IS(ipc_record_push(&p, x, 25), -EMSGSIZE);
    IS(ipc_record_push(&p, x, huge), -EMSGSIZE);
    IS(ipc_record_push(&p, x, 24), 0);
    IS(ipc_record_push(&p, x, 24), -EAGAIN); /* 2 * 32 and the word after */
    IS(ipc_record_push(&p, x, 16), 0);
    IS(ipc_record_push(&p, x, 0), -EAGAIN);
    IS(ipc_record_push(&q, x, 24), 0); /* who has a lane of its own */
    ipc_record_producer_detach(&p);
    ipc_record_producer_detach(&p);
    IS(ipc_record_push(&p, x, 8), -EINVAL);
    IS(ipc_record_produce(&third, mem, size, &me), 0); /* behind what is there */
    IS(ipc_record_push(&third, x, 0), -EAGAIN);
    IS(ipc_record_pop(&c, x, sizeof x), 24);
    IS(ipc_record_pop(&c, x, sizeof x), 24); /* after an eighth it is the other's turn */
    IS(ipc_record_pop(&c, x, sizeof x), 16);
    IS(ipc_record_pop(&c, x, sizeof x), -EAGAIN);
    ipc_record_consumer_detach(&c);
    IS(ipc_record_pop(&c, x, 8), -EINVAL);
    IS(ipc_record_release(&c), -EINVAL);
    unguard(mem, size);
}

/* ------------------------------------------------------------------ successors */

static int dead(void *arg, uint64_t id)
{
    return id != *(const uint64_t *)arg;
}

static void a_new_consumer_sees_little_again(void **state)
{
    static const uint64_t replays[] = {0, 24, 100, 128, 1000};
    size_t size = ipc_record_footprint(1024, 1), k, n, i;
    unsigned char *mem = guarded(size), x[16];
    uint64_t gone = 5;

    (void)state;
    for (k = 0; k < 5; k++)
        for (n = 1; n < 100; n++) {
            struct ipc_record_producer p;
            struct ipc_record_consumer c;
            struct ipc_peer me;
            uint64_t again = replays[k] < 128 ? replays[k] : 128, first;

            memset(&me, 0, sizeof me);
            me.alive = dead;
            me.arg = &gone;
            me.id = gone;
            IS(ipc_record_init(mem, size, 1024, 1), 0);
            IS(ipc_record_produce(&p, mem, size, NULL), 0);
            IS(ipc_record_consume(&c, mem, size, &me), 0);
            ipc_record_replay(&c, replays[k]);
            for (i = 0; i < n; i++) {
                if (i % 30 == 0)
                    while (ipc_record_push(&p, x, 16) == 0)
                        ;
                IS(ipc_record_pop(&c, x, sizeof x), 16);
            }
            first = c.head;
            me.id = 6; /* it was killed */
            IS(ipc_record_consume(&c, mem, size, &me), 0);
            MUST(c.head <= first && c.head + again >= first);
            while (c.head < first)
                IS(ipc_record_pop(&c, x, sizeof x), 16);
            IS(c.head, first);
        }
    unguard(mem, size);
}

/* A producer that ends in the middle, wherever: the one behind it goes on there, and the record was
 * never sent. */
static void a_half_written_record_was_never_there(void **state)
{
    size_t size = ipc_record_footprint(256, 1), at, n, m;
    unsigned char *mem = guarded(size), x[120];
    uint64_t gone = 5;

    (void)state;
    for (at = 0; at < 256; at += 8)
        for (n = 0; n <= 120; n += 7)
            for (m = 0; m <= 120; m += 11) {
                struct ipc_record_producer p;
                struct ipc_record_consumer c;
                struct ipc_peer me;
                void *half;

                memset(&me, 0, sizeof me);
                me.alive = dead;
                me.arg = &gone;
                me.id = gone;
                IS(ipc_record_init(mem, size, 256, 1), 0);
                lane_of(mem, 0)->head = at;
                IS(ipc_record_produce(&p, mem, size, &me), 0);
                IS(ipc_record_consume(&c, mem, size, NULL), 0);
                half = ipc_record_claim(&p, n);
                memset(half, 0xff, n);
                me.id = 6;
                IS(ipc_record_produce(&p, mem, size, &me), 0);
                IS(ipc_record_pop(&c, x, sizeof x), -EAGAIN);
                fill(x, 9, m);
                IS(ipc_record_push(&p, x, m), 0);
                memset(x, 0, sizeof x);
                IS(ipc_record_pop(&c, x, sizeof x), m);
                check(x, 9, m);
            }
    unguard(mem, size);
}

/* ------------------------------------------------------------------ hostile memory */

static void scribbling_hangs_and_crashes_nobody(void **state)
{
    enum { CAPACITY = 256, LANES = 2 };
    size_t size = ipc_record_footprint(CAPACITY, LANES), n;
    unsigned char *mem = guarded(size), x[256] = {0};
    struct ipc_record_shared *s = (struct ipc_record_shared *)(void *)mem;
    unsigned i, k, bad = 0, refused = 0;

    (void)state;
    for (i = 0; i < 50000; i++) {
        struct ipc_record_producer p[LANES];
        struct ipc_record_consumer c;
        uint64_t *word = (uint64_t *)(void *)(mem + size - CAPACITY * LANES);
        uint64_t evil = chance(4) == 0 ? chance(2048) : chance(UINT64_MAX);

        IS(ipc_record_init(mem, size, CAPACITY, LANES), 0);
        for (k = 0; k < LANES; k++)
            IS(ipc_record_produce(&p[k], mem, size, NULL), 0);
        IS(ipc_record_consume(&c, mem, size, NULL), 0);
        for (k = 0; k < 40; k++) {
            if (chance(4))
                (void)ipc_record_push(&p[chance(LANES)], x, (size_t)chance(121));
            if (chance(3) == 0) {
                void *at = ipc_record_claim(&p[0], n = (size_t)chance(121));

                if (at != NULL)
                    memset(at, (int)chance(256), n);
            }
            if (chance(3))
                (void)ipc_record_pop(&c, x, sizeof x);
            else if (ipc_record_peek(&c, &n) != NULL)
                (void)ipc_record_release(&c);
            switch (chance(5)) {
            case 0:
                word[chance(CAPACITY * LANES / 8)] = evil;
                break;
            case 1:
                word[chance(CAPACITY * LANES / 8)] ^= UINT64_C(1) << chance(12);
                break;
            case 2:
                lane_of(mem, (unsigned)chance(LANES))->head += chance(2) ? evil : 8;
                break;
            default:
                break;
            }
        }
        bad += ipc_record_consumer_error(&c) == -EBADMSG;
        MUST(ipc_record_consumer_error(&c) == 0 || ipc_record_pop(&c, x, 1) == -EBADMSG);
        bad += ipc_record_producer_error(&p[0]) == -EBADMSG;
        MUST(ipc_record_producer_error(&p[0]) == 0 || ipc_record_push(&p[0], x, 0) == -EBADMSG);
        ipc_record_producer_detach(&p[0]);
        ipc_record_consumer_detach(&c);
        refused += ipc_record_produce(&p[0], mem, size, NULL) == -EBADMSG;
        refused += ipc_record_consume(&c, mem, size, NULL) == -EBADMSG;
        s->is.capacity = evil;
        MUST(evil <= CAPACITY || ipc_record_consume(&c, mem, size, NULL) != 0);
        s->is.capacity = CAPACITY;
        s->is.how = (uint32_t)evil;
        MUST(s->is.how - 1 < 2 || ipc_record_consume(&c, mem, size, NULL) == -EPROTO);
    }
    MUST(bad > 1000 && refused > 1000);
    unguard(mem, size);
}

/* ------------------------------------------------------------------ main */

static int before(void **state)
{
    (void)state;
    next_name();
    return 0;
}

static int after(void **state)
{
    (void)state;
    clean_up();
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, before, after)
int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_goes_in_comes_out_in_its_order),
        TEST(the_longest_record_fits_at_every_offset),
        TEST(claims_stay_where_they_are),
        TEST(batches_are_whole_records),
        TEST(edges_have_names),
        TEST(a_new_consumer_sees_little_again),
        TEST(a_half_written_record_was_never_there),
        TEST(scribbling_hangs_and_crashes_nobody),
    };

    set_up();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* with * and ? */
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
