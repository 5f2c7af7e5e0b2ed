/*
 * MPMC, MPSC, SPMC: the word of a slot, and what becomes of holders that are slow or dead.
 *
 * The last word of a slot is the only truth about it. It has a lap (position / capacity), a state,
 * and in four of the states the name of the slot's holder and the length of the holder's run. Head
 * and tail are hints; each handle keeps a position of its own and moves on from there.
 *
 *     (L,FREE) --claim--> (L,WRITING,k) --commit--> (L,FULL) --peek--> (L,READING,c)
 *       |                      |                       |                  |      |
 *       |                      | passed over           | pop        release      | passed over
 *       |                      v                       v                  v      v
 *       '-- ... <-- (L,LATE_WRITER,k) ----------> (L+1,FREE) <------ (L+1,LATE_READER,c)
 *                        k comes back, or is dead              c comes back, or is dead
 *
 * Each lap that goes by stamps a late holder's word with its number, which is then its L.
 *
 * Every transition is a compare-and-swap on the exact word seen, but for those marked "store". So a
 * claim and the claimant's name become visible in one step, and nobody commits into another lap.
 *
 *   from              to               made by, and its fence
 *   L,FREE            L,WRITING,k      producer k; acquire after it
 *   L,FREE            L,FULL           the only producer (SPMC): release before it; store
 *   L,FREE            L,FULL           any producer that puts a message of up to 8 bytes there in
 *                                      the same step: one compare-and-swap of both, on x86-64
 *   L,WRITING,k       L,FULL           k; release before it
 *   L,WRITING,k       L,LATE_WRITER,k  any consumer, or a producer of the next lap: passed over
 *   L,READING,c       L+1,LATE_        a producer of the next lap: passed over
 *                     READER,c
 *   L,LATE_...        L+1, the same    a producer of lap L+1, which moves on after this stamp only
 *   L,FULL or AGAIN   L+1,FREE         a consumer that has copied the message: release before it;
 *                                      store where it is the only one (MPSC)
 *   L,FULL or AGAIN   L,READING,c      consumer c, that peeks or takes a run; acquire after it
 *   L,READING or      L+1,FREE         its consumer, at release; release before it
 *     LATE_READER
 *   L,WRITING or      L+1,FREE         its producer, at cancel or when its commit has failed;
 *     LATE_WRITER                      release before it
 *   L,READING or      L,AGAIN          its consumer, at detach; release before it
 *     LATE_READER
 *   a dead holder's   L+1,FREE         anyone: release before it
 *                     L,AGAIN          ... where a single message of a dead consumer is handed out
 *                                      again
 *                     L,LATE_WRITER,f  ... where it was a run, which its finder f then frees as its
 *                                      own
 *
 * A run is up to 16 slots that one claim or take covers, by the word of the first. Until its holder
 * is done nobody looks at the words of the others: the holder stores them, between two release
 * fences, before the word of the first says so. In FULL the run length is how many slots from here
 * on are FULL, at least.
 *
 * What the word tells a handle that is at a position of lap L (enum ipc_mpmc_verdict_):
 *
 *   word               to a producer    to a consumer
 *   later lap          DONE             DONE
 *   L,FREE             READY            NOT_YET
 *   L,WRITING          DONE             BLOCKED
 *   L,FULL or AGAIN    DONE             READY
 *   L,READING          DONE             DONE
 *   L,LATE_...         DONE             DONE
 *   L-1,WRITING        BLOCKED          IMPOSSIBLE
 *   L-1,READING        BLOCKED          NOT_YET
 *   L-1,LATE_...       SKIPPED          NOT_YET
 *   L-1,FULL           NOT_YET          IMPOSSIBLE
 *   L-1,AGAIN          NOT_YET          READY
 *   L-1,FREE           IMPOSSIBLE       IMPOSSIBLE
 *   earlier lap        IMPOSSIBLE       IMPOSSIBLE
 *
 * A holder that has not moved after 128 looks is passed over, if there is work behind it. It keeps
 * its slot, which is left out of that lap and of the later ones. Each later lap stamps its number
 * on the word before any producer moves on, so the slot becomes FREE for the lap after the last
 * stamp. A producer k that is stopped between claim and commit:
 *
 *   (0,WRITING,k)       k has claimed, and is stopped
 *   (0,LATE_WRITER,k)   a consumer that found messages behind k's slot has passed it over
 *   (1,LATE_WRITER,k)   a producer of lap 1 came by, left its stamp, and moved on
 *   (2,LATE_WRITER,k)   in lap 2 the same
 *   (3,FREE)            k goes on: its swap from (0,WRITING,k) fails, so nothing enters a wrong lap.
 *                       It claims another slot, copies the message there, and frees this one
 *
 * A slot's turn by its own sequence: D. Vyukov, "Bounded MPMC queue", 2010.
 */
#ifndef IPC_SRC_RING_MPMC_SLOT_H
#define IPC_SRC_RING_MPMC_SLOT_H 1

#include "copy.h"

