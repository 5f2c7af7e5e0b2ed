/*
 * unix: and tcp:, streams; and what all sockets have in common: unix-seq:, unix-dgram: and udp: in
 * packet.h, and auto:.
 *
 *   unix:PATH, unix:@NAME   A Unix socket, in a file, or in the abstract namespace.
 *   tcp:HOST:PORT           IPv4 or IPv6: tcp:127.0.0.1:9000, tcp:[::1]:9000; a listener may say
 *                           tcp:*:9000, for IPv4 and IPv6, and port 0 for any free one. A name
 *                           stands for all of its addresses.
 *
 * Both sides greet each other first: see greet.h. The listener takes one client at a time, several by
 * ipc_channel_accept, or serves many with options.clients: see server.h. The other side waits for a
 * listener. Both directions.
 *
 *   Access   unix: each process that the file's mode permits, and of those only processes of this
 *            user, root, options.user and options.group, as the kernel tells them (SO_PEERCRED).
 *            tcp: each process that can reach the port.
 *   Loss     -EPIPE after all that the other side sent, or -EOWNERDEAD if that ends in the middle
 *            of a message. tcp: only what has reached this host, where the other side left messages
 *            of ours unread. A listener then waits for the next client, a client for the next
 *            listener; a channel of ipc_channel_accept reports the loss again. A channel of both
 *            directions goes on to the next peer once all is received. A host that vanishes without
 *            a word is noticed by deadlines only, or with options.keepalive.
 *   Limits   A listener's file goes with ipc_channel_close; the next listener replaces the file of
 *            one that was killed. A client that waits looks again after an eighth of the time
 *            that it has waited, 100 ms at most.
 */
#ifndef IPC_SRC_CHANNEL_SOCKET_H
#define IPC_SRC_CHANNEL_SOCKET_H 1

#include "greet.h"

/* ------------------------------------------------------------------ the other side */

/* May a process of this user and group be at the other end? */
IPC_INLINE int ipc_channel_may_be_peer_(const struct ipc_channel *ch, uid_t uid, gid_t gid)
{
    return uid == geteuid() || uid == 0 || uid == ch->how.user ||
           (ch->how.group != 0 && gid == ch->how.group);
}

/* Asks a host that is silent for a third of the time whether it is there, and gives a connection up
 * whose bytes or questions are not answered for all of the time. */
IPC_INLINE void ipc_channel_keep_alive_(int fd, unsigned seconds)
{
    int one = 1, third = (int)(seconds + 2) / 3, count = 3;
    unsigned ms = seconds * 1000;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &third, sizeof third);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &third, sizeof third);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    (void)setsockopt(fd, IPPROTO_TCP, 18 /* TCP_USER_TIMEOUT */, &ms, sizeof ms);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
}

/* Checks the process at the other end of a connected socket, and prepares the socket. */
IPC_INLINE int ipc_channel_check_peer_(struct ipc_channel *ch, int fd)
{
    socklen_t size = sizeof ch->peer;
    int one = 1;

    if (ipc_channel_is_unix_(ch) && ch->kind->type != SOCK_DGRAM) {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ch->peer, &size) != 0)
            return ipc_channel_refuse_errno_(ch, "tell who is at");
        if (!ipc_channel_may_be_peer_(ch, ch->peer.uid, ch->peer.gid))
            return ipc_channel_refuse_(ch, -EACCES,
                                       "%s:%s: user %ld of group %ld is there; see "
                                       "options.user and options.group",
                                       ch->kind->scheme, ch->address, (long)ch->peer.uid,
                                       (long)ch->peer.gid);
    }
    if (!ipc_channel_is_unix_(ch) && ch->kind->type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (ch->how.keepalive != 0)
        ipc_channel_keep_alive_(fd, ch->how.keepalive);
    return 0;
}

/* Sets `max` to what one packet of this socket carries, or to options.max. On Unix sockets that
 * follows from the buffer, which the kernel makes twice as large as asked for, and may cut. */
