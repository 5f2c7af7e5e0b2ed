/*
 * sysvshm:KEY, rings of records in a System V segment. KEY is a number, decimal, 0x or 0.
 *
 * For programs that have System V memory only. The listener makes the segment and two semaphores,
 * and the other side waits for them. One process on each side; both directions.
 *
 *     memory      a line with a count of ids, and a word for each side, not 0 once a process came
 *                 whose role does not fit; then the rings "to" and "from" the listener, with their
 *                 bells, each half of the rest
 *     semaphores  0: the listener is there; 1: the other side is there; its role and 1 while the
 *                 process lives: the kernel takes it back at the process's death (SEM_UNDO)
 *
 * A side sleeps on a bell, as over ring:. No descriptor reports that a semaphore has changed, so a
 * sleeper asks the kernel every 8 ms whether the other side is there.
 *
 *   Access   Each process that the segment's mode permits. A segment, or semaphores, of a user
 *            other than this one, root and options.user are refused. A listener that asks for rings
 *            of another size, while the other side has those that are there, is refused.
 *   Loss     As over ring:. Once the semaphores were removed, as ipc_channel_unlink does, no death
 *            can be proven and no process can come: what is there is received, and each call that
 *            would wait is -EPIPE, within a second if it waits already.
 *   Fork     The kernel frees a process's place at its death, and a child does not inherit it. A
 *            child whose parent is gone takes the place anew at its first call, with the ends.
 *   Limits   Messages of 1 MiB unless asked for; memory as over ring:. No descriptor for event loops:
 *            ipc_channel_wait_any sleeps on the bells of several such channels, and beside channels
 *            that have descriptors it looks once a millisecond. Segment and semaphores outlive their
 *            processes.
 */
#ifndef IPC_SRC_CHANNEL_SYSVSHM_H
#define IPC_SRC_CHANNEL_SYSVSHM_H 1

#include "ring.h"
#include "sysv.h"

/* ------------------------------------------------------------------ sysvshm: */

struct ipc_channel_shm_ {
    unsigned char *mem;  /* the segment, or NULL */
    size_t half;         /* bytes of it for each ring */
    int sem;             /* the id of the semaphores */
    short worth;         /* what our place's semaphore has while we have it */
    int removed;         /* they are gone: see Loss */
    struct ipc_peer me;  /* an id is a count, times 2, and the number of our place's semaphore */
    /* A page that fork wipes: our id, while we have the place; our pid, as not each kernel wipes it;
     * until when we wait for our parent's death; and words by which the ends notice a fork. NULL: no
     * place was asked for. */
    uint64_t *self;
    unsigned word;       /* the last of those words that was used */
};

/* The line before the rings. */
struct ipc_channel_shm_head_ {
    uint64_t ids;
    uint64_t misfit[2]; /* by the number of the side's semaphore */
    unsigned char pad[40];
};

#define IPC_CHANNEL_SHM_HEAD_ sizeof(struct ipc_channel_shm_head_)
#define IPC_CHANNEL_SHM_SEMS_ 2 /* semaphores in the set */

/* As struct ipc_peer has it. -1 once the semaphores were removed. */
IPC_INLINE int ipc_channel_sem_alive_(void *arg, uint64_t id)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)arg;
    int value = semctl(own->sem, (int)(id % 2), GETVAL);

    own->removed |= value < 0 && (errno == EIDRM || errno == EINVAL);
    return own->removed ? -1 : value != 0;
}

/* Takes the place of that semaphore, if it is free. 0, or -1 and errno. */
IPC_INLINE int ipc_channel_sem_hold_(const struct ipc_channel_shm_ *own, unsigned place)
{
    struct sembuf take[2] = {{0, 0, IPC_NOWAIT}, {0, 1, IPC_NOWAIT | SEM_UNDO}};

    take[1].sem_op = own->worth;
    take[0].sem_num = take[1].sem_num = (unsigned short)place;
    return semop(own->sem, take, 2);
}

