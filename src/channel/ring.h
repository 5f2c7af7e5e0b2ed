/*
 * ring:NAME, rings of ipc_ring.h in the segment NAME of ipc_shm.h.
 *
 * The listener makes the segment, and in it a ring of records for each direction that it uses: "to"
 * for what it receives, "from" for what it sends. options.senders processes may send to the
 * listener at a time. With options.receivers above 1 there is one ring of slots, "shared", MPMC or
 * SPMC, each slot for the largest message: of its receivers, one gets each message. The other side
 * waits for the listener.
 *
 *   Access   Each process that the segment's mode permits. The segment of a user other than this
 *            one, root and options.user is refused.
 *   Answers  In both directions, what a listener sends is for the client that the last message came
 *            from. It is refused if that client is gone, and no later client ever reads it. A client
 *            that comes later reads what was sent to it alone. If a client leaves and the next one
 *            sends before the listener has taken all, it may receive from that one before it is told
 *            of the loss; a server is not.
 *   Loss     -EPIPE if the other side left, -EOWNERDEAD if it was killed. The end of one of several
 *            senders, or receivers, is not reported. A ring keeps what was sent, for the next
 *            receiver, which may see again what a killed one had: an eighth of the ring at most. So
 *            a send that reports a loss has sent nothing, but what was sent before is not lost.
 *   Polling  ipc_channel_fd has a descriptor, for receiving, that also tells of the loss. A sender
 *            makes a system call only for a receiver that polls or sleeps. See ring_poll.h.
 *   Limits   Messages of 1 MiB unless asked for; 64 KiB over a ring for several senders, receivers,
 *            clients or subscribers. 4 MiB of memory for each direction that the listener uses, or
 *            256 KiB. If its next listener uses other directions, it begins with empty rings. No
 *            descriptor to poll for room.
 *
 * A listener may also publish what it sends to several receivers: see publish.h.
 *
 * This room also has what sysvshm: and auto: do with their rings.
 */
#ifndef IPC_SRC_CHANNEL_RING_H
#define IPC_SRC_CHANNEL_RING_H 1

#include "wait.h"

/* ------------------------------------------------------------------ the ends of rings */

/* Of ring_poll.h: the descriptors of an event loop; -1: nobody has asked for them. */
struct ipc_channel_polls_ {
    int set, events, timer; /* the first has the others */
    struct ipc_last_ last;  /* has `events`, too */
    unsigned asks;          /* how often the timer is to end polls, to ask for deaths */
};

/* Our ends of one or two rings: `out` or `put` to send to, `in` or `take` to receive from. */
struct ipc_channel_ring_ {
    struct ipc_shm seg; /* ring:, auto: the segment that they are in */
    struct ipc_record_producer out;
    struct ipc_record_consumer in;
    struct ipc_mpmc_producer put;  /* in place of out, of a ring that several receive from */
    struct ipc_mpmc_consumer take; /* in place of in, of a ring that several receive from */
    struct ipc_record_broadcast_producer publisher;  /* in place of out: see publish.h */
    struct ipc_record_broadcast_consumer subscriber; /* in place of in */
    struct ipc_notify data, space; /* bells of in, take: to sleep on, to post */
    struct ipc_notify out_data, out_space; /* bells of out, put: to post, to sleep on */
    int one_sender;          /* in, take: one process sends, and its end is told */
    uint64_t reader, writer; /* the processes last seen at the other ends: see core.h */
    uint64_t left[2];        /* how often their ends had been left, when that was last looked at */
    int64_t asked_at[2];     /* when the kernel was asked last whether writer, reader lives */
    int32_t trust;           /* how many messages are sent until reader is looked at again */
    struct ipc_channel_polls_ polls;
    int talks;               /* a listener in both directions: see ring_talk.h */
    int has_asker;           /* talks: a message came since the last loss was reported */
    uint64_t sender;         /* talks: which process sent when that was last looked at */
    uint64_t addressed;      /* talks: the id of the last term of out */
    uint64_t next_from;      /* talks: where the first answer to the next client begins */
    int awaits;              /* a client: no term is for it yet */
    struct ipc_shm_object answers; /* a client of a server: the rings of answers; else no memory */
    int rejoins;                   /* the same: it was told of the loss, and begins anew */
    uint64_t *misfit; /* not 0: a process came whose role does not fit; NULL: each fits, or auto: */
};

/* Of ring_poll.h. */
IPC_INLINE void ipc_channel_close_polls_(struct ipc_channel_polls_ *p);
IPC_INLINE int ipc_channel_ring_descriptor_(struct ipc_channel *ch);
IPC_INLINE int64_t ipc_channel_polled_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline);
IPC_INLINE int ipc_channel_ring_is_ready_(struct ipc_channel *ch);

/* Of ring_talk.h. */
IPC_INLINE void ipc_channel_begin_talk_(struct ipc_channel *ch, int listener);
IPC_INLINE int ipc_channel_address_asker_(struct ipc_channel_ring_ *r);
IPC_INLINE void ipc_channel_note_asker_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_how_ended_(struct ipc_channel_ring_ *r, uint64_t id);
IPC_INLINE uint64_t ipc_channel_find_sender_(struct ipc_channel_ring_ *r);
IPC_INLINE void ipc_channel_end_talk_(struct ipc_channel *ch, uint64_t lost);
IPC_INLINE int ipc_channel_has_answers_(struct ipc_channel_ring_ *r);
IPC_INLINE void ipc_channel_rejoin_(struct ipc_channel_ring_ *r);

