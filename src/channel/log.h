/* file:. */
#ifndef IPC_SRC_CHANNEL_LOG_H
#define IPC_SRC_CHANNEL_LOG_H 1

#include "wait.h"

/* ------------------------------------------------------------------ logs */

/* Length, its check, and a hash of the bytes, as FNV-1a but by words; then the bytes. */
#define IPC_CHANNEL_RECORD_ ((size_t)16)

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

/* The record at rx.begin: its length once it is there, -EAGAIN: not all of it is, -EBADMSG. What a
 * crash of the machine leaves behind the end may be zeros. */
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

/* Is the bad record not the last? */
IPC_INLINE int ipc_channel_has_bytes_behind_(const struct ipc_channel *ch)
{
    int64_t n = ipc_channel_get_length_(ch, ch->rx.data + ch->rx.begin);

    return n < 0 || ch->rx.end - ch->rx.begin > IPC_CHANNEL_RECORD_ + (size_t)n;
}

/* Reads on behind rx. Bytes, 0 at the end, or a negative errno. */
IPC_INLINE int64_t ipc_channel_log_read_(struct ipc_channel *ch)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    size_t have = rx->end - rx->begin;
    ssize_t n;

    memmove(rx->data, rx->data + rx->begin, have);
    rx->begin = 0;
    rx->end = have;
    n = pread(ch->in, rx->data + have, rx->size - have, (off_t)(ch->offset + (int64_t)have));
    rx->end += n > 0 ? (size_t)n : 0;
    return n >= 0 ? n : -errno;
}

/* Walks over whole records; the rest is what a writer had not finished. */
IPC_INLINE int ipc_channel_log_end_(struct ipc_channel *ch)
{
    int64_t n, got = 1;

    while (got > 0) {
        while ((n = ipc_channel_check_record_(ch)) >= 0) {
            ch->rx.begin += IPC_CHANNEL_RECORD_ + (size_t)n;
            ch->offset += (int64_t)IPC_CHANNEL_RECORD_ + n;
        }
        got = ipc_channel_log_read_(ch);
    }
    ch->rx.begin = ch->rx.end = 0;
    return (int)got;
}

IPC_INLINE int ipc_channel_log_writer_(struct ipc_channel *ch, int64_t deadline)
{
    unsigned char header[IPC_CHANNEL_HEADER_];
    short type = F_WRLCK;
    struct stat st;
    ssize_t left;
    int64_t n;
    int rc, nap;

    while ((rc = ipc_shm_lock_(ch->in, F_OFD_SETLK, 0, &type)) == -EAGAIN || rc == -EACCES) {
        nap = ipc_channel_nap_(deadline);
        if (nap != 0)
            return nap == -EINTR
                       ? nap
                       : ipc_channel_refuse_(ch, -EBUSY, "file: '%s' has a writer", ch->address);
        type = F_WRLCK;
    }
    rc = rc == 0 ? ipc_channel_log_end_(ch) : rc;
    if (rc != 0)
        return ipc_channel_refuse_(ch, rc, "file: cannot lock or read '%s': %s", ch->address,
                                   strerror(-rc));
    if (fstat(ch->in, &st) != 0 || (left = pread(ch->in, header, sizeof header, ch->offset)) < 0)
        return ipc_channel_refuse_errno_(ch, "read");
    /* Cut off only what can be one unfinished record: this may be something else. */
    if (left > 0 && !(left >= (ssize_t)IPC_CHANNEL_HEADER_
                          ? (n = ipc_channel_get_length_(ch, header)) >= 0 &&
                                st.st_size - ch->offset <= n + (int64_t)IPC_CHANNEL_RECORD_
                          : ch->offset > 0))
        return ipc_channel_refuse_(ch, ch->offset > 0 ? -EBADMSG : -EPROTO,
                                   "file: '%s' has no record of ipc_channel.h at offset %lld",
                                   ch->address, (long long)ch->offset);
    return ftruncate(ch->in, (off_t)ch->offset) == 0 ? 0 : ipc_channel_refuse_errno_(ch, "cut");
}

IPC_INLINE int ipc_channel_allocate_buffers_(struct ipc_channel *ch);

