/*
 * Broadcasts: slots that every reader sees.
 *
 * Lossless: the writer waits for the slowest reader that is not proven dead: broadcast_seat.h.
 * Lossy: the writer never waits. It marks a slot's sequence before it overwrites the slot, and a
 * reader looks at the sequence again after its copy (a seqlock for each slot).
 *
 *   word           from               to             made by
 *   sequence of p  p+1-capacity or 0  BUSY | p+1     lossy: the writer; store, store fence after it
 *                  BUSY | p+1         p+1            lossy: the writer; store fence, store
 *                  any                0, BUSY | p+1  lossy: ipc_bridge, where it tells of a loss
 *                                                    (skip_slots of tools/bridge/kinds.c); stores
 *                  p+1-capacity or 0  p+1            lossless: the writer; store fence, store
 *   ring head      t                  t' > t         lossy: the writer, after each message; store
 *                                                    lossless: the writer, before it looks at the
 *                                                    seats: broadcast_seat.h
 */
#ifndef IPC_SRC_RING_BROADCAST_H
#define IPC_SRC_RING_BROADCAST_H 1

#include "broadcast_seat.h"

/* ------------------------------------------------------------------ broadcast: making one */

/* In a sequence of a lossy broadcast: the message of that position is being written. */
#define IPC_BROADCAST_BUSY_ (UINT64_C(1) << 63)

IPC_INLINE struct ipc_ring_kind_ ipc_broadcast_kind_(size_t bytes, unsigned how)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a broadcast; magic";
    kind.magic = IPC_BROADCAST_MAGIC;
    kind.header = sizeof(struct ipc_broadcast_shared) + ipc_broadcast_seat_bytes_(how);
    kind.stride = ipc_ring_stride_(bytes);
    return kind;
}

/* The bytes of a broadcast that is made as `how` says, or 0, as ipc_spsc_footprint; 0 also for any
 * other `how` than ipc_broadcast_init takes. */
IPC_INLINE size_t ipc_broadcast_footprint(size_t bytes, uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind;

    if (!ipc_broadcast_is_valid_how_(how))
        return 0;
    kind = ipc_broadcast_kind_(bytes, how);
    return ipc_ring_footprint_(&kind, bytes, capacity);
}

/* Makes what begins with a broadcast's header, as ipc_ring_init_. */
IPC_INLINE int ipc_broadcast_init_(void *mem, size_t size, const struct ipc_ring_kind_ *kind,
                                   size_t bytes, uint64_t capacity, unsigned how)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    struct ipc_ring_kind_ unfinished = *kind;
    int rc;

    unfinished.magic = 0;
    rc = ipc_broadcast_is_valid_how_(how)
             ? ipc_ring_init_(mem, size, &unfinished, bytes, capacity, how)
             : -EINVAL;
    if (rc != 0)
        return rc;
    if ((how & IPC_BROADCAST_WAKES_READ_ONLY) != 0)
        *(uint32_t *)(void *)r->data_bell = IPC_BROADCAST_UNASKED_;
    /* Without it an attach could see the magic before the ring. Partner: ipc_ring_check_reader_. */
    ck_pr_fence_store(); /* no twin */
    ck_pr_store_64(&r->is.magic, kind->magic);
    return 0;
}

/*
 * Makes an empty broadcast, as ipc_spsc_init. how: IPC_BROADCAST_LOSSLESS, IPC_BROADCAST_LOSSY, or
 * IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY. Add IPC_BROADCAST_READERS(n) where a lossless
 * one is to have seats for another number of readers than 64. They cost the writer nothing until
 * there are so many readers.
 *
 *   0
 *   -EINVAL, -ENOSPC  as of ipc_spsc_init; -EINVAL also for any other `how`
 */
IPC_INLINE int ipc_broadcast_init(void *mem, size_t size, size_t bytes, uint64_t capacity,
                                  unsigned how)
{
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes, how);

    return ipc_broadcast_init_(mem, size, &kind, bytes, capacity, how);
}

/* ------------------------------------------------------------------ broadcast: handles */

