/* Made by tools/amalgamate. Change these files, not this one: src/ipc_shm.h
 * src/common/version.h src/common/prelude.h src/common/linux.h src/common/peer.h
 * src/common/words.h src/common/deadline.h src/shm/reference.h src/shm/layout.h
 * src/shm/identity.h src/shm/file.h src/shm/watch.h src/shm/map.h src/shm/open.h src/shm/pass.h
 * src/shm/members.h src/shm/objects.h */
/*
 * ipc_shm.h - shared memory segments that are whole or absent, and know who is attached and alive.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * A segment is found by name (POSIX shared memory: what shm_open calls "/NAME"), or handed over as
 * a descriptor (memfd, sealed), or is a file that is found by its path and survives a restart. In
 * it is a small directory of named objects, so that one segment carries several rings, and a table
 * of members, whose deaths the kernel proves. Needs Linux 3.17 with /proc, Concurrency Kit
 * (libck-dev) and libc; C99 to C23, C++11 to C++23. The reference of all calls follows this manual.
 *
 *     #include "ipc_shm.h"
 *
 *     struct ipc_shm seg;                                       // one process
 *     struct ipc_shm_object o;
 *     int rc = ipc_shm_create(&seg, "feed", 1 << 20);
 *     rc = rc ? rc : ipc_shm_make(&seg, "table", 0, 4096, &o);  // 4096 zeroed bytes at o.mem
 *     rc = rc ? rc : ipc_shm_publish(&seg, &o);                 // now others can find them
 *     if (rc)
 *         errx(1, "%s", ipc_shm_why(&seg));
 *
 *     rc = ipc_shm_open(&seg, "feed", ipc_in_ms(1000));         // another: waits up to a second
 *     rc = rc ? rc : ipc_shm_find(&seg, "table", 0, &o);        // within the same second
 *
 * Contract
 *   - An opener sees a whole segment or none: it is allocated, mapped and filled in under no name,
 *     then linked to its name in one step. A creator that dies before leaves nothing behind.
 *   - All memory is allocated before it is mapped: a full /dev/shm is -ENOSPC here, not a SIGBUS
 *     later.
 *   - A name whose creator lives is -EEXIST to ipc_shm_create. If the creator is dead, or has
 *     closed the segment, the segment is taken over with its objects and their contents: a program
 *     that was killed and started again goes on. If the size asked for differs, or IPC_SHM_FRESH is
 *     given, the remains are discarded instead, unless another process has them open.
 *   - A named segment is private to its user unless told otherwise: mode 0600 whatever the umask;
 *     symbolic links are not followed; a segment of another owner, or one that permits more than
 *     asked, is refused; descriptors are closed on exec.
 *   - A sealed segment can be opened by each process that its descriptor is handed to, whichever
 *     user that process runs as; it may hand the descriptor on. No other process can open it, but
 *     for one that may trace a holder, and so read the holder's memory anyway.
 *   - A process that may only read opens it with IPC_SHM_READ_ONLY: its mapping has no write
 *     access, and it takes no place among the members. So a reader that nobody wants to trust can
 *     follow a lossy broadcast, and a monitor can look, also as another user. A segment that is
 *     created with IPC_SHM_SEAL_WRITES can never be written by a process that it is sent to.
 *   - A name with a slash is the path of a file. It is created, opened, refused and taken over as
 *     any other segment. After a restart of the machine nothing torn is taken for whole:
 *     ipc_shm_sync.
 *   - Nothing read from a segment is trusted: sizes and offsets are checked against what the kernel
 *     says at attach, and then kept in the handle.
 *   - Time is never taken for death. A member is dead when the kernel has released the lock that
 *     its address space held. That is the same in each PID and time namespace, and to an emulator;
 *     children of the dead process change nothing.
 *   - A segment has room for 64 members and 64 objects, or for as many as its creator's options
 *     say, up to 65,536 each. It never grows, and what an object took is not taken back. So a
 *     client that comes and goes, with rings of its own, has a segment of its own, which is cheap.
 *   - Every refusal has an errno of its own and a sentence: ipc_shm_why.
 *
 * Caveats
 *   - A process that may write a named segment may also truncate it, and then access is SIGBUS.
 *     Fix: share named segments within one user only, and give other users a sealed one (name NULL)
 *     by descriptor.
 *   - The owner of a named segment may also truncate it under those who only read it. Fix: the
 *     same.
 *   - On a disk that fails, access to a segment in a file is SIGBUS; on a file system that copies
 *     on write (btrfs) also on a full one. Fix there: a file with the attribute C (chattr +C).
 *   - The ends of rings that are opened in a segment point to its struct ipc_shm. So that must not
 *     be moved meanwhile, as happens where a C++ class that has it is returned by value or is in a
 *     vector that grows. Fix: allocate it; or ipc_ring.hpp, whose handles may be moved.
 *   - Names outlive processes. Fix: ipc_shm_unlink when the work is done; after a crash the next
 *     ipc_shm_create takes over.
 *   - systemd deletes a user's segments at the last logout (RemoveIPC=yes in logind.conf). Fix: a
 *     system user, or RemoveIPC=no.
 *   - In containers /dev/shm is often 64 MB, and private to the container. Fix: docker run
 *     --shm-size, --ipc; or a sealed segment, which is not part of it.
 *   - ipc_shm_unlink, like unlink, frees the name, not the memory: a process that has the segment
 *     open keeps it, one that comes later gets another. Fix: unlink once, by one side, when both
 *     are attached.
 *   - In strict ISO modes (-std=c99) libc hides what is needed. Fix: include ipc_shm.h before any
 *     header of libc, or define _GNU_SOURCE.
 *
 * How it works
 *   The file is one page of constants and counters, members, objects, then the objects' memory:
 *
 *       | header | members | objects | memory, handed out from the front, never taken back |
 *
 *   The rules for the words in it stand once each, with a table of what may change them, at the top
 *   of their part of this file:
 *
 *       >>open      building a segment, opening it, taking over a dead creator's
 *       >>file      segments in files, and which of them are whole after a restart
 *       >>identity  members, their ids, and the proofs of their deaths
 *       >>watch     how a process that sleeps learns of deaths
 *       >>objects   the directory of named objects
 */
#ifndef IPC_SHM_H
#define IPC_SHM_H 1

/* >>version  src/common/version.h */
/* The version of all headers, which must be the same, and not that of what is in memory:
 * IPC_RING_LAYOUT and IPC_SHM_LAYOUT. */
#if defined(IPC_RING_VERSION_NUMBER) && IPC_RING_VERSION_NUMBER != 900
#error "two ipc_*.h of different versions: copy all of them from one release"
#endif
#ifndef IPC_RING_VERSION
#define IPC_RING_VERSION "0.9.0"
#define IPC_RING_VERSION_MAJOR 0
#define IPC_RING_VERSION_MINOR 9
#define IPC_RING_VERSION_PATCH 0
#define IPC_RING_VERSION_NUMBER 900 /* 10000 * major + 100 * minor + patch */
#endif

/* >>prelude  src/common/prelude.h */
/* What every header begins with. */
#ifndef IPC_SRC_COMMON_PRELUDE_H
#define IPC_SRC_COMMON_PRELUDE_H 1

#if !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#if defined(__has_include)
#if !__has_include(<ck_pr.h>)
#error "Concurrency Kit is missing: install libck-dev (Debian, Ubuntu), ck-devel (Fedora) or concurrencykit (Arch)"
#endif
#endif
#include <ck_cc.h>
#include <ck_md.h>
#include <ck_pr.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(CK_MD_TSO) && !defined(__x86_64__) && !defined(__i386__) && !defined(__s390x__) &&     \
    !defined(__sparc__)
#error "ck_md.h says CK_MD_TSO, but this target reorders stores: install its own Concurrency Kit"
#endif
/* On a 32-bit target CK_F_PR_LOAD_64 may stand for two 32-bit moves. Only ARMv7 (ldrexd) and x32
 * (64-bit registers) load 64 bits at once there. */
#if !defined(CK_F_PR_LOAD_64) || (__SIZEOF_POINTER__ < 8 && !defined(__x86_64__) &&                \
                                  !defined(__ARM_ARCH_7A__) && !defined(__ARM_ARCH_7__))
#error "these headers need 64-bit atomic loads and stores, which Concurrency Kit does not have here"
#endif

/* How each function is declared. A program that compiles the headers once, into a library, may
 * define the first otherwise. */
#ifndef IPC_INLINE
#define IPC_INLINE CK_CC_INLINE static
#endif
#define IPC_FORCE_INLINE CK_CC_FORCE_INLINE static

#endif

/* >>linux  src/common/linux.h */
/* Headers of Linux, and those of libc that show what we need only with _DEFAULT_SOURCE. */
#ifndef IPC_SRC_COMMON_LINUX_H
#define IPC_SRC_COMMON_LINUX_H 1

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

/* >>peer  src/common/peer.h */
/* Processes that share memory: which one this is, and which others are alive. */
#ifndef IPC_SRC_COMMON_PEER_H
#define IPC_SRC_COMMON_PEER_H 1

/*
 * What this process is to the others, and how to learn of them. ipc_shm_peer fills it in for the
 * members of a segment; a program that has its memory from elsewhere may fill in its own. Attaching
 * functions of rings and notifiers take a pointer to it. Rings use id and alive, notifiers alive,
 * watch and stir; they copy what they need, and pass `arg` to each function, from any thread that
 * uses the ring or notifier. `arg` and `watch` must stay valid until they are detached.
 *
 * A process that may only read the memory, as it is mapped without write access, says so by the id
 * IPC_PEER_READ_ONLY. Rings and notifiers then store nothing: it can attach as a reader of a lossy
 * broadcast and to notifiers, to sleep, and is refused with -EROFS otherwise.
 *
 * NULL in place of the pointer: no process is ever proven dead. An end of a ring then stays taken
 * until its holder detaches.
 */
#define IPC_PEER_READ_ONLY (~UINT64_C(1)) /* the id of a process that may only read the memory */

struct ipc_peer {
    /* The id of this process: neither 0 nor ~0, and never used by another process of that memory.
     * Or IPC_PEER_READ_ONLY, in any number of processes. */
    uint64_t id;
    /* Is the process `id` alive? 1, also in case of doubt; 0 only with proof of its death; -1 only
     * with proof that it left the memory in good order, without detaching. Must not block. NULL: no
     * process is ever proven dead. */
    int (*alive)(void *arg, uint64_t id);
    /* How sleepers learn of deaths, and of stirs. NULL: they ask every 8 ms. */
    struct ipc_watch *watch;
    /* Makes the descriptors of all others that have opened `watch` readable. Must not block. NULL:
     * cannot. */
    void (*stir)(void *arg);
    void *arg;     /* passed to the functions above, and to those of `watch` */
    char why[256]; /* out: what the last refusal was, as a sentence */
    /* How the end of a ring notices that it came by fork. A word that is all ones in the process
     * that `id` is, and 0 in a child that inherited it, as the kernel wipes it there. NULL: no end
     * notices. Not NULL: this struct ipc_peer must stay where it is, as `arg`. */
    const uint64_t *self;
    /* Called where *self is 0, for an end that `id` held. May this process go on with it?
     * 1: yes, as `id`, which is its own again. 0: yes, by the new `id` of this struct, as the
     * process that held it is dead; others may compete. -ECHILD: no. `leaves`: only to detach, so 0
     * is not needed. May wait for up to a second for the death of a parent that is about to exit. */
    int (*inherit)(void *arg, uint64_t id, int leaves);
};

/*
 * What all threads of a process sleep by that use one `arg`: one descriptor, which one of them
 * polls for all. The functions are called by any of them at any time, and must not block.
 */
struct ipc_watch {
    /* Returns the descriptor, and opens it if need be. From now on it becomes readable when another
     * process calls `stir` or leaves, and, where id is not 0, when the process `id` dies. Else a
     * negative errno. In a process that has not called it yet, as after fork, it opens another
     * descriptor, makes `turn` and `followers` 0 and changes `news`, before `ours` says 1. */
    int (*open)(void *arg, uint64_t id);
    /* Has this process opened the descriptor? 0 in a child that has only inherited it. */
    int (*ours)(void *arg);
    /* Takes what the descriptor reports, so that it is readable no more. IPC_WATCH_*. */
    int (*take)(void *arg);
    /* Opens a descriptor for one event loop, which becomes readable when another process calls
     * `stir` or leaves. Its caller closes it. Else a negative errno. */
    int (*loop)(void *arg);
    /* Of notify/watch.h, and made 0 by the program that fills in the rest. Not shared with other
     * processes. */
    uint64_t fd;        /* what open returned last */
    uint32_t turn;      /* is a thread in poll? And a count above that */
    uint32_t followers; /* threads that rely on the one in poll */
    uint32_t news;      /* moves on when a process may have died */
    uint64_t unproven;  /* a process may have died, but there is no proof: when to ask next, or 0 */
    uint64_t pause;     /* and how long after the last time that is, in nanoseconds */
    uint64_t known;     /* the process that an attach found alive last, ... */
    uint64_t known_at;  /* ... at that time of ipc_clock */
};

#define IPC_WATCH_STIRRED 0 /* nothing but stirs, if anything */
#define IPC_WATCH_MAYBE 1   /* a process may have left: there is proof in a moment, or never */
#define IPC_WATCH_LEFT 2    /* a process that is watched has left: there is proof */

#endif

/* >>words  src/common/words.h */
/* What results mean, in words. */
#ifndef IPC_SRC_COMMON_WORDS_H
#define IPC_SRC_COMMON_WORDS_H 1

/*
 * The meaning of a result of this library as a phrase, as libc's for the same numbers is about
 * other things: ipc_strerror(ticks_recv(&in, &t, deadline)). Numbers that mean here what they mean
 * to libc (-EINVAL, -ENOSPC, ...) have strerror's. After a refusal ipc_shm_why and ipc_channel_why
 * say more. Any thread; not in a signal handler.
 */
IPC_INLINE const char *ipc_strerror(int rc)
{
    switch (rc) {
    case -EAGAIN:
        return "full, or empty, at this moment";
    case -ETIMEDOUT:
        return "the deadline came first";
    case -EINTR:
        return "a signal handler ran first";
    case -EPIPE:
        return "the other side is gone";
    case -EOWNERDEAD:
        return "the process at the other end was killed, or ended without detaching";
    case -EOVERFLOW:
        return "messages were overwritten before they were read";
    case -EMSGSIZE:
        return "longer than the ring can take, or not of the ring's message size";
    case -EBADMSG:
        return "the shared memory is corrupt";
    case -EBUSY:
        return "another process has this end, or this client another call";
    case -ECHILD:
        return "after fork another process goes on with this handle: open it anew";
    case -EROFS:
        return "this process may only read the memory";
    case -EUSERS:
        return "as many processes are there as there are places for";
    case -EPROTO:
        return "what is there is of another kind, size, version or layout";
    default:
        return rc >= 0 ? "no error" : strerror((int)(0u - (unsigned)rc));
    }
}

#endif

/* >>deadline  src/common/deadline.h */
/* Deadlines: when a call that may block is to end. */
#ifndef IPC_SRC_COMMON_DEADLINE_H
#define IPC_SRC_COMMON_DEADLINE_H 1

/*
 * A deadline is an absolute time of CLOCK_MONOTONIC in nanoseconds, as an int64_t. One deadline can
 * serve several calls in a row. One that has passed means: do not wait. A number that cannot be
 * such a time, but is a span by mistake, is refused with -EINVAL by a call that would have to wait:
 * negative numbers, and all below a second but IPC_NOW. The fix is ipc_in_ms.
 */
#define IPC_NOW INT64_C(0)    /* do not wait */
#define IPC_FOREVER INT64_MAX /* wait without limit */

#define IPC_DEADLINE_FIRST_ INT64_C(1000000000) /* in the first second nobody waits */

IPC_INLINE int ipc_is_deadline_(int64_t deadline)
{
    return deadline == IPC_NOW || deadline >= IPC_DEADLINE_FIRST_;
}

