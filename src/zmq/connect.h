/*
 * The side that connects: a socket for each connection, so that nothing of a listener that is gone
 * is left when the next one comes. ZeroMQ does not connect again by itself.
 *
 *     state        main  fd   is_ready  end
 *     NOBODY       NULL  -1   0                    at next_try: CONNECTING
 *     CONNECTING   -     -1   0                    CONNECTED: THERE; CLOSED: NOBODY
 *     AGREEING     -     n    0                    HANDSHAKE_SUCCEEDED: THERE; DISCONNECTED: NOBODY
 *     THERE        -     n    1                    DISCONNECTED: ENDED
 *     ENDED        -     n    1         has_come   recv has reported the loss, or a send where
 *                                                  nothing is left to receive: NOBODY
 *
 * A receiver does not know whether the listener publishes: it connects as ZMQ_DEALER, and if the
 * two do not agree as ZMQ_SUB, and so on. After three failures in a row it is refused.
 */
#ifndef IPC_SRC_ZMQ_CONNECT_H
#define IPC_SRC_ZMQ_CONNECT_H 1

#include "core.h"

/* Closes the connection, and tries again at a time. */
IPC_INLINE void ipc_zmq_leave_(struct ipc_channel *ch, int64_t next_try)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    ipc_zmq_close_socket_(own, &own->events, IPC_ZMQ_EVENTS_);
    ipc_zmq_close_socket_(own, &own->main, IPC_ZMQ_MAIN_);
    memset(&own->end, 0, sizeof own->end);
    own->fd = -1;
    own->is_ready = own->has_told = 0;
    own->next_try = next_try;
    ch->peer.pid = 0;
    ch->peer.uid = (uid_t)-1;
    ch->peer.gid = (gid_t)-1;
}

/* Writes the endpoint of the address whose turn it is. 0 or a negative errno. */
IPC_INLINE int ipc_zmq_find_endpoint_(struct ipc_channel *ch, char *to, size_t room, int *is_ipv6)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_channel_addresses_ a;
    const struct addrinfo *at;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    unsigned n = 0, turn;
    int rc = ipc_channel_resolve_(ch, &a);

    *is_ipv6 = 0;
    if (rc == 0 && ipc_channel_is_unix_(ch)) {
        (void)snprintf(to, room, "ipc://%s", ch->address);
    } else if (rc == 0) {
        for (at = a.first; at != NULL; at = at->ai_next)
            n++;
        for (at = a.first, turn = own->tries % n; turn > 0; turn--)
            at = at->ai_next;
        *is_ipv6 = at->ai_family == AF_INET6;
        rc = getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof host, port, sizeof port,
                         NI_NUMERICHOST | NI_NUMERICSERV);
        rc = rc == 0 ? 0 : ipc_channel_refuse_(ch, -EADDRNOTAVAIL, "%s:%s: %s",
                                               ch->kind->scheme, ch->address, gai_strerror(rc));
        (void)snprintf(to, room, *is_ipv6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
    }
    ipc_channel_free_addresses_(&a);
    return rc;
}

/* NOBODY -> CONNECTING. 0 or a negative errno. */
IPC_INLINE int ipc_zmq_connect_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    char endpoint[PATH_MAX + 16];
    int is_ipv6, rc = ipc_zmq_find_endpoint_(ch, endpoint, sizeof endpoint, &is_ipv6);

    if (own->tries++ == 0)
        own->began = ipc_clock();
    if (rc == 0)
        rc = ipc_zmq_make_(ch, &own->main, own->type, IPC_ZMQ_MAIN_);
    if (rc == 0)
        rc = ipc_zmq_monitor_(ch);
    if (rc == 0)
        rc = ipc_zmq_prepare_(ch);
    if (rc == 0 && (ipc_zmq_set_(own->main, ZMQ_RECONNECT_IVL, -1) |
                    ipc_zmq_set_(own->main, ZMQ_HANDSHAKE_IVL, 0) |
                    ipc_zmq_set_(own->main, ZMQ_IPV6, is_ipv6) |
                    (own->type == ZMQ_SUB ? zmq_setsockopt(own->main, ZMQ_SUBSCRIBE, "", 0)
                                          : ipc_zmq_set_(own->main, ZMQ_PROBE_ROUTER, 1) |
                                                ipc_zmq_set_(own->main, ZMQ_IMMEDIATE, 1))) != 0)
        rc = ipc_zmq_refuse_(ch, "set the options of a socket");
    if (rc == 0 && zmq_connect(own->main, endpoint) != 0)
        rc = ipc_zmq_refuse_(ch, "connect");
    if (rc != 0)
        ipc_zmq_leave_(ch, ipc_clock() + IPC_ZMQ_LATE_NS_);
    return rc;
}

