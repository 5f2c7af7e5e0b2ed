/*
 * Where sockets are: the addresses of a URI, and listening at them.
 *
 * A name of tcp: or udp: may have several addresses, of IPv4 and of IPv6. A listener has a socket
 * for each of them that this host has, all with one port; "*" is one socket for both families. A
 * client tries one address after the other.
 *
 * A Unix socket's file is of a listener that is gone if connecting to it is refused; a socket of
 * another type asks, so that a listener that is there does not see it. Such a file is replaced. Of
 * two processes that find the file one could remove the other's new one, so they lock PATH.lock,
 * which is there for that moment only. The lock does not stop a program that removes the old file
 * by itself and binds anew between our look and our unlink: its new file is lost then.
 */
#ifndef IPC_SRC_CHANNEL_ADDRESS_H
#define IPC_SRC_CHANNEL_ADDRESS_H 1

#include "frame.h"

/* ------------------------------------------------------------------ sockets */

#define IPC_CHANNEL_ADDRESSES_ 16u /* at which one channel listens */

struct ipc_channel_socket_ {
    int sockets[IPC_CHANNEL_ADDRESSES_]; /* a listener's: one for each address */
    unsigned count;                      /* of sockets[] */
    unsigned turn;                       /* of sockets[]: where to look first */
    int listener; /* tells that something came to sockets[]: the only one, or an epoll descriptor of
                     several; -1: datagrams come to `in`, or this side does not listen */
    unsigned connects;             /* udp: how often this client has connected */
    int port;                      /* a listener's; else 0 */
    int has_file;                  /* this channel has made the socket's file */
    ino_t ino;                     /* of that file */
    struct sockaddr_storage asker; /* unix-dgram:, udp: a listener's answers go here */
    socklen_t asker_size;          /* 0: nobody has asked yet */
    int64_t came_at;               /* when the connection began */
    int greeted;                   /* the other side has greeted */
    int accepted;                  /* this channel is of ipc_channel_accept, or a server's client */
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

/* Before it is open: has the address no file? A name of auto: has one if it holds a slash. */
IPC_INLINE int ipc_channel_is_abstract_(const struct ipc_channel *ch)
{
    return ch->address[0] == '@' ||
           ((ch->kind->flags & IPC_CHANNEL_BELL_FD_) != 0 && strchr(ch->address, '/') == NULL);
}

/* ------------------------------------------------------------------ addresses */

/* Where a URI leads to. */
struct ipc_channel_addresses_ {
    struct addrinfo *first; /* the list of them */
    int any;                /* "*": one of the list is enough */
    int dir;                /* unix: a descriptor that the address needs, or -1 */
    struct addrinfo one;    /* unix: the list, of this address */
    struct sockaddr_un un;
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
    size_t n = strlen(ch->address), room = sizeof a->un.sun_path, most;
    int abstract = ch->address[0] == '@', rc;

    a->un.sun_family = AF_UNIX;
    most = abstract ? room - 1 : PATH_MAX - 1;
    if (n == 0 || n > most)
        return ipc_channel_refuse_(ch, n == 0 ? -EINVAL : -ENAMETOOLONG,
                                   "%s: an address of %zu bytes: it must have 1 to %zu",
                                   ch->kind->scheme, n, most);
    if (n < room) {
        memcpy(a->un.sun_path, ch->address, n);
        if (abstract)
            a->un.sun_path[0] = '\0';
    } else {
        rc = ipc_channel_shorten_path_(ch, a->un.sun_path, room, &a->dir);
        if (rc < 0)
            return rc;
        n = (size_t)rc;
    }
    a->one.ai_family = AF_UNIX;
    a->one.ai_addr = (struct sockaddr *)&a->un;
    /* The length of an abstract name says where it ends; a path ends with a NUL. */
    a->one.ai_addrlen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
    a->first = &a->one;
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
    case EAI_SERVICE:
        return -EINVAL;
    default:
        return -EADDRNOTAVAIL;
    }
}

/* Is that a port: 1 to 65535, for a listener also 0, or the name of a service? getaddrinfo would
 * take a number modulo 65536. */
