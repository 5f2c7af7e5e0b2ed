/*
 * Tests of segments in files: what survives a restart, what is refused, and what is on the disk
 * when the power fails. Real processes and files, in a folder of their own in TMPDIR.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

/* To know what is on the disk: see below. */
#include <sys/mman.h>
static int written_out(void *at, size_t bytes, int flags);
#define msync written_out

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>

#define SIZE 65536u
#define SLOTS 16u
#define RECORDS 1024u
#define PAGE 512u /* what a disk writes at once */

/* Long enough to lie on several lines. */
struct item {
    uint64_t number, filler[20], sum;
};
IPC_SPSC(spsc, struct item)
IPC_MPMC(mpmc, struct item)
IPC_RECORDS(records)

static char folder[200], path[300], other[300];

/* ------------------------------------------------------------------ what all use */

static void must_do(int rc, const struct ipc_shm *seg)
{
    if (rc != 0)
        dprintf(2, "%s\n", ipc_shm_why(seg));
    IS(rc, 0);
}

static struct ipc_shm_options with(unsigned flags)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;

    how.flags = flags;
    return how;
}

static int open_file(struct ipc_shm *seg, const char *file, unsigned flags)
{
    struct ipc_shm_options how = with(flags);

    return ipc_shm_open_with(seg, file, IPC_NOW, &how);
}

static int create_file(struct ipc_shm *seg, unsigned flags)
{
    struct ipc_shm_options how = with(flags);

    return ipc_shm_create_with(seg, path, SIZE, &how);
}

/* A refusal that names the cause. */
static void is_torn(int rc, const struct ipc_shm *seg)
{
    IS(rc, -EUCLEAN);
    MUST(strstr(ipc_shm_why(seg), "IPC_SHM_TORN") != NULL);
}

static struct ipc_shm_header_ header_of(const char *file)
{
    struct ipc_shm_header_ h;
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    memset(&h, 0, sizeof h);
    MUST(fd >= 0 && pread(fd, &h, sizeof h, 0) == (ssize_t)sizeof h);
    (void)close(fd);
    return h;
}

/* As if the machine had been started again. */
static void restart_machine(void)
{
    uint64_t boot = header_of(path).boot + 1;
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    MUST(fd >= 0 && pwrite(fd, &boot, 8, offsetof(struct ipc_shm_header_, boot)) == 8);
    (void)close(fd);
}

static struct item item(uint64_t number)
{
    struct item i;
    unsigned k;

    i.number = i.sum = number;
    for (k = 0; k < 20; k++)
        i.sum += i.filler[k] = number * (k + 3);
    return i;
}

static void is_whole(const struct item *i)
{
    struct item right = item(i->number);

    MUST(memcmp(i, &right, sizeof right) == 0);
}

/* ------------------------------------------------------------------ the disk */

/* What is on the disk of the model: a part of the file is written there when the kernel likes, or
 * by msync. Shared with the processes that use the file; `lock` is held for one part each. */
struct disk {
    uint32_t lock;
    uint32_t parts;   /* how many were written */
    uint32_t stop_at; /* at which of them its process gets the signal `stop` */
    int stop;
    unsigned char bytes[SIZE + 2 * 16384];
};
static struct disk *disk;

/* The file itself is in memory then. */
static void plug_disk(void)
{
    disk = (struct disk *)mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(disk != MAP_FAILED);
    (void)snprintf(path, sizeof path, IPC_SHM_DIR_ "%s", name);
    (void)snprintf(other, sizeof other, IPC_SHM_DIR_ "%s-copy", name);
}

static uint32_t luck = 1;

static uint32_t draw(uint32_t below)
{
    luck = luck * 1664525 + 1013904223;
    return (luck >> 8) % below;
}

/* Writes one part of the file to the disk. */
static void write_part(const unsigned char *from, size_t part)
{
    while (!ck_pr_cas_32(&disk->lock, 0, 1))
        (void)sched_yield();
    ck_pr_fence_memory();
    memcpy(disk->bytes + part * PAGE, from + part * PAGE, PAGE);
    if (++disk->parts == disk->stop_at)
        (void)kill(getpid(), disk->stop);
    ck_pr_fence_memory();
    ck_pr_store_32(&disk->lock, 0);
}

