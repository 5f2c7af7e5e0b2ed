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
 *   Loss     -EPIPE if the other side left, -EOWNERDEAD if it was killed. Of several senders, or
 *            several receivers, no end is reported. A ring keeps what was sent: a sender learns of
 *            the loss when the ring is full, or when the receiver has left. The next receiver goes
 *            on, and may see again what a killed one had: an eighth of the ring at most.
 *   Polling  ipc_channel_fd has a descriptor, for receiving, that also tells of the loss. A sender
 *            makes a system call only for a receiver that polls or sleeps. See ring_poll.h.
 *   Limits   Messages of 64 KiB unless asked for. No descriptor to poll for room.
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
    unsigned asks;          /* how often the timer is to end polls, to ask for deaths */
};

/* Our ends of one or two rings: `out` or `put` to send to, `in` or `take` to receive from. */
struct ipc_channel_ring_ {
    struct ipc_shm seg; /* ring:, auto: the segment that they are in */
    struct ipc_record_producer out;
    struct ipc_record_consumer in;
    struct ipc_mpmc_producer put;  /* in place of out, of a ring that several receive from */
    struct ipc_mpmc_consumer take; /* in place of in, of a ring that several receive from */
    struct ipc_notify data, space; /* bells of in, take: to sleep on, to post */
    struct ipc_notify out_data, out_space; /* bells of out, put: to post, to sleep on */
    int sem; /* sysvshm: the semaphores that are the bells; -1: the bells' own words */
    unsigned short sem_in;   /* the first semaphore of in's ring: data; the next one: space */
    unsigned short sem_out;  /* the first semaphore of out's ring */
    int one_sender;          /* in, take: one process sends, and its end is told */
    uint64_t reader, writer; /* the processes last seen at the other ends: see core.h */
    struct ipc_channel_polls_ polls;
};

/* Of ring_poll.h. */
IPC_INLINE void ipc_channel_close_polls_(struct ipc_channel_polls_ *p);
IPC_INLINE int ipc_channel_ring_descriptor_(struct ipc_channel *ch);
IPC_INLINE int64_t ipc_channel_polled_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline);
IPC_INLINE int ipc_channel_ring_is_ready_(struct ipc_channel *ch);

#define IPC_CHANNEL_RING_ ((size_t)1 << 16) /* bytes of the largest message, unless asked for */

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
    return ch->how.receivers > 1;
}

/* Bytes of one ring. */
IPC_INLINE size_t ipc_channel_ring_bytes_(const struct ipc_channel *ch)
{
    if (ipc_channel_is_shared_(ch))
        return ipc_mpmc_footprint(ch->max + IPC_CHANNEL_HEADER_, ipc_channel_slots_(ch->max),
                                  IPC_MPMC_AT_LEAST_ONCE);
    return ipc_record_footprint(ipc_channel_lane_(ch->max),
                                ch->how.senders != 0 ? ch->how.senders : 1);
}

/* Bytes of a segment for both directions. */
IPC_INLINE size_t ipc_channel_ring_size_(const struct ipc_channel *ch)
{
    return 2 * (ipc_channel_ring_bytes_(ch) + 4096);
}

IPC_INLINE int ipc_channel_ring_init_(const struct ipc_channel *ch, const struct ipc_shm_object *o)
{
    unsigned senders = ch->how.senders != 0 ? ch->how.senders : 1;

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
    ch->ring->seg.fd = ch->ring->sem = -1;
    ch->ring->polls.set = ch->ring->polls.events = ch->ring->polls.timer = -1;
    ch->ring->out.error = ch->ring->in.error = -EINVAL;
    return 0;
}

/* ------------------------------------------------------------------ attaching */

