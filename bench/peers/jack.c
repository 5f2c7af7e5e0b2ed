/* JACK's ring buffer, which lives between threads; here its struct and bytes are in shared memory,
 * as both processes have inherited that at the same address. */
#include "../blocks.h"
#include <jack/ringbuffer.h>

static int prepare(struct bench_run *r)
{
    size_t bytes = BLOCKS * SAMPLES * sizeof(float);
    jack_ringbuffer_t *made = jack_ringbuffer_create(bytes), *shared;
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "ring", 1, 4096 + bytes, &o);

    if (made == NULL || rc != 0)
        return made == NULL ? -ENOMEM : rc;
    shared = (jack_ringbuffer_t *)o.mem;
    memcpy(shared, made, sizeof *shared);
    shared->buf = (char *)o.mem + 4096;
    jack_ringbuffer_free(made);
    return ipc_shm_publish(&r->seg, &o);
}

static jack_ringbuffer_t *ring_of(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "ring", 1, &o) == 0, "find");
    return (jack_ringbuffer_t *)o.mem;
}

/* Whole blocks, as its read and write would else move parts. */
static void serve(struct bench_run *r)
{
    jack_ringbuffer_t *k = ring_of(r);

    BENCH_STREAM_SERVE(1024, while (jack_ringbuffer_write_space(k) < sizeof m) ck_pr_stall();
                       (void)jack_ringbuffer_write(k, (const char *)&m, sizeof m));
}

static uint64_t measure(struct bench_run *r)
{
    jack_ringbuffer_t *k = ring_of(r);

    BENCH_STREAM_MEASURE(1024, while (jack_ringbuffer_read_space(k) < sizeof m) ck_pr_stall();
                         (void)jack_ringbuffer_read(k, (char *)&m, sizeof m));
}

const struct bench_case bench_jack[] = {BLOCKS_ROW("jack_ring", prepare, serve, measure),
                                        {.system = NULL}};
