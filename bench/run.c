#define _GNU_SOURCE
#include "run.h"
#include "process.h"
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/wait.h>

int run_core[2];

/* Nanoseconds of a window: of a stream, and of round trips. */
#define WINDOW 100000.0
#define TRIP_WINDOW 2000.0

#define LONGEST 500000000 /* nanoseconds of a run that is interrupted all the time */

/* For a usable run, without an interruption: windows, and nanoseconds of a stream, as what a full
 * queue holds is taken out in no time; and of latencies, the part that was interrupted. */
#define MOST_LEFT_OUT 0.95
enum { LEAST = 10, LEAST_NS = 500000 };

enum { KILLS = 4, ATTACHES = 1000 }; /* of a run of test "recover", of "attach" at most */

static struct bench_shared *shared; /* of the run that runs; run_case makes it */

double run_clock_ns(void)
{
    static double best = 1e9;
    static int i;

    for (; i < 20; i++) {
        int64_t then = ipc_clock(), now = then;
        int k;

        for (k = 0; k < 1000; k++)
            now = ipc_clock();
        best = (double)(now - then) / 1000 < best ? (double)(now - then) / 1000 : best;
    }
    return best;
}

void run_choose_cores(void)
{
    cpu_set_t set;
    int i, n = 0;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        err(1, "sched_getaffinity");
    for (i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET(i, &set))
            run_core[n++] = i;
    if (n < 2)
        errx(1, "needs two cores, but this process may use only one: see taskset -p, or docker "
                "--cpuset-cpus");
}

void run_pin(int to)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(to, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        err(4, "cannot pin to core %d", to);
}

/* Which process has the first core or, in a case of "many", a core of its own. BENCH_PROCESSES:
 * none, they take turns. */
static unsigned process_alone(const struct bench_case *c)
{
    if (c->consumers == 1 || c->producers == 0)
        return 0;
    return c->producers == 1 ? c->consumers : BENCH_PROCESSES;
}

/* An only consumer, an only producer and the writer of a broadcast have a core of their own. */
static void pin(const struct bench_run *r)
{
    unsigned alone = process_alone(r->of);

    if (r->of->one_core)
        run_pin(run_core[0]);
    else if (alone < BENCH_PROCESSES)
        run_pin(run_core[r->index != alone]);
    else
        run_pin(run_core[r->index % 2]);
}

/* Removes what a run leaves behind. */
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

/* What each process of a run does. */
static void serve(struct bench_run *r)
{
    r->taken = shared->taken[r->index];
    r->latencies = &shared->latencies;
    if (r->index == 0) { /* so that no page fault is measured */
        memset(&shared->latencies, 0, sizeof shared->latencies);
        memset(&shared->windows, 0, sizeof shared->windows);
    }
    if (r->of->producers > 0 || r->index > 0)
        r->of->serve(r);
    else
        shared->ns = r->of->measure(r);
    shared->cpu[r->index] = bench_cpu(r) - r->cpu - r->waited;
}

static void *serve_thread(void *arg)
{
    struct bench_run *r = (struct bench_run *)arg;

    pin(r);
    serve(r);
    return NULL;
}

/* Runs the case's threads in this process, where other cases have processes. */
static void serve_threads(struct bench_run *r)
{
    static struct bench_run each[BENCH_PROCESSES];
    pthread_t thread[BENCH_PROCESSES];
    unsigned i;

    bench_check(r->of->prepare(r) == 0, "prepare");
    for (i = 0; i < bench_processes(r->of); i++) {
        each[i] = *r;
        each[i].index = i;
        bench_check(pthread_create(&thread[i], NULL, serve_thread, &each[i]) == 0, "thread");
    }
    for (i = 0; i < bench_processes(r->of); i++)
        (void)pthread_join(thread[i], NULL);
}

static void nap(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    (void)nanosleep(&t, NULL);
}

/* Has a process ended that should serve until it is killed? */
static int has_ended(void)
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

    for (i = 0; i < BENCH_PROCESSES; i++)
        sum += ck_pr_load_64(shared->taken[i]);
    return sum;
}

/* Test "many": counts the messages that are taken in `ns`, after a time to warm up. Returns 0, or
 * -1 if a process has ended. */
