/*
 * The limit of a bounded queue with many at an end: the atomic operations that it cannot do without.
 * A process adds to one counter to get a place that is nobody else's, and looks at the counter of
 * the other end, when its copy is used up, to learn that the place is free or full. The message is
 * written to the place, and read from there. Nothing says whether it is there yet: a queue needs
 * that too, so no queue can be faster. An end with one process needs no atomic addition, unless the
 * other end has one as well: a queue for many cannot know that.
 */
#include "../kit/many.h"

struct area {
    uint64_t pushed, pad0[31], popped, pad1[31];
    unsigned char places[MANY_CAPACITY * 64];
};

static struct area *area(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "area", 1, &o) == 0, "find");
    return (struct area *)o.mem;
}

static int prepare(struct bench_run *r)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "area", 1, sizeof(struct area), &o);

    return rc != 0 ? rc : ipc_shm_publish(&r->seg, &o);
}

/* The first of n places. alone: nobody else takes places at this end. *mine: where it is. */
CK_CC_FORCE_INLINE static uint64_t claim(uint64_t *counter, uint64_t n, int alone, uint64_t *mine)
{
    if (!alone)
        return ck_pr_faa_64(counter, n);
    *mine += n;
    ck_pr_store_64(counter, *mine);
    return *mine - n;
}

/* Waits until the counter of the other end has come to `until`. */
static inline void wait_until(const uint64_t *counter, uint64_t until, uint64_t *seen)
{
    unsigned looks = 0;

    while ((int64_t)(until - *seen) > 0 && (int64_t)(until - (*seen = ck_pr_load_64(counter))) > 0)
        many_idle(&looks);
}

CK_CC_FORCE_INLINE static void serve(struct bench_run *r, size_t bytes, unsigned n)
{
    struct area *a = area(r);
    size_t stride = n == 1 || bytes > 8 ? 64 : 8;
    uint64_t m[7] = {7, 7, 7, 7, 7, 7, 7}, first, mine = 0, seen = 0, taken = 0, i;
    int together = r->of->producers + r->of->consumers > 2;

    bench_start(r);
    while (!many_consumes(r)) {
        first = claim(&a->pushed, n, together && r->of->producers == 1, &mine);
        wait_until(&a->popped, first + n - MANY_CAPACITY, &seen);
        for (i = first; i < first + n; i++) {
            m[0] = i;
            memcpy(a->places + i % MANY_CAPACITY * stride, m, bytes);
        }
        __asm__ volatile("" : : : "memory");
    }
    for (;;) {
        first = claim(&a->popped, n, together && r->of->consumers == 1, &mine);
        wait_until(&a->pushed, first + n, &seen);
        for (i = first; i < first + n; i++) {
            memcpy(m, a->places + i % MANY_CAPACITY * stride, bytes);
            __asm__ volatile("" : : "r"(m) : "memory");
        }
        taken += n;
        ck_pr_store_64(r->taken, taken);
    }
}

#define SERVE(B)                                                                                   \
    static void serve##B(struct bench_run *r)                                                      \
    {                                                                                              \
        if (r->of->batch == 1)                                                                     \
            serve(r, B, 1);                                                                        \
        else                                                                                       \
            serve(r, B, MANY_BATCH);                                                               \
    }
SERVE(8)
SERVE(56)

#define ROW(B, SHAPE, PRODUCERS, CONSUMERS, BATCH)                                                 \
    MANY_ROW("limit_tickets", MANY_OURS, B, prepare, serve##B, SHAPE, PRODUCERS, CONSUMERS, BATCH, 0)
#define ROWS(B)                                                                                    \
    ROW(B, "1_to_1", 1, 1, 1), ROW(B, "2_to_2", 2, 2, 1), ROW(B, "4_to_4", 4, 4, 1),               \
        ROW(B, "1_to_1_by_16", 1, 1, MANY_BATCH), ROW(B, "2_to_1", 2, 1, 1)

BENCH_GROUP(tickets) = {ROWS(8),
                        ROWS(56),
                        ROW(56, "4_to_1", 4, 1, 1),
                        ROW(56, "8_to_1", 8, 1, 1),
                        ROW(56, "1_to_2", 1, 2, 1),
                        ROW(56, "1_to_4", 1, 4, 1),
                        ROW(56, "1_to_8", 1, 8, 1),
                        ROW(56, "8_to_8", 8, 8, 1),
                        {.system = NULL}};
