/*
 * The file of a log: its head and its records; how its end is found. log.h has the manual.
 *
 * Numbers in network byte order:
 *
 *     head     "ipc-log3", id (8 bytes, drawn at random)       with the first record
 *     record   n (4), n ^ "ipc1" ^ key (4), hash (8), message (n)
 *
 * key has 16 bits of id and the record's offset, so no bytes in a message look like a record. hash
 * is that of the message, seeded with the hash before it; for the first record with id. So a hash
 * names all records up to its own, and is the `mark` of the offset behind it. Rules:
 *
 *   - A record is read only where its hash follows the hash that was read before it. A receiver
 *     never takes a record of a file that was truncated, and grown again, for its next one.
 *   - Two records in succession prove that a file's tail is in step. That is how the end of a log
 *     is found from behind.
 *   - Between calls a sender's file ends at `offset`. It is open with O_APPEND, and after each
 *     record the sender compares the file's end. What others have cut or appended is mended, then
 *     the record is written again. A sender killed in between leaves a record without a head, which
 *     is all of the file; the next sender cuts it off, as no send has returned for it.
 *   - A receiver keeps the part of a record that it has read, and reads on behind it. A new sender may
 *     cut that part off and write another record. Its hash, and so its header, is another one: the
 *     receiver compares the header after it has read on. One that polls does so when the record is
 *     complete, and every 10 ms. If the hash is wrong, it reads the record again, as a whole.
 *   - One pread of several pages may also see the old part and the new record. The hash is computed of
 *     the copy in rx, which is what recv gives. So a mixture is given only if its bytes are those that
 *     the hash in its header is of: the message of one sender, but for a chance of 2^-64. If that is the
 *     one that was cut off, whose rest happened to be equal, the file has another hash there: what
 *     follows does not fit, and the receiver is told -ESTALE. The end of a log is found by the same
 *     check, and gives no message.
 *   - A new sender cuts off the one record that its predecessor may not have finished, or zeros,
 *     which a crash of the machine may leave, and nothing else.
 */
#ifndef IPC_SRC_CHANNEL_LOG_RECORD_H
#define IPC_SRC_CHANNEL_LOG_RECORD_H 1

#include "frame.h"

/* ------------------------------------------------------------------ file: */

struct ipc_channel_log_ {
    int64_t offset; /* bytes before the next record; 0: before the head */
    uint64_t id;    /* of the head; 0 exactly while offset is 0 */
    uint64_t mark;  /* the hash before the next record, the id before the first */
    int64_t at;     /* where the file has that; 0: not known */
    size_t hashed;  /* bytes of the message at rx.begin that `hash` is of: whole pages, or all */
    uint64_t hash;
    dev_t device;   /* of the open file */
    ino_t inode;
    int64_t look;    /* when to look at the path again */
    int64_t missing; /* sender: since when nothing is at the path; 0: something is */
    uint64_t limit;  /* sender: RLIMIT_FSIZE when last asked for; 0: not yet */
    int changes;     /* receiver: inotify's descriptor, or -1 */
    struct ipc_last_ last; /* receiver: has that, too */
    int watch;       /* receiver: inotify's watch of the file; -1: none */
    int shown;       /* receiver: the program has the descriptor */
    unsigned polls;  /* receiver: calls in succession that did not sleep */
    int folder;      /* receiver: ... of its folder, when it is not at the path; else -1 */
    unsigned unread; /* receiver: there may be more behind what was read */
    unsigned check;  /* receiver: the file may have been cut or moved */
    unsigned stale;  /* receiver: the offset asked for is of another file. Not told yet */
    unsigned lost;   /* sender: what the file has is to be found out before the next record */
};

IPC_INLINE struct ipc_channel_log_ *ipc_channel_get_log_(const struct ipc_channel *ch)
{
    return (struct ipc_channel_log_ *)ch->state;
}

/* ------------------------------------------------------------------ records */

