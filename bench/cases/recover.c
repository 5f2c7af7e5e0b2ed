/*
 * Time to recover: every kind of ring, and the pipe and the Unix socket, whose ends all processes
 * have inherited. Where there are calls the sender calls, and the receivers are servers.
 */
#define _GNU_SOURCE
#include "../kit/recover.h"
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <poll.h>
#include <sys/socket.h>

static int64_t until(int sleeps, int ms)
{
    return sleeps ? ipc_in_ms(ms) : IPC_NOW;
}

/* The way of a ring: ends P and C, SEND and RECV that take a `deadline`, and how it is created. */
#define WAY(NAME, RING, SEES_ALL, P, C, SEND, RECV, ...)                                           \
    static struct RING##_##P NAME##_p;                                                             \
    static struct RING##_##C NAME##_c;                                                             \
    static int NAME##_make(struct bench_run *r)                                                    \
    {                                                                                              \
        return RING##_create(&r->seg, "to", __VA_ARGS__);                                          \
    }                                                                                              \
    static int NAME##_sender(struct bench_run *r)                                                  \
    {                                                                                              \
        return RING##_##P##_open(&NAME##_p, &r->seg, "to");                                        \
    }                                                                                              \
    static int NAME##_receiver(struct bench_run *r)                                                \
    {                                                                                              \
        return RING##_##C##_open(&NAME##_c, &r->seg, "to");                                        \
    }                                                                                              \
    static int NAME##_send(const struct recover_message *m, int sleeps)                            \
    {                                                                                              \
        int64_t deadline = until(sleeps, RECOVER_SEND_MS);                                         \
        return (SEND) < 0;                                                                         \
    }                                                                                              \
    static int NAME##_receive(struct recover_message *m, int sleeps)                               \
    {                                                                                              \
        int64_t deadline = until(sleeps, RECOVER_SLEEP_MS);                                        \
        return (RECV) < 0;                                                                         \
    }                                                                                              \
    static void NAME##_leave(void)                                                                 \
    {                                                                                              \
        RING##_##C##_detach(&NAME##_c);                                                            \
    }                                                                                              \
    static const struct recover_way NAME = {                                                       \
        NAME##_make,  NAME##_sender, NAME##_send, NAME##_receiver, NAME##_receive,                 \
        NAME##_leave, NULL,          0,           SEES_ALL,        0};

#define SLOTS(NAME, RING, SEES_ALL, ...)                                                           \
    WAY(NAME, RING, SEES_ALL, producer, consumer, RING##_send(&NAME##_p, m, deadline),             \
        RING##_recv(&NAME##_c, m, deadline), __VA_ARGS__)
#define RECORDS(NAME, RING, SEES_ALL, ...)                                                         \
    WAY(NAME, RING, SEES_ALL, producer, consumer, RING##_send(&NAME##_p, m, sizeof *m, deadline),  \
        RING##_recv(&NAME##_c, m, sizeof *m, deadline), __VA_ARGS__)

enum { BYTES = 64 * RECOVER_SLOTS };

IPC_SPSC(slots, struct recover_message)
SLOTS(ring, slots, 0, RECOVER_SLOTS)
IPC_MPMC(many, struct recover_message)
SLOTS(mpmc, many, 0, RECOVER_SLOTS, IPC_MPMC_AT_LEAST_ONCE)
IPC_BROADCAST(cast, struct recover_message)
SLOTS(lossless, cast, 1, RECOVER_SLOTS, IPC_BROADCAST_LOSSLESS)
SLOTS(lossy, cast, 1, 16 * RECOVER_SLOTS, IPC_BROADCAST_LOSSY)
IPC_RECORDS(lines)
RECORDS(records, lines, 0, BYTES, 1)
IPC_RECORD_BROADCAST(tape)
RECORDS(records_lossless, tape, 1, BYTES, IPC_BROADCAST_LOSSLESS)
RECORDS(records_lossy, tape, 1, 16 * BYTES, IPC_BROADCAST_LOSSY)
IPC_STREAM(flow, struct recover_message)
WAY(stream, flow, 0, producer, consumer, flow_send(&stream_p, m, 1, deadline),
    flow_recv(&stream_c, m, 1, deadline), RECOVER_SLOTS)

IPC_CALL(job, struct recover_message, struct recover_message)

static int serve(struct job_server *s, struct recover_message *m, int64_t deadline)
{
    union job_slot *slot;
    int rc = job_serve(s, &slot, deadline);

    if (rc != 0)
        return rc;
    *m = slot->request;
    slot->reply = *m;
    return job_answer(s, slot);
}

/* A call waits for its answer: with IPC_NOW it would be withdrawn before a server looks. */
static struct recover_message reply;
WAY(call, job, 0, client, server, ((void)deadline, job_call(&call_p, m, &reply, ipc_in_ms(RECOVER_SEND_MS))),
    serve(&call_c, m, deadline), 4)

/* ------------------------------------------------------------------ the kernel's */

static int receiving, sending; /* descriptors */

static int pipe_make(struct bench_run *r)
{
    return pipe2(r->fd, O_NONBLOCK) != 0 ? -errno : 0;
}

static int unix_make(struct bench_run *r)
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, r->fd) != 0 ? -errno : 0;
}

static int attach_kernel(struct bench_run *r)
{
    receiving = r->fd[0];
    sending = r->fd[1];
    return 0;
}

static void await(int fd, short events, int ms)
{
    struct pollfd p = {.fd = fd, .events = events};

    (void)poll(&p, 1, ms);
}

static int write_kernel(const struct recover_message *m, int sleeps)
{
    ssize_t n = write(sending, m, sizeof *m);

    if (n < 0 && errno == EAGAIN && sleeps) {
        await(sending, POLLOUT, RECOVER_SEND_MS);
        n = write(sending, m, sizeof *m);
    }
    bench_check(n == sizeof *m || (n < 0 && errno == EAGAIN), "write");
    return n < 0;
}

static int read_kernel(struct recover_message *m, int sleeps)
{
    ssize_t n;

    if (sleeps)
        await(receiving, POLLIN, RECOVER_SLEEP_MS);
    n = read(receiving, m, sizeof *m);
    bench_check(n == sizeof *m || (n < 0 && errno == EAGAIN), "read");
    return n < 0;
}

static void leave_kernel(void)
{
}

static const struct recover_way pipes = {
    pipe_make, attach_kernel, write_kernel, attach_kernel, read_kernel, leave_kernel, NULL, 1, 0, 0};
static const struct recover_way unixes = {
    unix_make, attach_kernel, write_kernel, attach_kernel, read_kernel, leave_kernel, NULL, 1, 0, 0};

BENCH_GROUP(recover) = {RECOVER_ROWS("ipc_ring", ring),
                        RECOVER_SENDER_ROWS("ipc_ring", ring),
                        RECOVER_ROWS("ipc_mpmc", mpmc),
                        RECOVER_SENDER_ROWS("ipc_mpmc", mpmc),
                        RECOVER_ROWS("ipc_lossless", lossless),
                        RECOVER_SENDER_ROWS("ipc_lossless", lossless),
                        RECOVER_ROWS("ipc_lossy", lossy),
                        RECOVER_ROWS("ipc_records", records),
                        RECOVER_SENDER_ROWS("ipc_records", records),
                        RECOVER_ROWS("ipc_records_lossless", records_lossless),
                        RECOVER_SENDER_ROWS("ipc_records_lossless", records_lossless),
                        RECOVER_ROWS("ipc_records_lossy", records_lossy),
                        RECOVER_ROWS("ipc_stream", stream),
                        RECOVER_SENDER_ROWS("ipc_stream", stream),
                        RECOVER_ROWS("ipc_call", call),
                        RECOVER_ROW("ipc_call", "sender_sleeping", call),
                        RECOVER_ROWS("pipe", pipes),
                        RECOVER_SENDER_ROWS("pipe", pipes),
                        RECOVER_ROWS("unix_stream", unixes),
                        RECOVER_SENDER_ROWS("unix_stream", unixes),
                        {.system = NULL}};
