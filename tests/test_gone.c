/*
 * The other side goes: over every mechanism either side closes, is killed, stopped, or restarted,
 * between any two calls of a short talk, and while the one that stays sleeps in a call. The table in
 * the manual of ipc_channel.h says what the one that stays is told, what arrives and what is lost:
 * rows[] is that table, and the test holds each mechanism to it.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#define LONG_MS 60000 /* longer than any working call takes */
#define HANG_S 300
#define SOON_MS 3000 /* longer than what is asked for each 8 ms takes */
#include "harness.h"

/* ------------------------------------------------------------------ the table */

#define TELLS_RECEIVER 1u /* recv reports that its only sender is gone */
#define TELLS_SENDER 2u   /* send reports that its receiver is gone */
#define PROVES 4u         /* a killed side is -EOWNERDEAD */
#define KEEPS 8u          /* what was accepted and not received goes to the next receiver */
#define EITHER 16u        /* either side may listen; else the receiver */
#define SENDER 32u        /* else the sender */
#define ALONE 64u         /* no successor can come: each call reports the loss again */
#define MISSES 128u       /* not told where the next one has come before the call */
#define LOSES 256u        /* may lose messages at any time */
#define PROCESS 1024u     /* its address is a process: that has to end */
#define ASKS 512u         /* the kernel is asked each 8 ms: not told at once, but soon */
#define TWO_WAYS 2048u    /* also tried with both directions on both sides */
#define SHARED 4096u      /* a ring of which several may receive */

static const struct row {
    const char *scheme, *address; /* %s: this test's name; %u: a number of its own */
    unsigned is, late;            /* late: how many messages a send that comes too late may accept */
} rows[] = {
    {"auto", "%s", TELLS_RECEIVER | TELLS_SENDER | EITHER | ASKS | TWO_WAYS, 3},
    {"ring", "%s", TELLS_RECEIVER | TELLS_SENDER | PROVES | KEEPS | EITHER | ASKS | TWO_WAYS, 0},
    {"ring", "%s", SHARED | TELLS_RECEIVER | PROVES | KEEPS | EITHER | ASKS | MISSES, 0},
    {"sysvshm", "%u", TELLS_RECEIVER | TELLS_SENDER | PROVES | KEEPS | EITHER | ASKS | TWO_WAYS, 0},
    {"fd", "", TELLS_RECEIVER | TELLS_SENDER | ALONE | TWO_WAYS, 0}, /* one of two connected sockets */
    {"pipe", "", TELLS_RECEIVER | TELLS_SENDER | ALONE, 0},
    {"fifo", "/dev/shm/%s", TELLS_RECEIVER | TELLS_SENDER | EITHER | MISSES, 0},
    {"unix", "/dev/shm/%s", TELLS_RECEIVER | TELLS_SENDER | EITHER | TWO_WAYS, 0},
    {"unix-seq", "@%s", TELLS_RECEIVER | TELLS_SENDER | EITHER | TWO_WAYS, 0},
    {"tcp", "127.0.0.1:%u", TELLS_RECEIVER | TELLS_SENDER | EITHER | TWO_WAYS, 1},
    {"unix-dgram", "@%s", TELLS_SENDER, 0},
    {"udp", "127.0.0.1:%u", TELLS_SENDER | MISSES | LOSES, 1},
    {"mq", "%s", KEEPS | EITHER, 0},
    {"sysv", "%u", KEEPS | EITHER, 0},
    {"file", "/dev/shm/%s", KEEPS | SENDER, 0},
    {"signal", "", TELLS_SENDER | ALONE | PROCESS, 0},
};

enum event { CLOSED, KILLED, CLOSED_AND_BACK, KILLED_AND_BACK, STOPPED, EVENTS };
static const char *const event_names[] = {"closed", "killed", "closed and back", "killed and back",
                                          "stopped"};

/* The talk: 1 is sent and received, 2 and 3 are sent, then received. The event comes before it, and
 * after each of these. */
enum point { OPENED, ONE_CROSSED, TWO_WAIT, ALL_CROSSED, ASLEEP, POINTS };

static struct {
    const struct row *row;
    enum event event;
    enum point point;
    unsigned goes, listens; /* IPC_SEND or IPC_RECV: which side */
    int kept;               /* fd: the descriptor of the side that stays */
    int both;               /* both sides are open in both directions */
} now;

static char uri[200], what[300];
static struct ipc_channel ch;

