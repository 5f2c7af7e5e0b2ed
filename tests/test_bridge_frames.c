/*
 * Tests of ipc_bridge's two sides without a link: what they make of frames that no bridge would
 * send, and of a second bridge.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "tools/bridge/bridge.h"

/* A producer that pushes whenever the bridge has read. */
static int64_t release_and_push(struct ipc_record_broadcast_consumer *c);
#define ipc_record_broadcast_release(c) release_and_push(c)

/* Before cmocka.h, whose macros have names of theirs. */
#include "tools/bridge/in.c"

/* How many stores of kinds.c this process lives for. */
static unsigned stores = UINT32_MAX;

static void store_or_die(uint64_t *at, uint64_t value)
{
    if (stores-- == 0)
        (void)kill(getpid(), SIGKILL);
    ck_pr_store_64(at, value);
}
#undef ck_pr_store_64
#define ck_pr_store_64 store_or_die

#include "tools/bridge/kinds.c"
#include "tools/bridge/object.c"
#include "tools/bridge/out.c"
#undef ipc_record_broadcast_release

IPC_SPSC(line, uint64_t)
IPC_BROADCAST(cast, uint64_t)
IPC_RECORDS(log)
IPC_RECORD_BROADCAST(tape)
IPC_MPMC(jobs, uint64_t)

#ifndef LONG_MS
#define LONG_MS 30000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "chance.h"
#include "harness.h"

/* The last frame that was sent. */
static union {
    struct frame head;
    struct hello hello;
    struct refusal refusal;
    unsigned char bytes[2 * BATCH];
} last;
static unsigned sent[RESTART + 1];

int send_frame(struct bridge *b, const void *frame, size_t n)
{
    (void)b;
    MUST(n <= sizeof last);
    memcpy(&last, frame, n);
    sent[last.head.what]++;
    return 0;
}

static void begin(struct object *o, const char *ring, int is_out)
{
    memset(o, 0, sizeof *o);
    (void)snprintf(o->segment, sizeof o->segment, "%s", name);
    (void)snprintf(o->name, sizeof o->name, "%s", ring);
    o->is_out = is_out;
    o->room = 1 << 20;
    o->last = &o->first;
}

static void end(struct object *o)
{
    forget_in(o);
    close_object(o);
    free(o->frame);
}

static struct hello hello_of(uint32_t type, unsigned how, uint64_t bytes, uint64_t capacity)
{
    struct hello h;

    memset(&h, 0, sizeof h);
    h.head.what = HELLO;
    h.head.session = 7;
    h.protocol = PROTOCOL;
    h.epoch = 1;
    h.is.type = type;
    h.is.how = how;
    h.is.bytes = bytes;
    h.is.capacity = capacity;
    return h;
}

/* Where a ring is full, what comes is kept, and takes memory, also a frame without a message: there
 * is an end to that. */
static void empty_frames_count(void **state)
{
    struct hello h = hello_of(IPC_SPSC_TYPE, 0, 8, 4);
    struct {
        struct frame head;
        uint64_t message[8];
    } f;
    struct object o;
    unsigned i;

    (void)state;
    begin(&o, "line", 0);
    hear_in(&o, &h.head, sizeof h);
    IS(last.head.what, WELCOME);
    memset(&f, 0, sizeof f);
    f.head.what = DATA;
    f.head.session = 7;
    hear_in(&o, &f.head, sizeof f);
    f.head.at.number = 8;
    for (i = 0; i < 100; i++)
        hear_in(&o, &f.head, sizeof f.head);
    MUST(o.pending > 100 * sizeof(struct frame));
    IS(o.step, AGREED);
    o.pending += 2 * WINDOW + 2 * (size_t)LONGEST;
    hear_in(&o, &f.head, sizeof f.head);
    IS(last.head.what, RESTART);
    MUST(o.first == NULL && o.pending == 0);
    end(&o);
}

