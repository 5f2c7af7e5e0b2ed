/* Made by tools/amalgamate. Change these files, not this one: src/ipc_notify.h
 * src/common/version.h src/common/prelude.h src/common/linux.h src/common/peer.h
 * src/common/deadline.h src/notify/layout.h src/notify/post.h src/notify/wait.h
 * src/notify/loop.h src/notify/any.h */
/*
 * ipc_notify.h - sleeping until another process has done something, and waking who sleeps.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * An event count in shared memory. A post with nobody asleep is one load of one word: no system
 * call, no fence. A sleep costs nothing until it ends, and always ends with a reason: data, the
 * deadline, a signal, or the death of the peer. Needs Linux 4.16 or better for all of that, falls
 * back where a call is missing; Concurrency Kit (libck-dev) and libc; C99 to C23, C++11 to C++23.
 * With glibc before 2.34 link with -pthread.
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
 *     case -EOWNERDEAD: failover();   break;        // whom ipc_notify_watch named was killed
 *     }
 *
 * The condition is any expression: ticks_pop(&in, &t) == 0, or several at once. It is evaluated
 * again and again, at least once, and always once more after the sleep has ended for another
 * reason: data wins. Typed rings of ipc_ring.h have calls made of this: ticks_send, ticks_recv.
 *
 * In a loop of epoll, poll or io_uring:
 *
 *     ipc_notify_init(mem, 64, IPC_NOTIFY_EVENTFD); // once; then attach, with the same kind
 *     int fd = ipc_notify_fd(&bell);                // add to the loop; ipc_notify_send_fd gives it
 *     for (;;) {                                    // to the other process
 *         while (ticks_pop(&in, &t) == 0)
 *             trade(&t);
 *         ipc_notify_arm(&bell);                    // from here on a post makes fd readable
 *         if (ticks_pop(&in, &t) == 0) { trade(&t); continue; }
 *         epoll_wait(...);
 *         ipc_notify_drain(&bell);
 *     }
 *
 * Contract
 *   - No post is missed: either the waiter's next look at its condition sees what was stored before
 *     the post, or the post wakes it. A wake may come without a post; ipc_wait looks again.
 *   - A poster or waiter that is stopped or killed at any instruction holds nobody up. What a
 *     poster stored before it was killed between storing and waking is found by whoever watches it
 *     within 10 ms, by whoever has a deadline or waits with the bell of a typed ring within a
 *     second, by everyone else with the next post.
 *   - Whom to watch is an id of struct ipc_peer: with ipc_shm.h a member of the segment. Its death
 *     is told once, within 10 ms, on the kernel's word; waits after that are for its successor.
 *   - The shared memory is not trusted: whatever is written there, and however often, calls keep
 *     their deadlines and touch nothing else. A handle's kind is the one that attach was called
 * with. The memory names no process and no descriptor to act on. A hostile peer can wake you for
 *     nothing, or let you sleep until your deadline.
 *   - Handles are private to one thread at a time. After fork parent and child may both go on using
 *     their copies, unless one has slept with it already.
 *
 * Caveats
 *   - ipc_notify_post comes after what it announces. Before it the waiter may look too early, and
 *     sleep. Fix: store, then post.
 *   - ipc_notify_post_one wakes one of several that wait for the same kind of thing; with different
 *     conditions it may wake the wrong one, and if the one it woke is killed the others sleep until
 *     the next post. Fix: ipc_notify_post.
 *   - Before it sleeps ipc_wait looks 1000 times, some 10 to 50 microseconds: ipc_notify_policy. A
 *     real-time thread that waits for one of lower priority on the same core should sleep at once.
 *   - Without ipc_shm.h, deaths come from your own struct ipc_peer: where it has no `watch`, its
 *     `alive` is asked every 8 ms, which costs 0.05 to 1 % of a core.
 *   - IPC_FOREVER without a peer to watch is for ever: a poster that was killed before it could
 *     wake, or whose sandbox denies futexes, leaves you asleep until the next post, and so does a
 *     signal handler that was installed with SA_RESTART (ipc_wait_any: also with a deadline). Fix:
 *     watch the peer, or give a deadline. With the bell of a typed ring a wait looks at its
 *     condition once a second in any case.
 *   - IPC_NOTIFY_SIGNAL: the signal must be blocked in all threads, as for signalfd. Both processes
 *     must be in one PID namespace, and each poster names the process itself: ipc_notify_target.
 *   - Wakes that come up to a second late, as everyone looks by himself then: of a poster that
 *     attached without a peer, for one who watches his and has slept for more than 4 ms (fix:
 *     ipc_shm_peer for all); of one whose sandbox denies futexes; of a semaphore, when another
 *     waiter was killed as it passed the wake on (fix: futexes, or a semaphore for each).
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
 *   processor that runs a poster (membarrier, global expedited), and posters fence nothing. The
 *   call is dear to those who sleep often, so that is turned round while they do:
 *
 *       posters do not fence    -- waiter sets its flag -->        TURNING: posters fence,
 *       waiters call membarrier                                    waiters call membarrier
 *            ^                                                          | same waiter, after
 *            |                                                          v membarrier: CAS
 *            '------ poster, after 64 posts that found nobody ----- TURNED: posters fence,
 *                                   asleep: CAS                     waiters call nothing
 *
 *   A process that cannot call membarrier turns the word for good, and naps for a
 *   millisecond before its first sleep: posts that began unfenced are over then.
 *
 *   WAKING is set by a poster between taking ASLEEP off and having called the kernel. A later
 *   poster that finds it does the call again: the first may be dead.
 *
 *   After 4 ms asleep a waiter that watches a peer moves from the futex to poll, on descriptors
 *   that tell of the peer's death and of a poster's stir (see ipc_shm.h), and sets DOZING, so that
 *   posters stir it. Short sleeps cost a futex, long ones no timer.
 *
 *   Event counts: D. P. Reed, R. K. Kanodia, "Synchronization with Eventcounts and Sequencers",
 *   1979. Futexes: U. Drepper, "Futexes Are Tricky", 2011. The fence for one side only:
 *   M. Desnoyers, membarrier(2), and D. Dice, H. Huang, M. Yang, "Asymmetric Dekker
 *   Synchronization", 2001.
 */
#ifndef IPC_NOTIFY_H
#define IPC_NOTIFY_H 1

/* >>version  src/common/version.h */
/* The version of all four headers, which must be the same, and not that of what is in memory:
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

#include <ck_cc.h>
#include <ck_md.h>
#include <ck_pr.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(CK_MD_TSO) && !defined(__x86_64__) && !defined(__s390x__) && !defined(__sparc__)
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
/* What needs Linux, and what libc shows only if it is asked to before. */
#ifndef IPC_SRC_COMMON_LINUX_H
#define IPC_SRC_COMMON_LINUX_H 1

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
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
 * uses the ring or notifier. `arg` must stay valid until they are detached.
 *
 * NULL in place of the pointer: no process is ever proven dead. An end of a ring then stays taken
 * until its holder detaches.
 */
struct ipc_peer {
    /* The id of this process: neither 0 nor ~0, and never used by another process of that memory.
     */
    uint64_t id;
    /* Is the process `id` alive? 0 only with proof of its death, or of its leaving; 1 in case of
     * doubt. Must not block. NULL: nobody is ever proven dead. */
    int (*alive)(void *arg, uint64_t id);
    /* Makes fds[0] readable from now on when another process calls `stir` or leaves, and, where id
     * is not 0, fds[1] when the process `id` dies. Opens those that are -1, as far as it can; its
     * caller closes them. 0 when fds[0] is there, whether or not fds[1] is, else a negative errno.
     * Called again with the same fds, also with another id. NULL: there are no such descriptors. */
    int (*watch)(void *arg, uint64_t id, int fds[2]);
    /* Makes fds[0] of all others that called `watch` readable. Must not block. NULL: cannot. */
    void (*stir)(void *arg);
    void *arg;     /* passed to the functions above */
    char why[256]; /* out: what the last refusal was, as a sentence */
};