IPC_INLINE void ipc_channel_sem_give_back_(const struct ipc_channel_shm_ *own, unsigned place)
{
    struct sembuf gone = {0, -1, SEM_UNDO | IPC_NOWAIT};

    gone.sem_op = (short)-own->worth;
    gone.sem_num = (unsigned short)place;
    (void)semop(own->sem, &gone, 1);
}

/* Takes the place of that semaphore, and makes an id of it. 0, or -1 and errno. */
IPC_INLINE int ipc_channel_sem_take_(struct ipc_channel_shm_ *own, unsigned place)
{
    struct ipc_channel_shm_head_ *head = (struct ipc_channel_shm_head_ *)(void *)own->mem;

    if (ipc_channel_sem_hold_(own, place) != 0)
        return -1;
    own->me.id = (ck_pr_faa_64(&head->ids, 1) + 1) % (UINT64_MAX / 16) * 2 + place;
    own->self[1] = (uint64_t)getpid();
    own->self[0] = own->me.id;
    own->self[2] = 0;
    /* As in ipc_shm_enter_: what was inherited must not be taken for what was attached since. */
    if (own->word < ipc_shm_last_self_())
        own->word += own->word == 0 ? IPC_SHM_SELF_ : 1;
    if (own->word < ipc_shm_last_self_())
        own->self[own->word] = UINT64_MAX;
    own->me.self = &own->self[own->word];
    return 0;
}

/* Has this process our side's place? */
IPC_INLINE int ipc_channel_sem_is_placed_(const struct ipc_channel_shm_ *own)
{
    return own->self != NULL && own->self[0] != 0 && own->self[1] == (uint64_t)getpid();
}

/* struct ipc_peer's inherit. The place is free once our parent is gone. With it come the ends that
 * our parent held: no other process can take them. */
IPC_INLINE int ipc_channel_sem_inherit_(void *arg, uint64_t id, int leaves)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)arg;
    int i;

    if (ipc_channel_sem_is_placed_(own))
        return own->me.id == id; /* 0: the other end's call came first */
    if (leaves)
        return -ECHILD;
    if (own->self[2] == 0)
        own->self[2] = (uint64_t)ipc_in_ms(1000);
    while (ipc_channel_sem_take_(own, id % 2) != 0) {
        if (errno != EAGAIN || ipc_left_((int64_t)own->self[2]) == 0)
            return -ECHILD;
        (void)ipc_channel_nap_((int64_t)own->self[2]);
    }
    for (i = 0; i < 4; i++)
        (void)ck_pr_cas_64(&((struct ipc_spsc_shared *)(void *)(own->mem + IPC_CHANNEL_SHM_HEAD_ +
                                                                (size_t)(i / 2) * own->half))
                                ->end[i % 2], id, 0);
    return 0;
}

/* Takes our side's place. */
IPC_INLINE int ipc_channel_sem_take_place_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    size_t page = (size_t)getpagesize();
    void *self = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (self == MAP_FAILED)
        return ipc_channel_refuse_errno_(ch, "map a page for");
    own->self = (uint64_t *)self;
    own->worth = (short)((ch->role & IPC_BOTH) + 1);
    if (!ipc_wipe_on_fork_(self, page))
        own->word = ipc_shm_last_self_();
    own->me.alive = ipc_channel_sem_alive_;
    own->me.arg = own;
    own->me.inherit = ipc_channel_sem_inherit_;
    if (ipc_channel_sem_take_(own, !listener) == 0)
        return 0;
    if (errno != EAGAIN)
        return ipc_channel_refuse_errno_(ch, "take a place at");
    return ipc_channel_refuse_(ch, -EADDRINUSE, "sysvshm: another is at %s", ch->address);
}

/* Do our role and that of the other side fit, if it is there? If not, both are told: a listener goes
 * on, for the next one. Versions before this one do not tell their roles. 0 or -EPROTO. */
