/* Messages whose length is theirs, not the ring's, beside slots that are all of their size. */
#include "records.h"
#include "ipc_ring.h"

/* As many slots as a ring of bytes holds such messages with their lengths, down to a power of two.
 */
#define SLOTS(B) (RECORDS_BYTES / 2 / (B))

#define SLOT_CASES(B)                                                                              \
    IPC_SPSC(slots##B, struct message##B)                                                          \
                                                                                                   \
    static void slots_serve##B(struct bench_run *r)                                                \
    {                                                                                              \
        struct slots##B##_producer p;                                                              \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(slots##B##_create(&p, &r->seg, "to", SLOTS(B)) == 0, "create");                \
        BENCH_STREAM_SERVE(B, while (slots##B##_push(&p, &m) != 0) ck_pr_stall());                 \
    }                                                                                              \
    static uint64_t slots_measure##B(struct bench_run *r)                                          \
    {                                                                                              \
        struct slots##B##_consumer c;                                                              \
        r->seg.deadline = ipc_in_ms(10000);                                                        \
        bench_check(slots##B##_open(&c, &r->seg, "to") == 0, "open");                              \
        BENCH_STREAM_MEASURE(B, while (slots##B##_pop(&c, &m) != 0) ck_pr_stall());                \
    }

RECORDS_SIZES(SLOT_CASES)

#define SLOT_ROW(B) RECORDS_ROW("ipc_slots", NULL, slots_serve##B, slots_measure##B, B),

const struct bench_case bench_records[] = {RECORDS_SIZES(SLOT_ROW){.system = NULL}};