#endif

/* >>deadline  src/common/deadline.h */
/* Deadlines: when a call that may block is to end. */
#ifndef IPC_SRC_COMMON_DEADLINE_H
#define IPC_SRC_COMMON_DEADLINE_H 1

/*
 * A deadline is an absolute time of CLOCK_MONOTONIC in nanoseconds, as an int64_t. One deadline can
 * serve several calls in a row. A deadline that has passed, 0 and negative values mean: do not
 * wait.
 */
#define IPC_NOW INT64_C(0)    /* do not wait */
#define IPC_FOREVER INT64_MAX /* wait without limit */

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

/* >>layout  src/notify/layout.h */
/* The word, and the handle of a notifier. */
#ifndef IPC_SRC_NOTIFY_LAYOUT_H
#define IPC_SRC_NOTIFY_LAYOUT_H 1

#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

/* ------------------------------------------------------------------ layout */

#define IPC_NOTIFY_TYPE 0x6c6c6562u /* "bell": the type for objects of ipc_shm.h */
#define IPC_NOTIFY_SIZE 64u

/* How it wakes. All but the semaphore wake ipc_wait by futex; the third and fourth have a
 * descriptor for event loops besides. */
#define IPC_NOTIFY_FUTEX 0u     /* zeroed memory is one */
#define IPC_NOTIFY_SEMAPHORE 1u /* a POSIX semaphore, process-shared */
#define IPC_NOTIFY_EVENTFD 2u
#define IPC_NOTIFY_SIGNAL 3u /* a queued real-time signal, read from a signalfd */
#define IPC_NOTIFY_KINDS_ 4u

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_notify_shared {
    uint32_t word;   /* see the top; compare-and-swap by everyone */
    uint32_t kind;   /* constant after init; attach compares it, and nothing else reads it */
    uint64_t unused; /* zero */
    union {
        sem_t sem;
        unsigned char room[40];
    } u; /* IPC_NOTIFY_SEMAPHORE: a token for one sleeper, given on when it was meant for all */
    uint64_t sleepers; /* ... who may want it, counted by themselves: who is killed stays in it */
};

typedef char ipc_notify_assert_size[sizeof(struct ipc_notify_shared) == 64 ? 1 : -1];

#define IPC_NOTIFY_ASLEEP_ 1u   /* someone sleeps on the futex or semaphore, or is about to */
#define IPC_NOTIFY_DOZING_ 2u   /* ... on what struct ipc_peer's stir makes readable */
#define IPC_NOTIFY_ARMED_ 4u    /* ... in an event loop, on the notifier's descriptor */
#define IPC_NOTIFY_WAKING_ 8u   /* a poster is about to wake them, or was killed then */
#define IPC_NOTIFY_TURNING_ 16u /* posters fence, waiters call membarrier */
#define IPC_NOTIFY_TURNED_ 32u  /* posters fence, waiters need not */
#define IPC_NOTIFY_FIXED_ 64u   /* posters fence for good: someone has no membarrier */
#define IPC_NOTIFY_DEAF_ 128u   /* someone cannot stir: do not rely on it */
#define IPC_NOTIFY_COUNT_ 256u  /* the count starts here */
#define IPC_NOTIFY_SLEEPERS_                                                                       \
    (IPC_NOTIFY_ASLEEP_ | IPC_NOTIFY_DOZING_ | IPC_NOTIFY_ARMED_ | IPC_NOTIFY_WAKING_)
#define IPC_NOTIFY_FENCE_ (IPC_NOTIFY_TURNING_ | IPC_NOTIFY_TURNED_)
#define IPC_NOTIFY_HEED_ (IPC_NOTIFY_SLEEPERS_ | IPC_NOTIFY_FENCE_) /* a post has more to do */

#define IPC_NOTIFY_QUIET_ 64u                /* posts that found nobody */
#define IPC_NOTIFY_SHORT_ INT64_C(4000000)   /* ns on the futex before poll */
#define IPC_NOTIFY_SLICE_ INT64_C(8000000)   /* ns between asking whether a peer is alive */
#define IPC_NOTIFY_NAP_ INT64_C(1000000)     /* ns, where nothing better is to be had */
#define IPC_NOTIFY_LONG_ INT64_C(1000000000) /* ns, the longest sleep between two looks */
#define IPC_NOTIFY_MANY 128u                 /* at once, by ipc_wait_any */
/* Tries of a compare-and-swap, some 0.1 ms. Where all fail, a hostile peer rewrites the word all
 * the time. It could undo what we store as well. */
#define IPC_NOTIFY_TRIES_ 1000u

/* ------------------------------------------------------------------ handles */

/* What this process uses: ipc_notify_uses. What is missing is replaced by the next best. */
#define IPC_USES_FUTEX 1u      /* else naps of a millisecond */
#define IPC_USES_MEMBARRIER 2u /* else a full fence in each post */
#define IPC_USES_WAITV 4u      /* else poll, or naps, for ipc_wait_any */
#define IPC_USES_WATCH 8u      /* deaths are told by descriptors, else asked for every 8 ms */
#define IPC_USES_EVENTFD 16u   /* else a pipe */
#define IPC_USES_PIDFD 32u     /* signals reach no reused pid, else almost none */

/* Private to one thread at a time; no field is for the caller. */
struct ipc_notify {
    struct ipc_notify_shared *at;
    uint32_t kind;
    uint32_t uses;
    unsigned quiet;       /* posts since someone slept */
    unsigned spin, yield; /* the policy */
    int fd, post_fd;      /* readable when armed and posted; what posts write to */
    int fds[2];           /* of peer.watch */
    int target_fd;        /* a pidfd of target */
    int number;           /* the signal for target */
    pid_t target;         /* the process that posts signal; 0: none */
    uint64_t whom, told;  /* whom to watch; whose death was told */
    unsigned uneasy;      /* polls to keep short: a descriptor told of something not yet proven */
    int64_t asked;        /* when it was, last */
    int asks;             /* no descriptors to be had: ask whether whom is alive */
    int anyone;           /* 1: anyone's death is of interest, 2: there may have been one */
    int settled;          /* has slept without membarrier */
    int plain;            /* of a ring, at whose other end may be a program that posts nothing */
    struct {              /* as in struct ipc_peer */
        int (*alive)(void *, uint64_t);
        int (*watch)(void *, uint64_t, int[2]);
        void (*stir)(void *);
        void *arg;
    } peer;
};

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

/* One of many, as futex_waitv has it. */
struct ipc_notify_one_ {
    uint64_t value, address;
    uint32_t flags, reserved;
};

IPC_INLINE int ipc_notify_waitv_(struct ipc_notify_one_ *all, unsigned n,
                                 const struct timespec *until)
{
    /* The same number on every architecture but Alpha. */
    long rc = sizeof(long) == 8 ? syscall(449, all, n, 0, until, CLOCK_MONOTONIC) : -1;

    return rc >= 0 ? (int)rc : sizeof(long) == 8 ? -errno : -ENOSYS;
}

IPC_INLINE struct timespec ipc_notify_time_(int64_t deadline)
{
    struct timespec t;

    t.tv_sec = (time_t)(deadline / 1000000000);
    t.tv_nsec = (long)(deadline % 1000000000);
    return t;
}

/* 1 when this thread may run on one processor only: the peer's, or one of its own? */
IPC_INLINE int ipc_notify_alone_(void)
{
    unsigned long set[128];
    long i, bytes = syscall(SYS_sched_getaffinity, 0, sizeof set, set);
    unsigned count = 0;

    for (i = 0; i < bytes / (long)sizeof set[0] && count < 2; i++)
        for (; set[i] != 0 && count < 2; set[i] &= set[i] - 1)
            count++;
    return count == 1;
}

