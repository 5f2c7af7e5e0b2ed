/*
 * Tests of ipc_shm.h: taking over, races, and a kill at every system call.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "shm.h"

/* ------------------------------------------------------------------ remains */

/* Leaves what a killed creator leaves. */
static void leave_remains(size_t size)
{
    struct child c = spawn(creator, &size);

    (void)hear(&c);
    kill_child(&c);
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

static unsigned race_flags; /* the creators' flags */

static void act_create(struct ipc_shm *seg, unsigned i, struct answer *a)
{
    struct ipc_shm_options how = with_flags(race_flags);

    (void)i;
    a->rc = ipc_shm_create_with(seg, name, 4096, &how);
    a->created = seg->created;
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

/* ------------------------------------------------------------------ all of them */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
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
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("ipc_shm, races", tests, NULL, after_all);
}