/* A position that comes near 2^63 would be taken for a slot that is being written, for ever. */
static void a_gap_that_cannot_be_is_refused(void **state)
{
    struct hello h = hello_of(IPC_BROADCAST_TYPE, IPC_BROADCAST_LOSSY, 8, 4);
    struct frame f;
    struct object o;
    unsigned i;

    (void)state;
    begin(&o, "cast", 0);
    for (i = 0; i < 4; i++, h.epoch++) {
        hear_in(&o, &h.head, sizeof h);
        IS(last.head.what, WELCOME);
        memset(&f, 0, sizeof f);
        f.what = DATA;
        f.session = 7;
        f.at.number = (UINT64_C(1) << 61) - i;
        hear_in(&o, &f, sizeof f);
        IS(o.step, i < 2 ? AGREED : THERE);
    }
    IS(last.head.what, RESTART);
    MUST(tail_of(&o) <= FURTHEST);
    end(&o);
}

/* ------------------------------------------------------------------ killed as it tells a loss */

/* A bridge is killed behind the first n stores, and another writer goes on. Returns 0 where those
 * were all. */
static int loss_is_cut_short(void *mem, size_t size, uint64_t loss, unsigned n)
{
    struct sink s;
    struct ipc_broadcast_producer *p = &s.end.broadcast;
    struct cast_consumer in;
    uint64_t got = 0, x = 0, i;
    int rc, status;
    pid_t child;

    IS(cast_init(mem, size, 4, IPC_BROADCAST_LOSSY), 0);
    IS(ipc_broadcast_producer_attach(p, mem, size, 8, NULL), 0);
    for (i = 0; i < 7; i++)
        IS(ipc_broadcast_push(p, &i, 8), 0);
    IS(cast_consumer_attach(&in, mem, size, NULL), 0);
    child = fork();
    if (child == 0) {
        stores = n;
        skip_slots(&s, 7, loss);
        _exit(0);
    }
    MUST(waitpid(child, &status, 0) == child);
    while ((rc = cast_pop(&in, &x)) == -EOVERFLOW)
        ;
    IS(rc, -EAGAIN);
    ipc_broadcast_producer_detach(p);
    IS(ipc_broadcast_producer_attach(p, mem, size, 8, NULL), 0);
    for (i = 0; i < 12; i++) {
        x = p->s.tail;
        IS(ipc_broadcast_push(p, &x, 8), 0);
        while ((rc = cast_pop(&in, &x)) == -EOVERFLOW)
            ;
        MUST(rc == -EAGAIN || (rc == 0 && x == in.raw.s.head - 1));
        got += rc == 0;
    }
    while (cast_pop(&in, &x) == 0)
        got++;
    IS(got + cast_missed(&in), p->s.tail - 7);
    MUST(got >= 12 - 4); /* it misses a capacity at most */
    return WIFSIGNALED(status);
}

static void a_bridge_is_killed_as_it_tells_a_loss(void **state)
{
    static const uint64_t losses[] = {1, 3, 4, 5, 6, 102, 104};
    size_t size = cast_footprint(4, IPC_BROADCAST_LOSSY), i;
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned n;

    (void)state;
    MUST(mem != MAP_FAILED);
    for (i = 0; i < sizeof losses / sizeof *losses; i++)
        for (n = 0; loss_is_cut_short(mem, size, losses[i], n); n++)
            ;
    (void)munmap(mem, size);
}

/* Two bridges into one ring would share a mark, and messages would come twice. */
static void a_second_bridge_into_a_ring_is_refused(void **state)
{
    struct hello h = hello_of(IPC_MPMC_TYPE, 0, 8, 4);
    struct object one, two;

    (void)state;
    begin(&one, "jobs", 0);
    begin(&two, "jobs", 0);
    hear_in(&one, &h.head, sizeof h);
    IS(last.head.what, WELCOME);
    hear_in(&two, &h.head, sizeof h);
    IS(last.head.what, REFUSAL);
    two.next_try = 0;
    MUST(strstr(last.refusal.why, "another bridge writes 'jobs'") != NULL);
    IS(one.state->is_up, 1);
    end(&one);
    hear_in(&two, &h.head, sizeof h);
    IS(last.head.what, WELCOME);
    end(&two);
}