/* Adds flags to the word, whatever else happens to it. */
IPC_INLINE void ipc_notify_flag_(struct ipc_notify *n, uint32_t flags)
{
    unsigned tries;

    for (tries = 0; tries < IPC_NOTIFY_TRIES_; tries++) {
        uint32_t w = ck_pr_load_32(&n->at->word);

        if ((w & flags) == flags || ck_pr_cas_32(&n->at->word, w, w | flags))
            return;
    }
}

/* ------------------------------------------------------------------ init, attach and detach */

/*
 * Makes a notifier of the given kind in mem, which nobody may be using. Zeroed memory is one of
 * kind IPC_NOTIFY_FUTEX without this call.
 *
 *   0
 *   -EINVAL  mem is NULL or not aligned to 8 bytes, size is less than IPC_NOTIFY_SIZE, no such kind
 *   -ENOSYS  there are no process-shared semaphores
 */
IPC_INLINE int ipc_notify_init(void *mem, size_t size, unsigned kind)
{
    struct ipc_notify_shared *s = (struct ipc_notify_shared *)mem;

    if (mem == NULL || (uintptr_t)mem % 8 != 0 || size < sizeof *s || kind >= IPC_NOTIFY_KINDS_)
        return -EINVAL;
    memset(mem, 0, sizeof *s);
    if (kind == IPC_NOTIFY_SEMAPHORE && sem_init(&s->u.sem, 1, 0) != 0)
        return -errno;
    s->kind = kind;
    return 0;
}

/*
 * Attaches to the notifier in mem[0..size), to post and to wait. `kind` is the one that it was made
 * with, which this program has to know: the memory is only compared with it. `me` says who else is
 * alive, and is copied: with ipc_shm.h it is ipc_shm_peer(&seg), which must stay open; NULL where
 * nobody's death is of interest. Registers the process for membarrier. Lock-free.
 *
 *   0
 *   -EINVAL  as of ipc_notify_init
 *   -EPROTO  the memory says another kind, or is no notifier
 */
IPC_INLINE int ipc_notify_attach(struct ipc_notify *n, void *mem, size_t size, unsigned kind,
                                 const struct ipc_peer *me)
{
    struct ipc_notify_shared *s = (struct ipc_notify_shared *)mem;

    memset(n, 0, sizeof *n);
    n->fd = n->post_fd = n->fds[0] = n->fds[1] = n->target_fd = -1;
    n->yield = ipc_notify_alone_() ? 50 : 0;
    n->spin = n->yield != 0 ? 50 : 1000;
    if (mem == NULL || (uintptr_t)mem % 8 != 0 || size < sizeof *s || kind >= IPC_NOTIFY_KINDS_)
        return -EINVAL;
    if (ck_pr_load_32(&s->kind) != kind)
        return -EPROTO;
    n->kind = kind;
    n->at = s;
    if (me != NULL) {
        n->peer.alive = me->alive;
        n->peer.watch = me->watch;
        n->peer.stir = me->stir;
        n->peer.arg = me->arg;
    }
    if (n->peer.stir == NULL)
        ipc_notify_flag_(n, IPC_NOTIFY_DEAF_);
    if (ipc_notify_futex_(&s->word, IPC_NOTIFY_FUTEX_WAKE_, 0, NULL) >= 0)
        n->uses |= IPC_USES_FUTEX;
    if (ipc_notify_waitv_(NULL, 0, NULL) == -EINVAL) /* of no futexes: it is there */
        n->uses |= IPC_USES_WAITV;
    if (ipc_notify_membarrier_(IPC_NOTIFY_REGISTER_) == 0 &&
        ipc_notify_membarrier_(IPC_NOTIFY_BARRIER_) == 0)
        n->uses |= IPC_USES_MEMBARRIER;
    else
        ipc_notify_flag_(n, IPC_NOTIFY_TURNING_ | IPC_NOTIFY_FIXED_); /* posts are to be fenced */
    return 0;
}

/* Closes what the handle has opened. Sleepers sleep on, and the shared part stays. Twice does
 * nothing. */
IPC_INLINE void ipc_notify_detach(struct ipc_notify *n)
{
    int *const fds[] = {&n->fd, &n->post_fd, &n->fds[0], &n->fds[1], &n->target_fd};
    size_t i;

    if (n->at == NULL)
        return;
    if (n->post_fd == n->fd)
        n->post_fd = -1;
    for (i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            (void)close(*fds[i]);
        *fds[i] = -1;
    }
    n->at = NULL;
}

/*
 * How long ipc_wait looks before it sleeps: first `spin` looks with a ck_pr_stall between them (20
 * to 50 ns each, a core burnt as long), then `yield` with a sched_yield (0.2 to 1 microsecond, and
 * whatever else is ready runs), then it sleeps (waking up takes 1 to 60 microseconds). Default:
 * 1000 and 0; 50 and 50 in a thread that may run on one core only, where the peer may have to run,
 * too. Looking longer than waking takes does not pay; where the peer wakes often, looking less than
 * that makes both sleep for each message.
 */
IPC_INLINE void ipc_notify_policy(struct ipc_notify *n, unsigned spin, unsigned yield)
{
    n->spin = spin;
    n->yield = yield;
}

/* From now on waits end with -EOWNERDEAD when the peer `id` dies; 0: nobody's death. One whose
 * death this handle has told is not watched again. */
IPC_INLINE void ipc_notify_watch(struct ipc_notify *n, uint64_t id)
{
    id = id == n->told || n->peer.alive == NULL ? 0 : id;
    if (id != n->whom && n->fds[1] >= 0) {
        (void)close(n->fds[1]);
        n->fds[1] = -1;
    }
    n->whom = id;
}

/* From now on waits also look at their condition when any member may have died, within 10 ms, or a
 * second if it left its descriptors to children. They do not end for that: the condition asks
 * ipc_notify_anyone_died, and then who is alive of those that matter to it. */
IPC_INLINE void ipc_notify_watch_anyone(struct ipc_notify *n)
{
    if (n->anyone == 0 && n->peer.alive != NULL)
        n->anyone = 1;
}

/* 1 when a member may have died since the last call. */
IPC_INLINE int ipc_notify_anyone_died(struct ipc_notify *n)
{
    int died = n->anyone == 2;

    n->anyone -= died;
    return died;
}

/* What this process uses, IPC_USES_*, as far as it has come to it: the last three after the first
 * long sleep, the call of ipc_notify_fd, the first signal. */
IPC_INLINE uint32_t ipc_notify_uses(const struct ipc_notify *n)
{
    return n->uses;
}

#endif

/* >>post  src/notify/post.h */
/* Posting. */
#ifndef IPC_SRC_NOTIFY_POST_H
#define IPC_SRC_NOTIFY_POST_H 1

/* ------------------------------------------------------------------ posting */

/* Gives the semaphore a token, unless it has one: that will wake someone all the same. -EOVERFLOW
 * cannot come of it. */
IPC_INLINE void ipc_notify_give_(struct ipc_notify *n)
{
    int value = 0;

    if (sem_getvalue(&n->at->u.sem, &value) != 0 || value <= 0)
        (void)sem_post(&n->at->u.sem);
}

/* 1 when the process blocks the signal, as one that reads it from a signalfd does. The signal would
 * kill another process: a successor with the same pid. 0 for the id of a thread that is not its
 * process's first: /proc tells only of that thread. */
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

/* 0 when the process may be signalled, or why not: -ESRCH, -EPERM. */
IPC_INLINE int ipc_notify_try_target_(pid_t pid, int number)
{
    if (kill(pid, 0) != 0)
        return -errno;
    return ipc_notify_blocks_(pid, number) ? 0 : -EPERM;
}

