/*
 * Publishing over channels: each subscriber gets every message, or is told how many it missed,
 * whoever is late, slow, stopped, killed, or comes again.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#include <sched.h>
#include <sys/ioctl.h>

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

static const struct row {
    const char *scheme;
    unsigned publish;
} rows[] = {{"ring", IPC_LOSSLESS}, {"ring", IPC_LOSSY}, {"auto", IPC_LOSSLESS},
            {"auto", IPC_LOSSY}};

static const struct row *row;
static char uri[200];
static struct ipc_channel pub, sub;

#define EACH_ROW(which) for (row = rows; row < rows + 4; row++) if (!(which)) continue; else
#define IS_LOSSY (row->publish == IPC_LOSSY)
#define IS_AUTO (strcmp(row->scheme, "auto") == 0)

static void choose(void)
{
    next_name(NULL);
    (void)snprintf(uri, sizeof uri, "%s:%s", row->scheme, name);
}

static int publish_with(struct ipc_channel *ch, unsigned receivers, size_t max, mode_t mode)
{
    struct ipc_channel_options how;

    memset(&how, 0, sizeof how);
    how.publish = row->publish;
    how.receivers = receivers;
    how.max = max;
    how.mode = mode;
    return ipc_channel_open_with(ch, uri, IPC_SEND | IPC_LISTEN, ipc_in_ms(LONG_MS), &how);
}

static void publish(struct ipc_channel *ch)
{
    int rc = publish_with(ch, 0, 0, 0);

    must_(rc == 0, "publish", ipc_channel_why(ch), __FILE__, __LINE__);
}

static void subscribe(struct ipc_channel *ch)
{
    int rc = ipc_channel_open(ch, uri, IPC_RECV, ipc_in_ms(LONG_MS));

    must_(rc == 0, "subscribe", ipc_channel_why(ch), __FILE__, __LINE__);
}

/* A message of this test: a number, and bytes that follow from it. */
struct message {
    uint64_t number;
    unsigned char rest[1000];
};

static size_t make(struct message *m, uint64_t number)
{
    m->number = number;
    memset(m->rest, (int)(number & 255), sizeof m->rest);
    return sizeof m->number + (size_t)(number * 7 % sizeof m->rest);
}

static int sends(struct ipc_channel *ch, uint64_t number, int64_t deadline)
{
    struct message m;

    return ipc_channel_send(ch, &m, make(&m, number), deadline);
}

/* Receives the next message that is not number 0, and sets its number. 0 or recv's errno. */
static int receives(struct ipc_channel *ch, uint64_t *number, int64_t deadline)
{
    struct message got, want;
    int64_t n;

    do
        n = ipc_channel_recv(ch, &got, sizeof got, deadline);
    while (n >= 0 && got.number == 0);
    if (n < 0)
        return (int)n;
    *number = got.number;
    MUST((size_t)n == make(&want, got.number) && memcmp(&got, &want, (size_t)n) == 0);
    return 0;
}

static void gets(struct ipc_channel *ch, uint64_t number)
{
    uint64_t got = 0;

    IS(receives(ch, &got, ipc_in_ms(LONG_MS)), 0);
    IS(got, number);
}

static uint64_t missed(const struct ipc_channel *ch)
{
    struct ipc_channel_facts facts;

    IS(ipc_channel_info(ch, &facts), 0);
    return facts.missed;
}

/* Both are of this process: the publisher sends number 0 until the subscriber has got one. */
static void join(struct ipc_channel *from, struct ipc_channel *to)
{
    struct message m;

    EVENTUALLY(sends(from, 0, IPC_NOW) == 0 && ipc_channel_recv(to, &m, sizeof m, IPC_NOW) >= 0);
}

/* A subscriber in a process of its own says that it has joined, and then checks that it gets each
 * number, or is told how many it missed, until the publisher has gone. */
static void checks_all(struct child *up, void *last)
{
    uint64_t number = 0, next = 0, before = 0;
    struct message m;
    int rc;

    subscribe(&sub);
    MUST(ipc_channel_recv(&sub, &m, sizeof m, ipc_in_ms(LONG_MS)) >= 0);
    tell(up, 1);
    for (;;) {
        rc = receives(&sub, &number, ipc_in_ms(LONG_MS));
        if (rc == -EOVERFLOW && IS_LOSSY) {
            MUST(missed(&sub) > before);
            /* Before the first number it may have missed some zeros. */
            next = next == 0 ? 0 : next + missed(&sub) - before;
            before = missed(&sub);
            continue;
        }
        if (rc != 0)
            break;
        MUST(next == 0 || number == next);
        next = number + 1;
    }
    IS(rc, -EPIPE);
    MUST(IS_LOSSY || next == *(uint64_t *)last + 1);
}

