/* Records: making a ring, attaching to it, producing and consuming. Words: see record_lane.h. */
#ifndef IPC_SRC_RING_RECORD_H
#define IPC_SRC_RING_RECORD_H 1

#include "record_merge.h"

/* The bytes of a ring of records with `capacity` bytes for each of so many producers; or 0 if
 * capacity is not a power of two from 64 on, producers is not 1 to 64, or their product is beyond
 * the address space. */
IPC_INLINE size_t ipc_record_footprint(uint64_t capacity, unsigned producers)
{
    struct ipc_ring_kind_ kind = ipc_record_kind_(producers);

    if (capacity < 64 || !ipc_record_is_valid_how_(producers))
        return 0;
    return ipc_ring_footprint_(&kind, 1, capacity);
}

/*
 * Makes an empty ring of records, as ipc_spsc_init. A record takes 8 bytes and its length, rounded
 * up to a multiple of 8; the longest has half the capacity, less 8.
 *
 *   0
 *   -EINVAL  mem is NULL or not 64-byte aligned, or ipc_record_footprint(capacity, producers) is 0
 *   -ENOSPC  size is less than that
 */
IPC_INLINE int ipc_record_init(void *mem, size_t size, uint64_t capacity, unsigned producers)
{
    struct ipc_ring_kind_ kind = ipc_record_kind_(producers);

    if (ipc_record_footprint(capacity, producers) == 0)
        return -EINVAL;
    return ipc_ring_init_(mem, size, &kind, 1, capacity, producers);
}

/* ------------------------------------------------------------------ records: attach */

IPC_INLINE int ipc_record_check_(void *mem, size_t size, struct ipc_peer *me, uint64_t *capacity,
                                 unsigned *producers)
{
    struct ipc_ring_kind_ kind = ipc_record_kind_(1);
    int rc = ipc_ring_check_(mem, size, &kind, 1, me, capacity);

    if (rc != 0)
        return rc;
    *producers = ck_pr_load_32(&((const struct ipc_record_shared *)mem)->s.is.how);
    return ipc_ring_check_size_(me, size, ipc_record_footprint(*capacity, *producers), *producers);
}

/* Where to look for the tail from: where the last producer in the lane has begun, or where it was
 * when it left. So nobody walks over what has long been sent. If the consumer has been further
 * since, the lane's head. */
IPC_INLINE uint64_t ipc_record_walk_from_(const struct ipc_record_producer *p, uint64_t head)
{
    const struct ipc_record_lane_ *l = p->lane;
    uint64_t terms = ck_pr_load_64(&l->terms), at = head;

    if (terms > 0)
        at = ck_pr_load_64(&l->term[(terms - 1) % IPC_RECORD_TERMS_].from);
    at = (at & IPC_RECORD_LEFT_) != 0 ? ck_pr_load_64(&l->tail) : at & ~UINT64_C(7);
    return at - head <= p->mask + 1 - 8 ? at : head;
}

/* Finds where a producer goes on that has just taken its lane, and begins its term there. 0; or
 * -EBADMSG, and the lane is free again. */
IPC_INLINE int ipc_record_find_tail_(struct ipc_record_producer *p)
{
    uint64_t count = 0, head = ck_pr_load_64(p->head);

    /* Without it records could be written that head does not free yet. Partner:
     * ipc_record_publish_. */
    ck_pr_fence_acquire();
    p->limit = head + p->mask + 1;
    p->claimed = 0;
    p->put_off_word = 0;
    p->tail = ipc_record_walk_from_(p, head);
    if (head % 8 != 0 || ipc_record_walk_to_end_(p->data, p->mask, &p->tail, &count) != 0 ||
        p->tail - head > p->mask + 1 - 8) {
        ipc_ring_leave_end_(p->holder, p->id);
        return -EBADMSG;
    }
    p->begun = p->tail;
    p->from = ipc_record_begin_term_(p->lane, p->id, p->begun);
    return 0;
}

