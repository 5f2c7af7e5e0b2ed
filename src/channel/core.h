/* The types: a channel, its options and facts, and what a mechanism is. */
#ifndef IPC_SRC_CHANNEL_CORE_H
#define IPC_SRC_CHANNEL_CORE_H 1

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#include <limits.h>
#include <mqueue.h>
#include <net/if.h>
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

/* ------------------------------------------------------------------ types */

/* Roles. */
#define IPC_SEND 1u
#define IPC_RECV 2u
#define IPC_BOTH 3u
#define IPC_LISTEN 4u /* this side makes what the other side finds */

/* Publishing: each of several subscribers gets every message. See >>publish. */
#define IPC_LOSSLESS 1u /* the publisher waits for the slowest subscriber */
#define IPC_LOSSY 2u    /* it waits for none: a slow subscriber misses messages, and is told */

/* All zeros, or NULL in place of it, is what most programs want. */
struct ipc_channel_options {
    size_t max;         /* bytes of the largest message; 0: 1 MiB, or what the mechanism has,
                           64 KiB of a ring for many */
    unsigned senders;   /* ring: processes that may send at a time, 1 to 64; 0: 1 */
    unsigned receivers; /* ring: above 1: receivers share the messages; all sides say it. With
                           publish: how many subscribers, 1 to 65535; 0: 64 */
    unsigned publish;   /* the side with IPC_SEND | IPC_LISTEN: IPC_LOSSLESS or IPC_LOSSY; 0: no */
    size_t depth;       /* mq: messages in the queue; 0: the system's number, 10 */
    mode_t mode;        /* of what is made, and the most that what is found may permit; 0: 0600 */
    uid_t user;         /* a user that may be the other side, besides this user and root */
    gid_t group;        /* unix:, auto: a group whose processes may be the other side; 0: none */
    uint32_t priority;  /* the first value of ipc_channel's priority */
    int32_t select;     /* the first value of ipc_channel's select */
    int64_t offset;     /* file: where reading begins, from ipc_channel_info; -1: at the end */
    uint64_t mark;      /* file: what is before offset, from ipc_channel_info; 0: not checked */
    int sync;           /* file: 1: send returns when the message is on the disk */
    unsigned keepalive; /* tcp: seconds, 1 to 32767, after which a host that does not answer is
                           gone; 0: never */
    unsigned clients;   /* a listener serves so many at a time with one handle, 1 to 1000000 (ring:
                           64): see ipc_channel_send_to; 0: one after the other */
    const char *secret;   /* zmq: this side's secret key, of 40 characters; NULL: no encryption */
    const char *peer_keys; /* zmq: the listener's public key; a listener: the keys that may come,
                              with spaces between them; NULL: any */
};

struct ipc_channel_kind_;
struct ipc_channel_ring_;

/* Bytes that have come in, or that are to go out: [begin, end) of data. */
struct ipc_channel_bytes_ {
    unsigned char *data;
    size_t size, begin, end;
};

/* A handle. One thread at a time uses it. */
struct ipc_channel {
    /* For the caller, to read and to change between calls. */
    uint32_t priority; /* mq: of what is sent, 0 to 32767, the highest comes first;
                          sysv: the type of what is sent, 0 stands for 1;
                          signal: SIGRTMIN + priority is sent, or received */
    int32_t select;    /* sysv: what is received: 0 any type, n > 0 type n, n < 0 the lowest type
                          up to -n */
    uint32_t came;     /* priority or type of the message that was received last */
    uint64_t from;     /* a server: the client that the last recv told of, by its message or by the
                          loss that it reported; never 0 for a client, and never used again */
    /* Private. */
    struct ipc_record_producer *quick_out; /* where send needs only a push */
    const uint64_t *quick_holder;          /* as long as this word */
    uint64_t quick_reader;                 /* names this process */
    int32_t quick_sends;                   /* how many calls may do so; 0: the long way */
    struct ipc_record_consumer *quick_in;  /* recv needs only a pop here; NULL: the long way */
    const struct ipc_channel_kind_ *kind;  /* the mechanism; NULL: the channel is not open */
    void *state;                            /* the mechanism's own state: see its room */
    struct ipc_channel_ring_ *ring;        /* messages go through this ring; NULL: they do not */
    void *server;                           /* its clients; NULL: the channel is no server */
    size_t max;                            /* bytes of the largest message */
    struct ipc_channel_options how;
    unsigned role;
    unsigned flags; /* IPC_CHANNEL_* below */
    int in, out;    /* descriptors, the same one for sockets; -1: nobody is there */
    pid_t pid;      /* the process that opened the channel */
    int polls;      /* a client of a server: the epoll descriptor that tells of it; else -1 */
    size_t next;    /* bytes of a message that was too large for the caller's buffer; else 0 */
    size_t last;    /* bytes of the message that was received last */
    unsigned turn;  /* of channels[0]: where ipc_channel_wait_any begins */
    struct ipc_channel_bytes_ rx, tx;
    char *address; /* of the URI */
    struct {
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } peer; /* the other side's process, as SO_PEERCRED tells it */
    char why[256];
};

