/*
 * unix-seq:, unix-dgram: and udp:, sockets that keep the boundaries of messages.
 *
 *   unix-seq:PATH     Packets over a connection; otherwise as unix:. Each packet has a frame's
 *                     header, as an empty packet would be the end.
 *   unix-dgram:PATH   Datagrams to a listener's file, or to @NAME. None is lost: a listener that is
 *                     full holds its senders up.
 *   udp:HOST:PORT     Datagrams over IPv4 or IPv6. The network may lose, double and disorder them.
 *                     With a multicast group: see >>multicast.
 *
 * A listener of datagrams receives from any number of senders, and answers the sender of the last
 * one. Before the first datagram its send says -EDESTADDRREQ. The other side sends, and receives
 * answers.
 *
 *   Access   unix-seq: as unix:. unix-dgram: each process that the file's mode permits; at an
 *            abstract name each datagram tells its sender (SCM_CREDENTIALS), and those of other
 *            users than unix: permits are skipped. udp: each process that can reach the port.
 *   Loss     unix-seq: as unix:. A later send reports -EPIPE to the sender of datagrams, and an
 *            answer reports it to the listener. The sender then goes on with the next listener, over
 *            udp: at the name's next address; the kernel has dropped answers to unix-dgram:.
 *   Limits   Unix sockets carry some 200 KB in a message, and 10 of them on the way
 *            (net.core.wmem_max); udp: 65507 bytes.
 */
#ifndef IPC_SRC_CHANNEL_PACKET_H
#define IPC_SRC_CHANNEL_PACKET_H 1

#include "multicast.h"

/* ------------------------------------------------------------------ sending */

/* Is the message sent as an answer? A listener of datagrams has no connection. */
IPC_INLINE int ipc_channel_is_answer_(const struct ipc_channel *ch)
{
    return ch->kind->type == SOCK_DGRAM && (ch->role & IPC_LISTEN) != 0;
}

/* What a failed send comes to: 0, to try again; or the call's refusal. */
IPC_INLINE int ipc_channel_packet_retry_(struct ipc_channel *ch, int rc, size_t n, int64_t deadline)
{
    int answer = ipc_channel_is_answer_(ch);

    if (rc == -EMSGSIZE)
        return ipc_channel_refuse_(ch, rc, "%s: %zu bytes are too many for one message",
                                   ch->kind->scheme, n);
    if (answer && (rc == -ECONNREFUSED || rc == -ENOENT)) {
        ipc_channel_get_socket_(ch)->asker_size = 0;
        return ipc_channel_refuse_(ch, -EPIPE, "%s: the process that asked is gone",
                                   ch->kind->scheme);
    }
    if (rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNREFUSED || rc == -ENOTCONN)
        return ipc_channel_stop_sending_(ch, -EPIPE);
    if (rc == -EINTR)
        return rc;
    if (rc != -EAGAIN && rc != -ENOBUFS)
        return ipc_channel_refuse_errno_(ch, "send to");
    /* Where there is no connection, poll does not tell that there is room. */
    return answer || rc == -ENOBUFS ? ipc_channel_nap_(deadline)
                                    : ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
}

IPC_CHANNEL_HOT_ int ipc_channel_packet_send_(struct ipc_channel *ch, const void *message, size_t n,
                                              int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    unsigned char frame[IPC_CHANNEL_HEADER_ + IPC_CHANNEL_SMALL_];
    int flags = MSG_NOSIGNAL | (deadline == IPC_FOREVER ? 0 : MSG_DONTWAIT), rc = 0;
    struct iovec io[2];
    struct msghdr m;

    memset(&m, 0, sizeof m);
    m.msg_iov = io;
    m.msg_iovlen = 1;
    io[0].iov_base = (void *)(uintptr_t)message;
    io[0].iov_len = n;
    if (ch->kind->type == SOCK_SEQPACKET) {
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
    } else if (ipc_channel_is_answer_(ch)) {
        if (own->asker_size == 0)
            return ipc_channel_refuse_(ch, -EDESTADDRREQ, "%s: nobody to answer: nothing came yet",
                                       ch->kind->scheme);
        m.msg_name = &own->asker;
        m.msg_namelen = own->asker_size;
    }
    while (rc == 0) {
        if ((m.msg_iovlen == 1 && m.msg_namelen == 0
                 ? send(ch->out, io[0].iov_base, io[0].iov_len, flags)
                 : sendmsg(ch->out, &m, flags)) >= 0)
            return 0;
        rc = ipc_channel_packet_retry_(ch, -errno, n, deadline);
    }
    return rc;
}

/* ------------------------------------------------------------------ receiving */

