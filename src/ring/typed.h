/* Rings of a type: macros that wrap the calls of each kind. */
#ifndef IPC_SRC_RING_TYPED_H
#define IPC_SRC_RING_TYPED_H 1

#include "stream.h"
#include "record_broadcast.h"
#include "mpmc.h"
#include "call.h"

/* ------------------------------------------------------------------ typed rings */

/*
 * How a ring finds a segment or a notifier while no header includes another: the include guards of
 * ipc_shm.h and ipc_notify.h have the value 1, and pasting one picks the macro that keeps its
 * arguments. Where it was never included its name stays as it is and picks the one that drops them.
 */
#define IPC_RING_WITH_SHM_(...) IPC_RING_PASTE_(IPC_RING_IF_, IPC_SHM_H)(__VA_ARGS__)
#define IPC_RING_WITH_NOTIFY_(...) IPC_RING_PASTE_(IPC_RING_IF_, IPC_NOTIFY_H)(__VA_ARGS__)
#define IPC_RING_PASTE_(a, b) IPC_RING_PASTE2_(a, b)
#define IPC_RING_PASTE2_(a, b) a##b
#define IPC_RING_IF_1(...) __VA_ARGS__
#define IPC_RING_IF_IPC_SHM_H(...)
#define IPC_RING_IF_IPC_NOTIFY_H(...)

/*
 * The parts of the macros below. Each wraps calls ipc_K_ for a ring NAME; END: producer, consumer,
 * client or server. H: where its handle `h` has `ring` and `error`: raw, or a member of that.
 * `...`: the size of a message, and what else the calls end with.
 */

#define IPC_RING_FIRST_(a, ...) a
/* HOW of a ring that is made in more than one way, and of one that is not. */
#define IPC_RING_HOW_(...) __VA_ARGS__
#define IPC_RING_PLAIN_(...)

/* The memory. MAKE is what makes it in a segment, where it is listed as a KIND. */
#define IPC_RING_MEMORY_(NAME, K, MAKE, KIND, HOW, ENDS, ...)                                      \
    IPC_INLINE size_t NAME##_footprint(uint64_t capacity)                                          \
    {                                                                                              \
        return ipc_##K##_footprint(__VA_ARGS__, capacity);                                         \
    }                                                                                              \
    IPC_INLINE int NAME##_init(void *mem, size_t size, uint64_t capacity HOW(, unsigned how))      \
    {                                                                                              \
        return ipc_##K##_init(mem, size, __VA_ARGS__, capacity HOW(, how | (ENDS)));               \
    }                                                                                              \
    IPC_RING_WITH_SHM_(IPC_RING_MAKE_(NAME, K, MAKE, KIND, IPC_RING_FIRST_(__VA_ARGS__, 0), HOW,   \
                                      ENDS, IPC_RING_PLAIN_))

