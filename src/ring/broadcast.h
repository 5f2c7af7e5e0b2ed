/*
 * Broadcasts: slots that every reader sees.
 *
 * Lossless: the writer waits for the slowest reader that is not proven dead. Each reader has a seat
 * with its position; the writer looks at all of them once a lap.
 * Lossy: the writer never waits. It marks a slot's sequence before it overwrites the slot, and a
 * reader looks at the sequence again after its copy (a seqlock for each slot).
 *
 *   word           from               to             made by
 *   sequence of p  p+1-capacity or 0  BUSY | p+1     lossy: the writer; store, store fence after it
 *                  BUSY | p+1         p+1            lossy: the writer; store fence, store
 *                  p+1-capacity or 0  p+1            lossless: the writer; store fence, store
 *   ring head      t                  t' > t         lossy: the writer, after each message; store
 *                                                    lossless: the writer, before it looks at the
 *                                                    seats; store fence, store, store-load fence
 *   a seat's id    0                  id             a reader that attaches; compare-and-swap
 *                  id                 0              its reader, after a release fence; or, if that
 *                                                    is dead, the writer, before an acquire fence,
 *                                                    or a reader that finds no free seat, after a
 *                                                    release fence; compare-and-swap
 *   a seat's head  anything           NOWHERE        a reader that attaches; release fence, store
 *                  NOWHERE            JOINING        the same, after `reader`; store fence, store,
 *                                                    store-load fence after it
 *                  JOINING            h              the same, at the tail h that it found
 *                  JOINING            tail           the writer, when it looks at the seats. Both
 *                                                    by compare-and-swap
 *                  h                  h' > h         its reader, when it is done with all below h';
 *                                                    release fence, store
 *   a seat's       another's id, 0    id             a reader that attaches, after NOWHERE; store
 *   reader
 *                  id                 0              its reader, before it frees the seat; release
 *                                                    fence, compare-and-swap
 *
 * Lossless: a seat's head is its holder's only if `reader` is the holder. If it is not, or if the
 * head is NOWHERE, the writer ignores the seat. (If it sees `reader` before NOWHERE, it takes an
 * older position for that of the reader, and may be refused until it sees NOWHERE. That needs no
 * fence.)
 *
 * When a reader is JOINING, the two store-load fences let either the writer see that, or the reader
 * the writer's new head. A writer that sees it lets the reader begin at the tail. If the reader
 * finds the tail first, no writer has looked since the ring head from which the reader searched, so
 * nothing from that head on was overwritten. Either way the reader begins at a tail, nothing from
 * there on is overwritten, and the writer has room for a whole capacity before it waits for that
 * reader, even if the reader is stopped before it knows where it begins.
 */
#ifndef IPC_SRC_RING_BROADCAST_H
#define IPC_SRC_RING_BROADCAST_H 1

#include "spsc.h"

/* ------------------------------------------------------------------ broadcast: layout */

#define IPC_BROADCAST_TYPE 0x74736163u                   /* "cast" */
#define IPC_BROADCAST_MAGIC UINT64_C(0x31747361635f6369) /* "ic_cast1" */
#define IPC_BROADCAST_SEATS 64u

/* How a broadcast is made: ipc_broadcast_init. */
#define IPC_BROADCAST_LOSSLESS 0u /* the writer waits for the slowest reader */
#define IPC_BROADCAST_LOSSY 1u    /* the writer overwrites what a slow reader has not read */
/* With LOSSY, for sleepers (ipc_notify.h): each send, and each post, wakes readers that may only
 * read the memory. Without it they look once a millisecond. */
#define IPC_BROADCAST_WAKES_READ_ONLY 2u
/* In the word of the bell: IPC_NOTIFY_UNASKED_. */
#define IPC_BROADCAST_UNASKED_ 128u

/* The position of a reader of a lossless broadcast, on a line of its own. */
struct ipc_broadcast_seat_ {
    uint64_t head;   /* `reader` has read all below it; or one of these: */
    uint64_t reader; /* the id of the process whose position that is, or was */
    unsigned char pad[48];
};

/* Above all positions. */
#define IPC_BROADCAST_NOWHERE_ (~UINT64_C(1)) /* `reader` may be the seat's last holder */
#define IPC_BROADCAST_JOINING_ (~UINT64_C(0)) /* it has no position yet */

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_broadcast_shared {
    /* As of a ring with one end: end[0] is the writer's, end[1] is 0, and `head` is a position of
     * the writer, at most a lap behind its tail. */
    struct ipc_spsc_shared s;
    uint64_t id[IPC_BROADCAST_SEATS]; /* the holder of each seat, as in core.h */
    struct ipc_broadcast_seat_ seat[IPC_BROADCAST_SEATS];
    /* capacity slots of ipc_ring_stride_(bytes) each */
};

