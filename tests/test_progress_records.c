/*
 * Progress of records: whatever producers and the consumer hold, and for however long, every
 * committed record is had by a consumer, a producer has room if its lane has, and a lane from which
 * all was taken has room for the longest record.
 *
 * Several producers, more than there are lanes, make random calls. Some hold claims for long,
 * leave, come back, or are killed; the consumer holds what it peeked, leaves, comes back, or is
 * killed.
 * After each call the test looks: it takes all that is there, tries whether there is room, attaches
 * another producer, and asks which have ended. The memory is restored after each look, so looks
 * change nothing.
 *
 * IPC_PROGRESS_STEPS is the number of calls (1,000,000 by default).
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#define _GNU_SOURCE
#include "chance.h"
#include "ipc_ring.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { HANDLES = 4, LANES = 3, STEPS_OF_A_RING = 400, RECORDS = 8 * STEPS_OF_A_RING };
enum { IDS = 4 * STEPS_OF_A_RING, LARGEST = 512, REMEMBERED = 22 };

/* A producer, and what it holds. */
struct party {
    int attached;
    struct ipc_peer me;
    struct ipc_record_producer p;
    unsigned lane;
    size_t claimed; /* bytes of its claim, or 0 */
};

/* What should be in a lane. */
struct lane {
    uint64_t record[RECORDS]; /* the numbers of its records */
    unsigned taken, sent;
    uint64_t id[IDS]; /* of its producers, in their order */
    unsigned char killed[IDS]; /* by term: it did not leave */
    unsigned terms, reported;
    int held; /* the last of them is attached, and alive */
};

static struct {
    uint64_t capacity;
    unsigned lanes;
    int merges;
    int once; /* the consumer publishes each record, and may be killed */
    size_t size;
    unsigned char *mem;
    struct party producer[HANDLES];
    struct ipc_peer me;
    struct ipc_record_consumer c;
    struct lane lane[LANES];
    uint64_t ids, sent;
    struct {
        size_t n;
        unsigned term;
    } record[RECORDS];
} now;

static unsigned char dead[IDS];

static int lives(void *arg, uint64_t id)
{
    (void)arg;
    return id >= IDS || !dead[id];
}

static struct ipc_peer peer(void)
{
    struct ipc_peer me = {++now.ids, lives, NULL, NULL, NULL, "", NULL, NULL};

    return me;
}

/* ------------------------------------------------------------------ what handles do */

static unsigned lane_of(const struct ipc_record_producer *p)
{
    unsigned i = 0;

    while (p->head != ipc_record_head_((struct ipc_record_shared *)(void *)now.mem, now.lanes, i))
        i++;
    return i;
}

/* Attaches, if there is a lane. */
static void attach(struct party *who)
{
    unsigned i, held = 0;
    int rc = ipc_record_producer_attach(&who->p, now.mem, now.size, &who->me);

    for (i = 0; i < now.lanes; i++)
        held += now.lane[i].held != 0;
    assert_int_equal(rc, held < now.lanes ? 0 : -EBUSY);
    who->attached = rc == 0;
    who->claimed = 0;
    if (rc != 0)
        return;
    who->lane = lane_of(&who->p);
    assert_false(now.lane[who->lane].held);
    now.lane[who->lane].held = 1;
    now.lane[who->lane].id[now.lane[who->lane].terms++] = who->me.id;
}

static void ends(struct party *who)
{
    who->attached = 0;
    now.lane[who->lane].held = 0;
}

/* A record of this producer is in its lane. */
static void sent(const struct party *who, size_t n)
{
    struct lane *l = &now.lane[who->lane];

    now.record[now.sent].n = n;
    now.record[now.sent].term = l->terms - 1;
    l->record[l->sent++] = now.sent++;
}

static void produce(struct party *who)
{
    size_t most = (size_t)now.capacity / 2 - 8, n = 8 + (size_t)chance(chance(3) ? 9 : most - 7);
    unsigned char x[LARGEST] = {0};
    void *at;
    int rc;

    if (!who->attached) {
        if (dead[who->me.id])
            who->me = peer();
        attach(who);
        return;
    }
    switch (chance(who->claimed != 0 ? 6 : 10)) {
    case 0: /* leaves */
        ipc_record_producer_detach(&who->p);
        ends(who);
        return;
    case 1: /* is killed */
        dead[who->me.id] = 1;
        now.lane[who->lane].killed[now.lane[who->lane].terms - 1] = 1;
        ends(who);
        return;
    case 2: /* goes on with what it holds */
    case 3:
        if (who->claimed == 0) {
            at = ipc_record_claim(&who->p, n);
            who->claimed = at != NULL ? n : 0;
            return;
        }
        memcpy(who->p.data + (who->p.at & who->p.mask) + 8, &now.sent, 8);
        n = 8 + (size_t)chance(who->claimed - 7);
        assert_int_equal(ipc_record_commit(&who->p, n), 0);
        sent(who, n);
        who->claimed = 0;
        return;
    case 4:
        ipc_record_cancel(&who->p);
        who->claimed = 0;
        return;
    case 5: /* holds it */
        return;
    default:
        memcpy(x, &now.sent, 8);
        rc = ipc_record_push(&who->p, x, n);
        assert_true(rc == 0 || rc == -EAGAIN);
        if (rc == 0)
            sent(who, n);
    }
}

