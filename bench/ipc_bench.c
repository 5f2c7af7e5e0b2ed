/*
 * ipc_bench - what rings in shared memory give on this machine, beside kernel IPC and beside what
 * the machine allows. All cases run interleaved, in random order within each round, each time in
 * fresh processes on two cores; every figure is a median with its spread.
 */
#define _GNU_SOURCE
#include "bench.h"
#include <err.h>
#include <getopt.h>
#include <jansson.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif
#ifndef BENCH_FLAGS
#define BENCH_FLAGS "unknown"
#endif
#ifndef BENCH_COMMIT
#define BENCH_COMMIT "unknown"
#endif

enum { CASES = 1024, RUNS = 64, PROCESSES = 16 };

struct result {
    const struct bench_case *of;
    uint64_t count;      /* messages for a run of the wanted length */
    double value[RUNS];  /* msg/s or ns */
    double got[RUNS];    /* of a broadcast: msg/s that one reader got, the mean of all */
    double missed[RUNS]; /* and the part of those sent that it did not get */
    int runs;
    double median, min, max, reader, misses;
};

static struct result results[CASES];
static int cases, core[2];

/* ------------------------------------------------------------------ running a case */

/* Shared by the processes of a run. */
struct start {
    unsigned ready;
    uint64_t ns;
    uint64_t taken[PROCESSES][16]; /* the first of each is used; the others keep them apart */
};

static struct start *start;

static unsigned processes(const struct bench_case *c)
{
    return c->producers > 0 ? c->producers + c->consumers + c->held
                            : 1 + (c->readers > 0 ? c->readers : 1);
}

void bench_start(struct bench_run *r)
{
    unsigned looks = 0;

    (void)ck_pr_faa_uint(&start->ready, 1);
    while (ck_pr_load_uint(&start->ready) < processes(r->of))
        if (r->of->one_core || processes(r->of) > 2 || ++looks > 1000000)
            (void)sched_yield();
        else
            ck_pr_stall();
}

void bench_fail(const char *what)
{
    errx(3, "wrong %s", what);
}

