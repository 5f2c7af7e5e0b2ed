#include "rounds.h"
#include "noise.h"
#include "results.h"
#include "run.h"
#include <err.h>
#include <stdlib.h>
#include <unistd.h>

static void show_progress(int round, int rounds, const struct bench_case *c, int done)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%3d %%  round %d of %d  %s %s %llu bytes",
                (round * results_count + done) * 100 / (rounds * results_count), round + 1, rounds,
                c->system, c->test, (unsigned long long)c->bytes);
}

/* Removes the cases that failed, and after the last round those without a usable run. Returns how
 * many failed. */
static int remove_failed(int last)
{
    int i, failed = 0;

    for (i = 0; i < results_count; i++) {
        failed += results[i].amount.count == 0;
        if (results[i].amount.count == 0 || (last && results[i].runs == 0))
            results_remove(i--);
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

/* Runs a case until a run is usable, three times at most. */
static void measure(struct result *x)
{
    struct outcome o;
    int i;

    for (i = 0; i < 3 && x->amount.count > 0; i++) {
        if (run_case(x->of, x->amount, &o) != 0)
            x->amount.count = 0; /* it is not tried again */
        else if (o.is_usable) {
            results_record(x, &o);
            break;
        }
    }
}

static void measure_round(int round, int rounds)
{
    int order[RESULTS], i;

    shuffle(order);
    for (i = 0; i < results_count; i++) {
        struct result *x = &results[order[i]];

        show_progress(round, rounds, x->of, i);
        noise_look();
        measure(x);
    }
}

/* Is there time for one more round, after so many that have taken `ns` together? */
static int has_time(const struct plan *p, int rounds, int64_t ns, int64_t began)
{
    if (p->seconds == 0 || rounds == 0)
        return 1;
    return ipc_clock() + ns / rounds < began + p->seconds * INT64_C(1000000000);
}

int rounds_measure(const struct plan *p)
{
    int64_t began = ipc_clock(), then;
    int round, i, failed;

    for (i = 0; i < results_count; i++) {
        show_progress(0, p->rounds, results[i].of, 0);
        results[i].amount = run_calibrate(results[i].of, p->length);
    }
    failed = remove_failed(0);
    then = ipc_clock();
    for (round = 0; round < p->rounds && has_time(p, round, ipc_clock() - then, began); round++) {
        noise_control();
        measure_round(round, p->rounds);
    }
    failed += remove_failed(1);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    return failed;
}
