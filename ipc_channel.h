/* Made by tools/amalgamate. Change these files, not this one: src/ipc_channel.h
 * src/common/version.h src/channel/core.h src/channel/wait.h src/channel/frame.h
 * src/channel/pipe.h src/channel/socket.h src/channel/packet.h src/channel/mq.h
 * src/channel/sysv.h src/channel/log.h src/channel/signal.h src/channel/ring.h
 * src/channel/sysvshm.h src/channel/auto.h src/channel/open.h src/channel/io.h */
/*
 * ipc_channel.h - one call over every mechanism: messages over rings, pipes, queues, sockets,
 * files.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * A channel is opened by a URI, and then messages go in and come out whole, with deadlines and
 * reasons that are the same over all of them. Needs Linux, ipc_notify.h, ipc_ring.h and ipc_shm.h,
 * Concurrency Kit (libck-dev) and libc; C99 to C23, C++11 to C++23. With glibc before 2.34 link
 * with -pthread -lrt.
 *
 *     #include "ipc_channel.h"
 *
 *     struct ipc_channel ch;                                       // one program
 *     int rc = ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, ipc_in_ms(1000));
 *     if (rc)
 *         errx(1, "%s", ipc_channel_why(&ch));
 *     rc = ipc_channel_send(&ch, text, strlen(text), IPC_FOREVER);
 *
 *     ipc_channel_open(&ch, uri, IPC_RECV, ipc_in_ms(1000));       // another
 *     while ((n = ipc_channel_recv(&ch, buf, sizeof buf, ipc_in_ms(100))) >= 0)
 *         handle(buf, n);                                          // n < 0: -ETIMEDOUT, ...
 *
 *     auto:NAME          a Unix socket that becomes a ring where both sides can
 *     ring:NAME          rings of ipc_ring.h in the segment NAME of ipc_shm.h: records, from one
 *                        sender or several; or slots that several receivers share
 *     sysvshm:KEY        a ring in a System V segment, woken by System V semaphores
 *     pipe:              anonymous pipes between parent and child: open, fork, use in both
 *     fifo:PATH          a named pipe; any number of senders
 *     unix:PATH          Unix socket, a stream; unix:@NAME is in the abstract namespace
 *     unix-seq:PATH      ... with packets; unix-dgram:PATH with datagrams
 *     tcp:HOST:PORT      IPv4 and IPv6: tcp:127.0.0.1:9000, tcp:[::1]:9000, to listen tcp:*:9000
 *     udp:HOST:PORT      may lose, double and disorder messages
 *     mq:NAME            POSIX message queue: priorities
 *     sysv:KEY           System V message queue: types, and receiving by type; KEY is a number
 *     file:PATH          a log: appended to by one, followed by any number; survives restarts
 *     signal:PID         real-time signals with up to 8 bytes
 *
 * Contract
 *   - IPC_LISTEN is said by exactly one side: the one that is found. It makes the FIFO, queue or
 *     log, or listens at the address; the other waits for that until the deadline of its open.
 *     So either side may be started first.
 *   - A message comes out as it went in, at any length from 0 to `max` of ipc_channel_info, or
 *     not at all: one that is too large is refused with -EMSGSIZE and nothing is sent; one that
 *     is too large for the receiver's buffer stays, and a larger buffer gets it.
 *   - Messages arrive once and in order (but udp:, and priorities and types of queues).
 *   - Every call ends at its deadline, whoever is stopped or killed. A message that was begun
 *     when the deadline came counts as sent: the rest of it is kept, and goes out first with the
 *     next send, recv or ipc_channel_flush.
 *   - That the other side is gone is told once, after all that it sent was received: -EPIPE, or
 *     -EOWNERDEAD where it is known to have died in the middle (auto: always -EPIPE, whichever it
 *     became). The next call waits for a successor: a listener for the next peer, the other side
 *     for the next listener. Where there can be none, behind pipe: and ipc_channel_accept, it is
 *     told again.
 *   - What a mechanism cannot do is refused by open: -EOPNOTSUPP.
 *   - What comes from the other side is not trusted: lengths are checked, garbage is -EBADMSG,
 *     and its sender is left. Unix sockets talk to this user, root, and whom the options name,
 *     only.
 *   - No signal reaches the host, not SIGPIPE either, and none of its settings are changed.
 *   - A handle is for one thread at a time. After fork one of the two processes may go on using
 *     it (pipe: both, each its end).
 *
 * Caveats
 *   - recv takes in more than one message at once where it can, so the descriptor of an event
 *     loop tells of new ones only. Fix: recv with IPC_NOW until -ETIMEDOUT, then poll
 *     ipc_channel_fd.
 *   - Writing to a pipe or FIFO without a signal costs a fifth of its rate at 8 to 1024 bytes.
 *     Fix: a host that ignores SIGPIPE when it opens the channel, and as long as it is open,
 *     pays nothing.
 *   - What a deadline has cut off goes out with calls on this channel only, and close does not wait
 *     for it. Fix: ipc_channel_flush; in an event loop poll for writing, too, while `pending` of
 *     ipc_channel_info is not 0, and flush then.
 *   - Senders that share a FIFO, or a pipe after several forks, must keep to PIPE_BUF - 8 bytes
 *     (4088): longer messages may be mixed up with others'. Fix: unix:.
 *   - Queues, logs, datagrams and signals cannot tell that the other side is gone. Fix: a
 *     deadline.
 *   - Rings keep what is sent while nobody is there, or to one who was killed, until they are
 *     full; only then, or when he has left, is the sender told. A successor gets it, and may see
 *     again what a killed receiver had: an eighth of the ring at most. Fix: answers, in both
 *     directions.
 *   - Receivers that share a ring (options.receivers) each get what the others do not; a message
 *     that one was killed with in recv, another gets, later than its turn. Its senders are told of
 *     no receiver's end, and several senders' end is not told either. Fix: deadlines.
 *   - auto: agrees with the first call of both sides, so both must be in one.
 *   - A killed peer is -EOWNERDEAD over ring: and sysvshm:, -EPIPE over the others: there nobody
 *     tells killed from closed.
 *   - Over ring: and sysvshm: a call with IPC_NOW learns that the other side has left, but does not
 *     ask the kernel whether it was killed. Fix: now and then a call that may wait a moment.
 *   - A host that lowers RLIMIT_FSIZE below what its open log has already gets SIGXFSZ. Fix: lower
 *     it before.
 *   - FIFOs, queues and logs outlive their processes. Fix: ipc_channel_unlink when the work is
 *     done.
 *   - The kernel has limits: 10 messages of 8 KiB in a POSIX queue, 16 KiB in a System V queue,
 *     some 200 KB for packets and datagrams (10 of them on the way), 64 KB less headers for UDP.
 *     open or send says which was met. Fix: sysctl fs.mqueue.*, kernel.msg*, net.core.wmem_max.
 *   - System V queues cannot be waited for with a deadline: with one that is neither IPC_NOW nor
 *     IPC_FOREVER the call looks once a millisecond; and there is no descriptor. Fix: mq:.
 *   - ring: and sysvshm: have no descriptor for event loops: one that wakes must be handed over by
 *     a socket. Fix: auto:.
 *   - A host that vanishes without a word is not noticed by tcp:, only by deadlines.
 *   - tcp: looks names up, which may take as long as DNS does. Fix: numeric addresses.
 *   - Signals of one number do not coalesce, but the queue of a user is short: `ulimit -i`. The
 *     receiver must block the signal in all threads before it opens the channel.
 *
 * How it works
 *   Byte streams carry frames: length, its check, the message. The receiver reads as much as
 *   there is into a buffer of its own, and large messages straight to where the caller wants
 *   them: after a large one it expects another of that length. Frames and the log's records are
 *   in network byte order, so both may be read on any machine.
 *
 *   A frame of the log has a hash of its bytes besides. The writer has an open file description
 *   lock on the log; a new one cuts off what its predecessor had not finished. Readers look at
 *   the end for a whole record, and sleep on inotify.
 *
 *   A ring has a lane of records for each direction, "to" and "from" the listener. Where several
 *   receive it is one ring of slots, MPMC or SPMC, each for the largest message. send and recv
 *   over records are the ring's own push and pop, in line. For one sender and one receiver there
 *   are no slots: they have one length, are 1.4 times as fast at 8 bytes, and equal from 56 bytes
 *   on; who needs that takes IPC_SPSC of ipc_ring.h. auto: begins on the socket: offer, answer
 *   with a sealed segment and the bells' descriptors, choice. The socket stays open beside the
 *   ring; with the bell it is what ipc_channel_fd gives.
 *
 *   Writing to a pipe raises no signal by RWF_NOSIGNAL (Linux 6.18); before that SIGPIPE is
 *   blocked in this thread for the time of the write, and taken away if the write has raised it.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H 1

/* >>version  src/common/version.h */
/* The version of all four headers, which must be the same, and not that of what is in memory:
 * IPC_RING_LAYOUT and IPC_SHM_LAYOUT. */
#if defined(IPC_RING_VERSION_NUMBER) && IPC_RING_VERSION_NUMBER != 900
#error "two ipc_*.h of different versions: copy all of them from one release"
#endif
#ifndef IPC_RING_VERSION
#define IPC_RING_VERSION "0.9.0"
#define IPC_RING_VERSION_MAJOR 0
#define IPC_RING_VERSION_MINOR 9
#define IPC_RING_VERSION_PATCH 0
#define IPC_RING_VERSION_NUMBER 900 /* 10000 * major + 100 * minor + patch */
#endif

/* >>core  src/channel/core.h */
/* Handles, and the table entry of a mechanism. */
#ifndef IPC_SRC_CHANNEL_CORE_H
#define IPC_SRC_CHANNEL_CORE_H 1

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#include <limits.h>
#include <mqueue.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

/* ------------------------------------------------------------------ handles */

#define IPC_SEND 1u
#define IPC_RECV 2u
#define IPC_BOTH 3u
#define IPC_LISTEN 4u /* this side is the one that is found */

/* All zeros, or NULL, is what most want. */
struct ipc_channel_options {
    size_t max;         /* bytes of the largest message; 0: 1 MiB, or what the mechanism has */
    unsigned senders;   /* ring: who may send at a time, up to 64; 0: one, whose end is told */
    unsigned receivers; /* ring: more than 1: who receives shares the messages; said by all sides */
    size_t depth;       /* mq: messages in the queue; 0: as the system has it, 10 */
    mode_t mode;        /* of what is made, and the most that what is found may permit; 0: 0600 */
    uid_t user;         /* who may be at the other end, besides this user and root */
    gid_t group;        /* ... and whose group this is; 0: nobody else */
    uint32_t priority;  /* of ipc_channel, to begin with */
    int32_t select;     /* ... */
    int64_t offset;     /* file: where to begin reading, as of ipc_channel_info; -1: at the end */
};

struct ipc_channel_kind_;
struct ipc_channel_ring_;

/* Bytes that have come in, or are to go out: [begin, end) of data. */
struct ipc_channel_bytes_ {
    unsigned char *data;
    size_t size, begin, end;
};

/* Private to one thread at a time. */
struct ipc_channel {
    /* For the caller, to be read and changed between calls. */
    uint32_t priority; /* mq: of what is sent, 0 to 32767, higher first; sysv: its type, 1 if 0;
                          signal: added to SIGRTMIN; a receiver gets the signal of its own */
    int32_t select;    /* sysv: what is received: 0 any, n > 0 type n, n < 0 the lowest up to -n */
    uint32_t came;     /* priority or type of what was received last */
    /* The rest is not. */
    struct ipc_record_producer *quick_out; /* of a ring, while it is all there is to a call */
    struct ipc_record_consumer *quick_in;  /* ... else NULL */
    const struct ipc_channel_kind_ *kind;
    struct ipc_channel_options how;
    unsigned role;
    unsigned state;      /* IPC_CHANNEL_* below */
    int in, out;         /* descriptors; the same one for sockets; -1: nobody is there */
    int listener;        /* of sockets; file: inotify */
    int far_in, far_out; /* pipe: the child's, until it is known who we are */
    pid_t pid;           /* ... who opened it */
    size_t max;
    size_t next; /* length of a message that was too large for the buffer */
    size_t last; /* ... of the last one, and so perhaps of the next */
    struct ipc_channel_bytes_ rx, tx;
    int64_t offset;
    uint64_t limit; /* file: bytes, when last asked for; 0: not yet */
    char *address;  /* of the URI */
    struct ipc_channel_ring_ *ring;
    int server, step;           /* auto: which side we are; how far the handshake is */
    int64_t came_at;            /* ... when the other side came, of which we are to hear */
    struct sockaddr_storage to; /* datagrams: who sent the last one; sockets: our own file */
    socklen_t to_size;
    uint64_t blocked; /* signal: bit n: the receiver was found to block SIGRTMIN + n */
    ino_t ino;        /* of the socket's file that we made */
    int port;
    struct {
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } peer; /* as SO_PEERCRED has it */
    char why[256];
};

#define IPC_CHANNEL_CANNOT_SEND_                                                                   \
    1u                           /* sending has failed; there may be something to receive still */
#define IPC_CHANNEL_ACCEPTED_ 2u /* by ipc_channel_accept */
#define IPC_CHANNEL_MASK_ 4u     /* there is no RWF_NOSIGNAL */
#define IPC_CHANNEL_SIGPIPE_IGNORED_ 32u /* SIGPIPE is ignored by the host */
#define IPC_CHANNEL_UNUSED_ 8u           /* pipe: not used yet */
#define IPC_CHANNEL_FILE_ 16u            /* `ino` is a socket that we made */

struct ipc_channel_facts {
    const char *mechanism; /* "unix", ... */
    size_t max;            /* bytes of the largest message */
    size_t next;           /* of the message that recv has refused with -EMSGSIZE; else 0 */
    size_t pending;        /* of a message that a deadline has cut off, still to go out */
    int64_t offset;        /* file: of the next message */
    pid_t pid;             /* the other side's, where it is known; else 0 */
    uid_t uid;             /* ... (uid_t)-1 */
    gid_t gid;             /* ... (gid_t)-1 */
    int port;              /* tcp, udp: ours, also where 0 was asked for */
};

/* What a mechanism is. */
struct ipc_channel_kind_ {
    const char *scheme;
    unsigned can;     /* IPC_CHANNEL_* below */
    int domain, type; /* of a socket, else 0 */
    int (*open)(struct ipc_channel *, int64_t deadline);
    int (*send)(struct ipc_channel *, const void *, size_t, int64_t deadline);
    int64_t (*recv)(struct ipc_channel *, void *, size_t, int64_t deadline);
    int (*meet)(struct ipc_channel *, int64_t deadline); /* the next peer; NULL: there is none */
    int (*again)(struct ipc_channel *);                  /* the next receiving end, where it can */
    int (*unlink)(struct ipc_channel *);
};

#define IPC_CHANNEL_ONE_WAY_ 1u
#define IPC_CHANNEL_PRIORITY_ 2u /* has priorities, or types */
#define IPC_CHANNEL_SELECT_ 4u   /* can receive by type */
#define IPC_CHANNEL_OFFSET_ 8u   /* can begin somewhere */
#define IPC_CHANNEL_SENDERS_ 32u /* is made for a number of senders, and of receivers */
#define IPC_CHANNEL_DEPTH_ 16u   /* its size is counted in messages */

#define IPC_CHANNEL_AGREED_ 100 /* the last step */

#define IPC_CHANNEL_MAX_ ((size_t)1 << 20)
#define IPC_CHANNEL_GULP_ ((size_t)1 << 16) /* bytes read at once */
#define IPC_CHANNEL_SMALL_ ((size_t)4088)   /* copied behind their header, to go out in one piece */
#define IPC_CHANNEL_LARGE_ ((size_t)1 << 14) /* read to where the caller wants them */

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

/* The same for what a system call has said. */
IPC_INLINE int ipc_channel_refuse_errno_(struct ipc_channel *ch, const char *what)
{
    int rc = -errno;

    return ipc_channel_refuse_(ch, rc, "%s: cannot %s '%s': %s", ch->kind->scheme, what,
                               ch->address, strerror(-rc));
}

/* The last refusal of a call with this handle, in one line: what it was and, where there is one,
 * the remedy. Valid until the next call. */
IPC_INLINE const char *ipc_channel_why(const struct ipc_channel *ch)
{
    return ch->why;
}

#endif

/* >>wait  src/channel/wait.h */
/* Waiting. */
#ifndef IPC_SRC_CHANNEL_WAIT_H
#define IPC_SRC_CHANNEL_WAIT_H 1

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

/* >>frame  src/channel/frame.h */
/* Frames on byte streams. */
#ifndef IPC_SRC_CHANNEL_FRAME_H
#define IPC_SRC_CHANNEL_FRAME_H 1

/* ------------------------------------------------------------------ frames on byte streams */

#define IPC_CHANNEL_HEADER_ ((size_t)8)
#define IPC_CHANNEL_CHECK_ 0x69706331u /* "ipc1" */

IPC_INLINE void ipc_channel_put_(unsigned char *to, uint32_t value)
{
    to[0] = (unsigned char)(value >> 24);
    to[1] = (unsigned char)(value >> 16);
    to[2] = (unsigned char)(value >> 8);
    to[3] = (unsigned char)value;
}

