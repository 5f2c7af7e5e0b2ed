/*
 * Broadcasts of records: records that every reader sees.
 *
 * Records lie as in record.h, in one lane. A lossless broadcast has readers' seats, and a writer
 * that waits, as in broadcast.h. In a lossy one the writer says in a mark, before it overwrites
 * anything, from which record on all are whole; a reader looks after its copy whether there is a
 * new mark.
 *
 *   word              from   to              made by the writer
 *   mark[(n+1) % 2]   old    oldest, first,  stores: nobody reads this one, as `marks` is n
 *                            tail, next
 *   marks             n      n+1             store fence, store, store fence; then it overwrites
 *                                            records before mark[(n+1) % 2].oldest
 *
 * A reader that finds the same `marks` before and after it read mark[marks % 2] has read it whole;
 * one that finds the same `marks` after it read a record that was whole under that mark has read
 * that whole.
 *
 * The writer remembers checkpoints: the positions of some records, at least a sixteenth of the
 * capacity from each other, and their numbers. `oldest` moves from one checkpoint to the next, so
 * that there is a new mark for many records, and the writer need not read them again.
 */
#ifndef IPC_SRC_RING_RECORD_BROADCAST_H
#define IPC_SRC_RING_RECORD_BROADCAST_H 1

#include "record.h"
#include "broadcast.h"

/* ------------------------------------------------------------------ broadcast of records */

#define IPC_RECORD_BROADCAST_TYPE 0x74736372u                   /* "rcst" */
#define IPC_RECORD_BROADCAST_MAGIC UINT64_C(0x31747363725f6369) /* "ic_rcst1" */
#define IPC_RECORD_BROADCAST_CHECKPOINTS_ 32u
#define IPC_RECORD_BROADCAST_TRIES_                                                                \
    16u /* of a reader to read a mark, while the writer makes others */

/* From position `oldest` on all records are whole; that one has number `first`. When the mark was
 * made the writer was at `tail`, where the record with number `next` goes. The first record ever is
 * 0. */
struct ipc_record_broadcast_mark_ {
    uint64_t oldest;
    uint64_t first;
    uint64_t tail;
    uint64_t next;
};

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_record_broadcast_shared {
    struct ipc_broadcast_shared c; /* bytes: 1; capacity: bytes; heads: positions in bytes */
    struct ipc_record_broadcast_mark_
        mark[2];    /* written by the writer alone: the other one, and then */
    uint64_t marks; /* that one counts which: marks % 2 */
    unsigned char pad[56];
    /* the readers' seats, and capacity bytes */
};

IPC_RING_ASSERT_(record_broadcast_marks, offsetof(struct ipc_record_broadcast_shared, marks) ==
                                             sizeof(struct ipc_broadcast_shared) + 64)
IPC_RING_ASSERT_(record_broadcast_size, sizeof(struct ipc_record_broadcast_shared) ==
                                            sizeof(struct ipc_broadcast_shared) + 128)

IPC_INLINE int ipc_record_broadcast_is_valid_how_(unsigned how)
{
    return ipc_broadcast_is_valid_how_(how);
}

IPC_INLINE struct ipc_ring_kind_ ipc_record_broadcast_kind_(unsigned how)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a broadcast of records; magic";
    kind.magic = IPC_RECORD_BROADCAST_MAGIC;
    kind.header = sizeof(struct ipc_record_broadcast_shared) + ipc_broadcast_seat_bytes_(how);
    kind.stride = 1;
    return kind;
}

/* The bytes of a broadcast of records in `capacity` bytes, made as `how` says; or 0 if capacity is
 * not a power of two from 64 on, or beyond the address space, or `how` is no such thing. */
IPC_INLINE size_t ipc_record_broadcast_footprint(uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind;

    if (capacity < 64 || !ipc_record_broadcast_is_valid_how_(how))
        return 0;
    kind = ipc_record_broadcast_kind_(how);
    return ipc_ring_footprint_(&kind, 1, capacity);
}

/* Makes an empty broadcast of records, as ipc_record_init, with the same errors. how: as for
 * ipc_broadcast_init. */
