/*
 * Every ring of ipc_ring.h with two processes stopped or killed at once: A runs one operation step
 * by step and is stopped or killed after n instructions; then B runs an operation on the same ring,
 * and is stopped or killed after m. The others go on for some laps. Then those that were stopped go
 * on, in either order.
 *
 *     gcc -O1 -g -I. tests/torture_two.c -o torture_two
 *     ./torture_two [points of each pair, or 0 [seed [how the name of pairs begins: mpmc push]]]
 *
 * For 0 points n takes every value. m, and else n, are drawn from the seed, mostly such that the
 * last instruction changed the ring; so are how full the ring is, whether killed consumers'
 * messages are handed out again, and who goes on first.
 *
 * A point passes if
 *   - B, while A is stopped or dead, gets a message or room if there is more than A can hold;
 *   - so do the others while both are: all messages but those that the two can hold come, and all
 *     slots but those that the two can hold can be filled;
 *   - no message is lost, doubled, torn or out of order, except as the contract permits for what a
 *     killed process held;
 *   - in the end every message is accounted for, and the whole capacity is of use.
 * Prints the points tried and failed, and ends with 0 if none failed.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "torture_kinds.h"
#include "chance.h"
#include <setjmp.h>
#include <stdarg.h>

/* OURS: ids of our messages. LONGEST: instructions of an operation, or it is held up. */
enum { LAPS = 2, OURS = 2048, SOURCES = 32, CHILD_IDS = 16, LONGEST = 1 << 20, FAILURES = 20 };

enum op {
    PUSH,
    PUSH_N,
    COMMIT,
    CANCEL,
    JOIN_P,
    LEAVE_P,
    QUIT_P,
    RECOVER,
    POP,
    POP_N,
    PEEK,
    JOIN_C,
    LEAVE_C,
    QUIT_C,
    OPS
};
static const char *const op_names[] = {"push",
                                       "push_n",
                                       "commit",
                                       "cancel",
                                       "attach producer",
                                       "detach producer",
                                       "detach with a claim",
                                       "recover",
                                       "pop",
                                       "pop_n",
                                       "peek",
                                       "attach consumer",
                                       "detach consumer",
                                       "detach with a message"};
enum how { STOP, KILL };

/* What a child has done. Shared with it. */
struct shared {
    uint64_t sent, taken; /* how many messages it knows it sent and took */
    uint64_t id[BATCH];   /* of the messages taken */
    uint64_t held;        /* it holds a message that it took and has not released yet */
    uint64_t through;     /* its operation is over */
    uint64_t all;         /* how many we had sent before it reads the rest */
};

struct party {
    enum op op;
    enum how how;
    unsigned after, n; /* it is stopped or killed n instructions after so many changes of memory */
    unsigned run;      /* instructions that it has run in its turn */
    unsigned changes;  /* of shared memory by these */
    int begun, over;   /* it was begun; it was seen to stop after its operation */
    int whole;         /* its turn was its whole operation */
    pid_t pid;         /* 0: it is dead */
    uint64_t joined;   /* the first message of a reader of a broadcast */
    struct shared *out;
};

/* The point that is tried. */
static struct {
    const struct kind *k;
    struct party of[2];
    unsigned fill, again; /* messages in the ring before; IPC_MPMC_AT_LEAST_ONCE */
    unsigned first;       /* who goes on first */
} now;

static const struct party *me; /* in a child: itself */
static jmp_buf next_point;
static unsigned points, failures;

static void wrong(const char *format, ...)
{
    const struct party *a = &now.of[0], *b = &now.of[1];
    va_list more;

    (void)fflush(stdout);
    (void)fprintf(stderr, "FAILED: %s %s, %s after %u; %s, %s after %u; fill %u, again %u, %u%s: ",
                  now.k->name, op_names[a->op], a->how == KILL ? "killed" : "stopped", a->run,
                  op_names[b->op], b->how == KILL ? "killed" : "stopped", b->run, now.fill,
                  now.again, now.first, me != NULL ? ", a child" : "");
    va_start(more, format);
    (void)vfprintf(stderr, format, more);
    va_end(more);
    (void)fputc('\n', stderr);
    if (me != NULL)
        _exit(1);
    longjmp(next_point, 1);
}

