/* Waiting for any of many. */
#ifndef IPC_SRC_NOTIFY_ANY_H
#define IPC_SRC_NOTIFY_ANY_H 1

#include "wait.h"

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