/* Sends number 0 until each of the children has said that it has joined. */
static void joins(struct ipc_channel *ch, struct child *children, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        struct pollfd p = {children[i].from, POLLIN, 0};

        EVENTUALLY((sends(ch, 0, ipc_in_ms(LONG_MS)), poll(&p, 1, 0)) == 1);
        IS(hear(&children[i]), 1);
    }
}

/* ------------------------------------------------------------------ all of them get all */

static void every_subscriber_gets_every_message(void **state)
{
    struct child c[5];
    uint64_t last = 5000, i;

    (void)state;
    EACH_ROW(1) {
        choose();
        publish(&pub);
        for (i = 0; i < 5; i++)
            c[i] = spawn(checks_all, &last);
        joins(&pub, c, 5);
        for (i = 1; i <= last; i++)
            IS(sends(&pub, i, IS_LOSSY ? IPC_NOW : ipc_in_ms(LONG_MS)), 0);
        ipc_channel_close(&pub);
        for (i = 0; i < 5; i++)
            finish(&c[i]);
    }
}

static void a_late_subscriber_gets_what_comes(void **state)
{
    struct ipc_channel late;
    uint64_t got = 0;

    (void)state;
    EACH_ROW(1) {
        choose();
        publish(&pub);
        IS(sends(&pub, 1, IPC_NOW), 0); /* nobody is there */
        subscribe(&sub);
        join(&pub, &sub);
        IS(sends(&pub, 2, IPC_NOW), 0);
        subscribe(&late);
        join(&pub, &late);
        IS(sends(&pub, 3, IPC_NOW), 0);
        gets(&sub, 2);
        gets(&sub, 3);
        gets(&late, 3);
        IS(receives(&sub, &got, IPC_NOW), -ETIMEDOUT);
        IS(receives(&late, &got, IPC_NOW), -ETIMEDOUT);
        ipc_channel_close(&late); /* one that leaves is no loss to the publisher, nor to others */
        IS(sends(&pub, 4, IPC_NOW), 0);
        gets(&sub, 4);
        IS(missed(&sub), 0);
        ipc_channel_close(&pub);
        IS(receives(&sub, &got, ipc_in_ms(LONG_MS)), -EPIPE);
        MUST(*ipc_channel_why(&sub) != '\0');
        IS(receives(&sub, &got, ipc_in_ms(1)), -ETIMEDOUT);
        ipc_channel_close(&sub);
    }
}

static void a_message_waits_for_a_larger_buffer(void **state)
{
    struct ipc_channel_facts facts;
    struct message m;
    char small[8];
    size_t n;

    (void)state;
    EACH_ROW(1) {
        choose();
        publish(&pub);
        subscribe(&sub);
        join(&pub, &sub);
        while (ipc_channel_recv(&sub, &m, sizeof m, IPC_NOW) >= 0)
            ;
        n = make(&m, 77);
        IS(sends(&pub, 77, IPC_NOW), 0);
        IS(ipc_channel_send(&pub, NULL, 0, IPC_NOW), 0);
        IS(ipc_channel_recv(&sub, small, sizeof small, IPC_NOW), -EMSGSIZE);
        IS(ipc_channel_recv(&sub, small, sizeof small, IPC_NOW), -EMSGSIZE);
        IS(ipc_channel_info(&sub, &facts), 0);
        IS(facts.next, n);
        MUST(facts.max >= 65536);
        gets(&sub, 77);
        IS(ipc_channel_recv(&sub, NULL, 0, IPC_NOW), 0);
        IS(ipc_channel_info(&pub, &facts), 0);
        IS(ipc_channel_send(&pub, uri, facts.max + 1, IPC_NOW), -EMSGSIZE);
        ipc_channel_close(&pub);
        ipc_channel_close(&sub);
    }
}

/* ------------------------------------------------------------------ slow, stopped, killed */

