/* Monitoring: what a ring is, and how full, for a process that takes no end of it. */
#ifndef IPC_SRC_RING_MONITOR_H
#define IPC_SRC_RING_MONITOR_H 1

#include "call.h"
#include "mpmc.h"
#include "record_broadcast.h"
#include "stream.h"

/* ------------------------------------------------------------------ monitoring */

/* What ipc_ring_inspect found. Messages are the elements of a stream; of records and broadcasts of
 * records they are bytes, with the word before each record. */
struct ipc_ring_status {
    const char *kind;      /* "SPSC", "MPMC", "broadcast", "records", "record broadcast", "stream"
                              or "calls" */
    uint64_t bytes;        /* of one message, or request; 1 of records */
    uint64_t capacity;     /* messages; of records, for each producer; of calls: slots */
    uint32_t how;          /* as it was made; of a stream its own; of calls bytes of a reply */
    uint32_t version;      /* of the message type, where one was given; else 0 */
    uint64_t sent;         /* messages since the ring was made. MPMC: positions, so with each slot that
                              was cancelled, or left out of a lap as its holder was slow or dead.
                              Calls: modulo 2^23 */
    uint64_t size;         /* of these, how many the consumer, or the slowest reader, has not
                              published as taken. MPMC: with those that are being written, or
                              were handed out again. Lossy: 0. Calls: those under way */
    uint64_t producer;     /* the id of the process that holds an end that only one can hold, for */
    uint64_t consumer;     /* struct ipc_peer's alive; ~0: one without an ipc_peer; 0: none */
    unsigned readers;      /* of a lossless broadcast, as ipc_broadcast_was_readers */
    uint64_t slowest;      /* which of them is furthest behind, as ipc_broadcast_was_slowest */
    struct ipc_mpmc_losses losses; /* MPMC: lost, and handed out again */
    /* Where in the memory two bells are, for ipc_notify_was_asleep. Consumers, readers and servers
     * sleep on the first; producers, and callers that wait for a slot, on the second. */
    size_t bell[2];
};

/* A ring that is looked at, and what was checked of it: that is not read from the memory again. */
struct ipc_monitor_ {
    void *mem;
    size_t size;
    uint64_t magic;
    struct ipc_ring_status s;
    struct ipc_broadcast_parts_ parts; /* of broadcasts */
    unsigned seats;                    /* MPMC: for handles; records: lanes */
    uint64_t head;                     /* MPMC: where consumers are */
    uint64_t used;                     /* calls: slots that have had a caller */
};

/* How many positions are from head to tail: 0 to `most`, whatever the memory says. */
IPC_INLINE uint64_t ipc_monitor_between_(uint64_t head, uint64_t tail, uint64_t most)
{
    int64_t size = (int64_t)(tail - head);

    return size < 0 ? 0 : (uint64_t)size < most ? (uint64_t)size : most;
}

/* The bells and ends that rings have at the same places as those of SPSC. */
IPC_INLINE void ipc_monitor_ends_(struct ipc_monitor_ *m, const struct ipc_spsc_shared *r)
{
    m->s.producer = ck_pr_load_64(&r->end[0]);
    m->s.consumer = ck_pr_load_64(&r->end[1]);
    m->s.bell[0] = offsetof(struct ipc_spsc_shared, data_bell);
    m->s.bell[1] = offsetof(struct ipc_spsc_shared, space_bell);
}

IPC_INLINE int ipc_monitor_spsc_(struct ipc_monitor_ *m)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_ring_kind_ kind = ipc_spsc_kind_((size_t)s->bytes);
    int rc = ipc_ring_check_reader_(r, m->size, &kind, (size_t)s->bytes, NULL, &s->capacity);

    if (rc != 0)
        return rc;
    s->kind = "SPSC";
    ipc_monitor_ends_(m, r);
    s->sent = ck_pr_load_64(&r->head);
    s->size = ipc_spsc_count_full_((unsigned char *)(r + 1), s->capacity - 1, s->sent, kind.stride);
    s->sent += s->size;
    return 0;
}

