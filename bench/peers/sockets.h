/* What libraries of message sockets share: streams by push and pull, round trips by request and
 * reply, with the library's default settings and functions that sleep. Polling with sched_yield was
 * tried: the library's own threads sleep all the same, and need the core (ZeroMQ's streams fell to
 * an eighth, and its round trips took as long). With both processes on one core round trips take
 * half as long, and streams take twice as long. A file that includes this defines the type `end`,
 * open_end, END_SEND and END_RECV. */
#ifndef BENCH_PEERS_SOCKETS_H
#define BENCH_PEERS_SOCKETS_H

#include "../kit/sides.h"

enum kind { PUSH, PULL, REP, REQ };

/* An address of this benchmark's own, in Linux's abstract namespace, so that no file is left
 * behind. */
static void sockets_address(char *to, size_t size, const char *scheme)
{
    (void)snprintf(to, size, "%sipc_bench-%d", scheme, (int)getppid());
}

/* Messages are lost if their sender ends before they have come. So the receiver tells by a pipe
 * that it has all. */
static int sockets_prepare(struct bench_run *r)
{
    return pipe(r->fd) != 0 ? -errno : 0;
}

static void sockets_serve(struct bench_run *r, void (*all)(struct bench_run *))
{
    char c;

    all(r);
    bench_check(read(r->fd[0], &c, 1) == 1, "end");
}

static uint64_t sockets_measure(struct bench_run *r, uint64_t (*all)(struct bench_run *))
{
    uint64_t ns = all(r);

    bench_check(write(r->fd[1], "", 1) == 1, "end");
    return ns;
}

#define SOCKETS_CASES(B)                                                                           \
    BENCH_MESSAGE(B)                                                                               \
                                                                                                   \
    static void push##B(struct bench_run *r)                                                       \
    {                                                                                              \
        end e = open_end(PUSH);                                                                    \
        BENCH_STREAM_SERVE(B, END_SEND(e, m));                                                     \
    }                                                                                              \
    static uint64_t pull##B(struct bench_run *r)                                                   \
    {                                                                                              \
        end e = open_end(PULL);                                                                    \
        BENCH_STREAM_MEASURE(B, END_RECV(e, m));                                                   \
    }                                                                                              \
    static void rep##B(struct bench_run *r)                                                        \
    {                                                                                              \
        end e = open_end(REP);                                                                     \
        BENCH_PINGPONG_SERVE(B, END_SEND(e, m), END_RECV(e, m));                                   \
    }                                                                                              \
    static uint64_t req##B(struct bench_run *r)                                                    \
    {                                                                                              \
        end e = open_end(REQ);                                                                     \
        BENCH_PINGPONG_MEASURE(B, END_SEND(e, m), END_RECV(e, m));                                 \
    }                                                                                              \
    static void stream_serve##B(struct bench_run *r)                                               \
    {                                                                                              \
        sockets_serve(r, push##B);                                                                 \
    }                                                                                              \
    static uint64_t stream_measure##B(struct bench_run *r)                                         \
    {                                                                                              \
        return sockets_measure(r, pull##B);                                                        \
    }                                                                                              \
    static void pingpong_serve##B(struct bench_run *r)                                             \
    {                                                                                              \
        sockets_serve(r, rep##B);                                                                  \
    }                                                                                              \
    static uint64_t pingpong_measure##B(struct bench_run *r)                                       \
    {                                                                                              \
        return sockets_measure(r, req##B);                                                         \
    }

#define SOCKETS_ROW(SYSTEM, TEST, B)                                                               \
    {                                                                                              \
        .system = SYSTEM, .test = #TEST, .shape = "spsc", .bytes = B, .memory = 4096,              \
        .prepare = sockets_prepare, .serve = TEST##_serve##B, .measure = TEST##_measure##B,        \
        .wait = BENCH_SLEEP                                                                        \
    }
#define SOCKETS_ROWS(SYSTEM, B) SOCKETS_ROW(SYSTEM, stream, B), SOCKETS_ROW(SYSTEM, pingpong, B)

#endif
