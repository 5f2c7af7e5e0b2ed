/* Figures, tables, JSON and histograms. */
#include "driver.h"
#include <sys/utsname.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* ------------------------------------------------------------------ figures */

int is_rate(const struct bench_case *c)
{
    return strcmp(c->test, "stream") == 0 || strcmp(c->test, "many") == 0;
}

/* The tests, in the order of the tables. */
static const struct test {
    const char *name, *title, *unit;
    double scale;
    int digits;
    const char *limit, *limit_shape; /* what of limit is about; the shape NULL: the same */
} tests[] = {
    {"stream", "stream: million messages a second, one at a time", "msg/s", 1e6, 2,
     "limit_stream_lines", "lines"},
    {"many", "many: million messages a second, several producers and consumers", "msg/s", 1e6, 2,
     NULL, NULL},
    {"pingpong", "pingpong: nanoseconds for a round trip, both sides polling", "ns", 1, 0,
     "limit_two_lines", "lines"},
    {"latency", "latency: nanoseconds from when a message was due until it was there", "ns", 1, 0,
     NULL, NULL},
    {"burst", "burst: the same, of 32 or 256 messages due at once, a thousand times a second", "ns",
     1, 0, NULL, NULL},
    {"wake", "wake: nanoseconds for a round trip, both sides asleep until woken", "ns", 1, 0,
     "raw_futex", NULL},
    {"post_idle", "post_idle: nanoseconds for a store and a post while nobody sleeps", "ns", 1, 2,
     "limit_store_fence", NULL},
    {"idle", "idle: percent of a core while asleep", "%", 1, 4, NULL, NULL},
};

static const struct test *test_of(const struct bench_case *c)
{
    const struct test *t = tests;

    while (strcmp(t->name, c->test) != 0)
        t++;
    return t;
}

static int ascending(const void *a, const void *b)
{
    const double *x = (const double *)a, *y = (const double *)b;

    return (*x > *y) - (*x < *y);
}

double median(double *value, int n)
{
    qsort(value, (size_t)n, sizeof value[0], ascending);
    return (value[(n - 1) / 2] + value[n / 2]) / 2;
}

static void summarise(struct result *x)
{
    x->median = median(x->value, x->runs);
    x->min = x->value[0];
    x->max = x->value[x->runs - 1];
    x->reader = median(x->got, x->runs);
    x->misses = median(x->missed, x->runs);
    x->cpu_ns = median(x->cpu, x->runs);
}

static const struct result *find(const char *system, const char *test, const char *shape,
                                 uint64_t bytes)
{
    int i;

    for (i = 0; i < cases; i++)
        if (strcmp(results[i].of->system, system) == 0 && strcmp(results[i].of->test, test) == 0 &&
            strcmp(results[i].of->shape, shape) == 0 &&
            (bytes == 0 || results[i].of->bytes == bytes))
            return &results[i];
    return NULL;
}

/* Of a channel the mechanism below; else the best of the kernel's mechanisms, or of many the best
 * FIFO peer, at the same test and size. */
static const struct result *rival(const struct bench_case *c)
{
    const struct result *pipe = find("pipe", c->test, c->shape, c->bytes);
    const struct result *sock = find("unix_stream", c->test, c->shape, c->bytes), *best = NULL;
    int i;

    if (c->raw != NULL)
        return find(c->raw, c->test, c->shape, c->bytes);
    for (i = 0; i < cases; i++) {
        const struct bench_case *peer = results[i].of;

        if (peer->fifo_peer && peer->bytes == c->bytes && strcmp(peer->test, c->test) == 0 &&
            strcmp(peer->shape, c->shape) == 0 &&
            (best == NULL || results[i].median > best->median))
            best = &results[i];
    }
    if (best != NULL)
        return best;
    if (pipe == NULL || sock == NULL)
        return pipe != NULL ? pipe : sock;
    return (pipe->median > sock->median) == is_rate(c) ? pipe : sock;
}

/* ------------------------------------------------------------------ output */

