/*
 * Many producers and consumers on one ring: ipc_ring and, as a peer, ck_ring in its MPMC form. As
 * many of each, spread over the two cores; who finds nothing to do looks a while and then yields,
 * as others may have to run. Every message is checked, and that each producer's come in order.
 */
#include "bench.h"
#include "ipc_ring.h"
#include <ck_ring.h>
#include <sched.h>
#include <time.h>

#define CAPACITY 1024
#define BATCH 16

BENCH_MESSAGE(8)
BENCH_MESSAGE(56)

/* How it is done: `each` producers and consumers, in batches or not, one more who holds a slot. */
struct many {
    int batch, held;
};

struct count {
    uint64_t taken CK_CC_CACHELINE; /* of all messages */
    uint64_t done;
};

static struct count *count_of(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "count", 1, &o) == 0, "find");
    return (struct count *)o.mem;
}

static int make_count(struct bench_run *r)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "count", 1, sizeof(struct count), &o);

    return rc != 0 ? rc : ipc_shm_publish(&r->seg, &o);
}

static void idle(unsigned *looks)
{
    if (++*looks < 200)
        ck_pr_stall();
    else
        (void)sched_yield();
}

/* What one producer sends: an equal part, marked with who it is. */
static uint64_t part(const struct bench_run *r)
{
    return (r->warm + r->count + r->of->each - 1) / r->of->each;
}

#define MANY(NAME, B, MAKE, OPEN_P, OPEN_C, PUSH, PUSH_N, POP, POP_N, HOLD)                        \
    static int NAME##_prepare##B(struct bench_run *r)                                              \
    {                                                                                              \
        int rc = make_count(r);                                                                    \
        return rc != 0 ? rc : (MAKE);                                                              \
    }                                                                                              \
    static void NAME##_send##B(struct bench_run *r)                                                \
    {                                                                                              \
        const struct many *how = (const struct many *)r->of->how;                                  \
        uint64_t n = 0, all = part(r), who = (uint64_t)r->index << 48;                             \
        struct message##B m[BATCH];                                                                \
        unsigned looks = 0;                                                                        \
        OPEN_P;                                                                                    \
        memset(m, 7, sizeof m);                                                                    \
        bench_start(r);                                                                            \
        while (n < all) {                                                                          \
            uint64_t i, want = how->batch && all - n > BATCH ? BATCH : how->batch ? all - n : 1;   \
            int64_t got;                                                                           \
            for (i = 0; i < want; i++)                                                             \
                BENCH_MARK(m[i], who + n + i);                                                     \
            got = want > 1 ? PUSH_N : PUSH;                                                        \
            if (got > 0)                                                                           \
                n += (uint64_t)got, looks = 0;                                                     \
            else                                                                                   \
                idle(&looks);                                                                      \
        }                                                                                          \
    }                                                                                              \
    static int64_t NAME##_take##B(struct bench_run *r)                                             \
    {                                                                                              \
        const struct many *how = (const struct many *)r->of->how;                                  \
        uint64_t last[64], taken = 0, all = part(r) * r->of->each;                                 \
        struct count *count = count_of(r);                                                         \
        struct message##B m[BATCH];                                                                \
        unsigned looks = 0;                                                                        \
        int64_t then;                                                                              \
        OPEN_C;                                                                                    \
        memset(last, 0, sizeof last);                                                              \
        bench_start(r);                                                                            \
        then = ipc_clock();                                                                        \
        for (;;) {                                                                                 \
            int64_t i, got = how->batch ? POP_N : POP;                                             \
            for (i = 0; i < got; i++) {                                                            \
                uint64_t id = m[i].word[0], who = id >> 48 & 63;                                   \
                BENCH_VERIFY(m[i], id);                                                            \
                bench_check((id & ((UINT64_C(1) << 48) - 1)) >= last[who], "order");               \
                last[who] = (id & ((UINT64_C(1) << 48) - 1)) + 1;                                  \
            }                                                                                      \
            if (got > 0) {                                                                         \
                taken += (uint64_t)got, looks = 0;                                                 \
                if (taken < 1024)                                                                  \
                    continue;                                                                      \
            } else {                                                                               \
                idle(&looks);                                                                      \
            }                                                                                      \
            if (taken > 0 && (taken >= 1024 || looks > 200)) {                                     \
                ck_pr_add_64(&count->taken, taken);                                                \
                taken = 0;                                                                         \
            }                                                                                      \
            if (looks > 200 && ck_pr_load_64(&count->taken) >= all)                                \
                return ipc_clock() - then;                                                         \
        }                                                                                          \
    }                                                                                              \
    static uint64_t NAME##_measure##B(struct bench_run *r)                                         \
    {                                                                                              \
        struct count *count = count_of(r);                                                         \
        int64_t then;                                                                              \
        then = NAME##_take##B(r);                                                                  \
        ck_pr_store_64(&count->done, 1);                                                           \
        return (uint64_t)((double)then * (double)r->count / (double)(r->warm + r->count));         \
    }                                                                                              \
    static void NAME##_serve##B(struct bench_run *r)                                               \
    {                                                                                              \
        if (r->index < r->of->each) {                                                              \
            (void)NAME##_take##B(r);                                                               \
        } else if (r->index < 2 * r->of->each) {                                                   \
            NAME##_send##B(r);                                                                     \
        } else {                                                                                   \
            struct count *count = count_of(r);                                                     \
            struct timespec nap = {0, 1000000};                                                    \
            HOLD;                                                                                  \
            bench_start(r);                                                                        \
            while (ck_pr_load_64(&count->done) == 0)                                               \
                (void)nanosleep(&nap, NULL);                                                       \
        }                                                                                          \
    }

