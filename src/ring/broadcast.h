/* Slots that every reader sees. */
#ifndef IPC_SRC_RING_BROADCAST_H
#define IPC_SRC_RING_BROADCAST_H 1

#include "spsc.h"

/* ------------------------------------------------------------------ broadcast: layout */

#define IPC_BROADCAST_TYPE 0x74736163u                   /* "cast" */
#define IPC_BROADCAST_MAGIC UINT64_C(0x31747361635f6369) /* "ic_cast1" */
#define IPC_BROADCAST_ABI 2u
#define IPC_BROADCAST_SEATS 64u

/* How a broadcast is made: ipc_broadcast_init. */
#define IPC_BROADCAST_LOSSLESS 0u /* the slowest reader holds up the writer */
#define IPC_BROADCAST_LOSSY 1u    /* the writer overwrites what a slow reader has not read */

/* Of a lossless one: how far a reader is, written by it alone. On a line of its own. */
struct ipc_broadcast_seat_ {
    uint64_t head; /* every position below is read, by whoever sits here or sat here last */
    unsigned char pad[56];
};

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_broadcast_shared {
    /* As of a ring with one end: end[0] is the writer's, end[1] is 0, and `head` is how far
     * the writer is, stored by it alone: lossy after each message, lossless before it looks how far
     * its readers are, so that at most a lap is behind it. */
    struct ipc_spsc_shared s;
    uint64_t id[IPC_BROADCAST_SEATS]; /* who sits there: an ipc_peer id, 0 for nobody */
    struct ipc_broadcast_seat_ seat[IPC_BROADCAST_SEATS];
    /* capacity slots of ipc_ring_stride_(bytes) each */
};

IPC_RING_ASSERT_(cast_id, offsetof(struct ipc_broadcast_shared, id) == 384)
IPC_RING_ASSERT_(cast_size, sizeof(struct ipc_broadcast_shared) == 384 + 72 * IPC_BROADCAST_SEATS)

/* In the sequence of a lossy one: the message of that position is being written. */
#define IPC_BROADCAST_BUSY_ (UINT64_C(1) << 63)

/* Refusals in a row before the kernel is asked whether those in the way are dead, which takes as
 * long as hundreds of messages; and between asking again. */
#define IPC_BROADCAST_ASK_FIRST_ 64u
#define IPC_BROADCAST_ASK_EVERY_ 1024u

IPC_INLINE struct ipc_ring_kind_ ipc_broadcast_kind_(size_t bytes)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a broadcast; magic";
    kind.magic = IPC_BROADCAST_MAGIC;
    kind.abi = IPC_BROADCAST_ABI;
    kind.header = sizeof(struct ipc_broadcast_shared);
    kind.stride = ipc_ring_stride_(bytes);
    return kind;
}

/* The bytes of a broadcast, or 0, as ipc_spsc_footprint. */
IPC_INLINE size_t ipc_broadcast_footprint(size_t bytes, uint64_t capacity)
{
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes);

    return ipc_ring_footprint_(&kind, bytes, capacity);
}

IPC_INLINE int ipc_broadcast_known_(unsigned how)
{
    return how <= IPC_BROADCAST_LOSSY;
}

/*
 * Makes an empty broadcast, as ipc_spsc_init. how: IPC_BROADCAST_LOSSLESS or IPC_BROADCAST_LOSSY.
 *
 *   0
 *   -EINVAL, -ENOSPC  as of ipc_spsc_init; -EINVAL also for any other `how`
 */
IPC_INLINE int ipc_broadcast_init(void *mem, size_t size, size_t bytes, uint64_t capacity,
                                  unsigned how)
{
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes);

    if (!ipc_broadcast_known_(how))
        return -EINVAL;
    return ipc_ring_init_(mem, size, &kind, bytes, capacity, how);
}

/* ------------------------------------------------------------------ broadcast: handles */

/* What a lossless writer knows of its readers. */
struct ipc_broadcast_readers_ {
    struct ipc_broadcast_shared *ring;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    unsigned refused; /* by the gate, in a row */
};

/* Private to their thread; no field is for the caller. */
struct ipc_broadcast_producer {
    struct ipc_spsc_producer
        s; /* its limit: where ipc_broadcast_find_slowest_reader_ is next; never, of a lossy one */
    struct ipc_broadcast_readers_ readers;
    struct ipc_broadcast_shared *ring;
    unsigned how;
};

