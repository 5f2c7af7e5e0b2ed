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

#include "reference.h"

#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

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
