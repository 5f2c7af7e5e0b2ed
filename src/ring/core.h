/*
 * What all kinds of ring have in common: the layout of their beginning, and who holds an end.
 *
 * An end of a ring, a lane of records and a seat are each held by a process: a word in shared
 * memory is the id of its holder, or 0.
 *
 *   from      to     made by
 *   0         id     the process `id`, at attach: compare-and-swap, acquire after it
 *   a dead id id     the process `id`, at attach: the same; the kernel says that the holder is dead
 *   id        0      the holder, at detach: compare-and-swap, release before it
 *
 * Seats of MPMC rings and of servers have a generation besides, which their words name, and the id
 * that it was issued to. Both are changed at attach by the process that has just taken the seat:
 * fetch-and-add, then a store. It may be stopped before either: the words of the dead holder then
 * still name that one. For the fences see mpmc.h and call.h.
 *
 * A compare-and-swap on the exact id seen lets only one succeed of two processes that saw the same
 * dead holder. It also makes a detach harmless if another process took the end in the meantime.
 *
 * A process that looks for one of many lanes, seats or slots, and finds none, looks again if one
 * has got another holder since: one that it passed may be free (ipc_ring_is_to_scan_again_).
 */
#ifndef IPC_SRC_RING_CORE_H
#define IPC_SRC_RING_CORE_H 1

#include "../common/peer.h"

/* The version of the layout of every kind of ring: two builds that differ in it refuse each other.
 * It is not the release's version, and goes up with any change to what is in memory. */
#define IPC_RING_LAYOUT 5u

#define IPC_RING_ORDER 0x01020304u   /* stored by a machine of our byte order */
#define IPC_RING_SWAPPED 0x04030201u /* stored by a machine of the other byte order */
#define IPC_RING_LINE 64u            /* cache line of the layout, the same on every machine */

/* What every ring begins with. Constant after init. The magic is stored last: before that nothing
 * here is valid. */
struct ipc_ring_shared_ {
    uint64_t magic;
    uint32_t abi;   /* IPC_RING_LAYOUT */
    uint32_t order; /* IPC_RING_ORDER */
    uint32_t line;  /* IPC_RING_LINE */
    uint32_t how;
    uint64_t bytes;    /* of one message */
    uint64_t capacity; /* slots */
    uint32_t version;  /* of the message type */
    uint32_t unused;
    uint64_t next_version; /* before init: IPC_RING_NEXT_ + what version is to be, else 0 */
    unsigned char pad[8];
};

/* The ring's fields end[2] and left[2] are beside each other: from an end to its count. */
#define IPC_RING_LEFT_ 2

#define IPC_RING_NEXT_ (UINT64_C(0x76657273) << 32) /* "vers" */

#define IPC_RING_ASSERT_(name, condition) typedef char ipc_ring_assert_##name[(condition) ? 1 : -1];

/* May messages of that type be copied byte by byte? In C all may. */
#ifdef __cplusplus
#define IPC_RING_IS_COPYABLE_(TYPE) __is_trivially_copyable(TYPE)
#else
#define IPC_RING_IS_COPYABLE_(TYPE) 1
#endif

/* Calls write to their handle with each message. A handle begins and ends with a line of nothing,
 * so that it shares no line that is written with what stands beside it: a struct may have handles
 * of two threads. (An alignment would not hold in memory of malloc, and of new before C++17.) */
#define IPC_RING_APART_(WHERE) unsigned char WHERE[IPC_RING_LINE]

/* How far the producer prefetches and the consumer looks ahead, and for how many pauses the
 * consumer holds back at most. Measured flat around these values (bench/). */
#define IPC_RING_PREFETCH_ 1024u /* bytes */
#define IPC_RING_AHEAD_ 64u      /* slots */
#define IPC_RING_PAUSES_ 31u     /* ck_pr_stall()s, as everywhere in handles */
#define IPC_RING_SINGLE_ 2048u   /* bytes: behind a longer message it does not look ahead */

/* Slots up to a line never straddle one; longer ones are whole lines. Aligns any message to its
 * own alignment up to 64, as its size is a multiple of that. */
IPC_FORCE_INLINE size_t ipc_ring_stride_(size_t bytes)
{
    size_t need = bytes + sizeof(uint64_t);

    return need <= 16   ? 16
           : need <= 32 ? 32
                        : (need + IPC_RING_LINE - 1) & ~(size_t)(IPC_RING_LINE - 1);
}

