/*
 * Calls, stopped at every instruction: a child runs one operation of a caller or a server step by
 * step and is stopped or killed after n instructions, for each n, while others go on calling and
 * serving.
 *
 *     gcc -O1 -g -I. tests/torture_call.c -o torture_call && ./torture_call [stride]
 *
 * Prints how many points it tried. Ends with 0 if all of this held: the others always went on,
 * except for the one call that the child had taken; every reply answered its request; no request
 * was taken twice; a stopped child went on correctly; every slot was usable after a kill.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "torture.h"

enum { SLOTS = 4, CALLS = 20, OF_CHILD = 1000000, SIZE = 1 << 14 };

struct query {
    uint64_t id, body[5];
};
IPC_CALL(sums, struct query, uint64_t)

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
        errx(1, "torn: request %llu", (unsigned long long)q->id);
    return q->id * 3 + 1;
}

/* ------------------------------------------------------------------ what the child does */

/* Operations of callers, then of servers. LATER: the parent's server took the request first. */
enum op {
    CALL,
    COLLECT,
    CANCEL,
    CANCEL_LATER,
    MOVE_LATER,
    JOIN_C,
    LEAVE_C,
    LEAVE_LATER,
    SERVE,
    JOIN_S,
    LEAVE_S
};
static const char *const op_names[] = {"caller: ask, collect",
                                       "caller: collect",
                                       "caller: cancel",
                                       "caller: cancel what was taken",
                                       "caller: ask in another slot",
                                       "caller: attach",
                                       "caller: detach",
                                       "caller: detach from what was taken",
                                       "server: take, answer",
                                       "server: attach",
                                       "server: detach"};
enum { OPS = sizeof op_names / sizeof *op_names };

/* The point that is tried. */
static struct {
    enum op op;
    int kill;
    unsigned n; /* instructions before the stop or kill */
} now;

static int serves(void)
{
    return now.op >= SERVE;
}

/* Shared with the child. */
static struct shared {
    uint64_t took; /* id of the request that the child took as a server */
    uint64_t through;
} * out;

static void collect_mine(struct sums_client *c, const struct query *q)
{
    uint64_t sum = 0;
    int rc;

    while ((rc = sums_collect(c, &sum)) == -EAGAIN)
        ;
    if (rc != 0 || sum != answer_to(q))
        _exit(5);
}

/* Runs in the child, which stops before and after the operation, and once before that, for the
 * parent to do its part. */
static void operate(void)
{
    struct ipc_peer me = peer();
    struct query q = make(OF_CHILD), more = make(OF_CHILD + 1);
    struct sums_client c;
    struct sums_server s;
    union sums_slot *slot = NULL;

    memset(&c, 0, sizeof c);
    memset(&s, 0, sizeof s);
    if (now.op != JOIN_C && !serves() && sums_client_attach(&c, mem, SIZE, &me) != 0)
        _exit(3);
    if (now.op != JOIN_S && serves() && sums_server_attach(&s, mem, SIZE, &me) != 0)
        _exit(3);
    if (now.op >= COLLECT && now.op <= LEAVE_LATER && now.op != JOIN_C && sums_ask(&c, &q) != 0)
        _exit(3);
    if (now.op == LEAVE_S && (slot = sums_take(&s)) != NULL)
        ck_pr_store_64(&out->took, slot->request.id);
    be_tortured();
    if (now.op == MOVE_LATER)
        sums_cancel(&c);
    (void)raise(SIGSTOP);
    switch (now.op) {
    case CALL:
        if (sums_ask(&c, &q) != 0)
            _exit(4);
        collect_mine(&c, &q);
        break;
    case COLLECT:
        collect_mine(&c, &q);
        break;
    case CANCEL:
    case CANCEL_LATER:
        sums_cancel(&c);
        break;
    case MOVE_LATER:
        if (sums_ask(&c, &more) != 0)
            _exit(4);
        collect_mine(&c, &more);
        break;
    case JOIN_C:
        if (sums_client_attach(&c, mem, SIZE, &me) != 0)
            _exit(4);
        break;
    case LEAVE_C:
    case LEAVE_LATER:
        sums_client_detach(&c);
        break;
    case SERVE:
        slot = sums_take(&s);
        if (slot == NULL)
            break;
        ck_pr_store_64(&out->took, slot->request.id);
        slot->reply = answer_to(&slot->request);
        (void)sums_answer(&s, slot);
        break;
    case JOIN_S:
        if (sums_server_attach(&s, mem, SIZE, &me) != 0)
            _exit(4);
        break;
    case LEAVE_S:
        sums_server_detach(&s);
        break;
    }
    ck_pr_store_64(&out->through, 1);
    (void)raise(SIGSTOP);
    _exit(0);
}

/* ------------------------------------------------------------------ the others */

static void fail(const char *what, int64_t number)
{
    errx(1, "%s, %s after %u: %s %lld", op_names[now.op], now.kill ? "killed" : "stopped", now.n,
         what, (long long)number);
}

static struct {
    struct sums_client c;
    struct sums_server s;
    union sums_slot *held; /* the child's request */
    uint64_t next;
    unsigned lost;                         /* calls that the child cost us */
    uint8_t taken[2], mine[2 * CALLS + 8]; /* how often each request was taken: child's, ours */
} we;

