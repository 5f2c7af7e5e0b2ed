/*
 * A feed handler: takes NASDAQ TotalView-ITCH 5.0 in MoldUDP64 from a capture or a multicast group,
 * finds gaps, keeps the books, and publishes the best prices and the trades to strategies, and each
 * datagram to the recorder.
 *
 *     feed [options] FILE.pcap OUT            a capture of Ethernet (- is standard input)
 *     feed [options] udp:GROUP%LINK:PORT OUT  what is sent to a group, on the interface LINK
 *
 *     OUT      the name of a segment, or unix-seq:PATH: the same over a socket
 *     -x 10    a capture: ten times its pace; 0: as fast as it goes (1)
 *     -f udp   a capture: which packets (libpcap's filters)
 *     -c N     updates in the ring, a power of two (65536)
 *     -n N     orders to have room for; there may be more (65536)
 *     -b FILE  writes the books at the end
 *     -p       a capture: looks at the clock all the time between packets, on a core of its own
 *     -w       waits for a line of standard input before it begins
 *
 * It never waits for a reader, and ends with the file, the session of a group, or a signal. If it
 * is killed, start it again: readers go on.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "market.h"
#include "itch.h"
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

enum { REFRESH = 64 }; /* packets between two stocks whose quotes are published anew, in turn */
#define SILENCE INT64_C(10000000000) /* a session without a datagram for so long has ended */
#define MOST (UINT64_C(1) << 40)     /* orders to have room for */

