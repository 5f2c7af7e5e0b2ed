/*
 * What the tests with real processes share: checks for both sides of fork, processes that talk over
 * pipes, names in /dev/shm that start with IPC_TEST_PREFIX and a dash. A test first defines
 * LONG_MS, longer than any working call takes, and HANG_S, the most that a process lives.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef HARNESS_H
#define HARNESS_H

#include "ipc_shm.h"

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define UNABLE 77 /* exit status: the kernel does not permit it */

/* Under AddressSanitizer, and under an emulator, everything takes long: what only goes on for a while is shorter
 * by FLOOD. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
#define FLOOD(n) (SANITIZED || is_emulated() ? (n) / 4 : (n))

static char prefix[100];
static char name[150]; /* of this test's segment */

/* ------------------------------------------------------------------ checks, before and after fork
 */

static int in_child; /* a failure must then not longjmp into the parent's runner */

static inline void must_(int holds, const char *what, const char *detail, const char *file,
                         int line)
{
    if (holds)
        return;
    if (in_child) {
        dprintf(2, "child, %s:%d: %s %s\n", file, line, what, detail);
        _exit(1);
    }
    print_error("%s %s\n", what, detail);
    _fail(file, line);
}
#define MUST(condition) must_(!!(condition), #condition, "", __FILE__, __LINE__)

static inline void is_(int64_t got, int64_t want, const char *what, const char *file, int line)
{
    char detail[80];

    (void)snprintf(detail, sizeof detail, "is %lld, not %lld", (long long)got, (long long)want);
    must_(got == want, what, detail, file, line);
}
#define IS(call, want) is_((int64_t)(call), (int64_t)(want), #call, __FILE__, __LINE__)

