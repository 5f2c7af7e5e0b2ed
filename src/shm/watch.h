/*
 * Watching: word of stirs, and of the deaths of members.
 *
 * A handle has one descriptor for all threads of a process that sleep by it. It is an epoll set of:
 *
 *   inotify   of the segment's file. It reports when a process closes its descriptor of the
 *             segment, which a death does, also in another PID namespace; and when a process reads
 *             from it, which only ipc_shm_stir_ does. A close is reported a moment before the
 *             kernel releases the lock that proves a death
 *   pidfds    of members that are watched, IPC_SHM_PIDFDS at most. Only its pidfd reports the death
 *             of a process whose children still have its descriptor. A pidfd that has reported is
 *             closed. The death of such a process without a pidfd is found within a second
 *
 * The descriptors are opened by the first thread that sleeps long. They belong to the member whose
 * id `watcher` is, 0 for none. A child that inherits them by fork closes its copies, as both would
 * take what is reported from each other, and opens its own. A program may close all descriptors
 * that it does not know, so none is used for long, or closed, before epoll_ctl has said that it is
 * still in the set.
 *
 * The handle's `watching` is the id of the member of which a thread changes this, else 0. A thread
 * that finds it taken waits, but no longer than 10 ms: a thread that was cancelled meanwhile
 * holds it for good. The other then sleeps without descriptors, and asks.
 */
#ifndef IPC_SRC_SHM_WATCH_H
#define IPC_SRC_SHM_WATCH_H 1

#include "identity.h"

#include <sys/epoll.h>

/* ------------------------------------------------------------------ descriptors */