/* The kind of a ring's bell for data: auto: needs one with a descriptor for event loops. */
IPC_INLINE unsigned ipc_channel_bell_kind_(const struct ipc_channel *ch)
{
    return (ch->kind->flags & IPC_CHANNEL_BELL_FD_) != 0 ? IPC_NOTIFY_EVENTFD : IPC_NOTIFY_FUTEX;
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

/* Finds a ring in the segment; if `make` is set and it is not there, makes it. */
IPC_INLINE int ipc_channel_find_ring_(struct ipc_channel *ch, const char *name, int make,
                                      struct ipc_shm_object *o)
{
    struct ipc_shm *seg = &ch->ring->seg;
    uint32_t type = ipc_channel_is_shared_(ch) ? IPC_MPMC_TYPE : IPC_RECORD_TYPE;
    int rc = make ? ipc_shm_make(seg, name, type, ipc_channel_ring_bytes_(ch), o) : -EEXIST;

    if (rc == 0 && (rc = ipc_channel_ring_init_(ch, o)) == 0) {
        if (ipc_channel_bell_kind_(ch) != IPC_NOTIFY_FUTEX)
            (void)ipc_notify_init(((struct ipc_spsc_shared *)o->mem)->data_bell, 64,
                                  ipc_channel_bell_kind_(ch));
        rc = ipc_shm_publish(seg, o);
    }
    if (rc == -EEXIST)
        rc = ipc_shm_find(seg, name, type, o);
    return rc;
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

/* Attaches our ends of rings of records. The listener receives from *to. */
IPC_INLINE int ipc_channel_ring_attach_ends_(struct ipc_channel *ch, int listener,
                                             const struct ipc_shm_object *to,
                                             const struct ipc_shm_object *from, struct ipc_peer *me)
{
    struct ipc_channel_ring_ *r = ch->ring;
    const struct ipc_shm_object *out = listener ? from : to, *in = listener ? to : from;
    int rc = 0;

    if ((ch->role & IPC_SEND) != 0 &&
        (rc = ipc_record_producer_attach(&r->out, out->mem, out->size, me)) == 0 &&
        (rc = ipc_channel_attach_bells_(ch, me, &r->out_data, r->out.ring->data_bell, &r->out_space,
                                        r->out.ring->space_bell)) == 0) {
        r->reader = ipc_notify_first_seen_(&r->out_space, &r->out.ring->end[1]);
        ch->max = ipc_record_most(&r->out);
    }
    if (rc == 0 && (ch->role & IPC_RECV) != 0 &&
        (rc = ipc_record_consumer_attach(&r->in, in->mem, in->size, me)) == 0 &&
        (rc = ipc_channel_attach_bells_(ch, me, &r->data, r->in.ring->data_bell, &r->space,
                                        r->in.ring->space_bell)) == 0) {
        ch->max = (size_t)(r->in.mask + 1) / 2 - 8;
        r->one_sender = r->in.producers == 1;
        r->writer =
            r->one_sender ? ipc_notify_first_seen_(&r->data, &r->in.ring->end[0]) : 0;
    }
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

    if (shared)
        rc = ipc_channel_find_ring_(ch, "shared", listener, &to);
    else if ((ch->role & in) != 0)
        rc = ipc_channel_find_ring_(ch, "to", listener, &to);
    if (rc == 0 && !shared && (ch->role & (in ^ IPC_BOTH)) != 0)
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

/* ------------------------------------------------------------------ bells */

/* A bell is a struct ipc_notify; over sysvshm: it is a semaphore, and the first word of the bell's
 * memory says that a process sleeps on it. */

/* The number of a bell's semaphore. */
IPC_INLINE unsigned short ipc_channel_sem_number_(const struct ipc_channel_ring_ *r,
                                                  const struct ipc_notify *bell)
{
    int out = bell == &r->out_data || bell == &r->out_space;
    int space = bell == &r->space || bell == &r->out_space;

    return (unsigned short)((out ? r->sem_out : r->sem_in) + space);
}

/* Wakes the process that sleeps on the bell, if there is one. */
IPC_INLINE void ipc_channel_post_(struct ipc_channel_ring_ *r, struct ipc_notify *bell)
{
    struct sembuf up = {0, 1, IPC_NOWAIT};

    if (r->sem < 0) {
        (void)ipc_notify_post(bell);
        return;
    }
    if (bell->at == NULL)
        return;
    /* Without this fence we could miss a process that has just armed the bell, and it could miss
     * what we stored. Partner: in ipc_channel_sem_more_. */
    ck_pr_fence_store_load();
    if (ck_pr_load_32(&bell->at->word) == 0 || ck_pr_fas_32(&bell->at->word, 0) == 0)
        return;
    up.sem_num = ipc_channel_sem_number_(r, bell);
    (void)semop(r->sem, &up, 1); /* -EAGAIN: 32767 wakes are there already */
}

/* One wait: the looks so far; is the bell armed; what the wait has come to, or 0. */
struct ipc_channel_sleep_ {
    unsigned looks;
    int armed, rc;
};

/* A look has found nothing. 1: the caller looks again; 0: the wait is over. It spins first, then
 * arms the bell and lets the caller look once more, then sleeps. */
IPC_INLINE int ipc_channel_sem_more_(struct ipc_channel_ring_ *r, struct ipc_notify *bell,
                                     int64_t deadline, struct ipc_channel_sleep_ *w)
{
    struct sembuf down = {0, -1, 0};
    struct timespec t;
    int64_t left;

    if (w->rc != 0)
        return 0;
    if (deadline > IPC_NOW && w->looks++ < bell->spin) {
        ck_pr_stall();
        return 1;
    }
    if (!w->armed) {
        ck_pr_store_32(&bell->at->word, 1);
        ck_pr_fence_store_load(); /* partner: in ipc_channel_post_ */
        return w->armed = 1;
    }
    w->armed = 0;
    left = ipc_left_(deadline);
    if (left == 0) {
        w->rc = -ETIMEDOUT;
        return 1;
    }
    down.sem_num = ipc_channel_sem_number_(r, bell);
    t = ipc_notify_time_(left < IPC_NOTIFY_SLICE_ ? left : IPC_NOTIFY_SLICE_);
#if defined(SYS_semtimedop) && defined(__LP64__) /* the declaration needs _GNU_SOURCE */
    if (syscall(SYS_semtimedop, r->sem, &down, 1L, &t) != 0 && errno != EAGAIN)
#else
    down.sem_flg = IPC_NOWAIT;
    if (semop(r->sem, &down, 1) != 0 && (errno != EAGAIN || nanosleep(&t, NULL) != 0))
#endif
        w->rc = errno == EIDRM ? -EPIPE : -errno;
    else if (ipc_notify_dead_(bell))
        w->rc = -EOWNERDEAD;
    return 1;
}

/* As ipc_notify_wait_until_, on a semaphore. The bell is one of a channel's ring. */
IPC_INLINE int ipc_channel_sem_until_(struct ipc_notify *bell, int64_t deadline,
                                      ipc_notify_look_ *look, void *handle, void *argument)
{
    struct ipc_channel_sleep_ sleep = {0, 0, 0};
    struct ipc_channel_ring_ *r = (struct ipc_channel_ring_ *)bell->peer.arg;
    int ready;

    do
        ready = look(handle, argument);
    while (!ready && ipc_channel_sem_more_(r, bell, deadline, &sleep));
    return ready ? 0 : sleep.rc;
}

IPC_INLINE int ipc_channel_bell_until_(struct ipc_notify *bell, int64_t deadline,
                                       ipc_notify_look_ *look, void *handle, void *argument)
{
    return ipc_notify_wait_until_(bell, deadline, look, handle, argument);
}

/* A message that is sent or received as soon as that is possible: what a look tries. */
struct ipc_channel_try_ {
    struct ipc_channel *ch;
    const void *from;
    void *to;
    size_t n;
    int published;
    int64_t rc; /* of the last try */
};

/* Waits until a try says something else than -EAGAIN, the process at the other end goes, or the
 * deadline comes. What the try said, or why there is no more of it, is in t->rc. */
IPC_INLINE void ipc_channel_try_until_(struct ipc_channel_try_ *t, struct ipc_notify *bell,
                                       uint64_t *holder, uint64_t *seen, int64_t deadline,
                                       ipc_notify_look_ *look)
{
    int rc = ipc_notify_wait_with_peer_(
        bell, holder, seen, deadline,
        t->ch->ring->sem >= 0 ? ipc_channel_sem_until_ : ipc_channel_bell_until_, look, t, NULL);

    if (rc != 0)
        t->rc = rc;
}

/* ------------------------------------------------------------------ leaving */

/* Leaves the rings, if there are any. After fork, the child leaves the ends to its parent. */
IPC_INLINE void ipc_channel_ring_leave_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;

    if (r == NULL)
        return;
    if (ch->pid == getpid()) {
        ipc_record_producer_detach(&r->out);
        ipc_record_consumer_detach(&r->in);
        ipc_mpmc_producer_detach(&r->put);
        ipc_mpmc_consumer_detach(&r->take);
        ipc_channel_post_(r, &r->out_data); /* a process that sleeps there learns of it */
        ipc_channel_post_(r, &r->out_space);
        ipc_channel_post_(r, &r->data);
        ipc_channel_post_(r, &r->space);
    }
    ipc_notify_detach(&r->data);
    ipc_notify_detach(&r->space);
    ipc_notify_detach(&r->out_data);
    ipc_notify_detach(&r->out_space);
    ipc_channel_close_polls_(&r->polls);
    ipc_shm_close(&r->seg);
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
    default:
        return rc;
    }
    return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address, what);
}

