/* SPSC rings and broadcasts; and Concurrency Kit's ck_ring, a peer in the same kind of segment. */
#include "../kit/sides.h"
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <ck_ring.h>

#define CAPACITY 1024

BENCH_SIZES(BENCH_MESSAGE)

/* ------------------------------------------------------------------ ipc_ring: to, fro */

#define IPC_CASES(B)                                                                               \
    IPC_SPSC(ring##B, struct message##B)                                                           \
                                                                                                   \
    static void ipc_attach##B(struct bench_run *r, const char *out, const char *in,                \
                              struct ring##B##_producer *p, struct ring##B##_consumer *c)          \
    {                                                                                              \
        r->seg.deadline = ipc_in_ms(10000); /* each process creates the ring that it sends into */ \
        bench_check(out == NULL || ring##B##_producer_create(p, &r->seg, out, CAPACITY) == 0,      \
                    "create");                                                                     \
        bench_check(in == NULL || ring##B##_consumer_open(c, &r->seg, in) == 0, "open");           \
    }                                                                                              \
    static void ipc_stream_serve##B(struct bench_run *r)                                           \
    {                                                                                              \
        struct ring##B##_producer p;                                                               \
        ipc_attach##B(r, "to", NULL, &p, NULL);                                                    \
        BENCH_STREAM_SERVE(B, while (ring##B##_push(&p, &m) != 0) ck_pr_stall());                  \
    }                                                                                              \
    static uint64_t ipc_stream_measure##B(struct bench_run *r)                                     \
    {                                                                                              \
        struct ring##B##_consumer c;                                                               \
        ipc_attach##B(r, NULL, "to", NULL, &c);                                                    \
        BENCH_STREAM_MEASURE(B, while (ring##B##_pop(&c, &m) != 0) ck_pr_stall());                 \
    }                                                                                              \
    /* The same with functions that sleep when there is nothing to do. */                          \
    static void sleep_stream_serve##B(struct bench_run *r)                                         \
    {                                                                                              \
        struct ring##B##_producer p;                                                               \
        ipc_attach##B(r, "to", NULL, &p, NULL);                                                    \
        BENCH_STREAM_SERVE(B, bench_check(ring##B##_send(&p, &m, IPC_FOREVER) == 0, "send"));      \
    }                                                                                              \
    static uint64_t sleep_stream_measure##B(struct bench_run *r)                                   \
    {                                                                                              \
        struct ring##B##_consumer c;                                                               \
        ipc_attach##B(r, NULL, "to", NULL, &c);                                                    \
        BENCH_STREAM_MEASURE(B, bench_check(ring##B##_recv(&c, &m, IPC_FOREVER) == 0, "recv"));    \
    }                                                                                              \
    static void sleep_pingpong_serve##B(struct bench_run *r)                                       \
    {                                                                                              \
        struct ring##B##_producer p;                                                               \
        struct ring##B##_consumer c;                                                               \
        ipc_attach##B(r, "fro", "to", &p, &c);                                                     \
        BENCH_PINGPONG_SERVE(B, bench_check(ring##B##_send(&p, &m, IPC_FOREVER) == 0, "send"),     \
                             bench_check(ring##B##_recv(&c, &m, IPC_FOREVER) == 0, "recv"));       \
    }                                                                                              \
    static uint64_t sleep_pingpong_measure##B(struct bench_run *r)                                 \
    {                                                                                              \
        struct ring##B##_producer p;                                                               \
        struct ring##B##_consumer c;                                                               \
        ipc_attach##B(r, "to", "fro", &p, &c);                                                     \
        BENCH_PINGPONG_MEASURE(B, bench_check(ring##B##_send(&p, &m, IPC_FOREVER) == 0, "send"),   \
                               bench_check(ring##B##_recv(&c, &m, IPC_FOREVER) == 0, "recv"));     \
    }                                                                                              \
    static void ipc_pingpong_serve##B(struct bench_run *r)                                         \
    {                                                                                              \
        struct ring##B##_producer p;                                                               \
        struct ring##B##_consumer c;                                                               \
        ipc_attach##B(r, "fro", "to", &p, &c);                                                     \
        BENCH_PINGPONG_SERVE(B, while (ring##B##_push(&p, &m) != 0) ck_pr_stall(),                 \
                             while (ring##B##_pop(&c, &m) != 0) ck_pr_stall());                    \
    }                                                                                              \
    static uint64_t ipc_pingpong_measure##B(struct bench_run *r)                                   \
    {                                                                                              \
        struct ring##B##_producer p;                                                               \
        struct ring##B##_consumer c;                                                               \
        ipc_attach##B(r, "to", "fro", &p, &c);                                                     \
        BENCH_PINGPONG_MEASURE(B, while (ring##B##_push(&p, &m) != 0) ck_pr_stall(),               \
                               while (ring##B##_pop(&c, &m) != 0) ck_pr_stall());                  \
    }

BENCH_SIZES(IPC_CASES)

/* ------------------------------------------------------------------ broadcasts */

static const unsigned lossless = IPC_BROADCAST_LOSSLESS, lossy = IPC_BROADCAST_LOSSY;

#define BROADCAST_CASES(B)                                                                         \
    IPC_BROADCAST(broadcast##B, struct message##B)                                                 \
                                                                                                   \
    static uint64_t broadcast_measure##B(struct bench_run *r)                                      \
    {                                                                                              \
        struct broadcast##B##_producer p;                                                          \
        const unsigned *how = (const unsigned *)r->of->how;                                        \
        bench_check(broadcast##B##_producer_create(&p, &r->seg, "to", CAPACITY, *how) == 0,        \
                    "create");                                                                     \
        BENCH_BROADCAST_MEASURE(B, broadcast##B##_push(&p, &m));                                   \
    }                                                                                              \
    static void broadcast_serve##B(struct bench_run *r)                                            \
    {                                                                                              \
        struct broadcast##B##_consumer c;                                                          \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(broadcast##B##_consumer_open(&c, &r->seg, "to") == 0, "open");                 \
        BENCH_BROADCAST_SERVE(B, broadcast##B##_pop(&c, &m), broadcast##B##_missed(&c));           \
    }

BENCH_SIZES(BROADCAST_CASES)

/* ------------------------------------------------------------------ ck_ring */

struct ck_pair {
    ck_ring_t ring CK_CC_CACHELINE;
};

static int ck_prepare(struct bench_run *r, size_t bytes)
{
    static const char *const names[] = {"to", "fro"};
    int i, rc = 0;

    for (i = 0; i < 2 && rc == 0; i++) {
        struct ipc_shm_object o;

        rc = ipc_shm_make(&r->seg, names[i], 1, 4096 + CAPACITY * bytes, &o);
        if (rc == 0) {
            ck_ring_init(&((struct ck_pair *)o.mem)->ring, CAPACITY);
            rc = ipc_shm_publish(&r->seg, &o);
        }
    }
    return rc;
}

static struct ck_pair *ck_find(struct bench_run *r, const char *name)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, name, 1, &o) == 0, "find");
    return (struct ck_pair *)o.mem;
}

#define CK_CASES(B)                                                                                \
    CK_RING_PROTOTYPE(ck##B, message##B)                                                           \
                                                                                                   \
    static int ck_prepare##B(struct bench_run *r)                                                  \
    {                                                                                              \
        return ck_prepare(r, B);                                                                   \
    }                                                                                              \
    static bool ck_send##B(struct ck_pair *k, struct message##B *m)                                \
    {                                                                                              \
        return CK_RING_ENQUEUE_SPSC(ck##B, &k->ring, (struct message##B *)((char *)k + 4096), m);  \
    }                                                                                              \
    static bool ck_recv##B(struct ck_pair *k, struct message##B *m)                                \
    {                                                                                              \
        return CK_RING_DEQUEUE_SPSC(ck##B, &k->ring, (struct message##B *)((char *)k + 4096), m);  \
    }                                                                                              \
    static void ck_stream_serve##B(struct bench_run *r)                                            \
    {                                                                                              \
        struct ck_pair *to = ck_find(r, "to");                                                     \
        BENCH_STREAM_SERVE(B, while (!ck_send##B(to, &m)) ck_pr_stall());                          \
    }                                                                                              \
    static uint64_t ck_stream_measure##B(struct bench_run *r)                                      \
    {                                                                                              \
        struct ck_pair *to = ck_find(r, "to");                                                     \
        BENCH_STREAM_MEASURE(B, while (!ck_recv##B(to, &m)) ck_pr_stall());                        \
    }                                                                                              \
    static void ck_pingpong_serve##B(struct bench_run *r)                                          \
    {                                                                                              \
        struct ck_pair *to = ck_find(r, "to"), *fro = ck_find(r, "fro");                           \
        BENCH_PINGPONG_SERVE(B, while (!ck_send##B(fro, &m)) ck_pr_stall(),                        \
                             while (!ck_recv##B(to, &m)) ck_pr_stall());                           \
    }                                                                                              \
    static uint64_t ck_pingpong_measure##B(struct bench_run *r)                                    \
    {                                                                                              \
        struct ck_pair *to = ck_find(r, "to"), *fro = ck_find(r, "fro");                           \
        BENCH_PINGPONG_MEASURE(B, while (!ck_send##B(to, &m)) ck_pr_stall(),                       \
                               while (!ck_recv##B(fro, &m)) ck_pr_stall());                        \
    }

BENCH_SIZES(CK_CASES)

#define MEMORY(B) (2 * (CAPACITY * ((B) + 64) + 8192))
#define ROWS(SYSTEM, NAME, PREPARE, WAIT, B)                                                       \
    {.system = SYSTEM,                                                                             \
     .test = "stream",                                                                             \
     .shape = "spsc",                                                                              \
     .bytes = B,                                                                                   \
     .memory = MEMORY(B),                                                                          \
     .prepare = PREPARE,                                                                           \
     .serve = NAME##_stream_serve##B,                                                              \
     .measure = NAME##_stream_measure##B,                                                          \
     .wait = WAIT},                                                                                \
        {.system = SYSTEM,                                                                         \
         .test = "pingpong",                                                                       \
         .shape = "spsc",                                                                          \
         .bytes = B,                                                                               \
         .memory = MEMORY(B),                                                                      \
         .prepare = PREPARE,                                                                       \
         .serve = NAME##_pingpong_serve##B,                                                        \
         .measure = NAME##_pingpong_measure##B,                                                    \
         .wait = WAIT},
#define BROADCAST_ROW(SYSTEM, HOW, READERS, B)                                                     \
    {.system = SYSTEM,                                                                             \
     .test = "stream",                                                                             \
     .shape = "broadcast",                                                                         \
     .bytes = B,                                                                                   \
     .memory = MEMORY(B),                                                                          \
     .serve = broadcast_serve##B,                                                                  \
     .measure = broadcast_measure##B,                                                              \
     .how = HOW,                                                                                   \
     .readers = READERS},
#define BROADCAST_ROWS(B)                                                                          \
    BROADCAST_ROW("ipc_lossy_1", &lossy, 1, B)                                                     \
    BROADCAST_ROW("ipc_lossy_2", &lossy, 2, B)                                                     \
    BROADCAST_ROW("ipc_lossy_8", &lossy, 8, B)                                                     \
    BROADCAST_ROW("ipc_lossless_1", &lossless, 1, B)                                               \
    BROADCAST_ROW("ipc_lossless_2", &lossless, 2, B)                                               \
    BROADCAST_ROW("ipc_lossless_8", &lossless, 8, B)
#define IPC_ROWS(B) ROWS("ipc_ring", ipc, NULL, BENCH_SPIN, B)
#define SLEEP_ROWS(B) ROWS("ipc_ring_sleep", sleep, NULL, BENCH_ADAPTIVE, B)
#define CK_ROWS(B) ROWS("ck_ring", ck, ck_prepare##B, BENCH_SPIN, B)

BENCH_GROUP(rings) = {BENCH_SIZES(IPC_ROWS) BENCH_SIZES(SLEEP_ROWS) BENCH_SIZES(BROADCAST_ROWS)
                          BENCH_SIZES(CK_ROWS){.system = NULL}};
