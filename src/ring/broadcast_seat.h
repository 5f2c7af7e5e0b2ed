/*
 * Broadcasts: the seats of their readers, and the writer that waits for the slowest.
 *
 * Each reader of a lossless broadcast has a seat with its position: the first one that is free. The
 * writer looks once a lap at those that have ever had a reader, however many there are.
 *
 *   word           from               to             made by
 *   ring head      t                  t' > t         the writer, before it looks at the
 *                                                    seats; store fence, store, store-load fence
 *   seats_used     n                  n' > n         a reader that is about to take seat n'-1;
 *                                                    compare-and-swap
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
 * When a reader is JOINING, the two store-load fences let either the writer see that, and that the
 * seat is used, or the reader the writer's new head. A writer that sees it lets the reader begin at
 * the tail. If the reader finds the tail first, no writer has looked since the ring head from which
 * the reader searched, so nothing from that head on was overwritten. Either way the reader begins
 * at a tail, nothing from there on is overwritten, and the writer has room for a whole capacity
 * before it waits for that reader, even if the reader is stopped before it knows where it begins.
 */
#ifndef IPC_SRC_RING_BROADCAST_SEAT_H
#define IPC_SRC_RING_BROADCAST_SEAT_H 1

#include "spsc.h"

/* ------------------------------------------------------------------ broadcast: layout */

#define IPC_BROADCAST_TYPE 0x74736163u                   /* "cast" */
#define IPC_BROADCAST_MAGIC UINT64_C(0x31747361635f6369) /* "ic_cast1" */
#define IPC_BROADCAST_SEATS 64u /* if nothing is said */

/* How a broadcast is made: ipc_broadcast_init. */
#define IPC_BROADCAST_LOSSLESS 0u /* the writer waits for the slowest reader */
#define IPC_BROADCAST_LOSSY 1u    /* the writer overwrites what a slow reader has not read */
/* With LOSSY, for sleepers (ipc_notify.h): each send, and each post, wakes readers that may only
 * read the memory. Without it they look once a millisecond. */
#define IPC_BROADCAST_WAKES_READ_ONLY 2u
/* In the word of the bell: IPC_NOTIFY_UNASKED_. */
#define IPC_BROADCAST_UNASKED_ 128u
/* To be added to these: with n seats for readers, 1 to 65,536. Each takes 72 bytes. */
#define IPC_BROADCAST_READERS(n) IPC_RING_HOW_MANY_(n, IPC_BROADCAST_SEATS)

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
    uint64_t seats_used; /* no seat from here on has ever had a reader */
    unsigned char pad[56];
    /* the seats: struct ipc_broadcast_seats_. Then capacity slots of ipc_ring_stride_(bytes) */
};

IPC_RING_ASSERT_(cast_seats_used, offsetof(struct ipc_broadcast_shared, seats_used) == 384)
IPC_RING_ASSERT_(cast_size, sizeof(struct ipc_broadcast_shared) == 448)

/* Where the seats of readers are. */
struct ipc_broadcast_seats_ {
    struct ipc_broadcast_shared *ring;
    uint64_t *id;                     /* the holder of each seat, as in core.h; in whole lines */
    struct ipc_broadcast_seat_ *seat; /* behind them */
    unsigned count;
};

/* When a lossless writer is refused, it asks the kernel whether the readers in its way are dead:
 * at the first refusal, unless it has asked within the last ASK_APART positions, or 1,024 times
 * the capacity; then after ASK_AGAIN refusals in a row, and after every ASK_EVERY. A question takes
 * as long as hundreds of messages, and a writer that is faster than its readers is refused all the
 * time. */
#define IPC_BROADCAST_ASK_APART_ 1048576u
#define IPC_BROADCAST_ASK_AGAIN_ 64u
#define IPC_BROADCAST_ASK_EVERY_ 1024u

/* ------------------------------------------------------------------ broadcast: the table */

IPC_INLINE int ipc_broadcast_is_valid_how_(unsigned how)
{
    return ((how & 255) <= IPC_BROADCAST_LOSSY ||
            (how & 255) == (IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY)) &&
           ipc_ring_are_seats_valid_(ipc_ring_seats_of_(how, IPC_BROADCAST_SEATS));
}

/* The words of the ids, in whole lines. */
IPC_INLINE size_t ipc_broadcast_ids_(unsigned seats)
{
    return ((size_t)seats + 7) & ~(size_t)7;
}

/* What the seats take. */
IPC_INLINE size_t ipc_broadcast_seat_bytes_(unsigned how)
{
    unsigned seats = ipc_ring_seats_of_(how, IPC_BROADCAST_SEATS);

    return ipc_broadcast_ids_(seats) * sizeof(uint64_t) +
           seats * sizeof(struct ipc_broadcast_seat_);
}

