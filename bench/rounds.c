#include "rounds.h"
#include "noise.h"
#include "results.h"
#include "run.h"
#include <err.h>
#include <stdlib.h>
#include <unistd.h>

void rounds_demand_quiet(int quiet, int noisy, const char *why)
{
    if (quiet)
        return;
    warnx("%s%s", why, noisy ? "" : ". --noisy reports all the same");
    if (!noisy)
        exit(5);
}

static void show_progress(int round, int rounds, const struct bench_case *c, int done)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%3d %%  round %d of %d  %s %s %llu bytes",
                (round * results_count + done) * 100 / (rounds * results_count), round + 1, rounds,
                c->system, c->test, (unsigned long long)c->bytes);
}

static int remove_failed(void)
{
    int i, failed = 0;

    for (i = 0; i < results_count; i++)
        if (results[i].count == 0) {
            results_remove(i--);
            failed++;
        }
    return failed;
}

/* All results, in a random order. */
static void shuffle(int order[RESULTS])
{
    int i;

    for (i = 0; i < results_count; i++) {
        int j = rand() % (i + 1);

        order[i] = order[j];
        order[j] = i;
    }
}

static void measure_round(int round, int rounds)
{
    int order[RESULTS], i;

    shuffle(order);
    for (i = 0; i < results_count; i++) {
        struct result *x = &results[order[i]];
        struct outcome o;

        show_progress(round, rounds, x->of, i);
        noise_look();
        if (x->count > 0 && run_case(x->of, x->count, &o) == 0)
            results_record(x, &o);
        else
            x->count = 0; /* it is not tried again */
    }
}

int rounds_measure(int rounds, uint64_t length, int noisy)
{
    int64_t began = ipc_clock();
    int round, i, failed;
    char why[512];

    for (i = 0; i < results_count; i++) {
        show_progress(0, rounds, results[i].of, 0);
        results[i].count = run_calibrate(results[i].of, length);
    }
    failed = remove_failed();
    for (round = 0; round < rounds; round++) {
        noise_control();
        measure_round(round, rounds);
        /* A noisy machine is refused now rather than after half an hour. Before ten seconds the
         * kernel's ticks are too coarse for a verdict. */
        if (!noisy && ipc_clock() - began > 10000000000 && noise_end(why, sizeof why) != 0)
            rounds_demand_quiet(0, 0, why);
    }
    failed += remove_failed();
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    return failed;
}
