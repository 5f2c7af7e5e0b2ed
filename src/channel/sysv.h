/*
 * sysv:KEY, a System V message queue. KEY is a number, decimal, 0x or 0.
 *
 * The listener makes the queue, and the other side waits for it. Any number of senders and
 * receivers. ipc_channel's priority is the type of what is sent; its select says which types are
 * received. Both directions need a type for each.
 *
 *   Access   Each process that the queue's mode permits. The queue of a user other than this one,
 *            root and options.user is refused.
 *   Loss     No call reports it. The queue keeps its messages. -EPIPE after the queue was removed,
 *            once; then it is made or waited for anew.
 *   Held     Where select is not 0, ipc_channel_wait_any takes an empty message that it finds, and
 *            recv with a select for its type has it. Another receiver gets what is behind it first.
 *            close puts it back, at the end of the queue. It is lost with a process that is killed
 *            or exits before either, and where close finds as many messages in the queue as that has
 *            bytes. After fork it stays with the process that waited.
 *   Limits   The kernel waits without a deadline only, so a call with a deadline that is neither
 *            IPC_NOW nor IPC_FOREVER looks once a millisecond. No descriptor for event loops;
 *            ipc_channel_wait_any looks once a millisecond, too.
 *            16 KiB in a queue (kernel.msgmax, kernel.msgmnb). A queue outlives its processes.
 */
#ifndef IPC_SRC_CHANNEL_SYSV_H
#define IPC_SRC_CHANNEL_SYSV_H 1

#include "wait.h"

/* ------------------------------------------------------------------ sysv: */

#define IPC_CHANNEL_SYSV_HELD_ 8

struct ipc_channel_sysv_ {
    int queue; /* its id */
    /* Empty messages that looks have taken, for recv, the oldest first: their types, no two the same.
     * A look takes one only where select asks for none of them, so more than one is held only where
     * the program changes select between a look and recv. */
    unsigned helds;
    long held[IPC_CHANNEL_SYSV_HELD_];
    pid_t holder; /* the process that has taken them; its child has none */
};

IPC_INLINE int ipc_channel_read_key_(struct ipc_channel *ch, key_t *key)
{
    char *end;
    unsigned long n = strtoul(ch->address, &end, 0);

    *key = (key_t)n;
    if (end == ch->address || *end != '\0' || n == 0 || n > UINT32_MAX || *ch->address == '-')
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: the key must be a number of 1 to 2^32 - 1",
                                   ch->kind->scheme, ch->address);
    return 0;
}

/* Waits for the queue, or makes it. Its id, or a negative errno. */
IPC_INLINE int ipc_channel_sysv_find_(struct ipc_channel *ch, key_t key, int64_t deadline)
{
    int flags = (ch->role & IPC_LISTEN) != 0 ? IPC_CREAT | (int)ch->how.mode : 0, id, nap;

    while ((id = msgget(key, flags)) < 0 && errno == ENOENT) {
        nap = ipc_channel_nap_(deadline);
        if (nap == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, nap, "sysv: no queue %s until the deadline",
                                       ch->address);
        if (nap != 0)
            return nap;
    }
    if (id < 0)
        return ipc_channel_refuse_(ch, -errno, "sysv: cannot open queue %s: %s%s", ch->address,
                                   strerror(errno), errno == ENOSPC ? " (kernel.msgmni)" : "");
    return id;
}

/* Bytes of the largest message: kernel.msgmax, or what a queue takes. */
IPC_INLINE size_t ipc_channel_sysv_max_(const struct msqid_ds *is)
{
    int fd = open("/proc/sys/kernel/msgmax", O_RDONLY | O_CLOEXEC);
    char text[32] = "";
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    size_t max = 8192;

    ipc_channel_close_fd_(&fd);
    if (n > 0 && strtoul(text, NULL, 10) != 0)
        max = strtoul(text, NULL, 10);
    return is->msg_qbytes != 0 && is->msg_qbytes < max ? is->msg_qbytes : max;
}

