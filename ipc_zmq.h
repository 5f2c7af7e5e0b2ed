/* Made by tools/amalgamate. Change these files, not this one: src/ipc_zmq.h
 * src/common/version.h src/zmq/core.h src/zmq/connect.h src/zmq/listen.h src/zmq/kind.h */
/*
 * ipc_zmq.h - channels over ZeroMQ: zmq:tcp://HOST:PORT and zmq:ipc://PATH in ipc_channel.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * A program that includes this header has two mechanisms more. The calls, roles, deadlines and
 * error codes are those of ipc_channel.h. Needs what ipc_channel.h needs, and ZeroMQ 4.3
 * (libzmq3-dev); C99 to C23, C++11 to C++23. Link with -lzmq. The order of the headers does not
 * matter.
 *
 *     #include "ipc_zmq.h"
 *
 *     struct ipc_channel_options how = {.clients = 1000};
 *
 *     const char *uri = "zmq:tcp://127.0.0.1:9000";
 *
 *     rc = ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how);   // a server
 *     while ((n = ipc_channel_recv(&ch, buf, sizeof buf, IPC_FOREVER)) >= 0)
 *         rc = ipc_channel_send(&ch, buf, n, IPC_NOW);             // answers ch.from
 *
 *     ipc_channel_open(&ch, uri, IPC_BOTH, ipc_in_ms(1000));       // each client
 *
 * The mechanisms
 *
 *     zmq:tcp://HOST:PORT   IPv4 and IPv6, as tcp:; a listener may say * for the host, and 0 for
 *                           the port
 *     zmq:ipc://PATH        a Unix socket; zmq:ipc://@NAME is an abstract name
 *
 *     pattern               the listener                            the others
 *     one to one            IPC_RECV, IPC_SEND or IPC_BOTH          the opposite, or IPC_BOTH
 *     many to one           IPC_RECV, options.clients               IPC_SEND
 *     request and reply     IPC_BOTH, options.clients               IPC_BOTH
 *     publish, subscribe    IPC_SEND, options.publish               IPC_RECV
 *
 * The side without IPC_LISTEN needs no option for any of them: a receiver finds out whether the
 * listener publishes.
 *
 *   Places    A listener talks to options.clients at a time, or to one. Others wait until a place
 *             is free: their sends say -ETIMEDOUT meanwhile. The two sides agree when both are in
 *             calls at a time, as over auto:. A client that makes no call is not told of.
 *   Loss      -EPIPE, once, after all that had come of the other side. A listener then takes the
 *             next client, and the other side waits for the next listener; of a server, `from` says
 *             whose loss it is. A publisher is told of no loss.
 *   Depth     options.depth is the high-water mark of both queues of a connection, the sender's and
 *             the receiver's, in messages; 0: 1000. Where both and the kernel's buffers are full, a
 *             send waits until its deadline. options.max: a peer that sends more is left.
 *   Publish   IPC_LOSSLESS waits for the slowest subscriber until the deadline. IPC_LOSSY drops
 *             what a subscriber has no room for; that is not counted. A subscriber gets what is
 *             sent after it has agreed with the publisher, in its first recv. Any number
 *             subscribes.
 *   Keys      options.secret turns encryption and authentication on (CURVE): each side has a pair
 *             of keys of zmq_curve_keypair, and gives its secret one.
 *             options.peer_keys: the listener's public key, without which a client does not
 *             connect; or at the listener, the public keys of the clients that may come, with
 *             spaces between them, and NULL for any. A side with a wrong key is told so by open,
 *             or by its first call: -EACCES. One without a key is told the same, or -EPROTO where
 *             the listener hangs up before it has said so. The listener goes on without them.
 *   Access    zmq:ipc: as unix:, by the file's mode, options.user and options.group. zmq:tcp: each
 *             process that can reach the port; see Keys.
 *   ZeroMQ    A message has one part; one of several is dropped, -EBADMSG. A program that uses
 *             ZeroMQ itself connects a ZMQ_DEALER to a listener, or a ZMQ_SUB to a publisher, or
 *             listens with ZMQ_ROUTER or ZMQ_PUB. To a listener its first message, if it is empty,
 *             is not seen (ZMQ_PROBE_ROUTER).
 *
 * Errors besides those of ipc_channel.h:
 *
 *   -EACCES      open, send, recv: the keys do not fit: ipc_channel_why says which
 *   -EPROTO      open, send, recv: the listener hangs up three times in a row: the roles do not
 *                fit, or it is no ZeroMQ
 *   -EINVAL      open: options.secret or options.peer_keys is no key
 *   -EOPNOTSUPP  open: this libzmq was built without CURVE
 *   -ECHILD      any call: another process opened the channel. The threads of ZeroMQ are in that
 *                one only. A child opens its own channel, and may close what it has inherited.
 *
 * Caveats
 *   - A message that send has taken is with a thread of this process until the kernel has it. A
 *     process that ends without ipc_channel_close, or is killed, loses what is there. Fix: close;
 *     or answers.
 *   - ipc_channel_close waits until the other side has read all, three seconds at most, as libzmq
 *     drops what comes behind its high-water mark when a connection ends. A receiver that is
 *     further behind loses the rest. Fix: answers; options.depth at the receiver.
 *   - A channel has two threads of ZeroMQ, and about twelve descriptors, and one for each client.
 *     libzmq goes on to accept where the descriptors are used up, and is busy with that. Fix:
 *     RLIMIT_NOFILE.
 *   - libzmq opens descriptors 0 to 2 where the program was started without them, and what is
 *     printed goes into them. Fix: open /dev/null three times at first.
 *   - A child that was forked has the connections, too, so that the others are told of the end of
 *     the parent only after the child has ended. Fix: fork first; exec closes them.
 *   - The descriptor of ipc_channel_fd is polled for reading, also on a channel that only sends:
 *     then try again.
 *   - A server's message that is too large for the buffer holds the others up until a larger buffer
 *     takes it. Fix: a buffer of options.max.
 *   - To connect takes a moment, so open with IPC_NOW finds nobody. Fix: ipc_in_ms.
 *   - ipc_channel_flush has nothing to do here, and ipc_channel_accept is refused. Fix:
 *     options.clients.
 *   - zmq:ipc: a path has at most 107 bytes. Fix: a shorter one.
 *   - libzmq ends the process (abort) where it finds itself broken, or gets no memory. Fix: unix:,
 *     tcp:.
 *
 * How it works
 *   A listener is a ZMQ_ROUTER and the others are ZMQ_DEALER; or ZMQ_PUB and ZMQ_SUB. What ZeroMQ
 *   does not do is done around it: it tells no program who came and went, connects again without a
 *   word, and mixes what several send. So each client is admitted by the handler of ZAP in the
 *   listener's calls, and known by a number that its messages carry; ends come from the monitor of
 *   the socket, and count when all that was before them is read; and the side that connects makes a
 *   socket for each connection.
 *
 *   The header adds its mechanisms to ipc_channel.h in a constructor, before main and before
 *   constructors of C++. So ipc_channel.h needs no ZeroMQ, and names none of it. Each file of a
 *   program that opens zmq: includes this header.
 *
 * The rooms: core (the state, sockets, ends), connect (the side that connects), listen (the other
 * one: places, keys, clients), kind (what the table names).
 */
#ifndef IPC_ZMQ_H
#define IPC_ZMQ_H 1

/* >>version  src/common/version.h */
/* The version of all headers, which must be the same, and not that of what is in memory:
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

/* >>core  src/zmq/core.h */
/*
 * The state of a channel over ZeroMQ, its sockets, and waiting.
 *
 * A channel has a context of its own, so that the handler of its keys is its own (ZAP has one for
 * each context), with one thread for input and output: what that thread tells by a monitor is in
 * the order in which it happened.
 *
 * One epoll descriptor, which is also that of ipc_channel_fd, tells of all sockets of the channel.
 * The descriptor of a ZeroMQ socket tells once that something has come, until a call takes that
 * in. So a call that sends may take in the only word of a message. Where the program has asked
 * for the descriptor, such a call arms the timer, which epoll tells of as well; so does a recv that
 * has to look again at a later time.
 *
 * Where messages go one way, the other side is there and the deadline is far, a call first waits a
 * millisecond in ZeroMQ, with two system calls less than by epoll. It does not see there what the
 * monitor and the keys tell, so a server, which has others to look after, does not wait there. Nor
 * does a channel of both ways: it sleeps for each answer, and to set a timer takes longer (4 us of
 * 65) than those calls.
 *
 * A connection has ended when the monitor says so. The thread of ZeroMQ says so a moment before it
 * hands over the last messages, and closes the descriptor after that. So an end counts when the
 * descriptor is closed, or when a later event has come, as the number may be used again by then; or
 * after 100 ms, where another thread of the program took the number.
 */
#ifndef IPC_SRC_ZMQ_CORE_H
#define IPC_SRC_ZMQ_CORE_H 1

#include "ipc_channel.h"

#include <search.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#if defined(__has_include)
#if !__has_include(<zmq.h>)
#error "ZeroMQ is missing: install libzmq3-dev (Debian, Ubuntu) or zeromq (Arch, Fedora: -devel)"
#endif
#endif
#include <zmq.h>

#define IPC_ZMQ_KEY_ 40                      /* characters of a key */
#define IPC_ZMQ_LINGER_MS_ 3000              /* for what is still to be read, in close */
#define IPC_ZMQ_MOMENT_NS_ INT64_C(1000000)  /* between two looks at an end */
#define IPC_ZMQ_LATE_NS_ INT64_C(100000000)  /* then an end counts, or an admitted client is late */
#define IPC_ZMQ_QUICK_NS_ INT64_C(10000000000) /* a refusal comes earlier than that */
#define IPC_ZMQ_TURNS_ 64                    /* messages between two looks at epoll */
#define IPC_ZMQ_WAIT_MS_ 1                   /* how long a call waits in ZeroMQ, before epoll */
#define IPC_ZMQ_FAR_NS_ INT64_C(50000000)    /* a deadline that is no nearer, by a coarse clock */