static void fail(const char *what, int64_t number)
{
    wrong("%s %lld", what, (long long)number);
}

/* ------------------------------------------------------------------ what a pair may do */

static int produces(const struct party *p)
{
    return p->op <= RECOVER;
}

/* Is this end for one handle at a time? */
static int is_sole(int producers_end)
{
    return producers_end ? now.k->producers == 1 : now.k->one_consumer == 1;
}

/* Do both ends, or one, take several processes, and do slots have holders? */
static int has_holders(void)
{
    return now.k->producers == 0 || now.k->one_consumer == 0;
}

static int is_broadcast(void)
{
    return now.k->one_consumer >= EACH;
}

static int is_of_records(void)
{
    return strncmp(now.k->name, "records", 7) == 0;
}

/* B is the successor of A at an end for one. */
static int succeeds(void)
{
    return produces(&now.of[0]) == produces(&now.of[1]) && is_sole(produces(&now.of[0]));
}

static int is_pair(void)
{
    if ((now.of[0].op == RECOVER || now.of[1].op == RECOVER) && !has_holders())
        return 0;
    return !succeeds() || now.of[0].how == KILL;
}

/* Is the party still at the end that it operates on, or may be? */
static int is_at(const struct party *p, int producers_end)
{
    return p->begun && p->pid != 0 && produces(p) == producers_end;
}

/* How many slots it may hold. */
static unsigned may_hold(const struct party *p)
{
    return p->op == PUSH_N || p->op == POP_N ? BATCH : 1;
}

/* How many messages are lost with it if it is killed, at most. */
static unsigned may_lose(const struct party *p)
{
    if (p->how != KILL || produces(p) || is_broadcast())
        return 0;
    if (p->op == POP || p->op == POP_N)
        return may_hold(p);
    return (p->op == PEEK || p->op == QUIT_C) && has_holders() && !now.again;
}

/* May a message that it had come again? Those that were stopped are killed in the end, after their
 * operation: then the successor of an only consumer may see again what that one had not published.
 */
static int comes_again(const struct party *p)
{
    return !produces(p) &&
           (now.k->one_consumer == 1 || (p->how == KILL && (p->out->held != 0 || now.again != 0)));
}

/* Is it a reader that reads on after its operation, from a position we know? */
static int reads_on(const struct party *p)
{
    return is_broadcast() && (p->op == POP || p->op == POP_N || p->op == PEEK) &&
           !produces(&now.of[0]) && !produces(&now.of[1]);
}

/* ------------------------------------------------------------------ what a child does */

static uint64_t id_of_child(const struct party *p, unsigned i)
{
    return OF_CHILD + (uint64_t)(p - now.of) * CHILD_IDS + i;
}

static void take(const struct message *m)
{
    check(m);
    if (reads_on(me) && m->id != me->joined + me->out->taken)
        wrong("it took message %llu", (unsigned long long)m->id);
    ck_pr_store_64(&me->out->id[me->out->taken], m->id);
    ck_pr_store_64(&me->out->taken, me->out->taken + 1);
}

static int join(union producer *p, union consumer *c, struct ipc_peer *id)
{
    return produces(me) ? now.k->produce(p, mem, id) : now.k->consume(c, mem, id);
}

/* Each message that a reader has not read yet comes whole, or is counted as missed. */
static void read_the_rest(union consumer *c)
{
    uint64_t missed = now.k->missed(c), next = me->joined + me->out->taken + missed;
    struct message m;
    int rc;

    while ((rc = now.k->pop(c, &m)) != -EAGAIN) {
        next += now.k->missed(c) - missed;
        missed = now.k->missed(c);
        if (rc == -EOVERFLOW)
            continue;
        if (rc != 0 || m.id != next)
            wrong("after it pop: %s, message %llu for %llu", strerror(-rc),
                  (unsigned long long)m.id, (unsigned long long)next);
        check(&m);
        next++;
    }
    if (next != me->out->all)
        wrong("read to %llu of %llu", (unsigned long long)next, (unsigned long long)me->out->all);
}

