/*
 * Tests of ipc_shm.h: proofs of life and death, descriptors, passing segments on.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "shm.h"

/* ------------------------------------------------------------------ processes */

static void holds_still(struct child *up, void *arg)
{
    (void)up;
    (void)arg;
    wait_for_death();
}

/* ------------------------------------------------------------------ members */

static void member_is_alive_until_it_closes_or_dies(void **state)
{
    struct child killed, closing, zombie;
    uint64_t a, b, c;
    siginfo_t info;
    struct ipc_shm seg;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    MUST(ipc_shm_alive(&seg, seg.peer.id) == 1 && ipc_shm_peer(&seg)->id == seg.peer.id);
    MUST(ipc_shm_alive(&seg, 0) == 0 && ipc_shm_alive(&seg, UINT64_MAX) == 0);
    killed = spawn(opener, NULL), a = hear(&killed);
    closing = spawn(opener, NULL), b = hear(&closing);
    zombie = spawn(opener, NULL), c = hear(&zombie);
    MUST(a != b && b != c && a != c);
    MUST(ipc_shm_alive(&seg, a) && ipc_shm_alive(&seg, b) && ipc_shm_alive(&seg, c));
    stop_child(&killed);
    MUST(ipc_shm_alive(&seg, a));
    kill_child(&killed);
    MUST(!ipc_shm_alive(&seg, a));
    tell(&closing, 0);
    (void)hear(&closing);
    MUST(!ipc_shm_alive(&seg, b));
    kill_child(&closing);
    signal_child(&zombie, SIGKILL);
    MUST(waitid(P_PID, (id_t)zombie.pid, &info, WEXITED | WNOWAIT) == 0);
    MUST(!ipc_shm_alive(&seg, c));
    (void)reap(&zombie);
    MUST(!ipc_shm_alive(&seg, c));
    ipc_shm_close(&seg);
}

/* Opens the segment and forks a child that keeps descriptor and mapping, but calls nothing. */
static void opener_with_heir(struct child *up, void *arg)
{
    struct ipc_shm seg;
    pid_t heir;

    (void)arg;
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    heir = fork();
    MUST(heir >= 0);
    if (heir == 0) {
        (void)alarm(HANG_S);
        (void)hear(up); /* after its parent's death */
        MUST(seg.base->magic == IPC_SHM_MAGIC && fcntl(seg.fd, F_GETFD) >= 0);
        tell(up, 1);
        (void)hear(up);
        _exit(0);
    }
    tell(up, seg.peer.id);
    wait_for_death();
}

static short lock_of(const struct ipc_shm *seg, uint64_t id)
{
    short type = F_WRLCK;

    MUST(ipc_shm_lock_(seg->fd, F_OFD_GETLK, IPC_SHM_MEMBERS + id % IPC_SHM_MEMBERS, &type) == 0);
    return type;
}

static void heir_does_not_keep_a_dead_member_alive(void **state)
{
    struct ipc_shm seg;
    struct child c;
    siginfo_t info;
    uint64_t id;

    (void)state;
    SKIP_IF(is_emulated(), NO_DONTFORK);
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    c = spawn(opener_with_heir, NULL);
    id = hear(&c);
    MUST(ipc_shm_alive(&seg, id));
    signal_child(&c, SIGKILL);
    MUST(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT) == 0);
    MUST(lock_of(&seg, id) == F_UNLCK && !ipc_shm_alive(&seg, id)); /* a zombie */
    MUST(waitpid(c.pid, NULL, 0) == c.pid);
    keep_in_mind(0, c.pid);
    MUST(lock_of(&seg, id) == F_UNLCK && !ipc_shm_alive(&seg, id));
    tell(&c, 0);
    MUST(hear(&c) == 1); /* the heir kept all of it until here */
    tell(&c, 0);
    (void)close(c.to);
    (void)close(c.from);
    EVENTUALLY(lock_of(&seg, id) == F_UNLCK);
    MUST(!ipc_shm_alive(&seg, id));
    ipc_shm_close(&seg);
}