/* struct ipc_ring_self_'s renew: takes the same lane. */
IPC_INLINE int ipc_record_producer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_record_producer *p = (struct ipc_record_producer *)handle;

    if (me == NULL)
        return ipc_record_producer_disable_(p, -ECHILD);
    p->id = me->id;
    return ipc_ring_take_end_(p->holder, me, me->id) != 0 ? -EBUSY : ipc_record_find_tail_(p);
}

/*
 * Attaches a producer, of which there may be as many as the ring was made for. Each has a lane of
 * its own, with the whole capacity. `me`, and what a refused handle does: as for
 * ipc_spsc_producer_attach. Lock-free; asks the kernel which holders of lanes are dead; not for the
 * path of a message.
 *
 * The producer goes on behind what its predecessor in the lane has committed. So that its records
 * do not overtake what it sent before, it takes of the lanes that have no living holder
 *
 *   1. one in which there are records left of its own process;
 *   2. else that of a producer that was killed, or one in which there are records left of a process
 *      that has ended: a producer that is started again, however often, has its records in order;
 *   3. else one from which all was taken;
 *   4. else one in which there are records of a process that lives: when that comes back, it has to
 *      take another.
 *
 * Where several lanes fit it takes the first. So if several producers have ended, and there are
 * records of each left, a new one may overtake those of all but one. Where `me` is NULL, or has no
 * alive, any lane with records counts as left by a process that has ended.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO, -EROFS  as of ipc_spsc_producer_attach
 *   -EBUSY    every lane has a producer that is not proven dead
 *   -EBADMSG  the shared memory is corrupt
 */
IPC_INLINE int ipc_record_producer_attach(struct ipc_record_producer *p, void *mem, size_t size,
                                          struct ipc_peer *me)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)mem;
    uint64_t capacity = 0;
    unsigned producers = 0, lane;
    int rc = ipc_record_check_(mem, size, me, &capacity, &producers);

    (void)ipc_record_producer_disable_(p, rc);
    if (rc != 0)
        return rc;
    lane = ipc_record_take_lane_(r, producers, me);
    if (lane == producers)
        return p->error = -EBUSY; /* me->why is written */
    p->mask = capacity - 1;
    p->data = ipc_record_data_(r, producers, lane, p->mask);
    p->most = capacity / 2 - 8;
    p->head = ipc_record_head_(r, producers, lane);
    p->holder = ipc_record_holder_(r, producers, lane);
    p->lane = ipc_record_lane_at_(r, lane);
    p->ring = &r->s;
    p->id = ipc_ring_id_of_(me);
    ipc_ring_begin_self_(&p->self, me, ipc_record_producer_renew_);
    ipc_ring_trials_begin_(&p->trials, capacity);
    if (ipc_record_find_tail_(p) == 0)
        return 0;
    return ipc_record_producer_disable_(
        p, ipc_ring_refuse_(me, -EBADMSG, "lane of records is corrupt; position", p->tail, lane));
}

/* struct ipc_ring_self_'s renew: goes on where the handle was in each lane, or where another that
 * has had the end in between was later. */
IPC_INLINE int ipc_record_consumer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_record_consumer *c = (struct ipc_record_consumer *)handle;
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    unsigned i, bad = 0;

    if (me == NULL)
        return ipc_record_consumer_disable_(c, -ECHILD);
    c->id = me->id;
    if (ipc_ring_take_end_(&c->ring->end[1], me, me->id) != 0)
        return -EBUSY;
    for (i = 0; i < c->producers; i++) {
        uint64_t *was = i == c->lane ? &c->published : &c->heads[i];
        uint64_t head = ck_pr_load_64(ipc_record_head_(r, c->producers, i));

        bad |= head % 8 != 0;
        if (head != *was && i == c->lane)
            c->head = head;
        *was = head;
    }
    if (bad)
        ipc_ring_leave_end_(&c->ring->end[1], c->id);
    c->run_start = c->head;
    c->peeked = 0;
    c->merge.ripe_at = 0;
    c->merge.known = 0;
    ipc_record_note_published_(c, c->published);
    return bad ? -EBADMSG : 0;
}