#define IPC_CHANNEL_RECORD_ IPC_CHANNEL_HEAD_MOST_ /* bytes before the message */
#define IPC_CHANNEL_LOG_HEAD_ 16
#define IPC_CHANNEL_LOG_MAGIC_ "ipc-log3"
#define IPC_CHANNEL_LOG_PAGE_ ((size_t)4096) /* bytes of a message that are hashed together */
#define IPC_CHANNEL_LOOK_SENDER_ INT64_C(10000000) /* ns between looks at the path */
#define IPC_CHANNEL_LOG_GRACE_ INT64_C(1000000000) /* ns in which another may make the file */
#define IPC_CHANNEL_LOG_POLLS_ 64 /* so many polls in succession, and the watch is taken off */
#define IPC_CHANNEL_LOG_EVENTS_ ((uint32_t)(IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF))

IPC_INLINE uint64_t ipc_channel_get_64_(const unsigned char *from)
{
    return (uint64_t)ipc_channel_get_(from) << 32 | ipc_channel_get_(from + 4);
}

IPC_INLINE void ipc_channel_put_64_(unsigned char *to, uint64_t value)
{
    ipc_channel_put_(to, (uint32_t)(value >> 32));
    ipc_channel_put_(to + 4, (uint32_t)value);
}

#define IPC_CHANNEL_ODD_ UINT64_C(0x9e3779b97f4a7c15) /* 2^64 by the golden ratio */

/* The next 8 bytes, the first one the lowest: one load where that is the processor's order. */
IPC_FORCE_INLINE uint64_t ipc_channel_hash_load_(const unsigned char *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
           (uint64_t)at[7] << 56;
}

IPC_FORCE_INLINE uint64_t ipc_channel_hash_word_(uint64_t h, uint64_t word)
{
    h = (h ^ word) * IPC_CHANNEL_ODD_;
    return h << 29 | h >> 35;
}

/* 16 bytes, with one product. */
IPC_FORCE_INLINE uint64_t ipc_channel_hash_pair_(uint64_t h, const unsigned char *at)
{
    return ipc_channel_hash_word_(h, ipc_channel_hash_load_(at)) + ipc_channel_hash_load_(at + 8);
}

/* The hash of at most IPC_CHANNEL_LOG_PAGE_ bytes. Many bytes go in eight chains, as a product has to
 * wait for the one before it. Each step has another result for another h: so two seeds never give
 * one hash. */
IPC_INLINE uint64_t ipc_channel_hash_page_(uint64_t h, const unsigned char *at, size_t n)
{
    uint64_t b = 1, c = 2, d = 3, e = 4, f = 5, g = 6, k = 7;
    unsigned char last[16] = {0};
    size_t i = 0;

    if (n >= 256) {
        for (; i + 128 <= n; i += 128) {
            h = ipc_channel_hash_pair_(h, at + i);
            b = ipc_channel_hash_pair_(b, at + i + 16);
            c = ipc_channel_hash_pair_(c, at + i + 32);
            d = ipc_channel_hash_pair_(d, at + i + 48);
            e = ipc_channel_hash_pair_(e, at + i + 64);
            f = ipc_channel_hash_pair_(f, at + i + 80);
            g = ipc_channel_hash_pair_(g, at + i + 96);
            k = ipc_channel_hash_pair_(k, at + i + 112);
        }
        h = ipc_channel_hash_word_(ipc_channel_hash_word_(h, b), c);
        h = ipc_channel_hash_word_(ipc_channel_hash_word_(h, d), e);
        h = ipc_channel_hash_word_(ipc_channel_hash_word_(h, f), g);
        h = ipc_channel_hash_word_(h, k);
    }
    for (; i + 16 <= n; i += 16)
        h = ipc_channel_hash_pair_(h, at + i);
    if (i == n)
        return h;
    memcpy(last, at + i, n - i);
    return ipc_channel_hash_pair_(h, last);
}

/* The hash in a record. */
IPC_INLINE uint64_t ipc_channel_hash_(uint64_t h, const unsigned char *at, size_t n)
{
    for (; n > IPC_CHANNEL_LOG_PAGE_; at += IPC_CHANNEL_LOG_PAGE_, n -= IPC_CHANNEL_LOG_PAGE_)
        h = ipc_channel_hash_page_(h, at, IPC_CHANNEL_LOG_PAGE_);
    return ipc_channel_hash_page_(h, at, n);
}

