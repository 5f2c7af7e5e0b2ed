#define _GNU_SOURCE
#include "results.h"
#include "systems.h"
#include <err.h>
#include <stdlib.h>

struct result results[RESULTS];
int results_count;

const double results_percents[PERCENTS] = {50, 90, 99, 99.9, 99.99};

static const struct test tests[] = {
    {"stream", "stream: messages a second, one at a time", "msg/s", "M msg/s", 1e6, 2, NULL},
    {"many", "many: messages a second, several producers and consumers", "msg/s", "M msg/s", 1e6, 2,
     NULL},
    {"growth", "growth: messages a second, one at a time, as work grows", "msg/s", "M msg/s", 1e6, 2,
     NULL},
    {"pingpong", "pingpong: a round trip, both sides polling", "ns", "ns", 1, 0, NULL},
    {"latency", "latency: from when a message was due until it was there", "ns", "ns", 1, 0, NULL},
    {"burst", "burst: the same, of 32 or 256 messages due at once, a thousand times a second", "ns",
     "ns", 1, 0, NULL},
    {"wake", "wake: a round trip, both sides asleep until woken", "ns", "ns", 1, 0, "raw_futex"},
    {"post_idle", "post_idle: a store and a post while nobody sleeps", "ns", "ns", 1, 2, NULL},
    {"recover", "recover: from a kill to the next message that gets through", "ns", "us", 1e3, 0, NULL},
    {"attach", "attach: how long it takes to attach, as work grows", "ns", "us", 1e3, 2, NULL},
    {"idle", "idle: processor time while asleep", "%", "% of a core", 1, 4, NULL},
};

const struct test *results_test(const struct bench_case *c)
{
    const struct test *t = tests;

    while (strcmp(t->name, c->test) != 0)
        t++;
    return t;
}

void results_add(const struct bench_case *c)
{
    int state;

    if (results_count + DISTANCES > RESULTS)
        errx(1, "more than %d cases: see RESULTS", RESULTS / DISTANCES);
    if (system_find(c->system) == NULL)
        errx(1, "bench/systems.def has no line for %s", c->system);
    for (state = 0; state < DISTANCES; state++) {
        results[results_count].of = c;
        results[results_count++].state = (enum distance)state;
    }
}

void results_remove(int i)
{
    memmove(&results[i], &results[i + 1], (size_t)(--results_count - i) * sizeof results[0]);
}

/* The figure of a run, in the unit of its test. */
static double figure_of(const struct result *x, const struct outcome *o)
{
    double ns = (double)o->ns, count = (double)x->amount.count;

    if (x->of->producers > 0)
        return (double)o->taken * 1e9 / ns;
    if (strcmp(x->of->test, "idle") == 0)
        return 100 * ns / count;
    if (x->of->rate > 0 || bench_is_recovery(x->of) || bench_is_attach(x->of))
        return o->typical;
    return bench_is_rate(x->of) ? count * 1e9 / o->typical : o->typical / count;
}

void results_record(struct result *x, int round, const struct outcome *o)
{
    double value = figure_of(x, o);

    if (x->of->readers > 0) {
        double got = (double)o->taken / x->of->readers / (double)x->amount.count;

        x->got[x->runs] = got * value;
        x->missed[x->runs] = 1 - got;
    }
    if (bench_is_recovery(x->of))
        x->missed[x->runs] = (double)o->taken / (double)o->latencies->total;
    if (x->of->rate > 0 || bench_is_round_trip(x->of) || bench_is_recovery(x->of)) {
        if (x->latencies == NULL && (x->latencies = calloc(1, sizeof *x->latencies)) == NULL)
            err(1, "calloc");
        histogram_add(x->latencies, o->latencies);
    }
    x->cpu[x->runs] = o->cpu;
    x->left_out[x->runs] = o->left_out;
    x->round[x->runs] = round;
    x->value[x->runs++] = value;
}

int results_by_shape(const struct bench_case *c)
{
    return strcmp(c->test, "wake") == 0 || strcmp(c->test, "many") == 0 || c->rate > 0 ||
           bench_is_recovery(c) || strcmp(c->test, "growth") == 0 || bench_is_attach(c);
}