/*
 * Attaches the consumer; as ipc_spsc_consumer_attach, with the same errors, and -EBADMSG: the
 * shared memory is corrupt. In each lane it starts at the last published position: what a killed
 * consumer took after that is seen again. Until ipc_record_replay says otherwise that is at most an
 * eighth of the capacity in bytes, in the one lane that it was reading.
 */
IPC_INLINE int ipc_record_consumer_attach(struct ipc_record_consumer *c, void *mem, size_t size,
                                          struct ipc_peer *me)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)mem;
    uint64_t capacity = 0, id = ipc_ring_id_of_(me);
    unsigned producers = 0, i;
    int rc = ipc_record_check_(mem, size, me, &capacity, &producers);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->s.end[1], me, id);
    (void)ipc_record_consumer_disable_(c, rc);
    if (rc != 0)
        return rc;
    c->mask = capacity - 1;
    c->replay = capacity / 8;
    c->producers = producers;
    c->ring = &r->s;
    c->id = id;
    ipc_ring_begin_self_(&c->self, me, ipc_record_consumer_renew_);
    c->at = IPC_RECORD_NOWHERE_;
    c->alive = me != NULL ? me->alive : NULL;
    c->arg = me != NULL ? me->arg : NULL;
    for (i = 0; i < producers; i++) {
        uint64_t head = c->heads[i] = ck_pr_load_64(ipc_record_head_(r, producers, i));

        if (head % 8 != 0) {
            ipc_ring_leave_end_(&r->s.end[1], id);
            return ipc_record_consumer_disable_(
                c, ipc_ring_refuse_(me, -EBADMSG, "lane of records is corrupt; position", head, i));
        }
        c->reported[i] = ipc_record_first_to_report_(c, i);
    }
    c->head = c->heads[0];
    ipc_record_go_to_lane_(c, 0);
    c->quick = 1;
    return 0;
}

/*
 * Sets how many bytes of records that were popped or released the successor of a killed consumer
 * may see again: at most n. A record counts with 8 bytes more than its length, rounded up to a
 * multiple of 8. With 0 each record is handed out once, at the cost of one more store for each. A
 * value above an eighth of the capacity is brought down to that, and any value to 0 where the
 * consumer merges. Wait-free.
 */
IPC_INLINE void ipc_record_replay(struct ipc_record_consumer *c, uint64_t n)
{
    if ((c->flags & IPC_RECORD_MERGES_) != 0)
        n = 0;
    c->replay = n < (c->mask + 1) / 8 ? n : (c->mask + 1) / 8;
    ipc_record_note_published_(c, c->published);
    if (ipc_record_is_due_(c) && ipc_ring_is_ours_(&c->self))
        ipc_record_publish_(c);
}

/* The id of the other end's holder, for struct ipc_peer's alive; 0 for nobody, and for a consumer
 * of several producers. Wait-free. */
IPC_INLINE uint64_t ipc_record_producer_peer(const struct ipc_record_producer *p)
{
    return p->ring != NULL ? ck_pr_load_64(&p->ring->end[1]) : 0;
}

IPC_INLINE uint64_t ipc_record_consumer_peer(const struct ipc_record_consumer *c)
{
    return c->ring != NULL ? ck_pr_load_64(&c->ring->end[0]) : 0;
}

/* Publishes what is put off. */
IPC_RING_NOINLINE_ void ipc_record_publish_put_off_(struct ipc_record_producer *p)
{
    ipc_ring_settle_copies_();
    /* Without it the word could be seen before the records. Partner: the load fence in
     * ipc_record_find_. */
    ck_pr_fence_store(); /* no twin: the models have no long records */
    ck_pr_store_64(ipc_record_word_(p->data, p->mask, p->put_off_at), p->put_off_word);
    p->put_off_word = 0;
    p->limit = p->limit_then;
}

