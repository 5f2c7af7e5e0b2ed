/*
 * Frames: messages on streams of bytes, for pipe:, fifo:, unix:, tcp: and auto:.
 *
 * A frame is the message's length, the length again with other bits as its check, and the message;
 * both numbers have 32 bits in network byte order. Where a channel stands in its streams:
 *
 *     tx [begin, end)   the rest of a frame that a deadline has cut off; it goes out before
 *                       anything else, with the next send, recv or flush
 *     rx [begin, end)   bytes that were read and not handed out yet: whole frames, then a part of
 *                       one
 */
#ifndef IPC_SRC_CHANNEL_FRAME_H
#define IPC_SRC_CHANNEL_FRAME_H 1

#include "wait.h"

/* ------------------------------------------------------------------ frames */

#define IPC_CHANNEL_CHECK_ 0x69706331u /* "ipc1" */

IPC_INLINE void ipc_channel_put_(unsigned char *to, uint32_t value)
{
    value = htonl(value);
    memcpy(to, &value, sizeof value);
}

IPC_INLINE uint32_t ipc_channel_get_(const unsigned char *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof value);
    return ntohl(value);
}

IPC_INLINE void ipc_channel_put_header_(unsigned char *to, size_t n)
{
    ipc_channel_put_(to, (uint32_t)n);
    ipc_channel_put_(to + 4, (uint32_t)n ^ IPC_CHANNEL_CHECK_);
}

/* The message's length, or -EBADMSG. */
IPC_INLINE int64_t ipc_channel_get_length_(const struct ipc_channel *ch, const unsigned char *from)
{
    uint32_t n = ipc_channel_get_(from);

    return (ipc_channel_get_(from + 4) ^ n) == IPC_CHANNEL_CHECK_ && n <= ch->max ? (int64_t)n
                                                                                  : -EBADMSG;
}

/* Leaves the other side, as its frame begins with no header, or with one that is refused. */
IPC_INLINE int ipc_channel_refuse_frame_(struct ipc_channel *ch, const unsigned char *from)
{
    uint32_t n = ipc_channel_get_(from);
    int is_header = (ipc_channel_get_(from + 4) ^ n) == IPC_CHANNEL_CHECK_;
    int rc = ipc_channel_lose_peer_(ch, -EBADMSG);

    return !is_header
               ? rc
               : ipc_channel_refuse_(ch, rc,
                                     "%s:%s: a message of %lu bytes came: options.max is "
                                     "%zu here; the sender was left",
                                     ch->kind->scheme, ch->address, (unsigned long)n, ch->max);
}

/* Does the channel hold a message that was read and not handed out? Also what recv will refuse. */
IPC_INLINE int ipc_channel_holds_message_(const struct ipc_channel *ch)
{
    size_t have = ch->rx.end - ch->rx.begin;
    int64_t n;

    if (ch->next != 0 || have < IPC_CHANNEL_HEADER_)
        return ch->next != 0;
    n = ipc_channel_get_length_(ch, ch->rx.data + ch->rx.begin);
    return n < 0 || (size_t)n <= have - IPC_CHANNEL_HEADER_;
}

/* memcpy that, for few bytes, is no call: see IPC_CHANNEL_HOT_. */
IPC_FORCE_INLINE void ipc_channel_copy_(unsigned char *to, const unsigned char *from, size_t n)
{
    uint64_t word, last;
    size_t i;

    if (n - 8 > 56) { /* fewer than 8, or more than 64 */
        memcpy(to, from, n);
        return;
    }
    memcpy(&last, from + n - 8, 8);
    for (i = 0; i + 8 < n; i += 8) {
        memcpy(&word, from + i, 8);
        memcpy(to + i, &word, 8);
    }
    memcpy(to + n - 8, &last, 8);
}

/* ------------------------------------------------------------------ system calls */

/* Writes to a pipe, and raises no SIGPIPE. Where the kernel has no flag for that, the signal is
 * blocked in this thread for the time of the write, and taken away if the write has raised it. */