IPC_INLINE int ipc_record_broadcast_init(void *mem, size_t size, uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind = ipc_record_broadcast_kind_(how);

    return capacity >= 64 ? ipc_broadcast_init_(mem, size, &kind, 1, capacity, how) : -EINVAL;
}

/* Private to their thread; no field is for the caller. */
struct ipc_record_broadcast_producer {
    struct ipc_record_producer r; /* without a lane */
    struct ipc_broadcast_readers_ readers;
    struct ipc_record_broadcast_mark_
        mark; /* lossy: the last that we made; but next is of our tail */
    uint64_t marks;
    /* Lossy: positions of records, and their numbers. From first_checkpoint on, of `checkpoints`
     * that there have been, they are newer than mark.oldest. */
    struct {
        uint64_t at, number;
    } checkpoint[IPC_RECORD_BROADCAST_CHECKPOINTS_];
    unsigned checkpoints, first_checkpoint;
    struct ipc_record_broadcast_shared *ring;
    unsigned how;
    IPC_RING_APART_(after);
};

struct ipc_record_broadcast_consumer {
    struct ipc_record_consumer r; /* lossy: `to` is NULL, and it publishes nothing */
    uint64_t *seat;               /* the id of our seat, whose head r.to is; or NULL */
    uint64_t next;                /* lossy: the number of the record at head */
    uint64_t marks;               /* lossy: under this mark the record at head was whole */
    uint64_t missed;              /* records, so far */
    int lapped;                   /* since it last caught up with the writer */
    int loss_pending; /* a loss was found after records that a call returned: the next reports it */
    struct ipc_record_broadcast_shared *ring;
    unsigned how;
    IPC_RING_APART_(after);
};

IPC_INLINE int ipc_record_broadcast_producer_disable_(struct ipc_record_broadcast_producer *p,
                                                      int rc)
{
    memset(p, 0, sizeof *p);
    ipc_ring_begin_self_(&p->r.self, NULL, NULL);
    return p->r.error = rc;
}

IPC_INLINE int ipc_record_broadcast_consumer_disable_(struct ipc_record_broadcast_consumer *c,
                                                      int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->r.self, NULL, NULL);
    return c->r.error = rc;
}

/* As ipc_broadcast_check_. */
IPC_INLINE int ipc_record_broadcast_check_(void *mem, size_t size, struct ipc_peer *me, int reads,
                                           struct ipc_broadcast_parts_ *parts)
{
    struct ipc_ring_kind_ kind = ipc_record_broadcast_kind_(IPC_BROADCAST_READERS(1));
    int rc = ipc_broadcast_check_(mem, size, kind, sizeof(struct ipc_record_broadcast_shared), 1, me,
                                  reads, parts);

    if (rc == 0 && parts->capacity < 64)
        return ipc_ring_refuse_(me, -EPROTO, "broadcast of too few bytes", parts->capacity, 64);
    return rc;
}

/* Reads the last mark whole. 0; -EAGAIN: the writer made another each time we looked; or -EBADMSG.
 */
IPC_INLINE int ipc_record_broadcast_read_mark_(struct ipc_record_broadcast_shared *r,
                                               struct ipc_record_broadcast_mark_ *mark,
                                               uint64_t *marks)
{
    unsigned tries;

    for (tries = 0; tries < IPC_RECORD_BROADCAST_TRIES_; tries++) {
        uint64_t n = ck_pr_load_64(&r->marks);
        struct ipc_record_broadcast_mark_ *m = &r->mark[n % 2];

        /* Without it the mark could be older than its number. Partner: the first store fence in
         * ipc_record_broadcast_forget_oldest_. */
        ck_pr_fence_load();
        mark->oldest = ck_pr_load_64(&m->oldest);
        mark->first = ck_pr_load_64(&m->first);
        mark->tail = ck_pr_load_64(&m->tail);
        mark->next = ck_pr_load_64(&m->next);
        /* Without it we could have read a part of the mark after the next one. Partner: the second
         * store fence in ipc_record_broadcast_forget_oldest_. */
        ck_pr_fence_load();
        if (ck_pr_load_64(&r->marks) == n) {
            *marks = n;
            return (mark->oldest | mark->tail) % 8 == 0 ? 0 : -EBADMSG;
        }
    }
    return -EAGAIN;
}

