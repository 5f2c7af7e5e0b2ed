/* ring: as a mechanism: opening, unlinking, and its line of the table. */
#ifndef IPC_SRC_CHANNEL_RING_OPEN_H
#define IPC_SRC_CHANNEL_RING_OPEN_H 1

#include "ring.h"

/* ------------------------------------------------------------------ ring: */

/* What a refusal of ipc_shm.h to make or open the segment is as one of open. */
IPC_INLINE int ipc_channel_segment_error_(int rc)
{
    if (rc == -EEXIST)
        return -EADDRINUSE;
    return rc == -ENOENT ? -ETIMEDOUT : rc;
}

/* A ring is in memory: a path is the name of a segment in a file. 0 or -EINVAL. */
IPC_INLINE int ipc_channel_ring_check_name_(struct ipc_channel *ch)
{
    return !ipc_shm_is_path_(ch->address)
               ? 0
               : ipc_channel_refuse_(ch, -EINVAL, "ring: '%s' must not hold a slash", ch->address);
}

IPC_INLINE void ipc_channel_fault_in_(void *mem, size_t size, int how)
{
    size_t offset = (uintptr_t)mem & ((size_t)getpagesize() - 1);

    (void)madvise((unsigned char *)mem - offset, size + offset, how);
}

/* Faults in what messages go through, so that none does at its first touch. The listener has zeroed it:
 * see ipc_shm_prefault_. */
IPC_INLINE void ipc_channel_fault_in_rings_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;

    if (r->answers.mem == NULL) {
        ipc_channel_fault_in_(r->seg.base, r->seg.size, MADV_POPULATE_READ);
    } else {
        ipc_channel_fault_in_(r->out.data, (size_t)r->out.mask + 1, MADV_POPULATE_READ);
        ipc_channel_fault_in_(r->in.data, (size_t)r->in.mask + 1, MADV_POPULATE_READ);
    }
}

/* Opens the segment of a publisher that this process may only read, or whose places are all taken:
 * that is enough for a subscriber whom nobody waits for. 0, or why as before. */
IPC_INLINE int ipc_channel_open_to_read_(struct ipc_channel *ch, struct ipc_shm_options *how,
                                         int why, int64_t deadline)
{
    struct ipc_shm *seg = &ch->ring->seg;
    char sentence[256];
    int rc;

    (void)snprintf(sentence, sizeof sentence, "%s", ipc_shm_why(seg));
    how->flags |= IPC_SHM_READ_ONLY;
    rc = ipc_shm_open_with(seg, ch->address, deadline, how);
    if (rc == -EACCES) {
        how->owner = ch->how.user; /* 0 is root, whose segment is permitted */
        rc = ipc_shm_open_with(seg, ch->address, deadline, how);
    }
    if (rc == 0 && ipc_channel_is_lossy_(ch))
        return 0;
    ipc_shm_close(seg);
    return ipc_shm_refuse(seg, why, "%s", sentence);
}

IPC_INLINE int ipc_channel_ring_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    int listener = (ch->role & IPC_LISTEN) != 0, rc = ipc_channel_ring_check_name_(ch);
    struct ipc_shm *seg;

    rc = rc != 0 ? rc : ipc_channel_ring_new_(ch);
    if (rc != 0)
        return rc;
    if (ipc_channel_is_shared_(ch) && (ch->role & IPC_BOTH) == IPC_BOTH)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "ring: several receivers: one direction only: open two");
    if (ch->how.clients > IPC_CHANNEL_LANES_ ||
        (ch->how.clients != 0 && (ch->how.senders | ch->how.receivers) != 0))
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "ring: %u clients, %u senders, %u receivers: up to %u clients, "
                                   "which are the senders, too",
                                   ch->how.clients, ch->how.senders, ch->how.receivers,
                                   IPC_CHANNEL_LANES_);
    seg = &ch->ring->seg;
    how.mode = ch->how.mode;
    /* As many as there can be handles of the ring, or lanes and their receivers. */
    how.members = ipc_channel_is_shared_(ch) ? IPC_MPMC_SEATS : 2 * IPC_RECORD_PRODUCERS;
    if (ch->how.publish != 0)
        how.members = ipc_channel_subscribers_(ch) + 1;
    ch->max = ipc_channel_ring_max_(ch);
    if (!listener)
        how.flags |= IPC_SHM_NO_PREFAULT; /* of a server's segment, most is for others */
    rc = listener ? ipc_shm_create_with(seg, ch->address, ipc_channel_ring_size_(ch), &how)
                  : ipc_shm_open_with(seg, ch->address, deadline, &how);
    if (rc == -EACCES && !listener && ch->how.user != 0) {
        how.owner = ch->how.user;
        rc = ipc_shm_open_with(seg, ch->address, deadline, &how);
    }
    if ((rc == -EACCES || rc == -EUSERS) && ch->role == IPC_RECV)
        rc = ipc_channel_open_to_read_(ch, &how, rc, deadline);
    if (rc != 0)
        return ipc_channel_refuse_(ch, ipc_channel_segment_error_(rc), "ring: %s",
                                   ipc_shm_why(seg));
    rc = ipc_channel_segment_error_(ipc_channel_ring_attach_(ch, listener));
    if (rc == 0 && !listener)
        ipc_channel_fault_in_rings_(ch);
    return rc;
}

