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
    uint64_t sent;         /* messages since the ring was made; MPMC: about. 0 of calls */
    uint64_t size;         /* of these, how many the consumer, or the slowest reader, has not
                              published as taken. Lossy: 0. 0 of calls */
    uint64_t producer;     /* the id of the process that holds an end that only one can hold, for */
    uint64_t consumer;     /* struct ipc_peer's alive; ~0: one without an ipc_peer; 0: none */
    unsigned readers;      /* of a lossless broadcast, as ipc_broadcast_was_readers */
    uint64_t slowest;      /* which of them is furthest behind, as ipc_broadcast_was_slowest */
};

/* How many positions are from head to tail: 0 to `most`, whatever the memory says. */
IPC_INLINE uint64_t ipc_monitor_between_(uint64_t head, uint64_t tail, uint64_t most)
{
    int64_t size = (int64_t)(tail - head);

    return size < 0 ? 0 : (uint64_t)size < most ? (uint64_t)size : most;
}

IPC_INLINE int ipc_monitor_spsc_(void *mem, size_t size, struct ipc_ring_status *s)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_spsc_kind_((size_t)s->bytes);
    int rc = ipc_ring_check_reader_(mem, size, &kind, (size_t)s->bytes, NULL, &s->capacity);

    if (rc != 0)
        return rc;
    s->kind = "SPSC";
    s->producer = ck_pr_load_64(&r->end[0]);
    s->consumer = ck_pr_load_64(&r->end[1]);
    s->sent = ck_pr_load_64(&r->head);
    s->size = ipc_spsc_count_full_((unsigned char *)(r + 1), s->capacity - 1, s->sent, kind.stride);
    s->sent += s->size;
    return 0;
}

IPC_INLINE int ipc_monitor_mpmc_(void *mem, size_t size, struct ipc_ring_status *s)
{
    struct ipc_mpmc_shared *r = (struct ipc_mpmc_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_mpmc_kind_((size_t)s->bytes, IPC_MPMC_HANDLES(1));
    int rc = ipc_ring_check_reader_(mem, size, &kind, (size_t)s->bytes, NULL, &s->capacity);

    if (rc != 0)
        return rc;
    s->kind = "MPMC";
    s->producer = ck_pr_load_64(&r->end[0]);
    s->consumer = ck_pr_load_64(&r->end[1]);
    s->sent = ck_pr_load_64(&r->tail);
    s->size = ipc_monitor_between_(ck_pr_load_64(&r->head), s->sent, s->capacity);
    return 0;
}

IPC_INLINE int ipc_monitor_stream_(void *mem, size_t size, struct ipc_ring_status *s)
{
    struct ipc_stream_shared *r = (struct ipc_stream_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_stream_kind_((size_t)s->bytes);
    int rc = ipc_ring_check_reader_(mem, size, &kind, (size_t)s->bytes, NULL, &s->capacity);

    if (rc != 0)
        return rc;
    s->kind = "stream";
    s->producer = ck_pr_load_64(&r->end[0]);
    s->consumer = ck_pr_load_64(&r->end[1]);
    s->size = ck_pr_load_64(&r->head);
    /* Without it the tail could be older than the head, and the size below 0. Partner: the release
     * fence of a producer, and that of the consumer which has seen its elements. */
    ck_pr_fence_load(); /* no twin */
    s->sent = ck_pr_load_64(&r->tail);
    s->size = ipc_monitor_between_(s->size, s->sent, s->capacity);
    return 0;
}

/* What the readers of a lossless broadcast have before them, whose tail is s->sent. */
IPC_INLINE void ipc_monitor_readers_(const struct ipc_broadcast_seats_ *seats,
                                     struct ipc_ring_status *s)
{
    struct ipc_broadcast_readers_ readers = ipc_broadcast_list_readers_(seats, NULL, s->sent);

    s->readers = ipc_broadcast_count_readers_(&readers);
    s->size = ipc_broadcast_find_most_behind_(&readers, s->sent, s->capacity, &s->slowest);
}

IPC_INLINE int ipc_monitor_broadcast_(void *mem, size_t size, struct ipc_ring_status *s)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)mem;
    struct ipc_ring_kind_ kind =
        ipc_broadcast_kind_((size_t)s->bytes, IPC_BROADCAST_READERS(1));
    struct ipc_broadcast_parts_ parts;
    int rc = ipc_broadcast_check_(mem, size, kind, sizeof *r, (size_t)s->bytes, NULL, 1, &parts);

    if (rc != 0)
        return rc;
    s->kind = "broadcast";
    s->capacity = parts.capacity;
    s->producer = ck_pr_load_64(&r->s.end[0]);
    s->sent = ck_pr_load_64(&r->s.head);
    s->sent += ipc_spsc_count_full_(parts.slots, s->capacity - 1, s->sent, kind.stride);
    if (parts.how == IPC_BROADCAST_LOSSLESS)
        ipc_monitor_readers_(&parts.seats, s);
    return 0;
}

