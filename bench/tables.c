#include "tables.h"
#include "results.h"
#include "systems.h"

static const char *text(const json_t *machine, const char *key)
{
    return json_string_value(json_object_get(machine, key));
}

static void print_machine(const json_t *machine)
{
    int i;

    printf("%s, %s, %lld cores; Linux %s; %s %s; reading the clock takes %.0f ns\n",
           text(machine, "cpu"), text(machine, "arch"),
           (long long)json_integer_value(json_object_get(machine, "cores")),
           text(machine, "kernel"), text(machine, "compiler"), text(machine, "flags"),
           json_real_value(json_object_get(machine, "timer_ns")));
    for (i = 0; i < DISTANCES; i++)
        if (distance_ns((enum distance)i) > 0)
            printf("cores %s: one line there and back takes %.0f ns\n", distance_names[i],
                   distance_ns((enum distance)i));
}

static void print_recovery_head(const struct result *x)
{
    printf("\n%s; cores %s\n%-20s %9s %11s %11s %11s %11s\n%30s %11s %11s %11s\n",
           results_test(x->of)->title, distance_names[x->state], "system", "killed", "p50", "p99",
           "max", "lost", "", "us", "us", "us");
}

/* What takes as long as BENCH_NEVER has not come at all. */
static void print_recovery(const struct result *x)
{
    double at[] = {(double)histogram_at(x->latencies, 50), (double)histogram_at(x->latencies, 99),
                   (double)x->latencies->max};
    size_t i;

    printf("%-20s %9s", x->of->system, x->of->shape);
    for (i = 0; i < sizeof at / sizeof at[0]; i++)
        if (at[i] >= BENCH_NEVER)
            printf(" %11s", "never");
        else
            printf(" %11.0f", at[i] / 1e3);
    if (at[0] >= BENCH_NEVER)
        printf(" %11s\n", "-");
    else
        printf(" %11.2f\n", x->misses);
}

/* The title and the head of a table, whose first row is x: the names of the columns, and below them
 * their units. */
static void print_head(const struct result *x)
{
    const struct test *t = results_test(x->of);
    const char *rival = results_rival(x) != NULL ? "vs kernel" : "";
    const char *cpu = results_has_cpu(x->of) ? "cpu" : "";
    const char *left = results_leaves_out(x->of) ? "left out" : "";
    int i;

    printf("\n%s; cores %s\n%-20s %*s", t->title, distance_names[x->state], "system",
           x->of->rate > 0 ? 12 : 9, strcmp(t->name, "wake") == 0 ? "" : "bytes");
    if (x->of->rate > 0) {
        printf(" %9s %9s %9s %9s %9s %9s %8s %9s %9s\n%33s", "p50", "p90", "p99", "p99.9", "p99.99",
               "max", cpu, "of limit", "left out", "");
        for (i = 0; i < PERCENTS + 1; i++)
            printf(" %9s", t->shown);
        printf(" %8s %9s %9s\n", "ns", "", "%");
        return;
    }
    printf(" %11s %11s %11s %20s %18s %8s %9s\n%30s", "median", "min", "max",
           x->of->producers > 0 ? "vs peers" : rival, results_limit(x) > 0 ? "of limit" : "", cpu,
           left, "");
    printf(" %11s %11s %11s %20s %18s %8s %9s\n", t->shown, t->shown, t->shown,
           x->of->producers > 0 || *rival != '\0' ? "times" : "", "", *cpu != '\0' ? "ns" : "",
           *left != '\0' ? "%" : "");
}

/* The percentiles are of all runs together; the median of runs and its spread are in the JSON. */
static void print_latency(const struct result *x)
{
    int i;

    printf("%-15s %-13s %3llu", x->of->system, x->of->shape, (unsigned long long)x->of->bytes);
    for (i = 0; i < PERCENTS; i++)
        printf(" %9llu", (unsigned long long)histogram_at(x->latencies, results_percents[i]));
    printf(" %9llu %8.0f", (unsigned long long)x->latencies->max, x->cpu_ns);
    if (results_of_limit(x).median > 0)
        printf(" %9.2f", results_of_limit(x).median);
    else
        printf(" %9s", "");
    printf(" %9.1f\n", 100 * x->left);
}

