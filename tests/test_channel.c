/*
 * Channels: first what must hold for every mechanism, tested with each of them and with real
 * processes; then what only one mechanism has.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/time.h>

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 10000 /* longer than any working call takes */
#endif
#define HANG_S 120
#include "harness.h"

/* ------------------------------------------------------------------ the mechanisms */

/* What a mechanism is. */
#define TELLS 1u      /* reports that the other side is gone */
#define FRAMED 2u     /* runs on a stream of bytes */
#define FILLS 4u      /* a sender can find it full */
#define SENDER 8u     /* the sender listens, else the receiver */
#define BINDS 16u     /* a second listener is refused */
#define BOTH 32u      /* both directions */
#define PATH 64u      /* has a file with a mode */
#define KEEPS 128u    /* keeps messages while nobody is attached */
#define ACCEPTS 1024u /* accepts several clients */
#define RING 512u     /* is shared memory */
#define MEETS 256u    /* meets a successor after a peer is gone */

struct row {
    const char *scheme;
    unsigned is;
};

static const struct row rows[] = {
    {"ring", TELLS | FILLS | BOTH | BINDS | PATH | MEETS | KEEPS | RING},
    {"auto", ACCEPTS | TELLS | FILLS | BOTH | BINDS | MEETS | RING},
    {"auto-", ACCEPTS | TELLS | FILLS | BOTH | BINDS | MEETS | RING},
    {"sysvshm", TELLS | FILLS | BOTH | BINDS | PATH | MEETS | KEEPS | RING},
    {"pipe", TELLS | FRAMED | FILLS | BOTH},
    {"fifo", TELLS | FRAMED | FILLS | PATH | MEETS},
    {"unix", ACCEPTS | TELLS | FRAMED | FILLS | BOTH | BINDS | PATH | MEETS},
    {"unix@", ACCEPTS | TELLS | FRAMED | FILLS | BOTH | BINDS | MEETS},
    {"unix-seq", ACCEPTS | TELLS | FILLS | BOTH | BINDS | PATH | MEETS},
    {"unix-dgram", FILLS | BOTH | BINDS | PATH},
    {"tcp", ACCEPTS | TELLS | FRAMED | FILLS | BOTH | BINDS | MEETS},
    {"tcp6", ACCEPTS | TELLS | FRAMED | FILLS | BOTH | BINDS | MEETS},
    {"udp", BOTH | BINDS},
    {"udp6", BOTH | BINDS},
    {"mq", FILLS | PATH | KEEPS},
    {"sysv", FILLS | PATH | KEEPS},
    {"file", SENDER | PATH | KEEPS | BINDS},
    {"signal", FILLS | KEEPS},
};

static const struct row *row;
static char uri[200];
static struct ipc_channel ch;
static unsigned fds_before;
static char *scratch; /* 2 MB */

#define NAMED(what) (strcmp(row->scheme, what) == 0)

/* A number of this test's own, for mechanisms without names. */
static uint32_t number_of(const char *text)
{
    uint32_t h = 2166136261u;

    while (*text != '\0')
        h = (h ^ (unsigned char)*text++) * 16777619u;
    return (h & 0x7fffffff) | 1;
}

static int free_port(int family)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;
    socklen_t size = sizeof a;
    int fd = socket(family, SOCK_STREAM, 0);

    memset(&a, 0, sizeof a);
    a.any.sa_family = (sa_family_t)family;
    MUST(fd >= 0 && bind(fd, &a.any, sizeof a) == 0 && getsockname(fd, &a.any, &size) == 0);
    (void)close(fd);
    return ntohs(family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
}

/* Makes this test's URI for this row. */
static void choose(const struct row *r)
{
    struct rlimit small = {100000, RLIM_INFINITY};

    row = r;
    next_name(NULL);
    /* No segment is that small, so the channel stays on the socket. */
    small.rlim_cur = NAMED("auto-") ? small.rlim_cur : RLIM_INFINITY;
    MUST(setrlimit(RLIMIT_FSIZE, &small) == 0);
    if (NAMED("unix@"))
        (void)snprintf(uri, sizeof uri, "unix:@%s", name);
    else if (NAMED("tcp6") || NAMED("udp6"))
        (void)snprintf(uri, sizeof uri, "%.3s:[::1]:%d", row->scheme, free_port(AF_INET6));
    else if (NAMED("tcp") || NAMED("udp"))
        (void)snprintf(uri, sizeof uri, "%s:127.0.0.1:%d", row->scheme, free_port(AF_INET));
    else if (NAMED("mq"))
        (void)snprintf(uri, sizeof uri, "mq:%s", name);
    else if (NAMED("sysv") || NAMED("sysvshm"))
        (void)snprintf(uri, sizeof uri, "%s:%u", row->scheme, number_of(name));
    else if (NAMED("signal"))
        (void)snprintf(uri, sizeof uri, "signal:%ld", (long)getpid());
    else if (NAMED("pipe"))
        (void)snprintf(uri, sizeof uri, "pipe:");
    else if (NAMED("auto") || NAMED("auto-"))
        (void)snprintf(uri, sizeof uri, "auto:%s", name);
    else if (NAMED("ring"))
        (void)snprintf(uri, sizeof uri, "ring:%s", name);
    else
        (void)snprintf(uri, sizeof uri, "%s:/dev/shm/%s", row->scheme, name);
}

static const struct row *row_of(const char *scheme)
{
    const struct row *r = rows;

    while (strcmp(r->scheme, scheme) != 0)
        r++;
    return r;
}

#define EACH_ROW(with)                                                                             \
    for (size_t at_ = 0; at_ < sizeof rows / sizeof *rows; at_++)                                  \
        if ((rows[at_].is & (with)) == (with) && (choose(&rows[at_]), 1))

static unsigned listens(unsigned role)
{
    unsigned who = (row->is & SENDER) != 0 ? IPC_SEND : IPC_RECV;

    return role | ((role & who) != 0 ? IPC_LISTEN : 0u);
}

static void open_as(unsigned role)
{
    int rc;

    if (NAMED("pipe") && in_child) /* inherited by fork */
        return;
    rc = ipc_channel_open(&ch, uri, role, ipc_in_ms(LONG_MS));
    must_(rc == 0, uri, ipc_channel_why(&ch), __FILE__, __LINE__);
}

static void over(void)
{
    ipc_channel_close(&ch);
    (void)ipc_channel_unlink(uri);
}

static size_t largest(void)
{
    struct ipc_channel_facts facts;

    IS(ipc_channel_info(&ch, &facts), 0);
    return facts.max < 300000 ? facts.max : 300000;
}

static size_t next_length(void)
{
    struct ipc_channel_facts facts;

    IS(ipc_channel_info(&ch, &facts), 0);
    return facts.next;
}

static const char *becomes(void)
{
    struct ipc_channel_facts facts;

    IS(ipc_channel_info(&ch, &facts), 0);
    return facts.mechanism;
}

/* ------------------------------------------------------------------ messages */

static size_t length_of(uint64_t i, size_t most)
{
    uint64_t h = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

    if (i == 1 || i == 3)
        return most;
    if (i % 5 == 0)
        return 0;
    return (size_t)((h >> 33) % ((i % 7 == 0 ? most : most < 200 ? most : 200) + 1));
}

static void fill(char *to, uint64_t i, size_t n)
{
    size_t k;

    for (k = 0; k < n; k++)
        to[k] = (char)(i * 31 + k * 7 + (k >> 8));
}

static void send_one(uint64_t i, size_t n)
{
    int rc;

    fill(scratch, i, n);
    rc = ipc_channel_send(&ch, scratch, n, ipc_in_ms(LONG_MS));
    must_(rc == 0, uri, ipc_channel_why(&ch), __FILE__, __LINE__);
}

static void check_one(uint64_t i, size_t n, int64_t got)
{
    static char want[1 << 20];

    is_(got, (int64_t)n, uri, __FILE__, __LINE__);
    fill(want, i, n);
    must_(memcmp(scratch, want, n) == 0, uri, "another message", __FILE__, __LINE__);
}

static void recv_one(uint64_t i, size_t n)
{
    check_one(i, n, ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS)));
}

#define LOSES() (strncmp(row->scheme, "udp", 3) == 0)

/* Checks that a message of 8 bytes is number i, or a later one where some may be lost. Returns the
 * number of the next. */
static uint64_t check_next(uint64_t i, int64_t got)
{
    while (LOSES() && scratch[0] != (char)(i * 31))
        i++;
    check_one(i, 8, got);
    return i + 1;
}

/* The listener meets a client of this process, which has connected: they have greeted each other
 * then. */
static void meets(struct ipc_channel *listener)
{
    char byte;

    EVENTUALLY(ipc_channel_recv(listener, &byte, 1, IPC_NOW) == -ETIMEDOUT && listener->in >= 0);
}

/* ------------------------------------------------------------------ over every mechanism */

enum { MANY = 300 };

static void sends_many(struct child *up, void *arg)
{
    uint64_t i, most;

    (void)arg;
    open_as(listens(IPC_SEND));
    most = hear(up); /* the receiver is there */
    for (i = 0; i < MANY; i++) {
        send_one(i, length_of(i, most));
        if (i % 4 == 3)
            (void)hear(up); /* udp: loses messages that come too fast */
    }
    IS(ipc_channel_flush(&ch, ipc_in_ms(LONG_MS)), 0);
    (void)hear(up);
}

static void messages_come_out_as_they_went_in(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c;
        uint64_t i;
        size_t most;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_many, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        most = largest();
        tell(&c, most);
        for (i = 0; i < MANY; i++) {
            recv_one(i, length_of(i, most));
            if (i % 4 == 3)
                tell(&c, 0);
        }
        tell(&c, 0);
        finish(&c);
        over();
    }
}

static void asks(struct child *up, void *arg)
{
    uint64_t i;

    (void)arg;
    open_as(IPC_BOTH);
    for (i = 0; i < 100; i++) {
        send_one(i, i);
        recv_one(i + 1, 2 * i);
    }
    tell(up, 1);
    (void)hear(up);
}

static void both_directions_work_where_there_are_two(void **state)
{
    (void)state;
    EACH_ROW(BOTH)
    {
        struct child c;
        uint64_t i;

        open_as(IPC_BOTH | IPC_LISTEN);
        c = spawn(asks, NULL);
        for (i = 0; i < 100; i++) {
            recv_one(i, i);
            send_one(i + 1, 2 * i);
        }
        (void)hear(&c);
        tell(&c, 0);
        finish(&c);
        over();
    }
    EACH_ROW(0)
    {
        if ((row->is & BOTH) != 0)
            continue;
        IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), -EOPNOTSUPP);
        MUST(strstr(ipc_channel_why(&ch), "direction") != NULL);
    }
}

static void sends_sizes(struct child *up, void *arg)
{
    size_t most;

    (void)arg;
    open_as(listens(IPC_SEND));
    most = hear(up);
    fill(scratch, 0, most + 1);
    IS(ipc_channel_send(&ch, scratch, most + 1, ipc_in_ms(LONG_MS)), -EMSGSIZE);
    send_one(1, most);
    send_one(2, 3 < most ? 3 : most);
    (void)hear(up);
}

static void what_is_too_large_is_refused_and_nothing_lost(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct ipc_channel_facts facts;
        struct child c;
        size_t most;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_sizes, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        IS(ipc_channel_info(&ch, &facts), 0);
        most = facts.max;
        tell(&c, most);
        IS(ipc_channel_recv(&ch, scratch, 0, ipc_in_ms(LONG_MS)), -EMSGSIZE);
        IS(ipc_channel_recv(&ch, scratch, most - 1, ipc_in_ms(LONG_MS)), -EMSGSIZE);
        MUST(NAMED("sysv") || next_length() == most);
        recv_one(1, most);
        IS(next_length(), 0);
        recv_one(2, 3 < most ? 3 : most);
        IS(ipc_channel_recv(&ch, scratch, most, IPC_NOW), -ETIMEDOUT);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

/* Sends until there is no room and reports how many. Then, on order, flushes and sends one more. */
static void fills(struct child *up, void *arg)
{
    size_t n = (size_t)(uintptr_t)arg;
    uint64_t i = 0;
    int64_t began;
    int rc;

    open_as(listens(IPC_SEND));
    (void)hear(up);
    send_one(i++, n); /* so that the two sides have met */
    do {
        fill(scratch, i, n);
        began = ipc_clock();
        rc = ipc_channel_send(&ch, scratch, n, ipc_in_ms(20));
    } while (rc == 0 && ++i < 1000000);
    IS(rc, -ETIMEDOUT);
    MUST(ipc_clock() - began >= 20000000);
    do /* tcp: for a while it makes room by itself */
        fill(scratch, i, n);
    while ((rc = ipc_channel_send(&ch, scratch, n, IPC_NOW)) == 0 && ++i < 1000000);
    IS(rc, -ETIMEDOUT);
    tell(up, i);
    (void)hear(up);
    IS(ipc_channel_flush(&ch, ipc_in_ms(LONG_MS)), 0);
    send_one(i, n);
    (void)hear(up);
}

static void who_waits_is_told_of_the_deadline(void **state)
{
    static const size_t sizes[] = {8, 5000, 300000};
    struct rlimit few = {100, 100}, before;
    size_t k;

    (void)state;
    IS(getrlimit(RLIMIT_SIGPENDING, &before), 0);
    few.rlim_max = before.rlim_max;
    IS(setrlimit(RLIMIT_SIGPENDING, &few), 0); /* for signal: */
    for (k = 0; k < 3; k++)
        EACH_ROW(FILLS)
        {
            struct ipc_channel_facts facts;
            struct child c;
            uint64_t i, count;
            int64_t began;

            open_as(listens(IPC_RECV));
            IS(ipc_channel_info(&ch, &facts), 0);
            if (sizes[k] > facts.max) {
                over();
                continue;
            }
            c = spawn(fills, (void *)(uintptr_t)sizes[k]);
            IS(ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
            began = ipc_clock();
            IS(ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(20)), -ETIMEDOUT);
            MUST(ipc_clock() - began >= 20000000);
            tell(&c, 0);
            recv_one(0, sizes[k]);
            count = hear(&c);
            MUST(count > 1);
            tell(&c, 0);
            for (i = 1; i <= count; i++)
                recv_one(i, sizes[k]);
            IS(ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
            tell(&c, 0);
            finish(&c);
            over();
        }
    IS(setrlimit(RLIMIT_SIGPENDING, &before), 0);
}

/* The error that reports the end of the other side. */
static int gone(int killed)
{
    return killed && (NAMED("ring") || NAMED("sysvshm")) ? -EOWNERDEAD : -EPIPE;
}

static void sends_three(struct child *up, void *arg)
{
    uint64_t i;

    open_as(listens(IPC_SEND));
    for (i = 0; i < 3; i++)
        send_one(i, 10);
    tell(up, 3);
    if (arg != NULL)
        wait_for_death();
    ipc_channel_close(&ch);
}

static void end_of_the_other_side_is_told_after_all_it_sent(void **state)
{
    int killed, again;
    uint64_t i;

    (void)state;
    for (killed = 0; killed < 2; killed++)
        EACH_ROW(TELLS)
        {
            open_as(listens(IPC_RECV));
            for (again = 0; again < 3; again++) {
                struct child c = spawn(sends_three, killed ? &killed : NULL);

                for (i = 0; i < 3; i++)
                    recv_one(i, 10);
                (void)hear(&c);
                if (killed)
                    kill_child(&c);
                else
                    finish(&c);
                IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), gone(killed));
                if ((row->is & MEETS) == 0)
                    break;
                IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT);
            }
            over();
        }
}