#define IPC(B)                                                                                     \
    IPC_MPMC(many##B, struct message##B)                                                           \
    MANY(ipc, B, many##B##_make(&r->seg, "ring", CAPACITY, IPC_MPMC_AT_MOST_ONCE),                 \
         struct many##B##_producer p;                                                              \
         bench_check(many##B##_producer_open(&p, &r->seg, "ring") == 0, "open"),                   \
         struct many##B##_consumer c;                                                              \
         bench_check(many##B##_consumer_open(&c, &r->seg, "ring") == 0, "open"),                   \
         many##B##_push(&p, m) == 0, many##B##_push_n(&p, m, want), many##B##_pop(&c, m) == 0,     \
         many##B##_pop_n(&c, m, BATCH), struct many##B##_producer p;                               \
         bench_check(many##B##_producer_open(&p, &r->seg, "ring") == 0, "open");                   \
         bench_check(many##B##_claim(&p) != NULL, "claim"))
IPC(8)
IPC(56)

struct ck_many {
    ck_ring_t ring CK_CC_CACHELINE;
};

static int ck_make(struct bench_run *r, size_t bytes)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "ring", 1, 4096 + CAPACITY * bytes, &o);

    if (rc == 0) {
        ck_ring_init(&((struct ck_many *)o.mem)->ring, CAPACITY);
        rc = ipc_shm_publish(&r->seg, &o);
    }
    return rc;
}

static ck_ring_t *ck_open(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "ring", 1, &o) == 0, "find");
    return &((struct ck_many *)o.mem)->ring;
}

#define CK(B)                                                                                      \
    CK_RING_PROTOTYPE(ckm##B, message##B)                                                          \
    MANY(ck, B, ck_make(r, B), ck_ring_t *k = ck_open(r), ck_ring_t *k = ck_open(r),               \
         CK_RING_ENQUEUE_MPMC(ckm##B, k, (struct message##B *)(void *)((char *)k + 4096), m), 0,   \
         CK_RING_DEQUEUE_MPMC(ckm##B, k, (struct message##B *)(void *)((char *)k + 4096), m), 0,   \
         bench_fail("case"))
CK(8)
CK(56)

static const struct many singly = {0, 0}, batched = {1, 0}, held = {0, 1};

#define ROW(SYSTEM, NAME, B, SHAPE, EACH, HOW)                                                     \
    {                                                                                              \
        .system = SYSTEM, .test = "many", .shape = SHAPE, .bytes = B,                              \
        .memory = 2 * CAPACITY * 64 + 65536, .prepare = NAME##_prepare##B,                         \
        .serve = NAME##_serve##B, .measure = NAME##_measure##B, .how = &HOW, .each = EACH,         \
        .more = HOW##_more                                                                         \
    }
enum { singly_more = 0, batched_more = 0, held_more = 1 };

const struct bench_case bench_many[] = {ROW("ipc_ring", ipc, 8, "1_to_1", 1, singly),
                                        ROW("ipc_ring", ipc, 8, "1_to_1_by_16", 1, batched),
                                        ROW("ipc_ring", ipc, 8, "2_to_2", 2, singly),
                                        ROW("ipc_ring", ipc, 56, "1_to_1", 1, singly),
                                        ROW("ipc_ring", ipc, 56, "1_to_1_by_16", 1, batched),
                                        ROW("ipc_ring", ipc, 56, "2_to_2", 2, singly),
                                        ROW("ipc_ring", ipc, 56, "2_to_2_1_held", 2, held),
                                        ROW("ipc_ring", ipc, 56, "4_to_4", 4, singly),
                                        ROW("ck_ring", ck, 8, "1_to_1", 1, singly),
                                        ROW("ck_ring", ck, 8, "2_to_2", 2, singly),
                                        ROW("ck_ring", ck, 56, "1_to_1", 1, singly),
                                        ROW("ck_ring", ck, 56, "2_to_2", 2, singly),
                                        ROW("ck_ring", ck, 56, "4_to_4", 4, singly),
                                        {.system = NULL}};