/* The seats behind a header. */
IPC_INLINE struct ipc_broadcast_seats_ ipc_broadcast_seats_at_(void *mem, size_t header,
                                                               unsigned how)
{
    struct ipc_broadcast_seats_ seats;

    seats.ring = (struct ipc_broadcast_shared *)mem;
    seats.count = ipc_ring_seats_of_(how, IPC_BROADCAST_SEATS);
    seats.id = (uint64_t *)(void *)((unsigned char *)mem + header);
    seats.seat =
        (struct ipc_broadcast_seat_ *)(void *)(seats.id + ipc_broadcast_ids_(seats.count));
    return seats;
}

/* ------------------------------------------------------------------ broadcast: taking a seat */

/* What a lossless writer knows of its readers. */
struct ipc_broadcast_readers_ {
    struct ipc_broadcast_seats_ seats;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    uint64_t ask_from; /* a first refusal asks the kernel from this position on */
    unsigned refused;  /* how often in a row a reader left no room */
};

IPC_INLINE struct ipc_broadcast_readers_
ipc_broadcast_list_readers_(const struct ipc_broadcast_seats_ *seats, const struct ipc_peer *me,
                            uint64_t tail)
{
    struct ipc_broadcast_readers_ readers;

    readers.seats = *seats;
    readers.alive = me != NULL ? me->alive : NULL;
    readers.arg = me != NULL ? me->arg : NULL;
    readers.ask_from = tail;
    readers.refused = 0;
    return readers;
}

/* Frees the seats of all dead readers; if `only` is not 0, those of that one. Returns how many. */
IPC_INLINE int64_t ipc_broadcast_free_dead_readers_(const struct ipc_broadcast_seats_ *s,
                                                    int (*alive)(void *, uint64_t), void *arg,
                                                    uint64_t only)
{
    int64_t freed = 0;
    unsigned i;

    for (i = 0; i < s->count; i++) {
        uint64_t id = ck_pr_load_64(&s->id[i]);

        if (id == 0 || (only != 0 && id != only) || !ipc_ring_is_dead_(alive, arg, id))
            continue;
        /* Without it the writer could see the seat's next holder, and overwrite what the dead one,
         * as the kernel orders it, still reads. Partner: the acquire fence in
         * ipc_broadcast_find_slowest_reader_. */
        ck_pr_fence_release();
        freed += ck_pr_cas_64(&s->id[i], id, 0);
    }
    return freed;
}

/* Takes the first seat that is free. Where there is none, frees those of the dead. Returns its
 * index, or s->count. */
IPC_INLINE unsigned ipc_broadcast_find_seat_(const struct ipc_broadcast_seats_ *s,
                                             const struct ipc_peer *me, uint64_t id)
{
    struct ipc_ring_scans_ scans = {0, 0};
    unsigned i;

    do {
        for (i = 0; i < s->count; i++) {
            if (ck_pr_load_64(&s->id[i]) != 0)
                continue;
            /* Before the seat has a holder: a writer that looks at fewer would not find it when
             * this process is killed. */
            ipc_ring_raise_(&s->ring->seats_used, i + UINT64_C(1), s->count);
            if (ipc_ring_take_end_(&s->id[i], NULL, id) == 0)
                return i;
        }
        if (me != NULL)
            (void)ipc_broadcast_free_dead_readers_(s, me->alive, me->arg, 0); /* or others do */
    } while (ipc_ring_is_to_scan_again_(&scans, s->id, sizeof s->id[0], s->count));
    return s->count;
}