/* The first line of a file, or NULL. */
static json_t *line_of(const char *format, int cpu)
{
    char name[128], line[128] = "";
    FILE *f;

    (void)snprintf(name, sizeof name, format, cpu);
    f = fopen(name, "r");
    if (f == NULL)
        return NULL;
    if (fgets(line, sizeof line, f) != NULL)
        line[strcspn(line, "\n")] = '\0';
    (void)fclose(f);
    return json_string(line);
}

/* What reading the clock takes: the least of some tries. */
static double clock_ns(void)
{
    double best = 1e9;
    int i, k;

    for (i = 0; i < 20; i++) {
        int64_t then = ipc_clock(), now = then;

        for (k = 0; k < 1000; k++)
            now = ipc_clock();
        best = (double)(now - then) / 1000 < best ? (double)(now - then) / 1000 : best;
    }
    return best;
}

json_t *output_machine(int quick, unsigned seed)
{
    char line[4096], cpu[256] = "unknown", when[32];
    int guest = 0;
    time_t now = time(NULL);
    struct tm utc;
    struct utsname u;
    json_t *about;
    FILE *f = fopen("/proc/cpuinfo", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        (void)sscanf(line, "model name : %255[^\n]", cpu);
        guest |= strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor") != NULL;
    }
    if (f != NULL)
        (void)fclose(f);
    (void)uname(&u);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    about =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:[ii], s:s, s:s, s:f, s:b, s:b, s:I}",
                  "cpu", cpu, "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "arch", u.machine,
                  "kernel", u.release, "compiler", COMPILER, "flags", BENCH_FLAGS, "ck", CK_VERSION,
                  "pinned", core[0], core[1], "commit", BENCH_COMMIT, "date", when, "timer_ns",
                  clock_ns(), "quick", quick, "hypervisor", guest, "seed", (json_int_t)seed);
    bench_check(about != NULL, "description of the machine");
    /* Where there is such a file. */
    (void)json_object_set_new(
        about, "governor",
        line_of("/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", core[0]));
    (void)json_object_set_new(about, "smt", line_of("/sys/devices/system/cpu/smt/control", 0));
    (void)json_object_set_new(
        about, "siblings",
        line_of("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", core[0]));
    return about;
}

static const char *role(const struct bench_case *c)
{
    if (strncmp(c->system, "limit_", 6) == 0)
        return "limit";
    if (strncmp(c->system, "ipc_", 4) == 0 || strncmp(c->system, "chan_", 5) == 0 ||
        strcmp(c->system, "raw_ring") == 0)
        return "ours";
    if (strncmp(c->system, "raw_", 4) == 0 || strcmp(c->system, "pipe") == 0 ||
        strcmp(c->system, "unix_stream") == 0)
        return "kernel";
    return "peer";
}

/* Does a message of it have its own processor time? */
static int has_cpu(const struct bench_case *c)
{
    return is_rate(c) || c->rate > 0 || run_trips(c);
}

static const char *const waits[] = {"spin", "adaptive", "sleep"}; /* of enum bench_wait */
static const double percents[] = {50, 90, 99, 99.9, 99.99};

static json_t *percentiles(const struct histogram *h)
{
    json_t *all = json_object();
    char name[16];
    size_t i;

    for (i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        (void)snprintf(name, sizeof name, "%g", percents[i]);
        json_object_set_new(all, name, json_integer((json_int_t)histogram_at(h, percents[i])));
    }
    json_object_set_new(all, "max", json_integer((json_int_t)h->max));
    json_object_set_new(all, "samples", json_integer((json_int_t)h->total));
    return all;
}

static int by_test(const void *a, const void *b);

