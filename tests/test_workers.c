/*
 * Rings with many at an end: the calls that sleep, what wakes them, and what happens to them when
 * other processes are stopped or killed. Puppets are processes that make one call after the other,
 * on order.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

#define LATE_MS 2000 /* how far a busy machine may exceed a time of the contract */

struct job {
    uint64_t from, n;
};
IPC_MPMC(jobs, struct job)
IPC_MPSC(logs, struct job)
IPC_SPMC(feed, struct job)

static struct ipc_shm shm;

static void make_ring(uint64_t capacity, unsigned how)
{
    IS(ipc_shm_create(&shm, name, 4 << 20), 0);
    IS(jobs_create(&shm, "ring", capacity, how), 0);
}

static struct job job(uint64_t n)
{
    struct job j = {0, 0};

    j.n = n;
    return j;
}

/* ------------------------------------------------------------------ puppets */

enum order { RECV, PEEK, RELEASE, SEND, CLAIM, CANCEL, COMMIT, DETACH };

static void puppet(struct child *up, void *arg)
{
    struct jobs_producer out;
    struct jobs_consumer in;
    struct ipc_shm seg;
    struct job j = job(0), *slot;
    const struct job *seen;

    (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(jobs_producer_open(&out, &seg, "ring"), 0);
    IS(jobs_consumer_open(&in, &seg, "ring"), 0);
    ipc_notify_policy(jobs_producer_bell(&out), 0, 0);
    ipc_notify_policy(jobs_consumer_bell(&in), 0, 0);
    for (;;) {
        uint64_t word = hear(up);
        int rc = 0;

        switch ((enum order)(word % 16)) {
        case RECV:
            rc = jobs_recv(&in, &j, ipc_in_ms(LONG_MS));
            break;
        case PEEK:
            rc = jobs_consumer_wait(&in, ipc_in_ms(LONG_MS));
            seen = jobs_peek(&in);
            MUST(seen != NULL);
            j = *seen;
            break;
        case RELEASE:
            rc = jobs_release(&in);
            IS(jobs_consumer_post(&in), 0);
            break;
        case SEND:
            j = job(word / 16);
            rc = jobs_send(&out, &j, ipc_in_ms(LONG_MS));
            break;
        case CLAIM:
            rc = jobs_producer_wait(&out, ipc_in_ms(LONG_MS));
            slot = jobs_claim(&out);
            MUST(slot != NULL);
            *slot = j = job(word / 16);
            break;
        case CANCEL:
            jobs_cancel(&out);
            break;
        case COMMIT:
            rc = jobs_commit(&out);
            IS(jobs_producer_post(&out), 0);
            break;
        case DETACH:
            jobs_producer_detach(&out);
            jobs_consumer_detach(&in);
            break;
        }
        IS(rc, 0);
        tell(up, j.n);
    }
}

static struct child new_puppet(void)
{
    return spawn(puppet, NULL);
}

static void order(const struct child *c, enum order what, uint64_t n)
{
    tell(c, n * 16 + what);
}

static uint64_t has_done(const struct child *c, enum order what, uint64_t n)
{
    order(c, what, n);
    return hear(c);
}

/* Gives a puppet an order and waits until it sleeps; deeply: until it waits for events, too. */
static void goes_to_sleep(const struct child *c, enum order what, uint64_t n, int deeply)
{
    struct ipc_shm_object o;
    struct ipc_mpmc_shared *ring;
    const struct ipc_notify_shared *bell;

    IS(ipc_shm_find(&shm, "ring", IPC_MPMC_TYPE, &o), 0);
    ring = (struct ipc_mpmc_shared *)o.mem;
    bell =
        (const struct ipc_notify_shared *)(void *)(what == RECV || what == PEEK ? ring->data_bell
                                                                                : ring->space_bell);
    order(c, what, n);
    EVENTUALLY((ck_pr_load_32(&bell->word) & (deeply ? IPC_NOTIFY_DOZING_ : IPC_NOTIFY_ASLEEP_)) !=
                   0 &&
               rests(c->pid));
}

/* ------------------------------------------------------------------ tests */

static void a_ring_that_is_there_is_made_only_as_it_is(void **state)
{
    struct jobs_producer out;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(jobs_create(&shm, "ring", 4, IPC_MPMC_AT_LEAST_ONCE), 0);
    IS(jobs_create(&shm, "ring", 4, IPC_MPMC_AT_LEAST_ONCE), 0);
    IS(jobs_create(&shm, "ring", 4, IPC_MPMC_AT_MOST_ONCE), -EPROTO);
    MUST(strstr(ipc_shm_why(&shm), "1 there, 0 here") != NULL);
    IS(jobs_create(&shm, "ring", 8, IPC_MPMC_AT_LEAST_ONCE), -EPROTO);
    MUST(strstr(ipc_shm_why(&shm), "capacity") != NULL);
    IS(logs_create(&shm, "ring", 4, IPC_MPMC_AT_LEAST_ONCE), -EPROTO);
    IS(jobs_producer_open(&out, &shm, "ring"), 0);
    jobs_producer_detach(&out);
    ipc_shm_close(&shm);
}

static void a_ring_of_no_kind_leaves_nothing_behind(void **state)
{
    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(jobs_create(&shm, "ring", 4, IPC_MPMC_ONE_CONSUMER * 2), -EINVAL);
    MUST(strstr(ipc_shm_why(&shm), "how = ") != NULL);
    IS(jobs_create(&shm, "ring", 4, IPC_MPMC_HANDLES(65537)), -EINVAL);
    MUST(strstr(ipc_shm_why(&shm), "how = ") != NULL);
    IS(logs_create(&shm, "ring", 4, IPC_MPMC_ONE_PRODUCER), -EINVAL); /* logs has one consumer */
    IS(jobs_create(&shm, "ring", 4, IPC_MPMC_AT_LEAST_ONCE), 0);
    IS(jobs_create(&shm, "ring", 4, IPC_MPMC_ONE_CONSUMER * 2), -EINVAL);
    ipc_shm_close(&shm);
}

static void was_size_is_right_to_sixteen_for_each_handle(void **state)
{
    struct jobs_producer out = {0};
    struct jobs_consumer in = {0};
    struct job j = job(1);
    uint64_t n, size;

    (void)state;
    IS(jobs_producer_was_size(&out), 0); /* not attached */
    IS(jobs_consumer_was_size(&in), 0);
    make_ring(256, IPC_MPMC_AT_MOST_ONCE);
    IS(jobs_producer_open(&out, &shm, "ring"), 0);
    IS(jobs_consumer_open(&in, &shm, "ring"), 0);
    for (n = 1; n <= 1000; n++) {
        IS(jobs_push(&out, &j), 0);
        if (n > 100)
            IS(jobs_pop(&in, &j), 0);
        size = n < 100 ? n : 100;
        MUST(jobs_producer_was_size(&out) >= size && jobs_producer_was_size(&out) <= size + 16);
        MUST(jobs_consumer_was_size(&in) + 16 >= size && jobs_consumer_was_size(&in) <= size);
    }
    while (jobs_push(&out, &j) == 0)
        ;
    IS(jobs_producer_was_size(&out), 256);
    jobs_producer_detach(&out);
    jobs_consumer_detach(&in);
}

static void full_and_empty_rings_time_out(void **state)
{
    struct jobs_producer out;
    struct jobs_consumer in;
    struct job j = job(1);
    int64_t deadline;

    (void)state;
    make_ring(2, IPC_MPMC_AT_MOST_ONCE);
    IS(jobs_producer_open(&out, &shm, "ring"), 0);
    IS(jobs_consumer_open(&in, &shm, "ring"), 0);
    IS(jobs_recv(&in, &j, IPC_NOW), -ETIMEDOUT);
    IS(jobs_consumer_wait(&in, ipc_in_ms(1)), -ETIMEDOUT);
    deadline = ipc_in_ms(30);
    IS(jobs_recv(&in, &j, deadline), -ETIMEDOUT);
    IS(ipc_left_(deadline), 0);
    IS(jobs_send(&out, &j, IPC_NOW), 0);
    IS(jobs_send(&out, &j, IPC_FOREVER), 0);
    IS(jobs_send(&out, &j, IPC_NOW), -ETIMEDOUT);
    IS(jobs_producer_wait(&out, ipc_in_ms(1)), -ETIMEDOUT);
    deadline = ipc_in_ms(30);
    IS(jobs_send(&out, &j, deadline), -ETIMEDOUT);
    IS(ipc_left_(deadline), 0);
    IS(jobs_recv(&in, &j, IPC_FOREVER), 0);
    IS(jobs_producer_wait(&out, IPC_FOREVER), 0);
    IS(jobs_send(&out, &j, IPC_NOW), 0); /* in the slot that was claimed */
    IS(jobs_send(&out, &j, IPC_NOW), -ETIMEDOUT);
    IS(jobs_recv(&in, &j, IPC_FOREVER), 0);
    IS(jobs_producer_wait(&out, IPC_FOREVER), 0);
    IS(jobs_push_n(&out, &j, 1), 1);
    IS(jobs_recv(&in, &j, IPC_FOREVER), 0);
    IS(jobs_producer_wait(&out, IPC_FOREVER), 0);
    IS(jobs_push(&out, &j), 0);
    IS(jobs_producer_wait(&out, IPC_NOW), -ETIMEDOUT);
    jobs_producer_detach(&out);
    jobs_consumer_detach(&in);
    IS(jobs_send(&out, &j, IPC_FOREVER), -EINVAL);
    IS(jobs_recv(&in, &j, IPC_FOREVER), -EINVAL);
    IS(jobs_producer_wait(&out, IPC_FOREVER), -EINVAL);
    IS(jobs_consumer_wait(&in, IPC_FOREVER), -EINVAL);
    IS(jobs_producer_post(&out), -EINVAL);
    IS(jobs_consumer_post(&in), -EINVAL);
    ipc_shm_close(&shm);
}

enum { PRODUCERS = 2, CONSUMERS = 3, MOST = 20000 };

struct crowd {
    uint64_t capacity, n;
    unsigned spin;
};

static void sends_all(struct child *up, void *arg)
{
    const struct crowd *how = (const struct crowd *)arg;
    struct jobs_producer out;
    struct ipc_shm seg;
    struct job j;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(jobs_producer_open(&out, &seg, "ring"), 0);
    ipc_notify_policy(jobs_producer_bell(&out), how->spin, 0);
    j.from = hear(up);
    for (j.n = 1; j.n <= how->n; j.n++)
        IS(jobs_send(&out, &j, j.n % 2 ? ipc_in_ms(LONG_MS) : IPC_FOREVER), 0);
    jobs_producer_detach(&out);
    ipc_shm_close(&seg);
}

static void receives_until_told(struct child *up, void *arg)
{
    const struct crowd *how = (const struct crowd *)arg;
    uint64_t last[PRODUCERS] = {0, 0}, *seen;
    struct ipc_shm_object o;
    struct jobs_consumer in;
    struct ipc_shm seg;
    struct job j;

    (void)up;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_shm_find(&seg, "seen", 1, &o), 0);
    seen = (uint64_t *)o.mem;
    IS(jobs_consumer_open(&in, &seg, "ring"), 0);
    ipc_notify_policy(jobs_consumer_bell(&in), how->spin, 0);
    for (;;) {
        IS(jobs_recv(&in, &j, IPC_FOREVER), 0);
        if (j.n == 0)
            break;
        MUST(j.from < PRODUCERS && j.n > last[j.from] && j.n <= how->n);
        last[j.from] = j.n;
        (void)ck_pr_faa_64(&seen[j.from * MOST + j.n - 1], 1);
    }
    jobs_consumer_detach(&in);
    ipc_shm_close(&seg);
}

