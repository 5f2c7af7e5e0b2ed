/*
 * Records: random calls against a queue, exact fits at every offset, edges, several producers,
 * successors, hostile memory, and processes that wait, end, and are killed at random. The content
 * of a record follows from its number and length, so that any record can be checked on arrival.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "chance.h"
#include "records.h"

IPC_RECORDS(logs)

static struct ipc_shm shm;

enum { LONGEST = 1 << 16 };

static uint64_t *head_of(unsigned char *mem, unsigned producers, unsigned i)
{
    return ipc_record_head_((struct ipc_record_shared *)(void *)mem, producers, i);
}

/* ------------------------------------------------------------------ against a queue */

enum { PRODUCERS = 3, PENDING = 4096 };

static struct {
    uint64_t first, next; /* numbers of the records sent and not yet received */
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

    switch (chance(5)) {
    case 0:
    case 1:
    case 2:
        fill(buffer[0], queue[i].next, n);
        p->trials.way = chance(2) ? IPC_RING_PAST_ : IPC_RING_BY_LINES_; /* puts off, or not */
        p->trials.left = UINT64_MAX / 2;
        rc = chance(2) ? ipc_record_push_more(p, buffer[0], n) : ipc_record_push(p, buffer[0], n);
        MUST(rc == 0 || rc == (n > most ? -EMSGSIZE : -EAGAIN));
        if (rc == 0)
            sent(i, n);
        return;
    case 3:
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

/* A record came out. It must be the next one of its producer, which its number and length tell, or
 * the lane if it is short. */
static void received(const struct ipc_record_consumer *c, const void *at, size_t n, unsigned i)
{
    (void)c;
    MUST(queue[i].first < queue[i].next);
    IS(n, queue[i].n[queue[i].first % PENDING]);
    is_filled(at, queue[i].first, n);
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
    lane = c->lane;
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
        *head_of(mem, producers, k) = from;
        IS(ipc_record_producer_attach(&p[k], mem, size, NULL), 0);
    }
    IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
    for (i = 0; i < 3000; i++) {
        for (k = 0; k < producers; k++)
            if (chance(3))
                feed(&p[k], k);
        if (chance(2)) { /* else nothing tells what the consumer has to find */
            for (k = 0; k < producers; k++)
                IS(ipc_record_flush(&p[k]), 0);
            for (k = (unsigned)chance(3 * producers + 1); k > 0; k--)
                drain(&c);
        }
        if (i % 100 == 99) { /* successors go on */
            k = (unsigned)chance(producers);
            ipc_record_producer_detach(&p[k]);
            ipc_record_consumer_detach(&c);
            IS(ipc_record_producer_attach(&p[k], mem, size, NULL), 0);
            IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
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

/* A producer does not walk over what others sent before they left in good order, as that may be
 * millions of records: here it would find a word that is none. What one sent that was killed it
 * walks over, from there or from the consumer's position, whichever is further. */
static void a_producer_begins_where_the_last_one_left(void **state)
{
    enum { CAPACITY = 256 };
    size_t size = ipc_record_footprint(CAPACITY, 1), sum, kills;
    unsigned char *mem = guarded(size), buffer[64];
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)mem;
    uint64_t *first = (uint64_t *)(void *)(mem + size - CAPACITY), was;
    struct ipc_record_producer p;
    struct ipc_record_consumer c;

    (void)state;
    IS(ipc_record_init(mem, size, CAPACITY, 1), 0);
    IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
    IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
    IS(ipc_record_push(&p, "one", 3), 0);
    ipc_record_producer_detach(&p);
    was = *first;
    *first = ~UINT64_C(0);
    IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
    *first = was;
    IS(ipc_record_push(&p, "two", 3), 0);
    r->s.end[0] = 0; /* as if it was killed */
    IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
    IS(ipc_record_push(&p, "six", 3), 0);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), 3);
    assert_memory_equal(buffer, "one", 3);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), 3);
    assert_memory_equal(buffer, "two", 3);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), 3);
    assert_memory_equal(buffer, "six", 3);
    for (sum = kills = 0; kills < 200; kills++) { /* several laps */
        IS(ipc_record_push(&p, buffer, kills % 60), 0);
        IS(ipc_record_pop(&c, buffer, sizeof buffer), kills % 60);
        IS(ipc_record_pop(&c, buffer, sizeof buffer), -EAGAIN);
        sum += ipc_record_bytes_(kills % 60);
        r->s.end[0] = 0;
        IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
    }
    MUST(sum > 4 * CAPACITY);
    for (kills = 0; kills < 20; kills++) { /* the consumer is laps ahead of where the term began */
        IS(ipc_record_push(&p, buffer, 50), 0);
        IS(ipc_record_pop(&c, buffer, sizeof buffer), 50);
    }
    r->s.end[0] = 0;
    IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
    IS(ipc_record_push(&p, "end", 3), 0);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), 3);
    assert_memory_equal(buffer, "end", 3);
    unguard(mem, size);
}

/* Every length at every offset fits into an empty ring, also if the record or just its word ends
 * exactly at the end of the memory. */
