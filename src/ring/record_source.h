/*
 * Records: from which producer a record is, and which producers have ended.
 *
 * Each lane remembers its last terms, and where the records of each begin: see record_lane.h. A
 * record is of the last term that begins at or before it. A term has ended when there is a next
 * one, or when the lane has another holder, or none, or one that is dead. All that was sent in it
 * has been taken when the consumer is where the next one begins, or else at a word 0.
 *
 * A term's place is used again 23 terms later. A consumer believes what it read there when
 * afterwards fewer than 23 terms have been counted since: a producer that overwrites it has seen
 * the count that says so.
 */
#ifndef IPC_SRC_RING_RECORD_SOURCE_H
#define IPC_SRC_RING_RECORD_SOURCE_H 1

#include "record_lane.h"

#define IPC_RECORD_NOWHERE_ UINT64_MAX /* at, where no record was found yet */

/* ------------------------------------------------------------------ records: terms */

/* How many terms there have been in a lane; those may be read now. */
IPC_INLINE uint64_t ipc_record_count_terms_(struct ipc_record_lane_ *l)
{
    uint64_t terms = ck_pr_load_64(&l->terms);

    /* Without it a term could be older than its count. Partner: the store fence in
     * ipc_record_begin_term_. */
    ck_pr_fence_load();
    return terms;
}

/* Reads the n-th term of a lane. Returns 0 if that is not remembered any more. */
IPC_INLINE int ipc_record_read_term_(struct ipc_record_lane_ *l, uint64_t n,
                                     struct ipc_record_term_ *t)
{
    t->id = ck_pr_load_64(&l->term[n % IPC_RECORD_TERMS_].id);
    t->from = ck_pr_load_64(&l->term[n % IPC_RECORD_TERMS_].from);
    /* Without it the term could be a later one in the same place, and the count be older. Partner:
     * the release fence in ipc_record_begin_term_. */
    ck_pr_fence_load();
    return ck_pr_load_64(&l->terms) - n < IPC_RECORD_TERMS_;
}

/* Does a term begin at or before a position? */
IPC_INLINE int ipc_record_began_(const struct ipc_record_term_ *t, uint64_t position)
{
    return (int64_t)(position - (t->from & ~UINT64_C(7))) >= 0;
}

/* Finds the term in which the record at that position was sent. Returns its number, and sets *id to
 * its process; or returns the oldest that is remembered, and sets *id to 0. */
IPC_INLINE uint64_t ipc_record_find_term_(struct ipc_record_lane_ *l, uint64_t position,
                                          uint64_t *id)
{
    uint64_t terms = ipc_record_count_terms_(l), n;
    struct ipc_record_term_ t;

    for (n = terms; n > 0 && terms - n < IPC_RECORD_TERMS_ - 1; n--) {
        if (!ipc_record_read_term_(l, n - 1, &t))
            break;
        if (ipc_record_began_(&t, position)) {
            *id = t.id;
            return n - 1;
        }
    }
    *id = 0;
    return n;
}

/* ------------------------------------------------------------------ records: terms of readers */

/* For ipc_channel.h: ends the producer's term in its lane, and begins the next one, with that id.
 * from: the tail, or where the last term began; and IPC_RECORD_ASKS_. In a ring of answers the id
 * is that of the process for which the records are from there on, or 0: the next one that reads. */
IPC_INLINE void ipc_record_next_term_(struct ipc_record_producer *p, uint64_t id, uint64_t from)
{
    (void)ck_pr_cas_64(p->from, p->begun, p->begun | IPC_RECORD_LEFT_);
    p->begun = from;
    p->from = ipc_record_begin_term_(p->lane, id, from);
}

/* Says of the producer's term that its process waits for answers. */
IPC_INLINE void ipc_record_ask_(struct ipc_record_producer *p)
{
    p->begun |= IPC_RECORD_ASKS_;
    ck_pr_store_64(p->from, p->begun); /* before its first record */
}

/* Of a ring of answers: goes to where the records for `id` begin, over those for others. 1; 0: it
 * has none yet, and must read nothing; or -EBADMSG, which sticks. */
