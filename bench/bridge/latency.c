/*
 * From one program to another through two bridges over loopback, beside two sockets of bare libzmq:
 * how long a message of 64 bytes takes where one is sent each millisecond, and how many cross in a
 * row. `make bench-bridge` runs it. The arguments are ipc_bridge, how many messages are timed in a
 * round, and how many rounds there are. Nothing is pinned, and all sleep as they do by default.
 */
#define _GNU_SOURCE
#include "../histogram.h"
#include "../statistics.h"
#include "ipc_ring.h"
#include "ipc_notify.h"
#include "ipc_shm.h"

#include <arpa/inet.h>
#include <err.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <zmq.h>

enum { SYSTEMS = 2, FIGURES = 3, WARM = 100, IN_A_ROW = 250, PERIOD_NS = 1000000, SLOTS = 1024 };

struct message {
    uint64_t number;
    int64_t sent;
    uint64_t rest[6];
};
IPC_SPSC(line, struct message)

static const char *const systems[SYSTEMS] = {"ipc_bridge", "bare libzmq"};
static const char *bridge;
static char near_name[40], far_name[40], uri[60];
static int64_t deadline;
static struct shared {
    uint64_t got;
    int64_t began, ended; /* of the messages after the warm ones */
    struct histogram h;
} *shared;

static void must(int ok, const char *what)
{
    if (!ok)
        errx(1, "%s failed", what);
}

/* ------------------------------------------------------------------ the two ends, of each system */

static struct ipc_shm seg;
static struct line_producer out;
static struct line_consumer in;
static void *zmq;

static void open_zmq(int type)
{
    zmq = zmq_socket(zmq_ctx_new(), type);
    must((type == ZMQ_PULL ? zmq_bind : zmq_connect)(zmq, uri + 4) == 0, "a socket");
}

static void open_out(int is_bare)
{
    if (is_bare) {
        open_zmq(ZMQ_PUSH);
    } else {
        must(ipc_shm_create(&seg, near_name, 1 << 18) == 0, "a segment");
        must(line_producer_create(&out, &seg, "line", SLOTS) == 0, "a ring");
    }
}

static void open_in(int is_bare)
{
    if (is_bare) {
        open_zmq(ZMQ_PULL);
    } else {
        must(ipc_shm_open(&seg, far_name, deadline) == 0, "the other segment");
        must(line_consumer_open(&in, &seg, "line") == 0, "the other ring");
    }
}

static void put(int is_bare, const struct message *m)
{
    must(is_bare ? zmq_send(zmq, m, sizeof *m, 0) == sizeof *m
                 : line_send(&out, m, deadline) == 0, "a send");
}

static void get(int is_bare, struct message *m)
{
    must(is_bare ? zmq_recv(zmq, m, sizeof *m, 0) == sizeof *m
                 : line_recv(&in, m, deadline) == 0, "a receive");
}

/* ------------------------------------------------------------------ the processes */

static void wait_for(uint64_t got)
{
    while (ck_pr_load_64(&shared->got) < got && ipc_left_(deadline) > 0)
        (void)usleep(1000);
}