struct ipc_channel_credentials_ {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* A packet that was read, and where its bytes are. */
struct ipc_channel_packet_ {
    int sequence;    /* a packet of unix-seq:, with a header */
    int credentials; /* it says which process sent it */
    int answers;     /* its sender may be answered */
    int direct;      /* it is in the caller's memory, and what did not fit there at rx.data;
                        else it is at rx.data, with its header */
    unsigned char header[IPC_CHANNEL_HEADER_];
    struct sockaddr_storage from;
    socklen_t from_size;
    struct msghdr m;
    union {
        size_t align; /* as struct cmsghdr */
        char room[CMSG_SPACE(sizeof(struct ipc_channel_credentials_))];
    } control;
};

/* Does the datagram come from a process that is not permitted, or that cannot be told? */
IPC_INLINE int ipc_channel_is_from_stranger_(struct ipc_channel *ch, struct msghdr *m)
{
    struct ipc_channel_credentials_ sender;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);

    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != 2 /* SCM_CREDENTIALS */)
        return 1;
    memcpy(&sender, CMSG_DATA(c), sizeof sender);
    if (!ipc_channel_may_be_peer_(ch, sender.uid, sender.gid))
        return 1;
    ch->peer.pid = sender.pid;
    ch->peer.uid = sender.uid;
    ch->peer.gid = sender.gid;
    return 0;
}

/* Reads one packet. Its bytes with the header, however many were kept; or what recvmsg says. */
IPC_CHANNEL_HOT_ ssize_t ipc_channel_packet_read_(struct ipc_channel *ch,
                                                  struct ipc_channel_packet_ *p, void *to,
                                                  size_t size, int flags)
{
    struct iovec io[3];
    ssize_t got;

    /* A short packet is copied from rx, which is faster than to say how it is put apart. */
    p->direct = p->credentials || ch->last >= IPC_CHANNEL_LARGE_;
    if (!p->direct) {
        p->from_size = sizeof p->from;
        return recvfrom(ch->in, ch->rx.data, ch->rx.size, flags,
                        p->answers ? (struct sockaddr *)&p->from : NULL,
                        p->answers ? &p->from_size : NULL);
    }
    io[0].iov_base = p->header;
    io[0].iov_len = sizeof p->header;
    io[1].iov_base = to;
    io[1].iov_len = size;
    io[2].iov_base = ch->rx.data;
    io[2].iov_len = ch->rx.size;
    memset(&p->m, 0, sizeof p->m);
    p->m.msg_iov = p->sequence ? io : io + 1;
    p->m.msg_iovlen = p->sequence ? 3 : 2;
    if (p->answers) {
        p->m.msg_name = &p->from;
        p->m.msg_namelen = sizeof p->from;
    }
    if (p->credentials) {
        p->m.msg_control = p->control.room;
        p->m.msg_controllen = sizeof p->control.room;
    }
    got = recvmsg(ch->in, &p->m, flags);
    p->from_size = p->m.msg_namelen;
    return got;
}

/* A listener of datagrams with several addresses: waits until one has come, and makes its socket
 * the one that is read, and answered from. Each socket has its turn. */
IPC_INLINE int ipc_channel_choose_socket_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct pollfd p[IPC_CHANNEL_ADDRESSES_];
    unsigned i;
    int rc;

    for (i = 0; i < own->count; i++) {
        p[i].fd = own->sockets[(own->turn + i) % own->count];
        p[i].events = POLLIN;
    }
    rc = ipc_channel_poll_(p, own->count, deadline);
    for (i = 0; rc == 0 && p[i].revents == 0; i++)
        ;
    if (rc != 0)
        return rc;
    own->turn = (own->turn + i + 1) % own->count;
    ch->in = ch->out = p[i].fd;
    return 0;
}

/* Waits for a packet that is permitted, and reads it, as ipc_channel_packet_read_. A negative errno
 * is the call's refusal. */
IPC_CHANNEL_HOT_ int64_t ipc_channel_packet_next_(struct ipc_channel *ch,
                                                  struct ipc_channel_packet_ *p, void *to,
                                                  size_t size, int64_t deadline)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int flags = MSG_CMSG_CLOEXEC | MSG_TRUNC | (deadline == IPC_FOREVER ? 0 : MSG_DONTWAIT);
    unsigned skips = 0;
    ssize_t got;
    int was_reset = 0, rc;

    for (;;) {
        if (CK_CC_UNLIKELY(own->count > 1) && (rc = ipc_channel_choose_socket_(ch, deadline)) != 0)
            return rc;
        got = ipc_channel_packet_read_(ch, p, to, size, flags);
        rc = got >= 0 ? 0 : -errno;
        if (rc == -EAGAIN && own->count > 1)
            continue;
        if (rc == -EAGAIN) {
            rc = ipc_channel_wait_again_(ch->in, POLLIN, deadline);
            if (rc != 0)
                return rc;
            continue;
        }
        /* Of a peer that closed before it had read all of ours, the kernel tells the reset before it
         * hands out what that peer had sent. */
        if (rc == -ECONNRESET && p->sequence && !was_reset++)
            continue;
        if (rc == -ECONNRESET || rc == -ECONNREFUSED || (p->sequence && got == 0))
            return ipc_channel_lose_peer_(ch, -EPIPE);
        if (rc != 0)
            return rc == -EINTR ? rc : ipc_channel_refuse_errno_(ch, "receive from");
        if (!p->credentials || !ipc_channel_is_from_stranger_(ch, &p->m))
            return got;
        if (ipc_channel_has_skipped_enough_(&skips, deadline))
            return -ETIMEDOUT;
    }
}

