/*
 * Time to recover: a sender sends a message every 20 us to a receiver that is then killed, or
 * stopped. A successor was started before that, and waits for the receiver's place; where several
 * processes may receive it takes messages as well. The figure is the time from the kill to the first
 * message sent after it that the successor has; and how many messages no receiver had in the end.
 *
 * Where the sender is killed, in the middle of its call or while it waits for room, a successor waits
 * for the sender's place, and the figure is the time from the kill to its first message that the
 * receiver has. The rest is of killed receivers.
 *
 * Process 1 is the sender, which sleeps between messages. Process 0 starts the others, and kills. The
 * receiver is on the sender's core, so that it dies at once while the sender sleeps. The successor
 * is on the other core, with process 0, which sleeps most of the time.
 */
#ifndef BENCH_RECOVER_H
#define BENCH_RECOVER_H

#include "sides.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

struct recover_message {
    uint64_t number, rest[6];
};

enum {
    RECOVER_SLOTS = 64,        /* of a queue, so that it soon is full */
    RECOVER_NUMBERS = 1 << 17, /* messages of a run, at most */
    RECOVER_PAUSE_NS = 20000,  /* from message to message */
    RECOVER_SEND_MS = 5,       /* a sender waits so long for room, then looks about */
    RECOVER_SLEEP_MS = 20,     /* a receiver, for a message */
    RECOVER_LATE_MS = 50,      /* what is not there by then is lost */
    RECOVER_STUCK_MS = 2000,   /* what else takes longer is stuck */
};

/* A system, as its calls. They return 0, or anything else where it cannot be done now. */
struct recover_way {
    int (*make)(struct bench_run *);
    int (*sender)(struct bench_run *); /* attaches */
    int (*send)(const struct recover_message *, int sleeps); /* for room */
    int (*receiver)(struct bench_run *); /* attaches; not 0: the place is taken */
    int (*receive)(struct recover_message *,
                   int sleeps); /* receives a message, and is done with it */
    void (*leave)(void);        /* ends a receiver's part */
    void (*clear)(struct bench_run *); /* removes what `make` has made outside the run; or NULL */
    /* 1: `receive` is one call of the kernel, and the receiver stops behind it. 0: it stops in the
     * middle, where it stores the message. */
    int is_done_at_once;
    int sees_all; /* each receiver gets every message */
    int waits;    /* `send` does not return while there is no room */
};

/* What a receiver, or a sender, is about when it is killed: the case's shape. */
static const char *const recover_shapes[] = {"in_call",        "polling",        "sleeping",
                                             "stopped",        "sender_in_call", "sender_polling",
                                             "sender_sleeping"};
enum recover_shape {
    RECOVER_IN_CALL,
    RECOVER_POLLING,
    RECOVER_SLEEPING,
    RECOVER_STOPPED,
    RECOVER_SENDER_IN_CALL, /* from here on a sender is killed */
    RECOVER_SENDER_POLLING,
    RECOVER_SENDER_SLEEPING
};

enum { RECOVER_BEGINS, RECOVER_ATTACHED, RECOVER_WORKS, RECOVER_READY };

/* Shared by all processes of a run. */
struct recover_board {
    unsigned goes, rests, full;   /* sender: may send; does not; has found no room */
    unsigned receiver, successor; /* how far they are: RECOVER_BEGINS and so on */
    unsigned now, leaves;         /* the receiver is to become ready, the successor to end */
    int core;                     /* the sender's */
    uint64_t sent, after; /* messages; from number `after` on they are sent after the kill */
    int64_t through;      /* when the first of those was received */
    pid_t heir; /* the successor of a sender: the message to come is its first */
    unsigned char had[RECOVER_NUMBERS]; /* the messages that a receiver was done with */
};

static struct recover_board *recover_board;
static struct recover_message *recover_trap; /* cannot be written */

static inline void recover_nap(int64_t ns)
{
    struct timespec t = {0, (long)ns};

    (void)nanosleep(&t, NULL);
}

static inline void recover_pin(int core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    bench_check(sched_setaffinity(0, sizeof set, &set) == 0, "a core");
}

static inline enum recover_shape recover_shape_of(const struct bench_run *r)
{
    unsigned i = 0;

    while (strcmp(recover_shapes[i], r->of->shape) != 0)
        i++;
    return (enum recover_shape)i;
}

