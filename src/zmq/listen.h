/*
 * The side that listens: a ZMQ_ROUTER, or a ZMQ_PUB where it publishes. Where it only receives, and
 * serves one client at a time, it is a ZMQ_DEALER, which is faster, as no routing id comes with a
 * message; that client's is then empty.
 *
 * The library makes the listening sockets, as for unix: and tcp:, and ZeroMQ gets duplicates of
 * them. ZeroMQ takes in every connection. A client is admitted by the handler of ZAP, which is this
 * channel, in its calls: while a place is free, and where its key is one of options.peer_keys. The
 * others wait in their handshake. The answer of ZAP gives the client a number, which each of its
 * messages then carries.
 *
 * A client's first message is an empty one (ZMQ_PROBE_ROUTER), which no program sees. It tells the
 * routing id, the number and the descriptor. The monitor tells ends by descriptor, and a descriptor
 * is used again. But a client that has a descriptor of an end is admitted after that end was taken
 * in. So a client whose number is above `left` of its descriptor is there, and another one is gone.
 *
 *     seat
 *     FREE      -> THERE     its first message
 *     THERE     -> ENDED     DISCONNECTED; or at once, if that came before its first message
 *     ENDED     -> FREE      recv has reported the loss, after all that the client sent
 *     THERE     -> DROPPED   ipc_channel_drop; or there was no place
 *     DROPPED   -> FREE      its end
 *
 * A client that was admitted has its place also before its first message, until its connection
 * ends. The monitor tells ends by descriptors, which are not known yet, so it is a matter of
 * counting: an end without a handshake that failed is that of a client that had its place. Where
 * the count was wrong, as ZeroMQ tells of no failure where the kinds of sockets do not fit, one
 * more is admitted: that one is dropped at its first message. A ZMQ_DEALER could not tell it
 * apart, and counts on until all that are connected are known.
 *
 * An ended client has nothing left when no message is there. Where others send without end it has
 * nothing left after two turns of all connections: ZeroMQ takes one message of each in turn, and no
 * connection is passed over twice.
 */
#ifndef IPC_SRC_ZMQ_LISTEN_H
#define IPC_SRC_ZMQ_LISTEN_H 1

#include "core.h"

/* ------------------------------------------------------------------ seats */

IPC_INLINE int ipc_zmq_compare_(const void *a, const void *b)
{
    const struct ipc_zmq_peer_ *x = (const struct ipc_zmq_peer_ *)a,
                               *y = (const struct ipc_zmq_peer_ *)b;

    if (x->id_size != y->id_size)
        return x->id_size < y->id_size ? -1 : 1;
    return memcmp(x->id, y->id, x->id_size);
}

/* The client of a routing id, which is written into key, or NULL. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_id_(struct ipc_zmq_ *own, zmq_msg_t *id,
                                                  struct ipc_zmq_peer_ *key)
{
    void *found;

    key->id_size = zmq_msg_size(id);
    key->id_size = key->id_size < sizeof key->id ? key->id_size : sizeof key->id; /* ZMTP: 255 */
    memcpy(key->id, zmq_msg_data(id), key->id_size);
    found = tfind(key, &own->tree, ipc_zmq_compare_);
    if (found != NULL)
        own->cached = *(struct ipc_zmq_peer_ **)found;
    return found != NULL ? own->cached : NULL;
}

/* The client of a number, or NULL. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_client_(const struct ipc_zmq_ *own, uint64_t number)
{
    uint64_t seat = number & ((UINT64_C(1) << IPC_CHANNEL_SEAT_BITS_) - 1);
    struct ipc_zmq_peer_ *p = number != 0 && seat < own->made ? own->seats[seat] : NULL;

    return p != NULL && p->number == number && !p->is_dropped ? p : NULL;
}

/* What is known of a descriptor, or NULL: there is no memory. */
IPC_INLINE struct ipc_zmq_fd_ *ipc_zmq_find_fd_(struct ipc_zmq_ *own, int fd)
{
    struct ipc_zmq_fd_ *fds;
    int size;

    if (fd >= own->fds_size) {
        size = 2 * fd + 64;
        fds = (struct ipc_zmq_fd_ *)realloc(own->fds, (size_t)size * sizeof *fds);
        if (fds == NULL)
            return NULL;
        memset(fds + own->fds_size, 0, (size_t)(size - own->fds_size) * sizeof *fds);
        own->fds = fds;
        own->fds_size = size;
    }
    return fd >= 0 ? &own->fds[fd] : NULL;
}