static void produce(union producer *p)
{
    struct message m[BATCH], *slot;
    int64_t n;
    unsigned i;

    for (i = 0; i < BATCH; i++)
        m[i] = make(id_of_child(me, i));
    switch (me->op) {
    case PUSH:
        ck_pr_store_64(&me->out->sent, now.k->push(p, m) == 0);
        break;
    case PUSH_N:
        n = now.k->push_n(p, m, BATCH);
        ck_pr_store_64(&me->out->sent, n > 0 ? (uint64_t)n : 0);
        break;
    case COMMIT:
    case CANCEL:
        slot = now.k->claim(p);
        if (slot == NULL)
            break;
        *slot = m[0];
        if (me->op == CANCEL)
            now.k->cancel(p);
        else
            ck_pr_store_64(&me->out->sent, now.k->commit(p, m->id) == 0);
        break;
    case RECOVER:
        (void)now.k->recover(p);
        break;
    default:
        now.k->producer_detach(p);
    }
}

static void consume(union consumer *c)
{
    const struct message *seen;
    struct message m[BATCH];
    int64_t n, i;

    switch (me->op) {
    case POP:
        if (now.k->pop(c, m) == 0)
            take(m);
        break;
    case POP_N:
        n = now.k->pop_n(c, m, BATCH);
        for (i = 0; i < n; i++)
            take(&m[i]);
        break;
    case PEEK:
        seen = now.k->peek(c);
        if (seen == NULL)
            break;
        if (now.k->one_consumer == EACH_LOSSY) { /* not valid until release says so */
            m[0] = *seen;
            if (now.k->release(c) == 0)
                take(m);
            break;
        }
        take(seen);
        ck_pr_store_64(&me->out->held, 1);
        if (now.k->release(c) != 0)
            _exit(5);
        ck_pr_store_64(&me->out->held, 0);
        break;
    default:
        now.k->consumer_detach(c);
    }
}

/* Runs in a child, which stops before and after the operation. */
static void operate(void)
{
    int joins = me->op == JOIN_P || me->op == JOIN_C;
    struct ipc_peer id = peer();
    union producer p;
    union consumer c;

    if (!joins && join(&p, &c, &id) != 0)
        _exit(3);
    if (me->op == QUIT_P)
        (void)now.k->claim(&p);
    be_tortured();
    if (me->op == QUIT_C) /* the ring has been filled */
        (void)now.k->peek(&c);
    if (me->op == QUIT_C)
        (void)raise(SIGSTOP);
    if (joins && join(&p, &c, &id) != 0)
        _exit(4);
    else if (!joins && produces(me))
        produce(&p);
    else if (!joins)
        consume(&c);
    ck_pr_store_64(&me->out->through, 1);
    (void)raise(SIGSTOP);
    if (reads_on(me))
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
    unsigned source[LANES], sources; /* each handle is another */
    uint8_t by[OURS];                /* the source that sent each message */
    uint64_t last[SOURCES];
    uint8_t seen[OURS], seen_child[2 * CHILD_IDS];
    uint64_t last_child[2];
} we;

/* May messages that were handed out again come late? */
static int comes_late(void)
{
    unsigned i, late = 0;

    for (i = 0; i < 2; i++)
        late |= now.of[i].op == QUIT_C || (now.of[i].op == PEEK && now.of[i].how == KILL);
    return late && has_holders();
}

/* Notes the message. Where it may not come twice, account() finds out. */
static uint8_t *note(uint64_t id)
{
    if (id >= OF_CHILD && id - OF_CHILD < 2 * CHILD_IDS)
        return &we.seen_child[id - OF_CHILD];
    if (id >= we.sent)
        fail("nobody sent message", (int64_t)id);
    return &we.seen[id];
}

static void receive(const struct message *m)
{
    uint64_t id = m->id, *last, order = id + 1;

    check(m);
    (*note(id))++;
    last = id >= OF_CHILD ? &we.last_child[(id - OF_CHILD) / CHILD_IDS] : &we.last[we.by[id]];
    if (!comes_late() && order <= *last)
        fail("doubled or out of order: message", (int64_t)id);
    *last = order > *last ? order : *last;
}

