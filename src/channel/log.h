/*
 * file:PATH, a log: one process appends, any number of processes follow, now or later.
 *
 * The sender is the listener: it makes the file, and holds an open file description lock on it.
 * Receivers wait for the file and start at options.offset. At the end they sleep on inotify; where
 * there is no inotify they look once a millisecond. One that polls reads, and looks for another file
 * every 10 ms.
 *
 *   Rotation  The file at PATH may be renamed, removed, replaced or truncated at any time, by
 *             logrotate in each of its modes; but a `create` that names a mode must permit no more
 *             than options.mode (create 0600). Else each send is -EACCES, until the file's mode is
 *             changed; a refused message is not sent later. A sender looks at PATH every 10 ms
 *             while it sends, and goes on in the file that is there. If none is there it makes
 *             one: at once after a removal, after a second of sending after a rename, as another
 *             process may be about to make it. A receiver reads the old file to its end. When the
 *             file at PATH has bytes, or its own was truncated, recv says -ESTALE once; the next
 *             call reads from the beginning of what is at PATH now. Records are lost to a receiver
 *             that had not read them before a truncation, and to one that was away while a file
 *             came and went.
 *   Places    ipc_channel_info tells the offset of the next message, and `mark`, which names all
 *             that is before it. A receiver that is opened with both goes on there, or is told
 *             -ESTALE when it is another file, or was truncated meanwhile. -1 is the end. To find
 *             a place, open looks at three times options.max of bytes before it at most, and reads
 *             three times as many in all, whatever the file has there.
 *   Sync      options.sync: send returns when the message is on the disk, and the file's name is.
 *             Receivers may get it before that.
 *   Access    Each process that the file's mode permits. The file of a user other than this one,
 *             root and options.user is refused. While the sender lives, a second one is refused:
 *             -EBUSY. What other programs append is cut off by the next send.
 *   Sizes     A message above the receiver's options.max stays, -EMSGSIZE at each call, until the
 *             receiver is opened with a larger maximum at the place that ipc_channel_info tells. A
 *             sender is refused where a message near the end of the log is above its own.
 *   Loss      No call reports it.
 *   Limits    The disk, and RLIMIT_FSIZE: a host that lowers it below the size of its open log gets
 *             SIGXFSZ. A log outlives its processes, and survives the machine's restart as far as
 *             its file system does. A sender that has nothing to send keeps a renamed file open:
 *             logrotate's `delaycompress` is for that. PATH in a folder that the receiver may not
 *             read, or of another machine: what comes is noticed once a second.
 */
#ifndef IPC_SRC_CHANNEL_LOG_H
#define IPC_SRC_CHANNEL_LOG_H 1

#include "log_record.h"

/* ------------------------------------------------------------------ opening, to send */

/* Has the file nothing but zeros from an offset on? */
IPC_INLINE int ipc_channel_log_is_zero_(const struct ipc_channel *ch, int64_t offset)
{
    unsigned char some[4096];
    ssize_t n, i;

    for (; (n = pread(ch->in, some, sizeof some, (off_t)offset)) > 0; offset += n)
        for (i = 0; i < n; i++)
            if (some[i] != 0)
                return 0;
    return n == 0;
}

/* Are all bytes of the file one record, or a part of one, without a head? Its key is not known. */
IPC_INLINE int ipc_channel_log_is_headless_(const struct ipc_channel *ch, int64_t size)
{
    unsigned char header[IPC_CHANNEL_HEADER_];
    int64_t n;

    if (size < (int64_t)IPC_CHANNEL_RECORD_ ||
        pread(ch->in, header, sizeof header, 0) != (ssize_t)sizeof header)
        return 0;
    n = (int64_t)ipc_channel_get_(header);
    return n <= (int64_t)ch->max && size <= n + (int64_t)IPC_CHANNEL_RECORD_ &&
           (ipc_channel_get_(header + 4) ^ (uint32_t)n ^ IPC_CHANNEL_CHECK_) >> 16 == 0;
}

/* May the last `left` bytes of the file be a head or one record that was not finished, or zeros?
 * Else the file is damaged. */
