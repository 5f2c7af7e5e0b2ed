/*
 * ipc_bench: the speed of rings in shared memory on this machine, beside kernel IPC and beside what
 * the machine allows. This file reads the command line; bench/README.md says what the others do.
 */
#define _GNU_SOURCE
#include "compare.h"
#include "distance.h"
#include "files.h"
#include "machine.h"
#include "noise.h"
#include "results.h"
#include "rounds.h"
#include "run.h"
#include "select.h"
#include "summary.h"
#include "tables.h"
#include <err.h>
#include <getopt.h>
#include <stdlib.h>

struct options {
    const char *only, *json, *hgrm;
    int full, quick, list;
    unsigned seed;
    json_t *before; /* what --compare names first, or NULL */
};

/* How the two sets of cases are measured. */
static const struct plan minute = {.rounds = 9, .length = 50000000, .seconds = 52},
                         all = {.rounds = 15, .length = 120000000},
                         quick = {.rounds = 7, .length = 20000000};

static void usage(FILE *to)
{
    fprintf(
        to,
        "usage: ipc_bench [--full] [--quick] [--only NAMES] [--list] [--json FILE]\n"
        "                 [--hgrm FOLDER] [--seed N] [--compare OLD.json [NEW.json]] [--help]\n"
        "Measures rings in shared memory beside kernel IPC and the machine's limits, for a "
        "minute.\n"
        "  --full          all cases: three quarters of an hour\n"
        "  --quick         fewer and shorter runs: with --full some minutes\n"
        "  --only NAMES    systems, tests and sizes, as in --only ring,pipe,roundtrip,64; or the\n"
        "                  cases whose name system/test/shape/bytes an expression matches\n"
        "  --list          print the names of the cases, run nothing\n"
        "  --json FILE     also write the results to FILE\n"
        "  --hgrm FOLDER   also write the latencies to FOLDER, one file for each case\n"
        "  --seed N        the random number that decides the order of the runs\n"
        "  --compare OLD.json [NEW.json]\n"
        "                  print what changed from OLD to NEW, or to what is measured now\n"
        "  --help          print this\n"
        "Ends with status 3 if some cases gave no result: those are left out.\n");
}

static unsigned seed_of(const char *text)
{
    char *rest;
    unsigned long seed = strtoul(text, &rest, 10);

    if (*text == '\0' || *rest != '\0')
        errx(2, "--seed '%s' is not a number", text);
    return (unsigned)seed;
}

/* Ends the program on --help and on an unknown option. */
static void read_option(int option, struct options *o)
{
    switch (option) {
    case 'f':
        o->full = 1;
        break;
    case 'q':
        o->quick = 1;
        break;
    case 'o':
        o->only = optarg;
        break;
    case 'l':
        o->list = 1;
        break;
    case 'j':
        o->json = optarg;
        break;
    case 'H':
        o->hgrm = optarg;
        break;
    case 's':
        o->seed = seed_of(optarg);
        break;
    case 'c':
        o->before = compare_load(optarg);
        break;
    case 'h':
        usage(stdout);
        exit(0);
    default:
        usage(stderr);
        exit(2);
    }
}

/* Measures the selected cases, prints them, and writes the files. Returns the JSON; *failed: how
 * many cases have no result. */
static json_t *measure(const struct options *o, int *failed)
{
    json_t *machine, *root;

    run_choose_cores();
    if (o->json != NULL)
        files_check(o->json);
    noise_begin();
    machine = machine_json(o->quick, o->seed);
    srand(o->seed);
    *failed = rounds_measure(o->quick ? &quick : o->full ? &all : &minute);
    json_object_set_new(machine, "noise", noise_end());
    json_object_set_new(machine, "one_line_ns", distance_json());
    results_summarise();
    root = files_json(machine);
    if (o->full || o->only != NULL)
        tables_print(machine);
    summary_print(machine);
    if (o->json != NULL &&
        json_dump_file(root, o->json, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0)
        errx(1, "cannot write %s", o->json);
    if (o->hgrm != NULL)
        files_hgrm(o->hgrm);
    return root;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"full", no_argument, NULL, 'f'},       {"quick", no_argument, NULL, 'q'},
        {"only", required_argument, NULL, 'o'}, {"list", no_argument, NULL, 'l'},
        {"json", required_argument, NULL, 'j'}, {"hgrm", required_argument, NULL, 'H'},
        {"seed", required_argument, NULL, 's'}, {"compare", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    struct options o = {.seed = (unsigned)ipc_clock()};
    int option, failed = 0;
    json_t *after;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        read_option(option, &o);
    if (argc - optind > (o.before != NULL)) {
        usage(stderr);
        return 2;
    }
    if (argc > optind) {
        after = compare_load(argv[optind]);
    } else {
        select_cases(o.only, o.full, o.list);
        if (o.list)
            return 0;
        after = measure(&o, &failed);
    }
    if (o.before != NULL)
        compare_print(o.before, after);
    json_decref(o.before);
    json_decref(after);
    return failed > 0 ? 3 : 0;
}
