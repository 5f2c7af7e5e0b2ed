/*
 * Servers of many clients with one handle, over every mechanism that has them, and waiting for any
 * of several channels; with real processes.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

/* ------------------------------------------------------------------ the mechanisms */

#define FRAMED 1u /* over a stream of bytes, where a message can be cut off */
#define AUTO 2u   /* agrees first */

struct row {
    const char *scheme;
    unsigned is;
};

static const struct row rows[] = {
    {"unix", FRAMED}, {"unix-seq", 0}, {"tcp", FRAMED}, {"auto", AUTO}, {"auto-", AUTO | FRAMED},
};

static char text[300000];
static const struct row *row;
static char uri[200];
static struct ipc_channel srv; /* the server, in this process */
static struct ipc_channel_options how;

static int free_port(void)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
    } a;
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&a, 0, sizeof a);
    a.any.sa_family = AF_INET;
    MUST(fd >= 0 && bind(fd, &a.any, sizeof a) == 0 && getsockname(fd, &a.any, &size) == 0);
    (void)close(fd);
    return ntohs(a.v4.sin_port);
}

/* Makes this test's URI for this row, and the default options of its server. */
static void choose(const struct row *r)
{
    struct rlimit small = {100000, RLIM_INFINITY};

    row = r;
    next_name(NULL);
    /* No segment is that small, so the channel stays on the socket. */
    small.rlim_cur = strcmp(r->scheme, "auto-") == 0 ? small.rlim_cur : RLIM_INFINITY;
    MUST(setrlimit(RLIMIT_FSIZE, &small) == 0);
    if (strcmp(r->scheme, "tcp") == 0)
        (void)snprintf(uri, sizeof uri, "tcp:127.0.0.1:%d", free_port());
    else if ((r->is & AUTO) != 0)
        (void)snprintf(uri, sizeof uri, "auto:%s", name);
    else
        (void)snprintf(uri, sizeof uri, "%s:/dev/shm/%s", r->scheme, name);
    memset(&how, 0, sizeof how);
    how.clients = 10;
    how.max = (r->is & FRAMED) != 0 ? sizeof text : 60000;
}

#define EACH_ROW(with)                                                                             \
    for (size_t at_ = 0; at_ < sizeof rows / sizeof *rows; at_++)                                  \
        if ((rows[at_].is & (with)) == (with) && (choose(&rows[at_]), 1))

static void serve(void)
{
    int rc = ipc_channel_open_with(&srv, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how);

    must_(rc == 0, uri, ipc_channel_why(&srv), __FILE__, __LINE__);
}

static struct ipc_channel_facts facts(void)
{
    struct ipc_channel_facts f;

    IS(ipc_channel_info(&srv, &f), 0);
    return f;
}

/* What the server receives next within the deadline. */
static uint64_t value;

static int64_t next(int64_t deadline)
{
    value = 0;
    return ipc_channel_recv(&srv, &value, sizeof value, deadline);
}

#define SOON ipc_in_ms(LONG_MS)

/* ------------------------------------------------------------------ obedient clients */

enum { OPEN, SEND, RECV, FILL, FLUSH, READ, CLOSE, END };

#define LONG_TEXT (how.max) /* can be cut off where that is possible */
#define SHORT_TEXT 100

/* Sends messages until there is no room. Returns their number. */
static uint64_t fill(struct ipc_channel *to, size_t size)
{
    uint64_t n = 0;
    int rc;

    for (; (rc = ipc_channel_send(to, text, size, IPC_NOW)) == 0; n++)
        ;
    IS(rc, -ETIMEDOUT);
    return n;
}

static int64_t obey(struct ipc_channel *me, unsigned what, uint64_t v)
{
    int64_t n, i;

    switch (what) {
    case OPEN:
        how.clients = 0;
        return ipc_channel_open_with(me, uri, IPC_BOTH, SOON, &how);
    case SEND:
        return ipc_channel_send(me, &v, sizeof v, SOON);
    case RECV:
        n = ipc_channel_recv(me, &v, sizeof v, SOON);
        return n == sizeof v ? (int64_t)v : n;
    case FILL:
        return (int64_t)fill(me, v);
    case FLUSH:
        return ipc_channel_flush(me, SOON);
    case READ:
        for (i = 0; i < (int64_t)v; i++)
            IS(ipc_channel_recv(me, text, sizeof text, SOON), (int64_t)LONG_TEXT);
        return ipc_channel_recv(me, text, sizeof text, ipc_in_ms(20));
    default:
        ipc_channel_close(me);
        return 0;
    }
}

static void puppet(struct child *up, void *arg)
{
    struct ipc_channel me;
    uint64_t word;

    (void)arg;
    memset(&me, 0, sizeof me);
    while (((word = hear(up)) & 0xff) != END)
        tell(up, (uint64_t)obey(&me, word & 0xff, word >> 8));
    ipc_channel_close(&me);
}

/* Has a client do something, of which it reports the result by hear. */
static void bid(const struct child *c, unsigned what, uint64_t v)
{
    tell(c, what | v << 8);
}

static void does(const struct child *c, unsigned what, uint64_t v, int64_t want)
{
    bid(c, what, v);
    is_((int64_t)hear(c), want, uri, __FILE__, __LINE__);
}

/* The client sends v, which the server gets next. Returns the client's number. */
static uint64_t asks(const struct child *c, uint64_t v)
{
    bid(c, SEND, v);
    IS(next(SOON), sizeof value);
    IS(value, v);
    IS(hear(c), 0);
    return srv.from;
}