/* ------------------------------------------------------------------ records */

IPC_INLINE int ipc_channel_try_push_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;

    (void)argument;
    t->rc = ipc_record_push(&t->ch->ring->out, t->from, t->n);
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_try_pop_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;

    (void)argument;
    t->rc = ipc_record_take_(&t->ch->ring->in, t->to, t->n, &t->published);
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_ring_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, message, NULL, n, 0, 0};
    uint64_t *holder = &r->out.ring->end[1], reader = ck_pr_load_64(holder);

    if (reader != r->reader && reader == 0) { /* reported once; later calls send for the next one */
        r->reader = 0;
        return ipc_channel_report_ring_end_(ch, -EPIPE);
    }
    if (!ipc_channel_try_push_(&t, NULL))
        ipc_channel_try_until_(&t, &r->out_space, holder, &r->reader, deadline,
                               ipc_channel_try_push_);
    if (t.rc != 0)
        return ipc_channel_report_ring_end_(ch, (int)t.rc);
    ipc_channel_post_(r, &r->out_data);
    ch->quick_out = &r->out;
    ch->quick_sends = r->sem < 0 ? INT32_MAX : 0;
    return 0;
}

IPC_INLINE int64_t ipc_channel_ring_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, NULL, to, size, 0, 0};
    uint64_t nobody = 0, *holder = r->one_sender ? &r->in.ring->end[0] : &nobody;

    if (!ipc_channel_try_pop_(&t, NULL)) {
        /* What was taken is published by now, and the other side may wait for that room. */
        r->in.post_due = 0;
        ipc_channel_post_(r, &r->space);
        ipc_channel_try_until_(&t, &r->data, holder, &r->writer, deadline, ipc_channel_try_pop_);
    }
    if (r->in.post_due) { /* room was published, perhaps by an earlier look that found nothing */
        r->in.post_due = 0;
        ipc_channel_post_(r, &r->space);
    }
    if (t.rc >= 0) {
        r->writer |= r->one_sender && r->writer == 0; /* a sender was there, its id is not known */
        ch->next = 0;
    }
    ch->quick_in =
        r->sem < 0 && (r->writer != 0 || !r->one_sender) && t.rc != -EMSGSIZE ? &r->in : NULL;
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
        ipc_channel_post_(r, &r->out_data);
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
        ipc_channel_post_(r, &r->data);
        ipc_channel_post_(r, &r->space);
    }
    slot = (const unsigned char *)ipc_mpmc_peek(&r->take);
    if (slot == NULL)
        return ipc_mpmc_consumer_error(&r->take) != 0 ? ipc_mpmc_consumer_error(&r->take) : -EAGAIN;
    memcpy(&n, slot, sizeof n);
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

    if (r->put.m.ring == NULL)
        return ipc_channel_ring_send_(ch, message, n, deadline);
    if (!ipc_channel_try_put_(&t, NULL))
        ipc_channel_try_until_(&t, &r->out_space, &nobody, &r->reader, deadline,
                               ipc_channel_try_put_);
    ipc_mpmc_cancel(&r->put); /* what was not sent */
    ipc_channel_post_(r, t.rc == 0 ? &r->out_data : &r->out_space);
    return t.rc == 0 ? 0 : ipc_channel_report_ring_end_(ch, (int)t.rc);
}

