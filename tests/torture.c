/*
 * Stops every ring of ipc_ring.h at every instruction: a child runs one operation step by step and
 * is stopped or killed after n instructions, for each n, while the others continue for some laps.
 *
 *     gcc -O1 -g -I. tests/torture.c -o torture && ./torture [stride [start of a ring's name]]
 *
 * Prints how many points it tried. Exits with 0 if the others always continued, no message was
 * lost, duplicated, torn or out of order except as the contract permits, and a stopped child
 * continued correctly.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "torture.h"

enum { CAPACITY = 16, LAPS = 3, BATCH = 5, IDS = 512, SIZE = 1 << 16 };
enum { BYTES = 512, LANES = 3 }; /* of records: fewer than CAPACITY of them go in */
#define OF_CHILD 1000000u        /* the ids of the child's messages begin here */

/* Its sender and its number; the payload is made of both. */
struct message {
    uint64_t id;
    uint64_t body[6];
};

IPC_SPSC(spsc, struct message)
IPC_MPMC(mpmc, struct message)
IPC_MPSC(mpsc, struct message)
IPC_SPMC(spmc, struct message)
IPC_STREAM(stream, struct message)
IPC_BROADCAST(lossless, struct message)
IPC_BROADCAST(lossy, struct message)
IPC_RECORDS(records)
IPC_RECORDS(records_of_three)
IPC_RECORD_BROADCAST(records_lossless)
IPC_RECORD_BROADCAST(records_lossy)

/* A stream is used one element at a time. */
#define stream_push(p, m) stream_push_all(p, m, 1)
#define stream_claim(p) stream_claim(p, 1)
#define stream_commit(p) stream_commit(p, 1)
#define stream_cancel(p) ((void)(p))
#define stream_pop(c, m) stream_pop_all(c, m, 1)
#define stream_peek(c) stream_peek(c, 1)
#define stream_release(c) stream_release(c, 1)

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

/* As a record, a message is cut short: its length follows from its id. */
static size_t length_of(uint64_t id)
{
    return sizeof id + (size_t)(id * 5 % (sizeof(struct message) - sizeof id + 1));
}

static struct ipc_record some[BATCH];

static const struct ipc_record *records_of(const struct message *m, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        some[i].at = &m[i];
        some[i].n = length_of(m[i].id);
    }
    return some;
}

/* Where pop and pop_n of records put messages. */
static unsigned char buffer[BATCH * sizeof(struct message)];

/* The message in a record of n bytes. If its length does not match its id, it is torn. */
static struct message message_of(const void *at, size_t n)
{
    struct message m;

    if (n < sizeof m.id || n > sizeof m)
        errx(1, "a record of %zu bytes", n);
    memcpy(&m.id, at, sizeof m.id);
    m = make(m.id);
    memcpy(&m, at, n);
    if (n != length_of(m.id))
        m.body[5]++;
    return m;
}

static int popped(int64_t n, struct message *m)
{
    if (n < 0)
        return (int)n;
    *m = message_of(buffer, (size_t)n);
    return 0;
}

static int64_t popped_n(int64_t n, struct message *m)
{
    int64_t i;

    for (i = 0; i < n; i++)
        m[i] = message_of(some[i].at, some[i].n);
    return n;
}

static const struct message *peeked(const void *at, const size_t *n)
{
    static struct message m;

    if (at == NULL)
        return NULL;
    m = message_of(at, *n);
    return &m;
}

/* ------------------------------------------------------------------ one way to call them all */

union producer {
    struct spsc_producer spsc;
    struct mpmc_producer mpmc;
    struct mpsc_producer mpsc;
    struct spmc_producer spmc;
    struct stream_producer stream;
    struct lossless_producer lossless;
    struct lossy_producer lossy;
    struct records_producer records;
    struct records_of_three_producer records_of_three;
    struct records_lossless_producer records_lossless;
    struct records_lossy_producer records_lossy;
};
union consumer {
    struct spsc_consumer spsc;
    struct mpmc_consumer mpmc;
    struct mpsc_consumer mpsc;
    struct spmc_consumer spmc;
    struct stream_consumer stream;
    struct lossless_consumer lossless;
    struct lossy_consumer lossy;
    struct records_consumer records;
    struct records_of_three_consumer records_of_three;
    struct records_lossless_consumer records_lossless;
    struct records_lossy_consumer records_lossy;
};

/* Values of one_consumer for broadcasts, where every consumer sees every message: the producer
 * waits for a stopped consumer (EACH) or does not (EACH_LOSSY). */
enum { EACH = 2, EACH_LOSSY = 3 };