/* Private to their thread; no field is for the caller. */
struct ipc_broadcast_producer {
    struct ipc_spsc_producer
        s; /* at its limit it looks for the slowest reader; a lossy one never gets there */
    struct ipc_broadcast_readers_ readers;
    struct ipc_broadcast_shared *ring;
    unsigned how;
    IPC_RING_APART_(after);
};

struct ipc_broadcast_consumer {
    /* Lossless: a consumer that publishes its position in its seat. Lossy: `at` is NULL, and it
     * publishes nothing. */
    struct ipc_spsc_consumer s;
    struct ipc_broadcast_shared *ring;
    uint64_t *seat;   /* the id of our seat, whose head `at` is; or NULL */
    uint64_t missed;  /* messages, so far */
    uint64_t skip;    /* how many more messages it leaves out if it is lapped again */
    int loss_pending; /* a loss was found after messages that a call returned: the next reports it
                       */
    unsigned how;
    IPC_RING_APART_(after);
};

IPC_INLINE int ipc_broadcast_producer_disable_(struct ipc_broadcast_producer *p, int rc)
{
    memset(p, 0, sizeof *p);
    ipc_ring_begin_self_(&p->s.self, NULL, NULL);
    return p->s.error = rc;
}

IPC_INLINE int ipc_broadcast_consumer_disable_(struct ipc_broadcast_consumer *c, int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->s.self, NULL, NULL);
    return c->s.error = rc;
}

/* ------------------------------------------------------------------ broadcast: attach */

/* What is in the memory of a broadcast. */
struct ipc_broadcast_parts_ {
    uint64_t capacity;
    unsigned how; /* LOSSLESS or LOSSY */
    struct ipc_broadcast_seats_ seats;
    unsigned char *slots; /* or records */
};

/* Checks what begins with a broadcast's header, as ipc_ring_check_; the seats are behind `header`
 * bytes. A process that may only read can attach to an end that `reads`, if the broadcast is lossy. */
IPC_INLINE int ipc_broadcast_check_(void *mem, size_t size, struct ipc_ring_kind_ kind,
                                    size_t header, size_t bytes, struct ipc_peer *me, int reads,
                                    struct ipc_broadcast_parts_ *parts)
{
    int rc = ipc_ring_check_reader_(mem, size, &kind, bytes, me, &parts->capacity);
    unsigned there;

    if (rc != 0)
        return rc;
    there = ck_pr_load_32(&((const struct ipc_broadcast_shared *)mem)->s.is.how);
    if (!ipc_broadcast_is_valid_how_(there))
        return ipc_ring_refuse_(me, -EPROTO, "broadcast of a kind not known here", there,
                                IPC_BROADCAST_LOSSY);
    parts->how = there & IPC_BROADCAST_LOSSY;
    if (ipc_ring_is_read_only_(me) && (!reads || parts->how != IPC_BROADCAST_LOSSY))
        return ipc_ring_refuse_read_only_(me);
    kind.header = header + ipc_broadcast_seat_bytes_(there);
    parts->seats = ipc_broadcast_seats_at_(mem, header, there);
    parts->slots = (unsigned char *)mem + kind.header;
    return ipc_ring_check_size_(me, size, ipc_ring_footprint_(&kind, bytes, parts->capacity), there);
}

/* Finds where a writer goes on that has just taken its end. */
IPC_INLINE void ipc_broadcast_find_tail_(struct ipc_broadcast_producer *h)
{
    struct ipc_spsc_producer *p = &h->s;
    uint64_t tail = ck_pr_load_64(&h->ring->s.head);

    p->tail = tail + ipc_spsc_count_full_(p->slots, p->mask, tail,
                                          ipc_ring_stride_((size_t)p->bytes));
    p->limit = h->how == IPC_BROADCAST_LOSSY ? p->tail - 1 : p->tail;
    p->put_off = 0; /* a thread of the parent may have been in push_n */
    /* Without it a reader could see that we overwrite a message before it sees what the last writer
     * wrote. Partner: the load fence in ipc_broadcast_check_lapped_. */
    ck_pr_fence_release();
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_broadcast_producer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_broadcast_producer *h = (struct ipc_broadcast_producer *)handle;

    if (me == NULL)
        return ipc_broadcast_producer_disable_(h, -ECHILD);
    h->s.id = me->id;
    if (ipc_ring_take_end_(&h->ring->s.end[0], me, me->id) != 0)
        return -EBUSY;
    ipc_broadcast_find_tail_(h);
    h->readers = ipc_broadcast_list_readers_(&h->readers.seats, me, h->s.tail);
    return 0;
}