IPC_RING_ASSERT_(cast_id, offsetof(struct ipc_broadcast_shared, id) == 384)
IPC_RING_ASSERT_(cast_size, sizeof(struct ipc_broadcast_shared) == 384 + 72 * IPC_BROADCAST_SEATS)

/* In a sequence of a lossy broadcast: the message of that position is being written. */
#define IPC_BROADCAST_BUSY_ (UINT64_C(1) << 63)

/* When a lossless writer is refused, it asks the kernel whether the readers in its way are dead:
 * at the first refusal, unless it has asked within the last ASK_APART positions, or 1,024 times
 * the capacity; then after ASK_AGAIN refusals in a row, and after every ASK_EVERY. A question takes
 * as long as hundreds of messages, and a writer that is faster than its readers is refused all the
 * time. */
#define IPC_BROADCAST_ASK_APART_ 1048576u
#define IPC_BROADCAST_ASK_AGAIN_ 64u
#define IPC_BROADCAST_ASK_EVERY_ 1024u

IPC_INLINE struct ipc_ring_kind_ ipc_broadcast_kind_(size_t bytes)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a broadcast; magic";
    kind.magic = IPC_BROADCAST_MAGIC;
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

IPC_INLINE int ipc_broadcast_is_valid_how_(unsigned how)
{
    return how <= IPC_BROADCAST_LOSSY ||
           how == (IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY);
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
 * IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY.
 *
 *   0
 *   -EINVAL, -ENOSPC  as of ipc_spsc_init; -EINVAL also for any other `how`
 */
IPC_INLINE int ipc_broadcast_init(void *mem, size_t size, size_t bytes, uint64_t capacity,
                                  unsigned how)
{
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes);

    return ipc_broadcast_init_(mem, size, &kind, bytes, capacity, how);
}

/* ------------------------------------------------------------------ broadcast: handles */

/* What a lossless writer knows of its readers. */
struct ipc_broadcast_readers_ {
    struct ipc_broadcast_shared *ring;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    uint64_t ask_from; /* a first refusal asks the kernel from this position on */
    unsigned refused;  /* how often in a row a reader left no room */
};

/* Private to their thread; no field is for the caller. */
struct ipc_broadcast_producer {
    struct ipc_spsc_producer
        s; /* at its limit it looks for the slowest reader; a lossy one never gets there */
    struct ipc_broadcast_readers_ readers;
    struct ipc_broadcast_shared *ring;
    unsigned how;
};

struct ipc_broadcast_consumer {
    /* Lossless: a consumer that publishes its position in its seat. Lossy: `at` is NULL, and it
     * publishes nothing. */
    struct ipc_spsc_consumer s;
    struct ipc_broadcast_shared *ring;
    uint64_t *seat;   /* ring->id[...], our own; or NULL */
    uint64_t missed;  /* messages, so far */
    uint64_t skip;    /* how many more messages it leaves out if it is lapped again */
    int loss_pending; /* a loss was found after messages that a call returned: the next reports it
                       */
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

/* Checks what begins with a broadcast's header, as ipc_ring_check_. *how: LOSSLESS or LOSSY. A
 * process that may only read can attach to an end that `reads`, if the broadcast is lossy. */
IPC_INLINE int ipc_broadcast_check_(void *mem, size_t size, const struct ipc_ring_kind_ *kind,
                                    size_t bytes, struct ipc_peer *me, int reads,
                                    uint64_t *capacity, unsigned *how)
{
    int rc = ipc_ring_check_reader_(mem, size, kind, bytes, me, capacity);

    if (rc != 0)
        return rc;
    *how = ck_pr_load_32(&((const struct ipc_broadcast_shared *)mem)->s.is.how);
    if (!ipc_broadcast_is_valid_how_(*how))
        return ipc_ring_refuse_(me, -EPROTO, "broadcast of a kind not known here", *how,
                                IPC_BROADCAST_LOSSY);
    *how &= IPC_BROADCAST_LOSSY;
    if (ipc_ring_is_read_only_(me) && (!reads || *how != IPC_BROADCAST_LOSSY))
        return ipc_ring_refuse_read_only_(me);
    return 0;
}

IPC_INLINE struct ipc_broadcast_readers_
ipc_broadcast_list_readers_(struct ipc_broadcast_shared *r, const struct ipc_peer *me,
                            uint64_t tail)
{
    struct ipc_broadcast_readers_ readers;

    readers.ring = r;
    readers.alive = me != NULL ? me->alive : NULL;
    readers.arg = me != NULL ? me->arg : NULL;
    readers.ask_from = tail;
    readers.refused = 0;
    return readers;
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
    uint64_t capacity, tail, id = ipc_ring_id_of_(me);
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes);
    unsigned how = 0;
    int rc = ipc_broadcast_check_(mem, size, &kind, bytes, me, 0, &capacity, &how);

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
    ipc_ring_copier_begin_(&p->copier, capacity * bytes);
    tail = ck_pr_load_64(&r->s.head);
    p->tail = tail + ipc_spsc_count_full_(p->slots, p->mask, tail, ipc_ring_stride_(bytes));
    p->limit = how == IPC_BROADCAST_LOSSY ? p->tail - 1 : p->tail;
    h->readers = ipc_broadcast_list_readers_(r, me, p->tail);
    /* Without it a reader could see that we overwrite a message before it sees what the last writer
     * wrote. Partner: the load fence in ipc_broadcast_check_lapped_. */
    ck_pr_fence_release();
    return 0;
}

