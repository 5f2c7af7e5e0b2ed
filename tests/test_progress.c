/*
 * Progress with many at an end: whatever the other handles hold, and for however long, a handle
 * that holds nothing gets a message if there is one that nobody holds, and room if there is room.
 *
 * Several handles make random calls. Some hold slots for long, hand back what they hold, or die
 * with it. After each call a handle that holds nothing looks at the ring: it must get exactly the
 * messages that nobody holds, and must then be able to push into every slot that nobody holds. The
 * memory is restored after each look, so looks change nothing.
 *
 * IPC_PROGRESS_STEPS is the number of calls (200,000 by default).
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

enum { HANDLES = 4, LARGEST = 16, BATCH = 6, STEPS_OF_A_RING = 400, IDS = 1 << 16 };
enum { NOBODY = 0, SENT = 1, GONE = 2, HELD = 16 }; /* HELD + consumer */

/* A handle and what it holds. */
struct party {
    int attached;
    struct ipc_peer me;
    struct ipc_mpmc_producer p;
    struct ipc_mpmc_consumer c;
    uint64_t message; /* what a consumer has peeked */
};

static struct {
    uint64_t capacity;
    unsigned how, ends;
    size_t size;
    unsigned char *mem;
    struct party producer[HANDLES], consumer[HANDLES];
    unsigned producers, consumers;
    uint64_t ids; /* given to parties so far */
    uint64_t sent;
    unsigned char where[IDS]; /* each message is: NOBODY to HELD + consumer */
} now;

static unsigned char dead[IDS]; /* by party id */

static int lives(void *arg, uint64_t id)
{
    (void)arg;
    return id >= IDS || !dead[id];
}

static void attach(struct party *who, int producer)
{
    struct ipc_peer me = {++now.ids, lives, NULL, NULL, NULL, "", NULL, NULL};
    int rc;

    memset(who, 0, sizeof *who);
    who->me = me;
    rc = producer ? ipc_mpmc_producer_attach(&who->p, now.mem, now.size, 8, &who->me, now.ends)
                  : ipc_mpmc_consumer_attach(&who->c, now.mem, now.size, 8, &who->me, now.ends);
    assert_int_equal(rc, 0);
    who->attached = 1;
}

/* ------------------------------------------------------------------ what handles do */

static void produce(struct party *who)
{
    uint64_t m[BATCH], n = 1 + chance(BATCH), i;
    int64_t rc = 0;

    for (i = 0; i < n; i++)
        m[i] = now.sent + i;
    if (!who->attached) {
        attach(who, 1);
    } else if (who->p.m.claimed != 0) {
        uint64_t *slot = (uint64_t *)ipc_mpmc_claim(&who->p);

        assert_non_null(slot);
        switch (chance(5)) {
        case 0: /* holds it */
        case 1:
            break;
        case 2:
            ipc_mpmc_cancel(&who->p);
            break;
        case 3: /* is killed */
            dead[who->me.id] = 1;
            who->attached = 0;
            break;
        default:
            *slot = now.sent;
            rc = ipc_mpmc_commit(&who->p) == 0 ? 1 : -EAGAIN;
        }
    } else {
        switch (chance(8)) {
        case 0:
            ipc_mpmc_producer_detach(&who->p);
            attach(who, 1);
            break;
        case 1:
        case 2:
            (void)ipc_mpmc_claim(&who->p);
            break;
        case 3:
        case 4:
            rc = ipc_mpmc_push_n(&who->p, m, 8, n);
            break;
        default:
            rc = ipc_mpmc_push(&who->p, m, 8) == 0 ? 1 : -EAGAIN;
        }
    }
    assert_true(rc >= 0 || rc == -EAGAIN);
    for (; rc > 0; rc--)
        now.where[now.sent++] = SENT;
}

/* A consumer has got this message. */
static void got(uint64_t message, int then)
{
    assert_true(message < now.sent);
    assert_int_equal(now.where[message], SENT);
    now.where[message] = (unsigned char)then;
}

static void consume(struct party *who)
{
    uint64_t m[BATCH];
    const uint64_t *slot;
    int64_t rc = 0, i;

    if (!who->attached) {
        attach(who, 0);
    } else if (who->c.m.claimed != 0) {
        assert_int_equal(*(const uint64_t *)ipc_mpmc_peek(&who->c), who->message);
        switch (chance(5)) {
        case 0: /* holds it */
        case 1:
            break;
        case 2: /* hands it back */
            ipc_mpmc_consumer_detach(&who->c);
            now.where[who->message] = SENT;
            attach(who, 0);
            break;
        case 3: /* is killed */
            dead[who->me.id] = 1;
            who->attached = 0;
            now.where[who->message] = (now.how & IPC_MPMC_AT_LEAST_ONCE) != 0 ? SENT : GONE;
            break;
        default:
            assert_int_equal(ipc_mpmc_release(&who->c), 0);
            now.where[who->message] = GONE;
        }
    } else {
        switch (chance(7)) {
        case 0:
            ipc_mpmc_consumer_detach(&who->c);
            attach(who, 0);
            break;
        case 1:
        case 2:
            slot = (const uint64_t *)ipc_mpmc_peek(&who->c);
            if (slot != NULL)
                got(who->message = *slot, HELD);
            break;
        case 3:
            rc = ipc_mpmc_pop_n(&who->c, m, 8, 1 + chance(BATCH));
            break;
        default:
            rc = ipc_mpmc_pop(&who->c, m, 8) == 0 ? 1 : -EAGAIN;
        }
    }
    assert_true(rc >= 0 || rc == -EAGAIN);
    for (i = 0; i < rc; i++)
        got(m[i], GONE);
}

