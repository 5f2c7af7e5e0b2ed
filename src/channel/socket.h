/* unix: and tcp:, and what all sockets have in common. */
#ifndef IPC_SRC_CHANNEL_SOCKET_H
#define IPC_SRC_CHANNEL_SOCKET_H 1

#include "frame.h"

/* ------------------------------------------------------------------ sockets */

/* Where a URI leads to. */
struct ipc_channel_addresses_ {
    struct sockaddr_storage at[4];
    socklen_t size[4];
    unsigned count;
    int dir; /* open, if paths go by it */
};

/* "PATH" or "@NAME". A path that is too long for an address goes by the descriptor of its folder.
 */
IPC_INLINE int ipc_channel_resolve_path_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    struct sockaddr_un un;
    size_t n = strlen(ch->address), room = sizeof un.sun_path;
    const char *base = strrchr(ch->address, '/');
    char folder[PATH_MAX];
    int fits = n < room;

    memset(&un, 0, sizeof un);
    un.sun_family = AF_UNIX;
    if (ch->address[0] == '@' ? !fits : n == 0 || n >= sizeof folder)
        return ipc_channel_refuse_(ch, n == 0 ? -EINVAL : -ENAMETOOLONG,
                                   "%s: address of %zu bytes: 1 to %zu", ch->kind->scheme, n,
                                   ch->address[0] == '@' ? room - 1 : sizeof folder - 1);
    if (fits) {
        memcpy(un.sun_path, ch->address, n);
        if (ch->address[0] == '@')
            un.sun_path[0] = '\0';
    } else {
        memcpy(folder, ch->address, n + 1);
        folder[base != NULL ? base - ch->address : 0] = '\0';
        a->dir = open(base == NULL      ? "."
                      : *folder != '\0' ? folder
                                        : "/",
                      O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (a->dir < 0)
            return ipc_channel_refuse_errno_(ch, "open the folder of");
        n = (size_t)snprintf(un.sun_path, room, "/proc/self/fd/%d/%s", a->dir,
                             base != NULL ? base + 1 : ch->address);
        if (n >= room)
            return ipc_channel_refuse_(ch, -ENAMETOOLONG,
                                       "%s: '%s': the name in its folder is long", ch->kind->scheme,
                                       ch->address);
    }
    memcpy(&a->at[0], &un, sizeof un);
    /* An abstract name is as long as it is; a path ends with a NUL. */
    a->size[0] = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*un.sun_path != '\0'));
    a->count = 1;
    return 0;
}

/* "HOST:PORT", "[HOST]:PORT", to listen "*:PORT". */
IPC_INLINE int ipc_channel_resolve_host_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    const char *colon = strrchr(ch->address, ':'), *from = ch->address, *to = colon;
    struct addrinfo hint, *all = NULL, *one;
    char host[256];
    int rc;

    if (colon != NULL && *from == '[' && colon > from + 1 && colon[-1] == ']')
        from++, to--;
    if (colon == NULL || to == from || (size_t)(to - from) >= sizeof host || colon[1] == '\0')
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: not HOST:PORT", ch->kind->scheme,
                                   ch->address);
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    memset(&hint, 0, sizeof hint);
    hint.ai_socktype = ch->kind->type;
    hint.ai_flags = (ch->role & IPC_LISTEN) != 0 ? AI_PASSIVE : 0;
    rc = getaddrinfo(strcmp(host, "*") == 0 && hint.ai_flags != 0 ? NULL : host, colon + 1, &hint,
                     &all);
    if (rc != 0)
        return ipc_channel_refuse_(ch,
                                   rc == EAI_SYSTEM   ? -errno
                                   : rc == EAI_AGAIN  ? -EAGAIN
                                   : rc == EAI_MEMORY ? -ENOMEM
                                                      : -EADDRNOTAVAIL,
                                   "%s:%s: %s", ch->kind->scheme, ch->address, gai_strerror(rc));
    for (one = all; one != NULL && a->count < 4; one = one->ai_next) {
        memcpy(&a->at[a->count], one->ai_addr, one->ai_addrlen);
        a->size[a->count++] = one->ai_addrlen;
    }
    freeaddrinfo(all);
    return 0;
}

IPC_INLINE int ipc_channel_resolve_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    memset(a, 0, sizeof *a);
    a->dir = -1;
    return ch->kind->domain == AF_UNIX ? ipc_channel_resolve_path_(ch, a)
                                       : ipc_channel_resolve_host_(ch, a);
}

