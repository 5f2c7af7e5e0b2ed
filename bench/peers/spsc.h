/* Streams and round trips through queues for one producer and one consumer, by functions that do
 * not wait. A file that includes this defines for each size B NAME_sendB and NAME_recvB, which
 * return whether they succeeded, and a function QUEUE(r, name) that returns the queue "to" or
 * "fro". */
#ifndef BENCH_PEERS_SPSC_H
#define BENCH_PEERS_SPSC_H

#include "../kit/sides.h"

#define SPSC_CAPACITY 1024 /* that of ipc_ring and ck_ring */

/* Makes both queues in the segment, each in so many bytes. */
static inline int spsc_prepare(struct bench_run *r, size_t bytes,
                               int (*init)(struct bench_run *r, void *at))
{
    static const char *const names[] = {"to", "fro"};
    int i, rc = 0;

    for (i = 0; i < 2 && rc == 0; i++) {
        struct ipc_shm_object o;

        rc = ipc_shm_make(&r->seg, names[i], 1, bytes, &o);
        rc = rc != 0 ? rc : init(r, o.mem);
        rc = rc != 0 ? rc : ipc_shm_publish(&r->seg, &o);
    }
    return rc;
}

static inline void *spsc_queue(struct bench_run *r, const char *name)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, name, 1, &o) == 0, "find");
    return o.mem;
}

#define SPSC_CASES(NAME, QUEUE, B)                                                                 \
    static void NAME##_stream_serve##B(struct bench_run *r)                                        \
    {                                                                                              \
        void *to = QUEUE(r, "to");                                                                 \
        BENCH_STREAM_SERVE(B, while (!NAME##_send##B(to, &m)) ck_pr_stall());                      \
    }                                                                                              \
    static uint64_t NAME##_stream_measure##B(struct bench_run *r)                                  \
    {                                                                                              \
        void *to = QUEUE(r, "to");                                                                 \
        BENCH_STREAM_MEASURE(B, while (!NAME##_recv##B(to, &m)) ck_pr_stall());                    \
    }                                                                                              \
    static void NAME##_pingpong_serve##B(struct bench_run *r)                                      \
    {                                                                                              \
        void *to = QUEUE(r, "to"), *fro = QUEUE(r, "fro");                                         \
        BENCH_PINGPONG_SERVE(B, while (!NAME##_send##B(fro, &m)) ck_pr_stall(),                    \
                             while (!NAME##_recv##B(to, &m)) ck_pr_stall());                       \
    }                                                                                              \
    static uint64_t NAME##_pingpong_measure##B(struct bench_run *r)                                \
    {                                                                                              \
        void *to = QUEUE(r, "to"), *fro = QUEUE(r, "fro");                                         \
        BENCH_PINGPONG_MEASURE(B, while (!NAME##_send##B(to, &m)) ck_pr_stall(),                   \
                               while (!NAME##_recv##B(fro, &m)) ck_pr_stall());                    \
    }

/* Names every field, as C++ compilers warn of a missing one. */
#define SPSC_ROW(SYSTEM, TEST, SHAPE, B, MEMORY, PREPARE, SERVE, MEASURE, THREADS, CLEAR)          \
    {                                                                                              \
        .system = SYSTEM, .test = TEST, .shape = SHAPE, .bytes = B, .memory = MEMORY,              \
        .prepare = PREPARE, .serve = SERVE, .measure = MEASURE, .how = NULL, .one_core = 0,        \
        .readers = 0, .producers = 0, .consumers = 0, .batch = 0, .held = 0, .threads = THREADS,   \
        .fifo_peer = 0, .clear = CLEAR                                                             \
    }
#define SPSC_ROWS(SYSTEM, NAME, B, PREPARE, THREADS)                                               \
    SPSC_ROW(SYSTEM, "stream", "spsc", B, 2 * (SPSC_CAPACITY * ((B) + 64) + 8192), PREPARE,        \
             NAME##_stream_serve##B, NAME##_stream_measure##B, THREADS, NULL),                     \
        SPSC_ROW(SYSTEM, "pingpong", "spsc", B, 2 * (SPSC_CAPACITY * ((B) + 64) + 8192), PREPARE,  \
                 NAME##_pingpong_serve##B, NAME##_pingpong_measure##B, THREADS, NULL)

#endif
