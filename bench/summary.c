#include "summary.h"
#include "results.h"
#include "systems.h"

static const char *const shown[] = {"ipc_ring", "ipc_records", "ipc_call", "ck_ring",
                                    "pipe",     "unix_stream", "tcp",      "posix_queue"};
enum { SHOWN = sizeof shown / sizeof shown[0], USUAL_SIZES = 3 };
static const uint64_t sizes[USUAL_SIZES] = {64, 1024, 65536};

static enum distance state; /* of the results that are printed */

static const struct result *usual(const char *system, const char *test, uint64_t bytes)
{
    return results_find(state, system, test, strcmp(test, "latency") == 0 ? "100k_spin" : "usual",
                        bytes);
}

/* ------------------------------------------------------------------ the sentence */

static void print_times(const struct result *ours, const char *system, const char *name)
{
    const struct result *other = usual(system, ours->of->test, ours->of->bytes);
    struct ratio r = {0, 0, 0};

    if (other != NULL)
        r = results_times(ours, other);
    if (r.median > 0)
        printf(", %.*f times (%.*f to %.*f) %s", r.median < 10, r.median, r.min < 10, r.min,
               r.max < 10, r.max, name);
}

static void print_sentence(int quiet)
{
    const struct result *rate = usual("ipc_ring", "stream", 64),
                        *trip = usual("ipc_ring", "pingpong", 64);

    if (rate == NULL && trip == NULL)
        return;
    printf("\nOn this machine,%s with cores %s each other, ", quiet ? "" : " which was NOT QUIET,",
           state == DISTANCE_NEAR ? "near" : "far from");
    if (rate != NULL) {
        printf("a ring moves %.3g million messages of 64 B a second", rate->median / 1e6);
        print_times(rate, "pipe", "a pipe");
        print_times(rate, "ck_ring", "ck_ring");
    }
    if (trip != NULL) {
        printf("%s%.3g ns", rate != NULL ? "; there and back takes " : "there and back takes ",
               trip->median);
        print_times(trip, "pipe", "as fast as a pipe");
    }
    printf(".\n");
}

/* ------------------------------------------------------------------ the table */

/* A figure in `scale`, right-aligned, and how much of the limit it is. */
static void print_figure(double value, double scale, double limit)
{
    double v = value / scale;

    if (value <= 0)
        printf(" %9s", "-");
    else
        printf(" %9.*f", v < 0.1 ? 4 : v < 10 ? 2 : v < 100 ? 1 : 0, v);
    if (limit > 0)
        printf(" %8.2f", limit);
    else
        printf(" %8s", "");
}

static int has_rows(const char *test)
{
    size_t i, k;

    for (i = 0; i < SHOWN; i++)
        for (k = 0; k < USUAL_SIZES; k++)
            if (usual(shown[i], test, sizes[k]) != NULL)
                return 1;
    return 0;
}

/* A test in all sizes: a line for each system, and a last one for the limit. */
static void print_sizes(const char *test, const char *title, const char *unit, double scale)
{
    double limit[USUAL_SIZES] = {0};
    size_t i, k;

    if (!has_rows(test))
        return;
    printf("\n%-18s %14s %18s %18s\n%-16s", title, "64 B", "1 KiB", "64 KiB", "");
    for (k = 0; k < USUAL_SIZES; k++)
        printf(" %9s of limit", unit);
    printf("\n");
    for (i = 0; i < SHOWN; i++) {
        for (k = 0; k < USUAL_SIZES && usual(shown[i], test, sizes[k]) == NULL; k++)
            ;
        if (k == USUAL_SIZES)
            continue;
        printf("%-16s", system_find(shown[i])->name);
        for (k = 0; k < USUAL_SIZES; k++) {
            const struct result *x = usual(shown[i], test, sizes[k]);

            print_figure(x != NULL ? x->median : 0, scale,
                         x != NULL ? results_of_limit(x).median : 0);
            limit[k] = x != NULL && results_limit(x) > 0 ? results_limit(x) : limit[k];
        }
        printf("\n");
    }
    printf("%-16s", "the limit");
    for (k = 0; k < USUAL_SIZES; k++)
        print_figure(limit[k], scale, limit[k] > 0 ? 1 : 0);
    printf("\n");
}