#define IS_A(scheme_) (strcmp(now.row->scheme, scheme_) == 0)
#define HOLDS(condition) must_(!!(condition), #condition, what, __FILE__, __LINE__)
#define EQUALS(got, want) is_((int64_t)(got), (int64_t)(want), what, __FILE__, __LINE__)

static unsigned free_port(int type)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, type, 0);

    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
         getsockname(fd, (struct sockaddr *)&a, &size) == 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

/* A number of this test's own, for mechanisms without names. */
static unsigned number_of(const char *text)
{
    unsigned h = 2166136261u;

    while (*text != '\0')
        h = (h ^ (unsigned char)*text++) * 16777619u;
    return (h & 0x7fffffff) | 1;
}

static void choose(void)
{
    char address[150];
    unsigned number;

    next_name(NULL);
    number = IS_A("tcp")   ? free_port(SOCK_STREAM)
             : IS_A("udp") ? free_port(SOCK_DGRAM)
                           : number_of(name);
    if (strstr(now.row->address, "%u") != NULL)
        (void)snprintf(address, sizeof address, now.row->address, number);
    else
        (void)snprintf(address, sizeof address, now.row->address, name);
    (void)snprintf(uri, sizeof uri, "%s:%s", now.row->scheme, address);
    (void)snprintf(what, sizeof what, "%s%s, point %d: the %s, which %s, is %s", now.row->scheme,
                   now.both ? " both ways" : (now.row->is & SHARED) != 0 ? " shared" : "", now.point, now.goes == IPC_SEND ? "sender" : "receiver",
                   now.goes == now.listens ? "listens" : "does not listen", event_names[now.event]);
}

/* ------------------------------------------------------------------ the side that goes */

enum order { OPEN, SEND, RECV, CLOSE, CLOSE_ASLEEP, KILL_ASLEEP, END };
#define ORDER(order, argument) ((uint64_t)(order) | (uint64_t)(argument) << 8)

static int open_as(unsigned role)
{
    struct ipc_channel_options how;

    memset(&how, 0, sizeof how);
    if (IS_A("ring") || IS_A("sysvshm") || IS_A("auto"))
        how.max = 1000; /* less memory to be cleared at each open */
    how.receivers = (now.row->is & SHARED) != 0 ? 2 : 0;
    if (IS_A("fd") && in_child)
        (void)close(now.kept);
    if (IS_A("pipe") && in_child) /* it has come by fork */
        return 0;
    role |= role == now.listens && !IS_A("fd") ? IPC_LISTEN : 0;
    role |= now.both ? IPC_BOTH : 0;
    return ipc_channel_open_with(&ch, uri, role, ipc_in_ms(LONG_MS), &how);
}

static int64_t receive(int64_t deadline)
{
    uint64_t number;
    int64_t rc = ipc_channel_recv(&ch, &number, sizeof number, deadline);

    return rc == (int64_t)sizeof number ? (int64_t)number : rc < 0 ? rc : -EBADMSG;
}

static int send_number(uint64_t number, int64_t deadline)
{
    return ipc_channel_send(&ch, &number, sizeof number, deadline);
}

static void obeys(struct child *up, void *arg)
{
    (void)arg;
    for (;;) {
        uint64_t order = hear(up), argument = order >> 8;
        pid_t parent = getppid();
        int64_t rc = 0;

        switch ((enum order)(order & 255)) {
        case OPEN:
            rc = open_as((unsigned)argument);
            break;
        case SEND:
            rc = send_number(argument, ipc_in_ms(LONG_MS));
            break;
        case RECV:
            rc = receive(ipc_in_ms(LONG_MS));
            break;
        case CLOSE_ASLEEP:
        case KILL_ASLEEP:
            EVENTUALLY(rests(parent));
            if ((order & 255) == KILL_ASLEEP)
                (void)kill(getpid(), SIGKILL);
            ipc_channel_close(&ch);
            continue;
        case CLOSE:
            ipc_channel_close(&ch);
            break;
        default:
            ipc_channel_close(&ch);
            return;
        }
        if (rc < 0 && rc != -EPIPE)
            dprintf(2, "%s: the other side: %s\n", what, ipc_channel_why(&ch));
        tell(up, (uint64_t)rc);
    }
}

static int64_t ask(const struct child *c, enum order order, uint64_t argument)
{
    tell(c, ORDER(order, argument));
    return (int64_t)hear(c);
}

/* ------------------------------------------------------------------ the side that stays */

