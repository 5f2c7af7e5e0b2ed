/* What the machine allows: cache lines that go from one core to the other, without any queue. */
#include "../kit/copies.h"
#include "../kit/sizes.h"

#define MOST 16384u /* lines of a batch */

typedef uint64_t pair __attribute__((vector_size(16))); /* the widest register of every x86-64 */

union line {
    uint64_t word[8];
    volatile pair part[4];
};

struct area {
    union line ask, pad0[3], answer, pad1[3]; /* a processor may fetch adjacent lines in pairs */
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

/* A round trip over one line for each direction, or over `lines` of them in turn, as a ring does
 * it. lines: a power of two. */
static void echo(struct bench_run *r, union line *ask, union line *answer, unsigned word,
                 uint64_t lines)
{
    uint64_t i;

    bench_start(r);
    for (i = 0; i < r->warm + r->count + r->each; i++) {
        while (ck_pr_load_64(&ask[i & (lines - 1)].word[0]) != i + 1)
            ck_pr_stall();
        ck_pr_store_64(&answer[i & (lines - 1)].word[word], i + 1);
    }
}

static uint64_t round_trips(struct bench_run *r, union line *ask, union line *answer, unsigned word,
                            uint64_t lines)
{
    uint64_t i, next = r->warm, each = r->warm + r->count, took = 0;
    int64_t before = 0;

    bench_start(r);
    for (i = 0; i < each + r->each; i++) {
        if (i == next && i <= each)
            next = bench_window(r, i);
        if (i == each)
            took = bench_took(r);
        if (i >= each)
            bench_each(r, &before, i == each);
        ck_pr_store_64(&ask[i & (lines - 1)].word[0], i + 1);
        while (ck_pr_load_64(&answer[i & (lines - 1)].word[word]) != i + 1)
            ck_pr_stall();
    }
    bench_each(r, &before, 0);
    return took;
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

/* Two areas take turns. One is written in whole lines while the other is read in whole lines. One
 * word hands an area over, and another gives it back. The best of all batch sizes counts. */

#define BATCHES 9 /* 64, 128 ... MOST */

static uint64_t batches_of(const struct bench_run *r, uint64_t lines)
{
    return r->count / BATCHES / lines + 3;
}

/* Line i gets the number `first` + i. */
static inline void write_lines(union line *to, uint64_t lines, uint64_t first)
{
    uint64_t i;

    for (i = 0; i < lines; i++) {
        pair p = {first + i, first + i};

        to[i].part[0] = p;
        to[i].part[1] = p;
        to[i].part[2] = p;
        to[i].part[3] = p;
    }
}

/* Reads whole lines, and ends the process if one has another number. */
static inline void check_lines(const union line *from, uint64_t lines, uint64_t first)
{
    uint64_t wrong = 0, i;

    for (i = 0; i < lines; i++) {
        pair p = from[i].part[0] | from[i].part[1] | from[i].part[2] | from[i].part[3];

        wrong |= p[0] ^ (first + i);
    }
    bench_check(wrong == 0, "sequence number");
}

static void stream_serve(struct bench_run *r)
{
    struct area *a = area(r);
    uint64_t lines, done = 0, sent = 0, next = 0;

    bench_start(r);
    for (lines = 64; lines <= MOST; lines *= 2) {
        uint64_t end = done + batches_of(r, lines);

        for (; done < end; done++) {
            while (ck_pr_load_64(&a->answer.word[0]) + 1 < done)
                ;
            ck_pr_fence_acquire();
            write_lines(a->batch[done % 2], lines, done);
            ck_pr_fence_store();
            ck_pr_store_64(&a->ask.word[0], done + 1);
            sent += lines;
            if (sent >= next)
                next = bench_pace(r, sent);
        }
    }
}

static uint64_t stream_measure(struct bench_run *r)
{
    struct area *a = area(r);
    uint64_t lines, done = 0;

    bench_start(r);
    r->began = ipc_clock();
    for (lines = 64; lines <= MOST; lines *= 2) {
        uint64_t first = done + 2, end = done + batches_of(r, lines);

        for (; done < end; done++) {
            if (done == first) /* both areas are warm */
                bench_trial_begin(r);
            while (ck_pr_load_64(&a->ask.word[0]) <= done)
                ;
            ck_pr_fence_load();
            check_lines(a->batch[done % 2], lines, done);
            ck_pr_fence_release();
            ck_pr_store_64(&a->answer.word[0], done + 1);
            if (done >= first)
                bench_trial_add(r, lines);
        }
        bench_trial_end(r);
    }
    return bench_took(r);
}

/* ------------------------------------------------------------------ copying */

/* One process copies blocks from its own memory into shared memory, and the other copies them from
 * there into its own. Four areas of as many blocks as they hold take turns. Each area has a word
 * that hands it over and a word that gives it back.
 *
 * The best of two sizes of an area and three ways to copy counts, because it depends on where the
 * cores are. Near each other, plain copies over more memory than the second-level cache holds are
 * best: a line that this cache has evicted comes faster than one that the writer's cache still has
 * modified. Far from each other, stores that go past the caches are best, at two to three times the
 * rate of plain stores.
 *
 * These were tried and gained nothing: a word for each block (half the rate at 1 KiB); areas of 4
 * to 64 KiB; two, eight and sixteen areas; plain loads and stores of 16 bytes by hand, with and
 * without prefetching for reading or writing; clwb and clflushopt after plain copies. */

#define AREAS 4u
#define AREA_MOST (1u << 20)

struct copying {
    union line full[AREAS][2], empty[AREAS][2]; /* how many areas have been handed over,
                                                 * and given back */
    unsigned char area[AREAS][AREA_MOST];
};

static const size_t area_sizes[] = {AREA_MOST / 4, AREA_MOST};

#define AREA_SIZES (sizeof area_sizes / sizeof area_sizes[0])

/* A trial of one way to copy with one size of area. */
struct copy_trial {
    enum way out, in;
    uint64_t blocks; /* of an area */
    uint64_t areas;  /* to copy; the first WARM are not timed */
};

enum { WARM = 2 * AREAS };

static struct copy_trial copy_trial(const struct bench_run *r, unsigned which)
{
    struct copy_trial t;
    size_t size = area_sizes[which % AREA_SIZES];

    t.out = (enum way)(which / AREA_SIZES);
    t.in = t.out == PLAIN ? PLAIN : STRING;
    t.blocks = size > r->of->bytes ? size / r->of->bytes : 1;
    t.areas = r->count / (WAYS * AREA_SIZES) / t.blocks + 3 * WARM;
    return t;
}

static unsigned char block[AREA_MOST] CK_CC_ALIGN(4096); /* each process has its own */

static struct copying *copying(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "area", 1, &o) == 0, "find");
    memset(block, 7, sizeof block);
    return (struct copying *)o.mem;
}

