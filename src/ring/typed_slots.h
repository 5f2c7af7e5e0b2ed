/* IPC_SPSC, IPC_MPMC, IPC_MPSC, IPC_SPMC and IPC_BROADCAST: messages of one size. */
#ifndef IPC_SRC_RING_TYPED_SLOTS_H
#define IPC_SRC_RING_TYPED_SLOTS_H 1

#include "broadcast.h"
#include "mpmc.h"
#include "typed.h"

/* CANCELLED is done after a cancel. */
IPC_TEMPLATE(IPC_RING_SLOTS_, NAME, TYPE, K, CANCELLED, ...)
IPC_RING_ASSERT_(NAME_alignment, __alignof__(TYPE) <= IPC_RING_LINE)
IPC_RING_ASSERT_(NAME_is_trivially_copyable, IPC_RING_IS_COPYABLE_(TYPE))
IPC_RING_CALL_ int NAME_push(struct NAME_producer *p, const TYPE *message)
{
    return ipc_K_push_(&p->raw, message, __VA_ARGS__);
}
IPC_RING_CALL_ int64_t NAME_push_n(struct NAME_producer *p, const TYPE *messages, size_t n)
{
    return ipc_K_push_n_(&p->raw, messages, n, sizeof(TYPE));
}
IPC_RING_CALL_ TYPE *NAME_claim(struct NAME_producer *p)
{
    return (TYPE *)ipc_K_claim_(&p->raw, __VA_ARGS__);
}
IPC_RING_CALL_ int NAME_commit(struct NAME_producer *p)
{
    return ipc_K_commit_(&p->raw, sizeof(TYPE));
}
IPC_INLINE void NAME_cancel(struct NAME_producer *p)
{
    ipc_K_cancel(&p->raw);
    CANCELLED;
}
IPC_RING_CALL_ int NAME_pop(struct NAME_consumer *c, TYPE *message)
{
    return ipc_K_pop_(&c->raw, message, __VA_ARGS__);
}
IPC_RING_CALL_ int64_t NAME_pop_n(struct NAME_consumer *c, TYPE *messages, size_t n)
{
    return ipc_K_pop_n_(&c->raw, messages, n, __VA_ARGS__);
}
IPC_RING_CALL_ const TYPE *NAME_peek(struct NAME_consumer *c)
{
    return (const TYPE *)ipc_K_peek_(&c->raw, __VA_ARGS__);
}
IPC_RING_CALL_ int NAME_release(struct NAME_consumer *c)
{
    return ipc_K_release_(&c->raw, sizeof(TYPE));
}
IPC_TEMPLATE_END

/* END_wait and CALL. A look tries TRY, or LOOK where there is no message: 0, -EAGAIN for not yet, or
 * another errno. DEATH: somebody's was heard; is there now something for other sleepers? */
IPC_TEMPLATE(IPC_RING_SLEEP_, NAME, END, H, CALL, TRY, MESSAGE, LOOK, DEATH)
IPC_INLINE int NAME_END_look_(void *handle, void *argument)
{
    struct NAME_END *h = (struct NAME_END *)handle;
    MESSAGE *message = *(MESSAGE **)argument;
    int rc;

    if (ipc_notify_anyone_died(&h->IPC_RING_OURS_END) && (DEATH))
        ipc_notify_post_both_(&h->data, &h->space);
    rc = message != NULL ? NAME_TRY(h, message) : (LOOK);
    return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;
}
/* Posts first: what was pushed, or popped, without a post may be what the other end sleeps for. */
IPC_INLINE int NAME_END_sleep_(struct NAME_END *h, MESSAGE *message,
                               int64_t deadline)
{
    (void)ipc_notify_post(&h->IPC_RING_THEIRS_END);
    return NAME_END_wait_until_(h, &message, deadline);
}
IPC_INLINE int NAME_END_wait(struct NAME_END *h, int64_t deadline)
{
    return NAME_END_sleep_(h, NULL, deadline);
}
IPC_FORCE_INLINE int NAME_CALL(struct NAME_END *h, MESSAGE *message, int64_t deadline)
{
    int rc = NAME_TRY(h, message);

    if (CK_CC_UNLIKELY(rc == -EAGAIN))
        rc = NAME_END_sleep_(h, message, deadline);
    if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(h->H.ring->IPC_RING_THEIR_BELL_END)))
        (void)ipc_notify_post(&h->IPC_RING_THEIRS_END);
    return rc;
}
IPC_TEMPLATE_END
#define IPC_RING_THEIR_BELL_producer data_bell
#define IPC_RING_THEIR_BELL_consumer space_bell
#define IPC_RING_SEND_(NAME, TYPE, H, LOOK, DEATH)                                                 \
    IPC_RING_SLEEP_(NAME, producer, H, send, push, const TYPE, LOOK, DEATH)

