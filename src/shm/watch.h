/*
 * Watching: word of stirs, and of the deaths of members.
 *
 * A handle has one descriptor for all threads of a process that sleep by it: an inotify of the
 * segment's file. It reports when a file description of the segment is closed, as that of a lock of
 * life is by the death of its process, whatever its children have and in whichever namespace; and
 * when a process reads from the file, which only ipc_shm_stir_ does. A close is reported a moment
 * before the kernel releases the lock that proves a death.
 *
 * The descriptor is opened by the first thread that sleeps long. It belongs to the process whose
 * number `watcher` is, 0 for none: the id of the member, or the pid of a reader. A child that
 * inherits it by fork closes its copy, as both would take what is reported from each other, and
 * opens its own. A program may close all descriptors that it does not know. So the inotify is in an
 * epoll set, and none of the two is used for long, or closed, before epoll_ctl has said that they
 * still belong together. A socket has the inotify, too, so that it ends last: see ipc_end_last_.
 *
 * The handle's `watching` is the number of the process of which a thread changes this, else 0. A thread
 * that finds it taken waits, but no longer than 10 ms: a thread that was cancelled meanwhile
 * holds it for good. The other then sleeps without descriptors, and asks.
 */
#ifndef IPC_SRC_SHM_WATCH_H
#define IPC_SRC_SHM_WATCH_H 1

#include "identity.h"

#include <sys/epoll.h>

/* ------------------------------------------------------------------ descriptors */

/* What tells this process from its parent and its children. */
IPC_INLINE uint64_t ipc_shm_watcher_(const struct ipc_shm *seg)
{
    return seg->peer.id != IPC_PEER_READ_ONLY ? seg->peer.id : (uint64_t)getpid();
}

/* Takes the right to change the descriptors. 0, or -EBUSY. */
IPC_INLINE int ipc_shm_lock_watch_(struct ipc_shm *seg)
{
    static const struct timespec nap = {0, 100000};
    uint64_t me = ipc_shm_watcher_(seg), other;
    int tries;

    for (tries = 0; tries < 100; tries++) {
        other = ck_pr_load_64(&seg->watching); /* of our parent: it forked meanwhile */
        if (other != me && ck_pr_cas_64(&seg->watching, other, me)) {
            /* Without it what the last holder has stored could be missed. Partner: the fence in
             * ipc_shm_unlock_watch_. */
            ck_pr_fence_atomic_load();
            return 0;
        }
        (void)nanosleep(&nap, NULL);
    }
    return -EBUSY;
}

IPC_INLINE void ipc_shm_unlock_watch_(struct ipc_shm *seg)
{
    /* Without it the next holder could miss what we have stored. Partner: the fence in
     * ipc_shm_lock_watch_. */
    ck_pr_fence_release();
    ck_pr_store_64(&seg->watching, 0);
}

/* Adds the inotify to the set, or (EPOLL_CTL_MOD) asks whether it still is there: that changes
 * nothing for others that have the set. */
IPC_INLINE int ipc_shm_epoll_(const struct ipc_shm *seg, int how)
{
    struct epoll_event e;

    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    return epoll_ctl(seg->epoll, how, seg->inotify, &e);
}

/* Closes this process's descriptors, except where others have closed one. */
IPC_INLINE void ipc_shm_close_watch_(struct ipc_shm *seg)
{
    ipc_close_last_(&seg->last);
    if (seg->watcher == 0 || ipc_shm_epoll_(seg, EPOLL_CTL_MOD) != 0)
        return;
    (void)close(seg->inotify);
    (void)close(seg->epoll);
}

/* Opens an inotify that reports what processes do with the segment's file. It, or -errno. */
IPC_INLINE int ipc_shm_open_inotify_(const struct ipc_shm *seg)
{
    char path[32];
    int why, fd = ipc_move_fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));

    if (fd < 0)
        return -errno;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", seg->fd);
    if (inotify_add_watch(fd, path, IN_ACCESS | IN_CLOSE_WRITE) >= 0)
        return fd;
    why = -errno;
    (void)close(fd);
    return why;
}