/* ... and answers with the next number. */
static uint64_t talks(const struct child *c, uint64_t v)
{
    uint64_t from = asks(c, v);

    v++;
    IS(ipc_channel_send(&srv, &v, sizeof v, IPC_NOW), 0);
    does(c, RECV, 0, (int64_t)v);
    return from;
}

static struct child comes(void)
{
    struct child c = spawn(puppet, NULL);

    does(&c, OPEN, 0, 0);
    return c;
}

static void goes(const struct child *c)
{
    bid(c, END, 0);
    finish(c);
}

static void over(void)
{
    ipc_channel_close(&srv);
    (void)ipc_channel_unlink(uri);
}

/* ------------------------------------------------------------------ what a server does */

static void each_gets_its_own_answer(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c[4];
        uint64_t number[4], v;
        unsigned i, k;

        serve();
        IS(next(IPC_NOW), -ETIMEDOUT);
        for (i = 0; i < 4; i++)
            c[i] = comes();
        for (i = 0; i < 4; i++)
            number[i] = talks(&c[i], 10 * i);
        IS(facts().clients, 4);
        for (i = 0; i < 4; i++) {
            MUST(number[i] != 0);
            for (k = 0; k < i; k++)
                MUST(number[i] != number[k]);
            IS(asks(&c[i], i), number[i]);
            IS(facts().pid, strcmp(row->scheme, "tcp") == 0 ? 0 : c[i].pid);
        }
        for (i = 4; i-- > 0;) { /* in another order than they asked */
            v = 100 + i;
            IS(ipc_channel_send_to(&srv, number[i], &v, sizeof v, IPC_NOW), 0);
        }
        for (i = 0; i < 4; i++)
            does(&c[i], RECV, 0, 100 + i);
        for (i = 0; i < 4; i++) {
            goes(&c[i]);
            IS(next(SOON), -EPIPE);
            IS(srv.from, number[i]);
            IS(facts().clients, 3 - i);
        }
        over();
    }
}

static void a_loss_is_told_once_and_a_number_is_used_once(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child gone, stays, comer;
        uint64_t dead, alive, fresh, v = 1;

        comer = spawn(puppet, NULL); /* has none of the server's descriptors */
        serve();
        stays = comes();
        gone = comes();
        alive = talks(&stays, 1);
        dead = talks(&gone, 2);
        kill_child(&gone);
        IS(next(SOON), -EPIPE);
        IS(srv.from, dead);
        MUST(strstr(ipc_channel_why(&srv), "gone") != NULL);
        IS(next(IPC_NOW), -ETIMEDOUT);
        does(&comer, OPEN, 0, 0);
        fresh = talks(&comer, 3);
        MUST(fresh != dead && fresh != alive);
        IS(ipc_channel_send_to(&srv, dead, &v, sizeof v, IPC_NOW), -EPIPE);
        IS(ipc_channel_drop(&srv, dead), -EPIPE);
        IS(ipc_channel_send_to(&srv, 0, &v, sizeof v, IPC_NOW), -EPIPE);
        IS(talks(&stays, 4), alive);
        IS(ipc_channel_drop(&srv, fresh), 0);
        IS(ipc_channel_drop(&srv, fresh), -EPIPE);
        does(&comer, RECV, 0, -EPIPE);
        MUST(talks(&comer, 5) != fresh); /* it has come again */
        IS(talks(&stays, 6), alive);
        IS(ipc_channel_send_to(&srv, alive, text, how.max + 1, IPC_NOW), -EMSGSIZE);
        ipc_channel_close(&srv);
        does(&stays, RECV, 0, -EPIPE);
        goes(&stays);
        goes(&comer);
        over();
    }
}

/* The client may be stopped: its answers are kept up to a limit, and cost the others nothing. */
static void a_client_that_does_not_read_costs_the_others_nothing(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child slow, other;
        uint64_t number, n;
        int64_t until = SOON;
        int rc;

        serve();
        slow = comes();
        other = comes();
        number = talks(&slow, 1);
        talks(&other, 2);
        stop_child(&slow);
        srv.from = number;
        n = fill(&srv, LONG_TEXT);
        MUST(n > 0);
        if ((row->is & FRAMED) != 0)
            MUST(facts().pending > 0 && facts().pending <= LONG_TEXT + 8);
        talks(&other, 3);
        rc = ipc_channel_flush(&srv, IPC_NOW); /* tcp: may have found more room by now */
        IS(rc, facts().pending > 0 ? -ETIMEDOUT : 0);
        signal_child(&slow, SIGCONT);
        bid(&slow, READ, n); /* all of them whole, and then none */
        while (facts().pending > 0 && ipc_left_(until) > 0)
            IS(next(ipc_in_ms(10)), -ETIMEDOUT);
        IS(hear(&slow), -ETIMEDOUT);
        IS(talks(&slow, 4), number);
        talks(&other, 5);
        goes(&slow);
        goes(&other);
        over();
    }
}

/* What is left for a client goes out with recv, also while it waits for others. */
static void what_is_left_goes_out_when_the_client_reads(void **state)
{
    (void)state;
    EACH_ROW(FRAMED)
    {
        struct child slow;
        uint64_t n;

        serve();
        slow = comes();
        asks(&slow, 1);
        n = fill(&srv, LONG_TEXT);
        bid(&slow, READ, n);
        IS(next(ipc_in_ms(50)), -ETIMEDOUT);
        EVENTUALLY(next(IPC_NOW) == -ETIMEDOUT && facts().pending == 0);
        IS(hear(&slow), -ETIMEDOUT);
        n = fill(&srv, LONG_TEXT);
        bid(&slow, READ, n);
        IS(ipc_channel_flush(&srv, SOON), 0);
        IS(hear(&slow), -ETIMEDOUT);
        goes(&slow);
        over();
    }
}