/* ------------------------------------------------------------------ one producer, one consumer */

/* Before a post of a consumer that publishes for many messages at once. */
IPC_INLINE void ipc_spsc_tell_(struct ipc_spsc_consumer *c, uint64_t *woken_for)
{
    if (c->at != NULL && c->head != c->published && ipc_ring_is_ours_(&c->self))
        ipc_spsc_publish_(c);
    *woken_for = c->published;
}

/* A consumer also publishes when it finds the ring empty, as the producer may wait for that: then it
 * posts. */
IPC_TEMPLATE(IPC_SPSC_RECV_, NAME, TYPE, K, H)
IPC_INLINE int NAME_consumer_look_(void *handle, void *argument)
{
    struct NAME_consumer *c = (struct NAME_consumer *)handle;
    int rc = ipc_K_data_(&c->raw, sizeof(TYPE));

    (void)argument;
    if (rc != -EAGAIN)
        return rc == 0 ? 1 : rc;
    if (c->woken_for != c->H.published)
        (void)NAME_consumer_post(c);
    return 0;
}
IPC_INLINE int NAME_consumer_wait(struct NAME_consumer *c, int64_t deadline)
{
    return NAME_consumer_wait_until_(c, NULL, deadline);
}
IPC_FORCE_INLINE int NAME_recv(struct NAME_consumer *c, TYPE *message, int64_t deadline)
{
    int published = 0, rc = ipc_K_take_(&c->raw, message, sizeof(TYPE), &published);

    if (CK_CC_UNLIKELY(rc == -EAGAIN)) {
        rc = NAME_consumer_wait(c, deadline);
        rc = rc != 0 ? rc : ipc_K_take_(&c->raw, message, sizeof(TYPE), &published);
    }
    if (CK_CC_UNLIKELY(published)) {
        c->woken_for = c->H.published;
        (void)ipc_notify_post(&c->space);
    }
    return rc;
}
IPC_TEMPLATE_END

/* Before a post: short messages are never put off. */
#define IPC_SPSC_FLUSH_(TYPE)                                                                      \
    if (IPC_RING_IS_PUT_OFF_(sizeof(TYPE)))                                                        \
    (void)ipc_spsc_flush(&h->raw)

