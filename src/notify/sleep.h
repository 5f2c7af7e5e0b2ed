/* Announcing a sleep, and sleeping on one notifier. The rules for the word are at the top of
 * layout.h.
 */
#ifndef IPC_SRC_NOTIFY_SLEEP_H
#define IPC_SRC_NOTIFY_SLEEP_H 1

#include "post.h"

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
