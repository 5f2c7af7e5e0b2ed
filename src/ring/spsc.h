/*
 * SPSC: slots for one producer and one consumer.
 *
 * Each slot is payload followed by a sequence number in the same cache line (the last one, if it
 * has several). The consumer polls the slot itself, so a message crosses in one line transfer. It
 * publishes its position `head` now and then; the producer reads that only when its private limit
 * says that the ring is full.
 *
 *     slot of position p:  [ p+1-capacity or 0 ] --producer: payload, fence, p+1--> [ p+1 ]
 *                             ^                                                        |
 *                             '---- consumer: copies out, later publishes head > p ----'
 *
 *   word           from           to     made by
 *   sequence of p  p+1-capacity   p+1    the producer, when head > p-capacity: store fence, store
 *                  or 0                  (ipc_spsc_send_)
 *   head           h              h' > h the consumer, when it is done with all below h': release
 *                                        fence, store (ipc_spsc_publish_)
 *
 * No other process stores either. So from head on slots are full up to the producer's tail, and not
 * beyond, and a new producer finds its tail by bisection.
 *
 * Two costs remain, both of a line that is touched while the other core works on it. The producer
 * asks for lines ahead of time with write intent. The consumer looks far ahead first: if that slot
 * is full, the whole run before it is full too (B-Queue: J. Wang, K. Zhang, X. Tang, B. Hua,
 * "B-Queue: Efficient and Practical Queuing for Fast Core-to-Core Communication", 2013). A consumer
 * that has caught up with a streaming producer holds back a little, as long as each look then finds
 * several messages: so it does not fight over the line that is being written. It does not hold back
 * if its last look found the ring empty: a lone message is not delayed.
 */
#ifndef IPC_SRC_RING_SPSC_H
#define IPC_SRC_RING_SPSC_H 1

#include "spsc_layout.h"

/* ------------------------------------------------------------------ spsc: handles */

/* Private to their thread; no field is for the caller. */
struct ipc_spsc_producer {
    IPC_RING_APART_(before);
    unsigned char *slots;
    uint64_t mask;
    uint64_t tail;  /* next position to write */
    uint64_t limit; /* positions below are known to be free */
    uint64_t bytes;
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int error; /* sticks; then tail == limit */
    struct ipc_ring_self_ self;
    struct ipc_ring_trials_ trials;
    /* How many messages before tail are copied in and not published. If there are any, limit ==
     * tail, so that any other call that needs a slot comes to ipc_spsc_find_room_ first. */
    uint64_t put_off;
    uint64_t limit_then; /* what limit was */
    IPC_RING_APART_(after);
};

struct ipc_spsc_consumer {
    IPC_RING_APART_(before);
    unsigned char *slots;
    uint64_t mask;
    uint64_t head;      /* next position to read */
    uint64_t ready;     /* positions below are known to be full */
    uint64_t published; /* what *at says */
    uint64_t replay;    /* head - published never exceeds it when a call returns */
    uint64_t *at;       /* where it is published: ring->head; of broadcasts, NULL: nowhere */
    uint64_t bytes;
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int idle;        /* the last look found nothing; 2: and all is published */
    uint64_t empty;  /* if idle is 2: the sequence at head that said so */
    unsigned pauses; /* ck_pr_stall()s before the next look */
    int error;       /* sticks; then head == ready */
    struct ipc_ring_self_ self;
    IPC_RING_APART_(after);
};

/* ------------------------------------------------------------------ spsc: attach and detach */

/* How many slots are full from position `from` on, found by bisection. At most mask + 1, whatever
 * the memory says. */
IPC_INLINE uint64_t ipc_spsc_count_full_(unsigned char *slots, uint64_t mask, uint64_t from,
                                         size_t stride)
{
    uint64_t low = 0, high = mask + 1;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2, p = from + middle;

        if (ck_pr_load_64(ipc_ring_sequence_(ipc_ring_slot_(slots, mask, p, stride), stride)) ==
            p + 1)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Makes a handle that answers every call with rc, and does not touch the ring. */
IPC_INLINE int ipc_spsc_producer_disable_(struct ipc_spsc_producer *p, int rc)
{
    memset(p, 0, sizeof *p);
    ipc_ring_begin_self_(&p->self, NULL, NULL);
    p->error = rc;
    return rc;
}

IPC_INLINE int ipc_spsc_consumer_disable_(struct ipc_spsc_consumer *c, int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->self, NULL, NULL);
    c->error = rc;
    return rc;
}