static void receives_one(struct child *up, void *arg)
{
    (void)arg;
    open_as(listens(IPC_RECV));
    recv_one(0, 10);
    tell(up, 1);
    wait_for_death();
}

/* SIGPIPE has its default action, so it would kill the test. */
static void sender_is_told_that_nobody_is_left_and_gets_no_signal(void **state)
{
    (void)state;
    EACH_ROW(TELLS)
    {
        struct child c;
        int64_t until = ipc_in_ms(LONG_MS);
        sigset_t pending;
        int rc, mask;

        /* The child receives and therefore listens; but a pipe is opened before the fork. */
        if (NAMED("pipe"))
            open_as(IPC_SEND);
        c = spawn(receives_one, NULL);
        if (!NAMED("pipe"))
            open_as(listens(IPC_SEND));
        for (mask = 0; mask < 2; mask++) {
            ch.flags |= mask ? IPC_CHANNEL_MASK_ : 0u; /* as on an old kernel */
            send_one(0, 10);
            (void)hear(&c);
            kill_child(&c);
            do
                rc = ipc_channel_send(&ch, scratch, 10, ipc_in_ms(LONG_MS));
            while (rc == 0 && ipc_left_(until) > 0); /* tcp: the first one gets out */
            IS(rc, gone(1));
            MUST(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 0);
            MUST(sigprocmask(SIG_BLOCK, NULL, &pending) == 0 && !sigismember(&pending, SIGPIPE));
            if (mask || (row->is & MEETS) == 0 || (row->is & RING) != 0) /* rings keep messages */
                break;
            c = spawn(receives_one, NULL); /* a successor */
        }
        if ((row->is & MEETS) == 0)
            IS(ipc_channel_send(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
        over();
    }
}

static void sends_until_gone(struct child *up, void *arg)
{
    struct sigaction now;
    int rc;

    open_as(listens(IPC_SEND));
    send_one(0, 10);
    send_one(1, 20000);
    (void)hear(up);
    while ((rc = ipc_channel_send(&ch, scratch, 10, ipc_in_ms(LONG_MS))) == 0)
        ; /* tcp: the first one gets out */
    is_(rc, -EPIPE, uri, __FILE__, __LINE__);
    MUST(sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == (arg ? SIG_IGN : SIG_DFL));
}

static void host_may_ignore_broken_pipes_or_not(void **state)
{
    int ignores;

    (void)state;
    for (ignores = 0; ignores < 2; ignores++)
        EACH_ROW(FRAMED)
        {
            struct child c;

            (void)signal(SIGPIPE, ignores ? SIG_IGN : SIG_DFL);
            if (NAMED("pipe")) /* else the child would have our end too */
                open_as(IPC_RECV);
            c = spawn(sends_until_gone, ignores ? &ignores : NULL);
            if (!NAMED("pipe"))
                open_as(listens(IPC_RECV));
            recv_one(0, 10);
            recv_one(1, 20000);
            over();
            tell(&c, 0);
            finish(&c);
        }
    (void)signal(SIGPIPE, SIG_DFL);
}

static void begins_and_asks(struct child *up, void *arg)
{
    struct ipc_channel_facts facts;
    uint64_t i = 0;

    (void)arg;
    open_as(IPC_BOTH);
    send_one(0, 8);
    do { /* until a message is sent in part */
        fill(scratch, ++i, 300000);
        IS(ipc_channel_send(&ch, scratch, 300000, IPC_NOW), 0);
        IS(ipc_channel_info(&ch, &facts), 0);
    } while (facts.pending == 0);
    tell(up, i);
    recv_one(1, 8);
    IS(ipc_channel_info(&ch, &facts), 0);
    IS(facts.pending, 0);
    (void)hear(up);
}

static void what_a_deadline_cut_off_goes_out_while_we_wait_for_answers(void **state)
{
    (void)state;
    EACH_ROW(FRAMED | BOTH)
    {
        struct child c;
        uint64_t i, n;

        open_as(IPC_BOTH | IPC_LISTEN);
        c = spawn(begins_and_asks, NULL);
        recv_one(0, 8);
        n = hear(&c);
        for (i = 1; i <= n; i++)
            recv_one(i, 300000);
        send_one(1, 8);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

static void begins_one(struct child *up, void *arg)
{
    uint64_t i = 0;

    (void)arg;
    open_as(listens(IPC_SEND));
    send_one(7, 5);
    fill(scratch, 0, 300000);
    while (ipc_channel_send(&ch, scratch, 300000, IPC_NOW) == 0)
        i++;
    tell(up, i);
    wait_for_death();
}

static void death_in_the_middle_of_a_message_is_told(void **state)
{
    (void)state;
    EACH_ROW(FRAMED)
    {
        struct child c;
        uint64_t whole, i;

        open_as(listens(IPC_RECV));
        c = spawn(begins_one, NULL);
        recv_one(7, 5);
        whole = hear(&c);
        MUST(whole > 0);
        kill_child(&c);
        for (i = 0; i < whole - 1; i++)
            check_one(0, 300000, ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS)));
        IS(ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
        over();
    }
}

static void sends_until_told(struct child *up, void *arg)
{
    struct pollfd p = {up->from, POLLIN, 0};
    uint64_t i = 0;

    (void)arg;
    open_as(listens(IPC_SEND));
    while (poll(&p, 1, 0) == 0) {
        fill(scratch, i, 8);
        i += ipc_channel_send(&ch, scratch, 8, ipc_in_ms(10)) == 0;
    }
    (void)hear(up);
    tell(up, i);
    (void)hear(up);
    (void)hear(up);
}

static void stopped_peer_costs_what_it_holds_and_nothing_else(void **state)
{
    int times;

    (void)state;
    EACH_ROW(0)
    {
        struct child c;
        uint64_t i = 0, count;
        int64_t got = 0;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_until_told, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        for (times = 0; times < 5; times++) {
            i = check_next(i, ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)));
            stop_child(&c);
            while ((got = ipc_channel_recv(&ch, scratch, 8, IPC_NOW)) >= 0)
                i = check_next(i, got);
            IS(got, -ETIMEDOUT);
            signal_child(&c, SIGCONT);
        }
        tell(&c, 0);
        while ((got = ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(100))) >= 0)
            i = check_next(i, got);
        count = hear(&c);
        while (i < count && !LOSES())
            recv_one(i++, 8);
        MUST(LOSES() ? i <= count : i == count);
        tell(&c, 0);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

static void sleeps_for_one(struct child *up, void *arg)
{
    (void)up;
    open_as(listens(IPC_RECV));
    check_one(7, 5, ipc_channel_recv(&ch, scratch, 10, arg ? IPC_FOREVER : ipc_in_ms(LONG_MS)));
}

/* Only a signal handler interrupts a call. */
static void receiver_that_was_stopped_in_its_sleep_sleeps_on(void **state)
{
    int forever;

    (void)state;
    for (forever = 0; forever < 2; forever++)
        EACH_ROW(0)
        {
            struct child c;

            if (NAMED("signal")) /* only the process of the address receives */
                continue;
            if (NAMED("pipe"))
                open_as(IPC_SEND);
            c = spawn(sleeps_for_one, forever ? &forever : NULL);
            if (!NAMED("pipe"))
                open_as(listens(IPC_SEND));
            EVENTUALLY(rests(c.pid));
            stop_child(&c);
            signal_child(&c, SIGCONT);
            EVENTUALLY(rests(c.pid)); /* else the message could come before the call goes on */
            send_one(7, 5);
            finish(&c);
            over();
        }
}

static void comes_first(struct child *up, void *arg)
{
    int listener = *(int *)arg;
    unsigned role = listens(IPC_RECV) & IPC_LISTEN ? IPC_SEND : IPC_RECV;

    role = listener ? role ^ IPC_BOTH : role;
    open_as(listens(role));
    tell(up, 1);
    if (role == IPC_SEND)
        send_one(7, 5);
    else
        recv_one(7, 5);
    (void)hear(up);
}

static void either_side_may_start_first(void **state)
{
    int listener;

    (void)state;
    for (listener = 0; listener < 2; listener++)
        EACH_ROW(0)
        {
            struct child c;
            unsigned role;

            if (NAMED("pipe") || NAMED("signal") || LOSES())
                continue; /* nobody waits there */
            c = spawn(comes_first, &listener);
            if (listener)
                (void)hear(&c);
            else
                EVENTUALLY(rests(c.pid));
            role = (row->is & SENDER ? IPC_SEND : IPC_RECV);
            role = listener ? role ^ IPC_BOTH : role;
            open_as(listens(role));
            if (!listener)
                (void)hear(&c);
            if (role == IPC_SEND)
                send_one(7, 5);
            else
                recv_one(7, 5);
            tell(&c, 0);
            finish(&c);
            over();
        }
    EACH_ROW(0)
    { /* nor does open wait for ever */
        if (NAMED("pipe") || NAMED("signal") || LOSES())
            continue;
        IS(ipc_channel_open(&ch, uri, (row->is & SENDER ? IPC_RECV : IPC_SEND), ipc_in_ms(5)),
           -ETIMEDOUT);
        MUST(*ipc_channel_why(&ch) != '\0');
        IS(ipc_channel_send(&ch, scratch, 1, IPC_NOW), -EINVAL);
        IS(ipc_channel_recv(&ch, scratch, 1, IPC_NOW), -EINVAL);
        IS(ipc_channel_fd(&ch), -EINVAL);
        ipc_channel_close(&ch);
    }
}

static void joins(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_BOTH);
    (void)hear(up);
}

/* The program decides the kind of a bell; memory that says another kind is refused. */
static void is_refused(struct child *up, void *arg)
{
    (void)up, (void)arg;
    IS(ipc_channel_open(&ch, uri, IPC_BOTH, ipc_in_ms(LONG_MS)), -EPROTO);
    MUST(strstr(ipc_channel_why(&ch), "bell") != NULL);
}

static void ring_with_a_bell_of_another_kind_is_refused(void **state)
{
    unsigned bell, kind;

    (void)state;
    EACH_ROW(0)
    {
        struct ipc_notify *all[4];

        if (!NAMED("ring") && !NAMED("sysvshm"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        all[0] = &ch.ring->data;
        all[1] = &ch.ring->space;
        all[2] = &ch.ring->out_data;
        all[3] = &ch.ring->out_space;
        for (bell = 0; bell < 4; bell++)
            for (kind = IPC_NOTIFY_SEMAPHORE; kind <= IPC_NOTIFY_SIGNAL; kind++) {
                ck_pr_store_32(&all[bell]->at->kind, kind);
                IS(run(is_refused, NULL), 0);
                ck_pr_store_32(&all[bell]->at->kind, IPC_NOTIFY_FUTEX);
            }
        over();
    }
}

/* Channels over rings wait while each look rewrites the holder of the other end. */
static uint64_t flipped;

static int flip_holder(void *handle, void *argument)
{
    (void)argument;
    ((struct ipc_channel_try_ *)handle)->rc = -EAGAIN;
    flipped += 2;
    return flipped > 2000000;
}

static int waits_for_a_flipped_holder(int64_t deadline)
{
    struct ipc_channel_try_ t = {&ch, NULL, NULL, 0, 0, 0};
    uint64_t other = 0;

    flipped = 1;
    ipc_channel_try_until_(&t, &ch.ring->data, &flipped, &other, deadline, flip_holder);
    return (int)t.rc;
}

static void holder_that_changes_with_each_look_stretches_no_deadline(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        int64_t deadline;

        if (!NAMED("ring") && !NAMED("sysvshm"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        deadline = ipc_in_ms(1);
        IS(waits_for_a_flipped_holder(deadline), -ETIMEDOUT);
        MUST(ipc_left_(deadline) == 0);
        IS(waits_for_a_flipped_holder(IPC_NOW), -ETIMEDOUT);
        over();
    }
}

/* One of the segment's two rings is made already, the other not yet. */
static void half_made_rings_are_waited_for(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct ipc_spsc_shared *from;
        struct child c;
        uint64_t magic;

        if (!NAMED("sysvshm"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        from = ch.ring->out.ring;
        magic = ck_pr_load_64(&from->is.magic);
        ck_pr_store_64(&from->is.magic, 0);
        c = spawn(joins, NULL);
        EVENTUALLY(rests(c.pid) && ck_pr_load_64(&ch.ring->in.ring->end[0]) == 0);
        ck_pr_store_64(&from->is.magic, magic);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

static void listens_until_killed(struct child *up, void *arg)
{
    (void)arg;
    open_as((row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN);
    tell(up, 1);
    wait_for_death();
}

static void what_a_killed_listener_left_is_taken_over(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c;

        if (NAMED("pipe") || NAMED("signal"))
            continue;
        c = spawn(listens_until_killed, NULL);
        (void)hear(&c);
        if ((row->is & BINDS) != 0) { /* a live listener is never replaced */
            int rc = ipc_channel_open(
                &ch, uri, (row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN, IPC_NOW);

            is_(rc, NAMED("file") ? -EBUSY : -EADDRINUSE, uri, __FILE__, __LINE__);
            open_as(row->is & SENDER ? IPC_RECV : IPC_SEND);
            ipc_channel_close(&ch);
        }
        kill_child(&c);
        open_as((row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN);
        c = spawn(comes_first, &(int){0});
        if (row->is & SENDER)
            send_one(7, 5);
        else
            recv_one(7, 5);
        tell(&c, 0);
        finish(&c);
        over();
        if ((row->is & PATH) != 0 && !NAMED("mq") && !NAMED("sysv"))
            IS(access(strchr(uri, ':') + 1, F_OK), -1);
    }
}

static void is_nobody(struct child *up, void *arg)
{
    int rc;

    (void)arg;
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    rc = ipc_channel_open(&ch, uri, (row->is & SENDER ? IPC_RECV : IPC_SEND), ipc_in_ms(50));
    tell(up, (uint64_t)(int64_t)rc);
    ipc_channel_close(&ch);
    if (NAMED("unix@")) { /* only its user id speaks against it; the listener drops it */
        IS(rc, 0);
        return;
    }
    is_(rc, -EACCES, uri, __FILE__, __LINE__);
    /* Nor is what it makes itself taken for ours. */
}

static void strangers_are_refused(void **state)
{
    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be somebody else");
    EACH_ROW(0)
    {
        struct child c;
        struct stat st;
        mode_t mask = umask(077);
        struct ipc_channel_options how;

        if ((row->is & PATH) == 0 && !NAMED("unix@")) {
            (void)umask(mask);
            continue;
        }
        memset(&how, 0, sizeof how);
        open_as((row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN);
        c = spawn(is_nobody, NULL);
        (void)hear(&c);
        if (NAMED("unix@")) {
            struct ipc_channel_facts facts;

            IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(20)), -ETIMEDOUT);
            IS(ipc_channel_info(&ch, &facts), 0);
            IS(facts.pid, 0); /* no peer yet */
        }
        finish(&c);
        over();
        (void)umask(0777);
        how.mode = NAMED("unix@") ? 0 : 0620;
        IS(ipc_channel_open_with(&ch, uri, (row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN,
                                 IPC_NOW, &how),
           0);
        (void)umask(mask);
        if (!NAMED("mq") && !NAMED("sysv") && !NAMED("unix@") && !(row->is & RING)) {
            IS(stat(strchr(uri, ':') + 1, &st), 0);
            IS(st.st_mode & 0777, 0620);
        }
        if (!NAMED("unix@") && !NAMED("unix") && !NAMED("unix-seq") && !NAMED("unix-dgram")) {
            struct ipc_channel other; /* a client that asked for less gets no more */

            IS(ipc_channel_open(&other, uri, (row->is & SENDER ? IPC_RECV : IPC_SEND), IPC_NOW),
               -EACCES);
        }
        over();
    }
}

struct door {
    const char *uri;
    int accepts; /* with ipc_channel_accept, not recv */
};

static void waits_for_ever(struct child *up, void *arg)
{
    const struct door *d = (const struct door *)arg;
    struct ipc_channel one;

    IS(ipc_channel_open(&ch, d->uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    tell(up, 1);
    if (d->accepts)
        (void)ipc_channel_accept(&ch, &one, IPC_FOREVER);
    else
        (void)ipc_channel_recv(&ch, scratch, 10, IPC_FOREVER);
    MUST(!"somebody was let in");
}

static void comes_as_nobody(struct child *up, void *arg)
{
    const struct door *d = (const struct door *)arg;

    (void)up;
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    IS(ipc_channel_open(&ch, d->uri, IPC_BOTH, ipc_in_ms(LONG_MS)), 0);
    is_(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE, d->uri, __FILE__, __LINE__);
}

/* A refused client is left at once, not when the next one comes or at the deadline. */
static void refused_stranger_is_left_at_once(void **state)
{
    static const char *const forms[] = {"unix:@%s", "unix-seq:@%s", "auto:%s"};
    size_t i;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be somebody else");
    for (i = 0; i < 6; i++) {
        struct door d = {uri, i % 2};
        struct child c;

        next_name(NULL);
        (void)snprintf(uri, sizeof uri, forms[i / 2], name);
        c = spawn(waits_for_ever, &d);
        (void)hear(&c);
        IS(run(comes_as_nobody, &d), 0);
        kill_child(&c);
    }
}

static void has_no_descriptors(struct child *up, void *arg)
{
    struct rlimit none = {0, 0};

    (void)up, (void)arg;
    none.rlim_cur = none.rlim_max = (rlim_t)dup(0); /* the first free one */
    (void)close((int)none.rlim_cur);
    IS(setrlimit(RLIMIT_NOFILE, &none), 0);
    IS(ipc_channel_open(&ch, uri, (row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN, IPC_NOW),
       -EMFILE);
    MUST(strstr(ipc_channel_why(&ch), "Too many open files") != NULL);
}

static void has_no_queues(struct child *up, void *arg)
{
    struct rlimit none = {100, 100};

    (void)up, (void)arg;
    IS(setrlimit(RLIMIT_MSGQUEUE, &none), 0);
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EMFILE);
    MUST(strstr(ipc_channel_why(&ch), "ulimit -q") != NULL);
}

/* Descriptors run out after the listener is open and before it can accept. */
static void accepts_without_descriptors(struct child *up, void *arg)
{
    struct rlimit few = {0, 100};
    struct ipc_channel client;
    int left;

    (void)up, (void)arg;
    open_as(IPC_BOTH | IPC_LISTEN);
    for (left = 0; left < 2; left++) {
        IS(ipc_channel_open(&client, uri, IPC_BOTH, ipc_in_ms(LONG_MS)), 0);
        few.rlim_cur = (rlim_t)dup(0);
        (void)close((int)few.rlim_cur);
        few.rlim_cur += (rlim_t)left;
        IS(setrlimit(RLIMIT_NOFILE, &few), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), left ? -ETIMEDOUT : -EMFILE);
        few.rlim_cur = 100;
        IS(ipc_channel_recv(&client, scratch, 10, IPC_NOW), -ETIMEDOUT);
        if (left == 0) { /* the client was not lost */
            IS(setrlimit(RLIMIT_NOFILE, &few), 0);
            IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT);
            IS(ipc_channel_recv(&client, scratch, 10, IPC_NOW), -ETIMEDOUT);
        }
        IS(ipc_channel_send(&client, "x", 1, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 1);
        if (NAMED("auto")) /* no segment without a descriptor */
            MUST(strcmp(becomes(), left ? "unix" : "ring") == 0);
        ipc_channel_close(&client);
        IS(setrlimit(RLIMIT_NOFILE, &few), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
    }
    ipc_channel_close(&ch);
}

static void set_limit(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
        _exit(UNABLE);
    (void)close(fd);
}

static void refused_for(const char *scheme, const char *address, int why, const char *hint)
{
    char full[250];

    (void)snprintf(full, sizeof full, "%s:%s", scheme, address);
    IS(ipc_channel_open(&ch, full, IPC_RECV | IPC_LISTEN, IPC_NOW), why);
    must_(strstr(ipc_channel_why(&ch), hint) != NULL, ipc_channel_why(&ch), hint, __FILE__,
          __LINE__);
}

/* In an IPC namespace of its own, where the kernel allows few queues and little memory. */
static void has_little_of_everything(struct child *up, void *arg)
{
    struct ipc_channel_options how;
    struct ipc_channel out;

    (void)up, (void)arg;
    memset(&how, 0, sizeof how);
    if (unshare(CLONE_NEWIPC) != 0)
        _exit(UNABLE);
    set_limit("/proc/sys/kernel/msgmni", "1");
    set_limit("/proc/sys/kernel/msgmax", "100");
    set_limit("/proc/sys/kernel/msgmnb", "300");
    set_limit("/proc/sys/kernel/shmmni", "1");
    set_limit("/proc/sys/kernel/shmmax", "1000");
    set_limit("/proc/sys/fs/mqueue/queues_max", "1");
    set_limit("/proc/sys/fs/mqueue/msg_default", "2");
    set_limit("/proc/sys/fs/mqueue/msgsize_default", "128");

    how.max = 101;
    IS(ipc_channel_open_with(&ch, "sysv:1", IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EMSGSIZE);
    MUST(strstr(ipc_channel_why(&ch), "kernel.msgmax") != NULL);
    refused_for("sysv", "2", -ENOSPC, "kernel.msgmni");
    IS(ipc_channel_open(&ch, "sysv:1", IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    IS(largest(), 100);
    IS(ipc_channel_open(&out, "sysv:1", IPC_SEND, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 101, IPC_NOW), -EMSGSIZE);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), -ETIMEDOUT);
    IS(ipc_channel_recv(&ch, scratch, 100, IPC_NOW), 100);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
    ipc_channel_close(&out);
    over();

    refused_for("sysvshm", "1", -EINVAL, "Invalid");
    set_limit("/proc/sys/kernel/shmmax", "100000000");
    IS(ipc_channel_open(&out, "sysvshm:1", IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    refused_for("sysvshm", "2", -ENOSPC, "No space");
    ipc_channel_close(&out);

    IS(ipc_channel_open(&out, "mq:one", IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 129, IPC_NOW), -EMSGSIZE);
    IS(ipc_channel_send(&out, scratch, 128, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 128, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 1, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&out);
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    refused_for("mq", "two", -ENOSPC, "queues_max");
}

static void a_deadline_that_is_no_time_is_refused(void **state)
{
    struct ipc_channel ch, client;
    char uri[128], byte;

    (void)state;
    (void)snprintf(uri, sizeof uri, "unix:@%s", prefix);
    IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, 1000), -EINVAL);
    MUST(strstr(ipc_channel_why(&ch), "ipc_in_ms") != NULL);
    IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_recv(&ch, &byte, 1, -1), -EINVAL);
    IS(ipc_channel_send(&ch, &byte, 1, 1000), -EINVAL);
    IS(ipc_channel_flush(&ch, 1000), -EINVAL);
    IS(ipc_channel_accept(&ch, &client, 1000), -EINVAL);
    MUST(strstr(ipc_channel_why(&client), "ipc_in_ms") != NULL);
    ipc_channel_close(&ch);
}

static void limits_are_told(void **state)
{
    int rc;

    (void)state;
    EACH_ROW(ACCEPTS)
    IS(run(accepts_without_descriptors, NULL), 0);
    rc = run(has_little_of_everything, NULL);
    if (rc == UNABLE)
        print_message("note: no limits of our own, to run into\n");
    else
        IS(rc, 0);
    EACH_ROW(0)
    {
        if (!NAMED("sysv") && !NAMED("sysvshm") && !NAMED("signal"))
            IS(run(has_no_descriptors, NULL), 0);
        if (NAMED("mq"))
            IS(run(has_no_queues, NULL), 0);
        (void)ipc_channel_unlink(uri);
    }
}

static void floods_as_nobody(struct child *up, void *arg)
{
    unsigned i;

    (void)up;
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), 0);
    for (i = 0; i < *(unsigned *)arg; i++)
        IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), 0);
}

/* Our message is behind `strange` others that are not for us. */
static void finds_its_own(struct ipc_channel *own, unsigned strange)
{
    IS(ipc_channel_send(own, "own", 3, IPC_NOW), 0);
    if (strange == IPC_CHANNEL_SKIPS_)
        IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT);
    IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), 3);
}

static void is_flooded(struct child *up, void *arg)
{
    struct ipc_channel own;
    unsigned n;

    (void)up, (void)arg;
    if (unshare(CLONE_NEWNET) != 0)
        _exit(UNABLE);
    set_limit("/proc/sys/net/unix/max_dgram_qlen", "200");
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_open(&own, uri, IPC_SEND, IPC_NOW), 0);
    for (n = IPC_CHANNEL_SKIPS_ - 1; n <= IPC_CHANNEL_SKIPS_; n++) {
        IS(run(floods_as_nobody, &n), 0);
        finds_its_own(&own, n);
    }
}

/* Strangers send signals and datagrams: after the deadline a call skips some of them, not all. */
static void deadlines_hold_in_a_flood(void **state)
{
    struct ipc_channel own;
    unsigned i, n;
    int rc;

    (void)state;
    choose(row_of("signal"));
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_open(&own, uri, IPC_SEND, IPC_NOW), 0);
    for (n = IPC_CHANNEL_SKIPS_ - 1; n <= IPC_CHANNEL_SKIPS_; n++) {
        for (i = 0; i < n; i++)
            IS(kill(getpid(), SIGRTMIN), 0);
        finds_its_own(&own, n);
    }
    ipc_channel_close(&own);
    over();

    SKIP_IF(geteuid() != 0, "needs root, to be somebody else");
    (void)snprintf(uri, sizeof uri, "unix-dgram:@%s", name);
    rc = run(is_flooded, NULL);
    SKIP_IF(rc == UNABLE, "no network of our own, to be flooded");
    IS(rc, 0);
}

#define PORTS "/proc/sys/net/ipv4/ip_local_port_range"

/* The kernel can choose only one port, the one to which the client connects. */
static void meets_itself(struct child *up, void *arg)
{
    static const char *const uris[] = {"tcp:127.0.0.1:40000", "tcp:[::1]:40000",
                                       "udp:127.0.0.1:40000", "udp:[::1]:40000"};
    struct ipc_channel client;
    struct ifreq lo;
    size_t i;
    int fd;

    (void)up, (void)arg;
    memset(&lo, 0, sizeof lo);
    (void)strcpy(lo.ifr_name, "lo");
    lo.ifr_flags = IFF_UP;
    if (unshare(CLONE_NEWNET) != 0)
        _exit(UNABLE);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0 && close(fd) == 0);
    for (i = 0; i < sizeof uris / sizeof *uris; i++) {
        set_limit(PORTS, "40000 40000");
        is_(ipc_channel_open(&client, uris[i], IPC_BOTH, ipc_in_ms(20)), -ETIMEDOUT, uris[i],
            __FILE__, __LINE__);
        /* The port is free for the listener. */
        is_(ipc_channel_open(&ch, uris[i], IPC_BOTH | IPC_LISTEN, IPC_NOW), 0, uris[i], __FILE__,
            __LINE__);
        set_limit(PORTS, "40000 40001");
        if (i >= 2) /* datagram clients find another port also while nobody listens */
            ipc_channel_close(&ch);
        is_(ipc_channel_open(&client, uris[i], IPC_BOTH, ipc_in_ms(LONG_MS)), 0, uris[i], __FILE__,
            __LINE__);
        if (i >= 2)
            IS(ipc_channel_open(&ch, uris[i], IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
        meets(&ch);
        IS(ipc_channel_send(&client, "own", 3, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 3);
        ipc_channel_close(&client);
        ipc_channel_close(&ch);
    }
}

static void client_does_not_meet_itself(void **state)
{
    int rc = run(meets_itself, NULL);

    (void)state;
    SKIP_IF(rc == UNABLE, "no network of our own, with one port");
    IS(rc, 0);
}

static volatile unsigned alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

static void storm(void)
{
    struct sigaction act;
    struct itimerval often = {{0, 300}, {0, 300}};

    memset(&act, 0, sizeof act);
    act.sa_handler = on_alarm;
    IS(sigaction(SIGALRM, &act, NULL), 0);
    IS(setitimer(ITIMER_REAL, &often, NULL), 0);
}

static void sends_in_a_storm(struct child *up, void *arg)
{
    uint64_t i, interrupted = 0;
    int rc;

    (void)arg;
    open_as(listens(IPC_SEND));
    (void)hear(up);
    storm();
    for (i = 0; i < 500; i++) {
        size_t n = i % 50 == 0 ? length_of(1, hear(up)) : 8;

        fill(scratch, i, n);
        while ((rc = ipc_channel_send(&ch, scratch, n, i % 2 ? IPC_FOREVER : ipc_in_ms(LONG_MS))) ==
               -EINTR)
            interrupted++;
        IS(rc, 0);
    }
    while ((rc = ipc_channel_flush(&ch, IPC_FOREVER)) == -EINTR)
        ;
    IS(rc, 0);
    tell(up, interrupted);
    for (;;)
        (void)pause();
}

static void interruptions_lose_nothing(void **state)
{
    struct itimerval never = {{0, 0}, {0, 0}};

    (void)state;
    EACH_ROW(0)
    {
        struct child c;
        uint64_t i;
        int64_t got;
        size_t most;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_in_a_storm, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        most = largest();
        tell(&c, 0);
        storm();
        for (i = 0; i < 500; i++) {
            if (i % 50 == 0) {
                uint64_t word = most;

                MUST(write(c.to, &word, sizeof word) == (ssize_t)sizeof word);
            }
            while ((got = ipc_channel_recv(&ch, scratch, 1 << 20,
                                           i % 3 ? IPC_FOREVER : ipc_in_ms(LONG_MS))) == -EINTR)
                ;
            check_one(i, i % 50 == 0 ? most : 8, got);
        }
        IS(setitimer(ITIMER_REAL, &never, NULL), 0);
        (void)signal(SIGALRM, SIG_DFL);
        kill_child(&c);
        over();
    }
    MUST(alarms > 0);
}

/* Sends a message each time it is told to. */
static void sends_when_told(struct child *up, void *arg)
{
    uint64_t i = 0;

    (void)arg;
    open_as(listens(IPC_SEND));
    for (;;) {
        fill(scratch, i++, 8);
        IS(ipc_channel_send(&ch, scratch, 8, ipc_in_ms(LONG_MS)), 0);
        tell(up, i);
        (void)hear(up);
    }
}

/* The descriptor is asked for only after a recv has found nothing. */
static void a_descriptor_that_comes_late_is_readable(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct pollfd p = {-1, POLLIN, 0};
        struct child c;

        if (NAMED("sysv") || NAMED("sysvshm"))
            continue;
        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        while (NAMED("signal") && ipc_channel_recv(&ch, scratch, 8, IPC_NOW) >= 0)
            ; /* what other tests have left pending */
        c = spawn(sends_when_told, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        IS(check_next(0, ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS))), 1);
        IS(hear(&c), 1);
        IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -ETIMEDOUT);
        p.fd = ipc_channel_fd(&ch);
        MUST(p.fd >= 0);
        tell(&c, 0);
        IS(hear(&c), 2);
        IS(poll(&p, 1, LONG_MS), 1);
        IS(check_next(1, ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS))), 2);
        kill_child(&c);
        over();
    }
}

