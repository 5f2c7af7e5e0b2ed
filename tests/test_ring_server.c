/*
 * ring: in event loops, ring: servers of many clients, and which client an answer is for: with real
 * processes that are stopped and killed.
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

static char uri[200];
static struct ipc_channel ch;
static const char *scheme = "ring";

/* A key of this test's own. */
static unsigned number_of(const char *text)
{
    uint32_t h = 2166136261u;

    while (*text != '\0')
        h = (h ^ (unsigned char)*text++) * 16777619u;
    return (h & 0x7fffffff) | 1;
}

static void open_as(unsigned role, unsigned clients)
{
    struct ipc_channel_options how;
    int rc;

    if (strcmp(scheme, "ring") == 0)
        (void)snprintf(uri, sizeof uri, "ring:%s", name);
    else
        (void)snprintf(uri, sizeof uri, "%s:%u", scheme, number_of(name));
    memset(&how, 0, sizeof how);
    how.clients = clients;
    rc = ipc_channel_open_with(&ch, uri, role, ipc_in_ms(LONG_MS), &how);
    must_(rc == 0, uri, ipc_channel_why(&ch), __FILE__, __LINE__);
}

static void put(uint64_t number)
{
    IS(ipc_channel_send(&ch, &number, sizeof number, ipc_in_ms(LONG_MS)), 0);
}

/* ------------------------------------------------------------------ in an event loop */

/* What recv says next, for a loop that sleeps in poll alone. */
static int64_t poll_and_get(uint64_t *number)
{
    struct pollfd p = {ipc_channel_fd(&ch), POLLIN, 0};
    int64_t rc;

    while ((rc = ipc_channel_recv(&ch, number, sizeof *number, IPC_NOW)) == -ETIMEDOUT)
        IS(poll(&p, 1, LONG_MS), 1);
    return rc;
}

static void sends_as_told(struct child *up, void *arg)
{
    uint64_t word;

    (void)arg;
    open_as(IPC_SEND, 0);
    tell(up, 1);
    while ((word = hear(up)) != 0)
        put(word);
    ipc_channel_close(&ch);
}

/* As long as the other side says nothing, the loop may be woken a few times, but not for ever. */
static void the_loop_rests(void)
{
    struct pollfd p = {ipc_channel_fd(&ch), POLLIN, 0};
    uint64_t number;
    unsigned i;

    for (i = 0; i < 100 && poll(&p, 1, 30) == 1; i++)
        IS(ipc_channel_recv(&ch, &number, sizeof number, IPC_NOW), -ETIMEDOUT);
    MUST(i < 100);
}

static void a_loop_learns_of_messages_and_of_each_end(void **state)
{
    unsigned how;

    (void)state;
    open_as(IPC_RECV | IPC_LISTEN, 0);
    MUST(ipc_channel_fd(&ch) >= 0);
    for (how = 0; how < 4; how++) {
        struct child c = spawn(sends_as_told, NULL);
        uint64_t number = 0, i;

        (void)hear(&c);
        for (i = 1; i <= 3; i++) {
            the_loop_rests();
            tell(&c, i);
            IS(poll_and_get(&number), sizeof number);
            IS(number, i);
        }
        if (how % 2 == 0)
            the_loop_rests();
        if (how < 2)
            tell(&c, 0);
        else
            signal_child(&c, SIGKILL);
        IS(poll_and_get(&number), how < 2 ? -EPIPE : -EOWNERDEAD);
        if (how < 2)
            finish(&c);
        else
            was_killed(&c);
        the_loop_rests(); /* told once */
    }
    ipc_channel_close(&ch);
    open_as(IPC_SEND | IPC_LISTEN, 0);
    IS(ipc_channel_fd(&ch), -EOPNOTSUPP);
    ipc_channel_close(&ch);
}

/* ------------------------------------------------------------------ whom an answer is for */

static uint64_t get(void)
{
    uint64_t number = 0;

    IS(ipc_channel_recv(&ch, &number, sizeof number, ipc_in_ms(LONG_MS)), sizeof number);
    return number;
}

static int try_put(uint64_t number)
{
    return ipc_channel_send(&ch, &number, sizeof number, IPC_NOW);
}

/* Sends, over the loss that it reports. How often it was told of one. */
static uint64_t put_next(uint64_t number)
{
    uint64_t losses = 0;
    int rc;

    while ((rc = ipc_channel_send(&ch, &number, sizeof number, ipc_in_ms(LONG_MS))) == -EPIPE)
        losses++;
    IS(rc, 0);
    return losses;
}

