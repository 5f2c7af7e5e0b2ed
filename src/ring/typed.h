/* Rings of a type: what the macros of all kinds have in common. */
#ifndef IPC_SRC_RING_TYPED_H
#define IPC_SRC_RING_TYPED_H 1

#include "core.h"

/*
 * tools/amalgamate makes a macro of each template. NAME is the ring's, K its kind (spsc, stream
 * ...), END the end's (producer, consumer, client, server). H is where a handle `h` of that end has
 * `ring` and `error`: raw, or a member of that. `...` is the size of a message, and what else the
 * calls of the kind end with.
 *
 * No header includes another, and yet a ring finds a segment and a notifier. The include guards of
 * ipc_shm.h and ipc_notify.h have the value 1, and pasting one picks the macro that keeps its
 * arguments. A guard that was never defined stays a name, and picks the one that drops them.
 */
#define IPC_RING_WITH_SHM_(...) IPC_RING_PASTE_(IPC_RING_IF_, IPC_SHM_H)(__VA_ARGS__)
#define IPC_RING_WITH_NOTIFY_(...) IPC_RING_PASTE_(IPC_RING_IF_, IPC_NOTIFY_H)(__VA_ARGS__)
#define IPC_RING_PASTE_(a, b) IPC_RING_PASTE2_(a, b)
#define IPC_RING_PASTE2_(a, b) a##b
#define IPC_RING_IF_1(...) __VA_ARGS__
#define IPC_RING_IF_IPC_SHM_H(...)
#define IPC_RING_IF_IPC_NOTIFY_H(...)

/* The arguments of a macro that end with a type, and perhaps its version: NAME_version_ is 0 without
 * one. Programs whose versions differ are refused each other's rings. */
#define IPC_RING_TYPE_OF_(...) IPC_RING_FIRST_(__VA_ARGS__, 0)
#define IPC_RING_VERSION_OF_(...) IPC_RING_SECOND_(__VA_ARGS__, 0, 0)
#define IPC_RING_FIRST_(first, ...) first
#define IPC_RING_SECOND_(first, second, ...) second

/* HOW of a kind that is made in more than one way, and of one that is not. */
#define IPC_RING_HOW_(...) __VA_ARGS__
#define IPC_RING_PLAIN_(...)

/* How the calls that move a message are declared. C leaves it to the compiler, which inlines a static
 * function that is called once. A function of a class is not static, so ipc_ring.hpp says it. */
#define IPC_RING_CALL_ IPC_INLINE

/* A declaration ahead of its definition. In a class of ipc_ring.hpp it would be a second one. */
#define IPC_RING_FORWARD_(...) __VA_ARGS__

/* The bell that an end sleeps on, the one that it posts, and the index of the other end. */
#define IPC_RING_OURS_producer space
#define IPC_RING_OURS_consumer data
#define IPC_RING_THEIRS_producer data
#define IPC_RING_THEIRS_consumer space
#define IPC_RING_OTHER_producer 1
#define IPC_RING_OTHER_consumer 0

/* ------------------------------------------------------------------ versions of a type */

/* Says for init which version of the type a ring of `footprint` bytes is about to be made for. Where
 * init will refuse that memory, it stays as it is. */
IPC_INLINE void ipc_ring_say_version_(void *mem, size_t size, size_t footprint, int version)
{
    struct ipc_ring_shared_ *r = (struct ipc_ring_shared_ *)mem;

    if (footprint == 0 || size < footprint || !ipc_ring_aligned_(mem))
        return;
    ck_pr_store_64(&r->magic, 0); /* what was there is no ring of that version */
    r->next_version = IPC_RING_NEXT_ + (uint32_t)version;
}

/* 0, or -EPROTO: the ring is for another version of the type. It is left to attach to refuse what is
 * no ring. */
IPC_INLINE int ipc_ring_check_version_(const void *mem, size_t size, int version,
                                       struct ipc_peer *me)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;
    uint32_t there, here = (uint32_t)version;

    if (!ipc_ring_aligned_(mem) || size < sizeof *r || ck_pr_load_64(&r->magic) == 0)
        return 0;
    /* Without it the version could be older than the magic. Partner: in ipc_ring_init_. */
    ck_pr_fence_load();
    there = ck_pr_load_32(&r->version);
    if (ck_pr_load_32(&r->abi) != IPC_RING_LAYOUT || there == here)
        return 0;
    return ipc_ring_refuse_(me, -EPROTO, "message type of another version", there, here);
}

