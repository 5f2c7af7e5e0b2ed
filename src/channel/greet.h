/*
 * Greetings, over unix:, unix-seq: and tcp:.
 *
 * Each side says who it is as soon as the connection is there, before its first message: 12 bytes,
 * three numbers in network byte order. Its first call waits for the other side's greeting, so nothing
 * is accepted that nobody would receive, and both know alike whether they fit:
 *
 *     number   what
 *     0        "ipcg"
 *     1        bits 0 to 1: its role; 2: it listens; 3: its `max` was asked for by options.max; from
 *              bit 16 on: the version, 1
 *     2        the largest message that it takes
 *
 *   - A client must not send what the listener does not receive, or wait for what that does not send.
 *     Where neither side listens (fd:) one direction must fit.
 *   - A side that asked for messages of a size must find another side that takes them; otherwise the
 *     smaller of the two sizes counts.
 */
#ifndef IPC_SRC_CHANNEL_GREET_H
#define IPC_SRC_CHANNEL_GREET_H 1

#include "address.h"

#define IPC_CHANNEL_GREETING_ ((size_t)12)   /* bytes */
#define IPC_CHANNEL_HELLO_ 0x69706367u       /* "ipcg" */
#define IPC_CHANNEL_GREETING_LISTENS_ 4u
#define IPC_CHANNEL_GREETING_ASKED_ 8u
#define IPC_CHANNEL_GREETING_VERSION_ (1u << 16)
#define IPC_CHANNEL_HELLO_NS_ INT64_C(100000000) /* for a client to say something, if others wait */

IPC_INLINE const char *ipc_channel_role_text_(uint32_t role)
{
    static const char *const texts[] = {"nothing", "send", "receive", "send and receive"};

    return texts[role & IPC_BOTH];
}

/* The second number of this side's greeting. */
IPC_INLINE uint32_t ipc_channel_greeting_(const struct ipc_channel *ch)
{
    int listens = (ch->role & IPC_LISTEN) != 0 || ipc_channel_get_socket_(ch)->accepted;

    return (ch->role & IPC_BOTH) | (listens ? IPC_CHANNEL_GREETING_LISTENS_ : 0) |
           (ch->how.max != 0 ? IPC_CHANNEL_GREETING_ASKED_ : 0) | IPC_CHANNEL_GREETING_VERSION_;
}

/* The longest message until both sides have greeted, of a stream: the last peer may have taken less. */
IPC_INLINE void ipc_channel_begin_max_(struct ipc_channel *ch)
{
    if (ch->kind->type == SOCK_STREAM)
        ch->max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_MAX_;
}

/* A connection has begun: greets. Nothing is on the way yet, so there is room, or the other side is
 * at fault, which the first call finds out. */
IPC_INLINE void ipc_channel_greet_(struct ipc_channel *ch, int fd)
{
    unsigned char to[IPC_CHANNEL_GREETING_];

    ipc_channel_get_socket_(ch)->came_at = ipc_clock();
    if ((ch->kind->flags & IPC_CHANNEL_GREETS_) == 0)
        return;
    ipc_channel_begin_max_(ch);
    ipc_channel_put_(to, IPC_CHANNEL_HELLO_);
    ipc_channel_put_(to + 4, ipc_channel_greeting_(ch));
    ipc_channel_put_(to + 8, (uint32_t)ch->max);
    (void)send(fd, to, sizeof to, MSG_NOSIGNAL | MSG_DONTWAIT);
    ipc_channel_get_socket_(ch)->greeted = 0;
    ch->flags |= IPC_CHANNEL_UNGREETED_;
}

/* Waits for more bytes of what the other side says first. A client says it as soon as it has
 * connected: one that does not is left, -EPIPE, after 100 ms, if another client waits. */
IPC_INLINE int ipc_channel_wait_for_hello_(struct ipc_channel *ch, int64_t deadline)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int64_t until = own->came_at + IPC_CHANNEL_HELLO_NS_;
    struct pollfd p[2];
    int rc, over;

    if (own->listener < 0)
        return ipc_channel_wait_(ch->in, POLLIN, deadline);
    p[0].fd = ch->in;
    p[0].events = p[1].events = POLLIN;
    do {
        over = ipc_left_(until) == 0;
        p[1].fd = over ? own->listener : -1;
        p[1].revents = 0;
        rc = ipc_channel_poll_(p, 2, over || deadline < until ? deadline : until);
    } while (rc == -ETIMEDOUT && !over && ipc_left_(deadline) > 0);
    return rc == 0 && p[0].revents == 0 ? -EPIPE : rc;
}