static void every_message_is_received_once_by_one_of_those_who_sleep(void **state)
{
    static struct crowd cases[] = {{1, 3000, 0}, {2, 3000, 0}, {64, 20000, 0}, {64, 20000, 100}};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct child p[PRODUCERS], c[CONSUMERS];
        struct ipc_shm_object o;
        struct jobs_producer out;
        struct job end = job(0);
        const uint64_t *seen;

        make_ring(cases[i].capacity, IPC_MPMC_AT_MOST_ONCE);
        IS(ipc_shm_make(&shm, "seen", 1, PRODUCERS * MOST * sizeof *seen, &o), 0);
        IS(ipc_shm_publish(&shm, &o), 0);
        seen = (const uint64_t *)o.mem;
        IS(jobs_producer_open(&out, &shm, "ring"), 0);
        for (k = 0; k < CONSUMERS; k++)
            c[k] = spawn(receives_until_told, &cases[i]);
        for (k = 0; k < PRODUCERS; k++) {
            p[k] = spawn(sends_all, &cases[i]);
            tell(&p[k], k);
        }
        for (k = 0; k < PRODUCERS; k++)
            finish(&p[k]);
        for (k = 0; k < CONSUMERS; k++)
            IS(jobs_send(&out, &end, ipc_in_ms(LONG_MS)), 0);
        for (k = 0; k < CONSUMERS; k++)
            finish(&c[k]);
        for (k = 0; k < PRODUCERS * MOST; k++)
            IS(seen[k], k % MOST < cases[i].n);
        jobs_producer_detach(&out);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* A sleeping consumer gets what a killed consumer held, without a message or call of another. */
static void what_the_dead_had_comes_to_who_sleeps(void **state)
{
    int deeply;

    (void)state;
    for (deeply = 0; deeply < 2; deeply++) {
        struct child a, b;
        int64_t then;

        make_ring(4, IPC_MPMC_AT_LEAST_ONCE);
        a = new_puppet();
        b = new_puppet();
        IS(has_done(&a, SEND, 7), 7);
        IS(has_done(&a, PEEK, 0), 7);
        goes_to_sleep(&b, RECV, 0, deeply);
        then = ipc_clock();
        kill_child(&a);
        IS(hear(&b), 7);
        MUST(ipc_clock() - then < LATE_MS * INT64_C(1000000));
        kill_child(&b);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* So does one that comes later, at its first look, whether that may sleep or not. */
static void what_the_dead_had_comes_to_who_attaches_later(void **state)
{
    struct jobs_consumer in;
    struct job j = job(0);
    struct child a;

    (void)state;
    make_ring(4, IPC_MPMC_AT_LEAST_ONCE);
    IS(jobs_consumer_open(&in, &shm, "ring"), 0);
    a = new_puppet();
    IS(has_done(&a, SEND, 7), 7);
    IS(has_done(&a, PEEK, 0), 7);
    kill_child(&a);
    jobs_consumer_detach(&in); /* and takes this seat, not that of the dead process */
    IS(jobs_consumer_open(&in, &shm, "ring"), 0);
    IS(jobs_recv(&in, &j, IPC_NOW), 0);
    IS(j.n, 7);
    ipc_shm_close(&shm);
    IS(ipc_shm_unlink(name), 0);
}

/* A sleeping producer gets the slot that a killed process held. */
static void room_of_the_dead_comes_to_who_sleeps(void **state)
{
    int deeply, claimed;

    (void)state;
    for (deeply = 0; deeply < 2; deeply++)
        for (claimed = 0; claimed < 2; claimed++) {
            struct child a, b, c;

            make_ring(1, IPC_MPMC_AT_MOST_ONCE);
            a = new_puppet();
            b = new_puppet();
            c = new_puppet();
            if (claimed) {
                IS(has_done(&a, CLAIM, 6), 6);
                goes_to_sleep(&c, RECV, 0, deeply);
            } else {
                IS(has_done(&a, SEND, 6), 6);
                IS(has_done(&a, PEEK, 0), 6);
            }
            goes_to_sleep(&b, SEND, 8, deeply);
            kill_child(&a);
            IS(hear(&b), 8);
            IS(claimed ? hear(&c) : has_done(&c, RECV, 0), 8);
            kill_child(&b);
            kill_child(&c);
            ipc_shm_close(&shm);
            IS(ipc_shm_unlink(name), 0);
        }
}

/* Processes that poll find the same without help, within a number of calls set by the capacity. */
static void those_who_poll_find_what_the_dead_have_left(void **state)
{
    struct jobs_producer out;
    struct jobs_consumer in;
    struct job j = job(9);
    struct child a;
    unsigned tries;

    (void)state;
    make_ring(1, IPC_MPMC_AT_LEAST_ONCE);
    IS(jobs_producer_open(&out, &shm, "ring"), 0);
    IS(jobs_consumer_open(&in, &shm, "ring"), 0);
    a = new_puppet();
    IS(has_done(&a, SEND, 5), 5);
    IS(has_done(&a, PEEK, 0), 5);
    IS(jobs_pop(&in, &j), -EAGAIN);
    kill_child(&a);
    for (tries = 0; jobs_pop(&in, &j) != 0; tries++)
        MUST(tries < 10000);
    IS(j.n, 5);
    a = new_puppet();
    IS(has_done(&a, CLAIM, 5), 5);
    IS(jobs_push(&out, &j), -EAGAIN);
    kill_child(&a);
    for (tries = 0; jobs_push(&out, &j) != 0; tries++)
        MUST(tries < 10000);
    IS(jobs_pop(&in, &j), 0);
    IS(jobs_producer_losses(&out).again, 1);
    IS(jobs_producer_losses(&out).aborted, 1);
    ipc_shm_close(&shm);
}

/* A post wakes all sleepers, as one of them may be stopped. */
static void stopped_sleeper_keeps_no_message_from_the_others(void **state)
{
    struct child a, b, c;

    (void)state;
    make_ring(4, IPC_MPMC_AT_MOST_ONCE);
    a = new_puppet();
    b = new_puppet();
    c = new_puppet();
    goes_to_sleep(&a, RECV, 0, 0);
    stop_child(&a);
    goes_to_sleep(&b, RECV, 0, 0);
    IS(has_done(&c, SEND, 3), 3);
    IS(hear(&b), 3);
    signal_child(&a, SIGCONT);
    IS(has_done(&c, SEND, 4), 4);
    IS(hear(&a), 4);
    kill_child(&a);
    kill_child(&b);
    kill_child(&c);
    ipc_shm_close(&shm);
}

/* A process that detaches, or gives a slot back, wakes those that can use it. */
static void what_is_given_back_wakes_who_sleeps(void **state)
{
    struct child a, b;

    (void)state;
    make_ring(1, IPC_MPMC_AT_MOST_ONCE);
    a = new_puppet();
    b = new_puppet();
    IS(has_done(&a, CLAIM, 1), 1);
    goes_to_sleep(&b, SEND, 2, 0);
    (void)has_done(&a, CANCEL, 0);
    IS(hear(&b), 2);
    IS(has_done(&a, PEEK, 0), 2);
    goes_to_sleep(&b, SEND, 3, 0);
    (void)has_done(&a, RELEASE, 0);
    IS(hear(&b), 3);
    IS(has_done(&a, PEEK, 0), 3);
    goes_to_sleep(&b, RECV, 0, 0);
    (void)has_done(&a, DETACH, 0);
    IS(hear(&b), 3);
    kill_child(&a);
    kill_child(&b);
    ipc_shm_close(&shm);
}

/* The same with commit, behind a bell that waits for two rings at once. */
static void any_of_two_rings_can_be_waited_for(void **state)
{
    struct jobs_consumer in[2];
    struct ipc_notify *bells[2];
    struct ipc_any any;
    struct child a;
    struct job j;
    unsigned i;
    int64_t then;

    (void)state;
    make_ring(4, IPC_MPMC_AT_LEAST_ONCE);
    IS(jobs_create(&shm, "other", 4, IPC_MPMC_AT_LEAST_ONCE), 0);
    IS(jobs_consumer_open(&in[0], &shm, "other"), 0);
    IS(jobs_consumer_open(&in[1], &shm, "ring"), 0);
    for (i = 0; i < 2; i++) {
        bells[i] = jobs_consumer_bell(&in[i]);
        ipc_notify_policy(bells[i], 0, 0);
    }
    IS(ipc_any_init(&any, bells, 2), 0);
    a = new_puppet();
    IS(has_done(&a, CLAIM, 11), 11);
    order(&a, COMMIT, 0);
    IS(ipc_wait_any(&any, ipc_in_ms(LONG_MS), i, jobs_recv(&in[i], &j, IPC_NOW) == 0), 0);
    IS(i, 1);
    IS(j.n, 11);
    (void)hear(&a);
    IS(has_done(&a, SEND, 12), 12);
    IS(has_done(&a, PEEK, 0), 12);
    IS(ipc_wait_any(&any, ipc_in_ms(20), i, jobs_recv(&in[i], &j, IPC_NOW) == 0), -ETIMEDOUT);
    then = ipc_clock();
    kill_child(&a);
    IS(ipc_wait_any(&any, ipc_in_ms(LONG_MS), i, jobs_recv(&in[i], &j, IPC_NOW) == 0), 0);
    MUST(ipc_clock() - then < LATE_MS * INT64_C(1000000));
    IS(i, 1);
    IS(j.n, 12);
    ipc_any_close(&any);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ kills at random */

enum { MOST_KILLED_JOBS = 100000 };
#define KILLED_JOBS FLOOD(MOST_KILLED_JOBS)

struct books {
    uint64_t sent[PRODUCERS], done[PRODUCERS][MOST_KILLED_JOBS + 1];
};

static struct books *open_books(struct ipc_shm *seg)
{
    struct ipc_shm_object o;

    IS(ipc_shm_find(seg, "books", 1, &o), 0);
    return (struct books *)o.mem;
}

/* Goes on where its killed predecessor stopped. */
static void sends_the_rest(struct child *up, void *arg)
{
    uint64_t from = *(const uint64_t *)arg, *sent;
    struct jobs_producer out;
    struct ipc_shm seg;
    struct job j = {from, 0};

    (void)up;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    sent = &open_books(&seg)->sent[from];
    IS(jobs_producer_open(&out, &seg, "ring"), 0);
    ipc_notify_policy(jobs_producer_bell(&out), 10, 0);
    while ((j.n = ck_pr_load_64(sent) + 1) <= KILLED_JOBS) {
        IS(jobs_send(&out, &j, ipc_in_ms(LONG_MS)), 0);
        ck_pr_store_64(sent, j.n);
    }
    jobs_producer_detach(&out);
    ipc_shm_close(&seg);
}

static void works_until_told(struct child *up, void *arg)
{
    struct jobs_consumer in;
    struct books *books;
    struct ipc_shm seg;
    const struct job *j;
    uint64_t n = 1;

    (void)up, (void)arg;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    books = open_books(&seg);
    IS(jobs_consumer_open(&in, &seg, "ring"), 0);
    ipc_notify_policy(jobs_consumer_bell(&in), 10, 0);
    while (n > 0) {
        IS(jobs_consumer_wait(&in, ipc_in_ms(LONG_MS)), 0);
        j = jobs_peek(&in);
        MUST(j != NULL && j->from < PRODUCERS && j->n <= KILLED_JOBS);
        n = j->n;
        (void)ck_pr_faa_64(&books->done[j->from][n], 1);
        IS(jobs_release(&in), 0);
        IS(jobs_consumer_post(&in), 0);
    }
    jobs_consumer_detach(&in);
    ipc_shm_close(&seg);
}

static void kill_at_random(unsigned *kills, unsigned *again)
{
    static uint64_t number[PRODUCERS] = {0, 1};
    struct child all[PRODUCERS + CONSUMERS];
    struct timespec nap = {0, 0};
    struct ipc_shm_object o;
    struct jobs_producer out;
    struct job end = job(0);
    const struct books *books;
    unsigned i, k, ended[PRODUCERS] = {0, 0};

    make_ring(8, IPC_MPMC_AT_LEAST_ONCE);
    IS(ipc_shm_make(&shm, "books", 1, sizeof *books, &o), 0);
    IS(ipc_shm_publish(&shm, &o), 0);
    books = (const struct books *)o.mem;
    IS(jobs_producer_open(&out, &shm, "ring"), 0);
    for (i = 0; i < PRODUCERS + CONSUMERS; i++)
        all[i] = i < PRODUCERS ? spawn(sends_the_rest, &number[i]) : spawn(works_until_told, NULL);
    for (i = 0; !ended[0] || !ended[1]; i++) {
        int status;

        k = (unsigned)rand() % (PRODUCERS + CONSUMERS);
        if (k < PRODUCERS && ended[k])
            continue;
        nap.tv_nsec = rand() % 3000000;
        (void)nanosleep(&nap, NULL);
        signal_child(&all[k], SIGKILL);
        status = reap(&all[k]);
        *kills += WIFSIGNALED(status) ? 1 : 0;
        if (WIFEXITED(status)) {
            MUST(k < PRODUCERS && WEXITSTATUS(status) == 0);
            ended[k] = 1;
        } else {
            IS(WTERMSIG(status), SIGKILL);
            all[k] =
                k < PRODUCERS ? spawn(sends_the_rest, &number[k]) : spawn(works_until_told, NULL);
        }
    }
    /* Before the end mark, which would overtake what a process just killed still holds. */
    for (i = 0; i < PRODUCERS; i++)
        for (k = 1; k <= KILLED_JOBS; k++) {
            EVENTUALLY(ck_pr_load_64(&books->done[i][k]) > 0);
            *again += books->done[i][k] > 1;
        }
    for (i = 0; i < CONSUMERS; i++)
        IS(jobs_send(&out, &end, ipc_in_ms(LONG_MS)), 0);
    for (i = 0; i < CONSUMERS; i++)
        finish(&all[PRODUCERS + i]);
    ipc_shm_close(&shm);
    IS(ipc_shm_unlink(name), 0);
}

/* Whichever process is killed, at any moment: every job is done at least once, and no process
 * sleeps for ever. */
static void workers_killed_at_random_leave_no_job_undone(void **state)
{
    const char *seconds = getenv("IPC_SOAK_SECONDS");
    int64_t until = ipc_in_ms(seconds != NULL ? 1000 * atoi(seconds) : 0);
    unsigned kills = 0, again = 0, rounds = 0;

    (void)state;
    do {
        kill_at_random(&kills, &again);
        rounds++;
    } while (ipc_left_(until) > 0);
    print_message("note: %u kills, %u of %u jobs done again\n", kills, again,
                  rounds * PRODUCERS * KILLED_JOBS);
}

/* ------------------------------------------------------------------ a single handle at an end */

struct ending {
    int dies;
};

static void takes_one_log_and_ends(struct child *up, void *arg)
{
    struct logs_consumer in;
    struct ipc_shm seg;
    struct job j;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(logs_consumer_open(&in, &seg, "logs"), 0);
    IS(logs_recv(&in, &j, ipc_in_ms(LONG_MS)), 0);
    tell(up, j.n);
    (void)hear(up);
    if (((const struct ending *)arg)->dies)
        (void)kill(getpid(), SIGKILL);
    logs_consumer_detach(&in);
    ipc_shm_close(&seg);
}

static void feeds_one_and_ends(struct child *up, void *arg)
{
    struct feed_producer out;
    struct ipc_shm seg;
    struct job j = job(2);

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(feed_producer_open(&out, &seg, "feed"), 0);
    IS(feed_send(&out, &j, IPC_NOW), 0);
    tell(up, 0);
    (void)hear(up);
    if (((const struct ending *)arg)->dies)
        (void)kill(getpid(), SIGKILL);
    feed_producer_detach(&out);
    ipc_shm_close(&seg);
}

static void end_of_the_only_one_is_told_once(void **state)
{
    int dies;

    (void)state;
    for (dies = 0; dies < 2; dies++) {
        struct ending how = {dies};
        struct logs_producer out;
        struct feed_consumer in;
        struct child c;
        struct job j = job(1);

        IS(ipc_shm_create(&shm, name, 1 << 20), 0);
        IS(logs_create(&shm, "logs", 2, IPC_MPMC_AT_MOST_ONCE), 0);
        IS(feed_create(&shm, "feed", 2, IPC_MPMC_AT_MOST_ONCE), 0);
        IS(logs_producer_open(&out, &shm, "logs"), 0);
        IS(feed_consumer_open(&in, &shm, "feed"), 0);
        ipc_notify_policy(logs_producer_bell(&out), 0, 0);
        ipc_notify_policy(feed_consumer_bell(&in), 0, 0);

        c = spawn(takes_one_log_and_ends, &how);
        IS(logs_send(&out, &j, ipc_in_ms(LONG_MS)), 0);
        IS(hear(&c), 1);
        IS(logs_send(&out, &j, IPC_NOW), 0);
        IS(logs_send(&out, &j, IPC_NOW), 0);
        IS(logs_send(&out, &j, ipc_in_ms(10)), -ETIMEDOUT);
        tell(&c, 0);
        IS(logs_send(&out, &j, ipc_in_ms(LONG_MS)), dies ? -EOWNERDEAD : -EPIPE);
        IS(logs_send(&out, &j, ipc_in_ms(20)), -ETIMEDOUT);
        MUST(WIFSIGNALED(reap(&c)) == dies);

        c = spawn(feeds_one_and_ends, &how);
        IS(feed_recv(&in, &j, ipc_in_ms(LONG_MS)), 0);
        (void)hear(&c);
        IS(feed_recv(&in, &j, ipc_in_ms(10)), -ETIMEDOUT);
        tell(&c, 0);
        IS(feed_recv(&in, &j, ipc_in_ms(LONG_MS)), dies ? -EOWNERDEAD : -EPIPE);
        IS(feed_recv(&in, &j, ipc_in_ms(20)), -ETIMEDOUT);
        MUST(WIFSIGNALED(reap(&c)) == dies);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* ------------------------------------------------------------------ main */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_ring_that_is_there_is_made_only_as_it_is),
        TEST(a_ring_of_no_kind_leaves_nothing_behind),
        TEST(full_and_empty_rings_time_out),
        TEST(was_size_is_right_to_sixteen_for_each_handle),
        TEST(every_message_is_received_once_by_one_of_those_who_sleep),
        TEST(what_the_dead_had_comes_to_who_sleeps),
        TEST(what_the_dead_had_comes_to_who_attaches_later),
        TEST(room_of_the_dead_comes_to_who_sleeps),
        TEST(those_who_poll_find_what_the_dead_have_left),
        TEST(stopped_sleeper_keeps_no_message_from_the_others),
        TEST(what_is_given_back_wakes_who_sleeps),
        TEST(any_of_two_rings_can_be_waited_for),
        TEST(workers_killed_at_random_leave_no_job_undone),
        TEST(end_of_the_only_one_is_told_once),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
