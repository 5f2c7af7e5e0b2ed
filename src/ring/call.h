/*
 * Calls: a request and its reply in one slot.
 *
 * Each caller has a slot, and servers look at all slots that have had a caller. The slot's last
 * word has the number n of the call, its state, and the name k of the server that works on it. It
 * says which process may touch the message: the caller in IDLE, ANSWERED and LEFT, server k in
 * TAKEN and GIVEN, nobody in ASKED.
 *
 *     (n,IDLE) --caller: n+1--> (n,ASKED) --k: CAS--> (n,TAKEN,k) --k--> (n,ANSWERED)
 *        ^ ^                        |                   |      |            |
 *        | '------------------------' caller gives up   |      | k leaves   '-- caller: n+1,ASKED
 *        |                            (CAS)             |      v
 *        |                     caller gives up (CAS)    |   (n,LEFT) -- caller: n+1,ASKED
 *        |                                              v
 *        '------- k, or k is dead ---------------- (n,GIVEN,k)
 *
 *   from              to           made by
 *   n,IDLE, ANSWERED  n+1,ASKED    the caller: release fence, store
 *   or LEFT
 *   n,ASKED           n,TAKEN,k    server k: compare-and-swap, acquire fence after it
 *   n,ASKED           n,IDLE       the caller, that gives up, and the slot's next caller:
 *                                  compare-and-swap
 *   n,TAKEN,k         n,ANSWERED   k: release fence, store
 *   n,TAKEN,k         n,LEFT       k, at detach: release fence, store
 *   n,TAKEN,k         n,GIVEN,k    the caller, that gives up: compare-and-swap
 *   n,GIVEN,k         n,IDLE       k: release fence, store
 *   n,TAKEN or GIVEN  n,IDLE       the caller, and the slot's next one, if k is dead:
 *                                  compare-and-swap; acquire fence before it writes to the slot
 *
 * As long as k lives nobody else changes TAKEN, but to GIVEN, and GIVEN not at all. So k may store:
 * if it misses a GIVEN, the reply is in the slot, and nobody reads it. A caller that gave up a
 * taken call moves to another slot; the slot that it left is for any caller that finds it neither
 * TAKEN nor GIVEN.
 */
#ifndef IPC_SRC_RING_CALL_H
#define IPC_SRC_RING_CALL_H 1

#include "copy.h"

/* ------------------------------------------------------------------ calls: layout */

#define IPC_CALL_TYPE 0x6c6c6163u                   /* "call" */
#define IPC_CALL_MAGIC UINT64_C(0x316c6c61635f6369) /* "ic_call1" */
/* The most servers at a time. It is fixed: all of them look for each request. Callers are as many as
 * asked for. */
#define IPC_CALL_SERVERS 64u

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_call_shared {
    struct ipc_ring_shared_ is; /* bytes: of a request; how: bytes of a reply; capacity: slots */
    uint64_t used;              /* no slot from here on has ever had a caller; it only grows */
    uint64_t changes;           /* servers that attached, and that detached; each adds one */
    /* Callers that wait for a slot sleep on it. Its word is in the line of `used`, which a server
     * reads at each take, so that each answer can look at it. */
    unsigned char slot_bell[64];
    unsigned char pad[48];
    unsigned char server_bell[64]; /* servers sleep on it; as in struct ipc_spsc_shared */
    struct ipc_ring_seat_ seat[IPC_CALL_SERVERS];
    /* slots, each a struct ipc_call_slot_ and then the message in whole lines */
};

struct ipc_call_slot_ {
    uint64_t caller; /* its holder, as in core.h */
    unsigned char pad[56];
    unsigned char bell[64]; /* the caller sleeps on it until the reply is there */
};

IPC_RING_ASSERT_(call_slot_bell, offsetof(struct ipc_call_shared, slot_bell) == 80)
IPC_RING_ASSERT_(call_bell, offsetof(struct ipc_call_shared, server_bell) == 192)
IPC_RING_ASSERT_(call_size, sizeof(struct ipc_call_shared) == 256 + 32 * IPC_CALL_SERVERS)
IPC_RING_ASSERT_(call_slot, sizeof(struct ipc_call_slot_) == 128)

/* The word, from its top bit: number of the call (23 bits, may wrap), name of the server (38:
 * generation, seat), state (3). The table at the top of this file has all transitions. */
#define IPC_CALL_IDLE_ 0u     /* the call was given up, or its server is dead */
#define IPC_CALL_ASKED_ 1u    /* a request is there */
#define IPC_CALL_TAKEN_ 2u    /* the server named works on it */
#define IPC_CALL_ANSWERED_ 3u /* a reply is there */
#define IPC_CALL_LEFT_ 4u     /* the server left without a reply */
#define IPC_CALL_GIVEN_ 5u    /* its caller gave the call up, and the server named works on it */
#define IPC_CALL_STATE_ UINT64_C(7)
#define IPC_CALL_NAME_ UINT64_C(8)
#define IPC_CALL_NUMBER_ (UINT64_C(1) << 41)
#define IPC_CALL_NUMBERS_ (~(IPC_CALL_NUMBER_ - 1))
#define IPC_CALL_NAMES_ (~(IPC_CALL_NUMBERS_ | IPC_CALL_STATE_))

