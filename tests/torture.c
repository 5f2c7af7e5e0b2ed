/*
 * Every ring of ipc_ring.h at every instruction: a child runs one operation step by step and, after
 * n instructions for each n, is stopped or killed, while the others go on for some laps.
 *
 *     gcc -O1 -g -I. tests/torture.c -o torture && ./torture [stride]
 *
 * Says how many points it tried. Ends with 0 when everyone always went on, no message was lost,
 * doubled, torn or out of order but as the contract says, and who was stopped went on correctly.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ipc_ring.h"
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 16, LAPS = 3, BATCH = 5, IDS = 512, SIZE = 1 << 16 };

/* Who sent it, and which; what it carries is made of both. */
struct message {
    uint64_t id;
    uint64_t body[6];
};

IPC_SPSC(spsc, struct message)
IPC_MPMC(mpmc, struct message)
IPC_MPSC(mpsc, struct message)
IPC_SPMC(spmc, struct message)

static struct message make(uint64_t id)
{
    struct message m;
    unsigned i;

    m.id = id;
    for (i = 0; i < 6; i++)
        m.body[i] = id * 0x9e3779b97f4a7c15u + i;
    return m;
}

static void check(const struct message *m)
{
    struct message good = make(m->id);

    if (memcmp(m, &good, sizeof good) != 0)
        errx(1, "torn: message %llu", (unsigned long long)m->id);
}

/* ------------------------------------------------------------------ one way to call them all */

union producer {
    struct spsc_producer spsc;
    struct mpmc_producer mpmc;
    struct mpsc_producer mpsc;
    struct spmc_producer spmc;
};
union consumer {
    struct spsc_consumer spsc;
    struct mpmc_consumer mpmc;
    struct mpsc_consumer mpsc;
    struct spmc_consumer spmc;
};

struct kind {
    const char *name;
    int one_producer, one_consumer;
    int (*init)(void *mem, unsigned how);
    int (*produce)(union producer *, void *mem, struct ipc_peer *);
    int (*consume)(union consumer *, void *mem, struct ipc_peer *);
    int (*push)(union producer *, const struct message *);
    int64_t (*push_n)(union producer *, const struct message *, size_t);
    struct message *(*claim)(union producer *);
    int (*commit)(union producer *);
    void (*cancel)(union producer *);
    int (*pop)(union consumer *, struct message *);
    int64_t (*pop_n)(union consumer *, struct message *, size_t);
    const struct message *(*peek)(union consumer *);
    int (*release)(union consumer *);
    void (*leave)(union producer *);
    void (*quit)(union consumer *);
    int64_t (*recover)(union producer *);
};

#define KIND(K, ONE_PRODUCER, ONE_CONSUMER, INIT, RECOVER)                                         \
    static int K##_i(void *mem, unsigned how)                                                      \
    {                                                                                              \
        (void)how;                                                                                 \
        return INIT;                                                                               \
    }                                                                                              \
    static int K##_p(union producer *p, void *mem, struct ipc_peer *me)                            \
    {                                                                                              \
        return K##_produce(&p->K, mem, SIZE, me);                                                  \
    }                                                                                              \
    static int K##_c(union consumer *c, void *mem, struct ipc_peer *me)                            \
    {                                                                                              \
        return K##_consume(&c->K, mem, SIZE, me);                                                  \
    }                                                                                              \
    static int K##_pu(union producer *p, const struct message *m)                                  \
    {                                                                                              \
        return K##_push(&p->K, m);                                                                 \
    }                                                                                              \
    static int64_t K##_pn(union producer *p, const struct message *m, size_t n)                    \
    {                                                                                              \
        return K##_push_n(&p->K, m, n);                                                            \
    }                                                                                              \
    static struct message *K##_cl(union producer *p)                                               \
    {                                                                                              \
        return K##_claim(&p->K);                                                                   \
    }                                                                                              \
    static int K##_co(union producer *p)                                                           \
    {                                                                                              \
        return K##_commit(&p->K);                                                                  \
    }                                                                                              \
    static void K##_ca(union producer *p)                                                          \
    {                                                                                              \
        K##_cancel(&p->K);                                                                         \
    }                                                                                              \
    static int K##_po(union consumer *c, struct message *m)                                        \
    {                                                                                              \
        return K##_pop(&c->K, m);                                                                  \
    }                                                                                              \
    static int64_t K##_on(union consumer *c, struct message *m, size_t n)                          \
    {                                                                                              \
        return K##_pop_n(&c->K, m, n);                                                             \
    }                                                                                              \
    static const struct message *K##_pe(union consumer *c)                                         \
    {                                                                                              \
        return K##_peek(&c->K);                                                                    \
    }                                                                                              \
    static int K##_re(union consumer *c)                                                           \
    {                                                                                              \
        return K##_release(&c->K);                                                                 \
    }                                                                                              \
    static void K##_le(union producer *p)                                                          \
    {                                                                                              \
        K##_producer_detach(&p->K);                                                                \
    }                                                                                              \
    static void K##_qu(union consumer *c)                                                          \
    {                                                                                              \
        K##_consumer_detach(&c->K);                                                                \
    }                                                                                              \
    static int64_t K##_rc(union producer *p)                                                       \
    {                                                                                              \
        (void)p;                                                                                   \
        return RECOVER;                                                                            \
    }