/*
 * IPC_NOTIFY_SIGNAL: posts of this handle send the real-time signal `number` to the process `pid`
 * from now on. That process has called ipc_notify_listen before. Take its pid from fork, from
 * SO_PEERCRED or from your configuration, not from shared memory, where a hostile peer may name
 * another process.
 *
 *   0
 *   -EINVAL  not attached, not of that kind, pid is not positive, or no real-time signal
 *   -ESRCH   there is no such process
 *   -EPERM   it is another user's, or does not block the signal
 *   After an error posts of this handle signal nobody.
 */
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
    n->target_fd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
    rc = ipc_notify_try_target_(pid, number); /* after the pidfd: of the process that it is for */
    if (rc == 0) {
        n->target = pid;
        n->number = number;
    }
    return rc;
}

/* Sends the signal to the process that this handle names. */
IPC_INLINE int ipc_notify_signal_(struct ipc_notify *n)
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
    rc = ipc_notify_try_target_(n->target, n->number);
    /* A real-time signal is queued this way, too. */
    return rc != 0 || kill(n->target, n->number) == 0 ? rc : -errno;
}

/* Reaches the event loops. -EAGAIN of write: saturated, so it is readable. */
IPC_INLINE int ipc_notify_ring_(struct ipc_notify *n)
{
    static const uint64_t one = 1;

    if (n->kind == IPC_NOTIFY_SIGNAL)
        return ipc_notify_signal_(n);
    if (n->kind != IPC_NOTIFY_EVENTFD)
        return 0; /* nothing to be armed: a hostile peer */
    if (n->post_fd < 0)
        return -ENOENT;
    return write(n->post_fd, &one, sizeof one) > 0 || errno == EAGAIN ? 0 : -errno;
}

/* Does the word of the notifier in mem say more than "nobody, no fence"? */
IPC_FORCE_INLINE int ipc_notify_heeds_(const void *mem)
{
    ck_pr_barrier(); /* the compiler's part of the fence that membarrier makes here */
    return (ck_pr_load_32((const uint32_t *)mem) & IPC_NOTIFY_HEED_) != 0;
}

/* It does. */
IPC_INLINE int ipc_notify_wake_(struct ipc_notify *n, int all)
{
    uint32_t *word = &n->at->word, w, mine = 0;
    unsigned tries;
    int rc = 0, saved;

    /* Without it a waiter that has just set its flag could miss what was stored before this post,
     * and this post its flag. Partner: the fence in ipc_notify_mark_. */
    ck_pr_fence_store_load();
    w = ck_pr_load_32(word);
    if ((w & IPC_NOTIFY_SLEEPERS_) == 0) {
        if (++n->quiet < IPC_NOTIFY_QUIET_ || (w & IPC_NOTIFY_FIXED_) != 0)
            return 0;
        /* The count moves on, so that no waiter says TURNED of a turn that is over. */
        n->quiet = 0;
        (void)ck_pr_cas_32(word, w, (w & ~IPC_NOTIFY_FENCE_) + IPC_NOTIFY_COUNT_);
        return 0;
    }
    n->quiet = 0;
    saved = errno; /* a signal handler's caller has its own */
    for (tries = 0; tries < IPC_NOTIFY_TRIES_; tries++, w = ck_pr_load_32(word)) {
        if ((w & IPC_NOTIFY_SLEEPERS_) == 0)
            return 0; /* another poster has them, and they will see what we stored */
        if (!all && (w & IPC_NOTIFY_SLEEPERS_) == IPC_NOTIFY_ASLEEP_ &&
            n->kind != IPC_NOTIFY_SEMAPHORE) {
            if (!ck_pr_cas_32(word, w, w + IPC_NOTIFY_COUNT_))
                continue;
            if (ipc_notify_futex_(word, IPC_NOTIFY_FUTEX_WAKE_, 1, NULL) > 0)
                return 0;
            all = 1; /* none is left: take the flag off, and wake who comes meanwhile */
            continue;
        }
        mine = ((w & ~IPC_NOTIFY_SLEEPERS_) | IPC_NOTIFY_WAKING_) + IPC_NOTIFY_COUNT_;
        if (ck_pr_cas_32(word, w, mine))
            break;
    }
    if ((w & (IPC_NOTIFY_ASLEEP_ | IPC_NOTIFY_WAKING_)) != 0) {
        if (n->kind == IPC_NOTIFY_SEMAPHORE)
            ipc_notify_give_(n);
        else
            (void)ipc_notify_futex_(word, IPC_NOTIFY_FUTEX_WAKE_, INT32_MAX, NULL);
    }
    if ((w & (IPC_NOTIFY_DOZING_ | IPC_NOTIFY_WAKING_)) != 0 && n->peer.stir != NULL)
        n->peer.stir(n->peer.arg);
    if ((w & IPC_NOTIFY_ARMED_) != 0 ||
        ((w & IPC_NOTIFY_WAKING_) != 0 && (n->post_fd >= 0 || n->target != 0)))
        rc = ipc_notify_ring_(n);
    /* Not when someone has set a flag since: he may be asleep by now, and needs the next post. */
    (void)ck_pr_cas_32(word, mine, mine & ~IPC_NOTIFY_WAKING_);
    errno = saved;
    return rc;
}

/*
 * Wakes everyone who waits, after what they wait for was stored. One load while nobody sleeps; a
 * fence besides while they often do (see the top). Else a system call or two; lock-free. May be
 * called in a signal handler, for other kinds than IPC_NOTIFY_SIGNAL. A waiter that is stopped or
 * killed costs one system call at most.
 *
 *   0
 *   -EINVAL   the handle is not attached
 *   -ESRCH    IPC_NOTIFY_SIGNAL: this handle names no process (ipc_notify_target), or that process
 *             is gone; -EPERM: it is another user's, or does not block the signal
 *   -ENOENT   IPC_NOTIFY_EVENTFD: this handle has no descriptor, see ipc_notify_recv_fd; -EBADF:
 *             someone else has closed it
 */
IPC_FORCE_INLINE int ipc_notify_post(struct ipc_notify *n)
{
    if (CK_CC_UNLIKELY(n->at == NULL))
        return -EINVAL;
    return CK_CC_UNLIKELY(ipc_notify_heeds_(n->at)) ? ipc_notify_wake_(n, 1) : 0;
}

/* Wakes one of those who sleep in ipc_wait, at least: semaphores and descriptors wake all. For
 * waiters that all wait for the same. Otherwise as ipc_notify_post. */
IPC_FORCE_INLINE int ipc_notify_post_one(struct ipc_notify *n)
{
    if (CK_CC_UNLIKELY(n->at == NULL))
        return -EINVAL;
    return CK_CC_UNLIKELY(ipc_notify_heeds_(n->at)) ? ipc_notify_wake_(n, 0) : 0;
}

#endif

/* >>wait  src/notify/wait.h */
/* Waiting. */
#ifndef IPC_SRC_NOTIFY_WAIT_H
#define IPC_SRC_NOTIFY_WAIT_H 1

/* ------------------------------------------------------------------ waiting, piece by piece */

/* Sets a flag, and sees to it that whoever posts from now on sees it, or we see what was stored.
 * Returns the word as it is then. */
