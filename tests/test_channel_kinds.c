/*
 * Channels: what only pipes, queues, logs and signals have; and removing, of all mechanisms.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

/* To come between: see below. */
#include <string.h>
#include <sys/msg.h>
#include <sys/stat.h>
static ssize_t watched_msgrcv(int queue, void *to, size_t n, long type, int flags);
static int watched_chmod(const char *path, mode_t mode);
static char *watched_strdup(const char *text);
#undef strdup
#define msgrcv watched_msgrcv
#define chmod watched_chmod
#define strdup watched_strdup
#include "channel.h"
#undef msgrcv
#undef chmod
#undef strdup

/* ------------------------------------------------------------------ the calls of the headers */

static void (*between)(void); /* runs once, behind the next msgrcv */
static int without_proc, without_memory;

static ssize_t watched_msgrcv(int queue, void *to, size_t n, long type, int flags)
{
    ssize_t got = msgrcv(queue, to, n, type, flags);
    void (*other)(void) = between;
    int error = errno;

    between = NULL;
    if (other != NULL)
        other();
    errno = error;
    return got;
}

/* The headers change a mode by a path in /proc. */
static int watched_chmod(const char *path, mode_t mode)
{
    if (!without_proc)
        return chmod(path, mode);
    errno = ENOENT;
    return -1;
}

static char *watched_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = without_memory ? NULL : (char *)malloc(n);

    if (copy != NULL)
        memcpy(copy, text, n);
    else
        errno = ENOMEM;
    return copy;
}

static void every_refusal_has_a_sentence(void **state)
{
    (void)state;
    choose(row_of("unix"));
    without_memory = 1;
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -ENOMEM);
    without_memory = 0;
    MUST(strstr(ipc_channel_why(&ch), uri) != NULL);
}

/* ------------------------------------------------------------------ FIFOs and pipes */

static void sends_short_ones(struct child *up, void *arg)
{
    uint64_t i;
    char message[4088];

    (void)arg;
    open_as(IPC_SEND);
    tell(up, 1);
    (void)hear(up); /* all senders are there */
    for (i = 0; i < 400; i++) {
        memset(message, (int)(getpid() & 0xff), sizeof message);
        memcpy(message, &i, sizeof i);
        IS(ipc_channel_send(&ch, message, i % 2 ? sizeof message : 100, ipc_in_ms(LONG_MS)), 0);
    }
    ipc_channel_close(&ch);
}

static void senders_that_share_a_pipe_do_not_mix(void **state)
{
    (void)state;
    EACH_ROW(FRAMED)
    {
        struct child c[5];
        uint64_t next[256] = {0}, i;
        int k;

        if (!NAMED("pipe") && !NAMED("fifo"))
            continue;
        open_as(IPC_RECV | IPC_LISTEN);
        for (k = 0; k < 5; k++)
            c[k] = spawn(sends_short_ones, NULL);
        for (k = 0; k < 5; k++)
            (void)hear(&c[k]);
        for (k = 0; k < 5; k++)
            tell(&c[k], 0);
        for (i = 0; i < 2000; i++) {
            int64_t n = ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS));
            uint64_t number;
            int64_t b;

            MUST(n == 100 || n == 4088);
            memcpy(&number, scratch, sizeof number);
            for (b = 9; b < n; b++)
                MUST(scratch[b] == scratch[8]);
            IS(number, next[(unsigned char)scratch[8]]++);
        }
        for (k = 0; k < 5; k++)
            finish(&c[k]);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
        over();
    }
}

static void fifo_is_a_fifo(void **state)
{
    char path[160], other[170];
    struct stat st;
    int fd;

    (void)state;
    (void)snprintf(path, sizeof path, "/dev/shm/%.100s", name);
    (void)snprintf(uri, sizeof uri, "fifo:/dev/shm/%s", name);
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && close(fd) == 0);
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EPROTO);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), -EPROTO);
    IS(unlink(path), 0);
    IS(symlink("/dev/null", path), 0);
    IS(ipc_channel_open(&ch, uri, IPC_RECV, IPC_NOW), -ELOOP);
    IS(unlink(path), 0);
    /* If something else is at the path, its mode is not changed. */
    (void)snprintf(other, sizeof other, "%.150s-file", path);
    fd = open(other, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && symlink(other, path) == 0);
    ch.address = path;
    ch.how.mode = 0666;
    IS(ipc_channel_set_mode_(&ch, S_IFIFO, &st), -EPROTO);
    IS(fstat(fd, &st), 0);
    IS(st.st_mode & 0777, 0600);
    ch.address = NULL;
    MUST(close(fd) == 0 && unlink(other) == 0 && unlink(path) == 0);
    (void)snprintf(uri, sizeof uri, "unix:/dev/shm/%s", name);
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && close(fd) == 0);
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EADDRINUSE);
    IS(unlink(path), 0); /* not a socket, so it is still there */
}

static void may_make_nothing(struct child *up, void *arg)
{
    (void)up, (void)arg;
    MUST(geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EACCES);
    MUST(strstr(ipc_channel_why(&ch), strerror(EACCES)) != NULL);
}