static int written_out(void *at, size_t bytes, int flags)
{
    size_t parts = bytes / PAGE, first = disk != NULL ? draw((uint32_t)parts) : 0, i;
#undef msync
    int rc = msync(at, bytes, flags);

    for (i = 0; disk != NULL && i < parts; i++)
        write_part((const unsigned char *)at, (first + i * 7) % parts); /* 7: no divisor */
    return rc;
}

/* ------------------------------------------------------------------ what survives */

static void makes_and_pushes(struct child *up, void *arg)
{
    uint64_t *count = (uint64_t *)arg, i;
    struct spsc_producer out;
    struct ipc_shm seg;
    struct item message;

    must_do(ipc_shm_create(&seg, path, SIZE), &seg);
    IS(seg.created, 1);
    must_do(spsc_producer_create(&out, &seg, "spsc", SLOTS), &seg);
    for (i = 0; i < *count; i++) {
        message = item(i);
        IS(spsc_push(&out, &message), 0);
    }
    tell(up, 0);
    (void)hear(up);
    spsc_producer_detach(&out);
    ipc_shm_close(&seg);
}

static void pops_all(struct ipc_shm *seg, uint64_t count)
{
    struct spsc_consumer in;
    struct item message;
    uint64_t i;

    must_do(spsc_consumer_open(&in, seg, "spsc"), seg);
    for (i = 0; i < count; i++) {
        IS(spsc_pop(&in, &message), 0);
        is_whole(&message);
        IS(message.number, i);
    }
    IS(spsc_pop(&in, &message), -EAGAIN);
    spsc_replay(&in, SLOTS / 2); /* what was taken is not published here */
    spsc_consumer_detach(&in);
}

static void what_all_have_closed_survives_a_restart(void **state)
{
    uint64_t count = 3;
    struct ipc_shm seg;
    struct child c;

    (void)state;
    c = spawn(makes_and_pushes, &count);
    (void)hear(&c);
    IS(header_of(path).epoch % 2, 1);
    must_do(open_file(&seg, path, 0), &seg);
    tell(&c, 0);
    finish(&c);
    IS(header_of(path).epoch % 2, 1); /* we have it open */
    ipc_shm_close(&seg);
    IS(header_of(path).epoch % 2, 0);
    restart_machine();
    must_do(open_file(&seg, path, IPC_SHM_READ_ONLY), &seg);
    ipc_shm_close(&seg);
    must_do(create_file(&seg, 0), &seg);
    IS(seg.created, 2);
    IS(header_of(path).epoch % 2, 1);
    pops_all(&seg, count);
    must_do(ipc_shm_sync(&seg), &seg);
    ipc_shm_close(&seg);
    ipc_shm_close(&seg);
    must_do(ipc_shm_open(&seg, path, IPC_NOW), &seg);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(path), 0);
    IS(ipc_shm_open(&seg, path, IPC_NOW), -ENOENT);
}

/* The machine stops while it is in use: refused, however often, until somebody says otherwise. */
static void what_was_in_use_is_refused_after_a_restart(void **state)
{
    uint64_t count = 4;
    struct ipc_shm seg;
    struct child c;
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        c = spawn(makes_and_pushes, &count);
        (void)hear(&c);
        kill_child(&c);
        must_do(open_file(&seg, path, 0), &seg); /* the same boot: a killed process costs nothing */
        ipc_shm_close(&seg);
        IS(header_of(path).epoch % 2, 0);
        must_do(open_file(&seg, path, 0), &seg);
        MUST(munmap(seg.life, seg.life_size) == 0);
        seg.mark[0] = 0; /* it closes nothing, as if it was killed */
        ipc_shm_close(&seg);
        restart_machine();
        is_torn(ipc_shm_open(&seg, path, IPC_FOREVER), &seg);
        is_torn(open_file(&seg, path, IPC_SHM_READ_ONLY), &seg);
        is_torn(create_file(&seg, 0), &seg);
        is_torn(ipc_shm_open_or_create(&seg, path, SIZE, NULL), &seg);
        is_torn(ipc_shm_open(&seg, path, IPC_NOW), &seg);
        if (i == 0) {
            must_do(create_file(&seg, IPC_SHM_FRESH), &seg);
            IS(seg.created, 1);
            IS(ipc_shm_find(&seg, "spsc", IPC_SPSC_TYPE, &(struct ipc_shm_object){0}), -ENOENT);
        } else {
            must_do(open_file(&seg, path, IPC_SHM_TORN), &seg);
            pops_all(&seg, count);
        }
        ipc_shm_close(&seg);
        must_do(open_file(&seg, path, 0), &seg);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(path), 0);
    }
}