/* Frees the seats of all dead readers; if `only` is not 0, those of that one. Returns how many. */
IPC_INLINE int64_t ipc_broadcast_free_dead_readers_(struct ipc_broadcast_shared *r,
                                                    int (*alive)(void *, uint64_t), void *arg,
                                                    uint64_t only)
{
    int64_t freed = 0;
    unsigned i;

    for (i = 0; i < IPC_BROADCAST_SEATS; i++) {
        uint64_t id = ck_pr_load_64(&r->id[i]);

        if (id == 0 || (only != 0 && id != only) || !ipc_ring_is_dead_(alive, arg, id))
            continue;
        /* Without it the writer could see the seat's next holder, and overwrite what the dead one,
         * as the kernel orders it, still reads. Partner: the acquire fence in
         * ipc_broadcast_find_slowest_reader_. */
        ck_pr_fence_release();
        freed += ck_pr_cas_64(&r->id[i], id, 0);
    }
    return freed;
}

/* Takes a seat for a reader, which the writer sees from now on. 0, or -EUSERS. */
IPC_INLINE int ipc_broadcast_take_seat_(struct ipc_broadcast_shared *r, struct ipc_peer *me,
                                        uint64_t id, unsigned *seat)
{
    unsigned n = ipc_ring_take_any_end_(r->id, sizeof r->id[0], IPC_BROADCAST_SEATS, NULL, id);

    if (n == IPC_BROADCAST_SEATS && me != NULL) {
        (void)ipc_broadcast_free_dead_readers_(r, me->alive, me->arg, 0); /* or others do */
        n = ipc_ring_take_any_end_(r->id, sizeof r->id[0], IPC_BROADCAST_SEATS, NULL, id);
    }
    if (n == IPC_BROADCAST_SEATS)
        return ipc_ring_refuse_(me, -EUSERS, "every reader's seat is taken; seats",
                                IPC_BROADCAST_SEATS, IPC_BROADCAST_SEATS);
    *seat = n;
    /* Without it the writer could take this position as the word of the seat's last holder, which
     * still reads behind it. Partner: the acquire fence in ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_release();
    ck_pr_store_64(&r->seat[n].head, IPC_BROADCAST_NOWHERE_);
    ck_pr_store_64(&r->seat[n].reader, id);
    /* Without it the writer could let us begin, and ignore us at its next look. Partner: the
     * store-load fence in ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_store();
    ck_pr_store_64(&r->seat[n].head, IPC_BROADCAST_JOINING_);
    /* Without it the writer could miss our seat, and we the head that it stored before: then what
     * we begin with is overwritten. Partner: the fence in ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_store_load();
    return 0;
}

/* A reader that is joining has found the tail: begins there, or where the writer has let it begin
 * meanwhile. Returns that position. */
IPC_INLINE uint64_t ipc_broadcast_begin_at_(uint64_t *at, uint64_t tail)
{
    return ck_pr_cas_64(at, IPC_BROADCAST_JOINING_, tail) ? tail : ck_pr_load_64(at);
}

/* Frees the seat of `id`, whose word of the holder is *end. Does nothing if another process was
 * told that we are dead and took it. */
IPC_INLINE void ipc_broadcast_leave_seat_(struct ipc_broadcast_shared *r, uint64_t *end,
                                          uint64_t id)
{
    /* Without it the writer could overwrite what we still read. Partner: the acquire fence in
     * ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_release();
    /* Before the seat is free, as its next holder may be a handle of the same process. */
    (void)ck_pr_cas_64(&r->seat[end - r->id].reader, id, 0);
    ipc_ring_leave_end_(end, id);
}

/*
 * Attaches a reader. It sees every message that is sent afterwards, and those that are being sent
 * meanwhile. In a lossy broadcast it may see, or miss, the last message before. A lossless
 * broadcast has 64 seats for readers, and the writer has room for a whole capacity before it waits
 * for one that has just joined, also if that is stopped in here. A lossy one has any number of
 * readers, and they write nothing: memory without write access, and a `me` whose id is
 * IPC_PEER_READ_ONLY, do. Lock-free. `me`, and what a refused handle does: as for
 * ipc_spsc_producer_attach.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO  as of ipc_spsc_producer_attach
 *   -EUSERS  lossless: 64 readers are attached that are not proven dead
 *   -EROFS   lossless: me->id is IPC_PEER_READ_ONLY
 */
IPC_INLINE int ipc_broadcast_consumer_attach(struct ipc_broadcast_consumer *h, void *mem,
                                             size_t size, size_t bytes, struct ipc_peer *me)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)mem;
    struct ipc_spsc_consumer *c = &h->s;
    uint64_t capacity, head, id = ipc_ring_id_of_(me);
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes);
    unsigned how = 0, seat;
    int rc = ipc_broadcast_check_(mem, size, &kind, bytes, me, 1, &capacity, &how);

    (void)ipc_broadcast_consumer_disable_(h, rc);
    if (rc != 0)
        return rc;
    if (how == IPC_BROADCAST_LOSSLESS) {
        rc = ipc_broadcast_take_seat_(r, me, id, &seat);
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
    h->ring = r;
    h->how = how;
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
    if (p->ring != NULL)
        ipc_ring_leave_end_(&p->ring->s.end[0], p->s.id);
    (void)ipc_broadcast_producer_disable_(p, -EINVAL);
}

