/*
 * What the tests of channels share: the mechanisms, one row for each, and messages that are checked.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/time.h>

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

/* ------------------------------------------------------------------ the mechanisms */

/* What a mechanism is. */
#define TELLS 1u      /* reports that the other side is gone */
#define FRAMED 2u     /* runs on a stream of bytes */
#define FILLS 4u      /* a sender can find it full */
#define SENDER 8u     /* the sender listens, else the receiver */
#define BINDS 16u     /* a second listener is refused */
#define BOTH 32u      /* both directions */
#define PATH 64u      /* has a file with a mode */
#define KEEPS 128u    /* keeps messages while nobody is attached */
#define ACCEPTS 1024u /* accepts several clients */
#define RING 512u     /* is shared memory */
#define MEETS 256u    /* meets a successor after a peer is gone */

struct row {
    const char *scheme;
    unsigned is;
};

static const struct row rows[] = {
    {"ring", TELLS | FILLS | BOTH | BINDS | PATH | MEETS | KEEPS | RING},
    {"auto", ACCEPTS | TELLS | FILLS | BOTH | BINDS | MEETS | RING},
    {"auto-", ACCEPTS | TELLS | FILLS | BOTH | BINDS | MEETS | RING},
    {"sysvshm", TELLS | FILLS | BOTH | BINDS | PATH | MEETS | KEEPS | RING},
    {"pipe", TELLS | FRAMED | FILLS | BOTH},
    {"fifo", TELLS | FRAMED | FILLS | PATH | MEETS},
    {"unix", ACCEPTS | TELLS | FRAMED | FILLS | BOTH | BINDS | PATH | MEETS},
    {"unix@", ACCEPTS | TELLS | FRAMED | FILLS | BOTH | BINDS | MEETS},
    {"unix-seq", ACCEPTS | TELLS | FILLS | BOTH | BINDS | PATH | MEETS},
    {"unix-dgram", FILLS | BOTH | BINDS | PATH},
    {"tcp", ACCEPTS | TELLS | FRAMED | FILLS | BOTH | BINDS | MEETS},
    {"tcp6", ACCEPTS | TELLS | FRAMED | FILLS | BOTH | BINDS | MEETS},
    {"udp", BOTH | BINDS},
    {"udp6", BOTH | BINDS},
    {"mq", FILLS | PATH | KEEPS},
    {"sysv", FILLS | PATH | KEEPS},
    {"file", SENDER | PATH | KEEPS | BINDS},
    {"signal", FILLS | KEEPS},
};

static const struct row *row;
static char uri[200];
static struct ipc_channel ch;
static unsigned fds_before;
static char *scratch; /* 2 MB */
static size_t ring_max; /* options.max of rings; 0: the default, 8 MB of memory to be cleared */

#define NAMED(what) (strcmp(row->scheme, what) == 0)

/* A number of this test's own, for mechanisms without names. */
static inline uint32_t number_of(const char *text)
{
    uint32_t h = 2166136261u;

    while (*text != '\0')
        h = (h ^ (unsigned char)*text++) * 16777619u;
    return (h & 0x7fffffff) | 1;
}

static inline int free_port(int family)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;
    socklen_t size = sizeof a;
    int fd = socket(family, SOCK_STREAM, 0);

    memset(&a, 0, sizeof a);
    a.any.sa_family = (sa_family_t)family;
    MUST(fd >= 0 && bind(fd, &a.any, sizeof a) == 0 && getsockname(fd, &a.any, &size) == 0);
    (void)close(fd);
    return ntohs(family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
}