IPC_INLINE int64_t ipc_channel_shared_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, NULL, to, size, 0, 0};
    uint64_t nobody = 0, *holder;

    if (r->take.m.ring == NULL)
        return ipc_channel_ring_recv_(ch, to, size, deadline);
    holder = r->one_sender ? &r->take.m.ring->end[0] : &nobody;
    if (!ipc_channel_try_take_(&t, NULL))
        ipc_channel_try_until_(&t, &r->data, holder, &r->writer, deadline, ipc_channel_try_take_);
    if (t.rc == -EMSGSIZE)
        return ipc_channel_refuse_size_(ch, ch->next, size);
    if (t.rc < 0)
        return ipc_channel_report_ring_end_(ch, (int)t.rc);
    r->writer |= r->one_sender && r->writer == 0;
    ipc_channel_post_(r, &r->space);
    return t.rc;
}

/* ------------------------------------------------------------------ ring: */

/* What a refusal of ipc_shm.h to make or open the segment is as one of open. */
IPC_INLINE int ipc_channel_segment_error_(int rc)
{
    if (rc == -EEXIST)
        return -EADDRINUSE;
    return rc == -ENOENT ? -ETIMEDOUT : rc;
}

/* A ring is in memory: a path is the name of a segment in a file. 0 or -EINVAL. */
IPC_INLINE int ipc_channel_ring_check_name_(struct ipc_channel *ch)
{
    return !ipc_shm_is_path_(ch->address)
               ? 0
               : ipc_channel_refuse_(ch, -EINVAL, "ring: '%s' must not hold a slash", ch->address);
}

