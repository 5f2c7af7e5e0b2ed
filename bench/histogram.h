/*
 * A histogram of nanoseconds with three significant digits, from 1 ns to 68 s, after Gil Tene's
 * HdrHistogram (http://hdrhistogram.org): exact below 2048, above that 1024 counters for each power
 * of two, so that no value is told wrong by more than a thousandth. It is here as no package has
 * it for C; it has no pointers, so that a measured process fills it in memory that it shares.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BITS 36 /* of the largest value */
#define HISTOGRAM_COUNTERS ((HISTOGRAM_BITS - 9) * 1024)

struct histogram {
    uint64_t total;
    uint64_t max; /* exact, also above what the counters tell apart */
    uint64_t count[HISTOGRAM_COUNTERS];
};

/* How many low bits of such a value are not told apart. */
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

/* The value that `percent` of all are at most: the largest of those that its counter does not tell
 * apart, at most the maximum. 0 of an empty histogram. */
uint64_t histogram_at(const struct histogram *h, double percent);

/* The distribution in the .hgrm format, in microseconds, as HdrHistogram's plotters read it.
 * Returns 0, or -1 with errno. */
int histogram_write(const struct histogram *h, FILE *f);

#endif