/*
 * The other side, and what a channel does where it stands. One call reports each loss.
 *
 * Over descriptors:
 *
 *     state       in, out      send                     recv
 *     NOBODY      -1           meets the next peer      meets the next peer
 *     THERE       descriptors  sends                    receives
 *     HALF_GONE   descriptors  -EPIPE while something   what is left, then reports the loss
 *                              is left to receive; then
 *                              a client meets the next
 *                              listener
 *
 *     NOBODY    -> THERE       ipc_channel_meet_: kind->meet has found a peer
 *     NOBODY    -> NOBODY      ipc_channel_meet_: no peer can come (pipe:, a channel of
 *                              ipc_channel_accept): -EPIPE at each call
 *     THERE     -> HALF_GONE   ipc_channel_stop_sending_: a write failed, and the peer may have
 *                              sent something before
 *     THERE     -> NOBODY      ipc_channel_lose_peer_: the end was read, garbage came, or a write
 *                              failed on a channel that only sends
 *     HALF_GONE -> NOBODY      ipc_channel_lose_peer_: the end was read; or
 *                              ipc_channel_meet_successor_: a send, and nothing is left to receive
 *
 * A FIFO's receiver has opened its next end by then: it is THERE, and waits for a sender in recv.
 *
 * Over a ring there is no end to be read. The ring has the id of the process that holds its other
 * end, or 0. The channel keeps the id that it has seen there (`reader`, `writer`), or 0: none, or
 * its loss was reported.
 *
 *     seen  holder  recv without a message, send without room       send before it pushes
 *     0     0       waits for a peer until the deadline             pushes
 *     0, k  k       seen = k; waits; when the kernel proves that k  seen = k; pushes, but asks the
 *                   is dead: -EOWNERDEAD, seen = 0, and stays 0     kernel each 8 ms, as recv
 *                   as long as k is the holder
 *     k     0       -EPIPE, seen = 0                                -EPIPE, seen = 0
 *     k     j       how k ended: -EPIPE or -EOWNERDEAD, seen = 0    -EPIPE, seen = 0
 *
 * Each end of a ring also counts how often it was left. So a process that came and went between two
 * looks, without a message, is told as one that left: see ipc_channel_left_.
 *
 * auto: reports both as -EPIPE, and is as a channel over descriptors then. It asks the socket, too,
 * whether the peer is gone: see IPC_CHANNEL_ASK_AFTER_.
 */
#define IPC_CHANNEL_CANNOT_SEND_ 1u     /* HALF_GONE */
#define IPC_CHANNEL_ACCEPTED_ 2u        /* made by ipc_channel_accept: no other peer can come */
#define IPC_CHANNEL_MASK_ 4u            /* no RWF_NOSIGNAL: each write blocks SIGPIPE */
#define IPC_CHANNEL_SIGPIPE_IGNORED_ 8u /* the host ignores SIGPIPE */
#define IPC_CHANNEL_UNGREETED_ 32u      /* the other side's greeting has not come yet: see greet.h */
#define IPC_CHANNEL_UNUSED_ 16u         /* kind->prepare is called before the first use */

/* What ipc_channel_info tells. */
struct ipc_channel_facts {
    const char *mechanism; /* the URI's, "unix", ...; auto: what it became, "ring" or "unix" */
    size_t max;            /* bytes of the largest message */
    size_t memory;         /* bytes of shared memory that this channel's rings have; else 0 */
    size_t next;           /* bytes of the message that recv refused with -EMSGSIZE; else 0 */
    size_t pending;        /* bytes of messages that a deadline has cut off, still to go out */
    int64_t offset;        /* file: bytes before the next message; else 0 */
    uint64_t mark;         /* file: names what is before offset; else 0 */
    uint64_t missed;       /* a subscriber of ring:, auto: messages that it has missed so far */
    pid_t pid;             /* the other side's process, where it is known; else 0. By the kernel's
                              word, but for signal:, where a sender names itself */
    uid_t uid;             /* the other side's user, likewise; else (uid_t)-1 */
    gid_t gid;             /* the other side's group, where it is known; else (gid_t)-1 */
    int port;              /* tcp, udp: the port listened at, also where 0 was asked for; else 0 */
    unsigned clients;      /* a server: how many are there; a lossless publisher of ring:, auto:: its
                              subscribers, with those that were killed, until flush takes them off;
                              else 0 */
};

/*
 * What a mechanism does for a server: a listener with options.clients. `open` makes ch->server, the
 * mechanism's own state of it, and the other functions are called only where that is not NULL.
 * The functions of a channel (send, recv, meet, ...) are never called with a server. Roles,
 * deadlines and `max` were checked, and a message is not NULL.
 */
