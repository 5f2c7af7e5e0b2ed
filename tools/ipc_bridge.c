/*
 * ipc_bridge - carries rings in shared memory to another machine, over ZeroMQ.
 *
 *     ipc_bridge -l -o feed:ticks -i feed:orders zmq:tcp://0.0.0.0:9000        on one machine
 *     ipc_bridge -i feed:ticks -o feed:orders zmq:tcp://first:9000           on the other
 *
 * The programs at both ends know nothing of it: a bridge is the consumer of a ring here, and the
 * producer of a ring of that name there, which it makes where no program has made it. It carries
 * rings of slots and of records, with one or many at an end, and broadcasts of both, lossless and
 * lossy, but no streams and no calls; the kind, the size of messages and the version of their type
 * are taken from the ring. Both machines have the same byte order. One bridge at each end carries
 * any number of rings, in both directions. -o is the end that is read, and -i the one that is
 * written; which side listens does not matter.
 *
 * Order is kept, and no message comes twice. What is lossless is not lost: a message is released
 * here when it is in the ring there. While the link is down the ring fills up, and its producer
 * waits. Both bridges, and each program, may be killed and started again at any time. There are
 * three exceptions. A lossless broadcast does not wait for a bridge that is dead. What was in the
 * other machine's memory is lost with that machine. A killed bridge of a ring with many at an end
 * may double the one message that it had in its hand, or lose it where the ring loses what a killed
 * consumer held. A lossy broadcast does not wait for the link. What it has overwritten meanwhile is
 * counted exactly, and told to the readers there as a lap is: what they got and what NAME_missed
 * says are together all that were sent. Behind such a loss a reader may miss further messages, at
 * most as many again and half a capacity, which that count includes; and in a lossy broadcast of
 * records those that it had not read yet.
 *
 * The bridge is one of the consumers of a ring that has many: it takes up to a capacity ahead, into a
 * ring of its own in a segment named SEGMENT.NAME.bridge. A ring with one producer that a bridge
 * writes is its own: another producer there would be taken for the bridge. One bridge at a time
 * writes a ring, also one with many producers: another is refused. Several may read one broadcast,
 * for several machines; the figures beside it are then of all of them. Both ends keep a small
 * object beside the ring, NAME.bridge-out and NAME.bridge-in, whose figures ipc_top shows; or in
 * that segment of its own, where the other one is full. A segment that is removed and made again is
 * a new one. Segments that the bridge makes have the bytes of -m, or what
 * their first ring needs and 1 MiB: that is for the other side to say, so where it is not to be
 * trusted with this machine's memory give -m, or make the rings first. Messages have 64 MiB at most.
 *
 * Keys (CURVE): `ipc_bridge -g FILE` makes a pair, writes the secret one to FILE and prints the
 * public one. Each side gives its own secret key (-s) and the public one of the other (-p; the side
 * that listens may give several, or none for any). Without keys each process that reaches the port
 * reads and writes the rings. A wrong key is refused, and the bridge that has it ends.
 *
 * What it costs: a message of 64 bytes each millisecond over the loopback of a virtual machine with
 * two processors, at real-time priority, from the one program to the other: half of them within 163
 * microseconds, 99 of 100 within 195; through two sockets of bare libzmq within 106 and 131. In a row
 * 2.2 million a second, as many go in a frame; one by one by bare libzmq 1.8 million. `make
 * bench-bridge` measures it.
 *
 * Exit status: 0 ended by SIGINT or SIGTERM; 1 an error here, or a key that is refused; 2 wrong
 * usage.
 */
#include "ipc_zmq.h"

#include "bridge/bridge.h"

#include <err.h>
#include <getopt.h>

static const char usage[] =
    "usage: ipc_bridge [-l] [-v] [-b] [-k SECONDS] [-m BYTES] [-s FILE] [-p KEYS] [-o RING]... [-i RING]... URI\n"
    "       ipc_bridge -g FILE\n"
    "Carries rings to another machine. URI: zmq:tcp://HOST:PORT or zmq:ipc://PATH, the same on both "
    "sides.\n"
    "  -o RING          SEGMENT:NAME of a ring to read here; the other side has -i for that name\n"
    "  -i RING          SEGMENT:NAME of a ring to write here\n"
    "  -l               listen; the other side does not\n"
    "  -b               never sleep: a processor is busy with it\n"
    "  -k SECONDS       a host that does not answer for so long is gone: 10\n"
    "  -m BYTES         size of a segment that is made here\n"
    "  -s FILE          encrypt: this side's secret key\n"
    "  -p KEYS          the other side's public key, or several with spaces between them\n"
    "  -g FILE          make a pair of keys: the secret one to FILE, the public one is printed\n"
    "  -v               say each second what has changed\n"
    "  -h               print this, as --help does\n";

