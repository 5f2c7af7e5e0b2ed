/* Running a case in fresh processes, each pinned to a core. */
#define _GNU_SOURCE
#include "driver.h"
#include <pthread.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/wait.h>

/* Shared by the processes of a run. */
struct start {
    unsigned ready;
    uint64_t ns;
    int64_t cpu[PROCESSES];
    uint64_t taken[PROCESSES][16]; /* the first of each is used; the others keep them apart */
    struct histogram latencies;
};

static struct start *start;

unsigned run_processes(const struct bench_case *c)
{
    return c->producers > 0 ? c->producers + c->consumers + c->held
                            : 1 + (c->readers > 0 ? c->readers : 1);
}

int run_trips(const struct bench_case *c)
{
    return strcmp(c->test, "pingpong") == 0 || strcmp(c->test, "wake") == 0;
}

int64_t bench_cpu(const struct bench_run *r)
{
    struct timespec t;

    (void)clock_gettime(r->of->threads ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void bench_start(struct bench_run *r)
{
    unsigned looks = 0;

    (void)ck_pr_faa_uint(&start->ready, 1);
    while (ck_pr_load_uint(&start->ready) < run_processes(r->of))
        if (r->of->one_core || run_processes(r->of) > 2 || ++looks > 1000000)
            (void)sched_yield();
        else
            ck_pr_stall();
    r->cpu = bench_cpu(r);
}

void bench_fail(const char *what)
{
    errx(3, "wrong %s", what);
}

void run_pin(int to)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(to, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        err(4, "cannot pin to core %d", to);
}

/* The only consumer or producer, or writer of a broadcast, has a core of its own. */
static void pin(const struct bench_run *r)
{
    const struct bench_case *c = r->of;
    unsigned alone = c->consumers == 1 || c->readers > 0 ? 0
                     : c->producers == 1                 ? c->consumers
                                                         : PROCESSES;

    run_pin(core[c->one_core ? 0 : alone < PROCESSES ? r->index != alone : r->index % 2]);
}

/* What a run leaves behind. */
static void clear(struct bench_run *r)
{
    int i;

    if (r->of->clear != NULL)
        r->of->clear(r);
    for (i = 0; i < 4; i++)
        if (r->fd[i] >= 0)
            (void)close(r->fd[i]);
    if (r->sysv_sem >= 0)
        (void)semctl(r->sysv_sem, 0, IPC_RMID);
    if (r->sysv_mq >= 0)
        (void)msgctl(r->sysv_mq, IPC_RMID, NULL);
    ipc_shm_close(&r->seg);
}

static void serve(struct bench_run *r)
{
    r->taken = start->taken[r->index];
    r->latencies = &start->latencies;
    if ((r->of->rate > 0 || r->each > 0) && r->index == 0)
        memset(r->latencies, 0, sizeof *r->latencies); /* no page fault is measured */
    if (r->of->producers > 0 || r->index > 0)
        r->of->serve(r);
    else
        start->ns = r->of->measure(r);
    start->cpu[r->index] = bench_cpu(r) - r->cpu - r->waited;
}

static void *serve_thread(void *arg)
{
    struct bench_run *r = (struct bench_run *)arg;

    pin(r);
    serve(r);
    return NULL;
}

/* What the processes of such a run are, as threads of this one. */
static void serve_threads(struct bench_run *r)
{
    static struct bench_run each[PROCESSES];
    pthread_t thread[PROCESSES];
    unsigned i;

    bench_check(r->of->prepare(r) == 0, "prepare");
    for (i = 0; i < run_processes(r->of); i++) {
        each[i] = *r;
        each[i].index = i;
        bench_check(pthread_create(&thread[i], NULL, serve_thread, &each[i]) == 0, "thread");
    }
    for (i = 0; i < run_processes(r->of); i++)
        (void)pthread_join(thread[i], NULL);
    _exit(0);
}

static void nap(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    (void)nanosleep(&t, NULL);
}

/* Has a process ended that serves until it is killed? */
static int ended(void)
{
    siginfo_t who;

    who.si_pid = 0;
    (void)waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT);
    return who.si_pid != 0;
}

static uint64_t taken_so_far(void)
{
    uint64_t sum = 0;
    int i;

    for (i = 0; i < PROCESSES; i++)
        sum += ck_pr_load_64(start->taken[i]);
    return sum;
}

/* How many messages are taken in `ns`. */
static int watch(const struct bench_case *c, uint64_t ns, uint64_t *taken)
{
    int64_t then;

    while (ck_pr_load_uint(&start->ready) < run_processes(c)) {
        if (ended())
            return -1;
        nap(100000);
    }
    nap(ns / 8); /* to warm up */
    *taken = taken_so_far();
    then = ipc_clock();
    nap(ns);
    *taken = taken_so_far() - *taken;
    *taken = (uint64_t)((double)*taken * (double)ns / (double)(ipc_clock() - then));
    return ended() ? -1 : 0;
}

/* Waits until all have ended, after killing them or if one fails, and adds up what they used. */
static int gather(pid_t *pid, int n, int end, double *cpu)
{
    int left = n, k, status, rc = 0;
    struct rusage u;

    while (left > 0) {
        pid_t who;

        for (k = 0; k < n; k++)
            if (end && pid[k] != 0)
                (void)kill(pid[k], SIGKILL);
        who = wait4(-1, &status, 0, &u);
        for (k = 0; k < n && pid[k] != who; k++)
            ;
        if (k == n) /* a peer's daemon */
            continue;
        pid[k] = 0;
        left--;
        *cpu += 1e9 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                1e3 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
        if (!end && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
            rc = end = -1;
    }
    return rc;
}

static struct start *shared(void)
{
    void *mem =
        mmap(NULL, sizeof *start, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (mem == MAP_FAILED)
        err(1, "mmap");
    return (struct start *)mem;
}

static int no_result(struct bench_run *r, const char *why)
{
    const struct bench_case *c = r->of;

    clear(r);
    warnx("no result of %s/%s/%s/%llu: %s", c->system, c->test, c->shape,
          (unsigned long long)c->bytes, why);
    return -1;
}

int run_case(const struct bench_case *c, uint64_t count, struct outcome *o)
{
    struct bench_run r;
    pid_t pid[PROCESSES], parent = getpid();
    struct sched_param priority;
    int i, n = c->threads ? 1 : (int)run_processes(c), rc;
    double used = 0;

    start = start != NULL ? start : shared();
    memset(start, 0, sizeof *start);
    memset(&r, 0, sizeof r);
    r.of = c;
    r.sysv_sem = r.sysv_mq = -1;
    r.count = count;
    r.warm = count / 16 + 16;
    r.each = run_trips(c) ? count / 4 + 16 : 0;
    for (i = 0; i < 4; i++)
        r.fd[i] = -1;
    rc = ipc_shm_create(&r.seg, NULL, c->memory);
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&r.seg));
    rc = c->prepare != NULL && !c->threads ? c->prepare(&r) : 0;
    if (rc != 0)
        return no_result(&r, strerror(-rc));
    for (i = 0; i < n; i++) {
        pid[i] = fork();
        if (pid[i] < 0)
            err(1, "fork");
        if (pid[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(4);
            /* Under chrt the driver, who is the clock, comes before those who spin. */
            if (sched_getparam(0, &priority) == 0 && priority.sched_priority > 1) {
                priority.sched_priority--;
                (void)sched_setparam(0, &priority);
            }
            r.index = (unsigned)i;
            if (c->threads)
                serve_threads(&r);
            pin(&r);
            serve(&r);
            _exit(0);
        }
    }
    memset(o, 0, sizeof *o);
    rc = c->producers > 0 ? watch(c, count, &o->taken) : 0;
    if (gather(pid, n, c->producers > 0, &used) != 0 || rc != 0)
        return no_result(&r, "a process failed");
    clear(&r);
    o->ns = c->producers > 0 ? count : start->ns > 0 ? start->ns : 1;
    if (c->readers > 0)
        o->taken = taken_so_far();
    for (i = 0; i < PROCESSES; i++)
        o->cpu += (double)start->cpu[i] / (double)(r.warm + r.count + r.each);
    if (c->producers > 0 && taken_so_far() > 0) /* who was killed did not tell */
        o->cpu = used / (double)taken_so_far();
    o->latencies = &start->latencies;
    return 0;
}

uint64_t run_calibrate(const struct bench_case *c, uint64_t ns)
{
    struct outcome o;
    uint64_t count = 256;

    if (strcmp(c->test, "idle") == 0)
        return 8 * ns;
    if (c->producers > 0) /* all of those that share a core have their turns */
        return ns * run_processes(c) / 4;
    if (c->rate > 0) /* rare messages tell about the tail */
        return (uint64_t)((double)c->rate * (double)ns * 2 / 1e9);
    while (run_case(c, count, &o) == 0) {
        if (o.ns >= ns / 16)
            return (uint64_t)((double)count * (double)ns / (double)o.ns) + 1;
        count *= o.ns < ns / 256 ? 8 : 2;
    }
    return 0;
}
