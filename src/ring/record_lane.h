/*
 * Records: messages of any length, for one consumer, from producers that have a lane each.
 *
 * The consumer polls the word before each record: its length, and that it is there. A record that
 * does not fit before the end of the memory goes to its beginning, and a word says so.
 *
 *     [ 5 | hello... ][ 2 | hi...... ][ 0 ]                         0: not there yet
 *
 *   word             from       to            made by the lane's producer
 *   the next record  anything   0             store, before the record in front of it is there
 *   the tail         0          length, IS    store fence, store: the record is there
 *   the tail         0          SKIP          the same, where the record is at the beginning of the
 *                                             memory; its own word was stored there before
 *   lane's head      h          h' > h        the consumer, when it is done with all below h':
 *                                             release fence, store (ipc_record_publish_)
 *   terms            n          n+1           the producer that took the lane, or whose records are
 *                                             for another process from now on: term[n % 23], store
 *                                             fence, store
 *   term[n % 23]     from       from | LEFT   that producer, before it gives the lane back
 *   tail             any        the tail      the same
 *
 * So a consumer may walk from the published head over records to the word 0 at the tail; it never
 * sees what an earlier lap left there. A new producer walks from where the last term began, or
 * from `tail` if that producer has left; or from the head, if that is further.
 *
 * The consumer publishes its position for many records at once, but a lane from which all was taken
 * has room for the longest record at any time. That record takes half of the memory. Where the tail
 * is in the second half it goes to the beginning, and what is left behind the tail is skipped: then
 * it fits if the published position is in the second half, too. So the consumer publishes when it
 * comes into the second half, and otherwise after `replay` bytes, an eighth of the memory at most.
 */
#ifndef IPC_SRC_RING_RECORD_LANE_H
#define IPC_SRC_RING_RECORD_LANE_H 1

#include "spsc.h"

/* ------------------------------------------------------------------ records: layout */

#define IPC_RECORD_TYPE 0x64636572u                   /* "recd" */
#define IPC_RECORD_MAGIC UINT64_C(0x31646365725f6369) /* "ic_recd1" */
/* The most producers. A consumer keeps its position in each lane in its own handle, whose arrays
 * have this size, and looks at all lanes where it finds nothing. */
#define IPC_RECORD_PRODUCERS 64u
#define IPC_RECORD_PAUSES_ 127u /* as IPC_RING_PAUSES_ */
#define IPC_RECORD_TERMS_ 23u   /* that are remembered in each lane */

/* A producer's time in a lane. */
struct ipc_record_term_ {
    uint64_t id;   /* the process, ~0 for one without an ipc_peer */
    uint64_t from; /* the position where its records begin; and IPC_RECORD_LEFT_, _ASKS_ */
};

#define IPC_RECORD_LEFT_ UINT64_C(1) /* it has detached, so was not killed */
#define IPC_RECORD_ASKS_ UINT64_C(2) /* its process waits for answers: ipc_channel.h */

/* One for each producer. */
struct ipc_record_lane_ {
    uint64_t producer; /* its holder, as in core.h, if there may be several */
    uint64_t terms;    /* how many there have been */
    uint64_t tail;     /* where the producer was that has left last */
    uint64_t pad1;
    struct ipc_record_term_ term[IPC_RECORD_TERMS_]; /* the n-th one at n % IPC_RECORD_TERMS_ */
    unsigned char pad2[480 - IPC_RECORD_TERMS_ * 16];
    /* Every byte below this position has been read. Written by the consumer alone. */
    uint64_t head;
    unsigned char pad3[120];
};

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_record_shared {
    /* bytes: 1; capacity: bytes for each producer; how: producers. If that is more than one, end[0]
     * and head stay 0; else they are used in the place of those of the lane. */
    struct ipc_spsc_shared s;
    /* a lane for each producer, and then capacity bytes for each */
};

IPC_RING_ASSERT_(record_lane, offsetof(struct ipc_record_lane_, head) == 512)
IPC_RING_ASSERT_(record_lane_size, sizeof(struct ipc_record_lane_) == 640)

