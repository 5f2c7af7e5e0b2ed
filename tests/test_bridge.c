/*
 * Tests of ipc_bridge: two bridges between two segments of this machine, which are killed, as are the
 * programs at both ends and the link. Between network namespaces, where this is root, with a link
 * that is slow, loses packets and is cut. The first argument is the program; IPC_BRIDGE_MESSAGES
 * says how many messages cross: 200,000.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 30000 /* longer than any working call takes */
#endif
#define HANG_S 3000
#include "harness.h"
#include "tools/bridge/state.h"

#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>

#define SOON ipc_in_ms(LONG_MS)

struct message {
    uint64_t number, twice, more[3];
};
IPC_SPSC(line, struct message, 7)
IPC_BROADCAST(cast, struct message)
IPC_RECORDS(log)
IPC_RECORD_BROADCAST(tape)
IPC_MPMC(jobs, struct message)

static const char *program;
static char near_name[170], far_name[170], uri[300], said_path[300];
static uint64_t count = 200000;
static int in_full; /* also between two machines, which takes long */

/* What the processes of a test share. */
static struct shared {
    uint64_t sent, got, next; /* next: number that the consumer expects */
    uint64_t goal;            /* the producer sends up to here, and waits */
    uint64_t end;             /* of all; the producer may be beyond it */
    uint64_t wrong;           /* a consumer got another number */
} *shared;

static void must_do(int rc, const struct ipc_shm *seg)
{
    if (rc != 0)
        dprintf(2, "%s\n", ipc_shm_why(seg));
    IS(rc, 0);
}

/* ------------------------------------------------------------------ the bridges */

struct arguments {
    const char *argv[16];
    int space; /* a network namespace, or -1 */
};