IPC_INLINE int ipc_channel_set_packet_max_(struct ipc_channel *ch, int fd)
{
    size_t head = ch->kind->type == SOCK_SEQPACKET ? IPC_CHANNEL_HEADER_ : 0, most = 65507;
    int room = ch->how.max < INT_MAX / 4 ? (int)(ch->how.max / 2 + 128) : 0;
    socklen_t four = sizeof room;

    if (ch->kind->type != SOCK_DGRAM && ch->kind->type != SOCK_SEQPACKET)
        return 0;
    if (ipc_channel_is_unix_(ch)) {
        if (ch->how.max * 2 > IPC_CHANNEL_GULP_)
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &four) != 0)
            return ipc_channel_refuse_errno_(ch, "ask how much fits through");
        most = (size_t)room - 32 - head; /* the kernel needs 32 bytes of it */
    }
    /* The kernel's default may have grown since the buffers were made, for an earlier connection. */
    if (ch->rx.data != NULL && most > ch->rx.size - IPC_CHANNEL_GULP_ - IPC_CHANNEL_HEAD_MOST_)
        most = ch->rx.size - IPC_CHANNEL_GULP_ - IPC_CHANNEL_HEAD_MOST_;
    if (ch->how.max > most)
        return ipc_channel_refuse_(ch, -EMSGSIZE, "%s: messages of %zu bytes: at most %zu%s",
                                   ch->kind->scheme, ch->how.max, most,
                                   ipc_channel_is_unix_(ch) ? " (net.core.wmem_max)" : "");
    ch->max = ch->how.max != 0 ? ch->how.max : most;
    return 0;
}

/* ------------------------------------------------------------------ connecting */

#define IPC_CHANNEL_TRY_NS_ INT64_C(250000000) /* for one of several addresses, at first */
#define IPC_CHANNEL_NAP_NS_ INT64_C(1000000)

/* Is the socket connected to itself? That happens where no process listens at a port and the kernel
 * has chosen the same port for this end, or the same name for a Unix socket. */
IPC_INLINE int ipc_channel_is_own_peer_(int fd)
{
    struct sockaddr_storage own, peer;
    socklen_t n = sizeof own, m = sizeof peer;

    memset(&own, 0, sizeof own);
    memset(&peer, 0, sizeof peer);
    return getsockname(fd, (struct sockaddr *)&own, &n) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &m) == 0 && n == m &&
           memcmp(&own, &peer, sizeof own) == 0;
}

/* Waits until a connection that has begun is made, or has failed. */
IPC_INLINE int ipc_channel_finish_connect_(int fd, int64_t deadline)
{
    int rc = ipc_channel_wait_(fd, POLLOUT, deadline), error = 0;
    socklen_t size = sizeof error;

    if (rc != 0)
        return rc;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? -error : -errno;
}

/* Tries to connect to one address. -ECONNREFUSED: no process listens there, also where the socket
 * has connected to itself. */
IPC_INLINE int ipc_channel_connect_to_(struct ipc_channel *ch, int fd, const struct addrinfo *at,
                                       int64_t deadline)
{
    static const struct linger none = {1, 0};
    static const struct sockaddr nobody = {AF_UNSPEC, {0}};
    struct sockaddr_un own;
    int rc, tries;

    memset(&own, 0, sizeof own);
    own.sun_family = AF_UNIX;
    /* Answers need a name of this end. An empty address lets the kernel choose one. */
    if (ipc_channel_is_unix_(ch) && ch->kind->type == SOCK_DGRAM && (ch->role & IPC_RECV) != 0 &&
        bind(fd, (struct sockaddr *)&own, sizeof own.sun_family) != 0)
        return -errno;
    rc = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
    if (rc == -EINPROGRESS)
        rc = ipc_channel_finish_connect_(fd, deadline);
    for (tries = 0; rc == 0 && ipc_channel_is_own_peer_(fd); tries++) {
        if (ch->kind->type != SOCK_DGRAM || tries == 8) {
            /* Closed without TIME_WAIT, which would keep the port for a minute. */
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
            return -ECONNREFUSED;
        }
        /* A datagram socket waits for nobody: it takes another port at once. */
        if (connect(fd, &nobody, sizeof nobody) != 0 ||
            connect(fd, at->ai_addr, at->ai_addrlen) != 0)
            rc = -errno;
    }
    return rc;
}

/* May a listener come to the address, after this error of connect? */
IPC_INLINE int ipc_channel_may_come_(int rc)
{
    return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EAGAIN || rc == -ECONNRESET ||
           rc == -ETIMEDOUT || rc == -EHOSTUNREACH || rc == -EHOSTDOWN;
}

/* When a try to connect to one of several addresses gives way to the next one: after the time that
 * was waited so far, so that a host that does not answer holds up none of the others, and one that
 * answers slowly is reached in the end. */
IPC_INLINE int64_t ipc_channel_limit_try_(int64_t began, int64_t deadline)
{
    int64_t now = ipc_clock(), most = now - began;

    now += most > IPC_CHANNEL_TRY_NS_ ? most : IPC_CHANNEL_TRY_NS_;
    return deadline < now ? deadline : now;
}

