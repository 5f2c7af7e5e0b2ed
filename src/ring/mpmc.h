/* MPMC, MPSC, SPMC: the calls. The word of a slot, on which all of this rests: mpmc_slot.h. */
#ifndef IPC_SRC_RING_MPMC_H
#define IPC_SRC_RING_MPMC_H 1

#include "mpmc_slot.h"

/* ------------------------------------------------------------------ the producers' path */

/* Claims the next position, and as many of the n - 1 behind it as are free. Returns how many,
 * beginning at m->next, or -EAGAIN or -EBADMSG. */
IPC_INLINE int ipc_mpmc_claim_run_(struct ipc_mpmc *m, size_t stride, unsigned n)
{
    struct ipc_mpmc_search_ search = ipc_mpmc_search_from_(m);
    int asked = 0, impossible = 0;

    if (m->error != 0)
        return m->error;
    for (; search.looks_left > 0; search.looks_left -= search.looks_left > 0) {
        uint64_t p = m->next, lap = ipc_mpmc_free_word_(m, p), *at = ipc_mpmc_word_(m, p, stride);
        uint64_t word = ck_pr_load_64(at);
        unsigned run = 1;

        switch (ipc_mpmc_judge_for_producer_(m, p, word)) {
        case IPC_MPMC_READY_:
            while (run < n && ck_pr_load_64(ipc_mpmc_word_(m, p + run, stride)) ==
                                  ipc_mpmc_free_word_(m, p + run))
                run++;
            if (ck_pr_cas_64(at, word,
                             lap + m->name + (run - 1) * IPC_MPMC_RUN_ + IPC_MPMC_WRITING_)) {
                /* Without it we could write while the consumer of the lap before still reads.
                 * Partners: the release fences before a slot becomes FREE. */
                ck_pr_fence_acquire();
                return (int)run;
            }
            break;
        case IPC_MPMC_DONE_:
            ipc_mpmc_move_on_(m, p, word, &m->ring->tail, &asked);
            break;
        case IPC_MPMC_BLOCKED_:
            if (!ipc_mpmc_is_work_behind_(m, p, word, stride, 1, &search))
                return -EAGAIN;
            if (ipc_mpmc_look_again_(m, word, &search))
                ipc_mpmc_pass_over_(m, p, word, stride);
            break;
        case IPC_MPMC_SKIPPED_:
            m->holders_met++;
            if (m->holders_met % IPC_MPMC_ASK_AFTER_ == 0 && ipc_mpmc_is_holder_dead_(m, word)) {
                (void)ipc_mpmc_free_dead_holder_(m, p, word, stride);
                break;
            }
            /* The stamp comes before anyone moves on: its holder frees it for the lap after. */
            (void)ck_pr_cas_64(at, word, word + IPC_MPMC_LAP_);
            break;
        case IPC_MPMC_NOT_YET_:
            return -EAGAIN;
        case IPC_MPMC_IMPOSSIBLE_:
            if (impossible++ == IPC_MPMC_IMPOSSIBLE_LOOKS_)
                return m->error = -EBADMSG;
            ck_pr_stall();
            ipc_mpmc_go_to_hint_(m, &m->ring->tail);
        }
    }
    return -EAGAIN;
}

/* Ends our hold of a run at p, by the state that we have had it in: the word of slot p + i becomes
 * its FREE word plus `to` less i times `step`. 0, or -ESTALE: the run was passed over, and is free
 * again. */
IPC_FORCE_INLINE int ipc_mpmc_end_run_(struct ipc_mpmc *m, uint64_t p, unsigned run, size_t stride,
                                       uint64_t state, uint64_t to, uint64_t step)
{
    uint64_t lap = ipc_mpmc_free_word_(m, p);
    unsigned i;

    /* Without it the payload could be older than a FULL further on in the run, to which a hint may
     * send a consumer; or a producer could write while we read. Partners: the load fence in
     * ipc_mpmc_pop_, the acquire fence in ipc_mpmc_claim_run_. */
    ck_pr_fence_release();
    for (i = 1; i < run; i++) /* nobody looks at these before the first has changed */
        ck_pr_store_64(ipc_mpmc_word_(m, p + i, stride),
                       ipc_mpmc_free_word_(m, p + i) + to - i * step);
    /* Without it, where stores come out of order, the first slot's word could be seen before the
     * others'. The next holder of the run could be done with those before ours arrive. Partners:
     * the load fence in ipc_mpmc_take_run_, and ipc_mpmc_move_on_. */
    ck_pr_fence_release();
    if (ck_pr_cas_64(ipc_mpmc_word_(m, p, stride),
                     lap + m->name + (run - 1) * IPC_MPMC_RUN_ + state, lap + to))
        return 0;
    ipc_mpmc_free_own_(m, p, run, stride);
    return -ESTALE;
}

/* Claims a position for one message, mostly the next. 0, the errors of ipc_mpmc_claim_run_, or
 * -EBUSY: the handle has a claimed slot. The only producer has no rival: its slot stays FREE until
 * the message is there. */
