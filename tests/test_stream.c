/*
 * Streams: every size and position against a counter, edges, two mappings, hostile memory, and
 * processes that wait, end, and are killed at random. The element at position x is x, cut to its
 * size, so that any element can be checked on arrival.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <ck_pr.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned kernel_calls; /* that ipc_notify.h made in this process */
#define syscall(...) (kernel_calls++, syscall(__VA_ARGS__))

/* What a consumer does while it holds back: counts, and lets another end work. */
static unsigned stalls;
static void (*while_stalled)(void);
static inline void stall(void)
{
    stalls++;
    if (while_stalled != NULL)
        while_stalled();
}
#define ck_pr_stall() stall()

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "chance.h"
#include "harness.h"

struct wide {
    uint32_t word[3];
};
IPC_STREAM(words, uint64_t)
IPC_STREAM(text, unsigned char)
IPC_STREAM(wides, struct wide)

static struct ipc_shm shm;

/* ------------------------------------------------------------------ against a counter */

enum { BUFFER = 10000 };

/* Elements of any size, at positions from x on. */
static void fill(void *to, size_t bytes, uint64_t x, size_t n)
{
    unsigned char *t = (unsigned char *)to;
    size_t i, k;

    for (i = 0; i < n; i++, x++)
        for (k = 0; k < bytes; k++)
            *t++ = (unsigned char)(k < 8 ? x >> 8 * k : k);
}

static void check(const void *at, size_t bytes, uint64_t x, size_t n)
{
    static unsigned char good[BUFFER * 12];

    fill(good, bytes, x, n);
    MUST(memcmp(at, good, n * bytes) == 0);
}

/* One random call of the producer, which has sent all before `tail`. Returns how many went in. */
static uint64_t feed(struct ipc_stream_producer *p, size_t bytes, uint64_t tail, uint64_t room,
                     uint64_t capacity)
{
    static unsigned char buffer[BUFFER * 12];
    struct ipc_stream_regions r;
    uint64_t n = chance(4) == 0 ? chance(capacity + 3) : chance(capacity / 4 + 2), done = 0;
    void *row;

    switch (chance(4)) {
    case 0:
        fill(buffer, bytes, tail, n);
        done = n < room ? n : room;
        IS(ipc_stream_push_n(p, buffer, bytes, n), done > 0 || n == 0 ? (int64_t)done : -EAGAIN);
        return done;
    case 1:
        fill(buffer, bytes, tail, n);
        IS(ipc_stream_push_all(p, buffer, bytes, n), n <= room      ? 0
                                                     : n > capacity ? -EMSGSIZE
                                                                    : -EAGAIN);
        return n <= room ? n : 0;
    case 2:
        row = ipc_stream_claim(p, n);
        MUST(row != NULL || n > room || (!p->s.twice && (tail & (capacity - 1)) + n > capacity));
        MUST(row == NULL || n <= room);
        if (row == NULL)
            return 0;
        n = n > 0 ? chance(n + 1) : 0;
        fill(row, bytes, tail, n);
        IS(ipc_stream_commit(p, n), 0);
        return n;
    default:
        IS(ipc_stream_room(p, &r), room);
        IS(r.n[0] + r.n[1], room);
        n = n < room ? n : room;
        done = n < r.n[0] ? n : r.n[0];
        fill(r.at[0], bytes, tail, done);
        fill(r.at[1], bytes, tail + done, n - done);
        IS(ipc_stream_commit(p, room + 1), -EINVAL);
        IS(ipc_stream_commit(p, n), 0);
        return n;
    }
}