/* Of ring_server.h. */
#define IPC_CHANNEL_LANES_ IPC_RECORD_PRODUCERS /* the most clients of a server */
IPC_INLINE size_t ipc_channel_answers_bytes_(const struct ipc_channel *ch);
IPC_INLINE int ipc_channel_make_answers_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_find_answers_(struct ipc_channel *ch);
IPC_INLINE struct ipc_shm_object ipc_channel_own_answers_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_serve_ring_(struct ipc_channel *ch);
IPC_INLINE void ipc_channel_ring_server_close_(struct ipc_channel *ch);
IPC_INLINE int64_t ipc_channel_ring_server_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                 int64_t deadline);
IPC_INLINE int ipc_channel_ring_server_send_to_(struct ipc_channel *ch, uint64_t client,
                                                const void *message, size_t n, int64_t deadline);
IPC_INLINE int ipc_channel_ring_server_drop_(struct ipc_channel *ch, uint64_t client);
IPC_INLINE void ipc_channel_ring_server_describe_(const struct ipc_channel *ch,
                                                  struct ipc_channel_facts *info);
IPC_INLINE int ipc_channel_ring_server_is_ready_(struct ipc_channel *ch);

/* Of publish.h. */
IPC_INLINE unsigned ipc_channel_subscribers_(const struct ipc_channel *ch);
IPC_INLINE size_t ipc_channel_broadcast_bytes_(const struct ipc_channel *ch);
IPC_INLINE int ipc_channel_broadcast_init_(const struct ipc_channel *ch,
                                           const struct ipc_shm_object *o);
IPC_INLINE int ipc_channel_attach_publisher_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_is_published_(struct ipc_channel *ch, struct ipc_shm_object *o);
IPC_INLINE int ipc_channel_is_lossy_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_has_news_(struct ipc_channel_ring_ *r);
IPC_INLINE int ipc_channel_attach_subscriber_(struct ipc_channel *ch,
                                              const struct ipc_shm_object *o);
IPC_INLINE int ipc_channel_published_send_(struct ipc_channel *ch, const void *message, size_t n,
                                           int64_t deadline);
IPC_INLINE int64_t ipc_channel_published_recv_(struct ipc_channel *ch, void *to, size_t size,
                                               int64_t deadline);

#define IPC_CHANNEL_RING_ ((size_t)1 << 16) /* bytes of the largest message of a ring for many */

/*
 * The end of a ring tells that a process has left it, but not that it was killed. So a send looks at
 * the clock before the first message, then after one, two, four, ... messages, at last after each
 * IPC_CHANNEL_TRUST_, and asks the kernel if 8 ms are over: see ipc_channel_check_reader_.
 */
#define IPC_CHANNEL_TRUST_ 1024

/* Bytes of a ring of records whose longest record has n. */
IPC_INLINE uint64_t ipc_channel_lane_(size_t n)
{
    uint64_t capacity = 4096;

    while (capacity / 2 - 8 < n)
        capacity *= 2;
    return capacity;
}

/* Slots of a ring that several receive from: a megabyte of them, but 16 to 4096. */
IPC_INLINE uint64_t ipc_channel_slots_(size_t n)
{
    uint64_t slots = 16;

    while (slots < 4096 && slots * 2 * n <= IPC_CHANNEL_MAX_)
        slots *= 2;
    return slots;
}

/* Do several processes receive from this channel's ring? */
IPC_INLINE int ipc_channel_is_shared_(const struct ipc_channel *ch)
{
    return ch->how.receivers > 1 && ch->how.publish == 0;
}

/* How many lanes the ring to the listener has. */
IPC_INLINE unsigned ipc_channel_lanes_(const struct ipc_channel *ch)
{
    unsigned n = ch->how.clients != 0 ? ch->how.clients : ch->how.senders;

    return n != 0 ? n : 1;
}

/* Bytes of the largest message that a ring is made for. One for many, which has room for each of them,
 * is made for less, unless it is asked for. */
IPC_INLINE size_t ipc_channel_ring_max_(const struct ipc_channel *ch)
{
    if (ch->how.max != 0)
        return ch->how.max;
    return ch->how.senders > 1 || ch->how.receivers > 1 || (ch->how.clients | ch->how.publish) != 0
               ? IPC_CHANNEL_RING_
               : IPC_CHANNEL_MAX_;
}

/* Bytes of one ring. */
IPC_INLINE size_t ipc_channel_ring_bytes_(const struct ipc_channel *ch)
{
    if (ch->how.publish != 0)
        return ipc_channel_broadcast_bytes_(ch);
    if (ipc_channel_is_shared_(ch))
        return ipc_mpmc_footprint(ch->max + IPC_CHANNEL_HEADER_, ipc_channel_slots_(ch->max),
                                  IPC_MPMC_AT_LEAST_ONCE);
    return ipc_record_footprint(ipc_channel_lane_(ch->max), ipc_channel_lanes_(ch));
}

/* Bytes of a segment for the directions that the listener uses. */
IPC_INLINE size_t ipc_channel_ring_size_(const struct ipc_channel *ch)
{
    if (ch->how.clients != 0)
        return ipc_channel_ring_bytes_(ch) + ipc_channel_answers_bytes_(ch) + 3 * 4096;
    /* Of another size for each direction: what a listener of the other one has left does not fit. */
    if ((ch->role & IPC_BOTH) != IPC_BOTH)
        return ipc_channel_ring_bytes_(ch) + ((ch->role & IPC_SEND) != 0 ? 3u : 2u) * 4096;
    return 2 * (ipc_channel_ring_bytes_(ch) + 4096);
}

