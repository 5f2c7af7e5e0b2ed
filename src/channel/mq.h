/* mq:. */
#ifndef IPC_SRC_CHANNEL_MQ_H
#define IPC_SRC_CHANNEL_MQ_H 1

#include "wait.h"

/* ------------------------------------------------------------------ POSIX message queues */

/* A deadline in the past: do not block. Others are not given to the kernel, which would take them
 * by a clock that may be set. */
static const struct timespec ipc_channel_never_ = {0, 0};

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

IPC_INLINE int ipc_channel_mq_open_(struct ipc_channel *ch, int64_t deadline)
{
    char name[NAME_MAX + 2];
    struct mq_attr want, is;
    struct stat st;
    int how = ((ch->role & IPC_RECV) != 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC, made = 0;
    int rc = ipc_channel_mq_name_(ch, name, sizeof name), nap;
    mqd_t q = (mqd_t)-1;

    memset(&want, 0, sizeof want);
    want.mq_maxmsg = ch->how.depth != 0 ? (long)ch->how.depth : 10;
    want.mq_msgsize = ch->how.max != 0 ? (long)ch->how.max : 8192;
    while (rc == 0 && (q = mq_open(name, how)) == (mqd_t)-1) {
        rc = -errno;
        if (rc == -ENOENT && (ch->role & IPC_LISTEN) != 0) {
            q = mq_open(name, how | O_CREAT | O_EXCL, 0600,
                        ch->how.depth != 0 || ch->how.max != 0 ? &want : NULL);
            made = q != (mqd_t)-1;
            rc = made || errno == EEXIST ? 0 : -errno;
            if (made)
                break;
        } else if (rc == -ENOENT) {
            nap = ipc_channel_nap_(deadline);
            rc = nap == -ETIMEDOUT
                     ? ipc_channel_refuse_(ch, nap, "mq: no queue '%s' until the deadline", name)
                     : nap;
            if (rc == -ETIMEDOUT)
                return rc;
        }
    }
    if (rc != 0)
        return *ch->why != '\0'
                   ? rc
                   : ipc_channel_refuse_(ch, rc, "mq: cannot %s '%s': %s%s",
                                         (ch->role & IPC_LISTEN) != 0 ? "make" : "open", name,
                                         strerror(-rc),
                                         rc == -EMFILE   ? " (RLIMIT_MSGQUEUE: ulimit -q)"
                                         : rc == -ENOSPC ? " (fs.mqueue.queues_max)"
                                         : rc == -EINVAL ? " (fs.mqueue.msg_max and msgsize_max)"
                                                         : "");
    ch->in = ch->out = (int)q;
    if ((made && fchmod((int)q, ch->how.mode) != 0) || fstat((int)q, &st) != 0 ||
        mq_getattr(q, &is) != 0)
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

IPC_INLINE int ipc_channel_mq_send_(struct ipc_channel *ch, const void *message, size_t n,
                                    int64_t deadline)
{
    int rc;

    for (;;) {
        rc = deadline == IPC_FOREVER
                 ? mq_send((mqd_t)ch->out, (const char *)message, n, ch->priority)
                 : mq_timedsend((mqd_t)ch->out, (const char *)message, n, ch->priority,
                                &ipc_channel_never_);
        if (rc == 0 || errno != ETIMEDOUT)
            return rc == 0 ? 0 : errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, "send to");
        rc = ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
        if (rc != 0)
            return rc;
    }
}

/* Gives a message that is in rx, or keeps it for a larger buffer. */
IPC_INLINE int64_t ipc_channel_copy_out_(struct ipc_channel *ch, void *to, size_t size, size_t n)
{
    if (n > size) {
        ch->rx.begin = 0;
        ch->rx.end = ch->next = n;
        return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", n, size);
    }
    memcpy(to, ch->rx.data, n);
    ch->rx.begin = ch->rx.end = ch->next = 0;
    return (int64_t)n;
}

IPC_INLINE int64_t ipc_channel_mq_recv_(struct ipc_channel *ch, void *to, size_t size,
                                        int64_t deadline)
{
    int direct = size >= ch->max, rc; /* the kernel wants room for the largest */
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

    return rc != 0 ? rc : mq_unlink(name) == 0 ? 0 : -errno;
}

#endif
