/* What the table names: opening, sending and receiving, servers. */
#ifndef IPC_SRC_ZMQ_KIND_H
#define IPC_SRC_ZMQ_KIND_H 1

#include "connect.h"
#include "listen.h"

/* ------------------------------------------------------------------ waiting */

/* The time, some 4 ms late, for a quarter of what ipc_clock costs. */
IPC_INLINE int64_t ipc_zmq_coarse_clock_(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* When a call has to look again by itself. */
IPC_INLINE int64_t ipc_zmq_next_look_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    if (ipc_zmq_is_listener_(ch)) {
        if (own->ended != 0)
            return ipc_clock() + IPC_ZMQ_MOMENT_NS_;
        return own->shaking > 0 && own->keys_wait && own->type == ZMQ_ROUTER
                   ? own->admitted_at + IPC_ZMQ_LATE_NS_
                   : IPC_FOREVER;
    }
    if (own->main == NULL)
        return own->next_try;
    return own->end.has_come ? ipc_clock() + IPC_ZMQ_MOMENT_NS_ : IPC_FOREVER;
}

IPC_INLINE void ipc_zmq_take_events_(struct ipc_channel *ch)
{
    if (ipc_zmq_is_listener_(ch))
        ipc_zmq_notice_all_(ipc_zmq_get_(ch));
    else
        ipc_zmq_follow_all_(ch);
}

/* Takes in what epoll tells of within the deadline. 1: something came; 0: nothing; -EINTR, or why
 * this side cannot connect. */
IPC_INLINE int ipc_zmq_step_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct epoll_event e[4];
    int64_t second = ipc_in_ms(1000);
    uint64_t rings;
    int i, n, rc = 0;

    if (deadline > IPC_NOW) /* a stop of the process interrupts epoll_wait, but not poll */
        rc = ipc_channel_wait_(own->polls, POLLIN, deadline < second ? deadline : second);
    if (rc == -EINTR)
        return rc;
    rc = 0; /* or the time is over: a look */
    n = epoll_wait(own->polls, e, 4, 0);
    if (n < 0)
        return -errno;
    for (i = 0; i < n; i++) {
        if (e[i].data.u32 == IPC_ZMQ_MAIN_ && own->main != NULL)
            (void)ipc_zmq_look_(own->main);
        else if (e[i].data.u32 == IPC_ZMQ_EVENTS_)
            ipc_zmq_take_events_(ch);
        else if (e[i].data.u32 == IPC_ZMQ_TIMER_)
            (void)!read(own->timer, &rings, sizeof rings);
        else if (e[i].data.u32 == IPC_ZMQ_KEYS_) {
            own->keys_wait = 1;
            (void)ipc_zmq_look_(own->keys); /* so that epoll tells of the next one */
        }
    }
    ipc_zmq_admit_(ch);
    if (!ipc_zmq_is_listener_(ch) && own->main == NULL && own->refusal == 0 &&
        ipc_left_(own->next_try) == 0) {
        rc = ipc_zmq_connect_(ch);
        n++;
    }
    return rc < 0 ? rc : n > 0;
}

/* Waits until something has come. 0; -ETIMEDOUT; or as ipc_zmq_step_. */
IPC_INLINE int ipc_zmq_wait_(struct ipc_channel *ch, unsigned *skips, int64_t deadline)
{
    for (;;) {
        int64_t next = ipc_zmq_next_look_(ch);
        int rc = ipc_zmq_step_(ch, next < deadline ? next : deadline);

        if (rc < 0)
            return rc;
        if (rc > 0 && !ipc_channel_has_skipped_enough_(skips, deadline))
            return 0;
        if (ipc_left_(deadline) == 0)
            return -ETIMEDOUT;
        if (next != IPC_FOREVER && ipc_left_(next) == 0)
            return 0;
    }
}

/* The descriptor is to tell what this call has taken in, and when to look again. */
IPC_INLINE void ipc_zmq_ring_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int64_t at;

    if (!own->is_asked)
        return;
    at = ipc_zmq_next_look_(ch);
    if ((ch->role & IPC_RECV) != 0 &&
        (own->has_message || own->refusal != 0 ||
         (own->main != NULL && (ipc_zmq_look_(own->main) & ZMQ_POLLIN) != 0)))
        at = 1;
    ipc_zmq_arm_(own, at);
}