/* Two texts in turn would fill the disk that has the log: what is refused once a second is said so
 * often. */
static void nobody_can_make_a_bridge_complain_without_end(void **state)
{
    struct hello h = hello_of(IPC_SPSC_TYPE, 0, 8, 4);
    struct line_producer line;
    struct refusal r;
    struct ipc_shm seg;
    struct object in, out;
    unsigned i;

    (void)state;
    begin(&in, "in", 0);
    h.protocol++;
    i = sent[REFUSAL];
    hear_in(&in, &h.head, sizeof h);
    h.protocol--;
    h.is.bytes = LONGEST + 1;
    hear_in(&in, &h.head, sizeof h);
    MUST(strstr(in.said, "another version") != NULL);
    IS(sent[REFUSAL], i + 1);
    in.next_try = 0;
    hear_in(&in, &h.head, sizeof h);
    IS(sent[REFUSAL], i + 2);
    IS(ipc_shm_create(&seg, name, 1 << 20), 0);
    IS(line_producer_create(&line, &seg, "line", 64), 0);
    begin(&out, "line", 1);
    (void)work_out(&out);
    IS(out.step, ASKED);
    memset(&r, 0, sizeof r);
    r.head.what = REFUSAL;
    strcpy(r.why, "one");
    hear_out(&out, &r.head, sizeof r);
    strcpy(r.why, "two");
    hear_out(&out, &r.head, sizeof r);
    MUST(strstr(out.said, "one") != NULL);
    end(&in);
    end(&out);
    ipc_shm_close(&seg);
}

/* What is said to be in the other ring is not read for ever, where the producer is as fast. */
static struct tape_producer *busy;
static unsigned pushes;

static int64_t release_and_push(struct ipc_record_broadcast_consumer *c)
{
    int64_t rc = ipc_record_broadcast_release(c);

    if (busy != NULL) {
        MUST(++pushes < 100000);
        IS(tape_push(busy, "x", 1), 0);
    }
    return rc;
}

static void a_producer_that_goes_on_holds_up_no_welcome(void **state)
{
    struct tape_producer tape;
    struct ipc_shm seg;
    struct object o;
    struct frame f;

    (void)state;
    IS(ipc_shm_create(&seg, name, 1 << 20), 0);
    IS(tape_producer_create(&tape, &seg, "tape", 4096, IPC_BROADCAST_LOSSY), 0);
    begin(&o, "tape", 1);
    (void)work_out(&o);
    IS(o.step, ASKED);
    IS(tape_push(&tape, "x", 1), 0);
    f = last.head;
    f.what = WELCOME;
    f.skip = UINT64_C(1) << 40;
    busy = &tape;
    hear_out(&o, &f, sizeof f);
    busy = NULL;
    MUST(pushes > 0);
    IS(o.step, THERE);
    end(&o);
    ipc_shm_close(&seg);
}

/* Reads the ring of many records, of which the next one has n bytes, up to the frame that has it. */
static void reads_a_record(struct object *o, size_t n)
{
    struct frame f;
    unsigned i;

    begin(o, "log", 1);
    (void)work_out(o);
    if (o->step != ASKED)
        return;
    f = last.head;
    f.what = WELCOME;
    hear_out(o, &f, sizeof f);
    i = sent[DATA];
    (void)work_out(o);
    IS(sent[DATA], i + 1);
    MUST(o->sent >= n);
}

