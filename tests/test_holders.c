/*
 * Tests of what monitors ask: which process holds what of a ring, who sleeps, which segments a
 * descriptor leads to, and which ones only the dead have. Real processes where one dies or sleeps.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#define LONG_MS 60000 /* longer than any working call takes */
#define HANG_S 300
#include "harness.h"

#define SLOTS 16u
#define MOST 64u

struct tick {
    uint64_t number, twice;
};
IPC_SPSC(spsc, struct tick)
IPC_MPMC(mpmc, struct tick)
IPC_BROADCAST(cast, struct tick)
IPC_RECORDS(records)
IPC_RECORD_BROADCAST(tape)
IPC_STREAM(stream, uint64_t)
IPC_CALL(call, uint64_t, uint64_t)

static const struct tick t;

static void must_do(int rc, const struct ipc_shm *seg)
{
    if (rc != 0)
        dprintf(2, "%s\n", ipc_shm_why(seg));
    IS(rc, 0);
}

/* All holds of the ring of that name, and how many; `step` are asked for at once. */
static struct ipc_ring_hold holds[MOST];

static unsigned look_by(struct ipc_shm *seg, const char *ring, uint32_t type, unsigned step)
{
    struct ipc_shm_object o;
    uint64_t from = 0;
    unsigned n = 0;
    int rc;

    must_do(ipc_shm_find(seg, ring, type, &o), seg);
    while (from != UINT64_MAX) {
        MUST(n + step <= MOST);
        rc = ipc_ring_holders(o.mem, o.size, &from, &holds[n], step);
        MUST(rc >= 0 && rc <= (int)step);
        n += (unsigned)rc;
    }
    return n;
}

static unsigned look(struct ipc_shm *seg, const char *ring, uint32_t type)
{
    struct ipc_ring_hold copy[MOST];
    unsigned n = look_by(seg, ring, type, 1), i;

    memcpy(copy, holds, sizeof copy);
    IS(look_by(seg, ring, type, 8), n);
    for (i = 0; i < n; i++)
        MUST(copy[i].what == holds[i].what && copy[i].place == holds[i].place);
    return n;
}

/* The only hold of that kind among the n of the last look; NULL: there is none. */
static const struct ipc_ring_hold *only(unsigned n, enum ipc_ring_held what)
{
    const struct ipc_ring_hold *found = NULL;
    unsigned i;

    for (i = 0; i < n; i++)
        if (holds[i].what == what) {
            MUST(found == NULL);
            found = &holds[i];
        }
    return found;
}

static void is_held(const struct ipc_ring_hold *h, uint64_t id, uint64_t place, uint64_t behind)
{
    MUST(h != NULL);
    IS(h->id, id);
    IS(h->place, place);
    IS(h->count, 1);
    IS(h->behind, behind);
}

/* ------------------------------------------------------------------ holders of each kind */

static void ends_lanes_and_seats_are_named(void **state)
{
    struct records_producer lanes[2];
    struct spsc_producer out;
    struct stream_consumer in;
    struct cast_producer writer;
    struct cast_consumer readers[2];
    struct tape_producer tape;
    struct tape_consumer tapes;
    struct ipc_shm seg;
    uint64_t id;
    unsigned i;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    id = seg.peer.id;
    must_do(spsc_producer_create(&out, &seg, "spsc", SLOTS), &seg);
    IS(look(&seg, "spsc", IPC_SPSC_TYPE), 1);
    is_held(only(1, IPC_HOLDS_PRODUCER), id, 0, 0);
    must_do(stream_consumer_create(&in, &seg, "stream", 512), &seg);
    IS(look(&seg, "stream", IPC_STREAM_TYPE), 1);
    is_held(only(1, IPC_HOLDS_CONSUMER), id, 0, 0);
    for (i = 0; i < 2; i++)
        must_do(records_producer_create(&lanes[i], &seg, "records", 1024, 3), &seg);
    records_producer_detach(&lanes[0]);
    IS(records_push(&lanes[1], "record", 6), 0);
    IS(look(&seg, "records", IPC_RECORD_TYPE), 1);
    is_held(only(1, IPC_HOLDS_LANE), id, 1, 16);
    must_do(cast_producer_create(&writer, &seg, "cast", SLOTS, IPC_BROADCAST_LOSSLESS), &seg);
    for (i = 0; i < 2; i++)
        must_do(cast_consumer_open(&readers[i], &seg, "cast"), &seg);
    IS(cast_push(&writer, &t), 0);
    IS(cast_push(&writer, &t), 0);
    cast_consumer_detach(&readers[0]);
    IS(look(&seg, "cast", IPC_BROADCAST_TYPE), 2);
    is_held(only(2, IPC_HOLDS_PRODUCER), id, 0, 0);
    is_held(only(2, IPC_HOLDS_READER), id, 1, 2);
    must_do(tape_producer_create(&tape, &seg, "tape", 1024, IPC_BROADCAST_LOSSLESS), &seg);
    must_do(tape_consumer_open(&tapes, &seg, "tape"), &seg);
    IS(tape_push(&tape, "record", 6), 0);
    IS(look(&seg, "tape", IPC_RECORD_BROADCAST_TYPE), 2);
    is_held(only(2, IPC_HOLDS_READER), id, 0, 16);
    ipc_shm_close(&seg);
}