/* Finds where a producer goes on that has just taken its end. */
IPC_INLINE void ipc_spsc_find_tail_(struct ipc_spsc_producer *p)
{
    uint64_t head = ck_pr_load_64(&p->ring->head);

    /* Without it slots could be written that head does not free yet. Partner: ipc_spsc_publish_. */
    ck_pr_fence_acquire();
    p->limit = head + p->mask + 1;
    p->tail = head + ipc_spsc_count_full_(p->slots, p->mask, head,
                                          ipc_ring_stride_((size_t)p->bytes));
    p->put_off = 0;
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_spsc_producer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_spsc_producer *p = (struct ipc_spsc_producer *)handle;

    if (me == NULL)
        return ipc_spsc_producer_disable_(p, -ECHILD);
    p->id = me->id;
    if (ipc_ring_take_end_(&p->ring->end[0], me, me->id) != 0)
        return -EBUSY;
    ipc_spsc_find_tail_(p);
    return 0;
}

/*
 * Attaches the producer's end of the ring in mem[0..size), whose messages have `bytes` bytes. After
 * a producer that died it goes on behind the last message that one committed. `me` may be NULL: see
 * struct ipc_peer. Lock-free; not for the path of a message. A handle that was refused answers push
 * with that error; a handle that was detached, with -EINVAL. One that is attached must be detached
 * first: see NAME_END_attach.
 *
 *   0
 *   -EINVAL  mem is NULL or not 64-byte aligned, size or bytes too small, or me->id is 0 or ~0
 *   -EAGAIN  the ring is not initialised yet
 *   -EPROTO  the ring has another message size, version, byte order or layout; me->why names it
 *   -EBUSY   a producer that is not proven dead is attached
 *   -EROFS   me->id is IPC_PEER_READ_ONLY
 */
IPC_INLINE int ipc_spsc_producer_attach(struct ipc_spsc_producer *p, void *mem, size_t size,
                                        size_t bytes, struct ipc_peer *me)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_spsc_kind_(bytes);
    uint64_t capacity, id = ipc_ring_id_of_(me);
    int rc = ipc_ring_check_(mem, size, &kind, bytes, me, &capacity);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->end[0], me, id);
    if (rc != 0)
        return ipc_spsc_producer_disable_(p, rc);
    p->slots = (unsigned char *)mem + sizeof *r;
    p->mask = capacity - 1;
    p->bytes = bytes;
    p->ring = r;
    p->id = id;
    p->error = 0;
    ipc_ring_begin_self_(&p->self, me, ipc_spsc_producer_renew_);
    ipc_ring_trials_begin_(&p->trials, capacity * bytes);
    ipc_spsc_find_tail_(p);
    return 0;
}

/* Lets a consumer that has just attached begin at `head`. */
IPC_INLINE void ipc_spsc_begin_at_(struct ipc_spsc_consumer *c, uint64_t head)
{
    c->idle = 1;
    c->head = c->ready = c->published = head;
    c->replay = (c->mask + 1) / 8 < 256 ? (c->mask + 1) / 8 : 256;
}

/* The consumer's end was just taken by a child, or another has had it in between: goes on at the
 * position that the handle has, or where another was later. */
IPC_INLINE void ipc_spsc_find_head_(struct ipc_spsc_consumer *c)
{
    uint64_t head = ck_pr_load_64(c->at);

    if (head != c->published)
        c->head = c->published = head;
    c->ready = c->head;
    c->idle = 1;
    c->pauses = 0;
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_spsc_consumer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_spsc_consumer *c = (struct ipc_spsc_consumer *)handle;

    if (me == NULL)
        return ipc_spsc_consumer_disable_(c, -ECHILD);
    c->id = me->id;
    if (ipc_ring_take_end_(&c->ring->end[1], me, me->id) != 0)
        return -EBUSY;
    ipc_spsc_find_head_(c);
    return 0;
}

/*
 * Attaches the consumer's end; as ipc_spsc_producer_attach, with the same errors. It starts at the
 * last published position: what a killed consumer took after that is seen again. Until
 * ipc_spsc_replay says otherwise that is an eighth of the capacity at most, and never more than
 * 256.
 */
IPC_INLINE int ipc_spsc_consumer_attach(struct ipc_spsc_consumer *c, void *mem, size_t size,
                                        size_t bytes, struct ipc_peer *me)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_spsc_kind_(bytes);
    uint64_t capacity, id = ipc_ring_id_of_(me);
    int rc = ipc_ring_check_(mem, size, &kind, bytes, me, &capacity);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->end[1], me, id);
    if (rc != 0)
        return ipc_spsc_consumer_disable_(c, rc);
    c->slots = (unsigned char *)mem + sizeof *r;
    c->mask = capacity - 1;
    c->bytes = bytes;
    c->ring = r;
    c->id = id;
    c->error = 0;
    c->pauses = 0;
    ipc_ring_begin_self_(&c->self, me, ipc_spsc_consumer_renew_);
    c->at = &r->head;
    ipc_spsc_begin_at_(c, ck_pr_load_64(c->at));
    return 0;
}