/* What has happened to the messages: one bit for each number. */
static uint64_t accepted, arrived;
static int told;  /* the side that stays was told of the loss */
static int again; /* the next receiver may see again what the last one had taken */

#define BIT(number) (UINT64_C(1) << (number))
#define LAST 60 /* the number that goes to, or comes from, the successor */

static void arrives(int64_t number)
{
    HOLDS(number > 0 && number < 64);
    HOLDS((accepted & BIT(number)) != 0);
    HOLDS(again || arrived < BIT(number)); /* in order, and once */
    arrived |= BIT(number);
}

/* The loss of the other side, told by a call. */
static void is_loss(int64_t rc)
{
    int back = now.goes == IPC_SEND && !(now.both && now.goes == now.listens);
    int proves = now.event == KILLED || (now.event == KILLED_AND_BACK && back);

    EQUALS(rc, proves && (now.row->is & PROVES) != 0 ? -EOWNERDEAD : -EPIPE);
    HOLDS(*ipc_channel_why(&ch) != '\0');
    HOLDS(told == 0);
    told = 1;
}

static unsigned stays(void)
{
    return now.goes ^ IPC_BOTH;
}

/* Does the next receiver get what was accepted? In both directions a listener sends answers, which are
 * for one client. */
static int keeps(void)
{
    return (now.row->is & KEEPS) != 0 && !(now.both && now.listens == IPC_SEND);
}

/* A listener in both directions, whose connection send has found at its end: it sends no more until recv
 * has reported that, too. */
static void lets_go(void)
{
    if (told == 0 || (ch.flags & IPC_CHANNEL_CANNOT_SEND_) == 0 || now.listens != stays())
        return;
    EQUALS(send_number(59, IPC_NOW), -EPIPE);
    HOLDS(*ipc_channel_why(&ch) != '\0');
    EQUALS(receive(IPC_NOW), -EPIPE);
}

/* One message from the sender to the receiver, whichever of the two goes. */
static void crosses(const struct child *c, uint64_t number)
{
    accepted |= BIT(number);
    if (now.goes == IPC_SEND) {
        tell(c, ORDER(SEND, number));
        arrives(receive(ipc_in_ms(LONG_MS)));
        EQUALS((int64_t)hear(c), 0);
    } else {
        tell(c, ORDER(RECV, 0));
        EQUALS(send_number(number, ipc_in_ms(LONG_MS)), 0);
        arrives((int64_t)hear(c));
    }
}

static void is_sent(const struct child *c, uint64_t number)
{
    accepted |= BIT(number);
    EQUALS(now.goes == IPC_SEND ? ask(c, SEND, number) : send_number(number, ipc_in_ms(LONG_MS)), 0);
}

static void is_received(const struct child *c)
{
    arrives(now.goes == IPC_SEND ? receive(ipc_in_ms(LONG_MS)) : ask(c, RECV, 0));
}

/* Both open, and talk up to the point. */
static struct child talk(void)
{
    struct child c;
    int pair[2] = {-1, -1};

    accepted = arrived = 0;
    told = again = 0;
    if (IS_A("pipe"))
        EQUALS(open_as(stays()), 0);
    if (IS_A("signal")) /* an address is a process; 0 is the receiver's own */
        (void)snprintf(uri, sizeof uri, "signal:%ld", now.goes == IPC_SEND ? (long)getpid() : 0);
    if (IS_A("fd")) {
        MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        now.kept = pair[0];
        (void)snprintf(uri, sizeof uri, "fd:%d", pair[1]);
    }
    c = spawn(obeys, NULL);
    if (IS_A("signal") && now.goes == IPC_RECV)
        (void)snprintf(uri, sizeof uri, "signal:%ld", (long)c.pid);
    if (IS_A("fd")) {
        MUST(close(pair[1]) == 0);
        (void)snprintf(uri, sizeof uri, "fd:%d", pair[0]);
    }
    if (now.goes == now.listens)
        EQUALS(ask(&c, OPEN, now.goes), 0);
    if (!IS_A("pipe"))
        must_(open_as(stays()) == 0, what, ipc_channel_why(&ch), __FILE__, __LINE__);
    if (now.goes != now.listens)
        EQUALS(ask(&c, OPEN, now.goes), 0);
    if (now.point == OPENED)
        return c;
    if ((now.row->is & KEEPS) != 0 && now.point > ONE_CROSSED) { /* recv finds it, and does not sleep */
        is_sent(&c, 1);
        is_received(&c);
    } else {
        crosses(&c, 1);
    }
    if (now.point == ONE_CROSSED)
        return c;
    is_sent(&c, 2);
    is_sent(&c, 3);
    if (now.point == TWO_WAIT)
        return c;
    is_received(&c);
    is_received(&c);
    if (now.goes == IPC_SEND) /* it has looked in vain */
        EQUALS(receive(IPC_NOW), -ETIMEDOUT);
    return c;
}

