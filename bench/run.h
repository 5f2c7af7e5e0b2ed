/* Runs one case in fresh processes, each pinned to a core. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "case.h"

/* The two cores, by the system's numbers. */
extern int run_core[2];

/* Takes the first two cores that this process may use; ends the program if there are fewer. */
void run_choose_cores(void);

/* Pins the calling process or thread to this core. */
void run_pin(int to);

/* What the processes of a run have measured. */
struct outcome {
    uint64_t ns;    /* never 0 */
    uint64_t taken; /* test "many": messages taken in `ns`; a broadcast: messages that all readers
                     * got; else 0 */
    double cpu;     /* nanoseconds of processor time of all processes for each message */
    const struct histogram *latencies; /* valid until the next run */
};

/* Runs the case with so many timed messages. Returns 0; or -1, after a line on stderr that says why
 * there is no result. */
int run_case(const struct bench_case *c, uint64_t count, struct outcome *o);

/* How many messages a run of `ns` nanoseconds takes; 0 if the case fails. */
uint64_t run_calibrate(const struct bench_case *c, uint64_t ns);

#endif