IPC_FORCE_INLINE int ipc_mpmc_claim_one_(struct ipc_mpmc *m, size_t stride, uint32_t how,
                                         uint64_t *claimed)
{
    uint64_t p = m->next, lap = ipc_mpmc_free_word_(m, p), *at = ipc_mpmc_word_(m, p, stride);
    int rc;

    if (CK_CC_UNLIKELY((m->error | m->claimed) != 0))
        return m->error != 0 ? m->error : -EBUSY;
    if (stride <= IPC_RING_PREFETCH_)
        ipc_mpmc_prepare_(m, p, stride, IPC_MPMC_FREE_);
    if (CK_CC_LIKELY(ck_pr_load_64(at) == lap)) {
        *claimed = lap;
        if ((how & IPC_MPMC_ONE_PRODUCER) == 0)
            *claimed += m->name + IPC_MPMC_WRITING_;
        if ((how & IPC_MPMC_ONE_PRODUCER) != 0 || CK_CC_LIKELY(ck_pr_cas_64(at, lap, *claimed))) {
            ck_pr_fence_acquire(); /* as in ipc_mpmc_claim_run_ */
            return 0;
        }
    }
    rc = ipc_mpmc_claim_run_(m, stride, 1);
    *claimed = ipc_mpmc_free_word_(m, m->next) + m->name + IPC_MPMC_WRITING_;
    return rc < 0 ? ipc_mpmc_found_nothing_(m, rc) : 0;
}

/* Commits the one slot that was claimed. 0, or -ESTALE: it was passed over. */
IPC_FORCE_INLINE int ipc_mpmc_commit_one_(struct ipc_mpmc *m, uint64_t p, uint64_t claimed,
                                          size_t stride)
{
    uint64_t *at = ipc_mpmc_word_(m, p, stride), full = ipc_mpmc_free_word_(m, p) + IPC_MPMC_FULL_;

    /* Without it FULL could be seen before the payload. Partner: the load fence in ipc_mpmc_pop_.
     */
    ck_pr_fence_release();
    if (ipc_mpmc_state_(claimed) == IPC_MPMC_FREE_)
        ck_pr_store_64(at, full); /* one producer: nobody changes what is FREE */
    else if (CK_CC_UNLIKELY(!ck_pr_cas_64(at, claimed, full)))
        return -ESTALE;
    return 0;
}

/* Sends the claimed slot. As ipc_mpmc_commit. */
IPC_FORCE_INLINE int ipc_mpmc_commit_(struct ipc_mpmc_producer *h, size_t bytes)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    struct ipc_mpmc *m = &h->m;
    uint64_t from, to, word;
    unsigned tries = 0;
    size_t i;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if (m->claimed == 0)
        return -EINVAL;
    while (CK_CC_UNLIKELY(ipc_mpmc_commit_one_(m, m->held_position, m->held_word, stride) != 0)) {
        /* Passed over: the message moves to the position that is next now. */
        int rc = tries++ < IPC_MPMC_TRIES_ ? ipc_mpmc_claim_run_(m, stride, 1) : -EAGAIN;

        if (rc < 0)
            return rc;
        word = ipc_mpmc_free_word_(m, m->next) + m->name + IPC_MPMC_WRITING_;
        from = m->held_position;
        to = m->next++;
        for (i = 0; i < stride - sizeof word; i += sizeof word)
            ck_pr_store_64(
                (uint64_t *)(void *)(ipc_mpmc_slot_(m, to, stride) + i),
                ck_pr_load_64((const uint64_t *)(void *)(ipc_mpmc_slot_(m, from, stride) + i)));
        ipc_mpmc_free_own_(m, from, 1, stride);
        m->held_position = to;
        m->held_word = word;
    }
    if (ipc_mpmc_state_(m->held_word) == IPC_MPMC_FREE_)
        m->next++;
    ipc_mpmc_publish_hint_(m, &m->ring->tail);
    m->claimed = 0;
    return 0;
}

/* Sends a message in the slot that is claimed. 0, or the errors of ipc_mpmc_commit. */
IPC_INLINE int ipc_mpmc_push_claimed_(struct ipc_mpmc_producer *h, const void *message,
                                      size_t bytes)
{
    ipc_mpmc_put_(h, h->m.held_position, message, bytes);
    return ipc_mpmc_commit_(h, bytes);
}

IPC_FORCE_INLINE int ipc_mpmc_push_(struct ipc_mpmc_producer *h, const void *message, size_t bytes,
                                    uint32_t how)
{
    struct ipc_mpmc *m = &h->m;
    size_t stride = ipc_ring_line_stride_(bytes);
    uint64_t p, claimed;
    unsigned tries;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if ((how & IPC_MPMC_ONE_PRODUCER) == 0 && ipc_mpmc_push_short_(m, message, bytes))
        return 0;
    for (tries = 0; tries < IPC_MPMC_TRIES_; tries++) {
        int rc = ipc_mpmc_claim_one_(m, stride, how, &claimed);

        if (CK_CC_UNLIKELY(rc != 0))
            return rc == -EBUSY ? ipc_mpmc_push_claimed_(h, message, bytes) : rc;
        p = m->next;
        m->next = p + 1;
        if ((how & IPC_MPMC_ONE_PRODUCER) == 0)
            ipc_mpmc_publish_hint_(m, &m->ring->tail);
        ipc_mpmc_put_(h, p, message, bytes);
        if (CK_CC_LIKELY(ipc_mpmc_commit_one_(m, p, claimed, stride) == 0)) {
            if ((how & IPC_MPMC_ONE_PRODUCER) != 0) /* not earlier: a successor begins there */
                ipc_mpmc_publish_hint_(m, &m->ring->tail);
            return 0;
        }
        ipc_mpmc_free_own_(m, p, 1, stride);
    }
    return -EAGAIN;
}