/* Waits for the queue, or makes it, and checks whose it is. */
IPC_INLINE int ipc_channel_sysv_attach_(struct ipc_channel *ch, key_t key, struct msqid_ds *is,
                                        int64_t deadline)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    int id = ipc_channel_sysv_find_(ch, key, deadline), rc;
    struct stat st;

    if (id < 0)
        return id;
    if (msgctl(id, IPC_STAT, is) != 0)
        return ipc_channel_refuse_errno_(ch, "read the mode of");
    memset(&st, 0, sizeof st);
    st.st_uid = is->msg_perm.uid;
    st.st_mode = is->msg_perm.mode;
    rc = ipc_channel_check_owner_(ch, &st, 0);
    own->queue = rc == 0 ? id : -1;
    return rc;
}

/* The queue was removed, and that was reported: waits for the next one, or makes it. */
IPC_INLINE int ipc_channel_sysv_again_(struct ipc_channel *ch, int64_t deadline)
{
    struct msqid_ds is;
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key);

    return rc != 0 ? rc : ipc_channel_sysv_attach_(ch, key, &is, deadline);
}

IPC_INLINE int ipc_channel_sysv_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct msqid_ds is;
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key);

    if (rc != 0)
        return rc;
    if ((ch->role & IPC_BOTH) == IPC_BOTH &&
        (ch->select <= 0 || (uint32_t)ch->select == ch->priority || ch->priority == 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "sysv: both directions need a type for each: "
                                   "options.priority and options.select");
    rc = ipc_channel_sysv_attach_(ch, key, &is, deadline);
    if (rc != 0)
        return rc;
    ch->max = ipc_channel_sysv_max_(&is);
    if (ch->how.max > ch->max)
        return ipc_channel_refuse_(ch, -EMSGSIZE,
                                   "sysv: messages of %zu bytes: at most %zu "
                                   "(kernel.msgmax, kernel.msgmnb)",
                                   ch->how.max, ch->max);
    ch->max = ch->how.max != 0 ? ch->how.max : ch->max;
    return 0;
}

/* Which of the held messages select asks for: by a negative one the lowest type. held + helds: none. */
IPC_INLINE long *ipc_channel_sysv_find_held_(struct ipc_channel *ch)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    long *found, *at, select = ch->select;

    if (own->helds != 0 && own->holder != getpid())
        own->helds = 0;
    found = own->held + own->helds;
    for (at = own->held; at < own->held + own->helds; at++) {
        if (select == 0 || *at == select)
            return at;
        if (*at <= -select && (found == own->held + own->helds || *at < *found))
            found = at;
    }
    return found;
}

/* Has recv something to tell? By type the kernel tells only a call that takes the message, if it
 * fits: into no bytes only an empty one does, which is held then. */
IPC_INLINE int ipc_channel_sysv_is_ready_(struct ipc_channel *ch)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    struct msqid_ds is;
    int rc;

    if (ipc_channel_sysv_find_held_(ch) != own->held + own->helds)
        return 1;
    if (own->queue < 0) {
        rc = ipc_channel_sysv_again_(ch, IPC_NOW);
        *ch->why = '\0';
        if (rc != 0)
            return rc != -ETIMEDOUT;
    }
    if (ch->select == 0 || own->helds == IPC_CHANNEL_SYSV_HELD_) /* no more: recv looks itself */
        return msgctl(own->queue, IPC_STAT, &is) != 0 || is.msg_qnum != 0;
    if (msgrcv(own->queue, ch->rx.data, 0, ch->select, IPC_NOWAIT) < 0)
        return errno != ENOMSG;
    memcpy(&own->held[own->helds++], ch->rx.data, sizeof *own->held);
    own->holder = getpid();
    return 1;
}

/* What a failed call of the queue comes to: 0, to try again after a moment; or the refusal. */
IPC_INLINE int ipc_channel_sysv_retry_(struct ipc_channel *ch, const char *what, int64_t deadline)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    struct msqid_ds is;

    if (errno == EAGAIN || errno == ENOMSG)
        return ipc_channel_nap_(deadline);
    /* Removed in the call, or before it. */
    if (errno == EIDRM || (errno == EINVAL && msgctl(own->queue, IPC_STAT, &is) != 0)) {
        own->queue = -1;
        return ipc_channel_refuse_(ch, -EPIPE, "sysv: queue %s was removed", ch->address);
    }
    return errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, what);
}