IPC_INLINE int ipc_channel_sem_check_roles_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    struct ipc_channel_shm_head_ *head = (struct ipc_channel_shm_head_ *)(void *)own->mem;
    int value = semctl(own->sem, listener, GETVAL);
    unsigned other = value > 1 && value <= 1 + (int)IPC_BOTH ? (unsigned)value - 1 : 0, half;

    if (other == 0 || ipc_channel_ring_roles_fit_(listener ? ch->role : other,
                                                  listener ? other : ch->role))
        return 0;
    ck_pr_store_64(&head->misfit[listener], 1);
    if (listener) {
        ck_pr_store_64(&head->misfit[0], 1);
        return 0;
    }
    half = (other & IPC_RECV) == 0;
    ipc_channel_find_sleeper_(ch, own->mem + IPC_CHANNEL_SHM_HEAD_ + half * own->half, &own->me);
    (void)snprintf(own->me.why, sizeof own->me.why, "%s", ipc_channel_loss_text_(-EPROTO));
    return -EPROTO;
}

/* Frees our end of a ring: a process that has it is dead, as we have the place. The listener makes
 * the ring, unless one of the same size is there: what is in it goes on. One of another size may be
 * in use at the other end, whose place the listener takes meanwhile. 0; -EADDRINUSE: it is. */
IPC_INLINE int ipc_channel_sem_make_ring_(struct ipc_channel *ch, struct ipc_shm_object *ring,
                                          int listener, unsigned role)
{
    struct ipc_spsc_shared *shared = (struct ipc_spsc_shared *)ring->mem;
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    uint64_t capacity = ipc_channel_lane_(ch->max), there = ck_pr_load_64(&shared->is.capacity);
    int is_made = ck_pr_load_64(&shared->is.magic) == IPC_RECORD_MAGIC, rc;

    ck_pr_store_64(&shared->end[role == IPC_RECV], 0);
    if (!listener || (there == capacity && is_made))
        return 0;
    if (is_made && ipc_channel_sem_hold_(own, 1) != 0)
        return ipc_ring_refuse_(&own->me, -EADDRINUSE, "rings of another size are in use; bytes",
                                there, capacity);
    rc = ipc_record_init(ring->mem, ring->size, capacity, 1);
    if (is_made)
        ipc_channel_sem_give_back_(own, 1);
    return rc;
}

/* ------------------------------------------------------------------ the segment */

/* Bytes for each ring in a segment of that size. */
IPC_INLINE size_t ipc_channel_shm_half_(size_t size)
{
    return (size - IPC_CHANNEL_SHM_HEAD_) / 2 & ~(size_t)63;
}

/* Bytes of a segment with two rings of that capacity. */
IPC_INLINE size_t ipc_channel_shm_size_(uint64_t capacity)
{
    return IPC_CHANNEL_SHM_HEAD_ + 2 * ipc_record_footprint(capacity, 1);
}

/* The capacity of the rings in a segment of that size; 0: sysvshm: makes none of that size. */
IPC_INLINE uint64_t ipc_channel_shm_capacity_(size_t size)
{
    uint64_t capacity = ipc_channel_lane_(0), last = ipc_channel_lane_(UINT32_MAX / 2);

    while (capacity < last && ipc_channel_shm_size_(capacity) < size)
        capacity *= 2;
    return ipc_channel_shm_size_(capacity) == size ? capacity : 0;
}