struct feed {
    struct market market;
    struct out out;
    char session[10];
    uint64_t next;     /* the sequence number of the next message */
    int64_t time, heard; /* of the packet, by its capture; and of the session's last one */
    int64_t packet;    /* of struct update */
    int64_t patience;  /* until when a socket's reader may hold the feed up */
    uint64_t exchange; /* of the last message */
    int over;          /* the session is */
    unsigned stocks;   /* of the numbers below this one some have names */
    unsigned refresh;  /* the stock whose turn was last */
    uint64_t packets, messages, count[ITCH_TYPES], unknown;
    uint64_t foreign;    /* packets of other sessions, while one goes on */
    uint64_t gaps, lost; /* lost: messages */
    uint64_t old;        /* messages that were there before: of the other line, or late */
    uint64_t bad;        /* what is no MoldUDP64, or of a wrong length */
    uint64_t orphans;    /* of orders that are not known, or are known already: after a gap */
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

/* ------------------------------------------------------------------ what is published */

static void publish(struct feed *f, enum kind kind, unsigned locate, struct update *u)
{
    u->kind = (uint8_t)kind;
    u->locate = (uint16_t)locate;
    u->packet = f->packet;
    u->exchange = f->exchange;
    out_put(&f->out, u, f->patience);
}

static void publish_stock(struct feed *f, unsigned locate)
{
    struct update u = {0};

    memcpy(u.is.name, f->market.book[locate].stock, sizeof u.is.name);
    publish(f, STOCK, locate, &u);
}

/* If it is another one than the last. */
static void publish_quote(struct feed *f, unsigned locate, int anyway)
{
    struct book *b = &f->market.book[locate];
    struct update u = {.is.quote = book_quote(b)};

    if (!anyway && memcmp(&b->told, &u.is.quote, sizeof b->told) == 0)
        return;
    b->told = u.is.quote;
    publish(f, QUOTE, locate, &u);
}

static void publish_trade(struct feed *f, unsigned locate, uint32_t price, uint64_t shares,
                          uint64_t match)
{
    struct book *b = &f->market.book[locate];
    struct update u = {0};

    if (shares == 0) /* a cross without shares */
        return;
    b->trades++;
    b->volume += shares;
    u.is.trade.price = price;
    u.is.trade.shares = shares > UINT32_MAX ? UINT32_MAX : (uint32_t)shares;
    u.is.trade.match = match;
    publish(f, TRADE, locate, &u);
}

/* For readers that came late, or have missed updates: a stock anew. Returns 0 after the last. */
static int publish_next_stock(struct feed *f)
{
    unsigned i = f->refresh;

    while (++i < f->stocks && f->market.book[i].stock[0] == 0)
        ;
    f->refresh = i < f->stocks ? i : 0;
    if (f->refresh == 0)
        return 0;
    publish_stock(f, i);
    publish_quote(f, i, 1);
    return 1;
}

/* ------------------------------------------------------------------ messages */

static void add_order(struct feed *f, unsigned locate, const unsigned char *m)
{
    struct order o;

    o.reference = get_be(m + 11, 8);
    o.side = m[19] == 'B' ? BUY : SELL;
    o.shares = (uint32_t)get_be(m + 20, 4);
    o.price = (uint32_t)get_be(m + 32, 4);
    o.locate = (uint16_t)locate;
    f->orphans += order_add(&f->market, &o) != 0;
    publish_quote(f, locate, 0);
}

/* E, C, X, D and U: what happens to an order that is in the book. */
static void change_order(struct feed *f, const unsigned char *m)
{
    struct order *o = order_find(&f->market, get_be(m + 11, 8)), old = *o;
    uint32_t shares = m[0] == 'D' || m[0] == 'U' ? old.shares : (uint32_t)get_be(m + 19, 4);

    if (old.reference == 0) {
        f->orphans++;
        return;
    }
    f->orphans += order_take(&f->market, o, shares) != 0;
    if (m[0] == 'E')
        publish_trade(f, old.locate, old.price, shares, get_be(m + 23, 8));
    if (m[0] == 'C' && m[31] == 'Y')
        publish_trade(f, old.locate, (uint32_t)get_be(m + 32, 4), shares, get_be(m + 23, 8));
    if (m[0] == 'U') {
        old.reference = get_be(m + 19, 8);
        old.shares = (uint32_t)get_be(m + 27, 4);
        old.price = (uint32_t)get_be(m + 31, 4);
        f->orphans += order_add(&f->market, &old) != 0;
    }
    publish_quote(f, old.locate, 0);
}

static void take_message(struct feed *f, const unsigned char *m, size_t n)
{
    int type = n > 0 ? itch_find(m[0]) : -1;
    unsigned locate;
    struct update u = {0};

    if (type < 0 || n != itch_types[type].length) {
        *(type < 0 ? &f->unknown : &f->bad) += 1;
        return;
    }
    f->count[type]++;
    locate = (unsigned)get_be(m + 1, 2);
    f->exchange = get_be(m + 5, 6);
    switch (m[0]) {
    case 'S':
        u.code = m[11];
        publish(f, EVENT, 0, &u);
        break;
    case 'R':
        memcpy(f->market.book[locate].stock, m + 11, 8);
        f->stocks = f->stocks > locate ? f->stocks : locate + 1;
        publish_stock(f, locate);
        break;
    case 'A':
    case 'F':
        add_order(f, locate, m);
        break;
    case 'E':
    case 'C':
    case 'X':
    case 'D':
    case 'U':
        change_order(f, m);
        break;
    case 'P':
        publish_trade(f, locate, (uint32_t)get_be(m + 32, 4), get_be(m + 20, 4), get_be(m + 36, 8));
        break;
    case 'Q':
        publish_trade(f, locate, (uint32_t)get_be(m + 27, 4), get_be(m + 11, 8), get_be(m + 31, 8));
        break;
    }
}

/* ------------------------------------------------------------------ datagrams */

static void begin_session(struct feed *f, const unsigned char *session)
{
    uint64_t orders = (f->market.mask + 1) / 2;
    struct update u = {0};

    if (f->next != 0) {
        market_close(&f->market);
        market_open(&f->market, orders);
    }
    memcpy(f->session, session, sizeof f->session);
    f->next = 1; /* so that a feed that comes late counts what it has missed, too */
    publish(f, RESET, 0, &u);
}

static void take_gap(struct feed *f, uint64_t sequence)
{
    struct update u = {.is.count = sequence - f->next};

    f->gaps++;
    f->lost += u.is.count;
    f->next = sequence;
    publish(f, LOST, 0, &u);
}

static void take_datagram(struct feed *f, const unsigned char *d, size_t n)
{
    uint64_t sequence, count, i;
    size_t at = MOLD_HEADER, length;

    f->packets++;
    if (n < MOLD_HEADER) {
        f->bad++;
        return;
    }
    if (f->next == 0 || memcmp(d, f->session, sizeof f->session) != 0) {
        if (f->next != 0 && !f->over && f->time - f->heard < SILENCE) {
            f->foreign++;
            return;
        }
        begin_session(f, d);
    }
    f->heard = f->time;
    sequence = get_be(d + 10, 8);
    count = get_be(d + 18, 2);
    if (sequence > f->next)
        take_gap(f, sequence);
    f->over = count == MOLD_END;
    for (i = 0; i < count && !f->over; i++, at += length) {
        length = n - at >= 2 ? get_be(d + at, 2) : n;
        at += 2;
        if (at + length > n) {
            f->bad++;
            break;
        }
        if (sequence + i < f->next) {
            f->old++;
            continue;
        }
        f->next++;
        f->messages++;
        take_message(f, d + at, length);
    }
    if (f->packets % REFRESH == 0) {
        (void)publish_next_stock(f);
        out_look(&f->out, IPC_NOW);
    }
    out_post(&f->out);
}

/* ------------------------------------------------------------------ where they come from */

struct options {
    const char *books, *filter;
    uint64_t capacity, orders;
    double pace;
    int polls, waits;
};

/* Sleeps until shortly before the time, unless it polls, and looks at the clock for the rest. */
static void wait_until(int64_t due, int polls)
{
    int64_t early = due - 60000;
    struct timespec t = {early / 1000000000, early % 1000000000};

    if (!polls && early > ipc_clock())
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    while (ipc_clock() < due && !stopped)
        ck_pr_stall();
}

static void read_capture(struct feed *f, const char *path, const struct options *o)
{
    char why[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, why);
    struct pcap_pkthdr *head;
    const unsigned char *frame, *datagram;
    struct bpf_program program;
    int64_t first = 0, begin = 0, time;
    size_t n;
    int rc = 0;

    if (pcap == NULL)
        errx(1, "%s: %s", path, why);
    if (pcap_datalink(pcap) != DLT_EN10MB)
        errx(1, "%s: a capture of %s, not of Ethernet", path,
             pcap_datalink_val_to_description_or_dlt(pcap_datalink(pcap)));
    if (pcap_compile(pcap, &program, o->filter, 1, PCAP_NETMASK_UNKNOWN) != 0 ||
        pcap_setfilter(pcap, &program) != 0)
        errx(1, "%s: %s", o->filter, pcap_geterr(pcap));
    while (!stopped && (rc = pcap_next_ex(pcap, &head, &frame)) == 1) {
        datagram = frame_find(frame, head->caplen, &n);
        if (datagram == NULL)
            continue;
        f->time = time = (int64_t)head->ts.tv_sec * 1000000000 + head->ts.tv_usec;
        if (begin == 0) {
            first = time;
            begin = ipc_clock();
        }
        f->packet = o->pace > 0 ? begin + (int64_t)((double)(time - first) / o->pace) : ipc_clock();
        if (o->pace > 0)
            wait_until(f->packet, o->polls);
        take_datagram(f, datagram, n);
        out_record(&f->out, time, datagram, n);
    }
    if (rc == PCAP_ERROR)
        errx(1, "%s: %s", path, pcap_geterr(pcap));
    pcap_freecode(&program);
    pcap_close(pcap);
}

static void read_group(struct feed *f, const char *uri)
{
    static unsigned char datagram[65536];
    struct ipc_channel in;
    struct timespec t;
    int64_t n;

    if (ipc_channel_open(&in, uri, IPC_RECV, IPC_NOW) != 0)
        errx(1, "%s", ipc_channel_why(&in));
    warnx("ready");
    while (!stopped && !f->over) {
        n = ipc_channel_recv(&in, datagram, sizeof datagram, ipc_in_ms(100));
        f->packet = ipc_clock();
        if (n >= 0) {
            (void)clock_gettime(CLOCK_REALTIME, &t);
            f->time = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
            take_datagram(f, datagram, (size_t)n);
            out_record(&f->out, f->time, datagram, (size_t)n);
        } else if (n == -ETIMEDOUT)
            out_look(&f->out, IPC_NOW);
        else if (n != -EINTR)
            errx(1, "%s", ipc_channel_why(&in));
    }
    ipc_channel_close(&in);
}

/* ------------------------------------------------------------------ the program */

static void wait_for_line(struct out *o)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    char c = 0;