static void a_flood_keeps_nobody_out(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child flood, other;
        uint64_t number;
        int64_t n;
        int i, k;

        serve();
        flood = comes();
        other = comes();
        number = talks(&flood, 1);
        talks(&other, 2);
        for (k = 0; k < 3; k++) {
            bid(&flood, FILL, SHORT_TEXT);
            MUST(hear(&flood) > 66);
            IS(ipc_channel_recv(&srv, text, sizeof text, SOON), SHORT_TEXT);
            does(&other, SEND, 7, 0);
            for (i = 0; i < 1000; i++) { /* 64, and the one at hand */
                n = ipc_channel_recv(&srv, text, sizeof text, SOON);
                if (srv.from != number)
                    break;
                IS(n, SHORT_TEXT);
            }
            MUST(n == 8 && i <= 65);
            while (ipc_channel_recv(&srv, text, sizeof text, IPC_NOW) == SHORT_TEXT)
                ;
        }
        goes(&flood);
        goes(&other);
        over();
    }
}

/* ------------------------------------------------------------------ hostile clients */

/* A socket that is connected to the server, without a channel. */
static int raw(void)
{
    struct ipc_channel c;
    int fd;

    /* Of auto: too, which has sent its offer by then. */
    IS(ipc_channel_open(&c, uri, IPC_BOTH, SOON), 0);
    fd = dup(c.in);
    MUST(fd >= 0);
    ipc_channel_close(&c);
    return fd;
}

/* As raw, but of auto: without an offer. */
static int raw_unix(void)
{
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n;

    memset(&at, 0, sizeof at);
    at.sun_family = AF_UNIX;
    n = snprintf(at.sun_path + 1, sizeof at.sun_path - 1, "ipc-auto-%s", name);
    IS(connect(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                                       (size_t)n)),
       0);
    return fd;
}

static void the_hostile_are_left_and_the_others_stay(void **state)
{
    static const char garbage[] = "this is no message of ours, is it?";
    static const char half[] = "\0\0\0\x08\x69\x70\x63\x39...";

    (void)state;
    EACH_ROW(0)
    {
        struct child other;
        uint64_t number;
        int fd[3];

        if ((row->is & AUTO) != 0)
            continue;
        serve();
        other = comes();
        number = talks(&other, 1);
        fd[0] = raw(); /* sends nothing */
        fd[1] = raw();
        fd[2] = raw();
        IS(talks(&other, 2), number);
        IS(facts().clients, 4);
        IS(send(fd[1], garbage, sizeof garbage, 0), sizeof garbage);
        IS(next(SOON), -EBADMSG);
        MUST(srv.from != number && srv.from != 0);
        IS(facts().clients, 3);
        if ((row->is & FRAMED) != 0) {
            IS(send(fd[2], half, 11, 0), 11);
            IS(next(IPC_NOW), -ETIMEDOUT); /* it does not spin: */
            IS(poll(&(struct pollfd){ipc_channel_fd(&srv), POLLIN, 0}, 1, 0), 0);
            IS(talks(&other, 3), number);
            (void)close(fd[2]);
            IS(next(SOON), -EOWNERDEAD);
        } else {
            (void)close(fd[2]);
            IS(next(SOON), -EPIPE);
        }
        MUST(srv.from != number);
        (void)close(fd[0]);
        IS(next(SOON), -EPIPE);
        IS(talks(&other, 4), number);
        IS(facts().clients, 1);
        (void)close(fd[1]);
        goes(&other);
        over();
    }
}

/* Those that never agree take no place for long, and are not heard of. */
static void a_handshake_that_is_never_finished_costs_nothing(void **state)
{
    (void)state;
    EACH_ROW(AUTO)
    {
        struct ipc_channel_hello_ hello;
        struct child other;
        uint64_t number;
        int fd[5], i;

        how.clients = 5;
        serve();
        other = comes();
        number = talks(&other, 1);
        memset(&hello, 0, sizeof hello);
        hello.magic = IPC_CHANNEL_MAGIC_;
        hello.version = 1;
        hello.ring = 1;
        hello.max = 4096;
        for (i = 0; i < 3; i++)
            fd[i] = raw_unix();
        IS(send(fd[1], &hello, 10, 0), 10);
        IS(send(fd[2], &hello, sizeof hello, 0), sizeof hello); /* and no choice */
        IS(next(ipc_in_ms(120)), -ETIMEDOUT);
        IS(talks(&other, 2), number);
        fd[3] = raw_unix(); /* takes the last place: nobody needs that of the late ones */
        IS(next(ipc_in_ms(20)), -ETIMEDOUT);
        IS(facts().clients, 5);
        fd[4] = raw_unix(); /* there is no place, until the late ones have had their time */
        EVENTUALLY(next(ipc_in_ms(10)) == -ETIMEDOUT && facts().clients <= 3);
        (void)close(fd[3]);
        (void)close(fd[4]);
        EVENTUALLY(next(ipc_in_ms(10)) == -ETIMEDOUT && facts().clients == 1);
        for (i = 0; i < 3; i++) {
            char byte[100];

            while (recv(fd[i], byte, sizeof byte, 0) > 0)
                ;
            (void)close(fd[i]);
        }
        fd[0] = raw_unix();
        memset(&hello, 'x', sizeof hello);
        IS(send(fd[0], &hello, sizeof hello, 0), sizeof hello);
        IS(next(ipc_in_ms(20)), -ETIMEDOUT);
        EVENTUALLY(next(ipc_in_ms(10)) == -ETIMEDOUT && facts().clients == 1);
        (void)close(fd[0]);
        IS(talks(&other, 3), number);
        goes(&other);
        over();
    }
}