/* The time now, in nanoseconds of CLOCK_MONOTONIC. Wait-free; any thread, also a signal handler. */
IPC_INLINE int64_t ipc_clock(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The nanoseconds that are left until the deadline, 0 when it has passed. */
IPC_INLINE int64_t ipc_left_(int64_t deadline)
{
    int64_t now = deadline > IPC_NOW ? ipc_clock() : 0;

    return deadline > now ? deadline - now : 0;
}

/* The deadline that is `ms` milliseconds from now. IPC_FOREVER when ms is negative, or above
 * INT64_MAX / 2000000 (146 years). Wait-free; any thread, also a signal handler. */
IPC_INLINE int64_t ipc_in_ms(int64_t ms)
{
    return ms < 0 || ms > INT64_MAX / 2000000 ? IPC_FOREVER : ipc_clock() + ms * 1000000;
}

#endif

/* >>reference  src/shm/reference.h */
/* Reference: all types, constants and functions of ipc_shm.h that a program uses. */
#ifndef IPC_SRC_SHM_REFERENCE_H
#define IPC_SRC_SHM_REFERENCE_H 1

/*
 * What holds for all functions below
 *   - They return 0, or a negative errno, where nothing else is said. After an error ipc_shm_why
 *     has a sentence about it, but for -ENOENT of ipc_shm_list and ipc_shm_who.
 *   - A handle belongs to one process. Its threads may share it, but for the calls that create,
 *     open, receive and close. A child that inherits a handle by fork becomes a member of its own
 *     at its next call, see below; where that fails the call returns, besides its own errors:
 *     -EUSERS (all places are taken), -ENOSYS (/proc is not mounted), -ENOMEM,
 *     -EBADF (others have closed the handle's descriptor), -EROFS (IPC_SHM_SEAL_WRITES), and what
 *     open says for /proc/self/fd, such as -EMFILE and -EACCES. Its threads may make that call at
 *     once. A handle that is open read-only serves the child as it is.
 *   - None waits for another process, but for those that take a deadline. A peer that is stopped
 *     or killed at any instruction holds up none of them longer than that. `how` may be NULL, which is
 *     IPC_SHM_DEFAULTS; no other pointer may, but the name that ipc_shm_create is given. A handle of
 *     zeros is one that is not open: calls are -EINVAL, and to close it does nothing. */

/*
 * Fork, exec, and whose process it is
 *
 *   A member is one process: one address space. It lives as long as that, whatever happens to its
 *   descriptors, its user or its namespaces, and is dead to all others, wherever they run, as soon
 *   as the kernel has taken that down: on any exit, kill or exec.
 *
 *   after the fork               what happens
 *   --------------------------   ------------------------------------------------------------------
 *   the child calls nothing,     nothing. The parent's death is told as if there were no child, and
 *   or executes a program        its place is free for the next
 *   the child makes a call       it becomes a member of its own, once for all its threads, and may
 *   with the segment's handle    attach to rings. The parent stays what it was. Where the child
 *                                cannot become one, its id is 0: never its parent's
 *   the child closes the handle  the parent stays a member
 *   the child uses a ring that   the parent goes on while it lives and has not closed the segment:
 *   the parent attached to       the child's first call with that end is -ECHILD, before it has
 *                                stored anything, and so is each later one. If the parent is dead
 *                                or has closed the segment, as after daemon(), the child takes over
 *                                the end, by an id of its own, and goes on where the parent was: no
 *                                message is lost or seen twice. Until then the end has a dead
 *                                holder: peers may be told of that death, and another process that
 *                                attaches first gets the end. Then the child is told -ECHILD
 *   the child uses it after      the child has the parent's id and ends without a gap: no peer is
 *   ipc_shm_hand_over, called    told of a death, no end is free for others, also after a second
 *   before the fork              fork (daemon() within daemon()). The parent's next call with the
 *                                segment or with one of its rings is -ECHILD; it may exit at any
 *                                time
 *
 *   So of parent and child one goes on, and the other is told at its first call. A child whose
 *   parent has not exited yet waits for that in the first such call: once, for a second at most. A
 *   child that may not go on may attach anew. Differences of kinds:
 *
 *     MPMC, calls                 what the parent held or had asked is freed as that of any dead
 *                                 process, not handed on to the child
 *     a lossless reader           is -ECHILD also when the parent is dead, as its seat may be gone,
 *                                 and messages with it; not after ipc_shm_hand_over
 *     a lossy reader              stores nothing: parent and child both go on
 *     a claimed slot              cannot be committed in the child: -EINVAL, claim it again; after
 *                                 ipc_shm_hand_over it can
 *
 *   To become a member a child opens /proc/self/fd anew: in a named segment it does so before it
 *   drops its privileges, or changes its root. A child that was handed the segment need not.
 *
 *   An emulator (qemu-user) copies to the child what fork does not copy on Linux (MADV_DONTFORK).
 *   There the death of a process is told once each child has made a call with its handle, has closed
 *   it, has executed a program, or is gone. Where fork does not wipe memory (MADV_WIPEONFORK: an
 *   emulator, Linux before 4.14), each call of a ring asks for the pid.
 */

/* ------------------------------------------------------------------ limits */

#define IPC_SHM_LINE 64u           /* bytes to which objects are aligned */
#define IPC_SHM_MEMBERS 64u        /* members that a segment has places for, if nothing is said */
#define IPC_SHM_OBJECTS 64u        /* objects, the same */
#define IPC_SHM_MEMBERS_MAX 65536u /* and at most, by the options */
#define IPC_SHM_OBJECTS_MAX 65536u
#define IPC_SHM_NAME_MAX 63u       /* bytes of an object's name, without the final NUL */

/* ------------------------------------------------------------------ options and handles */

#define IPC_SHM_NO_PREFAULT 1u /* leave page faults for the first touch */
#define IPC_SHM_MLOCK 2u       /* keep the pages in memory; see lock_rc */
#define IPC_SHM_HUGE 4u        /* use huge pages; see huge_rc */
#define IPC_SHM_FRESH 8u       /* create: discard what a dead creator left, do not take it over */
/* open, receive: map it without write access, and be no member. See ipc_shm_open */
#define IPC_SHM_READ_ONLY 16u
/* create, without a name: no other process can ever write it. See ipc_shm_create */
#define IPC_SHM_SEAL_WRITES 32u
/* create, open, receive: take a segment in a file also if it may be torn. See ipc_shm_sync */
#define IPC_SHM_TORN 64u

/* Begin with IPC_SHM_DEFAULTS, and set what is to differ. All zeros are other options: mode 000, of
 * root. */
struct ipc_shm_options {
    mode_t mode;    /* create: a named segment's permissions. open: the most it may permit */
    uid_t owner;    /* open: the user that must own it; (uid_t)-1: the caller's */
    gid_t group;    /* create: its group; (gid_t)-1: the caller's */
    unsigned flags; /* IPC_SHM_* above */
    size_t largest; /* receive: the most bytes that the segment may have; 0: any number */
    /* create: how many processes can have the segment open at a time (1 to IPC_SHM_MEMBERS_MAX,
     * rounded up to a power of two), and how many objects it can hold (1 to IPC_SHM_OBJECTS_MAX).
     * 0: IPC_SHM_MEMBERS, IPC_SHM_OBJECTS. They stay as they were created. A member takes 64 bytes,
     * an object 128, besides the size asked for. */
    unsigned members, objects;
};
/* What NULL in place of options stands for: struct ipc_shm_options o = IPC_SHM_DEFAULTS; */
#define IPC_SHM_DEFAULTS                                                                           \
    {                                                                                              \
        0600, (uid_t)-1, (gid_t)-1, 0, 0, 0, 0                                                     \
    }

struct ipc_shm_header_;

/* An open segment. The caller may read `size`, `members`, `objects`, `flags`, `fd`, `created`,
 * `lock_rc` and `huge_rc`. */
struct ipc_shm {
    struct ipc_peer peer;         /* by ipc_shm_peer */
    struct ipc_shm_header_ *base; /* of the mapping; NULL: not open */
    size_t size;                  /* of the mapping, in bytes */
    unsigned members, objects;    /* for how many it has room */
    int64_t deadline;             /* of the open; ipc_shm_find waits until then */
    uint64_t *mark;               /* the process whose id peer.id is; wiped by fork: identity.h */
    int unwiped;                  /* 1: fork does not wipe it */
    unsigned self;                /* the word of it by which the ends of rings notice a fork */
    void *life;                   /* a page in which the lock of life lives: identity.h */
    size_t life_size;             /* of that, in bytes */
    uint64_t handed;              /* the id that ipc_shm_hand_over has given away, ... */
    uint32_t handed_family;       /* ... and what the entry's `family` was then: identity.h */
    uint64_t pid_ns;              /* inode of our PID namespace; 0: not known */
    uint64_t device, inode;       /* of the segment's file */
    unsigned flags;               /* of the options; IPC_SHM_READ_ONLY: nothing can be written */
    int fd;      /* its description holds the family's lock. May be polled; not to be closed */
    int created; /* 1: made by this call, 2: taken over from a dead creator, 0: opened */
    int closed;  /* 1: it was open, and is not any more */
    int lock_rc; /* IPC_SHM_MLOCK: 0 locked, else a negative errno that says why not */
    int huge_rc; /* IPC_SHM_HUGE: 0 granted by the kernel, else why not: pages are of usual size.
                    Those of /dev/shm are granted by its mount option `huge` */
    struct ipc_watch watch; /* from here on: see watch.h */
    uint64_t watcher, watching;
    int epoll, inotify; /* if watcher is not 0 */
    struct ipc_last_ last; /* has the inotify, too */
};

/* An object in a segment. */
struct ipc_shm_object {
    void *mem; /* 64-byte aligned; valid until the segment is closed */
    size_t size;
    uint32_t type;
    uint32_t index; /* in the directory */
    char name[IPC_SHM_NAME_MAX + 1];
};

/* A member, as ipc_shm_who saw it. */
struct ipc_shm_member {
    uint64_t id;
    uint64_t pid_ns; /* inode of the PID namespace in which pid counts; 0: not known */
    pid_t pid;
    int alive; /* 0: proven dead; its place is free for the next */
    int here;  /* 1: pid counts in our namespace, too */
    int me;    /* 1: this handle */
};

/* ------------------------------------------------------------------ create, open and close */

/*
 * Creates a segment with room for `size` bytes of objects (1 to SIZE_MAX / 2): named `name`
 * ("feed", 1 to 255 bytes without a slash), or nameless and sealed when name is NULL. A name with a
 * slash ("./feed", "/var/lib/feed/ticks") is the path of a file that the memory is mapped from,
 * which survives a restart of the machine: see ipc_shm_sync. "/feed", which is how shm_open spells
 * a name, is refused. Where the name exists, and its creator is dead or has closed the segment,
 * takes the segment over with its objects: seg->created is 2. If `size` in pages, or the options'
 * members or objects, are not those that it was made with, or with IPC_SHM_FRESH, it is discarded,
 * and a new one of this size takes its place: seg->created is 1. Then it must not be in use by
 * others. Blocks only for the kernel, while it allocates the pages and faults them in. On an error
 * seg is closed.
 * ipc_shm_create uses IPC_SHM_DEFAULTS, as all calls do where `how` is NULL.
 *
 * With IPC_SHM_SEAL_WRITES, for a nameless segment, only this handle can ever write: the kernel
 * refuses each later mapping for writing, of any user, root among them (F_SEAL_FUTURE_WRITE). A
 * process that is sent the segment opens it read-only. A child that inherits the handle by fork can become no
 * member, as that needs a mapping of its own: its calls are -EROFS. The memory is still mapped
 * there for writing, so the child must leave it alone; it may receive the segment instead.
 *
 *   0
 *   -EEXIST        a live process created it, or the remains are to be discarded while others have
 *                  them open, or the name changed hands 100 times meanwhile
 *   -EINVAL        size is 0, or members or objects of the options are out of range, or the name is
 *                  empty, ends with a slash, begins with its only slash, or is . or ..;
 *                  IPC_SHM_READ_ONLY is given, or IPC_SHM_SEAL_WRITES with a name
 *   -EUCLEAN       the file may be torn, see ipc_shm_sync
 *   -ENOENT        the directory of the file is not there
 *   -EIO           the file could not be written to the disk
 *   -EOPNOTSUPP    IPC_SHM_SEAL_WRITES: the kernel is older than Linux 5.1
 *   -ENAMETOOLONG  the name has more than 255 bytes, or the path 4095
 *   -ENOSPC        /dev/shm, memory, or the disk has not that many bytes
 *   -EFBIG         no file can have that size, or RLIMIT_FSIZE forbids it
 *   -EACCES        what has the name belongs to another user, or permits more than how->mode, or
 *                  its owner holds a file lease on it
 *   -EPERM         the remains are to be discarded, but are another user's. They stay as they are
 *   -EPROTO        what has the name is no segment, or one of another version, byte order or
 *                  layout. ipc_shm_unlink removes it
 *   -ELOOP         what has the name is a symbolic link
 *   -EISDIR        what has the name is a directory
 *   -EUSERS        as many processes have it open as it has places for (64, or as it was created)
 *   -ENOSYS        /proc is not mounted
 *   and what open, fchown, fchmod, mmap and linkat say, such as -EMFILE, -EPERM, -EOPNOTSUPP (the
 *   file system has no O_TMPFILE) and -ENOMEM (mmap
 *   also where the process locks all that it maps, and RLIMIT_MEMLOCK forbids so much)
 */
IPC_INLINE int ipc_shm_create(struct ipc_shm *seg, const char *name, size_t size);
IPC_INLINE int ipc_shm_create_with(struct ipc_shm *seg, const char *name, size_t size,
                                   const struct ipc_shm_options *how);

/*
 * Opens the segment `name`. Where there is none, waits for one until the deadline: looks once a
 * millisecond at first, and once in 16 ms after a tenth of a second. ipc_shm_find with this handle
 * waits until the same deadline. On an error seg is closed. ipc_shm_open uses IPC_SHM_DEFAULTS.
 *
 * With IPC_SHM_READ_ONLY the memory is mapped without write access, and permission to read the file
 * is enough: how->owner says whose segment it is, how->mode (0644, say) what that may permit at
 * most. The process is no member: it takes none of the places, holds no lock, and is not seen by
 * ipc_shm_who. So it does not keep a dead creator's segment from being replaced: then open again.
 * It finds and lists objects, asks which members are alive, and attaches as a reader to lossy
 * broadcasts. Calls that would write are -EROFS. A store of the program itself is SIGSEGV. It cannot
 * disturb the members that are there, but by locks on the file it can keep others from joining, and
 * by reading the file it wakes their sleepers for nothing.
 *
 *   0
 *   -ENOENT     there is none, and the deadline is IPC_NOW
 *   -ETIMEDOUT  there was none until the deadline
 *   -EINTR      a signal handler ran while it waited. One that runs between a look and the nap
 *               after it does not end the wait: give a deadline, and ask what the handler has set
 *   -EINVAL     name is NULL, or as of ipc_shm_create; the deadline is no absolute time (IPC_NOW)
 *   -EUCLEAN    the file may be torn, see ipc_shm_sync
 *   -EACCES     it belongs to another user than how->owner, or permits more than how->mode, or may
 *               only be read by this user, or its owner holds a file lease on it
 *   -ENAMETOOLONG, -EPROTO, -ELOOP, -EISDIR, -EUSERS, -ENOSYS, and what open and mmap say: as of
 *   ipc_shm_create, at once
 */
IPC_INLINE int ipc_shm_open(struct ipc_shm *seg, const char *name, int64_t deadline);
IPC_INLINE int ipc_shm_open_with(struct ipc_shm *seg, const char *name, int64_t deadline,
                                 const struct ipc_shm_options *how);

/*
 * Opens the segment `name`, or creates it where there is none: for processes any of which may come
 * first. seg->created says which. A segment that exists may have another size, and room for other
 * numbers of members and objects. Blocks for a tenth of a second at most, besides what ipc_shm_create does. Not with IPC_SHM_READ_ONLY, which is -EINVAL.
 *
 *   0
 *   -EBUSY  another process, which may be stopped, has been replacing it for a tenth of a second
 *   and the other errors of ipc_shm_create, but for -EEXIST
 */
IPC_INLINE int ipc_shm_open_or_create(struct ipc_shm *seg, const char *name, size_t size,
                                      const struct ipc_shm_options *how);

/*
 * Leaves the segment and unmaps it. The memory of its objects must not be touched any more, so
 * detach the rings first; a ring that is still attached ends for its peers as if it was detached
 * (-EPIPE), but what its consumer took last may be seen again. A process that ends without this
 * call counts as killed. The name and the objects stay for the other processes and for later ones.
 * Does nothing when the handle is all zeros, was refused, or is closed already. In a child that inherited the
 * handle by fork, and has not used it, the parent stays a member. Where the segment is in a file,
 * and this is its last member, blocks until all is on the disk. Takes some 20 ms where a thread slept
 * long by the handle: the others know before.
 */
IPC_INLINE void ipc_shm_close(struct ipc_shm *seg);

/*
 * For a segment in a file: returns once all that any process has stored there before is on the
 * disk. Blocks for the disk: some milliseconds, and what it takes to write the pages that have
 * changed. In memory it does nothing. Other processes may go on meanwhile, and none is waited
 * for.
 *
 * What a file promises after the machine has stopped, or the power has failed: nothing torn is
 * taken for whole. If all members had closed the segment, it is there as they left it, and goes on.
 * If not, the kernel may have written its pages in any order, whatever was synced: create, open and
 * receive refuse it with -EUCLEAN. So they do with a copy of the file, as nobody knows what
 * happened while it was made. Then IPC_SHM_FRESH makes a new one; or IPC_SHM_TORN takes it as it
 * is. That is safe if the machine was shut down in good order, as the kernel writes all pages then,
 * or if nobody had the segment open while it was copied. Otherwise a ring may hand out a message
 * that is torn, or twice, or -EBADMSG, but leads nowhere outside its memory; what was stored before
 * ipc_shm_sync, and not changed since, is there. A process that is killed while the machine goes on
 * costs nothing of that: its memory is the kernel's.
 *
 *   0
 *   -EINVAL  the segment is not open
 *   -EROFS   it is open read-only
 *   -EIO     the disk has failed; and what msync says
 */
IPC_INLINE int ipc_shm_sync(struct ipc_shm *seg);

/*
 * Frees the name, whatever it stands for, also what -EPROTO refuses; of a path only a segment. A
 * process that has the segment open keeps it. Needs no handle.
 *
 *   0
 *   -ENOENT            nothing has that name
 *   -EINVAL            name is NULL, or as of ipc_shm_create
 *   -ENAMETOOLONG      the name has more than 255 bytes, or the path 4095
 *   -EPROTO            the path is that of a file that is no segment
 *   -EACCES, -EPERM    what has the name belongs to another user
 *   -EISDIR            what has the name is a directory
 */
IPC_INLINE int ipc_shm_unlink(const char *name);

/*
 * Frees the name, or path, of a segment that no live process has open: as a creator does that
 * replaces the segment, so no process comes to use it meanwhile. A process that is killed in
 * here leaves the segment to the next ipc_shm_create, or to another call of this. how->owner and
 * how->mode are as of ipc_shm_open. seg is closed then, and is for ipc_shm_why alone. Blocks for
 * the kernel only.
 *
 *   0
 *   -EBUSY   a live process has it open, other than read-only, or others replace it all the time
 *   -ENOENT  nothing has that name
 *   -EINVAL, -ENAMETOOLONG, -EACCES, -EPERM, -EPROTO, -ELOOP, -EISDIR, -EUSERS, -ENOSYS, and what
 *   open and mmap say: as of ipc_shm_create
 */
IPC_INLINE int ipc_shm_unlink_dead(struct ipc_shm *seg, const char *name,
                                   const struct ipc_shm_options *how);

/* What the last refusal of a call with this handle was, in one line, and the remedy where there is
 * one. Valid until the next call. Wait-free. */
IPC_INLINE const char *ipc_shm_why(const struct ipc_shm *seg);

/* Keeps a sentence for ipc_shm_why, cut to 255 bytes, and returns rc. For code that builds on
 * segments. */
__attribute__((format(printf, 3, 4), unused)) static int ipc_shm_refuse(struct ipc_shm *seg, int rc,
                                                                        const char *format, ...);

/* ------------------------------------------------------------------ passing a segment on */

/*
 * Sends the segment's descriptor over a connected Unix socket (stream, datagram or seqpacket). A
 * sealed segment can then be used by the process at the other end, whichever user that process runs
 * as; a named one, and one in huge pages of the pool, by this user alone: huge pages that a process
 * gives back (FALLOC_FL_PUNCH_HOLE) can be gone for good, and then access is SIGBUS. What is sent
 * of a segment with IPC_SHM_SEAL_WRITES is a descriptor for reading only. Blocks as the socket
 * does.
 *
 *   0
 *   -EPERM   the segment is in huge pages of the pool, and the socket was not connected by a
 *            process of this user (SO_PEERCRED)
 *   -EBADF   the segment is not open, or its descriptor was closed by others
 *   -EPIPE   the other end is closed; there is no SIGPIPE
 *   -EAGAIN  the socket does not block, and its buffer is full
 *   -EIO     the socket took a part of the message
 *   and what sendmsg says, such as -ENOTCONN; of a segment with IPC_SHM_SEAL_WRITES also what open
 *   says, such as -EMFILE
 */
IPC_INLINE int ipc_shm_send(struct ipc_shm *seg, int socket);

/*
 * Opens the segment that the peer sends over a connected Unix socket by ipc_shm_send. Waits for it
 * until the deadline; ipc_shm_find with this handle waits until the same deadline. A sealed segment
 * is accepted from any user, as its size cannot change any more. Any other has to pass the checks
 * of ipc_shm_open. Whatever the sender holds on the memory, the deadline is kept. Memory of another
 * user is neither faulted in nor locked before its first touch, whatever how->flags say: the sender
 * may have left it empty, and this process would pay for it. State the size that the program
 * expects by how->largest. ipc_shm_recv uses IPC_SHM_DEFAULTS. On an error seg is closed.
 *
 * With IPC_SHM_READ_ONLY, or where the segment was made with IPC_SHM_SEAL_WRITES, opens it
 * read-only, as ipc_shm_open does: seg->flags has IPC_SHM_READ_ONLY then.
 *
 *   0
 *   -ETIMEDOUT  nothing came until the deadline
 *   -EINTR      a signal handler ran while it waited
 *   -EMSGSIZE   it is larger than how->largest
 *   -EINVAL     the deadline is no absolute time (IPC_NOW)
 *   -EPIPE      the peer closed the socket
 *   -EPROTO     what came is no segment, or one of another version, byte order or layout
 *   -EUCLEAN    it is in a file that may be torn, see ipc_shm_sync
 *   -EACCES     it is not sealed, and belongs to another user than how->owner or permits more than
 *               how->mode; or it is sealed memory that ipc_shm_create did not make, whose mode
 *               keeps this user out; or its owner holds a file lease on it; or it is in huge pages
 *               of the pool, and another user's
 *   -EUSERS     as many processes have it open as it has places for
 *   -ENOSYS     /proc is not mounted
 *   and what poll, recvmsg, open and mmap say, such as -ECONNRESET, -EMFILE and -ENOMEM
 */
IPC_INLINE int ipc_shm_recv(struct ipc_shm *seg, int socket, int64_t deadline);
IPC_INLINE int ipc_shm_recv_with(struct ipc_shm *seg, int socket, int64_t deadline,
                                 const struct ipc_shm_options *how);

/*
 * Opens the segment in memory that the descriptor fd refers to, which stays the caller's: as
 * ipc_shm_recv_with does once it has received that, with its checks and errors but for those of the
 * socket. For a monitor, which finds nameless segments in /proc.
 */
IPC_INLINE int ipc_shm_open_fd(struct ipc_shm *seg, int fd, const struct ipc_shm_options *how);

/* ------------------------------------------------------------------ members */

/*
 * Which process this is in the segment, and which others are alive: for attaching to a ring or a
 * notifier in it. seg must stay where it is, and open, as long as these are used. After fork the
 * child's first call makes it a member of its own; where that fails, the result's id is 0 and
 * ipc_shm_why says why. Read-only, its id is IPC_PEER_READ_ONLY. Never NULL. Lock-free.
 */
IPC_INLINE struct ipc_peer *ipc_shm_peer(struct ipc_shm *seg);

/*
 * To be called before a fork whose child is to go on in the place of this process, as before
 * daemon(): with its id, and all ends of rings that are attached by it. This process then counts as
 * alive as long as itself or any child lives that has inherited the handle; from the child's next
 * call with the segment on, such as ipc_shm_peer, as long as that child lives. The first of several
 * children that makes that call goes on, and others become members of their own. This process can
 * not use its rings any more (-ECHILD); where the fork fails, it has to close the segment, open it
 * and attach anew. A child that closes descriptors which it does not know keeps what it was given,
 * but then its death is told only when its own children are gone, too. Lock-free.
 *
 *   0
 *   -EINVAL  the segment is not open
 *   -EROFS   it is open read-only: there is nothing to hand over, a child can use it as it is
 *   -EBADF   the segment's descriptor was closed by others
 *   -ECHILD  it was handed over before. So say all calls of this process with it from now on that
 *            need its id, which ipc_shm_peer gives as 0; ipc_shm_close leaves it to the child
 */
IPC_INLINE int ipc_shm_hand_over(struct ipc_shm *seg);

/* 1 while the member `id` may be alive, 0 when it has left or the kernel says that it is dead; a
 * member that is stopped is alive. A few system calls, some 10 microseconds: not for the path of a
 * message. Wait-free. */
IPC_INLINE int ipc_shm_alive(struct ipc_shm *seg, uint64_t id);

/*
 * Which process has place i of the segment (0 <= i < seg->members), for tools that list them. A
 * member joins when it opens the segment, or first uses a handle that it inherited by fork; it
 * leaves when it closes the segment or dies. Wait-free.
 *
 *   0
 *   -ENOENT  no member has it, or one came or left just now, or i is out of range
 *   -EINVAL  the segment is not open, or, after fork, the caller cannot become a member
 */
IPC_INLINE int ipc_shm_who(struct ipc_shm *seg, unsigned i, struct ipc_shm_member *who);

/* ------------------------------------------------------------------ objects */

/*
 * Makes an object of `size` zeroed bytes, aligned to 64, which no other process finds before
 * ipc_shm_publish. Names have 1 to 63 bytes. `type` is the caller's own; ipc_shm_find asks for it.
 * A maker that dies before it publishes leaves the name to the next maker; one that is stopped
 * holds that name, and no other. An object stays as long as the segment. Lock-free.
 *
 *   0
 *   -EEXIST        there is an object of that name
 *   -EBUSY         a live process is making it
 *   -EINVAL        the name is empty, or size is 0, or the segment is not open
 *   -ENAMETOOLONG  the name has more than 63 bytes
 *   -ENOSPC        the segment has not that many bytes left: the name keeps its place, and a
 *                  smaller object of that name may take it; or the segment has as many objects
 *                  as it was created for
 *   -EBADMSG       the directory is corrupt
 *   -EROFS         the segment is open read-only
 */
IPC_INLINE int ipc_shm_make(struct ipc_shm *seg, const char *name, uint32_t type, size_t size,
                            struct ipc_shm_object *o);

/*
 * Lets other processes find the object that this handle has just made. Wait-free.
 *
 *   0
 *   -EINVAL  this handle is not making it
 *   -EROFS   the segment is open read-only
 */
IPC_INLINE int ipc_shm_publish(struct ipc_shm *seg, const struct ipc_shm_object *o);

/*
 * Finds an object by name. Where there is none, waits for it until the deadline of the open,
 * looking as ipc_shm_open does; in a segment that this handle created it does not wait.
 *
 *   0
 *   -ENOENT        there is none, and the deadline is IPC_NOW
 *   -ETIMEDOUT     there was none until the deadline
 *   -EINTR         a signal handler ran while it waited, as of ipc_shm_open
 *   -EPROTO        it has another type
 *   -EBADMSG       the directory is corrupt
 *   -EINVAL        the name is empty, or the segment is not open
 *   -ENAMETOOLONG  the name has more than 63 bytes
 */
IPC_INLINE int ipc_shm_find(struct ipc_shm *seg, const char *name, uint32_t type,
                            struct ipc_shm_object *o);

/*
 * The object in entry i of the directory (0 <= i < seg->objects), for tools that list them. They
 * are in no order, with entries between them that are free. Wait-free.
 *
 *   0
 *   -ENOENT   there is none, or i is out of range, or the segment is not open
 *   -EBADMSG  the entry is corrupt
 */
IPC_INLINE int ipc_shm_list(struct ipc_shm *seg, unsigned i, struct ipc_shm_object *o);

/* How many bytes of the segment were in use at some moment during the call, for tools: what it
 * begins with, and all objects. 0 to seg->size; 0 where it is not open. Wait-free. */
IPC_INLINE size_t ipc_shm_was_used(const struct ipc_shm *seg);

/*
 * Maps `bytes` bytes of the open segment, which begin at mem, twice in a row, so that what wraps
 * around their end lies in a row. NULL when they are not whole pages, or the kernel has no room. To
 * be given back by ipc_shm_unmap_twice with the same `bytes`, before or after the segment is
 * closed. Any thread; blocks for the kernel only. */
IPC_INLINE void *ipc_shm_map_twice(struct ipc_shm *seg, const void *mem, size_t bytes);
IPC_INLINE void ipc_shm_unmap_twice(void *at, size_t bytes);

#endif

/* >>layout  src/shm/layout.h */
/* What is where in a segment's file. */
#ifndef IPC_SRC_SHM_LAYOUT_H
#define IPC_SRC_SHM_LAYOUT_H 1

#include <limits.h>
#include <mntent.h>
#include <stdarg.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>

/* ------------------------------------------------------------------ layout */

#define IPC_SHM_MAGIC UINT64_C(0x316d68735f637069) /* "ipc_shm1" */
#define IPC_SHM_LAYOUT 4u
#define IPC_SHM_ORDER 0x01020304u   /* stored by a machine of our byte order */
#define IPC_SHM_SWAPPED 0x04030201u /* and by one of the other */

/* Which process may change which field when: see identity.h. */
struct ipc_shm_member_ {
    uint64_t id;        /* 0: of no member */
    uint64_t unused;
    uint64_t pid_ns;    /* inode of the PID namespace in which pid counts */
    uint32_t pid;       /* of the process */
    uint32_t candidate; /* 1: has it open to take it over or to replace it, not to use it */
    uint64_t left;      /* the id that closed its handle in this place last */
    uint32_t family;    /* HANDED_ or ADOPTED_: it counts as alive as long as its family */
    unsigned char pad[20];
};

/* See objects.h. */
struct ipc_shm_entry_ {
    uint64_t state;
    uint64_t offset; /* from here on: written by the maker while MAKING, constant when READY */
    uint64_t size;
    uint32_t type;
    char name[IPC_SHM_NAME_MAX + 1];
    unsigned char pad[36];
};

/* The beginning of the file. Behind it are the members' entries, those of the objects, and from the
 * next page on the objects' memory. */
struct ipc_shm_header_ {
    /* Constant once others can open the segment. magic is stored last. */
    uint64_t magic;
    uint32_t abi;
    uint32_t order;
    uint32_t line;
    uint32_t members; /* entries: a power of two */
    uint32_t objects; /* entries */
    uint32_t pad0;
    uint64_t size; /* of the file */
    unsigned char pad1[24];
    /* Changed by any member, by compare-and-swap or fetch-and-add. */
    uint64_t used;       /* bytes of the file that are handed out */
    uint64_t generation; /* of the last id */
    uint64_t creator;    /* see open.h */
    unsigned char pad2[40];
    /* Of a segment in a file: see file.h. */
    uint64_t epoch; /* odd: in use */
    uint64_t boot;  /* in which it was used last */
    uint64_t inode; /* of the file; 0: it is in memory */
    unsigned char pad3[4096 - 128 - 24];
};

#define IPC_SHM_ASSERT_(name, condition) typedef char ipc_shm_assert_##name[(condition) ? 1 : -1];
IPC_SHM_ASSERT_(member, sizeof(struct ipc_shm_member_) == 64)
IPC_SHM_ASSERT_(entry, sizeof(struct ipc_shm_entry_) == 128)
IPC_SHM_ASSERT_(header, sizeof(struct ipc_shm_header_) == 4096)
IPC_SHM_ASSERT_(counters, offsetof(struct ipc_shm_header_, used) == 64)
IPC_SHM_ASSERT_(file, offsetof(struct ipc_shm_header_, epoch) == 128)

/* The bytes before the objects' memory. */
IPC_INLINE size_t ipc_shm_head_(uint32_t members, uint32_t objects)
{
    return (sizeof(struct ipc_shm_header_) + members * sizeof(struct ipc_shm_member_) +
            objects * sizeof(struct ipc_shm_entry_) + 4095) & ~(size_t)4095;
}

/* Can a segment have so many entries? */
IPC_INLINE int ipc_shm_are_numbers_valid_(uint32_t members, uint32_t objects)
{
    return members - 1 < IPC_SHM_MEMBERS_MAX && (members & (members - 1)) == 0 &&
           objects - 1 < IPC_SHM_OBJECTS_MAX;
}

/* The entry of the member with that id. Whatever the id is, it is one of the segment's. */
IPC_INLINE struct ipc_shm_member_ *ipc_shm_member_of_(const struct ipc_shm *seg, uint64_t id)
{
    return (struct ipc_shm_member_ *)(void *)(seg->base + 1) + id % seg->members;
}

IPC_INLINE struct ipc_shm_entry_ *ipc_shm_entry_at_(const struct ipc_shm *seg, uint32_t i)
{
    struct ipc_shm_member_ *members = (struct ipc_shm_member_ *)(void *)(seg->base + 1);

    return (struct ipc_shm_entry_ *)(void *)(members + seg->members) + i;
}

/* The bits of an id: a generation times the number of members' entries, plus the index of the
 * member's. Where there are 65,536 entries that leaves 2^32 generations, else more. */
#define IPC_SHM_ID_ ((UINT64_C(1) << 48) - 1)
/* `family`, below a count of how often it was handed over: the process goes, and a child that it is
 * about to fork, or has forked, goes on with its id; and, that child has made a call, but has no lock
 * of life of its own. */
#define IPC_SHM_HANDED_ 1u
#define IPC_SHM_ADOPTED_ 2u
#define IPC_SHM_FAMILY_COUNT_ 4u
/* In `creator`, beside an id. */
#define IPC_SHM_CONDEMNED_ (UINT64_C(1) << 63)

/* The bits of an object's state: kind, hash of the name, and below them the maker's id. */
#define IPC_SHM_FREE_ UINT64_C(0)
#define IPC_SHM_MAKING_ (UINT64_C(1) << 62)
#define IPC_SHM_READY_ (UINT64_C(2) << 62)
#define IPC_SHM_HASH_ (((UINT64_C(1) << 14) - 1) << 48)

/* ------------------------------------------------------------------ refusals */

static int ipc_shm_refuse(struct ipc_shm *seg, int rc, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(seg->peer.why, sizeof seg->peer.why, format, arguments);
    va_end(arguments);
    return rc;
}

/* -EINVAL: the handle is not open. Of one that was refused, ipc_shm_why goes on to say why. */
IPC_INLINE int ipc_shm_refuse_closed_(struct ipc_shm *seg)
{
    return seg->closed || seg->peer.why[0] == '\0'
               ? ipc_shm_refuse(seg, -EINVAL, "the segment is not open") : -EINVAL;
}

IPC_INLINE const char *ipc_shm_why(const struct ipc_shm *seg)
{
    return seg->peer.why;
}

#endif

/* >>identity  src/shm/identity.h */
/*
 * Which process a member is, and whether it is dead.
 *
 * Two locks of the segment's file prove that the member of entry i lives. Both are open file
 * description locks: the kernel releases one when nothing refers to its description any more.
 *
 *   lock on byte             referred to by                            held while
 *   ----------------------   ---------------------------------------   ----------------------------
 *   members + i, of life     a mapping of one page which fork does     the member's own address space
 *                            not copy (MADV_DONTFORK), nothing else    lives, and it has not handed
 *                                                                      the segment over
 *   2^48 + id, of the        the handle's descriptor and its mapping,  the member, once it has handed
 *   family                   both inherited by fork                    the segment over, lives, or a
 *                                                                      child that inherited its handle
 *                                                                      and has made no call with it
 *
 * The lock of life alone is the entry's: a child that does nothing keeps no entry of a dead parent.
 * So the lock of life says about one process what no number can: it is released on any death, but
 * not by a child, and it means the same in each PID and time namespace, and to an emulator. Other
 * descriptors of the file that the process closes do not release it, as they would a classic lock.
 *
 *   entry                    by which process, how
 *   ----------------------   ---------------------------------------------------------------------
 *   lock of life free        a process that joins, where the id is 0: F_OFD_SETLK. From here on, it
 *   -> locked                alone stores to the entry, or a child that adopts the id
 *   id: dead -> 0            a process that joins, before it tries the lock, once it has a proof:
 *                            CAS. It may be stopped with the lock: then that hides no death
 *   id: 0 or dead -> 0       the one that has the lock: a store, then a store fence
 *   pid, pid_ns, candidate,  the same: stores, then a store fence
 *   family: new
 *   id: 0 -> a new one       the same: a store. It is a member now
 *   candidate: 1 -> 0        the same, when it takes the segment over: see open.h
 *   family: n, none ->       the same, when it hands the segment over to a child: once it has the
 *   n + 1, HANDED            lock of the family, a store, then a store fence; then it gives the lock
 *                            of life back
 *   family: n, HANDED ->     the child, at its first call, once it has the lock of life: CAS; or
 *   n, none or ADOPTED       where it cannot have that. It keeps the id
 *   left: -> its own id      the same, when it closes the segment: a store, then a store fence
 *   id: its own -> 0         the same, after that; then it gives the locks back
 *   locked -> free           the kernel, when the member dies. id stays
 *
 * An id is a generation, new for each process that joins, and the entry's index. Ids are never used
 * twice, so a word in shared memory that has one can be compared and swapped without fear of a
 * successor.
 *
 * A member is dead when one of these holds, and is alive otherwise:
 *   1. its entry has another id: it has left, or another process has the entry's lock;
 *   2. its entry's lock of life is free, and so is that of the family, where `family` says HANDED or
 *      ADOPTED; and `family` is the same before and after. That is asked by our descriptor, so it
 *      proves nothing where others have closed that, and its number is of another file;
 *   3. where they have, and `family` says neither: no process has its pid, which counts in our PID
 *      namespace.
 *
 * Only locks for writing count. Who may only read the segment can take others, on any byte: that
 * keeps new members out, but neither makes the dead alive nor the living dead.
 *
 * The ends of rings notice a fork by a word of the page that fork wipes (MADV_WIPEONFORK), struct
 * ipc_peer's self: all ones in the process that attached by it, or that has its id by
 * ipc_shm_hand_over, and 0 in a child. A child that becomes a member of its own takes the next word,
 * so what it inherited is not taken for what it has attached. Where fork wipes nothing, all use a
 * word that is always 0, by which each call of an end asks for the pid.
 *
 * An emulator may not know MADV_DONTFORK. Then a child gives up its parent's page at its first call.
 * Until then the parent's death is not found, and no living process is taken for dead.
 */
#ifndef IPC_SRC_SHM_IDENTITY_H
#define IPC_SRC_SHM_IDENTITY_H 1

/* ------------------------------------------------------------------ proofs of life and death */

/* The inode of this process's PID namespace, 0 when it is not known. */
IPC_INLINE uint64_t ipc_shm_pid_ns_(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* This process, as its mark says it: the pid. The kernel has wiped the mark in a child, so that two
 * processes with the same pid, in two namespaces, differ. Where it does not, see ipc_wipe_on_fork_,
 * the mark has the namespace, too. */
IPC_INLINE uint64_t ipc_shm_this_process_(const struct ipc_shm *seg)
{
    return (seg->unwiped ? ipc_shm_pid_ns_() << 32 : 0) | (uint64_t)getpid();
}

/* Did this process get the handle's id itself? Else the handle came by fork. */
IPC_INLINE int ipc_shm_is_ours_(const struct ipc_shm *seg)
{
    return seg->mark != NULL && ck_pr_load_64(seg->mark) == ipc_shm_this_process_(seg);
}

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

#ifdef SYS_fcntl64 /* a target with 32 bits, where off_t may have 32, too */
struct ipc_shm_flock_ {
    short l_type, l_whence;
    int64_t l_start, l_len;
    int32_t l_pid;
};
#define ipc_shm_fcntl_(fd, how, lock) (int)syscall(SYS_fcntl64, fd, how, lock)
#else
#define ipc_shm_flock_ flock
#define ipc_shm_fcntl_ fcntl
#endif

/* Takes the lock on a byte (F_OFD_SETLK), or asks whether another description has it
 * (F_OFD_GETLK). */
IPC_INLINE int ipc_shm_lock_(int fd, int how, uint64_t byte, short *type)
{
    struct ipc_shm_flock_ lock;
    int rc;

    memset(&lock, 0, sizeof lock);
    lock.l_type = *type;
    lock.l_whence = SEEK_SET;
    lock.l_start = (int64_t)byte;
    lock.l_len = 1;
    rc = ipc_shm_fcntl_(fd, how, &lock);
    *type = lock.l_type;
    return rc == 0 ? 0 : -errno;
}

/* The byte of the family's lock: another one for each id. */
IPC_INLINE uint64_t ipc_shm_family_byte_(uint64_t id)
{
    return UINT64_C(1) << 48 | id;
}

/* Is our descriptor still that of the segment? A program may have closed it, and opened another. */
IPC_INLINE int ipc_shm_has_its_file_(const struct ipc_shm *seg)
{
    struct stat st;

    return fstat(seg->fd, &st) == 0 && (uint64_t)st.st_dev == seg->device &&
           (uint64_t)st.st_ino == seg->inode;
}

/* Is there no process with the member's pid any more, where that counts in our namespace? */
IPC_INLINE int ipc_shm_is_pid_free_(const struct ipc_shm *seg, const struct ipc_shm_member_ *m)
{
    uint32_t pid;

    /* Without it the pid could be older than the id. Partner: the second store fence in
     * ipc_shm_enter_. */
    ck_pr_fence_load();
    pid = ck_pr_load_32(&m->pid);
    return seg->pid_ns != 0 && ck_pr_load_64(&m->pid_ns) == seg->pid_ns && pid != 0 &&
           pid <= INT_MAX && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* Is the member alive? 0 only with a proof of its death, see the top. */
IPC_INLINE int ipc_shm_member_is_alive_(const struct ipc_shm *seg, uint64_t id)
{
    unsigned i = (unsigned)(id % seg->members);
    const struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, id);
    short life = F_RDLCK, kin = F_RDLCK; /* conflicts with a lock for writing alone */
    uint32_t family, goes_on;

    if (id == 0 || ck_pr_load_64(&m->id) != id)
        return 0; /* proof 1 */
    if (id == seg->peer.id)
        return 1;
    family = ck_pr_load_32(&m->family);
    goes_on = family & (IPC_SHM_HANDED_ | IPC_SHM_ADOPTED_);
    /* Without it `family` could be younger than the locks, and what was handed over in between look
     * dead. Partner: the store fence in ipc_shm_hand_over. */
    ck_pr_fence_load();
    if (ipc_shm_lock_(seg->fd, F_OFD_GETLK, seg->members + i, &life) == 0 && life == F_UNLCK) {
        if (goes_on &&
            (ipc_shm_lock_(seg->fd, F_OFD_GETLK, ipc_shm_family_byte_(id), &kin) != 0 ||
             kin != F_UNLCK))
            return 1;
        /* Without it `family` could be older than the locks. Partner: the CAS in ipc_shm_adopt_. */
        ck_pr_fence_load();
        if (ck_pr_load_32(&m->family) != family)
            return 1; /* it is handed over, or adopted, just now */
        if (ipc_shm_has_its_file_(seg))
            return 0; /* proof 2 */
    }
    return goes_on || ipc_shm_has_its_file_(seg) || !ipc_shm_is_pid_free_(seg, m); /* 0: proof 3 */
}

/* ------------------------------------------------------------------ joining */

/* Opens a new file description of the file behind fd, for O_RDWR or O_RDONLY. All locks of one
 * description have one holder, so each member needs its own. Returns its descriptor. */
IPC_INLINE int ipc_shm_reopen_(struct ipc_shm *seg, int fd, int access)
{
    char path[32];
    int own;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    /* O_NONBLOCK, as a file lease, which the file's owner may hold, would keep us waiting. */
    own = ipc_move_fd_(open(path, access | O_CLOEXEC | O_NONBLOCK));
    if (own >= 0)
        return own;
    if (errno == EAGAIN)
        return ipc_shm_refuse(seg, -EACCES, "its owner holds a file lease on the segment");
    if (errno == ENOENT)
        return ipc_shm_refuse(seg, -ENOSYS, "cannot reopen %s: is /proc mounted?", path);
    return ipc_shm_refuse(seg, -errno, "cannot reopen %s: %s", path, strerror(errno));
}

#ifndef MADV_DONTFORK
#define MADV_DONTFORK 10
#endif

/* Maps what the lock of life is to live in: a page of the description `fd`. */
IPC_INLINE int ipc_shm_map_life_(struct ipc_shm *seg, int fd)
{
    size_t huge = (size_t)2 << 20;
    void *life;

    seg->life_size = (size_t)getpagesize();
    life = mmap(NULL, seg->life_size, PROT_NONE, MAP_SHARED, fd, 0);
    if (life == MAP_FAILED && seg->size % huge == 0) { /* it may be in huge pages of the pool */
        seg->life_size = huge;
        life = mmap(NULL, seg->life_size, PROT_NONE, MAP_SHARED, fd, 0);
    }
    if (life == MAP_FAILED)
        return ipc_shm_refuse(seg, -errno, "cannot map a page: %s", strerror(errno));
    (void)madvise(life, seg->life_size, MADV_DONTFORK);
    seg->life = life;
    return 0;
}

/* A child has no lock of life by its parent's handle. Unmaps what an emulator has copied all the
 * same, see ipc_wipe_on_fork_: or it would be the parent's life, too. Linux has not, and something
 * else may be there since, so the process's maps are asked. */
IPC_INLINE void ipc_shm_leave_life_(struct ipc_shm *seg)
{
    FILE *maps = seg->life != NULL && seg->unwiped ? fopen("/proc/self/maps", "re") : NULL;
    unsigned long long start, inode;
    char line[256];

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%llx-%*x ---s %*x %*x:%*x %llu", &start, &inode) == 2 &&
            start == (uintptr_t)seg->life && inode == seg->inode)
            (void)munmap(seg->life, seg->life_size);
    if (maps != NULL)
        (void)fclose(maps);
    seg->life = NULL;
}

#define IPC_SHM_SELF_ 8u /* the first word of the page below for the ends of rings */

/* The last word of the page stays 0: it is that of each process where nothing is wiped, and after
 * some 500 generations. Their ends ask at each call which process this is. */
IPC_INLINE unsigned ipc_shm_last_self_(void)
{
    return (unsigned)((size_t)getpagesize() / sizeof(uint64_t)) - 1;
}

/* Makes the page that fork wipes. Its words are this process's mark; which process is about to
 * join; until when we wait for our parent's death, see ipc_shm_inherit_; and those by which the ends
 * of rings notice a fork. */
IPC_INLINE int ipc_shm_map_mark_(struct ipc_shm *seg)
{
    size_t size = (size_t)getpagesize();
    void *mark;

    if (seg->mark != NULL)
        return 0; /* inherited */
    mark = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mark == MAP_FAILED)
        return ipc_shm_refuse(seg, -ENOMEM, "cannot map a page: %s", strerror(errno));
    seg->mark = (uint64_t *)mark;
    seg->unwiped = !ipc_wipe_on_fork_(mark, size);
    if (seg->unwiped)
        seg->self = ipc_shm_last_self_();
    return 0;
}