/* Lossless: a send that was refused was sent to nobody; each gets all others. */
static void a_slow_subscriber_is_waited_for(void **state)
{
    struct ipc_channel fast;
    uint64_t n, i, got = 0;

    (void)state;
    EACH_ROW(!IS_LOSSY) {
        choose();
        publish(&pub);
        subscribe(&sub);
        join(&pub, &sub);
        subscribe(&fast);
        join(&pub, &fast);
        for (n = 1; sends(&pub, n, IPC_NOW) == 0; n++)
            gets(&fast, n);
        IS(sends(&pub, n, IPC_NOW), -ETIMEDOUT);
        IS(sends(&pub, n, ipc_in_ms(5)), -ETIMEDOUT);
        IS(receives(&fast, &got, IPC_NOW), -ETIMEDOUT);
        for (i = 1; i < n; i++)
            gets(&sub, i);
        IS(receives(&sub, &got, IPC_NOW), -ETIMEDOUT);
        IS(sends(&pub, n, IPC_NOW), 0);
        gets(&fast, n);
        gets(&sub, n);
        ipc_channel_close(&pub);
        ipc_channel_close(&sub);
        ipc_channel_close(&fast);
    }
}

/* Lossy: no send waits, and the subscriber is told once for each time, and exactly how many. */
static void a_lapped_subscriber_is_told_how_many(void **state)
{
    uint64_t n, got = 0, next = 1;
    int rc, told = 0;

    (void)state;
    EACH_ROW(IS_LOSSY) {
        choose();
        publish(&pub);
        subscribe(&sub);
        join(&pub, &sub);
        while (receives(&sub, &got, IPC_NOW) == 0)
            ;
        for (n = 1; n <= 5000; n++) /* several times what there is room for */
            IS(sends(&pub, n, IPC_NOW), 0);
        IS(receives(&sub, &got, IPC_NOW), -EOVERFLOW);
        MUST(strstr(ipc_channel_why(&sub), "missed") != NULL);
        next = 1 + missed(&sub);
        MUST(next > 4000 && next <= 5000);
        for (told = 0; (rc = receives(&sub, &got, IPC_NOW)) == 0; told++)
            IS(got, next++);
        IS(rc, -ETIMEDOUT);
        MUST(told > 10);
        IS(next, 5001);
        IS(sends(&pub, 5001, IPC_NOW), 0);
        gets(&sub, 5001);
        IS(missed(&sub), 5001 - (uint64_t)told - 1);
        ipc_channel_close(&pub);
        ipc_channel_close(&sub);
    }
}

/* A message that is too large for the buffer is overwritten before a larger one comes. */
static void a_refused_message_may_be_lapped(void **state)
{
    uint64_t n, got = 0;
    char small[8];

    (void)state;
    EACH_ROW(IS_LOSSY) {
        choose();
        publish(&pub);
        subscribe(&sub);
        join(&pub, &sub);
        while (receives(&sub, &got, IPC_NOW) == 0)
            ;
        IS(sends(&pub, 1, IPC_NOW), 0);
        IS(ipc_channel_recv(&sub, small, sizeof small, IPC_NOW), -EMSGSIZE);
        for (n = 2; n <= 5000; n++)
            IS(sends(&pub, n, IPC_NOW), 0);
        IS(ipc_channel_recv(&sub, small, sizeof small, IPC_NOW), -EOVERFLOW);
        gets(&sub, 1 + missed(&sub));
        ipc_channel_close(&pub);
        ipc_channel_close(&sub);
    }
}

static void a_stopped_subscriber(void **state)
{
    uint64_t i, last = 3000;
    struct child c;

    (void)state;
    EACH_ROW(1) {
        choose();
        publish(&pub);
        c = spawn(checks_all, &last);
        joins(&pub, &c, 1);
        stop_child(&c);
        for (i = 1; i <= last && sends(&pub, i, IPC_NOW) == 0; i++)
            ;
        MUST(IS_LOSSY ? i == last + 1 : i < last);
        if (!IS_LOSSY)
            IS(sends(&pub, i, ipc_in_ms(20)), -ETIMEDOUT);
        signal_child(&c, SIGCONT);
        for (; i <= last; i++)
            IS(sends(&pub, i, ipc_in_ms(LONG_MS)), 0);
        ipc_channel_close(&pub);
        finish(&c);
    }
}

