/*
 * Every ring of ipc_ring.h, stopped at every instruction: a child runs one operation step by step
 * and is stopped or killed after n instructions, for each n, while the others go on for some laps.
 *
 *     gcc -O1 -g -I. tests/torture.c -o torture && ./torture [stride [ring, or how its name
 * begins]]
 *
 * Prints how many points it tried. Ends with 0 if the others always went on, no message was lost,
 * doubled, torn or out of order except as the contract permits, and a stopped child went on
 * correctly.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "torture_kinds.h"
#include <stdarg.h>

enum { LAPS = 3, IDS = 512 };

static void wrong(const char *format, ...)
{
    va_list more;

    va_start(more, format);
    verrx(1, format, more);
}

/* ------------------------------------------------------------------ what the child does */

enum op {
    PUSH,
    PUSH_N,
    COMMIT,
    CANCEL,
    JOIN_P,
    LEAVE_P,
    RECOVER,
    POP,
    POP_N,
    PEEK,
    JOIN_C,
    LEAVE_C
};
static const char *const op_names[] = {"push",   "push_n",        "claim, commit", "claim, cancel",
                                       "attach", "detach",        "recover",       "pop",
                                       "pop_n",  "peek, release", "attach",        "detach"};
enum { OPS = sizeof op_names / sizeof *op_names };
enum how { STOP, KILL };

/* The point that is tried. */
static struct {
    const struct kind *k;
    enum op op;
    enum how how;
    unsigned fill;  /* messages in the ring before the operation */
    unsigned again; /* IPC_MPMC_AT_LEAST_ONCE; a lossy reader is not lapped */
    unsigned n;     /* instructions before the stop or kill */
} now;

static int produces(enum op op)
{
    return op <= RECOVER;
}

/* Shared with the child. */
static struct shared {
    uint64_t sent, taken; /* how many messages the child knows it sent and took */
    uint64_t id[BATCH];   /* of the messages taken */
    uint64_t held;        /* it holds a message that it has not released yet */
    uint64_t through;
    uint64_t all; /* how many we had sent before the child reads the rest */
} * out;

static uint64_t joined; /* the first message of a child that reads a broadcast */

static void take(const struct message *m)
{
    check(m);
    if (now.k->one_consumer >= EACH && m->id != joined + out->taken)
        errx(1, "the child took message %llu", (unsigned long long)m->id);
    ck_pr_store_64(&out->id[out->taken], m->id);
    ck_pr_store_64(&out->taken, out->taken + 1);
}

/* The child attaches to its end. */
static int join(union producer *p, union consumer *c, struct ipc_peer *me)
{
    return produces(now.op) ? now.k->produce(p, mem, me) : now.k->consume(c, mem, me);
}

/* Each message that a lossy reader has not read yet comes whole, or is counted as missed. */
static void read_the_rest(union consumer *c)
{
    uint64_t next = joined + out->taken + now.k->missed(c), missed = now.k->missed(c);
    struct message m;
    int rc;

    while ((rc = now.k->pop(c, &m)) != -EAGAIN) {
        next += now.k->missed(c) - missed;
        missed = now.k->missed(c);
        if (rc == -EOVERFLOW)
            continue;
        if (rc != 0 || m.id != next)
            errx(1, "after it pop: %s, message %llu for %llu", strerror(-rc),
                 (unsigned long long)m.id, (unsigned long long)next);
        check(&m);
        next++;
    }
    if (next != out->all)
        errx(1, "read to %llu of %llu", (unsigned long long)next, (unsigned long long)out->all);
}

/* Is the child a lossy reader that reads on after its operation, from a position we know? */
static int reads_on(void)
{
    return now.k->one_consumer == EACH_LOSSY &&
           (now.op == POP || now.op == POP_N || now.op == PEEK);
}