/* A handle for one end. HANG attaches it to the bells. */
#define IPC_RING_HANDLE_(NAME, K, END, ATTACH, HANG, ...)                                          \
    struct NAME##_##END {                                                                          \
        struct ipc_##K##_##END raw;                                                                \
        IPC_RING_WITH_NOTIFY_(IPC_RING_BELLS_)                                                     \
    };                                                                                             \
    IPC_INLINE int NAME##_##ATTACH(struct NAME##_##END *h, void *mem, size_t size,                 \
                                   struct ipc_peer *me)                                            \
    {                                                                                              \
        int rc;                                                                                    \
                                                                                                   \
        memset(h, 0, sizeof *h);                                                                   \
        rc = ipc_##K##_##ATTACH(&h->raw, mem, size, __VA_ARGS__);                                  \
        IPC_RING_WITH_NOTIFY_(HANG);                                                               \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_error(const struct NAME##_##END *h)                              \
    {                                                                                              \
        return ipc_##K##_##END##_error(&h->raw);                                                   \
    }

/* A handle of those that have two ends. OTHER is the index of the other one. It sleeps on the bell
 * OURS and posts THEIRS, after FIRST; WATCH: also the death of others than OTHER matters to it. */
#define IPC_RING_END_(NAME, K, END, ATTACH, H, OTHER, OURS, THEIRS, FIRST, WATCH, ...)             \
    IPC_RING_HANDLE_(NAME, K, END, ATTACH,                                                         \
                     IPC_RING_HANG_(h, H, OTHER, OURS, THEIRS, WATCH, ipc_##K##_##END##_detach),   \
                     __VA_ARGS__)                                                                  \
    IPC_INLINE void NAME##_##END##_detach(struct NAME##_##END *h)                                  \
    {                                                                                              \
        ipc_##K##_##END##_detach(&h->raw);                                                         \
        IPC_RING_WITH_NOTIFY_(IPC_RING_POST_(h)); /* who sleeps there is to learn of it */         \
        IPC_RING_WITH_NOTIFY_(IPC_RING_UNHANG_(h));                                                \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_RING_RINGS_(NAME, END, OURS, THEIRS, FIRST))
#define IPC_RING_PRODUCER_(NAME, K, H, WATCH, ...)                                                 \
    IPC_RING_END_(NAME, K, producer, producer_attach, H, 1, space, data, , WATCH, __VA_ARGS__)
#define IPC_RING_CONSUMER_(NAME, K, H, FIRST, WATCH, ...)                                          \
    IPC_RING_END_(NAME, K, consumer, consumer_attach, H, 0, data, space, FIRST, WATCH, __VA_ARGS__)

/* What both ends can tell. */
#define IPC_RING_TELLS_(NAME, K, CONST, TYPE, WHAT)                                                \
    IPC_INLINE TYPE NAME##_producer_##WHAT(CONST struct NAME##_producer *p)                        \
    {                                                                                              \
        return ipc_##K##_producer_##WHAT(&p->raw);                                                 \
    }                                                                                              \
    IPC_INLINE TYPE NAME##_consumer_##WHAT(CONST struct NAME##_consumer *c)                        \
    {                                                                                              \
        return ipc_##K##_consumer_##WHAT(&c->raw);                                                 \
    }

/* Messages of one size. CANCELLED is done after a cancel. */
#define IPC_RING_SLOTS_(NAME, TYPE, K, CANCELLED, ...)                                             \
    IPC_RING_ASSERT_(NAME##_alignment, __alignof__(TYPE) <= IPC_RING_LINE)                         \
    IPC_INLINE int NAME##_push(struct NAME##_producer *p, const TYPE *message)                     \
    {                                                                                              \
        return ipc_##K##_push_(&p->raw, message, __VA_ARGS__);                                     \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_push_n(struct NAME##_producer *p, const TYPE *messages, size_t n)    \
    {                                                                                              \
        return ipc_##K##_push_n_(&p->raw, messages, n, sizeof(TYPE));                              \
    }                                                                                              \
    IPC_INLINE TYPE *NAME##_claim(struct NAME##_producer *p)                                       \
    {                                                                                              \
        return (TYPE *)ipc_##K##_claim_(&p->raw, __VA_ARGS__);                                     \
    }                                                                                              \
    IPC_INLINE int NAME##_commit(struct NAME##_producer *p)                                        \
    {                                                                                              \
        return ipc_##K##_commit_(&p->raw, sizeof(TYPE));                                           \
    }                                                                                              \
    IPC_INLINE void NAME##_cancel(struct NAME##_producer *p)                                       \
    {                                                                                              \
        ipc_##K##_cancel(&p->raw);                                                                 \
        CANCELLED;                                                                                 \
    }                                                                                              \
    IPC_INLINE int NAME##_pop(struct NAME##_consumer *c, TYPE *message)                            \
    {                                                                                              \
        return ipc_##K##_pop_(&c->raw, message, __VA_ARGS__);                                      \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_pop_n(struct NAME##_consumer *c, TYPE *messages, size_t n)           \
    {                                                                                              \
        return ipc_##K##_pop_n_(&c->raw, messages, n, __VA_ARGS__);                                \
    }                                                                                              \
    IPC_INLINE const TYPE *NAME##_peek(struct NAME##_consumer *c)                                  \
    {                                                                                              \
        return (const TYPE *)ipc_##K##_peek_(&c->raw, __VA_ARGS__);                                \
    }                                                                                              \
    IPC_INLINE int NAME##_release(struct NAME##_consumer *c)                                       \
    {                                                                                              \
        return ipc_##K##_release_(&c->raw, sizeof(TYPE));                                          \
    }

/* ------------------------------------------------------------------ typed rings: bells */

#define IPC_RING_BELLS_                                                                            \
    struct ipc_notify data, space;                                                                 \
    uint64_t other; /* who was last seen at the other end; 0 once his end was told */              \
    uint64_t told;  /* the position that the producer was last woken for */
/* A ring makes and accepts bells of one kind, whatever its memory says. */
#define IPC_RING_BELL_(n, bell)                                                                    \
    if (rc == 0 && (rc = ipc_notify_attach((n), (bell), 64, IPC_NOTIFY_FUTEX, me)) == -EPROTO)     \
    (void)ipc_ring_refuse_(me, rc, "ring whose bell is of another kind; kind",                     \
                           ((struct ipc_notify_shared *)(void *)(bell))->kind, IPC_NOTIFY_FUTEX)
/* The end is given back where a bell was refused. */
#define IPC_RING_OR_LEAVE_(h, H, DETACH)                                                           \
    if (rc != 0) {                                                                                 \
        DETACH(&h->raw);                                                                           \
        IPC_RING_UNHANG_(h);                                                                       \
        return h->H.error = rc;                                                                    \
    }
#define IPC_RING_HANG_(h, H, OTHER, OURS, THEIRS, WATCH, DETACH)                                   \
    if (rc == 0) {                                                                                 \
        IPC_RING_BELL_(&h->data, h->H.ring->data_bell);                                            \
        IPC_RING_BELL_(&h->space, h->H.ring->space_bell);                                          \
        IPC_RING_OR_LEAVE_(h, H, DETACH)                                                           \
        h->OURS.looks_each_second = 1;                                                             \
        h->other = ck_pr_load_64(&h->H.ring->end[OTHER]);                                          \
        h->told = ck_pr_load_64(&h->H.ring->head);                                                 \
        (void)ipc_notify_post(&h->THEIRS); /* who sleeps there is to watch us from now on */       \
        if (WATCH) {                                                                               \
            (void)ipc_notify_post(&h->OURS); /* we may have freed what the dead had */             \
            ipc_notify_watch_anyone(&h->OURS);                                                     \
        }                                                                                          \
    }
#define IPC_RING_POST_(h)                                                                          \
    (void)ipc_notify_post(&h->data);                                                               \
    (void)ipc_notify_post(&h->space)
#define IPC_RING_UNHANG_(h)                                                                        \
    ipc_notify_detach(&h->data);                                                                   \
    ipc_notify_detach(&h->space)

#define IPC_RING_RINGS_(NAME, END, OURS, THEIRS, FIRST)                                            \
    IPC_INLINE struct ipc_notify *NAME##_##END##_bell(struct NAME##_##END *h)                      \
    {                                                                                              \
        return &h->OURS;                                                                           \
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_post(struct NAME##_##END *h)                                     \
    {                                                                                              \
        FIRST;                                                                                     \
        return ipc_notify_post(&h->THEIRS);                                                        \
    }

/* A call that waits until READY (0: not yet, 1: yes, or a negative errno), or whoever holds the
 * other end is gone: attach and detach post, and the notifier watches for death. */
#define IPC_RING_UNTIL_(NAME, CALL, END, H, OTHER, OURS, READY, ...)                               \
    IPC_INLINE int NAME##_##CALL(struct NAME##_##END *h, __VA_ARGS__)                              \
    {                                                                                              \
        uint64_t *held;                                                                            \
        int state, rc;                                                                             \
                                                                                                   \
        if (h->H.ring == NULL)                                                                     \
            return h->H.error;                                                                     \
        held = &h->H.ring->end[OTHER];                                                             \
        for (;;) {                                                                                 \
            uint64_t holder = ck_pr_load_64(held);                                                 \
                                                                                                   \
            if ((state = (READY)) != 0)                                                            \
                return state < 0 ? state : 0;                                                      \
            if (holder == 0 && h->other != 0) {                                                    \
                h->other = 0;                                                                      \
                return -EPIPE;                                                                     \
            }                                                                                      \
            h->other = holder == h->OURS.told ? 0 : holder;                                        \
            ipc_notify_watch(&h->OURS, holder != IPC_RING_ANYONE_ ? holder : 0);                   \
            rc = ipc_wait(&h->OURS, deadline,                                                      \
                          (state = (READY)) != 0 || ck_pr_load_64(held) != holder);                \
            if (rc == -EOWNERDEAD)                                                                 \
                h->other = 0;                                                                      \
            if (rc != 0 || state != 0)                                                             \
                return rc != 0 ? rc : state < 0 ? state : 0;                                       \
            if (ipc_left_(deadline) == 0) /* a hostile peer may rewrite the holder all the time */ \
                return -ETIMEDOUT;                                                                 \
        }                                                                                          \
    }

/* CALL waits until TRY succeeds; END_wait, which has no message, until LOOK does: 0, -EAGAIN: not
 * yet, or another errno. DEATH: of someone was heard; have others something to wake up for now? */
#define IPC_RING_SLEEP_(NAME, END, H, OTHER, OURS, THEIRS, CALL, TRY, MESSAGE, LOOK, DEATH)        \
    IPC_INLINE int NAME##_##END##_look_(struct NAME##_##END *h, MESSAGE *message)                  \
    {                                                                                              \
        int rc;                                                                                    \
                                                                                                   \
        if (ipc_notify_anyone_died(&h->OURS) && (DEATH)) {                                         \
            IPC_RING_POST_(h);                                                                     \
        }                                                                                          \
        rc = message != NULL ? NAME##_##TRY(h, message) : (LOOK);                                  \
        return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;                                               \
    }                                                                                              \
    IPC_RING_UNTIL_(NAME, END##_until_, END, H, OTHER, OURS, NAME##_##END##_look_(h, message),     \
                    MESSAGE *message, int64_t deadline)                                            \
    IPC_INLINE int NAME##_##END##_wait(struct NAME##_##END *h, int64_t deadline)                   \
    {                                                                                              \
        return NAME##_##END##_until_(h, NULL, deadline);                                           \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_##CALL(struct NAME##_##END *h, MESSAGE *message, int64_t deadline) \
    {                                                                                              \
        int rc = NAME##_##TRY(h, message);                                                         \
                                                                                                   \
        if (CK_CC_UNLIKELY(rc == -EAGAIN))                                                         \
            rc = NAME##_##END##_until_(h, message, deadline);                                      \
        if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(h->H.ring->THEIRS##_bell)))                \
            (void)ipc_notify_post(&h->THEIRS);                                                     \
        return rc;                                                                                 \
    }
#define IPC_RING_SEND_(NAME, TYPE, H, LOOK, DEATH)                                                 \
    IPC_RING_SLEEP_(NAME, producer, H, 1, space, data, send, push, const TYPE, LOOK, DEATH)

/* Before a post of a consumer that publishes for many messages at once. */
#define IPC_SPSC_TELL_(h, H)                                                                       \
    if (h->H.at != NULL && h->H.head != h->H.published)                                            \
        ipc_spsc_publish_(&h->H);                                                                  \
    h->told = h->H.published
/* It also publishes when the ring runs dry, as the producer may wait for that: and then posts. */
#define IPC_SPSC_RECV_(NAME, TYPE, K, H)                                                           \
    IPC_INLINE int NAME##_consumer_look_(struct NAME##_consumer *c)                                \
    {                                                                                              \
        int rc = ipc_##K##_data_(&c->raw, sizeof(TYPE));                                           \
                                                                                                   \
        if (rc != -EAGAIN)                                                                         \
            return rc == 0 ? 1 : rc;                                                               \
        return c->told != c->H.published ? NAME##_consumer_post(c) : 0;                            \
    }                                                                                              \
    IPC_RING_UNTIL_(NAME, consumer_wait, consumer, H, 0, data, NAME##_consumer_look_(h),           \
                    int64_t deadline)                                                              \
    IPC_FORCE_INLINE int NAME##_recv(struct NAME##_consumer *c, TYPE *message, int64_t deadline)   \
    {                                                                                              \
        int published = 0, rc = ipc_##K##_take_(&c->raw, message, sizeof(TYPE), &published);       \
                                                                                                   \
        if (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                       \
            rc = NAME##_consumer_wait(c, deadline);                                                \
            rc = rc != 0 ? rc : ipc_##K##_take_(&c->raw, message, sizeof(TYPE), &published);       \
        }                                                                                          \
        if (CK_CC_UNLIKELY(published)) {                                                           \
            c->told = c->H.published;                                                              \
            (void)ipc_notify_post(&c->space);                                                      \
        }                                                                                          \
        return rc;                                                                                 \
    }

/* ------------------------------------------------------------------ typed rings: segments */

/* Is the ring that is there the one that was to be made? how: -1 where its kind has no choice. */
IPC_INLINE int ipc_ring_same_(struct ipc_peer *me, const void *mem, size_t size, size_t footprint,
                              size_t bytes, uint64_t capacity, int64_t how)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;
    uint64_t there = ck_pr_load_64(&r->bytes);

    if (size != footprint && there != bytes)
        return ipc_ring_refuse_(me, -EPROTO, "message size differs; bytes", there, bytes);
    if (size != footprint)
        return ipc_ring_refuse_(me, -EPROTO, "capacity, or kind, differs; slots",
                                ck_pr_load_64(&r->capacity), capacity);
    if (how >= 0 && (there = ck_pr_load_32(&r->how)) != (uint64_t)how)
        return ipc_ring_refuse_(me, -EPROTO, "ring made for another use; how", there,
                                (uint64_t)how);
    return 0;
}

/* Makes the ring if it is not there. Once it is begun it must come to an end: a wrong how is
 * refused before. */
#define IPC_RING_MAKE_(NAME, K, MAKE, KIND, BYTES, HOW, ENDS, SIZED)                               \
    IPC_INLINE int NAME##_##MAKE(struct ipc_shm *seg, const char *name,                            \
                                 uint64_t capacity HOW(, unsigned how))                            \
    {                                                                                              \
        struct ipc_shm_object object;                                                              \
        int rc;                                                                                    \
                                                                                                   \
        HOW(if (!ipc_##K##_known_(how | (ENDS))) {                                                 \
            return ipc_shm_refuse(seg, -EINVAL, "'%s' of a kind not known here: %u", name, how);   \
        })                                                                                         \
        rc = ipc_shm_make(seg, name, KIND, NAME##_footprint(capacity SIZED(, how)), &object);      \
        if (rc == 0) {                                                                             \
            rc = NAME##_init(object.mem, object.size, capacity HOW(, how));                        \
            rc = rc != 0 ? rc : ipc_shm_publish(seg, &object);                                     \
        } else if (rc == -EEXIST) {                                                                \
            rc = ipc_shm_find(seg, name, KIND, &object);                                           \
            rc = rc != 0 ? rc                                                                      \
                         : ipc_ring_same_(ipc_shm_peer(seg), object.mem, object.size,              \
                                          NAME##_footprint(capacity SIZED(, how)), BYTES,          \
                                          capacity, -1 HOW(+1 + (int64_t)(how | (ENDS))));         \
        }                                                                                          \
        return rc;                                                                                 \
    }

/* OPEN attaches to it, and then does MAP. */
#define IPC_RING_OPEN_(NAME, OPEN, END, ATTACH, H, KIND, MAP)                                      \
    IPC_INLINE int NAME##_##OPEN(struct NAME##_##END *h, struct ipc_shm *seg, const char *name)    \
    {                                                                                              \
        struct ipc_shm_object object;                                                              \
        int rc = ipc_shm_find(seg, name, KIND, &object);                                           \
                                                                                                   \
        if (rc != 0) {                                                                             \
            memset(h, 0, sizeof *h);                                                               \
            return h->H.error = rc;                                                                \
        }                                                                                          \
        rc = NAME##_##ATTACH(h, object.mem, object.size, ipc_shm_peer(seg));                       \
        MAP;                                                                                       \
        return rc;                                                                                 \
    }

/* create and open, of those that the producer makes. */
#define IPC_RING_CREATE_(NAME, H, KIND, HOW, MAP)                                                  \
    IPC_RING_OPEN_(NAME, producer_open, producer, producer_attach, H, KIND, MAP)                   \
    IPC_RING_OPEN_(NAME, consumer_open, consumer, consumer_attach, H, KIND, MAP)                   \
    IPC_INLINE int NAME##_producer_create(struct NAME##_producer *p, struct ipc_shm *seg,          \
                                          const char *name, uint64_t capacity HOW(, unsigned how)) \
    {                                                                                              \
        int rc = NAME##_create(seg, name, capacity HOW(, how));                                    \
                                                                                                   \
        if (rc != 0 && rc != -EBUSY) { /* that is being made by another: it is waited for */       \
            memset(p, 0, sizeof *p);                                                               \
            return p->H.error = rc;                                                                \
        }                                                                                          \
        rc = NAME##_producer_open(p, seg, name);                                                   \
        if (rc != 0 || (p->H.mask + 1 == capacity HOW(&&p->raw.how == how)))                       \
            return rc;                                                                             \
        rc = ipc_ring_refuse_(ipc_shm_peer(seg), -EPROTO, "capacity, or kind, differs; slots",     \
                              p->H.mask + 1, capacity);                                            \
        NAME##_producer_detach(p);                                                                 \
        return rc;                                                                                 \
    }

/* ------------------------------------------------------------------ typed rings: the macros */

/*
 * IPC_SPSC(NAME, TYPE) at file scope, without a semicolon, makes struct NAME_producer, struct
 * NAME_consumer and the calls above as NAME_push(&out, &message) and so on: they copy by the
 * type's size, and the wrong end does not compile. With ipc_shm.h it also makes
 *
 *   int NAME_producer_create(struct NAME_producer *, struct ipc_shm *, const char *name, uint64_t
 * capacity) The producer's end of the ring `name` in the segment, which is made if it is not there,
 * or waited for as ipc_shm_find does if another process is making it. Errors of
 * ipc_spsc_producer_attach, ipc_shm_make and ipc_shm_find; and -EPROTO when the ring is there with
 * another capacity. int NAME_open(struct NAME_consumer *, struct ipc_shm *, const char *name) The
 * consumer's end; waits for the ring as ipc_shm_find does. Errors of both.
 *
 * With ipc_notify.h attaching also fails with -EPROTO where a bell of the ring is of another kind
 * than IPC_NOTIFY_FUTEX, as no ring is made with another. And there are the calls that sleep. They
 * spin a little before, as ipc_notify_policy(NAME_consumer_bell(&in), ...) says. A program that was
 * built without that header can be at the other end, but wakes nobody. So a sleeper looks again
 * once a second, whoever holds the other end and whenever it comes, and at the deadline.
 *
 *   int NAME_send(struct NAME_producer *, const TYPE *, int64_t deadline)
 *   int NAME_recv(struct NAME_consumer *, TYPE *, int64_t deadline)
 *       push and pop that wait for room or a message until the deadline (IPC_NOW, ipc_in_ms,
 *       IPC_FOREVER), and wake the other end. Blocking. The errors of push and pop, and
 *         -ETIMEDOUT   the ring was full, or empty, until the deadline
 *         -EINTR       a signal handler ran while it slept
 *         -EOWNERDEAD  the other end's process was killed. All that it sent was received before.
 *         -EPIPE       the other end was detached. The last two are told once for each holder of
 *                      the other end that was seen; after that a call waits for its successor
 *   int NAME_producer_wait(struct NAME_producer *, int64_t deadline)
 *   int NAME_consumer_wait(struct NAME_consumer *, int64_t deadline)
 *       Wait until claim has room, or peek and pop_n a message. As send and recv.
 *   int NAME_producer_post(struct NAME_producer *)
 *   int NAME_consumer_post(struct NAME_consumer *)
 *       Wake the other end. To be called after push, push_n and commit, or pop, pop_n and release:
 *       once for many. The second first publishes what was taken. 0, or what ipc_notify_post says.
 *   struct ipc_notify *NAME_producer_bell(struct NAME_producer *)
 *   struct ipc_notify *NAME_consumer_bell(struct NAME_consumer *)
 *       What the producer, or the consumer, sleeps on: for ipc_wait, ipc_wait_any,
 * ipc_notify_policy.
 */
#define IPC_SPSC(NAME, TYPE)                                                                       \
    IPC_RING_MEMORY_(NAME, spsc, create, IPC_SPSC_TYPE, IPC_RING_PLAIN_, 0, sizeof(TYPE))          \
    IPC_RING_PRODUCER_(NAME, spsc, raw, 0, sizeof(TYPE), me)                                       \
    IPC_RING_CONSUMER_(NAME, spsc, raw, IPC_SPSC_TELL_(h, raw), 0, sizeof(TYPE), me)               \
    IPC_RING_SLOTS_(NAME, TYPE, spsc, , sizeof(TYPE))                                              \
    IPC_RING_TELLS_(NAME, spsc, const, uint64_t, was_size)                                         \
    IPC_RING_TELLS_(NAME, spsc, const, uint64_t, peer)                                             \
    IPC_INLINE void NAME##_replay(struct NAME##_consumer *c, uint64_t n)                           \
    {                                                                                              \
        ipc_spsc_replay(&c->raw, n);                                                               \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_RING_SEND_(NAME, TYPE, raw, ipc_spsc_room_(&h->raw), 0))             \
    IPC_RING_WITH_NOTIFY_(IPC_SPSC_RECV_(NAME, TYPE, spsc, raw))                                   \
    IPC_RING_WITH_SHM_(IPC_RING_CREATE_(NAME, raw, IPC_SPSC_TYPE, IPC_RING_PLAIN_, ))

/*
 * IPC_MPMC(NAME, TYPE), IPC_MPSC(NAME, TYPE) and IPC_SPMC(NAME, TYPE) do the same for many
 * producers and consumers, one consumer, or one producer: NAME_init(mem, size, capacity, how),
 * NAME_produce, NAME_push ... NAME_losses as the calls of ipc_mpmc_ above. With ipc_shm.h they also
 * make
 *
 *   int NAME_create(struct ipc_shm *, const char *name, uint64_t capacity, unsigned how)
 *       Makes the ring in the segment if it is not there. Errors of ipc_shm_make and ipc_mpmc_init;
 *       and -EPROTO when something else is there under that name: another kind of ring, capacity,
 *       message size or `how`.
 *   int NAME_producer_open(struct NAME_producer *, struct ipc_shm *, const char *name)
 *   int NAME_consumer_open(struct NAME_consumer *, struct ipc_shm *, const char *name)
 *       Attach to it, and wait for it as ipc_shm_find does. Errors of that and
 * ipc_mpmc_producer_attach.
 *
 * and with ipc_notify.h NAME_send, NAME_recv, NAME_producer_wait, NAME_consumer_wait,
 * NAME_producer_post, NAME_consumer_post and the two bells, as above, with these differences:
 *
 *   - Where many are at the other end, nobody's coming or going ends a wait: no -EOWNERDEAD, no
 *     -EPIPE. What a member of the segment held when it was killed is freed or handed out again
 *     within 10 ms by those who sleep (one that left its descriptors to children: a second).
 *   - NAME_consumer_wait takes the message, as peek does.
 *   - A post wakes all who sleep at that end: one of them may be stopped. Who finds nothing sleeps
 *     on.
 *   - In ipc_wait_any, or behind ipc_notify_arm, look by NAME_recv(&in, &message, IPC_NOW): unlike
 *     pop it also sees to what the dead have left.
 *   - A commit that says -EAGAIN: ipc_wait(NAME_producer_bell(&out), deadline,
 *     (rc = NAME_commit(&out)) != -EAGAIN).
 */
#define IPC_MPMC(NAME, TYPE) IPC_MPMC_OF_(NAME, TYPE, 0u)
#define IPC_MPSC(NAME, TYPE) IPC_MPMC_OF_(NAME, TYPE, IPC_MPMC_ONE_CONSUMER)
#define IPC_SPMC(NAME, TYPE) IPC_MPMC_OF_(NAME, TYPE, IPC_MPMC_ONE_PRODUCER)
#define IPC_MPMC_OF_(NAME, TYPE, ENDS)                                                             \
    IPC_RING_MEMORY_(NAME, mpmc, create, IPC_MPMC_TYPE, IPC_RING_HOW_, ENDS, sizeof(TYPE))         \
    IPC_RING_PRODUCER_(NAME, mpmc, raw.m, 1, sizeof(TYPE), me, ENDS)                               \
    IPC_RING_CONSUMER_(NAME, mpmc, raw.m, , 1, sizeof(TYPE), me, ENDS)                             \
    IPC_RING_SLOTS_(NAME, TYPE, mpmc, IPC_RING_WITH_NOTIFY_(IPC_RING_POST_(p)), sizeof(TYPE),      \
                    ENDS)                                                                          \
    IPC_RING_TELLS_(NAME, mpmc, const, struct ipc_mpmc_losses, losses)                             \
    IPC_INLINE int64_t NAME##_producer_recover(struct NAME##_producer *p, uint64_t id)             \
    {                                                                                              \
        return ipc_mpmc_producer_recover(&p->raw, id);                                             \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_consumer_recover(struct NAME##_consumer *c, uint64_t id)             \
    {                                                                                              \
        return ipc_mpmc_consumer_recover(&c->raw, id);                                             \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_RING_SEND_(NAME, TYPE, raw.m, IPC_MPMC_LOOK_(NAME##_claim(h)),       \
                                         NAME##_producer_recover(h, 0) > 0))                       \
    IPC_RING_WITH_NOTIFY_(IPC_RING_SLEEP_(NAME, consumer, raw.m, 0, data, space, recv, pop, TYPE,  \
                                          IPC_MPMC_LOOK_(NAME##_peek(h)),                          \
                                          NAME##_consumer_recover(h, 0) > 0))                      \
    IPC_RING_WITH_SHM_(                                                                            \
        IPC_RING_OPEN_(NAME, producer_open, producer, producer_attach, raw.m, IPC_MPMC_TYPE, ))    \
    IPC_RING_WITH_SHM_(                                                                            \
        IPC_RING_OPEN_(NAME, consumer_open, consumer, consumer_attach, raw.m, IPC_MPMC_TYPE, ))
#define IPC_MPMC_LOOK_(slot) ((slot) != NULL ? 0 : h->raw.m.error != 0 ? h->raw.m.error : -EAGAIN)

/*
 * IPC_BROADCAST(NAME, TYPE) makes the same for one writer, struct NAME_producer, whose messages
 * every reader, struct NAME_consumer, sees: NAME_init(mem, size, capacity, how) and so on, as the
 * calls of ipc_broadcast_ above. With ipc_shm.h it also makes
 *
 *   int NAME_producer_create(struct NAME_producer *, struct ipc_shm *, const char *name, uint64_t
 * capacity, unsigned how) int NAME_open(struct NAME_consumer *, struct ipc_shm *, const char *name)
 *       As IPC_SPSC's; -EPROTO also when it is there with another `how`.
 *
 * and with ipc_notify.h the calls that sleep, as IPC_SPSC's, with these differences:
 *
 *   - NAME_send and NAME_producer_wait end with room or the deadline: whoever comes or goes. A
 *     reader of the segment that is killed is left out within 10 ms. Those of a lossy one never
 *     wait.
 *   - NAME_recv and NAME_consumer_wait of a lossy one also end with -EOVERFLOW, as pop.
 */
#define IPC_BROADCAST(NAME, TYPE)                                                                  \
    IPC_RING_MEMORY_(NAME, broadcast, create, IPC_BROADCAST_TYPE, IPC_RING_HOW_, 0u, sizeof(TYPE)) \
    IPC_RING_PRODUCER_(NAME, broadcast, raw.s, 1, sizeof(TYPE), me)                                \
    IPC_RING_CONSUMER_(NAME, broadcast, raw.s, IPC_SPSC_TELL_(h, raw.s), 0, sizeof(TYPE), me)      \
    IPC_RING_SLOTS_(NAME, TYPE, broadcast, , sizeof(TYPE))                                         \
    IPC_INLINE uint64_t NAME##_missed(const struct NAME##_consumer *c)                             \
    {                                                                                              \
        return ipc_broadcast_missed(&c->raw);                                                      \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_RING_SEND_(NAME, TYPE, raw.s, ipc_broadcast_room_(&h->raw),          \
                                         (ipc_broadcast_ask_(&h->raw.readers), 0)))                \
    IPC_RING_WITH_NOTIFY_(IPC_SPSC_RECV_(NAME, TYPE, broadcast, raw.s))                            \
    IPC_RING_WITH_SHM_(IPC_RING_CREATE_(NAME, raw.s, IPC_BROADCAST_TYPE, IPC_RING_HOW_, ))

/*
 * IPC_RECORDS(NAME) makes a ring of records, messages of any length, for one consumer and as many
 * producers as it is made for: struct NAME_producer, struct NAME_consumer, NAME_init(mem, size,
 * capacity, producers), NAME_push(&out, data, n), NAME_pop(&in, data, size) and so on, as the calls
 * of ipc_record_ above; capacity is bytes for each producer. IPC_RECORD_BROADCAST(NAME) makes a
 * broadcast of records, as those of ipc_record_broadcast_ above. With ipc_shm.h they also make
 *
 *   int NAME_producer_create(struct NAME_producer *, struct ipc_shm *, const char *name, uint64_t
 * capacity, unsigned producers) int NAME_producer_create(struct NAME_producer *, struct ipc_shm *,
 * const char *name, uint64_t capacity, unsigned how) int NAME_open(struct NAME_consumer *, struct
 * ipc_shm *, const char *name) As IPC_SPSC's; -EPROTO also when it is there for another number of
 * producers, or with another `how`. Of several producers each calls create.
 *
 * and with ipc_notify.h the calls that sleep, as IPC_SPSC's:
 *
 *   int NAME_send(struct NAME_producer *, const void *data, size_t n, int64_t deadline)
 *   int64_t NAME_recv(struct NAME_consumer *, void *to, size_t size, int64_t deadline)
 *       As push and pop.
 *   int NAME_producer_wait(struct NAME_producer *, size_t n, int64_t deadline)
 *       Waits until claim has room for n bytes. -EMSGSIZE: it never will.
 *   NAME_consumer_wait, the two posts and the two bells
 *
 * with these differences:
 *
 *   - Where there are several producers, whose consumer recv waits for whoever comes or goes.
 *   - Of a broadcast send and producer_wait do that, and recv of a lossy one also ends with
 *     -EOVERFLOW: as IPC_BROADCAST's.
 */
#define IPC_RECORDS(NAME)                                                                          \
    IPC_RECORD_MEMORY_(NAME, record, IPC_RECORD_TYPE, IPC_RING_HOW_)                               \
    IPC_RING_PRODUCER_(NAME, record, raw, 0, me)                                                   \
    IPC_RING_CONSUMER_(NAME, record, raw, IPC_RECORD_TELL_(h->raw), 0, me)                         \
    IPC_RECORD_CALLS_(NAME, record)                                                                \
    IPC_RING_TELLS_(NAME, record, const, uint64_t, peer)                                           \
    IPC_INLINE void NAME##_replay(struct NAME##_consumer *c, uint64_t n)                           \
    {                                                                                              \
        ipc_record_replay(&c->raw, n);                                                             \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_RECORD_SLEEP_(NAME, record, raw, 0))                                 \
    IPC_RING_WITH_SHM_(IPC_RING_CREATE_(NAME, raw, IPC_RECORD_TYPE, IPC_RING_HOW_, ))
#define IPC_RECORD_BROADCAST(NAME)                                                                 \
    IPC_RECORD_MEMORY_(NAME, record_broadcast, IPC_RECORD_BROADCAST_TYPE, IPC_RING_PLAIN_)         \
    IPC_RING_PRODUCER_(NAME, record_broadcast, raw.r, 1, me)                                       \
    IPC_RING_CONSUMER_(NAME, record_broadcast, raw.r, IPC_RECORD_TELL_(h->raw.r), 0, me)           \
    IPC_RECORD_CALLS_(NAME, record_broadcast)                                                      \
    IPC_INLINE uint64_t NAME##_missed(const struct NAME##_consumer *c)                             \
    {                                                                                              \
        return ipc_record_broadcast_missed(&c->raw);                                               \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_RECORD_SLEEP_(                                                       \
        NAME, record_broadcast, raw.r,                                                             \
        (ipc_notify_anyone_died(&h->space) ? ipc_broadcast_ask_(&h->raw.readers) : (void)0)))      \
    IPC_RING_WITH_SHM_(IPC_RING_CREATE_(NAME, raw.r, IPC_RECORD_BROADCAST_TYPE, IPC_RING_HOW_, ))

#define IPC_RECORD_MEMORY_(NAME, K, KIND, SIZED)                                                   \
    IPC_INLINE size_t NAME##_footprint(uint64_t capacity SIZED(, unsigned how))                    \
    {                                                                                              \
        return ipc_##K##_footprint(capacity SIZED(, how));                                         \
    }                                                                                              \
    IPC_INLINE int NAME##_init(void *mem, size_t size, uint64_t capacity, unsigned how)            \
    {                                                                                              \
        return ipc_##K##_init(mem, size, capacity, how);                                           \
    }                                                                                              \
    IPC_RING_WITH_SHM_(IPC_RING_MAKE_(NAME, K, create, KIND, 1, IPC_RING_HOW_, 0u, SIZED))

#define IPC_RECORD_CALLS_(NAME, K)                                                                 \
    IPC_INLINE int NAME##_push(struct NAME##_producer *p, const void *data, size_t n)              \
    {                                                                                              \
        return ipc_##K##_push(&p->raw, data, n);                                                   \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_push_n(struct NAME##_producer *p, const struct ipc_record *records,  \
                                     size_t n)                                                     \
    {                                                                                              \
        return ipc_##K##_push_n(&p->raw, records, n);                                              \
    }                                                                                              \
    IPC_INLINE void *NAME##_claim(struct NAME##_producer *p, size_t n)                             \
    {                                                                                              \
        return ipc_##K##_claim(&p->raw, n);                                                        \
    }                                                                                              \
    IPC_INLINE int NAME##_commit(struct NAME##_producer *p, size_t n)                              \
    {                                                                                              \
        return ipc_##K##_commit(&p->raw, n);                                                       \
    }                                                                                              \
    IPC_INLINE void NAME##_cancel(struct NAME##_producer *p)                                       \
    {                                                                                              \
        ipc_##K##_cancel(&p->raw);                                                                 \
    }                                                                                              \
    IPC_INLINE size_t NAME##_most(const struct NAME##_producer *p)                                 \
    {                                                                                              \
        return ipc_##K##_most(&p->raw);                                                            \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_pop(struct NAME##_consumer *c, void *to, size_t size)                \
    {                                                                                              \
        return ipc_##K##_pop(&c->raw, to, size);                                                   \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_pop_n(struct NAME##_consumer *c, void *to, size_t size,              \
                                    struct ipc_record *records, size_t n)                          \
    {                                                                                              \
        return ipc_##K##_pop_n(&c->raw, to, size, records, n);                                     \
    }                                                                                              \
    IPC_INLINE const void *NAME##_peek(struct NAME##_consumer *c, size_t *n)                       \
    {                                                                                              \
        return ipc_##K##_peek(&c->raw, n);                                                         \
    }                                                                                              \
    IPC_INLINE int NAME##_release(struct NAME##_consumer *c)                                       \
    {                                                                                              \
        return ipc_##K##_release(&c->raw);                                                         \
    }

/* Before a post of a consumer that publishes for many records at once, as IPC_SPSC_TELL_. */
#define IPC_RECORD_TELL_(r)                                                                        \
    if ((r).to != NULL && (r).head != (r).published)                                               \
        ipc_record_publish_(&(r));                                                                 \
    (r).untold = 0
/* ASK is done before a producer looks for room. */
#define IPC_RECORD_SLEEP_(NAME, K, H, ASK)                                                         \
    IPC_INLINE int NAME##_producer_look_(struct NAME##_producer *h, size_t n)                      \
    {                                                                                              \
        uint64_t at;                                                                               \
        int rc;                                                                                    \
                                                                                                   \
        (void)(ASK);                                                                               \
        rc = ipc_##K##_room_(&h->raw, n, &at);                                                     \
        return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;                                               \
    }                                                                                              \
    IPC_RING_UNTIL_(NAME, producer_wait, producer, H, 1, space, NAME##_producer_look_(h, n),       \
                    size_t n, int64_t deadline)                                                    \
    IPC_FORCE_INLINE int NAME##_send(struct NAME##_producer *p, const void *data, size_t n,        \
                                     int64_t deadline)                                             \
    {                                                                                              \
        int rc = ipc_##K##_push(&p->raw, data, n);                                                 \
                                                                                                   \
        if (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                       \
            rc = NAME##_producer_wait(p, n, deadline);                                             \
            rc = rc != 0 ? rc : ipc_##K##_push(&p->raw, data, n);                                  \
        }                                                                                          \
        if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(p->H.ring->data_bell)))                    \
            (void)ipc_notify_post(&p->data);                                                       \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_INLINE int NAME##_consumer_look_(struct NAME##_consumer *c)                                \
    {                                                                                              \
        size_t n;                                                                                  \
        int rc = ipc_##K##_look_(&c->raw, &n);                                                     \
                                                                                                   \
        if (rc != -EAGAIN)                                                                         \
            return rc == 0 ? 1 : rc;                                                               \
        return c->H.untold ? NAME##_consumer_post(c) : 0;                                          \
    }                                                                                              \
    IPC_RING_UNTIL_(NAME, consumer_wait, consumer, H, 0, data, NAME##_consumer_look_(h),           \
                    int64_t deadline)                                                              \
    IPC_INLINE int64_t NAME##_recv(struct NAME##_consumer *c, void *to, size_t size,               \
                                   int64_t deadline)                                               \
    {                                                                                              \
        int published = 0;                                                                         \
        int64_t rc = ipc_##K##_take_(&c->raw, to, size, &published);                               \
                                                                                                   \
        if (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                       \
            rc = NAME##_consumer_wait(c, deadline);                                                \
            rc = rc != 0 ? rc : ipc_##K##_take_(&c->raw, to, size, &published);                    \
        }                                                                                          \
        if (CK_CC_UNLIKELY(published)) {                                                           \
            c->H.untold = 0;                                                                       \
            (void)ipc_notify_post(&c->space);                                                      \
        }                                                                                          \
        return rc;                                                                                 \
    }

/*
 * IPC_STREAM(NAME, TYPE) makes a stream of elements of that type, char for text, float for audio,
 * for one producer and one consumer: NAME_push_n(&out, elements, n) and so on, as the calls of
 * ipc_stream_ above, with struct NAME_regions for two pieces. With ipc_shm.h it also makes
 * NAME_create and NAME_open as IPC_SPSC does; then the elements are mapped twice in a row where
 * capacity * sizeof(TYPE) is a multiple of the page and the kernel lets us (NAME_producer_twice and
 * NAME_consumer_twice say so: 1), and claim and peek know no wrap. With ipc_notify.h the calls that
 * sleep, as of IPC_SPSC, but for
 *
 *   int64_t NAME_send(struct NAME_producer *, const TYPE *, size_t n, int64_t deadline)
 *       Puts all n in, in pieces as there is room. Returns n; or how many went in before what ended
 *       it, which the next call tells; or what NAME_producer_wait says when none did.
 *   int64_t NAME_recv(struct NAME_consumer *, TYPE *, size_t n, int64_t deadline)
 *       Takes up to n as soon as there is one. Returns how many, or what NAME_consumer_wait says.
 *   int NAME_producer_wait(struct NAME_producer *, size_t n, int64_t deadline)
 *   int NAME_consumer_wait(struct NAME_consumer *, size_t n, int64_t deadline)
 *       Wait for room for n elements, or for n elements. -EMSGSIZE: n is more than the capacity.
 *       -EPIPE and -EOWNERDEAD: there are fewer, and there will be no more; take them by pop_n.
 */
#define IPC_STREAM(NAME, TYPE)                                                                     \
    struct NAME##_regions {                                                                        \
        TYPE *at[2];                                                                               \
        size_t n[2];                                                                               \
    };                                                                                             \
    IPC_RING_MEMORY_(NAME, stream, create, IPC_STREAM_TYPE, IPC_RING_PLAIN_, 0, sizeof(TYPE))      \
    IPC_RING_PRODUCER_(NAME, stream, raw.s, 0, sizeof(TYPE), me)                                   \
    IPC_RING_CONSUMER_(NAME, stream, raw.s, , 0, sizeof(TYPE), me)                                 \
    IPC_STREAM_END_(NAME, TYPE, producer, push, const TYPE, claim, TYPE, room, commit)             \
    IPC_STREAM_END_(NAME, TYPE, consumer, pop, TYPE, peek, const TYPE, data, release)              \
    IPC_RING_TELLS_(NAME, stream, , uint64_t, was_size)                                            \
    IPC_RING_WITH_NOTIFY_(IPC_STREAM_SLEEP_(NAME, TYPE))                                           \
    IPC_RING_WITH_SHM_(IPC_RING_CREATE_(NAME, raw.s, IPC_STREAM_TYPE, IPC_RING_PLAIN_,             \
                                        IPC_STREAM_MAP_(&h->raw.s)))

#define IPC_STREAM_END_(NAME, TYPE, END, PUSH, FROM, CLAIM, SLOT, ROOM, COMMIT)                    \
    IPC_INLINE int64_t NAME##_##PUSH##_n(struct NAME##_##END *h, FROM *elements, size_t n)         \
    {                                                                                              \
        return ipc_stream_##PUSH##_(&h->raw, elements, sizeof(TYPE), n, 1);                        \
    }                                                                                              \
    IPC_INLINE int NAME##_##PUSH##_all(struct NAME##_##END *h, FROM *elements, size_t n)           \
    {                                                                                              \
        int64_t rc = ipc_stream_##PUSH##_(&h->raw, elements, sizeof(TYPE), n, 0);                  \
                                                                                                   \
        return rc < 0 ? (int)rc : 0;                                                               \
    }                                                                                              \
    IPC_INLINE SLOT *NAME##_##CLAIM(struct NAME##_##END *h, size_t n)                              \
    {                                                                                              \
        return (SLOT *)ipc_stream_row_(&h->raw.s, n, sizeof(TYPE));                                \
    }                                                                                              \
    IPC_INLINE size_t NAME##_##ROOM(struct NAME##_##END *h, struct NAME##_regions *r)              \
    {                                                                                              \
        struct ipc_stream_regions raw;                                                             \
        size_t n = (size_t)ipc_stream_look_(&h->raw.s, sizeof(TYPE), &raw), i;                     \
                                                                                                   \
        for (i = 0; i < 2; i++) {                                                                  \
            r->at[i] = (TYPE *)raw.at[i];                                                          \
            r->n[i] = raw.n[i];                                                                    \
        }                                                                                          \
        return n;                                                                                  \
    }                                                                                              \
    IPC_INLINE int NAME##_##COMMIT(struct NAME##_##END *h, size_t n)                               \
    {                                                                                              \
        return ipc_stream_##COMMIT(&h->raw, n);                                                    \
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_twice(const struct NAME##_##END *h)                              \
    {                                                                                              \
        return h->raw.s.twice;                                                                     \
    }

#define IPC_STREAM_SLEEP_(NAME, TYPE)                                                              \
    IPC_RING_UNTIL_(NAME, producer_wait, producer, raw.s, 1, space,                                \
                    ipc_stream_ready_(&h->raw.s, n), size_t n, int64_t deadline)                   \
    IPC_RING_UNTIL_(NAME, consumer_wait, consumer, raw.s, 0, data,                                 \
                    ipc_stream_ready_(&h->raw.s, n), size_t n, int64_t deadline)                   \
    IPC_INLINE int64_t NAME##_send(struct NAME##_producer *p, const TYPE *from, size_t n,          \
                                   int64_t deadline)                                               \
    {                                                                                              \
        size_t done = 0, half;                                                                     \
        int64_t rc;                                                                                \
                                                                                                   \
        while (done < n) {                                                                         \
            rc = NAME##_push_n(p, from + done, n - done);                                          \
            if (rc > 0) {                                                                          \
                done += (size_t)rc;                                                                \
                (void)ipc_notify_post(&p->data);                                                   \
            }                                                                                      \
            /* Not for each element that is read: half the stream is worth waking up for. */       \
            half = (size_t)p->raw.s.mask / 2 + 1;                                                  \
            if (rc == -EAGAIN)                                                                     \
                rc = NAME##_producer_wait(p, n - done < half ? n - done : half, deadline);         \
            /* The room of a hostile peer may come and go, or come by single elements. */          \
            if (rc >= 0 && done < n && ipc_left_(deadline) == 0)                                   \
                rc = -ETIMEDOUT;                                                                   \
            if (rc < 0)                                                                            \
                return done > 0 ? (int64_t)done : rc;                                              \
        }                                                                                          \
        return (int64_t)n;                                                                         \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_recv(struct NAME##_consumer *c, TYPE *to, size_t n,                  \
                                   int64_t deadline)                                               \
    {                                                                                              \
        int64_t rc = NAME##_pop_n(c, to, n);                                                       \
                                                                                                   \
        if (rc == -EAGAIN) {                                                                       \
            rc = NAME##_consumer_wait(c, 1, deadline);                                             \
            rc = rc != 0 ? rc : NAME##_pop_n(c, to, n);                                            \
        }                                                                                          \
        if (rc > 0)                                                                                \
            (void)ipc_notify_post(&c->space);                                                      \
        return rc;                                                                                 \
    }

#define IPC_STREAM_MAP_(s)                                                                         \
    if (rc == 0) {                                                                                 \
        void *twice = ipc_shm_map_twice(seg, (s)->data, (size_t)(((s)->mask + 1) * (s)->bytes));   \
                                                                                                   \
        if (twice != NULL)                                                                         \
            ipc_stream_twice_(s, twice, ipc_shm_unmap_twice);                                      \
    }

/*
 * IPC_CALL(NAME, REQUEST, REPLY) makes struct NAME_client, struct NAME_server, union NAME_slot,
 * which has a REQUEST request and a REPLY reply in the same place, and the calls of ipc_call_
 * above: NAME_footprint(callers), NAME_init(mem, size, callers), NAME_client_attach,
 * NAME_server_attach, NAME_ask(&c, &request), NAME_collect(&c, &reply) ... NAME_take, NAME_answer.
 * With ipc_shm.h it also makes
 *
 *   int NAME_create(struct ipc_shm *, const char *name, uint64_t callers)
 *       Makes the place for calls in the segment if it is not there. Errors of ipc_shm_make and
 *       ipc_call_init; and -EPROTO when something else is there under that name: another kind of
 *       ring, number of slots or sizes.
 *   int NAME_client_open(struct NAME_client *, struct ipc_shm *, const char *name)
 *   int NAME_server_open(struct NAME_server *, struct ipc_shm *, const char *name)
 *       Attach to it, and wait for it as ipc_shm_find does. Errors of both.
 *
 * With ipc_notify.h ask, commit, answer and the server's detach wake who sleeps, and there are
 *
 *   int NAME_call(struct NAME_client *, const REQUEST *, REPLY *, int64_t deadline)
 *       ask, and collect once the reply is there. Blocking. The errors of both but -EAGAIN, and
 *         -ETIMEDOUT   no reply came until the deadline, or no slot became free
 *         -EINTR       a signal handler ran while it slept
 *       After any error but -EBUSY the call is given up: cancel. Whether it has had an effect is
 *       not known, unless the error was of ask.
 *   int NAME_client_wait(struct NAME_client *, int64_t deadline)
 *       Waits until poll has something to say, and returns that, or as NAME_call. The call is not
 *       given up.
 *   int NAME_serve(struct NAME_server *, union NAME_slot **, int64_t deadline)
 *       Waits for a request of any caller, and takes it. Blocking. 0; -ETIMEDOUT, -EINTR as above;
 *       -EINVAL: not attached, or what attach said. Callers that come, leave or are killed do not
 *       end it.
 *   struct ipc_notify *NAME_client_bell(struct NAME_client *)
 *   struct ipc_notify *NAME_server_bell(struct NAME_server *)
 *       What they sleep on, as above. Ask for the client's after each ask: it goes with the slot.
 *
 * Who sleeps learns of deaths within 10 ms, of a server that left its descriptors to children
 * within a second. A program without that header may be at the other end, but wakes nobody: so a
 * sleeper looks again once a second.
 */
#define IPC_CALL(NAME, REQUEST, REPLY)                                                             \
    IPC_RING_ASSERT_(NAME##_alignment,                                                             \
                     __alignof__(REQUEST) <= IPC_RING_LINE && __alignof__(REPLY) <= IPC_RING_LINE) \
    IPC_RING_ASSERT_(NAME##_reply, sizeof(REPLY) <= UINT32_MAX)                                    \
    union NAME##_slot {                                                                            \
        REQUEST request;                                                                           \
        REPLY reply;                                                                               \
    };                                                                                             \
    IPC_RING_MEMORY_(NAME, call, create, IPC_CALL_TYPE, IPC_RING_PLAIN_, 0, sizeof(REQUEST),       \
                     sizeof(REPLY))                                                                \
    IPC_RING_HANDLE_(NAME, call, client, client_attach, IPC_CALL_HANG_CLIENT_(h), sizeof(REQUEST), \
                     sizeof(REPLY), me)                                                            \
    IPC_RING_HANDLE_(NAME, call, server, server_attach, IPC_CALL_HANG_SERVER_(h), sizeof(REQUEST), \
                     sizeof(REPLY), me)                                                            \
    IPC_INLINE int NAME##_claim(struct NAME##_client *c, REQUEST **request)                        \
    {                                                                                              \
        int rc = ipc_call_claim_(&c->raw);                                                         \
                                                                                                   \
        *request = rc == 0 ? (REQUEST *)(void *)ipc_call_message_(c->raw.slot) : NULL;             \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_INLINE int NAME##_commit(struct NAME##_client *c)                                          \
    {                                                                                              \
        int rc = ipc_call_commit_(&c->raw, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));      \
                                                                                                   \
        IPC_RING_WITH_NOTIFY_(IPC_CALL_WAKE_SERVER_(c));                                           \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_ask(struct NAME##_client *c, const REQUEST *request)               \
    {                                                                                              \
        int rc = ipc_call_ask_(&c->raw, request, sizeof(REQUEST),                                  \
                               ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));                  \
                                                                                                   \
        IPC_RING_WITH_NOTIFY_(IPC_CALL_WAKE_SERVER_(c));                                           \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_poll(struct NAME##_client *c)                                      \
    {                                                                                              \
        return ipc_call_poll_(&c->raw, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));          \
    }                                                                                              \
    IPC_INLINE const REPLY *NAME##_peek(const struct NAME##_client *c)                             \
    {                                                                                              \
        return (const REPLY *)ipc_call_peek(&c->raw);                                              \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_collect(struct NAME##_client *c, REPLY *reply)                     \
    {                                                                                              \
        return ipc_call_collect_(&c->raw, reply, sizeof(REPLY),                                    \
                                 ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));                \
    }                                                                                              \
    IPC_INLINE void NAME##_cancel(struct NAME##_client *c)                                         \
    {                                                                                              \
        ipc_call_cancel(&c->raw);                                                                  \
    }                                                                                              \
    IPC_INLINE void NAME##_client_detach(struct NAME##_client *c)                                  \
    {                                                                                              \
        ipc_call_client_detach(&c->raw);                                                           \
        IPC_RING_WITH_NOTIFY_(IPC_RING_UNHANG_(c));                                                \
    }                                                                                              \
    IPC_FORCE_INLINE union NAME##_slot *NAME##_take(struct NAME##_server *s)                       \
    {                                                                                              \
        return (union NAME##_slot *)(void *)ipc_call_take_(                                        \
            &s->raw, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));                            \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_answer(struct NAME##_server *s, union NAME##_slot *slot)           \
    {                                                                                              \
        int rc =                                                                                   \
            ipc_call_answer_(&s->raw, slot, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));     \
                                                                                                   \
        IPC_RING_WITH_NOTIFY_(IPC_CALL_WAKE_CALLER_(s, slot));                                     \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_INLINE uint64_t NAME##_server_peer(const struct NAME##_server *s,                          \
                                           const union NAME##_slot *slot)                          \
    {                                                                                              \
        return ipc_call_server_peer(&s->raw, slot);                                                \
    }                                                                                              \
    IPC_INLINE void NAME##_server_detach(struct NAME##_server *s)                                  \
    {                                                                                              \
        IPC_RING_WITH_NOTIFY_(struct ipc_call_server was = s->raw);                                \
                                                                                                   \
        ipc_call_server_detach(&s->raw);                                                           \
        IPC_RING_WITH_NOTIFY_(IPC_CALL_WAKE_CALLERS_(s, was); IPC_RING_UNHANG_(s));                \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_CALL_SLEEP_(NAME, REQUEST, REPLY))                                   \
    IPC_RING_WITH_SHM_(                                                                            \
        IPC_RING_OPEN_(NAME, client_open, client, client_attach, raw, IPC_CALL_TYPE, ))            \
    IPC_RING_WITH_SHM_(                                                                            \
        IPC_RING_OPEN_(NAME, server_open, server, server_attach, raw, IPC_CALL_TYPE, ))

/* Of calls: data is the servers' bell, space a caller's. A server has one handle for those of all
 * callers, and points it at the one to ring; a caller points its own at its slot's. */
#define IPC_CALL_BELL_(slot)                                                                       \
    ((struct ipc_notify_shared *)(void *)((struct ipc_call_slot_ *)(void *)(slot))->bell)
#define IPC_CALL_HANG_CLIENT_(c)                                                                   \
    if (rc == 0) {                                                                                 \
        IPC_RING_BELL_(&c->data, c->raw.ring->server_bell);                                        \
        IPC_RING_BELL_(&c->space, IPC_CALL_BELL_(c->raw.slot));                                    \
        IPC_RING_OR_LEAVE_(c, raw, ipc_call_client_detach)                                         \
        c->space.looks_each_second = 1;                                                            \
        ipc_notify_watch_anyone(&c->space);                                                        \
    }
#define IPC_CALL_HANG_SERVER_(s)                                                                   \
    if (rc == 0) {                                                                                 \
        size_t stride = ipc_call_server_stride_(&s->raw), i;                                       \
                                                                                                   \
        IPC_RING_BELL_(&s->data, s->raw.ring->server_bell);                                        \
        for (i = 0; i < s->raw.count; i++) /* each must know what we lack: the last stays */       \
            IPC_RING_BELL_(&s->space, IPC_CALL_BELL_(s->raw.slots + i * stride));                  \
        IPC_RING_OR_LEAVE_(s, raw, ipc_call_server_detach)                                         \
        s->data.looks_each_second = 1;                                                             \
    }
#define IPC_CALL_WAKE_SERVER_(c)                                                                   \
    if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(c->raw.ring->server_bell)))                    \
    (void)ipc_notify_post(&c->data)
#define IPC_CALL_WAKE_(s, slot)                                                                    \
    if (CK_CC_UNLIKELY(ipc_notify_heeds_(IPC_CALL_BELL_(slot)))) {                                 \
        s->space.at = IPC_CALL_BELL_(slot);                                                        \
        (void)ipc_notify_post(&s->space);                                                          \
    }
#define IPC_CALL_WAKE_CALLER_(s, message)                                                          \
    if (rc != -EINVAL) {                                                                           \
        IPC_CALL_WAKE_(s, (unsigned char *)message - sizeof(struct ipc_call_slot_))                \
    }
#define IPC_CALL_WAKE_CALLERS_(s, was)                                                             \
    size_t stride = ipc_call_server_stride_(&was), i;                                              \
                                                                                                   \
    for (i = 0; i < was.count; i++) {                                                              \
        IPC_CALL_WAKE_(s, was.slots + i * stride)                                                  \
    }

#define IPC_CALL_SLEEP_(NAME, REQUEST, REPLY)                                                      \
    IPC_INLINE struct ipc_notify *NAME##_client_bell(struct NAME##_client *c)                      \
    {                                                                                              \
        if (c->raw.ring != NULL)                                                                   \
            c->space.at = IPC_CALL_BELL_(c->raw.slot);                                             \
        return &c->space;                                                                          \
    }                                                                                              \
    IPC_INLINE struct ipc_notify *NAME##_server_bell(struct NAME##_server *s)                      \
    {                                                                                              \
        return &s->data;                                                                           \
    }                                                                                              \
    /* 1: a slot is claimed, or the call has been answered; 0: not yet; or a negative errno. */    \
    IPC_INLINE int NAME##_client_look_(struct NAME##_client *c, int claim)                         \
    {                                                                                              \
        int rc;                                                                                    \
                                                                                                   \
        if (ipc_notify_anyone_died(&c->space))                                                     \
            c->raw.vain = 0; /* asks the kernel */                                                 \
        rc = claim ? ipc_call_claim_(&c->raw) : NAME##_poll(c);                                    \
        return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;                                               \
    }                                                                                              \
    IPC_INLINE int NAME##_client_until_(struct NAME##_client *c, int claim, int64_t deadline)      \
    {                                                                                              \
        int state = 0, rc;                                                                         \
                                                                                                   \
        if (c->raw.ring == NULL)                                                                   \
            return c->raw.error;                                                                   \
        rc = ipc_wait(NAME##_client_bell(c), deadline,                                             \
                      (state = NAME##_client_look_(c, claim)) != 0);                               \
        return rc != 0 ? rc : state < 0 ? state : 0;                                               \
    }                                                                                              \
    IPC_INLINE int NAME##_client_wait(struct NAME##_client *c, int64_t deadline)                   \
    {                                                                                              \
        return NAME##_client_until_(c, 0, deadline);                                               \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_call(struct NAME##_client *c, const REQUEST *request,              \
                                     REPLY *reply, int64_t deadline)                               \
    {                                                                                              \
        int rc = NAME##_ask(c, request);                                                           \
                                                                                                   \
        if (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                       \
            rc = NAME##_client_until_(c, 1, deadline);                                             \
            rc = rc != 0 ? rc : NAME##_ask(c, request);                                            \
        }                                                                                          \
        if (CK_CC_UNLIKELY(rc != 0))                                                               \
            return rc;                                                                             \
        rc = NAME##_client_until_(c, 0, deadline);                                                 \
        if (CK_CC_LIKELY(rc == 0))                                                                 \
            return NAME##_collect(c, reply);                                                       \
        NAME##_cancel(c);                                                                          \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_serve(struct NAME##_server *s, union NAME##_slot **slot,           \
                                      int64_t deadline)                                            \
    {                                                                                              \
        *slot = NAME##_take(s);                                                                    \
        if (CK_CC_LIKELY(*slot != NULL))                                                           \
            return 0;                                                                              \
        if (s->raw.ring == NULL)                                                                   \
            return s->raw.error;                                                                   \
        return ipc_wait(&s->data, deadline, (*slot = NAME##_take(s)) != NULL);                     \
    }

#endif
