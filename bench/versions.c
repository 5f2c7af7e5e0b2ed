/*
 * The measured half of bench/versions, which compiles it once with the headers of each version. Its
 * arguments are a case and, if that was measured before, how much is measured. Prints the state of
 * the cores, or "moved" if that changed meanwhile; the nanoseconds of a message, a round trip or a
 * post; and how much was measured.
 */
#define _GNU_SOURCE
#include "distance.h"
#include "kit/sizes.h"
#include "run.h"
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_NS 20000000
#define RECORDS_BYTES (1u << 20)
#define CAPACITY 1024u /* of rings for round trips and posts */

#ifdef IPC_RING_VERSION
#define CREATE(RING) RING##_producer_create
#define OPEN(RING) RING##_consumer_open
#define MAKE(CALL) CALL##_create
#else /* commits that are older than versions */
#define CREATE(RING) RING##_create
#define OPEN(RING) RING##_open
#define MAKE(CALL) CALL##_make
#endif

enum { BATCH = 16 };

/* ------------------------------------------------------------------ streams */

/* The sender ends with a batch that may be shorter. The receiver takes what is there. */
#define STREAM(B)                                                                                  \
    BENCH_MESSAGE(B)                                                                               \
    IPC_SPSC(ring##B, struct message##B)                                                           \
                                                                                                   \
    static struct ring##B##_producer out##B(struct bench_run *r)                                   \
    {                                                                                              \
        struct ring##B##_producer p;                                                               \
        bench_check(CREATE(ring##B)(&p, &r->seg, "ring", SIZES_SLOTS(B)) == 0, "ring");  \
        return p;                                                                                  \
    }                                                                                              \
    static struct ring##B##_consumer in##B(struct bench_run *r)                                    \
    {                                                                                              \
        struct ring##B##_consumer c;                                                               \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(OPEN(ring##B)(&c, &r->seg, "ring") == 0, "open");                    \
        return c;                                                                                  \
    }                                                                                              \
    static void one_serve##B(struct bench_run *r)                                                  \
    {                                                                                              \
        struct ring##B##_producer p = out##B(r);                                                   \
        BENCH_STREAM_SERVE(B, while (ring##B##_push(&p, &m) != 0) ck_pr_stall());                  \
    }                                                                                              \
    static uint64_t one_measure##B(struct bench_run *r)                                            \
    {                                                                                              \
        struct ring##B##_consumer c = in##B(r);                                                    \
        BENCH_STREAM_MEASURE(B, while (ring##B##_pop(&c, &m) != 0) ck_pr_stall());                 \
    }                                                                                              \
    static void batch_serve##B(struct bench_run *r)                                                \
    {                                                                                              \
        struct ring##B##_producer p = out##B(r);                                                   \
        struct message##B m[BATCH];                                                                \
        uint64_t i, k, n, end = r->warm + r->count, next = 0;                                      \
        memset(m, 7, sizeof m);                                                                    \
        bench_start(r);                                                                            \
        for (i = 0; i < end; i += n) {                                                             \
            if (i >= next)                                                                         \
                next = bench_pace(r, i);                                                           \
            n = end - i < BATCH ? end - i : BATCH;                                                 \
            for (k = 0; k < n; k++)                                                                \
                BENCH_MARK(m[k], i + k);                                                           \
            for (k = 0; k < n;) {                                                                  \
                int64_t sent = ring##B##_push_n(&p, m + k, n - k);                                 \
                if (sent > 0)                                                                      \
                    k += (uint64_t)sent;                                                           \
                else                                                                               \
                    ck_pr_stall();                                                                 \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static uint64_t batch_measure##B(struct bench_run *r)                                          \
    {                                                                                              \
        struct ring##B##_consumer c = in##B(r);                                                    \
        struct message##B m[BATCH];                                                                \
        uint64_t i, end = r->warm + r->count, next = r->warm;                                      \
        int64_t k = 0, n = 0;                                                                      \
        bench_start(r);                                                                            \
        for (i = 0; i < end; i++, k++) {                                                           \
            if (i == next)                                                                         \
                next = bench_window(r, i);                                                         \
            for (; k == n; k = 0) {                                                                \
                while ((n = ring##B##_pop_n(&c, m, BATCH)) <= 0)                                   \
                    ck_pr_stall();                                                                 \
            }                                                                                      \
            BENCH_VERIFY(m[k], i);                                                                 \
        }                                                                                          \
        return bench_took(r);                                                                      \
    }

#define STREAM_SIZES(F) F(8) F(56) F(120) F(256) F(1024) F(4096)
STREAM_SIZES(STREAM)

BENCH_MESSAGE(64)
IPC_RECORDS(records)

static void records_serve(struct bench_run *r)
{
    struct records_producer p;

    bench_check(CREATE(records)(&p, &r->seg, "ring", RECORDS_BYTES, 1) == 0, "ring");
    BENCH_STREAM_SERVE(64, while (records_push(&p, &m, sizeof m) != 0) ck_pr_stall());
}

static uint64_t records_measure(struct bench_run *r)
{
    struct records_consumer c;

    r->seg.deadline = ipc_in_ms(10000);
    bench_check(OPEN(records)(&c, &r->seg, "ring") == 0, "open");
    BENCH_STREAM_MEASURE(64, while (records_pop(&c, &m, sizeof m) != sizeof m) ck_pr_stall());
}

/* ------------------------------------------------------------------ round trips */

#define CALL(B)                                                                                    \
    IPC_CALL(call##B, struct message##B, struct message##B)                                        \
                                                                                                   \
    static int call_prepare##B(struct bench_run *r)                                                \
    {                                                                                              \
        return MAKE(call##B)(&r->seg, "call", 16);                                                 \
    }                                                                                              \
    static void call_serve##B(struct bench_run *r)                                                 \
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
    static uint64_t call_measure##B(struct bench_run *r)                                           \
    {                                                                                              \
        struct call##B##_client c;                                                                 \
        bench_check(call##B##_client_open(&c, &r->seg, "call") == 0, "open");                      \
        BENCH_PINGPONG_MEASURE(B, bench_check(call##B##_ask(&c, &m) == 0, "ask"),                  \
                               while (call##B##_collect(&c, &m) == -EAGAIN) ck_pr_stall());        \
    }
CALL(8)
CALL(56)

/* Two rings, whose receivers sleep at once. */
static void meet(struct bench_run *r, const char *out, const char *in, struct ring8_producer *p,
                 struct ring8_consumer *c)
{
    r->seg.deadline = ipc_in_ms(10000);
    bench_check(CREATE(ring8)(p, &r->seg, out, CAPACITY) == 0, "create");
    bench_check(OPEN(ring8)(c, &r->seg, in) == 0, "open");
    ipc_notify_policy(ring8_consumer_bell(c), 0, 0);
}

#define SEND bench_check(ring8_send(&p, &m, IPC_FOREVER) == 0, "send")
#define RECV bench_check(ring8_recv(&c, &m, IPC_FOREVER) == 0, "recv")

static void wake_serve(struct bench_run *r)
{
    struct ring8_producer p;
    struct ring8_consumer c;

    meet(r, "fro", "to", &p, &c);
    BENCH_PINGPONG_SERVE(8, SEND, RECV);
}

static uint64_t wake_measure(struct bench_run *r)
{
    struct ring8_producer p;
    struct ring8_consumer c;

    meet(r, "to", "fro", &p, &c);
    BENCH_PINGPONG_MEASURE(8, SEND, RECV);
}

/* ------------------------------------------------------------------ posts with nobody asleep */

static void post_serve(struct bench_run *r)
{
    (void)in8(r);
    bench_start(r);
}

static uint64_t post_measure(struct bench_run *r)
{
    struct ring8_producer p = out8(r);
    uint64_t i, next = r->warm, word = 0;

    bench_start(r);
    for (i = 0; i < r->warm + r->count; i++) {
        if (i == next)
            next = bench_window(r, i);
        ck_pr_store_64(&word, i);
        bench_check(ring8_producer_post(&p) == 0, "post");
    }
    return bench_took(r);
}

/* ------------------------------------------------------------------ the cases */

#define MEMORY (4u << 20)
#define STREAM_ROW(B)                                                                              \
    {.system = "spsc_" #B, .test = "stream", .bytes = B, .memory = MEMORY,                         \
     .serve = one_serve##B, .measure = one_measure##B},                                            \
    {.system = "batch_" #B, .test = "stream", .bytes = B, .memory = MEMORY,                        \
     .serve = batch_serve##B, .measure = batch_measure##B},
#define CALL_ROW(B)                                                                                \
    {.system = "call_" #B, .test = "pingpong", .bytes = B, .memory = MEMORY,                       \
     .prepare = call_prepare##B, .serve = call_serve##B, .measure = call_measure##B},

static const struct bench_case cases[] = {
    STREAM_SIZES(STREAM_ROW)
    {.system = "records_64", .test = "stream", .bytes = 64, .memory = MEMORY,
     .serve = records_serve, .measure = records_measure},
    CALL_ROW(8)
    CALL_ROW(56)
    {.system = "post", .test = "post_idle", .bytes = 8, .memory = MEMORY,
     .serve = post_serve, .measure = post_measure},
    {.system = "wake_one_core", .test = "wake", .bytes = 8, .memory = MEMORY,
     .serve = wake_serve, .measure = wake_measure, .one_core = 1},
    {.system = "wake_two_cores", .test = "wake", .bytes = 8, .memory = MEMORY,
     .serve = wake_serve, .measure = wake_measure},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static const struct bench_case *find(const char *name)
{
    int i;

    for (i = 0; i < CASES; i++)
        if (strcmp(cases[i].system, name) == 0)
            return &cases[i];
    errx(2, "there is no case '%s'", name);
}

/* How much takes SAMPLE_NS. A ring tries its ways to copy first, so a longer run is faster. */
static struct amount calibrate(const struct bench_case *c)
{
    struct amount a = run_calibrate(c, SAMPLE_NS);
    struct outcome o;
    int i;

    for (i = 0; i < 2 && a.count > 0 && run_case(c, a, &o) == 0; i++) {
        a.count = (uint64_t)((double)a.count * SAMPLE_NS / o.typical) + 1;
        a.window = (uint64_t)((double)a.window * SAMPLE_NS / o.typical) + 1;
    }
    return a;
}

int main(int argc, char **argv)
{
    const struct bench_case *c = find(argv[1]);
    struct amount a = {0, 0};
    enum distance before;
    struct outcome o;

    run_choose_cores();
    if (argc == 4) {
        a.count = strtoull(argv[2], NULL, 10);
        a.window = strtoull(argv[3], NULL, 10);
    } else {
        a = calibrate(c);
    }
    before = distance_look();
    if (a.count == 0 || run_case(c, a, &o) != 0)
        errx(1, "no figure of %s", c->system);
    printf("%s %.6g %llu %llu\n",
           distance_look() == before && o.is_usable ? distance_names[before] : "moved",
           o.typical / (double)a.count, (unsigned long long)a.count, (unsigned long long)a.window);
    return 0;
}
