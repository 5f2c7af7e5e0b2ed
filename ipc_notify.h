/* Made by tools/amalgamate. Change these files, not this one: src/ipc_notify.h
 * src/common/version.h src/common/prelude.h src/common/linux.h src/common/peer.h
 * src/common/words.h src/common/deadline.h src/notify/reference.h src/notify/layout.h
 * src/notify/post.h src/notify/sleep.h src/notify/watch.h src/notify/wait.h src/notify/until.h
 * src/notify/loop.h src/notify/any.h */
/*
 * ipc_notify.h - sleeping until another process has done something, and waking the sleepers.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * An event count in shared memory. A post while no process sleeps is one load of one word: no
 * system call, no fence. A sleep costs nothing until it ends, and always ends with a reason: data,
 * the deadline, a signal, or the death of the peer. Needs Linux 4.16 or better for all of that,
 * falls back where a call is missing; Concurrency Kit (libck-dev) and libc; C99 to C23, C++11 to
 * C++23. With glibc before 2.34 link with -pthread. The reference of all calls follows this manual.
 *
 *     #include "ipc_notify.h"
 *
 *     struct ipc_notify bell;                       // in each process; mem: 64 zeroed shared bytes
 *     ipc_notify_attach(&bell, mem, 64, IPC_NOTIFY_FUTEX, NULL);
 *
 *     store the data;                               // one process
 *     ipc_notify_post(&bell);
 *
 *     switch (ipc_wait(&bell, ipc_in_ms(100), the data is there)) {              // another
 *     case 0:           use it;       break;
 *     case -ETIMEDOUT:  heartbeat();  break;
 *     case -EINTR:      on_signal();  break;
 *     case -EOWNERDEAD: failover();   break;        // the peer of ipc_notify_watch was killed
 *     }
 *
 * The condition is any expression: ticks_pop(&in, &t) == 0, or several at once. It is evaluated
 * again and again, at least once, and always once more after the sleep has ended for another
 * reason: data wins. Typed rings of ipc_ring.h have calls made of this: ticks_send, ticks_recv.
 *
 * In a loop of epoll, poll or io_uring a ring's bell has a descriptor, too: see ipc_notify_fd. A
 * notifier of its own, which wakes that loop alone, needs no segment:
 *
 *     ipc_notify_init(mem, 64, IPC_NOTIFY_EVENTFD); // once; then attach, with the same kind
 *     int fd = ipc_notify_fd(&bell);                // add to the loop; ipc_notify_send_fd gives it
 *     for (;;) {                                    // to the other process
 *         ipc_notify_drain(&bell);
 *         ipc_notify_arm(&bell);                    // from here on a post makes fd readable
 *         while (ticks_pop(&in, &t) == 0)
 *             trade(&t);
 *         epoll_wait(...);
 *     }
 *
 * Contract
 *   - No post is missed: either the waiter's next look at its condition sees what was stored before
 *     the post, or the post wakes it. A wake may come without a post; ipc_wait looks again.
 *   - A poster or waiter that is stopped or killed at any instruction holds up no other process. If
 *     a poster is killed between storing and waking, a waiter that watches it finds what it stored
 *     within 10 ms; one that has a deadline, or waits with the bell of a typed ring, within a
 *     second; any other with the next post.
 *   - The peer to watch is named by an id of struct ipc_peer: with ipc_shm.h, of a member of the
 *     segment. Its death is reported once, within 10 ms, on the kernel's word; waits after that are
 *     for its successor.
 *   - The shared memory is not trusted: whatever is written there, and however often, calls keep
 *     their deadlines and touch nothing else. A handle's kind is the one that attach was called
 *     with. The memory names no process and no descriptor to act on. A hostile peer can wake you
 *     for nothing, or let you sleep until your deadline.
 *   - A handle is used by one thread at a time. After fork parent and child may both go on using
 *     their copies, unless one has slept with it already.
 *
 * Caveats
 *   - A post before the data is stored comes too early: the waiter may look, find nothing, and
 *     sleep. Fix: store, then post.
 *   - ipc_notify_post_one wakes one of several that wait for the same kind of thing; with different
 *     conditions it may wake the wrong one, and if the one it woke is killed the others sleep until
 *     the next post. Fix: ipc_notify_post.
 *   - Before it sleeps ipc_wait looks 1000 times, for 20 to 50 microseconds, and keeps a thread of
 *     lower priority from running on that core. Fix: ipc_notify_policy(&bell, 0, 0), in a real-time
 *     thread that waits for one of lower priority on the same core.
 *   - A long sleep that watches for a death uses one inotify instance, one epoll and one socket,
 *     three descriptors for a segment's handle and process, however many wait. Where the user has no
 *     inotify instance left (fs.inotify.max_user_instances, often 128), peers are asked for every
 *     8 ms instead, which costs 0.05 to 1 % of a core: ipc_notify_uses lacks IPC_USES_WATCH. Fix:
 *     raise that limit.
 *   - The socket has that inotify in a message, which counts as a descriptor that is under way: where
 *     the user has more of these than RLIMIT_NOFILE permits, deaths are proven some 20 ms late.
 *   - Without ipc_shm.h, deaths come from your own struct ipc_peer: where it has no `watch`, its
 *     `alive` is asked every 8 ms, which costs 0.05 to 1 % of a core. Fix: a `watch`.
 *   - IPC_FOREVER without a peer to watch is for ever: if a poster was killed before it could wake,
 *     or its sandbox denies futexes, you sleep until the next post. A signal handler that was
 *     installed with SA_RESTART does not end that sleep either (ipc_wait_any: also with a
 *     deadline). Fix: watch the peer, or give a deadline. With the bell of a typed ring a wait
 *     looks at its condition once a second in any case.
 *   - A waiter that may only read the memory cannot ask to be woken, and looks once a millisecond,
 *     which costs 0.5 to 2 % of a core. Fix: ipc_notify_wake_unasked, at a system call for each
 *     post. It cannot wait in an event loop.
 *   - IPC_NOTIFY_SIGNAL: the signal must be blocked in all threads, as for signalfd. Both processes
 *     must be in one PID namespace, and each poster names the process itself: ipc_notify_target.
 *   - Some wakes come up to a second late, as each waiter looks by itself then: those of a poster
 *     that attached without a peer, to a waiter that watches a death and has slept for more than 4
 *     ms (fix: ipc_shm_peer for all); those of a poster whose sandbox denies futexes; those of a
 *     semaphore, when another waiter was killed as it gave the wake on (fix: futexes, or a
 *     semaphore for each waiter).
 *   - IPC_NOTIFY_EVENTFD is for peers that you trust: whoever has the eventfd, too, can let a post
 *     block. Fix: the bell of a ring in a segment, of which each process has a descriptor of its own;
 *     or auto: of ipc_channel.h, which wakes over its socket.
 *   - IPC_NOTIFY_SEMAPHORE is for peers that you trust: its memory is libc's, which may end the
 *     process where a hostile peer has written to it. Fix: futexes.
 *
 * How it works
 *   All is in one word: a count that every wake moves on, and flags.
 *
 *       waiter: set ASLEEP ........ look again ........ futex_wait(word as it was set)
 *       poster: store, load word; if ASLEEP: count + 1, ASLEEP off, futex_wake
 *
 *   Two processors may each do their store and not yet see the other's: the waiter misses the data
 *   and the poster the flag. A full fence on both sides forbids that. It costs the poster more than
 *   all the rest, so it is asymmetric: the waiter, having set its flag, has the kernel fence every
 *   processor that runs a poster (membarrier, global expedited), and posters fence nothing. That
 *   call is dear where waiters sleep often, so it is turned round while they do: posters fence, and
 *   waiters call nothing.
 *
 *   The rules stand once each, with a table of what may change, at the top of their part of this
 *   file:
 *
 *       >>layout    the word: what sets and clears each flag, and why no wake is missed
 *       >>watch     threads that sleep long: one polls for deaths, the others follow it
 *       >>wait      the states of a waiter: awake, prepared, on the futex, following, in poll
 *
 *   Event counts: D. P. Reed, R. K. Kanodia, "Synchronization with Eventcounts and Sequencers",
 *   1979. Futexes: U. Drepper, "Futexes Are Tricky", 2011. The fence for one side only:
 *   M. Desnoyers, membarrier(2), and D. Dice, H. Huang, M. Yang, "Asymmetric Dekker
 *   Synchronization", 2001.
 */
#ifndef IPC_NOTIFY_H
#define IPC_NOTIFY_H 1

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

/* >>reference  src/notify/reference.h */
/* Reference: all types, constants and functions of ipc_notify.h that a program uses. */
#ifndef IPC_SRC_NOTIFY_REFERENCE_H
#define IPC_SRC_NOTIFY_REFERENCE_H 1

/*
 * What holds for all functions below
 *   - They return 0, or a negative errno, where nothing else is said.
 *   - A handle is used by one thread at a time. Only ipc_notify_post and ipc_notify_post_one may
 *     also be called in a signal handler, while the same thread uses the handle; not for the kind
 *     IPC_NOTIFY_SIGNAL.
 *   - Deadlines are those of ipc_clock: ipc_in_ms, IPC_NOW, IPC_FOREVER.
 *   - A function blocks only where its comment says so. A peer that is stopped or killed at any
 *     instruction holds up such a function until its deadline, and no other function.
 */

/* ------------------------------------------------------------------ the shared memory */

#define IPC_NOTIFY_SIZE 64u         /* bytes of a notifier, aligned to 8; best a line of its own */
#define IPC_NOTIFY_TYPE 0x6c6c6562u /* "bell": the type for objects of ipc_shm.h */
#define IPC_NOTIFY_MANY 128u        /* notifiers that ipc_wait_any waits on at once, at most */

/* How a notifier wakes. All kinds but the semaphore wake ipc_wait by futex; the third and the
 * fourth also have a descriptor for event loops. */
#define IPC_NOTIFY_FUTEX 0u     /* zeroed memory is one */
#define IPC_NOTIFY_SEMAPHORE 1u /* a POSIX semaphore, process-shared */
#define IPC_NOTIFY_EVENTFD 2u   /* an eventfd, or a pair of sockets where there is none */
#define IPC_NOTIFY_SIGNAL 3u    /* a queued real-time signal, read from a signalfd */

/* How processes sleep: ipc_notify_was_asleep. */
#define IPC_SLEEPS_BRIEFLY 1 /* on the futex or semaphore, for the time being */
#define IPC_SLEEPS_LONG 2    /* in poll */
#define IPC_SLEEPS_LOOP 4    /* in an event loop */

/* What this process uses: ipc_notify_uses. What is missing is replaced by the next best. */
#define IPC_USES_FUTEX 1u      /* else naps of a millisecond */
#define IPC_USES_MEMBARRIER 2u /* else a full fence in each post. Known after the first sleep */
#define IPC_USES_WAITV 4u      /* else poll, or naps, for ipc_wait_any */
#define IPC_USES_WATCH 8u      /* deaths are reported by descriptors, else asked for every 8 ms */
#define IPC_USES_EVENTFD 16u   /* else a pair of sockets */
#define IPC_USES_PIDFD 32u     /* signals reach no reused pid, else almost none */

struct ipc_notify_shared;

/* ------------------------------------------------------------------ handles */

/* What a waiter keeps from one sleep to the next. */
struct ipc_notify_kept_ {
    int is_brisk;     /* it was posted to soon after it had begun to poll */
    int must_ask;     /* no descriptor of struct ipc_watch: ask whether the watched are alive */
    int64_t asked_at; /* when it was asked last, in a series of short sleeps */
};

/* A notifier, as this thread uses it. No field is for the caller. */
struct ipc_notify {
    struct ipc_notify_shared *at; /* NULL: not attached */
    uint32_t kind;
    uint32_t uses;
    unsigned quiet;        /* posts since one found a sleeper */
    unsigned spin, yield;  /* of ipc_notify_policy */
    int fd;                /* readable when armed and posted */
    int post_fd;           /* what posts write to */
    pid_t target;          /* the process that posts signal; 0: none */
    int target_fd;         /* a pidfd of target */
    int number;            /* the signal for target */
    uint64_t watched;      /* id of the peer that is watched; 0: none */
    uint64_t reported;     /* id of the peer whose death was reported */
    int asks_anew;         /* `watched` is another than at the last question */
    uint32_t heard;        /* struct ipc_watch's news at that */
    int loop_fd;           /* of struct ipc_watch's loop; -1: not open */
    struct ipc_last_ last; /* has that, too */
    int watches_anyone;    /* ipc_notify_watch_anyone was called */
    int anyone_died;       /* a member may have died since ipc_notify_anyone_died */
    int asks;              /* the next look in vain asks for deaths: an event loop was woken */
    int napped;            /* has slept without membarrier */
    int read_only;         /* the memory may not be written: see layout.h */
    int looks_each_second; /* a program that posts nothing may be at the other end of the ring */
    struct ipc_notify_kept_ kept;
    struct { /* of struct ipc_peer */
        int (*alive)(void *, uint64_t);
        struct ipc_watch *watch;
        void (*stir)(void *);
        void *arg;
    } peer;
};

/* Notifiers to wait on together. It keeps which is next to be looked at, so use one for as long as
 * these are waited on. No field is for the caller. */
struct ipc_any {
    struct ipc_notify *const *all;
    unsigned count;
    unsigned next; /* the first to be looked at */
    struct ipc_notify_kept_ kept;
};

/* ------------------------------------------------------------------ init, attach and detach */

/*
 * Makes a notifier of the given kind in mem[0..size), which no process may be using. Zeroed memory
 * is one of kind IPC_NOTIFY_FUTEX without this call. Wait-free.
 *
 *   0
 *   -EINVAL  mem is NULL or not aligned to 8 bytes, or size is less than IPC_NOTIFY_SIZE, or there
 *            is no such kind
 *   -ENOSYS  there are no process-shared semaphores
 */
IPC_INLINE int ipc_notify_init(void *mem, size_t size, unsigned kind);

