/*
 * Test "many": several producers and consumers on one ring. All systems share this, and each
 * inlines its own calls. The processes are spread over the two cores. A process that finds nothing
 * to do polls for a while and then yields, as others may have to run on its core. Consumers check
 * every message, and that the messages of each producer come in order. All processes go on until
 * they are killed.
 */
#ifndef BENCH_MANY_H
#define BENCH_MANY_H

#include "sides.h"
#include <sched.h>

#define MANY_CAPACITY 1024
#define MANY_BATCH 16
#define MANY_WHO                                                                                   \
    48 /* in a message: the bits from here on name its producer, those below are its               \
        * number */

/* Pushes or pops up to n messages; a single one by the call for a single one. Returns how many, or
 * less than 1 if none. */
typedef int64_t many_move(void *end, void *messages, unsigned n);

static inline int many_consumes(const struct bench_run *r)
{
    return r->index < r->of->consumers;
}

static inline int many_holds(const struct bench_run *r)
{
    return r->index == r->of->consumers + r->of->producers;
}

static inline void many_idle(unsigned *looks)
{
    if (++*looks < 200)
        ck_pr_stall();
    else
        (void)sched_yield();
}

CK_CC_FORCE_INLINE static void many_produce(struct bench_run *r, size_t bytes, void *end,
                                            many_move *push, unsigned batch)
{
    uint64_t m[MANY_BATCH * 56 / 8], next = (uint64_t)r->index << MANY_WHO;
    size_t words = bytes / 8, i;
    unsigned looks = 0;

    memset(m, 7, sizeof m);
    bench_start(r);
    for (;;) {
        int64_t sent;

        for (i = 0; i < batch; i++)
            m[i * words] = m[i * words + words - 1] = next + i;
        sent = push(end, m, batch);
        if (sent > 0) {
            next += (uint64_t)sent;
            looks = 0;
        } else {
            many_idle(&looks);
        }
    }
}

CK_CC_FORCE_INLINE static void many_consume(struct bench_run *r, size_t bytes, void *end,
                                            many_move *pop, unsigned batch)
{
    uint64_t m[MANY_BATCH * 56 / 8], expect[16], taken = 0;
    size_t words = bytes / 8;
    unsigned looks = 0, i;
    int alone = r->of->consumers == 1;

    for (i = 0; i < 16; i++)
        expect[i] = (uint64_t)i << MANY_WHO;
    bench_start(r);
    for (;;) {
        int64_t got = pop(end, m, batch), k;

        __asm__ volatile("" : : "r"(m) : "memory"); /* as in BENCH_VERIFY */
        for (k = 0; k < got; k++) {
            const uint64_t *message = m + (size_t)k * words;
            uint64_t id = message[0], who = id >> MANY_WHO & 15;

            bench_check(message[words - 1] == id, "payload");
            bench_check(alone ? id == expect[who] : id >= expect[who], "order");
            expect[who] = id + 1;
        }
        if (got > 0) {
            taken += (uint64_t)got;
            ck_pr_store_64(r->taken, taken);
            looks = 0;
        } else {
            many_idle(&looks);
        }
    }
}

/* What a process or thread does. hold: the first half of a push, after which the process stops. */
CK_CC_FORCE_INLINE static void many_serve(struct bench_run *r, size_t bytes, void *end,
                                          many_move *push, many_move *pop, void (*hold)(void *end))
{
    int singly = r->of->batch == 1;

    if (many_holds(r)) {
        hold(end);
        bench_start(r);
        for (;;)
            (void)pause();
    } else if (many_consumes(r) && singly) {
        many_consume(r, bytes, end, pop, 1);
    } else if (many_consumes(r)) {
        many_consume(r, bytes, end, pop, MANY_BATCH);
    } else if (singly) {
        many_produce(r, bytes, end, push, 1);
    } else {
        many_produce(r, bytes, end, push, MANY_BATCH);
    }
}

enum many_kind { MANY_OURS, MANY_FIFO_PEER, MANY_FIFO_THREADS, MANY_THREADS };

#define MANY_ROW(SYSTEM, KIND, B, PREPARE, SERVE, SHAPE, PRODUCERS, CONSUMERS, BATCH, HELD)        \
    {                                                                                              \
        .system = SYSTEM, .test = "many", .shape = SHAPE, .bytes = B,                              \
        .memory = MANY_CAPACITY * 128 + 65536, .prepare = PREPARE, .serve = SERVE,                 \
        .producers = PRODUCERS, .consumers = CONSUMERS, .batch = BATCH, .held = HELD,              \
        .threads = (KIND) >= MANY_FIFO_THREADS,                                                    \
        .fifo_peer = (KIND) == MANY_FIFO_PEER || (KIND) == MANY_FIFO_THREADS                       \
    }
#define MANY_SINGLY(SYSTEM, KIND, B, PREPARE, SERVE)                                               \
    MANY_ROW(SYSTEM, KIND, B, PREPARE, SERVE, "1_to_1", 1, 1, 1, 0),                               \
        MANY_ROW(SYSTEM, KIND, B, PREPARE, SERVE, "2_to_2", 2, 2, 1, 0),                           \
        MANY_ROW(SYSTEM, KIND, B, PREPARE, SERVE, "2_to_2_1_held", 2, 2, 1, 1),                    \
        MANY_ROW(SYSTEM, KIND, B, PREPARE, SERVE, "4_to_4", 4, 4, 1, 0)
#define MANY_MORE(SYSTEM, KIND, B, PREPARE, SERVE, SHAPE, PRODUCERS, CONSUMERS)                    \
    MANY_ROW(SYSTEM, KIND, B, PREPARE, SERVE, SHAPE, PRODUCERS, CONSUMERS, 1, 0)
#define MANY_TO_ONE(SYSTEM, KIND, B, PREPARE, SERVE)                                               \
    MANY_MORE(SYSTEM, KIND, B, PREPARE, SERVE, "2_to_1", 2, 1),                                    \
        MANY_MORE(SYSTEM, KIND, B, PREPARE, SERVE, "4_to_1", 4, 1),                                \
        MANY_MORE(SYSTEM, KIND, B, PREPARE, SERVE, "8_to_1", 8, 1)
#define MANY_FROM_ONE(SYSTEM, KIND, B, PREPARE, SERVE)                                             \
    MANY_MORE(SYSTEM, KIND, B, PREPARE, SERVE, "1_to_2", 1, 2),                                    \
        MANY_MORE(SYSTEM, KIND, B, PREPARE, SERVE, "1_to_4", 1, 4),                                \
        MANY_MORE(SYSTEM, KIND, B, PREPARE, SERVE, "1_to_8", 1, 8)
#define MANY_SCALING(SYSTEM, KIND, B, PREPARE, SERVE)                                              \
    MANY_TO_ONE(SYSTEM, KIND, B, PREPARE, SERVE), MANY_FROM_ONE(SYSTEM, KIND, B, PREPARE, SERVE),  \
        MANY_MORE(SYSTEM, KIND, B, PREPARE, SERVE, "8_to_8", 8, 8)
#define MANY_BATCHED(SYSTEM, KIND, B, PREPARE, SERVE)                                              \
    MANY_ROW(SYSTEM, KIND, B, PREPARE, SERVE, "1_to_1_by_16", 1, 1, MANY_BATCH, 0)

#endif
