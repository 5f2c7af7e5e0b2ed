/*
 * Logs, the mechanism file: of channels: what becomes of them, their writer and their followers when
 * they are rotated, cut, removed, torn, and large. Real files, in a folder of their own in TMPDIR.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

#define HEAD 16
#define RECORD (16 + 8) /* of a message of 8 bytes */

static char folder[150], path[200], old[200], uri[220];
static struct ipc_channel out, in;

/* ------------------------------------------------------------------ what all use */

static void open_out(void)
{
    int rc = ipc_channel_open(&out, uri, IPC_SEND | IPC_LISTEN, ipc_in_ms(LONG_MS));

    must_(rc == 0, "writer", ipc_channel_why(&out), __FILE__, __LINE__);
}

static void open_in(int64_t offset, uint64_t mark)
{
    struct ipc_channel_options how;
    int rc;

    memset(&how, 0, sizeof how);
    how.offset = offset;
    how.mark = mark;
    rc = ipc_channel_open_with(&in, uri, IPC_RECV, ipc_in_ms(LONG_MS), &how);
    must_(rc == 0, "reader", ipc_channel_why(&in), __FILE__, __LINE__);
}

static void sends(uint64_t from, unsigned n)
{
    for (; n > 0; n--, from++) {
        int rc = ipc_channel_send(&out, &from, sizeof from, IPC_NOW);

        must_(rc == 0, "send", ipc_channel_why(&out), __FILE__, __LINE__);
    }
}

static void receives(uint64_t from, unsigned n)
{
    uint64_t got;

    for (; n > 0; n--, from++) {
        int64_t rc = ipc_channel_recv(&in, &got, sizeof got, IPC_NOW);

        must_(rc == 8, "recv", ipc_channel_why(&in), __FILE__, __LINE__);
        IS(got, from);
    }
}

static void is_told(void)
{
    char got[8];

    IS(ipc_channel_recv(&in, got, sizeof got, IPC_NOW), -ESTALE);
    MUST(*ipc_channel_why(&in) != '\0');
}

static void gets_nothing(void)
{
    char got[8];

    IS(ipc_channel_recv(&in, got, sizeof got, IPC_NOW), -ETIMEDOUT);
    IS(ipc_channel_recv(&in, got, sizeof got, ipc_in_ms(1)), -ETIMEDOUT);
}

static struct ipc_channel_facts place_of(const struct ipc_channel *ch)
{
    struct ipc_channel_facts facts;

    IS(ipc_channel_info(ch, &facts), 0);
    return facts;
}

static int64_t size_of(const char *file)
{
    struct stat st;

    return stat(file, &st) == 0 ? st.st_size : -1;
}

static void close_both(void)
{
    ipc_channel_close(&in);
    ipc_channel_close(&out);
}

/* A new log with n records, all of which the follower has read. */
static void begin_with(unsigned n)
{
    (void)unlink(path);
    (void)unlink(old);
    open_out();
    sends(0, n);
    open_in(0, 0);
    receives(0, n);
    gets_nothing();
}

static void make_empty(const char *file)
{
    int fd = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    MUST(fd >= 0 && close(fd) == 0);
}

static void append(const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    MUST(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && close(fd) == 0);
}

/* ------------------------------------------------------------------ large logs */

/* The bytes that this process has read so far. */
static int64_t bytes_read(void)
{
    FILE *f = fopen("/proc/self/io", "r");
    long long n = -1;

    if (f == NULL)
        return -1;
    if (fscanf(f, "rchar: %lld", &n) != 1)
        n = -1;
    (void)fclose(f);
    return n;
}

static void opening_reads_the_end_of_a_log_only(void **state)
{
    static char message[1000];
    int64_t before;
    int i;

    (void)state;
    open_out();
    for (i = 0; i < 8000; i++)
        IS(ipc_channel_send(&out, message, sizeof message, IPC_NOW), 0);
    ipc_channel_close(&out);
    before = bytes_read();
    SKIP_IF(before < 0, "no /proc/self/io");
    open_out();
    open_in(-1, 0);
    MUST(bytes_read() - before < 500000);
    gets_nothing();
    IS(place_of(&in).offset, size_of(path));
    sends(1, 1);
    receives(1, 1);
    ipc_channel_close(&in);
    before = bytes_read();
    open_in(HEAD + 5000 * 1016, 0);
    MUST(bytes_read() - before < 2000000);
    IS(ipc_channel_recv(&in, message, sizeof message, IPC_NOW), 1000);
    IS(place_of(&in).offset, HEAD + 5001 * 1016);
    close_both();
}

static void open_with_max(struct ipc_channel *ch, unsigned role, size_t max, int64_t offset,
                          uint64_t mark, int want)
{
    struct ipc_channel_options how;

    memset(&how, 0, sizeof how);
    how.max = max;
    how.offset = offset;
    how.mark = mark;
    is_(ipc_channel_open_with(ch, uri, role, ipc_in_ms(LONG_MS), &how), want, ipc_channel_why(ch),
        __FILE__, __LINE__);
    MUST(want != -EMSGSIZE || strstr(ipc_channel_why(ch), "options.max is 1000 here") != NULL);
}