KIND(spsc, 1, 1, spsc_init(mem, SIZE, CAPACITY), 0)
KIND(mpmc, 0, 0, mpmc_init(mem, SIZE, CAPACITY, how), mpmc_producer_recover(&p->mpmc, 0))
KIND(mpsc, 0, 1, mpsc_init(mem, SIZE, CAPACITY, how), mpsc_producer_recover(&p->mpsc, 0))
KIND(spmc, 1, 0, spmc_init(mem, SIZE, CAPACITY, how), spmc_producer_recover(&p->spmc, 0))

#define ROW(K, ONE_PRODUCER, ONE_CONSUMER)                                                         \
    {                                                                                              \
#K, ONE_PRODUCER, ONE_CONSUMER, K##_i, K##_p, K##_c, K##_pu, K##_pn, K##_cl, K##_co,       \
            K##_ca, K##_po, K##_on, K##_pe, K##_re, K##_le, K##_qu, K##_rc                         \
    }

static const struct kind kinds[] = {ROW(spsc, 1, 1), ROW(mpmc, 0, 0), ROW(mpsc, 0, 1),
                                    ROW(spmc, 1, 0)};

/* ------------------------------------------------------------------ what the child does */

enum op {
    PUSH,
    PUSH_N,
    COMMIT,
    CANCEL,
    JOIN_P,
    LEAVE_P,
    RECOVER,
    PRODUCING = RECOVER,
    POP,
    POP_N,
    PEEK,
    JOIN_C,
    LEAVE_C,
    OPS
};
static const char *const op_names[] = {"push",   "push_n",        "claim, commit", "claim, cancel",
                                       "attach", "detach",        "recover",       "pop",
                                       "pop_n",  "peek, release", "attach",        "detach"};
enum how { STOP, KILL };

/* Shared with the child. */
static struct shared {
    uint64_t sent, taken, before; /* what the child knows to have sent, taken and had in hand */
    uint64_t id[BATCH];           /* of those taken */
    uint64_t through;
} * out;
static unsigned char *mem;

static int alive(void *arg, uint64_t id)
{
    (void)arg;
    return kill((pid_t)id, 0) == 0;
}

static struct ipc_peer peer(void)
{
    struct ipc_peer me;

    memset(&me, 0, sizeof me);
    me.id = (uint64_t)getpid();
    me.alive = alive;
    return me;
}

#define OF_CHILD 1000000u

static void take(const struct message *m)
{
    check(m);
    ck_pr_store_64(&out->id[out->taken], m->id);
    ck_pr_store_64(&out->taken, out->taken + 1);
}

static void operate(const struct kind *k, enum op op, union producer *p, union consumer *c)
{
    struct message m[BATCH];
    const struct message *seen;
    struct ipc_peer me = peer();
    int64_t n;
    uint64_t i;

    for (i = 0; i < BATCH; i++)
        m[i] = make(OF_CHILD + i);
    if (op == JOIN_P || op == JOIN_C)
        ;
    else if (op <= PRODUCING ? k->produce(p, mem, &me) : k->consume(c, mem, &me))
        _exit(3);
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    (void)raise(SIGSTOP);
    switch (op) {
    case PUSH:
        ck_pr_store_64(&out->sent, k->push(p, m) == 0);
        break;
    case PUSH_N:
        n = k->push_n(p, m, BATCH);
        ck_pr_store_64(&out->sent, n > 0 ? (uint64_t)n : 0);
        break;
    case COMMIT:
    case CANCEL: {
        struct message *slot = k->claim(p);

        if (slot == NULL)
            break;
        *slot = m[0];
        if (op == CANCEL)
            k->cancel(p);
        else
            ck_pr_store_64(&out->sent, k->commit(p) == 0);
        break;
    }
    case JOIN_P:
        if (k->produce(p, mem, &me) != 0)
            _exit(4);
        break;
    case LEAVE_P:
        k->leave(p);
        break;
    case RECOVER:
        (void)k->recover(p);
        break;
    case POP:
        if (k->pop(c, m) == 0)
            take(m);
        break;
    case POP_N:
        n = k->pop_n(c, m, BATCH);
        for (i = 0; (int64_t)i < n; i++)
            take(&m[i]);
        break;
    case PEEK:
        seen = k->peek(c);
        if (seen == NULL)
            break;
        take(seen);
        ck_pr_store_64(&out->before, 1);
        if (k->release(c) != 0)
            _exit(5);
        ck_pr_store_64(&out->before, 2);
        break;
    case JOIN_C:
        if (k->consume(c, mem, &me) != 0)
            _exit(4);
        break;
    default:
        k->quit(c);
    }
    ck_pr_store_64(&out->through, 1);
    (void)raise(SIGSTOP);
    _exit(0);
}

