/*
 * Streams: elements without messages, for one producer and one consumer.
 *
 * Elements [head, tail) are the consumer's to read, all others the producer's to write.
 *
 *   word   from   to       made by
 *   tail   t      t' > t   the producer, when all below t' is written: release fence, store
 *   head   h      h' > h   the consumer, when it is done with all below h': release fence, store
 *
 *   wants  any      any      its end, before it waits and after: plain; see ipc_stream_want_
 *
 * tail and head by ipc_stream_publish_. Each end keeps its own position and the last that it saw of
 * the other end, and looks at the other's word again only when it has too few elements: acquire
 * fence after the load (ipc_stream_find_more_). 0 <= tail - head <= capacity; else the memory is
 * corrupt.
 */
#ifndef IPC_SRC_RING_STREAM_H
#define IPC_SRC_RING_STREAM_H 1

#include "copy.h"

/* ------------------------------------------------------------------ streams: layout */

#define IPC_STREAM_TYPE 0x6d727473u                   /* "strm" */
#define IPC_STREAM_MAGIC UINT64_C(0x316d7274735f6369) /* "ic_strm1" */

/* How a consumer that takes what is there holds back, in ipc_stream_hold_back_. Measured with
 * blocks of 1 KB. */
#define IPC_STREAM_PAUSES_ 127u          /* ck_pr_stall()s at most */
#define IPC_STREAM_FIRST_PAUSES_ 15u     /* in a try */
#define IPC_STREAM_TRY_AFTER_ 64u        /* looks after a try in vain, which double with each */
#define IPC_STREAM_TRY_AFTER_MOST_ 8192u /* up to this */

/* The elements begin on a page of the process that makes the stream, so that they can be mapped
 * twice in a row. That page's distance from the beginning of the stream is the same for all
 * processes, at whatever addresses they see it. */
#if defined(__x86_64__) || defined(__i386__) || defined(__s390x__)
#define IPC_STREAM_PAGE_ 4096u
#else
#define IPC_STREAM_PAGE_ 65536u /* the largest in use */
#endif

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_stream_shared {
    /* bytes: of one element; capacity: elements; how: bytes from here to the first element */
    struct ipc_ring_shared_ is;
    uint64_t end[2]; /* holders of the producer's and the consumer's end, as in core.h */
    uint64_t left[2];
    unsigned char pad1[32];
    /* The positions of both ends, in elements. */
    uint64_t tail;
    unsigned char pad2[56];
    uint64_t producer_wants; /* where head has to be before the producer is to be woken */
    unsigned char pad3[56];
    uint64_t head;
    unsigned char pad4[56];
    uint64_t consumer_wants; /* where tail has to be before the consumer is to be woken */
    unsigned char pad5[56];
    unsigned char data_bell[64]; /* as in struct ipc_spsc_shared */
    unsigned char space_bell[64];
    /* up to a page, and then capacity elements */
};

IPC_RING_ASSERT_(stream_left, offsetof(struct ipc_stream_shared, left) == 80)
IPC_RING_ASSERT_(stream_tail, offsetof(struct ipc_stream_shared, tail) == 128)
IPC_RING_ASSERT_(stream_head, offsetof(struct ipc_stream_shared, head) == 256)
IPC_RING_ASSERT_(stream_bells, offsetof(struct ipc_stream_shared, data_bell) == 384)
IPC_RING_ASSERT_(stream_size, sizeof(struct ipc_stream_shared) == 512)

IPC_INLINE struct ipc_ring_kind_ ipc_stream_kind_(size_t bytes)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a stream; magic";
    kind.magic = IPC_STREAM_MAGIC;
    kind.header = sizeof(struct ipc_stream_shared) + IPC_STREAM_PAGE_;
    kind.stride = bytes;
    return kind;
}

/* The bytes of a stream of `capacity` elements of `bytes` bytes, or 0, as ipc_spsc_footprint. */
IPC_INLINE size_t ipc_stream_footprint(size_t bytes, uint64_t capacity)
{
    struct ipc_ring_kind_ kind = ipc_stream_kind_(bytes);

    return ipc_ring_footprint_(&kind, bytes, capacity);
}

