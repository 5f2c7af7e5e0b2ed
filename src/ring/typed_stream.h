/* IPC_STREAM: elements without messages. */
#ifndef IPC_SRC_RING_TYPED_STREAM_H
#define IPC_SRC_RING_TYPED_STREAM_H 1

#include "stream.h"
#include "typed.h"

/* Whatever moves elements wakes the other end, if it sleeps, and once it has as many as it waits
 * for: the end that moves them may only poll, and neither sleep nor post. One load where nobody
 * sleeps. */
IPC_TEMPLATE(IPC_STREAM_END_, NAME, TYPE, END, PUSH, FROM, CLAIM, SLOT, ROOM, COMMIT)
IPC_FORCE_INLINE int64_t NAME_END_moved_(struct NAME_END *h, int64_t rc)
{
#ifdef IPC_NOTIFY_H
    if (CK_CC_LIKELY(rc > 0) && CK_CC_UNLIKELY(ipc_notify_heeds_(h->IPC_RING_THEIRS_END.at)) &&
        ipc_stream_is_wanted_(&h->raw.s))
        (void)NAME_END_post(h);
#endif
    (void)h;
    return rc;
}
IPC_RING_CALL_ int64_t NAME_PUSH_n(struct NAME_END *h, FROM *elements, size_t n)
{
    return NAME_END_moved_(h, ipc_stream_PUSH_(&h->raw, elements, sizeof(TYPE), n, 1));
}
IPC_RING_CALL_ int NAME_PUSH_all(struct NAME_END *h, FROM *elements, size_t n)
{
    int64_t rc = NAME_END_moved_(h, ipc_stream_PUSH_(&h->raw, elements, sizeof(TYPE), n, 0));

    return rc < 0 ? (int)rc : 0;
}
IPC_RING_CALL_ SLOT *NAME_CLAIM(struct NAME_END *h, size_t n)
{
    return (SLOT *)ipc_stream_row_(&h->raw.s, n, sizeof(TYPE));
}
IPC_INLINE size_t NAME_ROOM(struct NAME_END *h, struct NAME_regions *r)
{
    struct ipc_stream_regions raw;
    size_t n = (size_t)ipc_stream_look_(&h->raw.s, sizeof(TYPE), &raw), i;

    for (i = 0; i < 2; i++) {
        r->at[i] = (TYPE *)raw.at[i];
        r->n[i] = raw.n[i];
    }
    return n;
}
IPC_RING_CALL_ int NAME_COMMIT(struct NAME_END *h, size_t n)
{
    int rc = ipc_stream_COMMIT(&h->raw, n);

    (void)NAME_END_moved_(h, rc == 0 && n > 0); /* 0 of a handle that has no bells: none moved */
    return rc;
}
IPC_INLINE int NAME_END_twice(const struct NAME_END *h)
{
    return h->raw.s.twice;
}
#ifdef IPC_NOTIFY_H
IPC_INLINE int NAME_END_look_(void *handle, void *argument)
{
    return ipc_stream_ready_(&((struct NAME_END *)handle)->raw.s, *(size_t *)argument);
}
IPC_INLINE int NAME_END_wait(struct NAME_END *h, size_t n, int64_t deadline)
{
    int rc;

    rc = ipc_stream_ready_(&h->raw.s, n); /* first: after fork the wish may be another process's */
    if (rc != 0 || h->raw.s.ring == NULL)
        return rc < 0 ? rc : 0;
    ipc_stream_want_(&h->raw.s, n);
    rc = NAME_END_wait_until_(h, &n, deadline);
    ipc_stream_want_(&h->raw.s, 0);
    return rc;
}
#endif
IPC_TEMPLATE_END

IPC_TEMPLATE(IPC_STREAM_SLEEP_, NAME, TYPE)
IPC_INLINE int64_t NAME_send(struct NAME_producer *p, const TYPE *from, size_t n, int64_t deadline)
{
    size_t done = 0, half;
    int64_t rc;

    while (done < n) {
        rc = NAME_push_n(p, from + done, n - done);
        if (rc > 0)
            done += (size_t)rc;
        /* Not for each element that is read: half the stream is worth waking up for. */
        half = (size_t)p->raw.s.mask / 2 + 1;
        if (rc == -EAGAIN)
            rc = NAME_producer_wait(p, n - done < half ? n - done : half, deadline);
        /* The room of a hostile peer may come and go, or come by single elements. */
        if (rc >= 0 && done < n && ipc_left_(deadline) == 0)
            rc = -ETIMEDOUT;
        if (rc < 0)
            return done > 0 ? (int64_t)done : rc;
    }
    return (int64_t)n;
}
IPC_INLINE int64_t NAME_recv(struct NAME_consumer *c, TYPE *to, size_t n, int64_t deadline)
{
    int64_t rc = NAME_pop_n(c, to, n);

    while (rc == -EAGAIN) {
        rc = NAME_consumer_wait(c, 1, deadline);
        rc = rc != 0 ? rc : NAME_pop_n(c, to, n);
        if (rc == -EAGAIN && ipc_left_(deadline) == 0) /* of a hostile peer it may come and go */
            rc = -ETIMEDOUT;
    }
    return rc;
}
IPC_TEMPLATE_END

IPC_TEMPLATE(IPC_STREAM_MAP_, h)
if (rc == 0) {
    size_t bytes = (size_t)((h->raw.s.mask + 1) * h->raw.s.bytes);
    void *twice = ipc_shm_map_twice(seg, h->raw.s.data, bytes);

    if (twice != NULL)
        ipc_stream_twice_(&h->raw.s, twice, ipc_shm_unmap_twice);
}
IPC_TEMPLATE_END

#define IPC_STREAM(NAME, ...)                                                                      \
    IPC_STREAM_OF_(NAME, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

IPC_TEMPLATE(IPC_STREAM_OF_, NAME, TYPE, VERSION)
enum { NAME_version_ = (VERSION) };
struct NAME_regions {
    TYPE *at[2];
    size_t n[2];
};
IPC_RING_ASSERT_(NAME_alignment, __alignof__(TYPE) <= IPC_RING_LINE)
IPC_RING_ASSERT_(NAME_is_trivially_copyable, IPC_RING_IS_COPYABLE_(TYPE))
IPC_RING_MEMORY_(NAME, stream, IPC_STREAM_TYPE, sizeof(TYPE), IPC_RING_PLAIN_, 0, sizeof(TYPE))
IPC_RING_END_(NAME, stream, producer, raw.s, 0, (void)0, sizeof(TYPE), me)
IPC_RING_END_(NAME, stream, consumer, raw.s, 0, (void)0, sizeof(TYPE), me)
IPC_STREAM_END_(NAME, TYPE, producer, push, const TYPE, claim, TYPE, room, commit)
IPC_STREAM_END_(NAME, TYPE, consumer, pop, TYPE, peek, const TYPE, data, release)
IPC_RING_SAYS_(NAME, stream, , uint64_t, was_size)
#ifdef IPC_NOTIFY_H
IPC_STREAM_SLEEP_(NAME, TYPE)
#endif
#ifdef IPC_SHM_H
IPC_RING_OPEN_(NAME, producer, raw.s, IPC_STREAM_TYPE, IPC_RING_PLAIN_, IPC_STREAM_MAP_(h))
IPC_RING_OPEN_(NAME, consumer, raw.s, IPC_STREAM_TYPE, IPC_RING_PLAIN_, IPC_STREAM_MAP_(h))
#endif
IPC_TEMPLATE_END

#endif