/* What epoll tells of. */
enum ipc_zmq_tag_ { IPC_ZMQ_MAIN_, IPC_ZMQ_EVENTS_, IPC_ZMQ_KEYS_, IPC_ZMQ_TIMER_ };

/* The end of a connection, as the monitor tells it. */
struct ipc_zmq_end_ {
    int has_come, fd;
    uint64_t event; /* its number among the events */
    int64_t at;
};

/* A listener's client. */
struct ipc_zmq_peer_ {
    uint64_t number;   /* what the program knows it by; 0: the seat is free */
    uint64_t admitted; /* its number among those that were admitted */
    uint64_t reads;    /* its end counts: it has none left after so many of all; 0: not yet */
    unsigned seat;
    int is_dropped; /* what comes of it is skipped */
    int fd;         /* the descriptor that ZeroMQ has */
    struct ipc_zmq_end_ end;
    struct {
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } is;
    size_t id_size;
    unsigned char id[256]; /* the routing id, by which ZeroMQ knows it */
};

/* A descriptor of a connection. ZeroMQ closes it; its inode tells whether it did. */
struct ipc_zmq_fd_ {
    uint64_t left; /* how many were admitted when a connection of this descriptor ended last */
    ino_t ino;     /* 0: there is no connection */
    struct ipc_zmq_peer_ *peer;
};

struct ipc_zmq_ {
    struct ipc_channel_socket_ socket; /* first: address.h finds it there */
    void *context, *main, *events, *keys; /* the messages, the monitor, the handler of ZAP */
    uint64_t monitors, count;             /* monitors and events so far */
    int polls, timer;
    int is_asked;   /* the program has asked for the descriptor */
    uint64_t *mine; /* a word that fork wipes */
    zmq_msg_t message;
    int has_message;
    char secret[IPC_ZMQ_KEY_ + 1], own_key[IPC_ZMQ_KEY_ + 1];
    char *peer_keys;
    int has_told; /* send has reported the loss that recv has still to report */
    int turns;
    int64_t looked; /* when a publisher looked for new subscribers, by a clock of some 4 ms */
    /* The side that connects. */
    int type;      /* ZMQ_DEALER, or ZMQ_SUB where the listener publishes */
    int fd;        /* of the connection; -1: there is none */
    ino_t ino;     /* of that descriptor */
    int is_ready;  /* both sides have agreed */
    int refusal;   /* what the next call reports, or 0 */
    const char *reason;
    unsigned tries, failures;
    int64_t began, connected_at, next_try;
    struct ipc_zmq_end_ end;
    /* The listener. */
    struct ipc_zmq_peer_ **seats, *cached, *from; /* from: of the message */
    unsigned made, clients, limit;
    void *tree; /* the seats by their routing ids */
    struct ipc_zmq_fd_ *fds;
    int fds_size;
    uint64_t came, admitted, reads, open; /* open: connections, also those that wait */
    unsigned alive, ended;                /* seats of clients that are here; that have ended */
    int shaking, silent, failed; /* admitted, still in the handshake; after it, without a message;
                                    handshakes that failed, and whose end has not come */
    int64_t admitted_at;
    int keys_wait; /* keys may have a request */
};

IPC_INLINE struct ipc_zmq_ *ipc_zmq_get_(const struct ipc_channel *ch)
{
    return (struct ipc_zmq_ *)ch->state;
}

IPC_INLINE int ipc_zmq_is_listener_(const struct ipc_channel *ch)
{
    return (ch->role & IPC_LISTEN) != 0;
}

/* Keeps a sentence about a call of ZeroMQ that failed, and returns -errno. */
IPC_INLINE int ipc_zmq_refuse_(struct ipc_channel *ch, const char *what)
{
    int rc = zmq_errno();

    rc = rc >= ZMQ_HAUSNUMERO ? EIO : rc;
    return ipc_channel_refuse_(ch, -rc, "%s:%s: cannot %s: %s", ch->kind->scheme,
                               ch->address, what, zmq_strerror(zmq_errno()));
}

/* ------------------------------------------------------------------ fork */

IPC_INLINE int ipc_zmq_mark_process_(struct ipc_channel *ch)
{
    size_t page = (size_t)getpagesize();
    void *mine = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mine == MAP_FAILED)
        return ipc_channel_refuse_errno_(ch, "map a page for");
    if (madvise(mine, page, MADV_WIPEONFORK) != 0) {
        (void)munmap(mine, page);
        return 0; /* an old kernel: each call asks who it is */
    }
    ipc_zmq_get_(ch)->mine = (uint64_t *)mine;
    *ipc_zmq_get_(ch)->mine = 1;
    return 0;
}

/* Is this the process that opened the channel? The threads of ZeroMQ are in no other one. */
IPC_FORCE_INLINE int ipc_zmq_is_mine_(const struct ipc_channel *ch)
{
    const struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    return CK_CC_LIKELY(own->mine != NULL) ? ck_pr_load_64(own->mine) != 0 : ch->pid == getpid();
}

IPC_INLINE int ipc_zmq_refuse_child_(struct ipc_channel *ch)
{
    return ipc_channel_refuse_(ch, -ECHILD,
                               "%s:%s: the channel is of the process that opened it, %ld: a child "
                               "opens its own",
                               ch->kind->scheme, ch->address, (long)ch->pid);
}

/* ------------------------------------------------------------------ sockets */

IPC_INLINE int ipc_zmq_set_(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

/* ZMQ_POLLIN, ZMQ_POLLOUT. Takes in what the thread of ZeroMQ has said. */
IPC_INLINE int ipc_zmq_look_(void *socket)
{
    int events = 0;
    size_t size = sizeof events;

    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

/* Lets epoll tell of a socket, or no longer. */
IPC_INLINE int ipc_zmq_watch_(struct ipc_zmq_ *own, void *socket, int op, enum ipc_zmq_tag_ tag)
{
    struct epoll_event e;
    int fd = -1;
    size_t size = sizeof fd;

    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    e.data.u32 = (uint32_t)tag;
    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) != 0)
        return -1;
    return epoll_ctl(own->polls, op, fd, &e);
}

/* Makes a socket that epoll tells of. 0 or a negative errno. */
IPC_INLINE int ipc_zmq_make_(struct ipc_channel *ch, void **made, int type, enum ipc_zmq_tag_ tag)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    void *socket = zmq_socket(own->context, type);

    if (socket == NULL)
        return ipc_zmq_refuse_(ch, "make a socket");
    if (ipc_zmq_set_(socket, ZMQ_LINGER, 0) != 0 ||
        ipc_zmq_watch_(own, socket, EPOLL_CTL_ADD, tag) != 0) {
        int rc = ipc_zmq_refuse_(ch, "wait for a socket");

        (void)zmq_close(socket);
        return rc;
    }
    *made = socket;
    return 0;
}

IPC_INLINE void ipc_zmq_close_socket_(struct ipc_zmq_ *own, void **socket, enum ipc_zmq_tag_ tag)
{
    if (*socket == NULL)
        return;
    (void)ipc_zmq_watch_(own, *socket, EPOLL_CTL_DEL, tag);
    (void)zmq_close(*socket);
    *socket = NULL;
}

/* Makes the socket's monitor. It has no limit, as the thread of ZeroMQ would wait at one. */
IPC_INLINE int ipc_zmq_monitor_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    char name[64];
    int rc;

    (void)snprintf(name, sizeof name, "inproc://events.%llu", (unsigned long long)++own->monitors);
    if (zmq_socket_monitor(own->main, name,
                           ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CLOSED |
                               ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) != 0)
        return ipc_zmq_refuse_(ch, "watch a socket");
    rc = ipc_zmq_make_(ch, &own->events, ZMQ_PAIR, IPC_ZMQ_EVENTS_);
    if (rc == 0 && (ipc_zmq_set_(own->events, ZMQ_RCVHWM, 0) != 0 ||
                    zmq_connect(own->events, name) != 0))
        rc = ipc_zmq_refuse_(ch, "watch a socket");
    if (rc == 0)
        (void)ipc_zmq_look_(own->events); /* from now on its descriptor tells */
    return rc;
}

/* The options of the socket for messages. 0 or a negative errno. */
IPC_INLINE int ipc_zmq_prepare_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int64_t max = (int64_t)ch->max;
    int depth = (int)ch->how.depth, seconds = (int)ch->how.keepalive, bad = 0;

    bad |= zmq_setsockopt(own->main, ZMQ_MAXMSGSIZE, &max, sizeof max) |
           ipc_zmq_set_(own->main, ZMQ_RCVTIMEO, IPC_ZMQ_WAIT_MS_) |
           ipc_zmq_set_(own->main, ZMQ_SNDTIMEO, IPC_ZMQ_WAIT_MS_);
    if (depth != 0)
        bad |= ipc_zmq_set_(own->main, ZMQ_SNDHWM, depth) |
               ipc_zmq_set_(own->main, ZMQ_RCVHWM, depth);
    if (seconds != 0)
        bad |= ipc_zmq_set_(own->main, ZMQ_TCP_KEEPALIVE, 1) |
               ipc_zmq_set_(own->main, ZMQ_TCP_KEEPALIVE_IDLE, (seconds + 2) / 3) |
               ipc_zmq_set_(own->main, ZMQ_TCP_KEEPALIVE_INTVL, (seconds + 2) / 3) |
               ipc_zmq_set_(own->main, ZMQ_TCP_KEEPALIVE_CNT, 3) |
               ipc_zmq_set_(own->main, ZMQ_TCP_MAXRT, seconds * 1000);
    if (*own->secret != '\0') {
        bad |= zmq_setsockopt(own->main, ZMQ_CURVE_SECRETKEY, own->secret, sizeof own->secret);
        if (ipc_zmq_is_listener_(ch))
            bad |= ipc_zmq_set_(own->main, ZMQ_CURVE_SERVER, 1);
        else
            bad |= zmq_setsockopt(own->main, ZMQ_CURVE_PUBLICKEY, own->own_key,
                                  sizeof own->own_key) |
                   zmq_setsockopt(own->main, ZMQ_CURVE_SERVERKEY, own->peer_keys,
                                  sizeof own->own_key);
    }
    return bad == 0 ? 0 : ipc_zmq_refuse_(ch, "set the options of a socket");
}

