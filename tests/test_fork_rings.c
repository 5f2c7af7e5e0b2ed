/*
 * Tests of the ends of rings, and of channels over rings, after a fork without ipc_shm_hand_over:
 * of parent and child one goes on, and the other is told at its first call.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

#include <grp.h>
#include <pthread.h>

struct tick {
    uint64_t n;
};
struct odd { /* a message that is longer than a line */
    uint64_t n, more[12];
};
IPC_SPSC(ticks, struct tick)
IPC_RECORDS(lines)
IPC_STREAM(sound, uint64_t)
IPC_BROADCAST(news, struct tick)
IPC_RECORD_BROADCAST(wires)
IPC_MPMC(jobs, struct odd)
IPC_MPSC(votes, struct odd)
IPC_CALL(adder, struct tick, struct tick)

/* ------------------------------------------------------------------ one of each kind */

enum { SLOTS = 64 };

/* Ends that push or serve, and those that pop or ask. */
struct givers {
    struct ticks_producer ticks;
    struct lines_producer lines;
    struct sound_producer sound;
    struct news_producer news, loud;
    struct wires_producer wires;
    struct jobs_producer jobs;
    struct votes_producer votes;
    struct adder_server adder;
};
struct takers {
    struct ticks_consumer ticks;
    struct lines_consumer lines;
    struct sound_consumer sound;
    struct news_consumer news, loud;
    struct wires_consumer wires;
    struct jobs_consumer jobs;
    struct votes_consumer votes;
    struct adder_client adder;
};

static void make(struct ipc_shm *seg)
{
    MUST(ipc_shm_create(seg, name, 4 << 20) == 0);
    IS(ticks_create(seg, "ticks", SLOTS), 0);
    IS(lines_create(seg, "lines", 4096, 1), 0);
    IS(sound_create(seg, "sound", 512), 0);
    IS(news_create(seg, "news", SLOTS, IPC_BROADCAST_LOSSY), 0);
    IS(news_create(seg, "loud", SLOTS, IPC_BROADCAST_LOSSLESS), 0);
    IS(wires_create(seg, "wires", 4096, IPC_BROADCAST_LOSSY), 0);
    IS(jobs_create(seg, "jobs", SLOTS, IPC_MPMC_AT_LEAST_ONCE), 0);
    IS(votes_create(seg, "votes", SLOTS, IPC_MPMC_AT_LEAST_ONCE), 0);
    IS(adder_create(seg, "adder", 4), 0);
}

static void join(struct ipc_shm *seg)
{
    MUST(ipc_shm_open(seg, name, ipc_in_ms(LONG_MS)) == 0);
}

/* Returns how many of the ends were got. Those for one process at a time come first. */
static int open_givers(struct givers *g, struct ipc_shm *seg)
{
    return (ticks_producer_open(&g->ticks, seg, "ticks") == 0) +
           (lines_producer_open(&g->lines, seg, "lines") == 0) +
           (sound_producer_open(&g->sound, seg, "sound") == 0) +
           (news_producer_open(&g->news, seg, "news") == 0) +
           (news_producer_open(&g->loud, seg, "loud") == 0) +
           (wires_producer_open(&g->wires, seg, "wires") == 0);
}

static void open_others(struct givers *g, struct ipc_shm *seg)
{
    IS(jobs_producer_open(&g->jobs, seg, "jobs"), 0);
    IS(votes_producer_open(&g->votes, seg, "votes"), 0);
    IS(adder_server_open(&g->adder, seg, "adder"), 0);
}

static int open_takers(struct takers *t, struct ipc_shm *seg)
{
    IS(news_consumer_open(&t->news, seg, "news"), 0);
    IS(news_consumer_open(&t->loud, seg, "loud"), 0);
    IS(wires_consumer_open(&t->wires, seg, "wires"), 0);
    IS(jobs_consumer_open(&t->jobs, seg, "jobs"), 0);
    IS(adder_client_open(&t->adder, seg, "adder"), 0);
    return (ticks_consumer_open(&t->ticks, seg, "ticks") == 0) +
           (lines_consumer_open(&t->lines, seg, "lines") == 0) +
           (sound_consumer_open(&t->sound, seg, "sound") == 0) +
           (votes_consumer_open(&t->votes, seg, "votes") == 0);
}

