/* IPC_RECORDS and IPC_RECORD_BROADCAST: messages of any length. */
#ifndef IPC_SRC_RING_TYPED_RECORDS_H
#define IPC_SRC_RING_TYPED_RECORDS_H 1

#include "record_broadcast.h"
#include "typed.h"

IPC_TEMPLATE(IPC_RECORD_MEMORY_, NAME, K, KIND)
IPC_INLINE size_t NAME_footprint(uint64_t capacity, unsigned how)
{
    return ipc_K_footprint(capacity, how);
}
IPC_INLINE int NAME_init(void *mem, size_t size, uint64_t capacity, unsigned how)
{
    ipc_ring_say_version_(mem, size, NAME_footprint(capacity, how), NAME_version_);
    return ipc_K_init(mem, size, capacity, how);
}
#ifdef IPC_SHM_H
IPC_RING_CREATE_(NAME, K, KIND, 1, IPC_RING_HOW_, 0u)
#endif
IPC_TEMPLATE_END

IPC_TEMPLATE(IPC_RECORD_CALLS_, NAME, K)
IPC_RING_CALL_ int NAME_push(struct NAME_producer *p, const void *data, size_t n)
{
    return ipc_K_push(&p->raw, data, n);
}
IPC_RING_CALL_ int64_t NAME_push_n(struct NAME_producer *p, const struct ipc_record *records,
                                   size_t n)
{
    return ipc_K_push_n(&p->raw, records, n);
}
IPC_RING_CALL_ void *NAME_claim(struct NAME_producer *p, size_t n)
{
    return ipc_K_claim(&p->raw, n);
}
IPC_RING_CALL_ int NAME_commit(struct NAME_producer *p, size_t n)
{
    return ipc_K_commit(&p->raw, n);
}
IPC_INLINE void NAME_cancel(struct NAME_producer *p)
{
    ipc_K_cancel(&p->raw);
}
IPC_INLINE size_t NAME_most(const struct NAME_producer *p)
{
    return ipc_K_most(&p->raw);
}
IPC_FORCE_INLINE int64_t NAME_pop(struct NAME_consumer *c, void *to, size_t size)
{
    return ipc_K_pop(&c->raw, to, size);
}
IPC_RING_CALL_ int64_t NAME_pop_n(struct NAME_consumer *c, void *to, size_t size,
                              struct ipc_record *records, size_t n)
{
    return ipc_K_pop_n(&c->raw, to, size, records, n);
}
IPC_RING_CALL_ const void *NAME_peek(struct NAME_consumer *c, size_t *n)
{
    return ipc_K_peek(&c->raw, n);
}
IPC_RING_CALL_ int NAME_release(struct NAME_consumer *c)
{
    return ipc_K_release(&c->raw);
}
IPC_TEMPLATE_END

/* Before a post of a consumer that publishes for many records at once. */
IPC_INLINE void ipc_record_tell_(struct ipc_record_consumer *c)
{
    if (c->to != NULL && c->head != c->published && ipc_ring_is_ours_(&c->self))
        ipc_record_publish_(c);
    c->post_due = 0;
}

/* ASK is done before a producer looks for room. FIRST is done before a consumer `c` looks for a
 * record, and ENDED is what else may end its wait if it finds none. */
IPC_TEMPLATE(IPC_RECORD_SLEEP_, NAME, K, H, ASK, FIRST, ENDED)
IPC_INLINE int NAME_producer_look_(void *handle, void *argument)
{
    struct NAME_producer *h = (struct NAME_producer *)handle;
    uint64_t at;
    int rc;

    (void)(ASK);
    rc = ipc_K_room_(&h->raw, *(size_t *)argument, &at);
    return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;
}
/* Posts first: what was pushed without a post may be what the consumer sleeps for. */
IPC_INLINE int NAME_producer_wait(struct NAME_producer *h, size_t n, int64_t deadline)
{
    (void)ipc_notify_post(&h->data);
    return NAME_producer_wait_until_(h, &n, deadline);
}
IPC_FORCE_INLINE int NAME_send(struct NAME_producer *p, const void *data, size_t n,
                               int64_t deadline)
{
    int rc = ipc_K_push(&p->raw, data, n);

    if (CK_CC_UNLIKELY(rc == -EAGAIN)) {
        rc = NAME_producer_wait(p, n, deadline);
        rc = rc != 0 ? rc : ipc_K_push(&p->raw, data, n);
    }
    if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(p->H.ring->data_bell)))
        (void)ipc_notify_post(&p->data);
    return rc;
}
IPC_INLINE int NAME_consumer_look_(void *handle, void *argument)
{
    struct NAME_consumer *c = (struct NAME_consumer *)handle;
    int64_t until = *(const int64_t *)argument;
    size_t n;
    int rc;

    (void)(FIRST);
    rc = ipc_K_look_(&c->raw, &n);
    if (rc == -EAGAIN && (rc = ENDED) == 0)
        rc = -EAGAIN;
    if (rc == 0 || (rc == -EAGAIN && ipc_record_look_again_at_(&c->H, until) < until))
        return 1;
    if (rc != -EAGAIN)
        return rc;
    if (c->H.post_due)
        (void)NAME_consumer_post(c);
    return 0;
}
IPC_INLINE int NAME_consumer_wait(struct NAME_consumer *c, int64_t deadline)
{
    int64_t until;
    size_t n;
    int rc;

    for (;;) {
        until = ipc_record_look_again_at_(&c->H, deadline);
        rc = NAME_consumer_wait_until_(c, &until, until);
        if (CK_CC_LIKELY(c->H.merge.patience == 0) || (rc != 0 && rc != -ETIMEDOUT))
            return rc;
        rc = ipc_K_look_(&c->raw, &n);
        if (rc != -EAGAIN)
            return rc;
        if (ipc_left_(deadline) == 0)
            return -ETIMEDOUT;
    }
}
IPC_RING_CALL_ int64_t NAME_recv(struct NAME_consumer *c, void *to, size_t size, int64_t deadline)
{
    int published = 0;
    int64_t rc = ipc_K_take_(&c->raw, to, size, &published);

    while (CK_CC_UNLIKELY(rc == -EAGAIN)) {
        rc = NAME_consumer_wait(c, deadline);
        rc = rc != 0 ? rc : ipc_K_take_(&c->raw, to, size, &published);
        if (rc == -EAGAIN && ipc_left_(deadline) == 0) /* of a hostile peer it may come and go */
            rc = -ETIMEDOUT;
    }
    if (CK_CC_UNLIKELY(published)) {
        c->H.post_due = 0;
        (void)ipc_notify_post(&c->space);
    }
    return rc;
}
IPC_TEMPLATE_END

