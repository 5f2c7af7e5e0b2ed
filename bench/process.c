#define _GNU_SOURCE
#include "process.h"
#include <err.h>
#include <sched.h>
#include <time.h>

int64_t bench_cpu(const struct bench_run *r)
{
    struct timespec t;

    (void)clock_gettime(r->of->threads ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void bench_start(struct bench_run *r)
{
    unsigned looks = 0, processes = bench_processes(r->of);

    (void)ck_pr_faa_uint(&r->shared->ready, 1);
    while (ck_pr_load_uint(&r->shared->ready) < processes)
        if (r->of->one_core || processes > 2 || ++looks > 1000000)
            (void)sched_yield();
        else
            ck_pr_stall();
    r->cpu = bench_cpu(r);
}

void bench_fail(const char *what)
{
    errx(3, "check failed: %s", what);
}
