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

#include "common/version.h"
#include "zmq/core.h"
#include "zmq/connect.h"
#include "zmq/listen.h"
#include "zmq/kind.h"

#endif /* IPC_ZMQ_H */
