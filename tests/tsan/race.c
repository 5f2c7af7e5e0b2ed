/*
 * The SPSC ring and the stream under ThreadSanitizer, with the ck_pr.h of this directory:
 *
 *     gcc -O1 -g -fsanitize=thread -Itests/tsan -I. tests/tsan/race.c -o race -lpthread
 *     TSAN_OPTIONS="halt_on_error=1 exitcode=66" ./race [messages of one case [one|turns|stream]]
 *
 * Ends with 0 when every message came once, in order and whole, and TSan saw no data race. Each
 * twin of ck_pr.h must end it with 66.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_ring.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 7, TURN = 5 };

struct m8 {
    uint64_t word[1];
};
struct m56 {
    uint64_t word[7];
};
struct m120 {
    uint64_t word[15];
};

IPC_SPSC(m8, struct m8)
IPC_SPSC(m56, struct m56)
IPC_SPSC(m120, struct m120)
IPC_STREAM(words, uint64_t)

struct race {
    const char *what;
    void *mem;
    size_t size;
    uint64_t count;
    unsigned turn; /* which of the two threads at an end this is */
};

static void fail(const struct race *r, const char *what, long long got, long long expected)
{
    fprintf(stderr, "race: %s: %s: %lld, expected %lld\n", r->what, what, got, expected);
    exit(1);
}

static void fill(uint64_t *word, size_t n, uint64_t i)
{
    while (n-- > 0)
        word[n] = i * 16 + n;
}

static void verify(const struct race *r, const uint64_t *word, size_t n, uint64_t i)
{
    while (n-- > 0)
        if (word[n] != i * 16 + n)
            fail(r, "message", (long long)word[n], (long long)(i * 16 + n));
}