/* ------------------------------------------------------------------ time */

/* Lets epoll tell something at this time; IPC_FOREVER: no more. */
IPC_INLINE void ipc_zmq_arm_(struct ipc_zmq_ *own, int64_t at)
{
    struct itimerspec when;

    memset(&when, 0, sizeof when);
    if (at != IPC_FOREVER) {
        when.it_value = ipc_notify_time_(at > 0 ? at : 1);
        if (when.it_value.tv_sec == 0 && when.it_value.tv_nsec == 0)
            when.it_value.tv_nsec = 1;
    }
    (void)timerfd_settime(own->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Does this end count? */
IPC_INLINE int ipc_zmq_is_over_(const struct ipc_zmq_ *own, const struct ipc_zmq_end_ *end)
{
    return end->has_come && (own->count > end->event || fcntl(end->fd, F_GETFD) < 0 ||
                             ipc_left_(end->at + IPC_ZMQ_LATE_NS_) == 0);
}

IPC_INLINE void ipc_zmq_end_now_(struct ipc_zmq_ *own, struct ipc_zmq_end_ *end, int fd)
{
    end->has_come = 1;
    end->fd = fd;
    end->event = own->count;
    end->at = ipc_clock();
}

/* Takes an event of the monitor. 1; 0: there is none. */
IPC_INLINE int ipc_zmq_take_event_(struct ipc_zmq_ *own, int *event, int32_t *value)
{
    unsigned char head[6];
    char address[1]; /* cut */
    uint16_t number;

    if (own->events == NULL || zmq_recv(own->events, head, sizeof head, ZMQ_DONTWAIT) != 6)
        return 0;
    (void)zmq_recv(own->events, address, sizeof address, ZMQ_DONTWAIT);
    memcpy(&number, head, sizeof number);
    memcpy(value, head + 2, sizeof *value);
    *event = number;
    own->count++;
    return 1;
}

/* ------------------------------------------------------------------ the last bytes */

/* The inode of a descriptor; 0: it is closed. */
IPC_INLINE ino_t ipc_zmq_inode_(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

/* A descriptor of one's own of a connection, or -1: it is closed. */
IPC_INLINE int ipc_zmq_keep_(int fd, ino_t ino)
{
    int own = ino != 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;

    if (own >= 0 && ipc_zmq_inode_(own) != ino)
        ipc_channel_close_fd_(&own);
    return own;
}

/* Waits until the other side has read all, and closes: at the deadline also where that side sends
 * without end. A ZeroMQ that takes in no more for now, as
 * it has as many messages as it may, drops what is left in a connection that was closed. */
IPC_INLINE void ipc_zmq_see_off_(int fd, int64_t deadline)
{
    char bytes[4096];
    ssize_t n;

    (void)shutdown(fd, SHUT_WR);
    do
        n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    while ((n > 0 || (n < 0 && errno == EAGAIN)) && ipc_left_(deadline) != 0 &&
           ipc_channel_wait_(fd, POLLIN, deadline) != -ETIMEDOUT);
    (void)close(fd);
}

/* ------------------------------------------------------------------ messages */

/* Takes a message into own->message. 1; 0: there is none. The thread may have closed all. */
IPC_INLINE int ipc_zmq_take_(struct ipc_zmq_ *own, int flags)
{
    return zmq_msg_recv(&own->message, own->main, flags) >= 0;
}

/* Drops the rest of a message of several parts. 1: it had some. */
IPC_INLINE int ipc_zmq_drop_parts_(struct ipc_zmq_ *own)
{
    int had = 0;

    while (zmq_msg_more(&own->message) && ipc_zmq_take_(own, ZMQ_DONTWAIT))
        had = 1;
    return had;
}

/* Hands the message out, or keeps it for a larger buffer. */
IPC_INLINE int64_t ipc_zmq_hand_out_(struct ipc_channel *ch, void *to, size_t size)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    size_t n = zmq_msg_size(&own->message);

    own->has_message = n > size;
    if (n > size)
        return ipc_channel_refuse_size_(ch, n, size);
    memcpy(to, zmq_msg_data(&own->message), n);
    ch->next = 0;
    return (int64_t)n;
}

#endif

/* >>connect  src/zmq/connect.h */
/*
 * The side that connects: a socket for each connection, so that nothing of a listener that is gone
 * is left when the next one comes. ZeroMQ does not connect again by itself.
 *
 *     state        main  fd   is_ready  end
 *     NOBODY       NULL  -1   0                    at next_try: CONNECTING
 *     CONNECTING   -     -1   0                    CONNECTED: THERE; CLOSED: NOBODY
 *     AGREEING     -     n    0                    HANDSHAKE_SUCCEEDED: THERE; DISCONNECTED: NOBODY
 *     THERE        -     n    1                    DISCONNECTED: ENDED
 *     ENDED        -     n    1         has_come   recv has reported the loss, or a send where
 *                                                  nothing is left to receive: NOBODY
 *
 * A receiver does not know whether the listener publishes: it connects as ZMQ_DEALER, and if the
 * two do not agree as ZMQ_SUB, and so on. After three failures in a row it is refused.
 */
#ifndef IPC_SRC_ZMQ_CONNECT_H
#define IPC_SRC_ZMQ_CONNECT_H 1

/* Closes the connection, and tries again at a time. */
IPC_INLINE void ipc_zmq_leave_(struct ipc_channel *ch, int64_t next_try)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    ipc_zmq_close_socket_(own, &own->events, IPC_ZMQ_EVENTS_);
    ipc_zmq_close_socket_(own, &own->main, IPC_ZMQ_MAIN_);
    memset(&own->end, 0, sizeof own->end);
    own->fd = -1;
    own->is_ready = own->has_told = 0;
    own->next_try = next_try;
    ch->peer.pid = 0;
    ch->peer.uid = (uid_t)-1;
    ch->peer.gid = (gid_t)-1;
}

/* Writes the endpoint of the address whose turn it is. 0 or a negative errno. */
IPC_INLINE int ipc_zmq_find_endpoint_(struct ipc_channel *ch, char *to, size_t room, int *is_ipv6)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_channel_addresses_ a;
    const struct addrinfo *at;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    unsigned n = 0, turn;
    int rc = ipc_channel_resolve_(ch, &a);

    *is_ipv6 = 0;
    if (rc == 0 && ipc_channel_is_unix_(ch)) {
        (void)snprintf(to, room, "ipc://%s", ch->address);
    } else if (rc == 0) {
        for (at = a.first; at != NULL; at = at->ai_next)
            n++;
        for (at = a.first, turn = own->tries % n; turn > 0; turn--)
            at = at->ai_next;
        *is_ipv6 = at->ai_family == AF_INET6;
        rc = getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof host, port, sizeof port,
                         NI_NUMERICHOST | NI_NUMERICSERV);
        rc = rc == 0 ? 0 : ipc_channel_refuse_(ch, -EADDRNOTAVAIL, "%s:%s: %s",
                                               ch->kind->scheme, ch->address, gai_strerror(rc));
        (void)snprintf(to, room, *is_ipv6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
    }
    ipc_channel_free_addresses_(&a);
    return rc;
}

/* NOBODY -> CONNECTING. 0 or a negative errno. */
IPC_INLINE int ipc_zmq_connect_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    char endpoint[PATH_MAX + 16];
    int is_ipv6, rc = ipc_zmq_find_endpoint_(ch, endpoint, sizeof endpoint, &is_ipv6);

    if (own->tries++ == 0)
        own->began = ipc_clock();
    if (rc == 0)
        rc = ipc_zmq_make_(ch, &own->main, own->type, IPC_ZMQ_MAIN_);
    if (rc == 0)
        rc = ipc_zmq_monitor_(ch);
    if (rc == 0)
        rc = ipc_zmq_prepare_(ch);
    if (rc == 0 && (ipc_zmq_set_(own->main, ZMQ_RECONNECT_IVL, -1) |
                    ipc_zmq_set_(own->main, ZMQ_HANDSHAKE_IVL, 0) |
                    ipc_zmq_set_(own->main, ZMQ_IPV6, is_ipv6) |
                    (own->type == ZMQ_SUB ? zmq_setsockopt(own->main, ZMQ_SUBSCRIBE, "", 0)
                                          : ipc_zmq_set_(own->main, ZMQ_PROBE_ROUTER, 1) |
                                                ipc_zmq_set_(own->main, ZMQ_IMMEDIATE, 1))) != 0)
        rc = ipc_zmq_refuse_(ch, "set the options of a socket");
    if (rc == 0 && zmq_connect(own->main, endpoint) != 0)
        rc = ipc_zmq_refuse_(ch, "connect");
    if (rc != 0)
        ipc_zmq_leave_(ch, ipc_clock() + IPC_ZMQ_LATE_NS_);
    return rc;
}

/* When to try again: after an eighth of the time that was waited so far, 1 ms to 100 ms. */
IPC_INLINE int64_t ipc_zmq_next_try_(const struct ipc_zmq_ *own)
{
    int64_t now = ipc_clock(), pause = (now - own->began) / 8;

    pause = pause > IPC_ZMQ_MOMENT_NS_ ? pause : IPC_ZMQ_MOMENT_NS_;
    return now + (pause < IPC_ZMQ_LATE_NS_ ? pause : IPC_ZMQ_LATE_NS_);
}