/* Does as it is told: opens, sends, receives, closes; and says when that is done. */
enum { OPEN = 1, CLOSE, GET, ENDS, PUT = 100 };

static void obeys(struct child *up, void *arg)
{
    uint64_t word, number = 0;

    (void)arg;
    while ((word = hear(up)) != 0) {
        if (word == OPEN)
            open_as(IPC_BOTH, 0);
        else if (word == CLOSE)
            ipc_channel_close(&ch);
        else if (word == GET || word == ENDS)
            number = (uint64_t)ipc_channel_recv(&ch, &number, sizeof number, ipc_in_ms(LONG_MS)) ==
                             sizeof number
                         ? number
                         : 0;
        else
            number = put_next(word);
        tell(up, word == GET || word >= PUT ? number : 0);
    }
}

static uint64_t order(const struct child *c, uint64_t word)
{
    tell(c, word);
    return hear(c);
}

/* recv, over the losses that it reports meanwhile: *losses. */
static uint64_t get_next(unsigned *losses)
{
    uint64_t number = 0;
    int64_t rc;

    while ((rc = ipc_channel_recv(&ch, &number, sizeof number, ipc_in_ms(LONG_MS))) == -EPIPE ||
           rc == -EOWNERDEAD)
        ++*losses;
    IS(rc, sizeof number);
    return number;
}

static void ends(struct child *c, int killed)
{
    if (killed) {
        kill_child(c);
        return;
    }
    (void)order(c, CLOSE);
    tell(c, 0);
    finish(c);
}

/* The client is gone before its question is received, before it is answered, or before it has read
 * the answer; the next one asks before the listener does anything. */
static void answer_to_one_that_left(int killed, int when)
{
    struct child a = spawn(obeys, NULL), b = spawn(obeys, NULL);
    unsigned losses = 0;
    uint64_t number = 0;

    open_as(IPC_BOTH | IPC_LISTEN, 0);
    (void)order(&a, OPEN);
    (void)order(&a, PUT + 1);
    (void)order(&a, PUT + 2);
    if (when > 0)
        IS(get(), PUT + 1);
    if (when > 1)
        put(901);
    if (when > 2) {
        IS(get(), PUT + 2);
        put(902);
        IS(order(&a, GET), 901);
    }
    ends(&a, killed);
    (void)order(&b, OPEN);
    (void)order(&b, PUT + 3);
    if (when < 1)
        IS(get(), PUT + 1);
    if (when < 2)
        IS(try_put(901), -EPIPE);
    if (when < 3) {
        IS(get(), PUT + 2);
        IS(try_put(902), -EPIPE);
    }
    IS(get_next(&losses), PUT + 3);
    put(903);
    IS(order(&b, GET), 903);
    IS(ipc_channel_recv(&ch, &number, sizeof number, IPC_NOW),
       losses == 0 ? (killed ? -EOWNERDEAD : -EPIPE) : -ETIMEDOUT); /* told once */
    (void)order(&b, PUT + 4);
    IS(get(), PUT + 4);
    put(904);
    IS(order(&b, GET), 904);
    ends(&b, killed);
    IS(ipc_channel_recv(&ch, &number, sizeof number, ipc_in_ms(LONG_MS)),
       killed ? -EOWNERDEAD : -EPIPE);
    ipc_channel_close(&ch);
    IS(ipc_channel_unlink(uri), 0);
}

static void no_answer_reaches_the_next_client(void **state)
{
    int killed, when;

    for (killed = 0; killed < 2; killed++)
        for (when = 0; when < 4; when++)
            answer_to_one_that_left(killed, when);
    scheme = "sysvshm";
    for (killed = 0; killed < 2; killed++)
        for (when = 0; when < 4; when++)
            answer_to_one_that_left(killed, when);
    scheme = "ring";
    (void)state;
}

static void a_listener_that_starts_again_answers_the_client_that_is_there(void **state)
{
    struct child a = spawn(obeys, NULL), b = spawn(obeys, NULL);

    (void)state;
    open_as(IPC_BOTH | IPC_LISTEN, 0);
    put(900); /* to nobody: it is for the first one that comes */
    (void)order(&a, OPEN);
    IS(order(&a, GET), 900);
    (void)order(&a, PUT + 1);
    IS(get(), PUT + 1);
    put(901);
    ipc_channel_close(&ch);
    open_as(IPC_BOTH | IPC_LISTEN, 0);
    IS(order(&a, GET), 901);
    IS(order(&a, PUT + 2), 1); /* told once that the listener was another one */
    IS(get(), PUT + 2);
    put(902);
    ipc_channel_close(&ch);
    (void)order(&a, CLOSE); /* it has not read 902 */
    (void)order(&b, OPEN);
    open_as(IPC_BOTH | IPC_LISTEN, 0);
    (void)order(&b, PUT + 3);
    IS(get(), PUT + 3);
    put(903);
    IS(order(&b, GET), 903);
    ends(&b, 0);
    tell(&a, 0);
    finish(&a);
    ipc_channel_close(&ch);
}

