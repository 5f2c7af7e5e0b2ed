/*
 * Many clients with one handle: what a program calls, and the server of unix:, unix-seq:, tcp: and
 * auto:. The server of ring: is in its own room.
 *
 * The server has a seat for each client: a channel as ipc_channel_accept makes it. One epoll
 * descriptor, which is also that of ipc_channel_fd, tells of the listener and of the sockets of all
 * clients. It is level-triggered: what is not read is told again.
 *
 * What it cannot tell of is what was read already. A client of which more may be at hand is in the
 * queue: epoll has told of it, or a message of it was handed out and there are bytes behind that,
 * or it is over a ring. recv takes a message of the first in the queue, which goes behind the
 * others, or leaves the queue if it has no whole message. A ring's bell is armed by then. epoll is
 * asked when the queue is empty, and after IPC_CHANNEL_TURNS_ messages, so that clients that send
 * without end keep out nobody. When recv says -ETIMEDOUT, the queue is empty.
 *
 * Every call on a client's channel has IPC_NOW, but in ipc_channel_send_to. What a client does not
 * read stays in its channel's tx, and epoll tells when there is room.
 *
 *     seat
 *     FREE     -> AGREEING   a client was accepted, and has a number
 *     AGREEING -> SERVED     it has greeted; auto: it is agreed where messages go
 *     AGREEING -> FREE       that has failed, or after 100 ms its place or descriptors are needed;
 *                            nothing is reported
 *     SERVED   -> FREE       recv reports the loss; or ipc_channel_drop
 *
 * When no client can be accepted (all seats are taken, or no descriptor is free) the listener is
 * paused: epoll does not tell of it until a client leaves, or a later call after 100 ms.
 */
#ifndef IPC_SRC_CHANNEL_SERVER_H
#define IPC_SRC_CHANNEL_SERVER_H 1

#include "io.h"

/* ------------------------------------------------------------------ the seats */

#define IPC_CHANNEL_TURNS_ 64                       /* messages between two looks at epoll */
#define IPC_CHANNEL_EVENTS_ 64                      /* that a look takes at once */
#define IPC_CHANNEL_PAUSE_NS_ INT64_C(100000000)    /* of a listener that cannot accept */
#define IPC_CHANNEL_SEAT_BITS_ 20                   /* of a client's number; above it: its turn */

struct ipc_channel_client_ {
    struct ipc_channel ch;
    uint64_t number;  /* 0: the seat is free */
    unsigned seat;    /* its index in seats[] */
    unsigned watched; /* the events of its socket that epoll tells of */
    struct ipc_channel_client_ *next, *before; /* in the queue; next: among the free ones, too */
};

struct ipc_channel_sockets_ {
    int polls;
    struct ipc_channel_client_ **seats; /* as many as were ever needed at a time */
    unsigned made, room;                /* of seats[]: how many there are, and may be */
    unsigned clients;                   /* how many seats are not free */
    struct ipc_channel_client_ *free, *queue; /* queue: the first, of a circle; NULL: it is empty */
    uint64_t came;                            /* how many clients were ever accepted */
    int turns;                                /* messages until the next look */
    int64_t paused; /* the listener, until then; 0: it is not */
    int told;       /* recv has reported that no client can be accepted */
};

IPC_INLINE struct ipc_channel_sockets_ *ipc_channel_get_server_(const struct ipc_channel *ch)
{
    return (struct ipc_channel_sockets_ *)ch->server;
}

IPC_INLINE void ipc_channel_enqueue_(struct ipc_channel_sockets_ *s, struct ipc_channel_client_ *c)
{
    struct ipc_channel_client_ *first = s->queue;

    if (c->next != NULL)
        return; /* it is there already */
    s->queue = first != NULL ? first : c;
    first = s->queue;
    c->next = first;
    c->before = first == c ? c : first->before;
    c->before->next = first->before = c;
}

IPC_INLINE void ipc_channel_dequeue_(struct ipc_channel_sockets_ *s, struct ipc_channel_client_ *c)
{
    if (c->next == NULL)
        return;
    if (s->queue == c)
        s->queue = c->next != c ? c->next : NULL;
    c->before->next = c->next;
    c->next->before = c->before;
    c->next = NULL;
}