IPC_INLINE int ipc_channel_ring_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    int listener = (ch->role & IPC_LISTEN) != 0, rc = ipc_channel_ring_check_name_(ch);
    struct ipc_shm *seg;

    rc = rc != 0 ? rc : ipc_channel_ring_new_(ch);
    if (rc != 0)
        return rc;
    if (ipc_channel_is_shared_(ch) && (ch->role & IPC_BOTH) == IPC_BOTH)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "ring: several receivers: one direction only: open two");
    seg = &ch->ring->seg;
    how.mode = ch->how.mode;
    /* As many as there can be handles of the ring, or lanes and their receivers. */
    how.members = ipc_channel_is_shared_(ch) ? IPC_MPMC_SEATS : 2 * IPC_RECORD_PRODUCERS;
    ch->max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_RING_;
    rc = listener ? ipc_shm_create_with(seg, ch->address, ipc_channel_ring_size_(ch), &how)
                  : ipc_shm_open_with(seg, ch->address, deadline, &how);
    if (rc == -EACCES && !listener && ch->how.user != 0) {
        how.owner = ch->how.user;
        rc = ipc_shm_open_with(seg, ch->address, deadline, &how);
    }
    if (rc != 0)
        return ipc_channel_refuse_(ch, ipc_channel_segment_error_(rc), "ring: %s",
                                   ipc_shm_why(seg));
    return ipc_channel_segment_error_(ipc_channel_ring_attach_(ch, listener));
}

/* A segment of ring: has the magic of ipc_shm.h, and its objects are our rings; it has no object if
 * its listener was killed before it made one. */
IPC_INLINE int ipc_channel_ring_unlink_(struct ipc_channel *ch)
{
    char path[PATH_MAX];
    struct ipc_shm_entry_ entry[IPC_SHM_OBJECTS];
    struct ipc_shm_header_ h;
    struct ipc_shm unused;
    int rc = ipc_channel_ring_check_name_(ch);
    int64_t n;
    size_t i;

    rc = rc != 0 ? rc : ipc_shm_path_(&unused, path, ch->address);
    if (rc != 0)
        return rc;
    memset(&h, 0, sizeof h);
    n = ipc_channel_read_at_(path, &h, sizeof h, 0);
    if (n >= 0 && (h.magic != IPC_SHM_MAGIC || h.members > IPC_SHM_MEMBERS_MAX ||
                   h.objects != IPC_SHM_OBJECTS))
        return -EPROTO;
    if (n >= 0)
        n = ipc_channel_read_at_(path, entry, sizeof entry,
                                 sizeof h + h.members * sizeof(struct ipc_shm_member_));
    if (n < (int64_t)sizeof entry)
        return n < 0 ? (int)n : -EPROTO;
    for (i = 0; i < IPC_SHM_OBJECTS; i++) {
        char *object = entry[i].name;

        object[IPC_SHM_NAME_MAX] = '\0';
        if (*object != '\0' && strcmp(object, "to") != 0 && strcmp(object, "from") != 0 &&
            strcmp(object, "shared") != 0)
            return -EPROTO;
    }
    return ipc_channel_remove_(path, S_IFREG);
}

static const struct ipc_channel_kind_ ipc_channel_ring_kind_ = {
    "ring",
    IPC_CHANNEL_SENDERS_ | IPC_CHANNEL_NO_FD_,
    0, /* own: ipc_channel's ring */
    0,
    0,
    ipc_channel_ring_open_,
    NULL, /* close */
    ipc_channel_ring_unlink_,
    ipc_channel_shared_send_,
    ipc_channel_polled_recv_,
    NULL, /* meet: send and recv wait for peers */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    ipc_channel_ring_descriptor_,
    NULL, /* describe */
    ipc_channel_ring_is_ready_,
    NULL, /* serve */
};

#endif