enum { SPIN_NS = 20000 }; /* looks that long before it sleeps */

struct bridge {
    struct ipc_channel link;
    const char *uri;
    unsigned role;
    struct ipc_channel_options how;
    struct object *objects;
    size_t count, room;
    int verbose, busy;
    int is_up; /* something has come since the last loss */
    int is_strange;
    int nap; /* milliseconds: see doze */
    unsigned char *in;  /* a frame that came */
    size_t in_size;
};

static volatile sig_atomic_t is_to_end;

static void on_signal(int signal)
{
    (void)signal;
    is_to_end = 1;
}

int send_frame(struct bridge *b, const void *frame, size_t n)
{
    return ipc_channel_send(&b->link, frame, n, IPC_NOW) == 0 ? 0 : -EAGAIN;
}

/* ------------------------------------------------------------------ the link */

static void lose_link(struct bridge *b)
{
    size_t i;

    for (i = 0; i < b->count; i++)
        if (b->objects[i].is_out)
            forget_out(&b->objects[i]);
        else
            forget_in(&b->objects[i]);
    if (b->is_up)
        warnx("%s: the other side is gone", b->uri);
    b->is_up = 0;
}

/* Opens the link, or opens it again. */
static void open_link(struct bridge *b)
{
    int rc, said = 0;

    do {
        rc = ipc_channel_open_with(&b->link, b->uri, b->role, ipc_in_ms(AGAIN_MS), &b->how);
        if (rc == 0 || is_to_end)
            return;
        if (rc == -EACCES || rc == -EINVAL || rc == -EOPNOTSUPP || rc == -EADDRINUSE ||
            rc == -ENAMETOOLONG)
            errx(1, "%s", ipc_channel_why(&b->link));
        if (rc != -EINTR && !said++)
            warnx("%s", ipc_channel_why(&b->link));
        if (rc != -EINTR && rc != -ETIMEDOUT)
            (void)poll(NULL, 0, AGAIN_MS);
    } while (!is_to_end);
}

static struct object *find_named(struct bridge *b, const struct hello *h)
{
    size_t i;

    for (i = 0; i < b->count; i++)
        if (!b->objects[i].is_out && strncmp(b->objects[i].name, h->name, sizeof h->name) == 0)
            return &b->objects[i];
    return NULL;
}

static struct object *find_session(struct bridge *b, const struct frame *f)
{
    size_t i;

    for (i = 0; i < b->count; i++)
        if (b->objects[i].session == f->session && b->objects[i].is_out == (f->what != DATA))
            return &b->objects[i];
    return NULL;
}

/* Answers a frame that is of no ring here. */
static void turn_away(struct bridge *b, const struct frame *f)
{
    struct refusal r;

    if (f->what != HELLO && f->what != DATA)
        return;
    memset(&r, 0, sizeof r);
    r.head.what = f->what == HELLO ? REFUSAL : RESTART;
    r.head.session = f->session;
    (void)snprintf(r.why, sizeof r.why, "it has no -i for a ring of that name");
    (void)send_frame(b, &r, sizeof r);
}

static void hear_frame(struct bridge *b, size_t n)
{
    const struct frame *f = (const struct frame *)(const void *)b->in;
    struct object *o;

    if (n < sizeof *f || f->what < HELLO || f->what > RESTART) {
        if (!b->is_strange++)
            warnx("%s: the other side is no ipc_bridge, or has another byte order", b->uri);
        return;
    }
    if (!b->is_up && b->verbose)
        warnx("%s: the other side is there", b->uri);
    b->is_up = 1;
    o = f->what == HELLO && n >= sizeof(struct hello)
            ? find_named(b, (const struct hello *)(const void *)f)
            : find_session(b, f);
    if (o == NULL)
        turn_away(b, f);
    else if (o->is_out)
        hear_out(o, f, n);
    else
        hear_in(o, f, n);
}

/* Makes room for the frame that waits. 0 or -1. */
static int grow_room(struct bridge *b)
{
    struct ipc_channel_facts info;
    unsigned char *more;

    if (ipc_channel_info(&b->link, &info) != 0 || info.next == 0)
        return -1;
    more = realloc(b->in, info.next);
    if (more == NULL)
        return -1;
    b->in = more;
    b->in_size = info.next;
    return 0;
}