/* Publishes the consumer's position: it is done with all messages below. If the last one is still
 * in the caller's hand, and may be seen again, publishes the position of that one. */
IPC_FORCE_INLINE void ipc_spsc_publish_taken_(struct ipc_spsc_consumer *c, int in_hand)
{
    uint64_t head;

    /* Without it the producer could overwrite a message that is still being read. Partners: the
     * acquire fences in ipc_spsc_producer_attach, ipc_spsc_find_room_ and
     * ipc_broadcast_find_slowest_reader_.
     */
    ck_pr_fence_release();
    head = c->head - (in_hand && c->replay > 0);
    ck_pr_store_64(c->at, head);
    c->published = head;
}

IPC_INLINE void ipc_spsc_publish_(struct ipc_spsc_consumer *c)
{
    ipc_spsc_publish_taken_(c, 0);
}

/*
 * Sets how many messages that were popped or released the successor of a killed consumer may see
 * again: at most n, among them the one that it had in its hand (ipc_spsc_pop). With 0 each message
 * is handed out once, and the one in the hand of a killed consumer is lost with it; that costs one
 * more store for each. What the killed consumer had peeked and not released is handed out again in
 * any case. A value that would let the ring run full unpublished is brought down to half the
 * capacity. Wait-free.
 */
IPC_INLINE void ipc_spsc_replay(struct ipc_spsc_consumer *c, uint64_t n)
{
    c->replay = n < (c->mask + 1) / 2 ? n : (c->mask + 1) / 2;
    if (c->head - c->published > c->replay && ipc_ring_is_ours_(&c->self))
        ipc_spsc_publish_(c);
}

/* The id of the process that holds the other end, for struct ipc_peer's alive; 0 for nobody, ~0 for
 * a process without an ipc_peer. Wait-free. */
IPC_INLINE uint64_t ipc_spsc_producer_peer(const struct ipc_spsc_producer *p)
{
    return p->ring != NULL ? ck_pr_load_64(&p->ring->end[1]) : 0;
}

IPC_INLINE uint64_t ipc_spsc_consumer_peer(const struct ipc_spsc_consumer *c)
{
    return c->ring != NULL ? ck_pr_load_64(&c->ring->end[0]) : 0;
}

/* Publishes the message in that slot, which is the one of tail. */
IPC_FORCE_INLINE void ipc_spsc_publish_slot_(unsigned char *slot, uint64_t tail, size_t stride)
{
    /* Without it the sequence could be seen before the payload. Partner: the load fence in
     * ipc_spsc_look_ahead_. */
    ck_pr_fence_store();
    ck_pr_store_64(ipc_ring_sequence_(slot, stride), tail + 1);
}

IPC_FORCE_INLINE void ipc_spsc_send_(struct ipc_spsc_producer *p, unsigned char *slot,
                                     uint64_t tail, size_t stride)
{
    ipc_spsc_publish_slot_(slot, tail, stride);
    p->tail = tail + 1;
}

/* Publishes what is put off, in order: a consumer that sees a message takes all before it for
 * published. */
IPC_RING_NOINLINE_ void ipc_spsc_publish_put_off_(struct ipc_spsc_producer *p)
{
    size_t stride = ipc_ring_stride_((size_t)p->bytes);
    uint64_t tail = p->tail - p->put_off;

    ipc_ring_settle_copies_();
    for (; p->put_off > 0; p->put_off--, tail++)
        ipc_spsc_send_(p, ipc_ring_slot_(p->slots, p->mask, tail, stride), tail, stride);
    p->limit = p->limit_then;
}

/* Detaches; the ring and its messages stay for the next holder. Wait-free. */
IPC_INLINE void ipc_spsc_producer_detach(struct ipc_spsc_producer *p)
{
    if (p->ring != NULL && ipc_ring_is_ours_(&p->self)) {
        if (p->put_off > 0)
            ipc_spsc_publish_put_off_(p);
        ipc_ring_detach_end_(&p->ring->end[0], p->id);
    }
    (void)ipc_spsc_producer_disable_(p, -EINVAL);
}

IPC_INLINE void ipc_spsc_consumer_detach(struct ipc_spsc_consumer *c)
{
    if (c->ring != NULL && ipc_ring_is_ours_(&c->self)) {
        if (c->head != c->published)
            ipc_spsc_publish_(c);
        ipc_ring_detach_end_(&c->ring->end[1], c->id);
    }
    (void)ipc_spsc_consumer_disable_(c, -EINVAL);
}

