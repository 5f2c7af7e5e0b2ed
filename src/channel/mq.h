/*
 * mq:NAME, a POSIX message queue in one direction.
 *
 * The listener makes the queue, and the other side waits for it. Any number of senders and
 * receivers. ipc_channel's priority (0 to 32767) goes with each message: the highest comes first,
 * equal ones in order.
 *
 *   Access   Each process that the queue's mode permits. The queue of a user other than this one,
 *            root and options.user is refused, and one of another options.max or options.depth:
 *            -EPROTO.
 *   Loss     No call reports it. The queue keeps its messages.
 *   Limits   10 messages of 8 KiB unless asked for, up to fs.mqueue.msg_max, fs.mqueue.msgsize_max
 *            and `ulimit -q`. A queue outlives its processes.
 */
#ifndef IPC_SRC_CHANNEL_MQ_H
#define IPC_SRC_CHANNEL_MQ_H 1

#include "wait.h"

/* ------------------------------------------------------------------ mq: */

/* A deadline in the past: the call does not block. No other deadline is given to the kernel, which
 * would take it by a clock that may be set. */
static const struct timespec ipc_channel_never_ = {0, 0};

/* The queue's name: a slash, and the URI's name with or without one. */
IPC_INLINE int ipc_channel_mq_name_(struct ipc_channel *ch, char *name, size_t size)
{
    int slash = ch->address[0] == '/';

    if (ch->address[slash] == '\0' || strchr(ch->address + slash, '/') != NULL)
        return ipc_channel_refuse_(ch, -EINVAL, "mq: '%s' must not be empty or hold a slash",
                                   ch->address);
    if (strlen(ch->address) + 2 > size)
        return ipc_channel_refuse_(ch, -ENAMETOOLONG, "mq: '%s' is too long", ch->address);
    (void)snprintf(name, size, "/%s", ch->address + slash);
    return 0;
}

/* What the kernel's refusal to make or open a queue may come of. */
IPC_INLINE const char *ipc_channel_mq_hint_(int rc)
{
    switch (rc) {
    case -EMFILE:
        return " (RLIMIT_MSGQUEUE: ulimit -q)";
    case -ENOSPC:
        return " (fs.mqueue.queues_max)";
    case -EINVAL:
        return " (fs.mqueue.msg_max and msgsize_max)";
    default:
        return "";
    }
}

