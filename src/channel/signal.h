/*
 * signal:PID, real-time signals with up to 8 bytes (4 on a 32-bit machine).
 *
 * The receiver is the listener, and PID is its own, or 0. ipc_channel's priority chooses the
 * signal, SIGRTMIN + priority. The receiver must block that signal in all threads before it opens
 * the channel. A sender does not signal a process that does not block it, as the signal would end
 * the process: -EPERM. Signals of one number do not coalesce.
 *
 *   Access   Each process that the kernel lets signal the receiver. Which process and user sent a
 *            message (ipc_channel_info) is what the sender says, which the kernel does not check: act
 *            on no process because of it.
 *   Loss     A send reports -EPIPE. No recv reports it.
 *   Limits   The queue of a user is short, `ulimit -i`; a full one holds the sender up.
 */
#ifndef IPC_SRC_CHANNEL_SIGNAL_H
#define IPC_SRC_CHANNEL_SIGNAL_H 1

#include "wait.h"

/* ------------------------------------------------------------------ signal: */

struct ipc_channel_signal_ {
    uint64_t blocked; /* sender: bit n: the receiver was found to block SIGRTMIN + n */
};

#define IPC_CHANNEL_WORD_ sizeof(void *) /* bytes that a signal carries */

/* Is there a signal for this priority? */
IPC_INLINE int ipc_channel_has_signal_(const struct ipc_channel *ch, int most)
{
    return ch->priority <= (uint32_t)most;
}

/* The signal that the priority stands for, or -EINVAL. */
IPC_INLINE int ipc_channel_get_signal_(struct ipc_channel *ch)
{
    int most = SIGRTMAX - SIGRTMIN;

    if (ipc_channel_has_signal_(ch, most))
        return SIGRTMIN + (int)ch->priority;
    return ipc_channel_refuse_(ch, -EINVAL, "signal: priority %lu: at most %d",
                               (unsigned long)ch->priority, most);
}

/* The receiver's signalfd. */
IPC_INLINE int ipc_channel_signal_listen_(struct ipc_channel *ch, long pid, int number)
{
    sigset_t set;

    if (pid != 0 && pid != (long)getpid())
        return ipc_channel_refuse_(ch, -EINVAL, "signal:%ld: this process is %ld", pid,
                                   (long)getpid());
    if (sigprocmask(SIG_BLOCK, NULL, &set) != 0 || sigismember(&set, number) != 1)
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "signal: block signal %d in all threads before: "
                                   "it would end the process",
                                   number);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    ch->in = ipc_move_fd_(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    return ch->in >= 0 ? 0 : ipc_channel_refuse_errno_(ch, "make a signalfd for");
}