IPC_INLINE int ipc_record_go_to_answers_(struct ipc_record_consumer *c, uint64_t id)
{
    struct ipc_record_lane_ *l = ipc_record_lane_at_((struct ipc_record_shared *)(void *)c->ring, 0);
    uint64_t terms = ipc_record_count_terms_(l), over;
    struct ipc_record_term_ t;

    if (terms == 0 || !ipc_record_read_term_(l, terms - 1, &t) || (t.id != id && t.id != 0))
        return 0;
    over = (t.from & ~UINT64_C(7)) - c->head;
    if ((int64_t)over <= 0)
        return 1;
    if (over > c->mask + 1)
        return ipc_record_fail_(c, -EBADMSG);
    c->head += over;
    c->run_start = c->head;
    ipc_record_publish_(c);
    return 1;
}

/* ------------------------------------------------------------------ records: sources */

/* Where the consumer is in a lane. */
IPC_INLINE uint64_t ipc_record_position_(const struct ipc_record_consumer *c, unsigned lane)
{
    return lane == c->lane ? c->head : c->heads[lane];
}

/* The word there: 0, if there is no record. */
IPC_INLINE uint64_t ipc_record_next_word_(const struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;

    return ck_pr_load_64(ipc_record_word_(ipc_record_data_(r, c->producers, lane, c->mask), c->mask,
                                          ipc_record_position_(c, lane)));
}

/*
 * Says from which producer the record is that pop, pop_n (the last one) or peek has given; or, when
 * the last thing that the consumer was told is that a producer has ended, which one that was. The
 * id is for struct ipc_peer's alive; processes without an ipc_peer all have ~0. A producer has its
 * lane for as long as it is attached, so the lane tells those apart that are attached at a time. A
 * lane remembers its last 22 producers: the id of a record of an earlier one is 0. Wait-free.
 *
 *   0
 *   -EINVAL  no record was given yet, or the consumer is not attached; *from is zeros
 */
IPC_INLINE int ipc_record_source(const struct ipc_record_consumer *c,
                                 struct ipc_record_sender *from)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;

    memset(from, 0, sizeof *from);
    if (c->ring == NULL || (c->at == IPC_RECORD_NOWHERE_ && (c->flags & IPC_RECORD_TOLD_) == 0))
        return -EINVAL;
    if ((c->flags & IPC_RECORD_TOLD_) != 0) {
        *from = c->ended;
        return 0;
    }
    from->lane = c->lane;
    from->late = c->merge.late;
    (void)ipc_record_find_term_(ipc_record_lane_at_(r, c->lane), c->at, &from->id);
    return 0;
}

/* ------------------------------------------------------------------ records: ended producers */

/* The first term in a lane whose end a new consumer reports: that of the next record, or else that
 * of the producer which is attached now. */
IPC_INLINE uint64_t ipc_record_first_to_report_(const struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    struct ipc_record_lane_ *l = ipc_record_lane_at_(r, lane);
    uint64_t holder = ck_pr_load_64(ipc_record_holder_(r, c->producers, lane)), terms, id;
    struct ipc_record_term_ t;

    if (ck_pr_load_64(ipc_record_word_(ipc_record_data_(r, c->producers, lane, c->mask), c->mask,
                                       c->heads[lane])) != 0) {
        /* Without it the terms could be counted before that of this record had begun: the end of
         * the one before would be reported again. Partner: the store fence in ipc_record_send_. */
        ck_pr_fence_load();
        return ipc_record_find_term_(l, c->heads[lane], &id);
    }
    terms = ipc_record_count_terms_(l);
    return terms > 0 && holder != 0 && !ipc_ring_is_dead_(c->alive, c->arg, holder) &&
                   ipc_record_read_term_(l, terms - 1, &t) && t.id == holder
               ? terms - 1
               : terms;
}

/* Asks the kernel whether the holder of a lane is dead, unless that is known. Returns 1 if that is
 * new. */
IPC_INLINE int ipc_record_find_dead_(struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    uint64_t holder = ck_pr_load_64(ipc_record_holder_(r, c->producers, lane));

    if (holder == 0 || holder == c->dead[lane] || !ipc_ring_is_dead_(c->alive, c->arg, holder))
        return 0;
    c->dead[lane] = holder;
    return 1;
}