/* Opens, finds, forks; the leaf becomes a member itself and sees this process die. */
static void middle(struct child *up, void *arg)
{
    struct ipc_shm_object o;
    struct ipc_shm_header_ *base;
    struct ipc_shm seg;
    uint64_t id;
    pid_t leaf;

    (void)arg;
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    DONE(ipc_shm_find(&seg, "word", TYPE, &o), &seg);
    id = seg.peer.id;
    base = seg.base;
    leaf = fork();
    MUST(leaf >= 0);
    if (leaf > 0)
        wait_for_death();
    (void)alarm(HANG_S);
    MUST(ipc_shm_peer(&seg)->id != 0 && ipc_shm_peer(&seg)->id != id);
    MUST(seg.base == base && memcmp(o.mem, "hello", 5) == 0 && fcntl(seg.fd, F_GETFD) == 1);
    expect_word(&seg, "word", "hello");
    MUST(ipc_shm_alive(&seg, id) && ipc_shm_alive(&seg, seg.peer.id));
    tell(up, id);
    tell(up, seg.peer.id);
    (void)hear(up); /* after the middle's death */
    MUST(!ipc_shm_alive(&seg, id));
    put(&seg, "leaf", "lives");
    tell(up, 1);
    (void)hear(up);
    ipc_shm_close(&seg);
    tell(up, 2);
    _exit(0);
}

static void child_that_inherits_a_handle_becomes_a_member_of_its_own(void **state)
{
    struct ipc_shm seg;
    struct child c;
    uint64_t a, b;
    int status;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    put(&seg, "word", "hello");
    c = spawn(middle, NULL);
    a = hear(&c);
    b = hear(&c);
    MUST(ipc_shm_alive(&seg, a) && ipc_shm_alive(&seg, b) && a != b);
    signal_child(&c, SIGKILL);
    MUST(waitpid(c.pid, &status, 0) == c.pid);
    keep_in_mind(0, c.pid);
    MUST(!ipc_shm_alive(&seg, a) && ipc_shm_alive(&seg, b));
    tell(&c, 0);
    MUST(hear(&c) == 1);
    expect_word(&seg, "leaf", "lives");
    MUST(ipc_shm_alive(&seg, b));
    tell(&c, 0);
    MUST(hear(&c) == 2);
    MUST(!ipc_shm_alive(&seg, b));
    (void)close(c.to);
    (void)close(c.from);
    ipc_shm_close(&seg);
}

static void closes_what_it_inherited(struct child *up, void *arg)
{
    (void)up;
    ipc_shm_close((struct ipc_shm *)arg);
}

static void child_that_closes_an_inherited_handle_leaves_the_parent_alone(void **state)
{
    struct ipc_shm seg, watch;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    DONE(ipc_shm_open(&watch, name, IPC_NOW), &watch);
    MUST(run(closes_what_it_inherited, &seg) == 0);
    MUST(ipc_shm_alive(&watch, seg.peer.id));
    put(&seg, "word", "mine");
    expect_word(&watch, "word", "mine");
    ipc_shm_close(&watch);
    ipc_shm_close(&seg);
}

