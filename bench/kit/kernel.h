/* Byte streams of the kernel, used well. The writer makes one call for each message. The reader
 * takes all bytes that are there with one call, and a large message goes to its place without a
 * copy. */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include "sides.h"
#include <fcntl.h>
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