/* Slots of whole lines: two processes that work on neighbouring slots share none. */
IPC_FORCE_INLINE size_t ipc_ring_line_stride_(size_t bytes)
{
    return (bytes + sizeof(uint64_t) + IPC_RING_LINE - 1) & ~(size_t)(IPC_RING_LINE - 1);
}

/* Each attached handle has a seat, and the word of a slot names the seat of its holder. */
struct ipc_ring_seat_ {
    uint64_t id;         /* the holder's ipc_peer id, 0: free. See the table above */
    uint64_t generation; /* how many handles have taken the seat; each adds one */
    uint64_t named;      /* the id that the current generation was issued to */
    uint64_t unused;     /* a power of two is easier to multiply by */
};

/* In `how` of a kind that has seats, above the lowest byte: how many, where that is another number
 * than usual. IPC_BROADCAST_READERS and IPC_MPMC_HANDLES are made of this. A number that is out of
 * range stays so. Constant where n is, so it has n twice. */
#define IPC_RING_SEATS_MAX 65536u
#define IPC_RING_HOW_MANY_(n, usual)                                                               \
    ((unsigned)(n)-1u < IPC_RING_SEATS_MAX ? ((unsigned)(n) ^ (usual)) << 8 : ~0xffu)

IPC_INLINE unsigned ipc_ring_seats_of_(unsigned how, unsigned usual)
{
    return how >> 8 ^ usual;
}

IPC_INLINE int ipc_ring_are_seats_valid_(unsigned seats)
{
    return seats - 1 < IPC_RING_SEATS_MAX;
}

/* What all rings of one kind have in common. */
struct ipc_ring_kind_ {
    const char *name;
    uint64_t magic;
    size_t header;
    size_t stride;
};

IPC_INLINE size_t ipc_ring_footprint_(const struct ipc_ring_kind_ *kind, size_t bytes,
                                      uint64_t capacity)
{
    if (bytes == 0 || bytes > SIZE_MAX / 4 || capacity == 0 || (capacity & (capacity - 1)) != 0 ||
        capacity > (SIZE_MAX / 2 - kind->header) / kind->stride)
        return 0;
    return kind->header + kind->stride * (size_t)capacity;
}

IPC_INLINE int ipc_ring_aligned_(const void *mem)
{
    return mem != NULL && (uintptr_t)mem % IPC_RING_LINE == 0;
}

IPC_INLINE int ipc_ring_init_(void *mem, size_t size, const struct ipc_ring_kind_ *kind,
                              size_t bytes, uint64_t capacity, uint32_t how)
{
    struct ipc_ring_shared_ *r = (struct ipc_ring_shared_ *)mem;
    size_t footprint = ipc_ring_footprint_(kind, bytes, capacity);
    uint64_t next;

    if (footprint == 0 || !ipc_ring_aligned_(mem))
        return -EINVAL;
    if (size < footprint)
        return -ENOSPC;
    next = r->next_version;
    ck_pr_store_64(&r->magic, 0); /* first: a process that dies in here leaves no ring */
    memset((unsigned char *)mem + sizeof r->magic, 0, footprint - sizeof r->magic);
    r->version = next >> 32 == IPC_RING_NEXT_ >> 32 ? (uint32_t)next : 0;
    r->abi = IPC_RING_LAYOUT;
    r->order = IPC_RING_ORDER;
    r->line = IPC_RING_LINE;
    r->how = how;
    r->bytes = bytes;
    r->capacity = capacity;
    /* Without it an attach could see the magic before the ring. Partner: ipc_ring_check_reader_. */
    ck_pr_fence_store();
    ck_pr_store_64(&r->magic, kind->magic);
    return 0;
}

#define IPC_RING_ANYONE_ (~UINT64_C(0)) /* the id of a process that brings no ipc_peer */

IPC_INLINE int ipc_ring_refuse_(struct ipc_peer *me, int rc, const char *what, uint64_t there,
                                uint64_t here)
{
    if (me != NULL)
        (void)snprintf(me->why, sizeof me->why, "%s: %llu there, %llu here", what,
                       (unsigned long long)there, (unsigned long long)here);
    return rc;
}

/* May this process only read the memory? */
IPC_INLINE int ipc_ring_is_read_only_(const struct ipc_peer *me)
{
    return me != NULL && me->id == IPC_PEER_READ_ONLY;
}

/* -EROFS; me->why says that an end which writes cannot be had. */
IPC_INLINE int ipc_ring_refuse_read_only_(struct ipc_peer *me)
{
    (void)snprintf(me->why, sizeof me->why, "the memory may only be read here, and only readers of "
                   "lossy broadcasts write nothing");
    return -EROFS;
}

