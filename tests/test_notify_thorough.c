/*
 * Tests of ipc_notify.h that take long: kills at every instruction, missing system calls, meetings of waiter and
 * poster. IPC_NOTIFY_WAITS is how many waits the last makes.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "notify.h"

/* ------------------------------------------------------------------ every kind wakes */

#define CROWD 8u
#define CROWD_ROUNDS 40u

/* One of many processes that sleep for the same condition. */
static void is_one_of_many(uint64_t index)
{
    struct room *r = another_map();
    struct ipc_notify n;
    uint64_t round;

    attach_drowsy(&n, &r->bell[0], NULL);
    for (round = 1; round <= CROWD_ROUNDS; round++) {
        put(&r->word[16 + index], (uint64_t)syscall(SYS_gettid));
        IS(ipc_wait(&n, IPC_FOREVER, get(&r->word[0]) >= round), 0);
        put(&r->word[16 + index], 0);
        (void)ck_pr_faa_64(&r->word[1], 1);
    }
    ipc_notify_detach(&n);
}

static void *thread_of_many(void *index)
{
    is_one_of_many((uint64_t)(uintptr_t)index);
    return NULL;
}

static void half_the_crowd(struct child *up, void *arg)
{
    pthread_t t[CROWD / 2];
    uintptr_t i;

    (void)up, (void)arg;
    for (i = 0; i < CROWD / 2; i++)
        MUST(pthread_create(&t[i], NULL, thread_of_many, (void *)i) == 0);
    for (i = 0; i < CROWD / 2; i++)
        MUST(pthread_join(t[i], NULL) == 0);
}

static void one_of_the_crowd(struct child *up, void *arg)
{
    (void)up;
    is_one_of_many(*(const uint64_t *)arg);
}

/* The look after a second without a post does not count as a wake. */
static void one_post_wakes_all_processes_and_threads(void **state)
{
    struct child c[CROWD / 2 + 1];
    struct ipc_notify n;
    uint64_t i, round;
    unsigned kind, bad = 0;

    (void)state;
    for (kind = 0; kind < KINDS; kind++) {
        double worst = 0;

        make_bell(0, kind);
        memset(room->word, 0, sizeof room->word);
        attach(&n, &room->bell[0], NULL);
        c[0] = spawn(half_the_crowd, NULL);
        for (i = 1; i <= CROWD / 2; i++) {
            uint64_t index = CROWD / 2 - 1 + i;

            c[i] = spawn(one_of_the_crowd, &index);
        }
        for (round = 1; round <= CROWD_ROUNDS; round++) {
            int64_t then;

            for (i = 0; i < CROWD; i++)
                EVENTUALLY(
                    get(&room->word[16 + i]) != 0 &&
                    sleeps((pid_t)get(&room->word[16 + i]), &room->bell[0], IPC_NOTIFY_ASLEEP_));
            put(&room->word[0], round);
            then = ipc_clock();
            IS(ipc_notify_post(&n), 0);
            EVENTUALLY(get(&room->word[1]) == round * CROWD);
            worst = larger(worst, ms_since(then));
        }
        for (i = 0; i <= CROWD / 2; i++)
            finish(&c[i]);
        ipc_notify_detach(&n);
        print_message("note: kind %u: one post woke %u sleepers within %.2f ms\n", kind, CROWD,
                      worst);
        bad += worst > 900;
    }
    IS(bad, 0);
}

static struct ipc_notify inherited; /* by fork */

/* ------------------------------------------------------------------ killed at every instruction */

/* The instructions after which a child is killed. The first round runs to the end, to count them;
 * then there is a kill every `stride` instructions. */
struct points {
    unsigned n, stride, made, tried;
};
static const struct points first_point = {UINT_MAX, 0, 0, 0};

/* Runs a traced child for n steps. Returns 1 if it is stopped there, 0 if it ended its operation or
 * fell asleep before that; *blocked tells which. */
