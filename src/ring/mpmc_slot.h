/* Many at an end: what the word of a slot says, and what becomes of those who are slow or dead. */
#ifndef IPC_SRC_RING_MPMC_SLOT_H
#define IPC_SRC_RING_MPMC_SLOT_H 1

#include "copy.h"

/* ------------------------------------------------------------------ many at an end: layout */

#define IPC_MPMC_TYPE 0x636d706du                   /* "mpmc" */
#define IPC_MPMC_MAGIC UINT64_C(0x31636d706d5f6369) /* "ic_mpmc1" */
#define IPC_MPMC_ABI 2u
#define IPC_MPMC_SEATS 256u

/* How a ring is made: ipc_mpmc_init. */
#define IPC_MPMC_AT_MOST_ONCE                                                                      \
    0u                            /* what a consumer held when it was killed is lost, and counted  \
                                   */
#define IPC_MPMC_AT_LEAST_ONCE 1u /* ... is handed out again */
#define IPC_MPMC_ONE_PRODUCER 2u  /* at a time: SPMC */
#define IPC_MPMC_ONE_CONSUMER 4u  /* MPSC */

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_mpmc_shared {
    struct ipc_ring_shared_ is; /* its how: IPC_MPMC_... */
    /* Added to by whoever frees what the dead have left. */
    uint64_t aborted; /* claims that were never committed, in messages */
    uint64_t lost;    /* messages that died with their consumer */
    uint64_t again;   /* messages that were handed out again; consumers look for them */
    uint64_t end[2];  /* where one is all: who holds it, as in struct ipc_spsc_shared */
    unsigned char pad1[24];
    /* Hints: about where the next claim and the next message are. Stored by anyone; the slots say
     * the truth. */
    uint64_t tail;
    unsigned char pad2[120];
    uint64_t head;
    unsigned char pad3[120];
    unsigned char data_bell[64]; /* as in struct ipc_spsc_shared */
    unsigned char space_bell[64];
    struct ipc_ring_seat_ seat[IPC_MPMC_SEATS];
    /* capacity slots of ipc_ring_line_stride_(bytes) each */
};

IPC_RING_ASSERT_(mpmc_tail, offsetof(struct ipc_mpmc_shared, tail) == 128)
IPC_RING_ASSERT_(mpmc_bells, offsetof(struct ipc_mpmc_shared, data_bell) == 384)
IPC_RING_ASSERT_(mpmc_size, sizeof(struct ipc_mpmc_shared) == 512 + 16 * IPC_MPMC_SEATS)

/* The last word of a slot says all about it: lap (41 bits), name (16: generation, seat), slots of
 * the run - 1 (4), state (3). Of a FULL one the run is of how many are FULL from there on, at
 * least. */
#define IPC_MPMC_FREE_ 0u    /* nobody has claimed it in this lap */
#define IPC_MPMC_WRITING_ 1u /* claimed by the producer named, as the first of a run */
#define IPC_MPMC_FULL_ 2u    /* a message is there */
#define IPC_MPMC_READING_ 3u /* taken by the consumer named; a run was copied before that */
#define IPC_MPMC_HELD_ 4u    /* was WRITING when it was passed over: not part of this lap */
#define IPC_MPMC_KEPT_ 5u    /* was READING */
#define IPC_MPMC_AGAIN_ 6u   /* a message is there that a consumer had before */
#define IPC_MPMC_STATE_ UINT64_C(7)
#define IPC_MPMC_RUN_ UINT64_C(8)
#define IPC_MPMC_RUN_MAX_ 16u
#define IPC_MPMC_RUNS_ (IPC_MPMC_RUN_ * (IPC_MPMC_RUN_MAX_ - 1))
#define IPC_MPMC_NAME_ (UINT64_C(1) << 7)
#define IPC_MPMC_LAP_ (UINT64_C(1) << 23)

#define IPC_MPMC_LOOKS_ 128u   /* looks at who is in the way, before it is passed over */
#define IPC_MPMC_PREFETCH_ 16u /* slots ahead of which lines are asked for */
/* Looks at a word that cannot be, before it is called corrupt: it may be old, where those of a run
 * that was held, or of laps, were skipped without a look. */
#define IPC_MPMC_IMPOSSIBLE_LOOKS_ 1000
#define IPC_MPMC_PUBLISH_ 16u /* positions between two stores of a hint */
/* How often a call begins again, because another was first at its slot each time. In each turn
 * another has got through, or memory is hostile. */
