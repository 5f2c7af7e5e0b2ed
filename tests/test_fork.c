/*
 * Tests of whose process it is: who counts as alive after a fork, an exec, in other namespaces and
 * as another user, and which of parent and child goes on with what both have.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_shm.h"
#include "ipc_notify.h"
#include "ipc_ring.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

#include <grp.h>
#include <sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

struct tick {
    uint64_t n;
};
IPC_SPSC(ticks, struct tick)
IPC_BROADCAST(news, struct tick)
IPC_RECORDS(logs)

static void make(struct ipc_shm *seg)
{
    MUST(ipc_shm_create(seg, name, 1 << 20) == 0);
    MUST(ticks_create(seg, "ticks", 64) == 0);
}

static void join(struct ipc_shm *seg)
{
    MUST(ipc_shm_open(seg, name, ipc_in_ms(LONG_MS)) == 0);
}

/* A child that keeps what it has inherited, and calls nothing, until it is killed. */
static pid_t idle_child(void)
{
    pid_t pid = fork();

    MUST(pid >= 0);
    if (pid == 0) {
        become_orphan();
        wait_for_death();
    }
    return pid;
}

/* ------------------------------------------------------------------ namespaces, users, exec */

/* What runs in a namespace of its own: f, as the first process there where it is one of pids. */
struct inside {
    int what; /* CLONE_NEWPID, CLONE_NEWTIME */
    body *f;
    pid_t *first; /* its pid outside; in memory that is shared */
};

static void goes_inside(struct child *up, void *arg)
{
    const struct inside *in = (const struct inside *)arg;
    static const char offsets[] = "monotonic 86400 0\nboottime 86400 0\n";
    int fd, status;
    pid_t first;

    if (unshare(in->what) != 0)
        _exit(UNABLE);
    if (in->what == CLONE_NEWTIME) {
        fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, offsets, strlen(offsets)) < 0)
            _exit(UNABLE);
        (void)close(fd);
    }
    first = fork();
    MUST(first >= 0);
    if (first == 0) {
        become_child();
        in->f(up, NULL);
        _exit(0);
    }
    if (in->first != NULL)
        *in->first = first;
    MUST(waitpid(first, &status, 0) == first);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 0);
}

static void does_nothing(struct child *up, void *arg)
{
    (void)up;
    (void)arg;
}

static int can_go_inside(int what)
{
    struct inside in = {what, does_nothing, NULL};

    return run(goes_inside, &in) == 0;
}

/* Opens the segment, takes the producer's end, and lives. */
static void holds_the_end(struct child *up, void *arg)
{
    struct ticks_producer out;
    struct ipc_shm seg;

    (void)arg;
    join(&seg);
    IS(ticks_producer_open(&out, &seg, "ticks"), 0);
    tell(up, ipc_shm_peer(&seg)->id);
    (void)hear(up);
    wait_for_death();
}

/* The producer of which the process above it is to say whether it lives. */
static uint64_t asked_for;

static void says_whether_it_lives(struct child *up, void *arg)
{
    struct ticks_producer second;
    struct ipc_shm seg;
    int i;

    (void)arg;
    join(&seg);
    for (i = 0; i < 3; i++) { /* alive, stopped, killed */
        tell(up, (uint64_t)ipc_shm_alive(&seg, asked_for));
        (void)hear(up);
        if (i < 2)
            IS(ticks_producer_open(&second, &seg, "ticks"), -EBUSY);
    }
    EVENTUALLY(!ipc_shm_alive(&seg, asked_for));
    IS(ticks_producer_open(&second, &seg, "ticks"), 0);
}