/* Counts a record that was sent, whose end is our tail, and makes that a checkpoint if the last one
 * is far enough behind. */
IPC_FORCE_INLINE void ipc_record_broadcast_count_sent_(struct ipc_record_broadcast_producer *h)
{
    unsigned last = (h->checkpoints - 1) % IPC_RECORD_BROADCAST_CHECKPOINTS_;

    h->mark.next++;
    if (CK_CC_UNLIKELY(h->r.tail - h->checkpoint[last].at >= (h->r.mask + 1) / 16)) {
        last = h->checkpoints++ % IPC_RECORD_BROADCAST_CHECKPOINTS_;
        h->checkpoint[last].at = h->r.tail;
        h->checkpoint[last].number = h->mark.next;
    }
}

/* Finds where a writer goes on that has just taken its end. 0; or -EBADMSG, and the end is free
 * again. */
IPC_INLINE int ipc_record_broadcast_find_tail_(struct ipc_record_broadcast_producer *h)
{
    struct ipc_record_broadcast_shared *r = h->ring;
    struct ipc_record_producer *p = &h->r;
    int rc = ipc_record_broadcast_read_mark_(r, &h->mark, &h->marks);
    uint64_t end, capacity = p->mask + 1;

    h->checkpoints = h->first_checkpoint = 0;
    p->claimed = 0;
    p->tail = h->how == IPC_BROADCAST_LOSSY ? h->mark.oldest : ck_pr_load_64(&r->c.s.head);
    end = p->tail + capacity - 8;
    h->mark.next = h->mark.first;
    rc = rc != 0 || p->tail % 8 != 0 ? -EBADMSG : 1;
    while (rc > 0) {
        rc = ipc_record_step_over_(p->data, p->mask, &p->tail, end - p->tail);
        if (rc > 0)
            ipc_record_broadcast_count_sent_(h);
    }
    if (rc != 0)
        ipc_ring_leave_end_(&r->c.s.end[0], p->id);
    p->limit = h->how == IPC_BROADCAST_LOSSY ? h->mark.oldest + capacity : p->tail;
    return rc;
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_record_broadcast_producer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_record_broadcast_producer *h = (struct ipc_record_broadcast_producer *)handle;

    if (me == NULL)
        return ipc_record_broadcast_producer_disable_(h, -ECHILD);
    h->r.id = me->id;
    if (ipc_ring_take_end_(&h->ring->c.s.end[0], me, me->id) != 0)
        return -EBUSY;
    if (ipc_record_broadcast_find_tail_(h) != 0)
        return -EBADMSG;
    h->readers = ipc_broadcast_list_readers_(&h->readers.seats, me, h->r.tail);
    return 0;
}

/* As ipc_broadcast_consumer_renew_. */
IPC_INLINE int ipc_record_broadcast_consumer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_record_broadcast_consumer *h = (struct ipc_record_broadcast_consumer *)handle;

    return me == NULL ? ipc_record_broadcast_consumer_disable_(h, -ECHILD) : -EBUSY;
}

/*
 * Attaches the writer; as ipc_broadcast_producer_attach, with the same errors, and -EBADMSG: the
 * shared memory is corrupt. After a writer that died it goes on behind the last record that one
 * committed.
 */