static int step(const struct child *c, struct points *p, int *blocked)
{
    unsigned i;
    int status;

    *blocked = 0;
    MUST(waitpid(c->pid, &status, WUNTRACED) == c->pid);
    if (WIFEXITED(status)) {
        forget(c);
        IS(WEXITSTATUS(status), UNABLE);
        SKIP_IF(1, "may not trace");
    }
    MUST(ptrace(PTRACE_SETOPTIONS, c->pid, NULL, (void *)(long)PTRACE_O_EXITKILL) == 0);
    for (i = 0; i < p->n; i++) {
        pid_t got;

        MUST(ptrace(PTRACE_SINGLESTEP, c->pid, NULL, NULL) == 0);
        while ((got = waitpid(c->pid, &status, WNOHANG)) == 0)
            if (rests(c->pid)) {
                got = waitpid(c->pid, &status, WNOHANG);
                if (got != 0 || !rests(c->pid))
                    continue;
                p->made = i;
                *blocked = 1;
                return 0;
            }
        MUST(got == c->pid);
        p->made = i;
        if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP) { /* the end, see below */
            return 0;
        }
        MUST(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    }
    p->made = p->n;
    return 1;
}

/* A stride that gives some 100 kills; 1 in the long run. */
static unsigned stride_of(unsigned instructions)
{
    const char *given = getenv("IPC_NOTIFY_WAITS");

    return given != NULL && strtoull(given, NULL, 10) >= 10000000 ? 1 : instructions / 100 + 1;
}

static int next_point(struct points *p, int more)
{
    if (p->n == UINT_MAX) {
        p->stride = stride_of(p->made);
        p->n = 0;
        return 1;
    }
    p->tried++;
    p->n += p->stride;
    return more;
}

/* For the next tests: a segment with a room, inherited by all processes. */
static struct ipc_shm shm;

/* Sleeps again and again, on order. */
static void sleeps_on_order(struct child *up, void *arg)
{
    struct ipc_notify n;

    (void)arg;
    attach_drowsy(&n, &hall->bell[0], ipc_shm_peer(&shm));
    for (;;) {
        uint64_t word = hear(up), value = hear(up), whom = hear(up);

        ipc_notify_watch(&n, whom);
        tell(up,
             (uint64_t)(int64_t)ipc_wait(&n, ipc_in_ms(LONG_MS), get(&hall->word[word]) == value));
    }
}

static void polls_on_order(struct child *up, void *arg)
{
    struct ipc_notify n = inherited;
    struct pollfd p = {ipc_notify_fd(&n), POLLIN, 0};

    (void)arg;
    for (;;) {
        uint64_t word = hear(up), value = hear(up);

        (void)hear(up);
        for (;;) {
            ipc_notify_arm(&n);
            if (get(&hall->word[word]) == value)
                break;
            IS(poll(&p, 1, LONG_MS), 1);
            ipc_notify_drain(&n);
        }
        tell(up, 0);
    }
}

/* Stores, posts, and stops once more when it is done. */
static void posts_traced(struct child *up, void *arg)
{
    uint64_t round = *(const uint64_t *)arg;
    struct ipc_notify n;

    (void)up;
    if (hall->bell[0].kind == IPC_NOTIFY_EVENTFD)
        n = inherited;
    else
        attach(&n, &hall->bell[0], ipc_shm_peer(&shm));
    put(&hall->word[2], ipc_shm_peer(&shm)->id);
    be_traced();
    put(&hall->word[0], round);
    (void)ipc_notify_post(&n);
    (void)raise(SIGSTOP);
}

enum { WATCHED, WATCHED_LONG, ANOTHER_POSTS, EVENT_LOOP };