int results_leaves_out(const struct bench_case *c)
{
    return bench_has_windows(c) || c->rate > 0;
}

int results_has_cpu(const struct bench_case *c)
{
    return bench_is_rate(c) || c->rate > 0 || bench_is_round_trip(c);
}

/* By test, by state, then by size, so that limits, rings and the kernel's mechanisms of one size stand side
 * by side; then by shape where shapes are different things. */
static int by_test(const void *a, const void *b)
{
    const struct result *left = (const struct result *)a, *right = (const struct result *)b;
    const struct bench_case *x = left->of, *y = right->of;
    const struct test *first = results_test(x), *second = results_test(y);

    if (first != second)
        return first < second ? -1 : 1;
    if (left->state != right->state)
        return left->state < right->state ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return results_by_shape(x) ? strverscmp(x->shape, y->shape) : 0;
}

/* The median, which leaves the values in their order. */
static double median_of(const double *value, int n)
{
    double sorted[RUNS];

    memcpy(sorted, value, (size_t)n * sizeof sorted[0]);
    return statistics_median(sorted, n);
}

static void summarise(struct result *x)
{
    int i;

    x->median = median_of(x->value, x->runs);
    x->min = x->max = x->value[0];
    for (i = 1; i < x->runs; i++) {
        x->min = x->value[i] < x->min ? x->value[i] : x->min;
        x->max = x->value[i] > x->max ? x->value[i] : x->max;
    }
    x->reader = median_of(x->got, x->runs);
    x->misses = median_of(x->missed, x->runs);
    x->cpu_ns = median_of(x->cpu, x->runs);
    x->left = median_of(x->left_out, x->runs);
}

void results_summarise(void)
{
    int i;

    for (i = 0; i < results_count; i++)
        if (results[i].runs > 0)
            summarise(&results[i]);
        else
            results_remove(i--);
    qsort(results, (size_t)results_count, sizeof results[0], by_test);
}

const struct result *results_find(enum distance state, const char *system, const char *test,
                                  const char *shape, uint64_t bytes)
{
    int i;

    for (i = 0; i < results_count; i++) {
        const struct bench_case *c = results[i].of;

        if (results[i].state == state && strcmp(c->system, system) == 0 &&
            strcmp(c->test, test) == 0 && strcmp(c->shape, shape) == 0 &&
            (bytes == 0 || c->bytes == bytes))
            return &results[i];
    }
    return NULL;
}

/* The best peer of a case that keeps the order of all messages, or NULL. */
static const struct result *best_fifo_peer(const struct result *x)
{
    const struct result *best = NULL;
    int i;

    for (i = 0; i < results_count; i++) {
        const struct bench_case *peer = results[i].of, *c = x->of;

        if (peer->fifo_peer && results[i].state == x->state && peer->bytes == c->bytes &&
            strcmp(peer->test, c->test) == 0 && strcmp(peer->shape, c->shape) == 0 &&
            (best == NULL || results[i].median > best->median))
            best = &results[i];
    }
    return best;
}

/* The result of another system in the same case. */
static const struct result *beside(const struct result *x, const char *system)
{
    return results_find(x->state, system, x->of->test, x->of->shape, x->of->bytes);
}

const struct result *results_rival(const struct result *x)
{
    const char *below = system_find(x->of->system)->below;
    const struct result *pipe = beside(x, "pipe"), *sock = beside(x, "unix_stream"), *best;

    if (below != NULL)
        return beside(x, below);
    best = best_fifo_peer(x);
    if (best != NULL)
        return best;
    if (pipe == NULL || sock == NULL)
        return pipe != NULL ? pipe : sock;
    return (pipe->median > sock->median) == bench_is_rate(x->of) ? pipe : sock;
}

/* The value of a round, or 0. */
static double value_in(const struct result *x, int round)
{
    int i;

    for (i = 0; i < x->runs; i++)
        if (x->round[i] == round)
            return x->value[i];
    return 0;
}

