/* What a measured process calls: it starts together with the others, stops on a wrong figure, and
 * times single round trips. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include "case.h"

/* Every process of a run calls it when it is ready. Returns when all others have called it, too. */
BENCH_EXTERN void bench_start(struct bench_run *r);

/* Nanoseconds of processor time: of this thread if the case has threads, else of this process. */
BENCH_EXTERN int64_t bench_cpu(const struct bench_run *r);

/* Ends the process with status 3: `what` did not hold, so the figures would be worthless. */
BENCH_EXTERN void bench_fail(const char *what) __attribute__((noreturn, cold));

static inline void bench_check(int ok, const char *what)
{
    if (__builtin_expect(!ok, 0))
        bench_fail(what);
}

/* Called before each round trip from number warm + count on, and once after the last. The first
 * call stops the clock of the round trips that are timed together: *begin, when they began, becomes
 * how long they took. Every further call records one round trip, which has one reading of the clock
 * in it. *before: when the round trip began. */
static inline void bench_each(struct bench_run *r, int64_t *begin, int64_t *before, int first)
{
    int64_t now = ipc_clock();

    if (first)
        *begin = now - *begin;
    else
        histogram_record(r->latencies, (uint64_t)(now - *before));
    *before = now;
}

#endif