IPC_INLINE ssize_t ipc_channel_write_without_signal_(struct ipc_channel *ch, const struct iovec *io,
                                                     int n)
{
    static const struct timespec now = {0, 0};
    sigset_t pipes, before, pending;
    ssize_t rc;
    int error, was;

#ifdef SYS_pwritev2
    if ((ch->flags & IPC_CHANNEL_MASK_) == 0) {
        rc = syscall(SYS_pwritev2, ch->out, io, n, -1L, -1L, 0x100 /* RWF_NOSIGNAL */);
        if (rc >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
            return rc;
        ch->flags |= IPC_CHANNEL_MASK_;
    }
#endif
    (void)sigemptyset(&pipes);
    (void)sigaddset(&pipes, SIGPIPE);
    was = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipes, &before);
    rc = writev(ch->out, io, n);
    error = errno;
    if (rc < 0 && error == EPIPE && !was)
        while (sigtimedwait(&pipes, NULL, &now) < 0 && errno == EINTR)
            ;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return rc;
}

/* Does this errno of a socket say that the connection is at its end? The last ones do so where the
 * other host does not answer. */
IPC_INLINE int ipc_channel_is_end_(int error)
{
    return error == ECONNRESET || error == ENOTCONN || error == ETIMEDOUT ||
           error == EHOSTUNREACH || error == ENETUNREACH;
}

/* One system call that writes what there is room for. Bytes, or a negative errno: -EAGAIN where
 * there is no room, -EPIPE where the other side is gone. With `block`, a socket waits. */
IPC_INLINE int64_t ipc_channel_write_(struct ipc_channel *ch, struct iovec *io, int n, int block)
{
    int flags = MSG_NOSIGNAL | (block ? 0 : MSG_DONTWAIT);
    struct msghdr m;
    ssize_t rc;

    if (!ipc_channel_is_socket_(ch)) {
        if ((ch->flags & IPC_CHANNEL_SIGPIPE_IGNORED_) == 0)
            rc = ipc_channel_write_without_signal_(ch, io, n);
        else
            rc = n == 1 ? write(ch->out, io[0].iov_base, io[0].iov_len) : writev(ch->out, io, n);
    } else if (n == 1) {
        rc = send(ch->out, io[0].iov_base, io[0].iov_len, flags);
    } else {
        memset(&m, 0, sizeof m);
        m.msg_iov = io;
        m.msg_iovlen = (size_t)n;
        rc = sendmsg(ch->out, &m, flags);
    }
    if (rc >= 0)
        return rc;
    return ipc_channel_is_end_(errno) ? -EPIPE : -errno;
}

/* One system call that reads what is there. Bytes, 0 at the end, or a negative errno: -EAGAIN where
 * nothing is there. With `block`, a socket waits. */
IPC_INLINE int64_t ipc_channel_read_(struct ipc_channel *ch, struct iovec *io, int n, int block)
{
    int flags = block ? 0 : MSG_DONTWAIT;
    struct msghdr m;
    ssize_t rc;

    if (!ipc_channel_is_socket_(ch)) {
        rc = n == 1 ? read(ch->in, io[0].iov_base, io[0].iov_len) : readv(ch->in, io, n);
    } else if (n == 1) {
        rc = recv(ch->in, io[0].iov_base, io[0].iov_len, flags);
    } else {
        memset(&m, 0, sizeof m);
        m.msg_iov = io;
        m.msg_iovlen = (size_t)n;
        rc = recvmsg(ch->in, &m, flags);
    }
    if (rc >= 0)
        return rc;
    return ipc_channel_is_end_(errno) ? 0 : -errno;
}

/* ------------------------------------------------------------------ sending frames */