/* What is attached by our word from now on, and was by it before, is this process's own. */
IPC_INLINE void ipc_shm_own_self_(const struct ipc_shm *seg)
{
    if (seg->self < ipc_shm_last_self_())
        ck_pr_store_64(&seg->mark[seg->self], UINT64_MAX);
}

/* Is the entry without an id, or can be made so, as its member is dead? */
IPC_INLINE int ipc_shm_vacate_entry_(const struct ipc_shm *seg, unsigned i)
{
    struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
    uint64_t id = ck_pr_load_64(&m->id);

    return id == 0 || (!ipc_shm_member_is_alive_(seg, id) && ck_pr_cas_64(&m->id, id, 0));
}

/* Takes the lock of life of an entry that nobody has. Looks first for one without an id, as each
 * question about a lock takes a system call, which is the longer the more locks there are; then for
 * that of a dead member. Returns its index, or a refusal. */
IPC_INLINE int ipc_shm_lock_entry_(struct ipc_shm *seg, int life)
{
    unsigned look;

    for (look = 0; look < 2 * seg->members; look++) {
        unsigned i = look % seg->members;
        short type = F_WRLCK;
        int rc = -EAGAIN;

        if (ck_pr_load_64(&ipc_shm_member_of_(seg, i)->id) == 0 ||
            (look >= seg->members && ipc_shm_vacate_entry_(seg, i)))
            rc = ipc_shm_lock_(life, F_OFD_SETLK, seg->members + i, &type);
        if (rc == 0)
            return (int)i;
        if (rc != -EAGAIN && rc != -EACCES)
            return ipc_shm_refuse(seg, rc, "no open file description locks here: %s",
                                  strerror(-rc));
    }
    return ipc_shm_refuse(seg, -EUSERS, "all %u members' places are taken: create the segment with "
                          "more, or one for each client", seg->members);
}