/* Detaches; the ring and its records stay: the consumer still gets them. Wait-free. */
IPC_INLINE void ipc_record_producer_detach(struct ipc_record_producer *p)
{
    if (p->ring != NULL && ipc_ring_is_ours_(&p->self)) {
        if (p->put_off_word != 0)
            ipc_record_publish_put_off_(p);
        ck_pr_store_64(&p->lane->tail, p->tail); /* a LEFT says that it is there */
        (void)ck_pr_cas_64(p->from, p->begun, p->begun | IPC_RECORD_LEFT_);
        if (p->holder == &p->ring->end[0])
            ipc_ring_detach_end_(p->holder, p->id);
        else /* one of several: its term in the lane says so */
            ipc_ring_leave_end_(p->holder, p->id);
    }
    (void)ipc_record_producer_disable_(p, -EINVAL);
}

IPC_INLINE void ipc_record_consumer_detach(struct ipc_record_consumer *c)
{
    if (c->ring != NULL && ipc_ring_is_ours_(&c->self)) {
        if (c->head != c->published)
            ipc_record_publish_(c);
        ipc_ring_detach_end_(&c->ring->end[1], c->id);
    }
    (void)ipc_record_consumer_disable_(c, -EINVAL);
}

/* ------------------------------------------------------------------ records: producing */

/* The private limit leaves no room for so many bytes: looks at the position that the consumer has
 * published. 0, or -EAGAIN, or -EBADMSG, or the error of a handle that was refused. */
IPC_INLINE int ipc_record_find_room_(struct ipc_record_producer *p, uint64_t need)
{
    uint64_t head;

    if (p->error != 0)
        return p->error;
    head = ck_pr_load_64(p->head);
    /* Without it bytes could be written before the consumer is seen to be done with them. Partner:
     * ipc_record_publish_. */
    ck_pr_fence_acquire();
    if (p->tail - head > p->mask + 1 - 8) {
        p->limit = p->tail; /* every call comes here */
        return p->error = -EBADMSG;
    }
    p->limit = head + p->mask + 1;
    return p->limit - p->tail < need ? -EAGAIN : 0;
}

/* Where a record of n bytes goes: *at is the tail, or where the memory begins if the record does
 * not fit before its end. Behind the tail it takes *need bytes, with the word after it. */
IPC_FORCE_INLINE int ipc_record_place_(const struct ipc_record_producer *p, uint64_t n,
                                       uint64_t *at, uint64_t *need)
{
    uint64_t bytes = ipc_record_bytes_(n), row = ipc_record_bytes_to_end_(p->mask, p->tail);

    if (CK_CC_UNLIKELY(n > p->most))
        return p->error != 0 ? p->error : -EMSGSIZE;
    *at = p->tail + (bytes > row ? row : 0);
    *need = *at - p->tail + bytes + 8;
    return 0;
}

/* As ipc_record_room_, where the producer has to look, or has forked. */
IPC_RING_NOINLINE_ int ipc_record_room_again_(struct ipc_record_producer *p, uint64_t n,
                                              uint64_t *at, uint64_t need)
{
    int rc;

    if (p->error == 0 && ipc_ring_is_forked_(&p->self)) {
        rc = ipc_ring_settle_(&p->self, p);
        if (rc < 0 || ipc_record_place_(p, n, at, &need) != 0)
            return p->error;
    }
    if (p->put_off_word != 0) {
        ipc_record_publish_put_off_(p);
        if (p->limit - p->tail >= need)
            return 0;
    }
    return ipc_record_find_room_(p, need);
}

/* Finds the place `at` for a record of n bytes. 0, or the errors of ipc_record_push. */
IPC_FORCE_INLINE int ipc_record_room_(struct ipc_record_producer *p, uint64_t n, uint64_t *at)
{
    uint64_t need;
    int rc = ipc_record_place_(p, n, at, &need);

    if (CK_CC_UNLIKELY(rc != 0) ||
        CK_CC_LIKELY(p->limit - p->tail >= need && !ipc_ring_is_forked_(&p->self)))
        return rc;
    return ipc_record_room_again_(p, n, at, need);
}

/* Asks for the lines of a later record of that size, as ipc_spsc_next_slot_. */
IPC_FORCE_INLINE void ipc_record_prefetch_(const struct ipc_record_producer *p, uint64_t at,
                                           uint64_t n)
{
    uint64_t i;

    if (n < IPC_RING_PREFETCH_)
        for (i = 0; i <= n; i += IPC_RING_LINE)
            ck_pr_rfo(p->data + (size_t)((at + IPC_RING_PREFETCH_ + i) & p->mask));
}