json_t *output_json(json_t *about)
{
    json_t *all = json_array(), *root;
    int i, k;

    for (i = 0; i < cases; i++)
        summarise(&results[i]);
    qsort(results, (size_t)cases, sizeof results[0], by_test);
    for (i = 0; i < cases; i++) {
        const struct result *x = &results[i];
        const struct bench_case *c = x->of;
        unsigned producers = c->producers > 0 ? c->producers : 1;
        json_t *values = json_array(), *one;

        for (k = 0; k < x->runs; k++)
            json_array_append_new(values, json_real(x->value[k]));
        one = json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:b, s:s, s:s, s:s, s:f, s:f, s:f, s:i, "
                        "s:o}",
                        "system", c->system, "test", c->test, "shape", c->shape, "bytes",
                        (json_int_t)c->bytes, "producers", (int)producers, "consumers",
                        (int)(run_processes(c) - c->held - producers), "threads", c->threads,
                        "role", role(c), "wait", waits[c->wait], "unit", test_of(c)->unit, "median",
                        x->median, "min", x->min, "max", x->max, "runs", x->runs, "values", values);
        if (c->readers > 0) {
            json_object_set_new(one, "reader", json_real(x->reader));
            json_object_set_new(one, "missed", json_real(x->misses));
        }
        if (has_cpu(c))
            json_object_set_new(one, "cpu_ns", json_real(x->cpu_ns));
        if (c->rate > 0)
            json_object_set_new(one, "rate", json_integer(c->rate));
        if (x->latencies != NULL)
            json_object_set_new(one, "percentiles", percentiles(x->latencies));
        json_array_append_new(all, one);
    }
    root = json_pack("{s:o, s:o}", "machine", about, "results", all);
    bench_check(root != NULL, "results");
    return root;
}

void output_hgrm(const char *folder)
{
    int i;

    for (i = 0; i < cases; i++) {
        const struct bench_case *c = results[i].of;
        char name[4096];
        FILE *f;

        if (results[i].latencies == NULL)
            continue;
        (void)snprintf(name, sizeof name, "%s/%s-%s-%s-%llu.hgrm", folder, c->system, c->test,
                       c->shape, (unsigned long long)c->bytes);
        f = fopen(name, "w");
        if (f == NULL || histogram_write(results[i].latencies, f) != 0 || fclose(f) != 0)
            err(1, "cannot write %s", name);
    }
}

/* ------------------------------------------------------------------ tables */

/* Are the shapes of a test different things to compare? */
static int by_shape(const struct bench_case *c)
{
    return strcmp(c->test, "wake") == 0 || strcmp(c->test, "many") == 0 || c->rate > 0;
}

static int by_test(const void *a, const void *b)
{
    const struct bench_case *x = ((const struct result *)a)->of,
                            *y = ((const struct result *)b)->of;
    int t = test_of(x) - test_of(y) < 0 ? -1 : test_of(x) > test_of(y);

    /* Limits, rings and kernel side by side in one size, mostly whatever their shape. */
    t = t != 0 ? t : (x->bytes > y->bytes) - (x->bytes < y->bytes);
    return t != 0 || !by_shape(x) ? t : strcmp(x->shape, y->shape);
}

/* What part of the machine's limit, or how many times it. */
static double of_limit(const struct result *x)
{
    const struct test *t = test_of(x->of);
    const struct result *limit =
        t->limit == NULL
            ? NULL
            : find(t->limit, t->name, t->limit_shape != NULL ? t->limit_shape : x->of->shape, 0);
    const struct result *copy = find("limit_copy", t->name, "copy", x->of->bytes);

    if (copy != NULL)
        return x->median / copy->median;
    if (limit == NULL)
        return 0;
    /* A message moves its payload and 8 bytes that say it is there. */
    return x->median *
           (strcmp(t->name, "stream") != 0 || x == limit ? 1 : (double)(x->of->bytes + 8) / 64) /
           limit->median;
}

/* Of all runs; the median and its spread are in the JSON. */
static void latency_row(const struct result *x)
{
    size_t i;

    printf("%-15s %-13s %3llu", x->of->system, x->of->shape, (unsigned long long)x->of->bytes);
    for (i = 0; i < sizeof percents / sizeof percents[0]; i++)
        printf(" %9llu", (unsigned long long)histogram_at(x->latencies, percents[i]));
    printf(" %9llu %8.0f\n", (unsigned long long)x->latencies->max, x->cpu_ns);
}

