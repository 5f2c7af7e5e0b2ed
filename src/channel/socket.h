/*
 * unix: and tcp:, streams; and what all sockets have in common: unix-seq:, unix-dgram: and udp: in
 * packet.h, and auto:.
 *
 *   unix:PATH, unix:@NAME   A Unix socket, in a file, or in the abstract namespace.
 *   tcp:HOST:PORT           IPv4 or IPv6: tcp:127.0.0.1:9000, tcp:[::1]:9000; a listener may say
 *                           tcp:*:9000, and port 0 for any free one.
 *
 * The listener takes one client at a time, or several by ipc_channel_accept. The other side waits
 * for a listener. Both directions.
 *
 *   Access   unix: each process that the file's mode permits, and of those only processes of this
 *            user, root, options.user and options.group, as the kernel tells them (SO_PEERCRED).
 *            tcp: each process that can reach the port.
 *   Loss     -EPIPE after all that the other side sent, or -EOWNERDEAD if that ends in the middle
 *            of a message. A listener then waits for the next client, a client for the next
 *            listener; a channel of ipc_channel_accept reports the loss again. Only deadlines
 *            notice a host that vanishes without a word.
 *   Limits   A listener's file goes with ipc_channel_close; the next listener replaces the file of
 *            one that was killed.
 */
#ifndef IPC_SRC_CHANNEL_SOCKET_H
#define IPC_SRC_CHANNEL_SOCKET_H 1

#include "frame.h"

/* ------------------------------------------------------------------ sockets */

struct ipc_channel_socket_ {
    int listener;                  /* the descriptor that clients are accepted from, or -1 */
    int port;                      /* a listener's; else 0 */
    int has_file;                  /* this channel has made the socket's file */
    ino_t ino;                     /* of that file */
    struct sockaddr_storage asker; /* unix-dgram:, udp: a listener's answers go here */
    socklen_t asker_size;          /* 0: nobody has asked yet */
};

IPC_INLINE struct ipc_channel_socket_ *ipc_channel_get_socket_(const struct ipc_channel *ch)
{
    return (struct ipc_channel_socket_ *)ch->state;
}

/* Is this channel over a Unix socket? Else it is over IPv4 or IPv6. */
IPC_INLINE int ipc_channel_is_unix_(const struct ipc_channel *ch)
{
    return ch->kind->domain == AF_UNIX;
}

/* Does the address name a file? Else it is a network's, or a name in the abstract namespace. */
IPC_INLINE int ipc_channel_has_path_(const struct ipc_channel *ch)
{
    return ipc_channel_is_unix_(ch) && ch->address[0] != '@';
}

/* ------------------------------------------------------------------ addresses */

/* Where a URI leads to. */
struct ipc_channel_addresses_ {
    struct sockaddr_storage at[4];
    socklen_t size[4];
    unsigned count;
    int dir; /* a descriptor that at[0] needs, or -1 */
};

/* Writes a path that is too long for an address as one by the descriptor of its folder. Returns its
 * length, or a negative errno. */
IPC_INLINE int ipc_channel_shorten_path_(struct ipc_channel *ch, char *to, size_t room, int *dir)
{
    const char *base = strrchr(ch->address, '/');
    char folder[PATH_MAX];
    int n;

    if (base == NULL) {
        (void)snprintf(folder, sizeof folder, ".");
        base = ch->address;
    } else {
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(base - ch->address) + 1, ch->address);
        base++;
    }
    *dir = open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (*dir < 0)
        return ipc_channel_refuse_errno_(ch, "open the folder of");
    n = snprintf(to, room, "/proc/self/fd/%d/%s", *dir, base);
    if (n >= (int)room)
        return ipc_channel_refuse_(ch, -ENAMETOOLONG, "%s: '%s': the name in its folder is long",
                                   ch->kind->scheme, ch->address);
    return n;
}

