/*
 * Makes a trading day: NASDAQ TotalView-ITCH 5.0 in MoldUDP64, as a capture, or sent to a multicast
 * group at its pace. The same options make the same day, on any machine.
 *
 *     generate [options] FILE.pcap
 *     generate [options] udp:GROUP%LINK:PORT
 *
 *     -n N     messages of the trading hours, about (100000)
 *     -t N     milliseconds that they take (10000)
 *     -k N     stocks (50)
 *     -s N     the seed (1)
 *     -b FILE  writes the books at the end: the lines of feed -b, found by looking at all orders
 *
 * The stocks that begin the list trade most. Orders come in bursts, around a price that wanders;
 * most are deleted, some replaced, cancelled in part or executed, which moves the price. The day
 * has its system events, the stock directory, an opening and a closing cross, a halt, and each of
 * the other messages at least once.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "market.h"
#include "itch.h"
#include <getopt.h>
#include <pcap/pcap.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define DAY                                                                                        \
    (UINT64_C(1767618000) * SECOND) /* 2026-01-05 in New York, whose midnight is 05:00 UTC */
#define OPENING (34200 * SECOND)    /* 09:30 */
#define SESSION "20260105AA"

struct live {
    uint64_t reference;
    uint32_t price, shares;
    int side;
};

struct stock {
    char name[8];
    uint32_t price; /* that the orders are around */
    uint32_t tick;
    struct live *live; /* the orders in the book, in no order */
    size_t n, room;
    uint64_t trades, volume;
};

struct day {
    uint64_t random, now, mean; /* mean: nanoseconds between messages */
    uint64_t sequence, reference, match;
    struct stock *stock;
    unsigned stocks, locate; /* locate: of the message that is made */
    unsigned tracking;
    unsigned char frame[FRAME_HEADERS + 1500];
    size_t size;     /* of the datagram in the frame, with its header; 0: none is begun */
    unsigned count;  /* its messages */
    uint64_t opened; /* when it was begun */
    uint64_t messages;
    size_t begin; /* of the message that is made, in the frame */
    pcap_dumper_t *file;
    struct ipc_channel group;
    int64_t started; /* CLOCK_MONOTONIC less the time of the day */
};

/* ------------------------------------------------------------------ chance */

/* xorshift64*, of Marsaglia and Vigna. */
static uint64_t draw(struct day *d)
{
    d->random ^= d->random >> 12;
    d->random ^= d->random << 25;
    d->random ^= d->random >> 27;
    return d->random * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t below(struct day *d, uint64_t n)
{
    return (draw(d) >> 16) % n;
}

static int chance(struct day *d, unsigned of_thousand)
{
    return below(d, 1000) < of_thousand;
}

/* 0 half of the time, 1 a quarter, ... */
static unsigned few(struct day *d)
{
    return (unsigned)__builtin_ctzll(draw(d) | UINT64_C(1) << 40);
}

/* Bursts of 16 messages, at eight times the mean rate, and pauses between them. */
static void advance(struct day *d)
{
    if (below(d, 16) != 0)
        d->now += 200 + below(d, d->mean / 4 + 1);
    else
        d->now += below(d, 28 * d->mean + 1);
}

/* ------------------------------------------------------------------ datagrams */

static void send_datagram(struct day *d, uint64_t when)
{
    int64_t due = d->started + (int64_t)when;
    struct timespec t = {due / 1000000000, due % 1000000000};
    struct pcap_pkthdr head = {0};

    if (d->file == NULL) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        if (ipc_channel_send(&d->group, d->frame + FRAME_HEADERS, d->size, IPC_FOREVER) != 0)
            errx(1, "%s", ipc_channel_why(&d->group));
        return;
    }
    frame_finish(d->frame, d->size);
    head.ts.tv_sec = (time_t)((DAY + when) / SECOND);
    head.ts.tv_usec = (suseconds_t)((DAY + when) % SECOND); /* nanoseconds, as the file says */
    head.caplen = head.len = (bpf_u_int32)(FRAME_HEADERS + d->size);
    pcap_dump((unsigned char *)d->file, &head, d->frame);
}