/* ------------------------------------------------------------------ many at an end: layout */

#define IPC_MPMC_TYPE 0x636d706du                   /* "mpmc" */
#define IPC_MPMC_MAGIC UINT64_C(0x31636d706d5f6369) /* "ic_mpmc1" */
#define IPC_MPMC_SEATS 256u /* if nothing is said */

/* How a ring is made: ipc_mpmc_init. */
#define IPC_MPMC_AT_MOST_ONCE 0u  /* what a killed consumer held is lost, and counted */
#define IPC_MPMC_AT_LEAST_ONCE 1u /* what a killed consumer held is handed out again */
#define IPC_MPMC_ONE_PRODUCER 2u  /* at a time: SPMC */
#define IPC_MPMC_ONE_CONSUMER 4u  /* at a time: MPSC */
/* To be added to these: for n attached handles, of both ends together, 1 to 65,536. Each takes 32
 * bytes. */
#define IPC_MPMC_HANDLES(n) IPC_RING_HOW_MANY_(n, IPC_MPMC_SEATS)

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_mpmc_shared {
    struct ipc_ring_shared_ is; /* how: IPC_MPMC_... */
    /* Each is added to by the process that frees what a dead one has left; `again` also by a consumer
     * that gives its message back. */
    uint64_t aborted; /* claims that were never committed, in messages */
    uint64_t lost;    /* messages that died with their consumer */
    uint64_t again;   /* messages that were handed out again; consumers look for them */
    uint64_t end[2];  /* of an end for one process at a time: its holder, as in ipc_spsc_shared */
    uint64_t left[2];
    unsigned char pad1[8];
    /* Hints, stored by anyone: about where the next claim and the next message are. */
    uint64_t tail;
    unsigned char pad2[120];
    uint64_t head;
    unsigned char pad3[120];
    unsigned char data_bell[64]; /* as in struct ipc_spsc_shared */
    unsigned char space_bell[64];
    /* the seats, in whole lines; then capacity slots of ipc_ring_line_stride_(bytes) each */
};

IPC_RING_ASSERT_(mpmc_left,
                 offsetof(struct ipc_mpmc_shared, left) == offsetof(struct ipc_mpmc_shared, end) + 16)
IPC_RING_ASSERT_(mpmc_tail, offsetof(struct ipc_mpmc_shared, tail) == 128)
IPC_RING_ASSERT_(mpmc_bells, offsetof(struct ipc_mpmc_shared, data_bell) == 384)
IPC_RING_ASSERT_(mpmc_size, sizeof(struct ipc_mpmc_shared) == 512)

/* The word, from its top bit: lap (33 bits), name (24: generation, seat), run length minus one (4),
 * state (3). The table at the top of this file has all transitions. The lap may wrap: two are only
 * told apart if they are less than 2^32 laps from each other. So a handle that was not used for
 * longer may take what is ahead for what is behind it, and goes to the hint. One that was stopped
 * for longer in the middle of a call may, with a chance of one in 2^33, take a word for the one
 * that it saw. */
#define IPC_MPMC_FREE_ 0u        /* nobody has claimed it in this lap */
#define IPC_MPMC_WRITING_ 1u     /* claimed by the producer named, as the first of a run */
#define IPC_MPMC_FULL_ 2u        /* a message is there */
#define IPC_MPMC_READING_ 3u     /* taken by the consumer named; a run was copied before that */
#define IPC_MPMC_LATE_WRITER_ 4u /* its producer was passed over: the slot is not in this lap */
#define IPC_MPMC_LATE_READER_ 5u /* its consumer was passed over: the slot is not in this lap */
#define IPC_MPMC_AGAIN_ 6u       /* a message is there that a consumer had before */
#define IPC_MPMC_STATE_ UINT64_C(7)
#define IPC_MPMC_RUN_ UINT64_C(8)
#define IPC_MPMC_RUN_MAX_ 16u
#define IPC_MPMC_RUN_MASK_ (IPC_MPMC_RUN_ * (IPC_MPMC_RUN_MAX_ - 1))
#define IPC_MPMC_NAME_ (UINT64_C(1) << 7)
#define IPC_MPMC_LAP_ (UINT64_C(1) << 31)

#define IPC_MPMC_SHORT_ 8u     /* bytes; a message of up to that is in the 8 before the word */
#define IPC_MPMC_LOOKS_ 128u   /* looks at a holder in the way, before it is passed over */
#define IPC_MPMC_PREFETCH_ 16u /* how many slots ahead lines are asked for */
/* Looks at an impossible word, before the ring is called corrupt. Such a word may only be old: a
 * handle that skipped a run, or laps, did not look at the slots in between. */
#define IPC_MPMC_IMPOSSIBLE_LOOKS_ 1000
#define IPC_MPMC_PUBLISH_ 16u /* positions between two stores of a hint */
/* How often a call begins again, when another was first at its slot each time. Each time another
 * call has got through, or memory is hostile. */