/* Tries each address once. The connected descriptor, or a negative errno: one after which a
 * listener may come, if any address had such a one. */
IPC_INLINE int ipc_channel_connect_once_(struct ipc_channel *ch,
                                         const struct ipc_channel_addresses_ *a, int64_t began,
                                         int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int rc = -EADDRNOTAVAIL, why = 0, fd;
    const struct addrinfo *at = a->first;
    unsigned n = 0, i;

    for (; at != NULL; at = at->ai_next)
        n++;
    /* A connection of udp: is made whether a process is there or not. After a loss it is the turn
     * of the next address. */
    i = ch->kind->type == SOCK_DGRAM ? own->connects++ % n : 0;
    for (at = a->first; i > 0; i--)
        at = at->ai_next;
    for (i = 0; i < n; i++, at = at->ai_next != NULL ? at->ai_next : a->first) {
        fd = ipc_channel_make_socket_(ch, at->ai_family);
        if (fd < 0 && fd != -EAFNOSUPPORT)
            return fd;
        rc = fd >= 0 ? ipc_channel_connect_to_(
                           ch, fd, at, n > 1 ? ipc_channel_limit_try_(began, deadline) : deadline)
                     : fd;
        if (rc == 0)
            return fd;
        ipc_channel_close_fd_(&fd);
        if (rc == -EINTR)
            return rc;
        if (why == 0 || ipc_channel_may_come_(rc))
            why = rc;
    }
    return ipc_channel_refuse_(ch, why, "%s: cannot connect to '%s': %s", ch->kind->scheme,
                               ch->address, strerror(-why));
}

/* Sleeps before the next try: an eighth of the time that was waited so far, 1 ms to 100 ms. Then
 * many clients that wait long cost little, and one that waits shortly is hardly late. */
IPC_INLINE int ipc_channel_nap_longer_(int64_t began, int64_t deadline)
{
    int64_t pause = (ipc_clock() - began) / 8, left = ipc_left_(deadline);
    struct timespec t;

    if (left == 0)
        return -ETIMEDOUT;
    pause = pause > IPC_CHANNEL_NAP_NS_ ? pause : IPC_CHANNEL_NAP_NS_;
    pause = pause < 100 * IPC_CHANNEL_NAP_NS_ ? pause : 100 * IPC_CHANNEL_NAP_NS_;
    t = ipc_notify_time_(left < pause ? left : pause);
    return nanosleep(&t, NULL) == 0 ? 0 : -errno;
}

/* Connects, and waits for a listener until the deadline. The descriptor, or a negative errno. */
IPC_INLINE int ipc_channel_reach_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_addresses_ a;
    int rc = ipc_channel_resolve_(ch, &a), fd = -1, nap = 0;
    int64_t began = ipc_clock();

    while (rc == 0 && nap == 0) {
        fd = ipc_channel_connect_once_(ch, &a, began, deadline);
        if (fd >= 0 || !ipc_channel_may_come_(fd))
            break;
        nap = ipc_channel_nap_longer_(began, deadline);
    }
    ipc_channel_free_addresses_(&a);
    if (rc != 0)
        return rc;
    if (nap == -ETIMEDOUT)
        return ipc_channel_refuse_(ch, nap,
                                   "%s: nobody listened at '%s' until the deadline (%s): is that "
                                   "program running?",
                                   ch->kind->scheme, ch->address, strerror(-fd));
    return nap != 0 ? nap : fd;
}

IPC_INLINE int ipc_channel_connect_(struct ipc_channel *ch, int64_t deadline)
{
    int fd = ipc_channel_reach_(ch, deadline), rc;

    if (fd < 0)
        return fd;
    rc = ipc_channel_check_peer_(ch, fd);
    if (rc == 0)
        rc = ipc_channel_set_packet_max_(ch, fd);
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    ipc_channel_make_blocking_(fd);
    ch->in = ch->out = fd;
    ipc_channel_greet_(ch, fd);
    return 0;
}

/* ------------------------------------------------------------------ listening */

IPC_INLINE int ipc_channel_listen_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int rc = ipc_channel_make_listener_(ch, deadline);

    if (rc != 0)
        return rc;
    if (ch->kind->type == SOCK_DGRAM) {
        ch->in = ch->out = own->sockets[0];
        if (own->count == 1) {
            own->listener = -1;
            ipc_channel_make_blocking_(ch->in);
        }
    }
    return ipc_channel_set_packet_max_(ch, own->sockets[0]);
}