/* Takes in what has come, up to some frames. Whether there was something. */
static int hear_link(struct bridge *b)
{
    int64_t n = 0;
    int i;

    for (i = 0; i < 64 && n >= 0; i++) {
        n = ipc_channel_recv(&b->link, b->in, b->in_size, IPC_NOW);
        if (n >= 0) {
            hear_frame(b, (size_t)n);
        } else if (n == -EPIPE) {
            lose_link(b);
            return 1;
        } else if (n == -EMSGSIZE) {
            if (grow_room(b) != 0)
                errx(1, "no memory for what comes");
            n = 0;
        } else if (n == -EACCES) {
            errx(1, "%s", ipc_channel_why(&b->link));
        } else if (n != -ETIMEDOUT && n != -EINTR && n != -EBADMSG) {
            warnx("%s", ipc_channel_why(&b->link));
            lose_link(b);
            ipc_channel_close(&b->link);
            (void)poll(NULL, 0, AGAIN_MS);
            open_link(b);
            return 1;
        }
    }
    return i > 1;
}

/* ------------------------------------------------------------------ the loop */

static int work(struct bridge *b)
{
    int did = hear_link(b);
    size_t i;

    for (i = 0; i < b->count; i++)
        did |= b->objects[i].is_out ? work_out(&b->objects[i]) : work_in(&b->objects[i]);
    return did;
}

/* Sleeps until a bell, the link, or the time of something to be tried again. Not all programs ring
 * bells: some push, and post nothing. So it looks by itself, too: each millisecond where that has
 * found something, and less often where it has not, down to ten times a second. */
static void doze(struct bridge *b, struct pollfd *fds)
{
    int ms = b->nap, woken;
    nfds_t n = 1;
    size_t i;

    for (i = 0; i < b->count; i++) {
        struct object *o = &b->objects[i];

        if (ms > 20 && ((o->is_out && o->step != AGREED) || o->frame_n > 0 || o->ack_due))
            ms = 20;
        if (o->step == ABSENT)
            continue;
        ipc_notify_arm(&o->ours);
        fds[n].fd = ipc_notify_fd(&o->ours);
        ms = fds[n].fd < 0 ? 1 : ms;
        fds[n++].events = POLLIN;
    }
    fds[0].fd = ipc_channel_fd(&b->link);
    fds[0].events = POLLIN;
    if (work(b) || is_to_end)
        return;
    woken = poll(fds, n, ms);
    for (i = 0; i < b->count; i++)
        if (b->objects[i].step != ABSENT)
            ipc_notify_drain(&b->objects[i].ours);
    if (woken == 0)
        b->nap = work(b) ? 1 : b->nap < 50 ? 2 * b->nap : 100;
}

static void say_status(struct bridge *b)
{
    static char last[2000];
    char now[sizeof last] = "";
    size_t i, at = 0;

    for (i = 0; i < b->count && at < sizeof now; i++) {
        const struct object *o = &b->objects[i];
        const struct bridge_state *s = o->state;

        at += (size_t)snprintf(now + at, sizeof now - at, "%s%s %s:%s %s", i > 0 ? "; " : "",
                               o->is_out ? "out" : "in", o->segment, o->name,
                               o->step == ABSENT ? "not there" : o->step == AGREED ? "up" : "down");
        if (s != NULL && at < sizeof now)
            at += (size_t)snprintf(now + at, sizeof now - at,
                                   ", %llu carried, %llu missed, %llu on the way",
                                   (unsigned long long)s->carried, (unsigned long long)s->missed,
                                   (unsigned long long)s->waiting);
    }
    if (strcmp(now, last) != 0)
        warnx("%s", now);
    (void)snprintf(last, sizeof last, "%s", now);
}

static void carry(struct bridge *b)
{
    struct pollfd *fds = calloc(b->count + 1, sizeof *fds);
    int64_t since = ipc_clock(), said = since;

    if (fds == NULL)
        err(1, "no memory");
    while (!is_to_end) {
        int64_t now;

        if (work(b))
            since = ipc_clock();
        else if (!b->busy && ipc_clock() - since > SPIN_NS)
            doze(b, fds);
        now = ipc_clock();
        if (b->verbose && now - said >= 1000000000) {
            say_status(b);
            said = now;
        }
    }
    if (b->verbose)
        say_status(b);
    free(fds);
}

/* ------------------------------------------------------------------ options */

static int usage_error(void)
{
    fputs(usage, stderr);
    return 2;
}

static int make_keys(const char *path)
{
    char public[41], secret[41];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        err(1, "%s", path);
    if (zmq_curve_keypair(public, secret) != 0)
        errx(1, "this libzmq has no CURVE");
    if (dprintf(fd, "%s\n", secret) != 41 || close(fd) != 0)
        err(1, "%s", path);
    puts(public);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* The secret key in a file. */
static char *read_key(const char *path)
{
    static char key[50];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, key, sizeof key - 1) : -1;

    if (n < 0)
        err(1, "%s", path);
    (void)close(fd);
    key[strcspn(key, "\n")] = '\0';
    return key;
}

