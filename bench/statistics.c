#include "statistics.h"
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    const double *x = (const double *)a, *y = (const double *)b;

    return (*x > *y) - (*x < *y);
}

double statistics_median(double *value, int n)
{
    qsort(value, (size_t)n, sizeof value[0], ascending);
    return (value[(n - 1) / 2] + value[n / 2]) / 2;
}

/* The number of orders of all values that give each u has the generating function of the Gaussian
 * binomial coefficient: the product of (1 - q^(m+i)) / (1 - q^i) for i from 1 to n. */
double statistics_chance(size_t n, size_t m, double u)
{
    static double orders[STATISTICS_VALUES * STATISTICS_VALUES + 1];
    size_t most = n * m, i, k;
    double all = 0, some = 0;

    memset(orders, 0, sizeof orders);
    orders[0] = 1;
    for (i = 1; i <= n; i++) {
        for (k = most; k >= m + i; k--)
            orders[k] -= orders[k - m - i];
        for (k = i; k <= most; k++)
            orders[k] += orders[k - i];
    }
    u = u < (double)most - u ? u : (double)most - u;
    for (k = 0; k <= most; k++) {
        all += orders[k];
        some += (double)k < u + 1 ? orders[k] : 0; /* half pairs count as whole */
    }
    return 2 * some / all;
}