static void is_a_bridge(struct child *up, void *arg)
{
    struct arguments *a = arg;
    int fd = open(said_path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    (void)up;
    MUST(fd >= 0 && dup2(fd, 2) == 2);
    MUST(a->space < 0 || setns(a->space, CLONE_NEWNET) == 0);
    (void)execv(program, (char *const *)(uintptr_t)a->argv);
    _exit(127);
}

static struct child bridge_in(int space, const char *first, ...)
{
    struct arguments a;
    va_list rest;
    unsigned n = 0;

    memset(&a, 0, sizeof a);
    a.space = space;
    a.argv[n++] = "ipc_bridge";
    va_start(rest, first);
    for (; first != NULL; first = va_arg(rest, const char *))
        if (*first != '\0')
            a.argv[n++] = first;
    va_end(rest);
    a.argv[n] = NULL;
    return spawn(is_a_bridge, &a);
}
#define bridge(...) bridge_in(-1, __VA_ARGS__, uri, NULL)

static char near_ring[200], far_ring[200];

static struct child near_bridge(void)
{
    return bridge("-o", near_ring);
}

static struct child far_bridge(void)
{
    return bridge("-l", "-i", far_ring);
}

static void choose(const char *ring)
{
    (void)snprintf(near_name, sizeof near_name, "%s-near", name);
    (void)snprintf(far_name, sizeof far_name, "%s-far", name);
    (void)snprintf(near_ring, sizeof near_ring, "%s:%s", near_name, ring);
    (void)snprintf(far_ring, sizeof far_ring, "%s:%s", far_name, ring);
    (void)snprintf(uri, sizeof uri, "zmq:ipc:///dev/shm/%s-link", name);
    (void)snprintf(said_path, sizeof said_path, "/dev/shm/%s-said", name);
    if (shared == NULL)
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
    MUST(shared != MAP_FAILED);
    memset(shared, 0, sizeof *shared);
}

/* What the bridges said so far. */
static char *said(void)
{
    static char text[8000];
    int fd = open(said_path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;

    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* ------------------------------------------------------------------ messages of each kind */

/* The bytes of message `number`: a record has any length from 8 on, now and then a long one. */
static size_t fill(unsigned char *bytes, uint64_t number)
{
    size_t n = 8 + number % 90 + (number % 1000 == 0 ? 900 : 0);

    memset(bytes, (int)number & 255, n);
    memcpy(bytes, &number, sizeof number);
    return n;
}

static uint64_t check(const unsigned char *bytes, size_t n)
{
    unsigned char want[1100];
    uint64_t number;

    MUST(n >= sizeof number);
    memcpy(&number, bytes, sizeof number);
    IS(fill(want, number), n);
    MUST(memcmp(want, bytes, n) == 0);
    return number;
}

union out {
    struct line_producer line;
    struct cast_producer cast;
    struct log_producer log;
    struct tape_producer tape;
    struct jobs_producer jobs;
};
union in {
    struct line_consumer line;
    struct cast_consumer cast;
    struct log_consumer log;
    struct tape_consumer tape;
    struct jobs_consumer jobs;
};

static int send_slot(union out *p, uint64_t number, int is_line)
{
    struct message m = {number, 2 * number, {number, 0, ~number}};

    return is_line ? line_send(&p->line, &m, SOON) : cast_send(&p->cast, &m, SOON);
}

static int64_t number_of(const struct message *m)
{
    MUST(m->twice == 2 * m->number && m->more[2] == ~m->number);
    return (int64_t)m->number;
}

enum { SLOTS = 1024, BYTES = 16384 };

static int create_line(union out *p, struct ipc_shm *seg)
{
    return line_producer_create(&p->line, seg, "line", SLOTS);
}
static uint64_t sent_line(const union out *p)
{
    return p->line.raw.tail;
}
static int send_line(union out *p, uint64_t number)
{
    return send_slot(p, number, 1);
}
static void detach_line(union out *p)
{
    line_producer_detach(&p->line);
}
static int open_line(union in *c, struct ipc_shm *seg)
{
    return line_consumer_open(&c->line, seg, "line");
}
static int64_t recv_line(union in *c, int64_t deadline)
{
    struct message m;
    int rc = line_recv(&c->line, &m, deadline);

    return rc == 0 ? number_of(&m) : rc;
}
static void leave_line(union in *c)
{
    line_consumer_detach(&c->line);
}

#define OF_CAST(HOW)                                                                               \
    static int create_cast_##HOW(union out *p, struct ipc_shm *seg)                                \
    {                                                                                              \
        return cast_producer_create(&p->cast, seg, "cast", SLOTS, IPC_BROADCAST_##HOW);            \
    }                                                                                              \
    static int create_tape_##HOW(union out *p, struct ipc_shm *seg)                                \
    {                                                                                              \
        return tape_producer_create(&p->tape, seg, "tape", BYTES, IPC_BROADCAST_##HOW);            \
    }
OF_CAST(LOSSLESS)
OF_CAST(LOSSY)
static int send_cast(union out *p, uint64_t number)
{
    return send_slot(p, number, 0);
}
static void detach_cast(union out *p)
{
    cast_producer_detach(&p->cast);
}
static int open_cast(union in *c, struct ipc_shm *seg)
{
    return cast_consumer_open(&c->cast, seg, "cast");
}
static int64_t recv_cast(union in *c, int64_t deadline)
{
    struct message m;
    int rc = cast_recv(&c->cast, &m, deadline);

    return rc == 0 ? number_of(&m) : rc;
}
static uint64_t missed_cast(const union in *c)
{
    return cast_missed(&c->cast);
}
static void leave_cast(union in *c)
{
    cast_consumer_detach(&c->cast);
}

static int create_log(union out *p, struct ipc_shm *seg)
{
    return log_producer_create(&p->log, seg, "log", BYTES, 1);
}
static int create_lanes(union out *p, struct ipc_shm *seg)
{
    return log_producer_create(&p->log, seg, "log", BYTES, 3);
}
static int create_jobs(union out *p, struct ipc_shm *seg)
{
    return jobs_producer_create(&p->jobs, seg, "jobs", SLOTS, IPC_MPMC_AT_LEAST_ONCE);
}
static int send_jobs(union out *p, uint64_t number)
{
    struct message m = {number, 2 * number, {number, 0, ~number}};

    return jobs_send(&p->jobs, &m, SOON);
}
static void detach_jobs(union out *p)
{
    jobs_producer_detach(&p->jobs);
}
static int open_jobs(union in *c, struct ipc_shm *seg)
{
    return jobs_consumer_open(&c->jobs, seg, "jobs");
}
static int64_t recv_jobs(union in *c, int64_t deadline)
{
    struct message m;
    int rc = jobs_recv(&c->jobs, &m, deadline);

    return rc == 0 ? number_of(&m) : rc;
}
static void leave_jobs(union in *c)
{
    jobs_consumer_detach(&c->jobs);
}
static int send_log(union out *p, uint64_t number)
{
    unsigned char bytes[1100];

    return log_send(&p->log, bytes, fill(bytes, number), SOON);
}
static void detach_log(union out *p)
{
    log_producer_detach(&p->log);
}
static int open_log(union in *c, struct ipc_shm *seg)
{
    return log_consumer_open(&c->log, seg, "log");
}
static int64_t recv_log(union in *c, int64_t deadline)
{
    unsigned char bytes[1100];
    int64_t n = log_recv(&c->log, bytes, sizeof bytes, deadline);

    return n >= 0 ? (int64_t)check(bytes, (size_t)n) : n;
}
static void leave_log(union in *c)
{
    log_consumer_detach(&c->log);
}

static int send_tape(union out *p, uint64_t number)
{
    unsigned char bytes[1100];

    return tape_send(&p->tape, bytes, fill(bytes, number), SOON);
}
static void detach_tape(union out *p)
{
    tape_producer_detach(&p->tape);
}
static int open_tape(union in *c, struct ipc_shm *seg)
{
    return tape_consumer_open(&c->tape, seg, "tape");
}
static int64_t recv_tape(union in *c, int64_t deadline)
{
    unsigned char bytes[1100];
    int64_t n = tape_recv(&c->tape, bytes, sizeof bytes, deadline);

    return n >= 0 ? (int64_t)check(bytes, (size_t)n) : n;
}
static uint64_t missed_tape(const union in *c)
{
    return tape_missed(&c->tape);
}
static void leave_tape(union in *c)
{
    tape_consumer_detach(&c->tape);
}

static const struct kind {
    const char *ring;
    int (*create)(union out *, struct ipc_shm *);
    uint64_t (*was_sent)(const union out *); /* NULL: the producer is not started again */
    int (*send)(union out *, uint64_t);
    void (*detach)(union out *);
    int (*open)(union in *, struct ipc_shm *);
    int64_t (*recv)(union in *, int64_t);
    uint64_t (*missed)(const union in *);
    void (*leave)(union in *);
} line_kind = {"line", create_line, sent_line, send_line, detach_line, open_line, recv_line, NULL,
               leave_line},
  log_kind = {"log", create_log, NULL, send_log, detach_log, open_log, recv_log, NULL, leave_log},
  lanes_kind = {"log", create_lanes, NULL, send_log, detach_log, open_log, recv_log, NULL,
                leave_log},
  jobs_kind = {"jobs", create_jobs, NULL, send_jobs, detach_jobs, open_jobs, recv_jobs, NULL,
               leave_jobs},
  lossless_cast = {"cast", create_cast_LOSSLESS, NULL, send_cast, detach_cast, open_cast,
                   recv_cast, missed_cast, leave_cast},
  lossy_cast = {"cast", create_cast_LOSSY, NULL, send_cast, detach_cast, open_cast, recv_cast,
                missed_cast, leave_cast},
  lossless_tape = {"tape", create_tape_LOSSLESS, NULL, send_tape, detach_tape, open_tape,
                   recv_tape, missed_tape, leave_tape},
  lossy_tape = {"tape", create_tape_LOSSY, NULL, send_tape, detach_tape, open_tape, recv_tape,
                missed_tape, leave_tape};

/* Fills the segment, so that no bridge finds room in it. */
static int fills;

static void fill_up(struct ipc_shm *seg)
{
    struct ipc_shm_object o;
    char its_name[20];
    unsigned i;

    for (i = 0; fills && i < 64; i++) {
        (void)snprintf(its_name, sizeof its_name, "filler %u", i);
        if (ipc_shm_make(seg, its_name, 1, 64, &o) == 0)
            must_do(ipc_shm_publish(seg, &o), seg);
    }
}

/* Sends up to shared->goal, and goes on where an earlier one was killed. */
static void produces(struct child *up, void *arg)
{
    const struct kind *k = arg;
    struct ipc_shm seg;
    union out p;
    int rc;

    must_do(ipc_shm_create(&seg, near_name, 1 << 18), &seg);
    must_do(k->create(&p, &seg), &seg);
    fill_up(&seg);
    if (k->was_sent != NULL)
        shared->sent = k->was_sent(&p);
    tell(up, 0);
    while (shared->sent < ck_pr_load_64(&shared->end)) {
        while (shared->sent == ck_pr_load_64(&shared->goal))
            (void)a_moment(0);
        do /* bridges that come and go are told */
            rc = k->send(&p, shared->sent);
        while (rc == -EPIPE || rc == -EOWNERDEAD);
        IS(rc, 0);
        ck_pr_store_64(&shared->sent, shared->sent + 1);
    }
    tell(up, 0);
    k->detach(&p);
    ipc_shm_close(&seg);
}

static struct child start_producer(const struct kind *k, uint64_t goal)
{
    struct child c;

    shared->goal = goal;
    shared->end = count;
    c = spawn(produces, (void *)(uintptr_t)k);
    (void)hear(&c);
    return c;
}

/* A consumer, which notes what comes next. It may see again what one that was killed has seen. */
static void consume(const struct kind *k, union in *c, const uint64_t *until)
{
    int again = 1;

    while (shared->next < ck_pr_load_64(until)) {
        int64_t n = k->recv(c, SOON);

        if (n == -EPIPE || n == -EOWNERDEAD)
            continue; /* a bridge that was killed */
        if (n < 0)
            dprintf(2, "next %llu of %llu\n%s", (unsigned long long)shared->next,
                    (unsigned long long)*until, said());
        MUST(n >= 0);
        if (again && (uint64_t)n < shared->next)
            continue;
        again = 0;
        if ((uint64_t)n != shared->next)
            shared->wrong = 1;
        IS(n, shared->next);
        ck_pr_store_64(&shared->next, shared->next + 1);
    }
}

static void open_far(const struct kind *k, union in *c, struct ipc_shm *seg)
{
    must_do(ipc_shm_open(seg, far_name, SOON), seg);
    must_do(k->open(c, seg), seg);
}

static void consumes(struct child *up, void *arg)
{
    const struct kind *k = arg;
    struct ipc_shm seg;
    union in c;

    (void)up;
    open_far(k, &c, &seg);
    consume(k, &c, &shared->end);
    k->leave(&c);
    ipc_shm_close(&seg);
}

static void wait_for(uint64_t next)
{
    uint64_t last = 0, now;
    int64_t until = SOON;

    while ((now = ck_pr_load_64(&shared->next)) < next && !ck_pr_load_64(&shared->wrong) &&
           a_moment(until)) {
        until = now != last ? SOON : until; /* as long as something comes */
        last = now;
    }
    if (ck_pr_load_64(&shared->next) < next)
        dprintf(2, "%llu of %llu\n%s", (unsigned long long)shared->next, (unsigned long long)next,
                said());
    MUST(ck_pr_load_64(&shared->next) >= next);
}

/* ------------------------------------------------------------------ lossless */

/* One that has just been started may not handle the signal yet. */
static void end_bridge(const struct child *c)
{
    int status;

    signal_child(c, SIGTERM);
    status = reap(c);
    MUST(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM));
}

/* Each of the four processes is killed, and started again, several times. */
static void nothing_is_lost_or_doubled(void **state)
{
    struct child near, far, producer, consumer;
    unsigned i;

    (void)state;
    choose("line");
    far = far_bridge();
    near = near_bridge();
    producer = start_producer(&line_kind, count);
    consumer = spawn(consumes, (void *)(uintptr_t)&line_kind);
    for (i = 1; i < 12; i++) {
        struct child *c = i % 4 == 0 ? &near : i % 4 == 1 ? &far : i % 4 == 2 ? &producer : &consumer;

        wait_for(i * count / 16);
        if (c == &producer && shared->sent == count)
            continue;
        kill_child(c);
        *c = c == &near ? near_bridge() : c == &far ? far_bridge()
             : c == &producer ? start_producer(&line_kind, count)
                              : spawn(consumes, (void *)(uintptr_t)&line_kind);
    }
    finish(&consumer);
    (void)hear(&producer);
    finish(&producer);
    end_bridge(&near);
    end_bridge(&far);
}

static struct bridge_state *state_in(struct ipc_shm *seg, const char *ring, const char *direction)
{
    struct ipc_shm_object own;
    char its_name[100];

    (void)snprintf(its_name, sizeof its_name, "%s.bridge-%s", ring, direction);
    must_do(ipc_shm_find(seg, its_name, BRIDGE_TYPE, &own), seg);
    return own.mem;
}

/* Do all threads of the process sleep? Then the kernel has what ZeroMQ was given to send. */
static int all_rest(const struct child *c)
{
    char path[60];
    struct dirent *e;
    DIR *d;
    int rest = 1;

    (void)snprintf(path, sizeof path, "/proc/%ld/task", (long)c->pid);
    d = opendir(path);
    MUST(d != NULL);
    while ((e = readdir(d)) != NULL)
        rest &= *e->d_name == '.' || rests((pid_t)atol(e->d_name));
    (void)closedir(d);
    return rest;
}

/* The far bridge is killed behind its push, and before its mark: as if, as it gets its old mark back.
 * The near one is stopped meanwhile, so that it releases nothing. */
static void is_killed_between(const struct kind *k)
{
    struct child near, far, producer;
    struct bridge_state *out, *in;
    struct bridge_mark was;
    struct ipc_shm here, there;
    union in c;
    uint64_t until = 10;

    choose(k->ring);
    far = far_bridge();
    near = near_bridge();
    producer = start_producer(k, until);
    open_far(k, &c, &there);
    must_do(ipc_shm_open(&here, near_name, SOON), &here);
    consume(k, &c, &until);
    out = state_in(&here, k->ring, "out");
    in = state_in(&there, k->ring, "in");
    EVENTUALLY(ck_pr_load_64(&out->carried) == 10);
    stop_child(&far);
    was = in->mark[in->marks % 2];
    IS(was.from.number, 10);
    ck_pr_store_64(&shared->goal, 110);
    EVENTUALLY(ck_pr_load_64(&out->waiting) == 100 && all_rest(&near));
    stop_child(&near);
    signal_child(&far, SIGCONT);
    EVENTUALLY(in->mark[ck_pr_load_64(&in->marks) % 2].from.number == 110);
    kill_child(&far);
    kill_child(&near);
    in->mark[in->marks % 2] = was;
    far = far_bridge();
    near = near_bridge();
    until = 200;
    ck_pr_store_64(&shared->goal, until);
    consume(k, &c, &until);
    IS(in->carried, 200);
    EVENTUALLY(ck_pr_load_64(&out->carried) == 200);
    kill_child(&producer);
    k->leave(&c);
    ipc_shm_close(&here);
    ipc_shm_close(&there);
    end_bridge(&near);
    end_bridge(&far);
}

static void a_kill_between_push_and_mark_is_made_good(void **state)
{
    (void)state;
    is_killed_between(&line_kind);
    next_name(NULL);
    is_killed_between(&log_kind);
}

/* Both bridges are killed; the near one only where the ring waits for it. */
static void crosses(const struct kind *k, int kills_near)
{
    struct child near, far, producer;
    struct ipc_shm seg;
    union in c;
    unsigned i;

    choose(k->ring);
    near = near_bridge();
    far = far_bridge();
    producer = start_producer(k, 0);
    open_far(k, &c, &seg);
    ck_pr_store_64(&shared->goal, count);
    for (i = 1; i < 8; i++) {
        uint64_t until = i * count / 8;

        consume(k, &c, &until);
        if (i % 2 == 0) {
            kill_child(&far);
            far = far_bridge();
        } else if (kills_near) {
            kill_child(&near);
            near = near_bridge();
        }
    }
    consume(k, &c, &shared->end);
    (void)hear(&producer);
    finish(&producer);
    k->leave(&c);
    ipc_shm_close(&seg);
    end_bridge(&near);
    end_bridge(&far);
}

static void records_cross(void **state)
{
    (void)state;
    count /= 4;
    crosses(&log_kind, 1);
    count *= 4;
}

static void lossless_broadcasts_cross(void **state)
{
    (void)state;
    count /= 8;
    crosses(&lossless_cast, 0);
    next_name(NULL);
    crosses(&lossless_tape, 0);
    count *= 8;
}

/* Where others push and pop, too, each kill of a bridge may double one message, and loses none. */
static void many_cross(const struct kind *k)
{
    struct child near, far, producer;
    struct ipc_shm seg;
    union in c;
    unsigned char *seen;
    uint64_t here = 0, again = 0, kills = 0, most = count / 8;

    choose(k->ring);
    seen = calloc(most, 1);
    MUST(seen != NULL);
    near = near_bridge();
    far = far_bridge();
    producer = start_producer(k, most);
    shared->end = most;
    open_far(k, &c, &seg);
    while (here < most) {
        int64_t n = k->recv(&c, SOON);

        if (n == -EPIPE || n == -EOWNERDEAD)
            continue;
        if (n < 0)
            dprintf(2, "%s", said());
        MUST(n >= 0 && (uint64_t)n < most);
        here += !seen[n];
        again += seen[n];
        seen[n] = 1;
        if (kills < 4 && here == (kills + 1) * most / 5) {
            struct child *b = kills++ % 2 == 0 ? &near : &far;

            kill_child(b);
            *b = b == &near ? near_bridge() : far_bridge();
        }
    }
    MUST(again <= kills);
    (void)hear(&producer);
    finish(&producer);
    free(seen);
    k->leave(&c);
    ipc_shm_close(&seg);
    end_bridge(&near);
    end_bridge(&far);
}

static void rings_of_many_cross(void **state)
{
    (void)state;
    many_cross(&jobs_kind);
    next_name(NULL);
    many_cross(&lanes_kind);
}

/* ------------------------------------------------------------------ lossy */

/* While the far bridge is dead the ring is overwritten. What the reader got and what it missed are
 * all that were sent. */
static void a_loss_is_told(const struct kind *k)
{
    struct child near, far, producer;
    struct ipc_shm seg;
    union in c;
    uint64_t got = 0, missed = 0, all;
    unsigned i;

    choose(k->ring);
    all = count;
    count = 20000;
    near = near_bridge();
    far = far_bridge();
    producer = start_producer(k, 0);
    open_far(k, &c, &seg);
    for (i = 0; i < 3; i++) {
        uint64_t goal = i < 2 ? (i + 1) * 9000 : count, first = i == 2 ? count - 10 : i * 9000 + 10;
        int64_t n = 0;

        ck_pr_store_64(&shared->goal, first);
        if (i < 2)
            EVENTUALLY(ck_pr_load_64(&shared->sent) == first);
        while ((uint64_t)n + 1 < first || n == 0) {
            n = k->recv(&c, i == 2 ? ipc_in_ms(100) : SOON);
            if (n == -EOVERFLOW || n == -EPIPE || n == -EOWNERDEAD) {
                n = 0;
                continue;
            }
            if (n == -ETIMEDOUT && i == 2) { /* the last ones were missed: others follow */
                ck_pr_store_64(&shared->goal, ++first);
                MUST(first <= count);
                n = 0;
                continue;
            }
            MUST(n >= 0);
            missed = k->missed(&c);
            IS(n, got + missed);
            got++;
        }
        if (i == 2)
            break;
        kill_child(i == 0 ? &far : &near);
        ck_pr_store_64(&shared->goal, goal);
        EVENTUALLY(ck_pr_load_64(&shared->sent) == goal);
        if (i == 0)
            far = far_bridge();
        else
            near = near_bridge();
    }
    MUST(missed > 10000 && missed < 19900);
    ck_pr_store_64(&shared->goal, count);
    (void)hear(&producer);
    finish(&producer);
    count = all;
    k->leave(&c);
    ipc_shm_close(&seg);
    end_bridge(&near);
    end_bridge(&far);
}

static void a_loss_is_told_as_a_lap(void **state)
{
    (void)state;
    a_loss_is_told(&lossy_cast);
    next_name(NULL);
    a_loss_is_told(&lossy_tape);
}

/* ------------------------------------------------------------------ both ways, keys */

static void swap(char *one, char *other, size_t size)
{
    char text[300];

    memcpy(text, one, size);
    memcpy(one, other, size);
    memcpy(other, text, size);
}

/* A ring each way, by one pair of bridges. */
static void both_ways_at_once(void **state)
{
    struct child near, far, producers[2], consumers[2];
    char there[200], here[200];
    unsigned i;

    (void)state;
    choose("line");
    count /= 8;
    (void)snprintf(there, sizeof there, "%s:log", far_name);
    (void)snprintf(here, sizeof here, "%s:log", near_name);
    far = bridge("-l", "-i", far_ring, "-o", there);
    near = bridge("-o", near_ring, "-i", here);
    for (i = 0; i < 2; i++) {
        const struct kind *k = i == 0 ? &line_kind : &log_kind;

        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        MUST(shared != MAP_FAILED);
        producers[i] = start_producer(k, count);
        consumers[i] = spawn(consumes, (void *)(uintptr_t)k);
        swap(near_name, far_name, sizeof near_name);
    }
    for (i = 0; i < 2; i++) {
        finish(&consumers[i]);
        (void)hear(&producers[i]);
        finish(&producers[i]);
    }
    count *= 8;
    end_bridge(&near);
    end_bridge(&far);
}

static void make_pair(const char *file, char *public)
{
    char command[800];
    FILE *from;

    (void)snprintf(command, sizeof command, "%s -g %s", program, file);
    from = popen(command, "r");
    MUST(from != NULL && fgets(public, 50, from) != NULL && pclose(from) == 0);
    public[strcspn(public, "\n")] = '\0';
    IS(strlen(public), 40);
}

static unsigned lines(const char *text)
{
    unsigned n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void full_segments_are_carried(void **state)
{
    struct child near, far, producer, consumer;
    struct line_consumer first;
    struct ipc_shm seg;
    unsigned i;

    (void)state;
    choose("line");
    count /= 20;
    fills = 1;
    must_do(ipc_shm_create(&seg, far_name, 1 << 18), &seg);
    must_do(line_consumer_create(&first, &seg, "line", SLOTS), &seg);
    line_consumer_detach(&first);
    fill_up(&seg);
    far = far_bridge();
    near = near_bridge();
    producer = start_producer(&line_kind, count);
    consumer = spawn(consumes, (void *)(uintptr_t)&line_kind);
    for (i = 1; i < 4; i++) {
        wait_for(i * count / 4);
        kill_child(i == 2 ? &far : &near);
        if (i == 2)
            far = far_bridge();
        else
            near = near_bridge();
    }
    finish(&consumer);
    (void)hear(&producer);
    finish(&producer);
    fills = 0;
    count *= 20;
    ipc_shm_close(&seg);
    end_bridge(&near);
    end_bridge(&far);
}

/* Of two bridges with keys that do not fit the one that connects ends, and says so in a line. */
static void a_wrong_key_is_refused(void **state)
{
    char file[3][200], public[3][50];
    struct child far, near, producer, consumer;
    unsigned i;

    (void)state;
    choose("line");
    count /= 100;
    for (i = 0; i < 3; i++) {
        (void)snprintf(file[i], sizeof file[i], "/dev/shm/%s-key-%u", name, i);
        make_pair(file[i], public[i]);
    }
    far = bridge("-l", "-s", file[0], "-p", public[1], "-i", far_ring);
    near = bridge("-s", file[2], "-p", public[0], "-o", near_ring); /* not the listener's */
    IS(result(&near), 1);
    near = bridge("-s", file[1], "-p", public[2], "-o", near_ring);
    IS(result(&near), 1);
    if (lines(said()) != 2)
        dprintf(2, "%s", said());
    IS(lines(said()), 2);
    MUST(strstr(said(), "key") != NULL);
    near = bridge("-s", file[1], "-p", public[0], "-o", near_ring);
    producer = start_producer(&line_kind, count);
    consumer = spawn(consumes, (void *)(uintptr_t)&line_kind);
    finish(&consumer);
    (void)hear(&producer);
    finish(&producer);
    count *= 100;
    end_bridge(&near);
    end_bridge(&far);
}

/* A ring that is there already, for messages of another version, is refused; and what comes from a
 * segment that was removed and made again is carried, too. */
static void another_ring_is_refused(void **state)
{
    struct child far, near, producer, consumer;
    struct ipc_shm seg;
    struct cast_producer other;

    (void)state;
    choose("line");
    count /= 100;
    must_do(ipc_shm_create(&seg, far_name, 1 << 18), &seg);
    must_do(cast_producer_create(&other, &seg, "line", SLOTS, IPC_BROADCAST_LOSSY), &seg);
    far = far_bridge();
    near = near_bridge();
    producer = start_producer(&line_kind, count);
    EVENTUALLY(strstr(said(), "the other side refuses it") != NULL);
    cast_producer_detach(&other);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(far_name), 0);
    consumer = spawn(consumes, (void *)(uintptr_t)&line_kind);
    finish(&consumer);
    (void)hear(&producer);
    finish(&producer);
    IS(ipc_shm_unlink(near_name), 0); /* and the numbers begin anew */
    shared->next = shared->sent = 0;
    producer = start_producer(&line_kind, count);
    consumer = spawn(consumes, (void *)(uintptr_t)&line_kind);
    finish(&consumer);
    (void)hear(&producer);
    finish(&producer);
    count *= 100;
    end_bridge(&near);
    end_bridge(&far);
}

/* ------------------------------------------------------------------ between two namespaces */

/* A wire between two tun devices, each in a network namespace of its own. It needs no netem, which
 * not every kernel has. */
enum { PACKETS = 4096, PACKET = 1600 };

static struct wire {
    uint64_t delay; /* nanoseconds */
    uint64_t loss;  /* one of so many packets is lost; 0: none */
    uint64_t cut;
    uint64_t carried, lost;
} *wire;

struct way {
    int from, to;
    unsigned first, last; /* of those that are under way */
    struct {
        int64_t due;
        ssize_t n;
        unsigned char bytes[PACKET];
    } packet[PACKETS];
};

/* The end of the wire in this namespace, with the address 10.77.0.`last`. Or -1. */
static int open_tun(unsigned last)
{
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), s;
    struct ifreq r;
    struct sockaddr_in a;

    if (tun < 0)
        return -1;
    memset(&r, 0, sizeof r);
    (void)strcpy(r.ifr_name, "wire");
    r.ifr_flags = IFF_TUN | IFF_NO_PI;
    s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0 || ioctl(tun, TUNSETIFF, &r) != 0)
        return -1;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(0x0a4d0000 + last);
    memcpy(&r.ifr_addr, &a, sizeof a);
    if (ioctl(s, SIOCSIFADDR, &r) != 0)
        return -1;
    a.sin_addr.s_addr = htonl(0xffffff00);
    memcpy(&r.ifr_netmask, &a, sizeof a);
    if (ioctl(s, SIOCSIFNETMASK, &r) != 0)
        return -1;
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(s, SIOCSIFFLAGS, &r) == 0 && close(s) == 0 ? tun : -1;
}

static void move_packets(struct way *w)
{
    for (;;) {
        unsigned i = w->last % PACKETS;
        ssize_t n = w->last - w->first < PACKETS ? read(w->from, w->packet[i].bytes, PACKET) : -1;

        if (n <= 0)
            break;
        wire->carried++;
        if (wire->cut || (wire->loss != 0 && wire->carried % wire->loss == 0)) {
            wire->lost++;
            continue;
        }
        w->packet[i].n = n;
        w->packet[i].due = ipc_clock() + (int64_t)wire->delay;
        w->last++;
    }
    while (w->first != w->last && w->packet[w->first % PACKETS].due <= ipc_clock()) {
        unsigned i = w->first++ % PACKETS;

        if (!wire->cut)
            (void)!write(w->to, w->packet[i].bytes, (size_t)w->packet[i].n);
    }
}

static void is_the_wire(struct child *up, void *arg)
{
    static struct way ways[2];
    struct pollfd p[2];
    int space[2], tun[2];
    unsigned i;

    (void)arg;
    for (i = 0; i < 2; i++) {
        if (unshare(CLONE_NEWNET) != 0 || (tun[i] = open_tun(i + 1)) < 0)
            _exit(UNABLE);
        space[i] = open("/proc/self/ns/net", O_RDONLY);
        tell(up, (uint64_t)space[i]);
        p[i].fd = ways[i].from = ways[1 - i].to = tun[i];
        p[i].events = POLLIN;
    }
    for (;;) {
        struct timespec nap = {0, 500000};

        if (ways[0].first == ways[0].last && ways[1].first == ways[1].last)
            (void)poll(p, 2, 1000);
        else
            (void)ppoll(p, 2, &nap, NULL);
        move_packets(&ways[0]);
        move_packets(&ways[1]);
    }
}

/* The namespace behind a descriptor of the wire's process; -1: the wire cannot be. */
static int space_of(const struct child *c)
{
    struct pollfd p = {c->from, POLLIN, 0};
    uint64_t number;
    char path[100];

    if (poll(&p, 1, LONG_MS) != 1 || read(c->from, &number, sizeof number) != sizeof number)
        return -1;
    (void)snprintf(path, sizeof path, "/proc/%ld/fd/%llu", (long)c->pid,
                   (unsigned long long)number);
    return open(path, O_RDONLY | O_CLOEXEC);
}

#define AT(space, ...) bridge_in(space, "-k", "1", __VA_ARGS__, "zmq:tcp://10.77.0.2:9000", NULL)

/* The link is slow and loses packets; is cut for a moment; and is cut until both have noticed. */
static void between_two_machines(void **state)
{
    struct child cable, near, far, producer, consumer;
    int space[2];

    (void)state;
    choose("line");
    count /= in_full ? 1 : 10;
    wire = mmap(NULL, sizeof *wire, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(wire != MAP_FAILED);
    cable = spawn(is_the_wire, NULL);
    space[0] = space_of(&cable);
    space[1] = space[0] >= 0 ? space_of(&cable) : -1;
    if (space[1] < 0)
        count *= in_full ? 1 : 10;
    SKIP_IF(space[1] < 0, "no network namespaces, or no /dev/net/tun, here: needs root");
    far = AT(space[1], "-l", "-i", far_ring);
    near = AT(space[0], "-o", near_ring);
    producer = start_producer(&line_kind, count / 4);
    consumer = spawn(consumes, (void *)(uintptr_t)&line_kind);
    wait_for(count / 4);
    wire->delay = 2000000;
    wire->loss = 50;
    ck_pr_store_64(&shared->goal, count / 2);
    wait_for(count / 2);
    wire->cut = 1;
    ck_pr_store_64(&shared->goal, 5 * count / 8);
    EVENTUALLY(wire->lost >= 4);
    wire->cut = 0;
    wait_for(5 * count / 8);
    wire->cut = 1;
    ck_pr_store_64(&shared->goal, count);
    EVENTUALLY(lines(said()) >= 2);
    MUST(shared->sent < count);
    kill_child(&far); /* and one of them does not come back as it was */
    far = AT(space[1], "-l", "-i", far_ring);
    wire->cut = 0;
    finish(&consumer);
    (void)hear(&producer);
    finish(&producer);
    MUST(wire->lost > 5);
    count *= in_full ? 1 : 10;
    kill_child(&cable);
    kill_child(&near);
    kill_child(&far);
    (void)close(space[0]);
    (void)close(space[1]);
}

/* The bridge, called with these words, prints that and its usage, and ends with 2. */
static void is_no_call(const char *words, const char *prints)
{
    char command[400], line[400] = "";
    FILE *said;

    (void)snprintf(command, sizeof command, "%s %s 2>&1", program, words);
    said = popen(command, "r");
    MUST(said != NULL && fgets(line, sizeof line, said) != NULL);
    must_(strstr(line, prints) != NULL, line, prints, __FILE__, __LINE__);
    while (fgets(line, sizeof line, said) != NULL)
        ;
    IS(pclose(said), 2 << 8);
}

static void wrong_words_are_named(void **state)
{
    (void)state;
    is_no_call("-o feed zmq:ipc:///tmp/x", "-o feed: not SEGMENT:NAME");
    is_no_call("-o feed:ticks -i feed:ticks -o other:ticks", "-o other:ticks: another ring has");
    is_no_call("zmq:ipc:///tmp/x", "no ring is named");
    is_no_call("-o feed:ticks", "one URI");
    is_no_call("-k 0 -o feed:ticks lines", "-k 0: not 1 to 32767 seconds");
    is_no_call("-m x -o feed:ticks lines", "-m x: not a number of bytes");
    is_no_call("-o feed:ticks lines", "begins with zmq:tcp: or zmq:ipc:");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_lost_or_doubled),
        TEST(a_kill_between_push_and_mark_is_made_good),
        TEST(records_cross),
        TEST(lossless_broadcasts_cross),
        TEST(rings_of_many_cross),
        TEST(a_loss_is_told_as_a_lap),
        TEST(both_ways_at_once),
        TEST(full_segments_are_carried),
        TEST(a_wrong_key_is_refused),
        TEST(another_ring_is_refused),
        TEST(wrong_words_are_named),
        TEST(between_two_machines),
    };
    const char *messages = getenv("IPC_BRIDGE_MESSAGES");

    if (argc < 2)
        return 2;
    program = argv[1];
    in_full = messages != NULL;
    count = messages != NULL ? strtoull(messages, NULL, 0) : count;
    set_up(argc - 1, argv + 1);
    return cmocka_run_group_tests_name("bridge", tests, NULL, NULL);
}
