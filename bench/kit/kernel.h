/* Byte streams of the kernel, used well. The writer makes one call for each message. The reader
 * takes all bytes that are there with one call, and a large message goes to its place without a
 * copy. */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include "sides.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Makes both sides poll. */
static inline int nonblocking(struct bench_run *r)
{
    int i;

    for (i = 0; i < 4; i++)
        if (r->fd[i] >= 0 && fcntl(r->fd[i], F_SETFL, O_NONBLOCK) != 0)
            return -errno;
    return 0;
}

/* fd[0] and fd[1] are connected: each is duplicated for the other direction. */
static inline int both_ways(struct bench_run *r)
{
    return (r->fd[2] = dup(r->fd[1])) < 0 || (r->fd[3] = dup(r->fd[0])) < 0 ? -errno : 0;
}

static inline int connect_tcp(struct bench_run *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0), i, one = 1;

    r->fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) != 0 ||
        connect(r->fd[1], (struct sockaddr *)&a, size) != 0)
        return -errno;
    r->fd[0] = accept(fd, NULL, NULL);
    (void)close(fd);
    for (i = 0; i < 2; i++)
        if (setsockopt(r->fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
            return -errno;
    return both_ways(r);
}

/* POSIX queues, one for each direction. On Linux a queue is a descriptor, and is inherited. */
static inline int open_queues(struct bench_run *r)
{
    char name[32];
    int i;

    (void)snprintf(name, sizeof name, "/ipc_bench-%ld", (long)getpid());
    for (i = 0; i < 4; i += 2) {
        r->fd[i] = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, NULL);
        if (r->fd[i] < 0 || mq_unlink(name) != 0 || (r->fd[i + 1] = dup(r->fd[i])) < 0)
            return -errno;
    }
    return 0;
}

static inline void put_in_queue(int fd, const void *message, size_t bytes)
{
    while (mq_send(fd, (const char *)message, bytes, 0) != 0)
        bench_check(errno == EAGAIN, "mq_send");
}

static inline void take_from_queue(int fd, void *message, size_t bytes)
{
    static char largest[8192]; /* the kernel demands room for the largest message */

    while (mq_receive(fd, largest, sizeof largest, NULL) != (ssize_t)bytes)
        bench_check(errno == EAGAIN, "mq_receive");
    memcpy(message, largest, bytes);
}

static inline void send_all(int fd, const void *message, size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t n = write(fd, (const char *)message + done, bytes - done);

        bench_check(n > 0 || errno == EAGAIN, "write");
        done += n > 0 ? (size_t)n : 0;
    }
}

/* What a reader has read and not yet given out: bytes[from] to bytes[to - 1]. */
struct inbox {
    int fd;
    size_t from, to;
    char bytes[65536];
};

/* Reads the bytes that are there: the first `bytes` into `to`, others into `rest`. Returns how
 * many, 0 if there are none. */
static inline size_t recv_some(int fd, void *to, size_t bytes, void *rest, size_t more)
{
    struct iovec io[2] = {{to, bytes}, {rest, more}};
    ssize_t n = more == 0 ? read(fd, to, bytes) : readv(fd, io, 2);

    bench_check(n > 0 || (n < 0 && errno == EAGAIN), "read");
    return n > 0 ? (size_t)n : 0;
}

static inline void recv_all(struct inbox *in, void *message, size_t bytes)
{
    size_t have = in->to - in->from;

    if (bytes >= 16384 && have < bytes) {
        memcpy(message, in->bytes + in->from, have);
        while (have < bytes)
            have += recv_some(in->fd, (char *)message + have, bytes - have, in->bytes,
                              sizeof in->bytes);
        in->from = 0;
        in->to = have - bytes;
        return;
    }
    while (in->to - in->from < bytes) {
        memmove(in->bytes, in->bytes + in->from, in->to - in->from);
        in->to -= in->from;
        in->from = 0;
        in->to += recv_some(in->fd, in->bytes + in->to, sizeof in->bytes - in->to, NULL, 0);
    }
    memcpy(message, in->bytes + in->from, bytes);
    in->from += bytes;
}

static struct inbox inbox; /* each process has one of its own */

static inline struct inbox *inbox_of(int fd)
{
    inbox.fd = fd;
    inbox.from = inbox.to = 0;
    return &inbox;
}

#endif