/* Takes a seat for a reader, which the writer sees from now on. 0, or -EUSERS. */
IPC_INLINE int ipc_broadcast_take_seat_(const struct ipc_broadcast_seats_ *s, struct ipc_peer *me,
                                        uint64_t id, unsigned *seat)
{
    unsigned n = ipc_broadcast_find_seat_(s, me, id);

    if (n == s->count)
        return ipc_ring_refuse_(me, -EUSERS, "every reader's seat is taken; seats", s->count,
                                s->count);
    *seat = n;
    /* Without it the writer could take this position as the word of the seat's last holder, which
     * still reads behind it. Partner: the acquire fence in ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_release();
    ck_pr_store_64(&s->seat[n].head, IPC_BROADCAST_NOWHERE_);
    ck_pr_store_64(&s->seat[n].reader, id);
    /* Without it the writer could let us begin, and ignore us at its next look. Partner: the
     * store-load fence in ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_store();
    ck_pr_store_64(&s->seat[n].head, IPC_BROADCAST_JOINING_);
    /* Without it the writer could miss our seat, or that it is used, and we the head that it stored
     * before: then what we begin with is overwritten. Partner: the fence in
     * ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_store_load();
    return 0;
}

/* A reader that is joining has found the tail: begins there, or where the writer has let it begin
 * meanwhile. Returns that position. */
IPC_INLINE uint64_t ipc_broadcast_begin_at_(uint64_t *at, uint64_t tail)
{
    return ck_pr_cas_64(at, IPC_BROADCAST_JOINING_, tail) ? tail : ck_pr_load_64(at);
}

/* Frees the seat of `id`, whose word of the holder is *end, and whose head is *at. Does nothing if
 * another process was told that we are dead and took it. */
IPC_INLINE void ipc_broadcast_leave_seat_(uint64_t *end, uint64_t *at, uint64_t id)
{
    /* Without it the writer could overwrite what we still read. Partner: the acquire fence in
     * ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_release();
    /* Before the seat is free, as its next holder may be a handle of the same process. */
    (void)ck_pr_cas_64(&((struct ipc_broadcast_seat_ *)(void *)at)->reader, id, 0);
    ipc_ring_leave_end_(end, id);
}

/* ------------------------------------------------------------------ broadcast: slowest reader */

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
IPC_INLINE uint64_t ipc_broadcast_find_position_(const struct ipc_broadcast_seats_ *s, unsigned i,
                                                 uint64_t *id)
{
    *id = ck_pr_load_64(&s->id[i]);
    if (*id == 0 || ck_pr_load_64(&s->seat[i].reader) != *id)
        return IPC_BROADCAST_NOWHERE_;
    return ck_pr_load_64(&s->seat[i].head);
}

/* How many seats are to be looked at. */
IPC_INLINE unsigned ipc_broadcast_seats_used_(const struct ipc_broadcast_seats_ *s)
{
    uint64_t used = ck_pr_load_64(&s->ring->seats_used);

    return used < s->count ? (unsigned)used : s->count;
}

/* A lossless writer has reached its limit, and needs `need` positions behind its tail: looks how
 * far the slowest reader is, and frees the seats of dead ones. Sets the limit and returns 0, or
 * -EAGAIN.
 */
IPC_RING_NOINLINE_ int
ipc_broadcast_find_slowest_reader_(struct ipc_broadcast_readers_ *g, uint64_t tail, uint64_t mask,
                                   uint64_t need, uint64_t *limit)
{
    const struct ipc_broadcast_seats_ *s = &g->seats;
    uint64_t most = 0; /* how far the slowest reader is behind */
    unsigned i, used, blocked = 0;
    int ask = ipc_broadcast_is_to_ask_(g, tail);

    /* Without it a reader could begin at this head, and find slots that are older. Partner: the
     * load fence in ipc_broadcast_consumer_attach. */
    ck_pr_fence_store();
    ck_pr_store_64(&s->ring->s.head, tail);
    /* Without it we could miss the seat of a reader that attaches, and it could miss this head.
     * Partner: the fence in ipc_broadcast_take_seat_. */
    ck_pr_fence_store_load();
    used = ipc_broadcast_seats_used_(s);
    for (i = 0; i < used; i++) {
        uint64_t id, behind, head = ipc_broadcast_find_position_(s, i, &id);

        if (head == IPC_BROADCAST_NOWHERE_)
            continue;
        if (head == IPC_BROADCAST_JOINING_)
            head = ipc_broadcast_begin_at_(&s->seat[i].head, tail);
        behind = tail - head;
        if (behind <= mask + 1 - need)
            most = behind > most ? behind : most;
        else if (!ask || !ipc_ring_is_dead_(g->alive, g->arg, id) ||
                 !ck_pr_cas_64(&s->id[i], id, 0))
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

/* As ipc_broadcast_was_readers. */
IPC_INLINE unsigned ipc_broadcast_count_readers_(const struct ipc_broadcast_readers_ *g)
{
    unsigned i, n = 0, used = g->seats.ring != NULL ? ipc_broadcast_seats_used_(&g->seats) : 0;

    for (i = 0; i < used; i++) {
        uint64_t id;

        n += ipc_broadcast_find_position_(&g->seats, i, &id) < IPC_BROADCAST_NOWHERE_;
    }
    return n;
}

/* How far the slowest reader is behind the tail, at most `most`, and its id. */
IPC_INLINE uint64_t ipc_broadcast_find_most_behind_(const struct ipc_broadcast_readers_ *g,
                                                    uint64_t tail, uint64_t most, uint64_t *id)
{
    unsigned i, used = g->seats.ring != NULL ? ipc_broadcast_seats_used_(&g->seats) : 0;
    uint64_t behind = 0;

    *id = 0;
    for (i = 0; i < used; i++) {
        uint64_t holder, head = ipc_broadcast_find_position_(&g->seats, i, &holder);

        if (head >= IPC_BROADCAST_NOWHERE_ || tail - head <= behind)
            continue;
        behind = tail - head < most ? tail - head : most;
        *id = holder;
    }
    return behind;
}

/* Frees the seats of dead readers for a writer, as ipc_broadcast_producer_recover. */
IPC_INLINE int64_t ipc_broadcast_recover_(const struct ipc_broadcast_readers_ *g, uint64_t id)
{
    return g->seats.ring != NULL
               ? ipc_broadcast_free_dead_readers_(&g->seats, g->alive, g->arg, id)
               : 0;
}

#endif