/* When to try again: after an eighth of the time that was waited so far, 1 ms to 100 ms. */
IPC_INLINE int64_t ipc_zmq_next_try_(const struct ipc_zmq_ *own)
{
    int64_t now = ipc_clock(), pause = (now - own->began) / 8;

    pause = pause > IPC_ZMQ_MOMENT_NS_ ? pause : IPC_ZMQ_MOMENT_NS_;
    return now + (pause < IPC_ZMQ_LATE_NS_ ? pause : IPC_ZMQ_LATE_NS_);
}

/* The next call reports it. */
IPC_INLINE void ipc_zmq_give_up_(struct ipc_zmq_ *own, int refusal, const char *reason)
{
    own->refusal = refusal;
    own->reason = reason;
}

/* The two sides do not agree: another kind of socket may. */
IPC_INLINE void ipc_zmq_disagree_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    if (own->refusal != 0 || ipc_left_(own->connected_at + IPC_ZMQ_QUICK_NS_) == 0)
        return;
    if ((ch->role & IPC_BOTH) == IPC_RECV)
        own->type = own->type == ZMQ_DEALER ? ZMQ_SUB : ZMQ_DEALER;
    if (++own->failures < 3)
        return;
    own->failures = 0;
    if (*own->secret != '\0')
        ipc_zmq_give_up_(own, -EACCES,
                         "the listener hangs up: is options.peer_keys its key, and do the roles "
                         "fit?");
    else
        ipc_zmq_give_up_(own, -EPROTO,
                         "the listener hangs up: do the roles fit, is it zmq:, does it encrypt?");
}

/* What a handshake that failed for a reason is for the caller. */
IPC_INLINE void ipc_zmq_judge_(struct ipc_zmq_ *own, int event, int32_t value)
{
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        ipc_zmq_give_up_(own, -EACCES, "the listener does not admit the key of options.secret");
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
             value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        ipc_zmq_give_up_(own, -EACCES,
                         "one side encrypts and the other does not: see options.secret");
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
             value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
        ipc_zmq_give_up_(own, -EACCES, "options.peer_keys is not the listener's key");
}

/* CONNECTING -> AGREEING: the process at the other end is asked for, as for unix:. */
IPC_INLINE void ipc_zmq_greet_(struct ipc_channel *ch, int fd)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    socklen_t size = sizeof ch->peer;

    own->fd = fd;
    own->ino = ipc_zmq_inode_(fd);
    own->connected_at = ipc_clock();
    if (!ipc_channel_is_unix_(ch) ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ch->peer, &size) != 0)
        return;
    if (!ipc_channel_may_be_peer_(ch, ch->peer.uid, ch->peer.gid)) {
        ipc_zmq_give_up_(own, -EACCES, "another user is there: see options.user, options.group");
        ipc_zmq_leave_(ch, ipc_clock());
    }
}

/* Takes in an event. */
IPC_INLINE void ipc_zmq_follow_(struct ipc_channel *ch, int event, int32_t value)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    switch (event) {
    case ZMQ_EVENT_CONNECTED:
        ipc_zmq_greet_(ch, value);
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        own->is_ready = 1;
        own->tries = own->failures = 0;
        break;
    case ZMQ_EVENT_CLOSED:
        if (own->fd < 0) {
            own->failures = 0;
            ipc_zmq_leave_(ch, ipc_zmq_next_try_(own));
        }
        break;
    case ZMQ_EVENT_DISCONNECTED:
        if (own->is_ready) {
            ipc_zmq_end_now_(own, &own->end, value);
        } else {
            ipc_zmq_disagree_(ch);
            ipc_zmq_leave_(ch, ipc_zmq_next_try_(own));
        }
        break;
    default:
        ipc_zmq_judge_(own, event, value);
    }
}

/* Takes in all events. It may leave the socket and its monitor at one of them. */
IPC_INLINE void ipc_zmq_follow_all_(struct ipc_channel *ch)
{
    int event;
    int32_t value;

    while (ipc_zmq_take_event_(ipc_zmq_get_(ch), &event, &value))
        ipc_zmq_follow_(ch, event, value);
}

#endif