/* A message above the maximum of a receiver, or of the next sender, is no damage. */
static void larger_messages_are_told_and_stay(void **state)
{
    static char message[20000];
    struct ipc_channel_facts at;
    struct stat st;
    int i, fd;

    (void)state;
    open_out();
    open_with_max(&in, IPC_RECV, 1000, 0, 0, 0);
    sends(1, 1);
    IS(ipc_channel_send(&out, message, sizeof message, IPC_NOW), 0);
    receives(1, 1);
    at = place_of(&in);
    for (i = 0; i < 3; i++) {
        IS(ipc_channel_recv(&in, message, sizeof message, ipc_in_ms(i * LONG_MS)), -EMSGSIZE);
        MUST(strstr(ipc_channel_why(&in), "20000 bytes at offset 40: options.max is 1000") != NULL);
        IS(place_of(&in).next, sizeof message);
        IS(place_of(&in).offset, at.offset);
        MUST(ipc_channel_wait_any((struct ipc_channel *[]){&in}, 1, ipc_in_ms(LONG_MS)) == 0);
    }
    close_both();
    open_with_max(&in, IPC_RECV, 1000, at.offset, at.mark, 0); /* the place that was told */
    IS(ipc_channel_recv(&in, message, sizeof message, IPC_NOW), -EMSGSIZE);
    ipc_channel_close(&in);
    open_with_max(&in, IPC_RECV, 20000, at.offset, at.mark, 0);
    IS(ipc_channel_recv(&in, message, sizeof message, IPC_NOW), sizeof message);
    at = place_of(&in);
    ipc_channel_close(&in);
    open_with_max(&in, IPC_RECV, 1000, -1, 0, -EMSGSIZE);
    open_with_max(&in, IPC_RECV, 1000, at.offset, 0, -EMSGSIZE);
    open_with_max(&in, IPC_RECV, 1000, at.offset, at.mark, -EMSGSIZE);
    open_with_max(&out, IPC_SEND | IPC_LISTEN, 1000, 0, 0, -EMSGSIZE);
    IS(size_of(path), at.offset); /* nothing was cut off */
    /* One that is not all there may never be. */
    open_with_max(&in, IPC_RECV, 1000, 0, 0, 0);
    receives(1, 1);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    MUST(fd >= 0 && ftruncate(fd, at.offset - 1) == 0 && fstat(fd, &st) == 0);
    (void)close(fd);
    gets_nothing();
    IS(ipc_channel_wait_any((struct ipc_channel *[]){&in}, 1, ipc_in_ms(1)), -ETIMEDOUT);
    open_out();
    sends(2, 1);
    receives(2, 1);
    close_both();
}

/* Writes the head of a log, a record, and so many more behind a hole, each of 8 bytes. */
static void make_log_with_hole(int64_t hole, unsigned behind)
{
    unsigned char bytes[HEAD + RECORD];
    uint64_t value = 0, mark = 7;
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

    MUST(fd >= 0);
    ipc_channel_put_log_head_(bytes, 7);
    mark = ipc_channel_put_record_(bytes + HEAD, 7, HEAD, mark, &value, 8);
    memcpy(bytes + HEAD + 16, &value, 8);
    IS(write(fd, bytes, sizeof bytes), sizeof bytes);
    SKIP_IF(ftruncate(fd, (off_t)hole) != 0, "no file of two gigabytes here");
    for (; behind > 0; behind--, hole += RECORD) {
        value++;
        mark = ipc_channel_put_record_(bytes, 7, hole, mark, &value, 8);
        memcpy(bytes + 16, &value, 8);
        IS(pwrite(fd, bytes, RECORD, (off_t)hole), RECORD);
    }
    MUST(close(fd) == 0);
}

/* The time of open and of IPC_NOW is that of the bytes that they read. */
static void a_log_of_two_gigabytes_keeps_deadlines(void **state)
{
    const int64_t hole = INT64_C(1) << 31;
    int64_t before = bytes_read();
    uint64_t got;

    (void)state;
    SKIP_IF(before < 0, "no /proc/self/io");
    make_log_with_hole(hole, 3);
    before = bytes_read();
    open_out();
    open_in(-1, 0);
    gets_nothing();
    sends(4, 1);
    receives(4, 1);
    IS(place_of(&in).offset, hole + 4 * RECORD);
    MUST(bytes_read() - before < 500000);
    ipc_channel_close(&in);
    before = bytes_read();
    open_in(hole + 2 * RECORD, 0);
    receives(3, 2);
    ipc_channel_close(&in);
    MUST(bytes_read() - before < 2000000);
    before = bytes_read();
    open_in(0, 0);
    receives(0, 1);
    IS(ipc_channel_recv(&in, &got, sizeof got, IPC_NOW), -EBADMSG); /* the hole */
    MUST(bytes_read() - before < 8000000);
    close_both();
    make_log_with_hole(hole, 0); /* zeros, further than any record reaches */
    before = bytes_read();
    IS(ipc_channel_open(&out, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), -EBADMSG);
    MUST(bytes_read() - before < 5000000);
    close_both();
}

#define BEGIN 131072 /* of what seems to be records, far enough from the first */
#define SEEM 32768
#define LARGE 262144

/* Thousands of headers, each of which says that the next record is the same large one. That is none,
 * which is found out by reading all of it. */
static void a_hostile_log_is_not_read_again_and_again(void **state)
{
    static unsigned char bytes[BEGIN + SEEM + 16 + LARGE];
    uint32_t n = LARGE;
    int64_t before, i;

    (void)state;
    ipc_channel_put_log_head_(bytes, 1);
    for (i = BEGIN; i <= BEGIN + SEEM; i += 16) {
        n = i < BEGIN + SEEM ? (uint32_t)(BEGIN + SEEM - 16 - i) : LARGE;
        ipc_channel_put_(bytes + i, n);
        ipc_channel_put_(bytes + i + 4, n ^ IPC_CHANNEL_CHECK_ ^ ipc_channel_log_key_(1, i));
    }
    append(bytes, sizeof bytes);
    before = bytes_read();
    SKIP_IF(before < 0, "no /proc/self/io");
    IS(ipc_channel_open(&out, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), -EBADMSG);
    MUST(bytes_read() - before < 10000000);
}

