/* Records, whose messages have lengths of their own, also as broadcasts; and beside them rings
 * whose slots all have the message's size. */
#include "../kit/records.h"
#include "ipc_ring.h"

/* Slots of a ring: as many as records of this size fit into RECORDS_BYTES, rounded down to a power
 * of two. */
#define SLOTS(B) (RECORDS_BYTES / 2 / (B))

#define SLOT_CASES(B)                                                                              \
    IPC_SPSC(slots##B, struct message##B)                                                          \
                                                                                                   \
    static void slots_serve##B(struct bench_run *r)                                                \
    {                                                                                              \
        struct slots##B##_producer p;                                                              \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(slots##B##_producer_create(&p, &r->seg, "to", SLOTS(B)) == 0, "create");       \
        BENCH_STREAM_SERVE(B, while (slots##B##_push(&p, &m) != 0) ck_pr_stall());                 \
    }                                                                                              \
    static uint64_t slots_measure##B(struct bench_run *r)                                          \
    {                                                                                              \
        struct slots##B##_consumer c;                                                              \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(slots##B##_consumer_open(&c, &r->seg, "to") == 0, "open");                     \
        BENCH_STREAM_MEASURE(B, while (slots##B##_pop(&c, &m) != 0) ck_pr_stall());                \
    }

RECORDS_SIZES(SLOT_CASES)

IPC_RECORDS(records)

#define RECORD_CASES(B)                                                                            \
    static void records_serve##B(struct bench_run *r)                                              \
    {                                                                                              \
        struct records_producer p;                                                                 \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(records_producer_create(&p, &r->seg, "to", RECORDS_BYTES, 1) == 0, "create");  \
        BENCH_STREAM_SERVE(B, while (records_push(&p, &m, sizeof m) != 0) ck_pr_stall());          \
    }                                                                                              \
    static uint64_t records_measure##B(struct bench_run *r)                                        \
    {                                                                                              \
        struct records_consumer c;                                                                 \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(records_consumer_open(&c, &r->seg, "to") == 0, "open");                        \
        BENCH_STREAM_MEASURE(B, while (records_pop(&c, &m, sizeof m) != sizeof m) ck_pr_stall());  \
    }

RECORDS_SIZES(RECORD_CASES)

IPC_RECORD_BROADCAST(tape)

static const unsigned lossless = IPC_BROADCAST_LOSSLESS, lossy = IPC_BROADCAST_LOSSY;

#define TAPE_CASES(B)                                                                              \
    static uint64_t tape_measure##B(struct bench_run *r)                                           \
    {                                                                                              \
        struct tape_producer p;                                                                    \
        const unsigned *how = (const unsigned *)r->of->how;                                        \
        bench_check(tape_producer_create(&p, &r->seg, "to", RECORDS_BYTES, *how) == 0, "create");  \
        BENCH_BROADCAST_MEASURE(B, tape_push(&p, &m, sizeof m));                                   \
    }                                                                                              \
    static void tape_serve##B(struct bench_run *r)                                                 \
    {                                                                                              \
        struct tape_consumer c;                                                                    \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(tape_consumer_open(&c, &r->seg, "to") == 0, "open");                           \
        BENCH_BROADCAST_SERVE(B, tape_pop(&c, &m, sizeof m), tape_missed(&c));                     \
    }

RECORDS_SIZES(TAPE_CASES)

#define RECORD_ROW(B) RECORDS_ROW("ipc_records", NULL, records_serve##B, records_measure##B, B),
#define TAPE_ROW(SYSTEM, HOW, B)                                                                   \
    {.system = SYSTEM,                                                                             \
     .test = "stream",                                                                             \
     .shape = "records",                                                                           \
     .bytes = B,                                                                                   \
     .memory = 2 * RECORDS_BYTES,                                                                  \
     .serve = tape_serve##B,                                                                       \
     .measure = tape_measure##B,                                                                   \
     .how = HOW,                                                                                   \
     .readers = 1},
#define LOSSY_ROW(B) TAPE_ROW("ipc_records_lossy", &lossy, B)
#define LOSSLESS_ROW(B) TAPE_ROW("ipc_records_lossless", &lossless, B)
#define SLOT_ROW(B) RECORDS_ROW("ipc_slots", NULL, slots_serve##B, slots_measure##B, B),

BENCH_GROUP(records) = {RECORDS_SIZES(RECORD_ROW) RECORDS_SIZES(LOSSY_ROW)
                            RECORDS_SIZES(LOSSLESS_ROW) RECORDS_SIZES(SLOT_ROW){.system = NULL}};
