/* Sleeping and waking: round trips with both sides asleep, by ipc_notify.h and by the kernel's
 * mechanisms used by hand; what a post costs while nobody sleeps; and what a sleeper costs while
 * nobody posts. */
#define _GNU_SOURCE
#include "../kit/sides.h"
#include "ipc_notify.h"
#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

/* What the two sides share. Each side sleeps on the members with its number. */
struct area {
    struct ipc_notify_shared bell[2];
    struct {
        uint64_t count; /* wakes that were meant for this side */
        uint32_t futex; /* the same, for a futex by hand */
        unsigned char pad[52];
    } side[2];
    sem_t sem[2];
    uint64_t pid[2]; /* of each side, for signals */
};

/* One side. Side 0 measures, side 1 serves. */
struct party {
    struct bench_run *run;
    struct area *area;
    int me, other;
    uint64_t seen; /* wakes of area->side[me].count that this side has taken */
};

struct mechanism {
    int (*prepare)(struct bench_run *);
    void (*attach)(struct party *);
    void (*wait)(struct party *); /* returns once the other side has called wake */
    void (*wake)(struct party *);
};

static struct ipc_notify bell[2]; /* attached by prepare or by attach */

static struct area *area(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "area", 1, &o) == 0, "find");
    return (struct area *)o.mem;
}

static int prepare(struct bench_run *r)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "area", 1, sizeof(struct area), &o);

    return rc != 0 ? rc : ipc_shm_publish(&r->seg, &o);
}

/* ------------------------------------------------------------------ ipc_notify.h */

static void attach_kind(struct party *p, unsigned kind)
{
    int i;

    for (i = 0; i < 2; i++) {
        bench_check(ipc_notify_attach(&bell[i], &p->area->bell[i], sizeof p->area->bell[i], kind,
                                      ipc_shm_peer(&p->run->seg)) == 0,
                    "attach");
        ipc_notify_policy(&bell[i], 0, 0); /* sleep at once */
    }
}

static void ipc_attach(struct party *p)
{
    attach_kind(p, IPC_NOTIFY_FUTEX);
}

static void semaphore_attach(struct party *p)
{
    attach_kind(p, IPC_NOTIFY_SEMAPHORE);
}

static int has_come(struct party *p)
{
    if (ck_pr_load_64(&p->area->side[p->me].count) == p->seen)
        return 0;
    p->seen++;
    return 1;
}

static void ipc_sleep(struct party *p)
{
    bench_check(ipc_wait(&bell[p->me], IPC_FOREVER, has_come(p)) == 0, "wait");
}

static void ipc_sleep_deadline(struct party *p)
{
    bench_check(ipc_wait(&bell[p->me], ipc_in_ms(1000), has_come(p)) == 0, "wait");
}

static void ipc_wake(struct party *p)
{
    uint64_t *count = &p->area->side[p->other].count;

    ck_pr_store_64(count, ck_pr_load_64(count) + 1);
    bench_check(ipc_notify_post(&bell[p->other]) == 0, "post");
}

static int prepare_kind(struct bench_run *r, unsigned kind)
{
    int rc = prepare(r), i;

    for (i = 0; i < 2 && rc == 0; i++)
        rc = ipc_notify_init(&area(r)->bell[i], sizeof area(r)->bell[i], kind);
    return rc;
}

static int prepare_semaphore(struct bench_run *r)
{
    return prepare_kind(r, IPC_NOTIFY_SEMAPHORE);
}

/* What an event loop does: arm, look, poll, drain. */
static void loop_sleep(struct party *p)
{
    struct pollfd fd = {ipc_notify_fd(&bell[p->me]), POLLIN, 0};

    while (!has_come(p)) {
        ipc_notify_arm(&bell[p->me]);
        if (has_come(p))
            break;
        bench_check(poll(&fd, 1, -1) == 1, "poll");
        ipc_notify_drain(&bell[p->me]);
    }
}

/* Attaches here, so that both processes inherit the descriptors. */
static int prepare_eventfd(struct bench_run *r)
{
    int rc = prepare_kind(r, IPC_NOTIFY_EVENTFD), i;

    for (i = 0; i < 2 && rc == 0; i++) {
        rc = ipc_notify_attach(&bell[i], &area(r)->bell[i], sizeof area(r)->bell[i],
                               IPC_NOTIFY_EVENTFD, NULL);
        r->fd[i] = ipc_notify_fd(&bell[i]);
        rc = rc != 0 ? rc : r->fd[i] < 0 ? r->fd[i] : 0;
        ipc_notify_policy(&bell[i], 0, 0);
    }
    return rc;
}