static void goes(const struct child *c)
{
    int killed = now.event == KILLED || now.event == KILLED_AND_BACK;

    if (now.point == ASLEEP) {
        tell(c, ORDER(killed ? KILL_ASLEEP : CLOSE_ASLEEP, 0));
        return;
    }
    if (killed)
        kill_child(c);
    else
        EQUALS(ask(c, CLOSE, 0), 0);
}

/* Is the one that stays told, wherever the other one went? A peer that went before the first message
 * may go unnoticed. */
static int must_be_told(unsigned by)
{
    int back = now.event == CLOSED_AND_BACK || now.event == KILLED_AND_BACK;

    return (now.row->is & by) != 0 && now.point != OPENED && !(back && (now.row->is & MISSES) != 0);
}

/* Receives until nothing is left: all that was sent, and then the loss, once. */
static void receives_the_rest(const struct child *c)
{
    int soon = (now.row->is & ASKS) != 0 && now.event == KILLED;
    int64_t until = ipc_in_ms(soon && must_be_told(TELLS_RECEIVER) ? SOON_MS : 0), rc;

    if (now.point == ASLEEP)
        is_loss(receive(ipc_in_ms(LONG_MS)));
    if (now.point == ASLEEP && now.event == KILLED)
        was_killed(c);
    while (told == 0 || (now.row->is & ALONE) == 0) {
        rc = receive(IPC_NOW);
        if (rc > 0) {
            HOLDS(told == 0); /* all of it comes before the loss */
            arrives(rc);
        } else if (rc != -ETIMEDOUT) {
            is_loss(rc);
        } else if (told != 0 || !a_moment(until)) {
            break;
        }
    }
    EQUALS(arrived & 14, accepted & 14);
    HOLDS(told == 1 || (told == 0 && !must_be_told(TELLS_RECEIVER)));
    EQUALS(receive(IPC_NOW), (now.row->is & ALONE) != 0 && told ? -EPIPE : -ETIMEDOUT);
}

/* Sends until it is told, once, or until it would not be told any more. */
static void sends_in_vain(void)
{
    int soon = (now.row->is & ASKS) != 0 && now.event == KILLED;
    int64_t until = ipc_in_ms(soon && must_be_told(TELLS_SENDER) ? SOON_MS : 0);
    uint64_t number = 10;
    int rc;

    do {
        rc = send_number(number, IPC_NOW);
        if (rc == 0)
            accepted |= BIT(number);
        else if (rc != -ETIMEDOUT)
            is_loss(rc);
        lets_go();
        if (soon && told == 0) /* the ring keeps them all: they must not fill it */
            (void)a_moment(until);
        number += number < 58;
    } while (told == 0 && (ipc_left_(until) > 0 || number <= 10 + now.row->late));
    HOLDS(told == 1 || (told == 0 && !must_be_told(TELLS_SENDER)));
}

/* The next process that comes to where the last one was. */
static struct child comes_back(const struct child *c)
{
    struct child next = *c;

    if (now.event == KILLED || now.event == KILLED_AND_BACK)
        next = spawn(obeys, NULL);
    EQUALS(ask(&next, OPEN, now.goes), 0);
    return next;
}

/* The successor sends the last message, and the receiver goes on until it has that. */
static void receives_from_the_next(const struct child *c)
{
    int64_t rc;

    accepted |= BIT(LAST);
    tell(c, ORDER(SEND, LAST));
    while ((arrived & BIT(LAST)) == 0)
        if ((rc = receive(ipc_in_ms(LONG_MS))) > 0)
            arrives(rc);
        else
            is_loss(rc);
    EQUALS((int64_t)hear(c), 0);
    while ((rc = receive(IPC_NOW)) != -ETIMEDOUT)
        is_loss(rc);
    EQUALS(arrived, accepted);
}