/* Sends zeros until told how many numbers to send, and from which on; *ms is for each of them. */
static void publishes(struct child *up, void *ms)
{
    struct pollfd p = {up->from, POLLIN, 0};
    uint64_t first, n;

    publish(&pub);
    do
        IS(sends(&pub, 0, ipc_in_ms(LONG_MS)), 0);
    while (poll(&p, 1, 1) == 0);
    first = hear(up);
    for (n = hear(up); n-- > 0; first++)
        IS(sends(&pub, first, ms != NULL ? ipc_in_ms(*(int64_t *)ms) : IPC_NOW), 0);
    tell(up, 1);
    wait_for_death();
}

/* Stays a subscriber that reads nothing more. */
static void reads_no_more(struct child *up, void *arg)
{
    struct message m;

    (void)arg;
    subscribe(&sub);
    MUST(ipc_channel_recv(&sub, &m, sizeof m, ipc_in_ms(LONG_MS)) >= 0);
    tell(up, 1);
    wait_for_death();
}

/* A subscriber that is killed while the publisher sleeps for it: the publisher goes on. */
static void a_killed_subscriber(void **state)
{
    struct child c, publisher;
    struct message m;
    uint64_t i;

    (void)state;
    EACH_ROW(!IS_LOSSY) {
        choose();
        publisher = spawn(publishes, &(int64_t){LONG_MS});
        subscribe(&sub);
        MUST(ipc_channel_recv(&sub, &m, sizeof m, ipc_in_ms(LONG_MS)) >= 0);
        c = spawn(reads_no_more, NULL);
        IS(hear(&c), 1);
        tell(&publisher, 1);
        tell(&publisher, 3000);
        for (i = 1; receives(&sub, &m.number, ipc_in_ms(50)) == 0; i++)
            IS(m.number, i);
        MUST(i < 3000);
        EVENTUALLY(rests(publisher.pid));
        kill_child(&c);
        for (; i <= 3000; i++)
            gets(&sub, i);
        IS(hear(&publisher), 1);
        kill_child(&publisher);
        ipc_channel_close(&sub);
    }
}

/* Subscribers come and are killed anywhere: those who stay get all, and no place is lost. */
static void comes_and_goes(struct child *up, void *arg)
{
    uint64_t number;

    (void)arg;
    tell(up, 1);
    for (;;) {
        if (ipc_channel_open(&sub, uri, IPC_RECV, ipc_in_ms(LONG_MS)) == 0)
            (void)receives(&sub, &number, ipc_in_ms(2));
        ipc_channel_close(&sub);
    }
}

static void subscribers_are_killed_at_random(void **state)
{
    uint64_t i, n, last = 40 * 100;
    struct child c[3], stays;

    (void)state;
    EACH_ROW(1) {
        choose();
        MUST(publish_with(&pub, 5, 0, 0) == 0);
        stays = spawn(checks_all, &last);
        joins(&pub, &stays, 1);
        for (i = 0, n = 1; i < 40; i++) {
            unsigned k = (unsigned)(i % 3), until = (unsigned)(n + 100);

            if (i >= 3)
                kill_child(&c[k]);
            c[k] = spawn(comes_and_goes, NULL);
            IS(hear(&c[k]), 1);
            for (; n < until; n++)
                IS(sends(&pub, n, ipc_in_ms(LONG_MS)), 0);
        }
        for (i = 0; i < 3; i++)
            kill_child(&c[i]);
        subscribe(&sub); /* the killed ones' places are free */
        join(&pub, &sub);
        ipc_channel_close(&pub);
        ipc_channel_close(&sub);
        finish(&stays);
    }
}

static void as_many_as_asked_for(void **state)
{
    struct ipc_channel subs[8];
    unsigned i;
    int rc;

    (void)state;
    EACH_ROW(1) {
        choose();
        MUST(publish_with(&pub, 3, 0, 0) == 0);
        for (i = 0; i < 3; i++) {
            subscribe(&subs[i]);
            join(&pub, &subs[i]);
        }
        for (; i < 8 && IS_LOSSY && !IS_AUTO; i++) { /* those behind the last place only read */
            subscribe(&subs[i]);
            join(&pub, &subs[i]);
        }
        if (!IS_LOSSY) {
            rc = ipc_channel_open(&subs[i], uri, IPC_RECV, ipc_in_ms(LONG_MS));
            if (IS_AUTO) /* it is told by recv */
                EVENTUALLY((sends(&pub, 0, IPC_NOW), rc = receives(&subs[i], &(uint64_t){0},
                                                                   IPC_NOW)) != -ETIMEDOUT);
            IS(rc, -EUSERS);
            ipc_channel_close(&subs[i]);
        }
        ipc_channel_close(&subs[0]);
        subscribe(&subs[0]); /* its place is free again */
        join(&pub, &subs[0]);
        while (i-- > 0)
            ipc_channel_close(&subs[i]);
        ipc_channel_close(&pub);
    }
}