static void a_fifo_that_cannot_be_made_says_why(void **state)
{
    char path[160];

    (void)state;
    (void)snprintf(path, sizeof path, "/dev/shm/%.100s", name);
    (void)snprintf(uri, sizeof uri, "fifo:%s/fifo", path);
    IS(mkdir(path, 0555), 0);
    IS(run(may_make_nothing, NULL), 0);
    IS(rmdir(path), 0);
}

/* As where /proc is not mounted. It is needed only where the umask takes from the mode. */
static void has_no_proc(struct child *up, void *arg)
{
    static const char *const schemes[] = {"unix", "unix-seq", "unix-dgram", "fifo"};
    struct ipc_channel_options how;
    struct stat st;
    int i;

    (void)up, (void)arg;
    memset(&how, 0, sizeof how);
    how.mode = 0660;
    without_proc = 1;
    for (i = 0; i < 4; i++) {
        const char *path;

        choose(row_of(schemes[i]));
        path = strchr(uri, ':') + 1;
        (void)umask(077);
        IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -ENOSYS);
        MUST(strstr(ipc_channel_why(&ch), "/proc") != NULL);
        MUST(lstat(path, &st) != 0 && errno == ENOENT); /* nothing is left */
        IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
        MUST(lstat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
        over();
    }
}

static void without_proc_files_have_their_mode_or_are_not_left(void **state)
{
    (void)state;
    IS(run(has_no_proc, NULL), 0);
}

/* ------------------------------------------------------------------ queues */

static void priorities_come_highest_first_and_types_as_selected(void **state)
{
    static const uint32_t order[] = {3, 1, 2, 3, 2};
    struct ipc_channel_options how;
    struct ipc_channel out;
    int i;

    (void)state;
    memset(&how, 0, sizeof how);
    EACH_ROW(KEEPS)
    {
        if (!NAMED("mq") && !NAMED("sysv"))
            continue;
        how.priority = 3;
        IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
        IS(ipc_channel_open_with(&out, uri, IPC_SEND, IPC_NOW, &how), 0);
        for (i = 0; i < 5; i++) {
            out.priority = order[i];
            IS(ipc_channel_send(&out, &"abcde"[i], 1, IPC_NOW), 0);
        }
        for (i = 0; i < 5; i++) {
            if (NAMED("sysv"))
                ch.select = i == 0 ? 2 : i == 4 ? 0 : -3;
            IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), 1);
            scratch[i + 10] = scratch[0];
            IS(ch.came, order[scratch[0] - 'a']);
        }
        MUST(memcmp(scratch + 10, NAMED("mq") ? "adceb" : "cbead", 5) == 0);
        ipc_channel_close(&out);
        over();
    }
    how.priority = 1;
    EACH_ROW(0)
    {
        if (NAMED("mq") || NAMED("sysv") || NAMED("signal"))
            continue;
        IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EOPNOTSUPP);
    }
    how.priority = 0;
    how.select = 1;
    EACH_ROW(0)
    {
        if (NAMED("sysv"))
            continue;
        IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EOPNOTSUPP);
    }
}

static void queues_have_the_size_asked_for_or_are_refused(void **state)
{
    struct ipc_channel_options how;

    (void)state;
    memset(&how, 0, sizeof how);
    how.max = 100;
    how.depth = 3;
    (void)snprintf(uri, sizeof uri, "mq:%s", name);
    IS(ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), 0);
    IS(largest(), 100);
    IS(ipc_channel_send(&ch, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, scratch, 0, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, scratch, 0, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&ch);
    how.max = 200;
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EPROTO);
    how.max = 1 << 30;
    (void)ipc_channel_unlink(uri);
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EINVAL);
    MUST(strstr(ipc_channel_why(&ch), "msgsize_max") != NULL);
    IS(ipc_channel_open(&ch, "mq:a/b", IPC_RECV, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "sysv:x", IPC_RECV, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "sysv:0", IPC_RECV, IPC_NOW), -EINVAL);
}

static void removed_queue_ends_the_wait(void **state)
{
    struct child c;

    (void)state;
    choose(row_of("sysv"));
    open_as(IPC_RECV | IPC_LISTEN);
    c = spawn(sends_until_told, NULL);
    recv_one(0, 8);
    kill_child(&c);
    IS(ipc_channel_unlink(uri), 0);
    MUST(ipc_channel_recv(&ch, scratch, 8, IPC_NOW) < 0);
    over();
}

static struct ipc_channel rival;
static int64_t rivals;

static void the_rival_receives(void)
{
    rivals = ipc_channel_recv(&rival, scratch + 1000, 1000, IPC_NOW);
}

/* The message at the queue's head is longer than both receivers take. While one of them is in recv,
 * the other one drops it: then the message behind it is there. */