IPC_INLINE uint32_t ipc_channel_get_(const unsigned char *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

IPC_INLINE void ipc_channel_put_header_(unsigned char *to, size_t n)
{
    ipc_channel_put_(to, (uint32_t)n);
    ipc_channel_put_(to + 4, (uint32_t)n ^ IPC_CHANNEL_CHECK_);
}

/* The message's length, or -EBADMSG. */
IPC_INLINE int64_t ipc_channel_get_length_(const struct ipc_channel *ch, const unsigned char *from)
{
    uint32_t n = ipc_channel_get_(from);

    return (ipc_channel_get_(from + 4) ^ n) == IPC_CHANNEL_CHECK_ && n <= ch->max ? (int64_t)n
                                                                                  : -EBADMSG;
}

/* Writes to a pipe without a signal. */
IPC_INLINE ssize_t ipc_channel_write_without_signal_(struct ipc_channel *ch, const struct iovec *io,
                                                     int n)
{
    static const struct timespec now = {0, 0};
    sigset_t pipes, before, pending;
    ssize_t rc;
    int error, was;

    if ((ch->state & IPC_CHANNEL_SIGPIPE_IGNORED_) != 0)
        return n == 1 ? write(ch->out, io[0].iov_base, io[0].iov_len) : writev(ch->out, io, n);
#ifdef SYS_pwritev2
    if ((ch->state & IPC_CHANNEL_MASK_) == 0) {
        rc = syscall(SYS_pwritev2, ch->out, io, n, -1L, -1L, 0x100 /* RWF_NOSIGNAL */);
        if (rc >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
            return rc;
        ch->state |= IPC_CHANNEL_MASK_;
    }
#endif
    (void)sigemptyset(&pipes);
    (void)sigaddset(&pipes, SIGPIPE);
    was = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipes, &before);
    rc = writev(ch->out, io, n);
    error = errno;
    if (rc < 0 && error == EPIPE && !was)
        while (sigtimedwait(&pipes, NULL, &now) < 0 && errno == EINTR)
            ;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return rc;
}

/* One system call that writes what there is room for. Bytes, or a negative errno; -EAGAIN: none. */
IPC_INLINE int64_t ipc_channel_write_(struct ipc_channel *ch, struct iovec *io, int n, int block)
{
    struct msghdr m;
    ssize_t rc;

    if (ch->kind->type == 0) {
        rc = ipc_channel_write_without_signal_(ch, io, n);
    } else if (n == 1) {
        rc =
            send(ch->out, io[0].iov_base, io[0].iov_len, MSG_NOSIGNAL | (block ? 0 : MSG_DONTWAIT));
    } else {
        memset(&m, 0, sizeof m);
        m.msg_iov = io;
        m.msg_iovlen = (size_t)n;
        rc = sendmsg(ch->out, &m, MSG_NOSIGNAL | (block ? 0 : MSG_DONTWAIT));
    }
    return rc >= 0 ? rc : errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

/* As ipc_channel_write_. 0: the end. */
IPC_INLINE int64_t ipc_channel_read_(struct ipc_channel *ch, struct iovec *io, int n, int block)
{
    struct msghdr m;
    ssize_t rc;

    if (ch->kind->type == 0) {
        rc = n == 1 ? read(ch->in, io[0].iov_base, io[0].iov_len) : readv(ch->in, io, n);
    } else if (n == 1) {
        rc = recv(ch->in, io[0].iov_base, io[0].iov_len, block ? 0 : MSG_DONTWAIT);
    } else {
        memset(&m, 0, sizeof m);
        m.msg_iov = io;
        m.msg_iovlen = (size_t)n;
        rc = recvmsg(ch->in, &m, block ? 0 : MSG_DONTWAIT);
    }
    return rc >= 0 ? rc : errno == ECONNRESET || errno == ENOTCONN ? 0 : -errno;
}

/* Sending has failed. What the other side had sent before is still there to be received. */
IPC_INLINE int ipc_channel_stop_sending_(struct ipc_channel *ch, int rc)
{
    if ((ch->role & IPC_RECV) == 0 || ch->in < 0)
        return ipc_channel_lose_peer_(ch, rc);
    ch->state |= IPC_CHANNEL_CANNOT_SEND_;
    ch->tx.begin = ch->tx.end = 0;
    return ipc_channel_refuse_(ch, rc, "%s:%s: the other side is gone", ch->kind->scheme,
                               ch->address);
}

/* Writes until all is out, or the deadline; *done says how much is. Moves io on. */
IPC_INLINE int ipc_channel_write_all_(struct ipc_channel *ch, struct iovec *io, int n,
                                      int64_t deadline, size_t *done)
{
    for (*done = 0; n > 0;) {
        int64_t rc = ipc_channel_write_(ch, io, n, deadline == IPC_FOREVER);

        if (rc == -EAGAIN)
            rc = ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
        if (rc < 0)
            return (int)rc;
        *done += (size_t)rc;
        for (; n > 0 && (size_t)rc >= io->iov_len; n--, io++)
            rc -= (int64_t)io->iov_len;
        if (n > 0) {
            io->iov_base = (unsigned char *)io->iov_base + rc;
            io->iov_len -= (size_t)rc;
        }
    }
    return 0;
}

/* Sends what a deadline has cut off. */
IPC_INLINE int ipc_channel_send_rest_(struct ipc_channel *ch, int64_t deadline)
{
    struct iovec io;
    size_t done;
    int rc;

    if (ch->tx.begin == ch->tx.end)
        return 0;
    io.iov_base = ch->tx.data + ch->tx.begin;
    io.iov_len = ch->tx.end - ch->tx.begin;
    rc = ipc_channel_write_all_(ch, &io, 1, deadline, &done);
    ch->tx.begin += done;
    return rc == -EPIPE ? ipc_channel_stop_sending_(ch, rc) : rc;
}

IPC_INLINE int ipc_channel_stream_send_(struct ipc_channel *ch, const void *message, size_t n,
                                        int64_t deadline)
{
    unsigned char frame[IPC_CHANNEL_HEADER_ + IPC_CHANNEL_SMALL_];
    struct iovec io[2];
    size_t done, head = IPC_CHANNEL_HEADER_;
    int rc = ipc_channel_send_rest_(ch, deadline), small = n <= IPC_CHANNEL_SMALL_;

    if (rc != 0)
        return rc;
    ipc_channel_put_header_(frame, n);
    if (small)
        memcpy(frame + head, message, n);
    io[0].iov_base = frame;
    io[0].iov_len = small ? head + n : head;
    io[1].iov_base = (void *)(uintptr_t)message;
    io[1].iov_len = n;
    rc = ipc_channel_write_all_(ch, io, small ? 1 : 2, deadline, &done);
    if (rc == -EPIPE)
        return ipc_channel_stop_sending_(ch, rc);
    if (rc == 0 || done == 0)
        return rc;
    /* It is begun: the rest is kept, and goes out before anything else. */
    ch->tx.begin = done;
    ch->tx.end = head + n;
    if (done < head)
        memcpy(ch->tx.data + done, frame + done, head - done);
    done = done < head ? 0 : done - head;
    memcpy(ch->tx.data + head + done, (const unsigned char *)message + done, n - done);
    return 0;
}

/* Reads some bytes; waits for them, and sends meanwhile what a deadline has cut off. Bytes, or a
 * negative errno. */
IPC_INLINE int64_t ipc_channel_read_some_(struct ipc_channel *ch, struct iovec *io, int n,
                                          int64_t deadline)
{
    for (;;) {
        int pending = ch->tx.begin != ch->tx.end;
        int64_t rc = ipc_channel_read_(ch, io, n, deadline == IPC_FOREVER && !pending);
        struct pollfd p[2];

        if (rc > 0 || (rc < 0 && rc != -EAGAIN))
            return rc;
        if (rc < 0 && deadline <= IPC_NOW && !pending)
            return -ETIMEDOUT;
        p[0].fd = ch->in;
        p[0].events = POLLIN;
        /* A FIFO to which nobody has written yet is at its end, but nobody has hung up. */
        if (rc == 0 &&
            (ch->kind->type != 0 ||
             (poll(p, 1, 0) > 0 && (p[0].revents & POLLHUP) != 0 && (p[0].revents & POLLIN) == 0)))
            return ch->rx.begin == ch->rx.end ? -EPIPE : -EOWNERDEAD;
        p[1].fd = pending ? ch->out : -1;
        p[1].events = POLLOUT;
        rc = ipc_channel_poll_(p, 2, deadline);
        if (rc != 0)
            return rc;
        if (pending && p[1].revents != 0)
            (void)ipc_channel_send_rest_(ch, IPC_NOW);
    }
}

/* The rest of a large message goes straight to the caller's memory, where so much of it is already
 * or is to be copied from ours; what is behind it to ours. */
IPC_INLINE int ipc_channel_read_to_caller_(struct ipc_channel *ch, unsigned char *to, size_t n,
                                           size_t done, int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    size_t begun = rx->end - rx->begin - IPC_CHANNEL_HEADER_;
    struct iovec io[2];
    int64_t rc;

    if (rx->begin != 0)
        memmove(rx->data, rx->data + rx->begin, IPC_CHANNEL_HEADER_ + begun);
    rx->begin = 0;
    rx->end = IPC_CHANNEL_HEADER_ + begun;
    while (done < n) {
        io[0].iov_base = to + done;
        io[0].iov_len = n - done;
        io[1].iov_base = rx->data + rx->end; /* behind what we have of this one */
        io[1].iov_len = IPC_CHANNEL_GULP_;
        rc = ipc_channel_read_some_(ch, io, 2, deadline);
        if (rc < 0) { /* only what is new is moved: the caller may ask again and again */
            memcpy(rx->data + rx->end, to + begun, done - begun);
            rx->end += done - begun;
            return (int)rc;
        }
        done += (size_t)rc;
    }
    memcpy(to, rx->data + IPC_CHANNEL_HEADER_, begun);
    rx->begin = rx->end;
    rx->end += done - n;
    return 0;
}

/* Nothing is there of the next message, which is perhaps as long as the last one, a large one: then
 * all of it goes straight. 1; 0: it is not, all that came is in our memory; or as fill_. */
IPC_INLINE int ipc_channel_read_like_last_(struct ipc_channel *ch, unsigned char *to,
                                           int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    size_t n = ch->last, head = IPC_CHANNEL_HEADER_, got, body;
    struct iovec io[3];
    int64_t rc;

    io[0].iov_base = rx->data;
    io[0].iov_len = head;
    io[1].iov_base = to;
    io[1].iov_len = n;
    io[2].iov_base = rx->data + head;
    io[2].iov_len = IPC_CHANNEL_GULP_;
    rx->begin = rx->end = 0;
    rc = ipc_channel_read_some_(ch, io, 3, deadline);
    if (rc < 0)
        return (int)rc;
    got = (size_t)rc;
    body = got < head ? 0 : got - head < n ? got - head : n;
    if (got >= head && ipc_channel_get_length_(ch, rx->data) == (int64_t)n) {
        rx->end = head;
        if (body < n) {
            rc = ipc_channel_read_to_caller_(ch, to, n, body, deadline);
            return rc == 0 ? 1 : (int)rc;
        }
        rx->begin = head;
        rx->end = got - n;
        return 1;
    }
    if (got > head + body)
        memmove(rx->data + head + body, rx->data + head, got - head - body);
    memcpy(rx->data + head, to, body);
    rx->end = got;
    return 0;
}

IPC_INLINE int64_t ipc_channel_stream_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    int64_t rc = 0, n = 0;

    for (;;) {
        size_t have = rx->end - rx->begin;
        struct iovec io;

        if (CK_CC_LIKELY(have >= IPC_CHANNEL_HEADER_)) {
            n = ipc_channel_get_length_(ch, rx->data + rx->begin);
            if (CK_CC_UNLIKELY(n < 0))
                return ipc_channel_lose_peer_(ch, (int)n);
            if (CK_CC_UNLIKELY((size_t)n > size)) {
                ch->next = (size_t)n;
                return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %lld bytes for %zu",
                                           (long long)n, size);
            }
            if (CK_CC_LIKELY(have - IPC_CHANNEL_HEADER_ >= (size_t)n)) {
                memcpy(to, rx->data + rx->begin + IPC_CHANNEL_HEADER_, (size_t)n);
                rx->begin += IPC_CHANNEL_HEADER_ + (size_t)n;
                break;
            }
            if ((size_t)n >= IPC_CHANNEL_LARGE_) {
                rc = ipc_channel_read_to_caller_(ch, (unsigned char *)to, (size_t)n,
                                                 have - IPC_CHANNEL_HEADER_, deadline);
                if (rc == 0)
                    break;
            }
        } else if (have == 0 && ch->last >= IPC_CHANNEL_LARGE_ && ch->last <= size) {
            n = (int64_t)ch->last;
            rc = ipc_channel_read_like_last_(ch, (unsigned char *)to, deadline);
            if (rc > 0)
                break;
            if (rc == 0)
                continue;
        }
        if (rc == 0) {
            memmove(rx->data, rx->data + rx->begin, have);
            rx->begin = 0;
            rx->end = have;
            io.iov_base = rx->data + have;
            io.iov_len = IPC_CHANNEL_GULP_; /* there is as much behind a large message */
            rc = ipc_channel_read_some_(ch, &io, 1, deadline);
        }
        if (rc < 0)
            return rc == -EPIPE || rc == -EOWNERDEAD ? ipc_channel_lose_peer_(ch, (int)rc) : rc;
        rx->end += (size_t)rc;
        rc = 0;
    }
    ch->last = (size_t)n;
    ch->next = 0;
    return n;
}

#endif

/* >>pipe  src/channel/pipe.h */
/* pipe: and fifo:. */
#ifndef IPC_SRC_CHANNEL_PIPE_H
#define IPC_SRC_CHANNEL_PIPE_H 1

/* ------------------------------------------------------------------ pipes and FIFOs */

IPC_INLINE int ipc_channel_make_pipe_(struct ipc_channel *ch, int *in, int *out)
{
    int fds[2];

    if (syscall(SYS_pipe2, fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return ipc_channel_refuse_(ch, -errno, "cannot make a pipe: %s", strerror(errno));
    *in = fds[0];
    *out = fds[1];
    return 0;
}

IPC_INLINE int ipc_channel_pipe_open_(struct ipc_channel *ch, int64_t deadline)
{
    int rc = 0;

    (void)deadline;
    ch->state |= IPC_CHANNEL_UNUSED_;
    ch->pid = getpid();
    if ((ch->role & IPC_SEND) != 0)
        rc = ipc_channel_make_pipe_(ch, &ch->far_in, &ch->out);
    if (rc == 0 && (ch->role & IPC_RECV) != 0)
        rc = ipc_channel_make_pipe_(ch, &ch->in, &ch->far_out);
    return rc;
}

/* The first use after fork, or of none: who are we? */
IPC_INLINE void ipc_channel_pipe_choose_ends_(struct ipc_channel *ch)
{
    int fd;

    ch->state &= ~IPC_CHANNEL_UNUSED_;
    if (ch->pid != getpid()) { /* the child's ends are the far ones */
        fd = ch->in;
        ch->in = ch->far_in;
        ch->far_in = fd;
        fd = ch->out;
        ch->out = ch->far_out;
        ch->far_out = fd;
        ch->role = (ch->in >= 0 ? IPC_RECV : 0u) | (ch->out >= 0 ? IPC_SEND : 0u);
    }
    ipc_channel_close_fd_(&ch->far_in);
    ipc_channel_close_fd_(&ch->far_out);
}

/* Opens the FIFO; -ENOENT, -ENXIO: not yet. */
IPC_INLINE int ipc_channel_fifo_open_end_(struct ipc_channel *ch)
{
    int reads = (ch->role & IPC_RECV) != 0, rc;
    int fd = open(ch->address, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0)
        return ipc_channel_refuse_errno_(ch, "open");
    rc = fstat(fd, &st) != 0 ? -errno : ipc_channel_check_owner_(ch, &st, S_IFIFO);
    if (rc != 0)
        (void)close(fd);
    return rc != 0 ? rc : fd;
}

IPC_INLINE int ipc_channel_fifo_meet_(struct ipc_channel *ch, int64_t deadline)
{
    int rc, nap = 0;

    while ((rc = ipc_channel_fifo_open_end_(ch)) == -ENOENT || rc == -ENXIO) {
        nap = ipc_channel_nap_(deadline);
        if (nap == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, nap, "fifo: until the deadline nobody %s '%s'",
                                       rc == -ENOENT ? "made" : "read from", ch->address);
        if (nap != 0)
            return nap;
    }
    if (rc < 0)
        return rc;
    *((ch->role & IPC_RECV) != 0 ? &ch->in : &ch->out) = rc;
    return 0;
}

IPC_INLINE int ipc_channel_fifo_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct stat st;
    int rc;

    if ((ch->role & IPC_LISTEN) == 0)
        return ipc_channel_fifo_meet_(ch, deadline);
    if (mkfifo(ch->address, 0600) == 0 && (rc = ipc_channel_set_mode_(ch, S_IFIFO, &st)) != 0)
        return ipc_channel_refuse_(ch, rc, "fifo: cannot set the mode of '%s': %s", ch->address,
                                   strerror(-rc));
    if (lstat(ch->address, &st) != 0)
        return ipc_channel_refuse_errno_(ch, "make");
    /* A reader is there from now on; a writer opens when there is a reader. */
    return (ch->role & IPC_RECV) != 0 ? ipc_channel_fifo_meet_(ch, IPC_NOW)
                                      : ipc_channel_check_owner_(ch, &st, S_IFIFO);
}

IPC_INLINE int ipc_channel_fifo_unlink_(struct ipc_channel *ch)
{
    return ipc_channel_remove_(ch->address, S_IFIFO);
}

#endif

/* >>socket  src/channel/socket.h */
/* unix: and tcp:, and what all sockets have in common. */
#ifndef IPC_SRC_CHANNEL_SOCKET_H
#define IPC_SRC_CHANNEL_SOCKET_H 1

/* ------------------------------------------------------------------ sockets */

/* Where a URI leads to. */
struct ipc_channel_addresses_ {
    struct sockaddr_storage at[4];
    socklen_t size[4];
    unsigned count;
    int dir; /* open, if paths go by it */
};

/* "PATH" or "@NAME". A path that is too long for an address goes by the descriptor of its folder.
 */
IPC_INLINE int ipc_channel_resolve_path_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    struct sockaddr_un un;
    size_t n = strlen(ch->address), room = sizeof un.sun_path;
    const char *base = strrchr(ch->address, '/');
    char folder[PATH_MAX];
    int fits = n < room;

    memset(&un, 0, sizeof un);
    un.sun_family = AF_UNIX;
    if (ch->address[0] == '@' ? !fits : n == 0 || n >= sizeof folder)
        return ipc_channel_refuse_(ch, n == 0 ? -EINVAL : -ENAMETOOLONG,
                                   "%s: address of %zu bytes: 1 to %zu", ch->kind->scheme, n,
                                   ch->address[0] == '@' ? room - 1 : sizeof folder - 1);
    if (fits) {
        memcpy(un.sun_path, ch->address, n);
        if (ch->address[0] == '@')
            un.sun_path[0] = '\0';
    } else {
        memcpy(folder, ch->address, n + 1);
        folder[base != NULL ? base - ch->address : 0] = '\0';
        a->dir = open(base == NULL      ? "."
                      : *folder != '\0' ? folder
                                        : "/",
                      O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (a->dir < 0)
            return ipc_channel_refuse_errno_(ch, "open the folder of");
        n = (size_t)snprintf(un.sun_path, room, "/proc/self/fd/%d/%s", a->dir,
                             base != NULL ? base + 1 : ch->address);
        if (n >= room)
            return ipc_channel_refuse_(ch, -ENAMETOOLONG,
                                       "%s: '%s': the name in its folder is long", ch->kind->scheme,
                                       ch->address);
    }
    memcpy(&a->at[0], &un, sizeof un);
    /* An abstract name is as long as it is; a path ends with a NUL. */
    a->size[0] = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*un.sun_path != '\0'));
    a->count = 1;
    return 0;
}