static void begin_datagram(struct day *d, unsigned count)
{
    unsigned char *to = d->frame + FRAME_HEADERS;

    memcpy(to, SESSION, 10);
    put_be(to + 10, d->sequence, 8);
    put_be(to + 18, count, 2);
    d->size = MOLD_HEADER;
    d->count = 0;
    d->opened = d->now;
}

/* Sends what there is. */
static void flush(struct day *d)
{
    if (d->size == 0)
        return;
    put_be(d->frame + FRAME_HEADERS + 18, d->count, 2);
    d->sequence += d->count;
    send_datagram(d, d->opened + 20000);
    d->size = 0;
}

/* A heartbeat, or the end of the session. */
static void beat(struct day *d, unsigned count)
{
    flush(d);
    d->now += SECOND / 1000;
    begin_datagram(d, count);
    send_datagram(d, d->now);
    d->size = 0;
}

/* ------------------------------------------------------------------ messages */

static void put(struct day *d, uint64_t value, unsigned n)
{
    put_be(d->frame + FRAME_HEADERS + d->size, value, n);
    d->size += n;
}

static void put_text(struct day *d, const char *text, size_t n)
{
    unsigned char *to = d->frame + FRAME_HEADERS + d->size;

    memset(to, ' ', n);
    memcpy(to, text, strnlen(text, n));
    d->size += n;
}

/* Begins a message. Those of 20 microseconds share a datagram, as far as there is room. */
static void begin(struct day *d, char type, unsigned locate)
{
    size_t length = itch_types[itch_find((unsigned char)type)].length;

    advance(d);
    if (d->size != 0 && (d->now > d->opened + 20000 || d->size + 2 + length > 1400))
        flush(d);
    if (d->size == 0)
        begin_datagram(d, 0);
    put(d, length, 2);
    d->begin = d->size;
    d->locate = locate;
    put(d, (unsigned char)type, 1);
    put(d, locate, 2);
    put(d, d->tracking++ & 0xffff, 2);
    put(d, d->now, 6);
}

static void put_stock(struct day *d)
{
    put_text(d, d->stock[d->locate - 1].name, 8);
}

static void end(struct day *d)
{
    unsigned char type = d->frame[FRAME_HEADERS + d->begin];

    if (d->size - d->begin != itch_types[itch_find(type)].length)
        errx(1, "a message of type %c has %zu bytes", type, d->size - d->begin);
    d->count++;
    d->messages++;
}

static void event(struct day *d, char code)
{
    begin(d, 'S', 0);
    put(d, (unsigned char)code, 1);
    end(d);
}

/* H, Y and N are the stock and a text; h, too. */
static void say(struct day *d, char type, unsigned locate, const char *text)
{
    begin(d, type, locate);
    put_stock(d);
    put_text(d, text, itch_types[itch_find((unsigned char)type)].length - 19u);
    end(d);
}

/* ------------------------------------------------------------------ orders */

static struct live *find_best(struct stock *s, int side)
{
    struct live *best = NULL;
    size_t i;

    for (i = 0; i < s->n; i++) {
        struct live *o = &s->live[i];

        if (o->side != side)
            continue;
        if (best == NULL || (side == BUY ? o->price > best->price : o->price < best->price) ||
            (o->price == best->price && o->reference < best->reference))
            best = o;
    }
    return best;
}

/* A price on this side of the stock's: mostly near it, and never across the other side. */
static uint32_t choose_price(struct day *d, struct stock *s, int side)
{
    uint32_t away = s->tick * (1 + few(d) + (chance(d, 100) ? (uint32_t)below(d, 50) : 0));
    uint32_t price = side == SELL ? s->price + away : s->price > away ? s->price - away : s->tick;
    const struct live *best = find_best(s, !side);

    if (best != NULL && side == BUY && price >= best->price)
        price = best->price > s->tick ? best->price - s->tick : 0;
    if (best != NULL && side == SELL && price <= best->price)
        price = best->price + s->tick;
    return price;
}

