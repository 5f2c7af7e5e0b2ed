/* auto:, from a socket to a ring. */
#ifndef IPC_SRC_CHANNEL_AUTO_H
#define IPC_SRC_CHANNEL_AUTO_H 1

#include "socket.h"
#include "ring.h"

/* ------------------------------------------------------------------ from a socket to a ring */

/*
 * What the two say to each other on the socket before the first message. Any answer that is none,
 * is not for what was offered, or comes in another order ends the connection.
 *
 *     other: OFFER version, can take a ring, largest message
 *     listener: ANSWER lower version, 1: a ring, 0: the socket, smaller message
 *               if a ring: the segment (ipc_shm_send), the bells' descriptors (ipc_notify_send_fd)
 *     other: CHOICE 1: in the ring from now on; 0: could not take it
 */
struct ipc_channel_hello_ {
    uint64_t magic;
    uint32_t version;
    uint32_t ring;
    uint64_t max;
};

#define IPC_CHANNEL_MAGIC_ UINT64_C(0x316f7475615f6369) /* "ic_auto1" */
#define IPC_CHANNEL_HELLO_NS_ INT64_C(100000000) /* ns that one who says nothing has to himself */
#define IPC_CHANNEL_VERSION_ 1u

IPC_INLINE int ipc_channel_send_hello_(struct ipc_channel *ch, uint32_t ring)
{
    struct ipc_channel_hello_ hello;

    memset(&hello, 0, sizeof hello);
    hello.magic = IPC_CHANNEL_MAGIC_;
    hello.version = IPC_CHANNEL_VERSION_;
    hello.ring = ring;
    hello.max = ch->max;
    /* The socket is empty: there is room, or something is wrong. */
    return send(ch->out, &hello, sizeof hello, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof hello
               ? 0
               : -EPIPE;
}

/* Waits for more of an offer, which a client makes as soon as it has connected: one who does not is
 * left for the next one that waits. */
IPC_INLINE int ipc_channel_wait_for_hello_(struct ipc_channel *ch, int64_t deadline)
{
    int64_t until = ch->came_at + IPC_CHANNEL_HELLO_NS_;
    struct pollfd p[2];
    int rc, over;

    p[0].fd = ch->in;
    p[0].events = p[1].events = POLLIN;
    do {
        over = ipc_left_(until) == 0;
        p[1].fd = over ? ch->listener : -1;
        p[1].revents = 0;
        rc = ipc_channel_poll_(p, 2, over || deadline < until ? deadline : until);
    } while (rc == -ETIMEDOUT && !over && ipc_left_(deadline) > 0);
    return rc == 0 && p[0].revents == 0 ? -EPIPE : rc;
}

/* What the other says, in which `ring` may be at most so much; no byte behind it is read. */
IPC_INLINE int ipc_channel_recv_hello_(struct ipc_channel *ch, uint32_t most, uint32_t *ring,
                                       int64_t deadline)
{
    struct ipc_channel_hello_ hello;
    struct iovec io;
    int64_t rc;

    while (ch->rx.end < sizeof hello) {
        io.iov_base = ch->rx.data + ch->rx.end;
        io.iov_len = sizeof hello - ch->rx.end;
        rc = ch->listener >= 0 && ch->step == 0 ? ipc_channel_wait_for_hello_(ch, deadline) : 0;
        rc = rc == 0 ? ipc_channel_read_some_(ch, &io, 1, deadline) : rc;
        if (rc < 0)
            return (int)rc;
        ch->rx.end += (size_t)rc;
    }
    memcpy(&hello, ch->rx.data, sizeof hello);
    ch->rx.end = 0;
    if (hello.magic != IPC_CHANNEL_MAGIC_ || hello.version == 0 || hello.ring > most ||
        hello.max == 0 || hello.max > UINT32_MAX / 2)
        return -EBADMSG;
    ch->max = hello.max < ch->max ? (size_t)hello.max : ch->max;
    *ring = hello.ring;
    return 0;
}

/* A sealed segment with our ends of the rings, or none. */
IPC_INLINE int ipc_channel_make_offer_(struct ipc_channel *ch)
{
    size_t max = ch->max;
    int rc = ipc_channel_ring_new_(ch);

    rc = rc == 0 ? ipc_shm_create(&ch->ring->seg, NULL, ipc_channel_ring_size_(ch)) : rc;
    rc = rc == 0 ? ipc_channel_ring_attach_(ch, 1) : rc;
    ch->max = max;
    if (rc == 0 && (((ch->role & IPC_RECV) != 0 && ipc_notify_fd(&ch->ring->data) < 0) ||
                    ((ch->role & IPC_SEND) != 0 && ipc_notify_fd(&ch->ring->out_data) < 0)))
        rc = -EMFILE;
    if (rc != 0)
        ipc_channel_ring_leave_(ch);
    return rc;
}

/* The listener's side. 0: agreed. */
IPC_INLINE int ipc_channel_answer_offer_(struct ipc_channel *ch, int64_t deadline)
{
    uint32_t ring = 0;
    int rc;

    if (ch->step == 0) {
        rc = ipc_channel_recv_hello_(ch, 1, &ring, deadline);
        if (rc != 0)
            return rc;
        ring = ring != 0 && ipc_channel_make_offer_(ch) == 0;
        rc = ipc_channel_send_hello_(ch, ring);
        if (rc == 0 && ring != 0)
            rc = ipc_shm_send(&ch->ring->seg, ch->out);
        if (rc == 0 && ring != 0 && (ch->role & IPC_RECV) != 0)
            rc = ipc_notify_send_fd(&ch->ring->data, ch->out);
        if (rc == 0 && ring != 0 && (ch->role & IPC_SEND) != 0)
            rc = ipc_notify_send_fd(&ch->ring->out_data, ch->out);
        if (rc != 0)
            return -EPIPE;
        ch->step = 1;
    }
    rc = ipc_channel_recv_hello_(ch, ch->ring != NULL, &ring, deadline);
    if (rc == 0 && ring == 0)
        ipc_channel_ring_leave_(ch);
    return rc;
}

/* The other's side. Steps are gone on with where a deadline has cut them off. */
IPC_INLINE int ipc_channel_take_answer_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_ring_ *r;
    uint32_t ring = 0;
    size_t max;
    int rc = 0, fd;

    if (ch->step == 0 && (rc = ipc_channel_send_hello_(ch, 1)) == 0)
        ch->step = 1;
    if (ch->step == 1 && rc == 0 && (rc = ipc_channel_recv_hello_(ch, 1, &ring, deadline)) == 0) {
        if (ring == 0)
            return ipc_channel_send_hello_(ch, 0);
        rc = ipc_channel_ring_new_(ch);
        ch->step = 2;
    }
    r = ch->ring;
    if (ch->step == 2 && rc == 0) {
        rc = ipc_shm_recv(&r->seg, ch->in, deadline);
        if (rc == -ETIMEDOUT || rc == -EPIPE)
            return rc;
        r->seg.deadline = IPC_NOW; /* it is whole */
        max = ch->max;
        r->unable = rc != 0 || ipc_channel_ring_attach_(ch, 0) != 0;
        ch->max = max;
        rc = 0;
        ch->step = 3;
    }
    /* They come in any case. */
    for (; rc == 0 && ch->step < 5; ch->step += rc == 0) {
        struct ipc_notify none, *bell = ch->step == 3 ? &r->out_data : &r->data;

        if ((ch->role & (ch->step == 3 ? IPC_SEND : IPC_RECV)) == 0)
            continue;
        if (!r->unable) {
            rc = ipc_notify_recv_fd(bell, ch->in, deadline);
            if (rc != -ETIMEDOUT && rc != -EINTR && rc != -EPIPE && rc != 0)
                rc = -EBADMSG;
            continue;
        }
        /* With a bell of nobody's: the descriptor is closed with it. */
        (void)ipc_notify_init(&r->spare, sizeof r->spare, IPC_NOTIFY_EVENTFD);
        (void)ipc_notify_attach(&none, &r->spare, sizeof r->spare, IPC_NOTIFY_EVENTFD, NULL);
        rc = ipc_notify_recv_fd(&none, ch->in, deadline);
        ipc_notify_detach(&none);
    }
    if (rc != 0)
        return rc;
    fd = r->unable;
    if (fd)
        ipc_channel_ring_leave_(ch);
    return ipc_channel_send_hello_(ch, !fd);
}