static inline int recover_prepare(struct bench_run *r)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;
    void *board = mmap(NULL, sizeof *recover_board, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *trap = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (board == MAP_FAILED || trap == MAP_FAILED)
        return -errno;
    recover_board = (struct recover_board *)board;
    recover_trap = (struct recover_message *)trap;
    recover_board->after = UINT64_MAX;
    return way->make(r);
}

static inline void recover_clear(struct bench_run *r)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;

    if (way->clear != NULL)
        way->clear(r);
    if (recover_board != NULL)
        (void)munmap(recover_board, sizeof *recover_board);
    if (recover_trap != NULL)
        (void)munmap(recover_trap, 4096);
    recover_board = NULL;
    recover_trap = NULL;
}

/* ------------------------------------------------------------------ the sender */

static void recover_serve_senders(struct bench_run *r);

static inline void recover_serve(struct bench_run *r)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;
    struct recover_board *b = recover_board;
    struct recover_message m;

    (void)prctl(PR_SET_TIMERSLACK, 1ul);
    if (recover_shape_of(r) >= RECOVER_SENDER_IN_CALL)
        recover_serve_senders(r);
    memset(&m, 7, sizeof m);
    bench_check(way->sender(r) == 0, "a sender");
    b->core = sched_getcpu();
    bench_start(r);
    for (;; recover_nap(RECOVER_PAUSE_NS)) {
        if (ck_pr_load_uint(&b->goes) == 0 || b->sent == RECOVER_NUMBERS) {
            ck_pr_store_uint(&b->rests, 1);
            continue;
        }
        m.number = b->sent;
        if (way->send(&m, 1) == 0) {
            ck_pr_store_uint(&b->full, 0);
            ck_pr_store_64(&b->sent, b->sent + 1);
        } else {
            ck_pr_store_uint(&b->full, 1);
        }
    }
}

/* ------------------------------------------------------------------ receivers */

static inline void recover_note(const struct recover_message *m)
{
    struct recover_board *b = recover_board;

    bench_check(m->number < RECOVER_NUMBERS, "a number");
    if (m->number >= ck_pr_load_64(&b->after) && b->through == 0)
        ck_pr_store_64((uint64_t *)&b->through, (uint64_t)ipc_clock());
    ck_pr_store_8(&b->had[m->number], 1);
}

/* In the middle of its call, or behind it, for ever. */
static inline void recover_stop(int number)
{
    (void)number;
    ck_pr_store_uint(&recover_board->receiver, RECOVER_READY);
    for (;;)
        (void)pause();
}

static inline void recover_receiver(struct bench_run *r, enum recover_shape shape)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;
    struct recover_board *b = recover_board;
    struct recover_message m;

    while (way->receiver(r) != 0)
        recover_nap(RECOVER_PAUSE_NS);
    ck_pr_store_uint(&b->receiver, RECOVER_ATTACHED);
    while (ck_pr_load_uint(&b->now) == 0)
        if (way->receive(&m, 0) == 0) {
            recover_note(&m);
            ck_pr_store_uint(&b->receiver, RECOVER_WORKS);
        }
    if (shape == RECOVER_POLLING || shape == RECOVER_SLEEPING)
        ck_pr_store_uint(&b->receiver, RECOVER_READY);
    (void)signal(SIGSEGV, recover_stop);
    for (;;)
        if (shape == RECOVER_POLLING || shape == RECOVER_SLEEPING) {
            if (way->receive(&m, shape == RECOVER_SLEEPING) == 0)
                recover_note(&m);
        } else if (way->receive(way->is_done_at_once ? &m : recover_trap, 0) == 0) {
            recover_stop(0);
        }
}

static inline void recover_successor(struct bench_run *r, enum recover_shape shape)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;
    struct recover_board *b = recover_board;
    struct recover_message m;

    while (way->receiver(r) != 0) {
        ck_pr_store_uint(&b->successor, RECOVER_READY);
        recover_nap(50000);
    }
    ck_pr_store_uint(&b->successor, RECOVER_READY);
    while (ck_pr_load_uint(&b->leaves) == 0)
        if (way->receive(&m, shape == RECOVER_SLEEPING) == 0)
            recover_note(&m);
    way->leave();
}