IPC_INLINE int ipc_channel_ring_init_(const struct ipc_channel *ch, const struct ipc_shm_object *o)
{
    unsigned senders = ipc_channel_lanes_(ch);

    if (ch->how.publish != 0)
        return ipc_channel_broadcast_init_(ch, o);
    if (!ipc_channel_is_shared_(ch))
        return ipc_record_init(o->mem, o->size, ipc_channel_lane_(ch->max), senders);
    return ipc_mpmc_init(o->mem, o->size, ch->max + IPC_CHANNEL_HEADER_,
                         ipc_channel_slots_(ch->max),
                         IPC_MPMC_AT_LEAST_ONCE | (senders > 1 ? 0 : IPC_MPMC_ONE_PRODUCER));
}

/* Makes a handle of rings, without ends. */
IPC_INLINE int ipc_channel_ring_new_(struct ipc_channel *ch)
{
    ch->ring = (struct ipc_channel_ring_ *)calloc(1, sizeof *ch->ring);
    if (ch->ring == NULL)
        return ipc_channel_refuse_(ch, -ENOMEM, "no memory");
    ch->ring->seg.fd = -1;
    ch->ring->polls.set = ch->ring->polls.events = ch->ring->polls.timer = -1;
    ch->ring->out.error = ch->ring->in.error = -EINVAL;
    return 0;
}

/* ------------------------------------------------------------------ attaching */

/* The kind of a ring's bell for data: auto: needs one that wakes event loops over its socket. A ring
 * that is published has no socket. */
IPC_INLINE unsigned ipc_channel_bell_kind_(const struct ipc_channel *ch)
{
    return (ch->kind->flags & IPC_CHANNEL_BELL_FD_) != 0 && ch->how.publish == 0
               ? IPC_NOTIFY_EVENTFD
               : IPC_NOTIFY_FUTEX;
}

/* Attaches to both bells of a ring, of the kinds that a ring of this channel is made with. A sender
 * may be killed between its push and its post: a sleeper without a deadline looks once a second. */
IPC_INLINE int ipc_channel_attach_bells_(const struct ipc_channel *ch, struct ipc_peer *me,
                                         struct ipc_notify *data, void *data_bell,
                                         struct ipc_notify *space, void *space_bell)
{
    int rc =
        ipc_notify_attach_both_(data, data_bell, space, space_bell, ipc_channel_bell_kind_(ch), me);

    if (rc == 0)
        data->looks_each_second = space->looks_each_second = 1;
    return rc;
}

/* The type of the object that a ring is. */
IPC_INLINE uint32_t ipc_channel_ring_type_(const struct ipc_channel *ch)
{
    if (ch->how.publish != 0)
        return IPC_RECORD_BROADCAST_TYPE;
    return ipc_channel_is_shared_(ch) ? IPC_MPMC_TYPE : IPC_RECORD_TYPE;
}

/* ------------------------------------------------------------------ roles */

#define IPC_CHANNEL_NO_RING_ 0x656e6f6eu /* "none": the type of what stands for a ring that is not used */

/* Does the client send only what the listener receives, and wait only for what it sends? */
IPC_INLINE int ipc_channel_ring_roles_fit_(unsigned listener, unsigned client)
{
    return ((client & IPC_SEND) == 0 || (listener & IPC_RECV) != 0) &&
           ((client & IPC_RECV) == 0 || (listener & IPC_SEND) != 0);
}

/* Has a process come whose role does not fit? That is reported once. */
IPC_INLINE int ipc_channel_has_misfit_(const struct ipc_channel_ring_ *r)
{
    return r->misfit != NULL && ck_pr_load_64(r->misfit) != 0;
}

/* A listener in one direction: puts something in the place of the other ring, which tells clients that
 * there will be none, and is where they leave word. */
IPC_INLINE void ipc_channel_mark_unused_(struct ipc_channel *ch)
{
    const char *name = (ch->role & IPC_RECV) != 0 ? "from" : "to";
    struct ipc_shm *seg = &ch->ring->seg;
    struct ipc_shm_object o;
    int rc = ipc_shm_make(seg, name, IPC_CHANNEL_NO_RING_, IPC_SHM_LINE, &o);

    if (rc == 0)
        rc = ipc_shm_publish(seg, &o);
    else if (rc == -EEXIST)
        rc = ipc_shm_find(seg, name, IPC_CHANNEL_NO_RING_, &o);
    if (rc != 0 || o.size < IPC_SHM_LINE) /* of a member that breaks the rules */
        return;
    ch->ring->misfit = (uint64_t *)o.mem;
    ck_pr_store_64(ch->ring->misfit, 0);
}

/* The other side may sleep at this ring: attaches to its bells, which are posted as we leave. */
IPC_INLINE void ipc_channel_find_sleeper_(struct ipc_channel *ch, void *ring, struct ipc_peer *me)
{
    struct ipc_spsc_shared *s = (struct ipc_spsc_shared *)ring;

    (void)ipc_channel_attach_bells_(ch, me, &ch->ring->data, s->data_bell, &ch->ring->space,
                                    s->space_bell);
}

