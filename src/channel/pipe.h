/*
 * pipe: and fifo:, the kernel's pipes.
 *
 *   pipe:       Two processes of one program: open, fork, and use the channel in both. IPC_BOTH
 *               makes a pipe for each direction. The first call after fork decides which process
 *               uses which ends: the process that opened the channel has the role that it asked
 *               for, its child the opposite one. There is no listener to wait for.
 *   fifo:PATH   A named pipe in one direction. The listener makes it. The other side waits for it,
 *               and a sender also for a receiver. Any number of senders, which must keep to
 *               PIPE_BUF - 8 bytes (4088) if there are several.
 *
 *   Access   pipe: the two processes. fifo: each process that the FIFO's mode permits; the FIFO of
 *            a user other than this one, root and options.user is refused.
 *   Loss     -EPIPE after all that the other side sent, or -EOWNERDEAD if it died in the middle of
 *            a message. A FIFO's receiver then waits for the next sender, a sender for the next
 *            receiver; over pipe: each call reports the loss again.
 *   Limits   The kernel keeps 64 KiB on the way. A FIFO outlives its processes.
 */
#ifndef IPC_SRC_CHANNEL_PIPE_H
#define IPC_SRC_CHANNEL_PIPE_H 1

#include "frame.h"

/* ------------------------------------------------------------------ pipe: */

/* The descriptors that the child uses, until the first call has decided which process this is. */
struct ipc_channel_pipe_ {
    int child_in, child_out;
};

IPC_INLINE int ipc_channel_make_pipe_(struct ipc_channel *ch, int *in, int *out)
{
    int fds[2];

    if (syscall(SYS_pipe2, fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return ipc_channel_refuse_(ch, -errno, "cannot make a pipe: %s", strerror(errno));
    *in = fds[0];
    *out = fds[1];
    return 0;
}

IPC_INLINE int ipc_channel_pipe_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_pipe_ *own = (struct ipc_channel_pipe_ *)ch->state;
    int rc = 0;

    (void)deadline;
    own->child_in = own->child_out = -1;
    if (ch->address[0] != '\0')
        return ipc_channel_refuse_(ch, -EINVAL, "pipe: has no name, as only a child can use it: '%s'",
                                   ch->address);
    ch->flags |= IPC_CHANNEL_UNUSED_;
    if ((ch->role & IPC_SEND) != 0)
        rc = ipc_channel_make_pipe_(ch, &own->child_in, &ch->out);
    if (rc == 0 && (ch->role & IPC_RECV) != 0)
        rc = ipc_channel_make_pipe_(ch, &ch->in, &own->child_out);
    return rc;
}

IPC_INLINE void ipc_channel_pipe_close_(struct ipc_channel *ch)
{
    struct ipc_channel_pipe_ *own = (struct ipc_channel_pipe_ *)ch->state;

    ipc_channel_close_fd_(&own->child_in);
    ipc_channel_close_fd_(&own->child_out);
}

/* The first use: keeps this process's ends and closes the others. */
IPC_INLINE void ipc_channel_pipe_choose_ends_(struct ipc_channel *ch)
{
    struct ipc_channel_pipe_ *own = (struct ipc_channel_pipe_ *)ch->state;
    int in = ch->in, out = ch->out;

    if (ch->pid != getpid()) {
        ch->in = own->child_in;
        ch->out = own->child_out;
        own->child_in = in;
        own->child_out = out;
        ch->role = (ch->in >= 0 ? IPC_RECV : 0u) | (ch->out >= 0 ? IPC_SEND : 0u);
    }
    ipc_channel_pipe_close_(ch);
}

static const struct ipc_channel_kind_ ipc_channel_pipe_kind_ = {
    "pipe",
    IPC_CHANNEL_OPEN_TO_ALL_,
    sizeof(struct ipc_channel_pipe_),
    0,
    0,
    ipc_channel_pipe_open_,
    ipc_channel_pipe_close_,
    NULL, /* unlink: it has no name */
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    NULL, /* meet: no other process can come */
    NULL, /* reopen */
    ipc_channel_pipe_choose_ends_,
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

/* ------------------------------------------------------------------ fifo: */

/* Opens this side's end. -ENOENT: there is no FIFO yet; -ENXIO: it has no receiver yet. */
IPC_INLINE int ipc_channel_fifo_open_end_(struct ipc_channel *ch)
{
    int reads = (ch->role & IPC_RECV) != 0, rc;
    int fd = open(ch->address, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0)
        return ipc_channel_refuse_errno_(ch, "open");
    rc = fstat(fd, &st) != 0 ? -errno : ipc_channel_check_owner_(ch, &st, S_IFIFO);
    if (rc == 0)
        return fd;
    (void)close(fd);
    return rc;
}

/* Waits for the FIFO, and for a receiver. */
IPC_INLINE int ipc_channel_fifo_meet_(struct ipc_channel *ch, int64_t deadline)
{
    int rc, nap = 0;

    while ((rc = ipc_channel_fifo_open_end_(ch)) == -ENOENT || rc == -ENXIO) {
        nap = ipc_channel_nap_(deadline);
        if (nap == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, nap, "fifo: until the deadline nobody %s '%s'",
                                       rc == -ENOENT ? "made" : "read from", ch->address);
        if (nap != 0)
            return nap;
    }
    if (rc < 0)
        return rc;
    *((ch->role & IPC_RECV) != 0 ? &ch->in : &ch->out) = rc;
    return 0;
}

IPC_INLINE int ipc_channel_fifo_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct stat st;
    int rc, why;

    if ((ch->role & IPC_LISTEN) == 0)
        return ipc_channel_fifo_meet_(ch, deadline);
    why = mkfifo(ch->address, ch->how.mode) == 0 ? 0 : errno;
    if (why == 0 && (rc = ipc_channel_set_mode_(ch, S_IFIFO, &st)) != 0)
        return ipc_channel_refuse_(ch, rc, "fifo: cannot set the mode of '%s': %s%s", ch->address,
                                   strerror(-rc), ipc_channel_make_hint_(rc));
    if (lstat(ch->address, &st) != 0) {
        errno = why != 0 && why != EEXIST ? why : errno;
        return ipc_channel_refuse_errno_(ch, "make");
    }
    /* A receiver has its end from now on. A sender opens its own at the first send, as it can do
     * so only while there is a receiver. */
    return (ch->role & IPC_RECV) != 0 ? ipc_channel_fifo_meet_(ch, IPC_NOW)
                                      : ipc_channel_check_owner_(ch, &st, S_IFIFO);
}

IPC_INLINE int ipc_channel_fifo_unlink_(struct ipc_channel *ch)
{
    return ipc_channel_remove_(ch->address, S_IFIFO);
}

static const struct ipc_channel_kind_ ipc_channel_fifo_kind_ = {
    "fifo",
    IPC_CHANNEL_ONE_WAY_,
    0, /* own: nothing */
    0,
    0,
    ipc_channel_fifo_open_,
    NULL, /* close */
    ipc_channel_fifo_unlink_,
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    ipc_channel_fifo_meet_,
    ipc_channel_fifo_open_end_,
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

#endif
