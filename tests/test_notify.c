/*
 * Tests of ipc_notify.h, of the calls of ipc_ring.h that sleep, and of how ipc_shm.h reports
 * deaths: every kind, every way a wait ends, kills at every instruction, missing system calls,
 * hostile memory. Real processes map the memory at different addresses; segments have names that
 * start with IPC_TEST_PREFIX. IPC_NOTIFY_WAITS is how many waits the long test makes.
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
#define LONG_MS 30000 /* longer than any working call takes */
#endif
#define HANG_S 240    /* no test takes that long */
#include "harness.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/epoll.h>

#define LATE_MS 2000 /* how far a busy machine may exceed a time of the contract */
#define BELLS 130u
#define BELL sizeof(struct ipc_notify_shared)
#define KINDS 4u
#define TYPE 7u

struct message {
    uint64_t x;
};
IPC_SPSC(msgs, struct message)

/* What the processes of a test share. Words share cache lines, as nothing is measured here. */
struct room {
    struct ipc_notify_shared bell[BELLS];
    uint64_t word[256];
};

static struct room *room;
static int room_fd = -1;

/* ------------------------------------------------------------------ words and time */

static double ms_since(int64_t then)
{
    return (double)(ipc_clock() - then) / 1e6;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static uint64_t get(const uint64_t *word)
{
    uint64_t value = ck_pr_load_64(word);

    ck_pr_fence_load();
    return value;
}

static void put(uint64_t *word, uint64_t value)
{
    ck_pr_fence_store();
    ck_pr_store_64(word, value);
}

/* Random numbers, the same in each run. */
static uint64_t chance(void)
{
    static uint64_t x = 0x9e3779b97f4a7c15u;

    x ^= x << 13; /* xorshift: G. Marsaglia, 2003 */
    x ^= x >> 7;
    x ^= x << 17;
    return x * 0x2545f4914f6cdd1du >> 11;
}

static void dawdle(uint64_t pauses)
{
    while (pauses-- > 0)
        ck_pr_stall();
}

/* ------------------------------------------------------------------ processes */

static int sleeps(pid_t tid, const struct ipc_notify_shared *bell, uint32_t flag)
{
    return (ck_pr_load_32(&bell->word) & flag) != 0 && rests(tid);
}

static cpu_set_t processors; /* that we may use */

/* Pins this process to the k-th of them, or the first if there are fewer; to all if k < 0. */
static void pin(int k)
{
    cpu_set_t one;
    int i, first = -1;

    for (i = 0; k >= 0 && i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &processors)) {
            first = first < 0 ? i : first;
            if (k-- == 0)
                break;
        }
    CPU_ZERO(&one);
    if (first >= 0)
        CPU_SET(i < CPU_SETSIZE ? i : first, &one);
    (void)sched_setaffinity(0, sizeof one, first >= 0 ? &one : &processors);
}

/* ------------------------------------------------------------------ rooms */

/* The test's memory, at an address that this process has not used for it yet. */
static struct room *another_map(void)
{
    void *r = mmap(NULL, sizeof(struct room), PROT_READ | PROT_WRITE, MAP_SHARED, room_fd, 0);

    MUST(r != MAP_FAILED && r != room);
    return (struct room *)r;
}

static void attach(struct ipc_notify *n, struct ipc_notify_shared *bell, const struct ipc_peer *me)
{
    IS(ipc_notify_attach(n, bell, BELL, bell->kind & 255, me), 0);
}

/* Attaches a notifier that sleeps at once, without looking first. */
static void attach_drowsy(struct ipc_notify *n, struct ipc_notify_shared *bell,
                          const struct ipc_peer *me)
{
    attach(n, bell, me);
    ipc_notify_policy(n, 0, 0);
}

static void make_bell(unsigned i, unsigned kind)
{
    IS(ipc_notify_init(&room->bell[i], BELL, kind), 0);
}

/* A room in a segment. */
static struct room *make_room(struct ipc_shm *seg, const char *segment)
{
    struct ipc_shm_object o;

    IS(ipc_shm_create(seg, segment, sizeof(struct room)), 0);
    IS(ipc_shm_make(seg, "room", TYPE, sizeof(struct room), &o), 0);
    IS(ipc_shm_publish(seg, &o), 0);
    return (struct room *)o.mem;
}

static struct room *find_room(struct ipc_shm *seg)
{
    struct ipc_shm_object o;

    IS(ipc_shm_open(seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_shm_find(seg, "room", TYPE, &o), 0);
    return (struct room *)o.mem;
}

/* ------------------------------------------------------------------ fixtures */

static int before(void **state)
{
    void *r;

    (void)next_name(state);
    room_fd = (int)syscall(SYS_memfd_create, "room", 1u); /* MFD_CLOEXEC */
    if (room_fd < 0 || ftruncate(room_fd, sizeof(struct room)) != 0)
        return -1;
    r = mmap(NULL, sizeof(struct room), PROT_READ | PROT_WRITE, MAP_SHARED, room_fd, 0);
    room = (struct room *)r;
    (void)alarm(HANG_S);
    return r == MAP_FAILED ? -1 : 0;
}

static int after(void **state)
{
    (void)alarm(0);
    pin(-1);
    (void)clean_up(state);
    (void)munmap(room, sizeof *room);
    (void)close(room_fd);
    return 0;
}

/* ------------------------------------------------------------------ peers of our own */

static int lives(void *arg, uint64_t id)
{
    (void)id;
    return arg == NULL || *(const int *)arg != 0;
}

static struct ipc_peer own_peer(const int *alive)
{
    struct ipc_peer me;