#define IPC_CALL_SLOTS_EACH_ 2u /* slots for each caller: one, and one of a call that it gave up */

/* Looks without a reply between two questions to the kernel about deaths: a question takes as long
 * as some hundred looks. */
#define IPC_CALL_ASK_AFTER_ 4096u

IPC_FORCE_INLINE unsigned ipc_call_state_(uint64_t word)
{
    return (unsigned)(word & IPC_CALL_STATE_);
}

IPC_FORCE_INLINE size_t ipc_call_stride_(size_t request, size_t reply)
{
    return sizeof(struct ipc_call_slot_) + ipc_ring_line_stride_(request > reply ? request : reply);
}

IPC_INLINE struct ipc_ring_kind_ ipc_call_kind_(size_t request, size_t reply)
{
    struct ipc_ring_kind_ kind;

    kind.name = "no place for calls; magic";
    kind.magic = IPC_CALL_MAGIC;
    kind.header = sizeof(struct ipc_call_shared);
    kind.stride = ipc_call_stride_(request, reply);
    return kind;
}

/* The slots for that many callers: a power of two, or 0. */
IPC_INLINE uint64_t ipc_call_slots_(uint64_t callers)
{
    uint64_t slots = callers > 0 ? IPC_CALL_SLOTS_EACH_ : 0;

    while (slots / IPC_CALL_SLOTS_EACH_ < callers && slots != 0)
        slots *= 2;
    return slots;
}

/* The bytes of a place for calls; or 0 if request or reply has 0 bytes, reply has 4 GB or more,
 * callers is 0, or the product is beyond the address space. */
IPC_INLINE size_t ipc_call_footprint(size_t request, size_t reply, uint64_t callers)
{
    struct ipc_ring_kind_ kind = ipc_call_kind_(request, reply);

    if (reply == 0 || reply > UINT32_MAX || kind.stride < reply) /* of 32 bits: it wraps around */
        return 0;
    return ipc_ring_footprint_(&kind, request, ipc_call_slots_(callers));
}

/*
 * Makes a place for calls in mem[0..size), with requests of `request` bytes, replies of `reply`
 * bytes, for that many callers at a time, rounded up to a power of two. There are two slots for
 * each caller, as a server that is stopped keeps the slot of a call that it has taken, also when the
 * caller gives the call up and moves to another slot. So that many callers always have a slot, if
 * stopped servers keep no more calls than that. A caller beyond them is not refused while a slot is
 * free. Otherwise as ipc_spsc_init.
 *
 *   0
 *   -EINVAL, -ENOSPC  as of ipc_spsc_init, by ipc_call_footprint
 */
IPC_INLINE int ipc_call_init(void *mem, size_t size, size_t request, size_t reply, uint64_t callers)
{
    struct ipc_ring_kind_ kind = ipc_call_kind_(request, reply);

    if (ipc_call_footprint(request, reply, callers) == 0)
        return -EINVAL;
    return ipc_ring_init_(mem, size, &kind, request, ipc_call_slots_(callers), (uint32_t)reply);
}

/* ------------------------------------------------------------------ calls: handles */

/* Private to their thread; no field is for the caller. */
struct ipc_call_client {
    IPC_RING_APART_(before);
    unsigned char *slot; /* ours */
    uint64_t word;       /* what we last stored in it, or found when it became ours to write */
    int doing;           /* IPC_CALL_OURS_ ... */
    unsigned vain;       /* looks without a reply */
    uint64_t changes;    /* ring->changes when we last looked whether anyone serves */
    uint64_t reported;   /* ring->changes when we last returned that nobody serves */
    uint64_t request, reply;
    unsigned char *slots;
    uint64_t count;
    struct ipc_call_shared *ring;
    uint64_t id;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    int error; /* sticks */
    struct ipc_ring_self_ self;
    IPC_RING_APART_(after);
};

#define IPC_CALL_OURS_ 0      /* the slot is ours to write */
#define IPC_CALL_CLAIMED_ 1   /* ... and is being written */
#define IPC_CALL_WAITING_ 2   /* the request was sent */
#define IPC_CALL_REPLIED_ 3   /* the reply is there */
#define IPC_CALL_ABANDONED_ 4 /* given up: a server may still have it */

struct ipc_call_server {
    IPC_RING_APART_(before);
    unsigned char *slots;
    uint64_t count;
    uint64_t next; /* slot to look at */
    uint64_t me;   /* our name, shifted to its place in a word */
    uint64_t request, reply;
    struct ipc_call_shared *ring;
    struct ipc_ring_seat_ *seat;
    uint64_t id;
    int error; /* of attach or detach */
    struct ipc_ring_self_ self;
    IPC_RING_APART_(after);
};

IPC_FORCE_INLINE uint64_t *ipc_call_caller_(unsigned char *slot)
{
    return &((struct ipc_call_slot_ *)(void *)slot)->caller;
}

IPC_FORCE_INLINE unsigned char *ipc_call_message_(unsigned char *slot)
{
    return slot + sizeof(struct ipc_call_slot_);
}

