/*
 * Publishing: one process sends, and each of several subscribers gets every message.
 *
 *     how.publish = IPC_LOSSY;                                     // the publisher
 *     ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, deadline, &how);
 *
 *     ipc_channel_open(&ch, uri, IPC_RECV, deadline);              // each subscriber
 *
 * A subscriber needs no option: it finds out. It gets what is sent after it has subscribed.
 *
 *               subscribers       IPC_LOSSLESS            IPC_LOSSY
 *     ring:     64, or receivers  waits for the slowest   waits for none; losses are counted
 *     auto:     64, or receivers  waits for the slowest   waits for none; losses are counted
 *     udp:      any number        refused                 a multicast group: see >>multicast
 *     file:     any number        nothing is lost, and nobody is waited for: see >>log
 *     others    refused           refused                 refused
 *
 * ring: and auto: publish over a broadcast of records, one for all subscribers: a message is copied
 * in once. Over auto: the publisher hands its segment to each subscriber that connects, so no
 * message goes over a socket. It does so in ipc_channel_send and ipc_channel_flush, which look for
 * subscribers once in 4 ms at most: one that connects waits in its first recv until then. Where a
 * subscriber cannot take the segment, its recv is refused.
 *
 *   Begin     IPC_LOSSLESS: `clients` of ipc_channel_info tells how many have subscribed. To wait for
 *             them before the first message, call ipc_channel_flush and look there, once a millisecond.
 *             Flush also takes off those that were killed. Over file: it is always 0.
 *   Late      A subscriber sees nothing that was sent before it subscribed: in open over ring:, in
 *             its first recv over auto:.
 *   Slow      IPC_LOSSLESS: a send that finds no room waits until the slowest subscriber has read,
 *             left or died: -ETIMEDOUT at the deadline, and nothing was sent to anyone. IPC_LOSSY:
 *             recv says -EOVERFLOW once for each time that the subscriber was lapped; `missed` of
 *             ipc_channel_info counts the messages. The next call goes on with the oldest that is
 *             whole, or, if it was lapped again before it had caught up, with a new one.
 *   Stopped   As slow: IPC_LOSSLESS waits, IPC_LOSSY goes on.
 *   Killed    The publisher goes on without it. No call reports subscribers that come and go, and a
 *             send without subscribers is lost.
 *   Publisher When it leaves, each subscriber is told once, after all that was sent: -EPIPE; or
 *             -EOWNERDEAD if it was killed, over auto: -EPIPE then, too. The next recv waits for a
 *             successor: over ring: it goes on in the same ring, and the subscriber misses nothing
 *             of it; over auto: it subscribes anew, and `missed` begins at 0.
 *   Access    As of ring: and auto:. ring: IPC_LOSSY: a subscriber that may only read the segment,
 *             by options.mode of 0640 or 0644, subscribes all the same, in any number, and can
 *             disturb nobody. It looks for messages once a millisecond while it waits; its
 *             options.user names the publisher's user, if that is neither its own nor root, and
 *             options.mode what the publisher permits.
 */
#ifndef IPC_SRC_CHANNEL_PUBLISH_H
#define IPC_SRC_CHANNEL_PUBLISH_H 1

#include "auto.h"

/* ------------------------------------------------------------------ the broadcast */

/* Checks that options and role are those of a publisher. */
IPC_INLINE int ipc_channel_check_publisher_(struct ipc_channel *ch)
{
    const struct ipc_channel_options *how = &ch->how;

    if (how->publish > IPC_LOSSY)
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "options.publish %u is neither IPC_LOSSLESS nor IPC_LOSSY",
                                   how->publish);
    if (ch->role != (IPC_SEND | IPC_LISTEN))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "%s: a publisher is opened with IPC_SEND | IPC_LISTEN; a "
                                   "subscriber with IPC_RECV, and without options.publish",
                                   ch->kind->scheme);
    if (how->senders > 1)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: one process publishes, not %u",
                                   ch->kind->scheme, how->senders);
    if (how->receivers > 65535)
        return ipc_channel_refuse_(ch, -EINVAL, "%u subscribers: 1 to 65535", how->receivers);
    return 0;
}

IPC_INLINE unsigned ipc_channel_subscribers_(const struct ipc_channel *ch)
{
    return ch->how.receivers != 0 ? ch->how.receivers : IPC_BROADCAST_SEATS;
}

/* How the broadcast is made. */
IPC_INLINE unsigned ipc_channel_broadcast_how_(const struct ipc_channel *ch)
{
    return ch->how.publish == IPC_LOSSY
               ? IPC_BROADCAST_LOSSY
               : IPC_BROADCAST_LOSSLESS | IPC_BROADCAST_READERS(ipc_channel_subscribers_(ch));
}