static void attach_nothing(struct party *p)
{
    (void)p;
}

static int prepare_signal(struct bench_run *r)
{
    return prepare_kind(r, IPC_NOTIFY_SIGNAL);
}

static void signal_attach(struct party *p)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    attach_kind(p, IPC_NOTIFY_SIGNAL);
    bench_check(ipc_notify_listen(&bell[p->me], SIGRTMIN) == 0, "listen");
    ck_pr_store_64(&p->area->pid[p->me], (uint64_t)getpid());
}

static void signal_wake(struct party *p)
{
    pid_t pid = (pid_t)ck_pr_load_64(&p->area->pid[p->other]);

    if (bell[p->other].target != pid)
        bench_check(ipc_notify_target(&bell[p->other], pid, SIGRTMIN) == 0, "target");
    ipc_wake(p);
}

/* ------------------------------------------------------------------ by hand */

static void futex_sleep(struct party *p)
{
    uint32_t *word = &p->area->side[p->me].futex, seen = (uint32_t)p->seen++;

    while (ck_pr_load_32(word) == seen)
        (void)syscall(SYS_futex, word, 0 /* FUTEX_WAIT */, seen, NULL, NULL, 0);
}

static void futex_sleep_deadline(struct party *p)
{
    uint32_t *word = &p->area->side[p->me].futex, seen = (uint32_t)p->seen++;
    struct timespec t = ipc_notify_time_(ipc_in_ms(1000));

    while (ck_pr_load_32(word) == seen)
        (void)syscall(SYS_futex, word, 9 /* FUTEX_WAIT_BITSET */, seen, &t, NULL, 0xffffffff);
}

static void futex_wake(struct party *p)
{
    uint32_t *word = &p->area->side[p->other].futex;

    ck_pr_inc_32(word);
    (void)syscall(SYS_futex, word, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
}

static int prepare_sem(struct bench_run *r)
{
    int rc = prepare(r);

    return rc != 0                                                                          ? rc
           : sem_init(&area(r)->sem[0], 1, 0) != 0 || sem_init(&area(r)->sem[1], 1, 0) != 0 ? -errno
                                                                                            : 0;
}

static void sem_sleep(struct party *p)
{
    bench_check(sem_wait(&p->area->sem[p->me]) == 0, "sem_wait");
}

static void sem_wake(struct party *p)
{
    bench_check(sem_post(&p->area->sem[p->other]) == 0, "sem_post");
}

/* A side reads fd[me]; the other side writes to it by fd[2 + me]. */
static void fd_sleep(struct party *p)
{
    uint64_t token;

    bench_check(read(p->run->fd[p->me], &token, sizeof token) == sizeof token, "read");
}

static void fd_wake(struct party *p)
{
    uint64_t token = 1;

    bench_check(write(p->run->fd[2 + p->other], &token, sizeof token) == sizeof token, "write");
}

static void fd_sleep_poll(struct party *p)
{
    struct pollfd fd = {p->run->fd[p->me], POLLIN, 0};

    bench_check(poll(&fd, 1, -1) == 1, "poll");
    fd_sleep(p);
}

static int prepare_raw_eventfd(struct bench_run *r)
{
    int i, rc = prepare(r);

    for (i = 0; i < 2 && rc == 0; i++) {
        r->fd[i] = eventfd(0, EFD_CLOEXEC);
        r->fd[2 + i] = r->fd[i] >= 0 ? dup(r->fd[i]) : -1;
        rc = r->fd[2 + i] < 0 ? -errno : 0;
    }
    return rc;
}

static int prepare_pipe(struct bench_run *r)
{
    int i, fds[2], rc = prepare(r);

    for (i = 0; i < 2 && rc == 0; i++) {
        rc = pipe(fds) != 0 ? -errno : 0;
        r->fd[i] = fds[0];
        r->fd[2 + i] = fds[1];
    }
    return rc;
}

static int prepare_unix(struct bench_run *r)
{
    int i, fds[2], rc = prepare(r);

    for (i = 0; i < 2 && rc == 0; i++) {
        rc = socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 ? -errno : 0;
        r->fd[i] = fds[0];
        r->fd[2 + i] = fds[1];
    }
    return rc;
}

static int prepare_sysv_sem(struct bench_run *r)
{
    int rc = prepare(r);

    r->sysv_sem = semget(IPC_PRIVATE, 2, 0600);
    return rc != 0 ? rc : r->sysv_sem < 0 ? -errno : 0;
}

static void sysv_sem_sleep(struct party *p)
{
    struct sembuf down = {(unsigned short)p->me, -1, 0};

    bench_check(semop(p->run->sysv_sem, &down, 1) == 0, "semop");
}

static void sysv_sem_wake(struct party *p)
{
    struct sembuf up = {(unsigned short)p->other, 1, 0};

    bench_check(semop(p->run->sysv_sem, &up, 1) == 0, "semop");
}

static int prepare_sysv_mq(struct bench_run *r)
{
    int rc = prepare(r);

    r->sysv_mq = msgget(IPC_PRIVATE, 0600);
    return rc != 0 ? rc : r->sysv_mq < 0 ? -errno : 0;
}

struct letter {
    long type;
    uint64_t token;
};

static void sysv_mq_sleep(struct party *p)
{
    struct letter l;

    bench_check(msgrcv(p->run->sysv_mq, &l, sizeof l.token, p->me + 1, 0) == sizeof l.token,
                "msgrcv");
}

static void sysv_mq_wake(struct party *p)
{
    struct letter l = {p->other + 1, 1};

    bench_check(msgsnd(p->run->sysv_mq, &l, sizeof l.token, 0) == 0, "msgsnd");
}

/* On Linux a queue is a descriptor, and is inherited. */
static int prepare_posix_mq(struct bench_run *r)
{
    struct mq_attr how = {.mq_maxmsg = 4, .mq_msgsize = 8};
    char name[32];
    int i, rc = prepare(r);

    (void)snprintf(name, sizeof name, "/ipc_bench-%ld", (long)getpid());
    for (i = 0; i < 2 && rc == 0; i++) {
        r->fd[i] = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, &how);
        rc = r->fd[i] < 0 ? -errno : mq_unlink(name) != 0 ? -errno : 0;
    }
    return rc;
}

