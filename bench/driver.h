/* What the parts of the driver have in common: ipc_bench.c chooses the cases and their order, run.c
 * runs them, noise.c looks whether the machine is quiet, output.c tells, compare.c compares. */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include "bench.h"
#include "histogram.h"
#include <err.h>
#include <jansson.h>

enum { CASES = 1024, RUNS = 64, PROCESSES = 16 };

struct result {
    const struct bench_case *of;
    uint64_t count;      /* messages for a run of the wanted length */
    double value[RUNS];  /* msg/s or ns; of a fixed rate the run's median */
    double cpu[RUNS];    /* processor time for each message */
    double got[RUNS];    /* of a broadcast: msg/s that one reader got, the mean of all */
    double missed[RUNS]; /* and the part of those sent that it did not get */
    int runs;
    double median, min, max, cpu_ns, reader, misses;
    struct histogram *latencies; /* of all runs, where each is timed; or NULL */
};

extern struct result results[CASES];
extern int cases, core[2];

/* ------------------------------------------------------------------ run.c */

/* What fresh processes did. */
struct outcome {
    uint64_t ns; /* never 0 */
    uint64_t
        taken;  /* messages: of a test "many" those taken in ns, of a broadcast by all readers */
    double cpu; /* nanoseconds of all processes for each message */
    const struct histogram *latencies; /* valid until the next run */
};

unsigned run_processes(const struct bench_case *c);

/* Is it about round trips, some of which are timed each by itself? */
int run_trips(const struct bench_case *c);
void run_pin(int to);
/* 0; or -1, and says why. */
int run_case(const struct bench_case *c, uint64_t count, struct outcome *o);

/* How many messages last `ns`; 0: none came. */
uint64_t run_calibrate(const struct bench_case *c, uint64_t ns);

/* ------------------------------------------------------------------ noise.c */

/* From the first call on watches what the two cores do besides. Returns 0 when it is quiet; else
 * `why` says what there was and what helps. */
int noise_begin(char *why, size_t size);

/* Between runs: looks again, if a second has passed. */
void noise_look(void);

/* Once for each round: how long a round trip of one line takes shows how near the cores are. */
void noise_control(void);

/* At the end: as noise_begin. */
int noise_end(char *why, size_t size);
json_t *noise_json(void);

/* ------------------------------------------------------------------ output.c */

int is_rate(const struct bench_case *c);
double median(double *value, int n);
json_t *output_machine(int quick, unsigned seed);

/* The results, in the order of the tables, and the machine, which they take. */
json_t *output_json(json_t *machine);
void output_tables(const json_t *machine);

/* A file for each case of a fixed rate. */
void output_hgrm(const char *folder);

/* ------------------------------------------------------------------ compare.c */

/* Ends the program with status 2 when it is not one. */
json_t *compare_load(const char *file);
void compare(const json_t *before, const json_t *after);

#endif
