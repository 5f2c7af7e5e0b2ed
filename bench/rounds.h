/* Measures all cases of the results, interleaved: round after round, each in a random order. */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include <stdint.h>

/* Ends the program with status 5 if `quiet` is 0 and `noisy` is 0, after a line that says `why`. */
void rounds_demand_quiet(int quiet, int noisy, const char *why);

/* length: nanoseconds of a run. noisy: go on when the machine is not quiet. Returns how many cases
 * failed; the results of those are removed. */
int rounds_measure(int rounds, uint64_t length, int noisy);

#endif