void output_tables(const json_t *about)
{
    const json_t *noise = json_object_get(about, "noise");
    const json_t *line = json_object_get(noise, "one_line_ns");
    const struct test *test = NULL;
    const struct bench_case *last = NULL;
    int i;

    printf("%s, %s, %lld cores; Linux %s; %s %s; a look at the clock %.0f ns\n"
           "one line there and back %.0f ns, from %.0f to %.0f in the rounds%s\n",
           json_string_value(json_object_get(about, "cpu")),
           json_string_value(json_object_get(about, "arch")),
           (long long)json_integer_value(json_object_get(about, "cores")),
           json_string_value(json_object_get(about, "kernel")), COMPILER, BENCH_FLAGS,
           json_real_value(json_object_get(about, "timer_ns")),
           json_real_value(json_object_get(line, "median")),
           json_real_value(json_object_get(line, "min")),
           json_real_value(json_object_get(line, "max")),
           json_is_true(json_object_get(noise, "ok")) ? "" : "; NOT QUIET");
    for (i = 0; i < cases; i++) {
        const struct result *x = &results[i], *other = rival(x->of);
        double limit = of_limit(x);
        int digits;

        if (test != test_of(x->of)) {
            test = test_of(x->of);
            printf("\n%s\n%-20s %*s", test->title, "system", x->of->rate > 0 ? 12 : 9,
                   strcmp(test->name, "wake") == 0 ? "" : "bytes");
            if (x->of->rate > 0)
                printf(" %9s %9s %9s %9s %9s %9s %8s\n", "p50", "p90", "p99", "p99.9", "p99.99",
                       "max", "cpu");
            else
                printf(" %10s %10s %10s %12s %10s %8s\n", "median", "min", "max",
                       x->of->producers > 0 ? "vs peers"
                       : other != NULL      ? "vs kernel"
                                            : "",
                       test->limit != NULL ? "of limit" : "", has_cpu(x->of) ? "cpu" : "");
        } else if (last->bytes != x->of->bytes ||
                   (by_shape(last) && strcmp(last->shape, x->of->shape) != 0)) {
            printf("\n");
        }
        last = x->of;
        if (x->of->rate > 0) {
            latency_row(x);
            continue;
        }
        if (x->of->producers > 0)
            printf("%-12s %-13s %3llu", x->of->system, x->of->shape,
                   (unsigned long long)x->of->bytes);
        else if (strcmp(test->name, "wake") == 0 && strcmp(x->of->shape, "channel") != 0)
            printf("%-20s %9s", x->of->system, x->of->shape);
        else
            printf("%-20s %9llu", x->of->system, (unsigned long long)x->of->bytes);
        digits = is_rate(x->of) && x->median < test->scale ? test->digits + 2 : test->digits;
        printf(" %10.*f %10.*f %10.*f", digits, x->median / test->scale, digits,
               x->min / test->scale, digits, x->max / test->scale);
        if (other != NULL && other->median > 0)
            printf(" %11.*fx", x->of->raw != NULL ? 2 : 1,
                   is_rate(x->of) ? x->median / other->median : other->median / x->median);
        else
            printf(" %12s", "");
        if (limit > 0)
            printf(" %10.2f", limit);
        else
            printf(" %10s", "");
        if (has_cpu(x->of))
            printf(" %8.*f", x->cpu_ns < 100 ? 1 : 0, x->cpu_ns);
        if (x->of->threads)
            printf(" (threads)");
        if (x->of->readers > 0)
            printf(" (each reader %.*f, missed %.2f)", digits, x->reader / test->scale, x->misses);
        printf("\n");
    }
    printf(
        "\nvs kernel: how many times better than the faster of pipe and Unix socket, of a channel "
        "than the mechanism\nbelow. of limit: messages against limit_copy where it is there in "
        "their size, else the lines that they "
        "fill against limit_stream_lines;\nthe round trip against limit_two_lines; the wake "
        "against raw_futex; the post against limit_store_fence.\n"
        "vs peers: of the fastest of those that keep the order of all messages, as ck_ring "
        "does.\n"
        "each reader: what one got of the writer's messages, and the part that it missed; the "
        "mean of all, which\nshare a core. cpu: nanoseconds of processor time of all processes "
        "for each message or round trip.\n"
        "A latency counts from when the message was due, held up or not, and has about one look "
        "at the clock in it; its\ncpu is without the time that the sender waits for what is due. "
        "Percentiles are of all runs together.\n");
}