IPC_INLINE int ipc_channel_may_be_unfinished_(const struct ipc_channel *ch, int64_t left)
{
    const struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    unsigned char header[IPC_CHANNEL_HEADER_];
    ssize_t have = pread(ch->in, header, sizeof header, (off_t)own->offset);
    int64_t n;

    if (own->id == 0 || (have >= 0 && have < (ssize_t)sizeof header))
        return 1;
    n = have < 0 ? have : ipc_channel_record_length_(ch, header, own->offset);
    return n >= 0 ? left <= n + (int64_t)IPC_CHANNEL_RECORD_
                  : ipc_channel_log_is_zero_(ch, own->offset);
}

/* Finds the end of the log for its sender, and cuts off what was not finished. */
IPC_INLINE int ipc_channel_log_settle_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    struct stat st;
    int rc;

    own->lost = 1;
    if (fstat(ch->in, &st) != 0)
        return ipc_channel_refuse_errno_(ch, "read");
    rc = ipc_channel_log_find_end_(ch, st.st_size);
    if (rc == -EMSGSIZE)
        return rc;
    if (rc != 0 && rc != -EPROTO && rc != -EBADMSG)
        return ipc_channel_refuse_(ch, rc, "file: cannot read '%s': %s", ch->address,
                                   strerror(-rc));
    if (rc == -EPROTO && !ipc_channel_log_is_headless_(ch, st.st_size))
        return ipc_channel_log_refuse_head_(ch, rc);
    if (rc == -EBADMSG || (rc == 0 && st.st_size > own->offset &&
                           !ipc_channel_may_be_unfinished_(ch, st.st_size - own->offset)))
        return ipc_channel_refuse_(
            ch, -EBADMSG, "file: '%s' has no record of ipc_channel.h at offset %lld%s", ch->address,
            (long long)own->offset,
            rc == -EBADMSG ? ", or all near its end are above options.max" : "");
    if (st.st_size > own->offset && ftruncate(ch->in, (off_t)own->offset) != 0)
        return ipc_channel_refuse_errno_(ch, "cut");
    own->lost = 0;
    return 0;
}

/* Locks the log for this sender. */
IPC_INLINE int ipc_channel_log_lock_(struct ipc_channel *ch, int64_t deadline)
{
    short type = F_WRLCK;
    int rc, nap;

    while ((rc = ipc_shm_lock_(ch->in, F_OFD_SETLK, 0, &type)) == -EAGAIN || rc == -EACCES) {
        nap = ipc_channel_nap_(deadline);
        if (nap == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, -EBUSY, "file: '%s' has a writer", ch->address);
        if (nap != 0)
            return nap;
        type = F_WRLCK;
    }
    if (rc != 0)
        return ipc_channel_refuse_(ch, rc, "file: cannot lock '%s': %s", ch->address,
                                   strerror(-rc));
    return ipc_channel_log_settle_(ch);
}

/* ------------------------------------------------------------------ opening */

/* Tells the folder of the path. */
IPC_INLINE const char *ipc_channel_log_folder_(const struct ipc_channel *ch, char to[PATH_MAX])
{
    const char *slash = strrchr(ch->address, '/');
    int n = slash != NULL ? (int)(slash - ch->address) + 1 : 1;

    (void)snprintf(to, PATH_MAX, "%.*s", n, slash != NULL ? ch->address : ".");
    return to;
}

