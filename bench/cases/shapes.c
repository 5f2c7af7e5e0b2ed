/* A round trip through each kind of ring: there through one ring, and back through another. */
#include "../kit/sides.h"
#include "ipc_ring.h"

BENCH_MESSAGE(56)

IPC_RECORDS(records)
IPC_RECORD_BROADCAST(tape)
IPC_BROADCAST(news, struct message56)
IPC_STREAM(stream, struct message56)

/* HOW: the arguments of NAME_producer_create after the capacity. */
#define SHAPE(NAME, RING, CAPACITY, HOW, PUSH, POP)                                                \
    static void NAME##_meet(struct bench_run *r, const char *out, const char *in,                  \
                            struct RING##_producer *p, struct RING##_consumer *c)                  \
    {                                                                                              \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(RING##_producer_create(p, &r->seg, out, CAPACITY HOW) == 0, "create");         \
        bench_check(RING##_consumer_open(c, &r->seg, in) == 0, "open");                            \
    }                                                                                              \
    static void NAME##_serve(struct bench_run *r)                                                  \
    {                                                                                              \
        struct RING##_producer p;                                                                  \
        struct RING##_consumer c;                                                                  \
        NAME##_meet(r, "fro", "to", &p, &c);                                                       \
        BENCH_PINGPONG_SERVE(56, while ((PUSH) != 0) ck_pr_stall(),                                \
                             while ((POP) < 0) ck_pr_stall());                                     \
    }                                                                                              \
    static uint64_t NAME##_measure(struct bench_run *r)                                            \
    {                                                                                              \
        struct RING##_producer p;                                                                  \
        struct RING##_consumer c;                                                                  \
        NAME##_meet(r, "to", "fro", &p, &c);                                                       \
        BENCH_PINGPONG_MEASURE(56, while ((PUSH) != 0) ck_pr_stall(),                              \
                               while ((POP) < 0) ck_pr_stall());                                   \
    }
#define WITH(HOW) , HOW

SHAPE(records, records, 65536, WITH(1), records_push(&p, &m, sizeof m),
      records_pop(&c, &m, sizeof m))
SHAPE(records_lossless, tape, 65536, WITH(IPC_BROADCAST_LOSSLESS), tape_push(&p, &m, sizeof m),
      tape_pop(&c, &m, sizeof m))
SHAPE(records_lossy, tape, 65536, WITH(IPC_BROADCAST_LOSSY), tape_push(&p, &m, sizeof m),
      tape_pop(&c, &m, sizeof m))
SHAPE(lossless, news, 1024, WITH(IPC_BROADCAST_LOSSLESS), news_push(&p, &m), news_pop(&c, &m))
SHAPE(lossy, news, 1024, WITH(IPC_BROADCAST_LOSSY), news_push(&p, &m), news_pop(&c, &m))
SHAPE(stream, stream, 1024, , stream_push_all(&p, &m, 1), stream_pop_all(&c, &m, 1))

#define ROW(NAME)                                                                                  \
    {                                                                                              \
        .system = "ipc_" #NAME, .test = "pingpong", .shape = "spsc", .bytes = 56,                  \
        .memory = 4 * 65536 + 65536, .serve = NAME##_serve, .measure = NAME##_measure              \
    }

BENCH_GROUP(shapes) = {ROW(records), ROW(records_lossless), ROW(records_lossy), ROW(lossless),
                       ROW(lossy),   ROW(stream),           {.system = NULL}};