    memset(&me, 0, sizeof me);
    me.id = 1;
    me.alive = lives;
    me.arg = (void *)(uintptr_t)alive;
    return me;
}

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

/* Every call with a handle that is attached to nothing. */
static void expect_nothing_done(struct ipc_notify *n)
{
    struct ipc_notify *all[1];
    struct ipc_any any;
    unsigned i = 7, looks = 0;

    all[0] = n;
    IS(ipc_notify_post(n), -EINVAL);
    IS(ipc_notify_post_one(n), -EINVAL);
    IS(ipc_notify_prepare(n), 0);
    IS(ipc_notify_wait(n, 0, IPC_FOREVER), -EINVAL);
    IS(ipc_wait(n, IPC_FOREVER, (looks++, 0)), -EINVAL);
    MUST(looks > 0);
    IS(ipc_wait(n, IPC_FOREVER, 1), 0);
    IS(ipc_notify_fd(n), -EINVAL);
    IS(ipc_notify_listen(n, SIGRTMIN), -EINVAL);
    IS(ipc_notify_target(n, getpid(), SIGRTMIN), -EINVAL);
    IS(ipc_notify_send_fd(n, -1), -EINVAL);
    IS(ipc_notify_recv_fd(n, -1, IPC_FOREVER), -EINVAL);
    ipc_notify_arm(n);
    ipc_notify_drain(n);
    ipc_notify_policy(n, 1, 1);
    ipc_notify_watch(n, 5);
    (void)ipc_notify_uses(n);
    IS(ipc_any_init(&any, all, 1), 0);
    looks = 0;
    IS(ipc_wait_any(&any, IPC_FOREVER, i, (looks++, 0)), -EINVAL);
    MUST(looks > 0);
    IS(ipc_wait_any(&any, IPC_FOREVER, i, 1), 0);
    ipc_any_close(&any);
    ipc_notify_detach(n);
    ipc_notify_detach(n);
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

/* ------------------------------------------------------------------ event loops */

#define LOOPED 3000u

static struct ipc_notify inherited; /* by fork */

/* Waits for the descriptor by poll or epoll, as the top of the header shows. */
static void loops(struct ipc_notify *n, struct room *r, int by_epoll)
{
    int fd = ipc_notify_fd(n), loop = -1;
    struct epoll_event event;
    struct pollfd p;
    uint64_t seen = 0;

    MUST(fd >= 0);
    p.fd = fd;
    p.events = POLLIN;
    if (by_epoll) {
        memset(&event, 0, sizeof event);
        event.events = EPOLLIN;
        loop = epoll_create1(EPOLL_CLOEXEC);
        MUST(loop >= 0 && epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) == 0);
    }
    for (;;) {
        uint64_t now = get(&r->word[0]);

        if (now != seen) {
            seen = now;
            put(&r->word[1], seen);
        }
        if (seen == LOOPED)
            break;
        ipc_notify_arm(n);
        if (get(&r->word[0]) != seen)
            continue;
        IS(by_epoll ? epoll_wait(loop, &event, 1, LONG_MS) : poll(&p, 1, LONG_MS), 1);
        ipc_notify_drain(n);
    }
    ipc_notify_drain(n);
    IS(poll(&p, 1, 0), 0);
    if (loop >= 0)
        (void)close(loop);
}

struct looping {
    int socket; /* -1: the descriptor comes by fork */
    int by_epoll;
};

static void block_real_time_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static void polls_a_descriptor(struct child *up, void *arg)
{
    const struct looping *how = (const struct looping *)arg;
    struct room *r = another_map();
    struct ipc_notify n;

    if (how->socket < 0 && ck_pr_load_32(&r->bell[0].kind) == IPC_NOTIFY_EVENTFD) {
        n = inherited;
        tell(up, 0);
    } else {
        attach(&n, &r->bell[0], NULL);
        if (n.kind == IPC_NOTIFY_SIGNAL) {
            block_real_time_signals();
            IS(ipc_notify_listen(&n, SIGRTMIN), 0);
        } else {
            IS(ipc_notify_send_fd(&n, how->socket), 0);
        }
        tell(up, 0);
    }
    loops(&n, r, how->by_epoll);
    ipc_notify_detach(&n);
}

static void post_many(struct ipc_notify *n)
{
    uint64_t i;

    for (i = 1; i <= LOOPED; i++) {
        put(&room->word[0], i);
        IS(i % 2 ? ipc_notify_post(n) : ipc_notify_post_one(n), 0);
        if (i % 3 == 0)
            EVENTUALLY(get(&room->word[1]) == i);
        else
            dawdle(chance() % 200);
    }
}

static void descriptor_passed_on_wakes_event_loops(void **state)
{
    unsigned fds = open_fds();
    struct ipc_notify n;
    struct child c;
    int by_epoll, pair[2];

    (void)state;
    for (by_epoll = 0; by_epoll < 2; by_epoll++) {
        struct looping how;

        MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        how.socket = pair[1];
        how.by_epoll = by_epoll;
        make_bell(0, IPC_NOTIFY_EVENTFD);
        memset(room->word, 0, sizeof room->word);
        c = spawn(polls_a_descriptor, &how);
        attach(&n, &room->bell[0], NULL);
        IS(ipc_notify_recv_fd(&n, pair[0], ipc_in_ms(LONG_MS)), 0);
        MUST((fcntl(ipc_notify_fd(&n), F_GETFD) & FD_CLOEXEC) != 0);
        (void)hear(&c);
        post_many(&n);
        finish(&c);
        ipc_notify_detach(&n);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
    IS(open_fds(), fds);
}

static void inherited_descriptor_wakes_event_loops(void **state)
{
    struct looping how = {-1, 0};
    struct child c;

    (void)state;
    for (; how.by_epoll < 2; how.by_epoll++) {
        make_bell(0, IPC_NOTIFY_EVENTFD);
        memset(room->word, 0, sizeof room->word);
        attach(&inherited, &room->bell[0], NULL);
        MUST(ipc_notify_fd(&inherited) >= 0);
        c = spawn(polls_a_descriptor, &how);
        (void)hear(&c);
        post_many(&inherited);
        finish(&c);
        ipc_notify_detach(&inherited);
    }
}

static void signals_wake_event_loops(void **state)
{
    struct looping how = {-1, 0};
    struct ipc_notify n;
    struct child c;

    (void)state;
    SKIP_IF(is_emulated(), BLOCKS_NO_SIGNALS);
    for (; how.by_epoll < 2; how.by_epoll++) {
        make_bell(0, IPC_NOTIFY_SIGNAL);
        memset(room->word, 0, sizeof room->word);
        attach(&n, &room->bell[0], NULL);
        c = spawn(polls_a_descriptor, &how);
        (void)hear(&c);
        IS(ipc_notify_target(&n, c.pid, SIGRTMIN), 0);
        post_many(&n);
        finish(&c);
        ipc_notify_detach(&n);
    }
}

static void what_is_no_descriptor_is_not_received(void **state)
{
    static const uint64_t hello = IPC_NOTIFY_HELLO_;
    int copies[] = {room_fd, room_fd, room_fd, room_fd};
    unsigned fds = open_fds(), i, types;
    struct ipc_notify n, m;
    int pair[2];

    (void)state;
    SKIP_IF(is_emulated(), KEEPS_DESCRIPTORS);
    make_bell(0, IPC_NOTIFY_EVENTFD);
    attach(&n, &room->bell[0], NULL);
    attach(&m, &room->bell[0], NULL);
    for (types = 0; types < 2; types++) {
        int64_t then, type = types ? SOCK_SEQPACKET : SOCK_STREAM;

        MUST(socketpair(AF_UNIX, (int)type | SOCK_CLOEXEC, 0, pair) == 0);
        IS(ipc_notify_recv_fd(&n, pair[0], IPC_NOW), -ETIMEDOUT);
        IS(ipc_notify_recv_fd(&n, pair[0], -7), -ETIMEDOUT);
        then = ipc_in_ms(30);
        IS(ipc_notify_recv_fd(&n, pair[0], then), -ETIMEDOUT);
        MUST(ipc_left_(then) == 0 && ms_since(then) < LATE_MS);
        for (i = 0; i < 5; i++) {
            send_raw(pair[1], "garbage!", 8, copies, i);
            IS(ipc_notify_recv_fd(&n, pair[0], ipc_in_ms(LONG_MS)), -EPROTO);
            send_raw(pair[1], "short", 5, copies, i);
            IS(ipc_notify_recv_fd(&n, pair[0], ipc_in_ms(LONG_MS)), -EPROTO);
        }
        send_raw(pair[1], &hello, sizeof hello, NULL, 0);
        IS(ipc_notify_recv_fd(&n, pair[0], ipc_in_ms(LONG_MS)), -EPROTO);
        IS(n.fd, -1);
        /* Again and again: the descriptor that it had is closed. */
        for (i = 0; i < 3; i++) {
            IS(ipc_notify_send_fd(&m, pair[1]), 0);
            IS(ipc_notify_recv_fd(&n, pair[0], ipc_in_ms(LONG_MS)), 0);
            IS(open_fds(), fds + 4);
        }
        ipc_notify_arm(&m);
        IS(ipc_notify_post(&n), 0);
        MUST(poll(&(struct pollfd){ipc_notify_fd(&m), POLLIN, 0}, 1, 0) == 1);
        ipc_notify_drain(&m);
        MUST(poll(&(struct pollfd){ipc_notify_fd(&m), POLLIN, 0}, 1, 0) == 0);
        (void)close(pair[1]);
        IS(ipc_notify_recv_fd(&n, pair[0], ipc_in_ms(LONG_MS)), -EPIPE);
        IS(ipc_notify_send_fd(&m, pair[0]), -EPIPE);
        (void)close(pair[0]);
        ipc_notify_detach(&n);
        attach(&n, &room->bell[0], NULL);
        ipc_notify_detach(&m);
        attach(&m, &room->bell[0], NULL);
    }
    IS(open_fds(), fds);
}

static void full_eventfd_neither_blocks_nor_fails_a_post(void **state)
{
    uint64_t full = UINT64_C(0xfffffffffffffffe), i;
    struct pollfd p;
    struct ipc_notify n;

    (void)state;
    make_bell(0, IPC_NOTIFY_EVENTFD);
    attach(&n, &room->bell[0], NULL);
    p.fd = ipc_notify_fd(&n);
    p.events = POLLIN;
    IS(poll(&p, 1, 0), 0);
    for (i = 0; i < 5; i++) {
        unsigned k;

        MUST(write(p.fd, &full, sizeof full) == (ssize_t)sizeof full);
        for (k = 0; k < 100; k++) {
            ipc_notify_arm(&n);
            IS(ipc_notify_post(&n), 0);
        }
        IS(poll(&p, 1, 0), 1);
        ipc_notify_drain(&n);
        IS(poll(&p, 1, 0), 0);
        ipc_notify_drain(&n); /* nothing to drain */
        ipc_notify_arm(&n);
        IS(ipc_notify_post(&n), 0);
        IS(poll(&p, 1, 0), 1);
        ipc_notify_drain(&n);
    }
    (void)close(n.fd); /* as if by other code */
    ipc_notify_arm(&n);
    IS(ipc_notify_post(&n), -EBADF);
    n.fd = n.post_fd = -1;
    ipc_notify_detach(&n);
}

/* ------------------------------------------------------------------ signals as a kind */

static int post_armed(struct ipc_notify *n)
{
    ipc_notify_arm(n);
    return ipc_notify_post(n);
}

static void listens(struct child *up, void *arg)
{
    struct signalfd_siginfo got;
    struct rlimit few = {1, 1};
    struct ipc_notify n;
    uint64_t order;

    (void)arg;
    attach(&n, &room->bell[0], NULL);
    IS(ipc_notify_listen(&n, SIGRTMIN), -EINVAL); /* not blocked */
    block_real_time_signals();
    IS(ipc_notify_listen(&n, SIGUSR1), -EINVAL);
    IS(ipc_notify_listen(&n, 0), -EINVAL);
    IS(ipc_notify_listen(&n, -1), -EINVAL);
    IS(ipc_notify_listen(&n, SIGRTMAX + 1), -EINVAL);
    IS(ipc_notify_listen(&n, 100000), -EINVAL);
    IS(ipc_notify_listen(&n, SIGRTMIN + 1), -EINVAL);
    IS(ipc_notify_fd(&n), -ENOENT);
    MUST(setrlimit(RLIMIT_SIGPENDING, &few) == 0);
    IS(ipc_notify_listen(&n, SIGRTMIN), 0);
    IS(ipc_notify_listen(&n, SIGRTMIN), 0); /* again */
    MUST(ipc_notify_fd(&n) >= 0);
    tell(up, 0);
    while ((order = hear(up)) != 0) {
        struct pollfd p = {ipc_notify_fd(&n), POLLIN, 0};
        int there = poll(&p, 1, order == 1 ? LONG_MS : 0);
        sigset_t set;

        if (order == 3) {
            (void)sigemptyset(&set);
            (void)sigaddset(&set, SIGRTMIN);
            MUST(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
        } else if (there == 1) {
            MUST(read(n.fd, &got, sizeof got) == (ssize_t)sizeof got);
            IS(got.ssi_signo, SIGRTMIN);
            MUST(got.ssi_pid == (uint32_t)up->pid || got.ssi_pid == 0); /* 0: the queue is full */
            ipc_notify_drain(&n);
            IS(poll(&p, 1, 0), 0);
        }
        tell(up, (uint64_t)there);
    }
    ipc_notify_detach(&n);
}

static void signal_reaches_who_listens_and_nobody_else(void **state)
{
    struct ipc_notify n, fresh;
    struct child c;
    unsigned i;

    (void)state;
    SKIP_IF(is_emulated(), BLOCKS_NO_SIGNALS);
    make_bell(0, IPC_NOTIFY_SIGNAL);
    attach(&n, &room->bell[0], NULL);
    c = spawn(listens, NULL);
    (void)hear(&c);
    IS(post_armed(&n), -ESRCH); /* no process is named yet */
    IS(ipc_notify_target(&n, c.pid, SIGRTMIN + 1), -EPERM);
    IS(ipc_notify_target(&n, c.pid, SIGRTMIN), 0);
    IS(ipc_notify_post(&n), 0); /* nobody polls */
    tell(&c, 2);
    IS(hear(&c), 0);
    for (i = 0; i < 1000; i++) /* more than may be queued */
        IS(post_armed(&n), 0);
    tell(&c, 1);
    IS(hear(&c), 1);
    IS(post_armed(&n), 0);
    tell(&c, 1);
    IS(hear(&c), 1);
    tell(&c, 3); /* from now on the signal would kill it */
    (void)hear(&c);
    attach(&fresh, &room->bell[0], NULL);
    for (i = 0; i < 10; i++) {
        IS(ipc_notify_target(&fresh, c.pid, SIGRTMIN), -EPERM);
        IS(post_armed(&fresh), -ESRCH);
    }
    tell(&c, 2); /* it is alive */
    IS(hear(&c), 0);
    kill_child(&c);
    IS(post_armed(&n), -ESRCH); /* n had its pidfd */
    IS(ipc_notify_target(&fresh, c.pid, SIGRTMIN), -ESRCH);
    IS(post_armed(&fresh), -ESRCH);
    ipc_notify_detach(&fresh);
    ipc_notify_detach(&n);
}

/* A thread that blocks everything, in a process that does not. */
static void *blocks_all(void *arg)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    put(&room->word[0], (uint64_t)syscall(SYS_gettid));
    while (get(&room->word[1]) == 0)
        (void)usleep(1000);
    return arg;
}

static void has_a_thread_that_blocks_all(struct child *up, void *arg)
{
    pthread_t t;

    (void)up, (void)arg;
    MUST(pthread_create(&t, NULL, blocks_all, NULL) == 0);
    MUST(pthread_join(t, NULL) == 0);
}

static void garbage_for_a_target_signals_nobody(void **state)
{
    static const int numbers[] = {0, 1, 9, 11, 15, 31, 33, 65, 1000, -1, INT32_MIN};
    const pid_t pids[] = {0, 1, getpid(), getppid(), 0x7fffffff, -1, INT32_MIN};
    struct ipc_notify n;
    struct child c;
    size_t i, k;

    (void)state;
    make_bell(0, IPC_NOTIFY_SIGNAL);
    attach(&n, &room->bell[0], NULL);
    for (k = 0; k < sizeof pids / sizeof *pids; k++) {
        for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
            IS(ipc_notify_target(&n, pids[k], numbers[i]), -EINVAL);
        MUST(ipc_notify_target(&n, pids[k], SIGRTMIN) < 0); /* no thread blocks it */
        IS(post_armed(&n), -ESRCH);
    }
    c = spawn(has_a_thread_that_blocks_all, NULL);
    EVENTUALLY(get(&room->word[0]) != 0);
    MUST(ipc_notify_target(&n, (pid_t)get(&room->word[0]), SIGRTMIN) < 0);
    IS(post_armed(&n), -ESRCH);
    put(&room->word[1], 1);
    finish(&c);
    ipc_notify_detach(&n);
}

/* ------------------------------------------------------------------ the kind is the program's */

/* Names it in the word behind the kind, where older versions had the process to signal. */
static void name_a_process(struct ipc_notify_shared *bell, pid_t pid, int number)
{
    bell->deaf = (uint64_t)(uint32_t)pid << 32 | (uint32_t)number;
}

/* The memory says another kind, names this process, and holds no semaphore. Calls use the handle's
 * own kind: they send no signal and touch no semaphore, as either would end the process. */
static void expect_kind_kept(struct ipc_notify *n, struct ipc_notify_shared *bell, unsigned kind)
{
    sigset_t pending;

    memset(&bell->u, 0x5a, sizeof bell->u);
    bell->kind = kind;
    name_a_process(bell, getpid(), SIGRTMIN);
    bell->word |= IPC_NOTIFY_ARMED_ | IPC_NOTIFY_WAKING_ | IPC_NOTIFY_ASLEEP_;
    (void)ipc_notify_post(n);
    bell->word |= IPC_NOTIFY_ARMED_ | IPC_NOTIFY_WAKING_ | IPC_NOTIFY_ASLEEP_;
    (void)ipc_notify_post_one(n);
    MUST(sigpending(&pending) == 0 && sigismember(&pending, SIGRTMIN) == 0);
    IS(ipc_wait(n, ipc_in_ms(2), 0), -ETIMEDOUT);
    if (n->kind != IPC_NOTIFY_SIGNAL)
        IS(ipc_notify_target(n, getpid(), SIGRTMIN), -EINVAL);
    if (n->kind == IPC_NOTIFY_FUTEX) {
        IS(ipc_notify_fd(n), -EINVAL);
        IS(ipc_notify_listen(n, SIGRTMIN), -EINVAL);
    }
}

static void the_kind_is_what_attach_was_told(void **state)
{
    unsigned made, asked, kind;
    struct ipc_notify n;

    (void)state;
    block_real_time_signals();
    for (made = 0; made < KINDS; made++)
        for (asked = 0; asked < KINDS; asked++) {
            make_bell(0, made);
            if (asked != made) {
                IS(ipc_notify_attach(&n, &room->bell[0], BELL, asked, NULL), -EPROTO);
                expect_nothing_done(&n);
            }
        }
    for (made = 0; made < KINDS; made++)
        for (kind = 0; kind <= KINDS; kind++) {
            make_bell(0, made);
            attach_drowsy(&n, &room->bell[0], NULL);
            if (made != IPC_NOTIFY_SEMAPHORE) /* that memory is libc's */
                expect_kind_kept(&n, &room->bell[0], kind);
            ipc_notify_detach(&n);
        }
}

/* ------------------------------------------------------------------ rings of every kind */

IPC_STREAM(chars, char)
IPC_RECORDS(logs)
IPC_BROADCAST(news, struct message)
IPC_RECORD_BROADCAST(tape)
IPC_MPMC(jobs, struct message)
IPC_CALL(adder, uint64_t, uint64_t)

#define RING_SIZE (4u << 16) /* a stream begins and ends with pages, of 64 KiB at most */

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

/* A stride that gives some 250 kills; 1 in the long run. */
static unsigned stride_of(unsigned instructions)
{
    const char *given = getenv("IPC_NOTIFY_WAITS");

    return given != NULL && strtoull(given, NULL, 10) >= 10000000 ? 1 : instructions / 250 + 1;
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
static struct room *hall;

struct sleeper_order {
    uint64_t word; /* the number of the word that must become `value` */
    uint64_t value;
    uint64_t whom; /* the id to watch */
};

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

static void order(struct child *c, uint64_t word, uint64_t value, uint64_t whom)
{
    tell(c, word);
    tell(c, value);
    tell(c, whom);
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

/* ------------------------------------------------------------------ deaths and their watchers */

enum { STORE = 1, POST, DIE, DIE_SOON, STORE_AND_DIE, BEQUEATH, END };
#define WHEN 200 /* the word with the time of death */

static void holds_the_pipe(const struct child *up)
{
    struct pollfd p = {up->from, 0, 0}; /* reports the end, reads nothing */

    (void)prctl(PR_SET_PDEATHSIG, 0); /* must outlive its parent, but not the test */
    while (poll(&p, 1, -1) < 0)
        ;
    _exit(0);
}

/* A member of the segment that obeys orders; one of them is to die once its parent sleeps. */
static void puppet(struct child *up, void *arg)
{
    struct ipc_shm own, *seg = arg != NULL ? (struct ipc_shm *)arg : &own;
    struct room *r = arg != NULL ? hall : find_room(&own);
    struct ipc_notify n;
    pid_t heir = 0;

    attach(&n, &r->bell[0], ipc_shm_peer(seg));
    MUST(ipc_shm_peer(seg)->id != 0);
    tell(up, ipc_shm_peer(seg)->id);
    for (;;) {
        uint64_t what = hear(up);

        switch (what) {
        case STORE:
            put(&r->word[0], get(&r->word[0]) + 1);
            break;
        case POST:
            tell(up, (uint64_t)(int64_t)ipc_notify_post(&n));
            break;
        case DIE:
        case DIE_SOON:
        case STORE_AND_DIE:
            EVENTUALLY(sleeps(up->pid, &r->bell[0],
                              what == DIE_SOON ? IPC_NOTIFY_ASLEEP_ : IPC_NOTIFY_DOZING_));
            if (what == STORE_AND_DIE)
                put(&r->word[0], get(&r->word[0]) + 1);
            put(&r->word[WHEN], (uint64_t)ipc_clock());
            (void)kill(getpid(), SIGKILL);
            break;
        case BEQUEATH:
            heir = fork();
            MUST(heir >= 0);
            if (heir == 0)
                holds_the_pipe(up);
            tell(up, (uint64_t)heir);
            break;
        default:
            ipc_notify_detach(&n);
            ipc_shm_close(seg);
            return;
        }
    }
}

static double since_death(const struct room *r)
{
    return ms_since((int64_t)get(&r->word[WHEN]));
}

/* A sleeper must learn of the death of the process that it watches. The puppet waits for the DOZING
 * flag, which waits do not have without inotify or pidfd. */
static void expect_deaths_told(struct ipc_shm *seg, struct room *r, void *inherit, const char *what)
{
    double took, worst[3] = {0, 0, 0};
    struct ipc_notify n;
    struct child c;
    int i, how;

    attach_drowsy(&n, &r->bell[0], ipc_shm_peer(seg));
    for (how = 0; how < 3; how++)
        for (i = 0; i < 5; i++) {
            uint64_t had = get(&r->word[0]);

            c = spawn(puppet, inherit);
            ipc_notify_watch(&n, hear(&c));
            tell(&c, how == 0 ? DIE_SOON : how == 1 ? DIE : STORE_AND_DIE);
            if (how == 2) { /* it stored, without a post: the data comes first, then the death */
                IS(ipc_wait(&n, ipc_in_ms(LONG_MS), get(&r->word[0]) != had), 0);
                took = since_death(r);
                was_killed(&c);
                IS(ipc_wait(&n, ipc_in_ms(500), 0), -EOWNERDEAD);
            } else {
                IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
                took = since_death(r);
                was_killed(&c);
            }
            MUST(took < LATE_MS);
            worst[how] = larger(worst[how], took);
            IS(ipc_wait(&n, ipc_in_ms(12), 0), -ETIMEDOUT); /* reported once */
        }
    print_message("note: %s: deaths told within %.2f ms, %.2f long asleep, %.2f with data\n", what,
                  worst[0], worst[1], worst[2]);
    MUST((ipc_notify_uses(&n) & IPC_USES_WATCH) != 0);
    ipc_notify_detach(&n);
}

static void death_is_told_once_in_a_named_segment(void **state)
{
    (void)state;
    hall = make_room(&shm, name);
    expect_deaths_told(&shm, hall, NULL, "named");
    ipc_shm_close(&shm);
}

static void death_is_told_once_in_a_nameless_segment(void **state)
{
    (void)state;
    SKIP_IF(cannot_map_again(), "qemu-user cannot map the segment again in a child");
    hall = make_room(&shm, NULL);
    expect_deaths_told(&shm, hall, &shm, "nameless");
    ipc_shm_close(&shm);
}

/* A creator posts to a process that opened its segment, and dies. Its descriptor differs from those
 * of members that opened it. */
static void creates_and_dies(struct child *up, void *arg)
{
    const int *socket = (const int *)arg;
    struct ipc_shm seg;
    struct room *r = make_room(&seg, *socket < 0 ? name : NULL);
    struct ipc_notify n;

    attach(&n, &r->bell[0], ipc_shm_peer(&seg));
    if (*socket >= 0)
        IS(ipc_shm_send(&seg, *socket), 0);
    tell(up, ipc_shm_peer(&seg)->id);
    EVENTUALLY(sleeps(up->pid, &r->bell[0], IPC_NOTIFY_DOZING_));
    put(&r->word[0], 1);
    put(&r->word[WHEN], (uint64_t)ipc_clock());
    IS(ipc_notify_post(&n), 0);
    (void)hear(up);
    EVENTUALLY(sleeps(up->pid, &r->bell[0], IPC_NOTIFY_DOZING_));
    put(&r->word[WHEN], (uint64_t)ipc_clock());
    (void)kill(getpid(), SIGKILL);
}

static void creator_wakes_and_its_death_is_told(void **state)
{
    int pair[2], nameless;
    unsigned bad = 0;

    (void)state;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    for (nameless = 0; nameless < 2; nameless++) {
        int socket = nameless ? pair[1] : -1;
        struct child c = spawn(creates_and_dies, &socket);
        double woken, told;
        struct ipc_shm_object o;
        struct ipc_notify n;
        struct ipc_shm seg;
        struct room *r;
        uint64_t id;

        if (nameless) {
            IS(ipc_shm_recv(&seg, pair[0], ipc_in_ms(LONG_MS)), 0);
            IS(ipc_shm_find(&seg, "room", TYPE, &o), 0);
            r = (struct room *)o.mem;
        } else {
            r = find_room(&seg);
        }
        id = hear(&c);
        attach_drowsy(&n, &r->bell[0], ipc_shm_peer(&seg));
        ipc_notify_watch(&n, id);
        IS(ipc_wait(&n, ipc_in_ms(LONG_MS), get(&r->word[0]) == 1), 0);
        woken = since_death(r);
        tell(&c, 0);
        IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
        told = since_death(r);
        was_killed(&c);
        print_message("note: %s: the creator woke in %.2f ms, its death was told in %.2f\n",
                      nameless ? "nameless" : "named", woken, told);
        bad += woken > 700 || told > LATE_MS;
        ipc_notify_detach(&n);
        ipc_shm_close(&seg);
    }
    (void)close(pair[0]);
    (void)close(pair[1]);
    IS(bad, 0);
}

/* Sleeps in poll, for posts from the segment's creator and from members that opened it; the segment
 * has a name or none. */
static void waits_long(struct child *up, void *arg)
{
    struct ipc_shm own, *seg = arg != NULL ? (struct ipc_shm *)arg : &own;
    struct room *r = arg != NULL ? hall : find_room(&own);
    struct ipc_notify n;
    uint64_t i;

    attach_drowsy(&n, &r->bell[0], ipc_shm_peer(seg));
    ipc_notify_watch(&n, ipc_shm_peer(seg)->id); /* watches itself, so as to watch somebody */
    tell(up, 0);
    for (i = 1; i <= 20; i++) {
        IS(ipc_wait(&n, ipc_in_ms(LONG_MS), get(&r->word[0]) >= i), 0);
        put(&r->word[1], i);
    }
    ipc_notify_detach(&n);
    ipc_shm_close(seg);
}

/* Posts to c, through `poster` if there is one. Each post must wake c within `most` ms. Returns the
 * longest time to a wake. */
static double wake_long_sleeper(struct child *c, uint32_t flag, struct ipc_notify *n,
                                const struct child *poster, double most)
{
    double worst = 0;
    int64_t then;
    uint64_t i;

    for (i = 1; i <= 20; i++) {
        EVENTUALLY(sleeps(c->pid, &hall->bell[0], flag));
        put(&hall->word[0], i);
        then = ipc_clock();
        if (poster != NULL) {
            tell(poster, POST);
            IS(hear(poster), 0);
        } else {
            IS(ipc_notify_post(n), 0);
        }
        EVENTUALLY(get(&hall->word[1]) == i);
        worst = larger(worst, ms_since(then));
        if (worst > most)
            print_error("woken after %.2f ms, not within %.0f\n", worst, most);
        MUST(worst <= most);
    }
    finish(c);
    return worst;
}

static void post_wakes_who_is_long_asleep(void **state)
{
    int nameless, child_posts;

    (void)state;
    SKIP_IF(cannot_map_again(), "qemu-user cannot map the segment again in a child");
    for (nameless = 0; nameless < 2; nameless++)
        for (child_posts = 0; child_posts < 2; child_posts++) {
            struct ipc_notify n;
            struct child c, poster;
            double worst;

            hall = make_room(&shm, nameless ? NULL : name);
            attach(&n, &hall->bell[0], ipc_shm_peer(&shm));
            c = spawn(waits_long, nameless ? &shm : NULL);
            (void)hear(&c);
            if (child_posts) {
                poster = spawn(puppet, nameless ? &shm : NULL);
                (void)hear(&poster);
            }
            worst =
                wake_long_sleeper(&c, IPC_NOTIFY_DOZING_, &n, child_posts ? &poster : NULL, 700);
            if (child_posts) {
                tell(&poster, END);
                finish(&poster);
            }
            ipc_notify_detach(&n);
            ipc_shm_close(&shm);
            if (!nameless)
                IS(ipc_shm_unlink(name), 0);
            print_message("note: %s, %s: long sleepers woken within %.2f ms\n",
                          nameless ? "nameless" : "named",
                          child_posts ? "child posts" : "creator posts", worst);
        }
}

/* A poster that cannot stir sleepers comes when one already sleeps in poll. */
static void poster_without_a_peer_wakes_who_is_long_asleep(void **state)
{
    struct ipc_notify n;
    struct child c;
    double worst;

    (void)state;
    hall = make_room(&shm, name);
    c = spawn(waits_long, NULL);
    (void)hear(&c);
    EVENTUALLY(sleeps(c.pid, &hall->bell[0], IPC_NOTIFY_DOZING_));
    attach(&n, &hall->bell[0], NULL);
    worst = wake_long_sleeper(&c, IPC_NOTIFY_ASLEEP_, &n, NULL, 5000);
    ipc_notify_detach(&n);
    ipc_shm_close(&shm);
    print_message("note: woken by one without a peer within %.2f ms\n", worst);
}

/* It degrades sleepers while it is there, and not for good. */
static void poster_without_a_peer_that_leaves_is_forgotten(void **state)
{
    struct ipc_notify n, twice;
    struct child c;

    (void)state;
    hall = make_room(&shm, name);
    attach(&n, &hall->bell[0], NULL);
    attach(&twice, &hall->bell[0], NULL);
    IS(hall->bell[0].deaf, 2);
    c = spawn(waits_long, NULL);
    (void)hear(&c);
    ipc_notify_detach(&n);
    ipc_notify_detach(&n);
    ipc_notify_detach(&twice);
    IS(hall->bell[0].deaf, 0);
    EVENTUALLY(sleeps(c.pid, &hall->bell[0], IPC_NOTIFY_DOZING_));
    kill_child(&c);
    ipc_shm_close(&shm);
}

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

static void has_no_standard_files(struct child *up, void *arg)
{
    struct ipc_notify n, m;
    struct ipc_shm seg;
    int pair[2], i;
    sigset_t set;

    (void)up;
    (void)arg;
    IS(ipc_shm_create(&seg, NULL, 4096), 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    for (i = 0; i < 3; i++)
        (void)close(i);
    make_bell(0, IPC_NOTIFY_FUTEX);
    attach(&n, &room->bell[0], ipc_shm_peer(&seg));
    MUST(ipc_notify_fd(&n) > 2);
    ipc_notify_detach(&n);
    make_bell(0, IPC_NOTIFY_EVENTFD);
    attach(&n, &room->bell[0], NULL);
    attach(&m, &room->bell[0], NULL);
    MUST(ipc_notify_fd(&n) > 2);
    IS(ipc_notify_send_fd(&n, pair[0]), 0);
    IS(ipc_notify_recv_fd(&m, pair[1], IPC_NOW), 0);
    MUST(ipc_notify_fd(&m) > 2);
    IS(ipc_notify_post(&m), 0);
    ipc_notify_detach(&n);
    ipc_notify_detach(&m);
    make_bell(0, IPC_NOTIFY_SIGNAL);
    attach(&n, &room->bell[0], NULL);
    MUST(sigemptyset(&set) == 0 && sigaddset(&set, SIGRTMIN) == 0);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    IS(ipc_notify_listen(&n, SIGRTMIN), 0);
    IS(ipc_notify_target(&n, getpid(), SIGRTMIN), is_emulated() ? -EPERM : 0);
    for (i = 0; i < 3; i++)
        MUST(fcntl(i, F_GETFD) == -1);
}

/* To those a program prints that knows nothing of it. */
static void descriptors_are_none_of_the_first_three(void **state)
{
    (void)state;
    IS(run(has_no_standard_files, NULL), 0);
}

static void successor_is_awaited_after_a_death(void **state)
{
    struct child c;
    struct ipc_notify n;
    uint64_t id, had;
    int i;

    (void)state;
    hall = make_room(&shm, name);
    attach_drowsy(&n, &hall->bell[0], ipc_shm_peer(&shm));
    for (i = 0; i < 5; i++) {
        c = spawn(puppet, NULL);
        id = hear(&c);
        ipc_notify_watch(&n, id);
        had = get(&hall->word[0]);
        tell(&c, STORE);
        tell(&c, POST);
        IS(ipc_wait(&n, ipc_in_ms(LONG_MS), get(&hall->word[0]) == had + 1), 0);
        IS(hear(&c), 0);
        tell(&c, i % 2 ? DIE : DIE_SOON);
        IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
        was_killed(&c);
        ipc_notify_watch(&n, id); /* already reported: not again */
        IS(ipc_wait(&n, ipc_in_ms(15), 0), -ETIMEDOUT);
    }
    ipc_notify_detach(&n);
    ipc_shm_close(&shm);
}

/* Waits that are each too short to ask about deaths. */
static void death_is_told_to_short_waits_too(void **state)
{
    static const int64_t ms[] = {1, 2, 4, 6, 9};
    unsigned bad = 0;
    size_t i;

    (void)state;
    hall = make_room(&shm, name);
    for (i = 0; i < sizeof ms / sizeof *ms; i++) {
        struct ipc_notify n;
        struct child c;
        int64_t then;
        int rc;

        attach_drowsy(&n, &hall->bell[0], ipc_shm_peer(&shm));
        c = spawn(puppet, NULL);
        ipc_notify_watch(&n, hear(&c));
        kill_child(&c);
        then = ipc_clock();
        do
            rc = ipc_wait(&n, ipc_in_ms(ms[i]), 0);
        while (rc == -ETIMEDOUT && ms_since(then) < 1000);
        print_message("note: waits of %lld ms: %s after %.1f ms\n", (long long)ms[i],
                      rc == -EOWNERDEAD ? "told" : "not told", ms_since(then));
        bad += rc != -EOWNERDEAD;
        ipc_notify_detach(&n);
    }
    ipc_shm_close(&shm);
    IS(bad, 0);
}

static void stopped_peer_is_not_dead(void **state)
{
    struct ipc_notify n;
    struct child c;

    (void)state;
    hall = make_room(&shm, name);
    attach_drowsy(&n, &hall->bell[0], ipc_shm_peer(&shm));
    c = spawn(puppet, NULL);
    ipc_notify_watch(&n, hear(&c));
    stop_child(&c);
    IS(ipc_wait(&n, ipc_in_ms(100), 0), -ETIMEDOUT);
    signal_child(&c, SIGCONT);
    IS(ipc_wait(&n, ipc_in_ms(20), 0), -ETIMEDOUT);
    tell(&c, DIE);
    IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
    was_killed(&c);
    ipc_notify_detach(&n);
    ipc_shm_close(&shm);
}

static void peer_that_closes_the_segment_counts_as_dead(void **state)
{
    struct ipc_notify n;
    struct child c;
    int64_t then;

    (void)state;
    hall = make_room(&shm, name);
    attach_drowsy(&n, &hall->bell[0], ipc_shm_peer(&shm));
    c = spawn(puppet, NULL);
    ipc_notify_watch(&n, hear(&c));
    tell(&c, END);
    then = ipc_clock();
    IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
    MUST(ms_since(then) < LATE_MS);
    finish(&c);
    ipc_notify_detach(&n);
    ipc_shm_close(&shm);
}

static void death_is_told_though_a_child_keeps_the_descriptor(void **state)
{
    struct ipc_notify n;
    struct child c;
    double took;
    pid_t heir;

    (void)state;
    SKIP_IF(is_emulated(), NO_DONTFORK);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans come to us */
    hall = make_room(&shm, name);
    attach_drowsy(&n, &hall->bell[0], ipc_shm_peer(&shm));
    c = spawn(puppet, NULL);
    ipc_notify_watch(&n, hear(&c));
    tell(&c, BEQUEATH);
    heir = (pid_t)hear(&c);
    keep_in_mind(heir, 0);
    tell(&c, DIE);
    IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
    took = since_death(hall);
    print_message("note: death told within %.2f ms while a child lives on\n", took);
    MUST(took < LATE_MS);
    MUST(kill(heir, 0) == 0);
    was_killed(&c);
    (void)kill(heir, SIGKILL);
    (void)waitpid(heir, NULL, 0);
    keep_in_mind(0, heir);
    ipc_notify_detach(&n);
    ipc_shm_close(&shm);
}

/* A member that is the first process of a PID namespace, and its keeper outside. */
static void keeps_a_namespace(struct child *up, void *arg)
{
    struct ipc_shm seg;
    struct room *r;
    pid_t inside;

    (void)arg;
    if (unshare(CLONE_NEWPID) != 0) {
        tell(up, 0);
        _exit(UNABLE);
    }
    inside = fork();
    MUST(inside >= 0);
    if (inside == 0) {
        become_child();
        r = find_room(&seg);
        put(&r->word[3], ipc_shm_peer(&seg)->id);
        wait_for_death();
    }
    r = find_room(&seg);
    EVENTUALLY(get(&r->word[3]) != 0);
    tell(up, get(&r->word[3]));
    EVENTUALLY(sleeps(up->pid, &r->bell[0], IPC_NOTIFY_DOZING_));
    put(&r->word[WHEN], (uint64_t)ipc_clock());
    (void)kill(inside, SIGKILL);
    MUST(waitpid(inside, NULL, 0) == inside);
    (void)hear(up);
}

static void death_in_another_pid_namespace_is_told(void **state)
{
    struct ipc_notify n;
    struct child c;
    uint64_t id;
    double took;

    (void)state;
    hall = make_room(&shm, name);
    attach_drowsy(&n, &hall->bell[0], ipc_shm_peer(&shm));
    c = spawn(keeps_a_namespace, NULL);
    id = hear(&c);
    if (id == 0) {
        IS(result(&c), UNABLE);
        ipc_shm_close(&shm);
        SKIP_IF(1, "may not make a PID namespace");
    }
    ipc_notify_watch(&n, id);
    IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
    took = since_death(hall);
    print_message("note: death in a PID namespace told within %.2f ms\n", took);
    MUST(took < LATE_MS);
    tell(&c, 0);
    finish(&c);
    ipc_notify_detach(&n);
    ipc_shm_close(&shm);
}

static void kills_the_flag(struct child *up, void *arg)
{
    struct room *r = another_map();

    (void)arg;
    EVENTUALLY(sleeps(up->pid, &r->bell[0], IPC_NOTIFY_ASLEEP_));
    put(&r->word[WHEN], (uint64_t)ipc_clock());
    put(&r->word[9], 1);
}

static int word_says(void *arg, uint64_t id)
{
    (void)id;
    return get((const uint64_t *)arg) == 0;
}

static void peer_of_ones_own_is_asked(void **state)
{
    struct ipc_peer me = own_peer(NULL);
    unsigned kind;
    double worst = 0;

    (void)state;
    me.alive = word_says;
    me.arg = &room->word[9];
    for (kind = 0; kind < KINDS; kind++) {
        struct ipc_notify n;
        struct child c;

        make_bell(0, kind);
        put(&room->word[9], 0);
        attach_drowsy(&n, &room->bell[0], &me);
        ipc_notify_watch(&n, 5);
        c = spawn(kills_the_flag, NULL);
        IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
        worst = larger(worst, ms_since((int64_t)get(&room->word[WHEN])));
        finish(&c);
        IS(ipc_wait(&n, ipc_in_ms(20), 0), -ETIMEDOUT);
        ipc_notify_watch(&n, 6);
        IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
        IS(ipc_notify_uses(&n) & IPC_USES_WATCH, 0);
        ipc_notify_detach(&n);
    }
    print_message("note: own peer: asked within %.2f ms\n", worst);
    MUST(worst < LATE_MS);
}

static double cpu_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void idle_waits_cost_little(void **state)
{
    struct ipc_peer me = own_peer(NULL);
    struct ipc_notify n;
    struct child c;
    uint64_t id;
    double cpu;

    (void)state;
    hall = make_room(&shm, name);
    c = spawn(puppet, NULL);
    id = hear(&c);
    attach_drowsy(&n, &hall->bell[0], ipc_shm_peer(&shm));
    ipc_notify_watch(&n, id);
    cpu = cpu_ms();
    IS(ipc_wait(&n, ipc_in_ms(2000), 0), -ETIMEDOUT);
    print_message("note: 2 s idle with descriptors: %.2f ms of CPU\n", cpu_ms() - cpu);
    MUST(cpu_ms() - cpu < 500);
    ipc_notify_detach(&n);
    attach_drowsy(&n, &room->bell[0], &me);
    ipc_notify_watch(&n, id);
    cpu = cpu_ms();
    IS(ipc_wait(&n, ipc_in_ms(1000), 0), -ETIMEDOUT);
    print_message("note: 1 s idle by asking: %.2f ms of CPU\n", cpu_ms() - cpu);
    MUST(cpu_ms() - cpu < 500);
    ipc_notify_detach(&n);
    kill_child(&c);
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

/* A ring without an ipc_peer, so nobody can be watched: one end sleeps without a deadline in a
 * child; the other pushes or pops, and posts nothing. */
struct plain {
    void *mem;
    int sends;
    struct child child;
};

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
BOTH_ENDS(msgs, (&shm, "ring", 4), (&msgs_out, &m, IPC_NOW), (&msgs_in, &m, IPC_NOW))
BOTH_ENDS(bids, (&shm, "ring", 4, 0), (&bids_out, &m, IPC_NOW), (&bids_in, &m, IPC_NOW))
BOTH_ENDS(asks, (&shm, "ring", 4, 0), (&asks_out, &m, IPC_NOW), (&asks_in, &m, IPC_NOW))
BOTH_ENDS(news, (&shm, "ring", 4, IPC_BROADCAST_LOSSY), (&news_out, &m, IPC_NOW),
          (&news_in, &m, IPC_NOW))
BOTH_ENDS(chars, (&shm, "ring", 256), (&chars_out, (char *)&m, sizeof m, IPC_NOW),
          (&chars_in, (char *)&m, sizeof m, IPC_NOW))
BOTH_ENDS(logs, (&shm, "ring", 256, 1), (&logs_out, &m, sizeof m, IPC_NOW),
          (&logs_in, &m, sizeof m, IPC_NOW))
BOTH_ENDS(tape, (&shm, "ring", 256, IPC_BROADCAST_LOSSLESS), (&tape_out, &m, sizeof m, IPC_NOW),
          (&tape_in, &m, sizeof m, IPC_NOW))

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

/* ------------------------------------------------------------------ any of many */

static struct ipc_notify many[BELLS];
static struct ipc_notify *all_of_many[BELLS];

static void attach_many(unsigned n, const struct ipc_peer *me, struct room *r)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        attach_drowsy(&many[i], &r->bell[i], me);
        all_of_many[i] = &many[i];
    }
}

static void detach_many(unsigned n)
{
    while (n-- > 0)
        ipc_notify_detach(&many[n]);
}

static void any_of_none_or_too_many_is_refused(void **state)
{
    struct ipc_any any;
    unsigned i = 0;

    (void)state;
    attach_many(BELLS - 1, NULL, room);
    IS(ipc_any_init(&any, all_of_many, 0), -EINVAL);
    IS(ipc_wait_any(&any, IPC_FOREVER, i, 1), -EINVAL);
    IS(ipc_any_init(&any, all_of_many, 129), -EINVAL);
    IS(ipc_wait_any(&any, IPC_FOREVER, i, 1), -EINVAL);
    IS(ipc_any_init(&any, all_of_many, 128), 0);
    IS(ipc_wait_any(&any, ipc_in_ms(20), i, 0), -ETIMEDOUT);
    ipc_notify_detach(&many[77]);
    IS(ipc_wait_any(&any, ipc_in_ms(20), i, 0), -EINVAL);
    ipc_any_close(&any);
    ipc_any_close(&any);
    detach_many(BELLS - 1);
}

struct choosing {
    unsigned n, rounds;
    unsigned kinds; /* 1: all futexes; else mixed */
};

static void posts_one_of_many(struct child *up, void *arg)
{
    const struct choosing *how = (const struct choosing *)arg;
    struct room *r = another_map();
    uint64_t round;
    unsigned i;

    for (i = 0; i < how->n; i++)
        attach(&many[i], &r->bell[i], NULL);
    for (round = 1; round <= how->rounds; round++) {
        unsigned k = (unsigned)(chance() % how->n);

        if (round % 2)
            EVENTUALLY(sleeps(up->pid, &r->bell[how->n - 1], IPC_NOTIFY_ASLEEP_));
        put(&r->word[k], round);
        IS(ipc_notify_post(&many[k]), 0);
        while (get(&r->word[255]) != round)
            (void)sched_yield();
    }
}

static void any_tells_which(void **state)
{
    static const struct choosing cases[] = {{1, 300, 1}, {3, 600, 1}, {128, 300, 1},
                                            {2, 60, 4},  {4, 100, 4}, {128, 60, 4}};
    unsigned i, k, spin;
    size_t which;

    (void)state;
    for (which = 0; which < sizeof cases / sizeof *cases; which++)
        for (spin = 0; spin < 2; spin++) {
            struct choosing how = cases[which];
            struct ipc_any any;
            struct child c;
            uint64_t round;
            int64_t then = ipc_clock();

            memset(room, 0, sizeof *room);
            for (k = 0; k < how.n; k++)
                make_bell(k, (k + 1) % how.kinds); /* a semaphore first */
            attach_many(how.n, NULL, room);
            ipc_notify_policy(&many[0], spin * 300, 0);
            IS(ipc_any_init(&any, all_of_many, how.n), 0);
            c = spawn(posts_one_of_many, &how);
            for (round = 1; round <= how.rounds; round++) {
                i = 1000;
                IS(ipc_wait_any(&any, round % 2 ? ipc_in_ms(LONG_MS) : IPC_FOREVER, i,
                                get(&room->word[i]) == round),
                   0);
                MUST(i < how.n && get(&room->word[i]) == round);
                put(&room->word[255], round);
            }
            finish(&c);
            ipc_any_close(&any);
            detach_many(how.n);
            if (spin == 0)
                print_message("note: any of %u%s: %.3f ms each\n", how.n,
                              how.kinds > 1 ? ", mixed" : "", ms_since(then) / how.rounds);
        }
}

static void any_is_fair(void **state)
{
    struct ipc_any any;
    unsigned n, i, k;

    (void)state;
    for (n = 2; n <= 128; n *= 2) {
        unsigned char waits[128];

        attach_many(n, NULL, room);
        IS(ipc_any_init(&any, all_of_many, n), 0);
        memset(waits, 1, sizeof waits);
        for (k = 0; k < 2 * n; k++) { /* number 0 always has something */
            IS(ipc_wait_any(&any, IPC_NOW, i, i == 0 || waits[i]), 0);
            waits[i] = 0;
        }
        for (k = 1; k < n; k++)
            IS(waits[k], 0);
        for (k = 0; k < 5 * n; k++) { /* all have: each has its turn */
            IS(ipc_wait_any(&any, IPC_NOW, i, 1), 0);
            IS(i, (k + 1) % n);
        }
        ipc_any_close(&any);
        detach_many(n);
    }
}

static void any_tells_whose_peer_died(void **state)
{
    struct ipc_any any;
    struct child c[3];
    uint64_t ids[3];
    unsigned k, i, j;
    double worst = 0;

    (void)state;
    for (k = 0; k < 6; k++) {
        hall = make_room(&shm, name);
        if (k >= 3)
            for (i = 0; i < 3; i++)
                IS(ipc_notify_init(&hall->bell[i], BELL, (i + 1) % KINDS), 0);
        attach_many(3, ipc_shm_peer(&shm), hall);
        IS(ipc_any_init(&any, all_of_many, 3), 0);
        for (i = 0; i < 3; i++) {
            c[i] = spawn(puppet, NULL);
            ids[i] = hear(&c[i]);
            ipc_notify_watch(&many[i], ids[i]);
        }
        for (j = 0; j < 3; j++) {
            i = 99;
            tell(&c[(k + j) % 3], k % 2 ? DIE : DIE_SOON);
            IS(ipc_wait_any(&any, ipc_in_ms(LONG_MS), i, 0), -EOWNERDEAD);
            IS(i, (k + j) % 3);
            worst = larger(worst, since_death(hall));
            was_killed(&c[i]);
            if (j < 2)
                IS(ipc_wait_any(&any, ipc_in_ms(20), i, 0), -ETIMEDOUT);
        }
        IS(ipc_wait_any(&any, ipc_in_ms(20), i, 0), -ETIMEDOUT);
        ipc_any_close(&any);
        detach_many(3);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
    print_message("note: any: deaths told within %.2f ms\n", worst);
    MUST(worst < LATE_MS);
}

/* Data that comes with the death is reported first; the next wait reports the death. */
static void any_tells_a_death_after_the_data(void **state)
{
    struct ipc_any any;
    struct child c;
    unsigned i = 9;

    (void)state;
    hall = make_room(&shm, name);
    attach_many(2, ipc_shm_peer(&shm), hall);
    IS(ipc_any_init(&any, all_of_many, 2), 0);
    c = spawn(puppet, NULL);
    ipc_notify_watch(&many[0], hear(&c));
    tell(&c, STORE_AND_DIE);
    IS(ipc_wait_any(&any, ipc_in_ms(LONG_MS), i, i == 1 && get(&hall->word[0]) == 1), 0);
    IS(i, 1);
    IS(ipc_wait_any(&any, ipc_in_ms(500), i, 0), -EOWNERDEAD);
    IS(i, 0);
    was_killed(&c);
    ipc_any_close(&any);
    detach_many(2);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ missing system calls */

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

static const struct {
    long call;
    uint32_t uses; /* what cannot be used without it */
    const char *called;
} calls[] = {
    {SYS_membarrier, IPC_USES_MEMBARRIER, "membarrier"},
    {SYS_futex_waitv, IPC_USES_WAITV, "futex_waitv"},
    {SYS_futex, IPC_USES_FUTEX, "futex"},
    {SYS_eventfd2, IPC_USES_EVENTFD, "eventfd2"},
    {SYS_signalfd4, 0, "signalfd4"},
    {SYS_pidfd_open, IPC_USES_PIDFD, "pidfd_open"},
    {SYS_pidfd_send_signal, IPC_USES_PIDFD, "pidfd_send_signal"},
    {SYS_inotify_init1, IPC_USES_WATCH, "inotify_init1"},
};
#define CALLS (sizeof calls / sizeof *calls)
enum { NO_MEMBARRIER, NO_WAITV, NO_FUTEX, NO_EVENTFD, NO_SIGNALFD, NO_PIDFD };

/* From now on these calls (one bit each) fail in this process and its children. */
static int deny(uint32_t which, int with)
{
    struct sock_filter f[2 * CALLS + 2];
    struct sock_fprog program;
    unsigned short n = 0;
    size_t i;

    f[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (i = 0; i < CALLS; i++)
        if (which >> i & 1) {
            f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                  (uint32_t)calls[i].call, 0, 1);
            f[n++] =
                (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)with);
        }
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = n;
    program.filter = f;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0
               ? 0
               : -errno;
}

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

/* Posts on a notifier that has seen no sleeper yet, at the moment when the other prepares. */
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
        struct meeting how = {100000, denied[i][0], denied[i][1], 0};
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

/* ------------------------------------------------------------------ hostile memory */

#define SCRIBBLES_MS 700

/* Scribbles over the first *arg bytes. */
static void scribbles(struct child *up, void *arg)
{
    struct room *r = another_map();
    uint64_t words = *(const uint64_t *)arg / 4;

    (void)up;
    for (;;) {
        uint32_t *at = &((uint32_t *)&r->bell[0])[chance() % words];

        ck_pr_store_32(at, chance() % 4 == 0 ? (uint32_t)chance() % 256 : (uint32_t)chance());
        if (chance() % 64 == 0)
            dawdle(chance() % 2000);
    }
}

static void suffers(struct child *up, void *arg)
{
    unsigned kind = *(const unsigned *)arg;
    struct ipc_peer me = own_peer(NULL);
    int64_t end = ipc_in_ms(SCRIBBLES_MS);
    struct ipc_notify n, *all[1];
    struct ipc_any any;
    uint64_t waits = 0;
    double worst = 0;

    attach_drowsy(&n, &room->bell[0], &me);
    if (kind == IPC_NOTIFY_EVENTFD)
        MUST(ipc_notify_fd(&n) >= 0);
    all[0] = &n;
    IS(ipc_any_init(&any, all, 1), 0);
    tell(up, 0);
    (void)hear(up); /* the scribbler is there */
    while (ipc_left_(end) > 0) {
        int64_t deadline = ipc_clock() + (int64_t)(chance() % 12000000);
        unsigned i;
        int rc;

        ipc_notify_watch(&n, chance() % 2 ? 5 : 0);
        rc = chance() % 4 ? ipc_wait(&n, deadline, 0) : ipc_wait_any(&any, deadline, i, 0);
        IS(rc, -ETIMEDOUT);
        MUST(ipc_left_(deadline) == 0);
        worst = larger(worst, ms_since(deadline));
        for (i = 0; i < 20; i++) {
            rc = i % 2 ? ipc_notify_post(&n) : ipc_notify_post_one(&n);
            MUST(rc == 0);
            ipc_notify_arm(&n);
            ipc_notify_drain(&n);
        }
        waits++;
    }
    MUST(worst < LATE_MS);
    tell(up, waits);
    tell(up, (uint64_t)(worst * 1000));
    ipc_any_close(&any);
    ipc_notify_detach(&n);
}

static void hostile_memory_crashes_nobody_and_deadlines_hold(void **state)
{
    unsigned kind;

    (void)state;
    for (kind = 0; kind < 3; kind++) {
        /* The semaphore itself belongs to glibc, which trusts it. */
        uint64_t bytes = kind == IPC_NOTIFY_SEMAPHORE ? 16 : 64, waits;
        struct child c[2], s;
        double late = 0;
        int i;

        make_bell(0, kind);
        for (i = 0; i < 2; i++) {
            c[i] = spawn(suffers, &kind);
            (void)hear(&c[i]);
        }
        s = spawn(scribbles, &bytes);
        for (i = 0; i < 2; i++)
            tell(&c[i], 0);
        for (waits = 0, i = 0; i < 2; i++) {
            double this;

            waits += hear(&c[i]);
            this = (double)hear(&c[i]) / 1000;
            late = larger(late, this);
            finish(&c[i]);
        }
        kill_child(&s);
        print_message("note: kind %u: %llu waits under fire, %.2f ms late at most\n", kind,
                      (unsigned long long)waits, late);
    }
}

/* Any value of the word, which nobody else changes. */
static void any_word_is_survived(void **state)
{
    struct ipc_peer me = own_peer(NULL);
    struct ipc_notify n;
    unsigned i;

    (void)state;
    make_bell(0, IPC_NOTIFY_EVENTFD);
    attach_drowsy(&n, &room->bell[0], &me);
    MUST(ipc_notify_fd(&n) >= 0);
    for (i = 0; i < 600; i++) {
        int64_t deadline = ipc_clock() + 300000;

        ck_pr_store_32(&room->bell[0].word, i < 512 ? i : (uint32_t)chance());
        ipc_notify_watch(&n, i % 2 ? 5 : 0);
        IS(ipc_wait(&n, deadline, 0), -ETIMEDOUT);
        ck_pr_store_32(&room->bell[0].word, i < 512 ? i : (uint32_t)chance());
        IS(ipc_notify_post(&n), 0);
        ck_pr_store_32(&room->bell[0].word, i < 512 ? i : (uint32_t)chance());
        IS(ipc_notify_post_one(&n), 0);
        ipc_notify_arm(&n);
        IS(ipc_notify_post(&n), 0);
        MUST(poll(&(struct pollfd){n.fd, POLLIN, 0}, 1, 0) == 1);
        ipc_notify_drain(&n);
    }
    ipc_notify_detach(&n);
}

/* A peer writes all the time, and at the worst moments: here in the condition, which is evaluated
 * between prepare and wait, and between two looks at the holder of the other end. So each sleep is
 * refused or not even begun. A call that does not look at the clock ends after TOO_MANY looks, long
 * past its deadline. */
#define TOO_MANY 100000u

static unsigned flips;

static int flip_word(struct ipc_notify_shared *bell)
{
    ck_pr_store_32(&bell->word, ck_pr_load_32(&bell->word) + IPC_NOTIFY_COUNT_);
    return ++flips > TOO_MANY;
}

static void word_that_changes_before_each_sleep_stretches_no_deadline(void **state)
{
    struct ipc_peer me = own_peer(NULL);
    unsigned kind, watch, i;

    (void)state;
    for (kind = 0; kind < KINDS; kind++)
        for (watch = 0; watch < 2; watch++) {
            struct ipc_notify n, *all[1];
            struct ipc_any any;
            int64_t deadline;
            int rc = 0;

            make_bell(0, kind);
            attach_drowsy(&n, &room->bell[0], &me);
            ipc_notify_watch(&n, watch ? 5 : 0);
            all[0] = &n;
            IS(ipc_any_init(&any, all, 1), 0);
            flips = 0;
            deadline = ipc_in_ms(1);
            IS(ipc_wait(&n, deadline, flip_word(n.at)), -ETIMEDOUT);
            MUST(ipc_left_(deadline) == 0);
            flips = 0;
            deadline = ipc_in_ms(1);
            IS(ipc_wait_any(&any, deadline, i, flip_word(n.at)), -ETIMEDOUT);
            MUST(ipc_left_(deadline) == 0);
            flips = 0;
            deadline = ipc_in_ms(1);
            while (rc == 0) {
                uint32_t key = ipc_notify_prepare(&n);

                if (flip_word(n.at))
                    break;
                rc = ipc_notify_wait(&n, key, deadline);
            }
            IS(rc, -ETIMEDOUT);
            flips = 0;
            IS(ipc_wait(&n, IPC_FOREVER, flip_word(n.at) || flips > 1000), 0);
            ipc_any_close(&any);
            ipc_notify_detach(&n);
        }
}

/* All typed rings wait in the same way; here with a look of our own. */
static int flip_holder(void *handle, void *argument)
{
    struct msgs_consumer *c = (struct msgs_consumer *)handle;

    (void)argument;
    ck_pr_store_64(&c->raw.ring->end[0], ck_pr_load_64(&c->raw.ring->end[0]) + 2);
    return ++flips > TOO_MANY;
}

static int msgs_flipped(struct msgs_consumer *c, int64_t deadline)
{
    return ipc_notify_wait_with_peer_(&c->data, &c->raw.ring->end[0], &c->raw.ring->left[0],
                                      &c->peer, deadline,
                                  ipc_notify_wait_until_, flip_holder, c, NULL);
}

static void holder_that_changes_with_each_look_stretches_no_deadline(void **state)
{
    unsigned char *mem = (unsigned char *)room->word;
    struct ipc_peer me = own_peer(NULL);
    struct msgs_consumer in;
    int64_t deadline;

    (void)state;
    mem += (64 - (uintptr_t)mem % 64) % 64;
    IS(msgs_init(mem, 1024, 2), 0);
    IS(msgs_consumer_attach(&in, mem, 1024, &me), 0);
    put(&in.raw.ring->end[0], 1);
    flips = 0;
    IS(msgs_flipped(&in, IPC_NOW), -ETIMEDOUT);
    flips = 0;
    deadline = ipc_in_ms(1);
    IS(msgs_flipped(&in, deadline), -ETIMEDOUT);
    MUST(ipc_left_(deadline) == 0);
    msgs_consumer_detach(&in);
}

/* Each post meets a sleeper that must be stirred; then one more element is free. */
static void frees_one(void *arg)
{
    struct chars_producer *p = (struct chars_producer *)arg;

    ck_pr_store_64(&p->raw.s.ring->head, ck_pr_load_64(&p->raw.s.ring->head) + 1);
    ck_pr_store_32(&p->data.at->word, ck_pr_load_32(&p->data.at->word) | IPC_NOTIFY_DOZING_);
}

static void room_that_comes_by_single_elements_stretches_no_deadline(void **state)
{
    static char text[TOO_MANY];
    struct ipc_peer me = own_peer(NULL);
    struct chars_producer out;
    int64_t deadline, sent;
    void *mem = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    MUST(mem != MAP_FAILED);
    IS(chars_init(mem, RING_SIZE, 4096), 0);
    me.stir = frees_one;
    me.arg = &out;
    me.alive = NULL;
    IS(chars_producer_attach(&out, mem, RING_SIZE, &me), 0);
    while (chars_push_n(&out, text, sizeof text) > 0)
        ;
    frees_one(&out);
    deadline = ipc_in_ms(1);
    sent = chars_send(&out, text, sizeof text, deadline);
    MUST(sent > 0 && sent < (int64_t)sizeof text && ipc_left_(deadline) == 0);
    ck_pr_store_32(&out.data.at->word, 0); /* detach posts, too */
    chars_producer_detach(&out);
    (void)munmap(mem, RING_SIZE);
}

/* ------------------------------------------------------------------ fork and members */

static struct ipc_notify before_fork[2];

static void answers_with_copies(struct child *up, void *arg)
{
    uint64_t i, rounds = *(const uint64_t *)arg;

    (void)up;
    for (i = 1; i <= rounds; i++) {
        IS(ipc_wait(&before_fork[0], IPC_FOREVER, get(&room->word[0]) == i), 0);
        put(&room->word[1], i);
        IS(ipc_notify_post(&before_fork[1]), 0);
    }
    ipc_notify_detach(&before_fork[0]);
    ipc_notify_detach(&before_fork[1]);
}

static void copies_of_a_handle_work_after_fork(void **state)
{
    uint64_t i, rounds = 3000;
    unsigned kind;

    (void)state;
    for (kind = 0; kind < KINDS; kind++) {
        struct child c;

        make_bell(0, kind);
        make_bell(1, kind);
        put(&room->word[0], 0);
        put(&room->word[1], 0);
        for (i = 0; i < 2; i++) {
            attach(&before_fork[i], &room->bell[i], NULL);
            ipc_notify_policy(&before_fork[i], kind * 20, 0);
        }
        c = spawn(answers_with_copies, &rounds);
        for (i = 1; i <= rounds; i++) {
            put(&room->word[0], i);
            IS(ipc_notify_post(&before_fork[0]), 0);
            IS(ipc_wait(&before_fork[1], IPC_FOREVER, get(&room->word[1]) == i), 0);
        }
        finish(&c);
        ipc_notify_detach(&before_fork[0]);
        ipc_notify_detach(&before_fork[1]);
    }
}

static unsigned who_is_there(struct ipc_shm *seg, struct ipc_shm_member *them, int alive)
{
    unsigned i, n = 0;

    for (i = 0; i < IPC_SHM_MEMBERS; i++)
        if (ipc_shm_who(seg, i, &them[n]) == 0 && them[n].alive == alive)
            n++;
    return n;
}

static void is_another_member(struct child *up, void *arg)
{
    struct ipc_shm_member them[IPC_SHM_MEMBERS + 1];
    unsigned i, n, me = 0;

    (void)arg;
    IS(who_is_there(&shm, them, 1), 2); /* this call finds it */
    for (n = 2, i = 0; i < n; i++) {
        MUST(them[i].here);
        me += them[i].me != 0;
        IS(them[i].pid, them[i].me ? getpid() : up->pid);
    }
    IS(me, 1);
    tell(up, ipc_shm_peer(&shm)->id);
    (void)hear(up);
    ipc_shm_close(&shm);
}

static void who_lists_parent_and_child_after_fork(void **state)
{
    struct ipc_shm_member them[IPC_SHM_MEMBERS + 1], one;
    struct ipc_shm closed;
    struct child c;
    uint64_t id;
    int dies;

    (void)state;
    SKIP_IF(cannot_map_again(), "qemu-user cannot map the segment again in a child");
    for (dies = 0; dies < 2; dies++) {
        hall = make_room(&shm, name);
        IS(who_is_there(&shm, them, 1), 1);
        MUST(them[0].me && them[0].here && them[0].pid == getpid());
        IS(them[0].id, ipc_shm_peer(&shm)->id);
        c = spawn(is_another_member, NULL);
        id = hear(&c);
        MUST(id != ipc_shm_peer(&shm)->id);
        IS(who_is_there(&shm, them, 1), 2);
        IS(who_is_there(&shm, them, 0), 0);
        MUST(them[0].id != them[1].id);
        if (dies) {
            kill_child(&c);
            IS(who_is_there(&shm, them, 0), 1);
            IS(them[0].id, id);
            IS(them[0].pid, c.pid);
            MUST(!them[0].me);
        } else {
            tell(&c, 0);
            finish(&c);
            IS(who_is_there(&shm, them, 0), 0); /* one that left is no member */
        }
        IS(who_is_there(&shm, them, 1), 1);
        IS(ipc_shm_who(&shm, IPC_SHM_MEMBERS, &one), -ENOENT);
        IS(ipc_shm_who(&shm, UINT_MAX, &one), -ENOENT);
        IS(ipc_shm_who(&shm, 63, &one), -ENOENT);
        /* Its entry has an id that belongs elsewhere, as a hostile peer may write. */
        ck_pr_store_64(&ipc_shm_member_of_(&shm, 63)->id, 64 * 5 + 3);
        IS(ipc_shm_who(&shm, 63, &one), -ENOENT);
        ck_pr_store_64(&ipc_shm_member_of_(&shm, 63)->id, 0);
        ipc_shm_close(&shm);
        IS(ipc_shm_unlink(name), 0);
    }
    closed = shm;
    IS(ipc_shm_who(&closed, 0, &one), -EINVAL);
}

static void watch_is_one_descriptor_that_tells(void **state)
{
    struct ipc_peer *me;
    struct child c;
    struct pollfd p;
    unsigned open;
    uint64_t id;
    int loop;

    (void)state;
    hall = make_room(&shm, name);
    me = ipc_shm_peer(&shm);
    c = spawn(puppet, NULL);
    id = hear(&c);
    open = open_fds();
    p.fd = me->watch->open(me->arg, id);
    p.events = POLLIN;
    IS(me->watch->open(me->arg, id), p.fd); /* again: no more descriptors */
    MUST(p.fd >= 0 && open_fds() == open + 2);
    IS(poll(&p, 1, 0), 0);
    MUST(me->alive(me->arg, id));
    /* A post by the other member stirs us. */
    ck_pr_store_32(&hall->bell[0].word, IPC_NOTIFY_DOZING_ | IPC_NOTIFY_ASLEEP_);
    tell(&c, POST);
    IS(hear(&c), 0);
    IS(poll(&p, 1, LONG_MS), 1);
    IS(me->watch->take(me->arg), IPC_WATCH_STIRRED);
    IS(poll(&p, 1, 0), 0);
    IS(me->watch->take(me->arg), IPC_WATCH_STIRRED); /* nothing */
    loop = me->watch->loop(me->arg);
    MUST(loop >= 0 && loop != p.fd);
    kill_child(&c);
    IS(poll(&p, 1, LONG_MS), 1);
    IS(me->watch->take(me->arg), IPC_WATCH_MAYBE);
    MUST(!me->alive(me->arg, id));
    p.fd = loop;
    IS(poll(&p, 1, LONG_MS), 1);
    (void)close(loop);
    open = open_fds();
    ipc_shm_close(&shm);
    IS(open_fds(), open - 3); /* the segment, epoll and inotify */
    MUST(me->watch->open(me->arg, id) < 0);
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

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, before, after)

static int run_all(const char *filter)
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
        TEST(descriptor_passed_on_wakes_event_loops),
        TEST(inherited_descriptor_wakes_event_loops),
        TEST(signals_wake_event_loops),
        TEST(what_is_no_descriptor_is_not_received),
        TEST(full_eventfd_neither_blocks_nor_fails_a_post),
        TEST(signal_reaches_who_listens_and_nobody_else),
        TEST(garbage_for_a_target_signals_nobody),
        TEST(the_kind_is_what_attach_was_told),
        TEST(ring_accepts_only_bells_of_its_kind),
        TEST(full_semaphore_fails_no_post),
        TEST(stale_tokens_wake_nobody_for_nothing_for_long),
        TEST(late_sleeper_takes_no_wake_from_an_early_one),
        TEST(waiter_killed_as_it_wakes_holds_nobody_up),
        TEST(death_is_told_once_in_a_named_segment),
        TEST(death_is_told_once_in_a_nameless_segment),
        TEST(creator_wakes_and_its_death_is_told),
        TEST(post_wakes_who_is_long_asleep),
        TEST(poster_without_a_peer_wakes_who_is_long_asleep),
        TEST(poster_without_a_peer_that_leaves_is_forgotten),
        TEST(typed_ring_works_in_an_event_loop),
        TEST(descriptors_are_none_of_the_first_three),
        TEST(successor_is_awaited_after_a_death),
        TEST(death_is_told_to_short_waits_too),
        TEST(stopped_peer_is_not_dead),
        TEST(peer_that_closes_the_segment_counts_as_dead),
        TEST(death_is_told_though_a_child_keeps_the_descriptor),
        TEST(death_in_another_pid_namespace_is_told),
        TEST(peer_of_ones_own_is_asked),
        TEST(idle_waits_cost_little),
        TEST(every_message_is_received_in_order),
        TEST(full_and_empty_rings_time_out),
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
        TEST(holder_without_a_peer_is_not_told_dead),
        TEST(sleeper_that_is_stirred_often_looks_once_a_second),
        TEST(any_of_none_or_too_many_is_refused),
        TEST(any_tells_which),
        TEST(any_is_fair),
        TEST(any_tells_whose_peer_died),
        TEST(any_tells_a_death_after_the_data),
        TEST(no_wake_is_missed),
        TEST(hostile_memory_crashes_nobody_and_deadlines_hold),
        TEST(any_word_is_survived),
        TEST(word_that_changes_before_each_sleep_stretches_no_deadline),
        TEST(holder_that_changes_with_each_look_stretches_no_deadline),
        TEST(room_that_comes_by_single_elements_stretches_no_deadline),
        TEST(copies_of_a_handle_work_after_fork),
        TEST(who_lists_parent_and_child_after_fork),
        TEST(watch_is_one_descriptor_that_tells),
        TEST(fence_turns_to_the_posters_and_back),
        TEST(process_without_membarrier_fixes_the_fence),
        TEST(attaching_interrupts_no_other_process),
    };
    /* Tests that take long: every instruction, every missing call. */
    static const struct CMUnitTest thorough[] = {
        TEST(sleeper_is_woken_by_one_without_futexes),
        TEST(one_post_wakes_all_processes_and_threads),
        TEST(poster_killed_at_any_instruction_is_told_to_who_watches),
        TEST(poster_killed_at_any_instruction_leaves_the_wake_to_the_next),
        TEST(waiter_killed_at_any_instruction_holds_nobody_up),
        TEST(plain_peer_that_wakes_nobody_is_looked_at),
        TEST(missing_calls_are_replaced),
        TEST(prepare_and_post_cannot_miss_each_other),
    };

    if (filter != NULL && strcmp(filter, "thorough") == 0)
        return cmocka_run_group_tests_name("ipc_notify, thorough", thorough, NULL, NULL);
    if (filter != NULL)
        cmocka_set_test_filter(filter); /* with * and ? */
    return cmocka_run_group_tests_name("ipc_notify", tests, NULL, NULL);
}

static volatile sig_atomic_t runner;

static void stop_all(int number)
{
    (void)number;
    if (runner > 0)
        (void)kill((pid_t)runner, SIGKILL); /* and its children with it */
}

/* The tests run in a child, so that one that dies or hangs leaves nothing behind all the same. */
int main(int argc, char **argv)
{
    pid_t pid;
    int status;

    set_up(0, NULL);
    (void)sched_getaffinity(0, sizeof processors, &processors);
    pid = fork();
    if (pid == 0) {
        int rc;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        rc = run_all(argc > 1 ? argv[1] : NULL);
        (void)fflush(NULL);
        _exit(rc != 0); /* 256 failures must not become 0 */
    }
    runner = pid;
    (void)signal(SIGTERM, stop_all);
    (void)signal(SIGINT, stop_all);
    (void)signal(SIGHUP, stop_all);
    while (pid < 0 || (waitpid(pid, &status, 0) < 0 && errno == EINTR))
        if (pid < 0)
            return 1;
    (void)clean_up(NULL);
    if (WIFSIGNALED(status))
        printf("[  FAILED  ] the tests died of signal %d%s\n", WTERMSIG(status),
               WTERMSIG(status) == SIGALRM ? ": they hang" : "");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