IPC_INLINE size_t ipc_channel_broadcast_bytes_(const struct ipc_channel *ch)
{
    return ipc_record_broadcast_footprint(ipc_channel_lane_(ch->max),
                                          ipc_channel_broadcast_how_(ch));
}

IPC_INLINE int ipc_channel_broadcast_init_(const struct ipc_channel *ch,
                                           const struct ipc_shm_object *o)
{
    return ipc_record_broadcast_init(o->mem, o->size, ipc_channel_lane_(ch->max),
                                     ipc_channel_broadcast_how_(ch));
}

/* Is the ring from the listener one that it publishes? Its name is that of any ring from there, so
 * that a receiver waits for one name only. */
IPC_INLINE int ipc_channel_is_published_(struct ipc_channel *ch, struct ipc_shm_object *o)
{
    struct ipc_shm *seg = &ch->ring->seg;

    return !ipc_channel_is_shared_(ch) &&
           ipc_shm_find(seg, "from", IPC_RECORD_TYPE, o) == -EPROTO &&
           ipc_shm_find(seg, "from", IPC_RECORD_BROADCAST_TYPE, o) == 0;
}

/* Does the listener publish, and wait for no subscriber? */
IPC_INLINE int ipc_channel_is_lossy_(struct ipc_channel *ch)
{
    struct ipc_shm_object o;

    return ipc_channel_is_published_(ch, &o) && o.size >= sizeof(struct ipc_broadcast_shared) &&
           (ck_pr_load_32(&((struct ipc_broadcast_shared *)o.mem)->s.is.how) & 255) != 0;
}

IPC_INLINE int ipc_channel_refuse_broadcast_(struct ipc_channel *ch, int rc)
{
    return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address,
                               ipc_shm_why(&ch->ring->seg));
}

/* Makes the broadcast, or goes on in that of a predecessor, and attaches the publisher. */
IPC_INLINE int ipc_channel_attach_publisher_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_record_broadcast_producer *p = &r->publisher;
    struct ipc_peer *me = ipc_shm_peer(&r->seg);
    unsigned how = ipc_channel_broadcast_how_(ch);
    struct ipc_shm_object o;
    int rc = ipc_channel_find_ring_(ch, "from", 1, &o);

    if (rc == 0)
        rc = ipc_record_broadcast_producer_attach(p, o.mem, o.size, me);
    if (rc == 0 && ck_pr_load_32(&p->ring->c.s.is.how) != how)
        rc = ipc_shm_refuse(&r->seg, -EPROTO, "what is there is published in another way, or to "
                            "another number of subscribers; if it is to go: ipc_channel_unlink");
    if (rc == 0)
        rc = ipc_notify_attach_both_(&r->out_data, p->ring->c.s.data_bell, &r->out_space,
                                     p->ring->c.s.space_bell, IPC_NOTIFY_FUTEX, me);
    if (rc != 0) {
        ipc_record_broadcast_producer_detach(p);
        return ipc_channel_refuse_broadcast_(ch, rc);
    }
    r->out_space.looks_each_second = 1;
    /* Any subscriber that dies may be the one that is waited for. */
    ipc_notify_watch_anyone(&r->out_space);
    ch->max = ipc_record_broadcast_most(p);
    (void)ipc_notify_post(&r->out_data); /* a sleeper there watches us from now on */
    return 0;
}

IPC_INLINE int ipc_channel_attach_subscriber_(struct ipc_channel *ch,
                                              const struct ipc_shm_object *o)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_record_broadcast_consumer *c = &r->subscriber;
    struct ipc_peer *me = ipc_shm_peer(&r->seg);
    int rc, tries = 0;

    do /* a publisher may be so fast that it laps us while we attach */
        rc = ipc_record_broadcast_consumer_attach(c, o->mem, o->size, me);
    while (rc == -EAGAIN && ++tries < 100);
    if (rc == 0)
        rc = ipc_notify_attach_both_(&r->data, c->ring->c.s.data_bell, &r->space,
                                     c->ring->c.s.space_bell, IPC_NOTIFY_FUTEX, me);
    if (rc != 0) {
        ipc_record_broadcast_consumer_detach(c);
        return ipc_channel_refuse_broadcast_(ch, rc);
    }
    r->data.looks_each_second = 1;
    r->writer = ipc_notify_first_seen_(&r->data, &c->ring->c.s.end[0]);
    ch->max = (size_t)(c->r.mask + 1) / 2 - 8;
    (void)ipc_notify_post(&r->space);
    return 0;
}

/* ------------------------------------------------------------------ sending and receiving */

