/* Waiting for the other end of a ring, and for whatever a function can look at. */
#ifndef IPC_SRC_NOTIFY_UNTIL_H
#define IPC_SRC_NOTIFY_UNTIL_H 1

#include "wait.h"

/* A look at what is waited for: 1 it is there, 0 not yet, or a negative errno. */
typedef int ipc_notify_look_(void *handle, void *argument);

/* Waits until a look says 1 or an errno. 0, or that, or as ipc_wait. */
IPC_FORCE_INLINE int ipc_notify_wait_until_(struct ipc_notify *n, int64_t deadline,
                                       ipc_notify_look_ *look, void *handle, void *argument)
{
    int state = 0, rc = ipc_wait(n, deadline, (state = look(handle, argument)) != 0);

    return rc != 0 ? rc : state < 0 ? state : 0;
}

/* A wait of one kind: as ipc_notify_wait_until_. */
typedef int ipc_notify_wait_(struct ipc_notify *n, int64_t deadline, ipc_notify_look_ *look,
                             void *handle, void *argument);

/* What an end of a ring knows of the process at the other end. */
struct ipc_notify_peer_ {
    uint64_t seen; /* the process last seen there; 0 once its end was reported */
    uint64_t left; /* how often that end had been left, when that was last looked at */
};

/* A wait that also ends when another process holds the other end of a ring, or one has left it. */
struct ipc_notify_watched_ {
    ipc_notify_look_ *look;
    void *handle, *argument;
    const uint64_t *holder, *left;
    uint64_t now, count; /* what these were */
    int state;           /* what the last look said */
};

/* Not always inlined: GCC 14 at -O1, and GCC 12 at -Og, refuse that for what is called by its address. */
IPC_INLINE int ipc_notify_look_or_change_(void *handle, void *argument)
{
    struct ipc_notify_watched_ *w = (struct ipc_notify_watched_ *)handle;

    (void)argument;
    w->state = w->look(w->handle, w->argument);
    return w->state != 0 || ck_pr_load_64(w->holder) != w->now || ck_pr_load_64(w->left) != w->count;
}

/* At attach: the process at the other end, for `seen` of struct ipc_notify_peer_. A death
 * that is older than this handle is not reported: the process that died has no more to do with it
 * than one that never came. A process that attaches to many rings asks once in 0.1 ms. */
IPC_INLINE uint64_t ipc_notify_first_seen_(struct ipc_notify *n, const uint64_t *holder)
{
    uint64_t id = ck_pr_load_64(holder), now = (uint64_t)ipc_clock();
    struct ipc_watch *w = n->peer.watch;

    if (id == 0 || id == ~UINT64_C(0) || n->peer.alive == NULL ||
        (w != NULL && ck_pr_load_64(&w->known) == id &&
         now - ck_pr_load_64(&w->known_at) < 100000))
        return id;
    if (n->peer.alive(n->peer.arg, id) > 0) {
        if (w != NULL) {
            ck_pr_store_64(&w->known, id);
            ck_pr_store_64(&w->known_at, now);
        }
        return id;
    }
    n->reported = id;
    return 0;
}

/*
 * Waits for one end of a ring that may have one process at the other. *holder is the id of that
 * process, 0 for none, ~0 for one of which no death can be proven. Its death ends the wait with
 * -EOWNERDEAD, and its detach, or its leaving the memory, with -EPIPE, each once. *left counts the
 * detaches: a process may have come and gone while this end always found messages, or room, and
 * never looked at the holder. *peer is the handle's. Attach and detach of the other end post this
 * end's bell. Otherwise as `wait`.
 */