IPC_FORCE_INLINE size_t ipc_call_client_stride_(const struct ipc_call_client *c)
{
    return ipc_call_stride_((size_t)c->request, (size_t)c->reply);
}

IPC_FORCE_INLINE size_t ipc_call_server_stride_(const struct ipc_call_server *s)
{
    return ipc_call_stride_((size_t)s->request, (size_t)s->reply);
}

/* ------------------------------------------------------------------ calls: dead servers, slots */

/* Is the server named in this word dead, or has it left? The word was read before the call. */
IPC_INLINE int ipc_call_is_server_gone_(const struct ipc_call_client *c, uint64_t word)
{
    const struct ipc_ring_seat_ *seat = &c->ring->seat[word / IPC_CALL_NAME_ % IPC_CALL_SERVERS];
    uint64_t generation;
    int gone;

    /* Without it the seat could be older than the word. Partner: in ipc_call_server_attach. The
     * seat may be newer than the word, as in ipc_mpmc_is_holder_dead_. */
    ck_pr_fence_load();
    generation = ck_pr_load_64(&seat->generation);
    gone = (uint32_t)generation != (uint32_t)(word / IPC_CALL_NAME_ / IPC_CALL_SERVERS) ||
           ipc_ring_is_named_dead_(c->alive, c->arg, seat);
    /* If another generation has the seat, that server has seen that the one before is dead: without
     * it we could write to the slot while the dead one still reads or writes. Partner: in
     * ipc_call_server_attach. If the seat is free, its server has stored LEFT before: without it
     * our compare-and-swap could come before that store, which would then end a later call. Partner:
     * in ipc_ring_leave_end_. If the server is dead, the partner is the kernel. */
    if (gone)
        ck_pr_fence_acquire();
    return gone;
}

/* What ipc_call_find_servers_ finds in the seats. */
#define IPC_CALL_NO_SERVER_ 0
#define IPC_CALL_DEAD_SERVERS_ 1 /* and none that lives */
#define IPC_CALL_LIVE_SERVER_ 2

/* Does anyone serve? Returns one of the three above; *changes is what the ring's were before. */
IPC_INLINE int ipc_call_find_servers_(const struct ipc_call_client *c, uint64_t *changes)
{
    unsigned i;
    int found = IPC_CALL_NO_SERVER_;

    *changes = ck_pr_load_64(&c->ring->changes);
    /* Without it a seat could be older than the count of changes, and we do not look again for the
     * same count. Partners: in ipc_call_server_attach and ipc_call_server_detach. */
    ck_pr_fence_load();
    for (i = 0; i < IPC_CALL_SERVERS && found != IPC_CALL_LIVE_SERVER_; i++) {
        uint64_t id = ck_pr_load_64(&c->ring->seat[i].id);

        if (id != 0)
            found = ipc_ring_is_dead_(c->alive, c->arg, id) ? IPC_CALL_DEAD_SERVERS_
                                                            : IPC_CALL_LIVE_SERVER_;
    }
    return found;
}

/* Makes the slot, of which we are the caller, ours to write. Returns 0 if a server has it. Takes
 * back a request that no server has taken. Finds dead servers only if it may `ask` the kernel. */
IPC_INLINE int ipc_call_own_slot_(struct ipc_call_client *c, unsigned char *slot, int ask)
{
    uint64_t *at = ipc_ring_sequence_(slot, ipc_call_client_stride_(c));
    unsigned tries;

    for (tries = 0; tries < 4; tries++) {
        uint64_t word = ck_pr_load_64(at);
        unsigned state = ipc_call_state_(word);
        int taken = state == IPC_CALL_TAKEN_ || state == IPC_CALL_GIVEN_;

        if (state == IPC_CALL_ASKED_ || (taken && ask && ipc_call_is_server_gone_(c, word))) {
            (void)ck_pr_cas_64(at, word, (word & IPC_CALL_NUMBERS_) + IPC_CALL_IDLE_);
            continue;
        }
        if (taken)
            return 0;
        /* Without it we could write while the server still reads or writes. Partner: in
         * ipc_call_end_taken_. */
        ck_pr_fence_acquire();
        c->slot = slot;
        c->word = word;
        c->doing = IPC_CALL_OURS_;
        return 1;
    }
    return 0;
}

/* Takes this slot if it is free, or a dead caller's if it may `ask` the kernel, and no server has
 * it. 1 or 0. */
IPC_INLINE int ipc_call_try_slot_(struct ipc_call_client *c, unsigned char *slot, int ask)
{
    uint64_t *caller = ipc_call_caller_(slot), holder, word;
    uint64_t *at = ipc_ring_sequence_(slot, ipc_call_client_stride_(c));
    unsigned tries, state;

    for (tries = 0; tries < 4; tries++) {
        holder = ck_pr_load_64(caller);
        if (holder != 0 &&
            (!ask || holder == c->id || !ipc_ring_is_dead_(c->alive, c->arg, holder)))
            return 0;
        word = ck_pr_load_64(at);
        state = ipc_call_state_(word);
        if ((state == IPC_CALL_TAKEN_ || state == IPC_CALL_GIVEN_) &&
            (!ask || !ipc_call_is_server_gone_(c, word)))
            return 0;
        if (!ck_pr_cas_64(caller, holder, c->id))
            return 0; /* another caller has it now */
        /* Without it the slot's word could be older than what its last caller saw there, and hide
         * that a server has it. Partner: in ipc_ring_leave_end_. */
        ck_pr_fence_acquire();
        if (ipc_call_own_slot_(c, slot, ask))
            return 1;
        ipc_ring_leave_end_(caller, c->id);
        /* A server had it all the same. It may give it back between our two looks, and wake callers
         * that then still find it ours: so look again. Without it this look could be older than our
         * leave, and miss what they miss. Partner: the fences of ipc_notify_post. */
        ck_pr_fence_memory(); /* no twin */
    }
    return 0;
}

