/* Open and close. */
#ifndef IPC_SRC_CHANNEL_OPEN_H
#define IPC_SRC_CHANNEL_OPEN_H 1

#include "pipe.h"
#include "packet.h"
#include "mq.h"
#include "sysv.h"
#include "log.h"
#include "signal.h"
#include "sysvshm.h"
#include "auto.h"

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
