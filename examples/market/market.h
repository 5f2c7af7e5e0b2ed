/*
 * What the feed and its readers share: the updates, the rings in the segment, and the same updates
 * over a Unix socket. Where a function takes `where`, that is the name of a segment, or the URI of
 * a channel with clients (unix-seq:PATH).
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MARKET_H
#define MARKET_H 1

#include "ipc_channel.h"
#include "book.h"
#include <inttypes.h>
#include <stdio.h>

enum kind {
    RESET = 'B', /* a session begins: all books are empty */
    STOCK = 'R', /* name */
    QUOTE = 'Q', /* the best prices of a stock, whole: whoever missed some needs only the next */
    TRADE = 'T',
    LOST = 'L',  /* a gap: count messages are lost, and books may be wrong */
    EVENT = 'E', /* a system event of the exchange: code */
    END = 'Z'    /* the feed ends. Always the last */
};

struct update {
    uint64_t number;   /* 1, 2, ... of this feed; so a reader counts what it has missed */
    uint64_t exchange; /* the message's timestamp, nanoseconds since midnight */
    int64_t packet;    /* CLOCK_MONOTONIC, when its packet came; of a file: when it was due */
    union {
        struct quote quote;
        struct {
            uint32_t price, shares;
            uint64_t match;
        } trade;
        char name[8];
        uint64_t count;
    } is;
    uint16_t locate;
    uint8_t kind;
    uint8_t code;
    uint32_t zero;
};
IPC_BROADCAST(updates, struct update)

/* The datagrams as they came, for the recorder: nanoseconds since 1970, an int64_t; the payload. */
IPC_RECORD_BROADCAST(packets)

enum { PACKETS = 1 << 22, READERS = 64 };

static inline int is_uri(const char *where)
{
    return strchr(where, ':') != NULL;
}

/* ------------------------------------------------------------------ the feed's side */

struct out {
    int over_ring;
    struct ipc_shm seg;
    struct updates_producer ring;
    struct packets_producer packets;
    const char *name; /* of the segment */
    struct ipc_channel ch;
    uint64_t reader[READERS], readers; /* clients of the channel */
    uint64_t number, refused;          /* refused: by the sockets of readers that are behind */
};

/* capacity: updates in the ring, a power of two. */
static inline void out_open(struct out *o, const char *where, uint64_t capacity)
{
    struct ipc_channel_options how = {.max = sizeof(struct update), .clients = READERS};
    size_t size = updates_footprint(capacity, IPC_BROADCAST_LOSSY) +
                  packets_footprint(PACKETS, IPC_BROADCAST_LOSSY) + (1 << 16);
    int rc;

    memset(o, 0, sizeof *o);
    o->over_ring = !is_uri(where);
    o->name = where;
    if (!o->over_ring) {
        if (ipc_channel_open_with(&o->ch, where, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how) != 0)
            errx(1, "%s", ipc_channel_why(&o->ch));
        return;
    }
    rc = ipc_shm_create(&o->seg, where, size); /* or takes over what a killed feed has left */
    if (rc == 0)
        rc = updates_producer_create(&o->ring, &o->seg, "updates", capacity, IPC_BROADCAST_LOSSY);
    if (rc == 0)
        rc = packets_producer_create(&o->packets, &o->seg, "packets", PACKETS, IPC_BROADCAST_LOSSY);
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&o->seg));
}

/* Takes in the readers that come, by their first message, and forgets those that have left. */
static inline void out_look(struct out *o, int64_t deadline)
{
    char hello;
    int64_t n;
    unsigned i;

    while (!o->over_ring &&
           (n = ipc_channel_recv(&o->ch, &hello, sizeof hello, deadline)) != -ETIMEDOUT &&
           n != -EINTR) {
        for (i = 0; i < o->readers && o->reader[i] != o->ch.from; i++)
            ;
        if (n >= 0 && i == o->readers && i < READERS)
            o->reader[o->readers++] = o->ch.from;
        else if (n < 0 && i < o->readers)
            o->reader[i] = o->reader[--o->readers];
    }
}

/* Gives the update its number and publishes it. Over sockets a reader that is behind does not get
 * it; `deadline` is how long to wait for such. */
static inline void out_put(struct out *o, struct update *u, int64_t deadline)
{
    unsigned i;

    u->number = ++o->number;
    if (o->over_ring) {
        if (updates_push(&o->ring, u) != 0)
            errx(1, "the ring is corrupt");
        return;
    }
    for (i = 0; i < o->readers; i++)
        o->refused += ipc_channel_send_to(&o->ch, o->reader[i], u, sizeof *u, deadline) != 0;
}

/* Wakes the readers that sleep: once for the updates of a packet. */
static inline void out_post(struct out *o)
{
    if (o->over_ring) {
        (void)updates_producer_post(&o->ring);
        (void)packets_producer_post(&o->packets);
    }
}

/* Puts the datagram out for the recorder. */
static inline void out_record(struct out *o, int64_t realtime, const unsigned char *from, size_t n)
{
    unsigned char *to = o->over_ring ? packets_claim(&o->packets, n + sizeof realtime) : NULL;

    if (to == NULL)
        return;
    memcpy(to, &realtime, sizeof realtime);
    memcpy(to + sizeof realtime, from, n);
    (void)packets_commit(&o->packets, n + sizeof realtime);
}