/* Does a publisher look now for subscribers that come and go? */
IPC_INLINE int ipc_zmq_is_due_(struct ipc_zmq_ *own)
{
    int64_t now = ipc_zmq_coarse_clock_();

    if (now == own->looked)
        return 0;
    own->looked = now;
    return 1;
}

/* The flags of a call of ZeroMQ: 0 where it may wait there, as nothing else is to be expected. */
IPC_FORCE_INLINE int ipc_zmq_flags_(const struct ipc_channel *ch, int64_t deadline)
{
    const struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int is_calm = ipc_zmq_is_listener_(ch)
                      ? ch->server == NULL && own->alive != 0 && own->ended == 0
                      : own->is_ready && !own->end.has_come;

    if ((ch->role & IPC_BOTH) == IPC_BOTH || !is_calm || deadline == IPC_NOW)
        return ZMQ_DONTWAIT;
    return deadline - ipc_zmq_coarse_clock_() > IPC_ZMQ_FAR_NS_ ? 0 : ZMQ_DONTWAIT;
}

/* Reports why the two sides do not agree. */
IPC_INLINE int ipc_zmq_report_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int rc = own->refusal;

    own->refusal = 0;
    return rc == 0 ? 0 : ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme,
                                               ch->address, own->reason);
}

IPC_INLINE int ipc_zmq_report_loss_(struct ipc_channel *ch)
{
    return ipc_channel_refuse_(ch, -EPIPE, "%s:%s: the other side is gone", ch->kind->scheme,
                               ch->address);
}

/* ------------------------------------------------------------------ the side that connects */

/* Tries to send. 0, or -EAGAIN: wait; or what the call reports. */
IPC_FORCE_INLINE int ipc_zmq_client_try_send_(struct ipc_channel *ch, const void *message, size_t n,
                                              int flags)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    if (own->refusal != 0)
        return ipc_zmq_report_(ch);
    if (own->main == NULL)
        return -EAGAIN;
    if (!own->end.has_come)
        return zmq_send(own->main, message, n, flags) >= 0 ? 0
               : zmq_errno() == EAGAIN                     ? -EAGAIN
                                                           : ipc_zmq_refuse_(ch, "send");
    if ((ch->role & IPC_RECV) != 0 && !own->has_told) {
        own->has_told = 1;
        return ipc_zmq_report_loss_(ch);
    }
    if ((ch->role & IPC_RECV) != 0 && (own->has_message || !ipc_zmq_is_over_(own, &own->end) ||
                                       (ipc_zmq_look_(own->main) & ZMQ_POLLIN) != 0))
        return ipc_zmq_report_loss_(ch);
    ipc_zmq_leave_(ch, 0);
    return (ch->role & IPC_RECV) != 0 ? -EAGAIN : ipc_zmq_report_loss_(ch);
}

/* Tries to receive: a length, or as above. */
IPC_FORCE_INLINE int64_t ipc_zmq_client_try_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                  int flags)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int is_over = own->end.has_come && ipc_zmq_is_over_(own, &own->end);

    if (own->has_message)
        return ipc_zmq_hand_out_(ch, to, size);
    if (own->refusal != 0)
        return ipc_zmq_report_(ch);
    if (own->main == NULL)
        return -EAGAIN;
    if (ipc_zmq_take_(own, flags))
        return CK_CC_UNLIKELY(ipc_zmq_drop_parts_(own))
                   ? ipc_channel_refuse_(ch, -EBADMSG, "%s:%s: a message of several parts",
                                         ch->kind->scheme, ch->address)
                   : ipc_zmq_hand_out_(ch, to, size);
    if (!is_over)
        return -EAGAIN;
    ipc_zmq_leave_(ch, 0);
    return ipc_zmq_report_loss_(ch);
}

/* ------------------------------------------------------------------ the side that listens */