/* Makes the name of a new file outlive a crash of the machine. */
IPC_INLINE int ipc_channel_log_sync_name_(const struct ipc_channel *ch)
{
    char path[PATH_MAX];
    int folder = open(ipc_channel_log_folder_(ch, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = folder >= 0 && fsync(folder) == 0 ? 0 : -1, error = errno;

    ipc_channel_close_fd_(&folder);
    errno = error;
    return rc;
}

/* Opens the file to ch->in. A sender makes it, a receiver waits for it. */
IPC_INLINE int ipc_channel_log_open_file_(struct ipc_channel *ch, int64_t deadline)
{
    int writes = (ch->role & IPC_SEND) != 0, nap;
    int made = writes && access(ch->address, F_OK) != 0;
    int flags = (writes ? O_RDWR | O_CREAT | O_APPEND : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW |
                O_NONBLOCK | (ch->how.sync ? O_DSYNC : 0);

    if (*ch->address == '\0')
        return ipc_channel_refuse_(ch, -EINVAL, "file: a path must follow: file:/tmp/log");
    while ((ch->in = ipc_move_fd_(open(ch->address, flags, 0600))) < 0 && errno == ENOENT &&
           !writes) {
        nap = ipc_channel_nap_(deadline);
        if (nap == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, nap, "file: no '%s' until the deadline", ch->address);
        if (nap != 0)
            return nap;
    }
    if (ch->in < 0 || (made && fchmod(ch->in, ch->how.mode) != 0))
        return ipc_channel_refuse_errno_(ch, "open");
    if (ch->how.sync && ipc_channel_log_sync_name_(ch) != 0)
        return ipc_channel_refuse_errno_(ch, "sync the folder of");
    return 0;
}

/* Begins with the file at the path: opens and checks it; a sender locks it, and finds its end. */
IPC_INLINE int ipc_channel_log_begin_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    struct stat st;
    int rc;

    rc = ipc_channel_log_open_file_(ch, deadline);
    if (rc != 0)
        return rc;
    ch->out = ch->in;
    if (fstat(ch->in, &st) != 0)
        return ipc_channel_refuse_errno_(ch, "open");
    rc = ipc_channel_check_owner_(ch, &st, S_IFREG);
    if (rc != 0)
        return rc;
    ipc_channel_log_rewind_(ch);
    own->device = st.st_dev;
    own->inode = st.st_ino;
    own->look = own->missing = 0;
    return (ch->role & IPC_SEND) != 0 ? ipc_channel_log_lock_(ch, deadline) : 0;
}

/* Leaves the file for the one at the path. 0; or as ipc_channel_open_with: then it stays. */
IPC_INLINE int ipc_channel_log_move_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch), was = *own;
    int fd = ch->in, rc = ipc_channel_log_begin_(ch, IPC_NOW);

    if (rc == 0)
        ipc_channel_close_fd_(&fd);
    if (rc == 0)
        return 0;
    ipc_channel_close_fd_(&ch->in);
    ch->in = ch->out = fd;
    *own = was;
    ipc_channel_log_drop_(ch);
    return rc;
}

/* Is the file at the path the one that is open? Fills *st. 1; 0: another one is; -errno: none. */
IPC_INLINE int ipc_channel_log_is_at_path_(const struct ipc_channel *ch, struct stat *st)
{
    const struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);

    if (lstat(ch->address, st) != 0)
        return -errno;
    return st->st_dev == own->device && st->st_ino == own->inode;
}

IPC_INLINE void ipc_channel_log_close_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);

    ipc_close_last_(&own->last);
    ipc_channel_close_fd_(&own->changes);
}

/* Watches the open file. */
IPC_INLINE void ipc_channel_log_watch_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", ch->in);
    own->watch = inotify_add_watch(own->changes, path, IPC_CHANNEL_LOG_EVENTS_);
    if (own->watch < 0) /* no /proc */
        own->watch = inotify_add_watch(own->changes, ch->address, IPC_CHANNEL_LOG_EVENTS_);
    if (own->watch < 0)
        ipc_channel_log_close_(ch);
}

/* Finds where to begin: behind options.offset bytes that options.mark names. */
IPC_INLINE int ipc_channel_log_resume_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int64_t offset = ch->how.offset, budget = (int64_t)(ch->max + IPC_CHANNEL_RECORD_);
    uint64_t mark = ch->how.mark;
    struct stat st;
    int rc;

    if (offset == 0)
        return 0;
    if (fstat(ch->in, &st) != 0)
        return ipc_channel_refuse_errno_(ch, "read");
    rc = ipc_channel_log_find_end_(ch, offset < 0 || offset > st.st_size ? st.st_size : offset);
    if (offset < 0 && rc == -EPROTO)
        return ipc_channel_log_refuse_head_(ch, rc);
    if (offset < 0)
        return rc == 0 || rc == -EMSGSIZE
                   ? rc
                   : ipc_channel_refuse_(ch, rc, "file: '%s' has no record at its end%s",
                                         ch->address, rc == -EBADMSG ? ", or above options.max" : "");
    if (own->offset == offset && (mark == 0 || own->mark == mark))
        return 0;
    if (mark == 0 && offset <= st.st_size && rc != -EMSGSIZE)
        return ipc_channel_refuse_(ch, -EBADMSG, "file: '%s' has no record at offset %lld%s",
                                   ch->address, (long long)offset,
                                   rc == -EBADMSG ? ", or all before it are above options.max" : "");
    if (own->id != 0 && mark != 0 &&
        ipc_channel_log_follows_(ch, offset, st.st_size, mark, &budget)) {
        own->offset = offset; /* what is before it is damaged */
        own->at = 0;
        own->mark = mark;
        return 0;
    }
    if (rc == -EMSGSIZE)
        return rc;
    ipc_channel_log_rewind_(ch);
    own->stale = 1;
    return 0;
}

