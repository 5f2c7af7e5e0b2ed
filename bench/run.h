/* Runs one case in fresh processes, each pinned to a core. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "case.h"

/* The two cores, by the system's numbers. */
extern int run_core[2];

/* How long it takes to read the clock, in nanoseconds: the least of some tries. */
double run_clock_ns(void);

/* Takes the first two cores that this process may use; ends the program if there are fewer. */
void run_choose_cores(void);

/* Pins the calling process or thread to this core. */
void run_pin(int to);

/* What the processes of a run have measured. */
struct outcome {
    uint64_t ns;    /* never 0 */
    uint64_t taken; /* test "many": messages taken in `ns`; a broadcast: messages that all readers
                     * got; test "recover": messages lost; else 0 */
    double cpu;     /* nanoseconds of processor time of all processes for each message */
    const struct histogram *latencies; /* valid until the next run */
    double typical;  /* nanoseconds that the messages take without an interruption; at a fixed rate
                      * the median latency */
    double left_out; /* at a fixed rate the part of the messages that were late because a process
                      * had lost its core; else the part of the time that was interrupted */
    int is_usable;   /* 0: all was interrupted */
};

/* How much a run measures. */
struct amount {
    uint64_t count;  /* timed messages; 0: the case fails */
    uint64_t window; /* messages that are timed together */
};

/* Runs the case. Returns 0; or -1, after a line on stderr that says why there is no result. */
int run_case(const struct bench_case *c, struct amount a, struct outcome *o);

/* How much a run measures that takes `ns` nanoseconds if it is not interrupted. */
struct amount run_calibrate(const struct bench_case *c, uint64_t ns);

#endif