/* Makes an empty stream, as ipc_spsc_init, with the same errors. */
IPC_INLINE int ipc_stream_init(void *mem, size_t size, size_t bytes, uint64_t capacity)
{
    struct ipc_ring_kind_ kind = ipc_stream_kind_(bytes);
    uintptr_t first = ((uintptr_t)mem + sizeof(struct ipc_stream_shared) + IPC_STREAM_PAGE_ - 1) &
                      ~(uintptr_t)(IPC_STREAM_PAGE_ - 1);

    return ipc_ring_init_(mem, size, &kind, bytes, capacity, (uint32_t)(first - (uintptr_t)mem));
}

/* ------------------------------------------------------------------ streams: handles */

/* What both ends have. Private to their thread; no field is for the caller. */
struct ipc_stream {
    IPC_RING_APART_(before);
    unsigned char *data;
    uint64_t mask;
    uint64_t at;  /* our position */
    uint64_t end; /* elements [at, end) are ours to write, or to read */
    uint64_t bytes;
    int twice;            /* data is mapped twice in a row */
    int error;            /* sticks */
    uint64_t *ours;   /* where we publish our position */
    uint64_t *theirs; /* where the other end publishes its position */
    uint64_t ahead;   /* end - *theirs: the capacity for the producer, 0 for the consumer */
    uint64_t *wants, *their_wants;
    struct ipc_stream_shared *ring;
    uint64_t *holder; /* of our end */
    uint64_t id;
    struct ipc_ring_self_ self;
    void (*unmap)(void *data, size_t bytes); /* if data is mapped twice */
};

struct ipc_stream_producer {
    struct ipc_stream s;
    struct ipc_ring_trials_ trials;
    IPC_RING_APART_(after);
};

struct ipc_stream_consumer {
    struct ipc_stream s;
    unsigned pauses;    /* ck_pr_stall()s to hold back for; 0: it does not pay */
    unsigned try_in;    /* looks until it is tried again */
    unsigned try_after; /* ... and after the next try in vain */
    IPC_RING_APART_(after);
};

/* Elements that may wrap: two pieces, of which the second often has 0 elements. */
struct ipc_stream_regions {
    void *at[2];
    size_t n[2]; /* elements */
};

IPC_INLINE int ipc_stream_disable_(struct ipc_stream *s, int rc)
{
    memset(s, 0, sizeof *s);
    ipc_ring_begin_self_(&s->self, NULL, NULL);
    return s->error = rc;
}

/* From now on `data` is where the elements are, twice in a row, until detach unmaps it. */
IPC_INLINE void ipc_stream_twice_(struct ipc_stream *s, void *data, void (*unmap)(void *, size_t))
{
    s->data = (unsigned char *)data;
    s->twice = 1;
    s->unmap = unmap;
}

/* This end is to be woken once n elements are its own, and not for each that comes before. 0: for
 * whatever comes, as where it waits for something else. */
IPC_FORCE_INLINE void ipc_stream_want_(struct ipc_stream *s, uint64_t n)
{
    ck_pr_store_64(s->wants, s->at + n - s->ahead);
    /* Without it the flag of our sleep could be seen before the wish. Partner: in
     * ipc_stream_is_wanted_. */
    ck_pr_fence_release(); /* no twin */
}

/* The other end may sleep, and we have published our position: is it to be woken? */
IPC_INLINE int ipc_stream_is_wanted_(const struct ipc_stream *s)
{
    /* Without it we could see an old wish, while the other end misses our position in its last look
     * before it sleeps. Partners: in ipc_stream_want_, and the fence in ipc_notify_announce_ before
     * that look. */
    ck_pr_fence_memory(); /* no twin */
    return (int64_t)(s->at - ck_pr_load_64(s->their_wants)) >= 0;
}

/* Goes on at the position that is published at our end, which we have just taken. */
IPC_INLINE void ipc_stream_go_on_(struct ipc_stream *s)
{
    s->at = s->end = ck_pr_load_64(s->ours);
    ipc_stream_want_(s, 0); /* a predecessor may have been killed while it waited */
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_stream_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_stream *s = (struct ipc_stream *)handle;

    if (me == NULL) {
        if (s->twice)
            s->unmap(s->data, (size_t)((s->mask + 1) * s->bytes));
        return ipc_stream_disable_(s, -ECHILD);
    }
    s->id = me->id;
    if (ipc_ring_take_end_(s->holder, me, me->id) != 0)
        return -EBUSY;
    ipc_stream_go_on_(s);
    return 0;
}