static void in_an_event_loop_every_message_is_found(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c;
        uint64_t i = 0;
        int64_t got;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_until_told, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        if (NAMED("sysv") || NAMED("sysvshm"))
            IS(ipc_channel_fd(&ch), -EOPNOTSUPP);
        while (i < 2000 && !NAMED("sysv") && !NAMED("sysvshm")) {
            struct pollfd p = {-1, POLLIN, 0};

            while ((got = ipc_channel_recv(&ch, scratch, 8, IPC_NOW)) >= 0)
                i = check_next(i, got);
            IS(got, -ETIMEDOUT);
            p.fd = ipc_channel_fd(&ch);
            MUST(p.fd >= 0);
            IS(poll(&p, 1, LONG_MS), 1);
        }
        kill_child(&c);
        over();
    }
}

/* ------------------------------------------------------------------ streams of bytes */

/* Connects a plain descriptor to the listener of this row. */
static int plain(void)
{
    struct ipc_channel other;
    int fd;

    if (NAMED("pipe"))
        return fcntl(((struct ipc_channel_pipe_ *)ch.state)->child_out, F_DUPFD_CLOEXEC, 0);
    IS(ipc_channel_open(&other, uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
    fd = dup(other.out);
    ipc_channel_close(&other);
    MUST(fd >= 0);
    (void)fcntl(fd, F_SETFL, 0);
    return fd;
}

static void any_split_of_the_stream_is_put_together(void **state)
{
    unsigned seed = 1;

    (void)state;
    EACH_ROW(FRAMED)
    {
        unsigned char *all = malloc(1 << 20);
        size_t end = 0, sent = 0, n;
        uint64_t i, received = 0;
        int64_t got;
        int fd;

        open_as(listens(IPC_RECV));
        fd = plain();
        for (i = 0; i < 200; i++) {
            n = i % 20 == 19 ? 20000 : length_of(i + 4, 300);
            ipc_channel_put_header_(all + end, n);
            fill((char *)all + end + IPC_CHANNEL_HEADER_, i, n);
            end += IPC_CHANNEL_HEADER_ + n;
        }
        while (sent < end) {
            size_t part = (size_t)rand_r(&seed) % (sent % 3 ? 12 : 3000) + 1;

            part = part < end - sent ? part : end - sent;
            MUST(write(fd, all + sent, part) == (ssize_t)part);
            sent += part;
            while ((got = ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW)) >= 0) {
                check_one(received, received % 20 == 19 ? 20000 : length_of(received + 4, 300),
                          got);
                received++;
            }
            IS(got, -ETIMEDOUT);
        }
        while (received < 200) {
            recv_one(received, received % 20 == 19 ? 20000 : length_of(received + 4, 300));
            received++;
        }
        (void)close(fd);
        IS(ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS)), -EPIPE);
        free(all);
        over();
    }
}