/* Ends the record of n bytes at `at`, and moves the tail behind it. Returns the word that makes it
 * visible. */
IPC_FORCE_INLINE uint64_t ipc_record_write_(struct ipc_record_producer *p, uint64_t tail,
                                            uint64_t at, uint64_t n)
{
    uint64_t next = at + ipc_record_bytes_(n), word = n << IPC_RECORD_LENGTH_ | IPC_RECORD_IS_;

    ck_pr_store_64(ipc_record_word_(p->data, p->mask, next), 0);
    if (CK_CC_UNLIKELY(at != tail)) {
        ck_pr_store_64(ipc_record_word_(p->data, p->mask, at), word);
        word = IPC_RECORD_SKIP_;
    }
    p->tail = next;
    p->claimed = 0;
    return word;
}

/* Makes the record of n bytes at `at` visible. */
IPC_FORCE_INLINE void ipc_record_send_(struct ipc_record_producer *p, uint64_t tail, uint64_t at,
                                       uint64_t n)
{
    uint64_t word = ipc_record_write_(p, tail, at, n);

    /* Without it the word could be seen before the record, or the record before the 0 behind it.
     * Partner: the load fence in ipc_record_find_. */
    ck_pr_fence_store();
    ck_pr_store_64(ipc_record_word_(p->data, p->mask, tail), word);
}

/*
 * Copies a record of n bytes in; n may be 0. Wait-free for a given n. A consumer that is stopped or
 * dead lets the lane run full. Other producers do not matter.
 *
 *   0
 *   -EAGAIN    there is no room for it; never where the consumer has taken all before it
 *   -EMSGSIZE  n is more than half the capacity less 8
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_FORCE_INLINE int ipc_record_push(struct ipc_record_producer *p, const void *data, size_t n)
{
    uint64_t tail, at;
    int rc = ipc_record_room_(p, n, &at);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    tail = p->tail;
    ipc_record_prefetch_(p, at, n);
    ipc_ring_put_(&p->trials, p->data + (size_t)(at & p->mask) + 8, (const unsigned char *)data, n);
    ipc_record_send_(p, tail, at, n);
    return 0;
}

/* Puts off the record of n bytes at `at`, which is copied in. */
IPC_INLINE void ipc_record_put_off_(struct ipc_record_producer *p, uint64_t at, uint64_t n)
{
    uint64_t tail = p->tail, limit = p->limit;

    if (p->put_off_word == 0) {
        p->put_off_at = tail;
        p->put_off_word = ipc_record_write_(p, tail, at, n);
        p->limit_then = limit;
    } else {
        ipc_record_send_(p, tail, at, n);
    }
    p->limit = p->tail;
}

/*
 * Push and flush with the hint that more is coming: as ipc_spsc_push_more and ipc_spsc_flush, with
 * the errors of ipc_record_push. Records of less than 256 bytes are published at once, and those
 * before them.
 */
IPC_INLINE int ipc_record_push_more(struct ipc_record_producer *p, const void *data, size_t n)
{
    uint64_t at, need;
    int rc;

    if (!IPC_RING_IS_PUT_OFF_(n) || ipc_ring_trials_rest_(&p->trials, n))
        return ipc_record_push(p, data, n);
    rc = ipc_record_place_(p, n, &at, &need);
    if (rc == 0 && (p->put_off_word == 0 || p->limit_then - p->tail < need ||
                    p->tail + need - p->put_off_at > IPC_RING_PUT_OFF_ ||
                    p->tail - p->put_off_at > p->mask / 4 || ipc_ring_is_forked_(&p->self)))
        rc = ipc_record_room_(p, n, &at);
    if (rc != 0)
        return rc;
    if (p->trials.way != IPC_RING_PAST_) /* else the lines are fetched in vain */
        ipc_record_prefetch_(p, at, n);
    if (ipc_ring_copy_unsettled_(&p->trials, p->data + (size_t)(at & p->mask) + 8,
                                 (const unsigned char *)data, n)) {
        ipc_record_put_off_(p, at, n);
        return 0;
    }
    if (p->put_off_word != 0)
        ipc_record_publish_put_off_(p);
    ipc_record_send_(p, p->tail, at, n);
    return 0;
}