static void posix_mq_sleep(struct party *p)
{
    char token[8];

    bench_check(mq_receive(p->run->fd[p->me], token, sizeof token, NULL) == sizeof token,
                "mq_receive");
}

static void posix_mq_wake(struct party *p)
{
    bench_check(mq_send(p->run->fd[p->other], "token..", 8, 0) == 0, "mq_send");
}

static void raw_signal_attach(struct party *p)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    ck_pr_store_64(&p->area->side[p->me].count, (uint64_t)getpid());
}

static void raw_signal_sleep(struct party *p)
{
    sigset_t set;

    (void)p;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    while (sigwaitinfo(&set, NULL) != SIGRTMIN)
        ;
}

static void raw_signal_wake(struct party *p)
{
    bench_check(kill((pid_t)ck_pr_load_64(&p->area->side[p->other].count), SIGRTMIN) == 0, "kill");
}

/* ------------------------------------------------------------------ round trips */

static const struct mechanism
    ipc_futex = {prepare, ipc_attach, ipc_sleep, ipc_wake},
    ipc_futex_deadline = {prepare, ipc_attach, ipc_sleep_deadline, ipc_wake},
    ipc_semaphore = {prepare_semaphore, semaphore_attach, ipc_sleep, ipc_wake},
    ipc_eventfd = {prepare_eventfd, attach_nothing, ipc_sleep, ipc_wake},
    ipc_eventfd_loop = {prepare_eventfd, attach_nothing, loop_sleep, ipc_wake},
    ipc_signal_loop = {prepare_signal, signal_attach, loop_sleep, signal_wake},
    raw_futex = {prepare, attach_nothing, futex_sleep, futex_wake},
    raw_futex_deadline = {prepare, attach_nothing, futex_sleep_deadline, futex_wake},
    raw_posix_sem = {prepare_sem, attach_nothing, sem_sleep, sem_wake},
    raw_sysv_sem = {prepare_sysv_sem, attach_nothing, sysv_sem_sleep, sysv_sem_wake},
    raw_eventfd = {prepare_raw_eventfd, attach_nothing, fd_sleep, fd_wake},
    raw_eventfd_poll = {prepare_raw_eventfd, attach_nothing, fd_sleep_poll, fd_wake},
    raw_signal = {prepare, raw_signal_attach, raw_signal_sleep, raw_signal_wake},
    raw_pipe = {prepare_pipe, attach_nothing, fd_sleep, fd_wake},
    raw_unix_stream = {prepare_unix, attach_nothing, fd_sleep, fd_wake},
    raw_posix_mq = {prepare_posix_mq, attach_nothing, posix_mq_sleep, posix_mq_wake},
    raw_sysv_mq = {prepare_sysv_mq, attach_nothing, sysv_mq_sleep, sysv_mq_wake};