/* May this one be at the other end? */
IPC_INLINE int ipc_channel_may_be_peer_(const struct ipc_channel *ch, uid_t uid, gid_t gid)
{
    return uid == geteuid() || uid == 0 || uid == ch->how.user ||
           (ch->how.group != 0 && gid == ch->how.group);
}

/* A connected socket: who is there, and what does it carry? */
IPC_INLINE int ipc_channel_check_peer_(struct ipc_channel *ch, int fd)
{
    socklen_t size = sizeof ch->peer;
    int one = 1;

    if (ch->kind->domain == AF_UNIX && ch->kind->type != SOCK_DGRAM) {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ch->peer, &size) != 0)
            return ipc_channel_refuse_errno_(ch, "tell who is at");
        if (!ipc_channel_may_be_peer_(ch, ch->peer.uid, ch->peer.gid))
            return ipc_channel_refuse_(ch, -EACCES,
                                       "%s:%s: user %ld of group %ld is there; see "
                                       "options.user and options.group",
                                       ch->kind->scheme, ch->address, (long)ch->peer.uid,
                                       (long)ch->peer.gid);
    }
    if (ch->kind->domain != AF_UNIX && ch->kind->type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return 0;
}

/* How large a packet may be. On Unix sockets that follows from the buffer, which the kernel makes
 * twice as large as asked for, and may cut. */
IPC_INLINE int ipc_channel_set_packet_max_(struct ipc_channel *ch, int fd)
{
    size_t head = ch->kind->type == SOCK_SEQPACKET ? IPC_CHANNEL_HEADER_ : 0, most = 65507;
    int room = ch->how.max < INT_MAX / 4 ? (int)(ch->how.max / 2 + 128) : 0;
    socklen_t four = sizeof room;

    if (ch->kind->type != SOCK_DGRAM && ch->kind->type != SOCK_SEQPACKET)
        return 0;
    if (ch->kind->domain == AF_UNIX) {
        if (ch->how.max * 2 > IPC_CHANNEL_GULP_)
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &four) != 0)
            return ipc_channel_refuse_errno_(ch, "ask how much fits through");
        most = (size_t)room - 32 - head; /* of the kernel's own */
    }
    if (ch->how.max > most)
        return ipc_channel_refuse_(ch, -EMSGSIZE, "%s: messages of %zu bytes: at most %zu%s",
                                   ch->kind->scheme, ch->how.max, most,
                                   ch->kind->domain == AF_UNIX ? " (net.core.wmem_max)" : "");
    ch->max = ch->how.max != 0 ? ch->how.max : most;
    return 0;
}

/* Are datagrams to say who sent them? Where there is a file, its mode has decided already. */
IPC_INLINE int ipc_channel_wants_credentials_(const struct ipc_channel *ch)
{
    return ch->kind->domain == AF_UNIX && ch->kind->type == SOCK_DGRAM && ch->address[0] == '@' &&
           (ch->role & IPC_LISTEN) != 0;
}

IPC_INLINE int ipc_channel_make_socket_(struct ipc_channel *ch, int family)
{
    int fd = socket(family, ch->kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 ? fd : ipc_channel_refuse_errno_(ch, "make a socket for");
}

/* From now on calls may block, those with MSG_DONTWAIT excepted. */
IPC_INLINE void ipc_channel_make_blocking_(int fd)
{
    (void)fcntl(fd, F_SETFL, 0);
}

/* Is the socket connected to itself? That happens where nobody listens at a port and the kernel has
 * chosen the same port for our end, or the same name for a Unix socket. */
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

/* One attempt at one address. -ECONNREFUSED: nobody listens, also where our socket has connected to
 * itself. */
IPC_INLINE int ipc_channel_connect_to_(struct ipc_channel *ch, int fd,
                                       const struct sockaddr_storage *at, socklen_t size,
                                       int64_t deadline)
{
    static const struct linger none = {1, 0};
    static const struct sockaddr nobody = {AF_UNSPEC, {0}};
    struct sockaddr_un own;
    socklen_t four = sizeof(int);
    int rc, tries;

    memset(&own, 0, sizeof own);
    own.sun_family = AF_UNIX;
    /* A name that the kernel finds, for replies. */
    if (ch->kind->domain == AF_UNIX && ch->kind->type == SOCK_DGRAM && (ch->role & IPC_RECV) != 0 &&
        bind(fd, (struct sockaddr *)&own, sizeof own.sun_family) != 0)
        return -errno;
    rc = connect(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
    if (rc == -EINPROGRESS) {
        rc = ipc_channel_wait_(fd, POLLOUT, deadline);
        if (rc == 0 && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &four) != 0 || rc != 0))
            rc = -rc;
    }
    for (tries = 0; rc == 0 && ipc_channel_is_own_peer_(fd); tries++) {
        if (ch->kind->type != SOCK_DGRAM || tries == 8) {
            /* Closed without TIME_WAIT, in which the port would stay ours for a minute. */
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
            return -ECONNREFUSED;
        }
        /* Datagrams wait for nobody: another port is taken at once. */
        if (connect(fd, &nobody, sizeof nobody) != 0 ||
            connect(fd, (const struct sockaddr *)at, size) != 0)
            rc = -errno;
    }
    return rc;
}

