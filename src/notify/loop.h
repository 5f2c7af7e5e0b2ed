/* Waiting in an event loop, on a descriptor. */
#ifndef IPC_SRC_NOTIFY_LOOP_H
#define IPC_SRC_NOTIFY_LOOP_H 1

#include "sleep.h"

/* ------------------------------------------------------------------ waiting in an event loop */

/* Is its descriptor one of struct ipc_watch's loop, as its kind has none? */
IPC_INLINE int ipc_notify_loops_by_watch_(const struct ipc_notify *n)
{
    return n->kind != IPC_NOTIFY_EVENTFD && n->kind != IPC_NOTIFY_SIGNAL;
}

/* The descriptor that each stir makes readable, and each death. */
IPC_INLINE int ipc_notify_watch_fd_(struct ipc_notify *n)
{
    int fd;

    if (n->peer.watch == NULL || n->peer.stir == NULL)
        return -EINVAL;
    if (n->loop_fd >= 0)
        return n->loop_fd;
    fd = n->peer.watch->loop(n->peer.arg);
    if (fd < 0)
        return fd;
    ipc_end_last_(&n->last, fd);
    n->loop_fd = fd;
    return fd;
}

IPC_INLINE int ipc_notify_fd(struct ipc_notify *n)
{
    int fds[2];

    if (n->at == NULL || n->read_only)
        return n->at == NULL ? -EINVAL : -EROFS;
    if (ipc_notify_loops_by_watch_(n))
        return ipc_notify_watch_fd_(n);
    if (n->fd >= 0)
        return n->fd;
    if (n->kind == IPC_NOTIFY_SIGNAL)
        return -ENOENT;
    n->fd = n->post_fd = ipc_move_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (n->fd >= 0) {
        n->uses |= IPC_USES_EVENTFD;
        return n->fd;
    }
    if (errno == EMFILE || errno == ENFILE ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return -errno;
    n->fd = ipc_move_fd_(fds[0]);
    n->post_fd = ipc_move_fd_(fds[1]);
    return n->fd;
}

IPC_INLINE int ipc_notify_listen(struct ipc_notify *n, int number)
{
    sigset_t set;

    if (n->at == NULL || n->kind != IPC_NOTIFY_SIGNAL || number < SIGRTMIN || number > SIGRTMAX ||
        sigprocmask(SIG_BLOCK, NULL, &set) != 0 || sigismember(&set, number) != 1)
        return -EINVAL;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    n->fd = ipc_move_fd_(signalfd(n->fd, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (n->fd < 0 && errno != ENOSYS && errno != EPERM)
        return -errno;
    return 0;
}

IPC_INLINE void ipc_notify_arm(struct ipc_notify *n)
{
    if (n->at != NULL && !n->read_only)
        (void)ipc_notify_announce_(n, ipc_notify_loops_by_watch_(n) ? IPC_NOTIFY_DOZING_
                                                                    : IPC_NOTIFY_ARMED_);
}

/* Reads an eventfd. A peer that has it, too, may have taken O_NONBLOCK off, which is one flag for all
 * that have it: so this read does not rely on it. Before Linux 5.8 a poll is asked first; the peer may
 * still come in between. */
IPC_INLINE void ipc_notify_empty_eventfd_(int fd)
{
    struct iovec io;
    struct pollfd p;
    uint64_t value;

    io.iov_base = &value;
    io.iov_len = sizeof value;
#ifdef SYS_preadv2
    if (syscall(SYS_preadv2, fd, &io, 1L, -1L, -1L, 8L /* RWF_NOWAIT */) >= 0 || errno == EAGAIN)
        return;
#endif
    p.fd = fd;
    p.events = POLLIN;
    if (ipc_notify_poll_(&p, 1, 0) == 1)
        (void)!read(fd, io.iov_base, io.iov_len);
}

/* Reads an end of a pair of sockets empty. */
IPC_INLINE void ipc_notify_empty_socket_(int fd)
{
    char bytes[256];
    int tries;

    for (tries = 0; tries < 64 && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0; tries++)
        ;
}

IPC_INLINE void ipc_notify_drain(struct ipc_notify *n)
{
    if (n->at == NULL)
        return;
    if (ipc_notify_loops_by_watch_(n)) {
        (void)ipc_notify_empty_(n->loop_fd);
        /* Where no post has come it may be a death, or the loop's own time-out. */
        n->asks = (ck_pr_load_32(&n->at->word) & IPC_NOTIFY_DOZING_) != 0;
        return;
    }
    if (n->kind == IPC_NOTIFY_SIGNAL)
        (void)ipc_notify_empty_(n->fd);
    else if ((n->uses & IPC_USES_EVENTFD) != 0)
        ipc_notify_empty_eventfd_(n->fd);
    else
        ipc_notify_empty_socket_(n->fd);
}

#define IPC_NOTIFY_HELLO_ UINT64_C(0x31796669746f6e69) /* "inotify1" in a little-endian machine */

union ipc_notify_control_ {
    struct cmsghdr header;
    char room[CMSG_SPACE(2 * sizeof(int))];
};

/* Prepares the message that carries up to two descriptors. */
IPC_INLINE void ipc_notify_message_(struct msghdr *m, struct iovec *io, uint64_t *hello,
                                    union ipc_notify_control_ *control, size_t fds)
{
    memset(m, 0, sizeof *m);
    memset(control, 0, sizeof *control);
    io->iov_base = hello;
    io->iov_len = sizeof *hello;
    m->msg_iov = io;
    m->msg_iovlen = 1;
    m->msg_control = control->room;
    m->msg_controllen = (socklen_t)CMSG_SPACE(fds * sizeof(int)); /* musl has that type */
}

IPC_INLINE int ipc_notify_send_fd(struct ipc_notify *n, int socket)
{
    uint64_t hello = IPC_NOTIFY_HELLO_;
    union ipc_notify_control_ control;
    struct msghdr m;
    struct iovec io;
    struct cmsghdr *c;
    ssize_t sent;
    int fds[2];
    size_t count;

    if (n->kind != IPC_NOTIFY_EVENTFD)
        return -EINVAL;
    fds[0] = ipc_notify_fd(n);
    if (fds[0] < 0)
        return fds[0];
    fds[1] = n->post_fd;
    count = fds[1] != fds[0] ? 2 : 1;
    ipc_notify_message_(&m, &io, &hello, &control, count);
    c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    do
        sent = sendmsg(socket, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return -errno;
    return sent == (ssize_t)sizeof hello ? 0 : -EIO;
}

/* Is it an end of a pair of Unix sockets, or connected to one without a name? A post to another socket
 * would be a message, in our name, to whoever is at that socket's address. */
IPC_INLINE int ipc_notify_is_of_pair_(int fd)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;

    return getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.ss_family == AF_UNIX &&
           size == sizeof peer.ss_family; /* it has no name */
}

/* Are these what ipc_notify_send_fd sends: an eventfd, which is a file of no type, or both ends of a
 * pair of sockets? A write to something else may raise a signal (SIGPIPE, SIGXFSZ, SIGTTOU), or change
 * a file. */
IPC_INLINE int ipc_notify_are_bells_(const int fds[2], size_t count)
{
    struct stat st;

    if (count == 2)
        return ipc_notify_is_of_pair_(fds[0]) && ipc_notify_is_of_pair_(fds[1]);
    return fstat(fds[0], &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

IPC_INLINE int ipc_notify_recv_fd(struct ipc_notify *n, int socket, int64_t deadline)
{
    uint64_t hello = 0;
    union ipc_notify_control_ control;
    struct msghdr m;
    struct iovec io;
    struct cmsghdr *c;
    struct pollfd p;
    ssize_t got;
    int fds[2] = {-1, -1}, rc;
    size_t count = 0;

    if (n->at == NULL || n->kind != IPC_NOTIFY_EVENTFD || !ipc_is_deadline_(deadline))
        return -EINVAL;
    p.fd = socket;
    p.events = POLLIN;
    do {
        int64_t left = ipc_left_(deadline);

        rc = ipc_notify_poll_(&p, 1, left < IPC_NOTIFY_LONG_ ? left : IPC_NOTIFY_LONG_);
        if (rc < 0 || (rc == 0 && left == 0))
            return rc < 0 ? rc : -ETIMEDOUT;
    } while (rc == 0);
    ipc_notify_message_(&m, &io, &hello, &control, 2);
    got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0)
        return -errno;
    c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); /* the room is for two at most */
        memcpy(fds, CMSG_DATA(c), (count < 2 ? count : 2) * sizeof(int));
    }
    if (count == 0 || got != (ssize_t)sizeof hello || hello != IPC_NOTIFY_HELLO_ ||
        !ipc_notify_are_bells_(fds, count)) {
        if (fds[0] >= 0)
            (void)close(fds[0]);
        if (fds[1] >= 0)
            (void)close(fds[1]);
        return got == 0 ? -EPIPE : -EPROTO;
    }
    if (n->fd >= 0)
        (void)close(n->fd);
    if (n->post_fd >= 0 && n->post_fd != n->fd)
        (void)close(n->post_fd);
    n->fd = ipc_move_fd_(fds[0]);
    n->post_fd = count == 2 ? ipc_move_fd_(fds[1]) : n->fd;
    n->uses = count == 2 ? n->uses & ~IPC_USES_EVENTFD : n->uses | IPC_USES_EVENTFD;
    return 0;
}

#endif