IPC_INLINE int ipc_record_flush(struct ipc_record_producer *p)
{
    if (p->put_off_word != 0 && p->error == 0 &&
        (!ipc_ring_is_forked_(&p->self) || ipc_ring_settle_(&p->self, p) >= 0) &&
        p->put_off_word != 0)
        ipc_record_publish_put_off_(p);
    return p->error;
}

/* Copies up to n records in. Records of less than 256 bytes are visible to the consumer one by one,
 * longer ones at the latest when the call returns. Returns how many went in, 0 for n = 0, or the
 * errors of ipc_record_push when none did. Wait-free for given records. */
IPC_INLINE int64_t ipc_record_push_n(struct ipc_record_producer *p,
                                     const struct ipc_record *records, size_t n)
{
    size_t i;
    int rc = 0;

    for (i = 0; i < n && (rc = ipc_record_push_more(p, records[i].at, records[i].n)) == 0; i++)
        ;
    (void)ipc_record_flush(p);
    return i > 0 ? (int64_t)i : rc;
}

/* Begins a claim of n bytes, for which there is room at p->at. */
IPC_FORCE_INLINE void *ipc_record_begin_claim_(struct ipc_record_producer *p, size_t n)
{
    ipc_record_prefetch_(p, p->at, n);
    p->claimed = n + UINT64_C(1);
    return p->data + (size_t)(p->at & p->mask) + 8;
}

/*
 * Push without a copy. claim gives room for a record of up to n bytes, 8-byte aligned and in a row.
 * NULL: there is no room now, n is more than ipc_record_most, or see ipc_record_producer_error.
 * commit sends the first n bytes of it: 0; -EINVAL: n is more than was claimed, or nothing was
 * claimed since the last push or commit; or -ECHILD. Claiming again replaces the claim, also when it returns
 * NULL; cancel drops it. A producer that is killed in between has sent nothing. All wait-free.
 */
IPC_INLINE void *ipc_record_claim(struct ipc_record_producer *p, size_t n)
{
    p->claimed = 0;
    return ipc_record_room_(p, n, &p->at) == 0 ? ipc_record_begin_claim_(p, n) : NULL;
}

IPC_INLINE int ipc_record_commit(struct ipc_record_producer *p, size_t n)
{
    if (n >= p->claimed)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&p->self)) && ipc_ring_settle_(&p->self, p) != 1)
        return p->error != 0 ? p->error : -EINVAL;
    ipc_record_send_(p, p->tail, p->at, n);
    return 0;
}

IPC_INLINE void ipc_record_cancel(struct ipc_record_producer *p)
{
    p->claimed = 0;
}

/* The length of the longest record, half the capacity less 8; 0 when not attached. */
IPC_INLINE size_t ipc_record_most(const struct ipc_record_producer *p)
{
    return (size_t)p->most;
}

/* 0; -EBADMSG once the shared memory was found corrupt; or the error of a handle that was refused
 * or detached. */
IPC_INLINE int ipc_record_producer_error(const struct ipc_record_producer *p)
{
    return p->error;
}

/* How many bytes records in our lane took, at some moment during the call. What was read counts
 * until the consumer has published it. Wait-free. */
IPC_INLINE uint64_t ipc_record_was_size(const struct ipc_record_producer *p)
{
    uint64_t size = p->ring != NULL ? p->tail - ck_pr_load_64(p->head) : 0;

    return size < p->mask ? size : p->mask;
}

/* ------------------------------------------------------------------ records: consuming */