/* The length of the message in a packet of that many bytes, or -EBADMSG. */
IPC_INLINE int64_t ipc_channel_packet_length_(const struct ipc_channel *ch,
                                              const struct ipc_channel_packet_ *p, size_t got)
{
    size_t n = got - sizeof p->header;

    if (!p->sequence)
        return got <= ch->max ? (int64_t)got : -EBADMSG;
    if (got < sizeof p->header ||
        ipc_channel_get_length_(ch, p->direct ? p->header : ch->rx.data) != (int64_t)n)
        return -EBADMSG;
    return (int64_t)n;
}

/* Leaves the sender of a packet that is no message. */
IPC_INLINE int ipc_channel_refuse_packet_(struct ipc_channel *ch,
                                          const struct ipc_channel_packet_ *p, size_t got)
{
    return got < sizeof p->header
               ? ipc_channel_lose_peer_(ch, -EBADMSG)
               : ipc_channel_refuse_frame_(ch, p->direct ? p->header : ch->rx.data);
}

/* Keeps a message of n bytes that was too large for the caller's memory, at rx.data. */
IPC_INLINE void ipc_channel_packet_keep_(struct ipc_channel *ch,
                                         const struct ipc_channel_packet_ *p, const void *to,
                                         size_t size, size_t n)
{
    if (p->direct) {
        memmove(ch->rx.data + size, ch->rx.data, n - size);
        memcpy(ch->rx.data, to, size);
    } else if (p->sequence) {
        memmove(ch->rx.data, ch->rx.data + sizeof p->header, n);
    }
}

IPC_CHANNEL_HOT_ int64_t ipc_channel_packet_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                  int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct ipc_channel_packet_ p;
    int64_t got, n;

    if (ch->next != 0) /* a message that was too large for the last call */
        return ipc_channel_copy_out_(ch, to, size, ch->next);
    p.sequence = ch->kind->type == SOCK_SEQPACKET;
    p.credentials = ipc_channel_wants_credentials_(ch);
    p.answers = ipc_channel_is_answer_(ch) && (ch->role & IPC_SEND) != 0;
    got = ipc_channel_packet_next_(ch, &p, to, size, deadline);
    if (got < 0)
        return got;
    n = ipc_channel_packet_length_(ch, &p, (size_t)got);
    if (n < 0)
        return p.sequence ? ipc_channel_refuse_packet_(ch, &p, (size_t)got)
                          : ipc_channel_refuse_(ch, -EBADMSG,
                                                "%s: a message of more than %zu bytes was dropped",
                                                ch->kind->scheme, ch->max);
    if (p.answers) {
        own->asker = p.from;
        own->asker_size = p.from_size;
    }
    ch->last = (size_t)n;
    if ((size_t)n > size) {
        ipc_channel_packet_keep_(ch, &p, to, size, (size_t)n);
        return ipc_channel_refuse_size_(ch, (size_t)n, size);
    }
    if (!p.direct)
        memcpy(to, ch->rx.data + (p.sequence ? sizeof p.header : 0), (size_t)n);
    return n;
}

/* ------------------------------------------------------------------ what the table names */

static const struct ipc_channel_kind_ ipc_channel_unix_seq_kind_ = {
    "unix-seq",
    IPC_CHANNEL_GROUPS_ | IPC_CHANNEL_GREETS_,
    sizeof(struct ipc_channel_socket_),
    AF_UNIX,
    SOCK_SEQPACKET,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    ipc_channel_socket_unlink_,
    ipc_channel_packet_send_,
    ipc_channel_packet_recv_,
    ipc_channel_greeted_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_socket_accept_,
    ipc_channel_socket_descriptor_,
    NULL, /* describe */
    NULL, /* is_ready */
    &ipc_channel_sockets_serve_,
};

static const struct ipc_channel_kind_ ipc_channel_unix_dgram_kind_ = {
    "unix-dgram",
    IPC_CHANNEL_GROUPS_,
    sizeof(struct ipc_channel_socket_),
    AF_UNIX,
    SOCK_DGRAM,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    ipc_channel_socket_unlink_,
    ipc_channel_packet_send_,
    ipc_channel_packet_recv_,
    ipc_channel_socket_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept: there are no connections */
    ipc_channel_socket_descriptor_,
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

static const struct ipc_channel_kind_ ipc_channel_udp_kind_ = {
    "udp",
    IPC_CHANNEL_OPEN_TO_ALL_ | IPC_CHANNEL_PUBLISHES_,
    sizeof(struct ipc_channel_socket_),
    AF_INET,
    SOCK_DGRAM,
    ipc_channel_udp_open_,
    ipc_channel_socket_close_,
    NULL, /* unlink: it has no name */
    ipc_channel_packet_send_,
    ipc_channel_packet_recv_,
    ipc_channel_socket_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept: there are no connections */
    ipc_channel_socket_descriptor_,
    ipc_channel_socket_describe_,
    NULL, /* is_ready */
    NULL, /* serve */
};

#endif