/* The client of a number, or NULL. */
IPC_INLINE struct ipc_channel_client_ *ipc_channel_find_client_(const struct ipc_channel *ch,
                                                                uint64_t number)
{
    const struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    uint64_t seat = number & ((UINT64_C(1) << IPC_CHANNEL_SEAT_BITS_) - 1);

    return number != 0 && seat < s->made && s->seats[seat]->number == number ? s->seats[seat]
                                                                             : NULL;
}

/* Is the client still to agree where messages go? */
IPC_INLINE int ipc_channel_is_agreeing_(const struct ipc_channel_client_ *c)
{
    return (c->ch.flags & IPC_CHANNEL_UNGREETED_) != 0 ||
           (c->ch.kind == &ipc_channel_auto_kind_ && ipc_channel_must_agree_(&c->ch));
}

/* A free seat. NULL: there is no memory. */
IPC_INLINE struct ipc_channel_client_ *ipc_channel_find_seat_(struct ipc_channel_sockets_ *s)
{
    struct ipc_channel_client_ *c = s->free, **seats;
    unsigned room = s->room != 0 ? 2 * s->room : 16;

    if (c != NULL) {
        s->free = c->next;
        c->next = NULL;
        return c;
    }
    if (s->made == s->room) {
        seats = (struct ipc_channel_client_ **)realloc(s->seats, room * sizeof *seats);
        if (seats == NULL)
            return NULL;
        s->seats = seats;
        s->room = room;
    }
    c = (struct ipc_channel_client_ *)calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->seat = s->made;
    s->seats[s->made++] = c;
    return c;
}

IPC_INLINE void ipc_channel_free_seat_(struct ipc_channel_sockets_ *s,
                                       struct ipc_channel_client_ *c)
{
    c->number = 0;
    c->next = s->free;
    s->free = c;
}

/* ------------------------------------------------------------------ the listener */

/* Lets epoll tell of the listener, or not. */
IPC_INLINE int ipc_channel_heed_listener_(struct ipc_channel *ch, int op, int on)
{
    struct epoll_event e;

    memset(&e, 0, sizeof e); /* no client has the number 0 */
    e.events = on ? (uint32_t)EPOLLIN : 0;
    ipc_channel_get_server_(ch)->paused = on ? 0 : ipc_clock() + IPC_CHANNEL_PAUSE_NS_;
    return epoll_ctl(ipc_channel_get_server_(ch)->polls, op, ipc_channel_get_socket_(ch)->listener,
                     &e);
}

IPC_INLINE void ipc_channel_leave_client_(struct ipc_channel *ch, struct ipc_channel_client_ *c)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);

    ipc_channel_dequeue_(s, c);
    ipc_channel_close(&c->ch);
    ipc_channel_free_seat_(s, c);
    s->clients--;
    if (s->paused != 0)
        (void)ipc_channel_heed_listener_(ch, EPOLL_CTL_MOD, 1);
}

/* Leaves the clients that have not agreed in time. 1: there were such. */
IPC_INLINE int ipc_channel_leave_late_clients_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    unsigned i, before = s->clients;

    for (i = 0; i < s->made; i++)
        if (s->seats[i]->number != 0 && ipc_channel_is_agreeing_(s->seats[i]) &&
            ipc_left_(ipc_channel_get_socket_(&s->seats[i]->ch)->came_at + IPC_CHANNEL_HELLO_NS_) ==
                0)
            ipc_channel_leave_client_(ch, s->seats[i]);
    return s->clients != before;
}

/* Takes a client that waits. 0; -ETIMEDOUT: none waits, or it was not permitted; or what keeps it
 * from being accepted. */