/* A free seat, or NULL: there is no memory. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_seat_(struct ipc_zmq_ *own)
{
    struct ipc_zmq_peer_ *p, **seats;
    unsigned i;

    for (i = 0; i < own->made; i++)
        if (own->seats[i]->number == 0)
            return own->seats[i];
    if ((own->made & (own->made - 1)) == 0) {
        seats = (struct ipc_zmq_peer_ **)realloc(own->seats, (own->made != 0 ? 2 * own->made : 1) *
                                                                 sizeof *seats);
        if (seats == NULL)
            return NULL;
        own->seats = seats;
    }
    p = (struct ipc_zmq_peer_ *)calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->seat = own->made;
    own->seats[own->made++] = p;
    return p;
}

IPC_INLINE void ipc_zmq_free_seat_(struct ipc_zmq_ *own, struct ipc_zmq_peer_ *p)
{
    struct ipc_zmq_fd_ *at = ipc_zmq_find_fd_(own, p->fd);

    if (at != NULL && at->peer == p)
        at->peer = NULL;
    (void)tdelete(p, &own->tree, ipc_zmq_compare_);
    own->cached = NULL;
    own->clients -= !p->is_dropped;
    if (p->end.has_come)
        own->ended--;
    else
        own->alive--;
    p->number = 0;
}

/* How many messages may come before an ended client that has some left has its turn. */
IPC_INLINE uint64_t ipc_zmq_count_turns_(const struct ipc_zmq_ *own)
{
    return own->reads + 2 * (own->open + own->made) + 2;
}

IPC_INLINE void ipc_zmq_end_peer_(struct ipc_zmq_ *own, struct ipc_zmq_peer_ *p, int fd)
{
    ipc_zmq_end_now_(own, &p->end, fd);
    own->alive--;
    own->ended++;
    p->reads = 0;
}

/* Leaves a client. Its connection is shut down, but the seat stays until that has an end. */
IPC_INLINE void ipc_zmq_drop_peer_(struct ipc_zmq_ *own, struct ipc_zmq_peer_ *p)
{
    if (!p->end.has_come)
        (void)shutdown(p->fd, SHUT_RDWR);
    p->is_dropped = 1;
    own->clients--;
}

/* Takes in an event. */
IPC_INLINE void ipc_zmq_notice_(struct ipc_zmq_ *own, int event, int32_t value)
{
    struct ipc_zmq_fd_ *at;

    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        own->shaking -= own->shaking > 0;
        own->silent++;
        return;
    }
    if (event != ZMQ_EVENT_ACCEPTED && event != ZMQ_EVENT_DISCONNECTED) {
        own->failed++;
        return;
    }
    at = ipc_zmq_find_fd_(own, value);
    if (event == ZMQ_EVENT_ACCEPTED) {
        own->open++;
        if (at != NULL)
            at->ino = ipc_zmq_inode_(value);
        return;
    }
    own->open -= own->open != 0;
    if (at == NULL)
        return;
    at->ino = 0;
    at->left = own->admitted;
    if (at->peer != NULL)
        ipc_zmq_end_peer_(own, at->peer, value);
    else if (own->failed > 0)
        own->failed--; /* it was never here */
    else if (own->type == ZMQ_ROUTER)
        own->silent--;
    at->peer = NULL;
}

/* Takes in all events. */
IPC_INLINE void ipc_zmq_notice_all_(struct ipc_zmq_ *own)
{
    int event;
    int32_t value;

    while (ipc_zmq_take_event_(own, &event, &value))
        ipc_zmq_notice_(own, event, value);
}

/* ------------------------------------------------------------------ who may come in */

/* How many were admitted whose first message has not come. A handshake is done at once after its
 * answer, but for a client that had no part in it; such a one is late then. */