#define IPC_MPMC_TRIES_ 64u
/* At every such meeting with a late holder's slot, a producer asks the kernel whether the holder is
 * dead: asking takes as long as some hundred messages. A handle that finds nothing to do asks
 * sooner: ipc_mpmc_found_nothing_. */
#define IPC_MPMC_ASK_AFTER_ 4096u

IPC_FORCE_INLINE unsigned ipc_mpmc_state_(uint64_t word)
{
    return (unsigned)(word & IPC_MPMC_STATE_);
}

IPC_FORCE_INLINE unsigned ipc_mpmc_run_length_(uint64_t word)
{
    return (unsigned)(word / IPC_MPMC_RUN_ % IPC_MPMC_RUN_MAX_) + 1;
}

/* How many positions a handle that moves on has to skip. Behind the first slot of a claimed run the
 * other words say nothing, so they are skipped with it. That holds also where the word is of a
 * later lap: the run could only be claimed there when all its slots were done with. */
IPC_FORCE_INLINE unsigned ipc_mpmc_positions_of_(uint64_t word)
{
    unsigned state = ipc_mpmc_state_(word);

    return state == IPC_MPMC_FREE_ || state == IPC_MPMC_FULL_ ? 1 : ipc_mpmc_run_length_(word);
}

/* What was lost with dead processes, or handed out again, since init, as far as it was found; too much
 * by what a process had counted that was killed while it freed a run of a dead one. */
struct ipc_mpmc_losses {
    uint64_t aborted; /* messages that were claimed and never committed */
    uint64_t lost;    /* messages that died with the consumer that had peeked them */
    uint64_t again;   /* messages that were handed out again: of dead consumers, and of those that
                         detached with one in hand */
};

IPC_INLINE int ipc_mpmc_is_valid_how_(unsigned how)
{
    unsigned ends = IPC_MPMC_ONE_PRODUCER | IPC_MPMC_ONE_CONSUMER;

    return (how & 255) <= (IPC_MPMC_AT_LEAST_ONCE | ends) && (how & ends) != ends &&
           ipc_ring_are_seats_valid_(ipc_ring_seats_of_(how, IPC_MPMC_SEATS));
}

IPC_INLINE struct ipc_ring_kind_ ipc_mpmc_kind_(size_t bytes, unsigned how)
{
    size_t seats = ((size_t)ipc_ring_seats_of_(how, IPC_MPMC_SEATS) + 1) & ~(size_t)1;
    struct ipc_ring_kind_ kind;

    kind.name = "not an MPMC ring; magic";
    kind.magic = IPC_MPMC_MAGIC;
    kind.header = sizeof(struct ipc_mpmc_shared) + seats * sizeof(struct ipc_ring_seat_);
    kind.stride = ipc_ring_line_stride_(bytes);
    return kind;
}

/* ------------------------------------------------------------------ handles */

/* What both ends have. Private to their thread; no field is for the caller. */
struct ipc_mpmc {
    IPC_RING_APART_(before);
    unsigned char *slots;
    uint64_t mask;
    unsigned shift;         /* position >> shift is its lap */
    unsigned looks;         /* at the blocker, so far */
    uint64_t blocker;       /* the word of the holder that is in the way */
    uint64_t next;          /* position to try; private, as the hint of this end is not */
    uint64_t published;     /* what we last stored as a hint */
    uint64_t ready;         /* positions below are known to be READY for this end */
    uint64_t name;          /* our generation and seat, where they stand in a word */
    uint64_t held_word;     /* the word of the slot that we hold */
    uint64_t held_position; /* its position */
    int claimed;            /* 1: we hold a slot */
    uint64_t bytes;
    struct ipc_mpmc_shared *ring;
    struct ipc_ring_seat_ *seat; /* ours */
    uint64_t *end; /* ring->end[...], if this end is for one process at a time; or NULL */
    uint64_t id;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    uint32_t how;
    int idle;             /* the last look found nothing */
    uint64_t misses;      /* calls that found nothing, since the last recovery */
    unsigned pauses;      /* ck_pr_stall()s before the next look */
    unsigned holders_met; /* slots of late holders that we came by */
    unsigned contended;   /* hints to publish at once, since others were first */
    int error;            /* sticks */
    struct ipc_ring_self_ self;
    struct ipc_ring_seat_ *seats;
    unsigned seats_count;
    IPC_RING_APART_(after);
};

struct ipc_mpmc_producer {
    struct ipc_mpmc m;
    struct ipc_ring_trials_ trials;
    IPC_RING_APART_(after);
};

struct ipc_mpmc_consumer {
    struct ipc_mpmc m;
    uint64_t again_seen; /* ring->again when we looked for it */
};

/* Is the handle this process's own, also after a fork? Else m->error says why not. */
IPC_FORCE_INLINE int ipc_mpmc_is_ours_(struct ipc_mpmc *m)
{
    return CK_CC_LIKELY(!ipc_ring_is_forked_(&m->self)) || ipc_ring_settle_(&m->self, m) >= 0;
}

