/*
 * file:PATH, a log: one process appends, any number of processes follow, now or later.
 *
 * The sender is the listener: it makes the file, and holds an open file description lock on it.
 * Receivers wait for the file and start at options.offset. At the end they sleep on inotify; where
 * there is no inotify they look once a millisecond. ipc_channel_info tells the offset of the next
 * message, from which a receiver may resume.
 *
 * A record is a frame's header, a hash of the message, and the message. A new sender cuts off the
 * one record that its predecessor may not have finished, and nothing else. Numbers are in network
 * byte order.
 *
 *   Access   Each process that the file's mode permits. The file of a user other than this one,
 *            root and options.user is refused. While the sender lives, a second one is refused:
 *            -EBUSY.
 *   Loss     No call reports it.
 *   Limits   The disk, and RLIMIT_FSIZE: a host that lowers it below the size of its open log gets
 *            SIGXFSZ. A log outlives its processes, and survives the machine's restart as far as
 *            its file system does.
 */
#ifndef IPC_SRC_CHANNEL_LOG_H
#define IPC_SRC_CHANNEL_LOG_H 1

#include "frame.h"

/* ------------------------------------------------------------------ file: */

struct ipc_channel_log_ {
    int64_t offset; /* bytes before the next record */
    uint64_t limit; /* sender: RLIMIT_FSIZE when last asked for; 0: not yet */
    int changes;    /* receiver: inotify's descriptor, or -1 */
};

IPC_INLINE struct ipc_channel_log_ *ipc_channel_get_log_(const struct ipc_channel *ch)
{
    return (struct ipc_channel_log_ *)ch->state;
}

/* ------------------------------------------------------------------ records */

#define IPC_CHANNEL_RECORD_ IPC_CHANNEL_HEAD_MOST_ /* bytes before the message */

/* The hash in a record: FNV-1a, but by words of 8 bytes. */
IPC_INLINE uint64_t ipc_channel_hash_(const unsigned char *at, size_t n)
{
    uint64_t h = 14695981039346656037u ^ n, word;
    unsigned char last[8] = {0};
    size_t i;

    for (i = 0; i < n; i += 8) {
        const unsigned char *b = at + i;

        if (n - i < 8)
            b = (const unsigned char *)memcpy(last, b, n - i);
        word = (uint64_t)ipc_channel_get_(b) << 32 | ipc_channel_get_(b + 4);
        h = (h ^ word) * 1099511628211u;
        h ^= h >> 29;
    }
    return h;
}

/* Checks the record at rx.begin. The message's length; -EAGAIN: not all of the record is in rx;
 * -EBADMSG: this is no record. Zeros, which a crash of the machine may leave behind the end, have
 * no valid header. */
IPC_INLINE int64_t ipc_channel_check_record_(const struct ipc_channel *ch)
{
    const unsigned char *at = ch->rx.data + ch->rx.begin;
    size_t have = ch->rx.end - ch->rx.begin;
    uint64_t hash;
    int64_t n;

    if (have < IPC_CHANNEL_RECORD_)
        return -EAGAIN;
    n = ipc_channel_get_length_(ch, at);
    if (n < 0 || have - IPC_CHANNEL_RECORD_ < (size_t)n)
        return n < 0 ? n : -EAGAIN;
    hash = (uint64_t)ipc_channel_get_(at + 8) << 32 | ipc_channel_get_(at + 12);
    return hash == ipc_channel_hash_(at + IPC_CHANNEL_RECORD_, (size_t)n) ? n : -EBADMSG;
}

/* Are there bytes behind the bad record in rx? A length that is bad counts as yes. */
IPC_INLINE int ipc_channel_has_bytes_behind_(const struct ipc_channel *ch)
{
    int64_t n = ipc_channel_get_length_(ch, ch->rx.data + ch->rx.begin);

    return n < 0 || ch->rx.end - ch->rx.begin > IPC_CHANNEL_RECORD_ + (size_t)n;
}

/* Steps over the record at rx.begin, whose message has n bytes. */
IPC_INLINE void ipc_channel_pass_record_(struct ipc_channel *ch, int64_t n)
{
    ch->rx.begin += IPC_CHANNEL_RECORD_ + (size_t)n;
    ipc_channel_get_log_(ch)->offset += (int64_t)IPC_CHANNEL_RECORD_ + n;
}

/* Reads more bytes behind those in rx. Bytes, 0 at the end of the file, or a negative errno. */
IPC_INLINE int64_t ipc_channel_log_read_(struct ipc_channel *ch)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    size_t have = rx->end - rx->begin;
    int64_t from = ipc_channel_get_log_(ch)->offset + (int64_t)have;
    ssize_t n;

    memmove(rx->data, rx->data + rx->begin, have);
    rx->begin = 0;
    rx->end = have;
    n = pread(ch->in, rx->data + have, rx->size - have, (off_t)from);
    rx->end += n > 0 ? (size_t)n : 0;
    return n >= 0 ? n : -errno;
}