/* The process that holds the end in one namespace is judged in another: alive, stopped, killed. */
static void is_judged_rightly(int holder_in, int judge_in)
{
    struct inside holder = {holder_in, holds_the_end, NULL};
    struct inside judge = {judge_in, says_whether_it_lives, NULL};
    struct ipc_shm seg;
    struct child h, j;
    pid_t pid;

    holder.first = (pid_t *)mmap(NULL, sizeof pid, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                                 -1, 0);
    MUST(holder.first != MAP_FAILED);
    make(&seg);
    h = holder_in != 0 ? spawn(goes_inside, &holder) : spawn(holds_the_end, NULL);
    asked_for = hear(&h);
    EVENTUALLY(holder_in == 0 || ck_pr_load_int(holder.first) != 0);
    pid = holder_in != 0 ? *holder.first : h.pid;
    (void)munmap(holder.first, sizeof pid);
    j = judge_in != 0 ? spawn(goes_inside, &judge) : spawn(says_whether_it_lives, NULL);
    IS(hear(&j), 1);
    MUST(pid > 1 && kill(pid, SIGSTOP) == 0);
    tell(&j, 0);
    IS(hear(&j), 1);
    tell(&j, 0);
    (void)hear(&j);
    MUST(kill(pid, SIGKILL) == 0);
    tell(&j, 0);
    finish(&j);
    (void)reap(&h);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(name), 0);
}

static void time_namespaces_kill_nobody(void **state)
{
    (void)state;
    is_judged_rightly(0, 0);
    SKIP_IF(!can_go_inside(CLONE_NEWTIME), "may not make a time namespace");
    is_judged_rightly(0, CLONE_NEWTIME);
    is_judged_rightly(CLONE_NEWTIME, 0);
}

/* The holder is process 1, and so may be the one that asks. */
static void pid_namespaces_kill_nobody(void **state)
{
    (void)state;
    SKIP_IF(!can_go_inside(CLONE_NEWPID), "may not make a PID namespace");
    is_judged_rightly(0, CLONE_NEWPID);
    is_judged_rightly(CLONE_NEWPID, 0);
    is_judged_rightly(CLONE_NEWPID, CLONE_NEWPID);
}

/* A producer that has forked, made a call, and is killed, while its child lives and does nothing. */
static void has_an_idle_child(struct child *up, void *arg)
{
    struct ticks_producer out;
    struct tick t = {1};
    struct ipc_shm seg;
    pid_t idle;

    (void)arg;
    join(&seg);
    IS(ticks_producer_open(&out, &seg, "ticks"), 0);
    idle = idle_child();
    IS(ticks_push(&out, &t), 0);
    tell(up, (uint64_t)idle);
    (void)hear(up);
    (void)raise(SIGKILL);
}

/* The first process in a PID namespace, whose own child is the producer. */
static void keeps_the_producer(struct child *up, void *arg)
{
    pid_t producer = fork();

    MUST(producer >= 0);
    if (producer == 0) {
        become_child();
        has_an_idle_child(up, arg);
    }
    MUST(waitpid(producer, NULL, 0) == producer);
    wait_for_death(); /* and with it goes the idle child */
}

