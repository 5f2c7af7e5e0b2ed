/*
 * Two programs that were compiled for different processors, on one segment: this one, and the peer
 * (tests/peer.c) that the command IPC_PEER starts, an emulator and a program, or that alone. Also in
 * PID and time namespaces of their own.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#define _GNU_SOURCE 1
#include "peers.h"

#include <sched.h>

#define LONG_MS 60000 /* longer than any working call takes */
#define HANG_S 300
#include "harness.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static struct ipc_shm seg;
static struct ticks_producer out;
static struct back_consumer in;
static int spaces[] = {0, CLONE_NEWPID, CLONE_NEWTIME}; /* in which namespace a process is, if any */
static int other_order;                                 /* the peer has the other byte order */

/* Ends this process when its parent ends, in a namespace of its own. Only a child is inside. */
static void go_inside(int space)
{
    int status;
    pid_t first;

    if (space == 0)
        return;
    if (unshare(space) != 0)
        _exit(UNABLE);
    first = fork();
    MUST(first >= 0);
    if (first == 0) {
        become_child();
        return;
    }
    MUST(waitpid(first, &status, 0) == first);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void runs_the_peer(struct child *up, void *space)
{
    const char *command = getenv("IPC_PEER");
    char words[2000], *argv[10], *word;
    size_t n = 0;

    MUST(command != NULL);
    (void)snprintf(words, sizeof words, "%s", command);
    for (word = strtok(words, " "); word != NULL && n < 8; word = strtok(NULL, " "))
        argv[n++] = word;
    argv[n] = name;
    argv[n + 1] = NULL;
    go_inside(*(int *)space);
    MUST(dup2(up->from, 0) == 0 && dup2(up->to, 1) == 1);
    (void)execvp(argv[0], argv);
    _exit(127);
}

static void makes_all(void)
{
    IS(ipc_shm_create(&seg, name, 1 << 20), 0);
    IS(ticks_create(&seg, "ticks", 64), 0);
    IS(back_create(&seg, "back", 64), 0);
}

static void takes_our_ends(void)
{
    IS(ticks_producer_open(&out, &seg, "ticks"), 0);
    IS(back_consumer_open(&in, &seg, "back"), 0);
}

static void crosses(const struct child *peer, uint64_t count)
{
    struct tick t;
    uint64_t i;
    int rc;

    tell(peer, ECHO);
    tell(peer, count);
    for (i = 1; i <= count; i++) {
        t.n = i << 33;
        t.px = 0.5;
        IS(ticks_send(&out, &t, ipc_in_ms(LONG_MS)), 0);
        do
            rc = back_recv(&in, &t, ipc_in_ms(LONG_MS));
        while (rc == -EOWNERDEAD && peer->pid == 0); /* of the parent, whose child goes on */
        IS(rc, 0);
        MUST(t.n == i << 33 && t.px == (double)(i << 33) + 0.5);
    }
}

static int64_t asks(const struct child *peer, uint64_t what)
{
    tell(peer, what);
    return (int64_t)hear(peer);
}

static int64_t asks_about(const struct child *peer, uint64_t what, uint64_t id)
{
    tell(peer, what);
    return asks(peer, id);
}

/* A peer may not make such a namespace: then nothing is told. */
static int can_go_inside(int space)
{
    pid_t pid = fork();
    int status;

    MUST(pid >= 0);
    if (pid == 0)
        _exit(unshare(space) == 0 ? 0 : UNABLE);
    MUST(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The peer of another byte order is refused, with a sentence; else it works. */
static void peers_of_another_byte_order_are_refused(void **state)
{
    struct child peer;
    int status;

    (void)state;
    makes_all();
    takes_our_ends();
    peer = spawn(runs_the_peer, &spaces[0]);
    (void)close(peer.to);
    peer.to = -1;
    status = result(&peer);
    MUST(status == 0 || status == 3);
    other_order = status == 3;
    print_message("note: the peer's byte order is %s\n", other_order ? "another" : "ours");
    ipc_shm_close(&seg);
}

static void each_kind_of_ring_serves_both(void **state)
{
    struct jobs_producer jobs;
    struct logs_producer logs;
    struct adder_server server;
    union adder_slot *call;
    struct tick job = {1 << 20, 0.25};
    struct child peer;

    (void)state;
    SKIP_IF(other_order, "the peer has the other byte order");
    makes_all();
    takes_our_ends();
    IS(jobs_create(&seg, "jobs", 64, IPC_MPMC_AT_LEAST_ONCE), 0);
    IS(logs_create(&seg, "logs", 4096, 2), 0);
    IS(adder_server_create(&server, &seg, "adder", 16), 0);
    IS(jobs_producer_open(&jobs, &seg, "jobs"), 0);
    IS(logs_producer_open(&logs, &seg, "logs"), 0);
    peer = spawn(runs_the_peer, &spaces[0]);
    (void)hear(&peer);
    crosses(&peer, 300);
    tell(&peer, WORKS);
    IS(jobs_send(&jobs, &job, ipc_in_ms(LONG_MS)), 0);
    IS(logs_send(&logs, "seven b", 7, ipc_in_ms(LONG_MS)), 0);
    IS(adder_serve(&server, &call, ipc_in_ms(LONG_MS)), 0);
    call->reply = (double)call->request.n + 4 * call->request.px;
    IS(adder_answer(&server, call), 0);
    IS(hear(&peer), (1 << 20) + 7 + 1);
    kill_child(&peer);
    ipc_shm_close(&seg);
}

/* A semaphore serves two with the same libc, and is refused otherwise. */
static void a_semaphore_of_another_libc_is_refused(void **state)
{
    struct ipc_shm_object o;
    struct ipc_notify bell;
    struct child peer;
    uint64_t *word, theirs;
    int rc;

    (void)state;
    SKIP_IF(other_order, "the peer has the other byte order");
    makes_all();
    IS(ipc_shm_make(&seg, "bell", BELL_TYPE, IPC_NOTIFY_SIZE + 8, &o), 0);
    IS(ipc_notify_init(o.mem, IPC_NOTIFY_SIZE, IPC_NOTIFY_SEMAPHORE), 0);
    word = (uint64_t *)(void *)((char *)o.mem + IPC_NOTIFY_SIZE);
    *word = 0;
    IS(ipc_shm_publish(&seg, &o), 0);
    IS(ipc_notify_attach(&bell, o.mem, IPC_NOTIFY_SIZE, IPC_NOTIFY_SEMAPHORE, ipc_shm_peer(&seg)), 0);
    ipc_notify_policy(&bell, 0, 0);
    peer = spawn(runs_the_peer, &spaces[0]);
    (void)hear(&peer);
    theirs = (uint64_t)asks(&peer, RINGS);
    rc = (int)hear(&peer);
    if (theirs == LIBC) {
        IS(rc, 0);
        IS(ipc_wait(&bell, ipc_in_ms(LONG_MS), ck_pr_load_64(word) == 1), 0);
    } else
        IS(rc, -EPROTO);
    ipc_notify_detach(&bell);
    kill_child(&peer);
    ipc_shm_close(&seg);
}

/* The peer lives, is stopped, is killed while we sleep; in each namespace. */
static void the_peers_death_is_told_and_not_before(void **state)
{
    struct back_producer second;
    struct child peer;
    struct tick t;
    uint64_t id;
    size_t i;

    (void)state;
    SKIP_IF(other_order, "the peer has the other byte order");
    for (i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        if (!can_go_inside(spaces[i]))
            continue;
        makes_all();
        takes_our_ends();
        peer = spawn(runs_the_peer, &spaces[i]);
        id = hear(&peer);
        crosses(&peer, 3);
        MUST(ipc_shm_alive(&seg, id));
        if (spaces[i] == 0)
            stop_child(&peer);
        IS(back_producer_open(&second, &seg, "back"), -EBUSY);
        IS(back_recv(&in, &t, ipc_in_ms(20)), -ETIMEDOUT);
        MUST(ipc_shm_alive(&seg, id));
        signal_child(&peer, SIGKILL); /* and with it goes the one inside */
        IS(back_recv(&in, &t, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
        EVENTUALLY(!ipc_shm_alive(&seg, id));
        IS(back_producer_open(&second, &seg, "back"), 0);
        was_killed(&peer);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* The peer leaves its segment and its ends to a child. If it hands the segment over before, the child
 * has its id; else the child is another, and goes on once the peer is dead. */
static void peer_that_goes_into_background_goes_on(void **state)
{
    struct back_producer second;
    uint64_t id, hands_over;
    struct child peer;
    pid_t pid;
    int status, ours;

    (void)state;
    SKIP_IF(other_order, "the peer has the other byte order");
    ours = prctl(PR_SET_CHILD_SUBREAPER, 1) == 0; /* orphans come to us, but to no emulated process */
    for (hands_over = 0; hands_over < 2; hands_over++) {
        makes_all();
        takes_our_ends();
        peer = spawn(runs_the_peer, &spaces[0]);
        id = hear(&peer);
        pid = (pid_t)asks_about(&peer, FORKS, hands_over);
        if (pid == 0) {
            print_message("note: the emulator cannot map a segment again in a child\n");
            kill_child(&peer);
            ipc_shm_close(&seg);
            continue;
        }
        MUST(waitpid(peer.pid, &status, 0) == peer.pid && WIFEXITED(status));
        keep_in_mind(0, peer.pid);
        peer.pid = 0;
        if (hands_over) {
            MUST(ipc_shm_alive(&seg, id)); /* it has made no call yet */
            IS(back_producer_open(&second, &seg, "back"), -EBUSY);
        }
        crosses(&peer, 3);
        IS(ipc_shm_alive(&seg, id), hands_over);
        IS(back_producer_open(&second, &seg, "back"), -EBUSY);
        MUST(pid > 1 && kill(pid, SIGKILL) == 0);
        MUST(!ours || waitpid(pid, &status, 0) == pid);
        EVENTUALLY(back_producer_open(&second, &seg, "back") == 0);
        (void)close(peer.to);
        (void)close(peer.from);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
    }
    (void)prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* Our side, in a process that can be killed. */
static void holds_our_ends(struct child *up, void *space)
{
    go_inside(*(int *)space);
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    takes_our_ends();
    tell(up, ipc_shm_peer(&seg)->id);
    wait_for_death();
}

static void our_death_is_told_and_not_before(void **state)
{
    struct child we, peer;
    uint64_t id;
    size_t i;

    (void)state;
    SKIP_IF(other_order, "the peer has the other byte order");
    for (i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        if (!can_go_inside(spaces[i]))
            continue;
        makes_all();
        we = spawn(holds_our_ends, &spaces[i]);
        id = hear(&we);
        peer = spawn(runs_the_peer, &spaces[i == 1 ? 1 : 0]); /* beside a PID namespace, in another one */
        (void)hear(&peer);
        IS(asks_about(&peer, ALIVE, id), 1);
        if (spaces[i] == 0)
            stop_child(&we);
        IS(asks(&peer, TAKES), -EBUSY);
        IS(asks_about(&peer, ALIVE, id), 1);
        tell(&peer, WAITS);
        signal_child(&we, SIGKILL);
        IS(hear(&peer), -EOWNERDEAD);
        while (asks_about(&peer, ALIVE, id) != 0)
            ; /* it is dead in a moment */
        IS(asks(&peer, TAKES), 0);
        was_killed(&we);
        kill_child(&peer);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(peers_of_another_byte_order_are_refused),
        TEST(each_kind_of_ring_serves_both),
        TEST(a_semaphore_of_another_libc_is_refused),
        TEST(the_peers_death_is_told_and_not_before),
        TEST(peer_that_goes_into_background_goes_on),
        TEST(our_death_is_told_and_not_before),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
