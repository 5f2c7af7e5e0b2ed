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
 *   on futex   in poll    4 ms have passed, the waiter watches for a death, it has descriptors that
 *                         report deaths and posts, and the word has not changed: CAS, sets DOZING
 *   on futex   awake      4 ms have passed, but it has no such descriptors, or a handle is deaf:
 *                         the waiter asks for deaths. Its next sleeps on the futex last 8 ms
 *   in poll    awake      the word has changed, or a signal handler ran, or a peer that is watched
 *                         is dead, or any member may be, or a second has passed
 *   in poll    on futex   less than 2 ms are left to the deadline
 *
 * A short sleep so costs a futex, and a long one has no timer every 8 ms. A post ends the sleep on
 * the futex by the kernel's futex_wake, or by a token, and that in poll by struct ipc_peer's stir.
 * From each sleep the waiter comes back to look at its condition.
 *
 * A waiter that may only read sets no flag, and so is never in poll. It sleeps on the futex for 8
 * ms at a time, or naps for 1 ms, and asks for deaths every 8 ms where a descriptor has reported
 * something.
 *
 * A waiter looks once a second, at least, for what was stored by a poster that was killed before it
 * could wake, or that cannot stir. Only a waiter that watches for no death, has no deadline and
 * waits for no ring sleeps for longer.
 *
 * The waiter asks for deaths at the end of a long sleep, when a descriptor reports something and,
 * in a series of short sleeps, every 8 ms. A descriptor reports a moment before there is proof, so
 * the next three polls are short.
 */
#ifndef IPC_SRC_NOTIFY_WAIT_H
#define IPC_SRC_NOTIFY_WAIT_H 1

#include "sleep.h"

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

/* The notifiers that one waiter waits on together: one, or those of an ipc_any. */
struct ipc_notify_group_ {
    struct ipc_notify *const *all;
    unsigned count;
    struct ipc_notify_kept_ *kept;
};

/* Does it watch for any death? */
IPC_INLINE int ipc_group_watches_(const struct ipc_notify_group_ *g)
{
    unsigned i;

    for (i = 0; i < g->count; i++)
        if (g->all[i]->watched != 0 || g->all[i]->watches_anyone)
            return 1;
    return 0;
}

