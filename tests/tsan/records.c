/*
 * Records under ThreadSanitizer, with the ck_pr.h of this directory:
 *
 *     gcc -O1 -g -w -fsanitize=thread -Itests/tsan -I. tests/tsan/records.c -o records -lpthread
 *     TSAN_OPTIONS="halt_on_error=1 exitcode=66" ./records
 *
 * Producers and consumers come and go, by copies and in place. The holder of a lane goes on with
 * its predecessor's numbers, so the order between successive holders is checked too.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_ring.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

IPC_RECORDS(lines)

enum { EACH = 10000, TURN = 300, MOST = 15, LANES = 3, LARGEST = 1024 };

static struct {
    unsigned char ring[sizeof(struct ipc_record_shared) +
                       LANES * (sizeof(struct ipc_record_lane_) + LARGEST)];
} memory __attribute__((aligned(64)));
static unsigned lanes, producers, in_place;
static uint64_t sent[LANES], received[LANES]; /* by the holders of the end */
static uint64_t all;                          /* received; orders nothing */

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "records: %s\n", what);
        exit(1);
    }
}

/* How many words record x of a lane has. */
static size_t words(uint64_t x, size_t most)
{
    return (size_t)(x % (most < MOST ? most : MOST)) + 1;
}

/* Word i of record x. */
static uint64_t word(unsigned lane, uint64_t x, size_t i)
{
    return x << 16 | lane << 8 | i;
}

static unsigned lane_of(const struct lines_producer *p)
{
    unsigned i = 0;

    while (p->raw.head != ipc_record_head_((struct ipc_record_shared *)(void *)&memory, lanes, i))
        i++;
    return i;
}

static int send(struct lines_producer *p, unsigned lane)
{
    size_t n = words(sent[lane], lines_most(p) / 8), i;
    uint64_t copy[MOST], *at = in_place ? (uint64_t *)lines_claim(p, n * 8) : copy;

    for (i = 0; i < n && at != NULL; i++)
        at[i] = word(lane, sent[lane], i);
    if (in_place)
        return at != NULL ? lines_commit(p, n * 8) : -EAGAIN;
    return lines_push(p, copy, n * 8);
}

static void *produces(void *arg)
{
    struct lines_producer p;
    unsigned i = 0, k, lane;
    int rc;

    (void)arg;
    while (i < EACH) {
        while ((rc = lines_producer_attach(&p, &memory, sizeof memory, NULL)) == -EBUSY)
            (void)sched_yield();
        check(rc == 0, "produce");
        lane = lane_of(&p);
        for (k = 0; k < TURN && i < EACH; k++, i++) {
            while ((rc = send(&p, lane)) == -EAGAIN)
                (void)sched_yield();
            check(rc == 0, "send");
            sent[lane]++;
        }
        lines_producer_detach(&p);
        (void)sched_yield();
    }
    return NULL;
}

static void *consumes(void *arg)
{
    struct lines_consumer c;
    int rc;

    (void)arg;
    while (__atomic_load_n(&all, __ATOMIC_RELAXED) < producers * EACH) {
        unsigned k, lane;

        rc = lines_consumer_attach(&c, &memory, sizeof memory, NULL);
        check(rc == 0 || rc == -EBUSY, "consume");
        for (k = 0; rc == 0 && k < TURN; k++) {
            uint64_t copy[MOST];
            const uint64_t *at = copy;
            size_t n = 0, i;

            if (in_place) {
                at = (const uint64_t *)lines_peek(&c, &n);
            } else {
                int64_t got = lines_pop(&c, copy, sizeof copy);

                at = got >= 0 ? copy : NULL;
                n = (size_t)got;
            }
            check(lines_consumer_error(&c) == 0, "error");
            if (at == NULL)
                break;
            lane = (unsigned)(at[0] >> 8 & 0xff);
            check(lane < lanes && n == 8 * words(received[lane], c.raw.mask / 16), "length");
            for (i = 0; i < n / 8; i++)
                check(at[i] == word(lane, received[lane], i), "record");
            received[lane]++;
            check(!in_place || lines_release(&c) == 0, "release");
            (void)__atomic_add_fetch(&all, 1, __ATOMIC_RELAXED);
        }
        if (rc == 0)
            lines_consumer_detach(&c);
        (void)sched_yield();
    }
    return NULL;
}

int main(void)
{
    static const uint64_t capacity[] = {64, LARGEST};
    unsigned i;

    for (i = 0; i < 8; i++) {
        pthread_t t[LANES + 2];
        uintptr_t n;

        lanes = i & 1 ? LANES : 1;
        producers = i & 1 ? LANES : 2; /* the 2 take turns at one lane */
        in_place = i & 2;
        all = 0;
        memset(sent, 0, sizeof sent);
        memset(received, 0, sizeof received);
        check(lines_init(&memory, sizeof memory, capacity[i / 4], lanes) == 0, "init");
        for (n = 0; n < producers + 2; n++)
            check(pthread_create(&t[n], NULL, n < producers ? produces : consumes, NULL) == 0,
                  "thread");
        for (n = 0; n < producers + 2; n++)
            check(pthread_join(t[n], NULL) == 0, "join");
    }
    return 0;
}
