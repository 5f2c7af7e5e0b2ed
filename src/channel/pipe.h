/* pipe: and fifo:. */
#ifndef IPC_SRC_CHANNEL_PIPE_H
#define IPC_SRC_CHANNEL_PIPE_H 1

#include "frame.h"

/* ------------------------------------------------------------------ pipes and FIFOs */

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
    int rc = 0;

    (void)deadline;
    ch->state |= IPC_CHANNEL_UNUSED_;
    ch->pid = getpid();
    if ((ch->role & IPC_SEND) != 0)
        rc = ipc_channel_make_pipe_(ch, &ch->far_in, &ch->out);
    if (rc == 0 && (ch->role & IPC_RECV) != 0)
        rc = ipc_channel_make_pipe_(ch, &ch->in, &ch->far_out);
    return rc;
}

/* The first use after fork, or of none: who are we? */
IPC_INLINE void ipc_channel_pipe_choose_ends_(struct ipc_channel *ch)
{
    int fd;

    ch->state &= ~IPC_CHANNEL_UNUSED_;
    if (ch->pid != getpid()) { /* the child's ends are the far ones */
        fd = ch->in;
        ch->in = ch->far_in;
        ch->far_in = fd;
        fd = ch->out;
        ch->out = ch->far_out;
        ch->far_out = fd;
        ch->role = (ch->in >= 0 ? IPC_RECV : 0u) | (ch->out >= 0 ? IPC_SEND : 0u);
    }
    ipc_channel_close_fd_(&ch->far_in);
    ipc_channel_close_fd_(&ch->far_out);
}

/* Opens the FIFO; -ENOENT, -ENXIO: not yet. */
IPC_INLINE int ipc_channel_fifo_open_end_(struct ipc_channel *ch)
{
    int reads = (ch->role & IPC_RECV) != 0, rc;
    int fd = open(ch->address, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0)
        return ipc_channel_refuse_errno_(ch, "open");
    rc = fstat(fd, &st) != 0 ? -errno : ipc_channel_check_owner_(ch, &st, S_IFIFO);
    if (rc != 0)
        (void)close(fd);
    return rc != 0 ? rc : fd;
}

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
    int rc;

    if ((ch->role & IPC_LISTEN) == 0)
        return ipc_channel_fifo_meet_(ch, deadline);
    if (mkfifo(ch->address, 0600) == 0 && (rc = ipc_channel_set_mode_(ch, S_IFIFO, &st)) != 0)
        return ipc_channel_refuse_(ch, rc, "fifo: cannot set the mode of '%s': %s", ch->address,
                                   strerror(-rc));
    if (lstat(ch->address, &st) != 0)
        return ipc_channel_refuse_errno_(ch, "make");
    /* A reader is there from now on; a writer opens when there is a reader. */
    return (ch->role & IPC_RECV) != 0 ? ipc_channel_fifo_meet_(ch, IPC_NOW)
                                      : ipc_channel_check_owner_(ch, &st, S_IFIFO);
}

IPC_INLINE int ipc_channel_fifo_unlink_(struct ipc_channel *ch)
{
    return ipc_channel_remove_(ch->address, S_IFIFO);
}

#endif
