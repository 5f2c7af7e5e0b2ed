/* What all mechanisms use: refusals, waiting, the other side, files. */
#ifndef IPC_SRC_CHANNEL_WAIT_H
#define IPC_SRC_CHANNEL_WAIT_H 1

#include "reference.h"

/* ------------------------------------------------------------------ refusals */

/* Keeps a sentence for ipc_channel_why and returns rc. */
__attribute__((format(printf, 3, 4), unused)) static int
ipc_channel_refuse_(struct ipc_channel *ch, int rc, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(ch->why, sizeof ch->why, format, arguments);
    va_end(arguments);
    return rc;
}

/* Keeps a sentence about a system call that failed, and returns -errno. */
IPC_INLINE int ipc_channel_refuse_errno_(struct ipc_channel *ch, const char *what)
{
    int rc = -errno;

    return ipc_channel_refuse_(ch, rc, "%s: cannot %s '%s': %s", ch->kind->scheme, what,
                               ch->address, strerror(-rc));
}

/* Keeps a sentence about a message of n bytes that the caller's buffer cannot take. */
IPC_INLINE int ipc_channel_refuse_size_(struct ipc_channel *ch, size_t n, size_t size)
{
    ch->next = n;
    return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", n, size);
}

/* Keeps a sentence about a deadline that is none. */
IPC_INLINE int ipc_channel_refuse_deadline_(struct ipc_channel *ch, int64_t deadline)
{
    return ipc_channel_refuse_(ch, -EINVAL,
                               "%lld ns is no deadline, which is an absolute time: use ipc_in_ms",
                               (long long)deadline);
}

IPC_INLINE const char *ipc_channel_why(const struct ipc_channel *ch)
{
    return *ch->why != '\0' ? ch->why
                            : "no error: the call ended at its deadline, or as a signal handler ran";
}

/* ------------------------------------------------------------------ waiting */

/* The milliseconds for one poll: what is left, rounded up, but a second at most; -1: no limit. */
IPC_INLINE int ipc_channel_poll_ms_(int64_t deadline)
{
    int64_t left = ipc_left_(deadline);

    if (deadline == IPC_FOREVER)
        return -1;
    return left > INT64_C(1000000000) ? 1000 : (int)((left + 999999) / 1000000);
}

/* Waits until poll has something to say of one of the descriptors. 0, -ETIMEDOUT or -EINTR. */
IPC_INLINE int ipc_channel_poll_(struct pollfd *p, nfds_t n, int64_t deadline)
{
    for (;;) {
        int rc = poll(p, n, ipc_channel_poll_ms_(deadline));

        if (rc > 0)
            return 0;
        if (rc < 0)
            return -errno;
        if (ipc_left_(deadline) == 0)
            return -ETIMEDOUT;
    }
}

/* Waits for events of one descriptor, as ipc_channel_poll_. */
IPC_INLINE int ipc_channel_wait_(int fd, short events, int64_t deadline)
{
    struct pollfd p;

    p.fd = fd;
    p.events = events;
    return ipc_channel_poll_(&p, 1, deadline);
}

/* As ipc_channel_wait_, after a call that found the descriptor not ready: IPC_NOW asks no more. */
IPC_INLINE int ipc_channel_wait_again_(int fd, short events, int64_t deadline)
{
    return deadline <= IPC_NOW ? -ETIMEDOUT : ipc_channel_wait_(fd, events, deadline);
}

/* Sleeps for a moment, where nothing can be polled. 0, -ETIMEDOUT or -EINTR. */
IPC_INLINE int ipc_channel_nap_(int64_t deadline)
{
    return ipc_left_(deadline) == 0 ? -ETIMEDOUT : ipc_notify_nap_(deadline);
}

#define IPC_CHANNEL_SKIPS_ 64u

/* A call has skipped something that is no message for it, or has read a part of one. Must the call
 * end now? After its deadline it goes on for a while, as the message may be there, but 64 times at
 * most. */
IPC_INLINE int ipc_channel_has_skipped_enough_(unsigned *skips, int64_t deadline)
{
    return ++*skips >= IPC_CHANNEL_SKIPS_ && ipc_left_(deadline) == 0;
}

/* ------------------------------------------------------------------ the other side */

