/* Calls: a round trip through one slot, where two rings need two slots. One client, one server. */
#include "../kit/sides.h"
#include "ipc_notify.h"
#include "ipc_ring.h"

BENCH_SIZES(BENCH_MESSAGE)

#define CALL_CASES(B)                                                                              \
    IPC_CALL(call##B, struct message##B, struct message##B)                                        \
                                                                                                   \
    static int prepare##B(struct bench_run *r)                                                     \
    {                                                                                              \
        return call##B##_create(&r->seg, "call", 16);                                              \
    }                                                                                              \
    static void poll_serve##B(struct bench_run *r)                                                 \
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
    static uint64_t poll_measure##B(struct bench_run *r)                                           \
    {                                                                                              \
        struct call##B##_client c;                                                                 \
        bench_check(call##B##_client_open(&c, &r->seg, "call") == 0, "open");                      \
        BENCH_PINGPONG_MEASURE(B, bench_check(call##B##_ask(&c, &m) == 0, "ask"),                  \
                               while (call##B##_collect(&c, &m) == -EAGAIN) ck_pr_stall());        \
    }                                                                                              \
    /* The same with functions that sleep when there is nothing to do. */                          \
    static void sleep_serve##B(struct bench_run *r)                                                \
    {                                                                                              \
        struct call##B##_server s;                                                                 \
        union call##B##_slot *slot;                                                                \
        bench_check(call##B##_server_open(&s, &r->seg, "call") == 0, "open");                      \
        BENCH_PINGPONG_SERVE(B, (slot->reply = m, call##B##_answer(&s, slot)), {                   \
            bench_check(call##B##_serve(&s, &slot, IPC_FOREVER) == 0, "serve");                    \
            m = slot->request;                                                                     \
        });                                                                                        \
    }                                                                                              \
    static uint64_t sleep_measure##B(struct bench_run *r)                                          \
    {                                                                                              \
        struct call##B##_client c;                                                                 \
        bench_check(call##B##_client_open(&c, &r->seg, "call") == 0, "open");                      \
        BENCH_PINGPONG_MEASURE(                                                                    \
            B, bench_check(call##B##_call(&c, &m, &m, IPC_FOREVER) == 0, "call"), (void)0);        \
    }

BENCH_SIZES(CALL_CASES)

#define ROW(SYSTEM, NAME, WAIT, B)                                                                 \
    {.system = SYSTEM,                                                                             \
     .test = "pingpong",                                                                           \
     .shape = "spsc",                                                                              \
     .bytes = B,                                                                                   \
     .memory = 65536 + 16 * (B),                                                                   \
     .prepare = prepare##B,                                                                        \
     .serve = NAME##_serve##B,                                                                     \
     .measure = NAME##_measure##B,                                                                 \
     .wait = WAIT},
#define POLL_ROW(B) ROW("ipc_call", poll, BENCH_SPIN, B)
#define SLEEP_ROW(B) ROW("ipc_call_sleep", sleep, BENCH_ADAPTIVE, B)

BENCH_GROUP(call) = {BENCH_SIZES(POLL_ROW) BENCH_SIZES(SLEEP_ROW){.system = NULL}};
