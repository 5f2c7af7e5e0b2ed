/*
 * SPSC: what is in shared memory. The rules of its words are in spsc.h.
 */
#ifndef IPC_SRC_RING_SPSC_LAYOUT_H
#define IPC_SRC_RING_SPSC_LAYOUT_H 1

#include "copy.h"

/* ------------------------------------------------------------------ spsc: layout */

#define IPC_SPSC_TYPE 0x63737073u /* "spsc": the type under which ipc_shm.h lists it */
#define IPC_SPSC_MAGIC UINT64_C(0x31637370735f6369) /* "ic_spsc1" */

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_spsc_shared {
    struct ipc_ring_shared_ is;
    /* The holders of the producer's end and of the consumer's, and how often each was left, as in
     * core.h. */
    uint64_t end[2];
    uint64_t left[2];
    unsigned char pad1[32];
    /* Every position below has been consumed. Written by the consumer alone. */
    uint64_t head;
    unsigned char pad2[120];
    /* For notifiers of ipc_notify.h, which have this size and begin as zeros: the consumer sleeps
     * on the first, the producer on the second. Without that header they stay zeros. */
    unsigned char data_bell[64];
    unsigned char space_bell[64];
    /* capacity slots of ipc_ring_stride_(bytes) each */
};

IPC_RING_ASSERT_(owners, offsetof(struct ipc_spsc_shared, end) == 64)
IPC_RING_ASSERT_(left, offsetof(struct ipc_spsc_shared, left) == 80)
IPC_RING_ASSERT_(head, offsetof(struct ipc_spsc_shared, head) == 128)
IPC_RING_ASSERT_(bells, offsetof(struct ipc_spsc_shared, data_bell) == 256)
IPC_RING_ASSERT_(size, sizeof(struct ipc_spsc_shared) == 384)

IPC_INLINE struct ipc_ring_kind_ ipc_spsc_kind_(size_t bytes)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not an SPSC ring; magic";
    kind.magic = IPC_SPSC_MAGIC;
    kind.header = sizeof(struct ipc_spsc_shared);
    kind.stride = ipc_ring_stride_(bytes);
    return kind;
}

/* The bytes of a ring; or 0 if bytes is 0, capacity is not a power of two, or their product is
 * beyond the address space. */
IPC_INLINE size_t ipc_spsc_footprint(size_t bytes, uint64_t capacity)
{
    struct ipc_ring_kind_ kind = ipc_spsc_kind_(bytes);

    return ipc_ring_footprint_(&kind, bytes, capacity);
}

/*
 * Makes an empty ring of `capacity` messages of `bytes` bytes in mem[0..size). Writes all of it, so
 * it is also the prefault. An attach at the same time gets -EAGAIN or the whole ring; but where
 * there was a ring before, nobody may be attached or attaching.
 *
 *   0
 *   -EINVAL  mem is NULL or not 64-byte aligned, bytes is 0, capacity is not a power of two, or
 *            their product is beyond the address space
 *   -ENOSPC  size is less than ipc_spsc_footprint(bytes, capacity)
 */
IPC_INLINE int ipc_spsc_init(void *mem, size_t size, size_t bytes, uint64_t capacity)
{
    struct ipc_ring_kind_ kind = ipc_spsc_kind_(bytes);

    return ipc_ring_init_(mem, size, &kind, bytes, capacity, 0);
}

#endif