/* The consumer has this record, which must be the next of its lane, and with merging of all. */
static void got(const struct ipc_record_consumer *c, const unsigned char *at, size_t n,
                const unsigned *taken, uint64_t least)
{
    struct ipc_record_sender from;
    uint64_t number;
    const struct lane *l;

    memcpy(&number, at, 8);
    assert_int_equal(ipc_record_source(c, &from), 0);
    assert_true(from.lane < now.lanes);
    l = &now.lane[from.lane];
    assert_true(taken[from.lane] < l->sent);
    assert_int_equal(number, l->record[taken[from.lane]]);
    assert_int_equal(n, now.record[number].n);
    assert_int_equal(from.late, 0);
    if (l->terms - now.record[number].term <= REMEMBERED)
        assert_int_equal(from.id, l->id[now.record[number].term]);
    if (now.merges)
        assert_true(number >= least);
}

static void consumer_attaches(void)
{
    unsigned i;

    now.me = peer();
    assert_int_equal(ipc_record_consumer_attach(&now.c, now.mem, now.size, &now.me), 0);
    if (now.once)
        ipc_record_replay(&now.c, 0);
    if (now.merges)
        ipc_record_merge(&now.c, 0, NULL);
    for (i = 0; i < now.lanes; i++) {
        struct lane *l = &now.lane[i];

        if (l->taken < l->sent)
            l->reported = now.record[l->record[l->taken]].term;
        else
            l->reported = l->terms - (l->held != 0);
    }
}

/* One report of an end, or none. Returns 1, or 0. */
static int hears(struct ipc_record_consumer *c, unsigned *reported)
{
    struct ipc_record_sender who;
    const struct lane *l;
    int rc = ipc_record_ended(c);

    if (rc == 0)
        return 0;
    assert_int_equal(ipc_record_source(c, &who), 0);
    assert_true(who.lane < now.lanes);
    l = &now.lane[who.lane];
    if (l->terms - reported[who.lane] > REMEMBERED)
        reported[who.lane] = l->terms - REMEMBERED;
    assert_true(reported[who.lane] < l->terms - (l->held != 0));
    assert_int_equal(who.id, l->id[reported[who.lane]]);
    assert_int_equal(rc, l->killed[reported[who.lane]] ? -EOWNERDEAD : -EPIPE);
    reported[who.lane]++;
    return 1;
}

static void consume(void)
{
    unsigned taken[LANES], reported[LANES], i;
    unsigned char x[LARGEST];
    const void *at;
    int64_t rc;
    size_t n;

    for (i = 0; i < now.lanes; i++) {
        taken[i] = now.lane[i].taken;
        reported[i] = now.lane[i].reported;
    }
    switch (chance(12)) {
    case 0: /* leaves */
        ipc_record_consumer_detach(&now.c);
        consumer_attaches();
        return;
    case 1: /* is killed */
        if (now.once) {
            dead[now.me.id] = 1;
            consumer_attaches();
        }
        return;
    case 2:
    case 3:
    case 4: /* holds what it peeked */
        at = ipc_record_peek(&now.c, &n);
        if (at != NULL)
            got(&now.c, (const unsigned char *)at, n, taken, 0);
        return;
    case 5:
    case 6: /* hears of those that have ended */
        if (hears(&now.c, reported))
            for (i = 0; i < now.lanes; i++)
                now.lane[i].reported = reported[i];
        return;
    default:
        rc = ipc_record_pop(&now.c, x, sizeof x);
        if (rc >= 0) {
            got(&now.c, x, (size_t)rc, taken, 0);
            now.lane[now.c.lane].taken++;
        }
        assert_true(rc >= 0 || rc == -EAGAIN);
    }
}

/* ------------------------------------------------------------------ looking */

