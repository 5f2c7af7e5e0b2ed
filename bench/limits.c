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

/* Over one line for each direction, or over `lines` of them in turn, as a ring does. */
static void echo(struct bench_run *r, union line *ask, union line *answer, unsigned word,
                 uint64_t lines)
{
    uint64_t i;

    bench_start(r);
    for (i = 1; i <= r->warm + r->count; i++) {
        while (ck_pr_load_64(&ask[i & (lines - 1)].word[0]) != i)
            ck_pr_stall();
        ck_pr_store_64(&answer[i & (lines - 1)].word[word], i);
    }
}

static uint64_t round_trips(struct bench_run *r, union line *ask, union line *answer, unsigned word,
                            uint64_t lines)
{
    uint64_t i;
    int64_t t = 0;

    bench_start(r);
    for (i = 1; i <= r->warm + r->count; i++) {
        if (i == r->warm + 1)
            t = ipc_clock();
        ck_pr_store_64(&ask[i & (lines - 1)].word[0], i);
        while (ck_pr_load_64(&answer[i & (lines - 1)].word[word]) != i)
            ck_pr_stall();
    }
    return (uint64_t)(ipc_clock() - t);
}

static void one_line_serve(struct bench_run *r)
{
    struct area *a = area(r);

    echo(r, &a->ask, &a->ask, 1, 1);
}

static uint64_t one_line_measure(struct bench_run *r)
{
    struct area *a = area(r);

    return round_trips(r, &a->ask, &a->ask, 1, 1);
}

static void two_lines_serve(struct bench_run *r)
{
    struct area *a = area(r);

    echo(r, &a->ask, &a->answer, 0, 1);
}

static uint64_t two_lines_measure(struct bench_run *r)
{
    struct area *a = area(r);

    return round_trips(r, &a->ask, &a->answer, 0, 1);
}

static void rotating_serve(struct bench_run *r)
{
    struct area *a = area(r);

    echo(r, a->batch[0], a->batch[1], 0, 1024);
}

static uint64_t rotating_measure(struct bench_run *r)
{
    struct area *a = area(r);

    return round_trips(r, a->batch[0], a->batch[1], 0, 1024);
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

#define LIMIT(SYSTEM, TEST, BYTES, NAME)                                                           \
    {                                                                                              \
        .system = SYSTEM, .test = TEST, .shape = "lines", .bytes = BYTES,                          \
        .memory = sizeof(struct area), .prepare = prepare, .serve = NAME##_serve,                  \
        .measure = NAME##_measure                                                                  \
    }

const struct bench_case bench_limits[] = {LIMIT("limit_one_line", "pingpong", 8, one_line),
                                          LIMIT("limit_two_lines", "pingpong", 8, two_lines),
                                          LIMIT("limit_rotating_lines", "pingpong", 8, rotating),
                                          LIMIT("limit_stream_lines", "stream", 64, stream),
                                          {.system = NULL}};
