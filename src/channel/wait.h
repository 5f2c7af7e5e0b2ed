/* Waiting. */
#ifndef IPC_SRC_CHANNEL_WAIT_H
#define IPC_SRC_CHANNEL_WAIT_H 1

#include "core.h"

/* ------------------------------------------------------------------ waiting */

/* Until one of the descriptors is ready, or poll would say why it is not. 0, -ETIMEDOUT or -EINTR.
 */
IPC_INLINE int ipc_channel_poll_(struct pollfd *p, nfds_t n, int64_t deadline)
{
    for (;;) {
        int64_t left = ipc_left_(deadline);
        int rc = poll(p, n,
                      deadline == IPC_FOREVER      ? -1
                      : left > INT64_C(1000000000) ? 1000
                                                   : (int)((left + 999999) / 1000000));

        if (rc > 0)
            return 0;
        if (rc < 0)
            return -errno;
        if (ipc_left_(deadline) == 0)
            return -ETIMEDOUT;
    }
}

IPC_INLINE int ipc_channel_wait_(int fd, short events, int64_t deadline)
{
    struct pollfd p;

    p.fd = fd;
    p.events = events;
    return ipc_channel_poll_(&p, 1, deadline);
}

/* ... after a call that has found that it is not. */
IPC_INLINE int ipc_channel_wait_again_(int fd, short events, int64_t deadline)
{
    return deadline <= IPC_NOW ? -ETIMEDOUT : ipc_channel_wait_(fd, events, deadline);
}

/* Waits a little for what cannot be polled for. 0, -ETIMEDOUT or -EINTR. */
IPC_INLINE int ipc_channel_nap_(int64_t deadline)
{
    return ipc_left_(deadline) == 0 ? -ETIMEDOUT : ipc_notify_nap_(deadline);
}

#define IPC_CHANNEL_SKIPS_ 64u

/* A call has skipped something that is no message for it: must it end now? After its deadline it
 * skips some more, as a message may be behind them, but not as many as may come. */
IPC_INLINE int ipc_channel_has_skipped_enough_(unsigned *skips, int64_t deadline)
{
    return ++*skips >= IPC_CHANNEL_SKIPS_ && ipc_left_(deadline) == 0;
}

IPC_INLINE void ipc_channel_close_fd_(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* Leaves the other side; what has not been received or sent is gone. */
IPC_INLINE void ipc_channel_leave_peer_(struct ipc_channel *ch)
{
    if (ch->in == ch->out)
        ch->out = -1;
    ipc_channel_close_fd_(&ch->in);
    ipc_channel_close_fd_(&ch->out);
    ch->rx.begin = ch->rx.end = ch->tx.begin = ch->tx.end = 0;
    ch->state &= ~IPC_CHANNEL_CANNOT_SEND_;
    ch->peer.pid = 0;
    ch->peer.uid = (uid_t)-1;
    ch->peer.gid = (gid_t)-1;
}

/* The other side is gone, or talks garbage. Of a FIFO the next one's words may be there already:
 * they would be lost if nobody had it open. */
IPC_INLINE int ipc_channel_lose_peer_(struct ipc_channel *ch, int rc)
{
    int fresh = ch->kind->again != NULL && ch->in >= 0 && rc != -EBADMSG ? ch->kind->again(ch) : -1;

    ipc_channel_leave_peer_(ch);
    ch->in = fresh;
    return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address,
                               rc == -EPIPE ? "the other side is gone"
                               : rc == -EOWNERDEAD
                                   ? "the other side died in the middle of a message"
                               : rc == -EBADMSG ? "what came is no message of ipc_channel.h"
                                                : strerror(-rc));
}

/* Is what a path leads to of the right type, whose and open to whom it may be? */
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

/* Gives what we have made its mode, which the umask would have cut: by a descriptor, as the path
 * may lead elsewhere by now. */
IPC_INLINE int ipc_channel_set_mode_(const struct ipc_channel *ch, mode_t type, struct stat *st)
{
    int fd = open(ch->address, IPC_CHANNEL_PATH_ | O_NOFOLLOW | O_CLOEXEC), rc;
    char path[32];

    if (fd < 0)
        return -errno;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fstat(fd, st) != 0)
        rc = -errno;
    else if ((st->st_mode & S_IFMT) != type || st->st_uid != geteuid())
        rc = -EPROTO;
    else
        rc = chmod(path, ch->how.mode) == 0 ? 0 : -errno;
    (void)close(fd);
    return rc;
}

/* Is a file of this type at the path? A symbolic link has a type of its own. 0, -EPROTO when
 * something else is there, -EINVAL for an empty path, or what lstat says. */
IPC_INLINE int ipc_channel_check_type_(const char *path, mode_t type)
{
    struct stat st;

    if (*path == '\0')
        return -EINVAL;
    if (lstat(path, &st) != 0)
        return -errno;
    return (st.st_mode & S_IFMT) == type ? 0 : -EPROTO;
}

IPC_INLINE int ipc_channel_remove_(const char *path, mode_t type)
{
    int rc = ipc_channel_check_type_(path, type);

    return rc != 0 ? rc : unlink(path) == 0 ? 0 : -errno;
}

/* Reads the n bytes at an offset of a regular file, without touching any other. Bytes, fewer where
 * the file ends; -EPROTO and -EINVAL as ipc_channel_check_type_; or what open and pread say. */
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
