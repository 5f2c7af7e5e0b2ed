/* The table of mechanisms; open, accept, close and unlink. */
#ifndef IPC_SRC_CHANNEL_OPEN_H
#define IPC_SRC_CHANNEL_OPEN_H 1

#include "pipe.h"
#include "packet.h"
#include "mq.h"
#include "sysv.h"
#include "log.h"
#include "signal.h"
#include "sysvshm.h"
#include "publish.h"
#include "ring_open.h"
#include "adopt.h"

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