#define IPC_MPMC_TRIES_ 64u
/* Meetings with slots that others keep, before one asks the kernel whether he who does is dead:
 * that takes as long as some hundred messages. Who looks in vain asks sooner:
 * ipc_mpmc_found_nothing_. */
#define IPC_MPMC_ASK_AFTER_ 4096u

IPC_FORCE_INLINE unsigned ipc_mpmc_state_(uint64_t word)
{
    return (unsigned)(word & IPC_MPMC_STATE_);
}

IPC_FORCE_INLINE unsigned ipc_mpmc_run_length_(uint64_t word)
{
    return (unsigned)(word / IPC_MPMC_RUN_ % IPC_MPMC_RUN_MAX_) + 1;
}

/* How many positions this one is about, for those who go on. Nobody looks at the others of a run
 * that someone works on, whose words say nothing, also if it is in a later lap by now: it could
 * only be claimed there when they were all done with. */
IPC_FORCE_INLINE unsigned ipc_mpmc_positions_of_(uint64_t word)
{
    unsigned state = ipc_mpmc_state_(word);

    return state == IPC_MPMC_FREE_ || state == IPC_MPMC_FULL_ ? 1 : ipc_mpmc_run_length_(word);
}

/* ------------------------------------------------------------------ handles */

/* What both ends have. Private to their thread; no field is for the caller. */
struct ipc_mpmc {
    unsigned char *slots;
    uint64_t mask;
    unsigned shift;         /* position >> shift is its lap */
    unsigned looks;         /* at what is in stuck */
    uint64_t blocker;       /* who is in the way */
    uint64_t next;          /* position to try; private, as the hint of this end is not */
    uint64_t published;     /* what we last stored as a hint */
    uint64_t ready;         /* positions below are known to be for us */
    uint64_t me;            /* name, where it is in a word */
    uint64_t held_word;     /* the word of the slot that we hold */
    uint64_t held_position; /* its position */
    int claimed;            /* 1: we hold it */
    uint64_t bytes;
    struct ipc_mpmc_shared *ring;
    struct ipc_ring_seat_ *seat;
    uint64_t *end; /* where we are the only one, who is; or NULL */
    uint64_t id;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    uint32_t how;
    int idle;             /* the last look found nothing */
    uint64_t misses;      /* calls that found nothing, since we last recovered */
    unsigned pauses;      /* ck_pr_stall()s before the next look */
    unsigned holders_met; /* slots that others hold */
    unsigned contended;   /* others were first not long ago */
    int error;            /* sticks */
};

struct ipc_mpmc_producer {
    struct ipc_mpmc m;
};

struct ipc_mpmc_consumer {
    struct ipc_mpmc m;
    uint64_t again; /* ring->again when we looked for it */
};

/* The word of a position's lap, FREE. */
IPC_FORCE_INLINE uint64_t ipc_mpmc_free_word_(const struct ipc_mpmc *m, uint64_t position)
{
    return (position >> m->shift) * IPC_MPMC_LAP_;
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

/* What the word of a slot says to a handle that has come to a position of that slot. */
enum ipc_mpmc_verdict_ {
    IPC_MPMC_READY_,   /* nobody holds it, and it is what this end looks for */
    IPC_MPMC_DONE_,    /* others were here: go on behind it */
    IPC_MPMC_BLOCKED_, /* a holder is in the way; it may be passed over */
    IPC_MPMC_SKIPPED_, /* to producers: the holder was passed over, and this lap is to be stamped */
    IPC_MPMC_NOT_YET_, /* the other end is to do something first: the ring is full, or empty */
    IPC_MPMC_IMPOSSIBLE_ /* it cannot be, unless it is old */
};

/* To a producer. */
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
    case IPC_MPMC_HELD_:
    case IPC_MPMC_KEPT_:
        return IPC_MPMC_SKIPPED_;
    case IPC_MPMC_FREE_:
        return IPC_MPMC_IMPOSSIBLE_;
    default:
        return IPC_MPMC_NOT_YET_;
    }
}