/* Writes the rest of io, of which a call has written rc bytes, or none: -EAGAIN. */
IPC_INLINE int ipc_channel_write_on_(struct ipc_channel *ch, struct iovec *io, int n,
                                     int64_t deadline, size_t *done, int64_t rc)
{
    for (;;) {
        if (rc == -EAGAIN)
            rc = ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
        if (rc < 0)
            return (int)rc;
        *done += (size_t)rc;
        for (; n > 0 && (size_t)rc >= io->iov_len; n--, io++)
            rc -= (int64_t)io->iov_len;
        if (n == 0)
            return 0;
        io->iov_base = (unsigned char *)io->iov_base + rc;
        io->iov_len -= (size_t)rc;
        rc = ipc_channel_write_(ch, io, n, deadline == IPC_FOREVER);
    }
}

/* Writes all of io, which has `all` bytes, until the deadline. *done: the bytes that were written.
 * Changes io. */
IPC_FORCE_INLINE int ipc_channel_write_all_(struct ipc_channel *ch, struct iovec *io, int n,
                                            size_t all, int64_t deadline, size_t *done)
{
    int64_t rc = ipc_channel_write_(ch, io, n, deadline == IPC_FOREVER);

    *done = 0;
    if (CK_CC_UNLIKELY(rc != (int64_t)all))
        return ipc_channel_write_on_(ch, io, n, deadline, done, rc);
    *done = all;
    return 0;
}

/* Sends the rest of a frame that a deadline has cut off. */
IPC_INLINE int ipc_channel_send_rest_(struct ipc_channel *ch, int64_t deadline)
{
    struct iovec io;
    size_t done;
    int rc;

    if (ch->tx.begin == ch->tx.end)
        return 0;
    io.iov_base = ch->tx.data + ch->tx.begin;
    io.iov_len = ch->tx.end - ch->tx.begin;
    rc = ipc_channel_write_all_(ch, &io, 1, io.iov_len, deadline, &done);
    ch->tx.begin += done;
    return rc == -EPIPE ? ipc_channel_stop_sending_(ch, rc) : rc;
}

IPC_CHANNEL_HOT_ int ipc_channel_stream_send_(struct ipc_channel *ch, const void *message, size_t n,
                                              int64_t deadline)
{
    unsigned char frame[IPC_CHANNEL_HEADER_ + IPC_CHANNEL_SMALL_];
    struct iovec io[2];
    size_t done, head = IPC_CHANNEL_HEADER_;
    int rc, small = n <= IPC_CHANNEL_SMALL_;

    if (CK_CC_UNLIKELY(ch->tx.begin != ch->tx.end)) {
        rc = ipc_channel_send_rest_(ch, deadline);
        if (rc != 0)
            return rc;
    }
    ipc_channel_put_header_(frame, n);
    if (small)
        ipc_channel_copy_(frame + head, (const unsigned char *)message, n);
    io[0].iov_base = frame;
    io[0].iov_len = small ? head + n : head;
    io[1].iov_base = (void *)(uintptr_t)message;
    io[1].iov_len = n;
    rc = ipc_channel_write_all_(ch, io, small ? 1 : 2, head + n, deadline, &done);
    if (rc == -EPIPE)
        return ipc_channel_stop_sending_(ch, rc);
    if (rc == 0 || done == 0)
        return rc;
    /* The frame is begun, so its rest is kept, and the message counts as sent. */
    ch->tx.begin = done;
    ch->tx.end = head + n;
    if (done < head)
        memcpy(ch->tx.data + done, frame + done, head - done);
    done = done < head ? 0 : done - head;
    memcpy(ch->tx.data + head + done, (const unsigned char *)message + done, n - done);
    return 0;
}

/* ------------------------------------------------------------------ receiving frames */

/* A read of a pipe or FIFO has returned 0. Has every sender hung up? A FIFO that no sender has
 * opened yet returns 0, too. */
IPC_INLINE int ipc_channel_has_hung_up_(struct pollfd *in)
{
    return poll(in, 1, 0) > 0 && (in->revents & POLLHUP) != 0 && (in->revents & POLLIN) == 0;
}

/* Waits for bytes until the deadline, and reads them, after a call that read none: rc is 0 or a
 * negative errno. Meanwhile it sends what a deadline has cut off. */