/* What the hash of a message of n bytes begins with. */
IPC_INLINE uint64_t ipc_channel_seed_(uint64_t mark, uint64_t n)
{
    return (mark ^ 14695981039346656037u) * 1099511628211u ^ n;
}

/* What is added to the check of the record at an offset. */
IPC_INLINE uint32_t ipc_channel_log_key_(uint64_t id, int64_t offset)
{
    uint64_t h = (id ^ (uint64_t)offset * IPC_CHANNEL_ODD_) * 1099511628211u;

    return (uint32_t)(h >> 48);
}

/* The length of the message whose record is at an offset; -EMSGSIZE: it is above `max`; -EBADMSG. */
IPC_INLINE int64_t ipc_channel_record_length_(const struct ipc_channel *ch, const unsigned char *at,
                                              int64_t offset)
{
    uint32_t n = ipc_channel_get_(at), key = ipc_channel_get_(at + 4) ^ n ^ IPC_CHANNEL_CHECK_;

    if (key >> 16 != 0 || n > UINT32_MAX / 2) /* nearly all of what is no record */
        return -EBADMSG;
    if (key != ipc_channel_log_key_(ipc_channel_get_log_(ch)->id, offset))
        return -EBADMSG;
    return n <= ch->max ? (int64_t)n : -EMSGSIZE;
}

/* Keeps a sentence about the record in rx, whose message is above `max`. */
IPC_INLINE int ipc_channel_log_refuse_larger_(struct ipc_channel *ch)
{
    return ipc_channel_refuse_(ch, -EMSGSIZE,
                               "file: '%s' has a message of %lu bytes at offset %lld: options.max "
                               "is %zu here",
                               ch->address,
                               (unsigned long)ipc_channel_get_(ch->rx.data + ch->rx.begin),
                               (long long)ipc_channel_get_log_(ch)->offset, ch->max);
}

/* Keeps a sentence about a file that does not begin as a log. */
IPC_INLINE int ipc_channel_log_refuse_head_(struct ipc_channel *ch, int rc)
{
    return ipc_channel_refuse_(ch, rc,
                               "file: '%s' does not begin with " IPC_CHANNEL_LOG_MAGIC_
                               ": it is no log, or one of another version of ipc_channel.h",
                               ch->address);
}

/* Writes the head of a file. */
IPC_INLINE void ipc_channel_put_log_head_(unsigned char *to, uint64_t id)
{
    memcpy(to, IPC_CHANNEL_LOG_MAGIC_, 8);
    ipc_channel_put_64_(to + 8, id);
}

/* Writes the header of a record, after the hash `mark`. Returns its own hash. */
IPC_INLINE uint64_t ipc_channel_put_record_(unsigned char *to, uint64_t id, int64_t offset,
                                            uint64_t mark, const void *message, size_t n)
{
    uint32_t key = ipc_channel_log_key_(id, offset);
    uint64_t hash =
        ipc_channel_hash_(ipc_channel_seed_(mark, n), (const unsigned char *)message, n);

    ipc_channel_put_(to, (uint32_t)n);
    ipc_channel_put_(to + 4, (uint32_t)n ^ IPC_CHANNEL_CHECK_ ^ key);
    ipc_channel_put_64_(to + 8, hash);
    return hash;
}

/* Forgets the bytes in rx. */
IPC_INLINE void ipc_channel_log_drop_(struct ipc_channel *ch)
{
    ch->rx.begin = ch->rx.end = 0;
    ipc_channel_get_log_(ch)->hashed = 0;
}

/* Forgets what was read of the file: it is before its head. */
IPC_INLINE void ipc_channel_log_rewind_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);

    own->offset = own->at = 0;
    own->id = own->mark = 0;
    own->unread = own->check = 1;
    ipc_channel_log_drop_(ch);
    ch->next = 0;
}

/* Is this the head of a log? Then the next record is the first one. 0; -EAGAIN: these `have` bytes
 * may become one; -EBADMSG. */
