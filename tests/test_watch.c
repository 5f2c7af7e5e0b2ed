/*
 * Tests of how the threads of a process sleep together that wait long on one segment: one polls
 * for all, the others are woken alone, and the kernel's means are used once for a segment. Segments
 * have names that start with IPC_TEST_PREFIX.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 30000
#endif
#define HANG_S 300
#include "harness.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/inotify.h>

#define SLEEPERS 24u
#define TYPE 7u

struct message {
    uint64_t x;
};
IPC_SPSC(msgs, struct message)

struct room {
    struct ipc_notify_shared bell[SLEEPERS];
    uint64_t word[SLEEPERS];
};

static struct ipc_shm shm;
static struct room *room;

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

static struct room *make_room(struct ipc_shm *seg)
{
    struct ipc_shm_object o;

    IS(ipc_shm_create(seg, name, 1 << 20), 0);
    IS(ipc_shm_make(seg, "room", TYPE, sizeof(struct room), &o), 0);
    IS(ipc_shm_publish(seg, &o), 0);
    return (struct room *)o.mem;
}

static struct room *find_room(struct ipc_shm *seg)
{
    struct ipc_shm_object o;

    IS(ipc_shm_open(seg, name, IPC_NOW), 0);
    IS(ipc_shm_find(seg, "room", TYPE, &o), 0);
    return (struct room *)o.mem;
}

static void attach_drowsy(struct ipc_notify *n, struct ipc_notify_shared *bell,
                          const struct ipc_peer *me)
{
    IS(ipc_notify_attach(n, bell, sizeof *bell, IPC_NOTIFY_FUTEX, me), 0);
    ipc_notify_policy(n, 0, 0);
}

/* A member that posts to the bells that it is told, after it has counted their words up. */
static void poster(struct child *up, void *arg)
{
    struct ipc_shm seg;
    struct room *r = find_room(&seg);
    struct ipc_notify n;

    (void)arg;
    tell(up, ipc_shm_peer(&seg)->id);
    for (;;) {
        uint64_t i = hear(up);

        attach_drowsy(&n, &r->bell[i], ipc_shm_peer(&seg));
        put(&r->word[i], get(&r->word[i]) + 1);
        IS(ipc_notify_post(&n), 0);
        ipc_notify_detach(&n);
        tell(up, 0);
    }
}

/* ------------------------------------------------------------------ sleepers of one process */

static struct sleeper {
    pthread_t thread;
    unsigned number;
    int stays;          /* waits again after each post */
    uint64_t peer, got; /* whom it watches, and how many posts it has seen */
    unsigned looks;     /* at its condition */
    int rc;             /* of its last wait */
    int tid;            /* 0: it has ended */
} sleepers[SLEEPERS];

static int is_posted(struct sleeper *s)
{
    ck_pr_inc_uint(&s->looks);
    return get(&room->word[s->number]) != s->got;
}

static void *sleeps(void *arg)
{
    struct sleeper *s = (struct sleeper *)arg;
    struct ipc_notify n;
    int rc;

    ck_pr_store_int(&s->tid, (int)syscall(SYS_gettid));
    attach_drowsy(&n, &room->bell[s->number], ipc_shm_peer(&shm));
    ipc_notify_watch(&n, s->peer);
    do {
        rc = ipc_wait(&n, ipc_in_ms(LONG_MS), is_posted(s));
        if (rc == 0)
            put(&s->got, s->got + 1);
    } while (rc == 0 && ck_pr_load_int(&s->stays));
    ipc_notify_detach(&n);
    s->rc = rc;
    return NULL;
}

static uint32_t polling(void)
{
    return ck_pr_load_32(&shm.watch.turn) & IPC_WATCH_POLL_;
}

static uint32_t following(void)
{
    return ck_pr_load_32(&shm.watch.followers);
}

