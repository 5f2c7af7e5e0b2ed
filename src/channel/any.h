/* Waiting for several channels at once. */
#ifndef IPC_SRC_CHANNEL_ANY_H
#define IPC_SRC_CHANNEL_ANY_H 1

#include "server.h"

/* ------------------------------------------------------------------ looking at one channel */

IPC_INLINE int ipc_channel_is_ready_(struct ipc_channel *ch)
{
    if (ch->server != NULL)
        return ch->kind->serve->is_ready(ch);
    return ch->kind->is_ready != NULL ? ch->kind->is_ready(ch) : ipc_channel_holds_message_(ch);
}

/* Has a listener's client said nothing for 100 ms, and another one waits, of which the first one's
 * descriptor does not tell? Then recv leaves the first one. */
IPC_INLINE int ipc_channel_is_client_late_(const struct ipc_channel *ch)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int is_silent = (ch->flags & IPC_CHANNEL_UNGREETED_) != 0 ||
                    (ch->kind == &ipc_channel_auto_kind_ &&
                     ipc_channel_get_auto_(ch)->step == IPC_CHANNEL_OFFER_);

    return is_silent && ch->server == NULL && ch->in >= 0 && own->listener >= 0 &&
           ipc_left_(own->came_at + IPC_CHANNEL_HELLO_NS_) == 0 &&
           ipc_channel_wait_(own->listener, POLLIN, IPC_NOW) == 0;
}

/* 1: recv has something to tell. 0: it has not, and *fd tells of what comes from now on; or *fd is -1:
 * nobody is there; or -EOPNOTSUPP: no descriptor tells. Else a negative errno. */
IPC_INLINE int ipc_channel_look_at_(struct ipc_channel *ch, int *fd)
{
    int rc;

    *fd = ipc_channel_fd(ch);
    if (*fd == -ENOTCONN) {
        rc = ipc_channel_meet_(ch, IPC_RECV, IPC_NOW);
        if (rc == 0 || rc == -ETIMEDOUT)
            *ch->why = '\0';
        *fd = rc == 0 ? ipc_channel_fd(ch) : -1;
        if (rc != 0)
            return rc != -ETIMEDOUT;
    }
    if (*fd >= 0 && ipc_channel_is_client_late_(ch))
        return 1;
    return *fd >= 0 || *fd == -EOPNOTSUPP ? ipc_channel_is_ready_(ch) : *fd;
}

/* ------------------------------------------------------------------ looking at all */

#define IPC_CHANNEL_MEET_NS_ INT64_C(100000000) /* between two looks for the next peer */

/* What one look at all channels has found. */
struct ipc_channel_looks_ {
    struct pollfd p[IPC_NOTIFY_MANY]; /* fd: negative where there is none */
    unsigned char is_ready[IPC_NOTIFY_MANY];
    int64_t until; /* when it is time for the next look; IPC_NOW: a channel is ready */
    /* Where no channel has a descriptor: the bells of those that are rings, to sleep on. Each look finds
     * the same: they are of sysvshm:, which has its ring from open to close. */
    struct ipc_notify *bell[IPC_NOTIFY_MANY];
    uint32_t key[IPC_NOTIFY_MANY]; /* of ipc_notify_prepare */
    unsigned bells;
};

/* Looks at all channels. 0, or a negative errno. */
IPC_INLINE int ipc_channel_look_at_all_(struct ipc_channel_looks_ *l,
                                        struct ipc_channel *const channels[], unsigned n)
{
    int64_t rest = IPC_NOTIFY_LONG_; /* some mechanisms look at times, in recv */
    int rc, ready = 0, polls = 0, looks = 0, meets = 0;
    unsigned i;

    for (i = l->bells = 0; i < n; i++) {
        l->p[i].events = POLLIN;
        rc = ipc_channel_look_at_(channels[i], &l->p[i].fd);
        if (rc < 0)
            return rc;
        l->is_ready[i] = (unsigned char)rc;
        ready |= rc;
        if (l->p[i].fd >= 0)
            polls = 1;
        else if (l->p[i].fd != -EOPNOTSUPP)
            meets = 1;
        else if (channels[i]->ring != NULL)
            l->bell[l->bells++] = &channels[i]->ring->data;
        else
            looks = 1;
    }
    if (looks || (polls && l->bells != 0)) /* no call of the kernel sleeps on both */
        rest = IPC_NOTIFY_NAP_;
    else if (l->bells != 0)
        rest = IPC_NOTIFY_SLICE_; /* between two looks for a death */
    else if (meets)
        rest = IPC_CHANNEL_MEET_NS_;
    l->bells = polls ? 0 : l->bells;
    l->until = ready ? IPC_NOW : ipc_clock() + rest;
    return 0;
}

/* Sleeps until a bell rings, or until then: -ETIMEDOUT, to look again. Or -EINTR. */
IPC_INLINE int ipc_channel_sleep_by_bells_(const struct ipc_channel_looks_ *l, int64_t until)
{
    struct ipc_notify_group_ g;
    int rc;

    g.all = l->bell;
    g.count = l->bells;
    g.kept = NULL; /* for sleeps of more than 8 ms */
    rc = ipc_group_sleep_(&g, l->key, until);
    return rc == 0 ? -ETIMEDOUT : rc;
}

/* ------------------------------------------------------------------ what a program calls */

/* Looks at all channels before the first that is ready is chosen, so that one that always is, as it
 * has many messages at hand, keeps out none of which only its descriptor tells. */
IPC_INLINE int ipc_channel_poll_any_(struct ipc_channel *const channels[], unsigned n,
                                     unsigned begin, int64_t deadline)
{
    struct ipc_channel_looks_ l;
    int64_t until;
    unsigned i, k;
    int rc;

    for (;;) {
        rc = ipc_channel_look_at_all_(&l, channels, n);
        if (rc == 0 && l.bells != 0 && l.until != IPC_NOW && deadline > IPC_NOW) {
            for (i = 0; i < l.bells; i++)
                l.key[i] = ipc_notify_prepare(l.bell[i]);
            rc = ipc_channel_look_at_all_(&l, channels, n);
        }
        if (rc < 0)
            return rc;
        until = deadline < l.until ? deadline : l.until;
        rc = l.bells != 0 && until != IPC_NOW ? ipc_channel_sleep_by_bells_(&l, until)
                                              : ipc_channel_poll_(l.p, n, until);
        for (k = 0; (rc == 0 || l.until == IPC_NOW) && k < n; k++) {
            i = (begin + k) % n;
            if (l.is_ready[i] || (rc == 0 && l.p[i].revents != 0))
                return (int)i;
        }
        if (rc != -ETIMEDOUT || deadline == IPC_NOW)
            return rc;
        if (ipc_left_(deadline) == 0) /* One more look: a bell may have rung just before. */
            deadline = IPC_NOW;
    }
}

IPC_INLINE int ipc_channel_wait_any(struct ipc_channel *const channels[], unsigned n,
                                    int64_t deadline)
{
    unsigned i;
    int rc = n != 0 && n <= IPC_NOTIFY_MANY ? 0 : -EINVAL;

    for (i = 0; rc == 0 && i < n; i++)
        rc = ipc_channel_check_call_(channels[i], IPC_RECV, deadline);
    if (rc != 0 && i > 1)
        memcpy(channels[0]->why, channels[i - 1]->why, sizeof channels[0]->why);
    if (rc == 0)
        rc = ipc_channel_poll_any_(channels, n, channels[0]->turn % n, deadline);
    if (rc >= 0)
        channels[0]->turn = (unsigned)rc + 1;
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *channels[0]->why = '\0';
    return rc;
}

#endif