struct ipc_broadcast_consumer {
    /* Of a lossless one a consumer as any other, which publishes its position in its seat. Of a
     * lossy one `at` is NULL, and it publishes nothing. */
    struct ipc_spsc_consumer s;
    uint64_t *seat;   /* ring->id[...], our own; or NULL */
    uint64_t missed;  /* messages, so far */
    uint64_t skip;    /* what it will leave out besides if it is lapped once more */
    int loss_pending; /* a loss was found after messages that a call returned: told by the next */
    unsigned how;
};

IPC_INLINE int ipc_broadcast_producer_disable_(struct ipc_broadcast_producer *p, int rc)
{
    memset(p, 0, sizeof *p);
    return p->s.error = rc;
}

IPC_INLINE int ipc_broadcast_consumer_disable_(struct ipc_broadcast_consumer *c, int rc)
{
    memset(c, 0, sizeof *c);
    return c->s.error = rc;
}

/* ------------------------------------------------------------------ broadcast: attach */

IPC_INLINE int ipc_broadcast_check_(void *mem, size_t size, size_t bytes, struct ipc_peer *me,
                                    uint64_t *capacity, unsigned *how)
{
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes);
    int rc = ipc_ring_check_(mem, size, &kind, bytes, me, capacity);

    if (rc != 0)
        return rc;
    *how = ck_pr_load_32(&((const struct ipc_broadcast_shared *)mem)->s.is.how);
    if (!ipc_broadcast_known_(*how))
        return ipc_ring_refuse_(me, -EPROTO, "broadcast of a kind not known here", *how,
                                IPC_BROADCAST_LOSSY);
    return 0;
}

IPC_INLINE struct ipc_broadcast_readers_ ipc_broadcast_list_readers_(struct ipc_broadcast_shared *r,
                                                                     const struct ipc_peer *me)
{
    struct ipc_broadcast_readers_ readers;

    readers.ring = r;
    readers.alive = me != NULL ? me->alive : NULL;
    readers.arg = me != NULL ? me->arg : NULL;
    readers.refused = 0;
    return readers;
}

/*
 * Attaches the writer; as ipc_spsc_producer_attach, with the same errors. After one that died it
 * goes on behind the last message that one committed. `me` also says which readers are dead:
 * without it those of a lossless one that were killed hold it up until they are detached.
 */
IPC_INLINE int ipc_broadcast_producer_attach(struct ipc_broadcast_producer *h, void *mem,
                                             size_t size, size_t bytes, struct ipc_peer *me)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)mem;
    struct ipc_spsc_producer *p = &h->s;
    uint64_t capacity, tail, id = ipc_ring_id_of_(me);
    unsigned how = 0;
    int rc = ipc_broadcast_check_(mem, size, bytes, me, &capacity, &how);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->s.end[0], me, id);
    (void)ipc_broadcast_producer_disable_(h, rc);
    if (rc != 0)
        return rc;
    p->slots = (unsigned char *)mem + sizeof *r;
    p->mask = capacity - 1;
    p->bytes = bytes;
    p->ring = &r->s;
    p->id = id;
    h->ring = r;
    h->how = how;
    h->readers = ipc_broadcast_list_readers_(r, me);
    ipc_ring_copier_begin_(&p->copier, capacity * bytes);
    tail = ck_pr_load_64(&r->s.head);
    p->tail = tail + ipc_spsc_count_full_(p->slots, p->mask, tail, ipc_ring_stride_(bytes));
    p->limit = how == IPC_BROADCAST_LOSSY ? p->tail - 1 : p->tail;
    /* Without it a reader could see that we overwrite a message before it sees what the writer
     * before us wrote. Partner: the load fence in ipc_broadcast_check_lapped_. */
    ck_pr_fence_release();
    return 0;
}