/* Where one end of an MPMC ring is: hints lag, so goes on from that over what is done with. */
IPC_INLINE uint64_t ipc_monitor_position_(const struct ipc_monitor_ *m, const struct ipc_mpmc *look,
                                          uint64_t hint, int producer)
{
    size_t stride = ipc_ring_line_stride_((size_t)m->s.bytes);
    uint64_t p, word;

    for (p = hint; p - hint < m->s.capacity; p += ipc_mpmc_positions_of_(word)) {
        enum ipc_mpmc_verdict_ verdict;

        word = ck_pr_load_64(ipc_mpmc_word_(look, p, stride));
        verdict = producer ? ipc_mpmc_judge_for_producer_(look, p, word)
                           : ipc_mpmc_judge_for_consumer_(look, p, word);
        if (verdict != IPC_MPMC_DONE_)
            break;
    }
    return p;
}

IPC_INLINE int ipc_monitor_mpmc_(struct ipc_monitor_ *m)
{
    struct ipc_mpmc_shared *r = (struct ipc_mpmc_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_ring_kind_ kind = ipc_mpmc_kind_((size_t)s->bytes, IPC_MPMC_HANDLES(1));
    struct ipc_mpmc look; /* as far as the words of slots are judged by it */
    int rc = ipc_ring_check_reader_(r, m->size, &kind, (size_t)s->bytes, NULL, &s->capacity);

    if (rc == 0) /* 0 of a `how` that is none */
        rc = ipc_ring_check_size_(NULL, m->size,
                                  ipc_mpmc_footprint((size_t)s->bytes, s->capacity, s->how), s->how);
    if (rc != 0)
        return rc;
    s->kind = "MPMC";
    m->seats = ipc_ring_seats_of_(s->how, IPC_MPMC_SEATS);
    s->producer = ck_pr_load_64(&r->end[0]);
    s->consumer = ck_pr_load_64(&r->end[1]);
    s->bell[0] = offsetof(struct ipc_mpmc_shared, data_bell);
    s->bell[1] = offsetof(struct ipc_mpmc_shared, space_bell);
    s->losses.aborted = ck_pr_load_64(&r->aborted);
    s->losses.lost = ck_pr_load_64(&r->lost);
    s->losses.again = ck_pr_load_64(&r->again);
    memset(&look, 0, sizeof look);
    look.slots = (unsigned char *)m->mem + ipc_mpmc_kind_((size_t)s->bytes, s->how).header;
    look.mask = s->capacity - 1;
    while (UINT64_C(1) << look.shift < s->capacity)
        look.shift++;
    m->head = ipc_monitor_position_(m, &look, ck_pr_load_64(&r->head), 0);
    s->sent = ipc_monitor_position_(m, &look, ck_pr_load_64(&r->tail), 1);
    s->size = ipc_monitor_between_(m->head, s->sent, s->capacity);
    return 0;
}

/* How many messages of an MPMC ring that were handed out again are behind the head, which has passed
 * them. */
IPC_INLINE uint64_t ipc_monitor_again_(const struct ipc_monitor_ *m)
{
    size_t stride = ipc_ring_line_stride_((size_t)m->s.bytes);
    size_t header = ipc_mpmc_kind_((size_t)m->s.bytes, m->s.how).header;
    unsigned char *slots = (unsigned char *)m->mem + header;
    uint64_t i, word, count = 0;
    int64_t laps; /* as in ipc_mpmc_position_of_ */

    for (i = 0; m->s.losses.again > 0 && i < m->s.capacity; i++) {
        word = ck_pr_load_64(ipc_ring_sequence_(slots + i * stride, stride));
        laps = (int64_t)((word & ~(IPC_MPMC_LAP_ - 1)) - m->head / m->s.capacity * IPC_MPMC_LAP_);
        count += ipc_mpmc_state_(word) == IPC_MPMC_AGAIN_ &&
                 (laps < 0 || (laps == 0 && i < m->head % m->s.capacity));
    }
    return count;
}

IPC_INLINE int ipc_monitor_stream_(struct ipc_monitor_ *m)
{
    struct ipc_stream_shared *r = (struct ipc_stream_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_ring_kind_ kind = ipc_stream_kind_((size_t)s->bytes);
    int rc = ipc_ring_check_reader_(r, m->size, &kind, (size_t)s->bytes, NULL, &s->capacity);

    if (rc != 0)
        return rc;
    s->kind = "stream";
    s->producer = ck_pr_load_64(&r->end[0]);
    s->consumer = ck_pr_load_64(&r->end[1]);
    s->bell[0] = offsetof(struct ipc_stream_shared, data_bell);
    s->bell[1] = offsetof(struct ipc_stream_shared, space_bell);
    s->size = ck_pr_load_64(&r->head);
    /* Without it the tail could be older than the head, and the size below 0. Partner: the release
     * fence of a producer, and that of the consumer which has seen its elements. */
    ck_pr_fence_load(); /* no twin */
    s->sent = ck_pr_load_64(&r->tail);
    s->size = ipc_monitor_between_(s->size, s->sent, s->capacity);
    return 0;
}

/* What the readers of a lossless broadcast have before them, whose tail is s->sent. */
IPC_INLINE void ipc_monitor_readers_(struct ipc_monitor_ *m)
{
    struct ipc_broadcast_readers_ readers =
        ipc_broadcast_list_readers_(&m->parts.seats, NULL, m->s.sent);

    if (m->parts.how != IPC_BROADCAST_LOSSLESS)
        return;
    m->s.readers = ipc_broadcast_count_readers_(&readers);
    m->s.size =
        ipc_broadcast_find_most_behind_(&readers, m->s.sent, m->s.capacity, &m->s.slowest);
}

IPC_INLINE int ipc_monitor_broadcast_(struct ipc_monitor_ *m)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_((size_t)s->bytes, IPC_BROADCAST_READERS(1));
    int rc = ipc_broadcast_check_(r, m->size, kind, sizeof *r, (size_t)s->bytes, NULL, 1,
                                  &m->parts);

    if (rc != 0)
        return rc;
    s->kind = "broadcast";
    s->capacity = m->parts.capacity;
    ipc_monitor_ends_(m, &r->s);
    s->consumer = 0;
    s->sent = ck_pr_load_64(&r->s.head);
    s->sent += ipc_spsc_count_full_(m->parts.slots, s->capacity - 1, s->sent, kind.stride);
    ipc_monitor_readers_(m);
    return 0;
}

IPC_INLINE int ipc_monitor_record_broadcast_(struct ipc_monitor_ *m)
{
    struct ipc_record_broadcast_shared *r = (struct ipc_record_broadcast_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_record_broadcast_mark_ mark;
    uint64_t marks, count = 0;
    int rc = ipc_record_broadcast_check_(r, m->size, NULL, 1, &m->parts);

    mark.tail = 0;
    if (rc == 0 && m->parts.how == IPC_BROADCAST_LOSSY)
        rc = ipc_record_broadcast_read_mark_(r, &mark, &marks);
    if (rc != 0)
        return rc;
    s->kind = "record broadcast";
    s->capacity = m->parts.capacity;
    ipc_monitor_ends_(m, &r->c.s);
    s->consumer = 0;
    s->sent = m->parts.how == IPC_BROADCAST_LOSSY ? mark.tail : ck_pr_load_64(&r->c.s.head);
    /* What is not whole was overwritten meanwhile: the walk ends there. */
    (void)ipc_record_walk_to_end_(m->parts.slots, s->capacity - 1, &s->sent, &count);
    ipc_monitor_readers_(m);
    return 0;
}

/* How many bytes of records a lane has, from *head on, which the consumer has published. */
IPC_INLINE uint64_t ipc_monitor_lane_(const struct ipc_monitor_ *m, unsigned lane, uint64_t *head)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)m->mem;
    uint64_t count = 0, tail = *head = ck_pr_load_64(ipc_record_head_(r, m->seats, lane));

    /* Without it the records could be older than the head. Partner: the fence in
     * ipc_record_publish_. */
    ck_pr_fence_load(); /* no twin */
    (void)ipc_record_walk_to_end_(ipc_record_data_(r, m->seats, lane, m->s.capacity - 1),
                                  m->s.capacity - 1, &tail, &count);
    return tail - *head;
}

