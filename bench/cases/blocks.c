/* A stream that carries blocks of 256 samples, as an audio pipeline does. */
#include "../kit/blocks.h"
#include "ipc_ring.h"

IPC_STREAM(samples, float)

static void serve(struct bench_run *r)
{
    struct samples_producer p;

    r->seg.deadline = ipc_in_ms(10000);
    bench_check(samples_producer_create(&p, &r->seg, "to", BLOCKS * SAMPLES) == 0, "create");
    BENCH_STREAM_SERVE(1024, while (samples_push_all(&p, (const float *)(void *)&m, SAMPLES) != 0)
                                 ck_pr_stall());
}

static uint64_t measure(struct bench_run *r)
{
    struct samples_consumer c;

    r->seg.deadline = ipc_in_ms(10000);
    bench_check(samples_consumer_open(&c, &r->seg, "to") == 0, "open");
    BENCH_STREAM_MEASURE(1024, while (samples_pop_all(&c, (float *)(void *)&m, SAMPLES) != 0)
                                   ck_pr_stall());
}

BENCH_GROUP(blocks) = {BLOCKS_ROW("ipc_stream", NULL, serve, measure), {.system = NULL}};
