/*
 * Broadcasts: every size and position against a counter, with readers that come and go; edges,
 * hostile memory, and processes that wait, end, are stopped, and are killed at random. The message
 * at position x is x, so that what each reader gets and misses can be checked.
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
#define LATE_MS 500   /* limit for what takes 10 ms, on a busy machine */
#define HANG_S 300
#include "chance.h"
#include "harness.h"
#include "steps.h"

struct news {
    uint64_t x, body[5], same;
};
IPC_BROADCAST(news, struct news)

static struct ipc_shm shm;

static struct news make(uint64_t x)
{
    struct news n = {x, {~x, x + 1, x + 2, x + 3, x + 4}, x};

    return n;
}

static void check(const struct news *n, uint64_t x)
{
    struct news good = make(x);

    IS(n->x, x);
    MUST(memcmp(n, &good, sizeof good) == 0);
}

/* ------------------------------------------------------------------ against a counter */

enum { READERS = 5, LARGEST = 300 };

struct reader {
    struct ipc_broadcast_consumer c;
    int there;
    uint64_t head, missed, skip; /* the expected values */
};

static struct {
    size_t bytes;
    uint64_t capacity, tail;
    int lossy, busy; /* busy: claimed, not committed */
    struct ipc_broadcast_producer p;
    struct reader reader[READERS];
    void *mem;
    size_t size;
} now;

static void fill(unsigned char *to, uint64_t x)
{
    size_t k;

    for (k = 0; k < now.bytes; k++)
        to[k] = (unsigned char)(k < 8 ? x >> 8 * k : x + k);
}

static void same(const void *at, uint64_t x)
{
    unsigned char good[LARGEST];

    fill(good, x);
    MUST(memcmp(at, good, now.bytes) == 0);
}

static int is_full(void)
{
    int i, full = 0;

    for (i = 0; i < READERS; i++)
        full |= !now.lossy && now.reader[i].there &&
                now.tail - now.reader[i].c.s.published == now.capacity;
    return full;
}

static void write_some(void)
{
    unsigned char buffer[4 * LARGEST];
    int64_t n, i;
    void *slot;

    switch (chance(3)) {
    case 0:
        fill(buffer, now.tail);
        IS(ipc_broadcast_push(&now.p, buffer, now.bytes), is_full() ? -EAGAIN : 0);
        n = !is_full();
        break;
    case 1:
        for (i = 0; i < 4; i++)
            fill(buffer + (size_t)i * now.bytes, now.tail + (uint64_t)i);
        n = ipc_broadcast_push_n(&now.p, buffer, now.bytes, 4);
        MUST(n == 4 || (n == -EAGAIN && is_full()) || n > 0);
        if (n > 0 && n < 4) {
            now.tail += (uint64_t)n;
            MUST(is_full());
            n = 0;
        }
        n = n < 0 ? 0 : n;
        break;
    default:
        slot = ipc_broadcast_claim(&now.p);
        MUST((slot == NULL) == is_full());
        if (slot == NULL)
            return;
        fill((unsigned char *)slot, now.tail);
        now.busy = now.lossy;
        n = chance(3) > 0;
        if (n == 0)
            ipc_broadcast_cancel(&now.p);
        else
            IS(ipc_broadcast_commit(&now.p), 0);
    }
    now.busy = now.busy && n == 0;
    now.tail += (uint64_t)n;
}

/* What a pop of r should return. If r was lapped, its expected position moves on. */
static int verdict(struct reader *r)
{
    uint64_t end = now.tail + (now.busy && (now.tail - r->head) % now.capacity == 0), half;

    if (r->head == now.tail) {
        r->skip = 0;
        return -EAGAIN;
    }
    if (end - r->head <= now.capacity)
        return 0;
    MUST(now.lossy);
    end += r->skip - now.capacity;
    end += now.busy && end == now.tail - now.capacity; /* the oldest is being overwritten */
    r->missed += end - r->head;
    r->head = end;
    half = now.capacity / 2;
    r->skip = 2 * r->skip + 1 < half ? 2 * r->skip + 1 : half;
    return -EOVERFLOW;
}

static void read_some(struct reader *r)
{
    unsigned char buffer[4 * LARGEST];
    uint64_t x = r->head, i;
    const void *seen;
    int64_t n;
    int rc;

    switch (chance(3)) {
    case 0:
        rc = verdict(r);
        IS(ipc_broadcast_pop(&r->c, buffer, now.bytes), rc);
        if (rc == 0)
            same(buffer, r->head++);
        break;
    case 1:
        n = ipc_broadcast_pop_n(&r->c, buffer, now.bytes, 4);
        for (i = 0; (int64_t)i < n; i++) {
            IS(verdict(r), 0);
            same(buffer + i * now.bytes, r->head++);
        }
        if (n < 4) {
            rc = verdict(r);
            if (n < 0)
                IS(n, rc);
            else if (rc == -EOVERFLOW)
                IS(ipc_broadcast_pop(&r->c, buffer, now.bytes), rc);
            else
                IS(rc, -EAGAIN);
        }
        break;
    default:
        seen = ipc_broadcast_peek(&r->c);
        rc = verdict(r);
        if (seen == NULL) {
            MUST(rc != 0);
        } else if (rc == 0) {
            same(seen, x);
            MUST(ipc_broadcast_peek(&r->c) == seen);
            IS(ipc_broadcast_release(&r->c), 0);
            r->head++;
        } else {
            IS(ipc_broadcast_release(&r->c), rc);
        }
        break;
    }
    IS(ipc_broadcast_missed(&r->c), r->missed);
    IS(r->c.s.head, r->head);
}

static void come_or_go(struct reader *r)
{
    if (r->there) {
        ipc_broadcast_consumer_detach(&r->c);
        IS(ipc_broadcast_pop(&r->c, &seed, now.bytes), -EINVAL);
    } else {
        IS(ipc_broadcast_consumer_attach(&r->c, now.mem, now.size, now.bytes, NULL), 0);
        r->head = now.tail;
        r->missed = r->skip = 0;
        IS(r->c.s.head, r->head);
    }
    r->there = !r->there;
}