/* ------------------------------------------------------------------ the others */

static struct {
    const struct kind *k;
    union producer p;
    union consumer c;
    int producing, consuming;
    uint64_t sent;
    uint8_t seen[IDS], seen_child[BATCH];
    uint64_t last, last_child;
    int again; /* a message may come twice, and late */
    uint64_t received;
} we;

static void receive(const struct message *m)
{
    uint64_t id = m->id;

    check(m);
    if (id >= OF_CHILD) {
        id -= OF_CHILD;
        if (id >= BATCH || we.seen_child[id]++ != 0 || id < we.last_child)
            errx(1, "message %llu of the child doubled or out of order", (unsigned long long)id);
        we.last_child = id;
        return;
    }
    if (id >= we.sent || (we.seen[id]++ != 0 && !we.again) || (id < we.last && !we.again))
        errx(1, "message %llu doubled or out of order: after %llu, of %llu", (unsigned long long)id,
             (unsigned long long)we.last, (unsigned long long)we.sent);
    we.last = id > we.last ? id : we.last;
    we.received++;
}

static int send_one(void)
{
    struct message m = make(we.sent);
    int rc = we.k->push(&we.p, &m);

    if (rc == 0)
        we.sent++;
    else if (rc != -EAGAIN)
        errx(1, "push: %s", strerror(-rc));
    return rc == 0;
}

static int receive_one(void)
{
    struct message m;
    int rc = we.k->pop(&we.c, &m);

    if (rc == 0)
        receive(&m);
    else if (rc != -EAGAIN)
        errx(1, "pop: %s", strerror(-rc));
    return rc == 0;
}

/* Sends and receives for some laps; nobody may hold that up. */
static void laps(void)
{
    uint64_t until = we.sent + LAPS * CAPACITY;
    unsigned tries;

    for (tries = 0; tries < 100000 && we.sent < until; tries++) {
        if (tries % 7 < 5)
            (void)send_one();
        if (tries % 5 < 4)
            (void)receive_one();
    }
    if (we.sent < until)
        errx(1, "held up after %llu messages",
             (unsigned long long)(we.sent + LAPS * CAPACITY - until));
}

static void drain(void)
{
    unsigned tries;

    for (tries = 0; tries < 1000; tries++)
        (void)receive_one();
}

static void attach_us(int producing, int consuming)
{
    struct ipc_peer me = peer();
    int rc = 0;

    if (producing && !we.producing)
        rc = we.k->produce(&we.p, mem, &me);
    we.producing |= producing;
    if (rc == 0 && consuming && !we.consuming)
        rc = we.k->consume(&we.c, mem, &me);
    we.consuming |= consuming;
    if (rc != 0)
        errx(1, "attach: %s: %s", strerror(-rc), me.why);
}

/* ------------------------------------------------------------------ one point */

static pid_t child;

static void bury(void)
{
    int status;

    (void)kill(child, SIGKILL);
    while (waitpid(child, &status, 0) == child && !WIFSIGNALED(status) && !WIFEXITED(status))
        ;
}

