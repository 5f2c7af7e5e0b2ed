/*
 * Tests of the calls of ipc_ring.h that sleep.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "notify.h"

/* ------------------------------------------------------------------ rings of every kind */

IPC_RECORDS(logs)
IPC_BROADCAST(news, struct message)
IPC_RECORD_BROADCAST(tape)
IPC_MPMC(jobs, struct message)
IPC_CALL(adder, uint64_t, uint64_t)

/* If one of the two bells is of another kind, attach fails and leaves the end free. After attach
 * the kind in the memory no longer matters. */
#define KINDS_OF(NAME, END, ATTACH)                                                                \
    static void kinds_of_##NAME##_##END(void *mem, struct ipc_peer *me)                            \
    {                                                                                              \
        struct ipc_notify_shared *bell[2];                                                         \
        struct NAME##_##END h;                                                                     \
        unsigned i, kind;                                                                          \
                                                                                                   \
        IS(NAME##_##ATTACH(&h, mem, RING_SIZE, me), 0);                                            \
        bell[0] = h.data.at;                                                                       \
        bell[1] = h.space.at;                                                                      \
        NAME##_##END##_detach(&h);                                                                 \
        for (i = 0; i < 2; i++)                                                                    \
            for (kind = 1; kind <= KINDS; kind++) {                                                \
                bell[i]->kind = kind;                                                              \
                IS(NAME##_##ATTACH(&h, mem, RING_SIZE, me), -EPROTO);                              \
                IS(NAME##_##END##_error(&h), -EPROTO);                                             \
                MUST(strstr(me->why, "bell") != NULL);                                             \
                expect_nothing_done(NAME##_##END##_bell(&h));                                      \
                NAME##_##END##_detach(&h);                                                         \
                bell[i]->kind = IPC_NOTIFY_FUTEX;                                                  \
                IS(NAME##_##ATTACH(&h, mem, RING_SIZE, me), 0);                                    \
                ipc_notify_policy(NAME##_##END##_bell(&h), 0, 0);                                  \
                expect_kind_kept(&h.data, bell[0], kind);                                          \
                expect_kind_kept(&h.space, bell[1], kind);                                         \
                NAME##_##END##_detach(&h);                                                         \
                memset(bell[0], 0, sizeof *bell[0]);                                               \
                memset(bell[1], 0, sizeof *bell[1]);                                               \
            }                                                                                      \
    }
KINDS_OF(msgs, producer, producer_attach)
KINDS_OF(msgs, consumer, consumer_attach)
KINDS_OF(chars, producer, producer_attach)
KINDS_OF(chars, consumer, consumer_attach)
KINDS_OF(logs, producer, producer_attach)
KINDS_OF(logs, consumer, consumer_attach)
KINDS_OF(news, producer, producer_attach)
KINDS_OF(news, consumer, consumer_attach)
KINDS_OF(tape, producer, producer_attach)
KINDS_OF(tape, consumer, consumer_attach)
KINDS_OF(jobs, producer, producer_attach)
KINDS_OF(jobs, consumer, consumer_attach)
KINDS_OF(adder, client, client_attach)
KINDS_OF(adder, server, server_attach)

static void ring_accepts_only_bells_of_its_kind(void **state)
{
    struct ipc_peer me = own_peer(NULL);
    void *mem = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    MUST(mem != MAP_FAILED);
    block_real_time_signals();
    IS(msgs_init(mem, RING_SIZE, 2), 0);
    kinds_of_msgs_producer(mem, &me);
    kinds_of_msgs_consumer(mem, &me);
    IS(chars_init(mem, RING_SIZE, 4096), 0);
    kinds_of_chars_producer(mem, &me);
    kinds_of_chars_consumer(mem, &me);
    IS(logs_init(mem, RING_SIZE, 4096, 2), 0);
    kinds_of_logs_producer(mem, &me);
    kinds_of_logs_consumer(mem, &me);
    IS(news_init(mem, RING_SIZE, 2, IPC_BROADCAST_LOSSLESS), 0);
    kinds_of_news_producer(mem, &me);
    kinds_of_news_consumer(mem, &me);
    IS(tape_init(mem, RING_SIZE, 4096, IPC_BROADCAST_LOSSLESS), 0);
    kinds_of_tape_producer(mem, &me);
    kinds_of_tape_consumer(mem, &me);
    IS(jobs_init(mem, RING_SIZE, 4, IPC_MPMC_AT_LEAST_ONCE), 0);
    kinds_of_jobs_producer(mem, &me);
    kinds_of_jobs_consumer(mem, &me);
    IS(adder_init(mem, RING_SIZE, 2), 0);
    kinds_of_adder_client(mem, &me);
    kinds_of_adder_server(mem, &me);
    (void)munmap(mem, RING_SIZE);
}

/* For the next tests: a segment with a room, inherited by all processes. */
static struct ipc_shm shm;

/* ------------------------------------------------------------------ deaths and their watchers */

#define RINGED 50u

/* As the reference of ipc_notify_fd shows. */
static void loops_over_a_ring(struct child *up, void *arg)
{
    struct epoll_event event;
    struct msgs_consumer in;
    struct message m;
    struct ipc_shm seg;
    uint64_t got = 0;
    unsigned vain = 0;
    int loop = epoll_create1(EPOLL_CLOEXEC), rc;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(msgs_consumer_open(&in, &seg, "ring"), 0);
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    IS(epoll_ctl(loop, EPOLL_CTL_ADD, ipc_notify_fd(msgs_consumer_bell(&in)), &event), 0);
    tell(up, 0);
    for (;;) {
        ipc_notify_drain(msgs_consumer_bell(&in));
        ipc_notify_arm(msgs_consumer_bell(&in));
        while ((rc = msgs_recv(&in, &m, IPC_NOW)) == 0)
            IS(m.x, ++got);
        if (rc != -ETIMEDOUT)
            break;
        rc = epoll_wait(loop, &event, 1, got < RINGED ? LONG_MS : 1000);
        MUST(rc == 1 || (rc == 0 && got == RINGED && vain++ < LONG_MS / 1000));
    }
    IS(rc, -EOWNERDEAD);
    IS(got, RINGED);
    msgs_consumer_detach(&in);
    ipc_shm_close(&seg);
}

static void sends_to_a_loop(struct child *up, void *loop)
{
    struct msgs_producer out;
    struct ipc_shm seg;
    struct message m;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(msgs_producer_open(&out, &seg, "ring"), 0);
    for (m.x = 1; m.x <= RINGED; m.x++) {
        if (m.x % 2 != 0) /* otherwise wherever it is */
            EVENTUALLY(sleeps(*(const pid_t *)loop, out.data.at, IPC_NOTIFY_DOZING_));
        IS(msgs_send(&out, &m, ipc_in_ms(LONG_MS)), 0);
    }
    tell(up, 0);
    wait_for_death();
}

static void typed_ring_works_in_an_event_loop(void **state)
{
    struct child c, producer;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 16), 0);
    IS(msgs_create(&shm, "ring", 16), 0);
    c = spawn(loops_over_a_ring, NULL);
    (void)hear(&c);
    producer = spawn(sends_to_a_loop, &c.pid);
    (void)hear(&producer);
    kill_child(&producer);
    finish(&c);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ rings */

/* Receives n messages that count from `from`. */
static void expect_messages(struct msgs_consumer *in, uint64_t from, uint64_t n)
{
    struct message m = {0};
    uint64_t i;

    for (i = from; i < from + n; i++) {
        IS(msgs_recv(in, &m, ipc_in_ms(LONG_MS)), 0);
        IS(m.x, i);
    }
}

struct streaming {
    uint64_t capacity, n;
    unsigned spin, mix;
    uint32_t pauses;
};

/* Sends 1 to n in every way there is. */
static void sends_all(struct child *up, void *arg)
{
    const struct streaming *how = (const struct streaming *)arg;
    struct msgs_producer out;
    struct message m, many[8], *slot;
    struct ipc_shm seg;
    uint64_t next = 1, k, n;
    int64_t did;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(msgs_producer_create(&out, &seg, "ring", how->capacity), 0);
    tell(up, ipc_shm_peer(&seg)->id);
    ipc_notify_policy(msgs_producer_bell(&out), how->spin, 0);
    while (next <= how->n) {
        switch (how->mix ? chance() % 4 : 0) {
        case 0:
            m.x = next++;
            IS(msgs_send(&out, &m, next % 2 ? IPC_FOREVER : ipc_in_ms(LONG_MS)), 0);
            break;
        case 1: /* without a copy */
            IS(msgs_producer_wait(&out, ipc_in_ms(LONG_MS)), 0);
            slot = msgs_claim(&out);
            MUST(slot != NULL);
            slot->x = next++;
            IS(msgs_commit(&out), 0);
            IS(msgs_producer_post(&out), 0);
            break;
        case 2: /* many, one post */
            n = 1 + chance() % 8;
            for (k = 0; k < n; k++)
                many[k].x = next + k;
            n = n < how->n - next + 1 ? n : how->n - next + 1;
            did = msgs_push_n(&out, many, n);
            MUST(did > 0 || did == -EAGAIN);
            next += did > 0 ? (uint64_t)did : 0;
            IS(msgs_producer_post(&out), 0);
            break;
        default:
            dawdle(chance() % (how->pauses + 1));
            break;
        }
    }
    (void)hear(up);
    msgs_producer_detach(&out);
    ipc_shm_close(&seg);
}

static void receive_all(const struct streaming *how)
{
    struct child c = spawn(sends_all, (void *)(uintptr_t)how);
    struct msgs_consumer in;
    struct message m[8];
    uint64_t next = 1, k;
    const struct message *seen;
    int64_t did;

    (void)hear(&c);
    IS(msgs_consumer_open(&in, &shm, "ring"), 0);
    ipc_notify_policy(msgs_consumer_bell(&in), how->spin, 0);
    while (next <= how->n) {
        switch (how->mix ? chance() % 4 : 0) {
        case 0:
            IS(msgs_recv(&in, m, next % 2 ? IPC_FOREVER : ipc_in_ms(LONG_MS)), 0);
            IS(m->x, next++);
            break;
        case 1:
            IS(msgs_consumer_wait(&in, ipc_in_ms(LONG_MS)), 0);
            seen = msgs_peek(&in);
            MUST(seen != NULL);
            IS(seen->x, next++);
            IS(msgs_release(&in), 0);
            IS(msgs_consumer_post(&in), 0);
            break;
        case 2:
            did = msgs_pop_n(&in, m, 1 + chance() % 8);
            MUST(did > 0 || did == -EAGAIN);
            for (k = 0; did > 0 && k < (uint64_t)did; k++)
                IS(m[k].x, next++);
            IS(msgs_consumer_post(&in), 0);
            break;
        default:
            dawdle(chance() % (how->pauses + 1));
            break;
        }
    }
    IS(msgs_recv(&in, m, IPC_NOW), -ETIMEDOUT);
    tell(&c, 0);
    IS(msgs_recv(&in, m, ipc_in_ms(LONG_MS)), -EPIPE); /* reported once */
    IS(msgs_recv(&in, m, ipc_in_ms(20)), -ETIMEDOUT);
    finish(&c);
    msgs_consumer_detach(&in);
}

static void every_message_is_received_in_order(void **state)
{
    static const struct streaming cases[] = {
        {1, 3000, 0, 0, 0},     {1, 10000, 1000, 0, 0},  {2, 10000, 0, 1, 100},
        {64, 50000, 0, 1, 300}, {64, 200000, 100, 1, 0}, {1024, 100000, 1000, 1, 50},
        {64, 20000, 0, 0, 0},   {2, 10000, 0, 0, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        receive_all(&cases[i]);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

static void full_and_empty_rings_time_out(void **state)
{
    static const uint64_t capacities[] = {1, 2, 64};
    struct msgs_producer out;
    struct msgs_consumer in;
    struct message m = {0};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        int64_t deadline;
        uint64_t k;

        IS(ipc_shm_create(&shm, name, 64 << 10), 0);
        IS(msgs_producer_create(&out, &shm, "ring", capacities[i]), 0);
        IS(msgs_consumer_open(&in, &shm, "ring"), 0);
        IS(msgs_recv(&in, &m, IPC_NOW), -ETIMEDOUT);
        IS(msgs_recv(&in, &m, -1), -EINVAL);
        IS(msgs_recv(&in, &m, 1000), -EINVAL); /* meant as a span */
        IS(msgs_consumer_wait(&in, IPC_NOW), -ETIMEDOUT);
        for (k = 0; k < capacities[i]; k++) {
            m.x = k;
            IS(msgs_send(&out, &m, IPC_NOW), 0);
        }
        IS(msgs_send(&out, &m, IPC_NOW), -ETIMEDOUT);
        deadline = ipc_in_ms(30);
        IS(msgs_send(&out, &m, deadline), -ETIMEDOUT);
        MUST(ipc_left_(deadline) == 0 && ms_since(deadline) < LATE_MS);
        IS(msgs_producer_wait(&out, ipc_in_ms(1)), -ETIMEDOUT);
        expect_messages(&in, 0, capacities[i]);
        deadline = ipc_in_ms(30);
        IS(msgs_recv(&in, &m, deadline), -ETIMEDOUT);
        MUST(ipc_left_(deadline) == 0 && ms_since(deadline) < LATE_MS);
        IS(msgs_send(&out, &m, IPC_NOW), 0);
        msgs_producer_detach(&out);
        msgs_consumer_detach(&in);
        IS(msgs_send(&out, &m, IPC_FOREVER), -EINVAL);
        IS(msgs_recv(&in, &m, IPC_FOREVER), -EINVAL);
        IS(msgs_producer_wait(&out, IPC_FOREVER), -EINVAL);
        IS(msgs_consumer_wait(&in, IPC_FOREVER), -EINVAL);
        IS(msgs_producer_post(&out), -EINVAL);
        IS(msgs_consumer_post(&in), -EINVAL);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* A process has announced its sleep on that bell: the call, which waits in vain, posts it first. */
#define WAKES_FIRST(bell, call)                                                                    \
    do {                                                                                           \
        (void)ipc_notify_prepare(bell);                                                            \
        MUST(ipc_notify_was_asleep((bell)->at, BELL) > 0);                                         \
        IS(call, -ETIMEDOUT);                                                                      \
        IS(ipc_notify_was_asleep((bell)->at, BELL), 0);                                            \
    } while (0)
/* PUSH and POP do not post. */
#define UNPOSTED(NAME, PUSH, SEND, WAIT, POP, RECV, ...)                                           \
    do {                                                                                           \
        struct NAME##_producer out;                                                                \
        struct NAME##_consumer in;                                                                 \
                                                                                                   \
        IS(NAME##_init(mem, RING_SIZE, __VA_ARGS__), 0);                                           \
        IS(NAME##_producer_attach(&out, mem, RING_SIZE, NULL), 0);                                 \
        IS(NAME##_consumer_attach(&in, mem, RING_SIZE, NULL), 0);                                  \
        while (PUSH == 0)                                                                          \
            ;                                                                                      \
        WAKES_FIRST(NAME##_consumer_bell(&in), SEND);                                              \
        WAKES_FIRST(NAME##_consumer_bell(&in), WAIT);                                              \
        while (POP >= 0)                                                                           \
            ;                                                                                      \
        WAKES_FIRST(NAME##_producer_bell(&out), RECV);                                             \
    } while (0)

/* What was pushed, or popped, and not posted may be what the other end sleeps for. */
static void a_call_that_waits_wakes_the_other_end_first(void **state)
{
    void *mem = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct message m = {0};
    char text[64] = "";

    (void)state;
    MUST(mem != MAP_FAILED);
    UNPOSTED(msgs, msgs_push(&out, &m), msgs_send(&out, &m, IPC_NOW),
             msgs_producer_wait(&out, IPC_NOW), msgs_pop(&in, &m), msgs_recv(&in, &m, IPC_NOW), 4);
    UNPOSTED(jobs, jobs_push(&out, &m), jobs_send(&out, &m, IPC_NOW),
             jobs_producer_wait(&out, IPC_NOW), jobs_pop(&in, &m), jobs_recv(&in, &m, IPC_NOW), 4,
             IPC_MPMC_AT_MOST_ONCE);
    UNPOSTED(news, news_push(&out, &m), news_send(&out, &m, IPC_NOW),
             news_producer_wait(&out, IPC_NOW), news_pop(&in, &m), news_recv(&in, &m, IPC_NOW), 4,
             IPC_BROADCAST_LOSSLESS);
    UNPOSTED(logs, logs_push(&out, text, 64), logs_send(&out, text, 64, IPC_NOW),
             logs_producer_wait(&out, 64, IPC_NOW), logs_pop(&in, text, 64),
             logs_recv(&in, text, 64, IPC_NOW), 512, 1);
    UNPOSTED(tape, tape_push(&out, text, 64), tape_send(&out, text, 64, IPC_NOW),
             tape_producer_wait(&out, 64, IPC_NOW), tape_pop(&in, text, 64),
             tape_recv(&in, text, 64, IPC_NOW), 512, IPC_BROADCAST_LOSSLESS);
    (void)munmap(mem, RING_SIZE);
}

/* What the process at the other end does: sends or receives `n`, then detaches or dies. */
struct ending {
    uint64_t n;
    int producer, dies, when_asleep;
};

static void ends(struct child *up, void *arg)
{
    const struct ending *how = (const struct ending *)arg;
    struct msgs_producer out;
    struct msgs_consumer in;
    struct message m;
    struct ipc_shm seg;
    uint64_t i;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    if (how->producer)
        IS(msgs_producer_create(&out, &seg, "ring", 4), 0);
    else
        IS(msgs_consumer_open(&in, &seg, "ring"), 0);
    tell(up, 0);
    (void)hear(up);
    for (i = 1; i <= how->n; i++) {
        m.x = i;
        if (how->producer)
            IS(msgs_send(&out, &m, ipc_in_ms(LONG_MS)), 0);
        else
            IS(msgs_recv(&in, &m, ipc_in_ms(LONG_MS)), 0);
    }
    if (how->when_asleep)
        EVENTUALLY(sleeps(up->pid, (how->producer ? out.data : in.space).at, IPC_NOTIFY_ASLEEP_));
    if (how->dies)
        (void)kill(getpid(), SIGKILL);
    if (how->producer)
        msgs_producer_detach(&out);
    else
        msgs_consumer_detach(&in);
    ipc_shm_close(&seg);
}

static void end_of_the_producer_is_told_once_each_time(void **state)
{
    struct msgs_producer out;
    struct msgs_consumer in;
    struct message m;
    unsigned i;

    (void)state;
    IS(ipc_shm_create(&shm, name, 64 << 10), 0);
    IS(msgs_producer_create(&out, &shm, "ring", 4), 0);
    IS(msgs_consumer_open(&in, &shm, "ring"), 0);
    ipc_notify_policy(msgs_consumer_bell(&in), 0, 0);
    msgs_producer_detach(&out);
    IS(msgs_recv(&in, &m, ipc_in_ms(20)), -EPIPE);
    IS(msgs_recv(&in, &m, ipc_in_ms(20)), -ETIMEDOUT);
    for (i = 0; i < 16; i++) {
        struct ending how = {i % 5, 1, i % 2, i % 4 < 2};
        struct child c = spawn(ends, &how);
        int64_t then;

        (void)hear(&c);
        if (how.n > 0 || how.dies)
            IS(msgs_recv(&in, &m, ipc_in_ms(5)), -ETIMEDOUT); /* has seen it */
        else
            IS(msgs_consumer_wait(&in, ipc_in_ms(5)), -ETIMEDOUT);
        tell(&c, 0);
        if (!how.when_asleep) /* ends before we look again, unless the ring is full */
            EVENTUALLY(how.n > 4 || !ipc_shm_alive(&shm, in.raw.ring->end[0]));
        expect_messages(&in, 1, how.n);
        then = ipc_clock();
        IS(msgs_recv(&in, &m, ipc_in_ms(LONG_MS)), how.dies ? -EOWNERDEAD : -EPIPE);
        MUST(ms_since(then) < LATE_MS);
        IS(msgs_recv(&in, &m, ipc_in_ms(15)), -ETIMEDOUT);
        MUST(WIFSIGNALED(reap(&c)) == how.dies);
    }
    msgs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

static void end_of_the_consumer_is_told_once_each_time(void **state)
{
    struct msgs_producer out;
    struct message m = {0};
    unsigned i;

    (void)state;
    IS(ipc_shm_create(&shm, name, 64 << 10), 0);
    IS(msgs_producer_create(&out, &shm, "ring", 4), 0);
    ipc_notify_policy(msgs_producer_bell(&out), 0, 0);
    while (msgs_send(&out, &m, IPC_NOW) == 0)
        ;
    for (i = 0; i < 16; i++) {
        struct ending how = {i % 5, 0, i % 2, i % 4 < 2};
        struct child c = spawn(ends, &how);
        int64_t then;
        int rc;

        (void)hear(&c);
        IS(msgs_send(&out, &m, ipc_in_ms(5)), -ETIMEDOUT); /* has seen it */
        tell(&c, 0);
        then = ipc_clock();
        do
            rc = msgs_send(&out, &m, ipc_in_ms(LONG_MS));
        while (rc == 0);
        IS(rc, how.dies ? -EOWNERDEAD : -EPIPE);
        MUST(ms_since(then) < LATE_MS);
        IS(msgs_send(&out, &m, ipc_in_ms(15)), -ETIMEDOUT);
        MUST(WIFSIGNALED(reap(&c)) == how.dies);
    }
    msgs_producer_detach(&out);
    ipc_shm_close(&shm);
}

/* The producer attaches, sends and goes while the consumer is busy elsewhere. */
static void producer_that_came_and_went_unseen_is_told(void **state)
{
    unsigned dies, bad = 0;

    (void)state;
    for (dies = 0; dies < 2; dies++) {
        struct ending how = {3, 1, (int)dies, 0};
        struct msgs_producer out;
        struct msgs_consumer in;
        struct message m;
        struct child c;
        int rc;

        IS(ipc_shm_create(&shm, name, 64 << 10), 0);
        IS(msgs_producer_create(&out, &shm, "ring", 4), 0);
        msgs_producer_detach(&out); /* before the consumer comes */
        IS(msgs_consumer_open(&in, &shm, "ring"), 0);
        IS(msgs_recv(&in, &m, ipc_in_ms(1)), -ETIMEDOUT);
        c = spawn(ends, &how);
        (void)hear(&c);
        tell(&c, 0);
        MUST(WIFSIGNALED(reap(&c)) == (int)dies);
        expect_messages(&in, 1, 3);
        rc = msgs_recv(&in, &m, ipc_in_ms(200));
        print_message("note: %s unseen: %s\n", dies ? "killed" : "detached",
                      rc == -ETIMEDOUT ? "not told" : strerror(-rc));
        bad += rc != (dies ? -EOWNERDEAD : -EPIPE);
        msgs_consumer_detach(&in);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
    IS(bad, 0);
}

/* Its last message is found together with its death; the death is reported after the message. */
static void dies_behind_its_message(struct child *up, void *arg)
{
    struct msgs_producer out;
    struct message m = {9};
    struct ipc_shm seg;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(msgs_producer_create(&out, &seg, "ring", 4), 0);
    EVENTUALLY(sleeps(up->pid, out.data.at, IPC_NOTIFY_DOZING_));
    IS(msgs_push(&out, &m), 0); /* no post, as if killed before it */
    (void)kill(getpid(), SIGKILL);
}

static void death_behind_the_last_message_is_told(void **state)
{
    struct msgs_producer out;
    struct msgs_consumer in;
    struct message m = {0};
    struct child c;

    (void)state;
    IS(ipc_shm_create(&shm, name, 64 << 10), 0);
    IS(msgs_producer_create(&out, &shm, "ring", 4), 0);
    msgs_producer_detach(&out);
    IS(msgs_consumer_open(&in, &shm, "ring"), 0);
    c = spawn(dies_behind_its_message, NULL);
    IS(msgs_recv(&in, &m, ipc_in_ms(LONG_MS)), 0);
    IS(m.x, 9);
    IS(msgs_recv(&in, &m, ipc_in_ms(1000)), -EOWNERDEAD);
    was_killed(&c);
    msgs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

/* Holds both ends of a ring, and is killed. */
static void dies_at_both_ends(struct child *up, void *arg)
{
    struct msgs_producer out;
    struct msgs_consumer in;
    struct message m = {9};

    (void)up;
    (void)arg;
    IS(ipc_shm_open(&shm, name, ipc_in_ms(LONG_MS)), 0);
    IS(msgs_producer_create(&out, &shm, "ring", 4), 0);
    IS(msgs_consumer_open(&in, &shm, "ring"), 0);
    while (msgs_push(&out, &m) == 0)
        ;
    (void)kill(getpid(), SIGKILL);
}

/* Two programs are killed and started again, one after the other: neither is told of a death that
 * is older than itself. */
static void deaths_from_before_attach_are_not_told(void **state)
{
    int consumer_first, i;

    (void)state;
    for (consumer_first = 0; consumer_first < 2; consumer_first++) {
        struct msgs_producer out;
        struct msgs_consumer in;
        struct message m = {5};
        struct child c;

        IS(ipc_shm_create(&shm, name, 64 << 10), 0);
        c = spawn(dies_at_both_ends, NULL);
        was_killed(&c);
        if (consumer_first) {
            IS(msgs_consumer_open(&in, &shm, "ring"), 0);
            for (i = 0; i < 4; i++)
                IS(msgs_recv(&in, &m, IPC_NOW), 0);
            IS(msgs_recv(&in, &m, ipc_in_ms(30)), -ETIMEDOUT);
            IS(msgs_producer_create(&out, &shm, "ring", 4), 0);
        } else {
            IS(msgs_producer_create(&out, &shm, "ring", 4), 0);
            IS(msgs_send(&out, &m, ipc_in_ms(30)), -ETIMEDOUT); /* full */
            IS(msgs_consumer_open(&in, &shm, "ring"), 0);
            for (i = 0; i < 4; i++)
                IS(msgs_recv(&in, &m, IPC_NOW), 0);
        }
        m.x = 7;
        IS(msgs_send(&out, &m, IPC_NOW), 0);
        IS(msgs_recv(&in, &m, ipc_in_ms(LONG_MS)), 0);
        IS(m.x, 7);
        /* What happens from now on is told. */
        IS(msgs_recv(&in, &m, IPC_NOW), -ETIMEDOUT);
        msgs_producer_detach(&out);
        IS(msgs_recv(&in, &m, ipc_in_ms(LONG_MS)), -EPIPE);
        c = spawn(dies_behind_its_message, NULL);
        IS(msgs_recv(&in, &m, IPC_FOREVER), 0);
        IS(msgs_recv(&in, &m, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
        was_killed(&c);
        msgs_consumer_detach(&in);
        ipc_shm_close(&shm);
    }
}

/* Closes its segment, and does not detach before. */
static void closes_without_detach(struct child *up, void *arg)
{
    struct msgs_producer out;
    struct message m = {9};
    struct ipc_shm seg;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(msgs_producer_create(&out, &seg, "ring", 4), 0);
    IS(msgs_send(&out, &m, IPC_NOW), 0);
    EVENTUALLY(sleeps(up->pid, out.data.at, IPC_NOTIFY_DOZING_));
    ipc_shm_close(&seg);
}

static void closing_a_segment_counts_as_detaching(void **state)
{
    struct msgs_producer out;
    struct msgs_consumer in;
    struct message m = {0};
    struct child c;
    int i;

    (void)state;
    IS(ipc_shm_create(&shm, name, 64 << 10), 0);
    IS(msgs_create(&shm, "ring", 4), 0);
    IS(msgs_consumer_open(&in, &shm, "ring"), 0);
    for (i = 0; i < 3; i++) {
        c = spawn(closes_without_detach, NULL);
        IS(msgs_recv(&in, &m, ipc_in_ms(LONG_MS)), 0);
        IS(m.x, 9);
        IS(msgs_recv(&in, &m, ipc_in_ms(LONG_MS)), -EPIPE);
        IS(result(&c), 0);
    }
    IS(msgs_producer_create(&out, &shm, "ring", 4), 0); /* the end is free */
    msgs_producer_detach(&out);
    msgs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

/* Attaches to a ring whose consumer sleeps already, sends nothing, and is killed later. */
static void successor_that_attaches_while_we_sleep_is_watched(void **state)
{
    struct msgs_producer out;
    struct msgs_consumer in;
    struct message m;
    int i;

    (void)state;
    IS(ipc_shm_create(&shm, name, 64 << 10), 0);
    IS(msgs_producer_create(&out, &shm, "ring", 4), 0);
    IS(msgs_consumer_open(&in, &shm, "ring"), 0);
    msgs_producer_detach(&out);
    IS(msgs_recv(&in, &m, ipc_in_ms(20)), -EPIPE);
    for (i = 0; i < 3; i++) {
        struct child c = spawn(dies_behind_its_message, NULL);
        /* DOZING is set only while somebody is watched: the sleep below noticed the successor. */
        IS(msgs_recv(&in, &m, IPC_FOREVER), 0);
        IS(msgs_recv(&in, &m, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
        was_killed(&c);
    }
    msgs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

/* The sleeper comes first, and this process wakes nobody when it attaches: the sleeper finds it
 * within a second, and watches it from then on. */
static void comes_after_the_sleeper(struct child *up, void *arg)
{
    struct ipc_spsc_producer out;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    struct message m = {1};
    const struct ipc_notify_shared *bell;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_shm_find(&seg, "ring", IPC_SPSC_TYPE, &o), 0);
    bell = (const struct ipc_notify_shared *)(void *)((struct ipc_spsc_shared *)o.mem)->data_bell;
    EVENTUALLY(sleeps(up->pid, bell, IPC_NOTIFY_ASLEEP_));
    IS(ipc_spsc_producer_attach(&out, o.mem, o.size, sizeof m, ipc_shm_peer(&seg)), 0);
    IS(ipc_spsc_push(&out, &m, sizeof m), 0);
    EVENTUALLY(ipc_spsc_producer_was_size(&out) == 0);
    EVENTUALLY(sleeps(up->pid, bell, IPC_NOTIFY_ASLEEP_));
    (void)kill(getpid(), SIGKILL);
}

static void sleeper_that_came_first_finds_and_watches_who_comes(void **state)
{
    struct msgs_producer out;
    struct msgs_consumer in;
    struct message m = {0};
    struct child c;

    (void)state;
    (void)alarm(20); /* it would sleep for ever */
    IS(ipc_shm_create(&shm, name, 64 << 10), 0);
    IS(msgs_producer_create(&out, &shm, "ring", 2), 0);
    msgs_producer_detach(&out);
    IS(msgs_consumer_open(&in, &shm, "ring"), 0);
    c = spawn(comes_after_the_sleeper, NULL);
    IS(msgs_recv(&in, &m, IPC_FOREVER), 0);
    IS(m.x, 1);
    IS(msgs_recv(&in, &m, IPC_FOREVER), -EOWNERDEAD);
    was_killed(&c);
    msgs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

static char text[100];
static struct message letter;

#define PLAIN(NAME, PUSH, POP, SEND, RECV, ...)                                                    \
    static void NAME##_sleeps(struct child *up, void *arg)                                         \
    {                                                                                              \
        struct plain *p = (struct plain *)arg;                                                     \
        struct NAME##_producer out;                                                                \
        struct NAME##_consumer in;                                                                 \
                                                                                                   \
        (void)alarm(10);                                                                           \
        IS(p->sends ? NAME##_producer_attach(&out, p->mem, RING_SIZE, NULL)                        \
                    : NAME##_consumer_attach(&in, p->mem, RING_SIZE, NULL),                        \
           0);                                                                                     \
        ipc_notify_policy(p->sends ? NAME##_producer_bell(&out) : NAME##_consumer_bell(&in), 0,    \
                          0);                                                                      \
        tell(up, (uint64_t)(uintptr_t)(p->sends ? out.space.at : in.data.at));                     \
        MUST((p->sends ? (int64_t)(SEND) : (int64_t)(RECV)) >= 0);                                 \
    }                                                                                              \
    static void NAME##_is_plain(struct plain *p)                                                   \
    {                                                                                              \
        struct NAME##_producer out;                                                                \
        struct NAME##_consumer in;                                                                 \
                                                                                                   \
        IS(NAME##_init(p->mem, RING_SIZE, __VA_ARGS__), 0);                                        \
        IS(NAME##_producer_attach(&out, p->mem, RING_SIZE, NULL), 0);                              \
        if (p->sends) {                                                                            \
            IS(NAME##_consumer_attach(&in, p->mem, RING_SIZE, NULL), 0);                           \
            while ((PUSH) >= 0)                                                                    \
                ;                                                                                  \
            NAME##_producer_detach(&out);                                                          \
        }                                                                                          \
        p->child = spawn(NAME##_sleeps, p);                                                        \
        expect_asleep(&p->child);                                                                  \
        if (p->sends)                                                                              \
            while ((POP) >= 0)                                                                     \
                ;                                                                                  \
        else                                                                                       \
            MUST((PUSH) >= 0);                                                                     \
    }

/* Waits until c sleeps on the bell that it names. */
static void expect_asleep(struct child *c)
{
    const struct ipc_notify_shared *bell = (const struct ipc_notify_shared *)(uintptr_t)hear(c);

    EVENTUALLY(sleeps(c->pid, bell, IPC_NOTIFY_ASLEEP_));
}

PLAIN(msgs, msgs_push(&out, &letter), msgs_pop(&in, &letter), msgs_send(&out, &letter, IPC_FOREVER),
      msgs_recv(&in, &letter, IPC_FOREVER), 2)
PLAIN(chars, chars_push_n(&out, text, sizeof text), chars_pop_n(&in, text, sizeof text),
      chars_send(&out, text, 1, IPC_FOREVER), chars_recv(&in, text, 1, IPC_FOREVER), 4096)
PLAIN(logs, logs_push(&out, text, sizeof text), logs_pop(&in, text, sizeof text),
      logs_send(&out, text, sizeof text, IPC_FOREVER),
      logs_recv(&in, text, sizeof text, IPC_FOREVER), 4096, 2)
PLAIN(news, news_push(&out, &letter), news_pop(&in, &letter), news_send(&out, &letter, IPC_FOREVER),
      news_recv(&in, &letter, IPC_FOREVER), 2, IPC_BROADCAST_LOSSLESS)
PLAIN(tape, tape_push(&out, text, sizeof text), tape_pop(&in, text, sizeof text),
      tape_send(&out, text, sizeof text, IPC_FOREVER),
      tape_recv(&in, text, sizeof text, IPC_FOREVER), 4096, IPC_BROADCAST_LOSSLESS)
PLAIN(jobs, jobs_push(&out, &letter), jobs_pop(&in, &letter), jobs_send(&out, &letter, IPC_FOREVER),
      jobs_recv(&in, &letter, IPC_FOREVER), 4, IPC_MPMC_AT_LEAST_ONCE)

static void serves(struct child *up, void *arg)
{
    struct plain *p = (struct plain *)arg;
    struct adder_server s;
    union adder_slot *slot;

    (void)alarm(10);
    IS(adder_server_attach(&s, p->mem, RING_SIZE, NULL), 0);
    ipc_notify_policy(adder_server_bell(&s), 0, 0);
    tell(up, (uint64_t)(uintptr_t)s.data.at);
    IS(adder_serve(&s, &slot, IPC_FOREVER), 0);
}

static void calls_forever(struct child *up, void *arg)
{
    struct plain *p = (struct plain *)arg;
    struct adder_client c;
    uint64_t n = 1;

    (void)alarm(10);
    IS(adder_client_attach(&c, p->mem, RING_SIZE, NULL), 0);
    ipc_notify_policy(adder_client_bell(&c), 0, 0);
    tell(up, (uint64_t)(uintptr_t)c.space.at);
    IS(adder_call(&c, &n, &n, IPC_FOREVER), 0);
}

static void adder_is_plain(struct plain *p)
{
    struct adder_client c;
    struct adder_server s;
    uint64_t n = 1;
    void *slot;

    IS(adder_init(p->mem, RING_SIZE, 1), 0);
    if (p->sends) {
        IS(adder_server_attach(&s, p->mem, RING_SIZE, NULL), 0);
        p->child = spawn(calls_forever, p);
        expect_asleep(&p->child);
        slot = ipc_call_take(&s.raw);
        MUST(slot != NULL);
        IS(ipc_call_answer(&s.raw, slot), 0);
    } else {
        IS(adder_client_attach(&c, p->mem, RING_SIZE, NULL), 0);
        p->child = spawn(serves, p);
        expect_asleep(&p->child);
        IS(ipc_call_ask(&c.raw, &n, sizeof n), 0);
    }
}

static void waits_for_any_ring(struct child *up, void *arg)
{
    struct plain *p = (struct plain *)arg;
    struct msgs_consumer in;
    struct ipc_notify *all[1];
    struct ipc_any any;
    unsigned i;

    (void)alarm(10);
    IS(msgs_consumer_attach(&in, p->mem, RING_SIZE, NULL), 0);
    all[0] = msgs_consumer_bell(&in);
    ipc_notify_policy(all[0], 0, 0);
    IS(ipc_any_init(&any, all, 1), 0);
    tell(up, (uint64_t)(uintptr_t)in.data.at);
    IS(ipc_wait_any(&any, IPC_FOREVER, i, msgs_pop(&in, &letter) == 0), 0);
}

static void any_is_plain(struct plain *p)
{
    struct msgs_producer out;

    IS(msgs_init(p->mem, RING_SIZE, 2), 0);
    IS(msgs_producer_attach(&out, p->mem, RING_SIZE, NULL), 0);
    p->child = spawn(waits_for_any_ring, p);
    expect_asleep(&p->child);
    IS(msgs_push(&out, &letter), 0);
}

static void sleeper_of_every_ring_looks_once_a_second(void **state)
{
    static void (*const rings[])(struct plain *) = {
        msgs_is_plain, chars_is_plain, logs_is_plain,  news_is_plain,
        tape_is_plain, jobs_is_plain,  adder_is_plain, any_is_plain,
    };
    enum { RINGS = sizeof rings / sizeof *rings };
    struct plain p[RINGS][2];
    unsigned char *mem = (unsigned char *)mmap(NULL, 2 * RINGS * RING_SIZE, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int i, sends;

    (void)state;
    MUST(mem != MAP_FAILED);
    for (i = 0; i < RINGS; i++)
        for (sends = 0; sends < 2; sends++) {
            p[i][sends].mem = mem + (2 * i + sends) * (int)RING_SIZE;
            p[i][sends].sends = sends;
            rings[i](&p[i][sends]);
        }
    for (i = 0; i < RINGS; i++)
        for (sends = 0; sends < 2; sends++)
            finish(&p[i][sends].child);
    (void)munmap(mem, 2 * RINGS * RING_SIZE);
}

/* A sleeper that others of its segment stir more often than once a second still looks. */
static int stirred[2]; /* a pipe */

static struct ipc_watch pipe_watch;

static int watches_the_pipe(void *arg, uint64_t id)
{
    (void)arg, (void)id;
    return stirred[0];
}

static int is_ours(void *arg)
{
    (void)arg;
    return 1;
}

static int takes_from_the_pipe(void *arg)
{
    char bytes[64];

    (void)arg;
    while (read(stirred[0], bytes, sizeof bytes) > 0)
        ;
    return IPC_WATCH_STIRRED;
}

static void stirs_nobody(void *arg)
{
    (void)arg;
}

static void *stirs_often(void *arg)
{
    while (get(&room->word[1]) == 0) {
        MUST(write(stirred[1], "x", 1) == 1);
        (void)usleep(20000);
    }
    return arg;
}

/* A holder without an ipc_peer may be alive or dead: its death is never reported. */
/* Both ends of a ring, in a process that works at one of them and lets others come and go at the
 * other. send and recv never wait, and return 0, or an errno. */
IPC_SPMC(bids, struct message)
IPC_MPSC(asks, struct message)

struct both_ends {
    const char *what;
    int reads_from_the_start;
    int (*create)(void);
    int (*open_producer)(void), (*open_consumer)(void);
    void (*close_producer)(void), (*close_consumer)(void);
    int (*send)(void), (*recv)(void);
};

#define BOTH_ENDS(NAME, CREATE, SEND, RECV)                                                        \
    static struct NAME##_producer NAME##_out;                                                      \
    static struct NAME##_consumer NAME##_in;                                                       \
    static int create_##NAME(void)                                                                 \
    {                                                                                              \
        return NAME##_create CREATE;                                                               \
    }                                                                                              \
    static int open_##NAME##_producer(void)                                                        \
    {                                                                                              \
        return NAME##_producer_open(&NAME##_out, &shm, "ring");                                    \
    }                                                                                              \
    static int open_##NAME##_consumer(void)                                                        \
    {                                                                                              \
        return NAME##_consumer_open(&NAME##_in, &shm, "ring");                                     \
    }                                                                                              \
    static void close_##NAME##_producer(void)                                                      \
    {                                                                                              \
        NAME##_producer_detach(&NAME##_out);                                                       \
    }                                                                                              \
    static void close_##NAME##_consumer(void)                                                      \
    {                                                                                              \
        NAME##_consumer_detach(&NAME##_in);                                                        \
    }                                                                                              \
    static int send_##NAME(void)                                                                   \
    {                                                                                              \
        struct message m = {0};                                                                    \
        int64_t rc = NAME##_send SEND;                                                             \
                                                                                                   \
        return rc < 0 ? (int)rc : 0;                                                               \
    }                                                                                              \
    static int recv_##NAME(void)                                                                   \
    {                                                                                              \
        struct message m;                                                                          \
        int64_t rc = NAME##_recv RECV;                                                             \
                                                                                                   \
        return rc < 0 ? (int)rc : 0;                                                               \
    }
static int64_t limit = IPC_NOW; /* the deadline of these calls */
BOTH_ENDS(msgs, (&shm, "ring", 4), (&msgs_out, &m, limit), (&msgs_in, &m, limit))
BOTH_ENDS(bids, (&shm, "ring", 4, 0), (&bids_out, &m, limit), (&bids_in, &m, limit))
BOTH_ENDS(asks, (&shm, "ring", 4, 0), (&asks_out, &m, limit), (&asks_in, &m, limit))
BOTH_ENDS(news, (&shm, "ring", 4, IPC_BROADCAST_LOSSY), (&news_out, &m, limit),
          (&news_in, &m, limit))
BOTH_ENDS(chars, (&shm, "ring", 256), (&chars_out, (char *)&m, sizeof m, limit),
          (&chars_in, (char *)&m, sizeof m, limit))
BOTH_ENDS(logs, (&shm, "ring", 256, 1), (&logs_out, &m, sizeof m, limit),
          (&logs_in, &m, sizeof m, limit))
BOTH_ENDS(tape, (&shm, "ring", 256, IPC_BROADCAST_LOSSLESS), (&tape_out, &m, sizeof m, limit),
          (&tape_in, &m, sizeof m, limit))

#define OF(NAME, FROM_THE_START)                                                                   \
    {#NAME, FROM_THE_START, create_##NAME, open_##NAME##_producer, open_##NAME##_consumer,         \
     close_##NAME##_producer, close_##NAME##_consumer, send_##NAME, recv_##NAME}

static void producer_that_comes_and_goes_unseen_is_told(void **state)
{
    static const struct both_ends kinds[] = {OF(msgs, 1), OF(bids, 1), OF(news, 0),
                                             OF(chars, 1), OF(logs, 1), OF(tape, 0)};
    const struct both_ends *e;
    unsigned i;

    (void)state;
    for (e = kinds; e < kinds + sizeof kinds / sizeof *kinds; e++) {
        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        IS(e->create(), 0);
        IS(e->open_producer(), 0);
        IS(e->send(), 0);
        e->close_producer();
        IS(e->open_consumer(), 0);
        if (e->reads_from_the_start)
            IS(e->recv(), 0);
        IS(e->recv(), -ETIMEDOUT); /* that producer was older than the handle */
        for (i = 0; i < 6; i++) {
            IS(e->open_producer(), 0);
            if (i % 3 == 1)
                IS(e->recv(), -ETIMEDOUT); /* has seen it */
            if (i % 3 != 2) {
                IS(e->send(), 0);
                IS(e->recv(), 0);
            }
            e->close_producer();
            IS(e->recv(), -EPIPE);
            IS(e->recv(), -ETIMEDOUT); /* told once */
        }
        IS(e->open_producer(), 0); /* one goes, and the next one comes: nothing is to be told */
        IS(e->send(), 0);
        IS(e->recv(), 0);
        e->close_producer();
        IS(e->open_producer(), 0);
        IS(e->recv(), -ETIMEDOUT);
        e->close_producer();
        IS(e->recv(), -EPIPE);
        IS(e->recv(), -ETIMEDOUT);
        e->close_consumer();
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

static void consumer_that_comes_and_goes_unseen_is_told(void **state)
{
    static const struct both_ends kinds[] = {OF(msgs, 1), OF(asks, 1), OF(chars, 1), OF(logs, 1)};
    const struct both_ends *e;
    unsigned i;

    (void)state;
    for (e = kinds; e < kinds + sizeof kinds / sizeof *kinds; e++) {
        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        IS(e->create(), 0);
        IS(e->open_consumer(), 0);
        e->close_consumer();
        IS(e->open_producer(), 0);
        while (e->send() == 0)
            ;
        IS(e->send(), -ETIMEDOUT); /* that consumer was older than the handle */
        for (i = 0; i < 6; i++) {
            IS(e->open_consumer(), 0);
            if (i % 3 == 1)
                IS(e->send(), -ETIMEDOUT); /* has seen it */
            while (i % 3 != 2 && e->recv() == 0)
                ;
            while (i % 2 == 0 && e->send() == 0)
                ;
            e->close_consumer();
            while (i % 2 == 1 && i % 3 != 2 && e->send() == 0)
                ;
            IS(e->send(), i % 2 == 1 && i % 3 != 2 ? -ETIMEDOUT : -EPIPE);
            IS(e->send(), -ETIMEDOUT);
        }
        e->close_producer();
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

static void sleeps_at_an_end(struct child *up, void *arg)
{
    const struct both_ends *e = (const struct both_ends *)arg;

    IS(ipc_shm_open(&shm, name, IPC_NOW), 0);
    IS(e->open_consumer(), 0);
    limit = ipc_in_ms(LONG_MS);
    tell(up, 0);
    IS(e->recv(), -EPIPE);
}

static void sleeps_at_the_other(struct child *up, void *arg)
{
    const struct both_ends *e = (const struct both_ends *)arg;

    IS(ipc_shm_open(&shm, name, IPC_NOW), 0);
    IS(e->open_producer(), 0);
    while (e->send() == 0)
        ;
    limit = ipc_in_ms(LONG_MS);
    tell(up, 0);
    IS(e->send(), -EPIPE);
}

/* The sleeper is stopped, so that it looks neither while the other one is there nor before. */
static void a_sleeper_is_told_of_one_that_comes_and_goes_between_two_looks(void **state)
{
    static const struct both_ends kinds[] = {OF(msgs, 1), OF(chars, 1), OF(logs, 1), OF(asks, 1),
                                             OF(bids, 1), OF(news, 0),  OF(tape, 0)};
    unsigned i;

    (void)state;
    for (i = 0; i < 11; i++) { /* all at one end, the first four at the other one, too */
        struct both_ends e = kinds[i % 7];
        int of_producers = i >= 7;
        struct child c;

        if (strcmp(e.what, "asks") == 0 && !of_producers)
            continue; /* several producers: none is told of */
        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        IS(e.create(), 0);
        c = spawn(of_producers ? sleeps_at_the_other : sleeps_at_an_end, &e);
        (void)hear(&c);
        EVENTUALLY(rests(c.pid));
        stop_child(&c);
        IS(of_producers ? e.open_consumer() : e.open_producer(), 0);
        of_producers ? e.close_consumer() : e.close_producer();
        signal_child(&c, SIGCONT);
        finish(&c);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

static void holder_without_a_peer_is_not_told_dead(void **state)
{
    struct ipc_shm_object o;
    struct msgs_producer out;
    struct msgs_consumer in;
    struct message m;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(ipc_shm_make(&shm, "ring", IPC_SPSC_TYPE, msgs_footprint(8), &o), 0);
    IS(msgs_init(o.mem, o.size, 8), 0);
    IS(ipc_shm_publish(&shm, &o), 0);
    IS(msgs_producer_attach(&out, o.mem, o.size, NULL), 0);
    IS(msgs_consumer_open(&in, &shm, "ring"), 0);
    IS(msgs_recv(&in, &m, ipc_in_ms(30)), -ETIMEDOUT); /* long enough for the kernel to be asked */
    IS(msgs_push(&out, &m), 0);
    IS(msgs_recv(&in, &m, ipc_in_ms(30)), 0);
    msgs_producer_detach(&out);
    IS(msgs_recv(&in, &m, IPC_FOREVER), -EPIPE);
    msgs_consumer_detach(&in);
    ipc_shm_close(&shm);
}

static void sleeper_that_is_stirred_often_looks_once_a_second(void **state)
{
    struct ipc_peer me = own_peer(NULL);
    struct ipc_notify n, *all[1];
    struct ipc_any any;
    unsigned i, looks = 0;
    int64_t deadline;
    pthread_t t;

    (void)state;
    MUST(pipe2(stirred, O_NONBLOCK | O_CLOEXEC) == 0);
    pipe_watch.open = watches_the_pipe;
    pipe_watch.ours = is_ours;
    pipe_watch.take = takes_from_the_pipe;
    me.watch = &pipe_watch;
    me.stir = stirs_nobody;
    attach_drowsy(&n, &room->bell[0], &me);
    ipc_notify_watch(&n, 5);
    MUST(pthread_create(&t, NULL, stirs_often, NULL) == 0);
    deadline = ipc_in_ms(10000);
    IS(ipc_wait(&n, deadline, ++looks == 3), 0); /* two before it sleeps */
    MUST(ipc_left_(deadline) > 0);               /* or that was the last look */
    all[0] = &n;
    IS(ipc_any_init(&any, all, 1), 0);
    looks = 0;
    deadline = ipc_in_ms(10000);
    IS(ipc_wait_any(&any, deadline, i, ++looks == 3), 0);
    MUST(ipc_left_(deadline) > 0);
    put(&room->word[1], 1);
    MUST(pthread_join(t, NULL) == 0);
    ipc_any_close(&any);
    ipc_notify_detach(&n);
    (void)close(stirred[0]);
    (void)close(stirred[1]);
}

/* ------------------------------------------------------------------ all of them */

static int run_all(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(ring_accepts_only_bells_of_its_kind),
        TEST(typed_ring_works_in_an_event_loop),
        TEST(every_message_is_received_in_order),
        TEST(full_and_empty_rings_time_out),
        TEST(a_call_that_waits_wakes_the_other_end_first),
        TEST(end_of_the_producer_is_told_once_each_time),
        TEST(end_of_the_consumer_is_told_once_each_time),
        TEST(producer_that_came_and_went_unseen_is_told),
        TEST(death_behind_the_last_message_is_told),
        TEST(closing_a_segment_counts_as_detaching),
        TEST(deaths_from_before_attach_are_not_told),
        TEST(successor_that_attaches_while_we_sleep_is_watched),
        TEST(sleeper_that_came_first_finds_and_watches_who_comes),
        TEST(sleeper_of_every_ring_looks_once_a_second),
        TEST(producer_that_comes_and_goes_unseen_is_told),
        TEST(consumer_that_comes_and_goes_unseen_is_told),
        TEST(a_sleeper_is_told_of_one_that_comes_and_goes_between_two_looks),
        TEST(holder_without_a_peer_is_not_told_dead),
        TEST(sleeper_that_is_stirred_often_looks_once_a_second),
    };

    return cmocka_run_group_tests_name("ipc_notify, rings", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return run_in_child(run_all, argc, argv);
}