/* Attaches to one end: 0 the producer's, 1 the consumer's. */
IPC_INLINE int ipc_stream_attach_(struct ipc_stream *s, void *mem, size_t size, size_t bytes,
                                  struct ipc_peer *me, int end)
{
    struct ipc_stream_shared *r = (struct ipc_stream_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_stream_kind_(bytes);
    uint64_t capacity, id = ipc_ring_id_of_(me);
    int rc = ipc_ring_check_(mem, size, &kind, bytes, me, &capacity);
    uint32_t first = rc == 0 ? ck_pr_load_32(&r->is.how) : 0;

    if (rc == 0 && (first < sizeof *r || first > kind.header || first % IPC_RING_LINE != 0))
        rc = ipc_ring_refuse_(me, -EPROTO, "elements of the stream begin outside it; bytes", first,
                              kind.header);
    if (rc == 0)
        rc = ipc_ring_take_end_(&r->end[end], me, id);
    if (rc != 0)
        return ipc_stream_disable_(s, rc);
    s->data = (unsigned char *)mem + first;
    s->mask = capacity - 1;
    s->bytes = bytes;
    s->twice = s->error = 0;
    s->ours = end == 0 ? &r->tail : &r->head;
    s->theirs = end == 0 ? &r->head : &r->tail;
    s->ahead = end == 0 ? capacity : 0;
    s->wants = end == 0 ? &r->producer_wants : &r->consumer_wants;
    s->their_wants = end == 0 ? &r->consumer_wants : &r->producer_wants;
    s->ring = r;
    s->holder = &r->end[end];
    s->id = id;
    ipc_ring_begin_self_(&s->self, me, ipc_stream_renew_);
    ipc_stream_go_on_(s);
    return 0;
}

IPC_INLINE void ipc_stream_detach_(struct ipc_stream *s)
{
    if (s->twice)
        s->unmap(s->data, (size_t)((s->mask + 1) * s->bytes));
    if (s->ring != NULL && ipc_ring_is_ours_(&s->self))
        ipc_ring_detach_end_(s->holder, s->id);
    (void)ipc_stream_disable_(s, -EINVAL);
}

/* ------------------------------------------------------------------ streams: the path */

/* Too few elements are known to be ours: looks at the other end's position. */
IPC_INLINE void ipc_stream_find_more_(struct ipc_stream *s)
{
    if (s->error != 0 || (ipc_ring_is_forked_(&s->self) && ipc_ring_settle_(&s->self, s) < 0))
        return;
    s->end = ck_pr_load_64(s->theirs) + s->ahead;
    /* Without it elements could be written before they were read, or read before they were written.
     * Partner: in ipc_stream_publish_. */
    ck_pr_fence_acquire();
    if (s->end - s->at > s->mask + 1) {
        s->error = -EBADMSG;
        s->end = s->at;
    }
}

/* How many elements are ours; looks for more if these are fewer than n. */
IPC_FORCE_INLINE uint64_t ipc_stream_available_(struct ipc_stream *s, uint64_t n)
{
    if (CK_CC_UNLIKELY(s->end - s->at < n || ipc_ring_is_forked_(&s->self)))
        ipc_stream_find_more_(s);
    return s->end - s->at;
}

IPC_FORCE_INLINE void ipc_stream_publish_(struct ipc_stream *s, uint64_t n)
{
    s->at += n;
    /* Without it the other end could see our position before what we have written, or write where
     * we still read. Partner: in ipc_stream_find_more_. */
    ck_pr_fence_release();
    ck_pr_store_64(s->ours, s->at);
}

/* Where the next n elements are, of those that are ours. */
IPC_FORCE_INLINE struct ipc_stream_regions ipc_stream_regions_(const struct ipc_stream *s,
                                                               uint64_t n, size_t bytes)
{
    uint64_t index = s->at & s->mask, row = s->twice ? n : s->mask + 1 - index;
    struct ipc_stream_regions r;

    r.at[0] = s->data + (size_t)index * bytes;
    r.at[1] = s->data;
    r.n[0] = (size_t)(n < row ? n : row);
    r.n[1] = (size_t)n - r.n[0];
    return r;
}

/* All elements that are ours: how many, and where. */
IPC_FORCE_INLINE uint64_t ipc_stream_look_(struct ipc_stream *s, size_t bytes,
                                           struct ipc_stream_regions *r)
{
    uint64_t n = ipc_stream_available_(s, s->mask + 1);

