/*
 * Cost as work grows: against the capacity of a ring, the readers of a broadcast, the producers of a
 * ring, and the rings that a process waits for. What is measured is a stream ("growth"), how long it
 * takes to attach ("attach"), and a wake ("wake").
 *
 * All handles of an end belong to one process, which uses them in turn. So the figures are those of
 * the rings, and not of a system that shares two cores among hundreds of processes.
 */
#define _GNU_SOURCE
#include "../kit/sides.h"
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <sys/socket.h>

#define SLOT 16         /* bytes of a slot with a message of 8 */
#define CROWD_SLOT 64   /* the same where many are at an end */
#define FEW_SLOTS 1024
#define MANY_HANDLES 1024
#define ATTACH_NS 20000000 /* of a run, but 8 attaches at least */

BENCH_MESSAGE(8)
IPC_SPSC(line, struct message8)
IPC_MPMC(crowd, struct message8)
IPC_BROADCAST(news, struct message8)
IPC_RECORDS(letters)

/* What grows; in r->of->how. */
struct growth {
    uint64_t slots;
    unsigned readers, producers, rings;
};

static const struct growth *growth(const struct bench_run *r)
{
    return (const struct growth *)r->of->how;
}

/* ------------------------------------------------------------------ the rings */

static int prepare_line(struct bench_run *r)
{
    return line_create(&r->seg, "ring", growth(r)->slots);
}

static int prepare_crowd(struct bench_run *r)
{
    return crowd_create(&r->seg, "ring", growth(r)->slots, IPC_MPMC_AT_MOST_ONCE);
}

static int prepare_lossless(struct bench_run *r)
{
    return news_create(&r->seg, "ring", growth(r)->slots,
                       IPC_BROADCAST_LOSSLESS | IPC_BROADCAST_READERS(growth(r)->readers));
}

static int prepare_lossy(struct bench_run *r)
{
    return news_create(&r->seg, "ring", growth(r)->slots, IPC_BROADCAST_LOSSY);
}

static int prepare_letters(struct bench_run *r)
{
    return letters_create(&r->seg, "ring", growth(r)->slots * SLOT, growth(r)->producers);
}

static const char *ring_name(unsigned i)
{
    static char name[16];

    (void)snprintf(name, sizeof name, "ring %u", i);
    return name;
}

/* A segment of its own, as the run's has not as many places for objects. */
static int prepare_lines(struct bench_run *r)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm_object o;
    unsigned i;
    int rc;

    ipc_shm_close(&r->seg);
    how.objects = growth(r)->rings + 2;
    rc = ipc_shm_create_with(&r->seg, NULL, r->of->memory, &how);
    for (i = 0; i < growth(r)->rings && rc == 0; i++)
        rc = line_create(&r->seg, ring_name(i), growth(r)->slots);
    if (rc == 0)
        rc = line_create(&r->seg, "reply", growth(r)->slots);
    if (rc == 0)
        rc = ipc_shm_make(&r->seg, "bell", 1, IPC_NOTIFY_SIZE, &o);
    if (rc == 0)
        rc = ipc_notify_init(o.mem, IPC_NOTIFY_SIZE, IPC_NOTIFY_FUTEX);
    return rc == 0 ? ipc_shm_publish(&r->seg, &o) : rc;
}

/* The parent has touched all pages, but this process has not. */
static void touch(struct bench_run *r)
{
    r->seg.deadline = ipc_in_ms(10000);
#ifdef MADV_POPULATE_WRITE
    (void)madvise(r->seg.base, r->seg.size, MADV_POPULATE_WRITE);
#endif
}

#define OPEN(CALL) bench_check((CALL) == 0, "open")

/* ------------------------------------------------------------------ one producer, one consumer */

