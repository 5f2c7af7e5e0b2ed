/*
 * auto:NAME, a Unix socket that becomes a ring where both sides can take one. NAME with a slash is
 * the path of the socket's file; another name is in the abstract namespace.
 *
 * Opened as unix:. The first call of each side agrees where messages go, so both must be in a call
 * at a time. The listener makes a sealed segment with the rings, and hands it over the socket. The
 * socket stays open beside the ring: its end tells that the other side is gone, a byte on it wakes an
 * event loop, and so it is what ipc_channel_fd gives. Where one side cannot take a ring, the messages
 * stay on the socket.
 *
 *   Access   As over unix:.
 *   Loss     -EPIPE after all that the other side sent, over the ring as over the socket, whether
 *            it was killed or closed. Then as over unix:. Into the ring of a process that was
 *            killed go at most the messages of 50 microseconds, and 257 more, before that is
 *            reported. A recv that sleeps, or ipc_channel_wait_any, learns within a second of a
 *            killed process whose child has the socket still. A server that sleeps learns of it
 *            when it sends to that client, or the child has closed the socket.
 *   Servers  With options.clients as over unix:, each client over a ring of its own. One that has
 *            not agreed after 100 ms is left when another one needs its place.
 *   Limits   Messages of 1 MiB unless asked for, of a server or publisher 64 KiB; of two maxima the
 *            smaller one. Memory as over ring:, for each client.
 */
#ifndef IPC_SRC_CHANNEL_AUTO_H
#define IPC_SRC_CHANNEL_AUTO_H 1

#include "socket.h"
#include "ring.h"

/* ------------------------------------------------------------------ auto: */

/*
 * What the two sides say to each other on the socket before the first message. What is not the next
 * thing of these, or answers something that was not offered, ends the connection.
 *
 *     other       OFFER    version, roles; ring: can it take a ring; max: its largest message
 *     listener    ANSWER   version, roles; ring: 1 a ring, 0 the socket, 2 a ring that it
 *                          publishes; max: the smaller one
 *                 SEGMENT  if a ring: the segment (ipc_shm_send)
 *     other       CHOICE   ring: 1 in the ring from now on, 0 it could not take the ring
 *
 * After ANSWER 2 comes the segment, and the connection ends. In the ring, a side that has set ARMED in
 * the ring's bell, to poll the socket, gets a byte when the other side posts. It takes off whatever
 * bytes have come. Sent with MSG_DONTWAIT, the byte holds up no sender: where the socket is full, it
 * is readable. An eventfd would, if the other side has taken O_NONBLOCK off and filled it.
 *
 * Where the listener is of this version, and the client of an older one, they stay on the socket. A
 * listener of version 1 does not compare versions: its client says -EBADMSG.
 *
 * The handle keeps the step: the next thing that is to come, or to be sent. A deadline cuts a
 * handshake off between two steps, and the next call goes on there.
 */
#define IPC_CHANNEL_PUBLISHED_ 2u /* of an answer's `ring` */
#define IPC_CHANNEL_OFFER_ 0
#define IPC_CHANNEL_ANSWER_ 1
#define IPC_CHANNEL_SEGMENT_ 2
#define IPC_CHANNEL_CHOICE_ 3
#define IPC_CHANNEL_AGREED_ 4

struct ipc_channel_auto_ {
    struct ipc_channel_socket_ socket; /* first: the functions of sockets find it there */
    int is_listener;                   /* this side answers offers */
    int step;
    int unable;      /* this side could not take the ring that was handed over */
    int published;   /* the listener publishes */
    int polls;       /* ipc_channel_fd's epoll descriptor, or -1 */
    int begins;      /* that is readable until the bell is armed for the first time */
    int32_t trust;   /* how many messages go into the ring before the socket is asked */
    int64_t asked;   /* when it was asked last */
};

/*
 * The end of a ring tells that a process has left it, but not that it was killed. The socket tells
 * both, for a system call. So a send asks it before the first message, then after one, two, four,
 * ... messages: at first no more go into the ring of a killed process than went to it before. At last
 * it may ask after each IPC_CHANNEL_ASK_AFTER_ + 1 messages, and does if IPC_CHANNEL_ASK_NS_ are over.
 * At most the messages of that time, and 257 more, then go into the ring of a killed process.
 */