static void of_two_that_drop_a_message_neither_drops_another(void **state)
{
    struct ipc_channel_options how;
    struct ipc_channel out;
    int64_t got;

    (void)state;
    memset(&how, 0, sizeof how);
    how.max = 100;
    choose(row_of("sysv"));
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), 0);
    IS(ipc_channel_open_with(&rival, uri, IPC_RECV, IPC_NOW, &how), 0);
    IS(ipc_channel_open(&out, uri, IPC_SEND, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 200, IPC_NOW), 0);
    IS(ipc_channel_send(&out, "good", 4, IPC_NOW), 0);
    between = the_rival_receives;
    got = ipc_channel_recv(&ch, scratch, 1000, IPC_NOW);
    MUST(between == NULL && (got == -EBADMSG) + (rivals == -EBADMSG) == 1);
    MUST((got == 4) + (rivals == 4) == 1);
    MUST(memcmp(scratch + (got == 4 ? 0 : 1000), "good", 4) == 0);
    IS(ipc_channel_recv(&ch, scratch, 1000, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&out);
    ipc_channel_close(&rival);
    over();
}

/* ------------------------------------------------------------------ logs */

static void torn_tail_is_cut_off_and_nothing_before_it(void **state)
{
    struct ipc_channel in;
    char path[160];
    struct stat st;
    off_t whole;
    off_t cut;

    (void)state;
    (void)snprintf(path, sizeof path, "/dev/shm/%.100s", name);
    (void)snprintf(uri, sizeof uri, "file:%s", path);
    IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, "one", 3, IPC_NOW), 0);
    IS(stat(path, &st), 0);
    whole = st.st_size;
    for (cut = 1; cut < 26; cut++) {
        IS(ipc_channel_send(&ch, "0123456789", 10, IPC_NOW), 0);
        ipc_channel_close(&ch);
        IS(truncate(path, whole + cut), 0); /* as a killed writer leaves it */
        IS(ipc_channel_open(&in, uri, IPC_RECV, IPC_NOW), 0);
        IS(ipc_channel_recv(&in, scratch, 100, IPC_NOW), 3);
        IS(ipc_channel_recv(&in, scratch, 100, IPC_NOW), -ETIMEDOUT);
        IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
        IS(stat(path, &st), 0);
        IS(st.st_size, whole);
        IS(ipc_channel_send(&ch, "two", 3, IPC_NOW), 0);
        IS(ipc_channel_recv(&in, scratch, 100, ipc_in_ms(LONG_MS)), 3);
        MUST(memcmp(scratch, "two", 3) == 0);
        ipc_channel_close(&in);
        IS(truncate(path, whole), 0);
        ipc_channel_close(&ch);
        IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    }
    over();
}

static void reader_resumes_where_it_was(void **state)
{
    struct ipc_channel_options how;
    struct ipc_channel in[3];
    uint64_t i;
    int k;

    (void)state;
    memset(&how, 0, sizeof how);
    choose(row_of("file"));
    open_as(IPC_SEND | IPC_LISTEN);
    for (i = 0; i < 100; i++)
        send_one(i, length_of(i, 5000));
    for (k = 0; k < 3; k++) /* many readers */
        IS(ipc_channel_open(&in[k], uri, IPC_RECV, IPC_NOW), 0);
    for (k = 0; k < 3; k++)
        for (i = 0; i < 100; i++) {
            struct ipc_channel_facts facts;
            struct ipc_channel again;

            check_one(i, length_of(i, 5000), ipc_channel_recv(&in[k], scratch, 1 << 20, IPC_NOW));
            IS(ipc_channel_info(&in[k], &facts), 0);
            how.offset = facts.offset;
            IS(ipc_channel_open_with(&again, uri, IPC_RECV, IPC_NOW, &how), 0);
            if (i < 99)
                check_one(i + 1, length_of(i + 1, 5000),
                          ipc_channel_recv(&again, scratch, 1 << 20, IPC_NOW));
            ipc_channel_close(&again);
        }
    ipc_channel_close(&in[0]);
    ipc_channel_close(&in[1]);
    how.offset = -1;
    IS(ipc_channel_open_with(&in[0], uri, IPC_RECV, IPC_NOW, &how), 0);
    IS(ipc_channel_recv(&in[0], scratch, 100, IPC_NOW), -ETIMEDOUT);
    send_one(100, 10);
    check_one(100, 10, ipc_channel_recv(&in[0], scratch, 100, ipc_in_ms(LONG_MS)));
    how.offset = 3;
    IS(ipc_channel_open_with(&in[1], uri, IPC_RECV, IPC_NOW, &how), -EBADMSG);
    for (k = 0; k < 3; k++)
        ipc_channel_close(&in[k]);
    over();
}