/* ------------------------------------------------------------------ looking */

/* Slots that handles hold. A single producer's claim is not visible to others; a single consumer
 * that would see its message again leaves what it peeked in its slot. */
static unsigned held(void)
{
    unsigned i, n = 0;

    for (i = 0; i < HANDLES; i++) {
        const struct party *p = &now.producer[i], *c = &now.consumer[i];

        n += p->attached && p->p.m.claimed != 0 && (now.ends & IPC_MPMC_ONE_PRODUCER) == 0;
        n += c->attached && c->c.m.claimed != 0;
    }
    return n;
}

/* Gives a handle of that end that holds nothing: a copy of an attached one, or a new one. Returns 0
 * if there can be none. */
static int borrow(struct party *to, const struct party *all, unsigned count, int producer)
{
    const struct party *one = &all[chance(count)];
    int held = one->attached && (producer ? one->p.m.claimed : one->c.m.claimed) != 0;
    int alone = (now.ends & (producer ? IPC_MPMC_ONE_PRODUCER : IPC_MPMC_ONE_CONSUMER)) != 0;

    if (alone && held)
        return 0;
    if (one->attached && !held && (alone || chance(2)))
        *to = *one;
    else
        attach(to, producer);
    return 1;
}

static void look(void)
{
    static unsigned char was[1 << 14];
    struct party consumer, producer;
    uint64_t ids = now.ids, m, i, left = 0;
    int rc;

    for (i = 0; i < now.sent; i++)
        left += now.where[i] == SENT;
    memcpy(was, now.mem, now.size);
    if (borrow(&consumer, now.consumer, now.consumers, 0)) {
        unsigned char seen[IDS / 64] = {0};

        (void)ipc_mpmc_consumer_recover(&consumer.c, 0); /* as a call does after enough looks */
        for (; (rc = ipc_mpmc_pop(&consumer.c, &m, 8)) == 0; left--) {
            assert_true(m < now.sent);
            assert_int_equal(now.where[m], SENT);
            assert_true(now.sent - m < sizeof seen);
            assert_int_equal(seen[now.sent - m]++, 0);
        }
        assert_int_equal(rc, -EAGAIN);
        assert_int_equal(left, 0);
        if (borrow(&producer, now.producer, now.producers, 1)) {
            for (i = 0; (rc = ipc_mpmc_push(&producer.p, &m, 8)) == 0; i++)
                ;
            assert_int_equal(rc, -EAGAIN);
            assert_int_equal(i, now.capacity - held());
        }
    }
    memcpy(now.mem, was, now.size);
    now.ids = ids;
}

static uint64_t run(uint64_t steps)
{
    uint64_t done;

    for (done = 0; done < steps && now.ids + 4 * HANDLES < IDS && now.sent + BATCH < IDS; done++) {
        if (chance(2) != 0)
            produce(&now.producer[chance(now.producers)]);
        else
            consume(&now.consumer[chance(now.consumers)]);
        look();
    }
    return done;
}

static void ring(unsigned how, unsigned ends, uint64_t capacity)
{
    unsigned i;

    memset(&now.where, 0, sizeof now.where);
    memset(dead, 0, sizeof dead);
    now.capacity = capacity;
    now.how = how;
    now.ends = ends;
    now.ids = 1;
    now.sent = 0;
    now.producers = (ends & IPC_MPMC_ONE_PRODUCER) != 0 ? 1 : HANDLES;
    now.consumers = (ends & IPC_MPMC_ONE_CONSUMER) != 0 ? 1 : HANDLES;
    now.size = ipc_mpmc_footprint(8, capacity, 0);
    now.mem = (unsigned char *)aligned_alloc(64, now.size);
    assert_non_null(now.mem);
    assert_int_equal(ipc_mpmc_init(now.mem, now.size, 8, capacity, how | ends), 0);
    memset(now.producer, 0, sizeof now.producer);
    memset(now.consumer, 0, sizeof now.consumer);
    for (i = 0; i < now.producers; i++)
        attach(&now.producer[i], 1);
    for (i = 0; i < now.consumers; i++)
        attach(&now.consumer[i], 0);
}

static void every_free_message_and_slot_is_had(void **state)
{
    static const unsigned ends[] = {0, IPC_MPMC_ONE_CONSUMER, IPC_MPMC_ONE_PRODUCER, 0};
    const char *asked = getenv("IPC_PROGRESS_STEPS");
    uint64_t steps = asked != NULL ? strtoull(asked, NULL, 10) : 200000, done = 0;
    unsigned i;

    (void)state;
    for (i = 0; done < steps; i++) {
        ring(i % 2 != 0 ? IPC_MPMC_AT_LEAST_ONCE : IPC_MPMC_AT_MOST_ONCE, ends[i / 2 % 4],
             UINT64_C(1) << chance(5));
        done += run(STEPS_OF_A_RING);
        free(now.mem);
    }
    print_message("%llu calls\n", (unsigned long long)done);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_free_message_and_slot_is_had)};

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