/* Begins so many, and waits until one polls and the others follow. */
static void begin(unsigned count, uint64_t peer, int stay)
{
    unsigned i;

    memset(sleepers, 0, sizeof sleepers);
    for (i = 0; i < count; i++) {
        sleepers[i].number = i;
        sleepers[i].stays = stay;
        sleepers[i].peer = peer;
        sleepers[i].got = get(&room->word[i]);
        MUST(pthread_create(&sleepers[i].thread, NULL, sleeps, &sleepers[i]) == 0);
    }
    EVENTUALLY(following() == count - 1 && polling() == 1);
}

/* Where no thread can follow there is nothing to be tested here. */
static void skip_if_none_follows(void)
{
    struct ipc_notify n;
    int can;

    attach_drowsy(&n, &room->bell[0], NULL);
    can = (ipc_notify_uses(&n) & IPC_USES_WAITV) != 0;
    ipc_notify_detach(&n);
    SKIP_IF(!can, "no futex_waitv here");
}

/* How often the process or thread of this /proc/.../status has gone to sleep. */
static long switches_in(const char *path)
{
    char text[4096], *at;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    MUST(fd >= 0);
    got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    at = strstr(text, "\nvoluntary_ctxt_switches:");
    MUST(at != NULL);
    return strtol(at + 25, NULL, 10);
}

/* How often the sleepers but one have gone to sleep, less those times that were due to a look at
 * their condition: two looks, one of them after ipc_notify_prepare. */
static long switches_but_of(const struct sleeper *one)
{
    char path[64];
    long sum = 0;
    unsigned i;

    for (i = 0; i < SLEEPERS; i++) {
        if (&sleepers[i] == one)
            continue;
        (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", sleepers[i].tid);
        sum += switches_in(path) - (long)ck_pr_load_uint(&sleepers[i].looks) / 2;
    }
    return sum;
}

static void end(unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        MUST(pthread_join(sleepers[i].thread, NULL) == 0);
        MUST(sleepers[i].rc == -EOWNERDEAD || !sleepers[i].stays);
    }
}

/* How often 20 messages to the first sleeper wake the others. The pause before each is there for a
 * sleeper to go from the futex to poll, if it would. */
static long count_wakes(const struct child *c)
{
    struct sleeper *s = &sleepers[0];
    long woken = switches_but_of(s);
    unsigned i;

    for (i = 0; i < 20; i++) {
        uint64_t before = get(&s->got);

        (void)usleep(10000);
        tell(c, 0);
        (void)hear(c);
        EVENTUALLY(get(&s->got) != before);
    }
    return switches_but_of(s) - woken;
}

/* Some tries, as sleepers that have just begun may still wait for each other. */
static void message_wakes_its_sleeper_alone(void **state)
{
    struct child c;
    unsigned tries = 0;
    long woken;

    (void)state;
    room = make_room(&shm);
    skip_if_none_follows();
    c = spawn(poster, NULL);
    begin(SLEEPERS, hear(&c), 1);
    do
        woken = count_wakes(&c);
    while (woken > 5 && ++tries < 10);
    print_message("note: 20 messages to one of %u wake the others %ld times\n", SLEEPERS, woken);
    MUST(woken <= 5);
    kill_child(&c);
    end(SLEEPERS);
    ipc_shm_close(&shm);
}

/* One of those that poll, NULL if there is none. */
static struct sleeper *poller(unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++)
        if ((ck_pr_load_32(&room->bell[i].word) & IPC_NOTIFY_DOZING_) != 0)
            return &sleepers[i];
    return NULL;
}

/* Another process, which sleeps in poll, and counts how often it looks. */
static void sleeps_in_poll(struct child *up, void *arg)
{
    struct ipc_shm seg;
    struct room *r = find_room(&seg);
    struct ipc_notify n;

    (void)arg;
    attach_drowsy(&n, &r->bell[1], ipc_shm_peer(&seg));
    ipc_notify_watch(&n, hear(up));
    (void)ipc_wait(&n, IPC_FOREVER, (put(&r->word[1], get(&r->word[1]) + 1), 0));
}

