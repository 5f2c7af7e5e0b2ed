/* Posting: waking the waiters. The rules for the word are at the top of layout.h. */
#ifndef IPC_SRC_NOTIFY_POST_H
#define IPC_SRC_NOTIFY_POST_H 1

#include "layout.h"

/* ------------------------------------------------------------------ posting */

/* Gives the semaphore a token, unless it has one, which wakes a sleeper all the same. So it cannot
 * overflow. */
IPC_INLINE void ipc_notify_give_token_(struct ipc_notify *n)
{
    int value = 0;

    if (sem_getvalue(&n->at->u.sem, &value) != 0 || value <= 0)
        (void)sem_post(&n->at->u.sem);
}

/* Does the process block the signal? A process that reads it from a signalfd does; another one,
 * which has got the same pid since, would be killed by it. 0 for the id of a thread that is not the
 * first of its process: /proc has only that thread's mask there. */
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

/* 0 when the process may be signalled, else why not: -ESRCH, -EPERM. */
IPC_INLINE int ipc_notify_check_target_(pid_t pid, int number)
{
    if (kill(pid, 0) != 0)
        return -errno;
    return ipc_notify_blocks_(pid, number) ? 0 : -EPERM;
}

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
    n->target_fd = ipc_move_fd_((int)syscall(SYS_pidfd_open, pid, 0));
#endif
    rc = ipc_notify_check_target_(pid, number); /* after the pidfd: checks the process behind it */
    if (rc == 0) {
        n->target = pid;
        n->number = number;
    }
    return rc;
}

/* Sends the signal to the process that this handle names. */
IPC_INLINE int ipc_notify_send_signal_(struct ipc_notify *n)
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
    rc = ipc_notify_check_target_(n->target, n->number);
    /* kill queues a real-time signal, too. */
    return rc != 0 || kill(n->target, n->number) == 0 ? rc : -errno;
}

/* Wakes the event loops. EAGAIN says that the descriptor is full, and so it is readable. Whoever has
 * an eventfd, too, can let a write to it block; a send to a socket never does. */
