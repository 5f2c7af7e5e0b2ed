/* Posting. */
#ifndef IPC_SRC_NOTIFY_POST_H
#define IPC_SRC_NOTIFY_POST_H 1

#include "layout.h"

/* ------------------------------------------------------------------ posting */

/* Gives the semaphore a token, unless it has one: that will wake someone all the same. -EOVERFLOW
 * cannot come of it. */
IPC_INLINE void ipc_notify_give_(struct ipc_notify *n)
{
    int value = 0;

    if (sem_getvalue(&n->at->u.sem, &value) != 0 || value <= 0)
        (void)sem_post(&n->at->u.sem);
}

/* 1 when the process blocks the signal, as one that reads it from a signalfd does. The signal would
 * kill another process: a successor with the same pid. 0 for the id of a thread that is not its
 * process's first: /proc tells only of that thread. */
IPC_INLINE int ipc_notify_blocks_(pid_t pid, int number)
{
    char text[8192], *p; /* a process may be in many groups */
    ssize_t got;
    int fd;

    (void)snprintf(text, sizeof text, "/proc/%ld/status", (long)pid);
    fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    p = strstr(text, "\nTgid:");
    if (p == NULL || strtol(p + 6, NULL, 10) != (long)pid)
        return 0;
    p = strstr(text, "\nSigBlk:");
    return p != NULL && (strtoull(p + 8, NULL, 16) >> (number - 1) & 1) != 0;
}

/* 0 when the process may be signalled, or why not: -ESRCH, -EPERM. */
IPC_INLINE int ipc_notify_try_target_(pid_t pid, int number)
{
    if (kill(pid, 0) != 0)
        return -errno;
    return ipc_notify_blocks_(pid, number) ? 0 : -EPERM;
}

/*
 * IPC_NOTIFY_SIGNAL: posts of this handle send the real-time signal `number` to the process `pid`
 * from now on. That process has called ipc_notify_listen before. Take its pid from fork, from
 * SO_PEERCRED or from your configuration, not from shared memory, where a hostile peer may name
 * another process.
 *
 *   0
 *   -EINVAL  not attached, not of that kind, pid is not positive, or no real-time signal
 *   -ESRCH   there is no such process
 *   -EPERM   it is another user's, or does not block the signal
 *   After an error posts of this handle signal nobody.
 */
IPC_INLINE int ipc_notify_target(struct ipc_notify *n, pid_t pid, int number)
{
    int rc;

    if (n->at == NULL || n->kind != IPC_NOTIFY_SIGNAL)
        return -EINVAL;
    n->target = 0;
    if (n->target_fd >= 0)
        (void)close(n->target_fd);
    n->target_fd = -1;
    if (pid <= 0 || number < SIGRTMIN || number > SIGRTMAX)
        return -EINVAL;
#ifdef SYS_pidfd_open
    n->target_fd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
    rc = ipc_notify_try_target_(pid, number); /* after the pidfd: of the process that it is for */
    if (rc == 0) {
        n->target = pid;
        n->number = number;
    }
    return rc;
}

/* Sends the signal to the process that this handle names. */
IPC_INLINE int ipc_notify_signal_(struct ipc_notify *n)
{
    int rc;

    if (n->target == 0)
        return -ESRCH;
#ifdef SYS_pidfd_send_signal
    if (n->target_fd >= 0) {
        if (syscall(SYS_pidfd_send_signal, n->target_fd, n->number, NULL, 0) == 0) {
            n->uses |= IPC_USES_PIDFD;
            return 0;
        }
        if (errno != ENOSYS && errno != EPERM)
            return -errno;
    }
#endif
    n->uses &= ~IPC_USES_PIDFD;
    rc = ipc_notify_try_target_(n->target, n->number);
    /* A real-time signal is queued this way, too. */
    return rc != 0 || kill(n->target, n->number) == 0 ? rc : -errno;
}

/* Reaches the event loops. -EAGAIN of write: saturated, so it is readable. */
IPC_INLINE int ipc_notify_ring_(struct ipc_notify *n)
{
    static const uint64_t one = 1;

    if (n->kind == IPC_NOTIFY_SIGNAL)
        return ipc_notify_signal_(n);
    if (n->kind != IPC_NOTIFY_EVENTFD)
        return 0; /* nothing to be armed: a hostile peer */
    if (n->post_fd < 0)
        return -ENOENT;
    return write(n->post_fd, &one, sizeof one) > 0 || errno == EAGAIN ? 0 : -errno;
}

/* Does the word of the notifier in mem say more than "nobody, no fence"? */
IPC_FORCE_INLINE int ipc_notify_heeds_(const void *mem)
{
    ck_pr_barrier(); /* the compiler's part of the fence that membarrier makes here */
    return (ck_pr_load_32((const uint32_t *)mem) & IPC_NOTIFY_HEED_) != 0;
}