IPC_TEMPLATE(IPC_RECORDS, NAME)
enum { NAME_version_ = 0 };
IPC_RECORD_MEMORY_(NAME, record, IPC_RECORD_TYPE)
IPC_RING_END_(NAME, record, producer, raw, 0, (void)ipc_record_flush(&h->raw), me)
IPC_RING_END_(NAME, record, consumer, raw, 0, ipc_record_tell_(&h->raw), me)
IPC_RECORD_CALLS_(NAME, record)
IPC_INLINE int NAME_push_more(struct NAME_producer *p, const void *data, size_t n)
{
    return ipc_record_push_more(&p->raw, data, n);
}
IPC_INLINE int NAME_flush(struct NAME_producer *p)
{
    return ipc_record_flush(&p->raw);
}
IPC_RING_SAYS_(NAME, record, const, uint64_t, peer)
IPC_INLINE void NAME_replay(struct NAME_consumer *c, uint64_t n)
{
    ipc_record_replay(&c->raw, n);
}
IPC_INLINE int NAME_source(const struct NAME_consumer *c, struct ipc_record_sender *from)
{
    return ipc_record_source(&c->raw, from);
}
IPC_INLINE int NAME_ended(struct NAME_consumer *c)
{
    return ipc_record_ended(&c->raw);
}
#ifdef IPC_NOTIFY_H
IPC_RECORD_SLEEP_(NAME, record, raw, 0,
                  ipc_record_note_death_(&c->raw, ipc_notify_anyone_died(&c->data)),
                  ipc_record_watched_ended_(&c->raw))
IPC_INLINE void NAME_merge(struct NAME_consumer *c, int64_t patience)
{
    ipc_record_merge(&c->raw, patience, ipc_clock);
    if (c->raw.producers > 1)
        ipc_notify_watch_anyone(&c->data);
}
IPC_INLINE void NAME_watch_producers(struct NAME_consumer *c)
{
    if (c->raw.producers > 1) {
        ipc_record_raise_(&c->raw, IPC_RECORD_WATCHES_);
        c->raw.ask = 1;
        ipc_notify_watch_anyone(&c->data);
    }
}
#endif
#ifdef IPC_SHM_H
IPC_RING_OPEN_(NAME, producer, raw, IPC_RECORD_TYPE, IPC_RING_HOW_, )
IPC_RING_OPEN_(NAME, consumer, raw, IPC_RECORD_TYPE, IPC_RING_HOW_, )
#endif
IPC_TEMPLATE_END

IPC_TEMPLATE(IPC_RECORD_BROADCAST, NAME)
enum { NAME_version_ = 0 };
IPC_RECORD_MEMORY_(NAME, record_broadcast, IPC_RECORD_BROADCAST_TYPE)
IPC_RING_END_(NAME, record_broadcast, producer, raw.r, 1, (void)0, me)
IPC_RING_END_(NAME, record_broadcast, consumer, raw.r, 0, ipc_record_tell_(&h->raw.r), me)
IPC_RECORD_CALLS_(NAME, record_broadcast)
IPC_INLINE uint64_t NAME_missed(const struct NAME_consumer *c)
{
    return ipc_record_broadcast_missed(&c->raw);
}
IPC_RING_READERS_(NAME, record_broadcast)
#ifdef IPC_NOTIFY_H
IPC_RECORD_SLEEP_(
    NAME, record_broadcast, raw.r,
    (ipc_notify_anyone_died(&h->space) ? ipc_broadcast_ask_(&h->raw.readers) : (void)0), 0, 0)
#endif
#ifdef IPC_SHM_H
IPC_RING_OPEN_(NAME, producer, raw.r, IPC_RECORD_BROADCAST_TYPE, IPC_RING_HOW_, )
IPC_RING_OPEN_(NAME, consumer, raw.r, IPC_RECORD_BROADCAST_TYPE, IPC_RING_HOW_, )
#endif
IPC_TEMPLATE_END

#endif
