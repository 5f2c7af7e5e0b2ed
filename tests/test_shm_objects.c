/*
 * Tests of ipc_shm.h: objects, segments that lie, typed rings in segments.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "shm.h"

struct small {
    uint64_t x;
};
struct big {
    uint64_t x[5];
};
IPC_SPSC(small_ring, struct small)
IPC_SPSC(big_ring, struct big)

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

/* ------------------------------------------------------------------ processes */

/* Random numbers, the same in each run. */
static uint64_t chance(void)
{
    static uint64_t x = 0x9e3779b97f4a7c15u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x * 0x2545f4914f6cdd1du;
}

/* ------------------------------------------------------------------ races */

static void act_open(struct ipc_shm *seg, unsigned i, struct answer *a)
{
    (void)i;
    (void)a;
    DONE(ipc_shm_open(seg, name, IPC_NOW), seg);
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

static void a_handle_that_is_not_open_says_so(void **state)
{
    static struct ipc_shm never;
    struct small_ring_producer out;
    struct ipc_shm_object o;
    struct ipc_shm seg;

    (void)state;
    REFUSED(small_ring_producer_open(&out, &never, "ring"), -EINVAL, &never, "not open");
    MUST(dup2(2, 0) == 0);
    ipc_shm_close(&never);
    MUST(fcntl(0, F_GETFD) == 0); /* its descriptor, 0, was none of its own */
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    REFUSED(ipc_shm_find(&seg, "ring", TYPE, &o), -ENOENT, &seg, "'ring'");
    REFUSED(small_ring_producer_create(&out, &seg, NULL, 8), -EINVAL, &seg, "name is NULL");
    REFUSED(small_ring_producer_open(&out, &seg, NULL), -EINVAL, &seg, "name is NULL");
    ipc_shm_close(&seg);
    REFUSED(small_ring_producer_create(&out, &seg, "ring", 8), -EINVAL, &seg, "not open");
    REFUSED(ipc_shm_find(&seg, "ring", TYPE, &o), -EINVAL, &seg, "not open");
    REFUSED(ipc_shm_sync(&seg), -EINVAL, &seg, "not open");
    REFUSED(ipc_shm_open(&seg, "", IPC_NOW), -EINVAL, &seg, "empty");
    REFUSED(ipc_shm_find(&seg, "ring", TYPE, &o), -EINVAL, &seg, "empty"); /* why it is not open */
}

static void a_refusal_says_what_helps(void **state)
{
    struct ipc_shm_object o;
    struct ipc_shm seg, more;
    char pid[32];
    int fd;

    (void)state;
    REFUSED(ipc_shm_create(&seg, name, 0), -EINVAL, &seg, "NAME_footprint");
    REFUSED(ipc_shm_create(&seg, name, SIZE_MAX), -EFBIG, &seg, "1 to ");
    REFUSED(ipc_shm_open(&seg, NULL, IPC_NOW), -EINVAL, &seg, "received");
    MUST((fd = open(path_of(name), O_CREAT | O_EXCL | O_WRONLY, 0644)) >= 0 && fchmod(fd, 0644) == 0);
    MUST(write(fd, "hello", 5) == 5 && close(fd) == 0);
    REFUSED(ipc_shm_open(&seg, name, IPC_NOW), -EPROTO, &seg, "a file of 5 bytes");
    MUST(ipc_shm_unlink(name) == 0);
    DONE(ipc_shm_create(&seg, name, 4096), &seg);
    (void)snprintf(pid, sizeof pid, "lives (pid %ld):", (long)getpid());
    REFUSED(ipc_shm_create(&more, name, 4096), -EEXIST, &more, pid);
    REFUSED(ipc_shm_find(&seg, "nope", TYPE, &o), -ENOENT, &seg, "the program that makes it");
    REFUSED(ipc_shm_make(&seg, "large", TYPE, 8192, &o), -ENOSPC, &seg, "'large' of 8192 bytes");
    MUST(strstr(ipc_shm_why(&seg), "larger") != NULL);
    ipc_shm_close(&seg);
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
            "64 here: detach it first");
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

/* Nobody can know whether a handle is attached, or has never had a value. Its end is not lost for good. */
static void an_end_whose_handle_was_overwritten_is_had_back(void **state)
{
    struct small_ring_producer out;
    struct small message = {1};
    struct ipc_shm seg;

    (void)state;
    DONE(ipc_shm_create(&seg, name, 64 << 10), &seg);
    DONE(small_ring_producer_create(&out, &seg, "ring", 64), &seg);
    REFUSED(small_ring_producer_create(&out, &seg, "ring", 64), -EBUSY, &seg,
            "this process has taken this end of the ring");
    MUST(strstr(ipc_shm_why(&seg), ": detach it first, or close the segment if its handle is lost"));
    MUST(small_ring_push(&out, &message) == -EBUSY);
    small_ring_producer_detach(&out);
    REFUSED(small_ring_producer_open(&out, &seg, "ring"), -EBUSY, &seg, "close the segment");
    ipc_shm_close(&seg);
    DONE(ipc_shm_open(&seg, name, IPC_NOW), &seg);
    DONE(small_ring_producer_open(&out, &seg, "ring"), &seg);
    MUST(small_ring_push(&out, &message) == 0);
    small_ring_producer_detach(&out);
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
    char end[64];
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
        (void)snprintf(end, sizeof end, ": detach there, or end pid %ld, first", (long)c.pid);
        REFUSED(small_ring_consumer_open(&in, &seg, "ring"), -EBUSY, &seg, end);
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

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
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
        TEST(a_handle_that_is_not_open_says_so),
        TEST(a_refusal_says_what_helps),
        TEST(ring_of_another_type_or_capacity_is_refused_with_both_numbers),
        TEST(an_end_whose_handle_was_overwritten_is_had_back),
        TEST(create_compares_what_is_there_also_where_the_size_is_the_same),
        TEST(ring_of_another_version_of_the_type_is_refused),
        TEST(dead_producer_is_succeeded_behind_its_last_message),
        TEST(dead_consumer_is_succeeded_without_loss),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("ipc_shm, objects", tests, NULL, after_all);
}