/* Has a producer room for n bytes when its lane has, but for an eighth that is not published? */
static void look_for_room(const struct party *who)
{
    struct ipc_record_producer p = who->p;
    uint64_t head = who->lane == now.c.lane ? now.c.head : now.c.heads[who->lane];
    uint64_t row = now.capacity - p.tail % now.capacity, bytes, need, room;
    unsigned char x[LARGEST] = {0};
    size_t n = (size_t)chance(now.capacity / 2 - 7);
    int rc;

    bytes = (n + 15) / 8 * 8;
    need = (bytes > row ? row : 0) + bytes + 8;
    room = now.capacity - (p.tail - head);
    rc = ipc_record_push(&p, x, n);
    assert_true(rc == 0 || rc == -EAGAIN);
    if (need > room)
        assert_int_equal(rc, -EAGAIN);
    if (need + (now.once || now.merges ? 0 : now.capacity / 8) <= room)
        assert_int_equal(rc, 0);
}

/* All records are there, in their order, and no others. Returns the consumer that has taken them,
 * and has not looked again since. */
static struct ipc_record_consumer look_for_records(void)
{
    static unsigned char was[1 << 13];
    struct ipc_record_consumer c = now.c, again;
    unsigned taken[LANES], left = 0, i;
    unsigned char x[LARGEST];
    uint64_t least = 0;

    for (i = 0; i < now.lanes; i++) {
        taken[i] = now.lane[i].taken;
        left += now.lane[i].sent - now.lane[i].taken;
    }
    for (; left > 0; left--) {
        int64_t n = ipc_record_pop(&c, x, sizeof x);

        assert_true(n >= 8);
        got(&c, x, (size_t)n, taken, least);
        memcpy(&least, x, 8);
        taken[c.lane]++;
    }
    again = c;
    memcpy(was, now.mem, now.size);
    assert_int_equal(ipc_record_pop(&again, x, sizeof x), -EAGAIN);
    memcpy(now.mem, was, now.size);
    return c;
}

/* All are told of that have ended. */
static void look_for_ends(struct ipc_record_consumer *c)
{
    unsigned reported[LANES], i;

    for (i = 0; i < now.lanes; i++)
        reported[i] = now.lane[i].reported;
    while (hears(c, reported))
        ;
    for (i = 0; i < now.lanes; i++)
        assert_int_equal(reported[i], now.lane[i].terms - (now.lane[i].held != 0));
}

static void look(void)
{
    static unsigned char was[1 << 13];
    size_t most = (size_t)now.capacity / 2 - 8;
    unsigned char x[LARGEST] = {0};
    struct ipc_record_consumer c;
    unsigned i, held = 0;

    memcpy(was, now.mem, now.size);
    for (i = 0; i < HANDLES; i++) {
        if (!now.producer[i].attached || now.producer[i].claimed != 0)
            continue;
        look_for_room(&now.producer[i]);
        memcpy(now.mem, was, now.size);
    }
    c = look_for_records();
    look_for_ends(&c);
    for (i = 0; i < HANDLES; i++) {
        struct ipc_record_producer p = now.producer[i].p;

        held += now.producer[i].attached != 0;
        if (now.producer[i].attached && now.producer[i].claimed == 0)
            assert_int_equal(ipc_record_push(&p, x, most), 0);
    }
    if (held < now.lanes) {
        struct ipc_record_producer p;
        uint64_t ids = now.ids;
        struct ipc_peer me = peer();

        now.ids = ids;
        assert_int_equal(ipc_record_producer_attach(&p, now.mem, now.size, &me), 0);
        assert_int_equal(ipc_record_push(&p, x, most), 0);
    }
    memcpy(now.mem, was, now.size);
}

static uint64_t run(uint64_t steps)
{
    uint64_t done;

    for (done = 0; done < steps; done++) {
        if (chance(2) != 0)
            produce(&now.producer[chance(HANDLES)]);
        else
            consume();
        look();
    }
    return done;
}

static void ring(void)
{
    unsigned i;

    memset(&now, 0, sizeof now);
    memset(dead, 0, sizeof dead);
    now.capacity = UINT64_C(64) << chance(4);
    now.lanes = 1 + (unsigned)chance(LANES);
    now.once = chance(2) != 0;
    now.merges = chance(2) != 0;
    now.size = ipc_record_footprint(now.capacity, now.lanes);
    now.mem = (unsigned char *)aligned_alloc(64, now.size);
    assert_non_null(now.mem);
    assert_int_equal(ipc_record_init(now.mem, now.size, now.capacity, now.lanes), 0);
    consumer_attaches();
    for (i = 0; i < HANDLES; i++) {
        now.producer[i].me = peer();
        attach(&now.producer[i]);
    }
}

static void every_record_and_all_room_is_had(void **state)
{
    const char *asked = getenv("IPC_PROGRESS_STEPS");
    uint64_t steps = asked != NULL ? strtoull(asked, NULL, 10) : 1000000, done = 0;

    (void)state;
    while (done < steps) {
        ring();
        done += run(STEPS_OF_A_RING);
        free(now.mem);
    }
    print_message("%llu calls\n", (unsigned long long)done);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_record_and_all_room_is_had)};

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