/* "HOST:PORT", "[HOST]:PORT", to listen "*:PORT". */
IPC_INLINE int ipc_channel_resolve_host_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    const char *colon = strrchr(ch->address, ':'), *from = ch->address, *to = colon;
    struct addrinfo hint, *all = NULL, *one;
    char host[256];
    int rc;

    if (colon != NULL && *from == '[' && colon > from + 1 && colon[-1] == ']')
        from++, to--;
    if (colon == NULL || to == from || (size_t)(to - from) >= sizeof host || colon[1] == '\0')
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: not HOST:PORT", ch->kind->scheme,
                                   ch->address);
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    memset(&hint, 0, sizeof hint);
    hint.ai_socktype = ch->kind->type;
    hint.ai_flags = (ch->role & IPC_LISTEN) != 0 ? AI_PASSIVE : 0;
    rc = getaddrinfo(strcmp(host, "*") == 0 && hint.ai_flags != 0 ? NULL : host, colon + 1, &hint,
                     &all);
    if (rc != 0)
        return ipc_channel_refuse_(ch,
                                   rc == EAI_SYSTEM   ? -errno
                                   : rc == EAI_AGAIN  ? -EAGAIN
                                   : rc == EAI_MEMORY ? -ENOMEM
                                                      : -EADDRNOTAVAIL,
                                   "%s:%s: %s", ch->kind->scheme, ch->address, gai_strerror(rc));
    for (one = all; one != NULL && a->count < 4; one = one->ai_next) {
        memcpy(&a->at[a->count], one->ai_addr, one->ai_addrlen);
        a->size[a->count++] = one->ai_addrlen;
    }
    freeaddrinfo(all);
    return 0;
}

IPC_INLINE int ipc_channel_resolve_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    memset(a, 0, sizeof *a);
    a->dir = -1;
    return ch->kind->domain == AF_UNIX ? ipc_channel_resolve_path_(ch, a)
                                       : ipc_channel_resolve_host_(ch, a);
}

/* May this one be at the other end? */
IPC_INLINE int ipc_channel_may_be_peer_(const struct ipc_channel *ch, uid_t uid, gid_t gid)
{
    return uid == geteuid() || uid == 0 || uid == ch->how.user ||
           (ch->how.group != 0 && gid == ch->how.group);
}

/* A connected socket: who is there, and what does it carry? */
IPC_INLINE int ipc_channel_check_peer_(struct ipc_channel *ch, int fd)
{
    socklen_t size = sizeof ch->peer;
    int one = 1;

    if (ch->kind->domain == AF_UNIX && ch->kind->type != SOCK_DGRAM) {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ch->peer, &size) != 0)
            return ipc_channel_refuse_errno_(ch, "tell who is at");
        if (!ipc_channel_may_be_peer_(ch, ch->peer.uid, ch->peer.gid))
            return ipc_channel_refuse_(ch, -EACCES,
                                       "%s:%s: user %ld of group %ld is there; see "
                                       "options.user and options.group",
                                       ch->kind->scheme, ch->address, (long)ch->peer.uid,
                                       (long)ch->peer.gid);
    }
    if (ch->kind->domain != AF_UNIX && ch->kind->type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return 0;
}

/* How large a packet may be. On Unix sockets that follows from the buffer, which the kernel makes
 * twice as large as asked for, and may cut. */
IPC_INLINE int ipc_channel_set_packet_max_(struct ipc_channel *ch, int fd)
{
    size_t head = ch->kind->type == SOCK_SEQPACKET ? IPC_CHANNEL_HEADER_ : 0, most = 65507;
    int room = ch->how.max < INT_MAX / 4 ? (int)(ch->how.max / 2 + 128) : 0;
    socklen_t four = sizeof room;

    if (ch->kind->type != SOCK_DGRAM && ch->kind->type != SOCK_SEQPACKET)
        return 0;
    if (ch->kind->domain == AF_UNIX) {
        if (ch->how.max * 2 > IPC_CHANNEL_GULP_)
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &four) != 0)
            return ipc_channel_refuse_errno_(ch, "ask how much fits through");
        most = (size_t)room - 32 - head; /* of the kernel's own */
    }
    if (ch->how.max > most)
        return ipc_channel_refuse_(ch, -EMSGSIZE, "%s: messages of %zu bytes: at most %zu%s",
                                   ch->kind->scheme, ch->how.max, most,
                                   ch->kind->domain == AF_UNIX ? " (net.core.wmem_max)" : "");
    ch->max = ch->how.max != 0 ? ch->how.max : most;
    return 0;
}

/* Are datagrams to say who sent them? Where there is a file, its mode has decided already. */
IPC_INLINE int ipc_channel_wants_credentials_(const struct ipc_channel *ch)
{
    return ch->kind->domain == AF_UNIX && ch->kind->type == SOCK_DGRAM && ch->address[0] == '@' &&
           (ch->role & IPC_LISTEN) != 0;
}

IPC_INLINE int ipc_channel_make_socket_(struct ipc_channel *ch, int family)
{
    int fd = socket(family, ch->kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 ? fd : ipc_channel_refuse_errno_(ch, "make a socket for");
}

/* From now on calls may block, those with MSG_DONTWAIT excepted. */
IPC_INLINE void ipc_channel_make_blocking_(int fd)
{
    (void)fcntl(fd, F_SETFL, 0);
}

/* Is the socket connected to itself? That happens where nobody listens at a port and the kernel has
 * chosen the same port for our end, or the same name for a Unix socket. */
IPC_INLINE int ipc_channel_is_own_peer_(int fd)
{
    struct sockaddr_storage own, peer;
    socklen_t n = sizeof own, m = sizeof peer;

    memset(&own, 0, sizeof own);
    memset(&peer, 0, sizeof peer);
    return getsockname(fd, (struct sockaddr *)&own, &n) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &m) == 0 && n == m &&
           memcmp(&own, &peer, sizeof own) == 0;
}

/* One attempt at one address. -ECONNREFUSED: nobody listens, also where our socket has connected to
 * itself. */
IPC_INLINE int ipc_channel_connect_to_(struct ipc_channel *ch, int fd,
                                       const struct sockaddr_storage *at, socklen_t size,
                                       int64_t deadline)
{
    static const struct linger none = {1, 0};
    static const struct sockaddr nobody = {AF_UNSPEC, {0}};
    struct sockaddr_un own;
    socklen_t four = sizeof(int);
    int rc, tries;

    memset(&own, 0, sizeof own);
    own.sun_family = AF_UNIX;
    /* A name that the kernel finds, for replies. */
    if (ch->kind->domain == AF_UNIX && ch->kind->type == SOCK_DGRAM && (ch->role & IPC_RECV) != 0 &&
        bind(fd, (struct sockaddr *)&own, sizeof own.sun_family) != 0)
        return -errno;
    rc = connect(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
    if (rc == -EINPROGRESS) {
        rc = ipc_channel_wait_(fd, POLLOUT, deadline);
        if (rc == 0 && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &four) != 0 || rc != 0))
            rc = -rc;
    }
    for (tries = 0; rc == 0 && ipc_channel_is_own_peer_(fd); tries++) {
        if (ch->kind->type != SOCK_DGRAM || tries == 8) {
            /* Closed without TIME_WAIT, in which the port would stay ours for a minute. */
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
            return -ECONNREFUSED;
        }
        /* Datagrams wait for nobody: another port is taken at once. */
        if (connect(fd, &nobody, sizeof nobody) != 0 ||
            connect(fd, (const struct sockaddr *)at, size) != 0)
            rc = -errno;
    }
    return rc;
}

/* Connects, and waits until somebody listens. */
IPC_INLINE int ipc_channel_connect_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_addresses_ a;
    int rc = ipc_channel_resolve_(ch, &a), fd = -1, nap = 0;
    unsigned i;

    while (rc == 0) {
        *ch->why = '\0';
        for (i = 0; i < a.count; i++) {
            fd = ipc_channel_make_socket_(ch, a.at[i].ss_family);
            rc = fd < 0 ? fd : ipc_channel_connect_to_(ch, fd, &a.at[i], a.size[i], deadline);
            if (rc == 0 || fd < 0)
                break;
            ipc_channel_close_fd_(&fd);
        }
        if (rc == 0 || (rc != -ENOENT && rc != -ECONNREFUSED && rc != -EAGAIN && rc != -ECONNRESET))
            break;
        nap = ipc_channel_nap_(deadline);
        rc = nap == -ETIMEDOUT ? ipc_channel_refuse_(ch, nap,
                                                     "%s: nobody listened at '%s' until the "
                                                     "deadline: is that program running?",
                                                     ch->kind->scheme, ch->address)
                               : nap;
    }
    if (rc < 0 && nap == 0 && fd < 0 && *ch->why == '\0')
        (void)ipc_channel_refuse_(ch, rc, "%s: cannot connect to '%s': %s", ch->kind->scheme,
                                  ch->address, strerror(-rc));
    ipc_channel_close_fd_(&a.dir);
    if (rc == 0 && ((rc = ipc_channel_check_peer_(ch, fd)) != 0 ||
                    (rc = ipc_channel_set_packet_max_(ch, fd)) != 0))
        ipc_channel_close_fd_(&fd);
    if (rc != 0)
        return rc;
    ipc_channel_make_blocking_(fd);
    ch->in = ch->out = fd;
    return 0;
}

/* A socket's file that nobody listens behind is a dead one's. Held by a lock on the folder, as of
 * two who find it so one could remove the other's. */
IPC_INLINE int ipc_channel_bind_(struct ipc_channel *ch, int fd, const struct sockaddr_storage *at,
                                 socklen_t size, int64_t deadline)
{
    const char *slash = strrchr(ch->address, '/');
    char folder[PATH_MAX];
    int lock = -1, probe, rc;
    struct stat st;

    if (ch->kind->domain != AF_UNIX || ch->address[0] == '@')
        return bind(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash != NULL ? (int)(slash - ch->address) + 1 : 1,
                   slash != NULL ? ch->address : ".");
    lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return -errno;
    do
        rc = flock(lock, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
    while (rc == -EWOULDBLOCK && (rc = ipc_channel_nap_(deadline)) == 0);
    if (rc == 0) {
        (void)fchmod(fd, 0); /* until the mode is right */
        rc = bind(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
    }
    if (rc == -EADDRINUSE && lstat(ch->address, &st) == 0 && S_ISSOCK(st.st_mode)) {
        probe = socket(AF_UNIX, ch->kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (probe >= 0 && connect(probe, (const struct sockaddr *)at, size) != 0 &&
            errno == ECONNREFUSED && unlink(ch->address) == 0)
            rc = bind(fd, (const struct sockaddr *)at, size) == 0 ? 0 : -errno;
        ipc_channel_close_fd_(&probe);
    }
    if (rc == 0 && (rc = ipc_channel_set_mode_(ch, S_IFSOCK, &st)) == 0) {
        ch->state |= IPC_CHANNEL_FILE_;
        ch->ino = st.st_ino;
    }
    (void)close(lock);
    return rc;
}

IPC_INLINE int ipc_channel_listen_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_addresses_ a;
    union {
        struct sockaddr_storage any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } own;
    socklen_t size = sizeof own;
    int rc = ipc_channel_resolve_(ch, &a), fd, one = 1;

    fd = rc == 0 ? ipc_channel_make_socket_(ch, a.at[0].ss_family) : rc;
    if (fd >= 0) {
        if (ch->kind->domain != AF_UNIX && ch->kind->type == SOCK_STREAM)
            (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (ipc_channel_wants_credentials_(ch))
            (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
        rc = ipc_channel_bind_(ch, fd, &a.at[0], a.size[0], deadline);
        if (rc == 0 && ch->kind->type != SOCK_DGRAM && listen(fd, 64) != 0)
            rc = -errno;
        if (rc != 0) {
            ipc_channel_close_fd_(&fd);
            (void)ipc_channel_refuse_(ch, rc, "%s: cannot listen at '%s': %s%s", ch->kind->scheme,
                                      ch->address, strerror(-rc),
                                      rc == -EADDRINUSE ? ": another does" : "");
        }
    }
    ipc_channel_close_fd_(&a.dir);
    if (rc != 0 || fd < 0)
        return rc != 0 ? rc : fd;
    memset(&own, 0, sizeof own);
    if (getsockname(fd, (struct sockaddr *)&own.any, &size) == 0)
        ch->port = own.any.ss_family == AF_INET    ? ntohs(own.v4.sin_port)
                   : own.any.ss_family == AF_INET6 ? ntohs(own.v6.sin6_port)
                                                   : 0;
    if (ch->kind->type != SOCK_DGRAM) {
        ch->listener = fd;
        return ipc_channel_set_packet_max_(ch, fd);
    }
    ipc_channel_make_blocking_(fd);
    ch->in = ch->out = fd;
    return ipc_channel_set_packet_max_(ch, fd);
}

/* The next of those who have connected and may. Others are left at once. */
IPC_INLINE int ipc_channel_accept_next_(struct ipc_channel *listener, struct ipc_channel *ch,
                                        int64_t deadline)
{
    int fd, rc;

    for (;;) {
#ifdef SYS_accept4
        fd = (int)syscall(SYS_accept4, listener->listener, NULL, NULL, SOCK_CLOEXEC);
#else
        fd = accept(listener->listener, NULL, NULL);
        if (fd >= 0)
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
        if (fd >= 0) {
            ch->in = ch->out = fd;
            if (ipc_channel_check_peer_(ch, fd) == 0)
                return ipc_channel_set_packet_max_(ch, fd);
            ipc_channel_leave_peer_(ch);
        } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EPROTO)
            return ipc_channel_refuse_errno_(ch, "accept at");
        rc = fd >= 0 && ipc_left_(deadline) == 0
                 ? -ETIMEDOUT /* however many more there are */
                 : ipc_channel_wait_(listener->listener, POLLIN, deadline);
        if (rc != 0)
            return rc;
    }
}

IPC_INLINE int ipc_channel_socket_meet_(struct ipc_channel *ch, int64_t deadline)
{
    return ch->listener >= 0 ? ipc_channel_accept_next_(ch, ch, deadline)
                             : ipc_channel_connect_(ch, deadline);
}

IPC_INLINE int ipc_channel_socket_open_(struct ipc_channel *ch, int64_t deadline)
{
    unsigned need = (ch->role & IPC_LISTEN) != 0 ? IPC_RECV : IPC_SEND;

    if (ch->kind->type == SOCK_DGRAM && (ch->role & need) == 0)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "%s: who listens must receive, who does not must "
                                   "send",
                                   ch->kind->scheme);
    return (ch->role & IPC_LISTEN) != 0 ? ipc_channel_listen_(ch, deadline)
                                        : ipc_channel_connect_(ch, deadline);
}

/* Addresses of the network, and names in the abstract namespace, have no file. */
IPC_INLINE int ipc_channel_socket_unlink_(struct ipc_channel *ch)
{
    return ch->kind->domain != AF_UNIX || ch->address[0] == '@'
               ? -EOPNOTSUPP
               : ipc_channel_remove_(ch->address, S_IFSOCK);
}

#endif

/* >>packet  src/channel/packet.h */
/* unix-seq:, unix-dgram: and udp:. */
#ifndef IPC_SRC_CHANNEL_PACKET_H
#define IPC_SRC_CHANNEL_PACKET_H 1

/* ------------------------------------------------------------------ packets and datagrams */

IPC_INLINE int ipc_channel_packet_send_(struct ipc_channel *ch, const void *message, size_t n,
                                        int64_t deadline)
{
    unsigned char frame[IPC_CHANNEL_HEADER_ + IPC_CHANNEL_SMALL_];
    int rc, sequence = ch->kind->type == SOCK_SEQPACKET, reply = 0;
    int flags = MSG_NOSIGNAL | (deadline == IPC_FOREVER ? 0 : MSG_DONTWAIT);
    struct iovec io[2];
    struct msghdr m;

    memset(&m, 0, sizeof m);
    m.msg_iov = io;
    m.msg_iovlen = 1;
    io[0].iov_base = (void *)(uintptr_t)message;
    io[0].iov_len = n;
    if (sequence) { /* an empty packet would be the end */
        ipc_channel_put_header_(frame, n);
        io[1] = io[0];
        io[0].iov_base = frame;
        io[0].iov_len = IPC_CHANNEL_HEADER_;
        m.msg_iovlen = 2;
        if (n <= IPC_CHANNEL_SMALL_) {
            memcpy(frame + IPC_CHANNEL_HEADER_, message, n);
            io[0].iov_len += n;
            m.msg_iovlen = 1;
        }
    } else if ((ch->role & IPC_LISTEN) != 0) {
        if (ch->to_size == 0)
            return ipc_channel_refuse_(ch, -EDESTADDRREQ, "%s: nobody to answer: nothing came yet",
                                       ch->kind->scheme);
        m.msg_name = &ch->to;
        m.msg_namelen = ch->to_size;
        reply = 1;
    }
    for (;;) {
        if ((m.msg_iovlen == 1 && !reply ? send(ch->out, io[0].iov_base, io[0].iov_len, flags)
                                         : sendmsg(ch->out, &m, flags)) >= 0)
            return 0;
        rc = -errno;
        if (rc == -EMSGSIZE)
            return ipc_channel_refuse_(ch, rc, "%s: %zu bytes are too many for one message",
                                       ch->kind->scheme, n);
        if (reply && (rc == -ECONNREFUSED || rc == -ENOENT)) {
            ch->to_size = 0;
            return ipc_channel_refuse_(ch, -EPIPE, "%s: who asked is gone", ch->kind->scheme);
        }
        if (rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNREFUSED || rc == -ENOTCONN)
            return ipc_channel_stop_sending_(ch, -EPIPE);
        if (rc != -EAGAIN && rc != -ENOBUFS)
            return rc == -EINTR ? rc : ipc_channel_refuse_errno_(ch, "send to");
        /* What is not connected is not told when there is room. */
        rc = reply || rc == -ENOBUFS ? ipc_channel_nap_(deadline)
                                     : ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
        if (rc != 0)
            return rc;
    }
}

struct ipc_channel_credentials_ {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* A datagram of a Unix socket says who sent it, if asked. */
IPC_INLINE int ipc_channel_is_from_stranger_(struct ipc_channel *ch, struct msghdr *m)
{
    struct ipc_channel_credentials_ who;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);

    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != 2 /* SCM_CREDENTIALS */)
        return 1;
    memcpy(&who, CMSG_DATA(c), sizeof who);
    if (!ipc_channel_may_be_peer_(ch, who.uid, who.gid))
        return 1;
    ch->peer.pid = who.pid;
    ch->peer.uid = who.uid;
    ch->peer.gid = who.gid;
    return 0;
}

IPC_INLINE int64_t ipc_channel_packet_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    unsigned char header[IPC_CHANNEL_HEADER_];
    int sequence = ch->kind->type == SOCK_SEQPACKET, asks = ipc_channel_wants_credentials_(ch), rc;
    int answers = !sequence && (ch->role & (IPC_LISTEN | IPC_SEND)) == (IPC_LISTEN | IPC_SEND);
    size_t head = sequence ? sizeof header : 0, n;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct ipc_channel_credentials_))];
    } control;
    struct sockaddr_storage from;
    unsigned skips = 0;
    struct iovec io[3];
    struct msghdr m;
    ssize_t got;

    if (ch->next != 0) { /* the one that was too large */
        n = ch->next;
        if (n > size)
            return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", n, size);
        memcpy(to, rx->data, n);
        ch->next = 0;
        return (int64_t)n;
    }
    for (;;) {
        int flags = MSG_CMSG_CLOEXEC | (deadline == IPC_FOREVER ? 0 : MSG_DONTWAIT);
        /* A short one is copied from our memory, which is faster than to say how it is put apart.
         */
        int straight = asks || ch->last >= IPC_CHANNEL_LARGE_;

        if (straight) {
            io[0].iov_base = header;
            io[0].iov_len = sizeof header;
            io[1].iov_base = to;
            io[1].iov_len = size;
            io[2].iov_base = rx->data; /* what does not fit */
            io[2].iov_len = rx->size;
            memset(&m, 0, sizeof m);
            m.msg_iov = sequence ? io : io + 1;
            m.msg_iovlen = sequence ? 3 : 2;
            if (answers) {
                m.msg_name = &from;
                m.msg_namelen = sizeof from;
            }
            if (asks) {
                m.msg_control = control.room;
                m.msg_controllen = sizeof control.room;
            }
            got = recvmsg(ch->in, &m, flags | MSG_TRUNC);
        } else {
            m.msg_namelen = sizeof from;
            got = recvfrom(ch->in, rx->data, rx->size, flags | MSG_TRUNC,
                           answers ? (struct sockaddr *)&from : NULL,
                           answers ? &m.msg_namelen : NULL);
        }
        rc = got >= 0 ? 0 : -errno;
        if (rc == -EAGAIN) {
            rc = ipc_channel_wait_again_(ch->in, POLLIN, deadline);
            if (rc != 0)
                return rc;
            continue;
        }
        if (rc == -ECONNRESET || rc == -ECONNREFUSED || (sequence && got == 0))
            return ipc_channel_lose_peer_(ch, -EPIPE);
        if (rc != 0)
            return rc == -EINTR ? rc : ipc_channel_refuse_errno_(ch, "receive from");
        if (asks && ipc_channel_is_from_stranger_(ch, &m)) {
            if (ipc_channel_has_skipped_enough_(&skips, deadline))
                return -ETIMEDOUT;
            continue;
        }
        n = (size_t)got - head;
        if (n > ch->max ||
            (sequence && ((size_t)got < head ||
                          ipc_channel_get_length_(ch, straight ? header : rx->data) != (int64_t)n)))
            return sequence ? ipc_channel_lose_peer_(ch, -EBADMSG)
                            : ipc_channel_refuse_(ch, -EBADMSG,
                                                  "%s: a message of more than %zu bytes "
                                                  "was dropped",
                                                  ch->kind->scheme, ch->max);
        if (answers) {
            ch->to = from;
            ch->to_size = m.msg_namelen;
        }
        ch->last = n;
        if (n <= size) {
            if (!straight)
                memcpy(to, rx->data + head, n);
            return (int64_t)n;
        }
        if (straight) {
            memmove(rx->data + size, rx->data, n - size);
            memcpy(rx->data, to, size);
        } else {
            memmove(rx->data, rx->data + head, n);
        }
        ch->next = n;
        return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", n, size);
    }
}

