/*
 * What `make bench` compares: the same sizes for every system, throughput and round trips, and one
 * way at 100 thousand messages a second. Both sides poll. Every message is copied in and out.
 */
#define _GNU_SOURCE
#include "../kit/kernel.h"
#include "../kit/latency.h"
#include "../kit/sizes.h"
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <ck_ring.h>

USUAL_SIZES(BENCH_MESSAGE)

#define ROOM(B) ((B) <= 1024 ? 1u << 18 : 1u << 20) /* for the records of one direction */

/* Process 1 sends to process 0 by the first name; the answers go by the second. */
static const char *name_out(const struct bench_run *r)
{
    return r->index == 1 ? "to" : "fro";
}

static const char *name_in(const struct bench_run *r)
{
    return r->index == 1 ? "fro" : "to";
}

/* A stream needs one direction only. */
static int sends(const struct bench_run *r)
{
    return r->index == 1 || strcmp(r->of->test, "pingpong") == 0;
}

static int receives(const struct bench_run *r)
{
    return r->index == 0 || strcmp(r->of->test, "pingpong") == 0;
}

/* Both sides of both tests, of a struct NAMEB with NAME_attachB, NAME_sendB and NAME_recvB. */
#define TESTS(NAME, B)                                                                             \
    static void NAME##_stream_serve##B(struct bench_run *r)                                        \
    {                                                                                              \
        struct NAME##B *s = NAME##_attach##B(r);                                                   \
        BENCH_STREAM_SERVE(B, NAME##_send##B(s, &m));                                              \
    }                                                                                              \
    static uint64_t NAME##_stream_measure##B(struct bench_run *r)                                  \
    {                                                                                              \
        struct NAME##B *s = NAME##_attach##B(r);                                                   \
        BENCH_STREAM_MEASURE(B, NAME##_recv##B(s, &m));                                            \
    }                                                                                              \
    static void NAME##_pingpong_serve##B(struct bench_run *r)                                      \
    {                                                                                              \
        struct NAME##B *s = NAME##_attach##B(r);                                                   \
        BENCH_PINGPONG_SERVE(B, NAME##_send##B(s, &m), NAME##_recv##B(s, &m));                     \
    }                                                                                              \
    static uint64_t NAME##_pingpong_measure##B(struct bench_run *r)                                \
    {                                                                                              \
        struct NAME##B *s = NAME##_attach##B(r);                                                   \
        BENCH_PINGPONG_MEASURE(B, NAME##_send##B(s, &m), NAME##_recv##B(s, &m));                   \
    }

#define LATENCY(NAME)                                                                              \
    static inline void NAME##_put(void *end, void *m)                                              \
    {                                                                                              \
        NAME##_send64((struct NAME##64 *)end, (struct message64 *)m);                              \
    }                                                                                              \
    static inline void NAME##_get(void *end, void *m)                                              \
    {                                                                                              \
        NAME##_recv64((struct NAME##64 *)end, (struct message64 *)m);                              \
    }                                                                                              \
    static void NAME##_latency_serve64(struct bench_run *r)                                        \
    {                                                                                              \
        latency_send(r, 64, NAME##_attach64(r), NAME##_put);                                       \
    }                                                                                              \
    static uint64_t NAME##_latency_measure64(struct bench_run *r)                                  \
    {                                                                                              \
        return latency_recv(r, 64, NAME##_attach64(r), NAME##_get);                                \
    }

/* ------------------------------------------------------------------ ipc_ring, records */

/* OPEN: the arguments that make a ring, after its name. */
#define OURS(NAME, TYPE, B, PUSH, POP, ...)                                                        \
    struct NAME##B {                                                                               \
        struct TYPE##_producer p;                                                                  \
        struct TYPE##_consumer c;                                                                  \
    };                                                                                             \
    static struct NAME##B *NAME##_attach##B(struct bench_run *r)                                   \
    {                                                                                              \
        static struct NAME##B s;                                                                   \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(                                                                               \
            !sends(r) || TYPE##_producer_create(&s.p, &r->seg, name_out(r), __VA_ARGS__) == 0,     \
            "create");                                                                             \
        bench_check(!receives(r) || TYPE##_consumer_open(&s.c, &r->seg, name_in(r)) == 0, "open"); \
        return &s;                                                                                 \
    }                                                                                              \
    CK_CC_FORCE_INLINE static void NAME##_send##B(struct NAME##B *s, const struct message##B *m)   \
    {                                                                                              \
        while (PUSH != 0)                                                                          \
            ck_pr_stall();                                                                         \
    }                                                                                              \
    CK_CC_FORCE_INLINE static void NAME##_recv##B(struct NAME##B *s, struct message##B *m)         \
    {                                                                                              \
        while (POP < 0)                                                                            \
            ck_pr_stall();                                                                         \
    }                                                                                              \
    TESTS(NAME, B)

#define RING(B)                                                                                    \
    IPC_SPSC(slots##B, struct message##B)                                                          \
    OURS(ring, slots##B, B, slots##B##_push(&s->p, m), slots##B##_pop(&s->c, m), SIZES_SLOTS(B))
USUAL_SIZES(RING)
LATENCY(ring)

IPC_RECORDS(log)
#define RECORDS(B)                                                                                 \
    OURS(records, log, B, log_push(&s->p, m, sizeof *m), log_pop(&s->c, m, sizeof *m), ROOM(B), 1)
USUAL_SIZES(RECORDS)
LATENCY(records)

/* ------------------------------------------------------------------ calls */

#define CALL(B)                                                                                    \
    IPC_CALL(call##B, struct message##B, struct message##B)                                        \
    static int call_prepare##B(struct bench_run *r)                                                \
    {                                                                                              \
        return call##B##_create(&r->seg, "call", 16);                                              \
    }                                                                                              \
    static void call_pingpong_serve##B(struct bench_run *r)                                        \
    {                                                                                              \
        struct call##B##_server s;                                                                 \
        union call##B##_slot *slot;                                                                \
        bench_check(call##B##_server_open(&s, &r->seg, "call") == 0, "open");                      \
        BENCH_PINGPONG_SERVE(B, (slot->reply = m, call##B##_answer(&s, slot)), {                   \
            while ((slot = call##B##_take(&s)) == NULL)                                            \
                ck_pr_stall();                                                                     \
            m = slot->request;                                                                     \
        });                                                                                        \
    }                                                                                              \
    static uint64_t call_pingpong_measure##B(struct bench_run *r)                                  \
    {                                                                                              \
        struct call##B##_client c;                                                                 \
        bench_check(call##B##_client_open(&c, &r->seg, "call") == 0, "open");                      \
        BENCH_PINGPONG_MEASURE(B, bench_check(call##B##_ask(&c, &m) == 0, "ask"),                  \
                               while (call##B##_collect(&c, &m) == -EAGAIN) ck_pr_stall());        \
    }
USUAL_SIZES(CALL)

/* ------------------------------------------------------------------ ck_ring */

static int ck_prepare(struct bench_run *r)
{
    static const char *const names[] = {"to", "fro"};
    unsigned slots = SIZES_SLOTS(r->of->bytes);
    int i, rc = 0;

    for (i = 0; i < 2 && rc == 0; i++) {
        struct ipc_shm_object o;

        rc = ipc_shm_make(&r->seg, names[i], 1, 4096 + slots * r->of->bytes, &o);
        if (rc == 0) {
            ck_ring_init((ck_ring_t *)o.mem, slots);
            rc = ipc_shm_publish(&r->seg, &o);
        }
    }
    return rc;
}

static void *ck_find(struct bench_run *r, const char *name)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, name, 1, &o) == 0, "find");
    return o.mem;
}

#define CK(B)                                                                                      \
    CK_RING_PROTOTYPE(usual##B, message##B)                                                        \
    struct ck##B {                                                                                 \
        ck_ring_t *out, *in;                                                                       \
        struct message##B *to, *from;                                                              \
    };                                                                                             \
    static struct ck##B *ck_attach##B(struct bench_run *r)                                         \
    {                                                                                              \
        static struct ck##B s;                                                                     \
        s.out = (ck_ring_t *)ck_find(r, name_out(r));                                              \
        s.in = (ck_ring_t *)ck_find(r, name_in(r));                                                \
        s.to = (struct message##B *)(void *)((char *)s.out + 4096);                                \
        s.from = (struct message##B *)(void *)((char *)s.in + 4096);                               \
        return &s;                                                                                 \
    }                                                                                              \
    CK_CC_FORCE_INLINE static void ck_send##B(struct ck##B *s, struct message##B *m)               \
    {                                                                                              \
        while (!CK_RING_ENQUEUE_SPSC(usual##B, s->out, s->to, m))                                  \
            ck_pr_stall();                                                                         \
    }                                                                                              \
    CK_CC_FORCE_INLINE static void ck_recv##B(struct ck##B *s, struct message##B *m)               \
    {                                                                                              \
        while (!CK_RING_DEQUEUE_SPSC(usual##B, s->in, s->from, m))                                 \
            ck_pr_stall();                                                                         \
    }                                                                                              \
    TESTS(ck, B)
USUAL_SIZES(CK)
LATENCY(ck)

/* ------------------------------------------------------------------ the kernel */

/* Process 0 reads fd[0], to which process 1 writes by fd[1]. Process 1 reads fd[2], to which
 * process 0 writes by fd[3]. */
static int prepare_pipe(struct bench_run *r)
{
    return pipe(&r->fd[0]) != 0 || pipe(&r->fd[2]) != 0 ? -errno : nonblocking(r);
}

static int prepare_unix(struct bench_run *r)
{
    int rc = socketpair(AF_UNIX, SOCK_STREAM, 0, r->fd) != 0 ? -errno : both_ways(r);

    return rc != 0 ? rc : nonblocking(r);
}

static int prepare_tcp(struct bench_run *r)
{
    int rc = connect_tcp(r);

    return rc != 0 ? rc : nonblocking(r);
}

static int prepare_queue(struct bench_run *r)
{
    int rc = open_queues(r);

    return rc != 0 ? rc : nonblocking(r);
}

#define KERNEL(B)                                                                                  \
    struct bytes##B {                                                                              \
        struct inbox *in;                                                                          \
        int out;                                                                                   \
    };                                                                                             \
    static struct bytes##B *bytes_attach##B(struct bench_run *r)                                   \
    {                                                                                              \
        static struct bytes##B s;                                                                  \
        s.in = inbox_of(r->fd[2 * r->index]);                                                      \
        s.out = r->fd[3 - 2 * r->index];                                                           \
        return &s;                                                                                 \
    }                                                                                              \
    CK_CC_FORCE_INLINE static void bytes_send##B(struct bytes##B *s, const struct message##B *m)   \
    {                                                                                              \
        send_all(s->out, m, sizeof *m);                                                            \
    }                                                                                              \
    CK_CC_FORCE_INLINE static void bytes_recv##B(struct bytes##B *s, struct message##B *m)         \
    {                                                                                              \
        recv_all(s->in, m, sizeof *m);                                                             \
    }                                                                                              \
    TESTS(bytes, B)
USUAL_SIZES(KERNEL)
LATENCY(bytes)

/* The kernel allows no message above 8 KiB, unless root raises fs.mqueue.msgsize_max. */
#define QUEUE(B)                                                                                   \
    struct queue##B {                                                                              \
        int in, out;                                                                               \
    };                                                                                             \
    static struct queue##B *queue_attach##B(struct bench_run *r)                                   \
    {                                                                                              \
        static struct queue##B s;                                                                  \
        s.in = r->fd[2 * r->index];                                                                \
        s.out = r->fd[3 - 2 * r->index];                                                           \
        return &s;                                                                                 \
    }                                                                                              \
    CK_CC_FORCE_INLINE static void queue_send##B(struct queue##B *s, const struct message##B *m)   \
    {                                                                                              \
        put_in_queue(s->out, m, sizeof *m);                                                           \
    }                                                                                              \
    CK_CC_FORCE_INLINE static void queue_recv##B(struct queue##B *s, struct message##B *m)         \
    {                                                                                              \
        take_from_queue(s->in, m, sizeof *m);                                                           \
    }                                                                                              \
    TESTS(queue, B)
QUEUE(64)
QUEUE(1024)
LATENCY(queue)

/* ------------------------------------------------------------------ rows */

#define ROW(SYSTEM, TEST, SHAPE, B, PREPARE, NAME, KIND, RATE)                                     \
    {.system = SYSTEM,                                                                             \
     .test = TEST,                                                                                 \
     .shape = SHAPE,                                                                               \
     .bytes = B,                                                                                   \
     .memory = 2 * (ROOM(B) + SIZES_SLOTS(B) * ((B) + 128)) + 65536,                                  \
     .prepare = PREPARE,                                                                           \
     .serve = NAME##_##KIND##_serve##B,                                                            \
     .measure = NAME##_##KIND##_measure##B,                                                        \
     .rate = RATE,                                                                                 \
     .burst = 1,                                                                                   \
     .usual = 1},
#define BOTH(SYSTEM, B, PREPARE, NAME)                                                             \
    ROW(SYSTEM, "stream", "usual", B, PREPARE, NAME, stream, 0)                                    \
    ROW(SYSTEM, "pingpong", "usual", B, PREPARE, NAME, pingpong, 0)
#define AT_A_RATE(SYSTEM, PREPARE, NAME)                                                                \
    ROW(SYSTEM, "latency", "100k_spin", 64, PREPARE, NAME, latency, 100000)
#define ROWS(B)                                                                                    \
    BOTH("ipc_ring", B, NULL, ring)                                                                \
    BOTH("ipc_records", B, NULL, records)                                                          \
    ROW("ipc_call", "pingpong", "usual", B, call_prepare##B, call, pingpong, 0)                    \
    BOTH("ck_ring", B, ck_prepare, ck)                                                             \
    BOTH("pipe", B, prepare_pipe, bytes)                                                           \
    BOTH("unix_stream", B, prepare_unix, bytes)                                                    \
    BOTH("tcp", B, prepare_tcp, bytes)

/* clang-format off */
BENCH_GROUP(usual) = {
    USUAL_SIZES(ROWS)
    BOTH("posix_queue", 64, prepare_queue, queue)
    BOTH("posix_queue", 1024, prepare_queue, queue)
    AT_A_RATE("ipc_ring", NULL, ring)
    AT_A_RATE("ipc_records", NULL, records)
    AT_A_RATE("ck_ring", ck_prepare, ck)
    AT_A_RATE("pipe", prepare_pipe, bytes)
    AT_A_RATE("unix_stream", prepare_unix, bytes)
    AT_A_RATE("tcp", prepare_tcp, bytes)
    AT_A_RATE("posix_queue", prepare_queue, queue)
    {.system = NULL}};
/* clang-format on */
