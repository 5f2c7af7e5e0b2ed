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

/* 1: recv has something to tell. 0: it has not, and *fd tells of what comes from now on, or is -1:
 * nobody is there. -EOPNOTSUPP: there is no descriptor. */
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
    return *fd >= 0 ? ipc_channel_is_ready_(ch) : *fd;
}

/* ------------------------------------------------------------------ what a program calls */

#define IPC_CHANNEL_MEET_NS_ INT64_C(100000000) /* between two looks for the next peer */

/* Looks at all channels before the first that is ready is chosen, so that one that always is, as it
 * has many messages at hand, keeps out none of which only its descriptor tells. */
IPC_INLINE int ipc_channel_poll_any_(struct ipc_channel *const channels[], unsigned n,
                                     unsigned begin, int64_t deadline)
{
    struct pollfd p[IPC_NOTIFY_MANY];
    unsigned char is_ready[IPC_NOTIFY_MANY];
    unsigned i, k;
    int rc;

    for (;;) {
        int64_t until = ipc_in_ms(1000); /* some mechanisms look at times, in recv */

        for (i = 0; i < n; i++) {
            p[i].events = POLLIN;
            rc = ipc_channel_look_at_(channels[i], &p[i].fd);
            if (rc < 0)
                return rc;
            is_ready[i] = (unsigned char)rc;
            if (rc != 0)
                until = IPC_NOW;
            else if (p[i].fd < 0 && until != IPC_NOW)
                until = ipc_clock() + IPC_CHANNEL_MEET_NS_;
        }
        rc = ipc_channel_poll_(p, n, deadline < until ? deadline : until);
        for (k = 0; (rc == 0 || until == IPC_NOW) && k < n; k++) {
            i = (begin + k) % n;
            if (is_ready[i] || (rc == 0 && p[i].revents != 0))
                return (int)i;
        }
        if (rc != -ETIMEDOUT || ipc_left_(deadline) == 0)
            return rc;
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