IPC_INLINE unsigned ipc_zmq_count_pending_(struct ipc_zmq_ *own)
{
    int most = own->open > own->alive ? (int)(own->open - own->alive) : 0, n;

    if (most == 0)
        own->shaking = own->silent = 0;
    if (own->type == ZMQ_ROUTER && ipc_left_(own->admitted_at + IPC_ZMQ_LATE_NS_) == 0)
        own->shaking = 0;
    n = own->shaking + own->silent;
    n = n < most ? n : most;
    return n > 0 ? (unsigned)n : 0;
}

IPC_INLINE int ipc_zmq_has_place_(const struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    return ch->how.publish != 0 || own->clients + ipc_zmq_count_pending_(own) < own->limit;
}

/* Is the key, of 32 bytes, one of options.peer_keys? */
IPC_INLINE int ipc_zmq_knows_key_(const struct ipc_zmq_ *own, const unsigned char *key, size_t n)
{
    char text[IPC_ZMQ_KEY_ + 1];
    const char *at;

    if (own->peer_keys == NULL)
        return 1;
    if (n != 32 || zmq_z85_encode(text, key, 32) == NULL)
        return 0;
    for (at = own->peer_keys; *(at += strspn(at, " ")) != '\0'; at += strcspn(at, " "))
        if (strcspn(at, " ") == IPC_ZMQ_KEY_ && memcmp(at, text, IPC_ZMQ_KEY_) == 0)
            return 1;
    return 0;
}

IPC_INLINE int ipc_zmq_say_(void *to, const char *text, int flags)
{
    return zmq_send(to, text, strlen(text), flags | ZMQ_DONTWAIT) >= 0;
}

/* Answers a request of ZAP. 1; 0: the client is gone. */
IPC_INLINE int ipc_zmq_answer_(struct ipc_zmq_ *own, zmq_msg_t *client, const char *request,
                               int may_come)
{
    char number[24];

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)own->admitted + 1);
    return zmq_send(own->keys, zmq_msg_data(client), zmq_msg_size(client),
                    ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
           ipc_zmq_say_(own->keys, "", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, "1.0", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, request, ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, may_come ? "200" : "400", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, "", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, may_come ? number : "", ZMQ_SNDMORE) &&
           ipc_zmq_say_(own->keys, "", 0);
}

/* Takes a request of ZAP: client, nothing, version, request, domain, address, id, mechanism, key.
 * 0: there is none. */
IPC_INLINE int ipc_zmq_admit_one_(struct ipc_zmq_ *own)
{
    char request[16] = "";
    zmq_msg_t client, part;
    int i = 0, more, may_come = own->peer_keys == NULL;

    (void)zmq_msg_init(&client);
    if (zmq_msg_recv(&client, own->keys, ZMQ_DONTWAIT) < 0)
        return 0;
    more = zmq_msg_more(&client);
    (void)zmq_msg_init(&part);
    while (more && zmq_msg_recv(&part, own->keys, ZMQ_DONTWAIT) >= 0) {
        size_t n = zmq_msg_size(&part);

        if (++i == 3 && n < sizeof request)
            memcpy(request, zmq_msg_data(&part), n);
        if (i == 8)
            may_come = ipc_zmq_knows_key_(own, (unsigned char *)zmq_msg_data(&part), n);
        more = zmq_msg_more(&part);
    }
    ipc_zmq_notice_all_(own); /* also the end of the connection that had this descriptor before */
    if (ipc_zmq_answer_(own, &client, request, may_come) && may_come) {
        own->admitted++;
        own->shaking++;
        own->admitted_at = ipc_clock();
    }
    (void)zmq_msg_close(&part);
    (void)zmq_msg_close(&client);
    return 1;
}

/* Admits clients while there are places. */
IPC_INLINE void ipc_zmq_admit_(struct ipc_channel *ch)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);

    while (own->keys_wait && ipc_zmq_has_place_(ch))
        own->keys_wait = ipc_zmq_admit_one_(own);
}

/* ------------------------------------------------------------------ who comes and goes */

