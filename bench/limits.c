/* What the machine allows: no queue, only cache lines on their way from one core to the other. */
#include "bench.h"

#define MOST 16384u /* lines of a batch */

typedef uint64_t pair __attribute__((vector_size(16))); /* the widest that every x86-64 moves */

union line {
    uint64_t word[8];
    volatile pair part[4];
};

struct area {
    union line ask, pad0[3], answer, pad1[3]; /* adjacent lines may be fetched in pairs */
    union line batch[2][MOST];
};

static struct area *area(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "area", 1, &o) == 0, "find");
    return (struct area *)o.mem;
}

static int prepare(struct bench_run *r)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "area", 1, sizeof(struct area), &o);

    return rc != 0 ? rc : ipc_shm_publish(&r->seg, &o);
}

/* ------------------------------------------------------------------ round trips */

static void echo(struct bench_run *r, uint64_t *ask, uint64_t *answer)
{
    uint64_t i;

    bench_start(r);
    for (i = 1; i <= r->warm + r->count; i++) {
        while (ck_pr_load_64(ask) != i)
            ck_pr_stall();
        ck_pr_store_64(answer, i);
    }
}

static uint64_t round_trips(struct bench_run *r, uint64_t *ask, uint64_t *answer)
{
    uint64_t i;
    int64_t t = 0;

    bench_start(r);
    for (i = 1; i <= r->warm + r->count; i++) {
        if (i == r->warm + 1)
            t = ipc_clock();
        ck_pr_store_64(ask, i);
        while (ck_pr_load_64(answer) != i)
            ck_pr_stall();
    }
    return (uint64_t)(ipc_clock() - t);
}

static void one_line_serve(struct bench_run *r)
{
    struct area *a = area(r);

    echo(r, &a->ask.word[0], &a->ask.word[1]);
}

static uint64_t one_line_measure(struct bench_run *r)
{
    struct area *a = area(r);

    return round_trips(r, &a->ask.word[0], &a->ask.word[1]);
}

static void two_lines_serve(struct bench_run *r)
{
    struct area *a = area(r);

    echo(r, &a->ask.word[0], &a->answer.word[0]);
}

static uint64_t two_lines_measure(struct bench_run *r)
{
    struct area *a = area(r);

    return round_trips(r, &a->ask.word[0], &a->answer.word[0]);
}

/* ------------------------------------------------------------------ streaming */

/* Two areas take turns: one is written, whole lines, while the other is read, whole lines; one word
 * hands an area over and one gives it back. The best of all batch sizes counts. */

#define SIZES 9 /* 64, 128 ... MOST */

static uint64_t batches_of(const struct bench_run *r, uint64_t lines)
{
    return r->count / SIZES / lines + 3;
}

static void stream_serve(struct bench_run *r)
{
    struct area *a = area(r);
    uint64_t lines, done = 0, i;

    bench_start(r);
    for (lines = 64; lines <= MOST; lines *= 2) {
        uint64_t end = done + batches_of(r, lines);

        for (; done < end; done++) {
            union line *to = a->batch[done % 2];

            while (ck_pr_load_64(&a->answer.word[0]) + 1 < done)
                ;
            ck_pr_fence_acquire();
            for (i = 0; i < lines; i++) {
                pair p = {done + i, done + i};

                to[i].part[0] = p;
                to[i].part[1] = p;
                to[i].part[2] = p;
                to[i].part[3] = p;
            }
            ck_pr_fence_store();
            ck_pr_store_64(&a->ask.word[0], done + 1);
        }
    }
}

static uint64_t stream_measure(struct bench_run *r)
{
    struct area *a = area(r);
    uint64_t lines, done = 0, best = UINT64_MAX, i;

    bench_start(r);
    for (lines = 64; lines <= MOST; lines *= 2) {
        uint64_t batches = batches_of(r, lines), end = done + batches, ns;
        int64_t t = 0;

        for (; done < end; done++) {
            union line *from = a->batch[done % 2];
            uint64_t wrong = 0;

            if (done + batches == end + 2) /* both areas are warm */
                t = ipc_clock();
            while (ck_pr_load_64(&a->ask.word[0]) <= done)
                ;
            ck_pr_fence_load();
            for (i = 0; i < lines; i++) {
                pair p = from[i].part[0] | from[i].part[1] | from[i].part[2] | from[i].part[3];

                wrong |= p[0] ^ (done + i);
            }
            bench_check(wrong == 0, "sequence number");
            ck_pr_fence_release();
            ck_pr_store_64(&a->answer.word[0], done + 1);
        }
        ns = (uint64_t)(ipc_clock() - t) * r->count / ((batches - 2) * lines);
        best = ns < best ? ns : best;
    }
    return best;
}

const struct bench_case bench_limits[] = {
    {"limit_one_line", "pingpong", "lines", 8, sizeof(struct area), prepare, one_line_serve,
     one_line_measure},
    {"limit_two_lines", "pingpong", "lines", 8, sizeof(struct area), prepare, two_lines_serve,
     two_lines_measure},
    {"limit_stream_lines", "stream", "lines", 64, sizeof(struct area), prepare, stream_serve,
     stream_measure},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL}};
