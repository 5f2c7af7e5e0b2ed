#define _GNU_SOURCE
#include "results.h"
#include "systems.h"
#include <err.h>
#include <stdlib.h>

struct result results[RESULTS];
int results_count;

const double results_percents[PERCENTS] = {50, 90, 99, 99.9, 99.99};

static const struct test tests[] = {
    {"stream", "stream: messages a second, one at a time", "msg/s", "M msg/s", 1e6, 2,
     "limit_stream_lines", "lines"},
    {"many", "many: messages a second, several producers and consumers", "msg/s", "M msg/s", 1e6, 2,
     NULL, NULL},
    {"pingpong", "pingpong: a round trip, both sides polling", "ns", "ns", 1, 0, "limit_two_lines",
     "lines"},
    {"latency", "latency: from when a message was due until it was there", "ns", "ns", 1, 0, NULL,
     NULL},
    {"burst", "burst: the same, of 32 or 256 messages due at once, a thousand times a second", "ns",
     "ns", 1, 0, NULL, NULL},
    {"wake", "wake: a round trip, both sides asleep until woken", "ns", "ns", 1, 0, "raw_futex",
     NULL},
    {"post_idle", "post_idle: a store and a post while nobody sleeps", "ns", "ns", 1, 2,
     "limit_store_fence", NULL},
    {"idle", "idle: processor time while asleep", "%", "% of a core", 1, 4, NULL, NULL},
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
    if (results_count == RESULTS)
        errx(1, "more than %d cases: see RESULTS", RESULTS);
    if (system_find(c->system) == NULL)
        errx(1, "bench/systems.def has no line for %s", c->system);
    results[results_count++].of = c;
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
    if (x->of->rate > 0)
        return o->typical;
    return bench_is_rate(x->of) ? count * 1e9 / o->typical : o->typical / count;
}

void results_record(struct result *x, const struct outcome *o)
{
    double value = figure_of(x, o);

    if (x->of->readers > 0) {
        double got = (double)o->taken / x->of->readers / (double)x->amount.count;

        x->got[x->runs] = got * value;
        x->missed[x->runs] = 1 - got;
    }
    if (x->of->rate > 0 || bench_is_round_trip(x->of)) {
        if (x->latencies == NULL && (x->latencies = calloc(1, sizeof *x->latencies)) == NULL)
            err(1, "calloc");
        histogram_add(x->latencies, o->latencies);
    }
    x->cpu[x->runs] = o->cpu;
    x->left_out[x->runs] = o->left_out;
    x->value[x->runs++] = value;
}

int results_by_shape(const struct bench_case *c)
{
    return strcmp(c->test, "wake") == 0 || strcmp(c->test, "many") == 0 || c->rate > 0;
}

int results_leaves_out(const struct bench_case *c)
{
    return bench_has_windows(c) || c->rate > 0;
}

int results_has_cpu(const struct bench_case *c)
{
    return bench_is_rate(c) || c->rate > 0 || bench_is_round_trip(c);
}

/* By test, then by size, so that limits, rings and the kernel's mechanisms of one size stand side
 * by side; then by shape where shapes are different things. */
static int by_test(const void *a, const void *b)
{
    const struct bench_case *x = ((const struct result *)a)->of,
                            *y = ((const struct result *)b)->of;
    const struct test *first = results_test(x), *second = results_test(y);

    if (first != second)
        return first < second ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return results_by_shape(x) ? strcmp(x->shape, y->shape) : 0;
}

void results_summarise(void)
{
    int i;

    for (i = 0; i < results_count; i++) {
        struct result *x = &results[i];

        x->median = statistics_median(x->value, x->runs);
        x->min = x->value[0];
        x->max = x->value[x->runs - 1];
        x->reader = statistics_median(x->got, x->runs);
        x->misses = statistics_median(x->missed, x->runs);
        x->cpu_ns = statistics_median(x->cpu, x->runs);
        x->left = statistics_median(x->left_out, x->runs);
    }
    qsort(results, (size_t)results_count, sizeof results[0], by_test);
}

const struct result *results_find(const char *system, const char *test, const char *shape,
                                  uint64_t bytes)
{
    int i;

    for (i = 0; i < results_count; i++) {
        const struct bench_case *c = results[i].of;

        if (strcmp(c->system, system) == 0 && strcmp(c->test, test) == 0 &&
            strcmp(c->shape, shape) == 0 && (bytes == 0 || c->bytes == bytes))
            return &results[i];
    }
    return NULL;
}

/* The best peer of a case that keeps the order of all messages, or NULL. */
static const struct result *best_fifo_peer(const struct bench_case *c)
{
    const struct result *best = NULL;
    int i;

    for (i = 0; i < results_count; i++) {
        const struct bench_case *peer = results[i].of;

        if (peer->fifo_peer && peer->bytes == c->bytes && strcmp(peer->test, c->test) == 0 &&
            strcmp(peer->shape, c->shape) == 0 &&
            (best == NULL || results[i].median > best->median))
            best = &results[i];
    }
    return best;
}

const struct result *results_rival(const struct bench_case *c)
{
    const char *below = system_find(c->system)->below;
    const struct result *pipe = results_find("pipe", c->test, c->shape, c->bytes);
    const struct result *sock = results_find("unix_stream", c->test, c->shape, c->bytes), *best;

    if (below != NULL)
        return results_find(below, c->test, c->shape, c->bytes);
    best = best_fifo_peer(c);
    if (best != NULL)
        return best;
    if (pipe == NULL || sock == NULL)
        return pipe != NULL ? pipe : sock;
    return (pipe->median > sock->median) == bench_is_rate(c) ? pipe : sock;
}

double results_times(const struct result *x, const struct result *y)
{
    if (x->median <= 0 || y->median <= 0)
        return 0;
    return bench_is_rate(x->of) ? x->median / y->median : y->median / x->median;
}

double results_limit(const struct result *x)
{
    const struct test *t = results_test(x->of);
    const struct result *copy = results_find("limit_copy", t->name, "copy", x->of->bytes),
                        *limit = NULL;
    double lines = 1; /* of a message: its payload, and 8 bytes that say that it is there */

    if (copy != NULL)
        return copy->median;
    if (t->limit != NULL)
        limit = results_find(t->limit, t->name,
                             t->limit_shape != NULL ? t->limit_shape : x->of->shape, 0);
    if (limit == NULL)
        return 0;
    if (strcmp(t->name, "stream") == 0 && x != limit)
        lines = (double)(x->of->bytes + 8) / 64;
    return limit->median / lines;
}

double results_of_limit(const struct result *x)
{
    double limit = results_limit(x);

    if (limit <= 0 || x->median <= 0)
        return 0;
    return bench_is_rate(x->of) ? x->median / limit : limit / x->median;
}