static void a_message_too_large_for_the_buffer_holds_up_nobody(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child big, other;
        uint64_t number, n, k, sizes = 0;

        serve();
        big = comes();
        other = comes();
        number = talks(&big, 1);
        talks(&other, 2);
        bid(&big, FILL, LONG_TEXT);
        MUST((n = hear(&big)) > 0);
        bid(&big, FLUSH, 0);
        IS(next(SOON), -EMSGSIZE);
        IS(srv.from, number);
        IS(facts().next, LONG_TEXT);
        bid(&other, SEND, 3);
        while (next(SOON) == -EMSGSIZE)
            MUST(srv.from == number && ++sizes < 1000000);
        IS(value, 3);
        IS(hear(&other), 0);
        for (k = 0; k < n; k++) { /* they are all still there */
            IS(ipc_channel_recv(&srv, text, sizeof text, SOON), LONG_TEXT);
            IS(facts().next, 0);
        }
        IS(hear(&big), 0);
        IS(next(IPC_NOW), -ETIMEDOUT);
        goes(&big);
        goes(&other);
        over();
    }
}

/* ------------------------------------------------------------------ limits */

static void those_above_the_limit_wait_for_a_place(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c[3];

        how.clients = 2;
        serve();
        c[0] = comes();
        c[1] = comes();
        talks(&c[0], 1);
        talks(&c[1], 2);
        c[2] = comes();
        bid(&c[2], SEND, 3);
        IS(next(IPC_NOW), -ETIMEDOUT);
        IS(poll(&(struct pollfd){ipc_channel_fd(&srv), POLLIN, 0}, 1, 0), 0); /* it does not spin */
        talks(&c[0], 4);
        IS(facts().clients, 2);
        goes(&c[0]);
        IS(next(SOON), -EPIPE);
        IS(next(SOON), sizeof value);
        IS(value, 3);
        IS(hear(&c[2]), 0);
        goes(&c[1]);
        goes(&c[2]);
        over();
    }
}

static void without_descriptors_the_listener_stays_and_says_so(void **state)
{
    struct rlimit was, none;

    (void)state;
    MUST(getrlimit(RLIMIT_NOFILE, &was) == 0);
    EACH_ROW(FRAMED)
    {
        struct child c[2];
        int fd;

        serve();
        c[0] = comes();
        talks(&c[0], 1);
        c[1] = comes();
        bid(&c[1], SEND, 2);
        fd = dup(0);
        MUST(fd >= 0);
        (void)close(fd);
        none = was;
        none.rlim_cur = (rlim_t)fd;
        MUST(setrlimit(RLIMIT_NOFILE, &none) == 0);
        IS(next(SOON), -EMFILE);
        MUST(strstr(ipc_channel_why(&srv), "Too many open files") != NULL);
        IS(poll(&(struct pollfd){ipc_channel_fd(&srv), POLLIN, 0}, 1, 0), 0);
        IS(next(ipc_in_ms(120)), -ETIMEDOUT); /* it has tried again, and is silent */
        talks(&c[0], 3);
        MUST(setrlimit(RLIMIT_NOFILE, &was) == 0);
        IS(next(SOON), sizeof value);
        IS(value, 2);
        IS(hear(&c[1]), 0);
        IS(facts().clients, 2);
        goes(&c[0]);
        goes(&c[1]);
        over();
    }
}

/* ------------------------------------------------------------------ many */

/* Opens many channels, asks a question on each, then reads all answers. */
static void crowd(struct child *up, void *arg)
{
    unsigned n = *(unsigned *)arg, i;
    struct ipc_channel *c = calloc(n, sizeof *c);
    uint64_t v;
    int rc;

    MUST(c != NULL);
    for (i = 0; i < n; i++) {
        rc = ipc_channel_open_with(&c[i], uri, IPC_BOTH, SOON, &how);
        must_(rc == 0, uri, ipc_channel_why(&c[i]), __FILE__, __LINE__);
    }
    tell(up, n);
    (void)hear(up);
    for (i = 0; i < n; i++) {
        v = i;
        rc = ipc_channel_send(&c[i], &v, sizeof v, SOON);
        must_(rc == 0, uri, ipc_channel_why(&c[i]), __FILE__, __LINE__);
    }
    for (i = 0; i < n; i++) {
        IS(ipc_channel_recv(&c[i], &v, sizeof v, SOON), sizeof v);
        IS(v, i * 3);
    }
    tell(up, n);
    (void)hear(up);
}

static int permits_files(rlim_t n)
{
    struct rlimit r;

    MUST(getrlimit(RLIMIT_NOFILE, &r) == 0);
    r.rlim_cur = r.rlim_cur < n ? n : r.rlim_cur;
    return r.rlim_cur <= r.rlim_max && setrlimit(RLIMIT_NOFILE, &r) == 0;
}

