/* Reference: all types, constants and functions of ipc_notify.h that a program uses. */
#ifndef IPC_SRC_NOTIFY_REFERENCE_H
#define IPC_SRC_NOTIFY_REFERENCE_H 1

#include "../common/peer.h"
#include "../common/deadline.h"

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