/* Steps over all whole records from `offset` on. */
IPC_INLINE int ipc_channel_log_find_end_(struct ipc_channel *ch)
{
    int64_t n, got = 1;

    while (got > 0) {
        while ((n = ipc_channel_check_record_(ch)) >= 0)
            ipc_channel_pass_record_(ch, n);
        got = ipc_channel_log_read_(ch);
    }
    ch->rx.begin = ch->rx.end = 0;
    return (int)got;
}

/* ------------------------------------------------------------------ opening */

/* May the last `left` bytes of the file be one record that was not finished? The first of them are
 * in header[0..have). Else the file is damaged, or something other than a log. */
IPC_INLINE int ipc_channel_may_be_unfinished_(const struct ipc_channel *ch,
                                              const unsigned char *header, ssize_t have,
                                              int64_t left)
{
    int64_t n;

    if (have < (ssize_t)IPC_CHANNEL_HEADER_)
        return ipc_channel_get_log_(ch)->offset > 0;
    n = ipc_channel_get_length_(ch, header);
    return n >= 0 && left <= n + (int64_t)IPC_CHANNEL_RECORD_;
}

/* Locks the log for this sender, and cuts off what its predecessor has not finished. */
IPC_INLINE int ipc_channel_log_lock_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    unsigned char header[IPC_CHANNEL_HEADER_];
    short type = F_WRLCK;
    struct stat st;
    ssize_t have;
    int rc, nap;

    while ((rc = ipc_shm_lock_(ch->in, F_OFD_SETLK, 0, &type)) == -EAGAIN || rc == -EACCES) {
        nap = ipc_channel_nap_(deadline);
        if (nap == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, -EBUSY, "file: '%s' has a writer", ch->address);
        if (nap != 0)
            return nap;
        type = F_WRLCK;
    }
    if (rc == 0)
        rc = ipc_channel_log_find_end_(ch);
    if (rc != 0)
        return ipc_channel_refuse_(ch, rc, "file: cannot lock or read '%s': %s", ch->address,
                                   strerror(-rc));
    if (fstat(ch->in, &st) != 0 || (have = pread(ch->in, header, sizeof header, own->offset)) < 0)
        return ipc_channel_refuse_errno_(ch, "read");
    if (have > 0 && !ipc_channel_may_be_unfinished_(ch, header, have, st.st_size - own->offset))
        return ipc_channel_refuse_(ch, own->offset > 0 ? -EBADMSG : -EPROTO,
                                   "file: '%s' has no record of ipc_channel.h at offset %lld",
                                   ch->address, (long long)own->offset);
    return ftruncate(ch->in, (off_t)own->offset) == 0 ? 0 : ipc_channel_refuse_errno_(ch, "cut");
}