/* The word that says FREE in the lap of a position. */
IPC_FORCE_INLINE uint64_t ipc_mpmc_free_word_(const struct ipc_mpmc *m, uint64_t position)
{
    return (position >> m->shift) * IPC_MPMC_LAP_;
}

/* The position of that word, which is of the same slot as position p: near p, as laps may wrap. */
IPC_INLINE uint64_t ipc_mpmc_position_of_(const struct ipc_mpmc *m, uint64_t p, uint64_t word)
{
    int64_t ahead = (int64_t)((word & ~(IPC_MPMC_LAP_ - 1)) - ipc_mpmc_free_word_(m, p));

    return p + ((uint64_t)(ahead / (int64_t)IPC_MPMC_LAP_) << m->shift);
}

IPC_FORCE_INLINE unsigned char *ipc_mpmc_slot_(const struct ipc_mpmc *m, uint64_t position,
                                               size_t stride)
{
    return ipc_ring_slot_(m->slots, m->mask, position, stride);
}

IPC_FORCE_INLINE uint64_t *ipc_mpmc_word_(const struct ipc_mpmc *m, uint64_t position,
                                          size_t stride)
{
    return ipc_ring_sequence_(ipc_mpmc_slot_(m, position, stride), stride);
}

/* Where the message of that slot is: a short one beside the word, see ipc_mpmc_push_short_. */
IPC_FORCE_INLINE unsigned char *ipc_mpmc_message_(const struct ipc_mpmc *m, uint64_t position,
                                                  size_t bytes)
{
    size_t stride = ipc_ring_line_stride_(bytes);

    return ipc_mpmc_slot_(m, position, stride) +
           (bytes <= IPC_MPMC_SHORT_ ? stride - sizeof(uint64_t) - IPC_MPMC_SHORT_ : 0);
}

/* What the word of a slot tells a handle: see the second table at the top of this file. */
enum ipc_mpmc_verdict_ {
    IPC_MPMC_READY_,     /* nobody holds the slot, and it is what this end looks for */
    IPC_MPMC_DONE_,      /* others were here: move on */
    IPC_MPMC_BLOCKED_,   /* a holder is in the way; it may be passed over */
    IPC_MPMC_SKIPPED_,   /* a holder was passed over: the producer stamps this lap and moves on */
    IPC_MPMC_NOT_YET_,   /* the other end has to act first: the ring is full, or empty */
    IPC_MPMC_IMPOSSIBLE_ /* no slot can say this here, unless what we read is old */
};

/* What a producer at that position does about the word. */
IPC_FORCE_INLINE enum ipc_mpmc_verdict_
ipc_mpmc_judge_for_producer_(const struct ipc_mpmc *m, uint64_t position, uint64_t word)
{
    uint64_t lap = ipc_mpmc_free_word_(m, position);
    int64_t ahead = (int64_t)((word & ~(IPC_MPMC_LAP_ - 1)) - lap);

    if (word == lap)
        return IPC_MPMC_READY_;
    if (ahead >= 0)
        return IPC_MPMC_DONE_;
    if (ahead != -(int64_t)IPC_MPMC_LAP_)
        return IPC_MPMC_IMPOSSIBLE_;
    switch (ipc_mpmc_state_(word)) {
    case IPC_MPMC_WRITING_:
    case IPC_MPMC_READING_:
        return IPC_MPMC_BLOCKED_;
    case IPC_MPMC_LATE_WRITER_:
    case IPC_MPMC_LATE_READER_:
        return IPC_MPMC_SKIPPED_;
    case IPC_MPMC_FREE_:
        return IPC_MPMC_IMPOSSIBLE_;
    default:
        return IPC_MPMC_NOT_YET_;
    }
}

/* What a consumer at that position does about the word. */
IPC_FORCE_INLINE enum ipc_mpmc_verdict_
ipc_mpmc_judge_for_consumer_(const struct ipc_mpmc *m, uint64_t position, uint64_t word)
{
    int64_t ahead = (int64_t)((word & ~(IPC_MPMC_LAP_ - 1)) - ipc_mpmc_free_word_(m, position));
    unsigned state = ipc_mpmc_state_(word);

    if (ahead == 0 && (state == IPC_MPMC_FULL_ || state == IPC_MPMC_AGAIN_))
        return IPC_MPMC_READY_;
    if (ahead > 0)
        return IPC_MPMC_DONE_;
    if (ahead == 0 && state == IPC_MPMC_FREE_)
        return IPC_MPMC_NOT_YET_;
    if (ahead == 0)
        return state == IPC_MPMC_WRITING_ ? IPC_MPMC_BLOCKED_ : IPC_MPMC_DONE_;
    if (ahead != -(int64_t)IPC_MPMC_LAP_)
        return IPC_MPMC_IMPOSSIBLE_;
    switch (state) {
    case IPC_MPMC_AGAIN_:
        return IPC_MPMC_READY_;
    case IPC_MPMC_READING_:
    case IPC_MPMC_LATE_WRITER_:
    case IPC_MPMC_LATE_READER_:
        return IPC_MPMC_NOT_YET_;
    default:
        return IPC_MPMC_IMPOSSIBLE_;
    }
}

