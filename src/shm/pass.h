/* Passing a segment on to another process, over a socket. */
#ifndef IPC_SRC_SHM_PASS_H
#define IPC_SRC_SHM_PASS_H 1

#include "open.h"

/* ------------------------------------------------------------------ passing a segment on */

/* The message that goes with the descriptor. */
struct ipc_shm_hello_ {
    uint64_t magic;
    uint64_t size;
};

/* Room for one descriptor, aligned as a control message must be. */
union ipc_shm_control_ {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

IPC_INLINE int ipc_shm_send(struct ipc_shm *seg, int socket)
{
    struct ipc_shm_hello_ hello = {IPC_SHM_MAGIC, 0};
    union ipc_shm_control_ control;
    struct iovec io;
    struct msghdr message;
    struct cmsghdr *c;
    ssize_t n;

    hello.size = seg->size;
    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    io.iov_base = &hello;
    io.iov_len = sizeof hello;
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control.room;
    c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &seg->fd, sizeof(int));
    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof hello)
        return ipc_shm_refuse(seg, n < 0 ? -errno : -EIO, "cannot send the segment: %s",
                              n < 0 ? strerror(errno) : "cut short");
    return 0;
}

/* Waits until the socket has something to read. 0, -ETIMEDOUT or what poll says. */
IPC_INLINE int ipc_shm_poll_(int socket, int64_t deadline)
{
    struct pollfd p;
    int n;

    p.fd = socket;
    p.events = POLLIN;
    for (;;) {
        int64_t left = ipc_left_(deadline);

        n = poll(&p, 1, left < 1000000000 ? (int)((left + 999999) / 1000000) : 1000);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0 && left == 0)
            return -ETIMEDOUT;
    }
}

/* Takes the one descriptor out of a message. Where there are several, closes them all. -1 when
 * there is not exactly one. */
IPC_INLINE int ipc_shm_take_descriptor_(struct msghdr *message)
{
    struct cmsghdr *c;
    int fd, kept = -1, count = 0;

    for (c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        size_t i, n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (i = 0; i < n; i++) {
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (count++ == 0)
                kept = fd;
            else
                (void)close(fd);
        }
    }
    if (count > 1 || (message->msg_flags & MSG_CTRUNC) != 0) {
        if (kept >= 0)
            (void)close(kept);
        kept = -1;
    }
    return kept;
}

IPC_INLINE int ipc_shm_recv(struct ipc_shm *seg, int socket, int64_t deadline)
{
    static const struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm_hello_ hello;
    union ipc_shm_control_ control;
    struct iovec io;
    struct msghdr message;
    struct stat st;
    ssize_t n;
    int fd, rc, seals;

    ipc_shm_clear_(seg, &how);
    if (!ipc_is_deadline_(deadline))
        return ipc_shm_refuse_deadline_(seg, deadline);
    do {
        rc = ipc_shm_poll_(socket, deadline);
        if (rc != 0)
            return ipc_shm_refuse(seg, rc, "no segment came: %s", strerror(-rc));
        memset(&message, 0, sizeof message);
        io.iov_base = &hello;
        io.iov_len = sizeof hello;
        message.msg_iov = &io;
        message.msg_iovlen = 1;
        message.msg_control = &control;
        message.msg_controllen = sizeof control.room;
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0)
        return ipc_shm_refuse(seg, -errno, "no segment came: %s", strerror(errno));
    fd = ipc_shm_take_descriptor_(&message);
    if (n == 0 && fd < 0)
        return ipc_shm_refuse(seg, -EPIPE, "the peer closed the socket");
    if (fd < 0 || n != (ssize_t)sizeof hello || hello.magic != IPC_SHM_MAGIC) {
        if (fd >= 0)
            (void)close(fd);
        return ipc_shm_refuse(seg, -EPROTO, "what came is no segment of ipc_shm.h");
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return ipc_shm_refuse(seg, -EPROTO, "what came is no memory");
    }
    seals = fcntl(fd, F_GET_SEALS);
    rc = seals >= 0 && (seals & IPC_SHM_SEALS_) == IPC_SHM_SEALS_
             ? 0
             : ipc_shm_check_owner_(seg, &st, &how);
    seg->fd = rc != 0 ? rc : ipc_shm_reopen_(seg, fd);
    (void)close(fd);
    if (seg->fd < 0)
        return seg->fd;
    rc = fstat(seg->fd, &st) != 0 ? -errno : ipc_shm_attach_(seg, &st, 0);
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    ipc_shm_prefault_(seg);
    seg->deadline = deadline;
    return 0;
}

#endif