IPC_INLINE int ipc_channel_try_publish_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;
    struct ipc_channel_ring_ *r = t->ch->ring;

    (void)argument;
    if (ipc_notify_anyone_died(&r->out_space))
        ipc_broadcast_ask_(&r->publisher.readers);
    t->rc = ipc_record_broadcast_push(&r->publisher, t->from, t->n);
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_published_send_(struct ipc_channel *ch, const void *message, size_t n,
                                           int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, message, NULL, n, 0, 0};
    uint64_t nobody = 0;

    t.rc = ipc_record_broadcast_push(&r->publisher, message, n);
    if (t.rc == -EAGAIN)
        ipc_channel_try_until_(&t, &r->out_space, &nobody, &r->reader, deadline,
                               ipc_channel_try_publish_);
    if (t.rc != 0)
        return ipc_channel_report_ring_end_(ch, (int)t.rc);
    if (CK_CC_UNLIKELY(ipc_notify_heeds_(r->publisher.ring->c.s.data_bell)))
        (void)ipc_notify_post(&r->out_data);
    return 0;
}

/* Takes a message. -EMSGSIZE: its length is in `next`. */
IPC_INLINE int ipc_channel_try_subscribed_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;
    struct ipc_record_broadcast_consumer *c = &t->ch->ring->subscriber;
    int rc;

    (void)argument;
    t->rc = ipc_record_broadcast_take_(c, t->to, t->n, &t->published);
    if (t->rc != -EMSGSIZE)
        return t->rc != -EAGAIN;
    rc = ipc_record_broadcast_look_(c, &t->ch->next);
    if (rc == 0 && c->how == IPC_BROADCAST_LOSSY)
        rc = ipc_record_broadcast_revalidate_(c); /* the publisher may have overwritten it */
    t->rc = rc != 0 ? rc : -EMSGSIZE;
    return t->rc != -EAGAIN;
}

/* The publisher is gone, and the next one is there already: takes what is left, or reports it. How it
 * ended is not known any more. */
IPC_INLINE void ipc_channel_try_rest_of_news_(struct ipc_channel_try_ *t)
{
    struct ipc_channel_ring_ *r = t->ch->ring;

    ck_pr_fence_load(); /* as in ipc_channel_try_rest_ */
    if (ipc_channel_try_subscribed_(t, NULL))
        return;
    t->rc = -EPIPE;
    r->writer = 0;
}

IPC_INLINE int64_t ipc_channel_published_recv_(struct ipc_channel *ch, void *to, size_t size,
                                               int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_record_broadcast_consumer *c = &r->subscriber;
    struct ipc_channel_try_ t = {ch, NULL, to, size, 0, 0};
    uint64_t holder;

    if (!ipc_channel_try_subscribed_(&t, NULL)) {
        /* What was taken is published by now, and the publisher may wait for that room. */
        c->r.post_due = 0;
        (void)ipc_notify_post(&r->space);
        holder = ck_pr_load_64(&c->ring->c.s.end[0]);
        if (holder != 0 && ipc_channel_has_left_(ch, r->writer, holder))
            ipc_channel_try_rest_of_news_(&t);
        else
            ipc_channel_try_until_(&t, &r->data, &c->ring->c.s.end[0], &r->writer, deadline,
                                   ipc_channel_try_subscribed_);
    }
    if (c->r.post_due) {
        c->r.post_due = 0;
        (void)ipc_notify_post(&r->space);
    }
    if (t.rc >= 0) {
        r->writer |= r->writer == 0; /* a publisher was there, its id is not known */
        ch->next = 0;
    }
    ch->quick_in = c->how == IPC_BROADCAST_LOSSLESS && r->writer != 0 && t.rc != -EMSGSIZE ? &c->r
                                                                                           : NULL;
    if (t.rc == -EMSGSIZE)
        return ipc_channel_refuse_size_(ch, ch->next, size);
    if (t.rc == -EOVERFLOW)
        return ipc_channel_refuse_(ch, -EOVERFLOW, "%s:%s: %llu messages were missed so far",
                                   ch->kind->scheme, ch->address, (unsigned long long)c->missed);
    return t.rc >= 0 ? t.rc : ipc_channel_report_ring_end_(ch, (int)t.rc);
}

/* Has recv something to tell the subscriber? A loss that the look finds is kept for recv. */
IPC_INLINE int ipc_channel_has_news_(struct ipc_channel_ring_ *r)
{
    struct ipc_record_broadcast_consumer *c = &r->subscriber;
    size_t n;
    int rc = c->loss_pending ? -EOVERFLOW : ipc_record_broadcast_look_(c, &n);

    if (rc == -EOVERFLOW)
        c->loss_pending = 1;
    return rc != -EAGAIN || (r->writer != 0 && ck_pr_load_64(&c->ring->c.s.end[0]) == 0);
}

/* ------------------------------------------------------------------ auto: */

