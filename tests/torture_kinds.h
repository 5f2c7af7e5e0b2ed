/*
 * What torture.c and torture_two.c share: messages that show when they are torn, and one way to
 * call every kind of ring.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef TORTURE_KINDS_H
#define TORTURE_KINDS_H

#include "torture.h"

/* Defined by the program: says what is wrong, as printf, and ends the process or the point. */
static void wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

enum { CAPACITY = 16, BATCH = 5, SIZE = 1 << 16 };
enum { BYTES = 512, LANES = 3 }; /* of records: fewer than CAPACITY of them go in */
#define OF_CHILD 1000000u        /* the ids of the child's messages begin here */

#ifndef BODY
#define BODY 6 /* words. 0: messages of 8 bytes, which MPMC rings send in one step */
#endif

/* Its sender and its number; the payload is made of both. */
struct message {
    uint64_t id;
    uint64_t body[BODY];
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
    for (i = 0; i + 1 < sizeof m / sizeof m.id; i++)
        m.body[i] = id * 0x9e3779b97f4a7c15u + i;
    return m;
}

static void check(const struct message *m)
{
    struct message good = make(m->id);

    if (memcmp(m, &good, sizeof good) != 0)
        wrong("torn: message %llu", (unsigned long long)m->id);
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

/* Is that a whole record of n bytes? Its length must match its id. Sets *m to its message. */
static int is_record(const void *at, size_t n, struct message *m)
{
    if (n < sizeof m->id || n > sizeof *m)
        return 0;
    memcpy(&m->id, at, sizeof m->id);
    *m = make(m->id);
    memcpy(m, at, n);
    return n == length_of(m->id);
}

static struct message message_of(const void *at, size_t n)
{
    struct message m;

    if (!is_record(at, n, &m))
        wrong("a record of %zu bytes", n);
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

/* What is no whole record is what nobody sends: of a lossy ring it may be that until release. */
static const struct message *peeked(const void *at, const size_t *n)
{
    static struct message m;

    if (at == NULL)
        return NULL;
    if (!is_record(at, *n, &m))
        memset(&m, 0xff, sizeof m);
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
    int (*commit)(union producer *, uint64_t id);
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
    CALL(int K##_commit_(union producer *p, uint64_t id), (void)id; return K##_commit(&p->K))      \
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
    CALL(int K##_commit_(union producer *p, uint64_t id), return K##_commit(&p->K, length_of(id))) \
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

#endif /* TORTURE_KINDS_H */