/* Publishes, or sends to the only client. As ipc_zmq_client_try_send_. */
IPC_INLINE int ipc_zmq_listener_try_send_(struct ipc_channel *ch, const void *message, size_t n)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ *p;
    int rc;

    if (ch->how.publish != 0)
        return zmq_send(own->main, message, n, ZMQ_DONTWAIT) >= 0 ? 0
               : zmq_errno() == EAGAIN                            ? -EAGAIN
                                                                  : ipc_zmq_refuse_(ch, "publish");
    if (own->ended != 0 && (ch->role & IPC_RECV) == 0) { /* seats of those that were dropped */
        (void)ipc_zmq_find_gone_(own, 0);
        if (ipc_zmq_pull_(ch, ZMQ_DONTWAIT) == -EAGAIN)
            (void)ipc_zmq_find_gone_(own, 1);
    }
    p = ipc_zmq_find_only_(own);
    if (p == NULL) {
        rc = ipc_zmq_pull_(ch, ZMQ_DONTWAIT);
        p = ipc_zmq_find_only_(own);
        if (p == NULL)
            return rc == -ENOMEM ? rc : -EAGAIN;
    }
    if (!p->end.has_come) {
        rc = ipc_zmq_send_peer_(own, p, message, n);
        return rc == -EPIPE ? -EAGAIN : rc; /* the monitor is about to tell it */
    }
    if ((ch->role & IPC_RECV) == 0)
        ipc_zmq_free_seat_(own, p);
    return ipc_zmq_report_loss_(ch);
}

/* Tries to receive from any client. */
IPC_INLINE int64_t ipc_zmq_listener_try_recv_(struct ipc_channel *ch, void *to, size_t size,
                                              int flags)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ *gone = ipc_zmq_find_gone_(own, 0);
    int rc;

    if (gone == NULL) {
        rc = ipc_zmq_pull_(ch, flags);
        if (rc != -EAGAIN) {
            ch->from = rc == -ENOMEM || ch->server == NULL ? 0 : own->from->number;
            return rc != 0 ? rc : ipc_zmq_hand_out_(ch, to, size);
        }
        gone = ipc_zmq_find_gone_(own, 1);
    }
    if (gone == NULL)
        return -EAGAIN;
    ch->from = ch->server != NULL ? gone->number : 0;
    ipc_zmq_free_seat_(own, gone);
    return ipc_zmq_report_loss_(ch);
}

/* ------------------------------------------------------------------ what the tables name */

IPC_INLINE int64_t ipc_zmq_recv_(struct ipc_channel *ch, void *to, size_t size, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int is_listener = ipc_zmq_is_listener_(ch), flags = ipc_zmq_flags_(ch, deadline);
    unsigned skips = 0;
    int64_t rc;

    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    if (ch->server != NULL && --own->turns < 0) {
        own->turns = IPC_ZMQ_TURNS_;
        (void)ipc_zmq_step_(ch, IPC_NOW);
    }
    do {
        rc = is_listener ? ipc_zmq_listener_try_recv_(ch, to, size, flags)
                         : ipc_zmq_client_try_recv_(ch, to, size, flags);
        if (rc == -EAGAIN && flags == 0 && zmq_errno() == EINTR)
            rc = -EINTR;
        if (rc != -EAGAIN)
            break;
        flags = ZMQ_DONTWAIT;
        rc = ipc_zmq_wait_(ch, &skips, deadline);
    } while (rc == 0);
    if (rc < 0)
        ipc_zmq_ring_(ch);
    return rc;
}

IPC_INLINE int ipc_zmq_send_(struct ipc_channel *ch, const void *message, size_t n,
                             int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int is_listener = ipc_zmq_is_listener_(ch), flags = ipc_zmq_flags_(ch, deadline), rc;
    unsigned skips = 0;

    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    if (ch->how.publish != 0 && ipc_zmq_is_due_(own))
        (void)ipc_zmq_step_(ch, IPC_NOW);
    do {
        rc = is_listener ? ipc_zmq_listener_try_send_(ch, message, n)
                         : ipc_zmq_client_try_send_(ch, message, n, flags);
        if (rc != -EAGAIN)
            break;
        flags = ZMQ_DONTWAIT;
        rc = ipc_zmq_wait_(ch, &skips, deadline);
    } while (rc == 0);
    ipc_zmq_ring_(ch);
    return rc;
}

