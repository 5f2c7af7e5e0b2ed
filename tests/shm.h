/*
 * What the tests of ipc_shm.h share. Real processes and the real /dev/shm, under names that start with
 * IPC_TEST_PREFIX.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef SHM_H
#define SHM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_ring.h"
#include "ipc_shm.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#define RACERS 8u
#define REPEATS 30u
#define SOON_MS 10000
#define HEADER ((size_t)16384) /* bytes before the objects' memory */
#define TYPE 7u

struct two {
    uint64_t x[2];
};

IPC_RECORDS(lines)

static char other[200]; /* name of a second segment, beside this test's */

/* ------------------------------------------------------------------ checks */

static inline void done_(int rc, const struct ipc_shm *seg, const char *what, int line)
{
    char detail[500];

    (void)snprintf(detail, sizeof detail, "gave %d: %s", rc, rc == 0 ? "" : ipc_shm_why(seg));
    must_(rc == 0, what, detail, __FILE__, line);
}
#define DONE(call, seg) done_(call, seg, #call, __LINE__)

/* A refusal returns `expected`, and its reason contains `word`. */
static inline void refused_(int rc, int expected, const struct ipc_shm *seg, const char *word,
                            const char *what, int line)
{
    char detail[500];

    (void)snprintf(detail, sizeof detail, "gave %d, not %d; '%s' in '%s'", rc, expected, word,
                   rc < 0 ? ipc_shm_why(seg) : "");
    must_(rc == expected, what, detail, __FILE__, line);
    must_(ipc_shm_why(seg)[0] != '\0' && strstr(ipc_shm_why(seg), word) != NULL, what, detail,
          __FILE__, line);
}
#define REFUSED(call, expected, seg, word) refused_(call, expected, seg, word, #call, __LINE__)

/* ------------------------------------------------------------------ what is in /dev/shm */

static inline unsigned names_there(void)
{
    return names(0);
}

static inline const char *path_of(const char *segment)
{
    static char path[300];

    (void)snprintf(path, sizeof path, IPC_SHM_DIR_ "%s", segment);
    return path;
}

static inline struct stat stat_of(const char *segment)
{
    struct stat st;

    MUST(lstat(path_of(segment), &st) == 0);
    return st;
}

/* ------------------------------------------------------------------ fixtures */

static inline int before(void **state)
{
    (void)umask(022);
    (void)next_name(state);
    (void)snprintf(other, sizeof other, "%s-other", name);
    return 0;
}

static inline int after_all(void **state)
{
    (void)clean_up(state);
    return names_there() == 0 ? 0 : -1;
}

static const struct ipc_shm_options plain = IPC_SHM_DEFAULTS;

static inline struct ipc_shm_options with_flags(unsigned flags)
{
    struct ipc_shm_options how = plain;

    how.flags = flags;
    return how;
}

/* A published object with a word in it. */
static inline struct ipc_shm_object put(struct ipc_shm *seg, const char *object, const char *word)
{
    struct ipc_shm_object o;

    DONE(ipc_shm_make(seg, object, TYPE, 64, &o), seg);
    memcpy(o.mem, word, strlen(word));
    DONE(ipc_shm_publish(seg, &o), seg);
    return o;
}

static inline void expect_word(struct ipc_shm *seg, const char *object, const char *word)
{
    struct ipc_shm_object o;

    DONE(ipc_shm_find(seg, object, TYPE, &o), seg);
    MUST(memcmp(o.mem, word, strlen(word)) == 0);
}

static inline int all_zero(const void *mem, size_t n)
{
    const unsigned char *p = (const unsigned char *)mem;
    size_t i;

    for (i = 0; i < n; i++)
        if (p[i] != 0)
            return 0;
    return 1;
}

/* Creates the segment of *size bytes with the object "word", reports its id, and waits. */
static inline void creator(struct child *up, void *size)
{
    struct ipc_shm seg;

    DONE(ipc_shm_create(&seg, name, *(size_t *)size), &seg);
    put(&seg, "word", "remains");
    tell(up, seg.peer.id);
    (void)hear(up);
    ipc_shm_close(&seg);
}

