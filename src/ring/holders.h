/* Monitoring: which process holds what of a ring, for a process that takes no end of it. */
#ifndef IPC_SRC_RING_HOLDERS_H
#define IPC_SRC_RING_HOLDERS_H 1

#include "monitor.h"

/* ------------------------------------------------------------------ holders */

/* What a process can hold. What the producer of a ring with one at an end has claimed, and its
 * consumer has peeked, is in their own memory: only the holders of such ends are known. Readers of
 * a lossy broadcast store nothing, and are not known at all. */
enum ipc_ring_held {
    IPC_HOLDS_PRODUCER,     /* the end of the only producer, or the writer */
    IPC_HOLDS_CONSUMER,     /* the end of the only consumer */
    IPC_HOLDS_LANE,         /* records: the lane of one of several producers */
    IPC_HOLDS_READER,       /* a lossless broadcast: the seat of a reader */
    IPC_HOLDS_HANDLE,       /* MPMC: the seat of an attached handle, of either end */
    IPC_HOLDS_SERVER,       /* calls: the seat of a server */
    IPC_HOLDS_CALLER,       /* calls: the slot of a caller, which has no request under way */
    IPC_HOLDS_REQUEST,      /* calls: the same, with a request that was not answered yet */
    IPC_HOLDS_CALL,         /* calls: a server has taken the request of a slot */
    IPC_HOLDS_WRITING,      /* MPMC, lossy broadcasts: slots that a message is written to */
    IPC_HOLDS_READING,      /* MPMC: slots whose messages were peeked */
    IPC_HOLDS_LATE_WRITING, /* MPMC: the same two, of a holder that others have passed over, */
    IPC_HOLDS_LATE_READING, /*       as it has not moved */
    IPC_HOLDS_KINDS
};

/* One thing that a process holds. */
struct ipc_ring_hold {
    uint64_t id; /* the process, for struct ipc_peer's alive; ~0: one without an ipc_peer; 0: a
                    handle that was detached, whose seat may have another holder now */
    enum ipc_ring_held what;
    uint64_t place;  /* which lane, seat or slot, from 0 on; of an end 0 */
    uint64_t count;  /* of slots: how many, in a row; else 1 */
    uint64_t behind; /* a lane: bytes that the consumer has not published as taken. A reader: messages
                        that it has before it. Slots: how many messages were sent since, but 0 where
                        others have passed over the holder */
    uint64_t mark;   /* another one for another hold of the same place, with great likelihood */
    size_t bell;     /* a caller's: where in the memory its bell is; else 0 */
};

#define IPC_RING_LOOKS_ 65536u /* places that one call looks at */

/* An end, lane or seat: is it held? */
IPC_INLINE int ipc_holders_end_(struct ipc_ring_hold *h, enum ipc_ring_held what, uint64_t id)
{
    h->what = what;
    h->id = h->mark = id;
    return id != 0;
}

/* The two ends, and with lanes: those of several producers behind them. */
IPC_INLINE int ipc_holders_ends_(const struct ipc_monitor_ *m, uint64_t place,
                                 struct ipc_ring_hold *h)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)m->mem;
    uint64_t head;

    if (place == 0)
        return ipc_holders_end_(h, IPC_HOLDS_PRODUCER, m->s.producer);
    if (place == 1)
        return ipc_holders_end_(h, IPC_HOLDS_CONSUMER, m->s.consumer);
    h->place = place - 2;
    if (!ipc_holders_end_(h, IPC_HOLDS_LANE,
                          ck_pr_load_64(ipc_record_holder_(r, m->seats, (unsigned)h->place))))
        return 0;
    h->behind = ipc_monitor_lane_(m, (unsigned)h->place, &head);
    return 1;
}

/* A writer, the slot that it is writing, and the seats of readers. */
IPC_INLINE int ipc_holders_broadcast_(const struct ipc_monitor_ *m, uint64_t place,
                                      struct ipc_ring_hold *h)
{
    const struct ipc_broadcast_seats_ *seats = &m->parts.seats;
    uint64_t at = m->s.sent, head, word;
    size_t stride;