IPC_INLINE int ipc_channel_is_port_(const struct ipc_channel *ch, const char *port)
{
    size_t digits = strspn(port, "0123456789"), n = strlen(port);
    unsigned long least = (ch->role & IPC_LISTEN) != 0 ? 0 : 1, number;

    if (n == 0 || digits != n)
        return n != 0 && digits == 0 && *port != '-' && *port != '+' && *port != ' ';
    number = n <= 9 ? strtoul(port, NULL, 10) : ULONG_MAX;
    return number >= least && number <= 65535;
}

/* "HOST:PORT", "[HOST]:PORT", to listen "*:PORT". */
IPC_INLINE int ipc_channel_resolve_host_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    const char *colon = strrchr(ch->address, ':'), *from = ch->address, *to = colon;
    struct addrinfo hint;
    char host[256];
    int rc;

    if (colon != NULL && *from == '[' && colon > from + 1 && colon[-1] == ']')
        from++, to--;
    if (colon == NULL || to == from || (size_t)(to - from) >= sizeof host)
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: not HOST:PORT", ch->kind->scheme,
                                   ch->address);
    if (!ipc_channel_is_port_(ch, colon + 1))
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: '%s' is no port of %d to 65535",
                                   ch->kind->scheme, ch->address, colon + 1,
                                   (ch->role & IPC_LISTEN) == 0);
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    memset(&hint, 0, sizeof hint);
    hint.ai_socktype = ch->kind->type;
    hint.ai_flags = (ch->role & IPC_LISTEN) != 0 ? AI_PASSIVE : 0;
    a->any = hint.ai_flags != 0 && strcmp(host, "*") == 0;
    rc = getaddrinfo(a->any ? NULL : host, colon + 1, &hint, &a->first);
    if (rc != 0) {
        a->first = NULL;
        return ipc_channel_refuse_(ch, ipc_channel_resolver_error_(rc), "%s:%s: %s",
                                   ch->kind->scheme, ch->address, gai_strerror(rc));
    }
    return 0;
}

IPC_INLINE int ipc_channel_resolve_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    memset(a, 0, sizeof *a);
    a->dir = -1;
    return ipc_channel_is_unix_(ch) ? ipc_channel_resolve_path_(ch, a)
                                    : ipc_channel_resolve_host_(ch, a);
}

IPC_INLINE void ipc_channel_free_addresses_(struct ipc_channel_addresses_ *a)
{
    if (a->first != NULL && a->first != &a->one)
        freeaddrinfo(a->first);
    a->first = NULL;
    ipc_channel_close_fd_(&a->dir);
}

/* ------------------------------------------------------------------ files of Unix sockets */

/* Is the file at the address the socket of a listener that is gone? */
IPC_INLINE int ipc_channel_is_stale_(const struct ipc_channel *ch, const struct addrinfo *at)
{
    /* The kernel refuses to connect sockets of two types, but first looks for a process. */
    int type = ch->kind->type == SOCK_DGRAM ? SOCK_STREAM : SOCK_DGRAM, probe, stale = 0;

    if (ipc_channel_check_type_(ch->address, S_IFSOCK) != 0)
        return 0;
    probe = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe >= 0)
        stale = connect(probe, at->ai_addr, at->ai_addrlen) != 0 && errno == ECONNREFUSED;
    ipc_channel_close_fd_(&probe);
    return stale;
}

/* Locks the file, which the process that has the lock removes. The descriptor, or a negative errno:
 * -EADDRINUSE where another process has it until the deadline, as that one listens then. */
IPC_INLINE int ipc_channel_lock_file_(const char *path, int64_t deadline)
{
    struct stat own, there;
    int lock, rc;

    for (;;) {
        lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (lock < 0)
            return -errno;
        rc =
            fstat(lock, &own) == 0 && S_ISREG(own.st_mode) && own.st_uid == geteuid() ? 0 : -EACCES;
        while (rc == 0 && flock(lock, LOCK_EX | LOCK_NB) != 0)
            rc = errno == EWOULDBLOCK ? ipc_channel_nap_(deadline) : -errno;
        if (rc == 0 && lstat(path, &there) == 0 && there.st_ino == own.st_ino &&
            there.st_dev == own.st_dev)
            return lock;
        (void)close(lock);
        if (rc != 0)
            return rc == -ETIMEDOUT ? -EADDRINUSE : rc;
    }
}