/*
 * Attaches to the notifier in mem[0..size), to post and to wait. `kind` is the one that it was made
 * with; the program has to know it, as the memory is only compared with it. `me` says which other
 * processes are alive, and is copied: with ipc_shm.h it is ipc_shm_peer(&seg), and seg must stay
 * open; NULL where no death is of interest. Registers the process for membarrier, which interrupts
 * no other process. Lock-free.
 *
 *   0
 *   -EINVAL  as of ipc_notify_init
 *   -EPROTO  the memory says another kind, or a semaphore of another libc (glibc, musl; 32 and 64
 *            bits), or is no notifier
 *   -EROFS   IPC_NOTIFY_SEMAPHORE: this process may only read the memory (IPC_PEER_READ_ONLY)
 */
IPC_INLINE int ipc_notify_attach(struct ipc_notify *n, void *mem, size_t size, unsigned kind,
                                 const struct ipc_peer *me);

/* Closes the descriptors that the handle has opened. Other processes sleep on, and the shared part
 * stays; it must still be there. Does nothing when the handle is not attached. */
IPC_INLINE void ipc_notify_detach(struct ipc_notify *n);

/*
 * How long ipc_wait looks at its condition before it sleeps: first `spin` looks with a ck_pr_stall
 * between them (20 to 50 ns each, and a core is busy as long), then `yield` looks with a
 * sched_yield (0.2 to 1 microsecond each, in which other threads run). Then it sleeps, and waking
 * up takes 1 to 60 microseconds. Default: 1000 and 0; 50 and 50 in a thread that may run on one
 * core only, where the peer may have to run, too. Looking longer than waking up takes does not pay.
 * If the peer wakes often, looking less than that makes both sleep for each message. Wait-free.
 */
IPC_INLINE void ipc_notify_policy(struct ipc_notify *n, unsigned spin, unsigned yield);

/*
 * How processes sleep on the notifier in mem[0..size), for a monitor that does not attach to it, and
 * may only read: a sum of IPC_SLEEPS_*, 0 where nobody sleeps. The notifier does not know how many
 * they are, nor which; a process that only reads, and one that was killed and nobody woken since,
 * are not told apart from none and from a sleeper. Wait-free.
 *
 *   -EINVAL  mem is NULL or not 8-byte aligned, or size is less than IPC_NOTIFY_SIZE
 */
IPC_INLINE int ipc_notify_was_asleep(const void *mem, size_t size);

/* What this process uses, as a sum of IPC_USES_*. The last three are known after the first long
 * sleep, the first call of ipc_notify_fd, and the first signal. Wait-free. */
IPC_INLINE uint32_t ipc_notify_uses(const struct ipc_notify *n);

/* ------------------------------------------------------------------ watching for deaths */

/* From now on waits end with -EOWNERDEAD when the peer `id` dies; 0: with no death. A peer whose
 * death this handle has reported is not watched again. Does nothing without struct ipc_peer's
 * alive. Wait-free. */
IPC_INLINE void ipc_notify_watch(struct ipc_notify *n, uint64_t id);

/* From now on waits also look at their condition when any member may have died: within 10 ms, or a
 * second if the dead member left its descriptors to children. They do not end for that: the
 * condition asks ipc_notify_anyone_died, and then which of the peers that matter to it are alive. The
 * first answer is that one may have died, as one may have before this call. Wait-free. */
IPC_INLINE void ipc_notify_watch_anyone(struct ipc_notify *n);

/* 1 when a member may have died since the last call, else 0. Wait-free. */
IPC_INLINE int ipc_notify_anyone_died(struct ipc_notify *n);

/* ------------------------------------------------------------------ posting */

/*
 * Wakes all waiters of the notifier. To be called after the data that they wait for was stored. One
 * load while no process sleeps; a fence besides while processes sleep often; else a system call or
 * two. Lock-free. A waiter that is stopped or killed costs one system call at most.
 *
 *   0
 *   -EINVAL  the handle is not attached
 *   -EROFS   this process may only read the memory, and there is a waiter to wake
 *   -ESRCH   IPC_NOTIFY_SIGNAL: this handle names no process (ipc_notify_target), or the process is
 *            gone
 *   -EPERM   IPC_NOTIFY_SIGNAL: the process is another user's, or does not block the signal
 *   -ENOENT  IPC_NOTIFY_EVENTFD: this handle has no descriptor, see ipc_notify_recv_fd
 *   -EBADF   IPC_NOTIFY_EVENTFD: something else has closed the descriptor
 *   -EPIPE   IPC_NOTIFY_EVENTFD: nobody has the other one of the pair of sockets; no SIGPIPE
 *   The last five come only when an event loop is to be woken, and after the other waiters were.
 */
IPC_FORCE_INLINE int ipc_notify_post(struct ipc_notify *n);

/* Wakes at least one of the waiters that sleep in ipc_wait; semaphores and descriptors wake all.
 * For waiters that all wait for the same thing. Otherwise as ipc_notify_post. */
IPC_FORCE_INLINE int ipc_notify_post_one(struct ipc_notify *n);

/*
 * From now on each post, of any handle of this notifier, also wakes waiters that may only read the
 * memory (IPC_PEER_READ_ONLY) and so cannot ask to be woken. Costs each post a system call and two
 * compare-and-swaps, whether or not there are such waiters. Without it these look once a
 * millisecond. It cannot be taken back. Lock-free.
 *
 *   0
 *   -EINVAL  the handle is not attached, or is of IPC_NOTIFY_SEMAPHORE, to which they cannot attach
 *   -EROFS   this process may only read the memory
 */
IPC_INLINE int ipc_notify_wake_unasked(struct ipc_notify *n);

/*
 * IPC_NOTIFY_SIGNAL: from now on posts of this handle send the real-time signal `number` to the
 * process `pid`, which has called ipc_notify_listen before. Take its pid from fork, from
 * SO_PEERCRED or from your configuration, not from shared memory, where a hostile peer may name
 * another process. After an error posts of this handle signal no process. Wait-free.
 *
 *   0
 *   -EINVAL  the handle is not attached, or not of that kind, or pid is not positive, or number is
 *            no real-time signal
 *   -ESRCH   there is no such process
 *   -EPERM   it is another user's, or does not block the signal
 */
IPC_INLINE int ipc_notify_target(struct ipc_notify *n, pid_t pid, int number);

/* ------------------------------------------------------------------ waiting, in one line */

/*
 *     int ipc_wait(struct ipc_notify *n, int64_t deadline, condition);
 *
 * A macro. Looks at the condition until it holds: spinning, then yielding, then asleep, as
 * ipc_notify_policy says. The condition is an expression that is evaluated in the caller's scope,
 * at least once, also when the deadline has passed, and once more after the sleep has ended for
 * another reason. Blocking, until the deadline. A poster that is killed between storing and waking:
 * see the contract above.
 *
 *   0            the condition holds; it was evaluated to true once, and last
 *   -ETIMEDOUT   the deadline has passed, and the condition did not hold after that
 *   -EINTR       a signal handler ran during the sleep, and the condition did not hold after that.
 *                One that runs between the last look and the sleep does not end it. A handler that
 *                sets a flag calls ipc_notify_post(n) then, and the condition asks for the flag
 *   -EOWNERDEAD  the peer that is watched is dead, or has left, and the condition did not hold
 *                after that; reported once
 *   -EINVAL      the condition does not hold, and the handle is not attached, or the deadline is no
 *                absolute time (IPC_NOW)
 */

/*
 *     int ipc_wait_any(struct ipc_any *any, int64_t deadline, i, condition);
 *
 * A macro. As ipc_wait, for any of many. The condition is about number i, an unsigned variable of
 * the caller, and is evaluated for each in turn, beginning behind the one that was found last. So
 * none waits for ever behind a busy one:
 *
 *     unsigned i;
 *     rc = ipc_wait_any(&any, deadline, i, ticks_pop(&in[i], &t) == 0);
 *
 * After 0 it holds for number i. After -EOWNERDEAD the dead peer is the one that number i watches.
 */

/*
 * Prepares `any` for waiting on the `count` notifiers all[0..count), which must stay attached, and
 * where they are, as long as it is used.
 *
 *   0
 *   -EINVAL  count is 0, or more than IPC_NOTIFY_MANY
 */
IPC_INLINE int ipc_any_init(struct ipc_any *any, struct ipc_notify *const *all, unsigned count);

/* Ends the use of `any`, which holds no descriptors, not that of the notifiers. */
IPC_INLINE void ipc_any_close(struct ipc_any *any);

/* ------------------------------------------------------------------ waiting, piece by piece */

/* Announces a sleep. Look at the condition after it; then call ipc_notify_wait with what it
 * returned, or go on without. Lock-free. */
IPC_INLINE uint32_t ipc_notify_prepare(struct ipc_notify *n);

/*
 * Sleeps, unless there was a post since the ipc_notify_prepare that returned `key`. Blocking. A
 * peer that is stopped or killed holds it up until the deadline at most; one that is watched and
 * killed, for 10 ms at most. (Wakes that come more often than that keep it from noticing a death.
 * ipc_wait, which knows that they bring nothing, notices it all the same.)
 *
 *   0            posted, or woken for nothing: look at the condition, and prepare again
 *   -ETIMEDOUT   the deadline has passed, whether or not there was a post
 *   -EINTR       a signal handler ran
 *   -EOWNERDEAD  the peer that is watched is dead, or has left; reported once
 *   -EINVAL      the handle is not attached, or the deadline is no absolute time (IPC_NOW)
 */
IPC_INLINE int ipc_notify_wait(struct ipc_notify *n, uint32_t key, int64_t deadline);

/* ------------------------------------------------------------------ waiting in an event loop */

/*
 * The descriptor to add to an event loop, for reading; made by the first call. ipc_notify_detach
 * closes it. For IPC_NOTIFY_EVENTFD it is what posters write to: give it to them by fork or
 * ipc_notify_send_fd, and use one notifier for each loop, as the first loop to drain it takes all.
 * For IPC_NOTIFY_SIGNAL it is the signalfd of ipc_notify_listen. For the other kinds, so for the
 * bell of a typed ring, it is one of struct ipc_watch's loop: it becomes readable, too, for posts
 * to others in the same segment, and when a member dies. Let the loop look once a second as well,
 * as for ipc_wait: see the caveats. Drain, arm, then look until nothing is there, then poll:
 *
 *     for (;;) {
 *         ipc_notify_drain(ticks_consumer_bell(&in));
 *         ipc_notify_arm(ticks_consumer_bell(&in));
 *         while ((rc = ticks_recv(&in, &t, IPC_NOW)) == 0)
 *             trade(&t);
 *         if (rc != -ETIMEDOUT)              // -EOWNERDEAD, -EPIPE: the producer has gone
 *             break;
 *         epoll_wait(loop, events, 16, 1000);
 *     }
 *
 *   >= 0     the descriptor
 *   -EINVAL  the handle is not attached; or, where the kind has no descriptor, it was attached
 *            without a struct ipc_peer that has watch and stir
 *   -EROFS   this process may only read the memory: let the loop look at intervals, or a thread
 *            wait
 *   -ENOENT  IPC_NOTIFY_SIGNAL: ipc_notify_listen was not called, or signalfd is missing: use
 *            sigtimedwait
 *   -EMFILE, -ENFILE, -ENOMEM  as of eventfd, and socketpair; and what struct ipc_watch's loop says
 */
IPC_INLINE int ipc_notify_fd(struct ipc_notify *n);

/*
 * IPC_NOTIFY_SIGNAL: from now on ipc_notify_fd of this handle is a descriptor for the real-time
 * signal `number`, which all threads of the process must block. Posters name the process by
 * ipc_notify_target, after this call.
 *
 *   0        also where signalfd is missing: ipc_notify_fd is -ENOENT then
 *   -EINVAL  the handle is not attached, or not of that kind, or number is no real-time signal, or
 *            this thread does not block it
 *   -EMFILE, -ENFILE, -ENOMEM  as of signalfd
 */
IPC_INLINE int ipc_notify_listen(struct ipc_notify *n, int number);

/* Announces that a loop is about to poll the descriptor. Look at the condition after it, and before
 * polling. The next post makes the descriptor readable. Lock-free. */
IPC_INLINE void ipc_notify_arm(struct ipc_notify *n);

/* Reads the descriptor empty; otherwise it stays readable. Where it is one of struct ipc_watch's
 * loop, and there was no post, the next wait with this handle asks for deaths, also one with
 * IPC_NOW: a death is reported within a second, if the loop looks that often. Wait-free. */
IPC_INLINE void ipc_notify_drain(struct ipc_notify *n);

/*
 * IPC_NOTIFY_EVENTFD: gives the peer the descriptor over a connected Unix socket. Blocks as the
 * socket does.
 *
 *   0
 *   -EINVAL  the handle is not attached, or not of that kind
 *   -EPIPE   the other end is closed; there is no SIGPIPE
 *   -EAGAIN  the socket does not block, and its buffer is full
 *   -EIO     the socket took a part of the message
 *   and what eventfd, socketpair and sendmsg say
 */
IPC_INLINE int ipc_notify_send_fd(struct ipc_notify *n, int socket);

/*
 * IPC_NOTIFY_EVENTFD: takes the descriptor that the peer gives by ipc_notify_send_fd. Waits for it
 * until the deadline. The descriptor that the handle had before is closed.
 *
 *   0
 *   -ETIMEDOUT  nothing came until the deadline
 *   -EINTR      a signal handler ran
 *   -EPIPE      the peer closed the socket
 *   -EPROTO     something else came
 *   -EINVAL     the handle is not attached, or not of that kind, or the deadline is no absolute time
 *               (IPC_NOW)
 *   and what poll and recvmsg say
 */
IPC_INLINE int ipc_notify_recv_fd(struct ipc_notify *n, int socket, int64_t deadline);

#endif