/* The word before each record: what it is, and above that its length. 0: there is none yet. */
#define IPC_RECORD_IS_ UINT64_C(1)   /* a record, which begins behind the word */
#define IPC_RECORD_SKIP_ UINT64_C(2) /* the next one is where the memory begins */
#define IPC_RECORD_LENGTH_ 2         /* bits below the length */

IPC_INLINE struct ipc_ring_kind_ ipc_record_kind_(unsigned producers)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a ring of records; magic";
    kind.magic = IPC_RECORD_MAGIC;
    kind.header = sizeof(struct ipc_record_shared) + producers * sizeof(struct ipc_record_lane_);
    kind.stride = producers;
    return kind;
}

/* Can a ring be made for so many producers? */
IPC_INLINE int ipc_record_is_valid_how_(unsigned producers)
{
    return producers - 1 < IPC_RECORD_PRODUCERS;
}

/* ------------------------------------------------------------------ records: handles */

/* From which producer a record is, or which producer has ended: ipc_record_source. */
struct ipc_record_sender {
    uint64_t id;   /* the process, as in struct ipc_peer; ~0: without one; 0: not known any more */
    unsigned lane; /* from 0 on */
    int late;      /* a record with a higher number came before: ipc_record_merge */
};

/* Private to their thread; no field is for the caller. */
struct ipc_record_producer {
    IPC_RING_APART_(before);
    unsigned char *data; /* of our lane */
    uint64_t mask;
    uint64_t tail;    /* next position to write; the word there is 0 */
    uint64_t limit;   /* positions below are known to be free */
    uint64_t most;    /* the longest record */
    uint64_t at;      /* where the record goes that was claimed */
    uint64_t claimed; /* its length + 1; 0: nothing is claimed */
    uint64_t *head;   /* the consumer's published position in our lane */
    uint64_t *holder; /* of our lane */
    struct ipc_record_lane_ *lane;
    uint64_t *from;   /* of our term in it */
    uint64_t begun;   /* what that says while we hold the lane */
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int error; /* sticks */
    struct ipc_ring_self_ self;
    struct ipc_ring_trials_ trials;
    /* Records that are copied in and not published: the first one's position, or tail if there is
     * none, and the word that publishes it. Those behind it have their words, which nobody reaches.
     * If there are any, limit == tail, so that any other call comes to ipc_record_room_again_ first. */
    uint64_t put_off_at, put_off_word;
    uint64_t limit_then; /* what limit was */
    IPC_RING_APART_(after);
};

/* Of a consumer that merges: see record_merge.h. */
struct ipc_record_merge_ {
    int64_t (*clock)(void);
    int64_t patience; /* nanoseconds */
    int64_t ripe_at;  /* when the hold ends; 0: there is none */
    int64_t asked_at; /* for dead producers */
    uint64_t latest;  /* the highest number that was handed out */
    int late;         /* the record that was found has a lower one */
    uint64_t known;   /* a bit for each lane: the number of its next record is known */
    uint64_t number[IPC_RECORD_PRODUCERS];
    uint64_t seen[IPC_RECORD_PRODUCERS]; /* where each lane ended when the hold began */
    uint64_t ripe[IPC_RECORD_PRODUCERS]; /* records below have been held for long enough */
};

struct ipc_record_consumer {
    IPC_RING_APART_(before);
    unsigned char *data; /* of the lane that we are reading */
    uint64_t mask;
    uint64_t head;      /* next position to read */
    uint64_t published; /* what the lane's head says */
    uint64_t due;       /* when a call returns with head behind it, head is published */
    uint64_t replay;    /* head - published never exceeds it when a call returns */
    uint64_t at;        /* of the next record, if it was found: head, or where memory begins */
    uint64_t peeked;    /* how far it ends behind head; 0: it was not found yet */
    uint64_t run_start; /* where head was when this lane was last found empty */
    uint64_t *to;       /* where it is published: the lane's head; of broadcasts, NULL: nowhere */
    unsigned lane;      /* that we are reading */
    unsigned producers;
    unsigned pauses; /* ck_pr_stall()s before an empty lane is looked at again */
    int quick;       /* no error and no flags: a record at head is the next one */
    unsigned flags;  /* IPC_RECORD_TURN_ to IPC_RECORD_MERGES_ */
    int post_due;    /* published, and nobody was woken for it */
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int error;                      /* sticks */
    struct ipc_ring_self_ self;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    int ask;                        /* the kernel, which producers are dead */
    struct ipc_record_sender ended; /* flag IPC_RECORD_TOLD_: the producer whose end was reported */
    uint64_t heads[IPC_RECORD_PRODUCERS];    /* of the other lanes; each published */
    uint64_t reported[IPC_RECORD_PRODUCERS]; /* the first term of each lane whose end was not */
    uint64_t dead[IPC_RECORD_PRODUCERS];     /* a holder of each lane that was found dead, or 0 */
    struct ipc_record_merge_ merge;
    IPC_RING_APART_(after);
};