IPC_INLINE int ipc_zmq_descriptor_(struct ipc_channel *ch)
{
    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    if (!ipc_zmq_get_(ch)->is_asked) {
        ipc_zmq_get_(ch)->is_asked = 1;
        ipc_zmq_ring_(ch);
    }
    return ipc_zmq_get_(ch)->polls;
}

IPC_INLINE int ipc_zmq_is_ready_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    unsigned skips = 0, i;
    int is_ready;

    if (!ipc_zmq_is_mine_(ch))
        return 1; /* recv says why not */
    while (ipc_zmq_step_(ch, IPC_NOW) > 0 && !ipc_channel_has_skipped_enough_(&skips, IPC_NOW))
        ;
    is_ready = own->has_message || own->refusal != 0 || ipc_zmq_is_over_(own, &own->end) ||
               (own->main != NULL && (ipc_zmq_look_(own->main) & ZMQ_POLLIN) != 0);
    for (i = 0; own->ended != 0 && !is_ready && i < own->made; i++)
        is_ready = own->seats[i]->number != 0 && ipc_zmq_is_over_(own, &own->seats[i]->end);
    if (!is_ready)
        ipc_zmq_ring_(ch);
    return is_ready;
}

IPC_INLINE void ipc_zmq_describe_(const struct ipc_channel *ch, struct ipc_channel_facts *info)
{
    const struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    const struct ipc_zmq_peer_ *p =
        ch->server != NULL ? ipc_zmq_find_client_(own, ch->from) : ipc_zmq_find_only_(own);

    info->mechanism = "zmq";
    info->port = own->socket.port;
    if (ch->server != NULL)
        info->clients = own->clients;
    if (p == NULL)
        return;
    info->pid = p->is.pid;
    info->uid = p->is.uid;
    info->gid = p->is.gid;
}

/* ------------------------------------------------------------------ servers */

IPC_INLINE int ipc_zmq_serve_(struct ipc_channel *ch)
{
    ch->server = ch->state;
    return 0;
}

IPC_INLINE void ipc_zmq_serve_no_more_(struct ipc_channel *ch)
{
    ch->server = NULL;
}

IPC_INLINE int ipc_zmq_send_to_(struct ipc_channel *ch, uint64_t client, const void *message,
                                size_t n, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ *p;
    unsigned skips = 0;
    int rc;

    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    do {
        p = ipc_zmq_find_client_(own, client);
        rc = p != NULL && !p->end.has_come ? ipc_zmq_send_peer_(own, p, message, n) : -EPIPE;
        if (rc != -EAGAIN)
            break;
        rc = ipc_zmq_wait_(ch, &skips, deadline);
    } while (rc == 0);
    ipc_zmq_ring_(ch);
    return rc == -EPIPE ? ipc_channel_refuse_client_(ch, client) : rc;
}

IPC_INLINE int ipc_zmq_drop_(struct ipc_channel *ch, uint64_t client)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ *p;

    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    ipc_zmq_notice_all_(own); /* what has ended is not shut down */
    p = ipc_zmq_find_client_(own, client);
    if (p == NULL)
        return ipc_channel_refuse_client_(ch, client);
    if (own->from == p)
        own->has_message = 0;
    ipc_zmq_drop_peer_(own, p);
    ipc_zmq_ring_(ch);
    return 0;
}

/* ------------------------------------------------------------------ open and close */

/* Takes the keys of the options: they are kept no longer there. 0 or a negative errno. */
IPC_INLINE int ipc_zmq_take_keys_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    const char *secret = ch->how.secret, *peers = ch->how.peer_keys;
    unsigned char bytes[IPC_ZMQ_KEY_];

    ch->how.secret = ch->how.peer_keys = NULL;
    if (secret == NULL && peers == NULL)
        return 0;
    if (!zmq_has("curve"))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: this libzmq has no CURVE",
                                   ch->kind->scheme);
    if (secret == NULL || strlen(secret) != IPC_ZMQ_KEY_ || zmq_z85_decode(bytes, secret) == NULL)
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "%s: options.secret is no key of 40 characters: see "
                                   "zmq_curve_keypair",
                                   ch->kind->scheme);
    memcpy(own->secret, secret, sizeof own->secret);
    if (zmq_curve_public(own->own_key, own->secret) != 0)
        return ipc_zmq_refuse_(ch, "use options.secret");
    if (!ipc_zmq_is_listener_(ch) &&
        (peers == NULL || strlen(peers) != IPC_ZMQ_KEY_ || zmq_z85_decode(bytes, peers) == NULL))
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "%s: options.peer_keys is not the listener's public key, of 40 "
                                   "characters",
                                   ch->kind->scheme);
    own->peer_keys = peers != NULL ? strdup(peers) : NULL;
    return peers == NULL || own->peer_keys != NULL ? 0 : -ENOMEM;
}

