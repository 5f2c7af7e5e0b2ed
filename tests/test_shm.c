/*
 * Tests of ipc_shm.h: whole segments, proofs of life and death, objects, refusals, races, and a
 * kill at every system call. Real processes and the real /dev/shm, under names that start with
 * IPC_TEST_PREFIX.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

/* See fallocate_of_an_old_kernel. */
#define posix_fallocate fallocate_of_an_old_kernel

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

/* Under AddressSanitizer mlock does nothing and succeeds. */
#if defined(__SANITIZE_ADDRESS__)
#define MLOCK_IS_A_DUMMY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MLOCK_IS_A_DUMMY 1
#endif
#endif
#ifndef MLOCK_IS_A_DUMMY
#define MLOCK_IS_A_DUMMY 0
#endif

struct small {
    uint64_t x;
};
struct big {
    uint64_t x[5];
};
IPC_SPSC(small_ring, struct small)
IPC_SPSC(big_ring, struct big)
struct two {
    uint64_t x[2];
};
struct three {
    uint64_t x[3];
};
IPC_SPSC(twos, struct two)
IPC_SPSC(threes, struct three)
IPC_SPSC(small_ring_2, struct small, 2)
IPC_SPSC(small_ring_3, struct small, 3)
IPC_MPMC(workers_2, struct small, 2)
IPC_MPMC(workers_3, struct small, 3)
IPC_BROADCAST(feed, struct small)
IPC_BROADCAST(feed_3, struct small, 3)
IPC_STREAM(samples_2, float, 2)
IPC_STREAM(samples_3, float, 3)
IPC_CALL(adder_2, struct small, int, 2)
IPC_CALL(adder, struct small, int)
IPC_RECORDS(lines)

static char other[200]; /* name of a second segment, beside this test's */

/* ------------------------------------------------------------------ checks */

static void done_(int rc, const struct ipc_shm *seg, const char *what, int line)
{
    char detail[400];

    (void)snprintf(detail, sizeof detail, "gave %d: %s", rc, rc == 0 ? "" : ipc_shm_why(seg));
    must_(rc == 0, what, detail, __FILE__, line);
}
#define DONE(call, seg) done_(call, seg, #call, __LINE__)

/* A refusal returns `expected`, and its reason contains `word`. */
static void refused_(int rc, int expected, const struct ipc_shm *seg, const char *word,
                     const char *what, int line)
{
    char detail[400];

    (void)snprintf(detail, sizeof detail, "gave %d, not %d; '%s' in '%s'", rc, expected, word,
                   rc < 0 ? ipc_shm_why(seg) : "");
    must_(rc == expected, what, detail, __FILE__, line);
    must_(ipc_shm_why(seg)[0] != '\0' && strstr(ipc_shm_why(seg), word) != NULL, what, detail,
          __FILE__, line);
}
#define REFUSED(call, expected, seg, word) refused_(call, expected, seg, word, #call, __LINE__)

/* ------------------------------------------------------------------ what is in /dev/shm */

static unsigned names_there(void)
{
    return names(0);
}

static const char *path_of(const char *segment)
{
    static char path[300];

    (void)snprintf(path, sizeof path, IPC_SHM_DIR_ "%s", segment);
    return path;
}

static struct stat stat_of(const char *segment)
{
    struct stat st;

    MUST(lstat(path_of(segment), &st) == 0);
    return st;
}

/* The raw header of a segment, as a peer that breaks the rules sees it. */
static struct ipc_shm_header_ *map_header(const char *segment)
{
    int fd = open(path_of(segment), O_RDWR | O_CLOEXEC);
    void *h;

    MUST(fd >= 0);
    h = mmap(NULL, HEADER, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(h != MAP_FAILED);
    (void)close(fd);
    return (struct ipc_shm_header_ *)h;
}

/* ------------------------------------------------------------------ processes */

static void holds_still(struct child *up, void *arg)
{
    (void)up;
    (void)arg;
    wait_for_death();
}

/* Random numbers, the same in each run. */
static uint64_t chance(void)
{
    static uint64_t x = 0x9e3779b97f4a7c15u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x * 0x2545f4914f6cdd1du;
}

/* ------------------------------------------------------------------ fixtures */

static int before(void **state)
{
    (void)umask(022);
    (void)next_name(state);
    (void)snprintf(other, sizeof other, "%s-other", name);
    return 0;
}

static int after_all(void **state)
{
    (void)clean_up(state);
    return names_there() == 0 ? 0 : -1;
}

static const struct ipc_shm_options plain = IPC_SHM_DEFAULTS;

static struct ipc_shm_options with_flags(unsigned flags)
{
    struct ipc_shm_options how = plain;

    how.flags = flags;
    return how;
}

/* A published object with a word in it. */
static struct ipc_shm_object put(struct ipc_shm *seg, const char *object, const char *word)
{
    struct ipc_shm_object o;

    DONE(ipc_shm_make(seg, object, TYPE, 64, &o), seg);
    memcpy(o.mem, word, strlen(word));
    DONE(ipc_shm_publish(seg, &o), seg);
    return o;
}

static void expect_word(struct ipc_shm *seg, const char *object, const char *word)
{
    struct ipc_shm_object o;

    DONE(ipc_shm_find(seg, object, TYPE, &o), seg);
    MUST(memcmp(o.mem, word, strlen(word)) == 0);
}

static int all_zero(const void *mem, size_t n)
{
    const unsigned char *p = (const unsigned char *)mem;
    size_t i;

    for (i = 0; i < n; i++)
        if (p[i] != 0)
            return 0;
    return 1;
}

/* Creates the segment of *size bytes with the object "word", reports its id, and waits. */
static void creator(struct child *up, void *size)
{
    struct ipc_shm seg;

    DONE(ipc_shm_create(&seg, name, *(size_t *)size), &seg);
    put(&seg, "word", "remains");
    tell(up, seg.peer.id);
    (void)hear(up);
    ipc_shm_close(&seg);
}

/* Opens the segment, reports its id, closes the segment on order, reports that, and waits. */
static void opener(struct child *up, void *arg)
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

/* Leaves what a killed creator leaves. */
static void leave_remains(size_t size)
{
    struct child c = spawn(creator, &size);

    (void)hear(&c);
    kill_child(&c);
}

static void make_file(const char *segment, const void *bytes, size_t n)
{
    int fd = open(path_of(segment), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    MUST(fd >= 0);
    MUST(write(fd, bytes, n) == (ssize_t)n);
    (void)close(fd);
}

/* ------------------------------------------------------------------ create, open, close, unlink */

static void create_then_open_finds_it(void **state)
{
    struct ipc_shm made, opened;

    (void)state;
    DONE(ipc_shm_create(&made, name, 4096), &made);
    MUST(made.created == 1 && made.peer.id != 0 && made.size >= HEADER + 4096);
    put(&made, "word", "hello");
    DONE(ipc_shm_open(&opened, name, IPC_NOW), &opened);
    MUST(opened.created == 0 && opened.peer.id != 0 && opened.peer.id != made.peer.id);
    MUST(opened.base != made.base && opened.size == made.size);
    expect_word(&opened, "word", "hello");
    ipc_shm_close(&opened);
    ipc_shm_close(&made);
    MUST(names_there() == 1);
    MUST(ipc_shm_unlink(name) == 0);
    MUST(names_there() == 0);
    REFUSED(ipc_shm_open(&opened, name, IPC_NOW), -ENOENT, &opened, name);
    MUST(ipc_shm_unlink(name) == -ENOENT);
}

static void close_twice_and_close_of_a_refused_handle_do_nothing(void **state)
{
    struct ipc_shm seg, no;
    struct ipc_shm_object o;
    unsigned fds = open_fds();

    (void)state;
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    REFUSED(ipc_shm_create(&no, name, 64), -EEXIST, &no, name);
    memset(&o, 0, sizeof o);
    IS(ipc_shm_publish(&no, &o), -EINVAL);
    ipc_shm_close(&no);
    ipc_shm_close(&no);
    REFUSED(ipc_shm_open(&no, other, IPC_NOW), -ENOENT, &no, other);
    ipc_shm_close(&no);
    REFUSED(ipc_shm_create(&no, "", 64), -EINVAL, &no, "name");
    ipc_shm_close(&no);
    ipc_shm_close(&seg);
    MUST(open_fds() == fds);
    MUST(open(IPC_SHM_DIR_, O_RDONLY | O_CLOEXEC) >= 0); /* takes the freed number */
    ipc_shm_close(&seg);
    MUST(open_fds() == fds + 1);
}

static void unlinked_segment_stays_for_who_has_it(void **state)
{
    struct ipc_shm made, opened, next;

    (void)state;
    DONE(ipc_shm_create(&made, name, 4096), &made);
    DONE(ipc_shm_open(&opened, name, IPC_NOW), &opened);
    MUST(ipc_shm_unlink(name) == 0);
    put(&made, "word", "still");
    expect_word(&opened, "word", "still");
    DONE(ipc_shm_create(&next, name, 4096), &next);
    MUST(next.created == 1);
    MUST(ipc_shm_unlink(NULL) == -EINVAL);
    ipc_shm_close(&made);
    ipc_shm_close(&opened);
    ipc_shm_close(&next);
}

static void memory_is_zeroed_aligned_and_usable_to_the_last_byte(void **state)
{
    static const size_t sizes[] = {1, 63, 64, 65, 4095, 4096, 4097, 100000, 1 << 20, 3000001};
    struct ipc_shm made, opened;
    struct ipc_shm_object o, found;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        DONE(ipc_shm_create(&made, name, sizes[i]), &made);
        DONE(ipc_shm_make(&made, "all", TYPE, sizes[i], &o), &made);
        MUST(o.size == sizes[i] && (uintptr_t)o.mem % 64 == 0 && all_zero(o.mem, o.size));
        memset(o.mem, 0xa5, o.size);
        DONE(ipc_shm_publish(&made, &o), &made);
        DONE(ipc_shm_open(&opened, name, IPC_NOW), &opened);
        DONE(ipc_shm_find(&opened, "all", TYPE, &found), &opened);
        MUST(found.size == sizes[i] && memcmp(found.mem, o.mem, o.size) == 0);
        REFUSED(ipc_shm_make(&made, "more", TYPE, 4096 + 64, &o), -ENOSPC, &made, "4160");
        ipc_shm_close(&opened);
        ipc_shm_close(&made);
        MUST(ipc_shm_unlink(name) == 0);
    }
    print_message("%zu sizes from %zu to %zu bytes\n", i, sizes[0], sizes[i - 1]);
}

static void descriptor_is_closed_on_exec(void **state)
{
    struct ipc_shm seg, nameless;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    MUST(fcntl(seg.fd, F_GETFD) & FD_CLOEXEC);
    ipc_shm_close(&seg);
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    MUST(seg.created == 2 && fcntl(seg.fd, F_GETFD) & FD_CLOEXEC);
    DONE(ipc_shm_create(&nameless, NULL, 64), &nameless);
    MUST(fcntl(nameless.fd, F_GETFD) & FD_CLOEXEC);
    ipc_shm_close(&nameless);
    DONE(ipc_shm_open(&nameless, name, IPC_NOW), &nameless);
    MUST(fcntl(nameless.fd, F_GETFD) & FD_CLOEXEC);
    ipc_shm_close(&nameless);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ refusals */

static void bad_names_are_refused(void **state)
{
    static const char *const bad[] = {"", ".", "..", "a/", "/a", "/", "a/..", "./."};
    char longest[257];
    struct ipc_shm seg;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        REFUSED(ipc_shm_create(&seg, bad[i], 64), -EINVAL, &seg, bad[i]);
        REFUSED(ipc_shm_open(&seg, bad[i], IPC_FOREVER), -EINVAL, &seg, bad[i]);
        MUST(ipc_shm_unlink(bad[i]) == -EINVAL);
    }
    REFUSED(ipc_shm_open(&seg, NULL, IPC_NOW), -EINVAL, &seg, "name");
    memset(longest, 'x', sizeof longest);
    memcpy(longest, prefix, strlen(prefix));
    longest[strlen(prefix)] = '-';
    longest[256] = '\0';
    REFUSED(ipc_shm_create(&seg, longest, 64), -ENAMETOOLONG, &seg, "256");
    REFUSED(ipc_shm_open(&seg, longest, IPC_FOREVER), -ENAMETOOLONG, &seg, "256");
    MUST(ipc_shm_unlink(longest) == -ENAMETOOLONG);
    longest[255] = '\0';
    DONE(ipc_shm_create(&seg, longest, 64), &seg);
    ipc_shm_close(&seg);
    MUST(ipc_shm_unlink(longest) == 0);
}

static void impossible_sizes_are_refused(void **state)
{
    static const size_t huge[] = {SIZE_MAX,     SIZE_MAX - 20000,     SIZE_MAX / 2 + 1,
                                  SIZE_MAX / 2, SIZE_MAX / 2 - 16384, SIZE_MAX / 4};
    struct ipc_shm seg;
    size_t i;
    int rc;

    (void)state;
    REFUSED(ipc_shm_create(&seg, name, 0), -EINVAL, &seg, "0");
    REFUSED(ipc_shm_create(&seg, NULL, 0), -EINVAL, &seg, "0");
    for (i = 0; i < sizeof huge / sizeof *huge - (sizeof i < 8); i++) { /* 1 GiB is possible */
        rc = ipc_shm_create(&seg, name, huge[i]);
        MUST(rc == -EFBIG || rc == -ENOMEM || rc == -ENOSPC);
        MUST(ipc_shm_why(&seg)[0] != '\0');
        MUST(names_there() == 0);
    }
    if (sizeof(size_t) == 8) /* mmap has no room for this size, so it is never allocated */
        REFUSED(ipc_shm_create(&seg, NULL, (size_t)1 << 52), -ENOSPC, &seg, "free");
}

static void taken_name_is_refused_while_its_creator_lives(void **state)
{
    size_t size = 4096;
    struct child c = spawn(creator, &size);
    struct ipc_shm_options fresh = with_flags(IPC_SHM_FRESH);
    struct ipc_shm seg;

    (void)state;
    (void)hear(&c);
    REFUSED(ipc_shm_create(&seg, name, size), -EEXIST, &seg, name);
    REFUSED(ipc_shm_create(&seg, name, 2 * size), -EEXIST, &seg, name);
    REFUSED(ipc_shm_create_with(&seg, name, size, &fresh), -EEXIST, &seg, name);
    stop_child(&c);
    REFUSED(ipc_shm_create(&seg, name, size), -EEXIST, &seg, name);
    REFUSED(ipc_shm_create_with(&seg, name, size, &fresh), -EEXIST, &seg, name);
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    expect_word(&seg, "word", "remains");
    ipc_shm_close(&seg);
    kill_child(&c);
}

static void absent_segment_is_refused_at_the_deadline(void **state)
{
    struct ipc_shm seg;

    (void)state;
    REFUSED(ipc_shm_open(&seg, name, IPC_NOW), -ENOENT, &seg, name);
    REFUSED(ipc_shm_open(&seg, name, ipc_in_ms(20)), -ETIMEDOUT, &seg, name);
    REFUSED(ipc_shm_open(&seg, name, ipc_clock() - 1), -ETIMEDOUT, &seg, name);
    REFUSED(ipc_shm_open(&seg, name, 1000), -EINVAL, &seg, "1000 ns is no deadline");
    REFUSED(ipc_shm_open(&seg, name, -1), -EINVAL, &seg, "ipc_in_ms");
    REFUSED(ipc_shm_recv(&seg, -1, 1000), -EINVAL, &seg, "ipc_in_ms");
}

static int has_ended(pid_t pid)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Returns 1 if the child ended by itself with status 0; else kills it. For children that need
 * microseconds, or hang. */
static int ends_soon(struct child *c)
{
    int64_t until = ipc_in_ms(SOON_MS);

    while (!has_ended(c->pid) && a_moment(until))
        ;
    if (has_ended(c->pid))
        return result(c) == 0;
    kill_child(c);
    return 0;
}

static void opens_until_the_earliest_deadline(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    REFUSED(ipc_shm_open(&seg, name, INT64_MIN), -EINVAL, &seg, "no deadline");
}

/* Deadline minus now must not overflow. */
static void a_deadline_that_is_no_time_is_refused(void **state)
{
    struct child c = spawn(opens_until_the_earliest_deadline, NULL);

    (void)state;
    MUST(ends_soon(&c));
}

static void creates_when_told(struct child *up, void *arg)
{
    struct ipc_shm seg;
    struct ipc_shm_object o;

    (void)arg;
    (void)hear(up);
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    DONE(ipc_shm_make(&seg, "word", TYPE, 64, &o), &seg);
    tell(up, 0);
    (void)hear(up);
    memcpy(o.mem, "late", 4);
    DONE(ipc_shm_publish(&seg, &o), &seg);
    (void)hear(up);
    ipc_shm_close(&seg);
}

static void open_and_find_wait_for_who_comes_later(void **state)
{
    struct child c = spawn(creates_when_told, NULL);
    struct ipc_shm seg;
    struct ipc_shm_object o;

    (void)state;
    REFUSED(ipc_shm_open(&seg, name, IPC_NOW), -ENOENT, &seg, name);
    tell(&c, 0);
    DONE(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), &seg);
    (void)hear(&c);
    seg.deadline = IPC_NOW; /* for this look only */
    REFUSED(ipc_shm_find(&seg, "word", TYPE, &o), -ENOENT, &seg, "word");
    seg.deadline = ipc_in_ms(20);
    REFUSED(ipc_shm_find(&seg, "word", TYPE, &o), -ETIMEDOUT, &seg, "word");
    seg.deadline = ipc_in_ms(LONG_MS);
    tell(&c, 0);
    expect_word(&seg, "word", "late");
    tell(&c, 0);
    finish(&c);
    ipc_shm_close(&seg);
}