static int wake_prepare(struct bench_run *r)
{
    return ((const struct mechanism *)r->of->how)->prepare(r);
}

static struct party party(struct bench_run *r, int me)
{
    struct party p = {r, area(r), me, !me, 0};

    ((const struct mechanism *)r->of->how)->attach(&p);
    return p;
}

static void wake_serve(struct bench_run *r)
{
    const struct mechanism *m = (const struct mechanism *)r->of->how;
    struct party p = party(r, 1);
    uint64_t i;

    bench_start(r);
    for (i = 0; i < r->warm + r->count + r->each; i++) {
        m->wait(&p);
        m->wake(&p);
    }
}

static uint64_t wake_measure(struct bench_run *r)
{
    const struct mechanism *m = (const struct mechanism *)r->of->how;
    struct party p = party(r, 0);
    uint64_t i, next = r->warm, each = r->warm + r->count, took = 0;
    int64_t before = 0;

    bench_start(r);
    for (i = 0; i < each + r->each; i++) {
        if (i == next && i <= each)
            next = bench_window(r, i);
        if (i == each)
            took = bench_took(r);
        if (i >= each)
            bench_each(r, &before, i == each);
        m->wake(&p);
        m->wait(&p);
    }
    bench_each(r, &before, 0);
    return took;
}

/* ------------------------------------------------------------------ posts with nobody asleep */

static void serve_nothing(struct bench_run *r)
{
    bench_start(r);
}

#define POSTS(NAME, FLAGS, POST)                                                                   \
    static uint64_t NAME(struct bench_run *r)                                                      \
    {                                                                                              \
        struct party p = {r, area(r), 0, 1, 0};                                                    \
        uint64_t *count = &p.area->side[1].count, i, next = r->warm;                               \
                                                                                                   \
        ipc_attach(&p);                                                                            \
        bell[1].at->word |= (FLAGS);                                                               \
        bench_start(r);                                                                            \
        for (i = 0; i < r->warm + r->count; i++) {                                                 \
            if (i == next)                                                                         \
                next = bench_window(r, i);                                                         \
            ck_pr_store_64(count, i);                                                              \
            POST;                                                                                  \
        }                                                                                          \
        return bench_took(r);                                                                      \
    }

POSTS(store_alone, 0, (void)0)
POSTS(store_fence, 0, ck_pr_fence_store_load())
POSTS(post_asymmetric, 0, bench_check(ipc_notify_post(&bell[1]) == 0, "post"))
/* What a post costs where membarrier is missing. */
POSTS(post_fenced, IPC_NOTIFY_FENCED_ | IPC_NOTIFY_FIXED_,
      bench_check(ipc_notify_post(&bell[1]) == 0, "post"))

/* ------------------------------------------------------------------ a sleeper's processor time */

static void idle_serve(struct bench_run *r)
{
    struct party p = {r, area(r), 1, 0, 0};

    ipc_attach(&p);
    ck_pr_store_64(&p.area->side[1].count, ipc_shm_peer(&r->seg)->id);
    bench_start(r);
    do /* lives longer than the other side waits */
        (void)poll(NULL, 0, (int)(r->count / 1000000) + 20);
    while (ck_pr_load_64(&p.area->side[1].count) != 0);
}

/* Returns the processor time that a sleep of `count` nanoseconds takes. watch: the sleeper watches
 * for its peer's death. told: the kernel tells of the death, else the sleeper asks. */