IPC_INLINE int ipc_monitor_records_(struct ipc_monitor_ *m)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)m->mem;
    unsigned i;
    int rc = ipc_record_check_(r, m->size, NULL, &m->s.capacity, &m->seats);

    if (rc != 0)
        return rc;
    m->s.kind = "records";
    ipc_monitor_ends_(m, &r->s);
    m->s.producer = m->seats == 1 ? m->s.producer : 0;
    for (i = 0; i < m->seats; i++) {
        uint64_t head, bytes = ipc_monitor_lane_(m, i, &head);

        m->s.size += bytes;
        m->s.sent += head + bytes;
    }
    return 0;
}

/* The slot of a call, and its word. */
IPC_INLINE unsigned char *ipc_monitor_call_(const struct ipc_monitor_ *m, uint64_t i, uint64_t *word)
{
    size_t stride = ipc_call_stride_((size_t)m->s.bytes, m->s.how);
    unsigned char *slot = (unsigned char *)m->mem + sizeof(struct ipc_call_shared) + i * stride;

    *word = ck_pr_load_64(ipc_ring_sequence_(slot, stride));
    return slot;
}

IPC_INLINE int ipc_monitor_calls_(struct ipc_monitor_ *m)
{
    struct ipc_call_shared *r = (struct ipc_call_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    uint64_t word, i;
    int rc = ipc_call_check_(r, m->size, (size_t)s->bytes, s->how, NULL, &s->capacity);

    if (rc != 0)
        return rc;
    s->kind = "calls";
    s->bell[0] = offsetof(struct ipc_call_shared, server_bell);
    s->bell[1] = offsetof(struct ipc_call_shared, slot_bell);
    m->used = ck_pr_load_64(&r->used);
    m->used = m->used < s->capacity ? m->used : s->capacity;
    for (i = 0; i < m->used; i++) {
        (void)ipc_monitor_call_(m, i, &word);
        s->sent += word / IPC_CALL_NUMBER_;
        s->size += ipc_call_state_(word) == IPC_CALL_ASKED_ ||
                   ipc_call_state_(word) == IPC_CALL_TAKEN_;
    }
    s->sent %= UINT64_MAX / IPC_CALL_NUMBER_ + 1;
    return 0;
}

/* As ipc_ring_inspect, into m->s; and what else was checked. */
IPC_INLINE int ipc_monitor_look_(struct ipc_monitor_ *m, void *mem, size_t size)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;

    memset(m, 0, sizeof *m);
    if (!ipc_ring_aligned_(mem) || size < sizeof *r)
        return -EINVAL;
    m->mem = mem;
    m->size = size;
    m->magic = ck_pr_load_64(&r->magic);
    /* Without it the fields could be older than the magic, of which the next look sees a later one.
     * Partner: in ipc_ring_init_. */
    ck_pr_fence_load(); /* no twin */
    m->s.bytes = ck_pr_load_64(&r->bytes);
    m->s.how = ck_pr_load_32(&r->how);
    m->s.version = ck_pr_load_32(&r->version);
    switch (m->magic) {
    case IPC_SPSC_MAGIC:
        return ipc_monitor_spsc_(m);
    case IPC_MPMC_MAGIC:
        return ipc_monitor_mpmc_(m);
    case IPC_BROADCAST_MAGIC:
        return ipc_monitor_broadcast_(m);
    case IPC_RECORD_BROADCAST_MAGIC:
        return ipc_monitor_record_broadcast_(m);
    case IPC_RECORD_MAGIC:
        return ipc_monitor_records_(m);
    case IPC_STREAM_MAGIC:
        return ipc_monitor_stream_(m);
    case IPC_CALL_MAGIC:
        return ipc_monitor_calls_(m);
    case 0:
        return -EAGAIN;
    }
    return -EPROTO;
}