/* Waits for what another process or the kernel is about to do. */
static inline int a_moment(int64_t until)
{
    struct timespec nap = {0, 20000};

    (void)nanosleep(&nap, NULL);
    return ipc_left_(until) > 0;
}
#define EVENTUALLY(condition)                                                                      \
    do {                                                                                           \
        int64_t until_ = ipc_in_ms(LONG_MS);                                                       \
        int was_;                                                                                  \
                                                                                                   \
        while (!(was_ = (condition) ? 1 : 0) && a_moment(until_))                                  \
            ;                                                                                      \
        must_(was_, #condition, "", __FILE__, __LINE__);                                           \
    } while (0)

#define SKIP_IF(condition, reason)                                                                 \
    do {                                                                                           \
        if (condition) {                                                                           \
            print_message("note: skipped: %s\n", reason);                                          \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

/* Does qemu-user run this program? It takes any advice, and follows none. */
static inline int is_emulated(void)
{
    return madvise(NULL, 0, -1) == 0;
}
#define NO_DONTFORK "qemu-user gives a child what MADV_DONTFORK should keep from it"
#define KEEPS_DESCRIPTORS "qemu-user leaves descriptors open for which the program has no room"
#define TRACES_NOBODY "qemu-user does not trace"
#define BLOCKS_NO_SIGNALS "qemu-user does not block for Linux what the program blocks"

/* Pages larger than this machine's: qemu-user 7.2 does not map a part of one again, as a child does. */
static inline int cannot_map_again(void)
{
    return is_emulated() && getpagesize() > 4096;
}

/* ------------------------------------------------------------------ what a test leaves */

/* How many of our names are in /dev/shm; removes them if asked. */
static inline unsigned names(int remove)
{
    DIR *d = opendir(IPC_SHM_DIR_);
    struct dirent *e;
    unsigned n = 0;

    MUST(d != NULL);
    while ((e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || e->d_name[strlen(prefix)] != '-')
            continue;
        n++;
        if (remove && unlinkat(dirfd(d), e->d_name, 0) != 0)
            (void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    }
    (void)closedir(d);
    return n;
}

static inline unsigned open_fds(void)
{
    unsigned n = 0;
    int fd;

    for (fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ------------------------------------------------------------------ processes */

struct child {
    pid_t pid;
    int to, from; /* pipes to and from the process on the other side */
};
typedef void body(struct child *up, void *arg);

static pid_t ours[256]; /* for clean_up after a failed test */

static inline void keep_in_mind(pid_t pid, pid_t instead_of)
{
    size_t i;

    for (i = 0; i < sizeof ours / sizeof *ours; i++)
        if (ours[i] == instead_of) {
            ours[i] = pid;
            return;
        }
    MUST(!"more children than expected");
}

/* To one that has ended: a failure, and no SIGPIPE. */
static inline void tell(const struct child *c, uint64_t word)
{
    void (*was)(int) = signal(SIGPIPE, SIG_IGN);
    ssize_t n = write(c->to, &word, sizeof word);

    (void)signal(SIGPIPE, was);
    MUST(n == (ssize_t)sizeof word);
}

static inline void hear_all(const struct child *c, void *what, size_t n)
{
    struct pollfd p = {c->from, POLLIN, 0};
    int64_t until = ipc_in_ms(LONG_MS);
    int rc;

    do
        rc = poll(&p, 1, 1000);
    while (ipc_left_(until) > 0 && (rc == 0 || (rc < 0 && errno == EINTR)));
    MUST(rc == 1);
    MUST(read(c->from, what, n) == (ssize_t)n);
}

static inline uint64_t hear(const struct child *c)
{
    uint64_t word;

    hear_all(c, &word, sizeof word);
    return word;
}

/* A child that outlives its parent. */
static inline void become_orphan(void)
{
    in_child = 1;
    (void)alarm(HANG_S);
}

static inline void become_child(void)
{
    become_orphan();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Runs f in a new process, which then ends with status 0. */
static inline struct child spawn(body *f, void *arg)
{
    struct child c, up;
    int down[2], back[2];

    MUST(pipe2(down, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0);
    up.pid = getpid();
    c.pid = fork();
    MUST(c.pid >= 0);
    if (c.pid == 0) {
        become_child();
        (void)close(down[1]);
        (void)close(back[0]);
        up.from = down[0];
        up.to = back[1];
        f(&up, arg);
        _exit(0);
    }
    (void)close(down[0]);
    (void)close(back[1]);
    c.to = down[1];
    c.from = back[0];
    if (!in_child)
        keep_in_mind(c.pid, 0);
    return c;
}

/* Forgets a child that has been waited for. */
static inline void forget(const struct child *c)
{
    if (!in_child)
        keep_in_mind(0, c->pid);
    (void)close(c->to);
    (void)close(c->from);
}

static inline int reap(const struct child *c)
{
    int status;

    MUST(waitpid(c->pid, &status, 0) == c->pid);
    forget(c);
    return status;
}

/* The exit status of a child that ended by itself. */
static inline int result(const struct child *c)
{
    int status = reap(c);

    MUST(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline void finish(const struct child *c)
{
    IS(result(c), 0);
}

static inline int run(body *f, void *arg)
{
    struct child c = spawn(f, arg);

    return result(&c);
}

/* Never signals a group, whatever went wrong before. */
static inline void signal_child(const struct child *c, int signal)
{
    MUST(c->pid > 1 && kill(c->pid, signal) == 0);
}

static inline void was_killed(const struct child *c)
{
    int status = reap(c);

    MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static inline void kill_child(const struct child *c)
{
    signal_child(c, SIGKILL);
    was_killed(c);
}

static inline void stop_child(const struct child *c)
{
    int status;

    signal_child(c, SIGSTOP);
    MUST(waitpid(c->pid, &status, WUNTRACED) == c->pid && WIFSTOPPED(status));
}

/* Is the process, or thread, inside a system call that waits? */
static inline int rests(pid_t tid)
{
    char text[300], *p;
    ssize_t n;
    int fd;

    (void)snprintf(text, sizeof text, "/proc/%ld/stat", (long)tid);
    fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    p = strrchr(text, ')');
    return p != NULL && p[1] == ' ' && p[2] == 'S';
}

static inline void wait_for_death(void)
{
    for (;;)
        (void)pause();
}

static inline void be_traced(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(UNABLE);
    (void)raise(SIGSTOP);
}

/* Runs f to its n-th stop before or after a system call and leaves it there. Returns 1; 0 if f
 * ended or reported something before that; -1 if tracing is not permitted. */
static inline int run_to(struct child *c, body *f, unsigned n)
{
    unsigned i = 0;
    int status, signal = 0;
    struct pollfd answer;

    *c = spawn(f, NULL);
    answer.fd = c->from;
    answer.events = POLLIN;
    MUST(waitpid(c->pid, &status, WUNTRACED) == c->pid);
    if (WIFEXITED(status)) {
        forget(c);
        MUST(WEXITSTATUS(status) == UNABLE);
        return -1;
    }
    MUST(ptrace(PTRACE_SETOPTIONS, c->pid, NULL,
                (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) == 0);
    while (i < n) {
        MUST(ptrace(PTRACE_SYSCALL, c->pid, NULL, (void *)(long)signal) == 0);
        MUST(waitpid(c->pid, &status, 0) == c->pid);
        if (!WIFSTOPPED(status)) {
            MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            forget(c);
            return 0;
        }
        signal = 0;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80))
            i++;
        else
            signal = WSTOPSIG(status);
        if (poll(&answer, 1, 0) == 1)
            return 0;
    }
    return 1;
}

static inline uint64_t runs_on(const struct child *c)
{
    MUST(ptrace(PTRACE_DETACH, c->pid, NULL, NULL) == 0);
    return hear(c);
}

/* Sends n descriptors and some bytes in ways that the library never does. */
static inline void send_raw(int socket, const void *bytes, size_t size, const int *fds, size_t n)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct msghdr message;
    struct cmsghdr *c;
    struct iovec io;

    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    io.iov_base = (void *)(uintptr_t)bytes;
    io.iov_len = size;
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    if (n > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    MUST(sendmsg(socket, &message, 0) == (ssize_t)size);
}

/* ------------------------------------------------------------------ fixtures */

/* Runs before all tests; argv may name those to run, with * and ?. */
static inline void set_up(int argc, char **argv)
{
    const char *given = getenv("IPC_TEST_PREFIX");

    if (given != NULL && *given != '\0')
        (void)snprintf(prefix, sizeof prefix, "%s", given);
    else
        (void)snprintf(prefix, sizeof prefix, "ipc-test-%ld", (long)getpid());
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
}

/* Runs before each test. */
static inline int next_name(void **state)
{
    static unsigned count;

    (void)state;
    (void)snprintf(name, sizeof name, "%s-%u", prefix, ++count);
    return 0;
}

/* Runs after each test. */
static inline int clean_up(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof ours / sizeof *ours; i++)
        if (ours[i] != 0) {
            (void)kill(ours[i], SIGKILL);
            (void)waitpid(ours[i], NULL, 0);
            ours[i] = 0;
        }
    (void)names(1);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, next_name, clean_up)

/* From now on fork does with this handle what it does under qemu-user: it wipes nothing, and copies
 * the lock of life. */
static inline void let_fork_copy_all(struct ipc_shm *seg)
{
    MUST(madvise(seg->life, seg->life_size, MADV_DOFORK) == 0 &&
         madvise(seg->mark, (size_t)getpagesize(), MADV_KEEPONFORK) == 0);
    seg->unwiped = 1;
    seg->self = ipc_shm_last_self_();
    seg->peer.self = &seg->mark[seg->self];
    seg->mark[0] = ipc_shm_this_process_(seg);
}

#endif /* HARNESS_H */
