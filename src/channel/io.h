/* Send and receive, and what a channel tells of itself. */
#ifndef IPC_SRC_CHANNEL_IO_H
#define IPC_SRC_CHANNEL_IO_H 1

#include "open.h"

/* ------------------------------------------------------------------ the long way */

/* Calls what the mechanism does before the first use. */
IPC_INLINE void ipc_channel_prepare_(struct ipc_channel *ch)
{
    if ((ch->flags & IPC_CHANNEL_UNUSED_) == 0)
        return;
    ch->flags &= ~IPC_CHANNEL_UNUSED_;
    ch->kind->prepare(ch);
}

/* Checks that the channel is open and has this direction, and the deadline. */
IPC_FORCE_INLINE int ipc_channel_check_call_(struct ipc_channel *ch, unsigned role,
                                             int64_t deadline)
{
    if (ch->kind == NULL)
        return -EINVAL; /* ipc_channel_why has why */
    if (!ipc_is_deadline_(deadline))
        return ipc_channel_refuse_deadline_(ch, deadline);
    ipc_channel_prepare_(ch);
    if ((ch->role & role) == 0)
        return ipc_channel_refuse_(ch, -EINVAL, "%s: not opened to %s", ch->kind->scheme,
                                   role == IPC_SEND ? "send" : "receive");
    return 0;
}

/* Waits for a peer until the deadline, if none is there. */
IPC_FORCE_INLINE int ipc_channel_meet_(struct ipc_channel *ch, unsigned role, int64_t deadline)
{
    int is_there = (role == IPC_SEND ? ch->out : ch->in) >= 0;

    if ((is_there && (ch->flags & IPC_CHANNEL_UNGREETED_) == 0) ||
        (ch->kind->flags & IPC_CHANNEL_NO_FD_) != 0)
        return 0;
    if (!is_there && (ch->kind->meet == NULL || (ch->flags & IPC_CHANNEL_ACCEPTED_) != 0))
        return ipc_channel_refuse_(ch, -EPIPE, "%s: the other side is gone", ch->kind->scheme);
    return ch->kind->meet(ch, deadline);
}