static void a_lossy_writer_in_a_slot_is_seen(void **state)
{
    struct cast_producer writer;
    struct ipc_shm seg;
    unsigned i;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    must_do(cast_producer_create(&writer, &seg, "cast", SLOTS, IPC_BROADCAST_LOSSY), &seg);
    for (i = 0; i < SLOTS + 3; i++)
        IS(cast_push(&writer, &t), 0);
    IS(look(&seg, "cast", IPC_BROADCAST_TYPE), 1);
    MUST(cast_claim(&writer) != NULL);
    IS(look(&seg, "cast", IPC_BROADCAST_TYPE), 2);
    is_held(only(2, IPC_HOLDS_WRITING), seg.peer.id, 3, 0);
    IS(cast_commit(&writer), 0);
    IS(look(&seg, "cast", IPC_BROADCAST_TYPE), 1);
    ipc_shm_close(&seg);
}

static void holders_of_slots_are_named(void **state)
{
    struct mpmc_producer claims, pushes;
    struct mpmc_consumer peeks, pops;
    struct ipc_ring_status s;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    struct tick got;
    uint64_t mark;
    unsigned i, n;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    must_do(mpmc_create(&seg, "mpmc", SLOTS, IPC_MPMC_AT_MOST_ONCE), &seg);
    must_do(mpmc_producer_open(&claims, &seg, "mpmc"), &seg);
    must_do(mpmc_producer_open(&pushes, &seg, "mpmc"), &seg);
    must_do(mpmc_consumer_open(&peeks, &seg, "mpmc"), &seg);
    must_do(mpmc_consumer_open(&pops, &seg, "mpmc"), &seg);
    IS(mpmc_push(&pushes, &t), 0);
    MUST(mpmc_peek(&peeks) != NULL);
    MUST(mpmc_claim(&claims) != NULL);
    IS(mpmc_push(&pushes, &t), 0);
    IS(mpmc_push(&pushes, &t), 0);
    n = look(&seg, "mpmc", IPC_MPMC_TYPE);
    IS(n, 6); /* four handles besides */
    is_held(only(n, IPC_HOLDS_READING), seg.peer.id, 0, 3);
    is_held(only(n, IPC_HOLDS_WRITING), seg.peer.id, 1, 2);
    must_do(ipc_shm_find(&seg, "mpmc", IPC_MPMC_TYPE, &o), &seg);
    IS(ipc_ring_inspect(o.mem, o.size, &s), 0);
    MUST(s.sent == 4 && s.size == 3);

    /* Others pass over the one that has claimed, and come round: the hold stays the same. */
    IS(mpmc_release(&peeks), 0);
    IS(mpmc_pop(&pops, &got), 0);
    IS(mpmc_pop(&pops, &got), 0);
    n = look(&seg, "mpmc", IPC_MPMC_TYPE);
    IS(n, 5);
    is_held(only(n, IPC_HOLDS_LATE_WRITING), seg.peer.id, 1, 0);
    mark = only(n, IPC_HOLDS_LATE_WRITING)->mark;
    for (i = 0; i < 3 * SLOTS; i++) {
        IS(mpmc_push(&pushes, &t), 0);
        IS(mpmc_pop(&pops, &got), 0);
    }
    n = look(&seg, "mpmc", IPC_MPMC_TYPE);
    is_held(only(n, IPC_HOLDS_LATE_WRITING), seg.peer.id, 1, 0);
    MUST(only(n, IPC_HOLDS_LATE_WRITING)->mark == mark);
    mpmc_cancel(&claims);
    IS(look(&seg, "mpmc", IPC_MPMC_TYPE), 4);

    /* A new claim of the same handle is another hold. */
    MUST(mpmc_claim(&claims) != NULL);
    n = look(&seg, "mpmc", IPC_MPMC_TYPE);
    MUST(only(n, IPC_HOLDS_WRITING) != NULL && only(n, IPC_HOLDS_WRITING)->mark != mark);
    ipc_shm_close(&seg);
}

