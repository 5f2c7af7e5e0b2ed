/*
 * Rings whose messages have a size that is known at run time only, by one table of calls for each
 * end of each kind. Nothing of Python is in here.
 *
 * The typed macros of ipc_ring.h take a type, as C programs know it. The templates that they are
 * made of take sizes as expressions. Two kinds of expression stand for a type here:
 *
 *   - while a ring is made or opened: `opening`, which the thread has filled in before
 *   - afterwards: what the handle says. IPC_ANY_ARRAY_(n) is a type of n bytes, so that its sizeof
 *     is n; it stands where a template asks for nothing but sizeof(TYPE).
 *
 * So waiting, waking and explaining are those of C programs, line by line.
 */
#ifndef IPC_PYTHON_RINGS_H
#define IPC_PYTHON_RINGS_H 1

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

/* Of the ring that this thread makes or opens: bytes of a message, of a reply, IPC_MPMC_ONE_*, and
 * the version of the type. */
static __thread struct {
    size_t bytes, reply;
    unsigned ends;
    int version;
} opening;

#define IPC_ANY_ARRAY_(n) __typeof__(unsigned char[n])

/* ------------------------------------------------------------------ an end of any kind */

/* Calls that are not there for an end are NULL. A producer or client puts, a consumer gets. Errors
 * are those of the C calls. */
struct ring_end {
    size_t size; /* of the handle */
    int produces;
    int (*open)(void *h, struct ipc_shm *seg, const char *name);
    int (*create)(void *h, struct ipc_shm *seg, const char *name, uint64_t capacity, unsigned how);
    void (*detach)(void *h);
    int (*error)(const void *h);
    struct ipc_notify *(*bell)(void *h);
    /* Until n messages, elements, or bytes of a record may be moved; slots: until one may. */
    int (*wait)(void *h, size_t n, int64_t deadline);
    /* Slots, streams: up to n, and how many. Records: one of n bytes, 0; or one of up to n bytes,
     * and its length. Wakes the other end. */
    int64_t (*move)(void *h, void *messages, size_t n);
    /* As move, with the hint that more is coming: the other end may not see it, and is not woken,
     * before flush or the next of the other calls. */
    int (*push_more)(void *h, const void *message, size_t n);
    int (*flush)(void *h);
    /* What can be written to, or read, in place: n elements or bytes; *n is set for a record. */
    void *(*claim)(void *h, size_t *n);
    int (*commit)(void *h, size_t n);
    void (*cancel)(void *h);
    /* Records: as ipc_record_pop_n. */
    int64_t (*pop_n)(void *h, void *to, size_t size, struct ipc_record *records, size_t n);
    /* Streams: half the capacity, at least 1. */
    size_t (*half)(const void *h);
    void (*replay)(void *h, uint64_t n);
    unsigned (*was_readers)(const void *h);
    uint64_t (*was_slowest)(const void *h, uint64_t *id);
    int64_t (*recover)(void *h, uint64_t id);
    uint64_t (*missed)(const void *h);
    uint64_t (*was_size)(void *h);
    struct ipc_mpmc_losses (*losses)(const void *h);
};

/* The calls of struct ring_end that every end has, of the handle struct any_K_END. HOW is as in
 * ipc_ring.h. */
#define IPC_ANY_END_(K, END, HOW)                                                                  \
    static int any_##K##_##END##_open_(void *h, struct ipc_shm *seg, const char *name)             \
    {                                                                                              \
        return any_##K##_##END##_open((struct any_##K##_##END *)h, seg, name);                     \
    }                                                                                              \
    static int any_##K##_##END##_create_(void *h, struct ipc_shm *seg, const char *name,           \
                                         uint64_t capacity, unsigned how)                          \
    {                                                                                              \
        (void)how;                                                                                 \
        return any_##K##_##END##_create((struct any_##K##_##END *)h, seg, name,                    \
                                        capacity HOW(, how));                                      \
    }                                                                                              \
    static void any_##K##_##END##_detach_(void *h)                                                 \
    {                                                                                              \
        any_##K##_##END##_detach((struct any_##K##_##END *)h);                                     \
    }                                                                                              \
    static int any_##K##_##END##_error_(const void *h)                                             \
    {                                                                                              \
        return any_##K##_##END##_error((const struct any_##K##_##END *)h);                         \
    }                                                                                              \
    static struct ipc_notify *any_##K##_##END##_bell_(void *h)                                     \
    {                                                                                              \
        return any_##K##_##END##_bell((struct any_##K##_##END *)h);                                \
    }