/* ------------------------------------------------------------------ the publisher */

static void a_publisher_is_killed_and_comes_again(void **state)
{
    uint64_t got = 0, i, lives;
    struct child c;
    struct message m;

    (void)state;
    EACH_ROW(1) {
        choose();
        for (lives = 0; lives < 3; lives++) {
            c = spawn(publishes, NULL);
            if (lives == 0)
                subscribe(&sub);
            MUST(ipc_channel_recv(&sub, &m, sizeof m, ipc_in_ms(LONG_MS)) >= 0);
            tell(&c, 10 * lives + 1);
            tell(&c, 10);
            IS(hear(&c), 1);
            kill_child(&c);
            for (i = 1; i <= 10; i++) /* all that it had sent, then the loss, once */
                gets(&sub, 10 * lives + i);
            IS(receives(&sub, &got, ipc_in_ms(LONG_MS)), IS_AUTO ? -EPIPE : -EOWNERDEAD);
            IS(receives(&sub, &got, ipc_in_ms(1)), -ETIMEDOUT);
        }
        ipc_channel_close(&sub);
    }
}

/* Over a ring a subscriber misses nothing of a publisher that comes again while it is away. */
static void a_ring_goes_on(void **state)
{
    uint64_t got = 0;

    (void)state;
    EACH_ROW(!IS_AUTO) {
        choose();
        publish(&pub);
        subscribe(&sub);
        IS(sends(&pub, 1, IPC_NOW), 0);
        ipc_channel_close(&pub);
        row = IS_LOSSY ? row - 1 : row + 1; /* the other way */
        IS(publish_with(&pub, 0, 0, 0), -EPROTO);
        MUST(strstr(ipc_channel_why(&pub), "in another way") != NULL);
        row = IS_LOSSY ? row - 1 : row + 1;
        IS(publish_with(&pub, 0, 200000, 0), -EADDRINUSE); /* a subscriber has the smaller one */
        publish(&pub);
        IS(publish_with(&(struct ipc_channel){0}, 0, 0, 0), -EADDRINUSE);
        IS(sends(&pub, 2, IPC_NOW), 0);
        gets(&sub, 1);
        gets(&sub, 2);
        IS(receives(&sub, &got, IPC_NOW), -EPIPE); /* the first one, once */
        IS(receives(&sub, &got, IPC_NOW), -ETIMEDOUT);
        ipc_channel_close(&pub);
        ipc_channel_close(&sub);
        IS(ipc_channel_unlink(uri), 0);
        IS(ipc_channel_unlink(uri), -ENOENT);
    }
}

/* ------------------------------------------------------------------ waiting, events, strangers */

/* A subscriber that sleeps is woken by the message. */
static void sleeps(struct child *up, void *arg)
{
    struct message m;

    (void)arg;
    subscribe(&sub);
    MUST(ipc_channel_recv(&sub, &m, sizeof m, ipc_in_ms(LONG_MS)) >= 0);
    tell(up, 1);
    gets(&sub, 5);
    ipc_channel_close(&sub);
}

static void sleepers_are_woken(void **state)
{
    struct child c[3];
    uint32_t *bell, before;
    unsigned i;

    (void)state;
    EACH_ROW(1) {
        choose();
        publish(&pub);
        bell = &pub.ring->out_data.at->word;
        for (i = 0; i < 3; i++)
            c[i] = spawn(sleeps, NULL);
        joins(&pub, c, 3);
        for (i = 0; i < 3; i++)
            EVENTUALLY(rests(c[i].pid));
        before = ck_pr_load_32(bell);
        IS(sends(&pub, 5, IPC_NOW), 0);
        MUST(ck_pr_load_32(bell) != before); /* they look now and then in any case */
        for (i = 0; i < 3; i++)
            finish(&c[i]);
        ipc_channel_close(&pub);
    }
}

static unsigned clients(void)
{
    struct ipc_channel_facts facts;

    IS(ipc_channel_flush(&pub, IPC_NOW), 0);
    IS(ipc_channel_info(&pub, &facts), 0);
    return facts.clients;
}