static void damage_is_told_and_never_cut_off(void **state)
{
    char path[160], before[500], after[500];
    ssize_t size;
    int fd, i;

    (void)state;
    choose(row_of("file"));
    (void)snprintf(path, sizeof path, "%.150s", strchr(uri, ':') + 1);
    open_as(IPC_SEND | IPC_LISTEN);
    for (i = 0; i < 5; i++)
        send_one((uint64_t)i, 50);
    ipc_channel_close(&ch);
    fd = open(path, O_RDWR | O_CLOEXEC);
    size = pread(fd, before, sizeof before, 0);
    IS(size, 16 + 330);
    for (i = 0; i < 16 + 264; i += 7) {
        struct ipc_channel_facts facts;
        int64_t got;
        char bad = (char)(before[i] ^ 0x10);

        IS(pwrite(fd, &bad, 1, i), 1);
        IS(ipc_channel_open(&ch, uri, IPC_RECV, IPC_NOW), 0);
        while ((got = ipc_channel_recv(&ch, scratch, 100, IPC_NOW)) == 50)
            ;
        IS(got, -EBADMSG);
        IS(ipc_channel_info(&ch, &facts), 0);
        IS(facts.offset, i < 8 ? 0 : i < 16 ? 16 : (i - 16) / 66 * 66 + 16);
        ipc_channel_close(&ch);
        IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), i < 8 ? -EPROTO : -EBADMSG);
        IS(pwrite(fd, &before[i], 1, i), 1);
        IS(pread(fd, after, sizeof after, 0), size);
        MUST(memcmp(before, after, (size_t)size) == 0);
    }
    IS(ftruncate(fd, 0), 0);
    IS(pwrite(fd, "hello", 5, 0), 5); /* somebody's text */
    IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), -EPROTO);
    IS(pread(fd, after, sizeof after, 0), 5);
    (void)close(fd);
    over();
}

/* Sends until there is no room, then goes on with the room that `more` makes. */
static void fills_the_log(int why, void (*more)(void))
{
    static const size_t sizes[] = {5000, 100, 0};
    struct ipc_channel_facts facts;
    struct ipc_channel in;
    uint64_t i = 0, k, received = 0;
    struct stat st;
    int rc = 0;

    open_as(IPC_SEND | IPC_LISTEN);
    IS(ipc_channel_open(&in, uri, IPC_RECV, IPC_NOW), 0);
    for (k = 0; k < 3; k++) {
        do
            fill(scratch, i, sizes[k]);
        while ((rc = ipc_channel_send(&ch, scratch, sizes[k], IPC_NOW)) == 0 && ++i < 100000);
        IS(rc, why);
        MUST(*ipc_channel_why(&ch) != '\0');
        IS(ipc_channel_info(&ch, &facts), 0);
        MUST(stat(strchr(uri, ':') + 1, &st) == 0 && st.st_size == facts.offset);
        while (received < i) {
            int64_t n = ipc_channel_recv(&in, scratch, 1 << 20, IPC_NOW);

            MUST(n == 5000 || n == 100 || n == 0);
            check_one(received++, (size_t)n, n);
        }
        IS(ipc_channel_recv(&in, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
    }
    MUST(i > 2);
    more();
    send_one(i, 5000);
    check_one(i, 5000, ipc_channel_recv(&in, scratch, 1 << 20, ipc_in_ms(LONG_MS)));
    ipc_channel_close(&in);
    ipc_channel_close(&ch);
}

static void set_file_size(rlim_t bytes)
{
    struct rlimit limit = {0, RLIM_INFINITY};

    limit.rlim_cur = bytes;
    IS(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void no_limit(void)
{
    set_file_size(RLIM_INFINITY);
}

/* Fills the log to its limit; the kernel would send SIGXFSZ for the next byte. */
static void meets_its_limit(struct child *up, void *arg)
{
    (void)up, (void)arg;
    set_file_size((5000 + 16) * 3 + (100 + 16) * 2 + 16);
    fills_the_log(-EFBIG, no_limit);
}

static void remove_filler(void)
{
    char path[200];

    (void)snprintf(path, sizeof path, "/dev/shm/%s/filler", name);
    IS(unlink(path), 0);
}

/* Fills the log on a disk of its own, of 64 KiB. */
static void fills_its_disk(struct child *up, void *arg)
{
    char path[200];
    int fd;

    (void)up, (void)arg;
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", path, "tmpfs", 0, "size=64k") != 0)
        _exit(UNABLE);
    (void)snprintf(path, sizeof path, "/dev/shm/%s/filler", name);
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && posix_fallocate(fd, 0, 16384) == 0 && close(fd) == 0);
    (void)snprintf(uri, sizeof uri, "file:/dev/shm/%s/log", name);
    fills_the_log(-ENOSPC, remove_filler);
}

static void full_disk_tears_nothing(void **state)
{
    char path[200];
    int rc;

    (void)state;
    choose(row_of("file"));
    IS(run(meets_its_limit, NULL), 0);
    IS(ipc_channel_unlink(uri), 0);
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    IS(mkdir(path, 0700), 0);
    rc = run(fills_its_disk, NULL);
    SKIP_IF(rc == UNABLE, "no disk of our own, to fill");
    IS(rc, 0);
}

/* ------------------------------------------------------------------ signals */

static void does_not_block(struct child *up, void *arg)
{
    sigset_t set;

    (void)arg;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    IS(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)getpid());
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EINVAL);
    tell(up, 1);
    (void)hear(up);
}

static void receives_signals(struct child *up, void *arg)
{
    (void)arg;
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)getpid());
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    tell(up, 1);
    wait_for_death();
}