/* The object of that name is no ring of this kind. Where the listener does not use it, tells both sides.
 * Returns -EPROTO. */
IPC_INLINE int ipc_channel_refuse_ring_(struct ipc_channel *ch, const char *name)
{
    struct ipc_shm *seg = &ch->ring->seg;
    struct ipc_shm_object o, other;

    if (ipc_shm_is_read_only_(seg) || ipc_shm_find(seg, name, IPC_CHANNEL_NO_RING_, &o) != 0 ||
        o.size < IPC_SHM_LINE)
        return -EPROTO;
    ck_pr_store_64((uint64_t *)o.mem, 1);
    if (ipc_shm_find(seg, strcmp(name, "to") == 0 ? "from" : "to", IPC_RECORD_TYPE, &other) == 0 &&
        other.size >= sizeof(struct ipc_spsc_shared))
        ipc_channel_find_sleeper_(ch, other.mem, ipc_shm_peer(seg));
    return ipc_shm_refuse(seg, -EPROTO, "%s", ipc_channel_loss_text_(-EPROTO));
}

/* Finds a ring in the segment; if `make` is set and it is not there, makes it. */
IPC_INLINE int ipc_channel_find_ring_(struct ipc_channel *ch, const char *name, int make,
                                      struct ipc_shm_object *o)
{
    struct ipc_shm *seg = &ch->ring->seg;
    uint32_t type = ipc_channel_ring_type_(ch);
    int rc = make ? ipc_shm_make(seg, name, type, ipc_channel_ring_bytes_(ch), o) : -EEXIST;

    if (rc == 0 && (rc = ipc_channel_ring_init_(ch, o)) == 0) {
        if (ipc_channel_bell_kind_(ch) != IPC_NOTIFY_FUTEX)
            (void)ipc_notify_init(((struct ipc_spsc_shared *)o->mem)->data_bell, 64,
                                  ipc_channel_bell_kind_(ch));
        rc = ipc_shm_publish(seg, o);
    }
    if (rc == -EEXIST)
        rc = ipc_shm_find(seg, name, type, o);
    return rc == -EPROTO && !make ? ipc_channel_refuse_ring_(ch, name) : rc;
}

/* Attaches our end of the ring that several receive from. Its slots have the message's length
 * before the message. The ring itself says how long that may be, and how many send. */
IPC_INLINE int ipc_channel_attach_shared_(struct ipc_channel *ch, const struct ipc_shm_object *o)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_peer *me = ipc_shm_peer(&r->seg);
    struct ipc_mpmc_shared *s = (struct ipc_mpmc_shared *)o->mem;
    int sends = (ch->role & IPC_SEND) != 0, rc = -EPROTO;
    struct ipc_notify *data = sends ? &r->out_data : &r->data;
    struct ipc_notify *space = sends ? &r->out_space : &r->space;
    uint64_t bytes = o->size < sizeof *s ? 0 : ck_pr_load_64(&s->is.bytes);
    unsigned how = bytes != 0 ? ck_pr_load_32(&s->is.how) : 0;

    if (bytes > IPC_CHANNEL_HEADER_ && bytes <= UINT32_MAX / 2)
        rc = sends ? ipc_mpmc_producer_attach(&r->put, s, o->size, (size_t)bytes, me, how)
                   : ipc_mpmc_consumer_attach(&r->take, s, o->size, (size_t)bytes, me, how);
    if (rc != 0)
        return rc;
    ch->max = (size_t)bytes - IPC_CHANNEL_HEADER_;
    rc = ipc_channel_attach_bells_(ch, me, data, s->data_bell, space, s->space_bell);
    if (rc != 0)
        return rc;
    r->one_sender = (how & IPC_MPMC_ONE_PRODUCER) != 0;
    r->writer = r->one_sender ? ipc_notify_first_seen_(data, &s->end[0]) : 0;
    /* Any process that dies may have held a slot, which this one must then free. */
    ipc_notify_watch_anyone(sends ? space : data);
    (void)ipc_notify_post(sends ? space : data); /* to attach may have freed a dead one's slots */
    return 0;
}