static void reads_the_first(struct child *up, void *arg)
{
    char to[8];

    (void)arg;
    IS(ipc_channel_open(&sub, uri, IPC_RECV, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_recv(&sub, to, sizeof to, ipc_in_ms(LONG_MS)), 5);
    tell(up, 0);
    (void)hear(up);
    ipc_channel_close(&sub);
}

/* A lossless publisher learns when all have subscribed, before it sends the first message. */
static void a_publisher_waits_for_its_subscribers(void **state)
{
    struct child c[3];
    int i;

    (void)state;
    EACH_ROW(!IS_LOSSY)
    {
        choose();
        publish(&pub);
        IS(clients(), 0);
        for (i = 0; i < 3; i++)
            c[i] = spawn(reads_the_first, NULL);
        EVENTUALLY(clients() == 3);
        IS(ipc_channel_send(&pub, "first", 5, IPC_NOW), 0);
        for (i = 0; i < 3; i++)
            (void)hear(&c[i]);
        IS(clients(), 3);
        for (i = 0; i < 3; i++) {
            tell(&c[i], 0);
            finish(&c[i]);
            IS(clients(), 2 - i);
        }
        c[0] = spawn(reads_the_first, NULL);
        EVENTUALLY(clients() == 1);
        kill_child(&c[0]);
        EVENTUALLY(clients() == 0);
        ipc_channel_close(&pub);
        (void)ipc_channel_unlink(uri);
    }
}

static void an_event_loop_subscribes(void **state)
{
    struct pollfd p = {-1, POLLIN, 0};
    uint64_t got = 0;
    unsigned looks;

    (void)state;
    EACH_ROW(IS_AUTO) {
        choose();
        publish(&pub);
        subscribe(&sub);
        join(&pub, &sub);
        for (looks = 0; (p.fd = ipc_channel_fd(&sub)) >= 0 && poll(&p, 1, 0) == 1; looks++)
            IS(receives(&sub, &got, IPC_NOW), looks < 100 ? -ETIMEDOUT : 0);
        MUST(p.fd >= 0);
        IS(sends(&pub, 9, IPC_NOW), 0);
        IS(poll(&p, 1, LONG_MS), 1);
        gets(&sub, 9);
        ipc_channel_close(&pub);
        IS(poll(&p, 1, LONG_MS), 1);
        EVENTUALLY(receives(&sub, &got, IPC_NOW) == -EPIPE);
        ipc_channel_close(&sub);
    }
}

/* Clients of auto: that say nothing, or nonsense, or want to send, hold up no subscriber, and the
 * publisher not at all. */
static void strangers_at_the_socket(void **state)
{
    struct ipc_channel sender;
    struct sockaddr_un at;
    int silent, noisy, rc;
    socklen_t size;

    (void)state;
    EACH_ROW(IS_AUTO) {
        choose();
        publish(&pub);
        memset(&at, 0, sizeof at);
        at.sun_family = AF_UNIX;
        (void)snprintf(at.sun_path + 1, sizeof at.sun_path - 1, "ipc-auto-%.80s", name);
        size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(at.sun_path + 1));
        silent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        noisy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        MUST(connect(silent, (struct sockaddr *)&at, size) == 0 &&
             connect(noisy, (struct sockaddr *)&at, size) == 0 && send(noisy, &at, 100, 0) == 100);
        IS(ipc_channel_open(&sender, uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
        subscribe(&sub);
        join(&pub, &sub);
        rc = ipc_channel_send(&sender, uri, 1, ipc_in_ms(LONG_MS));
        IS(rc, -EPROTO);
        IS(sends(&pub, 3, IPC_NOW), 0);
        gets(&sub, 3);
        IS(ipc_channel_accept(&pub, &sender, IPC_NOW), -EOPNOTSUPP);
        IS(ipc_channel_recv(&pub, &at, sizeof at, IPC_NOW), -EINVAL);
        ipc_channel_close(&pub);
        ipc_channel_close(&sub);
        ipc_channel_close(&sender);
        (void)close(silent);
        (void)close(noisy);
    }
}

/* Another user that may only read the segment. */
static void reads_as_nobody(struct child *up, void *arg)
{
    struct ipc_channel_options how;
    int rc;

    (void)arg;
    memset(&how, 0, sizeof how);
    how.mode = 0644;
    if (setgid(65534) != 0 || setuid(65534) != 0)
        _exit(UNABLE);
    rc = ipc_channel_open_with(&sub, uri, IPC_RECV, ipc_in_ms(LONG_MS), &how);
    must_(rc == (IS_LOSSY ? 0 : -EACCES), "open", ipc_channel_why(&sub), __FILE__, __LINE__);
    tell(up, 1);
    if (rc != 0)
        return;
    gets(&sub, 4);
    gets(&sub, 5);
    tell(up, 2);
    IS(receives(&sub, &(uint64_t){0}, ipc_in_ms(LONG_MS)), -EPIPE);
}

static void who_may_only_read_subscribes(void **state)
{
    struct child c;

    (void)state;
    SKIP_IF(geteuid() != 0, "not root");
    EACH_ROW(!IS_AUTO) {
        choose();
        MUST(publish_with(&pub, 0, 0, 0644) == 0);
        c = spawn(reads_as_nobody, NULL);
        IS(hear(&c), 1);
        if (IS_LOSSY) {
            IS(sends(&pub, 4, IPC_NOW), 0);
            IS(sends(&pub, 5, IPC_NOW), 0);
            IS(hear(&c), 2);
        }
        ipc_channel_close(&pub);
        finish(&c);
    }
}

/* ------------------------------------------------------------------ groups, logs, refusals */

/* Subscribes to a group, and gets numbers from any one on, in a row. */
static void hears_the_group(struct child *up, void *arg)
{
    uint64_t i;

    (void)arg;
    subscribe(&sub);
    tell(up, 1);
    for (i = 1; i <= 20; i++)
        gets(&sub, i);
    tell(up, 2);
    gets(&sub, 21); /* the publisher's end is not told: the next one is heard */
}

static void hears_the_next(struct child *up, void *arg)
{
    (void)arg;
    subscribe(&sub);
    tell(up, 1);
    gets(&sub, 21);
}

/* lo delivers no groups of IPv6: makes another interface, whose address is good at once. */
static void make_interface(void)
{
    FILE *dad = fopen("/proc/sys/net/ipv6/conf/default/accept_dad", "w");

    if (dad == NULL || fputs("0", dad) < 0 || fclose(dad) != 0 ||
        system("exec 2>/dev/null; ip link add d0 type veth peer name d1 && ip link set d1 up && "
               "ip link set d0 up") != 0)
        _exit(UNABLE);
}

static void a_group_is_published_to(struct child *up, void *arg)
{
    struct child c[3], late;
    struct ifreq lo;
    uint64_t i;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)up;
    memset(&lo, 0, sizeof lo);
    (void)strcpy(lo.ifr_name, "lo");
    lo.ifr_flags = IFF_UP;
    if (unshare(CLONE_NEWNET) != 0)
        _exit(UNABLE);
    (void)close(fd);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0 && close(fd) == 0);
    (void)snprintf(uri, sizeof uri, "%s", (const char *)arg);
    if (strchr(uri, '[') != NULL)
        make_interface();
    EVENTUALLY(publish_with(&pub, 0, 0, 0) == 0); /* the interface may be about to come up */
    IS(sends(&pub, 0, IPC_NOW), 0);
    for (i = 0; i < 3; i++) {
        c[i] = spawn(hears_the_group, NULL);
        IS(hear(&c[i]), 1);
    }
    for (i = 1; i <= 20; i++)
        IS(sends(&pub, i, ipc_in_ms(LONG_MS)), 0);
    for (i = 0; i < 3; i++)
        IS(hear(&c[i]), 2);
    ipc_channel_close(&pub);
    kill_child(&c[2]); /* no loss to the others */
    late = spawn(hears_the_next, NULL);
    IS(hear(&late), 1);
    publish(&pub);
    IS(sends(&pub, 21, ipc_in_ms(LONG_MS)), 0);
    finish(&c[0]);
    finish(&c[1]);
    finish(&late);
    ipc_channel_close(&pub);
}