/* Makes the process that has locked entry i a member, or a candidate. */
IPC_INLINE void ipc_shm_enter_(struct ipc_shm *seg, unsigned i, int candidate)
{
    struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
    uint64_t generation;
    int tries = 0;

    do /* not 0, which is the id of no member; a hostile writer may say so again and again */
        generation = ck_pr_faa_64(&seg->base->generation, 1) + 1;
    while ((generation * seg->members & IPC_SHM_ID_) == 0 && ++tries < 8);
    generation += tries == 8;
    ck_pr_store_64(&m->id, 0);
    /* Without it the dead predecessor's id could be seen beside our pid. Partner: the second load
     * fence in ipc_shm_who. */
    ck_pr_fence_store();
    ck_pr_store_32(&m->pid, (uint32_t)getpid());
    ck_pr_store_32(&m->candidate, (uint32_t)candidate);
    ck_pr_store_32(&m->family, 0);
    seg->pid_ns = ipc_shm_pid_ns_();
    ck_pr_store_64(&m->pid_ns, seg->pid_ns);
    /* Without it our id could be seen beside the predecessor's pid. Partner: the first load fence
     * in ipc_shm_who. */
    ck_pr_fence_store();
    seg->peer.id = (generation * seg->members & IPC_SHM_ID_) + i;
    ck_pr_store_64(&m->id, seg->peer.id);
    if (seg->self < ipc_shm_last_self_())
        seg->self += seg->self == 0 ? IPC_SHM_SELF_ : 1;
    ipc_shm_own_self_(seg);
    seg->peer.self = &seg->mark[seg->self];
    ck_pr_store_64(&seg->mark[2], 0); /* of our parent, where the mark is not wiped */
    /* Without it another thread could go on with our parent's id. Partner: the load fence in
     * ipc_shm_become_member_. */
    ck_pr_fence_store();
    ck_pr_store_64(seg->mark, ipc_shm_this_process_(seg));
}

/* This process was forked by a member that has handed its id over: goes on with that. 1; 0: another
 * child has, or nothing was handed over. What it cannot have of its own, such as /proc after it has
 * dropped its privileges, it does without: the lock of the family is then its life. */
IPC_INLINE int ipc_shm_adopt_(struct ipc_shm *seg)
{
    unsigned i = (unsigned)(seg->handed % seg->members);
    struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
    uint32_t family = seg->handed_family;
    int life = -1, has = 0;
    short type = F_WRLCK;

    ipc_shm_leave_life_(seg);
    if (seg->handed == 0 || ck_pr_load_64(&m->id) != seg->handed ||
        ck_pr_load_32(&m->family) != family)
        return 0;
    if (ipc_shm_has_its_file_(seg))
        life = ipc_shm_reopen_(seg, seg->fd, O_RDWR);
    if (life >= 0) {
        has = ipc_shm_map_life_(seg, life) == 0 &&
              ipc_shm_lock_(life, F_OFD_SETLK, seg->members + i, &type) == 0;
        (void)close(life);
    }
    if (!has && seg->life != NULL)
        (void)munmap(seg->life, seg->life_size);
    seg->life = has ? seg->life : NULL;
    if (!ck_pr_cas_32(&m->family, family, family - IPC_SHM_HANDED_ + (has ? 0 : IPC_SHM_ADOPTED_))) {
        if (has)
            (void)munmap(seg->life, seg->life_size);
        seg->life = NULL;
        return 0;
    }
    seg->peer.id = seg->handed;
    seg->handed = 0;
    ipc_shm_own_self_(seg);
    /* The parent's descriptors and threads are not ours, although the id is: see watch.h. */
    seg->watcher = seg->watcher != 0 ? UINT64_MAX : 0;
    seg->watching = 0;
    seg->pid_ns = ipc_shm_pid_ns_();
    ck_pr_store_32(&m->pid, (uint32_t)getpid());
    ck_pr_store_64(&m->pid_ns, seg->pid_ns);
    /* As in ipc_shm_enter_. */
    ck_pr_fence_store();
    ck_pr_store_64(seg->mark, ipc_shm_this_process_(seg));
    return 1;
}

/* Makes this process a member, or a candidate. seg->fd is a file description of our own, and
 * seg->base is mapped. */
IPC_INLINE int ipc_shm_join_(struct ipc_shm *seg, int candidate)
{
    int life, rc = ipc_shm_map_mark_(seg), i = -1;

    if (rc != 0)
        return rc;
    life = ipc_shm_reopen_(seg, seg->fd, O_RDWR);
    if (life < 0)
        return life;
    rc = ipc_shm_map_life_(seg, life);
    if (rc == 0)
        i = rc = ipc_shm_lock_entry_(seg, life);
    (void)close(life); /* the mapping keeps the description */
    if (i >= 0) {
        ipc_shm_enter_(seg, (unsigned)i, candidate);
        return 0;
    }
    if (seg->life != NULL)
        (void)munmap(seg->life, seg->life_size);
    seg->life = NULL;
    return rc;
}

#endif

/* >>file  src/shm/file.h */
/*
 * Segments in a mapped file: what survives a restart of the machine.
 *
 * While a segment is in use, the kernel writes its pages to the disk when it likes, in any order.
 * If the power fails, each part of the file may be of another moment. The file says so itself:
 * `epoch` is odd from before the first store of a member until all is on the disk after the last
 * one left.
 *
 *   epoch    from   to            by which process, how
 *   ------   ----   -----------   -----------------------------------------------------------------
 *            0      1             its creator, before the file has a name: a store
 *            any    a higher odd  each process that opens it, once it is a member: full fence, CAS,
 *                                 and then it waits until that is on the disk
 *            odd    the next      a member that leaves and has found no other since it read the
 *                                 odd one: once all is on the disk, CAS
 *   boot     any    this boot's   a process that opens it, before its CAS of epoch: a store
 *   inode    any    the file's    the same
 *
 * An opener joins, fences, and changes the epoch. A member that leaves reads the epoch, fences, and
 * looks for members. So either it sees the opener, or its CAS fails, or the opener's comes after
 * it: the epoch is never even while there is a member.
 *
 * A segment may be torn if its epoch is odd and of another boot. It may be torn, too, if its inode
 * is that of another file, whose copy it is: nobody knows when each part was copied. Locks end with
 * a boot, and are not copied, so members of before are dead by proof 2 of identity.h. In the same
 * boot and file an odd epoch is as good as an even one: a process that is killed leaves all that it
 * has stored.
 */
#ifndef IPC_SRC_SHM_FILE_H
#define IPC_SRC_SHM_FILE_H 1

/* ------------------------------------------------------------------ mapped files */

/* Does the name stand for a file? */
IPC_INLINE int ipc_shm_is_path_(const char *name)
{
    return strchr(name, '/') != NULL;
}

/* Is the segment in a file, of a disk perhaps? A hostile peer may say so of memory: then it costs
 * us some system calls. */
IPC_INLINE int ipc_shm_is_in_file_(const struct ipc_shm *seg)
{
    return ck_pr_load_64(&seg->base->inode) != 0;
}

/* Finds which boot this is, as a number. 0, or a refusal: the kernel does not say. */
IPC_INLINE int ipc_shm_boot_(struct ipc_shm *seg, uint64_t *boot)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char id[64];
    ssize_t n = -1, i;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        n = read(fd, id, sizeof id);
        (void)close(fd);
    }
    if (n <= 0)
        return ipc_shm_refuse(seg, fd >= 0 || errno == ENOENT ? -ENOSYS : -errno,
                              "cannot read %s, by which a segment in a file is known to be of this "
                              "boot: %s", path, fd >= 0 ? "it is empty" : strerror(errno));
    *boot = 14695981039346656037u; /* FNV-1a */
    for (i = 0; i < n; i++)
        *boot = (*boot ^ (unsigned char)id[i]) * 1099511628211u;
    return 0;
}

/* In the handle's flags: it has made the epoch odd, or found a member that had. */
#define IPC_SHM_USES_FILE_ (1u << 31)

/* Waits until what was stored so far in the first `bytes` bytes is on the disk. 0 or a negative
 * errno. */
IPC_INLINE int ipc_shm_write_out_(const struct ipc_shm *seg, size_t bytes)
{
    return msync(seg->base, bytes, MS_SYNC) == 0 ? 0 : -errno;
}

/* May what is in the file be of different moments? */
IPC_INLINE int ipc_shm_is_torn_(const struct ipc_shm *seg, uint64_t epoch, uint64_t boot)
{
    return ck_pr_load_64(&seg->base->inode) != seg->inode ||
           (epoch % 2 != 0 && ck_pr_load_64(&seg->base->boot) != boot);
}

/* Refuses a segment that may be torn, unless the options say to take it all the same. */
IPC_INLINE int ipc_shm_check_torn_(struct ipc_shm *seg)
{
    uint64_t boot = 0;
    int rc;

    if (!ipc_shm_is_in_file_(seg) || (seg->flags & IPC_SHM_TORN) != 0)
        return 0;
    rc = ipc_shm_boot_(seg, &boot);
    if (rc != 0 || !ipc_shm_is_torn_(seg, ck_pr_load_64(&seg->base->epoch), boot))
        return rc;
    return ipc_shm_refuse(seg, -EUCLEAN, "the segment may be torn, as its file is a copy, or the "
                          "machine stopped while it was in use: create it with IPC_SHM_FRESH, or "
                          "take it as it is with IPC_SHM_TORN");
}