IPC_INLINE int ipc_channel_take_next_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    struct ipc_channel_client_ *c = ipc_channel_find_seat_(s);
    struct epoll_event e;
    int rc;

    if (c == NULL)
        return ipc_channel_refuse_(ch, -ENOMEM, "no memory for a client");
    rc = ipc_channel_take_client_(ch, &c->ch, IPC_NOW);
    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    e.data.u64 = (s->came + 1) << IPC_CHANNEL_SEAT_BITS_ | c->seat;
    if (rc == 0 && epoll_ctl(s->polls, EPOLL_CTL_ADD, c->ch.in, &e) != 0)
        rc = ipc_channel_refuse_errno_(&c->ch, "wait for a client of");
    if (rc != 0) {
        memcpy(ch->why, c->ch.why, sizeof ch->why);
        ipc_channel_close(&c->ch);
        ipc_channel_free_seat_(s, c);
        return rc;
    }
    c->ch.polls = s->polls;
    c->number = e.data.u64;
    c->watched = EPOLLIN;
    s->came++;
    s->clients++;
    s->told = 0;
    return 0;
}

/* Takes the clients that wait, not more at once than a look takes. 0; or once, what keeps one from
 * being accepted. */
IPC_INLINE int ipc_channel_take_clients_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    int i, rc = 0, is_full = 0;

    for (i = 0; rc == 0 && !is_full && i < IPC_CHANNEL_EVENTS_; i++) {
        is_full = s->clients == ch->how.clients;
        if (is_full &&
            ipc_channel_wait_(ipc_channel_get_socket_(ch)->listener, POLLIN, IPC_NOW) != 0)
            return 0; /* no other client needs a place */
        if (is_full && ipc_channel_leave_late_clients_(ch))
            is_full = 0;
        rc = is_full ? 0 : ipc_channel_take_next_(ch);
    }
    if (rc == -ETIMEDOUT || (rc == 0 && !is_full))
        return 0;
    if (rc != 0 && ipc_channel_leave_late_clients_(ch))
        return 0; /* the next look tries again */
    (void)ipc_channel_heed_listener_(ch, EPOLL_CTL_MOD, 0);
    if (rc == 0 || s->told)
        return 0;
    s->told = 1;
    return rc;
}

/* ------------------------------------------------------------------ what epoll tells */

/* Lets epoll tell when a client reads what is left for it. 0 or -errno. */
IPC_INLINE int ipc_channel_watch_client_(struct ipc_channel_sockets_ *s,
                                         struct ipc_channel_client_ *c)
{
    unsigned events = c->ch.tx.begin != c->ch.tx.end ? EPOLLIN | EPOLLOUT : EPOLLIN;
    struct epoll_event e;

    memset(&e, 0, sizeof e);
    e.data.u64 = c->number;
    e.events = events;
    if (events != c->watched && epoll_ctl(s->polls, EPOLL_CTL_MOD, c->ch.in, &e) != 0)
        return -errno;
    c->watched = events;
    return 0;
}

/* Waits until epoll tells something, and takes that in. 0; -ETIMEDOUT, -EINTR; or as
 * ipc_channel_take_clients_. */
IPC_INLINE int ipc_channel_look_at_clients_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    struct epoll_event e[IPC_CHANNEL_EVENTS_];
    struct ipc_channel_client_ *c;
    int rc = 0, n, i, comes = 0;

    if (s->paused != 0 && ipc_left_(s->paused) == 0)
        (void)ipc_channel_heed_listener_(ch, EPOLL_CTL_MOD, 1);
    if (s->paused != 0 && deadline > s->paused)
        deadline = s->paused;
    if (deadline > IPC_NOW) /* a stop of the process interrupts epoll_wait, but not poll */
        rc = ipc_channel_wait_(s->polls, POLLIN, deadline);
    n = rc == 0 ? epoll_wait(s->polls, e, IPC_CHANNEL_EVENTS_, 0) : 0;
    if (n <= 0)
        return rc != 0 ? rc : n < 0 ? -errno : -ETIMEDOUT;
    for (i = 0; i < n; i++) {
        c = ipc_channel_find_client_(ch, e[i].data.u64);
        comes |= e[i].data.u64 == 0;
        if (c == NULL)
            continue;
        if ((e[i].events & EPOLLOUT) != 0) {
            (void)ipc_channel_send_rest_(&c->ch, IPC_NOW);
            (void)ipc_channel_watch_client_(s, c);
        }
        if ((e[i].events & ~(unsigned)EPOLLOUT) != 0)
            ipc_channel_enqueue_(s, c);
    }
    return comes ? ipc_channel_take_clients_(ch) : 0;
}

/* ------------------------------------------------------------------ what the tables name */