static uint32_t choose_shares(struct day *d)
{
    return chance(d, 700) ? 100u * (1 + few(d)) : 1u + (uint32_t)below(d, 2000);
}

static void add_order(struct day *d, unsigned locate)
{
    struct stock *s = &d->stock[locate - 1];
    struct live o;
    int named = chance(d, 30);

    o.side = (int)below(d, 2);
    o.price = choose_price(d, s, o.side);
    o.shares = choose_shares(d);
    o.reference = ++d->reference;
    if (o.price == 0)
        return;
    if (s->n == s->room) {
        s->room = 2 * s->room + 64;
        s->live = book_room(s->live, s->room, sizeof *s->live);
    }
    s->live[s->n++] = o;
    begin(d, named ? 'F' : 'A', locate);
    put(d, o.reference, 8);
    put(d, o.side == BUY ? 'B' : 'S', 1);
    put(d, o.shares, 4);
    put_stock(d);
    put(d, o.price, 4);
    if (named)
        put_text(d, below(d, 2) != 0 ? "MMKR" : "BRK", 4);
    end(d);
}

static void take_shares(struct stock *s, struct live *o, uint32_t shares)
{
    o->shares -= shares;
    if (o->shares == 0)
        *o = s->live[--s->n];
}

static void delete_order(struct day *d, unsigned locate)
{
    struct stock *s = &d->stock[locate - 1];
    struct live *o = &s->live[below(d, s->n)];

    begin(d, 'D', locate);
    put(d, o->reference, 8);
    end(d);
    take_shares(s, o, o->shares);
}

static void cancel_order(struct day *d, unsigned locate)
{
    struct stock *s = &d->stock[locate - 1];
    struct live *o = &s->live[below(d, s->n)];
    uint32_t shares = o->shares > 1 ? 1 + (uint32_t)below(d, o->shares - 1) : 1;

    begin(d, 'X', locate);
    put(d, o->reference, 8);
    put(d, shares, 4);
    end(d);
    take_shares(s, o, shares);
}

static void replace_order(struct day *d, unsigned locate)
{
    struct stock *s = &d->stock[locate - 1];
    struct live *o = &s->live[below(d, s->n)];
    uint32_t price = choose_price(d, s, o->side);

    if (price == 0)
        return;
    begin(d, 'U', locate);
    put(d, o->reference, 8);
    o->reference = ++d->reference;
    o->price = price;
    o->shares = choose_shares(d);
    put(d, o->reference, 8);
    put(d, o->shares, 4);
    put(d, o->price, 4);
    end(d);
}

/* An order comes that the best of this side meet. how: E, or C: at another price, and 'Y', or 'N'
 * in a cross, whose own message tells of the shares. */
static void execute(struct day *d, unsigned locate, int side, char type, char printable)
{
    struct stock *s = &d->stock[locate - 1];
    struct live *o = find_best(s, side);
    uint32_t shares, price;

    if (o == NULL)
        return;
    shares = choose_shares(d);
    shares = shares < o->shares ? shares : o->shares;
    price = printable == 'N' ? s->price : o->price + (side == SELL) * s->tick / 2;
    begin(d, type, locate);
    put(d, o->reference, 8);
    put(d, shares, 4);
    put(d, ++d->match, 8);
    if (type == 'C') {
        put(d, (unsigned char)printable, 1);
        put(d, price, 4);
    }
    end(d);
    if (printable == 'Y') {
        s->trades++;
        s->volume += shares;
    }
    take_shares(s, o, shares);
    if (chance(d, 250))
        s->price = side == SELL              ? s->price + s->tick
                   : s->price > 20 * s->tick ? s->price - s->tick
                                             : s->price;
}