static void garbage_is_refused_and_its_sender_left(void **state)
{
    unsigned seed = 7, kind, k;

    (void)state;
    EACH_ROW(TELLS)
    {
        if ((row->is & RING) != 0)
            continue;
        open_as(listens(IPC_RECV));
        for (kind = 0; kind < 60; kind++) {
            unsigned char bytes[64];
            int64_t got;
            int fd = NAMED("pipe") ? plain() : -1;

            IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT); /* meets the next peer */
            fd = NAMED("pipe") ? fd : plain();
            for (k = 0; k < sizeof bytes; k++)
                bytes[k] = (unsigned char)rand_r(&seed);
            if (kind % 3 == 1)
                ipc_channel_put_header_(bytes, kind == 1 ? UINT32_MAX : (1u << 21) + kind);
            if (kind % 3 == 2) { /* a good header, then one with a bit flipped */
                ipc_channel_put_header_(bytes, 4);
                ipc_channel_put_header_(bytes + 12, 4);
                bytes[12 + kind % 8] ^= (unsigned char)(1 << kind % 7);
            }
            if (NAMED("unix-seq") && kind % 3 == 2)
                ipc_channel_put_header_(bytes, 4); /* with more than 4 bytes behind it */
            IS(write(fd, bytes, sizeof bytes), sizeof bytes);
            (void)close(fd);
            got = ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS));
            if (got == 4)
                got = ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS));
            IS(got, -EBADMSG);
            if (NAMED("pipe")) { /* a pipe has no next peer */
                IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
                over();
                open_as(IPC_RECV);
            }
        }
        over();
    }
}

/* A message longer than the receiver asked for is dropped, and does not block later ones. */
static void what_is_longer_than_agreed_is_dropped(void **state)
{
    static const char *const schemes[] = {"unix-dgram", "udp", "sysv"};
    struct ipc_channel_options how;
    struct ipc_channel out;
    int i;

    (void)state;
    memset(&how, 0, sizeof how);
    how.max = 100;
    for (i = 0; i < 3; i++) {
        choose(row_of(schemes[i]));
        IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), 0);
        IS(ipc_channel_open(&out, uri, IPC_SEND, IPC_NOW), 0);
        fill(scratch, 0, 101);
        IS(ipc_channel_send(&out, scratch, 101, IPC_NOW), 0);
        fill(scratch, 1, 100);
        IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 1000, ipc_in_ms(LONG_MS)), -EBADMSG);
        MUST(strstr(ipc_channel_why(&ch), "dropped") != NULL);
        recv_one(1, 100);
        ipc_channel_close(&out);
        over();
    }
}

/* ------------------------------------------------------------------ Unix sockets */

static void calls_in(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_BOTH);
    send_one((uint64_t)getpid(), 20);
    (void)hear(up);
    recv_one((uint64_t)getpid(), 30);
    ipc_channel_close(&ch);
}