static void print_latencies(void)
{
    size_t i;

    if (usual("ipc_ring", "latency", 64) == NULL)
        return;
    printf("\n%-18s %14s %18s\n%-16s %9s of limit %9s\n", "One way, 100 k/s", "64 B: p50", "p99",
           "", "ns", "ns");
    for (i = 0; i < SHOWN; i++) {
        const struct result *x = usual(shown[i], "latency", 64);

        if (x == NULL)
            continue;
        printf("%-16s", system_find(shown[i])->name);
        print_figure(x->median, 1, results_of_limit(x).median);
        print_figure((double)histogram_at(x->latencies, 99), 1, 0);
        printf("\n");
    }
}

static void print_wakes(void)
{
    static const char *const systems[] = {"ipc_futex", "raw_futex", "raw_pipe"};
    static const char *const names[] = {"ipc_wait", "futex by hand", "pipe"};
    size_t i;

    if (results_find(state, "ipc_futex", "wake", "one_core", 8) == NULL)
        return;
    printf("\n%-18s %14s %18s\n%-16s %9s of limit %9s of limit\n", "Asleep until woken", "one core",
           "two cores", "there and back", "us", "us");
    for (i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        const struct result *one = results_find(state, systems[i], "wake", "one_core", 8);
        const struct result *two = results_find(state, systems[i], "wake", "two_cores", 8);

        printf("%-16s", names[i]);
        print_figure(one != NULL ? one->median : 0, 1e3,
                     one != NULL ? results_of_limit(one).median : 0);
        print_figure(two != NULL ? two->median : 0, 1e3,
                     two != NULL ? results_of_limit(two).median : 0);
        printf("\n");
    }
}

/* Rows that were measured in this state; *cases: in any. */
static int rows_in_state(int *cases)
{
    int i, k, n = 0;

    for (*cases = i = 0; i < results_count; i++) {
        n += results[i].state == state;
        for (k = 0; k < i && results[k].of != results[i].of; k++)
            ;
        *cases += k == i;
    }
    return n;
}

/* Is this state that of half of the rows, at least? A table with holes is of no use. */
static int is_shown(void)
{
    int cases, n = rows_in_state(&cases);

    return 2 * n >= cases;
}

/* Why a cell may be empty: once, below all tables. */
static void print_holes(void)
{
    int cases = 0, rows = 0, shown = 0;

    for (state = DISTANCE_NEAR; state < DISTANCES; state++)
        if (is_shown()) {
            rows += rows_in_state(&cases);
            shown++;
        }
    if (rows < shown * cases)
        printf("\n-: no run had its cores the same from begin to end, and enough that was not interrupted.\n");
}

static void print_seldom(void)
{
    int cases, n = rows_in_state(&cases);

    if (n > 0 && 2 * n < cases)
        printf("\nCores %s each other were seen too seldom to show: in %d of %d rows.\n",
               state == DISTANCE_NEAR ? "near" : "far from", n, cases);
}

void summary_print(const json_t *machine)
{
    const json_t *noise = json_object_get(machine, "noise");
    int quiet = json_is_true(json_object_get(noise, "ok"));

    for (state = DISTANCE_NEAR; state < DISTANCES; state++)
        if (is_shown())
            print_sentence(quiet);
    if (!quiet)
        printf("\nNOT QUIET: %s.\n"
               "What was interrupted is left out; p99 and wakes are not as on a quiet machine.\n",
               json_string_value(json_object_get(noise, "why")));
    for (state = DISTANCE_NEAR; state < DISTANCES; state++) {
        print_seldom();
        if (!is_shown())
            continue;
        printf("\nCores %s each other: one line there and back takes %.0f ns.\n",
               state == DISTANCE_NEAR ? "near" : "far from", distance_ns(state));
        print_sizes("stream", "Throughput", "M msg/s", 1e6);
        print_sizes("pingpong", "Round trip", "ns", 1);
        print_latencies();
        print_wakes();
    }
    print_holes();
    printf(
        "\nof limit: 1 is what this machine can do without any queue. A POSIX queue takes 8 KiB\n"
        "  at most. A part: --only ring,pipe,64. Everything: make bench-full. A page: make\n"
        "  report. What changed since: --compare OLD.json. All options: build/ipc_bench --help\n");
}