IPC_INLINE int ipc_record_broadcast_producer_attach(struct ipc_record_broadcast_producer *h,
                                                    void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_record_broadcast_shared *r = (struct ipc_record_broadcast_shared *)mem;
    uint64_t id = ipc_ring_id_of_(me);
    struct ipc_record_producer *p = &h->r;
    struct ipc_broadcast_parts_ parts;
    int rc = ipc_record_broadcast_check_(mem, size, me, 0, &parts);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->c.s.end[0], me, id);
    (void)ipc_record_broadcast_producer_disable_(h, rc);
    if (rc != 0)
        return rc;
    p->data = parts.slots;
    p->mask = parts.capacity - 1;
    p->most = parts.capacity / 2 - 8;
    p->id = id;
    p->ring = &r->c.s;
    h->ring = r;
    h->how = parts.how;
    ipc_ring_begin_self_(&p->self, me, ipc_record_broadcast_producer_renew_);
    ipc_ring_trials_begin_(&p->trials, p->mask + 1);
    if (ipc_record_broadcast_find_tail_(h) != 0)
        return ipc_record_broadcast_producer_disable_(
            h, ipc_ring_refuse_(me, -EBADMSG, "broadcast of records is corrupt; position", p->tail,
                                h->mark.oldest));
    h->readers = ipc_broadcast_list_readers_(&parts.seats, me, p->tail);
    return 0;
}

/* Takes a seat for a lossless reader, and finds where it begins, as broadcast.h says. 0, -EUSERS,
 * or -EBADMSG. */
IPC_INLINE int ipc_record_broadcast_join_(struct ipc_record_broadcast_consumer *h,
                                          const struct ipc_broadcast_seats_ *s,
                                          struct ipc_peer *me)
{
    struct ipc_record_consumer *c = &h->r;
    unsigned seat = 0;
    int rc = ipc_broadcast_take_seat_(s, me, c->id, &seat);

    if (rc != 0)
        return rc;
    h->seat = &s->id[seat];
    c->to = &s->seat[seat].head;
    c->head = ck_pr_load_64(&s->ring->s.head);
    /* Without it the records from here on could be older than the head. Partner: the store fence in
     * ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_load();
    rc = ipc_record_walk_to_end_(c->data, c->mask, &c->head, &h->next);
    if (!ck_pr_cas_64(c->to, IPC_BROADCAST_JOINING_, c->head)) {
        /* The writer lets us begin at its tail, and may have overwritten what we walked over. */
        c->head = ck_pr_load_64(c->to);
        /* As the one before. */
        ck_pr_fence_load();
        rc = c->head % 8 != 0 ? -EBADMSG : 0;
    }
    c->published = c->head;
    return rc;
}

/*
 * Attaches a reader; as ipc_broadcast_consumer_attach, with the same errors, and -EBADMSG: the
 * shared memory is corrupt. If a fast writer laps a reader of a lossy broadcast while it looks for
 * the tail, the reader begins a little before that, and may see up to a sixteenth of the capacity
 * of old records; or it is refused with -EAGAIN: try again.
 */
IPC_INLINE int ipc_record_broadcast_consumer_attach(struct ipc_record_broadcast_consumer *h,
                                                    void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_record_broadcast_shared *r = (struct ipc_record_broadcast_shared *)mem;
    uint64_t id = ipc_ring_id_of_(me);
    struct ipc_record_consumer *c = &h->r;
    struct ipc_record_broadcast_mark_ mark;
    struct ipc_broadcast_parts_ parts;
    unsigned tries;
    int rc = ipc_record_broadcast_check_(mem, size, me, 1, &parts);

    (void)ipc_record_broadcast_consumer_disable_(h, rc);
    if (rc != 0)
        return rc;
    c->data = parts.slots;
    c->mask = parts.capacity - 1;
    c->replay = parts.capacity / 8;
    c->producers = 1;
    c->ring = &r->c.s;
    c->id = id;
    h->ring = r;
    h->how = parts.how;
    if (parts.how == IPC_BROADCAST_LOSSLESS) {
        ipc_ring_begin_self_(&c->self, me, ipc_record_broadcast_consumer_renew_);
        rc = ipc_record_broadcast_join_(h, &parts.seats, me);
        if (h->seat == NULL)
            return ipc_record_broadcast_consumer_disable_(h, rc);
    } else {
        for (tries = 0; tries < IPC_RECORD_BROADCAST_TRIES_; tries++) {
            rc = ipc_record_broadcast_read_mark_(r, &mark, &h->marks);
            if (rc != 0)
                break;
            c->head = mark.tail;
            h->next = mark.next;
            rc = ipc_record_walk_to_end_(c->data, c->mask, &c->head, &h->next);
            /* If we had walked over records that were written after that mark, the fences on the
             * way would show us the next mark. If we have stopped at a 0 that is no tail, we find
             * out later, as when we are lapped. */
            if (ck_pr_load_64(&r->marks) == h->marks)
                break;
            c->head = mark.tail;
            h->next = mark.next;
            rc = 0;
        }
    }
    c->run_start = c->head;
    c->quick = 1;
    if (rc == 0)
        return 0;
    if (h->seat != NULL)
        ipc_broadcast_leave_seat_(h->seat, c->to, id);
    return ipc_record_broadcast_consumer_disable_(
        h, ipc_ring_refuse_(me, rc, "broadcast of records is corrupt, or too fast; position",
                            c->head, h->marks));
}