/* Adds a round's ratio of a value to another: how many times better the value is. */
static void add_ratio(const struct result *x, double value, double other, double *ratio, int *n)
{
    if (value > 0 && other > 0)
        ratio[(*n)++] = bench_is_rate(x->of) ? value / other : other / value;
}

static struct ratio ratio_of(double *ratio, int n)
{
    struct ratio r = {0, 0, 0};

    if (n > 0) {
        r.median = statistics_median(ratio, n);
        r.min = ratio[0];
        r.max = ratio[n - 1];
    }
    return r;
}

struct ratio results_times(const struct result *x, const struct result *y)
{
    double ratio[RUNS];
    int i, n = 0;

    for (i = 0; i < x->runs; i++)
        add_ratio(x, x->value[i], value_in(y, x->round[i]), ratio, &n);
    return ratio_of(ratio, n);
}

/* A result that x is held against, and what its value is multiplied with to be x's limit. */
struct limit {
    const struct result *of;
    double scale;
};
enum { LIMITS = 16 };

static int is_limit(const struct result *x)
{
    return strcmp(system_find(x->of->system)->family, "limit") == 0;
}

/* May the limit's shape be held against x? A producer that is stopped is no excuse, and a channel's
 * processes run on two cores. */
static int fits_shape(const struct result *limit, const struct result *x)
{
    size_t n = strlen(limit->of->shape);

    if (!results_by_shape(x->of) || strcmp(limit->of->shape, x->of->shape) == 0)
        return 1;
    return (strncmp(limit->of->shape, x->of->shape, n) == 0 &&
            strcmp(x->of->shape + n, "_1_held") == 0) ||
           (strcmp(x->of->shape, "channel") == 0 && strcmp(limit->of->shape, "two_cores") == 0);
}

/* Lines streamed in any number bound messages of every size: those that a message and the eight
 * bytes fill that say that it is there. */
static int is_of_lines(const struct result *limit, const struct result *x)
{
    return strcmp(limit->of->system, "limit_stream_lines") == 0 && x != limit;
}

/* All limits of x: those of its size; a wake's are of any. Returns how many. */
static int limits_of(const struct result *x, struct limit found[LIMITS])
{
    const struct test *t = results_test(x->of);
    int i, n = 0;

    for (i = 0; i < results_count && n < LIMITS; i++) {
        const struct result *y = &results[i];
        int fits = t->limit != NULL ? strcmp(y->of->system, t->limit) == 0
                                    : is_limit(y) && y->of->bytes == x->of->bytes;

        if (!fits || y->state != x->state || strcmp(y->of->test, t->name) != 0 ||
            !fits_shape(y, x) || is_of_lines(y, x))
            continue;
        found[n].of = y;
        found[n++].scale = 1;
    }
    for (i = 0; i < results_count && n < LIMITS; i++)
        if (results[i].state == x->state && strcmp(x->of->test, "stream") == 0 &&
            is_of_lines(&results[i], x)) {
            found[n].of = &results[i];
            found[n++].scale = 64 / (double)(x->of->bytes + 8);
        }
    return n;
}

/* The best of the limits; their medians if the round is -1. */
static double best_limit(const struct result *x, const struct limit *limit, int n, int round)
{
    double best = 0;
    int i;

    for (i = 0; i < n; i++) {
        const struct result *y = limit[i].of;
        double value = (round < 0 ? y->median : value_in(y, round)) * limit[i].scale;

        if (value > 0 && (best == 0 || (value > best) == bench_is_rate(x->of)))
            best = value;
    }
    return best;
}

double results_limit(const struct result *x)
{
    struct limit limit[LIMITS];

    return best_limit(x, limit, limits_of(x, limit), -1);
}

struct ratio results_of_limit(const struct result *x)
{
    struct limit limit[LIMITS];
    double ratio[RUNS];
    int i, n = 0, limits = limits_of(x, limit);

    for (i = 0; i < x->runs; i++)
        add_ratio(x, x->value[i], best_limit(x, limit, limits, x->round[i]), ratio, &n);
    return ratio_of(ratio, n);
}