/* Takes one client that waits at a socket. The descriptor, -1 where none waits, or another error in
 * errno. */
IPC_INLINE int ipc_channel_accept_one_(int listener)
{
    int fd;

#ifdef SYS_accept4
    fd = (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
#else
    fd = accept(listener, NULL, NULL);
    if (fd >= 0)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
    return fd;
}

/* Takes one client that waits at one of the sockets, the next one first. As
 * ipc_channel_accept_one_. */
IPC_INLINE int ipc_channel_accept_any_(struct ipc_channel_socket_ *from)
{
    unsigned i;
    int fd = -1;

    errno = EAGAIN;
    for (i = 0; i < from->count && fd < 0 && errno == EAGAIN; i++) {
        fd = ipc_channel_accept_one_(from->sockets[from->turn]);
        from->turn = (from->turn + 1) % from->count;
    }
    return fd;
}

/* Takes the next client that is permitted. The others are left at once, but they keep no call
 * beyond its deadline. */
IPC_INLINE int ipc_channel_accept_next_(struct ipc_channel_socket_ *from, struct ipc_channel *ch,
                                        int64_t deadline)
{
    int fd, rc;

    for (;;) {
        fd = ipc_channel_accept_any_(from);
        if (fd >= 0) {
            ch->in = ch->out = fd;
            rc = ipc_channel_check_peer_(ch, fd);
            if (rc == 0 && (rc = ipc_channel_set_packet_max_(ch, fd)) == 0)
                ipc_channel_greet_(ch, fd);
            if (rc != -EACCES)
                return rc;
            ipc_channel_leave_peer_(ch);
            if (ipc_left_(deadline) == 0)
                return -ETIMEDOUT;
        } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EPROTO) {
            return ipc_channel_refuse_errno_(ch, "accept at");
        }
        rc = ipc_channel_wait_(from->listener, POLLIN, deadline);
        if (rc != 0)
            return rc;
    }
}

/* ------------------------------------------------------------------ what the tables name */

IPC_INLINE int ipc_channel_socket_meet_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);

    return own->listener >= 0 ? ipc_channel_accept_next_(own, ch, deadline)
                              : ipc_channel_connect_(ch, deadline);
}

#define IPC_CHANNEL_TRIES_ 3 /* of a client that a listener leaves before it greets */

/* Waits until a peer is there that has greeted, and fits. A listener leaves one that went before that,
 * and goes on with the next. A client tries again, as it may have met a listener that was about to
 * end; in the end -EPIPE: the listener does not want it. */
IPC_INLINE int ipc_channel_greeted_meet_(struct ipc_channel *ch, int64_t deadline)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int alone = (ch->flags & IPC_CHANNEL_ACCEPTED_) != 0, rc = 0, tries = 0;
    int64_t began = ipc_clock();
    char why[sizeof ch->why];

    for (;;) {
        if (ch->in < 0)
            rc = alone ? -EPIPE : ipc_channel_socket_meet_(ch, deadline);
        if (rc == 0 && (ch->flags & IPC_CHANNEL_UNGREETED_) != 0)
            rc = ipc_channel_hear_greeting_(ch, deadline);
        if (rc == 0 || rc == -ETIMEDOUT || rc == -EINTR || ch->in < 0)
            return rc;
        memcpy(why, ch->why, sizeof why);
        rc = ipc_channel_lose_peer_(ch, rc == -EOWNERDEAD ? -EPIPE : rc);
        if (rc != -EPIPE)
            memcpy(ch->why, why, sizeof why);
        if (rc != -EPIPE || alone || (own->listener < 0 && ++tries == IPC_CHANNEL_TRIES_))
            return rc;
        if (own->listener < 0 && (rc = ipc_channel_nap_longer_(began, deadline)) != 0)
            return rc;
        if (ipc_left_(deadline) == 0)
            return -ETIMEDOUT;
    }
}

IPC_INLINE int ipc_channel_socket_open_(struct ipc_channel *ch, int64_t deadline)
{
    unsigned need = (ch->role & IPC_LISTEN) != 0 ? IPC_RECV : IPC_SEND;

    ipc_channel_get_socket_(ch)->listener = -1;
    if (ch->kind->type == SOCK_DGRAM && (ch->role & need) == 0)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "%s: a listener must receive, the other side must send",
                                   ch->kind->scheme);
    return (ch->role & IPC_LISTEN) != 0 ? ipc_channel_listen_(ch, deadline)
                                        : ipc_channel_connect_(ch, deadline);
}