/* Detaches the writer; the records stay. Wait-free. */
IPC_INLINE void ipc_record_broadcast_producer_detach(struct ipc_record_broadcast_producer *p)
{
    if (p->ring != NULL && ipc_ring_is_ours_(&p->r.self))
        ipc_ring_detach_end_(&p->ring->c.s.end[0], p->r.id);
    (void)ipc_record_broadcast_producer_disable_(p, -EINVAL);
}

/* Detaches a reader: the writer does not wait for it any more. Wait-free. */
IPC_INLINE void ipc_record_broadcast_consumer_detach(struct ipc_record_broadcast_consumer *c)
{
    if (c->seat != NULL && ipc_ring_is_ours_(&c->r.self))
        ipc_broadcast_leave_seat_(c->seat, c->r.to, c->r.id);
    (void)ipc_record_broadcast_consumer_disable_(c, -EINVAL);
}

/* A lossy writer needs `need` bytes behind its tail: makes a mark that says that the records there,
 * and those up to the next checkpoint, are not whole any more. 0, or the error of the handle. */
IPC_INLINE int ipc_record_broadcast_forget_oldest_(struct ipc_record_broadcast_producer *h,
                                                   uint64_t need)
{
    struct ipc_record_producer *p = &h->r;
    struct ipc_record_broadcast_mark_ *mark = &h->mark, *m;
    uint64_t capacity = p->mask + 1;

    if (p->error != 0)
        return p->error;
    while (mark->oldest + capacity - p->tail < need) {
        unsigned next = h->first_checkpoint % IPC_RECORD_BROADCAST_CHECKPOINTS_;

        if (h->first_checkpoint == h->checkpoints) { /* no checkpoint left: forgets all records */
            mark->oldest = p->tail;
            mark->first = mark->next;
        } else {
            h->first_checkpoint++;
            mark->oldest = h->checkpoint[next].at;
            mark->first = h->checkpoint[next].number;
        }
    }
    p->limit = mark->oldest + capacity;
    m = &h->ring->mark[(h->marks + 1) % 2];
    ck_pr_store_64(&m->oldest, mark->oldest);
    ck_pr_store_64(&m->first, mark->first);
    ck_pr_store_64(&m->tail, p->tail);
    ck_pr_store_64(&m->next, mark->next);
    /* Without it the mark could be read before it is whole. Partner: the first load fence in
     * ipc_record_broadcast_read_mark_. */
    ck_pr_fence_store();
    ck_pr_store_64(&h->ring->marks, ++h->marks);
    /* Without it a reader could read what we write next, and then find the same mark; or it could
     * read a part of the mark after this one. Partners: the load fence in
     * ipc_record_broadcast_revalidate_, the second one in ipc_record_broadcast_read_mark_. */
    ck_pr_fence_store();
    return 0;
}