/* Our attached producers take turns. */
static union producer *one_of_us(void)
{
    return &we.p[we.turn++ % we.producing];
}

static void sent(const union producer *p, uint64_t n)
{
    for (; n > 0; n--)
        we.by[we.sent++] = (uint8_t)we.source[p - we.p];
    if (we.sent > OURS - 64)
        fail("sent too much:", (int64_t)we.sent);
}

static int send_one(void)
{
    struct message m = make(we.sent);
    union producer *p = one_of_us();
    int rc = now.k->push(p, &m);

    if (rc == 0)
        sent(p, 1);
    else if (rc != -EAGAIN)
        fail("push:", rc);
    return rc == 0;
}

static void receive_one(void)
{
    struct message m;
    int rc = now.k->pop(&we.c, &m);

    if (rc == 0)
        receive(&m);
    else if (rc != -EAGAIN && (rc != -EOVERFLOW || now.k->one_consumer != EACH_LOSSY))
        fail("pop:", rc);
}

/* Sends and receives for some laps; nothing may hold that up. */
static void laps(void)
{
    uint64_t from = we.sent, until = from + LAPS * CAPACITY;
    unsigned tries;

    for (tries = 0; tries < 100000 && we.sent < until; tries++) {
        if (tries % 7 < 5)
            (void)send_one();
        if (tries % 5 < 4)
            receive_one();
    }
    if (we.sent < until)
        fail("held up; messages sent:", (int64_t)(we.sent - from));
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
            fail("push_n:", n);
        messages -= run;
    }
}

/* Enough tries in vain, where slots have holders, that this consumer frees what the dead had. */
static unsigned enough(void)
{
    return has_holders() ? 5000 : 600;
}

static void drain(unsigned tries)
{
    while (tries-- > 0)
        receive_one();
}

/* Attaches those of our ends that no child may have. */
static void attach_us(void)
{
    struct ipc_peer id = peer();
    unsigned theirs = 0, most = now.k->producers > 0 ? now.k->producers : 1, i;
    int rc = 0;

    if (now.k->producers > 0)
        for (i = 0; i < 2; i++)
            theirs += is_at(&now.of[i], 1) != 0;
    for (; rc == 0 && we.producing + theirs < most; we.producing++) {
        rc = now.k->produce(&we.p[we.producing], mem, &id);
        we.source[we.producing] = we.sources++;
    }
    if (rc == 0 && !we.consuming && !(is_sole(0) && (is_at(&now.of[0], 0) || is_at(&now.of[1], 0))))
        we.consuming = (rc = now.k->consume(&we.c, mem, &id)) == 0;
    if (rc != 0)
        wrong("attach: %s: %s", strerror(-rc), id.why);
}

static void detach_us(void)
{
    while (we.producing > 0)
        now.k->producer_detach(&we.p[--we.producing]);
    if (we.consuming)
        now.k->consumer_detach(&we.c);
    we.consuming = 0;
}

/* ------------------------------------------------------------------ accounts */

/* Counts what the children took, and looks at how often each message came. Returns how many that
 * were sent for sure have not come. */
static unsigned count_missing(int twice_is_wrong)
{
    uint8_t seen[OURS], child[2 * CHILD_IDS];
    unsigned p, i, missing = 0, again = 0;

    memcpy(seen, we.seen, sizeof seen);
    memcpy(child, we.seen_child, sizeof child);
    for (p = 0; p < 2; p++)
        for (i = 0; i < now.of[p].out->taken && !is_broadcast(); i++) {
            (*note(now.of[p].out->id[i]))++;
            again += comes_again(&now.of[p]) != 0;
        }
    for (i = 0; i < we.sent; i++) {
        missing += we.seen[i] == 0;
        if (twice_is_wrong && we.seen[i] > 1 && again-- == 0)
            fail("twice: message", i);
    }
    for (p = 0; p < 2; p++)
        for (i = 0; i < CHILD_IDS && produces(&now.of[p]); i++) {
            uint8_t times = we.seen_child[p * CHILD_IDS + i];

            missing += i < now.of[p].out->sent && times == 0;
            if (twice_is_wrong && times > 1 && again-- == 0)
                fail("twice: message of a child", p * CHILD_IDS + i);
            if (times > 0 && i >= now.of[p].out->sent && now.of[p].over && now.of[p].how == STOP)
                fail("not sent, but there: message of a child", p * CHILD_IDS + i);
        }
    memcpy(we.seen, seen, sizeof seen);
    memcpy(we.seen_child, child, sizeof child);
    return missing;
}