static void takes_a_signal(int number)
{
    (void)number;
}

/* Waits for what never comes: 0 a segment, 1 an object, 2 a segment over a socket. */
static void waits_for_ever(struct child *up, void *arg)
{
    struct sigaction handle;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    int pair[2], what = *(const int *)arg;

    memset(&handle, 0, sizeof handle);
    handle.sa_handler = takes_a_signal;
    handle.sa_flags = SA_RESTART; /* naps and poll are not restarted all the same */
    MUST(sigaction(SIGUSR1, &handle, NULL) == 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    if (what == 1)
        DONE(ipc_shm_open(&seg, name, IPC_FOREVER), &seg);
    tell(up, 0);
    if (what == 0)
        REFUSED(ipc_shm_open(&seg, "ipc-test-never", IPC_FOREVER), -EINTR, &seg, "signal");
    else if (what == 1)
        REFUSED(ipc_shm_find(&seg, "never", TYPE, &o), -EINTR, &seg, "signal");
    else
        REFUSED(ipc_shm_recv(&seg, pair[0], IPC_FOREVER), -EINTR, &seg, "no segment came");
}

static void a_signal_ends_each_wait(void **state)
{
    struct ipc_shm seg;
    struct child c;
    int what;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    for (what = 0; what < 3; what++) {
        c = spawn(waits_for_ever, &what);
        (void)hear(&c);
        /* Again and again, as one between a look and the nap after it ends nothing. */
        EVENTUALLY((has_ended(c.pid) || (signal_child(&c, SIGUSR1), 0)));
        finish(&c);
    }
    ipc_shm_close(&seg);
}

static void a_long_wait_looks_less_often(void **state)
{
    int64_t nap = IPC_SHM_NAP_;
    int i;

    (void)state;
    for (i = 0; i < 30; i++)
        IS(ipc_shm_wait_(IPC_FOREVER, &nap), 0);
    IS(nap, IPC_SHM_LONG_NAP_);
    IS(ipc_shm_wait_(IPC_NOW, &nap), -ETIMEDOUT);
}

/* ------------------------------------------------------------------ owners and modes */

static void mode_is_as_asked_whatever_the_umask(void **state)
{
    static const mode_t masks[] = {0, 022, 077, 0777}, modes[] = {0600, 0640, 0660, 0666};
    struct ipc_shm_options how = plain;
    struct ipc_shm seg;
    size_t i, k;

    (void)state;
    for (i = 0; i < 4; i++)
        for (k = 0; k < 4; k++) {
            (void)umask(masks[i]);
            how.mode = modes[k];
            DONE(ipc_shm_create_with(&seg, name, 64, &how), &seg);
            MUST((stat_of(name).st_mode & 07777) == modes[k]);
            ipc_shm_close(&seg);
            MUST(ipc_shm_unlink(name) == 0);
        }
    (void)umask(0);
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    MUST((stat_of(name).st_mode & 07777) == 0600 && stat_of(name).st_uid == geteuid());
    ipc_shm_close(&seg);
    print_message("%zu masks, %zu modes\n", i, k);
}

static void segment_open_to_more_people_than_asked_is_refused(void **state)
{
    struct ipc_shm_options how = plain;
    struct ipc_shm made, seg;

    (void)state;
    how.mode = 0640;
    DONE(ipc_shm_create_with(&made, name, 64, &how), &made);
    REFUSED(ipc_shm_open(&seg, name, IPC_FOREVER), -EACCES, &seg, "640");
    REFUSED(ipc_shm_open_or_create(&seg, name, 64, NULL), -EACCES, &seg, "640");
    how.mode = 0660;
    DONE(ipc_shm_open_with(&seg, name, IPC_NOW, &how), &seg);
    ipc_shm_close(&seg);
    ipc_shm_close(&made);
    REFUSED(ipc_shm_create(&seg, name, 64), -EACCES, &seg, "640");
}

/* For good: the process is another user afterwards. */
static void become_user(uid_t uid, gid_t group)
{
    MUST(setgroups(1, &group) == 0 && setgid(uid) == 0 && setuid(uid) == 0);
}

static void meets_what_it_may_not_open(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    become_user(65534, 65534);
    REFUSED(ipc_shm_create(&seg, name, 64), -EACCES, &seg, "user 1");
    MUST(strstr(ipc_shm_why(&seg), "ipc_shm_unlink") != NULL);
}

static struct ipc_shm_options for_group(void)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;

    how.mode = 0660;
    how.group = 4400;
    how.owner = 4401;
    return how;
}

static void creates_for_its_group(struct child *up, void *arg)
{
    struct ipc_shm_options how = for_group();
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    become_user(4401, 4400);
    DONE(ipc_shm_create_with(&seg, name, 4096, &how), &seg);
    put(&seg, "word", "stays");
    ipc_shm_close(&seg);
}

static void creates_another_size(struct child *up, void *arg)
{
    struct ipc_shm_options how = for_group();
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    become_user(4402, 4400);
    REFUSED(ipc_shm_create_with(&seg, name, 1 << 16, &how), -EPERM, &seg, "user 4401");
    DONE(ipc_shm_open_with(&seg, name, IPC_NOW, &how), &seg);
    expect_word(&seg, "word", "stays");
    ipc_shm_close(&seg);
}

/* /dev/shm is sticky: a member of the group may use the segment, and not unlink it. */
static void what_may_not_be_replaced_stays_as_it_was(void **state)
{
    struct stat st;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    SKIP_IF(stat(IPC_SHM_DIR_, &st) != 0 || (st.st_mode & 01000) == 0, "/dev/shm is not sticky");
    MUST(run(creates_for_its_group, NULL) == 0);
    MUST(run(creates_another_size, NULL) == 0);
    MUST(run(creates_another_size, NULL) == 0);
}

static void segment_of_another_owner_is_refused_unless_asked_for(void **state)
{
    struct ipc_shm_options how = plain;
    struct ipc_shm made, seg;

    (void)state;
    SKIP_IF(geteuid() != 0, "only root may chown");
    how.group = 1;
    DONE(ipc_shm_create_with(&made, name, 64, &how), &made);
    MUST(stat_of(name).st_gid == 1);
    MUST(chown(path_of(name), 1, (gid_t)-1) == 0);
    REFUSED(ipc_shm_open(&seg, name, IPC_FOREVER), -EACCES, &seg, "user 1");
    REFUSED(ipc_shm_create(&seg, name, 64), -EACCES, &seg, "user 1");
    MUST(strstr(ipc_shm_why(&seg), "ipc_shm_unlink") != NULL);
    MUST(run(meets_what_it_may_not_open, NULL) == 0);
    how.owner = 1;
    DONE(ipc_shm_open_with(&seg, name, IPC_NOW, &how), &seg);
    ipc_shm_close(&seg);
    ipc_shm_close(&made);
}

/* Every call that would open the segment refuses it at once, and only unlink removes it. */
static void expect_refusal(int expected, const char *word)
{
    struct ipc_shm seg;
    unsigned fds = open_fds();

    REFUSED(ipc_shm_open(&seg, name, IPC_FOREVER), expected, &seg, word);
    REFUSED(ipc_shm_create(&seg, name, 4096), expected, &seg, word);
    REFUSED(ipc_shm_open_or_create(&seg, name, 4096, NULL), expected, &seg, word);
    MUST(open_fds() == fds);
    MUST(names_there() >= 1);
}

static void symbolic_links_fifos_and_directories_are_refused(void **state)
{
    struct ipc_shm seg;

    (void)state;
    DONE(ipc_shm_create(&seg, other, 64), &seg);
    MUST(symlink(other, path_of(name)) == 0);
    expect_refusal(-ELOOP, name);
    MUST(ipc_shm_unlink(name) == 0);
    MUST(mkfifo(path_of(name), 0600) == 0);
    expect_refusal(-EPROTO, "regular");
    MUST(ipc_shm_unlink(name) == 0);
    MUST(mkdir(path_of(name), 0700) == 0);
    expect_refusal(-EISDIR, name);
    MUST(rmdir(path_of(name)) == 0);
    ipc_shm_close(&seg);
}