static inline pid_t recover_start(struct bench_run *r, int core, enum recover_shape shape,
                                  void (*does)(struct bench_run *, enum recover_shape))
{
    pid_t pid = fork();

    bench_check(pid >= 0, "fork");
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_TIMERSLACK, 1ul);
    recover_pin(core);
    does(r, shape);
    _exit(0);
}

/* ------------------------------------------------------------------ the process that kills */

static int recover_kills;    /* so far */
static int recover_is_stuck; /* since a kill something does not come */

/* Waits until *word is at least `least`. */
static inline void recover_until(const unsigned *word, unsigned least, const char *what)
{
    int64_t end = ipc_in_ms(RECOVER_STUCK_MS);

    while (ck_pr_load_uint(word) < least && !recover_is_stuck) {
        recover_is_stuck = ipc_clock() > end;
        bench_check(!recover_is_stuck || recover_kills > 0, what);
        recover_nap(50000);
    }
}

static inline void recover_rest(void)
{
    struct recover_board *b = recover_board;

    ck_pr_store_uint(&b->rests, 0);
    ck_pr_store_uint(&b->goes, 0);
    recover_until(&b->rests, 1, "the sender rests");
}

/* Does the process sleep? On a busy machine it may have to wait for a core all the time. */
static inline int recover_sleeps(pid_t pid)
{
    char path[40], text[200] = "", *at;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    bench_check(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "/proc");
    (void)close(fd);
    at = strrchr(text, ')');
    return at != NULL && at[2] == 'S';
}

static inline void recover_until_asleep(pid_t pid)
{
    int64_t end = ipc_in_ms(RECOVER_STUCK_MS);

    while (!recover_sleeps(pid) && ipc_clock() < end)
        recover_nap(100000);
}

static inline pid_t recover_start_successor(struct bench_run *r, enum recover_shape shape)
{
    pid_t pid = recover_start(r, sched_getcpu(), shape, recover_successor);

    recover_until(&recover_board->successor, RECOVER_READY, "a successor is ready");
    return pid;
}

/* Lets the sender send until there is no room, or it has sent `most`, or it is held up. */
static inline void recover_fill(uint64_t most)
{
    struct recover_board *b = recover_board;
    uint64_t first = ck_pr_load_64(&b->sent), last = first, now;
    int64_t since = ipc_clock();

    while (ck_pr_load_uint(&b->full) == 0 && last - first < most &&
           ipc_clock() - since < RECOVER_LATE_MS * 1000000LL) {
        recover_nap(100000);
        now = ck_pr_load_64(&b->sent);
        since = now != last ? ipc_clock() : since;
        last = now;
    }
}

/* The receiver is where it is to be killed, and the sender where that leaves it. */
static inline pid_t recover_set_up(struct bench_run *r, enum recover_shape shape, pid_t *successor)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;
    struct recover_board *b = recover_board;
    int holds = shape == RECOVER_IN_CALL || shape == RECOVER_STOPPED;
    pid_t receiver, other = 0;

    b->receiver = b->successor = b->now = b->leaves = 0;
    b->through = 0;
    ck_pr_store_64(&b->after, UINT64_MAX);
    receiver = recover_start(r, b->core, shape, recover_receiver);
    recover_until(&b->receiver, RECOVER_ATTACHED, "a receiver attaches");
    ck_pr_store_uint(&b->goes, 1);
    recover_until(&b->receiver, RECOVER_WORKS, "a receiver works");
    if (!holds)
        recover_rest();
    if (way->sees_all)
        other = recover_start_successor(r, shape);
    ck_pr_store_uint(&b->now, 1);
    recover_until(&b->receiver, RECOVER_READY, "a receiver is ready");
    /* Earlier it would take the message that the receiver is to stop at. */
    *successor = other != 0 ? other : recover_start_successor(r, shape);
    if (holds) /* others may take the messages */
        recover_fill(RECOVER_SLOTS);
    if (shape == RECOVER_SLEEPING)
        recover_until_asleep(receiver);
    return receiver;
}

