/*
 * Is the machine quiet? There are three witnesses. A loop on each core, which does nothing but read
 * the clock, sees when the core is taken away, by the host or by this system. The kernel counts
 * what the host stole. It also counts what all processes used, from which the benchmark's own part
 * is taken.
 */
#ifndef BENCH_NOISE_H
#define BENCH_NOISE_H

#include <jansson.h>
#include <stddef.h>

/* Begins to watch the two cores. */
void noise_begin(void);

/* The part of the time in which both cores are ours, as far as it was seen. */
double noise_ours(void);

/* Looks again if a second has passed since the last look. Called between runs. */
void noise_look(void);

/* All that was seen, with the verdict: "ok", and if that is false "why", in words. The caller owns
 * it. */
json_t *noise_end(void);

#endif