/* A ring that is made again, and larger, sends its longest records through the stage, too. */
static void a_stage_of_an_earlier_ring_is_made_again(void **state)
{
    static const size_t capacity[] = {4096, 1 << 20, 2 << 20};
    static unsigned char bytes[100000];
    struct log_producer logs;
    struct ipc_shm seg;
    struct frame ack;
    struct object o;
    unsigned i;

    (void)state;
    for (i = 0; i < 3; i++) {
        size_t n = i == 0 ? 1000 : sizeof bytes;

        IS(ipc_shm_create(&seg, name, 8 << 20), 0);
        IS(log_producer_create(&logs, &seg, "log", capacity[i], 2), 0);
        IS(log_push(&logs, bytes, n), 0);
        reads_a_record(&o, n);
        if (i == 2)
            break;
        memset(&ack, 0, sizeof ack);
        ack.what = ACK;
        ack.at = o.from->where(&o.source);
        if (i == 0) /* nothing is left in the stage */
            hear_out(&o, &ack, sizeof ack);
        end(&o);
        ipc_shm_close(&seg);
        IS(ipc_shm_unlink(name), 0);
    }
    IS(o.step, ABSENT);
    MUST(strstr(o.said, "log.bridge has messages of an earlier, smaller ring") != NULL);
    end(&o);
    ipc_shm_close(&seg);
}

/* A number that is mostly near some that are there. */
static uint64_t any_number(uint64_t near)
{
    static const uint64_t far[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63, (UINT64_C(1) << 62) - 1};

    switch (chance(4)) {
    case 0:
        return far[chance(5)];
    case 1:
        return (uint64_t)chance(1000) << chance(60);
    default:
        return near + 8 * chance(100) - 8 * chance(100) + (chance(4) == 0 ? chance(8) : 0);
    }
}

static void fill_at_random(struct frame *f, const struct object *o)
{
    memset(f, 0, sizeof *f);
    f->session = o->session;
    f->count = chance(10);
    f->at.at = any_number(o->is_out && o->step > THERE ? o->from->where(&o->source).at : o->place.at);
    f->at.number = any_number(o->is_out && o->step > THERE ? o->from->where(&o->source).number
                                                           : o->place.number);
    f->skip = chance(2) ? 0 : any_number(0);
    f->bytes = any_number(o->sent);
}

/* The side that reads gets answers at random. It goes on with its own ring. */
static void reads_on(const char *ring, void (*push)(void *, uint64_t), void *producer)
{
    struct object o;
    struct frame f;
    unsigned i;

    begin(&o, ring, 1);
    for (i = 0; i < 4000; i++) {
        static const uint32_t what[] = {WELCOME, WELCOME, ACK, ACK, ACK, RESTART};

        push(producer, i);
        o.next_try = 0;
        (void)work_out(&o);
        MUST(o.step != ABSENT);
        fill_at_random(&f, &o);
        f.what = what[chance(6)];
        hear_out(&o, &f, sizeof f);
    }
    forget_out(&o);
    o.next_try = 0;
    (void)work_out(&o);
    IS(last.head.what, HELLO);
    f = last.head;
    f.what = WELCOME;
    hear_out(&o, &f, sizeof f);
    IS(o.step, AGREED);
    push(producer, i);
    i = sent[DATA];
    (void)work_out(&o);
    MUST(sent[DATA] > i && last.head.count > 0);
    end(&o);
}

static void push_line(void *p, uint64_t n)
{
    (void)line_push(p, &n);
}

static void push_cast(void *p, uint64_t n)
{
    (void)cast_push(p, &n);
}

static void push_log(void *p, uint64_t n)
{
    unsigned char bytes[100] = {0};

    (void)log_push(p, bytes, (size_t)(n % sizeof bytes));
}

static void push_on_tape(void *p, uint64_t n)
{
    unsigned char bytes[100] = {0};

    (void)tape_push(p, bytes, (size_t)(n % sizeof bytes));
}