static void the_longest_record_fits_at_every_offset(void **state)
{
    enum { CAPACITY = 256, MOST = CAPACITY / 2 - 8 };
    size_t size = ipc_record_footprint(CAPACITY, 1), at, n, k, was = 0;
    unsigned char *mem = guarded(size), buffer[512];
    struct ipc_record_producer p;
    struct ipc_record_consumer c;

    (void)state;
    for (at = 0; at < CAPACITY; at += 8)
        for (n = 0; n <= MOST; n++) {
            IS(ipc_record_init(mem, size, CAPACITY, 1), 0);
            memset(mem + size - CAPACITY, 0xff, CAPACITY);
            *head_of(mem, 1, 0) = at;
            memset(mem + size - CAPACITY + at, 0, 8);
            IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
            IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
            IS(ipc_record_most(&p), MOST);
            for (k = 0; k < 3; k++) {
                fill(buffer, k, n);
                IS(ipc_record_push(&p, buffer, MOST + 1), -EMSGSIZE);
                IS(ipc_record_push(&p, buffer, n), 0);
                IS(ipc_record_pop(&c, buffer, sizeof buffer), n);
                is_filled(buffer, k, n);
                IS(ipc_record_pop(&c, buffer, sizeof buffer), -EAGAIN);
            }
            /* A full ring refuses more, and gives back all that it took. */
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

/* As a consumer that is rung for each record, and takes it without another look. */
static void a_drained_lane_has_room_for_the_longest(void **state)
{
    static unsigned char buffer[LONGEST];
    uint64_t capacity, i;
    unsigned lanes, lane;

    (void)state;
    for (capacity = 64; capacity <= 8192; capacity *= 2)
        for (lanes = 1; lanes <= PRODUCERS; lanes += 2) {
            size_t size = ipc_record_footprint(capacity, lanes), most = (size_t)capacity / 2 - 8;
            size_t wide = ipc_record_broadcast_footprint(capacity, 0);
            unsigned char *mem = guarded(size), *cast = guarded(wide);
            struct ipc_record_producer p[PRODUCERS];
            struct ipc_record_consumer c;
            struct ipc_record_broadcast_producer writer;
            struct ipc_record_broadcast_consumer reader;

            IS(ipc_record_init(mem, size, capacity, lanes), 0);
            IS(ipc_record_broadcast_init(cast, wide, capacity, IPC_BROADCAST_LOSSLESS), 0);
            for (lane = 0; lane < lanes; lane++)
                IS(ipc_record_producer_attach(&p[lane], mem, size, NULL), 0);
            IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
            IS(ipc_record_broadcast_producer_attach(&writer, cast, wide, NULL), 0);
            IS(ipc_record_broadcast_consumer_attach(&reader, cast, wide, NULL), 0);
            for (i = 0; i < 4000; i++) {
                size_t n = (size_t)chance(chance(5) == 0 ? most + 1 : most / 8 + 1);

                lane = (unsigned)chance(lanes);
                if (chance(8) == 0)
                    n = most;
                fill(buffer, i, n);
                IS(ipc_record_push(&p[lane], buffer, n), 0);
                IS(ipc_record_pop(&c, buffer, sizeof buffer), n);
                is_filled(buffer, i, n);
                IS(ipc_record_broadcast_push(&writer, buffer, n), 0);
                IS(ipc_record_broadcast_pop(&reader, buffer, sizeof buffer), n);
                if (chance(100) == 0)
                    ipc_record_replay(&c, chance(capacity));
            }
            unguard(mem, size);
            unguard(cast, wide);
        }
}

/* A claim that wraps to the beginning of the memory stays there, however little is committed. */
static void claims_stay_where_they_are(void **state)
{
    size_t size = ipc_record_footprint(256, 1), n;
    unsigned char *mem = guarded(size), buffer[512] = {0};
    struct ipc_record_producer p;
    struct ipc_record_consumer c;
    void *at;

    (void)state;
    IS(ipc_record_init(mem, size, 256, 1), 0);
    IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
    IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
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
    is_filled(buffer, 7, 3);
    MUST(ipc_record_peek(&c, &n) == ipc_record_peek(&c, &n));
    IS(n, 9);
    IS(ipc_record_pop(&c, buffer, sizeof buffer), 9);
    is_filled(buffer, 8, 9);
    unguard(mem, size);
}

static void a_post_publishes_what_is_put_off(void **state)
{
    size_t size = logs_footprint(4096, 1);
    unsigned char *mem = guarded(size), record[300];
    struct logs_producer p;
    struct logs_consumer c;

    (void)state;
    IS(logs_init(mem, size, 4096, 1), 0);
    IS(logs_producer_attach(&p, mem, size, NULL), 0);
    IS(logs_consumer_attach(&c, mem, size, NULL), 0);
    p.raw.trials.way = IPC_RING_PAST_;
    memset(record, 1, sizeof record);
    IS(logs_push_more(&p, record, sizeof record), 0);
    if (IPC_RING_IS_PUT_OFF_(sizeof record))
        IS(logs_pop(&c, record, sizeof record), -EAGAIN);
    IS(logs_producer_post(&p), 0);
    IS(logs_pop(&c, record, sizeof record), sizeof record);
    logs_producer_detach(&p);
    logs_consumer_detach(&c);
    unguard(mem, size);
}

static void a_claim_that_is_refused_drops_the_one_before(void **state)
{
    size_t size = ipc_record_footprint(256, 1), cast = ipc_record_broadcast_footprint(256, 0), n;
    unsigned char *mem = guarded(size), *wide = guarded(cast), buffer[256];
    struct ipc_record_producer p;
    struct ipc_record_consumer c;
    struct ipc_record_broadcast_producer writer;
    struct ipc_record_broadcast_consumer reader;
    uint64_t i;

    (void)state;
    IS(ipc_record_init(mem, size, 256, 1), 0);
    IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
    IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
    IS(ipc_record_broadcast_init(wide, cast, 256, IPC_BROADCAST_LOSSLESS), 0);
    IS(ipc_record_broadcast_producer_attach(&writer, wide, cast, NULL), 0);
    IS(ipc_record_broadcast_consumer_attach(&reader, wide, cast, NULL), 0);
    for (i = 0; i < 8; i++) {
        fill(buffer, i, 24);
        n = i < 4 ? 24 : 0;
        IS(ipc_record_push(&p, buffer, 24), 0);
        IS(ipc_record_broadcast_push(&writer, buffer, 24), 0);
        if (n == 0)
            continue;
        IS(ipc_record_pop(&c, buffer, sizeof buffer), 24);
        IS(ipc_record_broadcast_pop(&reader, buffer, sizeof buffer), 24);
    }
    MUST(ipc_record_claim(&p, 16) != NULL);
    MUST(ipc_record_claim(&p, 120) == NULL); /* no room for that */
    IS(ipc_record_commit(&p, 16), -EINVAL);
    MUST(ipc_record_broadcast_claim(&writer, 16) != NULL);
    MUST(ipc_record_broadcast_claim(&writer, 120) == NULL);
    IS(ipc_record_broadcast_commit(&writer, 16), -EINVAL);
    for (i = 4; i < 8; i++) {
        unsigned char good[24];

        fill(good, i, 24);
        IS(ipc_record_pop(&c, buffer, sizeof buffer), 24);
        MUST(memcmp(buffer, good, 24) == 0);
        IS(ipc_record_broadcast_pop(&reader, buffer, sizeof buffer), 24);
        MUST(memcmp(buffer, good, 24) == 0);
    }
    IS(ipc_record_pop(&c, buffer, sizeof buffer), -EAGAIN);
    IS(ipc_record_broadcast_pop(&reader, buffer, sizeof buffer), -EAGAIN);
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
    IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
    IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
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
    unsigned char *mem = guarded(size), x[512] = {0};
    struct ipc_record_producer p, q, third;
    struct ipc_record_consumer c, d;
    struct ipc_peer me;
    volatile size_t huge = SIZE_MAX; /* volatile: hidden from the compiler's warnings */
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
    IS(ipc_record_producer_attach(&p, mem, size, NULL), -EAGAIN);
    IS(ipc_record_push(&p, x, 8), -EAGAIN);
    IS(ipc_record_init(mem, size, 63, 2), -EINVAL);
    IS(ipc_record_init(mem, size, 64, 0), -EINVAL);
    IS(ipc_record_init(NULL, size, 64, 2), -EINVAL);
    IS(ipc_record_init(mem, size, 64, 2), 0);
    IS(ipc_record_producer_attach(&p, mem, size, &me), -EINVAL);
    IS(ipc_record_producer_attach(&p, mem + 1, size, NULL), -EINVAL);
    IS(ipc_record_producer_attach(&p, mem, size - 1, NULL), -EPROTO);
    IS(ipc_record_consumer_attach(&c, mem, size - 1, NULL), -EPROTO);
    IS(ipc_record_pop(&c, x, 8), -EPROTO);
    MUST(ipc_record_peek(&c, &n) == NULL);
    IS(ipc_record_push(&p, x, 8), -EPROTO);
    MUST(ipc_record_claim(&p, 0) == NULL);
    IS(ipc_record_commit(&p, 0), -EINVAL);
    IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
    IS(ipc_record_producer_attach(&q, mem, size, NULL), 0);
    me.id = 7;
    IS(ipc_record_producer_attach(&third, mem, size, &me), -EBUSY);
    MUST(strstr(me.why, "taken") != NULL);
    IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
    IS(ipc_record_consumer_attach(&d, mem, size, NULL), -EBUSY);
    IS(ipc_record_push(&p, x, 25), -EMSGSIZE);
    IS(ipc_record_push(&p, x, huge), -EMSGSIZE);
    IS(ipc_record_push(&p, x, 24), 0);
    IS(ipc_record_push(&p, x, 24), -EAGAIN); /* 2 * 32 and the word after */
    IS(ipc_record_push(&p, x, 16), 0);
    IS(ipc_record_push(&p, x, 0), -EAGAIN);
    IS(ipc_record_push(&q, x, 24), 0); /* q has a lane of its own */
    ipc_record_producer_detach(&p);
    ipc_record_producer_detach(&p);
    IS(ipc_record_push(&p, x, 8), -EINVAL);
    IS(ipc_record_producer_attach(&third, mem, size, &me), 0); /* behind what is there */
    IS(ipc_record_push(&third, x, 0), -EAGAIN);
    IS(ipc_record_pop(&c, x, sizeof x), 24);
    IS(ipc_record_pop(&c, x, sizeof x), 24); /* after an eighth it is the other lane's turn */
    IS(ipc_record_pop(&c, x, sizeof x), 16);
    IS(ipc_record_pop(&c, x, sizeof x), -EAGAIN);
    ipc_record_consumer_detach(&c);
    IS(ipc_record_pop(&c, x, 8), -EINVAL);
    IS(ipc_record_release(&c), -EINVAL);
    unguard(mem, size);
}

/* ------------------------------------------------------------------ successors */

static void a_new_consumer_sees_little_again(void **state)
{
    static const uint64_t replays[] = {0, 24, 100, 128, 1000};
    size_t size = ipc_record_footprint(1024, 1), k, n, i;
    unsigned char *mem = guarded(size), x[16];

    (void)state;
    for (k = 0; k < 5; k++)
        for (n = 1; n < 100; n++) {
            struct ipc_record_producer p;
            struct ipc_record_consumer c;
            struct ipc_peer me = peer(gone);
            uint64_t again = replays[k] < 128 ? replays[k] : 128, first;

            IS(ipc_record_init(mem, size, 1024, 1), 0);
            IS(ipc_record_producer_attach(&p, mem, size, NULL), 0);
            IS(ipc_record_consumer_attach(&c, mem, size, &me), 0);
            ipc_record_replay(&c, replays[k]);
            for (i = 0; i < n; i++) {
                if (i % 30 == 0)
                    while (ipc_record_push(&p, x, 16) == 0)
                        ;
                IS(ipc_record_pop(&c, x, sizeof x), 16);
            }
            first = c.head;
            me.id = 6; /* it was killed */
            IS(ipc_record_consumer_attach(&c, mem, size, &me), 0);
            MUST(c.head <= first && c.head + again >= first);
            while (c.head < first)
                IS(ipc_record_pop(&c, x, sizeof x), 16);
            IS(c.head, first);
        }
    unguard(mem, size);
}

/* While a producer looks for a lane, the only free one is taken, and the holder of one that it has
 * looked at already is killed. */
struct swap {
    struct ipc_record_shared *ring;
    int seven; /* looks at process 7, until it is killed */
};

static int swaps_lanes(void *arg, uint64_t id)
{
    struct swap *s = (struct swap *)arg;

    if (id != 7)
        return 1;
    if (s->seven <= 0)
        return 0;
    if (--s->seven == 0)
        ck_pr_store_64(ipc_record_holder_(s->ring, 2, 1), 8);
    return 1;
}

static void a_lane_that_becomes_free_behind_us_is_found(void **state)
{
    size_t size = ipc_record_footprint(256, 2);
    struct swap s = {(struct ipc_record_shared *)mmap(NULL, size, PROT_READ | PROT_WRITE,
                                                MAP_SHARED | MAP_ANONYMOUS, -1, 0),
                     0};
    struct ipc_peer seven = {7, swaps_lanes, NULL, NULL, &s, "", NULL, NULL};
    struct ipc_peer six = {6, swaps_lanes, NULL, NULL, &s, "", NULL, NULL};
    struct ipc_peer nine = {9, swaps_lanes, NULL, NULL, &s, "", NULL, NULL};
    struct ipc_record_producer a, b, c;
    int looks;

    (void)state;
    for (looks = 1; looks <= 8; looks++) {
        IS(ipc_record_init(s.ring, size, 256, 2), 0);
        s.seven = 1000;
        IS(ipc_record_producer_attach(&a, s.ring, size, &seven), 0);
        IS(ipc_record_producer_attach(&b, s.ring, size, &six), 0);
        IS(ipc_record_push(&b, "x", 1), 0); /* a lane that suits nobody else */
        ipc_record_producer_detach(&b);
        s.seven = looks;
        IS(ipc_record_producer_attach(&c, s.ring, size, &nine), 0);
    }
    (void)munmap(s.ring, size);
}

/* A producer ends while it writes a record, at any position: its successor goes on there, and the
 * record was never sent. */
static void a_half_written_record_was_never_there(void **state)
{
    size_t size = ipc_record_footprint(256, 1), at, n, m;
    unsigned char *mem = guarded(size), x[512];

    (void)state;
    for (at = 0; at < 256; at += 8)
        for (n = 0; n <= 120; n += 7)
            for (m = 0; m <= 120; m += 11) {
                struct ipc_record_producer p;
                struct ipc_record_consumer c;
                struct ipc_peer me = peer(gone);
                void *half;

                IS(ipc_record_init(mem, size, 256, 1), 0);
                *head_of(mem, 1, 0) = at;
                IS(ipc_record_producer_attach(&p, mem, size, &me), 0);
                IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
                half = ipc_record_claim(&p, n);
                memset(half, 0xff, n);
                me.id = 6;
                IS(ipc_record_producer_attach(&p, mem, size, &me), 0);
                IS(ipc_record_pop(&c, x, sizeof x), -EAGAIN);
                fill(x, 9, m);
                IS(ipc_record_push(&p, x, m), 0);
                memset(x, 0, sizeof x);
                IS(ipc_record_pop(&c, x, sizeof x), m);
                is_filled(x, 9, m);
            }
    unguard(mem, size);
}

/* A process's records, numbered from *next on; the ring says who sends them. */
static void push_numbers(struct ipc_record_producer *p, uint64_t *next, unsigned n)
{
    for (; n > 0; n--, ++*next)
        IS(ipc_record_push(p, next, 8), 0);
}

static void pop_numbers(struct ipc_record_consumer *c, uint64_t *next, uint64_t until)
{
    uint64_t number;

    for (; *next < until; ++*next) {
        IS(ipc_record_pop(c, &number, 8), 8);
        IS(number, *next);
    }
}

/* Which lane a producer takes whose predecessors left records, or left none. */
static void a_new_producer_goes_on_behind_its_own_records(void **state)
{
    enum { LANES = 4 };
    size_t size = ipc_record_footprint(1024, LANES);
    unsigned char *mem = guarded(size);
    struct ipc_record_producer p, q;
    struct ipc_record_consumer c;
    struct ipc_peer first = peer(7), second = peer(8), successor = peer(9), nobody = peer(gone);
    uint64_t sent = 0, received = 0, x = 0;

    (void)state;
    IS(ipc_record_init(mem, size, 1024, LANES), 0);
    IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
    IS(ipc_record_producer_attach(&q, mem, size, &second), 0);
    IS(ipc_record_producer_attach(&p, mem, size, &first), 0);
    MUST(p.head == head_of(mem, LANES, 1));
    push_numbers(&p, &sent, 3);
    IS(ipc_record_push(&q, &x, 4), 0);
    ipc_record_producer_detach(&q); /* its lane has a record, and it lives */
    ipc_record_producer_detach(&p);
    IS(ipc_record_producer_attach(&p, mem, size, &first), 0);
    MUST(p.head == head_of(mem, LANES, 1)); /* its own, not a fresh one, and not the other's */
    push_numbers(&p, &sent, 3);
    ipc_record_producer_detach(&p);
    IS(ipc_record_producer_attach(&p, mem, size, &successor), 0);
    MUST(p.head == head_of(mem, LANES, 2)); /* both may come back */
    ipc_record_producer_detach(&p);
    gone = 7; /* the first has ended: the successor goes on behind it */
    IS(ipc_record_producer_attach(&p, mem, size, &successor), 0);
    MUST(p.head == head_of(mem, LANES, 1));
    push_numbers(&p, &sent, 3);
    gone = 9; /* and is killed itself, as is the next one */
    nobody.id = 10;
    IS(ipc_record_producer_attach(&p, mem, size, &nobody), 0);
    MUST(p.head == head_of(mem, LANES, 1));
    push_numbers(&p, &sent, 3);
    gone = 5;
    IS(ipc_record_pop(&c, &x, 8), 4);
    pop_numbers(&c, &received, sent);
    IS(ipc_record_pop(&c, &x, 8), -EAGAIN);
    ipc_record_producer_detach(&p);
    IS(ipc_record_producer_attach(&p, mem, size, &successor), 0);
    MUST(p.head == head_of(mem, LANES, 0)); /* all are drained */
    unguard(mem, size);
}

/* ------------------------------------------------------------------ sources */

/* The next record is of this process, in this lane. */
static void comes_from(struct ipc_record_consumer *c, uint64_t id, unsigned lane)
{
    struct ipc_record_sender from = {1, 99, 0};
    uint64_t x;

    IS(ipc_record_pop(c, &x, sizeof x), 8);
    IS(ipc_record_source(c, &from), 0);
    IS(from.id, id);
    IS(from.lane, lane);
}

/* The next thing that is told is the end of this process, in this lane. */
static void has_ended(struct ipc_record_consumer *c, int how, uint64_t id, unsigned lane)
{
    struct ipc_record_sender from = {1, 99, 0};

    IS(ipc_record_ended(c), how);
    IS(ipc_record_source(c, &from), 0);
    IS(from.id, id);
    IS(from.lane, lane);
}

static void sources_and_ends_are_told(void **state)
{
    size_t size = ipc_record_footprint(4096, 2), n;
    unsigned char *mem = guarded(size);
    struct ipc_record_producer p, q;
    struct ipc_record_consumer c;
    struct ipc_record_sender from;
    struct ipc_peer a = peer(11), b = peer(12), d = peer(13), e = peer(14), me = peer(20);
    uint64_t x = 0, i;

    (void)state;
    IS(ipc_record_init(mem, size, 4096, 2), 0);
    IS(ipc_record_consumer_attach(&c, mem, size, &me), 0);
    IS(ipc_record_source(&c, &from), -EINVAL);
    IS(ipc_record_ended(&c), 0);
    IS(ipc_record_producer_attach(&p, mem, size, &a), 0);
    IS(ipc_record_producer_attach(&q, mem, size, &b), 0);
    IS(ipc_record_ended(&c), 0);
    push_numbers(&p, &x, 2);
    push_numbers(&q, &x, 1);
    ipc_record_producer_detach(&p); /* a successor goes on in its lane, and is killed in a claim */
    gone = 11;
    IS(ipc_record_producer_attach(&p, mem, size, &d), 0);
    push_numbers(&p, &x, 1);
    MUST(ipc_record_claim(&p, 8) != NULL);
    gone = 13;
    IS(ipc_record_ended(&c), 0); /* there are records left of all that have ended */
    comes_from(&c, 11, 0);
    comes_from(&c, 11, 0);
    has_ended(&c, -EPIPE, 11, 0);
    IS(ipc_record_ended(&c), 0);
    comes_from(&c, 13, 0);
    IS(ipc_record_source(&c, &from), 0);
    has_ended(&c, -EOWNERDEAD, 13, 0);
    IS(ipc_record_ended(&c), 0);
    MUST(ipc_record_peek(&c, &n) != NULL);
    IS(ipc_record_source(&c, &from), 0);
    IS(from.id, 12);
    ipc_record_producer_detach(&q);
    IS(ipc_record_ended(&c), 0);
    IS(ipc_record_release(&c), 0);
    has_ended(&c, -EPIPE, 12, 1);
    IS(ipc_record_producer_attach(&p, mem, size, &e), 0); /* it sends nothing */
    IS(ipc_record_ended(&c), 0);
    ipc_record_producer_detach(&p);
    has_ended(&c, -EPIPE, 14, 0);
    IS(ipc_record_ended(&c), 0);
    /* A new consumer is told of what happens from now on, and of those that left records. */
    IS(ipc_record_producer_attach(&p, mem, size, &a), 0);
    push_numbers(&p, &x, 1);
    ipc_record_producer_detach(&p);
    ipc_record_consumer_detach(&c);
    IS(ipc_record_consumer_attach(&c, mem, size, &me), 0);
    IS(ipc_record_ended(&c), 0);
    comes_from(&c, 11, 0);
    has_ended(&c, -EPIPE, 11, 0);
    ipc_record_consumer_detach(&c);
    IS(ipc_record_consumer_attach(&c, mem, size, &me), 0);
    IS(ipc_record_ended(&c), 0);
    /* Only so many are remembered. */
    gone = 5;
    for (i = 0; i < 30; i++) {
        a.id = 100 + i;
        gone = 99 + i;
        IS(ipc_record_producer_attach(&p, mem, size, &a), 0);
        MUST(p.head == head_of(mem, 2, 0));
        push_numbers(&p, &x, 1);
        ipc_record_producer_detach(&p);
    }
    for (i = 0; i < 30; i++)
        comes_from(&c, i < 8 ? 0 : 100 + i, 0);
    for (i = 8; i < 30; i++)
        has_ended(&c, -EPIPE, 100 + i, 0);
    IS(ipc_record_ended(&c), 0);
    gone = 5;
    unguard(mem, size);
}

/* ------------------------------------------------------------------ merging */

static int64_t time_now; /* of a clock that the test moves */

static int64_t test_clock(void)
{
    return time_now;
}

/* A record of 8 bytes or more that begins with a number. */
static void push_number(struct ipc_record_producer *p, uint64_t number)
{
    unsigned char x[40] = {0};

    memcpy(x, &number, 8);
    IS(ipc_record_push(p, x, 8 + (size_t)number % 32), 0);
}

/* The next record has this number; is it late? */
static void merges(struct ipc_record_consumer *c, uint64_t number, int late)
{
    struct ipc_record_sender from;
    unsigned char x[40];
    uint64_t got;

    IS(ipc_record_pop(c, x, sizeof x), 8 + number % 32);
    memcpy(&got, x, 8);
    IS(got, number);
    IS(ipc_record_source(c, &from), 0);
    IS(from.late, late);
}

static void held_back(struct ipc_record_consumer *c)
{
    unsigned char x[40];
    size_t n;

    IS(ipc_record_pop(c, x, sizeof x), -EAGAIN);
    MUST(ipc_record_peek(c, &n) == NULL);
}

static void merging_waits_for_silent_lanes(void **state)
{
    size_t size = ipc_record_footprint(1024, 4), n;
    unsigned char *mem = guarded(size), x[40];
    struct ipc_record_producer p, q, third;
    struct ipc_record_consumer c;
    struct ipc_peer a = peer(11), b = peer(12), d = peer(13), me = peer(20);

    (void)state;
    time_now = INT64_C(1) << 40;
    IS(ipc_record_init(mem, size, 1024, 4), 0);
    IS(ipc_record_consumer_attach(&c, mem, size, &me), 0);
    IS(ipc_record_producer_attach(&p, mem, size, &a), 0);
    IS(ipc_record_producer_attach(&q, mem, size, &b), 0);
    ipc_record_merge(&c, 100, test_clock);
    held_back(&c);
    push_number(&p, 10);
    push_number(&p, 20);
    held_back(&c); /* q could send a lower one: the hold begins */
    push_number(&q, 15);
    merges(&c, 10, 0); /* each lane has a record */
    merges(&c, 15, 0);
    held_back(&c);
    time_now += 99;
    held_back(&c);
    push_number(&q, 18); /* in time */
    merges(&c, 18, 0);
    time_now += 1;
    merges(&c, 20, 0); /* it has waited for long enough, since the first hold */
    push_number(&q, 19); /* too late: also what is late waits for others */
    held_back(&c);
    time_now += 100;
    IS(ipc_record_pop(&c, x, 1), -EMSGSIZE);
    MUST(ipc_record_peek(&c, &n) != NULL && ipc_record_peek(&c, &n) != NULL && n == 8 + 19);
    merges(&c, 19, 1);
    push_number(&p, 30); /* all that is seen when a hold begins is ripe together */
    push_number(&p, 31);
    push_number(&p, 32);
    held_back(&c);
    push_number(&p, 33);
    time_now += 100;
    merges(&c, 30, 0);
    merges(&c, 31, 0);
    merges(&c, 32, 0);
    held_back(&c);
    time_now += 99;
    held_back(&c);
    ipc_record_producer_detach(&q); /* none is waited for that has left */
    merges(&c, 33, 0);
    push_number(&p, 34);
    merges(&c, 34, 0);
    IS(ipc_record_producer_attach(&q, mem, size, &b), 0);
    push_number(&p, 35);
    held_back(&c);
    gone = 12; /* nor one that is dead: the kernel is asked once a millisecond */
    time_now += 1000000;
    merges(&c, 35, 0);
    push_number(&p, 36);
    merges(&c, 36, 0);
    IS(ipc_record_producer_attach(&third, mem, size, &d), 0);
    gone = 5;
    ipc_record_merge(&c, INT64_MAX, test_clock);
    push_number(&p, 37);
    held_back(&c);
    time_now += INT64_C(1) << 60;
    held_back(&c);
    IS(ipc_record_push(&third, x, 7), 0); /* shorter than a number: 0 */
    IS(ipc_record_pop(&c, x, sizeof x), 7);
    ipc_record_merge(&c, 0, NULL);
    merges(&c, 37, 0);
    push_number(&third, 38);
    merges(&c, 38, 0);
    push_number(&p, 12);
    merges(&c, 12, 1);
    ipc_record_replay(&c, 512); /* each record is published at once all the same */
    push_number(&p, 39);
    merges(&c, 39, 0);
    IS(ipc_record_was_size(&p), 0);
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
        struct ipc_record_sender from;
        uint64_t *word = (uint64_t *)(void *)(mem + size - CAPACITY * LANES);
        uint64_t evil = chance(4) == 0 ? chance(2048) : chance(UINT64_MAX);

        IS(ipc_record_init(mem, size, CAPACITY, LANES), 0);
        for (k = 0; k < LANES; k++)
            IS(ipc_record_producer_attach(&p[k], mem, size, NULL), 0);
        IS(ipc_record_consumer_attach(&c, mem, size, NULL), 0);
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
            if (chance(50) == 0)
                ipc_record_merge(&c, (int64_t)chance(3), test_clock);
            time_now += (int64_t)chance(2);
            (void)ipc_record_source(&c, &from);
            (void)ipc_record_ended(&c);
            switch (chance(7)) {
            case 5:
                ipc_record_lane_at_(s, (unsigned)chance(LANES))->terms = evil;
                break;
            case 6:
                ipc_record_lane_at_(s, (unsigned)chance(LANES))->term[chance(4)].from += evil;
                break;
            case 4:
                ipc_record_lane_at_(s, (unsigned)chance(LANES))->tail += chance(2) ? evil : 8;
                break;
            case 0:
                word[chance(CAPACITY * LANES / 8)] = evil;
                break;
            case 1:
                word[chance(CAPACITY * LANES / 8)] ^= UINT64_C(1) << chance(12);
                break;
            case 2:
                *head_of(mem, LANES, (unsigned)chance(LANES)) += chance(2) ? evil : 8;
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
        refused += ipc_record_producer_attach(&p[0], mem, size, NULL) == -EBADMSG;
        refused += ipc_record_consumer_attach(&c, mem, size, NULL) == -EBADMSG;
        s->s.is.capacity = evil;
        MUST(evil <= CAPACITY || ipc_record_consumer_attach(&c, mem, size, NULL) != 0);
        s->s.is.capacity = CAPACITY;
        s->s.is.how = (uint32_t)evil;
        MUST(s->s.is.how - 1 < 2 || ipc_record_consumer_attach(&c, mem, size, NULL) == -EPROTO);
    }
    MUST(bad > 1000 && refused > 1000);
    unguard(mem, size);
}

/* ------------------------------------------------------------------ processes */

/* What a process sends: its name, a number, and content whose length follows from the number. */
struct line {
    uint32_t who, n;
    uint64_t number;
};

struct flow {
    uint64_t capacity, n;
    unsigned producers, spin;
};

static size_t length_of(uint64_t number, size_t most)
{
    uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15);

    x ^= x >> 29;
    return sizeof(struct line) +
           (size_t)(x % 5 == 0 ? x / 8 % (most + 1 - sizeof(struct line)) : x / 8 % 100);
}

static void write_line(unsigned char *buffer, uint32_t who, uint64_t number, size_t n)
{
    struct line l;

    l.who = who;
    l.n = (uint32_t)n;
    l.number = number;
    memcpy(buffer, &l, sizeof l);
    fill(buffer + sizeof l, number, n - sizeof l);
}

/* Returns the name of the sender, and its number. */
static uint32_t read_line(const unsigned char *buffer, size_t n, uint64_t *number)
{
    struct line l;

    MUST(n >= sizeof l);
    memcpy(&l, buffer, sizeof l);
    IS(l.n, n);
    is_filled(buffer + sizeof l, l.number, n - sizeof l);
    *number = l.number;
    return l.who;
}

static void sends_a_flow(struct child *up, void *arg)
{
    const struct flow *how = (const struct flow *)arg;
    static unsigned char buffer[LONGEST];
    struct logs_producer out;
    struct ipc_shm seg;
    uint64_t x;
    uint32_t who = (uint32_t)hear(up);
    void *at;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(logs_producer_create(&out, &seg, "logs", how->capacity, how->producers), 0);
    ipc_notify_policy(logs_producer_bell(&out), how->spin, 0);
    for (x = 0; x < how->n; x++) {
        size_t n = length_of(x, logs_most(&out));

        if (x % 3 != 0) {
            write_line(buffer, who, x, n);
            IS(logs_send(&out, buffer, n, x % 2 ? ipc_in_ms(LONG_MS) : IPC_FOREVER), 0);
            continue;
        }
        while ((at = logs_claim(&out, n)) == NULL)
            IS(logs_producer_wait(&out, n, IPC_FOREVER), 0);
        write_line((unsigned char *)at, who, x, n);
        IS(logs_commit(&out, n), 0);
        IS(logs_producer_post(&out), 0);
    }
    logs_producer_detach(&out);
    ipc_shm_close(&seg);
}

static void flows_are_received_whole(void **state)
{
    static const struct flow cases[] = {{256, 5000, 1, 0},      {65536, 200000, 1, 0},
                                        {4096, 100000, 1, 100}, {256, 3000, 3, 0},
                                        {16384, 30000, 4, 0},   {4096, 30000, 2, 100}};
    static unsigned char buffer[LONGEST];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flow how = cases[i];
        struct logs_consumer in;
        struct child c[4];
        uint64_t next[4] = {0}, left, number;
        int64_t got;
        unsigned k;

        how.n = FLOOD(how.n);
        left = how.n * how.producers;
        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        for (k = 0; k < how.producers; k++) {
            c[k] = spawn(sends_a_flow, &how);
            tell(&c[k], k);
        }
        shm.deadline = ipc_in_ms(LONG_MS);
        IS(logs_consumer_open(&in, &shm, "logs"), 0);
        ipc_notify_policy(logs_consumer_bell(&in), how.spin, 0);
        for (; left > 0; left--) {
            got = logs_recv(&in, buffer, sizeof buffer, ipc_in_ms(LONG_MS));
            if (got == -EPIPE && how.producers == 1 && next[0] == 0) {
                left++; /* the producer came and left before we looked */
                continue;
            }
            MUST(got > 0);
            k = read_line(buffer, (size_t)got, &number);
            MUST(k < how.producers);
            IS(number, next[k]++);
        }
        if (how.producers == 1)
            IS(logs_recv(&in, buffer, sizeof buffer, ipc_in_ms(LONG_MS)), -EPIPE);
        for (k = 0; k < how.producers; k++)
            finish(&c[k]);
        logs_consumer_detach(&in);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

enum { WRITERS = 3 };

/* Each new writer counts from 0, and has a name of its own. */
static void writes_until_killed(struct child *up, void *arg)
{
    static unsigned char buffer[LONGEST];
    struct logs_producer out;
    struct ipc_shm seg;
    uint64_t x;
    uint32_t who = (uint32_t)hear(up);
    void *at;

    (void)arg;
    seed += who;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(logs_producer_create(&out, &seg, "logs", 4096, WRITERS), 0);
    tell(up, 0);
    for (x = 0;; x++) {
        size_t n = length_of(x, logs_most(&out));

        if (chance(2)) {
            write_line(buffer, who, x, n);
            IS(logs_send(&out, buffer, n, IPC_FOREVER), 0);
            continue;
        }
        while ((at = logs_claim(&out, n)) == NULL) {
            int rc = logs_producer_wait(&out, n, IPC_FOREVER);

            MUST(rc == 0 || rc == -EOWNERDEAD || rc == -EPIPE);
        }
        write_line((unsigned char *)at, who, x, n);
        IS(logs_commit(&out, n), 0);
        IS(logs_producer_post(&out), 0);
    }
}

/* Kills producers at random. The others go on; of each killed writer's records a first part comes,
 * whole and in order, and the rest never. */
static void the_killed_cost_the_others_nothing(void **state)
{
    enum { LIVES = 300 };
    static unsigned char buffer[LONGEST];
    static uint64_t next[LIVES];
    struct logs_producer first;
    struct logs_consumer in;
    struct child c[WRITERS];
    uint64_t number, total = 0;
    uint32_t lives = 0, who;
    unsigned i, k, stopped = WRITERS;

    (void)state;
    memset(next, 0, sizeof next);
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(logs_producer_create(&first, &shm, "logs", 4096, WRITERS), 0); /* the ring exists now */
    logs_producer_detach(&first);
    IS(logs_consumer_open(&in, &shm, "logs"), 0);
    for (k = 0; k < WRITERS; k++) {
        c[k] = spawn(writes_until_killed, NULL);
        tell(&c[k], lives++);
        (void)hear(&c[k]);
    }
    while (lives < FLOOD(LIVES)) {
        for (i = (unsigned)chance(3000); i > 0; i--) {
            int64_t got = logs_recv(&in, buffer, sizeof buffer, ipc_in_ms(LONG_MS));

            MUST(got > 0);
            who = read_line(buffer, (size_t)got, &number);
            MUST(who < lives);
            IS(number, next[who]++);
            total++;
        }
        k = (unsigned)chance(WRITERS);
        if (stopped == WRITERS && chance(2)) {
            stop_child(&c[k]); /* it keeps its lane; the others have theirs */
            stopped = k;
            continue;
        }
        stopped = stopped == k ? WRITERS : stopped;
        kill_child(&c[k]);
        c[k] = spawn(writes_until_killed, NULL);
        tell(&c[k], lives++);
        if (chance(2))
            (void)hear(&c[k]);
    }
    print_message("note: %u kills in %llu records\n", lives - WRITERS, (unsigned long long)total);
    for (k = 0; k < WRITERS; k++)
        kill_child(&c[k]);
    logs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

/* Sends five numbers, and ends as it is told. */
static void sends_a_few(struct child *up, void *arg)
{
    struct logs_producer out;
    struct ipc_shm seg;
    uint64_t next = hear(up), i;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(logs_producer_open(&out, &seg, "logs"), 0);
    for (i = 0; i < 5; i++, next++)
        IS(logs_send(&out, &next, sizeof next, IPC_FOREVER), 0);
    tell(up, next);
    if (hear(up) == 0)
        logs_producer_detach(&out);
    ipc_shm_close(&seg);
}

/* One producer is started again and again, after it ended in any way. Another sends besides. */
static void a_restarted_producer_overtakes_nothing(void **state)
{
    enum { LIVES = 60, LANES = 4 };
    struct logs_producer steady;
    struct logs_consumer in;
    uint64_t sent = 0, next = 0, x, steady_sent = 0, steady_next = 0;
    unsigned i, k;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(logs_producer_create(&steady, &shm, "logs", 16384, LANES), 0);
    IS(logs_consumer_open(&in, &shm, "logs"), 0);
    for (i = 0; i < LIVES; i++) {
        struct child c = spawn(sends_a_few, NULL);

        tell(&c, sent);
        sent = hear(&c);
        if (chance(2)) {
            kill_child(&c);
        } else {
            tell(&c, chance(2));
            finish(&c);
        }
        x = steady_sent++ | UINT64_C(1) << 32;
        IS(logs_push(&steady, &x, sizeof x), 0);
        for (k = (unsigned)chance(8); k > 0 && logs_pop(&in, &x, sizeof x) > 0; k--)
            IS(x, x >> 32 != 0 ? (steady_next++ | UINT64_C(1) << 32) : next++);
    }
    while (logs_pop(&in, &x, sizeof x) > 0)
        IS(x, x >> 32 != 0 ? (steady_next++ | UINT64_C(1) << 32) : next++);
    IS(next, sent);
    IS(steady_next, steady_sent);
    logs_consumer_detach(&in);
    logs_producer_detach(&steady);
    ipc_shm_close(&shm);
}

/* Says who it is, sends up to as many records as it is told, and ends: in the middle of the last
 * one, without closing, or properly. */
static void sends_its_id(struct child *up, void *arg)
{
    struct logs_producer out;
    struct ipc_shm seg;
    uint64_t n = hear(up), i, x[2];

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(logs_producer_open(&out, &seg, "logs"), 0);
    x[0] = ipc_shm_peer(&seg)->id;
    tell(up, x[0]);
    for (i = 0; i < n / 3; i++) {
        x[1] = i;
        IS(logs_send(&out, x, sizeof x, IPC_FOREVER), 0);
    }
    if (n % 3 == 0)
        logs_producer_detach(&out);
    if (n % 3 == 1)
        (void)logs_claim(&out, 8);
    if (n % 3 != 0)
        (void)kill(getpid(), SIGKILL);
    ipc_shm_close(&seg);
}

/* Sends its id each time that it is told to. */
static void sends_its_id_when_told(struct child *up, void *arg)
{
    struct logs_producer out;
    struct ipc_shm seg;
    uint64_t x[2] = {0, 0};

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(logs_producer_open(&out, &seg, "logs"), 0);
    x[0] = ipc_shm_peer(&seg)->id;
    tell(up, 0);
    for (;;) {
        (void)hear(up);
        IS(logs_send(&out, x, sizeof x, IPC_FOREVER), 0);
    }
}

/* The consumer sleeps, and is told of each producer's end once, after its last record. */
/* Is killed once the consumer sleeps, or is about to. */
static void dies_beside_a_sleeper(struct child *up, void *arg)
{
    struct logs_producer out;
    struct ipc_shm seg;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(logs_producer_open(&out, &seg, "logs"), 0);
    tell(up, 1);
    while ((ck_pr_load_32(&out.data.at->word) & (IPC_NOTIFY_ASLEEP_ | IPC_NOTIFY_DOZING_)) == 0)
        (void)sched_yield();
    (void)kill(getpid(), SIGKILL);
}

static void a_sleeping_consumer_is_told_of_an_end(void **state)
{
    struct logs_producer first;
    struct logs_consumer in;
    uint64_t x;
    int i;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(logs_producer_create(&first, &shm, "logs", 1024, 4), 0);
    IS(logs_consumer_open(&in, &shm, "logs"), 0);
    logs_watch_producers(&in);
    for (i = 0; i < 5; i++) {
        struct child c = spawn(dies_beside_a_sleeper, NULL);

        IS(hear(&c), 1);
        IS(logs_recv(&in, &x, sizeof x, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
        was_killed(&c);
    }
    logs_producer_detach(&first);
    logs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

static void the_end_of_each_producer_is_told_once(void **state)
{
    enum { LIVES = 48, LANES = 4 };
    static uint64_t id[LIVES], asked[LIVES], got[LIVES];
    struct child c[LIVES];
    struct logs_producer first;
    struct logs_consumer in;
    struct ipc_record_sender from;
    uint64_t x[2];
    unsigned born = 0, ended = 0, told[LIVES] = {0}, k;

    (void)state;
    memset(got, 0, sizeof got);
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(logs_producer_create(&first, &shm, "logs", 1024, LANES), 0);
    logs_producer_detach(&first);
    IS(logs_consumer_open(&in, &shm, "logs"), 0);
    IS(logs_recv(&in, x, sizeof x, ipc_in_ms(1)), -ETIMEDOUT);
    logs_watch_producers(&in);
    while (ended < LIVES) {
        int64_t n;

        for (; born < LIVES && born - ended < LANES; born++) {
            asked[born] = chance(300);
            c[born] = spawn(sends_its_id, NULL);
            tell(&c[born], asked[born]);
            id[born] = hear(&c[born]);
        }
        n = logs_recv(&in, x, sizeof x, ipc_in_ms(LONG_MS));
        IS(logs_source(&in, &from), 0);
        for (k = 0; k < born && id[k] != from.id; k++)
            ;
        MUST(k < born && from.lane < LANES && told[k] == 0);
        if (n > 0) {
            IS(x[0], id[k]);
            IS(x[1], got[k]++);
            continue;
        }
        IS(n, asked[k] % 3 == 0 ? -EPIPE : -EOWNERDEAD);
        IS(got[k], asked[k] / 3);
        told[k] = 1;
        ended++;
        (void)reap(&c[k]);
    }
    IS(logs_recv(&in, x, sizeof x, ipc_in_ms(20)), -ETIMEDOUT);
    IS(logs_ended(&in), 0);
    logs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

enum { MERGED = 8, EACH_MERGED = 4000 };

/* Takes numbers from a counter that all share, and sends each after a while. */
static void sends_numbers(struct child *up, void *arg)
{
    uint64_t *counter = (uint64_t *)arg, x[4], i;
    struct logs_producer out;
    struct ipc_shm seg;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(logs_producer_open(&out, &seg, "logs"), 0);
    seed += ipc_shm_peer(&seg)->id;
    tell(up, 0);
    (void)hear(up);
    for (i = 0; i < EACH_MERGED; i++) {
        x[0] = ck_pr_faa_64(counter, 1);
        if (chance(20) == 0)
            (void)sched_yield();
        IS(logs_send(&out, x, 8 * (1 + (size_t)chance(4)), IPC_FOREVER), 0);
    }
    logs_producer_detach(&out);
    ipc_shm_close(&seg);
}

/* Producers that run in any order, of which some are stopped for a while. */
static void merged_records_are_in_order(void **state)
{
    struct logs_producer first;
    struct logs_consumer in;
    struct child c[MERGED];
    uint64_t x[4], next, *counter;
    struct ipc_record_sender from;
    unsigned k, stopped = MERGED;

    (void)state;
    counter = (uint64_t *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                               0);
    MUST((void *)counter != MAP_FAILED);
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(logs_producer_create(&first, &shm, "logs", 1024, MERGED), 0);
    logs_producer_detach(&first);
    IS(logs_consumer_open(&in, &shm, "logs"), 0);
    logs_merge(&in, IPC_FOREVER);
    for (k = 0; k < MERGED; k++) {
        c[k] = spawn(sends_numbers, counter);
        (void)hear(&c[k]);
    }
    for (k = 0; k < MERGED; k++)
        tell(&c[k], 0);
    for (next = 0; next < MERGED * EACH_MERGED; next++) {
        int64_t n = logs_recv(&in, x, sizeof x, ipc_in_ms(stopped < MERGED ? 1 : LONG_MS));

        if (stopped < MERGED && (n < 0 || chance(100) == 0)) {
            signal_child(&c[stopped], SIGCONT);
            stopped = MERGED;
        } else if (next % 1000 == 999) {
            signal_child(&c[stopped = (unsigned)chance(MERGED)], SIGSTOP);
        }
        if (n < 0) {
            IS(n, -ETIMEDOUT);
            next--;
            continue;
        }
        IS(x[0], next);
        IS(logs_source(&in, &from), 0);
        IS(from.late, 0);
    }
    for (k = 0; k < MERGED; k++) {
        signal_child(&c[k], SIGCONT);
        finish(&c[k]);
    }
    logs_consumer_detach(&in);
    ipc_shm_close(&shm);
    MUST(munmap(counter, 4096) == 0);
}

/* One producer is silent: what others send comes all the same, once the consumer's patience is
 * over, or at once when the silent one is killed. */
static void a_silent_producer_holds_up_for_a_while(void **state)
{
    uint64_t i, x[2];
    struct logs_producer out;
    struct logs_consumer in;
    struct ipc_record_sender from;
    struct child c;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(logs_producer_create(&out, &shm, "logs", 4096, 2), 0);
    IS(logs_consumer_open(&in, &shm, "logs"), 0);
    logs_merge(&in, 2000000);
    c = spawn(sends_its_id, NULL);
    tell(&c, 5);
    x[0] = hear(&c); /* its id; it is about to send one record, and to be killed */
    IS(logs_recv(&in, x, sizeof x, ipc_in_ms(LONG_MS)), 16);
    (void)reap(&c);
    c = spawn(sends_its_id_when_told, NULL);
    (void)hear(&c);
    for (i = 0; i < 20; i++) {
        x[0] = UINT64_MAX - 20 + i;
        IS(logs_push(&out, x, 8), 0);
        IS(logs_recv(&in, x, sizeof x, ipc_in_ms(LONG_MS)), 8);
        IS(x[0], UINT64_MAX - 20 + i);
    }
    tell(&c, 0); /* it comes late */
    IS(logs_recv(&in, x, sizeof x, ipc_in_ms(LONG_MS)), 16);
    IS(logs_source(&in, &from), 0);
    IS(from.late, 1);
    logs_merge(&in, IPC_FOREVER);
    x[0] = UINT64_MAX;
    IS(logs_push(&out, x, 8), 0);
    IS(logs_recv(&in, x, sizeof x, ipc_in_ms(10)), -ETIMEDOUT);
    kill_child(&c);
    IS(logs_recv(&in, x, sizeof x, ipc_in_ms(LONG_MS)), 8);
    logs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

static void ends_when_told(struct child *up, void *arg)
{
    struct logs_producer out;
    struct ipc_shm seg;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(logs_producer_create(&out, &seg, "logs", 256, 1), 0);
    IS(logs_push(&out, "abc", 3), 0);
    tell(up, 0);
    (void)hear(up);
    if (*(const int *)arg)
        (void)kill(getpid(), SIGKILL);
    logs_producer_detach(&out);
    ipc_shm_close(&seg);
}

static void waits_end_with_a_reason(void **state)
{
    int dies;

    (void)state;
    for (dies = 0; dies < 2; dies++) {
        struct logs_producer out;
        struct logs_consumer in;
        struct child c;
        char x[256];
        size_t n;

        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        c = spawn(ends_when_told, &dies);
        shm.deadline = ipc_in_ms(LONG_MS);
        IS(logs_consumer_open(&in, &shm, "logs"), 0);
        (void)hear(&c);
        IS(logs_consumer_wait(&in, IPC_NOW), 0);
        IS(logs_recv(&in, x, 2, IPC_FOREVER), -EMSGSIZE);
        MUST(logs_peek(&in, &n) != NULL && n == 3);
        IS(logs_recv(&in, x, sizeof x, IPC_NOW), 3);
        IS(logs_recv(&in, x, sizeof x, ipc_in_ms(10)), -ETIMEDOUT);
        tell(&c, 0);
        IS(logs_recv(&in, x, sizeof x, IPC_FOREVER), dies ? -EOWNERDEAD : -EPIPE);
        IS(logs_recv(&in, x, sizeof x, ipc_in_ms(10)), -ETIMEDOUT);
        (void)reap(&c);
        IS(logs_producer_create(&out, &shm, "logs", 512, 1), -EPROTO);
        IS(logs_producer_create(&out, &shm, "logs", 256, 2), -EPROTO);
        IS(logs_producer_create(&out, &shm, "other", 256, 65), -EINVAL);
        IS(logs_producer_create(&out, &shm, "other", 256, 64), 0); /* its name is free */
        IS(logs_producer_create(&out, &shm, "logs", 256, 1), 0);
        IS(logs_send(&out, x, 121, IPC_FOREVER), -EMSGSIZE);
        IS(logs_producer_wait(&out, 121, IPC_FOREVER), -EMSGSIZE);
        IS(logs_send(&out, x, 120, IPC_NOW), 0);
        IS(logs_send(&out, x, 120, ipc_in_ms(10)), -ETIMEDOUT);
        logs_consumer_detach(&in);
        IS(logs_send(&out, x, 120, IPC_FOREVER), -EPIPE);
        IS(logs_producer_wait(&out, 8, IPC_FOREVER), 0);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* ------------------------------------------------------------------ main */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_goes_in_comes_out_in_its_order),
        TEST(a_producer_begins_where_the_last_one_left),
        TEST(the_longest_record_fits_at_every_offset),
        TEST(a_drained_lane_has_room_for_the_longest),
        TEST(claims_stay_where_they_are),
        TEST(a_post_publishes_what_is_put_off),
        TEST(a_claim_that_is_refused_drops_the_one_before),
        TEST(batches_are_whole_records),
        TEST(edges_have_names),
        TEST(a_new_consumer_sees_little_again),
        TEST(a_half_written_record_was_never_there),
        TEST(a_new_producer_goes_on_behind_its_own_records),
        TEST(a_lane_that_becomes_free_behind_us_is_found),
        TEST(sources_and_ends_are_told),
        TEST(merging_waits_for_silent_lanes),
        TEST(scribbling_hangs_and_crashes_nobody),
        TEST(flows_are_received_whole),
        TEST(the_killed_cost_the_others_nothing),
        TEST(a_restarted_producer_overtakes_nothing),
        TEST(the_end_of_each_producer_is_told_once),
        TEST(a_sleeping_consumer_is_told_of_an_end),
        TEST(merged_records_are_in_order),
        TEST(a_silent_producer_holds_up_for_a_while),
        TEST(waits_end_with_a_reason),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