#define STREAM(NAME)                                                                               \
    static void NAME##_serve(struct bench_run *r)                                                  \
    {                                                                                              \
        struct NAME##_producer p;                                                                  \
        touch(r);                                                                                  \
        OPEN(NAME##_producer_open(&p, &r->seg, "ring"));                                           \
        BENCH_STREAM_SERVE(8, while (NAME##_push(&p, &m) != 0) ck_pr_stall());                     \
    }                                                                                              \
    static uint64_t NAME##_measure(struct bench_run *r)                                            \
    {                                                                                              \
        struct NAME##_consumer c;                                                                  \
        touch(r);                                                                                  \
        OPEN(NAME##_consumer_open(&c, &r->seg, "ring"));                                           \
        BENCH_STREAM_MEASURE(8, while (NAME##_pop(&c, &m) != 0) ck_pr_stall());                    \
    }
STREAM(line)
STREAM(crowd)

/* ------------------------------------------------------------------ readers */

static struct news_consumer reader[MANY_HANDLES];

static uint64_t readers_measure(struct bench_run *r)
{
    struct news_producer p;

    touch(r);
    OPEN(news_producer_open(&p, &r->seg, "ring"));
    BENCH_BROADCAST_MEASURE(8, news_push(&p, &m));
}

/* One look of reader i, which has got so many messages. Returns whether it has all. */
static int read_one(unsigned i, uint64_t *got, uint64_t end)
{
    uint64_t next = *got + news_missed(&reader[i]);
    struct message8 m;
    int rc;

    if (next >= end)
        return 1;
    rc = news_pop(&reader[i], &m);
    bench_check(rc == 0 || rc == -EAGAIN || rc == -EOVERFLOW, "read");
    if (rc == 0) {
        next = *got + news_missed(&reader[i]);
        BENCH_VERIFY(m, next);
        ++*got;
    }
    return 0;
}

static void readers_serve(struct bench_run *r)
{
    static uint64_t got[MANY_HANDLES];
    unsigned i, n = growth(r)->readers, done = 0;
    uint64_t next = 0;

    touch(r);
    for (i = 0; i < n; i++)
        OPEN(news_consumer_open(&reader[i], &r->seg, "ring"));
    bench_start(r);
    while (done < n) {
        if (got[0] >= next)
            next = bench_pace(r, got[0]);
        for (done = i = 0; i < n; i++)
            done += (unsigned)read_one(i, &got[i], r->warm + r->count);
    }
}

/* ------------------------------------------------------------------ producers */

/* Each has its own order, which is checked. */
#define PRODUCERS(NAME, PUSH, POP)                                                                 \
    static struct NAME##_producer NAME##_from[MANY_HANDLES];                                       \
                                                                                                   \
    static void NAME##_many_serve(struct bench_run *r)                                             \
    {                                                                                              \
        unsigned n = growth(r)->producers, k;                                                      \
        struct NAME##_producer *p = NAME##_from;                                                   \
        touch(r);                                                                                  \
        for (k = 0; k < n; k++)                                                                    \
            OPEN(NAME##_producer_open(&p[k], &r->seg, "ring"));                                    \
        k = 0;                                                                                     \
        BENCH_STREAM_SERVE(8, while ((PUSH) != 0) ck_pr_stall(); k = k + 1 < n ? k + 1 : 0);       \
    }                                                                                              \
    static uint64_t NAME##_many_measure(struct bench_run *r)                                       \
    {                                                                                              \
        struct NAME##_consumer c;                                                                  \
        struct message8 m;                                                                         \
        uint64_t expect[MANY_HANDLES], i, end = r->warm + r->count, next = r->warm;                \
        unsigned n = growth(r)->producers, who;                                                    \
        touch(r);                                                                                  \
        for (i = 0; i < n; i++)                                                                    \
            expect[i] = i;                                                                         \
        OPEN(NAME##_consumer_open(&c, &r->seg, "ring"));                                           \
        bench_start(r);                                                                            \
        for (i = 0; i < end; i++) {                                                                \
            if (i == next)                                                                         \
                next = bench_window(r, i);                                                         \
            while (!(POP))                                                                         \
                ck_pr_stall();                                                                     \
            who = (unsigned)(m.word[0] % n);                                                       \
            BENCH_VERIFY(m, expect[who]);                                                          \
            expect[who] += n;                                                                      \
        }                                                                                          \
        return bench_took(r);                                                                      \
    }
PRODUCERS(crowd, crowd_push(&p[k], &m), crowd_pop(&c, &m) == 0)
PRODUCERS(letters, letters_push(&p[k], &m, sizeof m), letters_pop(&c, &m, sizeof m) == sizeof m)

/* ------------------------------------------------------------------ rings waited for */

static struct line_producer out[MANY_HANDLES];
static struct line_consumer in[MANY_HANDLES];
static struct ipc_notify *bells[MANY_HANDLES], one_bell;

static void open_out(struct bench_run *r)
{
    unsigned i;

    touch(r);
    for (i = 0; i < growth(r)->rings; i++)
        OPEN(line_producer_open(&out[i], &r->seg, ring_name(i)));
}

static void open_in(struct bench_run *r)
{
    unsigned i;

    touch(r);
    for (i = 0; i < growth(r)->rings; i++) {
        OPEN(line_consumer_open(&in[i], &r->seg, ring_name(i)));
        bells[i] = line_consumer_bell(&in[i]);
    }
}

static void open_bell(struct bench_run *r)
{
    struct ipc_shm_object o;

    OPEN(ipc_shm_find(&r->seg, "bell", 1, &o));
    OPEN(ipc_notify_attach(&one_bell, o.mem, o.size, IPC_NOTIFY_FUTEX, ipc_shm_peer(&r->seg)));
    ipc_notify_policy(&one_bell, 0, 0);
}

/* A ring that cannot be guessed. */
static unsigned another(unsigned *seed, unsigned n)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % n;
}

static void any_serve(struct bench_run *r)
{
    unsigned k = 0, n = growth(r)->rings;

    open_out(r);
    BENCH_STREAM_SERVE(8, bench_check(line_send(&out[k], &m, IPC_FOREVER) == 0, "send");
                       k = k + 1 < n ? k + 1 : 0);
}

/* Messages of different rings may overtake each other. */
static uint64_t any_measure(struct bench_run *r)
{
    uint64_t expect[MANY_HANDLES], i, end = r->warm + r->count, next = r->warm;
    unsigned n = growth(r)->rings, k;
    struct message8 m;
    struct ipc_any any;

    open_in(r);
    OPEN(ipc_any_init(&any, bells, n));
    for (i = 0; i < n; i++)
        expect[i] = i;
    bench_start(r);
    for (i = 0; i < end; i++) {
        if (i == next)
            next = bench_window(r, i);
        bench_check(ipc_wait_any(&any, IPC_FOREVER, k, line_recv(&in[k], &m, IPC_NOW) == 0) == 0,
                    "wait");
        BENCH_VERIFY(m, expect[k]);
        expect[k] += n;
    }
    return bench_took(r);
}

/* There: into a ring that the other side cannot know. Back: through one ring. */
static uint64_t any_wake_measure(struct bench_run *r)
{
    struct line_consumer back;
    unsigned n = growth(r)->rings, seed = 1;

    open_out(r);
    OPEN(line_consumer_open(&back, &r->seg, "reply"));
    ipc_notify_policy(line_consumer_bell(&back), 0, 0);
    BENCH_PINGPONG_MEASURE(
        8, bench_check(line_send(&out[another(&seed, n)], &m, IPC_FOREVER) == 0, "send"),
        bench_check(line_recv(&back, &m, IPC_FOREVER) == 0, "receive"));
}

static void any_wake_serve(struct bench_run *r)
{
    struct line_producer back;
    struct ipc_any any;
    unsigned k;

    open_in(r);
    OPEN(line_producer_open(&back, &r->seg, "reply"));
    OPEN(ipc_any_init(&any, bells, growth(r)->rings));
    ipc_notify_policy(bells[0], 0, 0);
    BENCH_PINGPONG_SERVE(
        8, bench_check(line_send(&back, &m, IPC_FOREVER) == 0, "send"),
        bench_check(ipc_wait_any(&any, IPC_FOREVER, k, line_recv(&in[k], &m, IPC_NOW) == 0) == 0,
                    "wait"));
}

/* The same with one notifier for all rings, which the sender posts to. */
static int send_and_post(struct line_producer *p, const struct message8 *m)
{
    int rc = line_push(p, m);

    return rc == 0 ? ipc_notify_post(&one_bell) : rc;
}

static int take_any(unsigned n, struct message8 *m)
{
    unsigned k;

    for (k = 0; k < n; k++)
        if (line_pop(&in[k], m) == 0)
            return 1;
    return 0;
}

static uint64_t one_wake_measure(struct bench_run *r)
{
    struct line_consumer back;
    unsigned n = growth(r)->rings, seed = 1;

    open_out(r);
    open_bell(r);
    OPEN(line_consumer_open(&back, &r->seg, "reply"));
    ipc_notify_policy(line_consumer_bell(&back), 0, 0);
    BENCH_PINGPONG_MEASURE(8, bench_check(send_and_post(&out[another(&seed, n)], &m) == 0, "send"),
                           bench_check(line_recv(&back, &m, IPC_FOREVER) == 0, "receive"));
}

static void one_wake_serve(struct bench_run *r)
{
    struct line_producer back;
    unsigned n = growth(r)->rings;

    open_in(r);
    open_bell(r);
    OPEN(line_producer_open(&back, &r->seg, "reply"));
    BENCH_PINGPONG_SERVE(
        8, bench_check(line_send(&back, &m, IPC_FOREVER) == 0, "send"),
        bench_check(ipc_wait(&one_bell, IPC_FOREVER, take_any(n, &m)) == 0, "wait"));
}

/* ------------------------------------------------------------------ attaching */

static void attach_serve(struct bench_run *r)
{
    bench_start(r);
}

/* Times DO, which attaches, again and again. UNDO takes that back. */
#define ATTACHES(DO, UNDO)                                                                         \
    do {                                                                                           \
        uint64_t i_;                                                                               \
        int64_t end_;                                                                              \
        bench_start(r);                                                                            \
        r->began = ipc_clock();                                                                    \
        end_ = r->began + ATTACH_NS;                                                               \
        for (i_ = 0; i_ < r->count && (i_ < 8 || ipc_clock() < end_); i_++) {                      \
            int64_t then_ = ipc_clock(), took_;                                                    \
            DO;                                                                                    \
            took_ = ipc_clock() - then_ - r->clock;                                                \
            histogram_record(r->latencies, took_ > 1 ? (uint64_t)took_ : 1);                       \
            UNDO;                                                                                  \
        }                                                                                          \
        return bench_took(r);                                                                      \
    } while (0)

/* Both ends of a ring that is half full, as a successor may find it. */
#define ATTACH_BOTH(NAME, PUSH)                                                                    \
    static uint64_t NAME##_attach_measure(struct bench_run *r)                                     \
    {                                                                                              \
        struct NAME##_producer p;                                                                  \
        struct NAME##_consumer c;                                                                  \
        struct message8 m = {{0}};                                                                 \
        uint64_t i;                                                                                \
        touch(r);                                                                                  \
        OPEN(NAME##_producer_open(&p, &r->seg, "ring"));                                           \
        for (i = 0; i < growth(r)->slots / 2; i++)                                                 \
            bench_check((PUSH) == 0, "push");                                                      \
        NAME##_producer_detach(&p);                                                                \
        ATTACHES(OPEN(NAME##_producer_open(&p, &r->seg, "ring"));                                  \
                 OPEN(NAME##_consumer_open(&c, &r->seg, "ring")), NAME##_producer_detach(&p);      \
                 NAME##_consumer_detach(&c));                                                      \
    }
ATTACH_BOTH(line, line_push(&p, &m))
ATTACH_BOTH(crowd, crowd_push(&p, &m))
ATTACH_BOTH(news, news_push(&p, &m))
ATTACH_BOTH(letters, letters_push(&p, &m, sizeof m))

/* The last of many handles; the others are attached. */
#define ATTACH_LAST(NAME, END, N, WHERE)                                                           \
    static uint64_t NAME##_##END##s_measure(struct bench_run *r)                                   \
    {                                                                                              \
        static struct NAME##_##END h[MANY_HANDLES];                                                \
        unsigned i, n = (N);                                                                       \
        touch(r);                                                                                  \
        for (i = 0; i + 1 < n; i++)                                                                \
            OPEN(NAME##_##END##_open(&h[i], &r->seg, WHERE));                                      \
        ATTACHES(OPEN(NAME##_##END##_open(&h[i], &r->seg, WHERE)), NAME##_##END##_detach(&h[i]));  \
    }
ATTACH_LAST(news, consumer, growth(r)->readers, "ring")
ATTACH_LAST(crowd, producer, growth(r)->producers, "ring")
ATTACH_LAST(letters, producer, growth(r)->producers, "ring")
ATTACH_LAST(line, consumer, growth(r)->rings, ring_name(i))

/* A segment with such a ring, which a process receives and leaves again. */
static uint64_t segment_measure(struct bench_run *r, unsigned flags)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm seg;
    int s[2];

    how.flags = flags;
    bench_check(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "socketpair");
    ATTACHES(OPEN(ipc_shm_send(&r->seg, s[0]));
             OPEN(ipc_shm_recv_with(&seg, s[1], IPC_FOREVER, &how)), ipc_shm_close(&seg));
}

static uint64_t shm_measure(struct bench_run *r)
{
    return segment_measure(r, 0);
}

static uint64_t shm_lazy_measure(struct bench_run *r)
{
    return segment_measure(r, IPC_SHM_NO_PREFAULT);
}

/* ------------------------------------------------------------------ the table */

#define FIELDS(SYSTEM, TEST, SHAPE, MEMORY, PREPARE, SERVE, MEASURE, ...)                          \
    .system = SYSTEM, .test = TEST, .shape = SHAPE, .bytes = 8, .memory = (MEMORY) + 65536,        \
    .prepare = PREPARE, .serve = SERVE, .measure = MEASURE,                                        \
    .how = &(const struct growth){__VA_ARGS__}
#define ROW(...)                                                                                   \
    {                                                                                              \
        FIELDS(__VA_ARGS__)                                                                        \
    }

#define SLOTS(N)                                                                                   \
    ROW("ipc_ring", "growth", "slots_" #N, N *SLOT, prepare_line, line_serve, line_measure,        \
        .slots = N),                                                                               \
        ROW("ipc_ring", "attach", "slots_" #N, N *SLOT, prepare_line, attach_serve,                \
            line_attach_measure, .slots = N),                                                      \
        ROW("ipc_lossless", "attach", "slots_" #N, N *SLOT, prepare_lossless, attach_serve,        \
            news_attach_measure, .slots = N, .readers = 1),                                        \
        ROW("ipc_records", "attach", "slots_" #N, N *SLOT, prepare_letters, attach_serve,          \
            letters_attach_measure, .slots = N, .producers = 1),                                   \
        ROW("ipc_shm", "attach", "slots_" #N, N *SLOT, prepare_line, attach_serve, shm_measure,    \
            .slots = N),                                                                           \
        ROW("ipc_shm_lazy", "attach", "slots_" #N, N *SLOT, prepare_line, attach_serve,            \
            shm_lazy_measure, .slots = N)

/* 16 million of these slots would be a gigabyte. */
#define CROWD_SLOTS(N)                                                                             \
    ROW("ipc_mpmc", "growth", "slots_" #N, N *CROWD_SLOT, prepare_crowd, crowd_serve,              \
        crowd_measure, .slots = N),                                                                \
        ROW("ipc_mpmc", "attach", "slots_" #N, N *CROWD_SLOT, prepare_crowd, attach_serve,         \
            crowd_attach_measure, .slots = N)

#define READERS_MEMORY(N) (FEW_SLOTS * SLOT + (N)*80)
#define READERS(N)                                                                                 \
    ROW("ipc_lossless", "growth", "readers_" #N, READERS_MEMORY(N), prepare_lossless,              \
        readers_serve, readers_measure, .slots = FEW_SLOTS, .readers = N),                         \
        ROW("ipc_lossy", "growth", "readers_" #N, READERS_MEMORY(N), prepare_lossy, readers_serve, \
            readers_measure, .slots = FEW_SLOTS, .readers = N),                                    \
        ROW("ipc_lossless", "attach", "readers_" #N, READERS_MEMORY(N), prepare_lossless,          \
            attach_serve, news_consumers_measure, .slots = FEW_SLOTS, .readers = N)

#define PRODUCERS_MEMORY(N) ((N) * (FEW_SLOTS * SLOT + 4096) + FEW_SLOTS * CROWD_SLOT)
#define PRODUCERS_ROWS(N)                                                                          \
    ROW("ipc_mpmc", "growth", "producers_" #N, PRODUCERS_MEMORY(N), prepare_crowd,                 \
        crowd_many_serve, crowd_many_measure, .slots = FEW_SLOTS, .producers = N),                 \
        ROW("ipc_records", "growth", "producers_" #N, PRODUCERS_MEMORY(N), prepare_letters,        \
            letters_many_serve, letters_many_measure, .slots = FEW_SLOTS, .producers = N),         \
        ROW("ipc_mpmc", "attach", "producers_" #N, PRODUCERS_MEMORY(N), prepare_crowd,             \
            attach_serve, crowd_producers_measure, .slots = FEW_SLOTS, .producers = N),            \
        ROW("ipc_records", "attach", "producers_" #N, PRODUCERS_MEMORY(N), prepare_letters,        \
            attach_serve, letters_producers_measure, .slots = FEW_SLOTS, .producers = N)

#define LINE_SLOTS 64
#define RINGS_OF(N, TEST, SERVE, MEASURE)                                                          \
    TEST, "rings_" #N, (N + 2) * (LINE_SLOTS * SLOT + 1024), prepare_lines, SERVE, MEASURE,        \
        .slots = LINE_SLOTS, .rings = N
/* A wake takes the least on one core, so what grows shows best there. */
#define WAKE(SYSTEM, ...)                                                                          \
    {                                                                                              \
        FIELDS(SYSTEM, __VA_ARGS__), .one_core = 1                                                 \
    }
#define MORE_RINGS(N)                                                                              \
    WAKE("ipc_wait_one", RINGS_OF(N, "wake", one_wake_serve, one_wake_measure)),                   \
        ROW("ipc_ring", RINGS_OF(N, "attach", attach_serve, line_consumers_measure))
/* ipc_wait_any waits for 128 at most. */
#define RINGS(N)                                                                                   \
    ROW("ipc_wait_any", RINGS_OF(N, "growth", any_serve, any_measure)),                            \
        WAKE("ipc_wait_any", RINGS_OF(N, "wake", any_wake_serve, any_wake_measure)),               \
        MORE_RINGS(N)

BENCH_GROUP(growth) = {SLOTS(16),
                       SLOTS(256),
                       SLOTS(4096),
                       SLOTS(65536),
                       SLOTS(1048576),
                       SLOTS(16777216),
                       CROWD_SLOTS(16),
                       CROWD_SLOTS(256),
                       CROWD_SLOTS(4096),
                       CROWD_SLOTS(65536),
                       CROWD_SLOTS(1048576),
                       READERS(1),
                       READERS(4),
                       READERS(16),
                       READERS(64),
                       READERS(256),
                       READERS(512),
                       PRODUCERS_ROWS(1),
                       PRODUCERS_ROWS(4),
                       PRODUCERS_ROWS(16),
                       PRODUCERS_ROWS(64),
                       RINGS(1),
                       RINGS(4),
                       RINGS(16),
                       RINGS(64),
                       RINGS(128),
                       MORE_RINGS(256),
                       MORE_RINGS(1024),
                       {.system = NULL}};