/* ------------------------------------------------------------------ spsc: the producer's path */

/* The private limit says that the ring is full: looks at the position that the consumer has
 * published. Sets limit beyond tail and returns 0, or -EAGAIN, or -EBADMSG. */
IPC_INLINE int ipc_spsc_find_room_(struct ipc_spsc_producer *p)
{
    uint64_t head;

    if (p->error != 0)
        return p->error;
    if (ipc_ring_is_forked_(&p->self)) {
        int rc = ipc_ring_settle_(&p->self, p);

        if (rc < 0 || p->tail != p->limit)
            return rc < 0 ? rc : 0;
    }
    if (p->put_off > 0) {
        ipc_spsc_publish_put_off_(p);
        if (p->tail != p->limit)
            return 0;
    }
    head = ck_pr_load_64(&p->ring->head);
    /* Without it a slot could be written before the consumer is seen to be done with it. Partner:
     * ipc_spsc_publish_. */
    ck_pr_fence_acquire();
    if (p->tail - head > p->mask + 1)
        return p->error = -EBADMSG;
    if (p->tail - head == p->mask + 1)
        return -EAGAIN;
    p->limit = head + p->mask + 1;
    return 0;
}

/* The slot to write next. Asks for the lines of a later slot with write intent, so that the stores
 * to it need not wait for them. If the consumer is not done with that slot, it fetches the lines
 * back, which costs time and nothing else. */
IPC_FORCE_INLINE unsigned char *ipc_spsc_next_slot_(const struct ipc_spsc_producer *p,
                                                    uint64_t tail, size_t stride)
{
    unsigned char *slot = ipc_ring_slot_(p->slots, p->mask, tail, stride);

    if (stride <= IPC_RING_PREFETCH_) {
        size_t slots = IPC_RING_PREFETCH_ / (stride > IPC_RING_LINE ? stride : IPC_RING_LINE), i;
        unsigned char *lead = ipc_ring_slot_(p->slots, p->mask, tail + slots, stride);

        for (i = 0; i < stride; i += IPC_RING_LINE)
            ck_pr_rfo(lead + i);
    }
    return slot;
}

/* Is there room for a message? 0, or the errors of ipc_spsc_push. */
IPC_FORCE_INLINE int ipc_spsc_room_(struct ipc_spsc_producer *p)
{
    return CK_CC_UNLIKELY(p->tail == p->limit || ipc_ring_is_forked_(&p->self))
               ? ipc_spsc_find_room_(p)
               : 0;
}

IPC_FORCE_INLINE void *ipc_spsc_claim_(struct ipc_spsc_producer *p, size_t bytes)
{
    return ipc_spsc_room_(p) == 0 ? ipc_spsc_next_slot_(p, p->tail, ipc_ring_stride_(bytes)) : NULL;
}

IPC_FORCE_INLINE int ipc_spsc_commit_(struct ipc_spsc_producer *p, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);

    if (CK_CC_UNLIKELY(p->tail == p->limit))
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&p->self)) && ipc_ring_settle_(&p->self, p) != 1)
        return p->error != 0 ? p->error : -EINVAL;
    ipc_spsc_send_(p, ipc_ring_slot_(p->slots, p->mask, p->tail, stride), p->tail, stride);
    return 0;
}

IPC_FORCE_INLINE int ipc_spsc_push_(struct ipc_spsc_producer *p, const void *message, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    unsigned char *slot;
    uint64_t tail;
    int rc = ipc_spsc_room_(p);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    tail = p->tail; /* kept in a register: fences make the compiler forget the rest */
    slot = ipc_spsc_next_slot_(p, tail, stride);
    ipc_ring_put_(&p->trials, slot, (const unsigned char *)message, bytes);
    ipc_spsc_send_(p, slot, tail, stride);
    return 0;
}

/* Are there messages put off, and may there be one more? Then there is a slot for it. */
IPC_FORCE_INLINE int ipc_spsc_may_put_off_(const struct ipc_spsc_producer *p)
{
    return p->put_off > 0 && p->tail != p->limit_then && p->put_off <= p->mask / 4 &&
           (p->put_off + 1) * p->bytes <= IPC_RING_PUT_OFF_ && !ipc_ring_is_forked_(&p->self);
}

/* Copies a message into the next slot, for which there is room. If the fence for that is dear, puts
 * it off, and the message with it. */