static void files_that_are_no_segments_are_refused(void **state)
{
    static const size_t sizes[] = {0, 1, 8, 4095, 4096, HEADER - 1, HEADER, HEADER + 1, 1 << 20};
    uint64_t x = 88172645463325252u;
    unsigned char *bytes = (unsigned char *)malloc(1 << 20);
    char word[40];
    struct ipc_shm seg;
    size_t i, k;
    int zeroes;

    (void)state;
    MUST(bytes != NULL);
    for (zeroes = 0; zeroes < 2; zeroes++)
        for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (k = 0; k < sizes[i]; k++) {
                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                bytes[k] = zeroes ? 0 : (unsigned char)x;
            }
            make_file(name, bytes, sizes[i]);
            (void)snprintf(word, sizeof word, "file of %zu bytes", sizes[i]);
            expect_refusal(-EPROTO, sizes[i] < sizeof(struct ipc_shm_header_) ? word : "magic");
            MUST(ipc_shm_unlink(name) == 0);
        }
    free(bytes);
    DONE(ipc_shm_create(&seg, name, 64), &seg);
    ipc_shm_close(&seg);
    print_message("%zu sizes, garbage and zeroes\n", i);
}

static void segment_of_another_layout_is_refused_and_why_says_which(void **state)
{
#define FIELD(f) offsetof(struct ipc_shm_header_, f), sizeof(((struct ipc_shm_header_ *)0)->f)
    static const struct {
        size_t at, bytes;
        uint64_t value;
        const char *word;
    } changes[] = {
        {FIELD(magic), 0, "magic is 0000000000000000"},
        {FIELD(magic), 0x1122334455667788, "magic is 1122334455667788"},
        {FIELD(abi), 5, "ABI 5 there, 4 here"},
        {FIELD(order), IPC_SHM_SWAPPED, "byte order"},
        {FIELD(order), 0, "not a segment"},
        {FIELD(line), 128, "128-byte lines"},
        {FIELD(members), 63, "63 members"},
        {FIELD(members), 0, "0 members"},
        {FIELD(members), 131072, "131072 members"},
        {FIELD(members), 256, "256 members"}, /* so many do not fit into the file */
        {FIELD(objects), 0, "0 objects"},
        {FIELD(objects), 65537, "65537 objects"},
        {FIELD(objects), 97, "97 objects"},
        {FIELD(size), HEADER + 8192, "24576 bytes was resized to 20480"},
        {FIELD(size), 0, "0 bytes was resized to 20480"},
    };
    struct ipc_shm_header_ *h;
    static char saved[16384];
    struct ipc_shm seg;
    size_t i;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    ipc_shm_close(&seg);
    for (i = 0; i < sizeof changes / sizeof *changes; i++) {
        h = map_header(name);
        memcpy(saved, h, HEADER);
        if (changes[i].bytes == 4)
            ck_pr_store_32((uint32_t *)(void *)((char *)h + changes[i].at), (uint32_t)changes[i].value);
        else
            memcpy((char *)h + changes[i].at, &changes[i].value, 8);
        expect_refusal(-EPROTO, changes[i].word);
        memcpy(h, saved, HEADER);
        (void)munmap(h, HEADER);
        DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
        ipc_shm_close(&seg);
    }
    MUST(truncate(path_of(name), HEADER + 4096 + 1) == 0);
    expect_refusal(-EPROTO, "20480 bytes was resized to 20481");
    MUST(truncate(path_of(name), HEADER + 8192) == 0);
    expect_refusal(-EPROTO, "20480 bytes was resized to 24576");
    MUST(truncate(path_of(name), HEADER) == 0);
    expect_refusal(-EPROTO, "20480 bytes was resized to 16384");
    print_message("%zu changed fields, 3 changed sizes\n", i);
}

/* ------------------------------------------------------------------ what the system lacks */

static void fills_a_small_dev_shm(struct child *up, void *arg)
{
    struct ipc_shm seg;
    struct statvfs fs;
    char bytes[32];

    (void)up;
    (void)arg;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=256k") != 0)
        _exit(UNABLE);
    (void)snprintf(bytes, sizeof bytes, "%zu", HEADER + (1 << 20));
    REFUSED(ipc_shm_create(&seg, name, 1 << 20), -ENOSPC, &seg, bytes);
    MUST(strstr(ipc_shm_why(&seg), "262144 free") != NULL);
    MUST(names_there() == 0);
    MUST(statvfs(IPC_SHM_DIR_, &fs) == 0 && fs.f_bfree == fs.f_blocks);
    DONE(ipc_shm_create(&seg, name, 100 << 10), &seg);
    put(&seg, "word", "fits");
    ipc_shm_close(&seg);
    /* What can never fit is refused before a part of it is allocated. */
    MUST(mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=5m") == 0);
    REFUSED(ipc_shm_create(&seg, name, 8 << 20), -ENOSPC, &seg, "5242880 free");
}

static void full_dev_shm_is_an_error_and_no_signal(void **state)
{
    int status = run(fills_a_small_dev_shm, NULL);

    (void)state;
    SKIP_IF(status == UNABLE, "may not mount a tmpfs");
    MUST(status == 0);
}

static void limits_file_size(struct child *up, void *arg)
{
    struct rlimit limit = {64 << 10, 64 << 10};
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    (void)signal(SIGXFSZ, SIG_DFL);
    MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    REFUSED(ipc_shm_create(&seg, name, 1 << 20), -EFBIG, &seg, "65536");
    REFUSED(ipc_shm_create(&seg, NULL, 1 << 20), -EFBIG, &seg, "65536");
    MUST(names_there() == 0);
    DONE(ipc_shm_create(&seg, name, (64 << 10) - HEADER), &seg);
    ipc_shm_close(&seg);
}

static void file_size_limit_is_an_error_and_no_signal(void **state)
{
    (void)state;
    MUST(run(limits_file_size, NULL) == 0);
}

static int old_kernel; /* bytes that one call can allocate before the next signal; 0: any number */

/* Until Linux 6.6 a signal ends posix_fallocate, and what the call had allocated is given back. */
int fallocate_of_an_old_kernel(int fd, off_t at, off_t size)
{
    static int calls;

    if (old_kernel != 0 && size > old_kernel) {
        MUST(calls++ < 1000);
        return EINTR;
    }
    return fallocate(fd, 0, at, size) == 0 ? 0 : errno;
}

static void creates_in_a_storm_of_signals(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    old_kernel = 2 << 20;
    DONE(ipc_shm_create(&seg, name, (15 << 20) + 1), &seg);
    MUST((size_t)stat_of(name).st_blocks * 512 >= seg.size);
    memset((char *)seg.base + HEADER, 1, seg.size - HEADER);
    ipc_shm_close(&seg);
}

static void signals_again_and_again_do_not_keep_create(void **state)
{
    (void)state;
    MUST(run(creates_in_a_storm_of_signals, NULL) == 0);
}

static void locks_all_that_it_maps(struct child *up, void *arg)
{
    struct rlimit limit = {4 << 20, 4 << 20};
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    become_user(65534, 65534);
    DONE(ipc_shm_create(&seg, name, 64 << 20), &seg);
    ipc_shm_close(&seg);
    MUST(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    if (mlockall(MCL_FUTURE) != 0)
        _exit(UNABLE);
    REFUSED(ipc_shm_create(&seg, name, 64 << 20), -ENOMEM, &seg, "RLIMIT_MEMLOCK");
    REFUSED(ipc_shm_open(&seg, name, IPC_NOW), -ENOMEM, &seg, "RLIMIT_MEMLOCK");
}

static void memory_that_may_not_be_mapped_is_named_as_such(void **state)
{
    int status;

    (void)state;
    SKIP_IF(is_emulated(), "qemu-user says ENOMEM where Linux says EAGAIN");
    SKIP_IF(geteuid() != 0, "needs a second user");
    SKIP_IF(MLOCK_IS_A_DUMMY, "mlockall does nothing here");
    status = run(locks_all_that_it_maps, NULL);
    SKIP_IF(status == UNABLE, "may not call mlockall");
    MUST(status == 0);
}

/* Creates in a /dev/shm with these options, and reports huge_rc. */
static void creates_with_huge_pages(struct child *up, void *options)
{
    struct ipc_shm_options how = with_flags(IPC_SHM_HUGE);
    struct ipc_shm seg;

    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, (const char *)options) != 0) {
        tell(up, UNABLE);
        return;
    }
    DONE(ipc_shm_create_with(&seg, name, 3 << 20, &how), &seg);
    tell(up, (uint64_t)(int64_t)seg.huge_rc);
    ipc_shm_close(&seg);
}

/* Whatever the kernel's setting for memfds is. */
static void huge_pages_of_a_named_segment_are_as_dev_shm_is_mounted(void **state)
{
    static char with[] = "size=16m,huge=advise", without[] = "size=16m,huge=never";
    static char usual[] = "size=16m";
    char *options[] = {with, without, usual};
    int64_t expected[] = {0, -EOPNOTSUPP, -EOPNOTSUPP}, rc;
    char policy[128];
    unsigned i;
    ssize_t n;
    int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);

    (void)state;
    n = fd >= 0 ? read(fd, policy, sizeof policy - 1) : -1;
    (void)close(fd);
    policy[n > 0 ? n : 0] = '\0';
    SKIP_IF(n <= 0 || strstr(policy, "[deny]") != NULL || strstr(policy, "[force]") != NULL,
            "shared memory has no huge pages here, or nothing else");
    for (i = 0; i < 3; i++) {
        struct child c = spawn(creates_with_huge_pages, options[i]);

        rc = (int64_t)hear(&c);
        finish(&c);
        SKIP_IF(rc == UNABLE, "may not mount a tmpfs with huge pages");
        IS(rc, expected[i]);
    }
}