#define IPC_CHANNEL_ASK_AFTER_ 256
#define IPC_CHANNEL_ASK_NS_ 50000 /* a system call can take as long as 200 short messages */

/* Offer, answer and choice. */
struct ipc_channel_hello_ {
    uint64_t magic;
    uint32_t version; /* in the lower half; above it the roles of the side that sends this */
    uint32_t ring;
    uint64_t max;
};

#define IPC_CHANNEL_MAGIC_ UINT64_C(0x316f7475615f6369) /* "ic_auto1" */
#define IPC_CHANNEL_VERSION_ 2u
#define IPC_CHANNEL_VERSION_BITS_ 16

/* Of publish.h. */
IPC_INLINE int ipc_channel_auto_publish_(struct ipc_channel *ch);

IPC_INLINE struct ipc_channel_auto_ *ipc_channel_get_auto_(const struct ipc_channel *ch)
{
    return (struct ipc_channel_auto_ *)ch->state;
}

/* Is the next call still to agree with the other side, or to meet one? */
IPC_INLINE int ipc_channel_must_agree_(const struct ipc_channel *ch)
{
    return ipc_channel_get_auto_(ch)->step != IPC_CHANNEL_AGREED_ || ch->in < 0;
}

/* Leaves the ring, if there is one. The socket stays. */
IPC_INLINE void ipc_channel_auto_leave_ring_(struct ipc_channel *ch)
{
    ipc_channel_close_fd_(&ipc_channel_get_auto_(ch)->polls);
    ipc_channel_ring_leave_(ch);
}

/* Attaches our ends of the rings. Posts to what we send go over the socket; the bell closes its
 * descriptor. */
IPC_INLINE int ipc_channel_auto_attach_(struct ipc_channel *ch, int listener)
{
    int rc = ipc_channel_ring_attach_(ch, listener);

    if (!ipc_channel_get_auto_(ch)->published)
        ch->ring->data.peer.watch = NULL; /* see ipc_channel_auto_wait_ */
    if (rc != 0 || ch->ring->out.ring == NULL)
        return rc;
    ch->ring->out_data.post_fd = fcntl(ch->out, F_DUPFD_CLOEXEC, 3);
    return ch->ring->out_data.post_fd >= 0 ? 0 : -errno;
}

/* ------------------------------------------------------------------ the handshake */