/* Flags of a consumer: what is to be done before it looks for a record. */
#define IPC_RECORD_TURN_ 1u    /* it is the turn of another lane */
#define IPC_RECORD_TOLD_ 2u    /* the last thing that the consumer was told is `ended` */
#define IPC_RECORD_WATCHES_ 4u /* nothing: waits end when a producer has ended */
#define IPC_RECORD_MERGES_ 8u  /* the lane is the one with the lowest number: record_merge.h */

/* A record, for calls that move several at a time. */
struct ipc_record {
    const void *at;
    size_t n; /* bytes */
};

IPC_INLINE int ipc_record_producer_disable_(struct ipc_record_producer *p, int rc)
{
    memset(p, 0, sizeof *p);
    ipc_ring_begin_self_(&p->self, NULL, NULL);
    return p->error = rc;
}

/* From now on each call returns this error. */
IPC_INLINE int ipc_record_fail_(struct ipc_record_consumer *c, int rc)
{
    c->quick = 0;
    return c->error = rc;
}

IPC_INLINE int ipc_record_consumer_disable_(struct ipc_record_consumer *c, int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->self, NULL, NULL);
    return ipc_record_fail_(c, rc);
}

IPC_INLINE void ipc_record_raise_(struct ipc_record_consumer *c, unsigned flag)
{
    c->flags |= flag;
    c->quick = 0;
}

/* ------------------------------------------------------------------ records: words */

IPC_FORCE_INLINE uint64_t *ipc_record_word_(unsigned char *data, uint64_t mask, uint64_t position)
{
    return (uint64_t *)(void *)(data + (size_t)(position & mask));
}

/* What a record of n bytes takes, with the word before it. */
IPC_FORCE_INLINE uint64_t ipc_record_bytes_(uint64_t n)
{
    return (n + 15) & ~UINT64_C(7);
}

/* How many bytes there are from a position until the memory ends. */
IPC_FORCE_INLINE uint64_t ipc_record_bytes_to_end_(uint64_t mask, uint64_t position)
{
    return mask + 1 - (position & mask);
}

/* How many bytes there are from a position, whose word is not 0, to the end of its record. Sets *at
 * to where that begins, behind a SKIP, and *word to its word. Returns 0 if the word is corrupt.
 * Whatever the memory says, the record ends within the memory. */
IPC_FORCE_INLINE uint64_t ipc_record_measure_(unsigned char *data, uint64_t mask, uint64_t position,
                                              uint64_t *word, uint64_t *at)
{
    uint64_t row = ipc_record_bytes_to_end_(mask, position), n;

    *at = position;
    if (CK_CC_UNLIKELY(*word == IPC_RECORD_SKIP_)) {
        *at += row;
        row = mask + 1;
        *word = ck_pr_load_64(ipc_record_word_(data, mask, *at));
    }
    n = *word >> IPC_RECORD_LENGTH_;
    if (CK_CC_UNLIKELY((*word & 3) != IPC_RECORD_IS_ || n >= row || ipc_record_bytes_(n) > row))
        return 0;
    return *at - position + ipc_record_bytes_(n);
}

/* Steps over the record at *position, which may take up to `left` bytes. 1; 0: there is none yet;
 * or -EBADMSG. */