static void death_of_who_has_an_idle_child_is_told(void **state)
{
    struct inside in = {CLONE_NEWPID, keeps_the_producer, NULL};
    struct ticks_consumer c;
    struct ipc_shm seg;
    struct child feed;
    struct tick t;
    int64_t since;
    int nested;
    pid_t idle;

    (void)state;
    SKIP_IF(is_emulated(), NO_DONTFORK);
    for (nested = 0; nested < 2; nested++) {
        SKIP_IF(nested && !can_go_inside(CLONE_NEWPID), "may not make a PID namespace");
        make(&seg);
        feed = nested ? spawn(goes_inside, &in) : spawn(has_an_idle_child, NULL);
        idle = (pid_t)hear(&feed);
        IS(ticks_consumer_open(&c, &seg, "ticks"), 0);
        IS(ticks_recv(&c, &t, ipc_in_ms(LONG_MS)), 0);
        IS(ticks_recv(&c, &t, ipc_in_ms(20)), -ETIMEDOUT);
        since = ipc_clock();
        tell(&feed, 0);
        IS(ticks_recv(&c, &t, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
        print_message("note: told within %.1f ms\n", (double)(ipc_clock() - since) / 1e6);
        if (nested)
            signal_child(&feed, SIGKILL); /* the keeper outside; the first one inside follows */
        else
            MUST(idle > 1 && kill(idle, SIGKILL) == 0);
        (void)reap(&feed);
        ticks_consumer_detach(&c);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* Fills a ring, and reads one message, which is not published yet. Then PUBLISH makes room. */
#define PUBLISHES(PUSH, POP, PUBLISH)                                                              \
    do {                                                                                           \
        while (PUSH == 0)                                                                          \
            ;                                                                                      \
        MUST(POP >= 0);                                                                            \
        IS(PUSH, -EAGAIN);                                                                         \
        PUBLISH;                                                                                   \
        IS(PUSH, 0);                                                                               \
    } while (0)

static void what_was_read_is_published_where_fork_wipes_nothing(void **state)
{
    struct ticks_producer ticks_out;
    struct ticks_consumer ticks_in;
    struct news_producer news_out;
    struct news_consumer news_in;
    struct logs_producer logs_out;
    struct logs_consumer logs_in;
    struct tick t = {1}, some[8] = {{1}};
    struct ipc_shm seg;
    char line[56] = "";

    (void)state;
    make(&seg);
    let_fork_copy_all(&seg);
    IS(ticks_producer_open(&ticks_out, &seg, "ticks"), 0);
    IS(ticks_consumer_open(&ticks_in, &seg, "ticks"), 0);
    IS(news_producer_create(&news_out, &seg, "news", 64, IPC_BROADCAST_LOSSLESS), 0);
    IS(news_consumer_open(&news_in, &seg, "news"), 0);
    IS(logs_producer_create(&logs_out, &seg, "logs", 4096, 1), 0);
    IS(logs_consumer_open(&logs_in, &seg, "logs"), 0);
    PUBLISHES(ticks_push(&ticks_out, &t), ticks_pop(&ticks_in, &t),
              IS(ticks_consumer_post(&ticks_in), 0));
    PUBLISHES(ticks_push(&ticks_out, &t), ticks_pop(&ticks_in, &t), ticks_replay(&ticks_in, 0));
    PUBLISHES(news_push(&news_out, &t), news_pop(&news_in, &t),
              IS(news_consumer_post(&news_in), 0));
    PUBLISHES(logs_push(&logs_out, line, sizeof line), logs_pop(&logs_in, line, sizeof line),
              IS(logs_consumer_post(&logs_in), 0));
    PUBLISHES(logs_push(&logs_out, line, sizeof line), logs_pop(&logs_in, line, sizeof line),
              logs_replay(&logs_in, 0));
    while (ticks_pop(&ticks_in, &t) == 0)
        ;
    IS(ticks_consumer_post(&ticks_in), 0);
    IS(ticks_push_n(&ticks_out, some, 8), 8);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(name), 0);
}

/* Detaches one end, and leaves the other to its child, which pushes when told. */
static void leaves_its_child_all(struct child *up, void *arg)
{
    struct ticks_producer out;
    struct ticks_consumer in;
    struct tick t = {1};
    struct ipc_shm seg;
    pid_t child;

    (void)arg;
    join(&seg);
    let_fork_copy_all(&seg);
    IS(ticks_consumer_open(&in, &seg, "ticks"), 0);
    ticks_consumer_detach(&in);
    IS(ticks_producer_open(&out, &seg, "ticks"), 0);
    IS(ticks_push(&out, &t), 0);
    tell(up, 0);
    (void)hear(up);
    child = fork();
    MUST(child >= 0);
    if (child > 0)
        _exit(0);
    become_orphan();
    t.n = 2;
    IS(ticks_push(&out, &t), 0);
    tell(up, 0);
    (void)hear(up);
    (void)raise(SIGKILL);
}

static void fork_that_copies_all_is_noticed(void **state)
{
    struct ticks_consumer in;
    struct ipc_shm seg;
    struct child c;
    struct tick t;
    int rc, status;

    (void)state;
    make(&seg);
    c = spawn(leaves_its_child_all, NULL);
    (void)hear(&c);
    IS(ticks_consumer_open(&in, &seg, "ticks"), 0); /* its holder lives, but has detached */
    tell(&c, 0);
    MUST(waitpid(c.pid, &status, 0) == c.pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)hear(&c);
    for (t.n = 0; t.n < 2;) {
        rc = ticks_recv(&in, &t, ipc_in_ms(LONG_MS));
        MUST(rc == 0 || rc == -EOWNERDEAD); /* of the parent */
    }
    tell(&c, 0);
    EVENTUALLY(ticks_recv(&in, &t, ipc_in_ms(LONG_MS)) == -EOWNERDEAD);
    forget(&c);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(name), 0);
}

static int copies_all; /* is fork to do as above? */

/* The first process of a PID namespace makes another one, whose first process is 1, too. */
static void has_a_child_with_its_pid(struct child *up, void *arg)
{
    struct ipc_shm seg;
    uint64_t id;
    pid_t child;
    int status;

    (void)arg;
    IS(getpid(), 1);
    join(&seg);
    if (copies_all)
        let_fork_copy_all(&seg);
    id = ipc_shm_peer(&seg)->id;
    MUST(unshare(CLONE_NEWPID) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        become_child();
        IS(getpid(), 1);
        MUST(ipc_shm_peer(&seg)->id != id && ipc_shm_peer(&seg)->id != 0);
        MUST(ipc_shm_alive(&seg, id));
        ipc_shm_close(&seg);
        _exit(0);
    }
    MUST(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    tell(up, id);
    (void)hear(up);
}

static void nested_process_1_is_not_its_parent(void **state)
{
    struct inside in = {CLONE_NEWPID, has_a_child_with_its_pid, NULL};
    struct ipc_shm seg;
    struct child c;
    uint64_t id;

    (void)state;
    SKIP_IF(!can_go_inside(CLONE_NEWPID), "may not make a PID namespace");
    for (copies_all = 0; copies_all < 2; copies_all++) {
        make(&seg);
        c = spawn(goes_inside, &in);
        id = hear(&c);
        MUST(ipc_shm_alive(&seg, id));
        tell(&c, 0);
        finish(&c);
        EVENTUALLY(!ipc_shm_alive(&seg, id));
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
    }
}

static void uses_it_as_another_user(struct child *up, void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    struct ipc_shm_object o;
    struct ticks_producer out;
    uint64_t parents = seg->peer.id;

    (void)up;
    MUST(setgroups(0, NULL) == 0 && setresgid(4401, 4401, 4401) == 0 &&
         setresuid(4401, 4401, 4401) == 0);
    IS(ipc_shm_peer(seg)->id, 0);
    MUST(strstr(ipc_shm_why(seg), "Permission denied") != NULL);
    MUST(ipc_shm_alive(seg, parents));
    IS(ipc_shm_find(seg, "ticks", IPC_SPSC_TYPE, &o), 0);
    IS(ticks_producer_attach(&out, o.mem, o.size, ipc_shm_peer(seg)), -EINVAL);
    ipc_shm_close(seg);
}

static void child_that_drops_its_privileges_is_not_its_parent(void **state)
{
    struct ipc_shm seg;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    make(&seg);
    IS(run(uses_it_as_another_user, &seg), 0);
    MUST(ipc_shm_alive(&seg, seg.peer.id));
    ipc_shm_close(&seg);
}

static void becomes_another_program(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)arg;
    join(&seg);
    tell(up, ipc_shm_peer(&seg)->id);
    (void)hear(up);
    (void)execlp("sleep", "sleep", "300", (char *)NULL);
    _exit(1);
}

static void process_that_has_executed_another_program_is_gone(void **state)
{
    struct ipc_shm seg;
    struct child c;
    uint64_t id;

    (void)state;
    make(&seg);
    c = spawn(becomes_another_program, NULL);
    id = hear(&c);
    MUST(ipc_shm_alive(&seg, id));
    tell(&c, 0);
    EVENTUALLY(!ipc_shm_alive(&seg, id));
    kill_child(&c);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ who goes on after a fork */

/* How a feed goes into the background: how often it forks; does it call with the segment's handle
 * then; as another user. */
struct background {
    int forks, calls, other_user;
};

enum { PUSH, WHO, HAVE_CHILD };

/* What the feed in the background does, as it is told. */
static void obeys(struct child *up, struct ipc_shm *seg, struct ticks_producer *out)
{
    struct tick t = {0};

    for (;;)
        switch (hear(up)) {
        case PUSH:
            t.n++;
            IS(ticks_send(out, &t, ipc_in_ms(LONG_MS)), 0);
            break;
        case WHO:
            tell(up, ipc_shm_peer(seg)->id);
            break;
        default:
            tell(up, (uint64_t)idle_child());
        }
}

/* The classic order: makes everything, then forks and exits. */
static void goes_into_background(struct child *up, void *arg)
{
    const struct background *how = (const struct background *)arg;
    struct ticks_producer out;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    uint64_t id;
    int i;

    make(&seg);
    IS(ticks_producer_open(&out, &seg, "ticks"), 0);
    id = seg.peer.id;
    IS(ipc_shm_hand_over(&seg), 0);
    IS(ipc_shm_peer(&seg)->id, 0);
    tell(up, id);
    for (i = 0; i < how->forks; i++) {
        pid_t child = fork();

        MUST(child >= 0);
        if (child > 0 && i == 0) {
            IS(ipc_shm_make(&seg, "more", 1, 64, &o), -ECHILD);
            MUST(strstr(ipc_shm_why(&seg), "handed") != NULL);
            IS(ipc_shm_hand_over(&seg), -ECHILD);
            ipc_shm_close(&seg);
        }
        if (child > 0)
            _exit(0);
    }
    become_orphan();
    if (how->other_user)
        MUST(setgroups(0, NULL) == 0 && setresgid(4401, 4401, 4401) == 0 &&
             setresuid(4401, 4401, 4401) == 0);
    tell(up, (uint64_t)getpid());
    obeys(up, &seg, &out);
}

static uint64_t asks(const struct child *c, uint64_t what)
{
    tell(c, what);
    return hear(c);
}

static void is_a_daemon(const struct background *how)
{
    struct background copy = *how;
    struct ticks_producer second;
    struct ticks_consumer in;
    struct ipc_shm seg, again;
    struct child c = spawn(goes_into_background, &copy);
    uint64_t id = hear(&c), n;
    pid_t feed = (pid_t)hear(&c), idle = 0;
    struct tick t = {0};
    int status;

    MUST(waitpid(c.pid, &status, 0) == c.pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    join(&seg);
    IS(ticks_consumer_open(&in, &seg, "ticks"), 0);
    for (n = 1; n <= 3; n++) {
        if (how->calls)
            MUST(asks(&c, WHO) == id);
        IS(ticks_recv(&in, &t, ipc_in_ms(20)), -ETIMEDOUT); /* and no death */
        MUST(ipc_shm_alive(&seg, id));
        IS(ticks_producer_open(&second, &seg, "ticks"), -EBUSY);
        IS(ipc_shm_create(&again, name, 1 << 20), -EEXIST);
        tell(&c, PUSH);
        IS(ticks_recv(&in, &t, ipc_in_ms(LONG_MS)), 0);
        IS(t.n, n);
    }
    MUST(feed > 1 && kill(feed, SIGSTOP) == 0 && ipc_shm_alive(&seg, id));
    MUST(kill(feed, SIGCONT) == 0);
    if (how->calls && !how->other_user && !is_emulated())
        idle = (pid_t)asks(&c, HAVE_CHILD);
    MUST(kill(feed, SIGKILL) == 0);
    IS(ticks_recv(&in, &t, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
    IS(ticks_producer_open(&second, &seg, "ticks"), 0);
    if (idle > 1)
        (void)kill(idle, SIGKILL);
    forget(&c);
    ticks_producer_detach(&second);
    ticks_consumer_detach(&in);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(name), 0);
}

static void daemon_goes_on_with_what_its_parent_had(void **state)
{
    struct background how = {1, 0, 0};

    (void)state;
    for (how.forks = 1; how.forks <= 2; how.forks++)
        for (how.calls = 0; how.calls < 2; how.calls++)
            is_a_daemon(&how);
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    how.forks = 1;
    how.other_user = 1;
    for (how.calls = 0; how.calls < 2; how.calls++)
        is_a_daemon(&how);
}

static void tells_its_id(struct child *up, void *arg)
{
    tell(up, ipc_shm_peer((struct ipc_shm *)arg)->id);
    (void)hear(up);
}

static void watches_anew(struct child *up, void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    uint64_t id = ipc_shm_peer(seg)->id;

    MUST(!seg->watch.ours(seg));
    MUST(seg->watch.open(seg, 0) >= 0 && seg->watch.ours(seg));
    IS(seg->watch.turn, 0);
    tell(up, id);
    (void)hear(up);
}

static void only_the_first_child_that_calls_goes_on(void **state)
{
    struct ipc_shm seg, watch;
    struct child a, b;
    uint64_t id, others;

    (void)state;
    make(&seg);
    join(&watch);
    id = seg.peer.id;
    IS(ipc_shm_hand_over(&seg), 0);
    a = spawn(tells_its_id, &seg);
    IS(hear(&a), (int64_t)id);
    b = spawn(tells_its_id, &seg);
    others = hear(&b);
    MUST(others != id && others != 0);
    ipc_shm_close(&seg);
    MUST(ipc_shm_alive(&watch, id) && ipc_shm_alive(&watch, others));
    kill_child(&a); /* the other child still lives, and has nothing of it */
    EVENTUALLY(!ipc_shm_alive(&watch, id));
    MUST(ipc_shm_alive(&watch, others));
    kill_child(&b);
    ipc_shm_close(&watch);
}

/* A thread of the parent was in poll, and another changing what it watches by, as it forked. */
static void daemon_relies_on_no_thread_of_its_parent(void **state)
{
    struct ipc_shm seg, watch;
    struct child c;
    uint64_t id;

    (void)state;
    make(&seg);
    join(&watch);
    id = seg.peer.id;
    MUST(ipc_shm_peer(&seg)->watch->open(&seg, 0) >= 0);
    seg.watch.turn = 1;
    seg.watching = id;
    IS(ipc_shm_hand_over(&seg), 0);
    c = spawn(watches_anew, &seg);
    MUST(hear(&c) == id);
    tell(&c, 0);
    finish(&c);
    seg.watching = 0;
    ipc_shm_close(&seg);
    ipc_shm_close(&watch);
}

/* A daemon whose adoption of the segment waits for us. */
static void adopts_when_told(struct child *up, void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;

    (void)hear(up);
    tell(up, ipc_shm_peer(seg)->id);
    (void)hear(up);
}

static uint64_t judged;

static void judges(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)arg;
    join(&seg);
    be_traced();
    tell(up, (uint64_t)ipc_shm_alive(&seg, judged));
    (void)hear(up);
}

/* While one asks whether it lives, and is stopped at each of its system calls, a daemon takes over
 * what its parent had; or, late, the parent hands it over then, and exits. */
static void goes_on_while_it_is_judged(int late)
{
    unsigned n;
    int more;

    for (n = 1;; n++) {
        struct ipc_shm seg;
        struct child c, judge;

        make(&seg);
        judged = seg.peer.id;
        if (!late)
            IS(ipc_shm_hand_over(&seg), 0);
        more = run_to(&judge, judges, n);
        SKIP_IF(more < 0, "may not trace");
        if (more == 0)
            kill_child(&judge);
        if (late)
            IS(ipc_shm_hand_over(&seg), 0);
        c = spawn(adopts_when_told, &seg);
        ipc_shm_close(&seg);
        if (!late) {
            tell(&c, 0);
            MUST(hear(&c) == judged);
        }
        if (more != 0) {
            MUST(runs_on(&judge) == 1);
            tell(&judge, 0);
            finish(&judge);
        }
        if (late) {
            tell(&c, 0);
            MUST(hear(&c) == judged);
        }
        tell(&c, 0);
        finish(&c);
        IS(ipc_shm_unlink(name), 0);
        if (more == 0)
            break;
    }
    print_message("note: stopped at %u points\n", n - 1);
    MUST(n > 3);
}

static void daemon_that_is_just_going_on_is_alive(void **state)
{
    (void)state;
    goes_on_while_it_is_judged(0);
    goes_on_while_it_is_judged(1);
}

/* A daemon closes all descriptors that it does not know, and opens others. */
static void closes_and_opens_descriptors(struct child *up, void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    int log;

    (void)close(seg->fd);
    do
        log = (int)syscall(SYS_memfd_create, "log", 1u);
    while (log >= 0 && log < seg->fd);
    IS(log, seg->fd);
    tell(up, ipc_shm_peer(seg)->id);
    (void)hear(up);
}

static void daemon_without_its_descriptor_is_alive(void **state)
{
    struct ipc_shm seg, watch;
    struct child c;
    uint64_t id;

    (void)state;
    make(&seg);
    join(&watch);
    id = seg.peer.id;
    IS(ipc_shm_hand_over(&seg), 0);
    c = spawn(closes_and_opens_descriptors, &seg);
    MUST(hear(&c) == id);
    ipc_shm_close(&seg);
    MUST(ipc_shm_alive(&watch, id));
    tell(&c, 0);
    finish(&c);
    EVENTUALLY(!ipc_shm_alive(&watch, id));
    ipc_shm_close(&watch);
}

static void waits_without_a_call(struct child *up, void *arg)
{
    (void)arg;
    (void)hear(up);
}

/* Who asks has lost its descriptor, and the process that joined has exited. */
static void daemon_is_alive_to_who_has_no_descriptor(void **state)
{
    struct ipc_shm seg, watch;
    struct child c;
    uint64_t id;

    (void)state;
    make(&seg);
    join(&watch);
    id = seg.peer.id;
    IS(ipc_shm_hand_over(&seg), 0);
    c = spawn(waits_without_a_call, NULL);
    /* As if the pid of who has exited was that of nobody. */
    ck_pr_store_32(&ipc_shm_member_of_(&watch, id)->pid, (uint32_t)INT_MAX);
    ipc_shm_close(&seg);
    (void)close(watch.fd);
    MUST(ipc_shm_alive(&watch, id));
    tell(&c, 0);
    finish(&c);
    ipc_shm_close(&watch);
}

static void death_of_the_child_is_told_though_its_parent_lives(void **state)
{
    struct ipc_shm seg, watch;
    struct child c;
    uint64_t id;

    (void)state;
    make(&seg);
    join(&watch);
    id = seg.peer.id;
    IS(ipc_shm_hand_over(&seg), 0);
    c = spawn(tells_its_id, &seg);
    MUST(hear(&c) == id);
    MUST(ipc_shm_alive(&watch, id));
    kill_child(&c);
    MUST(!ipc_shm_alive(&watch, id));
    IS(ipc_shm_peer(&seg)->id, 0);
    ipc_shm_close(&seg);
    ipc_shm_close(&watch);
}

static void joins_has_a_child_and_is_killed(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)arg;
    join(&seg);
    tell(up, (uint64_t)idle_child());
    (void)hear(up);
    (void)raise(SIGKILL);
}

/* All places were taken; then a member is killed whose child lives on, and does nothing. */
static void idle_child_keeps_no_place(void **state)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm seg, next;
    struct child c;
    pid_t idle;

    (void)state;
    SKIP_IF(is_emulated(), NO_DONTFORK);
    how.members = 2;
    IS(ipc_shm_create_with(&seg, name, 4096, &how), 0);
    c = spawn(joins_has_a_child_and_is_killed, NULL);
    idle = (pid_t)hear(&c);
    IS(ipc_shm_open(&next, name, IPC_NOW), -EUSERS);
    tell(&c, 0);
    was_killed(&c);
    IS(ipc_shm_open(&next, name, IPC_NOW), 0);
    MUST(idle > 1 && kill(idle, 0) == 0);
    ipc_shm_close(&next);
    (void)kill(idle, SIGKILL);
    ipc_shm_close(&seg);
}

static void reader_has_nothing_to_hand_over(void **state)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm seg, reader;

    (void)state;
    make(&seg);
    how.flags = IPC_SHM_READ_ONLY;
    IS(ipc_shm_open_with(&reader, name, IPC_NOW, &how), 0);
    IS(ipc_shm_hand_over(&reader), -EROFS);
    ipc_shm_close(&reader);
    ipc_shm_close(&seg);
}

static void stops_while_it_joins(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    be_traced();
    (void)ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS));
}