IPC_INLINE int64_t ipc_channel_read_later_(struct ipc_channel *ch, struct iovec *io, int n,
                                           int64_t deadline, int64_t rc)
{
    for (;;) {
        int pending = ch->tx.begin != ch->tx.end;
        struct pollfd p[2];

        if (rc > 0 || (rc < 0 && rc != -EAGAIN))
            return rc;
        if (rc < 0 && deadline <= IPC_NOW && !pending)
            return -ETIMEDOUT;
        p[0].fd = ch->in;
        p[0].events = POLLIN;
        if (rc == 0 && (ipc_channel_is_socket_(ch) || ipc_channel_has_hung_up_(p)))
            return ch->rx.begin == ch->rx.end ? -EPIPE : -EOWNERDEAD;
        p[1].fd = pending ? ch->out : -1;
        p[1].events = POLLOUT;
        rc = ipc_channel_poll_(p, 2, deadline);
        if (rc != 0)
            return rc;
        if (pending && p[1].revents != 0)
            (void)ipc_channel_send_rest_(ch, IPC_NOW);
        pending = ch->tx.begin != ch->tx.end;
        rc = ipc_channel_read_(ch, io, n, deadline == IPC_FOREVER && !pending);
    }
}

/* Reads some bytes, and waits for them until the deadline. Bytes, or a negative errno: -EPIPE at
 * the end, -EOWNERDEAD at an end within a frame. */
IPC_FORCE_INLINE int64_t ipc_channel_read_some_(struct ipc_channel *ch, struct iovec *io, int n,
                                                int64_t deadline)
{
    int pending = ch->tx.begin != ch->tx.end;
    int64_t rc = ipc_channel_read_(ch, io, n, deadline == IPC_FOREVER && !pending);

    return CK_CC_LIKELY(rc > 0) ? rc : ipc_channel_read_later_(ch, io, n, deadline, rc);
}

/* Reads more bytes behind those in rx. 0, or as ipc_channel_read_some_. */
IPC_INLINE int ipc_channel_read_more_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    struct iovec io;
    int64_t rc;

    rx->end -= rx->begin;
    if (rx->end != 0)
        memmove(rx->data, rx->data + rx->begin, rx->end);
    rx->begin = 0;
    io.iov_base = rx->data + rx->end;
    io.iov_len = IPC_CHANNEL_GULP_; /* there is as much room behind the largest message */
    rc = ipc_channel_read_some_(ch, &io, 1, deadline);
    if (rc < 0)
        return (int)rc;
    rx->end += (size_t)rc;
    return 0;
}

/* Reads the rest of a large message of n bytes to the caller's memory. rx has its header and its
 * first bytes, which are copied at the end; `done` bytes count as read, those in rx and those that
 * are at to[] already. What comes behind the message goes to rx. 0, or as ipc_channel_read_some_:
 * then all that came is in rx. */
IPC_INLINE int ipc_channel_read_to_caller_(struct ipc_channel *ch, unsigned char *to, size_t n,
                                           size_t done, int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    size_t begun = rx->end - rx->begin - IPC_CHANNEL_HEADER_;
    struct iovec io[2];
    unsigned reads = 0;
    int64_t rc;

    if (rx->begin != 0)
        memmove(rx->data, rx->data + rx->begin, IPC_CHANNEL_HEADER_ + begun);
    rx->begin = 0;
    rx->end = IPC_CHANNEL_HEADER_ + begun;
    while (done < n) {
        io[0].iov_base = to + done;
        io[0].iov_len = n - done;
        io[1].iov_base = rx->data + rx->end;
        io[1].iov_len = IPC_CHANNEL_GULP_;
        rc = ipc_channel_has_skipped_enough_(&reads, deadline)
                 ? -ETIMEDOUT
                 : ipc_channel_read_some_(ch, io, 2, deadline);
        if (rc < 0) { /* only what is new is copied, as the caller may try many times */
            memcpy(rx->data + rx->end, to + begun, done - begun);
            rx->end += done - begun;
            return (int)rc;
        }
        done += (size_t)rc;
    }
    memcpy(to, rx->data + IPC_CHANNEL_HEADER_, begun);
    rx->begin = rx->end;
    rx->end += done - n;
    return 0;
}

