/*
 * Broadcasts under ThreadSanitizer, with the ck_pr.h of this directory:
 *
 *     gcc -O1 -g -fsanitize=thread -Itests/tsan -I. tests/tsan/broadcast.c -o broadcast -lpthread
 *     TSAN_OPTIONS="halt_on_error=1 exitcode=66" ./broadcast
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

struct message {
    uint64_t x, not_x, same;
};

IPC_BROADCAST(news, struct message)

enum { ALL = 30000, LARGEST = 64 };

static struct {
    unsigned char ring[sizeof(struct ipc_broadcast_shared) + 72 * IPC_BROADCAST_SEATS + LARGEST * 32];
} memory __attribute__((aligned(64)));
static unsigned how, in_place;

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "broadcast: %s\n", what);
        exit(1);
    }
}

static void *writes(void *arg)
{
    struct news_producer p;
    uint64_t x;

    (void)arg;
    check(news_producer_attach(&p, &memory, sizeof memory, NULL) == 0, "produce");
    for (x = 0; x < ALL; x++) {
        struct message m = {x, ~x, x}, *slot;

        if (in_place) {
            while ((slot = news_claim(&p)) == NULL)
                (void)sched_yield();
            *slot = m;
            check(news_commit(&p) == 0, "commit");
        } else {
            while (news_push(&p, &m) != 0)
                (void)sched_yield();
        }
        if (x % 64 == 0)
            (void)sched_yield();
        if (x % 1000 == 0) { /* as a successor */
            news_producer_detach(&p);
            check(news_producer_attach(&p, &memory, sizeof memory, NULL) == 0, "produce again");
            check(p.raw.s.tail == x + 1, "tail");
        }
    }
    news_producer_detach(&p);
    return NULL;
}

static void *reads(void *who)
{
    struct news_consumer c;

    check(news_consumer_attach(&c, &memory, sizeof memory, NULL) == 0, "consume");
    while (c.raw.s.head < ALL) {
        uint64_t x = c.raw.s.head, missed = news_missed(&c);
        const struct message *slot = NULL;
        struct message m;
        int rc = in_place ? (slot = news_peek(&c)) == NULL ? -EAGAIN : 0 : news_pop(&c, &m);

        if (slot != NULL) {
            m = *slot;
            check(news_release(&c) == 0, "release");
        }
        check(news_consumer_error(&c) == 0, "error");
        if (rc == 0)
            check(m.x == x && m.not_x == ~x && m.same == x, "message");
        else if (rc == -EOVERFLOW)
            check(how == IPC_BROADCAST_LOSSY && news_missed(&c) - missed == c.raw.s.head - x,
                  "loss");
        else
            (void)sched_yield();
        if (who != NULL && x % 8 == 0) {
            news_consumer_detach(&c);
            check(news_consumer_attach(&c, &memory, sizeof memory, NULL) == 0, "consume again");
        }
    }
    news_consumer_detach(&c);
    return NULL;
}

int main(void)
{
    static const uint64_t capacity[] = {1, 2, LARGEST};
    unsigned i, k;

    for (i = 0; i < 3; i++)
        for (k = 0; k < 3; k++) {
            pthread_t t[4];
            uintptr_t n;

            how = k == 2 ? IPC_BROADCAST_LOSSY : IPC_BROADCAST_LOSSLESS;
            in_place = k == 1;
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