IPC_INLINE int ipc_channel_log_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int writes = (ch->role & IPC_SEND) != 0, rc;

    own->changes = -1;
    own->watch = own->folder = -1;
    rc = ipc_channel_allocate_buffers_(ch);
    if (rc != 0)
        return rc;
    if (writes != ((ch->role & IPC_LISTEN) != 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "file: the sender makes the log: IPC_LISTEN");
    if (writes ? ch->how.offset != 0 || ch->how.mark != 0 : ch->how.sync)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "file: %s",
                                   writes ? "the sender appends: offset and mark are a receiver's"
                                          : "sync is the sender's");
    rc = ipc_channel_log_begin_(ch, deadline);
    if (rc != 0 || writes)
        return rc;
    own->changes = ipc_move_fd_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (own->changes >= 0) {
        ipc_end_last_(&own->last, own->changes);
        ipc_channel_log_watch_(ch);
    }
    return ipc_channel_log_resume_(ch);
}

/* ------------------------------------------------------------------ sending */

/* Does a record of n bytes fit below RLIMIT_FSIZE? Above it the kernel would send SIGXFSZ. The
 * limit is asked for only when the last answer seems to be met. */
IPC_INLINE int ipc_channel_log_check_limit_(struct ipc_channel *ch, size_t n)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    uint64_t end = (uint64_t)own->offset + n;
    struct rlimit limit;

    if (CK_CC_LIKELY(end <= own->limit) || getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 0;
    own->limit = (uint64_t)limit.rlim_cur;
    if (end <= own->limit)
        return 0;
    return ipc_channel_refuse_(ch, -EFBIG, "file: '%s': RLIMIT_FSIZE is %llu", ch->address,
                               (unsigned long long)limit.rlim_cur);
}

/* Goes on in the file at the path, if that is another one by now. */
IPC_INLINE int ipc_channel_log_keep_up_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int64_t now = ipc_clock();
    struct stat st;
    int rc;

    if (CK_CC_LIKELY(now < own->look))
        return 0;
    own->look = now + IPC_CHANNEL_LOOK_SENDER_;
    rc = ipc_channel_log_is_at_path_(ch, &st);
    if (rc > 0) {
        own->missing = 0;
        return 0;
    }
    if (rc == -ENOENT && fstat(ch->in, &st) == 0 && st.st_nlink > 0) {
        own->missing = own->missing != 0 ? own->missing : now;
        if (now - own->missing < IPC_CHANNEL_LOG_GRACE_)
            return 0;
    }
    own->look = 0; /* until it is there */
    return ipc_channel_log_move_(ch);
}

/* Others have written to the log, or cut it: apart from the last record it has `end` bytes, where
 * it should have `offset`. Makes it end behind its last record. */
IPC_INLINE int ipc_channel_log_mend_(struct ipc_channel *ch, int64_t end)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);

    own->lost = 1;
    if (end < 0)
        end = 0;
    if (ftruncate(ch->in, (off_t)(end < own->offset ? end : own->offset)) != 0)
        return ipc_channel_refuse_errno_(ch, "cut");
    if (end < own->offset)
        return ipc_channel_log_settle_(ch);
    own->lost = 0;
    return 0;
}