/* Has sysvshm: made this segment? Then its size is that of two rings, and one of them is a ring of
 * records, or neither was made yet. 1, 0, or a negative errno of the kernel. Writes nothing. */
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
            (const struct ipc_spsc_shared *)(const void *)(mem + IPC_CHANNEL_SHM_HEAD_ +
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

/* Checks that we may use the segment that was found. */
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

/* Checks that we may use the semaphores that were found. Those of another user, or with a wider
 * mode, would let that user say who is dead. */
IPC_INLINE int ipc_channel_sem_check_(struct ipc_channel *ch, int sem)
{
    union { /* semctl's fourth argument, which libc does not declare */
        int value;
        struct semid_ds *is;
    } to;
    struct semid_ds is;
    struct stat st;
    int rc;

    to.is = &is;
    if (semctl(sem, 0, IPC_STAT, to) != 0)
        return ipc_channel_refuse_errno_(ch, "read the mode of the semaphores of");
    memset(&st, 0, sizeof st);
    st.st_uid = is.sem_perm.uid;
    st.st_mode = is.sem_perm.mode;
    rc = ipc_channel_check_owner_(ch, &st, 0);
    return rc == 0 && is.sem_nsems != IPC_CHANNEL_SHM_SEMS_ ? ipc_channel_shm_refuse_(ch) : rc;
}

/* The listener has found a segment that is smaller than it needs. Removes it, if it is ours and no
 * process uses it. 1: removed; 0: it stays; or the refusal. */
IPC_INLINE int ipc_channel_shm_remove_smaller_(struct ipc_channel *ch, key_t key)
{
    int id = shmget(key, 0, 0), rc;
    struct shmid_ds is;

    if (id < 0)
        return 0;
    rc = ipc_channel_shm_is_ours_(id);
    if (rc == 0)
        return ipc_channel_shm_refuse_(ch);
    if (rc < 0 || shmctl(id, IPC_STAT, &is) != 0)
        return 0;
    if (is.shm_nattch != 0)
        return ipc_channel_refuse_(ch, -EADDRINUSE, "sysvshm:%s: rings of another size are in use",
                                   ch->address);
    return shmctl(id, IPC_RMID, NULL) == 0;
}

/* Finds the segment and its semaphores; the listener makes them, the other side waits for them. The
 * segment's id, or a negative errno. */
IPC_INLINE int ipc_channel_shm_find_(struct ipc_channel *ch, key_t key, int64_t deadline,
                                     struct shmid_ds *is)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    size_t size = ipc_channel_shm_size_(ipc_channel_lane_(ch->max));
    int flags = (ch->role & IPC_LISTEN) != 0 ? IPC_CREAT | (int)ch->how.mode : 0, id, rc, error;

    for (;;) {
        id = shmget(key, flags != 0 ? size : 0, flags);
        if (id >= 0 && (rc = ipc_channel_shm_check_(ch, id, is)) != 0)
            return rc;
        if (id >= 0 &&
            (own->sem = semget(key, flags != 0 ? IPC_CHANNEL_SHM_SEMS_ : 0, flags)) >= 0) {
            rc = ipc_channel_sem_check_(ch, own->sem);
            return rc != 0 ? rc : id;
        }
        error = errno;
        if (id < 0 && error == EINVAL && flags != 0) {
            rc = ipc_channel_shm_remove_smaller_(ch, key);
            if (rc < 0)
                return rc;
            if (rc > 0)
                continue;
        }
        if (id >= 0 && error == EINVAL) /* there are fewer semaphores */
            return ipc_channel_shm_refuse_(ch);
        if (error != ENOENT || flags != 0)
            return ipc_channel_refuse_(ch, -error, "sysvshm: cannot open %s: %s%s", ch->address,
                                       strerror(error),
                                       error != EINVAL && error != ENOSPC ? "" :
                                       " (kernel.shmmax, kernel.shmmni, kernel.shmall, kernel.sem)");
        rc = ipc_channel_nap_(deadline);
        if (rc == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, rc, "sysvshm: nothing at %s until the deadline",
                                       ch->address);
        if (rc != 0)
            return rc;
    }
}

/* Attaches to the segment. */
IPC_INLINE int ipc_channel_shm_map_(struct ipc_channel *ch, key_t key, int64_t deadline)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    struct shmid_ds is;
    int id = ipc_channel_shm_find_(ch, key, deadline, &is);
    void *mem;

    if (id < 0)
        return id;
    mem = shmat(id, NULL, 0);
    if (mem == (void *)-1)
        return ipc_channel_refuse_errno_(ch, "attach to");
    own->mem = (unsigned char *)mem;
    own->half = ipc_channel_shm_half_(is.shm_segsz);
    ipc_channel_fault_in_(mem, is.shm_segsz, MADV_POPULATE_WRITE);
    return 0;
}