/* Gives a seat to a client whose first message came: own->message has its number. NULL: there is no
 * memory. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_seat_(struct ipc_channel *ch,
                                               const struct ipc_zmq_peer_ *key)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    const char *number = zmq_msg_gets(&own->message, "User-Id");
    int fd = zmq_msg_get(&own->message, ZMQ_SRCFD);
    struct ipc_zmq_fd_ *at = ipc_zmq_find_fd_(own, fd);
    struct ipc_zmq_peer_ *p = at != NULL ? ipc_zmq_find_seat_(own) : NULL;
    socklen_t size = sizeof p->is;

    if (p == NULL)
        return NULL;
    memcpy(p->id, key->id, key->id_size);
    p->id_size = key->id_size;
    if (tsearch(p, &own->tree, ipc_zmq_compare_) == NULL)
        return NULL;
    p->number = ++own->came << IPC_CHANNEL_SEAT_BITS_ | p->seat;
    p->admitted = number != NULL ? strtoull(number, NULL, 10) : 0;
    p->fd = fd;
    p->is_dropped = 0;
    memset(&p->end, 0, sizeof p->end);
    memset(&p->is, 0, sizeof p->is);
    p->is.uid = (uid_t)-1;
    p->is.gid = (gid_t)-1;
    own->cached = p;
    own->clients++;
    own->alive++;
    if (p->admitted <= at->left) {
        ipc_zmq_end_peer_(own, p, fd);
        return p;
    }
    own->silent--; /* below 0 until HANDSHAKE_SUCCEEDED is taken in */
    at->peer = p;
    if (ipc_channel_is_unix_(ch))
        (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &p->is, &size);
    if (own->clients > own->limit)
        ipc_zmq_drop_peer_(own, p);
    return p;
}

/* Takes the next message of a client into own->message, its sender into own->from. 0; -EAGAIN:
 * there is none; -EBADMSG: it has several parts, and was dropped; -ENOMEM. */
IPC_INLINE int ipc_zmq_pull_(struct ipc_channel *ch, int flags)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    struct ipc_zmq_peer_ key, *p;
    int rc, is_first;

    while (!own->has_message) {
        if (!ipc_zmq_take_(own, flags))
            return -EAGAIN;
        flags = ZMQ_DONTWAIT; /* clients that are sent away must not keep us */
        own->reads++;
        p = own->cached;
        if (own->type == ZMQ_DEALER) {
            key.id_size = 0;
        } else {
            if (p == NULL || zmq_msg_size(&own->message) != p->id_size ||
                memcmp(zmq_msg_data(&own->message), p->id, p->id_size) != 0)
                p = ipc_zmq_find_id_(own, &own->message, &key);
            if (!ipc_zmq_take_(own, ZMQ_DONTWAIT))
                continue;
        }
        is_first = p == NULL;
        if (is_first)
            p = ipc_zmq_seat_(ch, &key);
        rc = ipc_zmq_drop_parts_(own) ? -EBADMSG : 0;
        if (p == NULL)
            return ipc_channel_refuse_(ch, -ENOMEM, "no memory for a client");
        if (p->reads != 0)
            p->reads = ipc_zmq_count_turns_(own);
        if (p->is_dropped || (is_first && rc == 0 && zmq_msg_size(&own->message) == 0) ||
            (ch->role & IPC_RECV) == 0)
            continue;
        own->from = p;
        if (rc != 0)
            return ipc_channel_refuse_(ch, rc, "%s:%s: a message of several parts",
                                       ch->kind->scheme, ch->address);
        own->has_message = 1;
    }
    return 0;
}

/* Has the client ended, and nothing left? all_read: no message is there. An end that counts only
 * now is not asked for that, as the client's last messages may have come in between. */
IPC_INLINE int ipc_zmq_is_gone_(struct ipc_zmq_ *own, struct ipc_zmq_peer_ *p, int all_read)
{
    if (p->number == 0 || !p->end.has_come || (own->has_message && own->from == p))
        return 0;
    if (p->reads != 0)
        return all_read || own->reads > p->reads;
    if (!all_read && ipc_zmq_is_over_(own, &p->end))
        p->reads = ipc_zmq_count_turns_(own);
    return 0;
}

/* The client whose loss is to be reported, or NULL. Seats of those that were dropped become free.
 * */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_gone_(struct ipc_zmq_ *own, int all_read)
{
    unsigned i;

    for (i = 0; own->ended != 0 && i < own->made; i++) {
        if (!ipc_zmq_is_gone_(own, own->seats[i], all_read))
            continue;
        if (!own->seats[i]->is_dropped)
            return own->seats[i];
        ipc_zmq_free_seat_(own, own->seats[i]);
    }
    return NULL;
}