static void may_not_lock(struct child *up, void *arg)
{
    struct ipc_shm_options how = with_flags(IPC_SHM_MLOCK);
    struct rlimit limit = {0, 0};
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    MUST(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    DONE(ipc_shm_create_with(&seg, name, 4096, &how), &seg);
    MUST(seg.lock_rc < 0 || MLOCK_IS_A_DUMMY);
    put(&seg, "word", "unlocked");
    ipc_shm_close(&seg);
}

static void memory_that_may_not_be_locked_is_usable_all_the_same(void **state)
{
    (void)state;
    SKIP_IF(geteuid() != 0, "needs a second user");
    MUST(run(may_not_lock, NULL) == 0);
}

static void options_for_pages_leave_a_usable_segment(void **state)
{
    static const unsigned flags[] = {0, IPC_SHM_NO_PREFAULT, IPC_SHM_MLOCK, IPC_SHM_HUGE,
                                     IPC_SHM_NO_PREFAULT | IPC_SHM_MLOCK | IPC_SHM_HUGE};
    struct ipc_shm_options how;
    struct ipc_shm seg;
    size_t i, nameless;

    (void)state;
    for (nameless = 0; nameless < 2; nameless++)
        for (i = 0; i < sizeof flags / sizeof *flags; i++) {
            how = with_flags(flags[i]);
            DONE(ipc_shm_create_with(&seg, nameless ? NULL : name, 3 << 20, &how), &seg);
            MUST(seg.lock_rc <= 0 && seg.huge_rc <= 0);
            MUST(seg.lock_rc != 0 || (flags[i] & IPC_SHM_MLOCK) != 0);
            MUST(seg.huge_rc != 0 || (flags[i] & IPC_SHM_HUGE) != 0);
            print_message("flags %u, %s: lock_rc %d, huge_rc %d, %zu bytes\n", flags[i],
                          nameless ? "nameless" : "named", seg.lock_rc, seg.huge_rc, seg.size);
            put(&seg, "word", "usable");
            memset((char *)seg.base + HEADER + 64, 1, seg.size - HEADER - 64);
            ipc_shm_close(&seg);
            MUST(nameless || ipc_shm_unlink(name) == 0);
        }
}

/* All descriptors but `spare` are in use. */
static void has_few_descriptors(struct child *up, void *arg)
{
    struct rlimit limit = {64, 64};
    unsigned spare, fds, works = 0;
    int taken[64], n, rc, create;
    struct ipc_shm seg;

    (void)arg;
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (create = 1; create >= 0; create--)
        for (spare = 0; spare < 5; spare++) {
            for (n = 0; n < 64 && (taken[n] = open("/dev/null", O_RDONLY)) >= 0; n++)
                ;
            MUST(errno == EMFILE && n > 8);
            for (fds = 0; fds < spare; fds++)
                (void)close(taken[--n]);
            fds = open_fds();
            rc = create ? ipc_shm_create(&seg, name, 64) : ipc_shm_open(&seg, other, IPC_NOW);
            if (rc == 0)
                works++, ipc_shm_close(&seg);
            else
                REFUSED(rc, -EMFILE, &seg, strerror(EMFILE));
            MUST(open_fds() == fds);
            (void)ipc_shm_unlink(name);
            while (n > 0)
                (void)close(taken[--n]);
            MUST(names_there() == 1);
        }
    tell(up, works);
}

static void exhausted_descriptors_are_named_as_such(void **state)
{
    struct ipc_shm seg;
    struct child c;

    (void)state;
    DONE(ipc_shm_create(&seg, other, 64), &seg);
    c = spawn(has_few_descriptors, NULL);
    finish(&c);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ taking over */

static void remains_of_a_killed_creator_are_taken_over(void **state)
{
    struct ipc_shm seg, no;

    (void)state;
    leave_remains(4096);
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    MUST(seg.created == 2);
    expect_word(&seg, "word", "remains");
    REFUSED(ipc_shm_create(&no, name, 4096), -EEXIST, &no, name);
    put(&seg, "next", "goes on");
    ipc_shm_close(&seg);
}

static void segment_of_a_creator_that_closed_is_taken_over(void **state)
{
    size_t size = 5000;
    struct child c = spawn(creator, &size);
    struct ipc_shm seg;

    (void)state;
    (void)hear(&c);
    tell(&c, 0);
    finish(&c);
    DONE(ipc_shm_create(&seg, name, size), &seg);
    MUST(seg.created == 2);
    expect_word(&seg, "word", "remains");
    ipc_shm_close(&seg);
    DONE(ipc_shm_create(&seg, name, size), &seg); /* again, by the same process */
    MUST(seg.created == 2);
    ipc_shm_close(&seg);
}

static void remains_are_discarded_when_fresh_or_of_another_size(void **state)
{
    static const struct {
        size_t before, after;
        unsigned flags;
        int created;
    } cases[] = {
        {4096, 4096, IPC_SHM_FRESH, 1},
        {4096, 8192, 0, 1},
        {8192, 4096, 0, 1},
        {4096, 100, 0, 2}, /* one page both times */
        {100, 4096, 0, 2},
        {4097, 4096, 0, 1},
    };
    struct ipc_shm_options how;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        leave_remains(cases[i].before);
        how = with_flags(cases[i].flags);
        DONE(ipc_shm_create_with(&seg, name, cases[i].after, &how), &seg);
        MUST(seg.created == cases[i].created);
        if (cases[i].created == 1)
            REFUSED(ipc_shm_find(&seg, "word", TYPE, &o), -ENOENT, &seg, "word");
        else
            expect_word(&seg, "word", "remains");
        MUST(seg.size >= HEADER + cases[i].after && names_there() == 1);
        ipc_shm_close(&seg);
        MUST(ipc_shm_unlink(name) == 0);
    }
    print_message("%zu cases\n", i);
}

static void remains_in_use_are_not_discarded(void **state)
{
    struct ipc_shm_options fresh = with_flags(IPC_SHM_FRESH);
    struct ipc_shm seg, again;
    struct child user;

    (void)state;
    leave_remains(4096);
    user = spawn(opener, NULL);
    (void)hear(&user);
    REFUSED(ipc_shm_create_with(&seg, name, 4096, &fresh), -EEXIST, &seg, "in use");
    REFUSED(ipc_shm_create(&seg, name, 8192), -EEXIST, &seg, "another size");
    DONE(ipc_shm_open(&again, name, IPC_NOW), &again); /* it was not lost */
    expect_word(&again, "word", "remains");
    ipc_shm_close(&again);
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    MUST(seg.created == 2);
    ipc_shm_close(&seg);
    REFUSED(ipc_shm_create_with(&seg, name, 4096, &fresh), -EEXIST, &seg, "in use");
    tell(&user, 0);
    (void)hear(&user); /* has closed it, and lives */
    DONE(ipc_shm_create_with(&seg, name, 4096, &fresh), &seg);
    MUST(seg.created == 1);
    ipc_shm_close(&seg);
    kill_child(&user);
}

static void open_or_create_takes_what_is_there(void **state)
{
    struct ipc_shm seg, second;

    (void)state;
    DONE(ipc_shm_open_or_create(&seg, name, 4096, NULL), &seg);
    MUST(seg.created == 1);
    DONE(ipc_shm_open_or_create(&second, name, 100000, &plain), &second);
    MUST(second.created == 0 && second.size == seg.size);
    ipc_shm_close(&seg);
    ipc_shm_close(&second);
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

static void racer(struct child *up, void *arg)
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
static void race_starts(struct race *r, act *prepare, act *action)
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

static void race_ends(struct race *r)
{
    unsigned i;

    for (i = 0; i < RACERS; i++)
        tell(&r->child[i], 0);
    for (i = 0; i < RACERS; i++)
        finish(&r->child[i]);
}

/* How many racers gave this answer; created: -1 for any. */
static unsigned answers(const struct race *r, int rc, int created)
{
    unsigned i, n = 0;

    for (i = 0; i < RACERS; i++)
        n += r->answer[i].rc == rc && (created < 0 || r->answer[i].created == created);
    return n;
}

static unsigned race_flags; /* the creators' flags */

static void act_create(struct ipc_shm *seg, unsigned i, struct answer *a)
{
    struct ipc_shm_options how = with_flags(race_flags);

    (void)i;
    a->rc = ipc_shm_create_with(seg, name, 4096, &how);
    a->created = seg->created;
}

static void act_open(struct ipc_shm *seg, unsigned i, struct answer *a)
{
    (void)i;
    (void)a;
    DONE(ipc_shm_open(seg, name, IPC_NOW), seg);
}

static void act_open_or_create(struct ipc_shm *seg, unsigned i, struct answer *a)
{
    struct stat st;

    (void)i;
    a->rc = ipc_shm_open_or_create(seg, name, 4096, NULL);
    MUST(a->rc != 0 || fstat(seg->fd, &st) == 0);
    a->created = seg->created;
    a->a = a->rc == 0 ? (uint64_t)st.st_ino : 0;
}

/* One creator gets the segment, with this `created`; the others get -EEXIST. */
static void race_for_creation(int remains, unsigned flags, int created)
{
    unsigned k, wrong = 0;
    struct race r;

    race_flags = flags;
    for (k = 0; k < REPEATS; k++) {
        if (remains)
            leave_remains(4096);
        race_starts(&r, NULL, act_create);
        if (answers(&r, 0, created) != 1 || answers(&r, -EEXIST, -1) != RACERS - 1) {
            print_error("race %u: %u got 0 and created %d, %u got -EEXIST\n", k,
                        answers(&r, 0, created), created, answers(&r, -EEXIST, -1));
            wrong++;
        }
        race_ends(&r);
        (void)ipc_shm_unlink(name);
        MUST(names_there() == 0);
    }
    print_message("%u races of %u\n", k, RACERS);
    MUST(wrong == 0);
}

static void of_many_creators_exactly_one_gets_the_name(void **state)
{
    (void)state;
    race_for_creation(0, 0, 1);
}

static void of_many_creators_exactly_one_takes_the_remains_over(void **state)
{
    (void)state;
    race_for_creation(1, 0, 2);
}

static void of_many_creators_exactly_one_replaces_the_remains(void **state)
{
    (void)state;
    race_for_creation(1, IPC_SHM_FRESH, 1);
}

static void open_or_create_gives_all_the_same_segment(void **state)
{
    unsigned i, k;
    struct race r;

    (void)state;
    for (k = 0; k < REPEATS; k++) {
        race_starts(&r, NULL, act_open_or_create);
        MUST(answers(&r, 0, -1) == RACERS && answers(&r, 0, 1) == 1 && answers(&r, 0, 2) == 0);
        for (i = 1; i < RACERS; i++)
            MUST(r.answer[i].a == r.answer[0].a);
        race_ends(&r);
        MUST(ipc_shm_unlink(name) == 0);
    }
    print_message("%u races of %u\n", k, RACERS);
}

/* ------------------------------------------------------------------ killed at every system call */

static void traced_creator(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    be_traced();
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    put(&seg, "traced", "whole");
    ipc_shm_close(&seg);
}

static void traced_replacer(struct child *up, void *arg)
{
    struct ipc_shm_options fresh = with_flags(IPC_SHM_FRESH);
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    be_traced();
    DONE(ipc_shm_create_with(&seg, name, 4096, &fresh), &seg);
    put(&seg, "traced", "whole");
    ipc_shm_close(&seg);
}

static void traced_opener(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    be_traced();
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    put(&seg, "traced", "whole");
    ipc_shm_close(&seg);
}

/* There is no segment of that name, or a whole one. */
static void expect_whole_or_absent(void)
{
    struct ipc_shm seg;
    struct ipc_shm_object o;
    int rc = ipc_shm_open(&seg, name, IPC_NOW);

    if (rc == -ENOENT)
        return;
    DONE(rc, &seg);
    MUST(seg.size == HEADER + 4096 && seg.base->used >= HEADER && seg.base->creator != 0);
    rc = ipc_shm_find(&seg, "traced", TYPE, &o);
    MUST(rc == -ENOENT || (rc == 0 && memcmp(o.mem, "whole", 5) == 0));
    ipc_shm_close(&seg);
}

/* The next process can make the object that the killed one was making, unless that was finished. */
static void expect_object_can_be_made(struct ipc_shm *seg)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(seg, "traced", TYPE, 64, &o);

    if (rc != -EEXIST) {
        DONE(rc, seg);
        MUST(all_zero(o.mem, o.size));
        memcpy(o.mem, "whole", 5);
        DONE(ipc_shm_publish(seg, &o), seg);
    }
    expect_word(seg, "traced", "whole");
}

static void kill_at_every_system_call(body *f, int remains, unsigned flags)
{
    struct ipc_shm_options how = with_flags(flags);
    struct ipc_shm seg;
    struct child c;
    unsigned n, taken = 0;
    int more;

    for (n = 1;; n++) {
        if (remains)
            leave_remains(4096);
        more = run_to(&c, f, n);
        SKIP_IF(more < 0, "may not trace");
        if (more == 0)
            break;
        kill_child(&c);
        MUST(names_there() <= 1);
        expect_whole_or_absent();
        DONE(ipc_shm_create_with(&seg, name, 4096, &how), &seg);
        MUST(seg.created == 1 || (flags == 0 && seg.created == 2));
        taken += seg.created == 2;
        expect_object_can_be_made(&seg);
        ipc_shm_close(&seg);
        MUST(names_there() == 1);
        MUST(ipc_shm_unlink(name) == 0);
    }
    MUST(ipc_shm_unlink(name) == 0);
    print_message("note: killed at %u points; %u times there was something to take over\n", n - 1,
                  taken);
    MUST(n > 20);
}

static void creator_killed_at_every_system_call_leaves_whole_or_nothing(void **state)
{
    (void)state;
    kill_at_every_system_call(traced_creator, 0, 0);
}

static void replacer_killed_at_every_system_call_leaves_whole_or_nothing(void **state)
{
    (void)state;
    kill_at_every_system_call(traced_replacer, 1, 0);
    kill_at_every_system_call(traced_replacer, 1, IPC_SHM_FRESH);
}

static void heir_killed_at_every_system_call_leaves_whole_or_nothing(void **state)
{
    (void)state;
    kill_at_every_system_call(traced_creator, 1, 0);
    kill_at_every_system_call(traced_creator, 1, IPC_SHM_FRESH);
}

static void opener_killed_at_every_system_call_harms_nobody(void **state)
{
    struct ipc_shm seg;
    struct child c;
    unsigned n;
    int more;

    (void)state;
    for (n = 1;; n++) {
        DONE(ipc_shm_create(&seg, name, 4096), &seg);
        more = run_to(&c, traced_opener, n);
        SKIP_IF(more < 0, "may not trace");
        if (more == 0)
            break;
        kill_child(&c);
        MUST(!ipc_shm_others_live_(&seg));
        expect_object_can_be_made(&seg);
        ipc_shm_close(&seg);
        MUST(ipc_shm_unlink(name) == 0);
    }
    ipc_shm_close(&seg);
    print_message("note: killed at %u points\n", n - 1);
    MUST(n > 10);
}

static void traced_racer(struct child *up, void *arg)
{
    struct ipc_shm_options how = with_flags(race_flags);
    struct ipc_shm seg;
    int rc;

    (void)arg;
    be_traced();
    rc = ipc_shm_create_with(&seg, name, 4096, &how);
    tell(up, (uint64_t)-rc);
    (void)hear(up); /* a dead creator would be replaced */
}

/* Of the second creator's points each so many-th is tried, others for each point of the first: make
 * soak tries all. With sanitizers, which clang's build has, a fork takes 30 times as long. */
#ifndef INTERLEAVE_EVERY
#ifdef __clang__
#define INTERLEAVE_EVERY 12u
#else
#define INTERLEAVE_EVERY 4u
#endif
#endif

/* One creator runs to its n-th system call, the other to its m-th, and then they finish one after
 * the other: exactly one may get the name, and the other gets -EEXIST. */
static void interleave_two_creators(int remains, unsigned flags)
{
    unsigned n, m, pairs = 0, wrong = 0;
    int more_a = 1, more_b;

    race_flags = flags;
    for (n = 1; more_a != 0; n++)
        for (m = 1 + n % INTERLEAVE_EVERY, more_b = 1; more_b != 0; m += INTERLEAVE_EVERY) {
            struct child a, b;
            uint64_t x, y;

            if (remains)
                leave_remains(4096);
            more_a = run_to(&a, traced_racer, n);
            SKIP_IF(more_a < 0, "may not trace");
            more_b = run_to(&b, traced_racer, m);
            x = runs_on(&a);
            y = runs_on(&b);
            if (!(x == 0 && y == EEXIST) && !(x == EEXIST && y == 0)) {
                if (wrong++ < 5)
                    print_error("stopped at %u and %u: -%u and -%u\n", n, m, (unsigned)x,
                                (unsigned)y);
            }
            pairs++;
            tell(&a, 0);
            tell(&b, 0);
            finish(&a);
            finish(&b);
            MUST(ipc_shm_unlink(name) == 0 && names_there() == 0);
        }
    print_message("note: %u interleavings, %u without exactly one winner\n", pairs, wrong);
    MUST(wrong == 0);
}

static void of_two_creators_one_gets_the_name_wherever_they_are_interrupted(void **state)
{
    (void)state;
    interleave_two_creators(0, 0);
}

static void of_two_creators_one_takes_over_wherever_they_are_interrupted(void **state)
{
    (void)state;
    interleave_two_creators(1, 0);
}

static void of_two_creators_one_replaces_wherever_they_are_interrupted(void **state)
{
    (void)state;
    interleave_two_creators(1, IPC_SHM_FRESH);
}

static void candidate_holds_up_no_other_who_replaces(void **state)
{
    struct ipc_shm_options fresh = with_flags(IPC_SHM_FRESH);
    struct ipc_shm candidate, seg;

    (void)state;
    leave_remains(4096);
    DONE(ipc_shm_open_once_(&candidate, path_of(name), name, &fresh, 1), &candidate);
    DONE(ipc_shm_create_with(&seg, name, 4096, &fresh), &seg);
    MUST(seg.created == 1);
    IS(ipc_shm_take_over_(&candidate, path_of(name), name, 4096, &fresh), -EAGAIN); /* replaced */
    MUST(stat_of(name).st_size == (off_t)seg.size);
    ipc_shm_close(&candidate);
    ipc_shm_close(&seg);
}

static body *stopped_call; /* what the bystander tries while another is stopped */

static void tries_create(struct child *up, void *arg)
{
    struct ipc_shm seg;
    int rc = ipc_shm_create(&seg, name, 4096);

    (void)up;
    (void)arg;
    MUST(rc == 0 || rc == -EEXIST);
    rc = ipc_shm_open(&seg, name, IPC_NOW);
    MUST(rc == 0 || rc == -ENOENT);
}

static void tries_open_or_create(struct child *up, void *arg)
{
    struct ipc_shm seg;
    int rc = ipc_shm_open_or_create(&seg, name, 4096, NULL);

    (void)up;
    (void)arg;
    MUST(rc == 0 || rc == -EEXIST || rc == -EBUSY); /* need not succeed, but must return */
}

/* While another process is stopped at any of its system calls, the bystander's call returns. */
static void stop_at_every_system_call(body *f, int remains)
{
    struct child c, bystander;
    unsigned n, held = 0;
    int more;

    for (n = 1;; n++) {
        if (remains)
            leave_remains(4096);
        more = run_to(&c, f, n);
        SKIP_IF(more < 0, "may not trace");
        if (more == 0)
            break;
        bystander = spawn(stopped_call, NULL);
        if (!ends_soon(&bystander)) {
            print_error("held up by a peer that is stopped at point %u\n", n);
            held++;
        }
        kill_child(&c);
        (void)ipc_shm_unlink(name);
    }
    MUST(ipc_shm_unlink(name) == 0);
    print_message("note: stopped at %u points, where %u held another up\n", n - 1, held);
    MUST(held == 0);
}

static void creator_stopped_at_any_system_call_holds_up_no_other(void **state)
{
    (void)state;
    stopped_call = tries_create;
    stop_at_every_system_call(traced_creator, 0);
    stop_at_every_system_call(traced_replacer, 1);
}

static void creator_stopped_at_any_system_call_does_not_hold_up_open_or_create(void **state)
{
    (void)state;
    stopped_call = tries_open_or_create;
    stop_at_every_system_call(traced_creator, 0);
    stop_at_every_system_call(traced_replacer, 1);
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

struct asks {
    struct ipc_shm *seg;
    pthread_barrier_t *start;
    uint64_t id;
};

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

/* ------------------------------------------------------------------ objects */

static void objects_are_found_and_listed(void **state)
{
    struct ipc_shm made, opened;
    struct ipc_shm_object o, found;
    unsigned i, n = 0;

    (void)state;
    DONE(ipc_shm_create(&made, name, 64 << 10), &made);
    DONE(ipc_shm_open(&opened, name, IPC_NOW), &opened);
    DONE(ipc_shm_make(&made, "a", 1, 100, &o), &made);
    REFUSED(ipc_shm_find(&opened, "a", 1, &found), -ENOENT, &opened, "'a'"); /* unpublished */
    MUST(ipc_shm_list(&opened, o.index, &found) == -ENOENT);
    DONE(ipc_shm_publish(&made, &o), &made);
    DONE(ipc_shm_make(&opened, "b", 2, 200, &o), &opened);
    DONE(ipc_shm_publish(&opened, &o), &opened);
    for (i = 0; i < IPC_SHM_OBJECTS + 2; i++)
        if (ipc_shm_list(&opened, i, &found) == 0) {
            MUST(found.index == i && found.size == found.type * 100);
            MUST(found.name[0] == (char)('a' + found.type - 1) && found.name[1] == '\0');
            n++;
        }
    MUST(n == 2);
    DONE(ipc_shm_find(&made, "b", 2, &found), &made);
    MUST((char *)found.mem - (char *)made.base == (char *)o.mem - (char *)opened.base);
    REFUSED(ipc_shm_make(&made, "b", 2, 200, &o), -EEXIST, &made, "'b'");
    REFUSED(ipc_shm_find(&made, "b", 0x1234, &o), -EPROTO, &made, "00000002 there, 00001234 here");
    REFUSED(ipc_shm_find(&made, "b", IPC_SPSC_TYPE, &o), -EPROTO, &made, "there, spsc here");
    REFUSED(ipc_shm_find(&made, "c", 2, &o), -ENOENT, &made, "'c'");
    ipc_shm_close(&opened);
    ipc_shm_close(&made);
}

static void object_names_have_1_to_63_bytes(void **state)
{
    char longest[65];
    struct ipc_shm_object o;
    struct ipc_shm seg;

    (void)state;
    memset(longest, 'n', 64);
    longest[64] = '\0';
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    REFUSED(ipc_shm_make(&seg, "", TYPE, 64, &o), -EINVAL, &seg, "0 bytes");
    REFUSED(ipc_shm_find(&seg, "", TYPE, &o), -EINVAL, &seg, "0 bytes");
    REFUSED(ipc_shm_make(&seg, longest, TYPE, 64, &o), -ENAMETOOLONG, &seg, "64");
    REFUSED(ipc_shm_find(&seg, longest, TYPE, &o), -ENAMETOOLONG, &seg, "64");
    REFUSED(ipc_shm_make(&seg, "x", TYPE, 0, &o), -EINVAL, &seg, "'x'");
    longest[63] = '\0';
    put(&seg, longest, "long");
    expect_word(&seg, longest, "long");
    longest[62] = '\0';
    REFUSED(ipc_shm_find(&seg, longest, TYPE, &o), -ENOENT, &seg, longest);
    ipc_shm_close(&seg);
}

static void object_that_does_not_fit_is_refused_and_a_smaller_one_works(void **state)
{
    static const size_t sizes[] = {8192 - 63, 8193, 1 << 20, SIZE_MAX / 2, SIZE_MAX - 64, SIZE_MAX};
    struct ipc_shm_object o;
    struct ipc_shm seg;
    size_t i;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 8192), &seg);
    put(&seg, "first", "first");
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        REFUSED(ipc_shm_make(&seg, "x", TYPE, sizes[i], &o), -ENOSPC, &seg, "8128 free");
    DONE(ipc_shm_make(&seg, "x", TYPE, 8192 - 64, &o), &seg);
    DONE(ipc_shm_publish(&seg, &o), &seg);
    REFUSED(ipc_shm_make(&seg, "y", TYPE, 1, &o), -ENOSPC, &seg, "0 free");
    expect_word(&seg, "first", "first");
    ipc_shm_close(&seg);
}