/* How many messages a lossy reader may have missed that a killed writer did not get to report. */
static unsigned unknown(void)
{
    unsigned p, n = 0;

    for (p = 0; p < 2; p++)
        if (now.of[p].how == KILL && produces(&now.of[p]))
            n += BATCH - (unsigned)now.of[p].out->sent;
    return n;
}

/* Every message sent came once, except for so many. */
static void account(unsigned may_miss)
{
    unsigned missing = count_missing(1);

    if (now.k->one_consumer == EACH_LOSSY) {
        may_miss = (unsigned)now.k->missed(&we.c);
        if (missing + unknown() < may_miss)
            fail("more counted than missed:", may_miss - missing);
    }
    if (missing > may_miss)
        wrong("%u messages have not come, %u may be missing", missing, may_miss);
}

/* How many messages the others cannot get while both parties are stopped or dead. */
static unsigned may_keep(void)
{
    unsigned i, n = 0;

    for (i = 0; i < 2; i++)
        if (now.of[i].how == KILL)
            n += may_lose(&now.of[i]);
        else if (is_at(&now.of[i], 0) && !is_broadcast())
            n += may_hold(&now.of[i]);
    return n;
}

/* So many messages must go into the ring, which is drained. A push may find what a dead consumer
 * had, and hand that out again: then consumers come first. A writer that was refused 64 times asks
 * whether its readers are dead. */
static void fill_up(unsigned least)
{
    unsigned n = 0, round;

    for (round = 0; round < 4 && n < least; round++) {
        unsigned refused = 0;

        if (round > 0)
            drain(100);
        for (n = 0; n < CAPACITY && refused < 100;)
            *(send_one() ? &n : &refused) += 1;
    }
    if (n < least)
        wrong("%u messages went in, not %u", n, least);
}

/* B had its whole turn while A was stopped or dead: it got what A cannot hold. */
static void check_turn(void)
{
    const struct party *a = &now.of[0], *b = &now.of[1];
    unsigned theirs = produces(a) == produces(b) ? may_hold(a) : 0;

    if (!b->whole || is_broadcast() || is_of_records())
        return;
    if (b->op >= POP && b->op <= PEEK && now.fill > theirs && b->out->taken == 0)
        fail("B got no message, of", now.fill);
    if (b->op <= COMMIT && now.fill + theirs < CAPACITY && b->out->sent == 0)
        fail("B got no room, behind", now.fill);
}

/* ------------------------------------------------------------------ one point */

/* Runs a party. Returns 1 when it stops itself. */
static int go(struct party *p, int request)
{
    child = p->pid;
    return resume(request, NULL);
}

static void end_party(struct party *p)
{
    child = p->pid;
    if (child != 0)
        bury();
    p->pid = 0;
}

static void begin_party(struct party *p)
{
    p->joined = we.sent;
    p->begun = 1;
    me = p;
    begin_child(operate);
    me = NULL;
    p->pid = child;
}