#endif

/* >>mq  src/channel/mq.h */
/* mq:. */
#ifndef IPC_SRC_CHANNEL_MQ_H
#define IPC_SRC_CHANNEL_MQ_H 1

/* ------------------------------------------------------------------ POSIX message queues */

/* A deadline in the past: do not block. Others are not given to the kernel, which would take them
 * by a clock that may be set. */
static const struct timespec ipc_channel_never_ = {0, 0};

IPC_INLINE int ipc_channel_mq_name_(struct ipc_channel *ch, char *name, size_t size)
{
    int slash = ch->address[0] == '/';

    if (ch->address[slash] == '\0' || strchr(ch->address + slash, '/') != NULL)
        return ipc_channel_refuse_(ch, -EINVAL, "mq: '%s' must not be empty or hold a slash",
                                   ch->address);
    if (strlen(ch->address) + 2 > size)
        return ipc_channel_refuse_(ch, -ENAMETOOLONG, "mq: '%s' is too long", ch->address);
    (void)snprintf(name, size, "/%s", ch->address + slash);
    return 0;
}

IPC_INLINE int ipc_channel_mq_open_(struct ipc_channel *ch, int64_t deadline)
{
    char name[NAME_MAX + 2];
    struct mq_attr want, is;
    struct stat st;
    int how = ((ch->role & IPC_RECV) != 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC, made = 0;
    int rc = ipc_channel_mq_name_(ch, name, sizeof name), nap;
    mqd_t q = (mqd_t)-1;

    memset(&want, 0, sizeof want);
    want.mq_maxmsg = ch->how.depth != 0 ? (long)ch->how.depth : 10;
    want.mq_msgsize = ch->how.max != 0 ? (long)ch->how.max : 8192;
    while (rc == 0 && (q = mq_open(name, how)) == (mqd_t)-1) {
        rc = -errno;
        if (rc == -ENOENT && (ch->role & IPC_LISTEN) != 0) {
            q = mq_open(name, how | O_CREAT | O_EXCL, 0600,
                        ch->how.depth != 0 || ch->how.max != 0 ? &want : NULL);
            made = q != (mqd_t)-1;
            rc = made || errno == EEXIST ? 0 : -errno;
            if (made)
                break;
        } else if (rc == -ENOENT) {
            nap = ipc_channel_nap_(deadline);
            rc = nap == -ETIMEDOUT
                     ? ipc_channel_refuse_(ch, nap, "mq: no queue '%s' until the deadline", name)
                     : nap;
            if (rc == -ETIMEDOUT)
                return rc;
        }
    }
    if (rc != 0)
        return *ch->why != '\0'
                   ? rc
                   : ipc_channel_refuse_(ch, rc, "mq: cannot %s '%s': %s%s",
                                         (ch->role & IPC_LISTEN) != 0 ? "make" : "open", name,
                                         strerror(-rc),
                                         rc == -EMFILE   ? " (RLIMIT_MSGQUEUE: ulimit -q)"
                                         : rc == -ENOSPC ? " (fs.mqueue.queues_max)"
                                         : rc == -EINVAL ? " (fs.mqueue.msg_max and msgsize_max)"
                                                         : "");
    ch->in = ch->out = (int)q;
    if ((made && fchmod((int)q, ch->how.mode) != 0) || fstat((int)q, &st) != 0 ||
        mq_getattr(q, &is) != 0)
        return ipc_channel_refuse_errno_(ch, "open");
    rc = ipc_channel_check_owner_(ch, &st, 0);
    if (rc == 0 && ((ch->how.max != 0 && is.mq_msgsize != want.mq_msgsize) ||
                    (ch->how.depth != 0 && is.mq_maxmsg != want.mq_maxmsg)))
        rc = ipc_channel_refuse_(ch, -EPROTO,
                                 "mq: '%s' is there with %ld messages of %ld bytes; see "
                                 "ipc_channel_unlink",
                                 name, is.mq_maxmsg, is.mq_msgsize);
    ch->max = (size_t)is.mq_msgsize;
    return rc;
}

IPC_INLINE int ipc_channel_mq_send_(struct ipc_channel *ch, const void *message, size_t n,
                                    int64_t deadline)
{
    int rc;

    for (;;) {
        rc = deadline == IPC_FOREVER
                 ? mq_send((mqd_t)ch->out, (const char *)message, n, ch->priority)
                 : mq_timedsend((mqd_t)ch->out, (const char *)message, n, ch->priority,
                                &ipc_channel_never_);
        if (rc == 0 || errno != ETIMEDOUT)
            return rc == 0 ? 0 : errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, "send to");
        rc = ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
        if (rc != 0)
            return rc;
    }
}

/* Gives a message that is in rx, or keeps it for a larger buffer. */
IPC_INLINE int64_t ipc_channel_copy_out_(struct ipc_channel *ch, void *to, size_t size, size_t n)
{
    if (n > size) {
        ch->rx.begin = 0;
        ch->rx.end = ch->next = n;
        return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", n, size);
    }
    memcpy(to, ch->rx.data, n);
    ch->rx.begin = ch->rx.end = ch->next = 0;
    return (int64_t)n;
}

IPC_INLINE int64_t ipc_channel_mq_recv_(struct ipc_channel *ch, void *to, size_t size,
                                        int64_t deadline)
{
    int direct = size >= ch->max, rc; /* the kernel wants room for the largest */
    char *at = (char *)(direct ? to : ch->rx.data);
    unsigned priority = 0;
    ssize_t n;

    if (ch->next != 0)
        return ipc_channel_copy_out_(ch, to, size, ch->next);
    for (;;) {
        n = deadline == IPC_FOREVER
                ? mq_receive((mqd_t)ch->in, at, ch->max, &priority)
                : mq_timedreceive((mqd_t)ch->in, at, ch->max, &priority, &ipc_channel_never_);
        if (n >= 0)
            break;
        if (errno != ETIMEDOUT)
            return errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, "receive from");
        rc = ipc_channel_wait_again_(ch->in, POLLIN, deadline);
        if (rc != 0)
            return rc;
    }
    ch->came = priority;
    return direct ? n : ipc_channel_copy_out_(ch, to, size, (size_t)n);
}

IPC_INLINE int ipc_channel_mq_unlink_(struct ipc_channel *ch)
{
    char name[NAME_MAX + 2];
    int rc = ipc_channel_mq_name_(ch, name, sizeof name);

    return rc != 0 ? rc : mq_unlink(name) == 0 ? 0 : -errno;
}

#endif

/* >>sysv  src/channel/sysv.h */
/* sysv:. */
#ifndef IPC_SRC_CHANNEL_SYSV_H
#define IPC_SRC_CHANNEL_SYSV_H 1

/* ------------------------------------------------------------------ System V message queues */

/* KEY: a number, decimal, 0x or 0. */
IPC_INLINE int ipc_channel_read_key_(struct ipc_channel *ch, key_t *key)
{
    char *end;
    unsigned long n = strtoul(ch->address, &end, 0);

    *key = (key_t)n;
    if (end == ch->address || *end != '\0' || n == 0 || n > UINT32_MAX || *ch->address == '-')
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: the key must be a number of 1 to 2^32 - 1",
                                   ch->kind->scheme, ch->address);
    return 0;
}

IPC_INLINE int ipc_channel_sysv_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct msqid_ds is;
    struct stat st;
    char text[32] = "";
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key), id = -1, fd, nap;
    ssize_t n;

    if (rc != 0)
        return rc;
    if ((ch->role & IPC_BOTH) == IPC_BOTH &&
        (ch->select <= 0 || (uint32_t)ch->select == ch->priority || ch->priority == 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "sysv: both directions need a type for each: "
                                   "options.priority and options.select");
    while ((id = msgget(key, (ch->role & IPC_LISTEN) != 0 ? IPC_CREAT | (int)ch->how.mode : 0)) <
               0 &&
           errno == ENOENT) {
        nap = ipc_channel_nap_(deadline);
        if (nap != 0)
            return nap == -EINTR ? nap
                                 : ipc_channel_refuse_(ch, nap,
                                                       "sysv: no queue %s until the "
                                                       "deadline",
                                                       ch->address);
    }
    if (id < 0)
        return ipc_channel_refuse_(ch, -errno, "sysv: cannot open queue %s: %s%s", ch->address,
                                   strerror(errno), errno == ENOSPC ? " (kernel.msgmni)" : "");
    if (msgctl(id, IPC_STAT, &is) != 0)
        return ipc_channel_refuse_errno_(ch, "read the mode of");
    memset(&st, 0, sizeof st);
    st.st_uid = is.msg_perm.uid;
    st.st_mode = is.msg_perm.mode;
    rc = ipc_channel_check_owner_(ch, &st, 0);
    if (rc != 0)
        return rc;
    ch->port = id;
    ch->max = 8192;
    fd = open("/proc/sys/kernel/msgmax", O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    ipc_channel_close_fd_(&fd);
    if (n > 0 && strtoul(text, NULL, 10) != 0)
        ch->max = strtoul(text, NULL, 10);
    if (is.msg_qbytes != 0 && is.msg_qbytes < ch->max)
        ch->max = is.msg_qbytes;
    if (ch->how.max > ch->max)
        return ipc_channel_refuse_(ch, -EMSGSIZE,
                                   "sysv: messages of %zu bytes: at most %zu "
                                   "(kernel.msgmax, kernel.msgmnb)",
                                   ch->how.max, ch->max);
    ch->max = ch->how.max != 0 ? ch->how.max : ch->max;
    return 0;
}

/* Queues have no descriptor, and no deadline. */
IPC_INLINE int ipc_channel_sysv_wait_(struct ipc_channel *ch, const char *what, int64_t deadline)
{
    if (errno == EAGAIN || errno == ENOMSG)
        return ipc_channel_nap_(deadline);
    if (errno == EIDRM)
        return ipc_channel_refuse_(ch, -EPIPE, "sysv: queue %s was removed", ch->address);
    return errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, what);
}

IPC_INLINE int ipc_channel_sysv_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    long type = ch->priority == 0 ? 1 : (long)ch->priority;
    int rc;

    memcpy(ch->tx.data, &type, sizeof type);
    memcpy(ch->tx.data + sizeof type, message, n);
    while (msgsnd(ch->port, ch->tx.data, n, deadline == IPC_FOREVER ? 0 : IPC_NOWAIT) != 0)
        if ((rc = ipc_channel_sysv_wait_(ch, "send to", deadline)) != 0)
            return rc;
    return 0;
}

IPC_INLINE int64_t ipc_channel_sysv_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    size_t room = size < ch->max ? size : ch->max;
    long type;
    ssize_t n;
    int rc;

    /* One that is larger stays in the queue, for a larger buffer. */
    while ((n = msgrcv(ch->port, ch->rx.data, room, ch->select,
                       deadline == IPC_FOREVER ? 0 : IPC_NOWAIT)) < 0) {
        if (errno == E2BIG && room < ch->max)
            return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of more than %zu bytes", room);
        if (errno == E2BIG && msgrcv(ch->port, ch->rx.data, 0, ch->select,
                                     IPC_NOWAIT | 010000 /* MSG_NOERROR */) >= 0)
            return ipc_channel_refuse_(ch, -EBADMSG,
                                       "sysv: a message of more than %zu bytes was dropped", room);
        if ((rc = ipc_channel_sysv_wait_(ch, "receive from", deadline)) != 0)
            return rc;
    }
    memcpy(&type, ch->rx.data, sizeof type);
    memcpy(to, ch->rx.data + sizeof type, (size_t)n);
    ch->came = (uint32_t)type;
    return n;
}

IPC_INLINE int ipc_channel_sysv_unlink_(struct ipc_channel *ch)
{
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key), id = rc == 0 ? msgget(key, 0) : -1;

    return rc != 0 ? rc : id >= 0 && msgctl(id, IPC_RMID, NULL) == 0 ? 0 : -errno;
}

#endif

/* >>log  src/channel/log.h */
/* file:. */
#ifndef IPC_SRC_CHANNEL_LOG_H
#define IPC_SRC_CHANNEL_LOG_H 1

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

/* >>signal  src/channel/signal.h */
/* signal:. */
#ifndef IPC_SRC_CHANNEL_SIGNAL_H
#define IPC_SRC_CHANNEL_SIGNAL_H 1

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

/* >>ring  src/channel/ring.h */
/* ring:. */
#ifndef IPC_SRC_CHANNEL_RING_H
#define IPC_SRC_CHANNEL_RING_H 1

/* ------------------------------------------------------------------ rings */

/* Rings of records (ipc_ring.h), one for each direction: "to" whom is found, and "from" him. */
struct ipc_channel_ring_ {
    struct ipc_shm seg;
    struct ipc_record_producer out;
    struct ipc_record_consumer in;
    struct ipc_notify data, space;         /* of in: to sleep on, to post */
    struct ipc_notify out_data, out_space; /* of out: to post, to sleep on */
    int sem;                               /* sysvshm: the semaphores, else -1 */
    unsigned char *mem;                    /* ... the segment, NULL */
    size_t half;                           /* ... bytes for each ring */
    unsigned short place;                  /* ... of the semaphores, that says that we are there */
    struct ipc_peer me;
    struct ipc_mpmc_producer put;  /* of several receivers: in place of out */
    struct ipc_mpmc_consumer take; /* ... and of in */
    int polls;                     /* auto: of ipc_channel_fd, else -1 */
    int unable;                    /* ... the handshake has failed here */
    struct ipc_notify_shared spare;
    int alone;               /* in: there is one sender, whose end is told */
    uint64_t reader, writer; /* who was last seen at the other ends; 0 once his leaving was told */
};