/* Attaches our ends of rings of records. The listener receives from *to; a server only receives. */
IPC_INLINE int ipc_channel_ring_attach_ends_(struct ipc_channel *ch, int listener,
                                             const struct ipc_shm_object *to,
                                             const struct ipc_shm_object *from, struct ipc_peer *me)
{
    struct ipc_channel_ring_ *r = ch->ring;
    const struct ipc_shm_object *out = listener ? from : to, *in = listener ? to : from;
    struct ipc_shm_object own;
    int rc = 0;

    if ((ch->role & IPC_SEND) != 0 && ch->how.clients == 0 &&
        (rc = ipc_record_producer_attach(&r->out, out->mem, out->size, me)) == 0 &&
        (rc = ipc_channel_attach_bells_(ch, me, &r->out_data, r->out.ring->data_bell, &r->out_space,
                                        r->out.ring->space_bell)) == 0) {
        r->reader = ipc_notify_first_seen_(&r->out_space, &r->out.ring->end[1]);
        r->left[1] = ck_pr_load_64(&r->out.ring->left[1]);
        ch->max = ipc_record_most(&r->out);
    }
    if (rc == 0 && !listener && r->answers.mem != NULL) {
        own = ipc_channel_own_answers_(ch);
        in = &own;
    }
    if (rc == 0 && (ch->role & IPC_RECV) != 0 &&
        (rc = ipc_record_consumer_attach(&r->in, in->mem, in->size, me)) == 0 &&
        (rc = ipc_channel_attach_bells_(ch, me, &r->data, r->in.ring->data_bell, &r->space,
                                        r->in.ring->space_bell)) == 0) {
        ch->max = (size_t)(r->in.mask + 1) / 2 - 8;
        r->one_sender = r->in.producers == 1;
        r->writer =
            r->one_sender ? ipc_notify_first_seen_(&r->data, &r->in.ring->end[0]) : 0;
        r->left[0] = ck_pr_load_64(&r->in.ring->left[0]);
    }
    /* A ring made for the default has room for more, which the other mechanisms have not. */
    if (ch->how.max == 0 && ch->max == ipc_channel_lane_(IPC_CHANNEL_MAX_) / 2 - 8)
        ch->max = IPC_CHANNEL_MAX_;
    if (rc == 0)
        ipc_channel_begin_talk_(ch, listener);
    if (rc != 0) { /* the next try must not find our ends taken */
        ipc_record_producer_detach(&r->out);
        ipc_record_consumer_detach(&r->in);
        ipc_notify_detach(&r->out_data);
        ipc_notify_detach(&r->out_space);
        ipc_notify_detach(&r->data);
    }
    return rc;
}

/* Attaches our ends of the rings in a segment of ipc_shm.h that is open. */
IPC_INLINE int ipc_channel_ring_attach_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_ring_ *r = ch->ring;
    unsigned in = listener ? IPC_RECV : IPC_SEND; /* the role for which we use "to" */
    struct ipc_shm_object to, from;
    int rc = 0, shared = ipc_channel_is_shared_(ch);

    if (listener && !shared && ch->how.clients == 0 && (ch->role & IPC_BOTH) != IPC_BOTH &&
        (ch->kind->flags & IPC_CHANNEL_BELL_FD_) == 0)
        ipc_channel_mark_unused_(ch);
    if (ch->how.publish != 0)
        return ipc_channel_attach_publisher_(ch);
    if (ch->role == IPC_RECV && ipc_channel_is_published_(ch, &from))
        return ipc_channel_attach_subscriber_(ch, &from);
    if (shared)
        rc = ipc_channel_find_ring_(ch, "shared", listener, &to);
    else if (ch->how.clients != 0) /* before "to", by which others find the segment's kind */
        rc = ipc_channel_make_answers_(ch);
    if (rc == 0 && !shared && (ch->role & in) != 0)
        rc = ipc_channel_find_ring_(ch, "to", listener, &to);
    if (rc == 0 && !listener && ch->role == IPC_BOTH)
        rc = ipc_channel_find_answers_(ch);
    if (rc == 0 && !shared && ch->how.clients == 0 && r->answers.mem == NULL &&
        (ch->role & (in ^ IPC_BOTH)) != 0)
        rc = ipc_channel_find_ring_(ch, "from", listener, &from);
    if (rc == 0)
        rc = shared
                 ? ipc_channel_attach_shared_(ch, &to)
                 : ipc_channel_ring_attach_ends_(ch, listener, &to, &from, ipc_shm_peer(&r->seg));
    if (rc != 0)
        return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address,
                                   ipc_shm_why(&r->seg));
    (void)ipc_notify_post(&r->out_data); /* a sleeper there watches us from now on */
    (void)ipc_notify_post(&r->space);
    return 0;
}

/* ------------------------------------------------------------------ waiting */

/* A message that is sent or received as soon as that is possible: what a look tries. */
struct ipc_channel_try_ {
    struct ipc_channel *ch;
    const void *from;
    void *to;
    size_t n;
    int published;
    int64_t rc; /* of the last try */
};

/* Is it time to ask the kernel again whether the process at the other end lives? A program that
 * polls asks each 8 ms, and makes no other system call. */
IPC_INLINE int ipc_channel_is_time_to_ask_(int64_t *asked_at)
{
    int64_t now = ipc_clock();

    if (now - *asked_at < IPC_NOTIFY_SLICE_)
        return 0;
    *asked_at = now;
    return 1;
}

/* Has the process that was seen at the other end left it? Over auto: it comes with the connection: if
 * another one is there, that is its child. */
IPC_INLINE int ipc_channel_has_left_(const struct ipc_channel *ch, uint64_t seen, uint64_t holder)
{
    return seen > 1 && holder != seen &&
           (holder == 0 || (ch->kind->flags & IPC_CHANNEL_BELL_FD_) == 0);
}

/* Is the process that holds the other end proven dead? It would have left the end, otherwise. */
IPC_INLINE int ipc_channel_is_killed_(const struct ipc_notify *n, uint64_t id)
{
    return id != 0 && id != n->reported && id != ~UINT64_C(0) && n->peer.alive != NULL &&
           n->peer.alive(n->peer.arg, id) == 0;
}

/* The word that counts how often the other end was left, of the ring that we send to (1) or receive
 * from (0). It tells of a process that came and went between two looks. NULL: nothing does, as
 * recv tells a sender that also receives, the end of its answers a client of a server, and its
 * socket auto:. */