static void print_name(const struct bench_case *c)
{
    if (bench_is_attach(c) || strcmp(c->test, "growth") == 0)
        printf("%-12s %-14s %2llu", c->system, c->shape, (unsigned long long)c->bytes);
    else if (c->producers > 0)
        printf("%-12s %-13s %3llu", c->system, c->shape, (unsigned long long)c->bytes);
    else if (strcmp(c->test, "wake") == 0 && strcmp(c->shape, "channel") != 0)
        printf("%-20s %9s", c->system, c->shape);
    else
        printf("%-20s %9llu", c->system, (unsigned long long)c->bytes);
}

/* A median ratio and its spread, in so many columns. */
static void print_ratio(struct ratio r, int width)
{
    char text[64] = "";

    if (r.median > 0)
        (void)snprintf(text, sizeof text, "%.*f (%.*f-%.*f)", r.median < 10 ? 2 : 0, r.median,
                       r.min < 10 ? 2 : 0, r.min, r.max < 10 ? 2 : 0, r.max);
    printf(" %*s", width, text);
}

static void print_row(const struct result *x)
{
    static const struct ratio none;
    const struct test *t = results_test(x->of);
    const struct result *rival = results_rival(x);
    int digits = bench_is_rate(x->of) && x->median < t->scale ? t->digits + 2 : t->digits;

    print_name(x->of);
    printf(" %11.*f %11.*f %11.*f", digits, x->median / t->scale, digits, x->min / t->scale, digits,
           x->max / t->scale);
    print_ratio(rival != NULL ? results_times(x, rival) : none, 20);
    print_ratio(results_of_limit(x), 18);
    if (results_has_cpu(x->of) && x->cpu_ns > 0) /* 0: the run was ended early */
        printf(" %8.*f", x->cpu_ns < 100 ? 1 : 0, x->cpu_ns);
    else
        printf(" %8s", "");
    if (results_leaves_out(x->of))
        printf(" %9.1f", 100 * x->left);
    if (x->of->threads)
        printf(" (threads)");
    if (x->of->readers > 0)
        printf(" (each reader %.*f, missed %.2f)", digits, x->reader / t->scale, x->misses);
    printf("\n");
}

static void print_legend(void)
{
    printf(
        "\n"
        "Every ratio is the median of ratios within one round and state of the cores, and in "
        "brackets\n"
        "the least and the most.\n"
        "vs kernel: how many times better than the better one of pipe and Unix socket; for a\n"
        "  channel, how many times better than the mechanism below it.\n"
        "vs peers: how many times better than the best peer that keeps one order of all\n"
        "  messages, as ck_ring does.\n"
        "of limit: how near the figure is to the machine's limit; at the limit it is 1. The limit\n"
        "  is the best of all limit_ rows of the test and size: a rate's are copies, lines and "
        "the\n"
        "  barest slot, a round trip's lines and the barest slot, those of many the bare atomic\n"
        "  operations. A wake is held against a futex by hand.\n"
        "each reader: the messages that one reader got, and the part that it missed: the mean\n"
        "  of all readers, which share a core.\n"
        "cpu: nanoseconds of processor time of all processes for each message or round trip. At\n"
        "  a fixed rate the time that the sender waits for the next due time is not counted.\n"
        "left out: the part of the time that was interrupted; of latencies, the part of the\n"
        "  messages that were late because a process had lost its core. A rate is the median of\n"
        "  windows of about 100 us that were not interrupted, a round trip that of windows of 2 "
        "us.\n"
        "recover: the receiver is killed in the middle of its call, while it polls, or while it sleeps; or\n"
        "  it is stopped in the middle of its call, and lives. Or the sender is killed, in the middle of its\n"
        "  call, or while it polls or sleeps for room. lost: messages that nobody has had in the end, for\n"
        "  each kill. never: not within half a second.\n"
        "A latency counts from the time at which the message was due. Percentiles are of all runs\n"
        "together. The reading of the clock is taken off.\n");
}

void tables_print(const json_t *machine)
{
    const struct result *last = NULL, *x;
    int i;

    print_machine(machine);
    for (i = 0; i < results_count; i++, last = x) {
        x = &results[i];
        if (last == NULL || results_test(last->of) != results_test(x->of) ||
            last->state != x->state)
            bench_is_recovery(x->of) ? print_recovery_head(x) : print_head(x);
        else if (last->of->bytes != x->of->bytes ||
                 (results_by_shape(x->of) && strcmp(last->of->shape, x->of->shape) != 0))
            printf("\n");
        if (bench_is_recovery(x->of))
            print_recovery(x);
        else if (x->of->rate > 0)
            print_latency(x);
        else
            print_row(x);
    }
    print_legend();
}