IPC_RING_NOINLINE_ void ipc_spsc_put_off_(struct ipc_spsc_producer *p, const void *message,
                                          size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    uint64_t tail = p->tail;
    unsigned char *slot = p->trials.way == IPC_RING_PAST_ /* else the line is fetched in vain */
                              ? ipc_ring_slot_(p->slots, p->mask, tail, stride)
                              : ipc_spsc_next_slot_(p, tail, stride);

    if (ipc_ring_copy_unsettled_(&p->trials, slot, (const unsigned char *)message, bytes)) {
        if (p->put_off++ == 0)
            p->limit_then = p->limit;
        p->limit = p->tail = tail + 1;
        return;
    }
    if (p->put_off > 0)
        ipc_spsc_publish_put_off_(p);
    ipc_spsc_send_(p, slot, tail, stride);
}

/* Short messages have no way that needs a dear fence. */
IPC_FORCE_INLINE int ipc_spsc_push_more_(struct ipc_spsc_producer *p, const void *message,
                                         size_t bytes)
{
    int rc;

    if (!IPC_RING_IS_PUT_OFF_(bytes) || ipc_ring_trials_rest_(&p->trials, bytes))
        return ipc_spsc_push_(p, message, bytes);
    rc = ipc_spsc_may_put_off_(p) ? 0 : ipc_spsc_room_(p);
    if (rc == 0)
        ipc_spsc_put_off_(p, message, bytes);
    return rc;
}

IPC_FORCE_INLINE int ipc_spsc_flush_(struct ipc_spsc_producer *p)
{
    if (p->put_off > 0 && p->error == 0 &&
        (!ipc_ring_is_forked_(&p->self) || ipc_ring_settle_(&p->self, p) >= 0) && p->put_off > 0)
        ipc_spsc_publish_put_off_(p);
    return p->error;
}

/* Sends 1 to n short messages, as many as are known to have room: one at least has. Returns how many.
 * A store waits until those before it have their lines, so the handle is written once for all. */
IPC_FORCE_INLINE size_t ipc_spsc_push_run_(struct ipc_spsc_producer *p, const unsigned char *m,
                                           size_t n, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes), i = 0;
    uint64_t tail = p->tail, room = p->limit - tail;

    do {
        unsigned char *slot = ipc_spsc_next_slot_(p, tail, stride);

        ipc_ring_put_(&p->trials, slot, m + i * bytes, bytes);
        ipc_spsc_publish_slot_(slot, tail++, stride);
    } while (++i < n && i < room && !ipc_ring_is_forked_(&p->self));
    p->tail = tail;
    return i;
}