/* "SEGMENT:RING". NULL, or why it is none. */
static const char *add_object(struct bridge *b, const char *text, int is_out)
{
    const char *colon = strrchr(text, ':');
    struct object *o;
    size_t n, i;

    if (colon == NULL || colon == text || colon[1] == '\0' || strlen(colon + 1) > 50 ||
        (size_t)(colon - text) >= sizeof o->segment)
        return "not SEGMENT:NAME";
    for (i = 0; i < b->count; i++)
        if (b->objects[i].is_out == is_out && strcmp(b->objects[i].name, colon + 1) == 0)
            return "another ring has that NAME: the other side could not tell them apart";
    b->objects = realloc(b->objects, (b->count + 1) * sizeof *b->objects);
    if (b->objects == NULL)
        err(1, "no memory");
    o = &b->objects[b->count++];
    memset(o, 0, sizeof *o);
    n = (size_t)(colon - text);
    memcpy(o->segment, text, n);
    (void)snprintf(o->name, sizeof o->name, "%s", colon + 1);
    o->is_out = is_out;
    return NULL;
}

/* 1 to `most`, or 0: it is none. */
static unsigned long read_number(const char *text, unsigned long most)
{
    char *end;
    unsigned long n = strtoul(text, &end, 0);

    return end != text && *end == '\0' && *text != '-' && n <= most ? n : 0;
}

/* 0: go on; else the exit status, plus 1. */
static int read_option(struct bridge *b, int option)
{
    const char *why;

    switch (option) {
    case 'o':
    case 'i':
        why = add_object(b, optarg, option == 'o');
        if (why == NULL)
            return 0;
        warnx("-%c %s: %s", option, optarg, why);
        return usage_error() + 1;
    case 'l':
        b->role |= IPC_LISTEN;
        return 0;
    case 'v':
        b->verbose = 1;
        return 0;
    case 'b':
        b->busy = 1;
        return 0;
    case 'k':
        b->how.keepalive = (unsigned)read_number(optarg, 32767);
        if (b->how.keepalive != 0)
            return 0;
        warnx("-k %s: not 1 to 32767 seconds", optarg);
        return usage_error() + 1;
    case 'm':
        b->room = read_number(optarg, ULONG_MAX);
        if (b->room != 0)
            return 0;
        warnx("-m %s: not a number of bytes", optarg);
        return usage_error() + 1;
    case 's':
        b->how.secret = read_key(optarg);
        return 0;
    case 'p':
        b->how.peer_keys = optarg;
        return 0;
    case 'g':
        return make_keys(optarg) + 1;
    case 'h':
        fputs(usage, stdout);
        return 1;
    default:
        return usage_error() + 1;
    }
}

static void prepare(struct bridge *b, const char *uri)
{
    struct sigaction on;
    size_t i;

    b->uri = uri;
    b->how.max = 3 * (size_t)LONGEST;
    if (strncmp(uri, "zmq:tcp:", 8) != 0)
        b->how.keepalive = 0;
    else if (b->how.keepalive == 0)
        b->how.keepalive = 10;
    b->in_size = 2 * BATCH;
    b->in = malloc(b->in_size);
    if (b->in == NULL)
        err(1, "no memory");
    for (i = 0; i < b->count; i++) {
        b->objects[i].bridge = b;
        b->objects[i].room = b->room;
        b->objects[i].last = &b->objects[i].first;
    }
    memset(&on, 0, sizeof on);
    on.sa_handler = on_signal;
    (void)sigaction(SIGINT, &on, NULL);
    (void)sigaction(SIGTERM, &on, NULL);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    static struct bridge b;
    int option, rc;
    size_t i;

    b.role = IPC_BOTH;
    b.nap = 1;
    while ((option = getopt_long(argc, argv, "o:i:lvbk:m:s:p:g:h", options, NULL)) != -1)
        if ((rc = read_option(&b, option)) != 0)
            return rc - 1;
    if (argc - optind != 1 || b.count == 0) {
        warnx(b.count == 0 ? "no ring is named: -o SEGMENT:NAME or -i SEGMENT:NAME"
                           : "one URI must follow the options");
        return usage_error();
    }
    if (strncmp(argv[optind], "zmq:", 4) != 0) {
        warnx("%s: the URI of a bridge begins with zmq:tcp: or zmq:ipc:", argv[optind]);
        return usage_error();
    }
    prepare(&b, argv[optind]);
    open_link(&b);
    if (!is_to_end)
        carry(&b);
    for (i = 0; i < b.count; i++) {
        forget_in(&b.objects[i]);
        close_object(&b.objects[i]);
        free(b.objects[i].frame);
    }
    ipc_channel_close(&b.link);
    free(b.objects);
    free(b.in);
    return 0;
}