/* ------------------------------------------------------------------ what the table names */

/* Attaches our ends of the rings, and waits until the listener has made them. */
IPC_INLINE int ipc_channel_shm_attach_(struct ipc_channel *ch, int listener, int64_t deadline)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    struct ipc_shm_object ring[2];
    int i, rc;

    for (i = 0; i < 2; i++) {
        unsigned role = (i == 0) == listener ? IPC_RECV : IPC_SEND;

        ring[i].mem = own->mem + IPC_CHANNEL_SHM_HEAD_ + (size_t)i * own->half;
        ring[i].size = own->half;
        rc = (ch->role & role) == 0 ? 0 : ipc_channel_sem_make_ring_(ch, &ring[i], listener, role);
        if (rc != 0)
            return rc;
    }
    ch->ring->misfit = &((struct ipc_channel_shm_head_ *)(void *)own->mem)->misfit[!listener];
    ck_pr_store_64(ch->ring->misfit, 0);
    do {
        rc = ipc_channel_sem_check_roles_(ch, listener);
        if (rc == 0)
            rc = ipc_channel_ring_attach_ends_(ch, listener, &ring[0], &ring[1], &own->me);
    } while (rc == -EAGAIN && (rc = ipc_channel_nap_(deadline)) == 0);
    return rc;
}

IPC_INLINE int ipc_channel_shm_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    int listener = (ch->role & IPC_LISTEN) != 0, rc;
    const char *why;
    key_t key;

    ch->max = ipc_channel_ring_max_(ch);
    rc = ipc_channel_ring_new_(ch);
    if (rc == 0)
        rc = ipc_channel_read_key_(ch, &key);
    if (rc == 0)
        rc = ipc_channel_shm_map_(ch, key, deadline);
    if (rc == 0)
        rc = ipc_channel_sem_take_place_(ch, listener);
    if (rc != 0)
        return rc;
    rc = ipc_channel_shm_attach_(ch, listener, deadline);
    if (rc == -EBUSY)
        return ipc_channel_refuse_(ch, -EADDRINUSE, "sysvshm:%s: another is there", ch->address);
    if (rc != 0) {
        why = *own->me.why != '\0' ? own->me.why : strerror(-rc);
        return ipc_channel_refuse_(ch, rc, "sysvshm:%s: %s", ch->address, why);
    }
    (void)ipc_notify_post(&ch->ring->out_data); /* a sleeper there watches us from now on */
    (void)ipc_notify_post(&ch->ring->space);
    return 0;
}

/* The deadline of one wait. While no process is seen at the other end no death is asked for, so a
 * wait ends after a second to ask for the semaphores. Once they were removed, no call waits. */
IPC_INLINE int64_t ipc_channel_shm_slice_(const struct ipc_channel_shm_ *own, uint64_t seen,
                                          int64_t deadline)
{
    int64_t slice;

    if (own->removed)
        return IPC_NOW;
    if (seen != 0 || deadline <= IPC_NOW)
        return deadline;
    slice = ipc_in_ms(1000);
    return slice < deadline ? slice : deadline;
}

/* A wait of ipc_channel_shm_slice_ has ended without a message, or room. 0: the caller waits on; or
 * what the call returns. */
IPC_INLINE int ipc_channel_shm_wait_on_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;

    if (deadline > IPC_NOW)
        (void)ipc_channel_sem_alive_(own, own->me.id);
    if (own->removed)
        return ipc_channel_report_ring_end_(ch, -EPIPE);
    return ipc_left_(deadline) == 0 ? -ETIMEDOUT : 0;
}