/* Is there something left to receive of a peer that can no longer be sent to? */
IPC_INLINE int ipc_channel_has_rest_(struct ipc_channel *ch)
{
    size_t n;
    char byte;
    ssize_t rc;

    if (ch->next != 0 || ch->rx.begin != ch->rx.end)
        return 1;
    if (ch->ring != NULL)
        return ipc_record_look_(&ch->ring->in, &n) == 0;
    rc = recv(ch->in, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
    return rc > 0 || (rc == 0 && ch->kind->type == SOCK_DGRAM); /* an empty datagram */
}

/* HALF_GONE, and the loss was reported: waits for the next listener, unless none can come, or
 * something is left to receive. A listener does not: what it sends is an answer, and not for the
 * next client. */
IPC_INLINE int ipc_channel_meet_successor_(struct ipc_channel *ch, int64_t deadline)
{
    if (ch->kind->meet == NULL || (ch->flags & IPC_CHANNEL_ACCEPTED_) != 0 ||
        (ch->role & IPC_LISTEN) != 0 || ipc_channel_has_rest_(ch))
        return ipc_channel_refuse_(ch, -EPIPE, "%s:%s: the other side is gone", ch->kind->scheme,
                                   ch->address);
    ipc_channel_leave_peer_(ch);
    return ch->kind->meet(ch, deadline);
}

IPC_FORCE_INLINE int ipc_channel_check_size_(struct ipc_channel *ch, size_t n)
{
    return n <= ch->max ? 0
                        : ipc_channel_refuse_(ch, -EMSGSIZE,
                                              "%s: a message of %zu bytes: at most %zu",
                                              ch->kind->scheme, n, ch->max);
}

/* Sends over any mechanism. A ring in the middle of its messages does not come here. */
__attribute__((noinline, hot, unused)) static int
ipc_channel_send_(struct ipc_channel *ch, const void *message, size_t n, int64_t deadline)
{
    int rc;

    ch->quick_sends = 0;
    rc = ipc_channel_check_call_(ch, IPC_SEND, deadline);
    if (rc == 0 && ch->server != NULL)
        return ipc_channel_send_to(ch, ch->from, message, n, deadline);
    if (rc == 0)
        rc = ipc_channel_meet_(ch, IPC_SEND, deadline);
    if (rc == 0 && (ch->flags & IPC_CHANNEL_CANNOT_SEND_) != 0)
        rc = ipc_channel_meet_successor_(ch, deadline);
    if (rc == 0)
        rc = ipc_channel_check_size_(ch, n);
    if (rc == 0) /* an empty message may be given as NULL, which memcpy must not get */
        rc = ch->kind->send(ch, n != 0 ? message : "", n, deadline);
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

/* Receives over any mechanism, as ipc_channel_send_. */
__attribute__((noinline, hot, unused)) static int64_t ipc_channel_recv_(struct ipc_channel *ch, void *to,
                                                                   size_t size, int64_t deadline)
{
    int64_t rc = ipc_channel_check_call_(ch, IPC_RECV, deadline);
    char nothing;

    to = size != 0 ? to : &nothing;
    if (rc == 0 && ch->server != NULL) {
        rc = ch->kind->serve->recv(ch, to, size, deadline);
    } else {
        if (rc == 0)
            rc = ipc_channel_meet_(ch, IPC_RECV, deadline);
        if (rc == 0)
            rc = ch->kind->recv(ch, to, size, deadline);
    }
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

/* ------------------------------------------------------------------ send and receive */

IPC_FORCE_INLINE int ipc_channel_send(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_record_producer *out = ch->quick_out;

    /* A message that no process would read takes the long way, which reports that. */
    if (CK_CC_UNLIKELY(--ch->quick_sends < 0 ||
                       ck_pr_load_64(ch->quick_holder) != ch->quick_reader || n > ch->max ||
                       ipc_record_push(out, message, n) != 0))
        return ipc_channel_send_(ch, message, n, deadline);
    if (CK_CC_UNLIKELY(ipc_notify_heeds_(out->ring->data_bell)))
        (void)ipc_notify_post(&ch->ring->out_data);
    return 0;
}

IPC_FORCE_INLINE int64_t ipc_channel_recv(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    struct ipc_record_consumer *in = ch->quick_in;
    int published = 0;
    int64_t rc;

    if (CK_CC_UNLIKELY(in == NULL || (rc = ipc_record_take_(in, to, size, &published)) < 0))
        return ipc_channel_recv_(ch, to, size, deadline);
    if (CK_CC_UNLIKELY(published))
        (void)ipc_notify_post(&ch->ring->space);
    return rc;
}

IPC_INLINE int ipc_channel_flush(struct ipc_channel *ch, int64_t deadline)
{
    if (ch->kind == NULL)
        return -EINVAL;
    if (!ipc_is_deadline_(deadline))
        return ipc_channel_refuse_deadline_(ch, deadline);
    if (ch->server != NULL)
        return ch->kind->serve->flush != NULL ? ch->kind->serve->flush(ch, deadline) : 0;
    if (ch->kind == &ipc_channel_auto_publisher_kind_)
        ipc_channel_admit_subscribers_(ch);
    if (ch->ring != NULL && ch->ring->publisher.ring != NULL) { /* then `clients` counts the living */
        (void)ipc_record_broadcast_producer_recover(&ch->ring->publisher, 0);
        return 0;
    }
    return ch->out < 0 ? 0 : ipc_channel_send_rest_(ch, deadline);
}

/* ------------------------------------------------------------------ what a channel tells */

IPC_INLINE int ipc_channel_fd(struct ipc_channel *ch)
{
    int fd;

    if (ch->kind == NULL)
        return -EINVAL;
    ipc_channel_prepare_(ch);
    if (ch->server != NULL)
        return ch->kind->serve->descriptor(ch);
    if ((ch->kind->flags & IPC_CHANNEL_NO_FD_) != 0 && ch->kind->descriptor == NULL)
        return -EOPNOTSUPP;
    if (ch->kind->descriptor != NULL)
        fd = ch->kind->descriptor(ch);
    else
        fd = (ch->role & IPC_RECV) != 0 ? ch->in : ch->out;
    return fd == -1 ? -ENOTCONN : fd;
}

IPC_INLINE int ipc_channel_info(const struct ipc_channel *ch, struct ipc_channel_facts *info)
{
    memset(info, 0, sizeof *info);
    info->uid = (uid_t)-1;
    info->gid = (gid_t)-1;
    if (ch->kind == NULL)
        return -EINVAL;
    info->mechanism = ch->kind->scheme;
    info->max = ch->max;
    info->next = ch->next;
    info->pending = ch->tx.end - ch->tx.begin;
    info->pid = ch->peer.pid;
    info->uid = ch->peer.uid;
    info->gid = ch->peer.gid;
    if (ch->ring != NULL) {
        info->missed = ipc_record_broadcast_missed(&ch->ring->subscriber);
        info->memory = ch->ring->seg.size;
        info->clients = ipc_record_broadcast_was_readers(&ch->ring->publisher);
    }
    if (ch->kind->describe != NULL)
        ch->kind->describe(ch, info);
    if (ch->server != NULL)
        ch->kind->serve->describe(ch, info);
    return 0;
}

#endif