/* A run is claimed and published by one compare-and-swap each. */
IPC_FORCE_INLINE int64_t ipc_mpmc_push_n_(struct ipc_mpmc_producer *h, const void *messages,
                                          size_t n, size_t bytes)
{
    struct ipc_mpmc *m = &h->m;
    size_t stride = ipc_ring_line_stride_(bytes), done = 0;
    const unsigned char *from = (const unsigned char *)messages;
    unsigned tries = 0;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if (CK_CC_UNLIKELY((m->error | m->claimed) != 0) && n > 0) {
        int rc = m->error != 0 ? m->error : ipc_mpmc_push_claimed_(h, messages, bytes);

        if (rc != 0)
            return rc;
        done = 1;
    }
    while (done < n) {
        unsigned want = n - done < IPC_MPMC_RUN_MAX_ ? (unsigned)(n - done) : IPC_MPMC_RUN_MAX_;
        uint64_t p;
        int run;

        if ((int64_t)(m->next + want + IPC_MPMC_PREFETCH_ - m->ready) > 0)
            ipc_mpmc_look_ahead_(m, stride, IPC_MPMC_FREE_);
        run = ipc_mpmc_claim_run_(m, stride, want);
        p = m->next;
        if (run < 0)
            return done > 0 ? (int64_t)done : ipc_mpmc_found_nothing_(m, run);
        m->next = p + (unsigned)run;
        ipc_mpmc_publish_hint_(m, &m->ring->tail);
        ipc_mpmc_put_run_(h, p, from + done * bytes, bytes, (unsigned)run);
        if (ipc_mpmc_end_run_(m, p, (unsigned)run, stride, IPC_MPMC_WRITING_,
                              ((unsigned)run - 1) * IPC_MPMC_RUN_ + IPC_MPMC_FULL_,
                              IPC_MPMC_RUN_) == 0)
            done += (unsigned)run;
        else if (++tries == IPC_MPMC_TRIES_)
            break;
    }
    return done > 0 || n == 0 ? (int64_t)done : -EAGAIN;
}

/* The claimed slot, or NULL. */
IPC_FORCE_INLINE void *ipc_mpmc_claim_(struct ipc_mpmc_producer *h, size_t bytes, uint32_t how)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    struct ipc_mpmc *m = &h->m;

    if (!ipc_mpmc_is_ours_(m))
        return NULL;
    if (m->claimed == 0) {
        if (ipc_mpmc_claim_one_(m, stride, how, &m->held_word) != 0)
            return NULL;
        m->held_position = m->next;
        m->claimed = 1;
        if (ipc_mpmc_state_(m->held_word) != IPC_MPMC_FREE_) {
            m->next++;
            ipc_mpmc_publish_hint_(m, &m->ring->tail);
        }
    }
    return ipc_mpmc_message_(m, m->held_position, bytes);
}

/* ------------------------------------------------------------------ the consumers' path */

/* Moves m->next to the next message, whose slot says *word. 0, -EAGAIN or -EBADMSG. */
IPC_INLINE int ipc_mpmc_find_next_(struct ipc_mpmc *m, size_t stride, uint64_t *word)
{
    struct ipc_mpmc_search_ search = ipc_mpmc_search_from_(m);
    int asked = 0, impossible = 0;

    if (m->error != 0)
        return m->error;
    for (; search.looks_left > 0; search.looks_left -= search.looks_left > 0) {
        uint64_t p = m->next;

        *word = ck_pr_load_64(ipc_mpmc_word_(m, p, stride));
        switch (ipc_mpmc_judge_for_consumer_(m, p, *word)) {
        case IPC_MPMC_READY_:
            return 0;
        case IPC_MPMC_BLOCKED_:
            if (!ipc_mpmc_look_again_(m, *word, &search))
                break;
            if (!ipc_mpmc_is_work_behind_(m, p, *word, stride, 0, &search))
                return -EAGAIN;
            ipc_mpmc_pass_over_(m, p, *word, stride);
            break;
        case IPC_MPMC_NOT_YET_:
            return -EAGAIN;
        case IPC_MPMC_IMPOSSIBLE_:
            if (impossible++ == IPC_MPMC_IMPOSSIBLE_LOOKS_)
                return m->error = -EBADMSG;
            ck_pr_stall();
            ipc_mpmc_go_to_hint_(m, &m->ring->head);
            break;
        default:
            ipc_mpmc_move_on_(m, p, *word, &m->ring->head, &asked);
        }
    }
    return -EAGAIN;
}

/* The next slot is not FULL: finds the oldest message, at *position with *word. Messages that were
 * handed out again lie behind us: looks at all slots once ring->again has changed. 0, -EAGAIN or
 * -EBADMSG. */
