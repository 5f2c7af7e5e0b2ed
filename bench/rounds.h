/* Measures all cases of the results, interleaved: round after round, each in a random order. */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include <stdint.h>

struct plan {
    int rounds;
    uint64_t length; /* nanoseconds of a run */
    int seconds;     /* no round begins that would end later, but for the first; 0: no limit */
};

/* Measures all cases, and looks before and after each run how near the cores are. Returns how many
 * cases failed; the results of those are removed. */
int rounds_measure(const struct plan *p);

#endif