IPC_INLINE int ipc_channel_log_take_head_(struct ipc_channel *ch, const unsigned char *at,
                                          size_t have)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);

    if (have > 0 && memcmp(at, IPC_CHANNEL_LOG_MAGIC_, have < 8 ? have : 8) != 0)
        return -EBADMSG;
    if (have < IPC_CHANNEL_LOG_HEAD_)
        return -EAGAIN;
    own->id = own->mark = ipc_channel_get_64_(at + 8);
    if (own->id == 0)
        return -EBADMSG;
    own->at = 8;
    own->offset = IPC_CHANNEL_LOG_HEAD_;
    return 0;
}

/* Checks the record at rx.begin. The message's length; -EAGAIN: not all of the record is in rx;
 * -EMSGSIZE: its message is above `max`; -EBADMSG: this is no record, or none that follows the one
 * before. */
IPC_INLINE int64_t ipc_channel_check_record_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    const unsigned char *at = ch->rx.data + ch->rx.begin;
    size_t have = ch->rx.end - ch->rx.begin, all, some;
    int64_t n;

    if (own->id == 0) {
        int rc = ipc_channel_log_take_head_(ch, at, have);

        if (rc != 0)
            return rc;
        ch->rx.begin += IPC_CHANNEL_LOG_HEAD_;
        have -= IPC_CHANNEL_LOG_HEAD_;
        at += IPC_CHANNEL_LOG_HEAD_;
    }
    if (have < IPC_CHANNEL_RECORD_)
        return -EAGAIN;
    n = ipc_channel_record_length_(ch, at, own->offset);
    if (n < 0)
        return n;
    all = (size_t)n;
    some = have - IPC_CHANNEL_RECORD_;
    some = some < all ? some - some % IPC_CHANNEL_LOG_PAGE_ : all;
    if (own->hashed == 0)
        own->hash = ipc_channel_seed_(own->mark, all);
    own->hash =
        ipc_channel_hash_(own->hash, at + IPC_CHANNEL_RECORD_ + own->hashed, some - own->hashed);
    own->hashed = some;
    if (have - IPC_CHANNEL_RECORD_ < all)
        return -EAGAIN;
    return own->hash == ipc_channel_get_64_(at + 8) ? n : -EBADMSG;
}

/* Are there bytes behind the bad record in rx? A length that is bad counts as yes. */
IPC_INLINE int ipc_channel_has_bytes_behind_(const struct ipc_channel *ch)
{
    const struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int64_t n = ipc_channel_record_length_(ch, ch->rx.data + ch->rx.begin, own->offset);

    return own->id == 0 || n < 0 || ch->rx.end - ch->rx.begin > IPC_CHANNEL_RECORD_ + (size_t)n;
}

/* Steps over the record at rx.begin, whose message has n bytes. */
IPC_INLINE void ipc_channel_pass_record_(struct ipc_channel *ch, int64_t n)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);

    own->mark = ipc_channel_get_64_(ch->rx.data + ch->rx.begin + 8);
    own->at = own->offset + 8;
    own->offset += (int64_t)IPC_CHANNEL_RECORD_ + n;
    own->hashed = 0;
    ch->rx.begin += IPC_CHANNEL_RECORD_ + (size_t)n;
}

/* Reads more bytes behind those in rx. Bytes, 0 at the end of the file, or a negative errno. */
IPC_INLINE int64_t ipc_channel_log_read_(struct ipc_channel *ch)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    struct ipc_channel_bytes_ *rx = &ch->rx;
    size_t have = rx->end - rx->begin, room = rx->size - have;
    ssize_t n;

    if (rx->begin != 0)
        memmove(rx->data, rx->data + rx->begin, have);
    rx->begin = 0;
    rx->end = have;
    n = pread(ch->in, rx->data + have, room, (off_t)(own->offset + (int64_t)have));
    rx->end += n > 0 ? (size_t)n : 0;
    own->unread = n == (ssize_t)room;
    return n >= 0 ? n : -errno;
}

/* ------------------------------------------------------------------ the end of a log */

/* Is the record at an offset whole before `limit`, and does its hash follow `mark`? It reads *budget
 * bytes at most, and takes off what it has read: a hostile log may have a large record that begins
 * nowhere, and thousands that seem to be followed by it. */
