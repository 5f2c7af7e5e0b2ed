/*
 * Tests of ipc_notify.h, and of how ipc_shm.h reports deaths: deaths and their watchers, fork and members.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "notify.h"

/* For the next tests: a segment with a room, inherited by all processes. */
static struct ipc_shm shm;

/* ------------------------------------------------------------------ deaths and their watchers */

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
    MUST(p.fd >= 0 && open_fds() == open + 3);
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
    IS(open_fds(), open - 4); /* the segment, epoll, inotify and a socket */
    MUST(me->watch->open(me->arg, id) < 0);
}

/* ------------------------------------------------------------------ all of them */

static int run_all(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(death_is_told_once_in_a_named_segment),
        TEST(death_is_told_once_in_a_nameless_segment),
        TEST(creator_wakes_and_its_death_is_told),
        TEST(post_wakes_who_is_long_asleep),
        TEST(poster_without_a_peer_wakes_who_is_long_asleep),
        TEST(poster_without_a_peer_that_leaves_is_forgotten),
        TEST(descriptors_are_none_of_the_first_three),
        TEST(successor_is_awaited_after_a_death),
        TEST(death_is_told_to_short_waits_too),
        TEST(stopped_peer_is_not_dead),
        TEST(peer_that_closes_the_segment_counts_as_dead),
        TEST(death_is_told_though_a_child_keeps_the_descriptor),
        TEST(death_in_another_pid_namespace_is_told),
        TEST(peer_of_ones_own_is_asked),
        TEST(idle_waits_cost_little),
        TEST(copies_of_a_handle_work_after_fork),
        TEST(who_lists_parent_and_child_after_fork),
        TEST(watch_is_one_descriptor_that_tells),
    };

    return cmocka_run_group_tests_name("ipc_notify, peers", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return run_in_child(run_all, argc, argv);
}