IPC_INLINE int ipc_mpmc_find_message_(struct ipc_mpmc_consumer *h, size_t stride,
                                      uint64_t *position, uint64_t *word)
{
    struct ipc_mpmc *m = &h->m;
    uint64_t again, i;
    int rc = ipc_mpmc_find_next_(m, stride, word);

    if (rc == 0) {
        *position = ipc_mpmc_position_of_(m, m->next, *word);
        return 0;
    }
    if (rc != -EAGAIN || m->error != 0) /* m->error may be -EAGAIN: attach was refused */
        return rc;
    (void)ipc_mpmc_found_nothing_(m, rc);
    again = ck_pr_load_64(&m->ring->again);
    /* Without it the slots could be older than the count, and we do not look again for the same
     * count. Partners: in ipc_mpmc_free_dead_holder_ and ipc_mpmc_consumer_detach. */
    ck_pr_fence_load();
    /* A process may have been killed before it could count: so look also after each recovery. */
    for (i = 0; (again != h->again_seen || m->misses == 0) && i <= m->mask; i++) {
        *word = ck_pr_load_64(ipc_mpmc_word_(m, i, stride));
        *position = ipc_mpmc_position_of_(m, (m->next & ~m->mask) + i, *word);
        if (ipc_mpmc_state_(*word) == IPC_MPMC_AGAIN_)
            return 0;
    }
    h->again_seen = again;
    return rc;
}

/* The slot is taken or free: moves on behind it. */
IPC_FORCE_INLINE void ipc_mpmc_advance_(struct ipc_mpmc *m, uint64_t position)
{
    if (CK_CC_LIKELY(position == m->next)) {
        m->next = position + 1;
        ipc_mpmc_publish_hint_(m, &m->ring->head);
    }
}

IPC_INLINE int ipc_mpmc_release_(struct ipc_mpmc_consumer *h, size_t bytes)
{
    struct ipc_mpmc *m = &h->m;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if (m->claimed == 0)
        return -EINVAL;
    ipc_mpmc_free_own_(m, m->held_position, 1, ipc_ring_line_stride_(bytes));
    if ((m->how & IPC_MPMC_ONE_CONSUMER) != 0)
        ipc_mpmc_advance_(m, m->held_position); /* not earlier: a successor begins at the hint */
    m->claimed = 0;
    return 0;
}

/* Takes the oldest message until release. NULL: there is none, or the ring is corrupt. */
IPC_FORCE_INLINE const void *ipc_mpmc_peek_(struct ipc_mpmc_consumer *h, size_t bytes, uint32_t how)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    struct ipc_mpmc *m = &h->m;
    uint64_t position, word, taken;
    unsigned tries = 0;

    if (!ipc_mpmc_is_ours_(m))
        return NULL;
    while (m->claimed == 0) {
        if (tries++ == IPC_MPMC_TRIES_ || ipc_mpmc_find_message_(h, stride, &position, &word) != 0)
            return NULL;
        taken = word;
        /* The only consumer leaves it FULL until release, if its successor is to get it again. */
        if ((how & IPC_MPMC_ONE_CONSUMER) == 0 || (m->how & IPC_MPMC_AT_LEAST_ONCE) == 0) {
            taken = (word & ~(IPC_MPMC_LAP_ - 1)) + m->name + IPC_MPMC_READING_;
            if (!ck_pr_cas_64(ipc_mpmc_word_(m, position, stride), word, taken))
                continue;
            ipc_mpmc_advance_(m, position);
        }
        /* Without it the payload could be older than FULL. Partners: in ipc_mpmc_commit_one_ and
         * ipc_mpmc_end_run_. */
        ck_pr_fence_acquire();
        m->held_word = taken;
        m->held_position = position;
        m->claimed = 1;
    }
    return ipc_mpmc_message_(m, m->held_position, bytes);
}

IPC_FORCE_INLINE int ipc_mpmc_pop_(struct ipc_mpmc_consumer *h, void *message, size_t bytes,
                                   uint32_t how)
{
    struct ipc_mpmc *m = &h->m;
    size_t stride = ipc_ring_line_stride_(bytes);
    unsigned tries;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if (CK_CC_UNLIKELY((m->error | m->claimed) != 0)) {
        if (m->error != 0)
            return m->error;
        memcpy(message, ipc_mpmc_message_(m, m->held_position, bytes), bytes);
        return ipc_mpmc_release_(h, bytes);
    }
    for (tries = 0; tries < IPC_MPMC_TRIES_; tries++) {
        uint64_t p = m->next, word, free, *at = ipc_mpmc_word_(m, p, stride);

        ipc_mpmc_prepare_(m, p, stride, IPC_MPMC_FULL_);
        word = ck_pr_load_64(at);
        if (CK_CC_UNLIKELY((word & ~IPC_MPMC_RUN_MASK_) !=
                           ipc_mpmc_free_word_(m, p) + IPC_MPMC_FULL_)) {
            int rc = ipc_mpmc_find_message_(h, stride, &p, &word);

            if (rc != 0)
                return rc;
            at = ipc_mpmc_word_(m, p, stride);
        }
        /* Without it the payload could be older than FULL. Partners: in ipc_mpmc_commit_one_ and
         * ipc_mpmc_end_run_. */
        ck_pr_fence_load();
        ipc_ring_get_words_(message, ipc_mpmc_message_(m, p, bytes), bytes);
        /* Without it a producer could write while we read. Partner: in ipc_mpmc_claim_run_. */
        ck_pr_fence_release(); /* no twin: the models delay no load past a store */
        free = (word & ~(IPC_MPMC_LAP_ - 1)) + IPC_MPMC_LAP_;
        if ((how & IPC_MPMC_ONE_CONSUMER) != 0) /* nobody else changes what is FULL */
            ck_pr_store_64(at, free);
        else if (CK_CC_UNLIKELY(!ck_pr_cas_64(at, word, free)))
            continue; /* another consumer was first; what we copied may be torn */
        ipc_mpmc_advance_(m, p);
        return 0;
    }
    return -EAGAIN;
}