/* The next call reports it. */
IPC_INLINE void ipc_zmq_give_up_(struct ipc_zmq_ *own, int refusal, const char *reason)
{
    own->refusal = refusal;
    own->reason = reason;
}

/* The two sides do not agree: another kind of socket may. */
IPC_INLINE void ipc_zmq_disagree_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    if (own->refusal != 0 || ipc_left_(own->connected_at + IPC_ZMQ_QUICK_NS_) == 0)
        return;
    if ((ch->role & IPC_BOTH) == IPC_RECV)
        own->type = own->type == ZMQ_DEALER ? ZMQ_SUB : ZMQ_DEALER;
    if (++own->failures < 3)
        return;
    own->failures = 0;
    if (*own->secret != '\0')
        ipc_zmq_give_up_(own, -EACCES,
                         "the listener hangs up: is options.peer_keys its key, and do the roles "
                         "fit?");
    else
        ipc_zmq_give_up_(own, -EPROTO,
                         "the listener hangs up: do the roles fit, is it zmq:, does it encrypt?");
}

/* What a handshake that failed for a reason is for the caller. */
IPC_INLINE void ipc_zmq_judge_(struct ipc_zmq_ *own, int event, int32_t value)
{
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        ipc_zmq_give_up_(own, -EACCES, "the listener does not admit the key of options.secret");
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
             value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        ipc_zmq_give_up_(own, -EACCES,
                         "one side encrypts and the other does not: see options.secret");
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
             value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
        ipc_zmq_give_up_(own, -EACCES, "options.peer_keys is not the listener's key");
}

/* CONNECTING -> AGREEING: the process at the other end is asked for, as for unix:. */
IPC_INLINE void ipc_zmq_greet_(struct ipc_channel *ch, int fd)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    socklen_t size = sizeof ch->peer;

    own->fd = fd;
    own->ino = ipc_zmq_inode_(fd);
    own->connected_at = ipc_clock();
    if (!ipc_channel_is_unix_(ch) ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ch->peer, &size) != 0)
        return;
    if (!ipc_channel_may_be_peer_(ch, ch->peer.uid, ch->peer.gid)) {
        ipc_zmq_give_up_(own, -EACCES, "another user is there: see options.user, options.group");
        ipc_zmq_leave_(ch, ipc_clock());
    }
}

/* Takes in an event. */
IPC_INLINE void ipc_zmq_follow_(struct ipc_channel *ch, int event, int32_t value)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    switch (event) {
    case ZMQ_EVENT_CONNECTED:
        ipc_zmq_greet_(ch, value);
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        own->is_ready = 1;
        own->tries = own->failures = 0;
        break;
    case ZMQ_EVENT_CLOSED:
        if (own->fd < 0) {
            own->failures = 0;
            ipc_zmq_leave_(ch, ipc_zmq_next_try_(own));
        }
        break;
    case ZMQ_EVENT_DISCONNECTED:
        if (own->is_ready) {
            ipc_zmq_end_now_(own, &own->end, value);
        } else {
            ipc_zmq_disagree_(ch);
            ipc_zmq_leave_(ch, ipc_zmq_next_try_(own));
        }
        break;
    default:
        ipc_zmq_judge_(own, event, value);
    }
}

/* Takes in all events. It may leave the socket and its monitor at one of them. */
IPC_INLINE void ipc_zmq_follow_all_(struct ipc_channel *ch)
{
    int event;
    int32_t value;

    while (ipc_zmq_take_event_(ipc_zmq_get_(ch), &event, &value))
        ipc_zmq_follow_(ch, event, value);
}

#endif

/* >>listen  src/zmq/listen.h */
/*
 * The side that listens: a ZMQ_ROUTER, or a ZMQ_PUB where it publishes. Where it only receives, and
 * serves one client at a time, it is a ZMQ_DEALER, which is faster, as no routing id comes with a
 * message; that client's is then empty.
 *
 * The library makes the listening sockets, as for unix: and tcp:, and ZeroMQ gets duplicates of
 * them. ZeroMQ takes in every connection. A client is admitted by the handler of ZAP, which is this
 * channel, in its calls: while a place is free, and where its key is one of options.peer_keys. The
 * others wait in their handshake. The answer of ZAP gives the client a number, which each of its
 * messages then carries.
 *
 * A client's first message is an empty one (ZMQ_PROBE_ROUTER), which no program sees. It tells the
 * routing id, the number and the descriptor. The monitor tells ends by descriptor, and a descriptor
 * is used again. But a client that has a descriptor of an end is admitted after that end was taken
 * in. So a client whose number is above `left` of its descriptor is there, and another one is gone.
 *
 *     seat
 *     FREE      -> THERE     its first message
 *     THERE     -> ENDED     DISCONNECTED; or at once, if that came before its first message
 *     ENDED     -> FREE      recv has reported the loss, after all that the client sent
 *     THERE     -> DROPPED   ipc_channel_drop; or there was no place
 *     DROPPED   -> FREE      its end
 *
 * A client that was admitted has its place also before its first message, until its connection
 * ends. The monitor tells ends by descriptors, which are not known yet, so it is a matter of
 * counting: an end without a handshake that failed is that of a client that had its place. Where
 * the count was wrong, as ZeroMQ tells of no failure where the kinds of sockets do not fit, one
 * more is admitted: that one is dropped at its first message. A ZMQ_DEALER could not tell it
 * apart, and counts on until all that are connected are known.
 *
 * An ended client has nothing left when no message is there. Where others send without end it has
 * nothing left after two turns of all connections: ZeroMQ takes one message of each in turn, and no
 * connection is passed over twice.
 */
#ifndef IPC_SRC_ZMQ_LISTEN_H
#define IPC_SRC_ZMQ_LISTEN_H 1

/* ------------------------------------------------------------------ seats */

IPC_INLINE int ipc_zmq_compare_(const void *a, const void *b)
{
    const struct ipc_zmq_peer_ *x = (const struct ipc_zmq_peer_ *)a,
                               *y = (const struct ipc_zmq_peer_ *)b;

    if (x->id_size != y->id_size)
        return x->id_size < y->id_size ? -1 : 1;
    return memcmp(x->id, y->id, x->id_size);
}

/* The client of a routing id, which is written into key, or NULL. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_id_(struct ipc_zmq_ *own, zmq_msg_t *id,
                                                  struct ipc_zmq_peer_ *key)
{
    void *found;

    key->id_size = zmq_msg_size(id);
    key->id_size = key->id_size < sizeof key->id ? key->id_size : sizeof key->id; /* ZMTP: 255 */
    memcpy(key->id, zmq_msg_data(id), key->id_size);
    found = tfind(key, &own->tree, ipc_zmq_compare_);
    if (found != NULL)
        own->cached = *(struct ipc_zmq_peer_ **)found;
    return found != NULL ? own->cached : NULL;
}

/* The client of a number, or NULL. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_client_(const struct ipc_zmq_ *own, uint64_t number)
{
    uint64_t seat = number & ((UINT64_C(1) << IPC_CHANNEL_SEAT_BITS_) - 1);
    struct ipc_zmq_peer_ *p = number != 0 && seat < own->made ? own->seats[seat] : NULL;

    return p != NULL && p->number == number && !p->is_dropped ? p : NULL;
}

/* What is known of a descriptor, or NULL: there is no memory. */
IPC_INLINE struct ipc_zmq_fd_ *ipc_zmq_find_fd_(struct ipc_zmq_ *own, int fd)
{
    struct ipc_zmq_fd_ *fds;
    int size;

    if (fd >= own->fds_size) {
        size = 2 * fd + 64;
        fds = (struct ipc_zmq_fd_ *)realloc(own->fds, (size_t)size * sizeof *fds);
        if (fds == NULL)
            return NULL;
        memset(fds + own->fds_size, 0, (size_t)(size - own->fds_size) * sizeof *fds);
        own->fds = fds;
        own->fds_size = size;
    }
    return fd >= 0 ? &own->fds[fd] : NULL;
}

/* A free seat, or NULL: there is no memory. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_seat_(struct ipc_zmq_ *own)
{
    struct ipc_zmq_peer_ *p, **seats;
    unsigned i;

    for (i = 0; i < own->made; i++)
        if (own->seats[i]->number == 0)
            return own->seats[i];
    if ((own->made & (own->made - 1)) == 0) {
        seats = (struct ipc_zmq_peer_ **)realloc(own->seats, (own->made != 0 ? 2 * own->made : 1) *
                                                                 sizeof *seats);
        if (seats == NULL)
            return NULL;
        own->seats = seats;
    }
    p = (struct ipc_zmq_peer_ *)calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->seat = own->made;
    own->seats[own->made++] = p;
    return p;
}

IPC_INLINE void ipc_zmq_free_seat_(struct ipc_zmq_ *own, struct ipc_zmq_peer_ *p)
{
    struct ipc_zmq_fd_ *at = ipc_zmq_find_fd_(own, p->fd);

    if (at != NULL && at->peer == p)
        at->peer = NULL;
    (void)tdelete(p, &own->tree, ipc_zmq_compare_);
    own->cached = NULL;
    own->clients -= !p->is_dropped;
    if (p->end.has_come)
        own->ended--;
    else
        own->alive--;
    p->number = 0;
}

/* How many messages may come before an ended client that has some left has its turn. */
IPC_INLINE uint64_t ipc_zmq_count_turns_(const struct ipc_zmq_ *own)
{
    return own->reads + 2 * (own->open + own->made) + 2;
}

IPC_INLINE void ipc_zmq_end_peer_(struct ipc_zmq_ *own, struct ipc_zmq_peer_ *p, int fd)
{
    ipc_zmq_end_now_(own, &p->end, fd);
    own->alive--;
    own->ended++;
    p->reads = 0;
}