IPC_INLINE uint32_t ipc_notify_mark_(struct ipc_notify *n, uint32_t flag)
{
    uint32_t *word = &n->at->word, w, mine = 0;
    unsigned tries;

    for (tries = 0; tries < IPC_NOTIFY_TRIES_; tries++) {
        w = ck_pr_load_32(word);
        mine = w | flag;
        if ((w & IPC_NOTIFY_FENCE_) == 0)
            mine |= IPC_NOTIFY_TURNING_;
        /* Not TURNED: others still have to fence the posters. */
        if ((n->uses & IPC_USES_MEMBARRIER) == 0)
            mine |= IPC_NOTIFY_FIXED_;
        if (ck_pr_cas_32(word, w, mine)) /* also where nothing changes: the fence needs it */
            break;
    }
    /* Without it our next look at the condition could come before the flag. Partner: the fence in
     * ipc_notify_wake_. */
    ck_pr_fence_atomic_load();
    if ((mine & IPC_NOTIFY_TURNED_) != 0 || (n->uses & IPC_USES_MEMBARRIER) == 0)
        return mine;
    /* Posters that have not seen TURNING do not fence: this does it for them. Partner: the barrier
     * in ipc_notify_heeds_. */
    if (ipc_notify_membarrier_(IPC_NOTIFY_BARRIER_) != 0) {
        n->uses &= ~IPC_USES_MEMBARRIER; /* taken from us since attach */
        return ipc_notify_mark_(n, flag);
    }
    /* Only if nothing has happened since: TURNED must not outlive the turn that it belongs to. */
    w = (mine & ~IPC_NOTIFY_TURNING_) | IPC_NOTIFY_TURNED_;
    return ck_pr_cas_32(word, mine, w) ? w : mine;
}

/* Announces a sleep: look at the condition after it, and then ipc_notify_wait with what it
 * returned, or go on without. Lock-free. */
IPC_INLINE uint32_t ipc_notify_prepare(struct ipc_notify *n)
{
    return n->at != NULL ? ipc_notify_mark_(n, IPC_NOTIFY_ASLEEP_) : 0;
}

IPC_INLINE int ipc_notify_nap_(int64_t until)
{
    int64_t left = ipc_left_(until);
    struct timespec t = ipc_notify_time_(left < IPC_NOTIFY_NAP_ ? left : IPC_NOTIFY_NAP_);

    return nanosleep(&t, NULL) == 0 ? 0 : -errno;
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
 * Takes a token, and gives it on while others sleep, as a wake is for all. Who finds no wake behind
 * his token came late: it may be for those before him, so he gives it back and stands aside; a
 * hundred times, as the others may only seem to be there: they were killed asleep.
 */
IPC_INLINE int ipc_notify_take_(struct ipc_notify *n, uint32_t key, int64_t until)
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
        /* Without it the word could be older than the token. Partner: in ipc_notify_give_, which
         * looks for a token after the count has moved on. */
        ck_pr_fence_atomic_load();
        if (took && ck_pr_load_32(&s->word) == key && ck_pr_load_64(&s->sleepers) > 1) {
            if (back++ < 100)
                ipc_notify_give_(n);
            else
                ck_pr_store_64(&s->sleepers, 1);
        }
        if (rc == 0 && (back > 0 || (naps && !took)))
            rc = ipc_notify_nap_(until);
        if (rc == 0 && ipc_left_(until) == 0)
            rc = -ETIMEDOUT; /* with stale tokens, too: there may be very many */
    }
    if (ck_pr_load_64(&s->sleepers) > 0)
        (void)ck_pr_faa_64(&s->sleepers, UINT64_MAX);
    if (took && ck_pr_load_32(&s->word) != key && ck_pr_load_64(&s->sleepers) > 0)
        ipc_notify_give_(n);
    return rc;
}

/* Sleeps until the word is no longer key, at most until then. 0 for a wake of any kind, -ETIMEDOUT
 * or -EINTR. */
IPC_INLINE int ipc_notify_sleep_(struct ipc_notify *n, uint32_t key, int64_t until)
{
    struct timespec t;
    int rc;

    /* Posts that were under way when we attached may not have been fenced. That is over before we
     * look again. */
    if ((n->uses & IPC_USES_MEMBARRIER) == 0 && !n->settled) {
        n->settled = 1;
        return ipc_notify_nap_(until);
    }
    if (n->kind == IPC_NOTIFY_SEMAPHORE)
        return ipc_notify_take_(n, key, until);
    if ((n->uses & IPC_USES_FUTEX) != 0) {
        t = ipc_notify_time_(until);
        rc = ipc_notify_futex_(&n->at->word, IPC_NOTIFY_FUTEX_WAIT_, key,
                               until == IPC_FOREVER ? NULL : &t);
        if (rc == -EINTR || rc == -ETIMEDOUT)
            return rc;
        if (rc == 0 || rc == -EAGAIN)
            return 0;
        n->uses &= ~IPC_USES_FUTEX; /* taken from us since attach */
    }
    while (ck_pr_load_32(&n->at->word) == key) {
        if (ipc_left_(until) == 0)
            return -ETIMEDOUT;
        if (ipc_notify_nap_(until) != 0)
            return -EINTR;
    }
    return 0;
}

/* Reads a descriptor empty. 0 when it was. */
IPC_INLINE int ipc_notify_empty_(int fd)
{
    char bytes[4096];
    int tries;

    for (tries = 0; fd >= 0 && tries < 64 && read(fd, bytes, sizeof bytes) > 0; tries++)
        ;
    return tries;
}

/* poll, with a deadline to the millisecond, never late by it. */
IPC_INLINE int ipc_notify_poll_(struct pollfd *p, nfds_t count, int64_t left)
{
    int rc = poll(p, count, (int)(left / 1000000));

    return rc >= 0 ? rc : -errno;
}

/* Can posters reach us by a descriptor? Opens what it takes; the one for posts is in *fd. */
IPC_INLINE int ipc_notify_reach_(struct ipc_notify *n, int *fd)
{
    int watched = n->peer.watch != NULL && n->peer.watch(n->peer.arg, n->whom, n->fds) == 0;

    n->uses = watched ? n->uses | IPC_USES_WATCH : n->uses & ~IPC_USES_WATCH;
    if (!watched || (ck_pr_load_32(&n->at->word) & IPC_NOTIFY_DEAF_) != 0)
        return 0;
    *fd = n->fds[0];
    return 1;
}

/* Is the one we watch dead? Told once. */
IPC_INLINE int ipc_notify_dead_(struct ipc_notify *n)
{
    uint64_t id = n->whom;

    if (id == 0 || n->peer.alive(n->peer.arg, id) != 0)
        return 0;
    n->told = id;
    ipc_notify_watch(n, 0);
    return 1;
}

/* A long sleep asks whether the watched are alive. Where sleeps are short, because of posts in vain
 * or near deadlines, that is due every 8 ms. */
IPC_INLINE int ipc_notify_due_(int64_t *asked)
{
    int64_t now = ipc_clock();

    if (*asked != 0 && now - *asked < IPC_NOTIFY_SLICE_)
        return 0;
    if (*asked != 0 && now - *asked < 4 * IPC_NOTIFY_SLICE_) {
        *asked = now;
        return 1;
    }
    *asked = now; /* the first of a series */
    return 0;
}

/* Is a long sleep to tell of anyone's death? */
IPC_INLINE int ipc_notify_watches_(const struct ipc_notify *n)
{
    return n->whom != 0 || n->anyone != 0;
}

/* Who is watched may be dead. 1 when he is, and is the only one. */
IPC_INLINE int ipc_notify_suspect_(struct ipc_notify *n)
{
    if (n->anyone != 0)
        n->anyone = 2;
    return ipc_notify_dead_(n);
}

/* What a sleep returns. The clock is asked after each sleep: with a word that changes before each,
 * or wakes in vain that never end, a peer could otherwise keep us past the deadline. */
IPC_INLINE int ipc_notify_in_time_(int rc, int64_t deadline)
{
    return rc == 0 && deadline != IPC_FOREVER && ipc_left_(deadline) == 0 ? -ETIMEDOUT : rc;
}