/* Copies the run of `run` messages at m->next, whose first slot has that word, and then takes it.
 * Returns 0 if another consumer was first. The word of the first frees the whole run in one step.
 */
IPC_INLINE unsigned ipc_mpmc_take_run_(struct ipc_mpmc *m, unsigned char *to, size_t bytes,
                                       uint64_t word, unsigned run)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    uint64_t p = m->next, taken = ipc_mpmc_free_word_(m, p) + m->name +
                                  (run - 1) * IPC_MPMC_RUN_ + IPC_MPMC_READING_;
    unsigned i;

    ck_pr_fence_load(); /* as in ipc_mpmc_pop_ */
    for (i = 0; i < run; i++) {
        if ((int64_t)(m->ready - (p + i)) > (int64_t)IPC_MPMC_PREFETCH_)
            ipc_mpmc_prefetch_(m, p + i + IPC_MPMC_PREFETCH_, stride);
        ipc_ring_get_words_(to + i * bytes, ipc_mpmc_message_(m, p + i, bytes), bytes);
    }
    if (!ck_pr_cas_64(ipc_mpmc_word_(m, p, stride), word, taken))
        return 0;
    m->next = p + run;
    ipc_mpmc_publish_hint_(m, &m->ring->head);
    (void)ipc_mpmc_end_run_(m, p, run, stride, IPC_MPMC_READING_, IPC_MPMC_LAP_, 0);
    return run;
}

IPC_FORCE_INLINE int64_t ipc_mpmc_pop_n_(struct ipc_mpmc_consumer *h, void *messages, size_t n,
                                         size_t bytes, uint32_t how)
{
    struct ipc_mpmc *m = &h->m;
    size_t stride = ipc_ring_line_stride_(bytes), done = 0;
    unsigned char *to = (unsigned char *)messages;
    unsigned tries = 0;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    while (done < n && tries < IPC_MPMC_TRIES_) {
        uint64_t p = m->next, word = 0;
        unsigned run = 1;
        int rc;

        if ((how & IPC_MPMC_ONE_CONSUMER) == 0 && (m->error | m->claimed) == 0) {
            if ((int64_t)(p + IPC_MPMC_RUN_MAX_ + IPC_MPMC_PREFETCH_ - m->ready) > 0)
                ipc_mpmc_look_ahead_(m, stride, IPC_MPMC_FULL_);
            word = ck_pr_load_64(ipc_mpmc_word_(m, p, stride));
            if ((word & ~IPC_MPMC_RUN_MASK_) == ipc_mpmc_free_word_(m, p) + IPC_MPMC_FULL_)
                run = ipc_mpmc_run_length_(word);
            run = run < n - done ? run : (unsigned)(n - done);
        }
        if (run > 1) {
            run = ipc_mpmc_take_run_(m, to + done * bytes, bytes, word, run);
            tries += run == 0;
            done += run;
            continue;
        }
        rc = ipc_mpmc_pop_(h, to + done * bytes, bytes, how);
        if (rc != 0)
            return done > 0 ? (int64_t)done : rc;
        done++;
    }
    return done > 0 || n == 0 ? (int64_t)done : -EAGAIN;
}

/* ------------------------------------------------------------------ many at an end: attach */

/* The bytes of a ring that is made as `how` says, or 0, as ipc_spsc_footprint; 0 also for any other
 * `how` than ipc_mpmc_init takes. */
IPC_INLINE size_t ipc_mpmc_footprint(size_t bytes, uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind;

    if (!ipc_mpmc_is_valid_how_(how))
        return 0;
    kind = ipc_mpmc_kind_(bytes, how);
    return ipc_ring_footprint_(&kind, bytes, capacity);
}

/*
 * Makes an empty ring, as ipc_spsc_init. how: IPC_MPMC_AT_MOST_ONCE or IPC_MPMC_AT_LEAST_ONCE. Add
 * IPC_MPMC_ONE_PRODUCER or IPC_MPMC_ONE_CONSUMER, not both, if that end is for one at a time; and
 * IPC_MPMC_HANDLES(n) where another number of handles than 256, of both ends together, is to be
 * attached at a time. Only attach takes longer for them.
 *
 *   0
 *   -EINVAL, -ENOSPC  as of ipc_spsc_init; -EINVAL also for any other `how`
 */
IPC_INLINE int ipc_mpmc_init(void *mem, size_t size, size_t bytes, uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind = ipc_mpmc_kind_(bytes, how);

    if (!ipc_mpmc_is_valid_how_(how))
        return -EINVAL;
    return ipc_ring_init_(mem, size, &kind, bytes, capacity, how);
}

/* Takes a seat: a free one, or that of a dead process. 0, or -EUSERS. */
IPC_INLINE int ipc_mpmc_take_seat_(struct ipc_mpmc *m, struct ipc_peer *me)
{
    uint64_t id = ipc_ring_id_of_(me), holder;
    unsigned i = ipc_ring_take_seat_(m->seats, m->seats_count, me, id, &holder);

    if (i == m->seats_count)
        return ipc_ring_refuse_(me, -EUSERS, "all seats of the ring are taken; of", i, i);
    m->seat = &m->seats[i];
    m->id = id;
    m->name =
        (i + ipc_ring_next_generation_(m->seat, id) % 256 * IPC_RING_SEATS_MAX) * IPC_MPMC_NAME_;
    /* Without it the seat could be older than a word with our name. Partner: in
     * ipc_mpmc_is_holder_dead_. */
    ck_pr_fence_store();
    if (holder != 0)
        (void)ipc_mpmc_recover_(m, 0); /* while the dead holder's generation is not in use again */
    return 0;
}