/* ------------------------------------------------------------------ a server */

/* The server of the test: answers each message with itself. What it knows of each client. */
struct known {
    uint64_t from, tag;
    int told;
};
static struct known known[100000]; /* as many as come on a slow machine */
static unsigned known_count;

static struct known *known_of(uint64_t from)
{
    unsigned i;

    MUST(from != 0 && known_count < sizeof known / sizeof *known);
    for (i = known_count; i > 0; i--) /* the latest first */
        if (known[i - 1].from == from)
            return &known[i - 1];
    known[known_count].from = from;
    known[known_count].tag = 0;
    known[known_count].told = 0;
    return &known[known_count++];
}

/* A question: which client asks, and its how manieth it is. */
struct question {
    uint64_t tag, number;
};

/* Serves one message or loss. Returns what recv said. */
static int64_t serve_one(int64_t deadline)
{
    struct question q = {0, 0};
    int64_t rc = ipc_channel_recv(&ch, &q, sizeof q, deadline);
    struct known *k;
    int sent;

    if (rc == -ETIMEDOUT)
        return rc;
    k = known_of(ch.from);
    MUST(!k->told); /* a number that was told of is never used again */
    if (rc < 0) {
        MUST(rc == -EPIPE || rc == -EOWNERDEAD);
        k->told = 1;
        IS(ipc_channel_send_to(&ch, k->from, &q, sizeof q, IPC_NOW), -EPIPE);
        return rc;
    }
    IS(rc, sizeof q);
    MUST(k->tag == 0 || k->tag == q.tag);
    k->tag = q.tag;
    sent = ipc_channel_send(&ch, &q, sizeof q, IPC_NOW);
    MUST(sent == 0 || sent == -EPIPE || sent == -ETIMEDOUT);
    return rc;
}

/* A process that is client after client, until it is killed. */
static uint64_t *tags; /* shared by all: the last tag */

static void asks_for_ever(struct child *up, void *arg)
{
    struct question q, answer;
    uint64_t n;

    (void)arg;
    tell(up, 1);
    for (;;) {
        q.tag = ck_pr_faa_64(tags, 1) + 1;
        open_as(IPC_BOTH, 0);
        for (q.number = 0; q.number < 20; q.number++) {
            int64_t rc;

            IS(ipc_channel_send(&ch, &q, sizeof q, ipc_in_ms(LONG_MS)), 0);
            if (q.number % 5 == 4)
                continue; /* the answer is read later, or never */
            do {
                rc = ipc_channel_recv(&ch, &answer, sizeof answer, ipc_in_ms(LONG_MS));
                IS(rc, sizeof answer);
                IS(answer.tag, q.tag);
            } while (answer.number < q.number);
            IS(answer.number, q.number);
        }
        for (n = 0; n < 3; n++) /* and leaves with answers on the way */
            IS(ipc_channel_send(&ch, &q, sizeof q, ipc_in_ms(LONG_MS)), 0);
        ipc_channel_close(&ch);
        ck_pr_inc_64(&tags[1]);
    }
}

enum { CROWD = 64 };

