/* unix-seq:, unix-dgram: and udp:. */
#ifndef IPC_SRC_CHANNEL_PACKET_H
#define IPC_SRC_CHANNEL_PACKET_H 1

#include "socket.h"

/* ------------------------------------------------------------------ packets and datagrams */

IPC_INLINE int ipc_channel_packet_send_(struct ipc_channel *ch, const void *message, size_t n,
                                        int64_t deadline)
{
    unsigned char frame[IPC_CHANNEL_HEADER_ + IPC_CHANNEL_SMALL_];
    int rc, sequence = ch->kind->type == SOCK_SEQPACKET, reply = 0;
    int flags = MSG_NOSIGNAL | (deadline == IPC_FOREVER ? 0 : MSG_DONTWAIT);
    struct iovec io[2];
    struct msghdr m;

    memset(&m, 0, sizeof m);
    m.msg_iov = io;
    m.msg_iovlen = 1;
    io[0].iov_base = (void *)(uintptr_t)message;
    io[0].iov_len = n;
    if (sequence) { /* an empty packet would be the end */
        ipc_channel_put_header_(frame, n);
        io[1] = io[0];
        io[0].iov_base = frame;
        io[0].iov_len = IPC_CHANNEL_HEADER_;
        m.msg_iovlen = 2;
        if (n <= IPC_CHANNEL_SMALL_) {
            memcpy(frame + IPC_CHANNEL_HEADER_, message, n);
            io[0].iov_len += n;
            m.msg_iovlen = 1;
        }
    } else if ((ch->role & IPC_LISTEN) != 0) {
        if (ch->to_size == 0)
            return ipc_channel_refuse_(ch, -EDESTADDRREQ, "%s: nobody to answer: nothing came yet",
                                       ch->kind->scheme);
        m.msg_name = &ch->to;
        m.msg_namelen = ch->to_size;
        reply = 1;
    }
    for (;;) {
        if ((m.msg_iovlen == 1 && !reply ? send(ch->out, io[0].iov_base, io[0].iov_len, flags)
                                         : sendmsg(ch->out, &m, flags)) >= 0)
            return 0;
        rc = -errno;
        if (rc == -EMSGSIZE)
            return ipc_channel_refuse_(ch, rc, "%s: %zu bytes are too many for one message",
                                       ch->kind->scheme, n);
        if (reply && (rc == -ECONNREFUSED || rc == -ENOENT)) {
            ch->to_size = 0;
            return ipc_channel_refuse_(ch, -EPIPE, "%s: who asked is gone", ch->kind->scheme);
        }
        if (rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNREFUSED || rc == -ENOTCONN)
            return ipc_channel_stop_sending_(ch, -EPIPE);
        if (rc != -EAGAIN && rc != -ENOBUFS)
            return rc == -EINTR ? rc : ipc_channel_refuse_errno_(ch, "send to");
        /* What is not connected is not told when there is room. */
        rc = reply || rc == -ENOBUFS ? ipc_channel_nap_(deadline)
                                     : ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
        if (rc != 0)
            return rc;
    }
}

struct ipc_channel_credentials_ {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* A datagram of a Unix socket says who sent it, if asked. */
IPC_INLINE int ipc_channel_is_from_stranger_(struct ipc_channel *ch, struct msghdr *m)
{
    struct ipc_channel_credentials_ who;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);

    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != 2 /* SCM_CREDENTIALS */)
        return 1;
    memcpy(&who, CMSG_DATA(c), sizeof who);
    if (!ipc_channel_may_be_peer_(ch, who.uid, who.gid))
        return 1;
    ch->peer.pid = who.pid;
    ch->peer.uid = who.uid;
    ch->peer.gid = who.gid;
    return 0;
}

IPC_INLINE int64_t ipc_channel_packet_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    unsigned char header[IPC_CHANNEL_HEADER_];
    int sequence = ch->kind->type == SOCK_SEQPACKET, asks = ipc_channel_wants_credentials_(ch), rc;
    int answers = !sequence && (ch->role & (IPC_LISTEN | IPC_SEND)) == (IPC_LISTEN | IPC_SEND);
    size_t head = sequence ? sizeof header : 0, n;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct ipc_channel_credentials_))];
    } control;
    struct sockaddr_storage from;
    unsigned skips = 0;
    struct iovec io[3];
    struct msghdr m;
    ssize_t got;

    if (ch->next != 0) { /* the one that was too large */
        n = ch->next;
        if (n > size)
            return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", n, size);
        memcpy(to, rx->data, n);
        ch->next = 0;
        return (int64_t)n;
    }
    for (;;) {
        int flags = MSG_CMSG_CLOEXEC | (deadline == IPC_FOREVER ? 0 : MSG_DONTWAIT);
        /* A short one is copied from our memory, which is faster than to say how it is put apart.
         */
        int straight = asks || ch->last >= IPC_CHANNEL_LARGE_;

        if (straight) {
            io[0].iov_base = header;
            io[0].iov_len = sizeof header;
            io[1].iov_base = to;
            io[1].iov_len = size;
            io[2].iov_base = rx->data; /* what does not fit */
            io[2].iov_len = rx->size;
            memset(&m, 0, sizeof m);
            m.msg_iov = sequence ? io : io + 1;
            m.msg_iovlen = sequence ? 3 : 2;
            if (answers) {
                m.msg_name = &from;
                m.msg_namelen = sizeof from;
            }
            if (asks) {
                m.msg_control = control.room;
                m.msg_controllen = sizeof control.room;
            }
            got = recvmsg(ch->in, &m, flags | MSG_TRUNC);
        } else {
            m.msg_namelen = sizeof from;
            got = recvfrom(ch->in, rx->data, rx->size, flags | MSG_TRUNC,
                           answers ? (struct sockaddr *)&from : NULL,
                           answers ? &m.msg_namelen : NULL);
        }
        rc = got >= 0 ? 0 : -errno;
        if (rc == -EAGAIN) {
            rc = ipc_channel_wait_again_(ch->in, POLLIN, deadline);
            if (rc != 0)
                return rc;
            continue;
        }
        if (rc == -ECONNRESET || rc == -ECONNREFUSED || (sequence && got == 0))
            return ipc_channel_lose_peer_(ch, -EPIPE);
        if (rc != 0)
            return rc == -EINTR ? rc : ipc_channel_refuse_errno_(ch, "receive from");
        if (asks && ipc_channel_is_from_stranger_(ch, &m)) {
            if (ipc_channel_has_skipped_enough_(&skips, deadline))
                return -ETIMEDOUT;
            continue;
        }
        n = (size_t)got - head;
        if (n > ch->max ||
            (sequence && ((size_t)got < head ||
                          ipc_channel_get_length_(ch, straight ? header : rx->data) != (int64_t)n)))
            return sequence ? ipc_channel_lose_peer_(ch, -EBADMSG)
                            : ipc_channel_refuse_(ch, -EBADMSG,
                                                  "%s: a message of more than %zu bytes "
                                                  "was dropped",
                                                  ch->kind->scheme, ch->max);
        if (answers) {
            ch->to = from;
            ch->to_size = m.msg_namelen;
        }
        ch->last = n;
        if (n <= size) {
            if (!straight)
                memcpy(to, rx->data + head, n);
            return (int64_t)n;
        }
        if (straight) {
            memmove(rx->data + size, rx->data, n - size);
            memcpy(rx->data, to, size);
        } else {
            memmove(rx->data, rx->data + head, n);
        }
        ch->next = n;
        return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", n, size);
    }
}

#endif
