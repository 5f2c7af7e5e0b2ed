/*
 * Tests of memory that may only be read: named segments of another user, sealed ones that nobody
 * can write, readers of lossy broadcasts and monitors there, and their sleep. Real processes; users
 * are made by setuid where the test is root.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

/* To count them: see below. */
#include <unistd.h>
static long counted_syscall(long number, ...);
#define syscall counted_syscall

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"
#include "steps.h"

#include <grp.h>
#include <pthread.h>
#include <sys/syscall.h>

#define WRITER 65534
#define READER 65533
#define SLOTS 16u

struct tick {
    uint64_t number, twice;
};
IPC_BROADCAST(ticks, struct tick)
IPC_RECORD_BROADCAST(tape)
IPC_SPSC(spsc, struct tick)
IPC_MPMC(mpmc, struct tick)
IPC_RECORDS(records)
IPC_STREAM(stream, uint64_t)
IPC_CALL(call, uint64_t, uint64_t)

/* ------------------------------------------------------------------ counted system calls */

static struct {
    unsigned wakes, waits, timeouts;
} calls;

/* The headers' system calls without a wrapper in libc; notes those of futex. As libc's, it takes
 * six arguments, also where there are fewer. */
__attribute__((no_sanitize("address"))) static long counted_syscall(long number, ...)
{
    va_list list;
    long a[6], rc;
    unsigned i;

    va_start(list, number);
    for (i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
#undef syscall
    rc = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_futex && (int)a[1] == IPC_NOTIFY_FUTEX_WAKE_ && (int)a[2] > 0)
        calls.wakes++;
    if (number == SYS_futex && (int)a[1] == IPC_NOTIFY_FUTEX_WAIT_) {
        calls.waits++;
        calls.timeouts += rc < 0 && errno == ETIMEDOUT;
    }
    return rc;
}

/* ------------------------------------------------------------------ what all use */

static void become_user(uid_t uid)
{
    MUST(setgroups(0, NULL) == 0 && setgid(uid) == 0 && setuid(uid) == 0);
}

/* The options of a writer whose segment others may read, and of those who read it. */
static struct ipc_shm_options to_read(int reads, uid_t owner)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;

    how.mode = 0644;
    how.owner = owner;
    how.flags = reads ? IPC_SHM_READ_ONLY : 0;
    return how;
}

static void must_do(int rc, const struct ipc_shm *seg)
{
    if (rc != 0)
        dprintf(2, "%s\n", ipc_shm_why(seg));
    IS(rc, 0);
}

/* The call is refused as one that would write, with a sentence. */
static void is_refused(int rc, const struct ipc_shm *seg)
{
    IS(rc, -EROFS);
    MUST(strstr(ipc_shm_why(seg), "read") != NULL);
}

static struct tick tick(uint64_t number)
{
    struct tick t = {number, 2 * number};

    return t;
}

/* Makes one of each kind, and sends into the lossy ones. */
struct writer {
    struct ipc_shm seg;
    struct ticks_producer out;
    struct tape_producer tape;
};

static void make_all(struct writer *w, unsigned how)
{
    struct ipc_shm *seg = &w->seg;

    must_do(ticks_producer_create(&w->out, seg, "ticks", SLOTS, how), seg);
    must_do(tape_producer_create(&w->tape, seg, "tape", 1024, how), seg);
    must_do(ticks_create(seg, "lossless", SLOTS, IPC_BROADCAST_LOSSLESS), seg);
    must_do(tape_create(seg, "lossless tape", 1024, IPC_BROADCAST_LOSSLESS), seg);
    must_do(spsc_create(seg, "spsc", SLOTS), seg);
    must_do(mpmc_create(seg, "mpmc", SLOTS, IPC_MPMC_AT_MOST_ONCE), seg);
    must_do(records_create(seg, "records", 1024, 2), seg);
    must_do(stream_create(seg, "stream", 512), seg);
    must_do(call_create(seg, "call", 4), seg);
}

static void send_number(struct writer *w, uint64_t number)
{
    struct tick t = tick(number);

    IS(ticks_send(&w->out, &t, IPC_NOW), 0);
    IS(tape_send(&w->tape, &number, sizeof number, IPC_NOW), 0);
}