static void copy_file(void)
{
    char part[4096];
    ssize_t n;
    int from = open(path, O_RDONLY | O_CLOEXEC);
    int to = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MUST(from >= 0 && to >= 0);
    while ((n = read(from, part, sizeof part)) > 0)
        MUST(write(to, part, (size_t)n) == n);
    (void)close(from);
    (void)close(to);
}

static void a_child_that_goes_on_keeps_the_file_in_use(void **state)
{
    struct ipc_shm seg;
    struct child c;
    uint64_t count = 1;

    (void)state;
    c = spawn(makes_and_pushes, &count);
    (void)hear(&c);
    must_do(open_file(&seg, path, 0), &seg);
    tell(&c, 0);
    finish(&c);
    MUST((c.pid = fork()) >= 0);
    if (c.pid == 0) {
        become_child();
        MUST(ipc_shm_peer(&seg)->id != 0);
        ipc_shm_close(&seg);
        _exit(0);
    }
    IS(waitpid(c.pid, NULL, 0), c.pid);
    IS(header_of(path).epoch % 2, 1);
    ipc_shm_close(&seg);
    IS(header_of(path).epoch % 2, 0);
}

/* ------------------------------------------------------------------ refusals */

static void fills_a_small_file_system(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, "size=256k") != 0)
        _exit(UNABLE);
    IS(ipc_shm_create(&seg, path, 1 << 20), -ENOSPC);
    MUST(strstr(ipc_shm_why(&seg), folder) != NULL);
    IS(access(path, F_OK), -1);
    must_do(ipc_shm_create(&seg, path, SIZE), &seg);
    memset((char *)seg.base + 16384, 1, SIZE);
    ipc_shm_close(&seg);
}

static void limits_file_size(struct child *up, void *arg)
{
    struct rlimit limit = {8192, 8192};
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    IS(ipc_shm_create(&seg, path, SIZE), -EFBIG);
}

static void meets_anothers(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    MUST(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    IS(open_file(&seg, path, 0), -EACCES);
    IS(create_file(&seg, 0), -EACCES);
    IS(ipc_shm_unlink(path), -EACCES);
}

static void files_are_refused_by_the_rules_of_names(void **state)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    char deep[400], long_path[PATH_MAX + 10];
    struct ipc_shm seg;
    int fd, rc;

    (void)state;
    (void)snprintf(deep, sizeof deep, "%s/none/file", folder);
    IS(ipc_shm_open(&seg, path, IPC_NOW), -ENOENT);
    IS(ipc_shm_create(&seg, deep, SIZE), -ENOENT);
    MUST(strstr(ipc_shm_why(&seg), "none/") != NULL);
    memset(long_path, '/', sizeof long_path);
    long_path[PATH_MAX] = 'x';
    long_path[PATH_MAX + 1] = '\0';
    IS(ipc_shm_create(&seg, long_path, SIZE), -ENAMETOOLONG);
    IS(ipc_shm_open(&seg, "/feed", IPC_NOW), -EINVAL);
    MUST(strstr(ipc_shm_why(&seg), "shm_open") != NULL);

    must_do(ipc_shm_create(&seg, path, SIZE), &seg);
    IS(create_file(&seg, 0), -EEXIST);
    MUST(symlink(path, other) == 0);
    IS(open_file(&seg, other, 0), -ELOOP);
    IS(ipc_shm_unlink(other), -ELOOP);
    MUST(unlink(other) == 0 && mkfifo(other, 0600) == 0);
    IS(open_file(&seg, other, 0), -EPROTO);
    IS(ipc_shm_unlink(other), -EPROTO);
    MUST(unlink(other) == 0);
    IS(open_file(&seg, folder, 0), -EISDIR);
    IS(chmod(path, 0640), 0);
    IS(open_file(&seg, path, 0), -EACCES);
    how.mode = 0640;
    IS(ipc_shm_open_with(&seg, path, IPC_NOW, &how), 0);
    ipc_shm_close(&seg);
    if (geteuid() == 0) {
        MUST(chmod(folder, 0755) == 0);
        IS(run(meets_anothers, NULL), 0);
    }
    IS(ipc_shm_unlink(path), 0);

    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* some file of the user */
    MUST(fd >= 0 && ftruncate(fd, 100000) == 0);
    (void)close(fd);
    IS(open_file(&seg, path, 0), -EPROTO);
    IS(create_file(&seg, IPC_SHM_FRESH), -EPROTO);
    IS(ipc_shm_unlink(path), -EPROTO);
    MUST(unlink(path) == 0);
    IS(run(limits_file_size, NULL), 0);
    rc = run(fills_a_small_file_system, NULL);
    if (rc == UNABLE)
        print_message("note: skipped: cannot mount a small file system\n");
    else
        IS(rc, 0);
}

