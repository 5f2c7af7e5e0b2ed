/*
 * Broadcasts of records: random calls against a queue, what a lapped reader learns, edges, readers
 * that come, leave and die, successors of writers, hostile memory, and processes. The content of a
 * record follows from its number and length, so that any record can be checked on arrival.
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
#include "steps.h"

IPC_RECORD_BROADCAST(tape)

static struct ipc_shm shm;

enum { LONGEST = 1 << 13, READERS = 3 };

/* The length follows from the number too, so that tests need only remember numbers. */
static size_t length_of(uint64_t number, size_t most)
{
    uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15);

    x ^= x >> 29;
    return (size_t)(x % 5 == 0 ? x / 8 % (most + 1) : x / 8 % (most / 8 + 1));
}

static void check(const void *at, uint64_t number, size_t n, size_t most)
{
    IS(n, length_of(number, most));
    is_filled(at, number, n);
}

/* Makes an empty broadcast whose positions begin at `from`. */
static void start(unsigned char *mem, size_t size, uint64_t capacity, unsigned how, uint64_t from)
{
    struct ipc_record_broadcast_shared *s = (struct ipc_record_broadcast_shared *)(void *)mem;

    IS(ipc_record_broadcast_init(mem, size - 1, capacity, how), -ENOSPC);
    IS(ipc_record_broadcast_init(mem, size, capacity, how), 0);
    s->c.s.head = s->mark[0].oldest = s->mark[0].tail = from;
    s->mark[0].first = s->mark[0].next = 1000;
}

/* ------------------------------------------------------------------ against numbers */

/* One random call of the writer, whose next record is *next. */
static void feed(struct ipc_record_broadcast_producer *p, uint64_t *next)
{
    static unsigned char buffer[3][LONGEST];
    size_t most = ipc_record_broadcast_most(p), n = length_of(*next, most), k;
    struct ipc_record some[3];
    int64_t rc;
    void *at;

    switch (chance(4)) {
    case 0:
        at = ipc_record_broadcast_claim(p, n + (size_t)chance(most + 1 - n));
        if (at == NULL)
            return;
        if (chance(4) == 0) {
            ipc_record_broadcast_cancel(p);
            IS(ipc_record_broadcast_commit(p, 0), -EINVAL);
            return;
        }
        fill(at, *next, n);
        IS(ipc_record_broadcast_commit(p, n), 0);
        IS(ipc_record_broadcast_commit(p, 0), -EINVAL);
        ++*next;
        return;
    case 1:
        for (k = 0; k < 3; k++) {
            some[k].n = length_of(*next + k, most);
            some[k].at = buffer[k];
            fill(buffer[k], *next + k, some[k].n);
        }
        rc = ipc_record_broadcast_push_n(p, some, 3);
        MUST((rc > 0 && rc <= 3) || (rc == -EAGAIN && p->how == IPC_BROADCAST_LOSSLESS));
        *next += rc > 0 ? (uint64_t)rc : 0;
        return;
    default:
        fill(buffer[0], *next, n);
        rc = ipc_record_broadcast_push(p, buffer[0], n);
        MUST(rc == 0 || (rc == -EAGAIN && p->how == IPC_BROADCAST_LOSSLESS));
        *next += rc == 0;
    }
}

struct reader {
    struct ipc_record_broadcast_consumer c;
    uint64_t next, missed;
    int there;
};

/* One random call of a reader, after `sent` records have been sent. */
static void drain(struct reader *r, uint64_t sent, size_t most)
{
    static unsigned char buffer[LONGEST * 2];
    struct ipc_record some[3];
    const void *at;
    int64_t rc, i;
    size_t n;
    int owed = r->c.loss_pending;

    if (chance(3) == 0) {
        at = ipc_record_broadcast_peek(&r->c, &n);
        if (at != NULL) {
            check(at, r->next++, n, most);
            IS(ipc_record_broadcast_release(&r->c), 0);
            IS(ipc_record_broadcast_release(&r->c), -EINVAL);
            return;
        }
        IS(ipc_record_broadcast_release(&r->c), -EINVAL);
        rc = owed || ipc_record_broadcast_missed(&r->c) > r->missed ? -EOVERFLOW : -EAGAIN;
    } else if (chance(2)) {
        rc = ipc_record_broadcast_pop_n(&r->c, buffer, sizeof buffer, some, 3);
        for (i = 0; i < rc; i++)
            check(some[i].at, r->next++, some[i].n, most);
        if (rc > 0 && ipc_record_broadcast_missed(&r->c) > r->missed)
            IS(ipc_record_broadcast_pop(&r->c, buffer, sizeof buffer), -EOVERFLOW);
    } else {
        rc = ipc_record_broadcast_pop(&r->c, buffer, length_of(r->next, most));
        if (rc >= 0)
            check(buffer, r->next++, (size_t)rc, most);
    }
    IS(ipc_record_broadcast_consumer_error(&r->c), 0);
    if (rc == -EAGAIN)
        IS(r->next, sent);
    else if (rc < 0) {
        IS(rc, -EOVERFLOW);
        MUST(r->c.how == IPC_BROADCAST_LOSSY);
    }
    if (ipc_record_broadcast_missed(&r->c) > r->missed) {
        r->next += ipc_record_broadcast_missed(&r->c) - r->missed;
        r->missed = ipc_record_broadcast_missed(&r->c);
        MUST(r->next <= sent);
    }
}