/* Of an order that no one sees. */
static void trade(struct day *d, unsigned locate)
{
    struct stock *s = &d->stock[locate - 1];
    uint32_t shares = choose_shares(d);

    begin(d, 'P', locate);
    put(d, 0, 8);
    put(d, 'B', 1);
    put(d, shares, 4);
    put_stock(d);
    put(d, s->price, 4);
    put(d, ++d->match, 8);
    end(d);
    s->trades++;
    s->volume += shares;
}

static void break_trade(struct day *d, unsigned locate)
{
    begin(d, 'B', locate);
    put(d, d->match, 8);
    end(d);
}

/* ------------------------------------------------------------------ the day */

static void list_stock(struct day *d, unsigned locate)
{
    static const char *const codes[] = {"QN", "GN", "SN", "N ", "P "};
    uint64_t kind = below(d, 5);

    begin(d, 'R', locate);
    put_stock(d);
    put_text(d, codes[kind], 2);
    put(d, 100, 4);
    put_text(d, kind == 4 ? "NQ" : "NC", 2);
    put_text(d, "Z", 2);
    put_text(d, kind == 4 ? "PNN1Y" : "PNN1N", 5);
    put(d, kind == 4 ? 1 : 0, 4);
    put_text(d, "N", 1);
    end(d);
    say(d, 'H', locate, "T ");
    say(d, 'Y', locate, "0");
    begin(d, 'L', locate);
    put_text(d, "MMKR", 4);
    put_stock(d);
    put_text(d, "YNA", 3);
    end(d);
}

/* type: 'O' opening, 'C' closing. Some resting orders of both sides take part. */
static void cross(struct day *d, unsigned locate, char type)
{
    struct stock *s = &d->stock[locate - 1];
    uint64_t shares = below(d, 8) == 0 ? 0 : 100 * below(d, 500);
    unsigned i;

    for (i = 0; i < 2; i++) {
        begin(d, 'I', locate);
        put(d, shares, 8);
        put(d, 100 * below(d, 20), 8);
        put_text(d, below(d, 2) != 0 ? "B" : "S", 1);
        put_stock(d);
        put(d, s->price - s->tick, 4);
        put(d, s->price + s->tick, 4);
        put(d, s->price, 4);
        put(d, (unsigned char)type, 1);
        put_text(d, "L", 1);
        end(d);
    }
    for (i = 0; shares > 0 && i < 2; i++)
        execute(d, locate, i != 0 ? SELL : BUY, 'C', 'N');
    begin(d, 'Q', locate);
    put(d, shares, 8);
    put_stock(d);
    put(d, shares == 0 ? 0 : s->price, 4);
    put(d, ++d->match, 8);
    put(d, (unsigned char)type, 1);
    end(d);
    s->trades += shares != 0;
    s->volume += shares;
}

/* What a day seldom has, of one stock. */
static void be_rare(struct day *d, unsigned locate)
{
    struct stock *s = &d->stock[locate - 1];
    unsigned i;

    say(d, 'H', locate, "H T1");
    say(d, 'h', locate, "QH");
    begin(d, 'K', locate);
    put_stock(d);
    put(d, 36000, 4);
    put(d, 'A', 1);
    put(d, s->price, 4);
    end(d);
    begin(d, 'O', locate);
    put_stock(d);
    put(d, 'Y', 1);
    for (i = 0; i < 3; i++)
        put(d, s->price + (i - 1) * s->tick, 4);
    put(d, d->now, 8);
    put(d, s->price - 10 * s->tick, 4);
    put(d, s->price + 10 * s->tick, 4);
    end(d);
    begin(d, 'J', locate);
    put_stock(d);
    put(d, s->price, 4);
    put(d, s->price + s->price / 20, 4);
    put(d, s->price - s->price / 20, 4);
    put(d, 0, 4);
    end(d);
    begin(d, 'W', 0);
    put(d, '1', 1);
    end(d);
    break_trade(d, locate);
    say(d, 'h', locate, "QT");
    say(d, 'H', locate, "T ");
}

