/*
 * A histogram of nanoseconds with three significant digits, from 1 ns to 68 s, after Gil Tene's
 * HdrHistogram (http://hdrhistogram.org). It is exact below 2048. Above that it has 1024 counters
 * for each power of two, so no reported value is off by more than a thousandth. It is written here
 * because no package has it for C. It has no pointers, so a measured process can fill it in shared
 * memory.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BITS 36 /* of the largest value */
#define HISTOGRAM_COUNTERS ((HISTOGRAM_BITS - 9) * 1024)

struct histogram {
    uint64_t total;
    uint64_t max; /* exact, also above the range of the counters */
    uint64_t count[HISTOGRAM_COUNTERS];
};

/* How many low bits of this value the counters ignore. */
static inline unsigned histogram_shift(uint64_t value)
{
    return 53u - (unsigned)__builtin_clzll(value | 1024);
}

static inline void histogram_record(struct histogram *h, uint64_t value)
{
    uint64_t v = value >> HISTOGRAM_BITS == 0 ? value : (UINT64_C(1) << HISTOGRAM_BITS) - 1;
    unsigned shift = histogram_shift(v);

    h->count[(shift << 10) + (v >> shift)]++;
    h->total++;
    if (value > h->max)
        h->max = value;
}

void histogram_add(struct histogram *to, const struct histogram *from);

/* The percentile: the smallest counted value that `percent` of all values do not exceed. Of the
 * values that share its counter this is the largest one, but at most the maximum. 0 if the
 * histogram is empty. */
uint64_t histogram_at(const struct histogram *h, double percent);

/* The median of the values between half and twice the median of all: what a window takes that was
 * not interrupted. *thrown: the part of the sum that the other values make. */
uint64_t histogram_typical(const struct histogram *h, double *thrown);

/* Writes the distribution in the .hgrm format, in microseconds, which HdrHistogram's plotters read.
 * Returns 0, or -1 with errno. */
int histogram_write(const struct histogram *h, FILE *f);

#endif