/* Detaches a reader: the writer does not wait for it any more. Wait-free. */
IPC_INLINE void ipc_broadcast_consumer_detach(struct ipc_broadcast_consumer *c)
{
    if (c->seat != NULL)
        ipc_broadcast_leave_seat_(c->ring, c->seat, c->s.id);
    (void)ipc_broadcast_consumer_disable_(c, -EINVAL);
}

/* ------------------------------------------------------------------ broadcast: writing */

/* Is the writer to ask the kernel about readers that leave no room at this tail? If so, it may find
 * them alive, and then need not ask so soon again. */
IPC_INLINE int ipc_broadcast_is_to_ask_(const struct ipc_broadcast_readers_ *g, uint64_t tail)
{
    if (g->refused == 0)
        return (int64_t)(tail - g->ask_from) >= 0;
    return g->refused % IPC_BROADCAST_ASK_EVERY_ == IPC_BROADCAST_ASK_AGAIN_;
}

/* The position of a seat's holder, whose id *id is set to; JOINING; or NOWHERE: the seat is free,
 * or the writer ignores it. */
IPC_INLINE uint64_t ipc_broadcast_find_position_(const struct ipc_broadcast_shared *r, unsigned i,
                                                 uint64_t *id)
{
    *id = ck_pr_load_64(&r->id[i]);
    if (*id == 0 || ck_pr_load_64(&r->seat[i].reader) != *id)
        return IPC_BROADCAST_NOWHERE_;
    return ck_pr_load_64(&r->seat[i].head);
}

/* A lossless writer has reached its limit, and needs `need` positions behind its tail: looks how
 * far the slowest reader is, and frees the seats of dead ones. Sets the limit and returns 0, or
 * -EAGAIN.
 */
