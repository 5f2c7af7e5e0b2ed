/* Pipes and Unix stream sockets, used well: one write for each message, and a reader that takes all
 * that is there with one read. Both sides poll, like those of the rings, as a sleep and a wake
 * would cost more than the message. */
#include "bench.h"
#include <fcntl.h>
#include <sys/socket.h>

BENCH_SIZES(BENCH_MESSAGE)

static int nonblocking(struct bench_run *r)
{
    int i;

    for (i = 0; i < 4; i++)
        if (r->fd[i] < 0 || fcntl(r->fd[i], F_SETFL, O_NONBLOCK) != 0)
            return -errno;
    return 0;
}

/* fd[0] reads what fd[1] writes; fd[2] what fd[3] writes, the way back. */
static int prepare_pipe(struct bench_run *r)
{
    return pipe(&r->fd[0]) != 0 || pipe(&r->fd[2]) != 0 ? -errno : nonblocking(r);
}

static int prepare_unix(struct bench_run *r)
{
    return socketpair(AF_UNIX, SOCK_STREAM, 0, &r->fd[0]) != 0 ||
                   socketpair(AF_UNIX, SOCK_STREAM, 0, &r->fd[2]) != 0
               ? -errno
               : nonblocking(r);
}

static void send_all(int fd, const void *message, size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t n = write(fd, (const char *)message + done, bytes - done);

        bench_check(n > 0 || errno == EAGAIN, "write");
        done += n > 0 ? (size_t)n : 0;
    }
}

struct inbox {
    int fd;
    size_t from, to;
    char bytes[65536];
};

static void recv_all(struct inbox *in, void *message, size_t bytes)
{
    while (in->to - in->from < bytes) {
        ssize_t n;

        memmove(in->bytes, in->bytes + in->from, in->to - in->from);
        in->to -= in->from;
        in->from = 0;
        n = read(in->fd, in->bytes + in->to, sizeof in->bytes - in->to);
        bench_check(n > 0 || (n < 0 && errno == EAGAIN), "read");
        in->to += n > 0 ? (size_t)n : 0;
    }
    memcpy(message, in->bytes + in->from, bytes);
    in->from += bytes;
}

static struct inbox inbox; /* each process has its own */

static struct inbox *inbox_of(int fd)
{
    inbox.fd = fd;
    inbox.from = inbox.to = 0;
    return &inbox;
}

#define KERNEL_CASES(B)                                                                            \
    static void stream_serve##B(struct bench_run *r)                                               \
    {                                                                                              \
        BENCH_STREAM_SERVE(B, send_all(r->fd[1], &m, sizeof m));                                   \
    }                                                                                              \
    static uint64_t stream_measure##B(struct bench_run *r)                                         \
    {                                                                                              \
        struct inbox *in = inbox_of(r->fd[0]);                                                     \
        BENCH_STREAM_MEASURE(B, recv_all(in, &m, sizeof m));                                       \
    }                                                                                              \
    static void pingpong_serve##B(struct bench_run *r)                                             \
    {                                                                                              \
        struct inbox *in = inbox_of(r->fd[0]);                                                     \
        BENCH_PINGPONG_SERVE(B, send_all(r->fd[3], &m, sizeof m), recv_all(in, &m, sizeof m));     \
    }                                                                                              \
    static uint64_t pingpong_measure##B(struct bench_run *r)                                       \
    {                                                                                              \
        struct inbox *in = inbox_of(r->fd[2]);                                                     \
        BENCH_PINGPONG_MEASURE(B, send_all(r->fd[1], &m, sizeof m), recv_all(in, &m, sizeof m));   \
    }

BENCH_SIZES(KERNEL_CASES)

#define ROWS(SYSTEM, PREPARE, B)                                                                   \
    {.system = SYSTEM,                                                                             \
     .test = "stream",                                                                             \
     .shape = "spsc",                                                                              \
     .bytes = B,                                                                                   \
     .memory = 4096,                                                                               \
     .prepare = PREPARE,                                                                           \
     .serve = stream_serve##B,                                                                     \
     .measure = stream_measure##B},                                                                \
        {.system = SYSTEM,                                                                         \
         .test = "pingpong",                                                                       \
         .shape = "spsc",                                                                          \
         .bytes = B,                                                                               \
         .memory = 4096,                                                                           \
         .prepare = PREPARE,                                                                       \
         .serve = pingpong_serve##B,                                                               \
         .measure = pingpong_measure##B},
#define PIPE_ROWS(B) ROWS("pipe", prepare_pipe, B)
#define UNIX_ROWS(B) ROWS("unix_stream", prepare_unix, B)

const struct bench_case bench_kernel[] = {BENCH_SIZES(PIPE_ROWS)
                                              BENCH_SIZES(UNIX_ROWS){.system = NULL}};
