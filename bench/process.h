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

/* How often this thread has lost its core to another. */
BENCH_EXTERN uint64_t bench_losses(void);

/* Times windows: called before message or round trip i when i is warm, and then when i is what it
 * returned last. Records how long those since its last call took. A window of a stream is left out
 * if a side has just lost its core, as then the other side finds more or less than usual. */
BENCH_EXTERN uint64_t bench_window(struct bench_run *r, uint64_t i);

/* The other sides of a stream call it likewise, from message 0 on. */
BENCH_EXTERN uint64_t bench_pace(struct bench_run *r, uint64_t i);

/* A stream that is tried in several ways: each trial begins, adds the messages that have come, and
 * ends. The windows of the best trial are kept. */
BENCH_EXTERN void bench_trial_begin(struct bench_run *r);
BENCH_EXTERN void bench_trial_add(struct bench_run *r, uint64_t messages);
BENCH_EXTERN void bench_trial_end(struct bench_run *r);

/* Nanoseconds since the timed messages began. */
static inline uint64_t bench_took(const struct bench_run *r)
{
    return (uint64_t)(ipc_clock() - r->began);
}

/* Called before each round trip from number warm + count on, and once after the last. Every call but
 * the first records one, without the reading of the clock that is in it. *before: when it began. */
static inline void bench_each(struct bench_run *r, int64_t *before, int first)
{
    int64_t now = ipc_clock();

    if (!first)
        histogram_record(r->latencies,
                         now - *before > r->clock ? (uint64_t)(now - *before - r->clock) : 1);
    *before = ipc_clock();
}

#endif