struct kind {
    const char *name;
    unsigned producers; /* how many may attach; 0: any number */
    int one_consumer;
    int (*init)(void *mem, unsigned how);
    int (*produce)(union producer *, void *mem, struct ipc_peer *);
    int (*consume)(union consumer *, void *mem, struct ipc_peer *);
    int (*push)(union producer *, const struct message *);
    int64_t (*push_n)(union producer *, const struct message *, size_t);
    struct message *(*claim)(union producer *);
    int (*commit)(union producer *);
    void (*cancel)(union producer *);
    int64_t (*recover)(union producer *);
    void (*producer_detach)(union producer *);
    int (*pop)(union consumer *, struct message *);
    int64_t (*pop_n)(union consumer *, struct message *, size_t);
    const struct message *(*peek)(union consumer *);
    int (*release)(union consumer *);
    void (*consumer_detach)(union consumer *);
    uint64_t (*missed)(const union consumer *);
};

#define CALL(HEAD, BODY)                                                                           \
    static HEAD                                                                                    \
    {                                                                                              \
        BODY;                                                                                      \
    }
/* Messages of one size. */
#define SLOTS(K)                                                                                   \
    CALL(int K##_push_(union producer *p, const struct message *m), return K##_push(&p->K, m))     \
    CALL(int64_t K##_push_n_(union producer *p, const struct message *m, size_t n),                \
         return K##_push_n(&p->K, m, n))                                                           \
    CALL(struct message *K##_claim_(union producer *p), return K##_claim(&p->K))                   \
    CALL(int K##_commit_(union producer *p), return K##_commit(&p->K))                             \
    CALL(int K##_pop_(union consumer *c, struct message *m), return K##_pop(&c->K, m))             \
    CALL(int64_t K##_pop_n_(union consumer *c, struct message *m, size_t n),                       \
         return K##_pop_n(&c->K, m, n))                                                            \
    CALL(const struct message *K##_peek_(union consumer *c), return K##_peek(&c->K))
#define RECORDS(K)                                                                                 \
    CALL(int K##_push_(union producer *p, const struct message *m),                                \
         return K##_push(&p->K, m, length_of(m->id)))                                              \
    CALL(int64_t K##_push_n_(union producer *p, const struct message *m, size_t n),                \
         return K##_push_n(&p->K, records_of(m, n), n))                                            \
    CALL(struct message *K##_claim_(union producer *p),                                            \
         return (struct message *)K##_claim(&p->K, sizeof(struct message)))                        \
    CALL(int K##_commit_(union producer *p), return K##_commit(&p->K, length_of(OF_CHILD)))        \
    CALL(int K##_pop_(union consumer *c, struct message *m),                                       \
         return popped(K##_pop(&c->K, buffer, sizeof *m), m))                                      \
    CALL(int64_t K##_pop_n_(union consumer *c, struct message *m, size_t n),                       \
         return popped_n(K##_pop_n(&c->K, buffer, sizeof buffer, some, n), m))                     \
    CALL(const struct message *K##_peek_(union consumer *c), size_t n = 0;                         \
         return peeked(K##_peek(&c->K, &n), &n))
/* INIT, RECOVER and MISSED differ between kinds. */
#define KIND(K, MESSAGES, PRODUCERS, ONE_CONSUMER, INIT, RECOVER, MISSED)                          \
    CALL(int K##_init_(void *mem, unsigned how), (void)how; return INIT)                           \
    CALL(int K##_produce_(union producer *p, void *mem, struct ipc_peer *me),                      \
         return K##_producer_attach(&p->K, mem, SIZE, me))                                         \
    CALL(int K##_consume_(union consumer *c, void *mem, struct ipc_peer *me),                      \
         return K##_consumer_attach(&c->K, mem, SIZE, me))                                         \
    MESSAGES(K)                                                                                    \
    CALL(void K##_cancel_(union producer *p), K##_cancel(&p->K))                                   \
    CALL(int64_t K##_recover_(union producer *p), (void)p; return RECOVER)                         \
    CALL(void K##_producer_detach_(union producer *p), K##_producer_detach(&p->K))                 \
    CALL(int K##_release_(union consumer *c), return K##_release(&c->K))                           \
    CALL(void K##_consumer_detach_(union consumer *c), K##_consumer_detach(&c->K))                 \
    CALL(uint64_t K##_missed_(const union consumer *c), (void)c; return MISSED)                    \
    static const struct kind K##_kind = {                                                          \
        #K,           PRODUCERS,    ONE_CONSUMER,         K##_init_,  K##_produce_,                \
        K##_consume_, K##_push_,    K##_push_n_,          K##_claim_, K##_commit_,                 \
        K##_cancel_,  K##_recover_, K##_producer_detach_, K##_pop_,   K##_pop_n_,                  \
        K##_peek_,    K##_release_, K##_consumer_detach_, K##_missed_};

KIND(spsc, SLOTS, 1, 1, spsc_init(mem, SIZE, CAPACITY), 0, 0)
KIND(mpmc, SLOTS, 0, 0, mpmc_init(mem, SIZE, CAPACITY, how), mpmc_producer_recover(&p->mpmc, 0), 0)
KIND(mpsc, SLOTS, 0, 1, mpsc_init(mem, SIZE, CAPACITY, how), mpsc_producer_recover(&p->mpsc, 0), 0)
KIND(spmc, SLOTS, 1, 0, spmc_init(mem, SIZE, CAPACITY, how), spmc_producer_recover(&p->spmc, 0), 0)
KIND(stream, SLOTS, 1, 1, stream_init(mem, SIZE, CAPACITY), 0, 0)
KIND(lossless, SLOTS, 1, EACH, lossless_init(mem, SIZE, CAPACITY, IPC_BROADCAST_LOSSLESS),
     lossless_producer_recover(&p->lossless, 0), 0)
KIND(lossy, SLOTS, 1, EACH_LOSSY, lossy_init(mem, SIZE, CAPACITY, IPC_BROADCAST_LOSSY), 0,
     lossy_missed(&c->lossy))
KIND(records, RECORDS, 1, 1, records_init(mem, SIZE, BYTES, 1), 0, 0)
KIND(records_of_three, RECORDS, LANES, 1, records_of_three_init(mem, SIZE, BYTES, LANES), 0, 0)
KIND(records_lossless, RECORDS, 1, EACH,
     records_lossless_init(mem, SIZE, BYTES, IPC_BROADCAST_LOSSLESS),
     records_lossless_producer_recover(&p->records_lossless, 0), 0)
KIND(records_lossy, RECORDS, 1, EACH_LOSSY,
     records_lossy_init(mem, SIZE, BYTES, IPC_BROADCAST_LOSSY), 0,
     records_lossy_missed(&c->records_lossy))

static const struct kind *const kinds[] = {&spsc_kind,
                                           &mpmc_kind,
                                           &mpsc_kind,
                                           &spmc_kind,
                                           &stream_kind,
                                           &lossless_kind,
                                           &lossy_kind,
                                           &records_kind,
                                           &records_of_three_kind,
                                           &records_lossless_kind,
                                           &records_lossy_kind};

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
        errx(1, "wrong message taken by the child: %llu", (unsigned long long)m->id);
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
            errx(1, "later pop of the child: %s, message %llu, not %llu", strerror(-rc),
                 (unsigned long long)m.id, (unsigned long long)next);
        check(&m);
        next++;
    }
    if (next != out->all)
        errx(1, "the child read %llu of %llu messages", (unsigned long long)next,
             (unsigned long long)out->all);
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
            ck_pr_store_64(&out->sent, k->commit(&p) == 0);
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
            errx(1, "message %llu of the child duplicated or out of order", (unsigned long long)id);
        we.last_child = id;
        return;
    }
    if (id >= we.sent)
        errx(1, "message %llu, of %llu sent", (unsigned long long)id, (unsigned long long)we.sent);
    last = &we.last[we.by[id]];
    if (!we.again && (we.seen[id] != 0 || id < *last))
        errx(1, "message %llu duplicated or out of order, after %llu", (unsigned long long)id,
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
        errx(1, "no progress after %llu messages", (unsigned long long)(we.sent - from));
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
    errx(1, "%s, %s, %s after %u instructions: %s %lld", now.k->name, op_names[now.op],
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
            fail("the child took a message that was not sent:", (int64_t)id);
        /* A message that it held, or that SPSC replays, comes again. */
        if (we.seen[id] && !now.k->one_consumer && (now.how == STOP || (!out->held && !we.again)))
            fail("received twice: message", (int64_t)id);
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
            fail("missing: message of the child", i);
        if (i >= out->sent && we.seen_child[i] && now.how == STOP)
            fail("received but not sent: message of the child", i);
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
    while (we.sent < CAPACITY + CAPACITY / 2) {
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
        fail("the child stopped before its end; messages sent:", (int64_t)out->sent);
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
        errx(1, "usage: torture [stride, in instructions [start of a ring's name]]");
    share(SIZE + 4096);
    out = (struct shared *)(void *)(mem + SIZE);
    for (k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (strncmp(kinds[k]->name, only, strlen(only)) == 0)
            for (op = 0; op < OPS; op++) {
                now.k = kinds[k];
                now.op = (enum op)op;
                torture(stride);
            }
    printf("note: stopped or killed at %u points, %s\n", points,
           stride == 1 ? "at every instruction" : "at some of the instructions");
    return 0;
}