/* Makes this test's URI for this row. */
static inline void choose(const struct row *r)
{
    struct rlimit small = {100000, RLIM_INFINITY};

    row = r;
    next_name(NULL);
    /* No segment is that small, so the channel stays on the socket. */
    small.rlim_cur = NAMED("auto-") ? small.rlim_cur : RLIM_INFINITY;
    MUST(setrlimit(RLIMIT_FSIZE, &small) == 0);
    if (NAMED("unix@"))
        (void)snprintf(uri, sizeof uri, "unix:@%s", name);
    else if (NAMED("tcp6") || NAMED("udp6"))
        (void)snprintf(uri, sizeof uri, "%.3s:[::1]:%d", row->scheme, free_port(AF_INET6));
    else if (NAMED("tcp") || NAMED("udp"))
        (void)snprintf(uri, sizeof uri, "%s:127.0.0.1:%d", row->scheme, free_port(AF_INET));
    else if (NAMED("mq"))
        (void)snprintf(uri, sizeof uri, "mq:%s", name);
    else if (NAMED("sysv") || NAMED("sysvshm"))
        (void)snprintf(uri, sizeof uri, "%s:%u", row->scheme, number_of(name));
    else if (NAMED("signal"))
        (void)snprintf(uri, sizeof uri, "signal:%ld", (long)getpid());
    else if (NAMED("pipe"))
        (void)snprintf(uri, sizeof uri, "pipe:");
    else if (NAMED("auto") || NAMED("auto-"))
        (void)snprintf(uri, sizeof uri, "auto:%s", name);
    else if (NAMED("ring"))
        (void)snprintf(uri, sizeof uri, "ring:%s", name);
    else
        (void)snprintf(uri, sizeof uri, "%s:/dev/shm/%s", row->scheme, name);
}

static inline const struct row *row_of(const char *scheme)
{
    const struct row *r = rows;

    while (strcmp(r->scheme, scheme) != 0)
        r++;
    return r;
}

#define EACH_ROW(with)                                                                             \
    for (size_t at_ = 0; at_ < sizeof rows / sizeof *rows; at_++)                                  \
        if ((rows[at_].is & (with)) == (with) && (choose(&rows[at_]), 1))

static inline unsigned listens(unsigned role)
{
    unsigned who = (row->is & SENDER) != 0 ? IPC_SEND : IPC_RECV;

    return role | ((role & who) != 0 ? IPC_LISTEN : 0u);
}

static inline void open_as(unsigned role)
{
    struct ipc_channel_options how;
    int rc;

    if (NAMED("pipe") && in_child) /* inherited by fork */
        return;
    memset(&how, 0, sizeof how);
    how.max = (row->is & RING) != 0 ? ring_max : 0;
    rc = ipc_channel_open_with(&ch, uri, role, ipc_in_ms(LONG_MS), &how);
    must_(rc == 0, uri, ipc_channel_why(&ch), __FILE__, __LINE__);
}

static inline void over(void)
{
    ipc_channel_close(&ch);
    (void)ipc_channel_unlink(uri);
}

static inline size_t largest(void)
{
    struct ipc_channel_facts facts;

    IS(ipc_channel_info(&ch, &facts), 0);
    return facts.max < 300000 ? facts.max : 300000;
}

static inline size_t next_length(void)
{
    struct ipc_channel_facts facts;

    IS(ipc_channel_info(&ch, &facts), 0);
    return facts.next;
}

static inline const char *becomes(void)
{
    struct ipc_channel_facts facts;

    IS(ipc_channel_info(&ch, &facts), 0);
    return facts.mechanism;
}

/* ------------------------------------------------------------------ messages */

static inline size_t length_of(uint64_t i, size_t most)
{
    uint64_t h = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

    if (i == 1 || i == 3)
        return most;
    if (i % 5 == 0)
        return 0;
    return (size_t)((h >> 33) % ((i % 7 == 0 ? most : most < 200 ? most : 200) + 1));
}

static inline void fill(char *to, uint64_t i, size_t n)
{
    size_t k;

    for (k = 0; k < n; k++)
        to[k] = (char)(i * 31 + k * 7 + (k >> 8));
}

static inline void send_one(uint64_t i, size_t n)
{
    int rc;

    fill(scratch, i, n);
    rc = ipc_channel_send(&ch, scratch, n, ipc_in_ms(LONG_MS));
    must_(rc == 0, uri, ipc_channel_why(&ch), __FILE__, __LINE__);
}

static inline void check_one(uint64_t i, size_t n, int64_t got)
{
    static char want[1 << 20];

    is_(got, (int64_t)n, uri, __FILE__, __LINE__);
    fill(want, i, n);
    must_(memcmp(scratch, want, n) == 0, uri, "another message", __FILE__, __LINE__);
}

