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

#include "sleep.h"

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
