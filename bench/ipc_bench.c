/*
 * ipc_bench - what rings in shared memory give on this machine, beside kernel IPC and beside what
 * the machine allows. All cases run interleaved, in random order within each round, each time in
 * fresh processes on two cores; every figure is a median with its spread.
 */
#define _GNU_SOURCE
#include "driver.h"
#include <getopt.h>
#include <regex.h>
#include <sched.h>

struct result results[CASES];
int cases, core[2];
static int failed; /* cases without a result were left out */

/* ------------------------------------------------------------------ main */

static void select_cases(const char *only, int list)
{
    const struct bench_case *groups[] = {bench_limits,       bench_rings,   bench_shapes,
                                         bench_blocks,       bench_records, bench_jack,
                                         bench_call,         bench_zmq,     bench_nng,
                                         bench_many,         bench_rte,     bench_boost,
                                         bench_moodycamel,   bench_tbb,     bench_urcu,
                                         bench_readerwriter, bench_kernel,  bench_channel,
                                         bench_wake,         bench_sizes,   bench_iceoryx,
                                         bench_latency},
                            *c;
    regex_t pattern;
    char name[128];
    size_t g;

    if (regcomp(&pattern, only, REG_EXTENDED | REG_NOSUB) != 0)
        errx(2, "--only '%s' is not an extended regular expression", only);
    for (g = 0; g < sizeof groups / sizeof groups[0]; g++)
        for (c = groups[g]; c != NULL && c->system != NULL; c++) {
            (void)snprintf(name, sizeof name, "%s/%s/%s/%llu", c->system, c->test, c->shape,
                           (unsigned long long)c->bytes);
            if (regexec(&pattern, name, 0, NULL, 0) != 0)
                continue;
            if (list)
                puts(name);
            bench_check(cases < CASES, "number of cases");
            results[cases++].of = c;
        }
    regfree(&pattern);
    if (cases == 0)
        errx(2, "--only '%s' matches nothing: see --list", only);
}

static void choose_cores(void)
{
    cpu_set_t set;
    int i, n = 0;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        err(1, "sched_getaffinity");
    for (i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET(i, &set))
            core[n++] = i;
    if (n < 2)
        errx(1,
             "needs two cores, this process may use one: see taskset -p, or docker --cpuset-cpus");
}

static void progress(int round, int rounds, const struct bench_case *c, int done)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%3d %%  round %d of %d  %s %s %llu bytes",
                (round * cases + done) * 100 / (rounds * cases), round + 1, rounds, c->system,
                c->test, (unsigned long long)c->bytes);
}

/* What a run showed, in the unit of its test. */
static void note(struct result *x, const struct outcome *o)
{
    double ns = (double)o->ns, count = (double)x->count;

    if (x->of->readers > 0) {
        double got = (double)o->taken / x->of->readers;

        x->got[x->runs] = got * 1e9 / ns;
        x->missed[x->runs] = 1 - got / count;
    }
    if (x->of->rate > 0 || run_trips(x->of)) {
        if (x->latencies == NULL && (x->latencies = calloc(1, sizeof *x->latencies)) == NULL)
            err(1, "calloc");
        histogram_add(x->latencies, o->latencies);
    }
    x->cpu[x->runs] = o->cpu;
    x->value[x->runs++] = x->of->producers > 0 ? (double)o->taken * 1e9 / ns
                          : x->of->rate > 0    ? (double)histogram_at(o->latencies, 50)
                          : is_rate(x->of)     ? count * 1e9 / ns
                          : strcmp(x->of->test, "idle") == 0 ? 100 * ns / count
                                                             : ns / count;
}

/* Ends the program when the machine is not quiet, unless that is wanted. */
static void demand(int quiet, int noisy, const char *why)
{
    if (quiet)
        return;
    warnx("%s%s", why, noisy ? "" : ". --noisy reports all the same");
    if (!noisy)
        exit(5);
}

/* Of a case that failed the others do not suffer: a peer that does not work here. */
static void leave_out(int i)
{
    memmove(&results[i], &results[i + 1], (size_t)(--cases - i) * sizeof results[0]);
    failed = 1;
}