static void every_call(uint64_t capacity, unsigned how, uint64_t from, uint64_t haste)
{
    size_t size = ipc_record_broadcast_footprint(capacity, 0), most;
    unsigned char *mem = guarded(size);
    struct ipc_record_broadcast_producer p;
    struct reader r[READERS];
    uint64_t next = 1000;
    unsigned i, k;

    memset(r, 0, sizeof r);
    start(mem, size, capacity, how, from);
    IS(ipc_record_broadcast_producer_attach(&p, mem, size, NULL), 0);
    most = ipc_record_broadcast_most(&p);
    for (i = 0; i < 3000; i++) {
        k = (unsigned)chance(READERS);
        if (chance(50) == 0) {
            if (r[k].there)
                ipc_record_broadcast_consumer_detach(&r[k].c);
            else {
                IS(ipc_record_broadcast_consumer_attach(&r[k].c, mem, size, NULL), 0);
                r[k].next = next;
                r[k].missed = 0;
            }
            r[k].there = !r[k].there;
        }
        if (chance(500) == 0) {
            ipc_record_broadcast_producer_detach(&p);
            IS(ipc_record_broadcast_producer_attach(&p, mem, size, NULL), 0);
        }
        if (chance(100) < haste)
            feed(&p, &next);
        if (r[k].there)
            drain(&r[k], next, most);
    }
    for (k = 0; k < READERS; k++)
        while (r[k].there && r[k].next < next)
            drain(&r[k], next, most);
    unguard(mem, size);
}

static void every_reader_sees_all_or_knows_what_it_missed(void **state)
{
    static const uint64_t from[] = {0, (UINT64_C(1) << 32) - 8, (UINT64_C(1) << 63) - 24,
                                    UINT64_MAX - 39};
    uint64_t capacity;
    unsigned how;
    size_t k;

    (void)state;
    for (capacity = 64; capacity <= 8192; capacity *= 2)
        for (how = IPC_BROADCAST_LOSSLESS; how <= IPC_BROADCAST_LOSSY; how++)
            for (k = 0; k < 4; k++) {
                every_call(capacity, how, from[k], 30);
                every_call(capacity, how, from[k], 90);
            }
}

/* ------------------------------------------------------------------ lapped */

/* The oldest whole record is next; after a second loss in a row, a newer one. A record that was
 * overwritten is not handed out, wherever the reader was at that moment. */