/* All places were used once: the next process that joins takes that of a dead member, and is stopped
 * at each of its system calls. */
static void process_that_is_stopped_while_it_joins_hides_no_death(void **state)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm seg, dead;
    struct child c, joiner;
    uint64_t id;
    unsigned n;
    int more;

    (void)state;
    how.members = 2;
    for (n = 1;; n++) {
        IS(ipc_shm_create_with(&seg, name, 4096, &how), 0);
        IS(ipc_shm_open(&dead, name, IPC_NOW), 0);
        id = dead.peer.id;
        ipc_shm_close(&dead);
        c = spawn(becomes_another_program, NULL); /* it joins; then it is killed */
        id = hear(&c);
        kill_child(&c);
        EVENTUALLY(!ipc_shm_alive(&seg, id));
        more = run_to(&joiner, stops_while_it_joins, n);
        SKIP_IF(more < 0, "may not trace");
        MUST(!ipc_shm_alive(&seg, id));
        if (more != 0)
            kill_child(&joiner);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
        if (more == 0)
            break;
    }
    print_message("note: stopped at %u points\n", n - 1);
    MUST(n > 10);
}

/* ------------------------------------------------------------------ main */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(time_namespaces_kill_nobody),
        TEST(pid_namespaces_kill_nobody),
        TEST(death_of_who_has_an_idle_child_is_told),
        TEST(nested_process_1_is_not_its_parent),
        TEST(fork_that_copies_all_is_noticed),
        TEST(what_was_read_is_published_where_fork_wipes_nothing),
        TEST(child_that_drops_its_privileges_is_not_its_parent),
        TEST(process_that_has_executed_another_program_is_gone),
        TEST(daemon_goes_on_with_what_its_parent_had),
        TEST(only_the_first_child_that_calls_goes_on),
        TEST(daemon_relies_on_no_thread_of_its_parent),
        TEST(daemon_that_is_just_going_on_is_alive),
        TEST(daemon_without_its_descriptor_is_alive),
        TEST(daemon_is_alive_to_who_has_no_descriptor),
        TEST(death_of_the_child_is_told_though_its_parent_lives),
        TEST(idle_child_keeps_no_place),
        TEST(reader_has_nothing_to_hand_over),
        TEST(process_that_is_stopped_while_it_joins_hides_no_death),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