/* Makes a ring in its second lap, and both children. */
static void begin(void)
{
    unsigned i;
    int filled = 0;

    for (i = 0; i < 2; i++) {
        memset(now.of[i].out, 0, sizeof *now.of[i].out);
        now.of[i].begun = now.of[i].over = now.of[i].whole = now.of[i].pid = 0;
        now.of[i].run = now.of[i].changes = 0;
    }
    memset(&we, 0, sizeof we);
    if (now.k->init(mem, now.again) != 0)
        fail("init", 0);
    attach_us();
    while (we.sent < CAPACITY + CAPACITY / 2) {
        (void)send_one();
        receive_one();
    }
    if (!is_broadcast()) {
        send_some(now.fill);
        filled = 1;
    }
    for (i = 0; i < 2; i++) {
        if (produces(&now.of[i]) && now.k->producers > 0 && we.producing > 0) {
            if (now.k->producers == 1 && !filled) /* readers see what is sent after they attach */
                send_some(now.fill);
            now.k->producer_detach(&we.p[--we.producing]);
        } else if (!produces(&now.of[i]) && is_sole(0) && we.consuming) {
            now.k->consumer_detach(&we.c);
            we.consuming = 0;
        }
    }
    begin_party(&now.of[0]);
    if (!succeeds())
        begin_party(&now.of[1]);
    if (!filled && we.producing > 0)
        send_some(now.fill);
}

/* Changes with each store to the ring, which is smaller than this. */
static uint64_t ring_hash(void)
{
    uint64_t hash = 0;
    unsigned i;

    for (i = 0; i < 8192; i += 8)
        hash = (hash ^ ck_pr_load_64((uint64_t *)(void *)(mem + i))) * 0x9e3779b97f4a7c15u;
    return hash;
}

/* Runs a party until it is stopped or killed. */
static void turn(struct party *p)
{
    uint64_t hash = 0, before;
    unsigned left = p->n;

    if (!p->begun)
        begin_party(p);
    if (p->op == QUIT_C)
        (void)go(p, PTRACE_CONT);
    for (hash = ring_hash(); (left > 0 || p->changes < p->after) && !p->over; p->run++) {
        left -= p->changes >= p->after;
        p->over = go(p, PTRACE_SINGLESTEP);
        before = hash;
        hash = ring_hash();
        p->changes += hash != before;
        if (p->run == LONGEST)
            fail("held up, after", p->run);
    }
    p->whole = p->over;
    if (p->how == KILL)
        end_party(p);
}

/* What the others do while those are stopped or dead. */
static void go_on(void)
{
    int gated = now.k->one_consumer == EACH && (is_at(&now.of[0], 0) || is_at(&now.of[1], 0));
    unsigned tries;

    attach_us();
    if (we.consuming) {
        drain(enough());
        account(may_keep());
    }
    if (we.producing == 0)
        return;
    if (!we.consuming || gated) {
        send_some(2 * CAPACITY);
        for (tries = 0; tries < 100; tries++) /* a writer that is refused asks who is dead */
            (void)send_one();
        if (we.consuming)
            drain(200);
        return;
    }
    if (now.k->one_consumer != EACH_LOSSY && !is_of_records())
        fill_up(CAPACITY - may_hold(&now.of[0]) - may_hold(&now.of[1]));
    laps();
    drain(600);
    account(may_keep());
    send_some(CAPACITY / 2); /* for those that go on now */
}

/* Lets a stopped party finish. */
static void let_finish(struct party *p)
{
    if (p->pid == 0)
        return;
    while (!p->over)
        p->over = go(p, PTRACE_CONT);
    if (!p->out->through)
        fail("stopped elsewhere, having sent", (int64_t)p->out->sent);
    p->out->all = we.sent;
    (void)go(p, PTRACE_CONT);
    end_party(p);
}

static void point(void)
{
    begin();
    turn(&now.of[0]);
    turn(&now.of[1]);
    check_turn();
    go_on();
    if (now.of[now.first].pid != 0 && now.of[!now.first].pid != 0) {
        let_finish(&now.of[now.first]);
        go_on();
    }
    let_finish(&now.of[now.first]);
    let_finish(&now.of[!now.first]);
    attach_us();
    laps();
    drain(enough());
    laps();
    drain(600);
    account(may_lose(&now.of[0]) + may_lose(&now.of[1]));
    if (now.k->one_consumer != EACH_LOSSY && !is_of_records())
        fill_up(CAPACITY);
    drain(100);
    detach_us();
}