/* As ipc_ring_check_, for an end that may do without write access. */
IPC_INLINE int ipc_ring_check_reader_(void *mem, size_t size, const struct ipc_ring_kind_ *kind,
                                      size_t bytes, struct ipc_peer *me, uint64_t *capacity)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;
    uint64_t magic, there;
    size_t footprint;

    if (me != NULL && (me->id == 0 || me->id == IPC_RING_ANYONE_))
        return -EINVAL; /* what made this ipc_peer has said why it has no id */
    if (!ipc_ring_aligned_(mem) || size < kind->header || bytes == 0)
        return ipc_ring_refuse_(me, -EINVAL, "ring memory misaligned or too small; bytes", size,
                                kind->header);
    magic = ck_pr_load_64(&r->magic);
    /* Without it the fields could be older than the magic. Partner: in ipc_ring_init_. */
    ck_pr_fence_load();
    if (magic == 0)
        return ipc_ring_refuse_(me, -EAGAIN, "ring not initialised yet; magic", 0, kind->magic);
    if ((there = ck_pr_load_32(&r->order)) == IPC_RING_SWAPPED)
        return ipc_ring_refuse_(me, -EPROTO, "ring of another byte order", there, IPC_RING_ORDER);
    if (magic != kind->magic || there != IPC_RING_ORDER)
        return ipc_ring_refuse_(me, -EPROTO, kind->name, magic, kind->magic);
    if ((there = ck_pr_load_32(&r->abi)) != IPC_RING_LAYOUT)
        return ipc_ring_refuse_(me, -EPROTO, "ring of another version; ABI", there, IPC_RING_LAYOUT);
    if ((there = ck_pr_load_32(&r->line)) != IPC_RING_LINE)
        return ipc_ring_refuse_(me, -EPROTO, "ring of another cache line size", there,
                                IPC_RING_LINE);
    if ((there = ck_pr_load_64(&r->bytes)) != bytes)
        return ipc_ring_refuse_(me, -EPROTO, "message size differs; bytes", there, bytes);
    *capacity = ck_pr_load_64(&r->capacity);
    footprint = ipc_ring_footprint_(kind, bytes, *capacity);
    if (footprint == 0 || footprint > size)
        return ipc_ring_refuse_(me, -EPROTO, "ring does not fit its memory; slots and bytes",
                                *capacity, size);
    return 0;
}

/* Reads the geometry once and checks it against the caller's. Writes what differs to me->why.
 * -EROFS where me->id is IPC_PEER_READ_ONLY. */
IPC_INLINE int ipc_ring_check_(void *mem, size_t size, const struct ipc_ring_kind_ *kind,
                               size_t bytes, struct ipc_peer *me, uint64_t *capacity)
{
    int rc = ipc_ring_check_reader_(mem, size, kind, bytes, me, capacity);

    return rc == 0 && ipc_ring_is_read_only_(me) ? ipc_ring_refuse_read_only_(me) : rc;
}

/* Once `how` says what else is in the memory: is there room for that? 0 or -EPROTO. */
IPC_INLINE int ipc_ring_check_size_(struct ipc_peer *me, size_t size, size_t footprint,
                                    uint64_t how)
{
    if (footprint == 0 || footprint > size)
        return ipc_ring_refuse_(me, -EPROTO, "ring does not fit its memory; how and bytes", how,
                                size);
    return 0;
}

/* Is the process of that id, which is not 0, proven to be dead, or to have left? One without an
 * ipc_peer never is. */
IPC_INLINE int ipc_ring_is_dead_(int (*alive)(void *, uint64_t), void *arg, uint64_t id)
{
    return id != IPC_RING_ANYONE_ && alive != NULL && alive(arg, id) <= 0;
}

/* The id under which a process holds an end. */
IPC_INLINE uint64_t ipc_ring_id_of_(const struct ipc_peer *me)
{
    return me != NULL ? me->id : IPC_RING_ANYONE_;
}

/* May `me` replace this holder of an end, a lane or a seat? */
IPC_INLINE int ipc_ring_may_replace_(const struct ipc_peer *me, uint64_t holder)
{
    return holder == 0 ||
           (me != NULL && holder != me->id && ipc_ring_is_dead_(me->alive, me->arg, holder));
}

