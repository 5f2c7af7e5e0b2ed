/*
 * Records: merging, in the order of a number that producers put at the beginning of each record.
 *
 * The consumer hands out the record with the lowest number of those that are next in their lanes.
 * None with a lower one can come where each lane has a record, as the numbers of a producer never
 * go down. A lane is silent when it has none, but a producer that is not known to be dead: then the
 * consumer may have to wait.
 *
 *   state     becomes   when
 *   -------   -------   ------------------------------------------------------------------------
 *   no hold   hold      a lane is silent, and no lane's next record is ripe: notes in `seen` where
 *                       each lane ends, and the time
 *   hold      no hold   `patience` has passed since: all that was seen is ripe
 *   any       any       no lane is silent, or a record is ripe: the lowest one is handed out
 *
 * So a record waits for two times `patience` at most: once for a hold that had begun before it
 * came. One that is sent later than a higher number became visible is not late if it comes within
 * `patience`.
 */
#ifndef IPC_SRC_RING_RECORD_MERGE_H
#define IPC_SRC_RING_RECORD_MERGE_H 1

#include "record_source.h"

#define IPC_RECORD_ASK_EVERY_ 1000000 /* nanoseconds between questions to the kernel, in a hold */

/* Reads the number of a lane's next record. 1; 0: there is no record; or -EBADMSG. */
IPC_INLINE int ipc_record_read_number_(struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    struct ipc_record_merge_ *m = &c->merge;
    uint64_t word, at = 0;
    unsigned char *data;

    if ((m->known >> lane & 1) != 0)
        return 1;
    word = ipc_record_next_word_(c, lane);
    if (word == 0)
        return 0;
    /* Without it the number could be read before the record is there. Partner: the store fence in
     * ipc_record_send_. */
    ck_pr_fence_load();
    data = ipc_record_data_(r, c->producers, lane, c->mask);
    if (ipc_record_measure_(data, c->mask, ipc_record_position_(c, lane), &word, &at) == 0)
        return -EBADMSG;
    m->number[lane] = 0;
    if (word >> IPC_RECORD_LENGTH_ >= sizeof m->number[lane])
        m->number[lane] = ck_pr_load_64(ipc_record_word_(data, c->mask, at + 8));
    m->known |= UINT64_C(1) << lane;
    return 1;
}

/* As ipc_record_read_number_; -EAGAIN: there is no record, but a producer that is not known to be
 * dead. */
IPC_INLINE int ipc_record_look_at_lane_(struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    int rc = ipc_record_read_number_(c, lane);
    uint64_t holder;

    if (rc != 0)
        return rc;
    holder = ck_pr_load_64(ipc_record_holder_(r, c->producers, lane));
    if (holder != 0 && holder != c->dead[lane])
        return -EAGAIN;
    /* Without it the lane could have been looked at before its last record came and its producer
     * ended. Partner: ipc_ring_leave_end_; the kernel, if the producer was killed. */
    ck_pr_fence_load();
    return ipc_record_read_number_(c, lane);
}

/* What the consumer sees in all lanes. */
struct ipc_record_sight_ {
    unsigned lane; /* that has the lowest number; or `producers`: there is no record */
    int silent;    /* a lane is */
    int ripe;      /* a record is */
};

/* 0, or -EBADMSG. */
IPC_INLINE int ipc_record_look_at_lanes_(struct ipc_record_consumer *c, struct ipc_record_sight_ *s)
{
    struct ipc_record_merge_ *m = &c->merge;
    unsigned i;

    s->lane = c->producers;
    s->silent = s->ripe = 0;
    for (i = 0; i < c->producers; i++) {
        int rc = ipc_record_look_at_lane_(c, i);

        if (rc == -EBADMSG)
            return rc;
        s->silent |= rc == -EAGAIN;
        if (rc != 1)
            continue;
        s->ripe |= (int64_t)(m->ripe[i] - ipc_record_position_(c, i)) > 0;
        if (s->lane == c->producers || m->number[i] < m->number[s->lane])
            s->lane = i;
    }
    return 0;
}

/* Begins a hold: notes where each lane ends. 0, or -EBADMSG. */
IPC_INLINE int ipc_record_begin_hold_(struct ipc_record_consumer *c, int64_t now)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    struct ipc_record_merge_ *m = &c->merge;
    uint64_t count = 0;
    unsigned i;
    int rc = 0;

    for (i = 0; i < c->producers && rc == 0; i++) {
        uint64_t position = ipc_record_position_(c, i);

        if ((int64_t)(m->seen[i] - position) < 0)
            m->seen[i] = position;
        rc = ipc_record_walk_to_end_(ipc_record_data_(r, c->producers, i, c->mask), c->mask,
                                     &m->seen[i], &count);
    }
    m->ripe_at = m->patience < INT64_MAX - now ? now + m->patience : INT64_MAX;
    return rc;
}