IPC_FORCE_INLINE int64_t ipc_spsc_push_n_(struct ipc_spsc_producer *p, const void *messages,
                                          size_t n, size_t bytes)
{
    const unsigned char *m = (const unsigned char *)messages;
    size_t i = 0;
    int rc = 0;

    if (IPC_RING_IS_PUT_OFF_(bytes)) {
        for (; i < n && (rc = ipc_spsc_push_more_(p, m + i * bytes, bytes)) == 0; i++)
            ;
        (void)ipc_spsc_flush_(p);
    } else {
        while (i < n && (rc = ipc_spsc_room_(p)) == 0)
            i += ipc_spsc_push_run_(p, m + i * bytes, n - i, bytes);
    }
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Copies one message in. Wait-free. A consumer that is stopped or dead lets the ring run full.
 *
 *   0
 *   -EAGAIN    the ring is full
 *   -EMSGSIZE  bytes is not the ring's message size
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork another process goes on with this end, see struct ipc_ring_self_; sticks.
 *              The first call in a child may take up to a second
 */
IPC_INLINE int ipc_spsc_push(struct ipc_spsc_producer *p, const void *message, size_t bytes)
{
    return bytes == p->bytes || p->error != 0 ? ipc_spsc_push_(p, message, bytes) : -EMSGSIZE;
}

/* Copies up to n messages in, from an array. Messages of less than 256 bytes are visible to the
 * consumer one by one, longer ones at the latest when the call returns. If the producer is killed in
 * here, the first ones are there, and no part of another. Wait-free for a given n. Returns how many
 * went in (less than n: the ring is full), 0 for n = 0, or the errors of ipc_spsc_push when none
 * did. */
IPC_INLINE int64_t ipc_spsc_push_n(struct ipc_spsc_producer *p, const void *messages, size_t bytes,
                                   size_t n)
{
    return bytes == p->bytes || p->error != 0 ? ipc_spsc_push_n_(p, messages, n, bytes) : -EMSGSIZE;
}

/*
 * Push, with the hint that more is coming: as ipc_spsc_push, with the same errors, but the message
 * may stay invisible to the consumer until the next flush, push, push_n, claim or detach of this
 * handle. Between some cores long messages are best copied past the caches, and that takes a fence of
 * some hundred nanoseconds before a message is published; after this call one fence is enough for
 * several. At most 32 KiB, or a quarter of the ring, wait like that. A producer that is killed loses
 * what it had not published, as it loses what it had not committed; one that is stopped holds it
 * back; and if a child goes on with this end after fork, it is lost. Wait-free.
 *
 * flush publishes what is put off: call it before you wait for anything, or stop sending. 0, or the
 * error of the handle. Wait-free.
 */
IPC_INLINE int ipc_spsc_push_more(struct ipc_spsc_producer *p, const void *message, size_t bytes)
{
    return bytes == p->bytes || p->error != 0 ? ipc_spsc_push_more_(p, message, bytes) : -EMSGSIZE;
}

IPC_INLINE int ipc_spsc_flush(struct ipc_spsc_producer *p)
{
    return ipc_spsc_flush_(p);
}

/*
 * Push without a copy: claim gives the next slot to write to, aligned as the message needs, with
 * what an earlier lap left in it. NULL when the ring is full, or ipc_spsc_producer_error says why
 * not. Claiming again gives the same slot. Until commit nothing is shared: a producer that is
 * stopped or killed between the two costs nobody anything. All wait-free.
 */
IPC_INLINE void *ipc_spsc_claim(struct ipc_spsc_producer *p)
{
    return ipc_spsc_claim_(p, (size_t)p->bytes);
}

/* Sends the claimed slot. 0; -EINVAL when none can be claimed: the ring was full, or the process has
 * forked since; or -ECHILD. A commit too many invents a message, of what is in the slot. */
IPC_INLINE int ipc_spsc_commit(struct ipc_spsc_producer *p)
{
    return ipc_spsc_commit_(p, (size_t)p->bytes);
}

/* Gives a claimed slot back unsent. There is nothing to do for one producer; other rings differ. */
IPC_INLINE void ipc_spsc_cancel(struct ipc_spsc_producer *p)
{
    (void)p;
}

/* 0; -EBADMSG once the shared memory was found corrupt; -ECHILD once a call said so; or the error of
 * a handle that was refused or detached. Wait-free. */
IPC_INLINE int ipc_spsc_producer_error(const struct ipc_spsc_producer *p)
{
    return p->error;
}

/* How many messages were not known to be consumed, at some moment during the call. That is too many
 * by those that the consumer took and has not published yet. Wait-free. */
IPC_INLINE uint64_t ipc_spsc_producer_was_size(const struct ipc_spsc_producer *p)
{
    uint64_t size = p->ring != NULL ? p->tail - ck_pr_load_64(&p->ring->head) : 0;

    return size <= p->mask + 1 ? size : p->mask + 1;
}

/* ------------------------------------------------------------------ spsc: the consumer's path */

IPC_FORCE_INLINE int ipc_spsc_is_full_(const struct ipc_spsc_consumer *c, uint64_t position,
                                       size_t stride)
{
    unsigned char *slot = ipc_ring_slot_(c->slots, c->mask, position, stride);

    return ck_pr_load_64(ipc_ring_sequence_(slot, stride)) == position + 1;
}

IPC_FORCE_INLINE uint64_t ipc_spsc_sequence_at_head_(const struct ipc_spsc_consumer *c,
                                                     size_t stride)
{
    return ck_pr_load_64(
        ipc_ring_sequence_(ipc_ring_slot_(c->slots, c->mask, c->head, stride), stride));
}

/* The slot at head has that sequence, and is not full: publishes the position, unless the messages
 * before it are in the caller's hand, and checks that the sequence is of the lap before, or 0.
 * Returns -EAGAIN, or -EBADMSG. */
IPC_INLINE int ipc_spsc_found_empty_(struct ipc_spsc_consumer *c, uint64_t sequence, int in_hand)
{
    c->idle = 1;
    c->pauses = 0;
    if (c->at == NULL) /* lossy: the slot may be overwritten: ipc_broadcast_check_lapped_ */
        return -EAGAIN;
    if (sequence != 0 && sequence != c->head - c->mask)
        return c->error = -EBADMSG;
    if (in_hand)
        return -EAGAIN;
    if (c->published != c->head)
        ipc_spsc_publish_(c);
    c->idle = 2;
    c->empty = sequence;
    return -EAGAIN;
}

/* The known run is used up: looks for the next one. Sets ready beyond head and returns 0, or
 * -EAGAIN, or -EBADMSG. in_hand: as ipc_spsc_found_empty_. */
IPC_RING_NOINLINE_ int ipc_spsc_look_ahead_(struct ipc_spsc_consumer *c, size_t stride, int in_hand)
{
    uint64_t ahead = 1, sequence;
    unsigned i;

    if (c->error != 0)
        return c->error;
    if (ipc_ring_is_forked_(&c->self)) {
        int rc = ipc_ring_settle_(&c->self, c);

        if (rc < 0 || c->head != c->ready)
            return rc < 0 ? rc : 0;
    }
    if (c->pauses == 0 && (sequence = ipc_spsc_sequence_at_head_(c, stride)) != c->head + 1)
        return ipc_spsc_found_empty_(c, sequence, in_hand);
    if (c->idle || stride > IPC_RING_SINGLE_) {
        c->idle = 0; /* likely a lone message, or a long one: touch no other line */
    } else {
        ahead = c->mask + 1 < IPC_RING_AHEAD_ ? c->mask + 1 : IPC_RING_AHEAD_;
        if (!ipc_spsc_is_full_(c, c->head + ahead - 1, stride)) {
            ipc_ring_hold_back_(c->pauses);
            if (c->pauses > 0 && (sequence = ipc_spsc_sequence_at_head_(c, stride)) != c->head + 1)
                return ipc_spsc_found_empty_(c, sequence, in_hand);
            for (ahead /= 2; ahead > 1; ahead /= 2)
                if (ipc_spsc_is_full_(c, c->head + ahead - 1, stride))
                    break;
            ahead += ahead == 0;
            ipc_ring_adapt_pauses_(&c->pauses, ahead != 1, IPC_RING_PAUSES_);
        }
    }
    /* Without it the payload could be read before the sequence that vouches for it. The slots
     * before the one probed were committed before it, so this fence covers them. Partner: the
     * store fence in ipc_spsc_send_. */
    ck_pr_fence_load();
    c->ready = c->head + ahead;
    /* If a line has several messages, copying them out reaches too few lines at a time to hide how
     * long they take to get here: ask for the whole run at once. */
    if (stride < IPC_RING_LINE)
        for (i = 0; i < ahead; i += (unsigned)(IPC_RING_LINE / stride))
            __builtin_prefetch(ipc_ring_slot_(c->slots, c->mask, c->head + i, stride));
    return 0;
}

/* As ipc_spsc_look_ahead_, with nothing in hand. A consumer that polls is in here, and sees a message
 * the sooner, the less there is to do for each look; and what it sees then is likely a lone message. */
IPC_FORCE_INLINE int ipc_spsc_look_(struct ipc_spsc_consumer *c, size_t stride)
{
    uint64_t sequence;

    if (CK_CC_UNLIKELY(c->idle != 2 || ipc_ring_is_forked_(&c->self)))
        return ipc_spsc_look_ahead_(c, stride, 0);
    sequence = ipc_spsc_sequence_at_head_(c, stride);
    if (sequence != c->head + 1)
        return sequence == c->empty ? -EAGAIN : ipc_spsc_look_ahead_(c, stride, 0);
    ck_pr_fence_load(); /* as in ipc_spsc_look_ahead_ */
    c->idle = 0;
    c->ready = c->head + 1;
    return 0;
}

/* Is there a message? 0, or the errors of ipc_spsc_pop. */
IPC_FORCE_INLINE int ipc_spsc_data_(struct ipc_spsc_consumer *c, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);

    if (CK_CC_LIKELY(c->head != c->ready && !ipc_ring_is_forked_(&c->self)))
        return 0;
    return ipc_spsc_look_(c, stride);
}