#define IPC_CHANNEL_SYSV_HEAD_ ((size_t)64)
#define IPC_CHANNEL_RING_ ((size_t)1 << 16) /* the largest message, unless asked for */

/* Bytes of a lane whose longest record has n. */
IPC_INLINE uint64_t ipc_channel_lane_(size_t n)
{
    uint64_t capacity = 4096;

    while (capacity / 2 - 8 < n)
        capacity *= 2;
    return capacity;
}

/* Slots of a ring that several receivers share: a megabyte, but 16 to 4096. */
IPC_INLINE uint64_t ipc_channel_slots_(size_t n)
{
    uint64_t slots = 16;

    while (slots < 4096 && slots * 2 * n <= IPC_CHANNEL_MAX_)
        slots *= 2;
    return slots;
}

/* Bytes of one ring. */
IPC_INLINE size_t ipc_channel_ring_bytes_(const struct ipc_channel *ch)
{
    return ch->how.receivers > 1
               ? ipc_mpmc_footprint(ch->max + IPC_CHANNEL_HEADER_, ipc_channel_slots_(ch->max))
               : ipc_record_footprint(ipc_channel_lane_(ch->max),
                                      ch->how.senders != 0 ? ch->how.senders : 1);
}

IPC_INLINE int ipc_channel_ring_init_(const struct ipc_channel *ch, const struct ipc_shm_object *o)
{
    unsigned senders = ch->how.senders != 0 ? ch->how.senders : 1;

    return ch->how.receivers > 1
               ? ipc_mpmc_init(o->mem, o->size, ch->max + IPC_CHANNEL_HEADER_,
                               ipc_channel_slots_(ch->max),
                               IPC_MPMC_AT_LEAST_ONCE | (senders > 1 ? 0 : IPC_MPMC_ONE_PRODUCER))
               : ipc_record_init(o->mem, o->size, ipc_channel_lane_(ch->max), senders);
}

/* The kind of a ring's bell for data: that of auto: has a descriptor for event loops. */
IPC_INLINE unsigned ipc_channel_bell_kind_(const struct ipc_channel *ch)
{
    return ch->kind->type != 0 ? IPC_NOTIFY_EVENTFD : IPC_NOTIFY_FUTEX;
}

/* Attaches to both bells of a ring, of the kinds that a ring of this channel is made with. A sender
 * may be killed between its push and its post: a sleeper without a deadline looks once a second. */
IPC_INLINE int ipc_channel_attach_bells_(const struct ipc_channel *ch, struct ipc_peer *me,
                                         struct ipc_notify *data, void *data_bell,
                                         struct ipc_notify *space, void *space_bell)
{
    int rc = ipc_notify_attach(data, data_bell, 64, ipc_channel_bell_kind_(ch), me);

    rc = rc == 0 ? ipc_notify_attach(space, space_bell, 64, IPC_NOTIFY_FUTEX, me) : rc;
    if (rc == -EPROTO)
        (void)snprintf(me->why, sizeof me->why, "a bell of the ring is of another kind");
    if (rc == 0)
        data->plain = space->plain = 1;
    return rc;
}

/* One ring in the segment, made if it is not there and we are to. */
IPC_INLINE int ipc_channel_find_ring_(struct ipc_channel *ch, const char *name, int make,
                                      struct ipc_shm_object *o)
{
    struct ipc_shm *seg = &ch->ring->seg;
    uint32_t type = ch->how.receivers > 1 ? IPC_MPMC_TYPE : IPC_RECORD_TYPE;
    int rc = make ? ipc_shm_make(seg, name, type, ipc_channel_ring_bytes_(ch), o) : -EEXIST;

    if (rc == 0 && (rc = ipc_channel_ring_init_(ch, o)) == 0) {
        if (ch->kind->type != 0)
            (void)ipc_notify_init(((struct ipc_spsc_shared *)o->mem)->data_bell, 64,
                                  ipc_channel_bell_kind_(ch));
        rc = ipc_shm_publish(seg, o);
    }
    if (rc == -EEXIST)
        rc = ipc_shm_find(seg, name, type, o);
    return rc;
}

/* Our end of the ring that several receivers share: slots with a length before the message. Who
 * has made it says how long that may be, and how many send. */
IPC_INLINE int ipc_channel_attach_shared_(struct ipc_channel *ch, const struct ipc_shm_object *o)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_peer *me = ipc_shm_peer(&r->seg);
    struct ipc_mpmc_shared *s = (struct ipc_mpmc_shared *)o->mem;
    int sends = (ch->role & IPC_SEND) != 0, rc = -EPROTO;
    struct ipc_notify *data = sends ? &r->out_data : &r->data;
    struct ipc_notify *space = sends ? &r->out_space : &r->space;
    uint64_t bytes = o->size < sizeof *s ? 0 : ck_pr_load_64(&s->is.bytes);
    unsigned how = bytes != 0 ? ck_pr_load_32(&s->is.how) : 0;

    if (bytes > IPC_CHANNEL_HEADER_ && bytes <= UINT32_MAX / 2)
        rc = sends ? ipc_mpmc_producer_attach(&r->put, s, o->size, (size_t)bytes, me, how)
                   : ipc_mpmc_consumer_attach(&r->take, s, o->size, (size_t)bytes, me, how);
    if (rc != 0)
        return rc;
    ch->max = (size_t)bytes - IPC_CHANNEL_HEADER_;
    rc = ipc_channel_attach_bells_(ch, me, data, s->data_bell, space, s->space_bell);
    if (rc != 0)
        return rc;
    r->alone = (how & IPC_MPMC_ONE_PRODUCER) != 0;
    r->writer = r->alone ? ck_pr_load_64(&s->end[0]) : 0;
    ipc_notify_watch_anyone(sends ? space : data); /* he may have held what is ours to go on with */
    (void)ipc_notify_post(sends ? space : data); /* to sit here may have freed what the dead had */
    return 0;
}

/* Our ends, of rings at to[0] and from[0]: whom is found receives from "to". */
IPC_INLINE int ipc_channel_ring_attach_ends_(struct ipc_channel *ch, int listener,
                                             const struct ipc_shm_object *to,
                                             const struct ipc_shm_object *from, struct ipc_peer *me)
{
    struct ipc_channel_ring_ *r = ch->ring;
    const struct ipc_shm_object *out = listener ? from : to, *in = listener ? to : from;
    int rc = 0;

    if ((ch->role & IPC_SEND) != 0 &&
        (rc = ipc_record_producer_attach(&r->out, out->mem, out->size, me)) == 0 &&
        (rc = ipc_channel_attach_bells_(ch, me, &r->out_data, r->out.ring->data_bell, &r->out_space,
                                        r->out.ring->space_bell)) == 0) {
        r->reader = ck_pr_load_64(&r->out.ring->end[1]);
        ch->max = ipc_record_most(&r->out);
    }
    if (rc == 0 && (ch->role & IPC_RECV) != 0 &&
        (rc = ipc_record_consumer_attach(&r->in, in->mem, in->size, me)) == 0 &&
        (rc = ipc_channel_attach_bells_(ch, me, &r->data, r->in.ring->data_bell, &r->space,
                                        r->in.ring->space_bell)) == 0) {
        ch->max = (size_t)(r->in.mask + 1) / 2 - 8;
        r->alone = r->in.producers == 1;
        r->writer = r->alone ? ck_pr_load_64(&r->in.ring->end[0]) : 0;
    }
    if (rc != 0) { /* the next try is not to find us there */
        ipc_record_producer_detach(&r->out);
        ipc_record_consumer_detach(&r->in);
        ipc_notify_detach(&r->out_data);
        ipc_notify_detach(&r->out_space);
        ipc_notify_detach(&r->data);
    }
    return rc;
}

/* ... in a segment of ipc_shm.h that is open. */
IPC_INLINE int ipc_channel_ring_attach_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_ring_ *r = ch->ring;
    unsigned in = listener ? IPC_RECV : IPC_SEND; /* who is found receives from "to" */
    struct ipc_shm_object to, from;
    int rc = 0, shared = ch->how.receivers > 1;

    if (shared)
        rc = ipc_channel_find_ring_(ch, "shared", listener, &to);
    else if ((ch->role & in) != 0)
        rc = ipc_channel_find_ring_(ch, "to", listener, &to);
    if (rc == 0 && !shared && (ch->role & (in ^ IPC_BOTH)) != 0)
        rc = ipc_channel_find_ring_(ch, "from", listener, &from);
    if (rc == 0)
        rc = shared
                 ? ipc_channel_attach_shared_(ch, &to)
                 : ipc_channel_ring_attach_ends_(ch, listener, &to, &from, ipc_shm_peer(&r->seg));
    if (rc != 0)
        return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address,
                                   ipc_shm_why(&r->seg));
    (void)ipc_notify_post(&r->out_data); /* who sleeps there is to watch us from now on */
    (void)ipc_notify_post(&r->space);
    return 0;
}

IPC_INLINE int ipc_channel_ring_new_(struct ipc_channel *ch)
{
    ch->ring = (struct ipc_channel_ring_ *)calloc(1, sizeof *ch->ring);
    if (ch->ring == NULL)
        return ipc_channel_refuse_(ch, -ENOMEM, "no memory");
    ch->ring->seg.fd = ch->ring->sem = ch->ring->polls = -1;
    ch->ring->out.error = ch->ring->in.error = -EINVAL;
    return 0;
}

/* A bell of sysvshm: its first word says that someone sleeps, on the semaphore that has the number
 * of the bell. */
IPC_INLINE unsigned short ipc_channel_sem_number_(const struct ipc_channel_ring_ *r,
                                                  const struct ipc_notify *bell)
{
    const unsigned char *from = (const unsigned char *)bell->at;

    return (unsigned short)((from >= r->mem + IPC_CHANNEL_SYSV_HEAD_ + r->half ? 2 : 0) +
                            (bell == &r->space || bell == &r->out_space));
}

IPC_INLINE void ipc_channel_ring_post_(struct ipc_channel_ring_ *r, struct ipc_notify *bell)
{
    struct sembuf up = {0, 1, IPC_NOWAIT};

    if (r->sem < 0) {
        (void)ipc_notify_post(bell);
        return;
    }
    if (bell->at == NULL)
        return;
    /* Without it we could miss who has just fallen asleep, and he what we stored. Partner: in
     * ipc_channel_sem_more_. */
    ck_pr_fence_store_load();
    if (ck_pr_load_32(&bell->at->word) == 0 || ck_pr_fas_32(&bell->at->word, 0) == 0)
        return;
    up.sem_num = ipc_channel_sem_number_(r, bell);
    (void)semop(r->sem, &up, 1); /* -EAGAIN: 32767 wakes are there already */
}

struct ipc_channel_sleep_ {
    unsigned looks;
    int armed, rc;
};

/* A look has found nothing: 1 to look again, 0 at the end. As ipc_waiting_more_ of ipc_notify.h. */
IPC_INLINE int ipc_channel_sem_more_(struct ipc_channel_ring_ *r, struct ipc_notify *bell,
                                     int64_t deadline, struct ipc_channel_sleep_ *w)
{
    struct sembuf down = {0, -1, 0};
    struct timespec t;
    int64_t left;

    if (w->rc != 0)
        return 0;
    if (deadline > IPC_NOW && w->looks++ < bell->spin) {
        ck_pr_stall();
        return 1;
    }
    if (!w->armed) {
        ck_pr_store_32(&bell->at->word, 1);
        ck_pr_fence_store_load(); /* partner: in ipc_channel_ring_post_ */
        return w->armed = 1;
    }
    w->armed = 0;
    left = ipc_left_(deadline);
    if (left == 0) {
        w->rc = -ETIMEDOUT;
        return 1;
    }
    down.sem_num = ipc_channel_sem_number_(r, bell);
    t = ipc_notify_time_(left < IPC_NOTIFY_SLICE_ ? left : IPC_NOTIFY_SLICE_);
#if defined(SYS_semtimedop) && defined(__LP64__) /* the declaration needs _GNU_SOURCE */
    if (syscall(SYS_semtimedop, r->sem, &down, 1L, &t) != 0 && errno != EAGAIN)
#else
    down.sem_flg = IPC_NOWAIT;
    if (semop(r->sem, &down, 1) != 0 && (errno != EAGAIN || nanosleep(&t, NULL) != 0))
#endif
        w->rc = errno == EIDRM ? -EPIPE : -errno;
    else if (ipc_notify_dead_(bell))
        w->rc = -EOWNERDEAD;
    return 1;
}

#define IPC_CHANNEL_SEM_(bell, condition)                                                          \
    __extension__({                                                                                \
        struct ipc_channel_sleep_ ipc_s_ = {0, 0, 0};                                              \
        int ipc_ok_;                                                                               \
                                                                                                   \
        while (!(ipc_ok_ = (condition) ? 1 : 0) &&                                                 \
               ipc_channel_sem_more_(r, (bell), deadline, &ipc_s_))                                \
            ;                                                                                      \
        ipc_ok_ ? 0 : ipc_s_.rc;                                                                   \
    })

IPC_INLINE void ipc_channel_ring_leave_(struct ipc_channel *ch)
{
    struct sembuf gone = {0, -1, SEM_UNDO | IPC_NOWAIT};
    struct ipc_channel_ring_ *r = ch->ring;
    int mine = ch->pid == getpid(); /* else the ends are the parent's */

    if (r == NULL)
        return;
    if (mine) {
        ipc_record_producer_detach(&r->out);
        ipc_record_consumer_detach(&r->in);
        ipc_mpmc_producer_detach(&r->put);
        ipc_mpmc_consumer_detach(&r->take);
        ipc_channel_ring_post_(r, &r->out_data); /* who sleeps there is to learn of it */
        ipc_channel_ring_post_(r, &r->out_space);
        ipc_channel_ring_post_(r, &r->data);
        ipc_channel_ring_post_(r, &r->space);
    }
    ipc_notify_detach(&r->data);
    ipc_notify_detach(&r->space);
    ipc_notify_detach(&r->out_data);
    ipc_notify_detach(&r->out_space);
    gone.sem_num = r->place;
    if (mine && r->place != 0)
        (void)semop(r->sem, &gone, 1);
    if (r->mem != NULL)
        (void)shmdt(r->mem);
    ipc_channel_close_fd_(&r->polls);
    ipc_shm_close(&r->seg);
    free(r);
    ch->ring = NULL;
    ch->quick_out = NULL;
    ch->quick_in = NULL;
}

/* What the segment takes for our directions. */
IPC_INLINE size_t ipc_channel_ring_size_(const struct ipc_channel *ch)
{
    return 2 * (ipc_channel_ring_bytes_(ch) + 4096);
}

IPC_INLINE int ipc_channel_ring_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    int listener = (ch->role & IPC_LISTEN) != 0, rc = ipc_channel_ring_new_(ch);
    struct ipc_shm *seg;

    if (rc != 0)
        return rc;
    if (ch->how.receivers > 1 && (ch->role & IPC_BOTH) == IPC_BOTH)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "ring: several receivers: one direction only: open two");
    seg = &ch->ring->seg;
    how.mode = ch->how.mode;
    ch->max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_RING_;
    rc = listener ? ipc_shm_create_with(seg, ch->address, ipc_channel_ring_size_(ch), &how)
                  : ipc_shm_open_with(seg, ch->address, deadline, &how);
    if (rc == -EACCES && !listener && ch->how.user != 0) {
        how.owner = ch->how.user;
        rc = ipc_shm_open_with(seg, ch->address, deadline, &how);
    }
    if (rc != 0)
        return ipc_channel_refuse_(ch,
                                   rc == -EEXIST   ? -EADDRINUSE
                                   : rc == -ENOENT ? -ETIMEDOUT
                                                   : rc,
                                   "ring: %s", ipc_shm_why(seg));
    rc = ipc_channel_ring_attach_(ch, listener);
    return rc == -ENOENT ? -ETIMEDOUT : rc;
}

/* Sleeps on the bell until `held` is held by another, `ready` holds or the deadline. 1: ready; or
 * why not: as the calls of typed rings. */
#define IPC_CHANNEL_SLEEP_(bell, other, held, ready)                                               \
    for (;;) {                                                                                     \
        uint64_t holder = ck_pr_load_64(held);                                                     \
        int woken;                                                                                 \
                                                                                                   \
        if (ready)                                                                                 \
            break;                                                                                 \
        if (holder == 0 && *(other) != 0) {                                                        \
            *(other) = 0;                                                                          \
            rc = -EPIPE;                                                                           \
            break;                                                                                 \
        }                                                                                          \
        *(other) = holder == (bell)->told ? 0 : holder;                                            \
        if (deadline <= IPC_NOW) {                                                                 \
            rc = -ETIMEDOUT;                                                                       \
            break;                                                                                 \
        }                                                                                          \
        ipc_notify_watch((bell), holder);                                                          \
        woken = r->sem >= 0                                                                        \
                    ? IPC_CHANNEL_SEM_(bell, (ready) || ck_pr_load_64(held) != holder)             \
                    : ipc_wait((bell), deadline, (ready) || ck_pr_load_64(held) != holder);        \
        if (woken == -EOWNERDEAD)                                                                  \
            *(other) = 0;                                                                          \
        if (woken != 0)                                                                            \
            rc = woken;                                                                            \
        if (woken != 0 || rc != -EAGAIN)                                                           \
            break;                                                                                 \
        if (ipc_left_(deadline) == 0) { /* a hostile peer may rewrite the holder all the time */   \
            rc = -ETIMEDOUT;                                                                       \
            break;                                                                                 \
        }                                                                                          \
    }