#define IPC_ANY_CALLS_(K, END)                                                                     \
    .size = sizeof(struct any_##K##_##END), .open = any_##K##_##END##_open_,                       \
    .create = any_##K##_##END##_create_, .detach = any_##K##_##END##_detach_,                      \
    .error = any_##K##_##END##_error_, .bell = any_##K##_##END##_bell_

/* ------------------------------------------------------------------ slots */

/* What push and pop are called by, in templates and below. */
#define IPC_ANY_SLOTS_(K, H)                                                                       \
    static int any_##K##_push(struct any_##K##_producer *p, const void *message)                   \
    {                                                                                              \
        return ipc_##K##_push(&p->raw, message, (size_t)p->H.bytes);                               \
    }                                                                                              \
    IPC_INLINE int any_##K##_pop(struct any_##K##_consumer *c, void *message)                      \
    {                                                                                              \
        return ipc_##K##_pop(&c->raw, message, (size_t)c->H.bytes);                                \
    }                                                                                              \
    static void *any_##K##_producer_claim(void *h, size_t *n)                                      \
    {                                                                                              \
        (void)n;                                                                                   \
        return ipc_##K##_claim(&((struct any_##K##_producer *)h)->raw);                            \
    }                                                                                              \
    static void *any_##K##_consumer_claim(void *h, size_t *n)                                      \
    {                                                                                              \
        const void *at = ipc_##K##_peek(&((struct any_##K##_consumer *)h)->raw);                   \
                                                                                                   \
        (void)n;                                                                                   \
        return (void *)(uintptr_t)at; /* the view that it becomes is read-only */                  \
    }

/* Wakes a sleeper at the other end after a message was moved. */
#define IPC_ANY_WAKE_(h, H, bell, word)                                                            \
    do {                                                                                           \
        if (ipc_notify_heeds_((h)->H.ring->word))                                                  \
            (void)ipc_notify_post(&(h)->bell);                                                     \
    } while (0)

/* As NAME_recv does: a producer sleeps until a position is published. */
#define IPC_ANY_PUBLISHED_(c, H)                                                                   \
    do {                                                                                           \
        if ((c)->woken_for != (c)->H.published) {                                                  \
            (c)->woken_for = (c)->H.published;                                                     \
            (void)ipc_notify_post(&(c)->space);                                                    \
        }                                                                                          \
    } while (0)
/* A message has come: that its producer has left is to be told, also if that was before this end was
 * attached, as a loop over messages is to end then. Where there may be several producers no end is
 * told unasked. */
#define IPC_ANY_SAW_(c)                                                                            \
    do {                                                                                           \
        if ((c)->peer.seen == 0)                                                                   \
            (c)->peer.seen = UINT64_MAX;                                                           \
    } while (0)
#define IPC_ANY_SAW_spsc(c) IPC_ANY_SAW_(c)
#define IPC_ANY_SAW_broadcast(c) IPC_ANY_SAW_(c)
#define IPC_ANY_SAW_mpmc(c) (void)0
#define IPC_ANY_TOOK_spsc(c) IPC_ANY_PUBLISHED_(c, raw)
#define IPC_ANY_TOOK_broadcast(c) IPC_ANY_PUBLISHED_(c, raw.s)
#define IPC_ANY_TOOK_mpmc(c) IPC_ANY_WAKE_(c, raw.m, space, space_bell)

#define IPC_ANY_MOVES_(K, H, CANCELLED)                                                            \
    static int any_##K##_producer_wait_(void *h, size_t n, int64_t deadline)                       \
    {                                                                                              \
        (void)n;                                                                                   \
        return any_##K##_producer_wait((struct any_##K##_producer *)h, deadline);                  \
    }                                                                                              \
    static int any_##K##_consumer_wait_(void *h, size_t n, int64_t deadline)                       \
    {                                                                                              \
        (void)n;                                                                                   \
        return any_##K##_consumer_wait((struct any_##K##_consumer *)h, deadline);                  \
    }                                                                                              \
    static int64_t any_##K##_producer_move(void *h, void *messages, size_t n)                      \
    {                                                                                              \
        struct any_##K##_producer *p = (struct any_##K##_producer *)h;                             \
        int64_t rc = n != 1 ? ipc_##K##_push_n(&p->raw, messages, (size_t)p->H.bytes, n)           \
                            : any_##K##_push(p, messages);                                         \
                                                                                                   \
        rc += n == 1 && rc == 0;                                                                   \
        if (rc > 0)                                                                                \
            IPC_ANY_WAKE_(p, H, data, data_bell);                                                  \
        return rc;                                                                                 \
    }                                                                                              \
    static int64_t any_##K##_consumer_move(void *h, void *messages, size_t n)                      \
    {                                                                                              \
        struct any_##K##_consumer *c = (struct any_##K##_consumer *)h;                             \
        int64_t rc = n != 1 ? ipc_##K##_pop_n(&c->raw, messages, (size_t)c->H.bytes, n)            \
                            : any_##K##_pop(c, messages);                                          \
                                                                                                   \
        if (c->H.ring != NULL)                                                                     \
            IPC_ANY_TOOK_##K(c);                                                                   \
        rc += n == 1 && rc == 0;                                                                   \
        if (rc > 0)                                                                                \
            IPC_ANY_SAW_##K(c);                                                                    \
        return rc;                                                                                 \
    }                                                                                              \
    static int any_##K##_producer_commit(void *h, size_t n)                                        \
    {                                                                                              \
        struct any_##K##_producer *p = (struct any_##K##_producer *)h;                             \
        int rc = ipc_##K##_commit(&p->raw);                                                        \
                                                                                                   \
        (void)n;                                                                                   \
        if (rc == 0)                                                                               \
            IPC_ANY_WAKE_(p, H, data, data_bell);                                                  \
        return rc;                                                                                 \
    }                                                                                              \
    static int any_##K##_consumer_commit(void *h, size_t n)                                        \
    {                                                                                              \
        struct any_##K##_consumer *c = (struct any_##K##_consumer *)h;                             \
        int rc = ipc_##K##_release(&c->raw);                                                       \
                                                                                                   \
        (void)n;                                                                                   \
        if (c->H.ring != NULL)                                                                     \
            IPC_ANY_TOOK_##K(c);                                                                   \
        if (rc == 0)                                                                               \
            IPC_ANY_SAW_##K(c);                                                                    \
        return rc;                                                                                 \
    }                                                                                              \
    static void any_##K##_producer_cancel(void *h)                                                 \
    {                                                                                              \
        struct any_##K##_producer *p = (struct any_##K##_producer *)h;                             \
                                                                                                   \
        ipc_##K##_cancel(&p->raw);                                                                 \
        CANCELLED;                                                                                 \
    }
#define IPC_ANY_MOVED_(K, END)                                                                     \
    IPC_ANY_CALLS_(K, END), .wait = any_##K##_##END##_wait_, .move = any_##K##_##END##_move,       \
    .claim = any_##K##_##END##_claim, .commit = any_##K##_##END##_commit
#define IPC_ANY_SAYS_(K, END, TYPE, WHAT)                                                          \
    IPC_INLINE TYPE any_##K##_##END##_##WHAT##_(const void *h)                                     \
    {                                                                                              \
        return any_##K##_##END##_##WHAT((const struct any_##K##_##END *)h);                        \
    }
#define IPC_ANY_SIZE_(K, END)                                                                      \
    static uint64_t any_##K##_##END##_was_size_(void *h)                                           \
    {                                                                                              \
        return any_##K##_##END##_was_size((struct any_##K##_##END *)h);                            \
    }
#define IPC_ANY_REPLAY_(K)                                                                         \
    static void any_##K##_consumer_replay(void *h, uint64_t n)                                     \
    {                                                                                              \
        ipc_##K##_replay(&((struct any_##K##_consumer *)h)->raw, n);                               \
    }
#define IPC_ANY_RECOVER_(K, END)                                                                   \
    static int64_t any_##K##_##END##_recover_(void *h, uint64_t id)                                \
    {                                                                                              \
        return ipc_##K##_##END##_recover(&((struct any_##K##_##END *)h)->raw, id);                 \
    }
#define IPC_ANY_MISSED_(K)                                                                         \
    IPC_ANY_RECOVER_(K, producer)                                                                  \
    static unsigned any_##K##_producer_was_readers(const void *h)                                  \
    {                                                                                              \
        return ipc_##K##_was_readers(&((const struct any_##K##_producer *)h)->raw);                \
    }                                                                                              \
    static uint64_t any_##K##_producer_was_slowest(const void *h, uint64_t *id)                    \
    {                                                                                              \
        return ipc_##K##_was_slowest(&((const struct any_##K##_producer *)h)->raw, id);            \
    }                                                                                              \
    static uint64_t any_##K##_consumer_missed_(const void *h)                                      \
    {                                                                                              \
        return ipc_##K##_missed(&((const struct any_##K##_consumer *)h)->raw);                     \
    }

#define any_spsc_version_ opening.version
IPC_RING_MEMORY_(any_spsc, spsc, IPC_SPSC_TYPE, opening.bytes, IPC_RING_PLAIN_, 0, opening.bytes)
IPC_RING_END_(any_spsc, spsc, producer, raw, 0, (void)ipc_spsc_flush(&h->raw), opening.bytes, me)
IPC_RING_END_(any_spsc, spsc, consumer, raw, 0, ipc_spsc_tell_(&h->raw, &h->woken_for), opening.bytes, me)
IPC_ANY_SLOTS_(spsc, raw)
IPC_RING_SAYS_(any_spsc, spsc, const, uint64_t, was_size)
IPC_RING_SEND_(any_spsc, void, raw, ipc_spsc_room_(&h->raw), 0)
IPC_SPSC_RECV_(any_spsc, IPC_ANY_ARRAY_(c->raw.bytes), spsc, raw)
IPC_RING_OPEN_(any_spsc, producer, raw, IPC_SPSC_TYPE, IPC_RING_PLAIN_, )
IPC_RING_OPEN_(any_spsc, consumer, raw, IPC_SPSC_TYPE, IPC_RING_PLAIN_, )
IPC_ANY_END_(spsc, producer, IPC_RING_PLAIN_)
IPC_ANY_END_(spsc, consumer, IPC_RING_PLAIN_)
IPC_ANY_MOVES_(spsc, raw, (void)p)
IPC_ANY_SIZE_(spsc, producer)
IPC_ANY_SIZE_(spsc, consumer)
IPC_ANY_REPLAY_(spsc)
static int any_spsc_push_more_(void *h, const void *message, size_t n)
{
    struct any_spsc_producer *p = (struct any_spsc_producer *)h;

    (void)n;
    return ipc_spsc_push_more(&p->raw, message, (size_t)p->raw.bytes);
}
static int any_spsc_flush_(void *h)
{
    struct any_spsc_producer *p = (struct any_spsc_producer *)h;
    int rc = ipc_spsc_flush(&p->raw);

    if (rc == 0)
        IPC_ANY_WAKE_(p, raw, data, data_bell);
    return rc;
}

#define any_mpmc_version_ opening.version
IPC_RING_MEMORY_(any_mpmc, mpmc, IPC_MPMC_TYPE, opening.bytes, IPC_RING_HOW_, opening.ends, opening.bytes)
IPC_RING_END_(any_mpmc, mpmc, producer, raw.m, 1, (void)0, opening.bytes, me, opening.ends)
IPC_RING_END_(any_mpmc, mpmc, consumer, raw.m, 1, (void)0, opening.bytes, me, opening.ends)
IPC_ANY_SLOTS_(mpmc, raw.m)
IPC_RING_SAYS_(any_mpmc, mpmc, const, struct ipc_mpmc_losses, losses)
IPC_RING_SAYS_(any_mpmc, mpmc, const, uint64_t, was_size)
IPC_RING_SEND_(any_mpmc, void, raw.m, ipc_mpmc_found_(&h->raw.m, ipc_mpmc_claim(&h->raw)),
               ipc_mpmc_producer_recover(&h->raw, 0) > 0)
IPC_RING_SLEEP_(any_mpmc, consumer, raw.m, recv, pop, void,
                ipc_mpmc_found_(&h->raw.m, ipc_mpmc_peek(&h->raw)),
                ipc_mpmc_consumer_recover(&h->raw, 0) > 0)
IPC_RING_OPEN_(any_mpmc, producer, raw.m, IPC_MPMC_TYPE, IPC_RING_HOW_, )
IPC_RING_OPEN_(any_mpmc, consumer, raw.m, IPC_MPMC_TYPE, IPC_RING_HOW_, )
IPC_ANY_END_(mpmc, producer, IPC_RING_HOW_)
IPC_ANY_END_(mpmc, consumer, IPC_RING_HOW_)
IPC_ANY_MOVES_(mpmc, raw.m, ipc_notify_post_both_(&p->data, &p->space))
IPC_ANY_SIZE_(mpmc, producer)
IPC_ANY_SIZE_(mpmc, consumer)
IPC_ANY_SAYS_(mpmc, producer, struct ipc_mpmc_losses, losses)
IPC_ANY_SAYS_(mpmc, consumer, struct ipc_mpmc_losses, losses)
IPC_ANY_RECOVER_(mpmc, producer)
IPC_ANY_RECOVER_(mpmc, consumer)

#define any_broadcast_version_ opening.version
IPC_RING_MEMORY_(any_broadcast, broadcast, IPC_BROADCAST_TYPE, opening.bytes, IPC_RING_HOW_, 0u, opening.bytes)
IPC_RING_END_(any_broadcast, broadcast, producer, raw.s, 1, (void)0, opening.bytes, me)
IPC_RING_END_(any_broadcast, broadcast, consumer, raw.s, 0,
              ipc_spsc_tell_(&h->raw.s, &h->woken_for), opening.bytes, me)
IPC_ANY_SLOTS_(broadcast, raw.s)
IPC_RING_SEND_(any_broadcast, void, raw.s, ipc_broadcast_room_(&h->raw),
               (ipc_broadcast_ask_(&h->raw.readers), 0))
IPC_SPSC_RECV_(any_broadcast, IPC_ANY_ARRAY_(c->raw.s.bytes), broadcast, raw.s)
IPC_RING_OPEN_(any_broadcast, producer, raw.s, IPC_BROADCAST_TYPE, IPC_RING_HOW_, )
IPC_RING_OPEN_(any_broadcast, consumer, raw.s, IPC_BROADCAST_TYPE, IPC_RING_HOW_, )
IPC_ANY_END_(broadcast, producer, IPC_RING_HOW_)
IPC_ANY_END_(broadcast, consumer, IPC_RING_HOW_)
IPC_ANY_MOVES_(broadcast, raw.s, (void)p)
IPC_ANY_MISSED_(broadcast)

/* ------------------------------------------------------------------ records */

IPC_RECORDS(any_record)
IPC_RECORD_BROADCAST(any_record_broadcast)

#define IPC_ANY_RECORDS_(K, H)                                                                     \
    static int any_##K##_producer_wait_(void *h, size_t n, int64_t deadline)                       \
    {                                                                                              \
        return any_##K##_producer_wait((struct any_##K##_producer *)h, n, deadline);               \
    }                                                                                              \
    static int any_##K##_consumer_wait_(void *h, size_t n, int64_t deadline)                       \
    {                                                                                              \
        (void)n;                                                                                   \
        return any_##K##_consumer_wait((struct any_##K##_consumer *)h, deadline);                  \
    }                                                                                              \
    static int64_t any_##K##_producer_move(void *h, void *data, size_t n)                          \
    {                                                                                              \
        struct any_##K##_producer *p = (struct any_##K##_producer *)h;                             \
        int rc = n <= any_##K##_most(p) || p->H.error != 0 ? any_##K##_push(p, data, n)            \
                                                           : -EMSGSIZE;                            \
                                                                                                   \
        if (rc == 0)                                                                               \
            IPC_ANY_WAKE_(p, H, data, data_bell);                                                  \
        return rc;                                                                                 \
    }                                                                                              \
    static int64_t any_##K##_told(struct any_##K##_consumer *c, int64_t rc)                        \
    {                                                                                              \
        if (rc >= 0 && c->H.producers == 1)                                                        \
            IPC_ANY_SAW_(c);                                                                       \
        if (c->H.ring != NULL && c->H.post_due) {                                                  \
            c->H.post_due = 0;                                                                     \
            (void)ipc_notify_post(&c->space);                                                      \
        }                                                                                          \
        return rc;                                                                                 \
    }                                                                                              \
    static int64_t any_##K##_consumer_move(void *h, void *to, size_t size)                         \
    {                                                                                              \
        struct any_##K##_consumer *c = (struct any_##K##_consumer *)h;                             \
                                                                                                   \
        return any_##K##_told(c, any_##K##_pop(c, to, size));                                      \
    }                                                                                              \
    static int64_t any_##K##_consumer_pop_n(void *h, void *to, size_t size,                        \
                                            struct ipc_record *records, size_t n)                  \
    {                                                                                              \
        struct any_##K##_consumer *c = (struct any_##K##_consumer *)h;                             \
                                                                                                   \
        return any_##K##_told(c, any_##K##_pop_n(c, to, size, records, n));                        \
    }                                                                                              \
    static void *any_##K##_producer_claim(void *h, size_t *n)                                      \
    {                                                                                              \
        return any_##K##_claim((struct any_##K##_producer *)h, *n);                                \
    }                                                                                              \
    static void *any_##K##_consumer_claim(void *h, size_t *n)                                      \
    {                                                                                              \
        return (void *)(uintptr_t)any_##K##_peek((struct any_##K##_consumer *)h, n);               \
    }                                                                                              \
    static int any_##K##_producer_commit(void *h, size_t n)                                        \
    {                                                                                              \
        struct any_##K##_producer *p = (struct any_##K##_producer *)h;                             \
        int rc = any_##K##_commit(p, n);                                                           \
                                                                                                   \
        if (rc == 0)                                                                               \
            IPC_ANY_WAKE_(p, H, data, data_bell);                                                  \
        return rc;                                                                                 \
    }                                                                                              \
    static int any_##K##_consumer_commit(void *h, size_t n)                                        \
    {                                                                                              \
        struct any_##K##_consumer *c = (struct any_##K##_consumer *)h;                             \
                                                                                                   \
        (void)n;                                                                                   \
        return (int)any_##K##_told(c, any_##K##_release(c));                                       \
    }                                                                                              \
    static void any_##K##_producer_cancel(void *h)                                                 \
    {                                                                                              \
        any_##K##_cancel((struct any_##K##_producer *)h);                                          \
    }