/* Where a record of n bytes goes, as ipc_record_room_. */
IPC_FORCE_INLINE int ipc_record_broadcast_room_(struct ipc_record_broadcast_producer *h, uint64_t n,
                                                uint64_t *at)
{
    struct ipc_record_producer *p = &h->r;
    uint64_t need;
    int rc = ipc_record_place_(p, n, at, &need);

    if (CK_CC_UNLIKELY(rc != 0) ||
        CK_CC_LIKELY(p->limit - p->tail >= need && !ipc_ring_is_forked_(&p->self)))
        return rc;
    if (p->error == 0 && ipc_ring_is_forked_(&p->self)) {
        rc = ipc_ring_settle_(&p->self, h);
        if (rc < 0 || ipc_record_place_(p, n, at, &need) != 0)
            return p->error;
        if (p->limit - p->tail >= need)
            return 0;
    }
    if (h->how == IPC_BROADCAST_LOSSY)
        return ipc_record_broadcast_forget_oldest_(h, need);
    return p->error != 0
               ? p->error
               : ipc_broadcast_find_slowest_reader_(&h->readers, p->tail, p->mask, need, &p->limit);
}

/*
 * Copies a record of n bytes in, for all readers; n may be 0. Wait-free for a given n, but for the
 * questions to the kernel of ipc_broadcast_push.
 *
 *   0
 *   -EAGAIN    lossless: a reader is so far behind that there is no room for it
 *   -EMSGSIZE  n is more than half the capacity less 8
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_record_broadcast_push(struct ipc_record_broadcast_producer *h, const void *data,
                                         size_t n)
{
    struct ipc_record_producer *p = &h->r;
    uint64_t tail, at;
    int rc = ipc_record_broadcast_room_(h, n, &at);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    tail = p->tail;
    ipc_record_prefetch_(p, at, n);
    ipc_ring_put_words_(&p->trials, p->data + (size_t)(at & p->mask) + 8, data, n);
    ipc_record_send_(p, tail, at, n);
    ipc_record_broadcast_count_sent_(h);
    return 0;
}

/* Copies up to n records in, as ipc_record_push_n; with the errors of ipc_record_broadcast_push. */
IPC_INLINE int64_t ipc_record_broadcast_push_n(struct ipc_record_broadcast_producer *p,
                                               const struct ipc_record *records, size_t n)
{
    size_t i;
    int rc = 0;

    for (i = 0; i < n && (rc = ipc_record_broadcast_push(p, records[i].at, records[i].n)) == 0; i++)
        ;
    return i > 0 ? (int64_t)i : rc;
}

/* Push without a copy, as ipc_record_claim, commit and cancel. In a lossy broadcast a claim, also
 * one that is cancelled, takes the oldest records from the readers that have not read them. */
IPC_INLINE void *ipc_record_broadcast_claim(struct ipc_record_broadcast_producer *h, size_t n)
{
    struct ipc_record_producer *p = &h->r;

    p->claimed = 0;
    return ipc_record_broadcast_room_(h, n, &p->at) == 0 ? ipc_record_begin_claim_(p, n) : NULL;
}

IPC_INLINE int ipc_record_broadcast_commit(struct ipc_record_broadcast_producer *p, size_t n)
{
    int rc = ipc_record_commit(&p->r, n);

    if (rc == 0)
        ipc_record_broadcast_count_sent_(p);
    return rc;
}

IPC_INLINE void ipc_record_broadcast_cancel(struct ipc_record_broadcast_producer *p)
{
    ipc_record_cancel(&p->r);
}

/* The length of the longest record, as ipc_record_most. */
IPC_INLINE size_t ipc_record_broadcast_most(const struct ipc_record_broadcast_producer *p)
{
    return (size_t)p->r.most;
}

/* 0, or the error of a handle that was refused or detached. */
IPC_INLINE int ipc_record_broadcast_producer_error(const struct ipc_record_broadcast_producer *p)
{
    return p->r.error;
}

/* How many bytes of records, with the words before them, the slowest reader had still to read, and
 * in *id which process it is; as ipc_broadcast_was_slowest. */
IPC_INLINE uint64_t ipc_record_broadcast_was_slowest(const struct ipc_record_broadcast_producer *p,
                                                     uint64_t *id)
{
    return ipc_broadcast_find_most_behind_(&p->readers, p->r.tail, p->r.mask + 1, id);
}