struct ipc_channel_auto_publisher_ {
    struct ipc_channel_auto_ is; /* first: the functions of auto: find it there */
    time_t second;               /* when it last looked for subscribers, by a clock of some 4 ms */
    long nanosecond;
};

#define IPC_CHANNEL_ADMITS_ 64u /* subscribers that one send takes in */

#ifndef CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_COARSE 6 /* costs a few nanoseconds, and no system call */
#endif

/* Takes in the subscriber that has connected first: it gets the segment, and the connection ends,
 * as the broadcast tells both sides what they need to know. 0; -ETIMEDOUT or -EINTR: no one has
 * connected, or its offer has not come yet: such a one is left after 100 ms if others wait. */
IPC_INLINE int ipc_channel_admit_subscriber_(struct ipc_channel *ch)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    size_t max = ch->max;
    uint32_t ring = 0;
    int rc;

    if (ch->in < 0) {
        rc = ipc_channel_accept_next_(&own->socket, ch, IPC_NOW);
        if (rc != 0)
            return rc;
        own->socket.came_at = ipc_clock();
    }
    rc = ipc_channel_recv_hello_(ch, 1, &ring, IPC_NOW);
    ch->max = max; /* one subscriber's maximum is not that of the others */
    if (rc == -ETIMEDOUT || rc == -EINTR)
        return rc;
    if (rc == -EPROTO) /* the answer has our roles, so the client learns why */
        (void)ipc_channel_send_hello_(ch, 0);
    else if (rc == 0 && ipc_channel_send_hello_(ch, IPC_CHANNEL_PUBLISHED_) == 0)
        (void)ipc_shm_send(&ch->ring->seg, ch->out);
    ipc_channel_leave_peer_(ch);
    return 0;
}

/* Looks for subscribers if the clock has moved on since the last time. */
IPC_INLINE void ipc_channel_admit_subscribers_(struct ipc_channel *ch)
{
    struct ipc_channel_auto_publisher_ *own = (struct ipc_channel_auto_publisher_ *)ch->state;
    struct timespec now = {0, 0};
    unsigned i;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (CK_CC_LIKELY(now.tv_nsec == own->nanosecond && now.tv_sec == own->second))
        return;
    own->second = now.tv_sec;
    own->nanosecond = now.tv_nsec;
    for (i = 0; i < IPC_CHANNEL_ADMITS_ && ipc_channel_admit_subscriber_(ch) == 0; i++)
        ;
}

IPC_INLINE int ipc_channel_auto_publisher_send_(struct ipc_channel *ch, const void *message,
                                                size_t n, int64_t deadline)
{
    ipc_channel_admit_subscribers_(ch);
    return ipc_channel_published_send_(ch, message, n, deadline);
}

IPC_INLINE void ipc_channel_auto_publisher_describe_(const struct ipc_channel *ch,
                                                     struct ipc_channel_facts *info)
{
    (void)ch;
    info->mechanism = "ring";
}

/* What a listener of auto: becomes that publishes. */
static const struct ipc_channel_kind_ ipc_channel_auto_publisher_kind_ = {
    "auto",
    IPC_CHANNEL_NO_FD_ | IPC_CHANNEL_BELL_FD_ | IPC_CHANNEL_PUBLISHES_ | IPC_CHANNEL_GROUPS_,
    sizeof(struct ipc_channel_auto_publisher_),
    AF_UNIX,
    SOCK_STREAM,
    NULL, /* open: as auto: */
    ipc_channel_auto_close_,
    NULL, /* unlink: by the URI */
    ipc_channel_auto_publisher_send_,
    NULL, /* recv */
    NULL, /* meet: subscribers are taken in by send */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    ipc_channel_auto_publisher_describe_,
    NULL, /* is_ready */
    NULL, /* serve */
};

/* A listener that publishes: makes the segment. No predecessor has left one, as it has no
 * name. */
IPC_INLINE int ipc_channel_auto_publish_(struct ipc_channel *ch)
{
    void *own = realloc(ch->state, sizeof(struct ipc_channel_auto_publisher_));
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    int rc;

    if (own == NULL)
        return -ENOMEM;
    ch->state = own;
    ((struct ipc_channel_auto_publisher_ *)own)->second = -1;
    ch->kind = &ipc_channel_auto_publisher_kind_;
    rc = ipc_channel_ring_new_(ch);
    if (rc != 0)
        return rc;
    how.members = ipc_channel_subscribers_(ch) + 1;
    rc = ipc_shm_create_with(&ch->ring->seg, NULL, ipc_channel_ring_size_(ch), &how);
    if (rc != 0)
        return ipc_channel_refuse_broadcast_(ch, rc);
    return ipc_channel_ring_attach_(ch, 1);
}

#endif