/* "PATH" or "@NAME". */
IPC_INLINE int ipc_channel_resolve_path_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    struct sockaddr_un un;
    size_t n = strlen(ch->address), room = sizeof un.sun_path, most;
    int abstract = ch->address[0] == '@', rc;

    memset(&un, 0, sizeof un);
    un.sun_family = AF_UNIX;
    most = abstract ? room - 1 : PATH_MAX - 1;
    if (n == 0 || n > most)
        return ipc_channel_refuse_(ch, n == 0 ? -EINVAL : -ENAMETOOLONG,
                                   "%s: address of %zu bytes: 1 to %zu", ch->kind->scheme, n, most);
    if (n < room) {
        memcpy(un.sun_path, ch->address, n);
        if (abstract)
            un.sun_path[0] = '\0';
    } else {
        rc = ipc_channel_shorten_path_(ch, un.sun_path, room, &a->dir);
        if (rc < 0)
            return rc;
        n = (size_t)rc;
    }
    memcpy(&a->at[0], &un, sizeof un);
    /* The length of an abstract name says where it ends; a path ends with a NUL. */
    a->size[0] = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*un.sun_path != '\0'));
    a->count = 1;
    return 0;
}

/* What a failure of getaddrinfo is as a negative errno. */
IPC_INLINE int ipc_channel_resolver_error_(int rc)
{
    switch (rc) {
    case EAI_SYSTEM:
        return -errno;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    default:
        return -EADDRNOTAVAIL;
    }
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
        return ipc_channel_refuse_(ch, ipc_channel_resolver_error_(rc), "%s:%s: %s",
                                   ch->kind->scheme, ch->address, gai_strerror(rc));
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
    return ipc_channel_is_unix_(ch) ? ipc_channel_resolve_path_(ch, a)
                                    : ipc_channel_resolve_host_(ch, a);
}

/* ------------------------------------------------------------------ the other side */

/* May a process of this user and group be at the other end? */
IPC_INLINE int ipc_channel_may_be_peer_(const struct ipc_channel *ch, uid_t uid, gid_t gid)
{
    return uid == geteuid() || uid == 0 || uid == ch->how.user ||
           (ch->how.group != 0 && gid == ch->how.group);
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
    if (ch->how.max > most)
        return ipc_channel_refuse_(ch, -EMSGSIZE, "%s: messages of %zu bytes: at most %zu%s",
                                   ch->kind->scheme, ch->how.max, most,
                                   ipc_channel_is_unix_(ch) ? " (net.core.wmem_max)" : "");
    ch->max = ch->how.max != 0 ? ch->how.max : most;
    return 0;
}

/* Must each datagram say which process sent it? Only to a listener at an abstract name: a
 * file's mode has decided already which processes may send. */
IPC_INLINE int ipc_channel_wants_credentials_(const struct ipc_channel *ch)
{
    return ch->kind->type == SOCK_DGRAM && ipc_channel_is_unix_(ch) && !ipc_channel_has_path_(ch) &&
           (ch->role & IPC_LISTEN) != 0;
}

IPC_INLINE int ipc_channel_make_socket_(struct ipc_channel *ch, int family)
{
    int fd = socket(family, ch->kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 ? fd : ipc_channel_refuse_errno_(ch, "make a socket for");
}

/* From now on calls without MSG_DONTWAIT may block. */
IPC_INLINE void ipc_channel_make_blocking_(int fd)
{
    (void)fcntl(fd, F_SETFL, 0);
}

/* ------------------------------------------------------------------ connecting */

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
IPC_INLINE int ipc_channel_connect_to_(struct ipc_channel *ch, int fd,
                                       const struct sockaddr_storage *at, socklen_t size,
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
    rc = connect(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
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
            connect(fd, (const struct sockaddr *)at, size) != 0)
            rc = -errno;
    }
    return rc;
}

/* Tries each address once. The connected descriptor, or a negative errno. */
IPC_INLINE int ipc_channel_connect_once_(struct ipc_channel *ch,
                                         const struct ipc_channel_addresses_ *a, int64_t deadline)
{
    int rc = -EADDRNOTAVAIL, fd;
    unsigned i;

    *ch->why = '\0';
    for (i = 0; i < a->count; i++) {
        fd = ipc_channel_make_socket_(ch, a->at[i].ss_family);
        if (fd < 0)
            return fd;
        rc = ipc_channel_connect_to_(ch, fd, &a->at[i], a->size[i], deadline);
        if (rc == 0)
            return fd;
        (void)close(fd);
    }
    if (*ch->why == '\0')
        (void)ipc_channel_refuse_(ch, rc, "%s: cannot connect to '%s': %s", ch->kind->scheme,
                                  ch->address, strerror(-rc));
    return rc;
}

