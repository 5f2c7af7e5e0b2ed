/* DPDK's rte_ring in shared memory, in its three modes for several producers and consumers, and in
 * its mode for one of each. */
#define ALLOW_EXPERIMENTAL_API
#include <rte_config.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_hts.h>
#include <rte_ring_rts.h>
#include "../kit/many.h"
#include "spsc.h"

static int prepare(struct bench_run *r, unsigned mode)
{
    ssize_t size = rte_ring_get_memsize_elem((unsigned)r->of->bytes, MANY_CAPACITY);
    struct ipc_shm_object o;
    int rc = size < 0 ? (int)size : ipc_shm_make(&r->seg, "ring", 1, (size_t)size, &o);

    rc = rc != 0 ? rc : rte_ring_init((struct rte_ring *)o.mem, "ring", MANY_CAPACITY, mode);
    return rc != 0 ? rc : ipc_shm_publish(&r->seg, &o);
}

static struct rte_ring *ring(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "ring", 1, &o) == 0, "find");
    return (struct rte_ring *)o.mem;
}

/* The first half of a push, which claims the slots: each mode has one of its own. */
static inline void mt_hold(void *end)
{
    uint32_t head, next, room;

    bench_check(__rte_ring_move_prod_head((struct rte_ring *)end, 0, 1, RTE_RING_QUEUE_FIXED, &head,
                                          &next, &room) == 1,
                "claim");
}

static inline void rts_hold(void *end)
{
    uint32_t head, room;

    bench_check(__rte_ring_rts_move_prod_head((struct rte_ring *)end, 1, RTE_RING_QUEUE_FIXED,
                                              &head, &room) == 1,
                "claim");
}

static inline void hts_hold(void *end)
{
    uint32_t head, room;

    bench_check(__rte_ring_hts_move_prod_head((struct rte_ring *)end, 1, RTE_RING_QUEUE_FIXED,
                                              &head, &room) == 1,
                "claim");
}

#define PREPARE(NAME, MODE)                                                                        \
    static int NAME##_prepare(struct bench_run *r)                                                 \
    {                                                                                              \
        return prepare(r, MODE);                                                                   \
    }
PREPARE(mt, 0)
PREPARE(rts, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ)
PREPARE(hts, RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ)

/* MP, MC: the mode in the names of DPDK's functions. */
#define RTE(NAME, MP, MC, B)                                                                       \
    static inline int64_t NAME##_push##B(void *end, void *m, unsigned n)                           \
    {                                                                                              \
        return MP##_enqueue_burst_elem((struct rte_ring *)end, m, B, n, NULL);                     \
    }                                                                                              \
    static inline int64_t NAME##_pop##B(void *end, void *m, unsigned n)                            \
    {                                                                                              \
        return MC##_dequeue_burst_elem((struct rte_ring *)end, m, B, n, NULL);                     \
    }                                                                                              \
    static void NAME##_serve##B(struct bench_run *r)                                               \
    {                                                                                              \
        many_serve(r, B, ring(r), NAME##_push##B, NAME##_pop##B, NAME##_hold);                     \
    }
#define MODES(B)                                                                                   \
    RTE(mt, rte_ring_mp, rte_ring_mc, B)                                                           \
    RTE(rts, rte_ring_mp_rts, rte_ring_mc_rts, B)                                                  \
    RTE(hts, rte_ring_mp_hts, rte_ring_mc_hts, B)
MODES(8)
MODES(56)

/* ------------------------------------------------------------------ one producer, one consumer */

static int spsc_init(struct bench_run *r, void *at)
{
    (void)r;
    return rte_ring_init((struct rte_ring *)at, "ring", SPSC_CAPACITY,
                         RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int one_prepare(struct bench_run *r)
{
    ssize_t size = rte_ring_get_memsize_elem((unsigned)r->of->bytes, SPSC_CAPACITY);

    return size < 0 ? (int)size : spsc_prepare(r, (size_t)size, spsc_init);
}

#define ONE(B)                                                                                     \
    BENCH_MESSAGE(B)                                                                               \
                                                                                                   \
    static inline int one_send##B(void *queue, const struct message##B *m)                         \
    {                                                                                              \
        return rte_ring_sp_enqueue_elem((struct rte_ring *)queue, (void *)(uintptr_t)m, B) == 0;   \
    }                                                                                              \
    static inline int one_recv##B(void *queue, struct message##B *m)                               \
    {                                                                                              \
        return rte_ring_sc_dequeue_elem((struct rte_ring *)queue, m, B) == 0;                      \
    }                                                                                              \
    SPSC_CASES(one, spsc_queue, B)

BENCH_SIZES(ONE)

#define ROWS(SYSTEM, NAME, B)                                                                      \
    MANY_SINGLY(SYSTEM, MANY_FIFO_PEER, B, NAME##_prepare, NAME##_serve##B),                       \
        MANY_BATCHED(SYSTEM, MANY_FIFO_PEER, B, NAME##_prepare, NAME##_serve##B)

#define ONE_ROWS(B) SPSC_ROWS("rte_ring", one, B, one_prepare, 0),

BENCH_GROUP(rte) = {ROWS("rte_ring", mt, 8),
                    ROWS("rte_ring", mt, 56),
                    ROWS("rte_ring_rts", rts, 8),
                    ROWS("rte_ring_rts", rts, 56),
                    ROWS("rte_ring_hts", hts, 8),
                    ROWS("rte_ring_hts", hts, 56),
                    MANY_SCALING("rte_ring_hts", MANY_FIFO_PEER, 56, hts_prepare, hts_serve56),
                    BENCH_SIZES(ONE_ROWS){.system = NULL}};