IPC_INLINE const uint64_t *ipc_channel_left_(const struct ipc_channel *ch, int sends)
{
    const struct ipc_channel_ring_ *r = ch->ring;

    if (sends)
        return r->out.ring != NULL && r->in.ring == NULL ? &r->out.ring->left[1] : NULL;
    return r->in.ring != NULL && r->one_sender && r->answers.mem == NULL &&
                   (ch->kind->flags & IPC_CHANNEL_BELL_FD_) == 0
               ? &r->in.ring->left[0]
               : NULL;
}

/* Waits until a try says something else than -EAGAIN, the process at the other end goes, or the
 * deadline comes. What the try said, or why there is no more of it, is in t->rc. */
IPC_INLINE void ipc_channel_try_until_(struct ipc_channel_try_ *t, struct ipc_notify *bell,
                                       uint64_t *holder, uint64_t *seen, int64_t deadline,
                                       ipc_notify_look_ *look)
{
    static const uint64_t never_left = 0;
    struct ipc_channel_ring_ *r = t->ch->ring;
    int sends = bell == &r->out_space, rc;
    const uint64_t *left = ipc_channel_left_(t->ch, sends);
    struct ipc_notify_peer_ peer = {*seen, left != NULL ? r->left[sends] : 0};

    if (deadline <= IPC_NOW && ipc_channel_is_time_to_ask_(&r->asked_at[sends]))
        bell->asks = 1;
    rc = ipc_notify_wait_with_peer_(bell, holder, left != NULL ? left : &never_left, &peer,
                                    deadline, ipc_notify_wait_until_, look, t, NULL);
    *seen = peer.seen;
    r->left[sends] = left != NULL ? peer.left : r->left[sends];
    if (rc != 0)
        t->rc = rc;
}

/* ------------------------------------------------------------------ leaving */

/* Leaves the rings, if there are any. After fork, a child leaves the ends to its parent, unless it
 * goes on with them. */
IPC_INLINE void ipc_channel_ring_leave_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;

    if (r == NULL)
        return;
    /* In this order: the process that takes out's end next, then finds that of in free. */
    ipc_record_consumer_detach(&r->in);
    ipc_record_producer_detach(&r->out);
    ipc_mpmc_producer_detach(&r->put);
    ipc_mpmc_consumer_detach(&r->take);
    ipc_record_broadcast_producer_detach(&r->publisher);
    ipc_record_broadcast_consumer_detach(&r->subscriber);
    (void)ipc_notify_post(&r->out_data); /* a process that sleeps there learns of it */
    (void)ipc_notify_post(&r->out_space);
    (void)ipc_notify_post(&r->data);
    (void)ipc_notify_post(&r->space);
    ipc_notify_detach(&r->data);
    ipc_notify_detach(&r->space);
    ipc_notify_detach(&r->out_data);
    ipc_notify_detach(&r->out_space);
    ipc_shm_close(&r->seg);
    ipc_channel_close_polls_(&r->polls); /* last, as it takes long: see ipc_end_last_ */
    free(r);
    ch->ring = NULL;
    ch->quick_sends = 0;
    ch->quick_in = NULL;
}

/* Keeps a sentence about a refusal of a ring, where it needs one, and returns rc. */
IPC_INLINE int ipc_channel_report_ring_end_(struct ipc_channel *ch, int rc)
{
    const char *what;

    switch (rc) {
    case -EPIPE:
        what = "the other side is gone";
        break;
    case -EOWNERDEAD:
        what = "the other side was killed";
        break;
    case -EBADMSG:
        what = "the shared memory is corrupt";
        break;
    case -ECHILD:
        what = "after fork another process goes on with it: open it anew in this one";
        break;
    case -EPROTO:
        what = ipc_channel_loss_text_(rc);
        if (ch->ring->misfit != NULL)
            ck_pr_store_64(ch->ring->misfit, 0);
        break;
    default:
        return rc;
    }
    return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address, what);
}

/* ------------------------------------------------------------------ records */

IPC_INLINE int ipc_channel_try_push_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;
    struct ipc_channel_ring_ *r = t->ch->ring;

    (void)argument;
    if (r->addressed != 0 && ck_pr_load_64(&r->out.ring->end[1]) != r->addressed)
        t->rc = -EPIPE;
    else
        t->rc = ipc_record_push(&r->out, t->from, t->n);
    if (t->rc == -EAGAIN && ipc_channel_has_misfit_(r))
        t->rc = -EPROTO;
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_try_pop_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;

    (void)argument;
    t->rc = ipc_channel_has_answers_(t->ch->ring);
    if (t->rc > 0)
        t->rc = ipc_record_take_(&t->ch->ring->in, t->to, t->n, &t->published);
    else if (t->rc == 0)
        t->rc = -EAGAIN;
    if (t->rc == -EAGAIN && ipc_channel_has_misfit_(t->ch->ring))
        t->rc = -EPROTO;
    return t->rc != -EAGAIN;
}

/* The word that says which process is at the other end of what we send: a client of a server looks
 * at the end of its answers, which the server leaves to drop it. */
IPC_INLINE uint64_t *ipc_channel_reader_(struct ipc_channel_ring_ *r)
{
    return r->answers.mem != NULL ? &r->in.ring->end[0] : &r->out.ring->end[1];
}

/* A client of a server that was told of its loss, by send or recv, is told once. */
IPC_INLINE void ipc_channel_note_loss_(struct ipc_channel_ring_ *r, int64_t rc)
{
    if (r->answers.mem == NULL || (rc != -EPIPE && rc != -EOWNERDEAD))
        return;
    r->rejoins = 1;
    r->reader = r->writer = 0;
}