static void sixty_four_clients_come_go_stop_and_are_killed(void **state)
{
    struct child c[CROWD];
    uint64_t seed = 88172645463325252u, rounds;
    struct ipc_channel_facts facts;
    unsigned i, told = 0, stopped = CROWD;

    (void)state;
    tags = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    known_count = 0;
    open_as(IPC_BOTH | IPC_LISTEN, CROWD);
    for (i = 0; i < CROWD; i++) {
        c[i] = spawn(asks_for_ever, NULL);
        (void)hear(&c[i]);
    }
    for (i = 0; i < 60; i++) {
        rounds = ck_pr_load_64(&tags[1]);
        while (ck_pr_load_64(&tags[1]) < rounds + 8) /* others make progress */
            MUST(serve_one(ipc_in_ms(LONG_MS)) != -ETIMEDOUT);
        if (stopped < CROWD)
            signal_child(&c[stopped], SIGCONT);
        stopped = CROWD;
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        if (seed % 2 != 0) {
            stopped = (unsigned)(seed >> 8) % CROWD;
            stop_child(&c[stopped]);
        } else {
            unsigned k = (unsigned)(seed >> 8) % CROWD;

            kill_child(&c[k]);
            c[k] = spawn(asks_for_ever, NULL);
            (void)hear(&c[k]);
        }
    }
    for (i = 0; i < CROWD; i++)
        kill_child(&c[i]);
    do
        IS(ipc_channel_info(&ch, &facts), 0);
    while ((serve_one(ipc_in_ms(facts.clients != 0 ? LONG_MS : 50)) != -ETIMEDOUT));
    for (i = 0; i < known_count; i++)
        told += known[i].told != 0;
    IS(told, known_count); /* the end of each was told, once */
    IS(ipc_channel_info(&ch, &facts), 0);
    ipc_channel_close(&ch);
    IS(ipc_channel_unlink(uri), 0);
    (void)munmap(tags, 4096);
}

