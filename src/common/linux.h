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

/* The kernel takes some 20 ms to end an inotify. A process that dies ends it before the files of its
 * mappings, such as that of its lock of life, so its death would be known so much later. Hence a
 * message that nobody receives has the inotify fd, too: what is in a socket ends after all else.
 * Returns the socket, to be closed with fd; -1 where there is none, and fd ends as it does. */
IPC_INLINE int ipc_end_last_(int fd)
{
    int pair[2], sent;
    char byte = 0;

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return -1;
    sent = ipc_send_fd_(pair[0], fd, &byte, 1) == 1;
    (void)close(pair[0]);
    if (sent)
        return ipc_move_fd_(pair[1]);
    (void)close(pair[1]);
    return -1;
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