/* Every call that would write is refused, and the memory stays as it was. */
static void expect_refusals(struct ipc_shm *seg)
{
    struct ipc_shm_object o, found;
    struct ticks_producer tp;
    struct ticks_consumer tc;
    struct tape_producer rp;
    struct tape_consumer rc;
    struct spsc_producer sp;
    struct spsc_consumer sc;
    struct mpmc_producer mp;
    struct mpmc_consumer mc;
    struct records_producer lp;
    struct records_consumer lc;
    struct stream_producer ap;
    struct stream_consumer ac;
    struct call_client cc;
    struct call_server cs;

    is_refused(ipc_shm_make(seg, "new", 1, 64, &o), seg);
    IS(ipc_shm_find(seg, "spsc", IPC_SPSC_TYPE, &found), 0);
    is_refused(ipc_shm_publish(seg, &found), seg);
    is_refused(ticks_create(seg, "ticks", SLOTS, IPC_BROADCAST_LOSSY), seg);
    is_refused(ticks_consumer_create(&tc, seg, "more", SLOTS, IPC_BROADCAST_LOSSY), seg);
    is_refused(ticks_producer_open(&tp, seg, "ticks"), seg);
    is_refused(tape_producer_open(&rp, seg, "tape"), seg);
    is_refused(ticks_consumer_open(&tc, seg, "lossless"), seg);
    is_refused(tape_consumer_open(&rc, seg, "lossless tape"), seg);
    is_refused(spsc_producer_open(&sp, seg, "spsc"), seg);
    is_refused(spsc_consumer_open(&sc, seg, "spsc"), seg);
    is_refused(mpmc_producer_open(&mp, seg, "mpmc"), seg);
    is_refused(mpmc_consumer_open(&mc, seg, "mpmc"), seg);
    is_refused(records_producer_open(&lp, seg, "records"), seg);
    is_refused(records_consumer_open(&lc, seg, "records"), seg);
    is_refused(stream_producer_open(&ap, seg, "stream"), seg);
    is_refused(stream_consumer_open(&ac, seg, "stream"), seg);
    is_refused(call_client_open(&cc, seg, "call"), seg);
    is_refused(call_server_open(&cs, seg, "call"), seg);
    IS(ticks_consumer_error(&tc), -EROFS);
    IS(spsc_pop(&sc, &(struct tick){0, 0}), -EROFS);
}

/* Reads until nothing is there, and checks what it reads. Returns the next number. */
static uint64_t read_numbers(struct ticks_consumer *in, struct tape_consumer *tape, uint64_t from)
{
    uint64_t next = from, record = from, number;
    struct tick t;
    int64_t rc;

    while ((rc = ticks_pop(in, &t)) != -EAGAIN) {
        MUST(rc == -EOVERFLOW || (rc == 0 && t.number >= next && t.twice == 2 * t.number));
        next = rc == 0 ? t.number + 1 : next;
    }
    while ((rc = tape_pop(tape, &number, sizeof number)) != -EAGAIN) {
        MUST(rc == -EOVERFLOW || (rc == sizeof number && number >= record));
        record = rc > 0 ? number + 1 : record;
    }
    IS(record, next);
    return next;
}

/* ------------------------------------------------------------------ another user's segment */

static void writes_for_others(struct child *up, void *arg)
{
    struct ipc_shm_options how = to_read(0, (uid_t)-1);
    struct writer w;
    uint64_t word, i, sent = 0;

    (void)arg;
    if (geteuid() == 0)
        become_user(WRITER);
    must_do(ipc_shm_create_with(&w.seg, name, 1 << 20, &how), &w.seg);
    make_all(&w, IPC_BROADCAST_LOSSY);
    send_number(&w, sent++);
    tell(up, w.seg.peer.id);
    for (;;) {
        word = hear(up);
        for (i = 0; i < word; i++)
            send_number(&w, sent++);
        tell(up, 0);
    }
}