/* An id for a new file. */
IPC_INLINE uint64_t ipc_channel_log_draw_(void)
{
    uint64_t id = 0;

#ifdef SYS_getrandom
    if (syscall(SYS_getrandom, &id, sizeof id, 1 /* GRND_NONBLOCK */) != (long)sizeof id)
#endif
    {
        struct timespec now;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        id = ipc_channel_seed_((uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec,
                               (uint64_t)getpid()) ^
             (uint64_t)ipc_clock() << 20;
    }
    return id | 1;
}

/* Appends a record, the first one with the file's head. 0; -EAGAIN: the log was cut meanwhile, and
 * is mended; or as send. */
IPC_INLINE int ipc_channel_log_append_(struct ipc_channel *ch, const void *message, size_t n)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    unsigned char all[IPC_CHANNEL_LOG_HEAD_ + IPC_CHANNEL_RECORD_ + IPC_CHANNEL_SMALL_];
    unsigned char *record = all + IPC_CHANNEL_LOG_HEAD_;
    size_t skip = own->id != 0 ? IPC_CHANNEL_LOG_HEAD_ : 0, head = sizeof all - IPC_CHANNEL_SMALL_;
    size_t whole = head - skip + n;
    uint64_t id = own->id != 0 ? own->id : ipc_channel_log_draw_(), mark;
    int rc = ipc_channel_log_check_limit_(ch, whole), small = n <= IPC_CHANNEL_SMALL_, mended;
    struct iovec io[2];
    int64_t done, end;

    if (rc != 0)
        return rc;
    ipc_channel_put_log_head_(all, id);
    mark = ipc_channel_put_record_(record, id, own->id != 0 ? own->offset : IPC_CHANNEL_LOG_HEAD_,
                                   own->id != 0 ? own->mark : id, message, n);
    if (small && n > 0)
        memcpy(record + IPC_CHANNEL_RECORD_, message, n);
    io[0].iov_base = all + skip;
    io[0].iov_len = small ? whole : head - skip;
    io[1].iov_base = (void *)(uintptr_t)message;
    io[1].iov_len = n;
    do
        done = small ? write(ch->in, io[0].iov_base, whole) : writev(ch->in, io, 2);
    while (done < 0 && errno == EINTR);
    if (done != (int64_t)whole) {
        if (done >= 0)
            errno = ENOSPC; /* the disk took a part of it */
        own->limit = 0;     /* the limit may have been lowered */
        rc = ipc_channel_refuse_errno_(ch, "append to");
    }
    end = (int64_t)lseek(ch->in, 0, SEEK_END);
    if (CK_CC_LIKELY(rc == 0 && end == own->offset + (int64_t)whole)) {
        own->offset = end;
        own->id = id;
        own->mark = mark;
        return 0;
    }
    mended = ipc_channel_log_mend_(ch, end - (done > 0 ? done : 0));
    if (rc != 0)
        return rc; /* if it was not mended, the next record begins with that */
    if (mended != 0)
        return mended;
    return end < (int64_t)whole ? 0 : -EAGAIN; /* 0: it was cut off after it was there */
}

IPC_INLINE int ipc_channel_log_send_(struct ipc_channel *ch, const void *message, size_t n,
                                     int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int rc = ipc_channel_log_keep_up_(ch), tries;

    (void)deadline; /* the kernel's memory, or its disk, decides */
    if (rc == 0 && own->lost)
        rc = ipc_channel_log_settle_(ch);
    if (rc != 0)
        return rc;
    for (tries = 0; tries < 64; tries++) {
        rc = ipc_channel_log_append_(ch, message, n);
        if (CK_CC_LIKELY(rc != -EAGAIN))
            return rc;
    }
    return ipc_channel_refuse_(ch, -EBUSY, "file: other processes write to '%s'", ch->address);
}

/* ------------------------------------------------------------------ receiving */

/* Hands out the record at rx.begin, whose message has n bytes. */
IPC_INLINE int64_t ipc_channel_log_take_(struct ipc_channel *ch, void *to, size_t size, int64_t n)
{
    if ((size_t)n > size)
        return ipc_channel_refuse_size_(ch, (size_t)n, size);
    if (n > 0)
        memcpy(to, ch->rx.data + ch->rx.begin + IPC_CHANNEL_RECORD_, (size_t)n);
    ipc_channel_pass_record_(ch, n);
    ch->next = 0;
    return n;
}