static uint64_t drain(struct ipc_stream_consumer *c, size_t bytes, uint64_t head, uint64_t there,
                      uint64_t capacity)
{
    static unsigned char buffer[BUFFER * 12];
    struct ipc_stream_regions r;
    uint64_t n = chance(4) == 0 ? chance(capacity + 3) : chance(capacity / 4 + 2), done = 0;
    const void *row;

    switch (chance(4)) {
    case 0:
        done = n < there ? n : there;
        IS(ipc_stream_pop_n(c, buffer, bytes, n), done > 0 || n == 0 ? (int64_t)done : -EAGAIN);
        check(buffer, bytes, head, done);
        return done;
    case 1:
        IS(ipc_stream_pop_all(c, buffer, bytes, n), n <= there     ? 0
                                                    : n > capacity ? -EMSGSIZE
                                                                   : -EAGAIN);
        if (n > there)
            return 0;
        check(buffer, bytes, head, n);
        return n;
    case 2:
        row = ipc_stream_peek(c, n);
        MUST(row != NULL || n > there || (!c->s.twice && (head & (capacity - 1)) + n > capacity));
        if (row == NULL)
            return 0;
        check(row, bytes, head, n);
        n = n > 0 ? chance(n + 1) : 0;
        IS(ipc_stream_release(c, n), 0);
        return n;
    default:
        IS(ipc_stream_data(c, &r), there);
        check(r.at[0], bytes, head, r.n[0]);
        check(r.at[1], bytes, head + r.n[0], r.n[1]);
        IS(ipc_stream_release(c, there + 1), -EINVAL);
        n = n < there ? n : there;
        IS(ipc_stream_release(c, n), 0);
        return n;
    }
}

/* A stream with guards on both sides, whose positions begin at `from`. */
static void every_call(size_t bytes, uint64_t capacity, uint64_t from)
{
    size_t size = ipc_stream_footprint(bytes, capacity), room = (size + 8191) & ~(size_t)4095;
    unsigned char *map = (unsigned char *)mmap(NULL, room + 8192, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    /* The last element ends at the guard, where alignment allows. */
    unsigned char *mem = map + 4096 + ((room - size) & ~(size_t)63) % 4096;
    struct ipc_stream_shared *shared = (struct ipc_stream_shared *)(void *)mem;
    struct ipc_stream_producer p;
    struct ipc_stream_consumer c;
    uint64_t head = from, tail = from;
    int i;

    MUST((void *)map != MAP_FAILED);
    MUST(mprotect(map, 4096, PROT_NONE) == 0);
    MUST(mprotect(map + room + 4096, 4096, PROT_NONE) == 0);
    IS(ipc_stream_init(mem, size - 1, bytes, capacity), -ENOSPC);
    IS(ipc_stream_init(mem, size, bytes, capacity), 0);
    shared->head = shared->tail = from;
    IS(ipc_stream_producer_attach(&p, mem, size, bytes, NULL), 0);
    IS(ipc_stream_consumer_attach(&c, mem, size, bytes, NULL), 0);
    for (i = 0; i < 400; i++) {
        tail += feed(&p, bytes, tail, capacity - (tail - head), capacity);
        IS(ipc_stream_consumer_was_size(&c), tail - head);
        head += drain(&c, bytes, head, tail - head, capacity);
        IS(ipc_stream_producer_was_size(&p), tail - head);
        if (i % 50 == 49) { /* successors go on */
            ipc_stream_producer_detach(&p);
            ipc_stream_consumer_detach(&c);
            IS(ipc_stream_producer_attach(&p, mem, size, bytes, NULL), 0);
            IS(ipc_stream_consumer_attach(&c, mem, size, bytes, NULL), 0);
        }
    }
    (void)munmap(map, room + 8192);
}

static void what_goes_in_comes_out_at_every_size_and_position(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 4, 8, 12};
    static const uint64_t from[] = {0, (UINT64_C(1) << 32) - 7, (UINT64_C(1) << 63) - 5,
                                    UINT64_MAX - 9};
    uint64_t capacity;
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (capacity = 1; capacity <= 4096; capacity *= 2)
            for (k = 0; k < 4; k++)
                every_call(sizes[i], capacity, from[k]);
}

/* Another process sees the stream at another address, whose offset in its page may differ. A copy
 * of the memory stands for that here. */