static void groups(void **state)
{
    static const struct row udp = {"udp", IPC_LOSSY};
    static char uris[3][40] = {"udp:239.1.2.3%lo:9000", "udp:[ff12::1:2%d0]:9000",
                               "udp:[ff15::1:2%d0]:9000"};
    unsigned i;
    int rc;

    (void)state;
    row = &udp;
    for (i = 0; i < 3; i++) {
        rc = run(a_group_is_published_to, uris[i]);
        if (rc == UNABLE)
            print_message("note: skipped: no multicast to %s\n", uris[i]);
        else
            IS(rc, 0);
    }
}

static void a_log_is_published(void **state)
{
    static const struct row log[] = {{"file", IPC_LOSSLESS}, {"file", IPC_LOSSY}};
    struct ipc_channel second;

    (void)state;
    for (row = log; row < log + 2; row++) {
        next_name(NULL);
        (void)snprintf(uri, sizeof uri, "file:/dev/shm/%s", name);
        publish(&pub);
        IS(sends(&pub, 1, IPC_NOW), 0);
        subscribe(&sub);
        subscribe(&second);
        IS(sends(&pub, 2, IPC_NOW), 0);
        gets(&sub, 1);
        gets(&sub, 2);
        gets(&second, 1);
        gets(&second, 2);
        ipc_channel_close(&pub);
        ipc_channel_close(&sub);
        ipc_channel_close(&second);
    }
}