IPC_INLINE int ipc_channel_signal_open_(struct ipc_channel *ch, int64_t deadline)
{
    int number = ipc_channel_get_signal_(ch);
    char *end;
    long pid = strtol(ch->address, &end, 10);

    (void)deadline;
    if (number < 0)
        return number;
    if (*end != '\0' || pid < 0 || pid > INT_MAX)
        return ipc_channel_refuse_(ch, -EINVAL, "signal:%s: not PID", ch->address);
    if (((ch->role & IPC_RECV) != 0) != ((ch->role & IPC_LISTEN) != 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "signal: the receiver listens: IPC_LISTEN");
    if ((ch->role & IPC_RECV) == 0 && pid == 0)
        return ipc_channel_refuse_(ch, -EINVAL, "signal: a sender names the receiver's process: "
                                   "signal:PID");
    ch->max = IPC_CHANNEL_WORD_;
    ch->peer.pid = (pid_t)pid;
    if ((ch->role & IPC_RECV) != 0)
        return ipc_channel_signal_listen_(ch, pid, number);
#ifdef SYS_pidfd_open
    ch->out = ipc_move_fd_((int)syscall(SYS_pidfd_open, (pid_t)pid, 0));
#endif
    return ch->out >= 0 ? 0 : ipc_channel_refuse_errno_(ch, "find process");
}

IPC_INLINE int ipc_channel_signal_refuse_gone_(struct ipc_channel *ch)
{
    return ipc_channel_refuse_(ch, -EPIPE, "signal: process %ld is gone", (long)ch->peer.pid);
}

/* Checks that the receiver lives, as one that has died takes signals until its parent has asked how it ended;
 * and that it blocks the signal, which is asked once for each signal: the descriptor never comes to stand for
 * another process. */
IPC_INLINE int ipc_channel_signal_check_(struct ipc_channel *ch, int number)
{
    struct ipc_channel_signal_ *own = (struct ipc_channel_signal_ *)ch->state;
    uint64_t bit = UINT64_C(1) << (ch->priority & 63);

    if (ipc_channel_wait_(ch->out, POLLIN, IPC_NOW) == 0)
        return ipc_channel_signal_refuse_gone_(ch);
    if ((own->blocked & bit) == 0 && !ipc_notify_blocks_(ch->peer.pid, number)) {
        if (kill(ch->peer.pid, 0) != 0 && errno == ESRCH)
            return ipc_channel_signal_refuse_gone_(ch);
        return ipc_channel_refuse_(ch, -EPERM,
                                   "signal: process %ld does not block signal %d: is it receiving?",
                                   (long)ch->peer.pid, number);
    }
    own->blocked |= bit;
    return 0;
}

IPC_CHANNEL_HOT_ int ipc_channel_signal_send_(struct ipc_channel *ch, const void *message, size_t n,
                                              int64_t deadline)
{
    int number = ipc_channel_get_signal_(ch), rc;
    siginfo_t info;

    if (number < 0)
        return number;
    memset(&info, 0, sizeof info);
    info.si_signo = number;
    info.si_code = SI_QUEUE;
    info.si_errno = (int)n; /* no other use of it is known */
    info.si_pid = getpid();
    info.si_uid = getuid();
    memcpy(&info.si_value, message, n);
    for (;;) {
        rc = ipc_channel_signal_check_(ch, number);
        if (rc != 0)
            return rc;
        rc = -ENOSYS;
#ifdef SYS_pidfd_send_signal
        rc = syscall(SYS_pidfd_send_signal, ch->out, number, &info, 0) == 0 ? 0 : -errno;
#endif
        if (rc == 0)
            return 0;
        if (rc == -ESRCH)
            return ipc_channel_signal_refuse_gone_(ch);
        if (rc != -EAGAIN)
            return ipc_channel_refuse_errno_(ch, "signal");
        rc = ipc_channel_nap_(deadline); /* the receiver's queue is full */
        if (rc != 0)
            return rc;
    }
}

IPC_CHANNEL_HOT_ int64_t ipc_channel_signal_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                  int64_t deadline)
{
    struct signalfd_siginfo came;
    unsigned skips = 0;
    void *word;
    int rc;

    if (ch->next != 0) /* a message that was too large for the last call */
        return ipc_channel_copy_out_(ch, to, size, ch->next);
    for (;;) {
        ssize_t n = read(ch->in, &came, sizeof came);

        if (n == (ssize_t)sizeof came && came.ssi_code == SI_QUEUE && came.ssi_errno >= 0 &&
            came.ssi_errno <= (int)IPC_CHANNEL_WORD_) {
            ch->peer.pid = (pid_t)came.ssi_pid;
            ch->peer.uid = came.ssi_uid;
            word = (void *)(uintptr_t)came.ssi_ptr;
            memcpy(ch->rx.data, &word, sizeof word);
            return ipc_channel_copy_out_(ch, to, size, (size_t)came.ssi_errno);
        }
        if (n >= 0) /* a signal that no channel has sent, by kill for one */
            rc = ipc_channel_has_skipped_enough_(&skips, deadline) ? -ETIMEDOUT : 0;
        else
            rc = errno == EAGAIN ? ipc_channel_wait_(ch->in, POLLIN, deadline) : -errno;
        if (rc != 0)
            return rc;
    }
}

static const struct ipc_channel_kind_ ipc_channel_signal_kind_ = {
    "signal",
    IPC_CHANNEL_ONE_WAY_ | IPC_CHANNEL_PRIORITY_ | IPC_CHANNEL_OPEN_TO_ALL_,
    sizeof(struct ipc_channel_signal_),
    0,
    0,
    ipc_channel_signal_open_,
    NULL, /* close */
    NULL, /* unlink: it has no name */
    ipc_channel_signal_send_,
    ipc_channel_signal_recv_,
    NULL, /* meet: no other process can come */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

#endif
