/*
 * Broadcasts of records: random calls against a queue, what a lapped reader is told, edges, readers
 * that come, leave and die, successors of writers, hostile memory, and processes. What is in a
 * record follows from its number and length: so each can be checked wherever it comes out.
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

enum { LONGEST = 1 << 13, READERS = 3 };

/* The length follows from the number, too: nothing but numbers has to be remembered. */
static size_t length_of(uint64_t number, size_t most)
{
    uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15);

    x ^= x >> 29;
    return (size_t)(x % 5 == 0 ? x / 8 % (most + 1) : x / 8 % (most / 8 + 1));
}

static void fill(void *to, uint64_t number, size_t n)
{
    unsigned char *t = (unsigned char *)to;
    size_t i;

    for (i = 0; i < n; i++)
        t[i] = (unsigned char)(i < 8 ? number >> 8 * i : i + number);
}

static void check(const void *at, uint64_t number, size_t n, size_t most)
{
    static unsigned char good[LONGEST];

    IS(n, length_of(number, most));
    fill(good, number, n);
    MUST(memcmp(at, good, n) == 0);
}

/* Memory for a broadcast with guards on both sides, so that it ends where the second begins. */
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

/* All positions begin at `from`. */
static void start(unsigned char *mem, size_t size, uint64_t capacity, unsigned how, uint64_t from)
{
    struct ipc_record_cast_shared *s = (struct ipc_record_cast_shared *)(void *)mem;

    IS(ipc_record_cast_init(mem, size - 1, capacity, how), -ENOSPC);
    IS(ipc_record_cast_init(mem, size, capacity, how), 0);
    s->c.s.head = s->mark[0].oldest = s->mark[0].tail = from;
    s->mark[0].first = s->mark[0].next = 1000;
}

/* ------------------------------------------------------------------ against numbers */

/* One random call of the writer, whose next record is *next. */
static void feed(struct ipc_record_cast_producer *p, uint64_t *next)
{
    static unsigned char buffer[3][LONGEST];
    size_t most = ipc_record_cast_most(p), n = length_of(*next, most), k;
    struct ipc_record some[3];
    int64_t rc;
    void *at;

    switch (chance(4)) {
    case 0:
        at = ipc_record_cast_claim(p, n + (size_t)chance(most + 1 - n));
        if (at == NULL)
            return;
        if (chance(4) == 0) {
            ipc_record_cast_cancel(p);
            IS(ipc_record_cast_commit(p, 0), -EINVAL);
            return;
        }
        fill(at, *next, n);
        IS(ipc_record_cast_commit(p, n), 0);
        IS(ipc_record_cast_commit(p, 0), -EINVAL);
        ++*next;
        return;
    case 1:
        for (k = 0; k < 3; k++) {
            some[k].n = length_of(*next + k, most);
            some[k].at = buffer[k];
            fill(buffer[k], *next + k, some[k].n);
        }
        rc = ipc_record_cast_push_n(p, some, 3);
        MUST((rc > 0 && rc <= 3) || (rc == -EAGAIN && p->how == IPC_BROADCAST_LOSSLESS));
        *next += rc > 0 ? (uint64_t)rc : 0;
        return;
    default:
        fill(buffer[0], *next, n);
        rc = ipc_record_cast_push(p, buffer[0], n);
        MUST(rc == 0 || (rc == -EAGAIN && p->how == IPC_BROADCAST_LOSSLESS));
        *next += rc == 0;
    }
}

struct reader {
    struct ipc_record_cast_consumer c;
    uint64_t next, missed;
    int there;
};