IPC_INLINE int ipc_channel_report_ring_end_(struct ipc_channel *ch, int rc)
{
    return rc == -EPIPE || rc == -EOWNERDEAD
               ? ipc_channel_refuse_(ch, rc, "%s:%s: the other side %s", ch->kind->scheme,
                                     ch->address, rc == -EPIPE ? "is gone" : "was killed")
           : rc == -EBADMSG ? ipc_channel_refuse_(ch, rc, "%s:%s: the shared memory is corrupt",
                                                  ch->kind->scheme, ch->address)
                            : rc;
}

IPC_INLINE int ipc_channel_ring_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    uint64_t *held = &r->out.ring->end[1], reader = ck_pr_load_64(held);
    int rc;

    if (reader != r->reader && reader == 0) { /* told once; then for the next */
        r->reader = 0;
        return ipc_channel_report_ring_end_(ch, -EPIPE);
    }
    rc = ipc_record_push(&r->out, message, n);
    if (rc == -EAGAIN)
        IPC_CHANNEL_SLEEP_(&r->out_space, &r->reader, held,
                           (rc = ipc_record_push(&r->out, message, n)) != -EAGAIN)
    if (rc != 0)
        return ipc_channel_report_ring_end_(ch, rc);
    ipc_channel_ring_post_(r, &r->out_data);
    ch->quick_out = r->sem < 0 ? &r->out : NULL;
    return 0;
}

IPC_INLINE int64_t ipc_channel_ring_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    uint64_t nobody = 0, *held = r->alone ? &r->in.ring->end[0] : &nobody;
    int64_t rc;
    int published = 0;

    rc = ipc_record_take_(&r->in, to, size, &published);
    if (rc == -EAGAIN) {
        /* What was taken is published now: the other side may wait for that. */
        r->in.untold = 0;
        ipc_channel_ring_post_(r, &r->space);
        IPC_CHANNEL_SLEEP_(&r->data, &r->writer, held,
                           (rc = ipc_record_take_(&r->in, to, size, &published)) != -EAGAIN)
    }
    if (r->in.untold) { /* also by a look before this one, that found nothing */
        r->in.untold = 0;
        ipc_channel_ring_post_(r, &r->space);
    }
    if (rc >= 0) {
        r->writer |= r->alone && r->writer == 0; /* whoever it was */
        ch->next = 0;
    }
    ch->quick_in = r->sem < 0 && (r->writer != 0 || !r->alone) && rc != -EMSGSIZE ? &r->in : NULL;
    if (rc >= 0)
        return rc;
    if (rc == -EMSGSIZE && ipc_record_look_(&r->in, &ch->next) == 0)
        return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", ch->next, size);
    return ipc_channel_report_ring_end_(ch, (int)rc);
}

/* What the dead had in their hands goes on; who waits for it is woken. */
IPC_INLINE int ipc_channel_put_one_(struct ipc_channel_ring_ *r, const void *message, uint64_t n)
{
    unsigned char *slot;

    if (ipc_notify_anyone_died(&r->out_space) && ipc_mpmc_producer_recover(&r->put, 0) > 0)
        ipc_channel_ring_post_(r, &r->out_data);
    slot = (unsigned char *)ipc_mpmc_claim(&r->put);
    if (slot == NULL)
        return ipc_mpmc_producer_error(&r->put) != 0 ? ipc_mpmc_producer_error(&r->put) : -EAGAIN;
    memcpy(slot, &n, sizeof n);
    if (n > 0)
        memcpy(slot + IPC_CHANNEL_HEADER_, message, (size_t)n);
    return ipc_mpmc_commit(&r->put); /* -EAGAIN: it stays claimed */
}

IPC_INLINE int64_t ipc_channel_take_one_(struct ipc_channel *ch, void *to, size_t size)
{
    struct ipc_channel_ring_ *r = ch->ring;
    const unsigned char *slot;
    uint64_t n;

    if (ipc_notify_anyone_died(&r->data) && ipc_mpmc_consumer_recover(&r->take, 0) > 0) {
        ipc_channel_ring_post_(r, &r->data);
        ipc_channel_ring_post_(r, &r->space);
    }
    slot = (const unsigned char *)ipc_mpmc_peek(&r->take);
    if (slot == NULL)
        return ipc_mpmc_consumer_error(&r->take) != 0 ? ipc_mpmc_consumer_error(&r->take) : -EAGAIN;
    memcpy(&n, slot, sizeof n);
    if (n > ch->max)
        return -EBADMSG;
    ch->next = n > size ? (size_t)n : 0;
    if (n > size)
        return -EMSGSIZE;
    if (n > 0)
        memcpy(to, slot + IPC_CHANNEL_HEADER_, (size_t)n);
    (void)ipc_mpmc_release(&r->take);
    return (int64_t)n;
}

IPC_INLINE int ipc_channel_share_send_(struct ipc_channel *ch, const void *message, size_t n,
                                       int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    uint64_t nobody = 0, *held = &nobody;
    int rc;

    if (r->put.m.ring == NULL)
        return ipc_channel_ring_send_(ch, message, n, deadline);
    rc = ipc_channel_put_one_(r, message, n);
    if (rc == -EAGAIN)
        IPC_CHANNEL_SLEEP_(&r->out_space, &r->reader, held,
                           (rc = ipc_channel_put_one_(r, message, n)) != -EAGAIN)
    ipc_mpmc_cancel(&r->put); /* what was not sent */
    ipc_channel_ring_post_(r, rc == 0 ? &r->out_data : &r->out_space);
    return rc == 0 ? 0 : ipc_channel_report_ring_end_(ch, rc);
}

IPC_INLINE int64_t ipc_channel_share_recv_(struct ipc_channel *ch, void *to, size_t size,
                                           int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    uint64_t nobody = 0, *held;
    int64_t rc;

    if (r->take.m.ring == NULL)
        return ipc_channel_ring_recv_(ch, to, size, deadline);
    held = r->alone ? &r->take.m.ring->end[0] : &nobody;
    rc = ipc_channel_take_one_(ch, to, size);
    if (rc == -EAGAIN)
        IPC_CHANNEL_SLEEP_(&r->data, &r->writer, held,
                           (rc = ipc_channel_take_one_(ch, to, size)) != -EAGAIN)
    if (rc == -EMSGSIZE)
        return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", ch->next, size);
    if (rc < 0)
        return ipc_channel_report_ring_end_(ch, (int)rc);
    r->writer |= r->alone && r->writer == 0;
    ipc_channel_ring_post_(r, &r->space);
    return rc;
}

/* A segment of ring: has the magic of ipc_shm.h, and its first object is one of our rings. It has
 * no object where its listener was killed before it made one. */
IPC_INLINE int ipc_channel_ring_unlink_(struct ipc_channel *ch)
{
    size_t at = offsetof(struct ipc_shm_header_, entry) + offsetof(struct ipc_shm_entry_, name);
    char path[sizeof IPC_SHM_DIR_ + NAME_MAX], object[IPC_SHM_NAME_MAX + 1];
    struct ipc_shm unused;
    int rc = ipc_shm_path_(&unused, path, sizeof path, ch->address);
    uint64_t magic = 0;
    int64_t n;

    if (rc != 0)
        return rc;
    n = ipc_channel_read_at_(path, &magic, sizeof magic, 0);
    if (n >= 0)
        n = ipc_channel_read_at_(path, object, sizeof object, at);
    if (n < 0)
        return (int)n;
    if (magic != IPC_SHM_MAGIC || n < (int64_t)sizeof object ||
        (*object != '\0' && strcmp(object, "to") != 0 && strcmp(object, "from") != 0 &&
         strcmp(object, "shared") != 0))
        return -EPROTO;
    return ipc_channel_remove_(path, S_IFREG);
}

#endif

/* >>sysvshm  src/channel/sysvshm.h */
/* sysvshm:. */
#ifndef IPC_SRC_CHANNEL_SYSVSHM_H
#define IPC_SRC_CHANNEL_SYSVSHM_H 1

/* ------------------------------------------------------------------ System V memory */

/* A line with a count of ids, then "to" and "from", each half of the rest. Of the semaphores the
 * first four are the rings' bells, to sleep on; the others say who is there, the listener and the
 * other: 1 while he is, as the kernel takes it back at his death. */
struct ipc_channel_sysv_ {
    uint64_t ids;
    unsigned char pad[56];
};

/* struct ipc_peer's: an id is a count, and the number of its semaphore. */
IPC_INLINE int ipc_channel_sem_alive_(void *arg, uint64_t id)
{
    return semctl(((const struct ipc_channel_ring_ *)arg)->sem, (int)(id % 8), GETVAL) != 0;
}

/* Takes our side's place. */
IPC_INLINE int ipc_channel_sem_take_place_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct sembuf sit[2] = {{0, 0, IPC_NOWAIT}, {0, 1, IPC_NOWAIT | SEM_UNDO}};

    sit[0].sem_num = sit[1].sem_num = (unsigned short)(listener ? 4 : 5);
    if (semop(r->sem, sit, 2) != 0)
        return errno == EAGAIN
                   ? ipc_channel_refuse_(ch, -EADDRINUSE, "sysvshm: another is at %s", ch->address)
                   : ipc_channel_refuse_errno_(ch, "take a place at");
    r->place = sit[0].sem_num;
    r->me.alive = ipc_channel_sem_alive_;
    r->me.arg = r;
    r->me.id = (ck_pr_faa_64(&((struct ipc_channel_sysv_ *)(void *)r->mem)->ids, 1) + 1) %
                   (UINT64_MAX / 16) * 8 +
               r->place;
    return 0;
}

/* One of the rings, which the listener makes. Whoever has our end is dead. */
IPC_INLINE int ipc_channel_sem_make_ring_(struct ipc_channel *ch, struct ipc_shm_object *ring,
                                          int listener, unsigned role)
{
    struct ipc_spsc_shared *shared = (struct ipc_spsc_shared *)ring->mem;
    uint64_t capacity = ipc_channel_lane_(ch->max), there = ck_pr_load_64(&shared->is.capacity);

    ck_pr_store_64(&shared->end[role == IPC_RECV], 0);
    /* What a killed one left goes on, if it is as large. */
    return listener && (there != capacity || ck_pr_load_64(&shared->is.magic) != IPC_RECORD_MAGIC)
               ? ipc_record_init(ring->mem, ring->size, capacity, 1)
               : 0;
}

/* Bytes for each ring in a segment of that size. */
IPC_INLINE size_t ipc_channel_shm_half_(size_t size)
{
    return (size - IPC_CHANNEL_SYSV_HEAD_) / 2 & ~(size_t)63;
}

/* Bytes of a segment with two rings of that capacity. */
IPC_INLINE size_t ipc_channel_shm_size_(uint64_t capacity)
{
    return IPC_CHANNEL_SYSV_HEAD_ + 2 * ipc_record_footprint(capacity, 1);
}

/* The capacity of the rings in a segment of that size, or 0: sysvshm: makes none of that size. */
IPC_INLINE uint64_t ipc_channel_shm_capacity_(size_t size)
{
    uint64_t capacity = ipc_channel_lane_(0), last = ipc_channel_lane_(UINT32_MAX / 2);

    while (capacity < last && ipc_channel_shm_size_(capacity) < size)
        capacity *= 2;
    return ipc_channel_shm_size_(capacity) == size ? capacity : 0;
}

/* Has sysvshm: made this segment? Then its size is that of two rings, and one of them is a ring of
 * records, or none was made yet. 1, 0, or what the kernel says. Writes nothing. */
IPC_INLINE int ipc_channel_shm_is_ours_(int id)
{
    const struct ipc_spsc_shared *ring;
    const unsigned char *mem;
    uint64_t magic[2];
    struct shmid_ds is;
    size_t i;

    if (shmctl(id, IPC_STAT, &is) != 0)
        return -errno;
    if (ipc_channel_shm_capacity_(is.shm_segsz) == 0)
        return 0;
    mem = (const unsigned char *)shmat(id, NULL, SHM_RDONLY);
    if (mem == (const unsigned char *)-1)
        return -errno;
    for (i = 0; i < 2; i++) {
        ring =
            (const struct ipc_spsc_shared *)(const void *)(mem + IPC_CHANNEL_SYSV_HEAD_ +
                                                           i * ipc_channel_shm_half_(is.shm_segsz));
        magic[i] = ck_pr_load_64(&ring->is.magic);
    }
    (void)shmdt(mem);
    return magic[0] == IPC_RECORD_MAGIC || magic[1] == IPC_RECORD_MAGIC ||
           (magic[0] | magic[1]) == 0;
}

IPC_INLINE int ipc_channel_shm_refuse_(struct ipc_channel *ch)
{
    return ipc_channel_refuse_(ch, -EPROTO, "sysvshm: %s is something else", ch->address);
}

/* May we use the segment that was found? */
IPC_INLINE int ipc_channel_shm_check_(struct ipc_channel *ch, int id, struct shmid_ds *is)
{
    struct stat st;
    int rc;

    if (shmctl(id, IPC_STAT, is) != 0)
        return ipc_channel_refuse_errno_(ch, "read the mode of");
    memset(&st, 0, sizeof st);
    st.st_uid = is->shm_perm.uid;
    st.st_mode = is->shm_perm.mode;
    rc = ipc_channel_check_owner_(ch, &st, 0);
    if (rc == 0 && ipc_channel_shm_capacity_(is->shm_segsz) == 0)
        rc = ipc_channel_shm_refuse_(ch);
    return rc;
}

IPC_INLINE int ipc_channel_shm_find_(struct ipc_channel *ch, key_t key, int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    size_t size = ipc_channel_shm_size_(ipc_channel_lane_(ch->max));
    int flags = (ch->role & IPC_LISTEN) != 0 ? IPC_CREAT | (int)ch->how.mode : 0, id, rc, error;
    struct shmid_ds is;

    for (;;) {
        id = shmget(key, flags != 0 ? size : 0, flags);
        if (id >= 0 && (rc = ipc_channel_shm_check_(ch, id, &is)) != 0)
            return rc;
        if (id >= 0 && (r->sem = semget(key, flags != 0 ? 6 : 0, flags)) >= 0)
            break;
        error = errno;
        if (id < 0 && error == EINVAL && flags != 0 && (id = shmget(key, 0, 0)) >= 0) {
            rc = ipc_channel_shm_is_ours_(id);
            if (rc == 0)
                return ipc_channel_shm_refuse_(ch);
            if (rc > 0 && shmctl(id, IPC_STAT, &is) == 0 && is.shm_nattch == 0 &&
                shmctl(id, IPC_RMID, NULL) == 0)
                continue; /* a smaller one of ours, that nobody uses */
        }
        errno = error;
        if (error != ENOENT || flags != 0)
            return ipc_channel_refuse_errno_(ch, "open");
        rc = ipc_channel_nap_(deadline);
        if (rc != 0)
            return rc == -EINTR ? rc
                                : ipc_channel_refuse_(ch, rc,
                                                      "sysvshm: nothing at %s until the "
                                                      "deadline",
                                                      ch->address);
    }
    r->mem = (unsigned char *)shmat(id, NULL, 0);
    if (r->mem == (unsigned char *)-1) {
        r->mem = NULL;
        return ipc_channel_refuse_errno_(ch, "attach to");
    }
    r->half = ipc_channel_shm_half_(is.shm_segsz);
    return 0;
}

IPC_INLINE int ipc_channel_shm_open_(struct ipc_channel *ch, int64_t deadline)
{
    int listener = (ch->role & IPC_LISTEN) != 0, rc = ipc_channel_ring_new_(ch), i;
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_shm_object ring[2];
    key_t key;

    rc = rc == 0 ? ipc_channel_read_key_(ch, &key) : rc;
    ch->max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_RING_;
    rc = rc == 0 ? ipc_channel_shm_find_(ch, key, deadline) : rc;
    if (rc != 0)
        return rc;
    rc = ipc_channel_sem_take_place_(ch, listener);
    for (i = 0; i < 2; i++) {
        unsigned role = (i == 0) == listener ? IPC_RECV : IPC_SEND;

        ring[i].mem = r->mem + IPC_CHANNEL_SYSV_HEAD_ + (size_t)i * r->half;
        ring[i].size = r->half;
        if (rc == 0 && (ch->role & role) != 0)
            rc = ipc_channel_sem_make_ring_(ch, &ring[i], listener, role);
    }
    if (rc == 0)
        while ((rc = ipc_channel_ring_attach_ends_(ch, listener, &ring[0], &ring[1], &r->me)) ==
                   -EAGAIN &&
               (rc = ipc_channel_nap_(deadline)) == 0)
            ;
    if (rc != 0)
        return *ch->why != '\0' ? rc
                                : ipc_channel_refuse_(ch, rc == -EBUSY ? -EADDRINUSE : rc,
                                                      "sysvshm:%s: %s", ch->address,
                                                      rc == -EBUSY         ? "another is there"
                                                      : *r->me.why != '\0' ? r->me.why
                                                                           : strerror(-rc));
    ipc_channel_ring_post_(r, &r->out_data);
    ipc_channel_ring_post_(r, &r->space);
    return 0;
}

IPC_INLINE int ipc_channel_shm_unlink_(struct ipc_channel *ch)
{
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key), shm, sem;

    if (rc != 0)
        return rc;
    shm = shmget(key, 0, 0);
    if (shm < 0)
        return -errno;
    rc = ipc_channel_shm_is_ours_(shm);
    if (rc <= 0)
        return rc < 0 ? rc : -EPROTO;
    /* Semaphores have no mark; six of them beside a segment of ours are ours. They are removed
     * first: without the segment no later call would know them. */
    sem = semget(key, 7, 0) < 0 ? semget(key, 6, 0) : -1;
    rc = sem >= 0 && semctl(sem, 0, IPC_RMID) != 0 ? -errno : 0;
    return shmctl(shm, IPC_RMID, NULL) != 0 ? -errno : rc;
}

#endif

/* >>auto  src/channel/auto.h */
/* auto:, from a socket to a ring. */
#ifndef IPC_SRC_CHANNEL_AUTO_H
#define IPC_SRC_CHANNEL_AUTO_H 1

/* ------------------------------------------------------------------ from a socket to a ring */

