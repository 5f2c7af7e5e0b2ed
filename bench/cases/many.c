/* Several producers and consumers on one ring: ipc_ring; ck_ring in its MPMC form, a peer; and two
 * producers with one consumer on an MPSC ring and on records. */
#include "../kit/many.h"
#include "ipc_ring.h"
#include <ck_ring.h>

BENCH_MESSAGE(8)
BENCH_MESSAGE(56)

/* ------------------------------------------------------------------ ipc_ring */

#define IPC(KIND, N, B)                                                                            \
    KIND(N##B, struct message##B)                                                                  \
    union N##_end##B {                                                                             \
        struct N##B##_producer p;                                                                  \
        struct N##B##_consumer c;                                                                  \
    };                                                                                             \
    static int N##_prepare##B(struct bench_run *r)                                                 \
    {                                                                                              \
        return N##B##_create(&r->seg, "ring", MANY_CAPACITY, IPC_MPMC_AT_MOST_ONCE);               \
    }                                                                                              \
    static inline int64_t N##_push##B(void *end, void *m, unsigned n)                              \
    {                                                                                              \
        struct N##B##_producer *p = &((union N##_end##B *)end)->p;                                 \
        return n > 1 ? N##B##_push_n(p, (struct message##B *)m, n)                                 \
                     : N##B##_push(p, (struct message##B *)m) == 0;                                \
    }                                                                                              \
    static inline int64_t N##_pop##B(void *end, void *m, unsigned n)                               \
    {                                                                                              \
        struct N##B##_consumer *c = &((union N##_end##B *)end)->c;                                 \
        return n > 1 ? N##B##_pop_n(c, (struct message##B *)m, n)                                  \
                     : N##B##_pop(c, (struct message##B *)m) == 0;                                 \
    }                                                                                              \
    static inline void N##_hold##B(void *end)                                                      \
    {                                                                                              \
        bench_check(N##B##_claim(&((union N##_end##B *)end)->p) != NULL, "claim");                 \
    }                                                                                              \
    static void N##_serve##B(struct bench_run *r)                                                  \
    {                                                                                              \
        union N##_end##B end;                                                                      \
        bench_check((many_consumes(r) ? N##B##_consumer_open(&end.c, &r->seg, "ring")              \
                                      : N##B##_producer_open(&end.p, &r->seg, "ring")) == 0,       \
                    "open");                                                                       \
        many_serve(r, B, &end, N##_push##B, N##_pop##B, N##_hold##B);                              \
    }
IPC(IPC_MPMC, ipc, 8)
IPC(IPC_MPMC, ipc, 56)
IPC(IPC_MPSC, mpsc, 8)
IPC(IPC_MPSC, mpsc, 56)
IPC(IPC_SPMC, spmc, 56)

/* ------------------------------------------------------------------ records, of two producers */

#define PRODUCERS 2

IPC_RECORDS(records)

union records_end {
    struct records_producer p;
    struct records_consumer c;
};

/* The rings of all producers together have as much memory as a ring of slots of 56 bytes. There are
 * no batches. */
#define RECORDS(B)                                                                                 \
    static inline int64_t records_push##B(void *end, void *m, unsigned n)                          \
    {                                                                                              \
        (void)n;                                                                                   \
        return records_push(&((union records_end *)end)->p, m, B) == 0;                            \
    }                                                                                              \
    static inline int64_t records_pop##B(void *end, void *m, unsigned n)                           \
    {                                                                                              \
        (void)n;                                                                                   \
        return records_pop(&((union records_end *)end)->c, m, B) == B;                             \
    }                                                                                              \
    static inline void records_hold##B(void *end)                                                  \
    {                                                                                              \
        bench_check(records_claim(&((union records_end *)end)->p, B) != NULL, "claim");            \
    }                                                                                              \
    static void records_serve##B(struct bench_run *r)                                              \
    {                                                                                              \
        union records_end end;                                                                     \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check((many_consumes(r) ? records_consumer_open(&end.c, &r->seg, "ring")             \
                                      : records_producer_create(&end.p, &r->seg, "ring",           \
                                                                MANY_CAPACITY * 64 / PRODUCERS,    \
                                                                PRODUCERS)) == 0,                  \
                    "open");                                                                       \
        many_serve(r, B, &end, records_push##B, records_pop##B, records_hold##B);                  \
    }
RECORDS(8)
RECORDS(56)

/* ------------------------------------------------------------------ ck_ring, without batches */

static int ck_prepare(struct bench_run *r)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "ring", 1, 4096 + MANY_CAPACITY * r->of->bytes, &o);

    if (rc == 0) {
        ck_ring_init((ck_ring_t *)o.mem, MANY_CAPACITY);
        rc = ipc_shm_publish(&r->seg, &o);
    }
    return rc;
}

#define CK(B)                                                                                      \
    CK_RING_PROTOTYPE(ckm##B, message##B)                                                          \
    static inline struct message##B *ck_buffer##B(void *end)                                       \
    {                                                                                              \
        return (struct message##B *)(void *)((char *)end + 4096);                                  \
    }                                                                                              \
    static inline int64_t ck_push##B(void *end, void *m, unsigned n)                               \
    {                                                                                              \
        (void)n;                                                                                   \
        return CK_RING_ENQUEUE_MPMC(ckm##B, (ck_ring_t *)end, ck_buffer##B(end),                   \
                                    (struct message##B *)m);                                       \
    }                                                                                              \
    static inline int64_t ck_pop##B(void *end, void *m, unsigned n)                                \
    {                                                                                              \
        (void)n;                                                                                   \
        return CK_RING_DEQUEUE_MPMC(ckm##B, (ck_ring_t *)end, ck_buffer##B(end),                   \
                                    (struct message##B *)m);                                       \
    }                                                                                              \
    static inline void ck_hold##B(void *end)                                                       \
    {                                                                                              \
        unsigned ticket;                                                                           \
        bench_check(CK_RING_ENQUEUE_RESERVE_MPMC(ckm##B, (ck_ring_t *)end, ck_buffer##B(end),      \
                                                 &ticket) != NULL,                                 \
                    "reserve");                                                                    \
    }                                                                                              \
    static void ck_serve##B(struct bench_run *r)                                                   \
    {                                                                                              \
        struct ipc_shm_object o;                                                                   \
        bench_check(ipc_shm_find(&r->seg, "ring", 1, &o) == 0, "find");                            \
        many_serve(r, B, o.mem, ck_push##B, ck_pop##B, ck_hold##B);                                \
    }
CK(8)
CK(56)

#define TO_ONE(SYSTEM, B, PREPARE, SERVE)                                                          \
    MANY_ROW(SYSTEM, MANY_OURS, B, PREPARE, SERVE, "2_to_1", PRODUCERS, 1, 1, 0)

BENCH_GROUP(many) = {MANY_SINGLY("ipc_ring", MANY_OURS, 8, ipc_prepare8, ipc_serve8),
                     MANY_BATCHED("ipc_ring", MANY_OURS, 8, ipc_prepare8, ipc_serve8),
                     MANY_SINGLY("ipc_ring", MANY_OURS, 56, ipc_prepare56, ipc_serve56),
                     MANY_BATCHED("ipc_ring", MANY_OURS, 56, ipc_prepare56, ipc_serve56),
                     MANY_SCALING("ipc_ring", MANY_OURS, 56, ipc_prepare56, ipc_serve56),
                     TO_ONE("ipc_mpsc", 8, mpsc_prepare8, mpsc_serve8),
                     MANY_TO_ONE("ipc_mpsc", MANY_OURS, 56, mpsc_prepare56, mpsc_serve56),
                     MANY_FROM_ONE("ipc_spmc", MANY_OURS, 56, spmc_prepare56, spmc_serve56),
                     TO_ONE("ipc_records", 8, NULL, records_serve8),
                     TO_ONE("ipc_records", 56, NULL, records_serve56),
                     MANY_SINGLY("ck_ring", MANY_FIFO_PEER, 8, ck_prepare, ck_serve8),
                     MANY_SINGLY("ck_ring", MANY_FIFO_PEER, 56, ck_prepare, ck_serve56),
                     MANY_SCALING("ck_ring", MANY_FIFO_PEER, 56, ck_prepare, ck_serve56),
                     {.system = NULL}};