/* Takes a seat for a reader that begins at ring->s.head, or behind. 0, or -EUSERS. */
IPC_INLINE int ipc_broadcast_attach_seat_(struct ipc_broadcast_shared *r, struct ipc_peer *me,
                                          uint64_t id, unsigned *seat)
{
    *seat = ipc_ring_take_any_end_(r->id, sizeof r->id[0], IPC_BROADCAST_SEATS, me, id);
    if (*seat == IPC_BROADCAST_SEATS)
        return ipc_ring_refuse_(me, -EUSERS, "every reader's seat is taken; seats",
                                IPC_BROADCAST_SEATS, IPC_BROADCAST_SEATS);
    /* Without it the writer could take this for our word that whoever sat here before has read
     * what he was reading. Partner: the acquire fence in ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_release();
    ck_pr_store_64(&r->seat[*seat].head, ck_pr_load_64(&r->s.head));
    /* Without it the gate could miss our seat, and we the tail that it stored before: then what
     * we begin with is overwritten. Partner: the fence in ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_store_load();
    return 0;
}

/*
 * Attaches a reader: it sees every message that is sent after this, and those being sent meanwhile;
 * of a lossy one it may see, or miss, the last before.
 * A lossless one takes one of 64 seats; lossy there may be any number, and they write nothing.
 * Lock-free. As for `me` and a handle that was refused: ipc_spsc_producer_attach.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO  as of ipc_spsc_producer_attach
 *   -EUSERS  lossless: 64 readers are attached that are not proven dead
 */
IPC_INLINE int ipc_broadcast_consumer_attach(struct ipc_broadcast_consumer *h, void *mem,
                                             size_t size, size_t bytes, struct ipc_peer *me)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)mem;
    struct ipc_spsc_consumer *c = &h->s;
    uint64_t capacity, head, id = ipc_ring_id_of_(me);
    unsigned how = 0, seat;
    int rc = ipc_broadcast_check_(mem, size, bytes, me, &capacity, &how);

    (void)ipc_broadcast_consumer_disable_(h, rc);
    if (rc != 0)
        return rc;
    if (how == IPC_BROADCAST_LOSSLESS) {
        rc = ipc_broadcast_attach_seat_(r, me, id, &seat);
        if (rc != 0)
            return c->error = rc;
        h->seat = &r->id[seat];
        c->at = &r->seat[seat].head;
    }
    head = ck_pr_load_64(&r->s.head);
    c->slots = (unsigned char *)mem + sizeof *r;
    c->mask = capacity - 1;
    c->bytes = bytes;
    c->ring = &r->s;
    c->id = id;
    h->how = how;
    head += ipc_spsc_count_full_(c->slots, c->mask, head, ipc_ring_stride_(bytes));
    /* Without it the slots from here on could be older than what sent us here, and look corrupt.
     * Partners: the store fences in ipc_broadcast_find_slowest_reader_ and ipc_spsc_send_. */
    ck_pr_fence_load();
    ipc_spsc_begin_at_(c, head);
    if (c->at != NULL)
        ipc_spsc_publish_(c);
    return 0;
}

/* Gives the writer's end back; the messages stay. Wait-free. */
IPC_INLINE void ipc_broadcast_producer_detach(struct ipc_broadcast_producer *p)
{
    if (p->ring != NULL)
        ipc_ring_leave_end_(&p->ring->s.end[0], p->s.id);
    (void)ipc_broadcast_producer_disable_(p, -EINVAL);
}

/* Leaves: the writer waits for this reader no more. Wait-free. */
IPC_INLINE void ipc_broadcast_consumer_detach(struct ipc_broadcast_consumer *c)
{
    if (c->seat != NULL)
        ipc_ring_leave_end_(c->seat, c->s.id);
    (void)ipc_broadcast_consumer_disable_(c, -EINVAL);
}

/* ------------------------------------------------------------------ broadcast: writing */

/* A lossless writer has come as far as it knows to be free, and needs so much behind its tail:
 * looks how far the slowest reader is. Sets the limit and returns 0, or -EAGAIN. */
IPC_INLINE int ipc_broadcast_find_slowest_reader_(struct ipc_broadcast_readers_ *g, uint64_t tail,
                                                  uint64_t mask, uint64_t need, uint64_t *limit)
{
    struct ipc_broadcast_shared *r = g->ring;
    uint64_t most = 0; /* that one is behind */
    unsigned i, blocked = 0;
    int ask = g->refused % IPC_BROADCAST_ASK_EVERY_ == IPC_BROADCAST_ASK_FIRST_;

    /* Without it a reader could begin here, and find the slots older than that. Partner: the load
     * fence in ipc_broadcast_consumer_attach. */
    ck_pr_fence_store();
    ck_pr_store_64(&r->s.head, tail);
    /* Without it we could miss the seat of one who joins, and he this tail. Partner: the fence in
     * ipc_broadcast_attach_seat_. */
    ck_pr_fence_store_load();
    for (i = 0; i < IPC_BROADCAST_SEATS; i++) {
        uint64_t id = ck_pr_load_64(&r->id[i]), behind;

        if (id == 0)
            continue;
        behind = tail - ck_pr_load_64(&r->seat[i].head);
        if (behind <= mask + 1 - need)
            most = behind > most ? behind : most;
        else if (!ask || !ipc_ring_is_dead_(g->alive, g->arg, id) ||
                 !ck_pr_cas_64(&r->id[i], id, 0))
            blocked = 1; /* also if it is further behind: it is about to say where it is */
    }
    if (blocked) {
        g->refused++;
        return -EAGAIN;
    }
    /* Without it a slot could be written that a reader still reads. Partners: ipc_spsc_publish_,
     * ipc_record_publish_, ipc_ring_leave_end_; the kernel, where that one was killed. */
    ck_pr_fence_acquire();
    g->refused = 0;
    *limit = tail - most + mask + 1;
    return 0;
}