/* Reads the events that have come. Those but of bytes in the open file call for a look. */
IPC_INLINE void ipc_channel_log_read_events_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    union {
        struct inotify_event event;
        char bytes[4096];
    } u;
    ssize_t n = own->changes >= 0 ? read(own->changes, &u, sizeof u) : 0, i;
    struct inotify_event e;

    for (i = 0; i < n; i += (ssize_t)(sizeof e + e.len)) {
        memcpy(&e, u.bytes + i, sizeof e);
        own->check |= e.wd != own->watch || e.mask != IN_MODIFY;
    }
}

/* Watches for the file's successor: its folder, and it itself when it is there. */
IPC_INLINE void ipc_channel_log_watch_successor_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    char path[PATH_MAX];

    if (own->changes < 0)
        return;
    if (own->folder < 0)
        own->folder = inotify_add_watch(own->changes, ipc_channel_log_folder_(ch, path),
                                        IN_CREATE | IN_MOVED_TO);
    (void)inotify_add_watch(own->changes, ch->address, IPC_CHANNEL_LOG_EVENTS_);
}

/* The file was cut: it is read from its beginning, and the caller is told. */
IPC_INLINE int ipc_channel_log_restart_(struct ipc_channel *ch)
{
    ipc_channel_log_rewind_(ch);
    return ipc_channel_refuse_(ch, -ESTALE, "file: '%s' was cut, and is read from its beginning",
                               ch->address);
}

/* Looks what became of the file. 0: it goes on; 1: there is a successor with bytes; -ESTALE: it was
 * cut, and begins anew. */
IPC_INLINE int ipc_channel_log_look_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    unsigned char hash[8];
    struct stat st;
    int cut;

    own->check = 0;
    cut = fstat(ch->in, &st) == 0 && st.st_size < own->offset;
    if (own->at != 0 && pread(ch->in, hash, sizeof hash, (off_t)own->at) == (ssize_t)sizeof hash)
        cut |= ipc_channel_get_64_(hash) != own->mark;
    if (cut)
        return ipc_channel_log_restart_(ch);
    if (ipc_channel_log_is_at_path_(ch, &st) == 1)
        return 0;
    ipc_channel_log_watch_successor_(ch);
    return ipc_channel_log_is_at_path_(ch, &st) == 0 && st.st_size > 0; /* after the watch */
}

/* Goes on in the successor, after all of the file was read. -ESTALE; 0: it is away again; or as
 * ipc_channel_open_with. */
IPC_INLINE int ipc_channel_log_go_on_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int rc = ipc_channel_log_move_(ch);

    own->unread = own->check = 1;
    if (rc != 0)
        return rc == -ETIMEDOUT ? 0 : rc;
    if (own->changes >= 0) {
        (void)inotify_rm_watch(own->changes, own->watch);
        if (own->folder >= 0)
            (void)inotify_rm_watch(own->changes, own->folder);
        own->folder = -1;
        ipc_channel_log_watch_(ch);
    }
    return ipc_channel_refuse_(ch, -ESTALE, "file: '%s' is another file now, after all of the old",
                               ch->address);
}

/* Does the receiver read at each call? One that polls, and has not asked for the descriptor, soon takes
 * the watch off: each event is work for the sender, and a read costs less than to ask for events. To
 * take it off leaves an event, which stays unread until there is a watch again: so the descriptor is
 * readable when the program asks for it, whatever was sent before. */
IPC_INLINE int ipc_channel_log_polls_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);

    if (deadline > IPC_NOW || (own->shown && own->watch >= 0)) {
        own->polls = 0;
        return 0;
    }
    if (own->watch >= 0 && ++own->polls >= IPC_CHANNEL_LOG_POLLS_) {
        (void)inotify_rm_watch(own->changes, own->watch);
        own->watch = -1;
        own->look = 0;
    }
    return own->watch < 0;
}

/* Watches the file again, which is then read again. */
IPC_INLINE void ipc_channel_log_watch_again_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);

    if (own->changes < 0 || own->watch >= 0)
        return;
    ipc_channel_log_watch_(ch);
    own->unread = own->check = 1;
}