/* Connects, and waits until somebody listens. */
IPC_INLINE int ipc_channel_connect_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_addresses_ a;
    int rc = ipc_channel_resolve_(ch, &a), fd = -1, nap = 0;
    unsigned i;

    while (rc == 0) {
        *ch->why = '\0';
        for (i = 0; i < a.count; i++) {
            fd = ipc_channel_make_socket_(ch, a.at[i].ss_family);
            rc = fd < 0 ? fd : ipc_channel_connect_to_(ch, fd, &a.at[i], a.size[i], deadline);
            if (rc == 0 || fd < 0)
                break;
            ipc_channel_close_fd_(&fd);
        }
        if (rc == 0 || (rc != -ENOENT && rc != -ECONNREFUSED && rc != -EAGAIN && rc != -ECONNRESET))
            break;
        nap = ipc_channel_nap_(deadline);
        rc = nap == -ETIMEDOUT ? ipc_channel_refuse_(ch, nap,
                                                     "%s: nobody listened at '%s' until the "
                                                     "deadline: is that program running?",
                                                     ch->kind->scheme, ch->address)
                               : nap;
    }
    if (rc < 0 && nap == 0 && fd < 0 && *ch->why == '\0')
        (void)ipc_channel_refuse_(ch, rc, "%s: cannot connect to '%s': %s", ch->kind->scheme,
                                  ch->address, strerror(-rc));
    ipc_channel_close_fd_(&a.dir);
    if (rc == 0 && ((rc = ipc_channel_check_peer_(ch, fd)) != 0 ||
                    (rc = ipc_channel_set_packet_max_(ch, fd)) != 0))
        ipc_channel_close_fd_(&fd);
    if (rc != 0)
        return rc;
    ipc_channel_make_blocking_(fd);
    ch->in = ch->out = fd;
    return 0;
}

/* A socket's file that nobody listens behind is a dead one's. Held by a lock on the folder, as of
 * two who find it so one could remove the other's. */