/* Leaves a client. Its connection is shut down, but the seat stays until that has an end. */
IPC_INLINE void ipc_zmq_drop_peer_(struct ipc_zmq_ *own, struct ipc_zmq_peer_ *p)
{
    if (!p->end.has_come)
        (void)shutdown(p->fd, SHUT_RDWR);
    p->is_dropped = 1;
    own->clients--;
}

/* Takes in an event. */
IPC_INLINE void ipc_zmq_notice_(struct ipc_zmq_ *own, int event, int32_t value)
{
    struct ipc_zmq_fd_ *at;

    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        own->shaking -= own->shaking > 0;
        own->silent++;
        return;
    }
    if (event != ZMQ_EVENT_ACCEPTED && event != ZMQ_EVENT_DISCONNECTED) {
        own->failed++;
        return;
    }
    at = ipc_zmq_find_fd_(own, value);
    if (event == ZMQ_EVENT_ACCEPTED) {
        own->open++;
        if (at != NULL)
            at->ino = ipc_zmq_inode_(value);
        return;
    }
    own->open -= own->open != 0;
    if (at == NULL)
        return;
    at->ino = 0;
    at->left = own->admitted;
    if (at->peer != NULL)
        ipc_zmq_end_peer_(own, at->peer, value);
    else if (own->failed > 0)
        own->failed--; /* it was never here */
    else if (own->type == ZMQ_ROUTER)
        own->silent--;
    at->peer = NULL;
}

/* Takes in all events. */
IPC_INLINE void ipc_zmq_notice_all_(struct ipc_zmq_ *own)
{
    int event;
    int32_t value;

    while (ipc_zmq_take_event_(own, &event, &value))
        ipc_zmq_notice_(own, event, value);
}

/* ------------------------------------------------------------------ who may come in */

/* How many were admitted whose first message has not come. A handshake is done at once after its
 * answer, but for a client that had no part in it; such a one is late then. */
IPC_INLINE unsigned ipc_zmq_count_pending_(struct ipc_zmq_ *own)
{
    int most = own->open > own->alive ? (int)(own->open - own->alive) : 0, n;

    if (most == 0)
        own->shaking = own->silent = 0;
    if (own->type == ZMQ_ROUTER && ipc_left_(own->admitted_at + IPC_ZMQ_LATE_NS_) == 0)
        own->shaking = 0;
    n = own->shaking + own->silent;
    n = n < most ? n : most;
    return n > 0 ? (unsigned)n : 0;
}

IPC_INLINE int ipc_zmq_has_place_(const struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    return ch->how.publish != 0 || own->clients + ipc_zmq_count_pending_(own) < own->limit;
}

/* Is the key, of 32 bytes, one of options.peer_keys? */
IPC_INLINE int ipc_zmq_knows_key_(const struct ipc_zmq_ *own, const unsigned char *key, size_t n)
{
    char text[IPC_ZMQ_KEY_ + 1];
    const char *at;

    if (own->peer_keys == NULL)
        return 1;
    if (n != 32 || zmq_z85_encode(text, key, 32) == NULL)
        return 0;
    for (at = own->peer_keys; *(at += strspn(at, " ")) != '\0'; at += strcspn(at, " "))
        if (strcspn(at, " ") == IPC_ZMQ_KEY_ && memcmp(at, text, IPC_ZMQ_KEY_) == 0)
            return 1;
    return 0;
}

IPC_INLINE int ipc_zmq_say_(void *to, const char *text, int flags)
{
    return zmq_send(to, text, strlen(text), flags | ZMQ_DONTWAIT) >= 0;
}

/* Answers a request of ZAP. 1; 0: the client is gone. */
IPC_INLINE int ipc_zmq_answer_(struct ipc_zmq_ *own, zmq_msg_t *client, const char *request,
                               int may_come)
{
    char number[24];

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)own->admitted + 1);
    return zmq_send(own->keys, zmq_msg_data(client), zmq_msg_size(client),
                    ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
           ipc_zmq_say_(own->keys, "", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, "1.0", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, request, ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, may_come ? "200" : "400", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, "", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, may_come ? number : "", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, "", 0);
}

/* Takes a request of ZAP: client, nothing, version, request, domain, address, id, mechanism, key.
 * 0: there is none. */
IPC_INLINE int ipc_zmq_admit_one_(struct ipc_zmq_ *own)
{
    char request[16] = "";
    zmq_msg_t client, part;
    int i = 0, more, may_come = own->peer_keys == NULL;

    (void)zmq_msg_init(&client);
    if (zmq_msg_recv(&client, own->keys, ZMQ_DONTWAIT) < 0)
        return 0;
    more = zmq_msg_more(&client);
    (void)zmq_msg_init(&part);
    while (more && zmq_msg_recv(&part, own->keys, ZMQ_DONTWAIT) >= 0) {
        size_t n = zmq_msg_size(&part);

        if (++i == 3 && n < sizeof request)
            memcpy(request, zmq_msg_data(&part), n);
        if (i == 8)
            may_come = ipc_zmq_knows_key_(own, (unsigned char *)zmq_msg_data(&part), n);
        more = zmq_msg_more(&part);
    }
    ipc_zmq_notice_all_(own); /* also the end of the connection that had this descriptor before */
    if (ipc_zmq_answer_(own, &client, request, may_come) && may_come) {
        own->admitted++;
        own->shaking++;
        own->admitted_at = ipc_clock();
    }
    (void)zmq_msg_close(&part);
    (void)zmq_msg_close(&client);
    return 1;
}

/* Admits clients while there are places. */
IPC_INLINE void ipc_zmq_admit_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    while (own->keys_wait && ipc_zmq_has_place_(ch))
        own->keys_wait = ipc_zmq_admit_one_(own);
}

/* ------------------------------------------------------------------ who comes and goes */

/* Gives a seat to a client whose first message came: own->message has its number. NULL: there is no
 * memory. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_seat_(struct ipc_channel *ch,
                                               const struct ipc_zmq_peer_ *key)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    const char *number = zmq_msg_gets(&own->message, "User-Id");
    int fd = zmq_msg_get(&own->message, ZMQ_SRCFD);
    struct ipc_zmq_fd_ *at = ipc_zmq_find_fd_(own, fd);
    struct ipc_zmq_peer_ *p = at != NULL ? ipc_zmq_find_seat_(own) : NULL;
    socklen_t size = sizeof p->is;

    if (p == NULL)
        return NULL;
    memcpy(p->id, key->id, key->id_size);
    p->id_size = key->id_size;
    if (tsearch(p, &own->tree, ipc_zmq_compare_) == NULL)
        return NULL;
    p->number = ++own->came << IPC_CHANNEL_SEAT_BITS_ | p->seat;
    p->admitted = number != NULL ? strtoull(number, NULL, 10) : 0;
    p->fd = fd;
    p->is_dropped = 0;
    memset(&p->end, 0, sizeof p->end);
    memset(&p->is, 0, sizeof p->is);
    p->is.uid = (uid_t)-1;
    p->is.gid = (gid_t)-1;
    own->cached = p;
    own->clients++;
    own->alive++;
    if (p->admitted <= at->left) {
        ipc_zmq_end_peer_(own, p, fd);
        return p;
    }
    own->silent--; /* below 0 until HANDSHAKE_SUCCEEDED is taken in */
    at->peer = p;
    if (ipc_channel_is_unix_(ch))
        (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &p->is, &size);
    if (own->clients > own->limit)
        ipc_zmq_drop_peer_(own, p);
    return p;
}

/* Takes the next message of a client into own->message, its sender into own->from. 0; -EAGAIN:
 * there is none; -EBADMSG: it has several parts, and was dropped; -ENOMEM. */
IPC_INLINE int ipc_zmq_pull_(struct ipc_channel *ch, int flags)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ key, *p;
    int rc, is_first;

    while (!own->has_message) {
        if (!ipc_zmq_take_(own, flags))
            return -EAGAIN;
        flags = ZMQ_DONTWAIT; /* clients that are sent away must not keep us */
        own->reads++;
        p = own->cached;
        if (own->type == ZMQ_DEALER) {
            key.id_size = 0;
        } else {
            if (p == NULL || zmq_msg_size(&own->message) != p->id_size ||
                memcmp(zmq_msg_data(&own->message), p->id, p->id_size) != 0)
                p = ipc_zmq_find_id_(own, &own->message, &key);
            if (!ipc_zmq_take_(own, ZMQ_DONTWAIT))
                continue;
        }
        is_first = p == NULL;
        if (is_first)
            p = ipc_zmq_seat_(ch, &key);
        rc = ipc_zmq_drop_parts_(own) ? -EBADMSG : 0;
        if (p == NULL)
            return ipc_channel_refuse_(ch, -ENOMEM, "no memory for a client");
        if (p->reads != 0)
            p->reads = ipc_zmq_count_turns_(own);
        if (p->is_dropped || (is_first && rc == 0 && zmq_msg_size(&own->message) == 0) ||
            (ch->role & IPC_RECV) == 0)
            continue;
        own->from = p;
        if (rc != 0)
            return ipc_channel_refuse_(ch, rc, "%s:%s: a message of several parts",
                                       ch->kind->scheme, ch->address);
        own->has_message = 1;
    }
    return 0;
}

/* Has the client ended, and nothing left? all_read: no message is there. An end that counts only
 * now is not asked for that, as the client's last messages may have come in between. */
IPC_INLINE int ipc_zmq_is_gone_(struct ipc_zmq_ *own, struct ipc_zmq_peer_ *p, int all_read)
{
    if (p->number == 0 || !p->end.has_come || (own->has_message && own->from == p))
        return 0;
    if (p->reads != 0)
        return all_read || own->reads > p->reads;
    if (!all_read && ipc_zmq_is_over_(own, &p->end))
        p->reads = ipc_zmq_count_turns_(own);
    return 0;
}