IPC_CHANNEL_HOT_ int ipc_channel_sysv_send_(struct ipc_channel *ch, const void *message, size_t n,
                                            int64_t deadline)
{
    const struct ipc_channel_sysv_ *own = (const struct ipc_channel_sysv_ *)ch->state;
    long type = ch->priority == 0 ? 1 : (long)ch->priority;
    int rc;

    if (own->queue < 0 && (rc = ipc_channel_sysv_again_(ch, deadline)) != 0)
        return rc;
    memcpy(ch->tx.data, &type, sizeof type);
    memcpy(ch->tx.data + sizeof type, message, n);
    while (msgsnd(own->queue, ch->tx.data, n, deadline == IPC_FOREVER ? 0 : IPC_NOWAIT) != 0)
        if ((rc = ipc_channel_sysv_retry_(ch, "send to", deadline)) != 0)
            return rc;
    return 0;
}

IPC_INLINE int64_t ipc_channel_sysv_give_held_(struct ipc_channel *ch, long *at)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;

    ch->came = (uint32_t)*at;
    memmove(at, at + 1, (size_t)(own->held + --own->helds - at) * sizeof *at);
    return 0;
}

IPC_CHANNEL_HOT_ int64_t ipc_channel_sysv_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                int64_t deadline)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    int fits = size >= ch->max, rc;
    size_t room = fits ? ch->max + 1 : size;
    int flags = (deadline == IPC_FOREVER ? 0 : IPC_NOWAIT) | (fits ? 010000 /* MSG_NOERROR */ : 0);
    long type, select = ch->select, *at = ipc_channel_sysv_find_held_(ch);
    int holds = at != own->held + own->helds;
    ssize_t n;

    if (holds && (select >= 0 || *at == 1))
        return ipc_channel_sysv_give_held_(ch, at);
    if (holds) { /* one of a lower type may have come meanwhile, and is first */
        select = 1 - *at;
        flags |= IPC_NOWAIT;
    }
    if (!holds && own->queue < 0 && (rc = ipc_channel_sysv_again_(ch, deadline)) != 0)
        return rc;
    /* A larger message stays in the queue, for a larger buffer; but one above max is dropped. The
     * call that finds it takes it, cut: a second call could meet the message behind it, where
     * another receiver has dropped it meanwhile. */
    while ((n = msgrcv(own->queue, ch->rx.data, room, select, flags)) < 0) {
        if (errno == E2BIG)
            return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of more than %zu bytes", room);
        if (holds)
            return ipc_channel_sysv_give_held_(ch, at);
        if ((rc = ipc_channel_sysv_retry_(ch, "receive from", deadline)) != 0)
            return rc;
    }
    if ((size_t)n > ch->max)
        return ipc_channel_refuse_(ch, -EBADMSG,
                                   "sysv: a message of more than %zu bytes was dropped", ch->max);
    memcpy(&type, ch->rx.data, sizeof type);
    memcpy(to, ch->rx.data + sizeof type, (size_t)n);
    ch->came = (uint32_t)type;
    return n;
}

/* Puts back what is held, at the end of the queue, if that has room. */
IPC_INLINE void ipc_channel_sysv_close_(struct ipc_channel *ch)
{
    const struct ipc_channel_sysv_ *own = (const struct ipc_channel_sysv_ *)ch->state;
    unsigned i;

    for (i = 0; i < own->helds && own->holder == getpid(); i++)
        (void)msgsnd(own->queue, &own->held[i], 0, IPC_NOWAIT);
}

IPC_INLINE int ipc_channel_sysv_unlink_(struct ipc_channel *ch)
{
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key), id;

    if (rc != 0)
        return rc;
    id = msgget(key, 0);
    return id >= 0 && msgctl(id, IPC_RMID, NULL) == 0 ? 0 : -errno;
}

static const struct ipc_channel_kind_ ipc_channel_sysv_kind_ = {
    "sysv",
    IPC_CHANNEL_PRIORITY_ | IPC_CHANNEL_SELECT_ | IPC_CHANNEL_NO_FD_,
    sizeof(struct ipc_channel_sysv_),
    0,
    0,
    ipc_channel_sysv_open_,
    ipc_channel_sysv_close_,
    ipc_channel_sysv_unlink_,
    ipc_channel_sysv_send_,
    ipc_channel_sysv_recv_,
    NULL, /* meet: the queue is the peer, and stays */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    ipc_channel_sysv_is_ready_,
    NULL, /* serve */
};

#endif