/* struct ipc_ring_self_'s renew. A lossless reader has a seat, which the writer takes back when the
 * reader is dead: then messages would be missed, and nobody told. */
IPC_INLINE int ipc_broadcast_consumer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_broadcast_consumer *h = (struct ipc_broadcast_consumer *)handle;

    return me == NULL ? ipc_broadcast_consumer_disable_(h, -ECHILD) : -EBUSY;
}

/*
 * Attaches the writer; as ipc_spsc_producer_attach, with the same errors. After a writer that died
 * it goes on behind the last message that one committed. `me` also says which readers are dead:
 * without it, killed readers of a lossless broadcast hold up the writer for ever.
 */
IPC_INLINE int ipc_broadcast_producer_attach(struct ipc_broadcast_producer *h, void *mem,
                                             size_t size, size_t bytes, struct ipc_peer *me)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)mem;
    struct ipc_spsc_producer *p = &h->s;
    uint64_t id = ipc_ring_id_of_(me);
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes, IPC_BROADCAST_READERS(1));
    struct ipc_broadcast_parts_ parts;
    int rc = ipc_broadcast_check_(mem, size, kind, sizeof *r, bytes, me, 0, &parts);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->s.end[0], me, id);
    (void)ipc_broadcast_producer_disable_(h, rc);
    if (rc != 0)
        return rc;
    p->slots = parts.slots;
    p->mask = parts.capacity - 1;
    p->bytes = bytes;
    p->ring = &r->s;
    p->id = id;
    h->ring = r;
    h->how = parts.how;
    ipc_ring_begin_self_(&p->self, me, ipc_broadcast_producer_renew_);
    ipc_ring_trials_begin_(&p->trials, parts.capacity * bytes);
    ipc_broadcast_find_tail_(h);
    h->readers = ipc_broadcast_list_readers_(&parts.seats, me, p->tail);
    return 0;
}

/*
 * Attaches a reader. It sees every message that is sent afterwards, and those that are being sent
 * meanwhile. In a lossy broadcast it may see, or miss, the last message before. A lossless
 * broadcast has 64 seats for readers, or as many as it was made with, and the writer has room for a
 * whole capacity before it waits for one that has just joined, also if that is stopped in here. A
 * lossy one has any number of readers, and they write nothing: memory without write access, and a
 * `me` whose id is IPC_PEER_READ_ONLY, do. Lock-free. `me`, and what a refused handle does: as for
 * ipc_spsc_producer_attach.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO  as of ipc_spsc_producer_attach
 *   -EUSERS  lossless: as many readers are attached as it has seats, and are not proven dead
 *   -EROFS   lossless: me->id is IPC_PEER_READ_ONLY
 */
IPC_INLINE int ipc_broadcast_consumer_attach(struct ipc_broadcast_consumer *h, void *mem,
                                             size_t size, size_t bytes, struct ipc_peer *me)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)mem;
    struct ipc_spsc_consumer *c = &h->s;
    uint64_t head, id = ipc_ring_id_of_(me);
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes, IPC_BROADCAST_READERS(1));
    struct ipc_broadcast_parts_ parts;
    unsigned seat;
    int rc = ipc_broadcast_check_(mem, size, kind, sizeof *r, bytes, me, 1, &parts);

    (void)ipc_broadcast_consumer_disable_(h, rc);
    if (rc != 0)
        return rc;
    if (parts.how == IPC_BROADCAST_LOSSLESS) {
        rc = ipc_broadcast_take_seat_(&parts.seats, me, id, &seat);
        if (rc != 0)
            return c->error = rc;
        h->seat = &parts.seats.id[seat];
        ipc_ring_begin_self_(&c->self, me, ipc_broadcast_consumer_renew_);
        c->at = &parts.seats.seat[seat].head;
    }
    head = ck_pr_load_64(&r->s.head);
    c->slots = parts.slots;
    c->mask = parts.capacity - 1;
    c->bytes = bytes;
    c->ring = &r->s;
    c->id = id;
    h->ring = r;
    h->how = parts.how;
    head += ipc_spsc_count_full_(c->slots, c->mask, head, ipc_ring_stride_(bytes));
    if (c->at != NULL)
        head = ipc_broadcast_begin_at_(c->at, head);
    /* Without it the slots from here on could be older than the head that sent us here, and look
     * corrupt. Partners: the store fences in ipc_broadcast_find_slowest_reader_ and ipc_spsc_send_.
     */
    ck_pr_fence_load();
    ipc_spsc_begin_at_(c, head);
    return 0;
}