    *r = ipc_stream_regions_(s, n, bytes);
    return n;
}

/* The next n elements, if they are ours and in a row; else NULL. */
IPC_FORCE_INLINE void *ipc_stream_row_(struct ipc_stream *s, uint64_t n, size_t bytes)
{
    struct ipc_stream_regions r;

    if (s->error != 0 || ipc_stream_available_(s, n) < n || s->error != 0)
        return NULL;
    r = ipc_stream_regions_(s, n, bytes);
    return r.n[1] == 0 ? r.at[0] : NULL;
}

IPC_FORCE_INLINE int ipc_stream_advance_(struct ipc_stream *s, uint64_t n)
{
    if (n > s->end - s->at)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&s->self)) && ipc_ring_settle_(&s->self, s) != 1)
        return s->error != 0 ? s->error : -EINVAL;
    if (n > 0)
        ipc_stream_publish_(s, n);
    return 0;
}

/* How many of n elements to move now: all n; or as many as are ours, if `some` is set. 0 or a
 * negative errno: none. */
IPC_FORCE_INLINE int64_t ipc_stream_count_(struct ipc_stream *s, uint64_t n, int some)
{
    uint64_t avail = ipc_stream_available_(s, n);

    if (CK_CC_UNLIKELY(s->error != 0))
        return s->error;
    if (CK_CC_LIKELY(avail >= n))
        return (int64_t)n;
    if (!some)
        return n > s->mask + 1 ? -EMSGSIZE : -EAGAIN;
    return avail > 0 ? (int64_t)avail : -EAGAIN;
}

/* For a wait: 1 when n elements are ours, 0 when they are not yet, or a negative errno. */
IPC_INLINE int ipc_stream_ready_(struct ipc_stream *s, size_t n)
{
    int64_t rc = ipc_stream_count_(s, n, 0);

    if (rc >= 0)
        return 1;
    return rc == -EAGAIN ? 0 : (int)rc;
}

/* Asks for the lines of the n elements behind the next n, if they are free. */
IPC_FORCE_INLINE void ipc_stream_prefetch_(const struct ipc_stream *s, uint64_t n, size_t bytes)
{
    uint64_t from = (s->at + n) & s->mask, left = s->mask + 1 - from;
    unsigned char *at = s->data + (size_t)from * bytes;
    size_t i, lead;

    if (s->end - s->at < 2 * n)
        return;
    lead = (size_t)(n < left ? n : left) * bytes;
    lead = lead < IPC_RING_PREFETCH_ ? lead : IPC_RING_PREFETCH_;
    for (i = 0; i < lead; i += IPC_RING_LINE)
        ck_pr_rfo(at + i);
}

IPC_FORCE_INLINE int64_t ipc_stream_push_(struct ipc_stream_producer *p, const void *from,
                                          size_t bytes, size_t n, int some)
{
    const unsigned char *f = (const unsigned char *)from;
    int64_t count = ipc_stream_count_(&p->s, n, some);
    struct ipc_stream_regions r;

    if (count <= 0)
        return count;
    r = ipc_stream_regions_(&p->s, (uint64_t)count, bytes);
    ipc_stream_prefetch_(&p->s, (uint64_t)count, bytes);
    ipc_ring_put_bytes_(&p->trials, r.at[0], f, r.n[0] * bytes);
    if (r.n[1] > 0)
        ipc_ring_put_bytes_(&p->trials, r.at[1], f + r.n[0] * bytes, r.n[1] * bytes);
    ipc_stream_publish_(&p->s, (uint64_t)count);
    return count;
}

/*
 * A consumer that takes what is there has fewer than it wants: looks for more. If it is close
 * behind a busy producer, it holds back first, for up to a quarter of the stream, and only while that
 * brings elements. Where the producer is not busy, it soon stops, and tries again ever more rarely.
 */