/* Sleeps until there may be more, or it is time for a look. 0, -ETIMEDOUT or -EINTR. */
IPC_INLINE int ipc_channel_log_sleep_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int64_t until = deadline < own->look ? deadline : own->look;
    int rc;

    if (deadline > IPC_NOW && own->changes >= 0 && own->watch < 0) {
        ipc_channel_log_watch_again_(ch);
        return 0;
    }
    rc = own->watch >= 0 ? ipc_channel_wait_(own->changes, POLLIN, until)
                         : ipc_channel_nap_(deadline);
    if (rc == -EINTR || (rc == -ETIMEDOUT && until == deadline))
        return rc;
    ipc_channel_log_read_events_(ch);
    own->unread = 1;
    return 0;
}

/* The bytes in rx are no record. May they become one? A sender may have cut off a part just now, and
 * written more; or it, or the next one, is about to write a head. 0: read them again; or as recv. */
IPC_INLINE int ipc_channel_log_doubt_(struct ipc_channel *ch, int tries, int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    struct stat st;
    int rc;

    if (tries >= 3 &&
        (own->id != 0 || fstat(ch->in, &st) != 0 || !ipc_channel_log_is_headless_(ch, st.st_size)))
        return own->id == 0
                   ? ipc_channel_log_refuse_head_(ch, -EBADMSG)
                   : ipc_channel_refuse_(ch, -EBADMSG, "file: '%s' has no record at offset %lld",
                                         ch->address, (long long)own->offset);
    own->unread = 1;
    rc = ipc_channel_nap_(tries < 3 ? ipc_in_ms(1) : deadline);
    return rc == -ETIMEDOUT && tries < 3 ? 0 : rc;
}

/* The message of the record in rx is above `max`. It stays. -EMSGSIZE; -EAGAIN: not all of it is there
 * yet. */
IPC_INLINE int64_t ipc_channel_log_keep_larger_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    size_t n = ipc_channel_get_(ch->rx.data + ch->rx.begin);
    struct stat st;

    if (fstat(ch->in, &st) != 0 ||
        st.st_size < own->offset + (int64_t)(IPC_CHANNEL_RECORD_ + n))
        return -EAGAIN;
    own->unread = 1; /* the next call looks anew */
    ch->next = n;
    return ipc_channel_log_refuse_larger_(ch);
}

/* Is there a part of a record in rx, to be read on? */
IPC_INLINE int ipc_channel_log_has_part_(const struct ipc_channel *ch)
{
    return ipc_channel_get_log_(ch)->id != 0 && ch->rx.end - ch->rx.begin >= IPC_CHANNEL_RECORD_;
}

/* The record in rx was read in parts, and check_record_ gave n. May the parts be of two records? A new
 * sender may have cut the first part off and written another record, which then has another header. Or
 * what another program appended was read as a part, and the sender has written the record again. `sure`:
 * without a look while the record is not complete. The look is after the read: so what was read before it
 * is of the header that it finds. */
IPC_INLINE int ipc_channel_log_is_mixed_(const struct ipc_channel *ch, int64_t n, int sure)
{
    unsigned char header[IPC_CHANNEL_RECORD_];

    if (n == -EBADMSG)
        return 1;
    if (n < 0 && sure)
        return 0;
    return pread(ch->in, header, sizeof header, (off_t)ipc_channel_get_log_(ch)->offset) !=
               (ssize_t)sizeof header ||
           memcmp(header, ch->rx.data + ch->rx.begin, sizeof header) != 0;
}