/* The cases in a random order, round after round. */
static void measure(int rounds, uint64_t length, int noisy)
{
    int order[CASES], round, i;
    int64_t began = ipc_clock();
    char why[512];

    for (i = 0; i < cases; i++) {
        progress(0, rounds, results[i].of, 0);
        results[i].count = run_calibrate(results[i].of, length);
        if (results[i].count == 0)
            leave_out(i--);
    }
    for (round = 0; round < rounds; round++) {
        noise_control();
        for (i = 0; i < cases; i++) {
            int j = rand() % (i + 1);

            order[i] = order[j];
            order[j] = i;
        }
        for (i = 0; i < cases; i++) {
            struct result *x = &results[order[i]];
            struct outcome o;

            progress(round, rounds, x->of, i);
            noise_look();
            if (x->count > 0 && run_case(x->of, x->count, &o) == 0)
                note(x, &o);
            else
                x->count = 0; /* not again */
        }
        /* Not half an hour for nothing; the kernel's ticks are too coarse for less. */
        if (!noisy && ipc_clock() - began > 10000000000 && noise_end(why, sizeof why) != 0)
            demand(0, 0, why);
    }
    for (i = 0; i < cases; i++)
        if (results[i].count == 0)
            leave_out(i--);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

/* Half an hour before there is something to write. */
static void check_json(const char *file)
{
    FILE *f = fopen(file, "a");

    if (f == NULL || fclose(f) != 0)
        errx(1, "cannot write %s: is its folder there, and writable?", file);
}

static void usage(FILE *to)
{
    fprintf(to,
            "usage: ipc_bench [--quick] [--only REGEX] [--list] [--json FILE] [--hgrm FOLDER]\n"
            "                 [--seed N] [--noisy] [--compare OLD.json [NEW.json]] [--help]\n"
            "Measures rings in shared memory beside kernel IPC and the machine's limits.\n"
            "  --quick         fewer and shorter runs: a quarter of the time\n"
            "  --only REGEX    the cases whose name system/test/shape/bytes matches\n"
            "  --list          print the names of the cases, run nothing\n"
            "  --json FILE     write the results there, too\n"
            "  --hgrm FOLDER   write the latencies there, a file for each case\n"
            "  --seed N        of the order of the runs\n"
            "  --noisy         report also when others used the cores meanwhile\n"
            "  --compare OLD.json [NEW.json]\n"
            "                  what changed from OLD to NEW, or to what is measured now\n"
            "Ends with 5, without figures, when the machine was not quiet; with 3 when cases gave\n"
            "no result, which are left out.\n");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'},      {"only", required_argument, NULL, 'o'},
        {"list", no_argument, NULL, 'l'},       {"json", required_argument, NULL, 'j'},
        {"hgrm", required_argument, NULL, 'H'}, {"seed", required_argument, NULL, 's'},
        {"noisy", no_argument, NULL, 'n'},      {"compare", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    const char *only = "", *json = NULL, *hgrm = NULL;
    int option, quick = 0, list = 0, noisy = 0;
    unsigned seed = (unsigned)ipc_clock();
    json_t *before = NULL, *after, *about;
    char why[512], *rest;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'q':
            quick = 1;
            break;
        case 'o':
            only = optarg;
            break;
        case 'l':
            list = 1;
            break;
        case 'j':
            json = optarg;
            break;
        case 'H':
            hgrm = optarg;
            break;
        case 's':
            seed = (unsigned)strtoul(optarg, &rest, 10);
            if (*optarg == '\0' || *rest != '\0')
                errx(2, "--seed '%s' is no number", optarg);
            break;
        case 'n':
            noisy = 1;
            break;
        case 'c':
            before = compare_load(optarg);
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    if (argc - optind > (before != NULL)) {
        usage(stderr);
        return 2;
    }
    if (argc > optind) {
        after = compare_load(argv[optind]);
    } else {
        select_cases(only, list);
        if (list)
            return 0;
        choose_cores();
        if (json != NULL)
            check_json(json);
        demand(noise_begin(why, sizeof why) == 0, noisy, why);
        about = output_machine(quick, seed);
        srand(seed);
        measure(quick ? 7 : 15, quick ? 60000000 : 120000000, noisy);
        demand(noise_end(why, sizeof why) == 0, noisy, why);
        json_object_set_new(about, "noise", noise_json());
        after = output_json(about);
        output_tables(about);
        if (json != NULL &&
            json_dump_file(after, json, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0)
            errx(1, "cannot write %s", json);
        if (hgrm != NULL)
            output_hgrm(hgrm);
    }
    if (before != NULL)
        compare(before, after);
    json_decref(before);
    json_decref(after);
    return failed ? 3 : 0;
}