/* Each end gives the number n; rc: what each says. */
static void give(struct givers *g, uint64_t n, int rc)
{
    struct tick t = {n};
    struct odd o;

    memset(&o, 0, sizeof o);
    o.n = n;
    IS(ticks_push(&g->ticks, &t), rc);
    IS(lines_push(&g->lines, &n, sizeof n), rc);
    IS(sound_push_all(&g->sound, &n, 1), rc);
    IS(news_push(&g->news, &t), rc);
    IS(news_push(&g->loud, &t), rc);
    IS(wires_push(&g->wires, &n, sizeof n), rc);
    IS(jobs_push(&g->jobs, &o), rc);
    IS(votes_push(&g->votes, &o), rc);
}

/* The next message of each ring is n, or there is none. */
static void take(struct takers *k, uint64_t n)
{
    int rc = n != 0 ? 0 : -EAGAIN, bytes = n != 0 ? (int)sizeof n : -EAGAIN;
    struct tick t = {0}, u = {0}, v = {0};
    struct odd o, p;
    uint64_t line = 0, wire = 0, sample = 0;

    memset(&o, 0, sizeof o);
    memset(&p, 0, sizeof p);
    IS(ticks_pop(&k->ticks, &t), rc);
    IS(lines_pop(&k->lines, &line, sizeof line), bytes);
    IS(sound_pop_all(&k->sound, &sample, 1), rc);
    IS(news_pop(&k->news, &u), rc);
    IS(news_pop(&k->loud, &v), rc);
    IS(wires_pop(&k->wires, &wire, sizeof wire), bytes);
    IS(jobs_pop(&k->jobs, &o), rc);
    IS(votes_pop(&k->votes, &p), rc);
    IS(t.n, n);
    IS(line, n);
    IS(sample, n);
    IS(u.n, n);
    IS(v.n, n);
    IS(wire, n);
    IS(o.n, n);
    IS(p.n, n);
}

/* A server answers with one more. */
static void serve_one(struct givers *g)
{
    union adder_slot *slot = NULL;

    IS(adder_serve(&g->adder, &slot, ipc_in_ms(LONG_MS)), 0);
    slot->reply.n = slot->request.n + 1;
    IS(adder_answer(&g->adder, slot), 0);
}

static void call_one(struct takers *k, uint64_t n)
{
    struct tick request = {n}, reply = {0};

    IS(adder_call(&k->adder, &request, &reply, ipc_in_ms(LONG_MS)), 0);
    IS(reply.n, n + 1);
}

/* ------------------------------------------------------------------ the child goes on */

/* How the parent of the process that goes on ends. */
enum { EXITS, IS_KILLED, CLOSES };

struct background {
    int forks, parent;
};

/* The parent's part after a fork. */
static void ends(const struct background *how, struct ipc_shm *seg)
{
    if (how->parent == IS_KILLED)
        (void)raise(SIGKILL);
    if (how->parent == CLOSES)
        ipc_shm_close(seg);
    if (how->parent == CLOSES && how->forks == 1)
        wait_for_death();
    _exit(0);
}

static void goes_into_background(const struct background *how, struct ipc_shm *seg)
{
    int i;

    for (i = 0; i < how->forks; i++) {
        pid_t child = fork();

        MUST(child >= 0);
        if (child > 0)
            ends(how, seg);
    }
    become_orphan();
}

/* The classic order: opens all, daemon(), goes on. */
static void gives_from_background(struct child *up, void *arg)
{
    const struct background *how = (const struct background *)arg;
    struct givers g;
    struct ipc_shm seg;
    uint64_t n;

    make(&seg);
    IS(open_givers(&g, &seg), 6);
    open_others(&g, &seg);
    tell(up, 0);
    (void)hear(up);
    give(&g, 1, 0);
    goes_into_background(how, &seg);
    for (n = 2; n < 5; n++)
        give(&g, n, 0);
    MUST(adder_take(&g.adder) == NULL); /* until its first call a client may be told of a death */
    tell(up, (uint64_t)getpid());
    serve_one(&g);
    (void)hear(up);
    give(&g, 5, 0);
    tell(up, 0);
    wait_for_death();
}