/* A search for a slot of this end, by one call. All that it looks at counts, so that the call ends
 * whatever memory says. */
struct ipc_mpmc_search_ {
    uint64_t looks_left; /* at slots */
    uint64_t ready_at;   /* where it saw a slot that is READY, if that is beyond its position */
    unsigned passed;     /* holders that it has passed over */
};

IPC_INLINE struct ipc_mpmc_search_ ipc_mpmc_search_from_(const struct ipc_mpmc *m)
{
    struct ipc_mpmc_search_ search;

    search.looks_left = 2 * m->mask + 4096;
    search.ready_at = m->next;
    search.passed = 0;
    return search;
}

IPC_FORCE_INLINE enum ipc_mpmc_verdict_ ipc_mpmc_judge_(const struct ipc_mpmc *m, uint64_t position,
                                                        uint64_t word, int producer)
{
    return producer ? ipc_mpmc_judge_for_producer_(m, position, word)
                    : ipc_mpmc_judge_for_consumer_(m, position, word);
}

/* Is there a slot that is READY for this end behind the holder at p, within a lap? Skips what
 * others hold or are done with, as ipc_mpmc_find_next_ and ipc_mpmc_claim_run_ would. */
IPC_INLINE int ipc_mpmc_is_work_behind_(const struct ipc_mpmc *m, uint64_t p, uint64_t word,
                                        size_t stride, int producer,
                                        struct ipc_mpmc_search_ *search)
{
    uint64_t end = p + m->mask + 1;
    enum ipc_mpmc_verdict_ verdict;

    if ((int64_t)(search->ready_at - p) > 0 &&
        ipc_mpmc_judge_(m, search->ready_at,
                        ck_pr_load_64(ipc_mpmc_word_(m, search->ready_at, stride)),
                        producer) == IPC_MPMC_READY_)
        return 1;
    for (p += ipc_mpmc_positions_of_(word); (int64_t)(end - p) > 0;
         p += ipc_mpmc_positions_of_(word)) {
        search->looks_left -= search->looks_left > 0;
        word = ck_pr_load_64(ipc_mpmc_word_(m, p, stride));
        verdict = ipc_mpmc_judge_(m, p, word, producer);
        if (verdict == IPC_MPMC_READY_) {
            search->ready_at = p;
            return 1;
        }
        if (verdict == IPC_MPMC_NOT_YET_ || verdict == IPC_MPMC_IMPOSSIBLE_)
            return 0;
    }
    return 0;
}

/* ------------------------------------------------------------------ slow holders, dead holders */

/* The seat that a word names. A word that is corrupt may name any. */
IPC_INLINE struct ipc_ring_seat_ *ipc_mpmc_seat_of_(const struct ipc_mpmc *m, uint64_t word)
{
    uint64_t seat = word / IPC_MPMC_NAME_ % IPC_RING_SEATS_MAX;

    return &m->seats[seat < m->seats_count ? seat : 0];
}

/* Is the process named in this word dead? The word was read before the call. */
IPC_INLINE int ipc_mpmc_is_holder_dead_(struct ipc_mpmc *m, uint64_t word)
{
    const struct ipc_ring_seat_ *seat = ipc_mpmc_seat_of_(m, word);
    uint64_t generation;

    /* Without it the seat could be older than the word. Partner: in ipc_mpmc_take_seat_. The seat
     * may be newer than the word: then it says that the named process has left, or, for a moment,
     * that a successor is the one that the word names. */
    ck_pr_fence_load();
    generation = ck_pr_load_64(&seat->generation);
    if (generation % 256 != word / IPC_MPMC_NAME_ / IPC_RING_SEATS_MAX % 256)
        return 1; /* another process has the seat now */
    return ipc_ring_is_named_dead_(m->alive, m->arg, seat);
}

/* Frees a slot or run that we hold, for the lap after the last that was stamped on it. Gives up
 * where only hostile memory can keep it: the slot then stays out of use. */
IPC_INLINE void ipc_mpmc_free_own_(struct ipc_mpmc *m, uint64_t position, unsigned run,
                                   size_t stride)
{
    uint64_t *at = ipc_mpmc_word_(m, position, stride), word, lap;
    unsigned tries, i;

    /* The swap fails if a producer has stamped the word meanwhile, which happens once a lap. */
    for (tries = 0; tries < 2 * IPC_MPMC_TRIES_; tries++) {
        word = ck_pr_load_64(at);
        lap = word / IPC_MPMC_LAP_;
        position = (lap << m->shift) + (position & m->mask);
        for (i = 1; i < run; i++)
            ck_pr_store_64(ipc_mpmc_word_(m, position + i, stride),
                           ipc_mpmc_free_word_(m, position + i) + IPC_MPMC_LAP_);
        /* Without it a producer could write while we read, or find the rest of the run as it was.
         * Partner: the acquire fence in ipc_mpmc_claim_run_. */
        ck_pr_fence_release();
        if (ck_pr_cas_64(at, word, (lap + 1) * IPC_MPMC_LAP_))
            return;
    }
}