static void answer(union sums_slot *slot)
{
    int rc;

    slot->reply = answer_to(&slot->request);
    rc = sums_answer(&we.s, slot);
    if (rc != 0 && rc != -ECANCELED)
        fail("answer:", rc);
}

static union sums_slot *take(void)
{
    union sums_slot *slot = sums_take(&we.s);
    uint64_t id;

    if (slot == NULL)
        return NULL;
    id = slot->request.id;
    if ((*(id >= OF_CHILD ? &we.taken[id - OF_CHILD] : &we.mine[id]))++ != 0)
        fail("taken twice: request", (int64_t)id);
    return slot;
}

static void serve(void)
{
    union sums_slot *slot;

    while ((slot = take()) != NULL)
        answer(slot);
}

/* Waits until the call has ended, or the child has taken it for good. */
static void finish(uint64_t id)
{
    struct query q = make(id);
    uint64_t sum = 0;
    unsigned tries;
    int rc = -EAGAIN;

    for (tries = 0; tries < 50 && rc == -EAGAIN; tries++) {
        we.c.raw.vain = 0; /* so that collect asks whether the server is dead */
        rc = sums_collect(&we.c, &sum);
        serve();
    }
    if (rc == 0 && sum != answer_to(&q))
        fail("wrong reply to", (int64_t)id);
    if (rc == 0)
        return;
    sums_cancel(&we.c);
    if (!serves() || we.lost++ > 0 ||
        (rc != -EAGAIN && rc != (now.kill ? -EOWNERDEAD : -EPIPE) && rc != -EPIPE) ||
        (rc == -EAGAIN && now.kill))
        fail("a call ended with", rc);
}

static void calls(unsigned n)
{
    while (n-- > 0) {
        struct query q = make(we.next);
        int rc = sums_ask(&we.c, &q);

        if (rc != 0)
            fail("ask:", rc);
        finish(we.next++);
    }
}

/* Makes a child that is about to operate. */
static void begin(void)
{
    struct ipc_peer me = peer();

    memset(out, 0, sizeof *out);
    memset(&we, 0, sizeof we);
    if (sums_init(mem, SIZE, SLOTS / IPC_CALL_SLOTS_EACH_) != 0 ||
        sums_client_attach(&we.c, mem, SIZE, &me) != 0 ||
        sums_server_attach(&we.s, mem, SIZE, &me) != 0)
        errx(1, "attach: %s", me.why);
    calls(3);
    if (serves()) { /* a request to take */
        struct query q = make(we.next);

        if (sums_ask(&we.c, &q) != 0)
            fail("ask", 0);
    }
    begin_child(operate);
    if (now.op == CANCEL_LATER || now.op == MOVE_LATER || now.op == LEAVE_LATER)
        we.held = take();
    else if (now.op == COLLECT)
        serve();
    (void)resume(PTRACE_CONT, NULL);
}

/* Nobody else is left: all slots are free, for SLOTS callers. */
static void account(void)
{
    struct ipc_peer me = peer();
    struct sums_client c[SLOTS];
    unsigned i;

    sums_client_detach(&we.c);
    for (i = 0; i < SLOTS; i++)
        if (sums_client_attach(&c[i], mem, SIZE, &me) != 0)
            fail("attach:", i);
    for (i = 0; i < SLOTS; i++) {
        we.c = c[i];
        calls(1);
    }
}

/* Returns 1 if the operation ended within n instructions. */
static int point(void)
{
    int through = 0, stopped;
    unsigned i;

    begin();
    for (i = 0; i < now.n && !through; i++) {
        through = resume(PTRACE_SINGLESTEP, NULL);
        if (now.op == CALL || now.op == MOVE_LATER)
            serve(); /* or the child would wait for ever */
    }
    if (now.kill)
        bury();
    if (serves())
        finish(we.next++);
    calls(CALLS);
    if (we.held != NULL)
        answer(we.held);
    if (!now.kill) {
        for (stopped = through; !stopped;)
            stopped = resume(PTRACE_CONT, serve);
        if (!out->through)
            fail("stopped elsewhere, having taken", (int64_t)out->took);
        calls(3);
        bury();
    }
    if (serves() && out->took != 0 && we.mine[out->took] != 0)
        fail("taken twice: request", (int64_t)out->took);
    account();
    return through;
}

int main(int argc, char **argv)
{
    unsigned stride = argc > 1 ? (unsigned)atoi(argv[1]) : 1, points = 0, op;

    if (stride == 0)
        errx(1, "usage: torture_call [every so many instructions]");
    share(SIZE + 4096);
    out = (struct shared *)(void *)(mem + SIZE);
    for (op = 0; op < OPS; op++) {
        unsigned before = points;

        for (now.kill = 0; now.kill < 2; now.kill++) {
            now.op = (enum op)op;
            now.n = points++ * 7 % stride;
            for (; !point(); now.n += stride)
                points++;
        }
        printf("%s: %u points\n", op_names[op], points - before);
        (void)fflush(stdout);
    }
    printf("note: %u points of stopping or killing calls, %s\n", points,
           stride == 1 ? "every instruction" : "a part of the instructions");
    return 0;
}
