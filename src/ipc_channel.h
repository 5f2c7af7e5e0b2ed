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

#include "common/version.h"
#include "channel/core.h"
#include "channel/reference.h"
#include "channel/wait.h"
#include "channel/frame.h"
#include "channel/pipe.h"
#include "channel/address.h"
#include "channel/greet.h"
#include "channel/socket.h"
#include "channel/multicast.h"
#include "channel/packet.h"
#include "channel/mq.h"
#include "channel/sysv.h"
#include "channel/log_record.h"
#include "channel/log.h"
#include "channel/signal.h"
#include "channel/ring.h"
#include "channel/ring_open.h"
#include "channel/ring_poll.h"
#include "channel/ring_talk.h"
#include "channel/ring_server.h"
#include "channel/sysvshm.h"
#include "channel/auto.h"
#include "channel/publish.h"
#include "channel/adopt.h"
#include "channel/open.h"
#include "channel/io.h"
#include "channel/server.h"
#include "channel/any.h"

#endif /* IPC_CHANNEL_H */