/* Opens the queue to ch->in, or makes it. 1: it was made; 0: it was there; or a negative errno. */
IPC_INLINE int ipc_channel_mq_find_(struct ipc_channel *ch, const char *name, struct mq_attr *want,
                                    int64_t deadline)
{
    int how = ((ch->role & IPC_RECV) != 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC, rc;
    int listener = (ch->role & IPC_LISTEN) != 0;

    for (;;) {
        ch->in = ipc_move_fd_((int)mq_open(name, how));
        if (ch->in >= 0)
            return 0;
        rc = -errno;
        if (rc == -ENOENT && listener) {
            ch->in = ipc_move_fd_((int)mq_open(
                name, how | O_CREAT | O_EXCL, 0600,
                ch->how.depth != 0 || ch->how.max != 0 ? want : NULL));
            if (ch->in >= 0)
                return 1;
            rc = -errno;
        } else if (rc == -ENOENT) {
            rc = ipc_channel_nap_(deadline);
            if (rc == -ETIMEDOUT)
                return ipc_channel_refuse_(ch, rc, "mq: no queue '%s' until the deadline", name);
        }
        if (rc != 0 && rc != -EEXIST)
            return ipc_channel_refuse_(ch, rc, "mq: cannot %s '%s': %s%s",
                                       listener ? "make" : "open", name, strerror(-rc),
                                       ipc_channel_mq_hint_(rc));
    }
}

IPC_INLINE int ipc_channel_mq_open_(struct ipc_channel *ch, int64_t deadline)
{
    char name[NAME_MAX + 2];
    struct mq_attr want, is;
    struct stat st;
    int made, rc = ipc_channel_mq_name_(ch, name, sizeof name);

    if (rc != 0)
        return rc;
    memset(&want, 0, sizeof want);
    want.mq_maxmsg = ch->how.depth != 0 ? (long)ch->how.depth : 10;
    want.mq_msgsize = ch->how.max != 0 ? (long)ch->how.max : 8192;
    made = ipc_channel_mq_find_(ch, name, &want, deadline);
    if (made < 0)
        return made;
    ch->out = ch->in;
    if ((made && fchmod(ch->in, ch->how.mode) != 0) || fstat(ch->in, &st) != 0 ||
        mq_getattr((mqd_t)ch->in, &is) != 0)
        return ipc_channel_refuse_errno_(ch, "open");
    rc = ipc_channel_check_owner_(ch, &st, 0);
    if (rc == 0 && ((ch->how.max != 0 && is.mq_msgsize != want.mq_msgsize) ||
                    (ch->how.depth != 0 && is.mq_maxmsg != want.mq_maxmsg)))
        rc = ipc_channel_refuse_(ch, -EPROTO,
                                 "mq: '%s' is there with %ld messages of %ld bytes; see "
                                 "ipc_channel_unlink",
                                 name, is.mq_maxmsg, is.mq_msgsize);
    ch->max = (size_t)is.mq_msgsize;
    return rc;
}

IPC_CHANNEL_HOT_ int ipc_channel_mq_send_(struct ipc_channel *ch, const void *message, size_t n,
                                          int64_t deadline)
{
    int rc;

    for (;;) {
        rc = deadline == IPC_FOREVER
                 ? mq_send((mqd_t)ch->out, (const char *)message, n, ch->priority)
                 : mq_timedsend((mqd_t)ch->out, (const char *)message, n, ch->priority,
                                &ipc_channel_never_);
        if (rc == 0 || errno == EINTR)
            return rc == 0 ? 0 : -EINTR;
        if (errno != ETIMEDOUT)
            return ipc_channel_refuse_errno_(ch, "send to");
        rc = ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
        if (rc != 0)
            return rc;
    }
}

IPC_CHANNEL_HOT_ int64_t ipc_channel_mq_recv_(struct ipc_channel *ch, void *to, size_t size,
                                              int64_t deadline)
{
    int direct = size >= ch->max, rc; /* the kernel wants room for the largest message */
    char *at = (char *)(direct ? to : ch->rx.data);
    unsigned priority = 0;
    ssize_t n;

    if (ch->next != 0)
        return ipc_channel_copy_out_(ch, to, size, ch->next);
    for (;;) {
        n = deadline == IPC_FOREVER
                ? mq_receive((mqd_t)ch->in, at, ch->max, &priority)
                : mq_timedreceive((mqd_t)ch->in, at, ch->max, &priority, &ipc_channel_never_);
        if (n >= 0)
            break;
        if (errno != ETIMEDOUT)
            return errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, "receive from");
        rc = ipc_channel_wait_again_(ch->in, POLLIN, deadline);
        if (rc != 0)
            return rc;
    }
    ch->came = priority;
    return direct ? n : ipc_channel_copy_out_(ch, to, size, (size_t)n);
}

IPC_INLINE int ipc_channel_mq_unlink_(struct ipc_channel *ch)
{
    char name[NAME_MAX + 2];
    int rc = ipc_channel_mq_name_(ch, name, sizeof name);

    if (rc != 0)
        return rc;
    return mq_unlink(name) == 0 ? 0 : -errno;
}

static const struct ipc_channel_kind_ ipc_channel_mq_kind_ = {
    "mq",
    IPC_CHANNEL_ONE_WAY_ | IPC_CHANNEL_PRIORITY_ | IPC_CHANNEL_DEPTH_,
    0, /* own: nothing */
    0,
    0,
    ipc_channel_mq_open_,
    NULL, /* close */
    ipc_channel_mq_unlink_,
    ipc_channel_mq_send_,
    ipc_channel_mq_recv_,
    NULL, /* meet: the queue is the peer, and stays */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

#endif