static void nobody_is_killed_by_a_message(void **state)
{
    struct child c = spawn(does_not_block, NULL);

    (void)state;
    (void)hear(&c);
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)c.pid);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPERM);
    tell(&c, 0);
    finish(&c);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPIPE);
    ipc_channel_close(&ch);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), -ESRCH);
    IS(ipc_channel_open(&ch, "signal:0", IPC_SEND, IPC_NOW), -EINVAL);
    MUST(strstr(ipc_channel_why(&ch), "signal:PID") != NULL);
}

/* The receiver is dead, and its parent has not waited for it. */
static void signals_to_the_dead_are_told(void **state)
{
    struct child c;
    siginfo_t how;

    (void)state;
    c = spawn(receives_signals, NULL);
    (void)hear(&c);
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)c.pid);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), 0);
    send_one(1, 8);
    (void)kill(c.pid, SIGKILL);
    MUST(waitid(P_PID, (id_t)c.pid, &how, WEXITED | WNOWAIT) == 0);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPIPE);
    ipc_channel_close(&ch);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPIPE);
    ipc_channel_close(&ch);
    kill_child(&c);
}

static void blocks_the_first(struct child *up, void *arg)
{
    uint32_t more;
    sigset_t set;

    (void)arg;
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)getpid());
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    tell(up, 1);
    more = (uint32_t)hear(up);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN + (int)more);
    IS(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    tell(up, 1);
    recv_one(1, 8);
    recv_one(2, 8);
    (void)hear(up);
}

static void priority_kills_nobody(void **state)
{
    static const uint32_t wrong[] = {
        31, 64, UINT32_MAX, UINT32_MAX - 24, UINT32_MAX - 33, (uint32_t)INT32_MAX};
    struct child c = spawn(blocks_the_first, NULL);
    struct ipc_channel_options how;
    size_t i;

    (void)state;
    (void)hear(&c);
    (void)snprintf(uri, sizeof uri, "signal:%ld", (long)c.pid);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), 0);
    send_one(1, 8);
    ch.priority = 1;
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPERM);
    memset(&how, 0, sizeof how);
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ipc_channel other;

        ch.priority = how.priority = wrong[i];
        IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EINVAL);
        MUST(strstr(ipc_channel_why(&ch), "priority") != NULL);
        IS(ipc_channel_open_with(&other, uri, IPC_SEND, IPC_NOW, &how), -EINVAL);
    }
    tell(&c, 1);
    (void)hear(&c);
    ch.priority = 1;
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), 0); /* blocked by now */
    ch.priority = 2;
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EPERM);
    ch.priority = 0;
    send_one(2, 8);
    tell(&c, 0);
    finish(&c);
    ipc_channel_close(&ch);
}

/* ------------------------------------------------------------------ removing */

