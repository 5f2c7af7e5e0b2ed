/*
 * Calls with two processes stopped or killed at once, as torture_two.c: A and B are callers or
 * servers, in all pairs.
 *
 *     gcc -O1 -g -I. tests/torture_call_two.c -o torture_call_two
 *     ./torture_call_two [points of each pair, or 0 [seed [how the name of pairs begins: server]]]
 *
 * A point passes if
 *   - B, while A is stopped or dead, takes a request if there are more than A can hold;
 *   - so does our server, and all calls but those that the two servers can hold get their reply;
 *   - every reply answers its request, and no request is taken twice;
 *   - those that were stopped go on, and in the end every slot is of use.
 * Prints the points tried and failed, and ends with 0 if none failed.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "torture.h"
#include "chance.h"
#include <setjmp.h>
#include <stdarg.h>

/* OURS: our clients. The first calls while the others' calls may be with A and B. */
enum { OURS = 3, SLOTS = 8, CALLS = 6, OF_CHILD = 200, IDS = 256, SIZE = 1 << 14 };
enum { LONGEST = 1 << 20, FAILURES = 20 };

struct query {
    uint64_t id, body[5];
};
IPC_CALL(sums, struct query, uint64_t)

enum op { CALL, CANCEL, JOIN_C, LEAVE_C, SERVE, JOIN_S, LEAVE_S, QUIT_S, OPS };
static const char *const op_names[] = {
    "caller calls",  "caller cancels",  "caller attaches", "caller leaves",
    "server serves", "server attaches", "server detaches", "server leaves a request"};
enum how { STOP, KILL };

/* Shared with a child. */
struct shared {
    uint64_t took; /* id of the request that it took as a server, and 1 */
    uint64_t through;
};

struct party {
    enum op op;
    enum how how;
    unsigned after, n; /* it is stopped or killed n instructions after so many changes of memory */
    unsigned run;      /* instructions that it has run in its turn */
    unsigned changes;  /* of shared memory by these */
    int over, whole;   /* it was seen to stop after its operation; in its turn */
    pid_t pid;         /* 0: it is dead */
    struct shared *out;
};

static struct party parties[2];
static const struct party *me; /* in a child: itself */
static unsigned first;         /* who goes on first */
static jmp_buf next_point;
static unsigned points, failures;