/* Takes any slot, as ipc_call_try_slot_. 0 or -EUSERS. */
IPC_INLINE int ipc_call_take_slot_(struct ipc_call_client *c, int ask)
{
    size_t stride = ipc_call_client_stride_(c);
    struct ipc_ring_scans_ scans = {0, 0};
    uint64_t i;

    do
        for (i = 0; i < c->count; i++)
            if (ipc_call_try_slot_(c, c->slots + i * stride, ask)) {
                ipc_ring_raise_(&c->ring->used, i + 1, c->count);
                return 0;
            }
    while (ipc_ring_is_to_scan_again_(&scans, ipc_call_caller_(c->slots), stride, c->count));
    return -EUSERS;
}

/* ------------------------------------------------------------------ calls: attach */

IPC_INLINE int ipc_call_check_(void *mem, size_t size, size_t request, size_t reply,
                               struct ipc_peer *me, uint64_t *slots)
{
    struct ipc_ring_kind_ kind = ipc_call_kind_(request, reply);
    uint32_t there;
    int rc = ipc_ring_check_(mem, size, &kind, request, me, slots);

    if (rc != 0)
        return rc;
    there = ck_pr_load_32(&((const struct ipc_ring_shared_ *)mem)->how);
    if (there != reply)
        return ipc_ring_refuse_(me, -EPROTO, "reply size differs; bytes", there, reply);
    return 0;
}

IPC_INLINE int ipc_call_client_disable_(struct ipc_call_client *c, int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->self, NULL, NULL);
    return c->error = rc;
}

IPC_INLINE int ipc_call_server_disable_(struct ipc_call_server *s, int rc)
{
    memset(s, 0, sizeof *s);
    ipc_ring_begin_self_(&s->self, NULL, NULL);
    return s->error = rc;
}

/* struct ipc_ring_self_'s renew, see below: these attach anew. */
CK_CC_UNUSED static int ipc_call_client_renew_(void *handle, struct ipc_peer *me);
CK_CC_UNUSED static int ipc_call_server_renew_(void *handle, struct ipc_peer *me);

/*
 * Attaches a caller, and gives it a slot that is free, or a dead caller's. A handle is for one
 * thread, and one call at a time; a process may have several. `me`: as for
 * ipc_spsc_producer_attach. Lock-free; not for the path of a call.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO, -EROFS
 *            as of ipc_spsc_producer_attach; -EPROTO also when the reply size differs
 *   -EUSERS  all slots are taken
 */
IPC_INLINE int ipc_call_client_attach(struct ipc_call_client *c, void *mem, size_t size,
                                      size_t request, size_t reply, struct ipc_peer *me)
{
    uint64_t slots = 0;
    int servers;
    int rc = ipc_call_check_(mem, size, request, reply, me, &slots);

    (void)ipc_call_client_disable_(c, rc);
    if (rc != 0)
        return rc;
    c->request = request;
    c->reply = reply;
    c->slots = (unsigned char *)mem + sizeof(struct ipc_call_shared);
    c->count = slots;
    c->ring = (struct ipc_call_shared *)mem;
    c->id = ipc_ring_id_of_(me);
    c->alive = me != NULL ? me->alive : NULL;
    c->arg = me != NULL ? me->arg : NULL;
    if (ipc_call_take_slot_(c, 1) != 0) {
        c->ring = NULL;
        return c->error = ipc_ring_refuse_(me, -EUSERS, "all slots for callers are taken; of",
                                           slots, slots);
    }
    ipc_ring_begin_self_(&c->self, me, ipc_call_client_renew_);
    servers = ipc_call_find_servers_(c, &c->changes);
    c->reported = servers != IPC_CALL_NO_SERVER_ ? c->changes - 1 : c->changes;
    return 0;
}

/*
 * Attaches a server, of which there may be up to IPC_CALL_SERVERS. As ipc_call_client_attach, with
 * the same errors; -EUSERS: so many servers are attached that are not proven dead.
 */
