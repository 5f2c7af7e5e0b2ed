/*
 * Throughput against the size of the message, for ipc_ring and ck_ring, copied and in place.
 * Copied: the producer copies the message from its own memory into the ring, and the consumer
 * copies it from there into its own, as with limit_copy, a pipe and a socket. In place: the
 * producer writes every word of the message in the ring's memory, and the consumer reads and checks
 * every word there. So a row in place includes work that comes before and after a copy, and that a
 * row of copies leaves out.
 */
#include "../kit/sizes.h"
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <ck_ring.h>

SIZES(BENCH_MESSAGE)

/* ------------------------------------------------------------------ ipc_ring */

#define IPC_CASES(B)                                                                               \
    IPC_SPSC(ring##B, struct message##B)                                                           \
                                                                                                   \
    static void ipc_create##B(struct bench_run *r, struct ring##B##_producer *p)                   \
    {                                                                                              \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(ring##B##_producer_create(p, &r->seg, "to", SIZES_SLOTS(B)) == 0, "create");   \
    }                                                                                              \
    static void ipc_open##B(struct bench_run *r, struct ring##B##_consumer *c)                     \
    {                                                                                              \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(ring##B##_consumer_open(c, &r->seg, "to") == 0, "open");                       \
    }                                                                                              \
    static void ipc_copy_serve##B(struct bench_run *r)                                             \
    {                                                                                              \
        struct ring##B##_producer p;                                                               \
        ipc_create##B(r, &p);                                                                      \
        BENCH_STREAM_SERVE(B, while (ring##B##_push(&p, &m) != 0) ck_pr_stall());                  \
    }                                                                                              \
    static uint64_t ipc_copy_measure##B(struct bench_run *r)                                       \
    {                                                                                              \
        struct ring##B##_consumer c;                                                               \
        ipc_open##B(r, &c);                                                                        \
        BENCH_STREAM_MEASURE(B, while (ring##B##_pop(&c, &m) != 0) ck_pr_stall());                 \
    }                                                                                              \
    static void ipc_in_place_serve##B(struct bench_run *r)                                         \
    {                                                                                              \
        struct ring##B##_producer p;                                                               \
        ipc_create##B(r, &p);                                                                      \
        IN_PLACE_SERVE(B, while ((in = ring##B##_claim(&p)) == NULL) ck_pr_stall(),                \
                       (void)ring##B##_commit(&p));                                                \
    }                                                                                              \
    static uint64_t ipc_in_place_measure##B(struct bench_run *r)                                   \
    {                                                                                              \
        struct ring##B##_consumer c;                                                               \
        ipc_open##B(r, &c);                                                                        \
        IN_PLACE_MEASURE(B, while ((in = ring##B##_peek(&c)) == NULL) ck_pr_stall(),               \
                         (void)ring##B##_release(&c));                                             \
    }

SIZES(IPC_CASES)

/* ------------------------------------------------------------------ ck_ring */

/* In place: one ring carries pointers to messages, and another carries them back, as users of
 * ck_ring do it. The pointers are valid in both processes, which have inherited the memory at the
 * same address. */
struct ck {
    ck_ring_t full, empty;
    ck_ring_buffer_t full_buffer[2048], empty_buffer[2048];
    unsigned char messages[] CK_CC_CACHELINE;
};

static struct ck *ck_find(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "to", 1, &o) == 0, "find");
    return (struct ck *)o.mem;
}

static void *ck_take(ck_ring_t *ring, ck_ring_buffer_t *buffer)
{
    void *message;

    while (!ck_ring_dequeue_spsc(ring, buffer, &message))
        ck_pr_stall();
    return message;
}

#define CK_CASES(B)                                                                                \
    CK_RING_PROTOTYPE(ck##B, message##B)                                                           \
                                                                                                   \
    static int ck_prepare##B(struct bench_run *r)                                                  \
    {                                                                                              \
        struct ipc_shm_object o;                                                                   \
        struct ck *k;                                                                              \
        size_t i;                                                                                  \
        int rc = ipc_shm_make(&r->seg, "to", 1, sizeof(struct ck) + SIZES_SLOTS(B) * (B), &o);     \
        if (rc != 0)                                                                               \
            return rc;                                                                             \
        k = (struct ck *)o.mem;                                                                    \
        ck_ring_init(&k->full, strcmp(r->of->system, "ck_copy") == 0 ? SIZES_SLOTS(B) : 2048);     \
        ck_ring_init(&k->empty, 2048);                                                             \
        for (i = 0; i < SIZES_SLOTS(B); i++)                                                       \
            (void)ck_ring_enqueue_spsc(&k->empty, k->empty_buffer, k->messages + i * (B));         \
        return ipc_shm_publish(&r->seg, &o);                                                       \
    }                                                                                              \
    static void ck_copy_serve##B(struct bench_run *r)                                              \
    {                                                                                              \
        struct ck *k = ck_find(r);                                                                 \
        struct message##B *at = (struct message##B *)(void *)k->messages;                          \
        BENCH_STREAM_SERVE(B,                                                                      \
                           while (!CK_RING_ENQUEUE_SPSC(ck##B, &k->full, at, &m)) ck_pr_stall());  \
    }                                                                                              \
    static uint64_t ck_copy_measure##B(struct bench_run *r)                                        \
    {                                                                                              \
        struct ck *k = ck_find(r);                                                                 \
        struct message##B *at = (struct message##B *)(void *)k->messages;                          \
        BENCH_STREAM_MEASURE(B, while (!CK_RING_DEQUEUE_SPSC(ck##B, &k->full, at, &m))             \
                                    ck_pr_stall());                                                \
    }                                                                                              \
    static void ck_in_place_serve##B(struct bench_run *r)                                          \
    {                                                                                              \
        struct ck *k = ck_find(r);                                                                 \
        IN_PLACE_SERVE(B, in = (struct message##B *)ck_take(&k->empty, k->empty_buffer),           \
                       (void)ck_ring_enqueue_spsc(&k->full, k->full_buffer, in));                  \
    }                                                                                              \
    static uint64_t ck_in_place_measure##B(struct bench_run *r)                                    \
    {                                                                                              \
        struct ck *k = ck_find(r);                                                                 \
        IN_PLACE_MEASURE(B, in = (const struct message##B *)ck_take(&k->full, k->full_buffer),     \
                         (void)ck_ring_enqueue_spsc(&k->empty, k->empty_buffer, in));              \
    }

SIZES(CK_CASES)

#define MEMORY(B) (SIZES_SLOTS(B) * ((B) + 128) + sizeof(struct ck) + 65536)
#define ROW(SYSTEM, NAME, PREPARE, B)                                                              \
    SIZES_ROW(SYSTEM, B, MEMORY(B), PREPARE, NAME##_serve##B, NAME##_measure##B)
#define ROWS(B)                                                                                    \
    ROW("ipc_copy", ipc_copy, NULL, B), ROW("ipc_in_place", ipc_in_place, NULL, B),                \
        ROW("ck_copy", ck_copy, ck_prepare##B, B),                                                 \
        ROW("ck_in_place", ck_in_place, ck_prepare##B, B),

BENCH_GROUP(sizes) = {SIZES(ROWS){.system = NULL}};