static long switches_of(pid_t pid)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    return switches_in(path);
}

/* As count_wakes, of the other process. */
static long count_wakes_of(const struct child *other, const struct child *c)
{
    struct sleeper *s = &sleepers[0];
    long woken = switches_of(other->pid) - (long)get(&room->word[1]) / 2;
    unsigned i;

    for (i = 0; i < 20; i++) {
        uint64_t before = get(&s->got);

        (void)usleep(10000);
        tell(c, 0);
        (void)hear(c);
        EVENTUALLY(get(&s->got) != before);
    }
    return switches_of(other->pid) - (long)get(&room->word[1]) / 2 - woken;
}

/* Messages that come often wake no other process. */
static void brisk_sleeper_stirs_no_other_process(void **state)
{
    struct child c, other;
    unsigned tries = 0;
    uint64_t id;
    long woken;

    (void)state;
    room = make_room(&shm);
    c = spawn(poster, NULL);
    id = hear(&c);
    other = spawn(sleeps_in_poll, NULL);
    tell(&other, id);
    EVENTUALLY((ck_pr_load_32(&room->bell[1].word) & IPC_NOTIFY_DOZING_) != 0 && rests(other.pid));
    begin(1, id, 1);
    do
        woken = count_wakes_of(&other, &c);
    while (woken > 5 && ++tries < 10);
    print_message("note: 20 messages to one process wake the other %ld times\n", woken);
    MUST(woken <= 5);
    kill_child(&other);
    kill_child(&c);
    end(1);
    ipc_shm_close(&shm);
}

/* Two in poll could take from each other what only one of them waits for: poll does not return for a
 * descriptor that is readable no more. */
static void one_thread_polls_for_all_watches_or_none(void **state)
{
    struct ipc_watch a, b;
    struct ipc_watches_ first = {1, {&b}, {NULL}}, both = {2, {&a, &b}, {NULL, NULL}};

    (void)state;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    IS(ipc_watches_enter_poll_(&first), 1);
    IS(ipc_watches_enter_poll_(&first), 0);
    IS(ipc_watches_enter_poll_(&both), 0);
    IS(a.turn & IPC_WATCH_POLL_, 0);
    ipc_watches_leave_poll_(&first, 1);
    IS(ipc_watches_enter_poll_(&both), 1);
    IS(ipc_watches_enter_poll_(&first), 0);
    ipc_watches_leave_poll_(&both, 2);
    IS((a.turn | b.turn) & IPC_WATCH_POLL_, 0);
}

/* Is the thread in futex_waitv? */
static int sleeps_on_futexes(int tid)
{
    char path[64], text[16];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strncmp(text, "449 ", 4) == 0;
}

/* A sleeper that polls, and is woken, leaves that to another, which polls before it looks at its
 * condition. Each looks once a second by itself, which a busy machine may mistake for that. */