/* Frees what the dead holder that the word names had. Returns 1 when something changed. */
IPC_INLINE int ipc_mpmc_free_dead_holder_(struct ipc_mpmc *m, uint64_t position, uint64_t word,
                                          size_t stride)
{
    uint64_t *at = ipc_mpmc_word_(m, position, stride), lap = word & ~(IPC_MPMC_LAP_ - 1), then;
    unsigned state = ipc_mpmc_state_(word), run = ipc_mpmc_run_length_(word);
    int read = state == IPC_MPMC_READING_ || state == IPC_MPMC_LATE_READER_;
    uint64_t *count = read ? &m->ring->lost : &m->ring->aborted;

    if (read && run == 1 && (m->how & IPC_MPMC_AT_LEAST_ONCE) != 0) {
        then = lap + IPC_MPMC_AGAIN_;
        count = &m->ring->again;
    } else if (run == 1) {
        then = lap + IPC_MPMC_LAP_;
    } else {
        then = lap + m->name + (run - 1) * IPC_MPMC_RUN_ + IPC_MPMC_LATE_WRITER_;
    }
    /* Without it the next holder could write while the dead one, as the kernel orders it, still
     * reads or writes. Partners: the fences after a claim and a take. */
    ck_pr_fence_release();
    if (!ck_pr_cas_64(at, word, then))
        return 0;
    /* Without it, where stores come out of order, the count could be seen before AGAIN, and no
     * consumer would look for the message any more. Partner: in ipc_mpmc_find_message_. */
    ck_pr_fence_release();
    (void)ck_pr_faa_64(count, run);
    if (ipc_mpmc_state_(then) == IPC_MPMC_LATE_WRITER_)
        ipc_mpmc_free_own_(m, position, run, stride);
    return 1;
}

/* Looks at every slot and frees what dead processes, or only the process `id`, have left. Returns
 * how many slots or runs. */
IPC_INLINE int64_t ipc_mpmc_recover_(struct ipc_mpmc *m, uint64_t id)
{
    size_t stride = ipc_ring_line_stride_((size_t)m->bytes);
    int64_t found = 0;
    uint64_t i;

    for (i = 0; m->ring != NULL && i <= m->mask; i++) {
        uint64_t word = ck_pr_load_64(ipc_mpmc_word_(m, i, stride));
        unsigned state = ipc_mpmc_state_(word);

        if (state == IPC_MPMC_FREE_ || state == IPC_MPMC_FULL_ || state >= IPC_MPMC_AGAIN_ ||
            (id != 0 && ck_pr_load_64(&ipc_mpmc_seat_of_(m, word)->id) != id) ||
            !ipc_mpmc_is_holder_dead_(m, word))
            continue;
        found += ipc_mpmc_free_dead_holder_(m, i, word, stride);
    }
    return found;
}

/* As ipc_mpmc_producer_recover. A child of a fork may not free a run by the name of its parent: if it
 * were killed in there, that run would be out of use for as long as its parent lives. */
IPC_INLINE int64_t ipc_mpmc_recover_if_ours_(struct ipc_mpmc *m, uint64_t id)
{
    if (!ipc_mpmc_is_ours_(m) || m->error == -ECHILD)
        return m->error;
    return ipc_mpmc_recover_(m, id);
}

/* A holder is in the way: counts a look at it. Is it to be passed over now? If not, pauses. A call
 * waits for one holder only, so that many in a row do not add up. It passes over no more holders
 * than there can be, unless memory is hostile. */
IPC_INLINE int ipc_mpmc_look_again_(struct ipc_mpmc *m, uint64_t word,
                                    struct ipc_mpmc_search_ *search)
{
    if (word != m->blocker) {
        m->blocker = word;
        m->looks = search->passed > 0 ? IPC_MPMC_LOOKS_ : 0;
    }
    if (search->passed == 2 * m->seats_count)
        search->looks_left = 0;
    if (m->looks == IPC_MPMC_LOOKS_)
        return search->passed++ < 2 * m->seats_count;
    m->looks++;
    ck_pr_stall();
    return 0;
}

/* Frees the slot if its holder is dead; else leaves it out of this lap. */
IPC_INLINE void ipc_mpmc_pass_over_(struct ipc_mpmc *m, uint64_t position, uint64_t word,
                                    size_t stride)
{
    uint64_t to = word + (IPC_MPMC_LATE_WRITER_ - IPC_MPMC_WRITING_);

    if (ipc_mpmc_state_(word) == IPC_MPMC_READING_)
        to = word + IPC_MPMC_LAP_ + (IPC_MPMC_LATE_READER_ - IPC_MPMC_READING_);
    if (ipc_mpmc_is_holder_dead_(m, word))
        (void)ipc_mpmc_free_dead_holder_(m, position, word, stride);
    else
        (void)ck_pr_cas_64(ipc_mpmc_word_(m, position, stride), word, to);
}

