/*
 * What the tests of ipc_notify.h share. Real processes map the memory at different addresses;
 * segments have names that start with IPC_TEST_PREFIX.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
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

static inline double ms_since(int64_t then)
{
    return (double)(ipc_clock() - then) / 1e6;
}

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

static inline uint64_t get(const uint64_t *word)
{
    uint64_t value = ck_pr_load_64(word);

    ck_pr_fence_load();
    return value;
}

static inline void put(uint64_t *word, uint64_t value)
{
    ck_pr_fence_store();
    ck_pr_store_64(word, value);
}

/* Random numbers, the same in each run. */
static inline uint64_t chance(void)
{
    static uint64_t x = 0x9e3779b97f4a7c15u;

    x ^= x << 13; /* xorshift: G. Marsaglia, 2003 */
    x ^= x >> 7;
    x ^= x << 17;
    return x * 0x2545f4914f6cdd1du >> 11;
}

static inline void dawdle(uint64_t pauses)
{
    while (pauses-- > 0)
        ck_pr_stall();
}

/* ------------------------------------------------------------------ processes */

static inline int sleeps(pid_t tid, const struct ipc_notify_shared *bell, uint32_t flag)
{
    return (ck_pr_load_32(&bell->word) & flag) != 0 && rests(tid);
}

static cpu_set_t processors; /* that we may use */

/* Pins this process to the k-th of them, or the first if there are fewer; to all if k < 0. */
static inline void pin(int k)
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
static inline struct room *another_map(void)
{
    void *r = mmap(NULL, sizeof(struct room), PROT_READ | PROT_WRITE, MAP_SHARED, room_fd, 0);

    MUST(r != MAP_FAILED && r != room);
    return (struct room *)r;
}

static inline void attach(struct ipc_notify *n, struct ipc_notify_shared *bell, const struct ipc_peer *me)
{
    IS(ipc_notify_attach(n, bell, BELL, bell->kind & 255, me), 0);
}

/* Attaches a notifier that sleeps at once, without looking first. */
static inline void attach_drowsy(struct ipc_notify *n, struct ipc_notify_shared *bell,
                                 const struct ipc_peer *me)
{
    attach(n, bell, me);
    ipc_notify_policy(n, 0, 0);
}

static inline void make_bell(unsigned i, unsigned kind)
{
    IS(ipc_notify_init(&room->bell[i], BELL, kind), 0);
}

/* A room in a segment. */
static inline struct room *make_room(struct ipc_shm *seg, const char *segment)
{
    struct ipc_shm_object o;

    IS(ipc_shm_create(seg, segment, sizeof(struct room)), 0);
    IS(ipc_shm_make(seg, "room", TYPE, sizeof(struct room), &o), 0);
    IS(ipc_shm_publish(seg, &o), 0);
    return (struct room *)o.mem;
}

static inline struct room *find_room(struct ipc_shm *seg)
{
    struct ipc_shm_object o;

    IS(ipc_shm_open(seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_shm_find(seg, "room", TYPE, &o), 0);
    return (struct room *)o.mem;
}

/* ------------------------------------------------------------------ fixtures */

static inline int before(void **state)
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

static inline int after(void **state)
{
    (void)alarm(0);
    pin(-1);
    (void)clean_up(state);
    (void)munmap(room, sizeof *room);
    (void)close(room_fd);
    return 0;
}

/* ------------------------------------------------------------------ peers of our own */

static inline int lives(void *arg, uint64_t id)
{
    (void)id;
    return arg == NULL || *(const int *)arg != 0;
}

static inline struct ipc_peer own_peer(const int *alive)
{
    struct ipc_peer me;

    memset(&me, 0, sizeof me);
    me.id = 1;
    me.alive = lives;
    me.arg = (void *)(uintptr_t)alive;
    return me;
}

/* ------------------------------------------------------------------ geometry and errors */

/* Every call with a handle that is attached to nothing. */
static inline void expect_nothing_done(struct ipc_notify *n)
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

/* ------------------------------------------------------------------ event loops */

static inline void block_real_time_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

/* ------------------------------------------------------------------ the kind is the program's */

/* Names it in the word behind the kind, where older versions had the process to signal. */
static inline void name_a_process(struct ipc_notify_shared *bell, pid_t pid, int number)
{
    bell->deaf = (uint64_t)(uint32_t)pid << 32 | (uint32_t)number;
}

/* The memory says another kind, names this process, and holds no semaphore. Calls use the handle's
 * own kind: they send no signal and touch no semaphore, as either would end the process. */
static inline void expect_kind_kept(struct ipc_notify *n, struct ipc_notify_shared *bell, unsigned kind)
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

/* ------------------------------------------------------------------ rings of every kind */

IPC_STREAM(chars, char)

#define RING_SIZE (4u << 16) /* a stream begins and ends with pages, of 64 KiB at most */

/* ------------------------------------------------------------------ killed at every instruction */

static struct room *hall;

static inline void order(struct child *c, uint64_t word, uint64_t value, uint64_t whom)
{
    tell(c, word);
    tell(c, value);
    tell(c, whom);
}

/* ------------------------------------------------------------------ deaths and their watchers */

enum { STORE = 1, POST, DIE, DIE_SOON, STORE_AND_DIE, BEQUEATH, END };
#define WHEN 200 /* the word with the time of death */

static inline void holds_the_pipe(const struct child *up)
{
    struct pollfd p = {up->from, 0, 0}; /* reports the end, reads nothing */

    (void)prctl(PR_SET_PDEATHSIG, 0); /* must outlive its parent, but not the test */
    while (poll(&p, 1, -1) < 0)
        ;
    _exit(0);
}

/* A member of the segment that obeys orders; one of them is to die once its parent sleeps. */
static inline void puppet(struct child *up, void *arg)
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

static inline double since_death(const struct room *r)
{
    return ms_since((int64_t)get(&r->word[WHEN]));
}

/* ------------------------------------------------------------------ rings */

/* A ring without an ipc_peer, so nobody can be watched: one end sleeps without a deadline in a
 * child; the other pushes or pops, and posts nothing. */
struct plain {
    void *mem;
    int sends;
    struct child child;
};

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

/* From now on these calls (one bit each) fail in this process and its children. */
static inline int deny(uint32_t which, int with)
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

/* ------------------------------------------------------------------ main */

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, before, after)

static volatile sig_atomic_t runner;

static inline void stop_all(int number)
{
    (void)number;
    if (runner > 0)
        (void)kill((pid_t)runner, SIGKILL); /* and its children with it */
}

/* The tests run in a child, so that one that dies or hangs leaves nothing behind all the same. argv
 * may name those to run, with * and ?. */
static inline int run_in_child(int (*all)(void), int argc, char **argv)
{
    pid_t pid;
    int status;

    set_up(argc, argv);
    (void)sched_getaffinity(0, sizeof processors, &processors);
    pid = fork();
    if (pid == 0) {
        int rc;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        rc = all();
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

#endif /* NOTIFY_H */