static void several_clients_are_served_at_once(void **state)
{
    (void)state;
    EACH_ROW(ACCEPTS)
    {
        struct ipc_channel listener, client[5];
        struct ipc_channel_facts facts;
        struct child c[5];
        int i, k;

        IS(ipc_channel_open(&listener, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
        IS(ipc_channel_accept(&listener, &client[0], IPC_NOW), -ETIMEDOUT);
        for (i = 0; i < 5; i++)
            c[i] = spawn(calls_in, NULL);
        for (i = 0; i < 5; i++)
            IS(ipc_channel_accept(&listener, &client[i], ipc_in_ms(LONG_MS)), 0);
        for (i = 4; i >= 0; i--) {
            pid_t who = 0;

            ch = client[i];
            IS(ipc_channel_recv(&ch, scratch, 100, ipc_in_ms(LONG_MS)), 20);
            for (k = 0; k < 5; k++) {
                char want[20];

                fill(want, (uint64_t)c[k].pid, 20);
                if (memcmp(scratch, want, 20) == 0)
                    who = c[k].pid;
            }
            MUST(who != 0);
            IS(ipc_channel_info(&ch, &facts), 0);
            if (strncmp(row->scheme, "unix", 4) == 0) {
                IS(facts.pid, who);
                IS(facts.uid, getuid());
                IS(facts.gid, getgid());
            }
            send_one((uint64_t)who, 30);
            client[i] = ch;
        }
        for (i = 0; i < 5; i++)
            tell(&c[i], 0);
        for (i = 0; i < 5; i++)
            finish(&c[i]);
        for (i = 0; i < 5; i++) {
            IS(ipc_channel_recv(&client[i], scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
            IS(ipc_channel_recv(&client[i], scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
            ipc_channel_close(&client[i]);
        }
        ipc_channel_close(&listener);
    }
    EACH_ROW(0)
    {
        struct ipc_channel other;

        if ((row->is & ACCEPTS) != 0)
            continue;
        open_as((row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN);
        IS(ipc_channel_accept(&ch, &other, IPC_NOW), -EOPNOTSUPP);
        over();
    }
}

static void long_paths_work(void **state)
{
    char folder[400], deep[600];
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        static const char *const schemes[] = {"unix", "unix-seq", "unix-dgram"};
        struct ipc_channel other;

        next_name(NULL);
        (void)snprintf(folder, sizeof folder, "/dev/shm/%s-%0200d", name, 0);
        IS(mkdir(folder, 0700), 0);
        (void)snprintf(deep, sizeof deep, "%s:%s/socket", schemes[i], folder);
        IS(ipc_channel_open(&ch, deep, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
        IS(ipc_channel_open(&other, deep, IPC_SEND, IPC_NOW), 0);
        meets(&ch);
        IS(ipc_channel_send(&other, "x", 1, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 1);
        ipc_channel_close(&other);
        ipc_channel_close(&ch);
        IS(rmdir(folder), 0); /* works, so the socket's file is gone */
        (void)snprintf(deep, sizeof deep, "%s:/dev/shm/%0300d", schemes[i], 0);
        IS(ipc_channel_open(&ch, deep, IPC_RECV | IPC_LISTEN, IPC_NOW), -ENAMETOOLONG);
        (void)snprintf(deep, sizeof deep, "%s:@%0200d", schemes[i], 0);
        IS(ipc_channel_open(&ch, deep, IPC_RECV | IPC_LISTEN, IPC_NOW), -ENAMETOOLONG);
    }
}

static void no_client_is_answered_before_it_asked(void **state)
{
    (void)state;
    EACH_ROW(BOTH)
    {
        struct ipc_channel client;
        char answer[8];

        if (!NAMED("unix-dgram") && !NAMED("udp"))
            continue;
        IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
        IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EDESTADDRREQ);
        IS(ipc_channel_open(&client, uri, IPC_BOTH, IPC_NOW), 0);
        IS(ipc_channel_send(&client, "ask", 3, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 3);
        IS(ipc_channel_send(&ch, "answer", 6, IPC_NOW), 0);
        IS(ipc_channel_recv(&client, answer, sizeof answer, ipc_in_ms(LONG_MS)), 6);
        ipc_channel_close(&client);
        if (NAMED("unix-dgram"))
            IS(ipc_channel_send(&ch, "answer", 6, IPC_NOW), -EPIPE);
        IS(ipc_channel_open(&client, uri, IPC_RECV, IPC_NOW), -EOPNOTSUPP);
        over();
    }
}

/* ------------------------------------------------------------------ from a socket to a ring */

static void answers(struct child *up, void *arg)
{
    struct rlimit little = {1, 1};

    open_as(IPC_BOTH);
    if (arg != NULL) { /* it can map nothing */
        little.rlim_max = RLIM_INFINITY;
        IS(setrlimit(RLIMIT_AS, &little), 0);
    }
    recv_one(1, 100);
    send_one(2, 200);
    tell(up, (uint64_t)(strcmp(becomes(), "ring") == 0));
    (void)hear(up);
}

static void auto_says_which_it_became(void **state)
{
    static int able;

    (void)state;
    EACH_ROW(0)
    {
        if (!NAMED("auto") && !NAMED("auto-"))
            continue;
        for (able = 0; able < 2; able++) {
            struct child c;
            int ring = NAMED("auto") && able;

            open_as(IPC_BOTH | IPC_LISTEN);
            c = spawn(answers, able ? NULL : &able);
            send_one(1, 100);
            recv_one(2, 200);
            IS(hear(&c), ring);
            MUST(strcmp(becomes(), ring ? "ring" : "unix") == 0);
            kill_child(&c);
            IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), gone(ring));
            over();
        }
    }
}

static void answers_as_another_user(struct child *up, void *arg)
{
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    answers(up, arg);
}

static void auto_becomes_a_ring_between_two_users(void **state)
{
    struct ipc_channel_options how;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    memset(&how, 0, sizeof how);
    how.user = 65534;
    EACH_ROW(0)
    {
        struct child c;

        if (!NAMED("auto"))
            continue;
        IS(ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), 0);
        c = spawn(answers_as_another_user, NULL);
        send_one(1, 100);
        recv_one(2, 200);
        IS(hear(&c), 1);
        MUST(strcmp(becomes(), "ring") == 0);
        kill_child(&c);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), gone(1));
        over();
    }
}

static int raw_client(void)
{
    struct sockaddr_un to;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t n;

    memset(&to, 0, sizeof to);
    to.sun_family = AF_UNIX;
    n = (size_t)snprintf(to.sun_path + 1, sizeof to.sun_path - 1, "ipc-auto-%.90s", name);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&to,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) == 0);
    return fd;
}

static void says_something(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_BOTH);
    send_one(5, 50);
    (void)hear(up);
}

static void auto_gives_a_liar_nothing_but_a_closed_socket(void **state)
{
    unsigned seed = 3, kind;

    (void)state;
    EACH_ROW(ACCEPTS)
    {
        struct child c;

        if (!NAMED("auto") && !NAMED("auto-"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        for (kind = 0; kind < 300; kind++) {
            struct ipc_channel_hello_ hello = {IPC_CHANNEL_MAGIC_, 1, 1, 1000}, choice = hello;
            unsigned char bytes[100];
            size_t n = sizeof bytes, i;
            struct pollfd p = {-1, POLLIN, 0};
            int with[1] = {0};
            ssize_t got;

            for (i = 0; i < sizeof bytes; i++)
                bytes[i] = (unsigned char)rand_r(&seed);
            if (kind % 4 == 1) { /* a hello that is nearly right */
                memcpy(bytes, &hello, n = sizeof hello);
                if (kind % 3 == 0)
                    bytes[kind / 4 % 8] ^= 1;
                else if (kind % 3 == 1)
                    memset(bytes + 8, 0, 4);
                else
                    bytes[12 + kind / 4 % 4] ^= 2;
            } else if (kind % 4 == 2) { /* a right offer, then a wrong choice */
                memcpy(bytes, &hello, sizeof hello);
                choice.ring = 2;
                memcpy(bytes + sizeof hello, &choice, sizeof choice);
                if (kind % 8 == 2)
                    bytes[sizeof hello] ^= 1;
            } else if (kind % 4 == 3) { /* cut short */
                memcpy(bytes, &hello, sizeof hello);
                n = kind / 4 % sizeof hello;
            }
            p.fd = raw_client();
            if (n > 0)
                send_raw(p.fd, bytes, n, with, kind % 5 == 0);
            if (kind % 4 == 3)
                (void)shutdown(p.fd, SHUT_WR);
            IS(ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
            do {
                IS(poll(&p, 1, LONG_MS), 1);
                got = read(p.fd, bytes, sizeof bytes);
            } while (got > 0); /* may be an answer */
            MUST(got == 0 || errno == ECONNRESET);
            (void)close(p.fd);
        }
        c = spawn(says_something, NULL);
        recv_one(5, 50);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

/* A client that sends nothing, or half a hello, does not hold up another; alone it may take its
 * time. */
static void auto_passes_over_the_silent(void **state)
{
    (void)state;
    EACH_ROW(ACCEPTS)
    {
        struct ipc_channel_hello_ hello = {IPC_CHANNEL_MAGIC_, 1, 1, 1000};
        struct pollfd p[2] = {{-1, POLLIN, 0}, {-1, POLLIN, 0}};
        struct child c;

        if (!NAMED("auto") && !NAMED("auto-"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        p[0].fd = raw_client();
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(150)), -ETIMEDOUT);
        IS(poll(p, 1, 0), 0);
        p[1].fd = raw_client();
        send_raw(p[1].fd, &hello, sizeof hello / 2, NULL, 0);
        c = spawn(says_something, NULL);
        recv_one(5, 50);
        tell(&c, 0);
        finish(&c);
        IS(poll(p, 2, 0), 2);
        IS(read(p[0].fd, &hello, 1), 0);
        MUST(read(p[1].fd, &hello, 1) <= 0);
        (void)close(p[0].fd);
        (void)close(p[1].fd);
        over();
    }
}

/* A listener lies: each false answer in turn. */
static void auto_believes_no_listener(void **state)
{
    struct ipc_channel listener, client;
    unsigned kind;

    (void)state;
    choose(row_of("auto"));
    IS(ipc_channel_open(&listener, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    for (kind = 0; kind < 12; kind++) {
        struct ipc_channel_hello_ answer = {IPC_CHANNEL_MAGIC_, 1, 1, 1000};
        struct {
            uint64_t magic, size;
        } segment = {IPC_SHM_MAGIC, 100000};
        int fd = -1, got;

        IS(ipc_channel_open(&client, uri, IPC_BOTH, IPC_NOW), 0);
        IS(ipc_channel_recv(&client, scratch, 10, IPC_NOW), -ETIMEDOUT);
        IS(ipc_channel_accept(&listener, &ch, IPC_NOW), 0);
        answer.magic += kind == 0;
        answer.version -= kind == 1;
        answer.ring += kind == 2;
        answer.max = kind == 3 ? 0 : kind == 4 ? UINT64_MAX : answer.max;
        send_raw(ch.in, &answer, sizeof answer, NULL, 0);
        if (kind == 5) /* no descriptor */
            send_raw(ch.in, &segment, sizeof segment, NULL, 0);
        if (kind == 6) { /* one that is not memory */
            fd = open("/dev/null", O_RDWR | O_CLOEXEC);
            send_raw(ch.in, &segment, sizeof segment, &fd, 1);
        }
        if (kind == 7 || kind == 8) { /* memory that may shrink; memory that is no segment */
            fd = (int)syscall(SYS_memfd_create, "liar", 3u);
            MUST(ftruncate(fd, 100000) == 0);
            if (kind == 8)
                MUST(fcntl(fd, F_ADD_SEALS, 7) == 0);
            send_raw(ch.in, &segment, sizeof segment, &fd, 1);
        }
        if (kind >= 9) { /* a segment without rings, then garbage */
            struct ipc_shm seg;

            IS(ipc_shm_create(&seg, NULL, 100000), 0);
            IS(ipc_shm_send(&seg, ch.in), 0);
            ipc_shm_close(&seg);
        }
        send_raw(ch.in, "not a descriptor of a bell", 26, NULL, 0);
        (void)shutdown(ch.in, SHUT_WR);
        got = (int)ipc_channel_recv(&client, scratch, 10, ipc_in_ms(LONG_MS));
        MUST(got == -EBADMSG || got == -EPIPE || got == -EPROTO);
        if (fd >= 0)
            (void)close(fd);
        ipc_channel_close(&ch);
        ipc_channel_close(&client);
    }
    ipc_channel_close(&listener);
}

/* ------------------------------------------------------------------ rings */

static void sends_numbers(struct child *up, void *arg)
{
    uint64_t message[20] = {(uint64_t)(uintptr_t)arg}, *i = &message[1];

    open_as(IPC_SEND);
    tell(up, 1);
    (void)hear(up);
    for (; *i < 2000; ++*i)
        IS(ipc_channel_send(&ch, message, 16 + *i % 19 * 8, ipc_in_ms(LONG_MS)), 0);
    tell(up, 1);
    ipc_channel_close(&ch);
}

/* Of four senders one is stopped and one is killed; each has more to send than the ring takes. */
static void senders_that_share_a_ring_do_not_wait_for_each_other(void **state)
{
    struct ipc_channel_options how;
    struct ipc_channel other;
    struct child c[4];
    uint64_t next[5] = {0}, message[20];
    int64_t n;
    uintptr_t k;

    (void)state;
    memset(&how, 0, sizeof how);
    how.senders = 4;
    how.max = 1000;
    choose(row_of("ring"));
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), 0);
    for (k = 0; k < 4; k++)
        c[k] = spawn(sends_numbers, (void *)k);
    for (k = 0; k < 4; k++)
        (void)hear(&c[k]);
    IS(ipc_channel_open(&other, uri, IPC_SEND, IPC_NOW), -EBUSY);
    for (k = 0; k < 4; k++)
        tell(&c[k], 0);
    while (next[0] < 2000 || next[1] < 2000 || next[2] < 2000) {
        n = ipc_channel_recv(&ch, message, sizeof message, ipc_in_ms(LONG_MS));
        MUST(n >= 16 && message[0] < 4);
        IS(message[1], next[message[0]]++);
        IS(n, 16 + message[1] % 19 * 8);
        if (message[0] == 2 && message[1] == 10)
            stop_child(&c[2]);
        if (message[0] == 3 && message[1] == 10)
            kill_child(&c[3]);
        if (next[0] == 2000 && next[1] == 2000 && next[2] < 2000)
            signal_child(&c[2], SIGCONT); /* the others are done */
    }
    for (k = 0; k < 3; k++) {
        (void)hear(&c[k]);
        finish(&c[k]);
    }
    /* The dead sender's lane is free. */
    IS(ipc_channel_open(&other, uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
    message[0] = 4;
    IS(ipc_channel_send(&other, message, 8, IPC_NOW), 0);
    do { /* what the killed sender had sent */
        n = ipc_channel_recv(&ch, message, sizeof message, ipc_in_ms(LONG_MS));
        MUST(n == 8 || (n >= 16 && message[0] == 3 && message[1] == next[3]++));
    } while (n != 8);
    while ((n = ipc_channel_recv(&ch, message, sizeof message, IPC_NOW)) >= 16)
        MUST(message[0] == 3 && message[1] == next[3]++);
    IS(n, -ETIMEDOUT); /* with several senders no end is reported */
    ipc_channel_close(&other);
    over();
}

static void receives_one_from_several(struct child *up, void *arg)
{
    (void)arg;
    (void)alarm(10);
    open_as(IPC_RECV);
    ipc_notify_policy(&ch.ring->data, 0, 0);
    tell(up, 0);
    IS(ipc_channel_recv(&ch, scratch, 8, IPC_FOREVER), 8);
}

/* A sender may be killed between its push and its post. */
static void receiver_from_several_looks_once_a_second(void **state)
{
    struct ipc_channel_options how;
    struct child c;

    (void)state;
    memset(&how, 0, sizeof how);
    how.senders = 2;
    choose(row_of("ring"));
    IS(ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), 0);
    c = spawn(receives_one_from_several, NULL);
    (void)hear(&c);
    EVENTUALLY(rests(c.pid) &&
               (ck_pr_load_32(&ch.ring->out_data.at->word) & IPC_NOTIFY_ASLEEP_) != 0);
    IS(ipc_record_push(&ch.ring->out, scratch, 8), 0);
    finish(&c);
    over();
}

/* ------------------------------------------------------------------ FIFOs and pipes */

static void sends_short_ones(struct child *up, void *arg)
{
    uint64_t i;
    char message[4088];

    (void)arg;
    open_as(IPC_SEND);
    tell(up, 1);
    (void)hear(up); /* all senders are there */
    for (i = 0; i < 400; i++) {
        memset(message, (int)(getpid() & 0xff), sizeof message);
        memcpy(message, &i, sizeof i);
        IS(ipc_channel_send(&ch, message, i % 2 ? sizeof message : 100, ipc_in_ms(LONG_MS)), 0);
    }
    ipc_channel_close(&ch);
}

static void senders_that_share_a_pipe_do_not_mix(void **state)
{
    (void)state;
    EACH_ROW(FRAMED)
    {
        struct child c[5];
        uint64_t next[256] = {0}, i;
        int k;

        if (!NAMED("pipe") && !NAMED("fifo"))
            continue;
        open_as(IPC_RECV | IPC_LISTEN);
        for (k = 0; k < 5; k++)
            c[k] = spawn(sends_short_ones, NULL);
        for (k = 0; k < 5; k++)
            (void)hear(&c[k]);
        for (k = 0; k < 5; k++)
            tell(&c[k], 0);
        for (i = 0; i < 2000; i++) {
            int64_t n = ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS));
            uint64_t number;
            int64_t b;

            MUST(n == 100 || n == 4088);
            memcpy(&number, scratch, sizeof number);
            for (b = 9; b < n; b++)
                MUST(scratch[b] == scratch[8]);
            IS(number, next[(unsigned char)scratch[8]]++);
        }
        for (k = 0; k < 5; k++)
            finish(&c[k]);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
        over();
    }
}

static void fifo_is_a_fifo(void **state)
{
    char path[160], other[170];
    struct stat st;
    int fd;

    (void)state;
    (void)snprintf(path, sizeof path, "/dev/shm/%.100s", name);
    (void)snprintf(uri, sizeof uri, "fifo:/dev/shm/%s", name);
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && close(fd) == 0);
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EPROTO);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), -EPROTO);
    IS(unlink(path), 0);
    IS(symlink("/dev/null", path), 0);
    IS(ipc_channel_open(&ch, uri, IPC_RECV, IPC_NOW), -ELOOP);
    IS(unlink(path), 0);
    /* If something else is at the path, its mode is not changed. */
    (void)snprintf(other, sizeof other, "%.150s-file", path);
    fd = open(other, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && symlink(other, path) == 0);
    ch.address = path;
    ch.how.mode = 0666;
    IS(ipc_channel_set_mode_(&ch, S_IFIFO, &st), -EPROTO);
    IS(fstat(fd, &st), 0);
    IS(st.st_mode & 0777, 0600);
    ch.address = NULL;
    MUST(close(fd) == 0 && unlink(other) == 0 && unlink(path) == 0);
    (void)snprintf(uri, sizeof uri, "unix:/dev/shm/%s", name);
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && close(fd) == 0);
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EADDRINUSE);
    IS(unlink(path), 0); /* not a socket, so it is still there */
}

/* ------------------------------------------------------------------ queues */

static void priorities_come_highest_first_and_types_as_selected(void **state)
{
    static const uint32_t order[] = {3, 1, 2, 3, 2};
    struct ipc_channel_options how;
    struct ipc_channel out;
    int i;

    (void)state;
    memset(&how, 0, sizeof how);
    EACH_ROW(KEEPS)
    {
        if (!NAMED("mq") && !NAMED("sysv"))
            continue;
        how.priority = 3;
        IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
        IS(ipc_channel_open_with(&out, uri, IPC_SEND, IPC_NOW, &how), 0);
        for (i = 0; i < 5; i++) {
            out.priority = order[i];
            IS(ipc_channel_send(&out, &"abcde"[i], 1, IPC_NOW), 0);
        }
        for (i = 0; i < 5; i++) {
            if (NAMED("sysv"))
                ch.select = i == 0 ? 2 : i == 4 ? 0 : -3;
            IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), 1);
            scratch[i + 10] = scratch[0];
            IS(ch.came, order[scratch[0] - 'a']);
        }
        MUST(memcmp(scratch + 10, NAMED("mq") ? "adceb" : "cbead", 5) == 0);
        ipc_channel_close(&out);
        over();
    }
    how.priority = 1;
    EACH_ROW(0)
    {
        if (NAMED("mq") || NAMED("sysv") || NAMED("signal"))
            continue;
        IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EOPNOTSUPP);
    }
    how.priority = 0;
    how.select = 1;
    EACH_ROW(0)
    {
        if (NAMED("sysv"))
            continue;
        IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EOPNOTSUPP);
    }
}

static void queues_have_the_size_asked_for_or_are_refused(void **state)
{
    struct ipc_channel_options how;

    (void)state;
    memset(&how, 0, sizeof how);
    how.max = 100;
    how.depth = 3;
    (void)snprintf(uri, sizeof uri, "mq:%s", name);
    IS(ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), 0);
    IS(largest(), 100);
    IS(ipc_channel_send(&ch, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, scratch, 0, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, scratch, 0, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&ch);
    how.max = 200;
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EPROTO);
    how.max = 1 << 30;
    (void)ipc_channel_unlink(uri);
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EINVAL);
    MUST(strstr(ipc_channel_why(&ch), "msgsize_max") != NULL);
    IS(ipc_channel_open(&ch, "mq:a/b", IPC_RECV, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "sysv:x", IPC_RECV, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "sysv:0", IPC_RECV, IPC_NOW), -EINVAL);
}

static void removed_queue_ends_the_wait(void **state)
{
    struct child c;

    (void)state;
    choose(row_of("sysv"));
    open_as(IPC_RECV | IPC_LISTEN);
    c = spawn(sends_until_told, NULL);
    recv_one(0, 8);
    kill_child(&c);
    IS(ipc_channel_unlink(uri), 0);
    MUST(ipc_channel_recv(&ch, scratch, 8, IPC_NOW) < 0);
    over();
}

