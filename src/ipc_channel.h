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

#include "common/version.h"
#include "channel/core.h"
#include "channel/reference.h"
#include "channel/wait.h"
#include "channel/frame.h"
#include "channel/pipe.h"
#include "channel/socket.h"
#include "channel/packet.h"
#include "channel/mq.h"
#include "channel/sysv.h"
#include "channel/log.h"
#include "channel/signal.h"
#include "channel/ring.h"
#include "channel/sysvshm.h"
#include "channel/auto.h"
#include "channel/open.h"
#include "channel/io.h"

#endif /* IPC_CHANNEL_H */