static uint64_t idle(struct bench_run *r, int watch, int told)
{
    struct party p = {r, area(r), 0, 1, 0};
    int64_t before;

    if (!told)
        ipc_shm_peer(&r->seg)->watch = NULL;
    ipc_attach(&p);
    if (!told)
        bell[0].peer.watch = NULL;
    bench_start(r);
    if (watch)
        ipc_notify_watch(&bell[0], ck_pr_load_64(&p.area->side[1].count));
    before = bench_cpu(r);
    bench_check(ipc_wait(&bell[0], ipc_clock() + (int64_t)r->count, 0) == -ETIMEDOUT, "timeout");
    before = bench_cpu(r) - before;
    ck_pr_store_64(&p.area->side[1].count, 0);
    return (uint64_t)before;
}

/* A sleep for nothing but the time. */
static uint64_t idle_bare(struct bench_run *r)
{
    struct timespec t = {(time_t)(r->count / 1000000000), (long)(r->count % 1000000000)};
    int64_t before;

    bench_start(r);
    before = bench_cpu(r);
    bench_check(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL) == 0, "sleep");
    before = bench_cpu(r) - before;
    ck_pr_store_64(&area(r)->side[1].count, 0);
    return (uint64_t)before;
}

static uint64_t idle_alone(struct bench_run *r)
{
    return idle(r, 0, 1);
}

static uint64_t idle_watching(struct bench_run *r)
{
    return idle(r, 1, 1);
}

static uint64_t idle_asking(struct bench_run *r)
{
    return idle(r, 1, 0);
}

/* ------------------------------------------------------------------ rows */

#define WAKE(NAME) WAKE_ROWS(NAME, 0)
#define USUAL_WAKE(NAME) WAKE_ROWS(NAME, 1)
#define WAKE_ROWS(NAME, USUAL)                                                                                \
    {.system = #NAME,                                                                              \
     .test = "wake",                                                                               \
     .shape = "one_core",                                                                          \
     .bytes = 8,                                                                                   \
     .memory = 4096,                                                                               \
     .prepare = wake_prepare,                                                                      \
     .serve = wake_serve,                                                                          \
     .measure = wake_measure,                                                                      \
     .how = &NAME,                                                                                 \
     .one_core = 1,                                                                                \
     .usual = USUAL,                                                                               \
     .wait = BENCH_SLEEP},                                                                         \
    {                                                                                              \
        .system = #NAME, .test = "wake", .shape = "two_cores", .bytes = 8, .memory = 4096,         \
        .prepare = wake_prepare, .serve = wake_serve, .measure = wake_measure, .how = &NAME,       \
        .usual = USUAL, .wait = BENCH_SLEEP                                                        \
    }
#define POST(NAME, MEASURE)                                                                        \
    {                                                                                              \
        .system = NAME, .test = "post_idle", .shape = "nobody", .bytes = 8, .memory = 4096,        \
        .prepare = prepare, .serve = serve_nothing, .measure = MEASURE                             \
    }
#define IDLE(NAME, MEASURE)                                                                        \
    {                                                                                              \
        .system = NAME, .test = "idle", .shape = "sleeper", .bytes = 0, .memory = 4096,            \
        .prepare = prepare, .serve = idle_serve, .measure = MEASURE, .wait = BENCH_SLEEP           \
    }

BENCH_GROUP(wake) = {USUAL_WAKE(ipc_futex),
                     WAKE(ipc_futex_deadline),
                     WAKE(ipc_semaphore),
                     WAKE(ipc_eventfd),
                     WAKE(ipc_eventfd_loop),
                     WAKE(ipc_signal_loop),
                     USUAL_WAKE(raw_futex),
                     WAKE(raw_futex_deadline),
                     WAKE(raw_posix_sem),
                     WAKE(raw_sysv_sem),
                     WAKE(raw_eventfd),
                     WAKE(raw_eventfd_poll),
                     WAKE(raw_signal),
                     USUAL_WAKE(raw_pipe),
                     WAKE(raw_unix_stream),
                     WAKE(raw_posix_mq),
                     WAKE(raw_sysv_mq),
                     POST("limit_store", store_alone),
                     POST("limit_store_fence", store_fence),
                     POST("ipc_notify", post_asymmetric),
                     POST("ipc_notify_fenced", post_fenced),
                     IDLE("limit_sleep", idle_bare),
                     IDLE("ipc_wait", idle_alone),
                     IDLE("ipc_wait_watching", idle_watching),
                     IDLE("ipc_wait_asking", idle_asking),
                     {.system = NULL}};
