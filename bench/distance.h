/*
 * How near the two cores are to each other. A host may move the cores of a virtual machine, so that
 * they are hyperthreads of one core in one minute and far apart in the next, which changes most
 * figures by a factor of two to ten. So there are two states, and no figure mixes them.
 */
#ifndef BENCH_DISTANCE_H
#define BENCH_DISTANCE_H

#include <jansson.h>

enum distance { DISTANCE_NEAR, DISTANCE_FAR, DISTANCES };

extern const char *const distance_names[DISTANCES]; /* "near", "far" */

/* Measures the round trip of one line. Returns the state. */
enum distance distance_look(void);

/* The round trip of one line in a state, in nanoseconds: the median of all looks; 0: not seen. */
double distance_ns(enum distance state);

/* {"near": {"median", "min", "max", "looks"}, "far": ...} of the states that were seen. The caller
 * owns it. */
json_t *distance_json(void);

#endif