static void a_thousand_clients_are_served_at_once(void **state)
{
    (void)state;
    SKIP_IF(!permits_files(2000), "RLIMIT_NOFILE");
    EACH_ROW(0)
    {
        unsigned n = strcmp(row->scheme, "auto") == 0 ? 200 : 1000, i;
        struct child c;
        uint64_t last = 0;
        char *seen;

        if (strcmp(row->scheme, "auto-") == 0)
            continue;
        seen = calloc(n, 1);
        MUST(seen != NULL);
        how.clients = n;
        how.max = 256;
        serve();
        how.clients = 0;
        c = spawn(crowd, &n);
        IS(hear(&c), n);
        tell(&c, 0);
        for (i = 0; i < n; i++) {
            IS(next(SOON), sizeof value);
            MUST(value < n && !seen[value] && srv.from != last);
            last = srv.from;
            seen[value] = 1;
            value *= 3;
            IS(ipc_channel_send(&srv, &value, sizeof value, IPC_NOW), 0);
        }
        IS(hear(&c), n);
        IS(facts().clients, n);
        tell(&c, 0);
        finish(&c);
        for (i = 0; i < n; i++)
            IS(next(SOON), -EPIPE);
        IS(next(IPC_NOW), -ETIMEDOUT);
        IS(facts().clients, 0);
        free(seen);
        over();
    }
}

#define HOW_MANY UINT64_MAX

/* Answers 3 n to n, but to HOW_MANY how many clients there are. */
static void echoes(struct child *up, void *arg)
{
    int64_t n;

    (void)arg;
    serve();
    tell(up, 0);
    for (;;) {
        n = next(IPC_FOREVER);
        if (n < 0)
            continue;
        value = value == HOW_MANY ? facts().clients : 3 * value;
        (void)ipc_channel_send(&srv, &value, (size_t)n, IPC_NOW); /* it may have been killed */
    }
}

/* Comes, asks three times, and goes, for ever. */
static void churns(struct child *up, void *arg)
{
    struct ipc_channel c;
    uint64_t v, i;

    (void)arg;
    for (i = (uint64_t)getpid();; i++) {
        IS(ipc_channel_open_with(&c, uri, IPC_BOTH, SOON, &how), 0);
        for (v = i; v != 27 * i;) {
            uint64_t asked = v;

            IS(ipc_channel_send(&c, &v, sizeof v, SOON), 0);
            IS(ipc_channel_recv(&c, &v, sizeof v, SOON), sizeof v);
            IS(v, 3 * asked);
        }
        ipc_channel_close(&c);
        if (up != NULL)
            tell(up, 0);
        up = NULL;
    }
}

static uint64_t question(struct ipc_channel *c, uint64_t v)
{
    IS(ipc_channel_send(c, &v, sizeof v, SOON), 0);
    IS(ipc_channel_recv(c, &v, sizeof v, SOON), sizeof v);
    return v;
}

static void clients_that_are_killed_at_random_cost_the_others_nothing(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child server, c[4];
        struct ipc_channel steady;
        uint64_t i, k;

        how.max = 1000;
        server = spawn(echoes, NULL);
        (void)hear(&server);
        how.clients = 0;
        IS(ipc_channel_open_with(&steady, uri, IPC_BOTH, SOON, &how), 0);
        for (i = 0; i < 4; i++)
            c[i] = spawn(churns, NULL);
        for (i = 0; i < 40; i++) {
            if (i % 8 == 0) /* not all are killed in their first moments */
                (void)hear(&c[i % 4]);
            for (k = 0; k <= i % 5; k++)
                IS(question(&steady, i), 3 * i);
            if (i % 3 == 0) {
                stop_child(&c[i % 4]);
                IS(question(&steady, i), 3 * i);
            }
            kill_child(&c[i % 4]);
            c[i % 4] = spawn(churns, NULL);
        }
        for (i = 0; i < 4; i++)
            kill_child(&c[i]);
        EVENTUALLY(question(&steady, HOW_MANY) == 1);
        ipc_channel_close(&steady);
        kill_child(&server);
        over();
    }
}

static void a_server_that_pauses_loses_nobody(void **state)
{
    (void)state;
    SKIP_IF(!permits_files(2000), "RLIMIT_NOFILE");
    EACH_ROW(0)
    {
        unsigned n = 200;
        struct child server, c;

        how.clients = n;
        how.max = 256;
        server = spawn(echoes, NULL);
        how.clients = 0;
        (void)hear(&server);
        stop_child(&server);
        c = spawn(crowd, &n); /* they connect, and send what they can, meanwhile */
        IS(hear(&c), n);
        tell(&c, 0);
        EVENTUALLY(rests(c.pid));
        signal_child(&server, SIGCONT);
        IS(hear(&c), n);
        tell(&c, 0);
        finish(&c);
        kill_child(&server);
        over();
    }
}

/* ------------------------------------------------------------------ event loops */

static void in_an_event_loop_nothing_is_missed(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c[3];
        struct pollfd p;
        unsigned i, got = 0, lost = 0;
        int64_t n;

        serve();
        p.fd = ipc_channel_fd(&srv);
        p.events = POLLIN;
        MUST(p.fd >= 0);
        IS(poll(&p, 1, 0), 0);
        for (i = 0; i < 3; i++) {
            c[i] = comes();
            bid(&c[i], SEND, i);
        }
        while (got + lost < 6) {
            IS(poll(&p, 1, LONG_MS), 1);
            while ((n = next(IPC_NOW)) != -ETIMEDOUT) {
                if (n == -EPIPE) {
                    lost++;
                    continue;
                }
                IS(n, sizeof value);
                IS(hear(&c[value]), 0);
                bid(&c[value], END, 0);
                got++;
            }
        }
        IS(poll(&p, 1, 0), 0);
        IS(ipc_channel_fd(&srv), p.fd);
        for (i = 0; i < 3; i++)
            finish(&c[i]);
        over();
    }
}

/* A process that another one has forked keeps descriptors of clients: they must not be told of for
 * ever after. */
