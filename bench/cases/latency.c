/* One-way latency through rings and kernel streams, with every way of waiting. */
#define _GNU_SOURCE
#include "../kit/kernel.h"
#include "../kit/latency.h"
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <ck_ring.h>

#define CAPACITY 1024

BENCH_MESSAGE(8)
BENCH_MESSAGE(56)

#define SIDES(NAME, B)                                                                             \
    static void NAME##_serve##B(struct bench_run *r)                                               \
    {                                                                                              \
        latency_send(r, B, NAME##_sender##B(r), NAME##_put##B);                                    \
    }                                                                                              \
    static uint64_t NAME##_measure##B(struct bench_run *r)                                         \
    {                                                                                              \
        return latency_recv(r, B, NAME##_receiver##B(r), NAME##_get##B);                           \
    }

/* ------------------------------------------------------------------ ipc_ring */

/* How an end of a ring sleeps. BENCH_SPIN: it does not; BENCH_ADAPTIVE: by the default policy;
 * BENCH_SLEEP: at once. */
static void sleep_as(const struct bench_run *r, struct ipc_notify *bell)
{
    if (r->of->wait == BENCH_SLEEP)
        ipc_notify_policy(bell, 0, 0);
}

/* Defines both ends in one variable; each process uses one of them. */
#define IPC(NAME, TYPE, B, PUSH, POP, SEND, RECV, OUT, IN)                                         \
    static struct {                                                                                \
        struct TYPE##_producer p;                                                                  \
        struct TYPE##_consumer c;                                                                  \
        int poll;                                                                                  \
    } NAME##B;                                                                                     \
    static inline void NAME##_put##B(void *end, void *message)                                     \
    {                                                                                              \
        struct TYPE##_producer *p = (struct TYPE##_producer *)end;                                 \
        struct message##B *m = (struct message##B *)message;                                       \
        if (NAME##B.poll)                                                                          \
            while (PUSH != 0)                                                                      \
                ck_pr_stall();                                                                     \
        else                                                                                       \
            bench_check(SEND == 0, "send");                                                        \
    }                                                                                              \
    static inline void NAME##_get##B(void *end, void *message)                                     \
    {                                                                                              \
        struct TYPE##_consumer *c = (struct TYPE##_consumer *)end;                                 \
        struct message##B *m = (struct message##B *)message;                                       \
        if (NAME##B.poll)                                                                          \
            while (POP < 0)                                                                        \
                ck_pr_stall();                                                                     \
        else                                                                                       \
            bench_check(RECV >= 0, "recv");                                                        \
    }                                                                                              \
    static void *NAME##_sender##B(struct bench_run *r)                                             \
    {                                                                                              \
        struct TYPE##_producer *p = &NAME##B.p;                                                    \
        NAME##B.poll = r->of->wait == BENCH_SPIN;                                                  \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(OUT == 0, "create");                                                           \
        sleep_as(r, TYPE##_producer_bell(p));                                                      \
        return p;                                                                                  \
    }                                                                                              \
    static void *NAME##_receiver##B(struct bench_run *r)                                           \
    {                                                                                              \
        struct TYPE##_consumer *c = &NAME##B.c;                                                    \
        NAME##B.poll = r->of->wait == BENCH_SPIN;                                                  \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(IN == 0, "open");                                                              \
        sleep_as(r, TYPE##_consumer_bell(c));                                                      \
        return c;                                                                                  \
    }                                                                                              \
    SIDES(NAME, B)

#define SLOTS(NAME, TYPE, B, OUT, IN)                                                              \
    IPC(NAME, TYPE, B, TYPE##_push(p, m), TYPE##_pop(c, m), TYPE##_send(p, m, IPC_FOREVER),        \
        TYPE##_recv(c, m, IPC_FOREVER), OUT, IN)

#define SPSC(B)                                                                                    \
    IPC_SPSC(ring##B, struct message##B)                                                           \
    SLOTS(spsc, ring##B, B, ring##B##_producer_create(p, &r->seg, "to", CAPACITY),                 \
          ring##B##_consumer_open(c, &r->seg, "to"))
SPSC(8)
SPSC(56)

#define MPMC(B)                                                                                    \
    IPC_MPMC(mpmc##B, struct message##B)                                                           \
    static int mpmc_prepare##B(struct bench_run *r)                                                \
    {                                                                                              \
        return mpmc##B##_create(&r->seg, "to", CAPACITY, IPC_MPMC_AT_MOST_ONCE);                   \
    }                                                                                              \
    SLOTS(mpmc, mpmc##B, B, mpmc##B##_producer_open(p, &r->seg, "to"),                             \
          mpmc##B##_consumer_open(c, &r->seg, "to"))
MPMC(8)
MPMC(56)

IPC_RECORDS(lane)
#define RECORDS(B)                                                                                 \
    IPC(records, lane, B, lane_push(p, m, B), lane_pop(c, m, B), lane_send(p, m, B, IPC_FOREVER),  \
        lane_recv(c, m, B, IPC_FOREVER), lane_producer_create(p, &r->seg, "to", CAPACITY * 64, 1), \
        lane_consumer_open(c, &r->seg, "to"))
RECORDS(8)
RECORDS(56)

/* ------------------------------------------------------------------ ck_ring */

static int ck_prepare(struct bench_run *r)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "to", 1, 4096 + CAPACITY * r->of->bytes, &o);

    if (rc == 0) {
        ck_ring_init((ck_ring_t *)o.mem, CAPACITY);
        rc = ipc_shm_publish(&r->seg, &o);
    }
    return rc;
}

static void *ck_find(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "to", 1, &o) == 0, "find");
    return o.mem;
}

#define CK(B)                                                                                      \
    CK_RING_PROTOTYPE(ck##B, message##B)                                                           \
    static inline struct message##B *ck_buffer##B(void *end)                                       \
    {                                                                                              \
        return (struct message##B *)(void *)((char *)end + 4096);                                  \
    }                                                                                              \
    static inline void ck_put##B(void *end, void *m)                                               \
    {                                                                                              \
        while (!CK_RING_ENQUEUE_SPSC(ck##B, (ck_ring_t *)end, ck_buffer##B(end),                   \
                                     (struct message##B *)m))                                      \
            ck_pr_stall();                                                                         \
    }                                                                                              \
    static inline void ck_get##B(void *end, void *m)                                               \
    {                                                                                              \
        while (!CK_RING_DEQUEUE_SPSC(ck##B, (ck_ring_t *)end, ck_buffer##B(end),                   \
                                     (struct message##B *)m))                                      \
            ck_pr_stall();                                                                         \
    }                                                                                              \
    static void *ck_sender##B(struct bench_run *r)                                                 \
    {                                                                                              \
        return ck_find(r);                                                                         \
    }                                                                                              \
    static void *ck_receiver##B(struct bench_run *r)                                               \
    {                                                                                              \
        return ck_find(r);                                                                         \
    }                                                                                              \
    SIDES(ck, B)
CK(8)
CK(56)

/* ------------------------------------------------------------------ the kernel */

/* fd[0] reads what fd[1] writes. */
static int kernel_prepare(struct bench_run *r)
{
    int rc = strcmp(r->of->system, "pipe") == 0 ? pipe(r->fd)
                                                : socketpair(AF_UNIX, SOCK_STREAM, 0, r->fd);

    return rc != 0 ? -errno : r->of->wait == BENCH_SPIN ? nonblocking(r) : 0;
}

#define KERNEL(B)                                                                                  \
    static inline void kernel_put##B(void *end, void *m)                                           \
    {                                                                                              \
        send_all(*(int *)end, m, B);                                                               \
    }                                                                                              \
    static inline void kernel_get##B(void *end, void *m)                                           \
    {                                                                                              \
        recv_all((struct inbox *)end, m, B);                                                       \
    }                                                                                              \
    static void *kernel_sender##B(struct bench_run *r)                                             \
    {                                                                                              \
        return &r->fd[1];                                                                          \
    }                                                                                              \
    static void *kernel_receiver##B(struct bench_run *r)                                           \
    {                                                                                              \
        return inbox_of(r->fd[0]);                                                                 \
    }                                                                                              \
    SIDES(kernel, B)
KERNEL(8)
KERNEL(56)

/* ------------------------------------------------------------------ rows */

#define ROW(SYSTEM, NAME, PREPARE, B, TEST, SHAPE, WAIT, RATE, BURST)                              \
    {.system = SYSTEM,                                                                             \
     .test = TEST,                                                                                 \
     .shape = SHAPE,                                                                               \
     .bytes = B,                                                                                   \
     .memory = CAPACITY * 128 + 65536,                                                             \
     .prepare = PREPARE,                                                                           \
     .serve = NAME##_serve##B,                                                                     \
     .measure = NAME##_measure##B,                                                                 \
     .wait = WAIT,                                                                                 \
     .rate = RATE,                                                                                 \
     .burst = BURST},

/* BURST messages are due at once, a thousand times a second: RATE is in messages. */
#define SLOW(SYSTEM, NAME, PREPARE8, PREPARE56, WAIT, HOW)                                         \
    ROW(SYSTEM, NAME, PREPARE56, 56, "latency", "10k_" HOW, WAIT, 10000, 1)                        \
    ROW(SYSTEM, NAME, PREPARE8, 8, "latency", "100k_" HOW, WAIT, 100000, 1)                        \
    ROW(SYSTEM, NAME, PREPARE56, 56, "latency", "100k_" HOW, WAIT, 100000, 1)                      \
    ROW(SYSTEM, NAME, PREPARE56, 56, "burst", "32_" HOW, WAIT, 32000, 32)                          \
    ROW(SYSTEM, NAME, PREPARE56, 56, "burst", "256_" HOW, WAIT, 256000, 256)
#define FAST(SYSTEM, NAME, PREPARE8, PREPARE56, WAIT, HOW)                                         \
    SLOW(SYSTEM, NAME, PREPARE8, PREPARE56, WAIT, HOW)                                             \
    ROW(SYSTEM, NAME, PREPARE56, 56, "latency", "1M_" HOW, WAIT, 1000000, 1)
#define OURS(SYSTEM, NAME, PREPARE8, PREPARE56)                                                    \
    FAST(SYSTEM, NAME, PREPARE8, PREPARE56, BENCH_SPIN, "spin")                                    \
    FAST(SYSTEM, NAME, PREPARE8, PREPARE56, BENCH_ADAPTIVE, "adaptive")                            \
    SLOW(SYSTEM, NAME, PREPARE8, PREPARE56, BENCH_SLEEP, "sleep")
#define KERNELS(SYSTEM)                                                                            \
    SLOW(SYSTEM, kernel, kernel_prepare, kernel_prepare, BENCH_SPIN, "spin")                       \
    SLOW(SYSTEM, kernel, kernel_prepare, kernel_prepare, BENCH_SLEEP, "sleep")

/* clang-format off */
BENCH_GROUP(latency) = {
    OURS("ipc_ring", spsc, NULL, NULL)
    OURS("ipc_mpmc", mpmc, mpmc_prepare8, mpmc_prepare56)
    OURS("ipc_records", records, NULL, NULL)
    FAST("ck_ring", ck, ck_prepare, ck_prepare, BENCH_SPIN, "spin")
    KERNELS("pipe")
    /* A pipe can just keep this rate, and a socket cannot. */
    ROW("pipe", kernel, kernel_prepare, 56, "latency", "1M_spin", BENCH_SPIN, 1000000, 1)
    KERNELS("unix_stream")
    {.system = NULL}};
/* clang-format on */