IPC_RING_NOINLINE_ int
ipc_broadcast_find_slowest_reader_(struct ipc_broadcast_readers_ *g, uint64_t tail, uint64_t mask,
                                   uint64_t need, uint64_t *limit)
{
    struct ipc_broadcast_shared *r = g->ring;
    uint64_t most = 0; /* how far the slowest reader is behind */
    unsigned i, blocked = 0;
    int ask = ipc_broadcast_is_to_ask_(g, tail);

    /* Without it a reader could begin at this head, and find slots that are older. Partner: the
     * load fence in ipc_broadcast_consumer_attach. */
    ck_pr_fence_store();
    ck_pr_store_64(&r->s.head, tail);
    /* Without it we could miss the seat of a reader that attaches, and it could miss this head.
     * Partner: the fence in ipc_broadcast_take_seat_. */
    ck_pr_fence_store_load();
    for (i = 0; i < IPC_BROADCAST_SEATS; i++) {
        uint64_t id, behind, head = ipc_broadcast_find_position_(r, i, &id);

        if (head == IPC_BROADCAST_NOWHERE_)
            continue;
        if (head == IPC_BROADCAST_JOINING_)
            head = ipc_broadcast_begin_at_(&r->seat[i].head, tail);
        behind = tail - head;
        if (behind <= mask + 1 - need)
            most = behind > most ? behind : most;
        else if (!ask || !ipc_ring_is_dead_(g->alive, g->arg, id) ||
                 !ck_pr_cas_64(&r->id[i], id, 0))
            blocked = 1;
    }
    if (blocked) {
        g->refused++;
        if (ask)
            g->ask_from = tail + (mask < IPC_BROADCAST_ASK_APART_ / 1024 ? IPC_BROADCAST_ASK_APART_
                                                                         : 1024 * (mask + 1));
        return -EAGAIN;
    }
    /* Without it a slot could be written that a reader still reads. Partners: ipc_spsc_publish_,
     * ipc_record_publish_, ipc_broadcast_leave_seat_, ipc_broadcast_take_seat_, or, if the reader
     * was killed, ipc_broadcast_free_dead_readers_ and the kernel. */
    ck_pr_fence_acquire();
    g->refused = 0;
    *limit = tail - most + mask + 1;
    return 0;
}

/* Lets the next look for the slowest reader ask the kernel. */
IPC_INLINE void ipc_broadcast_ask_(struct ipc_broadcast_readers_ *g)
{
    g->refused = IPC_BROADCAST_ASK_AGAIN_;
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

/* As ipc_broadcast_was_readers. */
IPC_INLINE unsigned ipc_broadcast_count_readers_(const struct ipc_broadcast_readers_ *g)
{
    unsigned i, n = 0;

    for (i = 0; g->ring != NULL && i < IPC_BROADCAST_SEATS; i++) {
        uint64_t id;

        n += ipc_broadcast_find_position_(g->ring, i, &id) < IPC_BROADCAST_NOWHERE_;
    }
    return n;
}

/* How far the slowest reader is behind the tail, at most `most`, and its id. */
IPC_INLINE uint64_t ipc_broadcast_find_most_behind_(const struct ipc_broadcast_readers_ *g,
                                                    uint64_t tail, uint64_t most, uint64_t *id)
{
    uint64_t behind = 0;
    unsigned i;

    *id = 0;
    for (i = 0; g->ring != NULL && i < IPC_BROADCAST_SEATS; i++) {
        uint64_t holder, head = ipc_broadcast_find_position_(g->ring, i, &holder);

        if (head >= IPC_BROADCAST_NOWHERE_ || tail - head <= behind)
            continue;
        behind = tail - head < most ? tail - head : most;
        *id = holder;
    }
    return behind;
}

/*
 * How many messages the slowest reader of a lossless broadcast had still to read, at some moment
 * during the call; and in *id which process it is, for struct ipc_peer's alive (~0: one without an
 * ipc_peer). That is too many by those that it read and has not published yet, at most an eighth
 * of the capacity. 0, and *id 0: every reader had read all, or there was none. A reader that died
 * counts until its seat is freed. Lossy: always 0. Wait-free; looks at 64 seats: for monitoring,
 * not for each message.
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
    struct ipc_broadcast_readers_ *g = &p->readers;

    return g->ring != NULL ? ipc_broadcast_free_dead_readers_(g->ring, g->alive, g->arg, id) : 0;
}

/* ------------------------------------------------------------------ broadcast: reading */

/* A lossy reader finds another sequence in the slot than that of its next message. -EAGAIN: the
 * message is not there yet. -EOVERFLOW: the reader was lapped, and moves on to the oldest message
 * that is whole. Or -EBADMSG. */
IPC_INLINE int ipc_broadcast_check_lapped_(struct ipc_broadcast_consumer *h, uint64_t sequence)
{
    struct ipc_spsc_consumer *c = &h->s;
    uint64_t end = sequence & ~IPC_BROADCAST_BUSY_, laps = end - (c->head + 1), half, tail;

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
    rc = ipc_spsc_look_ahead_(c, stride, 0);
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

/* Releases the peeked message. 0; -EINVAL when none can have been peeked; lossy: -EOVERFLOW when it
 * was overwritten meanwhile, as of ipc_broadcast_pop. */
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

/* 0, or -EBADMSG once the shared memory was found corrupt. */
IPC_INLINE int ipc_broadcast_consumer_error(const struct ipc_broadcast_consumer *c)
{
    return c->s.error;
}

#endif