/* Moves m->next to the hint, if that is further. */
IPC_INLINE void ipc_mpmc_go_to_hint_(struct ipc_mpmc *m, const uint64_t *hint)
{
    uint64_t there = ck_pr_load_64(hint);

    if ((int64_t)(there - m->next) > 0)
        m->next = there;
}

/* Others were first at position p, as its word says: moves m->next on. If the word is laps ahead,
 * producers have left this slot behind in the lap before that one, and consumers are at most one
 * lap behind the producers. The first time in a call, the hint may be further still. */
IPC_INLINE void ipc_mpmc_move_on_(struct ipc_mpmc *m, uint64_t p, uint64_t word,
                                  const uint64_t *hint, int *asked)
{
    uint64_t laps = (word - ipc_mpmc_free_word_(m, p)) / IPC_MPMC_LAP_;

    m->next = p + (laps > 2 ? (laps - 2) << m->shift : 0) + ipc_mpmc_positions_of_(word);
    if (!*asked) {
        *asked = 1;
        m->contended = 64;
        ipc_mpmc_go_to_hint_(m, hint);
    }
    /* Without it the slots that we come to could be older than the word or hint that sent us there,
     * and look corrupt. Partners: the release fences before a hint is stored and before a slot is
     * FREE. */
    ck_pr_fence_load();
}

/* Publishes as a hint how far we are: each time while others contend for this end, else once every
 * IPC_MPMC_PUBLISH_ positions. */
IPC_FORCE_INLINE void ipc_mpmc_publish_hint_(struct ipc_mpmc *m, uint64_t *hint)
{
    if (m->contended > 0 || m->next - m->published >= IPC_MPMC_PUBLISH_) {
        m->contended -= m->contended > 0;
        m->published = m->next;
        ck_pr_fence_release(); /* partner: in ipc_mpmc_move_on_ */
        ck_pr_store_64(hint, m->next);
    }
}

/* ------------------------------------------------------------------ looking ahead */

IPC_FORCE_INLINE void ipc_mpmc_prefetch_(const struct ipc_mpmc *m, uint64_t position, size_t stride)
{
    size_t i;

    for (i = 0; i < stride; i += IPC_RING_LINE)
        ck_pr_rfo(ipc_mpmc_slot_(m, position, stride) + i);
}

/* How many slots from that position on are in the state that this end waits for, at least; 0: that
 * one is not. */
IPC_FORCE_INLINE unsigned ipc_mpmc_count_ready_(const struct ipc_mpmc *m, uint64_t position,
                                                size_t stride, uint64_t state)
{
    uint64_t word = ck_pr_load_64(ipc_mpmc_word_(m, position, stride));

    return (word & ~IPC_MPMC_RUN_MASK_) == ipc_mpmc_free_word_(m, position) + state
               ? ipc_mpmc_run_length_(word)
               : 0;
}

/* The known run is used up: looks how far the slots from m->next on are in the state that this end
 * waits for, as ipc_spsc_look_ahead_ does, and asks for their lines with write intent. It does not
 * ask for lines beyond: the other end works on those, or will before we get there. */
IPC_INLINE void ipc_mpmc_look_ahead_(struct ipc_mpmc *m, size_t stride, uint64_t state)
{
    uint64_t ahead = m->mask + 1 < IPC_RING_AHEAD_ ? m->mask + 1 : IPC_RING_AHEAD_, i;
    unsigned run = ipc_mpmc_count_ready_(m, m->next, stride, state);

    if (m->idle) {
        m->idle = 0; /* likely a lone message or run: touch no other line */
        ahead = run + (run == 0);
    } else if (!ipc_mpmc_count_ready_(m, m->next + ahead - 1, stride, state)) {
        ipc_ring_hold_back_(m->pauses);
        while (ahead > run && !ipc_mpmc_count_ready_(m, m->next + ahead - 1, stride, state))
            ahead /= 2;
        ahead = ahead > run ? ahead : run + (run == 0);
        ipc_ring_adapt_pauses_(&m->pauses, ahead != 1, IPC_RING_PAUSES_);
    }
    m->ready = m->next + ahead;
    for (i = 0; i < ahead && i < IPC_MPMC_PREFETCH_; i++)
        ipc_mpmc_prefetch_(m, m->next + i, stride);
}

/* Before an operation at position p: looks ahead if p is not known to be ready, else prefetches. */
IPC_FORCE_INLINE void ipc_mpmc_prepare_(struct ipc_mpmc *m, uint64_t p, size_t stride,
                                        uint64_t state)
{
    if (CK_CC_UNLIKELY((int64_t)(p - m->ready) >= 0))
        ipc_mpmc_look_ahead_(m, stride, state);
    else if ((int64_t)(m->ready - p) > (int64_t)IPC_MPMC_PREFETCH_)
        ipc_mpmc_prefetch_(m, p + IPC_MPMC_PREFETCH_, stride);
}