IPC_INLINE int64_t ipc_channel_log_recv_(struct ipc_channel *ch, void *to, size_t size,
                                         int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int rc, part, tries = 0, moved = 0, polls = ipc_channel_log_polls_(ch, deadline);
    unsigned skips = 0;
    int64_t n;

    if (own->stale) {
        own->stale = 0;
        return ipc_channel_refuse_(ch, -ESTALE,
                                   "file: '%s' is not the file of offset %lld, and is read from "
                                   "its beginning",
                                   ch->address, (long long)ch->how.offset);
    }
    for (;;) {
        n = ipc_channel_check_record_(ch);
        if (n >= 0)
            return ipc_channel_log_take_(ch, to, size, n);
        if (n == -EMSGSIZE)
            own->unread = own->check = 1;
        if (ipc_clock() >= own->look) {
            own->look = ipc_in_ms(own->watch >= 0 ? 1000 : 10);
            own->unread = own->check = 1;
        }
        if (own->unread || polls) {
            part = n == -EAGAIN && ipc_channel_log_has_part_(ch);
            if (!part)
                ipc_channel_log_drop_(ch);
            n = ipc_channel_log_read_(ch);
            if (n < 0)
                return n;
            n = ipc_channel_check_record_(ch);
            if (part && ipc_channel_log_is_mixed_(ch, n, polls && !own->check)) {
                ipc_channel_log_drop_(ch);
                own->unread = 1;
                continue;
            }
            if (n >= 0)
                return ipc_channel_log_take_(ch, to, size, n);
            own->check |= own->watch >= 0;
        }
        rc = own->check || n == -EBADMSG ? ipc_channel_log_look_(ch) : 0;
        if (rc < 0)
            return rc;
        own->unread = own->check = (unsigned)rc; /* the old file is read once more */
        if (n == -EMSGSIZE && ipc_channel_log_keep_larger_(ch) == -EMSGSIZE)
            return n;
        if (rc > 0)
            rc = moved++ > 0 ? ipc_channel_log_go_on_(ch) : 0;
        else if (n == -EBADMSG && ipc_channel_has_bytes_behind_(ch))
            rc = ipc_channel_log_doubt_(ch, tries++, deadline);
        else if (ipc_channel_has_skipped_enough_(&skips, deadline))
            rc = -ETIMEDOUT; /* events without end keep no call beyond its deadline */
        else
            rc = ipc_channel_log_sleep_(ch, deadline);
        if (rc < 0)
            return rc;
    }
}

/* ------------------------------------------------------------------ what the table names */

IPC_INLINE int ipc_channel_log_descriptor_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);

    if ((ch->role & IPC_SEND) != 0)
        return ch->in;
    own->shown = 1;
    ipc_channel_log_watch_again_(ch);
    return own->changes >= 0 ? own->changes : -EOPNOTSUPP; /* a file is always readable for poll */
}

/* Has it read a record, or is it time to look? Where no event tells, are there bytes to be read? */
IPC_INLINE int ipc_channel_log_is_ready_(struct ipc_channel *ch)
{
    const struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int64_t n = ipc_channel_check_record_(ch);
    struct stat st;

    if (own->stale || own->unread || own->check || ipc_clock() >= own->look || n >= 0)
        return 1;
    return own->watch < 0 && n == -EAGAIN && fstat(ch->in, &st) == 0 &&
           st.st_size > own->offset + (int64_t)(ch->rx.end - ch->rx.begin);
}

IPC_INLINE void ipc_channel_log_describe_(const struct ipc_channel *ch,
                                          struct ipc_channel_facts *info)
{
    info->offset = ipc_channel_get_log_(ch)->offset;
    info->mark = ipc_channel_get_log_(ch)->mark;
}

/* A log is empty, or begins with a head. */
IPC_INLINE int ipc_channel_log_unlink_(struct ipc_channel *ch)
{
    unsigned char head[IPC_CHANNEL_LOG_HEAD_];
    int64_t n = ipc_channel_read_at_(ch->address, head, sizeof head, 0);

    if (n < 0)
        return (int)n;
    if (n > 0 && (n < (int64_t)sizeof head || memcmp(head, IPC_CHANNEL_LOG_MAGIC_, 8) != 0))
        return -EPROTO;
    return ipc_channel_remove_(ch->address, S_IFREG);
}

static const struct ipc_channel_kind_ ipc_channel_log_kind_ = {
    "file",
    IPC_CHANNEL_ONE_WAY_ | IPC_CHANNEL_OFFSET_ | IPC_CHANNEL_PUBLISHES_,
    sizeof(struct ipc_channel_log_),
    0,
    0,
    ipc_channel_log_open_,
    ipc_channel_log_close_,
    ipc_channel_log_unlink_,
    ipc_channel_log_send_,
    ipc_channel_log_recv_,
    NULL, /* meet: the file is the peer, and stays */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    ipc_channel_log_descriptor_,
    ipc_channel_log_describe_,
    ipc_channel_log_is_ready_,
    NULL, /* serve */
};

#endif