/* Detaches the writer; the messages stay. Wait-free. */
IPC_INLINE void ipc_broadcast_producer_detach(struct ipc_broadcast_producer *p)
{
    if (p->ring != NULL && ipc_ring_is_ours_(&p->s.self))
        ipc_ring_detach_end_(&p->ring->s.end[0], p->s.id);
    (void)ipc_broadcast_producer_disable_(p, -EINVAL);
}

/* Detaches a reader: the writer does not wait for it any more. Wait-free. */
IPC_INLINE void ipc_broadcast_consumer_detach(struct ipc_broadcast_consumer *c)
{
    if (c->seat != NULL && ipc_ring_is_ours_(&c->s.self))
        ipc_broadcast_leave_seat_(c->seat, c->s.at, c->s.id);
    (void)ipc_broadcast_consumer_disable_(c, -EINVAL);
}

/* ------------------------------------------------------------------ broadcast: writing */

/* As ipc_broadcast_room_, where the writer has to look, or has forked. */
IPC_RING_NOINLINE_ int ipc_broadcast_find_room_(struct ipc_broadcast_producer *h)
{
    if (h->s.error == 0 && ipc_ring_is_forked_(&h->s.self) &&
        ipc_ring_settle_(&h->s.self, h) >= 0 && h->s.tail != h->s.limit)
        return 0;
    if (h->s.error == 0 && h->s.put_off > 0) {
        ipc_spsc_publish_put_off_(&h->s);
        if (h->s.tail != h->s.limit)
            return 0;
    }
    return h->s.error != 0 ? h->s.error
                           : ipc_broadcast_find_slowest_reader_(&h->readers, h->s.tail, h->s.mask,
                                                                1, &h->s.limit);
}

/* Is there room for a message? 0, or the errors of ipc_broadcast_push. */
IPC_FORCE_INLINE int ipc_broadcast_room_(struct ipc_broadcast_producer *h)
{
    return CK_CC_LIKELY(h->s.tail != h->s.limit && !ipc_ring_is_forked_(&h->s.self))
               ? 0
               : ipc_broadcast_find_room_(h);
}

/* The slot to write next. In a lossy broadcast the message in it is not valid from here on. */
IPC_FORCE_INLINE unsigned char *ipc_broadcast_begin_slot_(const struct ipc_broadcast_producer *h,
                                                          uint64_t tail, size_t stride, int lossy)
{
    unsigned char *slot = ipc_spsc_next_slot_(&h->s, tail, stride);

    if (lossy) {
        ck_pr_store_64(ipc_ring_sequence_(slot, stride), IPC_BROADCAST_BUSY_ | (tail + 1));
        /* Without it a reader could read what we write next, and then find the sequence unchanged.
         * Partner: the load fence in ipc_broadcast_revalidate_. */
        ck_pr_fence_store();
    }
    return slot;
}