IPC_INLINE int ipc_call_server_attach(struct ipc_call_server *s, void *mem, size_t size,
                                      size_t request, size_t reply, struct ipc_peer *me)
{
    struct ipc_call_shared *r = (struct ipc_call_shared *)mem;
    uint64_t slots = 0, holder;
    unsigned i;
    int rc = ipc_call_check_(mem, size, request, reply, me, &slots);

    (void)ipc_call_server_disable_(s, rc);
    if (rc != 0)
        return rc;
    s->id = ipc_ring_id_of_(me);
    i = ipc_ring_take_seat_(r->seat, IPC_CALL_SERVERS, me, s->id, &holder);
    if (i == IPC_CALL_SERVERS)
        return s->error = ipc_ring_refuse_(me, -EUSERS, "all seats for servers are taken; of",
                                           IPC_CALL_SERVERS, IPC_CALL_SERVERS);
    /* Without it the new generation could be seen before the dead server's last reads and writes.
     * Partner: in ipc_call_is_server_gone_. */
    ck_pr_fence_release();
    s->me = (uint32_t)ipc_ring_next_generation_(&r->seat[i], s->id);
    s->me = (s->me * IPC_CALL_SERVERS + i) * IPC_CALL_NAME_;
    s->request = request;
    s->reply = reply;
    s->slots = (unsigned char *)mem + sizeof *r;
    s->count = slots;
    s->ring = r;
    s->seat = &r->seat[i];
    /* Without it the seat could be older than a word with our name, or than the change.
     * Partners: in ipc_call_is_server_gone_ and ipc_call_find_servers_. */
    ck_pr_fence_store();
    (void)ck_pr_faa_64(&r->changes, 1);
    ipc_ring_begin_self_(&s->self, me, ipc_call_server_renew_);
    return 0;
}

static int ipc_call_client_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_call_client *c = (struct ipc_call_client *)handle;
    size_t request = (size_t)c->request, reply = (size_t)c->reply;
    size_t size = sizeof *c->ring + (size_t)c->count * ipc_call_client_stride_(c);

    if (me == NULL)
        return ipc_call_client_disable_(c, -ECHILD);
    return ipc_call_client_attach(c, c->ring, size, request, reply, me);
}

static int ipc_call_server_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_call_server *s = (struct ipc_call_server *)handle;
    size_t request = (size_t)s->request, reply = (size_t)s->reply;
    size_t size = sizeof *s->ring + (size_t)s->count * ipc_call_server_stride_(s);

    if (me == NULL)
        return ipc_call_server_disable_(s, -ECHILD);
    return ipc_call_server_attach(s, s->ring, size, request, reply, me);
}

/* ------------------------------------------------------------------ the caller's path */

/* Counts a look without a reply. Is it time to ask the kernel about deaths? */
IPC_FORCE_INLINE int ipc_call_may_ask_(struct ipc_call_client *c)
{
    return c->vain++ % IPC_CALL_ASK_AFTER_ == 0;
}

/* Must claim regain the slot first, or refuse? */
IPC_FORCE_INLINE int ipc_call_must_regain_(const struct ipc_call_client *c)
{
    return c->error != 0 || c->doing == IPC_CALL_WAITING_ || c->doing == IPC_CALL_ABANDONED_ ||
           ipc_ring_is_forked_(&c->self);
}

/* Makes our slot ours to write again; if a server still has it, moves to another, and leaves ours:
 * that server may have given it back since, so callers that wait for a slot are to be woken. 0, or
 * the errors of ipc_call_ask. */
IPC_INLINE int ipc_call_regain_slot_(struct ipc_call_client *c)
{
    unsigned char *was;
    int ask;

    if (ipc_ring_is_forked_(&c->self) && ipc_ring_settle_(&c->self, c) >= 0 &&
        !ipc_call_must_regain_(c))
        return 0;
    was = c->slot;
    if (c->error != 0 || c->doing == IPC_CALL_WAITING_)
        return c->error != 0 ? c->error : -EBUSY;
    ask = ipc_call_may_ask_(c);
    if (ipc_call_own_slot_(c, was, ask))
        return 0;
    if (ipc_call_take_slot_(c, ask) != 0)
        return -EAGAIN;
    ipc_ring_leave_end_(ipc_call_caller_(was), c->id);
    return 0;
}

IPC_FORCE_INLINE int ipc_call_claim_(struct ipc_call_client *c)
{
    int rc;

    if (CK_CC_UNLIKELY(ipc_call_must_regain_(c)) && (rc = ipc_call_regain_slot_(c)) != 0)
        return rc;
    c->doing = IPC_CALL_CLAIMED_;
    return 0;
}

/* Sends the request in our slot, which is claimed. */
IPC_FORCE_INLINE void ipc_call_send_(struct ipc_call_client *c, size_t stride)
{
    c->word = (c->word & IPC_CALL_NUMBERS_) + IPC_CALL_NUMBER_ + IPC_CALL_ASKED_;
    c->doing = IPC_CALL_WAITING_;
    c->vain = 1;
    /* Without it ASKED could be seen before the request, or we could read a part of the last reply
     * after a server has overwritten it. Partner: in ipc_call_take_. */
    ck_pr_fence_release();
    ck_pr_store_64(ipc_ring_sequence_(c->slot, stride), c->word);
}

IPC_FORCE_INLINE int ipc_call_commit_(struct ipc_call_client *c, size_t stride)
{
    if (CK_CC_UNLIKELY(c->doing != IPC_CALL_CLAIMED_))
        return c->error != 0 ? c->error : -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&c->self)) && ipc_ring_settle_(&c->self, c) != 1)
        return c->error != 0 ? c->error : -EINVAL;
    ipc_call_send_(c, stride);
    return 0;
}