/* The last message goes to the successor, who receives until it has that. */
static void sends_to_the_next(const struct child *c)
{
    uint64_t before = accepted & ~arrived;
    int rc;

    again = keeps() && (now.event == KILLED || now.event == KILLED_AND_BACK);
    again |= IS_A("file"); /* from the beginning */
    accepted |= BIT(LAST);
    tell(c, ORDER(RECV, 0));
    while ((rc = send_number(LAST, ipc_in_ms(LONG_MS))) != 0) {
        is_loss(rc);
        lets_go();
    }
    for (;;) {
        int64_t number = (int64_t)hear(c);

        arrives(number);
        if (number == LAST)
            break;
        HOLDS((now.row->is & (KEEPS | MISSES)) != 0); /* else what was lost stays lost */
        tell(c, ORDER(RECV, 0));
    }
    if (keeps())
        EQUALS(arrived, accepted);
    else if ((now.row->is & MISSES) == 0 && (now.row->is & KEEPS) == 0)
        EQUALS(arrived & before, 0);
}

static void the_other_side_goes(void)
{
    int back = now.event == CLOSED_AND_BACK || now.event == KILLED_AND_BACK;
    struct child c = talk(), next;

    goes(&c);
    if (now.row->is & ALONE) {
        now.goes == IPC_SEND ? receives_the_rest(&c) : sends_in_vain();
        next = c;
    } else if (back) {
        next = comes_back(&c);
        if (now.goes == IPC_RECV && now.row->late != 0)
            sends_in_vain();
        now.goes == IPC_SEND ? receives_from_the_next(&next) : sends_to_the_next(&next);
        HOLDS(told == (must_be_told(now.goes == IPC_SEND ? TELLS_RECEIVER : TELLS_SENDER)) ||
              (told <= 1 && (now.point == OPENED || (now.row->is & MISSES) != 0)));
    } else {
        now.goes == IPC_SEND ? receives_the_rest(&c) : sends_in_vain();
        next = comes_back(&c);
        now.goes == IPC_SEND ? receives_from_the_next(&next) : sends_to_the_next(&next);
        HOLDS(told <= 1);
    }
    if ((now.row->is & ALONE) != 0 && now.event == KILLED)
        return;
    tell(&next, ORDER(END, 0));
    finish(&next);
}

/* The sender sleeps, as nothing more fits, when its receiver goes. */
static void the_receiver_of_a_sleeping_sender_goes(void)
{
    static char filler[1000];
    struct child c = talk();
    int rc;

    while ((rc = ipc_channel_send(&ch, filler, sizeof filler, IPC_NOW)) == 0)
        ;
    EQUALS(rc, -ETIMEDOUT);
    goes(&c);
    do /* the kernel may find room for more meanwhile */
        rc = ipc_channel_send(&ch, filler, sizeof filler, ipc_in_ms(LONG_MS));
    while (rc == 0);
    is_loss(rc);
    if (now.event == KILLED) {
        was_killed(&c);
        return;
    }
    tell(&c, ORDER(END, 0));
    finish(&c);
}

/* A side that is stopped is not gone: nothing is told, and all goes on. */
static void the_other_side_stops(void)
{
    struct child c = talk();
    int64_t rc;

    stop_child(&c);
    if (now.goes == IPC_SEND) {
        while ((rc = receive(IPC_NOW)) > 0)
            arrives(rc);
        EQUALS(rc, -ETIMEDOUT);
        EQUALS(receive(ipc_in_ms(1)), -ETIMEDOUT);
    } else {
        rc = send_number(10, IPC_NOW);
        HOLDS(rc == 0 || rc == -ETIMEDOUT);
        accepted |= rc == 0 ? BIT(10) : 0;
    }
    signal_child(&c, SIGCONT);
    while (arrived != accepted && now.goes == IPC_RECV)
        is_received(&c);
    crosses(&c, LAST);
    EQUALS(arrived, accepted);
    tell(&c, ORDER(END, 0));
    finish(&c);
}

static void either_side_goes(const struct row *row, enum event event, enum point point)
{
    unsigned side, listens;

    for (side = IPC_SEND; side <= IPC_RECV; side++)
        for (listens = IPC_SEND; listens <= IPC_RECV; listens++) {
            if ((row->is & EITHER) == 0 && listens != ((row->is & SENDER) != 0 ? IPC_SEND : IPC_RECV))
                continue;
            if (point == ASLEEP && (row->is & (side == IPC_SEND ? TELLS_RECEIVER : TELLS_SENDER)) == 0)
                continue;
            if (point == ASLEEP && side == IPC_RECV && (row->is & (LOSES | PROCESS)) != 0)
                continue; /* its send never sleeps; a process is gone when this one has waited for it */
            now.row = row;
            now.event = event;
            now.point = point;
            now.goes = side;
            now.listens = listens;
            choose();
            if (point == ASLEEP && side == IPC_RECV)
                the_receiver_of_a_sleeping_sender_goes();
            else
                event == STOPPED ? the_other_side_stops() : the_other_side_goes();
            ipc_channel_close(&ch);
            (void)ipc_channel_unlink(uri);
        }
}

