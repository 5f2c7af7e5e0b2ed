/* The other side of tests/test_python.py, in C: python_peer SEGMENT WHAT. */
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
IPC_SPSC(back, struct tick)
IPC_MPMC(jobs, int64_t)
IPC_BROADCAST(news, struct tick)
IPC_STREAM(audio, float)
IPC_RECORDS(logs)
IPC_RECORD_BROADCAST(tape)
IPC_CALL(adder, struct add, int64_t)

static struct ipc_shm seg;

static int64_t ok(int64_t rc, const char *what)
{
    if (rc < 0)
        errx(1, "%s: %s; %s", what, strerror((int)-rc), ipc_shm_why(&seg));
    return rc;
}

static int64_t deadline(void)
{
    return ipc_in_ms(60000);
}

/* Sends each tick back, and ends as a process that leaves, or by SIGKILL. */
static void echo(int killed)
{
    struct ticks_consumer in;
    struct back_producer out;
    struct tick t = {1, 0};

    ok(ticks_consumer_open(&in, &seg, "ticks"), "ticks");
    ok(back_producer_open(&out, &seg, "back"), "back");
    while (t.ns != 0) {
        ok(ticks_recv(&in, &t, deadline()), "recv");
        t.px *= 2;
        ok(back_send(&out, &t, deadline()), "send");
    }
    if (killed)
        (void)raise(SIGKILL);
}

/* Reads what Python has sent by each of the other kinds, and sends the same on by another ring. */
static void all(void)
{
    struct jobs_consumer jobs;
    struct jobs_producer jobs_out;
    struct news_consumer news;
    struct news_producer news_out;
    struct audio_consumer audio;
    struct audio_producer audio_out;
    struct logs_consumer logs;
    struct logs_producer logs_out;
    struct tape_consumer tape;
    struct tape_producer tape_out;
    struct adder_server server;
    struct adder_client client;
    union adder_slot *slot;
    struct add request = {3, 4};
    struct tick t;
    float f[4];
    char text[16];
    int64_t n;

    ok(news_consumer_open(&news, &seg, "news"), "news");
    ok(tape_consumer_open(&tape, &seg, "tape"), "tape");
    ok(adder_server_create(&server, &seg, "adder", 4), "adder");
    ok(jobs_consumer_open(&jobs, &seg, "jobs"), "jobs");
    ok(jobs_producer_open(&jobs_out, &seg, "jobs back"), "jobs back");
    ok(jobs_recv(&jobs, &n, deadline()), "jobs recv");
    ok(jobs_send(&jobs_out, &n, deadline()), "jobs send");
    ok(news_producer_open(&news_out, &seg, "news back"), "news back");
    ok(news_recv(&news, &t, deadline()), "news recv");
    ok(news_send(&news_out, &t, deadline()), "news send");
    ok(audio_consumer_open(&audio, &seg, "audio"), "audio");
    ok(audio_producer_open(&audio_out, &seg, "audio back"), "audio back");
    ok(audio_consumer_wait(&audio, 4, deadline()), "audio wait");
    ok(audio_recv(&audio, f, 4, deadline()), "audio recv");
    ok(audio_send(&audio_out, f, 4, deadline()), "audio send");
    ok(logs_consumer_open(&logs, &seg, "logs"), "logs");
    ok(logs_producer_open(&logs_out, &seg, "logs back"), "logs back");
    n = ok(logs_recv(&logs, text, sizeof text, deadline()), "logs recv");
    ok(logs_send(&logs_out, text, (size_t)n, deadline()), "logs send");
    ok(tape_producer_open(&tape_out, &seg, "tape back"), "tape back");
    n = ok(tape_recv(&tape, text, sizeof text, deadline()), "tape recv");
    ok(tape_send(&tape_out, text, (size_t)n, deadline()), "tape send");
    ok(adder_serve(&server, &slot, deadline()), "serve");
    slot->reply = slot->request.a + slot->request.b;
    ok(adder_answer(&server, slot), "answer");
    ok(adder_client_open(&client, &seg, "python adder"), "python adder");
    ok(adder_call(&client, &request, &n, deadline()), "call");
    if (n != 7)
        errx(1, "3 + 4 = %lld", (long long)n);
}

/* A job of which a killed process had taken hold. */
static void job(void)
{
    struct jobs_consumer in;

    ok(jobs_consumer_open(&in, &seg, "jobs"), "jobs");
    ok(jobs_consumer_wait(&in, deadline()), "wait");
    (void)raise(SIGKILL);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: python_peer SEGMENT WHAT");
    ok(ipc_shm_open(&seg, argv[1], deadline()), "open");
    if (strcmp(argv[2], "all") == 0)
        all();
    else if (strcmp(argv[2], "job") == 0)
        job();
    else
        echo(strcmp(argv[2], "killed") == 0);
    ipc_shm_close(&seg);
    return 0;
}