IPC_INLINE void ipc_channel_close_fd_(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* Is the channel over a socket? Else it is over a pipe, a queue, a file or memory. */
IPC_INLINE int ipc_channel_is_socket_(const struct ipc_channel *ch)
{
    return ch->kind->type != 0;
}

/* A descriptor of a server's client is about to be closed. Another process may have it, too: after
 * fork, or as it was handed over. Then epoll would go on to tell of it. */
IPC_INLINE void ipc_channel_unwatch_(const struct ipc_channel *ch, int fd)
{
    if (ch->polls >= 0 && fd >= 0)
        (void)epoll_ctl(ch->polls, EPOLL_CTL_DEL, fd, NULL);
}

/* Leaves the other side. What was not received, or not sent yet, is dropped. */
IPC_INLINE void ipc_channel_leave_peer_(struct ipc_channel *ch)
{
    if (ch->in == ch->out)
        ch->out = -1;
    ipc_channel_unwatch_(ch, ch->in);
    ipc_channel_close_fd_(&ch->in);
    ipc_channel_close_fd_(&ch->out);
    ch->rx.begin = ch->rx.end = ch->tx.begin = ch->tx.end = 0;
    ch->flags &= ~(IPC_CHANNEL_CANNOT_SEND_ | IPC_CHANNEL_UNGREETED_);
    ch->peer.pid = 0;
    ch->peer.uid = (uid_t)-1;
    ch->peer.gid = (gid_t)-1;
}

IPC_INLINE const char *ipc_channel_loss_text_(int rc)
{
    switch (rc) {
    case -EPIPE:
        return "the other side is gone";
    case -EOWNERDEAD:
        return "the other side died in the middle of a message";
    case -EBADMSG:
        return "what came is no message of ipc_channel.h";
    case -EPROTO:
        return "the roles do not fit: what one side sends or waits for the other one does not";
    default:
        return strerror(-rc);
    }
}

/* The other side is gone, or has sent garbage: leaves it, and returns rc. A FIFO's next sender may
 * have written already. Its bytes would be lost if no process had the FIFO open, so the next
 * receiving end is opened before the old one is closed. */
IPC_INLINE int ipc_channel_lose_peer_(struct ipc_channel *ch, int rc)
{
    int fresh = -1;

    if (ch->kind->reopen != NULL && ch->in >= 0 && rc != -EBADMSG)
        fresh = ch->kind->reopen(ch);
    ipc_channel_leave_peer_(ch);
    ch->in = fresh >= 0 ? fresh : -1;
    return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address,
                               ipc_channel_loss_text_(rc));
}

/* Sending has failed. What the other side had sent before can still be received, so a channel that
 * receives keeps the other side until that is done. */
IPC_INLINE int ipc_channel_stop_sending_(struct ipc_channel *ch, int rc)
{
    if ((ch->role & IPC_RECV) == 0 || ch->in < 0)
        return ipc_channel_lose_peer_(ch, rc);
    ch->flags |= IPC_CHANNEL_CANNOT_SEND_;
    ch->tx.begin = ch->tx.end = 0;
    return ipc_channel_refuse_(ch, rc, "%s:%s: the other side is gone", ch->kind->scheme,
                               ch->address);
}

/* ------------------------------------------------------------------ memory and files */

/* Allocates the memory for messages. Untouched, it costs addresses only. */
IPC_INLINE int ipc_channel_allocate_buffers_(struct ipc_channel *ch)
{
    if (ch->rx.data != NULL)
        return 0;
    ch->rx.size = ch->max + IPC_CHANNEL_GULP_ + IPC_CHANNEL_HEAD_MOST_;
    ch->tx.size = ch->max + IPC_CHANNEL_HEAD_MOST_;
    ch->rx.data = (unsigned char *)malloc(ch->rx.size);
    ch->tx.data = (unsigned char *)malloc(ch->tx.size);
    if (ch->rx.data != NULL && ch->tx.data != NULL)
        return 0;
    return ipc_channel_refuse_(ch, -ENOMEM, "no memory for messages of %zu bytes", ch->max);
}

/* Hands out a message of n bytes in rx, or keeps it there for a larger buffer. */
IPC_INLINE int64_t ipc_channel_copy_out_(struct ipc_channel *ch, void *to, size_t size, size_t n)
{
    if (n > size)
        return ipc_channel_refuse_size_(ch, n, size);
    memcpy(to, ch->rx.data, n);
    ch->next = 0;
    return (int64_t)n;
}

/* Checks what was found at the address: is it of the right type, does it belong to a user that may
 * have made it, and does it permit no more than was asked for? type: 0 for any. */