IPC_INLINE int ipc_channel_sockets_open_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = (struct ipc_channel_sockets_ *)calloc(1, sizeof *s);

    if (s == NULL)
        return ipc_channel_refuse_(ch, -ENOMEM, "no memory for clients");
    ch->server = s;
    s->polls = epoll_create1(EPOLL_CLOEXEC);
    if (s->polls < 0 || ipc_channel_heed_listener_(ch, EPOLL_CTL_ADD, 1) != 0)
        return ipc_channel_refuse_errno_(ch, "wait for clients of");
    return 0;
}

/* After fork the parent has the descriptor of epoll, too: what it tells there must not change. */
IPC_INLINE void ipc_channel_sockets_close_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    unsigned i;

    ipc_channel_close_fd_(&s->polls);
    for (i = 0; i < s->made; i++) {
        s->seats[i]->ch.polls = -1;
        ipc_channel_close(&s->seats[i]->ch);
        free(s->seats[i]);
    }
    free(s->seats);
    free(s);
    ch->server = NULL;
}

/* Receives from one client, which is the first in the queue. As recv, and ch->from is set; or
 * -EAGAIN: it has nothing to hand out. */
IPC_INLINE int64_t ipc_channel_serve_first_(struct ipc_channel *ch, void *to, size_t size)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    struct ipc_channel_client_ *c = s->queue;
    int agreeing = ipc_channel_is_agreeing_(c), more;
    int64_t rc = ipc_channel_recv(&c->ch, to, size, IPC_NOW);
    int failed = c->ch.in >= 0 ? ipc_channel_watch_client_(s, c) : 0, lost;

    if (rc == -EINTR)
        return rc;
    agreeing &= !ipc_channel_get_socket_(&c->ch)->greeted; /* it may have sent more than a greeting */
    if (failed != 0 && rc == -ETIMEDOUT)
        rc = ipc_channel_refuse_(&c->ch, failed, "cannot wait for a client: %s", strerror(-failed));
    lost = rc < 0 && rc != -ETIMEDOUT && rc != -EMSGSIZE;
    if (rc != -ETIMEDOUT && !(lost && agreeing)) {
        ch->from = c->number;
        ch->next = rc == -EMSGSIZE ? c->ch.next : 0;
        if (rc < 0)
            memcpy(ch->why, c->ch.why, sizeof ch->why);
    }
    if (lost) {
        ipc_channel_leave_client_(ch, c);
        return agreeing ? -EAGAIN : rc;
    }
    more = c->ch.rx.begin != c->ch.rx.end || c->ch.next != 0 || c->ch.ring != NULL;
    s->queue = c->next; /* a circle: the next one is the first now, and this one the last */
    if (rc == -ETIMEDOUT || !more)
        ipc_channel_dequeue_(s, c);
    return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

IPC_INLINE int64_t ipc_channel_sockets_recv_(struct ipc_channel *ch, void *to, size_t size,
                                             int64_t deadline)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    unsigned skips = 0;
    int64_t rc;

    for (;;) {
        if (s->queue == NULL || --s->turns < 0) {
            if (s->queue == NULL && ipc_channel_has_skipped_enough_(&skips, deadline))
                return -ETIMEDOUT; /* clients that trickle keep no call beyond its deadline */
            s->turns = IPC_CHANNEL_TURNS_;
            rc = ipc_channel_look_at_clients_(ch, s->queue == NULL ? deadline : IPC_NOW);
            if (rc < 0 && rc != -ETIMEDOUT)
                return rc;
            if (s->queue == NULL && rc == -ETIMEDOUT && ipc_left_(deadline) == 0)
                return rc;
        }
        if (s->queue == NULL)
            continue;
        rc = ipc_channel_serve_first_(ch, to, size);
        if (rc != -EAGAIN)
            return rc;
    }
}

IPC_INLINE int ipc_channel_refuse_client_(struct ipc_channel *ch, uint64_t client)
{
    return ipc_channel_refuse_(ch, -EPIPE, "%s:%s: client %llu is gone", ch->kind->scheme,
                               ch->address, (unsigned long long)client);
}