/* A message that a consumer gave back is behind the head, and there all the same. The ring begins
 * some laps on, with the head in the middle of one. */
static void what_was_given_back_is_counted(void **state)
{
    struct ipc_ring_status s;
    struct ipc_shm_object o;
    struct mpmc_producer out;
    struct mpmc_consumer back, in;
    struct ipc_shm seg;
    struct tick got;
    unsigned i, n;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    must_do(mpmc_producer_create(&out, &seg, "mpmc", SLOTS, IPC_MPMC_AT_LEAST_ONCE), &seg);
    must_do(mpmc_consumer_open(&in, &seg, "mpmc"), &seg);
    must_do(ipc_shm_find(&seg, "mpmc", IPC_MPMC_TYPE, &o), &seg);
    for (n = 0; n < 3 * SLOTS + 3; n++) {
        must_do(mpmc_consumer_open(&back, &seg, "mpmc"), &seg);
        for (i = 0; i < 3; i++)
            IS(mpmc_push(&out, &t), 0);
        MUST(mpmc_peek(&back) != NULL);
        IS(mpmc_pop(&in, &got), 0); /* the head passes the one that is peeked */
        IS(mpmc_pop(&in, &got), 0);
        IS(ipc_ring_inspect(o.mem, o.size, &s), 0);
        IS(s.size, 0);
        mpmc_consumer_detach(&back);
        IS(ipc_ring_inspect(o.mem, o.size, &s), 0);
        MUST(s.size == 1 && s.losses.again == 2 * n + 1);
        IS(mpmc_push(&out, &t), 0);
        IS(ipc_ring_inspect(o.mem, o.size, &s), 0);
        IS(s.size, 2);
        IS(mpmc_pop(&in, &got), 0);
        IS(mpmc_pop(&in, &got), 0);
        IS(mpmc_push(&out, &t), 0);
        must_do(mpmc_consumer_open(&back, &seg, "mpmc"), &seg);
        MUST(mpmc_peek(&back) != NULL);
        mpmc_consumer_detach(&back); /* before the head passes it */
        IS(ipc_ring_inspect(o.mem, o.size, &s), 0);
        IS(s.size, 1);
        IS(mpmc_pop(&in, &got), 0);
        IS(ipc_ring_inspect(o.mem, o.size, &s), 0);
        IS(s.size, 0);
    }
    ipc_shm_close(&seg);
}

