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

#include "watch.h"

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