static void a_fork_makes_no_server_spin(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c, other, forked;

        serve();
        c = comes();
        other = comes();
        talks(&c, 1);
        talks(&other, 2);
        forked = spawn(puppet, NULL);
        IS(ipc_channel_drop(&srv, srv.from), 0);
        does(&other, RECV, 0, -EPIPE); /* also told as the forked process has the descriptor, too */
        goes(&c);
        IS(next(SOON), -EPIPE);
        IS(next(IPC_NOW), -ETIMEDOUT);
        IS(poll(&(struct pollfd){ipc_channel_fd(&srv), POLLIN, 0}, 1, 0), 0);
        goes(&forked);
        goes(&other);
        over();
    }
}

/* ------------------------------------------------------------------ what is refused */

static void what_is_no_server_is_refused(void **state)
{
    struct ipc_channel one;
    uint64_t v = 0;

    (void)state;
    choose(&rows[0]);
    IS(ipc_channel_open_with(&srv, uri, IPC_BOTH, IPC_NOW, &how), -EINVAL);
    MUST(strstr(ipc_channel_why(&srv), "IPC_LISTEN") != NULL);
    IS(ipc_channel_open_with(&srv, uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), -EINVAL);
    IS(ipc_channel_open_with(&srv, "udp:127.0.0.1:0", IPC_BOTH | IPC_LISTEN, IPC_NOW, &how),
       -EOPNOTSUPP);
    MUST(strstr(ipc_channel_why(&srv), "clients") != NULL);
    how.clients = 1000001;
    IS(ipc_channel_open_with(&srv, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), -EINVAL);
    IS(ipc_channel_send_to(&srv, 1, &v, sizeof v, IPC_NOW), -EINVAL);
    IS(ipc_channel_drop(&srv, 1), -EINVAL);
    how.clients = 5;
    serve();
    IS(ipc_channel_accept(&srv, &one, IPC_NOW), -EOPNOTSUPP);
    MUST(strstr(ipc_channel_why(&one), "itself") != NULL);
    IS(ipc_channel_send(&srv, &v, sizeof v, IPC_NOW), -EPIPE); /* nobody has asked */
    over();
    IS(ipc_channel_open(&srv, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_send_to(&srv, 1, &v, sizeof v, IPC_NOW), -EINVAL);
    over();
    IS(ipc_channel_open_with(&srv, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), 0);
    IS(ipc_channel_send_to(&srv, 1, &v, sizeof v, IPC_NOW), -EINVAL);
    over();
}

static void a_listener_that_was_handed_over_serves_many(void **state)
{
    struct child c[2];
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char taken[30];

    (void)state;
    choose(&rows[0]);
    memset(&at, 0, sizeof at);
    at.sun_family = AF_UNIX;
    (void)snprintf(at.sun_path, sizeof at.sun_path, "/dev/shm/%.90s", name);
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
         chmod(at.sun_path, 0600) == 0 && listen(fd, 5) == 0);
    (void)snprintf(taken, sizeof taken, "fd:%d", fd);
    IS(ipc_channel_open_with(&srv, taken, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), 0);
    c[0] = comes();
    c[1] = comes();
    MUST(talks(&c[0], 1) != talks(&c[1], 2));
    goes(&c[0]);
    goes(&c[1]);
    over();
}

/* ------------------------------------------------------------------ waiting for any of several */

/* Opens both ends of a channel in this process. */
static void pair(struct ipc_channel *in, struct ipc_channel *out, const char *format,
                 const char *what)
{
    unsigned listen = strncmp(format, "file", 4) == 0 ? IPC_SEND : IPC_RECV;
    struct ipc_channel *first = listen == IPC_SEND ? out : in;
    struct ipc_channel *second = listen == IPC_SEND ? in : out;
    char at[200];
    int rc;

    (void)snprintf(at, sizeof at, format, what);
    rc = ipc_channel_open(first, at, listen | IPC_LISTEN, IPC_NOW);
    must_(rc == 0, at, ipc_channel_why(first), __FILE__, __LINE__);
    rc = ipc_channel_open(second, at, listen ^ IPC_BOTH, IPC_NOW);
    must_(rc == 0 || rc == -ETIMEDOUT, at, ipc_channel_why(second), __FILE__, __LINE__);
    if (listen == IPC_RECV) /* sockets greet each other before the first message */
        IS(ipc_channel_recv(in, text, sizeof text, IPC_NOW), -ETIMEDOUT);
}

/* Nothing is at the channels until the deadline. One may look as if (a ring asks for deaths), but
 * then recv finds nothing. */
static void is_quiet(struct ipc_channel *const all[], unsigned n, int64_t deadline)
{
    int found;

    while ((found = ipc_channel_wait_any(all, n, deadline)) >= 0)
        IS(ipc_channel_recv(all[found], text, sizeof text, IPC_NOW), -ETIMEDOUT);
    IS(found, -ETIMEDOUT);
}