/* Moves on behind the message at head. Returns 1 if that published a position, as
 * ipc_spsc_publish_taken_ does. */
IPC_FORCE_INLINE int ipc_spsc_advance_(struct ipc_spsc_consumer *c, int in_hand)
{
    c->head++;
    if (CK_CC_LIKELY(c->head - c->published <= c->replay))
        return 0;
    ipc_spsc_publish_taken_(c, in_hand);
    return 1;
}

/* Copies out the message at head, which is known to be there. As ipc_spsc_advance_. */
IPC_FORCE_INLINE int ipc_spsc_get_(struct ipc_spsc_consumer *c, void *message, size_t bytes,
                                   int in_hand)
{
    ipc_ring_get_(message, ipc_ring_slot_(c->slots, c->mask, c->head, ipc_ring_stride_(bytes)),
                  bytes, c->ready - c->head == 1);
    return ipc_spsc_advance_(c, in_hand);
}

IPC_FORCE_INLINE int ipc_spsc_take_(struct ipc_spsc_consumer *c, void *message, size_t bytes,
                                    int *published)
{
    int rc = ipc_spsc_data_(c, bytes);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    *published = ipc_spsc_get_(c, message, bytes, 1);
    return 0;
}

IPC_FORCE_INLINE int ipc_spsc_pop_(struct ipc_spsc_consumer *c, void *message, size_t bytes)
{
    int published;

    return ipc_spsc_take_(c, message, bytes, &published);
}