static int copy_prepare(struct bench_run *r)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "area", 1, sizeof(struct copying), &o);

    return rc != 0 ? rc : ipc_shm_publish(&r->seg, &o);
}

CK_CC_FORCE_INLINE static void copy_serve(struct bench_run *r, size_t bytes)
{
    struct copying *c = copying(r);
    uint64_t done = 0, number = 0, next = 0, k;
    unsigned which;

    bench_start(r);
    for (which = 0; which < WAYS * AREA_SIZES; which++) {
        struct copy_trial t = copy_trial(r, which);
        uint64_t end = done + t.areas;

        for (; done < end; done++) {
            unsigned a = done % AREAS;

            while (ck_pr_load_64(&c->empty[a]->word[0]) + AREAS <= done)
                ck_pr_stall();
            ck_pr_fence_acquire();
            for (k = 0; k < t.blocks; k++, number++) {
                memcpy(block, &number, sizeof number);
                memcpy(block + bytes - sizeof number, &number, sizeof number);
                copy_block(t.out, c->area[a] + k * bytes, block, bytes);
            }
            ck_pr_fence_strict_store(); /* strict: also orders the stores past the caches */
            ck_pr_store_64(&c->full[a]->word[0], done + 1);
            if (number >= next)
                next = bench_pace(r, number);
        }
    }
}

CK_CC_FORCE_INLINE static uint64_t copy_measure(struct bench_run *r, size_t bytes)
{
    struct copying *c = copying(r);
    uint64_t done = 0, number = 0, k;
    unsigned which;

    bench_start(r);
    r->began = ipc_clock();
    for (which = 0; which < WAYS * AREA_SIZES; which++) {
        struct copy_trial t = copy_trial(r, which);
        uint64_t first = done + WARM, end = done + t.areas;

        for (; done < end; done++) {
            unsigned a = done % AREAS;

            if (done == first)
                bench_trial_begin(r);
            while (ck_pr_load_64(&c->full[a]->word[0]) <= done)
                ck_pr_stall();
            ck_pr_fence_load();
            for (k = 0; k < t.blocks; k++, number++) {
                copy_block(t.in, block, c->area[a] + k * bytes, bytes);
                bench_check(memcmp(block, &number, sizeof number) == 0 &&
                                memcmp(block + bytes - sizeof number, &number, sizeof number) == 0,
                            "sequence number");
            }
            ck_pr_fence_release();
            ck_pr_store_64(&c->empty[a]->word[0], done + 1);
            if (done >= first)
                bench_trial_add(r, t.blocks);
        }
        bench_trial_end(r);
    }
    return bench_took(r);
}

#define COPY_CASES(B)                                                                              \
    static void copy_serve##B(struct bench_run *r)                                                 \
    {                                                                                              \
        copy_serve(r, B);                                                                          \
    }                                                                                              \
    static uint64_t copy_measure##B(struct bench_run *r)                                           \
    {                                                                                              \
        return copy_measure(r, B);                                                                 \
    }

SIZES(COPY_CASES)

#define LIMIT(SYSTEM, TEST, BYTES, NAME)                                                           \
    {                                                                                              \
        .system = SYSTEM, .test = TEST, .shape = "lines", .bytes = BYTES,                          \
        .memory = sizeof(struct area), .prepare = prepare, .serve = NAME##_serve,                  \
        .measure = NAME##_measure, .usual = 1                                                      \
    }

#define COPY(B)                                                                                    \
    {.system = "limit_copy",                                                                       \
     .test = "stream",                                                                             \
     .shape = "copy",                                                                              \
     .bytes = B,                                                                                   \
     .memory = sizeof(struct copying),                                                             \
     .prepare = copy_prepare,                                                                      \
     .serve = copy_serve##B,                                                                       \
     .measure = copy_measure##B,                                                                   \
     .usual = (B) == 64 || (B) == 1024 || (B) == 65536},

BENCH_GROUP(limits) = {LIMIT("limit_one_line", "pingpong", 8, one_line),
                       LIMIT("limit_two_lines", "pingpong", 8, two_lines),
                       LIMIT("limit_rotating_lines", "pingpong", 8, rotating),
                       LIMIT("limit_stream_lines", "stream", 64, stream),
                       SIZES(COPY){.system = NULL}};
