/* Waiting. */
#ifndef IPC_SRC_NOTIFY_WAIT_H
#define IPC_SRC_NOTIFY_WAIT_H 1

#include "post.h"

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