/* What create_with makes has room for so many. */
static void made_for(struct ipc_shm *seg, unsigned members, unsigned objects)
{
    struct ipc_shm_options how = plain;

    how.members = members;
    how.objects = objects;
    DONE(ipc_shm_create_with(seg, name, 1 << 20, &how), seg);
}

static void there_is_room_for_as_many_as_asked_for(void **state)
{
    enum { MEMBERS = 100, PLACES = 128, OBJECTS = 300 };
    static struct ipc_shm seg[PLACES], no;
    struct ipc_shm_member who;
    struct ipc_shm_object o;
    char object[16];
    unsigned i, seen = 0;

    (void)state;
    made_for(&seg[0], MEMBERS, OBJECTS);
    for (i = 1; i < PLACES; i++)
        DONE(ipc_shm_open(&seg[i], name, IPC_NOW), &seg[i]);
    REFUSED(ipc_shm_open(&no, name, IPC_NOW), -EUSERS, &no, "128");
    for (i = 0; i < PLACES; i++) {
        MUST(seg[i].members == PLACES && seg[i].objects == OBJECTS);
        MUST(ipc_shm_who(&seg[0], i, &who) == 0 && who.id == seg[i].peer.id && who.alive);
        MUST(ipc_shm_alive(&seg[PLACES - 1], seg[i].peer.id));
    }
    MUST(ipc_shm_who(&seg[0], PLACES, &who) == -ENOENT);
    ipc_shm_close(&seg[100]);
    MUST(ipc_shm_who(&seg[0], 100, &who) == -ENOENT);
    DONE(ipc_shm_open(&seg[100], name, IPC_NOW), &seg[100]);
    MUST(ipc_shm_who(&seg[0], 100, &who) == 0 && who.id == seg[100].peer.id);
    for (i = 0; i < OBJECTS; i++) {
        (void)snprintf(object, sizeof object, "object %u", i);
        put(&seg[i % PLACES], object, object);
    }
    REFUSED(ipc_shm_make(&seg[0], "one more", TYPE, 1, &o), -ENOSPC, &seg[0], "300");
    REFUSED(ipc_shm_find(&seg[0], "one more", TYPE, &o), -ENOENT, &seg[0], "one more");
    for (i = 0; i < OBJECTS; i++) {
        (void)snprintf(object, sizeof object, "object %u", i);
        expect_word(&seg[(i + 1) % PLACES], object, object);
        seen += ipc_shm_list(&seg[0], i, &o) == 0;
    }
    MUST(seen == OBJECTS && ipc_shm_list(&seg[0], OBJECTS, &o) == -ENOENT);
    for (i = 0; i < PLACES; i++)
        ipc_shm_close(&seg[i]);
}

static void a_dead_members_place_is_taken_when_no_other_is_left(void **state)
{
    struct ipc_shm seg, next, no;
    struct child c;
    uint64_t id;

    (void)state;
    made_for(&seg, 2, 1);
    c = spawn(opener, NULL);
    id = hear(&c);
    REFUSED(ipc_shm_open(&no, name, IPC_NOW), -EUSERS, &no, "2");
    kill_child(&c);
    DONE(ipc_shm_open(&next, name, IPC_NOW), &next);
    MUST(next.peer.id != id && next.peer.id % 2 == id % 2 && !ipc_shm_alive(&seg, id));
    ipc_shm_close(&next);
    ipc_shm_close(&seg);
}

static void remains_with_other_tables_are_discarded(void **state)
{
    static const struct {
        unsigned members, objects;
        int created;
    } cases[] = {{0, 0, 1},  {64, 64, 2}, {33, 0, 2}, {65, 0, 1},        {128, 64, 2},
                 {0, 65, 1}, {0, 65, 2},  {1, 1, 1},  {65536, 65536, 1}, {40000, 65536, 2}};
    struct ipc_shm_options how = plain;
    struct ipc_shm seg;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        made_for(&seg, cases[i].members, cases[i].objects);
        MUST(seg.created == cases[i].created);
        if (seg.created == 1)
            put(&seg, "word", "stays");
        else
            expect_word(&seg, "word", "stays");
        ipc_shm_close(&seg);
    }
    how.members = 65537;
    REFUSED(ipc_shm_create_with(&seg, name, 1 << 20, &how), -EINVAL, &seg, "65537 members");
    how.members = 0;
    how.objects = 65537;
    REFUSED(ipc_shm_create_with(&seg, name, 1 << 20, &how), -EINVAL, &seg, "65537 objects");
}

