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