/* Kills a poster after every number of instructions. */
static void kill_posters(unsigned kind, int how)
{
    uint32_t flag = how == WATCHED_LONG ? IPC_NOTIFY_DOZING_
                    : how == EVENT_LOOP ? IPC_NOTIFY_ARMED_
                                        : IPC_NOTIFY_ASLEEP_;
    struct points p = first_point;
    struct ipc_notify second;
    struct child sleeper;
    uint64_t round = 0;
    unsigned stored = 0;
    int more, blocked;

    hall = make_room(&shm, name);
    IS(ipc_notify_init(&hall->bell[0], BELL, kind), 0);
    if (how == EVENT_LOOP) {
        attach(&inherited, &hall->bell[0], NULL);
        MUST(ipc_notify_fd(&inherited) >= 0);
        second = inherited;
    } else {
        attach(&second, &hall->bell[0], ipc_shm_peer(&shm));
    }
    sleeper = spawn(how == EVENT_LOOP ? polls_on_order : sleeps_on_order, NULL);
    do {
        struct child c;
        int rc;

        round++;
        put(&hall->word[2], 0);
        c = spawn(posts_traced, &round);
        EVENTUALLY(get(&hall->word[2]) != 0);
        order(&sleeper, how >= ANOTHER_POSTS, round,
              how >= ANOTHER_POSTS ? 0 : get(&hall->word[2]));
        EVENTUALLY(sleeps(sleeper.pid, &hall->bell[0], flag));
        more = step(&c, &p, &blocked);
        MUST(!blocked);
        kill_child(&c);
        if (how >= ANOTHER_POSTS) {
            put(&hall->word[1], round);
            IS(ipc_notify_post(&second), 0);
        }
        rc = (int)(int64_t)hear(&sleeper);
        if (how >= ANOTHER_POSTS || get(&hall->word[0]) == round) {
            stored++;
            IS(rc, 0);
        } else {
            IS(rc, -EOWNERDEAD);
        }
    } while (next_point(&p, more));
    MUST(stored > 0 && p.tried > 20);
    kill_child(&sleeper);
    ipc_notify_detach(&second);
    ipc_shm_close(&shm);
    IS(ipc_shm_unlink(name), 0);
    print_message("note: kind %u, %s: poster killed at %u points of %u\n", kind,
                  how == WATCHED        ? "watched"
                  : how == WATCHED_LONG ? "watched, long asleep"
                  : how == EVENT_LOOP   ? "event loop, another posts"
                                        : "another posts",
                  p.tried, p.made);
}

static void poster_killed_at_any_instruction_is_told_to_who_watches(void **state)
{
    (void)state;
    kill_posters(IPC_NOTIFY_FUTEX, WATCHED);
    kill_posters(IPC_NOTIFY_FUTEX, WATCHED_LONG);
    kill_posters(IPC_NOTIFY_SEMAPHORE, WATCHED);
}

static void poster_killed_at_any_instruction_leaves_the_wake_to_the_next(void **state)
{
    (void)state;
    kill_posters(IPC_NOTIFY_FUTEX, ANOTHER_POSTS);
    kill_posters(IPC_NOTIFY_SEMAPHORE, ANOTHER_POSTS);
    kill_posters(IPC_NOTIFY_EVENTFD, EVENT_LOOP);
}

static void waits_traced(struct child *up, void *arg)
{
    struct ipc_notify n;

    (void)up, (void)arg;
    attach_drowsy(&n, &hall->bell[0], NULL);
    be_traced();
    (void)ipc_wait(&n, IPC_FOREVER, 0);
}