static void any_of_several_mechanisms_is_waited_for(void **state)
{
    static const char *const kinds[] = {
        "unix:/dev/shm/%s-1", "unix-seq:/dev/shm/%s-2", "unix-dgram:/dev/shm/%s-3", "mq:%s",
        "fifo:/dev/shm/%s-5", "file:/dev/shm/%s-6",  "ring:%s-7",
    };
    enum { N = sizeof kinds / sizeof *kinds };
    struct ipc_channel in[N], out[N], *all[N];
    char at[200];
    int i, k, found;

    (void)state;
    choose(&rows[0]);
    for (i = 0; i < N; i++) {
        pair(&in[i], &out[i], kinds[i], name);
        all[i] = &in[i];
    }
    for (k = 0; k < 3; k++)
        for (i = 0; i < N; i++) {
            IS(ipc_channel_send(&out[i], "any", 3, SOON), 0);
            IS(ipc_channel_send(&out[i], "more", 4, SOON), 0);
            /* A client, or a look at a file, is no message yet. */
            while ((found = ipc_channel_wait_any(all, N, SOON)) != i ||
                   ipc_channel_recv(&in[i], text, sizeof text, IPC_NOW) != 3)
                IS(ipc_channel_recv(&in[found], text, sizeof text, IPC_NOW), -ETIMEDOUT);
            while ((found = ipc_channel_wait_any(all, N, SOON)) != i) /* it is at hand already */
                IS(ipc_channel_recv(&in[found], text, sizeof text, IPC_NOW), -ETIMEDOUT);
            IS(ipc_channel_recv(&in[i], text, sizeof text, IPC_NOW), 4);
        }
    for (i = 0; i < N; i++)
        IS(ipc_channel_recv(&in[i], text, sizeof text, IPC_NOW), -ETIMEDOUT);
    is_quiet(all, N, ipc_in_ms(30));
    is_quiet(all, N, IPC_NOW);
    for (i = 0; i < N; i++) /* each has its turn */
        IS(ipc_channel_send(&out[i], "turn", 4, SOON), 0);
    for (i = k = 0; i < N; i++) {
        found = ipc_channel_wait_any(all, N, SOON);
        MUST(found >= 0 && (k & 1 << found) == 0);
        k |= 1 << found;
    }
    ipc_channel_close(&out[0]);
    ipc_channel_close(&out[1]);
    for (i = 0; i < N; i++)
        IS(ipc_channel_recv(&in[i], text, sizeof text, SOON), 4);
    for (k = 0; k < 2; k++) {
        while ((found = ipc_channel_wait_any(all, N, SOON)) > 1)
            IS(ipc_channel_recv(&in[found], text, sizeof text, IPC_NOW), -ETIMEDOUT);
        IS(ipc_channel_recv(&in[found], text, sizeof text, IPC_NOW), -EPIPE);
    }
    for (i = 0; i < N; i++) {
        ipc_channel_close(&in[i]);
        ipc_channel_close(&out[i]);
        (void)snprintf(at, sizeof at, kinds[i], name);
        (void)ipc_channel_unlink(at);
    }
}

static void servers_and_others_are_waited_for(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct ipc_channel in, out, *all[2] = {&srv, &in};
        struct child c;
        int found;

        serve();
        pair(&in, &out, "unix-dgram:/dev/shm/%s-d", name);
        IS(ipc_channel_wait_any(all, 2, IPC_NOW), -ETIMEDOUT);
        c = comes();
        bid(&c, SEND, 5);
        do
            IS(ipc_channel_wait_any(all, 2, SOON), 0);
        while (next(IPC_NOW) == -ETIMEDOUT);
        IS(value, 5);
        IS(hear(&c), 0);
        is_quiet(all, 2, IPC_NOW);
        IS(ipc_channel_send(&out, "one", 3, IPC_NOW), 0);
        IS(ipc_channel_wait_any(all, 2, SOON), 1);
        IS(ipc_channel_recv(&in, &value, sizeof value, IPC_NOW), 3);
        goes(&c);
        do
            IS(ipc_channel_wait_any(all, 2, SOON), 0);
        while ((found = (int)next(IPC_NOW)) == -ETIMEDOUT);
        IS(found, -EPIPE);
        IS(ipc_channel_wait_any(all, 0, IPC_NOW), -EINVAL);
        IS(ipc_channel_wait_any(all, 2, -5), -EINVAL);
        all[1] = &out; /* only sends */
        IS(ipc_channel_wait_any(all, 2, IPC_NOW), -EINVAL);
        ipc_channel_close(&in);
        ipc_channel_close(&out);
        over();
    }
}

