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