static void refuses(const char *at, unsigned role, struct ipc_channel_options how, int want)
{
    int rc = ipc_channel_open_with(&pub, at, role, IPC_NOW, &how);

    is_(rc, want, at, __FILE__, __LINE__);
    MUST(*ipc_channel_why(&pub) != '\0');
}

static void what_cannot_be_published_is_refused(void **state)
{
    static const char *const others[] = {"pipe:", "fifo:/dev/shm/x", "unix:@x", "unix-seq:@x",
                                         "unix-dgram:@x", "tcp:127.0.0.1:0", "mq:x", "sysv:7",
                                         "sysvshm:7", "signal:1", "fd:0"};
    struct ipc_channel_options how;
    unsigned i;

    (void)state;
    memset(&how, 0, sizeof how);
    how.publish = IPC_LOSSY;
    for (i = 0; i < sizeof others / sizeof *others; i++)
        refuses(others[i], IPC_SEND | IPC_LISTEN, how, -EOPNOTSUPP);
    refuses("udp:127.0.0.1:9000", IPC_SEND | IPC_LISTEN, how, -EOPNOTSUPP);
    refuses("udp:[::1]:9000", IPC_SEND | IPC_LISTEN, how, -EOPNOTSUPP);
    refuses("udp:239.1.2.3%nowhere:9000", IPC_SEND | IPC_LISTEN, how, -ENODEV);
    refuses("udp:239.1.2.3:0", IPC_SEND | IPC_LISTEN, how, -EINVAL);
    refuses("ring:x", IPC_SEND, how, -EOPNOTSUPP);
    refuses("ring:x", IPC_RECV, how, -EOPNOTSUPP);
    refuses("ring:x", IPC_BOTH | IPC_LISTEN, how, -EOPNOTSUPP);
    how.receivers = 3;
    refuses("udp:239.1.2.3:9000", IPC_SEND | IPC_LISTEN, how, -EOPNOTSUPP);
    how.receivers = 65536;
    refuses("ring:x", IPC_SEND | IPC_LISTEN, how, -EINVAL);
    how.receivers = 0;
    how.senders = 2;
    refuses("ring:x", IPC_SEND | IPC_LISTEN, how, -EOPNOTSUPP);
    how.senders = 0;
    how.publish = 3;
    refuses("ring:x", IPC_SEND | IPC_LISTEN, how, -EINVAL);
    how.publish = IPC_LOSSLESS;
    refuses("udp:239.1.2.3:9000", IPC_SEND | IPC_LISTEN, how, -EOPNOTSUPP);
    memset(&how, 0, sizeof how);
    refuses("udp:127.0.0.1:9000", IPC_RECV, how, -EOPNOTSUPP);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_subscriber_gets_every_message), TEST(a_late_subscriber_gets_what_comes),
        TEST(a_message_waits_for_a_larger_buffer), TEST(a_slow_subscriber_is_waited_for),
        TEST(a_lapped_subscriber_is_told_how_many), TEST(a_refused_message_may_be_lapped),
        TEST(a_stopped_subscriber), TEST(a_killed_subscriber),
        TEST(subscribers_are_killed_at_random), TEST(as_many_as_asked_for),
        TEST(a_publisher_is_killed_and_comes_again), TEST(a_ring_goes_on),
        TEST(sleepers_are_woken), TEST(an_event_loop_subscribes), TEST(strangers_at_the_socket),
        TEST(a_publisher_waits_for_its_subscribers),
        TEST(who_may_only_read_subscribes), TEST(groups), TEST(a_log_is_published),
        TEST(what_cannot_be_published_is_refused),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("publishing", tests, NULL, NULL);
}