/* Attaches while main may still be initialising: that race is checked too. */
#define ATTACH(r, call)                                                                            \
    do {                                                                                           \
        int rc;                                                                                    \
        while ((rc = (call)) == -EAGAIN || rc == -EBUSY)                                           \
            (void)sched_yield();                                                                   \
        if (rc != 0)                                                                               \
            fail((r), #call, rc, 0);                                                               \
    } while (0)

/* Not ready yet: lets the other thread run. */
#define WAIT(r, rc)                                                                                \
    do {                                                                                           \
        if ((rc) != -EAGAIN)                                                                       \
            fail((r), "try", (long long)(rc), -EAGAIN);                                            \
        (void)sched_yield();                                                                       \
    } while (0)

/*
 * Both ends for one type, by copies, in place and by batches. `_copies` attach without the typed
 * calls, which look at the ring before. `_in_place` producers attach a new
 * handle whenever the ring was full, which then knows only from the attach what is free. `_turns`
 * are two threads that take turns at one end, TURN messages each.
 */
#define ENDS(T)                                                                                    \
    static void *T##_push_copies(void *arg)                                                        \
    {                                                                                              \
        const struct race *r = arg;                                                                \
        struct T##_producer p;                                                                     \
        struct T m;                                                                                \
        uint64_t i;                                                                                \
        int rc;                                                                                    \
                                                                                                   \
        ATTACH(r, ipc_spsc_producer_attach(&p.raw, r->mem, r->size, sizeof m, NULL));              \
        for (i = 0; i < r->count; i++) {                                                           \
            fill(m.word, sizeof m / 8, i);                                                         \
            while ((rc = T##_push(&p, &m)) != 0)                                                   \
                WAIT(r, rc);                                                                       \
        }                                                                                          \
        T##_producer_detach(&p);                                                                   \
        return NULL;                                                                               \
    }                                                                                              \
    static void *T##_pop_copies(void *arg)                                                         \
    {                                                                                              \
        const struct race *r = arg;                                                                \
        struct T##_consumer c;                                                                     \
        struct T m;                                                                                \
        uint64_t i;                                                                                \
        int rc;                                                                                    \
                                                                                                   \
        ATTACH(r, ipc_spsc_consumer_attach(&c.raw, r->mem, r->size, sizeof m, NULL));              \
        for (i = 0; i < r->count; i++) {                                                           \
            while ((rc = T##_pop(&c, &m)) != 0)                                                    \
                WAIT(r, rc);                                                                       \
            verify(r, m.word, sizeof m / 8, i);                                                    \
        }                                                                                          \
        T##_consumer_detach(&c);                                                                   \
        return NULL;                                                                               \
    }                                                                                              \
    static void *T##_push_in_place(void *arg)                                                      \
    {                                                                                              \
        const struct race *r = arg;                                                                \
        struct T##_producer p;                                                                     \
        struct T *m;                                                                               \
        uint64_t i;                                                                                \
                                                                                                   \
        ATTACH(r, T##_producer_attach(&p, r->mem, r->size, NULL));                                         \
        for (i = 0; i < r->count; i++) {                                                           \
            while ((m = T##_claim(&p)) == NULL) {                                                  \
                WAIT(r, T##_producer_error(&p) != 0 ? T##_producer_error(&p) : -EAGAIN);           \
                T##_producer_detach(&p);                                                           \
                ATTACH(r, T##_producer_attach(&p, r->mem, r->size, NULL));                                 \
            }                                                                                      \
            fill(m->word, sizeof *m / 8, i);                                                       \
            if (T##_commit(&p) != 0)                                                               \
                fail(r, "commit", -1, 0);                                                          \
        }                                                                                          \
        T##_producer_detach(&p);                                                                   \
        return NULL;                                                                               \
    }                                                                                              \
    static void *T##_pop_in_place(void *arg)                                                       \
    {                                                                                              \
        const struct race *r = arg;                                                                \
        struct T##_consumer c;                                                                     \
        const struct T *m;                                                                         \
        uint64_t i;                                                                                \
                                                                                                   \
        ATTACH(r, T##_consumer_attach(&c, r->mem, r->size, NULL));                                         \
        T##_replay(&c, 0);                                                                         \
        for (i = 0; i < r->count; i++) {                                                           \
            while ((m = T##_peek(&c)) == NULL)                                                     \
                WAIT(r, T##_consumer_error(&c) != 0 ? T##_consumer_error(&c) : -EAGAIN);           \
            verify(r, m->word, sizeof *m / 8, i);                                                  \
            if (T##_release(&c) != 0)                                                              \
                fail(r, "release", -1, 0);                                                         \
        }                                                                                          \
        T##_consumer_detach(&c);                                                                   \
        return NULL;                                                                               \
    }                                                                                              \
    static void *T##_push_batches(void *arg)                                                       \
    {                                                                                              \
        const struct race *r = arg;                                                                \
        struct T##_producer p;                                                                     \
        struct T m[BATCH];                                                                         \
        uint64_t i, n, j;                                                                          \
        int64_t rc;                                                                                \
                                                                                                   \
        ATTACH(r, T##_producer_attach(&p, r->mem, r->size, NULL));                                         \
        for (i = 0; i < r->count; i += (uint64_t)rc) {                                             \
            n = r->count - i < BATCH ? r->count - i : BATCH;                                       \
            for (j = 0; j < n; j++)                                                                \
                fill(m[j].word, sizeof m[j] / 8, i + j);                                           \
            while ((rc = T##_push_n(&p, m, n)) <= 0)                                               \
                WAIT(r, rc);                                                                       \
        }                                                                                          \
        T##_producer_detach(&p);                                                                   \
        return NULL;                                                                               \
    }                                                                                              \
    static void *T##_pop_batches(void *arg)                                                        \
    {                                                                                              \
        const struct race *r = arg;                                                                \
        struct T##_consumer c;                                                                     \
        struct T m[BATCH];                                                                         \
        uint64_t i, j;                                                                             \
        int64_t rc;                                                                                \
                                                                                                   \
        ATTACH(r, T##_consumer_attach(&c, r->mem, r->size, NULL));                                         \
        for (i = 0; i < r->count; i += (uint64_t)rc) {                                             \
            while ((rc = T##_pop_n(&c, m, BATCH)) <= 0)                                            \
                WAIT(r, rc);                                                                       \
            for (j = 0; j < (uint64_t)rc; j++)                                                     \
                verify(r, m[j].word, sizeof m[j] / 8, i + j);                                      \
        }                                                                                          \
        T##_consumer_detach(&c);                                                                   \
        return NULL;                                                                               \
    }

ENDS(m8)
ENDS(m56)
ENDS(m120)

/* Two threads take turns at the same end. Each learns only from the ring that the other has left;
 * whose turn it is follows from the position alone. */
static void *push_turns(void *arg)
{
    const struct race *r = arg;
    struct m56_producer p;
    struct m56 m;
    uint64_t i, j;
    int rc;

    for (i = r->turn * TURN; i < r->count; i += 2 * TURN) {
        for (;;) {
            ATTACH(r, m56_producer_attach(&p, r->mem, r->size, NULL));
            if (p.raw.tail == i)
                break;
            if (p.raw.tail > i || p.raw.tail + 2 * TURN <= i)
                fail(r, "tail after an attach", (long long)p.raw.tail, (long long)i);
            m56_producer_detach(&p);
            (void)sched_yield();
        }
        for (j = i; j < i + TURN && j < r->count; j++) {
            fill(m.word, sizeof m / 8, j);
            while ((rc = m56_push(&p, &m)) != 0)
                WAIT(r, rc);
        }
        m56_producer_detach(&p);
    }
    return NULL;
}

/* Looks rarely, so that it finds runs that both producers wrote. It then reads only the sequence
 * number of the last message, and the fences must cover the messages before it. */
static void *pop_late(void *arg)
{
    const struct race *r = arg;
    struct m56_consumer c;
    struct m56 m;
    uint64_t i;
    int rc;

    ATTACH(r, m56_consumer_attach(&c, r->mem, r->size, NULL));
    for (i = 0; i < r->count; i++) {
        while ((rc = m56_pop(&c, &m)) != 0) {
            WAIT(r, rc);
            (void)usleep(100);
        }
        verify(r, m.word, sizeof m / 8, i);
    }
    m56_consumer_detach(&c);
    return NULL;
}

static void *pop_turns(void *arg)
{
    const struct race *r = arg;
    struct m56_consumer c;
    struct m56 m;
    uint64_t i, j;
    int rc;

    for (i = r->turn * TURN; i < r->count; i += 2 * TURN) {
        for (;;) {
            ATTACH(r, m56_consumer_attach(&c, r->mem, r->size, NULL));
            if (c.raw.head == i)
                break;
            if (c.raw.head > i || c.raw.head + 2 * TURN <= i)
                fail(r, "head after an attach", (long long)c.raw.head, (long long)i);
            m56_consumer_detach(&c);
            (void)sched_yield();
        }
        for (j = i; j < i + TURN && j < r->count; j++) {
            while ((rc = m56_pop(&c, &m)) != 0)
                WAIT(r, rc);
            verify(r, m.word, sizeof m / 8, j);
        }
        m56_consumer_detach(&c);
    }
    return NULL;
}

/* Streams, alternately by copies and in place. If two threads share an end, each detaches after
 * each piece. */
static void *push_words(void *arg)
{
    const struct race *r = arg;
    uint64_t word[BATCH], i, *at;
    struct words_producer p;
    struct words_regions there;
    int64_t rc;

    for (;;) {
        ATTACH(r, words_producer_attach(&p, r->mem, r->size, NULL));
        at = &p.raw.s.at;
        if (*at >= r->count)
            break;
        if (*at % 3 == 0) {
            size_t n = words_room(&p, &there);

            n = n < there.n[0] ? n : there.n[0];
            for (i = 0; i < n; i++)
                there.at[0][i] = *at + i;
            rc = n > 0 ? words_commit(&p, n) : -EAGAIN;
        } else {
            for (i = 0; i < BATCH; i++)
                word[i] = *at + i;
            rc = words_push_n(&p, word, 1 + *at % BATCH);
        }
        if (rc < 0)
            WAIT(r, rc);
        words_producer_detach(&p);
    }
    words_producer_detach(&p);
    return NULL;
}

static void *pop_words(void *arg)
{
    const struct race *r = arg;
    uint64_t word[BATCH], i, at;
    struct words_consumer c;
    struct words_regions there;
    int64_t rc;

    for (;;) {
        ATTACH(r, words_consumer_attach(&c, r->mem, r->size, NULL));
        at = c.raw.s.at;
        if (at >= r->count)
            break;
        if (at % 5 < 3) {
            size_t n = words_data(&c, &there);

            for (i = 0; i < there.n[0]; i++)
                if (there.at[0][i] != at + i)
                    fail(r, "element", (long long)there.at[0][i], (long long)(at + i));
            rc = n > 0 ? words_release(&c, there.n[0]) : -EAGAIN;
        } else {
            rc = words_pop_n(&c, word, 1 + at % BATCH);
            for (i = 0; rc > 0 && i < (uint64_t)rc; i++)
                if (word[i] != at + i)
                    fail(r, "element", (long long)word[i], (long long)(at + i));
        }
        if (rc < 0)
            WAIT(r, rc);
        words_consumer_detach(&c);
    }
    words_consumer_detach(&c);
    return NULL;
}

typedef void *(*end_t)(void *);

static const char *only = ""; /* runs only cases whose names begin like this */
static unsigned cases;

/* Runs producers and consumers, one or two of each, on a fresh ring, which is initialised while
 * they already run and try to attach. */
static void run(const char *what, size_t bytes, uint64_t capacity, uint64_t count, end_t producer,
                int producers, end_t consumer, int consumers)
{
    int stream = producer == push_words;
    size_t size = stream ? words_footprint(capacity) : ipc_spsc_footprint(bytes, capacity);
    struct race r[2] = {{what, NULL, size, count, 0}, {what, NULL, size, count, 1}};
    pthread_t thread[4];
    int i, n = 0;

    if (strncmp(what, only, strlen(only)) != 0)
        return;
    cases++;
    if (posix_memalign(&r[0].mem, IPC_RING_LINE, r[0].size) != 0)
        fail(r, "no memory", 0, 0);
    memset(r[0].mem, 0, r[0].size);
    r[1].mem = r[0].mem;
    for (i = 0; i < producers; i++)
        if (pthread_create(&thread[n++], NULL, producer, &r[i]) != 0)
            fail(r, "pthread_create", 0, 0);
    for (i = 0; i < consumers; i++)
        if (pthread_create(&thread[n++], NULL, consumer, &r[i]) != 0)
            fail(r, "pthread_create", 0, 0);
    (void)sched_yield();
    if ((stream ? words_init(r[0].mem, size, capacity)
                : ipc_spsc_init(r[0].mem, size, bytes, capacity)) != 0)
        fail(r, "init", -1, 0);
    while (n-- > 0)
        if (pthread_join(thread[n], NULL) != 0)
            fail(r, "pthread_join", 0, 0);
    free(r[0].mem);
}

int main(int argc, char **argv)
{
    static const uint64_t capacity[] = {1, 2, 64};
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000;
    size_t i;

    only = argc > 2 ? argv[2] : "";
#define RUN(T, way)                                                                                \
    run("one " #T " " #way, sizeof(struct T), capacity[i], count, T##_push_##way, 1,               \
        T##_pop_##way, 1)
#define RUN_ALL(T) (RUN(T, copies), RUN(T, in_place), RUN(T, batches))
    for (i = 0; i < sizeof capacity / sizeof *capacity; i++) {
        RUN_ALL(m8);
        RUN_ALL(m56);
        RUN_ALL(m120);
        run("turns of producers", 56, capacity[i], count / 4, push_turns, 2, pop_late, 1);
        run("turns of consumers", 56, capacity[i], count / 4, m56_push_copies, 1, pop_turns, 2);
        run("stream", 8, capacity[i], count, push_words, 1, pop_words, 1);
        run("stream, turns", 8, capacity[i], count / 4, push_words, 2, pop_words, 2);
    }
    printf("race: %u cases of %llu messages, a quarter of that in turns\n", cases,
           (unsigned long long)count);
    return cases == 0;
}