/* As ipc_notify_wait, of a handle that is attached, but asks no clock after a wake. */
IPC_INLINE int ipc_notify_rest_(struct ipc_notify *n, uint32_t key, int64_t deadline)
{
    int64_t until;
    struct pollfd p[2];
    unsigned uneasy;
    int first, rc;

    if (!ipc_notify_watches_(n) && deadline == IPC_FOREVER && n->kind != IPC_NOTIFY_SEMAPHORE &&
        !n->plain)
        return ipc_notify_sleep_(n, key, deadline); /* a timer costs as much as half a wake */
    until = ipc_clock() + (!ipc_notify_watches_(n) ? IPC_NOTIFY_LONG_
                           : n->asks               ? IPC_NOTIFY_SLICE_
                                                   : IPC_NOTIFY_SHORT_);
    rc = ipc_notify_sleep_(n, key, deadline < until ? deadline : until);
    if (rc == -ETIMEDOUT && deadline <= until && ipc_notify_watches_(n) &&
        ipc_notify_due_(&n->asked) && ipc_notify_suspect_(n))
        return -EOWNERDEAD;
    if (rc != -ETIMEDOUT || deadline <= until)
        return rc;
    if (!ipc_notify_watches_(n))
        return 0; /* look, for posters that were killed, or cannot wake */

    /* A long sleep. If nothing has happened since prepare, posters see both flags from now on. */
    p[0].events = p[1].events = POLLIN;
    first = n->fds[0] < 0;
    n->asks = !ipc_notify_reach_(n, &p[0].fd);
    if (n->asks || (first && n->anyone != 0)) /* what came before is not told by descriptors */
        return ipc_notify_suspect_(n) ? -EOWNERDEAD : 0;
    if (!ck_pr_cas_32(&n->at->word, key, key | IPC_NOTIFY_DOZING_))
        return 0;
    key |= IPC_NOTIFY_DOZING_;
    p[1].fd = n->fds[1];
    until = ipc_clock() + IPC_NOTIFY_LONG_; /* however often others of the segment stir us */
    for (;;) {
        int64_t left;

        if (ipc_notify_empty_(n->fds[0]) > 0) /* before the looks at what it may have told */
            n->uneasy = 3;
        if (ipc_notify_dead_(n))
            return -EOWNERDEAD;
        if (ck_pr_load_32(&n->at->word) != key)
            return 0;
        left = ipc_left_(deadline < until ? deadline : until);
        if (left < 2000000 && deadline > until)
            return ipc_notify_suspect_(n) ? -EOWNERDEAD : 0; /* look, for the same posters */
        if (left < 2000000)                                  /* the rest to the nanosecond */
            return ipc_notify_sleep_(n, key, deadline);
        left -= 1000000;
        if ((uneasy = n->uneasy) > 0) {
            n->uneasy--; /* the event comes a moment before the proof */
            left = left < IPC_NOTIFY_NAP_ ? left : IPC_NOTIFY_NAP_;
        }
        rc = ipc_notify_poll_(p, p[1].fd >= 0 ? 2 : 1, left);
        if (rc > 0)
            n->uneasy = 3;
        if (rc < 0 || (n->anyone != 0 && uneasy > 0))
            return ipc_notify_suspect_(n) ? -EOWNERDEAD : rc == -EINTR ? rc : 0;
    }
}

/*
 * Sleeps, unless there was a post since the prepare that returned key. Blocking; a peer that is
 * stopped or killed holds it up until the deadline at most, and one that is watched and killed for
 * 10 ms at most. (Wakes that come more often than that keep it from noticing a death; ipc_wait,
 * which knows when they are in vain, notices it all the same.)
 *
 *   0            posted, or woken for nothing: look at the condition, and prepare again
 *   -ETIMEDOUT   the deadline has passed, whether or not it was posted
 *   -EINTR       a signal handler ran
 *   -EOWNERDEAD  the peer that is watched is dead; told once
 *   -EINVAL      the handle is not attached
 */
IPC_INLINE int ipc_notify_wait(struct ipc_notify *n, uint32_t key, int64_t deadline)
{
    if (n->at == NULL)
        return -EINVAL;
    if (deadline <= IPC_NOW)
        return -ETIMEDOUT;
    return ipc_notify_in_time_(ipc_notify_rest_(n, key, deadline), deadline);
}

/* ------------------------------------------------------------------ waiting, in one line */

/* A wait under way. */
struct ipc_waiting_ {
    int64_t deadline;
    unsigned looks;
    uint32_t key;
    int prepared, slept;
    int rc;
};

IPC_INLINE struct ipc_waiting_ ipc_waiting_until_(int64_t deadline)
{
    struct ipc_waiting_ w;

    memset(&w, 0, sizeof w);
    w.deadline = deadline;
    return w;
}

/* A look has found nothing, and no sleep is next: 1 to look again. Sets rc when time is over. */
IPC_INLINE int ipc_waiting_awake_(struct ipc_waiting_ *w, unsigned spin, unsigned yield)
{
    unsigned look = w->looks++;

    /* Who goes straight to sleep learns of a deadline in the past there, without a clock. */
    if (w->deadline <= IPC_NOW || (look % 32 == 31 && ipc_left_(w->deadline) == 0)) {
        w->rc = -ETIMEDOUT;
        return 1;
    }
    if (look < spin)
        ck_pr_stall();
    else if (look - spin < yield)
        (void)sched_yield();
    else
        return 0;
    return 1;
}

/* A look has found nothing: 1 to look again, 0 at the end. */
IPC_INLINE int ipc_waiting_more_(struct ipc_waiting_ *w, struct ipc_notify *n)
{
    if (n->at == NULL && w->rc == 0)
        w->rc = -EINVAL;
    if (w->rc != 0)
        return 0; /* that was the last look */
    if (w->prepared) {
        w->rc = ipc_notify_wait(n, w->key, w->deadline);
        w->prepared = 0;
        w->slept = 1;
    } else if (w->slept && ipc_notify_watches_(n) && ipc_notify_due_(&n->asked) &&
               ipc_notify_suspect_(n)) {
        w->rc = -EOWNERDEAD;
    } else if (w->slept || !ipc_waiting_awake_(w, n->spin, n->yield)) {
        w->key = ipc_notify_prepare(n); /* who has slept does not spin again */
        w->prepared = 1;
    }
    return 1;
}

/* What the wait returns. A death that the condition has overtaken is still to be told. */
IPC_INLINE int ipc_waiting_end_(const struct ipc_waiting_ *w, struct ipc_notify *n, int ok)
{
    if (ok && w->rc == -EOWNERDEAD) {
        n->whom = n->told;
        n->told = 0;
    }
    return ok ? 0 : w->rc;
}

/*
 * int ipc_wait(struct ipc_notify *n, int64_t deadline, condition): looks at the condition until it
 * holds, spinning, yielding, then asleep, as ipc_notify_policy says. The condition is evaluated in
 * the caller's scope, at least once, also when the deadline has passed.
 *
 *   0            the condition holds; it was evaluated to true once, and last
 *   -ETIMEDOUT, -EINTR, -EOWNERDEAD, -EINVAL   as of ipc_notify_wait; it did not hold after that
 */
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

/* >>loop  src/notify/loop.h */
/* Waiting in an event loop. */
#ifndef IPC_SRC_NOTIFY_LOOP_H
#define IPC_SRC_NOTIFY_LOOP_H 1

/* ------------------------------------------------------------------ waiting in an event loop */

/*
 * The descriptor to add to an event loop, for reading; made by the first call. Of
 * IPC_NOTIFY_EVENTFD it is what posters write to: give it to them by fork or ipc_notify_send_fd,
 * and use one notifier for each loop, as the first to drain it takes all. Of IPC_NOTIFY_SIGNAL it
 * is the signalfd of ipc_notify_listen. Close nothing: ipc_notify_detach does.
 *
 *   >= 0     the descriptor
 *   -EINVAL  the handle is not attached, or its kind has no descriptor
 *   -ENOENT  IPC_NOTIFY_SIGNAL: not listening, or signalfd is missing: use sigtimedwait
 *   -EMFILE, -ENFILE, -ENOMEM  as of eventfd
 */