/* >>layout  src/notify/layout.h */
/*
 * The notifier's word: a count in its upper 24 bits, and flags.
 *
 *   change                    by which process, how
 *   -----------------------   --------------------------------------------------------------------
 *   ASLEEP: 0 -> 1            a waiter, before its last look at the condition and its sleep: CAS,
 *                             atomic-load fence, and membarrier unless the word is FENCED
 *   ARMED: 0 -> 1             the same, before an event loop polls
 *   DOZING: 0 -> 1            a waiter that has set ASLEEP, as it moves from the futex to poll, if
 *                             the word has not changed since: CAS. The fences of ASLEEP serve it,
 *                             too. Or as ARMED, where the kind has no descriptor of its own
 *   all three -> 0,           a poster that finds one of them, WAKING or UNASKED: CAS. Before it,
 *   WAKING -> 1, count + 1    it has stored its data, and fenced: by a store-load fence, or by a
 *                             waiter's membarrier. After it, it calls the kernel for each flag
 *                             found, for all three where it found WAKING, and for the futex where
 *                             it found UNASKED
 *   count + 1                 ipc_notify_post_one, where it finds ASLEEP alone: CAS. Then it has
 *                             the kernel wake one. If none sleeps on the futex, it goes on as above
 *   WAKING: 1 -> 0            the poster that set it, once it has called the kernel, if the count
 *                             has not changed since: CAS. Flags of waiters that came meanwhile stay
 *   FENCING: 0 -> 1           a waiter, in the CAS of ASLEEP or ARMED, where the word is neither
 *                             FENCING nor FENCED. Or, with FIXED, a process without membarrier
 *   FENCING -> FENCED         a waiter, after its membarrier, if the word has not changed since its
 *                             CAS of ASLEEP or ARMED: CAS
 *   FENCING, FENCED -> 0,     a poster, after 64 posts in a row that found no sleeper, where FIXED
 *   count + 1                 is not set: CAS
 *   FIXED: 0 -> 1             a process that cannot call membarrier, as it attaches or waits: CAS.
 *                             It stays for good
 *   UNASKED: 0 -> 1           the process that makes the notifier, or ipc_notify_wake_unasked. It
 *                             stays for good
 *
 * WAKING says that a poster may have been killed between taking the flags off and calling the
 * kernel. A later poster that finds it calls the kernel in its place.
 *
 * No wake is missed. A waiter sets its flag, then looks; a poster stores, then loads the word. In
 * between each needs a full fence, or the waiter could miss the data and the poster the flag. The
 * fence of a post would cost more than all the rest of it. So there are two modes:
 *
 *       posters do not fence    -- waiter sets its flag -->        FENCING: posters fence,
 *       waiters call membarrier                                    waiters call membarrier
 *            ^                                                          | same waiter, after
 *            |                                                          v membarrier: CAS
 *            '------ poster, after 64 posts that found no --------- FENCED: posters fence,
 *                    sleeper: CAS, count + 1                        waiters call nothing
 *
 * FENCED must not be set before a membarrier: until then a poster may be under way that did not see
 * FENCING, and does not fence. Nor may it outlive the turn that it belongs to; turning back counts,
 * so that the CAS of a waiter from before it fails.
 *
 * A waiter that may only read the memory (IPC_PEER_READ_ONLY) sets no flag. If the word is UNASKED,
 * each post changes the word and wakes, as if ASLEEP was set. Then such a waiter loads the word,
 * looks, and sleeps on the futex with what it loaded: what was stored before the word changed, its
 * look has found, and after that the kernel does not let it sleep. If the word is not UNASKED, it
 * naps for a millisecond between two looks.
 *
 * A process without membarrier sets FIXED, and naps for a millisecond before its first sleep: posts
 * that began unfenced are over then. It never sets FENCED, as others may still have to fence.
 *
 * A poster that has no `stir` wakes nobody from poll. Such handles are counted in `deaf`, by
 * fetch-and-add at attach and detach, and while there are any no waiter begins to doze. One that is
 * killed stays counted: waiters then do what they do without a `watch`.
 *
 * A hostile peer that rewrites the word all the time makes a CAS fail for ever. After a thousand
 * tries each loop gives up; the peer could undo what we store as well.
 */
#ifndef IPC_SRC_NOTIFY_LAYOUT_H
#define IPC_SRC_NOTIFY_LAYOUT_H 1

#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

/* ------------------------------------------------------------------ layout */

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_notify_shared {
    uint32_t word;   /* see the top */
    uint32_t kind;   /* of ipc_notify_kind_in_memory_; constant after init; attach compares it */
    uint64_t deaf;   /* handles of processes that cannot stir: do not rely on it */
    union {
        sem_t sem;
        unsigned char room[40];
    } u;               /* IPC_NOTIFY_SEMAPHORE: a token wakes one sleeper, which gives it on */
    uint64_t sleepers; /* on the semaphore. Each counts itself; one that is killed stays counted */
};

typedef char ipc_notify_assert_size[sizeof(struct ipc_notify_shared) == IPC_NOTIFY_SIZE ? 1 : -1];

#define IPC_NOTIFY_KINDS_ 4u

#define IPC_NOTIFY_ASLEEP_ 1u   /* a waiter sleeps on the futex or semaphore, or is about to */
#define IPC_NOTIFY_DOZING_ 2u   /* a waiter sleeps in poll; struct ipc_peer's stir wakes it */
#define IPC_NOTIFY_ARMED_ 4u    /* a waiter sleeps in an event loop, on the notifier's descriptor */
#define IPC_NOTIFY_WAKING_ 8u   /* a poster is about to wake them, or was killed then */
#define IPC_NOTIFY_FENCING_ 16u /* posters fence, waiters call membarrier */
#define IPC_NOTIFY_FENCED_ 32u  /* posters fence, waiters need not */
#define IPC_NOTIFY_FIXED_ 64u   /* posters fence for good: a process has no membarrier */
#define IPC_NOTIFY_UNASKED_ 128u /* posts wake all on the futex: those who may only read, too */
#define IPC_NOTIFY_COUNT_ 256u  /* the count starts here */
#define IPC_NOTIFY_SLEEPERS_                                                                       \
    (IPC_NOTIFY_ASLEEP_ | IPC_NOTIFY_DOZING_ | IPC_NOTIFY_ARMED_ | IPC_NOTIFY_WAKING_)
#define IPC_NOTIFY_FENCE_ (IPC_NOTIFY_FENCING_ | IPC_NOTIFY_FENCED_)
#define IPC_NOTIFY_WAKES_ (IPC_NOTIFY_SLEEPERS_ | IPC_NOTIFY_UNASKED_) /* a post calls the kernel */
#define IPC_NOTIFY_HEED_ (IPC_NOTIFY_WAKES_ | IPC_NOTIFY_FENCE_) /* a post has more to do */

#define IPC_NOTIFY_QUIET_ 64u                /* posts that found no sleeper, to turn back after */
#define IPC_NOTIFY_SHORT_ INT64_C(4000000)   /* ns on the futex before poll */
#define IPC_NOTIFY_SLICE_ INT64_C(8000000)   /* ns between asking whether a peer is alive */
#define IPC_NOTIFY_NAP_ INT64_C(1000000)     /* ns, where nothing better is to be had */
#define IPC_NOTIFY_BRISK_ INT64_C(64000000)  /* ns on the futex before poll, of a brisk waiter */
#define IPC_NOTIFY_FEW_ 16u                  /* notifiers of a brisk waiter, at most */
#define IPC_NOTIFY_LONG_ INT64_C(1000000000) /* ns, the longest sleep between two looks */
#define IPC_NOTIFY_TRIES_ 1000u              /* of a compare-and-swap, some 0.1 ms */

/* ------------------------------------------------------------------ system calls */

IPC_INLINE int ipc_notify_futex_(const uint32_t *word, int op, uint32_t value,
                                 const struct timespec *until)
{
#ifdef SYS_futex
    /* Never FUTEX_PRIVATE_FLAG; FUTEX_WAIT_BITSET, whose time is absolute and monotonic. */
    long rc = syscall(SYS_futex, word, op, value, until, NULL, 0xffffffffu);

    return rc >= 0 ? (int)rc : -errno;
#else
    (void)word, (void)op, (void)value, (void)until;
    return -ENOSYS;
#endif
}

#define IPC_NOTIFY_FUTEX_WAKE_ 1
#define IPC_NOTIFY_FUTEX_WAIT_ 9 /* FUTEX_WAIT_BITSET */

#define IPC_NOTIFY_BARRIER_ 2  /* MEMBARRIER_CMD_GLOBAL_EXPEDITED */
#define IPC_NOTIFY_REGISTER_ 4 /* MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED */

IPC_INLINE int ipc_notify_membarrier_(int command)
{
#ifdef SYS_membarrier
    return syscall(SYS_membarrier, command, 0, 0) == 0 ? 0 : -errno;
#else
    (void)command;
    return -ENOSYS;
#endif
}

/* One of the futexes of futex_waitv, as the kernel lays it out. */
struct ipc_notify_futex_of_many_ {
    uint64_t value, address;
    uint32_t flags, reserved;
};

/* Of a word that may be shared with other processes, as it is expected to be. */
IPC_INLINE struct ipc_notify_futex_of_many_ ipc_notify_futex_of_(const uint32_t *word,
                                                                 uint32_t value)
{
    struct ipc_notify_futex_of_many_ futex;

    futex.value = value;
    futex.address = (uint64_t)(uintptr_t)word;
    futex.flags = 2; /* FUTEX2_SIZE_U32, not private */
    futex.reserved = 0;
    return futex;
}

IPC_INLINE int ipc_notify_waitv_(struct ipc_notify_futex_of_many_ *all, unsigned n,
                                 const struct timespec *until)
{
    long rc;

    if (sizeof(long) != 8)
        return -ENOSYS;
    /* The same number on every architecture but Alpha. */
    rc = syscall(449, all, n, 0, until, CLOCK_MONOTONIC);
    return rc >= 0 ? (int)rc : -errno;
}

IPC_INLINE struct timespec ipc_notify_time_(int64_t deadline)
{
    struct timespec t;

    t.tv_sec = (time_t)(deadline / 1000000000);
    t.tv_nsec = (long)(deadline % 1000000000);
    return t;
}

/* ------------------------------------------------------------------ init, attach and detach */

/* The kind as it stands in memory. Each libc has a semaphore of its own: glibc's with 64 bits and
 * with 32, and musl's, differ. */
IPC_INLINE uint32_t ipc_notify_kind_in_memory_(unsigned kind)
{
    uint32_t libc = sizeof(long) == 8 ? 0 : 256;

#ifndef __GLIBC__
    libc += 512;
#endif
    return kind == IPC_NOTIFY_SEMAPHORE ? kind + libc : kind;
}

IPC_INLINE int ipc_notify_init(void *mem, size_t size, unsigned kind)
{
    struct ipc_notify_shared *s = (struct ipc_notify_shared *)mem;

    if (mem == NULL || (uintptr_t)mem % 8 != 0 || size < sizeof *s || kind >= IPC_NOTIFY_KINDS_)
        return -EINVAL;
    memset(mem, 0, sizeof *s);
    if (kind == IPC_NOTIFY_SEMAPHORE && sem_init(&s->u.sem, 1, 0) != 0)
        return -errno;
    s->kind = ipc_notify_kind_in_memory_(kind);
    return 0;
}

/* May this thread run on one processor only? The peer may then have to run there, too. */
IPC_INLINE int ipc_notify_has_one_processor_(void)
{
    unsigned long set[128];
    long i, bytes = syscall(SYS_sched_getaffinity, 0, sizeof set, set);
    unsigned count = 0;

    for (i = 0; i < bytes / (long)sizeof set[0] && count < 2; i++)
        for (; set[i] != 0 && count < 2; set[i] &= set[i] - 1)
            count++;
    return count == 1;
}

/* What ipc_notify_probe_ has found, and above that the pid of the process that has asked. */
__attribute__((unused)) static uint64_t ipc_notify_probed_;

/* Asks the kernel what this process may use, and registers it for membarrier: once, and again in a
 * child, which may be in another sandbox. What is denied later, the first sleep finds out. */
IPC_INLINE uint32_t ipc_notify_probe_(void)
{
    uint64_t probed = ck_pr_load_64(&ipc_notify_probed_);
    uint32_t pid = (uint32_t)getpid(), word = 0, uses = 0;

    if (probed >> 32 == pid)
        return (uint32_t)probed;
    if (ipc_notify_futex_(&word, IPC_NOTIFY_FUTEX_WAKE_, 1, NULL) >= 0)
        uses |= IPC_USES_FUTEX;
    if (ipc_notify_waitv_(NULL, 0, NULL) == -EINVAL) /* for no futexes: the call is there */
        uses |= IPC_USES_WAITV;
    /* Not a try of the other command, which would interrupt all that have attached to any notifier.
     * Linux has both or none. The kernel asks only for processors of this process. */
    if (ipc_notify_membarrier_(IPC_NOTIFY_REGISTER_) == 0)
        uses |= IPC_USES_MEMBARRIER;
    ck_pr_store_64(&ipc_notify_probed_, (uint64_t)pid << 32 | uses);
    return uses;
}

/* Adds flags to the word, whatever else happens to it. */
IPC_INLINE void ipc_notify_set_flags_(struct ipc_notify *n, uint32_t flags)
{
    unsigned tries;

    for (tries = 0; tries < IPC_NOTIFY_TRIES_; tries++) {
        uint32_t w = ck_pr_load_32(&n->at->word);

        if ((w & flags) == flags || ck_pr_cas_32(&n->at->word, w, w | flags))
            return;
    }
}

/* Tells the waiters of the notifier that the handle points at what this process lacks. A handle that
 * is pointed at several in turn stays counted as deaf at all but the last. */
IPC_INLINE void ipc_notify_set_lacks_(struct ipc_notify *n)
{
    if (n->read_only)
        return;
    if (n->peer.stir == NULL)
        (void)ck_pr_faa_64(&n->at->deaf, 1);
    if ((n->uses & IPC_USES_MEMBARRIER) == 0)
        ipc_notify_set_flags_(n, IPC_NOTIFY_FENCING_ | IPC_NOTIFY_FIXED_); /* have posts fenced */
}

IPC_INLINE int ipc_notify_attach(struct ipc_notify *n, void *mem, size_t size, unsigned kind,
                                 const struct ipc_peer *me)
{
    struct ipc_notify_shared *s = (struct ipc_notify_shared *)mem;

    memset(n, 0, sizeof *n);
    n->fd = n->post_fd = n->target_fd = n->loop_fd = -1;
    n->yield = ipc_notify_has_one_processor_() ? 50 : 0;
    n->spin = n->yield != 0 ? 50 : 1000;
    if (mem == NULL || (uintptr_t)mem % 8 != 0 || size < sizeof *s || kind >= IPC_NOTIFY_KINDS_)
        return -EINVAL;
    if (ck_pr_load_32(&s->kind) != ipc_notify_kind_in_memory_(kind))
        return -EPROTO;
    n->kind = kind;
    n->at = s;
    if (me != NULL) {
        n->peer.alive = me->alive;
        n->peer.watch = me->watch;
        n->peer.stir = me->stir;
        n->peer.arg = me->arg;
        n->read_only = n->looks_each_second = me->id == IPC_PEER_READ_ONLY;
    }
    if (n->read_only && kind == IPC_NOTIFY_SEMAPHORE) {
        n->at = NULL;
        return -EROFS;
    }
    n->uses = ipc_notify_probe_();
    ipc_notify_set_lacks_(n);
    return 0;
}