/* As point. Returns 1 if it failed. */
static int try_point(void)
{
    points++;
    if (setjmp(next_point) == 0) {
        point();
        return 0;
    }
    end_party(&now.of[0]);
    end_party(&now.of[1]);
    now.of[0].whole = now.of[1].whole = 0;
    if (++failures == FAILURES)
        exit(1);
    return 1;
}

/* Of each operation of this kind of ring so far. Where it waits for another process it is long. */
static struct {
    unsigned shortest, longest; /* instructions */
    unsigned changes;           /* of shared memory, at most */
} turns[OPS];

static void learn(const struct party *p)
{
    if (turns[p->op].changes < p->changes)
        turns[p->op].changes = p->changes;
    if (!p->whole)
        return;
    if (turns[p->op].longest < p->run)
        turns[p->op].longest = p->run;
    if (turns[p->op].shortest == 0 || turns[p->op].shortest > p->run)
        turns[p->op].shortest = p->run;
}

/* How long a turn is to be: mostly until just after some change of shared memory. The first turn is
 * the whole operation. */
static void draw_turn(struct party *p)
{
    unsigned shortest = turns[p->op].shortest, longest = turns[p->op].longest;

    p->after = 0;
    switch (longest > 0 ? chance(8) : 9) {
    case 0:
        p->n = (unsigned)chance(longest + 1);
        break;
    case 1:
        p->n = (unsigned)chance(shortest + shortest / 4 + 2);
        break;
    case 9:
        p->n = LONGEST;
        break;
    default:
        p->after = (unsigned)chance(turns[p->op].changes + 1);
        p->n = (unsigned)chance(chance(4) > 0 ? 4 : 64);
    }
}

/* Tries a pair: so many points, or, for 0, every instruction of A. */
static void try_pair(unsigned tries)
{
    static const unsigned fills[] = {0, 3, CAPACITY};
    struct party *a = &now.of[0], *b = &now.of[1];
    unsigned i, failed = 0;

    a->whole = 0;
    for (i = 0; failed < 4 && (tries > 0 ? i < tries : !a->whole); i++) {
        draw_turn(a);
        draw_turn(b);
        if (tries == 0) {
            a->after = 0;
            a->n = i;
        }
        now.fill = fills[chance(3)];
        now.again = has_holders() && chance(2);
        now.first = (unsigned)chance(2);
        failed += (unsigned)try_point();
        learn(a);
        learn(b);
    }
}

static void torture(unsigned tries, const char *only)
{
    unsigned ops, hows, left, share, before = points;
    char name[100];

    memset(turns, 0, sizeof turns);
    for (ops = 0; ops < OPS * OPS; ops++) {
        now.of[0].op = (enum op)(ops / OPS);
        now.of[1].op = (enum op)(ops % OPS);
        (void)snprintf(name, sizeof name, "%s %s, %s", now.k->name, op_names[now.of[0].op],
                       op_names[now.of[1].op]);
        if (strncmp(name, only, strlen(only)) != 0)
            continue;
        /* A few points: each pair begins with another way to stop or kill the two. */
        for (hows = 0, left = tries; hows < 4 && (tries == 0 || left > 0); hows++) {
            now.of[0].how = (enum how)((hows + ops) % 4 / 2);
            now.of[1].how = (enum how)((hows + ops) % 2);
            if (!is_pair())
                continue;
            share = left < (tries + 3) / 4 ? left : (tries + 3) / 4;
            try_pair(share);
            left -= share;
        }
    }
    if (points > before)
        printf("%s: %u points\n", now.k->name, points - before);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned tries = argc > 1 ? (unsigned)atoi(argv[1]) : 0, k;

    seed ^= argc > 2 ? strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15u : 0;
    share(SIZE + 4096);
    stay_here();
    now.of[0].out = (struct shared *)(void *)(mem + SIZE);
    now.of[1].out = now.of[0].out + 1;
    for (k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        now.k = kinds[k];
        torture(tries, argc > 3 ? argv[3] : "");
    }
    printf("note: two at once: %u points of stopping or killing, %s; %u failed\n", points,
           tries == 0 ? "every instruction of the first" : "a part of the instructions", failures);
    return failures > 0;
}