/* Has a process come to the other end of what we only send, and gone, since the last look? */
IPC_INLINE int ipc_channel_came_and_went_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    const uint64_t *now = ipc_channel_left_(ch, 1);
    uint64_t left = r->left[1];

    if (now == NULL)
        return 0;
    /* Without it the end could be found free, and the count be older: the next call would tell what
     * this one can know. Partner: ipc_ring_detach_end_. */
    ck_pr_fence_load(); /* no twin */
    r->left[1] = ck_pr_load_64(now);
    return r->reader == 0 && r->left[1] != left;
}

/* A send is about to push. Is the process gone that it has seen at the other end, or one that came
 * and went meanwhile? What it left it tells at once; whether it was killed the kernel is asked each
 * 8 ms. 0; -EPIPE or -EOWNERDEAD, once; then the next process is the one that is seen. */
IPC_INLINE int ipc_channel_check_reader_(struct ipc_channel *ch, uint64_t reader)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_notify *n = &r->out_space;
    int rc = 0, went = ipc_channel_came_and_went_(ch);

    if (went || ipc_channel_has_left_(ch, r->reader, reader)) {
        rc = -EPIPE; /* how it ended is not known any more where another one is there */
    } else if (ipc_ring_is_ours_(&r->out.self) && /* else the push settles who we are first */
               ipc_channel_is_time_to_ask_(&r->asked_at[1])) {
        r->trust = 0;
        rc = ipc_channel_is_killed_(n, reader) ? -EOWNERDEAD : 0;
        n->reported = rc != 0 ? reader : n->reported;
    }
    r->reader = rc == 0 && reader != n->reported ? reader : 0;
    return rc;
}

IPC_INLINE int ipc_channel_ring_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, message, NULL, n, 0, 0};
    uint64_t *holder, reader;

    if (r->out.ring == NULL) /* after fork this process may not go on */
        return ipc_channel_report_ring_end_(ch, r->out.error);
    holder = ipc_channel_reader_(r);
    reader = ck_pr_load_64(holder);
    ipc_channel_rejoin_(r);
    if (r->talks)
        t.rc = ipc_channel_address_asker_(r);
    if (ipc_channel_has_misfit_(r))
        t.rc = -EPROTO;
    if (t.rc == 0)
        t.rc = ipc_channel_check_reader_(ch, reader);
    if (t.rc == 0 && !ipc_channel_try_push_(&t, NULL))
        ipc_channel_try_until_(&t, &r->out_space, holder, &r->reader, deadline,
                               ipc_channel_try_push_);
    ipc_channel_note_loss_(r, t.rc);
    if (t.rc != 0)
        return ipc_channel_report_ring_end_(ch, (int)t.rc);
    (void)ipc_notify_post(&r->out_data);
    ch->quick_out = &r->out;
    ch->quick_holder = holder;
    ch->quick_reader = reader != 0 ? reader : IPC_PEER_READ_ONLY; /* which is never there */
    ch->quick_sends = r->trust;
    r->trust = r->trust < IPC_CHANNEL_TRUST_ / 2 ? r->trust * 2 + 1 : IPC_CHANNEL_TRUST_;
    return 0;
}

/* The sender is gone, and the next one may be there already: takes what is left, or says how it
 * ended. */
IPC_INLINE void ipc_channel_try_rest_(struct ipc_channel_try_ *t)
{
    struct ipc_channel_ring_ *r = t->ch->ring;

    /* Without it the last message could be missed, as the look could be older than the end.
     * Partner: ipc_ring_leave_end_; the kernel, if the sender was killed. */
    ck_pr_fence_load();
    if (ipc_channel_try_pop_(t, NULL))
        return;
    t->rc = ipc_channel_how_ended_(r, r->writer);
    r->writer = 0;
    r->left[0] = ck_pr_load_64(&r->in.ring->left[0]); /* it is told once */
}

IPC_INLINE int64_t ipc_channel_ring_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, NULL, to, size, 0, 0};
    uint64_t nobody = 0, *holder, seen = r->writer, now;

    if (r->subscriber.ring != NULL || r->subscriber.r.error != 0)
        return ipc_channel_published_recv_(ch, to, size, deadline);
    if (r->in.ring == NULL)
        return ipc_channel_report_ring_end_(ch, r->in.error);
    holder = r->one_sender ? &r->in.ring->end[0] : &nobody;
    if (!ipc_channel_try_pop_(&t, NULL)) {
        /* What was taken is published by now, and the other side may wait for that room. */
        r->in.post_due = 0;
        (void)ipc_notify_post(&r->space);
        ipc_channel_rejoin_(r);
        now = ck_pr_load_64(holder);
        if (r->one_sender && ipc_channel_has_left_(ch, r->writer, now) && (r->talks || now != 0))
            ipc_channel_try_rest_(&t);
        else
            ipc_channel_try_until_(&t, &r->data, holder, &r->writer, deadline,
                                   ipc_channel_try_pop_);
    }
    if (r->in.post_due) { /* room was published, perhaps by an earlier look that found nothing */
        r->in.post_due = 0;
        (void)ipc_notify_post(&r->space);
    }
    if (t.rc >= 0) {
        if (r->one_sender && r->writer == 0)
            r->writer = (ch->role & IPC_BOTH) == IPC_RECV ? ipc_channel_find_sender_(r) : 1;
        ch->next = 0;
        if (r->talks)
            ipc_channel_note_asker_(ch);
    }
    if (r->talks && (t.rc == -EPIPE || t.rc == -EOWNERDEAD))
        ipc_channel_end_talk_(ch, seen);
    ipc_channel_note_loss_(r, t.rc);
    ch->quick_in =
        (r->writer != 0 || !r->one_sender) && t.rc != -EMSGSIZE && !r->awaits ? &r->in : NULL;
    if (t.rc >= 0)
        return t.rc;
    if (t.rc == -EMSGSIZE && ipc_record_look_(&r->in, &ch->next) == 0)
        return ipc_channel_refuse_size_(ch, ch->next, size);
    return ipc_channel_report_ring_end_(ch, (int)t.rc);
}

