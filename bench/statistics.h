/* What the benchmark computes from the values of several runs. */
#ifndef BENCH_STATISTICS_H
#define BENCH_STATISTICS_H

#include <stddef.h>

enum { STATISTICS_VALUES = 64 }; /* of one case, at most: one for each round */

/* The median. Sorts the values. */
double statistics_median(double *value, int n);

/* Mann-Whitney's test, exact and two-sided. Two samples of n and m values form n * m pairs; u
 * counts the pairs in which the value of the first sample is larger, and ties as halves. Returns
 * how likely such a u, or one that is farther from the middle, is if both samples have the same
 * distribution. n and m: at most STATISTICS_VALUES. */
double statistics_chance(size_t n, size_t m, double u);

#endif