static void at_every_point_of(enum event event, unsigned which)
{
    size_t i;
    int point, back = event == CLOSED_AND_BACK || event == KILLED_AND_BACK;

    for (i = 0; i < sizeof rows / sizeof *rows; i++)
        for (point = 0; point < POINTS; point++) {
            if ((rows[i].is & which) != which || (back && ((rows[i].is & ALONE) != 0 || point == ASLEEP)))
                continue;
            if ((event == STOPPED && point == ASLEEP) ||
                (event == CLOSED && (rows[i].is & PROCESS) != 0))
                continue;
            either_side_goes(&rows[i], event, (enum point)point);
        }
}

static void at_every_point(enum event event)
{
    at_every_point_of(event, 0);
    now.both = 1;
    at_every_point_of(event, TWO_WAYS);
    now.both = 0;
}

static void a_side_that_closes_is_told_once_and_the_next_one_met(void **state)
{
    (void)state;
    at_every_point(CLOSED);
}

static void a_side_that_is_killed_is_told_once_and_the_next_one_met(void **state)
{
    (void)state;
    at_every_point(KILLED);
}

static void a_side_that_closes_and_is_back_before_the_next_call_is_told_once(void **state)
{
    (void)state;
    at_every_point(CLOSED_AND_BACK);
}

static void a_side_that_is_killed_and_back_before_the_next_call_is_told_once(void **state)
{
    (void)state;
    at_every_point(KILLED_AND_BACK);
}

static void a_side_that_is_stopped_is_not_gone(void **state)
{
    (void)state;
    at_every_point(STOPPED);
}

static void serves_one(struct child *up, void *arg)
{
    struct ipc_channel_options how;

    (void)up;
    memset(&how, 0, sizeof how);
    how.clients = 2;
    EQUALS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), 0);
    EQUALS(receive(arg != NULL ? IPC_FOREVER : ipc_in_ms(LONG_MS)), 7);
    ipc_channel_close(&ch);
}

/* Only a signal handler interrupts a call, also that of a server. */
static void a_server_that_was_stopped_in_its_sleep_sleeps_on(void **state)
{
    static const char *const servers[] = {"auto", "ring", "unix", "unix-seq", "tcp"};
    struct child c;
    size_t i, k;

    (void)state;
    for (i = 0; i < 10; i++) {
        for (k = 0; strcmp(rows[k].scheme, servers[i / 2]) != 0; k++)
            ;
        now.row = &rows[k];
        now.listens = IPC_RECV;
        choose();
        c = spawn(serves_one, i % 2 != 0 ? &c : NULL);
        EVENTUALLY(rests(c.pid));
        stop_child(&c);
        signal_child(&c, SIGCONT);
        EVENTUALLY(rests(c.pid)); /* else the message could come before the call goes on */
        EQUALS(open_as(IPC_SEND), 0);
        EQUALS(send_number(7, ipc_in_ms(LONG_MS)), 0);
        finish(&c);
        ipc_channel_close(&ch);
        (void)ipc_channel_unlink(uri);
    }
}

/* Runs after each test: also one that has failed leaves nothing behind. */
static int leave_nothing(void **state)
{
    ipc_channel_close(&ch);
    (void)ipc_channel_unlink(uri);
    now.both = 0;
    return clean_up(state);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, next_name, leave_nothing)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_side_that_closes_is_told_once_and_the_next_one_met),
        TEST(a_side_that_is_killed_is_told_once_and_the_next_one_met),
        TEST(a_side_that_closes_and_is_back_before_the_next_call_is_told_once),
        TEST(a_side_that_is_killed_and_back_before_the_next_call_is_told_once),
        TEST(a_side_that_is_stopped_is_not_gone),
        TEST(a_server_that_was_stopped_in_its_sleep_sleeps_on),
    };
    sigset_t first;

    (void)sigemptyset(&first);
    (void)sigaddset(&first, SIGRTMIN); /* for signal: */
    MUST(sigprocmask(SIG_BLOCK, &first, NULL) == 0);
    set_up(argc, argv);
    return cmocka_run_group_tests_name("gone", tests, NULL, NULL);
}
