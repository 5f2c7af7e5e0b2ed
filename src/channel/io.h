/* Send and receive. */
#ifndef IPC_SRC_CHANNEL_IO_H
#define IPC_SRC_CHANNEL_IO_H 1

#include "open.h"

/* ------------------------------------------------------------------ send and receive */

/* Somebody is there, or comes until the deadline. */
IPC_INLINE int ipc_channel_meet_(struct ipc_channel *ch, unsigned role, int64_t deadline)
{
    if (ch->kind == NULL)
        return -EINVAL; /* ipc_channel_why has why */
    if ((ch->state & IPC_CHANNEL_UNUSED_) != 0)
        ipc_channel_pipe_choose_ends_(ch);
    if ((ch->role & role) == 0)
        return ipc_channel_refuse_(ch, -EINVAL, "%s: not opened to %s", ch->kind->scheme,
                                   role == IPC_SEND ? "send" : "receive");
    if ((role == IPC_SEND ? ch->out : ch->in) >= 0)
        return 0;
    if (ch->kind->meet == NULL || (ch->state & IPC_CHANNEL_ACCEPTED_) != 0)
        return ipc_channel_refuse_(ch, -EPIPE, "%s: the other side is gone", ch->kind->scheme);
    return ch->kind->meet(ch, deadline);
}