/* ------------------------------------------------------------------ an end */

/* A handle of an end. ATTACH_BELLS is what a program that sleeps does where attach was not refused.
 */
IPC_TEMPLATE(IPC_RING_HANDLE_, NAME, K, END, H, ATTACH_BELLS, ...)
struct NAME_END {
    struct ipc_K_END raw;
#ifdef IPC_NOTIFY_H
    struct ipc_notify data, space;
    struct ipc_notify_peer_ peer;
    uint64_t woken_for; /* the position that the other end was last woken for */
#endif
};
#ifdef IPC_NOTIFY_H
IPC_INLINE int NAME_END_attach_bells_(struct NAME_END *h, struct ipc_peer *me)
{
    ATTACH_BELLS;
}
#endif
IPC_INLINE int NAME_END_attach(struct NAME_END *h, void *mem, size_t size, struct ipc_peer *me)
{
    int rc;

    memset(h, 0, sizeof *h);
    ipc_ring_begin_self_(&h->H.self, NULL, NULL);
    rc = ipc_ring_check_version_(mem, size, NAME_version_, me);
    if (rc != 0)
        return h->H.error = rc;
    rc = ipc_K_END_attach(&h->raw, mem, size, __VA_ARGS__);
    if (rc == 0 && (rc = ipc_ring_check_version_(mem, size, NAME_version_, me)) != 0) {
        ipc_K_END_detach(&h->raw); /* the ring was made after the first look */
        return h->H.error = rc;
    }
#ifdef IPC_NOTIFY_H
    if (rc == 0)
        rc = NAME_END_attach_bells_(h, me);
#endif
    return rc;
}
IPC_INLINE int NAME_END_error(const struct NAME_END *h)
{
    return ipc_K_END_error(&h->raw);
}
IPC_TEMPLATE_END

/* That of a producer or consumer gives its end back where a bell is refused. ANYONE: also the death
 * of others than the process at the other end matters to it. FIRST: what it does before it posts.
 */
IPC_TEMPLATE(IPC_RING_END_, NAME, K, END, H, ANYONE, FIRST, ...)
IPC_RING_HANDLE_(NAME, K, END, H, IPC_RING_ATTACH_BELLS_(K, END, H, ANYONE), __VA_ARGS__)
IPC_INLINE void NAME_END_detach(struct NAME_END *h)
{
    ipc_K_END_detach(&h->raw);
#ifdef IPC_NOTIFY_H
    ipc_notify_leave_both_(&h->data, &h->space);
#endif
}
#ifdef IPC_NOTIFY_H
IPC_INLINE struct ipc_notify *NAME_END_bell(struct NAME_END *h)
{
    return &h->IPC_RING_OURS_END;
}
IPC_INLINE int NAME_END_post(struct NAME_END *h)
{
    FIRST;
    return ipc_notify_post(&h->IPC_RING_THEIRS_END);
}
/* Of the kind. */
IPC_RING_FORWARD_(IPC_INLINE int NAME_END_look_(void *handle, void *argument);)
IPC_INLINE int NAME_END_wait_until_(struct NAME_END *h, void *argument, int64_t deadline)
{
    if (h->H.ring == NULL)
        return h->H.error;
    return ipc_notify_wait_with_peer_(
        &h->IPC_RING_OURS_END, &h->H.ring->end[IPC_RING_OTHER_END],
        &h->H.ring->left[IPC_RING_OTHER_END], &h->peer, deadline, ipc_notify_wait_until_,
        NAME_END_look_, h, argument);
}
#endif
IPC_TEMPLATE_END

/* The body of NAME_END_attach_bells_. */
IPC_TEMPLATE(IPC_RING_ATTACH_BELLS_, K, END, H, ANYONE)
int rc = ipc_notify_attach_both_(&h->data, h->H.ring->data_bell, &h->space, h->H.ring->space_bell,
                                 IPC_NOTIFY_FUTEX, me);

if (rc != 0) {
    ipc_K_END_detach(&h->raw);
    return h->H.error = rc;
}
h->IPC_RING_OURS_END.looks_each_second = 1;
h->peer.seen =
    ipc_notify_first_seen_(&h->IPC_RING_OURS_END, &h->H.ring->end[IPC_RING_OTHER_END]);
