/* The benchmark's histogram: percentiles of known values, and the file that it writes.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "../bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct histogram h, other;

static int empty(void **state)
{
    (void)state;
    memset(&h, 0, sizeof h);
    memset(&other, 0, sizeof other);
    return 0;
}

static void small_values_are_exact(void **state)
{
    uint64_t i;

    (void)state;
    assert_int_equal(histogram_at(&h, 50), 0);
    for (i = 1; i <= 2000; i++)
        histogram_record(&h, i);
    assert_int_equal(h.total, 2000);
    assert_int_equal(histogram_at(&h, 0), 1);
    assert_int_equal(histogram_at(&h, 50), 1000);
    assert_int_equal(histogram_at(&h, 90), 1800);
    assert_int_equal(histogram_at(&h, 99.9), 1998);
    assert_int_equal(histogram_at(&h, 99.99), 2000);
    assert_int_equal(histogram_at(&h, 100), 2000);
}

/* A value below a much larger one, as the maximum itself would be exact. */
static void large_values_are_right_to_a_thousandth(void **state)
{
    unsigned bit, k;

    for (bit = 0; bit < HISTOGRAM_BITS - 1; bit++)
        for (k = 0; k < 3; k++) {
            uint64_t value = (UINT64_C(1) << bit) + (k == 0 ? 0 : (UINT64_C(1) << bit) / k - 1);
            uint64_t told;

            (void)empty(state);
            histogram_record(&h, value);
            histogram_record(&h, UINT64_MAX);
            told = histogram_at(&h, 50);
            assert_true(told >= value && told - value <= value / 1000);
            assert_int_equal(histogram_at(&h, 100), UINT64_MAX);
        }
}

static void merged_histograms_are_as_one(void **state)
{
    static struct histogram both;
    uint64_t i, value = 1;

    (void)state;
    memset(&both, 0, sizeof both);
    for (i = 0; i < 100000; i++) {
        value = value * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        histogram_record(&both, value >> (28 + i % 36));
        histogram_record(i % 3 == 0 ? &h : &other, value >> (28 + i % 36));
    }
    histogram_record(&other, UINT64_MAX);
    histogram_record(&both, UINT64_MAX);
    histogram_add(&h, &other);
    assert_memory_equal(&h, &both, sizeof h);
}

/* What plotters read: a line of titles, rows whose values and percentiles rise, and comments. */
static void file_is_as_plotters_read_it(void **state)
{
    double value, percentile, inverse, last = -1, last_percentile = -1, first_above_90 = 0, mean,
                                       deviation;
    unsigned long long n = 0, i;
    char *text, *at, line[128];
    size_t size;
    int rows = 0;
    FILE *f = open_memstream(&text, &size);

    (void)state;
    for (i = 1; i <= 100000; i++)
        histogram_record(&h, i * 10);
    assert_int_equal(histogram_write(&h, f), 0);
    assert_int_equal(fclose(f), 0);
    at = text;
    assert_int_equal(sscanf(at, " %127[^\n]", line), 1);
    assert_string_equal(line, "Value     Percentile TotalCount 1/(1-Percentile)");
    at = strchr(at, '\n') + 1;
    assert_int_equal(*at++, '\n');
    for (; *at != '#'; at = strchr(at, '\n') + 1, rows++) {
        int found = sscanf(at, "%lf %lf %llu%127[^\n]", &value, &percentile, &n, line);

        assert_true(found == 4 || (found == 3 && percentile == 1));
        assert_true(value >= last && percentile > last_percentile && percentile <= 1);
        assert_true((double)n / 100000 >= percentile - 1e-9);
        /* The values are 10, 20 ... 1000000 ns, and the file has microseconds. */
        assert_true(value >= (double)n / 100 * 0.999 && value <= (double)n / 100 * 1.001);
        if (found == 4) {
            inverse = strtod(line, NULL);
            assert_true(inverse >= 0.99 / (1 - percentile) - 0.01 &&
                        inverse <= 1.01 / (1 - percentile) + 0.01);
        }
        if (first_above_90 == 0 && percentile >= 0.9)
            first_above_90 = percentile;
        last = value;
        last_percentile = percentile;
    }
    assert_true(rows > 30 && rows < 200);
    assert_true(first_above_90 < 0.92);
    assert_true(last == 1000 && last_percentile == 1 && n == 100000);
    assert_int_equal(sscanf(at, "#[Mean = %lf, StdDeviation = %lf]", &mean, &deviation), 2);
    assert_true(mean > 499.5 && mean < 500.6);
    assert_true(deviation > 288 && deviation < 289.5);
    assert_non_null(strstr(at, "#[Max     =     1000.000, Total count    =       100000]\n"));
    assert_non_null(strstr(at, "SubBuckets     =         2048]\n"));
    free(text);
}

static void empty_histogram_has_a_file(void **state)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    (void)state;
    assert_int_equal(histogram_write(&h, f), 0);
    assert_int_equal(fclose(f), 0);
    assert_non_null(strstr(text, "#[Mean    =        0.000"));
    free(text);
}

/* A typical value: the median of those between half and twice the median. A third of the values are
 * interrupted windows, and a few are those in which a full queue was emptied. */
static void the_typical_value_leaves_out_what_was_interrupted(void **state)
{
    double thrown;
    uint64_t i;

    (void)state;
    assert_int_equal(histogram_typical(&h, &thrown), 0);
    assert_true(thrown == 0);
    for (i = 0; i < 100; i++) {
        histogram_record(&h, 950 + i);
        if (i % 2 == 0)
            histogram_record(&h, 40000 + i);
        if (i % 10 == 0)
            histogram_record(&h, 40);
    }
    assert_int_equal(histogram_typical(&h, &thrown), 999);
    assert_true(thrown > 0.95 && thrown < 0.955);
    histogram_record(&h, 500);
    histogram_record(&h, 2100);
    assert_int_equal(histogram_typical(&h, &thrown), 999);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(small_values_are_exact, empty),
        cmocka_unit_test_setup(large_values_are_right_to_a_thousandth, empty),
        cmocka_unit_test_setup(merged_histograms_are_as_one, empty),
        cmocka_unit_test_setup(file_is_as_plotters_read_it, empty),
        cmocka_unit_test_setup(empty_histogram_has_a_file, empty),
        cmocka_unit_test_setup(the_typical_value_leaves_out_what_was_interrupted, empty),
    };

    if (argc > 1 && *argv[1] != '\0')
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