IPC_INLINE void ipc_notify_detach(struct ipc_notify *n)
{
    int *const fds[] = {&n->fd, &n->post_fd, &n->target_fd, &n->loop_fd};
    size_t i;

    if (n->at == NULL)
        return;
    if (n->peer.stir == NULL && !n->read_only && ck_pr_load_64(&n->at->deaf) > 0)
        (void)ck_pr_faa_64(&n->at->deaf, UINT64_MAX);
    if (n->post_fd == n->fd)
        n->post_fd = -1;
    ipc_close_last_(&n->last);
    for (i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            (void)close(*fds[i]);
        *fds[i] = -1;
    }
    n->asks = 0;
    n->at = NULL;
}

IPC_INLINE void ipc_notify_policy(struct ipc_notify *n, unsigned spin, unsigned yield)
{
    n->spin = spin;
    n->yield = yield;
}

IPC_INLINE int ipc_notify_wake_unasked(struct ipc_notify *n)
{
    if (n->at == NULL || n->kind == IPC_NOTIFY_SEMAPHORE)
        return -EINVAL;
    if (n->read_only)
        return -EROFS;
    ipc_notify_set_flags_(n, IPC_NOTIFY_UNASKED_);
    return 0;
}

IPC_INLINE int ipc_notify_was_asleep(const void *mem, size_t size)
{
    const struct ipc_notify_shared *s = (const struct ipc_notify_shared *)mem;

    if (mem == NULL || (uintptr_t)mem % 8 != 0 || size < sizeof *s)
        return -EINVAL;
    return (int)(ck_pr_load_32(&s->word) &
                 (IPC_NOTIFY_ASLEEP_ | IPC_NOTIFY_DOZING_ | IPC_NOTIFY_ARMED_));
}

IPC_INLINE uint32_t ipc_notify_uses(const struct ipc_notify *n)
{
    return n->uses;
}

/* ------------------------------------------------------------------ watching for deaths */

IPC_INLINE void ipc_notify_watch(struct ipc_notify *n, uint64_t id)
{
    id = id == n->reported || n->peer.alive == NULL ? 0 : id;
    n->asks_anew |= id != n->watched;
    n->watched = id;
}

IPC_INLINE void ipc_notify_watch_anyone(struct ipc_notify *n)
{
    if (n->peer.alive != NULL) /* one may have died before */
        n->watches_anyone = n->asks_anew = n->anyone_died = 1;
}

IPC_INLINE int ipc_notify_anyone_died(struct ipc_notify *n)
{
    int died = n->anyone_died;

    n->anyone_died = 0;
    return died;
}

#endif

/* >>post  src/notify/post.h */
/* Posting: waking the waiters. The rules for the word are at the top of layout.h. */
#ifndef IPC_SRC_NOTIFY_POST_H
#define IPC_SRC_NOTIFY_POST_H 1

/* ------------------------------------------------------------------ posting */

/* Gives the semaphore a token, unless it has one, which wakes a sleeper all the same. So it cannot
 * overflow. */
IPC_INLINE void ipc_notify_give_token_(struct ipc_notify *n)
{
    int value = 0;

    if (sem_getvalue(&n->at->u.sem, &value) != 0 || value <= 0)
        (void)sem_post(&n->at->u.sem);
}

/* Does the process block the signal? A process that reads it from a signalfd does; another one,
 * which has got the same pid since, would be killed by it. 0 for the id of a thread that is not the
 * first of its process: /proc has only that thread's mask there. */
IPC_INLINE int ipc_notify_blocks_(pid_t pid, int number)
{
    char text[8192], *p; /* a process may be in many groups */
    ssize_t got;
    int fd;

    (void)snprintf(text, sizeof text, "/proc/%ld/status", (long)pid);
    fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    p = strstr(text, "\nTgid:");
    if (p == NULL || strtol(p + 6, NULL, 10) != (long)pid)
        return 0;
    p = strstr(text, "\nSigBlk:");
    return p != NULL && (strtoull(p + 8, NULL, 16) >> (number - 1) & 1) != 0;
}

/* 0 when the process may be signalled, else why not: -ESRCH, -EPERM. */
IPC_INLINE int ipc_notify_check_target_(pid_t pid, int number)
{
    if (kill(pid, 0) != 0)
        return -errno;
    return ipc_notify_blocks_(pid, number) ? 0 : -EPERM;
}

IPC_INLINE int ipc_notify_target(struct ipc_notify *n, pid_t pid, int number)
{
    int rc;

    if (n->at == NULL || n->kind != IPC_NOTIFY_SIGNAL)
        return -EINVAL;
    n->target = 0;
    if (n->target_fd >= 0)
        (void)close(n->target_fd);
    n->target_fd = -1;
    if (pid <= 0 || number < SIGRTMIN || number > SIGRTMAX)
        return -EINVAL;
#ifdef SYS_pidfd_open
    n->target_fd = ipc_move_fd_((int)syscall(SYS_pidfd_open, pid, 0));
#endif
    rc = ipc_notify_check_target_(pid, number); /* after the pidfd: checks the process behind it */
    if (rc == 0) {
        n->target = pid;
        n->number = number;
    }
    return rc;
}

/* Sends the signal to the process that this handle names. */
IPC_INLINE int ipc_notify_send_signal_(struct ipc_notify *n)
{
    int rc;

    if (n->target == 0)
        return -ESRCH;
#ifdef SYS_pidfd_send_signal
    if (n->target_fd >= 0) {
        if (syscall(SYS_pidfd_send_signal, n->target_fd, n->number, NULL, 0) == 0) {
            n->uses |= IPC_USES_PIDFD;
            return 0;
        }
        if (errno != ENOSYS && errno != EPERM)
            return -errno;
    }
#endif
    n->uses &= ~IPC_USES_PIDFD;
    rc = ipc_notify_check_target_(n->target, n->number);
    /* kill queues a real-time signal, too. */
    return rc != 0 || kill(n->target, n->number) == 0 ? rc : -errno;
}

/* Wakes the event loops. EAGAIN says that the descriptor is full, and so it is readable. Whoever has
 * an eventfd, too, can let a write to it block; a send to a socket never does. */
