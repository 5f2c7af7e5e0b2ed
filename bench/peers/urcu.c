/*
 * Userspace RCU's wfcqueue: a list of nodes that its users provide. Its lock works between the
 * threads of one process, so it can only be used there. It is used in its best mode: a consumer
 * splices all nodes into a queue of its own and takes them from there one by one; a producer does
 * the same with nodes that come back. (rculfqueue needs a grace period before a node can be used
 * again.)
 */
#define _LGPL_SOURCE /* its functions are inlined */
#include "../kit/many.h"
#include <urcu/wfcqueue.h>

struct queue {
    struct cds_wfcq_head head CK_CC_CACHELINE;
    struct cds_wfcq_tail tail CK_CC_CACHELINE;
};

struct node {
    struct cds_wfcq_node node;
    uint64_t word[56 / 8];
} CK_CC_CACHELINE;

static struct node nodes[16][MANY_CAPACITY]; /* of each producer */
static struct queue queue, homes[16];        /* homes: the free nodes of each producer */
static __thread struct queue own; /* the thread's own queue: of messages or of free nodes */

static void init(struct queue *q)
{
    cds_wfcq_init(&q->head, &q->tail);
}

static int prepare(struct bench_run *r)
{
    unsigned i;

    (void)r;
    init(&queue);
    for (i = 0; i < 16; i++)
        init(&homes[i]);
    return 0;
}

/* A node, or NULL. */
static inline struct node *take(struct queue *from, int alone)
{
    struct cds_wfcq_node *n = __cds_wfcq_dequeue_nonblocking(&own.head, &own.tail);

    if (n == NULL && !cds_wfcq_empty(&from->head, &from->tail)) {
        if (!alone)
            cds_wfcq_dequeue_lock(&from->head, &from->tail);
        (void)__cds_wfcq_splice_nonblocking(&own.head, &own.tail, &from->head, &from->tail);
        if (!alone)
            cds_wfcq_dequeue_unlock(&from->head, &from->tail);
        n = __cds_wfcq_dequeue_nonblocking(&own.head, &own.tail);
    }
    return n == NULL || n == CDS_WFCQ_WOULDBLOCK ? NULL : caa_container_of(n, struct node, node);
}

static inline void give(struct queue *to, struct node *n)
{
    cds_wfcq_node_init(&n->node);
    (void)cds_wfcq_enqueue(&to->head, &to->tail, &n->node);
}

static inline struct queue *home_of(const struct node *n)
{
    return &homes[(size_t)(n - nodes[0]) / MANY_CAPACITY];
}

/* The first half of an enqueue: the tail is this node, which is not linked yet. */
static void hold_node(void *end)
{
    struct node *n = take((struct queue *)end, 1);

    cds_wfcq_node_init(&n->node);
    (void)uatomic_xchg(&queue.tail.p, &n->node);
}

#define URCU(B)                                                                                    \
    static inline int64_t push##B(void *end, void *m, unsigned count)                              \
    {                                                                                              \
        struct node *n = take((struct queue *)end, 1);                                             \
        if (n == NULL)                                                                             \
            return 0;                                                                              \
        memcpy(n->word, m, B);                                                                     \
        give(&queue, n);                                                                           \
        return count;                                                                              \
    }                                                                                              \
    static inline int64_t pop##B(void *end, void *m, unsigned count)                               \
    {                                                                                              \
        struct node *n = take(&queue, *(int *)end);                                                \
        if (n == NULL)                                                                             \
            return 0;                                                                              \
        memcpy(m, n->word, B);                                                                     \
        give(home_of(n), n);                                                                       \
        return count;                                                                              \
    }                                                                                              \
    static void serve##B(struct bench_run *r)                                                      \
    {                                                                                              \
        struct queue *home = &homes[r->index];                                                     \
        int alone = r->of->consumers == 1;                                                         \
        unsigned i;                                                                                \
        init(&own);                                                                                \
        if (!many_consumes(r))                                                                     \
            for (i = 0; i < MANY_CAPACITY / (r->of->producers + r->of->held); i++)                 \
                give(home, &nodes[r->index][i]);                                                   \
        many_serve(r, B, many_consumes(r) ? (void *)&alone : (void *)home, push##B, pop##B,        \
                   hold_node);                                                                     \
    }

URCU(8)
URCU(56)

BENCH_GROUP(urcu) = {MANY_SINGLY("urcu_wfcqueue", MANY_FIFO_THREADS, 8, prepare, serve8),
                     MANY_SINGLY("urcu_wfcqueue", MANY_FIFO_THREADS, 56, prepare, serve56),
                     MANY_SCALING("urcu_wfcqueue", MANY_FIFO_THREADS, 56, prepare, serve56),
                     {.system = NULL}};