/* ------------------------------------------------------------------ logs */

static void torn_tail_is_cut_off_and_nothing_before_it(void **state)
{
    struct ipc_channel in;
    char path[160];
    struct stat st;
    off_t whole;
    off_t cut;

    (void)state;
    (void)snprintf(path, sizeof path, "/dev/shm/%.100s", name);
    (void)snprintf(uri, sizeof uri, "file:%s", path);
    IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, "one", 3, IPC_NOW), 0);
    IS(stat(path, &st), 0);
    whole = st.st_size;
    for (cut = 1; cut < 26; cut++) {
        IS(ipc_channel_send(&ch, "0123456789", 10, IPC_NOW), 0);
        ipc_channel_close(&ch);
        IS(truncate(path, whole + cut), 0); /* as a killed writer leaves it */
        IS(ipc_channel_open(&in, uri, IPC_RECV, IPC_NOW), 0);
        IS(ipc_channel_recv(&in, scratch, 100, IPC_NOW), 3);
        IS(ipc_channel_recv(&in, scratch, 100, IPC_NOW), -ETIMEDOUT);
        IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
        IS(stat(path, &st), 0);
        IS(st.st_size, whole);
        IS(ipc_channel_send(&ch, "two", 3, IPC_NOW), 0);
        IS(ipc_channel_recv(&in, scratch, 100, ipc_in_ms(LONG_MS)), 3);
        MUST(memcmp(scratch, "two", 3) == 0);
        ipc_channel_close(&in);
        IS(truncate(path, whole), 0);
        ipc_channel_close(&ch);
        IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    }
    over();
}

static void reader_resumes_where_it_was(void **state)
{
    struct ipc_channel_options how;
    struct ipc_channel in[3];
    uint64_t i;
    int k;

    (void)state;
    memset(&how, 0, sizeof how);
    choose(row_of("file"));
    open_as(IPC_SEND | IPC_LISTEN);
    for (i = 0; i < 100; i++)
        send_one(i, length_of(i, 5000));
    for (k = 0; k < 3; k++) /* many readers */
        IS(ipc_channel_open(&in[k], uri, IPC_RECV, IPC_NOW), 0);
    for (k = 0; k < 3; k++)
        for (i = 0; i < 100; i++) {
            struct ipc_channel_facts facts;
            struct ipc_channel again;

            check_one(i, length_of(i, 5000), ipc_channel_recv(&in[k], scratch, 1 << 20, IPC_NOW));
            IS(ipc_channel_info(&in[k], &facts), 0);
            how.offset = facts.offset;
            IS(ipc_channel_open_with(&again, uri, IPC_RECV, IPC_NOW, &how), 0);
            if (i < 99)
                check_one(i + 1, length_of(i + 1, 5000),
                          ipc_channel_recv(&again, scratch, 1 << 20, IPC_NOW));
            ipc_channel_close(&again);
        }
    ipc_channel_close(&in[0]);
    ipc_channel_close(&in[1]);
    how.offset = -1;
    IS(ipc_channel_open_with(&in[0], uri, IPC_RECV, IPC_NOW, &how), 0);
    IS(ipc_channel_recv(&in[0], scratch, 100, IPC_NOW), -ETIMEDOUT);
    send_one(100, 10);
    check_one(100, 10, ipc_channel_recv(&in[0], scratch, 100, ipc_in_ms(LONG_MS)));
    how.offset = 3;
    IS(ipc_channel_open_with(&in[1], uri, IPC_RECV, IPC_NOW, &how), -EBADMSG);
    for (k = 0; k < 3; k++)
        ipc_channel_close(&in[k]);
    over();
}

static void damage_is_told_and_never_cut_off(void **state)
{
    char path[160], before[500], after[500];
    ssize_t size;
    int fd, i;

    (void)state;
    choose(row_of("file"));
    (void)snprintf(path, sizeof path, "%.150s", strchr(uri, ':') + 1);
    open_as(IPC_SEND | IPC_LISTEN);
    for (i = 0; i < 5; i++)
        send_one((uint64_t)i, 50);
    ipc_channel_close(&ch);
    fd = open(path, O_RDWR | O_CLOEXEC);
    size = pread(fd, before, sizeof before, 0);
    IS(size, 16 + 330);
    for (i = 0; i < 16 + 264; i += 7) {
        struct ipc_channel_facts facts;
        int64_t got;
        char bad = (char)(before[i] ^ 0x10);

        IS(pwrite(fd, &bad, 1, i), 1);
        IS(ipc_channel_open(&ch, uri, IPC_RECV, IPC_NOW), 0);
        while ((got = ipc_channel_recv(&ch, scratch, 100, IPC_NOW)) == 50)
            ;
        IS(got, -EBADMSG);
        IS(ipc_channel_info(&ch, &facts), 0);
        IS(facts.offset, i < 8 ? 0 : i < 16 ? 16 : (i - 16) / 66 * 66 + 16);
        ipc_channel_close(&ch);
        IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), i < 8 ? -EPROTO : -EBADMSG);
        IS(pwrite(fd, &before[i], 1, i), 1);
        IS(pread(fd, after, sizeof after, 0), size);
        MUST(memcmp(before, after, (size_t)size) == 0);
    }
    IS(ftruncate(fd, 0), 0);
    IS(pwrite(fd, "hello", 5, 0), 5); /* somebody's text */
    IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), -EPROTO);
    IS(pread(fd, after, sizeof after, 0), 5);
    (void)close(fd);
    over();
}

/* Sends until there is no room, then goes on with the room that `more` makes. */
static void fills_the_log(int why, void (*more)(void))
{
    static const size_t sizes[] = {5000, 100, 0};
    struct ipc_channel_facts facts;
    struct ipc_channel in;
    uint64_t i = 0, k, received = 0;
    struct stat st;
    int rc = 0;

    open_as(IPC_SEND | IPC_LISTEN);
    IS(ipc_channel_open(&in, uri, IPC_RECV, IPC_NOW), 0);
    for (k = 0; k < 3; k++) {
        do
            fill(scratch, i, sizes[k]);
        while ((rc = ipc_channel_send(&ch, scratch, sizes[k], IPC_NOW)) == 0 && ++i < 100000);
        IS(rc, why);
        MUST(*ipc_channel_why(&ch) != '\0');
        IS(ipc_channel_info(&ch, &facts), 0);
        MUST(stat(strchr(uri, ':') + 1, &st) == 0 && st.st_size == facts.offset);
        while (received < i) {
            int64_t n = ipc_channel_recv(&in, scratch, 1 << 20, IPC_NOW);

            MUST(n == 5000 || n == 100 || n == 0);
            check_one(received++, (size_t)n, n);
        }
        IS(ipc_channel_recv(&in, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
    }
    MUST(i > 2);
    more();
    send_one(i, 5000);
    check_one(i, 5000, ipc_channel_recv(&in, scratch, 1 << 20, ipc_in_ms(LONG_MS)));
    ipc_channel_close(&in);
    ipc_channel_close(&ch);
}

static void set_file_size(rlim_t bytes)
{
    struct rlimit limit = {0, RLIM_INFINITY};

    limit.rlim_cur = bytes;
    IS(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void no_limit(void)
{
    set_file_size(RLIM_INFINITY);
}

/* Fills the log to its limit; the kernel would send SIGXFSZ for the next byte. */
static void meets_its_limit(struct child *up, void *arg)
{
    (void)up, (void)arg;
    set_file_size((5000 + 16) * 3 + (100 + 16) * 2 + 16);
    fills_the_log(-EFBIG, no_limit);
}

static void remove_filler(void)
{
    char path[200];

    (void)snprintf(path, sizeof path, "/dev/shm/%s/filler", name);
    IS(unlink(path), 0);
}

/* Fills the log on a disk of its own, of 64 KiB. */
static void fills_its_disk(struct child *up, void *arg)
{
    char path[200];
    int fd;

    (void)up, (void)arg;
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", path, "tmpfs", 0, "size=64k") != 0)
        _exit(UNABLE);
    (void)snprintf(path, sizeof path, "/dev/shm/%s/filler", name);
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && posix_fallocate(fd, 0, 16384) == 0 && close(fd) == 0);
    (void)snprintf(uri, sizeof uri, "file:/dev/shm/%s/log", name);
    fills_the_log(-ENOSPC, remove_filler);
}

static void full_disk_tears_nothing(void **state)
{
    char path[200];
    int rc;

    (void)state;
    choose(row_of("file"));
    IS(run(meets_its_limit, NULL), 0);
    IS(ipc_channel_unlink(uri), 0);
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    IS(mkdir(path, 0700), 0);
    rc = run(fills_its_disk, NULL);
    SKIP_IF(rc == UNABLE, "no disk of our own, to fill");
    IS(rc, 0);
}

/* ------------------------------------------------------------------ signals */

static void does_not_block(struct child *up, void *arg)
{
    sigset_t set;

    (void)arg;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    IS(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)getpid());
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EINVAL);
    tell(up, 1);
    (void)hear(up);
}

static void nobody_is_killed_by_a_message(void **state)
{
    struct child c = spawn(does_not_block, NULL);

    (void)state;
    (void)hear(&c);
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)c.pid);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPERM);
    tell(&c, 0);
    finish(&c);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPIPE);
    ipc_channel_close(&ch);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), -ESRCH);
}

static void blocks_the_first(struct child *up, void *arg)
{
    uint32_t more;
    sigset_t set;

    (void)arg;
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)getpid());
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    tell(up, 1);
    more = (uint32_t)hear(up);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN + (int)more);
    IS(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    tell(up, 1);
    recv_one(1, 8);
    recv_one(2, 8);
    (void)hear(up);
}

static void priority_kills_nobody(void **state)
{
    static const uint32_t wrong[] = {
        31, 64, UINT32_MAX, UINT32_MAX - 24, UINT32_MAX - 33, (uint32_t)INT32_MAX};
    struct child c = spawn(blocks_the_first, NULL);
    struct ipc_channel_options how;
    size_t i;

    (void)state;
    (void)hear(&c);
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)c.pid);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), 0);
    send_one(1, 8);
    ch.priority = 1;
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPERM);
    memset(&how, 0, sizeof how);
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ipc_channel other;

        ch.priority = how.priority = wrong[i];
        IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EINVAL);
        MUST(strstr(ipc_channel_why(&ch), "priority") != NULL);
        IS(ipc_channel_open_with(&other, uri, IPC_SEND, IPC_NOW, &how), -EINVAL);
    }
    tell(&c, 1);
    (void)hear(&c);
    ch.priority = 1;
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), 0); /* blocked by now */
    ch.priority = 2;
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPERM);
    ch.priority = 0;
    send_one(2, 8);
    tell(&c, 0);
    finish(&c);
    ipc_channel_close(&ch);
}

/* ------------------------------------------------------------------ removing */