IPC_INLINE int ipc_notify_wake_loops_(struct ipc_notify *n)
{
    static const uint64_t one = 1;
    ssize_t rc;

    if (n->kind == IPC_NOTIFY_SIGNAL)
        return ipc_notify_send_signal_(n);
    if (n->kind != IPC_NOTIFY_EVENTFD)
        return 0; /* such a kind cannot be armed: a hostile peer */
    if (n->post_fd < 0)
        return -ENOENT;
    rc = (n->uses & IPC_USES_EVENTFD) != 0
             ? write(n->post_fd, &one, sizeof one)
             : send(n->post_fd, &one, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    return rc > 0 || errno == EAGAIN ? 0 : -errno;
}

/* Has a post of the notifier in mem more to do than to load its word: a sleeper to wake, a fence?
 */
IPC_FORCE_INLINE int ipc_notify_heeds_(const void *mem)
{
    /* Without it the compiler could load the word before the caller's stores. The processor's part
     * of this fence is the membarrier in ipc_notify_announce_, its partner. */
    ck_pr_barrier();
    return (ck_pr_load_32((const uint32_t *)mem) & IPC_NOTIFY_HEED_) != 0;
}

/* Calls the kernel for all that the word w, of before our CAS, has the flags of. */
IPC_INLINE int ipc_notify_call_kernel_(struct ipc_notify *n, uint32_t w)
{
    const uint32_t *word = &n->at->word;

    if ((w & (IPC_NOTIFY_ASLEEP_ | IPC_NOTIFY_WAKING_ | IPC_NOTIFY_UNASKED_)) != 0) {
        if (n->kind == IPC_NOTIFY_SEMAPHORE)
            ipc_notify_give_token_(n);
        else
            (void)ipc_notify_futex_(word, IPC_NOTIFY_FUTEX_WAKE_, INT32_MAX, NULL);
    }
    if ((w & (IPC_NOTIFY_DOZING_ | IPC_NOTIFY_WAKING_)) != 0 && n->peer.stir != NULL)
        n->peer.stir(n->peer.arg);
    if ((w & IPC_NOTIFY_ARMED_) != 0 ||
        ((w & IPC_NOTIFY_WAKING_) != 0 && (n->post_fd >= 0 || n->target != 0)))
        return ipc_notify_wake_loops_(n);
    return 0;
}

/* The rest of a post: fences, and wakes the sleepers. Where `all` is 0, one that sleeps on the
 * futex is enough. */
IPC_INLINE int ipc_notify_wake_(struct ipc_notify *n, int all)
{
    uint32_t *word = &n->at->word, w, mine = 0;
    unsigned tries;
    int rc, saved;

    if (n->read_only)
        return -EROFS;
    /* Without it a waiter that has just set its flag could miss what was stored before this post,
     * and this post its flag. Partner: the fence in ipc_notify_announce_. */
    ck_pr_fence_store_load();
    w = ck_pr_load_32(word);
    if ((w & IPC_NOTIFY_WAKES_) == 0) {
        if (++n->quiet < IPC_NOTIFY_QUIET_ || (w & IPC_NOTIFY_FIXED_) != 0)
            return 0;
        /* The count moves on, so that no waiter sets FENCED for a turn that is over. */
        n->quiet = 0;
        (void)ck_pr_cas_32(word, w, (w & ~IPC_NOTIFY_FENCE_) + IPC_NOTIFY_COUNT_);
        return 0;
    }
    n->quiet = 0;
    saved = errno; /* in a signal handler it is that of the code that was interrupted */
    for (tries = 0; tries < IPC_NOTIFY_TRIES_; tries++, w = ck_pr_load_32(word)) {
        if ((w & IPC_NOTIFY_WAKES_) == 0)
            return 0; /* another poster wakes them, and they will see what we stored */
        if (!all && (w & IPC_NOTIFY_WAKES_) == IPC_NOTIFY_ASLEEP_ &&
            n->kind != IPC_NOTIFY_SEMAPHORE) {
            if (!ck_pr_cas_32(word, w, w + IPC_NOTIFY_COUNT_))
                continue;
            if (ipc_notify_futex_(word, IPC_NOTIFY_FUTEX_WAKE_, 1, NULL) > 0)
                return 0;
            all = 1; /* none was asleep: take the flag off, and wake any that sleeps since */
            continue;
        }
        mine = ((w & ~IPC_NOTIFY_SLEEPERS_) | IPC_NOTIFY_WAKING_) + IPC_NOTIFY_COUNT_;
        if (ck_pr_cas_32(word, w, mine))
            break;
    }
    rc = ipc_notify_call_kernel_(n, w);
    /* A waiter that has set a flag since may be asleep, and needs the next post: its flag stays.
     * WAKING must not, or each post to a waiter that is so quick would stir the whole segment. */
    for (tries = 0; tries < 4; tries++) {
        w = ck_pr_load_32(word);
        if ((w & ~(IPC_NOTIFY_COUNT_ - 1)) != (mine & ~(IPC_NOTIFY_COUNT_ - 1)) ||
            ck_pr_cas_32(word, w, w & ~IPC_NOTIFY_WAKING_))
            break; /* or another poster has set it anew */
    }
    errno = saved;
    return rc;
}

IPC_FORCE_INLINE int ipc_notify_post(struct ipc_notify *n)
{
    if (CK_CC_UNLIKELY(n->at == NULL))
        return -EINVAL;
    return CK_CC_UNLIKELY(ipc_notify_heeds_(n->at)) ? ipc_notify_wake_(n, 1) : 0;
}

IPC_FORCE_INLINE int ipc_notify_post_one(struct ipc_notify *n)
{
    if (CK_CC_UNLIKELY(n->at == NULL))
        return -EINVAL;
    return CK_CC_UNLIKELY(ipc_notify_heeds_(n->at)) ? ipc_notify_wake_(n, 0) : 0;
}

#endif

/* >>sleep  src/notify/sleep.h */
/* Announcing a sleep, and sleeping on one notifier. The rules for the word are at the top of
 * layout.h.
 */
#ifndef IPC_SRC_NOTIFY_SLEEP_H
#define IPC_SRC_NOTIFY_SLEEP_H 1

/* ------------------------------------------------------------------ announcing */

/* Sets a flag, so that each poster from now on sees it, or our next look sees what that poster has
 * stored. Returns the word as it is then. */
IPC_INLINE uint32_t ipc_notify_announce_(struct ipc_notify *n, uint32_t flag)
{
    uint32_t *word = &n->at->word, w, mine = 0;
    unsigned tries;

    if (n->read_only) {
        w = ck_pr_load_32(word);
        /* Without it our next look at the condition could be older than the word, and miss the data
         * of a post that has changed the word before. Partner: the fence in ipc_notify_wake_. */
        ck_pr_fence_load();
        return w;
    }
    for (tries = 0; tries < IPC_NOTIFY_TRIES_; tries++) {
        w = ck_pr_load_32(word);
        mine = w | flag;
        if ((w & IPC_NOTIFY_FENCE_) == 0)
            mine |= IPC_NOTIFY_FENCING_;
        /* Not FENCED: others still have to fence the posters. */
        if ((n->uses & IPC_USES_MEMBARRIER) == 0)
            mine |= IPC_NOTIFY_FIXED_;
        if (ck_pr_cas_32(word, w, mine)) /* also where nothing changes: the fence needs it */
            break;
    }
    /* Without it our next look at the condition could come before the flag. Partner: the fence in
     * ipc_notify_wake_. */
    ck_pr_fence_atomic_load();
    if ((mine & IPC_NOTIFY_FENCED_) != 0 || (n->uses & IPC_USES_MEMBARRIER) == 0)
        return mine;
    /* Without it a poster that has not seen FENCING, and so does not fence, could miss the flag
     * while we miss its data. Partner: the barrier in ipc_notify_heeds_. */
    if (ipc_notify_membarrier_(IPC_NOTIFY_BARRIER_) != 0) {
        n->uses &= ~IPC_USES_MEMBARRIER; /* denied to this process since it attached */
        return ipc_notify_announce_(n, flag);
    }
    /* Only if nothing has happened since: FENCED must not outlive the turn that it belongs to. */
    w = (mine & ~IPC_NOTIFY_FENCING_) | IPC_NOTIFY_FENCED_;
    return ck_pr_cas_32(word, mine, w) ? w : mine;
}

IPC_INLINE uint32_t ipc_notify_prepare(struct ipc_notify *n)
{
    return n->at != NULL ? ipc_notify_announce_(n, IPC_NOTIFY_ASLEEP_) : 0;
}

/* ------------------------------------------------------------------ sleeping */

/* Sleeps for a millisecond, or until the deadline if that is sooner. 0 or -EINTR. */
IPC_INLINE int ipc_notify_nap_(int64_t until)
{
    int64_t left = ipc_left_(until);
    struct timespec t = ipc_notify_time_(left < IPC_NOTIFY_NAP_ ? left : IPC_NOTIFY_NAP_);

    return nanosleep(&t, NULL) == 0 ? 0 : -errno;
}

/* Is this the first sleep of this handle without membarrier? Posts that were under way when it
 * attached may not have been fenced. That is over after a nap. Or may it only read, and posts do
 * not wake unasked? */
IPC_INLINE int ipc_notify_has_to_nap_(struct ipc_notify *n)
{
    if (n->read_only)
        return (ck_pr_load_32(&n->at->word) & IPC_NOTIFY_UNASKED_) == 0;
    if ((n->uses & IPC_USES_MEMBARRIER) != 0 || n->napped)
        return 0;
    n->napped = 1;
    return 1;
}

#if defined(__GLIBC__) && defined(__LP64__)
#if __GLIBC_PREREQ(2, 30)
/* By its symbol, as the declaration needs _GNU_SOURCE. */
extern int ipc_notify_sem_clockwait_(sem_t *, clockid_t,
                                     const struct timespec *) __asm__("sem_clockwait");
#define IPC_NOTIFY_SEM_WAIT_(sem, until) ipc_notify_sem_clockwait_(sem, CLOCK_MONOTONIC, until)
#endif
#endif
#ifndef IPC_NOTIFY_SEM_WAIT_ /* sem_timedwait keeps CLOCK_REALTIME, which may be set back: naps */
#define IPC_NOTIFY_SEM_WAIT_(sem, until) ((void)(sem), (void)(until), errno = ENOSYS, -1)
#endif

/*
 * Sleeps on the semaphore. A post gives one token, and is for all sleepers; so a sleeper that takes
 * it gives it on while others sleep. A sleeper that takes a token, and finds the word unchanged,
 * came after that post: the token may be for those before it. It gives the token back, and naps; a
 * hundred times at most, as those others may have been killed in their sleep.
 */
IPC_INLINE int ipc_notify_take_token_(struct ipc_notify *n, uint32_t key, int64_t until)
{
    struct ipc_notify_shared *s = n->at;
    struct timespec t = ipc_notify_time_(until);
    int naps = (n->uses & IPC_USES_FUTEX) == 0, took = 0, rc = 0, back = 0;

    (void)ck_pr_faa_64(&s->sleepers, 1);
    while (rc == 0 && ck_pr_load_32(&s->word) == key) {
        took = (naps ? sem_trywait(&s->u.sem) : IPC_NOTIFY_SEM_WAIT_(&s->u.sem, &t)) == 0;
        if (!took && !naps && errno != ETIMEDOUT && errno != EINTR)
            naps = 1;
        else if (!took && !naps)
            rc = -errno;
        /* Without it the word could be older than the token. Partner: the CAS in ipc_notify_wake_,
         * after which ipc_notify_give_token_ looks for a token. */
        ck_pr_fence_atomic_load();
        if (took && ck_pr_load_32(&s->word) == key && ck_pr_load_64(&s->sleepers) > 1) {
            if (back++ < 100)
                ipc_notify_give_token_(n);
            else
                ck_pr_store_64(&s->sleepers, 1);
        }
        if (rc == 0 && (back > 0 || (naps && !took)))
            rc = ipc_notify_nap_(until);
        if (rc == 0 && ipc_left_(until) == 0)
            rc = -ETIMEDOUT; /* also while there are tokens: there may be very many old ones */
    }
    if (ck_pr_load_64(&s->sleepers) > 0)
        (void)ck_pr_faa_64(&s->sleepers, UINT64_MAX);
    if (took && ck_pr_load_32(&s->word) != key && ck_pr_load_64(&s->sleepers) > 0)
        ipc_notify_give_token_(n);
    return rc;
}

/* Sleeps on one notifier until its word is no longer key, at most until then. 0 for a wake of any
 * kind, -ETIMEDOUT or -EINTR. */
IPC_INLINE int ipc_notify_sleep_(struct ipc_notify *n, uint32_t key, int64_t until)
{
    struct timespec t;
    int rc;

    if (n->kind == IPC_NOTIFY_SEMAPHORE)
        return ipc_notify_take_token_(n, key, until);
    if ((n->uses & IPC_USES_FUTEX) != 0) {
        t = ipc_notify_time_(until);
        rc = ipc_notify_futex_(&n->at->word, IPC_NOTIFY_FUTEX_WAIT_, key,
                               until == IPC_FOREVER ? NULL : &t);
        if (rc == -EINTR || rc == -ETIMEDOUT)
            return rc;
        if (rc == 0 || rc == -EAGAIN)
            return 0;
        n->uses &= ~IPC_USES_FUTEX; /* denied to this process since it attached */
    }
    while (ck_pr_load_32(&n->at->word) == key) {
        if (ipc_left_(until) == 0)
            return -ETIMEDOUT;
        if (ipc_notify_nap_(until) != 0)
            return -EINTR;
    }
    return 0;
}

/* Reads a descriptor empty. 0 when it was empty. */
IPC_INLINE int ipc_notify_empty_(int fd)
{
    char bytes[4096];
    int tries;

    for (tries = 0; fd >= 0 && tries < 64 && read(fd, bytes, sizeof bytes) > 0; tries++)
        ;
    return tries;
}

/* poll for `left` nanoseconds, where a long has 64 bits, else rounded up to milliseconds. What poll
 * says, or a negative errno. */
IPC_INLINE int ipc_notify_poll_(struct pollfd *p, nfds_t count, int64_t left)
{
#ifdef __LP64__
    struct timespec t = ipc_notify_time_(left);
    /* Not by libc, where it is a point at which a thread may be cancelled. */
    long rc = syscall(SYS_ppoll, p, count, &t, NULL, (size_t)8);
#else
    int rc = poll(p, count, (int)(left / 1000000 + (left % 1000000 != 0)));
#endif

    return rc >= 0 ? (int)rc : -errno;
}

#endif

/* >>watch  src/notify/watch.h */
/*
 * Threads that sleep long and watch for deaths: which of them polls, and which follow.
 *
 * Deaths are reported by descriptors, so a thread must be in poll to learn of them. A thread in
 * poll is woken by struct ipc_peer's stir, which wakes all processes of the segment. A thread on a
 * futex is woken alone. So of the threads of a process that share a struct ipc_watch one polls, and
 * the others follow: they sleep on their bells and on `turn`, by futex_waitv. The watch's words,
 * which no other process sees:
 *
 *   word        change             by which thread, how
 *   ---------   ----------------   ---------------------------------------------------------------
 *   turn        POLL: 0 -> 1       one that goes to poll: CAS. Only it may call `take`, as poll
 *                                  does not return for what another thread has taken
 *               POLL: 1 -> 0,      the same, as it comes back. If others follow, it wakes one of
 *               count + 1          them by futex, which goes to poll
 *               count + 1          one in poll that has found that a process may have died, after
 *                                  news + 1. Then it wakes all that follow
 *   followers   + 1, - 1           one that follows, around its sleep. If it finds that none is in
 *                                  poll, it wakes another: it may have been woken for that, and by
 *                                  its bell at the same time
 *   news        + 1                one in poll, see above; also struct ipc_watch's open
 *   unproven,   any time           one in poll, when it has found that a process may have died. The
 *   pause                          proof may come a moment later, so threads ask again after 1,
 *                                  2, 4 and 8 ms; also struct ipc_watch's open
 *
 * A follower announces itself, and then loads `turn`; a thread that comes back from poll changes
 * `turn`, and then loads `followers`. Both are atomic, with a full fence between. So either the one
 * sees that none is in poll, or the other that somebody follows; the kernel compares `turn` again.
 *
 * Each notifier keeps the `news` at which it asked last, and asks again only when it has moved on,
 * or when it watches another process.
 *
 * One that waits on notifiers of several watches polls for all, or follows all. Where it can do
 * neither, it sleeps on the futex, and asks for news every 8 ms. A thread that leaves poll by a
 * longjmp, or is cancelled, stays counted: others then learn of deaths within a second, as each
 * looks by itself so often.
 */
#ifndef IPC_SRC_NOTIFY_WATCH_H
#define IPC_SRC_NOTIFY_WATCH_H 1

#define IPC_WATCH_POLL_ 1u  /* a thread is in poll */
#define IPC_WATCH_COUNT_ 2u /* the count above that starts here */

/* ------------------------------------------------------------------ the watch's words */

/* Adds to a word, and returns what it was. A CAS that fails is another thread's that succeeded. */
IPC_INLINE uint32_t ipc_watch_add_(uint32_t *word, uint32_t more)
{
    uint32_t was;

    do
        was = ck_pr_load_32(word);
    while (!ck_pr_cas_32(word, was, was + more));
    return was;
}

IPC_INLINE void ipc_watch_wake_(struct ipc_watch *w, uint32_t count)
{
    /* Without it we could miss a follower that misses our change of turn. Partner: the fence in
     * ipc_watches_follow_. */
    ck_pr_fence_atomic_load();
    if (ck_pr_load_32(&w->followers) != 0)
        (void)ipc_notify_futex_(&w->turn, IPC_NOTIFY_FUTEX_WAKE_, count, NULL);
}

/* A process may have died: all threads that watch are to ask. */
IPC_INLINE void ipc_watch_tell_(struct ipc_watch *w)
{
    (void)ipc_watch_add_(&w->news, 1);
    /* Without it a thread could see the turn, and not the news. Partner: the load
     * fence in ipc_group_follow_. */
    ck_pr_fence_release();
    (void)ipc_watch_add_(&w->turn, IPC_WATCH_COUNT_);
    ipc_watch_wake_(w, INT32_MAX);
}

/* The earlier of the time `until` and that at which to ask again. */
IPC_INLINE int64_t ipc_watch_poll_until_(const struct ipc_watch *w, int64_t until)
{
    uint64_t ask = ck_pr_load_64(&w->unproven);

    return ask != 0 && ask < (uint64_t)until ? (int64_t)ask : until;
}

/* After a poll: takes what the descriptor reports, if it is readable, and tells the threads. */
IPC_INLINE void ipc_watch_take_(struct ipc_watch *w, void *arg, int readable)
{
    int said = readable ? w->take(arg) : IPC_WATCH_STIRRED;
    uint64_t ask = ck_pr_load_64(&w->unproven), pause, now = 0;

    if (said == IPC_WATCH_MAYBE || ask != 0)
        now = (uint64_t)ipc_clock();
    if (said == IPC_WATCH_MAYBE) {
        pause = IPC_NOTIFY_NAP_;
    } else if (ask != 0 && now >= ask) {
        pause = 2 * ck_pr_load_64(&w->pause);
    } else {
        if (said == IPC_WATCH_LEFT)
            ipc_watch_tell_(w);
        return;
    }
    ck_pr_store_64(&w->pause, pause);
    ck_pr_store_64(&w->unproven, pause != 0 && pause <= 8 * IPC_NOTIFY_NAP_ ? now + pause : 0);
    ipc_watch_tell_(w);
}

/* ------------------------------------------------------------------ the watches of a group */

/* The notifiers that one waiter waits on together: one, or those of an ipc_any. */
struct ipc_notify_group_ {
    struct ipc_notify *const *all;
    unsigned count;
    struct ipc_notify_kept_ *kept;
};

/* Their watches, each once, and what to pass to its functions. */
struct ipc_watches_ {
    unsigned count;
    struct ipc_watch *of[IPC_NOTIFY_MANY];
    void *arg[IPC_NOTIFY_MANY];
};

/* 0 when a notifier has none. */
IPC_INLINE int ipc_watches_find_(struct ipc_watches_ *s, const struct ipc_notify_group_ *g)
{
    unsigned i, k;

    s->count = 0;
    for (i = 0; i < g->count; i++) {
        struct ipc_watch *w = g->all[i]->peer.watch;

        if (w == NULL)
            return 0;
        for (k = s->count; k > 0 && s->of[k - 1] != w; k--)
            ;
        if (k > 0)
            continue;
        s->of[s->count] = w;
        s->arg[s->count++] = g->all[i]->peer.arg;
    }
    return 1;
}

/* Does another thread poll for each of them? */
IPC_INLINE int ipc_watches_are_polled_(const struct ipc_watches_ *s)
{
    unsigned i;

    for (i = 0; i < s->count; i++)
        if ((ck_pr_load_32(&s->of[i]->turn) & IPC_WATCH_POLL_) == 0 || !s->of[i]->ours(s->arg[i]))
            return 0;
    return 1;
}

/* Opens all, and fills in p. Where `again` is 1 those that are open are opened again, so that one
 * that others have closed is replaced. 0, or a negative errno. */
IPC_INLINE int ipc_watches_open_(const struct ipc_watches_ *s, struct pollfd *p, int again)
{
    unsigned i;

    for (i = 0; i < s->count; i++) {
        struct ipc_watch *w = s->of[i];

        p[i].fd = again || !w->ours(s->arg[i]) ? w->open(s->arg[i], 0) : (int)ck_pr_load_64(&w->fd);
        if (p[i].fd < 0)
            return p[i].fd;
        ck_pr_store_64(&w->fd, (uint64_t)p[i].fd);
        p[i].events = POLLIN;
        p[i].revents = 0;
    }
    return 0;
}

/* Leaves poll for the first `count` of them. */
IPC_INLINE void ipc_watches_leave_poll_(const struct ipc_watches_ *s, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        (void)ipc_watch_add_(&s->of[i]->turn, IPC_WATCH_COUNT_ - IPC_WATCH_POLL_);
        ipc_watch_wake_(s->of[i], 1);
    }
}