/*
 * Whose process a handle is. A child that inherits the handle by fork has no end by it: the parent
 * has, as long as it lives. At its first call the child finds that *now is 0, before it has
 * stored anything, and ipc_ring_settle_ says which of the two goes on:
 *
 *   the parent                       the child's first call
 *   ------------------------------   --------------------------------------------------------------
 *   has handed its id over           goes on, by the same id: nothing changes in memory
 *   is dead, or has left             takes the end as any other process, by compare-and-swap, and
 *                                    goes on where the handle was, or where the parent was later
 *   lives; or another was quicker    -ECHILD, as each later call: the handle is as if detached
 */
struct ipc_ring_self_ {
    const uint64_t *now; /* struct ipc_peer's self; or a word that is all ones for ever */
    uint64_t was;        /* by which id the handle is attached */
    struct ipc_peer *me; /* NULL, where `now` never changes */
    /* Takes the end by the id of `me`, and finds the position anew: 0, or a negative errno. With
     * NULL makes the handle one that answers each call with -ECHILD. */
    int (*renew)(void *handle, struct ipc_peer *me);
};

IPC_INLINE void ipc_ring_begin_self_(struct ipc_ring_self_ *s, struct ipc_peer *me,
                                     int (*renew)(void *, struct ipc_peer *))
{
    static const uint64_t none = UINT64_MAX;

    s->me = me != NULL && me->self != NULL ? me : NULL;
    s->now = s->me != NULL ? me->self : &none;
    s->was = s->me != NULL ? me->id : 0;
    s->renew = renew;
}

/* Did the handle come by fork, or was its id handed over to a child? *now is memory of this process
 * alone, which changes in no call of its own: a plain load. */
IPC_FORCE_INLINE int ipc_ring_is_forked_(const struct ipc_ring_self_ *s)
{
    return *s->now == 0;
}

/* The handle of that `self` is forked. 1: this process goes on by the same id, and nothing has
 * changed; 0: it goes on, from what is in memory now; else -ECHILD. */
CK_CC_UNUSED __attribute__((noinline)) static int ipc_ring_settle_(struct ipc_ring_self_ *self,
                                                                   void *handle)
{
    int (*renew)(void *, struct ipc_peer *) = self->renew;
    struct ipc_peer *me = self->me;
    int rc = me->inherit(me->arg, self->was, 0);

    if (rc == 1)
        return 1;
    if (rc == 0 && renew(handle, me) == 0) {
        self->now = me->self;
        self->was = me->id;
        return 0;
    }
    return renew(handle, NULL);
}

/* Is what the handle holds this process's, by the id by which the handle is attached? Then this process
 * publishes it and gives it back. */
IPC_INLINE int ipc_ring_is_ours_(const struct ipc_ring_self_ *s)
{
    return !ipc_ring_is_forked_(s) || s->me->inherit(s->me->arg, s->was, 1) == 1;
}

/* Takes an end for `me`, if it is free or its holder is dead. 0, or -EBUSY. A process that fails
 * eight times competes with others that are taking it, or with a hostile writer. */
IPC_INLINE int ipc_ring_take_end_(uint64_t *end, struct ipc_peer *me, uint64_t id)
{
    uint64_t holder = 0;
    int tries;

    for (tries = 0; tries < 8; tries++) {
        holder = ck_pr_load_64(end);
        if (!ipc_ring_may_replace_(me, holder))
            break;
        if (ck_pr_cas_64(end, holder, id)) {
            /* Without it the positions that we start from could be older than what the last holder
             * left. Partner: ipc_ring_leave_end_; the kernel, if the last holder was killed. */
            ck_pr_fence_acquire();
            return 0;
        }
    }
    return ipc_ring_refuse_(me, -EBUSY,
                            holder == id ? "this process has taken this end of the ring; peer"
                                         : "this end of the ring is taken; peer",
                            holder, id);
}

/* Frees an end that `id` holds. If another process was told that we are dead and took it, it stays
 * that one's. */
IPC_INLINE void ipc_ring_leave_end_(uint64_t *end, uint64_t id)
{
    /* Without it the next holder could miss what we wrote or read. Partner: ipc_ring_take_end_. */
    ck_pr_fence_release();
    (void)ck_pr_cas_64(end, id, 0);
}

/* Detaches from an end: frees it, and counts in `left` that one has gone. The process at the other
 * end may have had no look between this one's attach and now, as it always found messages or room:
 * then the count tells it. `left` only grows, by one for each detach, and only the process that
 * detaches adds to it; what a hostile writer stores there is a loss told for nothing, or not at all.
 */
