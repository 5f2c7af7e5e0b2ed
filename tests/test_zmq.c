/*
 * Channels over ZeroMQ, with real processes: one to one, servers, publishing, keys, losses, event
 * loops, and programs that use ZeroMQ itself.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#if defined(__has_include)
#if !__has_include(<zmq.h>)
#define WITHOUT_ZMQ 1
#endif
#endif

#ifdef WITHOUT_ZMQ
#include <stdio.h>

int main(void)
{
    puts("note: skipped: no zmq.h here: libzmq3-dev");
    return 0;
}
#else
#include "ipc_zmq.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

#include <sys/ioctl.h>

#define SOON ipc_in_ms(LONG_MS)

static char uri[250], text[200000];
static struct ipc_channel ch; /* this process's */
static struct ipc_channel_options how;
static uint64_t value;

/* ------------------------------------------------------------------ the two transports */

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

static int choose(int tcp)
{
    next_name(NULL);
    if (tcp)
        (void)snprintf(uri, sizeof uri, "zmq:tcp://127.0.0.1:%d", free_port());
    else
        (void)snprintf(uri, sizeof uri, "zmq:ipc:///dev/shm/%s", name);
    memset(&how, 0, sizeof how);
    memset(&ch, 0, sizeof ch);
    return 1;
}

#define EACH for (int tcp_ = 0; tcp_ < 2; tcp_++) if (choose(tcp_))

static void opens(unsigned role)
{
    int rc = ipc_channel_open_with(&ch, uri, role, SOON, &how);

    must_(rc == 0, uri, ipc_channel_why(&ch), __FILE__, __LINE__);
}

static int64_t next(int64_t deadline)
{
    value = 0;
    return ipc_channel_recv(&ch, &value, sizeof value, deadline);
}

/* ------------------------------------------------------------------ obedient processes */

enum { OPEN, SEND, RECV, SIZE, FILL, CLOSE, WHY, END };