/* One of the messages that most are. The first stocks get more of them. */
static void go_on(struct day *d)
{
    uint64_t of = below(d, d->stocks);
    unsigned locate = 1 + (unsigned)below(d, 1 + below(d, 1 + of)), what = (unsigned)below(d, 1000);
    struct stock *s = &d->stock[locate - 1];

    if (s->n < 20 || (what < 450 && s->n < 400))
        add_order(d, locate);
    else if (what < 840)
        delete_order(d, locate);
    else if (what < 910)
        replace_order(d, locate);
    else if (what < 960)
        do
            execute(d, locate, what % 2 != 0 ? SELL : BUY, chance(d, 50) ? 'C' : 'E', 'Y');
        while (below(d, 3) == 0);
    else if (what < 980)
        cancel_order(d, locate);
    else if (what < 995)
        trade(d, locate);
    else if (what < 998)
        say(d, 'N', locate, below(d, 2) != 0 ? "A" : "N");
    else if (what == 998 && s->trades > 0)
        break_trade(d, locate);
}

static void make_day(struct day *d, uint64_t messages)
{
    static const unsigned declined[] = {93, 87, 80};
    uint64_t until;
    unsigned i;

    event(d, 'O');
    beat(d, 0);
    for (i = 1; i <= d->stocks; i++)
        list_stock(d, i);
    begin(d, 'V', 0);
    for (i = 0; i < 3; i++)
        put(d, declined[i] * UINT64_C(6000000000), 8); /* of an index of 6000, with 8 decimals */
    end(d);
    event(d, 'S');
    for (i = 0; i < 4 * d->stocks; i++)
        add_order(d, 1 + i % d->stocks);
    for (i = 1; i <= d->stocks; i++)
        cross(d, i, 'O');
    event(d, 'Q');
    for (until = d->messages + messages / 2; d->messages < until;)
        go_on(d);
    be_rare(d, 1 + d->stocks / 2);
    for (until += messages - messages / 2; d->messages < until;)
        go_on(d);
    event(d, 'M');
    for (i = 1; i <= d->stocks; i++)
        cross(d, i, 'C');
    event(d, 'E');
    event(d, 'C');
    for (i = 0; i < 3; i++)
        beat(d, MOLD_END);
}

/* ------------------------------------------------------------------ the books, by another way */

static int is_better(const void *a, const void *b)
{
    const struct live *x = a, *y = b;
    int less = x->price < y->price ? -1 : x->price > y->price;

    return x->side != y->side ? x->side - y->side : x->side == BUY ? -less : less;
}

static void write_stock(FILE *f, unsigned locate, struct stock *s)
{
    uint64_t shares[2] = {0}, best[2] = {0};
    size_t i, n;
    int side;

    qsort(s->live, s->n, sizeof *s->live, is_better);
    for (i = s->n; i-- > 0;) {
        struct live *o = &s->live[i];

        shares[o->side] = o->shares + (best[o->side] == o->price ? shares[o->side] : 0);
        best[o->side] = o->price;
    }
    (void)fprintf(f, "%u %.*s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
                  locate, name_length(s->name), s->name, best[BUY], shares[BUY], best[SELL],
                  shares[SELL], s->trades, s->volume);
    for (side = BUY, i = 0; side <= SELL; side++)
        for ((void)fprintf(f, " |"); i < s->n && s->live[i].side == side; i = n) {
            for (n = i, shares[0] = 0;
                 n < s->n && s->live[n].side == side && s->live[n].price == s->live[i].price; n++)
                shares[0] += s->live[n].shares;
            (void)fprintf(f, " %" PRIu32 ":%" PRIu64 ":%zu", s->live[i].price, shares[0], n - i);
        }
    (void)fputc('\n', f);
}