IPC_FORCE_INLINE int ipc_broadcast_push_(struct ipc_broadcast_producer *h, const void *message,
                                         size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    uint64_t tail, *head;
    unsigned char *slot;
    int rc = ipc_broadcast_room_(h);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    tail = h->s.tail; /* in a register, as in ipc_spsc_push_ */
    if (h->how == IPC_BROADCAST_LOSSLESS)
        return ipc_spsc_push_(&h->s, message, bytes);
    head = &h->ring->s.head;
    slot = ipc_broadcast_begin_slot_(h, tail, stride, 1);
    ipc_ring_put_words_(&h->s.trials, slot, message, bytes);
    ipc_spsc_send_(&h->s, slot, tail, stride);
    ck_pr_store_64(head, tail + 1);
    return 0;
}

/* Messages of a lossless broadcast that are not short share a fence, as in ipc_spsc_push_n. */
IPC_FORCE_INLINE int64_t ipc_broadcast_push_n_(struct ipc_broadcast_producer *h,
                                               const void *messages, size_t n, size_t bytes)
{
    const unsigned char *m = (const unsigned char *)messages;
    size_t i;
    int rc = 0;

    for (i = 0; i < n && rc == 0; i += rc == 0, m += bytes)
        if (!IPC_RING_IS_PUT_OFF_(bytes) || h->how != IPC_BROADCAST_LOSSLESS ||
            ipc_ring_trials_rest_(&h->s.trials, bytes))
            rc = ipc_broadcast_push_(h, m, bytes);
        else if ((rc = ipc_spsc_may_put_off_(&h->s) ? 0 : ipc_broadcast_room_(h)) == 0)
            ipc_spsc_put_off_(&h->s, m, bytes);
    if (IPC_RING_IS_PUT_OFF_(bytes) && h->s.put_off > 0)
        ipc_spsc_publish_put_off_(&h->s);
    return i > 0 ? (int64_t)i : rc;
}

IPC_FORCE_INLINE void *ipc_broadcast_claim_(struct ipc_broadcast_producer *h, size_t bytes)
{
    return ipc_broadcast_room_(h) == 0
               ? ipc_broadcast_begin_slot_(h, h->s.tail, ipc_ring_stride_(bytes),
                                           h->how == IPC_BROADCAST_LOSSY)
               : NULL;
}

IPC_FORCE_INLINE int ipc_broadcast_commit_(struct ipc_broadcast_producer *h, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    unsigned char *slot;

    if (CK_CC_UNLIKELY(h->s.tail == h->s.limit))
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&h->s.self)) && ipc_ring_settle_(&h->s.self, h) != 1)
        return h->s.error != 0 ? h->s.error : -EINVAL;
    slot = ipc_ring_slot_(h->s.slots, h->s.mask, h->s.tail, stride);
    if (h->how == IPC_BROADCAST_LOSSY &&
        ck_pr_load_64(ipc_ring_sequence_(slot, stride)) != (IPC_BROADCAST_BUSY_ | (h->s.tail + 1)))
        return -EINVAL;
    ipc_spsc_send_(&h->s, slot, h->s.tail, stride);
    if (h->how == IPC_BROADCAST_LOSSY)
        ck_pr_store_64(&h->ring->s.head, h->s.tail);
    return 0;
}

/*
 * Copies one message in, for all readers. Wait-free, but for questions to the kernel. A lossless
 * writer that is refused asks whether the readers in its way are dead, with a few system calls for
 * each: at the first refusal, unless it has asked within the last 2^20 messages, or 1,024 times the
 * capacity; after 64 refusals in a row, and then every 1024. Lossless: a reader that is slow or
 * stopped lets the ring run full. A dead one is waited for until the writer asks. Lossy: readers
 * cost nothing.
 *
 *   0
 *   -EAGAIN    lossless: a reader is a whole capacity behind
 *   -EMSGSIZE  bytes is not the message size
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_broadcast_push(struct ipc_broadcast_producer *p, const void *message,
                                  size_t bytes)
{
    return bytes == p->s.bytes || p->s.error != 0 ? ipc_broadcast_push_(p, message, bytes)
                                                  : -EMSGSIZE;
}

/* Copies up to n messages in, as ipc_spsc_push_n; with the errors of ipc_broadcast_push. */
IPC_INLINE int64_t ipc_broadcast_push_n(struct ipc_broadcast_producer *p, const void *messages,
                                        size_t bytes, size_t n)
{
    return bytes == p->s.bytes || p->s.error != 0 ? ipc_broadcast_push_n_(p, messages, n, bytes)
                                                  : -EMSGSIZE;
}