static int64_t obey(struct ipc_channel *me, unsigned what, uint64_t v)
{
    int64_t n;

    switch (what) {
    case OPEN:
        return ipc_channel_open_with(me, uri, (unsigned)v, SOON, &how);
    case SEND:
        return ipc_channel_send(me, &v, sizeof v, SOON);
    case RECV:
        n = ipc_channel_recv(me, &v, sizeof v, v != 0 ? ipc_in_ms((int64_t)v) : SOON);
        return n == sizeof v ? (int64_t)v : n;
    case SIZE:
        return ipc_channel_send(me, text, v, SOON);
    case FILL:
        for (n = 0; ipc_channel_send(me, &n, sizeof n, v != 0 ? ipc_in_ms((int64_t)v) : SOON) == 0;)
            n++;
        return n;
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

static void bid(const struct child *c, unsigned what, uint64_t v)
{
    tell(c, what | v << 8);
}

static int64_t does(const struct child *c, unsigned what, uint64_t v)
{
    bid(c, what, v);
    return (int64_t)hear(c);
}

/* Hears a puppet while this process is in calls, as the two sides agree only then. */
static int64_t hear_in_calls(const struct child *c)
{
    struct pollfd p = {c->from, POLLIN, 0};
    int64_t until = SOON;

    while (poll(&p, 1, 0) == 0 && ipc_left_(until) > 0)
        IS(next(ipc_in_ms(1)), -ETIMEDOUT);
    return (int64_t)hear(c);
}

/* Sends v, which this process gets next. Returns the client's number. */
static uint64_t asks(const struct child *c, uint64_t v)
{
    bid(c, SEND, v);
    IS(next(SOON), sizeof value);
    IS(value, v);
    IS(hear(c), 0);
    return ch.from;
}

static uint64_t talks(const struct child *c, uint64_t v)
{
    uint64_t from = asks(c, v), answer = v + 1;

    IS(ipc_channel_send(&ch, &answer, sizeof answer, IPC_NOW), 0);
    IS(does(c, RECV, 0), v + 1);
    return from;
}

static void goes(const struct child *c)
{
    bid(c, END, 0);
    finish(c);
}

static void over(void)
{
    ipc_channel_close(&ch);
    (void)ipc_channel_unlink(uri);
}

static struct ipc_channel_facts facts(void)
{
    struct ipc_channel_facts f;

    IS(ipc_channel_info(&ch, &f), 0);
    return f;
}

/* ------------------------------------------------------------------ one to one */

static void leaves_messages(struct child *up, void *arg)
{
    uint64_t i, n = *(uint64_t *)arg;

    opens(IPC_SEND);
    for (i = 0; i < n; i++)
        IS(ipc_channel_send(&ch, &i, sizeof i, SOON), 0);
    tell(up, 1);
    ipc_channel_close(&ch);
}

/* The receiver takes in no more than options.depth, and the rest waits in the kernel. */
static void what_was_sent_before_close_arrives(void **state)
{
    uint64_t i, n = 300;
    unsigned round;

    (void)state;
    for (round = 0; round < 4; round++) /* a close that does not wait is not always seen */
    EACH
    {
        struct ipc_channel *any[1] = {&ch};
        struct child c;

        how.depth = 10;
        c = spawn(leaves_messages, &n);
        opens(IPC_RECV | IPC_LISTEN);
        IS(next(SOON), sizeof value);
        IS(hear(&c), 1); /* nothing is read, and the sender closes */
        (void)poll(NULL, 0, 20);
        for (i = 1; i < n; i++) {
            if (i == n - 5) { /* the end is known before these are read */
                finish(&c);
                EVENTUALLY(ipc_channel_wait_any(any, 1, IPC_NOW) == 0 &&
                           ipc_zmq_get_(&ch)->ended == 1);
            }
            IS(next(SOON), sizeof value);
            IS(value, i);
        }
        IS(next(SOON), -EPIPE);
        over();
    }
}

static void messages_come_whole_and_in_order(void **state)
{
    static const size_t sizes[] = {0, 1, 32, 33, 8191, 8192, 100000, 0};
    (void)state;
    EACH
    {
        struct child c = spawn(puppet, NULL);
        size_t i;

        opens(IPC_BOTH | IPC_LISTEN);
        IS(does(&c, OPEN, IPC_BOTH), 0);
        for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            bid(&c, SIZE, sizes[i]);
            if (sizes[i] == 100000) { /* it stays */
                IS(ipc_channel_recv(&ch, text, 99999, SOON), -EMSGSIZE);
                IS(facts().next, 100000);
            }
            IS(ipc_channel_recv(&ch, text, sizeof text, SOON), sizes[i]);
            IS(hear(&c), 0);
        }
        talks(&c, 7);
        IS(facts().pid, tcp_ ? 0 : c.pid);
        IS(ipc_channel_send(&ch, text, facts().max + 1, IPC_NOW), -EMSGSIZE);
        goes(&c);
        IS(next(SOON), -EPIPE);
        over();
    }
}

static void a_loss_is_told_once_after_all_that_was_sent(void **state)
{
    (void)state;
    EACH
    {
        struct child c = spawn(puppet, NULL), other = spawn(puppet, NULL);
        unsigned i;

        how.depth = 10; /* most of it is not in this process yet when the other one goes */
        opens(IPC_RECV | IPC_LISTEN);
        IS(does(&c, OPEN, IPC_SEND), 0);
        asks(&c, 1);
        for (i = 2; i <= 40; i++)
            IS(does(&c, SEND, i), 0);
        bid(&c, CLOSE, 0); /* waits for this process to read */
        for (i = 2; i <= 40; i++) {
            IS(next(SOON), sizeof value);
            IS(value, i);
        }
        IS(hear(&c), 0);
        IS(next(SOON), -EPIPE);
        MUST(strstr(ipc_channel_why(&ch), "gone") != NULL);
        IS(next(ipc_in_ms(20)), -ETIMEDOUT);
        IS(does(&other, OPEN, IPC_SEND), 0); /* the next one */
        asks(&other, 50);
        kill_child(&other);
        IS(next(SOON), -EPIPE);
        IS(next(IPC_NOW), -ETIMEDOUT);
        goes(&c);
        over();
    }
}

static void the_next_listener_is_waited_for(void **state)
{
    (void)state;
    EACH
    {
        struct child first = spawn(puppet, NULL), second = spawn(puppet, NULL);

        bid(&first, OPEN, IPC_BOTH | IPC_LISTEN);
        opens(IPC_BOTH); /* before the listener, or after it */
        IS(hear(&first), 0);
        bid(&first, RECV, 0);
        value = 5;
        IS(ipc_channel_send(&ch, &value, sizeof value, SOON), 0);
        IS(hear(&first), 5);
        IS(does(&first, SEND, 6), 0);
        IS(next(SOON), sizeof value);
        kill_child(&first);
        IS(next(SOON), -EPIPE);
        IS(next(ipc_in_ms(20)), -ETIMEDOUT);
        IS(ipc_channel_send(&ch, &value, sizeof value, IPC_NOW), -ETIMEDOUT);
        IS(does(&second, OPEN, IPC_BOTH | IPC_LISTEN), 0);
        bid(&second, RECV, 0);
        value = 8;
        IS(ipc_channel_send(&ch, &value, sizeof value, SOON), 0);
        IS(hear(&second), 8);
        kill_child(&second);
        EVENTUALLY(ipc_channel_send(&ch, &value, sizeof value, IPC_NOW) == -EPIPE);
        IS(next(SOON), -EPIPE);
        over();
    }
}

static void a_second_client_waits_for_the_first_to_go(void **state)
{
    (void)state;
    EACH
    {
        struct child first = spawn(puppet, NULL), second = spawn(puppet, NULL);

        opens(IPC_BOTH | IPC_LISTEN);
        IS(does(&first, OPEN, IPC_BOTH), 0);
        talks(&first, 1);
        IS(does(&second, OPEN, IPC_BOTH), 0);
        bid(&second, SEND, 100);
        IS(next(ipc_in_ms(150)), -ETIMEDOUT);
        talks(&first, 2);
        goes(&first);
        IS(next(SOON), -EPIPE);
        IS(next(SOON), sizeof value);
        IS(value, 100);
        IS(hear(&second), 0);
        goes(&second);
        over();
    }
}

/* It has its place from the time that it is connected, and leaves it. */
static void a_client_that_makes_no_call_leaves_its_place(void **state)
{
    (void)state;
    EACH
    {
        struct child silent = spawn(puppet, NULL), second = spawn(puppet, NULL);

        opens(IPC_BOTH | IPC_LISTEN);
        IS(does(&silent, OPEN, IPC_BOTH), 0);
        IS(next(ipc_in_ms(20)), -ETIMEDOUT);
        IS(does(&second, OPEN, IPC_BOTH), 0);
        bid(&second, SEND, 3);
        IS(next(ipc_in_ms(150)), -ETIMEDOUT);
        kill_child(&silent);
        IS(next(SOON), sizeof value);
        IS(value, 3);
        IS(hear(&second), 0);
        goes(&second);
        IS(next(SOON), -EPIPE);
        over();
    }
}

/* ------------------------------------------------------------------ servers */

static void each_gets_its_own_answer(void **state)
{
    (void)state;
    EACH
    {
        struct child c[4];
        uint64_t number[4], v;
        unsigned i, k;

        for (i = 0; i < 4; i++)
            c[i] = spawn(puppet, NULL);
        how.clients = 4;
        opens(IPC_BOTH | IPC_LISTEN);
        for (i = 0; i < 4; i++) {
            IS(does(&c[i], OPEN, IPC_BOTH), 0);
            number[i] = talks(&c[i], 10 * i);
            IS(facts().pid, tcp_ ? 0 : c[i].pid);
        }
        IS(facts().clients, 4);
        for (i = 0; i < 4; i++)
            for (k = 0; k < i; k++)
                MUST(number[i] != 0 && number[i] != number[k]);
        for (i = 4; i-- > 0;) {
            v = 100 + i;
            IS(ipc_channel_send_to(&ch, number[i], &v, sizeof v, IPC_NOW), 0);
        }
        for (i = 0; i < 4; i++)
            IS(does(&c[i], RECV, 0), 100 + i);
        for (i = 0; i < 4; i++) {
            kill_child(&c[i]);
            IS(next(SOON), -EPIPE);
            IS(ch.from, number[i]);
            IS(ipc_channel_send_to(&ch, number[i], &v, sizeof v, IPC_NOW), -EPIPE);
            IS(facts().clients, 3 - i);
        }
        IS(next(IPC_NOW), -ETIMEDOUT);
        over();
    }
}

static void places_are_given_again_and_numbers_are_not(void **state)
{
    (void)state;
    EACH
    {
        struct child c[3];
        uint64_t number[3], v = 0;
        unsigned i;

        for (i = 0; i < 3; i++)
            c[i] = spawn(puppet, NULL);
        how.clients = 2;
        opens(IPC_BOTH | IPC_LISTEN);
        for (i = 0; i < 2; i++) {
            IS(does(&c[i], OPEN, IPC_BOTH), 0);
            number[i] = talks(&c[i], i + 1);
        }
        IS(does(&c[2], OPEN, IPC_BOTH), 0);
        bid(&c[2], SEND, 3);
        IS(next(ipc_in_ms(150)), -ETIMEDOUT); /* no place */
        IS(ipc_channel_drop(&ch, number[0]), 0);
        IS(ipc_channel_drop(&ch, number[0]), -EPIPE);
        IS(ipc_channel_send_to(&ch, number[0], &v, sizeof v, IPC_NOW), -EPIPE);
        IS(next(SOON), sizeof value);
        IS(value, 3);
        IS(hear(&c[2]), 0);
        number[2] = ch.from;
        MUST(number[2] != number[0] && number[2] != number[1]);
        IS(does(&c[0], RECV, 5000), -EPIPE);
        IS(talks(&c[1], 4), number[1]);
        bid(&c[0], SEND, 5); /* it comes again, and waits */
        IS(next(ipc_in_ms(150)), -ETIMEDOUT);
        kill_child(&c[1]);
        IS(next(SOON), -EPIPE);
        IS(ch.from, number[1]);
        IS(next(SOON), sizeof value);
        IS(value, 5);
        MUST(ch.from != number[0]);
        IS(hear(&c[0]), 0);
        goes(&c[0]);
        goes(&c[2]);
        over();
    }
}

/* One floods, one is stopped, one comes and is killed: it is told all the same. */
static void a_flood_keeps_nobody_out(void **state)
{
    (void)state;
    EACH
    {
        struct child flood = spawn(puppet, NULL), slow = spawn(puppet, NULL),
                     comer = spawn(puppet, NULL);
        uint64_t number, dead = 0, v = 1;
        int64_t n;
        int told = 0;

        how.clients = 10;
        how.depth = 50;
        opens(IPC_BOTH | IPC_LISTEN);
        IS(does(&slow, OPEN, IPC_BOTH), 0);
        number = talks(&slow, 1);
        stop_child(&slow);
        for (n = 0; ipc_channel_send_to(&ch, number, text, 10000, IPC_NOW) == 0;)
            n++;
        MUST(n > 0);
        IS(does(&flood, OPEN, IPC_BOTH), 0);
        bid(&flood, FILL, 0);
        IS(next(SOON), sizeof value);
        IS(does(&comer, OPEN, IPC_BOTH), 0);
        bid(&comer, SEND, 1 << 20);
        while (dead == 0) {
            IS(next(SOON), sizeof value);
            if (value == 1 << 20)
                dead = ch.from;
        }
        IS(ipc_channel_send_to(&ch, dead, &v, sizeof v, IPC_NOW), 0);
        IS(hear(&comer), 0);
        kill_child(&comer);
        while (!told) {
            n = next(SOON);
            told = n == -EPIPE && ch.from == dead;
            MUST(told || n == sizeof value);
        }
        kill_child(&flood);
        while ((n = next(SOON)) == sizeof value)
            ;
        IS(n, -EPIPE);
        signal_child(&slow, SIGCONT);
        kill_child(&slow);
        IS(next(SOON), -EPIPE);
        IS(ch.from, number);
        over();
    }
}

/* ------------------------------------------------------------------ publishing */

static void each_subscriber_gets_every_message(void **state)
{
    (void)state;
    EACH
    {
        struct child c[2];
        uint64_t v, first[2];
        unsigned i, k;

        for (i = 0; i < 2; i++)
            c[i] = spawn(puppet, NULL);
        how.publish = IPC_LOSSLESS;
        opens(IPC_SEND | IPC_LISTEN);
        for (i = 0; i < 2; i++) { /* it finds out that this side publishes */
            how.publish = 0;
            IS(does(&c[i], OPEN, IPC_RECV), 0);
            bid(&c[i], RECV, 0);
        }
        for (v = 1, k = 0; k < 2;) {
            struct pollfd p = {c[k].from, POLLIN, 0};

            IS(ipc_channel_send(&ch, &v, sizeof v, SOON), 0);
            v++;
            k += poll(&p, 1, 1) == 1;
        }
        for (i = 0; i < 2; i++) {
            first[i] = hear(&c[i]);
            MUST(first[i] < v);
        }
        for (i = 0; i < 2; i++)
            for (k = 1; k < 5 && first[i] + k < v; k++)
                IS(does(&c[i], RECV, 0), first[i] + k);
        goes(&c[1]);
        ipc_channel_close(&ch);
        while ((int64_t)(v = (uint64_t)does(&c[0], RECV, 0)) >= 0)
            ;
        IS(v, -EPIPE);
        IS(does(&c[0], RECV, 20), -ETIMEDOUT);
        goes(&c[0]);
        over();
    }
}

static void only_lossless_waits_for_a_stopped_subscriber(void **state)
{
    (void)state;
    for (unsigned publish = IPC_LOSSLESS; publish <= IPC_LOSSY; publish++) {
        struct child c;
        struct pollfd p = {-1, POLLIN, 0};
        uint64_t v = 1;
        int rc = 0;

        choose(0);
        how.depth = 10;
        c = spawn(puppet, NULL);
        how.publish = publish;
        opens(IPC_SEND | IPC_LISTEN);
        how.publish = 0;
        IS(does(&c, OPEN, IPC_RECV), 0);
        bid(&c, RECV, 0);
        p.fd = c.from;
        while (poll(&p, 1, 1) == 0)
            IS(ipc_channel_send(&ch, &v, sizeof v, SOON), 0);
        IS(hear(&c), 1);
        stop_child(&c);
        for (v = 0; v < 2000 && rc == 0; v++)
            rc = ipc_channel_send(&ch, text, 10000, IPC_NOW);
        IS(rc, publish == IPC_LOSSY ? 0 : -ETIMEDOUT);
        signal_child(&c, SIGCONT);
        kill_child(&c);
        IS(ipc_channel_send(&ch, text, 10, SOON), 0); /* goes on without it */
        over();
    }
}

/* ------------------------------------------------------------------ keys */

static char publics[3][41], secrets[3][41];

/* Open says it, or the first call. */
static int64_t is_refused(const struct child *c)
{
    int64_t rc = does(c, OPEN, IPC_BOTH);

    if (rc != 0)
        return rc;
    bid(c, SEND, 1);
    return hear_in_calls(c);
}

static void only_the_right_keys_come_in(void **state)
{
    (void)state;
    SKIP_IF(!zmq_has("curve"), "this libzmq has no CURVE");
    for (unsigned i = 0; i < 3; i++)
        MUST(zmq_curve_keypair(publics[i], secrets[i]) == 0);
    EACH
    {
        struct child right, wrong, mistaken, open;
        char both[100];
        int64_t rc;

        (void)snprintf(both, sizeof both, "  %s %s ", publics[2], publics[1]);
        how.secret = secrets[1];
        how.peer_keys = publics[0];
        right = spawn(puppet, NULL);
        how.secret = secrets[0]; /* the listener's, which is not in its list */
        wrong = spawn(puppet, NULL);
        how.peer_keys = publics[2];
        how.secret = secrets[1];
        mistaken = spawn(puppet, NULL);
        how.secret = how.peer_keys = NULL;
        open = spawn(puppet, NULL);
        how.secret = secrets[0];
        how.peer_keys = both;
        how.clients = 9;
        opens(IPC_BOTH | IPC_LISTEN);
        how.clients = 0;
        IS(is_refused(&wrong), -EACCES);
        IS(is_refused(&mistaken), -EACCES);
        rc = is_refused(&open); /* the listener may hang up before it has said why */
        MUST(rc == -EACCES || rc == -EPROTO);
        IS(does(&right, OPEN, IPC_BOTH), 0);
        talks(&right, 1);
        goes(&right);
        goes(&wrong);
        goes(&mistaken);
        goes(&open);
        over();
    }
}

static void a_publisher_admits_its_keys_only(void **state)
{
    struct child right, wrong;
    uint64_t v = 1;
    struct pollfd p;

    (void)state;
    SKIP_IF(!zmq_has("curve"), "this libzmq has no CURVE");
    for (unsigned i = 0; i < 3; i++)
        MUST(zmq_curve_keypair(publics[i], secrets[i]) == 0);
    choose(1);
    how.peer_keys = publics[0];
    how.secret = secrets[1];
    right = spawn(puppet, NULL);
    how.secret = secrets[2];
    wrong = spawn(puppet, NULL);
    how.publish = IPC_LOSSY;
    how.secret = secrets[0];
    how.peer_keys = publics[1];
    opens(IPC_SEND | IPC_LISTEN);
    IS(does(&right, OPEN, IPC_RECV), 0);
    IS(does(&wrong, OPEN, IPC_RECV), 0);
    bid(&right, RECV, 0);
    bid(&wrong, RECV, 0);
    p.events = POLLIN;
    for (p.fd = right.from; poll(&p, 1, 1) == 0;)
        IS(ipc_channel_send(&ch, &v, sizeof v, SOON), 0);
    for (p.fd = wrong.from; poll(&p, 1, 1) == 0;)
        IS(ipc_channel_send(&ch, &v, sizeof v, SOON), 0);
    IS(hear(&right), 1);
    IS(hear(&wrong), -EACCES);
    goes(&right);
    goes(&wrong);
    over();
}

/* ------------------------------------------------------------------ event loops, fork, limits */

/* send takes in the word of a message that has come: the descriptor tells of it all the same. */
static void in_an_event_loop_nothing_is_missed(void **state)
{
    (void)state;
    EACH
    {
        struct child c = spawn(puppet, NULL);
        struct pollfd p = {-1, POLLIN, 0};
        unsigned i;

        opens(IPC_BOTH | IPC_LISTEN);
        p.fd = ipc_channel_fd(&ch);
        MUST(p.fd >= 0);
        IS(does(&c, OPEN, IPC_BOTH), 0);
        talks(&c, 1);
        for (i = 0; i < 20; i++) {
            while (next(IPC_NOW) != -ETIMEDOUT)
                ;
            IS(does(&c, SEND, i), 0);
            (void)poll(&p, 1, LONG_MS);
            (void)ipc_zmq_look_(ipc_zmq_get_(&ch)->main); /* as a send may do */
            IS(ipc_channel_send(&ch, &value, sizeof value, IPC_NOW), 0);
            IS(poll(&p, 1, LONG_MS / 3), 1);
            IS(next(IPC_NOW), sizeof value);
        }
        IS(next(IPC_NOW), -ETIMEDOUT);
        kill_child(&c);
        do { /* a wake for nothing is one, too */
            IS(poll(&p, 1, LONG_MS), 1);
        } while (next(IPC_NOW) == -ETIMEDOUT);
        IS(next(IPC_NOW), -ETIMEDOUT);
        over();
    }
}

static void any_of_several_is_waited_for(void **state)
{
    struct ipc_channel pipe_, *all[2] = {&ch, &pipe_};
    struct child c;
    int64_t n;

    (void)state;
    choose(0);
    c = spawn(puppet, NULL);
    how.clients = 5;
    opens(IPC_BOTH | IPC_LISTEN);
    IS(ipc_channel_open(&pipe_, "udp:127.0.0.1:0", IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_wait_any(all, 2, ipc_in_ms(10)), -ETIMEDOUT);
    IS(does(&c, OPEN, IPC_BOTH), 0);
    bid(&c, SEND, 3);
    do
        IS(ipc_channel_wait_any(all, 2, SOON), 0);
    while ((n = next(IPC_NOW)) == -ETIMEDOUT);
    IS(n, sizeof value);
    IS(hear(&c), 0);
    kill_child(&c);
    do
        IS(ipc_channel_wait_any(all, 2, SOON), 0);
    while ((n = next(IPC_NOW)) == -ETIMEDOUT);
    IS(n, -EPIPE);
    ipc_channel_close(&pipe_);
    over();
}

static void inherits(struct child *up, void *arg)
{
    (void)up;
    (void)arg;
    IS(next(IPC_NOW), -ECHILD);
    MUST(strstr(ipc_channel_why(&ch), "child") != NULL);
    IS(ipc_channel_send(&ch, &value, sizeof value, IPC_NOW), -ECHILD);
    IS(ipc_channel_send_to(&ch, 1, &value, sizeof value, IPC_NOW), -ECHILD);
    IS(ipc_channel_drop(&ch, 1), -ECHILD);
    IS(ipc_channel_fd(&ch), -ECHILD);
    ipc_channel_close(&ch); /* leaves the connection, and the file, to the parent */
}

static void a_child_is_refused(void **state)
{
    struct child c;

    (void)state;
    choose(0);
    c = spawn(puppet, NULL);
    how.clients = 2;
    opens(IPC_BOTH | IPC_LISTEN);
    IS(does(&c, OPEN, IPC_BOTH), 0);
    talks(&c, 1);
    IS(run(inherits, NULL), 0);
    talks(&c, 2);
    goes(&c);
    over();
}

/* options.depth: messages that wait on each side. */
static void a_receiver_that_does_not_read_holds_the_sender_up(void **state)
{
    (void)state;
    EACH
    {
        struct child c = (how.depth = 5, spawn(puppet, NULL));
        int64_t n;

        how.depth = 5;
        opens(IPC_BOTH | IPC_LISTEN);
        IS(does(&c, OPEN, IPC_BOTH), 0);
        talks(&c, 1);
        stop_child(&c);
        for (n = 0; n < 1000 && ipc_channel_send(&ch, text, 20000, ipc_in_ms(50)) == 0;)
            n++;
        MUST(n >= 2 && n < 1000);
        signal_child(&c, SIGCONT);
        IS(does(&c, RECV, 0), -EMSGSIZE);
        kill_child(&c);
        IS(next(SOON), -EPIPE);
        over();
    }
}

static void on_signal(int signal)
{
    (void)signal;
}

/* Waits in ZeroMQ, and no longer for a millisecond only. */
static void waits_in_zeromq(struct child *up, void *arg)
{
    struct sigaction on;
    int ms = LONG_MS;

    (void)arg;
    memset(&on, 0, sizeof on);
    on.sa_handler = on_signal;
    MUST(sigaction(SIGUSR1, &on, NULL) == 0);
    opens(IPC_RECV | IPC_LISTEN);
    IS(next(SOON), sizeof value);
    IS(zmq_setsockopt(ipc_zmq_get_(&ch)->main, ZMQ_RCVTIMEO, &ms, sizeof ms), 0);
    tell(up, 0);
    tell(up, (uint64_t)next(SOON));
    ipc_channel_close(&ch);
}

static void a_signal_ends_a_call_that_waits_in_zeromq(void **state)
{
    struct child c;

    (void)state;
    choose(0);
    c = spawn(waits_in_zeromq, NULL);
    opens(IPC_SEND);
    IS(ipc_channel_send(&ch, &value, sizeof value, SOON), 0);
    (void)hear(&c);
    EVENTUALLY(rests(c.pid));
    signal_child(&c, SIGUSR1);
    IS(hear(&c), -EINTR);
    finish(&c);
    over();
}

static void sleeps_for_one(struct child *up, void *arg)
{
    (void)arg;
    opens(IPC_RECV | IPC_LISTEN);
    tell(up, 0);
    IS(next(SOON), sizeof value);
    ipc_channel_close(&ch);
}

/* As test_channel.c has it for the other mechanisms: only a signal handler interrupts a call. */
static void receiver_that_was_stopped_in_its_sleep_sleeps_on(void **state)
{
    struct child c;
    int times;

    (void)state;
    choose(0);
    c = spawn(sleeps_for_one, NULL);
    (void)hear(&c);
    for (times = 0; times < 5; times++) {
        EVENTUALLY(rests(c.pid));
        stop_child(&c);
        signal_child(&c, SIGCONT);
    }
    EVENTUALLY(rests(c.pid)); /* else the message could come before the call goes on */
    opens(IPC_SEND);
    IS(ipc_channel_send(&ch, &value, sizeof value, SOON), 0);
    finish(&c);
    over();
}

static void what_cannot_be_is_refused(void **state)
{
    struct ipc_channel other;

    (void)state;
    choose(0);
    IS(ipc_channel_open(&ch, "zmq:inproc://a", IPC_SEND, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "zmq:tcp:127.0.0.1:9", IPC_SEND, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "zmq:tcp://127.0.0.1", IPC_SEND, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, ipc_in_ms(10)), -ETIMEDOUT);
    MUST(strstr(ipc_channel_why(&ch), "nobody") != NULL);
    how.secret = "short";
    IS(ipc_channel_open_with(&ch, uri, IPC_SEND, IPC_NOW, &how), -EINVAL);
    IS(ipc_channel_open_with(&ch, "pipe:", IPC_SEND, IPC_NOW, &how), -EOPNOTSUPP);
    how.secret = NULL;
    opens(IPC_BOTH | IPC_LISTEN);
    IS(ipc_channel_open(&other, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), -EADDRINUSE);
    IS(ipc_channel_accept(&ch, &other, IPC_NOW), -EOPNOTSUPP);
    over();
    opens(IPC_BOTH | IPC_LISTEN); /* nothing is left there */
    over();
    IS(ipc_channel_unlink(uri), -ENOENT);
    IS(ipc_channel_unlink("zmq:tcp://127.0.0.1:9"), -EOPNOTSUPP);
}

/* ------------------------------------------------------------------ ZeroMQ itself */

static void a_program_of_zeromq_is_a_client(void **state)
{
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_DEALER);
    int64_t until = SOON, n;
    char answer[8];

    (void)state;
    choose(0);
    how.clients = 3;
    opens(IPC_BOTH | IPC_LISTEN);
    IS(zmq_connect(socket, uri + 4), 0);
    IS(zmq_send(socket, "whole", 5, 0), 5);
    IS(next(SOON), 5);
    IS(zmq_send(socket, "two", 3, ZMQ_SNDMORE), 3);
    IS(zmq_send(socket, "parts", 5, 0), 5);
    IS(zmq_send(socket, "more", 4, 0), 4);
    IS(next(SOON), -EBADMSG);
    IS(next(SOON), 4);
    IS(ipc_channel_send(&ch, "yes", 3, IPC_NOW), 0);
    IS(zmq_recv(socket, answer, sizeof answer, 0), 3);
    IS(zmq_close(socket), 0);
    while ((n = next(ipc_in_ms(10))) == -ETIMEDOUT && ipc_left_(until) > 0)
        ;
    IS(n, -EPIPE);
    (void)zmq_ctx_term(context);
    over();
}

/* One connects and is silent, one sends what is no greeting, one stops in its handshake. */
static void strangers_cost_nothing(void **state)
{
    static const char *const says[] = {"", "GET / HTTP/1.0\r\n\r\n",
                                       "\xff\0\0\0\0\0\0\0\1\x7f\3"};
    static const size_t sizes[] = {0, 18, 11};
    struct sockaddr_un at;
    struct child c;
    unsigned i;
    int fd[3];

    (void)state;
    choose(0);
    c = spawn(puppet, NULL);
    opens(IPC_BOTH | IPC_LISTEN);
    memset(&at, 0, sizeof at);
    at.sun_family = AF_UNIX;
    MUST(strlen(name) < 90);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "/dev/shm/%.90s", name);
    for (i = 0; i < 3; i++) {
        fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        MUST(connect(fd[i], (struct sockaddr *)&at, sizeof at) == 0);
        IS(write(fd[i], says[i], sizes[i]), sizes[i]);
        IS(next(ipc_in_ms(5)), -ETIMEDOUT);
    }
    IS(does(&c, OPEN, IPC_BOTH), 0);
    talks(&c, 1);
    for (i = 0; i < 3; i++)
        (void)close(fd[i]);
    talks(&c, 2);
    goes(&c);
    IS(next(SOON), -EPIPE);
    over();
}