IPC_FORCE_INLINE int64_t ipc_spsc_pop_n_(struct ipc_spsc_consumer *c, void *messages, size_t n,
                                         size_t bytes)
{
    unsigned char *m = (unsigned char *)messages;
    size_t stride = ipc_ring_stride_(bytes), i;
    int rc = 0;

    if (n > 0 && (rc = ipc_spsc_data_(c, bytes)) != 0)
        return rc;
    /* The caller is done with all before these n, and publishes none of these, if that can be. */
    if (n <= c->replay && c->head + n - c->published > c->replay)
        ipc_spsc_publish_(c);
    for (i = 0; i < n; i++) {
        if (CK_CC_UNLIKELY(c->head == c->ready))
            rc = ipc_spsc_look_ahead_(c, stride, i > 0);
        if (CK_CC_UNLIKELY(rc != 0))
            break;
        (void)ipc_spsc_get_(c, m + i * bytes, bytes, 1);
    }
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Copies the oldest message out. It is in the caller's hand until the next call: if the consumer is
 * killed before that, its successor sees the message again, unless ipc_spsc_replay forbids it. (A
 * message that was peeked is in hand until its release.) Wait-free; while messages stream in
 * without a pause it may hold back for up to 31 ck_pr_stall()s (about a microsecond) to let the
 * producer get ahead. A producer that is stopped or dead lets the ring run empty: what it committed
 * is all there.
 *
 *   0
 *   -EAGAIN    the ring is empty
 *   -EMSGSIZE  bytes is not the ring's message size
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_spsc_pop(struct ipc_spsc_consumer *c, void *message, size_t bytes)
{
    return bytes == c->bytes || c->error != 0 ? ipc_spsc_pop_(c, message, bytes) : -EMSGSIZE;
}

/* Copies up to n messages out, into an array. Wait-free for a given n. Returns how many came (less
 * than n: the ring is empty), 0 for n = 0, or the errors of ipc_spsc_pop when none did. If the
 * consumer is killed before the next call, its successor sees all of them again where
 * ipc_spsc_replay allows for n or more, else only the last ones. */
IPC_INLINE int64_t ipc_spsc_pop_n(struct ipc_spsc_consumer *c, void *messages, size_t bytes,
                                  size_t n)
{
    return bytes == c->bytes || c->error != 0 ? ipc_spsc_pop_n_(c, messages, n, bytes) : -EMSGSIZE;
}

IPC_FORCE_INLINE const void *ipc_spsc_peek_(struct ipc_spsc_consumer *c, size_t bytes)
{
    return ipc_spsc_data_(c, bytes) == 0
               ? ipc_ring_slot_(c->slots, c->mask, c->head, ipc_ring_stride_(bytes))
               : NULL;
}

IPC_FORCE_INLINE int ipc_spsc_release_(struct ipc_spsc_consumer *c, size_t bytes)
{
    (void)bytes; /* other rings need it */
    if (c->head == c->ready)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&c->self)) && ipc_ring_settle_(&c->self, c) != 1)
        return c->error != 0 ? c->error : -EINVAL;
    (void)ipc_spsc_advance_(c, 0);
    return 0;
}

/*
 * Pop without a copy: peek gives the oldest message in place, NULL when the ring is empty, or
 * ipc_spsc_consumer_error says why not. It stays readable until released; peeking again gives the
 * same. What is peeked and not released when the consumer is killed is seen again. A hostile
 * producer may write to it meanwhile: read each field once, then check, then use. All wait-free.
 */
IPC_INLINE const void *ipc_spsc_peek(struct ipc_spsc_consumer *c)
{
    return ipc_spsc_peek_(c, (size_t)c->bytes);
}

/* Releases the peeked message. 0; -EINVAL when none can have been peeked, or the process has forked
 * since; or -ECHILD. */
IPC_INLINE int ipc_spsc_release(struct ipc_spsc_consumer *c)
{
    return ipc_spsc_release_(c, (size_t)c->bytes);
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_spsc_consumer_error(const struct ipc_spsc_consumer *c)
{
    return c->error;
}

/* How many messages were there to pop, at some moment during the call. Takes time logarithmic in
 * the capacity, and touches lines that the producer may be writing: for monitoring, not for each
 * message. Wait-free. */
IPC_INLINE uint64_t ipc_spsc_consumer_was_size(const struct ipc_spsc_consumer *c)
{
    return c->ring != NULL ? ipc_spsc_count_full_(c->slots, c->mask, c->head,
                                                  ipc_ring_stride_((size_t)c->bytes))
                           : 0;
}

#endif