static void a_lapped_reader_goes_on_at_the_oldest_whole_record(void **state)
{
    enum { SMALL = 1024 };
    size_t size = ipc_record_broadcast_footprint(SMALL, 0), n;
    unsigned char *mem = guarded(size), x[64];
    struct ipc_record_broadcast_producer p;
    struct ipc_record_broadcast_consumer c;
    uint64_t number, i;
    int twice;

    (void)state;
    for (twice = 0; twice < 2; twice++) {
        start(mem, size, SMALL, IPC_BROADCAST_LOSSY, 0);
        IS(ipc_record_broadcast_producer_attach(&p, mem, size, NULL), 0);
        IS(ipc_record_broadcast_consumer_attach(&c, mem, size, NULL), 0);
        for (i = 0; i < 3; i++) {
            IS(ipc_record_broadcast_push(&p, &i, 8), 0);
            MUST(ipc_record_broadcast_peek(&c, &n) != NULL);
            IS(n, 8);
            IS(ipc_record_broadcast_release(&c), 0);
        }
        IS(ipc_record_broadcast_push(&p, &i, 8), 0);
        MUST(ipc_record_broadcast_peek(&c, &n) != NULL);
        for (i = 4; i < 200; i++)
            IS(ipc_record_broadcast_push(&p, &i, 8), 0);
        IS(ipc_record_broadcast_release(&c), -EOVERFLOW);
        IS(ipc_record_broadcast_release(&c), -EINVAL);
        number = 3 + ipc_record_broadcast_missed(&c);
        /* 63 of 16 bytes fit, less what a sixteenth and the word after them take */
        MUST(number >= 200 - 63 && number <= 200 - 58);
        if (twice) {
            for (; i < 400; i++)
                IS(ipc_record_broadcast_push(&p, &i, 8), 0);
            IS(ipc_record_broadcast_pop(&c, x, sizeof x), -EOVERFLOW);
            number = 3 + ipc_record_broadcast_missed(&c);
            MUST(number >= 400 - 6);
        }
        for (; number < i; number++) {
            uint64_t got = 0;

            IS(ipc_record_broadcast_pop(&c, &got, 8), 8);
            IS(got, number);
        }
        IS(ipc_record_broadcast_pop(&c, x, sizeof x), -EAGAIN);
    }
    unguard(mem, size);
}

/* ------------------------------------------------------------------ edges, the dead */

static void edges_have_names(void **state)
{
    size_t size = ipc_record_broadcast_footprint(64, 0), n;
    unsigned char *mem = guarded(size), x[32] = {0};
    struct ipc_record_broadcast_producer p, q;
    struct ipc_record_broadcast_consumer c;
    struct ipc_peer nobody = peer(0), me = peer(7);
    volatile size_t huge = SIZE_MAX; /* volatile: hidden from the compiler's warnings */

    (void)state;
    IS(ipc_record_broadcast_footprint(32, 0), 0);
    IS(ipc_record_broadcast_footprint(65, 0), 0);
    IS(ipc_record_broadcast_footprint(UINT64_C(1) << 63, 0), 0);
    IS(ipc_record_broadcast_producer_attach(&p, mem, size, NULL), -EAGAIN);
    IS(ipc_record_broadcast_push(&p, x, 8), -EAGAIN);
    IS(ipc_record_broadcast_init(mem, size, 64, 2), -EINVAL);
    IS(ipc_record_broadcast_init(mem, size, 32, 0), -EINVAL);
    IS(ipc_record_broadcast_init(mem, size, 64, IPC_BROADCAST_LOSSY), 0);
    IS(ipc_record_broadcast_producer_attach(&p, mem, size, &nobody), -EINVAL);
    IS(ipc_record_broadcast_producer_attach(&p, mem, size - 1, NULL), -EPROTO);
    IS(ipc_record_broadcast_consumer_attach(&c, mem, size - 1, NULL), -EPROTO);
    IS(ipc_record_broadcast_pop(&c, x, 8), -EPROTO);
    MUST(ipc_record_broadcast_peek(&c, &n) == NULL);
    IS(ipc_record_broadcast_producer_attach(&p, mem, size, NULL), 0);
    IS(ipc_record_broadcast_producer_attach(&q, mem, size, &me), -EBUSY);
    IS(ipc_record_broadcast_consumer_attach(&c, mem, size, NULL), 0);
    IS(ipc_record_broadcast_push(&p, x, 25), -EMSGSIZE);
    IS(ipc_record_broadcast_push(&p, x, huge), -EMSGSIZE);
    IS(ipc_record_broadcast_push(&p, x, 24), 0);
    IS(ipc_record_broadcast_pop(&c, x, 23), -EMSGSIZE);
    IS(ipc_record_broadcast_release(&c), 0);
    IS(ipc_record_broadcast_pop(&c, x, 23), -EAGAIN);
    IS(ipc_record_broadcast_push(&p, NULL, 0), 0);
    IS(ipc_record_broadcast_pop(&c, NULL, 0), 0);
    ipc_record_broadcast_producer_detach(&p);
    ipc_record_broadcast_producer_detach(&p);
    ipc_record_broadcast_consumer_detach(&c);
    ipc_record_broadcast_consumer_detach(&c);
    IS(ipc_record_broadcast_push(&p, x, 8), -EINVAL);
    IS(ipc_record_broadcast_pop(&c, x, 8), -EINVAL);
    IS(ipc_record_broadcast_release(&c), -EINVAL);
    unguard(mem, size);
}