/* Whoever sends without end holds up no close beyond its deadline. What there is to read stands for
 * that: after the deadline no more than a piece of it is read. */
static void a_flood_holds_up_no_close(void **state)
{
    int pair[2], kept, left = 0;

    (void)state;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    IS(send(pair[0], text, 65536, MSG_DONTWAIT), 65536);
    kept = dup(pair[1]);
    ipc_zmq_see_off_(pair[1], IPC_NOW);
    MUST(kept >= 0 && ioctl(kept, FIONREAD, &left) == 0);
    MUST(left >= 65536 - 4096);
    (void)close(kept);
    (void)close(pair[0]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_come_whole_and_in_order),
        TEST(what_was_sent_before_close_arrives),
        TEST(a_loss_is_told_once_after_all_that_was_sent),
        TEST(the_next_listener_is_waited_for),
        TEST(a_second_client_waits_for_the_first_to_go),
        TEST(a_client_that_makes_no_call_leaves_its_place),
        TEST(each_gets_its_own_answer),
        TEST(places_are_given_again_and_numbers_are_not),
        TEST(a_flood_keeps_nobody_out),
        TEST(each_subscriber_gets_every_message),
        TEST(only_lossless_waits_for_a_stopped_subscriber),
        TEST(only_the_right_keys_come_in),
        TEST(a_publisher_admits_its_keys_only),
        TEST(in_an_event_loop_nothing_is_missed),
        TEST(any_of_several_is_waited_for),
        TEST(a_child_is_refused),
        TEST(a_receiver_that_does_not_read_holds_the_sender_up),
        TEST(a_signal_ends_a_call_that_waits_in_zeromq),
        TEST(receiver_that_was_stopped_in_its_sleep_sleeps_on),
        TEST(what_cannot_be_is_refused),
        TEST(a_program_of_zeromq_is_a_client),
        TEST(strangers_cost_nothing),
        TEST(a_flood_holds_up_no_close),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("zmq", tests, NULL, NULL);
}
#endif