/* The only consumer, or writer of a broadcast, has a core of its own. */
static void pin(const struct bench_run *r)
{
    const struct bench_case *c = r->of;
    int alone = c->consumers == 1 || c->readers > 0;
    int which = core[c->one_core ? 0 : alone ? r->index > 0 : r->index % 2];
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(which, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        err(4, "cannot pin to core %d", which);
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
    if (r->of->producers > 0 || r->index > 0)
        r->of->serve(r);
    else
        start->ns = r->of->measure(r);
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
    for (i = 0; i < processes(r->of); i++) {
        each[i] = *r;
        each[i].index = i;
        bench_check(pthread_create(&thread[i], NULL, serve_thread, &each[i]) == 0, "thread");
    }
    for (i = 0; i < processes(r->of); i++)
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

    while (ck_pr_load_uint(&start->ready) < processes(c)) {
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

/* Waits until all have ended, after killing them or if one fails. */
static int gather(pid_t *pid, int n, int end)
{
    int i, k, status, rc = 0;

    for (i = 0; i < n; i++) {
        pid_t who;

        for (k = 0; k < n; k++)
            if (end && pid[k] != 0)
                (void)kill(pid[k], SIGKILL);
        who = wait(&status);
        for (k = 0; k < n; k++)
            pid[k] = pid[k] == who ? 0 : pid[k];
        if (!end && (who < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0))
            rc = end = -1;
    }
    return rc;
}

/* Fresh processes do `count` messages. Returns the nanoseconds, never 0; of a test "many" the
 * messages that are taken in `count` nanoseconds. */
static uint64_t run(const struct bench_case *c, uint64_t count)
{
    struct bench_run r;
    pid_t pid[PROCESSES], parent = getpid();
    int i, n = c->threads ? 1 : (int)processes(c), rc;
    uint64_t taken = 0;

    memset(&r, 0, sizeof r);
    r.of = c;
    r.sysv_sem = r.sysv_mq = -1;
    r.count = count;
    r.warm = count / 16 + 16;
    for (i = 0; i < 4; i++)
        r.fd[i] = -1;
    rc = ipc_shm_create(&r.seg, NULL, c->memory);
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&r.seg));
    rc = c->prepare != NULL && !c->threads ? c->prepare(&r) : 0;
    if (rc != 0) {
        clear(&r);
        errx(1, "%s %s: %s", c->system, c->test, strerror(-rc));
    }
    memset(start, 0, sizeof *start);
    for (i = 0; i < n; i++) {
        pid[i] = fork();
        if (pid[i] < 0)
            err(1, "fork");
        if (pid[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(4);
            r.index = (unsigned)i;
            if (c->threads)
                serve_threads(&r);
            pin(&r);
            serve(&r);
            _exit(0);
        }
    }
    rc = c->producers > 0 ? watch(c, count, &taken) : 0;
    if (gather(pid, n, c->producers > 0) != 0 || rc != 0) {
        clear(&r);
        errx(1, "%s/%s/%s/%llu failed: no result", c->system, c->test, c->shape,
             (unsigned long long)c->bytes);
    }
    clear(&r);
    if (c->producers > 0)
        return taken;
    return start->ns > 0 ? start->ns : 1;
}

/* How many messages last `ns`. */
static uint64_t calibrate(const struct bench_case *c, uint64_t ns)
{
    uint64_t count = 256, took;

    if (strcmp(c->test, "idle") == 0)
        return 8 * ns;
    if (c->producers > 0) /* all of those that share a core have their turns */
        return ns * processes(c) / 4;
    while ((took = run(c, count)) < ns / 16)
        count *= took < ns / 256 ? 8 : 2;
    return (uint64_t)((double)count * (double)ns / (double)took) + 1;
}

/* ------------------------------------------------------------------ figures */

static int is_rate(const struct bench_case *c)
{
    return strcmp(c->test, "stream") == 0 || strcmp(c->test, "many") == 0;
}

/* The tests, in the order of the tables. */
static const struct test {
    const char *name, *title, *unit;
    double scale;
    int digits;
    const char *limit, *limit_shape; /* what of limit is about; the shape NULL: the same */
} tests[] = {
    {"stream", "stream: million messages a second, one at a time", "msg/s", 1e6, 2,
     "limit_stream_lines", "lines"},
    {"many", "many: million messages a second, several producers and consumers", "msg/s", 1e6, 2,
     NULL, NULL},
    {"pingpong", "pingpong: nanoseconds for a round trip, both sides polling", "ns", 1, 0,
     "limit_two_lines", "lines"},
    {"wake", "wake: nanoseconds for a round trip, both sides asleep until woken", "ns", 1, 0,
     "raw_futex", NULL},
    {"post_idle", "post_idle: nanoseconds for a store and a post while nobody sleeps", "ns", 1, 2,
     "limit_store_fence", NULL},
    {"idle", "idle: percent of a core while asleep", "%", 1, 4, NULL, NULL},
};

static const struct test *test_of(const struct bench_case *c)
{
    const struct test *t = tests;

    while (strcmp(t->name, c->test) != 0)
        t++;
    return t;
}

static int ascending(const void *a, const void *b)
{
    const double *x = (const double *)a, *y = (const double *)b;

    return (*x > *y) - (*x < *y);
}

static double median(double *value, int n)
{
    qsort(value, (size_t)n, sizeof value[0], ascending);
    return (value[(n - 1) / 2] + value[n / 2]) / 2;
}

static void summarise(struct result *x)
{
    x->median = median(x->value, x->runs);
    x->min = x->value[0];
    x->max = x->value[x->runs - 1];
    x->reader = median(x->got, x->runs);
    x->misses = median(x->missed, x->runs);
}

static const struct result *find(const char *system, const char *test, const char *shape,
                                 uint64_t bytes)
{
    int i;

    for (i = 0; i < cases; i++)
        if (strcmp(results[i].of->system, system) == 0 && strcmp(results[i].of->test, test) == 0 &&
            strcmp(results[i].of->shape, shape) == 0 &&
            (bytes == 0 || results[i].of->bytes == bytes))
            return &results[i];
    return NULL;
}

/* Of a channel the mechanism below; else the best of the kernel's mechanisms, or of many the best
 * FIFO peer, at the same test and size. */
static const struct result *rival(const struct bench_case *c)
{
    const struct result *pipe = find("pipe", c->test, c->shape, c->bytes);
    const struct result *sock = find("unix_stream", c->test, c->shape, c->bytes), *best = NULL;
    int i;

    if (c->raw != NULL)
        return find(c->raw, c->test, c->shape, c->bytes);
    for (i = 0; i < cases; i++) {
        const struct bench_case *peer = results[i].of;

        if (peer->fifo_peer && peer->bytes == c->bytes && strcmp(peer->test, c->test) == 0 &&
            strcmp(peer->shape, c->shape) == 0 &&
            (best == NULL || results[i].median > best->median))
            best = &results[i];
    }
    if (best != NULL)
        return best;
    if (pipe == NULL || sock == NULL)
        return pipe != NULL ? pipe : sock;
    return (pipe->median > sock->median) == is_rate(c) ? pipe : sock;
}

/* ------------------------------------------------------------------ output */

static json_t *machine(void)
{
    char line[512], cpu[256] = "unknown", when[32];
    time_t now = time(NULL);
    struct tm utc;
    struct utsname u;
    FILE *f = fopen("/proc/cpuinfo", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "model name : %255[^\n]", cpu) == 1)
            break;
    if (f != NULL)
        (void)fclose(f);
    (void)uname(&u);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:[ii], s:s, s:s}", "cpu", cpu, "cores",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "arch", u.machine, "kernel", u.release,
                     "compiler", COMPILER, "flags", BENCH_FLAGS, "ck", CK_VERSION, "pinned",
                     core[0], core[1], "commit", BENCH_COMMIT, "date", when);
}