/* ------------------------------------------------------------------ the last one to leave */

static void opens_and_leaves(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    must_do(open_file(&seg, path, 0), &seg);
    be_traced();
    ipc_shm_close(&seg);
}

static void refuses_to_replace(struct child *up, void *arg)
{
    struct ipc_shm seg;
    int rc;

    (void)up;
    (void)arg;
    be_traced();
    rc = create_file(&seg, 0);
    MUST(rc == -EEXIST || rc == 0); /* or it takes over what the other has left meanwhile */
    if (rc == 0)
        ipc_shm_close(&seg);
}

/* Another leaves while one is stopped at each of its system calls: whoever is the last says that the
 * segment is whole. */
static void last_to_leave_says_that_it_is_whole(void **state)
{
    static body *const others[] = {opens_and_leaves, refuses_to_replace};
    unsigned i, n;

    (void)state;
    for (i = 0; i < 2; i++) {
        int more = 1;

        for (n = 1; more != 0; n++) {
            struct ipc_shm seg;
            struct child c;

            must_do(ipc_shm_create(&seg, path, SIZE), &seg);
            more = run_to(&c, others[i], n);
            SKIP_IF(more < 0, "may not trace");
            ipc_shm_close(&seg);
            if (more != 0) {
                MUST(ptrace(PTRACE_DETACH, c.pid, NULL, NULL) == 0);
                IS(reap(&c), 0);
            }
            IS(header_of(path).epoch % 2, 0);
            IS(ipc_shm_unlink(path), 0);
        }
        print_message("note: stopped at %u points\n", n - 2);
        MUST(n > 8);
    }
}

static void opens_without_descriptors(struct child *up, void *arg)
{
    struct ipc_shm_options how = with(IPC_SHM_READ_ONLY);
    struct rlimit limit = {0, 0};
    struct ipc_shm seg;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), rc;

    (void)up;
    (void)arg;
    MUST(fd >= 0);
    for (limit.rlim_cur = limit.rlim_max = 64; fd >= 0 && fd < 62;)
        fd = dup(fd);
    (void)close(fd);
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && fd < 62)
        ;
    if (fd == 62)
        (void)close(fd); /* one for the segment, none to learn which boot this is */
    (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
    rc = ipc_shm_open_with(&seg, path, IPC_NOW, &how);
    IS(rc, -EMFILE);
}

static void segment_is_not_torn_where_descriptors_are_missing(void **state)
{
    struct ipc_shm seg;

    (void)state;
    must_do(ipc_shm_create(&seg, path, SIZE), &seg);
    IS(run(opens_without_descriptors, NULL), 0);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(path), 0);
}

/* ------------------------------------------------------------------ the power fails */

/* Opens the file, moves some messages through the rings of it, and closes it, again and again. What
 * it takes is right. */