static void the_slowest_reader_that_lives_holds_up_the_writer(void **state)
{
    size_t size = ipc_record_broadcast_footprint(256, 0);
    unsigned char *mem = guarded(size), x[120] = {0};
    struct ipc_peer living = peer(6), killed = peer(gone);
    struct ipc_record_broadcast_consumer c[IPC_BROADCAST_SEATS + 1];
    struct ipc_record_broadcast_producer p;
    uint64_t slowest;
    unsigned i, k;

    (void)state;
    for (k = 0; k < 2; k++) {
        start(mem, size, 256, IPC_BROADCAST_LOSSLESS, 64);
        IS(ipc_record_broadcast_producer_attach(&p, mem, size, &living), 0);
        for (i = 0; i < 1000; i++) /* nobody reads */
            IS(ipc_record_broadcast_push(&p, x, i % 121), 0);
        IS(ipc_record_broadcast_consumer_attach(&c[0], mem, size, &living), 0);
        IS(ipc_record_broadcast_consumer_attach(&c[1], mem, size, k ? &killed : &living), 0);
        for (i = 0; ipc_record_broadcast_push(&p, x, 8) == 0; i++)
            ;
        MUST(i >= 14 && i <= 15);
        IS(ipc_record_broadcast_was_readers(&p), k ? 1 : 2); /* when it was refused, it asked */
        MUST(ipc_record_broadcast_was_slowest(&p, &slowest) >= 16 * i);
        MUST(ipc_record_broadcast_was_slowest(&p, &slowest) < 16 * i + 32); /* a SKIP is between */
        for (; i > 0; i--)
            IS(ipc_record_broadcast_pop(&c[0], x, sizeof x), 8);
        IS(ipc_record_broadcast_pop(&c[0], x, sizeof x), -EAGAIN);
        IS(ipc_record_broadcast_was_slowest(&p, &slowest) > 0, !k);
        IS(slowest, k ? 0 : 6);
        for (i = 0; i < 200 && ipc_record_broadcast_push(&p, x, 8) != 0; i++)
            ;
        MUST(k ? i == 0 : i == 200); /* a dead reader refuses nothing */
        if (!k)
            IS(ipc_record_broadcast_pop(&c[1], x, sizeof x), 8);
        ipc_record_broadcast_consumer_detach(&c[1]);
        IS(ipc_record_broadcast_push(&p, x, 8), 0);
    }
    ipc_record_broadcast_consumer_detach(&c[0]);
    for (i = 0; i < IPC_BROADCAST_SEATS; i++)
        IS(ipc_record_broadcast_consumer_attach(&c[i], mem, size, i == 3 ? &killed : &living), 0);
    IS(ipc_record_broadcast_consumer_attach(&c[i], mem, size, &living), 0); /* dead one's seat */
    IS(ipc_record_broadcast_consumer_attach(&c[3], mem, size, &living), -EUSERS);
    IS(ipc_record_broadcast_was_readers(&p), IPC_BROADCAST_SEATS);
    ipc_record_broadcast_consumer_detach(&c[0]);
    IS(ipc_record_broadcast_consumer_attach(&c[0], mem, size, &killed), 0);
    IS(ipc_record_broadcast_producer_recover(&p, 6), 0);
    IS(ipc_record_broadcast_producer_recover(&p, 0), 1);
    IS(ipc_record_broadcast_was_readers(&p), IPC_BROADCAST_SEATS - 1);
    unguard(mem, size);
}