/* The entry of a name is near the one at which a search begins, whatever the names are. */
static void many_objects_are_found_after_few_looks(void **state)
{
    static const char *const names[] = {"%u", "ring%u", "%05u", "feed/%u/asks", "%x"};
    enum { N = 10000 };
    struct ipc_shm_object o;
    struct ipc_shm seg;
    char object[32];
    uint32_t first;
    uint64_t hash, looks;
    unsigned i, k;

    (void)state;
    for (k = 0; k < sizeof names / sizeof *names; k++) {
        made_for(&seg, 0, 16384);
        for (looks = 0, i = 0; i < N; i++) {
            (void)snprintf(object, sizeof object, names[k], i);
            DONE(ipc_shm_make(&seg, object, TYPE, 8, &o), &seg);
            DONE(ipc_shm_publish(&seg, &o), &seg);
            MUST(ipc_shm_object_name_(&seg, object, &hash, &first) == 0);
            looks += 1 + (o.index - first) % 16384;
        }
        for (i = 0; i < N; i++) {
            (void)snprintf(object, sizeof object, names[k], i);
            DONE(ipc_shm_find(&seg, object, TYPE, &o), &seg);
        }
        print_message("%s: %.2f looks each\n", names[k], (double)looks / N);
        MUST(looks < 3 * N);
        ipc_shm_close(&seg);
        MUST(ipc_shm_unlink(name) == 0);
    }
}

static void there_is_room_for_64_objects(void **state)
{
    struct ipc_shm_object o;
    struct ipc_shm seg;
    char object[16];
    unsigned i;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 64 << 10), &seg);
    for (i = 0; i < IPC_SHM_OBJECTS; i++) {
        (void)snprintf(object, sizeof object, "object %u", i);
        put(&seg, object, object);
    }
    REFUSED(ipc_shm_make(&seg, "one more", TYPE, 1, &o), -ENOSPC, &seg, "64");
    REFUSED(ipc_shm_make(&seg, object, TYPE, 1, &o), -EEXIST, &seg, object);
    for (i = 0; i < IPC_SHM_OBJECTS; i++) {
        (void)snprintf(object, sizeof object, "object %u", i);
        expect_word(&seg, object, object);
    }
    ipc_shm_close(&seg);
}

/* As names are given: in a row, which differ in the last byte. */
static void unfinished_object_holds_up_no_other_name(void **state)
{
    struct ipc_shm_object o;
    struct ipc_shm seg;
    char object[16];
    unsigned i;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 1 << 16), &seg);
    for (i = 0; i < IPC_SHM_OBJECTS; i++) {
        (void)snprintf(object, sizeof object, i < 50 ? "filler%u" : "lane%u", i);
        DONE(ipc_shm_make(&seg, object, TYPE, 64, &o), &seg);
        MUST(i == 50 || ipc_shm_publish(&seg, &o) == 0); /* 50: its maker is stopped here */
    }
    ipc_shm_close(&seg);
}

static void names_with_the_same_hash_are_told_apart(void **state)
{
    enum { N = 16384 };
    static struct {
        uint64_t hash;
        uint32_t first;
        char name[24];
    } n[N];
    const char *a = NULL, *b = NULL;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    unsigned i, k;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    for (i = 0; i < N && a == NULL; i++) {
        (void)snprintf(n[i].name, sizeof n[i].name, "%llx", (unsigned long long)chance());
        MUST(ipc_shm_object_name_(&seg, n[i].name, &n[i].hash, &n[i].first) == 0);
        for (k = 0; k < i; k++)
            if (n[k].hash == n[i].hash && n[k].first == n[i].first &&
                strcmp(n[k].name, n[i].name) != 0)
                a = n[k].name, b = n[i].name;
    }
    MUST(a != NULL);
    put(&seg, a, a);
    REFUSED(ipc_shm_find(&seg, b, TYPE, &o), -ENOENT, &seg, b);
    put(&seg, b, b);
    expect_word(&seg, a, a);
    expect_word(&seg, b, b);
    REFUSED(ipc_shm_make(&seg, b, TYPE, 64, &o), -EEXIST, &seg, b);
    ipc_shm_close(&seg);
    print_message("'%s' and '%s'\n", a, b);
}

static void publish_works_once_and_for_the_maker_alone(void **state)
{
    struct ipc_shm seg, second;
    struct ipc_shm_object o;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    DONE(ipc_shm_open(&second, name, IPC_NOW), &second);
    DONE(ipc_shm_make(&seg, "x", TYPE, 64, &o), &seg);
    REFUSED(ipc_shm_make(&seg, "x", TYPE, 64, &o), -EBUSY, &seg, "'x'");
    REFUSED(ipc_shm_publish(&second, &o), -EINVAL, &second, "'x'");
    DONE(ipc_shm_publish(&seg, &o), &seg);
    REFUSED(ipc_shm_publish(&seg, &o), -EINVAL, &seg, "'x'");
    o.index++;
    REFUSED(ipc_shm_publish(&seg, &o), -EINVAL, &seg, "'x'");
    o.index = UINT32_MAX;
    REFUSED(ipc_shm_publish(&seg, &o), -EINVAL, &seg, "'x'");
    ipc_shm_close(&second);
    ipc_shm_close(&seg);
}

static void makes_and_never_publishes(struct child *up, void *arg)
{
    struct ipc_shm_object o;
    struct ipc_shm seg;

    (void)arg;
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    DONE(ipc_shm_make(&seg, "half", TYPE, 256, &o), &seg);
    memset(o.mem, 0x5a, o.size);
    tell(up, (uint64_t)((char *)o.mem - (char *)seg.base));
    wait_for_death();
}

static void object_of_a_stopped_maker_is_busy_and_of_a_killed_one_made_again(void **state)
{
    struct ipc_shm_object o;
    struct ipc_shm seg;
    struct child c;
    unsigned i;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 8192), &seg);
    for (i = 0; i < 3; i++) { /* killed three times */
        c = spawn(makes_and_never_publishes, NULL);
        (void)hear(&c);
        stop_child(&c);
        REFUSED(ipc_shm_make(&seg, "half", TYPE, 64, &o), -EBUSY, &seg, "'half'");
        REFUSED(ipc_shm_find(&seg, "half", TYPE, &o), -ENOENT, &seg, "'half'");
        put(&seg, i == 0 ? "x" : i == 1 ? "y" : "z", "others work");
        kill_child(&c);
    }
    DONE(ipc_shm_make(&seg, "half", TYPE, 512, &o), &seg);
    MUST(all_zero(o.mem, 512));
    DONE(ipc_shm_publish(&seg, &o), &seg);
    DONE(ipc_shm_find(&seg, "half", TYPE, &o), &seg);
    MUST(o.size == 512);
    expect_word(&seg, "x", "others work");
    ipc_shm_close(&seg);
}

static void makes_half_a_ring(struct child *up, void *arg)
{
    struct ipc_shm_object o;
    struct ipc_shm seg;

    (void)arg;
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    DONE(ipc_shm_make(&seg, "ring", IPC_SPSC_TYPE, small_ring_footprint(64), &o), &seg);
    tell(up, 0);
    (void)hear(up);
    DONE(small_ring_init(o.mem, o.size, 64), &seg);
    DONE(ipc_shm_publish(&seg, &o), &seg);
    wait_for_death();
}

static void creates_the_ring(struct child *up, void *arg)
{
    struct small_ring_producer out;
    struct ipc_shm seg;

    (void)arg;
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    tell(up, 0);
    (void)hear(up);
    IS(small_ring_producer_create(&out, &seg, "ring", 64), 0);
    tell(up, 0);
}

/* Is that process in such a system call? */
static int is_in_call(pid_t pid, long call)
{
    char path[40], text[20] = "";
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    (void)!read(fd, text, sizeof text - 1);
    (void)close(fd);
    return text[0] != 'r' && strtol(text, NULL, 10) == call;
}

static void processes_that_start_together_create_one_ring(void **state)
{
    struct small_ring_producer out;
    struct child first, second;
    struct ipc_shm seg;
    int killed;

    (void)state;
    SKIP_IF(is_emulated(), "the numbers of system calls are not those of the program");
    for (killed = 0; killed < 2; killed++) {
        DONE(ipc_shm_create(&seg, name, 1 << 16), &seg);
        first = spawn(makes_half_a_ring, NULL);
        (void)hear(&first);
        if (killed) {
            stop_child(&first);
            REFUSED(small_ring_producer_create(&out, &seg, "ring", 64), -EBUSY, &seg, "being made");
        }
        second = spawn(creates_the_ring, NULL);
        (void)hear(&second);
        tell(&second, 0);
        EVENTUALLY(is_in_call(second.pid, SYS_clock_nanosleep) ||
                   is_in_call(second.pid, SYS_nanosleep) /* musl */ || has_ended(second.pid));
        if (killed)
            kill_child(&first);
        else
            tell(&first, 0);
        (void)hear(&second);
        MUST(reap(&second) == 0);
        if (!killed)
            kill_child(&first);
        DONE(small_ring_producer_create(&out, &seg, "ring", 64), &seg);
        small_ring_producer_detach(&out);
        ipc_shm_close(&seg);
        MUST(ipc_shm_unlink(name) == 0);
    }
}

static void act_make_same(struct ipc_shm *seg, unsigned i, struct answer *a)
{
    struct ipc_shm_object o;

    a->rc = ipc_shm_make(seg, "same", TYPE, 64, &o);
    if (a->rc == 0) {
        memset(o.mem, (int)i + 1, o.size);
        DONE(ipc_shm_publish(seg, &o), seg);
    }
}

static void of_many_makers_of_one_name_exactly_one_wins(void **state)
{
    struct ipc_shm_object o;
    struct ipc_shm seg;
    unsigned i, k;
    struct race r;

    (void)state;
    for (k = 0; k < REPEATS; k++) {
        DONE(ipc_shm_create(&seg, name, 4096), &seg);
        race_starts(&r, act_open, act_make_same);
        MUST(answers(&r, 0, -1) == 1);
        MUST(answers(&r, -EEXIST, -1) + answers(&r, -EBUSY, -1) == RACERS - 1);
        DONE(ipc_shm_find(&seg, "same", TYPE, &o), &seg);
        for (i = 0; r.answer[i].rc != 0; i++)
            ;
        MUST(((unsigned char *)o.mem)[0] == i + 1 && ((unsigned char *)o.mem)[63] == i + 1);
        for (i = 0; i < seg.objects; i++)
            MUST((ipc_shm_list(&seg, i, &o) == 0) == (i == o.index));
        race_ends(&r);
        ipc_shm_close(&seg);
        MUST(ipc_shm_unlink(name) == 0);
    }
    print_message("%u races of %u\n", k, RACERS);
}

static void act_make_own(struct ipc_shm *seg, unsigned i, struct answer *a)
{
    struct ipc_shm_object o;
    char object[16];

    (void)snprintf(object, sizeof object, "own %u", i);
    a->rc = ipc_shm_make(seg, object, TYPE, 1000, &o);
    if (a->rc == 0) {
        memset(o.mem, (int)i + 1, o.size);
        a->a = (uint64_t)((char *)o.mem - (char *)seg->base);
        DONE(ipc_shm_publish(seg, &o), seg);
    }
}

static void makers_of_different_names_all_succeed(void **state)
{
    struct ipc_shm_object o;
    struct ipc_shm seg;
    unsigned i, j, k;
    char object[16];
    struct race r;

    (void)state;
    for (k = 0; k < REPEATS; k++) {
        DONE(ipc_shm_create(&seg, name, RACERS * 1024), &seg);
        race_starts(&r, act_open, act_make_own);
        MUST(answers(&r, 0, -1) == RACERS);
        for (i = 0; i < RACERS; i++) {
            (void)snprintf(object, sizeof object, "own %u", i);
            DONE(ipc_shm_find(&seg, object, TYPE, &o), &seg);
            MUST((uint64_t)((char *)o.mem - (char *)seg.base) == r.answer[i].a);
            for (j = 0; j < 1000; j++)
                MUST(((unsigned char *)o.mem)[j] == i + 1);
            for (j = 0; j < i; j++)
                MUST(r.answer[i].a >= r.answer[j].a + 1000 ||
                     r.answer[j].a >= r.answer[i].a + 1000);
        }
        race_ends(&r);
        ipc_shm_close(&seg);
        MUST(ipc_shm_unlink(name) == 0);
    }
    print_message("%u races of %u\n", k, RACERS);
}

/* ------------------------------------------------------------------ a segment that lies */

