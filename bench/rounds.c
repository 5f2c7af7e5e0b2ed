#include "rounds.h"
#include "noise.h"
#include "results.h"
#include "run.h"
#include <err.h>
#include <stdlib.h>
#include <unistd.h>

/* The number of cases, each of which has a result for each state. */
static int cases(void)
{
    return results_count / DISTANCES;
}

static void show_progress(int round, int rounds, const struct bench_case *c, int done)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%3d %%  round %d of %d  %s %s %llu bytes",
                (round * cases() + done) * 100 / (rounds * cases()), round + 1, rounds, c->system,
                c->test, (unsigned long long)c->bytes);
}

/* Removes the cases that failed. Returns how many. */
static int remove_failed(void)
{
    int i, k, failed = 0;

    for (i = 0; i < results_count; i += DISTANCES)
        if (results[i].amount.count == 0) {
            for (k = 0; k < DISTANCES; k++)
                results_remove(i);
            i -= DISTANCES;
            failed++;
        }
    return failed;
}

/* All cases, in a random order. */
static void shuffle(int order[RESULTS])
{
    int i;

    for (i = 0; i < cases(); i++) {
        int j = rand() % (i + 1);

        order[i] = order[j];
        order[j] = i;
    }
}

static int64_t end = INT64_MAX; /* when nothing is measured again, and no later round goes on */

/* Runs a case until a run is usable, and the cores were as near after it as before; twice at most.
 * *state: before and after. */
static void measure(struct result *x, int round, enum distance *state)
{
    struct outcome o;
    int i;

    for (i = 0; i < 2 && x->amount.count > 0 && (i == 0 || ipc_clock() < end); i++) {
        enum distance before = *state;

        if (run_case(x->of, x->amount, &o) != 0) {
            x->amount.count = 0; /* it is not tried again */
            return;
        }
        *state = distance_look();
        if (*state == before && o.is_usable) {
            x[*state].amount = x->amount;
            results_record(&x[*state], round, &o);
            return;
        }
    }
}

static void measure_round(int round, int rounds)
{
    enum distance state = distance_look();
    int order[RESULTS], i;

    shuffle(order);
    for (i = 0; i < cases() && (round == 0 || ipc_clock() < end); i++) {
        struct result *x = &results[DISTANCES * order[i]];

        show_progress(round, rounds, x->of, i);
        noise_look();
        measure(x, round, &state);
    }
}

/* Is there time for one more round, after so many that have taken `ns` together? */
static int has_time(const struct plan *p, int rounds, int64_t ns)
{
    if (p->seconds == 0 || rounds == 0)
        return 1;
    return ipc_clock() + ns / rounds < end;
}

int rounds_measure(const struct plan *p)
{
    int64_t began = ipc_clock(), then;
    /* On a busy machine a run measures less, so that it does not take more than a few times as
     * long. */
    double part = noise_ours() < 0.3 ? noise_ours() / 0.3 : 1;
    int round, i, failed;

    if (p->seconds > 0)
        end = began + p->seconds * INT64_C(1000000000);
    for (i = 0; i < results_count; i += DISTANCES) {
        show_progress(0, p->rounds, results[i].of, 0);
        results[i].amount = run_calibrate(results[i].of, (uint64_t)(part * (double)p->length));
    }
    failed = remove_failed();
    then = ipc_clock();
    for (round = 0; round < p->rounds && has_time(p, round, ipc_clock() - then); round++)
        measure_round(round, p->rounds);
    failed += remove_failed();
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    return failed;
}