/* Somebody is there, and it is agreed where to go on. */
IPC_INLINE int ipc_channel_auto_meet_(struct ipc_channel *ch, int64_t deadline)
{
    int rc = 0;

    do {
        if (ch->in < 0) {
            ipc_channel_ring_leave_(ch);
            ch->step = 0;
            ch->max = ch->how.max;
            rc = (ch->state & IPC_CHANNEL_ACCEPTED_) != 0 ? -EPIPE
                                                          : ipc_channel_socket_meet_(ch, deadline);
            ch->came_at = ipc_clock();
        }
        if (rc != 0 || ch->step == IPC_CHANNEL_AGREED_)
            return rc;
        rc = ch->server ? ipc_channel_answer_offer_(ch, deadline)
                        : ipc_channel_take_answer_(ch, deadline);
        if (rc == 0)
            ch->step = IPC_CHANNEL_AGREED_;
        if (rc == 0 || rc == -ETIMEDOUT || rc == -EINTR)
            return rc;
        ipc_channel_ring_leave_(ch);
        (void)ipc_channel_lose_peer_(ch, rc == -EOWNERDEAD ? -EPIPE : rc);
        /* A listener goes on with the next one, as if this one had not come. */
    } while (ch->listener >= 0 && ipc_left_(deadline) > 0);
    return ch->listener >= 0 ? -ETIMEDOUT : rc == -EOWNERDEAD ? -EPIPE : rc;
}

