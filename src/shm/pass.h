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

/* Is it in huge pages of the pool (MFD_HUGETLB)? Whoever has its descriptor can give pages back,
 * sealed or not, and then there may be none for the next touch. */
IPC_INLINE int ipc_shm_is_of_pool_(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && (uint32_t)fs.f_type == 0x958458f6u; /* HUGETLBFS_MAGIC */
}

/* Did a process of this user connect the other end of the Unix socket? */
IPC_INLINE int ipc_shm_peer_is_same_user_(int socket)
{
    struct { /* ucred, whose declaration needs _GNU_SOURCE */
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } peer;
    socklen_t size = sizeof peer;

    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

/* Sends the descriptor fd as that of the segment. */
IPC_INLINE int ipc_shm_send_descriptor_(struct ipc_shm *seg, int socket, int fd)
{
    struct ipc_shm_hello_ hello = {IPC_SHM_MAGIC, 0};
    ssize_t n;

    hello.size = seg->size;
    n = ipc_send_fd_(socket, fd, &hello, sizeof hello);
    if (n != (ssize_t)sizeof hello)
        return ipc_shm_refuse(seg, n < 0 ? (int)n : -EIO, "cannot send the segment: %s",
                              n < 0 ? strerror((int)-n) : "cut short");
    return 0;
}

IPC_INLINE int ipc_shm_send(struct ipc_shm *seg, int socket)
{
    int fd, rc;

    if (seg->base == NULL || !ipc_shm_has_its_file_(seg))
        return ipc_shm_refuse(seg, -EBADF, "cannot send the segment: not open, or others have "
                              "closed its descriptor");
    if (ipc_shm_is_of_pool_(seg->fd) && !ipc_shm_peer_is_same_user_(socket))
        return ipc_shm_refuse(seg, -EPERM, "cannot send the segment: another user could take its "
                              "huge pages back");
    if ((seg->flags & IPC_SHM_SEAL_WRITES) == 0)
        return ipc_shm_send_descriptor_(seg, socket, seg->fd);
    /* Our own description has our lock, which its receiver could give back: we would seem dead. */
    fd = ipc_shm_reopen_(seg, seg->fd, O_RDONLY);
    if (fd < 0)
        return fd;
    rc = ipc_shm_send_descriptor_(seg, socket, fd);
    (void)close(fd);
    return rc;
}

/* Waits until the socket has something to read. 0, -ETIMEDOUT or what poll says, such as -EINTR. */
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
        if (n < 0)
            return -errno;
        if (left == 0)
            return -ETIMEDOUT;
    }
}

/* Takes the one descriptor out of a message. Where there are several, closes them all. -1 when
 * there is not exactly one. */
IPC_INLINE int ipc_shm_take_descriptor_(struct msghdr *message)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message); /* there is no room for another */
    int fd, kept = -1;
    size_t i, n = 0;

    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (i = 0; i < n; i++) {
        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        if (i == 0)
            kept = fd;
        else
            (void)close(fd);
    }
    if (n > 1 || (message->msg_flags & MSG_CTRUNC) != 0) {
        if (kept >= 0)
            (void)close(kept);
        kept = -1;
    }
    return kept;
}

/* Waits for a message of ipc_shm_send, and takes its descriptor. Returns that, or a refusal. */
IPC_INLINE int ipc_shm_take_message_(struct ipc_shm *seg, int socket, int64_t deadline)
{
    struct ipc_shm_hello_ hello;
    union ipc_fd_room_ control;
    struct iovec io;
    struct msghdr message;
    ssize_t n;
    int fd, rc;

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
    if (fd >= 0 && n == (ssize_t)sizeof hello && hello.magic == IPC_SHM_MAGIC)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return ipc_shm_refuse(seg, -EPROTO, "what came is no segment of ipc_shm.h");
}

/* May the memory behind fd be used? Where it is sealed against writing, makes the handle a
 * read-only one. Of a stranger's, takes the options off that would fault it in: the stranger may
 * have left it empty, and we would pay for it. */
IPC_INLINE int ipc_shm_check_received_(struct ipc_shm *seg, int fd,
                                       const struct ipc_shm_options *how)
{
    int seals = fcntl(fd, F_GET_SEALS), rc = 0; /* first: others file systems may keep us waiting */
    struct stat st;

    if (seals < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return ipc_shm_refuse(seg, -EPROTO, "what came is no memory");
    if ((seals & IPC_SHM_SEALS_) != IPC_SHM_SEALS_)
        rc = ipc_shm_check_owner_(seg, &st, how);
    if (rc != 0)
        return rc;
    if ((seals & F_SEAL_FUTURE_WRITE) != 0)
        seg->flags |= IPC_SHM_READ_ONLY;
    if (how->largest != 0 && (uint64_t)st.st_size > how->largest)
        return ipc_shm_refuse(seg, -EMSGSIZE, "segment of %lld bytes, at most %zu were asked for",
                              (long long)st.st_size, how->largest);
    if (st.st_uid == geteuid())
        return 0;
    if (ipc_shm_is_of_pool_(fd))
        return ipc_shm_refuse(seg, -EACCES, "segment in huge pages of user %ld, who can take them "
                              "back", (long)st.st_uid);
    seg->flags = (seg->flags | IPC_SHM_NO_PREFAULT) & ~(IPC_SHM_MLOCK | IPC_SHM_HUGE);
    return 0;
}

IPC_INLINE int ipc_shm_open_fd(struct ipc_shm *seg, int fd, const struct ipc_shm_options *how)
{
    struct stat st;
    int rc;

    how = ipc_shm_or_defaults_(how);
    ipc_shm_clear_(seg, how);
    rc = ipc_shm_check_received_(seg, fd, how);
    if (rc == 0)
        rc = ipc_shm_reopen_(seg, fd, ipc_shm_is_read_only_(seg) ? O_RDONLY : O_RDWR);
    if (rc < 0)
        return rc;
    seg->fd = rc;
    rc = fstat(seg->fd, &st) != 0 ? -errno : ipc_shm_attach_(seg, &st, 0);
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    ipc_shm_prefault_(seg, 0);
    return 0;
}

IPC_INLINE int ipc_shm_recv_with(struct ipc_shm *seg, int socket, int64_t deadline,
                                 const struct ipc_shm_options *how)
{
    int fd, rc;

    ipc_shm_clear_(seg, ipc_shm_or_defaults_(how));
    if (!ipc_is_deadline_(deadline))
        return ipc_shm_refuse_deadline_(seg, deadline);
    fd = ipc_shm_take_message_(seg, socket, deadline);
    if (fd < 0)
        return fd;
    rc = ipc_shm_open_fd(seg, fd, how);
    (void)close(fd);
    if (rc == 0)
        seg->deadline = deadline;
    return rc;
}

IPC_INLINE int ipc_shm_recv(struct ipc_shm *seg, int socket, int64_t deadline)
{
    return ipc_shm_recv_with(seg, socket, deadline, NULL);
}

#endif