static inline void recover_end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* How many messages no receiver was done with. They are counted once. */
static inline uint64_t recover_lost(void)
{
    struct recover_board *b = recover_board;
    int64_t end = ipc_in_ms(RECOVER_LATE_MS);
    uint64_t i, lost;

    for (;; recover_nap(500000)) {
        for (i = lost = 0; i < b->sent; i++)
            lost += ck_pr_load_8(&b->had[i]) == 0;
        if (lost == 0 || ipc_clock() > end)
            break;
    }
    memset(b->had, 1, b->sent);
    return lost;
}

/* One kill. Returns the nanoseconds, or BENCH_NEVER. */
static inline uint64_t recover_once(struct bench_run *r, enum recover_shape shape, uint64_t *lost)
{
    struct recover_board *b = recover_board;
    pid_t successor, receiver = recover_set_up(r, shape, &successor);
    int64_t then, through, end;

    ck_pr_store_64(&b->after, ck_pr_load_64(&b->sent));
    then = ipc_clock();
    (void)kill(receiver, shape == RECOVER_STOPPED ? SIGSTOP : SIGKILL);
    recover_kills++;
    ck_pr_store_uint(&b->goes, 1);
    end = then + BENCH_NEVER;
    while ((through = (int64_t)ck_pr_load_64((uint64_t *)&b->through)) == 0 && ipc_clock() < end &&
           !recover_is_stuck)
        recover_nap(50000);
    recover_end(receiver);
    if (through != 0)
        recover_rest();
    if (through == 0 || recover_is_stuck) {
        recover_end(successor);
        return BENCH_NEVER;
    }
    *lost += recover_lost();
    ck_pr_store_uint(&b->leaves, 1);
    (void)waitpid(successor, NULL, 0);
    return through > then ? (uint64_t)(through - then) : 1;
}

/* ------------------------------------------------------------------ a sender is killed */

/* Process 1 is the receiver then. It looks each 20 us, while it is to receive. */
static void recover_serve_senders(struct bench_run *r)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;
    struct recover_board *b = recover_board;
    struct recover_message m;

    bench_check(way->receiver(r) == 0, "a receiver");
    b->core = sched_getcpu();
    bench_start(r);
    for (;; recover_nap(RECOVER_PAUSE_NS))
        while (ck_pr_load_uint(&b->goes) != 0 && way->receive(&m, 0) == 0) {
            bench_check(m.number < RECOVER_NUMBERS, "a number");
            ck_pr_store_8(&b->had[m.number], 1);
            if (b->through == 0 && m.rest[0] == (uint64_t)b->heir)
                ck_pr_store_64((uint64_t *)&b->through, (uint64_t)ipc_clock());
        }
}

/* Sends the next message. Not 0: it could not. */
static inline int recover_send(const struct recover_way *way, int sleeps)
{
    struct recover_board *b = recover_board;
    struct recover_message m;
    int rc;

    memset(&m, 7, sizeof m);
    m.number = b->sent;
    m.rest[0] = (uint64_t)getpid();
    rc = b->sent == RECOVER_NUMBERS ? 1 : way->send(&m, sleeps);
    if (rc == 0)
        ck_pr_store_64(&b->sent, b->sent + 1);
    return rc;
}

static inline void recover_sender(struct bench_run *r, enum recover_shape shape)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;
    int i;

    while (way->sender(r) != 0)
        recover_nap(RECOVER_PAUSE_NS);
    if (shape == RECOVER_SENDER_IN_CALL) {
        for (i = 0; i < 16; i++)
            while (recover_send(way, 1) != 0)
                ;
        (void)signal(SIGSEGV, recover_stop);
        for (;;)
            if (way->is_done_at_once ? recover_send(way, 1) == 0 : way->send(recover_trap, 1) == 0)
                recover_stop(0);
    }
    for (;;)
        if (recover_send(way, shape == RECOVER_SENDER_SLEEPING) != 0)
            ck_pr_store_uint(&recover_board->receiver, RECOVER_READY);
}

static inline void recover_heir(struct bench_run *r, enum recover_shape shape)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;
    struct recover_board *b = recover_board;

    b->heir = getpid();
    while (way->sender(r) != 0) {
        ck_pr_store_uint(&b->successor, RECOVER_READY);
        recover_nap(50000);
    }
    ck_pr_store_uint(&b->successor, RECOVER_READY);
    while (ck_pr_load_uint(&b->now) == 0)
        recover_nap(RECOVER_PAUSE_NS);
    for (; ck_pr_load_uint(&b->leaves) == 0; recover_nap(RECOVER_PAUSE_NS))
        (void)recover_send(way, shape == RECOVER_SENDER_SLEEPING);
}

