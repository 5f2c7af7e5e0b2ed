#define _GNU_SOURCE
#include "noise.h"
#include "run.h"
#include <err.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define GAP_NS 10000 /* a longer gap means that the core was away; a timer's tick takes less */

/* Parts of a core. They are above what a quiet machine showed: a virtual machine lost 1 to 4 % to
 * its host, and other processes used up to 1 %. They are below what any busy process causes: it
 * takes 25 to 80 %, and counts as 20 to 90 %. At real-time priority the kernel leaves other
 * processes 5 %, in which all measured processes stand still. */
#define MOST_LOST 0.08
#define MOST_STOLEN 0.02
#define MOST_OTHERS 0.03

struct loop {
    int64_t ns, lost, longest;
};

static struct loop *loops;  /* of each core, shared with the process that runs it */
static struct loop sums[2]; /* of all looks */
static double stolen, others, load[3];
static int64_t began, looked, used_then;
static uint64_t busy_then, stolen_then;

static void loop(struct loop *l, int64_t ns)
{
    int64_t first = ipc_clock(), last = first, now;

    memset(l, 0, sizeof *l);
    while ((now = ipc_clock()) < first + ns) {
        if (now - last > GAP_NS) {
            l->lost += now - last;
            l->longest = now - last > l->longest ? now - last : l->longest;
        }
        last = now;
    }
    l->ns = now - first;
}

static void look(int64_t ns)
{
    pid_t pid[2];
    int i, status;

    for (i = 0; i < 2; i++) {
        pid[i] = fork();
        if (pid[i] < 0)
            err(1, "fork");
        if (pid[i] == 0) {
            run_pin(run_core[i]);
            loop(&loops[i], ns);
            _exit(0);
        }
    }
    for (i = 0; i < 2; i++) {
        (void)waitpid(pid[i], &status, 0);
        sums[i].ns += loops[i].ns;
        sums[i].lost += loops[i].lost;
        if (loops[i].longest > sums[i].longest)
            sums[i].longest = loops[i].longest;
    }
    looked = ipc_clock();
}

/* Ticks of both cores since the system booted: busy with processes and interrupts, and stolen by
 * the host. */
static void ticks(uint64_t *busy, uint64_t *steal)
{
    char line[512];
    FILE *f = fopen("/proc/stat", "r");
    unsigned long long t[8];
    int n;

    *busy = *steal = 0;
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &n, &t[0], &t[1], &t[2],
                   &t[3], &t[4], &t[5], &t[6], &t[7]) == 9 &&
            (n == run_core[0] || n == run_core[1])) {
            *busy += t[0] + t[1] + t[2] + t[5] + t[6];
            *steal += t[7];
        }
    if (f != NULL)
        (void)fclose(f);
}

/* Nanoseconds of processor time of this process and of its children. */
static int64_t used(void)
{
    static const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    int64_t us = 0;
    struct rusage u;
    int i;

    for (i = 0; i < 2; i++) {
        (void)getrusage(whose[i], &u);
        us += (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
              u.ru_stime.tv_usec;
    }
    return us * 1000;
}

static void ask_kernel(void)
{
    double tick = 1e9 / (double)sysconf(_SC_CLK_TCK), all = 2 * (double)(ipc_clock() - began);
    uint64_t busy, steal;

    ticks(&busy, &steal);
    stolen = (double)(steal - stolen_then) * tick / all;
    others = ((double)(busy - busy_then) * tick - (double)(used() - used_then)) / all;
    others = others > 0 ? others : 0;
}

static double lost(int i)
{
    return (double)sums[i].lost / (double)sums[i].ns;
}

static int is_quiet(void)
{
    return lost(0) <= MOST_LOST && lost(1) <= MOST_LOST && stolen <= MOST_STOLEN &&
           others <= MOST_OTHERS;
}

void noise_begin(void)
{
    loops = (struct loop *)mmap(NULL, 2 * sizeof *loops, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (loops == MAP_FAILED)
        err(1, "mmap");
    if (getloadavg(load, 3) != 3)
        load[0] = load[1] = load[2] = 0;
    began = ipc_clock();
    used_then = used();
    ticks(&busy_then, &stolen_then);
    look(300000000);
}

double noise_ours(void)
{
    return (1 - lost(0)) * (1 - lost(1));
}

void noise_look(void)
{
    if (ipc_clock() - looked > 1000000000)
        look(20000000);
}

json_t *noise_end(void)
{
    char why[256];

    ask_kernel();
    (void)snprintf(why, sizeof why,
                   "a loop lost %.1f and %.1f %% of cores %d and %d, the host stole %.1f %%, other "
                   "processes used %.1f %%",
                   100 * lost(0), 100 * lost(1), run_core[0], run_core[1], 100 * stolen,
                   100 * others);
    return json_pack("{s:b, s:s, s:[ff], s:[ff], s:f, s:f, s:[fff]}", "ok", is_quiet(), "why", why,
                     "lost", lost(0), lost(1), "longest_ns", (double)sums[0].longest,
                     (double)sums[1].longest, "stolen", stolen, "others", others, "load", load[0],
                     load[1], load[2]);
}