/* The first message finds the way. */
static void send_all(int is_bare, uint64_t count, int64_t period)
{
    struct message m;
    int64_t due;
    struct timespec at;

    memset(&m, 7, sizeof m);
    open_out(is_bare);
    (void)prctl(PR_SET_TIMERSLACK, 1ul);
    for (m.number = 0, due = 0; m.number < count; m.number++, due += period) {
        if (m.number == 1) {
            wait_for(1);
            due = ipc_clock();
        }
        at.tv_sec = (time_t)(due / 1000000000);
        at.tv_nsec = (long)(due % 1000000000);
        if (period > 0)
            (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        m.sent = ipc_clock();
        put(is_bare, &m);
    }
    wait_for(count);
}

static void receive_all(int is_bare, uint64_t count)
{
    struct message m;
    uint64_t i;

    open_in(is_bare);
    for (i = 0; i < count; i++) {
        get(is_bare, &m);
        must(m.number == i, "the order");
        if (i == WARM)
            shared->began = ipc_clock();
        else if (i > WARM)
            histogram_record(&shared->h, (uint64_t)(ipc_clock() - m.sent));
        ck_pr_store_64(&shared->got, i + 1);
    }
    shared->ended = ipc_clock();
}

static pid_t start(void)
{
    pid_t pid = fork();

    must(pid >= 0, "fork");
    if (pid == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static pid_t start_bridge(const char *name, int listens)
{
    char ring[60];
    pid_t pid = start();

    if (pid != 0)
        return pid;
    (void)snprintf(ring, sizeof ring, "%s:line", name);
    (void)execl(bridge, "ipc_bridge", listens ? "-i" : "-o", ring, uri, listens ? "-l" : NULL, NULL);
    err(1, "%s", bridge);
}

/* Stopped first, so that it does not tell that the other one is gone. */
static void stop_bridges(const pid_t *pid)
{
    int i;

    for (i = 0; i < 2; i++)
        (void)kill(pid[i], SIGSTOP);
    for (i = 0; i < 2; i++) {
        (void)kill(pid[i], SIGKILL);
        (void)waitpid(pid[i], NULL, 0);
    }
    (void)ipc_shm_unlink(near_name);
    (void)ipc_shm_unlink(far_name);
}

static void choose_port(void)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
             getsockname(fd, (struct sockaddr *)&a, &size) == 0, "a port");
    (void)close(fd);
    (void)snprintf(uri, sizeof uri, "zmq:tcp://127.0.0.1:%d", ntohs(a.sin_port));
}

/* period 0: as fast as it can. */
static void run(int is_bare, uint64_t count, int64_t period)
{
    pid_t bridges[2] = {0, 0}, ends[2];
    int i, status, bad = 0;

    memset(shared, 0, sizeof *shared);
    deadline = ipc_clock() + (int64_t)count * period + 30 * INT64_C(1000000000);
    choose_port();
    if (!is_bare) {
        bridges[0] = start_bridge(far_name, 1);
        bridges[1] = start_bridge(near_name, 0);
    }
    for (i = 0; i < 2; i++)
        if ((ends[i] = start()) == 0) {
            if (i == 0)
                receive_all(is_bare, count);
            else
                send_all(is_bare, count, period);
            _exit(0);
        }
    for (i = 0; i < 2; i++)
        bad |= waitpid(ends[i], &status, 0) != ends[i] || status != 0;
    if (!is_bare)
        stop_bridges(bridges);
    must(!bad, systems[is_bare]);
}

/* ------------------------------------------------------------------ the figures */

static double figures[SYSTEMS][FIGURES][STATISTICS_VALUES];

static void measure(int is_bare, int round, uint64_t count)
{
    uint64_t many = count * IN_A_ROW;

    run(is_bare, WARM + 1 + count, PERIOD_NS);
    figures[is_bare][0][round] = (double)histogram_at(&shared->h, 50) / 1000;
    figures[is_bare][1][round] = (double)histogram_at(&shared->h, 99) / 1000;
    run(is_bare, WARM + 1 + many, 0);
    figures[is_bare][2][round] = (double)many * 1000 / (double)(shared->ended - shared->began);
}

int main(int argc, char **argv)
{
    static const char *const names[FIGURES] = {"p50, us", "p99, us", "in a row, M messages/s"};
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 2000;
    int rounds = argc > 3 ? atoi(argv[3]) : 9, i, k;

    if (argc < 2 || count < 1 || rounds < 1 || rounds > STATISTICS_VALUES)
        errx(2, "usage: bridge_latency IPC_BRIDGE [MESSAGES [ROUNDS]]");
    bridge = argv[1];
    (void)snprintf(near_name, sizeof near_name, "bench-bridge-%d-near", (int)getpid());
    (void)snprintf(far_name, sizeof far_name, "bench-bridge-%d-far", (int)getpid());
    shared = (struct shared *)mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "memory");
    for (i = 0; i < rounds; i++)
        for (k = 0; k < SYSTEMS; k++)
            measure((i + k) % SYSTEMS, i, count);
    for (i = 0; i < FIGURES; i++)
        for (k = 0; k < SYSTEMS; k++) {
            double *v = figures[k][i], median = statistics_median(v, rounds);

            printf("%-24s %-12s %8.2f (%.2f to %.2f)\n", names[i], systems[k], median, v[0],
                   v[rounds - 1]);
        }
    return 0;
}
