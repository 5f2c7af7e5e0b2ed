/* sysv:. */
#ifndef IPC_SRC_CHANNEL_SYSV_H
#define IPC_SRC_CHANNEL_SYSV_H 1

#include "wait.h"

/* ------------------------------------------------------------------ System V message queues */

/* KEY: a number, decimal, 0x or 0. */
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

IPC_INLINE int ipc_channel_sysv_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct msqid_ds is;
    struct stat st;
    char text[32] = "";
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key), id = -1, fd, nap;
    ssize_t n;

    if (rc != 0)
        return rc;
    if ((ch->role & IPC_BOTH) == IPC_BOTH &&
        (ch->select <= 0 || (uint32_t)ch->select == ch->priority || ch->priority == 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "sysv: both directions need a type for each: "
                                   "options.priority and options.select");
    while ((id = msgget(key, (ch->role & IPC_LISTEN) != 0 ? IPC_CREAT | (int)ch->how.mode : 0)) <
               0 &&
           errno == ENOENT) {
        nap = ipc_channel_nap_(deadline);
        if (nap != 0)
            return nap == -EINTR ? nap
                                 : ipc_channel_refuse_(ch, nap,
                                                       "sysv: no queue %s until the "
                                                       "deadline",
                                                       ch->address);
    }
    if (id < 0)
        return ipc_channel_refuse_(ch, -errno, "sysv: cannot open queue %s: %s%s", ch->address,
                                   strerror(errno), errno == ENOSPC ? " (kernel.msgmni)" : "");
    if (msgctl(id, IPC_STAT, &is) != 0)
        return ipc_channel_refuse_errno_(ch, "read the mode of");
    memset(&st, 0, sizeof st);
    st.st_uid = is.msg_perm.uid;
    st.st_mode = is.msg_perm.mode;
    rc = ipc_channel_check_owner_(ch, &st, 0);
    if (rc != 0)
        return rc;
    ch->port = id;
    ch->max = 8192;
    fd = open("/proc/sys/kernel/msgmax", O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    ipc_channel_close_fd_(&fd);
    if (n > 0 && strtoul(text, NULL, 10) != 0)
        ch->max = strtoul(text, NULL, 10);
    if (is.msg_qbytes != 0 && is.msg_qbytes < ch->max)
        ch->max = is.msg_qbytes;
    if (ch->how.max > ch->max)
        return ipc_channel_refuse_(ch, -EMSGSIZE,
                                   "sysv: messages of %zu bytes: at most %zu "
                                   "(kernel.msgmax, kernel.msgmnb)",
                                   ch->how.max, ch->max);
    ch->max = ch->how.max != 0 ? ch->how.max : ch->max;
    return 0;
}

/* Queues have no descriptor, and no deadline. */
IPC_INLINE int ipc_channel_sysv_wait_(struct ipc_channel *ch, const char *what, int64_t deadline)
{
    if (errno == EAGAIN || errno == ENOMSG)
        return ipc_channel_nap_(deadline);
    if (errno == EIDRM)
        return ipc_channel_refuse_(ch, -EPIPE, "sysv: queue %s was removed", ch->address);
    return errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, what);
}

IPC_INLINE int ipc_channel_sysv_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    long type = ch->priority == 0 ? 1 : (long)ch->priority;
    int rc;

    memcpy(ch->tx.data, &type, sizeof type);
    memcpy(ch->tx.data + sizeof type, message, n);
    while (msgsnd(ch->port, ch->tx.data, n, deadline == IPC_FOREVER ? 0 : IPC_NOWAIT) != 0)
        if ((rc = ipc_channel_sysv_wait_(ch, "send to", deadline)) != 0)
            return rc;
    return 0;
}

IPC_INLINE int64_t ipc_channel_sysv_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    size_t room = size < ch->max ? size : ch->max;
    long type;
    ssize_t n;
    int rc;

    /* One that is larger stays in the queue, for a larger buffer. */
    while ((n = msgrcv(ch->port, ch->rx.data, room, ch->select,
                       deadline == IPC_FOREVER ? 0 : IPC_NOWAIT)) < 0) {
        if (errno == E2BIG && room < ch->max)
            return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of more than %zu bytes", room);
        if (errno == E2BIG && msgrcv(ch->port, ch->rx.data, 0, ch->select,
                                     IPC_NOWAIT | 010000 /* MSG_NOERROR */) >= 0)
            return ipc_channel_refuse_(ch, -EBADMSG,
                                       "sysv: a message of more than %zu bytes was dropped", room);
        if ((rc = ipc_channel_sysv_wait_(ch, "receive from", deadline)) != 0)
            return rc;
    }
    memcpy(&type, ch->rx.data, sizeof type);
    memcpy(to, ch->rx.data + sizeof type, (size_t)n);
    ch->came = (uint32_t)type;
    return n;
}

IPC_INLINE int ipc_channel_sysv_unlink_(struct ipc_channel *ch)
{
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key), id = rc == 0 ? msgget(key, 0) : -1;

    return rc != 0 ? rc : id >= 0 && msgctl(id, IPC_RMID, NULL) == 0 ? 0 : -errno;
}

#endif