IPC_INLINE int ipc_channel_send_hello_(struct ipc_channel *ch, uint32_t ring)
{
    struct ipc_channel_hello_ hello;

    memset(&hello, 0, sizeof hello);
    hello.magic = IPC_CHANNEL_MAGIC_;
    hello.version = IPC_CHANNEL_VERSION_ | (ch->role & IPC_BOTH) << IPC_CHANNEL_VERSION_BITS_;
    hello.ring = ring;
    hello.max = ch->max;
    /* Nothing is on the way yet, so there is room, or the other side is at fault. */
    return send(ch->out, &hello, sizeof hello, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof hello
               ? 0
               : -EPIPE;
}

/* Does the client send what the listener does not receive, or wait for what it does not send?
 * 0 stands for roles that an older version does not tell. */
IPC_INLINE int ipc_channel_is_misfit_(const struct ipc_channel *ch, unsigned other)
{
    int listens = ipc_channel_get_auto_(ch)->is_listener;
    unsigned client = listens ? other : ch->role, listener = listens ? ch->role : other;

    return other != 0 && (((client & IPC_SEND) != 0 && (listener & IPC_RECV) == 0) ||
                          ((client & IPC_RECV) != 0 && (listener & IPC_SEND) == 0));
}

/* Receives an offer, an answer or a choice. Its `ring` may be 0 to most. Reads no byte behind it.
 */
IPC_INLINE int ipc_channel_recv_hello_(struct ipc_channel *ch, uint32_t most, uint32_t *ring,
                                       int64_t deadline)
{
    const struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    struct ipc_channel_hello_ hello;
    struct iovec io;
    int64_t rc = 0;

    while (ch->rx.end < sizeof hello) {
        io.iov_base = ch->rx.data + ch->rx.end;
        io.iov_len = sizeof hello - ch->rx.end;
        if (own->socket.listener >= 0 && own->step == IPC_CHANNEL_OFFER_)
            rc = ipc_channel_wait_for_hello_(ch, deadline);
        if (rc >= 0)
            rc = ipc_channel_read_some_(ch, &io, 1, deadline);
        if (rc < 0)
            return (int)rc;
        ch->rx.end += (size_t)rc;
    }
    memcpy(&hello, ch->rx.data, sizeof hello);
    ch->rx.end = 0;
    if (hello.magic != IPC_CHANNEL_MAGIC_ || (uint16_t)hello.version == 0 || hello.ring > most ||
        hello.max == 0 || hello.max > UINT32_MAX / 2)
        return -EBADMSG;
    ch->max = hello.max < ch->max ? (size_t)hello.max : ch->max;
    *ring = hello.ring;
    if (hello.ring == 1 && (uint16_t)hello.version != IPC_CHANNEL_VERSION_) {
        if (own->step != IPC_CHANNEL_OFFER_)
            return -EBADMSG;
        *ring = 0;
    }
    return ipc_channel_is_misfit_(ch, hello.version >> IPC_CHANNEL_VERSION_BITS_ & IPC_BOTH)
               ? -EPROTO
               : 0;
}

/* May this user have one more descriptor in a socket? Else none can be handed over. */
IPC_INLINE int ipc_channel_auto_can_send_(const struct ipc_shm *seg)
{
    struct ipc_last_ trial;
    int can;

    ipc_end_last_(&trial, seg->fd);
    can = trial.inode != 0;
    ipc_close_last_(&trial);
    return can;
}

/* Makes a sealed segment with our ends of the rings. */
IPC_INLINE int ipc_channel_make_offer_(struct ipc_channel *ch)
{
    size_t max = ch->max;
    int rc = ipc_channel_ring_new_(ch);

    if (rc == 0)
        rc = ipc_shm_create(&ch->ring->seg, NULL, ipc_channel_ring_size_(ch));
    if (rc == 0)
        rc = ipc_channel_auto_attach_(ch, 1);
    if (rc == 0 && !ipc_channel_auto_can_send_(&ch->ring->seg))
        rc = -EMFILE;
    ch->max = max;
    if (rc != 0)
        ipc_channel_ring_leave_(ch);
    return rc;
}

/* The listener's side. 0: agreed; -ETIMEDOUT, -EINTR: later; or the connection is to end. */
IPC_INLINE int ipc_channel_answer_offer_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    uint32_t ring = 0;
    int rc;

    if (own->step == IPC_CHANNEL_OFFER_) {
        rc = ipc_channel_recv_hello_(ch, 1, &ring, deadline);
        if (rc == -EPROTO) /* the answer has our roles, so the client learns it, too */
            (void)ipc_channel_send_hello_(ch, 0);
        if (rc != 0)
            return rc;
        ring = ring != 0 && ipc_channel_make_offer_(ch) == 0;
        if (ipc_channel_send_hello_(ch, ring) != 0 ||
            (ring != 0 && ipc_shm_send(&ch->ring->seg, ch->out) != 0))
            return -EPIPE;
        own->step = IPC_CHANNEL_CHOICE_;
    }
    rc = ipc_channel_recv_hello_(ch, ch->ring != NULL, &ring, deadline);
    if (rc == 0 && ring == 0)
        ipc_channel_auto_leave_ring_(ch);
    return rc;
}

/* Receives the segment, and attaches our ends of its rings; if that fails, goes on to say so,
 * but not to a publisher, which does not listen any more. */
IPC_INLINE int ipc_channel_take_segment_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    size_t max = ch->max;
    int rc = ipc_shm_recv(&ch->ring->seg, ch->in, deadline);

    if (rc == -ETIMEDOUT || rc == -EINTR || rc == -EPIPE)
        return rc;
    ch->ring->seg.deadline = IPC_NOW; /* the listener has made all of it */
    rc = rc != 0 ? rc : ipc_channel_auto_attach_(ch, 0);
    if (own->published) {
        own->step = IPC_CHANNEL_CHOICE_; /* nothing more is said */
        return rc;
    }
    own->unable = rc != 0;
    ch->max = max;
    return 0;
}