static int memfd(size_t size, mode_t mode, int seals)
{
    int fd = (int)syscall(SYS_memfd_create, "test", 3u);

    MUST(fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fchmod(fd, mode) == 0);
    MUST(seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

#define THREADS 8u

static void *asks_who_it_is(void *arg)
{
    struct asks *a = (struct asks *)arg;

    (void)pthread_barrier_wait(a->start);
    a->id = ipc_shm_peer(a->seg)->id;
    return NULL;
}

static void asks_in_threads(struct child *up, void *seg)
{
    struct ipc_shm_member who;
    struct asks a[THREADS];
    pthread_barrier_t start;
    pthread_t thread[THREADS];
    unsigned i, mine = 0;

    (void)up;
    MUST(pthread_barrier_init(&start, NULL, THREADS) == 0);
    for (i = 0; i < THREADS; i++) {
        a[i].seg = (struct ipc_shm *)seg;
        a[i].start = &start;
        MUST(pthread_create(&thread[i], NULL, asks_who_it_is, &a[i]) == 0);
    }
    for (i = 0; i < THREADS; i++)
        MUST(pthread_join(thread[i], NULL) == 0);
    for (i = 0; i < THREADS; i++)
        MUST(a[i].id != 0 && a[i].id == ipc_shm_peer((struct ipc_shm *)seg)->id);
    for (i = 0; i < IPC_SHM_MEMBERS; i++)
        mine += ipc_shm_who((struct ipc_shm *)seg, i, &who) == 0 && who.alive &&
                who.pid == getpid();
    IS(mine, 1);
}

static void threads_of_a_forked_child_become_one_member(void **state)
{
    struct ipc_shm seg;
    unsigned i;

    (void)state;
    /* So large that the first thread is still faulting it in when the others ask. */
    DONE(ipc_shm_create(&seg, name, (size_t)32 << 20), &seg);
    for (i = 0; i < REPEATS; i++)
        MUST(run(asks_in_threads, &seg) == 0);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ descriptors */

static void has_no_standard_files(struct child *up, void *arg)
{
    struct ipc_shm named, sealed, seg;
    int pair[2], i;

    (void)up;
    (void)arg;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    for (i = 0; i < 3; i++)
        (void)close(i);
    MUST(ipc_shm_create(&named, name, 4096) == 0 && named.fd > 2);
    MUST(ipc_shm_open(&seg, name, IPC_NOW) == 0 && seg.fd > 2);
    MUST(ipc_shm_peer(&named)->watch->open(&named, seg.peer.id) > 2 && named.inotify > 2);
    ipc_shm_close(&seg);
    MUST(ipc_shm_create(&sealed, NULL, 4096) == 0 && sealed.fd > 2);
    MUST(ipc_shm_send(&sealed, pair[0]) == 0);
    MUST(ipc_shm_recv(&seg, pair[1], IPC_NOW) == 0 && seg.fd > 2);
    for (i = 0; i < 3; i++)
        MUST(fcntl(i, F_GETFD) == -1);
}

/* To those a program prints that knows nothing of it. */
static void descriptors_are_none_of_the_first_three(void **state)
{
    (void)state;
    MUST(run(has_no_standard_files, NULL) == 0);
}

/* Calls what opens the descriptor anew, when it is no more the segment's. */
static void goes_on_with_what_others_closed(struct child *up, void *seg)
{
    (void)up;
    REFUSED(ipc_shm_peer((struct ipc_shm *)seg)->watch->open(seg, 0), -EBADF,
            (struct ipc_shm *)seg, "closed");
}

static void a_descriptor_that_others_closed_kills_nobody(void **state)
{
    struct ipc_shm seg;
    struct child c;
    uint64_t id;
    int i, pair[2], log;

    (void)state;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    for (i = 0; i < 2; i++) {
        DONE(ipc_shm_create(&seg, name, 4096), &seg);
        c = spawn(opener, NULL);
        id = hear(&c);
        MUST(ipc_shm_alive(&seg, id));
        (void)close(seg.fd);
        MUST(ipc_shm_alive(&seg, id));
        log = i == 0 ? memfd(4096, 0600, 0) : dup(pair[0]);
        MUST(log == seg.fd); /* the first free number */
        MUST(ipc_shm_alive(&seg, id));
        REFUSED(ipc_shm_send(&seg, pair[0]), -EBADF, &seg, "closed");
        IS(ipc_shm_peer(&seg)->watch->open(&seg, id), -EBADF);
        MUST(ipc_shm_map_twice(&seg, (char *)seg.base + HEADER, 4096) == NULL);
        MUST(run(goes_on_with_what_others_closed, &seg) == 0);
        kill_child(&c);
        MUST(!ipc_shm_alive(&seg, id)); /* its process is gone */
        ipc_shm_close(&seg);
        MUST(fcntl(log, F_GETFD) >= 0); /* not ours to close */
        (void)close(log);
    }
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void stray_open_and_close_of_the_file_loses_no_membership(void **state)
{
    struct ipc_shm seg, watch;
    int fd, copy;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    DONE(ipc_shm_open(&watch, name, IPC_NOW), &watch);
    fd = open(path_of(name), O_RDWR | O_CLOEXEC);
    copy = fcntl(seg.fd, F_DUPFD_CLOEXEC, 0);
    MUST(fd >= 0 && copy >= 0);
    (void)close(fd);
    (void)close(copy);
    MUST(lock_of(&watch, seg.peer.id) != F_UNLCK && ipc_shm_alive(&watch, seg.peer.id));
    ipc_shm_close(&watch);
    ipc_shm_close(&seg);
}

static void numbers_in_the_segment_prove_nothing(void **state)
{
    struct ipc_shm_member_ *m;
    struct ipc_shm seg;
    struct child c;
    uint64_t id;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    c = spawn(opener, NULL);
    id = hear(&c);
    m = ipc_shm_member_of_(&seg, id);
    MUST(ipc_shm_alive(&seg, id) && m->pid == (uint32_t)c.pid);
    for (m->pid = 20; kill((pid_t)m->pid, 0) == 0 || errno != ESRCH; m->pid++)
        ;
    MUST(ipc_shm_alive(&seg, id));
    m->pid = (uint32_t)getpid();
    m->pid_ns++;
    MUST(ipc_shm_alive(&seg, id));
    kill_child(&c);
    MUST(!ipc_shm_alive(&seg, id));
    ipc_shm_close(&seg);
}

static void there_is_room_for_64_members(void **state)
{
    struct ipc_shm seg[IPC_SHM_MEMBERS], no;
    unsigned i, k, fds = open_fds();

    (void)state;
    DONE(ipc_shm_create(&seg[0], name, 64), &seg[0]);
    for (i = 1; i < IPC_SHM_MEMBERS; i++)
        DONE(ipc_shm_open(&seg[i], name, IPC_NOW), &seg[i]);
    for (i = 0; i < IPC_SHM_MEMBERS; i++)
        for (k = 0; k < IPC_SHM_MEMBERS; k++)
            MUST(ipc_shm_alive(&seg[i], seg[k].peer.id) && (i == k) == (&seg[i] == &seg[k]));
    REFUSED(ipc_shm_open(&no, name, IPC_FOREVER), -EUSERS, &no, "64");
    REFUSED(ipc_shm_create(&no, name, 64), -EUSERS, &no, "64");
    MUST(open_fds() == fds + IPC_SHM_MEMBERS);
    ipc_shm_close(&seg[17]);
    DONE(ipc_shm_open(&seg[17], name, IPC_NOW), &seg[17]);
    MUST(seg[17].peer.id % IPC_SHM_MEMBERS == 17);
    REFUSED(ipc_shm_open(&no, name, IPC_NOW), -EUSERS, &no, "64");
    for (i = 0; i < IPC_SHM_MEMBERS; i++)
        ipc_shm_close(&seg[i]);
    MUST(open_fds() == fds);
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void ids_are_never_used_twice(void **state)
{
    static uint64_t id[1000];
    struct ipc_shm seg, made;
    size_t i;

    (void)state;
    DONE(ipc_shm_create(&made, name, 64), &made);
    for (i = 0; i < 1000; i++) {
        DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
        id[i] = seg.peer.id;
        MUST(id[i] != 0 && id[i] != made.peer.id && ipc_shm_alive(&made, id[i]));
        ipc_shm_close(&seg);
        MUST(!ipc_shm_alive(&made, id[i]));
    }
    qsort(id, 1000, sizeof *id, compare_ids);
    for (i = 1; i < 1000; i++)
        MUST(id[i] != id[i - 1]);
    ipc_shm_close(&made);
    print_message("%zu ids\n", i);
}

/* ------------------------------------------------------------------ PID namespaces */

static pid_t wanted_pid; /* in the namespace */

/* Runs f as the first process of a new PID namespace; /proc stays the outer one. */
static void in_namespace(struct child *up, void *f)
{
    pid_t init;
    int status;

    if (unshare(CLONE_NEWPID) != 0)
        _exit(UNABLE);
    init = fork();
    MUST(init >= 0);
    if (init == 0) {
        become_child();
        (*(body **)f)(up, NULL);
        _exit(0);
    }
    MUST(waitpid(init, &status, 0) == init && WIFEXITED(status));
    _exit(WEXITSTATUS(status));
}

static struct child spawn_wanted(body *f)
{
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    struct child c;
    char text[32];

    (void)snprintf(text, sizeof text, "%ld", (long)wanted_pid - 1);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        _exit(UNABLE);
    (void)close(fd);
    c = spawn(f, NULL);
    MUST(c.pid == wanted_pid);
    return c;
}

static void does_nothing(struct child *up, void *arg)
{
    (void)up;
    (void)arg;
}

static void tries_to_choose_a_pid(struct child *up, void *arg)
{
    struct child c;

    (void)up;
    (void)arg;
    wanted_pid = 20;
    c = spawn_wanted(does_nothing);
    finish(&c);
}

static int namespaces_work(void)
{
    body *f = tries_to_choose_a_pid;

    return run(in_namespace, &f) == 0;
}

static void member_in_another_pid_namespace_is_alive_until_killed(void **state)
{
    body *f = opener;
    struct ipc_shm seg;
    struct child c;
    uint64_t id;

    (void)state;
    SKIP_IF(!namespaces_work(), "may not make a PID namespace");
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    c = spawn(in_namespace, &f);
    id = hear(&c);
    MUST(ipc_shm_alive(&seg, id));
    MUST(ipc_shm_member_of_(&seg, id)->pid == 1);
    kill_child(&c); /* ends the namespace too */
    EVENTUALLY(!ipc_shm_alive(&seg, id));
    ipc_shm_close(&seg);
}

static void opens_and_ends(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    ipc_shm_close(&seg);
}

static void opens_with_wanted_pid(struct child *up, void *arg)
{
    struct child c = spawn_wanted(opens_and_ends);

    (void)up;
    (void)arg;
    finish(&c);
}

/* As after unshare --pid --fork without --mount-proc. */
static void member_may_have_a_pid_that_proc_does_not_know(void **state)
{
    body *f = opens_with_wanted_pid;
    struct ipc_shm seg;

    (void)state;
    SKIP_IF(!namespaces_work(), "may not make a PID namespace");
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    for (wanted_pid = 20; kill(wanted_pid, 0) == 0 || errno != ESRCH; wanted_pid++)
        ;
    MUST(run(in_namespace, &f) == 0);
    ipc_shm_close(&seg);
}

/* Reports twice whether a member of the same namespace lives, which it does. */
static void watches_wanted_pid(struct child *up, void *arg)
{
    struct ipc_shm seg;
    struct child c;
    uint64_t id;

    (void)arg;
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    c = spawn_wanted(opener);
    id = hear(&c);
    tell(up, (uint64_t)ipc_shm_alive(&seg, id));
    (void)hear(up);
    MUST(lock_of(&seg, id) != F_UNLCK);
    tell(up, (uint64_t)ipc_shm_alive(&seg, id));
    ipc_shm_close(&seg);
    kill_child(&c);
}

/* The outer /proc shows a stranger with that pid, whose death proves nothing. */
static void death_of_a_stranger_with_the_same_pid_outside_is_no_proof(void **state)
{
    body *f = watches_wanted_pid;
    struct ipc_shm seg;
    struct child stranger, c;
    siginfo_t info;

    (void)state;
    SKIP_IF(!namespaces_work(), "may not make a PID namespace");
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    stranger = spawn(holds_still, NULL);
    wanted_pid = stranger.pid;
    c = spawn(in_namespace, &f);
    MUST(hear(&c) == 1);
    signal_child(&stranger, SIGKILL);
    MUST(waitid(P_PID, (id_t)stranger.pid, &info, WEXITED | WNOWAIT) == 0);
    tell(&c, 0);
    MUST(hear(&c) == 1);
    finish(&c);
    (void)reap(&stranger);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ passing segments on */

static void receiver(struct child *up, void *socket)
{
    struct ipc_shm seg;

    DONE(ipc_shm_recv(&seg, *(int *)socket, ipc_in_ms(LONG_MS)), &seg);
    MUST(seg.created == 0 && fcntl(seg.fd, F_GETFD) == FD_CLOEXEC);
    expect_word(&seg, "word", "passed");
    put(&seg, "answer", "received");
    tell(up, seg.peer.id);
    (void)hear(up);
    ipc_shm_close(&seg);
}

static void pass_on(struct ipc_shm *seg, int type)
{
    int pair[2];
    struct child c;
    uint64_t id;

    MUST(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == 0);
    c = spawn(receiver, &pair[1]);
    (void)close(pair[1]);
    DONE(ipc_shm_send(seg, pair[0]), seg);
    id = hear(&c);
    MUST(id != seg->peer.id && ipc_shm_alive(seg, id));
    expect_word(seg, "answer", "received");
    tell(&c, 0);
    finish(&c);
    MUST(!ipc_shm_alive(seg, id));
    (void)close(pair[0]);
}

static void nameless_segment_is_sealed_and_can_be_passed_on(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    struct ipc_shm seg;
    unsigned i, fds = open_fds();

    (void)state;
    for (i = 0; i < 3; i++) {
        DONE(ipc_shm_create(&seg, NULL, 100000), &seg);
        MUST(seg.created == 1 && names_there() == 0);
        MUST(ftruncate(seg.fd, 0) == -1 && errno == EPERM);
        MUST(ftruncate(seg.fd, 1 << 20) == -1 && errno == EPERM);
        MUST(fcntl(seg.fd, F_ADD_SEALS, F_SEAL_SHRINK) == -1 && errno == EPERM);
        put(&seg, "word", "passed");
        pass_on(&seg, types[i]);
        ipc_shm_close(&seg);
    }
    MUST(open_fds() == fds);
}

/* One side of a sealed segment; the sides belong to different users. */
struct side {
    uid_t uid;
    int socket, sends;
};

/* Meets the other side in the segment, exchanges ids with it, and outlives it. */
static void outlives_another_user(struct child *up, void *arg)
{
    const struct side *side = (const struct side *)arg;
    struct ipc_shm seg;
    struct pollfd told;
    uint64_t id;

    if (side->uid != geteuid())
        MUST(setgroups(0, NULL) == 0 && setgid(side->uid) == 0 && setuid(side->uid) == 0);
    if (side->sends) {
        DONE(ipc_shm_create(&seg, NULL, 4096), &seg);
        put(&seg, "word", "passed");
        DONE(ipc_shm_send(&seg, side->socket), &seg);
    } else {
        DONE(ipc_shm_recv(&seg, side->socket, ipc_in_ms(LONG_MS)), &seg);
        expect_word(&seg, "word", "passed");
    }
    tell(up, seg.peer.id);
    id = hear(up);
    MUST(id % IPC_SHM_MEMBERS != seg.peer.id % IPC_SHM_MEMBERS && ipc_shm_alive(&seg, id));
    told.fd = ipc_shm_peer(&seg)->watch->open(&seg, id);
    told.events = POLLIN;
    MUST(told.fd >= 0);
    tell(up, 0);
    MUST(poll(&told, 1, LONG_MS) > 0);
    EVENTUALLY(!ipc_shm_alive(&seg, id));
    ipc_shm_close(&seg);
}

static void sealed_segment_serves_every_user_that_it_is_handed_to(void **state)
{
    static const uid_t users[][2] = {{0, 65534}, {65534, 0}, {65533, 65534}};
    unsigned i, k, dies;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    for (i = 0; i < 2 * sizeof users / sizeof *users; i++) {
        struct side side;
        struct child c[2];
        uint64_t id[2];
        int pair[2];

        dies = i % 2;
        MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        for (k = 0; k < 2; k++) {
            side.uid = users[i / 2][k];
            side.socket = pair[k];
            side.sends = k == 0;
            c[k] = spawn(outlives_another_user, &side);
        }
        for (k = 0; k < 2; k++)
            id[k] = hear(&c[k]);
        for (k = 0; k < 2; k++)
            tell(&c[k], id[1 - k]);
        for (k = 0; k < 2; k++)
            (void)hear(&c[k]);
        kill_child(&c[dies]);
        finish(&c[1 - dies]);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
}

static void named_segment_can_be_passed_on(void **state)
{
    struct ipc_shm seg;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    put(&seg, "word", "passed");
    pass_on(&seg, SOCK_STREAM);
    ipc_shm_close(&seg);
}

static void what_is_no_segment_is_not_received(void **state)
{
    struct ipc_shm_hello_ hello = {IPC_SHM_MAGIC, HEADER + 4096}, bad = {1, 2};
    struct ipc_shm good, seg;
    int tube[2], pair[2], fd[8], types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    unsigned i, fds;
    struct {
        const void *bytes;
        size_t size;
        const int *fds;
        size_t n;
        int rc;
        const char *word;
    } cases[] = {
        {"garbage of any size", 19, NULL, 0, -EPROTO, "no segment"},
        {"short", 5, NULL, 0, -EPROTO, "no segment"},
        {"short", 5, fd, 1, -EPROTO, "no segment"},
        {&hello, sizeof hello, NULL, 0, -EPROTO, "no segment"},
        {&bad, sizeof bad, fd, 1, -EPROTO, "no segment"},
        {&hello, sizeof hello, fd, 2, -EPROTO, "no segment"},
        {&hello, sizeof hello, fd, 3, -EPROTO, "no segment"},
        {&hello, sizeof hello, fd, 8, -EPROTO, "no segment"},
        {&hello, sizeof hello, tube, 1, -EPROTO, "no memory"},
        {&hello, sizeof hello, &fd[1], 1, -EACCES, "777"},
        {&hello, sizeof hello, &fd[2], 1, -EPROTO, "magic"},
        {&hello, sizeof hello, &fd[3], 1, -EPROTO, "0 bytes"},
        {&hello, sizeof hello, &fd[4], 1, -EACCES, "777"},
        {&hello, sizeof hello, &fd[5], 1, -EPROTO, "magic"},
    };

    (void)state;
    SKIP_IF(is_emulated(), KEEPS_DESCRIPTORS);
    DONE(ipc_shm_create(&good, NULL, 4096), &good);
    MUST(pipe2(tube, O_CLOEXEC) == 0);
    fd[0] = good.fd;
    fd[1] = memfd(HEADER + 4096, 0777, 0);
    fd[2] = memfd(HEADER + 4096, 0777, IPC_SHM_SEALS_);
    fd[3] = memfd(0, 0777, IPC_SHM_SEALS_);
    fd[4] = memfd(HEADER + 4096, 0777, F_SEAL_GROW); /* may still shrink */
    fd[5] = memfd(HEADER + 4096, 0600, 0);
    fd[6] = fd[7] = tube[0];
    for (i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        unsigned k = i / 2;

        MUST(socketpair(AF_UNIX, types[i % 2] | SOCK_CLOEXEC, 0, pair) == 0);
        send_raw(pair[0], cases[k].bytes, cases[k].size, cases[k].fds, cases[k].n);
        fds = open_fds();
        REFUSED(ipc_shm_recv(&seg, pair[1], ipc_in_ms(LONG_MS)), cases[k].rc, &seg, cases[k].word);
        MUST(open_fds() == fds);
        ipc_shm_close(&seg);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
    print_message("%u messages\n", i);
    for (i = 1; i < 6; i++)
        (void)close(fd[i]);
    (void)close(tube[0]);
    (void)close(tube[1]);
    ipc_shm_close(&good);
}

static void silence_and_a_closed_peer_are_told_apart(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    struct ipc_shm good, seg;
    int pair[2], i;

    (void)state;
    DONE(ipc_shm_create(&good, NULL, 4096), &good);
    MUST(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    for (i = 0; i < 2; i++) {
        MUST(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, pair) == 0);
        REFUSED(ipc_shm_recv(&seg, pair[1], IPC_NOW), -ETIMEDOUT, &seg, "no segment came");
        REFUSED(ipc_shm_recv(&seg, pair[1], ipc_in_ms(20)), -ETIMEDOUT, &seg, "no segment came");
        REFUSED(ipc_shm_recv(&seg, pair[1], ipc_clock() - 1), -ETIMEDOUT, &seg, "no segment came");
        DONE(ipc_shm_send(&good, pair[0]), &good);
        (void)close(pair[0]);
        DONE(ipc_shm_recv(&seg, pair[1], IPC_NOW), &seg); /* sent before the close */
        ipc_shm_close(&seg);
        REFUSED(ipc_shm_recv(&seg, pair[1], IPC_FOREVER), -EPIPE, &seg, "closed");
        REFUSED(ipc_shm_send(&good, pair[1]), -EPIPE, &good, "cannot send");
        (void)close(pair[1]);
    }
    REFUSED(ipc_shm_send(&good, -1), -EBADF, &good, "cannot send");
    ipc_shm_close(&good);
}

enum trick { LEASE, SPARSE, POOL };

/* Another user, who sends sealed memory, and then waits. */
struct stranger {
    int socket;
    enum trick trick;
};

static void sends_a_trick(struct child *up, void *arg)
{
    const struct stranger *s = (const struct stranger *)arg;
    struct ipc_shm_hello_ hello = {IPC_SHM_MAGIC, 64 << 20};
    struct ipc_shm made;
    char path[40];
    int fd, only;

    become_user(65533, 65533);
    /* MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB */
    fd = (int)syscall(SYS_memfd_create, "trick", s->trick == POOL ? 7u : 3u);
    if (fd < 0) {
        tell(up, UNABLE);
        return;
    }
    MUST(fchmod(fd, 0666) == 0 && ftruncate(fd, 64 << 20) == 0);
    DONE(ipc_shm_create(&made, NULL, (64 << 20) - HEADER), &made);
    ipc_shm_member_of_(&made, made.peer.id)->id = 0;
    MUST(s->trick == POOL || pwrite(fd, made.base, HEADER, 0) == (ssize_t)HEADER);
    ipc_shm_close(&made);
    MUST(fcntl(fd, F_ADD_SEALS, IPC_SHM_SEALS_) == 0);
    if (s->trick == LEASE) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        only = open(path, O_RDONLY | O_CLOEXEC);
        (void)close(fd);
        (void)signal(SIGIO, SIG_IGN);
        MUST(only >= 0 && fcntl(only, F_SETLEASE, F_RDLCK) == 0);
        fd = only;
    }
    send_raw(s->socket, &hello, sizeof hello, &fd, 1);
    tell(up, 0);
    (void)hear(up);
}

/* Receives what the stranger sends. */
static int receive_trick(struct ipc_shm *seg, enum trick trick, const struct ipc_shm_options *how)
{
    struct stranger s;
    struct child c;
    int pair[2], rc = UNABLE;

    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    s.socket = pair[0];
    s.trick = trick;
    c = spawn(sends_a_trick, &s);
    if (hear(&c) == 0) {
        rc = ipc_shm_recv_with(seg, pair[1], ipc_in_ms(100), how);
        tell(&c, 0);
    }
    finish(&c);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return rc;
}

/* A lease keeps others who open the file waiting for 45 seconds. */
static void a_lease_on_what_is_sent_holds_up_no_receiver(void **state)
{
    struct ipc_shm seg;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    REFUSED(receive_trick(&seg, LEASE, &plain), -EACCES, &seg, "lease");
}

static void holds_a_lease_on_the_name(struct child *up, void *arg)
{
    int fd;

    (void)arg;
    become_user(65533, 65533);
    make_file(name, "squatter", 8);
    fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
    (void)signal(SIGIO, SIG_IGN);
    MUST(fd >= 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0);
    tell(up, 0);
    (void)hear(up);
}

static void a_lease_on_the_name_is_named_as_such(void **state)
{
    struct child c;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    c = spawn(holds_a_lease_on_the_name, NULL);
    (void)hear(&c);
    expect_refusal(-EACCES, "lease");
    tell(&c, 0);
    finish(&c);
}

static int64_t bytes_of(const struct ipc_shm *seg)
{
    struct stat st;

    MUST(fstat(seg->fd, &st) == 0);
    return (int64_t)st.st_blocks * 512;
}

static void joins(struct child *up, void *seg)
{
    (void)up;
    MUST(ipc_shm_peer((struct ipc_shm *)seg)->id != 0);
}

static void empty_memory_of_a_stranger_is_not_faulted_in(void **state)
{
    static const unsigned flags[] = {0, IPC_SHM_MLOCK, IPC_SHM_HUGE, IPC_SHM_MLOCK | IPC_SHM_HUGE};
    struct ipc_shm_options how = plain;
    struct ipc_shm seg;
    unsigned i;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    for (i = 0; i < sizeof flags / sizeof *flags; i++) {
        how.flags = flags[i];
        DONE(receive_trick(&seg, SPARSE, &how), &seg);
        MUST(seg.lock_rc < 0 && seg.huge_rc < 0);
        MUST(bytes_of(&seg) < 1 << 20);
        MUST(run(joins, &seg) == 0);
        MUST(bytes_of(&seg) < 1 << 20);
        ipc_shm_close(&seg);
    }
    how.largest = (64 << 20) - 1;
    REFUSED(receive_trick(&seg, SPARSE, &how), -EMSGSIZE, &seg, "67108863");
    how.largest = 64 << 20;
    DONE(receive_trick(&seg, SPARSE, &how), &seg);
    ipc_shm_close(&seg);
}

static void sends_huge_pages(struct child *up, void *arg)
{
    struct ipc_shm seg;
    struct stat st;
    int pair[2];

    (void)up;
    (void)arg;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0); /* as root */
    become_user(65533, 65533);
    DONE(ipc_shm_create(&seg, NULL, 4096), &seg);
    DONE(ipc_shm_send(&seg, pair[0]), &seg);
    (void)close(seg.fd);
    seg.fd = (int)syscall(SYS_memfd_create, "pool", 7u);
    MUST(fstat(seg.fd, &st) == 0);
    seg.device = st.st_dev;
    seg.inode = st.st_ino;
    REFUSED(ipc_shm_send(&seg, pair[0]), -EPERM, &seg, "huge pages");
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    DONE(ipc_shm_send(&seg, pair[0]), &seg);
}

/* Who has a descriptor can give the pages back, and take them for good: then access is SIGBUS. */
static void huge_pages_of_the_pool_stay_with_one_user(void **state)
{
    struct ipc_shm seg;
    int rc;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    rc = receive_trick(&seg, POOL, &plain);
    SKIP_IF(rc == UNABLE, "no huge pages here");
    REFUSED(rc, -EACCES, &seg, "huge pages");
    MUST(run(sends_huge_pages, NULL) == 0);
}

/* ------------------------------------------------------------------ all of them */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(member_is_alive_until_it_closes_or_dies),
        TEST(heir_does_not_keep_a_dead_member_alive),
        TEST(child_that_inherits_a_handle_becomes_a_member_of_its_own),
        TEST(child_that_closes_an_inherited_handle_leaves_the_parent_alone),
        TEST(threads_of_a_forked_child_become_one_member),
        TEST(descriptors_are_none_of_the_first_three),
        TEST(a_descriptor_that_others_closed_kills_nobody),
        TEST(stray_open_and_close_of_the_file_loses_no_membership),
        TEST(numbers_in_the_segment_prove_nothing),
        TEST(there_is_room_for_64_members),
        TEST(ids_are_never_used_twice),
        TEST(member_in_another_pid_namespace_is_alive_until_killed),
        TEST(member_may_have_a_pid_that_proc_does_not_know),
        TEST(death_of_a_stranger_with_the_same_pid_outside_is_no_proof),
        TEST(nameless_segment_is_sealed_and_can_be_passed_on),
        TEST(sealed_segment_serves_every_user_that_it_is_handed_to),
        TEST(named_segment_can_be_passed_on),
        TEST(what_is_no_segment_is_not_received),
        TEST(silence_and_a_closed_peer_are_told_apart),
        TEST(a_lease_on_what_is_sent_holds_up_no_receiver),
        TEST(a_lease_on_the_name_is_named_as_such),
        TEST(empty_memory_of_a_stranger_is_not_faulted_in),
        TEST(huge_pages_of_the_pool_stay_with_one_user),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("ipc_shm, members", tests, NULL, after_all);
}