/* Push without a copy, as ipc_spsc_claim, commit and cancel. In a lossy broadcast a claim, also one
 * that is cancelled, takes the oldest message from the readers that have not read it. */
IPC_INLINE void *ipc_broadcast_claim(struct ipc_broadcast_producer *p)
{
    return ipc_broadcast_claim_(p, (size_t)p->s.bytes);
}

IPC_INLINE int ipc_broadcast_commit(struct ipc_broadcast_producer *p)
{
    return ipc_broadcast_commit_(p, (size_t)p->s.bytes);
}

IPC_INLINE void ipc_broadcast_cancel(struct ipc_broadcast_producer *p)
{
    (void)p;
}

/* 0, or the error of a handle that was refused or detached. */
IPC_INLINE int ipc_broadcast_producer_error(const struct ipc_broadcast_producer *p)
{
    return p->s.error;
}

/* ------------------------------------------------------------------ broadcast: watching readers */

/*
 * How many messages the slowest reader of a lossless broadcast had still to read, at some moment
 * during the call; and in *id which process it is, for struct ipc_peer's alive (~0: one without an
 * ipc_peer). That is too many by those that it read and has not published yet, at most an eighth
 * of the capacity. 0, and *id 0: every reader had read all, or there was none. A reader that died
 * counts until its seat is freed. Lossy: always 0. Wait-free; looks at all seats that have ever had
 * a reader: for monitoring, not for each message.
 */
IPC_INLINE uint64_t ipc_broadcast_was_slowest(const struct ipc_broadcast_producer *p, uint64_t *id)
{
    return ipc_broadcast_find_most_behind_(&p->readers, p->s.tail, p->s.mask + 1, id);
}

/*
 * How many readers were attached to a lossless broadcast, at some moment during the call: each gets
 * every message sent from now on, until it detaches. One that is in attach does not count yet. One
 * that died counts until its seat is freed: see ipc_broadcast_producer_recover. A process with
 * several handles counts as several. Lossy: always 0, as its readers write nothing. Wait-free.
 *
 * With ipc_notify.h a reader's attach posts the writer's bell, so that a writer can wait for its
 * readers before it begins:
 *
 *     rc = ipc_wait(NAME_producer_bell(&p), deadline, NAME_was_readers(&p) >= 3);
 */
IPC_INLINE unsigned ipc_broadcast_was_readers(const struct ipc_broadcast_producer *p)
{
    return ipc_broadcast_count_readers_(&p->readers);
}

/* Frees the seats of the dead process `id`; for id 0, those of all dead processes. Push does that
 * only for those in its way. Returns how many. Takes a few system calls for each reader of that id,
 * or for each reader; wait-free. */
IPC_INLINE int64_t ipc_broadcast_producer_recover(struct ipc_broadcast_producer *p, uint64_t id)
{
    return ipc_broadcast_recover_(&p->readers, id);
}

/* ------------------------------------------------------------------ broadcast: reading */

/* A lossy reader finds another sequence in the slot than that of its next message. -EAGAIN: the
 * message is not there yet. -EOVERFLOW: the reader was lapped, and moves on to the oldest message
 * that is whole. Or -EBADMSG. */
