#include "histogram.h"
#include <math.h>

void histogram_add(struct histogram *to, const struct histogram *from)
{
    unsigned i;

    for (i = 0; i < HISTOGRAM_COUNTERS; i++)
        to->count[i] += from->count[i];
    to->total += from->total;
    to->max = from->max > to->max ? from->max : to->max;
}

/* The smallest value of a counter. *values: how many values share the counter. */
static uint64_t first_of(unsigned i, uint64_t *values)
{
    unsigned shift = i < 2048 ? 0 : (i >> 10) - 1;

    *values = UINT64_C(1) << shift;
    return (uint64_t)(i - (shift << 10)) << shift;
}

static uint64_t last_of(const struct histogram *h, unsigned i)
{
    uint64_t values, last = first_of(i, &values) + values - 1;

    return last < h->max && i < HISTOGRAM_COUNTERS - 1 ? last : h->max;
}

uint64_t histogram_at(const struct histogram *h, double percent)
{
    /* 99.99 % of 10000 is 9999.0000000000002 */
    uint64_t wanted = (uint64_t)ceil(percent / 100 * (double)h->total - 1e-6), sum = 0;
    unsigned i;

    for (i = 0; i < HISTOGRAM_COUNTERS; i++) {
        sum += h->count[i];
        if (sum > 0 && sum >= wanted)
            return last_of(h, i);
    }
    return 0;
}

/* The value that stands for all values of a counter. */
static double middle_of(unsigned i)
{
    uint64_t values, first = first_of(i, &values);

    return (double)first + (double)(values / 2);
}

uint64_t histogram_typical(const struct histogram *h, double *thrown)
{
    uint64_t middle = histogram_at(h, 50), kept = 0, sum = 0;
    double all = 0, inside = 0;
    unsigned i, from = HISTOGRAM_COUNTERS, to = 0;

    for (i = 0; i < HISTOGRAM_COUNTERS; i++) {
        uint64_t values, first = first_of(i, &values);

        if (h->count[i] == 0)
            continue;
        all += middle_of(i) * (double)h->count[i];
        if (first > 2 * middle || 2 * (first + values - 1) < middle)
            continue;
        inside += middle_of(i) * (double)h->count[i];
        kept += h->count[i];
        from = from < i ? from : i;
        to = i + 1;
    }
    *thrown = all > 0 ? 1 - inside / all : 0;
    for (i = from; i < to; i++) {
        sum += h->count[i];
        if (2 * sum >= kept)
            return last_of(h, i);
    }
    return 0;
}

int histogram_write(const struct histogram *h, FILE *f)
{
    double level = 0, mean = 0, square = 0; /* level: the next percentile to write */
    uint64_t sum = 0;
    unsigned i;

    (void)fprintf(f, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
                  "1/(1-Percentile)");
    for (i = 0; i < HISTOGRAM_COUNTERS && sum < h->total; i++) {
        double reached;

        if (h->count[i] == 0)
            continue;
        sum += h->count[i];
        reached = 100 * (double)sum / (double)h->total;
        /* Five steps to each halving of the rest, as in HdrHistogram. */
        for (; level <= reached && sum < h->total;
             level += 100 / (5 * exp2(floor(log2(100 / (100 - level))) + 1)))
            (void)fprintf(f, "%12.3f %2.12f %10llu %14.2f\n", (double)last_of(h, i) / 1000,
                          level / 100, (unsigned long long)sum, 100 / (100 - level));
        mean += middle_of(i) * (double)h->count[i] / (double)h->total;
    }
    if (h->total > 0)
        (void)fprintf(f, "%12.3f %2.12f %10llu\n", (double)h->max / 1000, 1.0,
                      (unsigned long long)h->total);
    for (i = 0; i < HISTOGRAM_COUNTERS && h->total > 0; i++)
        square +=
            (middle_of(i) - mean) * (middle_of(i) - mean) * (double)h->count[i] / (double)h->total;
    (void)fprintf(f,
                  "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n"
                  "#[Max     = %12.3f, Total count    = %12llu]\n"
                  "#[Buckets = %12d, SubBuckets     = %12d]\n",
                  mean / 1000, sqrt(square) / 1000, (double)h->max / 1000,
                  (unsigned long long)h->total, HISTOGRAM_BITS - 10, 2048);
    return ferror(f) != 0 || fflush(f) != 0 ? -1 : 0;
}
