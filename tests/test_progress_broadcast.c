/*
 * Progress of lossless broadcasts, of messages and of records: whatever the other readers hold, and
 * for however long, a reader that holds nothing gets the next message, and the writer gets room if
 * the slowest living reader leaves room.
 *
 * A writer and several readers make random calls. Some readers hold a message for long, leave, die,
 * or are stopped as they join. After each call each reader that holds nothing reads all that is
 * there, and the writer pushes until it is refused: then a reader must be in its way. The memory
 * and the handles are restored after each look, so looks change nothing.
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

enum { READERS = 5, BATCH = 4, LONGEST = 24, STEPS_OF_A_RING = 1000 };
enum { IDS = 1 << 14, SPACE = 1 << 14 };

enum state { AWAY, READS, HOLDS, STOPPED /* as it joins */ };

struct reader {
    enum state state;
    struct ipc_peer me;
    uint64_t next;   /* the number of the message that it reads next */
    uint64_t joined; /* STOPPED: the writer's tail when it began to join */
    unsigned seat;   /* STOPPED: its */
    struct ipc_broadcast_consumer slots;
    struct ipc_record_broadcast_consumer records;
};

/* Handles, which looks restore. */
static struct {
    struct ipc_broadcast_producer slots;
    struct ipc_record_broadcast_producer records;
    struct reader reader[READERS];
} are, were;

static struct {
    int records, claimed;
    uint64_t capacity, sent, ids, writer;
    size_t size;
    unsigned char *mem;
} now;

static unsigned char was[SPACE], dead[IDS]; /* dead: by id */

static int lives(void *arg, uint64_t id)
{
    (void)arg;
    return id >= IDS || !dead[id];
}

static struct ipc_peer newcomer(void)
{
    struct ipc_peer me = {++now.ids, lives, NULL, NULL, NULL, "", NULL, NULL};

    return me;
}

/* ------------------------------------------------------------------ both kinds */

static size_t length_of(uint64_t x)
{
    return now.records ? (size_t)(8 * (1 + x % (LONGEST / 8))) : 8;
}

static const struct ipc_broadcast_seats_ *seats(void)
{
    return now.records ? &are.records.readers.seats : &are.slots.readers.seats;
}

static uint64_t tail(void)
{
    return now.records ? are.records.r.tail : are.slots.s.tail;
}

static void attach_writer(void)
{
    struct ipc_peer me = newcomer();

    now.writer = me.id;
    now.claimed = 0;
    assert_int_equal(
        now.records ? ipc_record_broadcast_producer_attach(&are.records, now.mem, now.size, &me)
                    : ipc_broadcast_producer_attach(&are.slots, now.mem, now.size, 8, &me),
        0);
}

static int push(uint64_t x)
{
    uint64_t m[LONGEST / 8] = {x, x, x};

    return now.records ? ipc_record_broadcast_push(&are.records, m, length_of(x))
                       : ipc_broadcast_push(&are.slots, m, 8);
}

static void attach_reader(struct reader *r)
{
    r->me = newcomer();
    r->state = READS;
    r->next = now.sent;
    assert_int_equal(
        now.records ? ipc_record_broadcast_consumer_attach(&r->records, now.mem, now.size, &r->me)
                    : ipc_broadcast_consumer_attach(&r->slots, now.mem, now.size, 8, &r->me),
        0);
}

static void detach_reader(struct reader *r)
{
    if (now.records)
        ipc_record_broadcast_consumer_detach(&r->records);
    else
        ipc_broadcast_consumer_detach(&r->slots);
    r->state = AWAY;
}

/* Checks the message that r got next, if it got one. Returns whether it did. */
static int got(struct reader *r, const uint64_t *m, int64_t n)
{
    if (r->next == now.sent) {
        assert_int_equal(n, -EAGAIN);
        return 0;
    }
    assert_int_equal(n, length_of(r->next));
    assert_int_equal(m[0], r->next);
    return 1;
}

/* Pops, if there is something. */
static int pop(struct reader *r)
{
    uint64_t m[LONGEST / 8];
    int64_t n = now.records ? ipc_record_broadcast_pop(&r->records, m, sizeof m)
                            : ipc_broadcast_pop(&r->slots, m, 8);

    if (!got(r, m, n == 0 && !now.records ? 8 : n))
        return 0;
    r->next++;
    return 1;
}

static int peek(struct reader *r)
{
    size_t n = 8;
    const uint64_t *m = (const uint64_t *)(now.records ? ipc_record_broadcast_peek(&r->records, &n)
                                                       : ipc_broadcast_peek(&r->slots));

    return got(r, m, m != NULL ? (int64_t)n : -EAGAIN);
}

/* The position from which on a reader holds up the writer. One that READS had read all when the
 * tail was `all`. */
static uint64_t position(const struct reader *r, uint64_t all)
{
    uint64_t head = seats()->seat[r->seat].head;

    if (r->state == READS)
        return all;
    if (r->state == HOLDS)
        return now.records ? r->records.r.published : r->slots.s.published;
    if (r->state == AWAY || head >= IPC_BROADCAST_NOWHERE_)
        return tail(); /* it does not */
    assert_true(head >= r->joined);
    return head;
}

/* ------------------------------------------------------------------ what handles do */