struct ipc_channel_serve_ {
    int (*open)(struct ipc_channel *);   /* behind the mechanism's own open */
    void (*close)(struct ipc_channel *); /* before the mechanism's own close; frees ch->server */
    int64_t (*recv)(struct ipc_channel *, void *, size_t, int64_t deadline); /* sets ch->from */
    int (*send_to)(struct ipc_channel *, uint64_t, const void *, size_t, int64_t deadline);
    int (*drop)(struct ipc_channel *, uint64_t);
    int (*flush)(struct ipc_channel *, int64_t deadline); /* NULL: nothing is ever left */
    int (*descriptor)(struct ipc_channel *); /* -EOPNOTSUPP: there is none */
    void (*describe)(const struct ipc_channel *, struct ipc_channel_facts *);
    int (*is_ready)(struct ipc_channel *); /* as a mechanism's */
};

/*
 * A mechanism. Each has a room with its manual, its own state, its functions and one of these; the
 * table in open.h lists them. NULL: the mechanism does not do that.
 */
struct ipc_channel_kind_ {
    const char *scheme;
    unsigned flags;   /* IPC_CHANNEL_* below */
    size_t state_size; /* bytes of ipc_channel's own, all zeros when open or accept is called */
    int domain, type; /* of a socket, else 0 */
    int (*open)(struct ipc_channel *, int64_t deadline);
    void (*close)(struct ipc_channel *); /* what is its own; in, out and ring are left after it */
    int (*unlink)(struct ipc_channel *);
    int (*send)(struct ipc_channel *, const void *, size_t, int64_t deadline);
    int64_t (*recv)(struct ipc_channel *, void *, size_t, int64_t deadline);
    int (*meet)(struct ipc_channel *, int64_t deadline); /* waits for the next peer */
    int (*reopen)(struct ipc_channel *);                 /* one more receiving end, or -errno */
    void (*prepare)(struct ipc_channel *);               /* see IPC_CHANNEL_UNUSED_ */
    int (*accept)(struct ipc_channel *listener, struct ipc_channel *, int64_t deadline);
    int (*descriptor)(struct ipc_channel *); /* for event loops; NULL: in, or out */
    void (*describe)(const struct ipc_channel *, struct ipc_channel_facts *); /* its own facts */
    /* 1: recv with IPC_NOW may find something of which the descriptor has not told; 0: it would
     * not, and the descriptor tells of what comes from now on. NULL: rx and next tell. */
    int (*is_ready)(struct ipc_channel *);
    const struct ipc_channel_serve_ *serve; /* NULL: no server of many clients */
};

#define IPC_CHANNEL_ONE_WAY_ 1u   /* a channel sends or receives, not both */
#define IPC_CHANNEL_PRIORITY_ 2u  /* messages have priorities, or types */
#define IPC_CHANNEL_SELECT_ 4u    /* messages can be received by type */
#define IPC_CHANNEL_OFFSET_ 8u    /* receiving can begin at an offset */
#define IPC_CHANNEL_DEPTH_ 16u    /* its size is counted in messages */
#define IPC_CHANNEL_SENDERS_ 32u  /* is made for a number of senders and receivers */
#define IPC_CHANNEL_NO_FD_ 64u     /* is not over descriptors, and waits for peers in send and recv */
#define IPC_CHANNEL_BELL_FD_ 128u /* the data bell of its ring wakes over its socket */
#define IPC_CHANNEL_OPEN_TO_ALL_ 256u /* has no users and no mode that it could check */
#define IPC_CHANNEL_KEEPALIVE_ 512u   /* can tell that a host has vanished */
#define IPC_CHANNEL_GROUPS_ 1024u     /* knows the group of the process at the other end */
#define IPC_CHANNEL_GREETS_ 2048u     /* both sides greet each other first: see greet.h */
#define IPC_CHANNEL_PUBLISHES_ 16384u /* one can send to several that each get every message */
#define IPC_CHANNEL_KEYS_ 32768u      /* encrypts, by options.secret */

#define IPC_CHANNEL_HEADER_ ((size_t)8)      /* bytes before a message in a frame */
#define IPC_CHANNEL_HEAD_MOST_ ((size_t)16)  /* bytes before a message, in any mechanism */
#define IPC_CHANNEL_MAX_ ((size_t)1 << 20)   /* the largest message, unless asked for */
#define IPC_CHANNEL_CLIENTS_ 1000000u        /* of a server */
#define IPC_CHANNEL_GULP_ ((size_t)1 << 16)  /* bytes read at once */
#define IPC_CHANNEL_SMALL_ ((size_t)4088)    /* sent in one piece with its header, by a copy */
#define IPC_CHANNEL_LARGE_ ((size_t)1 << 14) /* read to where the caller wants it */

/* A function that each message goes through. The compiler puts these beside each other: a kernel
 * that isolates its page tables forgets a process's pages at each system call, and each page of code
 * is looked up again. A pipe's message of 64 bytes takes 4 % less time so. */
#define IPC_CHANNEL_HOT_ __attribute__((hot)) IPC_INLINE

#endif