/* Goes to the next other lane that has a record. Returns the word at its head, or 0: none has. */
IPC_INLINE uint64_t ipc_record_find_lane_(struct ipc_record_consumer *c)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    unsigned i;

    for (i = 1; i < c->producers; i++) {
        unsigned lane = c->lane + i < c->producers ? c->lane + i : c->lane + i - c->producers;
        uint64_t word = ck_pr_load_64(ipc_record_word_(
            ipc_record_data_(r, c->producers, lane, c->mask), c->mask, c->heads[lane]));

        if (word != 0) {
            ipc_record_go_to_lane_(c, lane);
            return word;
        }
    }
    return 0;
}

/* There is no record at head yet: publishes the position, and looks at the other lanes. If several
 * records came in a row until here, the consumer is close behind the producer, and holds back.
 * Returns a word, or 0. */
IPC_RING_NOINLINE_ uint64_t ipc_record_found_empty_(struct ipc_record_consumer *c)
{
    uint64_t word, run = c->head - c->run_start;

    if (c->head != c->published && c->to != NULL)
        ipc_record_publish_(c);
    c->run_start = c->head;
    if (c->producers > 1 && (word = ipc_record_find_lane_(c)) != 0)
        return word;
    if (run == 0) {
        c->pauses = 0;
        return 0;
    }
    ipc_ring_adapt_pauses_(&c->pauses, run >= 4 * IPC_RING_LINE, IPC_RECORD_PAUSES_);
    ipc_ring_hold_back_(c->pauses);
    return ck_pr_load_64(ipc_record_word_(c->data, c->mask, c->head));
}

/* Does what is to be done before the consumer looks for a record. 0, or as ipc_record_pop. */
IPC_RING_NOINLINE_ int ipc_record_prepare_(struct ipc_record_consumer *c)
{
    unsigned flags;

    if (c->error != 0)
        return c->error;
    if (ipc_ring_is_forked_(&c->self) && ipc_ring_settle_(&c->self, c) < 0)
        return c->error;
    flags = c->flags;
    c->flags &= ~(IPC_RECORD_TURN_ | IPC_RECORD_TOLD_);
    if ((flags & IPC_RECORD_MERGES_) != 0)
        return ipc_record_choose_lane_(c);
    c->quick = 1;
    if ((flags & IPC_RECORD_TURN_) != 0)
        (void)ipc_record_find_lane_(c);
    return 0;
}

/* Is there a record to read? 0, with its length; or the errors of ipc_record_pop, which do not
 * stick yet. */
IPC_FORCE_INLINE int ipc_record_find_(struct ipc_record_consumer *c, size_t *n)
{
    uint64_t word;
    int rc;

    if (CK_CC_UNLIKELY(!c->quick || ipc_ring_is_forked_(&c->self)) &&
        (rc = ipc_record_prepare_(c)) != 0)
        return rc;
    word = ck_pr_load_64(ipc_record_word_(c->data, c->mask, c->head));
    if (CK_CC_UNLIKELY(word == 0) && (word = ipc_record_found_empty_(c)) == 0)
        return -EAGAIN;
    /* Without it the record could be read before the word that says that it is there. Partner: the
     * store fence in ipc_record_send_. */
    ck_pr_fence_load();
    c->peeked = ipc_record_measure_(c->data, c->mask, c->head, &word, &c->at);
    if (CK_CC_UNLIKELY(c->peeked == 0))
        return -EBADMSG;
    *n = (size_t)(word >> IPC_RECORD_LENGTH_);
    return 0;
}

/* The payload of the record that was found. */
IPC_FORCE_INLINE unsigned char *ipc_record_payload_(const struct ipc_record_consumer *c)
{
    return c->data + (size_t)(c->at & c->mask) + 8;
}

IPC_FORCE_INLINE int ipc_record_look_(struct ipc_record_consumer *c, size_t *n)
{
    int rc = ipc_record_find_(c, n);

    if (CK_CC_UNLIKELY(rc == -EBADMSG))
        (void)ipc_record_fail_(c, rc);
    return rc;
}

/* Moves on behind the record. Returns 1 if that published the position; then it is the turn of
 * another lane. */