static void kill_waiters(unsigned kind)
{
    struct points p = first_point;
    struct ipc_notify poster;
    struct child sleeper;
    uint64_t round = 0;
    int more, blocked = 0;

    hall = make_room(&shm, name);
    IS(ipc_notify_init(&hall->bell[0], BELL, kind), 0);
    attach(&poster, &hall->bell[0], ipc_shm_peer(&shm));
    sleeper = spawn(sleeps_on_order, NULL);
    do {
        struct child c;

        round++;
        c = spawn(waits_traced, NULL);
        more = step(&c, &p, &blocked);
        if (round % 2 == 0) { /* another sleeper comes before or after the death */
            order(&sleeper, 0, round, 0);
            EVENTUALLY(sleeps(sleeper.pid, &hall->bell[0], IPC_NOTIFY_ASLEEP_));
            kill_child(&c);
        } else {
            kill_child(&c);
            order(&sleeper, 0, round, 0);
            EVENTUALLY(sleeps(sleeper.pid, &hall->bell[0], IPC_NOTIFY_ASLEEP_));
        }
        put(&hall->word[0], round);
        IS(ipc_notify_post(&poster), 0);
        IS(hear(&sleeper), 0);
    } while (next_point(&p, more));
    MUST(blocked && p.tried > 20);
    kill_child(&sleeper);
    ipc_notify_detach(&poster);
    ipc_shm_close(&shm);
    IS(ipc_shm_unlink(name), 0);
    print_message("note: kind %u: waiter killed at %u points of %u\n", kind, p.tried, p.made);
}

static void waiter_killed_at_any_instruction_holds_nobody_up(void **state)
{
    (void)state;
    kill_waiters(IPC_NOTIFY_FUTEX);
    kill_waiters(IPC_NOTIFY_SEMAPHORE);
}

/* ------------------------------------------------------------------ a ring without bells */

/* Like a program built without ipc_notify.h, it never touches a bell. */
static void uses_the_plain_ring(struct child *up, void *arg)
{
    struct ipc_spsc_producer out;
    struct ipc_spsc_consumer in;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    struct message m;
    uint64_t i;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_shm_find(&seg, "ring", IPC_SPSC_TYPE, &o), 0);
    if (arg == NULL)
        IS(ipc_spsc_producer_attach(&out, o.mem, o.size, sizeof m, ipc_shm_peer(&seg)), 0);
    else
        IS(ipc_spsc_consumer_attach(&in, o.mem, o.size, sizeof m, ipc_shm_peer(&seg)), 0);
    tell(up, 0);
    for (i = 1; i <= 3; i++) {
        m.x = i;
        (void)hear(up);
        EVENTUALLY(rests(up->pid));
        (void)usleep(30000); /* so that it is long asleep; nothing depends on it */
        if (arg == NULL)
            IS(ipc_spsc_push(&out, &m, sizeof m), 0);
        else
            IS(ipc_spsc_pop(&in, &m, sizeof m), 0);
        tell(up, (uint64_t)ipc_clock());
    }
    (void)hear(up);
}