/* Makes this thread the one that polls: for all of them, or for none where another does. */
IPC_INLINE int ipc_watches_enter_poll_(const struct ipc_watches_ *s)
{
    uint32_t turn;
    unsigned i;

    for (i = 0; i < s->count; i++) {
        do {
            turn = ck_pr_load_32(&s->of[i]->turn);
            if ((turn & IPC_WATCH_POLL_) != 0) {
                ipc_watches_leave_poll_(s, i);
                return 0;
            }
        } while (!ck_pr_cas_32(&s->of[i]->turn, turn, turn + IPC_WATCH_POLL_));
    }
    return 1;
}

/* Polls all until then, and takes what they report. 0, -EINTR, or -EBADF: others have closed one.
 */
IPC_INLINE int ipc_watches_poll_(const struct ipc_watches_ *s, struct pollfd *p, int64_t until)
{
    unsigned i;
    int rc;

    for (i = 0; i < s->count; i++)
        until = ipc_watch_poll_until_(s->of[i], until);
    rc = ipc_notify_poll_(p, s->count, ipc_left_(until));
    if (rc < 0)
        return rc;
    for (i = 0; i < s->count; i++) {
        if ((p[i].revents & POLLNVAL) != 0)
            return -EBADF;
        ipc_watch_take_(s->of[i], s->arg[i], p[i].revents != 0);
    }
    return 0;
}

/* What followers sleep on besides their bells. 0 where none polls for one of them. */
IPC_INLINE int ipc_watches_list_(const struct ipc_watches_ *s,
                                 struct ipc_notify_futex_of_many_ *futex)
{
    unsigned i;

    for (i = 0; i < s->count; i++) {
        uint32_t turn = ck_pr_load_32(&s->of[i]->turn);

        if ((turn & IPC_WATCH_POLL_) == 0)
            return 0;
        futex[i] = ipc_notify_futex_of_(&s->of[i]->turn, turn);
    }
    return 1;
}

/* Begins, or ends, following. */
IPC_INLINE void ipc_watches_follow_(const struct ipc_watches_ *s, int begins)
{
    unsigned i;

    for (i = 0; i < s->count; i++)
        (void)ipc_watch_add_(&s->of[i]->followers, begins ? 1 : UINT32_MAX);
    /* Without it we could miss a change of turn of a thread that misses us, or the last one of them
     * could miss that nobody polls. Partner: the fence in ipc_watch_wake_. */
    ck_pr_fence_atomic_load();
    for (i = 0; i < s->count && !begins; i++)
        if ((ck_pr_load_32(&s->of[i]->turn) & IPC_WATCH_POLL_) == 0)
            ipc_watch_wake_(s->of[i], 1);
}

/* Has the notifier to ask for deaths? */
IPC_INLINE int ipc_notify_has_news_(const struct ipc_notify *n)
{
    return n->asks_anew || n->heard != ck_pr_load_32(&n->peer.watch->news);
}

#endif

/* >>wait  src/notify/wait.h */
/*
 * Waiting for a condition, on one notifier or on several.
 *
 * The states of a waiter. On several notifiers it is in the same state for each.
 *
 *   from       to         when
 *   --------   --------   ------------------------------------------------------------------------
 *   awake      awake      the condition does not hold: the waiter spins, or yields
 *   awake      prepared   the condition does not hold, and the policy is used up, or the waiter has
 *                         slept in this wait: ipc_notify_prepare sets ASLEEP
 *   prepared   awake      the condition holds after all. ASLEEP stays: the next post calls the
 *                         kernel for nothing
 *   prepared   on futex   the condition does not hold: futex_wait, futex_waitv, or the semaphore
 *   on futex   awake      the word has changed, or a signal handler ran, or the deadline is over,
 *                         or a second has passed and the waiter watches for no death
 *   prepared   follows    the condition does not hold, the waiter watches for a death, and another
 *                         thread of the process polls for each struct ipc_watch that it needs:
 *                         futex_waitv, on its bells and on the turns of these: see watch.h
 *   on futex   follows,   4 ms have passed, the waiter watches for a death, and its watches open.
 *              in poll    It follows if it can. Else it polls, if the word has not changed: CAS,
 *                         sets DOZING. It does so after 64 ms only, in which it asks its watches
 *                         for news every 8 ms, if the post that ended its last sleep there came as
 *                         soon
 *   on futex   awake      4 ms have passed, but a watch is missing, or does not open, or a handle
 *                         is deaf and none polls: the waiter asks for deaths. Its next sleeps on
 *                         the futex last 8 ms
 *   on futex   on futex   4 ms have passed, and it can neither follow nor poll, see watch.h: for 64
 *                         ms, in which it asks for news every 8 ms
 *   follows    in poll    the thread in poll has left it, and this one is woken for that, or finds
 *                         it out
 *   follows,   awake      the word has changed, or a signal handler ran, or a peer that is watched
 *   in poll               is dead, or any member may be, or the deadline is over, or a second has
 *                         passed
 *
 * A short sleep so costs a futex, and a long one has no timer every 8 ms. A waiter that is posted
 * to more often than every 64 ms stays on the futex, where it is woken alone; unless it waits on so
 * many that futex_waitv costs more than a stir. A post ends the sleep on the futex, and of a thread
 * that follows, by the kernel's futex_wake, or by a token, and that in poll by struct ipc_peer's
 * stir. From each sleep the waiter comes back to look at its condition.
 *
 * A waiter that may only read sets no flag, and so neither polls nor follows. It sleeps on the futex
 * for 8 ms at a time, or naps for 1 ms, and asks its watches for news every 8 ms.
 *
 * A waiter looks once a second, at least, for what was stored by a poster that was killed before it
 * could wake, or that cannot stir. Only a waiter that watches for no death, has no deadline and
 * waits for no ring sleeps for longer.
 *
 * The waiter asks whether a peer is alive when it begins to watch it, when a watch has news, at the
 * end of a second, and where there is no watch. In a series of short sleeps it asks its watches for
 * news every 8 ms.
 */
#ifndef IPC_SRC_NOTIFY_WAIT_H
#define IPC_SRC_NOTIFY_WAIT_H 1

/* ------------------------------------------------------------------ deaths */

/* Is the peer that is watched dead? Reports it once: it is not watched any more. */
IPC_INLINE int ipc_notify_dead_(struct ipc_notify *n)
{
    uint64_t id = n->watched;

    if (id == 0 || n->peer.alive(n->peer.arg, id) > 0)
        return 0;
    n->reported = id;
    ipc_notify_watch(n, 0);
    return 1;
}

/* Is it time to ask for deaths, in a series of short sleeps? Begins a new series when it was not
 * asked for some time. */
IPC_INLINE int ipc_notify_is_time_to_ask_(int64_t *asked_at)
{
    int64_t now = ipc_clock(), since = now - *asked_at;

    if (*asked_at != 0 && since < IPC_NOTIFY_SLICE_)
        return 0;
    since = *asked_at != 0 ? since : IPC_FOREVER;
    *asked_at = now;
    return since < 4 * IPC_NOTIFY_SLICE_;
}

/* Does it watch for any death? */
IPC_INLINE int ipc_group_watches_(const struct ipc_notify_group_ *g)
{
    unsigned i;

    for (i = 0; i < g->count; i++)
        if (g->all[i]->watched != 0 || g->all[i]->watches_anyone)
            return 1;
    return 0;
}

/* Is one of the peers that are watched dead? *which is then the number of the notifier. */
IPC_INLINE int ipc_group_dead_(const struct ipc_notify_group_ *g, unsigned *which)
{
    unsigned i;

    for (i = 0; i < g->count; i++)
        if (ipc_notify_dead_(g->all[i])) {
            *which = i;
            return 1;
        }
    return 0;
}

/* May one of them only read? Such a waiter cannot poll, as it cannot say so in the word. */
IPC_INLINE int ipc_group_is_read_only_(const struct ipc_notify_group_ *g)
{
    unsigned i;

    for (i = 0; i < g->count; i++)
        if (g->all[i]->read_only)
            return 1;
    return 0;
}

/* Notes that any member may have died, and asks for those that are watched. -EOWNERDEAD or 0. */
IPC_INLINE int ipc_group_check_deaths_(const struct ipc_notify_group_ *g, unsigned *which)
{
    unsigned i;

    for (i = 0; i < g->count; i++)
        g->all[i]->anyone_died |= g->all[i]->watches_anyone;
    return ipc_group_dead_(g, which) ? -EOWNERDEAD : 0;
}

/* As ipc_group_check_deaths_, but only for the notifiers that have news, in a group whose watches
 * are open. 1 when any member may have died; a negative errno of struct ipc_watch's open. */
IPC_INLINE int ipc_group_hear_(const struct ipc_notify_group_ *g, unsigned *which)
{
    const struct ipc_notify *last = NULL;
    uint32_t news = 0;
    unsigned i;
    int rc = 0, fd;

    for (i = 0; i < g->count; i++) {
        struct ipc_notify *n = g->all[i];

        if (!ipc_notify_has_news_(n))
            continue;
        if (last == NULL || last->peer.arg != n->peer.arg || last->watched != n->watched) {
            fd = n->peer.watch->open(n->peer.arg, n->watched);
            if (fd < 0)
                return fd;
            news = ck_pr_load_32(&n->peer.watch->news);
            /* Without it the answer could be older than the news. Partner: ipc_watch_tell_, whose
             * caller has seen what it tells of. */
            ck_pr_fence_load();
            *which = i;
            if (ipc_notify_dead_(n))
                return -EOWNERDEAD;
        }
        last = n;
        n->heard = news;
        n->asks_anew = 0;
        n->anyone_died |= n->watches_anyone;
        rc |= n->watches_anyone;
    }
    return rc;
}

/* In a series of short sleeps: asks for deaths. -EOWNERDEAD, 1 when any member may have died, or 0.
 */
__attribute__((noinline, unused)) static int ipc_group_ask_(const struct ipc_notify_group_ *g,
                                                            unsigned *which)
{
    struct pollfd p[IPC_NOTIFY_MANY];
    struct ipc_watches_ s;
    int rc = ipc_watches_find_(&s, g) ? 0 : -ENOSYS;

    if (rc == 0 && !ipc_watches_are_polled_(&s)) {
        rc = ipc_watches_open_(&s, p, 0);
        if (rc == 0 && ipc_watches_enter_poll_(&s)) {
            rc = ipc_watches_poll_(&s, p, IPC_NOW);
            ipc_watches_leave_poll_(&s, s.count);
        }
    }
    if (rc == 0)
        rc = ipc_group_hear_(g, which);
    if (rc == -EOWNERDEAD || rc >= 0)
        return rc;
    return ipc_group_check_deaths_(g, which);
}

/* ------------------------------------------------------------------ sleeping on a group */

/* Has one of them been posted since? */
IPC_INLINE int ipc_group_changed_(const struct ipc_notify_group_ *g, const uint32_t *keys)
{
    unsigned i;

    for (i = 0; i < g->count; i++)
        if (ck_pr_load_32(&g->all[i]->at->word) != keys[i])
            return 1;
    return 0;
}

/* Can the kernel put a waiter to sleep on all of them at once? */
IPC_INLINE int ipc_group_can_sleep_(const struct ipc_notify_group_ *g)
{
    unsigned i;

    for (i = 0; i < g->count && g->count > 1; i++)
        if (g->all[i]->kind == IPC_NOTIFY_SEMAPHORE || (g->all[i]->uses & IPC_USES_WAITV) == 0)
            return 0;
    return 1;
}

/* May it sleep until a post, however long that takes? */
IPC_INLINE int ipc_group_may_sleep_on_(const struct ipc_notify_group_ *g)
{
    unsigned i;

    for (i = 0; i < g->count; i++) {
        const struct ipc_notify *n = g->all[i];

        if (n->looks_each_second || n->kind == IPC_NOTIFY_SEMAPHORE)
            return 0;
    }
    return ipc_group_can_sleep_(g) && !ipc_group_watches_(g);
}

/* Sleeps on all; as ipc_notify_sleep_, but by naps where the kernel cannot do it. */
IPC_INLINE int ipc_group_sleep_on_many_(const struct ipc_notify_group_ *g, const uint32_t *keys,
                                        int64_t until)
{
    struct ipc_notify_futex_of_many_ futex[IPC_NOTIFY_MANY];
    struct timespec t = ipc_notify_time_(until);
    unsigned i;
    int rc;

    if (ipc_group_can_sleep_(g)) {
        for (i = 0; i < g->count; i++)
            futex[i] = ipc_notify_futex_of_(&g->all[i]->at->word, keys[i]);
        rc = ipc_notify_waitv_(futex, g->count, until == IPC_FOREVER ? NULL : &t);
        if (rc >= 0 || rc == -EAGAIN)
            return 0;
        if (rc == -EINTR || rc == -ETIMEDOUT)
            return rc;
        g->all[0]->uses &= ~IPC_USES_WAITV; /* denied to this process since it attached */
    }
    while (!ipc_group_changed_(g, keys)) {
        if (ipc_left_(until) == 0)
            return -ETIMEDOUT;
        if (ipc_notify_nap_(until) != 0)
            return -EINTR;
    }
    return 0;
}

/* Sleeps until a word is no longer its key, at most until then. 0 for a wake of any kind,
 * -ETIMEDOUT or -EINTR. */
IPC_INLINE int ipc_group_sleep_(const struct ipc_notify_group_ *g, const uint32_t *keys,
                                int64_t until)
{
    unsigned i;
    int nap = 0;

    for (i = 0; i < g->count; i++)
        nap |= ipc_notify_has_to_nap_(g->all[i]);
    if (nap)
        return ipc_notify_nap_(until);
    return g->count == 1 ? ipc_notify_sleep_(g->all[0], keys[0], until)
                         : ipc_group_sleep_on_many_(g, keys, until);
}

/* ------------------------------------------------------------------ long sleeps: see watch.h */