/* The next refusal asks the kernel. */
IPC_INLINE void ipc_broadcast_ask_(struct ipc_broadcast_readers_ *g)
{
    g->refused = IPC_BROADCAST_ASK_FIRST_;
}

/* Is there room for a message? 0, or the errors of ipc_broadcast_push. */
IPC_FORCE_INLINE int ipc_broadcast_room_(struct ipc_broadcast_producer *h)
{
    if (CK_CC_LIKELY(h->s.tail != h->s.limit))
        return 0;
    return h->s.error != 0 ? h->s.error
                           : ipc_broadcast_find_slowest_reader_(&h->readers, h->s.tail, h->s.mask,
                                                                1, &h->s.limit);
}

/* The slot to write next. Of a lossy one what is in it is no message from here on. */
IPC_FORCE_INLINE unsigned char *ipc_broadcast_begin_slot_(const struct ipc_broadcast_producer *h,
                                                          uint64_t tail, size_t stride, int lossy)
{
    unsigned char *slot = ipc_spsc_next_slot_(&h->s, tail, stride);

    if (lossy) {
        ck_pr_store_64(ipc_ring_sequence_(slot, stride), IPC_BROADCAST_BUSY_ | (tail + 1));
        /* Without it a reader could read what we are about to write, and then find the sequence as
         * it was. Partner: the load fence in ipc_broadcast_revalidate_. */
        ck_pr_fence_store();
    }
    return slot;
}

IPC_FORCE_INLINE int ipc_broadcast_push_(struct ipc_broadcast_producer *h, const void *message,
                                         size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    uint64_t tail = h->s.tail, *head; /* in registers, as in ipc_spsc_push_ */
    unsigned char *slot;
    int rc = ipc_broadcast_room_(h);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    if (h->how == IPC_BROADCAST_LOSSLESS)
        return ipc_spsc_push_(&h->s, message, bytes);
    head = &h->ring->s.head;
    slot = ipc_broadcast_begin_slot_(h, tail, stride, 1);
    ipc_ring_put_words_(slot, message, bytes);
    ipc_spsc_send_(&h->s, slot, tail, stride);
    ck_pr_store_64(head, tail + 1);
    return 0;
}

IPC_FORCE_INLINE int64_t ipc_broadcast_push_n_(struct ipc_broadcast_producer *h,
                                               const void *messages, size_t n, size_t bytes)
{
    const unsigned char *m = (const unsigned char *)messages;
    size_t i;
    int rc = 0;

    for (i = 0; i < n && (rc = ipc_broadcast_push_(h, m + i * bytes, bytes)) == 0; i++)
        ;
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
 * Copies one message in, for all readers. Wait-free, but that a lossless one asks the kernel, after
 * 64 refusals in a row and then every 1024, whether those who hold it up are dead. Lossless: a
 * reader that is slow or stopped lets it run full, a dead one until that. Lossy: readers cost
 * nothing.
 *
 *   0
 *   -EAGAIN    lossless: a reader is a whole capacity behind
 *   -EMSGSIZE  bytes is not the message size
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

/* Push without a copy, as ipc_spsc_claim, commit and cancel. Of a lossy one a claim, also one that
 * is cancelled, takes the oldest message from those who have not read it. */
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

/* 0, or why the handle is none. */
IPC_INLINE int ipc_broadcast_producer_error(const struct ipc_broadcast_producer *p)
{
    return p->s.error;
}

/* ------------------------------------------------------------------ broadcast: reading */

/* A lossy reader finds another sequence in its slot than that of its message. Not there yet:
 * -EAGAIN; or overwritten: -EOVERFLOW, and it goes on at the oldest that is whole; or -EBADMSG. */
IPC_INLINE int ipc_broadcast_check_lapped_(struct ipc_broadcast_consumer *h, uint64_t sequence)
{
    struct ipc_spsc_consumer *c = &h->s;
    uint64_t end = sequence & ~IPC_BROADCAST_BUSY_, laps = end - (c->head + 1), half, tail;

    c->ready = c->head;
    if (sequence == 0 || laps == 0 || laps == ~c->mask) {
        h->skip = 0; /* as fast as the writer */
        return -EAGAIN;
    }
    if ((laps & c->mask) != 0 || laps >= IPC_BROADCAST_BUSY_)
        return c->error = -EBADMSG;
    tail = ck_pr_load_64(&c->ring->head);
    /* Without it the slot that we go on with could be older than what sent us there. Partners: the
     * store fences in ipc_broadcast_begin_slot_ and ipc_spsc_send_. */
    ck_pr_fence_load();
    end = (int64_t)(tail - end) > 0 ? tail : end;
    end += h->skip - (c->mask + 1);
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

    if (CK_CC_LIKELY(c->head != c->ready))
        return 0;
    if (CK_CC_UNLIKELY(h->loss_pending)) {
        h->loss_pending = 0;
        return -EOVERFLOW;
    }
    rc = ipc_spsc_look_ahead_(c, stride);
    if (CK_CC_UNLIKELY(rc == -EAGAIN) && c->at == NULL && c->error == 0)
        rc = ipc_broadcast_check_lapped_(
            h, ck_pr_load_64(
                   ipc_ring_sequence_(ipc_ring_slot_(c->slots, c->mask, c->head, stride), stride)));
    return rc;
}

/* A lossy reader has read its message. 0, or -EOVERFLOW: part of that may have been the next. */
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

    if (h->how == IPC_BROADCAST_LOSSLESS)
        return ipc_spsc_take_(&h->s, message, bytes, published);
    rc = ipc_broadcast_data_(h, bytes);
    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
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
    if (h->how == IPC_BROADCAST_LOSSY)
        return ipc_broadcast_revalidate_(
            h, ipc_ring_slot_(h->s.slots, h->s.mask, h->s.head, stride), stride);
    (void)ipc_spsc_advance_(&h->s);
    return 0;
}