/* Another mechanism made what is at the path, so it stays. */
static void stays(const char *what, const char *path, int rc)
{
    struct stat before, after;

    MUST(lstat(path, &before) == 0);
    is_(ipc_channel_unlink(what), rc, what, __FILE__, __LINE__);
    must_(lstat(path, &after) == 0, what, "removed something else", __FILE__, __LINE__);
    MUST(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
}

static void goes(const char *what, const char *path)
{
    struct stat st;

    MUST(lstat(path, &st) == 0);
    is_(ipc_channel_unlink(what), 0, what, __FILE__, __LINE__);
    MUST(lstat(path, &st) != 0 && errno == ENOENT);
    is_(ipc_channel_unlink(what), -ENOENT, what, __FILE__, __LINE__);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* Leaves a socket's file, as a killed listener does. */
static void leaves_a_socket(struct child *up, void *arg)
{
    (void)up;
    IS(ipc_channel_open(&ch, (const char *)arg, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    _exit(0);
}

static void make_log(const char *what, size_t n)
{
    struct ipc_channel_options how;
    struct ipc_channel log;

    memset(&how, 0, sizeof how);
    how.max = 2 << 20;
    IS(ipc_channel_open_with(&log, what, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), 0);
    if (n > 0)
        IS(ipc_channel_send(&log, scratch, n, IPC_NOW), 0);
    ipc_channel_close(&log);
}

static void unlinks_in_its_folder(struct child *up, void *arg)
{
    static const struct {
        const char *uri, *path;
        int rc;
    } others[] = {
        {"auto:feed", "feed", -EOPNOTSUPP},
        {"auto:@feed", "@feed", -EOPNOTSUPP},
        {"auto:@d/feed", "@d", -EOPNOTSUPP},
        {"unix:@feed", "@feed", -EOPNOTSUPP},
        {"unix-seq:@feed", "@feed", -EOPNOTSUPP},
        {"unix-dgram:@feed", "@feed", -EOPNOTSUPP},
        {"tcp:127.0.0.1:9000", "127.0.0.1:9000", -EOPNOTSUPP},
        {"tcp:feed", "feed", -EOPNOTSUPP},
        {"udp:feed", "feed", -EOPNOTSUPP},
        {"udp:socket", "socket", -EOPNOTSUPP},
        {"pipe:feed", "feed", -EOPNOTSUPP},
        {"signal:1", "1", -EOPNOTSUPP},
        {"unix:feed", "feed", -EPROTO},
        {"unix:fifo", "fifo", -EPROTO},
        {"unix:@d", "@d", -EOPNOTSUPP},
        {"unix-seq:log", "log", -EPROTO},
        {"unix-dgram:to-socket", "to-socket", -EPROTO},
        {"auto:./feed", "feed", -EPROTO},
        {"auto:./to-socket", "to-socket", -EPROTO},
        {"fifo:feed", "feed", -EPROTO},
        {"fifo:socket", "socket", -EPROTO},
        {"fifo:to-fifo", "to-fifo", -EPROTO},
        {"fifo:to-nothing", "to-nothing", -EPROTO},
        {"fifo:@d", "@d", -EPROTO},
        {"fifo:feed/", "feed", -ENOTDIR},
        {"file:feed", "feed", -EPROTO},
        {"file:1", "1", -EPROTO}, /* too short for a header */
        {"file:fifo", "fifo", -EPROTO},
        {"file:socket", "socket", -EPROTO},
        {"file:to-log", "to-log", -EPROTO},
        {"file:@d", "@d", -EPROTO},
    };
    static const char *const nameless[] = {
        "unix:", "unix-seq:", "fifo:", "file:", "mq:", "mq:/", "ring:", "sysv:", "sysvshm:"};
    size_t i;

    (void)up;
    MUST(mkdir((const char *)arg, 0700) == 0 && chdir((const char *)arg) == 0);
    write_file("feed", "precious");
    write_file("@feed", "precious");
    write_file("127.0.0.1:9000", "precious");
    write_file("1", "1");
    MUST(mkdir("@d", 0700) == 0 && mkfifo("fifo", 0600) == 0);
    IS(run(leaves_a_socket, (void *)(uintptr_t) "unix:socket"), 0);
    make_log("file:log", 1200000); /* longer than records are by default */
    make_log("file:empty", 0);
    MUST(symlink("log", "to-log") == 0 && symlink("fifo", "to-fifo") == 0 &&
         symlink("socket", "to-socket") == 0 && symlink("nothing", "to-nothing") == 0);
    for (i = 0; i < sizeof others / sizeof *others; i++)
        stays(others[i].uri, others[i].path, others[i].rc);
    for (i = 0; i < sizeof nameless / sizeof *nameless; i++)
        is_(ipc_channel_unlink(nameless[i]), -EINVAL, nameless[i], __FILE__, __LINE__);
    goes("unix-dgram:socket", "socket");
    IS(run(leaves_a_socket, (void *)(uintptr_t) "auto:./socket"), 0);
    goes("auto:./socket", "socket");
    goes("fifo:fifo", "fifo");
    goes("file:log", "log");
    goes("file:empty", "empty");
}

/* Removes the folder and what is in it: files and empty folders. */
static void remove_folder(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL)
        if (unlinkat(dirfd(d), e->d_name, 0) != 0)
            (void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    (void)closedir(d);
    (void)rmdir(path);
}

static void unlink_removes_only_what_its_mechanism_made(void **state)
{
    char path[170], other[170];
    struct ipc_shm_object o;
    struct ipc_shm seg;
    int rc;

    (void)state;
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    rc = run(unlinks_in_its_folder, path);
    remove_folder(path);
    IS(rc, 0);

    choose(row_of("ring"));
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    (void)snprintf(other, sizeof other, "/dev/shm/%.140s-other", name);
    write_file(path, "precious");
    stays(uri, path, -EPROTO);
    IS(truncate(path, 30000), 0); /* as long as a segment */
    stays(uri, path, -EPROTO);
    MUST(unlink(path) == 0 && mkfifo(path, 0600) == 0);
    stays(uri, path, -EPROTO);
    IS(unlink(path), 0);
    IS(ipc_shm_create(&seg, name, 4096), 0);
    IS(ipc_shm_make(&seg, "ticks", 1, 64, &o), 0);
    stays(uri, path, -EPROTO); /* a segment, but with a user's object */
    IS(ipc_shm_publish(&seg, &o), 0);
    stays(uri, path, -EPROTO);
    ipc_shm_close(&seg);
    IS(rename(path, other), 0);
    IS(symlink(other, path), 0);
    stays(uri, path, -EPROTO);
    MUST(unlink(path) == 0 && unlink(other) == 0);
    IS(ipc_shm_create(&seg, name, 4096), 0);
    ipc_shm_close(&seg);
    goes(uri, path); /* as left by a process killed before it made a ring */
    open_as(IPC_SEND | IPC_LISTEN);
    ipc_channel_close(&ch);
    goes(uri, path);
    open_as(IPC_RECV | IPC_LISTEN);
    ipc_channel_close(&ch);
    goes(uri, path);
    IS(ipc_channel_unlink("ring:a/b"), -EINVAL);
    IS(ipc_channel_unlink("ring:.."), -EINVAL);
}

static int segment_of(key_t key)
{
    return shmget(key, 0, 0);
}

/* Makes another user the owner of the semaphores. 0: this process may not. */
static int give_semaphores_away(int id)
{
    union {
        int value;
        struct semid_ds *is;
    } to;
    struct semid_ds is;

    to.is = &is;
    MUST(semctl(id, 0, IPC_STAT, to) == 0);
    is.sem_perm.uid = 65534;
    return geteuid() == 0 && semctl(id, 0, IPC_SET, to) == 0;
}

static void waits_at_removed_semaphores(struct child *up, void *arg)
{
    uint64_t i;

    open_as(IPC_RECV | IPC_LISTEN);
    tell(up, 1);
    if (arg != NULL)
        (void)hear(up); /* messages are there, and the semaphores are gone */
    for (i = 0; arg != NULL && i < 3; i++)
        recv_one(i, 10);
    IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
    IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
    tell(up, 1);
    (void)hear(up);
}

/* No process could prove the death of another, and none could come. */
static void removed_semaphores_end_each_wait(void **state)
{
    struct child c;
    uint64_t i;
    int rc;

    (void)state;
    choose(row_of("sysvshm"));
    c = spawn(waits_at_removed_semaphores, NULL); /* nobody is there */
    (void)hear(&c);
    EVENTUALLY(rests(c.pid));
    IS(ipc_channel_unlink(uri), 0);
    tell(&c, 0);
    finish(&c);

    c = spawn(waits_at_removed_semaphores, NULL); /* a sender is there, and is silent */
    open_as(IPC_SEND);
    (void)hear(&c);
    EVENTUALLY(rests(c.pid));
    IS(ipc_channel_unlink(uri), 0);
    tell(&c, 0);
    finish(&c);
    over();

    c = spawn(waits_at_removed_semaphores, &c); /* what is there is received */
    open_as(IPC_SEND);
    (void)hear(&c);
    for (i = 0; i < 3; i++)
        send_one(i, 10);
    IS(ipc_channel_unlink(uri), 0);
    tell(&c, 0);
    (void)hear(&c);
    do
        rc = ipc_channel_send(&ch, scratch, 1000, IPC_NOW);
    while (rc == 0);
    if (rc == -ETIMEDOUT) /* it is full, and the receiver is there; the kernel is asked each 8 ms */
        rc = ipc_channel_send(&ch, scratch, 1000, ipc_in_ms(LONG_MS));
    IS(rc, -EPIPE);
    tell(&c, 0);
    finish(&c);
    over();
}

static void unlink_removes_only_its_own_key(void **state)
{
    /* Segments of other programs; the last but one has the size of two rings, but other content. */
    size_t sizes[] = {100, 4096, 1 << 20, 0, 0};
    size_t i, ours = ipc_channel_shm_size_(ipc_channel_lane_(IPC_CHANNEL_RING_));
    struct ipc_channel_options how;
    key_t key;
    int id;

    (void)state;
    sizes[3] = ours;
    sizes[4] = ours + 4096;
    choose(row_of("sysvshm"));
    key = (key_t)number_of(name);
    IS(ipc_channel_unlink(uri), -ENOENT);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *at;

        id = shmget(key, sizes[i], IPC_CREAT | IPC_EXCL | 0600);
        MUST(id >= 0);
        at = (char *)shmat(id, NULL, 0);
        MUST(at != (char *)-1);
        memset(at, 'x', sizes[i]);
        IS(ipc_channel_unlink(uri), -EPROTO);
        IS(segment_of(key), id);
        MUST(shmdt(at) == 0);
        IS(ipc_channel_unlink(uri), -EPROTO); /* even if nobody uses it */
        IS(segment_of(key), id);
        if (sizes[i] != ours) { /* a listener does not replace it either */
            IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EPROTO);
            IS(segment_of(key), id);
            IS(semget(key, 0, 0), -1);
            at = (char *)shmat(id, NULL, SHM_RDONLY);
            MUST(at != (char *)-1 && at[0] == 'x' && at[99] == 'x' && shmdt(at) == 0);
        }
        IS(shmctl(id, IPC_RMID, NULL), 0);
    }
    /* Semaphores of other programs, alone and beside a segment of ours: of another number, mode or
     * user. */
    for (i = 0; i < 4; i++) {
        id = semget(key, i == 0 ? 7 : i == 1 ? 1 : 2, IPC_CREAT | (i == 2 ? 0666 : 0600));
        MUST(id >= 0);
        if (i == 3 && !give_semaphores_away(id)) {
            IS(semctl(id, 0, IPC_RMID), 0);
            continue;
        }
        IS(ipc_channel_unlink(uri), -ENOENT);
        IS(semget(key, 0, 0), id);
        IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), i < 2 ? -EPROTO : -EACCES);
        IS(ipc_channel_unlink(uri), 0);
        IS(segment_of(key), -1);
        IS(semget(key, 0, 0), i < 2 ? id : -1); /* two are taken for ours */
        (void)semctl(id, 0, IPC_RMID);
    }
    /* Ours: one direction, both, every size; a smaller one is replaced. */
    memset(&how, 0, sizeof how);
    for (i = 0; i < 3; i++) {
        IS(ipc_channel_open(&ch, uri, IPC_LISTEN | ((unsigned)i + 1), IPC_NOW), 0);
        ipc_channel_close(&ch);
        how.max = 200000;
        IS(ipc_channel_open_with(&ch, uri, IPC_LISTEN | ((unsigned)i + 1), IPC_NOW, &how), 0);
        ipc_channel_close(&ch);
        IS(ipc_channel_unlink(uri), 0);
        IS(segment_of(key), -1);
        IS(semget(key, 0, 0), -1);
    }
    MUST(shmget(key, ours, IPC_CREAT | 0600) >= 0); /* as left by a process killed there */
    IS(ipc_channel_unlink(uri), 0);
}

/* ------------------------------------------------------------------ what is no channel */

static void what_is_no_channel_is_refused(void **state)
{
    static const char *const wrong[] = {"",         "x",         "unix",   "nothing:x",
                                        ":x",       "tcp:1",     "tcp::1", "tcp:127.0.0.1:",
                                        "signal:x", "signal:-1", "pipes:"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int rc = ipc_channel_open(&ch, wrong[i], IPC_RECV | IPC_LISTEN, IPC_NOW);

        is_(rc, -EINVAL, wrong[i], __FILE__, __LINE__);
        MUST(*ipc_channel_why(&ch) != '\0');
        ipc_channel_close(&ch);
    }
    IS(ipc_channel_open(&ch, NULL, IPC_RECV, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "pipe:", 0, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "pipe:", 8 | IPC_RECV, IPC_NOW), -EINVAL);
    IS(ipc_channel_unlink("pipe:"), -EOPNOTSUPP);
    IS(ipc_channel_unlink("nothing:"), -EINVAL);
    IS(ipc_channel_open(&ch, "pipe:", IPC_RECV, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EINVAL);
    ipc_channel_close(&ch);
    ipc_channel_close(&ch);
    IS(ipc_channel_open(&ch, "tcp:host.invalid:1", IPC_SEND, IPC_NOW) < 0, 1);
    IS(ipc_channel_open(&ch, "unix:/dev/shm/no/such", IPC_RECV | IPC_LISTEN, IPC_NOW), -ENOENT);
}

static void sends_and_closes(struct child *up, void *arg)
{
    uint64_t i;

    (void)arg;
    open_as(listens(IPC_BOTH));
    recv_one(0, 8);
    (void)hear(up); /* more has come, which is not read */
    for (i = 0; i < 3; i++)
        send_one(i, 8);
    ipc_channel_close(&ch);
}

static void what_was_sent_before_a_close_is_received_by_one_who_was_not_read(void **state)
{
    (void)state;
    EACH_ROW(BOTH | TELLS)
    {
        struct child c;
        uint64_t i;

        if (NAMED("pipe"))
            continue;
        c = spawn(sends_and_closes, NULL);
        open_as(IPC_BOTH);
        for (i = 0; i < 3; i++)
            send_one(i, 8);
        tell(&c, 0);
        finish(&c);
        for (i = 0; i < 3; i++)
            recv_one(i, 8);
        IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), -EPIPE);
        over();
    }
}

static void *volatile no_memory; /* NULL, which the compiler does not know */

static void sends_nothing(struct child *up, void *arg)
{
    (void)arg;
    open_as(listens(IPC_SEND));
    IS(ipc_channel_send(&ch, no_memory, 0, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_send(&ch, no_memory, 0, ipc_in_ms(LONG_MS)), 0);
    (void)hear(up);
}

/* Undefined behaviour of memcpy is seen with the sanitizer. */
static void an_empty_message_may_be_null(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_nothing, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        IS(ipc_channel_recv(&ch, no_memory, 0, ipc_in_ms(LONG_MS)), 0);
        IS(ipc_channel_recv(&ch, no_memory, 0, ipc_in_ms(LONG_MS)), 0);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

/* ------------------------------------------------------------------ rings in the middle of it */

static void takes_six(struct child *up, void *arg)
{
    uint64_t i;

    (void)arg;
    open_as(listens(IPC_RECV));
    for (i = 0; i < 6; i++)
        recv_one(i, 8);
    ipc_channel_close(&ch);
    tell(up, 1);
}

static void after_its_first_messages_a_ring_refuses_and_tells_as_before(void **state)
{
    (void)state;
    EACH_ROW(RING)
    {
        struct child c = spawn(takes_six, NULL);
        uint64_t i;

        open_as(IPC_SEND);
        for (i = 0; i < 5; i++) /* over auto: the first ones ask the socket, too */
            send_one(i, 8);
        IS(ipc_channel_send(&ch, scratch, ch.max + 1, ipc_in_ms(LONG_MS)), -EMSGSIZE);
        send_one(5, 8);
        MUST(NAMED("auto-") || ch.quick_sends > 0);
        (void)hear(&c);
        finish(&c);
        IS(ipc_channel_send(&ch, scratch, 8, IPC_NOW), -EPIPE);
        over();
    }
}

static void takes_one(struct child *up, void *arg)
{
    (void)up;
    (void)arg;
    open_as(IPC_RECV);
    recv_one(0, 8);
    ipc_channel_close(&ch);
}

static void a_receiver_that_came_and_went_between_two_sends_is_told_once(void **state)
{
    (void)state;
    EACH_ROW(RING)
    {
        if (strncmp(row->scheme, "auto", 4) == 0)
            continue; /* the sides meet first */
        open_as(IPC_SEND | IPC_LISTEN);
        send_one(0, 8);
        IS(run(takes_one, NULL), 0);
        IS(ipc_channel_send(&ch, scratch, 8, IPC_NOW), -EPIPE);
        send_one(0, 8);
        IS(run(takes_one, NULL), 0);
        IS(ipc_channel_send(&ch, scratch, 8, IPC_NOW), -EPIPE);
        send_one(0, 8);
        send_one(1, 8);
        over();
    }
}

static void comes_and_goes(struct child *up, void *arg)
{
    (void)up;
    (void)arg;
    open_as(IPC_RECV);
    ipc_channel_close(&ch);
}

static void a_receiver_that_went_while_a_send_slept_is_told_once(void **state)
{
    struct ipc_channel_options how;

    (void)state;
    memset(&how, 0, sizeof how);
    how.max = 100;
    EACH_ROW(RING)
    {
        struct child c;

        if (strncmp(row->scheme, "auto", 4) == 0)
            continue;
        IS(ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, ipc_in_ms(LONG_MS), &how), 0);
        while (ipc_channel_send(&ch, scratch, 100, IPC_NOW) == 0)
            ;
        c = spawn(comes_and_goes, NULL);
        IS(ipc_channel_send(&ch, scratch, 100, ipc_in_ms(LONG_MS)), -EPIPE);
        finish(&c);
        IS(ipc_channel_send(&ch, scratch, 100, IPC_NOW), -ETIMEDOUT);
        over();
    }
}

/* ------------------------------------------------------------------ receivers that share a ring */

static void open_shared(struct ipc_channel *c, unsigned role, unsigned senders, size_t max)
{
    struct ipc_channel_options how;
    int rc;

    memset(&how, 0, sizeof how);
    how.receivers = 8;
    how.senders = senders;
    how.max = max;
    rc = ipc_channel_open_with(c, uri, role, ipc_in_ms(LONG_MS), &how);
    must_(rc == 0, uri, ipc_channel_why(c), __FILE__, __LINE__);
}

/* The receiver learns the number from the message itself. */
static void send_numbered(uint64_t i)
{
    size_t n = length_of(i, 2000);

    memcpy(scratch, &i, sizeof i);
    fill(scratch + sizeof i, i, n);
    IS(ipc_channel_send(&ch, scratch, sizeof i + n, ipc_in_ms(LONG_MS)), 0);
}

static uint64_t numbered(int64_t got)
{
    static char want[2000];
    uint64_t i;

    MUST(got >= (int64_t)sizeof i);
    memcpy(&i, scratch, sizeof i);
    IS(got, sizeof i + length_of(i, 2000));
    fill(want, i, length_of(i, 2000));
    MUST(memcmp(scratch + sizeof i, want, length_of(i, 2000)) == 0);
    return i;
}

static void works(struct child *up, void *arg)
{
    uint64_t sum[2] = {0, 0}, next = 0;
    int64_t got;

    (void)arg;
    open_shared(&ch, IPC_RECV, 0, 0);
    tell(up, 1);
    while ((got = ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS))) >= 0) {
        MUST(numbered(got) >= next);
        next = numbered(got) + 1;
        sum[0]++;
        sum[1] += next;
    }
    IS(got, -EPIPE);
    IS(ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT); /* reported once */
    tell(up, sum[0]);
    tell(up, sum[1]);
    ipc_channel_close(&ch);
}