static void corrupt_directory_is_refused(void **state)
{
    static const struct {
        uint64_t offset, size;
    } bad[] = {
        {0, 64},
        {64, 64},
        {HEADER - 64, 64},
        {HEADER + 1, 64},
        {HEADER + 8, 8},
        {HEADER, 4097},
        {HEADER + 4096, 1},
        {HEADER + 4160, 0},
        {HEADER, UINT64_MAX},
        {HEADER + 64, UINT64_MAX - HEADER - 63},
        {UINT64_MAX, 1},
        {UINT64_MAX - 63, 64},
        {UINT64_MAX - 63, 0},
        {UINT64_C(1) << 63, UINT64_C(1) << 63},
    };
    struct ipc_shm_entry_ *e;
    uint32_t x;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    size_t i;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    put(&seg, "x", "fine");
    DONE(ipc_shm_find(&seg, "x", TYPE, &o), &seg);
    e = ipc_shm_entry_at_(&seg, x = o.index);
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        e->offset = bad[i].offset;
        e->size = bad[i].size;
        REFUSED(ipc_shm_find(&seg, "x", TYPE, &o), -EBADMSG, &seg, "corrupt");
        REFUSED(ipc_shm_list(&seg, x, &o), -EBADMSG, &seg, "corrupt");
        REFUSED(ipc_shm_make(&seg, "x", TYPE, 64, &o), -EBADMSG, &seg, "corrupt");
    }
    e->offset = HEADER;
    e->size = 4096;
    memset(e->name, 'x', sizeof e->name); /* no NUL */
    MUST(ipc_shm_list(&seg, x, &o) == 0 && strlen(o.name) == 63);
    ipc_shm_close(&seg);
    print_message("%zu places\n", i);
}

/* Memory is handed out between the directory and the end, or not at all. */
static void corrupt_counter_hands_out_nothing_outside(void **state)
{
    static const uint64_t bad[] = {0,
                                   1,
                                   HEADER - 1,
                                   HEADER + 4096,
                                   HEADER + 4097,
                                   HEADER + 8192,
                                   UINT64_C(1) << 32,
                                   UINT64_MAX / 2,
                                   UINT64_MAX - 64,
                                   UINT64_MAX - 63,
                                   UINT64_MAX - 62,
                                   UINT64_MAX - 1,
                                   UINT64_MAX};
    struct ipc_shm_object o;
    struct ipc_shm seg;
    unsigned wrong = 0;
    size_t i;
    int rc;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        seg.base->used = bad[i];
        rc = ipc_shm_make(&seg, "x", TYPE, 64, &o);
        if ((rc != -ENOSPC && rc != -EBADMSG) || seg.base->magic != IPC_SHM_MAGIC) {
            print_error("used %llx: make gave %d%s\n", (unsigned long long)bad[i], rc,
                        seg.base->magic != IPC_SHM_MAGIC ? " and wiped the header" : "");
            wrong++;
        }
        memset(ipc_shm_entry_at_(&seg, 0), 0, IPC_SHM_OBJECTS * sizeof(struct ipc_shm_entry_));
    }
    ipc_shm_close(&seg);
    print_message("%zu values\n", i);
    MUST(wrong == 0);
}

/* A number that is likely to break things. */
static uint64_t nasty(void)
{
    uint64_t r = chance();

    switch (r % 8) {
    case 0:
        return r >> 32;
    case 1:
        return (r >> 8) % 256;
    case 2:
        return HEADER + (r >> 8) % 16384;
    case 3:
        return HEADER + (r >> 8) % 256 * 64;
    case 4:
        return UINT64_MAX - (r >> 8) % 256;
    case 5:
        return UINT64_C(1) << (r >> 8) % 64;
    case 6:
        return (uint64_t)getpid();
    default:
        return r;
    }
}

static void spoil(struct ipc_shm *seg, uint64_t hash, uint32_t first, const uint64_t *id)
{
    struct ipc_shm_header_ *h = seg->base;
    struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, chance() % 8);
    struct ipc_shm_entry_ *e = ipc_shm_entry_at_(seg, (first + chance() % 8) % seg->objects);

    switch (chance() % 8) {
    case 0:
        h->used = nasty();
        break;
    case 1:
        h->generation = nasty();
        break;
    case 2:
        h->creator = nasty();
        break;
    case 3:
        m->id = chance() % 2 ? id[chance() % 4] : nasty();
        m->pid = (uint32_t)nasty();
        break;
    case 4:
        m->family = (uint32_t)nasty();
        m->pid_ns = chance() % 2 ? ipc_shm_pid_ns_() : nasty();
        break;
    case 5:
        e->state = chance() % 2 ? (nasty() << 62) | hash | id[chance() % 4] : nasty();
        break;
    case 6:
        e->offset = nasty();
        e->size = nasty();
        break;
    default:
        ((unsigned char *)e)[chance() % sizeof *e] = (unsigned char)chance();
    }
}

static void garbage_in_the_segment_crashes_nobody(void **state)
{
    enum { ROUNDS = 20000, HANDLES = 4 };
    struct ipc_shm seg[HANDLES], extra;
    unsigned i, rounds, found = 0, made = 0, alive = 0, opened = 0;
    struct ipc_shm_header_ *h;
    struct ipc_shm_object o;
    uint64_t hash, id[HANDLES];
    uint32_t first;
    size_t end;

    (void)state;
    DONE(ipc_shm_create(&seg[0], name, 16384), &seg[0]);
    for (i = 1; i < HANDLES; i++)
        DONE(ipc_shm_open(&seg[i], name, IPC_NOW), &seg[i]);
    for (i = 0; i < HANDLES; i++)
        id[i] = seg[i].peer.id;
    h = seg[0].base;
    end = seg[0].size;
    MUST(ipc_shm_object_name_(&seg[0], "x", &hash, &first) == 0);
#define INSIDE(object, s)                                                                          \
    ((char *)(object).mem >= (char *)(s).base && (object).size <= end &&                           \
     (size_t)((char *)(object).mem - (char *)(s).base) <= end - (object).size)
    for (rounds = 0; rounds < ROUNDS; rounds++) {
        struct ipc_shm *s = &seg[chance() % HANDLES];

        for (i = 0; i < 1 + chance() % 4; i++)
            spoil(&seg[0], hash, first, id);
        for (i = 0; i < 8; i++)
            if (ipc_shm_list(s, (first + i) % s->objects, &o) == 0)
                MUST(INSIDE(o, *s));
        if (ipc_shm_find(s, "x", TYPE, &o) == 0) {
            MUST(INSIDE(o, *s));
            found++;
        }
        if (ipc_shm_make(s, "x", TYPE, nasty() % 20000, &o) == 0) {
            MUST(INSIDE(o, *s));
            made++;
            (void)ipc_shm_publish(s, &o);
        }
        for (i = 0; i < 8; i++)
            alive += ipc_shm_alive(s, ipc_shm_member_of_(s, i)->id) != 0;
        (void)ipc_shm_alive(s, nasty());
        MUST(ipc_shm_peer(s)->id == s->peer.id);
        if (rounds % 16 == 0 && ipc_shm_open(&extra, name, IPC_NOW) == 0) {
            opened++;
            ipc_shm_close(&extra);
        }
        if (chance() % 8 == 0)
            memset(ipc_shm_entry_at_(s, 0), 0, IPC_SHM_OBJECTS * sizeof(struct ipc_shm_entry_));
        if (chance() % 8 == 0)
            h->used = HEADER, h->creator = id[0];
        h->magic = IPC_SHM_MAGIC; /* or the open above would see nothing of the rest */
    }
    for (i = 0; i < HANDLES; i++)
        ipc_shm_close(&seg[i]);
    print_message("note: %u rounds: found %u, made %u, opened %u, alive %u\n", rounds, found, made,
                  opened, alive);
    MUST(found > 0 && made > 0 && alive > 0);
}

static void refused_handle_may_be_asked_without_a_crash(void **state)
{
    struct ipc_shm no;
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        if (i == 0) {
            DONE(ipc_shm_create(&no, name, 64), &no);
            ipc_shm_close(&no);
            MUST(ipc_shm_unlink(name) == 0);
        } else {
            REFUSED(ipc_shm_open(&no, name, IPC_NOW), -ENOENT, &no, name);
        }
        MUST(ipc_shm_peer(&no)->id == 0);
    }
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

/* ------------------------------------------------------------------ typed rings in segments */

