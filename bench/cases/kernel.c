/* Pipes and Unix stream sockets. Both sides poll, like those of the rings: to sleep and to be woken
 * would take longer than the message. */
#include "../kit/kernel.h"
#include "../kit/sizes.h"

BENCH_SIZES(BENCH_MESSAGE)
SIZES_ABOVE_8(BENCH_MESSAGE)

/* There: fd[0] reads what fd[1] writes. Back: fd[2] reads what fd[3] writes. */
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

#define STREAM_CASES(B)                                                                            \
    static void stream_serve##B(struct bench_run *r)                                               \
    {                                                                                              \
        BENCH_STREAM_SERVE(B, send_all(r->fd[1], &m, sizeof m));                                   \
    }                                                                                              \
    static uint64_t stream_measure##B(struct bench_run *r)                                         \
    {                                                                                              \
        struct inbox *in = inbox_of(r->fd[0]);                                                     \
        BENCH_STREAM_MEASURE(B, recv_all(in, &m, sizeof m));                                       \
    }

BENCH_SIZES(STREAM_CASES)
SIZES_ABOVE_8(STREAM_CASES)

#define PINGPONG_CASES(B)                                                                          \
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

BENCH_SIZES(PINGPONG_CASES)

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

#define SIZES_ROWS(B)                                                                              \
    SIZES_ROW("pipe", B, 4096, prepare_pipe, stream_serve##B, stream_measure##B),                  \
        SIZES_ROW("unix_stream", B, 4096, prepare_unix, stream_serve##B, stream_measure##B),

BENCH_GROUP(kernel) = {BENCH_SIZES(PIPE_ROWS) BENCH_SIZES(UNIX_ROWS)
                           SIZES(SIZES_ROWS){.system = NULL}};