static void wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void wrong(const char *format, ...)
{
    const struct party *a = &parties[0], *b = &parties[1];
    va_list more;

    (void)fflush(stdout);
    (void)fprintf(stderr, "FAILED: %s, %s after %u; %s, %s after %u; %u%s: ", op_names[a->op],
                  a->how == KILL ? "killed" : "stopped", a->run, op_names[b->op],
                  b->how == KILL ? "killed" : "stopped", b->run, first,
                  me != NULL ? ", a child" : "");
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

static int serves(const struct party *p)
{
    return p->op >= SERVE;
}

/* May it hold a request? */
static unsigned may_hold(const struct party *p)
{
    return p->op == SERVE || p->op == QUIT_S;
}

static struct query make(uint64_t id)
{
    struct query q;
    unsigned i;

    q.id = id;
    for (i = 0; i < 5; i++)
        q.body[i] = id * 0x9e3779b97f4a7c15u + i;
    return q;
}

static uint64_t answer_to(const struct query *q)
{
    struct query good = make(q->id);

    if (memcmp(q, &good, sizeof good) != 0)
        fail("torn: request", (int64_t)q->id);
    return q->id * 3 + 1;
}

/* ------------------------------------------------------------------ what a child does */

static void be_client(struct sums_client *c, const struct query *q)
{
    uint64_t sum;
    int rc = -EAGAIN, i;

    switch (me->op) {
    case CALL: /* gives up soon, as its server may be stopped */
        rc = sums_ask(c, q);
        for (i = 0; i < 3 && (rc == 0 || rc == -EAGAIN); i++)
            if ((rc = sums_collect(c, &sum)) == 0 && sum != answer_to(q))
                fail("wrong reply", (int64_t)sum);
            else if (rc == 0)
                return;
        if (rc != -EAGAIN && rc != -EPIPE && rc != -EOWNERDEAD)
            fail("call:", rc);
        sums_cancel(c);
        break;
    case CANCEL:
        sums_cancel(c);
        break;
    default:
        sums_client_detach(c);
    }
}

static union sums_slot *take_one(struct sums_server *s)
{
    union sums_slot *slot = sums_take(s);

    if (slot != NULL)
        ck_pr_store_64(&me->out->took, slot->request.id + 1);
    return slot;
}

static void be_server(struct sums_server *s)
{
    union sums_slot *slot;

    if (me->op == SERVE && (slot = take_one(s)) != NULL) {
        slot->reply = answer_to(&slot->request);
        (void)sums_answer(s, slot);
    } else if (me->op != SERVE) {
        sums_server_detach(s);
    }
}

/* Runs in a child, which stops before and after the operation. */
static void operate(void)
{
    struct query q = make(OF_CHILD + (uint64_t)(me - parties));
    int joins = me->op == JOIN_C || me->op == JOIN_S;
    struct ipc_peer id = peer();
    struct sums_client c;
    struct sums_server s;

    if (joins)
        be_tortured();
    if ((serves(me) ? sums_server_attach(&s, mem, SIZE, &id)
                    : sums_client_attach(&c, mem, SIZE, &id)) != 0)
        fail("attach", 0);
    if ((me->op == CANCEL || me->op == LEAVE_C) && sums_ask(&c, &q) != 0)
        fail("ask", 0);
    if (!joins)
        be_tortured();
    if (me->op == QUIT_S) { /* the requests are there now */
        (void)take_one(&s);
        (void)raise(SIGSTOP);
    }
    if (!joins && serves(me))
        be_server(&s);
    else if (!joins)
        be_client(&c, &q);
    ck_pr_store_64(&me->out->through, 1);
    (void)raise(SIGSTOP);
    _exit(0);
}

/* ------------------------------------------------------------------ the others */

static struct {
    struct sums_client c[OURS];
    uint64_t asked[OURS]; /* the id that each asked for */
    struct sums_server s;
    uint64_t next;
    unsigned lost;      /* calls that the servers A and B cost us */
    uint8_t taken[IDS]; /* how often our server took each request */
} we;

static void serve(void)
{
    union sums_slot *slot;
    int rc;

    while ((slot = sums_take(&we.s)) != NULL) {
        if (slot->request.id >= IDS || we.taken[slot->request.id]++ != 0)
            fail("taken twice: request", (int64_t)slot->request.id);
        slot->reply = answer_to(&slot->request);
        rc = sums_answer(&we.s, slot);
        if (rc != 0 && rc != -ECANCELED)
            fail("answer:", rc);
    }
}

static void ask(unsigned i)
{
    struct query q = make(we.asked[i] = we.next++);
    int rc = sums_ask(&we.c[i], &q);

    if (rc != 0)
        fail("ask:", rc);
}

/* Waits until the call has ended, or somebody has its request for good. */
static void finish(unsigned i)
{
    struct query q = make(we.asked[i]);
    uint64_t sum = 0;
    unsigned tries;
    int rc = -EAGAIN;

    for (tries = 0; tries < 20 && rc == -EAGAIN; tries++) {
        serve();
        we.c[i].raw.vain = 0; /* so that collect asks whether the server is dead */
        rc = sums_collect(&we.c[i], &sum);
    }
    if (rc == 0 && sum != answer_to(&q))
        fail("wrong reply to", (int64_t)we.asked[i]);
    if (rc == 0)
        return;
    sums_cancel(&we.c[i]);
    if (++we.lost > may_hold(&parties[0]) + may_hold(&parties[1]) ||
        (rc != -EAGAIN && rc != -EPIPE && rc != -EOWNERDEAD))
        fail("a call ended with", rc);
}

static void calls(unsigned i, unsigned n)
{
    unsigned lost = we.lost;

    while (n-- > 0) {
        ask(i);
        finish(i);
    }
    if (we.lost > lost)
        fail("a call was lost that only we could take:", we.lost);
}

/* ------------------------------------------------------------------ one point */

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

/* Makes both children; then two requests, for servers among them. */
static void begin(void)
{
    struct ipc_peer id = peer();
    unsigned i;

    memset(&we, 0, sizeof we);
    for (i = 0; i < 2; i++) {
        memset(parties[i].out, 0, sizeof *parties[i].out);
        parties[i].over = parties[i].whole = parties[i].pid = 0;
        parties[i].run = parties[i].changes = 0;
    }
    if (sums_init(mem, SIZE, SLOTS) != 0 || sums_server_attach(&we.s, mem, SIZE, &id) != 0)
        wrong("attach: %s", id.why);
    for (i = 0; i < OURS; i++)
        if (sums_client_attach(&we.c[i], mem, SIZE, &id) != 0)
            wrong("attach: %s", id.why);
    calls(0, 2);
    for (i = 0; i < 2; i++) {
        me = &parties[i];
        begin_child(operate);
        me = NULL;
        parties[i].pid = child;
    }
    ask(1);
    ask(2);
}

/* Changes with each store to the slots, the seats and what stands before them. */
static uint64_t ring_hash(void)
{
    uint64_t hash = 0;
    unsigned i;

    for (i = 0; i < 4096; i += 8)
        hash = (hash ^ ck_pr_load_64((uint64_t *)(void *)(mem + i))) * 0x9e3779b97f4a7c15u;
    return hash;
}

/* Runs a party until it is stopped or killed. */
static void turn(struct party *p)
{
    uint64_t hash = 0, before;
    unsigned left = p->n;

    if (p->op == QUIT_S)
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
    calls(0, CALLS);
}

static void let_finish(struct party *p)
{
    if (p->pid == 0)
        return;
    while (!p->over)
        p->over = go(p, PTRACE_CONT);
    if (!p->out->through)
        fail("stopped elsewhere, having taken", (int64_t)p->out->took);
    end_party(p);
}

/* No request was taken twice; all slots are of use to so many callers. */
static void account(void)
{
    struct ipc_peer id = peer();
    struct sums_client c;
    unsigned i;

    for (i = 0; i < 2; i++)
        if (parties[i].out->took != 0 && we.taken[parties[i].out->took - 1]++ != 0)
            fail("taken twice: request", (int64_t)parties[i].out->took - 1);
    for (i = 0; i < OURS; i++)
        sums_client_detach(&we.c[i]);
    for (i = 0; i < SLOTS; i++) {
        if (sums_client_attach(&c, mem, SIZE, &id) != 0)
            fail("attach:", i);
        we.c[0] = c;
        calls(0, 1);
    }
}

static void point(void)
{
    begin();
    turn(&parties[0]);
    turn(&parties[1]);
    if (parties[1].op == SERVE && parties[1].whole && parties[1].out->took == 0)
        fail("B took no request, of", 2);
    go_on();
    finish(1);
    finish(2);
    calls(1, 1); /* who gave up goes on in another slot */
    calls(2, 1);
    let_finish(&parties[first]);
    go_on();
    let_finish(&parties[!first]);
    go_on();
    account();
}

/* Returns 1 if it failed. */
static unsigned try_point(void)
{
    points++;
    if (setjmp(next_point) == 0) {
        point();
        return 0;
    }
    end_party(&parties[0]);
    end_party(&parties[1]);
    parties[0].whole = parties[1].whole = 0;
    if (++failures == FAILURES)
        exit(1);
    return 1;
}

/* Of each operation so far: instructions, changes of shared memory, at most. */
static struct {
    unsigned longest, changes;
} turns[OPS];

static void learn(const struct party *p)
{
    if (turns[p->op].changes < p->changes)
        turns[p->op].changes = p->changes;
    if (p->whole && turns[p->op].longest < p->run)
        turns[p->op].longest = p->run;
}

/* As in torture_two.c. */
static void draw_turn(struct party *p)
{
    unsigned longest = turns[p->op].longest;

    p->after = 0;
    p->n = longest > 0 ? (unsigned)chance(longest + 1) : LONGEST;
    if (longest > 0 && chance(3) > 0) {
        p->after = (unsigned)chance(turns[p->op].changes + 1);
        p->n = (unsigned)chance(chance(4) > 0 ? 4 : 64);
    }
}

/* Tries a pair: so many points, or, for 0, every instruction of A. */
static void try_pair(unsigned tries)
{
    unsigned i, failed = 0;

    parties[0].whole = 0;
    for (i = 0; failed < 4 && (tries > 0 ? i < tries : !parties[0].whole); i++) {
        draw_turn(&parties[0]);
        draw_turn(&parties[1]);
        if (tries == 0) {
            parties[0].after = 0;
            parties[0].n = i;
        }
        first = (unsigned)chance(2);
        failed += try_point();
        learn(&parties[0]);
        learn(&parties[1]);
    }
}

int main(int argc, char **argv)
{
    unsigned tries = argc > 1 ? (unsigned)atoi(argv[1]) : 0, i;
    const char *only = argc > 3 ? argv[3] : "";
    unsigned points_of_it;
    char name[100];

    seed ^= argc > 2 ? strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15u : 0;
    share(SIZE + 4096);
    stay_here();
    parties[0].out = (struct shared *)(void *)(mem + SIZE);
    parties[1].out = parties[0].out + 1;
    for (i = 0; i < OPS * OPS * 4; i++) {
        parties[0].op = (enum op)(i / 4 / OPS);
        parties[1].op = (enum op)(i / 4 % OPS);
        parties[0].how = (enum how)(i / 2 % 2);
        parties[1].how = (enum how)(i % 2);
        (void)snprintf(name, sizeof name, "%s, %s", op_names[parties[0].op],
                       op_names[parties[1].op]);
        points_of_it = tries / 4 + ((i + i / 4) % 4 < tries % 4); /* each pair begins with another way */
        if (strncmp(name, only, strlen(only)) == 0 && (tries == 0 || points_of_it > 0))
            try_pair(points_of_it);
    }
    printf("note: calls, two at once: %u points of stopping or killing, %s; %u failed\n", points,
           tries == 0 ? "every instruction of the first" : "a part of the instructions", failures);
    return failures > 0;
}
