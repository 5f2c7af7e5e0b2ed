/*
 * fd:N, a descriptor that this process has: from systemd (socket activation: from 3 on, LISTEN_FDS
 * tells how many), from a parent, or from another program over a socket.
 *
 * The channel becomes what the descriptor is: one of unix:, unix-seq:, unix-dgram:, tcp: or udp:, or
 * an end of a pipe:, also where it is a FIFO's. A socket that listens, or that datagrams come to, is
 * opened with IPC_LISTEN; a connection without.
 *
 * The descriptor is the channel's once open has succeeded; where that refuses, it stays open, and the
 * caller's. It is closed on exec. A pipe, and a socket that listens for connections, do not block from
 * then on, which holds for other processes that share it; of other sockets that is left as it was. A
 * socket's file stays at close.
 *
 *   Access   As the mechanism; a file's mode is whatever it is.
 *   Loss     As the mechanism, but that no other peer can come to a connection.
 */
#ifndef IPC_SRC_CHANNEL_ADOPT_H
#define IPC_SRC_CHANNEL_ADOPT_H 1

#include "packet.h"
#include "pipe.h"

/* ------------------------------------------------------------------ fd: */

/* The mechanism of sockets of this family and type, or NULL. */
IPC_INLINE const struct ipc_channel_kind_ *ipc_channel_find_socket_kind_(int family, int type)
{
    static const struct ipc_channel_kind_ *const kinds[] = {
        &ipc_channel_unix_kind_, &ipc_channel_unix_seq_kind_, &ipc_channel_unix_dgram_kind_,
        &ipc_channel_tcp_kind_,  &ipc_channel_udp_kind_,
    };
    size_t i;

    family = family == AF_INET6 ? AF_INET : family;
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i]->domain == family && kinds[i]->type == type)
            return kinds[i];
    return NULL;
}

/* A Unix socket's own address as in a URI, in place of the number. Without a name it keeps that. */
IPC_INLINE int ipc_channel_adopt_name_(struct ipc_channel *ch, const struct sockaddr_un *un,
                                       socklen_t size)
{
    size_t at = offsetof(struct sockaddr_un, sun_path), n = size > at ? size - at : 0;
    char *name;

    if (n == 0 || un->sun_family != AF_UNIX)
        return 0;
    name = (char *)calloc(1, n + 1);
    if (name == NULL)
        return -ENOMEM;
    memcpy(name, un->sun_path, n);
    if (*name == '\0')
        *name = '@';
    free(ch->address);
    ch->address = name;
    return 0;
}

IPC_INLINE int ipc_channel_adopt_refuse_(struct ipc_channel *ch, int fd, const char *what)
{
    return ipc_channel_refuse_(ch, -EINVAL, "fd:%d: %s", fd, what);
}

/* Makes the channel one over a socket that listens, or that datagrams come to. */
IPC_INLINE int ipc_channel_adopt_listener_(struct ipc_channel *ch, int fd)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int one = 1;

    own->sockets[own->count++] = fd;
    own->port = ipc_channel_get_port_(fd);
    if (ch->kind->type != SOCK_DGRAM) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK); /* a client that poll told of may have gone */
        own->listener = fd;
    } else {
        ch->in = ch->out = fd;
    }
    if (ipc_channel_wants_credentials_(ch))
        (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
    return ipc_channel_set_packet_max_(ch, fd);
}

/* Makes the channel one over a socket that is connected. Open greets when it has checked all, as the
 * other side is to hear nothing of a descriptor that stays the caller's. */
IPC_INLINE int ipc_channel_adopt_connection_(struct ipc_channel *ch, int fd)
{
    int rc;

    ch->in = ch->out = fd;
    ch->flags |= IPC_CHANNEL_ACCEPTED_;
    rc = ipc_channel_check_peer_(ch, fd);
    if (rc == 0)
        rc = ipc_channel_set_packet_max_(ch, fd);
    if (rc == 0)
        ipc_channel_begin_max_(ch);
    return rc;
}

