/*
 * ipc_cat - moves a file or an endless stream from one shell to another through a ring.
 *
 *     ipc_cat -s NAME < file          ipc_cat -r NAME > file
 *
 * Either side may start first. Exit status: 0 all of it arrived; 1 an error here; 2 wrong usage;
 * 3 the other side died, or gave up, before the end. A signal ends it as usual, after cleaning up.
 */
#define _GNU_SOURCE
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>
#include <getopt.h>
#include <sys/signalfd.h>

/* With the ring's 8 bytes, a slot is exactly 64 KiB. */
struct chunk {
    uint64_t bytes; /* 0: the end of the file */
    unsigned char data[65520];
};

IPC_SPSC(chunks, struct chunk)

enum { CAPACITY = 64, DIED = 3 };

static struct ipc_shm seg;
static const char *name;
static int owner, verbose; /* owner: we must remove the name */
static uint64_t moved, moved_before; /* bytes; and at the last report */
static int64_t began, reported;
static const char *doing; /* what this process waits for, and what it waited for at the last report */
static const char *did;
static uint64_t peer; /* the process at the other end; 0: none was seen yet */
static const char moves[] = "moves data";
static sigset_t signals; /* those that end us: blocked, and read from signals_fd */
static int signals_fd;

/* Every exit passes through here. */
static void leave(void)
{
    int why = errno;

    if (owner)
        (void)ipc_shm_unlink(name);
    ipc_shm_close(&seg);
    errno = why;
}

/* The process `id` has the other end. */
static void meet(uint64_t id)
{
    struct ipc_shm_member who;

    if (id == 0 || id == peer)
        return;
    peer = id;
    if (!verbose || ipc_shm_who(&seg, (unsigned)(id % seg.members), &who) != 0 || who.id != id)
        return;
    if (who.here)
        fprintf(stderr, "ipc_cat: the other end is pid %ld\n", (long)who.pid);
    else
        fputs("ipc_cat: the other end is in another PID namespace\n", stderr);
}

static void report(int64_t now)
{
    double seconds = (double)(now - began) / 1e9;

    fprintf(stderr, "ipc_cat: %.1f MB in %.1f s, %.1f MB/s%s%s\n", (double)moved / 1e6, seconds,
            seconds > 0 ? (double)moved / 1e6 / seconds : 0, doing != NULL ? ", " : "",
            doing != NULL ? doing : "");
    reported = now;
    moved_before = moved;
    did = doing;
}

/* Counts bytes, and reports once a second, where there is news. */
static void moving(uint64_t bytes)
{
    moved += bytes;
    if (verbose && (moved != moved_before || doing != did) &&
        ipc_clock() - reported >= 1000000000)
        report(ipc_clock());
}

/* A phase begins that may last: reported at once. */
static void begin(const char *what)
{
    doing = what;
    if (verbose && doing != did)
        fprintf(stderr, "ipc_cat: %s\n", did = doing);
}

/* Waits until fd is ready (-1: none) or the time is over. A signal ends the program. */
static void ready(int fd, short events, const struct timespec *limit)
{
    struct pollfd p[2] = {{signals_fd, POLLIN, 0}, {fd, events, 0}};
    struct signalfd_siginfo came;

    static const struct timespec second = {1, 0};
    int n;

    while ((n = ppoll(p, 2, limit == NULL && verbose ? &second : limit, NULL)) < 0 ||
           (n == 0 && limit == NULL)) {
        if (n < 0 && errno != EINTR)
            err(1, "poll");
        moving(0);
    }
    if (p[0].revents != 0 && read(signals_fd, &came, sizeof came) == (ssize_t)sizeof came) {
        leave();
        (void)signal((int)came.ssi_signo, SIG_DFL);
        (void)sigprocmask(SIG_UNBLOCK, &signals, NULL);
        (void)raise((int)came.ssi_signo);
    }
}

static void fail(int status, const char *what)
{
    leave();
    errx(status, "%s", what);
}

/* Acts on the result rc of a wait on the ring. Signals are blocked while it sleeps, so we look for
 * them ten times a second. */
static void consider(int rc, const char *died)
{
    static const struct timespec now = {0, 0};

    if (rc == -EOWNERDEAD || rc == -EPIPE)
        fail(DIED, died);
    if (rc == -ETIMEDOUT)
        ready(-1, 0, &now);
    else if (rc != 0 && rc != -EINTR)
        fail(1, "the segment is corrupt");
    moving(0);
}

/* Waits a little, for events that nobody posts. */
static void nap(void)
{
    static const struct timespec millisecond = {0, 1000000};

    ready(-1, 0, &millisecond);
}

/* ------------------------------------------------------------------ the sender */

static const char no_receiver[] = "the receiver died before the end";