    if (place == 0)
        return ipc_holders_end_(h, IPC_HOLDS_PRODUCER, m->s.producer);
    if (place == 1 && (m->magic != IPC_BROADCAST_MAGIC || m->parts.how != IPC_BROADCAST_LOSSY))
        return 0;
    if (place == 1) {
        stride = ipc_ring_stride_((size_t)m->s.bytes);
        word = ck_pr_load_64(ipc_ring_sequence_(
            ipc_ring_slot_(m->parts.slots, m->s.capacity - 1, at, stride), stride));
        (void)ipc_holders_end_(h, IPC_HOLDS_WRITING, m->s.producer);
        h->place = at & (m->s.capacity - 1);
        h->mark = word;
        return word == (IPC_BROADCAST_BUSY_ | (at + 1));
    }
    h->place = place - 2;
    head = ipc_broadcast_find_position_(seats, (unsigned)h->place, &word);
    if (!ipc_holders_end_(h, IPC_HOLDS_READER, word))
        return 0;
    h->behind = head < IPC_BROADCAST_NOWHERE_
                    ? ipc_monitor_between_(head, m->s.sent, m->s.capacity)
                    : 0;
    return 1;
}

/* The slots that the word of an MPMC ring's slot says are held. */
IPC_INLINE int ipc_holders_slot_(const struct ipc_monitor_ *m, uint64_t slot,
                                 struct ipc_ring_hold *h)
{
    const struct ipc_mpmc_shared *r = (const struct ipc_mpmc_shared *)m->mem;
    const struct ipc_ring_seat_ *seats = (const struct ipc_ring_seat_ *)(r + 1), *seat;
    size_t stride = ipc_ring_line_stride_((size_t)m->s.bytes);
    size_t header = ipc_mpmc_kind_((size_t)m->s.bytes, m->s.how).header;
    unsigned char *slots = (unsigned char *)m->mem + header;
    uint64_t word = ck_pr_load_64(ipc_ring_sequence_(slots + slot * stride, stride)), named;
    int64_t laps; /* as in ipc_mpmc_position_of_ */

    h->place = slot;
    h->count = ipc_mpmc_run_length_(word);
    h->mark = word;
    switch (ipc_mpmc_state_(word)) {
    case IPC_MPMC_WRITING_:
        h->what = IPC_HOLDS_WRITING;
        break;
    case IPC_MPMC_READING_:
        h->what = IPC_HOLDS_READING;
        break;
    case IPC_MPMC_LATE_WRITER_:
        h->what = IPC_HOLDS_LATE_WRITING;
        break;
    case IPC_MPMC_LATE_READER_:
        h->what = IPC_HOLDS_LATE_READING;
        break;
    default:
        return 0;
    }
    if (h->what >= IPC_HOLDS_LATE_WRITING) {
        h->mark = word % IPC_MPMC_LAP_; /* each lap stamps its number on the word */
    } else {
        laps = (int64_t)(m->s.sent / m->s.capacity * IPC_MPMC_LAP_ - (word & ~(IPC_MPMC_LAP_ - 1))) /
               (int64_t)IPC_MPMC_LAP_;
        h->behind = ipc_monitor_between_(
            slot + h->count, m->s.sent % m->s.capacity + (uint64_t)laps * m->s.capacity,
            2 * m->s.capacity);
    }
    named = word / IPC_MPMC_NAME_ % IPC_RING_SEATS_MAX;
    seat = &seats[named < m->seats ? named : 0];
    /* Without it the seat could be older than the word. Partner: in ipc_mpmc_take_seat_. */
    ck_pr_fence_load(); /* no twin */
    h->id = ck_pr_load_64(&seat->named);
    if (named >= m->seats || ck_pr_load_64(&seat->generation) % 256 !=
                                 word / IPC_MPMC_NAME_ / IPC_RING_SEATS_MAX % 256)
        h->id = 0;
    return 1;
}

/* Ends that only one can hold, seats of handles, slots. */
IPC_INLINE int ipc_holders_mpmc_(const struct ipc_monitor_ *m, uint64_t place,
                                 struct ipc_ring_hold *h)
{
    const struct ipc_mpmc_shared *r = (const struct ipc_mpmc_shared *)m->mem;
    const struct ipc_ring_seat_ *seats = (const struct ipc_ring_seat_ *)(r + 1);

    if (place < 2)
        return ipc_holders_ends_(m, place, h);
    if (place - 2 >= m->seats)
        return ipc_holders_slot_(m, place - 2 - m->seats, h);
    h->place = place - 2;
    if (!ipc_holders_end_(h, IPC_HOLDS_HANDLE, ck_pr_load_64(&seats[h->place].id)))
        return 0;
    h->mark = ck_pr_load_64(&seats[h->place].generation);
    return 1;
}

/* Seats of servers; for each slot its caller, and the server that has it. */
IPC_INLINE int ipc_holders_calls_(const struct ipc_monitor_ *m, uint64_t place,
                                  struct ipc_ring_hold *h)
{
    const struct ipc_call_shared *r = (const struct ipc_call_shared *)m->mem;
    const struct ipc_ring_seat_ *seat;
    unsigned char *slot;
    unsigned state;
    uint64_t word;
    int held;

