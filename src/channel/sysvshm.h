/* sysvshm:. */
#ifndef IPC_SRC_CHANNEL_SYSVSHM_H
#define IPC_SRC_CHANNEL_SYSVSHM_H 1

#include "ring.h"

/* ------------------------------------------------------------------ System V memory */

/* A line with a count of ids, then "to" and "from", each half of the rest. Of the semaphores the
 * first four are the rings' bells, to sleep on; the others say who is there, the listener and the
 * other: 1 while he is, as the kernel takes it back at his death. */
struct ipc_channel_sysv_ {
    uint64_t ids;
    unsigned char pad[56];
};

/* struct ipc_peer's: an id is a count, and the number of its semaphore. */
IPC_INLINE int ipc_channel_sem_alive_(void *arg, uint64_t id)
{
    return semctl(((const struct ipc_channel_ring_ *)arg)->sem, (int)(id % 8), GETVAL) != 0;
}

/* Takes our side's place. */
IPC_INLINE int ipc_channel_sem_take_place_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct sembuf sit[2] = {{0, 0, IPC_NOWAIT}, {0, 1, IPC_NOWAIT | SEM_UNDO}};

    sit[0].sem_num = sit[1].sem_num = (unsigned short)(listener ? 4 : 5);
    if (semop(r->sem, sit, 2) != 0)
        return errno == EAGAIN
                   ? ipc_channel_refuse_(ch, -EADDRINUSE, "sysvshm: another is at %s", ch->address)
                   : ipc_channel_refuse_errno_(ch, "take a place at");
    r->place = sit[0].sem_num;
    r->me.alive = ipc_channel_sem_alive_;
    r->me.arg = r;
    r->me.id = (ck_pr_faa_64(&((struct ipc_channel_sysv_ *)(void *)r->mem)->ids, 1) + 1) %
                   (UINT64_MAX / 16) * 8 +
               r->place;
    return 0;
}

/* One of the rings, which the listener makes. Whoever has our end is dead. */
IPC_INLINE int ipc_channel_sem_make_ring_(struct ipc_channel *ch, struct ipc_shm_object *ring,
                                          int listener, unsigned role)
{
    struct ipc_spsc_shared *shared = (struct ipc_spsc_shared *)ring->mem;
    uint64_t capacity = ipc_channel_lane_(ch->max), there = ck_pr_load_64(&shared->is.capacity);

    ck_pr_store_64(&shared->end[role == IPC_RECV], 0);
    /* What a killed one left goes on, if it is as large. */
    return listener && (there != capacity || ck_pr_load_64(&shared->is.magic) != IPC_RECORD_MAGIC)
               ? ipc_record_init(ring->mem, ring->size, capacity, 1)
               : 0;
}

/* Bytes for each ring in a segment of that size. */
IPC_INLINE size_t ipc_channel_shm_half_(size_t size)
{
    return (size - IPC_CHANNEL_SYSV_HEAD_) / 2 & ~(size_t)63;
}

/* Bytes of a segment with two rings of that capacity. */
IPC_INLINE size_t ipc_channel_shm_size_(uint64_t capacity)
{
    return IPC_CHANNEL_SYSV_HEAD_ + 2 * ipc_record_footprint(capacity, 1);
}

/* The capacity of the rings in a segment of that size, or 0: sysvshm: makes none of that size. */
IPC_INLINE uint64_t ipc_channel_shm_capacity_(size_t size)
{
    uint64_t capacity = ipc_channel_lane_(0), last = ipc_channel_lane_(UINT32_MAX / 2);

    while (capacity < last && ipc_channel_shm_size_(capacity) < size)
        capacity *= 2;
    return ipc_channel_shm_size_(capacity) == size ? capacity : 0;
}

/* Has sysvshm: made this segment? Then its size is that of two rings, and one of them is a ring of
 * records, or none was made yet. 1, 0, or what the kernel says. Writes nothing. */
IPC_INLINE int ipc_channel_shm_is_ours_(int id)
{
    const struct ipc_spsc_shared *ring;
    const unsigned char *mem;
    uint64_t magic[2];
    struct shmid_ds is;
    size_t i;

    if (shmctl(id, IPC_STAT, &is) != 0)
        return -errno;
    if (ipc_channel_shm_capacity_(is.shm_segsz) == 0)
        return 0;
    mem = (const unsigned char *)shmat(id, NULL, SHM_RDONLY);
    if (mem == (const unsigned char *)-1)
        return -errno;
    for (i = 0; i < 2; i++) {
        ring =
            (const struct ipc_spsc_shared *)(const void *)(mem + IPC_CHANNEL_SYSV_HEAD_ +
                                                           i * ipc_channel_shm_half_(is.shm_segsz));
        magic[i] = ck_pr_load_64(&ring->is.magic);
    }
    (void)shmdt(mem);
    return magic[0] == IPC_RECORD_MAGIC || magic[1] == IPC_RECORD_MAGIC ||
           (magic[0] | magic[1]) == 0;
}

IPC_INLINE int ipc_channel_shm_refuse_(struct ipc_channel *ch)
{
    return ipc_channel_refuse_(ch, -EPROTO, "sysvshm: %s is something else", ch->address);
}