/* 1 when the operation was through before n instructions. */
static int point(const struct kind *k, enum op op, enum how how, unsigned fill, unsigned again,
                 unsigned n, unsigned *steps)
{
    int producer = op <= PRODUCING, sole = producer ? k->one_producer : k->one_consumer, status;
    int join = op == JOIN_P || op == JOIN_C;
    union producer p;
    union consumer c;
    unsigned i, missing = 0;
    int through = 0;

    memset(out, 0, sizeof *out);
    memset(&we, 0, sizeof we);
    we.k = k;
    we.again = again && how == KILL && op == PEEK;
    if (k->init(mem, again) != 0)
        errx(1, "init");
    /* As we need the single ends to fill the ring, the child takes them over then. */
    attach_us(1, 1);
    while (we.sent < CAPACITY + CAPACITY / 2) { /* into the second lap */
        (void)send_one();
        (void)receive_one();
    }
    for (i = 0; i < fill; i++)
        (void)send_one();
    if (sole && producer)
        k->leave(&we.p), we.producing = 0;
    if (sole && !producer)
        k->quit(&we.c), we.consuming = 0;
    child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        operate(k, op, &p, &c);
    }
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status))
        errx(1, "%s %s: the child ended before it began: %d", k->name, op_names[op], status);
    for (i = 0; i < n; i++) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0)
            err(1, "ptrace");
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
            errx(1, "%s %s: the child ended: %d", k->name, op_names[op], status);
        if (WSTOPSIG(status) == SIGSTOP) {
            through = 1;
            break;
        }
    }
    *steps = i;
    if (how == KILL)
        bury();
    if (how == KILL || !sole) {
        attach_us(1, 1);
        laps();
    } else if (producer) {
        drain();
    } else {
        for (i = 0; i < 2 * CAPACITY; i++)
            (void)send_one();
    }
    if (how == STOP) { /* it goes on, and gets through */
        while (!through) {
            if (ptrace(PTRACE_CONT, child, NULL, NULL) != 0)
                err(1, "ptrace");
            if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
                errx(1, "%s %s: the stopped child ended: %d", k->name, op_names[op], status);
            through = WSTOPSIG(status) == SIGSTOP;
        }
        if (out->through != 1)
            errx(1, "%s %s: stopped elsewhere", k->name, op_names[op]);
        bury();
        through = 0;
        attach_us(1, 1);
        laps();
    }
    /* What the dead hold goes in the next laps; then all is there. */
    laps();
    drain();
    for (i = 0; i < out->taken; i++) {
        uint64_t id = ck_pr_load_64(&out->id[i]);

        if (id >= we.sent)
            errx(1, "the child took message %llu", (unsigned long long)id);
        /* What it had in hand, or a replay of SPSC, comes again. */
        if (we.seen[id] != 0 && how == STOP && !k->one_consumer)
            errx(1, "%s %s: message %llu taken twice", k->name, op_names[op],
                 (unsigned long long)id);
        if (we.seen[id] != 0 && how == KILL && !k->one_consumer && out->before != 1 && !we.again)
            errx(1, "%s %s: message %llu taken twice", k->name, op_names[op],
                 (unsigned long long)id);
        we.seen[id] |= 1;
    }
    for (i = 0; i < we.sent; i++)
        missing += we.seen[i] == 0;
    if (missing > (how == KILL && !producer && !again ? op == POP_N ? BATCH : 1
                   : how == KILL && op == POP         ? 1
                   : how == KILL && op == POP_N       ? BATCH
                                                      : 0))
        errx(1, "%s %s, %s after %u: %u messages are missing", k->name, op_names[op],
             how == KILL ? "killed" : "stopped", n, missing);
    for (i = 0; i < out->sent; i++)
        if (we.seen_child[i] == 0)
            errx(1, "%s %s, %s after %u: message %u of the child is missing", k->name, op_names[op],
                 how == KILL ? "killed" : "stopped", n, i);
    if (how == STOP)
        for (i = (unsigned)out->sent; i < BATCH; i++)
            if (we.seen_child[i] != 0)
                errx(1, "%s %s: a message that was not sent arrived", k->name, op_names[op]);
    (void)join;
    k->leave(&we.p);
    k->quit(&we.c);
    return i = (unsigned)through, *steps < n;
}

int main(int argc, char **argv)
{
    static const unsigned fills[] = {0, 3, CAPACITY};
    unsigned stride = argc > 1 ? (unsigned)atoi(argv[1]) : 1, points = 0, k, op, how, f, again;

    mem = (unsigned char *)mmap(NULL, SIZE + 4096, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if ((void *)mem == MAP_FAILED || stride == 0)
        errx(1, "usage: torture [every so many instructions]");
    out = (struct shared *)(void *)(mem + SIZE);
    for (k = argc > 2 ? (unsigned)atoi(argv[2]) : 0; k < sizeof kinds / sizeof *kinds; k++)
        for (op = 0; op < OPS; op++) {
            unsigned here = points;

            for (how = STOP; how <= KILL; how++)
                for (f = 0; f < 3; f++)
                    for (again = 0; again < 2; again++) {
                        unsigned n, steps;

                        for (n = (points * 7) % stride;; n += stride) {
                            points++;
                            if (point(&kinds[k], (enum op)op, (enum how)how, fills[f], again, n,
                                      &steps))
                                break;
                        }
                    }
            printf("%s %s %s: %u points\n", kinds[k].name,
                   op <= PRODUCING ? "producer" : "consumer", op_names[op], points - here);
            (void)fflush(stdout);
        }
    printf("note: %u points of stopping or killing, %s\n", points,
           stride == 1 ? "every instruction" : "a part of the instructions");
    return 0;
}