/* One random call of a reader. Of `sent` records all have been sent. */
static void drain(struct reader *r, uint64_t sent, size_t most)
{
    static unsigned char buffer[LONGEST * 2];
    struct ipc_record some[3];
    const void *at;
    int64_t rc, i;
    size_t n;
    int owed = r->c.owed;

    if (chance(3) == 0) {
        at = ipc_record_cast_peek(&r->c, &n);
        if (at != NULL) {
            check(at, r->next++, n, most);
            IS(ipc_record_cast_release(&r->c), 0);
            IS(ipc_record_cast_release(&r->c), -EINVAL);
            return;
        }
        IS(ipc_record_cast_release(&r->c), -EINVAL);
        rc = owed || ipc_record_cast_missed(&r->c) > r->missed ? -EOVERFLOW : -EAGAIN;
    } else if (chance(2)) {
        rc = ipc_record_cast_pop_n(&r->c, buffer, sizeof buffer, some, 3);
        for (i = 0; i < rc; i++)
            check(some[i].at, r->next++, some[i].n, most);
    } else {
        rc = ipc_record_cast_pop(&r->c, buffer, length_of(r->next, most));
        if (rc >= 0)
            check(buffer, r->next++, (size_t)rc, most);
    }
    IS(ipc_record_cast_consumer_error(&r->c), 0);
    if (rc == -EAGAIN)
        IS(r->next, sent);
    else if (rc < 0) {
        IS(rc, -EOVERFLOW);
        MUST(r->c.how == IPC_BROADCAST_LOSSY);
    }
    if (ipc_record_cast_missed(&r->c) > r->missed) {
        r->next += ipc_record_cast_missed(&r->c) - r->missed;
        r->missed = ipc_record_cast_missed(&r->c);
        MUST(r->next <= sent);
    }
}