IPC_INLINE int ipc_channel_auto_open_(struct ipc_channel *ch, int64_t deadline)
{
    char *name;
    int rc;

    /* A name without a folder is in the abstract namespace. */
    if (strchr(ch->address, '/') == NULL && ch->address[0] != '@') {
        name = (char *)malloc(strlen(ch->address) + 11);
        if (name == NULL)
            return -ENOMEM;
        (void)sprintf(name, "@ipc-auto-%s", ch->address);
        free(ch->address);
        ch->address = name;
    }
    /* As large as over a ring, also where it becomes none. */
    ch->how.max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_RING_;
    ch->max = ch->how.max;
    ch->server = (ch->role & IPC_LISTEN) != 0;
    rc = ipc_channel_socket_open_(ch, deadline);
    if (rc == 0 && !ch->server) /* if it fails, the first call says why */
        ch->step = ipc_channel_send_hello_(ch, 1) == 0;
    return rc;
}

/* A name without a folder has no file. */
IPC_INLINE int ipc_channel_auto_unlink_(struct ipc_channel *ch)
{
    return strchr(ch->address, '/') == NULL ? -EOPNOTSUPP : ipc_channel_socket_unlink_(ch);
}

/* A killed one is told as one that has closed: a socket could not tell, and it is to be the same.
 */
IPC_INLINE int ipc_channel_auto_end_(struct ipc_channel *ch, int rc)
{
    if (rc == -EPIPE || rc == -EOWNERDEAD || rc == -EBADMSG) {
        ipc_channel_ring_leave_(ch);
        return ipc_channel_lose_peer_(ch, rc == -EOWNERDEAD ? -EPIPE : rc);
    }
    return rc;
}

IPC_INLINE int ipc_channel_auto_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    int rc;

    if (CK_CC_UNLIKELY(ch->step != IPC_CHANNEL_AGREED_ || ch->in < 0)) {
        rc = ipc_channel_auto_meet_(ch, deadline);
        if (rc != 0)
            return rc;
        if (n > ch->max) /* what the other can take */
            return ipc_channel_refuse_(ch, -EMSGSIZE, "auto: a message of %zu bytes: at most %zu",
                                       n, ch->max);
    }
    if (CK_CC_UNLIKELY(ch->ring == NULL))
        return ipc_channel_stream_send_(ch, message, n, deadline);
    rc = ipc_channel_ring_send_(ch, message, n, deadline);
    /* What the other had sent before is still there to be received. */
    if (CK_CC_UNLIKELY(rc == -EPIPE || rc == -EOWNERDEAD) && (ch->role & IPC_RECV) == 0)
        return ipc_channel_auto_end_(ch, rc);
    return rc == -EOWNERDEAD ? -EPIPE : rc;
}

/* Nothing is in the ring: says -ETIMEDOUT, and sees to it that the descriptor of ipc_channel_fd
 * tells of what comes from now on, or that the other side's end is told. */
IPC_INLINE int64_t ipc_channel_auto_arm_(struct ipc_channel *ch, void *to, size_t size)
{
    struct ipc_channel_ring_ *r = ch->ring;
    char byte;
    int gone;
    int64_t rc;

    ipc_notify_drain(&r->data);
    ipc_notify_arm(&r->data);
    gone = recv(ch->in, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    rc = ipc_channel_ring_recv_(ch, to, size, IPC_NOW);
    return rc == -ETIMEDOUT && gone ? -EPIPE : rc;
}

IPC_INLINE int64_t ipc_channel_auto_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    int64_t rc;

    if (CK_CC_UNLIKELY(ch->step != IPC_CHANNEL_AGREED_ || ch->in < 0) &&
        (rc = ipc_channel_auto_meet_(ch, deadline)) != 0)
        return rc;
    if (CK_CC_UNLIKELY(ch->ring == NULL)) {
        rc = ipc_channel_stream_recv_(ch, to, size, deadline);
        return rc == -EOWNERDEAD ? ipc_channel_auto_end_(ch, -EPIPE) : rc;
    }
    rc = ipc_channel_ring_recv_(ch, to, size, deadline);
    if (CK_CC_LIKELY(rc >= 0))
        return rc;
    if (rc == -ETIMEDOUT && ch->ring->polls >= 0 && deadline == IPC_NOW)
        rc = ipc_channel_auto_arm_(ch, to, size);
    return rc < 0 ? ipc_channel_auto_end_(ch, (int)rc) : rc;
}

/* Readable when the bell has rung, or the other side is gone. */
IPC_INLINE int ipc_channel_auto_fd_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct epoll_event e;
    int bell = ipc_notify_fd(&r->data);

    if (bell < 0)
        return ch->in; /* who only sends */
    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    if (r->polls < 0 && (r->polls = epoll_create1(EPOLL_CLOEXEC)) >= 0 &&
        (epoll_ctl(r->polls, EPOLL_CTL_ADD, bell, &e) != 0 ||
         epoll_ctl(r->polls, EPOLL_CTL_ADD, ch->in, &e) != 0))
        ipc_channel_close_fd_(&r->polls);
    return r->polls >= 0 ? r->polls : -errno;
}

#endif