/* May it follow: sleep on all by futex_waitv, beside what its watches have? */
IPC_INLINE int ipc_group_can_follow_(const struct ipc_notify_group_ *g,
                                     const struct ipc_watches_ *s)
{
    unsigned i;

    for (i = 0; i < g->count; i++) {
        const struct ipc_notify *n = g->all[i];

        if (n->kind == IPC_NOTIFY_SEMAPHORE || (n->uses & IPC_USES_WAITV) == 0 || n->read_only ||
            ((n->uses & IPC_USES_MEMBARRIER) == 0 && !n->napped))
            return 0;
    }
    return g->count + s->count <= IPC_NOTIFY_MANY && ipc_watches_are_polled_(s);
}

/* Sleeps on its bells, while others poll. 0 to look at the condition, -EAGAIN when none polls, or
 * as ipc_group_doze_. */
IPC_INLINE int ipc_group_follow_(const struct ipc_notify_group_ *g, const struct ipc_watches_ *s,
                                 const uint32_t *keys, int64_t until, unsigned *which)
{
    struct ipc_notify_futex_of_many_ futex[IPC_NOTIFY_MANY];
    struct timespec t = ipc_notify_time_(until);
    unsigned i;
    int rc;

    for (i = 0; i < g->count; i++)
        futex[i] = ipc_notify_futex_of_(&g->all[i]->at->word, keys[i]);
    do {
        if (!ipc_watches_list_(s, futex + g->count))
            return -EAGAIN;
        /* Without it the news could be older than the turn. Partner: the fence in
         * ipc_watch_tell_. */
        ck_pr_fence_load();
        rc = ipc_group_hear_(g, which);
        if (rc != 0)
            return rc > 0 ? 0 : rc;
        rc = ipc_notify_waitv_(futex, g->count + s->count, &t);
        if (rc == -EINTR || rc == -ETIMEDOUT)
            return rc;
        if (rc < 0 && rc != -EAGAIN) {
            g->all[0]->uses &= ~IPC_USES_WAITV; /* denied to this process since it attached */
            return -EAGAIN;
        }
    } while (!ipc_group_changed_(g, keys));
    return 0;
}

/* Polls until it is to look at the condition: 0. Or -EOWNERDEAD, -ETIMEDOUT, -EINTR, or another
 * errno: it cannot learn of deaths, or of posts, by its watches. */
IPC_INLINE int ipc_group_doze_(const struct ipc_notify_group_ *g, const struct ipc_watches_ *s,
                               uint32_t *keys, struct pollfd *p, int64_t until, unsigned *which)
{
    unsigned i;
    int rc = 0;

    for (i = 0; i < g->count && rc == 0; i++)
        if (ck_pr_load_64(&g->all[i]->at->deaf) != 0)
            rc = -ENOSYS;
    for (i = 0; i < g->count && rc == 0; i++) {
        if (!ck_pr_cas_32(&g->all[i]->at->word, keys[i], keys[i] | IPC_NOTIFY_DOZING_))
            return 0;
        keys[i] |= IPC_NOTIFY_DOZING_;
    }
    while (rc == 0) {
        rc = ipc_group_hear_(g, which);
        if (rc > 0 || (rc == 0 && ipc_group_changed_(g, keys)))
            return 0;
        if (rc == 0)
            rc = ipc_left_(until) == 0 ? -ETIMEDOUT : ipc_watches_poll_(s, p, until);
    }
    return rc;
}

/* The futex of a brisk waiter: it wakes it alone, while a stir would wake all processes that have
 * the segment. Asks for deaths every 8 ms. -EAGAIN: none came in 64 ms; it is brisk no more. */
IPC_INLINE int ipc_group_sleep_briskly_(const struct ipc_notify_group_ *g, const uint32_t *keys,
                                        int64_t deadline, unsigned *which)
{
    int64_t now = ipc_clock(), end = now + IPC_NOTIFY_BRISK_, until;
    int rc;

    for (; now < end; now = ipc_clock()) {
        until = now + IPC_NOTIFY_SLICE_;
        rc = ipc_group_sleep_(g, keys, deadline < until ? deadline : until);
        if (rc != -ETIMEDOUT || deadline <= until)
            return rc;
        rc = ipc_group_ask_(g, which);
        if (rc != 0 || ipc_group_changed_(g, keys))
            return rc < 0 ? rc : 0;
    }
    g->kept->is_brisk = 0;
    return -EAGAIN;
}

/* Follows, or else goes to poll: 1. Or as ipc_group_doze_; -EAGAIN when it can do neither. */
IPC_INLINE int ipc_group_follow_or_enter_(const struct ipc_notify_group_ *g,
                                          const struct ipc_watches_ *s, const uint32_t *keys,
                                          struct pollfd *p, int64_t until, unsigned *which)
{
    int rc, polls = 0, tries;

    for (tries = 0; tries < 16 && !polls; tries++) {
        int follows = ipc_group_can_follow_(g, s);

        if (follows) {
            ipc_watches_follow_(s, 1);
            rc = ipc_group_follow_(g, s, keys, until, which);
            if (rc == -EAGAIN) /* before it follows no more, or it would wake another */
                polls = ipc_watches_enter_poll_(s);
            ipc_watches_follow_(s, 0);
            if (rc != -EAGAIN)
                return rc;
        } else {
            rc = ipc_watches_open_(s, p, 1);
            if (rc != 0)
                return rc;
            polls = ipc_watches_enter_poll_(s);
        }
    }
    return polls ? 1 : -EAGAIN;
}

/* Follows, or polls, or sleeps as a brisk waiter. As ipc_group_doze_. */
IPC_INLINE int ipc_group_follow_or_doze_(const struct ipc_notify_group_ *g,
                                         const struct ipc_watches_ *s, uint32_t *keys,
                                         int64_t until, unsigned *which)
{
    struct pollfd p[IPC_NOTIFY_MANY];
    int rc = ipc_group_follow_or_enter_(g, s, keys, p, until, which);

    if (rc == -EAGAIN) {
        rc = ipc_group_sleep_briskly_(g, keys, until, which);
        return rc == -EAGAIN ? 0 : rc;
    }
    if (rc != 1)
        return rc;
    rc = ipc_watches_open_(s, p, 0);
    if (rc == 0)
        rc = ipc_group_doze_(g, s, keys, p, until, which);
    ipc_watches_leave_poll_(s, s->count);
    return rc;
}

/* Follows, or polls; at the end of a second, or of its means, asks for deaths. */
__attribute__((noinline, unused)) static int
ipc_group_sleep_long_(const struct ipc_notify_group_ *g, struct ipc_watches_ *s, uint32_t *keys,
                      int64_t deadline, unsigned *which)
{
    int64_t began = ipc_clock(), until = began + IPC_NOTIFY_LONG_; /* however often stirred */
    unsigned i;
    int rc, dead;

    until = deadline < until ? deadline : until;
    rc = ipc_group_follow_or_doze_(g, s, keys, until, which);
    g->kept->must_ask = rc != 0 && rc != -EOWNERDEAD && rc != -ETIMEDOUT && rc != -EINTR;
    for (i = 0; i < g->count; i++)
        g->all[i]->uses = g->kept->must_ask ? g->all[i]->uses & ~IPC_USES_WATCH
                                            : g->all[i]->uses | IPC_USES_WATCH;
    if (rc == 0)
        g->kept->is_brisk =
            g->count <= IPC_NOTIFY_FEW_ && ipc_clock() - began < IPC_NOTIFY_BRISK_;
    if (rc == 0 || rc == -EOWNERDEAD || (rc == -ETIMEDOUT && until == deadline))
        return rc;
    dead = ipc_group_check_deaths_(g, which);
    return dead == 0 && rc == -EINTR ? rc : dead;
}

/* Is the proof of a death still to come, of which a watch has told? */
IPC_INLINE int ipc_group_waits_for_proof_(const struct ipc_notify_group_ *g)
{
    unsigned i;

    for (i = 0; i < g->count; i++)
        if (g->all[i]->peer.watch != NULL && ck_pr_load_64(&g->all[i]->peer.watch->unproven) != 0)
            return 1;
    return 0;
}

/* How long it sleeps on the futex at most, in nanoseconds. */
IPC_INLINE int64_t ipc_group_futex_time_(const struct ipc_notify_group_ *g)
{
    if (!ipc_group_watches_(g))
        return IPC_NOTIFY_LONG_;
    if (ipc_group_is_read_only_(g))
        return ipc_group_waits_for_proof_(g) ? IPC_NOTIFY_NAP_ : IPC_NOTIFY_SLICE_;
    return g->kept->must_ask ? IPC_NOTIFY_SLICE_ : IPC_NOTIFY_SHORT_;
}

/* The part of a sleep that is on the futex. As ipc_group_wait_; -EAGAIN when it has been long. */
IPC_INLINE int ipc_group_sleep_short_(const struct ipc_notify_group_ *g, const uint32_t *keys,
                                      int64_t deadline, unsigned *which)
{
    int64_t until;
    int rc;

    if (g->kept->is_brisk && !g->kept->must_ask && ipc_group_watches_(g)) {
        rc = ipc_group_sleep_briskly_(g, keys, deadline, which);
    } else {
        until = ipc_clock() + ipc_group_futex_time_(g);
        rc = ipc_group_sleep_(g, keys, deadline < until ? deadline : until);
        if (rc == -ETIMEDOUT && deadline > until)
            return -EAGAIN;
    }
    if (rc == -ETIMEDOUT && ipc_group_watches_(g) &&
        ipc_notify_is_time_to_ask_(&g->kept->asked_at) && ipc_group_ask_(g, which) < 0)
        return -EOWNERDEAD;
    return rc;
}

/* As ipc_group_wait_, but asks no clock after a wake. */
IPC_INLINE int ipc_group_sleep_in_stages_(const struct ipc_notify_group_ *g, uint32_t *keys,
                                          int64_t deadline, unsigned *which)
{
    int watches = ipc_group_watches_(g), can_sleep = ipc_group_can_sleep_(g), rc, found;
    int reads = ipc_group_is_read_only_(g);
    struct ipc_watches_ s;

    if (deadline == IPC_FOREVER && ipc_group_may_sleep_on_(g))
        return ipc_group_sleep_(g, keys, deadline); /* a timer costs as much as half a wake */
    found = ipc_watches_find_(&s, g);
    if (watches && found && ipc_group_can_follow_(g, &s))
        return ipc_group_sleep_long_(g, &s, keys, deadline, which);
    if (can_sleep || reads || g->kept->must_ask) {
        rc = ipc_group_sleep_short_(g, keys, deadline, which);
        if (rc != -EAGAIN)
            return rc;
        if (!watches && can_sleep)
            return 0; /* and the condition is looked at */
    }
    if (reads) {
        rc = ipc_group_ask_(g, which);
        return rc < 0 ? rc : 0;
    }
    if (found)
        return ipc_group_sleep_long_(g, &s, keys, deadline, which);
    g->kept->must_ask = 1;
    return ipc_group_check_deaths_(g, which);
}

/* Sleeps, unless one of them was posted since the prepares that returned the keys. Changes these.
 * As ipc_notify_wait; where that is -EOWNERDEAD, *which is the notifier that watches the dead peer.
 */
IPC_INLINE int ipc_group_wait_(const struct ipc_notify_group_ *g, uint32_t *keys, int64_t deadline,
                               unsigned *which)
{
    int rc;

    if (deadline < IPC_DEADLINE_FIRST_)
        return deadline == IPC_NOW ? -ETIMEDOUT : -EINVAL;
    rc = ipc_group_sleep_in_stages_(g, keys, deadline, which);
    /* The clock is asked after each sleep. A peer that changes the word before each, or wakes us
     * without end, could otherwise keep us past the deadline. */
    if (rc == 0 && deadline != IPC_FOREVER && ipc_left_(deadline) == 0)
        return -ETIMEDOUT;
    return rc;
}

/* The group of n alone. It keeps a pointer to n, the variable. */
IPC_INLINE struct ipc_notify_group_ ipc_group_of_one_(struct ipc_notify *const *n)
{
    struct ipc_notify_group_ g;

    g.all = n;
    g.count = 1;
    g.kept = &(*n)->kept;
    return g;
}

IPC_INLINE int ipc_notify_wait(struct ipc_notify *n, uint32_t key, int64_t deadline)
{
    struct ipc_notify_group_ g = ipc_group_of_one_(&n);
    unsigned which;

    return n->at == NULL ? -EINVAL : ipc_group_wait_(&g, &key, deadline, &which);
}

/* ------------------------------------------------------------------ waiting, in one line */

/* A wait under way. */
struct ipc_waiting_ {
    int64_t deadline;
    unsigned looks;
    uint32_t key;        /* of ipc_notify_prepare, for a wait on one */
    int prepared, slept; /* the state, and whether it has slept in this wait */
    int rc;              /* not 0: the next look is the last */
};

IPC_INLINE struct ipc_waiting_ ipc_waiting_until_(int64_t deadline)
{
    struct ipc_waiting_ w;

    memset(&w, 0, sizeof w);
    w.deadline = deadline;
    return w;
}

/* Awake, after a look in vain: spins or yields, by the policy. 0 when the policy is used up, or the
 * waiter has slept. Sets rc when the deadline has passed. */
IPC_INLINE int ipc_waiting_spin_(struct ipc_waiting_ *w, unsigned spin, unsigned yield)
{
    unsigned look = w->looks;

    if (w->rc != 0 || w->prepared || w->slept)
        return 0;
    /* Without looks to spin, the sleep learns that the deadline has passed, without a clock here.
     */
    if (w->deadline < IPC_DEADLINE_FIRST_ || (look % 32 == 31 && ipc_left_(w->deadline) == 0)) {
        w->rc = ipc_is_deadline_(w->deadline) ? -ETIMEDOUT : -EINVAL;
        return 1;
    }
    if (look < spin)
        ck_pr_stall();
    else if (look - spin < yield)
        (void)sched_yield();
    else
        return 0;
    w->looks = look + 1;
    return 1;
}

/* After a look in vain, where ipc_waiting_spin_ returned 0: one step, to the next state. 1 to look
 * again, 0 at the end. */
