/*
 * Tests of ipc_shm.h: whole segments, refusals, owners, what the system lacks.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

/* See fallocate_of_an_old_kernel. */
#define posix_fallocate fallocate_of_an_old_kernel
#include "shm.h"

#include <sys/resource.h>

/* ------------------------------------------------------------------ what is in /dev/shm */

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

static long faults(void)
{
    struct rusage used;

    MUST(getrusage(RUSAGE_SELF, &used) == 0);
    return used.ru_minflt;
}

/* What is there is mapped by sixteen pages at a time, and can be written without another fault. */
static void who_opens_takes_few_page_faults(void **state)
{
    long page = getpagesize(), pages = 512, before, opened;
    struct ipc_shm seg, second;
    long i;

    (void)state;
    SKIP_IF(is_emulated(), "qemu-user has page faults of its own");
    DONE(ipc_shm_create(&seg, name, (size_t)(pages * page)), &seg);
    SKIP_IF(madvise(seg.base, (size_t)page, MADV_POPULATE_READ) != 0, "Linux before 5.14");
    before = faults();
    DONE(ipc_shm_open(&second, name, ipc_in_ms(LONG_MS)), &second);
    opened = faults();
    MUST(opened - before < pages / 2);
    for (i = 0; i < pages; i++)
        ((volatile unsigned char *)second.base)[HEADER + (size_t)(i * page)] = 1;
    MUST(faults() - opened < pages / 2);
    ipc_shm_close(&second);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(name), 0);
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
        REFUSED(ipc_shm_create(&seg, NULL, (size_t)(UINT64_C(1) << 52)), -ENOSPC, &seg, "free");
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

static void no_options_are_the_defaults(void **state)
{
    struct ipc_shm a, b;
    int pair[2], fd;

    (void)state;
    DONE(ipc_shm_create_with(&a, name, 64, NULL), &a);
    IS(stat_of(name).st_mode & 0777, 0600);
    DONE(ipc_shm_open_with(&b, name, IPC_NOW, NULL), &b);
    ipc_shm_close(&b);
    DONE(ipc_shm_open_fd(&b, a.fd, NULL), &b);
    ipc_shm_close(&b);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    IS(ipc_shm_send(&a, pair[0]), 0);
    DONE(ipc_shm_recv_with(&b, pair[1], IPC_NOW, NULL), &b);
    ipc_shm_close(&b);
    for (fd = 0; fd < 2; fd++)
        (void)close(pair[fd]);
    ipc_shm_close(&a);
    IS(ipc_shm_unlink_dead(&b, name, NULL), 0);
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

static void meets_what_it_may_not_open(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    become_user(65534, 65534);
    REFUSED(ipc_shm_create(&seg, name, 64), -EACCES, &seg, "user 1");
    MUST(strstr(ipc_shm_why(&seg), "ipc_shm_unlink") != NULL);
    REFUSED(ipc_shm_open(&seg, name, IPC_NOW), -EACCES, &seg, "options.owner");
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
    MUST(ipc_shm_unlink(name) == 0);
    make_file(name, NULL, 0); /* what is no segment, too, can stand in the way */
    MUST(chown(path_of(name), 1, (gid_t)-1) == 0);
    REFUSED(ipc_shm_create(&seg, name, 64), -EACCES, &seg, "ipc_shm_unlink");
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
    SKIP_IF(SANITIZED, "mlockall does nothing under AddressSanitizer");
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
    MUST(seg.lock_rc < 0 || SANITIZED); /* mlock then does nothing, and succeeds */
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

/* ------------------------------------------------------------------ all of them */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(create_then_open_finds_it),
        TEST(close_twice_and_close_of_a_refused_handle_do_nothing),
        TEST(unlinked_segment_stays_for_who_has_it),
        TEST(memory_is_zeroed_aligned_and_usable_to_the_last_byte),
        TEST(who_opens_takes_few_page_faults),
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
        TEST(no_options_are_the_defaults),
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
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("ipc_shm", tests, NULL, after_all);
}
