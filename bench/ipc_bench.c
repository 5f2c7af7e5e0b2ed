/*
 * ipc_bench: the speed of rings in shared memory on this machine, beside kernel IPC and beside what
 * the machine allows. This file reads the command line; bench/README.md says what the others do.
 */
#define _GNU_SOURCE
#include "compare.h"
#include "files.h"
#include "groups.h"
#include "machine.h"
#include "noise.h"
#include "results.h"
#include "rounds.h"
#include "run.h"
#include "tables.h"
#include <err.h>
#include <getopt.h>
#include <regex.h>
#include <stdlib.h>

struct options {
    const char *only, *json, *hgrm;
    int quick, list, noisy;
    unsigned seed;
    json_t *before; /* what --compare names first, or NULL */
};

/* Adds the cases whose names match, and prints these names if they are to be listed. */
static void select_cases(const char *only, int list)
{
    const struct bench_case *c;
    regex_t pattern;
    char name[128];
    size_t g;

    if (regcomp(&pattern, only, REG_EXTENDED | REG_NOSUB) != 0)
        errx(2, "--only '%s' is not an extended regular expression", only);
    for (g = 0; (c = group_cases(g)) != NULL; g++)
        for (; c->system != NULL; c++) {
            group_case_name(c, name, sizeof name);
            if (regexec(&pattern, name, 0, NULL, 0) != 0)
                continue;
            if (list)
                puts(name);
            results_add(c);
        }
    regfree(&pattern);
    if (results_count == 0)
        errx(2, "--only '%s' matches nothing: see --list", only);
}

static void usage(FILE *to)
{
    fprintf(
        to,
        "usage: ipc_bench [--quick] [--only REGEX] [--list] [--json FILE] [--hgrm FOLDER]\n"
        "                 [--seed N] [--noisy] [--compare OLD.json [NEW.json]] [--help]\n"
        "Measures rings in shared memory beside kernel IPC and the machine's limits.\n"
        "  --quick         fewer and shorter runs: a quarter of the time\n"
        "  --only REGEX    the cases whose name system/test/shape/bytes matches\n"
        "  --list          print the names of the cases, run nothing\n"
        "  --json FILE     also write the results to FILE\n"
        "  --hgrm FOLDER   also write the latencies to FOLDER, one file for each case\n"
        "  --seed N        the random number that decides the order of the runs\n"
        "  --noisy         report the figures even if the machine was not quiet\n"
        "  --compare OLD.json [NEW.json]\n"
        "                  print what changed from OLD to NEW, or to what is measured now\n"
        "Ends with status 5 and without figures if the machine was not quiet, and with status 3\n"
        "if some cases gave no result: those are left out.\n");
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
    case 'n':
        o->noisy = 1;
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
    json_t *machine, *all;
    char why[512];

    run_choose_cores();
    if (o->json != NULL)
        files_check(o->json);
    rounds_demand_quiet(noise_begin(why, sizeof why) == 0, o->noisy, why);
    machine = machine_json(o->quick, o->seed);
    srand(o->seed);
    *failed = rounds_measure(o->quick ? 7 : 15, o->quick ? 60000000 : 120000000, o->noisy);
    rounds_demand_quiet(noise_end(why, sizeof why) == 0, o->noisy, why);
    json_object_set_new(machine, "noise", noise_json());
    results_summarise();
    all = files_json(machine);
    tables_print(machine);
    if (o->json != NULL &&
        json_dump_file(all, o->json, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0)
        errx(1, "cannot write %s", o->json);
    if (o->hgrm != NULL)
        files_hgrm(o->hgrm);
    return all;
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
    struct options o = {.only = "", .seed = (unsigned)ipc_clock()};
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
        select_cases(o.only, o.list);
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