static void write_json(const char *file, json_t *about)
{
    json_t *all = json_array(), *root;
    int i;

    for (i = 0; i < cases; i++) {
        const struct bench_case *c = results[i].of;
        unsigned producers = c->producers > 0 ? c->producers : 1;
        json_t *one = json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:b, s:s, s:f, s:f, s:f, s:i}",
                                "system", c->system, "test", c->test, "shape", c->shape, "bytes",
                                (json_int_t)c->bytes, "producers", (int)producers, "consumers",
                                (int)(processes(c) - c->held - producers), "threads", c->threads,
                                "unit", test_of(c)->unit, "median", results[i].median, "min",
                                results[i].min, "max", results[i].max, "runs", results[i].runs);
        if (c->readers > 0) {
            json_object_set_new(one, "reader", json_real(results[i].reader));
            json_object_set_new(one, "missed", json_real(results[i].misses));
        }
        json_array_append_new(all, one);
    }
    root = json_pack("{s:O, s:o}", "machine", about, "results", all);
    if (root == NULL || json_dump_file(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0)
        errx(1, "cannot write %s: is its folder there, and writable?", file);
    json_decref(root);
}

/* Are the shapes of a test different things to compare? */
static int by_shape(const struct bench_case *c)
{
    return strcmp(c->test, "wake") == 0 || strcmp(c->test, "many") == 0;
}

static int by_test(const void *a, const void *b)
{
    const struct bench_case *x = ((const struct result *)a)->of,
                            *y = ((const struct result *)b)->of;
    int t = test_of(x) - test_of(y) < 0 ? -1 : test_of(x) > test_of(y);

    /* Limits, rings and kernel side by side in one size, mostly whatever their shape. */
    t = t != 0 ? t : (x->bytes > y->bytes) - (x->bytes < y->bytes);
    return t != 0 || !by_shape(x) ? t : strcmp(x->shape, y->shape);
}

/* What part of the machine's limit, or how many times it. */
static double of_limit(const struct result *x)
{
    const struct test *t = test_of(x->of);
    const struct result *limit =
        t->limit == NULL
            ? NULL
            : find(t->limit, t->name, t->limit_shape != NULL ? t->limit_shape : x->of->shape, 0);
    const struct result *copy = find("limit_copy", t->name, "copy", x->of->bytes);

    if (copy != NULL)
        return x->median / copy->median;
    if (limit == NULL)
        return 0;
    /* A message moves its payload and 8 bytes that say it is there. */
    return x->median *
           (strcmp(t->name, "stream") != 0 || x == limit ? 1 : (double)(x->of->bytes + 8) / 64) /
           limit->median;
}