static void uses_again_and_again(struct child *up, void *arg)
{
    struct spsc_producer sp;
    struct spsc_consumer sc;
    struct mpmc_producer mp;
    struct mpmc_consumer mc;
    struct records_producer rp;
    struct records_consumer rc;
    struct ipc_shm seg;
    struct item m;
    uint64_t n = 0, i, count;

    (void)arg;
    for (;; tell(up, n)) {
        if (n > 0)
            (void)hear(up);
        must_do(ipc_shm_open_or_create(&seg, path, SIZE, NULL), &seg);
        must_do(spsc_producer_create(&sp, &seg, "spsc", SLOTS), &seg);
        must_do(spsc_consumer_open(&sc, &seg, "spsc"), &seg);
        must_do(mpmc_producer_create(&mp, &seg, "mpmc", SLOTS, IPC_MPMC_AT_MOST_ONCE), &seg);
        must_do(mpmc_consumer_open(&mc, &seg, "mpmc"), &seg);
        must_do(records_producer_create(&rp, &seg, "records", RECORDS * 4, 1), &seg);
        must_do(records_consumer_open(&rc, &seg, "records"), &seg);
        count = draw(100) + 1;
        for (i = 0; i < count; i++, n++) {
            m = item(n);
            while (spsc_push(&sp, &m) != 0 || mpmc_push(&mp, &m) != 0 ||
                   records_push(&rp, &m, sizeof m) != 0)
                MUST(!"room");
            if (n >= 8) { /* some stay in the rings */
                IS(spsc_pop(&sc, &m), 0);
                is_whole(&m);
                IS(mpmc_pop(&mc, &m), 0);
                is_whole(&m);
                IS(records_pop(&rc, &m, sizeof m), sizeof m);
                is_whole(&m);
            }
            write_part((const unsigned char *)seg.base, draw(seg.size / PAGE)); /* as it likes */
        }
        spsc_producer_detach(&sp);
        spsc_consumer_detach(&sc);
        mpmc_producer_detach(&mp);
        mpmc_consumer_detach(&mc);
        records_producer_detach(&rp);
        records_consumer_detach(&rc);
        ipc_shm_close(&seg);
    }
}

/* What is left in the file after the power has failed, if it is believed: whole and in order, up to
 * the number n, where that is not 0. */
static void expect_whole(struct ipc_shm *seg, uint64_t n)
{
    struct spsc_consumer sc;
    struct mpmc_consumer mc;
    struct records_consumer rc;
    uint64_t next[3] = {0, 0, 0};
    unsigned got[3] = {0, 0, 0}, k;
    struct item m;

    must_do(spsc_consumer_open(&sc, seg, "spsc"), seg);
    must_do(mpmc_consumer_open(&mc, seg, "mpmc"), seg);
    must_do(records_consumer_open(&rc, seg, "records"), seg);
    for (k = 0; k < 3;) {
        int64_t rc_ = k == 0   ? spsc_pop(&sc, &m)
                      : k == 1 ? mpmc_pop(&mc, &m)
                               : records_pop(&rc, &m, sizeof m);

        if (rc_ == -EAGAIN) {
            k++;
            continue;
        }
        MUST(rc_ == 0 || rc_ == sizeof m);
        is_whole(&m);
        MUST(got[k]++ == 0 || m.number == next[k]);
        next[k] = m.number + 1;
    }
    for (k = 0; k < 3; k++)
        MUST(next[k] == (n != 0 ? n : next[0]) && got[k] == (next[k] < 8 ? next[k] : 8));
}

/* Puts what is on the model's disk into the file, of which no process has a page. */
static void power_fails(void)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    disk->lock = 0; /* a killed process may have it */
    MUST(fd >= 0 && pwrite(fd, disk->bytes, SIZE + 16384, 0) == SIZE + 16384);
    (void)close(fd);
    restart_machine();
}

#define FAILURES 60u
#define TURN 176u /* parts that are written in each turn, at least */