IPC_ANY_END_(record, producer, IPC_RING_HOW_)
IPC_ANY_END_(record, consumer, IPC_RING_HOW_)
IPC_ANY_RECORDS_(record, raw)
IPC_ANY_REPLAY_(record)
static int any_record_push_more_(void *h, const void *data, size_t n)
{
    struct any_record_producer *p = (struct any_record_producer *)h;

    return n <= any_record_most(p) || p->raw.error != 0 ? any_record_push_more(p, data, n) : -EMSGSIZE;
}
static int any_record_flush_(void *h)
{
    struct any_record_producer *p = (struct any_record_producer *)h;
    int rc = any_record_flush(p);

    if (rc == 0)
        IPC_ANY_WAKE_(p, raw, data, data_bell);
    return rc;
}
IPC_ANY_END_(record_broadcast, producer, IPC_RING_HOW_)
IPC_ANY_END_(record_broadcast, consumer, IPC_RING_HOW_)
IPC_ANY_RECORDS_(record_broadcast, raw.r)
IPC_ANY_MISSED_(record_broadcast)

/* ------------------------------------------------------------------ streams */

#define any_stream_version_ opening.version
struct any_stream_regions {
    void *at[2];
    size_t n[2];
};
IPC_RING_MEMORY_(any_stream, stream, IPC_STREAM_TYPE, opening.bytes, IPC_RING_PLAIN_, 0, opening.bytes)
IPC_RING_END_(any_stream, stream, producer, raw.s, 0, (void)0, opening.bytes, me)
IPC_RING_END_(any_stream, stream, consumer, raw.s, 0, (void)0, opening.bytes, me)
IPC_STREAM_END_(any_stream, IPC_ANY_ARRAY_(h->raw.s.bytes), producer, push, const void, claim, void, room, commit)
IPC_STREAM_END_(any_stream, IPC_ANY_ARRAY_(h->raw.s.bytes), consumer, pop, void, peek, const void, data, release)
IPC_RING_SAYS_(any_stream, stream, , uint64_t, was_size)
IPC_RING_OPEN_(any_stream, producer, raw.s, IPC_STREAM_TYPE, IPC_RING_PLAIN_, IPC_STREAM_MAP_(h))
IPC_RING_OPEN_(any_stream, consumer, raw.s, IPC_STREAM_TYPE, IPC_RING_PLAIN_, IPC_STREAM_MAP_(h))
IPC_ANY_END_(stream, producer, IPC_RING_PLAIN_)
IPC_ANY_END_(stream, consumer, IPC_RING_PLAIN_)
#define IPC_ANY_STREAM_(END, MOVE, CLAIM, COMMIT, SAW)                                                  \
    static int any_stream_##END##_wait_(void *h, size_t n, int64_t deadline)                       \
    {                                                                                              \
        return any_stream_##END##_wait((struct any_stream_##END *)h, n, deadline);                 \
    }                                                                                              \
    static int64_t any_stream_##END##_move(void *h, void *elements, size_t n)                      \
    {                                                                                              \
        int64_t rc = any_stream_##MOVE((struct any_stream_##END *)h, elements, n);                 \
                                                                                                   \
        if (rc > 0)                                                                                \
            SAW((struct any_stream_##END *)h);                                                     \
        return rc;                                                                                 \
    }                                                                                              \
    static size_t any_stream_##END##_half(const void *h)                                           \
    {                                                                                              \
        return (size_t)((const struct any_stream_##END *)h)->raw.s.mask / 2 + 1;                   \
    }                                                                                              \
    static void *any_stream_##END##_claim(void *h, size_t *n)                                      \
    {                                                                                              \
        return (void *)(uintptr_t)any_stream_##CLAIM((struct any_stream_##END *)h, *n);            \
    }                                                                                              \
    static int any_stream_##END##_commit(void *h, size_t n)                                        \
    {                                                                                              \
        int rc = any_stream_##COMMIT((struct any_stream_##END *)h, n);                             \
                                                                                                   \
        if (rc == 0)                                                                               \
            SAW((struct any_stream_##END *)h);                                                     \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_ANY_SIZE_(stream, END)
IPC_ANY_STREAM_(producer, push_n, claim, commit, (void))
IPC_ANY_STREAM_(consumer, pop_n, peek, release, IPC_ANY_SAW_)

/* ------------------------------------------------------------------ calls */

#define any_call_version_ opening.version
union any_call_slot {
    unsigned char message[1];
};
IPC_RING_MEMORY_(any_call, call, IPC_CALL_TYPE, opening.bytes, IPC_RING_PLAIN_, 0, opening.bytes, opening.reply)
IPC_RING_HANDLE_(any_call, call, client, raw, IPC_CALL_CLIENT_BELLS_(), opening.bytes, opening.reply, me)
IPC_RING_HANDLE_(any_call, call, server, raw, IPC_CALL_SERVER_BELLS_(), opening.bytes, opening.reply, me)

/* The client's calls by hand, as one of the template returns a pointer to the type. */
static int any_call_claim_(struct any_call_client *c)
{
    const unsigned char *was = c->raw.slot;
    int rc = 0;

    if (ipc_call_must_regain_(&c->raw)) {
        rc = ipc_call_regain_slot_(&c->raw);
        if (c->raw.ring != NULL && c->raw.slot != was) {
            IPC_CALL_POST_(c, c->raw.ring->slot_bell)
        }
    }
    return rc != 0 ? rc : ipc_call_claim_(&c->raw);
}
static int any_call_ask(struct any_call_client *c, const void *request)
{
    int rc = any_call_claim_(c);

    if (rc == 0)
        rc = ipc_call_ask(&c->raw, request, (size_t)c->raw.request);
    if (rc == 0 && ipc_notify_heeds_(c->raw.ring->server_bell))
        (void)ipc_notify_post(&c->data);
    return rc;
}
IPC_INLINE int any_call_poll(struct any_call_client *c)
{
    return ipc_call_poll(&c->raw);
}
static int any_call_collect(struct any_call_client *c, void *reply)
{
    return ipc_call_collect(&c->raw, reply, (size_t)c->raw.reply);
}
static void any_call_cancel(struct any_call_client *c)
{
    ipc_call_cancel(&c->raw);
}
static void any_call_client_detach(struct any_call_client *c)
{
    struct ipc_call_shared *ring = c->raw.ring;

    ipc_call_client_detach(&c->raw);
    if (ring != NULL) {
        IPC_CALL_POST_(c, ring->slot_bell)
    }
    ipc_notify_detach(&c->data);
    ipc_notify_detach(&c->space);
}
IPC_CALL_CLIENT_SLEEP_(any_call, void, void)
IPC_CALL_SERVER_(any_call, IPC_ANY_ARRAY_(s->raw.request), IPC_ANY_ARRAY_(s->raw.reply))
IPC_CALL_SERVER_SLEEP_(any_call)
IPC_RING_OPEN_(any_call, client, raw, IPC_CALL_TYPE, IPC_RING_PLAIN_, )
IPC_RING_OPEN_(any_call, server, raw, IPC_CALL_TYPE, IPC_RING_PLAIN_, )
IPC_ANY_END_(call, client, IPC_RING_PLAIN_)
IPC_ANY_END_(call, server, IPC_RING_PLAIN_)

/* n: the address of the slot to store what was taken in. */
static int any_call_server_wait_(void *h, size_t n, int64_t deadline)
{
    return any_call_serve((struct any_call_server *)h, (union any_call_slot **)(uintptr_t)n, deadline);
}

/* n: 1 until a request may be asked, 0 until the reply is there. */
static int any_call_client_wait_(void *h, size_t n, int64_t deadline)
{
    return any_call_client_until_((struct any_call_client *)h, n ? h : NULL, deadline);
}

/* ------------------------------------------------------------------ all of them */

enum { END_SPSC, END_MPMC, END_BROADCAST, END_RECORD, END_RECORD_BROADCAST, END_STREAM, END_CALL };

/* The producer's, or client's; the consumer's, or server's. */
static const struct ring_end ring_ends[][2] = {
    [END_SPSC] = {{IPC_ANY_MOVED_(spsc, producer), .produces = 1, .cancel = any_spsc_producer_cancel,
                   .push_more = any_spsc_push_more_, .flush = any_spsc_flush_,
                   .was_size = any_spsc_producer_was_size_},
                  {IPC_ANY_MOVED_(spsc, consumer), .replay = any_spsc_consumer_replay,
                   .was_size = any_spsc_consumer_was_size_}},
    [END_MPMC] = {{IPC_ANY_MOVED_(mpmc, producer), .produces = 1, .cancel = any_mpmc_producer_cancel,
                   .was_size = any_mpmc_producer_was_size_, .losses = any_mpmc_producer_losses_,
                   .recover = any_mpmc_producer_recover_},
                  {IPC_ANY_MOVED_(mpmc, consumer), .was_size = any_mpmc_consumer_was_size_,
                   .losses = any_mpmc_consumer_losses_, .recover = any_mpmc_consumer_recover_}},
    [END_BROADCAST] = {{IPC_ANY_MOVED_(broadcast, producer), .produces = 1,
                        .cancel = any_broadcast_producer_cancel,
                        .was_readers = any_broadcast_producer_was_readers,
                        .was_slowest = any_broadcast_producer_was_slowest,
                        .recover = any_broadcast_producer_recover_},
                       {IPC_ANY_MOVED_(broadcast, consumer), .missed = any_broadcast_consumer_missed_}},
    [END_RECORD] = {{IPC_ANY_MOVED_(record, producer), .produces = 1,
                     .cancel = any_record_producer_cancel,
                     .push_more = any_record_push_more_, .flush = any_record_flush_},
                    {IPC_ANY_MOVED_(record, consumer), .pop_n = any_record_consumer_pop_n,
                     .replay = any_record_consumer_replay}},
    [END_RECORD_BROADCAST] = {{IPC_ANY_MOVED_(record_broadcast, producer), .produces = 1,
                               .cancel = any_record_broadcast_producer_cancel,
                               .was_readers = any_record_broadcast_producer_was_readers,
                               .was_slowest = any_record_broadcast_producer_was_slowest,
                               .recover = any_record_broadcast_producer_recover_},
                              {IPC_ANY_MOVED_(record_broadcast, consumer),
                               .pop_n = any_record_broadcast_consumer_pop_n,
                               .missed = any_record_broadcast_consumer_missed_}},
    [END_STREAM] = {{IPC_ANY_MOVED_(stream, producer), .produces = 1, .half = any_stream_producer_half,
                     .was_size = any_stream_producer_was_size_},
                    {IPC_ANY_MOVED_(stream, consumer), .half = any_stream_consumer_half,
                     .was_size = any_stream_consumer_was_size_}},
    [END_CALL] = {{IPC_ANY_CALLS_(call, client), .produces = 1, .wait = any_call_client_wait_},
                  {IPC_ANY_CALLS_(call, server), .wait = any_call_server_wait_}},
};

#endif