IPC_INLINE int ipc_monitor_record_broadcast_(void *mem, size_t size, struct ipc_ring_status *s)
{
    struct ipc_record_broadcast_shared *r = (struct ipc_record_broadcast_shared *)mem;
    struct ipc_record_broadcast_mark_ mark;
    struct ipc_broadcast_parts_ parts;
    uint64_t marks, count = 0;
    int rc = ipc_record_broadcast_check_(mem, size, NULL, 1, &parts);

    mark.tail = 0;
    if (rc == 0 && parts.how == IPC_BROADCAST_LOSSY)
        rc = ipc_record_broadcast_read_mark_(r, &mark, &marks);
    if (rc != 0)
        return rc;
    s->kind = "record broadcast";
    s->capacity = parts.capacity;
    s->producer = ck_pr_load_64(&r->c.s.end[0]);
    s->sent = parts.how == IPC_BROADCAST_LOSSY ? mark.tail : ck_pr_load_64(&r->c.s.head);
    /* What is not whole was overwritten meanwhile: the walk ends there. */
    (void)ipc_record_walk_to_end_(parts.slots, s->capacity - 1, &s->sent, &count);
    if (parts.how == IPC_BROADCAST_LOSSLESS)
        ipc_monitor_readers_(&parts.seats, s);
    return 0;
}

IPC_INLINE int ipc_monitor_records_(void *mem, size_t size, struct ipc_ring_status *s)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)mem;
    uint64_t count = 0;
    unsigned producers = 0, i;
    int rc = ipc_record_check_(mem, size, NULL, &s->capacity, &producers);

    if (rc != 0)
        return rc;
    s->kind = "records";
    s->producer = producers == 1 ? ck_pr_load_64(&r->s.end[0]) : 0;
    s->consumer = ck_pr_load_64(&r->s.end[1]);
    for (i = 0; i < producers; i++) {
        uint64_t head = ck_pr_load_64(ipc_record_head_(r, producers, i)), tail = head;

        /* Without it the records could be older than the head. Partner: the fence in
         * ipc_record_publish_. */
        ck_pr_fence_load(); /* no twin */
        (void)ipc_record_walk_to_end_(ipc_record_data_(r, producers, i, s->capacity - 1),
                                      s->capacity - 1, &tail, &count);
        s->size += tail - head;
        s->sent += tail;
    }
    return 0;
}

IPC_INLINE int ipc_monitor_calls_(void *mem, size_t size, struct ipc_ring_status *s)
{
    s->kind = "calls";
    return ipc_call_check_(mem, size, (size_t)s->bytes, s->how, NULL, &s->capacity);
}

/*
 * Says what the ring in mem[0..size) is, and how full, without attaching to it: for a monitor,
 * which may have the memory without write access. Stores nothing there. Each number was so at some
 * moment during the call; while processes use the ring they may be of different moments. Not for
 * the path of a message: it touches lines that others write, and walks over all records that are
 * there. Wait-free for a given capacity. Any process, any thread; peers that are stopped or killed
 * do not matter. In a segment, ipc_shm_list gives mem and size of each object.
 *
 *   0
 *   -EINVAL  mem is not 64-byte aligned, or too small for any ring
 *   -EAGAIN  the ring is not initialised yet; or a writer made marks too fast to be read
 *   -EPROTO  it is no ring, or one of another version, byte order or layout
 *   -EBADMSG it is corrupt
 */
IPC_INLINE int ipc_ring_inspect(void *mem, size_t size, struct ipc_ring_status *s)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;

    memset(s, 0, sizeof *s);
    if (!ipc_ring_aligned_(mem) || size < sizeof *r)
        return -EINVAL;
    s->bytes = ck_pr_load_64(&r->bytes);
    s->how = ck_pr_load_32(&r->how);
    s->version = ck_pr_load_32(&r->version);
    switch (ck_pr_load_64(&r->magic)) {
    case IPC_SPSC_MAGIC:
        return ipc_monitor_spsc_(mem, size, s);
    case IPC_MPMC_MAGIC:
        return ipc_monitor_mpmc_(mem, size, s);
    case IPC_BROADCAST_MAGIC:
        return ipc_monitor_broadcast_(mem, size, s);
    case IPC_RECORD_BROADCAST_MAGIC:
        return ipc_monitor_record_broadcast_(mem, size, s);
    case IPC_RECORD_MAGIC:
        return ipc_monitor_records_(mem, size, s);
    case IPC_STREAM_MAGIC:
        return ipc_monitor_stream_(mem, size, s);
    case IPC_CALL_MAGIC:
        return ipc_monitor_calls_(mem, size, s);
    case 0:
        return -EAGAIN;
    }
    return -EPROTO;
}

#endif
