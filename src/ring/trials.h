/*
 * Trials: a producer finds out in which way to copy long messages in.
 *
 * Which way is the fastest depends on where the two cores are, on the processor, and on the sizes of
 * the ring and the message: by a factor of two to four, in either direction (bench/results). No
 * system tells, and processes move; so the producer measures. For 2,000 laps of the ring it copies
 * in the way that was best. Then it copies 16 laps in each way, and times the last eight of them.
 *
 *   phase 0             2,000 laps in the best way
 *   phase 1, 3, 5       eight laps in way 0, 1, 2
 *   phase 2, 4, 6       eight more, timed
 *
 * Another way is taken if the copies themselves take less time than by lines, and the laps at least
 * a seventh less: the consumer has to fetch the message from where that way leaves it. The laps are
 * the producer's, which may gain one on a consumer that is slower; of eight that is less than a
 * seventh.
 * Short messages do not come here.
 */
#ifndef IPC_SRC_RING_TRIALS_H
#define IPC_SRC_RING_TRIALS_H 1

#include "core.h"

enum ipc_ring_way_ {
    IPC_RING_BY_LINES_,  /* 64 bytes at a time, through the caches */
    IPC_RING_BY_STRING_, /* by the processor's instruction for that */
    IPC_RING_PAST_,      /* past the caches: a fence is due before the message is published */
    IPC_RING_WAYS_
};

#define IPC_RING_LONG_ 1024u        /* bytes: from here on each copy counts, below it in batches */
#define IPC_RING_TRIAL_AFTER_ 2000u /* laps of phase 0 */
#define IPC_RING_TRIAL_LAPS_ 8u     /* of each other phase */

/* Private to a producer. */
struct ipc_ring_trials_ {
    uint64_t lap;                  /* bytes of its ring */
    uint64_t left;                 /* bytes to copy in this phase */
    uint64_t began;                /* when this phase did, in cycles */
    uint64_t cost[IPC_RING_WAYS_]; /* cycles of its copies in this phase, or in the last */
    uint64_t took[IPC_RING_WAYS_]; /* cycles for the laps that are timed */
    unsigned phase;
    unsigned way; /* in use */
};

IPC_INLINE void ipc_ring_trials_begin_(struct ipc_ring_trials_ *t, uint64_t lap)
{
    memset(t, 0, sizeof *t);
    t->lap = lap;
    t->left = 8 * lap; /* soon, but not while pages are still fresh */
}

#ifdef __x86_64__

/* The way that the next copy takes; *then is for ipc_ring_trials_note_. */
IPC_FORCE_INLINE unsigned ipc_ring_trials_way_(const struct ipc_ring_trials_ *t, uint64_t *then)
{
    *then = CK_CC_UNLIKELY(t->phase > 0) ? __builtin_ia32_rdtsc() : 0;
    return t->way;
}

/* Are the next n bytes copied by lines, and not in a trial? Counts them, if their copy does not. */
IPC_FORCE_INLINE int ipc_ring_trials_rest_(struct ipc_ring_trials_ *t, uint64_t n)
{
    if (t->way != IPC_RING_BY_LINES_ || t->phase > 0 || t->left <= n)
        return 0;
    if (n < IPC_RING_LONG_)
        t->left -= n;
    return 1;
}

/* The phase is over. */
IPC_INLINE void ipc_ring_trials_end_phase_(struct ipc_ring_trials_ *t, uint64_t now)
{
    uint64_t most;
    unsigned way;

    if (t->phase > 0 && t->phase % 2 == 0)
        t->took[t->way] = now - t->began;
    t->began = now;
    if (t->phase < 2 * IPC_RING_WAYS_) {
        t->way = t->phase++ / 2;
        t->cost[t->way] = 0;
        t->left = IPC_RING_TRIAL_LAPS_ * t->lap;
        return;
    }
    t->phase = 0;
    t->left = IPC_RING_TRIAL_AFTER_ * t->lap;
    t->way = IPC_RING_BY_LINES_;
    most = t->took[IPC_RING_BY_LINES_] - t->took[IPC_RING_BY_LINES_] / 7;
    for (way = 1; way < IPC_RING_WAYS_; way++)
        if (t->cost[way] < t->cost[IPC_RING_BY_LINES_] && t->took[way] < most) {
            t->way = way;
            most = t->took[way];
        }
}

/* n bytes were copied, since `then`. */
IPC_FORCE_INLINE void ipc_ring_trials_note_(struct ipc_ring_trials_ *t, uint64_t n, uint64_t then)
{
    uint64_t now = 0;

    if (CK_CC_UNLIKELY(t->phase > 0)) {
        now = __builtin_ia32_rdtsc();
        t->cost[t->way] += now - then;
    }
    t->left -= n < t->left ? n : t->left;
    if (CK_CC_UNLIKELY(t->left == 0))
        ipc_ring_trials_end_phase_(t, now != 0 ? now : __builtin_ia32_rdtsc());
}

#else
/* There is one way, the libc's. */
IPC_FORCE_INLINE int ipc_ring_trials_rest_(struct ipc_ring_trials_ *t, uint64_t n)
{
    (void)t, (void)n;
    return 1;
}
#endif /* __x86_64__ */

#endif
