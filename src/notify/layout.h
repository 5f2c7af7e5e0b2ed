/* The word, and the handle of a notifier. */
#ifndef IPC_SRC_NOTIFY_LAYOUT_H
#define IPC_SRC_NOTIFY_LAYOUT_H 1

#include "../common/peer.h"
#include "../common/deadline.h"

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