/* Binds the socket in place of the one of a listener that is gone. 0 or a negative errno. */
IPC_INLINE int ipc_channel_replace_file_(const struct ipc_channel *ch, int fd,
                                         const struct addrinfo *at, int64_t deadline)
{
    char path[PATH_MAX + 8];
    int lock, rc = -EADDRINUSE;

    (void)snprintf(path, sizeof path, "%s.lock", ch->address);
    lock = ipc_channel_lock_file_(path, deadline);
    if (lock < 0)
        return lock;
    if (ipc_channel_is_stale_(ch, at))
        rc = unlink(ch->address) == 0 && bind(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
    (void)unlink(path);
    (void)close(lock);
    return rc;
}

/* Binds the socket to its address. 0 or a negative errno. */
IPC_INLINE int ipc_channel_bind_(struct ipc_channel *ch, int fd, const struct addrinfo *at,
                                 int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct stat st;
    int rc, path = ipc_channel_has_path_(ch);

    if (path)
        (void)fchmod(fd, ch->how.mode); /* that of the file, less what the umask takes */
    rc = bind(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
    if (!path)
        return rc;
    if (rc == -EADDRINUSE && ipc_channel_is_stale_(ch, at))
        rc = ipc_channel_replace_file_(ch, fd, at, deadline);
    if (rc == 0 && (rc = ipc_channel_set_mode_(ch, S_IFSOCK, &st)) == 0) {
        own->has_file = 1;
        own->ino = st.st_ino;
    }
    return rc;
}

/* ------------------------------------------------------------------ listening */

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

/* Must each datagram say which process sent it? Only to a listener at an abstract name: a
 * file's mode has decided already which processes may send. */
IPC_INLINE int ipc_channel_wants_credentials_(const struct ipc_channel *ch)
{
    return ch->kind->type == SOCK_DGRAM && ipc_channel_is_unix_(ch) && !ipc_channel_has_path_(ch) &&
           (ch->role & IPC_LISTEN) != 0;
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

/* Makes `listener` tell that something came to one of several sockets. */
IPC_INLINE int ipc_channel_gather_sockets_(struct ipc_channel *ch)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct epoll_event e;
    unsigned i;

    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    own->listener = epoll_create1(EPOLL_CLOEXEC);
    for (i = 0; i < own->count; i++)
        if (own->listener < 0 || epoll_ctl(own->listener, EPOLL_CTL_ADD, own->sockets[i], &e) != 0)
            return ipc_channel_refuse_errno_(ch, "wait at all addresses of");
    return 0;
}

/* Does this error of a socket say that this host has no such address? */
IPC_INLINE int ipc_channel_is_not_here_(int rc)
{
    return rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT;
}

/* Is the kernel to choose the port? */
IPC_INLINE int ipc_channel_asks_any_port_(const struct ipc_channel *ch)
{
    const char *colon = strrchr(ch->address, ':');

    return !ipc_channel_is_unix_(ch) && colon != NULL && strtoul(colon + 1, NULL, 10) == 0;
}

/* Makes the socket that listens at one address, or that datagrams come to. All have the first one's
 * port. 0 or a negative errno. */
IPC_INLINE int ipc_channel_listen_at_(struct ipc_channel *ch, struct addrinfo at, int any,
                                      int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int fd = ipc_channel_make_socket_(ch, at.ai_family), one = 1, none = 0, rc;
    uint16_t port = htons((uint16_t)own->port);
    struct sockaddr_storage with_port;

    if (fd < 0)
        return fd;
    if (own->count != 0) {
        memcpy(&with_port, at.ai_addr, at.ai_addrlen);
        memcpy((char *)&with_port + offsetof(struct sockaddr_in, sin_port), &port, sizeof port);
        at.ai_addr = (struct sockaddr *)&with_port; /* IPv6 has the port at the same place */
    }
    if (!ipc_channel_is_unix_(ch) && ch->kind->type == SOCK_STREAM)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (any && at.ai_family == AF_INET6) /* also where net.ipv6.bindv6only says otherwise */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &none, sizeof none);
    if (ipc_channel_wants_credentials_(ch))
        (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
    rc = ipc_channel_bind_(ch, fd, &at, deadline);
    if (rc == 0 && ch->kind->type != SOCK_DGRAM && listen(fd, SOMAXCONN) != 0)
        rc = -errno;
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    own->sockets[own->count++] = fd;
    if (own->count == 1)
        own->port = ipc_channel_get_port_(fd);
    return 0;
}

/* Closes the sockets that listen. The one that is also `in` stays. */
IPC_INLINE void ipc_channel_stop_listening_(struct ipc_channel *ch)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    unsigned i;

    if (own->count > 1)
        ipc_channel_close_fd_(&own->listener);
    for (i = 0; i < own->count; i++)
        if (own->sockets[i] != ch->in)
            (void)close(own->sockets[i]);
    own->count = 0;
    own->listener = -1;
}

/* A name in /etc/hosts may have an address twice. */
IPC_INLINE int ipc_channel_is_repeated_(const struct addrinfo *first, const struct addrinfo *at)
{
    for (; first != at; first = first->ai_next)
        if (first->ai_addrlen == at->ai_addrlen &&
            memcmp(first->ai_addr, at->ai_addr, at->ai_addrlen) == 0)
            return 1;
    return 0;
}

/* Listens at those of the addresses that this host has, of IPv6 or of all other families. */
IPC_INLINE int ipc_channel_listen_at_family_(struct ipc_channel *ch,
                                             const struct ipc_channel_addresses_ *a, int ipv6,
                                             int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int rc, last = 0;
    const struct addrinfo *at;

    for (at = a->first; at != NULL; at = at->ai_next) {
        if ((at->ai_family == AF_INET6) != ipv6 || ipc_channel_is_repeated_(a->first, at) ||
            (a->any && own->count != 0))
            continue;
        rc = own->count < IPC_CHANNEL_ADDRESSES_ ? ipc_channel_listen_at_(ch, *at, a->any, deadline)
                                                 : -E2BIG;
        if (rc != 0 && !ipc_channel_is_not_here_(rc))
            return rc;
        last = rc != 0 ? rc : last;
    }
    return own->count != 0 ? 0 : last;
}

/* Listens at all addresses that this host has: IPv6 first, as "*" is then one socket for both
 * families. A port that the kernel has chosen for the first address may be taken at another, so
 * another port is tried. 0 or a negative errno. */
IPC_INLINE int ipc_channel_listen_at_all_(struct ipc_channel *ch,
                                          const struct ipc_channel_addresses_ *a, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int rc, tries = 0;

    do {
        ipc_channel_stop_listening_(ch);
        own->port = 0;
        rc = ipc_channel_listen_at_family_(ch, a, 1, deadline);
        if (rc == 0 || ipc_channel_is_not_here_(rc))
            rc = ipc_channel_listen_at_family_(ch, a, 0, deadline);
    } while (rc == -EADDRINUSE && own->port != 0 && ipc_channel_asks_any_port_(ch) && ++tries < 16);
    return rc;
}

/* Opens a listener's sockets. 0 or a negative errno, with its sentence. */
IPC_INLINE int ipc_channel_make_listener_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct ipc_channel_addresses_ a;
    int rc = ipc_channel_resolve_(ch, &a);

    if (rc == 0) {
        rc = ipc_channel_listen_at_all_(ch, &a, deadline);
        if (rc != 0)
            (void)ipc_channel_refuse_(ch, rc, "%s: cannot listen at '%s': %s%s", ch->kind->scheme,
                                      ch->address, strerror(-rc), ipc_channel_make_hint_(rc));
    }
    ipc_channel_free_addresses_(&a);
    if (rc != 0)
        return rc;
    own->listener = own->sockets[0];
    return own->count > 1 ? ipc_channel_gather_sockets_(ch) : 0;
}

#endif
