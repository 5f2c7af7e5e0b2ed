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

/* Is there time for one more round, after so many that have taken `ns` together? */
static int has_time(const struct plan *p, int rounds, int64_t ns, int64_t began)
{
    if (p->seconds == 0 || rounds < 3)
        return 1;
    return ipc_clock() + ns / rounds < began + p->seconds * INT64_C(1000000000);
}

int rounds_measure(const struct plan *p)
{
    int64_t began = ipc_clock(), then;
    int round, i, failed;

    for (i = 0; i < results_count; i++) {
        show_progress(0, p->rounds, results[i].of, 0);
        results[i].count = run_calibrate(results[i].of, p->length);
    }
    failed = remove_failed();
    then = ipc_clock();
    for (round = 0; round < p->rounds && has_time(p, round, ipc_clock() - then, began); round++) {
        noise_control();
        measure_round(round, p->rounds);
    }
    failed += remove_failed();
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    return failed;
}