IPC_INLINE void ipc_ring_detach_end_(uint64_t *end, uint64_t id)
{
    /* Without it the count could be seen before the last message, or room, that this process gave:
     * its peer would take what is still to come for all. Partner: the second load fence in
     * ipc_notify_wait_with_peer_. */
    ck_pr_fence_release();
    /* Before the end is free, so that whoever finds it free finds the count as well. */
    (void)ck_pr_faa_64(end + IPC_RING_LEFT_, 1);
    ipc_ring_leave_end_(end, id);
}

/* The scans of one process for a holder that it may replace. Begins as zeros. */
struct ipc_ring_scans_ {
    uint64_t sum;
    unsigned tries;
};

/* A scan of `count` holders, `step` bytes from each other, has found none to replace. Is it to
 * begin again? After the first one, and then, eight times at most, if a holder has changed since.
 * The sum changes when one does, but for a coincidence. */
IPC_INLINE int ipc_ring_is_to_scan_again_(struct ipc_ring_scans_ *scans, const uint64_t *holders,
                                          size_t step, uint64_t count)
{
    uint64_t sum = 0, i;
    int changed;

    for (i = 0; i < count; i++)
        sum = sum * 31 + ck_pr_load_64((const uint64_t *)(const void *)((const unsigned char *)
                                                                            holders + i * step));
    changed = scans->tries == 0 || sum != scans->sum;
    scans->sum = sum;
    return changed && scans->tries++ < 8;
}

/* Takes the first of n seats that is free or whose holder, to which *holder is set, is dead.
 * Returns its index, or n. What has to be ordered with the seat's generation is up to the caller.
 */
IPC_INLINE unsigned ipc_ring_take_seat_(struct ipc_ring_seat_ *seats, unsigned n,
                                        struct ipc_peer *me, uint64_t id, uint64_t *holder)
{
    struct ipc_ring_scans_ scans = {0, 0};
    unsigned i;

    *holder = 0;
    do
        for (i = 0; i < n; i++) {
            *holder = ck_pr_load_64(&seats[i].id);
            if (ipc_ring_may_replace_(me, *holder) && ck_pr_cas_64(&seats[i].id, *holder, id))
                return i;
        }
    while (ipc_ring_is_to_scan_again_(&scans, &seats[0].id, sizeof seats[0], n));
    return n;
}

/* Raises a count that only grows, and to no more than `most`, to n at least. It fails when others
 * have made it grow. */
IPC_INLINE void ipc_ring_raise_(uint64_t *count, uint64_t n, uint64_t most)
{
    uint64_t tries;

    for (tries = 0; tries <= most; tries++) {
        uint64_t there = ck_pr_load_64(count);

        if (there >= n || ck_pr_cas_64(count, there, n))
            break;
    }
}

/* Issues the next generation of a seat to its new holder. */
IPC_INLINE uint64_t ipc_ring_next_generation_(struct ipc_ring_seat_ *seat, uint64_t id)
{
    uint64_t generation = ck_pr_faa_64(&seat->generation, 1) + 1;

    ck_pr_store_64(&seat->named, id);
    return generation;
}

/* Is the process dead, or has it left, that a word names by the current generation of a seat? */
IPC_INLINE int ipc_ring_is_named_dead_(int (*alive)(void *, uint64_t), void *arg,
                                       const struct ipc_ring_seat_ *seat)
{
    if (ck_pr_load_64(&seat->id) == 0)
        return alive != NULL;
    return ipc_ring_is_dead_(alive, arg, ck_pr_load_64(&seat->named));
}

/* An end that is close behind the other lets that get ahead before it looks again: if both work on
 * one line, each waits for the other. It holds back the longer, up to `most` pauses, the more often
 * that brought several messages at once. */
IPC_FORCE_INLINE void ipc_ring_hold_back_(unsigned pauses)
{
    for (; pauses > 0; pauses--)
        ck_pr_stall();
}

IPC_FORCE_INLINE void ipc_ring_adapt_pauses_(unsigned *pauses, int pays, unsigned most)
{
    if (!pays)
        *pauses /= 2;
    else if (*pauses < most)
        *pauses = 2 * *pauses + 1;
}

IPC_FORCE_INLINE unsigned char *ipc_ring_slot_(unsigned char *slots, uint64_t mask,
                                               uint64_t position, size_t stride)
{
    return slots + (size_t)(position & mask) * stride;
}

/* The last word of a slot: its sequence (spsc.h), or all about it (mpmc_slot.h, call.h). */
IPC_FORCE_INLINE uint64_t *ipc_ring_sequence_(unsigned char *slot, size_t stride)
{
    return (uint64_t *)(void *)(slot + stride - sizeof(uint64_t));
}

#endif
