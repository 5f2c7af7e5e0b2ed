/* Every mechanism of ipc_channel.h, and beside it the bare mechanism, used well by a program that
 * knows that all messages have one size. Both sleep in a stream and in a wake, and poll in a
 * ping-pong. SIGPIPE is ignored, as any program must do that writes to a pipe and has to outlive
 * its reader. */
#define _GNU_SOURCE
#include "ipc_channel.h"

#include "../kit/kernel.h"
#include "../kit/latency.h"

#define SMALL_SIZES(F, ...) F(8, __VA_ARGS__) F(64, __VA_ARGS__) F(1024, __VA_ARGS__)
#define PACKET_SIZES(F, ...) SMALL_SIZES(F, __VA_ARGS__) F(65536, __VA_ARGS__)
#define SIZES(F, ...) PACKET_SIZES(F, __VA_ARGS__) F(1048576, __VA_ARGS__)

#define MESSAGE(B, _) BENCH_MESSAGE(B)
SIZES(MESSAGE, )

static int is(const struct bench_run *r, const char *test)
{
    return strcmp(r->of->test, test) == 0;
}

static int one_way(const struct bench_run *r)
{
    return is(r, "stream") || is(r, "latency");
}

/* Stream, ping-pong and wake, of a struct NAME with NAME_attach, NAME_send and NAME_recv. */
#define TESTS(B, NAME)                                                                             \
    static void NAME##_stream_serve##B(struct bench_run *r)                                        \
    {                                                                                              \
        struct NAME *s = NAME##_attach(r);                                                         \
        BENCH_STREAM_SERVE(B, NAME##_send(s, &m, sizeof m));                                       \
    }                                                                                              \
    static uint64_t NAME##_stream_measure##B(struct bench_run *r)                                  \
    {                                                                                              \
        struct NAME *s = NAME##_attach(r);                                                         \
        BENCH_STREAM_MEASURE(B, NAME##_recv(s, &m, sizeof m));                                     \
    }                                                                                              \
    static void NAME##_serve##B(struct bench_run *r)                                               \
    {                                                                                              \
        struct NAME *s = NAME##_attach(r);                                                         \
        BENCH_PINGPONG_SERVE(B, NAME##_send(s, &m, sizeof m), NAME##_recv(s, &m, sizeof m));       \
    }                                                                                              \
    static uint64_t NAME##_measure##B(struct bench_run *r)                                         \
    {                                                                                              \
        struct NAME *s = NAME##_attach(r);                                                         \
        BENCH_PINGPONG_MEASURE(B, NAME##_send(s, &m, sizeof m), NAME##_recv(s, &m, sizeof m));     \
    }

/* The same with messages of 64 bytes at a fixed rate. */
#define LATENCY(NAME)                                                                              \
    static inline void NAME##_put(void *end, void *m)                                              \
    {                                                                                              \
        NAME##_send((struct NAME *)end, m, 64);                                                    \
    }                                                                                              \
    static inline void NAME##_get(void *end, void *m)                                              \
    {                                                                                              \
        NAME##_recv((struct NAME *)end, m, 64);                                                    \
    }                                                                                              \
    static void NAME##_latency_serve64(struct bench_run *r)                                        \
    {                                                                                              \
        latency_send(r, 64, NAME##_attach(r), NAME##_put);                                         \
    }                                                                                              \
    static uint64_t NAME##_latency_measure64(struct bench_run *r)                                  \
    {                                                                                              \
        return latency_recv(r, 64, NAME##_attach(r), NAME##_get);                                  \
    }

/* ------------------------------------------------------------------ channels */

struct mechanism {
    const char *uri; /* %s stands for a name, a port or a key */
    int one_way;     /* it needs a channel for each direction */
    int sender;      /* the sender listens, else the receiver */
};

struct chan {
    struct ipc_channel *in, *out;
    int64_t deadline;
};

/* channel[i] goes to process i. A channel of both directions is channel[0]. */
static struct ipc_channel channel[2];
static char uri[2][64];

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    bench_check(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
                    getsockname(fd, (struct sockaddr *)&a, &size) == 0 && close(fd) == 0,
                "port");
    return ntohs(a.sin_port);
}

static int chan_prepare(struct bench_run *r)
{
    const struct mechanism *how = (const struct mechanism *)r->of->how;
    char name[32];
    int i;

    for (i = 0; i < 2; i++) {
        if (strncmp(how->uri, "tcp", 3) == 0 || strncmp(how->uri, "udp", 3) == 0)
            (void)snprintf(name, sizeof name, "%d", free_port());
        else if (strncmp(how->uri, "sysv", 4) == 0)
            (void)snprintf(name, sizeof name, "%ld", 0x69000000 + (long)getpid());
        else
            (void)snprintf(name, sizeof name, "ipc_bench-%ld-%d", (long)getpid(), i);
        (void)snprintf(uri[i], sizeof uri[i], how->uri, name);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (strcmp(uri[0], "pipe:") == 0)
        return ipc_channel_open(channel, uri[0], IPC_BOTH, IPC_NOW);
    if (strncmp(uri[0], "udp:", 4) == 0) /* messages that come earlier are lost */
        return ipc_channel_open(&channel[1], uri[0], IPC_BOTH | IPC_LISTEN, IPC_NOW);
    return 0;
}

static void chan_unlink(void)
{
    int i;

    for (i = 0; i < 2; i++)
        (void)ipc_channel_unlink(uri[i]);
}

static void chan_clear(struct bench_run *r)
{
    (void)r;
    ipc_channel_close(&channel[0]);
    ipc_channel_close(&channel[1]);
    chan_unlink();
    (void)signal(SIGPIPE, SIG_DFL);
}

static void open_one(const struct bench_run *r, int i, unsigned role)
{
    struct ipc_channel_options o = {.max = r->of->bytes > 65536 ? r->of->bytes : 0};

    if (strncmp(uri[i], "sysv:", 5) == 0) {
        o.priority = r->index == 1 ? 1 : 2;
        o.select = r->index == 1 ? 2 : 1;
    }
    if (strcmp(uri[i], "pipe:") == 0)
        channel[i].pid = r->index == 0 ? getpid() : 0; /* process 0 counts as its opener */
    else if (strncmp(uri[i], "udp:", 4) == 0 && r->index == 1)
        channel[i] = channel[1];
    else if (ipc_channel_open_with(&channel[i], uri[i], role, ipc_in_ms(10000), &o) != 0)
        bench_fail(ipc_channel_why(&channel[i]));
}

/* Both processes learn each other's pid, which signals need, and block the signal from here on. */
static void meet(struct bench_run *r, sigset_t *set, pid_t pid[2])
{
    static const char *const names[] = {"0", "1"};
    struct ipc_shm_object o;
    int i;

    (void)sigemptyset(set);
    (void)sigaddset(set, SIGRTMIN);
    (void)sigprocmask(SIG_BLOCK, set, NULL);
    bench_check(ipc_shm_make(&r->seg, names[r->index], 1, sizeof(pid_t), &o) == 0, "make");
    *(pid_t *)o.mem = getpid();
    bench_check(ipc_shm_publish(&r->seg, &o) == 0, "publish");
    r->seg.deadline = ipc_in_ms(10000);
    for (i = 0; i < 2; i++) {
        bench_check(ipc_shm_find(&r->seg, names[i], 1, &o) == 0, "find");
        pid[i] = *(pid_t *)o.mem;
    }
}

CK_CC_FORCE_INLINE static void chan_send(struct chan *c, const void *message, size_t bytes)
{
    int rc;

    while ((rc = ipc_channel_send(c->out, message, bytes, c->deadline)) != 0) {
        if (rc != -ETIMEDOUT || c->deadline > IPC_NOW)
            bench_fail(ipc_channel_why(c->out));
        ck_pr_stall();
    }
    while (c->deadline == IPC_NOW && ipc_channel_flush(c->out, IPC_NOW) == -ETIMEDOUT)
        ck_pr_stall();
}

CK_CC_FORCE_INLINE static void chan_recv(struct chan *c, void *message, size_t bytes)
{
    int64_t rc;

    while ((rc = ipc_channel_recv(c->in, message, bytes, c->deadline)) != (int64_t)bytes) {
        if (rc != -ETIMEDOUT || c->deadline > IPC_NOW)
            bench_fail(rc < 0 ? ipc_channel_why(c->in) : "length");
        ck_pr_stall();
    }
}

static struct chan *chan_attach(struct bench_run *r)
{
    static struct chan c;
    const struct mechanism *how = (const struct mechanism *)r->of->how;
    int stream = one_way(r), me = (int)r->index, first, i;
    unsigned hello = 1;
    sigset_t set;
    pid_t pid[2];

    if (strncmp(uri[0], "signal:", 7) == 0) {
        meet(r, &set, pid);
        for (i = 0; i < 2; i++)
            (void)snprintf(uri[i], sizeof uri[i], "signal:%ld", (long)pid[i]);
    }
    for (first = 1; first >= 0; first--)
        for (i = 0; i < (how->one_way && !stream ? 2 : 1); i++) {
            unsigned role = !how->one_way && !stream ? IPC_BOTH : i == me ? IPC_RECV : IPC_SEND;
            int listens = role == IPC_BOTH ? me == 1 : (role == IPC_RECV) != how->sender;

            if (listens == first)
                open_one(r, i, role | (listens ? IPC_LISTEN : 0));
        }
    c.in = &channel[how->one_way ? me : 0];
    c.out = &channel[how->one_way ? !me : 0];
    /* The first message makes the listener accept, and auto: agree on a ring. */
    c.deadline = ipc_in_ms(10000);
    for (i = stream; i < 2; i++)
        if (me == i)
            chan_send(&c, &hello, sizeof hello);
        else
            chan_recv(&c, &hello, sizeof hello);
    bench_check(strncmp(uri[0], "auto:", 5) != 0 || channel[0].ring != NULL, "socket: no ring");
    /* So that a killed benchmark leaves nothing. A log that is removed is followed by another. */
    if (me == 0 && strncmp(uri[0], "sysv", 4) != 0 && strncmp(uri[0], "file:", 5) != 0)
        chan_unlink();
    if (is(r, "wake") && c.in->ring != NULL)
        ipc_notify_policy(&c.in->ring->data, 0, 0); /* a wake is to be measured: sleep at once */
    c.deadline = is(r, "pingpong") ? IPC_NOW : IPC_FOREVER;
    return &c;
}

SIZES(TESTS, chan)
LATENCY(chan)

/* ------------------------------------------------------------------ the bare ring */

/* Bytes of a ring, as many as a channel's. */
#define LANE(B) (1u << 22)

IPC_RECORDS(records)

struct bare {
    struct records_producer p;
    struct records_consumer c;
    int poll;
};

static struct bare *bare_attach(struct bench_run *r)
{
    static struct bare b;
    int stream = one_way(r), me = (int)r->index;

    r->seg.deadline = ipc_in_ms(10000);
    bench_check((stream && me == 0) ||
                    records_producer_create(&b.p, &r->seg, me == 1 ? "fro" : "to",
                                            LANE(r->of->bytes), 1) == 0,
                "create");
    bench_check((stream && me == 1) ||
                    records_consumer_open(&b.c, &r->seg, me == 1 ? "to" : "fro") == 0,
                "open");
    if (is(r, "wake"))
        ipc_notify_policy(records_consumer_bell(&b.c), 0, 0);
    b.poll = is(r, "pingpong");
    return &b;
}

CK_CC_FORCE_INLINE static void bare_send(struct bare *b, const void *message, size_t bytes)
{
    if (b->poll)
        while (records_push(&b->p, message, bytes) != 0)
            ck_pr_stall();
    else
        bench_check(records_send(&b->p, message, bytes, IPC_FOREVER) == 0, "send");
}

CK_CC_FORCE_INLINE static void bare_recv(struct bare *b, void *message, size_t bytes)
{
    if (b->poll)
        while (records_pop(&b->c, message, bytes) != (int64_t)bytes)
            ck_pr_stall();
    else
        bench_check(records_recv(&b->c, message, bytes, IPC_FOREVER) == (int64_t)bytes, "recv");
}

SIZES(TESTS, bare)
LATENCY(bare)

/* ------------------------------------------------------------------ the bare kernel */

struct kernel {
    const struct bare_mechanism *how;
    struct inbox *in;
    int out, me;
    int mq, wait; /* System V: the queue, and IPC_NOWAIT or 0 */
    int told;     /* file: inotify, or -1 to poll */
    pid_t to;     /* signal: the receiver */
};

struct bare_mechanism {
    int (*prepare)(struct bench_run *);
    void (*send)(struct kernel *, const void *, size_t);
    void (*recv)(struct kernel *, void *, size_t);
};

/* Process 0 reads fd[0], to which process 1 writes by fd[1]. Process 1 reads fd[2], to which
 * process 0 writes by fd[3]. */
static int prepare_pipe(struct bench_run *r)
{
    return pipe(&r->fd[0]) != 0 || pipe(&r->fd[2]) != 0 ? -errno : 0;
}

static int prepare_fifo(struct bench_run *r)
{
    char name[48];
    int i;

    (void)snprintf(name, sizeof name, "/dev/shm/ipc_bench-%ld", (long)getpid());
    for (i = 0; i < 4; i += 2) {
        if (mkfifo(name, 0600) != 0)
            return -errno;
        r->fd[i] = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        r->fd[i + 1] = open(name, O_WRONLY | O_CLOEXEC);
        if (unlink(name) != 0 || r->fd[i + 1] < 0 || fcntl(r->fd[i], F_SETFL, 0) != 0)
            return -errno;
    }
    return 0;
}

static int prepare_unix(struct bench_run *r)
{
    return socketpair(AF_UNIX, SOCK_STREAM, 0, r->fd) != 0 ? -errno : both_ways(r);
}

static int prepare_unix_seq(struct bench_run *r)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, r->fd) != 0 ? -errno : both_ways(r);
}

/* Sockets with names, as a server's, for which the kernel keeps ten datagrams; not a socketpair. */
static int prepare_unix_dgram(struct bench_run *r)
{
    int i;

    for (i = 0; i < 4; i += 2) {
        struct sockaddr_un a = {.sun_family = AF_UNIX}; /* a name of the kernel's choice */
        socklen_t size = sizeof a;

        r->fd[i] = socket(AF_UNIX, SOCK_DGRAM, 0);
        r->fd[i + 1] = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (bind(r->fd[i], (struct sockaddr *)&a, sizeof a.sun_family) != 0 ||
            getsockname(r->fd[i], (struct sockaddr *)&a, &size) != 0 ||
            connect(r->fd[i + 1], (struct sockaddr *)&a, size) != 0)
            return -errno;
    }
    return 0;
}

static int prepare_udp(struct bench_run *r)
{
    struct sockaddr_in a[2];
    socklen_t size = sizeof a[0];
    int i;

    for (i = 0; i < 2; i++) {
        memset(&a[i], 0, sizeof a[i]);
        a[i].sin_family = AF_INET;
        a[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        r->fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (bind(r->fd[i], (struct sockaddr *)&a[i], size) != 0 ||
            getsockname(r->fd[i], (struct sockaddr *)&a[i], &size) != 0)
            return -errno;
    }
    for (i = 0; i < 2; i++)
        if (connect(r->fd[i], (struct sockaddr *)&a[!i], size) != 0)
            return -errno;
    return both_ways(r);
}

static void stream_send(struct kernel *k, const void *message, size_t bytes)
{
    send_all(k->out, message, bytes);
}

static void stream_recv(struct kernel *k, void *message, size_t bytes)
{
    recv_all(k->in, message, bytes);
}

static void packet_send(struct kernel *k, const void *message, size_t bytes)
{
    while (send(k->out, message, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
        bench_check(errno == EAGAIN, "send");
}

static void packet_recv(struct kernel *k, void *message, size_t bytes)
{
    while (recv(k->in->fd, message, bytes, 0) != (ssize_t)bytes)
        bench_check(errno == EAGAIN, "recv");
}

static void mq_put(struct kernel *k, const void *message, size_t bytes)
{
    put_in_queue(k->out, message, bytes);
}

static void mq_take(struct kernel *k, void *message, size_t bytes)
{
    take_from_queue(k->in->fd, message, bytes);
}

static int prepare_sysv(struct bench_run *r)
{
    r->sysv_mq = msgget(IPC_PRIVATE, 0600);
    return r->sysv_mq < 0 ? -errno : 0;
}

struct letter {
    long type; /* the receiving process, plus 1 */
    char text[8192];
};

static void sysv_send(struct kernel *k, const void *message, size_t bytes)
{
    static struct letter l;

    l.type = 2 - k->me;
    memcpy(l.text, message, bytes);
    while (msgsnd(k->mq, &l, bytes, k->wait) != 0)
        bench_check(errno == EAGAIN, "msgsnd");
}

static void sysv_recv(struct kernel *k, void *message, size_t bytes)
{
    static struct letter l;

    while (msgrcv(k->mq, &l, bytes, k->me + 1, k->wait) != (ssize_t)bytes)
        bench_check(errno == ENOMSG, "msgrcv");
    memcpy(message, l.text, bytes);
}

static int prepare_file(struct bench_run *r)
{
    char name[48];
    int i;

    (void)snprintf(name, sizeof name, "/dev/shm/ipc_bench-%ld", (long)getpid());
    for (i = 0; i < 4; i += 2) {
        r->fd[i] = open(name, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0600);
        r->fd[i + 1] = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (unlink(name) != 0 || r->fd[i + 1] < 0)
            return -errno;
    }
    return 0;
}

static void file_watch(struct kernel *k)
{
    char name[48];

    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", k->in->fd);
    k->told = inotify_init1(IN_CLOEXEC);
    bench_check(k->told >= 0 && inotify_add_watch(k->told, name, IN_MODIFY) >= 0, "inotify");
}

static size_t file_some(struct kernel *k, void *to, size_t bytes)
{
    char events[4096];
    ssize_t n;

    while ((n = read(k->in->fd, to, bytes)) == 0)
        if (k->told < 0)
            ck_pr_stall();
        else
            bench_check(read(k->told, events, sizeof events) > 0, "inotify");
    bench_check(n > 0, "read");
    return (size_t)n;
}

static void file_recv(struct kernel *k, void *message, size_t bytes)
{
    struct inbox *in = k->in;
    size_t have = 0;

    while (bytes >= 16384 && have < bytes)
        have += file_some(k, (char *)message + have, bytes - have);
    if (have > 0)
        return;
    while (in->to - in->from < bytes) {
        memmove(in->bytes, in->bytes + in->from, in->to - in->from);
        in->to -= in->from;
        in->from = 0;
        in->to += file_some(k, in->bytes + in->to, sizeof in->bytes - in->to);
    }
    memcpy(message, in->bytes + in->from, bytes);
    in->from += bytes;
}

static void signal_send(struct kernel *k, const void *message, size_t bytes)
{
    union sigval word;

    memcpy(&word, message, bytes);
    while (sigqueue(k->to, SIGRTMIN, word) != 0)
        bench_check(errno == EAGAIN, "sigqueue");
}

static void signal_recv(struct kernel *k, void *message, size_t bytes)
{
    struct signalfd_siginfo *came = (struct signalfd_siginfo *)(void *)k->in->bytes;
    ssize_t n;

    if (k->in->from == k->in->to) {
        while ((n = read(k->in->fd, came, sizeof k->in->bytes)) < 0)
            bench_check(errno == EAGAIN, "read");
        k->in->from = 0;
        k->in->to = (size_t)n / sizeof *came;
    }
    memcpy(message, &came[k->in->from++].ssi_ptr, bytes);
}

static const struct bare_mechanism raw_pipe = {prepare_pipe, stream_send, stream_recv},
                                   raw_fifo = {prepare_fifo, stream_send, stream_recv},
                                   raw_unix = {prepare_unix, stream_send, stream_recv},
                                   raw_tcp = {connect_tcp, stream_send, stream_recv},
                                   raw_unix_seq = {prepare_unix_seq, packet_send, packet_recv},
                                   raw_unix_dgram = {prepare_unix_dgram, packet_send, packet_recv},
                                   raw_udp = {prepare_udp, packet_send, packet_recv},
                                   raw_file = {prepare_file, stream_send, file_recv},
                                   raw_signal = {NULL, signal_send, signal_recv},
                                   raw_mq = {open_queues, mq_put, mq_take},
                                   raw_sysv = {prepare_sysv, sysv_send, sysv_recv};

static int kernel_prepare(struct bench_run *r)
{
    const struct bare_mechanism *how = (const struct bare_mechanism *)r->of->how;
    int rc = how->prepare != NULL ? how->prepare(r) : 0;

    return rc == 0 && is(r, "pingpong") && r->fd[0] >= 0 && how != &raw_file ? nonblocking(r) : rc;
}

static struct kernel *kernel_attach(struct bench_run *r)
{
    static struct kernel k;
    sigset_t set;
    pid_t pid[2];

    k.how = (const struct bare_mechanism *)r->of->how;
    k.me = (int)r->index;
    k.in = inbox_of(r->fd[2 * k.me]);
    k.out = r->fd[3 - 2 * k.me];
    k.mq = r->sysv_mq;
    k.wait = is(r, "pingpong") ? IPC_NOWAIT : 0;
    k.told = -1;
    if (k.how == &raw_file && k.wait == 0)
        file_watch(&k);
    if (k.how == &raw_signal) {
        meet(r, &set, pid);
        k.to = pid[!k.me];
        k.in = inbox_of(signalfd(-1, &set, k.wait != 0 ? SFD_NONBLOCK : 0));
        bench_check(k.in->fd >= 0, "signalfd");
    }
    return &k;
}

static void kernel_send(struct kernel *k, const void *message, size_t bytes)
{
    k->how->send(k, message, bytes);
}

static void kernel_recv(struct kernel *k, void *message, size_t bytes)
{
    k->how->recv(k, message, bytes);
}

SIZES(TESTS, kernel)
LATENCY(kernel)

/* ------------------------------------------------------------------ rows */

#define ROW(B, SYSTEM, TEST, SHAPE, NAME, KIND, WAIT, RATE, HOW, PREPARE, CLEAR)                   \
    {.system = SYSTEM,                                                                             \
     .test = TEST,                                                                                 \
     .shape = SHAPE,                                                                               \
     .bytes = B,                                                                                   \
     .memory = 2 * LANE(B) + 65536,                                                                \
     .lap = (WAIT) == BENCH_ADAPTIVE ? LANE(B) : 0, /* a ring; others have none */                 \
     .prepare = PREPARE,                                                                           \
     .serve = NAME##_##KIND##serve##B,                                                             \
     .measure = NAME##_##KIND##measure##B,                                                         \
     .how = HOW,                                                                                   \
     .clear = CLEAR,                                                                               \
     .wait = WAIT,                                                                                 \
     .rate = RATE,                                                                                 \
     .burst = 1},
#define SHAPE_BENCH_ADAPTIVE "10k_adaptive"
#define SHAPE_BENCH_SLEEP "10k_sleep"
#define TRIPS(B, SYSTEM, NAME, ...)                                                                \
    ROW(B, SYSTEM, "pingpong", "channel", NAME, , BENCH_SPIN, 0, __VA_ARGS__)                      \
    ROW(B, SYSTEM, "wake", "channel", NAME, , BENCH_SLEEP, 0, __VA_ARGS__)
#define ROWS(B, SYSTEM, NAME, WAIT, ...)                                                           \
    ROW(B, SYSTEM, "stream", "channel", NAME, stream_, WAIT, 0, __VA_ARGS__)                       \
    TRIPS(B, SYSTEM, NAME, __VA_ARGS__)                                                            \
    LATENCY_##B(SYSTEM, NAME, WAIT, __VA_ARGS__)
#define LATENCY_64(SYSTEM, NAME, WAIT, ...)                                                        \
    ROW(64, SYSTEM, "latency", SHAPE_##WAIT, NAME, latency_, WAIT, 10000, __VA_ARGS__)
#define LATENCY_8(...)
#define LATENCY_1024(...)
#define LATENCY_65536(...)
#define LATENCY_1048576(...)
#define CHAN_ROWS(B, SYSTEM, WAIT, ...)                                                            \
    ROWS(B, SYSTEM, chan, WAIT, (&(const struct mechanism){.uri = __VA_ARGS__}), chan_prepare,     \
         chan_clear)
#define CHAN(B, SYSTEM, ...) CHAN_ROWS(B, SYSTEM, BENCH_SLEEP, __VA_ARGS__)
#define RING(B, SYSTEM, URI) CHAN_ROWS(B, SYSTEM, BENCH_ADAPTIVE, URI)
#define KERNEL(B, NAME) ROWS(B, #NAME, kernel, BENCH_SLEEP, &NAME, kernel_prepare, NULL)
/* Part of a stream of these would be lost. */
#define UDP(B, SYSTEM, NAME, ...) TRIPS(B, SYSTEM, NAME, __VA_ARGS__)
#define BARE(B, SYSTEM) ROWS(B, SYSTEM, bare, BENCH_ADAPTIVE, NULL, NULL, NULL)

/* clang-format off */
BENCH_GROUP(channel) = {
    SIZES(BARE, "raw_ring")
    SIZES(RING, "chan_ring", "ring:%s")
    SIZES(RING, "chan_auto", "auto:%s")
    SIZES(KERNEL, raw_pipe)
    SIZES(CHAN, "chan_pipe", "pipe:")
    SIZES(KERNEL, raw_fifo)
    SIZES(CHAN, "chan_fifo", "fifo:/dev/shm/%s", .one_way = 1)
    SIZES(KERNEL, raw_unix)
    SIZES(CHAN, "chan_unix", "unix:/dev/shm/%s")
    PACKET_SIZES(KERNEL, raw_unix_seq)
    PACKET_SIZES(CHAN, "chan_unix_seq", "unix-seq:/dev/shm/%s")
    PACKET_SIZES(KERNEL, raw_unix_dgram)
    PACKET_SIZES(CHAN, "chan_unix_dgram", "unix-dgram:/dev/shm/%s")
    SIZES(KERNEL, raw_tcp)
    SIZES(CHAN, "chan_tcp", "tcp:127.0.0.1:%s")
    SMALL_SIZES(KERNEL, raw_mq)
    SMALL_SIZES(CHAN, "chan_mq", "mq:%s", .one_way = 1)
    SMALL_SIZES(KERNEL, raw_sysv)
    SMALL_SIZES(CHAN, "chan_sysv", "sysv:%s")
    SMALL_SIZES(UDP, "raw_udp", kernel, &raw_udp, kernel_prepare, NULL)
    SMALL_SIZES(UDP, "chan_udp", chan, (&(const struct mechanism){.uri = "udp:127.0.0.1:%s"}), chan_prepare, chan_clear)
    SIZES(RING, "chan_sysvshm", "sysvshm:%s")
    KERNEL(8, raw_signal)
    CHAN(8, "chan_signal", "signal:%s", .one_way = 1)
    SIZES(KERNEL, raw_file)
    SIZES(CHAN, "chan_file", "file:/dev/shm/%s", .one_way = 1, .sender = 1)
    {.system = NULL}};
/* clang-format on */