static void every_call(uint64_t capacity, unsigned how, uint64_t from, uint64_t haste)
{
    size_t size = ipc_record_cast_footprint(capacity), most;
    unsigned char *mem = guarded(size);
    struct ipc_record_cast_producer p;
    struct reader r[READERS];
    uint64_t next = 1000;
    unsigned i, k;

    memset(r, 0, sizeof r);
    start(mem, size, capacity, how, from);
    IS(ipc_record_cast_produce(&p, mem, size, NULL), 0);
    most = ipc_record_cast_most(&p);
    for (i = 0; i < 3000; i++) {
        k = (unsigned)chance(READERS);
        if (chance(50) == 0) {
            if (r[k].there)
                ipc_record_cast_consumer_detach(&r[k].c);
            else {
                IS(ipc_record_cast_consume(&r[k].c, mem, size, NULL), 0);
                r[k].next = next;
                r[k].missed = 0;
            }
            r[k].there = !r[k].there;
        }
        if (chance(500) == 0) {
            ipc_record_cast_producer_detach(&p);
            IS(ipc_record_cast_produce(&p, mem, size, NULL), 0);
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

/* The oldest whole record is next; behind a second loss in a row, a newer one. What was overwritten
 * is not handed out, wherever the reader was when that happened. */
static void a_lapped_reader_goes_on_at_the_oldest_whole_record(void **state)
{
    enum { CAPACITY = 1024 };
    size_t size = ipc_record_cast_footprint(CAPACITY), n;
    unsigned char *mem = guarded(size), x[64];
    struct ipc_record_cast_producer p;
    struct ipc_record_cast_consumer c;
    uint64_t number, i;
    int twice;

    (void)state;
    for (twice = 0; twice < 2; twice++) {
        start(mem, size, CAPACITY, IPC_BROADCAST_LOSSY, 0);
        IS(ipc_record_cast_produce(&p, mem, size, NULL), 0);
        IS(ipc_record_cast_consume(&c, mem, size, NULL), 0);
        for (i = 0; i < 3; i++) {
            IS(ipc_record_cast_push(&p, &i, 8), 0);
            MUST(ipc_record_cast_peek(&c, &n) != NULL);
            IS(n, 8);
            IS(ipc_record_cast_release(&c), 0);
        }
        IS(ipc_record_cast_push(&p, &i, 8), 0);
        MUST(ipc_record_cast_peek(&c, &n) != NULL);
        for (i = 4; i < 200; i++)
            IS(ipc_record_cast_push(&p, &i, 8), 0);
        IS(ipc_record_cast_release(&c), -EOVERFLOW);
        IS(ipc_record_cast_release(&c), -EINVAL);
        number = 3 + ipc_record_cast_missed(&c);
        /* 63 of 16 bytes fit, less what a sixteenth and the word after them take */
        MUST(number >= 200 - 63 && number <= 200 - 58);
        if (twice) {
            for (; i < 400; i++)
                IS(ipc_record_cast_push(&p, &i, 8), 0);
            IS(ipc_record_cast_pop(&c, x, sizeof x), -EOVERFLOW);
            number = 3 + ipc_record_cast_missed(&c);
            MUST(number >= 400 - 6);
        }
        for (; number < i; number++) {
            uint64_t got = 0;

            IS(ipc_record_cast_pop(&c, &got, 8), 8);
            IS(got, number);
        }
        IS(ipc_record_cast_pop(&c, x, sizeof x), -EAGAIN);
    }
    unguard(mem, size);
}

/* ------------------------------------------------------------------ edges, the dead */

static uint64_t gone = 5;

static int dead(void *arg, uint64_t id)
{
    return id != *(const uint64_t *)arg;
}

static struct ipc_peer peer(uint64_t id)
{
    struct ipc_peer me;

    memset(&me, 0, sizeof me);
    me.id = id;
    me.alive = dead;
    me.arg = &gone;
    return me;
}

static void edges_have_names(void **state)
{
    size_t size = ipc_record_cast_footprint(64), n;
    unsigned char *mem = guarded(size), x[24] = {0};
    struct ipc_record_cast_producer p, q;
    struct ipc_record_cast_consumer c;
    struct ipc_peer nobody = peer(0), me = peer(7);
    volatile size_t huge = SIZE_MAX; /* that the compiler does not see */

    (void)state;
    IS(ipc_record_cast_footprint(32), 0);
    IS(ipc_record_cast_footprint(65), 0);
    IS(ipc_record_cast_footprint(UINT64_C(1) << 63), 0);
    IS(ipc_record_cast_produce(&p, mem, size, NULL), -EAGAIN);
    IS(ipc_record_cast_push(&p, x, 8), -EAGAIN);
    IS(ipc_record_cast_init(mem, size, 64, 2), -EINVAL);
    IS(ipc_record_cast_init(mem, size, 32, 0), -EINVAL);
    IS(ipc_record_cast_init(mem, size, 64, IPC_BROADCAST_LOSSY), 0);
    IS(ipc_record_cast_produce(&p, mem, size, &nobody), -EINVAL);
    IS(ipc_record_cast_produce(&p, mem, size - 1, NULL), -EPROTO);
    IS(ipc_record_cast_consume(&c, mem, size - 1, NULL), -EPROTO);
    IS(ipc_record_cast_pop(&c, x, 8), -EPROTO);
    MUST(ipc_record_cast_peek(&c, &n) == NULL);
    IS(ipc_record_cast_produce(&p, mem, size, NULL), 0);
    IS(ipc_record_cast_produce(&q, mem, size, &me), -EBUSY);
    IS(ipc_record_cast_consume(&c, mem, size, NULL), 0);
    IS(ipc_record_cast_push(&p, x, 25), -EMSGSIZE);
    IS(ipc_record_cast_push(&p, x, huge), -EMSGSIZE);
    IS(ipc_record_cast_push(&p, x, 24), 0);
    IS(ipc_record_cast_pop(&c, x, 23), -EMSGSIZE);
    IS(ipc_record_cast_release(&c), 0);
    IS(ipc_record_cast_pop(&c, x, 23), -EAGAIN);
    IS(ipc_record_cast_push(&p, NULL, 0), 0);
    IS(ipc_record_cast_pop(&c, NULL, 0), 0);
    ipc_record_cast_producer_detach(&p);
    ipc_record_cast_producer_detach(&p);
    ipc_record_cast_consumer_detach(&c);
    ipc_record_cast_consumer_detach(&c);
    IS(ipc_record_cast_push(&p, x, 8), -EINVAL);
    IS(ipc_record_cast_pop(&c, x, 8), -EINVAL);
    IS(ipc_record_cast_release(&c), -EINVAL);
    unguard(mem, size);
}

static void the_slowest_reader_that_lives_holds_up_the_writer(void **state)
{
    size_t size = ipc_record_cast_footprint(256);
    unsigned char *mem = guarded(size), x[120] = {0};
    struct ipc_peer living = peer(6), killed = peer(gone);
    struct ipc_record_cast_consumer c[IPC_CAST_SEATS + 1];
    struct ipc_record_cast_producer p;
    unsigned i, k;

    (void)state;
    for (k = 0; k < 2; k++) {
        start(mem, size, 256, IPC_BROADCAST_LOSSLESS, 64);
        IS(ipc_record_cast_produce(&p, mem, size, &living), 0);
        for (i = 0; i < 1000; i++) /* nobody reads */
            IS(ipc_record_cast_push(&p, x, i % 121), 0);
        IS(ipc_record_cast_consume(&c[0], mem, size, &living), 0);
        IS(ipc_record_cast_consume(&c[1], mem, size, k ? &killed : &living), 0);
        for (i = 0; ipc_record_cast_push(&p, x, 8) == 0; i++)
            ;
        MUST(i >= 14 && i <= 15);
        for (; i > 0; i--)
            IS(ipc_record_cast_pop(&c[0], x, sizeof x), 8);
        IS(ipc_record_cast_pop(&c[0], x, sizeof x), -EAGAIN);
        for (i = 0; i < 200 && ipc_record_cast_push(&p, x, 8) != 0; i++)
            ;
        MUST(k ? i < 200 : i == 200); /* the dead are out, after some refusals */
        if (!k)
            IS(ipc_record_cast_pop(&c[1], x, sizeof x), 8);
        ipc_record_cast_consumer_detach(&c[1]);
        IS(ipc_record_cast_push(&p, x, 8), 0);
    }
    ipc_record_cast_consumer_detach(&c[0]);
    for (i = 0; i < IPC_CAST_SEATS; i++)
        IS(ipc_record_cast_consume(&c[i], mem, size, i == 3 ? &killed : &living), 0);
    IS(ipc_record_cast_consume(&c[i], mem, size, &living), 0); /* the dead one's */
    IS(ipc_record_cast_consume(&c[3], mem, size, &living), -EUSERS);
    unguard(mem, size);
}

/* A writer that ends in the middle of a record, wherever. */
static void a_half_written_record_was_never_there(void **state)
{
    size_t size = ipc_record_cast_footprint(256), at, n;
    unsigned char *mem = guarded(size), x[120];
    unsigned how;

    (void)state;
    for (how = IPC_BROADCAST_LOSSLESS; how <= IPC_BROADCAST_LOSSY; how++)
        for (at = 0; at < 256; at += 8)
            for (n = 0; n <= 120; n += 3) {
                struct ipc_peer killed = peer(gone), living = peer(6);
                struct ipc_record_cast_producer p;
                struct ipc_record_cast_consumer c;
                uint64_t i, got;
                void *half;

                start(mem, size, 256, how, at);
                IS(ipc_record_cast_produce(&p, mem, size, &killed), 0);
                for (i = 0; i < n; i++)
                    IS(ipc_record_cast_push(&p, &i, 8), 0);
                half = ipc_record_cast_claim(&p, n);
                MUST(half != NULL);
                memset(half, 0xff, n);
                IS(ipc_record_cast_consume(&c, mem, size, NULL), 0);
                IS(ipc_record_cast_produce(&p, mem, size, &living), 0);
                IS(ipc_record_cast_pop(&c, x, sizeof x), -EAGAIN);
                IS(ipc_record_cast_missed(&c), 0);
                IS(ipc_record_cast_push(&p, &i, 8), 0);
                IS(ipc_record_cast_pop(&c, &got, 8), 8);
                IS(got, i);
                if (how == IPC_BROADCAST_LOSSLESS)
                    continue;
                for (i = 0; i < 100; i++)
                    IS(ipc_record_cast_push(&p, &i, 8), 0);
                IS(ipc_record_cast_pop(&c, &got, 8), -EOVERFLOW);
                IS(ipc_record_cast_pop(&c, &got, 8), 8);
                IS(got, ipc_record_cast_missed(&c));
            }
    unguard(mem, size);
}

/* ------------------------------------------------------------------ hostile memory */

static void scribbling_hangs_and_crashes_nobody(void **state)
{
    enum { CAPACITY = 256 };
    size_t size = ipc_record_cast_footprint(CAPACITY), n;
    unsigned char *mem = guarded(size), x[256] = {0};
    struct ipc_record_cast_shared *s = (struct ipc_record_cast_shared *)(void *)mem;
    unsigned i, k, bad = 0, refused = 0;

    (void)state;
    for (i = 0; i < 50000; i++) {
        struct ipc_record_cast_producer p;
        struct ipc_record_cast_consumer c;
        uint64_t *word = (uint64_t *)(void *)(mem + size - CAPACITY);
        uint64_t *marks = (uint64_t *)(void *)s->mark;
        uint64_t evil = chance(4) == 0 ? chance(2048) : chance(UINT64_MAX);

        IS(ipc_record_cast_init(mem, size, CAPACITY, i % 2), 0);
        IS(ipc_record_cast_produce(&p, mem, size, NULL), 0);
        IS(ipc_record_cast_consume(&c, mem, size, NULL), 0);
        for (k = 0; k < 40; k++) {
            if (chance(4))
                (void)ipc_record_cast_push(&p, x, (size_t)chance(121));
            if (chance(2))
                (void)ipc_record_cast_pop(&c, x, sizeof x);
            else if (ipc_record_cast_peek(&c, &n) != NULL)
                (void)ipc_record_cast_release(&c);
            switch (chance(6)) {
            case 0:
                word[chance(CAPACITY / 8)] = evil;
                break;
            case 1:
                word[chance(CAPACITY / 8)] ^= UINT64_C(1) << chance(12);
                break;
            case 2:
                s->c.s.head += chance(2) ? evil : 8;
                s->c.seat[chance(2)].head += chance(2) ? evil : 8;
                break;
            case 3:
                marks[chance(9)] += chance(2) ? evil : 8;
                break;
            default:
                break;
            }
        }
        bad += ipc_record_cast_consumer_error(&c) == -EBADMSG;
        MUST(ipc_record_cast_consumer_error(&c) == 0 || ipc_record_cast_pop(&c, x, 1) == -EBADMSG ||
             c.owed);
        bad += ipc_record_cast_producer_error(&p) == -EBADMSG;
        MUST(ipc_record_cast_producer_error(&p) == 0 || ipc_record_cast_push(&p, x, 0) == -EBADMSG);
        ipc_record_cast_producer_detach(&p);
        ipc_record_cast_consumer_detach(&c);
        refused += ipc_record_cast_produce(&p, mem, size, NULL) == -EBADMSG;
        refused += ipc_record_cast_consume(&c, mem, size, NULL) == -EBADMSG;
        s->c.s.is.capacity = evil;
        MUST(evil <= CAPACITY || ipc_record_cast_consume(&c, mem, size, NULL) != 0);
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
        TEST(every_reader_sees_all_or_knows_what_it_missed),
        TEST(a_lapped_reader_goes_on_at_the_oldest_whole_record),
        TEST(edges_have_names),
        TEST(the_slowest_reader_that_lives_holds_up_the_writer),
        TEST(a_half_written_record_was_never_there),
        TEST(scribbling_hangs_and_crashes_nobody),
    };

    set_up();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* with * and ? */
    return cmocka_run_group_tests_name("broadcasts of records", tests, NULL, NULL);
}