/* As ipc_broadcast_was_readers. */
IPC_INLINE unsigned ipc_record_broadcast_was_readers(const struct ipc_record_broadcast_producer *p)
{
    return ipc_broadcast_count_readers_(&p->readers);
}

/* As ipc_broadcast_producer_recover. */
IPC_INLINE int64_t ipc_record_broadcast_producer_recover(struct ipc_record_broadcast_producer *p,
                                                uint64_t id)
{
    return ipc_broadcast_recover_(&p->readers, id);
}

/* A lossy reader sees that the writer has made a new mark. 0: the record at head is whole all the
 * same. -EOVERFLOW: the reader was lapped, and moves on. -EAGAIN: no mark could be read whole. Or
 * -EBADMSG. */
IPC_INLINE int ipc_record_broadcast_check_lapped_(struct ipc_record_broadcast_consumer *h)
{
    struct ipc_record_consumer *c = &h->r;
    struct ipc_record_broadcast_mark_ mark;
    int rc = ipc_record_broadcast_read_mark_(h->ring, &mark, &h->marks);

    if (rc != 0)
        return rc == -EBADMSG ? ipc_record_fail_(c, rc) : rc;
    if ((int64_t)(c->head - mark.oldest) >= 0)
        return 0;
    c->head = c->run_start = h->lapped ? mark.tail : mark.oldest;
    h->missed += (h->lapped ? mark.next : mark.first) - h->next;
    h->next = h->lapped ? mark.next : mark.first;
    h->lapped = 1;
    c->peeked = 0;
    return -EOVERFLOW;
}

/* A lossy reader has read something at head: looks for a new mark. 0: what it read was whole; or
 * the errors of ipc_record_broadcast_check_lapped_. */
IPC_FORCE_INLINE int ipc_record_broadcast_revalidate_(struct ipc_record_broadcast_consumer *h)
{
    /* Without it the mark could be older than what we have read. Partner: the second store fence in
     * ipc_record_broadcast_forget_oldest_. */
    ck_pr_fence_load();
    if (CK_CC_LIKELY(ck_pr_load_64(&h->ring->marks) == h->marks))
        return 0;
    return ipc_record_broadcast_check_lapped_(h);
}

/* As ipc_record_look_. In a lossy broadcast the length may be believed only after
 * ipc_record_broadcast_revalidate_. */
IPC_FORCE_INLINE int ipc_record_broadcast_look_(struct ipc_record_broadcast_consumer *h, size_t *n)
{
    int rc;

    if (CK_CC_UNLIKELY(h->loss_pending)) {
        h->loss_pending = 0;
        return -EOVERFLOW;
    }
    rc = ipc_record_find_(&h->r, n);
    if (CK_CC_LIKELY(rc == 0))
        return 0;
    if (h->how == IPC_BROADCAST_LOSSY && h->r.error == 0) {
        int lapped = ipc_record_broadcast_revalidate_(h);

        if (lapped != 0)
            return lapped;
        h->lapped = 0;
    }
    return rc == -EBADMSG ? ipc_record_fail_(&h->r, rc) : rc;
}

/* A lossy reader moves on behind the record at head. */
IPC_FORCE_INLINE void ipc_record_broadcast_advance_(struct ipc_record_broadcast_consumer *h)
{
    h->r.head += h->r.peeked;
    h->r.peeked = 0;
    h->next++;
}

IPC_FORCE_INLINE int64_t ipc_record_broadcast_take_(struct ipc_record_broadcast_consumer *h,
                                                    void *to, size_t size, int *published)
{
    struct ipc_record_consumer *c = &h->r;
    size_t n = 0;
    int rc;

    if (h->how == IPC_BROADCAST_LOSSLESS)
        return ipc_record_take_(c, to, size, published);
    rc = ipc_record_broadcast_look_(h, &n);
    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    if (CK_CC_LIKELY(n <= size))
        ipc_ring_get_words_(to, ipc_record_payload_(c), n);
    rc = ipc_record_broadcast_revalidate_(h);
    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    if (CK_CC_UNLIKELY(n > size))
        return -EMSGSIZE;
    ipc_record_broadcast_advance_(h);
    return (int64_t)n;
}