/* Another mechanism made what is at the path, so it stays. */
static void stays(const char *what, const char *path, int rc)
{
    struct stat before, after;

    MUST(lstat(path, &before) == 0);
    is_(ipc_channel_unlink(what), rc, what, __FILE__, __LINE__);
    must_(lstat(path, &after) == 0, what, "removed something else", __FILE__, __LINE__);
    MUST(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* Leaves a socket's file, as a killed listener does. */
static void leaves_a_socket(struct child *up, void *arg)
{
    (void)up;
    IS(ipc_channel_open(&ch, (const char *)arg, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    _exit(0);
}

static void make_log(const char *what, size_t n)
{
    struct ipc_channel_options how;
    struct ipc_channel log;

    memset(&how, 0, sizeof how);
    how.max = 2 << 20;
    IS(ipc_channel_open_with(&log, what, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), 0);
    if (n > 0)
        IS(ipc_channel_send(&log, scratch, n, IPC_NOW), 0);
    ipc_channel_close(&log);
}

static void unlinks_in_its_folder(struct child *up, void *arg)
{
    static const struct {
        const char *uri, *path;
        int rc;
    } others[] = {
        {"auto:feed", "feed", -EOPNOTSUPP},
        {"auto:@feed", "@feed", -EOPNOTSUPP},
        {"auto:@d/feed", "@d", -EOPNOTSUPP},
        {"unix:@feed", "@feed", -EOPNOTSUPP},
        {"unix-seq:@feed", "@feed", -EOPNOTSUPP},
        {"unix-dgram:@feed", "@feed", -EOPNOTSUPP},
        {"tcp:127.0.0.1:9000", "127.0.0.1:9000", -EOPNOTSUPP},
        {"tcp:feed", "feed", -EOPNOTSUPP},
        {"udp:feed", "feed", -EOPNOTSUPP},
        {"udp:socket", "socket", -EOPNOTSUPP},
        {"pipe:feed", "feed", -EOPNOTSUPP},
        {"signal:1", "1", -EOPNOTSUPP},
        {"unix:feed", "feed", -EPROTO},
        {"unix:fifo", "fifo", -EPROTO},
        {"unix:@d", "@d", -EOPNOTSUPP},
        {"unix-seq:log", "log", -EPROTO},
        {"unix-dgram:to-socket", "to-socket", -EPROTO},
        {"auto:./feed", "feed", -EPROTO},
        {"auto:./to-socket", "to-socket", -EPROTO},
        {"fifo:feed", "feed", -EPROTO},
        {"fifo:socket", "socket", -EPROTO},
        {"fifo:to-fifo", "to-fifo", -EPROTO},
        {"fifo:to-nothing", "to-nothing", -EPROTO},
        {"fifo:@d", "@d", -EPROTO},
        {"fifo:feed/", "feed", -ENOTDIR},
        {"file:feed", "feed", -EPROTO},
        {"file:1", "1", -EPROTO}, /* too short for a header */
        {"file:fifo", "fifo", -EPROTO},
        {"file:socket", "socket", -EPROTO},
        {"file:to-log", "to-log", -EPROTO},
        {"file:@d", "@d", -EPROTO},
    };
    static const char *const nameless[] = {
        "unix:", "unix-seq:", "fifo:", "file:", "mq:", "mq:/", "ring:", "sysv:", "sysvshm:"};
    size_t i;

    (void)up;
    MUST(mkdir((const char *)arg, 0700) == 0 && chdir((const char *)arg) == 0);
    write_file("feed", "precious");
    write_file("@feed", "precious");
    write_file("127.0.0.1:9000", "precious");
    write_file("1", "1");
    MUST(mkdir("@d", 0700) == 0 && mkfifo("fifo", 0600) == 0);
    IS(run(leaves_a_socket, (void *)(uintptr_t) "unix:socket"), 0);
    make_log("file:log", 1200000); /* longer than records are by default */
    make_log("file:empty", 0);
    MUST(symlink("log", "to-log") == 0 && symlink("fifo", "to-fifo") == 0 &&
         symlink("socket", "to-socket") == 0 && symlink("nothing", "to-nothing") == 0);
    for (i = 0; i < sizeof others / sizeof *others; i++)
        stays(others[i].uri, others[i].path, others[i].rc);
    for (i = 0; i < sizeof nameless / sizeof *nameless; i++)
        is_(ipc_channel_unlink(nameless[i]), -EINVAL, nameless[i], __FILE__, __LINE__);
    goes("unix-dgram:socket", "socket");
    IS(run(leaves_a_socket, (void *)(uintptr_t) "auto:./socket"), 0);
    goes("auto:./socket", "socket");
    goes("fifo:fifo", "fifo");
    goes("file:log", "log");
    goes("file:empty", "empty");
}

static void unlink_removes_only_what_its_mechanism_made(void **state)
{
    char path[170], other[170];
    struct ipc_shm_object o;
    struct ipc_shm seg;
    int rc;

    (void)state;
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    rc = run(unlinks_in_its_folder, path);
    remove_folder(path);
    IS(rc, 0);

    choose(row_of("ring"));
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    (void)snprintf(other, sizeof other, "/dev/shm/%.140s-other", name);
    write_file(path, "precious");
    stays(uri, path, -EPROTO);
    IS(truncate(path, 30000), 0); /* as long as a segment */
    stays(uri, path, -EPROTO);
    MUST(unlink(path) == 0 && mkfifo(path, 0600) == 0);
    stays(uri, path, -EPROTO);
    IS(unlink(path), 0);
    IS(ipc_shm_create(&seg, name, 4096), 0);
    IS(ipc_shm_make(&seg, "ticks", 1, 64, &o), 0);
    stays(uri, path, -EPROTO); /* a segment, but with a user's object */
    IS(ipc_shm_publish(&seg, &o), 0);
    stays(uri, path, -EPROTO);
    ipc_shm_close(&seg);
    IS(rename(path, other), 0);
    IS(symlink(other, path), 0);
    stays(uri, path, -EPROTO);
    MUST(unlink(path) == 0 && unlink(other) == 0);
    IS(ipc_shm_create(&seg, name, 4096), 0);
    ipc_shm_close(&seg);
    goes(uri, path); /* as left by a process killed before it made a ring */
    open_as(IPC_SEND | IPC_LISTEN);
    ipc_channel_close(&ch);
    goes(uri, path);
    open_as(IPC_RECV | IPC_LISTEN);
    ipc_channel_close(&ch);
    goes(uri, path);
    IS(ipc_channel_unlink("ring:a/b"), -EINVAL);
    IS(ipc_channel_unlink("ring:.."), -EINVAL);
}

static int segment_of(key_t key)
{
    return shmget(key, 0, 0);
}

/* Makes another user the owner of the semaphores. 0: this process may not. */
static int give_semaphores_away(int id)
{
    union {
        int value;
        struct semid_ds *is;
    } to;
    struct semid_ds is;

    to.is = &is;
    MUST(semctl(id, 0, IPC_STAT, to) == 0);
    is.sem_perm.uid = 65534;
    return geteuid() == 0 && semctl(id, 0, IPC_SET, to) == 0;
}

static void waits_at_removed_semaphores(struct child *up, void *arg)
{
    uint64_t i;

    open_as(IPC_RECV | IPC_LISTEN);
    tell(up, 1);
    if (arg != NULL)
        (void)hear(up); /* messages are there, and the semaphores are gone */
    for (i = 0; arg != NULL && i < 3; i++)
        recv_one(i, 10);
    IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
    IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
    tell(up, 1);
    (void)hear(up);
}

/* No process could prove the death of another, and none could come. */
static void removed_semaphores_end_each_wait(void **state)
{
    struct child c;
    uint64_t i;
    int rc;

    (void)state;
    choose(row_of("sysvshm"));
    c = spawn(waits_at_removed_semaphores, NULL); /* nobody is there */
    (void)hear(&c);
    EVENTUALLY(rests(c.pid));
    IS(ipc_channel_unlink(uri), 0);
    tell(&c, 0);
    finish(&c);

    c = spawn(waits_at_removed_semaphores, NULL); /* a sender is there, and is silent */
    open_as(IPC_SEND);
    (void)hear(&c);
    EVENTUALLY(rests(c.pid));
    IS(ipc_channel_unlink(uri), 0);
    tell(&c, 0);
    finish(&c);
    over();

    c = spawn(waits_at_removed_semaphores, &c); /* what is there is received */
    open_as(IPC_SEND);
    (void)hear(&c);
    for (i = 0; i < 3; i++)
        send_one(i, 10);
    IS(ipc_channel_unlink(uri), 0);
    tell(&c, 0);
    (void)hear(&c);
    do
        rc = ipc_channel_send(&ch, scratch, 1000, IPC_NOW);
    while (rc == 0);
    if (rc == -ETIMEDOUT) /* it is full, and the receiver is there; the kernel is asked each 8 ms */
        rc = ipc_channel_send(&ch, scratch, 1000, ipc_in_ms(LONG_MS));
    IS(rc, -EPIPE);
    tell(&c, 0);
    finish(&c);
    over();
}

static void unlink_removes_only_its_own_key(void **state)
{
    /* Segments of other programs; the last but one has the size of two rings, but other content. */
    size_t sizes[] = {100, 4096, 1 << 20, 0, 0};
    size_t i, ours = ipc_channel_shm_size_(ipc_channel_lane_(IPC_CHANNEL_RING_));
    struct ipc_channel_options how;
    key_t key;
    int id;

    (void)state;
    sizes[3] = ours;
    sizes[4] = ours + 4096;
    choose(row_of("sysvshm"));
    key = (key_t)number_of(name);
    IS(ipc_channel_unlink(uri), -ENOENT);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *at;

        id = shmget(key, sizes[i], IPC_CREAT | IPC_EXCL | 0600);
        MUST(id >= 0);
        at = (char *)shmat(id, NULL, 0);
        MUST(at != (char *)-1);
        memset(at, 'x', sizes[i]);
        IS(ipc_channel_unlink(uri), -EPROTO);
        IS(segment_of(key), id);
        MUST(shmdt(at) == 0);
        IS(ipc_channel_unlink(uri), -EPROTO); /* even if nobody uses it */
        IS(segment_of(key), id);
        if (sizes[i] != ours) { /* a listener does not replace it either */
            IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EPROTO);
            IS(segment_of(key), id);
            IS(semget(key, 0, 0), -1);
            at = (char *)shmat(id, NULL, SHM_RDONLY);
            MUST(at != (char *)-1 && at[0] == 'x' && at[99] == 'x' && shmdt(at) == 0);
        }
        IS(shmctl(id, IPC_RMID, NULL), 0);
    }
    /* Semaphores of other programs, alone and beside a segment of ours: of another number, mode or
     * user. */
    for (i = 0; i < 4; i++) {
        id = semget(key, i == 0 ? 7 : i == 1 ? 1 : 2, IPC_CREAT | (i == 2 ? 0666 : 0600));
        MUST(id >= 0);
        if (i == 3 && !give_semaphores_away(id)) {
            IS(semctl(id, 0, IPC_RMID), 0);
            continue;
        }
        IS(ipc_channel_unlink(uri), -ENOENT);
        IS(semget(key, 0, 0), id);
        IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), i < 2 ? -EPROTO : -EACCES);
        IS(ipc_channel_unlink(uri), 0);
        IS(segment_of(key), -1);
        IS(semget(key, 0, 0), i < 2 ? id : -1); /* two are taken for ours */
        (void)semctl(id, 0, IPC_RMID);
    }
    /* Ours: one direction, both, every size; a smaller one is replaced. */
    memset(&how, 0, sizeof how);
    for (i = 0; i < 3; i++) {
        IS(ipc_channel_open(&ch, uri, IPC_LISTEN | ((unsigned)i + 1), IPC_NOW), 0);
        ipc_channel_close(&ch);
        how.max = 200000;
        IS(ipc_channel_open_with(&ch, uri, IPC_LISTEN | ((unsigned)i + 1), IPC_NOW, &how), 0);
        ipc_channel_close(&ch);
        IS(ipc_channel_unlink(uri), 0);
        IS(segment_of(key), -1);
        IS(semget(key, 0, 0), -1);
    }
    MUST(shmget(key, ours, IPC_CREAT | 0600) >= 0); /* as left by a process killed there */
    IS(ipc_channel_unlink(uri), 0);
}