IPC_INLINE int ipc_channel_log_open_(struct ipc_channel *ch, int64_t deadline)
{
    int writes = (ch->role & IPC_SEND) != 0, made, rc = ipc_channel_allocate_buffers_(ch), nap;
    struct stat st;

    if (rc != 0)
        return rc;
    if (writes != ((ch->role & IPC_LISTEN) != 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "file: who sends makes the log: IPC_LISTEN");
    made = writes && access(ch->address, F_OK) != 0;
    while (
        (ch->in = open(ch->address,
                       (writes ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                       0600)) < 0 &&
        errno == ENOENT && !writes) {
        nap = ipc_channel_nap_(deadline);
        if (nap != 0)
            return nap == -EINTR ? nap
                                 : ipc_channel_refuse_(ch, nap, "file: no '%s' until the deadline",
                                                       ch->address);
    }
    if (ch->in < 0)
        return ipc_channel_refuse_errno_(ch, "open");
    if ((made && fchmod(ch->in, ch->how.mode) != 0) || fstat(ch->in, &st) != 0)
        return ipc_channel_refuse_errno_(ch, "open");
    ch->out = ch->in;
    rc = ipc_channel_check_owner_(ch, &st, S_IFREG);
    if (rc != 0 || writes)
        return rc != 0 ? rc : ipc_channel_log_writer_(ch, deadline);
    ch->offset = ch->how.offset;
    if (ch->offset < 0) {
        ch->offset = 0;
        rc = ipc_channel_log_end_(ch);
    }
    ch->listener = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (ch->listener >= 0 &&
        inotify_add_watch(ch->listener, ch->address, IN_MODIFY | IN_CLOSE_WRITE) < 0)
        ipc_channel_close_fd_(&ch->listener); /* looks once a millisecond */
    return rc;
}

IPC_INLINE int ipc_channel_log_send_(struct ipc_channel *ch, const void *message, size_t n,
                                     int64_t deadline)
{
    unsigned char header[IPC_CHANNEL_RECORD_];
    uint64_t hash = ipc_channel_hash_((const unsigned char *)message, n);
    struct rlimit limit;
    struct iovec io[2];
    ssize_t done;

    (void)deadline; /* the kernel's memory, or its disk, decides */
    /* Beyond this limit the kernel would send SIGXFSZ. It is asked for when it seems to be met. */
    if (CK_CC_UNLIKELY((uint64_t)ch->offset + sizeof header + n > ch->limit) &&
        getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
        (uint64_t)ch->offset + sizeof header + n > (ch->limit = (uint64_t)limit.rlim_cur))
        return ipc_channel_refuse_(ch, -EFBIG, "file: '%s': RLIMIT_FSIZE is %llu", ch->address,
                                   (unsigned long long)limit.rlim_cur);
    ipc_channel_put_header_(header, n);
    ipc_channel_put_(header + 8, (uint32_t)(hash >> 32));
    ipc_channel_put_(header + 12, (uint32_t)hash);
    io[0].iov_base = header;
    io[0].iov_len = sizeof header;
    io[1].iov_base = (void *)(uintptr_t)message;
    io[1].iov_len = n;
    do
        done = pwritev(ch->in, io, 2, (off_t)ch->offset);
    while (done < 0 && errno == EINTR);
    if (done == (ssize_t)(sizeof header + n)) {
        ch->offset += done;
        return 0;
    }
    /* A full disk. The next record goes over what is there of this one. */
    if (done >= 0)
        errno = ENOSPC;
    ch->limit = 0; /* it may have been lowered */
    (void)ipc_channel_refuse_errno_(ch, "append to");
    done = -errno;
    if (ftruncate(ch->in, (off_t)ch->offset) != 0)
        return (int)done;
    return (int)done;
}

IPC_INLINE int64_t ipc_channel_log_recv_(struct ipc_channel *ch, void *to, size_t size,
                                         int64_t deadline)
{
    struct stat st;
    int64_t n, got;
    int rc, tries = 0;

    for (;;) {
        n = ipc_channel_check_record_(ch);
        if (n >= 0) {
            ch->next = (size_t)n > size ? (size_t)n : 0;
            if (ch->next != 0)
                return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %lld bytes for %zu",
                                           (long long)n, size);
            memcpy(to, ch->rx.data + ch->rx.begin + IPC_CHANNEL_RECORD_, (size_t)n);
            ch->rx.begin += IPC_CHANNEL_RECORD_ + (size_t)n;
            ch->offset += (int64_t)IPC_CHANNEL_RECORD_ + n;
            return n;
        }
        /* A part of a record is not kept: a new writer may cut it off, and write another. */
        (void)ipc_notify_empty_(ch->listener);
        ch->rx.begin = ch->rx.end = 0;
        got = ipc_channel_log_read_(ch);
        if (got < 0)
            return got;
        if (ipc_channel_check_record_(ch) >= 0)
            continue;
        if (fstat(ch->in, &st) != 0 || st.st_size < ch->offset)
            return ipc_channel_refuse_(ch, -EBADMSG,
                                       "file: '%s' has %lld bytes, fewer than were read",
                                       ch->address, (long long)st.st_size);
        /* Garbage, and not the last: no writer will cut it off. Or one has just done that. */
        if (ipc_channel_check_record_(ch) == -EBADMSG && ipc_channel_has_bytes_behind_(ch)) {
            if (tries++ == 3)
                return ipc_channel_refuse_(ch, -EBADMSG, "file: '%s' has no record at offset %lld",
                                           ch->address, (long long)ch->offset);
            if (ipc_channel_nap_(ipc_in_ms(1)) == -EINTR)
                return -EINTR;
            continue;
        }
        rc = ch->listener >= 0 ? ipc_channel_wait_(ch->listener, POLLIN, deadline)
                               : ipc_channel_nap_(deadline);
        if (rc != 0)
            return rc;
    }
}

/* A log is empty, or begins with the header of a record: of any length, as options.max may say. */
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

#endif