/* Opens the segment, reports its id, closes the segment on order, reports that, and waits. */
static inline void opener(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)arg;
    DONE(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), &seg);
    tell(up, seg.peer.id);
    (void)hear(up);
    ipc_shm_close(&seg);
    tell(up, 0);
    wait_for_death();
}

static inline void make_file(const char *segment, const void *bytes, size_t n)
{
    int fd = open(path_of(segment), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    MUST(fd >= 0);
    MUST(write(fd, bytes, n) == (ssize_t)n);
    (void)close(fd);
}

/* ------------------------------------------------------------------ refusals */

static inline int has_ended(pid_t pid)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Returns 1 if the child ended by itself with status 0; else kills it. For children that need
 * microseconds, or hang. */
static inline int ends_soon(struct child *c)
{
    int64_t until = ipc_in_ms(SOON_MS);

    while (!has_ended(c->pid) && a_moment(until))
        ;
    if (has_ended(c->pid))
        return result(c) == 0;
    kill_child(c);
    return 0;
}

/* ------------------------------------------------------------------ owners and modes */

/* For good: the process is another user afterwards. */
static inline void become_user(uid_t uid, gid_t group)
{
    MUST(setgroups(1, &group) == 0 && setgid(uid) == 0 && setuid(uid) == 0);
}

/* Every call that would open the segment refuses it at once, and only unlink removes it. */
static inline void expect_refusal(int expected, const char *word)
{
    struct ipc_shm seg;
    unsigned fds = open_fds();

    REFUSED(ipc_shm_open(&seg, name, IPC_FOREVER), expected, &seg, word);
    REFUSED(ipc_shm_create(&seg, name, 4096), expected, &seg, word);
    REFUSED(ipc_shm_open_or_create(&seg, name, 4096, NULL), expected, &seg, word);
    MUST(open_fds() == fds);
    MUST(names_there() >= 1);
}

/* ------------------------------------------------------------------ races */

struct answer {
    int rc, created;
    uint64_t a, b;
};
typedef void act(struct ipc_shm *seg, unsigned i, struct answer *a);

struct race {
    act *prepare, *act; /* before and after the start */
    int gate[2];
    unsigned i;
    struct child child[RACERS];
    struct answer answer[RACERS];
};

static inline void racer(struct child *up, void *arg)
{
    struct race *r = (struct race *)arg;
    struct answer a;
    struct ipc_shm seg;
    unsigned i = r->i;
    char c;

    (void)close(r->gate[1]);
    memset(&a, 0, sizeof a);
    if (r->prepare != NULL)
        r->prepare(&seg, i, &a);
    tell(up, 0);
    MUST(read(r->gate[0], &c, 1) == 0);
    r->act(&seg, i, &a);
    MUST(write(up->to, &a, sizeof a) == (ssize_t)sizeof a);
    (void)hear(up); /* stays alive: a dead winner would be replaced */
}

/* Starts all racers at once; they live until race_ends. */
static inline void race_starts(struct race *r, act *prepare, act *action)
{
    r->prepare = prepare;
    r->act = action;
    MUST(pipe2(r->gate, O_CLOEXEC) == 0);
    for (r->i = 0; r->i < RACERS; r->i++)
        r->child[r->i] = spawn(racer, r);
    for (r->i = 0; r->i < RACERS; r->i++)
        (void)hear(&r->child[r->i]);
    (void)close(r->gate[0]);
    (void)close(r->gate[1]);
    for (r->i = 0; r->i < RACERS; r->i++)
        hear_all(&r->child[r->i], &r->answer[r->i], sizeof r->answer[r->i]);
}

static inline void race_ends(struct race *r)
{
    unsigned i;

    for (i = 0; i < RACERS; i++)
        tell(&r->child[i], 0);
    for (i = 0; i < RACERS; i++)
        finish(&r->child[i]);
}

/* How many racers gave this answer; created: -1 for any. */
static inline unsigned answers(const struct race *r, int rc, int created)
{
    unsigned i, n = 0;

    for (i = 0; i < RACERS; i++)
        n += r->answer[i].rc == rc && (created < 0 || r->answer[i].created == created);
    return n;
}

/* ------------------------------------------------------------------ members */

struct asks {
    struct ipc_shm *seg;
    pthread_barrier_t *start;
    uint64_t id;
};

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, before, clean_up)

#endif /* SHM_H */