/* ------------------------------------------------------------------ slots: several receivers */

/* Pushes one message, or -EAGAIN: there is no room; or the ring's error. What dead processes held
 * goes on first, and processes that wait for that are woken. */
IPC_INLINE int ipc_channel_put_one_(struct ipc_channel_ring_ *r, const void *message, uint64_t n)
{
    unsigned char *slot;

    if (ipc_notify_anyone_died(&r->out_space) && ipc_mpmc_producer_recover(&r->put, 0) > 0)
        (void)ipc_notify_post(&r->out_data);
    slot = (unsigned char *)ipc_mpmc_claim(&r->put);
    if (slot == NULL)
        return ipc_mpmc_producer_error(&r->put) != 0 ? ipc_mpmc_producer_error(&r->put) : -EAGAIN;
    memcpy(slot, &n, sizeof n);
    if (n > 0)
        memcpy(slot + IPC_CHANNEL_HEADER_, message, (size_t)n);
    return ipc_mpmc_commit(&r->put); /* -EAGAIN: it stays claimed */
}

/* Takes one message, or -EAGAIN: there is none; -EMSGSIZE: it stays in hand; or the ring's error.
 * Otherwise as ipc_channel_put_one_. */
IPC_INLINE int64_t ipc_channel_take_one_(struct ipc_channel *ch, void *to, size_t size)
{
    struct ipc_channel_ring_ *r = ch->ring;
    const unsigned char *slot;
    uint64_t n;

    if (ipc_notify_anyone_died(&r->data) && ipc_mpmc_consumer_recover(&r->take, 0) > 0) {
        (void)ipc_notify_post(&r->data);
        (void)ipc_notify_post(&r->space);
    }
    slot = (const unsigned char *)ipc_mpmc_peek(&r->take);
    if (slot == NULL)
        return ipc_mpmc_consumer_error(&r->take) != 0 ? ipc_mpmc_consumer_error(&r->take) : -EAGAIN;
    n = ck_pr_load_64((const uint64_t *)(const void *)slot); /* once: a sender may change it */
    if (n > ch->max)
        return -EBADMSG;
    ch->next = n > size ? (size_t)n : 0;
    if (n > size)
        return -EMSGSIZE;
    if (n > 0)
        memcpy(to, slot + IPC_CHANNEL_HEADER_, (size_t)n);
    (void)ipc_mpmc_release(&r->take);
    return (int64_t)n;
}

IPC_INLINE int ipc_channel_try_put_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;

    (void)argument;
    t->rc = ipc_channel_put_one_(t->ch->ring, t->from, t->n);
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_try_take_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;

    (void)argument;
    t->rc = ipc_channel_take_one_(t->ch, t->to, t->n);
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_shared_send_(struct ipc_channel *ch, const void *message, size_t n,
                                        int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, message, NULL, n, 0, 0};
    uint64_t nobody = 0;

    if (r->publisher.ring != NULL || r->publisher.r.error != 0)
        return ipc_channel_published_send_(ch, message, n, deadline);
    if (r->put.m.ring == NULL && r->put.m.error == 0)
        return ipc_channel_ring_send_(ch, message, n, deadline);
    if (!ipc_channel_try_put_(&t, NULL))
        ipc_channel_try_until_(&t, &r->out_space, &nobody, &r->reader, deadline,
                               ipc_channel_try_put_);
    ipc_mpmc_cancel(&r->put); /* what was not sent */
    (void)ipc_notify_post(t.rc == 0 ? &r->out_data : &r->out_space);
    return t.rc == 0 ? 0 : ipc_channel_report_ring_end_(ch, (int)t.rc);
}

IPC_INLINE int64_t ipc_channel_shared_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, NULL, to, size, 0, 0};
    uint64_t nobody = 0, *holder;

    if (r->take.m.ring == NULL && r->take.m.error == 0)
        return ipc_channel_ring_recv_(ch, to, size, deadline);
    if (r->take.m.ring == NULL)
        return ipc_channel_report_ring_end_(ch, r->take.m.error);
    holder = r->one_sender ? &r->take.m.ring->end[0] : &nobody;
    if (!ipc_channel_try_take_(&t, NULL))
        ipc_channel_try_until_(&t, &r->data, holder, &r->writer, deadline, ipc_channel_try_take_);
    if (t.rc == -EMSGSIZE)
        return ipc_channel_refuse_size_(ch, ch->next, size);
    if (t.rc < 0)
        return ipc_channel_report_ring_end_(ch, (int)t.rc);
    r->writer |= r->one_sender && r->writer == 0;
    (void)ipc_notify_post(&r->space);
    return t.rc;
}

#endif