static void plain_peer_that_wakes_nobody_is_looked_at(void **state)
{
    unsigned bad = 0;
    uint64_t i;
    int consumer;

    (void)state;
    for (consumer = 0; consumer < 2; consumer++) {
        struct msgs_producer out;
        struct msgs_consumer in;
        struct message m = {0};
        double worst = 0;
        struct child c;

        IS(ipc_shm_create(&shm, name, 64 << 10), 0);
        IS(msgs_producer_create(&out, &shm, "ring", 2), 0);
        if (consumer) {
            while (msgs_send(&out, &m, IPC_NOW) == 0)
                ;
        } else {
            msgs_producer_detach(&out);
            IS(msgs_consumer_open(&in, &shm, "ring"), 0);
        }
        c = spawn(uses_the_plain_ring, consumer ? &m : NULL);
        (void)hear(&c);
        for (i = 1; i <= 3; i++) {
            double took;
            int rc;

            tell(&c, 0);
            rc = consumer ? msgs_send(&out, &m, ipc_in_ms(LONG_MS))
                          : msgs_recv(&in, &m, ipc_in_ms(LONG_MS));
            took = (double)ipc_clock() / 1e6;
            took -= (double)(int64_t)hear(&c) / 1e6;
            if (rc == 0 && !consumer)
                IS(m.x, i);
            worst = larger(worst, took);
            bad += rc != 0 || took > 2500; /* it looks once a second */
        }
        print_message("note: plain %s seen within %.2f ms\n", consumer ? "consumer" : "producer",
                      worst);
        kill_child(&c);
        if (consumer)
            msgs_producer_detach(&out);
        else
            msgs_consumer_detach(&in);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
    IS(bad, 0);
}

/* ------------------------------------------------------------------ missing system calls */

enum { NO_MEMBARRIER, NO_WAITV, NO_FUTEX, NO_EVENTFD, NO_SIGNALFD, NO_PIDFD };

struct lacking {
    uint32_t which;
    int with;
    int late;     /* denied after attach */
    int one_side; /* the partner has all calls */
};

/* Answers posts on bell 0 by bell 1, then posts bell 2, then dies. */
static void partner(struct child *up, void *arg)
{
    const struct lacking *how = (const struct lacking *)arg;
    struct ipc_notify n[3];
    struct ipc_shm seg;
    struct room *r;
    uint64_t i;

    if (how != NULL)
        IS(deny(how->which, how->with), 0);
    r = find_room(&seg);
    for (i = 0; i < 3; i++)
        attach_drowsy(&n[i], &r->bell[i], ipc_shm_peer(&seg));
    tell(up, ipc_shm_peer(&seg)->id);
    for (i = 1; i <= 30; i++) {
        IS(ipc_wait(&n[0], ipc_in_ms(LONG_MS), get(&r->word[0]) == i), 0);
        put(&r->word[1], i);
        IS(ipc_notify_post(&n[1]), 0);
    }
    (void)hear(up); /* for wait_any */
    EVENTUALLY(rests(up->pid));
    put(&r->word[2], 1);
    IS(ipc_notify_post(&n[2]), 0);
    (void)hear(up);
    EVENTUALLY(sleeps(up->pid, &r->bell[1], IPC_NOTIFY_ASLEEP_));
    put(&r->word[WHEN], (uint64_t)ipc_clock());
    (void)kill(getpid(), SIGKILL);
}

/* Uses everything once, in a process of one thread that lacks some calls. */
static void works_without(struct child *up, void *arg)
{
    const struct lacking *how = (const struct lacking *)arg;
    struct ipc_notify n[3], *all[2], event, alarm_bell;
    struct ipc_any any;
    struct pollfd p;
    struct ipc_shm seg;
    struct room *r = find_room(&seg);
    struct child c;
    uint64_t i, id;
    unsigned k;

    block_real_time_signals();
    IS(ipc_notify_init(&r->bell[3], BELL, IPC_NOTIFY_EVENTFD), 0);
    IS(ipc_notify_init(&r->bell[4], BELL, IPC_NOTIFY_SIGNAL), 0);
    /* A partner that is started before the filter does not inherit it. */
    c = spawn(partner, how->one_side ? NULL : arg);
    if (!how->late && deny(how->which, how->with) != 0)
        _exit(UNABLE);
    for (i = 0; i < 3; i++)
        attach_drowsy(&n[i], &r->bell[i], ipc_shm_peer(&seg));
    attach(&event, &r->bell[3], ipc_shm_peer(&seg));
    attach(&alarm_bell, &r->bell[4], ipc_shm_peer(&seg));
    if (how->late) {
        MUST(ipc_notify_fd(&event) >= 0);
        IS(ipc_notify_listen(&alarm_bell, SIGRTMIN), 0);
        IS(ipc_notify_target(&alarm_bell, getpid(), SIGRTMIN), 0);
        if (deny(how->which, how->with) != 0)
            _exit(UNABLE);
    }
    id = hear(&c);
    for (i = 1; i <= 30; i++) {
        put(&r->word[0], i);
        IS(ipc_notify_post(&n[0]), 0);
        IS(ipc_wait(&n[1], ipc_in_ms(LONG_MS), get(&r->word[1]) == i), 0);
    }

    /* A descriptor. */
    p.fd = ipc_notify_fd(&event);
    p.events = POLLIN;
    MUST(p.fd >= 0);
    for (i = 0; i < 3; i++) {
        ipc_notify_arm(&event);
        IS(poll(&p, 1, 0), 0);
        IS(ipc_notify_post(&event), 0);
        IS(poll(&p, 1, 0), 1);
        ipc_notify_drain(&event);
        IS(poll(&p, 1, 0), 0);
    }

    /* A signal. */
    if (!how->late) {
        IS(ipc_notify_listen(&alarm_bell, SIGRTMIN), 0);
        IS(ipc_notify_target(&alarm_bell, getpid(), SIGRTMIN), 0);
    }
    for (i = 0; i < 3; i++) {
        struct timespec soon = {0, 0};
        sigset_t set;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGRTMIN);
        ipc_notify_arm(&alarm_bell);
        IS(ipc_notify_post(&alarm_bell), 0);
        if (ipc_notify_fd(&alarm_bell) >= 0)
            ipc_notify_drain(&alarm_bell);
        else
            IS(sigtimedwait(&set, NULL, &soon), SIGRTMIN);
        MUST(sigtimedwait(&set, NULL, &soon) < 0);
    }
    if ((how->which >> NO_SIGNALFD & 1) != 0 && !how->late)
        IS(ipc_notify_fd(&alarm_bell), -ENOENT);

    /* Any of two. */
    all[0] = &n[1];
    all[1] = &n[2];
    IS(ipc_any_init(&any, all, 2), 0);
    tell(&c, 0);
    IS(ipc_wait_any(&any, ipc_in_ms(LONG_MS), k, k == 1 && get(&r->word[2]) != 0), 0);
    IS(k, 1);
    IS(ipc_wait_any(&any, ipc_in_ms(15), k, 0), -ETIMEDOUT);
    ipc_any_close(&any);

    /* A death. */
    ipc_notify_watch(&n[1], id);
    tell(&c, 0);
    IS(ipc_wait(&n[1], ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
    MUST(since_death(r) < LATE_MS);
    was_killed(&c);

    tell(up, (uint64_t)(since_death(r) * 1000));
    tell(up, ipc_notify_uses(&n[1]) | (ipc_notify_uses(&event) & IPC_USES_EVENTFD) |
                 (ipc_notify_uses(&alarm_bell) & IPC_USES_PIDFD));
    for (i = 0; i < 3; i++)
        ipc_notify_detach(&n[i]);
    ipc_notify_detach(&event);
    ipc_notify_detach(&alarm_bell);
    ipc_shm_close(&seg);
}

static int try_without(struct lacking how, uint32_t *uses, double *death)
{
    struct child c;
    int rc;

    hall = make_room(&shm, name);
    c = spawn(works_without, &how);
    *death = (double)hear(&c) / 1000;
    *uses = (uint32_t)hear(&c);
    rc = result(&c);
    ipc_shm_close(&shm);
    IS(ipc_shm_unlink(name), 0);
    return rc;
}

static void missing_calls_are_replaced(void **state)
{
    struct lacking none = {0, ENOSYS, 0, 0};
    uint32_t full, uses, which;
    unsigned runs = 0, late;
    double death, worst = 0;
    int with;

    (void)state;
    {
        struct child c = spawn(works_without, &none);

        hall = make_room(&shm, name); /* the child waits for it */
        death = (double)hear(&c);
        full = (uint32_t)hear(&c);
        SKIP_IF(result(&c) == UNABLE, "may not install a seccomp filter");
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
    for (with = 0; with < 2; with++)
        for (late = 0; late < 2; late++)
            for (which = 0; which <= CALLS; which++) {
                uint32_t bits = which < CALLS ? UINT32_C(1) << which : (1u << CALLS) - 1;
                struct lacking how = {bits, with ? EPERM : ENOSYS, (int)late,
                                      (int)(which + late) % 3 == 0};
                uint32_t lost = 0;
                size_t i;

                if ((bits >> NO_FUTEX & 1) != 0) { /* on one side only: see the next test */
                    how.which |= 1u << NO_WAITV;
                    how.one_side = 0;
                }
                IS(try_without(how, &uses, &death), 0);
                for (i = 0; i < CALLS; i++)
                    lost |= how.which >> i & 1 ? calls[i].uses : 0;
                if (how.late) /* the others were made before, or are not asked again */
                    lost &= IPC_USES_FUTEX | IPC_USES_PIDFD | IPC_USES_WATCH;
                if (how.late && how.which == 1u << NO_PIDFD)
                    lost &= ~IPC_USES_PIDFD;
                if ((uses & lost) != 0 ||
                    (full & ~lost & ~uses & ~IPC_USES_MEMBARRIER & ~IPC_USES_WAITV) != 0)
                    print_message("note: without %s, %s%s: uses %02x, not %02x\n",
                                  which < CALLS ? calls[which].called : "all of them",
                                  strerror(how.with), late ? ", late" : "", uses, full & ~lost);
                MUST((uses & lost) == 0);
                worst = larger(worst, death);
                runs++;
            }
    print_message("note: %u ways to lack calls, %02x with all; deaths told within %.2f ms\n", runs,
                  full, worst);
}

/* A process whose sandbox has no futexes posts to one that sleeps on a futex. */
static void posts_without_futexes(struct child *up, void *arg)
{
    struct room *r = another_map();
    struct ipc_notify n;

    (void)arg;
    if (deny(1u << NO_FUTEX, ENOSYS) != 0)
        _exit(UNABLE);
    attach(&n, &r->bell[0], NULL);
    tell(up, 0);
    EVENTUALLY(sleeps(up->pid, &r->bell[0], IPC_NOTIFY_ASLEEP_));
    put(&r->word[0], 1);
    IS(ipc_notify_post(&n), 0);
}

static void sleeper_is_woken_by_one_without_futexes(void **state)
{
    struct ipc_notify n;
    struct child c;
    int64_t then;
    int rc;

    (void)state;
    attach_drowsy(&n, &room->bell[0], NULL);
    c = spawn(posts_without_futexes, NULL);
    (void)hear(&c);
    then = ipc_clock();
    IS(ipc_wait(&n, ipc_in_ms(2000), get(&room->word[0]) == 1), 0);
    rc = result(&c);
    SKIP_IF(rc == UNABLE, "may not install a seccomp filter");
    IS(rc, 0);
    print_message("note: woken without futexes in %.2f ms\n", ms_since(then));
    MUST(ms_since(then) < 1500);
    ipc_notify_detach(&n);
}

/* ------------------------------------------------------------------ no wake is missed */

struct meeting {
    uint64_t rounds;
    uint32_t deny_waiter, deny_poster;
    int kind; /* of sleep: 0 for ipc_wait, 1 for event loops */
};

/* Posts on a notifier that has seen no sleeper yet, at the moment when the other prepares. Where
 * membarrier is taken for made and was not, some 10 of 25,000 meetings are missed. */
static void meets(struct child *up, void *arg)
{
    const struct meeting *how = (const struct meeting *)arg;
    struct room *r = another_map();
    struct ipc_notify n;
    uint64_t i;

    if (how->deny_poster != 0 && deny(how->deny_poster, ENOSYS) != 0)
        _exit(UNABLE);
    pin(1);
    attach(&n, &r->bell[0], NULL);
    tell(up, 0);
    for (i = 1; i <= how->rounds; i++) {
        while (ck_pr_load_64(&r->word[64]) != i)
            ck_pr_stall();
        dawdle(chance() % 24);
        ck_pr_store_64(&r->word[0], i);
        IS(ipc_notify_post(&n), 0);
        n.quiet = 0; /* rounds are independent */
        put(&r->word[128], i);
    }
}

/* Looks between prepare and sleep. If it does not see the data there, the post must wake it. */
static void prepares(struct child *up, void *arg)
{
    const struct meeting *how = (const struct meeting *)arg;
    struct ipc_notify n;
    struct child c;
    uint64_t i, seen = 0, woken = 0, missed = 0;
    uint32_t start;

    pin(0);
    attach(&n, &room->bell[0], NULL);
    c = spawn(meets, arg);
    if (how->deny_waiter != 0) {
        if (deny(how->deny_waiter, ENOSYS) != 0)
            _exit(UNABLE);
        ipc_notify_detach(&n);
        ipc_notify_probed_ = 0; /* as in a process that was begun without it */
        attach(&n, &room->bell[0], NULL);
    }
    (void)hear(&c);
    start = room->bell[0].word & IPC_NOTIFY_FIXED_;
    for (i = 1; i <= how->rounds; i++) {
        uint32_t key;

        /* As after attach. */
        ck_pr_store_32(&room->bell[0].word,
                       start | (start & IPC_NOTIFY_FIXED_ ? IPC_NOTIFY_FENCING_ : 0));
        put(&room->word[64], i);
        dawdle(chance() % 24);
        key = ipc_notify_prepare(&n);
        if (ck_pr_load_64(&room->word[0]) == i) {
            seen++;
            while (get(&room->word[128]) != i)
                ck_pr_stall();
            continue;
        }
        while (get(&room->word[128]) != i)
            ck_pr_stall();
        if (ck_pr_load_32(&room->bell[0].word) == key)
            missed++;
        else
            woken++;
    }
    finish(&c);
    tell(up, seen);
    tell(up, woken);
    tell(up, missed);
}

static void prepare_and_post_cannot_miss_each_other(void **state)
{
    static const uint32_t denied[][2] = {{0, 0}, {1, 1}, {0, 1}, {1, 0}}; /* bit 0: membarrier */
    unsigned bad = 0;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof denied / sizeof *denied; i++) {
        struct meeting how = {25000, denied[i][0], denied[i][1], 0};
        uint64_t seen, woken, missed;
        struct child c;
        siginfo_t end;

        memset(room, 0, sizeof *room);
        (void)alarm(2 *
                    HANG_S); /* the child has its own alarm, and it needs both processors at once */
        c = spawn(prepares, &how);
        IS(waitid(P_PID, (id_t)c.pid, &end, WEXITED | WNOWAIT), 0);
        seen = hear(&c);
        woken = hear(&c);
        missed = hear(&c);
        IS(result(&c), 0);
        print_message("note: membarrier %s: %llu meetings: %llu saw, %llu woken, %llu missed\n",
                      i == 0   ? "with both"
                      : i == 1 ? "with neither"
                      : i == 2 ? "with the waiter alone"
                               : "with the poster alone",
                      (unsigned long long)how.rounds, (unsigned long long)seen,
                      (unsigned long long)woken, (unsigned long long)missed);
        bad += missed > 0;
    }
    IS(bad, 0);
}

/* ------------------------------------------------------------------ all of them */

static int run_all(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(sleeper_is_woken_by_one_without_futexes),
        TEST(one_post_wakes_all_processes_and_threads),
        TEST(poster_killed_at_any_instruction_is_told_to_who_watches),
        TEST(poster_killed_at_any_instruction_leaves_the_wake_to_the_next),
        TEST(waiter_killed_at_any_instruction_holds_nobody_up),
        TEST(plain_peer_that_wakes_nobody_is_looked_at),
        TEST(missing_calls_are_replaced),
        TEST(prepare_and_post_cannot_miss_each_other),
    };

    return cmocka_run_group_tests_name("ipc_notify, thorough", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return run_in_child(run_all, argc, argv);
}