/*
 * Copies the next record out. Wait-free, and holds back at times, as ipc_record_pop. Other readers
 * do not matter; a writer that is stopped or dead lets the broadcast run empty.
 *
 *   >= 0        the record's length in bytes
 *   -EAGAIN     there is none yet
 *   -EOVERFLOW  lossy: the writer has overwritten the next record. Reported once for each time;
 *               ipc_record_broadcast_missed says how many records were missed in all. The next call
 *               goes on at the oldest record that is whole. After losses without an -EAGAIN in
 *               between it goes on close behind the writer, so that a fast writer does not lap the
 *               reader again at once
 *   -EMSGSIZE   it is longer than `size`, and is still there: peek says how long, release drops it
 *   -EBADMSG    the shared memory is corrupt; sticks
 *   -ECHILD     lossless: after fork, as of ipc_spsc_push
 */
IPC_INLINE int64_t ipc_record_broadcast_pop(struct ipc_record_broadcast_consumer *c, void *to,
                                            size_t size)
{
    int published;

    return ipc_record_broadcast_take_(c, to, size, &published);
}

/* Copies up to n records out, as ipc_record_pop_n; with the errors of ipc_record_broadcast_pop.
 * They are in a row: a loss ends the call, and the next call reports it. */
IPC_INLINE int64_t ipc_record_broadcast_pop_n(struct ipc_record_broadcast_consumer *c, void *to,
                                              size_t size, struct ipc_record *records, size_t n)
{
    unsigned char *t = (unsigned char *)to;
    size_t i, at = 0;
    int64_t rc = 0;

    for (i = 0; i < n && at <= size; i++) {
        rc = ipc_record_broadcast_pop(c, t + at, size - at);
        if (rc < 0)
            break;
        at = ipc_record_note_place_(&records[i], t, at, (size_t)rc);
    }
    c->loss_pending |= i > 0 && rc == -EOVERFLOW;
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Pop without a copy, as ipc_record_peek: NULL also when the writer overwrote the next record (peek
 * again: ipc_record_broadcast_missed has grown). In a lossless broadcast the record stays as it is
 * until released. In a lossy one it may change while you read it, and become longer or shorter:
 * read, then release, and use what was read only if that returns 0. All wait-free.
 */
IPC_INLINE const void *ipc_record_broadcast_peek(struct ipc_record_broadcast_consumer *h, size_t *n)
{
    struct ipc_record_consumer *c = &h->r;

    if (ipc_record_broadcast_look_(h, n) != 0 ||
        (h->how == IPC_BROADCAST_LOSSY && ipc_record_broadcast_revalidate_(h) != 0))
        return NULL;
    return ipc_record_payload_(c);
}

/* Releases the peeked record. 0; -EINVAL when nothing was peeked; lossy: -EOVERFLOW when it was
 * overwritten meanwhile, as of ipc_record_broadcast_pop, or -EAGAIN: the writer made new marks too
 * fast to see whether it was. */
IPC_INLINE int ipc_record_broadcast_release(struct ipc_record_broadcast_consumer *h)
{
    int rc;

    if (h->how == IPC_BROADCAST_LOSSLESS || h->r.peeked == 0)
        return ipc_record_release(&h->r);
    rc = ipc_record_broadcast_revalidate_(h);
    if (rc == 0)
        ipc_record_broadcast_advance_(h);
    return rc;
}

/* How many records this reader has missed since it attached, as ipc_broadcast_missed. Wait-free. */
IPC_INLINE uint64_t ipc_record_broadcast_missed(const struct ipc_record_broadcast_consumer *c)
{
    return c->missed;
}

/* 0; -EBADMSG once the shared memory was found corrupt; or the error of a handle that was refused
 * or detached. */
IPC_INLINE int ipc_record_broadcast_consumer_error(const struct ipc_record_broadcast_consumer *c)
{
    return c->r.error;
}

#endif