static void a_client_that_does_not_read_costs_the_others_nothing(void **state)
{
    struct child slow = spawn(obeys, NULL), c = spawn(obeys, NULL);
    static char much[60000];
    uint64_t number, of_slow, of_c;
    unsigned i;
    int rc = 0;

    (void)state;
    open_as(IPC_BOTH | IPC_LISTEN, 2);
    (void)order(&slow, OPEN);
    (void)order(&c, OPEN);
    (void)order(&slow, PUT + 1);
    IS(get(), PUT + 1);
    of_slow = ch.from;
    stop_child(&slow);
    for (i = 0; i < 100 && rc == 0; i++)
        rc = ipc_channel_send_to(&ch, of_slow, much, sizeof much, IPC_NOW);
    IS(rc, -ETIMEDOUT);
    for (i = 0; i < 300; i++) {
        (void)order(&c, PUT + i);
        IS(get(), PUT + i);
        of_c = ch.from;
        MUST(of_c != of_slow);
        IS(ipc_channel_send_to(&ch, of_slow, much, sizeof much, IPC_NOW), -ETIMEDOUT);
        put(PUT + i);
        IS(order(&c, GET), PUT + i);
    }
    kill_child(&slow);
    IS(ipc_channel_recv(&ch, &number, sizeof number, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
    IS(ch.from, of_slow);
    slow = spawn(obeys, NULL); /* its place is free again */
    (void)order(&slow, OPEN);
    (void)order(&slow, PUT + 2);
    IS(get(), PUT + 2);
    MUST(ch.from != of_slow && ch.from != of_c);
    put(902);
    IS(order(&slow, GET), 902); /* and nothing of what was for the one before */
    ends(&slow, 0);
    ends(&c, 0);
    ipc_channel_close(&ch);
}

static void a_client_that_was_dropped_is_told_and_may_come_again(void **state)
{
    struct child c = spawn(obeys, NULL);
    uint64_t first, second, number;

    (void)state;
    open_as(IPC_BOTH | IPC_LISTEN, 3);
    (void)order(&c, OPEN);
    (void)order(&c, PUT + 1);
    IS(get(), PUT + 1);
    first = ch.from;
    put(901);
    (void)order(&c, PUT + 2);
    IS(ipc_channel_drop(&ch, first), 0);
    IS(ipc_channel_drop(&ch, first), -EPIPE);
    IS(ipc_channel_send_to(&ch, first, "x", 1, IPC_NOW), -EPIPE);
    IS(ipc_channel_recv(&ch, &number, sizeof number, IPC_NOW), -ETIMEDOUT);
    IS(order(&c, GET), 901);
    (void)order(&c, ENDS); /* told */
    (void)order(&c, PUT + 3);
    IS(get(), PUT + 3);
    second = ch.from;
    MUST(second != first);
    put(903);
    IS(order(&c, GET), 903);
    ends(&c, 0);
    IS(ipc_channel_recv(&ch, &number, sizeof number, ipc_in_ms(LONG_MS)), -EPIPE);
    IS(ch.from, second);
    IS(ipc_channel_recv(&ch, &number, sizeof number, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&ch);
}

static void serves(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_BOTH | IPC_LISTEN, 4);
    tell(up, 1);
    known_count = 0;
    for (;;)
        (void)serve_one(IPC_FOREVER);
}

static void clients_are_told_and_then_meet_the_successor(void **state)
{
    struct question q = {7, 0}, answer;
    struct child s;
    unsigned round;
    int64_t rc;

    (void)state;
    s = spawn(serves, NULL);
    (void)hear(&s);
    open_as(IPC_BOTH, 0);
    for (round = 0; round < 5; round++) {
        for (q.number = 10 * round; q.number < 10 * round + 5; q.number++) {
            IS(ipc_channel_send(&ch, &q, sizeof q, ipc_in_ms(LONG_MS)), 0);
            do /* a killed server may have answered and not noted it: then the next one does again */
                IS(ipc_channel_recv(&ch, &answer, sizeof answer, ipc_in_ms(LONG_MS)),
                   sizeof answer);
            while (answer.number < q.number);
            IS(answer.number, q.number);
        }
        kill_child(&s);
        IS(ipc_channel_recv(&ch, &answer, sizeof answer, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
        s = spawn(serves, NULL);
        (void)hear(&s);
    }
    kill_child(&s);
    rc = ipc_channel_recv(&ch, &answer, sizeof answer, ipc_in_ms(LONG_MS));
    MUST(rc == -EOWNERDEAD || rc == sizeof answer);
    ipc_channel_close(&ch);
}

/* A client that may be stopped anywhere in its joining, and leaving. */
static void joins_and_leaves(struct child *up, void *arg)
{
    struct question q = {1000, 1};

    (void)arg;
    be_traced();
    open_as(IPC_BOTH, 0);
    IS(ipc_channel_send(&ch, &q, sizeof q, IPC_NOW), 0);
    ipc_channel_close(&ch);
    tell(up, 1);
}

static void one_stopped_in_joining_or_leaving_holds_nobody_up(void **state)
{
    unsigned n, traced = 0;
    struct question rest;
    int64_t rc;

    (void)state;
    open_as(IPC_BOTH | IPC_LISTEN, 2);
    known_count = 0;
    for (n = 1; n < 400; n++) {
        struct child a, c = spawn(obeys, NULL);
        int state_of = run_to(&a, joins_and_leaves, n);

        if (state_of < 0)
            break;
        traced = n;
        (void)order(&c, OPEN);
        (void)order(&c, PUT + n);
        do {
            struct question q = {0, 0};

            rc = ipc_channel_recv(&ch, &q, sizeof q, ipc_in_ms(LONG_MS));
            if (rc == 8)
                IS(ipc_channel_send(&ch, &q.tag, 8, IPC_NOW), 0);
        } while (rc != 8);
        IS(order(&c, GET), PUT + n);
        if (state_of > 0)
            kill_child(&a);
        ends(&c, n % 2 != 0);
        while (ipc_channel_recv(&ch, &rest, sizeof rest, IPC_NOW) != -ETIMEDOUT)
            ;
        if (state_of == 0)
            break;
    }
    SKIP_IF(traced == 0, "tracing is not permitted");
    MUST(n > 30 && n < 400);
    ipc_channel_close(&ch);
}

static void a_server_in_an_event_loop_rests_and_is_woken(void **state)
{
    unsigned round;

    (void)state;
    open_as(IPC_BOTH | IPC_LISTEN, 3);
    MUST(ipc_channel_fd(&ch) >= 0);
    for (round = 0; round < 4; round++) {
        struct child c = spawn(obeys, NULL);
        uint64_t number = 0, from;

        (void)order(&c, OPEN);
        the_loop_rests();
        (void)order(&c, PUT + round);
        IS(poll_and_get(&number), sizeof number);
        IS(number, PUT + round);
        from = ch.from;
        put(901);
        IS(order(&c, GET), 901);
        the_loop_rests();
        ends(&c, round % 2 != 0);
        IS(poll_and_get(&number), round % 2 != 0 ? -EOWNERDEAD : -EPIPE);
        IS(ch.from, from);
    }
    ipc_channel_close(&ch);
}

/* The place of a killed client is free for the next, which gets none of its answers; and a message that
 * is too long for the caller keeps out none of the others. */
static void each_client_has_its_end_its_answers_and_its_turn(void **state)
{
    struct child a = spawn(obeys, NULL), b = spawn(obeys, NULL);
    struct ipc_channel shorter, longer;
    uint64_t number, first;

    (void)state;
    open_as(IPC_BOTH | IPC_LISTEN, 3);
    (void)order(&a, OPEN);
    (void)order(&a, PUT + 1);
    IS(get(), PUT + 1);
    first = ch.from;
    IS(ipc_channel_recv(&ch, &number, sizeof number, IPC_NOW), -ETIMEDOUT); /* nobody has died yet */
    kill_child(&a);
    IS(ipc_channel_recv(&ch, &number, sizeof number, ipc_in_ms(3000)), -EOWNERDEAD);
    IS(ch.from, first);
    (void)order(&b, OPEN);
    (void)order(&b, PUT + 2);
    IS(get(), PUT + 2);
    MUST(ch.from != first);
    IS(ipc_channel_send_to(&ch, first, "x", 1, IPC_NOW), -EPIPE);
    put(900);
    IS(order(&b, GET), 900);
    IS(ipc_channel_open(&longer, uri, IPC_BOTH, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_open(&shorter, uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_send(&longer, "long", 4, IPC_NOW), 0);
    IS(ipc_channel_recv(&ch, &number, 2, ipc_in_ms(LONG_MS)), -EMSGSIZE);
    IS(ipc_channel_send(&shorter, "s", 1, IPC_NOW), 0);
    IS(ipc_channel_recv(&ch, &number, 2, ipc_in_ms(LONG_MS)), 1);
    IS(ipc_channel_recv(&ch, &number, sizeof number, ipc_in_ms(LONG_MS)), 4);
    IS(ipc_channel_drop(&ch, ch.from), 0);
    IS(ipc_channel_recv(&longer, &number, sizeof number, ipc_in_ms(3000)), -EPIPE);
    ipc_channel_close(&longer);
    ipc_channel_close(&shorter);
    ends(&b, 0);
    ipc_channel_close(&ch);
}

/* A client finds its answers within their object, whatever number of lanes the memory says. */
static void no_number_of_lanes_leads_beyond_the_answers(void **state)
{
    static const uint32_t lanes[] = {0, 1, 2, 64, 65, 1000, UINT32_MAX};
    struct ipc_shm_object all, own;
    struct ipc_channel client;
    uint32_t *how;
    size_t i;

    (void)state;
    open_as(IPC_BOTH | IPC_LISTEN, 3);
    IS(ipc_channel_open(&client, uri, IPC_BOTH, ipc_in_ms(LONG_MS)), 0);
    all = client.ring->answers;
    how = &((struct ipc_record_shared *)(void *)client.ring->out.ring)->s.is.how;
    for (i = 0; i < sizeof lanes / sizeof *lanes; i++) {
        uint32_t was = *how;

        ck_pr_store_32(how, lanes[i]);
        client.ring->out.lane += 2; /* as if it had the last lane */
        own = ipc_channel_own_answers_(&client);
        client.ring->out.lane -= 2;
        ck_pr_store_32(how, was);
        MUST((unsigned char *)own.mem >= (unsigned char *)all.mem && own.size <= all.size);
        MUST((unsigned char *)own.mem + own.size <= (unsigned char *)all.mem + all.size);
    }
    ipc_channel_close(&client);
    ipc_channel_close(&ch);
}

static void what_a_server_of_a_ring_cannot_be_is_refused(void **state)
{
    struct ipc_channel_options how;

    (void)state;
    memset(&how, 0, sizeof how);
    (void)snprintf(uri, sizeof uri, "ring:%s", name);
    how.clients = 65;
    IS(ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), -EINVAL);
    how.clients = 2;
    how.senders = 2;
    IS(ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), -EINVAL);
    how.senders = 0;
    IS(ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), 0);
    IS(ipc_channel_recv(&ch, &how, sizeof how, IPC_NOW), -ETIMEDOUT);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPIPE); /* to nobody */
    IS(ipc_channel_send_to(&ch, 64, "x", 1, IPC_NOW), -EPIPE);
    ipc_channel_close(&ch);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_loop_learns_of_messages_and_of_each_end),
        TEST(no_answer_reaches_the_next_client),
        TEST(a_listener_that_starts_again_answers_the_client_that_is_there),
        TEST(sixty_four_clients_come_go_stop_and_are_killed),
        TEST(a_client_that_does_not_read_costs_the_others_nothing),
        TEST(a_client_that_was_dropped_is_told_and_may_come_again),
        TEST(clients_are_told_and_then_meet_the_successor),
        TEST(one_stopped_in_joining_or_leaving_holds_nobody_up),
        TEST(a_server_in_an_event_loop_rests_and_is_woken),
        TEST(each_client_has_its_end_its_answers_and_its_turn),
        TEST(no_number_of_lanes_leads_beyond_the_answers),
        TEST(what_a_server_of_a_ring_cannot_be_is_refused),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("ring_server", tests, NULL, NULL);
}