static void print_table(const json_t *about)
{
    const struct test *test = NULL;
    const struct bench_case *last = NULL;
    int i;

    printf("%s, %s, %lld cores; Linux %s; %s %s\n",
           json_string_value(json_object_get(about, "cpu")),
           json_string_value(json_object_get(about, "arch")),
           (long long)json_integer_value(json_object_get(about, "cores")),
           json_string_value(json_object_get(about, "kernel")), COMPILER, BENCH_FLAGS);
    for (i = 0; i < cases; i++) {
        const struct result *x = &results[i], *other = rival(x->of);
        double limit = of_limit(x);
        int digits;

        if (test != test_of(x->of)) {
            test = test_of(x->of);
            printf("\n%s\n%-20s %9s %10s %10s %10s %12s %10s\n", test->title, "system",
                   strcmp(test->name, "wake") == 0 ? "" : "bytes", "median", "min", "max",
                   x->of->producers > 0 ? "vs peers"
                   : other != NULL      ? "vs kernel"
                                        : "",
                   test->limit != NULL ? "of limit" : "");
        } else if (last->bytes != x->of->bytes ||
                   (by_shape(last) && strcmp(last->shape, x->of->shape) != 0)) {
            printf("\n");
        }
        last = x->of;
        if (x->of->producers > 0)
            printf("%-12s %-13s %3llu", x->of->system, x->of->shape,
                   (unsigned long long)x->of->bytes);
        else if (strcmp(test->name, "wake") == 0 && strcmp(x->of->shape, "channel") != 0)
            printf("%-20s %9s", x->of->system, x->of->shape);
        else
            printf("%-20s %9llu", x->of->system, (unsigned long long)x->of->bytes);
        digits = is_rate(x->of) && x->median < test->scale ? test->digits + 2 : test->digits;
        printf(" %10.*f %10.*f %10.*f", digits, x->median / test->scale, digits,
               x->min / test->scale, digits, x->max / test->scale);
        if (other != NULL && other->median > 0)
            printf(" %11.*fx", x->of->raw != NULL ? 2 : 1,
                   is_rate(x->of) ? x->median / other->median : other->median / x->median);
        else
            printf(" %12s", "");
        if (limit > 0)
            printf(" %10.2f", limit);
        if (x->of->threads)
            printf(" (threads)");
        if (x->of->readers > 0)
            printf(" (each reader %.*f, missed %.2f)", digits, x->reader / test->scale, x->misses);
        printf("\n");
    }
    printf(
        "\nvs kernel: how many times better than the faster of pipe and Unix socket, of a channel "
        "than the mechanism\nbelow. of limit: messages against limit_copy where it is there in "
        "their size, else the lines that they "
        "fill against limit_stream_lines;\nthe round trip against limit_two_lines; the wake "
        "against raw_futex; the post against limit_store_fence.\n"
        "vs peers: of the fastest of those that keep the order of all messages, as ck_ring "
        "does.\n"
        "each reader: what one got of the writer's messages, and the part that it missed; the "
        "mean of all, which\nshare a core.\n");
}

/* ------------------------------------------------------------------ main */