/* There is nothing to do at this end. Now and then, for a small part of the time that such calls
 * take, frees what dead processes have left where nobody comes by. Returns rc. */
IPC_INLINE int ipc_mpmc_found_nothing_(struct ipc_mpmc *m, int rc)
{
    m->idle = 1;
    m->pauses = 0;
    m->ready = m->next;
    if (rc == -EAGAIN && ++m->misses > 16 * (m->mask + 256)) {
        m->misses = 0;
        (void)ipc_mpmc_recover_(m, 0);
    }
    return rc;
}

/* Sends a message of up to 8 bytes at the next position, if that is free, by one compare-and-swap
 * of the message and its word: nobody ever holds the slot. For longer messages, and on other
 * processors, claim and commit take one each. 0: the slot is not free, or another producer was
 * first. */
IPC_FORCE_INLINE int ipc_mpmc_push_short_(struct ipc_mpmc *m, const void *message, size_t bytes)
{
#if defined(__x86_64__) && defined(CK_F_PR_CAS_64_2)
    size_t stride = ipc_ring_line_stride_(bytes);
    uint64_t p = m->next, *word = ipc_mpmc_word_(m, p, stride), from[2], to[2] = {0, 0};

    if (bytes > IPC_MPMC_SHORT_ || CK_CC_UNLIKELY((m->error | m->claimed) != 0))
        return 0;
    ipc_mpmc_prepare_(m, p, stride, IPC_MPMC_FREE_);
    from[0] = ck_pr_load_64(word - 1);
    from[1] = ipc_mpmc_free_word_(m, p);
    memcpy(to, message, bytes < sizeof *to ? bytes : sizeof *to); /* as gcc looks ahead of the check */
    to[1] = from[1] + IPC_MPMC_FULL_;
    if (CK_CC_UNLIKELY(ck_pr_load_64(word) != from[1] || !ck_pr_cas_64_2(word - 1, from, to)))
        return 0;
    m->next = p + 1;
    ipc_mpmc_publish_hint_(m, &m->ring->tail);
    return 1;
#else
    (void)m, (void)message, (void)bytes;
    return 0;
#endif
}

/* ------------------------------------------------------------------ what an end can tell */

/* How many positions are between two hints, at least 0 and at most the capacity. */
IPC_INLINE uint64_t ipc_mpmc_was_size_(const struct ipc_mpmc *m, uint64_t tail, uint64_t head)
{
    int64_t size = (int64_t)(tail - head);

    if (size < 0)
        return 0;
    return (uint64_t)size < m->mask + 1 ? (uint64_t)size : m->mask + 1;
}

/* The further of a hint and the position that a handle at that end has come to. */
IPC_INLINE uint64_t ipc_mpmc_further_(const struct ipc_mpmc *m, const uint64_t *hint)
{
    uint64_t there = ck_pr_load_64(hint);

    return (int64_t)(there - m->next) > 0 ? there : m->next;
}

IPC_INLINE struct ipc_mpmc_losses ipc_mpmc_losses_(const struct ipc_mpmc *m)
{
    struct ipc_mpmc_losses l = {0, 0, 0};

    if (m->ring != NULL) {
        l.aborted = ck_pr_load_64(&m->ring->aborted);
        l.lost = ck_pr_load_64(&m->ring->lost);
        l.again = ck_pr_load_64(&m->ring->again);
    }
    return l;
}

/* Copies a message into the slot of a position, which is ours. */
IPC_FORCE_INLINE void ipc_mpmc_put_(struct ipc_mpmc_producer *h, uint64_t position,
                                    const void *message, size_t bytes)
{
    ipc_ring_put_words_(&h->trials, ipc_mpmc_message_(&h->m, position, bytes), message, bytes);
}

/* Copies a run of messages into the slots from p on, which are ours, with one fence for all. Those
 * of a late consumer, if it is still reading, were taken by compare-and-swap since: its own fails. */
IPC_FORCE_INLINE void ipc_mpmc_put_run_(struct ipc_mpmc_producer *h, uint64_t p,
                                        const unsigned char *from, size_t bytes, unsigned run)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    struct ipc_mpmc *m = &h->m;
    int due = 0;

    for (; run > 0; run--, p++, from += bytes) {
        if ((int64_t)(m->ready - p) > (int64_t)IPC_MPMC_PREFETCH_ &&
            (!IPC_RING_IS_PUT_OFF_(bytes) || h->trials.way != IPC_RING_PAST_))
            ipc_mpmc_prefetch_(m, p + IPC_MPMC_PREFETCH_, stride);
        if (!IPC_RING_IS_PUT_OFF_(bytes))
            ipc_mpmc_put_(h, p, from, bytes);
        else
            due |= ipc_ring_copy_unsettled_(&h->trials, ipc_mpmc_slot_(m, p, stride), from, bytes);
    }
    if (due)
        ipc_ring_settle_copies_();
}

#endif