static void forget_parent(const struct child *c, const struct background *how)
{
    int status;

    if (how->parent == CLOSES && how->forks == 1)
        MUST(kill(c->pid, SIGKILL) == 0);
    MUST(waitpid(c->pid, &status, 0) == c->pid);
    forget(c);
}

static void is_background(const struct background *how)
{
    struct background copy = *how;
    struct child c = spawn(gives_from_background, &copy);
    struct ipc_shm seg, again;
    struct givers second;
    struct takers k;
    struct tick t;
    uint64_t n;
    pid_t feed;

    (void)hear(&c);
    join(&seg);
    IS(open_takers(&k, &seg), 4);
    tell(&c, 0);
    feed = (pid_t)hear(&c);
    for (n = 1; n < 5; n++)
        take(&k, n);
    take(&k, 0);
    call_one(&k, 7);
    IS(open_givers(&second, &seg), 0);
    IS(ipc_shm_create(&again, name, 4 << 20), -EEXIST);
    MUST(feed > 1 && kill(feed, SIGSTOP) == 0);
    IS(open_givers(&second, &seg), 0);
    MUST(kill(feed, SIGCONT) == 0);
    tell(&c, 0);
    (void)hear(&c);
    take(&k, 5);
    MUST(kill(feed, SIGKILL) == 0);
    EVENTUALLY(!ipc_shm_alive(&seg, ticks_consumer_peer(&k.ticks)));
    t.n = 0;
    IS(ticks_recv(&k.ticks, &t, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
    IS(open_givers(&second, &seg), 6);
    forget_parent(&c, how);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(name), 0);
}

static void daemon_gives_on_without_a_call_before_its_fork(void **state)
{
    struct background how;

    (void)state;
    for (how.parent = EXITS; how.parent <= CLOSES; how.parent++)
        for (how.forks = 1; how.forks <= 2; how.forks++)
            is_background(&how);
}

/* Takes one, is a daemon, and takes the rest. */
static void takes_from_background(struct child *up, void *arg)
{
    const struct background *how = (const struct background *)arg;
    struct takers k;
    struct ipc_shm seg;
    struct tick t;
    uint64_t n;

    join(&seg);
    IS(open_takers(&k, &seg), 4);
    tell(up, 0);
    (void)hear(up);
    take(&k, 1);
    take(&k, 2);
    goes_into_background(how, &seg);
    IS(news_pop(&k.loud, &t), -ECHILD); /* its seat may be gone, and messages with it */
    news_consumer_detach(&k.loud);
    IS(news_consumer_open(&k.loud, &seg, "loud"), 0);
    tell(up, (uint64_t)getpid());
    for (n = 3; n < 6; n++) {
        (void)hear(up);
        take(&k, n);
        tell(up, 0);
    }
    call_one(&k, 8);
    tell(up, 0);
    wait_for_death();
}

static void daemon_takes_on_without_a_call_before_its_fork(void **state)
{
    struct background how = {1, EXITS};

    (void)state;
    for (how.forks = 1; how.forks <= 2; how.forks++) {
        struct ipc_shm seg;
        struct givers g;
        struct takers second;
        struct child c;
        uint64_t n;
        pid_t pid;

        make(&seg);
        IS(open_givers(&g, &seg), 6);
        open_others(&g, &seg);
        c = spawn(takes_from_background, &how);
        (void)hear(&c);
        give(&g, 1, 0);
        give(&g, 2, 0);
        tell(&c, 0);
        pid = (pid_t)hear(&c);
        for (n = 3; n < 6; n++) {
            give(&g, n, 0);
            tell(&c, 0);
            (void)hear(&c);
        }
        serve_one(&g);
        (void)hear(&c);
        IS(open_takers(&second, &seg), 0);
        MUST(pid > 1 && kill(pid, SIGKILL) == 0);
        EVENTUALLY(!ipc_shm_alive(&seg, ticks_producer_peer(&g.ticks)));
        IS(ticks_consumer_open(&second.ticks, &seg, "ticks"), 0);
        forget_parent(&c, &how);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* What was claimed before the fork, and is to be sent behind it. */
static void claims_and_forks(struct child *up, void *arg)
{
    struct background how = {1, EXITS};
    struct ticks_producer out;
    struct ipc_shm seg;
    struct tick *t;

    join(&seg);
    IS(ticks_producer_open(&out, &seg, "ticks"), 0);
    if (arg != NULL)
        IS(ipc_shm_hand_over(&seg), 0);
    if (arg != NULL && fork() == 0) {
        become_child();
        t = ticks_claim(&out);
        MUST(t != NULL);
        t->n = 1;
        IS(ticks_commit(&out), 0);
        _exit(0);
    }
    if (arg != NULL) {
        (void)wait(NULL);
        t = ticks_claim(&out);
        MUST(t == NULL);
        IS(ticks_producer_error(&out), -ECHILD);
        tell(up, 0);
        _exit(0);
    }
    t = ticks_claim(&out);
    MUST(t != NULL);
    goes_into_background(&how, &seg);
    IS(ticks_commit(&out), -EINVAL);
    t = ticks_claim(&out);
    MUST(t != NULL);
    t->n = 1;
    IS(ticks_commit(&out), 0);
    tell(up, 0);
    _exit(0);
}

static void claim_ends_with_the_fork(void **state)
{
    struct ipc_shm seg;
    int handed;

    (void)state;
    for (handed = 0; handed < 2; handed++) {
        struct ticks_consumer in;
        struct tick t = {0};
        struct child c;

        make(&seg);
        c = spawn(claims_and_forks, handed ? &seg : NULL);
        (void)hear(&c);
        IS(ticks_consumer_open(&in, &seg, "ticks"), 0);
        IS(ticks_pop(&in, &t), 0);
        IS(t.n, 1);
        finish(&c);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* ------------------------------------------------------------------ the parent goes on */

static void is_told_that_it_may_not(struct givers *g, struct takers *k, struct ipc_shm *seg)
{
    union adder_slot *slot = (union adder_slot *)(void *)ipc_call_message_(g->adder.raw.slots);
    struct tick t = {99};
    uint64_t n = 0;

    (void)ticks_consumer_post(&k->ticks); /* publishes nothing here */
    IS(adder_ask(&k->adder, &t), -ECHILD);
    IS(adder_poll(&k->adder), -ECHILD);
    IS(adder_call(&k->adder, &t, &t, ipc_in_ms(LONG_MS)), -ECHILD);
    IS(adder_answer(&g->adder, slot), -ECHILD);
    MUST(adder_take(&g->adder) == NULL);
    IS(adder_server_error(&g->adder), -ECHILD);
    IS(adder_serve(&g->adder, &slot, ipc_in_ms(LONG_MS)), -ECHILD);
    IS(sound_producer_wait(&g->sound, 512, ipc_in_ms(LONG_MS)), -ECHILD);
    IS(sound_consumer_wait(&k->sound, 512, ipc_in_ms(LONG_MS)), -ECHILD);
    IS(lines_producer_wait(&g->lines, 16, ipc_in_ms(LONG_MS)), -ECHILD);
    IS(news_producer_wait(&g->loud, ipc_in_ms(LONG_MS)), -ECHILD);
    IS(jobs_consumer_wait(&k->jobs, ipc_in_ms(LONG_MS)), -ECHILD);
    IS(votes_producer_recover(&g->votes, 0), -ECHILD);
    IS(votes_producer_recover(&g->votes, 0), -ECHILD);
    give(g, 99, -ECHILD);
    give(g, 99, -ECHILD); /* it stays so */
    IS(ticks_pop(&k->ticks, &t), -ECHILD);
    IS(lines_pop(&k->lines, &n, sizeof n), -ECHILD);
    IS(sound_pop_all(&k->sound, &n, 1), -ECHILD);
    IS(news_pop(&k->loud, &t), -ECHILD);
    MUST(jobs_peek(&k->jobs) == NULL);
    IS(jobs_consumer_error(&k->jobs), -ECHILD);
    MUST(votes_peek(&k->votes) == NULL);
    IS(votes_consumer_recover(&k->votes, 0), -ECHILD);
    IS(ticks_send(&g->ticks, &t, ipc_in_ms(LONG_MS)), -ECHILD);
    IS(ticks_recv(&k->ticks, &t, ipc_in_ms(LONG_MS)), -ECHILD);
    MUST(strstr(ipc_shm_why(seg), "ipc_shm_hand_over") != NULL);
    IS(news_pop(&k->news, &t), 0); /* a reader that stores nothing is both's */
    IS(t.n, 2);
}

static void detach_all(struct givers *g, struct takers *k)
{
    ticks_producer_detach(&g->ticks);
    lines_producer_detach(&g->lines);
    sound_producer_detach(&g->sound);
    news_producer_detach(&g->news);
    news_producer_detach(&g->loud);
    wires_producer_detach(&g->wires);
    jobs_producer_detach(&g->jobs);
    votes_producer_detach(&g->votes);
    adder_server_detach(&g->adder);
    ticks_consumer_detach(&k->ticks);
    lines_consumer_detach(&k->lines);
    sound_consumer_detach(&k->sound);
    news_consumer_detach(&k->news);
    news_consumer_detach(&k->loud);
    wires_consumer_detach(&k->wires);
    jobs_consumer_detach(&k->jobs);
    votes_consumer_detach(&k->votes);
    adder_client_detach(&k->adder);
}

static struct givers both_give;
static struct takers both_take;
static struct ipc_shm both_seg;

/* A child that calls, or only tidies up, while its parent lives. */
static void calls_beside_its_parent(struct child *up, void *arg)
{
    (void)up;
    if (arg != NULL)
        is_told_that_it_may_not(&both_give, &both_take, &both_seg);
    detach_all(&both_give, &both_take);
    ipc_shm_close(&both_seg);
}

static void second_of_parent_and_child_is_told_and_nothing_is_lost(void **state)
{
    struct ipc_shm seg;
    struct givers second;
    struct takers others;
    int calls;

    (void)state;
    for (calls = 0; calls < 2; calls++) {
        make(&both_seg);
        IS(open_givers(&both_give, &both_seg), 6);
        open_others(&both_give, &both_seg);
        IS(open_takers(&both_take, &both_seg), 4);
        join(&seg);
        give(&both_give, 1, 0);
        take(&both_take, 1);
        give(&both_give, 2, 0);
        IS(run(calls_beside_its_parent, calls ? &seg : NULL), 0);
        give(&both_give, 3, 0);
        take(&both_take, 2);
        take(&both_take, 3);
        take(&both_take, 0);
        IS(open_givers(&second, &seg), 0);
        IS(open_takers(&others, &seg), 0);
        detach_all(&both_give, &both_take);
        ipc_shm_close(&both_seg);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
    }
}

/* Another takes the end of a dead parent before the child makes its first call. */
static void pushes_when_told(struct child *up, void *arg)
{
    struct ticks_producer out;
    struct ipc_shm seg;
    struct tick t = {99};
    pid_t child;

    (void)arg;
    join(&seg);
    IS(ticks_producer_open(&out, &seg, "ticks"), 0);
    child = fork();
    MUST(child >= 0);
    if (child > 0)
        _exit(0);
    become_orphan();
    tell(up, 0);
    (void)hear(up);
    IS(ticks_push(&out, &t), -ECHILD);
    ticks_producer_detach(&out);
    tell(up, 0);
}

static void child_that_calls_too_late_is_told(void **state)
{
    struct ticks_producer second, third;
    struct ticks_consumer in;
    struct ipc_shm seg;
    struct tick t = {1};
    struct child c;

    (void)state;
    SKIP_IF(is_emulated(), NO_DONTFORK);
    make(&seg);
    IS(ticks_consumer_open(&in, &seg, "ticks"), 0);
    c = spawn(pushes_when_told, NULL);
    (void)hear(&c);
    finish(&(struct child){c.pid, dup(c.to), dup(c.from)});
    EVENTUALLY(ticks_producer_open(&second, &seg, "ticks") == 0);
    IS(ticks_push(&second, &t), 0);
    tell(&c, 0);
    (void)hear(&c);
    t.n = 2;
    IS(ticks_push(&second, &t), 0);
    IS(ticks_producer_open(&third, &seg, "ticks"), -EBUSY);
    IS(ticks_pop(&in, &t), 0);
    IS(t.n, 1);
    IS(ticks_pop(&in, &t), 0);
    IS(t.n, 2);
    IS(ticks_pop(&in, &t), -EAGAIN);
    (void)close(c.to);
    (void)close(c.from);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ threads, privileges */

static void *gives_ticks(void *arg)
{
    struct ticks_producer *out = (struct ticks_producer *)arg;
    struct tick t = {1};

    return ticks_push(out, &t) == 0 ? NULL : arg;
}

/* Each thread of the child makes its first call with a ring of its own at once. */
static void threads_go_on(struct child *up, void *arg)
{
    struct background how = {1, EXITS};
    struct ticks_producer out[4];
    pthread_t thread[4];
    struct ipc_shm seg;
    char ring[] = "a";
    void *bad;
    int i;

    (void)arg;
    make(&seg);
    for (i = 0; i < 4; i++) {
        ring[0] = (char)('a' + i);
        IS(ticks_producer_create(&out[i], &seg, ring, SLOTS), 0);
    }
    goes_into_background(&how, &seg);
    for (i = 0; i < 4; i++)
        MUST(pthread_create(&thread[i], NULL, gives_ticks, &out[i]) == 0);
    for (i = 0; i < 4; i++) {
        MUST(pthread_join(thread[i], &bad) == 0 && bad == NULL);
        IS(out[i].raw.ring->end[0], ipc_shm_peer(&seg)->id);
    }
    tell(up, 0);
    (void)hear(up);
}

static void threads_of_a_daemon_go_on(void **state)
{
    struct child c;

    (void)state;
    c = spawn(threads_go_on, NULL);
    (void)hear(&c);
    tell(&c, 0);
    finish(&c);
}

/* As another user a child cannot become a member, so it cannot go on either. */
static void goes_on_as_another_user(struct child *up, void *arg)
{
    struct background how = {1, EXITS};
    struct ticks_producer out;
    struct ipc_shm seg;
    struct tick t = {1};

    (void)arg;
    join(&seg);
    IS(ticks_producer_open(&out, &seg, "ticks"), 0);
    goes_into_background(&how, &seg);
    MUST(setgroups(0, NULL) == 0 && setresgid(4401, 4401, 4401) == 0 &&
         setresuid(4401, 4401, 4401) == 0);
    IS(ticks_push(&out, &t), -ECHILD);
    MUST(strstr(ipc_shm_why(&seg), "Permission denied") != NULL);
    tell(up, 0);
}

static void child_without_privileges_is_told(void **state)
{
    struct ipc_shm seg;
    struct child c;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    make(&seg);
    c = spawn(goes_on_as_another_user, NULL);
    (void)hear(&c);
    finish(&c);
    ipc_shm_close(&seg);
}

/* After some 500 generations of processes that forked there is no word left by which a process
 * notices a fork: its ends ask at each call. */
static void uses_both_ends_beside_its_parent(struct child *up, void *arg)
{
    struct pair {
        struct ticks_producer out;
        struct ticks_consumer in;
    } *ends = (struct pair *)arg;
    struct tick t = {9};

    (void)up;
    IS(ticks_push(&ends->out, &t), -ECHILD);
    IS(ticks_pop(&ends->in, &t), -ECHILD); /* the process is a member by now */
}

static void is_of_the_last_generation(struct child *up, void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    struct {
        struct ticks_producer out;
        struct ticks_consumer in;
    } ends;
    struct tick t = {1};
    struct child c;
    uint64_t n;

    (void)up;
    MUST(ipc_shm_peer(seg)->id != 0);
    IS(ticks_producer_open(&ends.out, seg, "ticks"), 0);
    IS(ticks_consumer_open(&ends.in, seg, "ticks"), 0);
    for (n = 0; n < 2; n++) {
        IS(ticks_push(&ends.out, &t), 0);
        IS(ticks_pop(&ends.in, &t), 0);
        if (n == 0) {
            c = spawn(uses_both_ends_beside_its_parent, &ends);
            finish(&c);
        }
    }
}

static void last_generation_notices_a_fork(void **state)
{
    struct ipc_shm seg;
    struct child c;

    (void)state;
    make(&seg);
    seg.self = ipc_shm_last_self_() - 1;
    c = spawn(is_of_the_last_generation, &seg);
    finish(&c);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ channels */

static char uri[200];

static void choose(const char *scheme)
{
    (void)next_name(NULL);
    if (strcmp(scheme, "sysvshm") == 0)
        (void)snprintf(uri, sizeof uri, "sysvshm:%ld", 0x46000000 + (long)(getpid() & 0xffffff));
    else
        (void)snprintf(uri, sizeof uri, "%s:%s", scheme, name);
    (void)ipc_channel_unlink(uri);
}

static void sends_from_background(struct child *up, void *arg)
{
    struct background how = {1, EXITS};
    struct ipc_shm unused;
    struct ipc_channel s;
    uint64_t n;

    (void)arg;
    memset(&unused, 0, sizeof unused);
    IS(ipc_channel_open(&s, uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
    n = 1;
    IS(ipc_channel_send(&s, &n, sizeof n, ipc_in_ms(LONG_MS)), 0);
    n = 2; /* by the short way, if there is one */
    IS(ipc_channel_send(&s, &n, sizeof n, ipc_in_ms(LONG_MS)), 0);
    (void)hear(up);
    goes_into_background(&how, &unused);
    for (n = 3; n < 6; n++)
        IS(ipc_channel_send(&s, &n, sizeof n, ipc_in_ms(LONG_MS)), 0);
    tell(up, 0);
    (void)hear(up);
    ipc_channel_close(&s);
    tell(up, 0);
}

/* Receives the numbers from *next up to `last`; a daemon's parent may be told as a loss between
 * them. */
static void receive(struct ipc_channel *r, uint64_t *next, uint64_t last)
{
    while (*next <= last) {
        uint64_t n = 0;
        int64_t rc = ipc_channel_recv(r, &n, sizeof n, ipc_in_ms(LONG_MS));

        if (rc == -EOWNERDEAD || rc == -EPIPE)
            continue;
        IS(rc, sizeof n);
        IS(n, *next);
        ++*next;
    }
}

static void daemon_sends_on(const char *scheme)
{
    struct ipc_channel r, other;
    uint64_t next = 1;
    struct child c;

    choose(scheme);
    IS(ipc_channel_open(&r, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    c = spawn(sends_from_background, NULL);
    receive(&r, &next, 2);
    tell(&c, 0);
    /* A listener of auto: that finds its sender dead, before the daemon's first call, leaves the
     * ring to the next one. */
    if (strcmp(scheme, "auto") == 0)
        (void)hear(&c);
    receive(&r, &next, 5);
    if (strcmp(scheme, "auto") != 0) {
        (void)hear(&c);
        MUST(ipc_channel_open(&other, uri, IPC_SEND, IPC_NOW) != 0);
    }
    tell(&c, 0);
    (void)hear(&c);
    finish(&c);
    IS(ipc_channel_recv(&r, &next, sizeof next, ipc_in_ms(LONG_MS)), -EPIPE);
    ipc_channel_close(&r);
    (void)ipc_channel_unlink(uri);
}

/* What the child is to be refused that sends over the channel beside its parent. */
static void sends_beside_its_parent(struct child *up, void *arg)
{
    struct ipc_channel *s = (struct ipc_channel *)arg;
    uint64_t n = 99;

    (void)up;
    IS(ipc_channel_send(s, &n, sizeof n, ipc_in_ms(LONG_MS)), -ECHILD);
    MUST(strstr(ipc_channel_why(s), "fork") != NULL);
    IS(ipc_channel_send(s, &n, sizeof n, ipc_in_ms(LONG_MS)), -ECHILD);
    ipc_channel_close(s);
}

static void receives_it_all(struct child *up, void *arg)
{
    struct ipc_channel r;
    uint64_t next = 1;

    (void)arg;
    IS(ipc_channel_open(&r, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    tell(up, 0);
    receive(&r, &next, 4);
    tell(up, 0);
    IS(ipc_channel_recv(&r, &next, sizeof next, ipc_in_ms(LONG_MS)), -EPIPE);
    ipc_channel_close(&r);
}

static const char *const schemes[] = {"ring", "auto", "sysvshm"};

static void daemon_sends_on_over_channels(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (!is_emulated() || i != 1) /* auto: may end with the parent, before a slow child has gone on */
            daemon_sends_on(schemes[i]);
}

static void second_of_parent_and_child_is_told_over_channels(void **state)
{
    enum { N = sizeof schemes / sizeof *schemes };
    struct ipc_channel s[N];
    struct child to[N], beside[N];
    char uris[N][sizeof uri];
    uint64_t n;
    size_t i;

    (void)state;
    for (i = 0; i < N; i++) {
        choose(schemes[i]);
        memcpy(uris[i], uri, sizeof uri);
        to[i] = spawn(receives_it_all, NULL);
        (void)hear(&to[i]);
        IS(ipc_channel_open(&s[i], uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
        for (n = 1; n < 3; n++)
            IS(ipc_channel_send(&s[i], &n, sizeof n, ipc_in_ms(LONG_MS)), 0);
        beside[i] = spawn(sends_beside_its_parent, &s[i]);
    }
    for (i = 0; i < N; i++) {
        finish(&beside[i]);
        for (n = 3; n < 5; n++)
            IS(ipc_channel_send(&s[i], &n, sizeof n, ipc_in_ms(LONG_MS)), 0);
        (void)hear(&to[i]);
        ipc_channel_close(&s[i]);
        finish(&to[i]);
        (void)ipc_channel_unlink(uris[i]);
    }
}

/* ------------------------------------------------------------------ main */

/* What the child is told that has a publisher's and a subscriber's channel from its parent. */
static void publishes_beside_its_parent(struct child *up, void *arg)
{
    struct ipc_channel *both = (struct ipc_channel *)arg;
    uint64_t n = 99;
    int i;

    (void)up;
    for (i = 0; i < 2; i++) {
        IS(ipc_channel_send(&both[0], &n, sizeof n, ipc_in_ms(LONG_MS)), -ECHILD);
        MUST(strstr(ipc_channel_why(&both[0]), "fork") != NULL);
        if (both[0].how.publish == IPC_LOSSY) /* its readers hold nothing, so any process may read on */
            continue;
        IS(ipc_channel_recv(&both[1], &n, sizeof n, ipc_in_ms(LONG_MS)), -ECHILD);
        MUST(strstr(ipc_channel_why(&both[1]), "fork") != NULL);
    }
    ipc_channel_close(&both[0]);
    ipc_channel_close(&both[1]);
}

static void child_of_a_publisher_and_subscriber_is_told(void **state)
{
    struct ipc_channel_options how;
    struct ipc_channel both[2];
    uint64_t n = 1, got;
    struct child c;

    (void)state;
    memset(&how, 0, sizeof how);
    for (how.publish = IPC_LOSSLESS; how.publish <= IPC_LOSSY; how.publish++) {
        choose("ring");
        IS(ipc_channel_open_with(&both[0], uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), 0);
        IS(ipc_channel_open(&both[1], uri, IPC_RECV, IPC_NOW), 0);
        for (; n % 3 != 0; n++) {
            IS(ipc_channel_send(&both[0], &n, sizeof n, ipc_in_ms(LONG_MS)), 0);
            IS(ipc_channel_recv(&both[1], &got, sizeof got, ipc_in_ms(LONG_MS)), sizeof got);
            IS(got, n);
            if (n % 3 == 1) {
                c = spawn(publishes_beside_its_parent, both);
                finish(&c);
            }
        }
        n++;
        ipc_channel_close(&both[0]);
        ipc_channel_close(&both[1]);
        (void)ipc_channel_unlink(uri);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(daemon_gives_on_without_a_call_before_its_fork),
        TEST(daemon_takes_on_without_a_call_before_its_fork),
        TEST(claim_ends_with_the_fork),
        TEST(second_of_parent_and_child_is_told_and_nothing_is_lost),
        TEST(child_that_calls_too_late_is_told),
        TEST(threads_of_a_daemon_go_on),
        TEST(child_without_privileges_is_told),
        TEST(last_generation_notices_a_fork),
        TEST(daemon_sends_on_over_channels),
        TEST(child_of_a_publisher_and_subscriber_is_told),
        TEST(second_of_parent_and_child_is_told_over_channels),
    };

    int failed;

    set_up(argc, argv);
    failed = cmocka_run_group_tests_name("fork_rings", tests, NULL, NULL);
    choose("sysvshm"); /* removes what a failed test has left */
    return failed;
}