IPC_INLINE int ipc_record_step_over_(unsigned char *data, uint64_t mask, uint64_t *position,
                                     uint64_t left)
{
    uint64_t word = ck_pr_load_64(ipc_record_word_(data, mask, *position)), at, span;

    if (word == 0)
        return 0;
    /* Without it, for a reader that joins, what follows could be older than this word, and so could
     * the mark that says that the word is none. Partners: the store fence in ipc_record_send_, the
     * second one in ipc_record_broadcast_forget_oldest_. */
    ck_pr_fence_load();
    span = ipc_record_measure_(data, mask, *position, &word, &at);
    if (span == 0 || span > left)
        return -EBADMSG;
    *position += span;
    return 1;
}

/* Steps over all records from *position on, and counts them in *count. 0, or -EBADMSG: they do not
 * end within the capacity. */
IPC_INLINE int ipc_record_walk_to_end_(unsigned char *data, uint64_t mask, uint64_t *position,
                                       uint64_t *count)
{
    uint64_t end = *position + mask + 1 - 8;
    int rc;

    if (*position % 8 != 0)
        return -EBADMSG;
    while ((rc = ipc_record_step_over_(data, mask, position, end - *position)) > 0)
        ++*count;
    return rc;
}

/* ------------------------------------------------------------------ records: lanes */

IPC_INLINE struct ipc_record_lane_ *ipc_record_lane_at_(struct ipc_record_shared *r, unsigned lane)
{
    return (struct ipc_record_lane_ *)(void *)(r + 1) + lane;
}

/* The holder of a lane. */
IPC_INLINE uint64_t *ipc_record_holder_(struct ipc_record_shared *r, unsigned producers,
                                        unsigned lane)
{
    return producers == 1 ? &r->s.end[0] : &ipc_record_lane_at_(r, lane)->producer;
}

IPC_INLINE uint64_t *ipc_record_head_(struct ipc_record_shared *r, unsigned producers,
                                      unsigned lane)
{
    return producers == 1 ? &r->s.head : &ipc_record_lane_at_(r, lane)->head;
}

/* The bytes of a lane. */
IPC_INLINE unsigned char *ipc_record_data_(struct ipc_record_shared *r, unsigned producers,
                                           unsigned lane, uint64_t mask)
{
    return (unsigned char *)r + ipc_record_kind_(producers).header + lane * (size_t)(mask + 1);
}

/* ------------------------------------------------------------------ records: publishing */

/* Notes that `position` is published, and when to publish again: after `replay` bytes, and behind
 * the middle of the memory, see the top. */
IPC_INLINE void ipc_record_note_published_(struct ipc_record_consumer *c, uint64_t position)
{
    uint64_t half = (c->mask + 1) / 2, offset = position & c->mask, most = c->replay;

    if (offset <= half && half - offset < most)
        most = half - offset;
    c->published = position;
    c->due = position + most;
}

/* Is it time to publish the position? */
IPC_FORCE_INLINE int ipc_record_is_due_(const struct ipc_record_consumer *c)
{
    return (int64_t)(c->due - c->head) < 0;
}