static void after_a_power_cut_nothing_torn_is_taken_for_whole(void **state)
{
    unsigned i, refused = 0, whole = 0;

    (void)state;
    plug_disk();
    for (i = 0; i < FAILURES; i++) {
        struct child c;
        struct ipc_shm seg;
        uint64_t n = 0, closes = draw(4) + 1;

        memset(disk, 0, sizeof *disk);
        luck += i;
        c = spawn(uses_again_and_again, NULL);
        for (; closes > 0; closes--) {
            n = hear(&c);
            if (closes > 1)
                tell(&c, 0);
        }
        if (i % 2 != 0) { /* it is killed somewhere in the next turn */
            n = 0;
            disk->stop = SIGKILL;
            disk->stop_at = disk->parts + 1 + draw(TURN);
            tell(&c, 0);
            was_killed(&c);
        } else {
            kill_child(&c);
        }
        power_fails();
        if (open_file(&seg, path, 0) == 0) {
            MUST(seg.base->epoch % 2 != 0); /* it is ours now */
            expect_whole(&seg, n);
            ipc_shm_close(&seg);
            whole++;
        } else {
            MUST(i % 2 != 0 && strstr(ipc_shm_why(&seg), "torn") != NULL);
            refused++;
        }
        MUST(unlink(path) == 0);
    }
    print_message("note: the power failed %u times: %u refused, %u whole\n", i, refused, whole);
    MUST(whole >= FAILURES / 2 && refused > FAILURES / 8);
}

static void copies_of_a_file_in_use_are_refused(void **state)
{
    unsigned i, odd = 0;
    struct ipc_shm seg;
    struct child c;
    uint64_t n = 0;

    (void)state;
    plug_disk();
    c = spawn(uses_again_and_again, NULL);
    n = hear(&c);
    for (i = 0; i < 200; i++) {
        int status = 0;

        disk->stop = SIGSTOP; /* or it runs, while it is copied */
        disk->stop_at = i % 2 != 0 ? disk->parts + 1 + draw(TURN) : 0;
        tell(&c, 0);
        MUST(i % 2 == 0 || (waitpid(c.pid, &status, WUNTRACED) == c.pid && WIFSTOPPED(status)));
        copy_file();
        signal_child(&c, SIGCONT);
        n = hear(&c);
        odd += header_of(other).epoch % 2 != 0;
        is_torn(open_file(&seg, other, 0), &seg);
        is_torn(open_file(&seg, other, IPC_SHM_READ_ONLY), &seg);
    }
    copy_file(); /* nobody has it open: who knows that may say so */
    is_torn(open_file(&seg, other, 0), &seg);
    must_do(open_file(&seg, other, IPC_SHM_TORN), &seg);
    expect_whole(&seg, n);
    ipc_shm_close(&seg);
    must_do(open_file(&seg, other, 0), &seg); /* a segment of its own from then on */
    ipc_shm_close(&seg);
    print_message("note: %u copies, %u of them in use\n", i, odd);
    kill_child(&c);
}

/* ------------------------------------------------------------------ all tests */

static int choose_files(void **state)
{
    (void)snprintf(path, sizeof path, "%s/segment", folder);
    (void)snprintf(other, sizeof other, "%s/other", folder);
    return next_name(state);
}

static int clear_folder(void **state)
{
    if (disk != NULL)
        (void)munmap(disk, sizeof *disk);
    disk = NULL;
    (void)unlink(path);
    (void)unlink(other);
    return clean_up(state);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, choose_files, clear_folder)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_all_have_closed_survives_a_restart),
        TEST(what_was_in_use_is_refused_after_a_restart),
        TEST(a_child_that_goes_on_keeps_the_file_in_use),
        TEST(files_are_refused_by_the_rules_of_names),
        TEST(last_to_leave_says_that_it_is_whole),
        TEST(segment_is_not_torn_where_descriptors_are_missing),
        TEST(after_a_power_cut_nothing_torn_is_taken_for_whole),
        TEST(copies_of_a_file_in_use_are_refused),
    };
    const char *tmp = getenv("TMPDIR");
    int rc;

    set_up(argc, argv);
    (void)snprintf(folder, sizeof folder, "%.100s/ipc-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(folder) == NULL)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(folder);
    return rc;
}