static void there_are_seats_for_as_many_readers_as_asked_for(void **state)
{
    enum { MANY = 200 };
    unsigned how = IPC_BROADCAST_LOSSLESS | IPC_BROADCAST_READERS(MANY), i, n;
    size_t size = ipc_record_broadcast_footprint(256, how);
    unsigned char *mem = guarded(size), x[120];
    static struct ipc_record_broadcast_consumer c[MANY + 1];
    struct ipc_record_broadcast_producer p;

    (void)state;
    IS(ipc_record_broadcast_footprint(256, IPC_BROADCAST_READERS(65537)), 0);
    IS(ipc_record_broadcast_init(mem, size, 256, IPC_BROADCAST_READERS(0)), -EINVAL);
    IS(ipc_record_broadcast_init(mem, size - 1, 256, how), -ENOSPC);
    IS(ipc_record_broadcast_init(mem, size, 256, how), 0);
    IS(ipc_record_broadcast_producer_attach(&p, mem, size - 1, NULL), -EPROTO);
    IS(ipc_record_broadcast_producer_attach(&p, mem, size, NULL), 0);
    for (i = 0; i < MANY; i++)
        IS(ipc_record_broadcast_consumer_attach(&c[i], mem, size, NULL), 0);
    IS(ipc_record_broadcast_consumer_attach(&c[i], mem, size, NULL), -EUSERS);
    IS(ipc_record_broadcast_was_readers(&p), MANY);
    for (n = 0; n < 120; n++) {
        memset(x, (int)n, sizeof x);
        IS(ipc_record_broadcast_push(&p, x, n), 0);
        for (i = 0; i < MANY; i++) {
            IS(ipc_record_broadcast_pop(&c[i], x, sizeof x), n);
            MUST(n == 0 || (x[0] == n && x[n - 1] == n));
        }
    }
    IS(ipc_record_broadcast_push(&p, x, 120), 0);
    IS(ipc_record_broadcast_push(&p, x, 120), -EAGAIN);
    unguard(mem, size);
}

/* ------------------------------------------------------------------ joining, step by step */

enum { JOINED = 256, ROOM = 15 }; /* the capacity; how many records of 8 bytes it has room for */

static struct {
    struct ipc_record_broadcast_producer p;
    unsigned char *mem;
    size_t size;
    uint64_t *sent; /* shared with the child */
} steps;

static void send_in_steps(uint64_t n)
{
    for (; n > 0; n--, ++*steps.sent)
        IS(ipc_record_broadcast_push(&steps.p, steps.sent, 8), 0);
}

/* Each seat had a reader of that id, which left, or died, `behind` records ago. */
static void begin_joining(uint64_t behind, uint64_t id)
{
    struct ipc_record_broadcast_consumer c[IPC_BROADCAST_SEATS];
    struct ipc_peer last = peer(id), me = peer(1);
    unsigned i;

    start(steps.mem, steps.size, JOINED, IPC_BROADCAST_LOSSLESS, 0);
    IS(ipc_record_broadcast_producer_attach(&steps.p, steps.mem, steps.size, &me), 0);
    *steps.sent = 0;
    send_in_steps(3 * ROOM);
    for (i = 0; i < IPC_BROADCAST_SEATS; i++)
        IS(ipc_record_broadcast_consumer_attach(&c[i], steps.mem, steps.size, &last), 0);
    send_in_steps(behind);
    for (i = 0; i < IPC_BROADCAST_SEATS && id != gone; i++)
        ipc_record_broadcast_consumer_detach(&c[i]);
}

/* Joins in steps, and then reads all that was sent from there on. */
static void joins_in_steps(void)
{
    struct ipc_record_broadcast_consumer c;
    struct ipc_peer me = peer(2);
    uint64_t x, least = *steps.sent, next = UINT64_MAX;

    IS(ipc_record_broadcast_consumer_attach(&c, steps.mem, steps.size, &me), 0);
    (void)raise(SIGSTOP);
    for (; ipc_record_broadcast_pop(&c, &x, 8) == 8; next = x + 1)
        MUST(x == next || (next == UINT64_MAX && x >= least));
    MUST(next == *steps.sent || (next == UINT64_MAX && *steps.sent == c.r.head / 16));
    IS(ipc_record_broadcast_consumer_error(&c), 0);
}

/* What the writer does here is undone. */
static void there_is_room(void)
{
    static unsigned char was[1 << 14];
    struct ipc_record_broadcast_producer p = steps.p;
    uint64_t sent = *steps.sent;

    MUST(steps.size <= sizeof was);
    memcpy(was, steps.mem, steps.size);
    send_in_steps(ROOM);
    memcpy(steps.mem, was, steps.size);
    steps.p = p;
    *steps.sent = sent;
}

/* Stopped once, after so many instructions, while the writer goes on for as long as it has room. */
static void stop_a_joining_reader(uint64_t instructions)
{
    pid_t child = begin_steps(joins_in_steps);
    unsigned i;

    while (instructions-- > 0 && step(child))
        ;
    send_in_steps(ROOM);
    for (i = 0; i < 3 * ROOM; i++, ++*steps.sent)
        if (ipc_record_broadcast_push(&steps.p, steps.sent, 8) != 0)
            break;
    end_steps(child);
}