static inline void recv_one(uint64_t i, size_t n)
{
    check_one(i, n, ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS)));
}

/* ------------------------------------------------------------------ over every mechanism */

enum { MANY = 300 };

/* The error that reports the end of the other side. */
static inline int gone(int killed)
{
    return killed && (NAMED("ring") || NAMED("sysvshm")) ? -EOWNERDEAD : -EPIPE;
}

static inline void sends_until_told(struct child *up, void *arg)
{
    struct pollfd p = {up->from, POLLIN, 0};
    uint64_t i = 0;

    (void)arg;
    open_as(listens(IPC_SEND));
    while (poll(&p, 1, 0) == 0) {
        fill(scratch, i, 8);
        i += ipc_channel_send(&ch, scratch, 8, ipc_in_ms(10)) == 0;
    }
    (void)hear(up);
    tell(up, i);
    (void)hear(up);
    (void)hear(up);
}

/* ------------------------------------------------------------------ what a test leaves */

static inline void goes(const char *what, const char *path)
{
    struct stat st;

    MUST(lstat(path, &st) == 0);
    is_(ipc_channel_unlink(what), 0, what, __FILE__, __LINE__);
    MUST(lstat(path, &st) != 0 && errno == ENOENT);
    is_(ipc_channel_unlink(what), -ENOENT, what, __FILE__, __LINE__);
}

/* Removes the folder and what is in it: files and empty folders. */
static inline void remove_folder(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL)
        if (unlinkat(dirfd(d), e->d_name, 0) != 0)
            (void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    (void)closedir(d);
    (void)rmdir(path);
}

/* ------------------------------------------------------------------ fixtures */

static inline int before(void **state)
{
    fds_before = open_fds();
    ring_max = 30000;
    return next_name(state);
}

/* A test that passes must leave no descriptor open. */
static inline void runs(void **state)
{
    ((void (*)(void **))(uintptr_t)*state)(state);
    IS(open_fds(), fds_before);
}

/* Removes names outside /dev/shm, and folders. They would outlive a test, also one that a signal
 * ends. */
static inline void remove_names(void)
{
    unsigned i;

    for (i = 1; i < 2000; i++) {
        char text[150];

        (void)snprintf(uri, sizeof uri, "/dev/shm/%s-%u", prefix, i);
        remove_folder(uri);
        (void)snprintf(text, sizeof text, "%s-%u", prefix, i);
        (void)snprintf(uri, sizeof uri, "sysv:%u", number_of(text));
        (void)ipc_channel_unlink(uri);
        /* Also if it is not a channel's. */
        (void)shmctl(shmget((key_t)number_of(text), 0, 0), IPC_RMID, NULL);
        (void)semctl(semget((key_t)number_of(text), 0, 0), 0, IPC_RMID);
        (void)snprintf(uri, sizeof uri, "mq:%s", text);
        (void)ipc_channel_unlink(uri);
    }
}

static inline void leave_someone_behind(void)
{
    int fds[2];
    char byte;

    MUST(pipe(fds) == 0 && fcntl(fds[1], F_SETFD, FD_CLOEXEC) == 0);
    if (fork() == 0) {
        char *given = getenv("IPC_TEST_PREFIX");

        (void)setsid();
        if (given != NULL) /* by which tests/run finds the processes to end */
            memset(given, 'x', strlen(given));
        (void)close(fds[1]);
        while (read(fds[0], &byte, 1) < 0)
            ;
        remove_names();
        _exit(0);
    }
    (void)close(fds[0]);
}

#undef TEST
#define TEST(f)                                                                                    \
    {                                                                                              \
#f, runs, before, clean_up, (void *)(uintptr_t)f                                           \
    }

/* Runs before all tests. */
static inline void prepare(int argc, char **argv)
{
    sigset_t set;

    set_up(argc, argv);
    leave_someone_behind();
    scratch = malloc(2 << 20);
    MUST(scratch != NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN); /* for signal: */
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

#endif /* CHANNEL_H */