/* Takes a slot of the ring `name` of the test's segment, and waits to be killed. */
static void claims_and_waits(struct child *up, void *arg)
{
    struct mpmc_producer out;
    struct ipc_shm seg;

    (void)arg;
    must_do(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    must_do(mpmc_producer_open(&out, &seg, "mpmc"), &seg);
    MUST(mpmc_claim(&out) != NULL);
    tell(up, seg.peer.id);
    wait_for_death();
}

static void what_the_dead_hold_is_named(void **state)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm seg, reads;
    struct ipc_ring_seat_ *seat;
    const struct ipc_ring_hold *h;
    struct ipc_shm_object o;
    struct child c;
    uint64_t id;
    unsigned n;

    (void)state;
    how.flags = IPC_SHM_READ_ONLY;
    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    must_do(mpmc_create(&seg, "mpmc", SLOTS, IPC_MPMC_AT_MOST_ONCE), &seg);
    must_do(ipc_shm_open_with(&reads, name, IPC_NOW, &how), &reads);
    c = spawn(claims_and_waits, NULL);
    id = hear(&c);
    stop_child(&c);
    n = look(&reads, "mpmc", IPC_MPMC_TYPE);
    is_held(only(n, IPC_HOLDS_WRITING), id, 0, 0);
    MUST(ipc_shm_alive(&reads, id));
    kill_child(&c);
    n = look(&reads, "mpmc", IPC_MPMC_TYPE);
    h = only(n, IPC_HOLDS_WRITING);
    MUST(h != NULL && h->id == id);
    EVENTUALLY(!ipc_shm_alive(&reads, id));
    must_do(ipc_shm_find(&seg, "mpmc", IPC_MPMC_TYPE, &o), &seg);
    seat = (struct ipc_ring_seat_ *)(void *)((struct ipc_mpmc_shared *)o.mem + 1);
    seat->generation++; /* a successor takes its seat, and is stopped there */
    seat->named = seat->id = seg.peer.id;
    n = look(&reads, "mpmc", IPC_MPMC_TYPE);
    is_held(only(n, IPC_HOLDS_WRITING), 0, 0, 0);
    ipc_shm_close(&reads);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ calls and sleepers */

static void asks_and_sleeps(struct child *up, void *arg)
{
    struct call_client client;
    struct ipc_shm seg;
    uint64_t request = 7, reply = 0;

    (void)arg;
    must_do(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    must_do(call_client_open(&client, &seg, "call"), &seg);
    tell(up, seg.peer.id);
    IS(call_call(&client, &request, &reply, ipc_in_ms(LONG_MS)), 0);
    IS(reply, 8);
}

static void calls_under_way_and_their_sleepers_are_seen(void **state)
{
    struct call_server server;
    union call_slot *slot = NULL;
    struct ipc_ring_status s;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    struct child c;
    uint64_t id;
    unsigned n;
    size_t bell;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    must_do(call_server_create(&server, &seg, "call", 4), &seg);
    must_do(ipc_shm_find(&seg, "call", IPC_CALL_TYPE, &o), &seg);
    IS(look(&seg, "call", IPC_CALL_TYPE), 1);
    is_held(only(1, IPC_HOLDS_SERVER), seg.peer.id, 0, 0);
    c = spawn(asks_and_sleeps, NULL);
    id = hear(&c);
    EVENTUALLY((slot = call_take(&server)) != NULL);
    n = look(&seg, "call", IPC_CALL_TYPE);
    IS(n, 3);
    is_held(only(n, IPC_HOLDS_REQUEST), id, 0, 0);
    is_held(only(n, IPC_HOLDS_CALL), seg.peer.id, 0, 0);
    IS(ipc_ring_inspect(o.mem, o.size, &s), 0);
    MUST(s.sent == 1 && s.size == 1);
    bell = only(n, IPC_HOLDS_REQUEST)->bell;
    MUST(bell != 0 && bell < o.size);
    EVENTUALLY(ipc_notify_was_asleep((unsigned char *)o.mem + bell, o.size - bell) > 0);
    IS(ipc_notify_was_asleep((unsigned char *)o.mem + s.bell[0], o.size), 0);
    slot->reply = slot->request + 1;
    call_answer(&server, slot);
    finish(&c);
    IS(ipc_notify_was_asleep((unsigned char *)o.mem + bell, o.size - bell), 0);
    IS(ipc_notify_was_asleep((unsigned char *)o.mem + 1, o.size), -EINVAL);
    IS(ipc_notify_was_asleep(o.mem, IPC_NOTIFY_SIZE - 1), -EINVAL);
    IS(ipc_notify_was_asleep(NULL, IPC_NOTIFY_SIZE), -EINVAL);
    ipc_shm_close(&seg);
}

static void receives(struct child *up, void *arg)
{
    struct spsc_consumer in;
    struct ipc_shm seg;
    struct tick got;

    (void)arg;
    must_do(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    must_do(spsc_consumer_open(&in, &seg, "spsc"), &seg);
    tell(up, 0);
    IS(spsc_recv(&in, &got, ipc_in_ms(LONG_MS)), 0);
}

static void a_sleeping_consumer_is_seen(void **state)
{
    struct spsc_producer out;
    struct ipc_ring_status s;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    struct child c;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    must_do(spsc_producer_create(&out, &seg, "spsc", SLOTS), &seg);
    must_do(ipc_shm_find(&seg, "spsc", IPC_SPSC_TYPE, &o), &seg);
    IS(ipc_ring_inspect(o.mem, o.size, &s), 0);
    c = spawn(receives, NULL);
    (void)hear(&c);
    EVENTUALLY(ipc_notify_was_asleep((unsigned char *)o.mem + s.bell[0], 64) > 0);
    EVENTUALLY((ipc_notify_was_asleep((unsigned char *)o.mem + s.bell[0], 64) & IPC_SLEEPS_LONG) != 0);
    IS(ipc_notify_was_asleep((unsigned char *)o.mem + s.bell[1], 64), 0);
    IS(spsc_send(&out, &t, IPC_NOW), 0);
    finish(&c);
    IS(ipc_notify_was_asleep((unsigned char *)o.mem + s.bell[0], 64), 0);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ hostile memory */

/* Looks at all that can be held, as far as the ring lets itself be looked at. Returns the calls. */
static unsigned look_at_copy(void *copy, size_t size)
{
    struct ipc_ring_hold some[8];
    uint64_t from = 0, last;
    unsigned calls = 0;
    int rc;

    do {
        last = from;
        rc = ipc_ring_holders(copy, size, &from, some, 8);
        MUST(rc <= 8 && (rc < 0 || from > last));
        calls++;
    } while (rc >= 0 && from != UINT64_MAX);
    return calls;
}

/* Corrupt rings lead nowhere: under AddressSanitizer each access outside shows. */
static void no_ring_is_believed(void **state)
{
    static const char *const rings[] = {"spsc", "mpmc", "cast", "records", "tape", "stream", "call"};
    static const uint32_t types[] = {IPC_SPSC_TYPE, IPC_MPMC_TYPE, IPC_BROADCAST_TYPE,
                                     IPC_RECORD_TYPE, IPC_RECORD_BROADCAST_TYPE, IPC_STREAM_TYPE,
                                     IPC_CALL_TYPE};
    static const uint64_t values[] = {0, 1, 7, ~UINT64_C(0), UINT64_C(1) << 63, 4096, 0x101, 3};
    struct ipc_shm_object o;
    struct ipc_shm seg;
    unsigned i, v;
    size_t at;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    must_do(spsc_create(&seg, "spsc", SLOTS), &seg);
    must_do(mpmc_create(&seg, "mpmc", SLOTS, IPC_MPMC_HANDLES(4)), &seg);
    must_do(cast_create(&seg, "cast", SLOTS, IPC_BROADCAST_LOSSLESS), &seg);
    must_do(records_create(&seg, "records", 1024, 2), &seg);
    must_do(tape_create(&seg, "tape", 1024, IPC_BROADCAST_LOSSLESS), &seg);
    must_do(stream_create(&seg, "stream", 512), &seg);
    must_do(call_create(&seg, "call", 4), &seg);
    for (i = 0; i < sizeof rings / sizeof *rings; i++) {
        unsigned char *copy;

        must_do(ipc_shm_find(&seg, rings[i], types[i], &o), &seg);
        copy = (unsigned char *)aligned_alloc(64, o.size);
        MUST(copy != NULL);
        for (at = 8; at + 8 <= o.size; at += 8)
            for (v = 0; v < sizeof values / sizeof *values; v++) {
                if (at > 512 && at % 520 != 0 && at < o.size - 512)
                    continue;
                memcpy(copy, o.mem, o.size);
                memcpy(copy + at, &values[v], 8);
                (void)look_at_copy(copy, o.size);
                memset(copy + 512, (int)values[v], o.size - 512); /* each word of each slot */
                (void)look_at_copy(copy, o.size);
            }
        free(copy);
    }
    ipc_shm_close(&seg);
}

static void a_word_leads_to_no_seat_beyond(void **state)
{
    const size_t page = 4096, guard = 4 << 20, size = mpmc_footprint(4, IPC_MPMC_HANDLES(2));
    unsigned char *mem = (unsigned char *)mmap(NULL, page + guard, PROT_NONE,
                                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct ipc_ring_hold some[8];
    uint64_t from = 0;

    (void)state;
    MUST((void *)mem != MAP_FAILED && size <= page &&
         mprotect(mem, page, PROT_READ | PROT_WRITE) == 0);
    IS(mpmc_init(mem, size, 4, IPC_MPMC_HANDLES(2)), 0);
    *(uint64_t *)(void *)(mem + size - 8) = 65535 * IPC_MPMC_NAME_ + IPC_MPMC_WRITING_;
    IS(ipc_ring_holders(mem, size, &from, some, 8), 1);
    MUST(some[0].what == IPC_HOLDS_WRITING && some[0].id == 0 && some[0].place == 3);
    (void)munmap(mem, page + guard);
}

static void one_call_looks_at_so_many_places(void **state)
{
    size_t size = mpmc_footprint(1 << 17, 0);
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct ipc_ring_hold some[8];
    uint64_t from = UINT64_MAX - 1;

    (void)state;
    MUST(mem != MAP_FAILED);
    IS(mpmc_init(mem, size, 1 << 17, 0), 0);
    IS(look_at_copy(mem, size), 3); /* 2^17 slots and some seats */
    IS(ipc_ring_holders(mem, size, &from, some, 8), 0);
    MUST(from == UINT64_MAX);
    IS(ipc_ring_holders(mem, 8, &from, some, 8), -EINVAL);
    (void)munmap(mem, size);
}

/* ------------------------------------------------------------------ segments */

static void a_descriptor_leads_to_a_nameless_segment(void **state)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm_member who;
    struct ipc_shm seg, reads;
    struct spsc_producer out;
    size_t empty;
    int fd;

    (void)state;
    how.flags = IPC_SHM_READ_ONLY;
    must_do(ipc_shm_create(&seg, NULL, 1 << 16), &seg);
    must_do(ipc_shm_open_fd(&reads, seg.fd, &how), &reads);
    empty = ipc_shm_was_used(&reads);
    must_do(spsc_producer_create(&out, &seg, "spsc", SLOTS), &seg);
    IS(ipc_shm_was_used(&reads), empty + spsc_footprint(SLOTS));
    IS(look(&reads, "spsc", IPC_SPSC_TYPE), 1);
    MUST(ipc_shm_who(&reads, 0, &who) == 0 && who.alive && who.pid == getpid());
    IS(ipc_shm_who(&reads, 1, &who), -ENOENT); /* it takes no place */
    IS(fcntl(seg.fd, F_GETFD) >= 0, 1);
    seg.base->used = UINT64_MAX;
    IS(ipc_shm_was_used(&reads), reads.size);
    ipc_shm_close(&reads);
    IS(ipc_shm_was_used(&reads), 0);
    how.flags = 0;
    must_do(ipc_shm_open_fd(&reads, seg.fd, &how), &reads);
    IS(ipc_shm_who(&reads, 1, &who), 0);
    ipc_shm_close(&reads);
    ipc_shm_close(&seg);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    IS(ipc_shm_open_fd(&reads, fd, &how), -EPROTO);
    (void)close(fd);
}

static void creates_and_waits(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)arg;
    must_do(ipc_shm_create(&seg, name, 1 << 16), &seg);
    tell(up, 0);
    wait_for_death();
}

static void opens_and_waits(struct child *up, void *arg)
{
    struct ipc_shm seg;

    (void)arg;
    must_do(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    tell(up, 0);
    wait_for_death();
}

static void only_what_the_dead_have_is_unlinked(void **state)
{
    static const struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct child makes, uses;
    struct ipc_shm seg;

    (void)state;
    IS(ipc_shm_unlink_dead(&seg, name, &how), -ENOENT);
    IS(ipc_shm_unlink_dead(&seg, NULL, &how), -EINVAL);
    makes = spawn(creates_and_waits, NULL);
    (void)hear(&makes);
    uses = spawn(opens_and_waits, NULL);
    (void)hear(&uses);
    IS(ipc_shm_unlink_dead(&seg, name, &how), -EBUSY);
    MUST(strstr(ipc_shm_why(&seg), "in use") != NULL);
    kill_child(&makes);
    IS(ipc_shm_unlink_dead(&seg, name, &how), -EBUSY);
    must_do(ipc_shm_open(&seg, name, IPC_NOW), &seg); /* it is as it was */
    ipc_shm_close(&seg);
    stop_child(&uses);
    IS(ipc_shm_unlink_dead(&seg, name, &how), -EBUSY);
    kill_child(&uses);
    must_do(ipc_shm_unlink_dead(&seg, name, &how), &seg);
    IS(names(0), 0);
}

/* ------------------------------------------------------------------ all tests */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(ends_lanes_and_seats_are_named),
        TEST(a_lossy_writer_in_a_slot_is_seen),
        TEST(holders_of_slots_are_named),
        TEST(what_was_given_back_is_counted),
        TEST(what_the_dead_hold_is_named),
        TEST(calls_under_way_and_their_sleepers_are_seen),
        TEST(a_sleeping_consumer_is_seen),
        TEST(no_ring_is_believed),
        TEST(a_word_leads_to_no_seat_beyond),
        TEST(one_call_looks_at_so_many_places),
        TEST(a_descriptor_leads_to_a_nameless_segment),
        TEST(only_what_the_dead_have_is_unlinked),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