/* A broadcast with guards on both sides, whose positions begin at `from`. */
static void every_call(size_t bytes, uint64_t capacity, uint64_t from, int lossy)
{
    size_t size = ipc_broadcast_footprint(bytes, capacity, 0), room = (size + 8191) & ~(size_t)4095;
    unsigned char *map = (unsigned char *)mmap(NULL, room + 8192, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned i;

    MUST((void *)map != MAP_FAILED);
    MUST(mprotect(map, 4096, PROT_NONE) == 0);
    MUST(mprotect(map + room + 4096, 4096, PROT_NONE) == 0);
    memset(&now, 0, sizeof now);
    now.bytes = bytes;
    now.capacity = capacity;
    now.tail = from;
    now.lossy = lossy;
    now.mem = map + 4096 + ((room - size) & ~(size_t)63) % 4096; /* up to the guard */
    now.size = size;
    IS(ipc_broadcast_init(now.mem, size - 1, bytes, capacity, lossy ? 1 : 0), -ENOSPC);
    IS(ipc_broadcast_init(now.mem, size, bytes, capacity, lossy ? 1 : 0), 0);
    ((struct ipc_broadcast_shared *)now.mem)->s.head = from;
    IS(ipc_broadcast_producer_attach(&now.p, now.mem, size, bytes, NULL), 0);
    for (i = 0; i < 600; i++) {
        struct reader *r = &now.reader[chance(READERS)];

        if (chance(3) == 0)
            write_some();
        else if (chance(40) == 0)
            come_or_go(r);
        else if (r->there)
            read_some(r);
        if (chance(8) == 0) /* a lap or so */
            for (; chance(capacity + 1) != 0;)
                write_some();
        if (i % 50 == 49) { /* a successor goes on */
            ipc_broadcast_producer_detach(&now.p);
            IS(ipc_broadcast_push(&now.p, &seed, bytes), -EINVAL);
            IS(ipc_broadcast_producer_attach(&now.p, now.mem, size, bytes, NULL), 0);
            IS(now.p.s.tail, now.tail);
        }
    }
    (void)munmap(map, room + 8192);
}

static void every_reader_sees_everything_at_every_size_and_position(void **state)
{
    static const size_t sizes[] = {1, 8, 13, 24, 56, 120, LARGEST};
    static const uint64_t from[] = {0, (UINT64_C(1) << 32) - 7, (UINT64_C(1) << 63) - 5};
    uint64_t capacity;
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (capacity = 1; capacity <= 512; capacity *= 2)
            for (k = 0; k < 3; k++)
                every_call(sizes[i], capacity, from[k], 0);
}

static void what_a_lapped_reader_missed_is_told_exactly(void **state)
{
    static const size_t sizes[] = {1, 8, 13, 24, 56, 120, LARGEST};
    static const uint64_t from[] = {0, (UINT64_C(1) << 32) - 7, (UINT64_C(1) << 62) - 5};
    uint64_t capacity;
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (capacity = 1; capacity <= 512; capacity *= 2)
            for (k = 0; k < 3; k++)
                every_call(sizes[i], capacity, from[k], 1);
}

/* One loss, and no message more than the writer has begun to overwrite. */
static void a_lapped_reader_goes_on_at_the_oldest_that_is_whole(void **state)
{
    static unsigned char mem[8192] __attribute__((aligned(64)));
    struct news_producer out;
    struct news_consumer in;
    struct news n;
    uint64_t x;

    (void)state;
    MUST(news_footprint(4, IPC_BROADCAST_LOSSY) <= sizeof mem);
    IS(news_init(mem, sizeof mem, 4, IPC_BROADCAST_LOSSY), 0);
    IS(news_producer_attach(&out, mem, sizeof mem, NULL), 0);
    IS(news_consumer_attach(&in, mem, sizeof mem, NULL), 0);
    for (x = 0; x < 10; x++) {
        n = make(x);
        IS(news_push(&out, &n), 0);
    }
    MUST(news_claim(&out) != NULL); /* in the place of 6 */
    IS(news_pop(&in, &n), -EOVERFLOW);
    IS(news_missed(&in), 7);
    for (x = 7; x < 10; x++) {
        IS(news_pop(&in, &n), 0);
        check(&n, x);
    }
    IS(news_pop(&in, &n), -EAGAIN);
}

/* Sends more laps than lie between two trials of the ways to copy. */
static void long_messages_reach_every_reader(void **state)
{
    static const size_t sizes[] = {IPC_RING_SHORT_ + 1, 16384, 70001};
    unsigned how, i, k;

    (void)state;
    for (how = 0; how < 2; how++)
        for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t size = ipc_broadcast_footprint(sizes[i], 2, 0);
            void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            unsigned char *m = (unsigned char *)malloc(2 * sizes[i]), *got = m + sizes[i];
            struct ipc_broadcast_producer p;
            struct ipc_broadcast_consumer c[2];

            MUST(mem != MAP_FAILED && m != NULL);
            IS(ipc_broadcast_init(mem, size, sizes[i], 2, how), 0);
            IS(ipc_broadcast_producer_attach(&p, mem, size, sizes[i], NULL), 0);
            IS(ipc_broadcast_consumer_attach(&c[0], mem, size, sizes[i], NULL), 0);
            IS(ipc_broadcast_consumer_attach(&c[1], mem, size, sizes[i], NULL), 0);
            for (k = 0; k < 120; k++) { /* each way was tried */
                memset(m, (int)(k & 255), sizes[i]);
                m[chance(sizes[i])] ^= 1;
                IS(ipc_broadcast_push(&p, m, sizes[i]), 0);
                IS(ipc_broadcast_pop(&c[0], got, sizes[i]), 0);
                MUST(memcmp(m, got, sizes[i]) == 0);
                IS(ipc_broadcast_pop(&c[1], got, sizes[i]), 0);
                MUST(memcmp(m, got, sizes[i]) == 0);
            }
            free(m);
            (void)munmap(mem, size);
        }
}

/* A batch whose messages are copied past the caches is whole when the call returns, also if it is
 * longer than what is put off at a time, and if the broadcast runs full in it. */
static void batches_of_long_messages_reach_readers(void **state)
{
    enum { BYTES = 600, MESSAGES = 100 };
    static unsigned char m[MESSAGES][BYTES], got[BYTES];
    size_t size = ipc_broadcast_footprint(BYTES, 64, 0);
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned how, i, k, n;

    (void)state;
    MUST(mem != MAP_FAILED);
    for (how = 0; how < 2; how++) {
        struct ipc_broadcast_producer p;
        struct ipc_broadcast_consumer c;

        IS(ipc_broadcast_init(mem, size, BYTES, 64, how), 0);
        IS(ipc_broadcast_producer_attach(&p, mem, size, BYTES, NULL), 0);
        IS(ipc_broadcast_consumer_attach(&c, mem, size, BYTES, NULL), 0);
        for (k = 0; k < 20; k++) {
            unsigned most = how == IPC_BROADCAST_LOSSLESS && k % 4 > 1 ? MESSAGES : 40;

            for (i = 0; i < most; i++)
                memset(m[i], (int)(k + i), BYTES);
            p.s.trials.way = k % 2 ? IPC_RING_PAST_ : IPC_RING_BY_LINES_;
            p.s.trials.left = UINT64_MAX / 2;
            n = most < 64 ? most : 64;
            IS(ipc_broadcast_push_n(&p, m, BYTES, most), n);
            for (i = 0; i < n; i++) {
                IS(ipc_broadcast_pop(&c, got, BYTES), 0);
                MUST(memcmp(got, m[i], BYTES) == 0);
            }
            IS(ipc_broadcast_pop(&c, got, BYTES), -EAGAIN); /* publishes */
        }
    }
    (void)munmap(mem, size);
}