IPC_INLINE int ipc_channel_check_owner_(struct ipc_channel *ch, const struct stat *st, mode_t type)
{
    if (type != 0 && (st->st_mode & S_IFMT) != type)
        return ipc_channel_refuse_(ch, -EPROTO, "%s: '%s' is something else: mode %o",
                                   ch->kind->scheme, ch->address, (unsigned)st->st_mode);
    if (st->st_uid != geteuid() && st->st_uid != 0 && st->st_uid != ch->how.user)
        return ipc_channel_refuse_(ch, -EACCES, "%s: '%s' belongs to user %ld; see options.user",
                                   ch->kind->scheme, ch->address, (long)st->st_uid);
    if ((st->st_mode & 0777 & ~ch->how.mode) != 0)
        return ipc_channel_refuse_(
            ch, -EACCES, "%s: '%s' has mode %03o, at most %03o was asked for", ch->kind->scheme,
            ch->address, (unsigned)st->st_mode & 0777, (unsigned)ch->how.mode);
    return 0;
}

#ifdef O_PATH
#define IPC_CHANNEL_PATH_ O_PATH
#else
#define IPC_CHANNEL_PATH_ 010000000 /* glibc has the name with _GNU_SOURCE only */
#endif

/* Removes the file at the path if it is the one of that inode: the path may lead elsewhere by now. */
IPC_INLINE void ipc_channel_remove_own_(const struct ipc_channel *ch, mode_t type, ino_t ino)
{
    struct stat st;

    if (lstat(ch->address, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_ino == ino)
        (void)unlink(ch->address);
}

/* Gives a file that this channel has made its mode, if the umask has cut that; removes it if it
 * cannot. The descriptor matters: the path may lead elsewhere by now. -ENOSYS: there is no /proc. */
IPC_INLINE int ipc_channel_set_mode_(const struct ipc_channel *ch, mode_t type, struct stat *st)
{
    int fd = open(ch->address, IPC_CHANNEL_PATH_ | O_NOFOLLOW | O_CLOEXEC), rc;
    char path[32];

    if (fd < 0)
        return -errno;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fstat(fd, st) != 0) {
        rc = -errno;
    } else if ((st->st_mode & S_IFMT) != type || st->st_uid != geteuid()) {
        rc = -EPROTO;
    } else if ((st->st_mode & 0777) == ch->how.mode || chmod(path, ch->how.mode) == 0) {
        rc = 0;
    } else {
        rc = errno == ENOENT ? -ENOSYS : -errno;
        ipc_channel_remove_own_(ch, type, st->st_ino);
    }
    (void)close(fd);
    return rc;
}

/* What a refusal to make a listener's file or socket may come of. */
IPC_INLINE const char *ipc_channel_make_hint_(int rc)
{
    switch (rc) {
    case -EADDRINUSE:
        return ": another does";
    case -E2BIG:
        return ": the name has more than 16 addresses: listen at one of them";
    case -ENOSYS:
        return ": where the umask takes from options.mode, /proc must be mounted";
    default:
        return "";
    }
}

/* Checks that a file of this type is at the path; a symbolic link has a type of its own. 0;
 * -EPROTO: something else is there; -EINVAL: the path is empty; or what lstat says. */
IPC_INLINE int ipc_channel_check_type_(const char *path, mode_t type)
{
    struct stat st;

    if (*path == '\0')
        return -EINVAL;
    if (lstat(path, &st) != 0)
        return -errno;
    return (st.st_mode & S_IFMT) == type ? 0 : -EPROTO;
}

/* Removes the path if a file of this type is there. As ipc_channel_check_type_, or unlink. */
IPC_INLINE int ipc_channel_remove_(const char *path, mode_t type)
{
    int rc = ipc_channel_check_type_(path, type);

    if (rc != 0)
        return rc;
    return unlink(path) == 0 ? 0 : -errno;
}

/* Reads the n bytes at an offset of a regular file, and touches no file of another type. Returns
 * how many bytes there are, fewer where the file ends; as ipc_channel_check_type_; or what open
 * and pread say. */
IPC_INLINE int64_t ipc_channel_read_at_(const char *path, void *to, size_t n, size_t offset)
{
    int64_t got = ipc_channel_check_type_(path, S_IFREG);
    int fd;

    if (got != 0)
        return got;
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    got = pread(fd, to, n, (off_t)offset);
    got = got < 0 ? -errno : got;
    (void)close(fd);
    return got;
}

#endif