static int watch(const struct bench_case *c, uint64_t ns, uint64_t *taken)
{
    int64_t then;

    while (ck_pr_load_uint(&shared->ready) < bench_processes(c)) {
        if (has_ended())
            return -1;
        nap(100000);
    }
    nap(ns / 8);
    *taken = taken_so_far();
    then = ipc_clock();
    nap(ns);
    *taken = taken_so_far() - *taken;
    *taken = (uint64_t)((double)*taken * (double)ns / (double)(ipc_clock() - then));
    return has_ended() ? -1 : 0;
}

/* Waits until all processes have ended, and adds their processor time to *cpu. Kills them first if
 * `end` is set, and the others if one fails or has measured long enough. Returns 0, or -1 if one
 * failed. */
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
        else if (k == 0 && shared->is_cut)
            end = 1;
    }
    return rc;
}

static struct bench_shared *make_shared(void)
{
    void *mem =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (mem == MAP_FAILED)
        err(1, "mmap");
    return (struct bench_shared *)mem;
}

static int no_result(struct bench_run *r, const char *why)
{
    char name[128];

    clear(r);
    bench_case_name(r->of, name, sizeof name);
    warnx("no result of %s: %s", name, why);
    return -1;
}

/* The messages before the clock starts, at least: those of a stream or of round trips go once through
 * the memory of a ring, as its first touch is slow. */
static uint64_t least_warm(const struct bench_case *c)
{
    if (!bench_is_rate(c) && strcmp(c->test, "pingpong") != 0)
        return 16;
    if (bench_is_rate(c) && c->lap > 0)
        return c->lap / (c->bytes + 8) + 16;
    return c->bytes <= 1024 ? 1100 : (1u << 20) / c->bytes + 16;
}

/* Fills in a run of the case, and prepares it. Returns 0 or a negative errno. */
static int prepare(struct bench_run *r, const struct bench_case *c, struct amount a)
{
    int i, rc;

    shared = shared != NULL ? shared : make_shared();
    memset(shared, 0, sizeof *shared);
    memset(r, 0, sizeof *r);
    r->of = c;
    r->shared = shared;
    r->sysv_sem = r->sysv_mq = -1;
    r->count = a.count;
    r->warm = a.count / 16 + least_warm(c);
    r->each = bench_is_round_trip(c) ? a.count / 4 + 16 : 0;
    r->window = a.window;
    r->clock = (int64_t)(run_clock_ns() + 0.5);
    r->until = ipc_clock() + LONGEST;
    for (i = 0; i < 4; i++)
        r->fd[i] = -1;
    rc = ipc_shm_create(&r->seg, NULL, c->memory);
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&r->seg));
    return c->prepare != NULL && !c->threads ? c->prepare(r) : 0;
}

/* A fresh process. Does not return. */
static void be_process(struct bench_run *r, pid_t parent)
{
    struct sched_param priority;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(4);
    /* Under chrt the driver, which is the clock, must run before the processes that poll. */
    if (sched_getparam(0, &priority) == 0 && priority.sched_priority > 1) {
        priority.sched_priority--;
        (void)sched_setparam(0, &priority);
    }
    if (r->of->threads) {
        serve_threads(r);
    } else {
        pin(r);
        serve(r);
    }
    _exit(0);
}

/* What all messages or round trips would have taken if no window had been interrupted. */
static void typical_windows(const struct bench_run *r, struct outcome *o)
{
    double thrown, clock = bench_is_round_trip(r->of) ? (double)r->clock : 0;

    o->typical = (double)histogram_typical(&shared->windows, &thrown) - clock;
    o->typical *= (double)r->count / (double)r->window;
    o->left_out = o->left_out < 1 ? o->left_out + (1 - o->left_out) * thrown : 1;
}

/* The median latency, or time to recover or to attach. */
static void typical_message(const struct bench_run *r, struct outcome *o)
{
    o->typical = (double)histogram_at(&shared->latencies, 50);
    o->left_out = (double)shared->left_out / (double)r->count;
}