/* A new segment in a file: all of it is on the disk before it gets its name. */
IPC_INLINE int ipc_shm_found_file_(struct ipc_shm *seg)
{
    int rc = ipc_shm_boot_(seg, &seg->base->boot);

    if (rc != 0)
        return rc;
    seg->base->epoch = 1;
    seg->base->inode = seg->inode;
    seg->flags |= IPC_SHM_USES_FILE_;
    rc = ipc_shm_write_out_(seg, seg->size);
    if (rc == 0 && fsync(seg->fd) != 0)
        rc = -errno;
    return rc == 0 ? 0 : ipc_shm_refuse(seg, rc, "cannot write the segment to the disk: %s",
                                        strerror(-rc));
}

/* This process has become a member. If the segment is in a file, nothing may be stored there before
 * the disk says that it is in use. */
IPC_INLINE int ipc_shm_begin_use_(struct ipc_shm *seg)
{
    struct ipc_shm_header_ *h = seg->base;
    uint64_t epoch, boot = 0;
    int tries, rc;

    if (!ipc_shm_is_in_file_(seg))
        return 0;
    for (tries = 0; tries < 1000; tries++) {
        epoch = ck_pr_load_64(&h->epoch);
        rc = ipc_shm_check_torn_(seg);
        if (rc != 0)
            return rc;
        rc = ipc_shm_boot_(seg, &boot);
        if (rc != 0)
            return rc;
        ck_pr_store_64(&h->boot, boot);
        ck_pr_store_64(&h->inode, seg->inode);
        /* Without it a member that leaves could miss us, and its epoch be ours. It also keeps the
         * boot before the epoch. Partner: in ipc_shm_end_use_. */
        ck_pr_fence_memory();
        if (!ck_pr_cas_64(&h->epoch, epoch, (epoch + 2) | 1))
            continue;
        seg->flags |= IPC_SHM_USES_FILE_;
        rc = ipc_shm_write_out_(seg, sizeof *h);
        return rc == 0 ? 0 : ipc_shm_refuse(seg, rc, "cannot write the segment to the disk: %s",
                                            strerror(-rc));
    }
    return ipc_shm_refuse(seg, -EBADMSG, "the segment's epoch changes all the time");
}

/* This process has left a segment in a file: its id is gone. If it was the last member, has all
 * written to the disk, and then says there that it is whole. */
IPC_INLINE void ipc_shm_end_use_(const struct ipc_shm *seg)
{
    struct ipc_shm_header_ *h = seg->base;
    uint64_t epoch = ck_pr_load_64(&h->epoch);
    unsigned i;

    if ((seg->flags & IPC_SHM_USES_FILE_) == 0)
        return;
    /* Without it the members could be older than the epoch (partner: in ipc_shm_begin_use_); and of
     * two that leave at once each could see the other's id, and neither be the last (partner: this
     * one). */
    ck_pr_fence_memory();
    for (i = 0; i < seg->members; i++) {
        const struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
        uint64_t id = ck_pr_load_64(&m->id);

        if (id != 0 && ck_pr_load_32(&m->candidate) == 0 && ipc_shm_member_is_alive_(seg, id))
            return;
    }
    if (epoch % 2 != 0 && ipc_shm_write_out_(seg, seg->size) == 0 &&
        ck_pr_cas_64(&h->epoch, epoch, epoch + 1))
        (void)ipc_shm_write_out_(seg, sizeof *h);
}

IPC_INLINE int ipc_shm_sync(struct ipc_shm *seg)
{
    int rc;

    if (seg->base == NULL)
        return ipc_shm_refuse_closed_(seg);
    if ((seg->flags & IPC_SHM_READ_ONLY) != 0)
        return ipc_shm_refuse(seg, -EROFS, "the segment is open read-only: its writers sync it");
    rc = ipc_shm_write_out_(seg, seg->size);
    return rc == 0 ? 0 : ipc_shm_refuse(seg, rc, "cannot write the segment to the disk: %s",
                                        strerror(-rc));
}

#endif

/* >>watch  src/shm/watch.h */
/*
 * Watching: word of stirs, and of the deaths of members.
 *
 * A handle has one descriptor for all threads of a process that sleep by it: an inotify of the
 * segment's file. It reports when a file description of the segment is closed, as that of a lock of
 * life is by the death of its process, whatever its children have and in whichever namespace; and
 * when a process reads from the file, which only ipc_shm_stir_ does. A close is reported a moment
 * before the kernel releases the lock that proves a death.
 *
 * The descriptor is opened by the first thread that sleeps long. It belongs to the process whose
 * number `watcher` is, 0 for none: the id of the member, or the pid of a reader. A child that
 * inherits it by fork closes its copy, as both would take what is reported from each other, and
 * opens its own. A program may close all descriptors that it does not know. So the inotify is in an
 * epoll set, and none of the two is used for long, or closed, before epoll_ctl has said that they
 * still belong together. A socket has the inotify, too, so that it ends last: see ipc_end_last_.
 *
 * The handle's `watching` is the number of the process of which a thread changes this, else 0. A thread
 * that finds it taken waits, but no longer than 10 ms: a thread that was cancelled meanwhile
 * holds it for good. The other then sleeps without descriptors, and asks.
 */
#ifndef IPC_SRC_SHM_WATCH_H
#define IPC_SRC_SHM_WATCH_H 1

#include <sys/epoll.h>

/* ------------------------------------------------------------------ descriptors */

/* What tells this process from its parent and its children. */
IPC_INLINE uint64_t ipc_shm_watcher_(const struct ipc_shm *seg)
{
    return seg->peer.id != IPC_PEER_READ_ONLY ? seg->peer.id : (uint64_t)getpid();
}

/* Takes the right to change the descriptors. 0, or -EBUSY. */
IPC_INLINE int ipc_shm_lock_watch_(struct ipc_shm *seg)
{
    static const struct timespec nap = {0, 100000};
    uint64_t me = ipc_shm_watcher_(seg), other;
    int tries;

    for (tries = 0; tries < 100; tries++) {
        other = ck_pr_load_64(&seg->watching); /* of our parent: it forked meanwhile */
        if (other != me && ck_pr_cas_64(&seg->watching, other, me)) {
            /* Without it what the last holder has stored could be missed. Partner: the fence in
             * ipc_shm_unlock_watch_. */
            ck_pr_fence_atomic_load();
            return 0;
        }
        (void)nanosleep(&nap, NULL);
    }
    return -EBUSY;
}

IPC_INLINE void ipc_shm_unlock_watch_(struct ipc_shm *seg)
{
    /* Without it the next holder could miss what we have stored. Partner: the fence in
     * ipc_shm_lock_watch_. */
    ck_pr_fence_release();
    ck_pr_store_64(&seg->watching, 0);
}

/* Adds the inotify to the set, or (EPOLL_CTL_MOD) asks whether it still is there: that changes
 * nothing for others that have the set. */
IPC_INLINE int ipc_shm_epoll_(const struct ipc_shm *seg, int how)
{
    struct epoll_event e;

    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    return epoll_ctl(seg->epoll, how, seg->inotify, &e);
}

/* Closes this process's descriptors, except where others have closed one. */
IPC_INLINE void ipc_shm_close_watch_(struct ipc_shm *seg)
{
    ipc_close_last_(&seg->last);
    if (seg->watcher == 0 || ipc_shm_epoll_(seg, EPOLL_CTL_MOD) != 0)
        return;
    (void)close(seg->inotify);
    (void)close(seg->epoll);
}

/* Opens an inotify that reports what processes do with the segment's file. It, or -errno. */
IPC_INLINE int ipc_shm_open_inotify_(const struct ipc_shm *seg)
{
    char path[32];
    int why, fd = ipc_move_fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));

    if (fd < 0)
        return -errno;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", seg->fd);
    if (inotify_add_watch(fd, path, IN_ACCESS | IN_CLOSE_WRITE) >= 0)
        return fd;
    why = -errno;
    (void)close(fd);
    return why;
}

/* Opens the set. 0, or -errno. */
IPC_INLINE int ipc_shm_open_watch_(struct ipc_shm *seg)
{
    int rc = ipc_shm_open_inotify_(seg);

    if (rc < 0)
        return rc;
    seg->inotify = rc;
    seg->epoll = ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    if (seg->epoll >= 0 && ipc_shm_epoll_(seg, EPOLL_CTL_ADD) == 0) {
        ipc_end_last_(&seg->last, seg->inotify);
        return 0;
    }
    rc = -errno;
    (void)close(seg->inotify);
    if (seg->epoll >= 0)
        (void)close(seg->epoll);
    return rc;
}

/* Makes sure that the set is this process's, and there. 0, or -errno. */
IPC_INLINE int ipc_shm_renew_watch_(struct ipc_shm *seg)
{
    struct ipc_watch *w = &seg->watch;
    int came_by_fork = seg->watcher != ipc_shm_watcher_(seg), rc;

    if (!came_by_fork && ipc_shm_epoll_(seg, EPOLL_CTL_MOD) == 0)
        return 0;
    ipc_close_last_(&seg->last); /* or what others have closed would not end */
    if (came_by_fork) {
        ipc_shm_close_watch_(seg);
        seg->watcher = 0;
    }
    rc = ipc_shm_open_watch_(seg);
    if (rc != 0)
        return rc;
    if (came_by_fork) {
        ck_pr_store_32(&w->turn, 0);
        ck_pr_store_32(&w->followers, 0);
    }
    ck_pr_inc_32(&w->news);             /* what came before the set was opened is not reported */
    ck_pr_store_64(&w->pause, 1000000); /* nor is what came just before proven yet */
    ck_pr_store_64(&w->unproven, (uint64_t)ipc_clock() + 1000000);
    /* Without it another thread could rely on our parent's threads. Partner: the load fence in
     * ipc_shm_watch_is_ours_. */
    ck_pr_fence_release();
    ck_pr_store_64(&seg->watcher, ipc_shm_watcher_(seg));
    return 0;
}

/* ------------------------------------------------------------------ struct ipc_watch */

/* The watch's descriptor, in a process that is a member, or a reader. */
IPC_INLINE int ipc_shm_watch_fd_(struct ipc_shm *seg)
{
    int rc;

    if (!ipc_shm_has_its_file_(seg))
        return -EBADF; /* closed by others */
    rc = ipc_shm_lock_watch_(seg);
    if (rc != 0)
        return rc;
    rc = ipc_shm_renew_watch_(seg);
    if (rc == 0)
        rc = seg->epoll;
    ipc_shm_unlock_watch_(seg);
    return rc;
}

/* struct ipc_watch's ours. */
IPC_INLINE int ipc_shm_watch_is_ours_(void *arg)
{
    const struct ipc_shm *seg = (const struct ipc_shm *)arg;
    int ours = (seg->peer.id == IPC_PEER_READ_ONLY || ipc_shm_is_ours_(seg)) &&
               ck_pr_load_64(&seg->watcher) == ipc_shm_watcher_(seg);

    /* Without it the watch's words could be older. Partner: the fence in ipc_shm_renew_watch_. */
    ck_pr_fence_load();
    return ours;
}

/* struct ipc_watch's take. Others may have closed the inotify, and opened something else. */
IPC_INLINE int ipc_shm_take_(void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    union {
        struct inotify_event event;
        char bytes[4096];
    } room;
    struct inotify_event e;
    ssize_t got, at;
    int said = IPC_WATCH_STIRRED;

    if (ipc_shm_lock_watch_(seg) != 0)
        return IPC_WATCH_MAYBE;
    got = ipc_shm_epoll_(seg, EPOLL_CTL_MOD) == 0 ? read(seg->inotify, room.bytes, sizeof room.bytes)
                                                  : -1;
    for (at = 0; got - at >= (ssize_t)sizeof e; at += (ssize_t)(sizeof e + e.len)) {
        memcpy(&e, room.bytes + at, sizeof e);
        if ((e.mask & ~(uint32_t)IN_ACCESS) != 0) /* closed, or events were lost */
            said = IPC_WATCH_MAYBE;
    }
    ipc_shm_unlock_watch_(seg);
    return said;
}

/* struct ipc_peer's stir. */
IPC_INLINE void ipc_shm_stir_(void *arg)
{
    const struct ipc_shm *seg = (const struct ipc_shm *)arg;
    char byte;

    if (pread(seg->fd, &byte, 1, 0) < 0)
        return; /* each sleeper looks again within a second by itself */
}

#endif

/* >>map  src/shm/map.h */
/* Mapping a segment, and giving it back. */
#ifndef IPC_SRC_SHM_MAP_H
#define IPC_SRC_SHM_MAP_H 1

/* ------------------------------------------------------------------ mapping */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE 14
#endif

/* Does the tmpfs that the file is in, such as /dev/shm, grant huge pages? Its option `huge` says
 * so. -1: the file is in no tmpfs that is mounted, but a memfd. */
IPC_INLINE int ipc_shm_mount_grants_huge_pages_(uint64_t device)
{
    char line[4096];
    const char *option;
    struct mntent m;
    struct stat st;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    int grants = -1; /* of the last one: those before it may be hidden behind it */

    while (mounts != NULL && getmntent_r(mounts, &m, line, (int)sizeof line) != NULL) {
        if (strcmp(m.mnt_type, "tmpfs") != 0 || stat(m.mnt_dir, &st) != 0 ||
            (uint64_t)st.st_dev != device)
            continue;
        option = hasmntopt(&m, "huge");
        grants = option != NULL && strncmp(option, "huge=never", 10) != 0;
    }
    if (mounts != NULL)
        (void)endmntent(mounts);
    return grants;
}

/* Asks for huge pages under the mapping. 0 when they are granted, else why not. */
IPC_INLINE int ipc_shm_ask_for_huge_pages_(struct ipc_shm *seg)
{
    char policy[128];
    int mount = ipc_shm_mount_grants_huge_pages_(seg->device);
    ssize_t n = -1;
    int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        n = read(fd, policy, sizeof policy - 1);
        (void)close(fd);
    }
    if (n <= 0)
        return -EOPNOTSUPP;
    policy[n] = '\0';
    /* `never` and the rest are about memfds; these two about every tmpfs as well. */
    if (strstr(policy, "[deny]") != NULL ||
        (strstr(policy, "[force]") == NULL &&
         (mount >= 0 ? mount == 0 : strstr(policy, "[never]") != NULL)))
        return -EOPNOTSUPP;
    return madvise(seg->base, seg->size, MADV_HUGEPAGE) == 0 ? 0 : -errno;
}

/* Is the handle's memory mapped without write access? */
IPC_INLINE int ipc_shm_is_read_only_(const struct ipc_shm *seg)
{
    return (seg->flags & IPC_SHM_READ_ONLY) != 0;
}

/* 0 where the handle may write, else -EROFS. */
IPC_INLINE int ipc_shm_check_writable_(struct ipc_shm *seg)
{
    if (!ipc_shm_is_read_only_(seg))
        return 0;
    return ipc_shm_refuse(seg, -EROFS, "the segment is open read-only: open it without "
                          "IPC_SHM_READ_ONLY, or let the process make this that may write");
}

/* Makes a read-only handle know whose pids it sees: a child that inherited it may be in another PID
 * namespace. All else of it serves a child as it is. */
IPC_INLINE void ipc_shm_become_reader_(struct ipc_shm *seg)
{
    ck_pr_store_64(&seg->pid_ns, ipc_shm_pid_ns_());
    seg->peer.id = IPC_PEER_READ_ONLY;
}

/* Maps the file. Where `at` is not NULL, maps it there, over what was there. */
IPC_INLINE int ipc_shm_map_(struct ipc_shm *seg, void *at)
{
    struct stat st;
    void *base = mmap(at, seg->size, PROT_READ | (ipc_shm_is_read_only_(seg) ? 0 : PROT_WRITE),
                      MAP_SHARED | (at != NULL ? MAP_FIXED : 0), seg->fd, 0);

    if (base == MAP_FAILED && errno == EAGAIN)
        return ipc_shm_refuse(seg, -ENOMEM, "cannot map %zu bytes: more than RLIMIT_MEMLOCK, and "
                              "the process locks all that it maps (mlockall)", seg->size);
    if (base == MAP_FAILED)
        return ipc_shm_refuse(seg, -errno, "cannot map %zu bytes: %s", seg->size, strerror(errno));
    seg->base = (struct ipc_shm_header_ *)base;
    if (fstat(seg->fd, &st) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot ask for the segment's file: %s",
                              strerror(errno));
    seg->device = (uint64_t)st.st_dev;
    seg->inode = (uint64_t)st.st_ino;
    if ((seg->flags & IPC_SHM_HUGE) != 0 && seg->huge_rc != 0)
        seg->huge_rc = ipc_shm_ask_for_huge_pages_(seg);
    return 0;
}

/* Faults the pages in, as the options say. The file is allocated, so there is space for them. Its
 * creator's are zeroed by that. Those that are there are mapped by sixteen when they are read, and can
 * then be written. Those of a file on a disk only to read: otherwise all would have to be written to
 * the disk. */
IPC_INLINE void ipc_shm_prefault_(struct ipc_shm *seg, int creates)
{
    int how = creates && !ipc_shm_is_in_file_(seg) ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    size_t i;

    if ((seg->flags & IPC_SHM_NO_PREFAULT) == 0 &&
        madvise(seg->base, seg->size, how) != 0) /* Linux before 5.14 */
        for (i = 0; i < seg->size; i += 4096)
            (void)ck_pr_load_8((uint8_t *)seg->base + i);
    if ((seg->flags & IPC_SHM_MLOCK) != 0)
        seg->lock_rc = mlock(seg->base, seg->size) == 0 ? 0 : -errno;
}

/* The options of a call: NULL stands for the defaults. */
IPC_INLINE const struct ipc_shm_options *ipc_shm_or_defaults_(const struct ipc_shm_options *how)
{
    static const struct ipc_shm_options defaults = IPC_SHM_DEFAULTS;

    return how != NULL ? how : &defaults;
}

/* Makes the handle one that is not open. An option that is not tried counts as not granted. */
IPC_INLINE void ipc_shm_clear_(struct ipc_shm *seg, const struct ipc_shm_options *how)
{
    memset(seg, 0, sizeof *seg);
    seg->fd = -1;
    seg->flags = how->flags;
    seg->lock_rc = seg->huge_rc = -EOPNOTSUPP;
}

/* Unmaps what is this process's own. */
IPC_INLINE void ipc_shm_unmap_own_(struct ipc_shm *seg)
{
    if (seg->life != NULL && ipc_shm_is_ours_(seg))
        (void)munmap(seg->life, seg->life_size);
    else
        ipc_shm_leave_life_(seg);
    if (seg->mark != NULL)
        (void)munmap(seg->mark, (size_t)getpagesize());
    seg->life = NULL;
    seg->mark = NULL;
}