/* ------------------------------------------------------------------ descriptors 0 to 2 */

static int standard[3];

/* Closes 0 to 2, as of a daemon that was started without them. */
static void hide_standard(void)
{
    int i;

    for (i = 0; i < 3; i++)
        standard[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
    for (i = 0; i < 3; i++)
        (void)close(i);
}

/* Opens them again. Returns which of them something else has taken meanwhile, a bit for each. */
static unsigned show_standard(void)
{
    unsigned taken = 0;
    int i;

    for (i = 0; i < 3; i++) {
        taken |= fcntl(i, F_GETFD) >= 0 ? 1u << i : 0u;
        if (standard[i] >= 0)
            (void)dup2(standard[i], i);
        else
            (void)close(i);
        (void)close(standard[i]);
    }
    return taken;
}

/* Opens the channel, where 0 to 2 are closed. */
static void opens_without_standard(unsigned role, unsigned clients)
{
    struct ipc_channel_options how;
    unsigned taken;
    int rc;

    memset(&how, 0, sizeof how);
    how.max = (row->is & RING) != 0 ? 30000 : 0;
    how.clients = (role & IPC_LISTEN) != 0 ? clients : 0;
    hide_standard();
    rc = ipc_channel_open_with(&ch, uri, role, ipc_in_ms(LONG_MS), &how);
    taken = show_standard();
    must_(rc == 0, uri, ipc_channel_why(&ch), __FILE__, __LINE__);
    is_(taken, 0, uri, __FILE__, __LINE__);
}

static void sends_without_standard(struct child *up, void *arg)
{
    unsigned taken;
    int rc;

    (void)arg;
    if (!NAMED("pipe")) /* inherited */
        opens_without_standard(listens(IPC_SEND), 0);
    hide_standard();
    rc = ipc_channel_send(&ch, "hello", 5, ipc_in_ms(LONG_MS));
    (void)ipc_channel_fd(&ch);
    taken = show_standard();
    is_(rc, 0, uri, __FILE__, __LINE__);
    is_(taken, 0, uri, __FILE__, __LINE__);
    tell(up, 0);
    (void)hear(up);
    ipc_channel_close(&ch);
}

/* What is printed goes there, and never into a channel. */
static void no_channel_takes_a_standard_descriptor(void **state)
{
    unsigned clients, taken;
    struct child c;
    int64_t n;

    (void)state;
    for (clients = 0; clients <= 2; clients += 2)
        EACH_ROW(clients != 0 ? ACCEPTS : 0)
        {
            if ((row->is & SENDER) == 0)
                opens_without_standard(listens(IPC_RECV), clients);
            c = spawn(sends_without_standard, NULL);
            if ((row->is & SENDER) != 0) {
                (void)hear(&c);
                opens_without_standard(IPC_RECV, 0);
            }
            hide_standard();
            n = ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS));
            (void)ipc_channel_fd(&ch);
            taken = show_standard();
            is_(n, 5, uri, __FILE__, __LINE__);
            is_(taken, 0, uri, __FILE__, __LINE__);
            if ((row->is & SENDER) == 0)
                (void)hear(&c);
            tell(&c, 0);
            finish(&c);
            over();
        }
}