/*
 * Copies the next message out. Wait-free, and holds back at times, as ipc_spsc_pop. Other readers
 * do not matter; a writer that is stopped or dead lets it run empty.
 *
 *   0
 *   -EAGAIN     there is none yet
 *   -EOVERFLOW  lossy: the writer has overwritten what was next. Told once for each time; the next
 *               call goes on, ipc_broadcast_missed says how many were left out in all. That is at
 * the oldest message still whole; after losses without an -EAGAIN in between up to half the
 * capacity newer, or a fast writer would be there again at once, for ever. -EMSGSIZE   bytes is not
 * the message size -EBADMSG    the shared memory is corrupt; sticks
 */
IPC_INLINE int ipc_broadcast_pop(struct ipc_broadcast_consumer *c, void *message, size_t bytes)
{
    return bytes == c->s.bytes || c->s.error != 0 ? ipc_broadcast_pop_(c, message, bytes)
                                                  : -EMSGSIZE;
}

/* Copies up to n messages out, as ipc_spsc_pop_n; with the errors of ipc_broadcast_pop. They are in
 * a row: a loss ends the call, and is told by the next. */
IPC_INLINE int64_t ipc_broadcast_pop_n(struct ipc_broadcast_consumer *c, void *messages,
                                       size_t bytes, size_t n)
{
    return bytes == c->s.bytes || c->s.error != 0 ? ipc_broadcast_pop_n_(c, messages, n, bytes)
                                                  : -EMSGSIZE;
}

/*
 * Pop without a copy: peek gives the next message in place, or NULL: there is none, or the writer
 * overwrote it (peek again: ipc_broadcast_missed has grown), or ipc_broadcast_consumer_error. Of a
 * lossless one it stays as it is until released. Of a lossy one it may change while it is read:
 * read, then release, and use what was read only if that returns 0. All wait-free.
 */
IPC_INLINE const void *ipc_broadcast_peek(struct ipc_broadcast_consumer *c)
{
    return ipc_broadcast_peek_(c, (size_t)c->s.bytes);
}

/* Done with the peeked message. 0; -EINVAL when nothing can have been peeked; lossy: -EOVERFLOW, it
 * was overwritten meanwhile, as of ipc_broadcast_pop. */
IPC_INLINE int ipc_broadcast_release(struct ipc_broadcast_consumer *c)
{
    return ipc_broadcast_release_(c, (size_t)c->s.bytes);
}

/* How many messages this reader has missed since it attached. Exact: what it was given and what it
 * missed are all that were sent, up to the last it was given. Wait-free. */
IPC_INLINE uint64_t ipc_broadcast_missed(const struct ipc_broadcast_consumer *c)
{
    return c->missed;
}

/* 0, or -EBADMSG once the shared memory was found corrupt. */
IPC_INLINE int ipc_broadcast_consumer_error(const struct ipc_broadcast_consumer *c)
{
    return c->s.error;
}

#endif