/* Cuts the last record at each of many places. The sender finds where it began, though it is as
 * long as can be, and has records of this log in it. */
static void end_is_found_in_spite_of_what_messages_say(void **state)
{
    static char message[1 << 20];
    int64_t whole;
    size_t cut;
    int fd, i;

    (void)state;
    open_out();
    sends(0, 2000); /* what a message can have of it */
    for (i = 0; i < 3; i++)
        IS(ipc_channel_send(&out, message, sizeof message, IPC_NOW), 0);
    whole = size_of(path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    for (cut = 1; cut < sizeof message; cut += 130001) {
        for (i = 0; i < (int)sizeof message; i += 16384)
            MUST(pread(fd, message + i, 16384, HEAD) == 16384);
        IS(ipc_channel_send(&out, message, sizeof message, IPC_NOW), 0);
        ipc_channel_close(&out);
        IS(truncate(path, whole + (off_t)cut), 0);
        open_in(-1, 0);
        IS(place_of(&in).offset, whole);
        ipc_channel_close(&in);
        open_out();
        IS(size_of(path), whole);
        IS(place_of(&out).offset, whole);
    }
    (void)close(fd);
    ipc_channel_close(&out);
}

/* ------------------------------------------------------------------ a log that is cut */

static void followers_of_a_cut_log_are_told_once(void **state)
{
    static const unsigned grows[] = {0, 1, 2, 5}; /* 2: to the same length */
    unsigned i, restarts, n;

    (void)state;
    for (restarts = 0; restarts < 2; restarts++)
        for (i = 0; i < 4; i++) {
            n = grows[i];
            begin_with(2);
            IS(truncate(path, 0), 0);
            if (restarts) {
                ipc_channel_close(&out);
                open_out();
            }
            sends(10, n);
            is_told();
            receives(10, n);
            gets_nothing();
            sends(10 + n, 3);
            receives(10 + n, 3);
            gets_nothing();
            IS(size_of(path), HEAD + (n + 3) * RECORD); /* no hole */
            ipc_channel_close(&in);
            open_in(0, 0); /* one that comes later */
            receives(10, n + 3);
            close_both();
        }
}

static void log_that_is_cut_in_the_middle_keeps_its_beginning(void **state)
{
    unsigned n, restarts;

    (void)state;
    for (restarts = 0; restarts < 2; restarts++)
        for (n = 1; n < 6; n++) { /* shorter, as long, longer than the follower knows it */
            begin_with(5);
            IS(truncate(path, HEAD + 2 * RECORD + 10), 0);
            if (restarts) {
                ipc_channel_close(&out);
                open_out();
            }
            sends(10, n);
            is_told();
            receives(0, 2);
            receives(10, n);
            gets_nothing();
            close_both();
        }
}

static void what_others_append_is_cut_off(void **state)
{
    (void)state;
    begin_with(1);
    append("garbage", 7);
    sends(1, 2);
    receives(1, 2);
    gets_nothing();
    IS(size_of(path), HEAD + 3 * RECORD);
    close_both();
}

/* ------------------------------------------------------------------ a log that is moved away */

enum { CREATE, REPLACE, REMOVE, RENAME, WAYS };

static void move_away(int way)
{
    IS(way == REMOVE ? unlink(path) : way == REPLACE ? 0 : rename(path, old), 0);
    if (way == CREATE)
        make_empty(path);
    if (way == REPLACE) {
        make_empty(old);
        IS(rename(old, path), 0);
    }
}

/* The writer finds the new file by itself, and the follower reads all of the old one before. */
static void rotation_loses_nothing_and_is_told_once(void **state)
{
    uint64_t next, got, told;
    int64_t rc;
    int way;

    (void)state;
    for (way = 0; way < WAYS; way++) {
        begin_with(3);
        ipc_channel_close(&in);
        open_in(HEAD + RECORD, 0); /* it has two more to read */
        move_away(way);
        next = 3;
        EVENTUALLY((sends(next++, 1), size_of(path) > 0));
        sends(next++, 1);
        told = 0;
        for (got = 1; got < next; got += rc == 8) {
            uint64_t number = got;

            rc = ipc_channel_recv(&in, &number, sizeof number, IPC_NOW);
            MUST(rc == 8 || (rc == -ESTALE && told++ == 0));
            IS(number, got);
        }
        IS(told, 1);
        gets_nothing();
        IS(place_of(&in).offset, size_of(path));
        sends(next, 1);
        receives(next, 1);
        close_both();
    }
}

static void rotates_when_told(struct child *up, void *arg)
{
    int way = *(int *)arg;

    in_child = 1;
    open_out();
    sends(0, 1);
    tell(up, 0);
    (void)hear(up);
    if (way == RENAME || way == REMOVE)
        ipc_channel_close(&out);
    if (way != CREATE)
        move_away(way);
    else
        IS(rename(path, old), 0);
    tell(up, 0);
    (void)hear(up);
    if (way == CREATE)
        make_empty(path);
    tell(up, 0);
    (void)hear(up);
    if (way == RENAME || way == REMOVE)
        open_out();
    else
        EVENTUALLY((sends(0, 1), size_of(path) > 0));
    sends(77, 1);
    wait_for_death();
}

/* Takes in what there is until nothing is there; then the descriptor wakes it again. */
static int64_t find_in_a_loop(uint64_t number)
{
    struct pollfd p;
    int64_t rc, told = 0;
    uint64_t got;

    for (;;) {
        rc = ipc_channel_recv(&in, &got, sizeof got, IPC_NOW);
        told += rc == -ESTALE;
        if (rc == 8 && got == number)
            return told;
        if (rc != -ETIMEDOUT)
            continue;
        p.fd = ipc_channel_fd(&in);
        p.events = POLLIN;
        IS(poll(&p, 1, LONG_MS), 1);
    }
}

static void event_loop_notices_each_step_of_a_rotation(void **state)
{
    int way;

    (void)state;
    for (way = 0; way < WAYS; way++) {
        struct child c;

        (void)unlink(path);
        (void)unlink(old);
        c = spawn(rotates_when_told, &way);
        (void)hear(&c);
        open_in(0, 0);
        receives(0, 1);
        gets_nothing();
        tell(&c, 0);
        (void)hear(&c);
        gets_nothing();
        tell(&c, 0);
        (void)hear(&c);
        gets_nothing();
        tell(&c, 0);
        IS(find_in_a_loop(77), 1);
        kill_child(&c);
        ipc_channel_close(&in);
    }
}

/* The new file permits more than this channel: the sender says so, and goes on when it does not. */
static void unfit_successor_is_refused(void **state)
{
    uint64_t number = 1;
    int rc = 0;

    (void)state;
    begin_with(1);
    move_away(CREATE);
    IS(chmod(path, 0644), 0);
    EVENTUALLY((rc = ipc_channel_send(&out, &number, 8, IPC_NOW)) != 0);
    IS(rc, -EACCES);
    IS(ipc_channel_send(&out, &number, 8, IPC_NOW), -EACCES);
    IS(chmod(path, 0600), 0);
    number = 2;
    IS(ipc_channel_send(&out, &number, 8, IPC_NOW), 0);
    IS(size_of(path), HEAD + RECORD);
    IS(size_of(old) % RECORD, HEAD);
    close_both();
}

/* ------------------------------------------------------------------ places */

static void place_is_of_its_file_only(void **state)
{
    struct ipc_channel_facts at[6];
    char copy[500];
    int i;

    (void)state;
    open_out();
    sends(0, 5);
    open_in(0, 0);
    for (i = 0; i < 5; i++) {
        receives((uint64_t)i, 1);
        at[i + 1] = place_of(&in);
        MUST(at[i + 1].mark != 0);
    }
    IS(at[5].mark, place_of(&out).mark);
    (void)snprintf(copy, sizeof copy, "cp %s %s", path, old);
    IS(system(copy), 0);
    for (i = 1; i < 6; i++) { /* the same file, and a copy */
        ipc_channel_close(&in);
        open_in(at[i].offset, at[i].mark);
        receives((uint64_t)i, (unsigned)(5 - i));
        gets_nothing();
        ipc_channel_close(&in);
        (void)snprintf(uri, sizeof uri, "file:%s", old);
        open_in(at[i].offset, at[i].mark);
        receives((uint64_t)i, (unsigned)(5 - i));
        (void)snprintf(uri, sizeof uri, "file:%s", path);
    }
    for (i = 1; i < 6; i++) { /* cut, and grown to less, as much, more */
        IS(truncate(path, 0), 0);
        sends(10, (unsigned)(2 * i - 2));
        ipc_channel_close(&in);
        open_in(at[3].offset, at[3].mark);
        is_told();
        receives(10, (unsigned)(2 * i - 2));
        gets_nothing();
    }
    ipc_channel_close(&in);
    open_in(size_of(path) + 1, 0);
    is_told();
    receives(10, 8);
    close_both();
}

/* ------------------------------------------------------------------ without inotify */

static struct ipc_channel_log_ *follower(void)
{
    return (struct ipc_channel_log_ *)in.state;
}

static void polls_in_vain(unsigned n)
{
    char got[8];

    for (; n > 0; n--)
        IS(ipc_channel_recv(&in, got, sizeof got, IPC_NOW), -ETIMEDOUT);
}

static void a_follower_that_polls_reads_and_needs_no_events(void **state)
{
    struct pollfd p;
    uint64_t got;
    int64_t rc;

    (void)state;
    begin_with(1);
    MUST(follower()->watch >= 0);
    polls_in_vain(2 * IPC_CHANNEL_LOG_POLLS_);
    MUST(follower()->watch < 0);
    for (got = 1; got < 60; got++) { /* each at once, not when it is time to look */
        sends(got, 1);
        receives(got, 1);
    }
    MUST(unlink(path) == 0);
    for (rc = 0; rc == 0 && size_of(path) < 0;) /* until the writer looks */
        rc = ipc_channel_send(&out, &got, sizeof got, IPC_NOW);
    IS(rc, 0);
    EVENTUALLY((rc = ipc_channel_recv(&in, &got, sizeof got, IPC_NOW)) != -ETIMEDOUT && rc != 8);
    IS(rc, -ESTALE);
    receives(60, 1);
    gets_nothing();
    MUST(follower()->watch >= 0); /* it has slept */
    polls_in_vain(2 * IPC_CHANNEL_LOG_POLLS_);
    MUST(follower()->watch < 0);
    sends(61, 1); /* without an event */
    p.fd = ipc_channel_fd(&in);
    p.events = POLLIN;
    MUST(p.fd >= 0);
    IS(poll(&p, 1, 0), 1);
    receives(61, 1);
    polls_in_vain(2 * IPC_CHANNEL_LOG_POLLS_);
    IS(poll(&p, 1, 0), 0);
    sends(62, 1);
    IS(poll(&p, 1, 0), 1);
    receives(62, 1);
    close_both();
}

static void follows_without_inotify(struct child *up, void *arg)
{
    struct ipc_channel *all[] = {&in};
    struct rlimit few = {0, 0}, before;
    char got[8];
    uint64_t i;
    int fd = dup(0);

    (void)up, (void)arg;
    MUST(fd >= 0 && close(fd) == 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
    few.rlim_max = before.rlim_max;
    few.rlim_cur = (rlim_t)fd + 1; /* for the log itself */
    MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
    open_in(0, 0);
    MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    IS(ipc_channel_fd(&in), -EOPNOTSUPP);
    open_out();
    sends(0, 2);
    receives(0, 2);
    gets_nothing();
    for (i = 2; i < 5; i++) { /* found before it is time to look at the file */
        follower()->look = ipc_in_ms(2 * LONG_MS);
        IS(ipc_channel_wait_any(all, 1, ipc_in_ms(2)), -ETIMEDOUT);
        sends(i, 1);
        IS(ipc_channel_wait_any(all, 1, ipc_in_ms(LONG_MS)), 0);
        receives(i, 1);
    }
    append("a part", 6); /* told of once */
    IS(ipc_channel_wait_any(all, 1, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_recv(&in, got, sizeof got, IPC_NOW), -ETIMEDOUT);
    IS(ipc_channel_wait_any(all, 1, ipc_in_ms(2)), -ETIMEDOUT);
    ipc_channel_close(&out);
    follower()->look = 0;
    move_away(CREATE);
    open_out();
    sends(2, 1);
    EVENTUALLY(ipc_channel_recv(&in, got, sizeof got, IPC_NOW) == -ESTALE);
    receives(2, 1);
    close_both();
}

static void no_descriptor_is_better_than_one_that_spins(void **state)
{
    (void)state;
    make_empty(path);
    IS(run(follows_without_inotify, NULL), 0);
}

static void waits_among_events(struct child *up, void *arg)
{
    int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char got[8];

    (void)up, (void)arg;
    (void)alarm(LONG_MS / 1000);
    open_in(0, 0);
    MUST(zeros >= 0 && ipc_channel_fd(&in) >= 0 && dup2(zeros, ipc_channel_fd(&in)) >= 0);
    gets_nothing();
    IS(ipc_channel_recv(&in, got, sizeof got, ipc_in_ms(20)), -ETIMEDOUT);
    ipc_channel_close(&in);
    (void)close(zeros);
}

/* As a process causes them that touches the log, or makes files in its folder, all the time: a
 * descriptor that is always readable stands for that. */
static void events_without_end_stretch_no_deadline(void **state)
{
    (void)state;
    make_empty(path);
    IS(run(waits_among_events, NULL), 0);
}

/* ------------------------------------------------------------------ crashes */

/* Cuts the first record and the head before it at each byte; leaves a record without its head, as
 * a writer that is killed right after another process has cut the log. */
static void writer_may_die_at_any_byte_of_a_new_log(void **state)
{
    char bytes[HEAD + RECORD];
    size_t n;
    int fd;

    (void)state;
    begin_with(1);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(pread(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes && close(fd) == 0);
    close_both();
    for (n = 0; n < sizeof bytes; n++) {
        IS(truncate(path, 0), 0);
        append(bytes, n);
        open_in(0, 0);
        gets_nothing();
        open_out();
        IS(size_of(path), n < HEAD ? 0 : HEAD);
        sends(5, 2);
        receives(5, 2);
        close_both();
    }
    for (n = 16; n <= RECORD; n++) {
        IS(truncate(path, 0), 0);
        append(bytes + HEAD, n);
        open_in(0, 0);
        gets_nothing();
        open_out();
        IS(size_of(path), 0);
        sends(5, 2);
        receives(5, 2);
        close_both();
    }
    IS(truncate(path, 0), 0);
    append("somebody's text", 15);
    IS(ipc_channel_open(&out, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), -EPROTO);
    IS(size_of(path), 15);
}

static char was[3 * 65536], is[sizeof was], got_all[sizeof was];

/* Makes a log with one record that the follower has read, and the writer's message of n bytes behind it, whose
 * record is copied to to[] and taken away again. The follower polls, or has a watch. */
static int64_t begin_with_part(char *to, size_t n, int polls)
{
    int64_t place;
    int fd;

    begin_with(1);
    place = place_of(&out).offset;
    IS(ipc_channel_send(&out, was, n, IPC_NOW), 0);
    ipc_channel_close(&out);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(pread(fd, to, 16 + n, (off_t)place) == (ssize_t)(16 + n) && close(fd) == 0);
    IS(truncate(path, (off_t)place), 0);
    if (polls)
        polls_in_vain(IPC_CHANNEL_LOG_POLLS_ + 1);
    IS(follower()->watch < 0, polls);
    return place;
}

/* The follower has read a part of a record when the next writer cuts that off, and writes another record:
 * a shorter one, one as long, and a longer one. */
static void what_comes_in_the_place_of_a_part_is_read(void **state)
{
    static const size_t size[] = {100, 5000, 65536, 65537, sizeof is}, part[] = {16, 16 + 4096, 16 + 65535};
    static char record[16 + 65536];
    size_t i, k;
    int64_t rc, place;

    (void)state;
    memset(was, 'a', sizeof was);
    memset(is, 'b', sizeof is);
    for (i = 0; i < sizeof size / sizeof *size; i++)
        for (k = 0; k < 6; k++) {
            int polls = k % 2 != 0;

            place = begin_with_part(record, 65536, polls);
            append(record, part[k / 2]);
            rc = ipc_channel_recv(&in, got_all, sizeof got_all, polls ? IPC_NOW : ipc_in_ms(1));
            IS(rc, -ETIMEDOUT);
            open_out();
            IS(size_of(path), place);
            IS(ipc_channel_send(&out, is, size[i], IPC_NOW), 0);
            if (polls)
                EVENTUALLY((rc = ipc_channel_recv(&in, got_all, sizeof got_all, IPC_NOW)) !=
                           -ETIMEDOUT);
            else
                rc = ipc_channel_recv(&in, got_all, sizeof got_all, ipc_in_ms(LONG_MS));
            IS(rc, (int64_t)size[i]);
            MUST(memcmp(got_all, is, size[i]) == 0);
            close_both();
        }
}

/* The same, but the next writer's record is the other one's except for the first byte, and no look at the
 * file is due: the rest of it fits the part. */
static void what_fits_a_part_is_not_taken_for_its_rest(void **state)
{
    static char record[16 + 65536];
    int polls;

    (void)state;
    memset(was, 'a', sizeof was);
    memcpy(is, was, sizeof is);
    is[0] = 'b';
    for (polls = 0; polls < 2; polls++) {
        (void)begin_with_part(record, 65536, polls);
        append(record, 16 + 8192);
        IS(ipc_channel_recv(&in, got_all, sizeof got_all, polls ? IPC_NOW : ipc_in_ms(1)), -ETIMEDOUT);
        follower()->look = ipc_in_ms(2 * LONG_MS);
        open_out();
        IS(ipc_channel_send(&out, is, 65536, IPC_NOW), 0);
        sends(1, 1);
        IS(ipc_channel_recv(&in, got_all, sizeof got_all, polls ? IPC_NOW : ipc_in_ms(LONG_MS)), 65536);
        MUST(memcmp(got_all, is, 65536) == 0);
        receives(1, 1);
        close_both();
    }
}

/* Another program's bytes come behind a part of a record, and are read with it. The sender cuts them off and
 * writes the record again. */
static void a_record_that_is_mended_is_read_at_once(void **state)
{
    static char record[16 + 65536];
    int64_t place;
    int polls;

    (void)state;
    memset(was, 'a', sizeof was);
    memset(is, 'b', sizeof is);
    for (polls = 0; polls < 2; polls++) {
        place = begin_with_part(record, 65536, polls);
        append(record, 16 + 8192);
        append(is, 8192);
        IS(ipc_channel_recv(&in, got_all, sizeof got_all, polls ? IPC_NOW : ipc_in_ms(1)), -ETIMEDOUT);
        follower()->look = ipc_in_ms(2 * LONG_MS);
        IS(truncate(path, (off_t)place), 0);
        append(record, sizeof record);
        IS(ipc_channel_recv(&in, got_all, sizeof got_all, polls ? IPC_NOW : ipc_in_ms(LONG_MS)), 65536);
        MUST(memcmp(got_all, was, 65536) == 0);
        close_both();
    }
}

static void a_record_may_come_in_any_parts(void **state)
{
    static const size_t end[] = {1, 16, 17, 16 + 4095, 16 + 4096, 16 + 8193, 16 + 8195, 16 + 9999};
    static char record[16 + 10000];
    size_t i, done;
    int polls;

    (void)state;
    for (i = 0; i < sizeof was; i++)
        was[i] = (char)(i * i);
    for (polls = 0; polls < 2; polls++) {
        (void)begin_with_part(record, 10000, polls);
        for (i = done = 0; i < sizeof end / sizeof *end; done = end[i++]) {
            append(record + done, end[i] - done);
            IS(ipc_channel_recv(&in, got_all, sizeof got_all, polls ? IPC_NOW : ipc_in_ms(1)),
               -ETIMEDOUT);
        }
        append(record + done, sizeof record - done);
        IS(ipc_channel_recv(&in, got_all, sizeof got_all, polls ? IPC_NOW : ipc_in_ms(LONG_MS)),
           10000);
        MUST(memcmp(got_all, was, 10000) == 0);
        open_out();
        sends(1, 1);
        receives(1, 1);
        close_both();
    }
}

/* The bytes of a log are the same on every processor. */
static void records_are_what_they_always_were(void **state)
{
    static const size_t size[] = {0, 1, 7, 8, 15, 16, 17, 100, 255, 256, 300, 4095, 4096, 4097, 10000};
    unsigned char header[16], message[10000];
    uint64_t mark = 5;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof message; i++)
        message[i] = (unsigned char)(i * i >> 3);
    for (i = 0; i < sizeof size / sizeof *size; i++) {
        mark = ipc_channel_put_record_(header, 5, (int64_t)(i << 33), mark, message, size[i]);
        memcpy(message, header, sizeof header);
    }
    IS(mark, UINT64_C(4304006303767797328));
}

/* A log of another version of the headers is left as it is. */
static void log_of_another_version_is_refused(void **state)
{
    char head[HEAD + RECORD] = "ipc-log2";
    char got[8];

    (void)state;
    head[HEAD - 1] = 1; /* its id */
    append(head, sizeof head);
    IS(ipc_channel_open(&out, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), -EPROTO);
    MUST(strstr(ipc_channel_why(&out), "another version") != NULL);
    open_in(0, 0);
    IS(ipc_channel_recv(&in, got, sizeof got, ipc_in_ms(LONG_MS)), -EBADMSG);
    MUST(strstr(ipc_channel_why(&in), "another version") != NULL);
    IS(size_of(path), (int64_t)sizeof head);
    close_both();
}

/* A crash of the machine may leave zeros behind the end. */
static void zeros_behind_the_end_are_cut_off(void **state)
{
    static const char zeros[10000];

    (void)state;
    begin_with(3);
    close_both();
    append(zeros, sizeof zeros);
    open_out();
    IS(size_of(path), HEAD + 3 * RECORD);
    append(zeros, 100);
    append("x", 1); /* that is no crash */
    ipc_channel_close(&out);
    IS(ipc_channel_open(&out, uri, IPC_SEND | IPC_LISTEN, IPC_NOW), -EBADMSG);
    IS(size_of(path), HEAD + 3 * RECORD + 101);
}

/* On a disk of 16 KiB that another file fills: there is no room for the head and the first record of
 * a log, nor after it was cut. */
static void begins_on_a_full_disk(struct child *up, void *arg)
{
    uint64_t number = 0;
    int round, fd;

    (void)up, (void)arg;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, "size=16k") != 0)
        _exit(UNABLE);
    open_out();
    open_in(0, 0);
    for (round = 0; round < 2; round++) {
        char filler[220];

        (void)snprintf(filler, sizeof filler, "%s/filler", folder);
        if (round > 0)
            IS(truncate(path, 0), 0);
        fd = open(filler, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        while (write(fd, filler, 100) > 0)
            ;
        MUST(close(fd) == 0);
        IS(ipc_channel_send(&out, &number, sizeof number, IPC_NOW), -ENOSPC);
        IS(size_of(path), 0);
        IS(unlink(filler), 0);
        sends(number++, 1);
        if (round > 0)
            is_told();
        receives(number - 1, 1);
        gets_nothing();
    }
    close_both();
}

static void log_may_begin_on_a_full_disk(void **state)
{
    int rc = run(begins_on_a_full_disk, NULL);

    (void)state;
    SKIP_IF(rc == UNABLE, "no disk of our own, to fill");
    IS(rc, 0);
}

/* Writers that are killed at any time, a log that is rotated at any time, and a follower. */
struct shared {
    uint64_t sent, got, told, gaps; /* gaps: numbers may be missing */
};

static void sends_for_ever(struct child *up, void *arg)
{
    struct shared *s = (struct shared *)arg;

    (void)up;
    open_out();
    for (;;) {
        sends(ck_pr_load_64(&s->sent) + 1, 1);
        ck_pr_store_64(&s->sent, s->sent + 1); /* killed here: it is sent again */
    }
}

static void follows_for_ever(struct child *up, void *arg)
{
    struct shared *s = (struct shared *)arg;
    uint64_t number = 0;

    (void)up;
    open_in(0, 0);
    for (;;) {
        int64_t rc = ipc_channel_recv(&in, &number, sizeof number, ipc_in_ms(LONG_MS));

        if (rc == -ESTALE) {
            ck_pr_store_64(&s->told, s->told + 1);
            continue;
        }
        must_(rc == 8, "recv", ipc_channel_why(&in), __FILE__, __LINE__);
        if (!(number == s->got || number == s->got + 1 || (number > s->got && s->gaps > 0)))
            dprintf(2, "%llu after %llu\n", (unsigned long long)number, (unsigned long long)s->got);
        MUST(number == s->got || number == s->got + 1 || (number > s->got && s->gaps > 0));
        ck_pr_store_64(&s->got, number);
    }
}

static void kills_and_rotations_lose_nothing(void **state)
{
    struct shared *s = (struct shared *)mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE,
                                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct child writer, follower;
    uint64_t k, until;

    (void)state;
    MUST(s != (struct shared *)MAP_FAILED);
    follower = spawn(follows_for_ever, s);
    writer = spawn(sends_for_ever, s);
    EVENTUALLY(ck_pr_load_64(&s->got) > 0);
    for (k = 0; k < 24; k++) {
        until = ck_pr_load_64(&s->sent) + 1 + k * 3;
        EVENTUALLY(ck_pr_load_64(&s->sent) >= until);
        if (k % 4 == 3) {
            ck_pr_store_64(&s->gaps, 1);
            IS(truncate(path, 0), 0);
        } else {
            IS(rename(path, old), 0);
            make_empty(path);
        }
        if (k % 3 != 0) {
            kill_child(&writer);
            writer = spawn(sends_for_ever, s);
        }
        EVENTUALLY(ck_pr_load_64(&s->told) == k + 1);
        until = ck_pr_load_64(&s->sent) + 1;
        EVENTUALLY(ck_pr_load_64(&s->got) >= until);
        IS(ck_pr_load_64(&s->told), k + 1);
        ck_pr_store_64(&s->gaps, 0);
    }
    MUST(waitpid(follower.pid, NULL, WNOHANG) == 0);
    kill_child(&writer);
    kill_child(&follower);
    (void)munmap(s, sizeof *s);
}

/* ------------------------------------------------------------------ options */

static void sync_is_the_senders(void **state)
{
    struct ipc_channel_options how;
    struct ipc_channel ch;

    (void)state;
    memset(&how, 0, sizeof how);
    how.sync = 1;
    IS(ipc_channel_open_with(&out, uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), 0);
    IS(fcntl(out.out, F_GETFL) & O_DSYNC, O_DSYNC);
    open_in(0, 0);
    sends(0, 3);
    receives(0, 3);
    move_away(CREATE);
    EVENTUALLY((sends(3, 1), size_of(path) > 0));
    IS(fcntl(out.out, F_GETFL) & O_DSYNC, O_DSYNC);
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV, IPC_NOW, &how), -EOPNOTSUPP);
    IS(ipc_channel_open_with(&ch, "pipe:", IPC_BOTH, IPC_NOW, &how), -EOPNOTSUPP);
    how.sync = 0;
    how.mark = 1;
    IS(ipc_channel_open_with(&ch, "pipe:", IPC_BOTH, IPC_NOW, &how), -EOPNOTSUPP);
    IS(ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), -EOPNOTSUPP);
    close_both();
}