/* Takes the right to change the descriptors. 0, or -EBUSY. */
IPC_INLINE int ipc_shm_lock_watch_(struct ipc_shm *seg)
{
    static const struct timespec nap = {0, 100000};
    uint64_t me = seg->peer.id, other;
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

/* Adds a descriptor to the set, or (EPOLL_CTL_MOD) asks whether it still is there: that changes
 * nothing for others that have the set. */
IPC_INLINE int ipc_shm_epoll_(const struct ipc_shm *seg, int how, int fd, uint32_t number)
{
    struct epoll_event e;

    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    e.data.u32 = number;
    return epoll_ctl(seg->epoll, how, fd, &e);
}

/* Closes this process's descriptors, except those that others have closed. */
IPC_INLINE void ipc_shm_close_watch_(struct ipc_shm *seg)
{
    unsigned i;

    if (seg->watcher == 0 || ipc_shm_epoll_(seg, EPOLL_CTL_MOD, seg->inotify, IPC_SHM_PIDFDS) != 0)
        return;
    for (i = 0; i < IPC_SHM_PIDFDS; i++)
        if (seg->pidfd[i].id != 0 && ipc_shm_epoll_(seg, EPOLL_CTL_MOD, seg->pidfd[i].fd, i) == 0)
            (void)close(seg->pidfd[i].fd);
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

    memset(seg->pidfd, 0, sizeof seg->pidfd);
    if (rc < 0)
        return rc;
    seg->inotify = rc;
    seg->epoll = ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    if (seg->epoll >= 0 && ipc_shm_epoll_(seg, EPOLL_CTL_ADD, seg->inotify, IPC_SHM_PIDFDS) == 0)
        return 0;
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
    int came_by_fork = seg->watcher != seg->peer.id, rc;

    if (!came_by_fork && ipc_shm_epoll_(seg, EPOLL_CTL_MOD, seg->inotify, IPC_SHM_PIDFDS) == 0)
        return 0;
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
    ck_pr_store_64(&seg->watcher, seg->peer.id);
    return 0;
}

/* Opens a pidfd of the member's process, which becomes readable when that process dies. -1 when it
 * cannot be had. */
IPC_INLINE int ipc_shm_open_pidfd_(const struct ipc_shm *seg, uint64_t id)
{
    int fd = -1;
#ifdef SYS_pidfd_open
    const struct ipc_shm_member_ *m = &seg->base->member[id % IPC_SHM_MEMBERS];
    uint32_t pid = ck_pr_load_32(&m->pid);

    if (pid == 0 || pid > INT_MAX || seg->pid_ns == 0 || ck_pr_load_64(&m->pid_ns) != seg->pid_ns)
        return -1;
    fd = ipc_move_fd_((int)syscall(SYS_pidfd_open, (pid_t)pid, 0));
    /* The pidfd is of this member's process, if the member is alive after the open. */
    if (fd >= 0 && !ipc_shm_member_is_alive_(seg, id)) {
        (void)close(fd);
        return -1;
    }
#else
    (void)seg, (void)id;
#endif
    return fd;
}

/* Adds a pidfd of the member to the set, unless it is there. Where it cannot be had, inotify has to
 * do. */
IPC_INLINE void ipc_shm_add_pidfd_(struct ipc_shm *seg, uint64_t id)
{
    unsigned i, at = IPC_SHM_PIDFDS;
    int fd;

    for (i = 0; i < IPC_SHM_PIDFDS && seg->pidfd[i].id != id; i++)
        if (seg->pidfd[i].id == 0 && at == IPC_SHM_PIDFDS)
            at = i;
    if (i < IPC_SHM_PIDFDS || at == IPC_SHM_PIDFDS || id == seg->peer.id)
        return;
    fd = ipc_shm_open_pidfd_(seg, id);
    if (fd < 0)
        return;
    seg->pidfd[at].id = id;
    seg->pidfd[at].fd = fd;
    if (ipc_shm_epoll_(seg, EPOLL_CTL_ADD, fd, at) != 0) {
        (void)close(fd);
        seg->pidfd[at].id = 0;
    }
}

/* ------------------------------------------------------------------ struct ipc_watch */

/* struct ipc_watch's open, in a process that is a member. */
IPC_INLINE int ipc_shm_watch_member_(struct ipc_shm *seg, uint64_t id)
{
    int rc;

    if (!ipc_shm_has_its_file_(seg))
        return -EBADF; /* closed by others */
    rc = ipc_shm_lock_watch_(seg);
    if (rc != 0)
        return rc;
    rc = ipc_shm_renew_watch_(seg);
    if (rc == 0 && id != 0)
        ipc_shm_add_pidfd_(seg, id);
    if (rc == 0)
        rc = seg->epoll;
    ipc_shm_unlock_watch_(seg);
    return rc;
}

/* struct ipc_watch's ours. */
IPC_INLINE int ipc_shm_watch_is_ours_(void *arg)
{
    const struct ipc_shm *seg = (const struct ipc_shm *)arg;
    int ours =
        ck_pr_load_int(&seg->pid) == (int)getpid() && ck_pr_load_64(&seg->watcher) == seg->peer.id;

    /* Without it the watch's words could be older. Partner: the fence in ipc_shm_renew_watch_. */
    ck_pr_fence_load();
    return ours;
}

/* Reads what inotify reports. 1: a process has closed its descriptor, or events were lost; 0: stirs
 * only; -1: nothing. */
IPC_INLINE int ipc_shm_read_inotify_(const struct ipc_shm *seg)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } room;
    struct inotify_event e;
    ssize_t got, at;
    int closed = -1;

    got = read(seg->inotify, room.bytes, sizeof room.bytes);
    for (at = 0; got - at >= (ssize_t)sizeof e; at += (ssize_t)(sizeof e + e.len)) {
        memcpy(&e, room.bytes + at, sizeof e);
        closed = closed > 0 || (e.mask & ~(uint32_t)IN_ACCESS) != 0;
    }
    return closed;
}

/* struct ipc_watch's take. */
IPC_INLINE int ipc_shm_take_(void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    struct epoll_event e[8];
    int i, n, said = IPC_WATCH_STIRRED, closed;

    if (ipc_shm_lock_watch_(seg) != 0)
        return IPC_WATCH_MAYBE;
    closed = ipc_shm_read_inotify_(seg);
    if (closed > 0)
        said = IPC_WATCH_MAYBE;
    n = closed < 0 ? epoll_wait(seg->epoll, e, 8, 0) : 0; /* else the next poll tells the rest */
    for (i = 0; i < n; i++) {
        uint32_t at = e[i].data.u32;

        if (at >= IPC_SHM_PIDFDS || seg->pidfd[at].id == 0 ||
            ipc_shm_epoll_(seg, EPOLL_CTL_DEL, seg->pidfd[at].fd, at) != 0)
            continue;
        (void)close(seg->pidfd[at].fd);
        seg->pidfd[at].id = 0;
        said = IPC_WATCH_LEFT;
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