IPC_INLINE int ipc_notify_fd(struct ipc_notify *n)
{
    int fds[2];

    if (n->at == NULL || (n->kind != IPC_NOTIFY_EVENTFD && n->kind != IPC_NOTIFY_SIGNAL))
        return -EINVAL;
    if (n->fd >= 0)
        return n->fd;
    if (n->kind == IPC_NOTIFY_SIGNAL)
        return -ENOENT;
    n->fd = n->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (n->fd >= 0) {
        n->uses |= IPC_USES_EVENTFD;
        return n->fd;
    }
    if (errno == EMFILE || errno == ENFILE || pipe(fds) != 0)
        return -errno;
    n->fd = fds[0];
    n->post_fd = fds[1];
    (void)fcntl(n->fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(n->post_fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(n->fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(n->post_fd, F_SETFL, O_NONBLOCK);
    return n->fd;
}

/*
 * IPC_NOTIFY_SIGNAL: ipc_notify_fd of this handle is a descriptor for the real-time signal `number`
 * from now on, which all threads of the process must block. Posters name the process by
 * ipc_notify_target, after this call.
 *
 *   0
 *   -EINVAL  not of that kind, no real-time signal, or this thread does not block it
 *   and what signalfd says: -EMFILE, ...; where it is missing 0, and ipc_notify_fd says -ENOENT
 */
IPC_INLINE int ipc_notify_listen(struct ipc_notify *n, int number)
{
    sigset_t set;

    if (n->at == NULL || n->kind != IPC_NOTIFY_SIGNAL || number < SIGRTMIN || number > SIGRTMAX ||
        sigprocmask(SIG_BLOCK, NULL, &set) != 0 || sigismember(&set, number) != 1)
        return -EINVAL;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    n->fd = signalfd(n->fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (n->fd < 0 && errno != ENOSYS && errno != EPERM)
        return -errno;
    return 0;
}

/* Announces that a loop is about to poll the descriptor: look at the condition after it, and before
 * polling. The next post makes it readable. Lock-free. */
IPC_INLINE void ipc_notify_arm(struct ipc_notify *n)
{
    if (n->at != NULL)
        (void)ipc_notify_mark_(n, IPC_NOTIFY_ARMED_);
}

/* Reads the descriptor empty; else it stays readable for ever. Wait-free. */
IPC_INLINE void ipc_notify_drain(struct ipc_notify *n)
{
    uint64_t value;

    if (n->at == NULL)
        return;
    if ((n->uses & IPC_USES_EVENTFD) == 0)
        ipc_notify_empty_(n->fd);
    else if (read(n->fd, &value, sizeof value) < 0)
        return; /* nothing was there */
}

#define IPC_NOTIFY_HELLO_ UINT64_C(0x31796669746f6e69) /* "inotify1", backwards as it may be */

union ipc_notify_control_ {
    struct cmsghdr header;
    char room[CMSG_SPACE(2 * sizeof(int))];
};

/* The message that carries up to two descriptors. */
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
    m->msg_controllen = CMSG_SPACE(fds * sizeof(int));
}

/* Gives the peer the descriptor of an IPC_NOTIFY_EVENTFD notifier, over a connected Unix socket. 0,
 * the errors of ipc_notify_fd, or what sendmsg says: -EPIPE (without a signal), -EAGAIN, ... */
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
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    do
        sent = sendmsg(socket, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof hello ? 0 : sent < 0 ? -errno : -EIO;
}

/*
 * Takes the descriptor that the peer gives with ipc_notify_send_fd, and waits for it until the
 * deadline. What it had before is closed.
 *
 *   0
 *   -ETIMEDOUT  nothing came until the deadline; -EINTR: a signal handler ran
 *   -EPIPE      the peer closed the socket
 *   -EPROTO     something else came
 *   -EINVAL     not attached, or not of kind IPC_NOTIFY_EVENTFD; and what recvmsg says
 */
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

    if (n->at == NULL || n->kind != IPC_NOTIFY_EVENTFD)
        return -EINVAL;
    p.fd = socket;
    p.events = POLLIN;
    do {
        int64_t left = ipc_left_(deadline);

        rc = ipc_notify_poll_(&p, 1, left < IPC_NOTIFY_LONG_ ? left + 999999 : IPC_NOTIFY_LONG_);
        if (rc < 0 || (rc == 0 && left == 0))
            return rc < 0 ? rc : -ETIMEDOUT;
    } while (rc == 0);
    ipc_notify_message_(&m, &io, &hello, &control, 2);
    got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0)
        return -errno;
    c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); /* two at most, by the room */
        memcpy(fds, CMSG_DATA(c), (count < 2 ? count : 2) * sizeof(int));
    }
    if (count == 0 || got != (ssize_t)sizeof hello || hello != IPC_NOTIFY_HELLO_) {
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
    n->fd = fds[0];
    n->post_fd = count == 2 ? fds[1] : fds[0];
    n->uses = count == 2 ? n->uses & ~IPC_USES_EVENTFD : n->uses | IPC_USES_EVENTFD;
    return 0;
}

#endif

/* >>any  src/notify/any.h */
/* Waiting for any of many. */
#ifndef IPC_SRC_NOTIFY_ANY_H
#define IPC_SRC_NOTIFY_ANY_H 1

/* ------------------------------------------------------------------ waiting for any of many */

/* Notifiers to wait on together. Keeps whose turn it is: use one for as long as it lasts. */
struct ipc_any {
    struct ipc_notify *const *all;
    unsigned count;
    unsigned next; /* to be looked at first */
    int fds[2];    /* as of struct ipc_peer; the first for all */
    int64_t asked; /* whether the watched are alive */
};

/* Of count notifiers, which stay attached and where they are. 0, or -EINVAL: none, or more than
 * IPC_NOTIFY_MANY. */
IPC_INLINE int ipc_any_init(struct ipc_any *any, struct ipc_notify *const *all, unsigned count)
{
    memset(any, 0, sizeof *any);
    any->fds[0] = any->fds[1] = -1;
    if (count == 0 || count > IPC_NOTIFY_MANY)
        return -EINVAL;
    any->all = all;
    any->count = count;
    return 0;
}

/* Closes what it has opened, not the notifiers. */
IPC_INLINE void ipc_any_close(struct ipc_any *any)
{
    if (any->fds[0] >= 0)
        (void)close(any->fds[0]);
    any->fds[0] = -1;
    any->count = 0;
}

struct ipc_waiting_any_ {
    struct ipc_waiting_ w;
    unsigned which; /* of a death */
    uint32_t keys[IPC_NOTIFY_MANY];
};

IPC_INLINE struct ipc_waiting_any_ ipc_waiting_any_until_(int64_t deadline)
{
    struct ipc_waiting_any_ a;

    memset(&a, 0, sizeof a);
    a.w = ipc_waiting_until_(deadline);
    return a;
}

/* Has one of them been posted since? */
IPC_INLINE int ipc_any_changed_(const struct ipc_any *any, const uint32_t *keys)
{
    unsigned i;

    for (i = 0; i < any->count; i++)
        if (ck_pr_load_32(&any->all[i]->at->word) != keys[i])
            return 1;
    return 0;
}

/* Is one of those who are watched dead? */
IPC_INLINE int ipc_any_dead_(struct ipc_any *any, unsigned *which)
{
    unsigned i;

    for (i = 0; i < any->count; i++)
        if (ipc_notify_dead_(any->all[i])) {
            *which = i;
            return 1;
        }
    return 0;
}

/* As ipc_notify_suspect_, for all. */
IPC_INLINE int ipc_any_suspect_(struct ipc_any *any, unsigned *which)
{
    unsigned i;

    for (i = 0; i < any->count; i++)
        if (any->all[i]->anyone != 0)
            any->all[i]->anyone = 2;
    return ipc_any_dead_(any, which);
}