static void one_that_stops_polling_leaves_it_to_another(void **state)
{
    struct child c;
    unsigned tries, i, looks, handed_on = 0;

    (void)state;
    room = make_room(&shm);
    skip_if_none_follows();
    c = spawn(poster, NULL);
    sleepers[0].peer = hear(&c);
    /* Three times, as a sleeper that looks by itself may happen to come at that moment. */
    for (tries = 0; tries < 15 && handed_on < 3; tries++) {
        struct sleeper *first, *second;
        int follows;

        begin(2, sleepers[0].peer, 0);
        follows = following() == 1; /* or both began to poll at once */
        EVENTUALLY((first = poller(2)) != NULL);
        second = &sleepers[first == sleepers];
        if (follows)
            EVENTUALLY(sleeps_on_futexes(second->tid));
        looks = ck_pr_load_uint(&second->looks);
        tell(&c, first->number);
        (void)hear(&c);
        MUST(pthread_join(first->thread, NULL) == 0);
        IS(first->rc, 0);
        EVENTUALLY(polling() == 1 && following() == 0);
        EVENTUALLY(poller(2) == second);
        handed_on += follows && looks == ck_pr_load_uint(&second->looks);
        tell(&c, second->number);
        (void)hear(&c);
        MUST(pthread_join(second->thread, NULL) == 0);
        IS(second->rc, 0);
        IS(polling(), 0);
    }
    MUST(handed_on == 3);
    begin(SLEEPERS, sleepers[0].peer, 1);
    for (i = 0; i < SLEEPERS; i++) { /* and so on; then a death is told to all of them */
        struct sleeper *first;

        EVENTUALLY((first = poller(SLEEPERS)) != NULL);
        tell(&c, first->number);
        (void)hear(&c);
        EVENTUALLY(following() == SLEEPERS - 1 && polling() == 1);
    }
    kill_child(&c);
    end(SLEEPERS);
    IS(polling() + following(), 0);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ what it costs a process */

static unsigned inotify_instances(void)
{
    char path[64], to[64];
    unsigned found = 0;
    int fd;

    for (fd = 0; fd < 1024; fd++) {
        ssize_t n;

        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        n = readlink(path, to, sizeof to - 1);
        to[n > 0 ? n : 0] = '\0';
        found += strcmp(to, "anon_inode:inotify") == 0;
    }
    return found;
}

static void holds_an_end_of_each(struct child *up, void *arg)
{
    static struct msgs_producer out[40];
    struct ipc_shm seg;
    char ring[16];
    unsigned i;

    (void)arg;
    IS(ipc_shm_open(&seg, name, IPC_NOW), 0);
    for (i = 0; i < 40; i++) {
        (void)snprintf(ring, sizeof ring, "ring%u", i);
        IS(msgs_producer_create(&out[i], &seg, ring, 8), 0);
    }
    tell(up, 0);
    wait_for_death();
}

static void many_rings_of_a_segment_take_three_descriptors(void **state)
{
    static struct msgs_consumer in[40];
    struct message m;
    struct child c;
    unsigned i, fds;
    char ring[16];

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    c = spawn(holds_an_end_of_each, NULL);
    (void)hear(&c);
    fds = open_fds();
    for (i = 0; i < 40; i++) {
        (void)snprintf(ring, sizeof ring, "ring%u", i);
        IS(msgs_consumer_open(&in[i], &shm, ring), 0);
        IS(msgs_recv(&in[i], &m, ipc_in_ms(8)), -ETIMEDOUT); /* long enough to poll */
    }
    MUST(open_fds() <= fds + 3); /* the set, inotify, and a socket */
    MUST(inotify_instances() <= 1);
    kill_child(&c);
    for (i = 0; i < 40; i++) {
        IS(msgs_recv(&in[i], &m, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
        msgs_consumer_detach(&in[i]);
    }
    ipc_shm_close(&shm);
    IS(inotify_instances(), 0);
    IS(open_fds(), fds - 3); /* the segment, and the pipes to the child */
}

/* ------------------------------------------------------------------ what ends last */

/* How many descriptors are in messages to this process that it has not received. */
static unsigned descriptors_in_sockets(void)
{
    char path[40], line[80];
    unsigned n = 0, sum = 0;
    int fd;

    for (fd = 0; fd < 64; fd++) {
        FILE *f;

        (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
        f = fopen(path, "re");
        while (f != NULL && fgets(line, sizeof line, f) != NULL)
            if (sscanf(line, "scm_fds: %u", &n) == 1)
                sum += n;
        if (f != NULL)
            (void)fclose(f);
    }
    return sum;
}

/* The ways in which a process has an inotify. */
enum { SLEEPS_LONG, HAS_A_LOOP, FOLLOWS_A_LOG, POLLS_A_CHANNEL, WAYS };

static void has_an_inotify(struct child *up, void *arg)
{
    int way = *(const int *)arg;
    struct msgs_consumer in;
    struct message m;
    struct ipc_channel ch;
    char uri[200];

    IS(ipc_shm_open(&shm, name, IPC_NOW), 0);
    IS(msgs_consumer_open(&in, &shm, "ring"), 0);
    if (way == SLEEPS_LONG)
        IS(msgs_recv(&in, &m, ipc_in_ms(8)), -ETIMEDOUT);
    if (way == HAS_A_LOOP)
        MUST(ipc_notify_fd(msgs_consumer_bell(&in)) >= 0);
    (void)snprintf(uri, sizeof uri, "file:/dev/shm/%s-log", name);
    if (way == FOLLOWS_A_LOG)
        IS(ipc_channel_open(&ch, uri, IPC_RECV, IPC_NOW), 0);
    (void)snprintf(uri, sizeof uri, "ring:%s-ring", name);
    if (way == POLLS_A_CHANNEL)
        MUST(ipc_channel_open(&ch, uri, IPC_RECV, IPC_NOW) == 0 && ipc_channel_fd(&ch) >= 0);
    MUST(inotify_instances() == 1);
    IS(descriptors_in_sockets(), 1);
    tell(up, 0);
    wait_for_death();
}

/* The kernel takes some 20 ms to end the inotify of a process that dies, though not
 * always. What is in a socket it ends after all else. */
static void an_inotify_is_in_a_socket_and_so_ends_last(void **state)
{
    struct ipc_channel log, ring;
    struct msgs_producer out;
    char uri[200];
    int way;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 16), 0);
    IS(msgs_producer_create(&out, &shm, "ring", 8), 0);
    (void)snprintf(uri, sizeof uri, "file:/dev/shm/%s-log", name);
    IS(ipc_channel_open(&log, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    (void)snprintf(uri, sizeof uri, "ring:%s-ring", name);
    IS(ipc_channel_open(&ring, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    for (way = 0; way < WAYS; way++) {
        struct child c = spawn(has_an_inotify, &way);

        (void)hear(&c);
        kill_child(&c);
    }
    ipc_channel_close(&ring);
    IS(ipc_channel_unlink(uri), 0);
    (void)snprintf(uri, sizeof uri, "file:/dev/shm/%s-log", name);
    ipc_channel_close(&log);
    IS(ipc_channel_unlink(uri), 0);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ fork, and limits */

/* Takes all that its descriptor reports. */
static void takes_its_own(struct child *up, void *arg)
{
    struct ipc_peer *me = ipc_shm_peer(&shm);
    struct pollfd p = {-1, POLLIN, 0};

    (void)arg;
    p.fd = me->watch->open(me->arg, 0);
    MUST(p.fd >= 0);
    tell(up, me->id);
    (void)hear(up); /* both were stirred */
    IS(poll(&p, 1, LONG_MS), 1);
    while (poll(&p, 1, 0) == 1)
        (void)me->watch->take(me->arg);
    tell(up, 0);
    (void)hear(up);
    ipc_shm_close(&shm);
    tell(up, 0);
    (void)hear(up);
}

static void child_takes_nothing_from_its_parent(void **state)
{
    struct pollfd p = {-1, POLLIN, 0};
    struct child c, other;
    struct ipc_peer *me;
    uint64_t id;

    (void)state;
    room = make_room(&shm);
    me = ipc_shm_peer(&shm);
    other = spawn(poster, NULL);
    id = hear(&other);
    p.fd = me->watch->open(me->arg, id);
    MUST(p.fd >= 0);
    c = spawn(takes_its_own, NULL);
    MUST(hear(&c) != me->id);
    while (poll(&p, 1, 0) == 1) /* the child has closed its copy of the segment's descriptor */
        (void)me->watch->take(me->arg);
    ck_pr_store_32(&room->bell[0].word, IPC_NOTIFY_DOZING_ | IPC_NOTIFY_ASLEEP_);
    tell(&other, 0);
    (void)hear(&other);
    tell(&c, 0);
    (void)hear(&c);
    IS(poll(&p, 1, 0), 1);
    IS(me->watch->take(me->arg), IPC_WATCH_STIRRED);
    tell(&c, 0);
    (void)hear(&c); /* it has closed the handle, and its copies of what we watch by */
    tell(&c, 0);
    finish(&c);
    kill_child(&other);
    IS(poll(&p, 1, LONG_MS), 1);
    IS(me->watch->take(me->arg), IPC_WATCH_MAYBE);
    IS(me->alive(me->arg, id), 0);
    ipc_shm_close(&shm);
}

/* As a user of whom all inotify instances are taken: it asks. */
static void waits_without_inotify(struct child *up, void *arg)
{
    struct ipc_notify n;
    struct ipc_shm seg;
    struct room *r = find_room(&seg);
    unsigned i;

    (void)arg;
    if (setuid(65531) != 0)
        _exit(UNABLE);
    for (i = 0; i < 900 && inotify_init1(IN_CLOEXEC) >= 0; i++)
        ;
    if (i == 900)
        _exit(UNABLE);
    attach_drowsy(&n, &r->bell[0], ipc_shm_peer(&seg));
    ipc_notify_watch(&n, hear(up));
    tell(up, 0);
    IS(ipc_wait(&n, ipc_in_ms(LONG_MS), 0), -EOWNERDEAD);
    IS(ipc_notify_uses(&n) & IPC_USES_WATCH, 0);
    ipc_notify_detach(&n);
    ipc_shm_close(&seg);
}

static void without_inotify_a_sleeper_asks(void **state)
{
    struct child c, other;
    uint64_t id;
    int rc;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be a user without inotify instances");
    room = make_room(&shm);
    other = spawn(poster, NULL);
    id = hear(&other);
    c = spawn(waits_without_inotify, NULL);
    tell(&c, id);
    if (waitpid(c.pid, &rc, WNOHANG) == 0) {
        (void)hear(&c);
        EVENTUALLY((ck_pr_load_32(&room->bell[0].word) & IPC_NOTIFY_ASLEEP_) != 0 && rests(c.pid));
    }
    kill_child(&other);
    rc = result(&c);
    SKIP_IF(rc == UNABLE, "inotify instances without end");
    IS(rc, 0);
    ipc_shm_close(&shm);
}

/* Attaches again and again where the calls of the first attach are deadly. */
static void attaches_many_times(struct child *up, void *arg)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 449, 0, 1), /* futex_waitv */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof f / sizeof *f, f};
    static struct msgs_consumer in[8];
    struct ipc_shm seg;
    char ring[16];
    unsigned i;

    (void)up;
    (void)arg;
    IS(ipc_shm_open(&seg, name, IPC_NOW), 0);
    for (i = 0; i < 8; i++) {
        if (i == 1 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0))
            _exit(UNABLE);
        (void)snprintf(ring, sizeof ring, "ring%u", i);
        IS(msgs_consumer_create(&in[i], &seg, ring, 8), 0);
    }
}

static void attaching_to_many_rings_asks_the_kernel_once(void **state)
{
    int rc;

    (void)state;
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    rc = run(attaches_many_times, NULL);
    SKIP_IF(rc == UNABLE, "may not install a seccomp filter");
    IS(rc, 0);
    ipc_shm_close(&shm);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(message_wakes_its_sleeper_alone),
        TEST(brisk_sleeper_stirs_no_other_process),
        TEST(one_thread_polls_for_all_watches_or_none),
        TEST(one_that_stops_polling_leaves_it_to_another),
        TEST(many_rings_of_a_segment_take_three_descriptors),
        TEST(an_inotify_is_in_a_socket_and_so_ends_last),
        TEST(child_takes_nothing_from_its_parent),
        TEST(without_inotify_a_sleeper_asks),
        TEST(attaching_to_many_rings_asks_the_kernel_once),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