static void write_books(struct day *d, const char *path)
{
    FILE *f = fopen(path, "w");
    unsigned i;

    for (i = 0; f != NULL && i < d->stocks; i++)
        write_stock(f, i + 1, &d->stock[i]);
    if (f == NULL || fclose(f) != 0)
        err(1, "%s", path);
}

/* ------------------------------------------------------------------ the program */

/* AAAA, BAAA, ...; each has a price of its own. */
static void make_stocks(struct day *d)
{
    unsigned i, k, rest;

    d->stock = calloc(d->stocks, sizeof *d->stock);
    if (d->stock == NULL)
        err(1, "stocks");
    for (i = 0; i < d->stocks; i++) {
        struct stock *s = &d->stock[i];

        memset(s->name, ' ', sizeof s->name);
        for (k = 0, rest = i; k < 4; k++, rest /= 26)
            s->name[k] = (char)('A' + rest % 26);
        s->tick = i % 16 == 15 ? 1 : 100; /* below a dollar prices have four decimals */
        s->price = s->tick == 1 ? 2000 + (uint32_t)below(d, 7000)
                                : 100 * (1000 + (uint32_t)below(d, 40000));
    }
}

static void open_output(struct day *d, const char *to)
{
    struct ipc_channel_options how = {.publish = IPC_LOSSY};
    pcap_t *pcap;

    d->started = ipc_clock() + 100000000 - (int64_t)d->now;
    if (strncmp(to, "udp:", 4) == 0) {
        if (ipc_channel_open_with(&d->group, to, IPC_SEND | IPC_LISTEN, IPC_NOW, &how) != 0)
            errx(1, "%s", ipc_channel_why(&d->group));
        return;
    }
    pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, FRAME_MOST, PCAP_TSTAMP_PRECISION_NANO);
    d->file = pcap_dump_open(pcap, to);
    if (d->file == NULL)
        errx(1, "%s", pcap_geterr(pcap));
    pcap_close(pcap);
}

struct options {
    const char *books;
    uint64_t messages, milliseconds, seed;
    unsigned stocks;
};

static void parse(struct options *o, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "n:t:k:s:b:")) != -1)
        switch (c) {
        case 'n':
            o->messages = strtoull(optarg, NULL, 0);
            break;
        case 't':
            o->milliseconds = strtoull(optarg, NULL, 0);
            break;
        case 'k':
            o->stocks = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 's':
            o->seed = strtoull(optarg, NULL, 0);
            break;
        case 'b':
            o->books = optarg;
            break;
        default:
            argc = 0;
        }
    if (argc != optind + 1 || o->messages == 0 || o->stocks == 0 || o->stocks >= STOCKS)
        errx(2, "usage: generate [-n messages] [-t milliseconds] [-k stocks] [-s seed] [-b books] "
                "FILE.pcap|udp:GROUP%%LINK:PORT");
}

int main(int argc, char **argv)
{
    struct options o = {.messages = 100000, .milliseconds = 10000, .seed = 1, .stocks = 50};
    static struct day d = {.sequence = 1, .now = OPENING};

    parse(&o, argc, argv);
    d.stocks = o.stocks;
    d.random = o.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    d.mean = o.milliseconds * 1000000 / o.messages;
    make_stocks(&d);
    open_output(&d, argv[optind]);
    make_day(&d, o.messages);
    if (o.books != NULL)
        write_books(&d, o.books);
    if (d.file != NULL && pcap_dump_flush(d.file) != 0)
        err(1, "%s", argv[optind]);
    if (d.file != NULL)
        pcap_dump_close(d.file);
    else
        ipc_channel_close(&d.group);
    printf("generate: %" PRIu64 " messages, %" PRIu64 " orders, %.3f s\n", d.messages, d.reference,
           (double)(d.now - OPENING) / 1e9);
    while (d.stocks-- > 0)
        free(d.stock[d.stocks].live);
    free(d.stock);
    return 0;
}