static void receivers_share_the_messages_of_a_ring(void **state)
{
    uint64_t i, count = 0, sum = 0;
    struct child c[4];

    (void)state;
    choose(row_of("ring"));
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 4000);
    for (i = 0; i < 4; i++)
        c[i] = spawn(works, NULL);
    for (i = 0; i < 4; i++)
        (void)hear(&c[i]);
    for (i = 0; i < 5000; i++)
        send_numbered(i);
    ipc_channel_close(&ch);
    for (i = 0; i < 4; i++) {
        count += hear(&c[i]);
        sum += hear(&c[i]);
        finish(&c[i]);
    }
    IS(count, 5000);
    IS(sum, 5000 * 5001 / 2);
    over();
}

static void sends_to_two(struct child *up, void *arg)
{
    uint64_t i, base = (uint64_t)(uintptr_t)arg * 100000;

    (void)up;
    open_shared(&ch, IPC_SEND, 3, 0);
    for (i = 0; i < 2000; i++)
        send_numbered(base + i);
    ipc_channel_close(&ch);
}

static void several_send_to_several_over_a_ring(void **state)
{
    uint64_t next[2][3] = {{0}}, count[3] = {0}, i, all = 0;
    struct ipc_channel end[2];
    struct child c[3];

    (void)state;
    choose(row_of("ring"));
    open_shared(&end[0], IPC_RECV | IPC_LISTEN, 3, 4000);
    open_shared(&end[1], IPC_RECV, 3, 0);
    for (i = 0; i < 3; i++)
        c[i] = spawn(sends_to_two, (void *)(uintptr_t)i);
    for (; all < 6000; all++) {
        unsigned at = (unsigned)all % 2;

        i = numbered(ipc_channel_recv(&end[at], scratch, 1 << 20, ipc_in_ms(LONG_MS)));
        MUST(i % 100000 >= next[at][i / 100000]);
        next[at][i / 100000] = i % 100000 + 1;
        count[i / 100000]++;
    }
    for (i = 0; i < 3; i++) {
        IS(count[i], 2000);
        finish(&c[i]);
    }
    for (i = 0; i < 2; i++) {
        IS(ipc_channel_recv(&end[i], scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
        ipc_channel_close(&end[i]);
    }
    over();
}

static void has_one_in_hand(struct child *up, void *arg)
{
    (void)arg;
    open_shared(&ch, IPC_RECV, 0, 0);
    IS(ipc_channel_recv(&ch, scratch, 7, ipc_in_ms(LONG_MS)), -EMSGSIZE);
    IS(next_length(), 8);
    tell(up, 1);
    wait_for_death();
}

static void takes_the_others(struct child *up, void *arg)
{
    (void)arg;
    open_shared(&ch, IPC_RECV, 0, 0);
    recv_one(1, 8);
    recv_one(2, 8);
    IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -ETIMEDOUT);
    tell(up, 1);
    recv_one(0, 8);
    tell(up, 1);
    IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
    tell(up, 1);
    wait_for_death();
}

static void sends_three_and_waits(struct child *up, void *arg)
{
    (void)arg;
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 100);
    send_one(0, 8);
    send_one(1, 8);
    send_one(2, 8);
    tell(up, 1);
    wait_for_death();
}

static void killed_receiver_of_a_ring_costs_no_message(void **state)
{
    struct child sender, holder, other;

    (void)state;
    choose(row_of("ring"));
    sender = spawn(sends_three_and_waits, NULL);
    (void)hear(&sender);
    holder = spawn(has_one_in_hand, NULL);
    (void)hear(&holder);
    stop_child(&holder);
    other = spawn(takes_the_others, NULL);
    (void)hear(&other); /* a stopped receiver costs what it holds, no more */
    kill_child(&holder);
    (void)hear(&other);
    kill_child(&sender);
    (void)hear(&other);
    kill_child(&other);
    over();
}

static void drains(struct child *up, void *arg)
{
    uint64_t i, count = hear(up);

    (void)arg;
    open_shared(&ch, IPC_RECV, 0, 0);
    IS(ipc_channel_recv(&ch, scratch, 99, IPC_NOW), -EMSGSIZE);
    IS(next_length(), 100);
    for (i = 0; i < count; i++)
        recv_one(i, i == 0 ? 100 : length_of(i, 100));
    recv_one(count, 100); /* from the sender that waits for room */
    IS(ipc_channel_recv(&ch, scratch, 100, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&ch);
}

static void full_ring_that_is_shared_holds_up_until_the_deadline(void **state)
{
    struct child c;
    uint64_t i = 0;
    int rc = 0;

    (void)state;
    choose(row_of("ring"));
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 100);
    IS(largest(), 100);
    IS(ipc_channel_send(&ch, scratch, 101, IPC_NOW), -EMSGSIZE);
    for (; rc == 0; i++) {
        fill(scratch, i, 100);
        rc = ipc_channel_send(&ch, scratch, i == 0 ? 100 : length_of(i, 100), IPC_NOW);
    }
    IS(rc, -ETIMEDOUT);
    i--;
    MUST(i >= 16);
    fill(scratch, i, 100);
    IS(ipc_channel_send(&ch, scratch, 100, ipc_in_ms(1)), -ETIMEDOUT);
    c = spawn(drains, NULL);
    tell(&c, i);
    IS(ipc_channel_send(&ch, scratch, 100, ipc_in_ms(LONG_MS)), 0);
    finish(&c);
    over();
}

static void scribbled_length_is_told(void **state)
{
    struct ipc_channel other;
    unsigned char *slot;
    uint64_t length = 101;

    (void)state;
    choose(row_of("ring"));
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 100);
    open_shared(&other, IPC_RECV, 0, 0);
    send_one(0, 100);
    slot = ch.ring->put.m.slots;
    memcpy(slot, &length, sizeof length);
    IS(ipc_channel_recv(&other, scratch, 1 << 20, IPC_NOW), -EBADMSG);
    IS(ipc_channel_recv(&other, scratch, 1 << 20, IPC_NOW), -EBADMSG);
    ipc_channel_close(&other);
    over();
}

/* More processes than a segment has places for if nothing is said: each handle is a member. */
static void a_shared_ring_has_places_for_all_its_receivers(void **state)
{
    enum { MANY = 100 };
    static struct ipc_channel in[MANY];
    char path[170];
    int i;

    (void)state;
    choose(row_of("ring"));
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 100);
    for (i = 0; i < MANY; i++)
        open_shared(&in[i], IPC_RECV, 0, 0);
    for (i = 0; i < MANY; i++) {
        send_one((uint64_t)i, 100);
        IS(ipc_channel_recv(&in[i], scratch, 1 << 20, ipc_in_ms(LONG_MS)), 100);
    }
    for (i = 0; i < MANY; i++)
        ipc_channel_close(&in[i]);
    ipc_channel_close(&ch);
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    goes(uri, path);
}

static void sharing_is_refused_where_there_is_none(void **state)
{
    struct ipc_channel_options how;

    (void)state;
    memset(&how, 0, sizeof how);
    how.receivers = 2;
    choose(row_of("ring"));
    IS(ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), -EOPNOTSUPP);
    MUST(strstr(ipc_channel_why(&ch), "one direction") != NULL);
    EACH_ROW(0)
    {
        if (NAMED("ring"))
            continue;
        IS(ipc_channel_open_with(&ch, uri, listens(IPC_RECV), IPC_NOW, &how), -EOPNOTSUPP);
    }
}

/* ------------------------------------------------------------------ main */

static int before(void **state)
{
    fds_before = open_fds();
    return next_name(state);
}

/* A test that passes must leave no descriptor open. */
static void runs(void **state)
{
    ((void (*)(void **))(uintptr_t)*state)(state);
    IS(open_fds(), fds_before);
}

/* Removes names outside /dev/shm, and folders. They would outlive a test, also one that a signal
 * ends. */
static void remove_names(void)
{
    unsigned i;

    for (i = 1; i < 2000; i++) {
        char text[150];

        (void)snprintf(uri, sizeof uri, "/dev/shm/%s-%u", prefix, i);
        remove_folder(uri);
        (void)snprintf(text, sizeof text, "%s-%u", prefix, i);
        (void)snprintf(uri, sizeof uri, "sysv:%u", number_of(text));
        (void)ipc_channel_unlink(uri);
        /* Also if it is not a channel's. */
        (void)shmctl(shmget((key_t)number_of(text), 0, 0), IPC_RMID, NULL);
        (void)semctl(semget((key_t)number_of(text), 0, 0), 0, IPC_RMID);
        (void)snprintf(uri, sizeof uri, "mq:%s", text);
        (void)ipc_channel_unlink(uri);
    }
}

static void leave_someone_behind(void)
{
    int fds[2];
    char byte;

    MUST(pipe(fds) == 0 && fcntl(fds[1], F_SETFD, FD_CLOEXEC) == 0);
    if (fork() == 0) {
        char *given = getenv("IPC_TEST_PREFIX");

        (void)setsid();
        if (given != NULL) /* by which tests/run finds the processes to end */
            memset(given, 'x', strlen(given));
        (void)close(fds[1]);
        while (read(fds[0], &byte, 1) < 0)
            ;
        remove_names();
        _exit(0);
    }
    (void)close(fds[0]);
}

#undef TEST
#define TEST(f)                                                                                    \
    {                                                                                              \
#f, runs, before, clean_up, (void *)(uintptr_t)f                                           \
    }
int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(messages_come_out_as_they_went_in),
        TEST(both_directions_work_where_there_are_two),
        TEST(what_is_too_large_is_refused_and_nothing_lost),
        TEST(who_waits_is_told_of_the_deadline),
        TEST(end_of_the_other_side_is_told_after_all_it_sent),
        TEST(sender_is_told_that_nobody_is_left_and_gets_no_signal),
        TEST(host_may_ignore_broken_pipes_or_not),
        TEST(what_a_deadline_cut_off_goes_out_while_we_wait_for_answers),
        TEST(death_in_the_middle_of_a_message_is_told),
        TEST(stopped_peer_costs_what_it_holds_and_nothing_else),
        TEST(receiver_that_was_stopped_in_its_sleep_sleeps_on),
        TEST(either_side_may_start_first),
        TEST(ring_with_a_bell_of_another_kind_is_refused),
        TEST(holder_that_changes_with_each_look_stretches_no_deadline),
        TEST(half_made_rings_are_waited_for),
        TEST(what_a_killed_listener_left_is_taken_over),
        TEST(strangers_are_refused),
        TEST(refused_stranger_is_left_at_once),
        TEST(limits_are_told),
        TEST(a_deadline_that_is_no_time_is_refused),
        TEST(deadlines_hold_in_a_flood),
        TEST(client_does_not_meet_itself),
        TEST(interruptions_lose_nothing),
        TEST(in_an_event_loop_every_message_is_found),
        TEST(a_descriptor_that_comes_late_is_readable),
        TEST(any_split_of_the_stream_is_put_together),
        TEST(garbage_is_refused_and_its_sender_left),
        TEST(what_is_longer_than_agreed_is_dropped),
        TEST(several_clients_are_served_at_once),
        TEST(long_paths_work),
        TEST(no_client_is_answered_before_it_asked),
        TEST(auto_says_which_it_became),
        TEST(auto_becomes_a_ring_between_two_users),
        TEST(auto_gives_a_liar_nothing_but_a_closed_socket),
        TEST(auto_passes_over_the_silent),
        TEST(auto_believes_no_listener),
        TEST(senders_that_share_a_ring_do_not_wait_for_each_other),
        TEST(receiver_from_several_looks_once_a_second),
        TEST(senders_that_share_a_pipe_do_not_mix),
        TEST(fifo_is_a_fifo),
        TEST(priorities_come_highest_first_and_types_as_selected),
        TEST(queues_have_the_size_asked_for_or_are_refused),
        TEST(removed_queue_ends_the_wait),
        TEST(torn_tail_is_cut_off_and_nothing_before_it),
        TEST(reader_resumes_where_it_was),
        TEST(damage_is_told_and_never_cut_off),
        TEST(full_disk_tears_nothing),
        TEST(nobody_is_killed_by_a_message),
        TEST(priority_kills_nobody),
        TEST(unlink_removes_only_what_its_mechanism_made),
        TEST(unlink_removes_only_its_own_key),
        TEST(removed_semaphores_end_each_wait),
        TEST(what_is_no_channel_is_refused),
        TEST(what_was_sent_before_a_close_is_received_by_one_who_was_not_read),
        TEST(an_empty_message_may_be_null),
        TEST(after_its_first_messages_a_ring_refuses_and_tells_as_before),
        TEST(a_receiver_that_came_and_went_between_two_sends_is_told_once),
        TEST(a_receiver_that_went_while_a_send_slept_is_told_once),
        TEST(receivers_share_the_messages_of_a_ring),
        TEST(several_send_to_several_over_a_ring),
        TEST(killed_receiver_of_a_ring_costs_no_message),
        TEST(full_ring_that_is_shared_holds_up_until_the_deadline),
        TEST(scribbled_length_is_told),
        TEST(a_shared_ring_has_places_for_all_its_receivers),
        TEST(sharing_is_refused_where_there_is_none),
    };
    sigset_t set;

    set_up(argc, argv);
    leave_someone_behind();
    scratch = malloc(2 << 20);
    MUST(scratch != NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN); /* for signal: */
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