static void answers_at_random_do_no_harm(void **state)
{
    struct line_producer line;
    struct cast_producer cast;
    struct log_producer logs;
    struct tape_producer tape;
    struct ipc_shm seg;

    (void)state;
    IS(ipc_shm_create(&seg, name, 1 << 20), 0);
    IS(line_producer_create(&line, &seg, "line", 64), 0);
    reads_on("line", push_line, &line);
    IS(cast_producer_create(&cast, &seg, "cast", 64, IPC_BROADCAST_LOSSY), 0);
    reads_on("cast", push_cast, &cast);
    IS(log_producer_create(&logs, &seg, "log", 4096, 1), 0);
    reads_on("log", push_log, &logs);
    IS(tape_producer_create(&tape, &seg, "tape", 4096, IPC_BROADCAST_LOSSY), 0);
    reads_on("tape", push_on_tape, &tape);
    ipc_shm_close(&seg);
}

/* The side that writes gets messages at random. Its readers find no corruption. */
static void writes_on(struct hello h, const char *ring)
{
    static union {
        struct frame head;
        unsigned char bytes[1000];
    } f;
    struct ipc_ring_status s;
    struct object o;
    unsigned i, k;

    begin(&o, ring, 0);
    for (i = 0; i < 4000; i++) {
        if (o.step != AGREED) {
            h.epoch = 1 + chance(2);
            h.head.at.number = chance(10);
            hear_in(&o, &h.head, sizeof h);
            IS(last.head.what, WELCOME);
        }
        fill_at_random(&f.head, &o);
        f.head.what = DATA;
        for (k = sizeof f.head; k < sizeof f; k++)
            f.bytes[k] = (unsigned char)(chance(2) ? 0 : chance(256));
        hear_in(&o, &f.head, chance(2) ? sizeof f.head + 8 * chance(20)
                                       : sizeof f.head + chance(sizeof f - sizeof f.head));
        (void)work_in(&o);
    }
    IS(ipc_ring_inspect(o.ring.mem, o.ring.size, &s), 0);
    end(&o);
}

static void messages_at_random_do_no_harm(void **state)
{
    struct cast_producer cast;
    struct cast_consumer c;
    struct tape_producer tape;
    struct tape_consumer t;
    struct ipc_shm seg;
    const void *at;
    uint64_t n = 0;
    size_t bytes;
    int64_t rc;

    (void)state;
    writes_on(hello_of(IPC_SPSC_TYPE, 0, 8, 4), "line");
    writes_on(hello_of(IPC_RECORD_TYPE, 1, 1, 4096), "log");
    writes_on(hello_of(IPC_BROADCAST_TYPE, IPC_BROADCAST_LOSSY, 8, 64), "cast");
    writes_on(hello_of(IPC_RECORD_BROADCAST_TYPE, IPC_BROADCAST_LOSSY, 1, 4096), "tape");
    writes_on(hello_of(IPC_MPMC_TYPE, 0, 8, 4), "jobs");
    IS(ipc_shm_open(&seg, name, IPC_NOW), 0);
    IS(cast_producer_open(&cast, &seg, "cast"), 0);
    IS(cast_consumer_open(&c, &seg, "cast"), 0);
    n = 5;
    IS(cast_push(&cast, &n), 0);
    n = 0;
    while ((rc = cast_pop(&c, &n)) == 0 || rc == -EOVERFLOW)
        ;
    IS(rc, -EAGAIN);
    IS(n, 5);
    IS(tape_producer_open(&tape, &seg, "tape"), 0);
    IS(tape_consumer_open(&t, &seg, "tape"), 0);
    IS(tape_push(&tape, "x", 1), 0);
    at = tape_peek(&t, &bytes);
    MUST(at != NULL && bytes == 1);
    ipc_shm_close(&seg);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(empty_frames_count),
        TEST(a_gap_that_cannot_be_is_refused),
        TEST(a_bridge_is_killed_as_it_tells_a_loss),
        TEST(a_second_bridge_into_a_ring_is_refused),
        TEST(nobody_can_make_a_bridge_complain_without_end),
        TEST(a_producer_that_goes_on_holds_up_no_welcome),
        TEST(a_stage_of_an_earlier_ring_is_made_again),
        TEST(answers_at_random_do_no_harm),
        TEST(messages_at_random_do_no_harm),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("test_bridge_frames", tests, NULL, NULL);
}