IPC_FORCE_INLINE int ipc_record_release_(struct ipc_record_consumer *c)
{
    c->head += c->peeked;
    c->peeked = 0;
    if (CK_CC_LIKELY(!ipc_record_is_due_(c)))
        return 0;
    ipc_record_publish_(c);
    if (c->producers > 1)
        ipc_record_raise_(c, IPC_RECORD_TURN_);
    return 1;
}

IPC_FORCE_INLINE int64_t ipc_record_take_(struct ipc_record_consumer *c, void *to, size_t size,
                                          int *published)
{
    size_t n = 0;
    int rc = ipc_record_look_(c, &n);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    if (CK_CC_UNLIKELY(n > size))
        return -EMSGSIZE;
    if (size > 0 && CK_CC_LIKELY(n > 0)) /* `to` may be NULL where either is 0 */
        ipc_ring_get_(to, ipc_record_payload_(c), n, 1);
    *published = ipc_record_release_(c);
    return (int64_t)n;
}

/*
 * Copies a producer's oldest record out. Producers take turns: one after the other, each for as
 * long as it has records, and for an eighth of the capacity at most. There is no order between
 * producers, unless the consumer merges (ipc_record_merge). Wait-free; holds back at times, as
 * ipc_spsc_pop, for up to 127 ck_pr_stall()s. A producer that is stopped or dead costs nothing:
 * what it committed is all there. A consumer that is killed before the next call may take the
 * record with it, as its position may be published already; with peek and release none is lost.
 *
 *   >= 0       the record's length in bytes
 *   -EAGAIN    there is none; or one that merging holds back
 *   -EMSGSIZE  it is longer than `size`, and is still there: peek says how long, release drops it
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_FORCE_INLINE int64_t ipc_record_pop(struct ipc_record_consumer *c, void *to, size_t size)
{
    int published;

    return ipc_record_take_(c, to, size, &published);
}

/* Notes that the record at to[at] has n bytes. Returns where there is room for the next. */
IPC_FORCE_INLINE size_t ipc_record_note_place_(struct ipc_record *record, unsigned char *to,
                                               size_t at, size_t n)
{
    record->at = to + at;
    record->n = n;
    return at + ((n + 7) & ~(size_t)7);
}

/*
 * Copies up to n records out, as many as fit to[0..size). Stores in records[] where each is, at a
 * multiple of 8 from `to`, and how long it is. Returns how many, 0 for n = 0, or the errors of
 * ipc_record_pop when none came. Wait-free for a given n.
 */
IPC_INLINE int64_t ipc_record_pop_n(struct ipc_record_consumer *c, void *to, size_t size,
                                    struct ipc_record *records, size_t n)
{
    unsigned char *t = (unsigned char *)to;
    size_t i, at = 0;
    int64_t rc = 0;

    for (i = 0; i < n && at <= size; i++) {
        rc = ipc_record_pop(c, t + at, size - at);
        if (rc < 0)
            break;
        at = ipc_record_note_place_(&records[i], t, at, (size_t)rc);
    }
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Pop without a copy. peek gives the next record in place, 8-byte aligned, and its length; NULL:
 * there is none, or see ipc_record_consumer_error. It stays readable until released; peeking again
 * gives the same. A record that was peeked and not released when the consumer is killed is seen
 * again. A hostile producer may write to it meanwhile: read each field once, then check, then use.
 * release moves on behind it: 0; -EINVAL when nothing was peeked; or -ECHILD. All wait-free.
 */
IPC_INLINE const void *ipc_record_peek(struct ipc_record_consumer *c, size_t *n)
{
    return ipc_record_look_(c, n) == 0 ? ipc_record_payload_(c) : NULL;
}

IPC_INLINE int ipc_record_release(struct ipc_record_consumer *c)
{
    if (c->peeked == 0)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&c->self)) && ipc_ring_settle_(&c->self, c) != 1)
        return c->error != 0 ? c->error : -EINVAL;
    (void)ipc_record_release_(c);
    return 0;
}

/* 0; -EBADMSG once the shared memory was found corrupt; or the error of a handle that was refused
 * or detached. */
IPC_INLINE int ipc_record_consumer_error(const struct ipc_record_consumer *c)
{
    return c->error;
}

#endif