/* A reader of another user: its own process, whose mapping has no write access. */
static void reads_what_another_user_writes(struct child *up, void *arg)
{
    uid_t owner = *(uid_t *)arg;
    struct ipc_shm_options how = to_read(1, owner), writes = to_read(0, owner);
    struct ipc_shm_member who;
    struct ipc_shm_object o;
    struct ticks_consumer in;
    struct tape_consumer tape;
    struct ipc_shm seg;
    unsigned i, members = 0, objects = 0;
    void *before;

    if (geteuid() == 0) {
        become_user(READER);
        IS(ipc_shm_open_with(&seg, name, IPC_NOW, &writes), -EACCES);
        MUST(strstr(ipc_shm_why(&seg), "IPC_SHM_READ_ONLY") != NULL);
    }
    must_do(ipc_shm_open_with(&seg, name, IPC_NOW, &how), &seg);
    before = malloc(seg.size);
    MUST(before != NULL);
    memcpy(before, seg.base, seg.size);
    for (i = 0; i < IPC_SHM_MEMBERS; i++)
        if (ipc_shm_who(&seg, i, &who) == 0) {
            members++;
            MUST(who.alive && !who.me && who.here && ipc_shm_alive(&seg, who.id));
        }
    IS(members, 1);
    for (i = 0; i < IPC_SHM_OBJECTS; i++)
        objects += ipc_shm_list(&seg, i, &o) == 0;
    IS(objects, 9);
    must_do(ticks_consumer_open(&in, &seg, "ticks"), &seg);
    must_do(tape_consumer_open(&tape, &seg, "tape"), &seg);
    expect_refusals(&seg);
    IS(ticks_consumer_wait(&in, ipc_in_ms(20)), -ETIMEDOUT);
    IS(tape_consumer_wait(&tape, ipc_in_ms(20)), -ETIMEDOUT);
    MUST(memcmp(before, seg.base, seg.size) == 0);
    tell(up, 0);
    IS(hear(up), 5);
    IS(read_numbers(&in, &tape, 1), 6);
    IS(ticks_missed(&in) + tape_missed(&tape), 0);
    tell(up, 0);
    IS(hear(up), 1000); /* more than there is room for */
    IS(read_numbers(&in, &tape, 6), 1006);
    IS(ticks_missed(&in), 1000 - SLOTS);
    MUST(tape_missed(&tape) > 0);
    tell(up, 0);
    (void)hear(up);
    IS(ticks_recv(&in, &(struct tick){0, 0}, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
    IS(tape_consumer_wait(&tape, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
    MUST(!ipc_shm_alive(&seg, ipc_shm_who(&seg, 0, &who) == 0 ? who.id : 0));
    ticks_consumer_detach(&in);
    tape_consumer_detach(&tape);
    ipc_shm_close(&seg);
    ipc_shm_close(&seg);
    free(before);
}

static void readers_of_another_user_store_nothing(void **state)
{
    uid_t owner = geteuid() == 0 ? WRITER : geteuid();
    struct child w, r;
    unsigned i;

    (void)state;
    if (geteuid() != 0)
        print_message("note: not root: reader and writer are one user\n");
    w = spawn(writes_for_others, NULL);
    (void)hear(&w);
    r = spawn(reads_what_another_user_writes, &owner);
    (void)hear(&r);
    for (i = 0; i < 2; i++) {
        uint64_t n = i == 0 ? 5 : 1000;

        tell(&w, n);
        (void)hear(&w);
        tell(&r, n);
        (void)hear(&r);
    }
    kill_child(&w);
    tell(&r, 0);
    finish(&r);
}

static void stores_itself(struct child *up, void *arg)
{
    struct ipc_shm_options how = to_read(1, geteuid());
    struct ipc_shm_object o;
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    (void)signal(SIGSEGV, SIG_DFL); /* not that of a sanitizer */
    must_do(ipc_shm_open_with(&seg, name, IPC_NOW, &how), &seg);
    must_do(ipc_shm_find(&seg, "ticks", IPC_BROADCAST_TYPE, &o), &seg);
    *(volatile char *)o.mem = 1;
}

static void a_reader_that_writes_is_killed_and_nothing_changes(void **state)
{
    struct ipc_shm_options how = to_read(0, (uid_t)-1);
    struct ticks_consumer in;
    struct writer w;
    struct child c;
    struct tick t;
    int status;

    (void)state;
    must_do(ipc_shm_create_with(&w.seg, name, 1 << 20, &how), &w.seg);
    make_all(&w, IPC_BROADCAST_LOSSY);
    c = spawn(stores_itself, NULL);
    status = reap(&c);
    MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    must_do(ticks_consumer_open(&in, &w.seg, "ticks"), &w.seg);
    send_number(&w, 7);
    IS(ticks_pop(&in, &t), 0);
    IS(t.number, 7);
    ipc_shm_close(&w.seg);
}

static void readers_take_no_place(void **state)
{
    struct ipc_shm_options how = to_read(1, geteuid());
    static struct ipc_shm seg, reader[IPC_SHM_MEMBERS + 10], member[IPC_SHM_MEMBERS];
    unsigned i;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 4096), &seg);
    for (i = 0; i < IPC_SHM_MEMBERS + 10; i++) {
        must_do(ipc_shm_open_with(&reader[i], name, IPC_NOW, &how), &reader[i]);
        MUST(ipc_shm_peer(&reader[i])->id == IPC_PEER_READ_ONLY);
    }
    for (i = 0; i < IPC_SHM_MEMBERS - 1; i++)
        must_do(ipc_shm_open(&member[i], name, IPC_NOW), &member[i]);
    MUST(ipc_shm_alive(&reader[0], seg.peer.id) && ipc_shm_alive(&reader[0], member[5].peer.id));
    for (i = 0; i < IPC_SHM_MEMBERS - 1; i++)
        ipc_shm_close(&member[i]);
    MUST(!ipc_shm_alive(&reader[0], member[5].peer.id));
    for (i = 0; i < IPC_SHM_MEMBERS + 10; i++)
        ipc_shm_close(&reader[i]);
    ipc_shm_close(&seg);
}

static void what_cannot_be_read_only_is_refused(void **state)
{
    struct ipc_shm_options how = to_read(1, geteuid());
    struct ipc_shm seg;

    (void)state;
    IS(ipc_shm_create_with(&seg, name, 4096, &how), -EINVAL);
    IS(ipc_shm_create_with(&seg, NULL, 4096, &how), -EINVAL);
    IS(ipc_shm_open_or_create(&seg, name, 4096, &how), -EINVAL);
    IS(ipc_shm_open_with(&seg, name, IPC_NOW, &how), -ENOENT);
    how.flags = IPC_SHM_SEAL_WRITES;
    IS(ipc_shm_create_with(&seg, name, 4096, &how), -EINVAL);
    MUST(names(0) == 0);
}

/* ------------------------------------------------------------------ monitors */

/* What a monitor sees of the ring of that name. */
static struct ipc_ring_status inspect(struct ipc_shm *seg, const char *ring, uint32_t type)
{
    struct ipc_ring_status s;
    struct ipc_shm_object o;

    must_do(ipc_shm_find(seg, ring, type, &o), seg);
    IS(ipc_ring_inspect(o.mem, o.size, &s), 0);
    return s;
}

static void expect_status(const struct ipc_ring_status *s, const char *kind, uint64_t capacity,
                          uint64_t sent, uint64_t size)
{
    MUST(strcmp(s->kind, kind) == 0);
    IS(s->capacity, capacity);
    IS(s->sent, sent);
    IS(s->size, size);
}

static void monitors_see_what_is_in_each_ring(void **state)
{
    struct ipc_ring_status s;
    struct mpmc_producer mp;
    struct mpmc_consumer mc;
    struct records_producer lp;
    struct records_consumer lc;
    struct spsc_producer sp;
    struct spsc_consumer sc;
    struct stream_producer ap;
    struct stream_consumer ac;
    struct tape_producer rp;
    struct tape_consumer rc;
    struct ticks_producer tp;
    struct ticks_consumer tc[2];
    struct ipc_shm_options how = to_read(1, geteuid());
    struct ipc_shm reads;
    struct writer w;
    struct tick t = tick(1), got;
    char text[16];
    uint64_t n = 0;
    unsigned i;

    (void)state;
    must_do(ipc_shm_create(&w.seg, name, 1 << 20), &w.seg);
    make_all(&w, IPC_BROADCAST_LOSSY);
    must_do(ipc_shm_open_with(&reads, name, IPC_NOW, &how), &reads);
    must_do(spsc_producer_open(&sp, &w.seg, "spsc"), &w.seg);
    must_do(spsc_consumer_open(&sc, &w.seg, "spsc"), &w.seg);
    spsc_replay(&sc, 0);
    must_do(mpmc_producer_open(&mp, &w.seg, "mpmc"), &w.seg);
    must_do(mpmc_consumer_open(&mc, &w.seg, "mpmc"), &w.seg);
    must_do(records_producer_open(&lp, &w.seg, "records"), &w.seg);
    must_do(records_consumer_open(&lc, &w.seg, "records"), &w.seg);
    records_replay(&lc, 0);
    must_do(stream_producer_open(&ap, &w.seg, "stream"), &w.seg);
    must_do(stream_consumer_open(&ac, &w.seg, "stream"), &w.seg);
    must_do(tape_producer_open(&rp, &w.seg, "lossless tape"), &w.seg);
    must_do(tape_consumer_open(&rc, &w.seg, "lossless tape"), &w.seg);
    must_do(ticks_producer_open(&tp, &w.seg, "lossless"), &w.seg);
    for (i = 0; i < 2; i++)
        must_do(ticks_consumer_open(&tc[i], &w.seg, "lossless"), &w.seg);
    for (i = 0; i < 3; i++) {
        IS(spsc_push(&sp, &t), 0);
        IS(mpmc_push(&mp, &t), 0);
        IS(records_push(&lp, "record", 6), 0);
        IS(stream_push_n(&ap, &n, 1), 1);
        IS(tape_push(&rp, "record", 6), 0);
        IS(ticks_push(&tp, &t), 0);
        send_number(&w, i);
    }
    IS(spsc_pop(&sc, &got), 0);
    IS(mpmc_pop(&mc, &got), 0);
    IS(records_pop(&lc, text, sizeof text), 6);
    IS(stream_pop_n(&ac, &n, 1), 1);
    s = inspect(&reads, "spsc", IPC_SPSC_TYPE);
    expect_status(&s, "SPSC", SLOTS, 3, 2);
    MUST(s.bytes == sizeof t && s.producer == w.seg.peer.id && s.consumer == w.seg.peer.id);
    MUST(ipc_shm_alive(&reads, s.producer));
    s = inspect(&reads, "mpmc", IPC_MPMC_TYPE);
    MUST(strcmp(s.kind, "MPMC") == 0 && s.capacity == SLOTS && s.size <= 3 && s.sent <= 3);
    s = inspect(&reads, "records", IPC_RECORD_TYPE);
    expect_status(&s, "records", 1024, 48, 32);
    s = inspect(&reads, "stream", IPC_STREAM_TYPE);
    expect_status(&s, "stream", 512, 3, 2);
    s = inspect(&reads, "lossless", IPC_BROADCAST_TYPE);
    expect_status(&s, "broadcast", SLOTS, 3, 3);
    MUST(s.readers == 2 && s.slowest == w.seg.peer.id && s.how == IPC_BROADCAST_LOSSLESS);
    s = inspect(&reads, "lossless tape", IPC_RECORD_BROADCAST_TYPE);
    expect_status(&s, "record broadcast", 1024, 48, 48);
    IS(s.readers, 1);
    for (i = 0; i < 100; i++)
        send_number(&w, i);
    s = inspect(&reads, "ticks", IPC_BROADCAST_TYPE);
    expect_status(&s, "broadcast", SLOTS, 103, 0);
    s = inspect(&reads, "tape", IPC_RECORD_BROADCAST_TYPE);
    expect_status(&s, "record broadcast", 1024, 103 * 16, 0);
    s = inspect(&reads, "call", IPC_CALL_TYPE);
    expect_status(&s, "calls", 8, 0, 0);
    IS(s.how, sizeof(uint64_t));
    ipc_shm_close(&reads);
    ipc_shm_close(&w.seg);
}

/* Corrupt rings lead a monitor nowhere: under AddressSanitizer each access outside shows. */
static void a_monitor_believes_no_ring(void **state)
{
    static const struct {
        const char *ring;
        uint32_t type;
    } rings[] = {{"ticks", IPC_BROADCAST_TYPE}, {"tape", IPC_RECORD_BROADCAST_TYPE},
                 {"lossless", IPC_BROADCAST_TYPE}, {"lossless tape", IPC_RECORD_BROADCAST_TYPE},
                 {"spsc", IPC_SPSC_TYPE}, {"mpmc", IPC_MPMC_TYPE}, {"records", IPC_RECORD_TYPE},
                 {"stream", IPC_STREAM_TYPE}, {"call", IPC_CALL_TYPE}};
    static const uint64_t values[] = {0, 1, 7, 8, ~UINT64_C(0), UINT64_C(1) << 63, 4096, 3};
    struct ipc_ring_status s;
    struct ipc_shm_object o;
    struct writer w;
    unsigned i, v;
    size_t at;

    (void)state;
    must_do(ipc_shm_create(&w.seg, name, 1 << 20), &w.seg);
    make_all(&w, IPC_BROADCAST_LOSSY);
    for (at = 0; at < 20; at++)
        send_number(&w, at);
    for (i = 0; i < sizeof rings / sizeof *rings; i++) {
        unsigned char *copy;

        must_do(ipc_shm_find(&w.seg, rings[i].ring, rings[i].type, &o), &w.seg);
        copy = (unsigned char *)aligned_alloc(64, o.size);
        MUST(copy != NULL);
        for (at = 8; at + 8 <= o.size; at += 8)
            for (v = 0; v < sizeof values / sizeof *values; v++) {
                if (at > 512 && at % 520 != 0 && at < o.size - 512)
                    continue;
                memcpy(copy, o.mem, o.size);
                memcpy(copy + at, &values[v], 8);
                (void)ipc_ring_inspect(copy, o.size, &s);
            }
        IS(ipc_ring_inspect(copy, 32, &s), -EINVAL);
        memset(copy, 0, 8);
        IS(ipc_ring_inspect(copy, o.size, &s), -EAGAIN);
        memset(copy, 7, 8);
        IS(ipc_ring_inspect(copy, o.size, &s), -EPROTO);
        free(copy);
    }
    ipc_shm_close(&w.seg);
}

static struct {
    unsigned char *mem;
    size_t size;
    uint32_t *said;
} made;

static void inspects(void)
{
    struct ipc_ring_status s;

    ck_pr_store_32(made.said, (uint32_t)ipc_ring_inspect(made.mem, made.size, &s));
    (void)raise(SIGSTOP);
}

/* The ring is made behind the n-th instruction of its look. Sanitizers make that long. */
static void a_monitor_sees_a_ring_that_is_being_made_or_all_of_it(void **state)
{
    int more = 1;
    unsigned n, i;

    (void)state;
    made.size = spsc_footprint(2);
    made.mem = (unsigned char *)mmap(NULL, made.size + sizeof *made.said, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST((void *)made.mem != MAP_FAILED);
    made.said = (uint32_t *)(void *)(made.mem + made.size);
    for (n = 0; more; n += 1 + n / 16) {
        pid_t child;

        memset(made.mem, 0, made.size);
        child = begin_steps(inspects);
        for (i = 0; i < n && more; i++)
            more = step(child);
        IS(spsc_init(made.mem, made.size, 2), 0);
        end_steps(child);
        MUST(*made.said == 0 || (int)*made.said == -EAGAIN);
    }
    (void)munmap(made.mem, made.size + sizeof *made.said);
}

/* ------------------------------------------------------------------ sealed against writing */

static void cannot_be_written(struct ipc_shm *seg)
{
    char path[32];
    int fd;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", seg->fd);
    MUST(mprotect(seg->base, seg->size, PROT_READ | PROT_WRITE) != 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    MUST(fd >= 0 || errno == EACCES);
    if (fd < 0)
        return; /* only root may open it so */
    MUST(mmap(NULL, seg->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    MUST(write(fd, "x", 1) == -1 && errno == EPERM);
    MUST(ftruncate(fd, 0) == -1 && errno == EPERM);
    (void)close(fd);
}

struct receives {
    uid_t uid;
    int socket;
};

static void receives_what_is_sealed(struct child *up, void *arg)
{
    struct receives *r = (struct receives *)arg;
    struct ticks_consumer in;
    struct tape_consumer tape;
    struct flock lock = {F_UNLCK, SEEK_SET, 0, 0, 0};
    struct ipc_shm seg;
    int raw;

    if (r->uid != geteuid())
        become_user(r->uid);
    /* What it is sent gives no hold on the creator's lock. */
    MUST((raw = ipc_shm_take_message_(&seg, r->socket, ipc_in_ms(LONG_MS))) >= 0);
    IS(fcntl(raw, F_GETFL) & O_ACCMODE, O_RDONLY);
    (void)fcntl(raw, F_OFD_SETLK, &lock);
    must_do(ipc_shm_recv(&seg, r->socket, ipc_in_ms(LONG_MS)), &seg);
    MUST((seg.flags & IPC_SHM_READ_ONLY) != 0);
    cannot_be_written(&seg);
    must_do(ticks_consumer_open(&in, &seg, "ticks"), &seg);
    must_do(tape_consumer_open(&tape, &seg, "tape"), &seg);
    expect_refusals(&seg);
    tell(up, 0);
    IS(hear(up), 5);
    IS(read_numbers(&in, &tape, 0), 5);
    MUST(ipc_shm_alive(&seg, ck_pr_load_64(&seg.base->creator)));
    tell(up, 0);
    IS(ticks_recv(&in, &(struct tick){0, 0}, ipc_in_ms(LONG_MS)), -EPIPE);
    MUST(!ipc_shm_alive(&seg, ck_pr_load_64(&seg.base->creator)));
    ipc_shm_close(&seg);
}

static void is_told_that_it_cannot_go_on(struct child *up, void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    struct ipc_shm_object o;

    (void)up;
    IS(ipc_shm_make(seg, "child's", 1, 64, &o), -EROFS);
    MUST(strstr(ipc_shm_why(seg), "fork") != NULL);
    IS(ipc_shm_peer(seg)->id, 0);
    ipc_shm_close(seg);
}

/* Whoever may make a segment may seal it. */
static void seals_as_a_user(struct child *up, void *arg)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm seg;
    int rc;

    (void)up;
    (void)arg;
    if (geteuid() == 0)
        become_user(WRITER);
    how.flags = IPC_SHM_SEAL_WRITES;
    rc = ipc_shm_create_with(&seg, NULL, 4096, &how);
    if (rc == -EOPNOTSUPP)
        _exit(UNABLE);
    must_do(rc, &seg);
    ipc_shm_close(&seg);
}

static void locks_all_that_it_may(struct child *up, void *arg)
{
    uid_t owner = *(const uid_t *)arg;
    struct ipc_shm_options how = to_read(1, owner);
    struct ipc_shm seg;
    struct flock lock;
    unsigned i;

    if (geteuid() == 0)
        become_user(READER);
    must_do(ipc_shm_open_with(&seg, name, IPC_NOW, &how), &seg);
    memset(&lock, 0, sizeof lock);
    lock.l_type = F_RDLCK;
    lock.l_len = 1;
    tell(up, 0);
    (void)hear(up); /* the member is dead */
    for (i = 0; i < 2 * IPC_SHM_MEMBERS; i++) {
        lock.l_start = (off_t)i;
        (void)fcntl(seg.fd, F_OFD_SETLK, &lock);
    }
    tell(up, 0);
    (void)hear(up);
}

static void is_a_member(struct child *up, void *arg)
{
    uid_t owner = *(const uid_t *)arg;
    struct ipc_shm_options how = to_read(0, owner);
    struct ipc_shm seg;

    must_do(ipc_shm_open_with(&seg, name, IPC_NOW, &how), &seg);
    tell(up, seg.peer.id);
    (void)hear(up);
}

static void reader_that_locks_makes_no_dead_alive(void **state)
{
    uid_t owner = geteuid();
    struct ipc_shm_options how = to_read(0, owner);
    struct child member, reader;
    struct ipc_shm seg;
    uint64_t id;

    (void)state;
    must_do(ipc_shm_create_with(&seg, name, 4096, &how), &seg);
    member = spawn(is_a_member, &owner);
    id = hear(&member);
    reader = spawn(locks_all_that_it_may, &owner);
    (void)hear(&reader);
    MUST(ipc_shm_alive(&seg, id));
    kill_child(&member);
    tell(&reader, 0);
    (void)hear(&reader);
    MUST(!ipc_shm_alive(&seg, id));
    tell(&reader, 0);
    finish(&reader);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(name), 0);
}

static void every_user_can_seal(void **state)
{
    int rc = run(seals_as_a_user, NULL);

    (void)state;
    SKIP_IF(rc == UNABLE, "a kernel before 5.1");
    IS(rc, 0);
}

static void sealed_segment_can_never_be_written_by_its_receiver(void **state)
{
    static const uid_t uids[] = {WRITER, 0};
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    unsigned i, n, fds = open_fds();

    (void)state;
    how.flags = IPC_SHM_SEAL_WRITES;
    for (i = 0; i < 2; i++) {
        struct receives r;
        struct writer w;
        struct child c;
        int pair[2];

        MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        r.uid = geteuid() == 0 ? uids[i] : geteuid();
        r.socket = pair[1];
        n = (unsigned)ipc_shm_create_with(&w.seg, NULL, 1 << 20, &how);
        SKIP_IF(n == (unsigned)-EOPNOTSUPP, "a kernel before 5.1");
        must_do((int)n, &w.seg);
        make_all(&w, IPC_BROADCAST_LOSSY);
        c = spawn(is_told_that_it_cannot_go_on, &w.seg);
        finish(&c);
        MUST(ipc_shm_alive(&w.seg, w.seg.peer.id));
        c = spawn(receives_what_is_sealed, &r);
        must_do(ipc_shm_send(&w.seg, pair[0]), &w.seg);
        must_do(ipc_shm_send(&w.seg, pair[0]), &w.seg);
        (void)hear(&c);
        for (n = 0; n < 5; n++)
            send_number(&w, n);
        tell(&c, 5);
        (void)hear(&c);
        ipc_shm_close(&w.seg);
        finish(&c);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
    IS(open_fds(), fds);
}

/* ------------------------------------------------------------------ sleeping */

/* The same memory twice: for the writer, and without write access. */
struct views {
    struct ipc_shm seg, reads;
};

static void open_both(struct views *v)
{
    struct ipc_shm_options how = to_read(1, geteuid());

    must_do(ipc_shm_create(&v->seg, name, 1 << 20), &v->seg);
    must_do(ipc_shm_open_with(&v->reads, name, IPC_NOW, &how), &v->reads);
}

static void a_post_wakes_unasked_only_by_option(void **state)
{
    struct ticks_producer quiet, out;
    struct ticks_consumer in;
    struct views v;
    struct tick t;
    uint32_t *word;

    (void)state;
    open_both(&v);
    must_do(ticks_producer_create(&quiet, &v.seg, "quiet", SLOTS, IPC_BROADCAST_LOSSY), &v.seg);
    must_do(ticks_producer_create(&out, &v.seg, "ticks", SLOTS,
                                  IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY),
            &v.seg);
    IS(ticks_create(&v.seg, "ticks", SLOTS, IPC_BROADCAST_LOSSY), -EPROTO);
    must_do(ticks_consumer_open(&in, &v.reads, "ticks"), &v.reads);
    word = (uint32_t *)(void *)out.raw.s.ring->data_bell;
    for (t = tick(0); t.number < 200; t = tick(t.number + 1)) {
        uint32_t was = ck_pr_load_32(word);

        calls.wakes = 0;
        IS(ticks_send(&quiet, &t, IPC_NOW), 0);
        IS(calls.wakes, 0);
        IS(ticks_send(&out, &t, IPC_NOW), 0);
        IS(calls.wakes, 1);
        MUST(ck_pr_load_32(word) / IPC_NOTIFY_COUNT_ == was / IPC_NOTIFY_COUNT_ + 1);
        IS(ticks_push(&out, &t), 0); /* wakes nobody: a post for many */
        IS(calls.wakes, 1);
    }
    /* What cannot be done without a store. */
    IS(ticks_consumer_post(&in), 0); /* nobody is there */
    IS(ipc_notify_post(&in.data), -EROFS);
    IS(ipc_notify_wake_unasked(&in.data), -EROFS);
    IS(ipc_notify_fd(&in.data), -EROFS);
    ipc_notify_arm(&in.data);
    ipc_notify_drain(&in.data);
    ticks_consumer_detach(&in);
    ipc_shm_close(&v.reads);
    ipc_shm_close(&v.seg);
}

#define ROUNDS 30u

struct sleeper {
    unsigned how;
    int watches;
};

/* Receives each message asleep, and says how it slept. */
static void sleeps_for_each(struct child *up, void *arg)
{
    const struct sleeper *s = (const struct sleeper *)arg;
    struct ipc_shm_options how = to_read(1, geteuid());
    struct ticks_consumer in;
    struct ipc_shm seg;
    struct tick t;
    unsigned i;

    must_do(ipc_shm_open_with(&seg, name, IPC_NOW, &how), &seg);
    must_do(ticks_consumer_open(&in, &seg, "ticks"), &seg);
    ipc_notify_policy(ticks_consumer_bell(&in), 0, 0);
    if (!s->watches)
        in.data.peer.alive = NULL; /* then it looks once a second only */
    tell(up, 0);
    for (i = 0; i < ROUNDS; i++) {
        IS(ticks_recv(&in, &t, ipc_in_ms(LONG_MS)), 0);
        MUST(t.number == i && t.twice == 2 * t.number);
        tell(up, i);
    }
    tell(up, calls.waits);
    tell(up, calls.timeouts);
    ticks_consumer_detach(&in);
    ipc_shm_close(&seg);
}

static void sleep_and_wake(const struct sleeper *s, unsigned *waits, unsigned *timeouts)
{
    struct ticks_producer out;
    struct ipc_shm seg;
    struct child c;
    struct tick t;
    unsigned i;

    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    must_do(ticks_producer_create(&out, &seg, "ticks", SLOTS, s->how), &seg);
    c = spawn(sleeps_for_each, (void *)(uintptr_t)s);
    (void)hear(&c);
    for (i = 0; i < ROUNDS; i++) {
        EVENTUALLY(rests(c.pid));
        t = tick(i);
        IS(ticks_send(&out, &t, IPC_NOW), 0);
        IS(hear(&c), i);
    }
    *waits = (unsigned)hear(&c);
    *timeouts = (unsigned)hear(&c);
    finish(&c);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(name), 0);
}

static void readers_sleep_until_they_are_woken(void **state)
{
    struct sleeper s = {IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY, 0};
    unsigned waits, timeouts;

    (void)state;
    sleep_and_wake(&s, &waits, &timeouts);
    MUST(waits >= ROUNDS / 2); /* one that is late finds the message before it sleeps */
    MUST(timeouts < ROUNDS / 2);
    s.watches = 1;
    sleep_and_wake(&s, &waits, &timeouts);
    MUST(waits >= ROUNDS / 2);
    s.how = IPC_BROADCAST_LOSSY; /* by naps */
    sleep_and_wake(&s, &waits, &timeouts);
    IS(waits, 0);
}

static void waits_of_readers_end_at_their_deadline(void **state)
{
    static const unsigned hows[] = {IPC_BROADCAST_LOSSY,
                                    IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY};
    struct ticks_producer out[2];
    struct ticks_consumer in[2];
    struct ipc_notify *bells[2];
    struct tick t = tick(1);
    struct ipc_any any;
    struct views v;
    unsigned i, k;

    (void)state;
    open_both(&v);
    for (i = 0; i < 2; i++) {
        char ring[2] = {(char)('a' + i), '\0'};
        int64_t until;

        must_do(ticks_producer_create(&out[i], &v.seg, ring, SLOTS, hows[i]), &v.seg);
        must_do(ticks_consumer_open(&in[i], &v.reads, ring), &v.reads);
        bells[i] = ticks_consumer_bell(&in[i]);
        IS(ticks_recv(&in[i], &t, IPC_NOW), -ETIMEDOUT);
        until = ipc_in_ms(30);
        IS(ticks_recv(&in[i], &t, until), -ETIMEDOUT);
        MUST(ipc_clock() >= until);
    }
    IS(ipc_any_init(&any, bells, 2), 0);
    IS(ipc_wait_any(&any, ipc_in_ms(30), k, ticks_pop(&in[k], &t) == 0), -ETIMEDOUT);
    for (i = 0; i < 2; i++) {
        t = tick(10 + i);
        IS(ticks_send(&out[i], &t, IPC_NOW), 0);
        IS(ipc_wait_any(&any, ipc_in_ms(LONG_MS), k, ticks_pop(&in[k], &t) == 0), 0);
        MUST(k == i && t.number == 10 + i);
    }
    ipc_any_close(&any);
    for (i = 0; i < 2; i++) {
        ticks_producer_detach(&out[i]);
        IS(ticks_recv(&in[i], &t, ipc_in_ms(LONG_MS)), -EPIPE);
    }
    ipc_shm_close(&v.reads);
    ipc_shm_close(&v.seg);
}

/* ------------------------------------------------------------------ all tests */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(readers_of_another_user_store_nothing),
        TEST(a_reader_that_writes_is_killed_and_nothing_changes),
        TEST(readers_take_no_place),
        TEST(what_cannot_be_read_only_is_refused),
        TEST(monitors_see_what_is_in_each_ring),
        TEST(a_monitor_believes_no_ring),
        TEST(a_monitor_sees_a_ring_that_is_being_made_or_all_of_it),
        TEST(sealed_segment_can_never_be_written_by_its_receiver),
        TEST(every_user_can_seal),
        TEST(reader_that_locks_makes_no_dead_alive),
        TEST(a_post_wakes_unasked_only_by_option),
        TEST(readers_sleep_until_they_are_woken),
        TEST(waits_of_readers_end_at_their_deadline),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