IPC_INLINE int ipc_notify_wake_loops_(struct ipc_notify *n)
{
    static const uint64_t one = 1;
    ssize_t rc;

    if (n->kind == IPC_NOTIFY_SIGNAL)
        return ipc_notify_send_signal_(n);
    if (n->kind != IPC_NOTIFY_EVENTFD)
        return 0; /* such a kind cannot be armed: a hostile peer */
    if (n->post_fd < 0)
        return -ENOENT;
    rc = (n->uses & IPC_USES_EVENTFD) != 0
             ? write(n->post_fd, &one, sizeof one)
             : send(n->post_fd, &one, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    return rc > 0 || errno == EAGAIN ? 0 : -errno;
}

/* Has a post of the notifier in mem more to do than to load its word: a sleeper to wake, a fence?
 */
IPC_FORCE_INLINE int ipc_notify_heeds_(const void *mem)
{
    /* Without it the compiler could load the word before the caller's stores. The processor's part
     * of this fence is the membarrier in ipc_notify_announce_, its partner. */
    ck_pr_barrier();
    return (ck_pr_load_32((const uint32_t *)mem) & IPC_NOTIFY_HEED_) != 0;
}

/* Calls the kernel for all that the word w, of before our CAS, has the flags of. */
IPC_INLINE int ipc_notify_call_kernel_(struct ipc_notify *n, uint32_t w)
{
    const uint32_t *word = &n->at->word;

    if ((w & (IPC_NOTIFY_ASLEEP_ | IPC_NOTIFY_WAKING_ | IPC_NOTIFY_UNASKED_)) != 0) {
        if (n->kind == IPC_NOTIFY_SEMAPHORE)
            ipc_notify_give_token_(n);
        else
            (void)ipc_notify_futex_(word, IPC_NOTIFY_FUTEX_WAKE_, INT32_MAX, NULL);
    }
    if ((w & (IPC_NOTIFY_DOZING_ | IPC_NOTIFY_WAKING_)) != 0 && n->peer.stir != NULL)
        n->peer.stir(n->peer.arg);
    if ((w & IPC_NOTIFY_ARMED_) != 0 ||
        ((w & IPC_NOTIFY_WAKING_) != 0 && (n->post_fd >= 0 || n->target != 0)))
        return ipc_notify_wake_loops_(n);
    return 0;
}

/* The rest of a post: fences, and wakes the sleepers. Where `all` is 0, one that sleeps on the
 * futex is enough. */
IPC_INLINE int ipc_notify_wake_(struct ipc_notify *n, int all)
{
    uint32_t *word = &n->at->word, w, mine = 0;
    unsigned tries;
    int rc, saved;

    if (n->read_only)
        return -EROFS;
    /* Without it a waiter that has just set its flag could miss what was stored before this post,
     * and this post its flag. Partner: the fence in ipc_notify_announce_. */
    ck_pr_fence_store_load();
    w = ck_pr_load_32(word);
    if ((w & IPC_NOTIFY_WAKES_) == 0) {
        if (++n->quiet < IPC_NOTIFY_QUIET_ || (w & IPC_NOTIFY_FIXED_) != 0)
            return 0;
        /* The count moves on, so that no waiter sets FENCED for a turn that is over. */
        n->quiet = 0;
        (void)ck_pr_cas_32(word, w, (w & ~IPC_NOTIFY_FENCE_) + IPC_NOTIFY_COUNT_);
        return 0;
    }
    n->quiet = 0;
    saved = errno; /* in a signal handler it is that of the code that was interrupted */
    for (tries = 0; tries < IPC_NOTIFY_TRIES_; tries++, w = ck_pr_load_32(word)) {
        if ((w & IPC_NOTIFY_WAKES_) == 0)
            return 0; /* another poster wakes them, and they will see what we stored */
        if (!all && (w & IPC_NOTIFY_WAKES_) == IPC_NOTIFY_ASLEEP_ &&
            n->kind != IPC_NOTIFY_SEMAPHORE) {
            if (!ck_pr_cas_32(word, w, w + IPC_NOTIFY_COUNT_))
                continue;
            if (ipc_notify_futex_(word, IPC_NOTIFY_FUTEX_WAKE_, 1, NULL) > 0)
                return 0;
            all = 1; /* none was asleep: take the flag off, and wake any that sleeps since */
            continue;
        }
        mine = ((w & ~IPC_NOTIFY_SLEEPERS_) | IPC_NOTIFY_WAKING_) + IPC_NOTIFY_COUNT_;
        if (ck_pr_cas_32(word, w, mine))
            break;
    }
    rc = ipc_notify_call_kernel_(n, w);
    /* A waiter that has set a flag since may be asleep, and needs the next post: its flag stays.
     * WAKING must not, or each post to a waiter that is so quick would stir the whole segment. */
    for (tries = 0; tries < 4; tries++) {
        w = ck_pr_load_32(word);
        if ((w & ~(IPC_NOTIFY_COUNT_ - 1)) != (mine & ~(IPC_NOTIFY_COUNT_ - 1)) ||
            ck_pr_cas_32(word, w, w & ~IPC_NOTIFY_WAKING_))
            break; /* or another poster has set it anew */
    }
    errno = saved;
    return rc;
}

IPC_FORCE_INLINE int ipc_notify_post(struct ipc_notify *n)
{
    if (CK_CC_UNLIKELY(n->at == NULL))
        return -EINVAL;
    return CK_CC_UNLIKELY(ipc_notify_heeds_(n->at)) ? ipc_notify_wake_(n, 1) : 0;
}

IPC_FORCE_INLINE int ipc_notify_post_one(struct ipc_notify *n)
{
    if (CK_CC_UNLIKELY(n->at == NULL))
        return -EINVAL;
    return CK_CC_UNLIKELY(ipc_notify_heeds_(n->at)) ? ipc_notify_wake_(n, 0) : 0;
}

#endif