h->peer.left = ck_pr_load_64(&h->H.ring->left[IPC_RING_OTHER_END]);
h->woken_for = ck_pr_load_64(&h->H.ring->head);
(void)ipc_notify_post(&h->IPC_RING_THEIRS_END); /* a sleeper there is to watch this process now */
if (ANYONE) {
    (void)ipc_notify_post(&h->IPC_RING_OURS_END); /* attach may have freed what the dead had */
    ipc_notify_watch_anyone(&h->IPC_RING_OURS_END);
}
return 0;
IPC_TEMPLATE_END

/* What both ends can say. */
IPC_TEMPLATE(IPC_RING_SAYS_, NAME, K, CONST, TYPE, WHAT)
IPC_INLINE TYPE NAME_producer_WHAT(CONST struct NAME_producer *p)
{
    return ipc_K_producer_WHAT(&p->raw);
}
IPC_INLINE TYPE NAME_consumer_WHAT(CONST struct NAME_consumer *c)
{
    return ipc_K_consumer_WHAT(&c->raw);
}
IPC_TEMPLATE_END

/* What the writer of a broadcast can say of its readers. */
IPC_TEMPLATE(IPC_RING_READERS_, NAME, K)
IPC_INLINE uint64_t NAME_was_slowest(const struct NAME_producer *p, uint64_t *id)
{
    return ipc_K_was_slowest(&p->raw, id);
}
IPC_INLINE unsigned NAME_was_readers(const struct NAME_producer *p)
{
    return ipc_K_was_readers(&p->raw);
}
IPC_INLINE int64_t NAME_producer_recover(struct NAME_producer *p, uint64_t id)
{
    return ipc_K_producer_recover(&p->raw, id);
}
#ifdef IPC_NOTIFY_H
IPC_RING_ASSERT_(NAME_unasked, IPC_BROADCAST_UNASKED_ == IPC_NOTIFY_UNASKED_)
#endif
IPC_TEMPLATE_END

/* ------------------------------------------------------------------ memory and segments */

/* Of slots and elements; `...`: sizes. KIND is the type under which a segment lists it, ENDS what
 * `how` says of the ends. */
IPC_TEMPLATE(IPC_RING_MEMORY_, NAME, K, KIND, BYTES, HOW, ENDS, ...)
IPC_INLINE size_t NAME_footprint(uint64_t capacity HOW(, unsigned how))
{
    return ipc_K_footprint(__VA_ARGS__, capacity HOW(, how | (ENDS)));
}
IPC_INLINE int NAME_init(void *mem, size_t size, uint64_t capacity HOW(, unsigned how))
{
    ipc_ring_say_version_(mem, size, NAME_footprint(capacity HOW(, how)), NAME_version_);
    return ipc_K_init(mem, size, __VA_ARGS__, capacity HOW(, how | (ENDS)));
}
#ifdef IPC_SHM_H
IPC_RING_CREATE_(NAME, K, KIND, BYTES, HOW, ENDS)
#endif
IPC_TEMPLATE_END

/* Is the ring that is there the one that was to be made? how: -1 where its kind has no choice. */
IPC_INLINE int ipc_ring_same_(struct ipc_peer *me, const void *mem, size_t size, size_t footprint,
                              size_t bytes, uint64_t capacity, int64_t how)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;
    uint64_t there = ck_pr_load_32(&r->abi);

    if (there != IPC_RING_LAYOUT) /* what is compared below may mean something else there */
        return ipc_ring_refuse_(me, -EPROTO, "ring of another version; ABI", there, IPC_RING_LAYOUT);
    there = ck_pr_load_64(&r->bytes);
    if (there != bytes)
        return ipc_ring_refuse_(me, -EPROTO, "message size differs; bytes", there, bytes);
    there = ck_pr_load_64(&r->capacity);
    if (size != footprint && (how < 0 || there != capacity))
        return ipc_ring_refuse_(me, -EPROTO, "capacity, or kind, differs; slots", there, capacity);
    if (how >= 0 && (there = ck_pr_load_32(&r->how)) != (uint64_t)how)
        return ipc_ring_refuse_(me, -EPROTO, "ring made for another use, or another number of "
                                "handles; how", there, (uint64_t)how);
    return 0;
}

/* Which process has the end, as the sentence of ipc_ring_take_end_ says; 0: it is another sentence. */
IPC_INLINE uint64_t ipc_ring_holder_in_(const char *why)
{
    unsigned long long id = 0;

    (void)sscanf(why, "this end of the ring is taken; peer: %llu", &id);
    return id;
}

/* Puts the ring's name before the sentence about a refusal, and behind it what to do. pid: of the
 * process that has the end, or 0: not known. Returns rc. */