IPC_FORCE_INLINE int ipc_call_ask_(struct ipc_call_client *c, const void *request, size_t bytes,
                                   size_t stride)
{
    int rc = ipc_call_claim_(c);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    ipc_ring_put_(NULL, ipc_call_message_(c->slot), (const unsigned char *)request, bytes);
    ipc_call_send_(c, stride);
    return 0;
}

/* There is no reply, and the word says TAKEN, or ASKED as we stored it: asks the kernel whether a
 * server lives that can answer. -EAGAIN if so; else ends the call: -EOWNERDEAD or -EPIPE. */
IPC_INLINE int ipc_call_end_unserved_(struct ipc_call_client *c, uint64_t word)
{
    uint64_t changes = c->reported;
    int servers = IPC_CALL_DEAD_SERVERS_;

    if (word != c->word) {
        if (!ipc_call_is_server_gone_(c, word))
            return -EAGAIN;
    } else {
        servers = ipc_call_find_servers_(c, &changes);
        if (servers == IPC_CALL_LIVE_SERVER_ || changes == c->reported) {
            c->changes = changes;
            return -EAGAIN;
        }
    }
    /* From here on no server takes it. If one just has, the caller looks again. */
    if (!ck_pr_cas_64(ipc_ring_sequence_(c->slot, ipc_call_client_stride_(c)), word,
                      (word & IPC_CALL_NUMBERS_) + IPC_CALL_IDLE_))
        return -EAGAIN;
    c->reported = changes;
    c->doing = IPC_CALL_OURS_;
    return servers == IPC_CALL_DEAD_SERVERS_ ? -EOWNERDEAD : -EPIPE;
}

/* The word does not say ANSWERED for this call: what does poll return? */
IPC_INLINE int ipc_call_check_unanswered_(struct ipc_call_client *c, uint64_t word)
{
    unsigned state = ipc_call_state_(word);

    if (c->error == 0 && c->doing == IPC_CALL_REPLIED_)
        return 0;
    if (c->doing != IPC_CALL_WAITING_)
        return c->error != 0 ? c->error : -EINVAL;
    if (state == IPC_CALL_LEFT_ && ((word ^ c->word) & IPC_CALL_NUMBERS_) == 0) {
        c->doing = IPC_CALL_ABANDONED_;
        return -EPIPE;
    }
    if (word != c->word &&
        (state != IPC_CALL_TAKEN_ || ((word ^ c->word) & IPC_CALL_NUMBERS_) != 0)) {
        c->doing = IPC_CALL_ABANDONED_;
        return c->error = -EBADMSG;
    }
    if (!ipc_call_may_ask_(c) &&
        (word != c->word || ck_pr_load_64(&c->ring->changes) == c->changes))
        return -EAGAIN;
    return ipc_call_end_unserved_(c, word);
}

IPC_FORCE_INLINE int ipc_call_poll_(struct ipc_call_client *c, size_t stride)
{
    uint64_t word;

    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&c->self)) && ipc_ring_settle_(&c->self, c) < 0)
        return c->error;
    word = c->ring != NULL ? ck_pr_load_64(ipc_ring_sequence_(c->slot, stride)) : 0;
    if (CK_CC_UNLIKELY(c->doing != IPC_CALL_WAITING_ ||
                       word != c->word + (IPC_CALL_ANSWERED_ - IPC_CALL_ASKED_)))
        return ipc_call_check_unanswered_(c, word);
    /* Without it the reply could be older than ANSWERED, or what we write next come before.
     * Partner: in ipc_call_end_taken_. */
    ck_pr_fence_acquire();
    c->doing = IPC_CALL_REPLIED_;
    return 0;
}

IPC_FORCE_INLINE int ipc_call_collect_(struct ipc_call_client *c, void *reply, size_t bytes,
                                       size_t stride)
{
    int rc = ipc_call_poll_(c, stride);

    if (rc == 0)
        memcpy(reply, ipc_call_message_(c->slot), bytes);
    return rc;
}

/*
 * Without a copy: claim gives the place of the request, 64-byte aligned, with what was there
 * before. Until commit it gives the same again. After it, what peek gave is not valid any more. 0
 * and *message, or
 *
 *   -EBUSY    the last call has not ended: poll until it has, or cancel it
 *   -EAGAIN   the slot of a call that was given up is still in its server's hands, and no other is
 *             free
 *   -EBADMSG  the shared memory is corrupt; sticks
 *   -EINVAL   the handle is not attached, or what its attach said
 *   -ECHILD   after fork, as of ipc_spsc_push
 *
 * Wait-free, but for a few system calls if a call was given up. A caller that is stopped or killed
 * here costs its slot, until another that needs a slot finds it dead.
 */
IPC_INLINE int ipc_call_claim(struct ipc_call_client *c, void **message)
{
    int rc = ipc_call_claim_(c);

    *message = rc == 0 ? ipc_call_message_(c->slot) : NULL;
    return rc;
}

/* Sends the request that was claimed. 0; -EINVAL: none was; -EBADMSG, -ECHILD. Wait-free. */
IPC_INLINE int ipc_call_commit(struct ipc_call_client *c)
{
    return ipc_call_commit_(c, ipc_call_client_stride_(c));
}