/* Both sides of auto: in one process cannot agree, so the other one is a process. */
static void a_ring_of_auto_is_waited_for(void **state)
{
    struct ipc_channel in, out, one, *all[2] = {&in, &one};
    struct child c;
    uint64_t v, i;

    (void)state;
    choose(&rows[3]);
    IS(ipc_channel_open(&one, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    pair(&in, &out, "mq:%s", name);
    c = comes();
    for (i = 0; i < 20; i++) {
        bid(&c, SEND, i);
        do
            IS(ipc_channel_wait_any(all, 2, SOON), 1);
        while (ipc_channel_recv(&one, &v, sizeof v, IPC_NOW) == -ETIMEDOUT);
        IS(v, i);
        IS(hear(&c), 0);
        IS(ipc_channel_wait_any(all, 2, IPC_NOW), -ETIMEDOUT);
    }
    IS(ipc_channel_send(&out, "two", 3, IPC_NOW), 0);
    IS(ipc_channel_wait_any(all, 2, SOON), 0);
    IS(ipc_channel_recv(&in, &v, sizeof v, IPC_NOW), 3);
    kill_child(&c);
    IS(ipc_channel_wait_any(all, 2, SOON), 1);
    IS(ipc_channel_recv(&one, &v, sizeof v, IPC_NOW), -EPIPE);
    c = comes(); /* the next client */
    bid(&c, SEND, 9);
    do
        IS(ipc_channel_wait_any(all, 2, SOON), 1);
    while (ipc_channel_recv(&one, &v, sizeof v, IPC_NOW) == -ETIMEDOUT);
    IS(v, 9);
    IS(hear(&c), 0);
    goes(&c);
    ipc_channel_close(&one);
    ipc_channel_close(&in);
    ipc_channel_close(&out);
}

static unsigned inotifies(pid_t pid)
{
    char path[350], what[64];
    unsigned n = 0;
    struct dirent *e;
    DIR *d;

    (void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    d = opendir(path);
    MUST(d != NULL);
    while ((e = readdir(d)) != NULL) {
        ssize_t size;

        (void)snprintf(path, sizeof path, "/proc/%ld/fd/%s", (long)pid, e->d_name);
        size = readlink(path, what, sizeof what - 1);
        what[size > 0 ? size : 0] = '\0';
        n += strstr(what, "inotify") != NULL;
    }
    (void)closedir(d);
    return n;
}

static void asks_and_sleeps(struct child *up, void *arg)
{
    struct ipc_channel client;
    uint64_t v = 5;
    int64_t rc;

    (void)arg;
    IS(ipc_channel_open(&client, uri, IPC_BOTH, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_send(&client, &v, sizeof v, ipc_in_ms(LONG_MS)), 0);
    do {
        rc = ipc_channel_recv(&client, &v, sizeof v, IPC_FOREVER);
        tell(up, (uint64_t)rc);
    } while (rc >= 0);
    ipc_channel_close(&client);
}

/* A user has few inotify instances, and what one of auto: waits for its socket tells. */
static void a_client_of_auto_sleeps_at_its_socket(void **state)
{
    struct ipc_channel one;
    struct child c;
    uint64_t v, i;

    (void)state;
    choose(&rows[3]);
    IS(ipc_channel_open(&one, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    c = spawn(asks_and_sleeps, NULL);
    IS(ipc_channel_recv(&one, &v, sizeof v, SOON), sizeof v);
    for (i = 0; i < 30; i++) {
        EVENTUALLY((ck_pr_load_32(&one.ring->out_data.at->word) & IPC_NOTIFY_ARMED_) != 0 &&
                   rests(c.pid));
        IS(ipc_channel_send(&one, &v, sizeof v, IPC_NOW), 0);
        IS(hear(&c), sizeof v);
    }
    EVENTUALLY((ck_pr_load_32(&one.ring->out_data.at->word) & IPC_NOTIFY_ARMED_) != 0 &&
               rests(c.pid));
    IS(inotifies(c.pid), 0);
    ipc_channel_close(&one);
    IS((int64_t)hear(&c), -EPIPE);
    finish(&c);
}

/* A client whose server is gone is waited for until there is the next server. */
static void the_next_listener_is_waited_for(void **state)
{
    struct ipc_channel client, *all[1] = {&client};
    uint64_t v = 7;

    (void)state;
    choose(&rows[0]);
    serve();
    IS(ipc_channel_open(&client, uri, IPC_BOTH, IPC_NOW), 0);
    ipc_channel_close(&srv);
    IS(ipc_channel_wait_any(all, 1, SOON), 0);
    IS(ipc_channel_recv(&client, &v, sizeof v, IPC_NOW), -ETIMEDOUT); /* they had not met yet */
    IS(ipc_channel_wait_any(all, 1, ipc_in_ms(20)), -ETIMEDOUT);
    serve();
    IS(ipc_channel_wait_any(all, 1, ipc_in_ms(150)), -ETIMEDOUT); /* connects by itself */
    IS(next(IPC_NOW), -ETIMEDOUT);                                /* it is taken in */
    IS(ipc_channel_send(&client, &v, sizeof v, IPC_NOW), 0);
    IS(next(SOON), sizeof value);
    IS(ipc_channel_send(&srv, &v, sizeof v, IPC_NOW), 0);
    IS(ipc_channel_wait_any(all, 1, SOON), 0);
    IS(ipc_channel_recv(&client, &v, sizeof v, IPC_NOW), sizeof v);
    ipc_channel_close(&client);
    over();
}

/* A test that failed may have left a queue, and few descriptors. */
static int clean_up_more(void **state)
{
    char queue[200];

    (void)permits_files(500);
    (void)snprintf(queue, sizeof queue, "/%s", name);
    (void)mq_unlink(queue);
    return clean_up(state);
}

#define TEST_MORE(f) cmocka_unit_test_setup_teardown(f, next_name, clean_up_more)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(each_gets_its_own_answer),
        TEST(a_loss_is_told_once_and_a_number_is_used_once),
        TEST(a_client_that_does_not_read_costs_the_others_nothing),
        TEST(what_is_left_goes_out_when_the_client_reads),
        TEST(a_flood_keeps_nobody_out),
        TEST(the_hostile_are_left_and_the_others_stay),
        TEST(a_handshake_that_is_never_finished_costs_nothing),
        TEST(a_message_too_large_for_the_buffer_holds_up_nobody),
        TEST(those_above_the_limit_wait_for_a_place),
        TEST_MORE(without_descriptors_the_listener_stays_and_says_so),
        TEST(a_thousand_clients_are_served_at_once),
        TEST(a_server_that_pauses_loses_nobody),
        TEST(clients_that_are_killed_at_random_cost_the_others_nothing),
        TEST(in_an_event_loop_nothing_is_missed),
        TEST(a_fork_makes_no_server_spin),
        TEST(what_is_no_server_is_refused),
        TEST(a_listener_that_was_handed_over_serves_many),
        TEST_MORE(any_of_several_mechanisms_is_waited_for),
        TEST(servers_and_others_are_waited_for),
        TEST_MORE(a_ring_of_auto_is_waited_for),
        TEST_MORE(a_client_of_auto_sleeps_at_its_socket),
        TEST(the_next_listener_is_waited_for),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