IPC_INLINE int ipc_ring_explain_(struct ipc_peer *me, const char *name, int rc, long pid)
{
    const char *remedy = "";
    char what[112], busy[64];

    (void)snprintf(what, sizeof what, "%.111s", me->why);
    (void)snprintf(busy, sizeof busy, ": detach there, or end pid %ld, first", pid);
    if (rc == -EPROTO)
        remedy = ": build its programs with the same type and headers, or use another name";
    if (rc == -EBUSY && strncmp(what, "this process", 12) == 0)
        remedy = ": detach it first, or close the segment if its handle is lost";
    else if (rc == -EBUSY)
        remedy = pid > 0 ? busy : ": detach there, or end that process (ipc_top shows which), first";
    (void)snprintf(me->why, sizeof me->why, "ring '%.60s': %s%s", name, what, remedy);
    return rc;
}

/* Makes the ring if it is not there. A wrong `how` is refused before it is begun, as what is begun
 * must come to an end. */
IPC_TEMPLATE(IPC_RING_CREATE_, NAME, K, KIND, BYTES, HOW, ENDS)
IPC_INLINE int NAME_create(struct ipc_shm *seg, const char *name,
                           uint64_t capacity HOW(, unsigned how))
{
    struct ipc_shm_object object;
    size_t footprint = NAME_footprint(capacity HOW(, how));
    int rc;

    HOW(if (!ipc_K_is_valid_how_(how | (ENDS))) return ipc_shm_refuse(
            seg, -EINVAL, "ring '%s' cannot be made with how = %u: of records it is the number of "
            "producers, 1 to 64; of others IPC_MPMC_* or IPC_BROADCAST_*", name, how);)
    if (footprint == 0)
        return ipc_shm_refuse(seg, -EINVAL,
                              "ring '%s': capacity %llu is not a power of two, or out of range", name,
                              (unsigned long long)capacity);
    rc = ipc_shm_make_with_others_(seg, name, KIND, footprint, &object);
    if (rc == 0) {
        rc = NAME_init(object.mem, object.size, capacity HOW(, how));
        return rc != 0 ? rc : ipc_shm_publish(seg, &object);
    }
    if (rc != -EEXIST)
        return rc;
    rc = ipc_shm_find(seg, name, KIND, &object);
    if (rc != 0)
        return rc;
    rc = ipc_ring_check_version_(object.mem, object.size, NAME_version_, ipc_shm_peer(seg));
    if (rc == 0)
        rc = ipc_ring_same_(ipc_shm_peer(seg), object.mem, object.size, footprint, BYTES, capacity,
                            -1 HOW(+1 + (int64_t)(how | (ENDS))));
    return rc == 0 ? 0 : ipc_ring_explain_(
                             ipc_shm_peer(seg), name, rc,
                             ipc_shm_pid_of_(seg, ipc_ring_holder_in_(ipc_shm_peer(seg)->why)));
}
IPC_TEMPLATE_END

/* open attaches to it, and then does MAP; create makes it first, if it is not there. */
IPC_TEMPLATE(IPC_RING_OPEN_, NAME, END, H, KIND, HOW, MAP)
IPC_INLINE int NAME_END_open(struct NAME_END *h, struct ipc_shm *seg, const char *name)
{
    struct ipc_shm_object object;
    int rc = ipc_shm_find(seg, name, KIND, &object);

    if (rc != 0) {
        memset(h, 0, sizeof *h);
        ipc_ring_begin_self_(&h->H.self, NULL, NULL);
        return h->H.error = rc;
    }
    rc = NAME_END_attach(h, object.mem, object.size, ipc_shm_peer(seg));
    MAP;
    return rc == 0 ? 0 : ipc_ring_explain_(
                             ipc_shm_peer(seg), name, rc,
                             ipc_shm_pid_of_(seg, ipc_ring_holder_in_(ipc_shm_peer(seg)->why)));
}
IPC_INLINE int NAME_END_create(struct NAME_END *h, struct ipc_shm *seg, const char *name,
                               uint64_t capacity HOW(, unsigned how))
{
    int rc = NAME_create(seg, name, capacity HOW(, how));

    if (rc == 0)
        return NAME_END_open(h, seg, name);
    memset(h, 0, sizeof *h);
    ipc_ring_begin_self_(&h->H.self, NULL, NULL);
    return h->H.error = rc;
}
IPC_TEMPLATE_END

#endif
