/* The other side of tests/test_cpp.cc, in C: cpp_peer SEGMENT WHAT. */
#include "ipc_shm.h"
#include "ipc_ring.h"
#include "ipc_notify.h"
#include <err.h>
#include <signal.h>
#include <stdlib.h>

struct tick {
    uint64_t ns;
    double px;
};
struct add {
    int64_t a, b;
};
IPC_SPSC(ticks, struct tick, 2)
IPC_SPSC(numbers, int64_t)
IPC_MPMC(jobs, int64_t)
IPC_BROADCAST(news, struct tick)
IPC_STREAM(audio, float)
IPC_RECORDS(logs)
IPC_CALL(adder, struct add, int64_t)

static struct ipc_shm seg;

static void ok(int64_t rc, const char *what)
{
    if (rc < 0)
        errx(1, "%s: %s; %s", what, strerror((int)-rc), ipc_shm_why(&seg));
}

static int64_t deadline(void)
{
    return ipc_in_ms(60000);
}

/* Answers each tick by its number, and ends by itself, or by SIGKILL. */
static void echo(int killed)
{
    struct ticks_consumer in;
    struct numbers_producer out;
    struct tick t;
    int i;

    ok(ticks_consumer_open(&in, &seg, "ticks"), "ticks");
    ok(numbers_producer_open(&out, &seg, "numbers"), "numbers");
    for (i = 0; i < 1000; i++) {
        int64_t n;

        ok(ticks_recv(&in, &t, deadline()), "recv");
        n = (int64_t)t.ns + (int64_t)t.px;
        ok(numbers_send(&out, &n, deadline()), "send");
    }
    if (killed)
        (void)raise(SIGKILL);
}

/* Sends one of each of the other kinds. */
static void send_each(void)
{
    struct jobs_producer jobs;
    struct news_producer news;
    struct audio_producer audio;
    struct logs_producer logs;
    float sound[3] = {1, 2, 3};
    struct tick t = {7, 8};
    int64_t job = 9;

    ok(jobs_producer_open(&jobs, &seg, "jobs"), "jobs");
    ok(jobs_send(&jobs, &job, deadline()), "jobs_send");
    ok(news_producer_open(&news, &seg, "news"), "news");
    ok(news_send(&news, &t, deadline()), "news_send");
    ok(audio_producer_open(&audio, &seg, "audio"), "audio");
    ok(audio_send(&audio, sound, 3, deadline()), "audio_send");
    ok(logs_producer_open(&logs, &seg, "logs"), "logs");
    ok(logs_send(&logs, "a line", 6, deadline()), "logs_send");
}

static void call(void)
{
    struct adder_client c;
    struct add request = {3, 5};
    int64_t sum = 0;

    ok(adder_client_open(&c, &seg, "adder"), "adder");
    ok(adder_call(&c, &request, &sum, deadline()), "call");
    if (sum != 8)
        errx(1, "3 + 5 is %lld", (long long)sum);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: cpp_peer SEGMENT echo|die|each|call");
    ok(ipc_shm_open(&seg, argv[1], deadline()), argv[1]);
    switch (argv[2][0]) {
    case 'e':
        argv[2][1] == 'c' ? echo(0) : send_each();
        break;
    case 'd':
        echo(1);
        break;
    default:
        call();
    }
    ipc_shm_close(&seg);
    return 0;
}