/* To a consumer. */
IPC_FORCE_INLINE enum ipc_mpmc_verdict_
ipc_mpmc_judge_for_consumer_(const struct ipc_mpmc *m, uint64_t position, uint64_t word)
{
    int64_t ahead = (int64_t)((word & ~(IPC_MPMC_LAP_ - 1)) - ipc_mpmc_free_word_(m, position));
    unsigned state = ipc_mpmc_state_(word);

    if (ahead == 0 && (state == IPC_MPMC_FULL_ || state == IPC_MPMC_AGAIN_))
        return IPC_MPMC_READY_;
    if (ahead > 0)
        return IPC_MPMC_DONE_;
    if (ahead == 0)
        return state == IPC_MPMC_FREE_      ? IPC_MPMC_NOT_YET_
               : state == IPC_MPMC_WRITING_ ? IPC_MPMC_BLOCKED_
                                            : IPC_MPMC_DONE_;
    if (ahead != -(int64_t)IPC_MPMC_LAP_)
        return IPC_MPMC_IMPOSSIBLE_;
    switch (state) {
    case IPC_MPMC_AGAIN_:
        return IPC_MPMC_READY_;
    case IPC_MPMC_READING_:
    case IPC_MPMC_HELD_:
    case IPC_MPMC_KEPT_:
        return IPC_MPMC_NOT_YET_;
    default:
        return IPC_MPMC_IMPOSSIBLE_;
    }
}

/* Is something for us behind the holder at p, in its lap? Passes by all that others hold or are
 * done with, as ipc_mpmc_find_next_ and ipc_mpmc_claim_run_ would. */
IPC_INLINE int ipc_mpmc_is_work_behind_(const struct ipc_mpmc *m, uint64_t p, uint64_t word,
                                        size_t stride, int producer)
{
    uint64_t end = p + m->mask + 1;
    enum ipc_mpmc_verdict_ verdict;

    for (p += ipc_mpmc_positions_of_(word); (int64_t)(end - p) > 0;
         p += ipc_mpmc_positions_of_(word)) {
        word = ck_pr_load_64(ipc_mpmc_word_(m, p, stride));
        verdict = producer ? ipc_mpmc_judge_for_producer_(m, p, word)
                           : ipc_mpmc_judge_for_consumer_(m, p, word);
        if (verdict == IPC_MPMC_READY_)
            return 1;
        if (verdict == IPC_MPMC_NOT_YET_ || verdict == IPC_MPMC_IMPOSSIBLE_)
            return 0;
    }
    return 0;
}

/* ------------------------------------------------------------------ the slow, the dead */

/* Is who is named in the word dead? The word was read before. */
IPC_INLINE int ipc_mpmc_is_holder_dead_(struct ipc_mpmc *m, uint64_t word)
{
    const struct ipc_ring_seat_ *seat = &m->ring->seat[word / IPC_MPMC_NAME_ % IPC_MPMC_SEATS];
    uint64_t id, generation;

    /* Without it the seat could be older than the word. Partner: in ipc_mpmc_take_seat_. It may be
     * newer: then it says that the one named has left, or we take the life of its successor for
     * his. */
    ck_pr_fence_load();
    generation = ck_pr_load_64(&seat->generation);
    id = ck_pr_load_64(&seat->id);
    if (generation % 256 != word / IPC_MPMC_NAME_ / IPC_MPMC_SEATS % 256)
        return 1; /* another sits there now */
    return id == 0 ? m->alive != NULL : ipc_ring_is_dead_(m->alive, m->arg, id);
}

