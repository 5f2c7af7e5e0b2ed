/*
 * Tests of ipc_notify.h: every kind, every way a wait ends, the semaphore at its limits, which side fences.
 * IPC_NOTIFY_WAITS is how many waits the long test makes.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "notify.h"

/* ------------------------------------------------------------------ geometry and errors */

static void bad_memory_is_refused(void **state)
{
    unsigned char *mem = (unsigned char *)room;
    struct ipc_notify n;
    unsigned kind;

    (void)state;
    IS(BELL, 64);
    IS(IPC_NOTIFY_SIZE, 64);
    for (kind = 0; kind < KINDS; kind++) {
        IS(ipc_notify_init(NULL, 64, kind), -EINVAL);
        IS(ipc_notify_init(mem + 4, 64, kind), -EINVAL);
        IS(ipc_notify_init(mem + 1, 64, kind), -EINVAL);
        IS(ipc_notify_init(mem, 63, kind), -EINVAL);
        IS(ipc_notify_init(mem, 0, kind), -EINVAL);
        IS(ipc_notify_init(mem + 8, 64, kind), 0);
        IS(ipc_notify_attach(&n, mem + 8, 64, kind, NULL), 0);
        ipc_notify_detach(&n);
        IS(ipc_notify_init(mem, 1000, kind), 0);
        IS(ipc_notify_attach(&n, mem, 1000, kind, NULL), 0);
        ipc_notify_detach(&n);
        IS(ipc_notify_attach(&n, NULL, 64, kind, NULL), -EINVAL);
        IS(ipc_notify_attach(&n, mem + 4, 64, kind, NULL), -EINVAL);
        IS(ipc_notify_attach(&n, mem, 63, kind, NULL), -EINVAL);
    }
    IS(ipc_notify_init(mem, 64, KINDS), -EINVAL);
    IS(ipc_notify_init(mem, 64, UINT32_MAX), -EINVAL);
    for (kind = KINDS; kind != 0; kind += UINT32_MAX / KINDS) {
        room->bell[0].kind = kind;
        IS(ipc_notify_attach(&n, mem, 64, kind, NULL), -EINVAL);
        IS(ipc_notify_attach(&n, mem, 64, IPC_NOTIFY_FUTEX, NULL), -EPROTO);
        IS(ipc_notify_attach(&n, mem, 64, IPC_NOTIFY_SIGNAL, NULL), -EPROTO);
    }
}

static void handle_that_is_attached_to_nothing_answers_einval(void **state)
{
    unsigned kind, fds = open_fds();
    struct ipc_notify n;

    (void)state;
    IS(ipc_notify_attach(&n, NULL, 64, IPC_NOTIFY_FUTEX, NULL), -EINVAL);
    expect_nothing_done(&n);
    room->bell[0].kind = 99;
    IS(ipc_notify_attach(&n, &room->bell[0], 64, IPC_NOTIFY_EVENTFD, NULL), -EPROTO);
    expect_nothing_done(&n);
    for (kind = 0; kind < KINDS; kind++) {
        make_bell(0, kind);
        attach(&n, &room->bell[0], NULL);
        if (kind == IPC_NOTIFY_EVENTFD)
            MUST(ipc_notify_fd(&n) >= 0);
        ipc_notify_detach(&n);
        ipc_notify_detach(&n);
        expect_nothing_done(&n);
    }
    IS(open_fds(), fds);
}

/* Zeroed handles are like those of a ring that was refused. In a process of its own, because a
 * wrong call would use descriptor 0. */
static void uses_a_zeroed_handle(struct child *up, void *arg)
{
    struct msgs_consumer c;
    struct ipc_notify n;
    int p[2];
    char byte = 'x';

    (void)up, (void)arg;
    MUST(pipe2(p, O_NONBLOCK) == 0 && dup2(p[0], 0) == 0 && write(p[1], &byte, 1) == 1);
    memset(&n, 0, sizeof n);
    expect_nothing_done(&n);
    IS(msgs_consumer_attach(&c, NULL, 0, NULL), -EINVAL);
    expect_nothing_done(msgs_consumer_bell(&c));
    MUST(fcntl(0, F_GETFD) >= 0);
    IS(read(0, &byte, 1), 1);
}

static void zeroed_handle_touches_no_descriptor(void **state)
{
    (void)state;
    IS(run(uses_a_zeroed_handle, NULL), 0);
}

static void zeroed_memory_is_a_futex_notifier(void **state)
{
    struct ipc_notify n;

    (void)state;
    attach(&n, &room->bell[0], NULL);
    IS(n.kind, IPC_NOTIFY_FUTEX);
    IS(room->bell[0].kind, 0);
    IS(ipc_notify_post(&n), 0);
    IS(ipc_wait(&n, ipc_in_ms(1), 0), -ETIMEDOUT);
    IS(ipc_notify_fd(&n), -EINVAL);
    ipc_notify_detach(&n);
}

