/* The reference: what a program calls. */
#ifndef IPC_SRC_CHANNEL_REFERENCE_H
#define IPC_SRC_CHANNEL_REFERENCE_H 1

#include "core.h"

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