/* Opens the file to ch->in. A sender makes it, a receiver waits for it. */
IPC_INLINE int ipc_channel_log_open_file_(struct ipc_channel *ch, int64_t deadline)
{
    int writes = (ch->role & IPC_SEND) != 0, nap;
    int made = writes && access(ch->address, F_OK) != 0;
    int flags = (writes ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

    while ((ch->in = open(ch->address, flags, 0600)) < 0 && errno == ENOENT && !writes) {
        nap = ipc_channel_nap_(deadline);
        if (nap == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, nap, "file: no '%s' until the deadline", ch->address);
        if (nap != 0)
            return nap;
    }
    if (ch->in < 0 || (made && fchmod(ch->in, ch->how.mode) != 0))
        return ipc_channel_refuse_errno_(ch, "open");
    return 0;
}

IPC_INLINE int ipc_channel_log_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int writes = (ch->role & IPC_SEND) != 0, rc;
    struct stat st;

    own->changes = -1;
    rc = ipc_channel_allocate_buffers_(ch);
    if (rc != 0)
        return rc;
    if (writes != ((ch->role & IPC_LISTEN) != 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "file: the sender makes the log: IPC_LISTEN");
    rc = ipc_channel_log_open_file_(ch, deadline);
    if (rc != 0)
        return rc;
    ch->out = ch->in;
    if (fstat(ch->in, &st) != 0)
        return ipc_channel_refuse_errno_(ch, "open");
    rc = ipc_channel_check_owner_(ch, &st, S_IFREG);
    if (rc != 0)
        return rc;
    if (writes)
        return ipc_channel_log_lock_(ch, deadline);
    own->offset = ch->how.offset;
    if (own->offset < 0) {
        own->offset = 0;
        rc = ipc_channel_log_find_end_(ch);
    }
    own->changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (own->changes >= 0 &&
        inotify_add_watch(own->changes, ch->address, IN_MODIFY | IN_CLOSE_WRITE) < 0)
        ipc_channel_close_fd_(&own->changes);
    return rc;
}

IPC_INLINE void ipc_channel_log_close_(struct ipc_channel *ch)
{
    ipc_channel_close_fd_(&ipc_channel_get_log_(ch)->changes);
}

/* ------------------------------------------------------------------ sending and receiving */

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

IPC_INLINE int ipc_channel_log_send_(struct ipc_channel *ch, const void *message, size_t n,
                                     int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    unsigned char header[IPC_CHANNEL_RECORD_];
    uint64_t hash = ipc_channel_hash_((const unsigned char *)message, n);
    int rc = ipc_channel_log_check_limit_(ch, sizeof header + n);
    struct iovec io[2];
    ssize_t done;

    (void)deadline; /* the kernel's memory, or its disk, decides */
    if (rc != 0)
        return rc;
    ipc_channel_put_header_(header, n);
    ipc_channel_put_(header + 8, (uint32_t)(hash >> 32));
    ipc_channel_put_(header + 12, (uint32_t)hash);
    io[0].iov_base = header;
    io[0].iov_len = sizeof header;
    io[1].iov_base = (void *)(uintptr_t)message;
    io[1].iov_len = n;
    do
        done = pwritev(ch->in, io, 2, (off_t)own->offset);
    while (done < 0 && errno == EINTR);
    if (done == (ssize_t)(sizeof header + n)) {
        own->offset += done;
        return 0;
    }
    if (done >= 0)
        errno = ENOSPC; /* the disk took a part of it */
    own->limit = 0;     /* the limit may have been lowered */
    rc = ipc_channel_refuse_errno_(ch, "append to");
    if (ftruncate(ch->in, (off_t)own->offset) != 0)
        return rc; /* the next record goes over what is there of this one */
    return rc;
}

/* Hands out the record at rx.begin, whose message has n bytes. */
IPC_INLINE int64_t ipc_channel_log_take_(struct ipc_channel *ch, void *to, size_t size, int64_t n)
{
    if ((size_t)n > size)
        return ipc_channel_refuse_size_(ch, (size_t)n, size);
    memcpy(to, ch->rx.data + ch->rx.begin + IPC_CHANNEL_RECORD_, (size_t)n);
    ipc_channel_pass_record_(ch, n);
    ch->next = 0;
    return n;
}

IPC_INLINE int64_t ipc_channel_log_recv_(struct ipc_channel *ch, void *to, size_t size,
                                         int64_t deadline)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    struct stat st;
    int64_t n, got;
    int rc, tries = 0;

    for (;;) {
        n = ipc_channel_check_record_(ch);
        if (n >= 0)
            return ipc_channel_log_take_(ch, to, size, n);
        /* A part of a record is read again: a new sender may cut it off, and write another. */
        (void)ipc_notify_empty_(own->changes);
        ch->rx.begin = ch->rx.end = 0;
        got = ipc_channel_log_read_(ch);
        if (got < 0)
            return got;
        n = ipc_channel_check_record_(ch);
        if (n >= 0)
            continue;
        if (fstat(ch->in, &st) != 0 || st.st_size < own->offset)
            return ipc_channel_refuse_(ch, -EBADMSG,
                                       "file: '%s' has %lld bytes, fewer than were read",
                                       ch->address, (long long)st.st_size);
        if (n == -EBADMSG && ipc_channel_has_bytes_behind_(ch)) {
            /* No sender will cut that off. Or one has just cut off a part, and written more. */
            if (tries++ == 3)
                return ipc_channel_refuse_(ch, -EBADMSG, "file: '%s' has no record at offset %lld",
                                           ch->address, (long long)own->offset);
            if (ipc_channel_nap_(ipc_in_ms(1)) == -EINTR)
                return -EINTR;
            continue;
        }
        rc = own->changes >= 0 ? ipc_channel_wait_(own->changes, POLLIN, deadline)
                               : ipc_channel_nap_(deadline);
        if (rc != 0)
            return rc;
    }
}

/* ------------------------------------------------------------------ what the table names */

IPC_INLINE int ipc_channel_log_descriptor_(struct ipc_channel *ch)
{
    int changes = ipc_channel_get_log_(ch)->changes;

    return changes >= 0 ? changes : ch->in;
}

IPC_INLINE void ipc_channel_log_describe_(const struct ipc_channel *ch,
                                          struct ipc_channel_facts *info)
{
    info->offset = ipc_channel_get_log_(ch)->offset;
}

/* A log is empty, or begins with the header of a record, of any length that options.max may say. */
IPC_INLINE int ipc_channel_log_unlink_(struct ipc_channel *ch)
{
    unsigned char header[IPC_CHANNEL_HEADER_];
    int64_t n = ipc_channel_read_at_(ch->address, header, sizeof header, 0);

    ch->max = UINT32_MAX / 2;
    if (n < 0)
        return (int)n;
    if (n > 0 && (n < (int64_t)sizeof header || ipc_channel_get_length_(ch, header) < 0))
        return -EPROTO;
    return ipc_channel_remove_(ch->address, S_IFREG);
}

static const struct ipc_channel_kind_ ipc_channel_log_kind_ = {
    "file",
    IPC_CHANNEL_ONE_WAY_ | IPC_CHANNEL_OFFSET_,
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
};

#endif