/* A lane is silent, and nothing is ripe. 1: look again; 0: wait; or -EBADMSG. */
IPC_INLINE int ipc_record_hold_(struct ipc_record_consumer *c)
{
    struct ipc_record_merge_ *m = &c->merge;
    int64_t now = m->clock();
    int again = 0;
    unsigned i;

    if (now - m->asked_at >= IPC_RECORD_ASK_EVERY_) {
        m->asked_at = now;
        for (i = 0; i < c->producers; i++)
            again |= ipc_record_find_dead_(c, i);
    }
    if (m->ripe_at == 0)
        return again ? 1 : ipc_record_begin_hold_(c, now);
    if (now < m->ripe_at)
        return again;
    memcpy(m->ripe, m->seen, sizeof m->ripe);
    m->ripe_at = 0;
    return 1;
}

/* Goes to the lane whose record is to be handed out. 0, -EAGAIN or -EBADMSG. */
IPC_INLINE int ipc_record_choose_lane_(struct ipc_record_consumer *c)
{
    struct ipc_record_merge_ *m = &c->merge;
    struct ipc_record_sight_ s;
    int rc;

    if (c->peeked != 0)
        return 0; /* it was found before, and not released */
    m->known &= ~(UINT64_C(1) << c->lane);
    for (;;) { /* three times at most: a death, the end of a hold, the next hold */
        if ((rc = ipc_record_look_at_lanes_(c, &s)) != 0)
            return rc;
        if (s.lane == c->producers) {
            m->ripe_at = 0;
            return -EAGAIN;
        }
        if (m->patience == 0 || !s.silent || s.ripe)
            break;
        if ((rc = ipc_record_hold_(c)) <= 0)
            return rc < 0 ? rc : -EAGAIN;
    }
    if (s.lane != c->lane)
        ipc_record_go_to_lane_(c, s.lane);
    m->late = m->number[s.lane] < m->latest;
    if (!m->late)
        m->latest = m->number[s.lane];
    return 0;
}

/*
 * From now on the records of all lanes are handed out in the order of their numbers: of the first 8
 * bytes of each, a uint64_t of the machine's byte order, which producers put there: a time, or a
 * count that they share. A record that is shorter has the number 0. The numbers of each producer
 * must not go down. The cost is the consumer's: it looks at all lanes for each record, and
 * publishes each record (as with ipc_record_replay of 0).
 *
 * patience: for how many nanoseconds, from 0 on, the consumer waits for a lane that has a producer,
 * but no record. Meanwhile pop says -EAGAIN and peek NULL, and recv and consumer_wait sleep. A
 * record that comes within that time after one with a higher number is handed out before that.
 * Records are held back for two times `patience` at most, and not at all while each lane has one.
 * With 0, or when a producer was stopped for longer between number and push, a record may come
 * after one with a higher number: ipc_record_source says that it is late. With INT64_MAX none is
 * ever late, and a stopped producer stops the consumer.
 *
 * A producer that is dead, or has left, is not waited for, nor is one that has not attached yet:
 * its first records may be late. In a hold the kernel is asked for dead ones, once a millisecond.
 *
 * clock: returns the time in nanoseconds, and never goes back; ipc_clock, where another header has
 * it. It may be NULL where patience is 0. Wait-free; to be called right after attach, or later, and
 * again to change patience.
 */
IPC_INLINE void ipc_record_merge(struct ipc_record_consumer *c, int64_t patience,
                                 int64_t (*clock)(void))
{
    unsigned i;

    if (c->ring == NULL || (ipc_ring_is_forked_(&c->self) && ipc_ring_settle_(&c->self, c) < 0))
        return;
    c->merge.patience = patience > 0 && clock != NULL ? patience : 0;
    c->merge.clock = clock;
    c->merge.ripe_at = 0;
    if ((c->flags & IPC_RECORD_MERGES_) != 0)
        return;
    c->replay = 0;
    ipc_record_publish_(c);
    for (i = 0; i < c->producers; i++)
        c->merge.seen[i] = c->merge.ripe[i] = ipc_record_position_(c, i);
    ipc_record_raise_(c, IPC_RECORD_MERGES_);
}

/* When a wait until `deadline` has to look again: at the end of a hold. */
IPC_INLINE int64_t ipc_record_look_again_at_(const struct ipc_record_consumer *c, int64_t deadline)
{
    return c->merge.ripe_at != 0 && c->merge.ripe_at < deadline ? c->merge.ripe_at : deadline;
}

/* A wait looks; died: any process may have died. */
IPC_INLINE void ipc_record_note_death_(struct ipc_record_consumer *c, int died)
{
    if (died) {
        c->ask = 1;
        c->merge.asked_at = 0;
    }
}

#endif