    h->place = place;
    if (place < IPC_CALL_SERVERS)
        return ipc_holders_end_(h, IPC_HOLDS_SERVER, ck_pr_load_64(&r->seat[place].id));
    h->place = (place - IPC_CALL_SERVERS) / 2;
    slot = ipc_monitor_call_(m, h->place, &word);
    state = ipc_call_state_(word);
    if (place % 2 == 0) {
        held = ipc_holders_end_(h, IPC_HOLDS_CALLER, ck_pr_load_64(ipc_call_caller_(slot)));
        if (state == IPC_CALL_ASKED_ || state == IPC_CALL_TAKEN_) {
            h->what = IPC_HOLDS_REQUEST;
            h->mark = word / IPC_CALL_NUMBER_;
        }
        h->bell = (size_t)(slot - (unsigned char *)m->mem) + offsetof(struct ipc_call_slot_, bell);
        return held;
    }
    seat = &r->seat[word / IPC_CALL_NAME_ % IPC_CALL_SERVERS];
    /* Without it the seat could be older than the word. Partner: in ipc_call_server_attach. */
    ck_pr_fence_load(); /* no twin */
    (void)ipc_holders_end_(h, IPC_HOLDS_CALL, ck_pr_load_64(&seat->named));
    if ((uint32_t)ck_pr_load_64(&seat->generation) !=
        (uint32_t)(word / IPC_CALL_NAME_ / IPC_CALL_SERVERS))
        h->id = 0;
    h->mark = word & ~IPC_CALL_STATE_;
    return state == IPC_CALL_TAKEN_ || state == IPC_CALL_GIVEN_;
}

/* How many places the ring has that can be held. */
IPC_INLINE uint64_t ipc_holders_places_(const struct ipc_monitor_ *m)
{
    switch (m->magic) {
    case IPC_MPMC_MAGIC:
        return 2 + m->seats + m->s.capacity;
    case IPC_BROADCAST_MAGIC:
    case IPC_RECORD_BROADCAST_MAGIC:
        return 2 + (m->parts.how == IPC_BROADCAST_LOSSLESS
                        ? ipc_broadcast_seats_used_(&m->parts.seats)
                        : 0);
    case IPC_RECORD_MAGIC:
        return 2 + (m->seats > 1 ? m->seats : 0);
    case IPC_CALL_MAGIC:
        return IPC_CALL_SERVERS + 2 * m->used;
    default:
        return 2;
    }
}

IPC_INLINE int ipc_holders_at_(const struct ipc_monitor_ *m, uint64_t place,
                               struct ipc_ring_hold *h)
{
    memset(h, 0, sizeof *h);
    h->count = 1;
    switch (m->magic) {
    case IPC_MPMC_MAGIC:
        return ipc_holders_mpmc_(m, place, h);
    case IPC_BROADCAST_MAGIC:
    case IPC_RECORD_BROADCAST_MAGIC:
        return ipc_holders_broadcast_(m, place, h);
    case IPC_CALL_MAGIC:
        return ipc_holders_calls_(m, place, h);
    default:
        return ipc_holders_ends_(m, place, h);
    }
}

/*
 * Says which process holds what of the ring in mem[0..size): fills in up to n of `holds`. *from is
 * where to begin: 0 at first, then as the last call left it; UINT64_MAX: there is no more. One call
 * looks at 65,536 places at most, and so may find none before the end. For a monitor, and with the
 * same cost and safety, as ipc_ring_inspect. The memory does not say since when a hold lasts, but a
 * monitor that looks again, and finds the same `what`, `place`, `mark` and `id`, has seen it last.
 *
 *   >= 0     how many were filled in
 *   -EINVAL, -EAGAIN, -EPROTO, -EBADMSG  as of ipc_ring_inspect
 */
IPC_INLINE int ipc_ring_holders(void *mem, size_t size, uint64_t *from, struct ipc_ring_hold *holds,
                                unsigned n)
{
    struct ipc_monitor_ m;
    uint64_t place = *from, places, looks;
    unsigned found = 0;
    int rc = ipc_monitor_look_(&m, mem, size);

    if (rc != 0)
        return rc;
    places = ipc_holders_places_(&m);
    for (looks = 0; place < places && found < n && looks < IPC_RING_LOOKS_; place++, looks++)
        found += (unsigned)ipc_holders_at_(&m, place, &holds[found]);
    *from = place < places ? place : UINT64_MAX;
    return (int)found;
}

#endif