/* May we use the segment that was found? */
IPC_INLINE int ipc_channel_shm_check_(struct ipc_channel *ch, int id, struct shmid_ds *is)
{
    struct stat st;
    int rc;

    if (shmctl(id, IPC_STAT, is) != 0)
        return ipc_channel_refuse_errno_(ch, "read the mode of");
    memset(&st, 0, sizeof st);
    st.st_uid = is->shm_perm.uid;
    st.st_mode = is->shm_perm.mode;
    rc = ipc_channel_check_owner_(ch, &st, 0);
    if (rc == 0 && ipc_channel_shm_capacity_(is->shm_segsz) == 0)
        rc = ipc_channel_shm_refuse_(ch);
    return rc;
}

IPC_INLINE int ipc_channel_shm_find_(struct ipc_channel *ch, key_t key, int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    size_t size = ipc_channel_shm_size_(ipc_channel_lane_(ch->max));
    int flags = (ch->role & IPC_LISTEN) != 0 ? IPC_CREAT | (int)ch->how.mode : 0, id, rc, error;
    struct shmid_ds is;

    for (;;) {
        id = shmget(key, flags != 0 ? size : 0, flags);
        if (id >= 0 && (rc = ipc_channel_shm_check_(ch, id, &is)) != 0)
            return rc;
        if (id >= 0 && (r->sem = semget(key, flags != 0 ? 6 : 0, flags)) >= 0)
            break;
        error = errno;
        if (id < 0 && error == EINVAL && flags != 0 && (id = shmget(key, 0, 0)) >= 0) {
            rc = ipc_channel_shm_is_ours_(id);
            if (rc == 0)
                return ipc_channel_shm_refuse_(ch);
            if (rc > 0 && shmctl(id, IPC_STAT, &is) == 0 && is.shm_nattch == 0 &&
                shmctl(id, IPC_RMID, NULL) == 0)
                continue; /* a smaller one of ours, that nobody uses */
        }
        errno = error;
        if (error != ENOENT || flags != 0)
            return ipc_channel_refuse_errno_(ch, "open");
        rc = ipc_channel_nap_(deadline);
        if (rc != 0)
            return rc == -EINTR ? rc
                                : ipc_channel_refuse_(ch, rc,
                                                      "sysvshm: nothing at %s until the "
                                                      "deadline",
                                                      ch->address);
    }
    r->mem = (unsigned char *)shmat(id, NULL, 0);
    if (r->mem == (unsigned char *)-1) {
        r->mem = NULL;
        return ipc_channel_refuse_errno_(ch, "attach to");
    }
    r->half = ipc_channel_shm_half_(is.shm_segsz);
    return 0;
}

IPC_INLINE int ipc_channel_shm_open_(struct ipc_channel *ch, int64_t deadline)
{
    int listener = (ch->role & IPC_LISTEN) != 0, rc = ipc_channel_ring_new_(ch), i;
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_shm_object ring[2];
    key_t key;

    rc = rc == 0 ? ipc_channel_read_key_(ch, &key) : rc;
    ch->max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_RING_;
    rc = rc == 0 ? ipc_channel_shm_find_(ch, key, deadline) : rc;
    if (rc != 0)
        return rc;
    rc = ipc_channel_sem_take_place_(ch, listener);
    for (i = 0; i < 2; i++) {
        unsigned role = (i == 0) == listener ? IPC_RECV : IPC_SEND;

        ring[i].mem = r->mem + IPC_CHANNEL_SYSV_HEAD_ + (size_t)i * r->half;
        ring[i].size = r->half;
        if (rc == 0 && (ch->role & role) != 0)
            rc = ipc_channel_sem_make_ring_(ch, &ring[i], listener, role);
    }
    if (rc == 0)
        while ((rc = ipc_channel_ring_attach_ends_(ch, listener, &ring[0], &ring[1], &r->me)) ==
                   -EAGAIN &&
               (rc = ipc_channel_nap_(deadline)) == 0)
            ;
    if (rc != 0)
        return *ch->why != '\0' ? rc
                                : ipc_channel_refuse_(ch, rc == -EBUSY ? -EADDRINUSE : rc,
                                                      "sysvshm:%s: %s", ch->address,
                                                      rc == -EBUSY         ? "another is there"
                                                      : *r->me.why != '\0' ? r->me.why
                                                                           : strerror(-rc));
    ipc_channel_ring_post_(r, &r->out_data);
    ipc_channel_ring_post_(r, &r->space);
    return 0;
}

IPC_INLINE int ipc_channel_shm_unlink_(struct ipc_channel *ch)
{
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key), shm, sem;

    if (rc != 0)
        return rc;
    shm = shmget(key, 0, 0);
    if (shm < 0)
        return -errno;
    rc = ipc_channel_shm_is_ours_(shm);
    if (rc <= 0)
        return rc < 0 ? rc : -EPROTO;
    /* Semaphores have no mark; six of them beside a segment of ours are ours. They are removed
     * first: without the segment no later call would know them. */
    sem = semget(key, 7, 0) < 0 ? semget(key, 6, 0) : -1;
    rc = sem >= 0 && semctl(sem, 0, IPC_RMID) != 0 ? -errno : 0;
    return shmctl(shm, IPC_RMID, NULL) != 0 ? -errno : rc;
}

#endif