IPC_INLINE int ipc_channel_adopt_socket_(struct ipc_channel *ch, int fd)
{
    const struct ipc_channel_kind_ *kind;
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_storage room;
    } own, peer;
    socklen_t size = sizeof own, peer_size = sizeof peer, four = sizeof(int);
    int type = 0, listens = 0, connected, role = (ch->role & IPC_LISTEN) != 0, rc;

    memset(&own, 0, sizeof own);
    if (getsockname(fd, &own.any, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &four) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &four) != 0)
        return ipc_channel_refuse_errno_(ch, "tell what is");
    kind = ipc_channel_find_socket_kind_(own.any.sa_family, type);
    if (kind == NULL)
        return ipc_channel_refuse_(ch, -EPROTO, "fd:%d: no socket of unix:, tcp: or udp:", fd);
    connected = getpeername(fd, &peer.any, &peer_size) == 0;
    if (type == SOCK_DGRAM)
        listens = !connected;
    if (listens && !role)
        return ipc_channel_adopt_refuse_(ch, fd, "it listens: IPC_LISTEN");
    if (!listens && role)
        return ipc_channel_adopt_refuse_(ch, fd, "it does not listen");
    if (!listens && !connected)
        return ipc_channel_adopt_refuse_(ch, fd, "it is not connected");
    if (type == SOCK_DGRAM && (ch->role & (listens ? IPC_RECV : IPC_SEND)) == 0)
        return ipc_channel_adopt_refuse_(ch, fd, "a listener receives, the other side sends");
    rc = ipc_channel_adopt_name_(ch, &own.un, size);
    if (rc != 0)
        return rc;
    ch->kind = kind;
    return listens ? ipc_channel_adopt_listener_(ch, fd) : ipc_channel_adopt_connection_(ch, fd);
}

/* One end of a pipe or FIFO. */
IPC_INLINE int ipc_channel_adopt_pipe_(struct ipc_channel *ch, int fd)
{
    struct ipc_channel_pipe_ *own = (struct ipc_channel_pipe_ *)ch->state;
    int flags = fcntl(fd, F_GETFL), reads = (flags & O_ACCMODE) == O_RDONLY;

    if (flags < 0)
        return ipc_channel_refuse_errno_(ch, "tell what is");
    if (ch->role != (reads ? IPC_RECV : IPC_SEND))
        return ipc_channel_adopt_refuse_(
            ch, fd, reads ? "a pipe's reading end: IPC_RECV" : "a pipe's writing end: IPC_SEND");
    own->child_in = own->child_out = -1;
    ch->kind = &ipc_channel_pipe_kind_;
    *(reads ? &ch->in : &ch->out) = fd;
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return 0;
}

IPC_INLINE int ipc_channel_adopt_open_(struct ipc_channel *ch, int64_t deadline)
{
    size_t n = strspn(ch->address, "0123456789");
    int fd = n != 0 && n <= 9 && ch->address[n] == '\0' ? atoi(ch->address) : -1, rc;
    struct stat st;

    (void)deadline;
    ipc_channel_get_socket_(ch)->listener = -1;
    ch->how.mode = 0; /* nothing is made */
    if (fd < 0)
        return ipc_channel_refuse_(ch, -EINVAL, "fd:%s: not a descriptor's number", ch->address);
    if (fstat(fd, &st) != 0)
        return ipc_channel_refuse_errno_(ch, "use descriptor");
    if (S_ISFIFO(st.st_mode))
        rc = ipc_channel_adopt_pipe_(ch, fd);
    else if (S_ISSOCK(st.st_mode))
        rc = ipc_channel_adopt_socket_(ch, fd);
    else
        rc = ipc_channel_refuse_(ch, -EPROTO, "fd:%d: no socket and no pipe", fd);
    if (rc == 0)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return rc;
}

/* Open was refused: the descriptor stays the caller's. */
IPC_INLINE void ipc_channel_adopt_return_(struct ipc_channel *ch)
{
    ch->in = ch->out = -1;
    if (!ipc_channel_is_socket_(ch))
        return;
    ipc_channel_get_socket_(ch)->count = 0;
    ipc_channel_get_socket_(ch)->listener = -1;
}

/* Only until open has found out what the descriptor is. */
static const struct ipc_channel_kind_ ipc_channel_adopt_kind_ = {
    "fd",
    IPC_CHANNEL_KEEPALIVE_ | IPC_CHANNEL_GROUPS_,
    sizeof(struct ipc_channel_socket_), /* more than that of pipe: */
    0,
    0,
    ipc_channel_adopt_open_,
    NULL, /* close: nothing is open yet */
    NULL, /* unlink: it has no name */
    NULL, /* send */
    NULL, /* recv */
    NULL, /* meet */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    &ipc_channel_sockets_serve_,
};

#endif