static void edges_have_names(void **state)
{
    size_t size = news_footprint(4, 0);
    unsigned char *mem = (unsigned char *)mmap(NULL, size, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct news_producer out;
    struct news_consumer in[IPC_BROADCAST_SEATS + 1];
    struct ipc_broadcast_producer p;
    struct news n = make(0);
    unsigned i, how;

    (void)state;
    IS(news_footprint(3, 0), 0);
    IS(ipc_broadcast_footprint(0, 4, 0), 0);
    IS(ipc_broadcast_footprint(8, UINT64_C(1) << 60, 0), 0);
    IS(news_producer_attach(&out, mem, size, NULL), -EAGAIN);
    IS(news_consumer_attach(&in[0], mem, size, NULL), -EAGAIN);
    IS(news_push(&out, &n), -EAGAIN);
    IS(news_pop(&in[0], &n), -EAGAIN);
    MUST(news_peek(&in[0]) == NULL);
    IS(news_init(mem, size, 3, 0), -EINVAL);
    IS(news_init(mem, size, 4, 2), -EINVAL);
    for (how = 0; how < 2; how++) {
        IS(news_init(mem, size, 4, how), 0);
        IS(ipc_broadcast_producer_attach(&p, mem, size, 8, NULL), -EPROTO);
        MUST(ipc_broadcast_claim(&p) == NULL);
        IS(ipc_broadcast_commit(&p), -EINVAL);
        IS(news_producer_attach(&out, mem, size, NULL), 0);
        IS(ipc_broadcast_producer_attach(&p, mem, size, sizeof n, NULL), -EBUSY);
        IS(ipc_broadcast_push(&out.raw, &n, 8), -EMSGSIZE);
        IS(how ? news_commit(&out) : 0, how ? -EINVAL : 0); /* nothing was claimed */
        for (i = 0; i < IPC_BROADCAST_SEATS; i++)
            IS(news_consumer_attach(&in[i], mem, size, NULL), 0);
        IS(news_consumer_attach(&in[i], mem, size, NULL), how ? 0 : -EUSERS);
        IS(news_pop(&in[i], &n), how ? -EAGAIN : -EUSERS);
        IS(ipc_broadcast_pop(&in[0].raw, &n, 8), -EMSGSIZE);
        IS(news_release(&in[0]), -EINVAL);
        IS(news_send(&out, &n, IPC_NOW), 0);
        for (i = 0; i < IPC_BROADCAST_SEATS; i++)
            IS(news_recv(&in[i], &n, IPC_NOW), 0);
        IS(news_recv(&in[0], &n, IPC_NOW), -ETIMEDOUT);
        news_producer_detach(&out);
        IS(news_recv(&in[0], &n, IPC_NOW), -EPIPE);
        news_consumer_detach(&in[0]);
        news_consumer_detach(&in[0]);
        IS(news_pop(&in[0], &n), -EINVAL);
        IS(news_missed(&in[0]), 0);
        IS(news_send(&out, &n, IPC_FOREVER), -EINVAL);
        IS(news_recv(&in[0], &n, IPC_FOREVER), -EINVAL);
    }
    ((struct ipc_broadcast_shared *)(void *)mem)->s.is.how = 7;
    IS(news_producer_attach(&out, mem, size, NULL), -EPROTO);
    (void)munmap(mem, size);
}

static void there_are_seats_for_as_many_readers_as_asked_for(void **state)
{
    static const unsigned bad[] = {IPC_BROADCAST_READERS(0), IPC_BROADCAST_READERS(65537),
                                   IPC_BROADCAST_READERS(-1), IPC_BROADCAST_READERS(1u << 24 | 64)};
    static const unsigned counts[] = {1, 2, 8, 9, 63, 64, 65, 1000};
    static struct news_consumer in[1001];
    struct ipc_broadcast_shared *s;
    struct news_producer out;
    struct news n = make(0);
    unsigned char *mem;
    unsigned i, k, x, how;
    uint64_t id;
    size_t size;

    (void)state;
    IS(news_footprint(4, IPC_BROADCAST_READERS(IPC_BROADCAST_SEATS)), news_footprint(4, 0));
    IS(news_footprint(4, IPC_BROADCAST_READERS(65536)) - news_footprint(4, 0), 72 * (65536 - 64));
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        IS(news_footprint(4, bad[i] | IPC_BROADCAST_LOSSY), 0);
        IS(news_init(in, sizeof in, 4, bad[i]), -EINVAL);
    }
    for (k = 0; k < sizeof counts / sizeof *counts; k++) {
        how = IPC_BROADCAST_LOSSLESS | IPC_BROADCAST_READERS(counts[k]);
        size = news_footprint(4, how);
        mem = (unsigned char *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                                    -1, 0);
        s = (struct ipc_broadcast_shared *)(void *)mem;
        IS(news_init(mem, size - 1, 4, how), -ENOSPC);
        IS(news_init(mem, size, 4, how), 0);
        IS(news_producer_attach(&out, mem, size - 1, NULL), -EPROTO);
        IS(news_producer_attach(&out, mem, size, NULL), 0);
        for (i = 0; i < counts[k]; i++)
            IS(news_consumer_attach(&in[i], mem, size, NULL), 0);
        IS(news_consumer_attach(&in[i], mem, size, NULL), -EUSERS);
        IS(news_was_readers(&out), counts[k]);
        for (x = 0; x < 4; x++) {
            n = make(x);
            IS(news_push(&out, &n), 0);
        }
        for (x = 0; x < 4; x++) /* each of them holds up the writer */
            for (i = 0; i < counts[k]; i++) {
                if (x == 0)
                    IS(news_push(&out, &n), -EAGAIN);
                IS(news_pop(&in[i], &n), 0);
                check(&n, x);
            }
        IS(news_push(&out, &n), 0);
        IS(news_was_slowest(&out, &id), 1);
        /* Only the seats that have had readers are looked at. */
        IS(s->seats_used, counts[k]);
        s->s.is.how ^= 0x800000u; /* a table beyond the memory */
        IS(news_consumer_attach(&in[i], mem, size, NULL), -EPROTO);
        (void)munmap(mem, size);
    }
}