/* A ring of each kind is made for one version of its type. Neither end is for another. */
#define EXPECT_VERSIONS(OURS, OTHER, FIRST, SECOND, HOW, there, here)                              \
    do {                                                                                           \
        struct OURS##_##FIRST first;                                                               \
        struct OURS##_##SECOND second;                                                             \
        struct OTHER##_##FIRST other_first;                                                        \
        struct OTHER##_##SECOND other_second;                                                      \
                                                                                                   \
        DONE(OURS##_##FIRST##_create(&first, &seg, #OURS, 64 HOW), &seg);                          \
        DONE(OURS##_create(&seg, #OURS, 64 HOW), &seg);                                            \
        DONE(OURS##_##SECOND##_open(&second, &seg, #OURS), &seg);                                  \
        REFUSED(OTHER##_create(&seg, #OURS, 64 HOW), -EPROTO, &seg,                                \
                "ring '" #OURS "': message type of another version: " there " there, " here        \
                " here: build");                                                                   \
        REFUSED(OTHER##_##FIRST##_create(&other_first, &seg, #OURS, 64 HOW), -EPROTO, &seg,        \
                "of another version: " there " there, " here " here");                             \
        REFUSED(OTHER##_##SECOND##_open(&other_second, &seg, #OURS), -EPROTO, &seg,                \
                "of another version: " there " there, " here " here");                             \
        IS(OTHER##_##FIRST##_error(&other_first), -EPROTO);                                        \
        IS(OTHER##_##SECOND##_error(&other_second), -EPROTO);                                      \
        OURS##_##FIRST##_detach(&first);                                                           \
        OURS##_##SECOND##_detach(&second);                                                         \
    } while (0)
#define NOTHING
#define AND_HOW(how) , how

static void ring_of_another_version_of_the_type_is_refused(void **state)
{
    struct small_ring_2_producer out;
    struct small_ring_2_consumer in;
    struct small_ring_3_producer other;
    struct small_ring_consumer without;
    struct small_ring_producer none;
    struct small message = {1};
    struct lines_producer line;
    struct ipc_shm seg;
    struct ipc_peer me;
    void *mem;
    size_t size = small_ring_footprint(64);

    (void)state;
    DONE(ipc_shm_create(&seg, name, 256 << 10), &seg);
    EXPECT_VERSIONS(small_ring_2, small_ring_3, producer, consumer, NOTHING, "2", "3");
    EXPECT_VERSIONS(workers_3, workers_2, producer, consumer, AND_HOW(IPC_MPMC_AT_MOST_ONCE), "3",
                    "2");
    EXPECT_VERSIONS(feed, feed_3, producer, consumer, AND_HOW(IPC_BROADCAST_LOSSY), "0", "3");
    EXPECT_VERSIONS(samples_2, samples_3, producer, consumer, NOTHING, "2", "3");
    EXPECT_VERSIONS(adder_2, adder, client, server, NOTHING, "2", "0");
    ipc_shm_close(&seg);

    /* In memory of one's own, where there was anything before. */
    memset(&me, 0, sizeof me);
    me.id = 7;
    mem = aligned_alloc(64, size);
    MUST(mem != NULL);
    memset(mem, 0x5a, size);
    MUST(small_ring_2_init(mem, size, 64) == 0);
    MUST(small_ring_3_producer_attach(&other, mem, size, &me) == -EPROTO);
    MUST(strstr(me.why, "another version: 2 there, 3 here") != NULL);
    MUST(small_ring_consumer_attach(&without, mem, size, &me) == -EPROTO);
    MUST(small_ring_3_push(&other, &message) == -EPROTO);
    MUST(small_ring_2_producer_attach(&out, mem, size, &me) == 0);
    MUST(small_ring_2_consumer_attach(&in, mem, size, &me) == 0);
    MUST(small_ring_2_push(&out, &message) == 0 && small_ring_2_pop(&in, &message) == 0);
    MUST(small_ring_3_init(mem, size - 1, 64) == -ENOSPC);
    MUST(small_ring_3_init(mem, size, 63) == -EINVAL);
    MUST(small_ring_2_push(&out, &message) == 0);
    small_ring_2_consumer_detach(&in);
    MUST(small_ring_2_consumer_attach(&in, mem, size, &me) == 0);
    MUST(small_ring_3_init(mem, size, 64) == 0);
    MUST(small_ring_3_producer_attach(&other, mem, size, &me) == 0);
    MUST(ipc_spsc_init(mem, size, sizeof(struct small), 64) == 0);
    MUST(small_ring_producer_attach(&none, mem, size, &me) == 0);
    memset(mem, 0x5a, size);
    MUST(lines_init(mem, size, 256, 1) == 0);
    MUST(lines_producer_attach(&line, mem, size, &me) == 0);
    free(mem);
}

static void ring_of_another_type_or_capacity_is_refused_with_both_numbers(void **state)
{
    struct big_ring_producer wrong_out;
    struct big_ring_consumer wrong_in;
    struct small_ring_producer out, again;
    struct small_ring_consumer in;
    struct small message = {1};
    struct big large = {{1, 2, 3, 4, 5}};
    struct ipc_shm seg;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 64 << 10), &seg);
    REFUSED(small_ring_consumer_open(&in, &seg, "ring"), -ENOENT, &seg, "'ring'");
    MUST(small_ring_pop(&in, &message) == -ENOENT);
    DONE(small_ring_producer_create(&out, &seg, "ring", 64), &seg);
    REFUSED(big_ring_consumer_open(&wrong_in, &seg, "ring"), -EPROTO, &seg,
            "ring 'ring': message size differs; bytes: 8 there, 40 here: build its programs with the "
            "same type and headers, or use another name");
    REFUSED(big_ring_producer_create(&wrong_out, &seg, "ring", 64), -EPROTO, &seg,
            "ring 'ring': message size differs; bytes: 8 there, 40 here: build");
    MUST(big_ring_push(&wrong_out, &large) == -EPROTO);
    MUST(big_ring_push_n(&wrong_out, &large, 1) == -EPROTO);
    MUST(big_ring_claim(&wrong_out) == NULL && big_ring_commit(&wrong_out) == -EINVAL);
    MUST(big_ring_pop(&wrong_in, &large) == -EPROTO && big_ring_peek(&wrong_in) == NULL);
    MUST(big_ring_release(&wrong_in) == -EINVAL);
    big_ring_producer_detach(&wrong_out);
    big_ring_consumer_detach(&wrong_in);
    REFUSED(small_ring_producer_create(&again, &seg, "ring", 64), -EBUSY, &seg,
            "ring 'ring': this process has taken this end of the ring");
    REFUSED(small_ring_producer_open(&again, &seg, "ring"), -EBUSY, &seg,
            "detach there, or end that process, first");
    MUST(small_ring_push(&again, &message) == -EBUSY);
    small_ring_producer_detach(&out);
    MUST(small_ring_push(&out, &message) == -EINVAL);
    REFUSED(small_ring_producer_create(&again, &seg, "ring", 128), -EPROTO, &seg,
            "64 there, 128 here");
    MUST(small_ring_push(&again, &message) < 0);
    DONE(small_ring_producer_create(&again, &seg, "ring", 64),
         &seg); /* the refused handle holds no end */
    REFUSED(small_ring_producer_create(&out, &seg, "odd", 63), -EINVAL, &seg, "'odd'");
    REFUSED(small_ring_producer_create(&out, &seg, "large", 1 << 20), -ENOSPC, &seg, "no room");
    put(&seg, "no ring", "word");
    REFUSED(small_ring_consumer_open(&in, &seg, "no ring"), -EPROTO, &seg, "type");
    ipc_shm_close(&seg);
}

/* The footprint is no proof: two messages of 16 and 24 bytes take the same slots. */
static void create_compares_what_is_there_also_where_the_size_is_the_same(void **state)
{
    struct ipc_shm_object o;
    struct ipc_shm seg;

    (void)state;
    MUST(twos_footprint(64) == threes_footprint(64));
    DONE(ipc_shm_create(&seg, name, 64 << 10), &seg);
    DONE(twos_create(&seg, "ring", 64), &seg);
    DONE(twos_create(&seg, "ring", 64), &seg);
    REFUSED(threes_create(&seg, "ring", 64), -EPROTO, &seg,
            "ring 'ring': message size differs; bytes: 16 there, 24 here: build");
    DONE(ipc_shm_find(&seg, "ring", IPC_SPSC_TYPE, &o), &seg);
    ((struct ipc_ring_shared_ *)o.mem)->abi++;
    REFUSED(twos_create(&seg, "ring", 64), -EPROTO, &seg, "ring 'ring': ring of another version; ABI:");
    ipc_shm_close(&seg);
}

static void produces(struct child *up, void *arg)
{
    struct small_ring_producer out;
    struct small message;
    struct ipc_shm seg;
    uint64_t n = *(uint64_t *)arg;

    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    DONE(small_ring_producer_create(&out, &seg, "ring", 256), &seg);
    for (message.x = 1; message.x <= n; message.x++)
        MUST(small_ring_push(&out, &message) == 0);
    small_ring_claim(&out)->x = 12345; /* dies before the commit */
    tell(up, seg.peer.id);
    wait_for_death();
}

static void dead_producer_is_succeeded_behind_its_last_message(void **state)
{
    struct small_ring_producer out;
    struct small_ring_consumer in;
    struct small message;
    struct ipc_shm seg;
    struct child c;
    uint64_t n = 100, x;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 64 << 10), &seg);
    c = spawn(produces, &n);
    x = hear(&c);
    REFUSED(small_ring_producer_create(&out, &seg, "ring", 256), -EBUSY, &seg, "taken");
    stop_child(&c);
    REFUSED(small_ring_producer_create(&out, &seg, "ring", 256), -EBUSY, &seg, "taken");
    DONE(small_ring_consumer_open(&in, &seg, "ring"), &seg);
    MUST(small_ring_consumer_peer(&in) == x);
    for (x = 1; x <= 10; x++)
        MUST(small_ring_pop(&in, &message) == 0 && message.x == x);
    kill_child(&c);
    DONE(small_ring_producer_create(&out, &seg, "ring", 256), &seg);
    for (message.x = n + 1; message.x <= n + 50; message.x++)
        MUST(small_ring_push(&out, &message) == 0);
    for (; x <= n + 50; x++)
        MUST(small_ring_pop(&in, &message) == 0 && message.x == x);
    MUST(small_ring_pop(&in, &message) == -EAGAIN);
    ipc_shm_close(&seg);
}

struct consumption {
    uint64_t n, replay;
};

static void consumes(struct child *up, void *arg)
{
    const struct consumption *want = (const struct consumption *)arg;
    struct small_ring_consumer in;
    struct small message = {0};
    struct ipc_shm seg;
    uint64_t n;

    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    DONE(small_ring_consumer_open(&in, &seg, "ring"), &seg);
    small_ring_replay(&in, want->replay);
    for (n = 0; n < want->n; n++)
        MUST(small_ring_pop(&in, &message) == 0);
    tell(up, message.x);
    wait_for_death();
}

static void dead_consumer_is_succeeded_without_loss(void **state)
{
    static const struct consumption cases[] = {{1, 0},   {100, 0}, {1, 32},    {31, 32},
                                               {32, 32}, {33, 32}, {100, 32},  {100, 5},
                                               {256, 0}, {256, 9}, {100, 1000}};
    uint64_t first, x, seen = 0, bound;
    struct small_ring_producer out;
    struct small_ring_consumer in;
    struct small message;
    struct ipc_shm seg;
    struct child c;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct consumption how = cases[i];

        DONE(ipc_shm_create(&seg, name, 64 << 10), &seg);
        DONE(small_ring_producer_create(&out, &seg, "ring", 256), &seg);
        for (message.x = 1; message.x <= 256; message.x++)
            MUST(small_ring_push(&out, &message) == 0);
        c = spawn(consumes, &how);
        MUST(hear(&c) == how.n);
        REFUSED(small_ring_consumer_open(&in, &seg, "ring"), -EBUSY, &seg, "taken");
        stop_child(&c);
        REFUSED(small_ring_consumer_open(&in, &seg, "ring"), -EBUSY, &seg, "taken");
        kill_child(&c);
        DONE(small_ring_consumer_open(&in, &seg, "ring"), &seg);
        bound = how.replay < 128 ? how.replay : 128;
        x = 257;
        if (small_ring_pop(&in, &message) == 0) {
            first = message.x;
            MUST(first <= how.n + 1 && first + bound >= how.n + 1);
            seen += how.n + 1 - first;
            for (x = first + 1; small_ring_pop(&in, &message) == 0; x++)
                MUST(message.x == x);
        } else {
            MUST(how.n == 256);
        }
        MUST(x == 257);
        ipc_shm_close(&seg);
        MUST(ipc_shm_unlink(name) == 0);
    }
    print_message("%zu cases, %llu messages seen again\n", i, (unsigned long long)seen);
}

/* ------------------------------------------------------------------ all of them */

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, before, clean_up)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(create_then_open_finds_it),
        TEST(close_twice_and_close_of_a_refused_handle_do_nothing),
        TEST(unlinked_segment_stays_for_who_has_it),
        TEST(memory_is_zeroed_aligned_and_usable_to_the_last_byte),
        TEST(descriptor_is_closed_on_exec),
        TEST(bad_names_are_refused),
        TEST(impossible_sizes_are_refused),
        TEST(taken_name_is_refused_while_its_creator_lives),
        TEST(absent_segment_is_refused_at_the_deadline),
        TEST(a_deadline_that_is_no_time_is_refused),
        TEST(open_and_find_wait_for_who_comes_later),
        TEST(a_signal_ends_each_wait),
        TEST(a_long_wait_looks_less_often),
        TEST(mode_is_as_asked_whatever_the_umask),
        TEST(segment_open_to_more_people_than_asked_is_refused),
        TEST(segment_of_another_owner_is_refused_unless_asked_for),
        TEST(what_may_not_be_replaced_stays_as_it_was),
        TEST(symbolic_links_fifos_and_directories_are_refused),
        TEST(files_that_are_no_segments_are_refused),
        TEST(segment_of_another_layout_is_refused_and_why_says_which),
        TEST(full_dev_shm_is_an_error_and_no_signal),
        TEST(file_size_limit_is_an_error_and_no_signal),
        TEST(memory_that_may_not_be_locked_is_usable_all_the_same),
        TEST(signals_again_and_again_do_not_keep_create),
        TEST(memory_that_may_not_be_mapped_is_named_as_such),
        TEST(huge_pages_of_a_named_segment_are_as_dev_shm_is_mounted),
        TEST(options_for_pages_leave_a_usable_segment),
        TEST(exhausted_descriptors_are_named_as_such),
        TEST(remains_of_a_killed_creator_are_taken_over),
        TEST(segment_of_a_creator_that_closed_is_taken_over),
        TEST(remains_are_discarded_when_fresh_or_of_another_size),
        TEST(remains_in_use_are_not_discarded),
        TEST(open_or_create_takes_what_is_there),
        TEST(of_many_creators_exactly_one_gets_the_name),
        TEST(of_many_creators_exactly_one_takes_the_remains_over),
        TEST(of_many_creators_exactly_one_replaces_the_remains),
        TEST(open_or_create_gives_all_the_same_segment),
        TEST(creator_killed_at_every_system_call_leaves_whole_or_nothing),
        TEST(replacer_killed_at_every_system_call_leaves_whole_or_nothing),
        TEST(heir_killed_at_every_system_call_leaves_whole_or_nothing),
        TEST(opener_killed_at_every_system_call_harms_nobody),
        TEST(of_two_creators_one_gets_the_name_wherever_they_are_interrupted),
        TEST(of_two_creators_one_takes_over_wherever_they_are_interrupted),
        TEST(of_two_creators_one_replaces_wherever_they_are_interrupted),
        TEST(candidate_holds_up_no_other_who_replaces),
        TEST(creator_stopped_at_any_system_call_holds_up_no_other),
        TEST(creator_stopped_at_any_system_call_does_not_hold_up_open_or_create),
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
        TEST(objects_are_found_and_listed),
        TEST(object_names_have_1_to_63_bytes),
        TEST(object_that_does_not_fit_is_refused_and_a_smaller_one_works),
        TEST(there_is_room_for_64_objects),
        TEST(there_is_room_for_as_many_as_asked_for),
        TEST(a_dead_members_place_is_taken_when_no_other_is_left),
        TEST(remains_with_other_tables_are_discarded),
        TEST(many_objects_are_found_after_few_looks),
        TEST(unfinished_object_holds_up_no_other_name),
        TEST(names_with_the_same_hash_are_told_apart),
        TEST(publish_works_once_and_for_the_maker_alone),
        TEST(object_of_a_stopped_maker_is_busy_and_of_a_killed_one_made_again),
        TEST(processes_that_start_together_create_one_ring),
        TEST(of_many_makers_of_one_name_exactly_one_wins),
        TEST(makers_of_different_names_all_succeed),
        TEST(corrupt_directory_is_refused),
        TEST(corrupt_counter_hands_out_nothing_outside),
        TEST(garbage_in_the_segment_crashes_nobody),
        TEST(refused_handle_may_be_asked_without_a_crash),
        TEST(nameless_segment_is_sealed_and_can_be_passed_on),
        TEST(sealed_segment_serves_every_user_that_it_is_handed_to),
        TEST(named_segment_can_be_passed_on),
        TEST(what_is_no_segment_is_not_received),
        TEST(silence_and_a_closed_peer_are_told_apart),
        TEST(a_lease_on_what_is_sent_holds_up_no_receiver),
        TEST(a_lease_on_the_name_is_named_as_such),
        TEST(empty_memory_of_a_stranger_is_not_faulted_in),
        TEST(huge_pages_of_the_pool_stay_with_one_user),
        TEST(ring_of_another_type_or_capacity_is_refused_with_both_numbers),
        TEST(create_compares_what_is_there_also_where_the_size_is_the_same),
        TEST(ring_of_another_version_of_the_type_is_refused),
        TEST(dead_producer_is_succeeded_behind_its_last_message),
        TEST(dead_consumer_is_succeeded_without_loss),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("ipc_shm", tests, NULL, after_all);
}