/* The client whose loss is to be reported, or NULL. Seats of those that were dropped become free.
 * */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_gone_(struct ipc_zmq_ *own, int all_read)
{
    unsigned i;

    for (i = 0; own->ended != 0 && i < own->made; i++) {
        if (!ipc_zmq_is_gone_(own, own->seats[i], all_read))
            continue;
        if (!own->seats[i]->is_dropped)
            return own->seats[i];
        ipc_zmq_free_seat_(own, own->seats[i]);
    }
    return NULL;
}

/* The only client of a channel that is no server, or NULL. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_only_(const struct ipc_zmq_ *own)
{
    unsigned i;

    for (i = 0; i < own->made; i++)
        if (own->seats[i]->number != 0 && !own->seats[i]->is_dropped)
            return own->seats[i];
    return NULL;
}

/* Sends to a client. 0; -EAGAIN: it does not read; -EPIPE: it is gone. */
IPC_INLINE int ipc_zmq_send_peer_(struct ipc_zmq_ *own, const struct ipc_zmq_peer_ *p,
                                  const void *message, size_t n)
{
    if (zmq_send(own->main, p->id, p->id_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return zmq_errno() == EAGAIN ? -EAGAIN : -EPIPE;
    return zmq_send(own->main, message, n, ZMQ_DONTWAIT) >= 0 ? 0 : -EPIPE;
}

/* ------------------------------------------------------------------ opening */

/* Makes the socket, and gives it those that listen. */
IPC_INLINE int ipc_zmq_listen_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int type = ZMQ_ROUTER, rc, bad = 0, fd;
    uid_t users[3];
    char endpoint[PATH_MAX + 16];
    unsigned i;

    if (ch->how.publish != 0)
        type = ZMQ_PUB;
    else if ((ch->role & IPC_BOTH) == IPC_RECV && ch->how.clients == 0)
        type = ZMQ_DEALER;
    own->type = type;
    own->limit = ch->how.clients != 0 ? ch->how.clients : 1;
    rc = ipc_channel_make_listener_(ch, deadline);
    if (rc == 0)
        rc = ipc_zmq_make_(ch, &own->main, type, IPC_ZMQ_MAIN_);
    if (rc == 0)
        rc = ipc_zmq_prepare_(ch);
    if (rc == 0)
        rc = ipc_zmq_monitor_(ch);
    if (rc == 0)
        bad |= type == ZMQ_ROUTER ? ipc_zmq_set_(own->main, ZMQ_ROUTER_MANDATORY, 1) : 0;
    if (rc == 0 && type == ZMQ_PUB)
        bad |= ipc_zmq_set_(own->main, ZMQ_XPUB_NODROP, ch->how.publish == IPC_LOSSLESS);
    if (rc == 0 && (type != ZMQ_PUB || own->peer_keys != NULL)) {
        rc = ipc_zmq_make_(ch, &own->keys, ZMQ_ROUTER, IPC_ZMQ_KEYS_);
        if (rc == 0)
            bad |= zmq_setsockopt(own->main, ZMQ_ZAP_DOMAIN, "ipc", 3) |
                   ipc_zmq_set_(own->keys, ZMQ_ROUTER_MANDATORY, 1) |
                   ipc_zmq_set_(own->keys, ZMQ_RCVHWM, 0) |
                   zmq_bind(own->keys, "inproc://zeromq.zap.01");
        own->keys_wait = 1;
    }
    users[0] = geteuid();
    users[1] = 0;
    users[2] = ch->how.user;
    for (i = 0; rc == 0 && ipc_channel_is_unix_(ch) && i < 3; i++)
        bad |= zmq_setsockopt(own->main, ZMQ_IPC_FILTER_UID, &users[i], sizeof users[i]);
    if (rc == 0 && ipc_channel_is_unix_(ch) && ch->how.group != 0)
        bad |= zmq_setsockopt(own->main, ZMQ_IPC_FILTER_GID, &ch->how.group, sizeof(gid_t));
    (void)snprintf(endpoint, sizeof endpoint, ipc_channel_is_unix_(ch) ? "ipc://%s" : "tcp://*:1",
                   ch->address);
    for (i = 0; rc == 0 && bad == 0 && i < own->socket.count; i++) {
        fd = fcntl(own->socket.sockets[i], F_DUPFD_CLOEXEC, 3);
        bad |= fd < 0 || ipc_zmq_set_(own->main, ZMQ_USE_FD, fd) | zmq_bind(own->main, endpoint);
    }
    return rc == 0 && bad != 0 ? ipc_zmq_refuse_(ch, "listen") : rc;
}

#endif

/* >>kind  src/zmq/kind.h */
/* What the table names: opening, sending and receiving, servers. */
#ifndef IPC_SRC_ZMQ_KIND_H
#define IPC_SRC_ZMQ_KIND_H 1

/* ------------------------------------------------------------------ waiting */

/* The time, some 4 ms late, for a quarter of what ipc_clock costs. */
IPC_INLINE int64_t ipc_zmq_coarse_clock_(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* When a call has to look again by itself. */
IPC_INLINE int64_t ipc_zmq_next_look_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    if (ipc_zmq_is_listener_(ch)) {
        if (own->ended != 0)
            return ipc_clock() + IPC_ZMQ_MOMENT_NS_;
        return own->shaking > 0 && own->keys_wait && own->type == ZMQ_ROUTER
                   ? own->admitted_at + IPC_ZMQ_LATE_NS_
                   : IPC_FOREVER;
    }
    if (own->main == NULL)
        return own->next_try;
    return own->end.has_come ? ipc_clock() + IPC_ZMQ_MOMENT_NS_ : IPC_FOREVER;
}

IPC_INLINE void ipc_zmq_take_events_(struct ipc_channel *ch)
{
    if (ipc_zmq_is_listener_(ch))
        ipc_zmq_notice_all_(ipc_zmq_get_(ch));
    else
        ipc_zmq_follow_all_(ch);
}

/* Takes in what epoll tells of within the deadline. 1: something came; 0: nothing; -EINTR, or why
 * this side cannot connect. */
IPC_INLINE int ipc_zmq_step_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct epoll_event e[4];
    int64_t second = ipc_in_ms(1000);
    uint64_t rings;
    int i, n, rc = 0;

    if (deadline > IPC_NOW) /* a stop of the process interrupts epoll_wait, but not poll */
        rc = ipc_channel_wait_(own->polls, POLLIN, deadline < second ? deadline : second);
    if (rc == -EINTR)
        return rc;
    rc = 0; /* or the time is over: a look */
    n = epoll_wait(own->polls, e, 4, 0);
    if (n < 0)
        return -errno;
    for (i = 0; i < n; i++) {
        if (e[i].data.u32 == IPC_ZMQ_MAIN_ && own->main != NULL)
            (void)ipc_zmq_look_(own->main);
        else if (e[i].data.u32 == IPC_ZMQ_EVENTS_)
            ipc_zmq_take_events_(ch);
        else if (e[i].data.u32 == IPC_ZMQ_TIMER_)
            (void)!read(own->timer, &rings, sizeof rings);
        else if (e[i].data.u32 == IPC_ZMQ_KEYS_) {
            own->keys_wait = 1;
            (void)ipc_zmq_look_(own->keys); /* so that epoll tells of the next one */
        }
    }
    ipc_zmq_admit_(ch);
    if (!ipc_zmq_is_listener_(ch) && own->main == NULL && own->refusal == 0 &&
        ipc_left_(own->next_try) == 0) {
        rc = ipc_zmq_connect_(ch);
        n++;
    }
    return rc < 0 ? rc : n > 0;
}

/* Waits until something has come. 0; -ETIMEDOUT; or as ipc_zmq_step_. */
IPC_INLINE int ipc_zmq_wait_(struct ipc_channel *ch, unsigned *skips, int64_t deadline)
{
    for (;;) {
        int64_t next = ipc_zmq_next_look_(ch);
        int rc = ipc_zmq_step_(ch, next < deadline ? next : deadline);

        if (rc < 0)
            return rc;
        if (rc > 0 && !ipc_channel_has_skipped_enough_(skips, deadline))
            return 0;
        if (ipc_left_(deadline) == 0)
            return -ETIMEDOUT;
        if (next != IPC_FOREVER && ipc_left_(next) == 0)
            return 0;
    }
}

/* The descriptor is to tell what this call has taken in, and when to look again. */
IPC_INLINE void ipc_zmq_ring_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int64_t at;

    if (!own->is_asked)
        return;
    at = ipc_zmq_next_look_(ch);
    if ((ch->role & IPC_RECV) != 0 &&
        (own->has_message || own->refusal != 0 ||
         (own->main != NULL && (ipc_zmq_look_(own->main) & ZMQ_POLLIN) != 0)))
        at = 1;
    ipc_zmq_arm_(own, at);
}

/* Does a publisher look now for subscribers that come and go? */
IPC_INLINE int ipc_zmq_is_due_(struct ipc_zmq_ *own)
{
    int64_t now = ipc_zmq_coarse_clock_();

    if (now == own->looked)
        return 0;
    own->looked = now;
    return 1;
}

/* The flags of a call of ZeroMQ: 0 where it may wait there, as nothing else is to be expected. */
IPC_FORCE_INLINE int ipc_zmq_flags_(const struct ipc_channel *ch, int64_t deadline)
{
    const struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int is_calm = ipc_zmq_is_listener_(ch)
                      ? ch->server == NULL && own->alive != 0 && own->ended == 0
                      : own->is_ready && !own->end.has_come;

    if ((ch->role & IPC_BOTH) == IPC_BOTH || !is_calm || deadline == IPC_NOW)
        return ZMQ_DONTWAIT;
    return deadline - ipc_zmq_coarse_clock_() > IPC_ZMQ_FAR_NS_ ? 0 : ZMQ_DONTWAIT;
}

