#define _GNU_SOURCE
#include "process.h"
#include <err.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

int64_t bench_cpu(const struct bench_run *r)
{
    struct timespec t;

    (void)clock_gettime(r->of->threads ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static const int *is_cut; /* of this process's run */

void bench_start(struct bench_run *r)
{
    unsigned looks = 0, processes = bench_processes(r->of);

    is_cut = &r->shared->is_cut;
    (void)ck_pr_faa_uint(&r->shared->ready, 1);
    while (ck_pr_load_uint(&r->shared->ready) < processes)
        if (r->of->one_core || processes > 2 || ++looks > 1000)
            (void)sched_yield();
        else
            ck_pr_stall();
    r->cpu = bench_cpu(r);
}

uint64_t bench_losses(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_THREAD, &u);
    return (uint64_t)u.ru_nivcsw;
}

#define SETTLE 300000 /* nanoseconds in which a queue becomes as full as it usually is */

/* Has a process of the run just lost its core? */
static int has_lost(struct bench_run *r, int64_t now)
{
    uint64_t lost = bench_losses();
    unsigned i;

    for (i = 0; i < BENCH_PROCESSES; i++)
        lost += ck_pr_load_64(&r->shared->lost[i][0]);
    if (lost != r->lost)
        r->settled = now + SETTLE;
    r->lost = lost;
    return r->since < r->settled;
}

/* Ends a window, and begins the next. */
static void end_window(struct bench_run *r, struct histogram *h, uint64_t messages)
{
    int64_t now = ipc_clock();

    if (bench_is_rate(r->of) && has_lost(r, now))
        r->shared->left_out += (uint64_t)(now - r->since);
    else
        histogram_record(h, (uint64_t)(now - r->since) * r->window / messages);
    r->since = ipc_clock();
    if (r->since > r->until) { /* on a busy machine; the windows up to now count */
        r->shared->ns = bench_took(r);
        r->shared->is_cut = 1;
        _exit(0);
    }
}

uint64_t bench_window(struct bench_run *r, uint64_t i)
{
    if (i == r->warm)
        r->began = r->since = ipc_clock();
    else
        end_window(r, &r->shared->windows, r->window);
    return i + r->window;
}

uint64_t bench_pace(struct bench_run *r, uint64_t i)
{
    ck_pr_store_64(&r->shared->lost[r->index][0], bench_losses());
    return i + r->window;
}

static struct histogram trial;

void bench_trial_begin(struct bench_run *r)
{
    memset(&trial, 0, sizeof trial);
    r->messages = 0;
    r->since = ipc_clock();
}

void bench_trial_add(struct bench_run *r, uint64_t messages)
{
    r->messages += messages;
    if (r->messages < r->window)
        return;
    end_window(r, &trial, r->messages);
    r->messages = 0;
}

void bench_trial_end(struct bench_run *r)
{
    struct histogram *best = &r->shared->windows;
    double ignored;

    if (trial.total >= 4 && (best->total == 0 || histogram_typical(&trial, &ignored) <
                                                     histogram_typical(best, &ignored)))
        memcpy(best, &trial, sizeof trial);
}

/* Where a run is ended early, one process goes before the others, which find it gone. */
void bench_fail(const char *what)
{
    if (is_cut != NULL && ck_pr_load_int(is_cut))
        _exit(0);
    errx(3, "check failed: %s", what);
}