/* ... and after that: the calls, for all that is no ring in the middle of its messages. */
__attribute__((noinline, unused)) static int
ipc_channel_send_(struct ipc_channel *ch, const void *message, size_t n, int64_t deadline)
{
    int rc = ipc_channel_meet_(ch, IPC_SEND, deadline);

    if (rc == 0 && n > ch->max)
        rc = ipc_channel_refuse_(ch, -EMSGSIZE, "%s: a message of %zu bytes: at most %zu",
                                 ch->kind->scheme, n, ch->max);
    else if (rc == 0 && (ch->state & IPC_CHANNEL_CANNOT_SEND_) != 0)
        rc = -EPIPE;
    rc = rc == 0 ? ch->kind->send(ch, message, n, deadline) : rc;
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

__attribute__((noinline, unused)) static int64_t ipc_channel_recv_(struct ipc_channel *ch, void *to,
                                                                   size_t size, int64_t deadline)
{
    int64_t rc = ipc_channel_meet_(ch, IPC_RECV, deadline);

    rc = rc == 0 ? ch->kind->recv(ch, to, size, deadline) : rc;
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

/*
 * Sends message[0..n), n from 0 to max; where a large one may have to wait in the middle, see the
 * contract. Blocking; a peer that is stopped or killed holds it up until the deadline at most.
 *
 *   0
 *   -ETIMEDOUT    no room, or nobody there, until the deadline; nothing was sent
 *   -EINTR        a signal handler ran; nothing was sent
 *   -EMSGSIZE     n is more than the largest message; nothing was sent
 *   -EPIPE        the other side is gone, or signal:'s process, or the queue was removed;
 *                 -EOWNERDEAD where it is known to have been killed: ring:, sysvshm:
 *   -EDESTADDRREQ who listens to datagrams has nobody to answer yet
 *   -EPERM        signal: the process does not block the signal of this priority
 *   -ENOSPC       file: the disk is full; -EFBIG: RLIMIT_FSIZE. Nothing was sent
 *   -EINVAL       the channel is not open, or not to send; the priority is none
 *   and what open says while the next peer is waited for, and the kernel: -ENOMEM, ...
 */
IPC_FORCE_INLINE int ipc_channel_send(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_record_producer *out = ch->quick_out;

    /* One that nobody reads takes the long way, which tells that. */
    if (CK_CC_UNLIKELY(out == NULL || ck_pr_load_64(&out->ring->end[1]) == 0 || n > ch->max ||
                       ipc_record_push(out, message, n) != 0))
        return ipc_channel_send_(ch, message, n, deadline);
    if (CK_CC_UNLIKELY(ipc_notify_heeds_(out->ring->data_bell)))
        ipc_channel_ring_post_(ch->ring, &ch->ring->out_data);
    return 0;
}

/*
 * Receives the next message into to[0..size). Blocking, as ipc_channel_send.
 *
 *   >= 0         its length
 *   -ETIMEDOUT   none until the deadline; -EINTR: a signal handler ran
 *   -EMSGSIZE    it is larger than `size`, and stays: ipc_channel_info has its length
 *   -EPIPE       the other side is gone, and all it sent was received; or the queue was removed
 *   -EOWNERDEAD  the same, but it was killed, or crashed, in the middle of a message; ring:,
 *                sysvshm: anywhere
 *   -EBADMSG     garbage came; on a stream its sender was left. Datagrams, sysv: a message of more
 *                than `max` was dropped
 *   -EINVAL      the channel is not open, or not to receive
 *   and what open says while the next peer is waited for, and the kernel: -ENOMEM, ...
 */
IPC_FORCE_INLINE int64_t ipc_channel_recv(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    struct ipc_record_consumer *in = ch->quick_in;
    int published = 0;
    int64_t rc;

    if (CK_CC_UNLIKELY(in == NULL || (rc = ipc_record_take_(in, to, size, &published)) < 0))
        return ipc_channel_recv_(ch, to, size, deadline);
    if (CK_CC_UNLIKELY(published))
        ipc_channel_ring_post_(ch->ring, &ch->ring->space);
    return rc;
}

/* Sends the rest of a message that a deadline has cut off. 0: there is none left; -ETIMEDOUT,
 * -EINTR, -EPIPE, -EINVAL as of ipc_channel_send. */
IPC_INLINE int ipc_channel_flush(struct ipc_channel *ch, int64_t deadline)
{
    return ch->kind == NULL ? -EINVAL : ch->out < 0 ? 0 : ipc_channel_send_rest_(ch, deadline);
}

/*
 * The descriptor to poll for reading (of one who only sends: for writing) in an event loop, once
 * recv with IPC_NOW has said -ETIMEDOUT. It changes when the other side does: ask again after
 * -EPIPE, -EOWNERDEAD, -EBADMSG, and after the first message to a listener. Close nothing.
 *
 *   >= 0         the descriptor
 *   -EOPNOTSUPP  there is none: ring:, sysvshm:, sysv:
 *   -ENOTCONN    nobody is there; a call of send or recv meets the next
 *   -EINVAL      the channel is not open
 */
IPC_INLINE int ipc_channel_fd(struct ipc_channel *ch)
{
    int fd;

    if (ch->kind == NULL)
        return -EINVAL;
    if ((ch->state & IPC_CHANNEL_UNUSED_) != 0)
        ipc_channel_pipe_choose_ends_(ch);
    if (ch->kind->meet == ipc_channel_nothing_)
        return -EOPNOTSUPP;
    if (ch->ring != NULL)
        return ipc_channel_auto_fd_(ch);
    fd = (ch->role & IPC_RECV) != 0 ? ch->in : ch->out;
    if (ch->listener >= 0 && (fd < 0 || ch->kind->type == 0)) /* a log's is inotify */
        fd = ch->listener;
    return fd >= 0 ? fd : -ENOTCONN;
}

/* What the channel is, and who is at the other end. 0; -EINVAL: it is not open. */
IPC_INLINE int ipc_channel_info(const struct ipc_channel *ch, struct ipc_channel_facts *info)
{
    memset(info, 0, sizeof *info);
    info->uid = (uid_t)-1;
    info->gid = (gid_t)-1;
    if (ch->kind == NULL)
        return -EINVAL;
    info->mechanism = ch->kind->open != ipc_channel_auto_open_ ? ch->kind->scheme
                      : ch->ring != NULL                       ? "ring"
                                                               : "unix";
    info->max = ch->max;
    info->next = ch->next;
    info->pending = ch->tx.end - ch->tx.begin;
    info->offset = ch->offset;
    info->pid = ch->peer.pid;
    info->uid = ch->peer.uid;
    info->gid = ch->peer.gid;
    info->port = ch->kind->domain == AF_INET ? ch->port : 0;
    return 0;
}

#endif