/* The writer looks at the seats that have ever had a reader, and believes no other number. */
static void seats_without_readers_cost_the_writer_nothing(void **state)
{
    unsigned how = IPC_BROADCAST_READERS(65536), i;
    size_t size = news_footprint(4, how);
    unsigned char *mem = (unsigned char *)mmap(NULL, size, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct ipc_broadcast_shared *s = (struct ipc_broadcast_shared *)(void *)mem;
    struct ipc_broadcast_seats_ seats;
    struct news_consumer in[4];
    struct news_producer out;
    struct news n = make(0);

    (void)state;
    IS(news_init(mem, size, 4, how), 0);
    IS(news_producer_attach(&out, mem, size, NULL), 0);
    IS(s->seats_used, 0);
    for (i = 0; i < 4; i++)
        IS(news_consumer_attach(&in[i], mem, size, NULL), 0);
    for (i = 1; i < 4; i++)
        news_consumer_detach(&in[i]);
    IS(news_consumer_attach(&in[1], mem, size, NULL), 0);
    IS(s->seats_used, 4);
    IS(news_was_readers(&out), 2);
    /* What stands in a seat beyond would hold up the writer. */
    seats = ipc_broadcast_seats_at_(mem, sizeof *s, how);
    seats.id[65535] = seats.seat[65535].reader = 7;
    seats.seat[65535].head = 0;
    for (i = 0; i < 12; i++) {
        IS(news_push(&out, &n), 0);
        IS(news_pop(&in[0], &n), 0);
        IS(news_pop(&in[1], &n), 0);
    }
    s->seats_used = UINT64_MAX; /* corrupt: it looks at all there are, and no further */
    IS(news_was_readers(&out), 3);
    for (i = 0; i < 5 && news_push(&out, &n) == 0; i++) {
        IS(news_pop(&in[0], &n), 0);
        IS(news_pop(&in[1], &n), 0);
    }
    MUST(i < 5);
    (void)munmap(mem, size);
}

struct leaver {
    struct news_consumer in;
    unsigned asked, at;
};

static int leaves_when_asked(void *arg, uint64_t id)
{
    struct leaver *l = (struct leaver *)arg;

    (void)id;
    if (++l->asked == l->at)
        news_consumer_detach(&l->in);
    return 1;
}

/* While a reader looks for a seat, the holder of one that it has passed detaches. */
static void a_seat_that_becomes_free_behind_us_is_found(void **state)
{
    unsigned how = IPC_BROADCAST_READERS(4), i;
    size_t size = news_footprint(4, how);
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct leaver l;
    struct ipc_peer other = {7, leaves_when_asked, NULL, NULL, &l, "", NULL, NULL};
    struct ipc_peer me = {9, leaves_when_asked, NULL, NULL, &l, "", NULL, NULL};
    struct news_consumer in[3], c;

    (void)state;
    for (l.at = 1; l.at <= 9; l.at++) {
        IS(news_init(mem, size, 4, how), 0);
        IS(news_consumer_attach(&l.in, mem, size, NULL), 0);
        for (i = 0; i < 3; i++)
            IS(news_consumer_attach(&in[i], mem, size, &other), 0);
        l.asked = 0;
        /* It is asked about the three that name their process, after one scan or two. */
        IS(news_consumer_attach(&c, mem, size, &me), l.at <= 6 ? 0 : -EUSERS);
    }
    (void)munmap(mem, size);
}

/* A batch that ends at a loss returns how many came; the next call reports the loss. */
static void a_loss_in_a_batch_is_told_by_the_next_call(void **state)
{
    size_t size = news_footprint(4, 0);
    unsigned char *mem = (unsigned char *)mmap(NULL, size, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct news_producer out;
    struct news_consumer in;
    struct news n[4];
    uint64_t x;

    (void)state;
    IS(news_init(mem, size, 4, IPC_BROADCAST_LOSSY), 0);
    IS(news_producer_attach(&out, mem, size, NULL), 0);
    IS(news_consumer_attach(&in, mem, size, NULL), 0);
    for (x = 0; x < 4; x++)
        n[x] = make(x);
    IS(news_push_n(&out, n, 4), 4);
    /* As if the writer lapped the reader between its first message and its second. */
    *(uint64_t *)(void *)(out.raw.s.slots + 2 * 64 - 8) = 2 + 4;
    IS(news_pop_n(&in, n, 4), 1);
    check(n, 0);
    IS(news_missed(&in), 1);
    IS(news_pop_n(&in, n, 4), -EOVERFLOW);
    IS(news_pop(&in, n), 0);
    check(n, 2);
    (void)munmap(mem, size);
}

static void a_broadcast_is_found_by_name_and_kind(void **state)
{
    struct news_producer out;
    struct news_consumer in;
    struct news n = make(3);

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(news_producer_create(&out, &shm, "news", 16, IPC_BROADCAST_LOSSY + 1), -EINVAL);
    IS(news_push(&out, &n), -EINVAL);
    MUST(strstr(ipc_shm_why(&shm), "'news'") != NULL);
    IS(news_producer_create(&out, &shm, "news", 16, IPC_BROADCAST_LOSSY), 0);
    news_producer_detach(&out);
    IS(news_producer_create(&out, &shm, "news", 16, IPC_BROADCAST_LOSSLESS), -EPROTO);
    IS(news_producer_create(&out, &shm, "news", 32, IPC_BROADCAST_LOSSY), -EPROTO);
    IS(news_producer_create(&out, &shm, "news", 16, IPC_BROADCAST_LOSSY), 0);
    IS(news_consumer_open(&in, &shm, "news"), 0);
    IS(news_push(&out, &n), 0);
    IS(news_pop(&in, &n), 0);
    check(&n, 3);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ hostile memory */

static void scribbling_hangs_and_crashes_nobody(void **state)
{
    size_t size = news_footprint(16, 0);
    unsigned char *map = (unsigned char *)mmap(NULL, size, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct ipc_broadcast_shared *s = (struct ipc_broadcast_shared *)(void *)map;
    struct news_producer out;
    struct news_consumer in[2];
    struct news n = make(0);
    struct ipc_broadcast_seats_ seats = ipc_broadcast_seats_at_(map, sizeof *s, 0);
    unsigned i, k, bad = 0;

    (void)state;
    for (i = 0; i < 40000; i++) {
        uint64_t evil = chance(4) == 0 ? chance(64) : chance(UINT64_MAX);

        IS(news_init(map, size, 16, i % 2), 0);
        IS(news_producer_attach(&out, map, size, NULL), 0);
        IS(news_consumer_attach(&in[0], map, size, NULL), 0);
        for (k = 0; k < 40; k++) {
            uint64_t *at = (uint64_t *)(void *)map + 8 + chance(size / 8 - 8);

            switch (chance(5)) {
            case 0:
                at = &s->s.head;
                break;
            case 1:
                at = &seats.seat[0].head;
                break;
            case 2:
                at = &seats.id[chance(3)];
                break;
            case 3: /* a sequence */
                at = (uint64_t *)(void *)(map + size - 8 - 64 * chance(16));
                break;
            }
            if (chance(4) == 0)
                *at = chance(2) ? evil : *at + evil;
            if (chance(2))
                (void)news_push(&out, &n);
            else
                (void)news_pop(&in[0], &n);
            if (news_peek(&in[0]) != NULL)
                (void)news_release(&in[0]);
            if (chance(10) == 0 && news_consumer_attach(&in[1], map, size, NULL) == 0) {
                (void)news_pop(&in[1], &n);
                news_consumer_detach(&in[1]);
            }
        }
        bad += news_consumer_error(&in[0]) != 0;
        MUST(news_consumer_error(&in[0]) == 0 || news_pop(&in[0], &n) == -EBADMSG);
        s->s.is.capacity = evil;
        MUST(news_footprint(evil, 0) != 0 ||
             news_producer_attach(&out, map, size, NULL) == -EPROTO);
    }
    MUST(bad > 1000);
    (void)munmap(map, size);
}

/* ------------------------------------------------------------------ processes */

struct flow {
    uint64_t capacity, n;
    unsigned how, spin;
};

static void sends_a_flow(struct child *up, void *arg)
{
    const struct flow *how = (const struct flow *)arg;
    struct news_producer out;
    struct ipc_shm seg;
    uint64_t x;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(news_producer_create(&out, &seg, "news", how->capacity, how->how), 0);
    ipc_notify_policy(news_producer_bell(&out), how->spin, 0);
    tell(up, 0);
    (void)hear(up);
    for (x = out.raw.s.tail; x < how->n; x++) {
        struct news n = make(x);

        IS(news_send(&out, &n, x % 2 ? ipc_in_ms(LONG_MS) : IPC_FOREVER), 0);
    }
    news_producer_detach(&out);
    ipc_shm_close(&seg);
}

/* Receives from its attach on, until the writer has detached or is silent, or `most` came. */
static void receive_all(struct ipc_shm *seg, struct child *up, unsigned spin, uint64_t most)
{
    struct news_consumer in;
    uint64_t x, got = 0;
    int rc;

    IS(news_consumer_open(&in, seg, "news"), 0);
    ipc_notify_policy(news_consumer_bell(&in), spin, 0);
    x = in.raw.s.head;
    if (up != NULL)
        tell(up, x);
    while (got < most) {
        struct news n;

        rc = news_recv(&in, &n, up != NULL ? IPC_FOREVER : ipc_in_ms(50));
        if (rc == -EPIPE || rc == -ETIMEDOUT)
            break;
        MUST(rc == 0 || rc == -EOVERFLOW || rc == -EOWNERDEAD);
        if (rc == 0)
            check(&n, x + got++ + news_missed(&in));
    }
    if (got < most && up != NULL)
        tell(up, x + got + news_missed(&in));
    news_consumer_detach(&in);
}

static void receives_a_flow(struct child *up, void *arg)
{
    struct ipc_shm seg;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    receive_all(&seg, up, ((const struct flow *)arg)->spin, UINT64_MAX);
    ipc_shm_close(&seg);
}

static const struct flow flows[] = {
    {1, 2000, 0, 0},   {16, 20000, 0, 0},   {512, 100000, 0, 0},  {512, 100000, 0, 100},
    {16, 100000, 1, 0}, {512, 200000, 1, 0}, {512, 200000, 1, 100}, {4096, 200000, 1, 10},
};

static void flows_reach_every_reader(void **state)
{
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof flows / sizeof *flows; i++) {
        struct flow how = flows[i];
        struct child w, r[3];

        how.n = FLOOD(how.n);
        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        w = spawn(sends_a_flow, &how);
        (void)hear(&w);
        for (k = 0; k < 3; k++)
            r[k] = spawn(receives_a_flow, &how);
        for (k = 0; k < 3; k++)
            IS(hear(&r[k]), 0);
        tell(&w, 0);
        for (k = 0; k < 3; k++) {
            IS(hear(&r[k]), how.n); /* the last message is never missed */
            finish(&r[k]);
        }
        finish(&w);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

static void comes_and_goes(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    seed += (uint64_t)getpid();
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    while (ck_pr_load_32((const uint32_t *)arg) == 0)
        receive_all(&seg, NULL, chance(2) ? 0 : 100, chance(300));
    ipc_shm_close(&seg);
}

static void readers_come_and_go_at_any_time(void **state)
{
    uint32_t *over =
        (uint32_t *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof flows / sizeof *flows; i++) {
        struct flow how = flows[i];
        struct child w, r[3];

        how.n = FLOOD(how.n);
        *over = 0;
        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        w = spawn(sends_a_flow, &how);
        (void)hear(&w);
        tell(&w, 0);
        for (k = 0; k < 3; k++)
            r[k] = spawn(comes_and_goes, over);
        finish(&w);
        ck_pr_store_32(over, 1);
        for (k = 0; k < 3; k++)
            finish(&r[k]);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
    (void)munmap(over, 4096);
}

/* ------------------------------------------------------------------ the slow, the dead */

static void joins_and_reads_one(struct child *up, void *arg)
{
    struct news_consumer in;
    struct ipc_shm seg;
    struct news n;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(news_consumer_open(&in, &seg, "news"), 0);
    tell(up, 0);
    for (;;) {
        (void)hear(up);
        IS(news_recv(&in, &n, IPC_FOREVER), 0);
        IS(news_consumer_post(&in), 0);
        tell(up, n.x);
    }
}

static uint64_t push_until_full(struct news_producer *out)
{
    uint64_t x;

    for (x = out->raw.s.tail;; x++) {
        struct news n = make(x);
        int rc = news_push(out, &n);

        if (rc == -EAGAIN)
            return x;
        IS(rc, 0);
        MUST(x < 1000);
    }
}

static void the_dead_open_the_gate_and_the_stopped_do_not(void **state)
{
    struct news_producer out;
    struct news n = make(8);
    struct child dies, stops;
    unsigned tries;
    int64_t then;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(news_producer_create(&out, &shm, "news", 8, IPC_BROADCAST_LOSSLESS), 0);
    dies = spawn(joins_and_reads_one, NULL);
    (void)hear(&dies);
    IS(push_until_full(&out), 8);
    IS(news_send(&out, &n, ipc_in_ms(20)), -ETIMEDOUT);
    kill_child(&dies);
    for (tries = 0; news_push(&out, &n) == -EAGAIN; tries++) /* a writer that polls */
        MUST(tries <= IPC_BROADCAST_ASK_EVERY_);

    stops = spawn(joins_and_reads_one, NULL);
    (void)hear(&stops);
    dies = spawn(joins_and_reads_one, NULL);
    (void)hear(&dies);
    stop_child(&stops);
    (void)push_until_full(&out);
    kill_child(&dies);
    n = make(out.raw.s.tail);
    for (tries = 0; tries < 5000; tries++)
        IS(news_push(&out, &n), -EAGAIN);
    IS(news_send(&out, &n, ipc_in_ms(50)), -ETIMEDOUT);
    signal_child(&stops, SIGCONT); /* it finds all that was sent */
    tell(&stops, 0);
    IS(hear(&stops), 9);
    IS(news_send(&out, &n, ipc_in_ms(LONG_MS)), 0);
    kill_child(&stops);
    IS(news_send(&out, &n, ipc_in_ms(LONG_MS)), 0);

    dies = spawn(joins_and_reads_one, NULL); /* while it sleeps */
    (void)hear(&dies);
    (void)push_until_full(&out);
    ipc_notify_policy(news_producer_bell(&out), 0, 0);
    signal_child(&dies, SIGSTOP);
    {
        pid_t us = getpid(), helper = fork();

        if (helper == 0) {
            EVENTUALLY(rests(us));
            (void)kill(dies.pid, SIGKILL);
            _exit(0);
        }
        then = ipc_clock();
        IS(news_send(&out, &n, ipc_in_ms(LONG_MS)), 0);
        MUST(ipc_clock() - then < LATE_MS * INT64_C(1000000));
        MUST(waitpid(helper, NULL, 0) == helper);
    }
    was_killed(&dies);
    ipc_shm_close(&shm);
}

/* A reader that is dead before the writer gets there is not waited for, not even once. */
static void a_dead_reader_refuses_no_message(void **state)
{
    struct news_producer out;
    struct child c;
    uint64_t x = 0, until;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(news_producer_create(&out, &shm, "news", 8, IPC_BROADCAST_LOSSLESS), 0);
    for (until = 4; until <= 100; until += 12) { /* at several positions of the ring */
        c = spawn(joins_and_reads_one, NULL);
        (void)hear(&c);
        for (; x < until; x++) {
            struct news n = make(x);

            if (x == until - 8)
                kill_child(&c);
            IS(news_push(&out, &n), 0);
        }
        if (until < 8)
            kill_child(&c);
        for (; x < until + 20; x++) {
            struct news n = make(x);

            IS(news_push(&out, &n), 0);
        }
        until = x;
    }
    ipc_shm_close(&shm);
}

static unsigned questions;

static int lives_and_counts(void *arg, uint64_t id)
{
    (void)arg, (void)id;
    questions++;
    return 1;
}

/* A live reader that is slow costs a question at its first refusal, and then one in so many messages
 * or refusals. */
static void the_kernel_is_asked_at_intervals(void **state)
{
    enum { EVERY = IPC_BROADCAST_ASK_EVERY_ };
    size_t size = news_footprint(8, 0);
    unsigned char *mem = (unsigned char *)mmap(NULL, size, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct ipc_peer me = {7, lives_and_counts, NULL, NULL, NULL, "", NULL, NULL};
    struct news_producer out;
    struct news_consumer in;
    struct news n = make(0);
    uint64_t x, tries, refusals = 0;

    (void)state;
    IS(news_init(mem, size, 8, IPC_BROADCAST_LOSSLESS), 0);
    IS(news_producer_attach(&out, mem, size, &me), 0);
    IS(news_consumer_attach(&in, mem, size, &me), 0);
    questions = 0;
    for (x = 0; x < 3 * IPC_BROADCAST_ASK_APART_; x++) /* always full, and refused once each time */
        while (news_push(&out, &n) != 0) {
            refusals++;
            IS(news_pop(&in, &n), 0);
            IS(news_pop(&in, &n), 0); /* the second publishes */
        }
    MUST(refusals >= IPC_BROADCAST_ASK_APART_);
    IS(questions, 3);
    while (news_push(&out, &n) == 0)
        ;
    for (tries = 1, questions = 0; tries <= 3 * EVERY; tries++) {
        IS(questions, (tries - 1 + EVERY - IPC_BROADCAST_ASK_AGAIN_) / EVERY);
        IS(news_push(&out, &n), -EAGAIN);
    }
    (void)munmap(mem, size);
}

/* ------------------------------------------------------------------ watching readers */

static void joins_and_waits(struct child *up, void *arg)
{
    struct news_consumer in;
    struct ipc_shm seg;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    (void)hear(up);
    IS(news_consumer_open(&in, &seg, "news"), 0);
    tell(up, ipc_shm_peer(&seg)->id);
    (void)hear(up);
}

static void a_writer_waits_for_its_readers_and_knows_the_slowest(void **state)
{
    struct news_producer out;
    struct child c[3];
    uint64_t id[3], slowest, x;
    struct news_consumer in;
    unsigned k;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(news_producer_create(&out, &shm, "news", 64, IPC_BROADCAST_LOSSLESS), 0);
    ipc_notify_policy(news_producer_bell(&out), 0, 0); /* asleep when they join */
    IS(news_was_readers(&out), 0);
    IS(news_was_slowest(&out, &slowest), 0);
    IS(slowest, 0);
    for (k = 0; k < 3; k++)
        c[k] = spawn(joins_and_waits, NULL);
    for (k = 0; k < 3; k++)
        tell(&c[k], 0);
    IS(ipc_wait(news_producer_bell(&out), ipc_in_ms(LONG_MS), news_was_readers(&out) >= 3), 0);
    for (k = 0; k < 3; k++)
        id[k] = hear(&c[k]);
    for (x = 0; x < 5; x++) {
        struct news n = make(x);

        IS(news_push(&out, &n), 0);
    }
    IS(news_was_slowest(&out, &slowest), 5);
    MUST(slowest == id[0] || slowest == id[1] || slowest == id[2]);
    IS(news_consumer_open(&in, &shm, "news"), 0);
    IS(news_was_readers(&out), 4);
    for (k = 0; k < 2; k++)
        kill_child(&c[k]);
    IS(news_was_readers(&out), 4); /* nobody has asked */
    IS(news_producer_recover(&out, id[2]), 0);
    IS(news_producer_recover(&out, id[1]), 1);
    IS(news_producer_recover(&out, id[1]), 0);
    IS(news_was_readers(&out), 3);
    IS(news_producer_recover(&out, 0), 1);
    IS(news_was_readers(&out), 2);
    IS(news_was_slowest(&out, &slowest), 5);
    IS(slowest, id[2]);
    kill_child(&c[2]);
    IS(news_producer_recover(&out, 0), 1);
    IS(news_was_slowest(&out, &slowest), 0);
    for (; x < 10; x++) {
        struct news n = make(x);

        IS(news_push(&out, &n), 0);
    }
    IS(news_was_slowest(&out, &slowest), 5);
    IS(slowest, ipc_shm_peer(&shm)->id);
    news_producer_detach(&out);
    IS(news_was_readers(&out), 0);
    IS(news_producer_recover(&out, 0), 0);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ joining, step by step */

enum { JOINED = 8, DEAD = 99 }; /* the capacity; the id of a process that is dead */

static struct {
    struct news_producer out;
    unsigned char *mem;
    size_t size;
    uint64_t *sent; /* shared with the child */
} steps;

static int lives(void *arg, uint64_t id)
{
    (void)arg;
    return id != DEAD;
}

static struct ipc_peer named(uint64_t id)
{
    struct ipc_peer me = {id, lives, NULL, NULL, NULL, "", NULL, NULL};

    return me;
}

static void send_in_steps(uint64_t n)
{
    for (; n > 0; n--) {
        struct news m = make(*steps.sent);

        IS(news_push(&steps.out, &m), 0);
        ++*steps.sent;
    }
}

/* A broadcast in which `ahead` messages were sent since the writer looked at its readers. Each seat
 * had a reader that left, or died, `behind` messages ago. */
static void begin_joining(uint64_t ahead, uint64_t behind, uint64_t id)
{
    struct ipc_peer last = named(id), me = named(1);
    struct news_consumer c[IPC_BROADCAST_SEATS];
    unsigned i;

    IS(news_init(steps.mem, steps.size, JOINED, IPC_BROADCAST_LOSSLESS), 0);
    IS(news_producer_attach(&steps.out, steps.mem, steps.size, &me), 0);
    *steps.sent = 0;
    send_in_steps(3 * JOINED + ahead - behind);
    for (i = 0; i < IPC_BROADCAST_SEATS; i++)
        IS(news_consumer_attach(&c[i], steps.mem, steps.size, &last), 0);
    send_in_steps(behind);
    for (i = 0; i < IPC_BROADCAST_SEATS && id != DEAD; i++)
        news_consumer_detach(&c[i]);
}

/* Joins in steps, and then reads all that was sent from there on. */
static void joins_in_steps(void)
{
    struct ipc_peer me = named(2);
    struct news_consumer in;
    struct news n;
    uint64_t x, least = *steps.sent;

    IS(news_consumer_attach(&in, steps.mem, steps.size, &me), 0);
    (void)raise(SIGSTOP);
    x = in.raw.s.head;
    MUST(x >= least && x <= *steps.sent);
    while (news_pop(&in, &n) == 0)
        check(&n, x++);
    IS(x, *steps.sent);
}

/* Wherever the reader is stopped as it joins, the writer has room for a whole capacity. What the
 * writer does here is undone. */
static void there_is_room(void)
{
    static unsigned char was[1 << 14];
    struct news_producer out = steps.out;
    uint64_t sent = *steps.sent;

    MUST(steps.size <= sizeof was);
    memcpy(was, steps.mem, steps.size);
    send_in_steps(JOINED);
    memcpy(steps.mem, was, steps.size);
    steps.out = out;
    *steps.sent = sent;
}

/* Stopped once, after so many instructions, while the writer goes on for as long as it has room. */
static void stop_a_joining_reader(uint64_t instructions)
{
    pid_t child = begin_steps(joins_in_steps);
    struct news m;
    unsigned i;

    while (instructions-- > 0 && step(child))
        ;
    send_in_steps(JOINED);
    for (i = 0; i < 3 * JOINED; i++, ++*steps.sent) {
        m = make(*steps.sent);
        if (news_push(&steps.out, &m) != 0)
            break;
    }
    end_steps(child);
}

static void a_reader_that_joins_leaves_room_for_a_capacity(void **state)
{
    uint64_t ahead, i, id;

    (void)state;
    SKIP_IF(is_emulated(), TRACES_NOBODY);
    steps.size = news_footprint(JOINED, 0);
    steps.mem = (unsigned char *)mmap(NULL, steps.size + 4096, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST((void *)steps.mem != MAP_FAILED);
    steps.sent = (uint64_t *)(void *)(steps.mem + ((steps.size + 63) & ~(size_t)63));
    for (ahead = 1; ahead <= JOINED; ahead += SANITIZED ? JOINED : 3)
        for (id = DEAD - 1; id <= DEAD; id++) {
            uint64_t instructions = 0;
            pid_t child;

            begin_joining(ahead, ahead, id);
            child = begin_steps(joins_in_steps);
            do
                there_is_room();
            while (step(child) && ++instructions);
            there_is_room();
            end_steps(child);
            for (i = 0; i < 4; i++) {
                begin_joining(ahead, ahead, id);
                stop_a_joining_reader(chance(instructions));
            }
        }
    (void)munmap(steps.mem, steps.size + 4096);
}

static void joins_and_dies(struct child *up, void *arg)
{
    struct news_consumer in;
    struct ipc_shm seg;
    unsigned i;

    (void)up, (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    for (i = 0; i < 32; i++)
        IS(news_consumer_open(&in, &seg, "news"), 0);
    (void)kill(getpid(), SIGKILL);
}

enum { CROWD = 100, SAID = 20 };

/* Reads all that is said, from the beginning. */
static void is_one_of_a_crowd(struct child *up, void *arg)
{
    struct news_consumer in;
    struct ipc_shm seg;
    struct news n;
    unsigned x;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(news_consumer_open(&in, &seg, "news"), 0);
    tell(up, 1);
    for (x = 0; x < SAID; x++) {
        IS(news_recv(&in, &n, ipc_in_ms(6 * LONG_MS)), 0);
        check(&n, x);
    }
    news_consumer_detach(&in);
    ipc_shm_close(&seg);
}

static void a_hundred_processes_read_one_broadcast(void **state)
{
    struct ipc_shm_options options = IPC_SHM_DEFAULTS;
    static struct child crowd[CROWD];
    struct news_producer out;
    unsigned i, x, how;
    struct news n;

    (void)state;
    options.members = CROWD + 1;
    for (how = 0; how < 2; how++) {
        IS(ipc_shm_create_with(&shm, name, 1 << 20, &options), 0);
        IS(news_producer_create(&out, &shm, "news", 32, how | IPC_BROADCAST_READERS(CROWD)), 0);
        for (i = 0; i < CROWD; i++)
            crowd[i] = spawn(is_one_of_a_crowd, NULL);
        for (i = 0; i < CROWD; i++)
            IS(hear(&crowd[i]), 1);
        IS(news_was_readers(&out), how == IPC_BROADCAST_LOSSY ? 0 : CROWD);
        for (x = 0; x < SAID; x++) {
            n = make(x);
            IS(news_send(&out, &n, ipc_in_ms(LONG_MS)), 0);
        }
        for (i = 0; i < CROWD; i++)
            finish(&crowd[i]);
        /* Another number of readers is another broadcast. */
        IS(news_create(&shm, "news", 32, how), -EPROTO);
        MUST(strstr(ipc_shm_why(&shm), "number of handles") != NULL);
        IS(news_create(&shm, "news", 32, how | IPC_BROADCAST_READERS(CROWD)), 0);
        news_producer_detach(&out);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

static void seats_of_the_dead_are_taken(void **state)
{
    struct news_producer out;
    struct news n = make(0);
    unsigned i;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(news_producer_create(&out, &shm, "news", 8, IPC_BROADCAST_LOSSLESS), 0);
    for (i = 0; i < 6; i++) {
        struct child c = spawn(joins_and_dies, NULL);

        was_killed(&c);
    }
    for (i = 0; i < 100; i++) /* all of them at once */
        IS(news_send(&out, &n, ipc_in_ms(LONG_MS)), 0);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ kills at random */

/* Messages carry their position, so that a successor knows where to go on. */
static void sends_until_killed(struct child *up, void *arg)
{
    struct news_producer out;
    struct ipc_shm seg;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(news_producer_create(&out, &seg, "news", 64, *(const unsigned *)arg), 0);
    ipc_notify_policy(news_producer_bell(&out), 10, 0);
    tell(up, out.raw.s.tail);
    for (;;) {
        struct news n = make(out.raw.s.tail), *slot;

        if (n.x % 3 == 0) {
            IS(news_producer_wait(&out, ipc_in_ms(LONG_MS)), 0);
            slot = news_claim(&out);
            MUST(slot != NULL);
            *slot = n;
            IS(news_commit(&out), 0);
            IS(news_producer_post(&out), 0);
        } else {
            IS(news_send(&out, &n, ipc_in_ms(LONG_MS)), 0);
        }
    }
}

static void reads_until_killed(struct child *up, void *arg)
{
    struct news_consumer in;
    struct ipc_shm seg;
    uint64_t x, last = 0;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(news_consumer_open(&in, &seg, "news"), 0);
    ipc_notify_policy(news_consumer_bell(&in), 10, 0);
    x = in.raw.s.head;
    tell(up, x);
    for (;;) {
        struct news n;
        int rc = news_recv(&in, &n, ipc_in_ms(LONG_MS));

        MUST(rc == 0 || rc == -EOWNERDEAD || rc == -EOVERFLOW);
        if (rc != 0)
            continue;
        x += news_missed(&in) - last;
        last = news_missed(&in);
        check(&n, x++);
    }
}

static void kill_at_random(unsigned how)
{
    const char *seconds = getenv("IPC_SOAK_SECONDS");
    int64_t until = ipc_in_ms(seconds != NULL ? 500 * atoi(seconds) : 1000);
    struct timespec nap = {0, 0};
    struct news_producer out;
    struct child w, r[3];
    uint64_t at = 0, last = 0;
    unsigned i, k;

    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(news_producer_create(&out, &shm, "news", 64, how), 0); /* the broadcast exists from now on */
    news_producer_detach(&out);
    w = spawn(sends_until_killed, &how);
    (void)hear(&w);
    for (k = 0; k < 3; k++) {
        r[k] = spawn(reads_until_killed, NULL);
        (void)hear(&r[k]);
    }
    for (i = 0; last <= 1000 || ipc_left_(until) > 0; i++) {
        nap.tv_nsec = (long)chance(3000000);
        (void)nanosleep(&nap, NULL);
        k = (unsigned)chance(4);
        if (k == 3) {
            kill_child(&w);
            w = spawn(sends_until_killed, &how);
            at = hear(&w);
        } else {
            kill_child(&r[k]);
            r[k] = spawn(reads_until_killed, NULL);
            at = hear(&r[k]);
        }
        MUST(at >= last);
        last = at;
    }
    print_message("note: %u kills in %llu messages\n", i, (unsigned long long)last);
    kill_child(&w);
    for (k = 0; k < 3; k++)
        kill_child(&r[k]);
    ipc_shm_close(&shm);
    IS(ipc_shm_unlink(name), 0);
}

static void kills_at_random_cost_the_others_nothing(void **state)
{
    (void)state;
    kill_at_random(IPC_BROADCAST_LOSSLESS);
    kill_at_random(IPC_BROADCAST_LOSSY);
}

/* ------------------------------------------------------------------ main */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_reader_sees_everything_at_every_size_and_position),
        TEST(what_a_lapped_reader_missed_is_told_exactly),
        TEST(a_lapped_reader_goes_on_at_the_oldest_that_is_whole),
        TEST(long_messages_reach_every_reader),
        TEST(batches_of_long_messages_reach_readers),
        TEST(edges_have_names),
        TEST(there_are_seats_for_as_many_readers_as_asked_for),
        TEST(seats_without_readers_cost_the_writer_nothing),
        TEST(a_seat_that_becomes_free_behind_us_is_found),
        TEST(a_loss_in_a_batch_is_told_by_the_next_call),
        TEST(a_broadcast_is_found_by_name_and_kind),
        TEST(scribbling_hangs_and_crashes_nobody),
        TEST(flows_reach_every_reader),
        TEST(readers_come_and_go_at_any_time),
        TEST(the_dead_open_the_gate_and_the_stopped_do_not),
        TEST(a_dead_reader_refuses_no_message),
        TEST(the_kernel_is_asked_at_intervals),
        TEST(a_writer_waits_for_its_readers_and_knows_the_slowest),
        TEST(a_reader_that_joins_leaves_room_for_a_capacity),
        TEST(seats_of_the_dead_are_taken),
        TEST(a_hundred_processes_read_one_broadcast),
        TEST(kills_at_random_cost_the_others_nothing),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("broadcasts", tests, NULL, NULL);
}
