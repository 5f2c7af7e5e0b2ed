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

#include "ring_poll.h"
#include "ring_talk.h"

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