static void elements_lie_where_they_were_put_at_any_address(void **state)
{
    size_t size = words_footprint(64), i;
    unsigned char *room = (unsigned char *)aligned_alloc(65536, 4 * 65536), *from, *to;
    struct words_producer out;
    struct words_consumer in;
    uint64_t x[64], y[64];

    (void)state;
    MUST(room != NULL && size < 65536 + 8192);
    for (i = 0; i < 64; i++)
        x[i] = i * i;
    for (i = 0; i < 1024; i += 37) {
        from = room + i * 64;
        to = room + 2 * 65536 + (1024 - i) * 63 / 64 * 64;
        IS(words_init(from, size, 64), 0);
        IS(words_producer_attach(&out, from, size, NULL), 0);
        IS(words_push_n(&out, x, 64), 64);
        memcpy(to, from, size);
        IS(words_consumer_attach(&in, to, size, NULL), 0);
        IS(words_pop_n(&in, y, 64), 64);
        MUST(memcmp(x, y, sizeof x) == 0);
        ((struct ipc_stream_shared *)(void *)to)->is.how += (i % 2 != 0) ? 1 << 20 : 8;
        words_consumer_detach(&in);
        IS(words_consumer_attach(&in, to, size, NULL), -EPROTO);
    }
    free(room);
}