static inline void out_close(struct out *o, int64_t deadline)
{
    struct update end = {.kind = END};

    out_put(o, &end, deadline);
    out_post(o);
    if (!o->over_ring) {
        ipc_channel_close(&o->ch);
        return;
    }
    updates_producer_detach(&o->ring);
    packets_producer_detach(&o->packets);
    ipc_shm_close(&o->seg);
    (void)ipc_shm_unlink(o->name); /* readers that have it open read to the end */
}

/* ------------------------------------------------------------------ the strategies' side */

struct in {
    int over_ring, ended;
    struct ipc_shm seg;
    struct updates_consumer ring;
    struct ipc_channel ch;
};

/* Waits for the feed until the deadline. */
static inline void in_open(struct in *in, const char *where, int64_t deadline)
{
    int rc;

    memset(in, 0, sizeof *in);
    in->over_ring = !is_uri(where);
    if (!in->over_ring) {
        if (ipc_channel_open(&in->ch, where, IPC_BOTH, deadline) != 0 ||
            ipc_channel_send(&in->ch, "", 1, deadline) != 0)
            errx(1, "%s", ipc_channel_why(&in->ch));
        return;
    }
    rc = ipc_shm_open(&in->seg, where, deadline);
    rc = rc != 0 ? rc : updates_consumer_open(&in->ring, &in->seg, "updates");
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&in->seg));
}

/*
 * The next update. 0; -ETIMEDOUT, -EINTR; -EOVERFLOW: the ring has lapped this reader, which goes
 * on with a later update; -EPIPE: the feed has ended; -EOWNERDEAD: it was killed, and the next call
 * waits for its successor; over a socket this one does. Otherwise -EBADMSG or the like.
 */
static inline int in_take(struct in *in, struct update *u, int64_t deadline)
{
    int64_t n;

    if (in->over_ring)
        return updates_recv(&in->ring, u, deadline);
    n = ipc_channel_recv(&in->ch, u, sizeof *u, deadline);
    if (n == -EPIPE && !in->ended) { /* a socket does not tell killed from closed */
        (void)ipc_channel_send(&in->ch, "", 1, IPC_FOREVER); /* to the successor */
        return -EOWNERDEAD;
    }
    if (n == sizeof *u)
        in->ended = u->kind == END;
    return n < 0 ? (int)n : n == sizeof *u ? 0 : -EBADMSG;
}

/* As in_take with IPC_FOREVER, but looks all the time, on a core of its own, and never sleeps. */
static inline int in_poll(struct in *in, struct update *u)
{
    unsigned i;
    int rc;

    do {
        for (i = 0, rc = -EAGAIN; in->over_ring && i < 50000 && rc == -EAGAIN; i++)
            rc = updates_pop(&in->ring, u);
        if (rc == -EAGAIN)
            rc = in_take(in, u, IPC_NOW); /* also tells of the feed's end */
    } while (rc == -ETIMEDOUT);
    return rc;
}

static inline void in_close(struct in *in)
{
    if (in->over_ring) {
        updates_consumer_detach(&in->ring);
        ipc_shm_close(&in->seg);
    } else
        ipc_channel_close(&in->ch);
}

/* ------------------------------------------------------------------ the end of the day */

/* Of a stock's name, which is padded with spaces. */
static inline int name_length(const char name[8])
{
    int n = 8;

    while (n > 0 && name[n - 1] == ' ')
        n--;
    return n;
}

static inline void put_side(FILE *f, const struct side *s)
{
    uint32_t i;

    (void)fprintf(f, " |");
    for (i = s->n; i-- > 0;)
        (void)fprintf(f, " %" PRIu32 ":%" PRIu64 ":%" PRIu32, s->level[i].price, s->level[i].shares,
                      s->level[i].orders);
}

/* A line for a stock: LOCATE NAME BID SHARES ASK SHARES TRADES VOLUME, and with `levels` the sides'
 * levels, the best first: | PRICE:SHARES:ORDERS ... | ... */
static inline void put_book(FILE *f, unsigned locate, const struct book *b, int levels)
{
    struct quote q = levels ? book_quote(b) : b->told;

    (void)fprintf(f, "%u %.*s %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRIu64,
                  locate, name_length(b->stock), b->stock, q.bid, q.bid_shares, q.ask, q.ask_shares,
                  b->trades, b->volume);
    if (levels) {
        put_side(f, &b->side[BUY]);
        put_side(f, &b->side[SELL]);
    }
    (void)fputc('\n', f);
}

/* Writes the books of all stocks that have a name. */
static inline void put_books(const char *path, const struct book *book, int levels)
{
    FILE *f = fopen(path, "w");
    unsigned i;

    for (i = 0; f != NULL && i < STOCKS; i++)
        if (book[i].stock[0] != 0)
            put_book(f, i, &book[i], levels);
    if (f == NULL || fclose(f) != 0)
        err(1, "%s", path);
}

#endif