/* ------------------------------------------------------------------ all of them */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_refusal_has_a_sentence),
        TEST(senders_that_share_a_pipe_do_not_mix),
        TEST(fifo_is_a_fifo),
        TEST(a_fifo_that_cannot_be_made_says_why),
        TEST(without_proc_files_have_their_mode_or_are_not_left),
        TEST(priorities_come_highest_first_and_types_as_selected),
        TEST(queues_have_the_size_asked_for_or_are_refused),
        TEST(removed_queue_ends_the_wait),
        TEST(of_two_that_drop_a_message_neither_drops_another),
        TEST(torn_tail_is_cut_off_and_nothing_before_it),
        TEST(reader_resumes_where_it_was),
        TEST(damage_is_told_and_never_cut_off),
        TEST(full_disk_tears_nothing),
        TEST(nobody_is_killed_by_a_message),
        TEST(signals_to_the_dead_are_told),
        TEST(priority_kills_nobody),
        TEST(unlink_removes_only_what_its_mechanism_made),
        TEST(unlink_removes_only_its_own_key),
        TEST(removed_semaphores_end_each_wait),
        TEST(no_channel_takes_a_standard_descriptor),
    };

    prepare(argc, argv);
    return cmocka_run_group_tests_name("channel_kinds", tests, NULL, NULL);
}