static void descriptor_is_for_kinds_that_have_one(void **state)
{
    unsigned kind, fds = open_fds();
    struct ipc_notify n;
    int pair[2];

    (void)state;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (kind = 0; kind < KINDS; kind++) {
        make_bell(0, kind);
        attach(&n, &room->bell[0], NULL);
        if (kind == IPC_NOTIFY_EVENTFD) {
            int fd = ipc_notify_fd(&n);

            MUST(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
            MUST((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
            IS(ipc_notify_fd(&n), fd);
        } else {
            IS(ipc_notify_fd(&n), kind == IPC_NOTIFY_SIGNAL ? -ENOENT : -EINVAL);
            IS(ipc_notify_send_fd(&n, pair[0]), -EINVAL);
            IS(ipc_notify_recv_fd(&n, pair[0], IPC_NOW), -EINVAL);
        }
        if (kind != IPC_NOTIFY_SIGNAL)
            IS(ipc_notify_listen(&n, SIGRTMIN), -EINVAL);
        ipc_notify_detach(&n);
    }
    (void)close(pair[0]);
    (void)close(pair[1]);
    IS(open_fds(), fds);
}

/* ------------------------------------------------------------------ how a wait ends */

static const unsigned policies[][2] = {{0, 0}, {50, 0}, {0, 5}, {1000, 3}};
#define POLICIES (sizeof policies / sizeof *policies)

static void condition_that_holds_is_evaluated_once(void **state)
{
    const int64_t deadlines[] = {INT64_MIN, -1,          IPC_NOW,     1,
                                 1000,      ipc_clock(), IPC_FOREVER, ipc_in_ms(1000)};
    struct ipc_peer me = own_peer(NULL);
    unsigned kind, looks, i;
    struct ipc_notify n;
    size_t d, p;

    (void)state;
    for (kind = 0; kind < KINDS; kind++)
        for (p = 0; p < POLICIES; p++)
            for (d = 0; d < sizeof deadlines / sizeof *deadlines; d++) {
                struct ipc_notify *all[1];
                struct ipc_any any;

                make_bell(0, kind);
                attach(&n, &room->bell[0], d % 2 == 0 ? NULL : &me);
                ipc_notify_policy(&n, policies[p][0], policies[p][1]);
                ipc_notify_watch(&n, 5);
                looks = 0;
                IS(ipc_wait(&n, deadlines[d], (looks++, 1)), 0);
                IS(looks, 1);
                looks = 0;
                IS(ipc_wait(&n, IPC_FOREVER, looks++ == 1), 0); /* asleep after two */
                IS(looks, 2);
                all[0] = &n;
                IS(ipc_any_init(&any, all, 1), 0);
                looks = 0;
                IS(ipc_wait_any(&any, deadlines[d], i, (looks++, 1)), 0);
                IS(looks, 1);
                IS(i, 0);
                looks = 0;
                if (deadlines[d] <= IPC_NOW + 1000) {
                    int end = deadlines[d] == IPC_NOW ? -ETIMEDOUT : -EINVAL;

                    IS(ipc_wait(&n, deadlines[d], (looks++, 0)), end);
                    IS(ipc_wait_any(&any, deadlines[d], i, (looks++, 0)), end);
                    IS(ipc_notify_wait(&n, ipc_notify_prepare(&n), deadlines[d]), end);
                    MUST(looks >= 2);
                }
                ipc_any_close(&any);
                ipc_notify_detach(&n);
            }
}

/* A span in place of a time is refused, and must not be taken for a kernel without futexes. */
static void a_deadline_that_is_no_time_is_refused(void **state)
{
    struct ipc_peer me = own_peer(NULL);
    struct ipc_notify n;
    uint32_t uses;

    (void)state;
    attach_drowsy(&n, &room->bell[0], &me);
    ipc_notify_watch(&n, 5);
    uses = ipc_notify_uses(&n);
    IS(ipc_notify_wait(&n, ipc_notify_prepare(&n), INT64_MIN), -EINVAL);
    IS(ipc_notify_wait(&n, ipc_notify_prepare(&n), -5), -EINVAL);
    IS(ipc_notify_wait(&n, ipc_notify_prepare(&n), 999999999), -EINVAL);
    IS(ipc_notify_wait(&n, ipc_notify_prepare(&n), 1000000000), -ETIMEDOUT);
    IS(ipc_notify_uses(&n), uses);
    ipc_notify_detach(&n);
}

static void deadline_passes_while_asleep(void **state)
{
    static const int64_t ms[] = {1, 3, 4, 5, 9, 12, 30};
    struct ipc_peer me = own_peer(NULL);
    unsigned kind, how, waits = 0;
    struct room *in_segment;
    double worst = 0;
    struct ipc_shm seg;
    size_t i;

    (void)state;
    in_segment = make_room(&seg, name);
    for (kind = 0; kind < KINDS; kind++)
        for (how = 0; how < 3; how++) /* watching nobody, by asking, by descriptors */
            for (i = 0; i < sizeof ms / sizeof *ms; i++, waits++) {
                struct room *r = how == 2 ? in_segment : room;
                struct ipc_notify n;
                int64_t deadline;

                IS(ipc_notify_init(&r->bell[0], BELL, kind), 0);
                attach_drowsy(&n, &r->bell[0],
                              how == 0   ? NULL
                              : how == 1 ? &me
                                         : ipc_shm_peer(&seg));
                ipc_notify_watch(&n, how == 2 ? ipc_shm_peer(&seg)->id : 5);
                deadline = ipc_in_ms(ms[i]);
                IS(ipc_wait(&n, deadline, 0), -ETIMEDOUT);
                MUST(ipc_left_(deadline) == 0);
                worst = larger(worst, ms_since(deadline));
                MUST(ms_since(deadline) < LATE_MS);
                ipc_notify_detach(&n);
            }
    print_message("note: %u deadlines, at most %.2f ms late\n", waits, worst);
    ipc_shm_close(&seg);
}

/* Nobody posts, but the data is there at the deadline. */
static void stores_when_asleep(struct child *up, void *arg)
{
    (void)arg;
    EVENTUALLY(sleeps(up->pid, &room->bell[0], IPC_NOTIFY_ASLEEP_));
    put(&room->word[0], 1);
}

static void data_wins_over_the_deadline(void **state)
{
    unsigned kind;

    (void)state;
    for (kind = 0; kind < KINDS; kind++) {
        unsigned held = 0;
        struct ipc_notify n;
        struct child c;

        make_bell(0, kind);
        attach_drowsy(&n, &room->bell[0], NULL);
        put(&room->word[0], 0);
        c = spawn(stores_when_asleep, NULL);
        IS(ipc_wait(&n, ipc_in_ms(300), get(&room->word[0]) != 0 && ++held), 0);
        IS(held, 1);
        finish(&c);
        ipc_notify_detach(&n);
    }
}

/* ------------------------------------------------------------------ signal handlers */

static struct ipc_notify *handlers_bell; /* posted by the handler, if there is one */
static volatile sig_atomic_t handlers_rc, handlers_errno;

static void handler(int number)
{
    int saved = errno;

    (void)number;
    if (handlers_bell != NULL) {
        put(&room->word[0], get(&room->word[6]));
        errno = 77;
        handlers_rc = ipc_notify_post(handlers_bell);
        handlers_errno = errno;
    }
    put(&room->word[5], get(&room->word[5]) + 1);
    errno = saved;
}

static void catch_signal(int flags)
{
    struct sigaction how;

    memset(&how, 0, sizeof how);
    how.sa_handler = handler;
    how.sa_flags = flags;
    MUST(sigaction(SIGUSR1, &how, NULL) == 0);
}

static void ignore_signal(void)
{
    (void)signal(SIGUSR1, SIG_IGN);
    handlers_bell = NULL;
}

/* Interrupts the parent's sleep again and again, until the parent says stop. */
static void interrupts(struct child *up, void *arg)
{
    uint64_t at_most = *(const uint64_t *)arg, i, seen;

    for (i = 0; i < at_most && get(&room->word[7]) == 0; i++) {
        EVENTUALLY(sleeps(up->pid, &room->bell[0], IPC_NOTIFY_ASLEEP_) || get(&room->word[7]) != 0);
        seen = get(&room->word[5]);
        if (get(&room->word[7]) != 0)
            break;
        MUST(kill(up->pid, SIGUSR1) == 0);
        EVENTUALLY(get(&room->word[5]) != seen);
    }
    if (get(&room->word[7]) == 0) {
        struct ipc_notify n;

        EVENTUALLY(sleeps(up->pid, &room->bell[0], IPC_NOTIFY_ASLEEP_));
        attach(&n, &room->bell[0], NULL);
        put(&room->word[0], 1);
        IS(ipc_notify_post(&n), 0);
    }
}

static void handler_ends_the_wait(void **state)
{
    static const struct {
        int flags, deadline, watch, rc;
    } cases[] = {
        {0, 0, 0, -EINTR},          {0, 1, 0, -EINTR},          {0, 0, 1, -EINTR},
        {0, 1, 1, -EINTR},          {SA_RESTART, 1, 0, -EINTR}, {SA_RESTART, 0, 1, -EINTR},
        {SA_RESTART, 1, 1, -EINTR}, {SA_RESTART, 0, 0, 0}, /* sleeps on until the post */
    };
    struct ipc_peer me = own_peer(NULL);
    unsigned kind;
    size_t i;

    (void)state;
    for (kind = 0; kind < KINDS; kind++)
        for (i = 0; i < sizeof cases / sizeof *cases; i++) {
            uint64_t at_most = cases[i].rc == 0 ? 5 : UINT64_MAX;
            struct ipc_notify n;
            struct child c;
            int rc;

            if (kind == IPC_NOTIFY_SEMAPHORE && cases[i].rc == 0)
                continue; /* uses a time limit, so the kernel does not restart it */
            make_bell(0, kind);
            attach_drowsy(&n, &room->bell[0], &me);
            ipc_notify_watch(&n, cases[i].watch ? 5 : 0);
            catch_signal(cases[i].flags);
            put(&room->word[0], 0);
            put(&room->word[5], 0);
            put(&room->word[7], 0);
            c = spawn(interrupts, &at_most);
            rc = ipc_wait(&n, cases[i].deadline ? ipc_in_ms(LONG_MS) : IPC_FOREVER,
                          get(&room->word[0]) != 0);
            IS(rc, cases[i].rc);
            MUST(get(&room->word[5]) >= (cases[i].rc == 0 ? 5 : 1));
            put(&room->word[7], 1);
            finish(&c);
            ignore_signal();
            ipc_notify_detach(&n);
        }
}

/* Signals at any moment, asleep or not. */
static void signals_each_round(struct child *up, void *arg)
{
    uint64_t round, rounds = *(const uint64_t *)arg;

    for (round = 1; round <= rounds; round++) {
        while (get(&room->word[6]) != round)
            sched_yield();
        if (round % 4 == 0)
            EVENTUALLY(sleeps(up->pid, &room->bell[0], IPC_NOTIFY_ASLEEP_));
        else
            dawdle(chance() % 1000);
        MUST(kill(up->pid, SIGUSR1) == 0);
    }
}

static void post_in_a_handler_wakes_the_waiter_that_it_interrupted(void **state)
{
    uint64_t round, rounds = 400;
    unsigned kind, slept = 0;
    int restart;

    (void)state;
    for (kind = 0; kind < KINDS - 1; kind++) /* not for signals, as the header says */
        for (restart = 0; restart < 2; restart++) {
            struct ipc_notify n;
            struct child c;

            make_bell(0, kind);
            attach_drowsy(&n, &room->bell[0], NULL);
            put(&room->word[6], 0);
            put(&room->word[0], 0);
            handlers_bell = &n;
            catch_signal(restart ? SA_RESTART : 0);
            c = spawn(signals_each_round, &rounds);
            for (round = 1; round <= rounds; round++) {
                put(&room->word[6], round);
                IS(ipc_wait(&n, round % 2 ? IPC_FOREVER : ipc_in_ms(LONG_MS),
                            get(&room->word[0]) == round),
                   0);
                IS(handlers_rc, 0);
                IS(handlers_errno, 77);
                slept += (room->bell[0].word & IPC_NOTIFY_FENCE_) != 0;
            }
            ignore_signal();
            finish(&c);
            ipc_notify_detach(&n);
        }
    MUST(slept > 0);
}

static void post_keeps_errno(void **state)
{
    uint64_t full = UINT64_C(0xfffffffffffffffe);
    struct ipc_notify n;

    (void)state;
    make_bell(0, IPC_NOTIFY_EVENTFD);
    attach(&n, &room->bell[0], NULL);
    MUST(write(ipc_notify_fd(&n), &full, 8) == 8);
    ipc_notify_arm(&n);
    errno = 77;
    IS(ipc_notify_post(&n), 0); /* its write fails: saturated */
    IS(errno, 77);
    ipc_notify_arm(&n);
    IS(ipc_notify_post_one(&n), 0);
    IS(errno, 77);
    ipc_notify_detach(&n);
}

/* ------------------------------------------------------------------ every kind wakes */

struct pingpong {
    unsigned spin, yield;
    uint64_t rounds;
};

static void pongs(struct child *up, void *arg)
{
    const struct pingpong *how = (const struct pingpong *)arg;
    struct room *r = another_map();
    struct ipc_notify ping, pong;
    uint64_t i;

    (void)up;
    attach(&ping, &r->bell[0], NULL);
    attach(&pong, &r->bell[1], NULL);
    ipc_notify_policy(&ping, how->spin, how->yield);
    for (i = 1; i <= how->rounds; i++) {
        IS(ipc_wait(&ping, i % 2 ? IPC_FOREVER : ipc_in_ms(LONG_MS), get(&r->word[0]) == i), 0);
        put(&r->word[1], i);
        IS(i % 3 ? ipc_notify_post(&pong) : ipc_notify_post_one(&pong), 0);
    }
    ipc_notify_detach(&ping);
    ipc_notify_detach(&pong);
}

/* Plays ping-pong on bells 0 and 1, which must be made already. */
static void play(unsigned spin, unsigned yield, uint64_t rounds)
{
    struct pingpong how = {spin, yield, rounds};
    struct ipc_notify ping, pong;
    struct child c;
    uint64_t i;

    put(&room->word[0], 0);
    put(&room->word[1], 0);
    c = spawn(pongs, &how);
    attach(&ping, &room->bell[0], NULL);
    attach(&pong, &room->bell[1], NULL);
    ipc_notify_policy(&pong, spin, yield);
    for (i = 1; i <= rounds; i++) {
        put(&room->word[0], i);
        IS(i % 3 ? ipc_notify_post(&ping) : ipc_notify_post_one(&ping), 0);
        IS(ipc_wait(&pong, i % 2 ? IPC_FOREVER : ipc_in_ms(LONG_MS), get(&room->word[1]) == i), 0);
    }
    finish(&c);
    ipc_notify_detach(&ping);
    ipc_notify_detach(&pong);
}

static void every_kind_wakes_across_addresses(void **state)
{
    unsigned kind;
    size_t p;

    (void)state;
    for (kind = 0; kind < KINDS; kind++)
        for (p = 0; p < POLICIES; p++) {
            make_bell(0, kind);
            make_bell(1, kind);
            play(policies[p][0], policies[p][1], 2000);
        }
}

static int take_token(struct room *r)
{
    uint64_t tokens;

    while ((tokens = get(&r->word[0])) > 0)
        if (ck_pr_cas_64(&r->word[0], tokens, tokens - 1))
            return 1;
    return 0;
}

static void takes_tokens(struct child *up, void *arg)
{
    struct room *r = another_map();
    struct ipc_notify n;

    (void)up, (void)arg;
    attach_drowsy(&n, &r->bell[0], NULL);
    for (;;) {
        IS(ipc_wait(&n, IPC_FOREVER, take_token(r) || get(&r->word[2]) != 0), 0);
        if (get(&r->word[2]) != 0)
            return;
        (void)ck_pr_faa_64(&r->word[1], 1);
    }
}

static void post_one_wakes_one_at_least(void **state)
{
    struct child c[4];
    struct ipc_notify n;
    unsigned kind, i;
    uint64_t done, k;

    (void)state;
    for (kind = 0; kind < KINDS; kind++) {
        make_bell(0, kind);
        memset(room->word, 0, sizeof room->word);
        attach(&n, &room->bell[0], NULL);
        for (i = 0; i < 4; i++)
            c[i] = spawn(takes_tokens, NULL);
        for (done = 1; done <= 300; done++) {
            if (done % 10 == 0)
                for (i = 0; i < 4; i++)
                    EVENTUALLY(sleeps(c[i].pid, &room->bell[0], IPC_NOTIFY_ASLEEP_));
            (void)ck_pr_faa_64(&room->word[0], 1);
            IS(ipc_notify_post_one(&n), 0);
            EVENTUALLY(get(&room->word[1]) == done);
        }
        for (done--; done < 500;) { /* as many posts as sleepers */
            for (i = 0; i < 4; i++)
                EVENTUALLY(sleeps(c[i].pid, &room->bell[0], IPC_NOTIFY_ASLEEP_));
            for (k = 0; k < 4; k++, done++) {
                (void)ck_pr_faa_64(&room->word[0], 1);
                IS(ipc_notify_post_one(&n), 0);
            }
            EVENTUALLY(get(&room->word[1]) == done);
        }
        put(&room->word[2], 1);
        IS(ipc_notify_post(&n), 0);
        for (i = 0; i < 4; i++)
            finish(&c[i]);
        ipc_notify_detach(&n);
    }
}

/* ------------------------------------------------------------------ the semaphore at its limits */

static void full_semaphore_fails_no_post(void **state)
{
    struct ipc_notify n;
    int64_t deadline;
    unsigned i;

    (void)state;
    make_bell(0, IPC_NOTIFY_SEMAPHORE);
    MUST(sem_init(&room->bell[0].u.sem, 1, SEM_VALUE_MAX) == 0);
    attach_drowsy(&n, &room->bell[0], NULL);
    for (i = 0; i < 200; i++) {
        (void)ipc_notify_prepare(&n);
        IS(ipc_notify_post(&n), 0);
        (void)ipc_notify_prepare(&n);
        IS(ipc_notify_post_one(&n), 0);
    }
    deadline = ipc_in_ms(50);
    IS(ipc_wait(&n, deadline, 0), -ETIMEDOUT); /* with a token for every look */
    MUST(ms_since(deadline) < LATE_MS);
    ipc_notify_detach(&n);
}

static void stale_tokens_wake_nobody_for_nothing_for_long(void **state)
{
    struct ipc_notify n;
    unsigned i, looks = 0;

    (void)state;
    make_bell(0, IPC_NOTIFY_SEMAPHORE);
    make_bell(1, IPC_NOTIFY_SEMAPHORE);
    attach_drowsy(&n, &room->bell[0], NULL);
    for (i = 0; i < 1000; i++)
        MUST(sem_post(&room->bell[0].u.sem) == 0);
    IS(ipc_wait(&n, ipc_in_ms(30), (looks++, 0)), -ETIMEDOUT);
    MUST(looks < 100);
    ipc_notify_detach(&n);
    for (i = 0; i < 1000; i++)
        MUST(sem_post(&room->bell[0].u.sem) == 0);
    play(0, 0, 500);
}

static void waits_for_words(struct child *up, void *arg)
{
    struct room *r = another_map();
    uint64_t index = *(const uint64_t *)arg;
    struct ipc_notify n;

    attach_drowsy(&n, &r->bell[0], NULL);
    IS(ipc_wait(&n, IPC_FOREVER, get(&r->word[index]) != 0), 0);
    tell(up, (uint64_t)ipc_clock());
}

/* A sleeper that comes after a post takes no wake from one that slept before it. */
static void late_sleeper_takes_no_wake_from_an_early_one(void **state)
{
    struct ipc_notify n;
    unsigned kind, bad = 0;

    (void)state;
    for (kind = 0; kind < KINDS; kind++) {
        uint64_t first = 0;
        struct child c;
        int64_t then;
        double took;

        make_bell(0, kind);
        put(&room->word[0], 0);
        attach_drowsy(&n, &room->bell[0], NULL);
        c = spawn(waits_for_words, &first);
        EVENTUALLY(sleeps(c.pid, &room->bell[0], IPC_NOTIFY_ASLEEP_));
        stop_child(&c); /* as if it were slow to wake */
        put(&room->word[0], 1);
        IS(ipc_notify_post(&n), 0);
        IS(ipc_wait(&n, ipc_in_ms(30), 0), -ETIMEDOUT); /* the late one */
        then = ipc_clock();
        signal_child(&c, SIGCONT);
        took = (double)((int64_t)hear(&c) - then) / 1e6;
        finish(&c);
        ipc_notify_detach(&n);
        print_message("note: kind %u: woken in %.2f ms behind a late sleeper's back\n", kind, took);
        bad += took > 600;
    }
    IS(bad, 0);
}

static void waits_on_one_processor(struct child *up, void *arg)
{
    pin(0);
    waits_for_words(up, arg);
}

/* One of two sleepers is killed after the kernel has woken it and before it has run. */
static void waiter_killed_as_it_wakes_holds_nobody_up(void **state)
{
    struct ipc_notify n;
    unsigned kind, round, bad = 0;

    (void)state;
    pin(0);
    for (kind = 0; kind < KINDS; kind++) {
        double worst = 0;

        for (round = 0; round < 20 && worst < 600; round++) {
            uint64_t first = 0;
            struct child c[2];
            int64_t then;
            double took;
            int i;

            make_bell(0, kind);
            put(&room->word[0], 0);
            attach(&n, &room->bell[0], NULL);
            for (i = 0; i < 2; i++) {
                c[i] = spawn(waits_on_one_processor, &first);
                EVENTUALLY(sleeps(c[i].pid, &room->bell[0], IPC_NOTIFY_ASLEEP_));
            }
            put(&room->word[0], 1);
            then = ipc_clock();
            IS(ipc_notify_post(&n), 0);
            signal_child(&c[0], SIGKILL);
            (void)reap(&c[0]);
            took = (double)((int64_t)hear(&c[1]) - then) / 1e6;
            finish(&c[1]);
            ipc_notify_detach(&n);
            worst = larger(worst, took);
        }
        print_message("note: kind %u: the other was woken in %.2f ms at most\n", kind, worst);
        bad += worst > (kind == IPC_NOTIFY_SEMAPHORE ? 2500 : 600);
    }
    pin(-1);
    IS(bad, 0);
}

/* ------------------------------------------------------------------ no wake is missed */

struct stress {
    uint64_t waits;
    unsigned spin, kind;
    int one_core;
};

static void stress_side(struct room *r, unsigned me, const struct stress *how)
{
    struct ipc_notify in, out;
    uint64_t i;

    pin(how->one_core ? 0 : (int)me);
    attach(&in, &r->bell[me], NULL);
    attach(&out, &r->bell[1 - me], NULL);
    ipc_notify_policy(&in, how->spin, 0);
    for (i = 1; i <= how->waits; i++) {
        if (me == 0) {
            put(&r->word[64], i);
            IS(ipc_notify_post(&out), 0);
        }
        if (chance() % 8 == 0)
            dawdle(chance() % 64);
        IS(ipc_wait(&in, IPC_FOREVER, get(&r->word[64 + 64 * (1 - me)]) == i), 0);
        if (me == 1) {
            if (chance() % 8 == 0)
                dawdle(chance() % 64);
            put(&r->word[128], i);
            IS(ipc_notify_post(&out), 0);
        }
    }
    ipc_notify_detach(&in);
    ipc_notify_detach(&out);
}

static void stresses(struct child *up, void *arg)
{
    (void)up;
    stress_side(another_map(), 1, (const struct stress *)arg);
}

static void no_wake_is_missed(void **state)
{
    static const struct stress cases[] = {
        {0, 0, IPC_NOTIFY_FUTEX, 1},      {0, 30, IPC_NOTIFY_FUTEX, 1},
        {0, 0, IPC_NOTIFY_FUTEX, 0},      {0, 30, IPC_NOTIFY_FUTEX, 0},
        {0, 300, IPC_NOTIFY_FUTEX, 0},    {0, 0, IPC_NOTIFY_SEMAPHORE, 1},
        {0, 30, IPC_NOTIFY_SEMAPHORE, 0}, {0, 1000, IPC_NOTIFY_EVENTFD, 0},
    };
    const char *given = getenv("IPC_NOTIFY_WAITS");
    uint64_t waits = given != NULL ? strtoull(given, NULL, 10) : 1000000, done = 0;
    int64_t start = ipc_clock();
    size_t i;

    (void)state;
    (void)alarm(HANG_S + (unsigned)(waits / 10000)); /* for the long test */
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stress how = cases[i];
        int64_t then = ipc_clock();
        struct child c;

        how.waits = waits / (2 * sizeof cases / sizeof *cases) + 1; /* two sides */
        memset(room, 0, sizeof *room);
        make_bell(0, how.kind);
        make_bell(1, how.kind);
        c = spawn(stresses, &how);
        stress_side(room, 0, &how);
        finish(&c);
        done += 2 * how.waits;
        print_message("note: kind %u, %d core(s), spin %u: %.2f us a wait\n", how.kind,
                      how.one_core ? 1 : 2, how.spin, ms_since(then) * 1e3 / (2 * how.waits));
    }
    pin(-1);
    print_message("note: %llu waits in %.1f s\n", (unsigned long long)done, ms_since(start) / 1e3);
}

/* ------------------------------------------------------------------ which side fences */

static uint32_t fence_bits(void)
{
    return ck_pr_load_32(&room->bell[0].word) & (IPC_NOTIFY_FENCE_ | IPC_NOTIFY_FIXED_);
}

static void fence_turns_to_the_posters_and_back(void **state)
{
    struct ipc_notify n, m;
    uint32_t key;
    unsigned i, round;

    (void)state;
    attach_drowsy(&n, &room->bell[0], NULL);
    attach_drowsy(&m, &room->bell[0], NULL);
    SKIP_IF((ipc_notify_uses(&n) & IPC_USES_MEMBARRIER) == 0, "no membarrier here");
    IS(fence_bits(), 0);
    IS(ipc_notify_post(&m), 0);
    IS(fence_bits(), 0);
    for (round = 0; round < 3; round++) {
        uint32_t count = room->bell[0].word;

        key = ipc_notify_prepare(&n);
        IS(key, room->bell[0].word);
        IS(fence_bits(), IPC_NOTIFY_FENCED_);
        MUST((key & IPC_NOTIFY_ASLEEP_) != 0);
        IS(ipc_notify_prepare(&n), key);
        IS(ipc_notify_post(&m), 0); /* clears the flag */
        IS(room->bell[0].word & IPC_NOTIFY_SLEEPERS_, 0);
        MUST(room->bell[0].word != count);
        IS(ipc_notify_wait(&n, key, ipc_in_ms(LONG_MS)), 0);
        for (i = 1; i < IPC_NOTIFY_QUIET_; i++)
            IS(ipc_notify_post(&m), 0);
        IS(fence_bits(), IPC_NOTIFY_FENCED_); /* not yet */
        if (round == 1) {                     /* a sleeper in between: the count restarts */
            (void)ipc_notify_prepare(&n);
            for (i = 0; i < IPC_NOTIFY_QUIET_; i++)
                IS(ipc_notify_post(&m), 0);
            IS(fence_bits(), IPC_NOTIFY_FENCED_);
        }
        count = room->bell[0].word / IPC_NOTIFY_COUNT_;
        IS(ipc_notify_post(&m), 0);
        IS(fence_bits(), 0);
        IS(room->bell[0].word / IPC_NOTIFY_COUNT_, count + 1);
    }
    /* FENCING alone: the next waiter calls membarrier too, and turns the word. */
    ck_pr_store_32(&room->bell[0].word, IPC_NOTIFY_FENCING_);
    (void)ipc_notify_prepare(&m);
    IS(fence_bits(), IPC_NOTIFY_FENCED_);
    ipc_notify_detach(&n);
    ipc_notify_detach(&m);
}

static void has_no_membarrier(struct child *up, void *arg)
{
    struct ipc_notify n;

    (void)arg;
    if (deny(1, ENOSYS) != 0)
        _exit(UNABLE);
    attach_drowsy(&n, &room->bell[0], NULL);
    IS(ipc_notify_uses(&n) & IPC_USES_MEMBARRIER, 0);
    (void)ipc_notify_prepare(&n);
    tell(up, 0);
    (void)hear(up);
}

static void process_without_membarrier_fixes_the_fence(void **state)
{
    struct ipc_notify n;
    struct child c;
    unsigned i;

    (void)state;
    SKIP_IF(is_emulated(), "may not install a seccomp filter");
    attach_drowsy(&n, &room->bell[0], NULL);
    IS(fence_bits() & IPC_NOTIFY_FIXED_, 0);
    c = spawn(has_no_membarrier, NULL);
    (void)hear(&c);
    MUST((fence_bits() & IPC_NOTIFY_FIXED_) != 0 && (fence_bits() & IPC_NOTIFY_FENCE_) != 0);
    for (i = 0; i < 3 * IPC_NOTIFY_QUIET_; i++)
        IS(ipc_notify_post(&n), 0);
    MUST((fence_bits() & IPC_NOTIFY_FIXED_) != 0 && (fence_bits() & IPC_NOTIFY_FENCE_) != 0);
    (void)ipc_notify_prepare(&n);
    for (i = 0; i < 3 * IPC_NOTIFY_QUIET_; i++)
        IS(ipc_notify_post(&n), 0);
    MUST((fence_bits() & IPC_NOTIFY_FIXED_) != 0 && (fence_bits() & IPC_NOTIFY_FENCE_) != 0);
    tell(&c, 0);
    finish(&c);
    ipc_notify_detach(&n);
}

/* membarrier interrupts each processor on which a process runs that has attached to any notifier:
 * here it is denied, so that an attach that calls it learns of that. */
static void attaches_without_interrupting(struct child *up, void *arg)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPC_NOTIFY_REGISTER_, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof f / sizeof *f, f};
    struct ipc_notify n;

    (void)up;
    (void)arg;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(UNABLE);
    attach_drowsy(&n, &room->bell[0], NULL);
    MUST((ipc_notify_uses(&n) & IPC_USES_MEMBARRIER) != 0);
    IS(fence_bits(), 0);
    (void)ipc_notify_prepare(&n); /* and this one learns that there is none */
    IS(ipc_notify_uses(&n) & IPC_USES_MEMBARRIER, 0);
    MUST((fence_bits() & IPC_NOTIFY_FIXED_) != 0);
}