/*
 * Copies a request in, and sends it: claim and commit. One server gets it. Wait-free, as claim. A
 * caller that is stopped or killed afterwards may be answered all the same.
 *
 *   0
 *   -EMSGSIZE  bytes is not the size of requests
 *   -EBUSY, -EAGAIN, -EBADMSG, -EINVAL, -ECHILD  as of ipc_call_claim
 */
IPC_INLINE int ipc_call_ask(struct ipc_call_client *c, const void *request, size_t bytes)
{
    if (c->error == 0 && bytes != c->request)
        return -EMSGSIZE;
    return ipc_call_ask_(c, request, bytes, ipc_call_client_stride_(c));
}

/*
 * Has the call ended? Wait-free; asks the kernel about deaths every 4096 looks. A server that is
 * stopped holds up the calls that it has taken. A call that ended with -EOWNERDEAD or -EPIPE may
 * have had an effect, and has none from then on. If no server had taken it, each of these is
 * reported once: the next call waits for a new server.
 *
 *   0
 *   -EAGAIN      no reply yet
 *   -EOWNERDEAD  the server that had taken the call was killed; or none had, and the last server
 *                was killed
 *   -EPIPE       the server that had taken the call has detached; or none had, and the last server
 *                has detached
 *   -EBADMSG     the shared memory is corrupt; sticks
 *   -EINVAL      no request was sent, or was before a fork; or as of ipc_call_claim
 *   -ECHILD      after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_call_poll(struct ipc_call_client *c)
{
    return ipc_call_poll_(c, ipc_call_client_stride_(c));
}

/* The reply in place, after poll has returned 0 and until the next claim or ask; else NULL. A
 * hostile server may write to it meanwhile: read each field once, check, use. Wait-free. */
IPC_INLINE const void *ipc_call_peek(const struct ipc_call_client *c)
{
    return c->doing == IPC_CALL_REPLIED_ ? ipc_call_message_(c->slot) : NULL;
}

/* Copies the reply out: poll and peek, with the errors of poll; -EMSGSIZE: bytes is not the size of
 * replies. It can be copied again until the next claim or ask. Wait-free, as poll. */
IPC_INLINE int ipc_call_collect(struct ipc_call_client *c, void *reply, size_t bytes)
{
    if (c->error == 0 && bytes != c->reply)
        return -EMSGSIZE;
    return ipc_call_collect_(c, reply, bytes, ipc_call_client_stride_(c));
}

/* Gives up the request that was claimed or sent: its reply will never be seen. If no server has
 * taken it, none will. If one has, it keeps the slot until it answers or is dead; the next call
 * moves to another slot, if one is free. Wait-free. */
IPC_INLINE void ipc_call_cancel(struct ipc_call_client *c)
{
    uint64_t *at, word;

    if (c->ring != NULL && !ipc_ring_is_ours_(&c->self))
        return;
    if (c->doing == IPC_CALL_WAITING_) {
        at = ipc_ring_sequence_(c->slot, ipc_call_client_stride_(c));
        if (!ck_pr_cas_64(at, c->word, (c->word & IPC_CALL_NUMBERS_) + IPC_CALL_IDLE_)) {
            word = ck_pr_load_64(at);
            if (ipc_call_state_(word) == IPC_CALL_TAKEN_)
                (void)ck_pr_cas_64(at, word, word + (IPC_CALL_GIVEN_ - IPC_CALL_TAKEN_));
        }
        c->vain = 0;
        c->doing = IPC_CALL_ABANDONED_; /* claim looks whether a server has it */
    } else if (c->doing == IPC_CALL_CLAIMED_) {
        c->doing = IPC_CALL_OURS_;
    }
}

/* Detaches, and gives up the call: the slot is free for another caller. Wait-free. */
IPC_INLINE void ipc_call_client_detach(struct ipc_call_client *c)
{
    ipc_call_cancel(c);
    if (c->ring != NULL && ipc_ring_is_ours_(&c->self))
        ipc_ring_leave_end_(ipc_call_caller_(c->slot), c->id);
    (void)ipc_call_client_disable_(c, -EINVAL);
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_call_client_error(const struct ipc_call_client *c)
{
    return c->error;
}

/* ------------------------------------------------------------------ the server's path */

/* Takes the next request. Returns its message, or NULL. */
IPC_FORCE_INLINE unsigned char *ipc_call_take_(struct ipc_call_server *s, size_t stride)
{
    uint64_t used, i;

    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&s->self)) && ipc_ring_settle_(&s->self, s) < 0)
        return NULL;
    used = s->ring != NULL ? ck_pr_load_64(&s->ring->used) : 0;
    used = used < s->count ? used : s->count;
    for (i = 0; i < used; i++) {
        unsigned char *slot;
        uint64_t *at, word;

        s->next = s->next < used ? s->next : 0;
        slot = s->slots + (size_t)s->next++ * stride;
        at = ipc_ring_sequence_(slot, stride);
        word = ck_pr_load_64(at);
        if (CK_CC_LIKELY(ipc_call_state_(word) != IPC_CALL_ASKED_) ||
            !ck_pr_cas_64(at, word, (word & IPC_CALL_NUMBERS_) + s->me + IPC_CALL_TAKEN_))
            continue;
        /* Without it the request could be older than ASKED, or we could write while its caller
         * still reads the last reply. Partner: in ipc_call_send_. */
        ck_pr_fence_acquire();
        return ipc_call_message_(slot);
    }
    return NULL;
}