IPC_INLINE int ipc_broadcast_check_lapped_(struct ipc_broadcast_consumer *h, uint64_t sequence)
{
    struct ipc_spsc_consumer *c = &h->s;
    uint64_t end = sequence & ~IPC_BROADCAST_BUSY_, laps = end - (c->head + 1), half, tail;
    size_t stride = ipc_ring_stride_((size_t)c->bytes);

    c->ready = c->head;
    if (sequence == 0 || laps == 0 || laps == ~c->mask) {
        h->skip = 0; /* it has caught up with the writer */
        return -EAGAIN;
    }
    if ((laps & c->mask) != 0 || laps >= IPC_BROADCAST_BUSY_)
        return c->error = -EBADMSG;
    tail = ck_pr_load_64(&c->ring->head);
    /* Without it the slot that we move on to could be older than the head that sent us there.
     * Partners: the store fences in ipc_broadcast_begin_slot_ and ipc_spsc_send_. */
    ck_pr_fence_load();
    end = (int64_t)(tail - end) > 0 ? tail : end;
    end += h->skip - (c->mask + 1);
    /* The writer may have begun to overwrite the oldest one; then the next one is whole. That needs no
     * fence: an older value costs a second -EOVERFLOW, and each look at a slot checks it anew. */
    sequence = ck_pr_load_64(
        ipc_ring_sequence_(ipc_ring_slot_(c->slots, c->mask, end, stride), stride));
    end += h->skip == 0 && sequence == (IPC_BROADCAST_BUSY_ | (end + c->mask + 2));
    h->missed += end - c->head;
    c->head = c->ready = end;
    c->idle = 0;
    half = (c->mask + 1) / 2;
    h->skip = 2 * h->skip + 1 < half ? 2 * h->skip + 1 : half;
    return -EOVERFLOW;
}

/* Is there a message to read? 0, or the errors of ipc_broadcast_pop. */
IPC_FORCE_INLINE int ipc_broadcast_data_(struct ipc_broadcast_consumer *h, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    struct ipc_spsc_consumer *c = &h->s;
    int rc;

    if (CK_CC_LIKELY(c->head != c->ready && !ipc_ring_is_forked_(&c->self)))
        return 0;
    if (CK_CC_UNLIKELY(h->loss_pending)) {
        h->loss_pending = 0;
        return -EOVERFLOW;
    }
    rc = ipc_spsc_look_(c, stride);
    if (CK_CC_UNLIKELY(rc == -EAGAIN) && c->at == NULL && c->error == 0)
        rc = ipc_broadcast_check_lapped_(
            h, ck_pr_load_64(
                   ipc_ring_sequence_(ipc_ring_slot_(c->slots, c->mask, c->head, stride), stride)));
    return rc;
}

/* A lossy reader has read its message: looks at the sequence again. 0 and moves on; or -EOVERFLOW:
 * a part of what it read may be of a later message. */
IPC_FORCE_INLINE int ipc_broadcast_revalidate_(struct ipc_broadcast_consumer *h,
                                               unsigned char *slot, size_t stride)
{
    uint64_t sequence;

    /* Without it the sequence could be older than what we have read. Partner: the store fence in
     * ipc_broadcast_begin_slot_. */
    ck_pr_fence_load();
    sequence = ck_pr_load_64(ipc_ring_sequence_(slot, stride));
    if (CK_CC_UNLIKELY(sequence != h->s.head + 1))
        return ipc_broadcast_check_lapped_(h, sequence);
    h->s.head++;
    return 0;
}

IPC_FORCE_INLINE int ipc_broadcast_take_(struct ipc_broadcast_consumer *h, void *message,
                                         size_t bytes, int *published)
{
    size_t stride = ipc_ring_stride_(bytes);
    unsigned char *slot;
    int rc;

    rc = ipc_broadcast_data_(h, bytes);
    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    if (h->how == IPC_BROADCAST_LOSSLESS) {
        *published = ipc_spsc_get_(&h->s, message, bytes, 0); /* a reader has no successor */
        return 0;
    }
    slot = ipc_ring_slot_(h->s.slots, h->s.mask, h->s.head, stride);
    ipc_ring_get_words_(message, slot, bytes);
    return ipc_broadcast_revalidate_(h, slot, stride);
}

IPC_FORCE_INLINE int ipc_broadcast_pop_(struct ipc_broadcast_consumer *h, void *message,
                                        size_t bytes)
{
    int published;

    return ipc_broadcast_take_(h, message, bytes, &published);
}

IPC_FORCE_INLINE int64_t ipc_broadcast_pop_n_(struct ipc_broadcast_consumer *h, void *messages,
                                              size_t n, size_t bytes)
{
    unsigned char *m = (unsigned char *)messages;
    size_t i;
    int rc = 0;

    for (i = 0; i < n && (rc = ipc_broadcast_pop_(h, m + i * bytes, bytes)) == 0; i++)
        ;
    h->loss_pending |= i > 0 && rc == -EOVERFLOW;
    return i > 0 ? (int64_t)i : rc;
}