static void attaching_interrupts_no_other_process(void **state)
{
    struct ipc_notify n;
    int rc;

    (void)state;
    attach(&n, &room->bell[0], NULL);
    SKIP_IF((ipc_notify_uses(&n) & IPC_USES_MEMBARRIER) == 0, "no membarrier here");
    rc = run(attaches_without_interrupting, NULL);
    SKIP_IF(rc == UNABLE, "may not install a seccomp filter");
    IS(rc, 0);
    ipc_notify_detach(&n);
}

/* ------------------------------------------------------------------ all of them */

static int run_all(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(bad_memory_is_refused),
        TEST(handle_that_is_attached_to_nothing_answers_einval),
        TEST(zeroed_handle_touches_no_descriptor),
        TEST(zeroed_memory_is_a_futex_notifier),
        TEST(descriptor_is_for_kinds_that_have_one),
        TEST(condition_that_holds_is_evaluated_once),
        TEST(a_deadline_that_is_no_time_is_refused),
        TEST(deadline_passes_while_asleep),
        TEST(data_wins_over_the_deadline),
        TEST(handler_ends_the_wait),
        TEST(post_in_a_handler_wakes_the_waiter_that_it_interrupted),
        TEST(post_keeps_errno),
        TEST(every_kind_wakes_across_addresses),
        TEST(post_one_wakes_one_at_least),
        TEST(full_semaphore_fails_no_post),
        TEST(stale_tokens_wake_nobody_for_nothing_for_long),
        TEST(late_sleeper_takes_no_wake_from_an_early_one),
        TEST(waiter_killed_as_it_wakes_holds_nobody_up),
        TEST(no_wake_is_missed),
        TEST(fence_turns_to_the_posters_and_back),
        TEST(process_without_membarrier_fixes_the_fence),
        TEST(attaching_interrupts_no_other_process),
    };

    return cmocka_run_group_tests_name("ipc_notify", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return run_in_child(run_all, argc, argv);
}