/* Ends a call that we have taken, with that state. 0; -ECANCELED: the caller gave it up; -EINVAL:
 * we have not taken it. */
IPC_FORCE_INLINE int ipc_call_end_taken_(struct ipc_call_server *s, unsigned char *slot,
                                         size_t stride, unsigned state)
{
    uint64_t *at = ipc_ring_sequence_(slot, stride), word = ck_pr_load_64(at);
    uint64_t number = word & IPC_CALL_NUMBERS_;
    int given = word == number + s->me + IPC_CALL_GIVEN_;

    if (CK_CC_UNLIKELY(word != number + s->me + IPC_CALL_TAKEN_ && !given))
        return -EINVAL;
    /* Without it the state could be seen before the reply, or while we still read the request.
     * Partners: in ipc_call_poll_ and ipc_call_own_slot_. */
    ck_pr_fence_release();
    /* As long as we live others change the word only from TAKEN to GIVEN, and that may be lost. */
    ck_pr_store_64(at, number + (given ? IPC_CALL_IDLE_ : state));
    return given ? -ECANCELED : 0;
}

/* Is this the message of a slot? */
IPC_FORCE_INLINE int ipc_call_has_(const struct ipc_call_server *s, const void *message,
                                   size_t stride)
{
    size_t offset = (size_t)((uintptr_t)message - (uintptr_t)ipc_call_message_(s->slots));
    size_t index = offset / stride;

    return index < s->count && index * stride == offset;
}

IPC_FORCE_INLINE unsigned char *ipc_call_slot_of_(void *message)
{
    return (unsigned char *)message - sizeof(struct ipc_call_slot_);
}

IPC_FORCE_INLINE int ipc_call_answer_(struct ipc_call_server *s, void *message, size_t stride)
{
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&s->self)) && ipc_ring_settle_(&s->self, s) < 0)
        return s->error;
    if (CK_CC_UNLIKELY(!ipc_call_has_(s, message, stride)))
        return -EINVAL;
    return ipc_call_end_taken_(s, ipc_call_slot_of_(message), stride, IPC_CALL_ANSWERED_);
}

/*
 * Takes the next request, of the callers in turn. Returns the message in place, or NULL when there
 * is none. The server writes the reply over it and calls ipc_call_answer. It may take several
 * requests, and answer them in any order. If it is killed before, their callers are told so, and
 * other calls go on. A hostile caller may write to the message: read each field once, check, use.
 * Wait-free: one look at each slot that has ever had a caller. Processes that are stopped or killed
 * at any instruction do not hold it up.
 */
IPC_INLINE void *ipc_call_take(struct ipc_call_server *s)
{
    return ipc_call_take_(s, ipc_call_server_stride_(s));
}

/*
 * Gives the reply, which is where the request was, to the caller. Wait-free.
 *
 *   0            also if the caller has died, or gives up at this moment
 *   -ECANCELED   the caller has given up: nobody sees the reply
 *   -EINVAL      the message did not come from take, or was answered
 *   -ECHILD      after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_call_answer(struct ipc_call_server *s, void *message)
{
    return ipc_call_answer_(s, message, ipc_call_server_stride_(s));
}

/* The id of the caller, for struct ipc_peer's alive; 0: it has detached. For long work. Wait-free.
 */
IPC_INLINE uint64_t ipc_call_server_peer(const struct ipc_call_server *s, const void *message)
{
    const unsigned char *slot =
        (const unsigned char *)message - sizeof(struct ipc_call_slot_);

    return ipc_call_has_(s, message, ipc_call_server_stride_(s))
               ? ck_pr_load_64(&((const struct ipc_call_slot_ *)(const void *)slot)->caller)
               : 0;
}

/* Detaches. Calls that were taken and not answered end with -EPIPE. Wait-free. */
IPC_INLINE void ipc_call_server_detach(struct ipc_call_server *s)
{
    size_t stride = ipc_call_server_stride_(s);
    uint64_t i;

    if (s->ring != NULL && ipc_ring_is_ours_(&s->self)) {
        for (i = 0; i < s->count; i++)
            (void)ipc_call_end_taken_(s, s->slots + (size_t)i * stride, stride, IPC_CALL_LEFT_);
        ipc_ring_leave_end_(&s->seat->id, s->id);
        /* Without it the change could be seen before the seat is free. Partner: in
         * ipc_call_find_servers_. */
        ck_pr_fence_store();
        (void)ck_pr_faa_64(&s->ring->changes, 1);
    }
    (void)ipc_call_server_disable_(s, -EINVAL);
}

/* 0, or what attach said; -EINVAL when detached; -ECHILD once a call said so. */
IPC_INLINE int ipc_call_server_error(const struct ipc_call_server *s)
{
    return s->error;
}

#endif