/* Runs in the child, which stops before and after the operation. */
static void operate(void)
{
    const struct kind *k = now.k;
    struct ipc_peer me = peer();
    struct message m[BATCH], *slot;
    const struct message *seen;
    union producer p;
    union consumer c;
    int64_t n;
    uint64_t i;

    for (i = 0; i < BATCH; i++)
        m[i] = make(OF_CHILD + i);
    if (now.op != JOIN_P && now.op != JOIN_C && join(&p, &c, &me) != 0)
        _exit(3);
    be_tortured();
    switch (now.op) {
    case PUSH:
        ck_pr_store_64(&out->sent, k->push(&p, m) == 0);
        break;
    case PUSH_N:
        n = k->push_n(&p, m, BATCH);
        ck_pr_store_64(&out->sent, n > 0 ? (uint64_t)n : 0);
        break;
    case COMMIT:
    case CANCEL:
        slot = k->claim(&p);
        if (slot == NULL)
            break;
        *slot = m[0];
        if (now.op == COMMIT)
            ck_pr_store_64(&out->sent, k->commit(&p, OF_CHILD) == 0);
        else
            k->cancel(&p);
        break;
    case LEAVE_P:
        k->producer_detach(&p);
        break;
    case RECOVER:
        (void)k->recover(&p);
        break;
    case POP:
        if (k->pop(&c, m) == 0)
            take(m);
        break;
    case POP_N:
        n = k->pop_n(&c, m, BATCH);
        for (i = 0; (int64_t)i < n; i++)
            take(&m[i]);
        break;
    case PEEK:
        seen = k->peek(&c);
        if (seen == NULL)
            break;
        if (k->one_consumer == EACH_LOSSY) { /* not valid until release says so */
            m[0] = *seen;
            if (k->release(&c) == 0)
                take(m);
            break;
        }
        take(seen);
        ck_pr_store_64(&out->held, 1);
        if (k->release(&c) != 0)
            _exit(5);
        ck_pr_store_64(&out->held, 0);
        break;
    case LEAVE_C:
        k->consumer_detach(&c);
        break;
    case JOIN_P:
    case JOIN_C:
        if (join(&p, &c, &me) != 0)
            _exit(4);
        break;
    }
    ck_pr_store_64(&out->through, 1);
    (void)raise(SIGSTOP);
    if (reads_on())
        read_the_rest(&c);
    (void)raise(SIGSTOP);
    _exit(0);
}

/* ------------------------------------------------------------------ the others */

static struct {
    union producer p[LANES];
    union consumer c;
    unsigned producing, turn; /* how many of our producers are attached, whose turn it is */
    int consuming;
    uint64_t sent;
    uint8_t seen[IDS], seen_child[BATCH], by[IDS]; /* by: which producer sent it */
    uint64_t last[LANES], last_child;
    int again; /* a message may come twice, and late */
} we;

static void receive(const struct message *m)
{
    uint64_t id = m->id, *last;

    check(m);
    if (id >= OF_CHILD) {
        id -= OF_CHILD;
        if (id >= BATCH || we.seen_child[id]++ != 0 || id < we.last_child)
            errx(1, "message %llu of the child doubled or out of order", (unsigned long long)id);
        we.last_child = id;
        return;
    }
    if (id >= we.sent)
        errx(1, "message %llu of %llu", (unsigned long long)id, (unsigned long long)we.sent);
    last = &we.last[we.by[id]];
    if (!we.again && (we.seen[id] != 0 || id < *last))
        errx(1, "message %llu doubled or out of order: after %llu", (unsigned long long)id,
             (unsigned long long)*last);
    we.seen[id] = 1;
    *last = id > *last ? id : *last;
}

/* Our attached producers take turns. */
static union producer *one_of_us(void)
{
    return &we.p[we.turn++ % we.producing];
}

static void sent(const union producer *p, uint64_t n)
{
    for (; n > 0; n--)
        we.by[we.sent++] = (uint8_t)(p - we.p);
}

static void send_one(void)
{
    struct message m = make(we.sent);
    union producer *p = one_of_us();
    int rc = now.k->push(p, &m);

    if (rc == 0)
        sent(p, 1);
    else if (rc != -EAGAIN)
        errx(1, "push: %s", strerror(-rc));
}

static void receive_one(void)
{
    struct message m;
    int rc = now.k->pop(&we.c, &m);

    if (rc == 0)
        receive(&m);
    else if (rc != -EAGAIN && (rc != -EOVERFLOW || now.k->one_consumer != EACH_LOSSY))
        errx(1, "pop: %s", strerror(-rc));
}