/* Do the roles fit? */
IPC_INLINE int ipc_channel_roles_fit_(uint32_t one, uint32_t other)
{
    int listens = (one & IPC_CHANNEL_GREETING_LISTENS_) != 0;
    uint32_t client = listens ? other : one, listener = listens ? one : other;

    if (((one ^ other) & IPC_CHANNEL_GREETING_LISTENS_) == 0) /* fd: */
        return (client & IPC_SEND & listener >> 1) != 0 || (listener & IPC_SEND & client >> 1) != 0;
    return ((client & IPC_SEND) == 0 || (listener & IPC_RECV) != 0) &&
           ((client & IPC_RECV) == 0 || (listener & IPC_SEND) != 0);
}

/* Can a side with this greeting send what the other side does not take? */
IPC_INLINE int ipc_channel_asks_too_much_(uint32_t greeting, size_t max, size_t most)
{
    return (greeting & (IPC_SEND | IPC_CHANNEL_GREETING_ASKED_)) ==
               (IPC_SEND | IPC_CHANNEL_GREETING_ASKED_) &&
           max > most;
}

/* Checks the greeting that has come. 0, and `max` is the smaller one; or why the sides do not fit. */
IPC_INLINE int ipc_channel_check_greeting_(struct ipc_channel *ch, const unsigned char *from)
{
    uint32_t mine = ipc_channel_greeting_(ch), other = ipc_channel_get_(from + 4);
    size_t max = ipc_channel_get_(from + 8);

    if (ipc_channel_get_(from) != IPC_CHANNEL_HELLO_ || max > UINT32_MAX / 2)
        return ipc_channel_refuse_(ch, -EBADMSG, "%s:%s: what came is no greeting of ipc_channel.h",
                                   ch->kind->scheme, ch->address);
    if (other >> 16 != IPC_CHANNEL_GREETING_VERSION_ >> 16)
        return ipc_channel_refuse_(ch, -EPROTO, "%s:%s: the other side is of another version",
                                   ch->kind->scheme, ch->address);
    if (!ipc_channel_roles_fit_(mine, other))
        return ipc_channel_refuse_(
            ch, -EPROTO,
            "%s:%s: the roles do not fit: this side was opened to %s, the other one to %s",
            ch->kind->scheme, ch->address, ipc_channel_role_text_(mine),
            ipc_channel_role_text_(other));
    if (ipc_channel_asks_too_much_(mine, ch->max, max) ||
        ipc_channel_asks_too_much_(other, max, ch->max))
        return ipc_channel_refuse_(ch, -EMSGSIZE,
                                   "%s:%s: options.max is %zu here and %zu at the other side: what "
                                   "one asks to send the other one does not take",
                                   ch->kind->scheme, ch->address, ch->max, max);
    ch->max = max < ch->max ? max : ch->max;
    return 0;
}

/* Waits for the other side's greeting. 0; -ETIMEDOUT, -EINTR: later; -EPIPE: it has left before; or
 * as ipc_channel_check_greeting_. */
IPC_INLINE int ipc_channel_hear_greeting_(struct ipc_channel *ch, int64_t deadline)
{
    int is_packet = ch->kind->type == SOCK_SEQPACKET, was_reset = 0, rc;
    struct ipc_channel_bytes_ *rx = &ch->rx;
    ssize_t n;

    while (rx->end < IPC_CHANNEL_GREETING_) {
        n = recv(ch->in, rx->data + rx->end, IPC_CHANNEL_GREETING_ - rx->end,
                 is_packet ? MSG_DONTWAIT | MSG_TRUNC : MSG_DONTWAIT);
        /* Of a client that closed before it had read our greeting, the kernel tells the reset before
         * it hands out the packets. */
        if (n < 0 && errno == ECONNRESET && is_packet && !was_reset++)
            continue;
        if (n == 0 || (n < 0 && ipc_channel_is_end_(errno)))
            return rx->end == 0 ? -EPIPE : -EOWNERDEAD;
        if (n < 0 && errno != EAGAIN)
            return errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, "receive from");
        if (n < 0 && (rc = ipc_channel_wait_for_hello_(ch, deadline)) != 0)
            return rc;
        if (is_packet && n >= 0 && n != (ssize_t)IPC_CHANNEL_GREETING_)
            return ipc_channel_refuse_(ch, -EBADMSG,
                                       "%s:%s: what came is no greeting of ipc_channel.h",
                                       ch->kind->scheme, ch->address);
        rx->end += n > 0 ? (size_t)n : 0;
    }
    rx->end = 0;
    rc = ipc_channel_check_greeting_(ch, rx->data);
    if (rc != 0)
        return rc;
    ipc_channel_get_socket_(ch)->greeted = 1;
    ch->flags &= ~IPC_CHANNEL_UNGREETED_;
    return 0;
}

#endif