/* Reads the next message, of which rx has nothing, as if it were as long as the last one, which was
 * large: then all of it goes to the caller's memory. 1: it was; 0: it was not, and all that came is
 * in rx; or as ipc_channel_read_some_. */
IPC_INLINE int ipc_channel_read_like_last_(struct ipc_channel *ch, unsigned char *to,
                                           int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    size_t n = ch->last, head = IPC_CHANNEL_HEADER_, got, body = 0;
    struct iovec io[3];
    int64_t rc;

    io[0].iov_base = rx->data;
    io[0].iov_len = head;
    io[1].iov_base = to;
    io[1].iov_len = n;
    io[2].iov_base = rx->data + head;
    io[2].iov_len = IPC_CHANNEL_GULP_;
    rx->begin = rx->end = 0;
    rc = ipc_channel_read_some_(ch, io, 3, deadline);
    if (rc < 0)
        return (int)rc;
    got = (size_t)rc;
    if (got > head)
        body = got - head < n ? got - head : n;
    if (got >= head && ipc_channel_get_length_(ch, rx->data) == (int64_t)n) {
        rx->end = head;
        if (body < n) {
            rc = ipc_channel_read_to_caller_(ch, to, n, body, deadline);
            return rc == 0 ? 1 : (int)rc;
        }
        rx->begin = head;
        rx->end = got - n;
        return 1;
    }
    if (got > head + body)
        memmove(rx->data + head + body, rx->data + head, got - head - body);
    memcpy(rx->data + head, to, body);
    rx->end = got;
    return 0;
}

IPC_CHANNEL_HOT_ int64_t ipc_channel_stream_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                  int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    unsigned reads = 0;
    int64_t n = 0;
    int rc;

    for (;;) {
        size_t have = rx->end - rx->begin;

        if (CK_CC_LIKELY(have >= IPC_CHANNEL_HEADER_)) {
            n = ipc_channel_get_length_(ch, rx->data + rx->begin);
            if (CK_CC_UNLIKELY(n < 0))
                return ipc_channel_refuse_frame_(ch, rx->data + rx->begin);
            if (CK_CC_UNLIKELY((size_t)n > size))
                return ipc_channel_refuse_size_(ch, (size_t)n, size);
            have -= IPC_CHANNEL_HEADER_;
            if (CK_CC_LIKELY(have >= (size_t)n)) {
                ipc_channel_copy_((unsigned char *)to, rx->data + rx->begin + IPC_CHANNEL_HEADER_,
                                  (size_t)n);
                rx->begin += IPC_CHANNEL_HEADER_ + (size_t)n;
                break;
            }
            if ((size_t)n < IPC_CHANNEL_LARGE_)
                rc = ipc_channel_has_skipped_enough_(&reads, deadline)
                         ? -ETIMEDOUT
                         : ipc_channel_read_more_(ch, deadline);
            else if ((rc = ipc_channel_read_to_caller_(ch, (unsigned char *)to, (size_t)n, have,
                                                       deadline)) == 0)
                break;
        } else if (have == 0 && ch->last >= IPC_CHANNEL_LARGE_ && ch->last <= size) {
            n = (int64_t)ch->last;
            rc = ipc_channel_read_like_last_(ch, (unsigned char *)to, deadline);
            if (rc > 0)
                break;
        } else {
            rc = ipc_channel_read_more_(ch, deadline);
        }
        if (rc < 0)
            return rc == -EPIPE || rc == -EOWNERDEAD ? ipc_channel_lose_peer_(ch, rc) : rc;
    }
    ch->last = (size_t)n;
    ch->next = 0;
    return n;
}

#endif