/* "//HOST:PORT" or "//PATH": drops the slashes. */
IPC_INLINE int ipc_zmq_strip_(struct ipc_channel *ch)
{
    size_t n = strlen(ch->address);

    if (strncmp(ch->address, "//", 2) != 0)
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: two slashes are missing: %s://",
                                   ch->kind->scheme, ch->address, ch->kind->scheme);
    memmove(ch->address, ch->address + 2, n - 1);
    if (ipc_channel_is_unix_(ch) && n - 2 >= sizeof ((struct sockaddr_un *)NULL)->sun_path)
        return ipc_channel_refuse_(ch, -ENAMETOOLONG, "%s: a path of %zu bytes: at most 107",
                                   ch->kind->scheme, n - 2);
    return 0;
}

/* Waits until the listener is there. */
IPC_INLINE int ipc_zmq_reach_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    unsigned skips = 0;
    int rc = ipc_zmq_connect_(ch);

    while (rc == 0 && own->fd < 0 && own->refusal == 0)
        rc = ipc_zmq_wait_(ch, &skips, deadline);
    if (rc == -ETIMEDOUT)
        return ipc_channel_refuse_(ch, rc,
                                   "%s: nobody listened at '%s' until the deadline: is that "
                                   "program running?",
                                   ch->kind->scheme, ch->address);
    return rc == 0 ? ipc_zmq_report_(ch) : rc;
}

IPC_INLINE int ipc_zmq_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct epoll_event e;
    int rc;

    own->polls = own->timer = own->fd = -1;
    own->socket.listener = -1;
    own->type = ZMQ_DEALER;
    (void)zmq_msg_init(&own->message);
    rc = ipc_zmq_strip_(ch);
    if (rc == 0)
        rc = ipc_zmq_take_keys_(ch);
    if (rc == 0 && ch->how.depth > INT_MAX)
        rc = ipc_channel_refuse_(ch, -EINVAL, "%zu messages", ch->how.depth);
    if (rc == 0)
        rc = ipc_zmq_mark_process_(ch);
    if (rc != 0)
        return rc;
    own->context = zmq_ctx_new();
    if (own->context == NULL)
        return ipc_zmq_refuse_(ch, "make a context");
    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    e.data.u32 = (uint32_t)IPC_ZMQ_TIMER_;
    own->polls = ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    own->timer = ipc_move_fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (own->timer < 0 || epoll_ctl(own->polls, EPOLL_CTL_ADD, own->timer, &e) != 0)
        return ipc_channel_refuse_errno_(ch, "wait for");
    return ipc_zmq_is_listener_(ch) ? ipc_zmq_listen_(ch, deadline) : ipc_zmq_reach_(ch, deadline);
}