IPC_INLINE int ipc_waiting_step_(struct ipc_waiting_ *w, const struct ipc_notify_group_ *g,
                                 uint32_t *keys, unsigned *which)
{
    unsigned i;

    if (w->rc != 0)
        return 0; /* that was the last look */
    if (w->prepared) {
        w->rc = ipc_group_wait_(g, keys, w->deadline, which);
        w->prepared = 0;
        w->slept = 1;
    } else if (w->slept && ipc_group_watches_(g) &&
               ipc_notify_is_time_to_ask_(&g->kept->asked_at) &&
               ipc_group_ask_(g, which) < 0) {
        w->rc = -EOWNERDEAD;
    } else {
        for (i = 0; i < g->count; i++)
            keys[i] = ipc_notify_prepare(g->all[i]);
        w->prepared = 1;
    }
    return 1;
}

/* After a look in vain, in an event loop that was woken by no post: asks for deaths. 1: there
 * was one, and the condition is to be looked at once more. */
__attribute__((noinline, unused)) static int ipc_waiting_ask_(struct ipc_waiting_ *w,
                                                              struct ipc_notify *n)
{
    struct ipc_notify_group_ g = ipc_group_of_one_(&n);
    unsigned which;

    n->asks = 0;
    if (w->rc != 0)
        return 0; /* that was the last look */
    w->rc = ipc_group_check_deaths_(&g, &which);
    return w->rc != 0;
}

/* A look at the condition was in vain. 1 to look again, 0 at the end. */
IPC_INLINE int ipc_waiting_more_(struct ipc_waiting_ *w, struct ipc_notify *n)
{
    struct ipc_notify_group_ g;
    unsigned which;

    if (n->at == NULL && w->rc == 0)
        w->rc = -EINVAL;
    if (CK_CC_UNLIKELY(n->asks) && ipc_waiting_ask_(w, n))
        return 1;
    if (ipc_waiting_spin_(w, n->spin, n->yield))
        return 1;
    g = ipc_group_of_one_(&n);
    return ipc_waiting_step_(w, &g, &w->key, &which);
}

/* What the wait returns. A death that the condition has overtaken is still to be reported. */
IPC_INLINE int ipc_waiting_end_(const struct ipc_waiting_ *w, struct ipc_notify *n, int ok)
{
    if (ok && w->rc == -EOWNERDEAD) {
        n->watched = n->reported;
        n->reported = 0;
    }
    return ok ? 0 : w->rc;
}

#define ipc_wait(n, deadline, condition)                                                           \
    __extension__({                                                                                \
        struct ipc_waiting_ ipc_w_ = ipc_waiting_until_(deadline);                                 \
        int ipc_ok_;                                                                               \
                                                                                                   \
        while (!(ipc_ok_ = (condition) ? 1 : 0) && ipc_waiting_more_(&ipc_w_, (n)))                \
            ;                                                                                      \
        ipc_waiting_end_(&ipc_w_, (n), ipc_ok_);                                                   \
    })

#endif

/* >>until  src/notify/until.h */
/* Waiting for the other end of a ring, and for whatever a function can look at. */
#ifndef IPC_SRC_NOTIFY_UNTIL_H
#define IPC_SRC_NOTIFY_UNTIL_H 1

/* A look at what is waited for: 1 it is there, 0 not yet, or a negative errno. */
typedef int ipc_notify_look_(void *handle, void *argument);

/* Waits until a look says 1 or an errno. 0, or that, or as ipc_wait. */
IPC_FORCE_INLINE int ipc_notify_wait_until_(struct ipc_notify *n, int64_t deadline,
                                       ipc_notify_look_ *look, void *handle, void *argument)
{
    int state = 0, rc = ipc_wait(n, deadline, (state = look(handle, argument)) != 0);

    return rc != 0 ? rc : state < 0 ? state : 0;
}

/* A wait of one kind: as ipc_notify_wait_until_. */
typedef int ipc_notify_wait_(struct ipc_notify *n, int64_t deadline, ipc_notify_look_ *look,
                             void *handle, void *argument);

/* What an end of a ring knows of the process at the other end. */
struct ipc_notify_peer_ {
    uint64_t seen; /* the process last seen there; 0 once its end was reported */
    uint64_t left; /* how often that end had been left, when that was last looked at */
};

/* A wait that also ends when another process holds the other end of a ring, or one has left it. */
struct ipc_notify_watched_ {
    ipc_notify_look_ *look;
    void *handle, *argument;
    const uint64_t *holder, *left;
    uint64_t now, count; /* what these were */
    int state;           /* what the last look said */
};

/* Not always inlined: GCC 14 at -O1, and GCC 12 at -Og, refuse that for what is called by its address. */
IPC_INLINE int ipc_notify_look_or_change_(void *handle, void *argument)
{
    struct ipc_notify_watched_ *w = (struct ipc_notify_watched_ *)handle;

    (void)argument;
    w->state = w->look(w->handle, w->argument);
    return w->state != 0 || ck_pr_load_64(w->holder) != w->now || ck_pr_load_64(w->left) != w->count;
}

/* At attach: the process at the other end, for `seen` of struct ipc_notify_peer_. A death
 * that is older than this handle is not reported: the process that died has no more to do with it
 * than one that never came. A process that attaches to many rings asks once in 0.1 ms. */
IPC_INLINE uint64_t ipc_notify_first_seen_(struct ipc_notify *n, const uint64_t *holder)
{
    uint64_t id = ck_pr_load_64(holder), now = (uint64_t)ipc_clock();
    struct ipc_watch *w = n->peer.watch;

    if (id == 0 || id == ~UINT64_C(0) || n->peer.alive == NULL ||
        (w != NULL && ck_pr_load_64(&w->known) == id &&
         now - ck_pr_load_64(&w->known_at) < 100000))
        return id;
    if (n->peer.alive(n->peer.arg, id) > 0) {
        if (w != NULL) {
            ck_pr_store_64(&w->known, id);
            ck_pr_store_64(&w->known_at, now);
        }
        return id;
    }
    n->reported = id;
    return 0;
}

/*
 * Waits for one end of a ring that may have one process at the other. *holder is the id of that
 * process, 0 for none, ~0 for one of which no death can be proven. Its death ends the wait with
 * -EOWNERDEAD, and its detach, or its leaving the memory, with -EPIPE, each once. *left counts the
 * detaches: a process may have come and gone while this end always found messages, or room, and
 * never looked at the holder. *peer is the handle's. Attach and detach of the other end post this
 * end's bell. Otherwise as `wait`.
 */
IPC_FORCE_INLINE int ipc_notify_wait_with_peer_(struct ipc_notify *n, uint64_t *holder,
                                                const uint64_t *left,
                                                struct ipc_notify_peer_ *peer, int64_t deadline,
                                                ipc_notify_wait_ *wait, ipc_notify_look_ *look,
                                                void *handle, void *argument)
{
    struct ipc_notify_watched_ w = {look, handle, argument, holder, left, 0, 0, 0};
    int rc = 0, is_gone;

    do {
        w.now = ck_pr_load_64(holder);
        /* Without it this end could find the other one free, and an older count: nobody would tell
         * it later. Partner: ipc_ring_detach_end_. */
        ck_pr_fence_load(); /* no twin */
        w.count = ck_pr_load_64(left);
        /* Without it the look could be older than the count: this end would be told of the loss of
         * a process whose messages it has not taken. Partner: the first fence in
         * ipc_ring_detach_end_. */
        ck_pr_fence_load();
        w.state = look(handle, argument);
        if (w.state != 0)
            break;
        is_gone = w.now == 0 && (peer->seen != 0 || peer->left != w.count);
        peer->seen = w.now != n->reported ? w.now : 0;
        peer->left = w.count;
        if (is_gone)
            return -EPIPE;
        ipc_notify_watch(n, w.now != ~UINT64_C(0) ? w.now : 0);
        rc = wait(n, deadline, ipc_notify_look_or_change_, &w, NULL);
        if (rc == -EOWNERDEAD) {
            peer->seen = 0;
            rc = n->peer.alive(n->peer.arg, n->reported) < 0 ? -EPIPE : rc;
        }
        if (rc == 0 && w.state == 0 && ipc_left_(deadline) == 0)
            rc = -ETIMEDOUT; /* a hostile peer may change the holder all the time */
    } while (rc == 0 && w.state == 0);
    return rc != 0 ? rc : w.state < 0 ? w.state : 0;
}

/* A bell of a ring is of another kind. -EPROTO; me->why says so. */
IPC_INLINE int ipc_notify_refuse_bell_(const void *bell, unsigned kind, struct ipc_peer *me)
{
    if (me != NULL)
        (void)snprintf(me->why, sizeof me->why,
                       "ring whose bell is of another kind; kind: %u there, %u here",
                       (unsigned)((const struct ipc_notify_shared *)bell)->kind,
                       (unsigned)ipc_notify_kind_in_memory_(kind));
    return -EPROTO;
}

/* Attaches to a bell of a ring, which is of that kind whatever the ring's memory says. The errors
 * of ipc_notify_attach; me->why says what -EPROTO means. */
IPC_INLINE int ipc_notify_attach_bell_(struct ipc_notify *n, void *bell, unsigned kind,
                                       struct ipc_peer *me)
{
    int rc = ipc_notify_attach(n, bell, IPC_NOTIFY_SIZE, kind, me);

    return rc == -EPROTO ? ipc_notify_refuse_bell_(bell, kind, me) : rc;
}

/* Points an attached handle at another bell of the same ring, as attaching to it would, but without
 * a system call. 0; -EPROTO as of ipc_notify_attach_bell_. */
IPC_INLINE int ipc_notify_move_(struct ipc_notify *n, void *bell, struct ipc_peer *me)
{
    n->at = (struct ipc_notify_shared *)bell;
    if (ck_pr_load_32(&n->at->kind) != ipc_notify_kind_in_memory_(n->kind))
        return ipc_notify_refuse_bell_(bell, n->kind, me);
    ipc_notify_set_lacks_(n);
    return 0;
}

/* Attaches to both bells of a ring, or to none. */
IPC_INLINE int ipc_notify_attach_both_(struct ipc_notify *data, void *data_bell,
                                       struct ipc_notify *space, void *space_bell, unsigned kind,
                                       struct ipc_peer *me)
{
    int rc = ipc_notify_attach_bell_(data, data_bell, kind, me);

    if (rc == 0)
        rc = ipc_notify_attach_bell_(space, space_bell, IPC_NOTIFY_FUTEX, me);
    if (rc != 0) {
        ipc_notify_detach(data);
        ipc_notify_detach(space);
    }
    return rc;
}

IPC_INLINE void ipc_notify_post_both_(struct ipc_notify *data, struct ipc_notify *space)
{
    (void)ipc_notify_post(data);
    (void)ipc_notify_post(space);
}

/* Leaves both bells of a ring, so that a process that sleeps there learns of it. */
IPC_INLINE void ipc_notify_leave_both_(struct ipc_notify *data, struct ipc_notify *space)
{
    ipc_notify_post_both_(data, space);
    ipc_notify_detach(data);
    ipc_notify_detach(space);
}

#endif

/* >>loop  src/notify/loop.h */
/* Waiting in an event loop, on a descriptor. */
#ifndef IPC_SRC_NOTIFY_LOOP_H
#define IPC_SRC_NOTIFY_LOOP_H 1

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

/* >>any  src/notify/any.h */
/* Waiting for any of many notifiers: a group of them, see wait.h. */
#ifndef IPC_SRC_NOTIFY_ANY_H
#define IPC_SRC_NOTIFY_ANY_H 1

/* ------------------------------------------------------------------ waiting for any of many */

IPC_INLINE int ipc_any_init(struct ipc_any *any, struct ipc_notify *const *all, unsigned count)
{
    memset(any, 0, sizeof *any);
    if (count == 0 || count > IPC_NOTIFY_MANY)
        return -EINVAL;
    any->all = all;
    any->count = count;
    return 0;
}

IPC_INLINE void ipc_any_close(struct ipc_any *any)
{
    any->count = 0;
}

/* A wait on many under way. */
struct ipc_waiting_any_ {
    struct ipc_waiting_ w;
    unsigned which; /* of them watches the peer that is dead */
    uint32_t keys[IPC_NOTIFY_MANY];
};

IPC_INLINE struct ipc_waiting_any_ ipc_waiting_any_until_(int64_t deadline)
{
    struct ipc_waiting_any_ a;

    memset(&a, 0, sizeof a);
    a.w = ipc_waiting_until_(deadline);
    return a;
}

/* As ipc_waiting_more_. */
IPC_INLINE int ipc_waiting_any_more_(struct ipc_waiting_any_ *a, struct ipc_any *any)
{
    struct ipc_notify_group_ g;
    unsigned i;

    for (i = 0; i < any->count && any->all[i]->at != NULL; i++)
        ;
    if (a->w.rc == 0 && (any->count == 0 || i < any->count))
        a->w.rc = -EINVAL;
    g.all = any->all;
    g.count = any->count;
    g.kept = &any->kept;
    if (any->count != 0 &&
        ipc_waiting_spin_(&a->w, any->all[0]->spin / any->count, any->all[0]->yield))
        return 1;
    return ipc_waiting_step_(&a->w, &g, a->keys, &a->which);
}

#define ipc_wait_any(any, deadline, i, condition)                                                  \
    __extension__({                                                                                \
        struct ipc_waiting_any_ ipc_w_ = ipc_waiting_any_until_(deadline);                         \
        struct ipc_any *ipc_a_ = (any);                                                            \
        unsigned ipc_k_;                                                                           \
        int ipc_ok_ = 0;                                                                           \
                                                                                                   \
        (i) = 0;                                                                                   \
        do {                                                                                       \
            for (ipc_k_ = 0; ipc_k_ < ipc_a_->count && !ipc_ok_; ipc_k_++) {                       \
                (i) = (ipc_a_->next + ipc_k_) % ipc_a_->count;                                     \
                ipc_ok_ = (condition) ? 1 : 0;                                                     \
            }                                                                                      \
        } while (!ipc_ok_ && ipc_waiting_any_more_(&ipc_w_, ipc_a_));                              \
        if (ipc_ok_)                                                                               \
            ipc_a_->next = (i) + 1;                                                                \
        else if (ipc_w_.w.rc == -EOWNERDEAD)                                                       \
            (i) = ipc_w_.which;                                                                    \
        ipc_waiting_end_(&ipc_w_.w, ipc_a_->count > 0 ? ipc_a_->all[ipc_w_.which] : NULL,          \
                         ipc_ok_);                                                                 \
    })

#endif

#endif /* IPC_NOTIFY_H */