/* The next step of the other side. 0: it is done; or as ipc_channel_answer_offer_. */
IPC_INLINE int ipc_channel_take_step_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int rc = 0;
    uint32_t ring = 0;

    switch (own->step) {
    case IPC_CHANNEL_OFFER_:
        rc = ipc_channel_send_hello_(ch, 1);
        break;
    case IPC_CHANNEL_ANSWER_:
        rc = ipc_channel_recv_hello_(ch, IPC_CHANNEL_PUBLISHED_, &ring, deadline);
        if (rc != 0)
            return rc;
        own->published = ring == IPC_CHANNEL_PUBLISHED_;
        if (ring == 0)
            own->step = IPC_CHANNEL_CHOICE_ - 1; /* there is nothing to take */
        else
            rc = ipc_channel_ring_new_(ch);
        break;
    case IPC_CHANNEL_SEGMENT_:
        rc = ipc_channel_take_segment_(ch, deadline);
        break;
    default: /* the choice */
        if (own->unable)
            ipc_channel_auto_leave_ring_(ch);
        rc = ipc_channel_send_hello_(ch, ch->ring != NULL);
    }
    own->step += rc == 0;
    return rc;
}

/* The other side. As ipc_channel_answer_offer_. */
IPC_INLINE int ipc_channel_take_answer_(struct ipc_channel *ch, int64_t deadline)
{
    int rc = 0;

    while (rc == 0 && ipc_channel_get_auto_(ch)->step != IPC_CHANNEL_AGREED_)
        rc = ipc_channel_take_step_(ch, deadline);
    return rc;
}

/* Begins anew: waits for the next peer, with whom nothing is agreed yet. */
IPC_INLINE int ipc_channel_auto_connect_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int rc = -EPIPE;

    ipc_channel_auto_leave_ring_(ch);
    own->step = IPC_CHANNEL_OFFER_;
    own->unable = own->published = 0;
    own->trust = 0;
    ch->max = ipc_channel_ring_max_(ch);
    if ((ch->flags & IPC_CHANNEL_ACCEPTED_) == 0)
        rc = ipc_channel_socket_meet_(ch, deadline);
    own->socket.came_at = ipc_clock();
    return rc;
}

/* Waits until a peer is there with which it is agreed where messages go. A listener leaves those
 * that fail to agree, and goes on with the next one until the deadline. */
IPC_INLINE int ipc_channel_auto_meet_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int rc = 0;

    do {
        if (ch->in < 0)
            rc = ipc_channel_auto_connect_(ch, deadline);
        if (rc != 0 || own->step == IPC_CHANNEL_AGREED_)
            return rc;
        rc = own->is_listener ? ipc_channel_answer_offer_(ch, deadline)
                              : ipc_channel_take_answer_(ch, deadline);
        if (rc == 0)
            own->step = IPC_CHANNEL_AGREED_;
        if (rc == 0 || rc == -ETIMEDOUT || rc == -EINTR)
            return rc;
        rc = rc == -EOWNERDEAD ? -EPIPE : rc;
        ipc_channel_auto_leave_ring_(ch);
        (void)ipc_channel_lose_peer_(ch, rc);
        if (rc == -EPROTO) /* the program is to learn that such a client came */
            return rc;
    } while (own->socket.listener >= 0 && ipc_left_(deadline) > 0);
    return own->socket.listener >= 0 ? -ETIMEDOUT : rc;
}

/* ------------------------------------------------------------------ opening */

IPC_INLINE int ipc_channel_auto_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    char *name;
    int rc;

    own->polls = own->socket.listener = -1;
    if (strchr(ch->address, '/') == NULL && ch->address[0] != '@') {
        name = (char *)malloc(strlen(ch->address) + 11);
        if (name == NULL)
            return -ENOMEM;
        (void)sprintf(name, "@ipc-auto-%s", ch->address);
        free(ch->address);
        ch->address = name;
    }
    /* The same maximum as over a ring, also where it stays a socket. */
    ch->max = ipc_channel_ring_max_(ch);
    if (ch->how.clients != 0)
        ch->how.max = ch->max; /* of each of them */
    own->is_listener = (ch->role & IPC_LISTEN) != 0;
    rc = ipc_channel_socket_open_(ch, deadline);
    if (rc == 0 && ch->how.publish != 0)
        return ipc_channel_auto_publish_(ch);
    if (rc == 0 && !own->is_listener && ipc_channel_send_hello_(ch, 1) == 0)
        own->step = IPC_CHANNEL_ANSWER_; /* else the first call tries again, and says why */
    return rc;
}