IPC_INLINE void ipc_shm_close(struct ipc_shm *seg)
{
    int ours = ipc_shm_is_ours_(seg);

    /* A handle that came by fork is the parent's membership, and one that was handed over a child's:
     * only unmap. */
    if (seg->base != NULL && seg->peer.id != 0 && ours) {
        struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, seg->peer.id);

        ck_pr_store_64(&m->left, seg->peer.id);
        /* Without it our id could be gone before the mark says why. Partner: in
         * ipc_shm_peer_alive_. */
        ck_pr_fence_store();
        ck_pr_store_64(&m->id, 0);
        ipc_shm_end_use_(seg);
    }
    ipc_shm_unmap_own_(seg);
    if (seg->base != NULL)
        (void)munmap(seg->base, seg->size);
    if (seg->fd > 0 && (seg->base == NULL || ipc_shm_has_its_file_(seg))) /* 0: all zeros */
        (void)close(seg->fd);
    ipc_shm_close_watch_(seg); /* last, as it takes long: see ipc_end_last_ */
    seg->watcher = 0;
    seg->closed |= seg->base != NULL;
    seg->base = NULL;
    seg->fd = -1;
    seg->peer.id = 0;
}

/* Closes the handle, and returns rc, a refusal. */
IPC_INLINE int ipc_shm_close_refused_(struct ipc_shm *seg, int rc)
{
    ipc_shm_close(seg);
    seg->closed = 0;
    return rc;
}

/* Makes this process, which has inherited the handle by fork, a member of its own, with the same
 * addresses. */
IPC_INLINE int ipc_shm_rejoin_(struct ipc_shm *seg)
{
    int parents = seg->fd, own, rc;

    seg->peer.id = 0; /* whatever fails below: never the parent's */
    seg->handed = 0;
    if ((seg->flags & IPC_SHM_SEAL_WRITES) != 0)
        return ipc_shm_refuse(seg, -EROFS, "after fork only the process that created it may use a "
                              "segment that is sealed against writing: receive it here");
    if (!ipc_shm_has_its_file_(seg))
        return ipc_shm_refuse(seg, -EBADF, "others have closed the segment's descriptor");
    own = ipc_shm_reopen_(seg, parents, O_RDWR);
    if (own < 0)
        return own;
    seg->fd = own;
    (void)close(parents);
    /* Without it the mapping would keep the parent's description, and with it the parent's lock. */
    if (ipc_shm_map_(seg, seg->base) != 0)
        return -ENOMEM;
    ipc_shm_prefault_(seg, 0);
    rc = ipc_shm_join_(seg, 0);
    return rc == 0 ? ipc_shm_begin_use_(seg) : rc;
}

/* Sleeps for so many nanoseconds, less than a second. 0, or -EINTR when a signal handler ran. */
IPC_INLINE int ipc_shm_nap_(int64_t ns)
{
    struct timespec nap = {0, 0};

    nap.tv_nsec = (long)ns;
    return nanosleep(&nap, NULL) == 0 ? 0 : -EINTR;
}

/* Where the handle came by fork, makes this process a member of its own: the first thread that
 * calls does it, and others wait for that thread. */
IPC_INLINE int ipc_shm_become_member_(struct ipc_shm *seg)
{
    uint64_t me, joining;
    int rc = 0;

    if (seg->base == NULL)
        return ipc_shm_refuse_closed_(seg);
    if (ipc_shm_is_read_only_(seg)) {
        ipc_shm_become_reader_(seg);
        return 0;
    }
    me = ipc_shm_this_process_(seg);
    while (rc == 0 && ck_pr_load_64(&seg->mark[0]) != me) {
        joining = ck_pr_load_64(&seg->mark[1]); /* of our parent, where the mark is not wiped */
        if (joining == me || !ck_pr_cas_64(&seg->mark[1], joining, me)) {
            (void)ipc_shm_nap_(100000);
            continue;
        }
        /* Without it the mark could be older than the CAS. Partner: the fence below. */
        ck_pr_fence_atomic_load();
        if (ck_pr_load_64(&seg->mark[0]) != me && !ipc_shm_adopt_(seg))
            rc = ipc_shm_rejoin_(seg);
        /* Without it the next thread could find no one joining, and not yet our mark. */
        ck_pr_fence_store();
        ck_pr_store_64(&seg->mark[1], 0);
    }
    if (rc == 0 && seg->handed != 0)
        return ipc_shm_refuse(seg, -ECHILD, "this process has handed the segment over to a child");
    /* Without it the id could be older than the mark. Partner: the store fence in
     * ipc_shm_enter_. */
    ck_pr_fence_load();
    return rc;
}

#endif

/* >>open  src/shm/open.h */
/*
 * Creating a segment, opening it, and taking it over.
 *
 * A segment is built under no name: allocated, mapped, filled in, with its creator as the first
 * member. magic is stored last. Then it is linked to its name, or its descriptor is handed over;
 * the kernel orders all stores before that. So an opener finds a whole segment, or none.
 *
 * From then on `creator` has the id of the creator, or of the member that took the segment over,
 * and perhaps the flag CONDEMNED: that member is about to unlink the segment, and no process may
 * come to use it any more.
 *
 *   from             to               by which process, how
 *   --------------   --------------   ----------------------------------------------------------
 *   0                id               its creator, before it has a name: a store
 *   dead             id               candidate id, to take it over: CAS
 *   dead             id               its child after fork, a member, when that goes on with an end:
 *                                     CAS (ipc_shm_inherit_)
 *   dead,            id + CONDEMNED   candidate id, where the size differs, or IPC_SHM_FRESH is
 *   or dead +                         given, or the flag is set already: CAS, full fence
 *   CONDEMNED
 *   id + CONDEMNED   dead             the same candidate, where it finds a live member, or may not
 *                                     unlink: a store. The segment stays; the candidate's create
 *                                     is refused
 *   id + CONDEMNED   (unlinked)       the same candidate, where it finds no live member
 *
 * `dead` is the id of a member that is dead, or has closed the segment (identity.h). Each process
 * that calls create joins as a candidate first. It comes to use the segment only by its own CAS of
 * creator, so candidates do not count as live members. When a candidate dies after its CAS, the
 * next one condemns the segment again.
 *
 * An opener joins, fences, and looks for CONDEMNED. A candidate condemns, fences, and looks for
 * members. So at least one of them sees the other.
 */
#ifndef IPC_SRC_SHM_OPEN_H
#define IPC_SRC_SHM_OPEN_H 1

/* ------------------------------------------------------------------ create and open */

#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 1
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW 4
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 16
#endif
#define IPC_SHM_SEALS_ (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)
#define IPC_SHM_DIR_ "/dev/shm/"
#define IPC_SHM_NAP_ INT64_C(1000000)       /* ns between two looks for what is not there yet */
#define IPC_SHM_LONG_NAP_ INT64_C(16000000) /* ns, after a tenth of a second */
#define IPC_SHM_PART_ ((size_t)2 << 20) /* bytes to allocate at once: a huge page */

/* Checks a segment's name, and makes the path of its file, in path[0..PATH_MAX). 0, -EINVAL or
 * -ENAMETOOLONG. */