IPC_INLINE int ipc_channel_sockets_send_to_(struct ipc_channel *ch, uint64_t client,
                                            const void *message, size_t n, int64_t deadline)
{
    struct ipc_channel_client_ *c = ipc_channel_find_client_(ch, client);
    int rc;

    if (c == NULL)
        return ipc_channel_refuse_client_(ch, client);
    rc = ipc_channel_send(&c->ch, message, n, deadline);
    if (rc != 0)
        memcpy(ch->why, c->ch.why, sizeof ch->why);
    if (c->ch.in < 0) /* it has failed to agree */
        ipc_channel_leave_client_(ch, c);
    else
        (void)ipc_channel_watch_client_(ipc_channel_get_server_(ch), c);
    return rc;
}

IPC_INLINE int ipc_channel_sockets_drop_(struct ipc_channel *ch, uint64_t client)
{
    struct ipc_channel_client_ *c = ipc_channel_find_client_(ch, client);

    if (c == NULL)
        return ipc_channel_refuse_client_(ch, client);
    (void)shutdown(c->ch.in, SHUT_RDWR); /* after fork another process may have it, too */
    ipc_channel_leave_client_(ch, c);
    return 0;
}

/* Tries each client at once, so that none waits for another that does not read, then waits. */
IPC_INLINE int ipc_channel_sockets_flush_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    unsigned i, left = 0;
    int pass, rc = 0;

    for (pass = 0; pass < 2; pass++)
        for (i = left = 0; i < s->made; i++) {
            struct ipc_channel_client_ *c = s->seats[i];

            if (c->number == 0 || c->ch.tx.begin == c->ch.tx.end)
                continue;
            rc = ipc_channel_send_rest_(&c->ch, pass == 0 ? IPC_NOW : deadline);
            (void)ipc_channel_watch_client_(s, c);
            if (rc == -EINTR)
                return rc;
            left += c->ch.tx.begin != c->ch.tx.end;
        }
    return left == 0 ? 0 : -ETIMEDOUT;
}

IPC_INLINE int ipc_channel_sockets_descriptor_(struct ipc_channel *ch)
{
    return ipc_channel_get_server_(ch)->polls;
}

/* Who the last message came from, and how much all clients have still to read. */
IPC_INLINE void ipc_channel_sockets_describe_(const struct ipc_channel *ch,
                                              struct ipc_channel_facts *info)
{
    const struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    const struct ipc_channel_client_ *c = ipc_channel_find_client_(ch, ch->from);
    unsigned i;

    info->clients = s->clients;
    for (i = 0; i < s->made; i++)
        if (s->seats[i]->number != 0)
            info->pending += s->seats[i]->ch.tx.end - s->seats[i]->ch.tx.begin;
    if (c == NULL)
        return;
    info->pid = c->ch.peer.pid;
    info->uid = c->ch.peer.uid;
    info->gid = c->ch.peer.gid;
}

IPC_INLINE int ipc_channel_sockets_is_ready_(struct ipc_channel *ch)
{
    return ipc_channel_get_server_(ch)->queue != NULL;
}

/* ------------------------------------------------------------------ what a program calls */

/* Checks that the channel is a server. */
IPC_INLINE int ipc_channel_check_server_(struct ipc_channel *ch)
{
    if (ch->kind == NULL)
        return -EINVAL; /* ipc_channel_why has why */
    return ch->server != NULL
               ? 0
               : ipc_channel_refuse_(ch, -EINVAL, "%s: no server: see options.clients",
                                     ch->kind->scheme);
}

IPC_INLINE int ipc_channel_send_to(struct ipc_channel *ch, uint64_t client, const void *message,
                                   size_t n, int64_t deadline)
{
    int rc = ipc_channel_check_server_(ch);

    if (rc == 0)
        rc = ipc_channel_check_call_(ch, IPC_SEND, deadline);
    if (rc == 0)
        rc = ipc_channel_check_size_(ch, n);
    if (rc == 0)
        rc = ch->kind->serve->send_to(ch, client, n != 0 ? message : "", n, deadline);
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

IPC_INLINE int ipc_channel_drop(struct ipc_channel *ch, uint64_t client)
{
    int rc = ipc_channel_check_server_(ch);

    return rc != 0 ? rc : ch->kind->serve->drop(ch, client);
}

#endif