static void send_all(void)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct chunks_producer out;
    int64_t deadline = ipc_in_ms(1000);
    struct chunk *c;
    ssize_t n;
    int rc;

    how.flags = IPC_SHM_FRESH; /* what a killed pair left is useless */
    while ((rc = ipc_shm_create_with(&seg, name, (CAPACITY + 1) * sizeof *c + 4096, &how)) ==
               -EEXIST &&
           ipc_clock() < deadline)
        nap(); /* a receiver may be discarding the same remains */
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    owner = 1;
    begin("has made the segment");
    if (chunks_producer_create(&out, &seg, "chunks", CAPACITY) != 0)
        fail(1, ipc_shm_why(&seg));
    do {
        while ((c = chunks_claim(&out)) == NULL) {
            meet(chunks_producer_peer(&out));
            doing = peer == 0 ? "waits for a receiver" : "waits for the receiver";
            consider(chunks_producer_wait(&out, ipc_in_ms(100)), no_receiver);
        }
        doing = "waits for input";
        ready(STDIN_FILENO, POLLIN, NULL);
        n = read(STDIN_FILENO, c->data, sizeof c->data);
        if (n < 0) {
            leave();
            err(1, "cannot read");
        }
        c->bytes = (uint64_t)n;
        (void)chunks_commit(&out);
        (void)chunks_producer_post(&out);
        meet(chunks_producer_peer(&out));
        doing = moves;
        moving((uint64_t)n);
    } while (n > 0);
    while (chunks_producer_was_size(&out) > 0) {
        meet(chunks_producer_peer(&out));
        begin(peer == 0 ? "has all of it, and waits for a receiver"
                        : "has all of it, and waits for the receiver");
        ipc_notify_watch(chunks_producer_bell(&out), chunks_producer_peer(&out));
        rc = ipc_wait(chunks_producer_bell(&out), ipc_in_ms(100),
                      chunks_producer_was_size(&out) == 0);
        consider(rc, no_receiver);
    }
}

/* ------------------------------------------------------------------ the receiver */

/* Opens a segment whose sender lives; removes what a dead one left. */
static void meet_sender(struct chunks_consumer *in)
{
    static const struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    int rc;

    for (;;) {
        rc = ipc_shm_open(&seg, name, IPC_NOW);
        if (rc == 0) {
            /* The sender makes its ring and attaches to it at once, unless it dies before that. */
            seg.deadline = ipc_in_ms(1000);
            rc = chunks_consumer_open(in, &seg, "chunks");
            if (rc == -EBUSY)
                errx(1, "another receiver reads '%s'", name);
            while (rc == 0 && chunks_consumer_peer(in) == 0 && ipc_clock() < seg.deadline)
                nap();
            if (rc == 0 && ipc_shm_alive(&seg, chunks_consumer_peer(in)))
                return;
            if (rc == 0)
                chunks_consumer_detach(in);
            ipc_shm_close(&seg);
            if (rc == 0 || rc == -ETIMEDOUT) /* not what a sender has that is only slow */
                rc = ipc_shm_unlink_dead(&seg, name, &how);
        }
        if (rc != 0 && rc != -ENOENT && rc != -ETIMEDOUT && rc != -EBUSY)
            errx(1, "%s", ipc_shm_why(&seg));
        nap();
    }
}

static void write_all(const unsigned char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n;

        ready(STDOUT_FILENO, POLLOUT, NULL);
        n = write(STDOUT_FILENO, data, bytes);
        if (n < 0 && errno != EAGAIN) {
            leave();
            err(1, "cannot write");
        }
        data += n > 0 ? n : 0;
        bytes -= n > 0 ? (size_t)n : 0;
    }
}

static void receive_all(void)
{
    struct chunks_consumer in;
    const struct chunk *c;
    uint64_t bytes;
    int rc;

    begin("waits for a sender");
    meet_sender(&in);
    meet(chunks_consumer_peer(&in));
    began = reported = ipc_clock();
    do {
        while ((c = chunks_peek(&in)) == NULL) {
            doing = "waits for the sender";
            rc = chunks_consumer_wait(&in, ipc_in_ms(100));
            owner = rc == -EOWNERDEAD || rc == -EPIPE; /* the name is ours from now on */
            consider(rc, "the sender died before the end");
        }
        bytes = c->bytes;
        if (bytes > sizeof c->data)
            fail(1, "the segment is corrupt");
        doing = "waits for its output";
        write_all(c->data, (size_t)bytes);
        (void)chunks_release(&in);
        (void)chunks_consumer_post(&in);
        doing = moves;
        moving(bytes);
    } while (bytes > 0);
    chunks_consumer_detach(&in);
}

/* ------------------------------------------------------------------ main */

static const char usage[] = "usage: ipc_cat [-v] -s NAME < input\n"
                            "       ipc_cat [-v] -r NAME > output\n"
                            "Moves bytes from the sender to the receiver of the same NAME.\n"
                            "  -s NAME  send what comes in\n"
                            "  -r NAME  write what was sent\n"
                            "  -v       say what it does now: the other end, what it waits for, rate\n"
                            "  -h       print this, as --help does\n";

/* Says what is wrong, if getopt_long did not. */
static int usage_error(const char *why)
{
    if (why != NULL)
        warnx("%s", why);
    fputs(usage, stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option, role = 0;

    while ((option = getopt_long(argc, argv, "s:r:vh", options, NULL)) != -1)
        switch (option) {
        case 's':
        case 'r':
            if (role != 0)
                return usage_error("one of -s and -r, once");
            role = option;
            name = optarg;
            break;
        case 'v':
            verbose = 1;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            return usage_error(NULL);
        }
    if (optind != argc || role == 0)
        return usage_error(role == 0 ? "-s NAME or -r NAME is missing" : "there is more than one name");
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    signals_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (signals_fd < 0)
        err(1, "signalfd");
    (void)signal(SIGPIPE, SIG_IGN); /* write then fails: Broken pipe */
    began = reported = ipc_clock();
    if (role == 's')
        send_all();
    else
        receive_all();
    doing = "done";
    if (verbose)
        report(ipc_clock());
    leave();
    return 0;
}