/* The only client of a channel that is no server, or NULL. */
IPC_INLINE struct ipc_zmq_peer_ *ipc_zmq_find_only_(const struct ipc_zmq_ *own)
{
    unsigned i;

    for (i = 0; i < own->made; i++)
        if (own->seats[i]->number != 0 && !own->seats[i]->is_dropped)
            return own->seats[i];
    return NULL;
}

/* Sends to a client. 0; -EAGAIN: it does not read; -EPIPE: it is gone. */
IPC_INLINE int ipc_zmq_send_peer_(struct ipc_zmq_ *own, const struct ipc_zmq_peer_ *p,
                                  const void *message, size_t n)
{
    if (zmq_send(own->main, p->id, p->id_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return zmq_errno() == EAGAIN ? -EAGAIN : -EPIPE;
    return zmq_send(own->main, message, n, ZMQ_DONTWAIT) >= 0 ? 0 : -EPIPE;
}

/* ------------------------------------------------------------------ opening */

/* Makes the socket, and gives it those that listen. */
IPC_INLINE int ipc_zmq_listen_(struct ipc_channel *ch, int64_t deadline)
{
    struct ipc_zmq_ *own = ipc_zmq_get_(ch);
    int type = ZMQ_ROUTER, rc, bad = 0, fd;
    uid_t users[3];
    char endpoint[PATH_MAX + 16];
    unsigned i;

    if (ch->how.publish != 0)
        type = ZMQ_PUB;
    else if ((ch->role & IPC_BOTH) == IPC_RECV && ch->how.clients == 0)
        type = ZMQ_DEALER;
    own->type = type;
    own->limit = ch->how.clients != 0 ? ch->how.clients : 1;
    rc = ipc_channel_make_listener_(ch, deadline);
    if (rc == 0)
        rc = ipc_zmq_make_(ch, &own->main, type, IPC_ZMQ_MAIN_);
    if (rc == 0)
        rc = ipc_zmq_prepare_(ch);
    if (rc == 0)
        rc = ipc_zmq_monitor_(ch);
    if (rc == 0)
        bad |= type == ZMQ_ROUTER ? ipc_zmq_set_(own->main, ZMQ_ROUTER_MANDATORY, 1) : 0;
    if (rc == 0 && type == ZMQ_PUB)
        bad |= ipc_zmq_set_(own->main, ZMQ_XPUB_NODROP, ch->how.publish == IPC_LOSSLESS);
    if (rc == 0 && (type != ZMQ_PUB || own->peer_keys != NULL)) {
        rc = ipc_zmq_make_(ch, &own->keys, ZMQ_ROUTER, IPC_ZMQ_KEYS_);
        if (rc == 0)
            bad |= zmq_setsockopt(own->main, ZMQ_ZAP_DOMAIN, "ipc", 3) |
                   ipc_zmq_set_(own->keys, ZMQ_ROUTER_MANDATORY, 1) |
                   ipc_zmq_set_(own->keys, ZMQ_RCVHWM, 0) |
                   zmq_bind(own->keys, "inproc://zeromq.zap.01");
        own->keys_wait = 1;
    }
    users[0] = geteuid();
    users[1] = 0;
    users[2] = ch->how.user;
    for (i = 0; rc == 0 && ipc_channel_is_unix_(ch) && i < 3; i++)
        bad |= zmq_setsockopt(own->main, ZMQ_IPC_FILTER_UID, &users[i], sizeof users[i]);
    if (rc == 0 && ipc_channel_is_unix_(ch) && ch->how.group != 0)
        bad |= zmq_setsockopt(own->main, ZMQ_IPC_FILTER_GID, &ch->how.group, sizeof(gid_t));
    (void)snprintf(endpoint, sizeof endpoint, ipc_channel_is_unix_(ch) ? "ipc://%s" : "tcp://*:1",
                   ch->address);
    for (i = 0; rc == 0 && bad == 0 && i < own->socket.count; i++) {
        fd = fcntl(own->socket.sockets[i], F_DUPFD_CLOEXEC, 3);
        bad |= fd < 0 || ipc_zmq_set_(own->main, ZMQ_USE_FD, fd) | zmq_bind(own->main, endpoint);
    }
    return rc == 0 && bad != 0 ? ipc_zmq_refuse_(ch, "listen") : rc;
}

#endif
