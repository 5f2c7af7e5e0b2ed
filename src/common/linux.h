/* Headers of Linux, and those of libc that show what we need only with _DEFAULT_SOURCE. */
#ifndef IPC_SRC_COMMON_LINUX_H
#define IPC_SRC_COMMON_LINUX_H 1

#include "prelude.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#ifndef __linux__
#error "ipc_shm.h, ipc_notify.h and ipc_channel.h need Linux; ipc_ring.h alone does not"
#endif
#if defined(__GLIBC__) && !defined(__USE_MISC)
#error "include the ipc_*.h before any header of libc, or compile with -D_GNU_SOURCE"
#endif

/* Moves a descriptor that is 0, 1 or 2 to the first free number from 3 on. A program that was
 * started with one of these closed still prints to it. Returns the descriptor; -1 with errno where
 * fd is -1, or no number is free. */
IPC_INLINE int ipc_move_fd_(int fd)
{
    int moved, saved;

    if (fd < 0 || fd > 2)
        return fd;
    moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    saved = errno;
    (void)close(fd);
    errno = saved;
    return moved;
}

/* Room for one descriptor, aligned as a control message must be. */
union ipc_fd_room_ {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

/* Sends `size` bytes over a Unix socket, and with them the descriptor fd. How many, or -errno. */
IPC_INLINE ssize_t ipc_send_fd_(int socket, int fd, void *bytes, size_t size)
{
    union ipc_fd_room_ control;
    struct iovec io;
    struct msghdr message;
    struct cmsghdr *c;
    ssize_t n;

    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    io.iov_base = bytes;
    io.iov_len = size;
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control.room;
    c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(int));
    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* A socket in which a descriptor waits to be ended last. Zeros: there is none. */
struct ipc_last_ {
    uint64_t inode; /* of the socket, which has that number alone */
    int fd;
};

/* The kernel takes some 20 ms to end an inotify. A process that dies ends it before the files of its
 * mappings, such as that of its lock of life, so its death would be known so much later. Hence a
 * message that nobody receives has the inotify fd, too: what is in a socket ends after all else.
 * Where that cannot be, as by RLIMIT_NOFILE, fd ends as it does. */
IPC_INLINE void ipc_end_last_(struct ipc_last_ *last, int fd)
{
    int pair[2];
    struct stat st;
    char byte = 0;

    last->inode = 0;
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return;
    pair[1] = ipc_move_fd_(pair[1]);
    last->fd = pair[1];
    if (ipc_send_fd_(pair[0], fd, &byte, 1) == 1 && fstat(last->fd, &st) == 0)
        last->inode = (uint64_t)st.st_ino;
    else if (last->fd >= 0)
        (void)close(last->fd);
    (void)close(pair[0]);
}

/* To be called before fd is closed. Something else may have closed the socket, and its number may be
 * that of another file. */
IPC_INLINE void ipc_close_last_(struct ipc_last_ *last)
{
    struct stat st;

    if (last->inode != 0 && fstat(last->fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
        (uint64_t)st.st_ino == last->inode)
        (void)close(last->fd);
    last->inode = 0;
}

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* Has a child zeroes in this memory from now on? Kernels before 4.14 say no. qemu-user takes any
 * advice and follows none, also advice that there is not. */
IPC_INLINE int ipc_wipe_on_fork_(void *mem, size_t size)
{
    return madvise(mem, size, MADV_WIPEONFORK) == 0 && madvise(mem, size, -1) != 0;
}

#endif