/* Closes all that is of ZeroMQ, and waits until the others have read, three seconds at most. */
IPC_INLINE void ipc_zmq_leave_all_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int64_t deadline = ipc_in_ms(IPC_ZMQ_LINGER_MS_);
    int i, kept = -1;

    ipc_zmq_take_events_(ch);
    if (own->main != NULL) {
        (void)ipc_zmq_set_(own->main, ZMQ_LINGER, IPC_ZMQ_LINGER_MS_);
        kept = own->is_ready && !own->end.has_come ? ipc_zmq_keep_(own->fd, own->ino) : -1;
    }
    for (i = 0; i < own->fds_size; i++) { /* from now on `left` is the duplicate, plus 1 */
        int fd = ipc_zmq_keep_(i, own->fds[i].ino);

        own->fds[i].left = (uint64_t)(fd + 1);
    }
    ipc_zmq_close_socket_(own, &own->events, IPC_ZMQ_EVENTS_);
    ipc_zmq_close_socket_(own, &own->main, IPC_ZMQ_MAIN_);
    ipc_zmq_close_socket_(own, &own->keys, IPC_ZMQ_KEYS_);
    while (zmq_ctx_term(own->context) != 0 && zmq_errno() == EINTR)
        ;
    if (kept >= 0)
        ipc_zmq_see_off_(kept, deadline);
    for (i = 0; i < own->fds_size; i++)
        if (own->fds[i].left != 0)
            (void)shutdown((int)own->fds[i].left - 1, SHUT_WR);
    for (i = 0; i < own->fds_size; i++)
        if (own->fds[i].left != 0)
            ipc_zmq_see_off_((int)own->fds[i].left - 1, deadline);
}

IPC_INLINE void ipc_zmq_close_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    unsigned i;

    if (ch->pid == getpid() && own->context != NULL)
        ipc_zmq_leave_all_(ch);
    (void)zmq_msg_close(&own->message);
    ipc_channel_socket_close_(ch);
    ipc_channel_close_fd_(&own->polls);
    ipc_channel_close_fd_(&own->timer);
    if (own->mine != NULL)
        (void)munmap(own->mine, (size_t)getpagesize());
    for (i = 0; i < own->made; i++) {
        (void)tdelete(own->seats[i], &own->tree, ipc_zmq_compare_);
        free(own->seats[i]);
    }
    free(own->seats);
    free(own->fds);
    free(own->peer_keys);
}

IPC_INLINE int ipc_zmq_unlink_(struct ipc_channel *ch)
{
    int rc = ipc_zmq_strip_(ch);

    return rc != 0 ? rc : ipc_channel_socket_unlink_(ch);
}

/* ------------------------------------------------------------------ the tables */

static const struct ipc_channel_serve_ ipc_zmq_serve_table_ = {
    ipc_zmq_serve_, ipc_zmq_serve_no_more_, ipc_zmq_recv_,     ipc_zmq_send_to_,  ipc_zmq_drop_,
    NULL, /* flush */
    ipc_zmq_descriptor_, ipc_zmq_describe_, ipc_zmq_is_ready_,
};

#define IPC_ZMQ_KIND_(scheme, flags, domain, unlink)                                               \
    {                                                                                              \
        scheme, IPC_CHANNEL_NO_FD_ | IPC_CHANNEL_DEPTH_ | IPC_CHANNEL_PUBLISHES_ |                 \
                    IPC_CHANNEL_KEYS_ | (flags),                                                   \
            sizeof(struct ipc_zmq_), domain, SOCK_STREAM, ipc_zmq_open_, ipc_zmq_close_, unlink,   \
            ipc_zmq_send_, ipc_zmq_recv_, NULL, NULL, NULL, NULL, ipc_zmq_descriptor_,             \
            ipc_zmq_describe_, ipc_zmq_is_ready_, &ipc_zmq_serve_table_                            \
    }

static const struct ipc_channel_kind_ ipc_zmq_tcp_kind_ =
    IPC_ZMQ_KIND_("zmq:tcp", IPC_CHANNEL_OPEN_TO_ALL_ | IPC_CHANNEL_KEEPALIVE_, AF_INET, NULL);
static const struct ipc_channel_kind_ ipc_zmq_ipc_kind_ =
    IPC_ZMQ_KIND_("zmq:ipc", 0, AF_UNIX, ipc_zmq_unlink_);

static struct ipc_channel_added_ ipc_zmq_added_[2] = {{&ipc_zmq_tcp_kind_, NULL},
                                                      {&ipc_zmq_ipc_kind_, NULL}};

/* 101: before any constructor of the program. */
__attribute__((constructor(101))) static void ipc_zmq_add_(void)
{
    ipc_zmq_added_[0].next = &ipc_zmq_added_[1];
    ipc_zmq_added_[1].next = ipc_channel_added_;
    ipc_channel_added_ = ipc_zmq_added_;
}

#endif