IPC_INLINE int ipc_channel_auto_accept_(struct ipc_channel *listener, struct ipc_channel *ch,
                                        int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);

    own->polls = -1;
    own->is_listener = 1;
    own->socket.came_at = ipc_clock();
    return ipc_channel_socket_accept_(listener, ch, deadline);
}

IPC_INLINE void ipc_channel_auto_close_(struct ipc_channel *ch)
{
    ipc_channel_socket_close_(ch);
    ipc_channel_leave_peer_(ch); /* its end is told when the ring's bell, too, has left it */
    ipc_channel_auto_leave_ring_(ch);
}

/* A name without a folder has no file. */
IPC_INLINE int ipc_channel_auto_unlink_(struct ipc_channel *ch)
{
    return strchr(ch->address, '/') == NULL ? -EOPNOTSUPP : ipc_channel_socket_unlink_(ch);
}

/* ------------------------------------------------------------------ sending and receiving */

/* Leaves the other side, if rc says that it is gone or sends garbage, and returns rc. A killed peer
 * is reported as one that has closed, as a socket cannot tell, and auto: says the same over both.
 */
IPC_INLINE int ipc_channel_auto_end_(struct ipc_channel *ch, int rc)
{
    if (rc != -EPIPE && rc != -EOWNERDEAD && rc != -EBADMSG)
        return rc;
    ipc_channel_auto_leave_ring_(ch);
    return ipc_channel_lose_peer_(ch, rc == -EOWNERDEAD ? -EPIPE : rc);
}

#ifdef __sparc__ /* glibc has POLLRDHUP with _GNU_SOURCE only */
#define IPC_CHANNEL_RDHUP_ 0x800
#else
#define IPC_CHANNEL_RDHUP_ 0x2000
#endif

/* Does the socket beside the ring say that the other side is gone? Bytes that wake an event loop may
 * be before the end; a side that only sends gets none, so one that sends some breaks the rules. */
IPC_INLINE int ipc_channel_auto_is_gone_(const struct ipc_channel *ch)
{
    return ipc_channel_wait_(ch->in, (ch->role & IPC_RECV) != 0 ? IPC_CHANNEL_RDHUP_ : POLLIN,
                             IPC_NOW) == 0;
}

/* Sends through the ring. The other side's end is -EPIPE. What it had sent before can still be
 * received. */
IPC_INLINE int ipc_channel_auto_push_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int64_t now = ipc_clock();
    int rc = 0;

    if (own->trust < IPC_CHANNEL_ASK_AFTER_ || now - own->asked > IPC_CHANNEL_ASK_NS_) {
        rc = ipc_channel_auto_is_gone_(ch) ? -EPIPE : 0;
        own->asked = now;
    }
    if (rc == 0)
        rc = ipc_channel_ring_send_(ch, message, n, deadline);
    if (CK_CC_LIKELY(rc == 0)) {
        ch->quick_sends = own->trust;
        own->trust = own->trust < IPC_CHANNEL_ASK_AFTER_ / 2 ? own->trust * 2 + 1 : IPC_CHANNEL_ASK_AFTER_;
    }
    if (rc != -EPIPE && rc != -EOWNERDEAD)
        return rc;
    return (ch->role & IPC_RECV) == 0 ? ipc_channel_auto_end_(ch, rc)
                                      : ipc_channel_stop_sending_(ch, -EPIPE);
}