IPC_INLINE void ipc_stream_hold_back_(struct ipc_stream_consumer *c)
{
    struct ipc_stream *s = &c->s;
    uint64_t end;

    ipc_stream_find_more_(s);
    if (s->end == s->at || s->end - s->at > (s->mask + 1) / 4)
        return;
    if (c->pauses == 0) {
        if (c->try_in > 0) {
            c->try_in--;
            return;
        }
        c->pauses = IPC_STREAM_FIRST_PAUSES_;
    }
    ipc_ring_hold_back_(c->pauses);
    end = s->end;
    ipc_stream_find_more_(s);
    if (s->end == end) {
        c->pauses = 0;
        c->try_in = c->try_after;
        if (c->try_after < IPC_STREAM_TRY_AFTER_MOST_)
            c->try_after *= 2;
        return;
    }
    c->try_after = IPC_STREAM_TRY_AFTER_;
    ipc_ring_adapt_pauses_(&c->pauses, 1, IPC_STREAM_PAUSES_);
}

IPC_FORCE_INLINE int64_t ipc_stream_pop_(struct ipc_stream_consumer *c, void *to, size_t bytes,
                                         size_t n, int some)
{
    unsigned char *t = (unsigned char *)to;
    struct ipc_stream_regions r;
    int64_t count;

    if (some && CK_CC_UNLIKELY(c->s.end - c->s.at < n)) {
        ipc_stream_hold_back_(c);
        if (c->s.end != c->s.at && c->s.end - c->s.at < n)
            n = (size_t)(c->s.end - c->s.at);
    }
    count = ipc_stream_count_(&c->s, n, some);
    if (count <= 0)
        return count;
    r = ipc_stream_regions_(&c->s, (uint64_t)count, bytes);
    ipc_ring_get_(t, r.at[0], r.n[0] * bytes, 1);
    if (r.n[1] > 0)
        ipc_ring_get_(t + r.n[0] * bytes, r.at[1], r.n[1] * bytes, 1);
    ipc_stream_publish_(&c->s, (uint64_t)count);
    return count;
}

/* ------------------------------------------------------------------ streams: the calls */

/*
 * Attaches the producer's end of a stream whose elements have `bytes` bytes; as
 * ipc_spsc_producer_attach, with the same errors. It goes on behind the last element that a push or
 * commit of its predecessor made visible: nothing is there of a push that was killed.
 */
IPC_INLINE int ipc_stream_producer_attach(struct ipc_stream_producer *p, void *mem, size_t size,
                                          size_t bytes, struct ipc_peer *me)
{
    int rc = ipc_stream_attach_(&p->s, mem, size, bytes, me, 0);

    ipc_ring_trials_begin_(&p->trials, (p->s.mask + 1) * bytes);
    return rc;
}

/* Attaches the consumer's end; as ipc_stream_producer_attach. It sees again what the last pop or
 * release of a killed predecessor was about to take, and no more. */
IPC_INLINE int ipc_stream_consumer_attach(struct ipc_stream_consumer *c, void *mem, size_t size,
                                          size_t bytes, struct ipc_peer *me)
{
    c->pauses = 0;
    c->try_in = c->try_after = IPC_STREAM_TRY_AFTER_;
    return ipc_stream_attach_(&c->s, mem, size, bytes, me, 1);
}

/* Detaches; the stream and its elements stay for the next holder. Wait-free. */
IPC_INLINE void ipc_stream_producer_detach(struct ipc_stream_producer *p)
{
    ipc_stream_detach_(&p->s);
}

IPC_INLINE void ipc_stream_consumer_detach(struct ipc_stream_consumer *c)
{
    ipc_stream_detach_(&c->s);
}

/*
 * Copies up to n elements in, visible to the consumer all at once. Wait-free for a given n, no
 * system call: for real-time threads. A consumer that is stopped or dead lets the stream run full.
 *
 *   > 0        how many went in; less than n: the stream is full. 0 for n = 0
 *   -EAGAIN    it is full: none went in
 *   -EMSGSIZE  `bytes` is not the size of the stream's elements
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int64_t ipc_stream_push_n(struct ipc_stream_producer *p, const void *from, size_t bytes,
                                     size_t n)
{
    return bytes == p->s.bytes || p->s.error != 0 ? ipc_stream_push_(p, from, bytes, n, 1)
                                                  : -EMSGSIZE;
}

/* Copies n elements in, or none: 0, or the errors of ipc_stream_push_n; -EAGAIN: there is no room
 * for all of them now, -EMSGSIZE: n is more than the capacity. Wait-free for a given n. */
