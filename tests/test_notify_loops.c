/*
 * Tests of ipc_notify.h: event loops, signals as a kind, what the program alone decides, hostile memory,
 * any of many.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "notify.h"

#include <sys/un.h>

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

/* ends[0]: a datagram socket with a name; ends[1]: one that is connected to it. */
static void connect_to_a_name(int ends[2])
{
    struct sockaddr_un at;
    socklen_t size = sizeof at;

    memset(&at, 0, sizeof at);
    at.sun_family = AF_UNIX;
    ends[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ends[1] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(ends[0] >= 0 && ends[1] >= 0);
    MUST(bind(ends[0], (struct sockaddr *)&at, sizeof at.sun_family) == 0); /* the kernel names it */
    MUST(getsockname(ends[0], (struct sockaddr *)&at, &size) == 0 &&
         connect(ends[1], (struct sockaddr *)&at, size) == 0);
}

static void what_is_no_descriptor_is_not_received(void **state)
{
    static const uint64_t hello = IPC_NOTIFY_HELLO_;
    int copies[] = {room_fd, room_fd, room_fd, room_fd};
    unsigned fds = open_fds(), i, types;
    struct ipc_notify n, m;
    int pair[2], ends[2];

    (void)state;
    SKIP_IF(is_emulated(), KEEPS_DESCRIPTORS);
    make_bell(0, IPC_NOTIFY_EVENTFD);
    attach(&n, &room->bell[0], NULL);
    attach(&m, &room->bell[0], NULL);
    for (types = 0; types < 2; types++) {
        int64_t then, type = types ? SOCK_SEQPACKET : SOCK_STREAM;

        MUST(socketpair(AF_UNIX, (int)type | SOCK_CLOEXEC, 0, pair) == 0);
        IS(ipc_notify_recv_fd(&n, pair[0], IPC_NOW), -ETIMEDOUT);
        IS(ipc_notify_recv_fd(&n, pair[0], -7), -EINVAL);
        IS(ipc_notify_recv_fd(&n, pair[0], IPC_DEADLINE_FIRST_ - 1), -EINVAL); /* a span */
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
        for (i = 1; i < 3; i++) { /* memory */
            send_raw(pair[1], &hello, sizeof hello, copies, i);
            IS(ipc_notify_recv_fd(&n, pair[0], ipc_in_ms(LONG_MS)), -EPROTO);
        }
        MUST(pipe(ends) == 0); /* a post to one that nobody reads would raise SIGPIPE */
        for (i = 1; i < 3; i++) {
            send_raw(pair[1], &hello, sizeof hello, ends, i);
            IS(ipc_notify_recv_fd(&n, pair[0], ipc_in_ms(LONG_MS)), -EPROTO);
        }
        (void)close(ends[0]);
        (void)close(ends[1]);
        connect_to_a_name(ends);
        copies[0] = copies[1] = ends[1]; /* a post would be a message to whoever is there */
        send_raw(pair[1], &hello, sizeof hello, copies, 2);
        copies[0] = copies[1] = room_fd;
        IS(ipc_notify_recv_fd(&n, pair[0], ipc_in_ms(LONG_MS)), -EPROTO);
        (void)close(ends[0]);
        (void)close(ends[1]);
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

static void drains_what_blocks(struct child *up, void *arg)
{
    struct ipc_notify *n = (struct ipc_notify *)arg;
    struct pollfd p;

    (void)up;
    (void)alarm(LONG_MS / 1000);
    p.fd = ipc_notify_fd(n);
    p.events = POLLIN;
    ipc_notify_drain(n); /* nothing is there */
    ipc_notify_arm(n);
    IS(ipc_notify_post(n), 0);
    IS(poll(&p, 1, 0), 1);
    ipc_notify_drain(n);
    IS(poll(&p, 1, 0), 0);
    ipc_notify_drain(n);
}

/* O_NONBLOCK is one flag for all that have the descriptor, so a peer can take it off. */
static void a_peer_that_lets_the_descriptor_block_stops_no_drain(void **state)
{
    struct ipc_notify n;

    (void)state;
    make_bell(0, IPC_NOTIFY_EVENTFD);
    attach(&n, &room->bell[0], NULL);
    MUST(ipc_notify_fd(&n) >= 0 && fcntl(ipc_notify_fd(&n), F_SETFL, 0) == 0);
    IS(run(drains_what_blocks, &n), 0);
    ipc_notify_detach(&n);
}

static int post_armed(struct ipc_notify *n)
{
    ipc_notify_arm(n);
    return ipc_notify_post(n);
}

/* Where there is no eventfd, posts go over a pair of sockets. That is the test's own here, as a
 * peer would hand it over that has let it block. */
static void posts_to_what_blocks(struct child *up, void *arg)
{
    static const uint64_t hello = IPC_NOTIFY_HELLO_;
    int pair[2], ends[2];
    struct ipc_notify n;
    struct pollfd p;
    unsigned i;

    (void)up, (void)arg;
    (void)alarm(LONG_MS / 1000);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 &&
         socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    make_bell(0, IPC_NOTIFY_EVENTFD);
    attach(&n, &room->bell[0], NULL);
    send_raw(pair[1], &hello, sizeof hello, ends, 2);
    IS(ipc_notify_recv_fd(&n, pair[0], IPC_NOW), 0);
    p.fd = ipc_notify_fd(&n);
    p.events = POLLIN;
    ipc_notify_drain(&n); /* nothing is there */
    for (i = 0; i < 3000; i++)
        IS(post_armed(&n), 0);
    IS(poll(&p, 1, 0), 1);
    ipc_notify_drain(&n);
    IS(poll(&p, 1, 0), 0);
    (void)close(ends[0]);
    (void)close(n.fd);
    n.fd = -1;
    IS(post_armed(&n), -EPIPE); /* and no SIGPIPE */
    ipc_notify_detach(&n);
}

static void a_socket_that_blocks_stops_no_post(void **state)
{
    (void)state;
    IS(run(posts_to_what_blocks, NULL), 0);
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

/* For the next tests: a segment with a room, inherited by all processes. */
static struct ipc_shm shm;

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

/* ------------------------------------------------------------------ all of them */

static int run_all(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(descriptor_passed_on_wakes_event_loops),
        TEST(inherited_descriptor_wakes_event_loops),
        TEST(signals_wake_event_loops),
        TEST(what_is_no_descriptor_is_not_received),
        TEST(a_peer_that_lets_the_descriptor_block_stops_no_drain),
        TEST(a_socket_that_blocks_stops_no_post),
        TEST(full_eventfd_neither_blocks_nor_fails_a_post),
        TEST(signal_reaches_who_listens_and_nobody_else),
        TEST(garbage_for_a_target_signals_nobody),
        TEST(the_kind_is_what_attach_was_told),
        TEST(any_of_none_or_too_many_is_refused),
        TEST(any_tells_which),
        TEST(any_is_fair),
        TEST(any_tells_whose_peer_died),
        TEST(any_tells_a_death_after_the_data),
        TEST(hostile_memory_crashes_nobody_and_deadlines_hold),
        TEST(any_word_is_survived),
        TEST(word_that_changes_before_each_sleep_stretches_no_deadline),
        TEST(holder_that_changes_with_each_look_stretches_no_deadline),
        TEST(room_that_comes_by_single_elements_stretches_no_deadline),
    };

    return cmocka_run_group_tests_name("ipc_notify, loops", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return run_in_child(run_all, argc, argv);
}