static void edges_have_names(void **state)
{
    size_t size = words_footprint(4);
    unsigned char *mem = (unsigned char *)mmap(NULL, size, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct words_producer out;
    struct words_consumer in;
    struct ipc_stream_producer p;
    uint64_t x[5] = {0, 1, 2, 3, 4};
    struct words_regions r;

    (void)state;
    IS(words_footprint(3), 0);
    IS(ipc_stream_footprint(0, 4), 0);
    IS(ipc_stream_footprint(8, UINT64_C(1) << 62), 0);
    IS(words_producer_attach(&out, mem, size, NULL), -EAGAIN);
    IS(words_push_n(&out, x, 1), -EAGAIN);
    IS(words_init(mem, size, 3), -EINVAL);
    IS(words_init(mem, size, 4), 0);
    IS(ipc_stream_producer_attach(&p, mem, size, 4, NULL), -EPROTO);
    IS(ipc_stream_producer_attach(&p, mem, size - 1, 8, NULL), -EPROTO);
    IS(ipc_stream_push_all(&p, x, 8, 1), -EPROTO);
    MUST(ipc_stream_claim(&p, 0) == NULL);
    IS(words_producer_attach(&out, mem, size, NULL), 0);
    IS(ipc_stream_producer_attach(&p, mem, size, 8, NULL), -EBUSY);
    IS(words_consumer_attach(&in, mem, size, NULL), 0);
    IS(ipc_stream_push_n(&out.raw, x, 4, 1), -EMSGSIZE);
    IS(words_push_all(&out, x, 5), -EMSGSIZE);
    IS(words_pop_all(&in, x, 5), -EMSGSIZE);
    IS(words_push_n(&out, x, 0), 0);
    IS(words_push_all(&out, x, 0), 0);
    IS(words_pop_n(&in, x, 0), 0);
    IS(words_pop_n(&in, x, 1), -EAGAIN);
    IS(words_push_n(&out, x, 5), 4);
    IS(words_push_n(&out, x, 5), -EAGAIN);
    IS(words_push_all(&out, x, 1), -EAGAIN);
    IS(words_room(&out, &r), 0);
    IS(words_data(&in, &r), 4);
    IS(r.at[0][3], 3);
    MUST(words_peek(&in, 5) == NULL);
    words_producer_detach(&out);
    words_consumer_detach(&in);
    words_consumer_detach(&in);
    IS(words_push_n(&out, x, 1), -EINVAL);
    IS(words_pop_all(&in, x, 1), -EINVAL);
    IS(words_commit(&out, 1), -EINVAL);
    IS(words_room(&out, &r), 0);
    IS(words_commit(&out, 0), 0); /* what room gave: it looks at no bell, as there is none */
    IS(words_release(&in, 0), 0);
    IS(words_send(&out, x, 1, IPC_FOREVER), -EINVAL);
    IS(words_recv(&in, x, 1, IPC_FOREVER), -EINVAL);
    (void)munmap(mem, size);
}

/* ------------------------------------------------------------------ twice in a row */

static void rows_of_any_length_lie_anywhere_in_a_segment(void **state)
{
    struct text_producer out;
    struct text_consumer in;
    struct text_regions r;
    uint64_t x = 0;
    size_t at, n;
    unsigned char *ends[2], vec[2];

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(text_producer_create(&out, &shm, "text", 4096), 0);
    IS(text_consumer_open(&in, &shm, "text"), 0);
    IS(text_producer_twice(&out), 1);
    IS(text_consumer_twice(&in), 1);
    for (at = 0; at < 4096; at += 61) { /* begin there */
        unsigned char *row;
        const unsigned char *seen;

        while ((x & 4095) != at) {
            unsigned char one = (unsigned char)x++;

            IS(text_push_all(&out, &one, 1), 0);
            IS(text_pop_all(&in, &one, 1), 0);
        }
        for (n = 1; n <= 4096; n += n < 4000 ? 313 : 1) {
            row = text_claim(&out, n);
            MUST(row != NULL);
            fill(row, 1, x, n);
            IS(text_commit(&out, n), 0);
            seen = text_peek(&in, n);
            MUST(seen != NULL);
            check(seen, 1, x, n);
            IS(text_data(&in, &r), n);
            IS(r.n[0], n);
            IS(text_release(&in, n), 0);
            x += n;
        }
    }
    ends[0] = out.raw.s.data;
    ends[1] = in.raw.s.data;
    text_producer_detach(&out);
    text_consumer_detach(&in);
    for (n = 0; n < 2; n++)
        MUST(mincore(ends[n], 8192, vec) != 0 && errno == ENOMEM); /* nothing is mapped there */
    ipc_shm_close(&shm);
}

/* Elements that do not fill whole pages are mapped once; claim and peek then end where the memory
 * does. */
static void small_streams_are_mapped_once(void **state)
{
    struct wides_producer out;
    struct wides_consumer in;
    struct wide w[4];

    (void)state;
    memset(w, 0, sizeof w);
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(wides_producer_create(&out, &shm, "wides", 4), 0);
    IS(wides_consumer_open(&in, &shm, "wides"), 0);
    IS(wides_producer_twice(&out), 0);
    IS(wides_push_all(&out, w, 3), 0);
    IS(wides_pop_all(&in, w, 3), 0);
    MUST(wides_claim(&out, 1) != NULL);
    MUST(wides_claim(&out, 2) == NULL);
    IS(wides_push_all(&out, w, 4), 0);
    MUST(wides_peek(&in, 2) == NULL);
    IS(wides_pop_all(&in, w, 4), 0);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ holding back */

enum { BLOCK = 64, STEADY = 20000 };

static struct {
    void *mem;
    struct words_producer out;
    struct words_consumer in;
} one;

static void begin_flow(uint64_t capacity, unsigned blocks)
{
    size_t size = words_footprint(capacity);
    static uint64_t x[BLOCK];

    one.mem = aligned_alloc(64, (size + 63) & ~(size_t)63);
    MUST(one.mem != NULL);
    IS(words_init(one.mem, size, capacity), 0);
    IS(words_producer_attach(&one.out, one.mem, size, NULL), 0);
    IS(words_consumer_attach(&one.in, one.mem, size, NULL), 0);
    while (blocks-- > 0)
        IS(words_push_all(&one.out, x, BLOCK), 0);
    stalls = 0;
}

/* In the steady state of audio, with some blocks in the stream, nothing waits for the producer. */
static void steady_streams_are_never_held_back(void **state)
{
    struct words_regions r;
    uint64_t x[BLOCK] = {0};
    unsigned blocks, i;

    (void)state;
    for (blocks = 1; blocks <= 24; blocks++) {
        begin_flow(4096, blocks - 1);
        for (i = 0; i < STEADY; i++) {
            IS(words_push_all(&one.out, x, BLOCK), 0);
            switch (i % 4) {
            case 0:
                IS(words_pop_all(&one.in, x, BLOCK), 0);
                break;
            case 1:
                MUST(words_peek(&one.in, BLOCK) != NULL);
                IS(words_release(&one.in, BLOCK), 0);
                break;
            case 2:
                IS(words_data(&one.in, &r), blocks * BLOCK);
                IS(words_release(&one.in, BLOCK), 0);
                break;
            default:
                IS(words_consumer_wait(&one.in, BLOCK, IPC_NOW), 0);
                IS(words_consumer_was_size(&one.in), blocks * BLOCK);
                IS(words_pop_all(&one.in, x, BLOCK), 0);
            }
        }
        IS(stalls, 0);
        for (i = 0; i < STEADY; i++) { /* a call that may hold back sees that it does not pay */
            IS(words_push_all(&one.out, x, BLOCK), 0);
            IS(words_pop_n(&one.in, x, BLOCK), BLOCK);
        }
        MUST(stalls <= 16 * IPC_STREAM_FIRST_PAUSES_);
        free(one.mem);
    }
}

static void pushes_a_block(void)
{
    static uint64_t x[BLOCK];

    while_stalled = NULL;
    (void)words_push_all(&one.out, x, BLOCK);
}

/* A producer that pushes while pop_n holds back is let ahead, for longer and longer. */
static void busy_producer_is_let_ahead(void **state)
{
    uint64_t x[BLOCK];
    unsigned i, most = 0;

    (void)state;
    begin_flow(16384, 1);
    for (i = 0; i < 1000; i++) {
        while_stalled = pushes_a_block;
        stalls = 0;
        IS(words_pop_n(&one.in, x, BLOCK), BLOCK);
        most = stalls > most ? stalls : most;
        if (while_stalled != NULL)
            pushes_a_block();
    }
    while_stalled = NULL;
    IS(most, IPC_STREAM_PAUSES_);
    free(one.mem);
}

/* ------------------------------------------------------------------ hostile memory */

static void scribbling_hangs_and_crashes_nobody(void **state)
{
    size_t size = words_footprint(16);
    unsigned char *map = (unsigned char *)mmap(NULL, 3 * 65536 + size, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct ipc_stream_shared *s = (struct ipc_stream_shared *)(void *)map;
    struct words_producer out;
    struct words_consumer in;
    struct words_regions r;
    uint64_t x[16] = {0};
    unsigned i, bad = 0;

    (void)state;
    for (i = 0; i < 20000; i++) {
        uint64_t evil = chance(4) == 0 ? chance(64) : chance(UINT64_MAX);

        IS(words_init(map, size, 16), 0);
        if (chance(2))
            s->tail = s->head = chance(UINT64_MAX);
        IS(words_producer_attach(&out, map, size, NULL), 0);
        IS(words_consumer_attach(&in, map, size, NULL), 0);
        (void)words_push_n(&out, x, chance(17));
        *(chance(2) ? &s->tail : &s->head) += evil;
        (void)words_pop_n(&in, x, chance(17));
        (void)words_push_n(&out, x, chance(17));
        MUST(words_room(&out, &r) <= 16 && words_data(&in, &r) <= 16);
        bad += words_producer_error(&out) != 0 || words_consumer_error(&in) != 0;
        MUST(words_producer_error(&out) == 0 || words_push_n(&out, x, 1) == -EBADMSG);
        s->is.capacity = evil;
        MUST(words_footprint(evil) != 0 || words_producer_attach(&out, map, size, NULL) == -EPROTO);
    }
    MUST(bad > 1000);
    (void)munmap(map, 3 * 65536 + size);
}

/* ------------------------------------------------------------------ processes */

struct flow {
    uint64_t capacity, n;
    size_t most; /* elements at a time */
    unsigned spin;
};

static void sends_a_flow(struct child *up, void *arg)
{
    const struct flow *how = (const struct flow *)arg;
    static uint64_t buffer[BUFFER];
    struct words_producer out;
    struct ipc_shm seg;
    uint64_t x = 0;

    (void)up;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(words_producer_create(&out, &seg, "words", how->capacity), 0);
    ipc_notify_policy(words_producer_bell(&out), how->spin, 0);
    while (x < how->n) {
        size_t n = 1 + (size_t)chance(how->most);

        fill(buffer, 8, x, n);
        IS(words_send(&out, buffer, n, x % 2 ? ipc_in_ms(LONG_MS) : IPC_FOREVER), (int64_t)n);
        x += n;
    }
    words_producer_detach(&out);
    ipc_shm_close(&seg);
}

static void flows_are_received_whole(void **state)
{
    static const struct flow cases[] = {{1, 3000, 3, 0},
                                        {16, 30000, 40, 0},
                                        {512, 1000000, 700, 0},
                                        {4096, 3000000, 300, 100},
                                        {4096, 1000000, 9000, 0}};
    static uint64_t buffer[BUFFER];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flow how = cases[i];
        struct words_consumer in;
        struct child c;
        uint64_t x = 0;
        int64_t got;

        how.n = FLOOD(how.n);
        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        c = spawn(sends_a_flow, &how);
        shm.deadline = ipc_in_ms(LONG_MS);
        IS(words_consumer_open(&in, &shm, "words"), 0);
        ipc_notify_policy(words_consumer_bell(&in), how.spin, 0);
        while ((got = words_recv(&in, buffer, 1 + (size_t)chance(how.most), IPC_FOREVER)) > 0) {
            check(buffer, 8, x, (size_t)got);
            x += (uint64_t)got;
        }
        IS(got, -EPIPE);
        MUST(x >= how.n);
        finish(&c);
        words_consumer_detach(&in);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* Elements carry their position, so that a successor knows where to go on. */
static void pushes_until_killed(struct child *up, void *arg)
{
    static uint64_t buffer[BUFFER];
    struct words_producer out;
    struct ipc_shm seg;

    (void)up, (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(words_producer_create(&out, &seg, "words", 512), 0);
    for (;;) {
        size_t n = 1 + (size_t)chance(300);

        fill(buffer, 8, out.raw.s.at, n);
        (void)words_send(&out, buffer, n, IPC_FOREVER);
    }
}

static void pops_until_killed(struct child *up, void *arg)
{
    static uint64_t buffer[BUFFER];
    struct words_consumer in;
    struct ipc_shm seg;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(words_consumer_open(&in, &seg, "words"), 0);
    tell(up, in.raw.s.at);
    for (;;) {
        uint64_t at = in.raw.s.at;
        int64_t n = words_recv(&in, buffer, 1 + (size_t)chance(300), IPC_FOREVER);

        if (n > 0)
            check(buffer, 8, at, (size_t)n);
        else
            MUST(n == -EOWNERDEAD || n == -EPIPE);
    }
}

static void successors_go_on_behind_the_killed(void **state)
{
    struct timespec nap = {0, 0};
    struct words_producer out;
    struct child p, c;
    uint64_t at, last = 0;
    unsigned i;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(words_producer_create(&out, &shm, "words", 512), 0); /* the stream exists from now on */
    words_producer_detach(&out);
    p = spawn(pushes_until_killed, NULL);
    c = spawn(pops_until_killed, NULL);
    (void)hear(&c);
    for (i = 0; i < FLOOD(600); i++) {
        nap.tv_nsec = (long)chance(2000000);
        (void)nanosleep(&nap, NULL);
        if (chance(2)) {
            kill_child(&p);
            p = spawn(pushes_until_killed, NULL);
        } else {
            kill_child(&c);
            c = spawn(pops_until_killed, NULL);
            at = hear(&c);
            MUST(at >= last);
            last = at;
        }
    }
    MUST(last > FLOOD(10000));
    kill_child(&p);
    kill_child(&c);
    print_message("note: %u kills in %llu elements\n", i, (unsigned long long)last);
    ipc_shm_close(&shm);
}

/* What an end does that only polls. */
enum poller { POPS_ALL, POPS_SOME, RELEASES, PUSHES_ALL, PUSHES_SOME, COMMITS, POLLERS };

static void sleeps_at_the_other_end(struct child *up, void *arg)
{
    static uint64_t x[64];
    struct words_producer out;
    struct words_consumer in;
    struct ipc_shm seg;

    (void)up;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    if (*(const int *)arg < PUSHES_ALL) {
        IS(words_producer_open(&out, &seg, "words"), 0);
        ipc_notify_policy(words_producer_bell(&out), 0, 0);
        IS(words_send(&out, x, 63, ipc_in_ms(LONG_MS)), 63);
        words_producer_detach(&out);
    } else {
        IS(words_consumer_open(&in, &seg, "words"), 0);
        ipc_notify_policy(words_consumer_bell(&in), 0, 0);
        IS(words_recv(&in, x, 64, ipc_in_ms(LONG_MS)), 32);
        words_consumer_detach(&in);
    }
    ipc_shm_close(&seg);
}

/* Moves half a stream of 64. */
static void polls(enum poller how, struct words_producer *out, struct words_consumer *in)
{
    uint64_t x[64] = {0};

    switch (how) {
    case POPS_ALL:
        IS(words_pop_all(in, x, 32), 0);
        break;
    case POPS_SOME:
        IS(words_pop_n(in, x, 32), 32);
        break;
    case RELEASES:
        MUST(words_peek(in, 32) != NULL);
        IS(words_release(in, 32), 0);
        break;
    case PUSHES_ALL:
        IS(words_push_all(out, x, 32), 0);
        break;
    case PUSHES_SOME:
        IS(words_push_n(out, x, 32), 32);
        break;
    default:
        MUST(words_claim(out, 32) != NULL);
        IS(words_commit(out, 32), 0);
    }
}

/* What an end waited for when it was killed does not keep its successor from being woken. */
static void wish_of_the_killed_is_forgotten(void **state)
{
    static const uint64_t x[16];
    size_t size = words_footprint(16);
    void *mem = aligned_alloc(64, size);
    struct words_producer out, next;
    struct words_consumer in;

    (void)state;
    MUST(mem != NULL);
    IS(words_init(mem, size, 16), 0);
    IS(words_producer_attach(&out, mem, size, NULL), 0);
    IS(words_consumer_attach(&in, mem, size, NULL), 0);
    IS(words_push_all(&out, x, 16), 0);
    MUST(ipc_stream_is_wanted_(&in.raw.s));
    ipc_stream_want_(&out.raw.s, 8);
    MUST(!ipc_stream_is_wanted_(&in.raw.s));
    out.raw.s.ring->end[0] = 0;
    IS(words_producer_attach(&next, mem, size, NULL), 0);
    MUST(ipc_stream_is_wanted_(&in.raw.s));
    free(mem);
}

/* A callback that only polls wakes the end that sleeps, and makes no system call if none sleeps. */
static void end_that_polls_wakes_the_one_that_sleeps(void **state)
{
    int how, asleep;

    (void)state;
    for (how = 0; how < POLLERS; how++)
        for (asleep = 0; asleep < 2; asleep++) {
            static const uint64_t x[64];
            uint64_t y[64];
            struct words_producer out, *p = how < PUSHES_ALL ? NULL : &out;
            struct words_consumer in;
            const uint32_t *bell;
            struct child c;
            uint32_t before;

            IS(ipc_shm_create(&shm, name, 1 << 20), 0);
            IS(words_producer_create(&out, &shm, "words", 64), 0);
            if (p == NULL) { /* full, and the other end sends */
                IS(words_push_all(&out, x, 64), 0);
                words_producer_detach(&out);
                IS(words_consumer_open(&in, &shm, "words"), 0);
                bell = (const uint32_t *)(const void *)in.raw.s.ring->space_bell;
            } else {
                bell = (const uint32_t *)(const void *)out.raw.s.ring->data_bell;
            }
            if (asleep) {
                c = spawn(sleeps_at_the_other_end, &how);
                EVENTUALLY((ck_pr_load_32(bell) & IPC_NOTIFY_ASLEEP_) != 0 && rests(c.pid));
            }
            before = ck_pr_load_32(bell) / IPC_NOTIFY_COUNT_;
            kernel_calls = 0;
            if (p == NULL) { /* one wake, for half a stream */
                IS(words_pop_n(&in, y, 31), 31);
                IS(ck_pr_load_32(bell) / IPC_NOTIFY_COUNT_, before);
                IS(kernel_calls, 0);
            }
            polls((enum poller)how, p, &in);
            MUST((ck_pr_load_32(bell) / IPC_NOTIFY_COUNT_ != before) == asleep);
            MUST((kernel_calls > 0) == asleep);
            if (asleep)
                finish(&c);
            p == NULL ? words_consumer_detach(&in) : words_producer_detach(&out);
            ipc_shm_close(&shm);
            IS(ipc_shm_unlink(name), 0);
        }
}

static void ends_when_told(struct child *up, void *arg)
{
    struct words_producer out;
    struct ipc_shm seg;
    uint64_t x[3];

    fill(x, sizeof *x, 0, 3);
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(words_producer_create(&out, &seg, "words", 16), 0);
    IS(words_push_all(&out, x, 3), 0);
    tell(up, 0);
    (void)hear(up);
    if (*(const int *)arg)
        (void)kill(getpid(), SIGKILL);
    words_producer_detach(&out);
    ipc_shm_close(&seg);
}

static void waits_end_with_a_reason(void **state)
{
    int dies;

    (void)state;
    for (dies = 0; dies < 2; dies++) {
        struct words_consumer in;
        uint64_t x[16] = {0};
        struct child c;

        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        c = spawn(ends_when_told, &dies);
        shm.deadline = ipc_in_ms(LONG_MS);
        IS(words_consumer_open(&in, &shm, "words"), 0);
        (void)hear(&c);
        IS(words_consumer_wait(&in, 3, IPC_NOW), 0);
        IS(words_consumer_wait(&in, 4, ipc_in_ms(10)), -ETIMEDOUT);
        IS(words_consumer_wait(&in, 17, IPC_FOREVER), -EMSGSIZE);
        tell(&c, 0);
        IS(words_consumer_wait(&in, 4, IPC_FOREVER), dies ? -EOWNERDEAD : -EPIPE);
        IS(words_pop_n(&in, x, 16), 3); /* what the dead producer sent is still there */
        check(x, 8, 0, 3);
        IS(words_recv(&in, x, 1, ipc_in_ms(10)), -ETIMEDOUT);
        (void)reap(&c);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* ------------------------------------------------------------------ main */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_goes_in_comes_out_at_every_size_and_position),
        TEST(elements_lie_where_they_were_put_at_any_address),
        TEST(edges_have_names),
        TEST(rows_of_any_length_lie_anywhere_in_a_segment),
        TEST(small_streams_are_mapped_once),
        TEST(steady_streams_are_never_held_back),
        TEST(busy_producer_is_let_ahead),
        TEST(scribbling_hangs_and_crashes_nobody),
        TEST(flows_are_received_whole),
        TEST(successors_go_on_behind_the_killed),
        TEST(waits_end_with_a_reason),
        TEST(wish_of_the_killed_is_forgotten),
        TEST(end_that_polls_wakes_the_one_that_sleeps),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("streams", tests, NULL, NULL);
}