IPC_INLINE int ipc_stream_push_all(struct ipc_stream_producer *p, const void *from, size_t bytes,
                                   size_t n)
{
    int64_t rc =
        bytes == p->s.bytes || p->s.error != 0 ? ipc_stream_push_(p, from, bytes, n, 0) : -EMSGSIZE;

    return rc < 0 ? (int)rc : 0;
}

/* Copies up to n elements out. Otherwise as ipc_stream_push_n; -EAGAIN: the stream is empty. If
 * there are fewer than n, it may hold back for up to 127 ck_pr_stall()s (3 microseconds) to let a
 * busy producer get ahead. A real-time callback takes ipc_stream_pop_all, which never does. */
IPC_INLINE int64_t ipc_stream_pop_n(struct ipc_stream_consumer *c, void *to, size_t bytes, size_t n)
{
    return bytes == c->s.bytes || c->s.error != 0 ? ipc_stream_pop_(c, to, bytes, n, 1) : -EMSGSIZE;
}

/* Copies n elements out, or none, as ipc_stream_push_all; -EAGAIN: there are fewer than n yet. Like
 * all calls of a stream but pop_n it never holds back: for real-time threads. */
IPC_INLINE int ipc_stream_pop_all(struct ipc_stream_consumer *c, void *to, size_t bytes, size_t n)
{
    int64_t rc =
        bytes == c->s.bytes || c->s.error != 0 ? ipc_stream_pop_(c, to, bytes, n, 0) : -EMSGSIZE;

    return rc < 0 ? (int)rc : 0;
}

/*
 * Push without a copy. claim gives room for n elements in a row. NULL: there is no room for so many
 * now, they lie across the end of the memory, or see ipc_stream_producer_error. (The typed calls
 * map the memory twice in a row if they can: then any n up to the capacity lie in a row.) room
 * gives all the room that there is, in two pieces at most, and returns how many elements that are.
 * Neither changes anything; do not claim more than commit is to send. Wait-free.
 */
IPC_INLINE void *ipc_stream_claim(struct ipc_stream_producer *p, size_t n)
{
    return ipc_stream_row_(&p->s, n, (size_t)p->s.bytes);
}

IPC_INLINE size_t ipc_stream_room(struct ipc_stream_producer *p, struct ipc_stream_regions *r)
{
    return (size_t)ipc_stream_look_(&p->s, (size_t)p->s.bytes, r);
}

/* Sends the first n elements of what claim or room gave. 0; -EINVAL when they gave less; -ECHILD.
 * Wait-free. */
IPC_INLINE int ipc_stream_commit(struct ipc_stream_producer *p, size_t n)
{
    return ipc_stream_advance_(&p->s, n);
}

/* Pop without a copy. peek gives the next n elements in a row, or NULL, as ipc_stream_claim; data
 * gives all that there are, as ipc_stream_room; release moves on behind the first n of them, as
 * ipc_stream_commit. */
IPC_INLINE const void *ipc_stream_peek(struct ipc_stream_consumer *c, size_t n)
{
    return ipc_stream_row_(&c->s, n, (size_t)c->s.bytes);
}

IPC_INLINE size_t ipc_stream_data(struct ipc_stream_consumer *c, struct ipc_stream_regions *r)
{
    return (size_t)ipc_stream_look_(&c->s, (size_t)c->s.bytes, r);
}

IPC_INLINE int ipc_stream_release(struct ipc_stream_consumer *c, size_t n)
{
    return ipc_stream_advance_(&c->s, n);
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_stream_producer_error(const struct ipc_stream_producer *p)
{
    return p->s.error;
}

IPC_INLINE int ipc_stream_consumer_error(const struct ipc_stream_consumer *c)
{
    return c->s.error;
}

/* How many elements were in the stream, at some moment during the call. Wait-free. */
IPC_INLINE uint64_t ipc_stream_producer_was_size(struct ipc_stream_producer *p)
{
    return p->s.error == 0 ? p->s.mask + 1 - ipc_stream_available_(&p->s, p->s.mask + 1) : 0;
}

IPC_INLINE uint64_t ipc_stream_consumer_was_size(struct ipc_stream_consumer *c)
{
    return c->s.error == 0 ? ipc_stream_available_(&c->s, c->s.mask + 1) : 0;
}

#endif