/* Attaches to one end: 0 the producers', 1 the consumers'. */
IPC_INLINE int ipc_mpmc_attach_(struct ipc_mpmc *m, void *mem, size_t size, size_t bytes,
                                struct ipc_peer *me, unsigned how, int end)
{
    struct ipc_mpmc_shared *r = (struct ipc_mpmc_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_mpmc_kind_(bytes, IPC_MPMC_HANDLES(1));
    uint64_t capacity;
    unsigned there = 0;
    int rc = ipc_ring_check_(mem, size, &kind, bytes, me, &capacity);

    memset(m, 0, sizeof *m);
    ipc_ring_begin_self_(&m->self, NULL, NULL);
    if (rc == 0)
        there = ck_pr_load_32(&r->is.how);
    if (rc == 0 && (!ipc_mpmc_is_valid_how_(there) || (there & 254) != (how & 254)))
        rc = ipc_ring_refuse_(me, -EPROTO, "ring with other ends; kind", there & 255, how & 255);
    if (rc == 0) {
        kind = ipc_mpmc_kind_(bytes, there);
        rc = ipc_ring_check_size_(me, size, ipc_ring_footprint_(&kind, bytes, capacity), there);
    }
    if (rc != 0)
        return m->error = rc;
    m->ring = r;
    m->how = there & 255;
    m->seats = (struct ipc_ring_seat_ *)(void *)(r + 1);
    m->seats_count = ipc_ring_seats_of_(there, IPC_MPMC_SEATS);
    m->slots = (unsigned char *)mem + kind.header;
    m->mask = capacity - 1;
    for (m->shift = 0; capacity >> m->shift > 1; m->shift++)
        ;
    m->bytes = bytes;
    m->alive = me != NULL ? me->alive : NULL;
    m->arg = me != NULL ? me->arg : NULL;
    m->end =
        (how & (end ? IPC_MPMC_ONE_CONSUMER : IPC_MPMC_ONE_PRODUCER)) != 0 ? &r->end[end] : NULL;
    rc = m->end != NULL ? ipc_ring_take_end_(m->end, me, ipc_ring_id_of_(me)) : 0;
    if (rc == 0 && (rc = ipc_mpmc_take_seat_(m, me)) != 0 && m->end != NULL)
        ipc_ring_leave_end_(m->end, ipc_ring_id_of_(me));
    if (rc != 0) {
        m->ring = NULL;
        return m->error = rc;
    }
    m->error = 0;
    m->idle = 1;
    m->ready = m->published = m->next = ck_pr_load_64(end ? &r->head : &r->tail);
    ck_pr_fence_load(); /* as in ipc_mpmc_move_on_ */
    return 0;
}

IPC_INLINE void ipc_mpmc_leave_(struct ipc_mpmc *m)
{
    if (m->ring != NULL && ipc_ring_is_ours_(&m->self)) {
        ipc_ring_leave_end_(&m->seat->id, m->id);
        if (m->end != NULL)
            ipc_ring_detach_end_(m->end, m->id);
    }
    memset(m, 0, sizeof *m);
    ipc_ring_begin_self_(&m->self, NULL, NULL);
    m->error = -EINVAL;
}

/* For struct ipc_ring_self_'s renew: attaches anew. What the handle held is freed as that of any
 * dead process. */
IPC_INLINE int ipc_mpmc_renew_(struct ipc_mpmc *m, struct ipc_peer *me, int end)
{
    struct ipc_mpmc was = *m;
    size_t slots = (size_t)(was.mask + 1) * ipc_ring_line_stride_((size_t)was.bytes);
    size_t size = (size_t)(was.slots - (unsigned char *)was.ring) + slots;
    int rc;

    if (me == NULL) {
        m->ring = NULL;
        ipc_mpmc_leave_(m);
        return m->error = -ECHILD;
    }
    rc = ipc_mpmc_attach_(m, was.ring, size, (size_t)was.bytes, me, was.how, end);
    m->self = was.self;
    return rc;
}

IPC_INLINE int ipc_mpmc_producer_renew_(void *handle, struct ipc_peer *me)
{
    return ipc_mpmc_renew_((struct ipc_mpmc *)handle, me, 0);
}

IPC_INLINE int ipc_mpmc_consumer_renew_(void *handle, struct ipc_peer *me)
{
    return ipc_mpmc_renew_((struct ipc_mpmc *)handle, me, 1);
}

/* ------------------------------------------------------------------ many at an end: the calls */

/*
 * Attaches a producer. A handle is for one thread; a process may have several. `me`: as for
 * ipc_spsc_producer_attach. Lock-free; not for the path of a message.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO, -EROFS
 *            as of ipc_spsc_producer_attach; -EPROTO also when the ring's ends are of another kind
 *   -EUSERS  as many handles are attached as the ring was made for (256, if nothing was said) that
 *            are not proven dead
 *   -EBUSY   the ring is for one producer at a time, and that one is not proven dead
 */
IPC_INLINE int ipc_mpmc_producer_attach(struct ipc_mpmc_producer *p, void *mem, size_t size,
                                        size_t bytes, struct ipc_peer *me, unsigned how)
{
    int rc = ipc_mpmc_attach_(&p->m, mem, size, bytes, me, how, 0);

    ipc_ring_trials_begin_(&p->trials, (p->m.mask + 1) * bytes);
    if (rc == 0)
        ipc_ring_begin_self_(&p->m.self, me, ipc_mpmc_producer_renew_);
    return rc;
}

/* Attaches a consumer; as ipc_mpmc_producer_attach. */
IPC_INLINE int ipc_mpmc_consumer_attach(struct ipc_mpmc_consumer *c, void *mem, size_t size,
                                        size_t bytes, struct ipc_peer *me, unsigned how)
{
    int rc = ipc_mpmc_attach_(&c->m, mem, size, bytes, me, how, 1);

    if (rc == 0)
        ipc_ring_begin_self_(&c->m.self, me, ipc_mpmc_consumer_renew_);
    c->again_seen = 0; /* so that we look for what was handed out again before we attached */
    return rc;
}

/*
 * Copies one message in; if a slot is claimed, into that one. Lock-free: only calls that get
 * through hold up others. Consumers and producers that are slow, stopped or dead are passed over.
 * The ring is full when the next slot that no process holds has a message: consumers take that one
 * first, so a slot behind it that was cancelled, or passed over, is of use again once they have.
 *
 *   0
 *   -EAGAIN    the ring is full, or other producers were first for laps on end
 *   -EMSGSIZE  bytes is not the ring's message size
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -EINVAL    the handle is not attached; where attach refused, the error is what attach returned
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_mpmc_push(struct ipc_mpmc_producer *p, const void *message, size_t bytes)
{
    return bytes == p->m.bytes || p->m.error != 0 ? ipc_mpmc_push_(p, message, bytes, p->m.how)
                                                  : -EMSGSIZE;
}

/* Copies up to n messages in, from an array. Up to 16 at a time become visible at once. Returns how
 * many went in, 0 for n = 0, or the errors of ipc_mpmc_push when none did. Lock-free. */
IPC_INLINE int64_t ipc_mpmc_push_n(struct ipc_mpmc_producer *p, const void *messages, size_t bytes,
                                   size_t n)
{
    return bytes == p->m.bytes || p->m.error != 0 ? ipc_mpmc_push_n_(p, messages, n, bytes)
                                                  : -EMSGSIZE;
}

/* Push without a copy: returns the slot to write to, aligned as the message needs, and the same one
 * until commit or cancel. NULL: the ring is full, or see ipc_mpmc_producer_error. A slot that is
 * held for long is passed over; then commit moves the message. Lock-free. */
IPC_INLINE void *ipc_mpmc_claim(struct ipc_mpmc_producer *p)
{
    return p->m.error == 0 ? ipc_mpmc_claim_(p, (size_t)p->m.bytes, p->m.how) : NULL;
}

/* Sends the claimed slot. Lock-free.
 *
 *   0
 *   -EINVAL   no slot is claimed
 *   -EAGAIN   the slot was passed over, and the ring is full now: it stays claimed, commit again
 *   -EBADMSG, -ECHILD  as of ipc_mpmc_push
 */
IPC_INLINE int ipc_mpmc_commit(struct ipc_mpmc_producer *p)
{
    return ipc_mpmc_commit_(p, (size_t)p->m.bytes);
}

/* Copies the oldest message out; if one was peeked, that one, and releases it. The message stays in
 * the ring until its copy is whole: a consumer that is stopped or killed before that costs nothing.
 * One that is killed after that, before the caller has used the message, loses it. Lock-free.
 *
 *   0
 *   -EAGAIN    the ring is empty, or every message in it is still being written
 *   -EMSGSIZE, -EBADMSG, -EINVAL, -ECHILD  as of ipc_mpmc_push
 */
IPC_INLINE int ipc_mpmc_pop(struct ipc_mpmc_consumer *c, void *message, size_t bytes)
{
    return bytes == c->m.bytes || c->m.error != 0 ? ipc_mpmc_pop_(c, message, bytes, c->m.how)
                                                  : -EMSGSIZE;
}

/* Copies up to n messages out; those that were pushed together are taken by one compare-and-swap. A
 * consumer that is killed in here loses what it has taken, as if it were killed afterwards. Returns
 * how many, 0 for n = 0, or the errors of ipc_mpmc_pop when none came. Lock-free. */
IPC_INLINE int64_t ipc_mpmc_pop_n(struct ipc_mpmc_consumer *c, void *messages, size_t bytes,
                                  size_t n)
{
    return bytes == c->m.bytes || c->m.error != 0
               ? ipc_mpmc_pop_n_(c, messages, n, bytes, c->m.how)
               : -EMSGSIZE;
}

/* Takes the oldest message without a copy. It is the caller's until release, and until then peek
 * returns the same. If the consumer is killed before release, the message is lost or handed out
 * again, as the ring was made. NULL: there is none, or see ipc_mpmc_consumer_error. Lock-free. */
IPC_INLINE const void *ipc_mpmc_peek(struct ipc_mpmc_consumer *c)
{
    return c->m.error == 0 ? ipc_mpmc_peek_(c, (size_t)c->m.bytes, c->m.how) : NULL;
}

/* Frees the slot of the peeked message. 0; -EINVAL: none was peeked; -ECHILD. Lock-free. */
IPC_INLINE int ipc_mpmc_release(struct ipc_mpmc_consumer *c)
{
    return ipc_mpmc_release_(c, (size_t)c->m.bytes);
}

/* Looks at every slot, and frees all that the dead process `id` held; for id 0, all that any dead
 * process held. The other calls do that for what is in their way. Returns how many slots or runs.
 * Takes a few system calls for each; wait-free. -ECHILD: after fork, as of ipc_spsc_push. */
IPC_INLINE int64_t ipc_mpmc_producer_recover(struct ipc_mpmc_producer *p, uint64_t id)
{
    return ipc_mpmc_recover_if_ours_(&p->m, id);
}

IPC_INLINE int64_t ipc_mpmc_consumer_recover(struct ipc_mpmc_consumer *c, uint64_t id)
{
    if (c->m.ring != NULL)
        c->again_seen = ck_pr_load_64(&c->m.ring->again) - 1; /* the next look is at all slots */
    return ipc_mpmc_recover_if_ours_(&c->m, id);
}

/* Frees a claimed slot unsent. Wait-free. */
IPC_INLINE void ipc_mpmc_cancel(struct ipc_mpmc_producer *p)
{
    struct ipc_mpmc *m = &p->m;

    if (m->claimed != 0 && ipc_mpmc_state_(m->held_word) != IPC_MPMC_FREE_ &&
        ipc_ring_is_ours_(&m->self))
        ipc_mpmc_free_own_(m, m->held_position, 1, ipc_ring_line_stride_((size_t)m->bytes));
    m->claimed = 0;
}

/* Detaches; a claimed slot is cancelled. Wait-free. */
IPC_INLINE void ipc_mpmc_producer_detach(struct ipc_mpmc_producer *p)
{
    ipc_mpmc_cancel(p);
    ipc_mpmc_leave_(&p->m);
}

/* Detaches; a message that was peeked and not released is handed out again. Lock-free. */
IPC_INLINE void ipc_mpmc_consumer_detach(struct ipc_mpmc_consumer *c)
{
    struct ipc_mpmc *m = &c->m;
    unsigned tries;

    m->claimed = m->claimed && ipc_ring_is_ours_(&m->self);
    for (tries = 0; m->claimed != 0 && tries < 2 * IPC_MPMC_TRIES_; tries++) {
        uint64_t *at = ipc_mpmc_word_(m, m->held_position, ipc_ring_line_stride_((size_t)m->bytes));
        uint64_t word = ck_pr_load_64(at);
        int alone = (m->how & IPC_MPMC_ONE_CONSUMER) != 0;

        if (ipc_mpmc_state_(word) == IPC_MPMC_FULL_)
            break;             /* one consumer: the message is still there */
        ck_pr_fence_release(); /* as in ipc_mpmc_free_dead_holder_ */
        /* A consumer that is alone puts the message back in its place, where its successor begins.
         * The hint comes first: a FULL behind the successor would stay there for good. */
        if (alone && ipc_mpmc_state_(word) == IPC_MPMC_READING_) {
            ck_pr_store_64(&m->ring->head, m->held_position);
            if (ck_pr_cas_64(at, word, (word & ~(IPC_MPMC_LAP_ - 1)) + IPC_MPMC_FULL_))
                break;
            continue;
        }
        if (ck_pr_cas_64(at, word, (word & ~(IPC_MPMC_LAP_ - 1)) + IPC_MPMC_AGAIN_)) {
            ck_pr_fence_release(); /* as the second one in ipc_mpmc_free_dead_holder_ */
            (void)ck_pr_faa_64(&m->ring->again, 1);
            break;
        }
    }
    ipc_mpmc_leave_(m);
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_mpmc_producer_error(const struct ipc_mpmc_producer *p)
{
    return p->m.error;
}

IPC_INLINE int ipc_mpmc_consumer_error(const struct ipc_mpmc_consumer *c)
{
    return c->m.error;
}

/* About how many messages were there, or claimed to be, at some moment during the call: by the
 * hints, which lag by up to 16 for each other handle, and without those handed out again that others
 * have gone past. 0 for a handle that was refused. Wait-free,
 * and touches lines that others write: for monitoring, not for each message. */
IPC_INLINE uint64_t ipc_mpmc_producer_was_size(const struct ipc_mpmc_producer *p)
{
    const struct ipc_mpmc *m = &p->m;

    if (m->ring == NULL)
        return 0;
    return ipc_mpmc_was_size_(m, ipc_mpmc_further_(m, &m->ring->tail),
                              ck_pr_load_64(&m->ring->head));
}

IPC_INLINE uint64_t ipc_mpmc_consumer_was_size(const struct ipc_mpmc_consumer *c)
{
    const struct ipc_mpmc *m = &c->m;

    if (m->ring == NULL)
        return 0;
    return ipc_mpmc_was_size_(m, ck_pr_load_64(&m->ring->tail),
                              ipc_mpmc_further_(m, &m->ring->head));
}

/* Messages that were lost with killed processes, or handed out again, also by a consumer's detach;
 * zeros for a handle that was refused. Wait-free. */
IPC_INLINE struct ipc_mpmc_losses ipc_mpmc_producer_losses(const struct ipc_mpmc_producer *p)
{
    return ipc_mpmc_losses_(&p->m);
}

IPC_INLINE struct ipc_mpmc_losses ipc_mpmc_consumer_losses(const struct ipc_mpmc_consumer *c)
{
    return ipc_mpmc_losses_(&c->m);
}

#endif