IPC_INLINE int ipc_shm_path_(struct ipc_shm *seg, char *path, const char *name)
{
    int is_path = ipc_shm_is_path_(name);
    const char *last = is_path ? strrchr(name, '/') + 1 : name;

    if (*last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return ipc_shm_refuse(seg, -EINVAL, "segment name '%.64s': must not be empty, end with a "
                              "slash, or be . or ..",
                              name);
    if (last == name + 1)
        return ipc_shm_refuse(seg, -EINVAL, "segment name '%.64s': leave the slash out, which "
                              "shm_open wants; in the path of a file there is another",
                              name);
    if (strlen(last) > NAME_MAX || strlen(name) >= PATH_MAX)
        return ipc_shm_refuse(seg, -ENAMETOOLONG, "segment name of %zu bytes: at most %d",
                              strlen(name), strlen(last) > NAME_MAX ? NAME_MAX : PATH_MAX - 1);
    *path = '\0';
    if (!is_path)
        memcpy(path, IPC_SHM_DIR_, sizeof IPC_SHM_DIR_);
    memcpy(path + strlen(path), name, strlen(name) + 1);
    return 0;
}

/* Cuts a path behind its last slash: what is left is the directory. */
IPC_INLINE const char *ipc_shm_directory_(char *path)
{
    strrchr(path, '/')[1] = '\0';
    return path;
}

/* Allocates the file. 0, or what posix_fallocate says. In parts: a signal ends the call, and before
 * Linux 6.6 the kernel then takes back what that call had allocated, so signals that come again and
 * again would have one call for all begin anew for ever. */
IPC_INLINE int ipc_shm_fill_(int fd, size_t size)
{
    size_t at = 0, part;
    int rc = 0;

    while (rc == 0 && at < size) {
        part = size - at < IPC_SHM_PART_ ? size - at : IPC_SHM_PART_;
        rc = posix_fallocate(fd, (off_t)at, (off_t)part);
        if (rc == 0)
            at += part;
        else if (rc == EINTR)
            rc = 0;
    }
    return rc;
}

IPC_INLINE int ipc_shm_refuse_room_(struct ipc_shm *seg, int rc, const char *where, size_t size,
                                    uint64_t room)
{
    return ipc_shm_refuse(seg, rc, "no space for %zu bytes in %.99s (%llu free): %s%s", size, where,
                          (unsigned long long)room, strerror((int)(0u - (unsigned)rc)),
                          strcmp(where, IPC_SHM_DIR_) != 0 ? "" : ": make the segment smaller or "
                          "that larger (docker: --shm-size), or ipc_rm what killed programs left");
}

/* Refuses a size that cannot fit before any of it is allocated: where the file system may take as
 * much memory as the machine has, to try would have the kernel kill processes until it fits. */
IPC_INLINE int ipc_shm_check_room_(struct ipc_shm *seg, const char *where, size_t size)
{
    struct statvfs fs;
    struct sysinfo ram;
    uint64_t room;

    if (fstatvfs(seg->fd, &fs) != 0)
        return 0;
    room = (uint64_t)fs.f_bfree * fs.f_frsize;
    if (fs.f_blocks == 0) /* a memfd, or a file system without a limit */
        room = sysinfo(&ram) == 0 ? ((uint64_t)ram.totalram + ram.totalswap) * ram.mem_unit
                                  : UINT64_MAX;
    if (size <= room)
        return 0;
    return ipc_shm_refuse_room_(seg, -ENOSPC, where, size, room);
}

/* Seals the memory, which is mapped already. */
IPC_INLINE int ipc_shm_seal_(struct ipc_shm *seg)
{
    int against_writes = (seg->flags & IPC_SHM_SEAL_WRITES) != 0;
    /* inotify, by which ipc_shm_watch_ learns of others, does not report what is done by the
     * descriptor that memfd_create made. */
    int own = ipc_shm_reopen_(seg, seg->fd, O_RDWR);

    if (own < 0)
        return own;
    (void)close(seg->fd);
    seg->fd = own;
    if (fcntl(own, F_ADD_SEALS, IPC_SHM_SEALS_ | (against_writes ? F_SEAL_FUTURE_WRITE : 0)) != 0) {
        if (errno == EINVAL && against_writes)
            return ipc_shm_refuse(seg, -EOPNOTSUPP, "this kernel cannot seal memory against "
                                  "writing: Linux 5.1 can");
        return ipc_shm_refuse(seg, -errno, "cannot seal the memory: %s", strerror(errno));
    }
    return 0;
}

/* Makes a nameless file of `size` bytes, allocated and mapped. */
IPC_INLINE int ipc_shm_allocate_(struct ipc_shm *seg, const char *name, size_t size,
                                 const struct ipc_shm_options *how, int hugetlb)
{
    /* The mode of a memfd protects nothing: only a process that was handed a descriptor of it, or
     * that may trace a holder, can open it. A stricter mode would deny a receiver that runs as
     * another user an open file description of its own, and with it its lock. */
    mode_t mode = name != NULL ? how->mode : 0666;
    char path[PATH_MAX] = "memory";
    const char *where = path;
    struct rlimit limit;
    struct statvfs fs;
    int rc;

    seg->size = size;
    if (name != NULL && (rc = ipc_shm_path_(seg, path, name)) != 0)
        return rc;
    if (name != NULL)
        seg->fd = ipc_move_fd_(open(where = ipc_shm_directory_(path),
                                    O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    else /* MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB */
        seg->fd = ipc_move_fd_((int)syscall(SYS_memfd_create, "ipc_shm", hugetlb ? 7u : 3u));
    if (seg->fd < 0)
        return ipc_shm_refuse(seg, -errno, "cannot make a file in %.160s: %s", where,
                              strerror(errno));
    if (how->group != (gid_t)-1 && fchown(seg->fd, (uid_t)-1, how->group) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot give the segment to group %ld: %s",
                              (long)how->group, strerror(errno));
    if (fchmod(seg->fd, mode) != 0) /* not by open, whose mode the umask cuts */
        return ipc_shm_refuse(seg, -errno, "cannot set mode %03o: %s", (unsigned)mode,
                              strerror(errno));
    /* Beyond this limit the kernel would send SIGXFSZ. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur)
        return ipc_shm_refuse(seg, -EFBIG, "segment of %zu bytes: RLIMIT_FSIZE is %llu", size,
                              (unsigned long long)limit.rlim_cur);
    if (ftruncate(seg->fd, (off_t)size) != 0) /* it fails, too, where off_t has no room for size */
        return ipc_shm_refuse(seg, -EFBIG, "segment of %zu bytes: too large", size);
    rc = ipc_shm_check_room_(seg, where, size);
    rc = rc != 0 ? rc : ipc_shm_map_(seg, NULL);
    if (rc != 0)
        return rc;
    if (seg->huge_rc ==
        0) /* by faults: fallocate does not know that the mapping wants huge pages */
        (void)madvise(seg->base, seg->size, MADV_POPULATE_WRITE);
    rc = ipc_shm_fill_(seg->fd, size);
    if (rc != 0)
        return ipc_shm_refuse_room_(
            seg, -rc, where, size,
            fstatvfs(seg->fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0);
    if (name != NULL)
        return 0;
    return ipc_shm_seal_(seg);
}

/* How many members and objects a segment is to be created for. */
IPC_INLINE void ipc_shm_numbers_(const struct ipc_shm_options *how, unsigned *members,
                                 unsigned *objects)
{
    unsigned n = how->members != 0 ? how->members : IPC_SHM_MEMBERS;

    for (*members = 1; *members < n; *members *= 2)
        ;
    *objects = how->objects != 0 ? how->objects : IPC_SHM_OBJECTS;
}

/* Builds a whole new segment, under no name yet, with this process as member and creator. */
IPC_INLINE int ipc_shm_build_(struct ipc_shm *seg, const char *name, size_t size,
                              const struct ipc_shm_options *how)
{
    struct ipc_shm_header_ *h;
    size_t huge = (size_t)2 << 20, all;
    unsigned members, objects;
    int rc = -1;

    ipc_shm_clear_(seg, how);
    ipc_shm_numbers_(how, &members, &objects);
    all = ipc_shm_head_(members, objects) + ((size + 4095) & ~(size_t)4095);
    if (name == NULL && (how->flags & IPC_SHM_HUGE) != 0 && all <= SIZE_MAX / 2) {
        /* From the pool of huge pages, where there is one that has enough. */
        seg->huge_rc = 0;
        rc = ipc_shm_allocate_(seg, name, (all + huge - 1) & ~(huge - 1), how, 1);
        if (rc != 0) {
            ipc_shm_close(seg);
            ipc_shm_clear_(seg, how);
        }
    }
    if (rc != 0)
        rc = ipc_shm_allocate_(seg, name, all, how, 0);
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    ipc_shm_prefault_(seg, 1);
    h = seg->base;
    h->abi = IPC_SHM_LAYOUT;
    h->order = IPC_SHM_ORDER;
    h->line = IPC_SHM_LINE;
    h->members = seg->members = members;
    h->objects = seg->objects = objects;
    h->size = seg->size;
    h->used = ipc_shm_head_(members, objects);
    rc = ipc_shm_join_(seg, 0);
    /* Who opens the file for writing can take the locks of members. This one has opened it. */
    if (rc == 0 && (seg->flags & IPC_SHM_SEAL_WRITES) != 0 && fchmod(seg->fd, 0444) != 0)
        rc = ipc_shm_refuse(seg, -errno, "cannot set mode 444: %s", strerror(errno));
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    h->creator = seg->peer.id;
    /* No fence: see the top. */
    h->magic = IPC_SHM_MAGIC;
    rc = name != NULL && ipc_shm_is_path_(name) ? ipc_shm_found_file_(seg) : 0;
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    seg->created = 1;
    return 0;
}

IPC_INLINE int ipc_shm_check_size_(struct ipc_shm *seg, const struct stat *st)
{
    if (st->st_size < (off_t)sizeof(struct ipc_shm_header_) || (uint64_t)st->st_size > SIZE_MAX)
        return ipc_shm_refuse(seg, -EPROTO, "not a segment of ipc_shm.h: a file of %lld bytes",
                              (long long)st->st_size);
    return 0;
}

/* Maps and checks the segment behind seg->fd, whose owner and mode are checked, and joins it,
 * unless it is to be read only. */
IPC_INLINE int ipc_shm_attach_(struct ipc_shm *seg, const struct stat *st, int candidate)
{
    const struct ipc_shm_header_ *h;
    uint64_t magic, there;
    uint32_t line;
    int rc;

    rc = ipc_shm_check_size_(seg, st);
    if (rc != 0)
        return rc;
    seg->size = (size_t)st->st_size;
    seg->flags &= ~IPC_SHM_SEAL_WRITES; /* of a creator alone */
    rc = ipc_shm_map_(seg, NULL);
    if (rc != 0)
        return rc;
    h = seg->base;
    magic = ck_pr_load_64(&h->magic);
    if ((there = ck_pr_load_32(&h->order)) == IPC_SHM_SWAPPED)
        return ipc_shm_refuse(seg, -EPROTO, "segment of another byte order");
    if (magic != IPC_SHM_MAGIC || there != IPC_SHM_ORDER)
        return ipc_shm_refuse(seg, -EPROTO, "not a segment of ipc_shm.h: magic is %016llx",
                              (unsigned long long)magic);
    if ((there = ck_pr_load_32(&h->abi)) != IPC_SHM_LAYOUT)
        return ipc_shm_refuse(seg, -EPROTO, "segment of another version: ABI %llu there, %u here",
                              (unsigned long long)there, IPC_SHM_LAYOUT);
    line = ck_pr_load_32(&h->line);
    seg->members = ck_pr_load_32(&h->members);
    seg->objects = ck_pr_load_32(&h->objects);
    if (line != IPC_SHM_LINE || !ipc_shm_are_numbers_valid_(seg->members, seg->objects) ||
        ipc_shm_head_(seg->members, seg->objects) > seg->size)
        return ipc_shm_refuse(seg, -EPROTO,
                              "segment of another layout: %u-byte lines, %u members, "
                              "%u objects there",
                              line, seg->members, seg->objects);
    if ((there = ck_pr_load_64(&h->size)) != seg->size)
        return ipc_shm_refuse(seg, -EPROTO, "segment of %llu bytes was resized to %zu",
                              (unsigned long long)there, seg->size);
    if (candidate) /* ipc_shm_take_over_ begins to use it, if it is not discarded */
        return ipc_shm_join_(seg, 1);
    rc = ipc_shm_check_torn_(seg);
    if (rc != 0)
        return rc;
    if (ipc_shm_is_read_only_(seg)) {
        ipc_shm_become_reader_(seg);
        return 0;
    }
    rc = ipc_shm_join_(seg, 0);
    return rc == 0 ? ipc_shm_begin_use_(seg) : rc;
}

/* Checks the file's owner and mode against the options. 0, -EPROTO or -EACCES. */
IPC_INLINE int ipc_shm_check_owner_(struct ipc_shm *seg, const struct stat *st,
                                    const struct ipc_shm_options *how)
{
    uid_t owner = how->owner != (uid_t)-1 ? how->owner : geteuid();

    if (!S_ISREG(st->st_mode))
        return ipc_shm_refuse(seg, -EPROTO, "not a segment of ipc_shm.h: not a regular file");
    if (st->st_uid != owner) /* first, as the sentence says who can remove it */
        return ipc_shm_refuse(seg, -EACCES, "segment belongs to user %ld, not %ld: set "
                              "options.owner, if you trust that user; or take another name; "
                              "that user, or root, can ipc_shm_unlink it",
                              (long)st->st_uid, (long)owner);
    if (ipc_shm_check_size_(seg, st) != 0)
        return -EPROTO;
    if ((st->st_mode & 0777 & ~how->mode) != 0)
        return ipc_shm_refuse(seg, -EACCES, "segment has mode %03o, at most %03o was asked for: "
                              "set options.mode, if others may use it",
                              (unsigned)st->st_mode & 0777, (unsigned)how->mode);
    return 0;
}

/* Refuses a file that this process may not open. */
IPC_INLINE int ipc_shm_refuse_access_(struct ipc_shm *seg, const char *path, const char *name,
                                      int replace)
{
    int reads = faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
    struct stat st;

    if (lstat(path, &st) != 0)
        return ipc_shm_refuse(seg, -EACCES, "cannot open segment '%s'", name);
    return ipc_shm_refuse(seg, -EACCES, "segment '%s' belongs to user %ld and has mode %03o: %s",
                          name, (long)st.st_uid, (unsigned)st.st_mode & 0777,
                          reads     ? "open it with IPC_SHM_READ_ONLY"
                          : replace ? "that user, or root, can ipc_shm_unlink it; or take another "
                                      "name"
                                    : "its creator lets others in by options.mode, and these open "
                                      "it with that mode and options.owner");
}

/* Opens the segment of that name, if there is one: as a candidate where `replace` is set, as a
 * member otherwise. For a member a CONDEMNED segment counts as none. */
IPC_INLINE int ipc_shm_open_once_(struct ipc_shm *seg, const char *path, const char *name,
                                  const struct ipc_shm_options *how, int replace)
{
    int access = (how->flags & IPC_SHM_READ_ONLY) != 0 ? O_RDONLY : O_RDWR, rc;
    struct stat st;

    ipc_shm_clear_(seg, how);
    /* O_NONBLOCK, as the open of a FIFO would wait for its other end, and that of a file on which
     * its owner holds a lease for the owner. */
    seg->fd = ipc_move_fd_(open(path, access | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (seg->fd < 0 && errno == ENOENT)
        return ipc_shm_refuse(seg, -ENOENT, "no segment '%s'", name);
    if (seg->fd < 0 && errno == ELOOP)
        return ipc_shm_refuse(seg, -ELOOP, "segment '%s' is a symbolic link", name);
    if (seg->fd < 0 && errno == EAGAIN)
        return ipc_shm_refuse(seg, -EACCES, "the owner of '%s' holds a file lease on it", name);
    if (seg->fd < 0 && errno == EACCES)
        return ipc_shm_refuse_access_(seg, path, name, replace);
    if (seg->fd < 0 || fstat(seg->fd, &st) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot open segment '%s': %s", name, strerror(errno));
    rc = ipc_shm_check_owner_(seg, &st, how);
    rc = rc != 0 ? rc : ipc_shm_attach_(seg, &st, replace);
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    /* Without it we could miss CONDEMNED, and the candidate that stores it miss our membership.
     * Partner: the fence in ipc_shm_take_over_. */
    ck_pr_fence_memory();
    if (!replace && (ck_pr_load_64(&seg->base->creator) & IPC_SHM_CONDEMNED_) != 0)
        return ipc_shm_close_refused_(
            seg, ipc_shm_refuse(seg, -ENOENT, "segment '%s' is being replaced", name));
    ipc_shm_prefault_(seg, 0);
    return 0;
}

/* Is a member alive that is no candidate, and not this process? */
IPC_INLINE int ipc_shm_others_live_(const struct ipc_shm *seg)
{
    unsigned i;

    for (i = 0; i < seg->members; i++) {
        const struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
        uint64_t id = ck_pr_load_64(&m->id);

        /* Without it `candidate` could be older than the id. Partner: the second store fence in
         * ipc_shm_join_. */
        ck_pr_fence_load();
        if (id != 0 && id != seg->peer.id && ck_pr_load_32(&m->candidate) == 0 &&
            ipc_shm_member_is_alive_(seg, id))
            return 1;
    }
    return 0;
}

IPC_INLINE int ipc_shm_refuse_living_(struct ipc_shm *seg, const char *name, uint64_t creator)
{
    const struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, creator);

    return ipc_shm_refuse(seg, -EEXIST, "segment '%s' exists and its creator lives (pid %u%s): "
                          "ipc_shm_open it, or end that process", name, ck_pr_load_32(&m->pid),
                          ck_pr_load_64(&m->pid_ns) == seg->pid_ns ? "" : " of another namespace");
}

/* Takes over the segment that this process has opened as a candidate, or removes it. 0 when it is
 * taken over, -EAGAIN when it is removed, or another candidate was quicker: look again. -EEXIST
 * when it is in use. */
IPC_INLINE int ipc_shm_take_over_(struct ipc_shm *seg, const char *path, const char *name,
                                  size_t size, const struct ipc_shm_options *how)
{
    struct ipc_shm_header_ *h = seg->base;
    uint64_t creator = ck_pr_load_64(&h->creator);
    size_t head = ipc_shm_head_(seg->members, seg->objects);
    unsigned members, objects;
    struct stat ours, named;
    int rc, fits, fresh;

    ipc_shm_numbers_(how, &members, &objects);
    /* Is it what a new one would be? */
    fits = seg->size >= head + size && seg->size - head - size < 4096 &&
           seg->members == members && seg->objects == objects;
    fresh = !fits || (how->flags & IPC_SHM_FRESH) != 0 || (creator & IPC_SHM_CONDEMNED_) != 0;

    if (ipc_shm_member_is_alive_(seg, creator & IPC_SHM_ID_))
        return ipc_shm_refuse_living_(seg, name, creator & IPC_SHM_ID_);
    rc = fresh ? 0 : ipc_shm_begin_use_(seg);
    if (rc != 0)
        return rc;
    if (!ck_pr_cas_64(&h->creator, creator,
                      fresh ? seg->peer.id | IPC_SHM_CONDEMNED_ : seg->peer.id))
        return -EAGAIN;
    if (!fresh) {
        ck_pr_store_32(&ipc_shm_member_of_(seg, seg->peer.id)->candidate, 0);
        seg->created = 2;
        return 0;
    }
    /* Without it a process could join unseen. Partner: the fence in ipc_shm_open_once_. */
    ck_pr_fence_memory();
    if (ipc_shm_others_live_(seg)) {
        ck_pr_store_64(&h->creator, creator & ~IPC_SHM_CONDEMNED_);
        return ipc_shm_refuse(seg, -EEXIST, "segment '%s' is left over%s, but in use by others",
                              name, fits ? "" : " with another size");
    }
    if (fstat(seg->fd, &ours) == 0 && lstat(path, &named) == 0 && ours.st_dev == named.st_dev &&
        ours.st_ino == named.st_ino && unlink(path) != 0 && errno != ENOENT) {
        rc = -errno;
        ck_pr_store_64(&h->creator, creator & ~IPC_SHM_CONDEMNED_);
        return ipc_shm_refuse(seg, rc, "cannot replace segment '%s'%s, which belongs to user %ld: "
                              "%s", name, fits ? "" : ", of another size", (long)ours.st_uid,
                              strerror(-rc));
    }
    return -EAGAIN;
}

/* Gives a built segment its name, in one step. -EEXIST when something has that name. */
IPC_INLINE int ipc_shm_link_(struct ipc_shm *seg, const char *path)
{
    char file[32];

    (void)snprintf(file, sizeof file, "/proc/self/fd/%d", seg->fd);
    if (linkat(AT_FDCWD, file, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    return ipc_shm_refuse(seg, -errno, "cannot name the segment %s: %s%s", path, strerror(errno),
                          errno == ENOENT ? "; is /proc mounted?" : "");
}

IPC_INLINE int ipc_shm_create_with(struct ipc_shm *seg, const char *name, size_t size,
                                   const struct ipc_shm_options *how)
{
    char path[PATH_MAX];
    int rc, again, tries;

    how = ipc_shm_or_defaults_(how);
    ipc_shm_clear_(seg, how);
    if (size == 0 || size > SIZE_MAX / 2)
        return ipc_shm_refuse(seg, size == 0 ? -EINVAL : -EFBIG, "segment of %zu bytes: give it 1 to "
                              "%zu, as NAME_footprint of its rings, added up", size, SIZE_MAX / 2);
    if (how->members > IPC_SHM_MEMBERS_MAX || how->objects > IPC_SHM_OBJECTS_MAX)
        return ipc_shm_refuse(seg, -EINVAL, "segment for %u members, %u objects: at most %u, %u",
                              how->members, how->objects, IPC_SHM_MEMBERS_MAX, IPC_SHM_OBJECTS_MAX);
    if (ipc_shm_is_read_only_(seg) || (name != NULL && (how->flags & IPC_SHM_SEAL_WRITES) != 0))
        return ipc_shm_refuse(seg, -EINVAL, ipc_shm_is_read_only_(seg)
                              ? "cannot create a segment read-only: open it"
                              : "a segment with a name cannot be sealed against writing");
    if (name == NULL)
        return ipc_shm_build_(seg, name, size, how);
    rc = ipc_shm_path_(seg, path, name);
    if (rc != 0)
        return rc;
    for (tries = 0; tries < 100; tries++) {
        rc = ipc_shm_open_once_(seg, path, name, how, 1);
        if (rc == 0) {
            rc = ipc_shm_take_over_(seg, path, name, size, how);
            again = -EAGAIN;
        } else if (rc == -ENOENT) {
            rc = ipc_shm_build_(seg, name, size, how);
            if (rc != 0)
                return rc;
            rc = ipc_shm_link_(seg, path);
            again = -EEXIST;
        } else {
            return rc;
        }
        if (rc == 0)
            return 0;
        (void)ipc_shm_close_refused_(seg, rc);
        if (rc != again)
            return rc;
    }
    return ipc_shm_refuse(seg, -EEXIST, "segment '%s' changes hands all the time", name);
}

IPC_INLINE int ipc_shm_create(struct ipc_shm *seg, const char *name, size_t size)
{
    return ipc_shm_create_with(seg, name, size, NULL);
}

IPC_INLINE int ipc_shm_refuse_deadline_(struct ipc_shm *seg, int64_t deadline)
{
    return ipc_shm_refuse(seg, -EINVAL,
                          "%lld ns is no deadline, which is an absolute time: use ipc_in_ms",
                          (long long)deadline);
}

/* Waits between two looks: *nap nanoseconds, or until the deadline if that is sooner. *nap begins
 * as IPC_SHM_NAP_, and grows by an eighth each time, so that a long wait costs little. 0 to look
 * again, -ETIMEDOUT when the deadline has passed, -EINTR when a signal handler ran. */
IPC_INLINE int ipc_shm_wait_(int64_t deadline, int64_t *nap)
{
    int64_t left = ipc_left_(deadline), ns = *nap;

    if (left == 0)
        return -ETIMEDOUT;
    *nap = ns + ns / 8 < IPC_SHM_LONG_NAP_ ? ns + ns / 8 : IPC_SHM_LONG_NAP_;
    return ipc_shm_nap_(left < ns ? left : ns);
}

IPC_INLINE int ipc_shm_open_with(struct ipc_shm *seg, const char *name, int64_t deadline,
                                 const struct ipc_shm_options *how)
{
    char path[PATH_MAX];
    int64_t nap = IPC_SHM_NAP_;
    int rc, waited = 0;

    how = ipc_shm_or_defaults_(how);
    ipc_shm_clear_(seg, how);
    if (name == NULL)
        return ipc_shm_refuse(seg, -EINVAL, "the segment's name is NULL: one without a name is "
                              "received, not opened");
    if (!ipc_is_deadline_(deadline))
        return ipc_shm_refuse_deadline_(seg, deadline);
    rc = ipc_shm_path_(seg, path, name);
    if (rc != 0)
        return rc;
    do
        rc = ipc_shm_open_once_(seg, path, name, how, 0);
    while (rc == -ENOENT && (waited = ipc_shm_wait_(deadline, &nap)) == 0);
    if (rc == -ENOENT && waited == -EINTR)
        return ipc_shm_refuse(seg, -EINTR, "no segment '%s' until a signal came", name);
    if (rc == -ENOENT && deadline != IPC_NOW)
        return ipc_shm_refuse(seg, -ETIMEDOUT,
                              "no segment '%s' until the deadline: is the program "
                              "that creates it running?",
                              name);
    seg->deadline = deadline;
    return rc;
}

IPC_INLINE int ipc_shm_open(struct ipc_shm *seg, const char *name, int64_t deadline)
{
    return ipc_shm_open_with(seg, name, deadline, NULL);
}

IPC_INLINE int ipc_shm_open_or_create(struct ipc_shm *seg, const char *name, size_t size,
                                      const struct ipc_shm_options *how)
{
    int rc, tries = 100;

    how = ipc_shm_or_defaults_(how);
    if ((how->flags & IPC_SHM_READ_ONLY) != 0)
        return ipc_shm_create_with(seg, name, size, how); /* which refuses it */
    do {
        rc = ipc_shm_open_with(seg, name, IPC_NOW, how);
        if (rc == -ENOENT)
            rc = ipc_shm_create_with(seg, name, size, how);
        if (rc == -EEXIST) /* since created by another process, or is replaced by a stopped one */
            (void)ipc_shm_nap_(IPC_SHM_NAP_);
    } while (rc == -EEXIST && --tries > 0);
    if (rc == -EEXIST)
        rc = ipc_shm_refuse(seg, -EBUSY, "segment '%s' is being replaced", name);
    return rc;
}

/* Is the file a segment? Others are none of ours to remove. 0, -EPROTO, or what open says. */
IPC_INLINE int ipc_shm_check_made_(const char *path)
{
    int fd = ipc_move_fd_(open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)), rc;
    uint64_t magic = 0;
    struct stat st;

    if (fd < 0)
        return -errno;
    rc = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                 pread(fd, &magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
                 magic == IPC_SHM_MAGIC
             ? 0
             : -EPROTO;
    (void)close(fd);
    return rc;
}

IPC_INLINE int ipc_shm_unlink(const char *name)
{
    struct ipc_shm unused;
    char path[PATH_MAX];
    int rc = name == NULL ? -EINVAL : ipc_shm_path_(&unused, path, name);

    if (rc == 0 && ipc_shm_is_path_(name))
        rc = ipc_shm_check_made_(path);
    if (rc == 0 && unlink(path) != 0)
        rc = -errno;
    return rc;
}

IPC_INLINE int ipc_shm_unlink_dead(struct ipc_shm *seg, const char *name,
                                   const struct ipc_shm_options *how)
{
    struct ipc_shm_options fresh = *ipc_shm_or_defaults_(how);
    char path[PATH_MAX];
    int rc, tries, removed = 0;

    fresh.flags = IPC_SHM_FRESH | IPC_SHM_NO_PREFAULT;
    ipc_shm_clear_(seg, &fresh);
    rc = name == NULL ? -EINVAL : ipc_shm_path_(seg, path, name);
    if (rc != 0)
        return rc;
    for (tries = 0; tries < 100; tries++) {
        rc = ipc_shm_open_once_(seg, path, name, &fresh, 1);
        if (rc != 0)
            return rc == -ENOENT && removed ? 0 : rc;
        rc = ipc_shm_take_over_(seg, path, name, 1, &fresh);
        ipc_shm_close(seg);
        if (rc == -EEXIST)
            return ipc_shm_refuse(seg, -EBUSY, "segment '%s' is in use by a live process", name);
        if (rc != -EAGAIN)
            return rc;
        removed = 1;
    }
    return ipc_shm_refuse(seg, -EBUSY, "segment '%s' changes hands all the time", name);
}

#endif

/* >>pass  src/shm/pass.h */
/* Passing a segment on to another process, over a socket. */
#ifndef IPC_SRC_SHM_PASS_H
#define IPC_SRC_SHM_PASS_H 1

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

/* >>members  src/shm/members.h */
/* Members: which processes have the segment open, and word of their deaths. */
#ifndef IPC_SRC_SHM_MEMBERS_H
#define IPC_SRC_SHM_MEMBERS_H 1

/* ------------------------------------------------------------------ members */

IPC_INLINE int ipc_shm_alive(struct ipc_shm *seg, uint64_t id)
{
    return ipc_shm_become_member_(seg) != 0 || ipc_shm_member_is_alive_(seg, id);
}

/* struct ipc_peer's alive. The mark of a member that left stays until another leaves from its
 * place. */
IPC_INLINE int ipc_shm_peer_alive_(void *arg, uint64_t id)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;

    if (ipc_shm_alive(seg, id))
        return 1;
    /* Without it the mark could be older than the proof. Partner: in ipc_shm_close. */
    ck_pr_fence_load();
    return ck_pr_load_64(&ipc_shm_member_of_(seg, id)->left) == id ? -1 : 0;
}

/* struct ipc_watch's open: see watch.h. */
IPC_INLINE int ipc_shm_watch_(void *arg, uint64_t id)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    int rc = ipc_shm_become_member_(seg);

    (void)id; /* the death of each member is reported */
    return rc != 0 ? rc : ipc_shm_watch_fd_(seg);
}

/* struct ipc_watch's loop. */
IPC_INLINE int ipc_shm_loop_(void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    int rc = ipc_shm_become_member_(seg);

    if (rc == 0 && !ipc_shm_has_its_file_(seg))
        rc = -EBADF; /* closed by others */
    return rc != 0 ? rc : ipc_shm_open_inotify_(seg);
}

#define IPC_SHM_PATIENCE_ INT64_C(1000000000) /* ns, in all, for the death of a parent */

/* struct ipc_peer's inherit. A daemon makes its first call while its parent is still about to exit,
 * so waits for that; but where it has waited in vain, later calls do not wait. */
IPC_INLINE int ipc_shm_inherit_(void *arg, uint64_t id, int leaves)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;

    if (ipc_shm_is_ours_(seg) && seg->peer.id == id)
        return 1; /* *self is 0 in each process, see ipc_shm_last_self_ */
    if (leaves && (seg->handed == 0 || ipc_shm_is_ours_(seg)))
        return -ECHILD;
    if (ipc_shm_become_member_(seg) != 0)
        return -ECHILD;
    if (seg->peer.id == id)
        return 1;
    if (ck_pr_load_64(&seg->mark[2]) == 0)
        ck_pr_store_64(&seg->mark[2], (uint64_t)(ipc_clock() + IPC_SHM_PATIENCE_));
    while (ipc_shm_member_is_alive_(seg, id)) {
        if (ipc_left_((int64_t)ck_pr_load_64(&seg->mark[2])) == 0)
            return ipc_shm_refuse(seg, -ECHILD, "the process that this one was forked from lives, "
                                  "and keeps its rings: attach anew, or it calls ipc_shm_hand_over "
                                  "before the fork");
        (void)ipc_shm_nap_(1000000);
    }
    (void)ck_pr_cas_64(&seg->base->creator, id, seg->peer.id);
    return 0;
}

IPC_INLINE struct ipc_peer *ipc_shm_peer(struct ipc_shm *seg)
{
    (void)ipc_shm_become_member_(seg);
    seg->peer.inherit = ipc_shm_inherit_;
    seg->peer.alive = ipc_shm_peer_alive_;
    seg->watch.open = ipc_shm_watch_;
    seg->watch.ours = ipc_shm_watch_is_ours_;
    seg->watch.take = ipc_shm_take_;
    seg->watch.loop = ipc_shm_loop_;
    seg->peer.watch = &seg->watch;
    seg->peer.stir = ipc_shm_stir_;
    seg->peer.arg = seg;
    return &seg->peer;
}

IPC_INLINE int ipc_shm_hand_over(struct ipc_shm *seg)
{
    int rc = ipc_shm_become_member_(seg);
    short type = F_WRLCK;
    uint32_t *family;

    rc = rc != 0 ? rc : ipc_shm_check_writable_(seg);
    if (rc != 0)
        return rc;
    rc = ipc_shm_has_its_file_(seg) ? ipc_shm_lock_(seg->fd, F_OFD_SETLK,
                                                    ipc_shm_family_byte_(seg->peer.id), &type)
                                    : -EBADF;
    if (rc != 0)
        return ipc_shm_refuse(seg, rc, "cannot lock the segment for a child: %s", strerror(-rc));
    family = &ipc_shm_member_of_(seg, seg->peer.id)->family;
    seg->handed_family = (ck_pr_load_32(family) & ~(IPC_SHM_HANDED_ | IPC_SHM_ADOPTED_)) +
                         IPC_SHM_FAMILY_COUNT_ + IPC_SHM_HANDED_;
    ck_pr_store_32(family, seg->handed_family);
    /* Without it another could see our lock of life free before it sees why. Partner: the first load
     * fence in ipc_shm_member_is_alive_. */
    ck_pr_fence_store();
    if (seg->life != NULL)
        (void)munmap(seg->life, seg->life_size);
    seg->life = NULL;
    seg->handed = seg->peer.id;
    seg->peer.id = 0;
    ck_pr_store_64(&seg->mark[seg->self], 0);
    return 0;
}

IPC_INLINE int ipc_shm_who(struct ipc_shm *seg, unsigned i, struct ipc_shm_member *who)
{
    const struct ipc_shm_member_ *m;
    uint32_t pid;

    if (ipc_shm_become_member_(seg) != 0)
        return -EINVAL;
    memset(who, 0, sizeof *who);
    if (i >= seg->members)
        return -ENOENT;
    m = ipc_shm_member_of_(seg, i);
    who->id = ck_pr_load_64(&m->id);
    /* Without this fence and the next, pid and namespace could be of another member than the id.
     * Partners: the store fences in ipc_shm_enter_. */
    ck_pr_fence_load();
    pid = ck_pr_load_32(&m->pid);
    who->pid_ns = ck_pr_load_64(&m->pid_ns);
    ck_pr_fence_load();
    if (who->id == 0 || who->id % seg->members != i || ck_pr_load_64(&m->id) != who->id)
        return -ENOENT;
    who->pid = pid <= INT_MAX ? (pid_t)pid : 0;
    who->alive = ipc_shm_member_is_alive_(seg, who->id);
    who->here = who->pid_ns != 0 && who->pid_ns == seg->pid_ns;
    who->me = who->id == seg->peer.id;
    return 0;
}

/* The pid of the member `id`; 0: it has left, or its pid does not count here. */
IPC_INLINE long ipc_shm_pid_of_(struct ipc_shm *seg, uint64_t id)
{
    struct ipc_shm_member who;
    int rc = id != 0 ? ipc_shm_who(seg, (unsigned)(id % seg->members), &who) : -ENOENT;

    return rc == 0 && who.id == id && who.here ? (long)who.pid : 0;
}

#endif

/* >>objects  src/shm/objects.h */
/*
 * Named objects in a segment.
 *
 * Each has an entry of the directory. The entry's state says all about it: a kind, a hash of the
 * name (14 bits) and the maker's id (48 bits).
 *
 *   from                to                by which process, how
 *   -----------------   ---------------   ------------------------------------------------------
 *   FREE                MAKING(hash,id)   member id, to make an object: CAS
 *   MAKING(hash,id)     READY(hash)       member id, once the entry and the object are filled in:
 *                                         release fence, CAS
 *   MAKING(hash,id)     MAKING(hash,0)    member id, where the object does not fit: CAS
 *   MAKING(hash,dead)   MAKING(hash,id)   member id, to make an object of the same name, when the
 *   or MAKING(hash,0)                     kernel says that the maker is dead: CAS
 *
 * READY is the end. Offset, size, type and name of an entry are written by the member whose id its
 * state has. Entries are searched in a row, from the one that the name's hash gives (other bits of
 * it) up to one that is FREE, and never become FREE again: so two makers of one name meet at the
 * same entry, and it is found after a few looks unless nearly all entries are used. Ids are never
 * used twice, so a maker that has lost its entry to another cannot publish it: its CAS fails.
 */
#ifndef IPC_SRC_SHM_OBJECTS_H
#define IPC_SRC_SHM_OBJECTS_H 1

/* ------------------------------------------------------------------ objects */

/* Checks an object's name, and hashes it; *first is the entry to begin at. 0, -EINVAL or
 * -ENAMETOOLONG. */
IPC_INLINE int ipc_shm_object_name_(struct ipc_shm *seg, const char *name, uint64_t *hash,
                                    uint32_t *first)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a: G. Fowler, L. C. Noll, K.-P. Vo, 1991 */
    size_t i;

    for (i = 0; name != NULL && name[i] != '\0'; i++)
        h = (h ^ (unsigned char)name[i]) * 1099511628211u;
    h ^= h >> 32; /* the last byte reaches only the lower half */
    h *= 0x9e3779b97f4a7c15u;
    *hash = h & IPC_SHM_HASH_;
    *first = (uint32_t)(h ^ h >> 32) % (seg->base != NULL ? seg->objects : 1);
    if (name == NULL)
        return ipc_shm_refuse(seg, -EINVAL, "the object's name is NULL");
    if (i == 0 || i > IPC_SHM_NAME_MAX)
        return ipc_shm_refuse(seg, i == 0 ? -EINVAL : -ENAMETOOLONG,
                              "object name of %zu bytes: 1 to %u", i, IPC_SHM_NAME_MAX);
    return 0;
}

/* Reads entry i into *o. 0, -ENOENT unless it is READY, -EBADMSG when it points out of the segment.
 */
IPC_INLINE int ipc_shm_read_entry_(struct ipc_shm *seg, uint32_t i, struct ipc_shm_object *o)
{
    const struct ipc_shm_entry_ *e = ipc_shm_entry_at_(seg, i);
    uint64_t offset, size;

    if ((ck_pr_load_64(&e->state) & IPC_SHM_READY_) == 0)
        return -ENOENT;
    /* Without it the entry could be older than its state. Partner: the fence in ipc_shm_publish. */
    ck_pr_fence_load();
    offset = ck_pr_load_64(&e->offset);
    size = ck_pr_load_64(&e->size);
    if (offset < ipc_shm_head_(seg->members, seg->objects) || offset % IPC_SHM_LINE != 0 ||
        offset > seg->size || size > seg->size - offset)
        return ipc_shm_refuse(seg, -EBADMSG, "the segment's directory is corrupt");
    o->mem = (unsigned char *)seg->base + offset;
    o->size = (size_t)size;
    o->type = ck_pr_load_32(&e->type);
    o->index = i;
    memcpy(o->name, e->name, sizeof o->name);
    o->name[IPC_SHM_NAME_MAX] = '\0';
    return 0;
}

IPC_INLINE int ipc_shm_list(struct ipc_shm *seg, unsigned i, struct ipc_shm_object *o)
{
    return seg->base != NULL && i < seg->objects ? ipc_shm_read_entry_(seg, i, o) : -ENOENT;
}

IPC_INLINE size_t ipc_shm_was_used(const struct ipc_shm *seg)
{
    uint64_t used = seg->base != NULL ? ck_pr_load_64(&seg->base->used) : 0;

    return used < seg->size ? (size_t)used : seg->size;
}

/* Takes `size` bytes from the front of what is left. Lock-free: each CAS that fails is another
 * member's that succeeded. After a thousand of these the peer is hostile. */
IPC_INLINE int ipc_shm_take_memory_(struct ipc_shm *seg, const char *name, size_t size,
                                    uint64_t *offset)
{
    uint64_t used;
    int tries;

    for (tries = 0; tries < 1000; tries++) {
        used = ck_pr_load_64(&seg->base->used);
        if (used < ipc_shm_head_(seg->members, seg->objects) || used > seg->size)
            break;
        *offset = (used + IPC_SHM_LINE - 1) & ~(uint64_t)(IPC_SHM_LINE - 1);
        if (*offset > seg->size || size > seg->size - *offset)
            return ipc_shm_refuse(seg, -ENOSPC, "no room for object '%s' of %zu bytes in a segment "
                                  "with %llu free: create the segment larger (NAME_footprint says "
                                  "what a ring takes)", name, size,
                                  (unsigned long long)(seg->size - used));
        if (ck_pr_cas_64(&seg->base->used, used, *offset + size))
            return 0;
    }
    return ipc_shm_refuse(seg, -EBADMSG, "the segment's directory is corrupt");
}

IPC_INLINE void *ipc_shm_map_twice(struct ipc_shm *seg, const void *mem, size_t bytes)
{
    off_t offset = (off_t)((const unsigned char *)mem - (const unsigned char *)seg->base);
    int flags = MAP_SHARED | MAP_FIXED;
    int access = PROT_READ | (ipc_shm_is_read_only_(seg) ? 0 : PROT_WRITE);
    unsigned char *at;

#ifdef MAP_POPULATE
    flags |= (seg->flags & IPC_SHM_NO_PREFAULT) == 0 ? MAP_POPULATE : 0;
#endif
    if (bytes == 0 || bytes > SIZE_MAX / 4 || (bytes | (size_t)offset) % (size_t)getpagesize() != 0)
        return NULL;
    if (!ipc_shm_has_its_file_(seg))
        return NULL;
    at = (unsigned char *)mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if ((void *)at == MAP_FAILED)
        return NULL;
    if (mmap(at, bytes, access, flags, seg->fd, offset) != MAP_FAILED &&
        mmap(at + bytes, bytes, access, flags, seg->fd, offset) != MAP_FAILED)
        return at;
    (void)munmap(at, 2 * bytes);
    return NULL;
}

IPC_INLINE void ipc_shm_unmap_twice(void *at, size_t bytes)
{
    (void)munmap(at, 2 * bytes);
}

IPC_INLINE int ipc_shm_make(struct ipc_shm *seg, const char *name, uint32_t type, size_t size,
                            struct ipc_shm_object *o)
{
    struct ipc_shm_entry_ *e;
    uint64_t hash, state, offset = 0;
    uint32_t first, i = 0, passed = 0, tries = 0;
    int rc = ipc_shm_object_name_(seg, name, &hash, &first);

    rc = rc != 0 ? rc : ipc_shm_become_member_(seg);
    rc = rc != 0 ? rc : ipc_shm_check_writable_(seg);
    if (rc != 0)
        return rc;
    if (size == 0)
        return ipc_shm_refuse(seg, -EINVAL, "object '%s' of 0 bytes or an impossible geometry",
                              name);
    while (passed < seg->objects && tries < 1000) {
        i = (first + passed) % seg->objects;
        e = ipc_shm_entry_at_(seg, i);
        state = ck_pr_load_64(&e->state);
        if (state != IPC_SHM_FREE_ && (state & IPC_SHM_HASH_) != hash) {
            passed++;
        } else if ((state & IPC_SHM_READY_) != 0) {
            rc = ipc_shm_read_entry_(seg, i, o);
            if (rc != 0)
                return rc;
            if (strcmp(o->name, name) == 0)
                return ipc_shm_refuse(seg, -EEXIST, "object '%s' exists", name);
            passed++;
        } else if (state != IPC_SHM_FREE_ && ipc_shm_member_is_alive_(seg, state & IPC_SHM_ID_)) {
            return ipc_shm_refuse(seg, -EBUSY, "object '%s' is being made by another", name);
        } else if (ck_pr_cas_64(&e->state, state, IPC_SHM_MAKING_ | hash | seg->peer.id)) {
            break;
        } else {
            tries++; /* another member was quicker: look at the entry again */
        }
    }
    if (passed == seg->objects || tries == 1000)
        return ipc_shm_refuse(seg, -ENOSPC, "no room for object '%s': %u are there", name,
                              seg->objects);
    e = ipc_shm_entry_at_(seg, i);
    rc = ipc_shm_take_memory_(seg, name, size, &offset);
    if (rc != 0) {
        /* The next maker of this name goes on with this entry. */
        (void)ck_pr_cas_64(&e->state, IPC_SHM_MAKING_ | hash | seg->peer.id,
                           IPC_SHM_MAKING_ | hash);
        return rc;
    }
    ck_pr_store_64(&e->offset, offset);
    ck_pr_store_64(&e->size, size);
    ck_pr_store_32(&e->type, type);
    memset(e->name, 0, sizeof e->name);
    memcpy(e->name, name, strlen(name));
    o->mem = (unsigned char *)seg->base + offset;
    o->size = size;
    o->type = type;
    o->index = i;
    memcpy(o->name, e->name, sizeof o->name);
    memset(o->mem, 0, size);
    return 0;
}

/* As ipc_shm_make, for a process that may start together with others which make the same object.
 * The maker needs a moment, unless it is stopped: it is waited for, a second at most. */
IPC_INLINE int ipc_shm_make_with_others_(struct ipc_shm *seg, const char *name, uint32_t type,
                                         size_t size, struct ipc_shm_object *o)
{
    int64_t nap = IPC_SHM_NAP_, until = 0;
    int rc;

    for (;;) {
        rc = ipc_shm_make(seg, name, type, size, o);
        if (rc != -EBUSY)
            return rc;
        until = until != 0 ? until : ipc_in_ms(1000);
        if (ipc_shm_wait_(until, &nap) == -ETIMEDOUT)
            return rc;
    }
}

IPC_INLINE int ipc_shm_publish(struct ipc_shm *seg, const struct ipc_shm_object *o)
{
    struct ipc_shm_entry_ *e;
    uint64_t state;

    if (seg->base == NULL)
        return ipc_shm_refuse_closed_(seg);
    if (ipc_shm_check_writable_(seg) != 0)
        return -EROFS;
    e = ipc_shm_entry_at_(seg, o->index % seg->objects);
    state = ck_pr_load_64(&e->state);
    /* Without it the object could be found before it is filled in. Partner: the fence in
     * ipc_shm_read_entry_. */
    ck_pr_fence_release();
    if ((state & ~IPC_SHM_HASH_) != (IPC_SHM_MAKING_ | seg->peer.id) ||
        !ck_pr_cas_64(&e->state, state, IPC_SHM_READY_ | (state & IPC_SHM_HASH_)))
        return ipc_shm_refuse(seg, -EINVAL, "object '%s' is not being made by this handle",
                              o->name);
    return 0;
}

/* A type as the four letters that it is made of, or as a number. */
IPC_INLINE const char *ipc_shm_type_name_(char *text, size_t size, uint32_t type)
{
    unsigned i;

    for (i = 0; i < 4; i++) {
        text[i] = (char)(type >> 8 * i & 0x7f);
        if (text[i] < 'a' || text[i] > 'z')
            break;
    }
    text[i] = '\0';
    if (i < 4)
        (void)snprintf(text, size, "%08x", type);
    return text;
}

IPC_INLINE int ipc_shm_refuse_type_(struct ipc_shm *seg, const char *name, uint32_t there,
                                    uint32_t here)
{
    char text[2][16];

    return ipc_shm_refuse(seg, -EPROTO,
                          "object '%s' has type %s there, %s here: give one of them another name",
                          name, ipc_shm_type_name_(text[0], sizeof text[0], there),
                          ipc_shm_type_name_(text[1], sizeof text[1], here));
}

IPC_INLINE int ipc_shm_find(struct ipc_shm *seg, const char *name, uint32_t type,
                            struct ipc_shm_object *o)
{
    int64_t nap = IPC_SHM_NAP_;
    uint64_t hash, state;
    uint32_t first, i, passed;
    int rc = ipc_shm_object_name_(seg, name, &hash, &first);

    if (rc != 0 || seg->base == NULL)
        return rc != 0 ? rc : ipc_shm_refuse_closed_(seg);
    for (;;) {
        for (passed = 0; passed < seg->objects; passed++) {
            i = (first + passed) % seg->objects;
            state = ck_pr_load_64(&ipc_shm_entry_at_(seg, i)->state);
            if (state == IPC_SHM_FREE_)
                break;
            if ((state & IPC_SHM_HASH_) != hash)
                continue;
            rc = ipc_shm_read_entry_(seg, i, o);
            if (rc == -EBADMSG)
                return rc;
            if (rc != 0 || strcmp(o->name, name) != 0)
                continue;
            return o->type == type ? 0 : ipc_shm_refuse_type_(seg, name, o->type, type);
        }
        rc = ipc_shm_wait_(seg->deadline, &nap);
        if (rc != 0)
            break;
    }
    return ipc_shm_refuse(seg, seg->deadline == IPC_NOW ? -ENOENT : rc,
                          "no object '%s' in the segment%s: has the program that makes it "
                          "done so? ipc_top lists what is there", name,
                          rc == -EINTR ? " until a signal came" : "");
}

#endif

#endif /* IPC_SHM_H */