/* A segment of ring: has the magic of ipc_shm.h, and its objects are our rings; it has no object if
 * its listener was killed before it made one. */
IPC_INLINE int ipc_channel_ring_unlink_(struct ipc_channel *ch)
{
    char path[PATH_MAX];
    struct ipc_shm_entry_ entry[IPC_SHM_OBJECTS];
    struct ipc_shm_header_ h;
    struct ipc_shm unused;
    int rc = ipc_channel_ring_check_name_(ch);
    int64_t n;
    size_t i;

    rc = rc != 0 ? rc : ipc_shm_path_(&unused, path, ch->address);
    if (rc != 0)
        return rc;
    memset(&h, 0, sizeof h);
    n = ipc_channel_read_at_(path, &h, sizeof h, 0);
    if (n >= 0 && (h.magic != IPC_SHM_MAGIC || h.members > IPC_SHM_MEMBERS_MAX ||
                   h.objects != IPC_SHM_OBJECTS))
        return -EPROTO;
    if (n >= 0)
        n = ipc_channel_read_at_(path, entry, sizeof entry,
                                 sizeof h + h.members * sizeof(struct ipc_shm_member_));
    if (n < (int64_t)sizeof entry)
        return n < 0 ? (int)n : -EPROTO;
    for (i = 0; i < IPC_SHM_OBJECTS; i++) {
        char *object = entry[i].name;

        object[IPC_SHM_NAME_MAX] = '\0';
        if (*object != '\0' && strcmp(object, "to") != 0 && strcmp(object, "from") != 0 &&
            strcmp(object, "shared") != 0 && strcmp(object, "answers") != 0)
            return -EPROTO;
    }
    return ipc_channel_remove_(path, S_IFREG);
}

static const struct ipc_channel_serve_ ipc_channel_ring_serve_ = {
    ipc_channel_serve_ring_,
    ipc_channel_ring_server_close_,
    ipc_channel_ring_server_recv_,
    ipc_channel_ring_server_send_to_,
    ipc_channel_ring_server_drop_,
    NULL, /* flush: nothing is left */
    ipc_channel_ring_descriptor_,
    ipc_channel_ring_server_describe_,
    ipc_channel_ring_server_is_ready_,
};

static const struct ipc_channel_kind_ ipc_channel_ring_kind_ = {
    "ring",
    IPC_CHANNEL_SENDERS_ | IPC_CHANNEL_NO_FD_ | IPC_CHANNEL_PUBLISHES_,
    0, /* own: ipc_channel's ring */
    0,
    0,
    ipc_channel_ring_open_,
    NULL, /* close */
    ipc_channel_ring_unlink_,
    ipc_channel_shared_send_,
    ipc_channel_polled_recv_,
    NULL, /* meet: send and recv wait for peers */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    ipc_channel_ring_descriptor_,
    NULL, /* describe */
    ipc_channel_ring_is_ready_,
    &ipc_channel_ring_serve_,
};

#endif