/* Sends and receives for some laps; nothing may hold that up. */
static void laps(void)
{
    uint64_t from = we.sent, until = from + LAPS * CAPACITY;
    unsigned tries;

    for (tries = 0; tries < 100000 && we.sent < until; tries++) {
        if (tries % 7 < 5)
            send_one();
        if (tries % 5 < 4)
            receive_one();
    }
    if (we.sent < until)
        errx(1, "held up after %llu messages", (unsigned long long)(we.sent - from));
}

/* Sends in runs of three while there is room. */
static void send_some(unsigned messages)
{
    while (messages > 0) {
        struct message m[3] = {make(we.sent), make(we.sent + 1), make(we.sent + 2)};
        unsigned run = messages < 3 ? messages : 3;
        union producer *p = one_of_us();
        int64_t n = now.k->push_n(p, m, run);

        if (n > 0)
            sent(p, (uint64_t)n);
        else if (n != -EAGAIN)
            errx(1, "push_n: %s", strerror((int)-n));
        messages -= run;
    }
}

static void drain(void)
{
    unsigned tries;

    for (tries = 0; tries < 1000; tries++)
        receive_one();
}

/* Attaches those of our ends that are not attached. */
static void attach_us(void)
{
    struct ipc_peer me = peer();
    int rc = 0;

    while (rc == 0 && we.producing < (now.k->producers > 0 ? now.k->producers : 1))
        rc = now.k->produce(&we.p[we.producing++], mem, &me);
    if (rc == 0 && !we.consuming)
        rc = now.k->consume(&we.c, mem, &me);
    if (rc != 0)
        errx(1, "attach: %s: %s", strerror(-rc), me.why);
    we.consuming = 1;
}

static void detach_us(void)
{
    while (we.producing > 0)
        now.k->producer_detach(&we.p[--we.producing]);
    now.k->consumer_detach(&we.c);
}

/* ------------------------------------------------------------------ one point */

static void fail(const char *what, int64_t number)
{
    errx(1, "%s %s, %s after %u: %s %lld", now.k->name, op_names[now.op],
         now.how == KILL ? "killed" : "stopped", now.n, what, (long long)number);
}

/* Does now.again matter? */
static int two_ways(void)
{
    return now.k->producers == 0 || now.k->one_consumer == 0 || reads_on();
}

/* How many messages may be missing: those that a killed child may have held, where they are not
 * handed out again, and those that a lossy reader counted as missed. */
static unsigned may_be_missing(void)
{
    if (now.k->one_consumer == EACH_LOSSY)
        return (unsigned)now.k->missed(&we.c);
    if (now.how != KILL || now.k->one_consumer == EACH)
        return 0;
    if (now.op == POP_N)
        return BATCH;
    return now.op == POP || (!produces(now.op) && two_ways() && !now.again);
}

/* How many messages a lossy reader may have missed that a killed writer did not get to report. */
static unsigned unknown(void)
{
    return now.how == KILL && produces(now.op) ? BATCH - (unsigned)out->sent : 0;
}

/* Every message sent came once, except where the contract permits a killed process otherwise. */
static void account(void)
{
    unsigned i, missing = 0;

    for (i = 0; i < out->taken; i++) {
        uint64_t id = ck_pr_load_64(&out->id[i]);

        if (id >= we.sent)
            fail("the child took message", (int64_t)id);
        /* A message that it held, or that SPSC replays, comes again. */
        if (we.seen[id] && !now.k->one_consumer && (now.how == STOP || (!out->held && !we.again)))
            fail("twice: message", (int64_t)id);
        if (now.k->one_consumer < EACH)
            we.seen[id] = 1;
    }
    for (i = 0; i < we.sent; i++)
        missing += !we.seen[i];
    for (i = 0; i < out->sent && now.k->one_consumer == EACH_LOSSY; i++)
        missing += !we.seen_child[i];
    if (missing > may_be_missing() || missing + unknown() < now.k->missed(&we.c))
        fail("missing messages:", missing);
    for (i = 0; i < BATCH; i++) {
        if (i < out->sent && !we.seen_child[i] && now.k->one_consumer != EACH_LOSSY)
            fail("missing of the child: message", i);
        if (i >= out->sent && we.seen_child[i] && now.how == STOP)
            fail("not sent, but there: message of the child", i);
    }
}