IPC_INLINE int ipc_channel_shm_send_(struct ipc_channel *ch, const void *message, size_t n,
                                     int64_t deadline)
{
    const struct ipc_channel_shm_ *own = (const struct ipc_channel_shm_ *)ch->state;
    int rc;

    do
        rc = ipc_channel_ring_send_(ch, message, n,
                                    ipc_channel_shm_slice_(own, ch->ring->reader, deadline));
    while (rc == -ETIMEDOUT && (rc = ipc_channel_shm_wait_on_(ch, deadline)) == 0);
    return rc;
}

IPC_INLINE int64_t ipc_channel_shm_recv_(struct ipc_channel *ch, void *to, size_t size,
                                         int64_t deadline)
{
    const struct ipc_channel_shm_ *own = (const struct ipc_channel_shm_ *)ch->state;
    int64_t rc;

    do
        rc = ipc_channel_ring_recv_(ch, to, size,
                                    ipc_channel_shm_slice_(own, ch->ring->writer, deadline));
    while (rc == -ETIMEDOUT && (rc = ipc_channel_shm_wait_on_(ch, deadline)) == 0);
    return rc;
}

/* Has recv something to tell? Asks the kernel for a death, and for the semaphores, as nothing tells of
 * these. */
IPC_INLINE int ipc_channel_shm_is_ready_(struct ipc_channel *ch)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    struct ipc_channel_ring_ *r = ch->ring;

    if (r->in.ring != NULL && ipc_channel_is_time_to_ask_(&r->asked_at[0])) {
        (void)ipc_channel_sem_alive_(own, own->me.id);
        r->data.asks |= ipc_channel_is_killed_(&r->data, ck_pr_load_64(&r->in.ring->end[0]));
    }
    return own->removed || r->data.asks || ipc_channel_ring_is_ready_(ch);
}

/* The kernel gives memory for what was touched: one of the rings, or both. */
IPC_INLINE void ipc_channel_shm_describe_(const struct ipc_channel *ch,
                                          struct ipc_channel_facts *info)
{
    const struct ipc_channel_shm_ *own = (const struct ipc_channel_shm_ *)ch->state;

    info->memory = own->half * ((ch->role & IPC_BOTH) == IPC_BOTH ? 2 : 1) + IPC_CHANNEL_SHM_HEAD_;
}

/* Leaves the rings before the place: until then the other side must not think us dead. */
IPC_INLINE void ipc_channel_shm_close_(struct ipc_channel *ch)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;

    ipc_channel_ring_leave_(ch);
    if (ipc_channel_sem_is_placed_(own))
        ipc_channel_sem_give_back_(own, own->me.id % 2);
    if (own->self != NULL)
        (void)munmap(own->self, (size_t)getpagesize());
    if (own->mem != NULL)
        (void)shmdt(own->mem);
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
    /* Semaphores have no mark: two of them beside a segment of ours are ours. They are removed
     * first, as no later call would know them without the segment. */
    sem = semget(key, IPC_CHANNEL_SHM_SEMS_ + 1, 0) < 0 ? semget(key, IPC_CHANNEL_SHM_SEMS_, 0)
                                                        : -1;
    rc = sem >= 0 && semctl(sem, 0, IPC_RMID) != 0 ? -errno : 0;
    return shmctl(shm, IPC_RMID, NULL) != 0 ? -errno : rc;
}

static const struct ipc_channel_kind_ ipc_channel_sysvshm_kind_ = {
    "sysvshm",
    IPC_CHANNEL_NO_FD_,
    sizeof(struct ipc_channel_shm_),
    0,
    0,
    ipc_channel_shm_open_,
    ipc_channel_shm_close_,
    ipc_channel_shm_unlink_,
    ipc_channel_shm_send_,
    ipc_channel_shm_recv_,
    NULL, /* meet: send and recv wait for peers */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    ipc_channel_shm_describe_,
    ipc_channel_shm_is_ready_,
    NULL, /* serve */
};

#endif