/*
 * Says what the ring in mem[0..size) is, and how full, without attaching to it: for a monitor,
 * which may have the memory without write access. Stores nothing there. Each number was so at some
 * moment during the call; while processes use the ring they may be of different moments. Not for
 * the path of a message: it touches lines that others write, and walks over all records that are
 * there, over all slots of callers, and over those of an MPMC ring that handed messages out again. Wait-free for a given capacity. Any process, any thread;
 * peers that are stopped or killed do not matter. In a segment, ipc_shm_list gives mem and size of
 * each object.
 *
 *   0
 *   -EINVAL  mem is not 64-byte aligned, or too small for any ring
 *   -EAGAIN  the ring is not initialised yet; or a writer made marks too fast to be read
 *   -EPROTO  it is no ring, or one of another version, byte order or layout
 *   -EBADMSG  it is corrupt
 */
IPC_INLINE int ipc_ring_inspect(void *mem, size_t size, struct ipc_ring_status *s)
{
    struct ipc_monitor_ m;
    int rc = ipc_monitor_look_(&m, mem, size);

    if (rc == 0 && m.magic == IPC_MPMC_MAGIC)
        m.s.size = ipc_monitor_between_(0, m.s.size + ipc_monitor_again_(&m), m.s.capacity);
    *s = m.s;
    return rc;
}

#endif