IPC_INLINE int ipc_channel_auto_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    int rc;

    if (CK_CC_UNLIKELY(ipc_channel_must_agree_(ch))) {
        rc = ipc_channel_auto_meet_(ch, deadline);
        if (rc != 0)
            return rc;
        if (n > ch->max) /* the other side's maximum may be smaller */
            return ipc_channel_refuse_(ch, -EMSGSIZE, "auto: a message of %zu bytes: at most %zu",
                                       n, ch->max);
    }
    return ch->ring == NULL ? ipc_channel_stream_send_(ch, message, n, deadline)
                            : ipc_channel_auto_push_(ch, message, n, deadline);
}

/* Lets the epoll descriptor tell of the ring's bell; with `begins`, also that one can send. 0, or a
 * negative errno. */
IPC_INLINE int ipc_channel_auto_watch_(struct ipc_channel *ch, int op, int begins)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int fd = own->published ? ipc_notify_fd(&ch->ring->data) : ch->in;
    struct epoll_event e;

    memset(&e, 0, sizeof e);
    e.events = begins ? EPOLLIN | EPOLLOUT : EPOLLIN;
    own->begins = begins;
    if (fd < 0)
        return fd;
    return epoll_ctl(own->polls, op, fd, &e) == 0 ? 0 : -errno;
}

/* The ring is empty. Arms its bell, so that its descriptor tells of what comes from now on; the
 * caller looks once more then. Was the other side gone already? */
IPC_INLINE int ipc_channel_auto_arm_(struct ipc_channel *ch)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    char bytes[256];
    int gone = 0;
    ssize_t rc;

    if (own->published) {
        ipc_notify_drain(&ch->ring->data);
    } else {
        rc = recv(ch->in, bytes, sizeof bytes, MSG_DONTWAIT);
        gone = rc == 0 || (rc < 0 && ipc_channel_is_end_(errno));
    }
    if (own->begins)
        (void)ipc_channel_auto_watch_(ch, EPOLL_CTL_MOD, 0);
    ipc_notify_arm(&ch->ring->data);
    return gone;
}

/* Does an epoll descriptor tell of the ring's bell? */
IPC_INLINE int ipc_channel_auto_is_polled_(const struct ipc_channel *ch)
{
    return ch->polls >= 0 || ipc_channel_get_auto_(ch)->polls >= 0;
}

/* Receives over the ring. What does not come soon is waited for at the socket, where the end of the
 * other side shows, too, instead of at an inotify: a user has 128 of these, and more clients. Only
 * where a child of a killed process has the socket still, it does not: the kernel is asked for that
 * once a second. */
IPC_INLINE int64_t ipc_channel_auto_wait_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    int64_t soon = ipc_clock() + IPC_NOTIFY_SHORT_, until, rc;
    int gone, waited;

    if (ipc_channel_get_auto_(ch)->published || deadline <= soon)
        return ipc_channel_ring_recv_(ch, to, size, deadline);
    rc = ipc_channel_ring_recv_(ch, to, size, soon);
    while (rc == -ETIMEDOUT) {
        gone = ipc_channel_auto_arm_(ch);
        rc = ipc_channel_ring_recv_(ch, to, size, IPC_NOW);
        if (rc != -ETIMEDOUT || gone)
            return rc != -ETIMEDOUT ? rc : -EPIPE;
        if (ipc_left_(deadline) == 0) /* however many bytes are still there */
            return rc;
        until = ipc_clock() + IPC_NOTIFY_LONG_;
        waited = ipc_channel_wait_(ch->in, POLLIN, deadline < until ? deadline : until);
        if (waited != 0 && waited != -ETIMEDOUT)
            return waited;
    }
    return rc;
}