IPC_INLINE int ipc_channel_log_follows_(const struct ipc_channel *ch, int64_t offset, int64_t limit,
                                        uint64_t mark, int64_t *budget)
{
    unsigned char header[IPC_CHANNEL_RECORD_], some[IPC_CHANNEL_LOG_PAGE_];
    int64_t n, done;
    uint64_t hash;

    *budget -= (int64_t)sizeof header;
    if (*budget < 0 ||
        pread(ch->in, header, sizeof header, (off_t)offset) != (ssize_t)sizeof header)
        return 0;
    n = ipc_channel_record_length_(ch, header, offset);
    offset += (int64_t)sizeof header;
    if (n < 0 || offset + n > limit || n > *budget)
        return 0;
    *budget -= n;
    hash = ipc_channel_seed_(mark, (uint64_t)n);
    for (done = 0; done < n; done += (int64_t)sizeof some) {
        size_t part = n - done < (int64_t)sizeof some ? (size_t)(n - done) : sizeof some;

        if (pread(ch->in, some, part, (off_t)(offset + done)) != (ssize_t)part)
            return 0;
        hash = ipc_channel_hash_(hash, some, part);
    }
    return hash == ipc_channel_get_64_(header + 8);
}

/* Looks for a record that begins in [from, to) and is followed by another one before `limit`. Then
 * that one is the next to be read. to - from is at most IPC_CHANNEL_GULP_. */
IPC_INLINE int ipc_channel_log_fall_in_(struct ipc_channel *ch, int64_t from, int64_t to,
                                        int64_t limit, int64_t *budget)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    ssize_t have =
        pread(ch->in, ch->rx.data, (size_t)(to - from) + IPC_CHANNEL_RECORD_, (off_t)from);
    ssize_t i;

    for (i = 0; i + (ssize_t)IPC_CHANNEL_RECORD_ <= have; i++) {
        const unsigned char *at = ch->rx.data + i;
        int64_t n = ipc_channel_record_length_(ch, at, from + i);
        int64_t next = from + i + (int64_t)IPC_CHANNEL_RECORD_ + n;

        if (n >= 0 &&
            ipc_channel_log_follows_(ch, next, limit, ipc_channel_get_64_(at + 8), budget)) {
            own->offset = next;
            own->at = from + i + 8;
            own->mark = ipc_channel_get_64_(at + 8);
            return 1;
        }
    }
    return 0;
}

/* Steps behind the last record that is whole before `limit`, or a bad one. A file without bytes,
 * or with a part of a head, has its end at 0. 0; -EPROTO: the file is no log; -EBADMSG: no record
 * is near there; -EMSGSIZE: one near there is above `max`; or what pread says. */
IPC_INLINE int ipc_channel_log_find_end_(struct ipc_channel *ch, int64_t limit)
{
    struct ipc_channel_log_ *own = ipc_channel_get_log_(ch);
    int64_t first = IPC_CHANNEL_LOG_HEAD_, from, n = 0, got = 1;
    int64_t budget = 3 * (int64_t)(ch->max + IPC_CHANNEL_RECORD_), floor = limit - budget;
    unsigned char head[IPC_CHANNEL_LOG_HEAD_];
    ssize_t have = pread(ch->in, head, sizeof head, 0);
    int rc, found = 0;

    ipc_channel_log_rewind_(ch);
    if (have < 0)
        return -errno;
    rc = ipc_channel_log_take_head_(ch, head, (size_t)have);
    if (rc != 0)
        return rc == -EAGAIN ? 0 : -EPROTO;
    for (from = limit; !found && from > floor && from > first;) {
        int64_t to = from;

        from -= (int64_t)IPC_CHANNEL_GULP_;
        found = from > first && ipc_channel_log_fall_in_(ch, from, to, limit, &budget);
    }
    if (!found && from > first)
        return -EBADMSG;
    while (rc == 0 && got > 0 && own->offset < limit) {
        while (own->offset < limit && (n = ipc_channel_check_record_(ch)) >= 0)
            ipc_channel_pass_record_(ch, n);
        if (n == -EMSGSIZE)
            rc = ipc_channel_log_refuse_larger_(ch);
        else
            got = ipc_channel_log_read_(ch);
    }
    ipc_channel_log_drop_(ch);
    own->unread = 1;
    return got < 0 ? (int)got : rc;
}

#endif
