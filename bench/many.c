/* Many producers and consumers on one ring: ipc_ring and, as a peer, ck_ring in its MPMC form. */
#include "many.h"
#include "ipc_ring.h"
#include <ck_ring.h>

BENCH_MESSAGE(8)
BENCH_MESSAGE(56)

/* ------------------------------------------------------------------ ipc_ring */

#define IPC(B)                                                                                     \
    IPC_MPMC(many##B, struct message##B)                                                           \
    union ipc_end##B {                                                                             \
        struct many##B##_producer p;                                                               \
        struct many##B##_consumer c;                                                               \
    };                                                                                             \
    static int ipc_prepare##B(struct bench_run *r)                                                 \
    {                                                                                              \
        return many##B##_make(&r->seg, "ring", MANY_CAPACITY, IPC_MPMC_AT_MOST_ONCE);              \
    }                                                                                              \
    static inline int64_t ipc_push##B(void *end, void *m, unsigned n)                              \
    {                                                                                              \
        struct many##B##_producer *p = &((union ipc_end##B *)end)->p;                              \
        return n > 1 ? many##B##_push_n(p, (struct message##B *)m, n)                              \
                     : many##B##_push(p, (struct message##B *)m) == 0;                             \
    }                                                                                              \
    static inline int64_t ipc_pop##B(void *end, void *m, unsigned n)                               \
    {                                                                                              \
        struct many##B##_consumer *c = &((union ipc_end##B *)end)->c;                              \
        return n > 1 ? many##B##_pop_n(c, (struct message##B *)m, n)                               \
                     : many##B##_pop(c, (struct message##B *)m) == 0;                              \
    }                                                                                              \
    static inline void ipc_hold##B(void *end)                                                      \
    {                                                                                              \
        bench_check(many##B##_claim(&((union ipc_end##B *)end)->p) != NULL, "claim");              \
    }                                                                                              \
    static void ipc_serve##B(struct bench_run *r)                                                  \
    {                                                                                              \
        union ipc_end##B end;                                                                      \
        bench_check((many_consumes(r) ? many##B##_consumer_open(&end.c, &r->seg, "ring")           \
                                      : many##B##_producer_open(&end.p, &r->seg, "ring")) == 0,    \
                    "open");                                                                       \
        many_serve(r, B, &end, ipc_push##B, ipc_pop##B, ipc_hold##B);                              \
    }
IPC(8)
IPC(56)

/* ------------------------------------------------------------------ ck_ring: no batches */

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

const struct bench_case bench_many[] = {
    MANY_SINGLY("ipc_ring", MANY_OURS, 8, ipc_prepare8, ipc_serve8),
    MANY_BATCHED("ipc_ring", MANY_OURS, 8, ipc_prepare8, ipc_serve8),
    MANY_SINGLY("ipc_ring", MANY_OURS, 56, ipc_prepare56, ipc_serve56),
    MANY_BATCHED("ipc_ring", MANY_OURS, 56, ipc_prepare56, ipc_serve56),
    MANY_SINGLY("ck_ring", MANY_FIFO_PEER, 8, ck_prepare, ck_serve8),
    MANY_SINGLY("ck_ring", MANY_FIFO_PEER, 56, ck_prepare, ck_serve56),
    {.system = NULL}};