/* May only one handle be at the child's end? */
static int sole(void)
{
    return produces(now.op) ? now.k->producers == 1 : now.k->one_consumer == 1;
}

/* Makes a ring in its second lap and a child that is about to operate on it. */
static void begin(void)
{
    /* A reader sees what is sent after it has attached. */
    int late = !produces(now.op) && now.k->one_consumer >= EACH;

    memset(out, 0, sizeof *out);
    memset(&we, 0, sizeof we);
    we.again = now.again && now.how == KILL && now.op == PEEK;
    if (now.k->init(mem, now.again) != 0)
        errx(1, "init");
    attach_us();
    /* Short messages: so many that the hint is new, and the child finds a slot to send in one step. */
    while (we.sent < CAPACITY + (BODY == 0 ? CAPACITY : CAPACITY / 2)) {
        send_one();
        receive_one();
    }
    if (!late)
        send_some(now.fill);
    joined = we.sent;
    if (produces(now.op) && now.k->producers > 0) {
        now.k->producer_detach(&we.p[--we.producing]);
    } else if (sole()) {
        now.k->consumer_detach(&we.c);
        we.consuming = 0;
    }
    begin_child(operate);
    if (late)
        send_some(now.fill);
}

/* What the others do while the child is stopped or dead. */
static void go_on(void)
{
    if (now.how == STOP && !produces(now.op) && now.k->one_consumer == EACH) {
        send_some(2 * CAPACITY);
        drain();
    } else if (now.how == STOP && reads_on() && now.again) {
        send_some(now.n % CAPACITY); /* less than a lap */
        drain();
    } else if (now.how == KILL || !sole()) {
        if (now.how == KILL)
            attach_us();
        laps();
        if (now.how == STOP && now.n % 2 == 1) /* it goes on among messages that nobody has read */
            send_some(2 * CAPACITY);
    } else if (produces(now.op)) {
        drain();
    } else {
        send_some(2 * CAPACITY);
    }
}

/* Lets a stopped child finish. */
static void let_finish(int through)
{
    while (!through)
        through = resume(PTRACE_CONT, NULL);
    if (!out->through)
        fail("stopped elsewhere, having sent", (int64_t)out->sent);
    out->all = we.sent;
    (void)resume(PTRACE_CONT, NULL);
}

/* Returns 1 if the operation ended within n instructions. */
static int point(void)
{
    int through = 0;
    unsigned i;

    begin();
    for (i = 0; i < now.n && !through; i++)
        through = resume(PTRACE_SINGLESTEP, NULL);
    if (now.how == KILL)
        bury();
    go_on();
    if (now.how == STOP) {
        let_finish(through);
        bury();
        attach_us();
        laps();
    }
    /* The next laps free what the dead hold; then every message must be there. */
    laps();
    drain();
    account();
    detach_us();
    return through;
}

static unsigned points; /* so far */

/* Tries one operation at every stride-th of its instructions. */
static void torture(unsigned stride)
{
    static const unsigned fills[] = {0, 3, CAPACITY};
    unsigned before = points, how, f;

    for (how = STOP; how <= KILL; how++)
        for (f = 0; f < 3; f++)
            for (now.again = 0; now.again < (two_ways() ? 2 : 1); now.again++) {
                now.how = (enum how)how;
                now.fill = fills[f];
                now.n = points++ * 7 % stride;
                for (; !point(); now.n += stride)
                    points++;
            }
    printf("%s %s %s: %u points\n", now.k->name, produces(now.op) ? "producer" : "consumer",
           op_names[now.op], points - before);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned stride = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    const char *only = argc > 2 ? argv[2] : "";
    unsigned k, op;

    if (stride == 0)
        errx(1, "usage: torture [every so many instructions [ring, or how its name begins]]");
    share(SIZE + 4096);
    stay_here();
    out = (struct shared *)(void *)(mem + SIZE);
    for (k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (strncmp(kinds[k]->name, only, strlen(only)) == 0)
            for (op = 0; op < OPS; op++) {
                now.k = kinds[k];
                now.op = (enum op)op;
                torture(stride);
            }
    printf("note: %u points of stopping or killing, %s\n", points,
           stride == 1 ? "every instruction" : "a part of the instructions");
    return 0;
}