/* May a listener come to the address, after this error of connect? */
IPC_INLINE int ipc_channel_may_come_(int rc)
{
    return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EAGAIN || rc == -ECONNRESET;
}

/* Connects, and waits for a listener until the deadline. */
IPC_INLINE int ipc_channel_connect_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_addresses_ a;
    int rc = ipc_channel_resolve_(ch, &a), fd = -1, nap = 0;

    while (rc == 0 && nap == 0) {
        fd = ipc_channel_connect_once_(ch, &a, deadline);
        if (fd >= 0 || !ipc_channel_may_come_(fd))
            break;
        nap = ipc_channel_nap_(deadline);
    }
    ipc_channel_close_fd_(&a.dir);
    if (rc != 0)
        return rc;
    if (nap == -ETIMEDOUT)
        return ipc_channel_refuse_(ch, nap,
                                   "%s: nobody listened at '%s' until the deadline: is that "
                                   "program running?",
                                   ch->kind->scheme, ch->address);
    if (nap != 0 || fd < 0)
        return nap != 0 ? nap : fd;
    rc = ipc_channel_check_peer_(ch, fd);
    if (rc == 0)
        rc = ipc_channel_set_packet_max_(ch, fd);
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    ipc_channel_make_blocking_(fd);
    ch->in = ch->out = fd;
    return 0;
}

/* ------------------------------------------------------------------ listening */

/* Locks the socket's folder against other listeners. The descriptor, or a negative errno. */
IPC_INLINE int ipc_channel_lock_folder_(struct ipc_channel *ch, int64_t deadline)
{
    const char *slash = strrchr(ch->address, '/');
    char folder[PATH_MAX];
    int lock, rc;

    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash != NULL ? (int)(slash - ch->address) + 1 : 1,
                   slash != NULL ? ch->address : ".");
    lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return -errno;
    do
        rc = flock(lock, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
    while (rc == -EWOULDBLOCK && (rc = ipc_channel_nap_(deadline)) == 0);
    if (rc == 0)
        return lock;
    (void)close(lock);
    return rc;
}

/* Binds the socket to its address. A file of a listener that is gone is replaced; the folder is
 * locked meanwhile, as of two processes that find the file one could remove the other's new one. */