IPC_FORCE_INLINE int ipc_notify_wait_with_peer_(struct ipc_notify *n, uint64_t *holder,
                                                const uint64_t *left,
                                                struct ipc_notify_peer_ *peer, int64_t deadline,
                                                ipc_notify_wait_ *wait, ipc_notify_look_ *look,
                                                void *handle, void *argument)
{
    struct ipc_notify_watched_ w = {look, handle, argument, holder, left, 0, 0, 0};
    int rc = 0, is_gone;

    do {
        w.now = ck_pr_load_64(holder);
        /* Without it this end could find the other one free, and an older count: nobody would tell
         * it later. Partner: ipc_ring_detach_end_. */
        ck_pr_fence_load(); /* no twin */
        w.count = ck_pr_load_64(left);
        /* Without it the look could be older than the count: this end would be told of the loss of
         * a process whose messages it has not taken. Partner: the first fence in
         * ipc_ring_detach_end_. */
        ck_pr_fence_load();
        w.state = look(handle, argument);
        if (w.state != 0)
            break;
        is_gone = w.now == 0 && (peer->seen != 0 || peer->left != w.count);
        peer->seen = w.now != n->reported ? w.now : 0;
        peer->left = w.count;
        if (is_gone)
            return -EPIPE;
        ipc_notify_watch(n, w.now != ~UINT64_C(0) ? w.now : 0);
        rc = wait(n, deadline, ipc_notify_look_or_change_, &w, NULL);
        if (rc == -EOWNERDEAD) {
            peer->seen = 0;
            rc = n->peer.alive(n->peer.arg, n->reported) < 0 ? -EPIPE : rc;
        }
        if (rc == 0 && w.state == 0 && ipc_left_(deadline) == 0)
            rc = -ETIMEDOUT; /* a hostile peer may change the holder all the time */
    } while (rc == 0 && w.state == 0);
    return rc != 0 ? rc : w.state < 0 ? w.state : 0;
}

/* A bell of a ring is of another kind. -EPROTO; me->why says so. */
IPC_INLINE int ipc_notify_refuse_bell_(const void *bell, unsigned kind, struct ipc_peer *me)
{
    if (me != NULL)
        (void)snprintf(me->why, sizeof me->why,
                       "ring whose bell is of another kind; kind: %u there, %u here",
                       (unsigned)((const struct ipc_notify_shared *)bell)->kind,
                       (unsigned)ipc_notify_kind_in_memory_(kind));
    return -EPROTO;
}

/* Attaches to a bell of a ring, which is of that kind whatever the ring's memory says. The errors
 * of ipc_notify_attach; me->why says what -EPROTO means. */
IPC_INLINE int ipc_notify_attach_bell_(struct ipc_notify *n, void *bell, unsigned kind,
                                       struct ipc_peer *me)
{
    int rc = ipc_notify_attach(n, bell, IPC_NOTIFY_SIZE, kind, me);

    return rc == -EPROTO ? ipc_notify_refuse_bell_(bell, kind, me) : rc;
}

/* Points an attached handle at another bell of the same ring, as attaching to it would, but without
 * a system call. 0; -EPROTO as of ipc_notify_attach_bell_. */
IPC_INLINE int ipc_notify_move_(struct ipc_notify *n, void *bell, struct ipc_peer *me)
{
    n->at = (struct ipc_notify_shared *)bell;
    if (ck_pr_load_32(&n->at->kind) != ipc_notify_kind_in_memory_(n->kind))
        return ipc_notify_refuse_bell_(bell, n->kind, me);
    ipc_notify_set_lacks_(n);
    return 0;
}

/* Attaches to both bells of a ring, or to none. */
IPC_INLINE int ipc_notify_attach_both_(struct ipc_notify *data, void *data_bell,
                                       struct ipc_notify *space, void *space_bell, unsigned kind,
                                       struct ipc_peer *me)
{
    int rc = ipc_notify_attach_bell_(data, data_bell, kind, me);

    if (rc == 0)
        rc = ipc_notify_attach_bell_(space, space_bell, IPC_NOTIFY_FUTEX, me);
    if (rc != 0) {
        ipc_notify_detach(data);
        ipc_notify_detach(space);
    }
    return rc;
}

IPC_INLINE void ipc_notify_post_both_(struct ipc_notify *data, struct ipc_notify *space)
{
    (void)ipc_notify_post(data);
    (void)ipc_notify_post(space);
}

/* Leaves both bells of a ring, so that a process that sleeps there learns of it. */
IPC_INLINE void ipc_notify_leave_both_(struct ipc_notify *data, struct ipc_notify *space)
{
    ipc_notify_post_both_(data, space);
    ipc_notify_detach(data);
    ipc_notify_detach(space);
}

#endif