static void write_some(void)
{
    void *at;

    if (now.claimed) {
        switch (chance(4)) {
        case 0: /* holds it */
            break;
        case 1:
            if (now.records)
                ipc_record_broadcast_cancel(&are.records);
            else
                ipc_broadcast_cancel(&are.slots);
            now.claimed = 0;
            break;
        default:
            at = now.records ? ipc_record_broadcast_claim(&are.records, length_of(now.sent))
                             : ipc_broadcast_claim(&are.slots);
            assert_non_null(at);
            *(uint64_t *)at = now.sent;
            assert_int_equal(now.records
                                 ? ipc_record_broadcast_commit(&are.records, length_of(now.sent))
                                 : ipc_broadcast_commit(&are.slots),
                             0);
            now.sent++;
            now.claimed = 0;
        }
        return;
    }
    switch (chance(12)) {
    case 0: /* is killed */
        dead[now.writer] = 1;
        attach_writer();
        break;
    case 1:
        if (now.records)
            ipc_record_broadcast_producer_detach(&are.records);
        else
            ipc_broadcast_producer_detach(&are.slots);
        attach_writer();
        break;
    case 2:
    case 3:
        now.claimed = (now.records ? ipc_record_broadcast_claim(&are.records, length_of(now.sent))
                                   : ipc_broadcast_claim(&are.slots)) != NULL;
        break;
    default:
        now.sent += push(now.sent) == 0;
    }
}

static void begin_to_join(struct reader *r)
{
    r->me = newcomer();
    r->joined = tail();
    r->state = STOPPED;
    assert_int_equal(ipc_broadcast_take_seat_(seats(), &r->me, r->me.id, &r->seat), 0);
    if (chance(3) == 0) { /* earlier than that */
        seats()->seat[r->seat].head = IPC_BROADCAST_NOWHERE_;
        if (chance(2))
            seats()->seat[r->seat].reader = r->me.id + 1;
    }
}

static void read_some(struct reader *r)
{
    unsigned i;

    if (r->state == AWAY) {
        if (chance(4) == 0)
            begin_to_join(r);
        else
            attach_reader(r);
    } else if (chance(20) == 0) { /* is killed */
        dead[r->me.id] = 1;
        r->state = AWAY;
    } else if (r->state == HOLDS && chance(4) == 0) {
        assert_true(peek(r)); /* it is as it was */
        assert_int_equal(now.records ? ipc_record_broadcast_release(&r->records)
                                     : ipc_broadcast_release(&r->slots),
                         0);
        r->next++;
        r->state = READS;
    } else if (r->state == READS) {
        switch (chance(10)) {
        case 0:
            detach_reader(r);
            break;
        case 1:
        case 2:
            r->state = peek(r) ? HOLDS : READS;
            break;
        default:
            for (i = (unsigned)chance(BATCH); i > 0 && pop(r); i--)
                ;
        }
    } else if (r->state == HOLDS && chance(20) == 0) {
        detach_reader(r);
    }
}

/* ------------------------------------------------------------------ looking */

/* What the writer needs behind its tail for message x. */
static uint64_t need(uint64_t x)
{
    uint64_t bytes = length_of(x) + 8, row = now.capacity - tail() % now.capacity;

    return now.records ? (bytes > row ? row : 0) + bytes + 8 : 1;
}

static void look(void)
{
    uint64_t sent = now.sent, all = tail(), least, wanted;
    unsigned i;

    memcpy(was, now.mem, now.size);
    were = are;
    for (i = 0; i < READERS; i++)
        while (are.reader[i].state == READS && pop(&are.reader[i]))
            ;
    if (!now.claimed) {
        if (now.records)
            (void)ipc_record_broadcast_producer_recover(&are.records, 0);
        else
            (void)ipc_broadcast_producer_recover(&are.slots, 0);
        for (; now.sent < sent + 2 * now.capacity && push(now.sent) == 0; now.sent++)
            ;
        least = tail();
        wanted = tail() + need(now.sent) - now.capacity;
        for (i = 0; i < READERS; i++)
            if (position(&are.reader[i], all) < least)
                least = position(&are.reader[i], all);
        assert_true(now.sent == sent + 2 * now.capacity || (int64_t)(wanted - least) > 0);
        assert_true((int64_t)(tail() - now.capacity - least) <= 0);
    }
    for (i = 0; i < READERS; i++)
        assert_true(are.reader[i].state != HOLDS || peek(&are.reader[i]));
    memcpy(now.mem, was, now.size);
    are = were;
    now.sent = sent;
}

static uint64_t run(uint64_t steps)
{
    uint64_t done;

    for (done = 0; done < steps && now.ids + 2 < IDS; done++) {
        if (chance(2) != 0)
            write_some();
        else
            read_some(&are.reader[chance(READERS)]);
        look();
    }
    return done;
}

static void begin(int records, uint64_t capacity)
{
    memset(&are, 0, sizeof are);
    memset(dead, 0, sizeof dead);
    now.records = records;
    now.capacity = capacity;
    now.ids = now.sent = 0;
    now.size = records ? ipc_record_broadcast_footprint(capacity, 0)
                       : ipc_broadcast_footprint(8, capacity, 0);
    assert_true(now.size <= sizeof was);
    now.mem = (unsigned char *)aligned_alloc(64, (now.size + 63) / 64 * 64);
    assert_non_null(now.mem);
    assert_int_equal(records ? ipc_record_broadcast_init(now.mem, now.size, capacity, 0)
                             : ipc_broadcast_init(now.mem, now.size, 8, capacity, 0),
                     0);
    attach_writer();
}

static void every_free_reader_reads_and_the_writer_has_what_room_there_is(void **state)
{
    const char *asked = getenv("IPC_PROGRESS_STEPS");
    uint64_t steps = asked != NULL ? strtoull(asked, NULL, 10) : 1000000, done = 0;
    unsigned i;

    (void)state;
    for (i = 0; done < steps; i++) {
        begin(i % 2 != 0, i % 2 != 0 ? UINT64_C(64) << chance(3) : UINT64_C(1) << chance(5));
        done += run(STEPS_OF_A_RING);
        free(now.mem);
    }
    print_message("%llu calls\n", (unsigned long long)done);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_free_reader_reads_and_the_writer_has_what_room_there_is)};

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
