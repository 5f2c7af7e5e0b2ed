/* The other side of tests/test_peers.c, which may be compiled for another processor: peer SEGMENT. It
 * hears what to do on descriptor 0, and answers on 1. */
#include "peers.h"
#include <err.h>
#include <stdlib.h>

static struct ipc_shm seg;
static struct ticks_consumer in;
static struct back_producer out;

static void ok(int64_t rc, const char *what)
{
    if (rc < 0)
        errx(1, "%s: %s; %s", what, strerror((int)-rc), ipc_shm_why(&seg));
}

static int64_t deadline(void)
{
    return ipc_in_ms(60000);
}

static void tell(uint64_t word)
{
    if (write(1, &word, sizeof word) != (ssize_t)sizeof word)
        err(1, "write");
}

static uint64_t hear(void)
{
    uint64_t word;

    if (read(0, &word, sizeof word) != (ssize_t)sizeof word)
        exit(0); /* the test has ended */
    return word;
}

static void echo(uint64_t n)
{
    struct tick t;

    for (; n > 0; n--) {
        ok(ticks_recv(&in, &t, deadline()), "recv");
        t.px += (double)t.n;
        ok(back_send(&out, &t, deadline()), "send");
    }
}

static void work(void)
{
    struct jobs_consumer jobs;
    struct logs_consumer logs;
    struct adder_client client;
    struct tick job, call = {0, 0};
    double sum;
    char log[20];
    int64_t n;

    ok(jobs_consumer_open(&jobs, &seg, "jobs"), "jobs");
    ok(logs_consumer_open(&logs, &seg, "logs"), "logs");
    ok(adder_client_open(&client, &seg, "adder"), "adder");
    ok(jobs_recv(&jobs, &job, deadline()), "a job");
    ok(n = logs_recv(&logs, log, sizeof log, deadline()), "a log");
    call.n = job.n + (uint64_t)n;
    call.px = job.px;
    ok(adder_call(&client, &call, &sum, deadline()), "a sum");
    jobs_consumer_detach(&jobs);
    logs_consumer_detach(&logs);
    adder_client_detach(&client);
    tell((uint64_t)sum);
}

static void ring(void)
{
    struct ipc_shm_object o;
    struct ipc_notify bell;
    int rc;

    ok(ipc_shm_find(&seg, "bell", BELL_TYPE, &o), "bell");
    rc = ipc_notify_attach(&bell, o.mem, o.size, IPC_NOTIFY_SEMAPHORE, ipc_shm_peer(&seg));
    tell(LIBC);
    tell((uint64_t)(int64_t)rc);
    if (rc != 0)
        return;
    ck_pr_store_64((uint64_t *)(void *)((char *)o.mem + IPC_NOTIFY_SIZE), 1);
    ok(ipc_notify_post(&bell), "post");
    ipc_notify_detach(&bell);
}

static void go_into_background(uint64_t hands_over)
{
    pid_t child;

    /* qemu-user with pages larger than this machine's cannot map a segment again in a child. */
    if (!hands_over && getpagesize() > 4096 && madvise(NULL, 0, -1) == 0) {
        tell(0);
        return;
    }
    if (hands_over)
        ok(ipc_shm_hand_over(&seg), "hand over");
    child = fork();
    if (child < 0)
        err(1, "fork");
    if (child > 0)
        _exit(0);
    tell((uint64_t)getpid());
}

int main(int argc, char **argv)
{
    struct ticks_producer second;
    struct tick t;
    int rc;

    if (argc != 2)
        errx(1, "usage: peer SEGMENT");
    rc = ipc_shm_open(&seg, argv[1], deadline());
    if (rc == -EPROTO && strstr(ipc_shm_why(&seg), "byte order") != NULL)
        return 3;
    ok(rc, "open");
    ok(ticks_consumer_open(&in, &seg, "ticks"), "ticks");
    ok(back_producer_open(&out, &seg, "back"), "back");
    tell(ipc_shm_peer(&seg)->id);
    for (;;)
        switch (hear()) {
        case ECHO:
            echo(hear());
            break;
        case WORKS:
            work();
            break;
        case ALIVE:
            tell((uint64_t)ipc_shm_alive(&seg, hear()));
            break;
        case TAKES:
            tell((uint64_t)(int64_t)ticks_producer_open(&second, &seg, "ticks"));
            break;
        case WAITS:
            tell((uint64_t)(int64_t)ticks_recv(&in, &t, deadline()));
            break;
        case RINGS:
            ring();
            break;
        case FORKS:
            go_into_background(hear());
            break;
        default:
            return 2;
        }
}
