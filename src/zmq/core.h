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
    int own = ino != 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

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