/* Reports why the two sides do not agree. */
IPC_INLINE int ipc_zmq_report_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int rc = own->refusal;

    own->refusal = 0;
    return rc == 0 ? 0 : ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme,
                                               ch->address, own->reason);
}

IPC_INLINE int ipc_zmq_report_loss_(struct ipc_channel *ch)
{
    return ipc_channel_refuse_(ch, -EPIPE, "%s:%s: the other side is gone", ch->kind->scheme,
                               ch->address);
}

/* ------------------------------------------------------------------ the side that connects */

/* Tries to send. 0, or -EAGAIN: wait; or what the call reports. */
IPC_FORCE_INLINE int ipc_zmq_client_try_send_(struct ipc_channel *ch, const void *message, size_t n,
                                              int flags)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    if (own->refusal != 0)
        return ipc_zmq_report_(ch);
    if (own->main == NULL)
        return -EAGAIN;
    if (!own->end.has_come)
        return zmq_send(own->main, message, n, flags) >= 0 ? 0
               : zmq_errno() == EAGAIN                     ? -EAGAIN
                                                           : ipc_zmq_refuse_(ch, "send");
    if ((ch->role & IPC_RECV) != 0 && !own->has_told) {
        own->has_told = 1;
        return ipc_zmq_report_loss_(ch);
    }
    if ((ch->role & IPC_RECV) != 0 && (own->has_message || !ipc_zmq_is_over_(own, &own->end) ||
                                       (ipc_zmq_look_(own->main) & ZMQ_POLLIN) != 0))
        return ipc_zmq_report_loss_(ch);
    ipc_zmq_leave_(ch, 0);
    return (ch->role & IPC_RECV) != 0 ? -EAGAIN : ipc_zmq_report_loss_(ch);
}

/* Tries to receive: a length, or as above. */
IPC_FORCE_INLINE int64_t ipc_zmq_client_try_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                  int flags)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int is_over = own->end.has_come && ipc_zmq_is_over_(own, &own->end);

    if (own->has_message)
        return ipc_zmq_hand_out_(ch, to, size);
    if (own->refusal != 0)
        return ipc_zmq_report_(ch);
    if (own->main == NULL)
        return -EAGAIN;
    if (ipc_zmq_take_(own, flags))
        return CK_CC_UNLIKELY(ipc_zmq_drop_parts_(own))
                   ? ipc_channel_refuse_(ch, -EBADMSG, "%s:%s: a message of several parts",
                                         ch->kind->scheme, ch->address)
                   : ipc_zmq_hand_out_(ch, to, size);
    if (!is_over)
        return -EAGAIN;
    ipc_zmq_leave_(ch, 0);
    return ipc_zmq_report_loss_(ch);
}

/* ------------------------------------------------------------------ the side that listens */

/* Publishes, or sends to the only client. As ipc_zmq_client_try_send_. */
IPC_INLINE int ipc_zmq_listener_try_send_(struct ipc_channel *ch, const void *message, size_t n)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ *p;
    int rc;

    if (ch->how.publish != 0)
        return zmq_send(own->main, message, n, ZMQ_DONTWAIT) >= 0 ? 0
               : zmq_errno() == EAGAIN                            ? -EAGAIN
                                                                  : ipc_zmq_refuse_(ch, "publish");
    if (own->ended != 0 && (ch->role & IPC_RECV) == 0) { /* seats of those that were dropped */
        (void)ipc_zmq_find_gone_(own, 0);
        if (ipc_zmq_pull_(ch, ZMQ_DONTWAIT) == -EAGAIN)
            (void)ipc_zmq_find_gone_(own, 1);
    }
    p = ipc_zmq_find_only_(own);
    if (p == NULL) {
        rc = ipc_zmq_pull_(ch, ZMQ_DONTWAIT);
        p = ipc_zmq_find_only_(own);
        if (p == NULL)
            return rc == -ENOMEM ? rc : -EAGAIN;
    }
    if (!p->end.has_come) {
        rc = ipc_zmq_send_peer_(own, p, message, n);
        return rc == -EPIPE ? -EAGAIN : rc; /* the monitor is about to tell it */
    }
    if ((ch->role & IPC_RECV) == 0)
        ipc_zmq_free_seat_(own, p);
    return ipc_zmq_report_loss_(ch);
}

/* Tries to receive from any client. */
IPC_INLINE int64_t ipc_zmq_listener_try_recv_(struct ipc_channel *ch, void *to, size_t size,
                                              int flags)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ *gone = ipc_zmq_find_gone_(own, 0);
    int rc;

    if (gone == NULL) {
        rc = ipc_zmq_pull_(ch, flags);
        if (rc != -EAGAIN) {
            ch->from = rc == -ENOMEM || ch->server == NULL ? 0 : own->from->number;
            return rc != 0 ? rc : ipc_zmq_hand_out_(ch, to, size);
        }
        gone = ipc_zmq_find_gone_(own, 1);
    }
    if (gone == NULL)
        return -EAGAIN;
    ch->from = ch->server != NULL ? gone->number : 0;
    ipc_zmq_free_seat_(own, gone);
    return ipc_zmq_report_loss_(ch);
}

/* ------------------------------------------------------------------ what the tables name */

IPC_INLINE int64_t ipc_zmq_recv_(struct ipc_channel *ch, void *to, size_t size, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int is_listener = ipc_zmq_is_listener_(ch), flags = ipc_zmq_flags_(ch, deadline);
    unsigned skips = 0;
    int64_t rc;

    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    if (ch->server != NULL && --own->turns < 0) {
        own->turns = IPC_ZMQ_TURNS_;
        (void)ipc_zmq_step_(ch, IPC_NOW);
    }
    do {
        rc = is_listener ? ipc_zmq_listener_try_recv_(ch, to, size, flags)
                         : ipc_zmq_client_try_recv_(ch, to, size, flags);
        if (rc == -EAGAIN && flags == 0 && zmq_errno() == EINTR)
            rc = -EINTR;
        if (rc != -EAGAIN)
            break;
        flags = ZMQ_DONTWAIT;
        rc = ipc_zmq_wait_(ch, &skips, deadline);
    } while (rc == 0);
    if (rc < 0)
        ipc_zmq_ring_(ch);
    return rc;
}

IPC_INLINE int ipc_zmq_send_(struct ipc_channel *ch, const void *message, size_t n,
                             int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int is_listener = ipc_zmq_is_listener_(ch), flags = ipc_zmq_flags_(ch, deadline), rc;
    unsigned skips = 0;

    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    if (ch->how.publish != 0 && ipc_zmq_is_due_(own))
        (void)ipc_zmq_step_(ch, IPC_NOW);
    do {
        rc = is_listener ? ipc_zmq_listener_try_send_(ch, message, n)
                         : ipc_zmq_client_try_send_(ch, message, n, flags);
        if (rc != -EAGAIN)
            break;
        flags = ZMQ_DONTWAIT;
        rc = ipc_zmq_wait_(ch, &skips, deadline);
    } while (rc == 0);
    ipc_zmq_ring_(ch);
    return rc;
}

IPC_INLINE int ipc_zmq_descriptor_(struct ipc_channel *ch)
{
    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    if (!ipc_zmq_get_(ch)->is_asked) {
        ipc_zmq_get_(ch)->is_asked = 1;
        ipc_zmq_ring_(ch);
    }
    return ipc_zmq_get_(ch)->polls;
}

IPC_INLINE int ipc_zmq_is_ready_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    unsigned skips = 0, i;
    int is_ready;

    if (!ipc_zmq_is_mine_(ch))
        return 1; /* recv says why not */
    while (ipc_zmq_step_(ch, IPC_NOW) > 0 && !ipc_channel_has_skipped_enough_(&skips, IPC_NOW))
        ;
    is_ready = own->has_message || own->refusal != 0 || ipc_zmq_is_over_(own, &own->end) ||
               (own->main != NULL && (ipc_zmq_look_(own->main) & ZMQ_POLLIN) != 0);
    for (i = 0; own->ended != 0 && !is_ready && i < own->made; i++)
        is_ready = own->seats[i]->number != 0 && ipc_zmq_is_over_(own, &own->seats[i]->end);
    if (!is_ready)
        ipc_zmq_ring_(ch);
    return is_ready;
}

IPC_INLINE void ipc_zmq_describe_(const struct ipc_channel *ch, struct ipc_channel_facts *info)
{
    const struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    const struct ipc_zmq_peer_ *p =
        ch->server != NULL ? ipc_zmq_find_client_(own, ch->from) : ipc_zmq_find_only_(own);

    info->mechanism = "zmq";
    info->port = own->socket.port;
    if (ch->server != NULL)
        info->clients = own->clients;
    if (p == NULL)
        return;
    info->pid = p->is.pid;
    info->uid = p->is.uid;
    info->gid = p->is.gid;
}

/* ------------------------------------------------------------------ servers */

IPC_INLINE int ipc_zmq_serve_(struct ipc_channel *ch)
{
    ch->server = ch->state;
    return 0;
}

IPC_INLINE void ipc_zmq_serve_no_more_(struct ipc_channel *ch)
{
    ch->server = NULL;
}

IPC_INLINE int ipc_zmq_send_to_(struct ipc_channel *ch, uint64_t client, const void *message,
                                size_t n, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ *p;
    unsigned skips = 0;
    int rc;

    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    do {
        p = ipc_zmq_find_client_(own, client);
        rc = p != NULL && !p->end.has_come ? ipc_zmq_send_peer_(own, p, message, n) : -EPIPE;
        if (rc != -EAGAIN)
            break;
        rc = ipc_zmq_wait_(ch, &skips, deadline);
    } while (rc == 0);
    ipc_zmq_ring_(ch);
    return rc == -EPIPE ? ipc_channel_refuse_client_(ch, client) : rc;
}