/* It does. */
IPC_INLINE int ipc_notify_wake_(struct ipc_notify *n, int all)
{
    uint32_t *word = &n->at->word, w, mine = 0;
    unsigned tries;
    int rc = 0, saved;

    /* Without it a waiter that has just set its flag could miss what was stored before this post,
     * and this post its flag. Partner: the fence in ipc_notify_mark_. */
    ck_pr_fence_store_load();
    w = ck_pr_load_32(word);
    if ((w & IPC_NOTIFY_SLEEPERS_) == 0) {
        if (++n->quiet < IPC_NOTIFY_QUIET_ || (w & IPC_NOTIFY_FIXED_) != 0)
            return 0;
        /* The count moves on, so that no waiter says TURNED of a turn that is over. */
        n->quiet = 0;
        (void)ck_pr_cas_32(word, w, (w & ~IPC_NOTIFY_FENCE_) + IPC_NOTIFY_COUNT_);
        return 0;
    }
    n->quiet = 0;
    saved = errno; /* a signal handler's caller has its own */
    for (tries = 0; tries < IPC_NOTIFY_TRIES_; tries++, w = ck_pr_load_32(word)) {
        if ((w & IPC_NOTIFY_SLEEPERS_) == 0)
            return 0; /* another poster has them, and they will see what we stored */
        if (!all && (w & IPC_NOTIFY_SLEEPERS_) == IPC_NOTIFY_ASLEEP_ &&
            n->kind != IPC_NOTIFY_SEMAPHORE) {
            if (!ck_pr_cas_32(word, w, w + IPC_NOTIFY_COUNT_))
                continue;
            if (ipc_notify_futex_(word, IPC_NOTIFY_FUTEX_WAKE_, 1, NULL) > 0)
                return 0;
            all = 1; /* none is left: take the flag off, and wake who comes meanwhile */
            continue;
        }
        mine = ((w & ~IPC_NOTIFY_SLEEPERS_) | IPC_NOTIFY_WAKING_) + IPC_NOTIFY_COUNT_;
        if (ck_pr_cas_32(word, w, mine))
            break;
    }
    if ((w & (IPC_NOTIFY_ASLEEP_ | IPC_NOTIFY_WAKING_)) != 0) {
        if (n->kind == IPC_NOTIFY_SEMAPHORE)
            ipc_notify_give_(n);
        else
            (void)ipc_notify_futex_(word, IPC_NOTIFY_FUTEX_WAKE_, INT32_MAX, NULL);
    }
    if ((w & (IPC_NOTIFY_DOZING_ | IPC_NOTIFY_WAKING_)) != 0 && n->peer.stir != NULL)
        n->peer.stir(n->peer.arg);
    if ((w & IPC_NOTIFY_ARMED_) != 0 ||
        ((w & IPC_NOTIFY_WAKING_) != 0 && (n->post_fd >= 0 || n->target != 0)))
        rc = ipc_notify_ring_(n);
    /* Not when someone has set a flag since: he may be asleep by now, and needs the next post. */
    (void)ck_pr_cas_32(word, mine, mine & ~IPC_NOTIFY_WAKING_);
    errno = saved;
    return rc;
}

/*
 * Wakes everyone who waits, after what they wait for was stored. One load while nobody sleeps; a
 * fence besides while they often do (see the top). Else a system call or two; lock-free. May be
 * called in a signal handler, for other kinds than IPC_NOTIFY_SIGNAL. A waiter that is stopped or
 * killed costs one system call at most.
 *
 *   0
 *   -EINVAL   the handle is not attached
 *   -ESRCH    IPC_NOTIFY_SIGNAL: this handle names no process (ipc_notify_target), or that process
 *             is gone; -EPERM: it is another user's, or does not block the signal
 *   -ENOENT   IPC_NOTIFY_EVENTFD: this handle has no descriptor, see ipc_notify_recv_fd; -EBADF:
 *             someone else has closed it
 */
IPC_FORCE_INLINE int ipc_notify_post(struct ipc_notify *n)
{
    if (CK_CC_UNLIKELY(n->at == NULL))
        return -EINVAL;
    return CK_CC_UNLIKELY(ipc_notify_heeds_(n->at)) ? ipc_notify_wake_(n, 1) : 0;
}

/* Wakes one of those who sleep in ipc_wait, at least: semaphores and descriptors wake all. For
 * waiters that all wait for the same. Otherwise as ipc_notify_post. */
IPC_FORCE_INLINE int ipc_notify_post_one(struct ipc_notify *n)
{
    if (CK_CC_UNLIKELY(n->at == NULL))
        return -EINVAL;
    return CK_CC_UNLIKELY(ipc_notify_heeds_(n->at)) ? ipc_notify_wake_(n, 0) : 0;
}

#endif