/*
 * What the two say to each other on the socket before the first message. Any answer that is none,
 * is not for what was offered, or comes in another order ends the connection.
 *
 *     other: OFFER version, can take a ring, largest message
 *     listener: ANSWER lower version, 1: a ring, 0: the socket, smaller message
 *               if a ring: the segment (ipc_shm_send), the bells' descriptors (ipc_notify_send_fd)
 *     other: CHOICE 1: in the ring from now on; 0: could not take it
 */
struct ipc_channel_hello_ {
    uint64_t magic;
    uint32_t version;
    uint32_t ring;
    uint64_t max;
};

#define IPC_CHANNEL_MAGIC_ UINT64_C(0x316f7475615f6369) /* "ic_auto1" */
#define IPC_CHANNEL_HELLO_NS_ INT64_C(100000000) /* ns that one who says nothing has to himself */
#define IPC_CHANNEL_VERSION_ 1u

IPC_INLINE int ipc_channel_send_hello_(struct ipc_channel *ch, uint32_t ring)
{
    struct ipc_channel_hello_ hello;

    memset(&hello, 0, sizeof hello);
    hello.magic = IPC_CHANNEL_MAGIC_;
    hello.version = IPC_CHANNEL_VERSION_;
    hello.ring = ring;
    hello.max = ch->max;
    /* The socket is empty: there is room, or something is wrong. */
    return send(ch->out, &hello, sizeof hello, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof hello
               ? 0
               : -EPIPE;
}

/* Waits for more of an offer, which a client makes as soon as it has connected: one who does not is
 * left for the next one that waits. */
IPC_INLINE int ipc_channel_wait_for_hello_(struct ipc_channel *ch, int64_t deadline)
{
    int64_t until = ch->came_at + IPC_CHANNEL_HELLO_NS_;
    struct pollfd p[2];
    int rc, over;

    p[0].fd = ch->in;
    p[0].events = p[1].events = POLLIN;
    do {
        over = ipc_left_(until) == 0;
        p[1].fd = over ? ch->listener : -1;
        p[1].revents = 0;
        rc = ipc_channel_poll_(p, 2, over || deadline < until ? deadline : until);
    } while (rc == -ETIMEDOUT && !over && ipc_left_(deadline) > 0);
    return rc == 0 && p[0].revents == 0 ? -EPIPE : rc;
}

/* What the other says, in which `ring` may be at most so much; no byte behind it is read. */
IPC_INLINE int ipc_channel_recv_hello_(struct ipc_channel *ch, uint32_t most, uint32_t *ring,
                                       int64_t deadline)
{
    struct ipc_channel_hello_ hello;
    struct iovec io;
    int64_t rc;

    while (ch->rx.end < sizeof hello) {
        io.iov_base = ch->rx.data + ch->rx.end;
        io.iov_len = sizeof hello - ch->rx.end;
        rc = ch->listener >= 0 && ch->step == 0 ? ipc_channel_wait_for_hello_(ch, deadline) : 0;
        rc = rc == 0 ? ipc_channel_read_some_(ch, &io, 1, deadline) : rc;
        if (rc < 0)
            return (int)rc;
        ch->rx.end += (size_t)rc;
    }
    memcpy(&hello, ch->rx.data, sizeof hello);
    ch->rx.end = 0;
    if (hello.magic != IPC_CHANNEL_MAGIC_ || hello.version == 0 || hello.ring > most ||
        hello.max == 0 || hello.max > UINT32_MAX / 2)
        return -EBADMSG;
    ch->max = hello.max < ch->max ? (size_t)hello.max : ch->max;
    *ring = hello.ring;
    return 0;
}

/* A sealed segment with our ends of the rings, or none. */
IPC_INLINE int ipc_channel_make_offer_(struct ipc_channel *ch)
{
    size_t max = ch->max;
    int rc = ipc_channel_ring_new_(ch);

    rc = rc == 0 ? ipc_shm_create(&ch->ring->seg, NULL, ipc_channel_ring_size_(ch)) : rc;
    rc = rc == 0 ? ipc_channel_ring_attach_(ch, 1) : rc;
    ch->max = max;
    if (rc == 0 && (((ch->role & IPC_RECV) != 0 && ipc_notify_fd(&ch->ring->data) < 0) ||
                    ((ch->role & IPC_SEND) != 0 && ipc_notify_fd(&ch->ring->out_data) < 0)))
        rc = -EMFILE;
    if (rc != 0)
        ipc_channel_ring_leave_(ch);
    return rc;
}

/* The listener's side. 0: agreed. */
IPC_INLINE int ipc_channel_answer_offer_(struct ipc_channel *ch, int64_t deadline)
{
    uint32_t ring = 0;
    int rc;

    if (ch->step == 0) {
        rc = ipc_channel_recv_hello_(ch, 1, &ring, deadline);
        if (rc != 0)
            return rc;
        ring = ring != 0 && ipc_channel_make_offer_(ch) == 0;
        rc = ipc_channel_send_hello_(ch, ring);
        if (rc == 0 && ring != 0)
            rc = ipc_shm_send(&ch->ring->seg, ch->out);
        if (rc == 0 && ring != 0 && (ch->role & IPC_RECV) != 0)
            rc = ipc_notify_send_fd(&ch->ring->data, ch->out);
        if (rc == 0 && ring != 0 && (ch->role & IPC_SEND) != 0)
            rc = ipc_notify_send_fd(&ch->ring->out_data, ch->out);
        if (rc != 0)
            return -EPIPE;
        ch->step = 1;
    }
    rc = ipc_channel_recv_hello_(ch, ch->ring != NULL, &ring, deadline);
    if (rc == 0 && ring == 0)
        ipc_channel_ring_leave_(ch);
    return rc;
}

/* The other's side. Steps are gone on with where a deadline has cut them off. */
IPC_INLINE int ipc_channel_take_answer_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_ring_ *r;
    uint32_t ring = 0;
    size_t max;
    int rc = 0, fd;

    if (ch->step == 0 && (rc = ipc_channel_send_hello_(ch, 1)) == 0)
        ch->step = 1;
    if (ch->step == 1 && rc == 0 && (rc = ipc_channel_recv_hello_(ch, 1, &ring, deadline)) == 0) {
        if (ring == 0)
            return ipc_channel_send_hello_(ch, 0);
        rc = ipc_channel_ring_new_(ch);
        ch->step = 2;
    }
    r = ch->ring;
    if (ch->step == 2 && rc == 0) {
        rc = ipc_shm_recv(&r->seg, ch->in, deadline);
        if (rc == -ETIMEDOUT || rc == -EPIPE)
            return rc;
        r->seg.deadline = IPC_NOW; /* it is whole */
        max = ch->max;
        r->unable = rc != 0 || ipc_channel_ring_attach_(ch, 0) != 0;
        ch->max = max;
        rc = 0;
        ch->step = 3;
    }
    /* They come in any case. */
    for (; rc == 0 && ch->step < 5; ch->step += rc == 0) {
        struct ipc_notify none, *bell = ch->step == 3 ? &r->out_data : &r->data;

        if ((ch->role & (ch->step == 3 ? IPC_SEND : IPC_RECV)) == 0)
            continue;
        if (!r->unable) {
            rc = ipc_notify_recv_fd(bell, ch->in, deadline);
            if (rc != -ETIMEDOUT && rc != -EINTR && rc != -EPIPE && rc != 0)
                rc = -EBADMSG;
            continue;
        }
        /* With a bell of nobody's: the descriptor is closed with it. */
        (void)ipc_notify_init(&r->spare, sizeof r->spare, IPC_NOTIFY_EVENTFD);
        (void)ipc_notify_attach(&none, &r->spare, sizeof r->spare, IPC_NOTIFY_EVENTFD, NULL);
        rc = ipc_notify_recv_fd(&none, ch->in, deadline);
        ipc_notify_detach(&none);
    }
    if (rc != 0)
        return rc;
    fd = r->unable;
    if (fd)
        ipc_channel_ring_leave_(ch);
    return ipc_channel_send_hello_(ch, !fd);
}

/* Somebody is there, and it is agreed where to go on. */
IPC_INLINE int ipc_channel_auto_meet_(struct ipc_channel *ch, int64_t deadline)
{
    int rc = 0;

    do {
        if (ch->in < 0) {
            ipc_channel_ring_leave_(ch);
            ch->step = 0;
            ch->max = ch->how.max;
            rc = (ch->state & IPC_CHANNEL_ACCEPTED_) != 0 ? -EPIPE
                                                          : ipc_channel_socket_meet_(ch, deadline);
            ch->came_at = ipc_clock();
        }
        if (rc != 0 || ch->step == IPC_CHANNEL_AGREED_)
            return rc;
        rc = ch->server ? ipc_channel_answer_offer_(ch, deadline)
                        : ipc_channel_take_answer_(ch, deadline);
        if (rc == 0)
            ch->step = IPC_CHANNEL_AGREED_;
        if (rc == 0 || rc == -ETIMEDOUT || rc == -EINTR)
            return rc;
        ipc_channel_ring_leave_(ch);
        (void)ipc_channel_lose_peer_(ch, rc == -EOWNERDEAD ? -EPIPE : rc);
        /* A listener goes on with the next one, as if this one had not come. */
    } while (ch->listener >= 0 && ipc_left_(deadline) > 0);
    return ch->listener >= 0 ? -ETIMEDOUT : rc == -EOWNERDEAD ? -EPIPE : rc;
}

IPC_INLINE int ipc_channel_auto_open_(struct ipc_channel *ch, int64_t deadline)
{
    char *name;
    int rc;

    /* A name without a folder is in the abstract namespace. */
    if (strchr(ch->address, '/') == NULL && ch->address[0] != '@') {
        name = (char *)malloc(strlen(ch->address) + 11);
        if (name == NULL)
            return -ENOMEM;
        (void)sprintf(name, "@ipc-auto-%s", ch->address);
        free(ch->address);
        ch->address = name;
    }
    /* As large as over a ring, also where it becomes none. */
    ch->how.max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_RING_;
    ch->max = ch->how.max;
    ch->server = (ch->role & IPC_LISTEN) != 0;
    rc = ipc_channel_socket_open_(ch, deadline);
    if (rc == 0 && !ch->server) /* if it fails, the first call says why */
        ch->step = ipc_channel_send_hello_(ch, 1) == 0;
    return rc;
}

/* A name without a folder has no file. */
IPC_INLINE int ipc_channel_auto_unlink_(struct ipc_channel *ch)
{
    return strchr(ch->address, '/') == NULL ? -EOPNOTSUPP : ipc_channel_socket_unlink_(ch);
}

/* A killed one is told as one that has closed: a socket could not tell, and it is to be the same.
 */
IPC_INLINE int ipc_channel_auto_end_(struct ipc_channel *ch, int rc)
{
    if (rc == -EPIPE || rc == -EOWNERDEAD || rc == -EBADMSG) {
        ipc_channel_ring_leave_(ch);
        return ipc_channel_lose_peer_(ch, rc == -EOWNERDEAD ? -EPIPE : rc);
    }
    return rc;
}

IPC_INLINE int ipc_channel_auto_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    int rc;

    if (CK_CC_UNLIKELY(ch->step != IPC_CHANNEL_AGREED_ || ch->in < 0)) {
        rc = ipc_channel_auto_meet_(ch, deadline);
        if (rc != 0)
            return rc;
        if (n > ch->max) /* what the other can take */
            return ipc_channel_refuse_(ch, -EMSGSIZE, "auto: a message of %zu bytes: at most %zu",
                                       n, ch->max);
    }
    if (CK_CC_UNLIKELY(ch->ring == NULL))
        return ipc_channel_stream_send_(ch, message, n, deadline);
    rc = ipc_channel_ring_send_(ch, message, n, deadline);
    /* What the other had sent before is still there to be received. */
    if (CK_CC_UNLIKELY(rc == -EPIPE || rc == -EOWNERDEAD) && (ch->role & IPC_RECV) == 0)
        return ipc_channel_auto_end_(ch, rc);
    return rc == -EOWNERDEAD ? -EPIPE : rc;
}

/* Nothing is in the ring: says -ETIMEDOUT, and sees to it that the descriptor of ipc_channel_fd
 * tells of what comes from now on, or that the other side's end is told. */
IPC_INLINE int64_t ipc_channel_auto_arm_(struct ipc_channel *ch, void *to, size_t size)
{
    struct ipc_channel_ring_ *r = ch->ring;
    char byte;
    int gone;
    int64_t rc;

    ipc_notify_drain(&r->data);
    ipc_notify_arm(&r->data);
    gone = recv(ch->in, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    rc = ipc_channel_ring_recv_(ch, to, size, IPC_NOW);
    return rc == -ETIMEDOUT && gone ? -EPIPE : rc;
}

IPC_INLINE int64_t ipc_channel_auto_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    int64_t rc;

    if (CK_CC_UNLIKELY(ch->step != IPC_CHANNEL_AGREED_ || ch->in < 0) &&
        (rc = ipc_channel_auto_meet_(ch, deadline)) != 0)
        return rc;
    if (CK_CC_UNLIKELY(ch->ring == NULL)) {
        rc = ipc_channel_stream_recv_(ch, to, size, deadline);
        return rc == -EOWNERDEAD ? ipc_channel_auto_end_(ch, -EPIPE) : rc;
    }
    rc = ipc_channel_ring_recv_(ch, to, size, deadline);
    if (CK_CC_LIKELY(rc >= 0))
        return rc;
    if (rc == -ETIMEDOUT && ch->ring->polls >= 0 && deadline == IPC_NOW)
        rc = ipc_channel_auto_arm_(ch, to, size);
    return rc < 0 ? ipc_channel_auto_end_(ch, (int)rc) : rc;
}

/* Readable when the bell has rung, or the other side is gone. */
IPC_INLINE int ipc_channel_auto_fd_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct epoll_event e;
    int bell = ipc_notify_fd(&r->data);

    if (bell < 0)
        return ch->in; /* who only sends */
    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    if (r->polls < 0 && (r->polls = epoll_create1(EPOLL_CLOEXEC)) >= 0 &&
        (epoll_ctl(r->polls, EPOLL_CTL_ADD, bell, &e) != 0 ||
         epoll_ctl(r->polls, EPOLL_CTL_ADD, ch->in, &e) != 0))
        ipc_channel_close_fd_(&r->polls);
    return r->polls >= 0 ? r->polls : -errno;
}

#endif

/* >>open  src/channel/open.h */
/* Open and close. */
#ifndef IPC_SRC_CHANNEL_OPEN_H
#define IPC_SRC_CHANNEL_OPEN_H 1

/* ------------------------------------------------------------------ open and close */

IPC_INLINE int ipc_channel_nothing_(struct ipc_channel *ch, int64_t deadline)
{
    (void)ch, (void)deadline;
    return 0;
}

#define IPC_CHANNEL_STREAM_ ipc_channel_stream_send_, ipc_channel_stream_recv_
#define IPC_CHANNEL_PACKETS_ ipc_channel_packet_send_, ipc_channel_packet_recv_
#define IPC_CHANNEL_SOCKET_(io)                                                                    \
    ipc_channel_socket_open_, io, ipc_channel_socket_meet_, NULL, ipc_channel_socket_unlink_

/* Of the URI, whose rest goes to *address; NULL: none. */
IPC_INLINE const struct ipc_channel_kind_ *ipc_channel_find_kind_(const char *uri,
                                                                  const char **address)
{
    static const struct ipc_channel_kind_ kinds[] = {
        {"pipe", 0, 0, 0, ipc_channel_pipe_open_, IPC_CHANNEL_STREAM_, NULL, NULL, NULL},
        {"fifo", IPC_CHANNEL_ONE_WAY_, 0, 0, ipc_channel_fifo_open_, IPC_CHANNEL_STREAM_,
         ipc_channel_fifo_meet_, ipc_channel_fifo_open_end_, ipc_channel_fifo_unlink_},
        {"unix", 0, AF_UNIX, SOCK_STREAM, IPC_CHANNEL_SOCKET_(IPC_CHANNEL_STREAM_)},
        {"unix-seq", 0, AF_UNIX, SOCK_SEQPACKET, IPC_CHANNEL_SOCKET_(IPC_CHANNEL_PACKETS_)},
        {"unix-dgram", 0, AF_UNIX, SOCK_DGRAM, IPC_CHANNEL_SOCKET_(IPC_CHANNEL_PACKETS_)},
        {"tcp", 0, AF_INET, SOCK_STREAM, IPC_CHANNEL_SOCKET_(IPC_CHANNEL_STREAM_)},
        {"udp", 0, AF_INET, SOCK_DGRAM, IPC_CHANNEL_SOCKET_(IPC_CHANNEL_PACKETS_)},
        {"mq", IPC_CHANNEL_ONE_WAY_ | IPC_CHANNEL_PRIORITY_ | IPC_CHANNEL_DEPTH_, 0, 0,
         ipc_channel_mq_open_, ipc_channel_mq_send_, ipc_channel_mq_recv_, NULL, NULL,
         ipc_channel_mq_unlink_},
        {"sysv", IPC_CHANNEL_PRIORITY_ | IPC_CHANNEL_SELECT_, 0, 0, ipc_channel_sysv_open_,
         ipc_channel_sysv_send_, ipc_channel_sysv_recv_, ipc_channel_nothing_, NULL,
         ipc_channel_sysv_unlink_},
        {"file", IPC_CHANNEL_ONE_WAY_ | IPC_CHANNEL_OFFSET_, 0, 0, ipc_channel_log_open_,
         ipc_channel_log_send_, ipc_channel_log_recv_, NULL, NULL, ipc_channel_log_unlink_},
        {"auto", 0, AF_UNIX, SOCK_STREAM, ipc_channel_auto_open_, ipc_channel_auto_send_,
         ipc_channel_auto_recv_, ipc_channel_auto_meet_, NULL, ipc_channel_auto_unlink_},
        {"ring", IPC_CHANNEL_SENDERS_, 0, 0, ipc_channel_ring_open_, ipc_channel_share_send_,
         ipc_channel_share_recv_, ipc_channel_nothing_, NULL, ipc_channel_ring_unlink_},
        {"sysvshm", 0, 0, 0, ipc_channel_shm_open_, ipc_channel_ring_send_, ipc_channel_ring_recv_,
         ipc_channel_nothing_, NULL, ipc_channel_shm_unlink_},
        {"signal", IPC_CHANNEL_ONE_WAY_ | IPC_CHANNEL_PRIORITY_, 0, 0, ipc_channel_signal_open_,
         ipc_channel_signal_send_, ipc_channel_signal_recv_, NULL, NULL, NULL},
    };
    size_t i, n = strcspn(uri, ":");

    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (uri[n] == ':' && strlen(kinds[i].scheme) == n && memcmp(uri, kinds[i].scheme, n) == 0) {
            *address = uri + n + 1;
            return &kinds[i];
        }
    return NULL;
}