/* Opens the set. 0, or -errno. */
IPC_INLINE int ipc_shm_open_watch_(struct ipc_shm *seg)
{
    int rc = ipc_shm_open_inotify_(seg);

    if (rc < 0)
        return rc;
    seg->inotify = rc;
    seg->epoll = ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    if (seg->epoll >= 0 && ipc_shm_epoll_(seg, EPOLL_CTL_ADD) == 0) {
        ipc_end_last_(&seg->last, seg->inotify);
        return 0;
    }
    rc = -errno;
    (void)close(seg->inotify);
    if (seg->epoll >= 0)
        (void)close(seg->epoll);
    return rc;
}

/* Makes sure that the set is this process's, and there. 0, or -errno. */
IPC_INLINE int ipc_shm_renew_watch_(struct ipc_shm *seg)
{
    struct ipc_watch *w = &seg->watch;
    int came_by_fork = seg->watcher != ipc_shm_watcher_(seg), rc;

    if (!came_by_fork && ipc_shm_epoll_(seg, EPOLL_CTL_MOD) == 0)
        return 0;
    ipc_close_last_(&seg->last); /* or what others have closed would not end */
    if (came_by_fork) {
        ipc_shm_close_watch_(seg);
        seg->watcher = 0;
    }
    rc = ipc_shm_open_watch_(seg);
    if (rc != 0)
        return rc;
    if (came_by_fork) {
        ck_pr_store_32(&w->turn, 0);
        ck_pr_store_32(&w->followers, 0);
    }
    ck_pr_inc_32(&w->news);             /* what came before the set was opened is not reported */
    ck_pr_store_64(&w->pause, 1000000); /* nor is what came just before proven yet */
    ck_pr_store_64(&w->unproven, (uint64_t)ipc_clock() + 1000000);
    /* Without it another thread could rely on our parent's threads. Partner: the load fence in
     * ipc_shm_watch_is_ours_. */
    ck_pr_fence_release();
    ck_pr_store_64(&seg->watcher, ipc_shm_watcher_(seg));
    return 0;
}

/* ------------------------------------------------------------------ struct ipc_watch */

/* The watch's descriptor, in a process that is a member, or a reader. */
IPC_INLINE int ipc_shm_watch_fd_(struct ipc_shm *seg)
{
    int rc;

    if (!ipc_shm_has_its_file_(seg))
        return -EBADF; /* closed by others */
    rc = ipc_shm_lock_watch_(seg);
    if (rc != 0)
        return rc;
    rc = ipc_shm_renew_watch_(seg);
    if (rc == 0)
        rc = seg->epoll;
    ipc_shm_unlock_watch_(seg);
    return rc;
}

/* struct ipc_watch's ours. */
IPC_INLINE int ipc_shm_watch_is_ours_(void *arg)
{
    const struct ipc_shm *seg = (const struct ipc_shm *)arg;
    int ours = (seg->peer.id == IPC_PEER_READ_ONLY || ipc_shm_is_ours_(seg)) &&
               ck_pr_load_64(&seg->watcher) == ipc_shm_watcher_(seg);

    /* Without it the watch's words could be older. Partner: the fence in ipc_shm_renew_watch_. */
    ck_pr_fence_load();
    return ours;
}

/* struct ipc_watch's take. Others may have closed the inotify, and opened something else. */
IPC_INLINE int ipc_shm_take_(void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    union {
        struct inotify_event event;
        char bytes[4096];
    } room;
    struct inotify_event e;
    ssize_t got, at;
    int said = IPC_WATCH_STIRRED;

    if (ipc_shm_lock_watch_(seg) != 0)
        return IPC_WATCH_MAYBE;
    got = ipc_shm_epoll_(seg, EPOLL_CTL_MOD) == 0 ? read(seg->inotify, room.bytes, sizeof room.bytes)
                                                  : -1;
    for (at = 0; got - at >= (ssize_t)sizeof e; at += (ssize_t)(sizeof e + e.len)) {
        memcpy(&e, room.bytes + at, sizeof e);
        if ((e.mask & ~(uint32_t)IN_ACCESS) != 0) /* closed, or events were lost */
            said = IPC_WATCH_MAYBE;
    }
    ipc_shm_unlock_watch_(seg);
    return said;
}

/* struct ipc_peer's stir. */
IPC_INLINE void ipc_shm_stir_(void *arg)
{
    const struct ipc_shm *seg = (const struct ipc_shm *)arg;
    char byte;

    if (pread(seg->fd, &byte, 1, 0) < 0)
        return; /* each sleeper looks again within a second by itself */
}

#endif