static void select_cases(const char *only, int list)
{
    const struct bench_case *groups[] = {bench_limits,     bench_rings,        bench_shapes,
                                         bench_blocks,     bench_records,      bench_jack,
                                         bench_call,       bench_zmq,          bench_nng,
                                         bench_many,       bench_rte,          bench_boost,
                                         bench_moodycamel, bench_readerwriter, bench_tbb,
                                         bench_urcu,       bench_iceoryx,      bench_kernel,
                                         bench_channel,    bench_wake,         bench_sizes},
                            *c;
    regex_t pattern;
    char name[128];
    size_t g;

    if (regcomp(&pattern, only, REG_EXTENDED | REG_NOSUB) != 0)
        errx(2, "--only '%s' is not an extended regular expression", only);
    for (g = 0; g < sizeof groups / sizeof groups[0]; g++)
        for (c = groups[g]; c != NULL && c->system != NULL; c++) {
            (void)snprintf(name, sizeof name, "%s/%s/%s/%llu", c->system, c->test, c->shape,
                           (unsigned long long)c->bytes);
            if (regexec(&pattern, name, 0, NULL, 0) != 0)
                continue;
            if (list)
                puts(name);
            bench_check(cases < CASES, "number of cases");
            results[cases++].of = c;
        }
    regfree(&pattern);
    if (cases == 0)
        errx(2, "--only '%s' matches nothing: see --list", only);
}

static void choose_cores(void)
{
    cpu_set_t set;
    int i, n = 0;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        err(1, "sched_getaffinity");
    for (i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET(i, &set))
            core[n++] = i;
    if (n < 2)
        errx(1,
             "needs two cores, this process may use one: see taskset -p, or docker --cpuset-cpus");
}

static void progress(int round, int rounds, const struct bench_case *c, int done)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%3d %%  round %d of %d  %s %s %llu bytes",
                (round * cases + done) * 100 / (rounds * cases), round + 1, rounds, c->system,
                c->test, (unsigned long long)c->bytes);
}

static void usage(FILE *to)
{
    fprintf(to, "usage: ipc_bench [--quick] [--only REGEX] [--list] [--json FILE] [--help]\n"
                "Measures rings in shared memory beside kernel IPC and the machine's limits.\n"
                "  --quick       fewer and shorter runs: five minutes\n"
                "  --only REGEX  the cases whose name system/test/shape/bytes matches\n"
                "  --list        print the names of the cases, run nothing\n"
                "  --json FILE   write the results there, too\n");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"only", required_argument, NULL, 'o'},
        {"list", no_argument, NULL, 'l'},  {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},  {NULL, 0, NULL, 0},
    };
    const char *only = "", *json = NULL;
    int option, quick = 0, list = 0, round, rounds, i;
    uint64_t length;
    json_t *about;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'q':
            quick = 1;
            break;
        case 'o':
            only = optarg;
            break;
        case 'l':
            list = 1;
            break;
        case 'j':
            json = optarg;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    if (optind != argc) {
        usage(stderr);
        return 2;
    }
    select_cases(only, list);
    if (list)
        return 0;
    choose_cores();
    start = (struct start *)mmap(NULL, sizeof *start, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        err(1, "mmap");
    about = machine();
    rounds = quick ? 7 : 15;
    length = quick ? 60000000 : 120000000;
    srand((unsigned)ipc_clock());
    for (i = 0; i < cases; i++) {
        progress(0, rounds, results[i].of, 0);
        results[i].count = calibrate(results[i].of, length);
    }
    for (round = 0; round < rounds; round++) {
        int order[CASES];

        for (i = 0; i < cases; i++) {
            int j = rand() % (i + 1);

            order[i] = order[j];
            order[j] = i;
        }
        for (i = 0; i < cases; i++) {
            struct result *x = &results[order[i]];
            double ns;

            progress(round, rounds, x->of, i);
            ns = (double)run(x->of, x->count);
            if (x->of->readers > 0) {
                double got = (double)taken_so_far() / x->of->readers;

                x->got[x->runs] = got * 1e9 / ns;
                x->missed[x->runs] = 1 - got / (double)x->count;
            }
            x->value[x->runs++] = x->of->producers > 0               ? ns * 1e9 / (double)x->count
                                  : is_rate(x->of)                   ? (double)x->count * 1e9 / ns
                                  : strcmp(x->of->test, "idle") == 0 ? 100 * ns / (double)x->count
                                                                     : ns / (double)x->count;
        }
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    for (i = 0; i < cases; i++)
        summarise(&results[i]);
    qsort(results, (size_t)cases, sizeof results[0], by_test);
    print_table(about);
    if (json != NULL)
        write_json(json, about);
    json_decref(about);
    return 0;
}