/* Can all be slept on by futex_waitv? */
IPC_INLINE int ipc_any_futexes_(const struct ipc_any *any)
{
    unsigned i;

    for (i = 0; i < any->count; i++)
        if (any->all[i]->kind == IPC_NOTIFY_SEMAPHORE || (any->all[i]->uses & IPC_USES_WAITV) == 0)
            return 0;
    return 1;
}

/* Sleeps on all; as ipc_notify_sleep_. */
IPC_INLINE int ipc_any_sleep_(struct ipc_any *any, const uint32_t *keys, int64_t until)
{
    struct ipc_notify_one_ one[IPC_NOTIFY_MANY];
    struct timespec t = ipc_notify_time_(until);
    unsigned i;
    int rc;

    if (ipc_any_futexes_(any)) {
        for (i = 0; i < any->count; i++) {
            one[i].value = keys[i];
            one[i].address = (uint64_t)(uintptr_t)&any->all[i]->at->word;
            one[i].flags = 2; /* FUTEX2_SIZE_U32, not private */
            one[i].reserved = 0;
        }
        rc = ipc_notify_waitv_(one, any->count, until == IPC_FOREVER ? NULL : &t);
        if (rc >= 0 || rc == -EAGAIN)
            return 0;
        if (rc == -EINTR || rc == -ETIMEDOUT)
            return rc;
        any->all[0]->uses &= ~IPC_USES_WAITV; /* taken from us since attach */
    }
    while (!ipc_any_changed_(any, keys)) {
        if (ipc_left_(until) == 0)
            return -ETIMEDOUT;
        if (ipc_notify_nap_(until) != 0)
            return -EINTR;
    }
    return 0;
}

/* Can all be reached by poll? Fills in p, and returns how many of it; 0 if not. */
IPC_INLINE nfds_t ipc_any_reach_(struct ipc_any *any, struct pollfd *p)
{
    nfds_t count = 1;
    unsigned i;

    for (i = 0; i < any->count; i++) {
        struct ipc_notify *n = any->all[i];
        int fds[2];

        fds[0] = any->fds[0];
        fds[1] = n->fds[1];
        if (n->peer.watch == NULL || n->peer.watch(n->peer.arg, n->whom, fds) != 0 ||
            (ck_pr_load_32(&n->at->word) & IPC_NOTIFY_DEAF_) != 0)
            return 0;
        n->uses |= IPC_USES_WATCH;
        any->fds[0] = fds[0];
        n->fds[1] = fds[1];
        if (fds[1] >= 0)
            p[count++].fd = fds[1];
    }
    p[0].fd = any->fds[0];
    for (i = 0; i < count; i++)
        p[i].events = POLLIN;
    return count;
}

/* As ipc_notify_wait. */
IPC_INLINE int ipc_any_wait_(struct ipc_any *any, uint32_t *keys, int64_t deadline, unsigned *which)
{
    struct pollfd p[1 + IPC_NOTIFY_MANY];
    int64_t until = ipc_clock() + IPC_NOTIFY_SHORT_;
    unsigned i, watched = 0, uneasy = 0;
    int first, anyone = 0, plain = 0, rc;
    nfds_t count;

    if (deadline <= IPC_NOW)
        return -ETIMEDOUT;
    for (i = 0; i < any->count; i++) {
        watched += (unsigned)ipc_notify_watches_(any->all[i]);
        anyone |= any->all[i]->anyone;
        plain |= any->all[i]->plain;
    }
    if (ipc_any_futexes_(any)) {
        until = watched > 0                         ? until
                : deadline == IPC_FOREVER && !plain ? IPC_FOREVER
                                                    : until - IPC_NOTIFY_SHORT_ + IPC_NOTIFY_LONG_;
        rc = ipc_any_sleep_(any, keys, deadline < until ? deadline : until);
        if (rc == -ETIMEDOUT && deadline <= until && watched > 0 && ipc_notify_due_(&any->asked) &&
            ipc_any_suspect_(any, which))
            return -EOWNERDEAD;
        if (rc != -ETIMEDOUT || deadline <= until)
            return rc;
        if (watched == 0)
            return 0;
    }
    first = any->fds[0] < 0 && anyone;
    count = ipc_any_reach_(any, p);
    if (count > 0 && first)
        return ipc_any_suspect_(any, which) ? -EOWNERDEAD : 0;
    if (count == 0) {
        if (ipc_any_suspect_(any, which))
            return -EOWNERDEAD;
        until = ipc_clock() + IPC_NOTIFY_SLICE_ - IPC_NOTIFY_SHORT_;
        rc = ipc_any_sleep_(any, keys, deadline < until ? deadline : until);
        return rc != -ETIMEDOUT || deadline <= until ? rc
               : ipc_any_suspect_(any, which)        ? -EOWNERDEAD
                                                     : 0;
    }
    for (i = 0; i < any->count; i++) {
        if (!ck_pr_cas_32(&any->all[i]->at->word, keys[i], keys[i] | IPC_NOTIFY_DOZING_))
            return 0;
        keys[i] |= IPC_NOTIFY_DOZING_;
    }
    until = ipc_clock() + IPC_NOTIFY_LONG_;
    for (;;) {
        int64_t left;

        if (ipc_notify_empty_(any->fds[0]) > 0)
            uneasy = 3;
        if (ipc_any_dead_(any, which))
            return -EOWNERDEAD;
        if (ipc_any_changed_(any, keys))
            return 0;
        left = ipc_left_(deadline < until ? deadline : until);
        if (left < 2000000 && deadline > until)
            return ipc_any_suspect_(any, which) ? -EOWNERDEAD : 0;
        if (left < 2000000)
            return ipc_any_sleep_(any, keys, deadline);
        left -= 1000000;
        if (uneasy > 0) {
            uneasy--;
            left = left < IPC_NOTIFY_NAP_ ? left : IPC_NOTIFY_NAP_;
        }
        rc = ipc_notify_poll_(p, count, left);
        if (rc > 0)
            uneasy = 3;
        if (rc < 0 || (anyone && left <= IPC_NOTIFY_NAP_))
            return ipc_any_suspect_(any, which) ? -EOWNERDEAD : rc == -EINTR ? rc : 0;
    }
}

/* As ipc_waiting_more_. */
IPC_INLINE int ipc_waiting_any_more_(struct ipc_waiting_any_ *a, struct ipc_any *any)
{
    unsigned i;

    for (i = 0; i < any->count && any->all[i]->at != NULL; i++)
        ;
    if (a->w.rc == 0 && (any->count == 0 || i < any->count))
        a->w.rc = -EINVAL;
    if (a->w.rc != 0)
        return 0;
    if (a->w.prepared) {
        a->w.rc = ipc_any_wait_(any, a->keys, a->w.deadline, &a->which);
        a->w.rc = ipc_notify_in_time_(a->w.rc, a->w.deadline);
        a->w.prepared = 0;
        a->w.slept = 1;
    } else if (a->w.slept && ipc_notify_due_(&any->asked) && ipc_any_suspect_(any, &a->which)) {
        a->w.rc = -EOWNERDEAD;
    } else if (a->w.slept ||
               !ipc_waiting_awake_(&a->w, any->all[0]->spin / any->count, any->all[0]->yield)) {
        for (i = 0; i < any->count; i++)
            a->keys[i] = ipc_notify_prepare(any->all[i]);
        a->w.prepared = 1;
    }
    return 1;
}

/*
 * int ipc_wait_any(struct ipc_any *any, int64_t deadline, i, condition): as ipc_wait, for any of
 * many. The condition is about number i, an unsigned variable of the caller, and is evaluated for
 * each in turn, beginning behind the one that was found last, so that none waits for ever behind a
 * busy one:
 *
 *     unsigned i;
 *     rc = ipc_wait_any(&any, deadline, i, ticks_pop(&in[i], &t) == 0);
 *
 * Which is which after it: 0: it holds for number i. -EOWNERDEAD: the peer watched by number i.
 */
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
