/*
 * A strategy: follows the best prices and the trades of all stocks, and looks where one side of a
 * book is much larger than the other. It stands for whatever trades; several may run at once.
 *
 *     strategy [options] IN         IN: as feed's OUT
 *
 *     -n NAME  what it is called in what it prints
 *     -p       looks for updates all the time, on a core of its own; else it sleeps between them
 *     -s N     is slow: takes N microseconds for each update
 *     -o FILE  writes what it knows of each stock at the end
 *     -v       says how far it is, each 1000 updates
 *
 * It waits ten seconds for a feed, says "ready", and ends when the feed ends. If the feed is killed
 * it waits for the next. If the strategy is killed, start it again: the feed does not notice. A
 * quote is whole, and each stock's comes again from time to time, so what was missed is made good.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "market.h"
#include "bench/histogram.h"
#include <time.h>

static struct book book[STOCKS]; /* stock, told, trades and volume of it */
static struct histogram latency; /* from the packet to this process */

struct seen {
    uint64_t updates, missed, laps, trades, signals, lost;
    uint64_t number; /* of the last update */
    unsigned stocks; /* book[0..stocks) is in use */
};

static void work(int64_t microseconds)
{
    struct timespec t = {microseconds / 1000000, microseconds % 1000000 * 1000};

    if (microseconds > 0)
        (void)nanosleep(&t, NULL);
}

static void take(struct seen *s, const struct update *u)
{
    struct book *b = &book[u->locate];
    const struct quote *q = &u->is.quote;
    int64_t age = ipc_clock() - u->packet;

    if (u->number > s->number) /* another feed begins at 1 */
        s->missed += u->number - s->number - 1;
    s->number = u->number;
    s->updates++;
    s->stocks = s->stocks > u->locate ? s->stocks : u->locate + 1u;
    if (u->kind != END && u->packet != 0)
        histogram_record(&latency, age > 0 ? (uint64_t)age : 0);
    switch (u->kind) {
    case RESET:
        memset(book, 0, s->stocks * sizeof *book);
        break;
    case STOCK:
        memcpy(b->stock, u->is.name, sizeof b->stock);
        break;
    case QUOTE:
        b->told = *q;
        s->signals += q->bid_shares > 4 * (uint64_t)q->ask_shares && q->ask != 0;
        break;
    case TRADE:
        s->trades++;
        b->trades++;
        b->volume += u->is.trade.shares;
        break;
    case LOST:
        s->lost += u->is.count;
        break;
    }
}

struct options {
    const char *name, *file;
    int64_t slow;
    int polls, verbose;
};

/* Until the feed ends. */
static void follow(struct in *in, struct seen *s, const struct options *o)
{
    struct update u;
    int rc = 0;

    while (rc != -EPIPE) {
        rc = o->polls ? in_poll(in, &u) : in_take(in, &u, IPC_FOREVER);
        switch (rc) {
        case 0:
            take(s, &u);
            work(o->slow);
            if (o->verbose && s->updates % 1000 == 0)
                warnx("%s: %" PRIu64 " updates", o->name, s->updates);
            break;
        case -EOVERFLOW:
            s->laps++; /* the updates' numbers tell how many were missed */
            break;
        case -EOWNERDEAD:
            warnx("%s: the feed was killed: waiting for the next", o->name);
            s->number = 0;
            break;
        case -EPIPE:
        case -EINTR:
            break;
        default:
            errx(1, "%s: %s", o->name, ipc_strerror(rc));
        }
    }
}

static void parse(struct options *o, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "n:ps:o:v")) != -1)
        switch (c) {
        case 'n':
            o->name = optarg;
            break;
        case 'p':
            o->polls = 1;
            break;
        case 's':
            o->slow = atoll(optarg);
            break;
        case 'o':
            o->file = optarg;
            break;
        case 'v':
            o->verbose = 1;
            break;
        default:
            argc = 0;
        }
    if (argc != optind + 1)
        errx(2, "usage: strategy [-n name] [-p] [-s microseconds] [-o file] [-v] "
                "SEGMENT|unix-seq:PATH");
}

static void report(const struct seen *s, const char *name)
{
    static const double at[] = {50, 90, 99, 99.9, 99.99};
    unsigned i;

    printf("%s: %" PRIu64 " updates, %" PRIu64 " missed in %" PRIu64 " laps, %" PRIu64
           " trades, %" PRIu64 " signals, %" PRIu64
           " messages lost by the feed; ns from the packet:",
           name, s->updates, s->missed, s->laps, s->trades, s->signals, s->lost);
    for (i = 0; i < sizeof at / sizeof at[0]; i++)
        printf(" p%g %" PRIu64, at[i], histogram_at(&latency, at[i]));
    printf(" max %" PRIu64 "\n", latency.max);
}

int main(int argc, char **argv)
{
    struct options o = {.name = "strategy"};
    struct seen s = {0};
    struct in in;

    parse(&o, argc, argv);
    memset(book, 0, sizeof book); /* so that no update waits for a page */
    memset(&latency, 0, sizeof latency);
    in_open(&in, argv[optind], ipc_in_ms(10000));
    warnx("%s: ready", o.name);
    follow(&in, &s, &o);
    in_close(&in);
    report(&s, o.name);
    if (o.file != NULL)
        put_books(o.file, book, 0);
    return 0;
}