/* Does it watch for the death of any member? */
IPC_INLINE int ipc_group_watches_anyone_(const struct ipc_notify_group_ *g)
{
    unsigned i;

    for (i = 0; i < g->count; i++)
        if (g->all[i]->watches_anyone)
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

/* May one of them only read? Such a waiter cannot doze, as it cannot say so in the word. */
IPC_INLINE int ipc_group_is_read_only_(const struct ipc_notify_group_ *g)
{
    unsigned i;

    for (i = 0; i < g->count; i++)
        if (g->all[i]->read_only)
            return 1;
    return 0;
}

IPC_INLINE int ipc_group_was_told_(const struct ipc_notify_group_ *g);

/* Notes that any member may have died, and asks for those that are watched. -EOWNERDEAD or 0. A
 * waiter that may only read comes here every 8 ms, and asks only where it was told of something. */
IPC_INLINE int ipc_group_check_deaths_(const struct ipc_notify_group_ *g, unsigned *which)
{
    unsigned i;

    if (ipc_group_is_read_only_(g) && !ipc_group_was_told_(g))
        return 0;
    for (i = 0; i < g->count; i++)
        g->all[i]->anyone_died |= g->all[i]->watches_anyone;
    return ipc_group_dead_(g, which) ? -EOWNERDEAD : 0;
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
        for (i = 0; i < g->count; i++) {
            futex[i].value = keys[i];
            futex[i].address = (uint64_t)(uintptr_t)&g->all[i]->at->word;
            futex[i].flags = 2; /* FUTEX2_SIZE_U32, not private */
            futex[i].reserved = 0;
        }
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

/* Opens the descriptors that report posts and deaths, and fills in p. Returns how many there are; 0
 * where posters, or deaths, would not reach us by them. */
IPC_INLINE nfds_t ipc_group_open_(const struct ipc_notify_group_ *g, struct pollfd *p)
{
    nfds_t count = 1, k;
    unsigned i;

    for (i = 0; i < g->count; i++) {
        struct ipc_notify *n = g->all[i];
        int fds[2], watched;

        fds[0] = g->kept->fd;
        fds[1] = n->death_fd;
        watched = n->peer.watch != NULL && n->peer.watch(n->peer.arg, n->watched, fds) == 0;
        g->kept->fd = fds[0];
        n->death_fd = fds[1];
        n->uses = watched ? n->uses | IPC_USES_WATCH : n->uses & ~IPC_USES_WATCH;
        if (!watched || ck_pr_load_64(&n->at->deaf) != 0)
            return 0;
        if (n->death_fd >= 0)
            p[count++].fd = n->death_fd;
    }
    p[0].fd = g->kept->fd;
    for (k = 0; k < count; k++)
        p[k].events = POLLIN;
    return count;
}

/* Has a descriptor reported what may be a death, just now or some looks ago? 1 also where they
 * would not report it: they have just been opened, or one is missing. */
IPC_INLINE int ipc_group_was_told_(const struct ipc_notify_group_ *g)
{
    struct pollfd p[1 + IPC_NOTIFY_MANY];
    int missing = g->kept->fd < 0;
    nfds_t count = 1, k;
    unsigned i;

    g->kept->asked_at = ipc_clock();
    for (i = 0; i < g->count; i++) {
        missing |= g->all[i]->watched != 0 && g->all[i]->death_fd < 0;
        if (g->all[i]->death_fd >= 0)
            p[count++].fd = g->all[i]->death_fd;
    }
    if (missing) {
        (void)ipc_group_open_(g, p);
        return 1;
    }
    p[0].fd = g->kept->fd;
    for (k = 0; k < count; k++)
        p[k].events = POLLIN;
    if (ipc_notify_poll_(p, count, 0) > 0) {
        (void)ipc_notify_empty_(g->kept->fd);
        g->kept->brief = 3;
    }
    if (g->kept->brief == 0)
        return 0;
    g->kept->brief--;
    return 1;
}

/* In poll. As ipc_group_wait_. */
IPC_INLINE int ipc_group_doze_(const struct ipc_notify_group_ *g, uint32_t *keys, struct pollfd *p,
                               nfds_t count, int64_t deadline, unsigned *which)
{
    int anyone = ipc_group_watches_anyone_(g), brief, rc;
    int64_t until, left;
    unsigned i;

    for (i = 0; i < g->count; i++) {
        if (!ck_pr_cas_32(&g->all[i]->at->word, keys[i], keys[i] | IPC_NOTIFY_DOZING_))
            return 0;
        keys[i] |= IPC_NOTIFY_DOZING_;
    }
    until = ipc_clock() + IPC_NOTIFY_LONG_; /* however often others of the segment stir us */
    for (;;) {
        if (ipc_notify_empty_(g->kept->fd) > 0) /* before we ask for what it has reported */
            g->kept->brief = 3;
        if (ipc_group_dead_(g, which))
            return -EOWNERDEAD;
        if (ipc_group_changed_(g, keys))
            return 0;
        left = ipc_left_(deadline < until ? deadline : until);
        if (left < 2000000 && deadline > until)
            return ipc_group_check_deaths_(g, which); /* and the condition is looked at */
        if (left < 2000000)
            return ipc_group_sleep_(g, keys, deadline); /* the rest, to the nanosecond */
        left -= 1000000;
        brief = g->kept->brief > 0;
        if (brief) {
            g->kept->brief--;
            left = left < IPC_NOTIFY_NAP_ ? left : IPC_NOTIFY_NAP_;
        }
        rc = ipc_notify_poll_(p, count, left);
        if (rc > 0)
            g->kept->brief = 3;
        if (rc < 0 || (anyone && brief)) {
            int dead = ipc_group_check_deaths_(g, which);

            return dead == 0 && rc == -EINTR ? rc : dead;
        }
    }
}

/* The part of a sleep that comes after those on the futex: in poll, if that can be. */
IPC_INLINE int ipc_group_sleep_long_(const struct ipc_notify_group_ *g, uint32_t *keys,
                                     int64_t deadline, unsigned *which)
{
    struct pollfd p[1 + IPC_NOTIFY_MANY];
    int first = g->kept->fd < 0;
    nfds_t count = ipc_group_is_read_only_(g) ? 0 : ipc_group_open_(g, p);

    g->kept->must_ask = count == 0;
    /* Descriptors do not report what came before they were opened. */
    if (count == 0 || (first && ipc_group_watches_anyone_(g)))
        return ipc_group_check_deaths_(g, which);
    return ipc_group_doze_(g, keys, p, count, deadline, which);
}

/* How long it sleeps on the futex at most, in nanoseconds. */
IPC_INLINE int64_t ipc_group_futex_time_(const struct ipc_notify_group_ *g)
{
    if (!ipc_group_watches_(g))
        return IPC_NOTIFY_LONG_;
    if (g->kept->must_ask && g->kept->brief > 0)
        return IPC_NOTIFY_NAP_;
    return g->kept->must_ask ? IPC_NOTIFY_SLICE_ : IPC_NOTIFY_SHORT_;
}

/* As ipc_group_wait_, but asks no clock after a wake. */
IPC_INLINE int ipc_group_sleep_in_stages_(const struct ipc_notify_group_ *g, uint32_t *keys,
                                          int64_t deadline, unsigned *which)
{
    int watches = ipc_group_watches_(g), can_sleep = ipc_group_can_sleep_(g), rc;
    int64_t until;

    if (deadline == IPC_FOREVER && ipc_group_may_sleep_on_(g))
        return ipc_group_sleep_(g, keys, deadline); /* a timer costs as much as half a wake */
    if (can_sleep || g->kept->must_ask) {
        until = ipc_clock() + ipc_group_futex_time_(g);
        rc = ipc_group_sleep_(g, keys, deadline < until ? deadline : until);
        if (rc == -ETIMEDOUT && deadline <= until && watches &&
            ipc_notify_is_time_to_ask_(&g->kept->asked_at) && ipc_group_check_deaths_(g, which))
            return -EOWNERDEAD;
        if (rc != -ETIMEDOUT || deadline <= until)
            return rc;
        if (!watches && can_sleep)
            return 0; /* and the condition is looked at */
    }
    return ipc_group_sleep_long_(g, keys, deadline, which);
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
               ipc_group_check_deaths_(g, which)) {
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