IPC_INLINE int64_t ipc_channel_auto_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    int gone = (ch->flags & IPC_CHANNEL_CANNOT_SEND_) != 0; /* a send has found that out */
    int64_t rc;

    if (CK_CC_UNLIKELY(ipc_channel_must_agree_(ch)) &&
        (rc = ipc_channel_auto_meet_(ch, deadline)) != 0)
        return rc;
    if (CK_CC_UNLIKELY(ch->ring == NULL)) {
        rc = ipc_channel_stream_recv_(ch, to, size, deadline);
        return rc == -EOWNERDEAD ? ipc_channel_auto_end_(ch, -EPIPE) : rc;
    }
    if (CK_CC_UNLIKELY(gone)) { /* what is left; a peer that never sent was not seen at the ring's end */
        ck_pr_fence_load();     /* as in ipc_channel_try_rest_ */
        rc = ipc_channel_ring_recv_(ch, to, size, IPC_NOW);
        rc = rc == -ETIMEDOUT ? -EPIPE : rc;
        return rc < 0 ? ipc_channel_auto_end_(ch, (int)rc) : rc;
    }
    rc = ipc_channel_auto_wait_(ch, to, size, deadline);
    if (CK_CC_LIKELY(rc >= 0))
        return rc;
    if (rc == -ETIMEDOUT && deadline == IPC_NOW && ipc_channel_auto_is_polled_(ch)) {
        gone = ipc_channel_auto_arm_(ch);
        rc = ipc_channel_ring_recv_(ch, to, size, IPC_NOW);
        rc = rc == -ETIMEDOUT && gone ? -EPIPE : rc;
    }
    return rc < 0 ? ipc_channel_auto_end_(ch, (int)rc) : rc;
}

/* ------------------------------------------------------------------ what the table names */

/* Over a ring: readable when the bell has rung, or the other side is gone. Until the sides have agreed
 * it is the socket: recv looks at no ring before that. */
IPC_INLINE int ipc_channel_auto_descriptor_(struct ipc_channel *ch)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int rc;

    if (ch->ring == NULL || ipc_channel_must_agree_(ch))
        return ipc_channel_socket_descriptor_(ch);
    if ((ch->role & IPC_RECV) == 0)
        return ch->in;
    if (own->polls >= 0)
        return own->polls;
    own->polls = ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    /* The last recv found nothing, and did not arm the bell, as nobody would have polled for it. So
     * the descriptor is readable at first, and the recv that finds nothing then arms it. */
    rc = own->polls < 0 ? -errno : ipc_channel_auto_watch_(ch, EPOLL_CTL_ADD, !own->published);
    if (rc != 0) {
        ipc_channel_close_fd_(&own->polls);
        return rc;
    }
    if (own->published) {
        ipc_notify_arm(&ch->ring->data);
        (void)ipc_notify_post(&ch->ring->data);
    }
    return own->polls;
}

/* Over a ring, ipc_channel_fd was called before, which arms the bell at first. */
IPC_INLINE int ipc_channel_auto_is_ready_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    size_t n;

    if (r == NULL || ipc_channel_must_agree_(ch))
        return ipc_channel_holds_message_(ch);
    if (r->subscriber.ring != NULL)
        return ipc_channel_has_news_(r) || ipc_channel_auto_arm_(ch) || ipc_channel_has_news_(r);
    /* The socket may not tell: see ipc_channel_auto_wait_. */
    if (r->in.ring != NULL && ipc_channel_is_time_to_ask_(&r->asked_at[0]) &&
        ipc_channel_is_killed_(&r->data, ck_pr_load_64(&r->in.ring->end[0]))) {
        r->asked_at[0] = 0; /* the recv that follows is to ask, too */
        return 1;
    }
    return ipc_record_look_(&r->in, &n) != -EAGAIN || ipc_channel_auto_arm_(ch) ||
           ipc_record_look_(&r->in, &n) != -EAGAIN;
}

IPC_INLINE void ipc_channel_auto_describe_(const struct ipc_channel *ch,
                                           struct ipc_channel_facts *info)
{
    info->mechanism = ch->ring != NULL ? "ring" : "unix";
}

static const struct ipc_channel_kind_ ipc_channel_auto_kind_ = {
    "auto",
    IPC_CHANNEL_BELL_FD_ | IPC_CHANNEL_PUBLISHES_ | IPC_CHANNEL_GROUPS_,
    sizeof(struct ipc_channel_auto_),
    AF_UNIX,
    SOCK_STREAM,
    ipc_channel_auto_open_,
    ipc_channel_auto_close_,
    ipc_channel_auto_unlink_,
    ipc_channel_auto_send_,
    ipc_channel_auto_recv_,
    ipc_channel_auto_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_auto_accept_,
    ipc_channel_auto_descriptor_,
    ipc_channel_auto_describe_,
    ipc_channel_auto_is_ready_,
    &ipc_channel_sockets_serve_,
};

#endif
