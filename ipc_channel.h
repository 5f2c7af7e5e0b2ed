/* Made by tools/amalgamate. Change these files, not this one: src/ipc_channel.h
 * src/common/version.h src/channel/core.h src/channel/reference.h src/channel/wait.h
 * src/channel/frame.h src/channel/pipe.h src/channel/address.h src/channel/greet.h
 * src/channel/socket.h src/channel/multicast.h src/channel/packet.h src/channel/mq.h
 * src/channel/sysv.h src/channel/log_record.h src/channel/log.h src/channel/signal.h
 * src/channel/ring.h src/channel/ring_open.h src/channel/ring_poll.h src/channel/ring_talk.h
 * src/channel/ring_server.h src/channel/sysvshm.h src/channel/auto.h src/channel/publish.h
 * src/channel/adopt.h src/channel/open.h src/channel/io.h src/channel/server.h
 * src/channel/any.h */
/*
 * ipc_channel.h - one set of calls over every mechanism: messages over rings, pipes, queues,
 * sockets, files and signals.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * A program opens a channel by a URI. Messages then go in and come out whole, with deadlines and
 * error codes that are the same over every mechanism. Needs Linux, ipc_notify.h, ipc_ring.h and
 * ipc_shm.h, Concurrency Kit (libck-dev) and libc; C99 to C23, C++11 to C++23. With glibc before
 * 2.34 link with -pthread -lrt.
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
 * A server of many clients differs by one option. Its clients need none:
 *
 *     struct ipc_channel_options how = {.clients = 1000};
 *
 *     rc = ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how);
 *     for (;;) {
 *         n = ipc_channel_recv(&ch, buf, sizeof buf, IPC_FOREVER); // of any client: ch.from
 *         if (n >= 0)
 *             (void)ipc_channel_send(&ch, buf, n, IPC_NOW);        // answers ch.from
 *         else if (n == -EPIPE || n == -EOWNERDEAD)
 *             forget(ch.from);                                     // that client is gone
 *         else
 *             complain(ipc_channel_why(&ch));
 *     }
 *
 * The mechanisms. Each has its manual at the top of its room; this table names the rooms.
 *
 *     auto:NAME          a Unix socket that becomes a ring where both sides can        >>auto
 *     ring:NAME          rings in the segment NAME of ipc_shm.h: records, from one     >>ring
 *                        sender or several; or slots that several receivers share
 *     sysvshm:KEY        rings in a System V segment                                   >>sysvshm
 *     pipe:              pipes between parent and child: open, fork, use in both       >>pipe
 *     fifo:PATH          a named pipe; any number of senders                           >>pipe
 *     unix:PATH          a Unix socket, a stream; unix:@NAME is an abstract name       >>socket
 *     unix-seq:PATH      a Unix socket of packets                                      >>packet
 *     unix-dgram:PATH    a Unix socket of datagrams                                    >>packet
 *     tcp:HOST:PORT      IPv4 and IPv6: tcp:127.0.0.1:9000, tcp:[::1]:9000;            >>socket
 *                        a listener may say tcp:*:9000
 *     udp:HOST:PORT      may lose, double and disorder messages                        >>packet
 *     udp:GROUP:PORT     multicast: udp:239.1.2.3:9000, udp:[ff15::1%eth0]:9000        >>multicast
 *     mq:NAME            a POSIX message queue: priorities                             >>mq
 *     sysv:KEY           a System V message queue: types, and receiving by type        >>sysv
 *     file:PATH          a log: one process appends, any number follow; survives       >>log
 *                        restarts and rotation
 *     signal:PID         real-time signals with up to 8 bytes                          >>signal
 *     fd:N               a socket or pipe that systemd or a parent handed over         >>adopt
 *     zmq:tcp://HOST:PORT, zmq:ipc://PATH   ZeroMQ: by including ipc_zmq.h, which has the manual
 *
 * Over ring:, auto:, udp: and file: one process can publish: each of several subscribers gets every
 * message. See >>publish.
 *
 * Contract
 *   - Exactly one side says IPC_LISTEN: the side that the other one finds. It makes the FIFO,
 *     queue, log or segment, or listens at the address. The other side waits for that until the
 *     deadline of its open, so either side may be started first.
 *   - A message comes out as it went in, at any length from 0 to `max` of ipc_channel_info, or not
 *     at all. A message above `max` is refused with -EMSGSIZE, and nothing is sent. A message that
 *     is too large for the receiver's buffer stays, and a larger buffer gets it.
 *   - Messages arrive once and in order, but for udp:, and for priorities and types of queues.
 *   - Every call ends at its deadline, also where a peer was stopped or killed. A message that was
 *     begun when the deadline came counts as sent: its rest is kept, and goes out first with the
 *     next send, recv or ipc_channel_flush.
 *   - The loss of the other side is reported once, after all that it sent was received: -EPIPE, or
 *     -EOWNERDEAD where it is known to have died in the middle (auto: always -EPIPE). The next
 *     call waits for a successor: a listener for the next peer, the other side for the next
 *     listener. Where none can come, behind pipe: and ipc_channel_accept, each call reports the
 *     loss again. core.h has the table of states.
 *   - A server (options.clients) serves many clients with one handle, over unix:, unix-seq:, tcp:,
 *     auto: and ring:. recv gets their messages in turns, and says by `from` whose it is;
 *     ipc_channel_send_to answers any of them, later, too. Each client has a number of its own,
 *     which no later client gets, so that no answer reaches another. A client that floods, is
 *     idle, slow, stopped or hostile costs the others no more than its turn: what it does not read
 *     is kept, one message at most (a ring: until that is full), and the next one is refused with
 *     -ETIMEDOUT. Where all places are taken, others wait in the queue of the listener.
 *   - ipc_channel_wait_any waits for several channels, of any mechanisms.
 *   - What a mechanism cannot do, open refuses: -EOPNOTSUPP.
 *   - Over unix:, unix-seq:, tcp: and auto: the first call of each side waits for the other side's
 *     greeting. Sides that do not fit are both told, with a sentence, by that call: -EPROTO for
 *     roles (both send; one waits for what the other one does not send), -EMSGSIZE where one asked by
 *     options.max to send what the other one does not take. Otherwise the smaller maximum counts.
 *     Over ring: and sysvshm: open tells the side that comes later, and where its role does not fit,
 *     a call of the other side says so once, too, and goes on.
 *   - The other side is not trusted: lengths are checked, garbage is -EBADMSG, and its sender is
 *     left. Unix sockets talk only to this user, root, and the user and group in the options.
 *   - No signal reaches the host process, SIGPIPE neither, and none of its settings are changed.
 *     No channel but fd: has descriptor 0, 1 or 2: what a program prints goes into none, also where
 *     it was started with these closed.
 *   - One thread at a time uses a handle. After fork one of the two processes may go on using it;
 *     over pipe: both do, each its end. Over ring:, sysvshm: and auto: that is the parent while it
 *     lives, and then the child, as after daemon(): the other side may be told the parent's end
 *     once. A child that calls while the parent lives is told -ECHILD after a second; it may open
 *     the channel anew.
 *
 * The other side goes
 *   One call reports a loss, the first that can know of it, and the next call goes on with the next
 *   peer, however either side ended: closed, killed, or started again before anyone looked. What was
 *   refused was not sent. A peer that is stopped is not gone: nothing is reported, and all goes on.
 *   A peer that went before a message crossed, or a call waited for it, may go unnoticed.
 *
 *                    recv reports the loss    send reports the loss    of messages that were accepted
 *                    of the sender, after     of the receiver          and not received, the next
 *                    all that it sent                                  receiver gets
 *     -----------------------------------------------------------------------------------------------
 *     ring:          at once (1)              at once (1)              all (2)
 *     sysvshm:       at once (1)              at once (1)              all (2)
 *     auto:          at once (1)              at once (3)              none
 *     pipe:          at once, at each call    at once, at each call    no receiver comes
 *     fifo:          at once (4)              at once (4)              none (4)
 *     unix:          at once                  at once                  none
 *     unix-seq:      at once                  at once                  none
 *     tcp:           at once (7)              one message late (5)     none
 *     unix-dgram:    never                    at once                  none
 *     udp:           never                    one message late (5)     none
 *     mq:, sysv:     never (6)                never (6)                all
 *     file:          never                    never                    all, from options.offset on
 *     signal:        never                    once the process ended   no receiver comes
 *
 *     (1) Calls learn of a killed peer within 10 ms, or over auto: within a second where a child of
 *         it has the socket still, but for a server: see >>auto; those that do not wait ask the
 *         kernel each 8 ms.
 *         A sender asks after 1024 messages at most. If the next receiver is there before that, the
 *         sender is told -EPIPE, also when the last one was killed. So is a client, if the next
 *         listener is there before. A client that sends and receives may be told of one loss twice:
 *         by a recv and by a send. A receiver may get messages of the next sender before it is told
 *         of the last one's loss.
 *     (2) After a kill, some that the last receiver had taken come again: an eighth of the ring at
 *         most.
 *     (3) After a kill, the messages of 50 microseconds, and 257 more, at most are accepted before.
 *     (4) Where the next process has opened the FIFO before the call, nothing is reported. A receiver
 *         then gets what is left, which may begin in the middle of a message: -EBADMSG.
 *     (5) The kernel accepts one message, which is lost, and learns of the loss by that. udp: not if
 *         a receiver is back at the port by then.
 *     (6) But -EPIPE, once, where a queue of sysv: was removed.
 *     (7) After all that has reached the receiver's host. If the sender is closed, or dies, before it
 *         has received all that came to it, or if more comes to it after that, the kernel drops what
 *         the receiver's host had no room for yet: that is lost, and -EOWNERDEAD if it ends in the
 *         middle of a message. Fix: the receiver answers the last message, and the sender receives
 *         until that answer.
 *
 * Caveats
 *   - recv takes in several messages at once where it can, so the descriptor for event loops tells
 *     only of later ones. Fix: call recv with IPC_NOW until -ETIMEDOUT, then poll
 *     ipc_channel_fd.
 *   - To write to a pipe or FIFO without a signal costs a fifth of its rate at 8 to 1024 bytes.
 *     Fix: a host that ignores SIGPIPE when it opens the channel, and for as long as the channel
 *     is open, pays nothing.
 *   - What a deadline has cut off goes out only with calls on this channel, and close does not
 *     wait for it. Fix: ipc_channel_flush; in an event loop, poll for writing too while `pending`
 *     of ipc_channel_info is not 0, and flush then.
 *   - Senders that share a FIFO, or a pipe after several forks, must keep to PIPE_BUF - 8 bytes
 *     (4088): longer messages may be mixed up with those of others. Fix: unix:.
 *   - Queues, logs, datagrams and signals cannot tell that the other side is gone. Fix: deadlines.
 *   - A ring keeps what is sent while no receiver is there, or to a receiver that was killed,
 *     until it is full: see above. Fix: answers, in the other direction.
 *   - Receivers that share a ring (options.receivers) each get messages that the others do not. If
 *     one is killed in recv, another gets its message, later than its turn. The end of one
 *     receiver of several, or of one sender of several, is not told; nor is that of an only sender,
 *     where the next one is there before the call. Fix: deadlines.
 *   - A message that is published while nobody subscribes is lost. IPC_LOSSLESS: a subscriber that
 *     is stopped holds the publisher up until its deadline. Fix: IPC_LOSSY.
 *   - A client's first call over unix:, unix-seq: and tcp: waits until the listener has been in a
 *     call since the client connected: send, recv or accept. auto: agrees with the first call of both
 *     sides, so both must be in a call at a time. A server takes a moment of each recv for it.
 *   - A server sleeps in send_to until the deadline if that client does not read, and the others
 *     wait. Fix: IPC_NOW; ipc_channel_drop for a client that does not read.
 *   - A server needs a descriptor for each client, auto: three (RLIMIT_NOFILE), and addresses for two
 *     messages of the largest size. When there are no more, recv says so (-EMFILE), and the clients
 *     that wait stay in the queue. Fix: setrlimit; options.clients; options.max.
 *   - A killed peer is -EOWNERDEAD over ring: and sysvshm:, and -EPIPE over the others, which
 *     cannot tell killed from closed.
 *   - A host that lowers RLIMIT_FSIZE below the size of its open log gets SIGXFSZ. Fix: lower the
 *     limit before open.
 *   - logrotate's copytruncate loses what is written while it copies, and what a receiver had not
 *     read. Fix: `create`, its default. The sender needs no postrotate script.
 *   - A message may have 1 MiB by default, where the mechanism can: `max` of ipc_channel_info. A ring
 *     has room for four times its longest message in each direction that is used, which `memory`
 *     tells: 4 or 8 MiB, and some milliseconds of open. Fix: options.max.
 *   - FIFOs, queues, logs and segments outlive their processes. Fix: ipc_channel_unlink when the
 *     work is done.
 *   - The kernel has limits: 10 messages of 8 KiB in a POSIX queue, 16 KiB in a System V queue,
 *     some 200 KB for packets and datagrams (10 of them on the way), 64 KB less headers for UDP.
 *     open or send says which limit was met. Fix: sysctl fs.mqueue.*, kernel.msg*,
 *     net.core.wmem_max.
 *   - The kernel waits for a System V queue without a deadline only. A call with a deadline that
 *     is neither IPC_NOW nor IPC_FOREVER looks once a millisecond, as does ipc_channel_wait_any; and
 *     there is no descriptor. Fix: mq:.
 *   - sysvshm: has no descriptor for event loops. ipc_channel_wait_any beside channels that have one
 *     looks at it once a millisecond. Fix: ring:. The descriptor of ring: wakes the loop for nothing, too: for
 *     messages to other loops of the segment, and when others open or leave it. Fix: auto:.
 *   - tcp: notices a host that vanishes without a word by deadlines only. Fix: options.keepalive.
 *   - tcp: looks names up, which may take as long as DNS does. Fix: numeric addresses.
 *   - Signals of one number do not coalesce, but the queue of a user is short: `ulimit -i`. The
 *     receiver must block the signal in all threads before it opens the channel.
 *
 * How it works
 *   Streams of bytes carry frames: a length, its check, the message. The receiver reads as many
 *   bytes as there are into a buffer of its own, but large messages directly to the caller's
 *   memory: after a large message it expects another of that length. Frames and the log's records
 *   are in network byte order, so that any machine can read them.
 *
 *   A record of the log also has a hash, of its bytes and of all that is before it: so a place in a
 *   log names its file, and the end of a large log is found from behind. The sender holds an open
 *   file description lock on the log; a new sender cuts off what its predecessor had not finished.
 *   Sender and receivers notice that the file was rotated or cut. Receivers sleep on inotify.
 *
 *   A ring has a lane of records for each direction, "to" and "from" the listener. Where several
 *   processes receive, it is one ring of slots, MPMC or SPMC, each slot for the largest message.
 *   send and recv over records are the ring's own push and pop, inline. For one sender and one
 *   receiver there are no slots: they have one length, are 1.4 times as fast at 8 bytes, and equal
 *   from 56 bytes on; a program that needs that takes IPC_SPSC of ipc_ring.h. auto: begins on the
 *   socket: offer, answer with a sealed segment, choice. The socket stays open beside the ring, and
 *   wakes event loops.
 *
 *   To write to a pipe without a signal, the library asks the kernel by RWF_NOSIGNAL (Linux 6.18).
 *   An older kernel has SIGPIPE blocked in this thread for the time of the write, and the signal
 *   taken away if the write has raised it.
 *
 *   A connection of sockets begins with a greeting of each side: greet.h.
 *
 * The rooms: core (types, the states of a channel), reference (what a program calls), wait, frame,
 * address and greet (what mechanisms share), one room for each mechanism or two, publish, open (the
 * table of mechanisms), io, server (many clients over sockets), any (waiting for several channels). A new
 * mechanism is a room, an #include and a line of the table in open.h.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H 1

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

/* >>core  src/channel/core.h */
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

/* >>reference  src/channel/reference.h */
/* The reference: what a program calls. */
#ifndef IPC_SRC_CHANNEL_REFERENCE_H
#define IPC_SRC_CHANNEL_REFERENCE_H 1

/* ------------------------------------------------------------------ reference */

/*
 * Deadlines are nanoseconds of CLOCK_MONOTONIC: IPC_NOW, IPC_FOREVER, ipc_in_ms(milliseconds). A
 * call that takes one is blocking: a peer that is stopped holds it up until the deadline at most,
 * a peer that is killed until the kernel tells it, at most until the deadline. Calls without one
 * do not block. Over ring: and auto:, a send that finds room and a recv that finds a message make
 * no system call, unless a process sleeps that must be woken. One thread at a time calls with a
 * handle. No call keeps a pointer to what the caller passes.
 *
 * Errors that the kernel gives for its limits (-EMFILE, -ENFILE, -ENOSPC, -ENOMEM, ...) pass
 * through. After a refusal ipc_channel_why has a sentence.
 */

/*
 * Opens a channel. The manual at the top lists the URIs. role: IPC_SEND, IPC_RECV or IPC_BOTH, and
 * IPC_LISTEN on exactly one side. how: NULL for the defaults.
 *
 * The side without IPC_LISTEN waits until the deadline for the listener, or for what the listener
 * makes (a FIFO's sender also for a receiver); pipe: and udp: wait for nobody. After an error the
 * handle is closed, and ipc_channel_why still has the sentence.
 *
 *   0
 *   -ETIMEDOUT      the other side was not there until the deadline
 *   -EINTR          a signal handler ran while it waited
 *   -EINVAL         uri is NULL or names no mechanism; role is none; the address is none; max is
 *                   above 2^31 - 1; the deadline is no absolute time (IPC_NOW); signal: the
 *                   priority is none, the process is another one, or the receiver does not block
 *                   the signal
 *   -EOPNOTSUPP     the mechanism cannot do what role and options ask for
 *   -EACCES         what is there belongs to another user, or permits more than options.mode; the
 *                   process at the other end is not permitted; or the kernel denies it
 *   -EADDRINUSE     another process listens there
 *   -EBUSY          file: the log has a writer; ring: this side has as many processes as it may
 *   -EUSERS         ring: 256 senders and receivers share it already; or it has as many lossless
 *                   subscribers as options.receivers
 *   -ENODEV         udp: no interface has that name, or no route leads to the group
 *   -EPROTO         what is there is something else, has another geometry, or is published in another
 *                   way; unix:, unix-seq:, tcp:, auto: the roles do not fit, which the first call of
 *                   both sides tells, and again when that client comes again; ring:, sysvshm: the
 *                   same, told by open of the later side, and by one call of the other one
 *   -EBADF          fd: there is no such descriptor
 *   -EBADMSG        file: the log is damaged near its end, or no record begins at options.offset;
 *                   the sentence says where
 *   -EMSGSIZE       options.max is more than the mechanism, or what is there, carries; file: less than
 *                   a message near the end of the log, or options.offset; over unix:,
 *                   unix-seq:, tcp: the first call of both sides tells it, as of -EPROTO
 *   -E2BIG          tcp:, udp: the name has more than 16 addresses to listen at
 *   -ENAMETOOLONG   the address is too long
 *   -ENOSYS         ring: /proc is not mounted; unix:, unix-seq:, unix-dgram:, fifo: and auto:
 *                   with a file: it is not, and the umask takes from options.mode
 *   -EADDRNOTAVAIL  tcp:, udp: the host is unknown, or has no address that is reached from here, or
 *                  at which this host can listen; -EAGAIN: the name server did not answer
 *   -ENETUNREACH    tcp:, udp: no network leads there
 *   -ESRCH          signal: no such process
 *   what the kernel says of paths: -ENOTDIR, -ELOOP, -EROFS, ...; a listener also -ENOENT: the folder
 *   is not there
 */
IPC_INLINE int ipc_channel_open_with(struct ipc_channel *ch, const char *uri, unsigned role,
                                     int64_t deadline, const struct ipc_channel_options *how);

/* ipc_channel_open_with, with the default options. */
IPC_INLINE int ipc_channel_open(struct ipc_channel *ch, const char *uri, unsigned role,
                                int64_t deadline);

/*
 * Takes the next of several clients of a listener. The listener stays as it is. The new channel is
 * for that client alone: no other peer comes to it. It is closed by itself.
 *
 *   0
 *   -ETIMEDOUT   no client came until the deadline
 *   -EINTR       a signal handler ran while it waited
 *   -EOPNOTSUPP  the listener is not unix:, unix-seq:, tcp: or auto:, or was opened without
 *                IPC_LISTEN; or it is a server, which takes them itself
 *   -EINVAL      the listener is not open, or the deadline is no absolute time
 */
IPC_INLINE int ipc_channel_accept(struct ipc_channel *listener, struct ipc_channel *ch,
                                  int64_t deadline);

/*
 * Sends message[0..n), n from 0 to `max` of ipc_channel_info. A message that was begun when the
 * deadline came counts as sent: the rest of it goes out with later calls.
 *
 *   0
 *   -ETIMEDOUT     no room, or nobody there, until the deadline; nothing was sent
 *   -EINTR         a signal handler ran; nothing was sent
 *   -EMSGSIZE      n is more than `max`; nothing was sent
 *   -EPIPE         the other side is gone; or the queue was removed
 *   -EOWNERDEAD    ring:, sysvshm: the other side was killed
 *   -ECHILD        ring:, sysvshm:, auto:, zmq: after fork the other process has this channel
 *   -EDESTADDRREQ  unix-dgram:, udp: a listener has nobody to answer yet
 *   -EPERM         signal: the process does not block the signal of this priority
 *   -ENOSPC        file: the disk is full; nothing was sent
 *   -EBUSY         file: other processes write to the log, and do not stop; nothing was sent. Or,
 *                  with -EACCES, -EPROTO, ...: what is at the path now is refused, as by open
 *   -EFBIG         file: RLIMIT_FSIZE is met; nothing was sent
 *   -EBADMSG       ring:, sysvshm:, auto: the shared memory is corrupt
 *   -EINVAL        the channel is not open, or not to send; signal:, mq: the priority is none; it
 *                  would have to wait, and the deadline is no absolute time
 *   what ipc_channel_open_with says, while the next peer is waited for
 *
 * On a server it answers the client in `from`: ipc_channel_send_to.
 */
IPC_FORCE_INLINE int ipc_channel_send(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline);

/*
 * Receives the next message into to[0..size).
 *
 *   >= 0         its length in bytes
 *   -ETIMEDOUT   no message until the deadline
 *   -EINTR       a signal handler ran while it waited
 *   -EMSGSIZE    the message is larger than size, and stays: ipc_channel_info tells its length
 *                (but sysv:); file: or above options.max here
 *   -EPIPE       the other side is gone, and all that it sent was received; or the queue was
 *                removed
 *   -EOWNERDEAD  the other side was killed or crashed: ring:, sysvshm: at any time, others in the
 *                middle of a message
 *   -ECHILD      as send
 *   -EOVERFLOW   a subscriber of a lossy publisher was lapped: told once for each time; `missed` of
 *                ipc_channel_info counts the messages. The next call goes on with a later message
 *   -EUSERS      auto: the publisher has as many subscribers as options.receivers
 *   -ESTALE      file: told once when the log goes on in another file, after all of the old one, or
 *                was cut, or is not what options.mark names. The next call reads from the beginning
 *   -EBADMSG     what came is no message. A stream's sender was left; a datagram, or a message of
 *                sysv:, of more than `max` bytes was dropped; a log stays where it is
 *   -EINVAL      the channel is not open, or not to receive; or it would have to wait, and the
 *                deadline is no absolute time
 *   what ipc_channel_open_with says, while the next peer is waited for
 *
 * A server gets the next message of any client, in turns, and `from` names the client. It takes new
 * clients in meanwhile. The loss of a client is reported once (-EPIPE, -EOWNERDEAD, -EBADMSG, with
 * `from`), after all that the client sent, and the server goes on. After -EMSGSIZE, which names the
 * client, too, the others have their turns first. A client that does not greet, or agree (auto:), is
 * never reported. -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS: a client waits and cannot be taken in;
 * that is reported once, and tried again when a client leaves, or after 100 ms with the next call.
 */
IPC_FORCE_INLINE int64_t ipc_channel_recv(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline);

/*
 * A server is a listener that was opened with options.clients, and IPC_RECV: of unix:, unix-seq:,
 * tcp:, auto:, ring:, and fd: where that is one of them. Its clients come and go by themselves, and
 * need no options. Each has a number, which is never 0 and is given once.
 *
 * Sends a message to one of a server's clients. Until the deadline it waits for this client only: a
 * server that must not be held up says IPC_NOW. For a client that does not read, the rest of at most
 * one message is kept, which goes out as the client reads: with recv, or ipc_channel_flush.
 *
 *   0
 *   -EPIPE      there is no such client (any more)
 *   -ETIMEDOUT  the client does not read what it was sent before; nothing was sent
 *   -EINVAL     the channel is no server, or not to send; or the deadline is no absolute time
 *   otherwise as ipc_channel_send
 */
IPC_INLINE int ipc_channel_send_to(struct ipc_channel *ch, uint64_t client, const void *message,
                                   size_t n, int64_t deadline);

/* Leaves one of a server's clients. The client is told as if the listener had closed. What it sent
 * and what is still to go out to it is dropped; recv reports nothing of it. 0; -EPIPE: there is no
 * such client (any more); -EINVAL: the channel is no server. */
IPC_INLINE int ipc_channel_drop(struct ipc_channel *ch, uint64_t client);

/*
 * Waits until recv with IPC_NOW would have something to tell at one of the channels: a message, a
 * loss, a client. They may be of any mechanisms, and servers. Where recv then says -ETIMEDOUT, it
 * was only a part of a message, or a wake for nothing: wait again, until the same deadline. One that is
 * made anew in the loop may never come: with file: each wait ends after a second at the latest, and
 * without inotify after 10 ms, for a look. For a channel without a peer it looks for the next one ten times a second, but waits for no
 * host to answer. What a deadline has cut off is not sent meanwhile. Over repeated calls with the same
 * channels[0] each channel has its turn. Blocking.
 *
 * Nothing wakes a process for sysv:, for sysvshm: beside channels with a descriptor, or for file:
 * without inotify. With such a channel it looks at all of them once a millisecond, which costs three
 * to five percent of a processor, as recv over sysv: does with a deadline. So a message is found up
 * to a millisecond late. Channels of sysvshm: alone are woken at once. Where select of a channel of
 * sysv: is not 0, an empty message that is found is taken from the queue: the next recv that selects
 * its type has it, in the process that waited, and close puts it back, at the end. Eight are held at
 * most. With eight that select does not ask for, each message in the queue ends a wait.
 *
 *   >= 0         the index of the channel
 *   -ETIMEDOUT   nothing came until the deadline
 *   -EINTR       a signal handler ran while it waited
 *   -EINVAL      n is 0, or more than 128; a channel is not open, or not to receive; or the
 *                deadline is no absolute time
 */
IPC_INLINE int ipc_channel_wait_any(struct ipc_channel *const channels[], unsigned n,
                                    int64_t deadline);

/*
 * Sends the rest of a message that a deadline has cut off; a server, of all of its clients. A publisher
 * of auto: takes in the subscribers that have connected.
 *
 *   0           nothing is left to send
 *   -ETIMEDOUT  something is left at the deadline; -EINTR: a signal handler ran
 *   -EPIPE      the other side is gone
 *   -EINVAL     the channel is not open, or the deadline is no absolute time
 */
IPC_INLINE int ipc_channel_flush(struct ipc_channel *ch, int64_t deadline);

/*
 * The descriptor to poll in an event loop, once recv with IPC_NOW has said -ETIMEDOUT: for reading,
 * but for writing on a channel that only sends. Over unix:, unix-seq: and tcp: such a channel polls
 * for reading, too, until its first message was accepted: the listener's greeting comes before. The
 * descriptor changes when another side comes, has greeted, or goes: ask before each poll. It belongs
 * to the channel. That of a listener with one client at a time does not tell of others that wait behind
 * a client that says nothing: call recv once a second at least. That of a server stays the same, is
 * polled for reading, and tells of new clients, messages and losses, and of clients that read again.
 *
 *   >= 0         the descriptor
 *   -EOPNOTSUPP  sysvshm:, sysv: there is none; ring: there is none to send by; file: the kernel
 *                gives no inotify
 *   -ENOTCONN    nobody is there; a call of send or recv meets the next peer
 *   -EINVAL      the channel is not open
 */
IPC_INLINE int ipc_channel_fd(struct ipc_channel *ch);

/* Tells what the channel is, and which process is at the other end. 0; -EINVAL: the channel is not
 * open. */
IPC_INLINE int ipc_channel_info(const struct ipc_channel *ch, struct ipc_channel_facts *info);

/* The last refusal of a call with this handle, in one line: what was refused and, where there is
 * one, the remedy; after -ETIMEDOUT and -EINTR of send and recv, that there was no error. Of
 * ipc_channel_wait_any it is with channels[0]. Valid until the next call with the handle. */
IPC_INLINE const char *ipc_channel_why(const struct ipc_channel *ch);

/* Leaves the channel, and stops listening. A socket's file is removed; other things stay: see
 * ipc_channel_unlink. What a deadline has cut off is not waited for; over tcp: see also (7) in the
 * table of the manual. zmq: waits until the others have read, three seconds at most; the other
 * mechanisms do not block, but ring: and file: for some 20 ms where they were polled or slept long. A
 * second call does nothing.
 * In a child after fork it leaves the socket's file, and ends of rings that the child has not taken
 * over, to the parent. */
IPC_INLINE void ipc_channel_close(struct ipc_channel *ch);

/*
 * Removes what is at the URI and outlives its processes: a FIFO, a queue, a log, a segment, or a
 * socket's file. What the mechanism did not make stays: a FIFO and a socket's file are known by
 * their type, a log by its head, a segment by its rings. An empty file counts as a log, and a
 * segment without objects as one whose rings are not made yet. A queue has no such mark: any queue
 * of that name or key is removed. Processes that have it open keep it, but for sysv: and the
 * semaphores of sysvshm:.
 *
 *   0
 *   -ENOENT        nothing is there
 *   -EPROTO        something else is there, and stays: a file of another type, a symbolic link, a
 *                  file that is no log, a segment without our rings or of another version; if it
 *                  is to go: rm, ipcrm, ipc_shm_unlink
 *   -EOPNOTSUPP    the mechanism leaves nothing: pipe:, tcp:, udp:, signal:, fd:, and unix: and
 *                  auto: without a file
 *   -EINVAL        no such mechanism; no name, or none that the mechanism can have
 *   -ENAMETOOLONG  the name is too long
 *   -EACCES, -EPERM  it belongs to another user, or may not be read
 *   what the kernel says of paths: -ENOTDIR, -EROFS, ...
 */
IPC_INLINE int ipc_channel_unlink(const char *uri);

#endif

/* >>wait  src/channel/wait.h */
/* What all mechanisms use: refusals, waiting, the other side, files. */
#ifndef IPC_SRC_CHANNEL_WAIT_H
#define IPC_SRC_CHANNEL_WAIT_H 1

/* ------------------------------------------------------------------ refusals */

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

/* Keeps a sentence about a system call that failed, and returns -errno. */
IPC_INLINE int ipc_channel_refuse_errno_(struct ipc_channel *ch, const char *what)
{
    int rc = -errno;

    return ipc_channel_refuse_(ch, rc, "%s: cannot %s '%s': %s", ch->kind->scheme, what,
                               ch->address, strerror(-rc));
}

/* Keeps a sentence about a message of n bytes that the caller's buffer cannot take. */
IPC_INLINE int ipc_channel_refuse_size_(struct ipc_channel *ch, size_t n, size_t size)
{
    ch->next = n;
    return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of %zu bytes for %zu", n, size);
}

/* Keeps a sentence about a deadline that is none. */
IPC_INLINE int ipc_channel_refuse_deadline_(struct ipc_channel *ch, int64_t deadline)
{
    return ipc_channel_refuse_(ch, -EINVAL,
                               "%lld ns is no deadline, which is an absolute time: use ipc_in_ms",
                               (long long)deadline);
}

IPC_INLINE const char *ipc_channel_why(const struct ipc_channel *ch)
{
    return *ch->why != '\0' ? ch->why
                            : "no error: the call ended at its deadline, or as a signal handler ran";
}

/* ------------------------------------------------------------------ waiting */

/* The milliseconds for one poll: what is left, rounded up, but a second at most; -1: no limit. */
IPC_INLINE int ipc_channel_poll_ms_(int64_t deadline)
{
    int64_t left = ipc_left_(deadline);

    if (deadline == IPC_FOREVER)
        return -1;
    return left > INT64_C(1000000000) ? 1000 : (int)((left + 999999) / 1000000);
}

/* Waits until poll has something to say of one of the descriptors. 0, -ETIMEDOUT or -EINTR. */
IPC_INLINE int ipc_channel_poll_(struct pollfd *p, nfds_t n, int64_t deadline)
{
    for (;;) {
        int rc = poll(p, n, ipc_channel_poll_ms_(deadline));

        if (rc > 0)
            return 0;
        if (rc < 0)
            return -errno;
        if (ipc_left_(deadline) == 0)
            return -ETIMEDOUT;
    }
}

/* Waits for events of one descriptor, as ipc_channel_poll_. */
IPC_INLINE int ipc_channel_wait_(int fd, short events, int64_t deadline)
{
    struct pollfd p;

    p.fd = fd;
    p.events = events;
    return ipc_channel_poll_(&p, 1, deadline);
}

/* As ipc_channel_wait_, after a call that found the descriptor not ready: IPC_NOW asks no more. */
IPC_INLINE int ipc_channel_wait_again_(int fd, short events, int64_t deadline)
{
    return deadline <= IPC_NOW ? -ETIMEDOUT : ipc_channel_wait_(fd, events, deadline);
}

/* Sleeps for a moment, where nothing can be polled. 0, -ETIMEDOUT or -EINTR. */
IPC_INLINE int ipc_channel_nap_(int64_t deadline)
{
    return ipc_left_(deadline) == 0 ? -ETIMEDOUT : ipc_notify_nap_(deadline);
}

#define IPC_CHANNEL_SKIPS_ 64u

/* A call has skipped something that is no message for it, or has read a part of one. Must the call
 * end now? After its deadline it goes on for a while, as the message may be there, but 64 times at
 * most. */
IPC_INLINE int ipc_channel_has_skipped_enough_(unsigned *skips, int64_t deadline)
{
    return ++*skips >= IPC_CHANNEL_SKIPS_ && ipc_left_(deadline) == 0;
}

/* ------------------------------------------------------------------ the other side */

IPC_INLINE void ipc_channel_close_fd_(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* Is the channel over a socket? Else it is over a pipe, a queue, a file or memory. */
IPC_INLINE int ipc_channel_is_socket_(const struct ipc_channel *ch)
{
    return ch->kind->type != 0;
}

/* A descriptor of a server's client is about to be closed. Another process may have it, too: after
 * fork, or as it was handed over. Then epoll would go on to tell of it. */
IPC_INLINE void ipc_channel_unwatch_(const struct ipc_channel *ch, int fd)
{
    if (ch->polls >= 0 && fd >= 0)
        (void)epoll_ctl(ch->polls, EPOLL_CTL_DEL, fd, NULL);
}

/* Leaves the other side. What was not received, or not sent yet, is dropped. */
IPC_INLINE void ipc_channel_leave_peer_(struct ipc_channel *ch)
{
    if (ch->in == ch->out)
        ch->out = -1;
    ipc_channel_unwatch_(ch, ch->in);
    ipc_channel_close_fd_(&ch->in);
    ipc_channel_close_fd_(&ch->out);
    ch->rx.begin = ch->rx.end = ch->tx.begin = ch->tx.end = 0;
    ch->flags &= ~(IPC_CHANNEL_CANNOT_SEND_ | IPC_CHANNEL_UNGREETED_);
    ch->peer.pid = 0;
    ch->peer.uid = (uid_t)-1;
    ch->peer.gid = (gid_t)-1;
}

IPC_INLINE const char *ipc_channel_loss_text_(int rc)
{
    switch (rc) {
    case -EPIPE:
        return "the other side is gone";
    case -EOWNERDEAD:
        return "the other side died in the middle of a message";
    case -EBADMSG:
        return "what came is no message of ipc_channel.h";
    case -EPROTO:
        return "the roles do not fit: what one side sends or waits for the other one does not";
    default:
        return strerror(-rc);
    }
}

/* The other side is gone, or has sent garbage: leaves it, and returns rc. A FIFO's next sender may
 * have written already. Its bytes would be lost if no process had the FIFO open, so the next
 * receiving end is opened before the old one is closed. */
IPC_INLINE int ipc_channel_lose_peer_(struct ipc_channel *ch, int rc)
{
    int fresh = -1;

    if (ch->kind->reopen != NULL && ch->in >= 0 && rc != -EBADMSG)
        fresh = ch->kind->reopen(ch);
    ipc_channel_leave_peer_(ch);
    ch->in = fresh >= 0 ? fresh : -1;
    return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address,
                               ipc_channel_loss_text_(rc));
}

/* Sending has failed. What the other side had sent before can still be received, so a channel that
 * receives keeps the other side until that is done. */
IPC_INLINE int ipc_channel_stop_sending_(struct ipc_channel *ch, int rc)
{
    if ((ch->role & IPC_RECV) == 0 || ch->in < 0)
        return ipc_channel_lose_peer_(ch, rc);
    ch->flags |= IPC_CHANNEL_CANNOT_SEND_;
    ch->tx.begin = ch->tx.end = 0;
    return ipc_channel_refuse_(ch, rc, "%s:%s: the other side is gone", ch->kind->scheme,
                               ch->address);
}

/* ------------------------------------------------------------------ memory and files */

/* Allocates the memory for messages. Untouched, it costs addresses only. */
IPC_INLINE int ipc_channel_allocate_buffers_(struct ipc_channel *ch)
{
    if (ch->rx.data != NULL)
        return 0;
    ch->rx.size = ch->max + IPC_CHANNEL_GULP_ + IPC_CHANNEL_HEAD_MOST_;
    ch->tx.size = ch->max + IPC_CHANNEL_HEAD_MOST_;
    ch->rx.data = (unsigned char *)malloc(ch->rx.size);
    ch->tx.data = (unsigned char *)malloc(ch->tx.size);
    if (ch->rx.data != NULL && ch->tx.data != NULL)
        return 0;
    return ipc_channel_refuse_(ch, -ENOMEM, "no memory for messages of %zu bytes", ch->max);
}

/* Hands out a message of n bytes in rx, or keeps it there for a larger buffer. */
IPC_INLINE int64_t ipc_channel_copy_out_(struct ipc_channel *ch, void *to, size_t size, size_t n)
{
    if (n > size)
        return ipc_channel_refuse_size_(ch, n, size);
    memcpy(to, ch->rx.data, n);
    ch->next = 0;
    return (int64_t)n;
}

/* Checks what was found at the address: is it of the right type, does it belong to a user that may
 * have made it, and does it permit no more than was asked for? type: 0 for any. */
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

/* Removes the file at the path if it is the one of that inode: the path may lead elsewhere by now. */
IPC_INLINE void ipc_channel_remove_own_(const struct ipc_channel *ch, mode_t type, ino_t ino)
{
    struct stat st;

    if (lstat(ch->address, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_ino == ino)
        (void)unlink(ch->address);
}

/* Gives a file that this channel has made its mode, if the umask has cut that; removes it if it
 * cannot. The descriptor matters: the path may lead elsewhere by now. -ENOSYS: there is no /proc. */
IPC_INLINE int ipc_channel_set_mode_(const struct ipc_channel *ch, mode_t type, struct stat *st)
{
    int fd = open(ch->address, IPC_CHANNEL_PATH_ | O_NOFOLLOW | O_CLOEXEC), rc;
    char path[32];

    if (fd < 0)
        return -errno;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fstat(fd, st) != 0) {
        rc = -errno;
    } else if ((st->st_mode & S_IFMT) != type || st->st_uid != geteuid()) {
        rc = -EPROTO;
    } else if ((st->st_mode & 0777) == ch->how.mode || chmod(path, ch->how.mode) == 0) {
        rc = 0;
    } else {
        rc = errno == ENOENT ? -ENOSYS : -errno;
        ipc_channel_remove_own_(ch, type, st->st_ino);
    }
    (void)close(fd);
    return rc;
}

/* What a refusal to make a listener's file or socket may come of. */
IPC_INLINE const char *ipc_channel_make_hint_(int rc)
{
    switch (rc) {
    case -EADDRINUSE:
        return ": another does";
    case -E2BIG:
        return ": the name has more than 16 addresses: listen at one of them";
    case -ENOSYS:
        return ": where the umask takes from options.mode, /proc must be mounted";
    default:
        return "";
    }
}

/* Checks that a file of this type is at the path; a symbolic link has a type of its own. 0;
 * -EPROTO: something else is there; -EINVAL: the path is empty; or what lstat says. */
IPC_INLINE int ipc_channel_check_type_(const char *path, mode_t type)
{
    struct stat st;

    if (*path == '\0')
        return -EINVAL;
    if (lstat(path, &st) != 0)
        return -errno;
    return (st.st_mode & S_IFMT) == type ? 0 : -EPROTO;
}

/* Removes the path if a file of this type is there. As ipc_channel_check_type_, or unlink. */
IPC_INLINE int ipc_channel_remove_(const char *path, mode_t type)
{
    int rc = ipc_channel_check_type_(path, type);

    if (rc != 0)
        return rc;
    return unlink(path) == 0 ? 0 : -errno;
}

/* Reads the n bytes at an offset of a regular file, and touches no file of another type. Returns
 * how many bytes there are, fewer where the file ends; as ipc_channel_check_type_; or what open
 * and pread say. */
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
/*
 * Frames: messages on streams of bytes, for pipe:, fifo:, unix:, tcp: and auto:.
 *
 * A frame is the message's length, the length again with other bits as its check, and the message;
 * both numbers have 32 bits in network byte order. Where a channel stands in its streams:
 *
 *     tx [begin, end)   the rest of a frame that a deadline has cut off; it goes out before
 *                       anything else, with the next send, recv or flush
 *     rx [begin, end)   bytes that were read and not handed out yet: whole frames, then a part of
 *                       one
 */
#ifndef IPC_SRC_CHANNEL_FRAME_H
#define IPC_SRC_CHANNEL_FRAME_H 1

/* ------------------------------------------------------------------ frames */

#define IPC_CHANNEL_CHECK_ 0x69706331u /* "ipc1" */

IPC_INLINE void ipc_channel_put_(unsigned char *to, uint32_t value)
{
    value = htonl(value);
    memcpy(to, &value, sizeof value);
}

IPC_INLINE uint32_t ipc_channel_get_(const unsigned char *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof value);
    return ntohl(value);
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

/* Leaves the other side, as its frame begins with no header, or with one that is refused. */
IPC_INLINE int ipc_channel_refuse_frame_(struct ipc_channel *ch, const unsigned char *from)
{
    uint32_t n = ipc_channel_get_(from);
    int is_header = (ipc_channel_get_(from + 4) ^ n) == IPC_CHANNEL_CHECK_;
    int rc = ipc_channel_lose_peer_(ch, -EBADMSG);

    return !is_header
               ? rc
               : ipc_channel_refuse_(ch, rc,
                                     "%s:%s: a message of %lu bytes came: options.max is "
                                     "%zu here; the sender was left",
                                     ch->kind->scheme, ch->address, (unsigned long)n, ch->max);
}

/* Does the channel hold a message that was read and not handed out? Also what recv will refuse. */
IPC_INLINE int ipc_channel_holds_message_(const struct ipc_channel *ch)
{
    size_t have = ch->rx.end - ch->rx.begin;
    int64_t n;

    if (ch->next != 0 || have < IPC_CHANNEL_HEADER_)
        return ch->next != 0;
    n = ipc_channel_get_length_(ch, ch->rx.data + ch->rx.begin);
    return n < 0 || (size_t)n <= have - IPC_CHANNEL_HEADER_;
}

/* memcpy that, for few bytes, is no call: see IPC_CHANNEL_HOT_. */
IPC_FORCE_INLINE void ipc_channel_copy_(unsigned char *to, const unsigned char *from, size_t n)
{
    uint64_t word, last;
    size_t i;

    if (n - 8 > 56) { /* fewer than 8, or more than 64 */
        memcpy(to, from, n);
        return;
    }
    memcpy(&last, from + n - 8, 8);
    for (i = 0; i + 8 < n; i += 8) {
        memcpy(&word, from + i, 8);
        memcpy(to + i, &word, 8);
    }
    memcpy(to + n - 8, &last, 8);
}

/* ------------------------------------------------------------------ system calls */

/* Writes to a pipe, and raises no SIGPIPE. Where the kernel has no flag for that, the signal is
 * blocked in this thread for the time of the write, and taken away if the write has raised it. */
IPC_INLINE ssize_t ipc_channel_write_without_signal_(struct ipc_channel *ch, const struct iovec *io,
                                                     int n)
{
    static const struct timespec now = {0, 0};
    sigset_t pipes, before, pending;
    ssize_t rc;
    int error, was;

#ifdef SYS_pwritev2
    if ((ch->flags & IPC_CHANNEL_MASK_) == 0) {
        rc = syscall(SYS_pwritev2, ch->out, io, n, -1L, -1L, 0x100 /* RWF_NOSIGNAL */);
        if (rc >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
            return rc;
        ch->flags |= IPC_CHANNEL_MASK_;
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

/* Does this errno of a socket say that the connection is at its end? The last ones do so where the
 * other host does not answer. */
IPC_INLINE int ipc_channel_is_end_(int error)
{
    return error == ECONNRESET || error == ENOTCONN || error == ETIMEDOUT ||
           error == EHOSTUNREACH || error == ENETUNREACH;
}

/* One system call that writes what there is room for. Bytes, or a negative errno: -EAGAIN where
 * there is no room, -EPIPE where the other side is gone. With `block`, a socket waits. */
IPC_INLINE int64_t ipc_channel_write_(struct ipc_channel *ch, struct iovec *io, int n, int block)
{
    int flags = MSG_NOSIGNAL | (block ? 0 : MSG_DONTWAIT);
    struct msghdr m;
    ssize_t rc;

    if (!ipc_channel_is_socket_(ch)) {
        if ((ch->flags & IPC_CHANNEL_SIGPIPE_IGNORED_) == 0)
            rc = ipc_channel_write_without_signal_(ch, io, n);
        else
            rc = n == 1 ? write(ch->out, io[0].iov_base, io[0].iov_len) : writev(ch->out, io, n);
    } else if (n == 1) {
        rc = send(ch->out, io[0].iov_base, io[0].iov_len, flags);
    } else {
        memset(&m, 0, sizeof m);
        m.msg_iov = io;
        m.msg_iovlen = (size_t)n;
        rc = sendmsg(ch->out, &m, flags);
    }
    if (rc >= 0)
        return rc;
    return ipc_channel_is_end_(errno) ? -EPIPE : -errno;
}

/* One system call that reads what is there. Bytes, 0 at the end, or a negative errno: -EAGAIN where
 * nothing is there. With `block`, a socket waits. */
IPC_INLINE int64_t ipc_channel_read_(struct ipc_channel *ch, struct iovec *io, int n, int block)
{
    int flags = block ? 0 : MSG_DONTWAIT;
    struct msghdr m;
    ssize_t rc;

    if (!ipc_channel_is_socket_(ch)) {
        rc = n == 1 ? read(ch->in, io[0].iov_base, io[0].iov_len) : readv(ch->in, io, n);
    } else if (n == 1) {
        rc = recv(ch->in, io[0].iov_base, io[0].iov_len, flags);
    } else {
        memset(&m, 0, sizeof m);
        m.msg_iov = io;
        m.msg_iovlen = (size_t)n;
        rc = recvmsg(ch->in, &m, flags);
    }
    if (rc >= 0)
        return rc;
    return ipc_channel_is_end_(errno) ? 0 : -errno;
}

/* ------------------------------------------------------------------ sending frames */

/* Writes the rest of io, of which a call has written rc bytes, or none: -EAGAIN. */
IPC_INLINE int ipc_channel_write_on_(struct ipc_channel *ch, struct iovec *io, int n,
                                     int64_t deadline, size_t *done, int64_t rc)
{
    for (;;) {
        if (rc == -EAGAIN)
            rc = ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
        if (rc < 0)
            return (int)rc;
        *done += (size_t)rc;
        for (; n > 0 && (size_t)rc >= io->iov_len; n--, io++)
            rc -= (int64_t)io->iov_len;
        if (n == 0)
            return 0;
        io->iov_base = (unsigned char *)io->iov_base + rc;
        io->iov_len -= (size_t)rc;
        rc = ipc_channel_write_(ch, io, n, deadline == IPC_FOREVER);
    }
}

/* Writes all of io, which has `all` bytes, until the deadline. *done: the bytes that were written.
 * Changes io. */
IPC_FORCE_INLINE int ipc_channel_write_all_(struct ipc_channel *ch, struct iovec *io, int n,
                                            size_t all, int64_t deadline, size_t *done)
{
    int64_t rc = ipc_channel_write_(ch, io, n, deadline == IPC_FOREVER);

    *done = 0;
    if (CK_CC_UNLIKELY(rc != (int64_t)all))
        return ipc_channel_write_on_(ch, io, n, deadline, done, rc);
    *done = all;
    return 0;
}

/* Sends the rest of a frame that a deadline has cut off. */
IPC_INLINE int ipc_channel_send_rest_(struct ipc_channel *ch, int64_t deadline)
{
    struct iovec io;
    size_t done;
    int rc;

    if (ch->tx.begin == ch->tx.end)
        return 0;
    io.iov_base = ch->tx.data + ch->tx.begin;
    io.iov_len = ch->tx.end - ch->tx.begin;
    rc = ipc_channel_write_all_(ch, &io, 1, io.iov_len, deadline, &done);
    ch->tx.begin += done;
    return rc == -EPIPE ? ipc_channel_stop_sending_(ch, rc) : rc;
}

IPC_CHANNEL_HOT_ int ipc_channel_stream_send_(struct ipc_channel *ch, const void *message, size_t n,
                                              int64_t deadline)
{
    unsigned char frame[IPC_CHANNEL_HEADER_ + IPC_CHANNEL_SMALL_];
    struct iovec io[2];
    size_t done, head = IPC_CHANNEL_HEADER_;
    int rc, small = n <= IPC_CHANNEL_SMALL_;

    if (CK_CC_UNLIKELY(ch->tx.begin != ch->tx.end)) {
        rc = ipc_channel_send_rest_(ch, deadline);
        if (rc != 0)
            return rc;
    }
    ipc_channel_put_header_(frame, n);
    if (small)
        ipc_channel_copy_(frame + head, (const unsigned char *)message, n);
    io[0].iov_base = frame;
    io[0].iov_len = small ? head + n : head;
    io[1].iov_base = (void *)(uintptr_t)message;
    io[1].iov_len = n;
    rc = ipc_channel_write_all_(ch, io, small ? 1 : 2, head + n, deadline, &done);
    if (rc == -EPIPE)
        return ipc_channel_stop_sending_(ch, rc);
    if (rc == 0 || done == 0)
        return rc;
    /* The frame is begun, so its rest is kept, and the message counts as sent. */
    ch->tx.begin = done;
    ch->tx.end = head + n;
    if (done < head)
        memcpy(ch->tx.data + done, frame + done, head - done);
    done = done < head ? 0 : done - head;
    memcpy(ch->tx.data + head + done, (const unsigned char *)message + done, n - done);
    return 0;
}

/* ------------------------------------------------------------------ receiving frames */

/* A read of a pipe or FIFO has returned 0. Has every sender hung up? A FIFO that no sender has
 * opened yet returns 0, too. */
IPC_INLINE int ipc_channel_has_hung_up_(struct pollfd *in)
{
    return poll(in, 1, 0) > 0 && (in->revents & POLLHUP) != 0 && (in->revents & POLLIN) == 0;
}

/* Waits for bytes until the deadline, and reads them, after a call that read none: rc is 0 or a
 * negative errno. Meanwhile it sends what a deadline has cut off. */
IPC_INLINE int64_t ipc_channel_read_later_(struct ipc_channel *ch, struct iovec *io, int n,
                                           int64_t deadline, int64_t rc)
{
    for (;;) {
        int pending = ch->tx.begin != ch->tx.end;
        struct pollfd p[2];

        if (rc > 0 || (rc < 0 && rc != -EAGAIN))
            return rc;
        if (rc < 0 && deadline <= IPC_NOW && !pending)
            return -ETIMEDOUT;
        p[0].fd = ch->in;
        p[0].events = POLLIN;
        if (rc == 0 && (ipc_channel_is_socket_(ch) || ipc_channel_has_hung_up_(p)))
            return ch->rx.begin == ch->rx.end ? -EPIPE : -EOWNERDEAD;
        p[1].fd = pending ? ch->out : -1;
        p[1].events = POLLOUT;
        rc = ipc_channel_poll_(p, 2, deadline);
        if (rc != 0)
            return rc;
        if (pending && p[1].revents != 0)
            (void)ipc_channel_send_rest_(ch, IPC_NOW);
        pending = ch->tx.begin != ch->tx.end;
        rc = ipc_channel_read_(ch, io, n, deadline == IPC_FOREVER && !pending);
    }
}

/* Reads some bytes, and waits for them until the deadline. Bytes, or a negative errno: -EPIPE at
 * the end, -EOWNERDEAD at an end within a frame. */
IPC_FORCE_INLINE int64_t ipc_channel_read_some_(struct ipc_channel *ch, struct iovec *io, int n,
                                                int64_t deadline)
{
    int pending = ch->tx.begin != ch->tx.end;
    int64_t rc = ipc_channel_read_(ch, io, n, deadline == IPC_FOREVER && !pending);

    return CK_CC_LIKELY(rc > 0) ? rc : ipc_channel_read_later_(ch, io, n, deadline, rc);
}

/* Reads more bytes behind those in rx. 0, or as ipc_channel_read_some_. */
IPC_INLINE int ipc_channel_read_more_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    struct iovec io;
    int64_t rc;

    rx->end -= rx->begin;
    if (rx->end != 0)
        memmove(rx->data, rx->data + rx->begin, rx->end);
    rx->begin = 0;
    io.iov_base = rx->data + rx->end;
    io.iov_len = IPC_CHANNEL_GULP_; /* there is as much room behind the largest message */
    rc = ipc_channel_read_some_(ch, &io, 1, deadline);
    if (rc < 0)
        return (int)rc;
    rx->end += (size_t)rc;
    return 0;
}

/* Reads the rest of a large message of n bytes to the caller's memory. rx has its header and its
 * first bytes, which are copied at the end; `done` bytes count as read, those in rx and those that
 * are at to[] already. What comes behind the message goes to rx. 0, or as ipc_channel_read_some_:
 * then all that came is in rx. */
IPC_INLINE int ipc_channel_read_to_caller_(struct ipc_channel *ch, unsigned char *to, size_t n,
                                           size_t done, int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    size_t begun = rx->end - rx->begin - IPC_CHANNEL_HEADER_;
    struct iovec io[2];
    unsigned reads = 0;
    int64_t rc;

    if (rx->begin != 0)
        memmove(rx->data, rx->data + rx->begin, IPC_CHANNEL_HEADER_ + begun);
    rx->begin = 0;
    rx->end = IPC_CHANNEL_HEADER_ + begun;
    while (done < n) {
        io[0].iov_base = to + done;
        io[0].iov_len = n - done;
        io[1].iov_base = rx->data + rx->end;
        io[1].iov_len = IPC_CHANNEL_GULP_;
        rc = ipc_channel_has_skipped_enough_(&reads, deadline)
                 ? -ETIMEDOUT
                 : ipc_channel_read_some_(ch, io, 2, deadline);
        if (rc < 0) { /* only what is new is copied, as the caller may try many times */
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

/* Reads the next message, of which rx has nothing, as if it were as long as the last one, which was
 * large: then all of it goes to the caller's memory. 1: it was; 0: it was not, and all that came is
 * in rx; or as ipc_channel_read_some_. */
IPC_INLINE int ipc_channel_read_like_last_(struct ipc_channel *ch, unsigned char *to,
                                           int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    size_t n = ch->last, head = IPC_CHANNEL_HEADER_, got, body = 0;
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
    if (got > head)
        body = got - head < n ? got - head : n;
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

IPC_CHANNEL_HOT_ int64_t ipc_channel_stream_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                  int64_t deadline)
{
    struct ipc_channel_bytes_ *rx = &ch->rx;
    unsigned reads = 0;
    int64_t n = 0;
    int rc;

    for (;;) {
        size_t have = rx->end - rx->begin;

        if (CK_CC_LIKELY(have >= IPC_CHANNEL_HEADER_)) {
            n = ipc_channel_get_length_(ch, rx->data + rx->begin);
            if (CK_CC_UNLIKELY(n < 0))
                return ipc_channel_refuse_frame_(ch, rx->data + rx->begin);
            if (CK_CC_UNLIKELY((size_t)n > size))
                return ipc_channel_refuse_size_(ch, (size_t)n, size);
            have -= IPC_CHANNEL_HEADER_;
            if (CK_CC_LIKELY(have >= (size_t)n)) {
                ipc_channel_copy_((unsigned char *)to, rx->data + rx->begin + IPC_CHANNEL_HEADER_,
                                  (size_t)n);
                rx->begin += IPC_CHANNEL_HEADER_ + (size_t)n;
                break;
            }
            if ((size_t)n < IPC_CHANNEL_LARGE_)
                rc = ipc_channel_has_skipped_enough_(&reads, deadline)
                         ? -ETIMEDOUT
                         : ipc_channel_read_more_(ch, deadline);
            else if ((rc = ipc_channel_read_to_caller_(ch, (unsigned char *)to, (size_t)n, have,
                                                       deadline)) == 0)
                break;
        } else if (have == 0 && ch->last >= IPC_CHANNEL_LARGE_ && ch->last <= size) {
            n = (int64_t)ch->last;
            rc = ipc_channel_read_like_last_(ch, (unsigned char *)to, deadline);
            if (rc > 0)
                break;
        } else {
            rc = ipc_channel_read_more_(ch, deadline);
        }
        if (rc < 0)
            return rc == -EPIPE || rc == -EOWNERDEAD ? ipc_channel_lose_peer_(ch, rc) : rc;
    }
    ch->last = (size_t)n;
    ch->next = 0;
    return n;
}

#endif

/* >>pipe  src/channel/pipe.h */
/*
 * pipe: and fifo:, the kernel's pipes.
 *
 *   pipe:       Two processes of one program: open, fork, and use the channel in both. IPC_BOTH
 *               makes a pipe for each direction. The first call after fork decides which process
 *               uses which ends: the process that opened the channel has the role that it asked
 *               for, its child the opposite one. There is no listener to wait for.
 *   fifo:PATH   A named pipe in one direction. The listener makes it. The other side waits for it,
 *               and a sender also for a receiver. Any number of senders, which must keep to
 *               PIPE_BUF - 8 bytes (4088) if there are several.
 *
 *   Access   pipe: the two processes. fifo: each process that the FIFO's mode permits; the FIFO of
 *            a user other than this one, root and options.user is refused.
 *   Loss     -EPIPE after all that the other side sent, or -EOWNERDEAD if it died in the middle of
 *            a message. A FIFO's receiver then waits for the next sender, a sender for the next
 *            receiver; over pipe: each call reports the loss again.
 *   Limits   The kernel keeps 64 KiB on the way. A FIFO outlives its processes.
 */
#ifndef IPC_SRC_CHANNEL_PIPE_H
#define IPC_SRC_CHANNEL_PIPE_H 1

/* ------------------------------------------------------------------ pipe: */

/* The descriptors that the child uses, until the first call has decided which process this is. */
struct ipc_channel_pipe_ {
    int child_in, child_out;
};

IPC_INLINE int ipc_channel_make_pipe_(struct ipc_channel *ch, int *in, int *out)
{
    int fds[2];

    if (syscall(SYS_pipe2, fds, O_CLOEXEC | O_NONBLOCK) == 0) {
        *out = ipc_move_fd_(fds[1]);
        *in = ipc_move_fd_(fds[0]);
        if (*in >= 0 && *out >= 0)
            return 0;
    }
    return ipc_channel_refuse_(ch, -errno, "cannot make a pipe: %s", strerror(errno));
}

IPC_INLINE int ipc_channel_pipe_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_pipe_ *own = (struct ipc_channel_pipe_ *)ch->state;
    int rc = 0;

    (void)deadline;
    own->child_in = own->child_out = -1;
    if (ch->address[0] != '\0')
        return ipc_channel_refuse_(ch, -EINVAL, "pipe: has no name, as only a child can use it: '%s'",
                                   ch->address);
    ch->flags |= IPC_CHANNEL_UNUSED_;
    if ((ch->role & IPC_SEND) != 0)
        rc = ipc_channel_make_pipe_(ch, &own->child_in, &ch->out);
    if (rc == 0 && (ch->role & IPC_RECV) != 0)
        rc = ipc_channel_make_pipe_(ch, &ch->in, &own->child_out);
    return rc;
}

IPC_INLINE void ipc_channel_pipe_close_(struct ipc_channel *ch)
{
    struct ipc_channel_pipe_ *own = (struct ipc_channel_pipe_ *)ch->state;

    ipc_channel_close_fd_(&own->child_in);
    ipc_channel_close_fd_(&own->child_out);
}

/* The first use: keeps this process's ends and closes the others. */
IPC_INLINE void ipc_channel_pipe_choose_ends_(struct ipc_channel *ch)
{
    struct ipc_channel_pipe_ *own = (struct ipc_channel_pipe_ *)ch->state;
    int in = ch->in, out = ch->out;

    if (ch->pid != getpid()) {
        ch->in = own->child_in;
        ch->out = own->child_out;
        own->child_in = in;
        own->child_out = out;
        ch->role = (ch->in >= 0 ? IPC_RECV : 0u) | (ch->out >= 0 ? IPC_SEND : 0u);
    }
    ipc_channel_pipe_close_(ch);
}

static const struct ipc_channel_kind_ ipc_channel_pipe_kind_ = {
    "pipe",
    IPC_CHANNEL_OPEN_TO_ALL_,
    sizeof(struct ipc_channel_pipe_),
    0,
    0,
    ipc_channel_pipe_open_,
    ipc_channel_pipe_close_,
    NULL, /* unlink: it has no name */
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    NULL, /* meet: no other process can come */
    NULL, /* reopen */
    ipc_channel_pipe_choose_ends_,
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

/* ------------------------------------------------------------------ fifo: */

/* Opens this side's end. -ENOENT: there is no FIFO yet; -ENXIO: it has no receiver yet. */
IPC_INLINE int ipc_channel_fifo_open_end_(struct ipc_channel *ch)
{
    int reads = (ch->role & IPC_RECV) != 0, rc;
    int fd = ipc_move_fd_(
        open(ch->address, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
    struct stat st;

    if (fd < 0)
        return ipc_channel_refuse_errno_(ch, "open");
    rc = fstat(fd, &st) != 0 ? -errno : ipc_channel_check_owner_(ch, &st, S_IFIFO);
    if (rc == 0)
        return fd;
    (void)close(fd);
    return rc;
}

/* Waits for the FIFO, and for a receiver. */
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
    int rc, why;

    if ((ch->role & IPC_LISTEN) == 0)
        return ipc_channel_fifo_meet_(ch, deadline);
    why = mkfifo(ch->address, ch->how.mode) == 0 ? 0 : errno;
    if (why == 0 && (rc = ipc_channel_set_mode_(ch, S_IFIFO, &st)) != 0)
        return ipc_channel_refuse_(ch, rc, "fifo: cannot set the mode of '%s': %s%s", ch->address,
                                   strerror(-rc), ipc_channel_make_hint_(rc));
    if (lstat(ch->address, &st) != 0) {
        errno = why != 0 && why != EEXIST ? why : errno;
        return ipc_channel_refuse_errno_(ch, "make");
    }
    /* A receiver has its end from now on. A sender opens its own at the first send, as it can do
     * so only while there is a receiver. */
    return (ch->role & IPC_RECV) != 0 ? ipc_channel_fifo_meet_(ch, IPC_NOW)
                                      : ipc_channel_check_owner_(ch, &st, S_IFIFO);
}

IPC_INLINE int ipc_channel_fifo_unlink_(struct ipc_channel *ch)
{
    return ipc_channel_remove_(ch->address, S_IFIFO);
}

static const struct ipc_channel_kind_ ipc_channel_fifo_kind_ = {
    "fifo",
    IPC_CHANNEL_ONE_WAY_,
    0, /* own: nothing */
    0,
    0,
    ipc_channel_fifo_open_,
    NULL, /* close */
    ipc_channel_fifo_unlink_,
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    ipc_channel_fifo_meet_,
    ipc_channel_fifo_open_end_,
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

#endif

/* >>address  src/channel/address.h */
/*
 * Where sockets are: the addresses of a URI, and listening at them.
 *
 * A name of tcp: or udp: may have several addresses, of IPv4 and of IPv6. A listener has a socket
 * for each of them that this host has, all with one port; "*" is one socket for both families. A
 * client tries one address after the other.
 *
 * A Unix socket's file is of a listener that is gone if connecting to it is refused; a socket of
 * another type asks, so that a listener that is there does not see it. Such a file is replaced. Of
 * two processes that find the file one could remove the other's new one, so they lock PATH.lock,
 * which is there for that moment only. The lock does not stop a program that removes the old file
 * by itself and binds anew between our look and our unlink: its new file is lost then.
 */
#ifndef IPC_SRC_CHANNEL_ADDRESS_H
#define IPC_SRC_CHANNEL_ADDRESS_H 1

/* ------------------------------------------------------------------ sockets */

#define IPC_CHANNEL_ADDRESSES_ 16u /* at which one channel listens */

struct ipc_channel_socket_ {
    int sockets[IPC_CHANNEL_ADDRESSES_]; /* a listener's: one for each address */
    unsigned count;                      /* of sockets[] */
    unsigned turn;                       /* of sockets[]: where to look first */
    int listener; /* tells that something came to sockets[]: the only one, or an epoll descriptor of
                     several; -1: datagrams come to `in`, or this side does not listen */
    unsigned connects;             /* udp: how often this client has connected */
    int port;                      /* a listener's; else 0 */
    int has_file;                  /* this channel has made the socket's file */
    ino_t ino;                     /* of that file */
    struct sockaddr_storage asker; /* unix-dgram:, udp: a listener's answers go here */
    socklen_t asker_size;          /* 0: nobody has asked yet */
    int64_t came_at;               /* when the connection began */
    int greeted;                   /* the other side has greeted */
    int accepted;                  /* this channel is of ipc_channel_accept, or a server's client */
};

IPC_INLINE struct ipc_channel_socket_ *ipc_channel_get_socket_(const struct ipc_channel *ch)
{
    return (struct ipc_channel_socket_ *)ch->state;
}

/* Is this channel over a Unix socket? Else it is over IPv4 or IPv6. */
IPC_INLINE int ipc_channel_is_unix_(const struct ipc_channel *ch)
{
    return ch->kind->domain == AF_UNIX;
}

/* Does the address name a file? Else it is a network's, or a name in the abstract namespace. */
IPC_INLINE int ipc_channel_has_path_(const struct ipc_channel *ch)
{
    return ipc_channel_is_unix_(ch) && ch->address[0] != '@';
}

/* Before it is open: has the address no file? A name of auto: has one if it holds a slash. */
IPC_INLINE int ipc_channel_is_abstract_(const struct ipc_channel *ch)
{
    return ch->address[0] == '@' ||
           ((ch->kind->flags & IPC_CHANNEL_BELL_FD_) != 0 && strchr(ch->address, '/') == NULL);
}

/* ------------------------------------------------------------------ addresses */

/* Where a URI leads to. */
struct ipc_channel_addresses_ {
    struct addrinfo *first; /* the list of them */
    int any;                /* "*": one of the list is enough */
    int dir;                /* unix: a descriptor that the address needs, or -1 */
    struct addrinfo one;    /* unix: the list, of this address */
    struct sockaddr_un un;
};

/* Writes a path that is too long for an address as one by the descriptor of its folder. Returns its
 * length, or a negative errno. */
IPC_INLINE int ipc_channel_shorten_path_(struct ipc_channel *ch, char *to, size_t room, int *dir)
{
    const char *base = strrchr(ch->address, '/');
    char folder[PATH_MAX];
    int n;

    if (base == NULL) {
        (void)snprintf(folder, sizeof folder, ".");
        base = ch->address;
    } else {
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(base - ch->address) + 1, ch->address);
        base++;
    }
    *dir = ipc_move_fd_(open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC));
    if (*dir < 0)
        return ipc_channel_refuse_errno_(ch, "open the folder of");
    n = snprintf(to, room, "/proc/self/fd/%d/%s", *dir, base);
    if (n >= (int)room)
        return ipc_channel_refuse_(ch, -ENAMETOOLONG, "%s: '%s': the name in its folder is long",
                                   ch->kind->scheme, ch->address);
    return n;
}

/* "PATH" or "@NAME". */
IPC_INLINE int ipc_channel_resolve_path_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    size_t n = strlen(ch->address), room = sizeof a->un.sun_path, most;
    int abstract = ch->address[0] == '@', rc;

    a->un.sun_family = AF_UNIX;
    most = abstract ? room - 1 : PATH_MAX - 1;
    if (n == 0 || n > most)
        return ipc_channel_refuse_(ch, n == 0 ? -EINVAL : -ENAMETOOLONG,
                                   "%s: an address of %zu bytes: it must have 1 to %zu",
                                   ch->kind->scheme, n, most);
    if (n < room) {
        memcpy(a->un.sun_path, ch->address, n);
        if (abstract)
            a->un.sun_path[0] = '\0';
    } else {
        rc = ipc_channel_shorten_path_(ch, a->un.sun_path, room, &a->dir);
        if (rc < 0)
            return rc;
        n = (size_t)rc;
    }
    a->one.ai_family = AF_UNIX;
    a->one.ai_addr = (struct sockaddr *)&a->un;
    /* The length of an abstract name says where it ends; a path ends with a NUL. */
    a->one.ai_addrlen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
    a->first = &a->one;
    return 0;
}

/* What a failure of getaddrinfo is as a negative errno. */
IPC_INLINE int ipc_channel_resolver_error_(int rc)
{
    switch (rc) {
    case EAI_SYSTEM:
        return -errno;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SERVICE:
        return -EINVAL;
    default:
        return -EADDRNOTAVAIL;
    }
}

/* Is that a port: 1 to 65535, for a listener also 0, or the name of a service? getaddrinfo would
 * take a number modulo 65536. */
IPC_INLINE int ipc_channel_is_port_(const struct ipc_channel *ch, const char *port)
{
    size_t digits = strspn(port, "0123456789"), n = strlen(port);
    unsigned long least = (ch->role & IPC_LISTEN) != 0 ? 0 : 1, number;

    if (n == 0 || digits != n)
        return n != 0 && digits == 0 && *port != '-' && *port != '+' && *port != ' ';
    number = n <= 9 ? strtoul(port, NULL, 10) : ULONG_MAX;
    return number >= least && number <= 65535;
}

/* "HOST:PORT", "[HOST]:PORT", to listen "*:PORT". */
IPC_INLINE int ipc_channel_resolve_host_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    const char *colon = strrchr(ch->address, ':'), *from = ch->address, *to = colon;
    struct addrinfo hint;
    char host[256];
    int rc;

    if (colon != NULL && *from == '[' && colon > from + 1 && colon[-1] == ']')
        from++, to--;
    if (colon == NULL || to == from || (size_t)(to - from) >= sizeof host)
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: not HOST:PORT", ch->kind->scheme,
                                   ch->address);
    if (!ipc_channel_is_port_(ch, colon + 1))
        return ipc_channel_refuse_(ch, -EINVAL, "%s:%s: '%s' is no port of %d to 65535",
                                   ch->kind->scheme, ch->address, colon + 1,
                                   (ch->role & IPC_LISTEN) == 0);
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    memset(&hint, 0, sizeof hint);
    hint.ai_socktype = ch->kind->type;
    hint.ai_flags = (ch->role & IPC_LISTEN) != 0 ? AI_PASSIVE : 0;
    a->any = hint.ai_flags != 0 && strcmp(host, "*") == 0;
    rc = getaddrinfo(a->any ? NULL : host, colon + 1, &hint, &a->first);
    if (rc != 0) {
        a->first = NULL;
        return ipc_channel_refuse_(ch, ipc_channel_resolver_error_(rc), "%s:%s: %s",
                                   ch->kind->scheme, ch->address, gai_strerror(rc));
    }
    return 0;
}

IPC_INLINE int ipc_channel_resolve_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a)
{
    memset(a, 0, sizeof *a);
    a->dir = -1;
    return ipc_channel_is_unix_(ch) ? ipc_channel_resolve_path_(ch, a)
                                    : ipc_channel_resolve_host_(ch, a);
}

IPC_INLINE void ipc_channel_free_addresses_(struct ipc_channel_addresses_ *a)
{
    if (a->first != NULL && a->first != &a->one)
        freeaddrinfo(a->first);
    a->first = NULL;
    ipc_channel_close_fd_(&a->dir);
}

/* ------------------------------------------------------------------ files of Unix sockets */

/* Is the file at the address the socket of a listener that is gone? */
IPC_INLINE int ipc_channel_is_stale_(const struct ipc_channel *ch, const struct addrinfo *at)
{
    /* The kernel refuses to connect sockets of two types, but first looks for a process. */
    int type = ch->kind->type == SOCK_DGRAM ? SOCK_STREAM : SOCK_DGRAM, probe, stale = 0;

    if (ipc_channel_check_type_(ch->address, S_IFSOCK) != 0)
        return 0;
    probe = ipc_move_fd_(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (probe >= 0)
        stale = connect(probe, at->ai_addr, at->ai_addrlen) != 0 && errno == ECONNREFUSED;
    ipc_channel_close_fd_(&probe);
    return stale;
}

/* Locks the file, which the process that has the lock removes. The descriptor, or a negative errno:
 * -EADDRINUSE where another process has it until the deadline, as that one listens then. */
IPC_INLINE int ipc_channel_lock_file_(const char *path, int64_t deadline)
{
    struct stat own, there;
    int lock, rc;

    for (;;) {
        lock = ipc_move_fd_(
            open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
        if (lock < 0)
            return -errno;
        rc =
            fstat(lock, &own) == 0 && S_ISREG(own.st_mode) && own.st_uid == geteuid() ? 0 : -EACCES;
        while (rc == 0 && flock(lock, LOCK_EX | LOCK_NB) != 0)
            rc = errno == EWOULDBLOCK ? ipc_channel_nap_(deadline) : -errno;
        if (rc == 0 && lstat(path, &there) == 0 && there.st_ino == own.st_ino &&
            there.st_dev == own.st_dev)
            return lock;
        (void)close(lock);
        if (rc != 0)
            return rc == -ETIMEDOUT ? -EADDRINUSE : rc;
    }
}

/* Binds the socket in place of the one of a listener that is gone. 0 or a negative errno. */
IPC_INLINE int ipc_channel_replace_file_(const struct ipc_channel *ch, int fd,
                                         const struct addrinfo *at, int64_t deadline)
{
    char path[PATH_MAX + 8];
    int lock, rc = -EADDRINUSE;

    (void)snprintf(path, sizeof path, "%s.lock", ch->address);
    lock = ipc_channel_lock_file_(path, deadline);
    if (lock < 0)
        return lock;
    if (ipc_channel_is_stale_(ch, at))
        rc = unlink(ch->address) == 0 && bind(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
    (void)unlink(path);
    (void)close(lock);
    return rc;
}

/* Binds the socket to its address. 0 or a negative errno. */
IPC_INLINE int ipc_channel_bind_(struct ipc_channel *ch, int fd, const struct addrinfo *at,
                                 int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct stat st;
    int rc, path = ipc_channel_has_path_(ch);

    if (path)
        (void)fchmod(fd, ch->how.mode); /* that of the file, less what the umask takes */
    rc = bind(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
    if (!path)
        return rc;
    if (rc == -EADDRINUSE && ipc_channel_is_stale_(ch, at))
        rc = ipc_channel_replace_file_(ch, fd, at, deadline);
    if (rc == 0 && (rc = ipc_channel_set_mode_(ch, S_IFSOCK, &st)) == 0) {
        own->has_file = 1;
        own->ino = st.st_ino;
    }
    return rc;
}

/* ------------------------------------------------------------------ listening */

IPC_INLINE int ipc_channel_make_socket_(struct ipc_channel *ch, int family)
{
    int fd = ipc_move_fd_(socket(family, ch->kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

    return fd >= 0 ? fd : ipc_channel_refuse_errno_(ch, "make a socket for");
}

/* From now on calls without MSG_DONTWAIT may block. */
IPC_INLINE void ipc_channel_make_blocking_(int fd)
{
    (void)fcntl(fd, F_SETFL, 0);
}

/* Must each datagram say which process sent it? Only to a listener at an abstract name: a
 * file's mode has decided already which processes may send. */
IPC_INLINE int ipc_channel_wants_credentials_(const struct ipc_channel *ch)
{
    return ch->kind->type == SOCK_DGRAM && ipc_channel_is_unix_(ch) && !ipc_channel_has_path_(ch) &&
           (ch->role & IPC_LISTEN) != 0;
}

IPC_INLINE int ipc_channel_get_port_(int fd)
{
    union {
        struct sockaddr_storage any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } own;
    socklen_t size = sizeof own;

    memset(&own, 0, sizeof own);
    if (getsockname(fd, (struct sockaddr *)&own.any, &size) != 0)
        return 0;
    if (own.any.ss_family == AF_INET)
        return ntohs(own.v4.sin_port);
    return own.any.ss_family == AF_INET6 ? ntohs(own.v6.sin6_port) : 0;
}

/* Makes `listener` tell that something came to one of several sockets. */
IPC_INLINE int ipc_channel_gather_sockets_(struct ipc_channel *ch)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct epoll_event e;
    unsigned i;

    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    own->listener = ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    for (i = 0; i < own->count; i++)
        if (own->listener < 0 || epoll_ctl(own->listener, EPOLL_CTL_ADD, own->sockets[i], &e) != 0)
            return ipc_channel_refuse_errno_(ch, "wait at all addresses of");
    return 0;
}

/* Does this error of a socket say that this host has no such address? */
IPC_INLINE int ipc_channel_is_not_here_(int rc)
{
    return rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT;
}

/* Is the kernel to choose the port? */
IPC_INLINE int ipc_channel_asks_any_port_(const struct ipc_channel *ch)
{
    const char *colon = strrchr(ch->address, ':');

    return !ipc_channel_is_unix_(ch) && colon != NULL && strtoul(colon + 1, NULL, 10) == 0;
}

/* Makes the socket that listens at one address, or that datagrams come to. All have the first one's
 * port. 0 or a negative errno. */
IPC_INLINE int ipc_channel_listen_at_(struct ipc_channel *ch, struct addrinfo at, int any,
                                      int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int fd = ipc_channel_make_socket_(ch, at.ai_family), one = 1, none = 0, rc;
    uint16_t port = htons((uint16_t)own->port);
    struct sockaddr_storage with_port;

    if (fd < 0)
        return fd;
    if (own->count != 0) {
        memcpy(&with_port, at.ai_addr, at.ai_addrlen);
        memcpy((char *)&with_port + offsetof(struct sockaddr_in, sin_port), &port, sizeof port);
        at.ai_addr = (struct sockaddr *)&with_port; /* IPv6 has the port at the same place */
    }
    if (!ipc_channel_is_unix_(ch) && ch->kind->type == SOCK_STREAM)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (any && at.ai_family == AF_INET6) /* also where net.ipv6.bindv6only says otherwise */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &none, sizeof none);
    if (ipc_channel_wants_credentials_(ch))
        (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
    rc = ipc_channel_bind_(ch, fd, &at, deadline);
    if (rc == 0 && ch->kind->type != SOCK_DGRAM && listen(fd, SOMAXCONN) != 0)
        rc = -errno;
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    own->sockets[own->count++] = fd;
    if (own->count == 1)
        own->port = ipc_channel_get_port_(fd);
    return 0;
}

/* Closes the sockets that listen. The one that is also `in` stays. */
IPC_INLINE void ipc_channel_stop_listening_(struct ipc_channel *ch)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    unsigned i;

    if (own->count > 1)
        ipc_channel_close_fd_(&own->listener);
    for (i = 0; i < own->count; i++)
        if (own->sockets[i] != ch->in)
            (void)close(own->sockets[i]);
    own->count = 0;
    own->listener = -1;
}

/* A name in /etc/hosts may have an address twice. */
IPC_INLINE int ipc_channel_is_repeated_(const struct addrinfo *first, const struct addrinfo *at)
{
    for (; first != at; first = first->ai_next)
        if (first->ai_addrlen == at->ai_addrlen &&
            memcmp(first->ai_addr, at->ai_addr, at->ai_addrlen) == 0)
            return 1;
    return 0;
}

/* Listens at those of the addresses that this host has, of IPv6 or of all other families. */
IPC_INLINE int ipc_channel_listen_at_family_(struct ipc_channel *ch,
                                             const struct ipc_channel_addresses_ *a, int ipv6,
                                             int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int rc, last = 0;
    const struct addrinfo *at;

    for (at = a->first; at != NULL; at = at->ai_next) {
        if ((at->ai_family == AF_INET6) != ipv6 || ipc_channel_is_repeated_(a->first, at) ||
            (a->any && own->count != 0))
            continue;
        rc = own->count < IPC_CHANNEL_ADDRESSES_ ? ipc_channel_listen_at_(ch, *at, a->any, deadline)
                                                 : -E2BIG;
        if (rc != 0 && !ipc_channel_is_not_here_(rc))
            return rc;
        last = rc != 0 ? rc : last;
    }
    return own->count != 0 ? 0 : last;
}

/* Listens at all addresses that this host has: IPv6 first, as "*" is then one socket for both
 * families. A port that the kernel has chosen for the first address may be taken at another, so
 * another port is tried. 0 or a negative errno. */
IPC_INLINE int ipc_channel_listen_at_all_(struct ipc_channel *ch,
                                          const struct ipc_channel_addresses_ *a, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int rc, tries = 0;

    do {
        ipc_channel_stop_listening_(ch);
        own->port = 0;
        rc = ipc_channel_listen_at_family_(ch, a, 1, deadline);
        if (rc == 0 || ipc_channel_is_not_here_(rc))
            rc = ipc_channel_listen_at_family_(ch, a, 0, deadline);
    } while (rc == -EADDRINUSE && own->port != 0 && ipc_channel_asks_any_port_(ch) && ++tries < 16);
    return rc;
}

/* Opens a listener's sockets. 0 or a negative errno, with its sentence. */
IPC_INLINE int ipc_channel_make_listener_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct ipc_channel_addresses_ a;
    int rc = ipc_channel_resolve_(ch, &a);

    if (rc == 0) {
        rc = ipc_channel_listen_at_all_(ch, &a, deadline);
        if (rc != 0)
            (void)ipc_channel_refuse_(ch, rc, "%s: cannot listen at '%s': %s%s", ch->kind->scheme,
                                      ch->address, strerror(-rc), ipc_channel_make_hint_(rc));
    }
    ipc_channel_free_addresses_(&a);
    if (rc != 0)
        return rc;
    own->listener = own->sockets[0];
    return own->count > 1 ? ipc_channel_gather_sockets_(ch) : 0;
}

#endif

/* >>greet  src/channel/greet.h */
/*
 * Greetings, over unix:, unix-seq: and tcp:.
 *
 * Each side says who it is as soon as the connection is there, before its first message: 12 bytes,
 * three numbers in network byte order. Its first call waits for the other side's greeting, so nothing
 * is accepted that nobody would receive, and both know alike whether they fit:
 *
 *     number   what
 *     0        "ipcg"
 *     1        bits 0 to 1: its role; 2: it listens; 3: its `max` was asked for by options.max; from
 *              bit 16 on: the version, 1
 *     2        the largest message that it takes
 *
 *   - A client must not send what the listener does not receive, or wait for what that does not send.
 *     Where neither side listens (fd:) one direction must fit.
 *   - A side that asked for messages of a size must find another side that takes them; otherwise the
 *     smaller of the two sizes counts.
 */
#ifndef IPC_SRC_CHANNEL_GREET_H
#define IPC_SRC_CHANNEL_GREET_H 1

#define IPC_CHANNEL_GREETING_ ((size_t)12)   /* bytes */
#define IPC_CHANNEL_HELLO_ 0x69706367u       /* "ipcg" */
#define IPC_CHANNEL_GREETING_LISTENS_ 4u
#define IPC_CHANNEL_GREETING_ASKED_ 8u
#define IPC_CHANNEL_GREETING_VERSION_ (1u << 16)
#define IPC_CHANNEL_HELLO_NS_ INT64_C(100000000) /* for a client to say something, if others wait */

IPC_INLINE const char *ipc_channel_role_text_(uint32_t role)
{
    static const char *const texts[] = {"nothing", "send", "receive", "send and receive"};

    return texts[role & IPC_BOTH];
}

/* The second number of this side's greeting. */
IPC_INLINE uint32_t ipc_channel_greeting_(const struct ipc_channel *ch)
{
    int listens = (ch->role & IPC_LISTEN) != 0 || ipc_channel_get_socket_(ch)->accepted;

    return (ch->role & IPC_BOTH) | (listens ? IPC_CHANNEL_GREETING_LISTENS_ : 0) |
           (ch->how.max != 0 ? IPC_CHANNEL_GREETING_ASKED_ : 0) | IPC_CHANNEL_GREETING_VERSION_;
}

/* The longest message until both sides have greeted, of a stream: the last peer may have taken less. */
IPC_INLINE void ipc_channel_begin_max_(struct ipc_channel *ch)
{
    if (ch->kind->type == SOCK_STREAM)
        ch->max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_MAX_;
}

/* A connection has begun: greets. Nothing is on the way yet, so there is room, or the other side is
 * at fault, which the first call finds out. */
IPC_INLINE void ipc_channel_greet_(struct ipc_channel *ch, int fd)
{
    unsigned char to[IPC_CHANNEL_GREETING_];

    ipc_channel_get_socket_(ch)->came_at = ipc_clock();
    if ((ch->kind->flags & IPC_CHANNEL_GREETS_) == 0)
        return;
    ipc_channel_begin_max_(ch);
    ipc_channel_put_(to, IPC_CHANNEL_HELLO_);
    ipc_channel_put_(to + 4, ipc_channel_greeting_(ch));
    ipc_channel_put_(to + 8, (uint32_t)ch->max);
    (void)send(fd, to, sizeof to, MSG_NOSIGNAL | MSG_DONTWAIT);
    ipc_channel_get_socket_(ch)->greeted = 0;
    ch->flags |= IPC_CHANNEL_UNGREETED_;
}

/* Waits for more bytes of what the other side says first. A client says it as soon as it has
 * connected: one that does not is left, -EPIPE, after 100 ms, if another client waits. */
IPC_INLINE int ipc_channel_wait_for_hello_(struct ipc_channel *ch, int64_t deadline)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int64_t until = own->came_at + IPC_CHANNEL_HELLO_NS_;
    struct pollfd p[2];
    int rc, over;

    if (own->listener < 0)
        return ipc_channel_wait_(ch->in, POLLIN, deadline);
    p[0].fd = ch->in;
    p[0].events = p[1].events = POLLIN;
    do {
        over = ipc_left_(until) == 0;
        p[1].fd = over ? own->listener : -1;
        p[1].revents = 0;
        rc = ipc_channel_poll_(p, 2, over || deadline < until ? deadline : until);
    } while (rc == -ETIMEDOUT && !over && ipc_left_(deadline) > 0);
    return rc == 0 && p[0].revents == 0 ? -EPIPE : rc;
}

/* Do the roles fit? */
IPC_INLINE int ipc_channel_roles_fit_(uint32_t one, uint32_t other)
{
    int listens = (one & IPC_CHANNEL_GREETING_LISTENS_) != 0;
    uint32_t client = listens ? other : one, listener = listens ? one : other;

    if (((one ^ other) & IPC_CHANNEL_GREETING_LISTENS_) == 0) /* fd: */
        return (client & IPC_SEND & listener >> 1) != 0 || (listener & IPC_SEND & client >> 1) != 0;
    return ((client & IPC_SEND) == 0 || (listener & IPC_RECV) != 0) &&
           ((client & IPC_RECV) == 0 || (listener & IPC_SEND) != 0);
}

/* Can a side with this greeting send what the other side does not take? */
IPC_INLINE int ipc_channel_asks_too_much_(uint32_t greeting, size_t max, size_t most)
{
    return (greeting & (IPC_SEND | IPC_CHANNEL_GREETING_ASKED_)) ==
               (IPC_SEND | IPC_CHANNEL_GREETING_ASKED_) &&
           max > most;
}

/* Checks the greeting that has come. 0, and `max` is the smaller one; or why the sides do not fit. */
IPC_INLINE int ipc_channel_check_greeting_(struct ipc_channel *ch, const unsigned char *from)
{
    uint32_t mine = ipc_channel_greeting_(ch), other = ipc_channel_get_(from + 4);
    size_t max = ipc_channel_get_(from + 8);

    if (ipc_channel_get_(from) != IPC_CHANNEL_HELLO_ || max > UINT32_MAX / 2)
        return ipc_channel_refuse_(ch, -EBADMSG, "%s:%s: what came is no greeting of ipc_channel.h",
                                   ch->kind->scheme, ch->address);
    if (other >> 16 != IPC_CHANNEL_GREETING_VERSION_ >> 16)
        return ipc_channel_refuse_(ch, -EPROTO, "%s:%s: the other side is of another version",
                                   ch->kind->scheme, ch->address);
    if (!ipc_channel_roles_fit_(mine, other))
        return ipc_channel_refuse_(
            ch, -EPROTO,
            "%s:%s: the roles do not fit: this side was opened to %s, the other one to %s",
            ch->kind->scheme, ch->address, ipc_channel_role_text_(mine),
            ipc_channel_role_text_(other));
    if (ipc_channel_asks_too_much_(mine, ch->max, max) ||
        ipc_channel_asks_too_much_(other, max, ch->max))
        return ipc_channel_refuse_(ch, -EMSGSIZE,
                                   "%s:%s: options.max is %zu here and %zu at the other side: what "
                                   "one asks to send the other one does not take",
                                   ch->kind->scheme, ch->address, ch->max, max);
    ch->max = max < ch->max ? max : ch->max;
    return 0;
}

/* Waits for the other side's greeting. 0; -ETIMEDOUT, -EINTR: later; -EPIPE: it has left before; or
 * as ipc_channel_check_greeting_. */
IPC_INLINE int ipc_channel_hear_greeting_(struct ipc_channel *ch, int64_t deadline)
{
    int is_packet = ch->kind->type == SOCK_SEQPACKET, was_reset = 0, rc;
    struct ipc_channel_bytes_ *rx = &ch->rx;
    ssize_t n;

    while (rx->end < IPC_CHANNEL_GREETING_) {
        n = recv(ch->in, rx->data + rx->end, IPC_CHANNEL_GREETING_ - rx->end,
                 is_packet ? MSG_DONTWAIT | MSG_TRUNC : MSG_DONTWAIT);
        /* Of a client that closed before it had read our greeting, the kernel tells the reset before
         * it hands out the packets. */
        if (n < 0 && errno == ECONNRESET && is_packet && !was_reset++)
            continue;
        if (n == 0 || (n < 0 && ipc_channel_is_end_(errno)))
            return rx->end == 0 ? -EPIPE : -EOWNERDEAD;
        if (n < 0 && errno != EAGAIN)
            return errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, "receive from");
        if (n < 0 && (rc = ipc_channel_wait_for_hello_(ch, deadline)) != 0)
            return rc;
        if (is_packet && n >= 0 && n != (ssize_t)IPC_CHANNEL_GREETING_)
            return ipc_channel_refuse_(ch, -EBADMSG,
                                       "%s:%s: what came is no greeting of ipc_channel.h",
                                       ch->kind->scheme, ch->address);
        rx->end += n > 0 ? (size_t)n : 0;
    }
    rx->end = 0;
    rc = ipc_channel_check_greeting_(ch, rx->data);
    if (rc != 0)
        return rc;
    ipc_channel_get_socket_(ch)->greeted = 1;
    ch->flags &= ~IPC_CHANNEL_UNGREETED_;
    return 0;
}

#endif

/* >>socket  src/channel/socket.h */
/*
 * unix: and tcp:, streams; and what all sockets have in common: unix-seq:, unix-dgram: and udp: in
 * packet.h, and auto:.
 *
 *   unix:PATH, unix:@NAME   A Unix socket, in a file, or in the abstract namespace.
 *   tcp:HOST:PORT           IPv4 or IPv6: tcp:127.0.0.1:9000, tcp:[::1]:9000; a listener may say
 *                           tcp:*:9000, for IPv4 and IPv6, and port 0 for any free one. A name
 *                           stands for all of its addresses.
 *
 * Both sides greet each other first: see greet.h. The listener takes one client at a time, several by
 * ipc_channel_accept, or serves many with options.clients: see server.h. The other side waits for a
 * listener. Both directions.
 *
 *   Access   unix: each process that the file's mode permits, and of those only processes of this
 *            user, root, options.user and options.group, as the kernel tells them (SO_PEERCRED).
 *            tcp: each process that can reach the port.
 *   Loss     -EPIPE after all that the other side sent, or -EOWNERDEAD if that ends in the middle
 *            of a message. tcp: only what has reached this host, where the other side left messages
 *            of ours unread. A listener then waits for the next client, a client for the next
 *            listener; a channel of ipc_channel_accept reports the loss again. A channel of both
 *            directions goes on to the next peer once all is received. A host that vanishes without
 *            a word is noticed by deadlines only, or with options.keepalive.
 *   Limits   A listener's file goes with ipc_channel_close; the next listener replaces the file of
 *            one that was killed. A client that waits looks again after an eighth of the time
 *            that it has waited, 100 ms at most.
 */
#ifndef IPC_SRC_CHANNEL_SOCKET_H
#define IPC_SRC_CHANNEL_SOCKET_H 1

/* ------------------------------------------------------------------ the other side */

/* May a process of this user and group be at the other end? */
IPC_INLINE int ipc_channel_may_be_peer_(const struct ipc_channel *ch, uid_t uid, gid_t gid)
{
    return uid == geteuid() || uid == 0 || uid == ch->how.user ||
           (ch->how.group != 0 && gid == ch->how.group);
}

/* Asks a host that is silent for a third of the time whether it is there, and gives a connection up
 * whose bytes or questions are not answered for all of the time. */
IPC_INLINE void ipc_channel_keep_alive_(int fd, unsigned seconds)
{
    int one = 1, third = (int)(seconds + 2) / 3, count = 3;
    unsigned ms = seconds * 1000;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &third, sizeof third);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &third, sizeof third);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    (void)setsockopt(fd, IPPROTO_TCP, 18 /* TCP_USER_TIMEOUT */, &ms, sizeof ms);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
}

/* Checks the process at the other end of a connected socket, and prepares the socket. */
IPC_INLINE int ipc_channel_check_peer_(struct ipc_channel *ch, int fd)
{
    socklen_t size = sizeof ch->peer;
    int one = 1;

    if (ipc_channel_is_unix_(ch) && ch->kind->type != SOCK_DGRAM) {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ch->peer, &size) != 0)
            return ipc_channel_refuse_errno_(ch, "tell who is at");
        if (!ipc_channel_may_be_peer_(ch, ch->peer.uid, ch->peer.gid))
            return ipc_channel_refuse_(ch, -EACCES,
                                       "%s:%s: user %ld of group %ld is there; see "
                                       "options.user and options.group",
                                       ch->kind->scheme, ch->address, (long)ch->peer.uid,
                                       (long)ch->peer.gid);
    }
    if (!ipc_channel_is_unix_(ch) && ch->kind->type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (ch->how.keepalive != 0)
        ipc_channel_keep_alive_(fd, ch->how.keepalive);
    return 0;
}

/* Sets `max` to what one packet of this socket carries, or to options.max. On Unix sockets that
 * follows from the buffer, which the kernel makes twice as large as asked for, and may cut. */
IPC_INLINE int ipc_channel_set_packet_max_(struct ipc_channel *ch, int fd)
{
    size_t head = ch->kind->type == SOCK_SEQPACKET ? IPC_CHANNEL_HEADER_ : 0, most = 65507;
    int room = ch->how.max < INT_MAX / 4 ? (int)(ch->how.max / 2 + 128) : 0;
    socklen_t four = sizeof room;

    if (ch->kind->type != SOCK_DGRAM && ch->kind->type != SOCK_SEQPACKET)
        return 0;
    if (ipc_channel_is_unix_(ch)) {
        if (ch->how.max * 2 > IPC_CHANNEL_GULP_)
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &four) != 0)
            return ipc_channel_refuse_errno_(ch, "ask how much fits through");
        most = (size_t)room - 32 - head; /* the kernel needs 32 bytes of it */
    }
    /* The kernel's default may have grown since the buffers were made, for an earlier connection. */
    if (ch->rx.data != NULL && most > ch->rx.size - IPC_CHANNEL_GULP_ - IPC_CHANNEL_HEAD_MOST_)
        most = ch->rx.size - IPC_CHANNEL_GULP_ - IPC_CHANNEL_HEAD_MOST_;
    if (ch->how.max > most)
        return ipc_channel_refuse_(ch, -EMSGSIZE, "%s: messages of %zu bytes: at most %zu%s",
                                   ch->kind->scheme, ch->how.max, most,
                                   ipc_channel_is_unix_(ch) ? " (net.core.wmem_max)" : "");
    ch->max = ch->how.max != 0 ? ch->how.max : most;
    return 0;
}

/* ------------------------------------------------------------------ connecting */

#define IPC_CHANNEL_TRY_NS_ INT64_C(250000000) /* for one of several addresses, at first */
#define IPC_CHANNEL_NAP_NS_ INT64_C(1000000)

/* Is the socket connected to itself? That happens where no process listens at a port and the kernel
 * has chosen the same port for this end, or the same name for a Unix socket. */
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

/* Waits until a connection that has begun is made, or has failed. */
IPC_INLINE int ipc_channel_finish_connect_(int fd, int64_t deadline)
{
    int rc = ipc_channel_wait_(fd, POLLOUT, deadline), error = 0;
    socklen_t size = sizeof error;

    if (rc != 0)
        return rc;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? -error : -errno;
}

/* Tries to connect to one address. -ECONNREFUSED: no process listens there, also where the socket
 * has connected to itself. */
IPC_INLINE int ipc_channel_connect_to_(struct ipc_channel *ch, int fd, const struct addrinfo *at,
                                       int64_t deadline)
{
    static const struct linger none = {1, 0};
    static const struct sockaddr nobody = {AF_UNSPEC, {0}};
    struct sockaddr_un own;
    int rc, tries;

    memset(&own, 0, sizeof own);
    own.sun_family = AF_UNIX;
    /* Answers need a name of this end. An empty address lets the kernel choose one. */
    if (ipc_channel_is_unix_(ch) && ch->kind->type == SOCK_DGRAM && (ch->role & IPC_RECV) != 0 &&
        bind(fd, (struct sockaddr *)&own, sizeof own.sun_family) != 0)
        return -errno;
    rc = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
    if (rc == -EINPROGRESS)
        rc = ipc_channel_finish_connect_(fd, deadline);
    for (tries = 0; rc == 0 && ipc_channel_is_own_peer_(fd); tries++) {
        if (ch->kind->type != SOCK_DGRAM || tries == 8) {
            /* Closed without TIME_WAIT, which would keep the port for a minute. */
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
            return -ECONNREFUSED;
        }
        /* A datagram socket waits for nobody: it takes another port at once. */
        if (connect(fd, &nobody, sizeof nobody) != 0 ||
            connect(fd, at->ai_addr, at->ai_addrlen) != 0)
            rc = -errno;
    }
    return rc;
}

/* May a listener come to the address, after this error of connect? */
IPC_INLINE int ipc_channel_may_come_(int rc)
{
    return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EAGAIN || rc == -ECONNRESET ||
           rc == -ETIMEDOUT || rc == -EHOSTUNREACH || rc == -EHOSTDOWN;
}

/* When a try to connect to one of several addresses gives way to the next one: after the time that
 * was waited so far, so that a host that does not answer holds up none of the others, and one that
 * answers slowly is reached in the end. */
IPC_INLINE int64_t ipc_channel_limit_try_(int64_t began, int64_t deadline)
{
    int64_t now = ipc_clock(), most = now - began;

    now += most > IPC_CHANNEL_TRY_NS_ ? most : IPC_CHANNEL_TRY_NS_;
    return deadline < now ? deadline : now;
}

/* Tries each address once. The connected descriptor, or a negative errno: one after which a
 * listener may come, if any address had such a one. */
IPC_INLINE int ipc_channel_connect_once_(struct ipc_channel *ch,
                                         const struct ipc_channel_addresses_ *a, int64_t began,
                                         int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int rc = -EADDRNOTAVAIL, why = 0, fd;
    const struct addrinfo *at = a->first;
    unsigned n = 0, i;

    for (; at != NULL; at = at->ai_next)
        n++;
    /* A connection of udp: is made whether a process is there or not. After a loss it is the turn
     * of the next address. */
    i = ch->kind->type == SOCK_DGRAM ? own->connects++ % n : 0;
    for (at = a->first; i > 0; i--)
        at = at->ai_next;
    for (i = 0; i < n; i++, at = at->ai_next != NULL ? at->ai_next : a->first) {
        fd = ipc_channel_make_socket_(ch, at->ai_family);
        if (fd < 0 && fd != -EAFNOSUPPORT)
            return fd;
        rc = fd >= 0 ? ipc_channel_connect_to_(
                           ch, fd, at, n > 1 ? ipc_channel_limit_try_(began, deadline) : deadline)
                     : fd;
        if (rc == 0)
            return fd;
        ipc_channel_close_fd_(&fd);
        if (rc == -EINTR)
            return rc;
        if (why == 0 || ipc_channel_may_come_(rc))
            why = rc;
    }
    return ipc_channel_refuse_(ch, why, "%s: cannot connect to '%s': %s", ch->kind->scheme,
                               ch->address, strerror(-why));
}

/* Sleeps before the next try: an eighth of the time that was waited so far, 1 ms to 100 ms. Then
 * many clients that wait long cost little, and one that waits shortly is hardly late. */
IPC_INLINE int ipc_channel_nap_longer_(int64_t began, int64_t deadline)
{
    int64_t pause = (ipc_clock() - began) / 8, left = ipc_left_(deadline);
    struct timespec t;

    if (left == 0)
        return -ETIMEDOUT;
    pause = pause > IPC_CHANNEL_NAP_NS_ ? pause : IPC_CHANNEL_NAP_NS_;
    pause = pause < 100 * IPC_CHANNEL_NAP_NS_ ? pause : 100 * IPC_CHANNEL_NAP_NS_;
    t = ipc_notify_time_(left < pause ? left : pause);
    return nanosleep(&t, NULL) == 0 ? 0 : -errno;
}

/* Connects, and waits for a listener until the deadline. The descriptor, or a negative errno. */
IPC_INLINE int ipc_channel_reach_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_addresses_ a;
    int rc = ipc_channel_resolve_(ch, &a), fd = -1, nap = 0;
    int64_t began = ipc_clock();

    while (rc == 0 && nap == 0) {
        fd = ipc_channel_connect_once_(ch, &a, began, deadline);
        if (fd >= 0 || !ipc_channel_may_come_(fd))
            break;
        nap = ipc_channel_nap_longer_(began, deadline);
    }
    ipc_channel_free_addresses_(&a);
    if (rc != 0)
        return rc;
    if (nap == -ETIMEDOUT)
        return ipc_channel_refuse_(ch, nap,
                                   "%s: nobody listened at '%s' until the deadline (%s): is that "
                                   "program running?",
                                   ch->kind->scheme, ch->address, strerror(-fd));
    return nap != 0 ? nap : fd;
}

IPC_INLINE int ipc_channel_connect_(struct ipc_channel *ch, int64_t deadline)
{
    int fd = ipc_channel_reach_(ch, deadline), rc;

    if (fd < 0)
        return fd;
    rc = ipc_channel_check_peer_(ch, fd);
    if (rc == 0)
        rc = ipc_channel_set_packet_max_(ch, fd);
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    ipc_channel_make_blocking_(fd);
    ch->in = ch->out = fd;
    ipc_channel_greet_(ch, fd);
    return 0;
}

/* ------------------------------------------------------------------ listening */

IPC_INLINE int ipc_channel_listen_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int rc = ipc_channel_make_listener_(ch, deadline);

    if (rc != 0)
        return rc;
    if (ch->kind->type == SOCK_DGRAM) {
        ch->in = ch->out = own->sockets[0];
        if (own->count == 1) {
            own->listener = -1;
            ipc_channel_make_blocking_(ch->in);
        }
    }
    return ipc_channel_set_packet_max_(ch, own->sockets[0]);
}

/* Takes one client that waits at a socket. The descriptor, -1 where none waits, or another error in
 * errno. */
IPC_INLINE int ipc_channel_accept_one_(int listener)
{
    int fd;

#ifdef SYS_accept4
    fd = (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
#else
    fd = accept(listener, NULL, NULL);
    if (fd >= 0)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
    return ipc_move_fd_(fd);
}

/* Takes one client that waits at one of the sockets, the next one first. As
 * ipc_channel_accept_one_. */
IPC_INLINE int ipc_channel_accept_any_(struct ipc_channel_socket_ *from)
{
    unsigned i;
    int fd = -1;

    errno = EAGAIN;
    for (i = 0; i < from->count && fd < 0 && errno == EAGAIN; i++) {
        fd = ipc_channel_accept_one_(from->sockets[from->turn]);
        from->turn = (from->turn + 1) % from->count;
    }
    return fd;
}

/* Takes the next client that is permitted. The others are left at once, but they keep no call
 * beyond its deadline. */
IPC_INLINE int ipc_channel_accept_next_(struct ipc_channel_socket_ *from, struct ipc_channel *ch,
                                        int64_t deadline)
{
    int fd, rc;

    for (;;) {
        fd = ipc_channel_accept_any_(from);
        if (fd >= 0) {
            ch->in = ch->out = fd;
            rc = ipc_channel_check_peer_(ch, fd);
            if (rc == 0 && (rc = ipc_channel_set_packet_max_(ch, fd)) == 0)
                ipc_channel_greet_(ch, fd);
            if (rc != -EACCES)
                return rc;
            ipc_channel_leave_peer_(ch);
            if (ipc_left_(deadline) == 0)
                return -ETIMEDOUT;
        } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EPROTO) {
            return ipc_channel_refuse_errno_(ch, "accept at");
        }
        rc = ipc_channel_wait_(from->listener, POLLIN, deadline);
        if (rc != 0)
            return rc;
    }
}

/* ------------------------------------------------------------------ what the tables name */

IPC_INLINE int ipc_channel_socket_meet_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);

    return own->listener >= 0 ? ipc_channel_accept_next_(own, ch, deadline)
                              : ipc_channel_connect_(ch, deadline);
}

#define IPC_CHANNEL_TRIES_ 3 /* of a client that a listener leaves before it greets */

/* Waits until a peer is there that has greeted, and fits. A listener leaves one that went before that,
 * and goes on with the next. A client tries again, as it may have met a listener that was about to
 * end; in the end -EPIPE: the listener does not want it. */
IPC_INLINE int ipc_channel_greeted_meet_(struct ipc_channel *ch, int64_t deadline)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int alone = (ch->flags & IPC_CHANNEL_ACCEPTED_) != 0, rc = 0, tries = 0;
    int64_t began = ipc_clock();
    char why[sizeof ch->why];

    for (;;) {
        if (ch->in < 0)
            rc = alone ? -EPIPE : ipc_channel_socket_meet_(ch, deadline);
        if (rc == 0 && (ch->flags & IPC_CHANNEL_UNGREETED_) != 0)
            rc = ipc_channel_hear_greeting_(ch, deadline);
        if (rc == 0 || rc == -ETIMEDOUT || rc == -EINTR || ch->in < 0)
            return rc;
        memcpy(why, ch->why, sizeof why);
        rc = ipc_channel_lose_peer_(ch, rc == -EOWNERDEAD ? -EPIPE : rc);
        if (rc != -EPIPE)
            memcpy(ch->why, why, sizeof why);
        if (rc != -EPIPE || alone || (own->listener < 0 && ++tries == IPC_CHANNEL_TRIES_))
            return rc;
        if (own->listener < 0 && (rc = ipc_channel_nap_longer_(began, deadline)) != 0)
            return rc;
        if (ipc_left_(deadline) == 0)
            return -ETIMEDOUT;
    }
}

IPC_INLINE int ipc_channel_socket_open_(struct ipc_channel *ch, int64_t deadline)
{
    unsigned need = (ch->role & IPC_LISTEN) != 0 ? IPC_RECV : IPC_SEND;

    ipc_channel_get_socket_(ch)->listener = -1;
    if (ch->kind->type == SOCK_DGRAM && (ch->role & need) == 0)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "%s: a listener must receive, the other side must send",
                                   ch->kind->scheme);
    return (ch->role & IPC_LISTEN) != 0 ? ipc_channel_listen_(ch, deadline)
                                        : ipc_channel_connect_(ch, deadline);
}

IPC_INLINE int ipc_channel_socket_accept_(struct ipc_channel *listener, struct ipc_channel *ch,
                                          int64_t deadline)
{
    struct ipc_channel_socket_ *from = ipc_channel_get_socket_(listener);

    ipc_channel_get_socket_(ch)->listener = -1;
    ipc_channel_get_socket_(ch)->accepted = 1;
    if (from->listener < 0)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: no clients to be accepted here",
                                   ch->kind->scheme);
    return ipc_channel_accept_next_(from, ch, deadline);
}

IPC_INLINE void ipc_channel_socket_close_(struct ipc_channel *ch)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);

    if (own->has_file && ch->pid == getpid())
        ipc_channel_remove_own_(ch, S_IFSOCK, own->ino);
    ipc_channel_stop_listening_(ch);
}

/* A listener's descriptor tells of clients while none is there, and of datagrams that come to one
 * of several addresses. */
IPC_INLINE int ipc_channel_socket_descriptor_(struct ipc_channel *ch)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);

    if (ch->in >= 0 && (ch->kind->type != SOCK_DGRAM || own->listener < 0))
        return ch->in;
    return own->listener;
}

IPC_INLINE void ipc_channel_socket_describe_(const struct ipc_channel *ch,
                                             struct ipc_channel_facts *info)
{
    info->port = ipc_channel_get_socket_(ch)->port;
}

/* Addresses of the network, and names in the abstract namespace, have no file. */
IPC_INLINE int ipc_channel_socket_unlink_(struct ipc_channel *ch)
{
    return ipc_channel_has_path_(ch) ? ipc_channel_remove_(ch->address, S_IFSOCK) : -EOPNOTSUPP;
}

/* A server of sockets: see server.h. */
IPC_INLINE int ipc_channel_sockets_open_(struct ipc_channel *ch);
IPC_INLINE void ipc_channel_sockets_close_(struct ipc_channel *ch);
IPC_INLINE int64_t ipc_channel_sockets_recv_(struct ipc_channel *ch, void *to, size_t size,
                                             int64_t deadline);
IPC_INLINE int ipc_channel_sockets_send_to_(struct ipc_channel *ch, uint64_t client,
                                            const void *message, size_t n, int64_t deadline);
IPC_INLINE int ipc_channel_sockets_drop_(struct ipc_channel *ch, uint64_t client);
IPC_INLINE int ipc_channel_sockets_flush_(struct ipc_channel *ch, int64_t deadline);
IPC_INLINE int ipc_channel_sockets_descriptor_(struct ipc_channel *ch);
IPC_INLINE void ipc_channel_sockets_describe_(const struct ipc_channel *ch,
                                              struct ipc_channel_facts *info);
IPC_INLINE int ipc_channel_sockets_is_ready_(struct ipc_channel *ch);

static const struct ipc_channel_serve_ ipc_channel_sockets_serve_ = {
    ipc_channel_sockets_open_,
    ipc_channel_sockets_close_,
    ipc_channel_sockets_recv_,
    ipc_channel_sockets_send_to_,
    ipc_channel_sockets_drop_,
    ipc_channel_sockets_flush_,
    ipc_channel_sockets_descriptor_,
    ipc_channel_sockets_describe_,
    ipc_channel_sockets_is_ready_,
};

static const struct ipc_channel_kind_ ipc_channel_unix_kind_ = {
    "unix",
    IPC_CHANNEL_GROUPS_ | IPC_CHANNEL_GREETS_,
    sizeof(struct ipc_channel_socket_),
    AF_UNIX,
    SOCK_STREAM,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    ipc_channel_socket_unlink_,
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    ipc_channel_greeted_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_socket_accept_,
    ipc_channel_socket_descriptor_,
    NULL, /* describe */
    NULL, /* is_ready */
    &ipc_channel_sockets_serve_,
};

static const struct ipc_channel_kind_ ipc_channel_tcp_kind_ = {
    "tcp",
    IPC_CHANNEL_OPEN_TO_ALL_ | IPC_CHANNEL_KEEPALIVE_ | IPC_CHANNEL_GREETS_,
    sizeof(struct ipc_channel_socket_),
    AF_INET,
    SOCK_STREAM,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    NULL, /* unlink: it has no name */
    ipc_channel_stream_send_,
    ipc_channel_stream_recv_,
    ipc_channel_greeted_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_socket_accept_,
    ipc_channel_socket_descriptor_,
    ipc_channel_socket_describe_,
    NULL, /* is_ready */
    &ipc_channel_sockets_serve_,
};

#endif

/* >>multicast  src/channel/multicast.h */
/*
 * udp:GROUP:PORT, multicast: datagrams to each process that has joined a group.
 *
 *   udp:239.1.2.3:9000, udp:[ff15::1]:9000   A group of IPv4 or IPv6. The interface is the one that
 *                                            the routes name, or: udp:239.1.2.3%eth0:9000.
 *
 * A publisher sends with options.publish = IPC_LOSSY; a subscriber is opened with IPC_RECV, and
 * joins the group. Any number of each may be there, also several on one host, and neither waits for
 * the other. Datagrams reach subscribers on the same host, and do not leave the local network (TTL
 * 1).
 *
 *   Access   Each process that can reach the group may send to it, and join it.
 *   Loss     No call reports it. A datagram that a subscriber has no room for is lost to it alone,
 *            and is not counted: number the messages.
 *   Limits   As udp:. Where no route leads to the group, open says -ENODEV, or send -ENETUNREACH:
 *            name the interface.
 */
#ifndef IPC_SRC_CHANNEL_MULTICAST_H
#define IPC_SRC_CHANNEL_MULTICAST_H 1

/* ------------------------------------------------------------------ multicast groups */

#ifndef MCAST_JOIN_GROUP
#define MCAST_JOIN_GROUP 42
#endif
#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL 49
#endif

/* Is the address that of a group? */
IPC_INLINE int ipc_channel_is_group_(const struct addrinfo *at)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (at->ai_family == AF_INET) {
        memcpy(&v4, at->ai_addr, sizeof v4);
        return IN_MULTICAST(ntohl(v4.sin_addr.s_addr));
    }
    memcpy(&v6, at->ai_addr, sizeof v6);
    return at->ai_family == AF_INET6 && v6.sin6_addr.s6_addr[0] == 0xff;
}

/* Resolves the group of the address, without the interface behind a '%', whose number is set in
 * *link, or 0. */
IPC_INLINE int ipc_channel_resolve_group_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a,
                                          unsigned *link)
{
    char *whole = ch->address, *percent = strchr(whole, '%'), *bare, name[IF_NAMESIZE];
    size_t n = percent != NULL ? strcspn(percent + 1, "]:") : 0;
    int rc;

    *link = 0;
    a->first = NULL;
    a->dir = -1;
    if (percent != NULL) {
        (void)snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : 0, percent + 1);
        *link = if_nametoindex(name);
        if (*link == 0)
            return ipc_channel_refuse_(ch, -ENODEV, "udp:%s: no interface is named '%.*s'", whole,
                                       (int)n, percent + 1);
    }
    bare = strdup(whole);
    if (bare == NULL)
        return -ENOMEM;
    if (percent != NULL)
        memmove(bare + (percent - whole), percent + 1 + n, strlen(percent + 1 + n) + 1);
    ch->address = bare;
    rc = ipc_channel_resolve_(ch, a);
    ch->address = whole;
    free(bare);
    if (rc == 0 && !ipc_channel_is_group_(a->first))
        rc = ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                 "udp:%s: not a multicast group, such as 239.1.2.3 or ff15::1: "
                                 "only a group has subscribers; at any other address the "
                                 "receiver is the one that listens",
                                 whole);
    if (rc == 0 && a->first->ai_family == AF_INET6)
        memcpy((char *)a->first->ai_addr + offsetof(struct sockaddr_in6, sin6_scope_id), link,
               sizeof *link);
    return rc;
}

/* Makes the socket send to the group, by that interface. 0 or a negative errno. */
IPC_INLINE int ipc_channel_address_group_(int fd, const struct addrinfo *at, unsigned link)
{
    struct ip_mreqn by;
    int rc = 0;

    memset(&by, 0, sizeof by);
    by.imr_ifindex = (int)link;
    if (link != 0)
        rc = at->ai_family == AF_INET6
                 ? setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &link, sizeof link)
                 : setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by);
    return rc == 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
}

/* Makes the socket receive what comes to the group by that interface, beside other sockets that do.
 * 0 or a negative errno. */
IPC_INLINE int ipc_channel_join_group_(int fd, const struct addrinfo *at, unsigned link)
{
    int level = at->ai_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, one = 1, none = 0;
    struct group_req group;

    memset(&group, 0, sizeof group);
    group.gr_interface = link;
    memcpy(&group.gr_group, at->ai_addr, at->ai_addrlen);
    /* Bound to the group, it gets no datagram for another address of this port; without ALL none of
     * the group by an interface that only another socket has joined. */
    if (level == IPPROTO_IP)
        (void)setsockopt(fd, level, IP_MULTICAST_ALL, &none, sizeof none);
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
                   bind(fd, at->ai_addr, at->ai_addrlen) == 0 &&
                   setsockopt(fd, level, MCAST_JOIN_GROUP, &group, sizeof group) == 0
               ? 0
               : -errno;
}

/* Opens a publisher, or a subscriber. */
IPC_INLINE int ipc_channel_group_open_(struct ipc_channel *ch)
{
    struct ipc_channel_addresses_ a;
    unsigned link;
    int rc, fd = -1;

    if (ch->how.publish == IPC_LOSSLESS)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "udp: loses messages: publish with IPC_LOSSY");
    ch->role &= IPC_BOTH; /* it waits for nobody at an address of its own */
    rc = ipc_channel_resolve_group_(ch, &a, &link);
    if (rc == 0)
        rc = fd = ipc_channel_make_socket_(ch, a.first->ai_family);
    if (rc >= 0) {
        rc = ch->role == IPC_SEND ? ipc_channel_address_group_(fd, a.first, link)
                                  : ipc_channel_join_group_(fd, a.first, link);
        if (rc != 0)
            (void)ipc_channel_refuse_(ch, rc, "udp:%s: cannot %s the group: %s; an interface is "
                                      "named as in 239.1.2.3%%eth0:9000",
                                      ch->address, ch->role == IPC_SEND ? "send to" : "join",
                                      strerror(-rc));
    }
    ipc_channel_free_addresses_(&a);
    rc = rc == 0 ? ipc_channel_set_packet_max_(ch, fd) : rc;
    if (rc != 0) {
        ipc_channel_close_fd_(&fd);
        return rc;
    }
    ipc_channel_make_blocking_(fd);
    ch->in = ch->role == IPC_RECV ? fd : -1;
    ch->out = ch->role == IPC_SEND ? fd : -1;
    return 0;
}

/* Opens a channel of udp:. A process that only receives, and does not listen, subscribes. */
IPC_INLINE int ipc_channel_udp_open_(struct ipc_channel *ch, int64_t deadline)
{
    ipc_channel_get_socket_(ch)->listener = -1;
    return ch->how.publish != 0 || ch->role == IPC_RECV ? ipc_channel_group_open_(ch)
                                                        : ipc_channel_socket_open_(ch, deadline);
}

#endif

/* >>packet  src/channel/packet.h */
/*
 * unix-seq:, unix-dgram: and udp:, sockets that keep the boundaries of messages.
 *
 *   unix-seq:PATH     Packets over a connection; otherwise as unix:. Each packet has a frame's
 *                     header, as an empty packet would be the end.
 *   unix-dgram:PATH   Datagrams to a listener's file, or to @NAME. None is lost: a listener that is
 *                     full holds its senders up.
 *   udp:HOST:PORT     Datagrams over IPv4 or IPv6. The network may lose, double and disorder them.
 *                     With a multicast group: see >>multicast.
 *
 * A listener of datagrams receives from any number of senders, and answers the sender of the last
 * one. Before the first datagram its send says -EDESTADDRREQ. The other side sends, and receives
 * answers.
 *
 *   Access   unix-seq: as unix:. unix-dgram: each process that the file's mode permits; at an
 *            abstract name each datagram tells its sender (SCM_CREDENTIALS), and those of other
 *            users than unix: permits are skipped. udp: each process that can reach the port.
 *   Loss     unix-seq: as unix:. A later send reports -EPIPE to the sender of datagrams, and an
 *            answer reports it to the listener. The sender then goes on with the next listener, over
 *            udp: at the name's next address; the kernel has dropped answers to unix-dgram:.
 *   Limits   Unix sockets carry some 200 KB in a message, and 10 of them on the way
 *            (net.core.wmem_max); udp: 65507 bytes.
 */
#ifndef IPC_SRC_CHANNEL_PACKET_H
#define IPC_SRC_CHANNEL_PACKET_H 1

/* ------------------------------------------------------------------ sending */

/* Is the message sent as an answer? A listener of datagrams has no connection. */
IPC_INLINE int ipc_channel_is_answer_(const struct ipc_channel *ch)
{
    return ch->kind->type == SOCK_DGRAM && (ch->role & IPC_LISTEN) != 0;
}

/* What a failed send comes to: 0, to try again; or the call's refusal. */
IPC_INLINE int ipc_channel_packet_retry_(struct ipc_channel *ch, int rc, size_t n, int64_t deadline)
{
    int answer = ipc_channel_is_answer_(ch);

    if (rc == -EMSGSIZE)
        return ipc_channel_refuse_(ch, rc, "%s: %zu bytes are too many for one message",
                                   ch->kind->scheme, n);
    if (answer && (rc == -ECONNREFUSED || rc == -ENOENT)) {
        ipc_channel_get_socket_(ch)->asker_size = 0;
        return ipc_channel_refuse_(ch, -EPIPE, "%s: the process that asked is gone",
                                   ch->kind->scheme);
    }
    if (rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNREFUSED || rc == -ENOTCONN)
        return ipc_channel_stop_sending_(ch, -EPIPE);
    if (rc == -EINTR)
        return rc;
    if (rc != -EAGAIN && rc != -ENOBUFS)
        return ipc_channel_refuse_errno_(ch, "send to");
    /* Where there is no connection, poll does not tell that there is room. */
    return answer || rc == -ENOBUFS ? ipc_channel_nap_(deadline)
                                    : ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
}

IPC_CHANNEL_HOT_ int ipc_channel_packet_send_(struct ipc_channel *ch, const void *message, size_t n,
                                              int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    unsigned char frame[IPC_CHANNEL_HEADER_ + IPC_CHANNEL_SMALL_];
    int flags = MSG_NOSIGNAL | (deadline == IPC_FOREVER ? 0 : MSG_DONTWAIT), rc = 0;
    struct iovec io[2];
    struct msghdr m;

    memset(&m, 0, sizeof m);
    m.msg_iov = io;
    m.msg_iovlen = 1;
    io[0].iov_base = (void *)(uintptr_t)message;
    io[0].iov_len = n;
    if (ch->kind->type == SOCK_SEQPACKET) {
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
    } else if (ipc_channel_is_answer_(ch)) {
        if (own->asker_size == 0)
            return ipc_channel_refuse_(ch, -EDESTADDRREQ, "%s: nobody to answer: nothing came yet",
                                       ch->kind->scheme);
        m.msg_name = &own->asker;
        m.msg_namelen = own->asker_size;
    }
    while (rc == 0) {
        if ((m.msg_iovlen == 1 && m.msg_namelen == 0
                 ? send(ch->out, io[0].iov_base, io[0].iov_len, flags)
                 : sendmsg(ch->out, &m, flags)) >= 0)
            return 0;
        rc = ipc_channel_packet_retry_(ch, -errno, n, deadline);
    }
    return rc;
}

/* ------------------------------------------------------------------ receiving */

struct ipc_channel_credentials_ {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* A packet that was read, and where its bytes are. */
struct ipc_channel_packet_ {
    int sequence;    /* a packet of unix-seq:, with a header */
    int credentials; /* it says which process sent it */
    int answers;     /* its sender may be answered */
    int direct;      /* it is in the caller's memory, and what did not fit there at rx.data;
                        else it is at rx.data, with its header */
    unsigned char header[IPC_CHANNEL_HEADER_];
    struct sockaddr_storage from;
    socklen_t from_size;
    struct msghdr m;
    union {
        size_t align; /* as struct cmsghdr */
        char room[CMSG_SPACE(sizeof(struct ipc_channel_credentials_))];
    } control;
};

/* Does the datagram come from a process that is not permitted, or that cannot be told? */
IPC_INLINE int ipc_channel_is_from_stranger_(struct ipc_channel *ch, struct msghdr *m)
{
    struct ipc_channel_credentials_ sender;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);

    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != 2 /* SCM_CREDENTIALS */)
        return 1;
    memcpy(&sender, CMSG_DATA(c), sizeof sender);
    if (!ipc_channel_may_be_peer_(ch, sender.uid, sender.gid))
        return 1;
    ch->peer.pid = sender.pid;
    ch->peer.uid = sender.uid;
    ch->peer.gid = sender.gid;
    return 0;
}

/* Reads one packet. Its bytes with the header, however many were kept; or what recvmsg says. */
IPC_CHANNEL_HOT_ ssize_t ipc_channel_packet_read_(struct ipc_channel *ch,
                                                  struct ipc_channel_packet_ *p, void *to,
                                                  size_t size, int flags)
{
    struct iovec io[3];
    ssize_t got;

    /* A short packet is copied from rx, which is faster than to say how it is put apart. */
    p->direct = p->credentials || ch->last >= IPC_CHANNEL_LARGE_;
    if (!p->direct) {
        p->from_size = sizeof p->from;
        return recvfrom(ch->in, ch->rx.data, ch->rx.size, flags,
                        p->answers ? (struct sockaddr *)&p->from : NULL,
                        p->answers ? &p->from_size : NULL);
    }
    io[0].iov_base = p->header;
    io[0].iov_len = sizeof p->header;
    io[1].iov_base = to;
    io[1].iov_len = size;
    io[2].iov_base = ch->rx.data;
    io[2].iov_len = ch->rx.size;
    memset(&p->m, 0, sizeof p->m);
    p->m.msg_iov = p->sequence ? io : io + 1;
    p->m.msg_iovlen = p->sequence ? 3 : 2;
    if (p->answers) {
        p->m.msg_name = &p->from;
        p->m.msg_namelen = sizeof p->from;
    }
    if (p->credentials) {
        p->m.msg_control = p->control.room;
        p->m.msg_controllen = sizeof p->control.room;
    }
    got = recvmsg(ch->in, &p->m, flags);
    p->from_size = p->m.msg_namelen;
    return got;
}

/* A listener of datagrams with several addresses: waits until one has come, and makes its socket
 * the one that is read, and answered from. Each socket has its turn. */
IPC_INLINE int ipc_channel_choose_socket_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct pollfd p[IPC_CHANNEL_ADDRESSES_];
    unsigned i;
    int rc;

    for (i = 0; i < own->count; i++) {
        p[i].fd = own->sockets[(own->turn + i) % own->count];
        p[i].events = POLLIN;
    }
    rc = ipc_channel_poll_(p, own->count, deadline);
    for (i = 0; rc == 0 && p[i].revents == 0; i++)
        ;
    if (rc != 0)
        return rc;
    own->turn = (own->turn + i + 1) % own->count;
    ch->in = ch->out = p[i].fd;
    return 0;
}

/* Waits for a packet that is permitted, and reads it, as ipc_channel_packet_read_. A negative errno
 * is the call's refusal. */
IPC_CHANNEL_HOT_ int64_t ipc_channel_packet_next_(struct ipc_channel *ch,
                                                  struct ipc_channel_packet_ *p, void *to,
                                                  size_t size, int64_t deadline)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int flags = MSG_CMSG_CLOEXEC | MSG_TRUNC | (deadline == IPC_FOREVER ? 0 : MSG_DONTWAIT);
    unsigned skips = 0;
    ssize_t got;
    int was_reset = 0, rc;

    for (;;) {
        if (CK_CC_UNLIKELY(own->count > 1) && (rc = ipc_channel_choose_socket_(ch, deadline)) != 0)
            return rc;
        got = ipc_channel_packet_read_(ch, p, to, size, flags);
        rc = got >= 0 ? 0 : -errno;
        if (rc == -EAGAIN && own->count > 1)
            continue;
        if (rc == -EAGAIN) {
            rc = ipc_channel_wait_again_(ch->in, POLLIN, deadline);
            if (rc != 0)
                return rc;
            continue;
        }
        /* Of a peer that closed before it had read all of ours, the kernel tells the reset before it
         * hands out what that peer had sent. */
        if (rc == -ECONNRESET && p->sequence && !was_reset++)
            continue;
        if (rc == -ECONNRESET || rc == -ECONNREFUSED || (p->sequence && got == 0))
            return ipc_channel_lose_peer_(ch, -EPIPE);
        if (rc != 0)
            return rc == -EINTR ? rc : ipc_channel_refuse_errno_(ch, "receive from");
        if (!p->credentials || !ipc_channel_is_from_stranger_(ch, &p->m))
            return got;
        if (ipc_channel_has_skipped_enough_(&skips, deadline))
            return -ETIMEDOUT;
    }
}

/* The length of the message in a packet of that many bytes, or -EBADMSG. */
IPC_INLINE int64_t ipc_channel_packet_length_(const struct ipc_channel *ch,
                                              const struct ipc_channel_packet_ *p, size_t got)
{
    size_t n = got - sizeof p->header;

    if (!p->sequence)
        return got <= ch->max ? (int64_t)got : -EBADMSG;
    if (got < sizeof p->header ||
        ipc_channel_get_length_(ch, p->direct ? p->header : ch->rx.data) != (int64_t)n)
        return -EBADMSG;
    return (int64_t)n;
}

/* Leaves the sender of a packet that is no message. */
IPC_INLINE int ipc_channel_refuse_packet_(struct ipc_channel *ch,
                                          const struct ipc_channel_packet_ *p, size_t got)
{
    return got < sizeof p->header
               ? ipc_channel_lose_peer_(ch, -EBADMSG)
               : ipc_channel_refuse_frame_(ch, p->direct ? p->header : ch->rx.data);
}

/* Keeps a message of n bytes that was too large for the caller's memory, at rx.data. */
IPC_INLINE void ipc_channel_packet_keep_(struct ipc_channel *ch,
                                         const struct ipc_channel_packet_ *p, const void *to,
                                         size_t size, size_t n)
{
    if (p->direct) {
        memmove(ch->rx.data + size, ch->rx.data, n - size);
        memcpy(ch->rx.data, to, size);
    } else if (p->sequence) {
        memmove(ch->rx.data, ch->rx.data + sizeof p->header, n);
    }
}

IPC_CHANNEL_HOT_ int64_t ipc_channel_packet_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                  int64_t deadline)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    struct ipc_channel_packet_ p;
    int64_t got, n;

    if (ch->next != 0) /* a message that was too large for the last call */
        return ipc_channel_copy_out_(ch, to, size, ch->next);
    p.sequence = ch->kind->type == SOCK_SEQPACKET;
    p.credentials = ipc_channel_wants_credentials_(ch);
    p.answers = ipc_channel_is_answer_(ch) && (ch->role & IPC_SEND) != 0;
    got = ipc_channel_packet_next_(ch, &p, to, size, deadline);
    if (got < 0)
        return got;
    n = ipc_channel_packet_length_(ch, &p, (size_t)got);
    if (n < 0)
        return p.sequence ? ipc_channel_refuse_packet_(ch, &p, (size_t)got)
                          : ipc_channel_refuse_(ch, -EBADMSG,
                                                "%s: a message of more than %zu bytes was dropped",
                                                ch->kind->scheme, ch->max);
    if (p.answers) {
        own->asker = p.from;
        own->asker_size = p.from_size;
    }
    ch->last = (size_t)n;
    if ((size_t)n > size) {
        ipc_channel_packet_keep_(ch, &p, to, size, (size_t)n);
        return ipc_channel_refuse_size_(ch, (size_t)n, size);
    }
    if (!p.direct)
        memcpy(to, ch->rx.data + (p.sequence ? sizeof p.header : 0), (size_t)n);
    return n;
}

/* ------------------------------------------------------------------ what the table names */

static const struct ipc_channel_kind_ ipc_channel_unix_seq_kind_ = {
    "unix-seq",
    IPC_CHANNEL_GROUPS_ | IPC_CHANNEL_GREETS_,
    sizeof(struct ipc_channel_socket_),
    AF_UNIX,
    SOCK_SEQPACKET,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    ipc_channel_socket_unlink_,
    ipc_channel_packet_send_,
    ipc_channel_packet_recv_,
    ipc_channel_greeted_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_socket_accept_,
    ipc_channel_socket_descriptor_,
    NULL, /* describe */
    NULL, /* is_ready */
    &ipc_channel_sockets_serve_,
};

static const struct ipc_channel_kind_ ipc_channel_unix_dgram_kind_ = {
    "unix-dgram",
    IPC_CHANNEL_GROUPS_,
    sizeof(struct ipc_channel_socket_),
    AF_UNIX,
    SOCK_DGRAM,
    ipc_channel_socket_open_,
    ipc_channel_socket_close_,
    ipc_channel_socket_unlink_,
    ipc_channel_packet_send_,
    ipc_channel_packet_recv_,
    ipc_channel_socket_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept: there are no connections */
    ipc_channel_socket_descriptor_,
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

static const struct ipc_channel_kind_ ipc_channel_udp_kind_ = {
    "udp",
    IPC_CHANNEL_OPEN_TO_ALL_ | IPC_CHANNEL_PUBLISHES_,
    sizeof(struct ipc_channel_socket_),
    AF_INET,
    SOCK_DGRAM,
    ipc_channel_udp_open_,
    ipc_channel_socket_close_,
    NULL, /* unlink: it has no name */
    ipc_channel_packet_send_,
    ipc_channel_packet_recv_,
    ipc_channel_socket_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept: there are no connections */
    ipc_channel_socket_descriptor_,
    ipc_channel_socket_describe_,
    NULL, /* is_ready */
    NULL, /* serve */
};

#endif

/* >>mq  src/channel/mq.h */
/*
 * mq:NAME, a POSIX message queue in one direction.
 *
 * The listener makes the queue, and the other side waits for it. Any number of senders and
 * receivers. ipc_channel's priority (0 to 32767) goes with each message: the highest comes first,
 * equal ones in order.
 *
 *   Access   Each process that the queue's mode permits. The queue of a user other than this one,
 *            root and options.user is refused, and one of another options.max or options.depth:
 *            -EPROTO.
 *   Loss     No call reports it. The queue keeps its messages.
 *   Limits   10 messages of 8 KiB unless asked for, up to fs.mqueue.msg_max, fs.mqueue.msgsize_max
 *            and `ulimit -q`. A queue outlives its processes.
 */
#ifndef IPC_SRC_CHANNEL_MQ_H
#define IPC_SRC_CHANNEL_MQ_H 1

/* ------------------------------------------------------------------ mq: */

/* A deadline in the past: the call does not block. No other deadline is given to the kernel, which
 * would take it by a clock that may be set. */
static const struct timespec ipc_channel_never_ = {0, 0};

/* The queue's name: a slash, and the URI's name with or without one. */
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

/* What the kernel's refusal to make or open a queue may come of. */
IPC_INLINE const char *ipc_channel_mq_hint_(int rc)
{
    switch (rc) {
    case -EMFILE:
        return " (RLIMIT_MSGQUEUE: ulimit -q)";
    case -ENOSPC:
        return " (fs.mqueue.queues_max)";
    case -EINVAL:
        return " (fs.mqueue.msg_max and msgsize_max)";
    default:
        return "";
    }
}

/* Opens the queue to ch->in, or makes it. 1: it was made; 0: it was there; or a negative errno. */
IPC_INLINE int ipc_channel_mq_find_(struct ipc_channel *ch, const char *name, struct mq_attr *want,
                                    int64_t deadline)
{
    int how = ((ch->role & IPC_RECV) != 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC, rc;
    int listener = (ch->role & IPC_LISTEN) != 0;

    for (;;) {
        ch->in = ipc_move_fd_((int)mq_open(name, how));
        if (ch->in >= 0)
            return 0;
        rc = -errno;
        if (rc == -ENOENT && listener) {
            ch->in = ipc_move_fd_((int)mq_open(
                name, how | O_CREAT | O_EXCL, 0600,
                ch->how.depth != 0 || ch->how.max != 0 ? want : NULL));
            if (ch->in >= 0)
                return 1;
            rc = -errno;
        } else if (rc == -ENOENT) {
            rc = ipc_channel_nap_(deadline);
            if (rc == -ETIMEDOUT)
                return ipc_channel_refuse_(ch, rc, "mq: no queue '%s' until the deadline", name);
        }
        if (rc != 0 && rc != -EEXIST)
            return ipc_channel_refuse_(ch, rc, "mq: cannot %s '%s': %s%s",
                                       listener ? "make" : "open", name, strerror(-rc),
                                       ipc_channel_mq_hint_(rc));
    }
}

IPC_INLINE int ipc_channel_mq_open_(struct ipc_channel *ch, int64_t deadline)
{
    char name[NAME_MAX + 2];
    struct mq_attr want, is;
    struct stat st;
    int made, rc = ipc_channel_mq_name_(ch, name, sizeof name);

    if (rc != 0)
        return rc;
    memset(&want, 0, sizeof want);
    want.mq_maxmsg = ch->how.depth != 0 ? (long)ch->how.depth : 10;
    want.mq_msgsize = ch->how.max != 0 ? (long)ch->how.max : 8192;
    made = ipc_channel_mq_find_(ch, name, &want, deadline);
    if (made < 0)
        return made;
    ch->out = ch->in;
    if ((made && fchmod(ch->in, ch->how.mode) != 0) || fstat(ch->in, &st) != 0 ||
        mq_getattr((mqd_t)ch->in, &is) != 0)
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

IPC_CHANNEL_HOT_ int ipc_channel_mq_send_(struct ipc_channel *ch, const void *message, size_t n,
                                          int64_t deadline)
{
    int rc;

    for (;;) {
        rc = deadline == IPC_FOREVER
                 ? mq_send((mqd_t)ch->out, (const char *)message, n, ch->priority)
                 : mq_timedsend((mqd_t)ch->out, (const char *)message, n, ch->priority,
                                &ipc_channel_never_);
        if (rc == 0 || errno == EINTR)
            return rc == 0 ? 0 : -EINTR;
        if (errno != ETIMEDOUT)
            return ipc_channel_refuse_errno_(ch, "send to");
        rc = ipc_channel_wait_again_(ch->out, POLLOUT, deadline);
        if (rc != 0)
            return rc;
    }
}

IPC_CHANNEL_HOT_ int64_t ipc_channel_mq_recv_(struct ipc_channel *ch, void *to, size_t size,
                                              int64_t deadline)
{
    int direct = size >= ch->max, rc; /* the kernel wants room for the largest message */
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

    if (rc != 0)
        return rc;
    return mq_unlink(name) == 0 ? 0 : -errno;
}

static const struct ipc_channel_kind_ ipc_channel_mq_kind_ = {
    "mq",
    IPC_CHANNEL_ONE_WAY_ | IPC_CHANNEL_PRIORITY_ | IPC_CHANNEL_DEPTH_,
    0, /* own: nothing */
    0,
    0,
    ipc_channel_mq_open_,
    NULL, /* close */
    ipc_channel_mq_unlink_,
    ipc_channel_mq_send_,
    ipc_channel_mq_recv_,
    NULL, /* meet: the queue is the peer, and stays */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

#endif

/* >>sysv  src/channel/sysv.h */
/*
 * sysv:KEY, a System V message queue. KEY is a number, decimal, 0x or 0.
 *
 * The listener makes the queue, and the other side waits for it. Any number of senders and
 * receivers. ipc_channel's priority is the type of what is sent; its select says which types are
 * received. Both directions need a type for each.
 *
 *   Access   Each process that the queue's mode permits. The queue of a user other than this one,
 *            root and options.user is refused.
 *   Loss     No call reports it. The queue keeps its messages. -EPIPE after the queue was removed,
 *            once; then it is made or waited for anew.
 *   Held     Where select is not 0, ipc_channel_wait_any takes an empty message that it finds, and
 *            recv with a select for its type has it. Another receiver gets what is behind it first.
 *            close puts it back, at the end of the queue. It is lost with a process that is killed
 *            or exits before either, and where close finds as many messages in the queue as that has
 *            bytes. After fork it stays with the process that waited.
 *   Limits   The kernel waits without a deadline only, so a call with a deadline that is neither
 *            IPC_NOW nor IPC_FOREVER looks once a millisecond. No descriptor for event loops;
 *            ipc_channel_wait_any looks once a millisecond, too.
 *            16 KiB in a queue (kernel.msgmax, kernel.msgmnb). A queue outlives its processes.
 */
#ifndef IPC_SRC_CHANNEL_SYSV_H
#define IPC_SRC_CHANNEL_SYSV_H 1

/* ------------------------------------------------------------------ sysv: */

#define IPC_CHANNEL_SYSV_HELD_ 8

struct ipc_channel_sysv_ {
    int queue; /* its id */
    /* Empty messages that looks have taken, for recv, the oldest first: their types, no two the same.
     * A look takes one only where select asks for none of them, so more than one is held only where
     * the program changes select between a look and recv. */
    unsigned helds;
    long held[IPC_CHANNEL_SYSV_HELD_];
    pid_t holder; /* the process that has taken them; its child has none */
};

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

/* Waits for the queue, or makes it. Its id, or a negative errno. */
IPC_INLINE int ipc_channel_sysv_find_(struct ipc_channel *ch, key_t key, int64_t deadline)
{
    int flags = (ch->role & IPC_LISTEN) != 0 ? IPC_CREAT | (int)ch->how.mode : 0, id, nap;

    while ((id = msgget(key, flags)) < 0 && errno == ENOENT) {
        nap = ipc_channel_nap_(deadline);
        if (nap == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, nap, "sysv: no queue %s until the deadline",
                                       ch->address);
        if (nap != 0)
            return nap;
    }
    if (id < 0)
        return ipc_channel_refuse_(ch, -errno, "sysv: cannot open queue %s: %s%s", ch->address,
                                   strerror(errno), errno == ENOSPC ? " (kernel.msgmni)" : "");
    return id;
}

/* Bytes of the largest message: kernel.msgmax, or what a queue takes. */
IPC_INLINE size_t ipc_channel_sysv_max_(const struct msqid_ds *is)
{
    int fd = open("/proc/sys/kernel/msgmax", O_RDONLY | O_CLOEXEC);
    char text[32] = "";
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    size_t max = 8192;

    ipc_channel_close_fd_(&fd);
    if (n > 0 && strtoul(text, NULL, 10) != 0)
        max = strtoul(text, NULL, 10);
    return is->msg_qbytes != 0 && is->msg_qbytes < max ? is->msg_qbytes : max;
}

/* Waits for the queue, or makes it, and checks whose it is. */
IPC_INLINE int ipc_channel_sysv_attach_(struct ipc_channel *ch, key_t key, struct msqid_ds *is,
                                        int64_t deadline)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    int id = ipc_channel_sysv_find_(ch, key, deadline), rc;
    struct stat st;

    if (id < 0)
        return id;
    if (msgctl(id, IPC_STAT, is) != 0)
        return ipc_channel_refuse_errno_(ch, "read the mode of");
    memset(&st, 0, sizeof st);
    st.st_uid = is->msg_perm.uid;
    st.st_mode = is->msg_perm.mode;
    rc = ipc_channel_check_owner_(ch, &st, 0);
    own->queue = rc == 0 ? id : -1;
    return rc;
}

/* The queue was removed, and that was reported: waits for the next one, or makes it. */
IPC_INLINE int ipc_channel_sysv_again_(struct ipc_channel *ch, int64_t deadline)
{
    struct msqid_ds is;
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key);

    return rc != 0 ? rc : ipc_channel_sysv_attach_(ch, key, &is, deadline);
}

IPC_INLINE int ipc_channel_sysv_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct msqid_ds is;
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key);

    if (rc != 0)
        return rc;
    if ((ch->role & IPC_BOTH) == IPC_BOTH &&
        (ch->select <= 0 || (uint32_t)ch->select == ch->priority || ch->priority == 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "sysv: both directions need a type for each: "
                                   "options.priority and options.select");
    rc = ipc_channel_sysv_attach_(ch, key, &is, deadline);
    if (rc != 0)
        return rc;
    ch->max = ipc_channel_sysv_max_(&is);
    if (ch->how.max > ch->max)
        return ipc_channel_refuse_(ch, -EMSGSIZE,
                                   "sysv: messages of %zu bytes: at most %zu "
                                   "(kernel.msgmax, kernel.msgmnb)",
                                   ch->how.max, ch->max);
    ch->max = ch->how.max != 0 ? ch->how.max : ch->max;
    return 0;
}

/* Which of the held messages select asks for: by a negative one the lowest type. held + helds: none. */
IPC_INLINE long *ipc_channel_sysv_find_held_(struct ipc_channel *ch)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    long *found, *at, select = ch->select;

    if (own->helds != 0 && own->holder != getpid())
        own->helds = 0;
    found = own->held + own->helds;
    for (at = own->held; at < own->held + own->helds; at++) {
        if (select == 0 || *at == select)
            return at;
        if (*at <= -select && (found == own->held + own->helds || *at < *found))
            found = at;
    }
    return found;
}

/* Has recv something to tell? By type the kernel tells only a call that takes the message, if it
 * fits: into no bytes only an empty one does, which is held then. */
IPC_INLINE int ipc_channel_sysv_is_ready_(struct ipc_channel *ch)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    struct msqid_ds is;
    int rc;

    if (ipc_channel_sysv_find_held_(ch) != own->held + own->helds)
        return 1;
    if (own->queue < 0) {
        rc = ipc_channel_sysv_again_(ch, IPC_NOW);
        *ch->why = '\0';
        if (rc != 0)
            return rc != -ETIMEDOUT;
    }
    if (ch->select == 0 || own->helds == IPC_CHANNEL_SYSV_HELD_) /* no more: recv looks itself */
        return msgctl(own->queue, IPC_STAT, &is) != 0 || is.msg_qnum != 0;
    if (msgrcv(own->queue, ch->rx.data, 0, ch->select, IPC_NOWAIT) < 0)
        return errno != ENOMSG;
    memcpy(&own->held[own->helds++], ch->rx.data, sizeof *own->held);
    own->holder = getpid();
    return 1;
}

/* What a failed call of the queue comes to: 0, to try again after a moment; or the refusal. */
IPC_INLINE int ipc_channel_sysv_retry_(struct ipc_channel *ch, const char *what, int64_t deadline)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    struct msqid_ds is;

    if (errno == EAGAIN || errno == ENOMSG)
        return ipc_channel_nap_(deadline);
    /* Removed in the call, or before it. */
    if (errno == EIDRM || (errno == EINVAL && msgctl(own->queue, IPC_STAT, &is) != 0)) {
        own->queue = -1;
        return ipc_channel_refuse_(ch, -EPIPE, "sysv: queue %s was removed", ch->address);
    }
    return errno == EINTR ? -EINTR : ipc_channel_refuse_errno_(ch, what);
}

IPC_CHANNEL_HOT_ int ipc_channel_sysv_send_(struct ipc_channel *ch, const void *message, size_t n,
                                            int64_t deadline)
{
    const struct ipc_channel_sysv_ *own = (const struct ipc_channel_sysv_ *)ch->state;
    long type = ch->priority == 0 ? 1 : (long)ch->priority;
    int rc;

    if (own->queue < 0 && (rc = ipc_channel_sysv_again_(ch, deadline)) != 0)
        return rc;
    memcpy(ch->tx.data, &type, sizeof type);
    memcpy(ch->tx.data + sizeof type, message, n);
    while (msgsnd(own->queue, ch->tx.data, n, deadline == IPC_FOREVER ? 0 : IPC_NOWAIT) != 0)
        if ((rc = ipc_channel_sysv_retry_(ch, "send to", deadline)) != 0)
            return rc;
    return 0;
}

IPC_INLINE int64_t ipc_channel_sysv_give_held_(struct ipc_channel *ch, long *at)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;

    ch->came = (uint32_t)*at;
    memmove(at, at + 1, (size_t)(own->held + --own->helds - at) * sizeof *at);
    return 0;
}

IPC_CHANNEL_HOT_ int64_t ipc_channel_sysv_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                int64_t deadline)
{
    struct ipc_channel_sysv_ *own = (struct ipc_channel_sysv_ *)ch->state;
    int fits = size >= ch->max, rc;
    size_t room = fits ? ch->max + 1 : size;
    int flags = (deadline == IPC_FOREVER ? 0 : IPC_NOWAIT) | (fits ? 010000 /* MSG_NOERROR */ : 0);
    long type, select = ch->select, *at = ipc_channel_sysv_find_held_(ch);
    int holds = at != own->held + own->helds;
    ssize_t n;

    if (holds && (select >= 0 || *at == 1))
        return ipc_channel_sysv_give_held_(ch, at);
    if (holds) { /* one of a lower type may have come meanwhile, and is first */
        select = 1 - *at;
        flags |= IPC_NOWAIT;
    }
    if (!holds && own->queue < 0 && (rc = ipc_channel_sysv_again_(ch, deadline)) != 0)
        return rc;
    /* A larger message stays in the queue, for a larger buffer; but one above max is dropped. The
     * call that finds it takes it, cut: a second call could meet the message behind it, where
     * another receiver has dropped it meanwhile. */
    while ((n = msgrcv(own->queue, ch->rx.data, room, select, flags)) < 0) {
        if (errno == E2BIG)
            return ipc_channel_refuse_(ch, -EMSGSIZE, "a message of more than %zu bytes", room);
        if (holds)
            return ipc_channel_sysv_give_held_(ch, at);
        if ((rc = ipc_channel_sysv_retry_(ch, "receive from", deadline)) != 0)
            return rc;
    }
    if ((size_t)n > ch->max)
        return ipc_channel_refuse_(ch, -EBADMSG,
                                   "sysv: a message of more than %zu bytes was dropped", ch->max);
    memcpy(&type, ch->rx.data, sizeof type);
    memcpy(to, ch->rx.data + sizeof type, (size_t)n);
    ch->came = (uint32_t)type;
    return n;
}

/* Puts back what is held, at the end of the queue, if that has room. */
IPC_INLINE void ipc_channel_sysv_close_(struct ipc_channel *ch)
{
    const struct ipc_channel_sysv_ *own = (const struct ipc_channel_sysv_ *)ch->state;
    unsigned i;

    for (i = 0; i < own->helds && own->holder == getpid(); i++)
        (void)msgsnd(own->queue, &own->held[i], 0, IPC_NOWAIT);
}

IPC_INLINE int ipc_channel_sysv_unlink_(struct ipc_channel *ch)
{
    key_t key;
    int rc = ipc_channel_read_key_(ch, &key), id;

    if (rc != 0)
        return rc;
    id = msgget(key, 0);
    return id >= 0 && msgctl(id, IPC_RMID, NULL) == 0 ? 0 : -errno;
}

static const struct ipc_channel_kind_ ipc_channel_sysv_kind_ = {
    "sysv",
    IPC_CHANNEL_PRIORITY_ | IPC_CHANNEL_SELECT_ | IPC_CHANNEL_NO_FD_,
    sizeof(struct ipc_channel_sysv_),
    0,
    0,
    ipc_channel_sysv_open_,
    ipc_channel_sysv_close_,
    ipc_channel_sysv_unlink_,
    ipc_channel_sysv_send_,
    ipc_channel_sysv_recv_,
    NULL, /* meet: the queue is the peer, and stays */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    ipc_channel_sysv_is_ready_,
    NULL, /* serve */
};

#endif

/* >>log_record  src/channel/log_record.h */
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

/* >>log  src/channel/log.h */
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

/* >>signal  src/channel/signal.h */
/*
 * signal:PID, real-time signals with up to 8 bytes (4 on a 32-bit machine).
 *
 * The receiver is the listener, and PID is its own, or 0. ipc_channel's priority chooses the
 * signal, SIGRTMIN + priority. The receiver must block that signal in all threads before it opens
 * the channel. A sender does not signal a process that does not block it, as the signal would end
 * the process: -EPERM. Signals of one number do not coalesce.
 *
 *   Access   Each process that the kernel lets signal the receiver. Which process and user sent a
 *            message (ipc_channel_info) is what the sender says, which the kernel does not check: act
 *            on no process because of it.
 *   Loss     A send reports -EPIPE. No recv reports it.
 *   Limits   The queue of a user is short, `ulimit -i`; a full one holds the sender up.
 */
#ifndef IPC_SRC_CHANNEL_SIGNAL_H
#define IPC_SRC_CHANNEL_SIGNAL_H 1

/* ------------------------------------------------------------------ signal: */

struct ipc_channel_signal_ {
    uint64_t blocked; /* sender: bit n: the receiver was found to block SIGRTMIN + n */
};

#define IPC_CHANNEL_WORD_ sizeof(void *) /* bytes that a signal carries */

/* Is there a signal for this priority? */
IPC_INLINE int ipc_channel_has_signal_(const struct ipc_channel *ch, int most)
{
    return ch->priority <= (uint32_t)most;
}

/* The signal that the priority stands for, or -EINVAL. */
IPC_INLINE int ipc_channel_get_signal_(struct ipc_channel *ch)
{
    int most = SIGRTMAX - SIGRTMIN;

    if (ipc_channel_has_signal_(ch, most))
        return SIGRTMIN + (int)ch->priority;
    return ipc_channel_refuse_(ch, -EINVAL, "signal: priority %lu: at most %d",
                               (unsigned long)ch->priority, most);
}

/* The receiver's signalfd. */
IPC_INLINE int ipc_channel_signal_listen_(struct ipc_channel *ch, long pid, int number)
{
    sigset_t set;

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
    ch->in = ipc_move_fd_(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    return ch->in >= 0 ? 0 : ipc_channel_refuse_errno_(ch, "make a signalfd for");
}

IPC_INLINE int ipc_channel_signal_open_(struct ipc_channel *ch, int64_t deadline)
{
    int number = ipc_channel_get_signal_(ch);
    char *end;
    long pid = strtol(ch->address, &end, 10);

    (void)deadline;
    if (number < 0)
        return number;
    if (*end != '\0' || pid < 0 || pid > INT_MAX)
        return ipc_channel_refuse_(ch, -EINVAL, "signal:%s: not PID", ch->address);
    if (((ch->role & IPC_RECV) != 0) != ((ch->role & IPC_LISTEN) != 0))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "signal: the receiver listens: IPC_LISTEN");
    if ((ch->role & IPC_RECV) == 0 && pid == 0)
        return ipc_channel_refuse_(ch, -EINVAL, "signal: a sender names the receiver's process: "
                                   "signal:PID");
    ch->max = IPC_CHANNEL_WORD_;
    ch->peer.pid = (pid_t)pid;
    if ((ch->role & IPC_RECV) != 0)
        return ipc_channel_signal_listen_(ch, pid, number);
#ifdef SYS_pidfd_open
    ch->out = ipc_move_fd_((int)syscall(SYS_pidfd_open, (pid_t)pid, 0));
#endif
    return ch->out >= 0 ? 0 : ipc_channel_refuse_errno_(ch, "find process");
}

IPC_INLINE int ipc_channel_signal_refuse_gone_(struct ipc_channel *ch)
{
    return ipc_channel_refuse_(ch, -EPIPE, "signal: process %ld is gone", (long)ch->peer.pid);
}

/* Checks that the receiver lives, as one that has died takes signals until its parent has asked how it ended;
 * and that it blocks the signal, which is asked once for each signal: the descriptor never comes to stand for
 * another process. */
IPC_INLINE int ipc_channel_signal_check_(struct ipc_channel *ch, int number)
{
    struct ipc_channel_signal_ *own = (struct ipc_channel_signal_ *)ch->state;
    uint64_t bit = UINT64_C(1) << (ch->priority & 63);

    if (ipc_channel_wait_(ch->out, POLLIN, IPC_NOW) == 0)
        return ipc_channel_signal_refuse_gone_(ch);
    if ((own->blocked & bit) == 0 && !ipc_notify_blocks_(ch->peer.pid, number)) {
        if (kill(ch->peer.pid, 0) != 0 && errno == ESRCH)
            return ipc_channel_signal_refuse_gone_(ch);
        return ipc_channel_refuse_(ch, -EPERM,
                                   "signal: process %ld does not block signal %d: is it receiving?",
                                   (long)ch->peer.pid, number);
    }
    own->blocked |= bit;
    return 0;
}

IPC_CHANNEL_HOT_ int ipc_channel_signal_send_(struct ipc_channel *ch, const void *message, size_t n,
                                              int64_t deadline)
{
    int number = ipc_channel_get_signal_(ch), rc;
    siginfo_t info;

    if (number < 0)
        return number;
    memset(&info, 0, sizeof info);
    info.si_signo = number;
    info.si_code = SI_QUEUE;
    info.si_errno = (int)n; /* no other use of it is known */
    info.si_pid = getpid();
    info.si_uid = getuid();
    memcpy(&info.si_value, message, n);
    for (;;) {
        rc = ipc_channel_signal_check_(ch, number);
        if (rc != 0)
            return rc;
        rc = -ENOSYS;
#ifdef SYS_pidfd_send_signal
        rc = syscall(SYS_pidfd_send_signal, ch->out, number, &info, 0) == 0 ? 0 : -errno;
#endif
        if (rc == 0)
            return 0;
        if (rc == -ESRCH)
            return ipc_channel_signal_refuse_gone_(ch);
        if (rc != -EAGAIN)
            return ipc_channel_refuse_errno_(ch, "signal");
        rc = ipc_channel_nap_(deadline); /* the receiver's queue is full */
        if (rc != 0)
            return rc;
    }
}

IPC_CHANNEL_HOT_ int64_t ipc_channel_signal_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                  int64_t deadline)
{
    struct signalfd_siginfo came;
    unsigned skips = 0;
    void *word;
    int rc;

    if (ch->next != 0) /* a message that was too large for the last call */
        return ipc_channel_copy_out_(ch, to, size, ch->next);
    for (;;) {
        ssize_t n = read(ch->in, &came, sizeof came);

        if (n == (ssize_t)sizeof came && came.ssi_code == SI_QUEUE && came.ssi_errno >= 0 &&
            came.ssi_errno <= (int)IPC_CHANNEL_WORD_) {
            ch->peer.pid = (pid_t)came.ssi_pid;
            ch->peer.uid = came.ssi_uid;
            word = (void *)(uintptr_t)came.ssi_ptr;
            memcpy(ch->rx.data, &word, sizeof word);
            return ipc_channel_copy_out_(ch, to, size, (size_t)came.ssi_errno);
        }
        if (n >= 0) /* a signal that no channel has sent, by kill for one */
            rc = ipc_channel_has_skipped_enough_(&skips, deadline) ? -ETIMEDOUT : 0;
        else
            rc = errno == EAGAIN ? ipc_channel_wait_(ch->in, POLLIN, deadline) : -errno;
        if (rc != 0)
            return rc;
    }
}

static const struct ipc_channel_kind_ ipc_channel_signal_kind_ = {
    "signal",
    IPC_CHANNEL_ONE_WAY_ | IPC_CHANNEL_PRIORITY_ | IPC_CHANNEL_OPEN_TO_ALL_,
    sizeof(struct ipc_channel_signal_),
    0,
    0,
    ipc_channel_signal_open_,
    NULL, /* close */
    NULL, /* unlink: it has no name */
    ipc_channel_signal_send_,
    ipc_channel_signal_recv_,
    NULL, /* meet: no other process can come */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    NULL, /* serve */
};

#endif

/* >>ring  src/channel/ring.h */
/*
 * ring:NAME, rings of ipc_ring.h in the segment NAME of ipc_shm.h.
 *
 * The listener makes the segment, and in it a ring of records for each direction that it uses: "to"
 * for what it receives, "from" for what it sends. options.senders processes may send to the
 * listener at a time. With options.receivers above 1 there is one ring of slots, "shared", MPMC or
 * SPMC, each slot for the largest message: of its receivers, one gets each message. The other side
 * waits for the listener.
 *
 *   Access   Each process that the segment's mode permits. The segment of a user other than this
 *            one, root and options.user is refused.
 *   Answers  In both directions, what a listener sends is for the client that the last message came
 *            from. It is refused if that client is gone, and no later client ever reads it. A client
 *            that comes later reads what was sent to it alone. If a client leaves and the next one
 *            sends before the listener has taken all, it may receive from that one before it is told
 *            of the loss; a server is not.
 *   Loss     -EPIPE if the other side left, -EOWNERDEAD if it was killed. The end of one of several
 *            senders, or receivers, is not reported. A ring keeps what was sent, for the next
 *            receiver, which may see again what a killed one had: an eighth of the ring at most. So
 *            a send that reports a loss has sent nothing, but what was sent before is not lost.
 *   Polling  ipc_channel_fd has a descriptor, for receiving, that also tells of the loss. A sender
 *            makes a system call only for a receiver that polls or sleeps. See ring_poll.h.
 *   Limits   Messages of 1 MiB unless asked for; 64 KiB over a ring for several senders, receivers,
 *            clients or subscribers. 4 MiB of memory for each direction that the listener uses, or
 *            256 KiB. If its next listener uses other directions, it begins with empty rings. No
 *            descriptor to poll for room.
 *
 * A listener may also publish what it sends to several receivers: see publish.h.
 *
 * This room also has what sysvshm: and auto: do with their rings.
 */
#ifndef IPC_SRC_CHANNEL_RING_H
#define IPC_SRC_CHANNEL_RING_H 1

/* ------------------------------------------------------------------ the ends of rings */

/* Of ring_poll.h: the descriptors of an event loop; -1: nobody has asked for them. */
struct ipc_channel_polls_ {
    int set, events, timer; /* the first has the others */
    struct ipc_last_ last;  /* has `events`, too */
    unsigned asks;          /* how often the timer is to end polls, to ask for deaths */
};

/* Our ends of one or two rings: `out` or `put` to send to, `in` or `take` to receive from. */
struct ipc_channel_ring_ {
    struct ipc_shm seg; /* ring:, auto: the segment that they are in */
    struct ipc_record_producer out;
    struct ipc_record_consumer in;
    struct ipc_mpmc_producer put;  /* in place of out, of a ring that several receive from */
    struct ipc_mpmc_consumer take; /* in place of in, of a ring that several receive from */
    struct ipc_record_broadcast_producer publisher;  /* in place of out: see publish.h */
    struct ipc_record_broadcast_consumer subscriber; /* in place of in */
    struct ipc_notify data, space; /* bells of in, take: to sleep on, to post */
    struct ipc_notify out_data, out_space; /* bells of out, put: to post, to sleep on */
    int one_sender;          /* in, take: one process sends, and its end is told */
    uint64_t reader, writer; /* the processes last seen at the other ends: see core.h */
    uint64_t left[2];        /* how often their ends had been left, when that was last looked at */
    int64_t asked_at[2];     /* when the kernel was asked last whether writer, reader lives */
    int32_t trust;           /* how many messages are sent until reader is looked at again */
    struct ipc_channel_polls_ polls;
    int talks;               /* a listener in both directions: see ring_talk.h */
    int has_asker;           /* talks: a message came since the last loss was reported */
    uint64_t sender;         /* talks: which process sent when that was last looked at */
    uint64_t addressed;      /* talks: the id of the last term of out */
    uint64_t next_from;      /* talks: where the first answer to the next client begins */
    int awaits;              /* a client: no term is for it yet */
    struct ipc_shm_object answers; /* a client of a server: the rings of answers; else no memory */
    int rejoins;                   /* the same: it was told of the loss, and begins anew */
    uint64_t *misfit; /* not 0: a process came whose role does not fit; NULL: each fits, or auto: */
};

/* Of ring_poll.h. */
IPC_INLINE void ipc_channel_close_polls_(struct ipc_channel_polls_ *p);
IPC_INLINE int ipc_channel_ring_descriptor_(struct ipc_channel *ch);
IPC_INLINE int64_t ipc_channel_polled_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline);
IPC_INLINE int ipc_channel_ring_is_ready_(struct ipc_channel *ch);

/* Of ring_talk.h. */
IPC_INLINE void ipc_channel_begin_talk_(struct ipc_channel *ch, int listener);
IPC_INLINE int ipc_channel_address_asker_(struct ipc_channel_ring_ *r);
IPC_INLINE void ipc_channel_note_asker_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_how_ended_(struct ipc_channel_ring_ *r, uint64_t id);
IPC_INLINE uint64_t ipc_channel_find_sender_(struct ipc_channel_ring_ *r);
IPC_INLINE void ipc_channel_end_talk_(struct ipc_channel *ch, uint64_t lost);
IPC_INLINE int ipc_channel_has_answers_(struct ipc_channel_ring_ *r);
IPC_INLINE void ipc_channel_rejoin_(struct ipc_channel_ring_ *r);

/* Of ring_server.h. */
#define IPC_CHANNEL_LANES_ IPC_RECORD_PRODUCERS /* the most clients of a server */
IPC_INLINE size_t ipc_channel_answers_bytes_(const struct ipc_channel *ch);
IPC_INLINE int ipc_channel_make_answers_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_find_answers_(struct ipc_channel *ch);
IPC_INLINE struct ipc_shm_object ipc_channel_own_answers_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_serve_ring_(struct ipc_channel *ch);
IPC_INLINE void ipc_channel_ring_server_close_(struct ipc_channel *ch);
IPC_INLINE int64_t ipc_channel_ring_server_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                 int64_t deadline);
IPC_INLINE int ipc_channel_ring_server_send_to_(struct ipc_channel *ch, uint64_t client,
                                                const void *message, size_t n, int64_t deadline);
IPC_INLINE int ipc_channel_ring_server_drop_(struct ipc_channel *ch, uint64_t client);
IPC_INLINE void ipc_channel_ring_server_describe_(const struct ipc_channel *ch,
                                                  struct ipc_channel_facts *info);
IPC_INLINE int ipc_channel_ring_server_is_ready_(struct ipc_channel *ch);

/* Of publish.h. */
IPC_INLINE unsigned ipc_channel_subscribers_(const struct ipc_channel *ch);
IPC_INLINE size_t ipc_channel_broadcast_bytes_(const struct ipc_channel *ch);
IPC_INLINE int ipc_channel_broadcast_init_(const struct ipc_channel *ch,
                                           const struct ipc_shm_object *o);
IPC_INLINE int ipc_channel_attach_publisher_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_is_published_(struct ipc_channel *ch, struct ipc_shm_object *o);
IPC_INLINE int ipc_channel_is_lossy_(struct ipc_channel *ch);
IPC_INLINE int ipc_channel_has_news_(struct ipc_channel_ring_ *r);
IPC_INLINE int ipc_channel_attach_subscriber_(struct ipc_channel *ch,
                                              const struct ipc_shm_object *o);
IPC_INLINE int ipc_channel_published_send_(struct ipc_channel *ch, const void *message, size_t n,
                                           int64_t deadline);
IPC_INLINE int64_t ipc_channel_published_recv_(struct ipc_channel *ch, void *to, size_t size,
                                               int64_t deadline);

#define IPC_CHANNEL_RING_ ((size_t)1 << 16) /* bytes of the largest message of a ring for many */

/*
 * The end of a ring tells that a process has left it, but not that it was killed. So a send looks at
 * the clock before the first message, then after one, two, four, ... messages, at last after each
 * IPC_CHANNEL_TRUST_, and asks the kernel if 8 ms are over: see ipc_channel_check_reader_.
 */
#define IPC_CHANNEL_TRUST_ 1024

/* Bytes of a ring of records whose longest record has n. */
IPC_INLINE uint64_t ipc_channel_lane_(size_t n)
{
    uint64_t capacity = 4096;

    while (capacity / 2 - 8 < n)
        capacity *= 2;
    return capacity;
}

/* Slots of a ring that several receive from: a megabyte of them, but 16 to 4096. */
IPC_INLINE uint64_t ipc_channel_slots_(size_t n)
{
    uint64_t slots = 16;

    while (slots < 4096 && slots * 2 * n <= IPC_CHANNEL_MAX_)
        slots *= 2;
    return slots;
}

/* Do several processes receive from this channel's ring? */
IPC_INLINE int ipc_channel_is_shared_(const struct ipc_channel *ch)
{
    return ch->how.receivers > 1 && ch->how.publish == 0;
}

/* How many lanes the ring to the listener has. */
IPC_INLINE unsigned ipc_channel_lanes_(const struct ipc_channel *ch)
{
    unsigned n = ch->how.clients != 0 ? ch->how.clients : ch->how.senders;

    return n != 0 ? n : 1;
}

/* Bytes of the largest message that a ring is made for. One for many, which has room for each of them,
 * is made for less, unless it is asked for. */
IPC_INLINE size_t ipc_channel_ring_max_(const struct ipc_channel *ch)
{
    if (ch->how.max != 0)
        return ch->how.max;
    return ch->how.senders > 1 || ch->how.receivers > 1 || (ch->how.clients | ch->how.publish) != 0
               ? IPC_CHANNEL_RING_
               : IPC_CHANNEL_MAX_;
}

/* Bytes of one ring. */
IPC_INLINE size_t ipc_channel_ring_bytes_(const struct ipc_channel *ch)
{
    if (ch->how.publish != 0)
        return ipc_channel_broadcast_bytes_(ch);
    if (ipc_channel_is_shared_(ch))
        return ipc_mpmc_footprint(ch->max + IPC_CHANNEL_HEADER_, ipc_channel_slots_(ch->max),
                                  IPC_MPMC_AT_LEAST_ONCE);
    return ipc_record_footprint(ipc_channel_lane_(ch->max), ipc_channel_lanes_(ch));
}

/* Bytes of a segment for the directions that the listener uses. */
IPC_INLINE size_t ipc_channel_ring_size_(const struct ipc_channel *ch)
{
    if (ch->how.clients != 0)
        return ipc_channel_ring_bytes_(ch) + ipc_channel_answers_bytes_(ch) + 3 * 4096;
    /* Of another size for each direction: what a listener of the other one has left does not fit. */
    if ((ch->role & IPC_BOTH) != IPC_BOTH)
        return ipc_channel_ring_bytes_(ch) + ((ch->role & IPC_SEND) != 0 ? 3u : 2u) * 4096;
    return 2 * (ipc_channel_ring_bytes_(ch) + 4096);
}

IPC_INLINE int ipc_channel_ring_init_(const struct ipc_channel *ch, const struct ipc_shm_object *o)
{
    unsigned senders = ipc_channel_lanes_(ch);

    if (ch->how.publish != 0)
        return ipc_channel_broadcast_init_(ch, o);
    if (!ipc_channel_is_shared_(ch))
        return ipc_record_init(o->mem, o->size, ipc_channel_lane_(ch->max), senders);
    return ipc_mpmc_init(o->mem, o->size, ch->max + IPC_CHANNEL_HEADER_,
                         ipc_channel_slots_(ch->max),
                         IPC_MPMC_AT_LEAST_ONCE | (senders > 1 ? 0 : IPC_MPMC_ONE_PRODUCER));
}

/* Makes a handle of rings, without ends. */
IPC_INLINE int ipc_channel_ring_new_(struct ipc_channel *ch)
{
    ch->ring = (struct ipc_channel_ring_ *)calloc(1, sizeof *ch->ring);
    if (ch->ring == NULL)
        return ipc_channel_refuse_(ch, -ENOMEM, "no memory");
    ch->ring->seg.fd = -1;
    ch->ring->polls.set = ch->ring->polls.events = ch->ring->polls.timer = -1;
    ch->ring->out.error = ch->ring->in.error = -EINVAL;
    return 0;
}

/* ------------------------------------------------------------------ attaching */

/* The kind of a ring's bell for data: auto: needs one that wakes event loops over its socket. A ring
 * that is published has no socket. */
IPC_INLINE unsigned ipc_channel_bell_kind_(const struct ipc_channel *ch)
{
    return (ch->kind->flags & IPC_CHANNEL_BELL_FD_) != 0 && ch->how.publish == 0
               ? IPC_NOTIFY_EVENTFD
               : IPC_NOTIFY_FUTEX;
}

/* Attaches to both bells of a ring, of the kinds that a ring of this channel is made with. A sender
 * may be killed between its push and its post: a sleeper without a deadline looks once a second. */
IPC_INLINE int ipc_channel_attach_bells_(const struct ipc_channel *ch, struct ipc_peer *me,
                                         struct ipc_notify *data, void *data_bell,
                                         struct ipc_notify *space, void *space_bell)
{
    int rc =
        ipc_notify_attach_both_(data, data_bell, space, space_bell, ipc_channel_bell_kind_(ch), me);

    if (rc == 0)
        data->looks_each_second = space->looks_each_second = 1;
    return rc;
}

/* The type of the object that a ring is. */
IPC_INLINE uint32_t ipc_channel_ring_type_(const struct ipc_channel *ch)
{
    if (ch->how.publish != 0)
        return IPC_RECORD_BROADCAST_TYPE;
    return ipc_channel_is_shared_(ch) ? IPC_MPMC_TYPE : IPC_RECORD_TYPE;
}

/* ------------------------------------------------------------------ roles */

#define IPC_CHANNEL_NO_RING_ 0x656e6f6eu /* "none": the type of what stands for a ring that is not used */

/* Does the client send only what the listener receives, and wait only for what it sends? */
IPC_INLINE int ipc_channel_ring_roles_fit_(unsigned listener, unsigned client)
{
    return ((client & IPC_SEND) == 0 || (listener & IPC_RECV) != 0) &&
           ((client & IPC_RECV) == 0 || (listener & IPC_SEND) != 0);
}

/* Has a process come whose role does not fit? That is reported once. */
IPC_INLINE int ipc_channel_has_misfit_(const struct ipc_channel_ring_ *r)
{
    return r->misfit != NULL && ck_pr_load_64(r->misfit) != 0;
}

/* A listener in one direction: puts something in the place of the other ring, which tells clients that
 * there will be none, and is where they leave word. */
IPC_INLINE void ipc_channel_mark_unused_(struct ipc_channel *ch)
{
    const char *name = (ch->role & IPC_RECV) != 0 ? "from" : "to";
    struct ipc_shm *seg = &ch->ring->seg;
    struct ipc_shm_object o;
    int rc = ipc_shm_make(seg, name, IPC_CHANNEL_NO_RING_, IPC_SHM_LINE, &o);

    if (rc == 0)
        rc = ipc_shm_publish(seg, &o);
    else if (rc == -EEXIST)
        rc = ipc_shm_find(seg, name, IPC_CHANNEL_NO_RING_, &o);
    if (rc != 0 || o.size < IPC_SHM_LINE) /* of a member that breaks the rules */
        return;
    ch->ring->misfit = (uint64_t *)o.mem;
    ck_pr_store_64(ch->ring->misfit, 0);
}

/* The other side may sleep at this ring: attaches to its bells, which are posted as we leave. */
IPC_INLINE void ipc_channel_find_sleeper_(struct ipc_channel *ch, void *ring, struct ipc_peer *me)
{
    struct ipc_spsc_shared *s = (struct ipc_spsc_shared *)ring;

    (void)ipc_channel_attach_bells_(ch, me, &ch->ring->data, s->data_bell, &ch->ring->space,
                                    s->space_bell);
}

/* The object of that name is no ring of this kind. Where the listener does not use it, tells both sides.
 * Returns -EPROTO. */
IPC_INLINE int ipc_channel_refuse_ring_(struct ipc_channel *ch, const char *name)
{
    struct ipc_shm *seg = &ch->ring->seg;
    struct ipc_shm_object o, other;

    if (ipc_shm_is_read_only_(seg) || ipc_shm_find(seg, name, IPC_CHANNEL_NO_RING_, &o) != 0 ||
        o.size < IPC_SHM_LINE)
        return -EPROTO;
    ck_pr_store_64((uint64_t *)o.mem, 1);
    if (ipc_shm_find(seg, strcmp(name, "to") == 0 ? "from" : "to", IPC_RECORD_TYPE, &other) == 0 &&
        other.size >= sizeof(struct ipc_spsc_shared))
        ipc_channel_find_sleeper_(ch, other.mem, ipc_shm_peer(seg));
    return ipc_shm_refuse(seg, -EPROTO, "%s", ipc_channel_loss_text_(-EPROTO));
}

/* Finds a ring in the segment; if `make` is set and it is not there, makes it. */
IPC_INLINE int ipc_channel_find_ring_(struct ipc_channel *ch, const char *name, int make,
                                      struct ipc_shm_object *o)
{
    struct ipc_shm *seg = &ch->ring->seg;
    uint32_t type = ipc_channel_ring_type_(ch);
    int rc = make ? ipc_shm_make(seg, name, type, ipc_channel_ring_bytes_(ch), o) : -EEXIST;

    if (rc == 0 && (rc = ipc_channel_ring_init_(ch, o)) == 0) {
        if (ipc_channel_bell_kind_(ch) != IPC_NOTIFY_FUTEX)
            (void)ipc_notify_init(((struct ipc_spsc_shared *)o->mem)->data_bell, 64,
                                  ipc_channel_bell_kind_(ch));
        rc = ipc_shm_publish(seg, o);
    }
    if (rc == -EEXIST)
        rc = ipc_shm_find(seg, name, type, o);
    return rc == -EPROTO && !make ? ipc_channel_refuse_ring_(ch, name) : rc;
}

/* Attaches our end of the ring that several receive from. Its slots have the message's length
 * before the message. The ring itself says how long that may be, and how many send. */
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
    r->one_sender = (how & IPC_MPMC_ONE_PRODUCER) != 0;
    r->writer = r->one_sender ? ipc_notify_first_seen_(data, &s->end[0]) : 0;
    /* Any process that dies may have held a slot, which this one must then free. */
    ipc_notify_watch_anyone(sends ? space : data);
    (void)ipc_notify_post(sends ? space : data); /* to attach may have freed a dead one's slots */
    return 0;
}

/* Attaches our ends of rings of records. The listener receives from *to; a server only receives. */
IPC_INLINE int ipc_channel_ring_attach_ends_(struct ipc_channel *ch, int listener,
                                             const struct ipc_shm_object *to,
                                             const struct ipc_shm_object *from, struct ipc_peer *me)
{
    struct ipc_channel_ring_ *r = ch->ring;
    const struct ipc_shm_object *out = listener ? from : to, *in = listener ? to : from;
    struct ipc_shm_object own;
    int rc = 0;

    if ((ch->role & IPC_SEND) != 0 && ch->how.clients == 0 &&
        (rc = ipc_record_producer_attach(&r->out, out->mem, out->size, me)) == 0 &&
        (rc = ipc_channel_attach_bells_(ch, me, &r->out_data, r->out.ring->data_bell, &r->out_space,
                                        r->out.ring->space_bell)) == 0) {
        r->reader = ipc_notify_first_seen_(&r->out_space, &r->out.ring->end[1]);
        r->left[1] = ck_pr_load_64(&r->out.ring->left[1]);
        ch->max = ipc_record_most(&r->out);
    }
    if (rc == 0 && !listener && r->answers.mem != NULL) {
        own = ipc_channel_own_answers_(ch);
        in = &own;
    }
    if (rc == 0 && (ch->role & IPC_RECV) != 0 &&
        (rc = ipc_record_consumer_attach(&r->in, in->mem, in->size, me)) == 0 &&
        (rc = ipc_channel_attach_bells_(ch, me, &r->data, r->in.ring->data_bell, &r->space,
                                        r->in.ring->space_bell)) == 0) {
        ch->max = (size_t)(r->in.mask + 1) / 2 - 8;
        r->one_sender = r->in.producers == 1;
        r->writer =
            r->one_sender ? ipc_notify_first_seen_(&r->data, &r->in.ring->end[0]) : 0;
        r->left[0] = ck_pr_load_64(&r->in.ring->left[0]);
    }
    /* A ring made for the default has room for more, which the other mechanisms have not. */
    if (ch->how.max == 0 && ch->max == ipc_channel_lane_(IPC_CHANNEL_MAX_) / 2 - 8)
        ch->max = IPC_CHANNEL_MAX_;
    if (rc == 0)
        ipc_channel_begin_talk_(ch, listener);
    if (rc != 0) { /* the next try must not find our ends taken */
        ipc_record_producer_detach(&r->out);
        ipc_record_consumer_detach(&r->in);
        ipc_notify_detach(&r->out_data);
        ipc_notify_detach(&r->out_space);
        ipc_notify_detach(&r->data);
    }
    return rc;
}

/* Attaches our ends of the rings in a segment of ipc_shm.h that is open. */
IPC_INLINE int ipc_channel_ring_attach_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_ring_ *r = ch->ring;
    unsigned in = listener ? IPC_RECV : IPC_SEND; /* the role for which we use "to" */
    struct ipc_shm_object to, from;
    int rc = 0, shared = ipc_channel_is_shared_(ch);

    if (listener && !shared && ch->how.clients == 0 && (ch->role & IPC_BOTH) != IPC_BOTH &&
        (ch->kind->flags & IPC_CHANNEL_BELL_FD_) == 0)
        ipc_channel_mark_unused_(ch);
    if (ch->how.publish != 0)
        return ipc_channel_attach_publisher_(ch);
    if (ch->role == IPC_RECV && ipc_channel_is_published_(ch, &from))
        return ipc_channel_attach_subscriber_(ch, &from);
    if (shared)
        rc = ipc_channel_find_ring_(ch, "shared", listener, &to);
    else if (ch->how.clients != 0) /* before "to", by which others find the segment's kind */
        rc = ipc_channel_make_answers_(ch);
    if (rc == 0 && !shared && (ch->role & in) != 0)
        rc = ipc_channel_find_ring_(ch, "to", listener, &to);
    if (rc == 0 && !listener && ch->role == IPC_BOTH)
        rc = ipc_channel_find_answers_(ch);
    if (rc == 0 && !shared && ch->how.clients == 0 && r->answers.mem == NULL &&
        (ch->role & (in ^ IPC_BOTH)) != 0)
        rc = ipc_channel_find_ring_(ch, "from", listener, &from);
    if (rc == 0)
        rc = shared
                 ? ipc_channel_attach_shared_(ch, &to)
                 : ipc_channel_ring_attach_ends_(ch, listener, &to, &from, ipc_shm_peer(&r->seg));
    if (rc != 0)
        return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address,
                                   ipc_shm_why(&r->seg));
    (void)ipc_notify_post(&r->out_data); /* a sleeper there watches us from now on */
    (void)ipc_notify_post(&r->space);
    return 0;
}

/* ------------------------------------------------------------------ waiting */

/* A message that is sent or received as soon as that is possible: what a look tries. */
struct ipc_channel_try_ {
    struct ipc_channel *ch;
    const void *from;
    void *to;
    size_t n;
    int published;
    int64_t rc; /* of the last try */
};

/* Is it time to ask the kernel again whether the process at the other end lives? A program that
 * polls asks each 8 ms, and makes no other system call. */
IPC_INLINE int ipc_channel_is_time_to_ask_(int64_t *asked_at)
{
    int64_t now = ipc_clock();

    if (now - *asked_at < IPC_NOTIFY_SLICE_)
        return 0;
    *asked_at = now;
    return 1;
}

/* Has the process that was seen at the other end left it? Over auto: it comes with the connection: if
 * another one is there, that is its child. */
IPC_INLINE int ipc_channel_has_left_(const struct ipc_channel *ch, uint64_t seen, uint64_t holder)
{
    return seen > 1 && holder != seen &&
           (holder == 0 || (ch->kind->flags & IPC_CHANNEL_BELL_FD_) == 0);
}

/* Is the process that holds the other end proven dead? It would have left the end, otherwise. */
IPC_INLINE int ipc_channel_is_killed_(const struct ipc_notify *n, uint64_t id)
{
    return id != 0 && id != n->reported && id != ~UINT64_C(0) && n->peer.alive != NULL &&
           n->peer.alive(n->peer.arg, id) == 0;
}

/* The word that counts how often the other end was left, of the ring that we send to (1) or receive
 * from (0). It tells of a process that came and went between two looks. NULL: nothing does, as
 * recv tells a sender that also receives, the end of its answers a client of a server, and its
 * socket auto:. */
IPC_INLINE const uint64_t *ipc_channel_left_(const struct ipc_channel *ch, int sends)
{
    const struct ipc_channel_ring_ *r = ch->ring;

    if (sends)
        return r->out.ring != NULL && r->in.ring == NULL ? &r->out.ring->left[1] : NULL;
    return r->in.ring != NULL && r->one_sender && r->answers.mem == NULL &&
                   (ch->kind->flags & IPC_CHANNEL_BELL_FD_) == 0
               ? &r->in.ring->left[0]
               : NULL;
}

/* Waits until a try says something else than -EAGAIN, the process at the other end goes, or the
 * deadline comes. What the try said, or why there is no more of it, is in t->rc. */
IPC_INLINE void ipc_channel_try_until_(struct ipc_channel_try_ *t, struct ipc_notify *bell,
                                       uint64_t *holder, uint64_t *seen, int64_t deadline,
                                       ipc_notify_look_ *look)
{
    static const uint64_t never_left = 0;
    struct ipc_channel_ring_ *r = t->ch->ring;
    int sends = bell == &r->out_space, rc;
    const uint64_t *left = ipc_channel_left_(t->ch, sends);
    struct ipc_notify_peer_ peer = {*seen, left != NULL ? r->left[sends] : 0};

    if (deadline <= IPC_NOW && ipc_channel_is_time_to_ask_(&r->asked_at[sends]))
        bell->asks = 1;
    rc = ipc_notify_wait_with_peer_(bell, holder, left != NULL ? left : &never_left, &peer,
                                    deadline, ipc_notify_wait_until_, look, t, NULL);
    *seen = peer.seen;
    r->left[sends] = left != NULL ? peer.left : r->left[sends];
    if (rc != 0)
        t->rc = rc;
}

/* ------------------------------------------------------------------ leaving */

/* Leaves the rings, if there are any. After fork, a child leaves the ends to its parent, unless it
 * goes on with them. */
IPC_INLINE void ipc_channel_ring_leave_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;

    if (r == NULL)
        return;
    /* In this order: the process that takes out's end next, then finds that of in free. */
    ipc_record_consumer_detach(&r->in);
    ipc_record_producer_detach(&r->out);
    ipc_mpmc_producer_detach(&r->put);
    ipc_mpmc_consumer_detach(&r->take);
    ipc_record_broadcast_producer_detach(&r->publisher);
    ipc_record_broadcast_consumer_detach(&r->subscriber);
    (void)ipc_notify_post(&r->out_data); /* a process that sleeps there learns of it */
    (void)ipc_notify_post(&r->out_space);
    (void)ipc_notify_post(&r->data);
    (void)ipc_notify_post(&r->space);
    ipc_notify_detach(&r->data);
    ipc_notify_detach(&r->space);
    ipc_notify_detach(&r->out_data);
    ipc_notify_detach(&r->out_space);
    ipc_shm_close(&r->seg);
    ipc_channel_close_polls_(&r->polls); /* last, as it takes long: see ipc_end_last_ */
    free(r);
    ch->ring = NULL;
    ch->quick_sends = 0;
    ch->quick_in = NULL;
}

/* Keeps a sentence about a refusal of a ring, where it needs one, and returns rc. */
IPC_INLINE int ipc_channel_report_ring_end_(struct ipc_channel *ch, int rc)
{
    const char *what;

    switch (rc) {
    case -EPIPE:
        what = "the other side is gone";
        break;
    case -EOWNERDEAD:
        what = "the other side was killed";
        break;
    case -EBADMSG:
        what = "the shared memory is corrupt";
        break;
    case -ECHILD:
        what = "after fork another process goes on with it: open it anew in this one";
        break;
    case -EPROTO:
        what = ipc_channel_loss_text_(rc);
        if (ch->ring->misfit != NULL)
            ck_pr_store_64(ch->ring->misfit, 0);
        break;
    default:
        return rc;
    }
    return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address, what);
}

/* ------------------------------------------------------------------ records */

IPC_INLINE int ipc_channel_try_push_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;
    struct ipc_channel_ring_ *r = t->ch->ring;

    (void)argument;
    if (r->addressed != 0 && ck_pr_load_64(&r->out.ring->end[1]) != r->addressed)
        t->rc = -EPIPE;
    else
        t->rc = ipc_record_push(&r->out, t->from, t->n);
    if (t->rc == -EAGAIN && ipc_channel_has_misfit_(r))
        t->rc = -EPROTO;
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_try_pop_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;

    (void)argument;
    t->rc = ipc_channel_has_answers_(t->ch->ring);
    if (t->rc > 0)
        t->rc = ipc_record_take_(&t->ch->ring->in, t->to, t->n, &t->published);
    else if (t->rc == 0)
        t->rc = -EAGAIN;
    if (t->rc == -EAGAIN && ipc_channel_has_misfit_(t->ch->ring))
        t->rc = -EPROTO;
    return t->rc != -EAGAIN;
}

/* The word that says which process is at the other end of what we send: a client of a server looks
 * at the end of its answers, which the server leaves to drop it. */
IPC_INLINE uint64_t *ipc_channel_reader_(struct ipc_channel_ring_ *r)
{
    return r->answers.mem != NULL ? &r->in.ring->end[0] : &r->out.ring->end[1];
}

/* A client of a server that was told of its loss, by send or recv, is told once. */
IPC_INLINE void ipc_channel_note_loss_(struct ipc_channel_ring_ *r, int64_t rc)
{
    if (r->answers.mem == NULL || (rc != -EPIPE && rc != -EOWNERDEAD))
        return;
    r->rejoins = 1;
    r->reader = r->writer = 0;
}

/* Has a process come to the other end of what we only send, and gone, since the last look? */
IPC_INLINE int ipc_channel_came_and_went_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    const uint64_t *now = ipc_channel_left_(ch, 1);
    uint64_t left = r->left[1];

    if (now == NULL)
        return 0;
    /* Without it the end could be found free, and the count be older: the next call would tell what
     * this one can know. Partner: ipc_ring_detach_end_. */
    ck_pr_fence_load(); /* no twin */
    r->left[1] = ck_pr_load_64(now);
    return r->reader == 0 && r->left[1] != left;
}

/* A send is about to push. Is the process gone that it has seen at the other end, or one that came
 * and went meanwhile? What it left it tells at once; whether it was killed the kernel is asked each
 * 8 ms. 0; -EPIPE or -EOWNERDEAD, once; then the next process is the one that is seen. */
IPC_INLINE int ipc_channel_check_reader_(struct ipc_channel *ch, uint64_t reader)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_notify *n = &r->out_space;
    int rc = 0, went = ipc_channel_came_and_went_(ch);

    if (went || ipc_channel_has_left_(ch, r->reader, reader)) {
        rc = -EPIPE; /* how it ended is not known any more where another one is there */
    } else if (ipc_ring_is_ours_(&r->out.self) && /* else the push settles who we are first */
               ipc_channel_is_time_to_ask_(&r->asked_at[1])) {
        r->trust = 0;
        rc = ipc_channel_is_killed_(n, reader) ? -EOWNERDEAD : 0;
        n->reported = rc != 0 ? reader : n->reported;
    }
    r->reader = rc == 0 && reader != n->reported ? reader : 0;
    return rc;
}

IPC_INLINE int ipc_channel_ring_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, message, NULL, n, 0, 0};
    uint64_t *holder, reader;

    if (r->out.ring == NULL) /* after fork this process may not go on */
        return ipc_channel_report_ring_end_(ch, r->out.error);
    holder = ipc_channel_reader_(r);
    reader = ck_pr_load_64(holder);
    ipc_channel_rejoin_(r);
    if (r->talks)
        t.rc = ipc_channel_address_asker_(r);
    if (ipc_channel_has_misfit_(r))
        t.rc = -EPROTO;
    if (t.rc == 0)
        t.rc = ipc_channel_check_reader_(ch, reader);
    if (t.rc == 0 && !ipc_channel_try_push_(&t, NULL))
        ipc_channel_try_until_(&t, &r->out_space, holder, &r->reader, deadline,
                               ipc_channel_try_push_);
    ipc_channel_note_loss_(r, t.rc);
    if (t.rc != 0)
        return ipc_channel_report_ring_end_(ch, (int)t.rc);
    (void)ipc_notify_post(&r->out_data);
    ch->quick_out = &r->out;
    ch->quick_holder = holder;
    ch->quick_reader = reader != 0 ? reader : IPC_PEER_READ_ONLY; /* which is never there */
    ch->quick_sends = r->trust;
    r->trust = r->trust < IPC_CHANNEL_TRUST_ / 2 ? r->trust * 2 + 1 : IPC_CHANNEL_TRUST_;
    return 0;
}

/* The sender is gone, and the next one may be there already: takes what is left, or says how it
 * ended. */
IPC_INLINE void ipc_channel_try_rest_(struct ipc_channel_try_ *t)
{
    struct ipc_channel_ring_ *r = t->ch->ring;

    /* Without it the last message could be missed, as the look could be older than the end.
     * Partner: ipc_ring_leave_end_; the kernel, if the sender was killed. */
    ck_pr_fence_load();
    if (ipc_channel_try_pop_(t, NULL))
        return;
    t->rc = ipc_channel_how_ended_(r, r->writer);
    r->writer = 0;
    r->left[0] = ck_pr_load_64(&r->in.ring->left[0]); /* it is told once */
}

IPC_INLINE int64_t ipc_channel_ring_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, NULL, to, size, 0, 0};
    uint64_t nobody = 0, *holder, seen = r->writer, now;

    if (r->subscriber.ring != NULL || r->subscriber.r.error != 0)
        return ipc_channel_published_recv_(ch, to, size, deadline);
    if (r->in.ring == NULL)
        return ipc_channel_report_ring_end_(ch, r->in.error);
    holder = r->one_sender ? &r->in.ring->end[0] : &nobody;
    if (!ipc_channel_try_pop_(&t, NULL)) {
        /* What was taken is published by now, and the other side may wait for that room. */
        r->in.post_due = 0;
        (void)ipc_notify_post(&r->space);
        ipc_channel_rejoin_(r);
        now = ck_pr_load_64(holder);
        if (r->one_sender && ipc_channel_has_left_(ch, r->writer, now) && (r->talks || now != 0))
            ipc_channel_try_rest_(&t);
        else
            ipc_channel_try_until_(&t, &r->data, holder, &r->writer, deadline,
                                   ipc_channel_try_pop_);
    }
    if (r->in.post_due) { /* room was published, perhaps by an earlier look that found nothing */
        r->in.post_due = 0;
        (void)ipc_notify_post(&r->space);
    }
    if (t.rc >= 0) {
        if (r->one_sender && r->writer == 0)
            r->writer = (ch->role & IPC_BOTH) == IPC_RECV ? ipc_channel_find_sender_(r) : 1;
        ch->next = 0;
        if (r->talks)
            ipc_channel_note_asker_(ch);
    }
    if (r->talks && (t.rc == -EPIPE || t.rc == -EOWNERDEAD))
        ipc_channel_end_talk_(ch, seen);
    ipc_channel_note_loss_(r, t.rc);
    ch->quick_in =
        (r->writer != 0 || !r->one_sender) && t.rc != -EMSGSIZE && !r->awaits ? &r->in : NULL;
    if (t.rc >= 0)
        return t.rc;
    if (t.rc == -EMSGSIZE && ipc_record_look_(&r->in, &ch->next) == 0)
        return ipc_channel_refuse_size_(ch, ch->next, size);
    return ipc_channel_report_ring_end_(ch, (int)t.rc);
}

/* ------------------------------------------------------------------ slots: several receivers */

/* Pushes one message, or -EAGAIN: there is no room; or the ring's error. What dead processes held
 * goes on first, and processes that wait for that are woken. */
IPC_INLINE int ipc_channel_put_one_(struct ipc_channel_ring_ *r, const void *message, uint64_t n)
{
    unsigned char *slot;

    if (ipc_notify_anyone_died(&r->out_space) && ipc_mpmc_producer_recover(&r->put, 0) > 0)
        (void)ipc_notify_post(&r->out_data);
    slot = (unsigned char *)ipc_mpmc_claim(&r->put);
    if (slot == NULL)
        return ipc_mpmc_producer_error(&r->put) != 0 ? ipc_mpmc_producer_error(&r->put) : -EAGAIN;
    memcpy(slot, &n, sizeof n);
    if (n > 0)
        memcpy(slot + IPC_CHANNEL_HEADER_, message, (size_t)n);
    return ipc_mpmc_commit(&r->put); /* -EAGAIN: it stays claimed */
}

/* Takes one message, or -EAGAIN: there is none; -EMSGSIZE: it stays in hand; or the ring's error.
 * Otherwise as ipc_channel_put_one_. */
IPC_INLINE int64_t ipc_channel_take_one_(struct ipc_channel *ch, void *to, size_t size)
{
    struct ipc_channel_ring_ *r = ch->ring;
    const unsigned char *slot;
    uint64_t n;

    if (ipc_notify_anyone_died(&r->data) && ipc_mpmc_consumer_recover(&r->take, 0) > 0) {
        (void)ipc_notify_post(&r->data);
        (void)ipc_notify_post(&r->space);
    }
    slot = (const unsigned char *)ipc_mpmc_peek(&r->take);
    if (slot == NULL)
        return ipc_mpmc_consumer_error(&r->take) != 0 ? ipc_mpmc_consumer_error(&r->take) : -EAGAIN;
    n = ck_pr_load_64((const uint64_t *)(const void *)slot); /* once: a sender may change it */
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

IPC_INLINE int ipc_channel_try_put_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;

    (void)argument;
    t->rc = ipc_channel_put_one_(t->ch->ring, t->from, t->n);
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_try_take_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;

    (void)argument;
    t->rc = ipc_channel_take_one_(t->ch, t->to, t->n);
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_shared_send_(struct ipc_channel *ch, const void *message, size_t n,
                                        int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, message, NULL, n, 0, 0};
    uint64_t nobody = 0;

    if (r->publisher.ring != NULL || r->publisher.r.error != 0)
        return ipc_channel_published_send_(ch, message, n, deadline);
    if (r->put.m.ring == NULL && r->put.m.error == 0)
        return ipc_channel_ring_send_(ch, message, n, deadline);
    if (!ipc_channel_try_put_(&t, NULL))
        ipc_channel_try_until_(&t, &r->out_space, &nobody, &r->reader, deadline,
                               ipc_channel_try_put_);
    ipc_mpmc_cancel(&r->put); /* what was not sent */
    (void)ipc_notify_post(t.rc == 0 ? &r->out_data : &r->out_space);
    return t.rc == 0 ? 0 : ipc_channel_report_ring_end_(ch, (int)t.rc);
}

IPC_INLINE int64_t ipc_channel_shared_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, NULL, to, size, 0, 0};
    uint64_t nobody = 0, *holder;

    if (r->take.m.ring == NULL && r->take.m.error == 0)
        return ipc_channel_ring_recv_(ch, to, size, deadline);
    if (r->take.m.ring == NULL)
        return ipc_channel_report_ring_end_(ch, r->take.m.error);
    holder = r->one_sender ? &r->take.m.ring->end[0] : &nobody;
    if (!ipc_channel_try_take_(&t, NULL))
        ipc_channel_try_until_(&t, &r->data, holder, &r->writer, deadline, ipc_channel_try_take_);
    if (t.rc == -EMSGSIZE)
        return ipc_channel_refuse_size_(ch, ch->next, size);
    if (t.rc < 0)
        return ipc_channel_report_ring_end_(ch, (int)t.rc);
    r->writer |= r->one_sender && r->writer == 0;
    (void)ipc_notify_post(&r->space);
    return t.rc;
}

#endif

/* >>ring_open  src/channel/ring_open.h */
/* ring: as a mechanism: opening, unlinking, and its line of the table. */
#ifndef IPC_SRC_CHANNEL_RING_OPEN_H
#define IPC_SRC_CHANNEL_RING_OPEN_H 1

/* ------------------------------------------------------------------ ring: */

/* What a refusal of ipc_shm.h to make or open the segment is as one of open. */
IPC_INLINE int ipc_channel_segment_error_(int rc)
{
    if (rc == -EEXIST)
        return -EADDRINUSE;
    return rc == -ENOENT ? -ETIMEDOUT : rc;
}

/* A ring is in memory: a path is the name of a segment in a file. 0 or -EINVAL. */
IPC_INLINE int ipc_channel_ring_check_name_(struct ipc_channel *ch)
{
    return !ipc_shm_is_path_(ch->address)
               ? 0
               : ipc_channel_refuse_(ch, -EINVAL, "ring: '%s' must not hold a slash", ch->address);
}

IPC_INLINE void ipc_channel_fault_in_(void *mem, size_t size, int how)
{
    size_t offset = (uintptr_t)mem & ((size_t)getpagesize() - 1);

    (void)madvise((unsigned char *)mem - offset, size + offset, how);
}

/* Faults in what messages go through, so that none does at its first touch. The listener has zeroed it:
 * see ipc_shm_prefault_. */
IPC_INLINE void ipc_channel_fault_in_rings_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;

    if (r->answers.mem == NULL) {
        ipc_channel_fault_in_(r->seg.base, r->seg.size, MADV_POPULATE_READ);
    } else {
        ipc_channel_fault_in_(r->out.data, (size_t)r->out.mask + 1, MADV_POPULATE_READ);
        ipc_channel_fault_in_(r->in.data, (size_t)r->in.mask + 1, MADV_POPULATE_READ);
    }
}

/* Opens the segment of a publisher that this process may only read, or whose places are all taken:
 * that is enough for a subscriber whom nobody waits for. 0, or why as before. */
IPC_INLINE int ipc_channel_open_to_read_(struct ipc_channel *ch, struct ipc_shm_options *how,
                                         int why, int64_t deadline)
{
    struct ipc_shm *seg = &ch->ring->seg;
    char sentence[256];
    int rc;

    (void)snprintf(sentence, sizeof sentence, "%s", ipc_shm_why(seg));
    how->flags |= IPC_SHM_READ_ONLY;
    rc = ipc_shm_open_with(seg, ch->address, deadline, how);
    if (rc == -EACCES) {
        how->owner = ch->how.user; /* 0 is root, whose segment is permitted */
        rc = ipc_shm_open_with(seg, ch->address, deadline, how);
    }
    if (rc == 0 && ipc_channel_is_lossy_(ch))
        return 0;
    ipc_shm_close(seg);
    return ipc_shm_refuse(seg, why, "%s", sentence);
}

IPC_INLINE int ipc_channel_ring_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    int listener = (ch->role & IPC_LISTEN) != 0, rc = ipc_channel_ring_check_name_(ch);
    struct ipc_shm *seg;

    rc = rc != 0 ? rc : ipc_channel_ring_new_(ch);
    if (rc != 0)
        return rc;
    if (ipc_channel_is_shared_(ch) && (ch->role & IPC_BOTH) == IPC_BOTH)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "ring: several receivers: one direction only: open two");
    if (ch->how.clients > IPC_CHANNEL_LANES_ ||
        (ch->how.clients != 0 && (ch->how.senders | ch->how.receivers) != 0))
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "ring: %u clients, %u senders, %u receivers: up to %u clients, "
                                   "which are the senders, too",
                                   ch->how.clients, ch->how.senders, ch->how.receivers,
                                   IPC_CHANNEL_LANES_);
    seg = &ch->ring->seg;
    how.mode = ch->how.mode;
    /* As many as there can be handles of the ring, or lanes and their receivers. */
    how.members = ipc_channel_is_shared_(ch) ? IPC_MPMC_SEATS : 2 * IPC_RECORD_PRODUCERS;
    if (ch->how.publish != 0)
        how.members = ipc_channel_subscribers_(ch) + 1;
    ch->max = ipc_channel_ring_max_(ch);
    if (!listener)
        how.flags |= IPC_SHM_NO_PREFAULT; /* of a server's segment, most is for others */
    rc = listener ? ipc_shm_create_with(seg, ch->address, ipc_channel_ring_size_(ch), &how)
                  : ipc_shm_open_with(seg, ch->address, deadline, &how);
    if (rc == -EACCES && !listener && ch->how.user != 0) {
        how.owner = ch->how.user;
        rc = ipc_shm_open_with(seg, ch->address, deadline, &how);
    }
    if ((rc == -EACCES || rc == -EUSERS) && ch->role == IPC_RECV)
        rc = ipc_channel_open_to_read_(ch, &how, rc, deadline);
    if (rc != 0)
        return ipc_channel_refuse_(ch, ipc_channel_segment_error_(rc), "ring: %s",
                                   ipc_shm_why(seg));
    rc = ipc_channel_segment_error_(ipc_channel_ring_attach_(ch, listener));
    if (rc == 0 && !listener)
        ipc_channel_fault_in_rings_(ch);
    return rc;
}

/* A segment of ring: has the magic of ipc_shm.h, and its objects are our rings; it has no object if
 * its listener was killed before it made one. */
IPC_INLINE int ipc_channel_ring_unlink_(struct ipc_channel *ch)
{
    char path[PATH_MAX];
    struct ipc_shm_entry_ entry[IPC_SHM_OBJECTS];
    struct ipc_shm_header_ h;
    struct ipc_shm unused;
    int rc = ipc_channel_ring_check_name_(ch);
    int64_t n;
    size_t i;

    rc = rc != 0 ? rc : ipc_shm_path_(&unused, path, ch->address);
    if (rc != 0)
        return rc;
    memset(&h, 0, sizeof h);
    n = ipc_channel_read_at_(path, &h, sizeof h, 0);
    if (n >= 0 && (h.magic != IPC_SHM_MAGIC || h.members > IPC_SHM_MEMBERS_MAX ||
                   h.objects != IPC_SHM_OBJECTS))
        return -EPROTO;
    if (n >= 0)
        n = ipc_channel_read_at_(path, entry, sizeof entry,
                                 sizeof h + h.members * sizeof(struct ipc_shm_member_));
    if (n < (int64_t)sizeof entry)
        return n < 0 ? (int)n : -EPROTO;
    for (i = 0; i < IPC_SHM_OBJECTS; i++) {
        char *object = entry[i].name;

        object[IPC_SHM_NAME_MAX] = '\0';
        if (*object != '\0' && strcmp(object, "to") != 0 && strcmp(object, "from") != 0 &&
            strcmp(object, "shared") != 0 && strcmp(object, "answers") != 0)
            return -EPROTO;
    }
    return ipc_channel_remove_(path, S_IFREG);
}

static const struct ipc_channel_serve_ ipc_channel_ring_serve_ = {
    ipc_channel_serve_ring_,
    ipc_channel_ring_server_close_,
    ipc_channel_ring_server_recv_,
    ipc_channel_ring_server_send_to_,
    ipc_channel_ring_server_drop_,
    NULL, /* flush: nothing is left */
    ipc_channel_ring_descriptor_,
    ipc_channel_ring_server_describe_,
    ipc_channel_ring_server_is_ready_,
};

static const struct ipc_channel_kind_ ipc_channel_ring_kind_ = {
    "ring",
    IPC_CHANNEL_SENDERS_ | IPC_CHANNEL_NO_FD_ | IPC_CHANNEL_PUBLISHES_,
    0, /* own: ipc_channel's ring */
    0,
    0,
    ipc_channel_ring_open_,
    NULL, /* close */
    ipc_channel_ring_unlink_,
    ipc_channel_shared_send_,
    ipc_channel_polled_recv_,
    NULL, /* meet: send and recv wait for peers */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    ipc_channel_ring_descriptor_,
    NULL, /* describe */
    ipc_channel_ring_is_ready_,
    &ipc_channel_ring_serve_,
};

#endif

/* >>ring_poll  src/channel/ring_poll.h */
/*
 * The descriptor of ring: for event loops, which costs a sender nothing as long as nobody polls.
 *
 * It is an epoll set of two: an inotify of the segment's file, and a timer. The receiver announces
 * that it polls by the flag DOZING of its ring's bell (notify/layout.h). The next post finds the
 * flag, takes it off and reads a byte of the segment's file, which every inotify of the file
 * reports. When a member of the segment dies, the kernel closes its file description, and that is
 * reported, too: see shm/watch.h. So no thread, no socket and nothing in the file system is needed,
 * and no process is named: all that a stranger who may read the file can do is to wake the loop for
 * nothing. A post also wakes the other loops of the same segment, for nothing.
 *
 *   from       to         when
 *   --------   --------   ------------------------------------------------------------------------
 *   no set     awake      ipc_channel_fd. The timer is set to a moment ago: the first poll ends at
 *                         once, as nobody has announced anything yet
 *   awake      polling    recv with IPC_NOW has found nothing: takes what the descriptors report,
 *                         sets DOZING, and looks once more
 *   polling    awake      a post: it has taken DOZING off, then stirred
 *   polling    asking     a process has closed the file. The kernel gives the proof of a death a
 *                         moment after it has reported it. So each recv asks, and the timer ends
 *                         the next polls: 8 in 16 ms
 *   asking     polling    the 8th of them
 *
 * A thread that waits in recv meanwhile is woken as without a descriptor.
 */
#ifndef IPC_SRC_CHANNEL_RING_POLL_H
#define IPC_SRC_CHANNEL_RING_POLL_H 1

#include <sys/timerfd.h>

#define IPC_CHANNEL_ASKS_ 8u /* for deaths, after a process has closed the file; 2 ms between them */

/* ------------------------------------------------------------------ the set */

IPC_INLINE void ipc_channel_close_polls_(struct ipc_channel_polls_ *p)
{
    ipc_channel_close_fd_(&p->set);
    ipc_close_last_(&p->last);
    ipc_channel_close_fd_(&p->events);
    ipc_channel_close_fd_(&p->timer);
}

/* Sets the timer: the first time after so many nanoseconds, then each 2 ms; 0: never. */
IPC_INLINE void ipc_channel_set_timer_(const struct ipc_channel_polls_ *p, long first)
{
    struct itimerspec t;

    memset(&t, 0, sizeof t);
    t.it_value.tv_nsec = first;
    t.it_interval.tv_nsec = first != 0 ? 2000000 : 0;
    (void)timerfd_settime(p->timer, 0, &t, NULL);
}

/* Opens the set. 0, or a negative errno. */
IPC_INLINE int ipc_channel_open_polls_(struct ipc_channel *ch)
{
    struct ipc_channel_polls_ *p = &ch->ring->polls;
    struct epoll_event e;
    int rc;

    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    p->events = ipc_shm_loop_(&ch->ring->seg);
    if (p->events < 0)
        return p->events;
    ipc_end_last_(&p->last, p->events);
    p->timer = ipc_move_fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    p->set = p->timer < 0 ? -1 : ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    if (p->set >= 0 && epoll_ctl(p->set, EPOLL_CTL_ADD, p->events, &e) == 0 &&
        epoll_ctl(p->set, EPOLL_CTL_ADD, p->timer, &e) == 0) {
        p->asks = IPC_CHANNEL_ASKS_;
        ipc_channel_set_timer_(p, 1);
        return 0;
    }
    rc = -errno;
    ipc_channel_close_polls_(p);
    return rc;
}

/* Takes what the inotify reports. Has a process closed the file, or may one have? */
IPC_INLINE int ipc_channel_take_events_(const struct ipc_channel_polls_ *p)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } room;
    struct inotify_event e;
    ssize_t got, at;
    int tries, closed = 0;

    for (tries = 0; tries < 64 && (got = read(p->events, room.bytes, sizeof room.bytes)) > 0;
         tries++)
        for (at = 0; got - at >= (ssize_t)sizeof e; at += (ssize_t)(sizeof e + e.len)) {
            memcpy(&e, room.bytes + at, sizeof e);
            closed |= (e.mask & ~(uint32_t)IN_ACCESS) != 0; /* closed, or events were lost */
        }
    return closed;
}

/* Where there is a set: takes what it reports, and announces a poll. The caller looks once more
 * after that. Is it to ask for deaths, too? */
IPC_INLINE int ipc_channel_announce_poll_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    uint64_t expired;

    if (ipc_channel_take_events_(&r->polls)) {
        r->polls.asks = IPC_CHANNEL_ASKS_;
        ipc_channel_set_timer_(&r->polls, 1000000);
        r->data.asks = 1;
    }
    if (read(r->polls.timer, &expired, sizeof expired) > 0) {
        r->data.asks = 1;
        if (r->polls.asks == 0 || --r->polls.asks == 0)
            ipc_channel_set_timer_(&r->polls, 0);
    }
    ipc_notify_arm(&r->data);
    return r->data.asks;
}

/* ------------------------------------------------------------------ what the table names */

/* The set; made by the first call. */
IPC_INLINE int ipc_channel_ring_descriptor_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    int rc;

    if ((ch->role & IPC_RECV) == 0)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "%s: no descriptor to poll for room, only for messages",
                                   ch->kind->scheme);
    if (r->polls.set >= 0)
        return r->polls.set;
    rc = ipc_channel_open_polls_(ch);
    return rc < 0 ? ipc_channel_refuse_(ch, rc, "%s:%s: no descriptor to poll: %s",
                                        ch->kind->scheme, ch->address, strerror(-rc))
                  : r->polls.set;
}

IPC_INLINE int64_t ipc_channel_polled_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline)
{
    int64_t rc = ipc_channel_shared_recv_(ch, to, size, deadline);

    if (rc != -ETIMEDOUT || deadline != IPC_NOW || ch->ring->polls.set < 0)
        return rc;
    (void)ipc_channel_announce_poll_(ch);
    return ipc_channel_shared_recv_(ch, to, size, deadline);
}

/* Is the process gone that was seen at the other end, where one sends, or one that came and went
 * since the last look? */
IPC_INLINE int ipc_channel_has_lost_(const struct ipc_channel *ch, const uint64_t *holder)
{
    const struct ipc_channel_ring_ *r = ch->ring;
    const uint64_t *left = ipc_channel_left_(ch, 0);
    uint64_t now = ck_pr_load_64(holder);

    if (!r->one_sender)
        return 0;
    if (r->writer != 0)
        return now == 0 || ipc_channel_has_left_(ch, r->writer, now);
    return now == 0 && left != NULL && ck_pr_load_64(left) != r->left[0];
}

/* Has the ring of records a message, or an error, as after fork? A client finds no answer to another
 * one. */
IPC_INLINE int ipc_channel_has_record_(struct ipc_channel_ring_ *r)
{
    int rc = ipc_channel_has_answers_(r);
    size_t n;

    return rc > 0 ? ipc_record_look_(&r->in, &n) != -EAGAIN : rc != 0;
}

/* Has recv something to tell? A message, the end of the only sender, or, perhaps, a death. */
IPC_INLINE int ipc_channel_ring_is_ready_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    int asks = r->polls.set >= 0 && ipc_channel_announce_poll_(ch);

    if (asks || ipc_channel_has_misfit_(r))
        return 1;
    if (r->subscriber.ring != NULL)
        return ipc_channel_has_news_(r);
    if (r->take.m.ring != NULL)
        return ipc_mpmc_peek(&r->take) != NULL || ipc_mpmc_consumer_error(&r->take) != 0 ||
               ipc_channel_has_lost_(ch, &r->take.m.ring->end[0]);
    return ipc_channel_has_record_(r) || ipc_channel_has_lost_(ch, &r->in.ring->end[0]);
}

#endif

/* >>ring_talk  src/channel/ring_talk.h */
/*
 * Whom an answer over ring: and sysvshm: is for.
 *
 * A listener in both directions, with one client at a time, sends to the client that the last
 * message came from. It says so by the terms of the lane of "from" (record_lane.h), of which a
 * client finds the last one before it reads anything: so it reads no answer to another, whatever
 * the moment at which either process left, was killed, or attached.
 *
 *   last term     becomes       by the listener, when
 *   -----------   -----------   --------------------------------------------------------------------
 *   any           0, from the   it attaches; or recv has reported the loss of the client: what is
 *                 tail on       sent now is for the next one
 *   0, from p on  k, from p on  it sends, and finds that k receives
 *   k             0 or j, from  it sends, k does not receive any more, and no message of k is the
 *                 the tail on   last one that came
 *
 *   client k      reads         once the last term has its id, or 0, from where that begins
 *
 * While the last message that came is one of k, and k does not receive any more, each send is
 * refused: until recv reports the loss, or a message of the next client comes. The lane of "to" says
 * which message is whose, as each client has a term there, and whether it waits for answers: ASKS.
 */
#ifndef IPC_SRC_CHANNEL_RING_TALK_H
#define IPC_SRC_CHANNEL_RING_TALK_H 1

/* Whether what the listener sends is for one client at a time, and this side has to know for which:
 * in both directions, with one sender. The ends of auto: have never another process. */
IPC_INLINE void ipc_channel_begin_talk_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_ring_ *r = ch->ring;

    if ((ch->role & IPC_BOTH) != IPC_BOTH || r->in.producers != 1 ||
        (ch->kind->flags & IPC_CHANNEL_BELL_FD_) != 0)
        return;
    r->talks = listener;
    r->awaits = !listener;
    r->next_from = r->out.tail;
    if (listener)
        ipc_record_next_term_(&r->out, 0, r->next_from);
    else
        ipc_record_ask_(&r->out);
}

/* The lane of the ring that we receive from. */
IPC_INLINE struct ipc_record_lane_ *ipc_channel_to_lane_(const struct ipc_channel_ring_ *r)
{
    return ipc_record_lane_at_((struct ipc_record_shared *)(void *)r->in.ring, 0);
}

/* The client that the last message came from; 0: it waits for no answers, or its loss was reported.
 * IPC_PEER_READ_ONLY, which never holds an end, stands for one of long ago. */
IPC_INLINE uint64_t ipc_channel_find_asker_(struct ipc_channel_ring_ *r)
{
    struct ipc_record_lane_ *l = ipc_channel_to_lane_(r);
    struct ipc_record_term_ t;
    uint64_t id, n;

    if (!r->has_asker)
        return 0;
    n = ipc_record_find_term_(l, r->in.at, &id);
    if (id == 0 || !ipc_record_read_term_(l, n, &t))
        return IPC_PEER_READ_ONLY;
    return (t.from & IPC_RECORD_ASKS_) != 0 ? t.id : 0;
}

/* Begins the next term of what the listener sends. */
IPC_INLINE void ipc_channel_address_(struct ipc_channel_ring_ *r, uint64_t id)
{
    if (r->addressed == id)
        return;
    if (r->addressed != 0)
        r->next_from = r->out.tail;
    r->addressed = id;
    ipc_record_next_term_(&r->out, id, r->next_from);
    (void)ipc_notify_post(&r->out_data); /* the client may sleep until it has a term */
}

/* The listener is about to send. 0, or -EPIPE: the client that it would answer is gone. */
IPC_INLINE int ipc_channel_address_asker_(struct ipc_channel_ring_ *r)
{
    uint64_t reader = ck_pr_load_64(&r->out.ring->end[1]), asker = ipc_channel_find_asker_(r);

    r->sender = ck_pr_load_64(&r->in.ring->end[0]);
    if (asker != 0 && (reader != asker || reader == r->out_space.reported))
        return -EPIPE;
    if (asker == 0 && r->reader != 0 && reader != r->reader) { /* reported once */
        r->reader = 0;
        return -EPIPE;
    }
    r->reader = reader;
    ipc_channel_address_(r, reader);
    return 0;
}

/* The listener has received. The next send goes the long way, if it may be for another client. */
IPC_INLINE void ipc_channel_note_asker_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    uint64_t id = 0;

    if (!r->has_asker || ck_pr_load_64(&r->in.ring->end[0]) != r->sender)
        ch->quick_sends = 0;
    r->has_asker = 1;
    if (r->writer <= 1) /* it came and sent since the last wait */
        (void)ipc_record_find_term_(ipc_channel_to_lane_(r), r->in.at, &id);
    r->writer = id != 0 ? id : r->writer;
}

/* The process that sent the last message, of a ring that one sends to; 1: it is not known. */
IPC_INLINE uint64_t ipc_channel_find_sender_(struct ipc_channel_ring_ *r)
{
    uint64_t id = 0;

    (void)ipc_record_find_term_(ipc_channel_to_lane_(r), r->in.at, &id);
    return id != 0 ? id : 1;
}

/* How a sender has ended that holds its end no more: -EPIPE or -EOWNERDEAD. */
IPC_INLINE int ipc_channel_how_ended_(struct ipc_channel_ring_ *r, uint64_t id)
{
    struct ipc_record_lane_ *l = ipc_channel_to_lane_(r);
    uint64_t terms = ipc_record_count_terms_(l), n;
    struct ipc_record_term_ t;

    for (n = 1; n <= terms && n < IPC_RECORD_TERMS_; n++)
        if (ipc_record_read_term_(l, terms - n, &t) && t.id == id)
            return (t.from & IPC_RECORD_LEFT_) != 0 ? -EPIPE : -EOWNERDEAD;
    return -EPIPE;
}

/* recv has reported the loss of a client to the listener. What is sent from now on is for the next
 * one, unless that has sent already. */
IPC_INLINE void ipc_channel_end_talk_(struct ipc_channel *ch, uint64_t lost)
{
    struct ipc_channel_ring_ *r = ch->ring;
    uint64_t asker = ipc_channel_find_asker_(r);

    if (r->has_asker && asker != lost && asker != IPC_PEER_READ_ONLY)
        return;
    r->has_asker = 0;
    r->reader = 0;
    ch->quick_sends = 0;
    ipc_channel_address_(r, 0);
}

/* May the client read? 1, 0 or -EBADMSG. */
IPC_INLINE int ipc_channel_has_answers_(struct ipc_channel_ring_ *r)
{
    int rc = r->awaits ? ipc_record_go_to_answers_(&r->in, r->out.id) : 1;

    r->awaits = rc == 0;
    return rc;
}

/* A client of a server that was told of its loss begins anew: as one whom the server does not know.
 */
IPC_INLINE void ipc_channel_rejoin_(struct ipc_channel_ring_ *r)
{
    if (!r->rejoins)
        return;
    r->rejoins = 0;
    r->awaits = 1;
    ipc_record_next_term_(&r->out, r->out.id, r->out.tail | IPC_RECORD_ASKS_);
}

#endif

/* >>ring_server  src/channel/ring_server.h */
/*
 * A server over ring: one ring of records to it, with a lane for each client, and a ring of answers
 * for each lane, so that a client that does not read its answers costs the others nothing.
 *
 *     "answers"   as many rings of records as there are lanes, in a row; the server sends to all
 *     "to"        a ring of records with the lanes; it is made last, and a client finds by it that
 *                 "answers" is there, so that it talks to a server
 *
 * What it promises, with up to 64 clients at a time:
 *
 *   - A client that floods, is idle, stopped, or does not read costs the others its turns, of 4 KiB.
 *     Its ring of answers fills, and then a send to it waits, or says -ETIMEDOUT.
 *   - The end of each client is reported once, by its number, after all that it sent: -EPIPE, or
 *     -EOWNERDEAD within 10 ms where it was killed. Its place is free as soon as it has gone, and the
 *     next client there has another number.
 *   - An answer goes to the client of that number, or is refused with -EPIPE. No other client reads
 *     it, wherever either was stopped or killed.
 *   - The successor of a server that has ended gets what its clients have sent, some of it for the
 *     second time if the server was killed: 4 KiB of each at most. Each client is told of the loss
 *     once, and goes on with the successor, by a new number; answers to it that it had not read
 *     may be lost.
 *   - All share one segment. A client that writes where it likes can make calls of all say -EBADMSG,
 *     but causes no memory error and no missed deadline. A server of auto: has memory for each client.
 *
 * A client takes a lane, the one that suits best (record.h), then the receiving end of the ring of
 * answers of the same number; it leaves them in the opposite order. So whoever has the lane finds
 * that end free, or its holder dead, wherever others were stopped or killed. It reads nothing before
 * the last term of its answers has its id: see ring_talk.h.
 *
 * What the server knows of a lane:
 *
 *   from          to            when
 *   -----------   -----------   -----------------------------------------------------------------
 *   nobody,       number n      a record is next that was sent in a term that the server does not
 *   number m                    know, and the ends of all terms before it were reported: n is new,
 *                               and the next term of the answers is for that client
 *   number n      nobody        the term has ended and all that was sent in it was taken: reported
 *   nobody        nobody        the same, of a term in which nothing was sent: reported with a new
 *                               number
 *   number n      dropped       ipc_channel_drop: the server leaves its end of the answers. What the
 *                               client sends in this term is skipped; the client, once it has found
 *                               the server's end free, begins a new term
 *   dropped       nobody        the term has ended: not reported
 *
 * A number is a count, times 64, plus the lane: it is this handle's, and no shared memory changes
 * it.
 */
#ifndef IPC_SRC_CHANNEL_RING_SERVER_H
#define IPC_SRC_CHANNEL_RING_SERVER_H 1

/* How many bytes a client sends before the others have their turns, and how many the successor of a
 * killed server may see again. */
#define IPC_CHANNEL_TURN_ 4096u

struct ipc_channel_ring_client_ {
    uint64_t number; /* 0: nobody */
    uint64_t id;     /* its process */
    uint64_t terms;  /* how many its lane has had, with its own */
    int dropped;
    struct ipc_record_producer out; /* its answers */
    struct ipc_notify data, space;  /* bells of out: to post, to sleep on */
};

struct ipc_channel_ring_server_ {
    uint64_t count; /* of the last number */
    unsigned lanes;
    struct ipc_channel_ring_client_ client[IPC_CHANNEL_LANES_];
};

IPC_INLINE struct ipc_channel_ring_server_ *ipc_channel_ring_server_of_(const struct ipc_channel *ch)
{
    return (struct ipc_channel_ring_server_ *)ch->server;
}

/* ------------------------------------------------------------------ the rings of answers */

/* Bytes of one. */
IPC_INLINE size_t ipc_channel_one_answers_(const struct ipc_channel *ch)
{
    return ipc_record_footprint(ipc_channel_lane_(ch->max), 1); /* whole lines */
}

IPC_INLINE size_t ipc_channel_answers_bytes_(const struct ipc_channel *ch)
{
    return (ch->role & IPC_SEND) != 0 ? ch->how.clients * ipc_channel_one_answers_(ch) : 0;
}

/* The server makes them, or finds those of its predecessor. */
IPC_INLINE int ipc_channel_make_answers_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    size_t one = ipc_channel_one_answers_(ch);
    unsigned i;
    int rc;

    if ((ch->role & IPC_SEND) == 0)
        return 0;
    rc = ipc_shm_make(&r->seg, "answers", IPC_RECORD_TYPE, ch->how.clients * one, &r->answers);
    for (i = 0; i < ch->how.clients && rc == 0; i++)
        rc = ipc_record_init((unsigned char *)r->answers.mem + i * one, one,
                             ipc_channel_lane_(ch->max), 1);
    if (rc == 0)
        rc = ipc_shm_publish(&r->seg, &r->answers);
    if (rc == -EEXIST)
        rc = ipc_shm_find(&r->seg, "answers", IPC_RECORD_TYPE, &r->answers);
    if (rc == 0 && r->answers.size != ch->how.clients * one)
        rc = ipc_shm_refuse(&r->seg, -EPROTO, "a server of another number of clients is there");
    return rc;
}

/* A client, which has found "to", looks whether the listener is a server. */
IPC_INLINE int ipc_channel_find_answers_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    int64_t deadline = r->seg.deadline;
    int rc;

    r->seg.deadline = IPC_NOW;
    rc = ipc_shm_find(&r->seg, "answers", IPC_RECORD_TYPE, &r->answers);
    r->seg.deadline = deadline;
    if (rc != 0)
        r->answers.mem = NULL;
    return rc == -ENOENT ? 0 : rc;
}

/* Those of the lane that the client has taken. */
IPC_INLINE struct ipc_shm_object ipc_channel_own_answers_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_record_shared *to = (struct ipc_record_shared *)(void *)r->out.ring;
    struct ipc_shm_object own = r->answers;
    size_t lane = (size_t)(r->out.lane - ipc_record_lane_at_(to, 0)), lanes;

    lanes = ck_pr_load_32(&to->s.is.how);
    lanes = lanes <= lane || lanes > IPC_CHANNEL_LANES_ ? IPC_CHANNEL_LANES_ : lanes;
    own.size = own.size / lanes & ~(size_t)63;
    own.mem = (unsigned char *)own.mem + lane * own.size;
    return own;
}

/* ------------------------------------------------------------------ opening and closing */

/* Attaches to a lane's answers. */
IPC_INLINE int ipc_channel_attach_answers_(struct ipc_channel *ch, unsigned lane)
{
    struct ipc_channel_ring_client_ *c = &ipc_channel_ring_server_of_(ch)->client[lane];
    struct ipc_channel_ring_ *r = ch->ring;
    size_t one = ipc_channel_one_answers_(ch);
    struct ipc_peer *me = ipc_shm_peer(&r->seg);
    int rc = ipc_record_producer_attach(&c->out, (unsigned char *)r->answers.mem + lane * one, one,
                                        me);

    if (rc == 0 && c->data.at == NULL)
        rc = ipc_channel_attach_bells_(ch, me, &c->data, c->out.ring->data_bell, &c->space,
                                       c->out.ring->space_bell);
    if (rc == 0 && c->out.mask + 1 != ipc_channel_lane_(ch->max))
        rc = ipc_shm_refuse(&r->seg, -EPROTO, "answers of another size are there");
    return rc;
}

/* Behind the mechanism's open, which has attached the receiving end of "to". */
IPC_INLINE int ipc_channel_serve_ring_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_ring_server_ *own =
        (struct ipc_channel_ring_server_ *)calloc(1, sizeof *own);
    unsigned i;
    int rc = 0;

    ch->server = own;
    if (own == NULL)
        return ipc_channel_refuse_(ch, -ENOMEM, "no memory for %u clients", ch->how.clients);
    own->lanes = r->in.producers;
    if (own->lanes != ch->how.clients)
        return ipc_channel_refuse_(ch, -EPROTO, "ring:%s: a server of %u clients is there",
                                   ch->address, own->lanes);
    for (i = 0; i < own->lanes && rc == 0 && (ch->role & IPC_SEND) != 0; i++)
        rc = ipc_channel_attach_answers_(ch, i);
    if (rc != 0)
        return ipc_channel_refuse_(ch, rc, "ring:%s: %s", ch->address, ipc_shm_why(&r->seg));
    ipc_record_replay(&r->in, IPC_CHANNEL_TURN_);
    ipc_notify_watch_anyone(&r->data);
    r->in.ask = 1;
    return 0;
}

IPC_INLINE void ipc_channel_ring_server_close_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_server_ *own = ipc_channel_ring_server_of_(ch);
    unsigned i;

    for (i = 0; i < own->lanes; i++) {
        struct ipc_channel_ring_client_ *c = &own->client[i];

        if (ch->pid == getpid()) {
            ipc_record_producer_detach(&c->out);
            (void)ipc_notify_post(&c->data);
        }
        ipc_notify_detach(&c->data);
        ipc_notify_detach(&c->space);
    }
    free(own);
    ch->server = NULL;
}

/* ------------------------------------------------------------------ which client it is */

IPC_INLINE uint64_t ipc_channel_next_number_(struct ipc_channel_ring_server_ *own, unsigned lane)
{
    return ++own->count * IPC_CHANNEL_LANES_ + lane;
}

/* An end was found: that of term number `reported - 1` of a lane. Reports it, and returns rc; 0: it
 * is not to be reported, as the server has dropped the client. */
IPC_INLINE int ipc_channel_tell_end_(struct ipc_channel *ch, int rc)
{
    struct ipc_channel_ring_server_ *own = ipc_channel_ring_server_of_(ch);
    struct ipc_channel_ring_ *r = ch->ring;
    unsigned lane = r->in.ended.lane;
    struct ipc_channel_ring_client_ *c = &own->client[lane];
    int known = c->number != 0 && c->terms == r->in.reported[lane], dropped = known && c->dropped;

    if (!dropped)
        ch->from = known ? c->number : ipc_channel_next_number_(own, lane);
    if (known)
        c->number = 0;
    return dropped ? 0 : rc;
}

/* A record is next in a lane, of a term that the server does not know. 1: now it does; 0: look
 * again; or the end of a client before it, or an error. */
IPC_INLINE int ipc_channel_meet_client_(struct ipc_channel *ch, unsigned lane)
{
    struct ipc_channel_ring_server_ *own = ipc_channel_ring_server_of_(ch);
    struct ipc_channel_ring_client_ *c = &own->client[lane];
    struct ipc_record_consumer *in = &ch->ring->in;
    struct ipc_record_lane_ *l =
        ipc_record_lane_at_((struct ipc_record_shared *)(void *)in->ring, lane);
    uint64_t id, n = ipc_record_find_term_(l, in->head, &id);
    int rc = (int64_t)(n - in->reported[lane]) > 0 ? ipc_record_find_end_(in, lane, 0) : 0;

    if (rc != 0)
        return ipc_channel_tell_end_(ch, rc);
    if (c->number != 0 && c->terms == n + 1)
        return 1;
    if (ch->ring->answers.mem != NULL && c->out.ring == NULL &&
        (rc = ipc_channel_attach_answers_(ch, lane)) != 0)
        return ipc_channel_refuse_(ch, rc, "ring:%s: %s", ch->address, ipc_shm_why(&ch->ring->seg));
    c->number = ipc_channel_next_number_(own, lane);
    c->id = id;
    c->terms = n + 1;
    c->dropped = 0;
    if (c->out.ring != NULL) {
        ipc_record_next_term_(&c->out, id, c->out.tail);
        (void)ipc_notify_post(&c->data); /* the client may sleep until it has a term */
    }
    return 1;
}

/* Skips what a dropped client has sent. 0 or -EBADMSG. */
IPC_INLINE int ipc_channel_skip_dropped_(struct ipc_record_consumer *in)
{
    uint64_t count = 0;
    int rc = ipc_record_walk_to_end_(in->data, in->mask, &in->head, &count);

    in->peeked = 0;
    if (rc != 0)
        return ipc_record_fail_(in, rc);
    ipc_record_publish_(in);
    ipc_record_raise_(in, IPC_RECORD_TURN_);
    return 0;
}

/* Is the next record, in the lane that the consumer is at, one to be received? 1, with `from`; 0:
 * look again; or as ipc_channel_meet_client_. */
IPC_INLINE int ipc_channel_admit_(struct ipc_channel *ch)
{
    struct ipc_record_consumer *in = &ch->ring->in;
    struct ipc_channel_ring_client_ *c = &ipc_channel_ring_server_of_(ch)->client[in->lane];
    struct ipc_record_lane_ *l =
        ipc_record_lane_at_((struct ipc_record_shared *)(void *)in->ring, in->lane);
    int rc;

    /* No term has begun since the record was seen: it is of the last one. */
    if (CK_CC_UNLIKELY(c->number == 0 || ck_pr_load_64(&l->terms) != c->terms) &&
        (rc = ipc_channel_meet_client_(ch, in->lane)) <= 0)
        return rc;
    if (CK_CC_UNLIKELY(c->dropped))
        return ipc_channel_skip_dropped_(in);
    ch->from = c->number;
    return 1;
}

/* ------------------------------------------------------------------ receiving */

/* Looks for the next record, or end: *n is the record's length. 1; -EAGAIN: there is none; the end
 * of a client; or -EBADMSG. It is bounded, whatever the clients do. */
IPC_INLINE int ipc_channel_find_next_(struct ipc_channel *ch, size_t *n)
{
    struct ipc_record_consumer *in = &ch->ring->in;
    unsigned looks;
    int rc = 0;

    in->ask |= ipc_notify_anyone_died(&ch->ring->data);
    for (looks = 0; rc == 0 && looks < 4 * IPC_CHANNEL_LANES_; looks++) {
        rc = ipc_record_look_(in, n);
        if (rc == 0) {
            rc = ipc_channel_admit_(ch);
        } else if (rc == -EAGAIN) {
            rc = ipc_record_find_any_end_(in, in->ask);
            in->ask &= rc != 0; /* the others are still to be asked for */
            rc = rc != 0 ? ipc_channel_tell_end_(ch, rc) : -EAGAIN;
        }
    }
    return rc != 0 ? rc : -EAGAIN;
}

IPC_INLINE int ipc_channel_try_serve_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;
    struct ipc_record_consumer *in = &t->ch->ring->in;
    size_t n = 0;

    (void)argument;
    t->rc = ipc_channel_find_next_(t->ch, &n);
    if (t->rc == 1 && n > t->n) {
        t->ch->next = n;
        t->rc = -EMSGSIZE;
        ipc_record_raise_(in, IPC_RECORD_TURN_); /* it stays, and the others have their turns */
    } else if (t->rc == 1) {
        memcpy(t->to, ipc_record_payload_(in), n);
        (void)ipc_record_release_(in);
        t->ch->next = 0;
        t->rc = (int64_t)n;
    }
    return t->rc != -EAGAIN;
}

IPC_INLINE void ipc_channel_post_room_(struct ipc_channel_ring_ *r)
{
    if (r->in.post_due == 0)
        return;
    r->in.post_due = 0;
    (void)ipc_notify_post(&r->space);
}

IPC_INLINE int64_t ipc_channel_ring_server_recv_(struct ipc_channel *ch, void *to, size_t size,
                                                 int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, NULL, to, size, 0, 0};
    int rc = 0;

    if (!ipc_channel_try_serve_(&t, NULL)) {
        ipc_channel_post_room_(r); /* clients may sleep until there is room */
        if (deadline == IPC_NOW && r->polls.set >= 0)
            (void)ipc_channel_announce_poll_(ch);
        rc = ipc_notify_wait_until_(&r->data, deadline, ipc_channel_try_serve_, &t, NULL);
    }
    ipc_channel_post_room_(r);
    if (rc != 0)
        return rc;
    if (t.rc == -EMSGSIZE)
        return ipc_channel_refuse_size_(ch, ch->next, size);
    return t.rc < 0 ? ipc_channel_report_ring_end_(ch, (int)t.rc) : t.rc;
}

/* Has recv something to tell? */
IPC_INLINE int ipc_channel_ring_server_is_ready_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    unsigned lane;
    size_t n;

    if (r->polls.set >= 0 && ipc_channel_announce_poll_(ch))
        return 1;
    if (ipc_record_look_(&r->in, &n) != -EAGAIN)
        return 1;
    for (lane = 0; lane < r->in.producers; lane++) { /* one that has left is to be told of */
        struct ipc_record_shared *to = (struct ipc_record_shared *)(void *)r->in.ring;

        if (ck_pr_load_64(ipc_record_holder_(to, r->in.producers, lane)) == 0 &&
            ck_pr_load_64(&ipc_record_lane_at_(to, lane)->terms) != r->in.reported[lane])
            return 1;
    }
    return 0;
}

/* ------------------------------------------------------------------ answering */

IPC_INLINE int ipc_channel_refuse_ring_client_(struct ipc_channel *ch)
{
    return ipc_channel_refuse_(ch, -EPIPE, "ring:%s: that client is gone", ch->address);
}

/* The client of that number, or NULL. */
IPC_INLINE struct ipc_channel_ring_client_ *ipc_channel_find_ring_client_(const struct ipc_channel *ch,
                                                                     uint64_t number)
{
    struct ipc_channel_ring_server_ *own = ipc_channel_ring_server_of_(ch);
    struct ipc_channel_ring_client_ *c = &own->client[number % IPC_CHANNEL_LANES_];

    return number != 0 && c->number == number && !c->dropped ? c : NULL;
}

/* An answer under way. */
struct ipc_channel_answer_ {
    struct ipc_channel_ring_client_ *client;
    const void *message;
    size_t n;
};

IPC_INLINE int ipc_channel_try_answer_(void *handle, void *argument)
{
    const struct ipc_channel_answer_ *a = (const struct ipc_channel_answer_ *)handle;
    struct ipc_channel_ring_client_ *c = a->client;
    int rc;

    (void)argument;
    /* What goes in after it has left, no other client reads: see ring_talk.h. */
    if (c->out.ring == NULL || ck_pr_load_64(&c->out.ring->end[1]) != c->id)
        return -EPIPE;
    rc = ipc_record_push(&c->out, a->message, a->n);
    return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;
}

IPC_INLINE int ipc_channel_ring_server_send_to_(struct ipc_channel *ch, uint64_t client,
                                                const void *message, size_t n, int64_t deadline)
{
    struct ipc_channel_answer_ a = {ipc_channel_find_ring_client_(ch, client), message, n};
    int rc;

    if (a.client == NULL)
        return ipc_channel_refuse_ring_client_(ch);
    rc = ipc_channel_try_answer_(&a, NULL);
    if (rc == 0) {
        ipc_notify_watch(&a.client->space, a.client->id);
        rc = ipc_notify_wait_until_(&a.client->space, deadline, ipc_channel_try_answer_, &a, NULL);
    } else if (rc == 1) {
        rc = 0;
    }
    if (rc == -EPIPE || rc == -EOWNERDEAD)
        return ipc_channel_refuse_ring_client_(ch);
    if (rc == 0)
        (void)ipc_notify_post(&a.client->data);
    return rc == -EBADMSG ? ipc_channel_report_ring_end_(ch, rc) : rc;
}

IPC_INLINE int ipc_channel_ring_server_drop_(struct ipc_channel *ch, uint64_t client)
{
    struct ipc_channel_ring_client_ *c = ipc_channel_find_ring_client_(ch, client);

    if (c == NULL)
        return ipc_channel_refuse_ring_client_(ch);
    c->dropped = 1;
    ipc_record_producer_detach(&c->out);
    (void)ipc_notify_post(&c->data);
    return 0;
}

/* How many lanes have a client that is not known to have ended. */
IPC_INLINE void ipc_channel_ring_server_describe_(const struct ipc_channel *ch,
                                                  struct ipc_channel_facts *info)
{
    const struct ipc_record_consumer *in = &ch->ring->in;
    struct ipc_record_shared *to = (struct ipc_record_shared *)(void *)in->ring;
    unsigned lane;

    for (lane = 0; lane < in->producers; lane++)
        info->clients += ck_pr_load_64(ipc_record_holder_(to, in->producers, lane)) != 0 &&
                         ck_pr_load_64(&ipc_record_lane_at_(to, lane)->terms) != in->reported[lane];
}

#endif

/* >>sysvshm  src/channel/sysvshm.h */
/*
 * sysvshm:KEY, rings of records in a System V segment. KEY is a number, decimal, 0x or 0.
 *
 * For programs that have System V memory only. The listener makes the segment and two semaphores,
 * and the other side waits for them. One process on each side; both directions.
 *
 *     memory      a line with a count of ids, and a word for each side, not 0 once a process came
 *                 whose role does not fit; then the rings "to" and "from" the listener, with their
 *                 bells, each half of the rest
 *     semaphores  0: the listener is there; 1: the other side is there; its role and 1 while the
 *                 process lives: the kernel takes it back at the process's death (SEM_UNDO)
 *
 * A side sleeps on a bell, as over ring:. No descriptor reports that a semaphore has changed, so a
 * sleeper asks the kernel every 8 ms whether the other side is there.
 *
 *   Access   Each process that the segment's mode permits. A segment, or semaphores, of a user
 *            other than this one, root and options.user are refused. A listener that asks for rings
 *            of another size, while the other side has those that are there, is refused.
 *   Loss     As over ring:. Once the semaphores were removed, as ipc_channel_unlink does, no death
 *            can be proven and no process can come: what is there is received, and each call that
 *            would wait is -EPIPE, within a second if it waits already.
 *   Fork     The kernel frees a process's place at its death, and a child does not inherit it. A
 *            child whose parent is gone takes the place anew at its first call, with the ends.
 *   Limits   Messages of 1 MiB unless asked for; memory as over ring:. No descriptor for event loops:
 *            ipc_channel_wait_any sleeps on the bells of several such channels, and beside channels
 *            that have descriptors it looks once a millisecond. Segment and semaphores outlive their
 *            processes.
 */
#ifndef IPC_SRC_CHANNEL_SYSVSHM_H
#define IPC_SRC_CHANNEL_SYSVSHM_H 1

/* ------------------------------------------------------------------ sysvshm: */

struct ipc_channel_shm_ {
    unsigned char *mem;  /* the segment, or NULL */
    size_t half;         /* bytes of it for each ring */
    int sem;             /* the id of the semaphores */
    short worth;         /* what our place's semaphore has while we have it */
    int removed;         /* they are gone: see Loss */
    struct ipc_peer me;  /* an id is a count, times 2, and the number of our place's semaphore */
    /* A page that fork wipes: our id, while we have the place; our pid, as not each kernel wipes it;
     * until when we wait for our parent's death; and words by which the ends notice a fork. NULL: no
     * place was asked for. */
    uint64_t *self;
    unsigned word;       /* the last of those words that was used */
};

/* The line before the rings. */
struct ipc_channel_shm_head_ {
    uint64_t ids;
    uint64_t misfit[2]; /* by the number of the side's semaphore */
    unsigned char pad[40];
};

#define IPC_CHANNEL_SHM_HEAD_ sizeof(struct ipc_channel_shm_head_)
#define IPC_CHANNEL_SHM_SEMS_ 2 /* semaphores in the set */

/* As struct ipc_peer has it. -1 once the semaphores were removed. */
IPC_INLINE int ipc_channel_sem_alive_(void *arg, uint64_t id)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)arg;
    int value = semctl(own->sem, (int)(id % 2), GETVAL);

    own->removed |= value < 0 && (errno == EIDRM || errno == EINVAL);
    return own->removed ? -1 : value != 0;
}

/* Takes the place of that semaphore, if it is free. 0, or -1 and errno. */
IPC_INLINE int ipc_channel_sem_hold_(const struct ipc_channel_shm_ *own, unsigned place)
{
    struct sembuf take[2] = {{0, 0, IPC_NOWAIT}, {0, 1, IPC_NOWAIT | SEM_UNDO}};

    take[1].sem_op = own->worth;
    take[0].sem_num = take[1].sem_num = (unsigned short)place;
    return semop(own->sem, take, 2);
}

IPC_INLINE void ipc_channel_sem_give_back_(const struct ipc_channel_shm_ *own, unsigned place)
{
    struct sembuf gone = {0, -1, SEM_UNDO | IPC_NOWAIT};

    gone.sem_op = (short)-own->worth;
    gone.sem_num = (unsigned short)place;
    (void)semop(own->sem, &gone, 1);
}

/* Takes the place of that semaphore, and makes an id of it. 0, or -1 and errno. */
IPC_INLINE int ipc_channel_sem_take_(struct ipc_channel_shm_ *own, unsigned place)
{
    struct ipc_channel_shm_head_ *head = (struct ipc_channel_shm_head_ *)(void *)own->mem;

    if (ipc_channel_sem_hold_(own, place) != 0)
        return -1;
    own->me.id = (ck_pr_faa_64(&head->ids, 1) + 1) % (UINT64_MAX / 16) * 2 + place;
    own->self[1] = (uint64_t)getpid();
    own->self[0] = own->me.id;
    own->self[2] = 0;
    /* As in ipc_shm_enter_: what was inherited must not be taken for what was attached since. */
    if (own->word < ipc_shm_last_self_())
        own->word += own->word == 0 ? IPC_SHM_SELF_ : 1;
    if (own->word < ipc_shm_last_self_())
        own->self[own->word] = UINT64_MAX;
    own->me.self = &own->self[own->word];
    return 0;
}

/* Has this process our side's place? */
IPC_INLINE int ipc_channel_sem_is_placed_(const struct ipc_channel_shm_ *own)
{
    return own->self != NULL && own->self[0] != 0 && own->self[1] == (uint64_t)getpid();
}

/* struct ipc_peer's inherit. The place is free once our parent is gone. With it come the ends that
 * our parent held: no other process can take them. */
IPC_INLINE int ipc_channel_sem_inherit_(void *arg, uint64_t id, int leaves)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)arg;
    int i;

    if (ipc_channel_sem_is_placed_(own))
        return own->me.id == id; /* 0: the other end's call came first */
    if (leaves)
        return -ECHILD;
    if (own->self[2] == 0)
        own->self[2] = (uint64_t)ipc_in_ms(1000);
    while (ipc_channel_sem_take_(own, id % 2) != 0) {
        if (errno != EAGAIN || ipc_left_((int64_t)own->self[2]) == 0)
            return -ECHILD;
        (void)ipc_channel_nap_((int64_t)own->self[2]);
    }
    for (i = 0; i < 4; i++)
        (void)ck_pr_cas_64(&((struct ipc_spsc_shared *)(void *)(own->mem + IPC_CHANNEL_SHM_HEAD_ +
                                                                (size_t)(i / 2) * own->half))
                                ->end[i % 2], id, 0);
    return 0;
}

/* Takes our side's place. */
IPC_INLINE int ipc_channel_sem_take_place_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    size_t page = (size_t)getpagesize();
    void *self = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (self == MAP_FAILED)
        return ipc_channel_refuse_errno_(ch, "map a page for");
    own->self = (uint64_t *)self;
    own->worth = (short)((ch->role & IPC_BOTH) + 1);
    if (!ipc_wipe_on_fork_(self, page))
        own->word = ipc_shm_last_self_();
    own->me.alive = ipc_channel_sem_alive_;
    own->me.arg = own;
    own->me.inherit = ipc_channel_sem_inherit_;
    if (ipc_channel_sem_take_(own, !listener) == 0)
        return 0;
    if (errno != EAGAIN)
        return ipc_channel_refuse_errno_(ch, "take a place at");
    return ipc_channel_refuse_(ch, -EADDRINUSE, "sysvshm: another is at %s", ch->address);
}

/* Do our role and that of the other side fit, if it is there? If not, both are told: a listener goes
 * on, for the next one. Versions before this one do not tell their roles. 0 or -EPROTO. */
IPC_INLINE int ipc_channel_sem_check_roles_(struct ipc_channel *ch, int listener)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    struct ipc_channel_shm_head_ *head = (struct ipc_channel_shm_head_ *)(void *)own->mem;
    int value = semctl(own->sem, listener, GETVAL);
    unsigned other = value > 1 && value <= 1 + (int)IPC_BOTH ? (unsigned)value - 1 : 0, half;

    if (other == 0 || ipc_channel_ring_roles_fit_(listener ? ch->role : other,
                                                  listener ? other : ch->role))
        return 0;
    ck_pr_store_64(&head->misfit[listener], 1);
    if (listener) {
        ck_pr_store_64(&head->misfit[0], 1);
        return 0;
    }
    half = (other & IPC_RECV) == 0;
    ipc_channel_find_sleeper_(ch, own->mem + IPC_CHANNEL_SHM_HEAD_ + half * own->half, &own->me);
    (void)snprintf(own->me.why, sizeof own->me.why, "%s", ipc_channel_loss_text_(-EPROTO));
    return -EPROTO;
}

/* Frees our end of a ring: a process that has it is dead, as we have the place. The listener makes
 * the ring, unless one of the same size is there: what is in it goes on. One of another size may be
 * in use at the other end, whose place the listener takes meanwhile. 0; -EADDRINUSE: it is. */
IPC_INLINE int ipc_channel_sem_make_ring_(struct ipc_channel *ch, struct ipc_shm_object *ring,
                                          int listener, unsigned role)
{
    struct ipc_spsc_shared *shared = (struct ipc_spsc_shared *)ring->mem;
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    uint64_t capacity = ipc_channel_lane_(ch->max), there = ck_pr_load_64(&shared->is.capacity);
    int is_made = ck_pr_load_64(&shared->is.magic) == IPC_RECORD_MAGIC, rc;

    ck_pr_store_64(&shared->end[role == IPC_RECV], 0);
    if (!listener || (there == capacity && is_made))
        return 0;
    if (is_made && ipc_channel_sem_hold_(own, 1) != 0)
        return ipc_ring_refuse_(&own->me, -EADDRINUSE, "rings of another size are in use; bytes",
                                there, capacity);
    rc = ipc_record_init(ring->mem, ring->size, capacity, 1);
    if (is_made)
        ipc_channel_sem_give_back_(own, 1);
    return rc;
}

/* ------------------------------------------------------------------ the segment */

/* Bytes for each ring in a segment of that size. */
IPC_INLINE size_t ipc_channel_shm_half_(size_t size)
{
    return (size - IPC_CHANNEL_SHM_HEAD_) / 2 & ~(size_t)63;
}

/* Bytes of a segment with two rings of that capacity. */
IPC_INLINE size_t ipc_channel_shm_size_(uint64_t capacity)
{
    return IPC_CHANNEL_SHM_HEAD_ + 2 * ipc_record_footprint(capacity, 1);
}

/* The capacity of the rings in a segment of that size; 0: sysvshm: makes none of that size. */
IPC_INLINE uint64_t ipc_channel_shm_capacity_(size_t size)
{
    uint64_t capacity = ipc_channel_lane_(0), last = ipc_channel_lane_(UINT32_MAX / 2);

    while (capacity < last && ipc_channel_shm_size_(capacity) < size)
        capacity *= 2;
    return ipc_channel_shm_size_(capacity) == size ? capacity : 0;
}

/* Has sysvshm: made this segment? Then its size is that of two rings, and one of them is a ring of
 * records, or neither was made yet. 1, 0, or a negative errno of the kernel. Writes nothing. */
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
            (const struct ipc_spsc_shared *)(const void *)(mem + IPC_CHANNEL_SHM_HEAD_ +
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

/* Checks that we may use the segment that was found. */
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

/* Checks that we may use the semaphores that were found. Those of another user, or with a wider
 * mode, would let that user say who is dead. */
IPC_INLINE int ipc_channel_sem_check_(struct ipc_channel *ch, int sem)
{
    union { /* semctl's fourth argument, which libc does not declare */
        int value;
        struct semid_ds *is;
    } to;
    struct semid_ds is;
    struct stat st;
    int rc;

    to.is = &is;
    if (semctl(sem, 0, IPC_STAT, to) != 0)
        return ipc_channel_refuse_errno_(ch, "read the mode of the semaphores of");
    memset(&st, 0, sizeof st);
    st.st_uid = is.sem_perm.uid;
    st.st_mode = is.sem_perm.mode;
    rc = ipc_channel_check_owner_(ch, &st, 0);
    return rc == 0 && is.sem_nsems != IPC_CHANNEL_SHM_SEMS_ ? ipc_channel_shm_refuse_(ch) : rc;
}

/* The listener has found a segment that is smaller than it needs. Removes it, if it is ours and no
 * process uses it. 1: removed; 0: it stays; or the refusal. */
IPC_INLINE int ipc_channel_shm_remove_smaller_(struct ipc_channel *ch, key_t key)
{
    int id = shmget(key, 0, 0), rc;
    struct shmid_ds is;

    if (id < 0)
        return 0;
    rc = ipc_channel_shm_is_ours_(id);
    if (rc == 0)
        return ipc_channel_shm_refuse_(ch);
    if (rc < 0 || shmctl(id, IPC_STAT, &is) != 0)
        return 0;
    if (is.shm_nattch != 0)
        return ipc_channel_refuse_(ch, -EADDRINUSE, "sysvshm:%s: rings of another size are in use",
                                   ch->address);
    return shmctl(id, IPC_RMID, NULL) == 0;
}

/* Finds the segment and its semaphores; the listener makes them, the other side waits for them. The
 * segment's id, or a negative errno. */
IPC_INLINE int ipc_channel_shm_find_(struct ipc_channel *ch, key_t key, int64_t deadline,
                                     struct shmid_ds *is)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    size_t size = ipc_channel_shm_size_(ipc_channel_lane_(ch->max));
    int flags = (ch->role & IPC_LISTEN) != 0 ? IPC_CREAT | (int)ch->how.mode : 0, id, rc, error;

    for (;;) {
        id = shmget(key, flags != 0 ? size : 0, flags);
        if (id >= 0 && (rc = ipc_channel_shm_check_(ch, id, is)) != 0)
            return rc;
        if (id >= 0 &&
            (own->sem = semget(key, flags != 0 ? IPC_CHANNEL_SHM_SEMS_ : 0, flags)) >= 0) {
            rc = ipc_channel_sem_check_(ch, own->sem);
            return rc != 0 ? rc : id;
        }
        error = errno;
        if (id < 0 && error == EINVAL && flags != 0) {
            rc = ipc_channel_shm_remove_smaller_(ch, key);
            if (rc < 0)
                return rc;
            if (rc > 0)
                continue;
        }
        if (id >= 0 && error == EINVAL) /* there are fewer semaphores */
            return ipc_channel_shm_refuse_(ch);
        if (error != ENOENT || flags != 0)
            return ipc_channel_refuse_(ch, -error, "sysvshm: cannot open %s: %s%s", ch->address,
                                       strerror(error),
                                       error != EINVAL && error != ENOSPC ? "" :
                                       " (kernel.shmmax, kernel.shmmni, kernel.shmall, kernel.sem)");
        rc = ipc_channel_nap_(deadline);
        if (rc == -ETIMEDOUT)
            return ipc_channel_refuse_(ch, rc, "sysvshm: nothing at %s until the deadline",
                                       ch->address);
        if (rc != 0)
            return rc;
    }
}

/* Attaches to the segment. */
IPC_INLINE int ipc_channel_shm_map_(struct ipc_channel *ch, key_t key, int64_t deadline)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    struct shmid_ds is;
    int id = ipc_channel_shm_find_(ch, key, deadline, &is);
    void *mem;

    if (id < 0)
        return id;
    mem = shmat(id, NULL, 0);
    if (mem == (void *)-1)
        return ipc_channel_refuse_errno_(ch, "attach to");
    own->mem = (unsigned char *)mem;
    own->half = ipc_channel_shm_half_(is.shm_segsz);
    ipc_channel_fault_in_(mem, is.shm_segsz, MADV_POPULATE_WRITE);
    return 0;
}

/* ------------------------------------------------------------------ what the table names */

/* Attaches our ends of the rings, and waits until the listener has made them. */
IPC_INLINE int ipc_channel_shm_attach_(struct ipc_channel *ch, int listener, int64_t deadline)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    struct ipc_shm_object ring[2];
    int i, rc;

    for (i = 0; i < 2; i++) {
        unsigned role = (i == 0) == listener ? IPC_RECV : IPC_SEND;

        ring[i].mem = own->mem + IPC_CHANNEL_SHM_HEAD_ + (size_t)i * own->half;
        ring[i].size = own->half;
        rc = (ch->role & role) == 0 ? 0 : ipc_channel_sem_make_ring_(ch, &ring[i], listener, role);
        if (rc != 0)
            return rc;
    }
    ch->ring->misfit = &((struct ipc_channel_shm_head_ *)(void *)own->mem)->misfit[!listener];
    ck_pr_store_64(ch->ring->misfit, 0);
    do {
        rc = ipc_channel_sem_check_roles_(ch, listener);
        if (rc == 0)
            rc = ipc_channel_ring_attach_ends_(ch, listener, &ring[0], &ring[1], &own->me);
    } while (rc == -EAGAIN && (rc = ipc_channel_nap_(deadline)) == 0);
    return rc;
}

IPC_INLINE int ipc_channel_shm_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    int listener = (ch->role & IPC_LISTEN) != 0, rc;
    const char *why;
    key_t key;

    ch->max = ipc_channel_ring_max_(ch);
    rc = ipc_channel_ring_new_(ch);
    if (rc == 0)
        rc = ipc_channel_read_key_(ch, &key);
    if (rc == 0)
        rc = ipc_channel_shm_map_(ch, key, deadline);
    if (rc == 0)
        rc = ipc_channel_sem_take_place_(ch, listener);
    if (rc != 0)
        return rc;
    rc = ipc_channel_shm_attach_(ch, listener, deadline);
    if (rc == -EBUSY)
        return ipc_channel_refuse_(ch, -EADDRINUSE, "sysvshm:%s: another is there", ch->address);
    if (rc != 0) {
        why = *own->me.why != '\0' ? own->me.why : strerror(-rc);
        return ipc_channel_refuse_(ch, rc, "sysvshm:%s: %s", ch->address, why);
    }
    (void)ipc_notify_post(&ch->ring->out_data); /* a sleeper there watches us from now on */
    (void)ipc_notify_post(&ch->ring->space);
    return 0;
}

/* The deadline of one wait. While no process is seen at the other end no death is asked for, so a
 * wait ends after a second to ask for the semaphores. Once they were removed, no call waits. */
IPC_INLINE int64_t ipc_channel_shm_slice_(const struct ipc_channel_shm_ *own, uint64_t seen,
                                          int64_t deadline)
{
    int64_t slice;

    if (own->removed)
        return IPC_NOW;
    if (seen != 0 || deadline <= IPC_NOW)
        return deadline;
    slice = ipc_in_ms(1000);
    return slice < deadline ? slice : deadline;
}

/* A wait of ipc_channel_shm_slice_ has ended without a message, or room. 0: the caller waits on; or
 * what the call returns. */
IPC_INLINE int ipc_channel_shm_wait_on_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;

    if (deadline > IPC_NOW)
        (void)ipc_channel_sem_alive_(own, own->me.id);
    if (own->removed)
        return ipc_channel_report_ring_end_(ch, -EPIPE);
    return ipc_left_(deadline) == 0 ? -ETIMEDOUT : 0;
}

IPC_INLINE int ipc_channel_shm_send_(struct ipc_channel *ch, const void *message, size_t n,
                                     int64_t deadline)
{
    const struct ipc_channel_shm_ *own = (const struct ipc_channel_shm_ *)ch->state;
    int rc;

    do
        rc = ipc_channel_ring_send_(ch, message, n,
                                    ipc_channel_shm_slice_(own, ch->ring->reader, deadline));
    while (rc == -ETIMEDOUT && (rc = ipc_channel_shm_wait_on_(ch, deadline)) == 0);
    return rc;
}

IPC_INLINE int64_t ipc_channel_shm_recv_(struct ipc_channel *ch, void *to, size_t size,
                                         int64_t deadline)
{
    const struct ipc_channel_shm_ *own = (const struct ipc_channel_shm_ *)ch->state;
    int64_t rc;

    do
        rc = ipc_channel_ring_recv_(ch, to, size,
                                    ipc_channel_shm_slice_(own, ch->ring->writer, deadline));
    while (rc == -ETIMEDOUT && (rc = ipc_channel_shm_wait_on_(ch, deadline)) == 0);
    return rc;
}

/* Has recv something to tell? Asks the kernel for a death, and for the semaphores, as nothing tells of
 * these. */
IPC_INLINE int ipc_channel_shm_is_ready_(struct ipc_channel *ch)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;
    struct ipc_channel_ring_ *r = ch->ring;

    if (r->in.ring != NULL && ipc_channel_is_time_to_ask_(&r->asked_at[0])) {
        (void)ipc_channel_sem_alive_(own, own->me.id);
        r->data.asks |= ipc_channel_is_killed_(&r->data, ck_pr_load_64(&r->in.ring->end[0]));
    }
    return own->removed || r->data.asks || ipc_channel_ring_is_ready_(ch);
}

/* The kernel gives memory for what was touched: one of the rings, or both. */
IPC_INLINE void ipc_channel_shm_describe_(const struct ipc_channel *ch,
                                          struct ipc_channel_facts *info)
{
    const struct ipc_channel_shm_ *own = (const struct ipc_channel_shm_ *)ch->state;

    info->memory = own->half * ((ch->role & IPC_BOTH) == IPC_BOTH ? 2 : 1) + IPC_CHANNEL_SHM_HEAD_;
}

/* Leaves the rings before the place: until then the other side must not think us dead. */
IPC_INLINE void ipc_channel_shm_close_(struct ipc_channel *ch)
{
    struct ipc_channel_shm_ *own = (struct ipc_channel_shm_ *)ch->state;

    ipc_channel_ring_leave_(ch);
    if (ipc_channel_sem_is_placed_(own))
        ipc_channel_sem_give_back_(own, own->me.id % 2);
    if (own->self != NULL)
        (void)munmap(own->self, (size_t)getpagesize());
    if (own->mem != NULL)
        (void)shmdt(own->mem);
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
    /* Semaphores have no mark: two of them beside a segment of ours are ours. They are removed
     * first, as no later call would know them without the segment. */
    sem = semget(key, IPC_CHANNEL_SHM_SEMS_ + 1, 0) < 0 ? semget(key, IPC_CHANNEL_SHM_SEMS_, 0)
                                                        : -1;
    rc = sem >= 0 && semctl(sem, 0, IPC_RMID) != 0 ? -errno : 0;
    return shmctl(shm, IPC_RMID, NULL) != 0 ? -errno : rc;
}

static const struct ipc_channel_kind_ ipc_channel_sysvshm_kind_ = {
    "sysvshm",
    IPC_CHANNEL_NO_FD_,
    sizeof(struct ipc_channel_shm_),
    0,
    0,
    ipc_channel_shm_open_,
    ipc_channel_shm_close_,
    ipc_channel_shm_unlink_,
    ipc_channel_shm_send_,
    ipc_channel_shm_recv_,
    NULL, /* meet: send and recv wait for peers */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    ipc_channel_shm_describe_,
    ipc_channel_shm_is_ready_,
    NULL, /* serve */
};

#endif

/* >>auto  src/channel/auto.h */
/*
 * auto:NAME, a Unix socket that becomes a ring where both sides can take one. NAME with a slash is
 * the path of the socket's file; another name is in the abstract namespace.
 *
 * Opened as unix:. The first call of each side agrees where messages go, so both must be in a call
 * at a time. The listener makes a sealed segment with the rings, and hands it over the socket. The
 * socket stays open beside the ring: its end tells that the other side is gone, a byte on it wakes an
 * event loop, and so it is what ipc_channel_fd gives. Where one side cannot take a ring, the messages
 * stay on the socket.
 *
 *   Access   As over unix:.
 *   Loss     -EPIPE after all that the other side sent, over the ring as over the socket, whether
 *            it was killed or closed. Then as over unix:. Into the ring of a process that was
 *            killed go at most the messages of 50 microseconds, and 257 more, before that is
 *            reported. A recv that sleeps, or ipc_channel_wait_any, learns within a second of a
 *            killed process whose child has the socket still. A server that sleeps learns of it
 *            when it sends to that client, or the child has closed the socket.
 *   Servers  With options.clients as over unix:, each client over a ring of its own. One that has
 *            not agreed after 100 ms is left when another one needs its place.
 *   Limits   Messages of 1 MiB unless asked for, of a server or publisher 64 KiB; of two maxima the
 *            smaller one. Memory as over ring:, for each client.
 */
#ifndef IPC_SRC_CHANNEL_AUTO_H
#define IPC_SRC_CHANNEL_AUTO_H 1

/* ------------------------------------------------------------------ auto: */

/*
 * What the two sides say to each other on the socket before the first message. What is not the next
 * thing of these, or answers something that was not offered, ends the connection.
 *
 *     other       OFFER    version, roles; ring: can it take a ring; max: its largest message
 *     listener    ANSWER   version, roles; ring: 1 a ring, 0 the socket, 2 a ring that it
 *                          publishes; max: the smaller one
 *                 SEGMENT  if a ring: the segment (ipc_shm_send)
 *     other       CHOICE   ring: 1 in the ring from now on, 0 it could not take the ring
 *
 * After ANSWER 2 comes the segment, and the connection ends. In the ring, a side that has set ARMED in
 * the ring's bell, to poll the socket, gets a byte when the other side posts. It takes off whatever
 * bytes have come. Sent with MSG_DONTWAIT, the byte holds up no sender: where the socket is full, it
 * is readable. An eventfd would, if the other side has taken O_NONBLOCK off and filled it.
 *
 * Where the listener is of this version, and the client of an older one, they stay on the socket. A
 * listener of version 1 does not compare versions: its client says -EBADMSG.
 *
 * The handle keeps the step: the next thing that is to come, or to be sent. A deadline cuts a
 * handshake off between two steps, and the next call goes on there.
 */
#define IPC_CHANNEL_PUBLISHED_ 2u /* of an answer's `ring` */
#define IPC_CHANNEL_OFFER_ 0
#define IPC_CHANNEL_ANSWER_ 1
#define IPC_CHANNEL_SEGMENT_ 2
#define IPC_CHANNEL_CHOICE_ 3
#define IPC_CHANNEL_AGREED_ 4

struct ipc_channel_auto_ {
    struct ipc_channel_socket_ socket; /* first: the functions of sockets find it there */
    int is_listener;                   /* this side answers offers */
    int step;
    int unable;      /* this side could not take the ring that was handed over */
    int published;   /* the listener publishes */
    int polls;       /* ipc_channel_fd's epoll descriptor, or -1 */
    int begins;      /* that is readable until the bell is armed for the first time */
    int32_t trust;   /* how many messages go into the ring before the socket is asked */
    int64_t asked;   /* when it was asked last */
};

/*
 * The end of a ring tells that a process has left it, but not that it was killed. The socket tells
 * both, for a system call. So a send asks it before the first message, then after one, two, four,
 * ... messages: at first no more go into the ring of a killed process than went to it before. At last
 * it may ask after each IPC_CHANNEL_ASK_AFTER_ + 1 messages, and does if IPC_CHANNEL_ASK_NS_ are over.
 * At most the messages of that time, and 257 more, then go into the ring of a killed process.
 */
#define IPC_CHANNEL_ASK_AFTER_ 256
#define IPC_CHANNEL_ASK_NS_ 50000 /* a system call can take as long as 200 short messages */

/* Offer, answer and choice. */
struct ipc_channel_hello_ {
    uint64_t magic;
    uint32_t version; /* in the lower half; above it the roles of the side that sends this */
    uint32_t ring;
    uint64_t max;
};

#define IPC_CHANNEL_MAGIC_ UINT64_C(0x316f7475615f6369) /* "ic_auto1" */
#define IPC_CHANNEL_VERSION_ 2u
#define IPC_CHANNEL_VERSION_BITS_ 16

/* Of publish.h. */
IPC_INLINE int ipc_channel_auto_publish_(struct ipc_channel *ch);

IPC_INLINE struct ipc_channel_auto_ *ipc_channel_get_auto_(const struct ipc_channel *ch)
{
    return (struct ipc_channel_auto_ *)ch->state;
}

/* Is the next call still to agree with the other side, or to meet one? */
IPC_INLINE int ipc_channel_must_agree_(const struct ipc_channel *ch)
{
    return ipc_channel_get_auto_(ch)->step != IPC_CHANNEL_AGREED_ || ch->in < 0;
}

/* Leaves the ring, if there is one. The socket stays. */
IPC_INLINE void ipc_channel_auto_leave_ring_(struct ipc_channel *ch)
{
    ipc_channel_close_fd_(&ipc_channel_get_auto_(ch)->polls);
    ipc_channel_ring_leave_(ch);
}

/* Attaches our ends of the rings. Posts to what we send go over the socket; the bell closes its
 * descriptor. */
IPC_INLINE int ipc_channel_auto_attach_(struct ipc_channel *ch, int listener)
{
    int rc = ipc_channel_ring_attach_(ch, listener);

    if (!ipc_channel_get_auto_(ch)->published)
        ch->ring->data.peer.watch = NULL; /* see ipc_channel_auto_wait_ */
    if (rc != 0 || ch->ring->out.ring == NULL)
        return rc;
    ch->ring->out_data.post_fd = fcntl(ch->out, F_DUPFD_CLOEXEC, 3);
    return ch->ring->out_data.post_fd >= 0 ? 0 : -errno;
}

/* ------------------------------------------------------------------ the handshake */

IPC_INLINE int ipc_channel_send_hello_(struct ipc_channel *ch, uint32_t ring)
{
    struct ipc_channel_hello_ hello;

    memset(&hello, 0, sizeof hello);
    hello.magic = IPC_CHANNEL_MAGIC_;
    hello.version = IPC_CHANNEL_VERSION_ | (ch->role & IPC_BOTH) << IPC_CHANNEL_VERSION_BITS_;
    hello.ring = ring;
    hello.max = ch->max;
    /* Nothing is on the way yet, so there is room, or the other side is at fault. */
    return send(ch->out, &hello, sizeof hello, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof hello
               ? 0
               : -EPIPE;
}

/* Does the client send what the listener does not receive, or wait for what it does not send?
 * 0 stands for roles that an older version does not tell. */
IPC_INLINE int ipc_channel_is_misfit_(const struct ipc_channel *ch, unsigned other)
{
    int listens = ipc_channel_get_auto_(ch)->is_listener;
    unsigned client = listens ? other : ch->role, listener = listens ? ch->role : other;

    return other != 0 && (((client & IPC_SEND) != 0 && (listener & IPC_RECV) == 0) ||
                          ((client & IPC_RECV) != 0 && (listener & IPC_SEND) == 0));
}

/* Receives an offer, an answer or a choice. Its `ring` may be 0 to most. Reads no byte behind it.
 */
IPC_INLINE int ipc_channel_recv_hello_(struct ipc_channel *ch, uint32_t most, uint32_t *ring,
                                       int64_t deadline)
{
    const struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    struct ipc_channel_hello_ hello;
    struct iovec io;
    int64_t rc = 0;

    while (ch->rx.end < sizeof hello) {
        io.iov_base = ch->rx.data + ch->rx.end;
        io.iov_len = sizeof hello - ch->rx.end;
        if (own->socket.listener >= 0 && own->step == IPC_CHANNEL_OFFER_)
            rc = ipc_channel_wait_for_hello_(ch, deadline);
        if (rc >= 0)
            rc = ipc_channel_read_some_(ch, &io, 1, deadline);
        if (rc < 0)
            return (int)rc;
        ch->rx.end += (size_t)rc;
    }
    memcpy(&hello, ch->rx.data, sizeof hello);
    ch->rx.end = 0;
    if (hello.magic != IPC_CHANNEL_MAGIC_ || (uint16_t)hello.version == 0 || hello.ring > most ||
        hello.max == 0 || hello.max > UINT32_MAX / 2)
        return -EBADMSG;
    ch->max = hello.max < ch->max ? (size_t)hello.max : ch->max;
    *ring = hello.ring;
    if (hello.ring == 1 && (uint16_t)hello.version != IPC_CHANNEL_VERSION_) {
        if (own->step != IPC_CHANNEL_OFFER_)
            return -EBADMSG;
        *ring = 0;
    }
    return ipc_channel_is_misfit_(ch, hello.version >> IPC_CHANNEL_VERSION_BITS_ & IPC_BOTH)
               ? -EPROTO
               : 0;
}

/* May this user have one more descriptor in a socket? Else none can be handed over. */
IPC_INLINE int ipc_channel_auto_can_send_(const struct ipc_shm *seg)
{
    struct ipc_last_ trial;
    int can;

    ipc_end_last_(&trial, seg->fd);
    can = trial.inode != 0;
    ipc_close_last_(&trial);
    return can;
}

/* Makes a sealed segment with our ends of the rings. */
IPC_INLINE int ipc_channel_make_offer_(struct ipc_channel *ch)
{
    size_t max = ch->max;
    int rc = ipc_channel_ring_new_(ch);

    if (rc == 0)
        rc = ipc_shm_create(&ch->ring->seg, NULL, ipc_channel_ring_size_(ch));
    if (rc == 0)
        rc = ipc_channel_auto_attach_(ch, 1);
    if (rc == 0 && !ipc_channel_auto_can_send_(&ch->ring->seg))
        rc = -EMFILE;
    ch->max = max;
    if (rc != 0)
        ipc_channel_ring_leave_(ch);
    return rc;
}

/* The listener's side. 0: agreed; -ETIMEDOUT, -EINTR: later; or the connection is to end. */
IPC_INLINE int ipc_channel_answer_offer_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    uint32_t ring = 0;
    int rc;

    if (own->step == IPC_CHANNEL_OFFER_) {
        rc = ipc_channel_recv_hello_(ch, 1, &ring, deadline);
        if (rc == -EPROTO) /* the answer has our roles, so the client learns it, too */
            (void)ipc_channel_send_hello_(ch, 0);
        if (rc != 0)
            return rc;
        ring = ring != 0 && ipc_channel_make_offer_(ch) == 0;
        if (ipc_channel_send_hello_(ch, ring) != 0 ||
            (ring != 0 && ipc_shm_send(&ch->ring->seg, ch->out) != 0))
            return -EPIPE;
        own->step = IPC_CHANNEL_CHOICE_;
    }
    rc = ipc_channel_recv_hello_(ch, ch->ring != NULL, &ring, deadline);
    if (rc == 0 && ring == 0)
        ipc_channel_auto_leave_ring_(ch);
    return rc;
}

/* Receives the segment, and attaches our ends of its rings; if that fails, goes on to say so,
 * but not to a publisher, which does not listen any more. */
IPC_INLINE int ipc_channel_take_segment_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    size_t max = ch->max;
    int rc = ipc_shm_recv(&ch->ring->seg, ch->in, deadline);

    if (rc == -ETIMEDOUT || rc == -EINTR || rc == -EPIPE)
        return rc;
    ch->ring->seg.deadline = IPC_NOW; /* the listener has made all of it */
    rc = rc != 0 ? rc : ipc_channel_auto_attach_(ch, 0);
    if (own->published) {
        own->step = IPC_CHANNEL_CHOICE_; /* nothing more is said */
        return rc;
    }
    own->unable = rc != 0;
    ch->max = max;
    return 0;
}

/* The next step of the other side. 0: it is done; or as ipc_channel_answer_offer_. */
IPC_INLINE int ipc_channel_take_step_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int rc = 0;
    uint32_t ring = 0;

    switch (own->step) {
    case IPC_CHANNEL_OFFER_:
        rc = ipc_channel_send_hello_(ch, 1);
        break;
    case IPC_CHANNEL_ANSWER_:
        rc = ipc_channel_recv_hello_(ch, IPC_CHANNEL_PUBLISHED_, &ring, deadline);
        if (rc != 0)
            return rc;
        own->published = ring == IPC_CHANNEL_PUBLISHED_;
        if (ring == 0)
            own->step = IPC_CHANNEL_CHOICE_ - 1; /* there is nothing to take */
        else
            rc = ipc_channel_ring_new_(ch);
        break;
    case IPC_CHANNEL_SEGMENT_:
        rc = ipc_channel_take_segment_(ch, deadline);
        break;
    default: /* the choice */
        if (own->unable)
            ipc_channel_auto_leave_ring_(ch);
        rc = ipc_channel_send_hello_(ch, ch->ring != NULL);
    }
    own->step += rc == 0;
    return rc;
}

/* The other side. As ipc_channel_answer_offer_. */
IPC_INLINE int ipc_channel_take_answer_(struct ipc_channel *ch, int64_t deadline)
{
    int rc = 0;

    while (rc == 0 && ipc_channel_get_auto_(ch)->step != IPC_CHANNEL_AGREED_)
        rc = ipc_channel_take_step_(ch, deadline);
    return rc;
}

/* Begins anew: waits for the next peer, with whom nothing is agreed yet. */
IPC_INLINE int ipc_channel_auto_connect_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int rc = -EPIPE;

    ipc_channel_auto_leave_ring_(ch);
    own->step = IPC_CHANNEL_OFFER_;
    own->unable = own->published = 0;
    own->trust = 0;
    ch->max = ipc_channel_ring_max_(ch);
    if ((ch->flags & IPC_CHANNEL_ACCEPTED_) == 0)
        rc = ipc_channel_socket_meet_(ch, deadline);
    own->socket.came_at = ipc_clock();
    return rc;
}

/* Waits until a peer is there with which it is agreed where messages go. A listener leaves those
 * that fail to agree, and goes on with the next one until the deadline. */
IPC_INLINE int ipc_channel_auto_meet_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int rc = 0;

    do {
        if (ch->in < 0)
            rc = ipc_channel_auto_connect_(ch, deadline);
        if (rc != 0 || own->step == IPC_CHANNEL_AGREED_)
            return rc;
        rc = own->is_listener ? ipc_channel_answer_offer_(ch, deadline)
                              : ipc_channel_take_answer_(ch, deadline);
        if (rc == 0)
            own->step = IPC_CHANNEL_AGREED_;
        if (rc == 0 || rc == -ETIMEDOUT || rc == -EINTR)
            return rc;
        rc = rc == -EOWNERDEAD ? -EPIPE : rc;
        ipc_channel_auto_leave_ring_(ch);
        (void)ipc_channel_lose_peer_(ch, rc);
        if (rc == -EPROTO) /* the program is to learn that such a client came */
            return rc;
    } while (own->socket.listener >= 0 && ipc_left_(deadline) > 0);
    return own->socket.listener >= 0 ? -ETIMEDOUT : rc;
}

/* ------------------------------------------------------------------ opening */

IPC_INLINE int ipc_channel_auto_open_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    char *name;
    int rc;

    own->polls = own->socket.listener = -1;
    if (strchr(ch->address, '/') == NULL && ch->address[0] != '@') {
        name = (char *)malloc(strlen(ch->address) + 11);
        if (name == NULL)
            return -ENOMEM;
        (void)sprintf(name, "@ipc-auto-%s", ch->address);
        free(ch->address);
        ch->address = name;
    }
    /* The same maximum as over a ring, also where it stays a socket. */
    ch->max = ipc_channel_ring_max_(ch);
    if (ch->how.clients != 0)
        ch->how.max = ch->max; /* of each of them */
    own->is_listener = (ch->role & IPC_LISTEN) != 0;
    rc = ipc_channel_socket_open_(ch, deadline);
    if (rc == 0 && ch->how.publish != 0)
        return ipc_channel_auto_publish_(ch);
    if (rc == 0 && !own->is_listener && ipc_channel_send_hello_(ch, 1) == 0)
        own->step = IPC_CHANNEL_ANSWER_; /* else the first call tries again, and says why */
    return rc;
}

IPC_INLINE int ipc_channel_auto_accept_(struct ipc_channel *listener, struct ipc_channel *ch,
                                        int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);

    own->polls = -1;
    own->is_listener = 1;
    own->socket.came_at = ipc_clock();
    return ipc_channel_socket_accept_(listener, ch, deadline);
}

IPC_INLINE void ipc_channel_auto_close_(struct ipc_channel *ch)
{
    ipc_channel_socket_close_(ch);
    ipc_channel_leave_peer_(ch); /* its end is told when the ring's bell, too, has left it */
    ipc_channel_auto_leave_ring_(ch);
}

/* A name without a folder has no file. */
IPC_INLINE int ipc_channel_auto_unlink_(struct ipc_channel *ch)
{
    return strchr(ch->address, '/') == NULL ? -EOPNOTSUPP : ipc_channel_socket_unlink_(ch);
}

/* ------------------------------------------------------------------ sending and receiving */

/* Leaves the other side, if rc says that it is gone or sends garbage, and returns rc. A killed peer
 * is reported as one that has closed, as a socket cannot tell, and auto: says the same over both.
 */
IPC_INLINE int ipc_channel_auto_end_(struct ipc_channel *ch, int rc)
{
    if (rc != -EPIPE && rc != -EOWNERDEAD && rc != -EBADMSG)
        return rc;
    ipc_channel_auto_leave_ring_(ch);
    return ipc_channel_lose_peer_(ch, rc == -EOWNERDEAD ? -EPIPE : rc);
}

#ifdef __sparc__ /* glibc has POLLRDHUP with _GNU_SOURCE only */
#define IPC_CHANNEL_RDHUP_ 0x800
#else
#define IPC_CHANNEL_RDHUP_ 0x2000
#endif

/* Does the socket beside the ring say that the other side is gone? Bytes that wake an event loop may
 * be before the end; a side that only sends gets none, so one that sends some breaks the rules. */
IPC_INLINE int ipc_channel_auto_is_gone_(const struct ipc_channel *ch)
{
    return ipc_channel_wait_(ch->in, (ch->role & IPC_RECV) != 0 ? IPC_CHANNEL_RDHUP_ : POLLIN,
                             IPC_NOW) == 0;
}

/* Sends through the ring. The other side's end is -EPIPE. What it had sent before can still be
 * received. */
IPC_INLINE int ipc_channel_auto_push_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int64_t now = ipc_clock();
    int rc = 0;

    if (own->trust < IPC_CHANNEL_ASK_AFTER_ || now - own->asked > IPC_CHANNEL_ASK_NS_) {
        rc = ipc_channel_auto_is_gone_(ch) ? -EPIPE : 0;
        own->asked = now;
    }
    if (rc == 0)
        rc = ipc_channel_ring_send_(ch, message, n, deadline);
    if (CK_CC_LIKELY(rc == 0)) {
        ch->quick_sends = own->trust;
        own->trust = own->trust < IPC_CHANNEL_ASK_AFTER_ / 2 ? own->trust * 2 + 1 : IPC_CHANNEL_ASK_AFTER_;
    }
    if (rc != -EPIPE && rc != -EOWNERDEAD)
        return rc;
    return (ch->role & IPC_RECV) == 0 ? ipc_channel_auto_end_(ch, rc)
                                      : ipc_channel_stop_sending_(ch, -EPIPE);
}

IPC_INLINE int ipc_channel_auto_send_(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    int rc;

    if (CK_CC_UNLIKELY(ipc_channel_must_agree_(ch))) {
        rc = ipc_channel_auto_meet_(ch, deadline);
        if (rc != 0)
            return rc;
        if (n > ch->max) /* the other side's maximum may be smaller */
            return ipc_channel_refuse_(ch, -EMSGSIZE, "auto: a message of %zu bytes: at most %zu",
                                       n, ch->max);
    }
    return ch->ring == NULL ? ipc_channel_stream_send_(ch, message, n, deadline)
                            : ipc_channel_auto_push_(ch, message, n, deadline);
}

/* Lets the epoll descriptor tell of the ring's bell; with `begins`, also that one can send. 0, or a
 * negative errno. */
IPC_INLINE int ipc_channel_auto_watch_(struct ipc_channel *ch, int op, int begins)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int fd = own->published ? ipc_notify_fd(&ch->ring->data) : ch->in;
    struct epoll_event e;

    memset(&e, 0, sizeof e);
    e.events = begins ? EPOLLIN | EPOLLOUT : EPOLLIN;
    own->begins = begins;
    if (fd < 0)
        return fd;
    return epoll_ctl(own->polls, op, fd, &e) == 0 ? 0 : -errno;
}

/* The ring is empty. Arms its bell, so that its descriptor tells of what comes from now on; the
 * caller looks once more then. Was the other side gone already? */
IPC_INLINE int ipc_channel_auto_arm_(struct ipc_channel *ch)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    char bytes[256];
    int gone = 0;
    ssize_t rc;

    if (own->published) {
        ipc_notify_drain(&ch->ring->data);
    } else {
        rc = recv(ch->in, bytes, sizeof bytes, MSG_DONTWAIT);
        gone = rc == 0 || (rc < 0 && ipc_channel_is_end_(errno));
    }
    if (own->begins)
        (void)ipc_channel_auto_watch_(ch, EPOLL_CTL_MOD, 0);
    ipc_notify_arm(&ch->ring->data);
    return gone;
}

/* Does an epoll descriptor tell of the ring's bell? */
IPC_INLINE int ipc_channel_auto_is_polled_(const struct ipc_channel *ch)
{
    return ch->polls >= 0 || ipc_channel_get_auto_(ch)->polls >= 0;
}

/* Receives over the ring. What does not come soon is waited for at the socket, where the end of the
 * other side shows, too, instead of at an inotify: a user has 128 of these, and more clients. Only
 * where a child of a killed process has the socket still, it does not: the kernel is asked for that
 * once a second. */
IPC_INLINE int64_t ipc_channel_auto_wait_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    int64_t soon = ipc_clock() + IPC_NOTIFY_SHORT_, until, rc;
    int gone, waited;

    if (ipc_channel_get_auto_(ch)->published || deadline <= soon)
        return ipc_channel_ring_recv_(ch, to, size, deadline);
    rc = ipc_channel_ring_recv_(ch, to, size, soon);
    while (rc == -ETIMEDOUT) {
        gone = ipc_channel_auto_arm_(ch);
        rc = ipc_channel_ring_recv_(ch, to, size, IPC_NOW);
        if (rc != -ETIMEDOUT || gone)
            return rc != -ETIMEDOUT ? rc : -EPIPE;
        if (ipc_left_(deadline) == 0) /* however many bytes are still there */
            return rc;
        until = ipc_clock() + IPC_NOTIFY_LONG_;
        waited = ipc_channel_wait_(ch->in, POLLIN, deadline < until ? deadline : until);
        if (waited != 0 && waited != -ETIMEDOUT)
            return waited;
    }
    return rc;
}

IPC_INLINE int64_t ipc_channel_auto_recv_(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    int gone = (ch->flags & IPC_CHANNEL_CANNOT_SEND_) != 0; /* a send has found that out */
    int64_t rc;

    if (CK_CC_UNLIKELY(ipc_channel_must_agree_(ch)) &&
        (rc = ipc_channel_auto_meet_(ch, deadline)) != 0)
        return rc;
    if (CK_CC_UNLIKELY(ch->ring == NULL)) {
        rc = ipc_channel_stream_recv_(ch, to, size, deadline);
        return rc == -EOWNERDEAD ? ipc_channel_auto_end_(ch, -EPIPE) : rc;
    }
    if (CK_CC_UNLIKELY(gone)) { /* what is left; a peer that never sent was not seen at the ring's end */
        ck_pr_fence_load();     /* as in ipc_channel_try_rest_ */
        rc = ipc_channel_ring_recv_(ch, to, size, IPC_NOW);
        rc = rc == -ETIMEDOUT ? -EPIPE : rc;
        return rc < 0 ? ipc_channel_auto_end_(ch, (int)rc) : rc;
    }
    rc = ipc_channel_auto_wait_(ch, to, size, deadline);
    if (CK_CC_LIKELY(rc >= 0))
        return rc;
    if (rc == -ETIMEDOUT && deadline == IPC_NOW && ipc_channel_auto_is_polled_(ch)) {
        gone = ipc_channel_auto_arm_(ch);
        rc = ipc_channel_ring_recv_(ch, to, size, IPC_NOW);
        rc = rc == -ETIMEDOUT && gone ? -EPIPE : rc;
    }
    return rc < 0 ? ipc_channel_auto_end_(ch, (int)rc) : rc;
}

/* ------------------------------------------------------------------ what the table names */

/* Over a ring: readable when the bell has rung, or the other side is gone. Until the sides have agreed
 * it is the socket: recv looks at no ring before that. */
IPC_INLINE int ipc_channel_auto_descriptor_(struct ipc_channel *ch)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    int rc;

    if (ch->ring == NULL || ipc_channel_must_agree_(ch))
        return ipc_channel_socket_descriptor_(ch);
    if ((ch->role & IPC_RECV) == 0)
        return ch->in;
    if (own->polls >= 0)
        return own->polls;
    own->polls = ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    /* The last recv found nothing, and did not arm the bell, as nobody would have polled for it. So
     * the descriptor is readable at first, and the recv that finds nothing then arms it. */
    rc = own->polls < 0 ? -errno : ipc_channel_auto_watch_(ch, EPOLL_CTL_ADD, !own->published);
    if (rc != 0) {
        ipc_channel_close_fd_(&own->polls);
        return rc;
    }
    if (own->published) {
        ipc_notify_arm(&ch->ring->data);
        (void)ipc_notify_post(&ch->ring->data);
    }
    return own->polls;
}

/* Over a ring, ipc_channel_fd was called before, which arms the bell at first. */
IPC_INLINE int ipc_channel_auto_is_ready_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    size_t n;

    if (r == NULL || ipc_channel_must_agree_(ch))
        return ipc_channel_holds_message_(ch);
    if (r->subscriber.ring != NULL)
        return ipc_channel_has_news_(r) || ipc_channel_auto_arm_(ch) || ipc_channel_has_news_(r);
    /* The socket may not tell: see ipc_channel_auto_wait_. */
    if (r->in.ring != NULL && ipc_channel_is_time_to_ask_(&r->asked_at[0]) &&
        ipc_channel_is_killed_(&r->data, ck_pr_load_64(&r->in.ring->end[0]))) {
        r->asked_at[0] = 0; /* the recv that follows is to ask, too */
        return 1;
    }
    return ipc_record_look_(&r->in, &n) != -EAGAIN || ipc_channel_auto_arm_(ch) ||
           ipc_record_look_(&r->in, &n) != -EAGAIN;
}

IPC_INLINE void ipc_channel_auto_describe_(const struct ipc_channel *ch,
                                           struct ipc_channel_facts *info)
{
    info->mechanism = ch->ring != NULL ? "ring" : "unix";
}

static const struct ipc_channel_kind_ ipc_channel_auto_kind_ = {
    "auto",
    IPC_CHANNEL_BELL_FD_ | IPC_CHANNEL_PUBLISHES_ | IPC_CHANNEL_GROUPS_,
    sizeof(struct ipc_channel_auto_),
    AF_UNIX,
    SOCK_STREAM,
    ipc_channel_auto_open_,
    ipc_channel_auto_close_,
    ipc_channel_auto_unlink_,
    ipc_channel_auto_send_,
    ipc_channel_auto_recv_,
    ipc_channel_auto_meet_,
    NULL, /* reopen */
    NULL, /* prepare */
    ipc_channel_auto_accept_,
    ipc_channel_auto_descriptor_,
    ipc_channel_auto_describe_,
    ipc_channel_auto_is_ready_,
    &ipc_channel_sockets_serve_,
};

#endif

/* >>publish  src/channel/publish.h */
/*
 * Publishing: one process sends, and each of several subscribers gets every message.
 *
 *     how.publish = IPC_LOSSY;                                     // the publisher
 *     ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, deadline, &how);
 *
 *     ipc_channel_open(&ch, uri, IPC_RECV, deadline);              // each subscriber
 *
 * A subscriber needs no option: it finds out. It gets what is sent after it has subscribed.
 *
 *               subscribers       IPC_LOSSLESS            IPC_LOSSY
 *     ring:     64, or receivers  waits for the slowest   waits for none; losses are counted
 *     auto:     64, or receivers  waits for the slowest   waits for none; losses are counted
 *     udp:      any number        refused                 a multicast group: see >>multicast
 *     file:     any number        nothing is lost, and nobody is waited for: see >>log
 *     others    refused           refused                 refused
 *
 * ring: and auto: publish over a broadcast of records, one for all subscribers: a message is copied
 * in once. Over auto: the publisher hands its segment to each subscriber that connects, so no
 * message goes over a socket. It does so in ipc_channel_send and ipc_channel_flush, which look for
 * subscribers once in 4 ms at most: one that connects waits in its first recv until then. Where a
 * subscriber cannot take the segment, its recv is refused.
 *
 *   Begin     IPC_LOSSLESS: `clients` of ipc_channel_info tells how many have subscribed. To wait for
 *             them before the first message, call ipc_channel_flush and look there, once a millisecond.
 *             Flush also takes off those that were killed. Over file: it is always 0.
 *   Late      A subscriber sees nothing that was sent before it subscribed: in open over ring:, in
 *             its first recv over auto:.
 *   Slow      IPC_LOSSLESS: a send that finds no room waits until the slowest subscriber has read,
 *             left or died: -ETIMEDOUT at the deadline, and nothing was sent to anyone. IPC_LOSSY:
 *             recv says -EOVERFLOW once for each time that the subscriber was lapped; `missed` of
 *             ipc_channel_info counts the messages. The next call goes on with the oldest that is
 *             whole, or, if it was lapped again before it had caught up, with a new one.
 *   Stopped   As slow: IPC_LOSSLESS waits, IPC_LOSSY goes on.
 *   Killed    The publisher goes on without it. No call reports subscribers that come and go, and a
 *             send without subscribers is lost.
 *   Publisher When it leaves, each subscriber is told once, after all that was sent: -EPIPE; or
 *             -EOWNERDEAD if it was killed, over auto: -EPIPE then, too. The next recv waits for a
 *             successor: over ring: it goes on in the same ring, and the subscriber misses nothing
 *             of it; over auto: it subscribes anew, and `missed` begins at 0.
 *   Access    As of ring: and auto:. ring: IPC_LOSSY: a subscriber that may only read the segment,
 *             by options.mode of 0640 or 0644, subscribes all the same, in any number, and can
 *             disturb nobody. It looks for messages once a millisecond while it waits; its
 *             options.user names the publisher's user, if that is neither its own nor root, and
 *             options.mode what the publisher permits.
 */
#ifndef IPC_SRC_CHANNEL_PUBLISH_H
#define IPC_SRC_CHANNEL_PUBLISH_H 1

/* ------------------------------------------------------------------ the broadcast */

/* Checks that options and role are those of a publisher. */
IPC_INLINE int ipc_channel_check_publisher_(struct ipc_channel *ch)
{
    const struct ipc_channel_options *how = &ch->how;

    if (how->publish > IPC_LOSSY)
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "options.publish %u is neither IPC_LOSSLESS nor IPC_LOSSY",
                                   how->publish);
    if (ch->role != (IPC_SEND | IPC_LISTEN))
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "%s: a publisher is opened with IPC_SEND | IPC_LISTEN; a "
                                   "subscriber with IPC_RECV, and without options.publish",
                                   ch->kind->scheme);
    if (how->senders > 1)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: one process publishes, not %u",
                                   ch->kind->scheme, how->senders);
    if (how->receivers > 65535)
        return ipc_channel_refuse_(ch, -EINVAL, "%u subscribers: 1 to 65535", how->receivers);
    return 0;
}

IPC_INLINE unsigned ipc_channel_subscribers_(const struct ipc_channel *ch)
{
    return ch->how.receivers != 0 ? ch->how.receivers : IPC_BROADCAST_SEATS;
}

/* How the broadcast is made. */
IPC_INLINE unsigned ipc_channel_broadcast_how_(const struct ipc_channel *ch)
{
    return ch->how.publish == IPC_LOSSY
               ? IPC_BROADCAST_LOSSY
               : IPC_BROADCAST_LOSSLESS | IPC_BROADCAST_READERS(ipc_channel_subscribers_(ch));
}

IPC_INLINE size_t ipc_channel_broadcast_bytes_(const struct ipc_channel *ch)
{
    return ipc_record_broadcast_footprint(ipc_channel_lane_(ch->max),
                                          ipc_channel_broadcast_how_(ch));
}

IPC_INLINE int ipc_channel_broadcast_init_(const struct ipc_channel *ch,
                                           const struct ipc_shm_object *o)
{
    return ipc_record_broadcast_init(o->mem, o->size, ipc_channel_lane_(ch->max),
                                     ipc_channel_broadcast_how_(ch));
}

/* Is the ring from the listener one that it publishes? Its name is that of any ring from there, so
 * that a receiver waits for one name only. */
IPC_INLINE int ipc_channel_is_published_(struct ipc_channel *ch, struct ipc_shm_object *o)
{
    struct ipc_shm *seg = &ch->ring->seg;

    return !ipc_channel_is_shared_(ch) &&
           ipc_shm_find(seg, "from", IPC_RECORD_TYPE, o) == -EPROTO &&
           ipc_shm_find(seg, "from", IPC_RECORD_BROADCAST_TYPE, o) == 0;
}

/* Does the listener publish, and wait for no subscriber? */
IPC_INLINE int ipc_channel_is_lossy_(struct ipc_channel *ch)
{
    struct ipc_shm_object o;

    return ipc_channel_is_published_(ch, &o) && o.size >= sizeof(struct ipc_broadcast_shared) &&
           (ck_pr_load_32(&((struct ipc_broadcast_shared *)o.mem)->s.is.how) & 255) != 0;
}

IPC_INLINE int ipc_channel_refuse_broadcast_(struct ipc_channel *ch, int rc)
{
    return ipc_channel_refuse_(ch, rc, "%s:%s: %s", ch->kind->scheme, ch->address,
                               ipc_shm_why(&ch->ring->seg));
}

/* Makes the broadcast, or goes on in that of a predecessor, and attaches the publisher. */
IPC_INLINE int ipc_channel_attach_publisher_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_record_broadcast_producer *p = &r->publisher;
    struct ipc_peer *me = ipc_shm_peer(&r->seg);
    unsigned how = ipc_channel_broadcast_how_(ch);
    struct ipc_shm_object o;
    int rc = ipc_channel_find_ring_(ch, "from", 1, &o);

    if (rc == 0)
        rc = ipc_record_broadcast_producer_attach(p, o.mem, o.size, me);
    if (rc == 0 && ck_pr_load_32(&p->ring->c.s.is.how) != how)
        rc = ipc_shm_refuse(&r->seg, -EPROTO, "what is there is published in another way, or to "
                            "another number of subscribers; if it is to go: ipc_channel_unlink");
    if (rc == 0)
        rc = ipc_notify_attach_both_(&r->out_data, p->ring->c.s.data_bell, &r->out_space,
                                     p->ring->c.s.space_bell, IPC_NOTIFY_FUTEX, me);
    if (rc != 0) {
        ipc_record_broadcast_producer_detach(p);
        return ipc_channel_refuse_broadcast_(ch, rc);
    }
    r->out_space.looks_each_second = 1;
    /* Any subscriber that dies may be the one that is waited for. */
    ipc_notify_watch_anyone(&r->out_space);
    ch->max = ipc_record_broadcast_most(p);
    (void)ipc_notify_post(&r->out_data); /* a sleeper there watches us from now on */
    return 0;
}

IPC_INLINE int ipc_channel_attach_subscriber_(struct ipc_channel *ch,
                                              const struct ipc_shm_object *o)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_record_broadcast_consumer *c = &r->subscriber;
    struct ipc_peer *me = ipc_shm_peer(&r->seg);
    int rc, tries = 0;

    do /* a publisher may be so fast that it laps us while we attach */
        rc = ipc_record_broadcast_consumer_attach(c, o->mem, o->size, me);
    while (rc == -EAGAIN && ++tries < 100);
    if (rc == 0)
        rc = ipc_notify_attach_both_(&r->data, c->ring->c.s.data_bell, &r->space,
                                     c->ring->c.s.space_bell, IPC_NOTIFY_FUTEX, me);
    if (rc != 0) {
        ipc_record_broadcast_consumer_detach(c);
        return ipc_channel_refuse_broadcast_(ch, rc);
    }
    r->data.looks_each_second = 1;
    r->writer = ipc_notify_first_seen_(&r->data, &c->ring->c.s.end[0]);
    ch->max = (size_t)(c->r.mask + 1) / 2 - 8;
    (void)ipc_notify_post(&r->space);
    return 0;
}

/* ------------------------------------------------------------------ sending and receiving */

IPC_INLINE int ipc_channel_try_publish_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;
    struct ipc_channel_ring_ *r = t->ch->ring;

    (void)argument;
    if (ipc_notify_anyone_died(&r->out_space))
        ipc_broadcast_ask_(&r->publisher.readers);
    t->rc = ipc_record_broadcast_push(&r->publisher, t->from, t->n);
    return t->rc != -EAGAIN;
}

IPC_INLINE int ipc_channel_published_send_(struct ipc_channel *ch, const void *message, size_t n,
                                           int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_channel_try_ t = {ch, message, NULL, n, 0, 0};
    uint64_t nobody = 0;

    t.rc = ipc_record_broadcast_push(&r->publisher, message, n);
    if (t.rc == -EAGAIN)
        ipc_channel_try_until_(&t, &r->out_space, &nobody, &r->reader, deadline,
                               ipc_channel_try_publish_);
    if (t.rc != 0)
        return ipc_channel_report_ring_end_(ch, (int)t.rc);
    if (CK_CC_UNLIKELY(ipc_notify_heeds_(r->publisher.ring->c.s.data_bell)))
        (void)ipc_notify_post(&r->out_data);
    return 0;
}

/* Takes a message. -EMSGSIZE: its length is in `next`. */
IPC_INLINE int ipc_channel_try_subscribed_(void *handle, void *argument)
{
    struct ipc_channel_try_ *t = (struct ipc_channel_try_ *)handle;
    struct ipc_record_broadcast_consumer *c = &t->ch->ring->subscriber;
    int rc;

    (void)argument;
    t->rc = ipc_record_broadcast_take_(c, t->to, t->n, &t->published);
    if (t->rc != -EMSGSIZE)
        return t->rc != -EAGAIN;
    rc = ipc_record_broadcast_look_(c, &t->ch->next);
    if (rc == 0 && c->how == IPC_BROADCAST_LOSSY)
        rc = ipc_record_broadcast_revalidate_(c); /* the publisher may have overwritten it */
    t->rc = rc != 0 ? rc : -EMSGSIZE;
    return t->rc != -EAGAIN;
}

/* The publisher is gone, and the next one is there already: takes what is left, or reports it. How it
 * ended is not known any more. */
IPC_INLINE void ipc_channel_try_rest_of_news_(struct ipc_channel_try_ *t)
{
    struct ipc_channel_ring_ *r = t->ch->ring;

    ck_pr_fence_load(); /* as in ipc_channel_try_rest_ */
    if (ipc_channel_try_subscribed_(t, NULL))
        return;
    t->rc = -EPIPE;
    r->writer = 0;
}

IPC_INLINE int64_t ipc_channel_published_recv_(struct ipc_channel *ch, void *to, size_t size,
                                               int64_t deadline)
{
    struct ipc_channel_ring_ *r = ch->ring;
    struct ipc_record_broadcast_consumer *c = &r->subscriber;
    struct ipc_channel_try_ t = {ch, NULL, to, size, 0, 0};
    uint64_t holder;

    if (!ipc_channel_try_subscribed_(&t, NULL)) {
        /* What was taken is published by now, and the publisher may wait for that room. */
        c->r.post_due = 0;
        (void)ipc_notify_post(&r->space);
        holder = ck_pr_load_64(&c->ring->c.s.end[0]);
        if (holder != 0 && ipc_channel_has_left_(ch, r->writer, holder))
            ipc_channel_try_rest_of_news_(&t);
        else
            ipc_channel_try_until_(&t, &r->data, &c->ring->c.s.end[0], &r->writer, deadline,
                                   ipc_channel_try_subscribed_);
    }
    if (c->r.post_due) {
        c->r.post_due = 0;
        (void)ipc_notify_post(&r->space);
    }
    if (t.rc >= 0) {
        r->writer |= r->writer == 0; /* a publisher was there, its id is not known */
        ch->next = 0;
    }
    ch->quick_in = c->how == IPC_BROADCAST_LOSSLESS && r->writer != 0 && t.rc != -EMSGSIZE ? &c->r
                                                                                           : NULL;
    if (t.rc == -EMSGSIZE)
        return ipc_channel_refuse_size_(ch, ch->next, size);
    if (t.rc == -EOVERFLOW)
        return ipc_channel_refuse_(ch, -EOVERFLOW, "%s:%s: %llu messages were missed so far",
                                   ch->kind->scheme, ch->address, (unsigned long long)c->missed);
    return t.rc >= 0 ? t.rc : ipc_channel_report_ring_end_(ch, (int)t.rc);
}

/* Has recv something to tell the subscriber? A loss that the look finds is kept for recv. */
IPC_INLINE int ipc_channel_has_news_(struct ipc_channel_ring_ *r)
{
    struct ipc_record_broadcast_consumer *c = &r->subscriber;
    size_t n;
    int rc = c->loss_pending ? -EOVERFLOW : ipc_record_broadcast_look_(c, &n);

    if (rc == -EOVERFLOW)
        c->loss_pending = 1;
    return rc != -EAGAIN || (r->writer != 0 && ck_pr_load_64(&c->ring->c.s.end[0]) == 0);
}

/* ------------------------------------------------------------------ auto: */

struct ipc_channel_auto_publisher_ {
    struct ipc_channel_auto_ is; /* first: the functions of auto: find it there */
    time_t second;               /* when it last looked for subscribers, by a clock of some 4 ms */
    long nanosecond;
};

#define IPC_CHANNEL_ADMITS_ 64u /* subscribers that one send takes in */

#ifndef CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_COARSE 6 /* costs a few nanoseconds, and no system call */
#endif

/* Takes in the subscriber that has connected first: it gets the segment, and the connection ends,
 * as the broadcast tells both sides what they need to know. 0; -ETIMEDOUT or -EINTR: no one has
 * connected, or its offer has not come yet: such a one is left after 100 ms if others wait. */
IPC_INLINE int ipc_channel_admit_subscriber_(struct ipc_channel *ch)
{
    struct ipc_channel_auto_ *own = ipc_channel_get_auto_(ch);
    size_t max = ch->max;
    uint32_t ring = 0;
    int rc;

    if (ch->in < 0) {
        rc = ipc_channel_accept_next_(&own->socket, ch, IPC_NOW);
        if (rc != 0)
            return rc;
        own->socket.came_at = ipc_clock();
    }
    rc = ipc_channel_recv_hello_(ch, 1, &ring, IPC_NOW);
    ch->max = max; /* one subscriber's maximum is not that of the others */
    if (rc == -ETIMEDOUT || rc == -EINTR)
        return rc;
    if (rc == -EPROTO) /* the answer has our roles, so the client learns why */
        (void)ipc_channel_send_hello_(ch, 0);
    else if (rc == 0 && ipc_channel_send_hello_(ch, IPC_CHANNEL_PUBLISHED_) == 0)
        (void)ipc_shm_send(&ch->ring->seg, ch->out);
    ipc_channel_leave_peer_(ch);
    return 0;
}

/* Looks for subscribers if the clock has moved on since the last time. */
IPC_INLINE void ipc_channel_admit_subscribers_(struct ipc_channel *ch)
{
    struct ipc_channel_auto_publisher_ *own = (struct ipc_channel_auto_publisher_ *)ch->state;
    struct timespec now = {0, 0};
    unsigned i;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (CK_CC_LIKELY(now.tv_nsec == own->nanosecond && now.tv_sec == own->second))
        return;
    own->second = now.tv_sec;
    own->nanosecond = now.tv_nsec;
    for (i = 0; i < IPC_CHANNEL_ADMITS_ && ipc_channel_admit_subscriber_(ch) == 0; i++)
        ;
}

IPC_INLINE int ipc_channel_auto_publisher_send_(struct ipc_channel *ch, const void *message,
                                                size_t n, int64_t deadline)
{
    ipc_channel_admit_subscribers_(ch);
    return ipc_channel_published_send_(ch, message, n, deadline);
}

IPC_INLINE void ipc_channel_auto_publisher_describe_(const struct ipc_channel *ch,
                                                     struct ipc_channel_facts *info)
{
    (void)ch;
    info->mechanism = "ring";
}

/* What a listener of auto: becomes that publishes. */
static const struct ipc_channel_kind_ ipc_channel_auto_publisher_kind_ = {
    "auto",
    IPC_CHANNEL_NO_FD_ | IPC_CHANNEL_BELL_FD_ | IPC_CHANNEL_PUBLISHES_ | IPC_CHANNEL_GROUPS_,
    sizeof(struct ipc_channel_auto_publisher_),
    AF_UNIX,
    SOCK_STREAM,
    NULL, /* open: as auto: */
    ipc_channel_auto_close_,
    NULL, /* unlink: by the URI */
    ipc_channel_auto_publisher_send_,
    NULL, /* recv */
    NULL, /* meet: subscribers are taken in by send */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    ipc_channel_auto_publisher_describe_,
    NULL, /* is_ready */
    NULL, /* serve */
};

/* A listener that publishes: makes the segment. No predecessor has left one, as it has no
 * name. */
IPC_INLINE int ipc_channel_auto_publish_(struct ipc_channel *ch)
{
    void *own = realloc(ch->state, sizeof(struct ipc_channel_auto_publisher_));
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    int rc;

    if (own == NULL)
        return -ENOMEM;
    ch->state = own;
    ((struct ipc_channel_auto_publisher_ *)own)->second = -1;
    ch->kind = &ipc_channel_auto_publisher_kind_;
    rc = ipc_channel_ring_new_(ch);
    if (rc != 0)
        return rc;
    how.members = ipc_channel_subscribers_(ch) + 1;
    rc = ipc_shm_create_with(&ch->ring->seg, NULL, ipc_channel_ring_size_(ch), &how);
    if (rc != 0)
        return ipc_channel_refuse_broadcast_(ch, rc);
    return ipc_channel_ring_attach_(ch, 1);
}

#endif

/* >>adopt  src/channel/adopt.h */
/*
 * fd:N, a descriptor that this process has: from systemd (socket activation: from 3 on, LISTEN_FDS
 * tells how many), from a parent, or from another program over a socket.
 *
 * The channel becomes what the descriptor is: one of unix:, unix-seq:, unix-dgram:, tcp: or udp:, or
 * an end of a pipe:, also where it is a FIFO's. A socket that listens, or that datagrams come to, is
 * opened with IPC_LISTEN; a connection without.
 *
 * The descriptor is the channel's once open has succeeded; where that refuses, it stays open, and the
 * caller's. It is closed on exec. A pipe, and a socket that listens for connections, do not block from
 * then on, which holds for other processes that share it; of other sockets that is left as it was. A
 * socket's file stays at close.
 *
 *   Access   As the mechanism; a file's mode is whatever it is.
 *   Loss     As the mechanism, but that no other peer can come to a connection.
 */
#ifndef IPC_SRC_CHANNEL_ADOPT_H
#define IPC_SRC_CHANNEL_ADOPT_H 1

/* ------------------------------------------------------------------ fd: */

/* The mechanism of sockets of this family and type, or NULL. */
IPC_INLINE const struct ipc_channel_kind_ *ipc_channel_find_socket_kind_(int family, int type)
{
    static const struct ipc_channel_kind_ *const kinds[] = {
        &ipc_channel_unix_kind_, &ipc_channel_unix_seq_kind_, &ipc_channel_unix_dgram_kind_,
        &ipc_channel_tcp_kind_,  &ipc_channel_udp_kind_,
    };
    size_t i;

    family = family == AF_INET6 ? AF_INET : family;
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i]->domain == family && kinds[i]->type == type)
            return kinds[i];
    return NULL;
}

/* A Unix socket's own address as in a URI, in place of the number. Without a name it keeps that. */
IPC_INLINE int ipc_channel_adopt_name_(struct ipc_channel *ch, const struct sockaddr_un *un,
                                       socklen_t size)
{
    size_t at = offsetof(struct sockaddr_un, sun_path), n = size > at ? size - at : 0;
    char *name;

    if (n == 0 || un->sun_family != AF_UNIX)
        return 0;
    name = (char *)calloc(1, n + 1);
    if (name == NULL)
        return -ENOMEM;
    memcpy(name, un->sun_path, n);
    if (*name == '\0')
        *name = '@';
    free(ch->address);
    ch->address = name;
    return 0;
}

IPC_INLINE int ipc_channel_adopt_refuse_(struct ipc_channel *ch, int fd, const char *what)
{
    return ipc_channel_refuse_(ch, -EINVAL, "fd:%d: %s", fd, what);
}

/* Makes the channel one over a socket that listens, or that datagrams come to. */
IPC_INLINE int ipc_channel_adopt_listener_(struct ipc_channel *ch, int fd)
{
    struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int one = 1;

    own->sockets[own->count++] = fd;
    own->port = ipc_channel_get_port_(fd);
    if (ch->kind->type != SOCK_DGRAM) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK); /* a client that poll told of may have gone */
        own->listener = fd;
    } else {
        ch->in = ch->out = fd;
    }
    if (ipc_channel_wants_credentials_(ch))
        (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
    return ipc_channel_set_packet_max_(ch, fd);
}

/* Makes the channel one over a socket that is connected. Open greets when it has checked all, as the
 * other side is to hear nothing of a descriptor that stays the caller's. */
IPC_INLINE int ipc_channel_adopt_connection_(struct ipc_channel *ch, int fd)
{
    int rc;

    ch->in = ch->out = fd;
    ch->flags |= IPC_CHANNEL_ACCEPTED_;
    rc = ipc_channel_check_peer_(ch, fd);
    if (rc == 0)
        rc = ipc_channel_set_packet_max_(ch, fd);
    if (rc == 0)
        ipc_channel_begin_max_(ch);
    return rc;
}

IPC_INLINE int ipc_channel_adopt_socket_(struct ipc_channel *ch, int fd)
{
    const struct ipc_channel_kind_ *kind;
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_storage room;
    } own, peer;
    socklen_t size = sizeof own, peer_size = sizeof peer, four = sizeof(int);
    int type = 0, listens = 0, connected, role = (ch->role & IPC_LISTEN) != 0, rc;

    memset(&own, 0, sizeof own);
    if (getsockname(fd, &own.any, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &four) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &four) != 0)
        return ipc_channel_refuse_errno_(ch, "tell what is");
    kind = ipc_channel_find_socket_kind_(own.any.sa_family, type);
    if (kind == NULL)
        return ipc_channel_refuse_(ch, -EPROTO, "fd:%d: no socket of unix:, tcp: or udp:", fd);
    connected = getpeername(fd, &peer.any, &peer_size) == 0;
    if (type == SOCK_DGRAM)
        listens = !connected;
    if (listens && !role)
        return ipc_channel_adopt_refuse_(ch, fd, "it listens: IPC_LISTEN");
    if (!listens && role)
        return ipc_channel_adopt_refuse_(ch, fd, "it does not listen");
    if (!listens && !connected)
        return ipc_channel_adopt_refuse_(ch, fd, "it is not connected");
    if (type == SOCK_DGRAM && (ch->role & (listens ? IPC_RECV : IPC_SEND)) == 0)
        return ipc_channel_adopt_refuse_(ch, fd, "a listener receives, the other side sends");
    rc = ipc_channel_adopt_name_(ch, &own.un, size);
    if (rc != 0)
        return rc;
    ch->kind = kind;
    return listens ? ipc_channel_adopt_listener_(ch, fd) : ipc_channel_adopt_connection_(ch, fd);
}

/* One end of a pipe or FIFO. */
IPC_INLINE int ipc_channel_adopt_pipe_(struct ipc_channel *ch, int fd)
{
    struct ipc_channel_pipe_ *own = (struct ipc_channel_pipe_ *)ch->state;
    int flags = fcntl(fd, F_GETFL), reads = (flags & O_ACCMODE) == O_RDONLY;

    if (flags < 0)
        return ipc_channel_refuse_errno_(ch, "tell what is");
    if (ch->role != (reads ? IPC_RECV : IPC_SEND))
        return ipc_channel_adopt_refuse_(
            ch, fd, reads ? "a pipe's reading end: IPC_RECV" : "a pipe's writing end: IPC_SEND");
    own->child_in = own->child_out = -1;
    ch->kind = &ipc_channel_pipe_kind_;
    *(reads ? &ch->in : &ch->out) = fd;
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return 0;
}

IPC_INLINE int ipc_channel_adopt_open_(struct ipc_channel *ch, int64_t deadline)
{
    size_t n = strspn(ch->address, "0123456789");
    int fd = n != 0 && n <= 9 && ch->address[n] == '\0' ? atoi(ch->address) : -1, rc;
    struct stat st;

    (void)deadline;
    ipc_channel_get_socket_(ch)->listener = -1;
    ch->how.mode = 0; /* nothing is made */
    if (fd < 0)
        return ipc_channel_refuse_(ch, -EINVAL, "fd:%s: not a descriptor's number", ch->address);
    if (fstat(fd, &st) != 0)
        return ipc_channel_refuse_errno_(ch, "use descriptor");
    if (S_ISFIFO(st.st_mode))
        rc = ipc_channel_adopt_pipe_(ch, fd);
    else if (S_ISSOCK(st.st_mode))
        rc = ipc_channel_adopt_socket_(ch, fd);
    else
        rc = ipc_channel_refuse_(ch, -EPROTO, "fd:%d: no socket and no pipe", fd);
    if (rc == 0)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return rc;
}

/* Open was refused: the descriptor stays the caller's. */
IPC_INLINE void ipc_channel_adopt_return_(struct ipc_channel *ch)
{
    ch->in = ch->out = -1;
    if (!ipc_channel_is_socket_(ch))
        return;
    ipc_channel_get_socket_(ch)->count = 0;
    ipc_channel_get_socket_(ch)->listener = -1;
}

/* Only until open has found out what the descriptor is. */
static const struct ipc_channel_kind_ ipc_channel_adopt_kind_ = {
    "fd",
    IPC_CHANNEL_KEEPALIVE_ | IPC_CHANNEL_GROUPS_,
    sizeof(struct ipc_channel_socket_), /* more than that of pipe: */
    0,
    0,
    ipc_channel_adopt_open_,
    NULL, /* close: nothing is open yet */
    NULL, /* unlink: it has no name */
    NULL, /* send */
    NULL, /* recv */
    NULL, /* meet */
    NULL, /* reopen */
    NULL, /* prepare */
    NULL, /* accept */
    NULL, /* descriptor */
    NULL, /* describe */
    NULL, /* is_ready */
    &ipc_channel_sockets_serve_,
};

#endif

/* >>open  src/channel/open.h */
/* The table of mechanisms; open, accept, close and unlink. */
#ifndef IPC_SRC_CHANNEL_OPEN_H
#define IPC_SRC_CHANNEL_OPEN_H 1

/* ------------------------------------------------------------------ the table */

/* A mechanism of a header that is included behind this one, ipc_zmq.h. Such a header adds itself
 * before main and before constructors of C++, so that this one names none of them. */
struct ipc_channel_added_ {
    const struct ipc_channel_kind_ *kind;
    const struct ipc_channel_added_ *next;
};

static const struct ipc_channel_added_ *ipc_channel_added_;

/* Finds the mechanism of a URI. NULL: there is none. *address: the rest of the URI. */
IPC_INLINE const struct ipc_channel_kind_ *ipc_channel_find_kind_(const char *uri,
                                                                  const char **address)
{
    static const struct ipc_channel_kind_ *const kinds[] = {
        &ipc_channel_auto_kind_,     &ipc_channel_ring_kind_,       &ipc_channel_sysvshm_kind_,
        &ipc_channel_pipe_kind_,     &ipc_channel_fifo_kind_,       &ipc_channel_unix_kind_,
        &ipc_channel_unix_seq_kind_, &ipc_channel_unix_dgram_kind_, &ipc_channel_tcp_kind_,
        &ipc_channel_udp_kind_,      &ipc_channel_mq_kind_,         &ipc_channel_sysv_kind_,
        &ipc_channel_log_kind_,      &ipc_channel_signal_kind_,     &ipc_channel_adopt_kind_,
    };
    const struct ipc_channel_added_ *added = ipc_channel_added_;
    size_t i, n = strcspn(uri, ":");

    if (uri[n] != ':')
        return NULL;
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strlen(kinds[i]->scheme) == n && memcmp(uri, kinds[i]->scheme, n) == 0) {
            *address = uri + n + 1;
            return kinds[i];
        }
    for (; added != NULL; added = added->next) {
        n = strlen(added->kind->scheme);
        if (strncmp(uri, added->kind->scheme, n) == 0 && uri[n] == ':') {
            *address = uri + n + 1;
            return added->kind;
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------ open and close */

IPC_INLINE void ipc_channel_close(struct ipc_channel *ch)
{
    if (ch->kind != NULL) {
        if (ch->server != NULL)
            ch->kind->serve->close(ch);
        if (ch->state != NULL && ch->kind->close != NULL)
            ch->kind->close(ch);
        ipc_channel_leave_peer_(ch);
        ipc_channel_ring_leave_(ch);
        free(ch->state);
        free(ch->rx.data);
        free(ch->tx.data);
        free(ch->address);
    }
    ch->kind = NULL;
    ch->state = NULL;
    ch->rx.data = ch->tx.data = NULL;
    ch->address = NULL;
}

/* Makes a handle of the mechanism that nothing is opened with yet. */
IPC_INLINE int ipc_channel_clear_(struct ipc_channel *ch, const struct ipc_channel_kind_ *kind,
                                  const char *address, const struct ipc_channel_options *how)
{
    memset(ch, 0, sizeof *ch);
    ch->in = ch->out = ch->polls = -1;
    ch->peer.uid = (uid_t)-1;
    ch->peer.gid = (gid_t)-1;
    ch->pid = getpid();
    if (kind == NULL)
        return ipc_channel_refuse_(
            ch, -EINVAL,
            "a URI begins with auto:, ring:, sysvshm:, pipe:, fifo:, unix:, unix-seq:, "
            "unix-dgram:, tcp:, udp:, mq:, sysv:, file:, signal: or fd:; with ipc_zmq.h "
            "zmq:tcp: or zmq:ipc:");
    ch->kind = kind;
    if (how != NULL)
        ch->how = *how;
    ch->priority = ch->how.priority;
    ch->select = ch->how.select;
    ch->max = ch->how.max != 0 ? ch->how.max : IPC_CHANNEL_MAX_;
    ch->address = strdup(address);
    return ch->address != NULL ? 0 : -ENOMEM;
}

/* The mode for what is made, where something is. */
IPC_INLINE void ipc_channel_default_mode_(struct ipc_channel *ch)
{
    if ((ch->kind->flags & IPC_CHANNEL_OPEN_TO_ALL_) == 0)
        ch->how.mode = ch->how.mode != 0 ? ch->how.mode & 0777 : 0600;
}

/* Allocates the mechanism's own state. */
IPC_INLINE int ipc_channel_allocate_own_(struct ipc_channel *ch)
{
    if (ch->kind->state_size != 0)
        ch->state = calloc(1, ch->kind->state_size);
    return ch->state != NULL || ch->kind->state_size == 0 ? 0 : -ENOMEM;
}

/* What the options ask for that the mechanism does not have, or NULL. */
IPC_INLINE const char *ipc_channel_find_missing_(const struct ipc_channel *ch)
{
    const struct ipc_channel_options *how = &ch->how;
    unsigned is = ch->kind->flags;

    if ((is & IPC_CHANNEL_ONE_WAY_) != 0 && (ch->role & IPC_BOTH) == IPC_BOTH)
        return "one direction only: open two";
    if ((is & IPC_CHANNEL_PRIORITY_) == 0 && how->priority != 0)
        return "no priorities; mq: and sysv: have them";
    if ((is & IPC_CHANNEL_SELECT_) == 0 && how->select != 0)
        return "no receiving by type; sysv: has it";
    if ((is & IPC_CHANNEL_DEPTH_) == 0 && how->depth != 0)
        return "no number of messages that may be under way; mq: has it";
    if ((is & IPC_CHANNEL_PUBLISHES_) == 0 && how->publish != 0)
        return "no subscribers that each get every message; ring:, auto:, udp: and file: have them";
    /* auto: publishes over a ring */
    if ((is & (how->publish != 0 ? IPC_CHANNEL_SENDERS_ | IPC_CHANNEL_BELL_FD_
                                 : IPC_CHANNEL_SENDERS_)) == 0 &&
        (how->senders != 0 || how->receivers != 0))
        return "no number of senders or receivers; ring: has them";
    if ((is & IPC_CHANNEL_OFFSET_) == 0 && (how->offset != 0 || how->mark != 0))
        return "nothing to resume; file: can";
    if ((is & IPC_CHANNEL_OFFSET_) == 0 && how->sync)
        return "no disk to wait for; file: has one";
    if ((is & IPC_CHANNEL_KEEPALIVE_) == 0 && how->keepalive != 0)
        return "no host that could vanish; tcp: has one";
    if (ch->kind->serve == NULL && how->clients != 0)
        return "no server of several clients; unix:, unix-seq:, tcp:, auto: and ring: have one";
    if ((is & IPC_CHANNEL_KEYS_) == 0 && (how->secret != NULL || how->peer_keys != NULL))
        return "no keys; zmq: has them";
    if ((is & IPC_CHANNEL_OPEN_TO_ALL_) != 0 && (how->user | how->group | how->mode) != 0)
        return "no users, groups or modes; unix: has them";
    if ((is & IPC_CHANNEL_GROUPS_) == 0 && how->group != 0)
        return "no group that is checked; unix: and auto: have one. The group of what is made is the "
               "process's own: see options.mode";
    if ((is & IPC_CHANNEL_GROUPS_) != 0 && (how->mode & 077) != 0 && ipc_channel_is_abstract_(ch))
        return "no file whose mode lets others in: options.user, options.group, or an address with a "
               "slash";
    return NULL;
}

/* Checks that the mechanism can do what role and options ask for. */
IPC_INLINE int ipc_channel_check_request_(struct ipc_channel *ch)
{
    const char *missing;

    if ((ch->role & IPC_BOTH) == 0 || ch->role > (IPC_BOTH | IPC_LISTEN))
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "role %u is none of IPC_SEND, IPC_RECV, IPC_BOTH, "
                                   "with or without IPC_LISTEN",
                                   ch->role);
    if (ch->how.max > UINT32_MAX / 2)
        return ipc_channel_refuse_(ch, -EINVAL, "messages of %zu bytes", ch->how.max);
    if (ch->how.keepalive > 32767)
        return ipc_channel_refuse_(ch, -EINVAL, "keepalive of %u s: at most 32767",
                                   ch->how.keepalive);
    if (ch->how.clients > IPC_CHANNEL_CLIENTS_)
        return ipc_channel_refuse_(ch, -EINVAL, "%u clients: at most %u", ch->how.clients,
                                   IPC_CHANNEL_CLIENTS_);
    if (ch->how.clients != 0 && (ch->role & (IPC_LISTEN | IPC_RECV)) != (IPC_LISTEN | IPC_RECV))
        return ipc_channel_refuse_(ch, -EINVAL,
                                   "clients are for a listener that receives: IPC_LISTEN and "
                                   "IPC_RECV or IPC_BOTH");
    missing = ipc_channel_find_missing_(ch);
    if (missing != NULL)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: %s", ch->kind->scheme, missing);
    return ch->how.publish != 0 ? ipc_channel_check_publisher_(ch) : 0;
}

/* Ends a call that was to open a channel. Where nothing else does, it says what a refusal means. */
IPC_INLINE int ipc_channel_end_open_(struct ipc_channel *ch, const char *uri, int rc)
{
    if (rc != 0 && rc != -ETIMEDOUT && rc != -EINTR && *ch->why == '\0')
        (void)ipc_channel_refuse_(ch, rc, "%s: cannot open: %s", uri, strerror(-rc));
    if (rc != 0)
        ipc_channel_close(ch);
    return rc;
}

IPC_INLINE int ipc_channel_open_with(struct ipc_channel *ch, const char *uri, unsigned role,
                                     int64_t deadline, const struct ipc_channel_options *how)
{
    const char *address = "";
    const struct ipc_channel_kind_ *kind =
        uri != NULL ? ipc_channel_find_kind_(uri, &address) : NULL;
    int rc = ipc_channel_clear_(ch, kind, address, how);
    struct sigaction now;

    ch->role = role;
    if (rc == 0 && !ipc_is_deadline_(deadline))
        rc = ipc_channel_refuse_deadline_(ch, deadline);
    if (rc == 0)
        rc = ipc_channel_check_request_(ch);
    if (rc == 0)
        ipc_channel_default_mode_(ch);
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
        ch->flags |= IPC_CHANNEL_SIGPIPE_IGNORED_;
    if (rc == 0)
        rc = ipc_channel_allocate_own_(ch);
    if (rc == 0)
        rc = kind->open(ch, deadline);
    if (rc == 0 && ch->kind != kind) /* fd: has become another one */
        rc = ipc_channel_check_request_(ch);
    if (rc == 0 && ch->how.max > ch->max)
        rc = ipc_channel_refuse_(ch, -EMSGSIZE,
                                 "%s:%s: messages of %zu bytes: what is there has "
                                 "room for %zu",
                                 ch->kind->scheme, ch->address, ch->how.max, ch->max);
    if (rc == 0)
        rc = ch->how.clients != 0 ? ch->kind->serve->open(ch) : ipc_channel_allocate_buffers_(ch);
    if (rc != 0 && kind == &ipc_channel_adopt_kind_)
        ipc_channel_adopt_return_(ch);
    else if (kind == &ipc_channel_adopt_kind_ && (ch->flags & IPC_CHANNEL_ACCEPTED_) != 0)
        ipc_channel_greet_(ch, ch->in);
    return ipc_channel_end_open_(ch, uri, rc);
}

IPC_INLINE int ipc_channel_open(struct ipc_channel *ch, const char *uri, unsigned role,
                                int64_t deadline)
{
    return ipc_channel_open_with(ch, uri, role, deadline, NULL);
}

/* As ipc_channel_accept, also for a server, which takes its own clients. */
IPC_INLINE int ipc_channel_take_client_(struct ipc_channel *listener, struct ipc_channel *ch,
                                        int64_t deadline)
{
    const char *address = listener->address != NULL ? listener->address : "";
    int rc = ipc_channel_clear_(ch, listener->kind, address, &listener->how);

    ch->how.clients = 0; /* it is for one client */
    if (rc == 0 && !ipc_is_deadline_(deadline))
        rc = ipc_channel_refuse_deadline_(ch, deadline);
    if (rc == 0 && listener->kind->accept == NULL)
        rc = ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: no clients to be accepted here",
                                 listener->kind->scheme);
    ch->role = listener->role & IPC_BOTH;
    ch->flags = IPC_CHANNEL_ACCEPTED_;
    if (rc == 0)
        rc = ipc_channel_allocate_own_(ch);
    if (rc == 0)
        rc = listener->kind->accept(listener, ch, deadline);
    if (rc == 0)
        rc = ipc_channel_allocate_buffers_(ch);
    return ipc_channel_end_open_(ch, address, rc);
}

IPC_INLINE int ipc_channel_accept(struct ipc_channel *listener, struct ipc_channel *ch,
                                  int64_t deadline)
{
    int rc;

    if (listener->server == NULL)
        return ipc_channel_take_client_(listener, ch, deadline);
    rc = ipc_channel_clear_(ch, listener->kind, listener->address, NULL);
    if (rc == 0)
        rc = ipc_channel_refuse_(ch, -EOPNOTSUPP, "%s: a server takes its clients itself",
                                 listener->kind->scheme);
    ipc_channel_close(ch);
    return rc;
}

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
/* Send and receive, and what a channel tells of itself. */
#ifndef IPC_SRC_CHANNEL_IO_H
#define IPC_SRC_CHANNEL_IO_H 1

/* ------------------------------------------------------------------ the long way */

/* Calls what the mechanism does before the first use. */
IPC_INLINE void ipc_channel_prepare_(struct ipc_channel *ch)
{
    if ((ch->flags & IPC_CHANNEL_UNUSED_) == 0)
        return;
    ch->flags &= ~IPC_CHANNEL_UNUSED_;
    ch->kind->prepare(ch);
}

/* Checks that the channel is open and has this direction, and the deadline. */
IPC_FORCE_INLINE int ipc_channel_check_call_(struct ipc_channel *ch, unsigned role,
                                             int64_t deadline)
{
    if (ch->kind == NULL)
        return -EINVAL; /* ipc_channel_why has why */
    if (!ipc_is_deadline_(deadline))
        return ipc_channel_refuse_deadline_(ch, deadline);
    ipc_channel_prepare_(ch);
    if ((ch->role & role) == 0)
        return ipc_channel_refuse_(ch, -EINVAL, "%s: not opened to %s", ch->kind->scheme,
                                   role == IPC_SEND ? "send" : "receive");
    return 0;
}

/* Waits for a peer until the deadline, if none is there. */
IPC_FORCE_INLINE int ipc_channel_meet_(struct ipc_channel *ch, unsigned role, int64_t deadline)
{
    int is_there = (role == IPC_SEND ? ch->out : ch->in) >= 0;

    if ((is_there && (ch->flags & IPC_CHANNEL_UNGREETED_) == 0) ||
        (ch->kind->flags & IPC_CHANNEL_NO_FD_) != 0)
        return 0;
    if (!is_there && (ch->kind->meet == NULL || (ch->flags & IPC_CHANNEL_ACCEPTED_) != 0))
        return ipc_channel_refuse_(ch, -EPIPE, "%s: the other side is gone", ch->kind->scheme);
    return ch->kind->meet(ch, deadline);
}

/* Is there something left to receive of a peer that can no longer be sent to? */
IPC_INLINE int ipc_channel_has_rest_(struct ipc_channel *ch)
{
    size_t n;
    char byte;
    ssize_t rc;

    if (ch->next != 0 || ch->rx.begin != ch->rx.end)
        return 1;
    if (ch->ring != NULL)
        return ipc_record_look_(&ch->ring->in, &n) == 0;
    rc = recv(ch->in, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
    return rc > 0 || (rc == 0 && ch->kind->type == SOCK_DGRAM); /* an empty datagram */
}

/* HALF_GONE, and the loss was reported: waits for the next listener, unless none can come, or
 * something is left to receive. A listener does not: what it sends is an answer, and not for the
 * next client. */
IPC_INLINE int ipc_channel_meet_successor_(struct ipc_channel *ch, int64_t deadline)
{
    if (ch->kind->meet == NULL || (ch->flags & IPC_CHANNEL_ACCEPTED_) != 0 ||
        (ch->role & IPC_LISTEN) != 0 || ipc_channel_has_rest_(ch))
        return ipc_channel_refuse_(ch, -EPIPE, "%s:%s: the other side is gone", ch->kind->scheme,
                                   ch->address);
    ipc_channel_leave_peer_(ch);
    return ch->kind->meet(ch, deadline);
}

IPC_FORCE_INLINE int ipc_channel_check_size_(struct ipc_channel *ch, size_t n)
{
    return n <= ch->max ? 0
                        : ipc_channel_refuse_(ch, -EMSGSIZE,
                                              "%s: a message of %zu bytes: at most %zu",
                                              ch->kind->scheme, n, ch->max);
}

/* Sends over any mechanism. A ring in the middle of its messages does not come here. */
__attribute__((noinline, hot, unused)) static int
ipc_channel_send_(struct ipc_channel *ch, const void *message, size_t n, int64_t deadline)
{
    int rc;

    ch->quick_sends = 0;
    rc = ipc_channel_check_call_(ch, IPC_SEND, deadline);
    if (rc == 0 && ch->server != NULL)
        return ipc_channel_send_to(ch, ch->from, message, n, deadline);
    if (rc == 0)
        rc = ipc_channel_meet_(ch, IPC_SEND, deadline);
    if (rc == 0 && (ch->flags & IPC_CHANNEL_CANNOT_SEND_) != 0)
        rc = ipc_channel_meet_successor_(ch, deadline);
    if (rc == 0)
        rc = ipc_channel_check_size_(ch, n);
    if (rc == 0) /* an empty message may be given as NULL, which memcpy must not get */
        rc = ch->kind->send(ch, n != 0 ? message : "", n, deadline);
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

/* Receives over any mechanism, as ipc_channel_send_. */
__attribute__((noinline, hot, unused)) static int64_t ipc_channel_recv_(struct ipc_channel *ch, void *to,
                                                                   size_t size, int64_t deadline)
{
    int64_t rc = ipc_channel_check_call_(ch, IPC_RECV, deadline);
    char nothing;

    to = size != 0 ? to : &nothing;
    if (rc == 0 && ch->server != NULL) {
        rc = ch->kind->serve->recv(ch, to, size, deadline);
    } else {
        if (rc == 0)
            rc = ipc_channel_meet_(ch, IPC_RECV, deadline);
        if (rc == 0)
            rc = ch->kind->recv(ch, to, size, deadline);
    }
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

/* ------------------------------------------------------------------ send and receive */

IPC_FORCE_INLINE int ipc_channel_send(struct ipc_channel *ch, const void *message, size_t n,
                                      int64_t deadline)
{
    struct ipc_record_producer *out = ch->quick_out;

    /* A message that no process would read takes the long way, which reports that. */
    if (CK_CC_UNLIKELY(--ch->quick_sends < 0 ||
                       ck_pr_load_64(ch->quick_holder) != ch->quick_reader || n > ch->max ||
                       ipc_record_push(out, message, n) != 0))
        return ipc_channel_send_(ch, message, n, deadline);
    if (CK_CC_UNLIKELY(ipc_notify_heeds_(out->ring->data_bell)))
        (void)ipc_notify_post(&ch->ring->out_data);
    return 0;
}

IPC_FORCE_INLINE int64_t ipc_channel_recv(struct ipc_channel *ch, void *to, size_t size,
                                          int64_t deadline)
{
    struct ipc_record_consumer *in = ch->quick_in;
    int published = 0;
    int64_t rc;

    if (CK_CC_UNLIKELY(in == NULL || (rc = ipc_record_take_(in, to, size, &published)) < 0))
        return ipc_channel_recv_(ch, to, size, deadline);
    if (CK_CC_UNLIKELY(published))
        (void)ipc_notify_post(&ch->ring->space);
    return rc;
}

IPC_INLINE int ipc_channel_flush(struct ipc_channel *ch, int64_t deadline)
{
    if (ch->kind == NULL)
        return -EINVAL;
    if (!ipc_is_deadline_(deadline))
        return ipc_channel_refuse_deadline_(ch, deadline);
    if (ch->server != NULL)
        return ch->kind->serve->flush != NULL ? ch->kind->serve->flush(ch, deadline) : 0;
    if (ch->kind == &ipc_channel_auto_publisher_kind_)
        ipc_channel_admit_subscribers_(ch);
    if (ch->ring != NULL && ch->ring->publisher.ring != NULL) { /* then `clients` counts the living */
        (void)ipc_record_broadcast_producer_recover(&ch->ring->publisher, 0);
        return 0;
    }
    return ch->out < 0 ? 0 : ipc_channel_send_rest_(ch, deadline);
}

/* ------------------------------------------------------------------ what a channel tells */

IPC_INLINE int ipc_channel_fd(struct ipc_channel *ch)
{
    int fd;

    if (ch->kind == NULL)
        return -EINVAL;
    ipc_channel_prepare_(ch);
    if (ch->server != NULL)
        return ch->kind->serve->descriptor(ch);
    if ((ch->kind->flags & IPC_CHANNEL_NO_FD_) != 0 && ch->kind->descriptor == NULL)
        return -EOPNOTSUPP;
    if (ch->kind->descriptor != NULL)
        fd = ch->kind->descriptor(ch);
    else
        fd = (ch->role & IPC_RECV) != 0 ? ch->in : ch->out;
    return fd == -1 ? -ENOTCONN : fd;
}

IPC_INLINE int ipc_channel_info(const struct ipc_channel *ch, struct ipc_channel_facts *info)
{
    memset(info, 0, sizeof *info);
    info->uid = (uid_t)-1;
    info->gid = (gid_t)-1;
    if (ch->kind == NULL)
        return -EINVAL;
    info->mechanism = ch->kind->scheme;
    info->max = ch->max;
    info->next = ch->next;
    info->pending = ch->tx.end - ch->tx.begin;
    info->pid = ch->peer.pid;
    info->uid = ch->peer.uid;
    info->gid = ch->peer.gid;
    if (ch->ring != NULL) {
        info->missed = ipc_record_broadcast_missed(&ch->ring->subscriber);
        info->memory = ch->ring->seg.size;
        info->clients = ipc_record_broadcast_was_readers(&ch->ring->publisher);
    }
    if (ch->kind->describe != NULL)
        ch->kind->describe(ch, info);
    if (ch->server != NULL)
        ch->kind->serve->describe(ch, info);
    return 0;
}

#endif

/* >>server  src/channel/server.h */
/*
 * Many clients with one handle: what a program calls, and the server of unix:, unix-seq:, tcp: and
 * auto:. The server of ring: is in its own room.
 *
 * The server has a seat for each client: a channel as ipc_channel_accept makes it. One epoll
 * descriptor, which is also that of ipc_channel_fd, tells of the listener and of the sockets of all
 * clients. It is level-triggered: what is not read is told again.
 *
 * What it cannot tell of is what was read already. A client of which more may be at hand is in the
 * queue: epoll has told of it, or a message of it was handed out and there are bytes behind that,
 * or it is over a ring. recv takes a message of the first in the queue, which goes behind the
 * others, or leaves the queue if it has no whole message. A ring's bell is armed by then. epoll is
 * asked when the queue is empty, and after IPC_CHANNEL_TURNS_ messages, so that clients that send
 * without end keep out nobody. When recv says -ETIMEDOUT, the queue is empty.
 *
 * Every call on a client's channel has IPC_NOW, but in ipc_channel_send_to. What a client does not
 * read stays in its channel's tx, and epoll tells when there is room.
 *
 *     seat
 *     FREE     -> AGREEING   a client was accepted, and has a number
 *     AGREEING -> SERVED     it has greeted; auto: it is agreed where messages go
 *     AGREEING -> FREE       that has failed, or after 100 ms its place or descriptors are needed;
 *                            nothing is reported
 *     SERVED   -> FREE       recv reports the loss; or ipc_channel_drop
 *
 * When no client can be accepted (all seats are taken, or no descriptor is free) the listener is
 * paused: epoll does not tell of it until a client leaves, or a later call after 100 ms.
 */
#ifndef IPC_SRC_CHANNEL_SERVER_H
#define IPC_SRC_CHANNEL_SERVER_H 1

/* ------------------------------------------------------------------ the seats */

#define IPC_CHANNEL_TURNS_ 64                       /* messages between two looks at epoll */
#define IPC_CHANNEL_EVENTS_ 64                      /* that a look takes at once */
#define IPC_CHANNEL_PAUSE_NS_ INT64_C(100000000)    /* of a listener that cannot accept */
#define IPC_CHANNEL_SEAT_BITS_ 20                   /* of a client's number; above it: its turn */

struct ipc_channel_client_ {
    struct ipc_channel ch;
    uint64_t number;  /* 0: the seat is free */
    unsigned seat;    /* its index in seats[] */
    unsigned watched; /* the events of its socket that epoll tells of */
    struct ipc_channel_client_ *next, *before; /* in the queue; next: among the free ones, too */
};

struct ipc_channel_sockets_ {
    int polls;
    struct ipc_channel_client_ **seats; /* as many as were ever needed at a time */
    unsigned made, room;                /* of seats[]: how many there are, and may be */
    unsigned clients;                   /* how many seats are not free */
    struct ipc_channel_client_ *free, *queue; /* queue: the first, of a circle; NULL: it is empty */
    uint64_t came;                            /* how many clients were ever accepted */
    int turns;                                /* messages until the next look */
    int64_t paused; /* the listener, until then; 0: it is not */
    int told;       /* recv has reported that no client can be accepted */
};

IPC_INLINE struct ipc_channel_sockets_ *ipc_channel_get_server_(const struct ipc_channel *ch)
{
    return (struct ipc_channel_sockets_ *)ch->server;
}

IPC_INLINE void ipc_channel_enqueue_(struct ipc_channel_sockets_ *s, struct ipc_channel_client_ *c)
{
    struct ipc_channel_client_ *first = s->queue;

    if (c->next != NULL)
        return; /* it is there already */
    s->queue = first != NULL ? first : c;
    first = s->queue;
    c->next = first;
    c->before = first == c ? c : first->before;
    c->before->next = first->before = c;
}

IPC_INLINE void ipc_channel_dequeue_(struct ipc_channel_sockets_ *s, struct ipc_channel_client_ *c)
{
    if (c->next == NULL)
        return;
    if (s->queue == c)
        s->queue = c->next != c ? c->next : NULL;
    c->before->next = c->next;
    c->next->before = c->before;
    c->next = NULL;
}

/* The client of a number, or NULL. */
IPC_INLINE struct ipc_channel_client_ *ipc_channel_find_client_(const struct ipc_channel *ch,
                                                                uint64_t number)
{
    const struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    uint64_t seat = number & ((UINT64_C(1) << IPC_CHANNEL_SEAT_BITS_) - 1);

    return number != 0 && seat < s->made && s->seats[seat]->number == number ? s->seats[seat]
                                                                             : NULL;
}

/* Is the client still to agree where messages go? */
IPC_INLINE int ipc_channel_is_agreeing_(const struct ipc_channel_client_ *c)
{
    return (c->ch.flags & IPC_CHANNEL_UNGREETED_) != 0 ||
           (c->ch.kind == &ipc_channel_auto_kind_ && ipc_channel_must_agree_(&c->ch));
}

/* A free seat. NULL: there is no memory. */
IPC_INLINE struct ipc_channel_client_ *ipc_channel_find_seat_(struct ipc_channel_sockets_ *s)
{
    struct ipc_channel_client_ *c = s->free, **seats;
    unsigned room = s->room != 0 ? 2 * s->room : 16;

    if (c != NULL) {
        s->free = c->next;
        c->next = NULL;
        return c;
    }
    if (s->made == s->room) {
        seats = (struct ipc_channel_client_ **)realloc(s->seats, room * sizeof *seats);
        if (seats == NULL)
            return NULL;
        s->seats = seats;
        s->room = room;
    }
    c = (struct ipc_channel_client_ *)calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->seat = s->made;
    s->seats[s->made++] = c;
    return c;
}

IPC_INLINE void ipc_channel_free_seat_(struct ipc_channel_sockets_ *s,
                                       struct ipc_channel_client_ *c)
{
    c->number = 0;
    c->next = s->free;
    s->free = c;
}

/* ------------------------------------------------------------------ the listener */

/* Lets epoll tell of the listener, or not. */
IPC_INLINE int ipc_channel_heed_listener_(struct ipc_channel *ch, int op, int on)
{
    struct epoll_event e;

    memset(&e, 0, sizeof e); /* no client has the number 0 */
    e.events = on ? (uint32_t)EPOLLIN : 0;
    ipc_channel_get_server_(ch)->paused = on ? 0 : ipc_clock() + IPC_CHANNEL_PAUSE_NS_;
    return epoll_ctl(ipc_channel_get_server_(ch)->polls, op, ipc_channel_get_socket_(ch)->listener,
                     &e);
}

IPC_INLINE void ipc_channel_leave_client_(struct ipc_channel *ch, struct ipc_channel_client_ *c)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);

    ipc_channel_dequeue_(s, c);
    ipc_channel_close(&c->ch);
    ipc_channel_free_seat_(s, c);
    s->clients--;
    if (s->paused != 0)
        (void)ipc_channel_heed_listener_(ch, EPOLL_CTL_MOD, 1);
}

/* Leaves the clients that have not agreed in time. 1: there were such. */
IPC_INLINE int ipc_channel_leave_late_clients_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    unsigned i, before = s->clients;

    for (i = 0; i < s->made; i++)
        if (s->seats[i]->number != 0 && ipc_channel_is_agreeing_(s->seats[i]) &&
            ipc_left_(ipc_channel_get_socket_(&s->seats[i]->ch)->came_at + IPC_CHANNEL_HELLO_NS_) ==
                0)
            ipc_channel_leave_client_(ch, s->seats[i]);
    return s->clients != before;
}

/* Takes a client that waits. 0; -ETIMEDOUT: none waits, or it was not permitted; or what keeps it
 * from being accepted. */
IPC_INLINE int ipc_channel_take_next_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    struct ipc_channel_client_ *c = ipc_channel_find_seat_(s);
    struct epoll_event e;
    int rc;

    if (c == NULL)
        return ipc_channel_refuse_(ch, -ENOMEM, "no memory for a client");
    rc = ipc_channel_take_client_(ch, &c->ch, IPC_NOW);
    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    e.data.u64 = (s->came + 1) << IPC_CHANNEL_SEAT_BITS_ | c->seat;
    if (rc == 0 && epoll_ctl(s->polls, EPOLL_CTL_ADD, c->ch.in, &e) != 0)
        rc = ipc_channel_refuse_errno_(&c->ch, "wait for a client of");
    if (rc != 0) {
        memcpy(ch->why, c->ch.why, sizeof ch->why);
        ipc_channel_close(&c->ch);
        ipc_channel_free_seat_(s, c);
        return rc;
    }
    c->ch.polls = s->polls;
    c->number = e.data.u64;
    c->watched = EPOLLIN;
    s->came++;
    s->clients++;
    s->told = 0;
    return 0;
}

/* Takes the clients that wait, not more at once than a look takes. 0; or once, what keeps one from
 * being accepted. */
IPC_INLINE int ipc_channel_take_clients_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    int i, rc = 0, is_full = 0;

    for (i = 0; rc == 0 && !is_full && i < IPC_CHANNEL_EVENTS_; i++) {
        is_full = s->clients == ch->how.clients;
        if (is_full &&
            ipc_channel_wait_(ipc_channel_get_socket_(ch)->listener, POLLIN, IPC_NOW) != 0)
            return 0; /* no other client needs a place */
        if (is_full && ipc_channel_leave_late_clients_(ch))
            is_full = 0;
        rc = is_full ? 0 : ipc_channel_take_next_(ch);
    }
    if (rc == -ETIMEDOUT || (rc == 0 && !is_full))
        return 0;
    if (rc != 0 && ipc_channel_leave_late_clients_(ch))
        return 0; /* the next look tries again */
    (void)ipc_channel_heed_listener_(ch, EPOLL_CTL_MOD, 0);
    if (rc == 0 || s->told)
        return 0;
    s->told = 1;
    return rc;
}

/* ------------------------------------------------------------------ what epoll tells */

/* Lets epoll tell when a client reads what is left for it. 0 or -errno. */
IPC_INLINE int ipc_channel_watch_client_(struct ipc_channel_sockets_ *s,
                                         struct ipc_channel_client_ *c)
{
    unsigned events = c->ch.tx.begin != c->ch.tx.end ? EPOLLIN | EPOLLOUT : EPOLLIN;
    struct epoll_event e;

    memset(&e, 0, sizeof e);
    e.data.u64 = c->number;
    e.events = events;
    if (events != c->watched && epoll_ctl(s->polls, EPOLL_CTL_MOD, c->ch.in, &e) != 0)
        return -errno;
    c->watched = events;
    return 0;
}

/* Waits until epoll tells something, and takes that in. 0; -ETIMEDOUT, -EINTR; or as
 * ipc_channel_take_clients_. */
IPC_INLINE int ipc_channel_look_at_clients_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    struct epoll_event e[IPC_CHANNEL_EVENTS_];
    struct ipc_channel_client_ *c;
    int rc = 0, n, i, comes = 0;

    if (s->paused != 0 && ipc_left_(s->paused) == 0)
        (void)ipc_channel_heed_listener_(ch, EPOLL_CTL_MOD, 1);
    if (s->paused != 0 && deadline > s->paused)
        deadline = s->paused;
    if (deadline > IPC_NOW) /* a stop of the process interrupts epoll_wait, but not poll */
        rc = ipc_channel_wait_(s->polls, POLLIN, deadline);
    n = rc == 0 ? epoll_wait(s->polls, e, IPC_CHANNEL_EVENTS_, 0) : 0;
    if (n <= 0)
        return rc != 0 ? rc : n < 0 ? -errno : -ETIMEDOUT;
    for (i = 0; i < n; i++) {
        c = ipc_channel_find_client_(ch, e[i].data.u64);
        comes |= e[i].data.u64 == 0;
        if (c == NULL)
            continue;
        if ((e[i].events & EPOLLOUT) != 0) {
            (void)ipc_channel_send_rest_(&c->ch, IPC_NOW);
            (void)ipc_channel_watch_client_(s, c);
        }
        if ((e[i].events & ~(unsigned)EPOLLOUT) != 0)
            ipc_channel_enqueue_(s, c);
    }
    return comes ? ipc_channel_take_clients_(ch) : 0;
}

/* ------------------------------------------------------------------ what the tables name */

IPC_INLINE int ipc_channel_sockets_open_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = (struct ipc_channel_sockets_ *)calloc(1, sizeof *s);

    if (s == NULL)
        return ipc_channel_refuse_(ch, -ENOMEM, "no memory for clients");
    ch->server = s;
    s->polls = ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    if (s->polls < 0 || ipc_channel_heed_listener_(ch, EPOLL_CTL_ADD, 1) != 0)
        return ipc_channel_refuse_errno_(ch, "wait for clients of");
    return 0;
}

/* After fork the parent has the descriptor of epoll, too: what it tells there must not change. */
IPC_INLINE void ipc_channel_sockets_close_(struct ipc_channel *ch)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    unsigned i;

    ipc_channel_close_fd_(&s->polls);
    for (i = 0; i < s->made; i++) {
        s->seats[i]->ch.polls = -1;
        ipc_channel_close(&s->seats[i]->ch);
        free(s->seats[i]);
    }
    free(s->seats);
    free(s);
    ch->server = NULL;
}

/* Receives from one client, which is the first in the queue. As recv, and ch->from is set; or
 * -EAGAIN: it has nothing to hand out. */
IPC_INLINE int64_t ipc_channel_serve_first_(struct ipc_channel *ch, void *to, size_t size)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    struct ipc_channel_client_ *c = s->queue;
    int agreeing = ipc_channel_is_agreeing_(c), more;
    int64_t rc = ipc_channel_recv(&c->ch, to, size, IPC_NOW);
    int failed = c->ch.in >= 0 ? ipc_channel_watch_client_(s, c) : 0, lost;

    if (rc == -EINTR)
        return rc;
    agreeing &= !ipc_channel_get_socket_(&c->ch)->greeted; /* it may have sent more than a greeting */
    if (failed != 0 && rc == -ETIMEDOUT)
        rc = ipc_channel_refuse_(&c->ch, failed, "cannot wait for a client: %s", strerror(-failed));
    lost = rc < 0 && rc != -ETIMEDOUT && rc != -EMSGSIZE;
    if (rc != -ETIMEDOUT && !(lost && agreeing)) {
        ch->from = c->number;
        ch->next = rc == -EMSGSIZE ? c->ch.next : 0;
        if (rc < 0)
            memcpy(ch->why, c->ch.why, sizeof ch->why);
    }
    if (lost) {
        ipc_channel_leave_client_(ch, c);
        return agreeing ? -EAGAIN : rc;
    }
    more = c->ch.rx.begin != c->ch.rx.end || c->ch.next != 0 || c->ch.ring != NULL;
    s->queue = c->next; /* a circle: the next one is the first now, and this one the last */
    if (rc == -ETIMEDOUT || !more)
        ipc_channel_dequeue_(s, c);
    return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

IPC_INLINE int64_t ipc_channel_sockets_recv_(struct ipc_channel *ch, void *to, size_t size,
                                             int64_t deadline)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    unsigned skips = 0;
    int64_t rc;

    for (;;) {
        if (s->queue == NULL || --s->turns < 0) {
            if (s->queue == NULL && ipc_channel_has_skipped_enough_(&skips, deadline))
                return -ETIMEDOUT; /* clients that trickle keep no call beyond its deadline */
            s->turns = IPC_CHANNEL_TURNS_;
            rc = ipc_channel_look_at_clients_(ch, s->queue == NULL ? deadline : IPC_NOW);
            if (rc < 0 && rc != -ETIMEDOUT)
                return rc;
            if (s->queue == NULL && rc == -ETIMEDOUT && ipc_left_(deadline) == 0)
                return rc;
        }
        if (s->queue == NULL)
            continue;
        rc = ipc_channel_serve_first_(ch, to, size);
        if (rc != -EAGAIN)
            return rc;
    }
}

IPC_INLINE int ipc_channel_refuse_client_(struct ipc_channel *ch, uint64_t client)
{
    return ipc_channel_refuse_(ch, -EPIPE, "%s:%s: client %llu is gone", ch->kind->scheme,
                               ch->address, (unsigned long long)client);
}

IPC_INLINE int ipc_channel_sockets_send_to_(struct ipc_channel *ch, uint64_t client,
                                            const void *message, size_t n, int64_t deadline)
{
    struct ipc_channel_client_ *c = ipc_channel_find_client_(ch, client);
    int rc;

    if (c == NULL)
        return ipc_channel_refuse_client_(ch, client);
    rc = ipc_channel_send(&c->ch, message, n, deadline);
    if (rc != 0)
        memcpy(ch->why, c->ch.why, sizeof ch->why);
    if (c->ch.in < 0) /* it has failed to agree */
        ipc_channel_leave_client_(ch, c);
    else
        (void)ipc_channel_watch_client_(ipc_channel_get_server_(ch), c);
    return rc;
}

IPC_INLINE int ipc_channel_sockets_drop_(struct ipc_channel *ch, uint64_t client)
{
    struct ipc_channel_client_ *c = ipc_channel_find_client_(ch, client);

    if (c == NULL)
        return ipc_channel_refuse_client_(ch, client);
    (void)shutdown(c->ch.in, SHUT_RDWR); /* after fork another process may have it, too */
    ipc_channel_leave_client_(ch, c);
    return 0;
}

/* Tries each client at once, so that none waits for another that does not read, then waits. */
IPC_INLINE int ipc_channel_sockets_flush_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    unsigned i, left = 0;
    int pass, rc = 0;

    for (pass = 0; pass < 2; pass++)
        for (i = left = 0; i < s->made; i++) {
            struct ipc_channel_client_ *c = s->seats[i];

            if (c->number == 0 || c->ch.tx.begin == c->ch.tx.end)
                continue;
            rc = ipc_channel_send_rest_(&c->ch, pass == 0 ? IPC_NOW : deadline);
            (void)ipc_channel_watch_client_(s, c);
            if (rc == -EINTR)
                return rc;
            left += c->ch.tx.begin != c->ch.tx.end;
        }
    return left == 0 ? 0 : -ETIMEDOUT;
}

IPC_INLINE int ipc_channel_sockets_descriptor_(struct ipc_channel *ch)
{
    return ipc_channel_get_server_(ch)->polls;
}

/* Who the last message came from, and how much all clients have still to read. */
IPC_INLINE void ipc_channel_sockets_describe_(const struct ipc_channel *ch,
                                              struct ipc_channel_facts *info)
{
    const struct ipc_channel_sockets_ *s = ipc_channel_get_server_(ch);
    const struct ipc_channel_client_ *c = ipc_channel_find_client_(ch, ch->from);
    unsigned i;

    info->clients = s->clients;
    for (i = 0; i < s->made; i++)
        if (s->seats[i]->number != 0)
            info->pending += s->seats[i]->ch.tx.end - s->seats[i]->ch.tx.begin;
    if (c == NULL)
        return;
    info->pid = c->ch.peer.pid;
    info->uid = c->ch.peer.uid;
    info->gid = c->ch.peer.gid;
}

IPC_INLINE int ipc_channel_sockets_is_ready_(struct ipc_channel *ch)
{
    return ipc_channel_get_server_(ch)->queue != NULL;
}

/* ------------------------------------------------------------------ what a program calls */

/* Checks that the channel is a server. */
IPC_INLINE int ipc_channel_check_server_(struct ipc_channel *ch)
{
    if (ch->kind == NULL)
        return -EINVAL; /* ipc_channel_why has why */
    return ch->server != NULL
               ? 0
               : ipc_channel_refuse_(ch, -EINVAL, "%s: no server: see options.clients",
                                     ch->kind->scheme);
}

IPC_INLINE int ipc_channel_send_to(struct ipc_channel *ch, uint64_t client, const void *message,
                                   size_t n, int64_t deadline)
{
    int rc = ipc_channel_check_server_(ch);

    if (rc == 0)
        rc = ipc_channel_check_call_(ch, IPC_SEND, deadline);
    if (rc == 0)
        rc = ipc_channel_check_size_(ch, n);
    if (rc == 0)
        rc = ch->kind->serve->send_to(ch, client, n != 0 ? message : "", n, deadline);
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

IPC_INLINE int ipc_channel_drop(struct ipc_channel *ch, uint64_t client)
{
    int rc = ipc_channel_check_server_(ch);

    return rc != 0 ? rc : ch->kind->serve->drop(ch, client);
}

#endif

/* >>any  src/channel/any.h */
/* Waiting for several channels at once. */
#ifndef IPC_SRC_CHANNEL_ANY_H
#define IPC_SRC_CHANNEL_ANY_H 1

/* ------------------------------------------------------------------ looking at one channel */

IPC_INLINE int ipc_channel_is_ready_(struct ipc_channel *ch)
{
    if (ch->server != NULL)
        return ch->kind->serve->is_ready(ch);
    return ch->kind->is_ready != NULL ? ch->kind->is_ready(ch) : ipc_channel_holds_message_(ch);
}

/* Has a listener's client said nothing for 100 ms, and another one waits, of which the first one's
 * descriptor does not tell? Then recv leaves the first one. */
IPC_INLINE int ipc_channel_is_client_late_(const struct ipc_channel *ch)
{
    const struct ipc_channel_socket_ *own = ipc_channel_get_socket_(ch);
    int is_silent = (ch->flags & IPC_CHANNEL_UNGREETED_) != 0 ||
                    (ch->kind == &ipc_channel_auto_kind_ &&
                     ipc_channel_get_auto_(ch)->step == IPC_CHANNEL_OFFER_);

    return is_silent && ch->server == NULL && ch->in >= 0 && own->listener >= 0 &&
           ipc_left_(own->came_at + IPC_CHANNEL_HELLO_NS_) == 0 &&
           ipc_channel_wait_(own->listener, POLLIN, IPC_NOW) == 0;
}

/* 1: recv has something to tell. 0: it has not, and *fd tells of what comes from now on; or *fd is -1:
 * nobody is there; or -EOPNOTSUPP: no descriptor tells. Else a negative errno. */
IPC_INLINE int ipc_channel_look_at_(struct ipc_channel *ch, int *fd)
{
    int rc;

    *fd = ipc_channel_fd(ch);
    if (*fd == -ENOTCONN) {
        rc = ipc_channel_meet_(ch, IPC_RECV, IPC_NOW);
        if (rc == 0 || rc == -ETIMEDOUT)
            *ch->why = '\0';
        *fd = rc == 0 ? ipc_channel_fd(ch) : -1;
        if (rc != 0)
            return rc != -ETIMEDOUT;
    }
    if (*fd >= 0 && ipc_channel_is_client_late_(ch))
        return 1;
    return *fd >= 0 || *fd == -EOPNOTSUPP ? ipc_channel_is_ready_(ch) : *fd;
}

/* ------------------------------------------------------------------ looking at all */

#define IPC_CHANNEL_MEET_NS_ INT64_C(100000000) /* between two looks for the next peer */

/* What one look at all channels has found. */
struct ipc_channel_looks_ {
    struct pollfd p[IPC_NOTIFY_MANY]; /* fd: negative where there is none */
    unsigned char is_ready[IPC_NOTIFY_MANY];
    int64_t until; /* when it is time for the next look; IPC_NOW: a channel is ready */
    /* Where no channel has a descriptor: the bells of those that are rings, to sleep on. Each look finds
     * the same: they are of sysvshm:, which has its ring from open to close. */
    struct ipc_notify *bell[IPC_NOTIFY_MANY];
    uint32_t key[IPC_NOTIFY_MANY]; /* of ipc_notify_prepare */
    unsigned bells;
};

/* Looks at all channels. 0, or a negative errno. */
IPC_INLINE int ipc_channel_look_at_all_(struct ipc_channel_looks_ *l,
                                        struct ipc_channel *const channels[], unsigned n)
{
    int64_t rest = IPC_NOTIFY_LONG_; /* some mechanisms look at times, in recv */
    int rc, ready = 0, polls = 0, looks = 0, meets = 0;
    unsigned i;

    for (i = l->bells = 0; i < n; i++) {
        l->p[i].events = POLLIN;
        rc = ipc_channel_look_at_(channels[i], &l->p[i].fd);
        if (rc < 0)
            return rc;
        l->is_ready[i] = (unsigned char)rc;
        ready |= rc;
        if (l->p[i].fd >= 0)
            polls = 1;
        else if (l->p[i].fd != -EOPNOTSUPP)
            meets = 1;
        else if (channels[i]->ring != NULL)
            l->bell[l->bells++] = &channels[i]->ring->data;
        else
            looks = 1;
    }
    if (looks || (polls && l->bells != 0)) /* no call of the kernel sleeps on both */
        rest = IPC_NOTIFY_NAP_;
    else if (l->bells != 0)
        rest = IPC_NOTIFY_SLICE_; /* between two looks for a death */
    else if (meets)
        rest = IPC_CHANNEL_MEET_NS_;
    l->bells = polls ? 0 : l->bells;
    l->until = ready ? IPC_NOW : ipc_clock() + rest;
    return 0;
}

/* Sleeps until a bell rings, or until then: -ETIMEDOUT, to look again. Or -EINTR. */
IPC_INLINE int ipc_channel_sleep_by_bells_(const struct ipc_channel_looks_ *l, int64_t until)
{
    struct ipc_notify_group_ g;
    int rc;

    g.all = l->bell;
    g.count = l->bells;
    g.kept = NULL; /* for sleeps of more than 8 ms */
    rc = ipc_group_sleep_(&g, l->key, until);
    return rc == 0 ? -ETIMEDOUT : rc;
}

/* ------------------------------------------------------------------ what a program calls */

/* Looks at all channels before the first that is ready is chosen, so that one that always is, as it
 * has many messages at hand, keeps out none of which only its descriptor tells. */
IPC_INLINE int ipc_channel_poll_any_(struct ipc_channel *const channels[], unsigned n,
                                     unsigned begin, int64_t deadline)
{
    struct ipc_channel_looks_ l;
    int64_t until;
    unsigned i, k;
    int rc;

    for (;;) {
        rc = ipc_channel_look_at_all_(&l, channels, n);
        if (rc == 0 && l.bells != 0 && l.until != IPC_NOW && deadline > IPC_NOW) {
            for (i = 0; i < l.bells; i++)
                l.key[i] = ipc_notify_prepare(l.bell[i]);
            rc = ipc_channel_look_at_all_(&l, channels, n);
        }
        if (rc < 0)
            return rc;
        until = deadline < l.until ? deadline : l.until;
        rc = l.bells != 0 && until != IPC_NOW ? ipc_channel_sleep_by_bells_(&l, until)
                                              : ipc_channel_poll_(l.p, n, until);
        for (k = 0; (rc == 0 || l.until == IPC_NOW) && k < n; k++) {
            i = (begin + k) % n;
            if (l.is_ready[i] || (rc == 0 && l.p[i].revents != 0))
                return (int)i;
        }
        if (rc != -ETIMEDOUT || deadline == IPC_NOW)
            return rc;
        if (ipc_left_(deadline) == 0) /* One more look: a bell may have rung just before. */
            deadline = IPC_NOW;
    }
}

IPC_INLINE int ipc_channel_wait_any(struct ipc_channel *const channels[], unsigned n,
                                    int64_t deadline)
{
    unsigned i;
    int rc = n != 0 && n <= IPC_NOTIFY_MANY ? 0 : -EINVAL;

    for (i = 0; rc == 0 && i < n; i++)
        rc = ipc_channel_check_call_(channels[i], IPC_RECV, deadline);
    if (rc != 0 && i > 1)
        memcpy(channels[0]->why, channels[i - 1]->why, sizeof channels[0]->why);
    if (rc == 0)
        rc = ipc_channel_poll_any_(channels, n, channels[0]->turn % n, deadline);
    if (rc >= 0)
        channels[0]->turn = (unsigned)rc + 1;
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *channels[0]->why = '\0';
    return rc;
}

#endif

#endif /* IPC_CHANNEL_H */