/* What the processes have measured. used: their whole processor time. */
static void sum_up(const struct bench_run *r, double used, struct outcome *o)
{
    const struct bench_case *c = r->of;
    int i;

    if (c->producers > 0)
        o->ns = r->count;
    else
        o->ns = shared->ns > 0 ? shared->ns : 1;
    if (c->readers > 0 || bench_is_recovery(c))
        o->taken = taken_so_far();
    for (i = 0; i < BENCH_PROCESSES; i++)
        o->cpu += (double)shared->cpu[i] / (double)(r->warm + r->count + r->each);
    if (c->producers > 0 && taken_so_far() > 0) /* a killed process has not told its time */
        o->cpu = used / (double)taken_so_far();
    o->latencies = &shared->latencies;
    o->typical = (double)o->ns;
    o->left_out = (double)shared->left_out / (double)o->ns;
    if (bench_has_windows(c))
        typical_windows(r, o);
    else if (c->rate > 0 || bench_is_recovery(c) || bench_is_attach(c))
        typical_message(r, o);
    o->is_usable = 1;
    if (c->rate > 0)
        o->is_usable = o->left_out < MOST_LEFT_OUT;
    else if (bench_has_windows(c))
        o->is_usable = shared->windows.total >= LEAST;
    if (bench_is_rate(c) && c->producers == 0)
        o->is_usable &= (double)shared->windows.total * o->typical * (double)r->window >=
                        LEAST_NS * (double)r->count;
    o->is_usable &= c->readers == 0 || !shared->is_cut;
}

int run_case(const struct bench_case *c, struct amount a, struct outcome *o)
{
    struct bench_run r;
    pid_t pid[BENCH_PROCESSES], parent = getpid();
    int i, n = c->threads ? 1 : (int)bench_processes(c), rc = prepare(&r, c, a);
    double used = 0;

    if (rc != 0)
        return no_result(&r, strerror(-rc));
    for (i = 0; i < n; i++) {
        pid[i] = fork();
        if (pid[i] < 0)
            err(1, "fork");
        r.index = (unsigned)i;
        if (pid[i] == 0)
            be_process(&r, parent);
    }
    memset(o, 0, sizeof *o);
    rc = c->producers > 0 ? watch(c, a.count, &o->taken) : 0;
    if (gather(pid, n, c->producers > 0, &used) != 0 || rc != 0)
        return no_result(&r, "a process failed");
    clear(&r);
    sum_up(&r, used, o);
    return 0;
}

/* The amount that takes `ns`, after a run of amount a. */
static struct amount scaled(const struct bench_case *c, struct amount a, const struct outcome *o,
                            double ns)
{
    double typical = o->typical / (double)a.count;
    double window = bench_is_round_trip(c) ? TRIP_WINDOW : WINDOW;

    a.count = (uint64_t)(ns / typical) + 1;
    a.window = (uint64_t)(window / typical) + 1;
    a.count = a.count > 4 * LEAST * a.window ? a.count : 4 * LEAST * a.window;
    return a;
}

/* Does a run try several ways? */
static int has_trials(const struct bench_case *c)
{
    return strcmp(c->system, "limit_copy") == 0 || strcmp(c->system, "limit_stream_lines") == 0 ||
           (strcmp(c->system, "limit_slot") == 0 && c->rate == 0);
}

struct amount run_calibrate(const struct bench_case *c, uint64_t ns)
{
    struct amount a = {0, 1};
    struct outcome o;

    ns *= has_trials(c) ? 3 : 1;
    if (strcmp(c->test, "idle") == 0)
        a.count = 8 * ns;
    else if (bench_is_recovery(c))
        a.count = KILLS;
    else if (bench_is_attach(c))
        a.count = ATTACHES;
    else if (c->producers > 0) /* processes that share a core all get their turns */
        a.count = ns * bench_processes(c) / 4;
    else if (c->rate > 0) /* twice as long, as rare messages tell about the tail */
        a.count = (uint64_t)((double)c->rate * (double)ns * 2 / 1e9);
    if (a.count > 0)
        return a;
    a.count =
        bench_is_rate(c) && strcmp(c->system, "limit_copy") == 0 ? (64u << 20) / c->bytes : 256;
    for (; run_case(c, a, &o) == 0; a.window = a.count / 512 + 1) {
        double took = o.is_usable ? o.typical : (double)o.ns;
        double more = (double)ns / 12 / took;

        if (o.is_usable && (took >= (double)ns / 16 || o.ns >= 8 * ns || shared->is_cut))
            return scaled(c, a, &o, (double)ns);
        if (o.ns >= 8 * ns || shared->is_cut) /* it is interrupted all the time */
            return a;
        a.count = (uint64_t)((double)a.count * (more > 32 ? 32 : more < 2 ? 2 : more));
    }
    a.count = 0;
    return a;
}