IPC_INLINE int ipc_channel_bind_(struct ipc_channel *ch, int fd, const struct sockaddr_storage *at,
                                 socklen_t size, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct stat st;
    int lock, probe, rc;

    if (!ipc_channel_has_path_(ch))
        return bind(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
    lock = ipc_channel_lock_folder_(ch, deadline);
    if (lock < 0)
        return lock;
    (void)fchmod(fd, 0); /* until the mode is right */
    rc = bind(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
    if (rc == -EADDRINUSE && lstat(ch->address, &st) == 0 && S_ISSOCK(st.st_mode)) {
        probe = socket(AF_UNIX, ch->kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (probe >= 0 && connect(probe, (const struct sockaddr *)at, size) != 0 &&
            errno == ECONNREFUSED && unlink(ch->address) == 0)
            rc = bind(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
        ipc_channel_close_fd_(&probe);
    }
    if (rc == 0 && (rc = ipc_channel_set_mode_(ch, S_IFSOCK, &st)) == 0) {
        own->has_file = 1;
        own->ino = st.st_ino;
    }
    (void)close(lock);
    return rc;
}

/* Makes the socket that listens, or that datagrams come to. The descriptor, or a negative errno. */
IPC_INLINE int ipc_channel_make_listener_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_addresses_ a;
    int rc = ipc_channel_resolve_(ch, &a), fd = -1, one = 1;

    if (rc == 0)
        fd = ipc_channel_make_socket_(ch, a.at[0].ss_family);
    if (fd < 0) {
        ipc_channel_close_fd_(&a.dir);
        return rc != 0 ? rc : fd;
    }
    if (!ipc_channel_is_unix_(ch) && ch->kind->type == SOCK_STREAM)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (ipc_channel_wants_credentials_(ch))
        (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
    rc = ipc_channel_bind_(ch, fd, &a.at[0], a.size[0], deadline);
    if (rc == 0 && ch->kind->type != SOCK_DGRAM && listen(fd, 64) != 0)
        rc = -errno;
    ipc_channel_close_fd_(&a.dir);
    if (rc == 0)
        return fd;
    (void)close(fd);
    return ipc_channel_refuse_(ch, rc, "%s: cannot listen at '%s': %s%s", ch->kind->scheme,
                               ch->address, strerror(-rc),
                               rc == -EADDRINUSE ? ": another does" : "");
}

IPC_INLINE int ipc_channel_get_port_(int fd)
{
    union {
        struct sockaddr_storage any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } own;
    socklen_t size = sizeof own;

    memset(&own, 0, sizeof own);
    if (getsockname(fd, (struct sockaddr *)&own.any, &size) != 0)
        return 0;
    if (own.any.ss_family == AF_INET)
        return ntohs(own.v4.sin_port);
    return own.any.ss_family == AF_INET6 ? ntohs(own.v6.sin6_port) : 0;
}

IPC_INLINE int ipc_channel_listen_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int fd = ipc_channel_make_listener_(ch, deadline);

    if (fd < 0)
        return fd;
    own->port = ipc_channel_get_port_(fd);
    if (ch->kind->type != SOCK_DGRAM) {
        own->listener = fd;
    } else {
        ipc_channel_make_blocking_(fd);
        ch->in = ch->out = fd;
    }
    return ipc_channel_set_packet_max_(ch, fd);
}

/* Takes one client that waits. The descriptor, -1 where none waits, or another negative errno. */
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

/* Takes the next client that is permitted. The others are left at once, but they keep no call
 * beyond its deadline. */
IPC_INLINE int ipc_channel_accept_next_(int listener, struct ipc_channel *ch, int64_t deadline)
{
    int fd, rc;

    for (;;) {
        fd = ipc_channel_accept_one_(listener);
        if (fd >= 0) {
            ch->in = ch->out = fd;
            if (ipc_channel_check_peer_(ch, fd) == 0)
                return ipc_channel_set_packet_max_(ch, fd);
            ipc_channel_leave_peer_(ch);
            if (ipc_left_(deadline) == 0)
                return -ETIMEDOUT;
        } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EPROTO) {
            return ipc_channel_refuse_errno_(ch, "accept at");
        }
        rc = ipc_channel_wait_(listener, POLLIN, deadline);
        if (rc != 0)
            return rc;
    }
}

/* ------------------------------------------------------------------ what the tables name */

IPC_INLINE int ipc_channel_socket_meet_(struct ipc_channel *ch, int64_t deadline)
{
    int listener = ipc_channel_get_socket_(ch)->listener;

    return listener >= 0 ? ipc_channel_accept_next_(listener, ch, deadline)
                         : ipc_channel_connect_(ch, deadline);
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
    int from = ipc_channel_get_socket_(listener)->listener;

    ipc_channel_get_socket_(ch)->listener = -1;
    if (from < 0)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: no clients to be accepted here",
                                   ch->kind->scheme);
    return ipc_channel_accept_next_(from, ch, deadline);
}

IPC_INLINE void ipc_channel_socket_close_(struct ipc_channel *ch)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct stat st;

    if (own->has_file && ch->pid == getpid() && lstat(ch->address, &st) == 0 &&
        S_ISSOCK(st.st_mode) && st.st_ino == own->ino)
        (void)unlink(ch->address);
    ipc_channel_close_fd_(&own->listener);
}

/* A listener's descriptor tells of clients while none is there. */
IPC_INLINE int ipc_channel_socket_descriptor_(struct ipc_channel *ch)
{
    return ch->in >= 0 ? ch->in : ipc_channel_get_socket_(ch)->listener;
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

static const struct ipc_channel_kind_ ipc_channel_unix_kind_ = {
    "unix",
    0,
    sizeof(struct ipc_channel_socket_),
    AF_UNIX,
    SOCK_STREAM,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    ipc_channel_socket_unlink_,
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    ipc_channel_socket_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_socket_accept_,
    ipc_channel_socket_descriptor_,
    NULL, /* describe */
};

static const struct ipc_channel_kind_ ipc_channel_tcp_kind_ = {
    "tcp",
    0,
    sizeof(struct ipc_channel_socket_),
    AF_INET,
    SOCK_STREAM,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    NULL, /* unlink: it has no name */
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    ipc_channel_socket_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_socket_accept_,
    ipc_channel_socket_descriptor_,
    ipc_channel_socket_describe_,
};

#endif
