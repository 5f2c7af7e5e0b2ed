/*
 * Broadcasts of records under ThreadSanitizer, with the ck_pr.h of this directory:
 *
 *     gcc -O1 -g -w -fsanitize=thread -Itests/tsan -I. tests/tsan/record_broadcast.c -o record_broadcast \
 *         -lpthread
 *     TSAN_OPTIONS="halt_on_error=1 exitcode=66" ./record_broadcast
 *
 * One writer and three readers, one of which comes and goes. Lossless: by copies and in place.
 * Lossy: only by copies, as readers in place may look at what is being overwritten, and drop it.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_ring.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

IPC_RECORD_BROADCAST(news)

enum { ALL = 10000, MOST = 15, LARGEST = 1024 };

static struct {
    unsigned char ring[sizeof(struct ipc_record_broadcast_shared) + 72 * IPC_BROADCAST_SEATS +
                       LARGEST];
} memory __attribute__((aligned(64)));
static unsigned how, in_place;
static uint64_t sent; /* orders nothing */
static pthread_barrier_t begin;

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "broadcast: %s\n", what);
        exit(1);
    }
}

/* How many words record x has; each word is made of x. */
static size_t words(uint64_t x, size_t most)
{
    return (size_t)(x % (most < MOST ? most : MOST)) + 1;
}

static int send(struct news_producer *p, uint64_t x)
{
    size_t n = words(x, news_most(p) / 8), i;
    uint64_t copy[MOST], *at = in_place ? (uint64_t *)news_claim(p, n * 8) : copy;

    for (i = 0; i < n && at != NULL; i++) /* a reader that joins may look at it, and drop that */
        __atomic_store_n(&at[i], x << 8 | i, __ATOMIC_RELAXED);
    if (in_place)
        return at != NULL ? news_commit(p, n * 8) : -EAGAIN;
    return news_push(p, copy, n * 8);
}

static void *writes(void *arg)
{
    struct news_producer p;
    uint64_t x;

    (void)arg;
    (void)pthread_barrier_wait(&begin);
    check(news_producer_attach(&p, &memory, sizeof memory, NULL) == 0, "produce");
    for (x = 0; x < ALL; x++) {
        while (send(&p, x) != 0) {
            check(news_producer_error(&p) == 0, "producer");
            (void)sched_yield();
        }
        __atomic_store_n(&sent, x + 1, __ATOMIC_RELAXED);
        if (x % 64 == 0)
            (void)sched_yield();
        if (x % 1000 == 0) { /* as a successor */
            uint64_t tail = p.raw.r.tail;

            news_producer_detach(&p);
            check(news_producer_attach(&p, &memory, sizeof memory, NULL) == 0, "produce again");
            check(p.raw.r.tail == tail, "tail");
            check(how == IPC_BROADCAST_LOSSLESS || p.raw.mark.next == x + 1, "next");
        }
    }
    news_producer_detach(&p);
    return NULL;
}

/* Takes the next record into copy[], if there is one. Returns its length, or as pop. */
static int64_t take(struct news_consumer *c, uint64_t *copy)
{
    const void *at;
    size_t n;

    if (!in_place)
        return news_pop(c, copy, MOST * 8);
    at = news_peek(c, &n);
    if (at == NULL)
        return -EAGAIN;
    memcpy(copy, at, n);
    check(news_release(c) == 0, "release");
    return (int64_t)n;
}

static void *reads(void *who)
{
    struct news_consumer c;
    uint64_t x = 0; /* the next record, or a later one */
    int joined = 0, rc;

    check(news_consumer_attach(&c, &memory, sizeof memory, NULL) == 0, "consume");
    (void)pthread_barrier_wait(&begin);
    while (x < ALL) {
        uint64_t copy[MOST], missed = news_missed(&c),
                             all = __atomic_load_n(&sent, __ATOMIC_RELAXED);
        int64_t n = take(&c, copy), i;

        check(news_consumer_error(&c) == 0, "error");
        if (n == -EAGAIN && joined && all == ALL)
            break;
        if (n == -EAGAIN) {
            (void)sched_yield();
            continue;
        }
        if (n == -EOVERFLOW) {
            check(how == IPC_BROADCAST_LOSSY && news_missed(&c) > missed, "loss");
            x += news_missed(&c) - missed;
            continue;
        }
        if (joined) {
            check(copy[0] >> 8 >= x, "what it has read before");
            x = copy[0] >> 8;
        }
        joined = 0;
        check(x < ALL && n == (int64_t)(8 * words(x, c.raw.r.mask / 16)), "length");
        for (i = 0; i < n / 8; i++)
            check(copy[i] == (x << 8 | (uint64_t)i), "record");
        x++;
        if (who != NULL && x % 8 == 0) {
            news_consumer_detach(&c);
            /* The writer made another mark at each of our looks: try again. */
            while ((rc = news_consumer_attach(&c, &memory, sizeof memory, NULL)) == -EAGAIN &&
                   how == IPC_BROADCAST_LOSSY)
                (void)sched_yield();
            check(rc == 0, "consume again");
            joined = 1;
        }
    }
    news_consumer_detach(&c);
    return NULL;
}

int main(void)
{
    static const uint64_t capacity[] = {64, 256, LARGEST};
    unsigned i, k;

    check(pthread_barrier_init(&begin, NULL, 4) == 0, "barrier");
    for (i = 0; i < 3; i++)
        for (k = 0; k < 3; k++) {
            pthread_t t[4];
            uintptr_t n;

            how = k == 2 ? IPC_BROADCAST_LOSSY : IPC_BROADCAST_LOSSLESS;
            in_place = k == 1;
            sent = 0;
            check(news_init(&memory, sizeof memory, capacity[i], how) == 0, "init");
            for (n = 0; n < 4; n++)
                check(pthread_create(&t[n], NULL, n == 0 ? writes : reads,
                                     n == 3 ? (void *)&memory : NULL) == 0,
                      "thread");
            for (n = 0; n < 4; n++)
                check(pthread_join(t[n], NULL) == 0, "join");
        }
    return 0;
}