#define IPC_SPSC(NAME, ...)                                                                        \
    IPC_SPSC_OF_(NAME, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

IPC_TEMPLATE(IPC_SPSC_OF_, NAME, TYPE, VERSION)
enum { NAME_version_ = (VERSION) };
IPC_RING_MEMORY_(NAME, spsc, IPC_SPSC_TYPE, sizeof(TYPE), IPC_RING_PLAIN_, 0, sizeof(TYPE))
IPC_RING_END_(NAME, spsc, producer, raw, 0, IPC_SPSC_FLUSH_(TYPE), sizeof(TYPE), me)
IPC_RING_END_(NAME, spsc, consumer, raw, 0, ipc_spsc_tell_(&h->raw, &h->woken_for), sizeof(TYPE), me)
IPC_RING_SLOTS_(NAME, TYPE, spsc, (void)0, sizeof(TYPE))
IPC_RING_CALL_ int NAME_push_more(struct NAME_producer *p, const TYPE *message)
{
    return ipc_spsc_push_more_(&p->raw, message, sizeof(TYPE));
}
IPC_INLINE int NAME_flush(struct NAME_producer *p)
{
    return ipc_spsc_flush(&p->raw);
}
IPC_RING_SAYS_(NAME, spsc, const, uint64_t, was_size)
IPC_RING_SAYS_(NAME, spsc, const, uint64_t, peer)
IPC_INLINE void NAME_replay(struct NAME_consumer *c, uint64_t n)
{
    ipc_spsc_replay(&c->raw, n);
}
#ifdef IPC_NOTIFY_H
IPC_RING_SEND_(NAME, TYPE, raw, ipc_spsc_room_(&h->raw), 0)
IPC_SPSC_RECV_(NAME, TYPE, spsc, raw)
#endif
#ifdef IPC_SHM_H
IPC_RING_OPEN_(NAME, producer, raw, IPC_SPSC_TYPE, IPC_RING_PLAIN_, )
IPC_RING_OPEN_(NAME, consumer, raw, IPC_SPSC_TYPE, IPC_RING_PLAIN_, )
#endif
IPC_TEMPLATE_END

/* ------------------------------------------------------------------ many at an end */

#define IPC_MPMC(NAME, ...) IPC_MPMC_OF_(NAME, 0u, __VA_ARGS__)
#define IPC_MPSC(NAME, ...) IPC_MPMC_OF_(NAME, IPC_MPMC_ONE_CONSUMER, __VA_ARGS__)
#define IPC_SPMC(NAME, ...) IPC_MPMC_OF_(NAME, IPC_MPMC_ONE_PRODUCER, __VA_ARGS__)
#define IPC_MPMC_OF_(NAME, ENDS, ...)                                                              \
    IPC_MPMC_ENDS_(NAME, ENDS, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

/* What claim or peek returned, as an errno. */
IPC_INLINE int ipc_mpmc_found_(const struct ipc_mpmc *m, const void *slot)
{
    if (slot != NULL)
        return 0;
    return m->error != 0 ? m->error : -EAGAIN;
}

IPC_TEMPLATE(IPC_MPMC_ENDS_, NAME, ENDS, TYPE, VERSION)
enum { NAME_version_ = (VERSION) };
IPC_RING_MEMORY_(NAME, mpmc, IPC_MPMC_TYPE, sizeof(TYPE), IPC_RING_HOW_, ENDS, sizeof(TYPE))
IPC_RING_END_(NAME, mpmc, producer, raw.m, 1, (void)0, sizeof(TYPE), me, ENDS)
IPC_RING_END_(NAME, mpmc, consumer, raw.m, 1, (void)0, sizeof(TYPE), me, ENDS)
IPC_RING_SLOTS_(NAME, TYPE, mpmc, IPC_MPMC_CANCELLED_(p), sizeof(TYPE), ENDS)
IPC_RING_SAYS_(NAME, mpmc, const, struct ipc_mpmc_losses, losses)
IPC_RING_SAYS_(NAME, mpmc, const, uint64_t, was_size)
IPC_INLINE int64_t NAME_producer_recover(struct NAME_producer *p, uint64_t id)
{
    return ipc_mpmc_producer_recover(&p->raw, id);
}
IPC_INLINE int64_t NAME_consumer_recover(struct NAME_consumer *c, uint64_t id)
{
    return ipc_mpmc_consumer_recover(&c->raw, id);
}
#ifdef IPC_NOTIFY_H
IPC_RING_SEND_(NAME, TYPE, raw.m, ipc_mpmc_found_(&h->raw.m, NAME_claim(h)),
               NAME_producer_recover(h, 0) > 0)
IPC_RING_SLEEP_(NAME, consumer, raw.m, recv, pop, TYPE, ipc_mpmc_found_(&h->raw.m, NAME_peek(h)),
                NAME_consumer_recover(h, 0) > 0)
#endif
#ifdef IPC_SHM_H
IPC_RING_OPEN_(NAME, producer, raw.m, IPC_MPMC_TYPE, IPC_RING_HOW_, )
IPC_RING_OPEN_(NAME, consumer, raw.m, IPC_MPMC_TYPE, IPC_RING_HOW_, )
#endif
IPC_TEMPLATE_END
/* Others may wait for what was given back. */
#define IPC_MPMC_CANCELLED_(p) IPC_RING_WITH_NOTIFY_(ipc_notify_post_both_(&p->data, &p->space))

/* ------------------------------------------------------------------ every reader sees all */

#define IPC_BROADCAST(NAME, ...)                                                                   \
    IPC_BROADCAST_OF_(NAME, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

IPC_TEMPLATE(IPC_BROADCAST_OF_, NAME, TYPE, VERSION)
enum { NAME_version_ = (VERSION) };
IPC_RING_MEMORY_(NAME, broadcast, IPC_BROADCAST_TYPE, sizeof(TYPE), IPC_RING_HOW_, 0u, sizeof(TYPE))
IPC_RING_END_(NAME, broadcast, producer, raw.s, 1, (void)0, sizeof(TYPE), me)
IPC_RING_END_(NAME, broadcast, consumer, raw.s, 0, ipc_spsc_tell_(&h->raw.s, &h->woken_for),
              sizeof(TYPE), me)
IPC_RING_SLOTS_(NAME, TYPE, broadcast, (void)0, sizeof(TYPE))
IPC_INLINE uint64_t NAME_missed(const struct NAME_consumer *c)
{
    return ipc_broadcast_missed(&c->raw);
}
IPC_RING_READERS_(NAME, broadcast)
#ifdef IPC_NOTIFY_H
IPC_RING_SEND_(NAME, TYPE, raw.s, ipc_broadcast_room_(&h->raw),
               (ipc_broadcast_ask_(&h->raw.readers), 0))
IPC_SPSC_RECV_(NAME, TYPE, broadcast, raw.s)
#endif
#ifdef IPC_SHM_H
IPC_RING_OPEN_(NAME, producer, raw.s, IPC_BROADCAST_TYPE, IPC_RING_HOW_, )
IPC_RING_OPEN_(NAME, consumer, raw.s, IPC_BROADCAST_TYPE, IPC_RING_HOW_, )
#endif
IPC_TEMPLATE_END

#endif