IPC_FORCE_INLINE const void *ipc_broadcast_peek_(struct ipc_broadcast_consumer *h, size_t bytes)
{
    return ipc_broadcast_data_(h, bytes) == 0
               ? ipc_ring_slot_(h->s.slots, h->s.mask, h->s.head, ipc_ring_stride_(bytes))
               : NULL;
}

IPC_FORCE_INLINE int ipc_broadcast_release_(struct ipc_broadcast_consumer *h, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);

    if (h->s.head == h->s.ready)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&h->s.self)) && ipc_ring_settle_(&h->s.self, h) != 1)
        return h->s.error != 0 ? h->s.error : -EINVAL;
    if (h->how == IPC_BROADCAST_LOSSY)
        return ipc_broadcast_revalidate_(
            h, ipc_ring_slot_(h->s.slots, h->s.mask, h->s.head, stride), stride);
    (void)ipc_spsc_advance_(&h->s, 0);
    return 0;
}

/*
 * Copies the next message out. Wait-free, and holds back at times, as ipc_spsc_pop. Other readers
 * do not matter; a writer that is stopped or dead lets the ring run empty.
 *
 *   0
 *   -EAGAIN     there is none yet
 *   -EOVERFLOW  lossy: the writer has overwritten the next message. Reported once for each time;
 *               ipc_broadcast_missed says how many messages were missed in all. The next call goes
 *               on at the oldest message that is whole. After losses without an -EAGAIN in between
 *               it begins up to half a capacity further ahead, so that a fast writer does not lap
 *               the reader again at once
 *   -EMSGSIZE   bytes is not the message size
 *   -EBADMSG    the shared memory is corrupt; sticks
 *   -ECHILD     lossless: after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_broadcast_pop(struct ipc_broadcast_consumer *c, void *message, size_t bytes)
{
    return bytes == c->s.bytes || c->s.error != 0 ? ipc_broadcast_pop_(c, message, bytes)
                                                  : -EMSGSIZE;
}

/* Copies up to n messages out, as ipc_spsc_pop_n; with the errors of ipc_broadcast_pop. They are in
 * a row: a loss ends the call, and the next call reports it. */
IPC_INLINE int64_t ipc_broadcast_pop_n(struct ipc_broadcast_consumer *c, void *messages,
                                       size_t bytes, size_t n)
{
    return bytes == c->s.bytes || c->s.error != 0 ? ipc_broadcast_pop_n_(c, messages, n, bytes)
                                                  : -EMSGSIZE;
}

/*
 * Pop without a copy: peek gives the next message in place, or NULL: there is none, or the writer
 * overwrote it (peek again: ipc_broadcast_missed has grown), or see ipc_broadcast_consumer_error.
 * In a lossless broadcast the message stays as it is until released. In a lossy one it may change
 * while you read it: read, then release, and use what was read only if that returns 0. All
 * wait-free.
 */
IPC_INLINE const void *ipc_broadcast_peek(struct ipc_broadcast_consumer *c)
{
    return ipc_broadcast_peek_(c, (size_t)c->s.bytes);
}

/* Releases the peeked message. 0; -EINVAL when none can have been peeked; lossless: -ECHILD; lossy:
 * -EOVERFLOW when it was overwritten meanwhile, as of ipc_broadcast_pop, or -EAGAIN where
 * ipc_bridge has taken it away to tell of a loss of more than a capacity. */
IPC_INLINE int ipc_broadcast_release(struct ipc_broadcast_consumer *c)
{
    return ipc_broadcast_release_(c, (size_t)c->s.bytes);
}

/* How many messages this reader has missed since it attached. That is exact: what it got and what
 * it missed are together all that were sent, up to the last that it got. Wait-free. */
IPC_INLINE uint64_t ipc_broadcast_missed(const struct ipc_broadcast_consumer *c)
{
    return c->missed;
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_broadcast_consumer_error(const struct ipc_broadcast_consumer *c)
{
    return c->s.error;
}

#endif