/* Has the holder of a lane, whose term `t` is the last one, ended with nothing left to take? Reads
 * the term again, as a holder notes that it leaves. ask: the kernel, whether it is dead. */
IPC_INLINE int ipc_record_last_ended_(struct ipc_record_consumer *c, unsigned lane, uint64_t n,
                                      struct ipc_record_term_ *t, int ask)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    struct ipc_record_lane_ *l = ipc_record_lane_at_(r, lane);
    uint64_t holder;

    if (ask)
        (void)ipc_record_find_dead_(c, lane);
    holder = ck_pr_load_64(ipc_record_holder_(r, c->producers, lane));
    if (holder == t->id && holder != c->dead[lane])
        return 0;
    /* Without it the look for a record, or at the term, could be older than the end, and miss the
     * last record. Partner: ipc_ring_leave_end_; the kernel, if the producer was killed. */
    ck_pr_fence_load();
    return ipc_record_next_word_(c, lane) == 0 && ipc_record_read_term_(l, n, t) &&
           ck_pr_load_64(&l->terms) == n + 1;
}

/* Looks whether the next producer of a lane has ended, and all was taken that it sent. As
 * ipc_record_ended. */
IPC_INLINE int ipc_record_find_end_(struct ipc_record_consumer *c, unsigned lane, int ask)
{
    struct ipc_record_lane_ *l =
        ipc_record_lane_at_((struct ipc_record_shared *)(void *)c->ring, lane);
    uint64_t terms = ipc_record_count_terms_(l), n = c->reported[lane];
    struct ipc_record_term_ t, next;

    if (terms == n)
        return 0;
    if (terms - n >= IPC_RECORD_TERMS_) /* the ends of those before are not known any more */
        c->reported[lane] = n = terms - IPC_RECORD_TERMS_ + 1;
    if (!ipc_record_read_term_(l, n, &t))
        return 0;
    if (terms - n > 1) {
        if (!ipc_record_read_term_(l, n + 1, &next) ||
            !ipc_record_began_(&next, ipc_record_position_(c, lane)))
            return 0;
    } else if (!ipc_record_last_ended_(c, lane, n, &t, ask)) {
        return 0;
    }
    c->reported[lane] = n + 1;
    c->ended.id = t.id;
    c->ended.lane = lane;
    ipc_record_raise_(c, IPC_RECORD_TOLD_);
    return (t.from & IPC_RECORD_LEFT_) != 0 ? -EPIPE : -EOWNERDEAD;
}

/* Looks at all lanes, as ipc_record_find_end_. */
IPC_INLINE int ipc_record_find_any_end_(struct ipc_record_consumer *c, int ask)
{
    unsigned lane;
    int rc = 0;

    for (lane = 0; lane < c->producers && rc == 0; lane++)
        rc = ipc_record_find_end_(c, lane, ask);
    return rc;
}

/* The same, while a wait looks for a record and finds none. */
IPC_INLINE int ipc_record_watched_ended_(struct ipc_record_consumer *c)
{
    int rc;

    if ((c->flags & IPC_RECORD_WATCHES_) == 0)
        return 0;
    rc = ipc_record_find_any_end_(c, c->ask);
    c->ask &= rc != 0; /* the others are still to be asked for */
    return rc;
}

/*
 * Has a producer ended, all of whose records were taken? Each is reported once, if it was attached
 * when the consumer attached, or later, or left records for it; ipc_record_source says which it is.
 * If more than 22 came and went in one lane between two calls, the last 22 are reported.
 * Lock-free; asks the kernel for each producer that is attached, so it is not for the path of a
 * message.
 *
 *   0
 *   -EPIPE       a producer has detached
 *   -EOWNERDEAD  a producer was killed, or ended without detaching
 *   or the error of a handle that was refused, detached, or found the shared memory corrupt
 */
IPC_INLINE int ipc_record_ended(struct ipc_record_consumer *c)
{
    return c->ring == NULL || c->error != 0 ? c->error : ipc_record_find_any_end_(c, 1);
}

#endif