IPC_INLINE int ipc_zmq_drop_(struct ipc_channel *ch, uint64_t client)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ *p;

    if (!ipc_zmq_is_mine_(ch))
        return ipc_zmq_refuse_child_(ch);
    ipc_zmq_notice_all_(own); /* what has ended is not shut down */
    p = ipc_zmq_find_client_(own, client);
    if (p == NULL)
        return ipc_channel_refuse_client_(ch, client);
    if (own->from == p)
        own->has_message = 0;
    ipc_zmq_drop_peer_(own, p);
    ipc_zmq_ring_(ch);
    return 0;
}

/* ------------------------------------------------------------------ open and close */

/* Takes the keys of the options: they are kept no longer there. 0 or a negative errno. */
IPC_INLINE int ipc_zmq_take_keys_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    const char *secret = ch->how.secret, *peers = ch->how.peer_keys;
    unsigned char bytes[IPC_ZMQ_KEY_];

    ch->how.secret = ch->how.peer_keys = NULL;
    if (secret == NULL && peers == NULL)
        return 0;
    if (!zmq_has("curve"))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: this libzmq has no CURVE",
                                   ch->kind->scheme);
    if (secret == NULL || strlen(secret) != IPC_ZMQ_KEY_ || zmq_z85_decode(bytes, secret) == NULL)
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "%s: options.secret is no key of 40 characters: see "
                                   "zmq_curve_keypair",
                                   ch->kind->scheme);
    memcpy(own->secret, secret, sizeof own->secret);
    if (zmq_curve_public(own->own_key, own->secret) != 0)
        return ipc_zmq_refuse_(ch, "use options.secret");
    if (!ipc_zmq_is_listener_(ch) &&
        (peers == NULL || strlen(peers) != IPC_ZMQ_KEY_ || zmq_z85_decode(bytes, peers) == NULL))
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "%s: options.peer_keys is not the listener's public key, of 40 "
                                   "characters",
                                   ch->kind->scheme);
    own->peer_keys = peers != NULL ? strdup(peers) : NULL;
    return peers == NULL || own->peer_keys != NULL ? 0 : -ENOMEM;
}

/* "//HOST:PORT" or "//PATH": drops the slashes. */
IPC_INLINE int ipc_zmq_strip_(struct ipc_channel *ch)
{
    size_t n = strlen(ch->address);

    if (strncmp(ch->address, "//", 2) != 0)
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: two slashes are missing: %s://",
                                   ch->kind->scheme, ch->address, ch->kind->scheme);
    memmove(ch->address, ch->address + 2, n - 1);
    if (ipc_channel_is_unix_(ch) && n - 2 >= sizeof ((struct sockaddr_un *)NULL)->sun_path)
        return ipc_channel_refuse_(ch, -ENAMETOOLONG, "%s: a path of %zu bytes: at most 107",
                                   ch->kind->scheme, n - 2);
    return 0;
}

/* Waits until the listener is there. */
IPC_INLINE int ipc_zmq_reach_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    unsigned skips = 0;
    int rc = ipc_zmq_connect_(ch);

    while (rc == 0 && own->fd < 0 && own->refusal == 0)
        rc = ipc_zmq_wait_(ch, &skips, deadline);
    if (rc == -ETIMEDOUT)
        return ipc_channel_refuse_(ch, rc,
                                   "%s: nobody listened at '%s' until the deadline: is that "
                                   "program running?",
                                   ch->kind->scheme, ch->address);
    return rc == 0 ? ipc_zmq_report_(ch) : rc;
}

IPC_INLINE int ipc_zmq_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct epoll_event e;
    int rc;

    own->polls = own->timer = own->fd = -1;
    own->socket.listener = -1;
    own->type = ZMQ_DEALER;
    (void)zmq_msg_init(&own->message);
    rc = ipc_zmq_strip_(ch);
    if (rc == 0)
        rc = ipc_zmq_take_keys_(ch);
    if (rc == 0 && ch->how.depth > INT_MAX)
        rc = ipc_channel_refuse_(ch, -EINVAL, "%zu messages", ch->how.depth);
    if (rc == 0)
        rc = ipc_zmq_mark_process_(ch);
    if (rc != 0)
        return rc;
    own->context = zmq_ctx_new();
    if (own->context == NULL)
        return ipc_zmq_refuse_(ch, "make a context");
    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    e.data.u32 = (uint32_t)IPC_ZMQ_TIMER_;
    own->polls = ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    own->timer = ipc_move_fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (own->timer < 0 || epoll_ctl(own->polls, EPOLL_CTL_ADD, own->timer, &e) != 0)
        return ipc_channel_refuse_errno_(ch, "wait for");
    return ipc_zmq_is_listener_(ch) ? ipc_zmq_listen_(ch, deadline) : ipc_zmq_reach_(ch, deadline);
}

/* Closes all that is of ZeroMQ, and waits until the others have read, three seconds at most. */
IPC_INLINE void ipc_zmq_leave_all_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int64_t deadline = ipc_in_ms(IPC_ZMQ_LINGER_MS_);
    int i, kept = -1;

    ipc_zmq_take_events_(ch);
    if (own->main != NULL) {
        (void)ipc_zmq_set_(own->main, ZMQ_LINGER, IPC_ZMQ_LINGER_MS_);
        kept = own->is_ready && !own->end.has_come ? ipc_zmq_keep_(own->fd, own->ino) : -1;
    }
    for (i = 0; i < own->fds_size; i++) { /* from now on `left` is the duplicate, plus 1 */
        int fd = ipc_zmq_keep_(i, own->fds[i].ino);

        own->fds[i].left = (uint64_t)(fd + 1);
    }
    ipc_zmq_close_socket_(own, &own->events, IPC_ZMQ_EVENTS_);
    ipc_zmq_close_socket_(own, &own->main, IPC_ZMQ_MAIN_);
    ipc_zmq_close_socket_(own, &own->keys, IPC_ZMQ_KEYS_);
    while (zmq_ctx_term(own->context) != 0 && zmq_errno() == EINTR)
        ;
    if (kept >= 0)
        ipc_zmq_see_off_(kept, deadline);
    for (i = 0; i < own->fds_size; i++)
        if (own->fds[i].left != 0)
            (void)shutdown((int)own->fds[i].left - 1, SHUT_WR);
    for (i = 0; i < own->fds_size; i++)
        if (own->fds[i].left != 0)
            ipc_zmq_see_off_((int)own->fds[i].left - 1, deadline);
}

IPC_INLINE void ipc_zmq_close_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    unsigned i;

    if (ch->pid == getpid() && own->context != NULL)
        ipc_zmq_leave_all_(ch);
    (void)zmq_msg_close(&own->message);
    ipc_channel_socket_close_(ch);
    ipc_channel_close_fd_(&own->polls);
    ipc_channel_close_fd_(&own->timer);
    if (own->mine != NULL)
        (void)munmap(own->mine, (size_t)getpagesize());
    for (i = 0; i < own->made; i++) {
        (void)tdelete(own->seats[i], &own->tree, ipc_zmq_compare_);
        free(own->seats[i]);
    }
    free(own->seats);
    free(own->fds);
    free(own->peer_keys);
}

IPC_INLINE int ipc_zmq_unlink_(struct ipc_channel *ch)
{
    int rc = ipc_zmq_strip_(ch);

    return rc != 0 ? rc : ipc_channel_socket_unlink_(ch);
}

/* ------------------------------------------------------------------ the tables */

static const struct ipc_channel_serve_ ipc_zmq_serve_table_ = {
    ipc_zmq_serve_, ipc_zmq_serve_no_more_, ipc_zmq_recv_,     ipc_zmq_send_to_,  ipc_zmq_drop_,
    NULL, /* flush */
    ipc_zmq_descriptor_, ipc_zmq_describe_, ipc_zmq_is_ready_,
};

#define IPC_ZMQ_KIND_(scheme, flags, domain, unlink)                                               \
    {                                                                                              \
        scheme, IPC_CHANNEL_NO_FD_ | IPC_CHANNEL_DEPTH_ | IPC_CHANNEL_PUBLISHES_ |                 \
                    IPC_CHANNEL_KEYS_ | (flags),                                                   \
            sizeof(struct ipc_zmq_), domain, SOCK_STREAM, ipc_zmq_open_, ipc_zmq_close_, unlink,   \
            ipc_zmq_send_, ipc_zmq_recv_, NULL, NULL, NULL, NULL, ipc_zmq_descriptor_,             \
            ipc_zmq_describe_, ipc_zmq_is_ready_, &ipc_zmq_serve_table_                            \
    }

static const struct ipc_channel_kind_ ipc_zmq_tcp_kind_ =
    IPC_ZMQ_KIND_("zmq:tcp", IPC_CHANNEL_OPEN_TO_ALL_ | IPC_CHANNEL_KEEPALIVE_, AF_INET, NULL);
static const struct ipc_channel_kind_ ipc_zmq_ipc_kind_ =
    IPC_ZMQ_KIND_("zmq:ipc", 0, AF_UNIX, ipc_zmq_unlink_);

static struct ipc_channel_added_ ipc_zmq_added_[2] = {{&ipc_zmq_tcp_kind_, NULL},
                                                      {&ipc_zmq_ipc_kind_, NULL}};

/* 101: before any constructor of the program. */
__attribute__((constructor(101))) static void ipc_zmq_add_(void)
{
    ipc_zmq_added_[0].next = &ipc_zmq_added_[1];
    ipc_zmq_added_[1].next = ipc_channel_added_;
    ipc_channel_added_ = ipc_zmq_added_;
}

#endif

#endif /* IPC_ZMQ_H */
