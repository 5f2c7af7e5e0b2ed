/*
 * Rings with many at an end under ThreadSanitizer, with the ck_pr.h of this directory:
 *
 *     gcc -O1 -g -w -fsanitize=thread -Itests/tsan -I. tests/tsan/many.c -o many -lpthread
 *     TSAN_OPTIONS="halt_on_error=1 exitcode=66" ./many
 *
 * Two producers and two consumers, first with copies and batches, then in place. Not both at once:
 * a pop may look at a slot that has just been claimed, and drops what it saw; TSan would call that
 * a race with the producer's plain stores. -w is for gcc, which warns that TSan does not model
 * fences.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_ring.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

struct message {
    uint64_t from, n, same;
};

IPC_MPMC(jobs, struct message)

enum { EACH = 20000, CAPACITY = 8 };

static struct {
    unsigned char ring[sizeof(struct ipc_mpmc_shared) + 32 * IPC_MPMC_SEATS + CAPACITY * 64];
} memory __attribute__((aligned(64)));
static int copies;
static uint64_t taken;

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "many: %s\n", what);
        exit(1);
    }
}

static void *produce(void *who)
{
    struct jobs_producer p;
    uint64_t n = 0, i;

    check(jobs_producer_attach(&p, &memory, sizeof memory, NULL) == 0, "produce");
    while (n < EACH) {
        struct message m[3], *slot;
        int64_t rc;

        for (i = 0; i < 3; i++) {
            m[i].from = (uint64_t)(uintptr_t)who;
            m[i].n = m[i].same = n + i + 1;
        }
        if (!copies) {
            slot = jobs_claim(&p);
            rc = slot != NULL;
            if (slot != NULL) {
                *slot = m[0];
                while (jobs_commit(&p) == -EAGAIN)
                    (void)sched_yield();
            }
        } else {
            rc = n % 2 && n + 3 <= EACH ? jobs_push_n(&p, m, 3) : jobs_push(&p, m) == 0;
        }
        check(jobs_producer_error(&p) == 0, "producer");
        if (rc > 0)
            n += (uint64_t)rc;
        else
            (void)sched_yield();
    }
    jobs_producer_detach(&p);
    return NULL;
}

static void *consume(void *who)
{
    struct jobs_consumer c;
    uint64_t last[2] = {0, 0};

    (void)who;
    check(jobs_consumer_attach(&c, &memory, sizeof memory, NULL) == 0, "consume");
    while (__atomic_load_n(&taken, __ATOMIC_RELAXED) < 2 * EACH) {
        const struct message *slot = copies ? NULL : jobs_peek(&c);
        struct message m;
        int rc = copies ? jobs_pop(&c, &m) : slot == NULL ? -EAGAIN : 0;

        if (rc != 0) {
            check(rc == -EAGAIN && jobs_consumer_error(&c) == 0, "consumer");
            (void)sched_yield();
            continue;
        }
        if (!copies) {
            m = *slot;
            check(jobs_release(&c) == 0, "release");
        }
        check(m.from < 2 && m.n == m.same && m.n > last[m.from], "message");
        last[m.from] = m.n;
        (void)__atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
    }
    jobs_consumer_detach(&c);
    return NULL;
}

int main(void)
{
    for (copies = 0; copies < 2; copies++) {
        pthread_t t[4];
        uintptr_t i;

        taken = 0;
        check(jobs_init(&memory, sizeof memory, CAPACITY, IPC_MPMC_AT_MOST_ONCE) == 0, "init");
        for (i = 0; i < 4; i++)
            check(pthread_create(&t[i], NULL, i < 2 ? produce : consume, (void *)i) == 0, "thread");
        for (i = 0; i < 4; i++)
            check(pthread_join(t[i], NULL) == 0, "join");
    }
    return 0;
}