/* ------------------------------------------------------------------ logrotate */

/* In which modes does a new log begin? */
static const struct mode {
    const char *directives;
    int anew;
} modes[] = {
    {"create 0600", 1},
    {"create 0600\n compress\n delaycompress", 1},
    {"create 0600\n rotate 0", 1},
    {"nocreate", 1},
    {"copytruncate", 1},
    {"copytruncate\n compress", 1},
    {"copy", 0},
    {"create 0600\n dateext\n dateformat -%s", 1},
};
enum { MODES = sizeof modes / sizeof *modes };

static void logrotate_of_each_mode_is_survived(void **state)
{
    static struct ipc_channel writers[MODES], followers[MODES];
    char command[900], conf[200];
    int told[MODES] = {0}, i, left = MODES;
    int64_t until = ipc_in_ms(LONG_MS);
    uint64_t next[MODES] = {0}, got[MODES] = {0}, number;
    FILE *f;

    (void)state;
    SKIP_IF(system("command -v logrotate >/dev/null || test -x /usr/sbin/logrotate") != 0,
            "no logrotate here");
    (void)snprintf(conf, sizeof conf, "%s/conf", folder);
    (void)snprintf(command, sizeof command,
                   "PATH=$PATH:/usr/sbin logrotate -f -s %s/state %s 2>%s/said || cat %s/said >&2",
                   folder, conf, folder, folder);
    f = fopen(conf, "w");
    MUST(f != NULL);
    for (i = 0; i < MODES; i++) {
        fprintf(f, "%s/rotated%d {\n su %ld %ld\n rotate 3\n %s\n}\n", folder, i, (long)geteuid(),
                (long)getegid(), modes[i].directives);
        (void)snprintf(uri, sizeof uri, "file:%s/rotated%d", folder, i);
        IS(ipc_channel_open(&writers[i], uri, IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
        IS(ipc_channel_open(&followers[i], uri, IPC_RECV, IPC_NOW), 0);
    }
    MUST(fclose(f) == 0 && chmod(conf, 0600) == 0);
    for (i = 0; i < MODES; i++) {
        IS(ipc_channel_send(&writers[i], &next[i], 8, IPC_NOW), 0);
        while (ipc_channel_recv(&followers[i], &number, 8, IPC_NOW) != 8)
            MUST(ipc_left_(until) > 0);
        IS(number, got[i]++);
        next[i]++;
    }
    IS(system(command), 0);
    while (left > 0 && a_moment(until)) /* until all were told, and have the last */
        for (left = MODES, i = 0; i < MODES; i++) {
            int64_t rc;

            IS(ipc_channel_send(&writers[i], &next[i], 8, IPC_NOW), 0);
            next[i]++;
            while ((rc = ipc_channel_recv(&followers[i], &number, 8, IPC_NOW)) != -ETIMEDOUT) {
                MUST(rc == 8 || rc == -ESTALE);
                told[i] += rc == -ESTALE;
                if (rc == 8)
                    IS(number, got[i]++);
            }
            left -= got[i] == next[i] && told[i] == modes[i].anew;
        }
    IS(left, 0);
    for (i = 0; i < MODES; i++) {
        ipc_channel_close(&writers[i]);
        ipc_channel_close(&followers[i]);
    }
}

/* ------------------------------------------------------------------ all tests */

static int choose_files(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/log", folder);
    (void)snprintf(old, sizeof old, "%s/log.1", folder);
    (void)snprintf(uri, sizeof uri, "file:%s", path);
    return 0;
}

static int clear_folder(void **state)
{
    DIR *d = opendir(folder);
    struct dirent *e;

    close_both();
    while (d != NULL && (e = readdir(d)) != NULL)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        (void)closedir(d);
    return clean_up(state);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, choose_files, clear_folder)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(opening_reads_the_end_of_a_log_only),
        TEST(larger_messages_are_told_and_stay),
        TEST(a_log_of_two_gigabytes_keeps_deadlines),
        TEST(a_hostile_log_is_not_read_again_and_again),
        TEST(end_is_found_in_spite_of_what_messages_say),
        TEST(followers_of_a_cut_log_are_told_once),
        TEST(log_that_is_cut_in_the_middle_keeps_its_beginning),
        TEST(what_others_append_is_cut_off),
        TEST(rotation_loses_nothing_and_is_told_once),
        TEST(event_loop_notices_each_step_of_a_rotation),
        TEST(unfit_successor_is_refused),
        TEST(place_is_of_its_file_only),
        TEST(a_follower_that_polls_reads_and_needs_no_events),
        TEST(no_descriptor_is_better_than_one_that_spins),
        TEST(events_without_end_stretch_no_deadline),
        TEST(writer_may_die_at_any_byte_of_a_new_log),
        TEST(what_comes_in_the_place_of_a_part_is_read),
        TEST(what_fits_a_part_is_not_taken_for_its_rest),
        TEST(a_record_that_is_mended_is_read_at_once),
        TEST(a_record_may_come_in_any_parts),
        TEST(records_are_what_they_always_were),
        TEST(log_of_another_version_is_refused),
        TEST(zeros_behind_the_end_are_cut_off),
        TEST(log_may_begin_on_a_full_disk),
        TEST(kills_and_rotations_lose_nothing),
        TEST(sync_is_the_senders),
        TEST(logrotate_of_each_mode_is_survived),
    };
    const char *tmp = getenv("TMPDIR");
    int rc;

    set_up(argc, argv);
    (void)snprintf(folder, sizeof folder, "%.100s/ipc-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(folder) == NULL)
        return 1;
    rc = cmocka_run_group_tests_name("log", tests, NULL, NULL);
    (void)rmdir(folder);
    return rc;
}
