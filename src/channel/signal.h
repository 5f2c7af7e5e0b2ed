/* signal:. */
#ifndef IPC_SRC_CHANNEL_SIGNAL_H
#define IPC_SRC_CHANNEL_SIGNAL_H 1

#include "wait.h"

/* ------------------------------------------------------------------ signals */

#define IPC_CHANNEL_WORD_ sizeof(void *)

/* The signal that the priority stands for, or -EINVAL. */
IPC_INLINE int ipc_channel_signal_number_(struct ipc_channel *ch)
{
    int most = SIGRTMAX - SIGRTMIN;

    return ch->priority <= (uint32_t)most
               ? SIGRTMIN + (int)ch->priority
               : ipc_channel_refuse_(ch, -EINVAL, "signal: priority %lu: at most %d",
                                     (unsigned long)ch->priority, most);
}

IPC_INLINE int ipc_channel_signal_open_(struct ipc_channel *ch, int64_t deadline)
{
    int number = ipc_channel_signal_number_(ch);
    sigset_t set;
    char *end;
    long pid = strtol(ch->address, &end, 10);

    (void)deadline;
    if (number < 0)
        return number;
    if (*end != '\0' || pid < 0 || pid > INT_MAX)
        return ipc_channel_refuse_(ch, -EINVAL, "signal:%s: not PID", ch->address);
    if (((ch->role & IPC_RECV) != 0) != ((ch->role & IPC_LISTEN) != 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "signal: who receives is found: IPC_LISTEN");
    ch->max = IPC_CHANNEL_WORD_;
    ch->peer.pid = (pid_t)pid;
    if ((ch->role & IPC_RECV) == 0) {
#ifdef SYS_pidfd_open
        ch->out = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
#endif
        return ch->out >= 0 ? 0 : ipc_channel_refuse_errno_(ch, "find process");
    }
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
    ch->in = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return ch->in >= 0 ? 0 : ipc_channel_refuse_errno_(ch, "make a signalfd for");
}

IPC_INLINE int ipc_channel_signal_send_(struct ipc_channel *ch, const void *message, size_t n,
                                        int64_t deadline)
{
    int number = ipc_channel_signal_number_(ch), rc = -ENOSYS;
    uint64_t bit = UINT64_C(1) << (ch->priority & 63);
    siginfo_t info;

    if (number < 0)
        return number;
    memset(&info, 0, sizeof info);
    info.si_signo = number;
    info.si_code = SI_QUEUE;
    info.si_errno = (int)n; /* of no use to anyone else */
    info.si_pid = getpid();
    info.si_uid = getuid();
    memcpy(&info.si_value, message, n);
    for (;;) {
        /* Unblocked, it would end the process. Asked once for each signal: the descriptor is of no
         * other process. */
        if ((ch->blocked & bit) == 0 && !ipc_notify_blocks_(ch->peer.pid, number))
            return kill(ch->peer.pid, 0) != 0 && errno == ESRCH
                       ? ipc_channel_refuse_(ch, -EPIPE, "signal: process %ld is gone",
                                             (long)ch->peer.pid)
                       : ipc_channel_refuse_(ch, -EPERM,
                                             "signal: process %ld does not block signal "
                                             "%d: is it receiving?",
                                             (long)ch->peer.pid, number);
        ch->blocked |= bit;
#ifdef SYS_pidfd_send_signal
        rc = syscall(SYS_pidfd_send_signal, ch->out, number, &info, 0) == 0 ? 0 : -errno;
#endif
        if (rc == 0)
            return 0;
        if (rc == -ESRCH)
            return ipc_channel_refuse_(ch, -EPIPE, "signal: process %ld is gone",
                                       (long)ch->peer.pid);
        if (rc != -EAGAIN)
            return ipc_channel_refuse_errno_(ch, "signal");
        rc = ipc_channel_nap_(deadline); /* its queue is full */
        if (rc != 0)
            return rc;
    }
}

IPC_INLINE int64_t ipc_channel_signal_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline)
{
    struct signalfd_siginfo came;
    unsigned skips = 0;
    void *word;
    int rc;

    while (ch->next == 0) {
        ssize_t n = read(ch->in, &came, sizeof came);

        if (n == (ssize_t)sizeof came && came.ssi_code == SI_QUEUE && came.ssi_errno >= 0 &&
            came.ssi_errno <= (int)IPC_CHANNEL_WORD_) {
            ch->peer.pid = (pid_t)came.ssi_pid;
            ch->peer.uid = came.ssi_uid;
            word = (void *)(uintptr_t)came.ssi_ptr;
            memcpy(ch->rx.data, &word, sizeof word);
            return ipc_channel_copy_out_(ch, to, size, (size_t)came.ssi_errno);
        }
        if (n >= 0) /* by kill */
            rc = ipc_channel_has_skipped_enough_(&skips, deadline) ? -ETIMEDOUT : 0;
        else
            rc = errno == EAGAIN ? ipc_channel_wait_(ch->in, POLLIN, deadline) : -errno;
        if (rc != 0)
            return rc;
    }
    return ipc_channel_copy_out_(ch, to, size, ch->next);
}

#endif