IPC_INLINE int ipc_channel_bind_(struct ipc_channel *ch, int fd, const struct sockaddr_storage *at,
                                 socklen_t size, int64_t deadline)
{
    const char *slash = strrchr(ch->address, '/');
    char folder[PATH_MAX];
    int lock = -1, probe, rc;
    struct stat st;

    if (ch->kind->domain != AF_UNIX || ch->address[0] == '@')
        return bind(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash != NULL ? (int)(slash - ch->address) + 1 : 1,
                   slash != NULL ? ch->address : ".");
    lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return -errno;
    do
        rc = flock(lock, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
    while (rc == -EWOULDBLOCK && (rc = ipc_channel_nap_(deadline)) == 0);
    if (rc == 0) {
        (void)fchmod(fd, 0); /* until the mode is right */
        rc = bind(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
    }
    if (rc == -EADDRINUSE && lstat(ch->address, &st) == 0 && S_ISSOCK(st.st_mode)) {
        probe = socket(AF_UNIX, ch->kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (probe >= 0 && connect(probe, (const struct sockaddr *)at, size) != 0 &&
            errno == ECONNREFUSED && unlink(ch->address) == 0)
            rc = bind(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
        ipc_channel_close_fd_(&probe);
    }
    if (rc == 0 && (rc = ipc_channel_set_mode_(ch, S_IFSOCK, &st)) == 0) {
        ch->state |= IPC_CHANNEL_FILE_;
        ch->ino = st.st_ino;
    }
    (void)close(lock);
    return rc;
}

IPC_INLINE int ipc_channel_listen_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_addresses_ a;
    union {
        struct sockaddr_storage any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } own;
    socklen_t size = sizeof own;
    int rc = ipc_channel_resolve_(ch, &a), fd, one = 1;

    fd = rc == 0 ? ipc_channel_make_socket_(ch, a.at[0].ss_family) : rc;
    if (fd >= 0) {
        if (ch->kind->domain != AF_UNIX && ch->kind->type == SOCK_STREAM)
            (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (ipc_channel_wants_credentials_(ch))
            (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
        rc = ipc_channel_bind_(ch, fd, &a.at[0], a.size[0], deadline);
        if (rc == 0 && ch->kind->type != SOCK_DGRAM && listen(fd, 64) != 0)
            rc = -errno;
        if (rc != 0) {
            ipc_channel_close_fd_(&fd);
            (void)ipc_channel_refuse_(ch, rc, "%s: cannot listen at '%s': %s%s", ch->kind->scheme,
                                      ch->address, strerror(-rc),
                                      rc == -EADDRINUSE ? ": another does" : "");
        }
    }
    ipc_channel_close_fd_(&a.dir);
    if (rc != 0 || fd < 0)
        return rc != 0 ? rc : fd;
    memset(&own, 0, sizeof own);
    if (getsockname(fd, (struct sockaddr *)&own.any, &size) == 0)
        ch->port = own.any.ss_family == AF_INET    ? ntohs(own.v4.sin_port)
                   : own.any.ss_family == AF_INET6 ? ntohs(own.v6.sin6_port)
                                                   : 0;
    if (ch->kind->type != SOCK_DGRAM) {
        ch->listener = fd;
        return ipc_channel_set_packet_max_(ch, fd);
    }
    ipc_channel_make_blocking_(fd);
    ch->in = ch->out = fd;
    return ipc_channel_set_packet_max_(ch, fd);
}

/* The next of those who have connected and may. Others are left at once. */
IPC_INLINE int ipc_channel_accept_next_(struct ipc_channel *listener, struct ipc_channel *ch,
                                        int64_t deadline)
{
    int fd, rc;

    for (;;) {
#ifdef SYS_accept4
        fd = (int)syscall(SYS_accept4, listener->listener, NULL, NULL, SOCK_CLOEXEC);
#else
        fd = accept(listener->listener, NULL, NULL);
        if (fd >= 0)
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
        if (fd >= 0) {
            ch->in = ch->out = fd;
            if (ipc_channel_check_peer_(ch, fd) == 0)
                return ipc_channel_set_packet_max_(ch, fd);
            ipc_channel_leave_peer_(ch);
        } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EPROTO)
            return ipc_channel_refuse_errno_(ch, "accept at");
        rc = fd >= 0 && ipc_left_(deadline) == 0
                 ? -ETIMEDOUT /* however many more there are */
                 : ipc_channel_wait_(listener->listener, POLLIN, deadline);
        if (rc != 0)
            return rc;
    }
}

IPC_INLINE int ipc_channel_socket_meet_(struct ipc_channel *ch, int64_t deadline)
{
    return ch->listener >= 0 ? ipc_channel_accept_next_(ch, ch, deadline)
                             : ipc_channel_connect_(ch, deadline);
}

IPC_INLINE int ipc_channel_socket_open_(struct ipc_channel *ch, int64_t deadline)
{
    unsigned need = (ch->role & IPC_LISTEN) != 0 ? IPC_RECV : IPC_SEND;

    if (ch->kind->type == SOCK_DGRAM && (ch->role & need) == 0)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "%s: who listens must receive, who does not must "
                                   "send",
                                   ch->kind->scheme);
    return (ch->role & IPC_LISTEN) != 0 ? ipc_channel_listen_(ch, deadline)
                                        : ipc_channel_connect_(ch, deadline);
}

/* Addresses of the network, and names in the abstract namespace, have no file. */
IPC_INLINE int ipc_channel_socket_unlink_(struct ipc_channel *ch)
{
    return ch->kind->domain != AF_UNIX || ch->address[0] == '@'
               ? -EOPNOTSUPP
               : ipc_channel_remove_(ch->address, S_IFSOCK);
}

#endif