/* Wherever a reader is stopped as it joins, the writer has room for a whole capacity. */
static void a_reader_that_joins_leaves_room_for_a_capacity(void **state)
{
    uint64_t behind, i, id;

    (void)state;
    SKIP_IF(is_emulated(), TRACES_NOBODY);
    steps.size = ipc_record_broadcast_footprint(JOINED, 0);
    steps.mem = (unsigned char *)mmap(NULL, steps.size + 64, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST((void *)steps.mem != MAP_FAILED);
    steps.sent = (uint64_t *)(void *)(steps.mem + steps.size);
    for (behind = 0; behind <= ROOM; behind += SANITIZED ? ROOM + 1 : 5)
        for (id = gone - 1; id <= gone; id++) {
            uint64_t instructions = 0;
            pid_t child;

            begin_joining(behind, id);
            child = begin_steps(joins_in_steps);
            do
                there_is_room();
            while (step(child) && ++instructions);
            there_is_room();
            end_steps(child);
            for (i = 0; i < 4; i++) {
                begin_joining(behind, id);
                stop_a_joining_reader(chance(instructions));
            }
        }
    (void)munmap(steps.mem, steps.size + 64);
}

/* A writer ends while it writes a record, at any position. */
static void a_half_written_record_was_never_there(void **state)
{
    size_t size = ipc_record_broadcast_footprint(256, 0), at, n;
    unsigned char *mem = guarded(size), x[120];
    unsigned how;

    (void)state;
    for (how = IPC_BROADCAST_LOSSLESS; how <= IPC_BROADCAST_LOSSY; how++)
        for (at = 0; at < 256; at += 8)
            for (n = 0; n <= 120; n += 3) {
                struct ipc_peer killed = peer(gone), living = peer(6);
                struct ipc_record_broadcast_producer p;
                struct ipc_record_broadcast_consumer c;
                uint64_t i, got;
                void *half;

                start(mem, size, 256, how, at);
                IS(ipc_record_broadcast_producer_attach(&p, mem, size, &killed), 0);
                for (i = 0; i < n; i++)
                    IS(ipc_record_broadcast_push(&p, &i, 8), 0);
                half = ipc_record_broadcast_claim(&p, n);
                MUST(half != NULL);
                memset(half, 0xff, n);
                IS(ipc_record_broadcast_consumer_attach(&c, mem, size, NULL), 0);
                IS(ipc_record_broadcast_producer_attach(&p, mem, size, &living), 0);
                IS(ipc_record_broadcast_pop(&c, x, sizeof x), -EAGAIN);
                IS(ipc_record_broadcast_missed(&c), 0);
                IS(ipc_record_broadcast_push(&p, &i, 8), 0);
                IS(ipc_record_broadcast_pop(&c, &got, 8), 8);
                IS(got, i);
                if (how == IPC_BROADCAST_LOSSLESS)
                    continue;
                for (i = 0; i < 100; i++)
                    IS(ipc_record_broadcast_push(&p, &i, 8), 0);
                IS(ipc_record_broadcast_pop(&c, &got, 8), -EOVERFLOW);
                IS(ipc_record_broadcast_pop(&c, &got, 8), 8);
                IS(got, ipc_record_broadcast_missed(&c));
            }
    unguard(mem, size);
}

/* ------------------------------------------------------------------ hostile memory */

static void scribbling_hangs_and_crashes_nobody(void **state)
{
    enum { CAPACITY = 256 };
    size_t size = ipc_record_broadcast_footprint(CAPACITY, 0), n;
    unsigned char *mem = guarded(size), x[256] = {0};
    struct ipc_record_broadcast_shared *s = (struct ipc_record_broadcast_shared *)(void *)mem;
    unsigned i, k, bad = 0, refused = 0;

    (void)state;
    for (i = 0; i < 50000; i++) {
        struct ipc_record_broadcast_producer p;
        struct ipc_record_broadcast_consumer c;
        uint64_t *word = (uint64_t *)(void *)(mem + size - CAPACITY);
        uint64_t *marks = (uint64_t *)(void *)s->mark;
        uint64_t evil = chance(4) == 0 ? chance(2048) : chance(UINT64_MAX);

        IS(ipc_record_broadcast_init(mem, size, CAPACITY, i % 2), 0);
        IS(ipc_record_broadcast_producer_attach(&p, mem, size, NULL), 0);
        IS(ipc_record_broadcast_consumer_attach(&c, mem, size, NULL), 0);
        for (k = 0; k < 40; k++) {
            if (chance(4))
                (void)ipc_record_broadcast_push(&p, x, (size_t)chance(121));
            if (chance(2))
                (void)ipc_record_broadcast_pop(&c, x, sizeof x);
            else if (ipc_record_broadcast_peek(&c, &n) != NULL)
                (void)ipc_record_broadcast_release(&c);
            switch (chance(6)) {
            case 0:
                word[chance(CAPACITY / 8)] = evil;
                break;
            case 1:
                word[chance(CAPACITY / 8)] ^= UINT64_C(1) << chance(12);
                break;
            case 2:
                s->c.s.head += chance(2) ? evil : 8;
                ipc_broadcast_seats_at_(s, sizeof *s, 0).seat[chance(2)].head +=
                    chance(2) ? evil : 8;
                break;
            case 3:
                marks[chance(9)] += chance(2) ? evil : 8;
                break;
            default:
                break;
            }
        }
        bad += ipc_record_broadcast_consumer_error(&c) == -EBADMSG;
        MUST(ipc_record_broadcast_consumer_error(&c) == 0 ||
             ipc_record_broadcast_pop(&c, x, 1) == -EBADMSG || c.loss_pending);
        bad += ipc_record_broadcast_producer_error(&p) == -EBADMSG;
        MUST(ipc_record_broadcast_producer_error(&p) == 0 ||
             ipc_record_broadcast_push(&p, x, 0) == -EBADMSG);
        ipc_record_broadcast_producer_detach(&p);
        ipc_record_broadcast_consumer_detach(&c);
        refused += ipc_record_broadcast_producer_attach(&p, mem, size, NULL) == -EBADMSG;
        refused += ipc_record_broadcast_consumer_attach(&c, mem, size, NULL) == -EBADMSG;
        s->c.s.is.capacity = evil;
        MUST(evil <= CAPACITY || ipc_record_broadcast_consumer_attach(&c, mem, size, NULL) != 0);
    }
    MUST(bad > 1000 && refused > 1000);
    unguard(mem, size);
}

/* ------------------------------------------------------------------ processes */

enum { CAPACITY = 1 << 12, MOST = CAPACITY / 2 - 8 };

/* A reader reads from where it begins until record `last`, and reports how many records it missed
 * and got. Each record begins with its number, so that the reader knows where it is. */
struct flow {
    unsigned how;
    uint64_t n;
};

static size_t told_length(uint64_t number)
{
    return 8 + length_of(number, MOST - 8);
}

static void reads_a_flow(struct child *up, void *arg)
{
    const struct flow *how = (const struct flow *)arg;
    static unsigned char buffer[LONGEST];
    struct tape_consumer in;
    struct ipc_shm seg;
    uint64_t number, next = 0, missed = 0, got = 0;
    int begun = 0;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(tape_consumer_open(&in, &seg, "tape"), 0);
    ipc_notify_policy(tape_consumer_bell(&in), 0, 0);
    tell(up, 0);
    while (next < how->n) {
        int64_t rc = tape_recv(&in, buffer, sizeof buffer, IPC_FOREVER);

        if (rc == -EOVERFLOW) {
            MUST(how->how == IPC_BROADCAST_LOSSY);
            next += tape_missed(&in) - missed;
            missed = tape_missed(&in);
            continue;
        }
        if (rc == -EOWNERDEAD || rc == -EPIPE)
            continue;
        MUST(rc >= 8);
        memcpy(&number, buffer, 8);
        next = begun ? next : number;
        begun = 1;
        IS(number, next++);
        IS(rc, told_length(number));
        is_filled(buffer + 8, number, (size_t)rc - 8);
        got++;
    }
    tell(up, got);
    tell(up, tape_missed(&in));
    tape_consumer_detach(&in);
    ipc_shm_close(&seg);
}

static void send_record(struct tape_producer *out, uint64_t number)
{
    static unsigned char buffer[LONGEST];
    size_t n = told_length(number);

    memcpy(buffer, &number, 8);
    fill(buffer + 8, number, n - 8);
    IS(tape_send(out, buffer, n, IPC_FOREVER), 0);
}

/* Every reader gets all records, or knows what it missed; a killed reader holds up nobody. */
static void every_process_gets_all_or_knows_what_it_missed(void **state)
{
    struct flow how;

    (void)state;
    for (how.how = IPC_BROADCAST_LOSSLESS; how.how <= IPC_BROADCAST_LOSSY; how.how++) {
        struct tape_producer out;
        struct child c[READERS];
        uint64_t x, got, missed;
        unsigned k;

        how.n = FLOOD(30000);
        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        IS(tape_producer_create(&out, &shm, "tape", CAPACITY, how.how), 0);
        ipc_notify_policy(tape_producer_bell(&out), 0, 0);
        for (k = 0; k < READERS; k++)
            c[k] = spawn(reads_a_flow, &how);
        for (k = 0; k < READERS; k++)
            (void)hear(&c[k]);
        for (x = 0; x < how.n; x++) {
            send_record(&out, x);
            if (x == how.n / 2)
                kill_child(&c[0]);
        }
        for (k = 1; k < READERS; k++) {
            got = hear(&c[k]);
            missed = hear(&c[k]);
            IS(got + missed, how.n);
            MUST(missed == 0 || how.how == IPC_BROADCAST_LOSSY);
            finish(&c[k]);
        }
        tape_producer_detach(&out);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* The writer goes on where its predecessor stopped, which it learns with a reader of its own. */
static void writes_until_killed(struct child *up, void *arg)
{
    struct tape_producer out;
    struct ipc_shm seg;
    uint64_t x = hear(up);

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(tape_producer_create(&out, &seg, "tape", CAPACITY, *(const unsigned *)arg), 0);
    for (;; x++)
        send_record(&out, x);
}

/* A call returned rc where record `next` should come. Returns which record should come next. */
static uint64_t followed_by(const struct tape_consumer *in, const unsigned char *buffer, int64_t rc,
                            uint64_t next, uint64_t *missed)
{
    uint64_t number, before = *missed;

    if (rc == -EOVERFLOW) {
        *missed = tape_missed(in);
        return next + (*missed - before);
    }
    MUST(rc >= 8);
    memcpy(&number, buffer, 8);
    IS(number, next);
    IS(rc, told_length(number));
    is_filled(buffer + 8, number, (size_t)rc - 8);
    return next + 1;
}

static void a_writer_that_is_killed_is_followed_by_another(void **state)
{
    static unsigned char buffer[LONGEST];
    unsigned how, kills, i;

    (void)state;
    for (how = IPC_BROADCAST_LOSSLESS; how <= IPC_BROADCAST_LOSSY; how++) {
        struct tape_producer out;
        struct tape_consumer in;
        uint64_t next = 0, missed = 0;
        struct child c;

        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        IS(tape_producer_create(&out, &shm, "tape", CAPACITY, how), 0);
        tape_producer_detach(&out);
        IS(tape_consumer_open(&in, &shm, "tape"), 0);
        for (kills = 0; kills < FLOOD(100); kills++) {
            c = spawn(writes_until_killed, &how);
            tell(&c, next);
            for (i = (unsigned)chance(500); i > 0; i--) {
                int64_t rc = tape_recv(&in, buffer, sizeof buffer, IPC_FOREVER);

                if (rc == -EOWNERDEAD || rc == -EPIPE)
                    continue;
                next = followed_by(&in, buffer, rc, next, &missed);
            }
            kill_child(&c);
            for (;;) { /* all that the writer sent is there, and nothing else */
                int64_t rc = tape_pop(&in, buffer, sizeof buffer);

                if (rc == -EAGAIN)
                    break;
                next = followed_by(&in, buffer, rc, next, &missed);
            }
        }
        MUST(next > 1000);
        print_message("note: %u kills in %llu records, %llu missed\n", kills,
                      (unsigned long long)next, (unsigned long long)missed);
        tape_consumer_detach(&in);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* ------------------------------------------------------------------ main */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_reader_sees_all_or_knows_what_it_missed),
        TEST(a_lapped_reader_goes_on_at_the_oldest_whole_record),
        TEST(edges_have_names),
        TEST(the_slowest_reader_that_lives_holds_up_the_writer),
        TEST(there_are_seats_for_as_many_readers_as_asked_for),
        TEST(a_reader_that_joins_leaves_room_for_a_capacity),
        TEST(a_half_written_record_was_never_there),
        TEST(scribbling_hangs_and_crashes_nobody),
        TEST(every_process_gets_all_or_knows_what_it_missed),
        TEST(a_writer_that_is_killed_is_followed_by_another),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("broadcasts of records", tests, NULL, NULL);
}