    while (poll(&in, 1, 10) <= 0 && !stopped)
        out_look(o, IPC_NOW);
    while (c != '\n' && read(0, &c, 1) == 1)
        ;
    out_look(o, IPC_NOW);
}

static void report(const struct feed *f, double seconds)
{
    unsigned i;

    printf("feed: %" PRIu64 " packets, %" PRIu64 " messages, %" PRIu64 " gaps with %" PRIu64
           " lost, %" PRIu64 " old, %" PRIu64 " bad, %" PRIu64 " of unknown types, %" PRIu64
           " orphans; %" PRIu64 " packets of other sessions; %" PRIu64 " updates, %" PRIu64
           " refused; %.0f messages/s\n",
           f->packets, f->messages, f->gaps, f->lost, f->old, f->bad, f->unknown, f->orphans,
           f->foreign, f->out.number, f->out.refused, (double)f->messages / seconds);
    for (i = 0; i < ITCH_TYPES; i++)
        printf("feed: %10" PRIu64 " %c %s\n", f->count[i], itch_types[i].type, itch_types[i].name);
}

static void parse(struct options *o, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "x:f:c:n:b:pw")) != -1)
        switch (c) {
        case 'x':
            o->pace = atof(optarg);
            break;
        case 'f':
            o->filter = optarg;
            break;
        case 'c':
            o->capacity = strtoull(optarg, NULL, 0);
            break;
        case 'n':
            o->orders = strtoull(optarg, NULL, 0);
            break;
        case 'b':
            o->books = optarg;
            break;
        case 'p':
            o->polls = 1;
            break;
        case 'w':
            o->waits = 1;
            break;
        default:
            argc = 0;
        }
    if (o->orders > MOST)
        errx(2, "-n: at most %" PRIu64, MOST);
    if (argc != optind + 2)
        errx(2, "usage: feed [-x pace] [-f filter] [-c updates] [-n orders] [-b books] [-p] [-w] "
                "FILE.pcap|udp:GROUP%%LINK:PORT SEGMENT|unix-seq:PATH");
}

int main(int argc, char **argv)
{
    static struct feed f;
    struct options o = {.filter = "udp", .capacity = 1 << 16, .orders = 1 << 16, .pace = 1};
    const char *from, *to;
    double seconds;
    int64_t begin;

    parse(&o, argc, argv);
    from = argv[optind];
    to = argv[optind + 1];
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    market_open(&f.market, o.orders);
    out_open(&f.out, to, o.capacity);
    if (o.waits)
        wait_for_line(&f.out);
    begin = ipc_clock();
    if (strncmp(from, "udp:", 4) == 0)
        read_group(&f, from);
    else
        read_capture(&f, from, &o);
    seconds = (double)(ipc_clock() - begin) / 1e9;
    f.patience = ipc_in_ms(10000);
    for (f.refresh = 0;
         publish_next_stock(&f);) /* all once more, for those that have missed some */
        ;
    out_close(&f.out, f.patience);
    report(&f, seconds);
    if (o.books != NULL)
        put_books(o.books, f.market.book, 1);
    market_close(&f.market);
    return 0;
}