/* As recover_once. */
static inline uint64_t recover_sender_once(struct bench_run *r, enum recover_shape shape,
                                           uint64_t *lost)
{
    const struct recover_way *way = (const struct recover_way *)r->of->how;
    struct recover_board *b = recover_board;
    pid_t sender, heir;
    int64_t then, through, end;

    b->receiver = b->successor = b->now = b->leaves = 0;
    b->through = 0;
    b->heir = 0;
    ck_pr_store_uint(&b->goes, shape == RECOVER_SENDER_IN_CALL);
    sender = recover_start(r, b->core, shape, recover_sender);
    if (way->waits && shape != RECOVER_SENDER_IN_CALL)
        recover_fill(RECOVER_NUMBERS);
    else
        recover_until(&b->receiver, RECOVER_READY, "a sender is ready");
    heir = recover_start(r, sched_getcpu(), shape, recover_heir);
    recover_until(&b->successor, RECOVER_READY, "a successor is ready");
    if (shape == RECOVER_SENDER_SLEEPING)
        recover_until_asleep(sender);
    then = ipc_clock();
    (void)kill(sender, SIGKILL);
    recover_kills++;
    ck_pr_store_uint(&b->now, 1);
    ck_pr_store_uint(&b->goes, 1);
    end = then + BENCH_NEVER;
    while ((through = (int64_t)ck_pr_load_64((uint64_t *)&b->through)) == 0 && ipc_clock() < end &&
           !recover_is_stuck)
        recover_nap(50000);
    recover_end(sender);
    ck_pr_store_uint(&b->leaves, 1);
    if (through == 0 || recover_is_stuck) {
        recover_end(heir);
        return BENCH_NEVER;
    }
    (void)waitpid(heir, NULL, 0);
    *lost += recover_lost();
    return through > then ? (uint64_t)(through - then) : 1;
}

/* *r->taken: how many messages were lost. A run ends with the first kill that nobody gets over: the
 * sender may then wait for ever, and is killed. */
static inline uint64_t recover_measure(struct bench_run *r)
{
    enum recover_shape shape = recover_shape_of(r);
    uint64_t i, ns = 0, sum = 0;

    bench_start(r);
    for (i = 0; i < r->count && ns < BENCH_NEVER; i++) {
        ns = shape >= RECOVER_SENDER_IN_CALL ? recover_sender_once(r, shape, r->taken)
                                             : recover_once(r, shape, r->taken);
        histogram_record(r->latencies, ns);
        sum += ns;
    }
    r->shared->is_cut = 1; /* the sender does not end by itself */
    return sum;
}

#define RECOVER_ROW(SYSTEM, SHAPE, WAY)                                                            \
    {                                                                                              \
        .system = SYSTEM, .test = "recover", .shape = SHAPE, .bytes = 56, .memory = 1 << 18,       \
        .prepare = recover_prepare, .serve = recover_serve, .measure = recover_measure,            \
        .how = &WAY, .one_core = 0, .readers = 0, .producers = 0, .consumers = 0, .batch = 0,      \
        .held = 0, .threads = 0, .fifo_peer = 0, .clear = recover_clear                            \
    }
#define RECOVER_ROWS(SYSTEM, WAY)                                                                  \
    RECOVER_ROW(SYSTEM, "in_call", WAY), RECOVER_ROW(SYSTEM, "polling", WAY),                      \
        RECOVER_ROW(SYSTEM, "sleeping", WAY), RECOVER_ROW(SYSTEM, "stopped", WAY),                 \
        RECOVER_ROW(SYSTEM, "sender_in_call", WAY)
/* Senders that wait for room: not of what never is full. */
#define RECOVER_SENDER_ROWS(SYSTEM, WAY)                                                           \
    RECOVER_ROW(SYSTEM, "sender_polling", WAY), RECOVER_ROW(SYSTEM, "sender_sleeping", WAY)

#endif