/* Publishes the consumer's position in its lane. */
IPC_INLINE void ipc_record_publish_(struct ipc_record_consumer *c)
{
    /* Without it the producer could overwrite a record that is still being read. Partners: the
     * acquire fences in ipc_record_producer_attach, ipc_record_find_room_ and
     * ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_release();
    ck_pr_store_64(c->to, c->head);
    ipc_record_note_published_(c, c->head);
    c->post_due = 1;
}

/* Goes to a lane, from another in which all that was read is published. */
IPC_INLINE void ipc_record_go_to_lane_(struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;

    c->heads[c->lane] = c->head;
    c->lane = lane;
    c->to = ipc_record_head_(r, c->producers, lane);
    c->data = ipc_record_data_(r, c->producers, lane, c->mask);
    c->head = c->run_start = c->heads[lane];
    ipc_record_note_published_(c, c->head);
}

/* ------------------------------------------------------------------ records: taking a lane */

/* How well a lane suits a producer: the lower, the better. See ipc_record_producer_attach. */
enum ipc_record_suits_ {
    IPC_RECORD_OURS_,    /* it has records of our own process */
    IPC_RECORD_LEFT_BEHIND_, /* it may have records of a process that has ended, or may have */
    IPC_RECORD_DRAINED_, /* it has none */
    IPC_RECORD_AWAY_,    /* it has records of a process that lives, and may come back */
    IPC_RECORD_TAKEN_
};

IPC_INLINE enum ipc_record_suits_ ipc_record_suits_(struct ipc_record_shared *r, unsigned producers,
                                                    unsigned lane, const struct ipc_peer *me)
{
    struct ipc_record_lane_ *l = ipc_record_lane_at_(r, lane);
    uint64_t holder = ck_pr_load_64(ipc_record_holder_(r, producers, lane)), terms, last;

    if (!ipc_ring_may_replace_(me, holder))
        return IPC_RECORD_TAKEN_;
    if (holder != 0)
        return IPC_RECORD_LEFT_BEHIND_;
    /* Without it `tail` could be older than what the last holder left: the new producer might
     * overtake that one, which no model looks for. Partner: ipc_ring_leave_end_. */
    ck_pr_fence_acquire(); /* no twin */
    terms = ck_pr_load_64(&l->terms);
    if (terms == 0 ||
        ck_pr_load_64(&l->tail) == ck_pr_load_64(ipc_record_head_(r, producers, lane)))
        return IPC_RECORD_DRAINED_;
    last = ck_pr_load_64(&l->term[(terms - 1) % IPC_RECORD_TERMS_].id);
    if (last == ipc_ring_id_of_(me))
        return IPC_RECORD_OURS_;
    return last == IPC_RING_ANYONE_ || me == NULL || me->alive == NULL ||
                   ipc_ring_is_dead_(me->alive, me->arg, last)
               ? IPC_RECORD_LEFT_BEHIND_
               : IPC_RECORD_AWAY_;
}

/* Takes the lane that suits best, of those that are free or whose holders are dead. Returns its
 * number, or `producers`: each was taken when it was looked at. */
IPC_INLINE unsigned ipc_record_take_best_lane_(struct ipc_record_shared *r, unsigned producers,
                                               struct ipc_peer *me)
{
    unsigned suits, lane;

    for (suits = IPC_RECORD_OURS_; suits < IPC_RECORD_TAKEN_; suits++)
        for (lane = 0; lane < producers; lane++)
            if ((unsigned)ipc_record_suits_(r, producers, lane, me) <= suits &&
                ipc_ring_take_end_(ipc_record_holder_(r, producers, lane), me,
                                   ipc_ring_id_of_(me)) == 0)
                return lane;
    return producers;
}

/* Takes the lane that suits best. Returns its number, or `producers`: every one is taken. */
IPC_INLINE unsigned ipc_record_take_lane_(struct ipc_record_shared *r, unsigned producers,
                                          struct ipc_peer *me)
{
    struct ipc_ring_scans_ scans = {0, 0};
    unsigned lane;

    do
        lane = ipc_record_take_best_lane_(r, producers, me);
    while (lane == producers &&
           ipc_ring_is_to_scan_again_(&scans, ipc_record_holder_(r, producers, 0),
                                      sizeof(struct ipc_record_lane_), producers));
    if (lane < producers)
        return lane;
    (void)ipc_ring_refuse_(me, -EBUSY, "every lane of records is taken; lanes", producers,
                           producers);
    return producers;
}

/* The holder of a lane notes that its records begin at that position. Returns where it notes that
 * it has left. */
IPC_INLINE uint64_t *ipc_record_begin_term_(struct ipc_record_lane_ *l, uint64_t id,
                                            uint64_t position)
{
    uint64_t terms = ck_pr_load_64(&l->terms);
    struct ipc_record_term_ *t = &l->term[terms % IPC_RECORD_TERMS_];

    /* Without it a consumer could read this term in the place of an old one, and then an old count
     * by which that is still remembered. Partner: the load fence in ipc_record_read_term_. */
    ck_pr_fence_release();
    ck_pr_store_64(&t->id, id);
    ck_pr_store_64(&t->from, position);
    /* Without it the term could be counted before it is there. Partner:
     * ipc_record_count_terms_. */
    ck_pr_fence_store();
    ck_pr_store_64(&l->terms, terms + 1);
    return &t->from;
}

#endif