IPC_INLINE int ipc_channel_socket_accept_(struct ipc_channel *listener, struct ipc_channel *ch,
                                          int64_t deadline)
{
    struct ipc_channel_socket_ *from = ipc_channel_get_socket_(listener);

    ipc_channel_get_socket_(ch)->listener = -1;
    ipc_channel_get_socket_(ch)->accepted = 1;
    if (from->listener < 0)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: no clients to be accepted here",
                                   ch->kind->scheme);
    return ipc_channel_accept_next_(from, ch, deadline);
}

IPC_INLINE void ipc_channel_socket_close_(struct ipc_channel *ch)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);

    if (own->has_file && ch->pid == getpid())
        ipc_channel_remove_own_(ch, S_IFSOCK, own->ino);
    ipc_channel_stop_listening_(ch);
}

/* A listener's descriptor tells of clients while none is there, and of datagrams that come to one
 * of several addresses. */
IPC_INLINE int ipc_channel_socket_descriptor_(struct ipc_channel *ch)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);

    if (ch->in >= 0 && (ch->kind->type != SOCK_DGRAM || own->listener < 0))
        return ch->in;
    return own->listener;
}

IPC_INLINE void ipc_channel_socket_describe_(const struct ipc_channel *ch,
                                             struct ipc_channel_facts *info)
{
    info->port = ipc_channel_get_socket_(ch)->port;
}

/* Addresses of the network, and names in the abstract namespace, have no file. */
IPC_INLINE int ipc_channel_socket_unlink_(struct ipc_channel *ch)
{
    return ipc_channel_has_path_(ch) ? ipc_channel_remove_(ch->address, S_IFSOCK) : -EOPNOTSUPP;
}

/* A server of sockets: see server.h. */
IPC_INLINE int ipc_channel_sockets_open_(struct ipc_channel *ch);
IPC_INLINE void ipc_channel_sockets_close_(struct ipc_channel *ch);
IPC_INLINE int64_t ipc_channel_sockets_recv_(struct ipc_channel *ch, void *to, size_t size,
                                             int64_t deadline);
IPC_INLINE int ipc_channel_sockets_send_to_(struct ipc_channel *ch, uint64_t client,
                                            const void *message, size_t n, int64_t deadline);
IPC_INLINE int ipc_channel_sockets_drop_(struct ipc_channel *ch, uint64_t client);
IPC_INLINE int ipc_channel_sockets_flush_(struct ipc_channel *ch, int64_t deadline);
IPC_INLINE int ipc_channel_sockets_descriptor_(struct ipc_channel *ch);
IPC_INLINE void ipc_channel_sockets_describe_(const struct ipc_channel *ch,
                                              struct ipc_channel_facts *info);
IPC_INLINE int ipc_channel_sockets_is_ready_(struct ipc_channel *ch);

static const struct ipc_channel_serve_ ipc_channel_sockets_serve_ = {
    ipc_channel_sockets_open_,
    ipc_channel_sockets_close_,
    ipc_channel_sockets_recv_,
    ipc_channel_sockets_send_to_,
    ipc_channel_sockets_drop_,
    ipc_channel_sockets_flush_,
    ipc_channel_sockets_descriptor_,
    ipc_channel_sockets_describe_,
    ipc_channel_sockets_is_ready_,
};

static const struct ipc_channel_kind_ ipc_channel_unix_kind_ = {
    "unix",
    IPC_CHANNEL_GROUPS_ | IPC_CHANNEL_GREETS_,
    sizeof(struct ipc_channel_socket_),
    AF_UNIX,
    SOCK_STREAM,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    ipc_channel_socket_unlink_,
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    ipc_channel_greeted_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_socket_accept_,
    ipc_channel_socket_descriptor_,
    NULL, /* describe */
    NULL, /* is_ready */
    &ipc_channel_sockets_serve_,
};

static const struct ipc_channel_kind_ ipc_channel_tcp_kind_ = {
    "tcp",
    IPC_CHANNEL_OPEN_TO_ALL_ | IPC_CHANNEL_KEEPALIVE_ | IPC_CHANNEL_GREETS_,
    sizeof(struct ipc_channel_socket_),
    AF_INET,
    SOCK_STREAM,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    NULL, /* unlink: it has no name */
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    ipc_channel_greeted_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_socket_accept_,
    ipc_channel_socket_descriptor_,
    ipc_channel_socket_describe_,
    NULL, /* is_ready */
    &ipc_channel_sockets_serve_,
};

#endif