/* Frees a slot or run that we hold, for the lap after the last in which it was passed over. */
IPC_INLINE void ipc_mpmc_free_own_(struct ipc_mpmc *m, uint64_t position, unsigned run,
                                   size_t stride)
{
    uint64_t *at = ipc_mpmc_word_(m, position, stride), word, lap;
    unsigned tries, i;

    /* It fails where a producer has stamped it meanwhile, which is once a lap. */
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

/* Frees what the dead holder of the word had. 1 when something changed. */
IPC_INLINE int ipc_mpmc_free_dead_holder_(struct ipc_mpmc *m, uint64_t position, uint64_t word,
                                          size_t stride)
{
    uint64_t *at = ipc_mpmc_word_(m, position, stride), lap = word & ~(IPC_MPMC_LAP_ - 1), then;
    unsigned state = ipc_mpmc_state_(word), run = ipc_mpmc_run_length_(word);
    int read = state == IPC_MPMC_READING_ || state == IPC_MPMC_KEPT_;

    if (read && run == 1 && (m->how & IPC_MPMC_AT_LEAST_ONCE) != 0)
        then = lap + IPC_MPMC_AGAIN_;
    else if (run == 1)
        then = lap + IPC_MPMC_LAP_;
    else
        then = lap + m->me + (run - 1) * IPC_MPMC_RUN_ + IPC_MPMC_HELD_;
    /* Without it the next could write while the dead, as the kernel orders it, still reads or
     * writes. Partners: the fences after a claim and a take. */
    ck_pr_fence_release();
    if (!ck_pr_cas_64(at, word, then))
        return 0;
    /* Without it the count could be seen before AGAIN, where stores come out of order, and the
     * message would not be looked for any more. Partner: in ipc_mpmc_find_message_. */
    ck_pr_fence_release();
    (void)ck_pr_faa_64(!read                                      ? &m->ring->aborted
                       : ipc_mpmc_state_(then) == IPC_MPMC_AGAIN_ ? &m->ring->again
                                                                  : &m->ring->lost,
                       run);
    if (ipc_mpmc_state_(then) == IPC_MPMC_HELD_)
        ipc_mpmc_free_own_(m, position, run, stride);
    return 1;
}

/* Frees what the dead, or only `id`, have left. How many slots or runs. */
IPC_INLINE int64_t ipc_mpmc_recover_(struct ipc_mpmc *m, uint64_t id)
{
    size_t stride = ipc_ring_line_stride_((size_t)m->bytes);
    int64_t found = 0;
    uint64_t i;

    for (i = 0; m->ring != NULL && i <= m->mask; i++) {
        uint64_t word = ck_pr_load_64(ipc_mpmc_word_(m, i, stride));
        unsigned state = ipc_mpmc_state_(word);

        if (state == IPC_MPMC_FREE_ || state == IPC_MPMC_FULL_ || state >= IPC_MPMC_AGAIN_ ||
            (id != 0 &&
             ck_pr_load_64(&m->ring->seat[word / IPC_MPMC_NAME_ % IPC_MPMC_SEATS].id) != id) ||
            !ipc_mpmc_is_holder_dead_(m, word))
            continue;
        found += ipc_mpmc_free_dead_holder_(m, i, word, stride);
    }
    return found;
}

/* Who holds this slot is in the way: is it time to go on without? Before that 0, and a pause. */
IPC_INLINE int ipc_mpmc_has_waited_(struct ipc_mpmc *m, uint64_t word)
{
    if (word != m->blocker) {
        m->blocker = word;
        m->looks = 0;
    }
    if (m->looks == IPC_MPMC_LOOKS_)
        return 1;
    m->looks++;
    ck_pr_stall();
    return 0;
}

/* Frees the slot if its holder is dead, else has it left out of this lap. */
IPC_INLINE void ipc_mpmc_pass_over_(struct ipc_mpmc *m, uint64_t position, uint64_t word,
                                    size_t stride)
{
    uint64_t to = word + (IPC_MPMC_HELD_ - IPC_MPMC_WRITING_);

    if (ipc_mpmc_state_(word) == IPC_MPMC_READING_)
        to = word + IPC_MPMC_LAP_ + (IPC_MPMC_KEPT_ - IPC_MPMC_READING_);
    if (ipc_mpmc_is_holder_dead_(m, word))
        (void)ipc_mpmc_free_dead_holder_(m, position, word, stride);
    else
        (void)ck_pr_cas_64(ipc_mpmc_word_(m, position, stride), word, to);
}

/* Others were first at position p, as its word says: where to go on. A word that is laps ahead says
 * that producers were past this slot in the lap before it, and consumers are at most one lap behind
 * them. The first time in a call the hint may know of a place that is further still. */
IPC_INLINE void ipc_mpmc_move_on_(struct ipc_mpmc *m, uint64_t p, uint64_t word,
                                  const uint64_t *hint, int *asked)
{
    uint64_t laps = (word - ipc_mpmc_free_word_(m, p)) / IPC_MPMC_LAP_, there;

    m->next = p + (laps > 2 ? (laps - 2) << m->shift : 0) + ipc_mpmc_positions_of_(word);
    if (!*asked) {
        *asked = 1;
        m->contended = 64;
        there = ck_pr_load_64(hint);
        if ((int64_t)(there - m->next) > 0)
            m->next = there;
    }
    /* Without it the slots that we come to could be older than what sent us there, and look
     * corrupt. Partners: the release fences before a hint is stored and before a slot is FREE. */
    ck_pr_fence_load();
}

/* Tells newcomers how far we are: each time while others are busy at this end, else now and then.
 */
IPC_FORCE_INLINE void ipc_mpmc_publish_hint_(struct ipc_mpmc *m, uint64_t *hint)
{
    if (m->contended > 0 || m->next - m->published >= IPC_MPMC_PUBLISH_) {
        m->contended -= m->contended > 0;
        m->published = m->next;
        ck_pr_fence_release(); /* partner: in ipc_mpmc_move_on_ */
        ck_pr_store_64(hint, m->next);
    }
}

#endif
