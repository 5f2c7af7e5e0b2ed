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

#include "ring.h"

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