/* Leaves the channel, and stops listening; a socket's file goes with it, other things stay: see
 * ipc_channel_unlink. Gives what a deadline has cut off no time. Twice does nothing. */
IPC_INLINE void ipc_channel_close(struct ipc_channel *ch)
{
    struct stat st;

    if (ch->address != NULL && (ch->state & IPC_CHANNEL_FILE_) != 0 && ch->pid == getpid() &&
        lstat(ch->address, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == ch->ino)
        (void)unlink(ch->address);
    if (ch->kind != NULL) {
        ipc_channel_leave_peer_(ch);
        ipc_channel_ring_leave_(ch);
        ipc_channel_close_fd_(&ch->listener);
        ipc_channel_close_fd_(&ch->far_in);
        ipc_channel_close_fd_(&ch->far_out);
        free(ch->rx.data);
        free(ch->tx.data);
        free(ch->address);
    }
    ch->kind = NULL;
    ch->address = NULL;
    ch->rx.data = ch->tx.data = NULL;
}

/* A handle without anything. */
IPC_INLINE int ipc_channel_clear_(struct ipc_channel *ch, const struct ipc_channel_kind_ *kind,
                                  const char *address, const struct ipc_channel_options *how)
{
    memset(ch, 0, sizeof *ch);
    ch->in = ch->out = ch->listener = ch->far_in = ch->far_out = -1;
    ch->peer.uid = (uid_t)-1;
    ch->peer.gid = (gid_t)-1;
    ch->pid = getpid();
    if (kind == NULL)
        return ipc_channel_refuse_(
            ch, -EINVAL,
            "a URI begins with auto:, ring:, sysvshm:, pipe:, fifo:, unix:, unix-seq:, "
            "unix-dgram:, tcp:, udp:, mq:, sysv:, file: or "
            "signal:");
    ch->kind = kind;
    if (how != NULL)
        ch->how = *how;
    ch->how.mode = ch->how.mode != 0 ? ch->how.mode & 0777 : 0600;
    ch->priority = ch->how.priority;
    ch->select = ch->how.select;
    ch->max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_MAX_;
    ch->address = strdup(address);
    return ch->address != NULL ? 0 : -ENOMEM;
}

/* Memory for messages; untouched, it costs addresses only. */
IPC_INLINE int ipc_channel_allocate_buffers_(struct ipc_channel *ch)
{
    if (ch->rx.data != NULL)
        return 0;
    ch->rx.size = ch->max + IPC_CHANNEL_GULP_ + IPC_CHANNEL_RECORD_;
    ch->tx.size = ch->max + IPC_CHANNEL_RECORD_;
    ch->rx.data = (unsigned char *)malloc(ch->rx.size);
    ch->tx.data = (unsigned char *)malloc(ch->tx.size);
    return ch->rx.data != NULL && ch->tx.data != NULL
               ? 0
               : ipc_channel_refuse_(ch, -ENOMEM, "no memory for messages of %zu bytes", ch->max);
}

/* Can it do what is asked for? */
IPC_INLINE int ipc_channel_check_request_(struct ipc_channel *ch)
{
    const struct ipc_channel_options *how = &ch->how;
    unsigned can = ch->kind->can;
    const char *what = NULL;

    if ((ch->role & IPC_BOTH) == 0 || ch->role > (IPC_BOTH | IPC_LISTEN))
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "role %u is none of IPC_SEND, IPC_RECV, IPC_BOTH, "
                                   "with or without IPC_LISTEN",
                                   ch->role);
    if (how->max > UINT32_MAX / 2)
        return ipc_channel_refuse_(ch, -EINVAL, "messages of %zu bytes", how->max);
    if ((can & IPC_CHANNEL_ONE_WAY_) != 0 && (ch->role & IPC_BOTH) == IPC_BOTH)
        what = "one direction only: open two";
    else if ((can & IPC_CHANNEL_PRIORITY_) == 0 && how->priority != 0)
        what = "no priorities; mq: and sysv: have them";
    else if ((can & IPC_CHANNEL_SELECT_) == 0 && how->select != 0)
        what = "no receiving by type; sysv: has it";
    else if ((can & IPC_CHANNEL_DEPTH_) == 0 && how->depth != 0)
        what = "no number of messages that may be under way; mq: has it";
    else if ((can & IPC_CHANNEL_SENDERS_) == 0 && (how->senders != 0 || how->receivers != 0))
        what = "no number of senders or receivers; ring: has them";
    else if ((can & IPC_CHANNEL_OFFSET_) == 0 && how->offset != 0)
        what = "nothing to resume; file: can";
    return what == NULL ? 0
                        : ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: %s", ch->kind->scheme, what);
}

/*
 * Opens a channel: see the top for URIs. role: IPC_SEND, IPC_RECV or IPC_BOTH, and IPC_LISTEN on
 * one side. The other one waits until the deadline for it to listen, or to make what is at the URI
 * (a FIFO's sender also for a receiver); pipe: and udp: wait for nobody.
 *
 *   0
 *   -ETIMEDOUT   the other side was not there until the deadline; -EINTR: a signal handler ran
 *   -EINVAL      no such mechanism, role or address; or what signal: asks for
 *   -EOPNOTSUPP  the mechanism cannot do what is asked for
 *   -EACCES      it belongs to another user, permits more than options.mode, who is at the other
 *                end may not be there, or the kernel denies it
 *   -EADDRINUSE  another one listens there; -EBUSY: file: has a writer, ring: a peer already
 *   -EUSERS      ring: 256 senders and receivers share it already
 *   -EPROTO      what is there is something else, or a queue of another geometry
 *   -EBADMSG     file: is damaged in the middle; the sentence says where
 *   -EMSGSIZE    options.max is more than it carries
 *   -ENAMETOOLONG, -EADDRNOTAVAIL  the address
 *   -ESRCH       signal: no such process
 *   and what the kernel says of its limits: -EMFILE, -ENFILE, -ENOSPC, -ENOMEM, ...
 */
IPC_INLINE int ipc_channel_open_with(struct ipc_channel *ch, const char *uri, unsigned role,
                                     int64_t deadline, const struct ipc_channel_options *how)
{
    const char *address = "";
    const struct ipc_channel_kind_ *kind =
        uri != NULL ? ipc_channel_find_kind_(uri, &address) : NULL;
    int rc = ipc_channel_clear_(ch, kind, address, how);
    struct sigaction now;

    ch->role = role;
    rc = rc == 0 ? ipc_channel_check_request_(ch) : rc;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
        ch->state |= IPC_CHANNEL_SIGPIPE_IGNORED_;
    rc = rc == 0 ? kind->open(ch, deadline) : rc;
    rc = rc == 0 ? ipc_channel_allocate_buffers_(ch) : rc;
    if (rc != 0)
        ipc_channel_close(ch);
    return rc;
}

IPC_INLINE int ipc_channel_open(struct ipc_channel *ch, const char *uri, unsigned role,
                                int64_t deadline)
{
    return ipc_channel_open_with(ch, uri, role, deadline, NULL);
}

/*
 * Takes the next of several clients; `listener` stays as it is, and has only to be open with
 * IPC_LISTEN. The new channel is for that one alone, and closed by itself.
 *
 *   0
 *   -ETIMEDOUT, -EINTR   nobody came
 *   -EOPNOTSUPP          not unix:, unix-seq:, tcp: or auto:, or without IPC_LISTEN
 *   -EMFILE, -ENFILE, -ENOMEM  limits of the kernel
 */
IPC_INLINE int ipc_channel_accept(struct ipc_channel *listener, struct ipc_channel *ch,
                                  int64_t deadline)
{
    const char *address = listener->address != NULL ? listener->address : "";
    int rc = ipc_channel_clear_(ch, listener->kind, address, &listener->how);

    if (rc == 0 && (listener->kind->type == 0 || listener->listener < 0))
        rc = ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: no clients to be accepted here",
                                 listener->kind->scheme);
    ch->role = listener->role & IPC_BOTH;
    ch->server = 1;
    ch->state = IPC_CHANNEL_ACCEPTED_;
    rc = rc == 0 ? ipc_channel_accept_next_(listener, ch, deadline) : rc;
    rc = rc == 0 ? ipc_channel_allocate_buffers_(ch) : rc;
    if (rc != 0)
        ipc_channel_close(ch);
    return rc;
}

/*
 * Removes what is at the URI and outlives its processes: a FIFO, queue, log or segment, or a
 * socket's file. Removes nothing that the mechanism did not make. A FIFO and a socket's file are
 * known by their type, a log by its first record, a segment by its rings. A queue has no such mark:
 * any of that name or key is removed. Processes that have it open keep it, but for sysv: and the
 * semaphores of sysvshm:. Does not block.
 *
 *   0
 *   -ENOENT      nothing is there
 *   -EPROTO      something else is there, and stays: a file of another type, a symbolic link, a
 *                file that is no log, a segment without our rings or of another version; if it is
 *                to go: rm, ipcrm, ipc_shm_unlink
 *   -EOPNOTSUPP  the mechanism leaves nothing: pipe:, tcp:, udp:, signal:, unix: and auto: without
 *                a file
 *   -EINVAL      no such mechanism; no name, or none that it can have; -ENAMETOOLONG
 *   -EACCES, -EPERM  it belongs to others, or may not be read
 *   and what the kernel says of paths and its limits: -ENOTDIR, -EROFS, -EMFILE, -ENOMEM, ...
 */
IPC_INLINE int ipc_channel_unlink(const char *uri)
{
    struct ipc_channel ch;
    const char *address = "";
    const struct ipc_channel_kind_ *kind =
        uri != NULL ? ipc_channel_find_kind_(uri, &address) : NULL;
    int rc = ipc_channel_clear_(&ch, kind, address, NULL);

    if (rc == 0)
        rc = kind->unlink == NULL ? -EOPNOTSUPP : kind->unlink(&ch);
    ipc_channel_close(&ch);
    return rc;
}

#endif

/* >>io  src/channel/io.h */
/* Send and receive. */
#ifndef IPC_SRC_CHANNEL_IO_H
#define IPC_SRC_CHANNEL_IO_H 1

/* ------------------------------------------------------------------ send and receive */

/* Somebody is there, or comes until the deadline. */
IPC_INLINE int ipc_channel_meet_(struct ipc_channel *ch, unsigned role, int64_t deadline)
{
    if (ch->kind == NULL)
        return -EINVAL; /* ipc_channel_why has why */
    if ((ch->state & IPC_CHANNEL_UNUSED_) != 0)
        ipc_channel_pipe_choose_ends_(ch);
    if ((ch->role & role) == 0)
        return ipc_channel_refuse_(ch, -EINVAL, "%s: not opened to %s", ch->kind->scheme,
                                   role == IPC_SEND ? "send" : "receive");
    if ((role == IPC_SEND ? ch->out : ch->in) >= 0)
        return 0;
    if (ch->kind->meet == NULL || (ch->state & IPC_CHANNEL_ACCEPTED_) != 0)
        return ipc_channel_refuse_(ch, -EPIPE, "%s: the other side is gone", ch->kind->scheme);
    return ch->kind->meet(ch, deadline);
}

/* ... and after that: the calls, for all that is no ring in the middle of its messages. */
__attribute__((noinline, unused)) static int
ipc_channel_send_(struct ipc_channel *ch, const void *message, size_t n, int64_t deadline)
{
    int rc = ipc_channel_meet_(ch, IPC_SEND, deadline);

    if (rc == 0 && n > ch->max)
        rc = ipc_channel_refuse_(ch, -EMSGSIZE, "%s: a message of %zu bytes: at most %zu",
                                 ch->kind->scheme, n, ch->max);
    else if (rc == 0 && (ch->state & IPC_CHANNEL_CANNOT_SEND_) != 0)
        rc = -EPIPE;
    rc = rc == 0 ? ch->kind->send(ch, message, n, deadline) : rc;
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

__attribute__((noinline, unused)) static int64_t ipc_channel_recv_(struct ipc_channel *ch, void *to,
                                                                   size_t size, int64_t deadline)
{
    int64_t rc = ipc_channel_meet_(ch, IPC_RECV, deadline);

    rc = rc == 0 ? ch->kind->recv(ch, to, size, deadline) : rc;
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

/*
 * Sends message[0..n), n from 0 to max; where a large one may have to wait in the middle, see the
 * contract. Blocking; a peer that is stopped or killed holds it up until the deadline at most.
 *
 *   0
 *   -ETIMEDOUT    no room, or nobody there, until the deadline; nothing was sent
 *   -EINTR        a signal handler ran; nothing was sent
 *   -EMSGSIZE     n is more than the largest message; nothing was sent
 *   -EPIPE        the other side is gone, or signal:'s process, or the queue was removed;
 *                 -EOWNERDEAD where it is known to have been killed: ring:, sysvshm:
 *   -EDESTADDRREQ who listens to datagrams has nobody to answer yet
 *   -EPERM        signal: the process does not block the signal of this priority
 *   -ENOSPC       file: the disk is full; -EFBIG: RLIMIT_FSIZE. Nothing was sent
 *   -EINVAL       the channel is not open, or not to send; the priority is none
 *   and what open says while the next peer is waited for, and the kernel: -ENOMEM, ...
 */
IPC_FORCE_INLINE int ipc_channel_send(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_record_producer *out = ch->quick_out;

    /* One that nobody reads takes the long way, which tells that. */
    if (CK_CC_UNLIKELY(out == NULL || ck_pr_load_64(&out->ring->end[1]) == 0 || n > ch->max ||
                       ipc_record_push(out, message, n) != 0))
        return ipc_channel_send_(ch, message, n, deadline);
    if (CK_CC_UNLIKELY(ipc_notify_heeds_(out->ring->data_bell)))
        ipc_channel_ring_post_(ch->ring, &ch->ring->out_data);
    return 0;
}

/*
 * Receives the next message into to[0..size). Blocking, as ipc_channel_send.
 *
 *   >= 0         its length
 *   -ETIMEDOUT   none until the deadline; -EINTR: a signal handler ran
 *   -EMSGSIZE    it is larger than `size`, and stays: ipc_channel_info has its length
 *   -EPIPE       the other side is gone, and all it sent was received; or the queue was removed
 *   -EOWNERDEAD  the same, but it was killed, or crashed, in the middle of a message; ring:,
 *                sysvshm: anywhere
 *   -EBADMSG     garbage came; on a stream its sender was left. Datagrams, sysv: a message of more
 *                than `max` was dropped
 *   -EINVAL      the channel is not open, or not to receive
 *   and what open says while the next peer is waited for, and the kernel: -ENOMEM, ...
 */
IPC_FORCE_INLINE int64_t ipc_channel_recv(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    struct ipc_record_consumer *in = ch->quick_in;
    int published = 0;
    int64_t rc;

    if (CK_CC_UNLIKELY(in == NULL || (rc = ipc_record_take_(in, to, size, &published)) < 0))
        return ipc_channel_recv_(ch, to, size, deadline);
    if (CK_CC_UNLIKELY(published))
        ipc_channel_ring_post_(ch->ring, &ch->ring->space);
    return rc;
}

/* Sends the rest of a message that a deadline has cut off. 0: there is none left; -ETIMEDOUT,
 * -EINTR, -EPIPE, -EINVAL as of ipc_channel_send. */
IPC_INLINE int ipc_channel_flush(struct ipc_channel *ch, int64_t deadline)
{
    return ch->kind == NULL ? -EINVAL : ch->out < 0 ? 0 : ipc_channel_send_rest_(ch, deadline);
}

/*
 * The descriptor to poll for reading (of one who only sends: for writing) in an event loop, once
 * recv with IPC_NOW has said -ETIMEDOUT. It changes when the other side does: ask again after
 * -EPIPE, -EOWNERDEAD, -EBADMSG, and after the first message to a listener. Close nothing.
 *
 *   >= 0         the descriptor
 *   -EOPNOTSUPP  there is none: ring:, sysvshm:, sysv:
 *   -ENOTCONN    nobody is there; a call of send or recv meets the next
 *   -EINVAL      the channel is not open
 */
IPC_INLINE int ipc_channel_fd(struct ipc_channel *ch)
{
    int fd;

    if (ch->kind == NULL)
        return -EINVAL;
    if ((ch->state & IPC_CHANNEL_UNUSED_) != 0)
        ipc_channel_pipe_choose_ends_(ch);
    if (ch->kind->meet == ipc_channel_nothing_)
        return -EOPNOTSUPP;
    if (ch->ring != NULL)
        return ipc_channel_auto_fd_(ch);
    fd = (ch->role & IPC_RECV) != 0 ? ch->in : ch->out;
    if (ch->listener >= 0 && (fd < 0 || ch->kind->type == 0)) /* a log's is inotify */
        fd = ch->listener;
    return fd >= 0 ? fd : -ENOTCONN;
}

/* What the channel is, and who is at the other end. 0; -EINVAL: it is not open. */
IPC_INLINE int ipc_channel_info(const struct ipc_channel *ch, struct ipc_channel_facts *info)
{
    memset(info, 0, sizeof *info);
    info->uid = (uid_t)-1;
    info->gid = (gid_t)-1;
    if (ch->kind == NULL)
        return -EINVAL;
    info->mechanism = ch->kind->open != ipc_channel_auto_open_ ? ch->kind->scheme
                      : ch->ring != NULL                       ? "ring"
                                                               : "unix";
    info->max = ch->max;
    info->next = ch->next;
    info->pending = ch->tx.end - ch->tx.begin;
    info->offset = ch->offset;
    info->pid = ch->peer.pid;
    info->uid = ch->peer.uid;
    info->gid = ch->peer.gid;
    info->port = ch->kind->domain == AF_INET ? ch->port : 0;
    return 0;
}

#endif

#endif /* IPC_CHANNEL_H */
