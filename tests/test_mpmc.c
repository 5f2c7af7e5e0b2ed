/* Rings with many at an end, on plain memory: their calls, their edges, hostile memory, and
 * processes that are killed at random. torture.c stops and kills at every instruction. */
#define _GNU_SOURCE
#include "chance.h"
#include "ipc_ring.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct message {
    uint64_t from, n, sum;
    unsigned char more[13];
};

IPC_MPMC(mpmc, struct message)
IPC_MPSC(mpsc, struct message)
IPC_SPMC(spmc, struct message)

static void *shared(size_t size)
{
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(mem, MAP_FAILED);
    memset(mem, 0xa5, size);
    return mem;
}

static struct message make(uint64_t from, uint64_t n)
{
    struct message m;

    memset(&m, (int)(n & 255), sizeof m);
    m.from = from;
    m.n = n;
    m.sum = from * 31 + n * 0x9e3779b97f4a7c15u;
    return m;
}

static void check(const struct message *m)
{
    struct message good = make(m->from, m->n);

    assert_memory_equal(m->more, good.more, sizeof m->more);
    assert_int_equal(m->sum, good.sum);
}

/* ------------------------------------------------------------------ geometry */

static void impossible_rings_are_refused(void **state)
{
    size_t size = 1 << 16;
    unsigned char *mem = (unsigned char *)shared(size);
    struct ipc_mpmc_producer p;
    struct ipc_mpmc_consumer c;
    struct mpmc_consumer typed;

    (void)state;
    memset(mem, 0, size);
    assert_int_equal(ipc_mpmc_footprint(0, 4, 0), 0);
    assert_int_equal(ipc_mpmc_footprint(8, 3, 0), 0);
    assert_int_equal(ipc_mpmc_footprint(8, 0, 0), 0);
    assert_int_equal(ipc_mpmc_footprint(SIZE_MAX - 4, 4, 0), 0);
    assert_int_equal(ipc_mpmc_footprint(8, UINT64_C(1) << 63, 0), 0);
    assert_int_equal(ipc_mpmc_footprint(56, 4, 0), 512 + 256 * 32 + 4 * 64);
    assert_int_equal(ipc_mpmc_footprint(57, 4, 0), 512 + 256 * 32 + 4 * 128);
    assert_int_equal(ipc_mpmc_init(mem, size, 8, 4, 8), -EINVAL);
    assert_int_equal(ipc_mpmc_init(mem, size, 8, 4, 6), -EINVAL);
    assert_int_equal(ipc_mpmc_init(mem + 8, size - 8, 8, 4, 0), -EINVAL);
    assert_int_equal(ipc_mpmc_init(mem, 100, 8, 4, 0), -ENOSPC);
    assert_int_equal(mpmc_consumer_attach(&typed, mem, size, NULL), -EAGAIN); /* not made yet */
    assert_null(mpmc_peek(&typed));
    assert_int_equal(ipc_mpmc_init(mem, size, 8, 4, 0), 0);
    assert_int_equal(mpmc_consumer_attach(&typed, mem, size, NULL), -EPROTO);
    assert_null(mpmc_peek(&typed));
    assert_int_equal(ipc_mpmc_producer_attach(&p, mem, size, 16, NULL, 0), -EPROTO);
    assert_int_equal(ipc_mpmc_push(&p, &size, 16), -EPROTO); /* no crash */
    assert_null(ipc_mpmc_claim(&p));
    assert_int_equal(ipc_mpmc_consumer_attach(&c, mem, size, 8, NULL, IPC_MPMC_ONE_CONSUMER),
                     -EPROTO);
    assert_int_equal(ipc_mpmc_pop(&c, &size, 8), -EPROTO);
    assert_null(ipc_mpmc_peek(&c));
    assert_int_equal(ipc_mpmc_release(&c), -EINVAL);
    ipc_mpmc_producer_detach(&p);
    ipc_mpmc_consumer_detach(&c);
    assert_int_equal(ipc_mpmc_producer_attach(&p, mem, size, 8, NULL, 0), 0);
    assert_int_equal(ipc_mpmc_push(&p, &size, 4), -EMSGSIZE);
    assert_int_equal(ipc_mpmc_commit(&p), -EINVAL);
    ipc_mpmc_producer_detach(&p);
    assert_int_equal(ipc_mpmc_push(&p, &size, 8), -EINVAL);
    (void)munmap(mem, size);
}

static int all_live(void *arg, uint64_t id)
{
    (void)arg, (void)id;
    return 1;
}

static void single_ends_and_seats_are_limited(void **state)
{
    size_t size = mpsc_footprint(4, 0), many = mpmc_footprint(4, 0);
    void *mem = shared(size), *wide = shared(many);
    struct ipc_peer me = {7, all_live, NULL, NULL, NULL, "", NULL, NULL};
    struct ipc_peer other = {8, all_live, NULL, NULL, NULL, "", NULL, NULL};
    struct mpsc_consumer a, b;
    struct mpmc_producer p[IPC_MPMC_SEATS], q;
    unsigned i;

    (void)state;
    assert_int_equal(mpsc_init(mem, size, 4, IPC_MPMC_AT_MOST_ONCE), 0);
    assert_int_equal(mpsc_consumer_attach(&a, mem, size, &me), 0);
    assert_int_equal(mpsc_consumer_attach(&b, mem, size, &other), -EBUSY);
    mpsc_consumer_detach(&a);
    assert_int_equal(mpsc_consumer_attach(&b, mem, size, &other), 0);
    assert_int_equal(mpmc_init(wide, many, 4, IPC_MPMC_AT_MOST_ONCE), 0);
    for (i = 0; i < IPC_MPMC_SEATS; i++)
        assert_int_equal(mpmc_producer_attach(&p[i], wide, many, &me), 0);
    assert_int_equal(mpmc_producer_attach(&q, wide, many, &me), -EUSERS);
    mpmc_producer_detach(&p[100]);
    assert_int_equal(mpmc_producer_attach(&q, wide, many, &me), 0);
    (void)munmap(mem, size);
    (void)munmap(wide, many);
}

static int nine_lives(void *arg, uint64_t id)
{
    (void)arg;
    return id == 9;
}

/* A process has taken a dead holder's seat, and is stopped before it has a name of its own. What the
 * dead one had is free for the others all the same. */
static void a_stopped_successor_keeps_nothing_of_the_dead(void **state)
{
    size_t size = mpmc_footprint(4, 0);
    struct ipc_mpmc_shared *ring = (struct ipc_mpmc_shared *)shared(size);
    struct ipc_peer dead = {7, nine_lives, NULL, NULL, NULL, "", NULL, NULL};
    struct ipc_peer live = {9, nine_lives, NULL, NULL, NULL, "", NULL, NULL};
    struct mpmc_producer p;
    struct mpmc_consumer holder, c;
    struct message m = make(0, 1);

    (void)state;
    assert_int_equal(mpmc_init(ring, size, 4, IPC_MPMC_AT_LEAST_ONCE), 0);
    assert_int_equal(mpmc_producer_attach(&p, ring, size, &live), 0);
    assert_int_equal(mpmc_consumer_attach(&c, ring, size, &live), 0);
    assert_int_equal(mpmc_consumer_attach(&holder, ring, size, &dead), 0);
    assert_int_equal(mpmc_push(&p, &m), 0);
    assert_non_null(mpmc_peek(&holder));
    assert_true(ck_pr_cas_64(&holder.raw.m.seat->id, 7, 9)); /* and no further */
    assert_int_equal(mpmc_consumer_recover(&c, 0), 1);
    assert_int_equal(mpmc_pop(&c, &m), 0);
    (void)munmap(ring, size);
}

static void there_are_seats_for_as_many_handles_as_asked_for(void **state)
{
    static const unsigned bad[] = {IPC_MPMC_HANDLES(0), IPC_MPMC_HANDLES(65537),
                                   IPC_MPMC_HANDLES(-1), IPC_MPMC_HANDLES(1u << 24 | 64)};
    static const unsigned counts[] = {1, 2, 3, 255, 256, 257, 1000};
    static struct mpmc_producer p[1001];
    struct ipc_peer live = {9, all_live, NULL, NULL, NULL, "", NULL, NULL};
    struct ipc_peer dead = {7, all_live, NULL, NULL, NULL, "", NULL, NULL}; /* later on */
    struct ipc_peer next = {9, nine_lives, NULL, NULL, NULL, "", NULL, NULL};
    struct mpmc_consumer c;
    struct message m;
    unsigned i, k, n;

    (void)state;
    assert_int_equal(mpmc_footprint(4, IPC_MPMC_HANDLES(IPC_MPMC_SEATS)), mpmc_footprint(4, 0));
    assert_int_equal(mpmc_footprint(4, IPC_MPMC_HANDLES(65536)) - mpmc_footprint(4, 0),
                     32 * (65536 - IPC_MPMC_SEATS));
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mpmc_footprint(4, bad[i]), 0);
        assert_int_equal(mpmc_init(p, sizeof p, 4, bad[i]), -EINVAL);
    }
    for (k = 0; k < sizeof counts / sizeof *counts; k++) {
        unsigned how = IPC_MPMC_AT_LEAST_ONCE | IPC_MPMC_HANDLES(counts[k]);
        size_t size = mpmc_footprint(2048, how);
        struct ipc_mpmc_shared *ring = (struct ipc_mpmc_shared *)shared(size);

        n = counts[k];
        assert_int_equal(mpmc_init(ring, size - 1, 2048, how), -ENOSPC);
        assert_int_equal(mpmc_init(ring, size, 2048, how), 0);
        assert_int_equal(mpmc_producer_attach(&p[0], ring, size - 1, &live), -EPROTO);
        for (i = 0; i < n; i++)
            assert_int_equal(
                mpmc_producer_attach(&p[i], ring, size, i % 3 == 1 ? &dead : &live), 0);
        for (i = 0; i < n; i++) {
            assert_int_equal(p[i].raw.m.seat - p[0].raw.m.seat, i);
            m = make(0, i);
            if (i % 3 == 1)
                assert_non_null(mpmc_claim(&p[i])); /* and is killed */
            else
                assert_int_equal(mpmc_push(&p[i], &m), 0);
        }
        /* Of the one who lives nothing is free, but the seats of the dead are. */
        assert_int_equal(mpmc_consumer_attach(&c, ring, size, &next), n > 1 ? 0 : -EUSERS);
        for (i = 0; n > 1 && i < n; i += 1 + (i % 3 == 0)) {
            assert_int_equal(mpmc_pop(&c, &m), 0);
            check(&m);
            assert_int_equal(m.n, i);
        }
        assert_int_equal(mpmc_pop(&c, &m), n > 1 ? -EAGAIN : -EUSERS);
        assert_int_equal(mpmc_consumer_losses(&c).aborted, n > 1 ? (n + 1) / 3 : 0);
        ring->is.how = (uint32_t)(how ^ 0x800000u); /* a table beyond the memory */
        assert_int_equal(mpmc_producer_attach(&p[n], ring, size, &live), -EPROTO);
        (void)munmap(ring, size);
    }
}

/* While a process looks for a seat, the holder of one that it has passed detaches. */
struct leaver {
    struct mpmc_producer p;
    unsigned asked, at;
};

static int leaves_when_asked(void *arg, uint64_t id)
{
    struct leaver *l = (struct leaver *)arg;

    (void)id;
    if (++l->asked == l->at)
        mpmc_producer_detach(&l->p);
    return 1;
}

static void a_seat_that_becomes_free_behind_us_is_found(void **state)
{
    unsigned how = IPC_MPMC_HANDLES(4), i;
    size_t size = mpmc_footprint(4, how);
    void *ring = shared(size);
    struct leaver l;
    struct ipc_peer other = {7, leaves_when_asked, NULL, NULL, &l, "", NULL, NULL};
    struct ipc_peer me = {9, leaves_when_asked, NULL, NULL, &l, "", NULL, NULL};
    struct mpmc_producer p[3], q;

    (void)state;
    for (l.at = 1; l.at <= 9; l.at++) {
        l.asked = 0;
        assert_int_equal(mpmc_init(ring, size, 4, how), 0);
        assert_int_equal(mpmc_producer_attach(&l.p, ring, size, NULL), 0);
        for (i = 0; i < 3; i++)
            assert_int_equal(mpmc_producer_attach(&p[i], ring, size, &other), 0);
        /* It is asked about the three that name their process, in one scan or two. */
        l.asked = 0;
        assert_int_equal(mpmc_producer_attach(&q, ring, size, &me), l.at <= 6 ? 0 : -EUSERS);
    }
    (void)munmap(ring, size);
}

/* A handle is not used while others go round the ring, more often than a word can count. */
static void a_handle_that_was_idle_for_many_laps_goes_on(void **state)
{
    static const uint64_t laps[] = {0,
                                    1,
                                    1000,
                                    UINT32_MAX,
                                    UINT64_C(1) << 32,
                                    (UINT64_C(1) << 32) + 1,
                                    UINT64_C(3) << 31,
                                    UINT64_C(1) << 33,
                                    (UINT64_C(1) << 33) + 1,
                                    (UINT64_C(1) << 40) + 12345};
    size_t size = mpmc_footprint(4, 0), k;
    struct ipc_mpmc_shared *ring = (struct ipc_mpmc_shared *)shared(size);
    struct mpmc_producer old, young;
    struct mpmc_consumer idle, fresh;
    struct message m;
    unsigned i, first;

    (void)state;
    for (k = 0; k < sizeof laps / sizeof *laps; k++)
        for (first = 0; first < 2; first++) {
            assert_int_equal(mpmc_init(ring, size, 4, 0), 0);
            assert_int_equal(mpmc_producer_attach(&old, ring, size, NULL), 0);
            assert_int_equal(mpmc_consumer_attach(&idle, ring, size, NULL), 0);
            for (i = 0; i < 4; i++)
                *ipc_mpmc_word_(&old.raw.m, i, 64) = laps[k] * IPC_MPMC_LAP_;
            ring->tail = ring->head = laps[k] * 4;
            assert_int_equal(mpmc_producer_attach(&young, ring, size, NULL), 0);
            assert_int_equal(mpmc_consumer_attach(&fresh, ring, size, NULL), 0);
            for (i = 0; i < 100; i++) {
                m = make(0, i);
                assert_int_equal(mpmc_push((i + first) % 2 ? &old : &young, &m), 0);
                assert_int_equal(mpmc_pop((i + first) % 3 ? &idle : &fresh, &m), 0);
                check(&m);
                assert_int_equal(m.n, i);
                assert_int_equal(mpmc_pop((i + first) % 2 ? &idle : &fresh, &m), -EAGAIN);
            }
        }
    (void)munmap(ring, size);
}

/* ------------------------------------------------------------------ against a queue */

static void batches_of_long_messages_are_those_of_a_queue(void **state)
{
    enum { BYTES = 600, MESSAGES = 50 };
    static unsigned char m[MESSAGES][BYTES], got[MESSAGES][BYTES];
    size_t size = ipc_mpmc_footprint(BYTES, 64, IPC_MPMC_AT_MOST_ONCE);
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct ipc_mpmc_producer p;
    struct ipc_mpmc_consumer c;
    unsigned i, k;
    int64_t rc;

    (void)state;
    assert_true(mem != MAP_FAILED);
    assert_int_equal(ipc_mpmc_init(mem, size, BYTES, 64, IPC_MPMC_AT_MOST_ONCE), 0);
    assert_int_equal(ipc_mpmc_producer_attach(&p, mem, size, BYTES, NULL, 0), 0);
    assert_int_equal(ipc_mpmc_consumer_attach(&c, mem, size, BYTES, NULL, 0), 0);
    for (k = 0; k < 20; k++) {
        for (i = 0; i < MESSAGES; i++)
            memset(m[i], (int)(k + i), BYTES);
        p.trials.way = k % 2 ? IPC_RING_PAST_ : IPC_RING_BY_LINES_;
        p.trials.left = UINT64_MAX / 2;
        assert_int_equal(ipc_mpmc_push_n(&p, m, BYTES, MESSAGES), MESSAGES);
        for (i = 0; i < MESSAGES; i += (unsigned)rc) {
            rc = ipc_mpmc_pop_n(&c, got[i], BYTES, MESSAGES - i);
            assert_true(rc > 0);
        }
        assert_memory_equal(got, m, sizeof m);
    }
    (void)munmap(mem, size);
}

/* Random calls by two handles of each end in one thread, in rings of every small size and at
 * positions near the ends of laps: the messages that come out are those of a queue. */
static void random_calls_are_those_of_a_queue(void **state)
{
    uint64_t capacity;

    (void)state;
    for (capacity = 1; capacity <= 32; capacity *= 2) {
        size_t size = mpmc_footprint(capacity, 0);
        void *mem = shared(size);
        struct mpmc_producer p[2];
        struct mpmc_consumer c[2];
        struct message m[20], *slot[2] = {NULL, NULL};
        const struct message *seen[2] = {NULL, NULL};
        uint64_t sent[2] = {0, 0}, last[2] = {0, 0}, got = 0, all = 0, round, i;

        assert_int_equal(mpmc_init(mem, size, capacity, IPC_MPMC_AT_MOST_ONCE), 0);
        for (i = 0; i < 2; i++) {
            assert_int_equal(mpmc_producer_attach(&p[i], mem, size, NULL), 0);
            assert_int_equal(mpmc_consumer_attach(&c[i], mem, size, NULL), 0);
        }
        for (round = 0; round < 60000; round++) {
            unsigned k = (unsigned)chance(2), n = (unsigned)chance(20);
            int64_t rc;

            switch (chance(8)) {
            case 0:
            case 1:
                m[0] = make(k, sent[k] + 1);
                rc = mpmc_push(&p[k], m);
                assert_true(rc == 0 || rc == -EAGAIN);
                sent[k] += rc == 0;
                all += rc == 0;
                slot[k] = rc == 0 ? NULL : slot[k]; /* what was claimed was sent with it */
                break;
            case 2:
                for (i = 0; i < n; i++)
                    m[i] = make(k, sent[k] + 1 + i);
                rc = mpmc_push_n(&p[k], m, n);
                assert_true((rc >= 0 && rc <= (int64_t)n) || rc == -EAGAIN);
                slot[k] = rc > 0 ? NULL : slot[k];
                sent[k] += rc > 0 ? (uint64_t)rc : 0;
                all += rc > 0 ? (uint64_t)rc : 0;
                break;
            case 3:
                if (slot[k] == NULL && (slot[k] = mpmc_claim(&p[k])) != NULL) {
                    *slot[k] = make(k, sent[k] + 1);
                } else if (slot[k] != NULL && chance(4) == 0) {
                    mpmc_cancel(&p[k]);
                    slot[k] = NULL;
                } else if (slot[k] != NULL) {
                    rc = mpmc_commit(&p[k]);
                    assert_true(rc == 0 || rc == -EAGAIN);
                    if (rc == 0) {
                        slot[k] = NULL;
                        sent[k]++;
                        all++;
                    }
                }
                break;
            case 4:
            case 5:
            case 6:
                if (seen[k] != NULL)
                    break;
                rc = chance(2) ? mpmc_pop_n(&c[k], m, n) : mpmc_pop(&c[k], m) == 0;
                for (i = 0; (int64_t)i < rc; i++) {
                    check(&m[i]);
                    assert_true(m[i].n <= sent[m[i].from]);
                    last[m[i].from]++;
                }
                got += rc > 0 ? (uint64_t)rc : 0;
                break;
            default:
                if (seen[k] == NULL) {
                    seen[k] = mpmc_peek(&c[k]);
                    if (seen[k] != NULL) {
                        check(seen[k]);
                        last[seen[k]->from]++;
                        got++;
                    }
                } else {
                    assert_int_equal(mpmc_release(&c[k]), 0);
                    seen[k] = NULL;
                }
            }
            assert_true(all - got <= capacity);
            assert_int_equal(mpmc_producer_error(&p[k]), 0);
            assert_int_equal(mpmc_consumer_error(&c[k]), 0);
        }
        for (i = 0; i < 2; i++) {
            mpmc_cancel(&p[i]);
            if (seen[i] != NULL)
                assert_int_equal(mpmc_release(&c[i]), 0);
        }
        for (i = 0; i < 4 * capacity + 4; i++)
            if (mpmc_pop(&c[0], m) == 0) {
                last[m->from]++;
                got++;
            }
        assert_int_equal(got, all);
        assert_int_equal(last[0], sent[0]);
        assert_int_equal(last[1], sent[1]);
        (void)munmap(mem, size);
    }
}

/* As many holders in a row as there may be: each call passes over all of them. */
static void holders_in_a_row_are_passed_over_in_one_call(void **state)
{
    enum { HOLDERS = 200, SLOTS_ = 256 };
    size_t size = mpmc_footprint(SLOTS_, 0);
    void *mem = shared(size);
    struct mpmc_producer *p = (struct mpmc_producer *)calloc(HOLDERS + 1, sizeof *p);
    struct mpmc_consumer *c = (struct mpmc_consumer *)calloc(HOLDERS + 1, sizeof *c);
    struct message m = make(1, 1);
    unsigned i;

    (void)state;
    assert_true(p != NULL && c != NULL);
    assert_int_equal(mpmc_init(mem, size, SLOTS_, IPC_MPMC_AT_LEAST_ONCE), 0);
    for (i = 0; i <= HOLDERS; i++)
        assert_int_equal(mpmc_producer_attach(&p[i], mem, size, NULL), 0);
    assert_int_equal(mpmc_consumer_attach(&c[0], mem, size, NULL), 0);
    for (i = 0; i < HOLDERS; i++)
        assert_non_null(mpmc_claim(&p[i]));
    assert_int_equal(mpmc_push(&p[HOLDERS], &m), 0);
    assert_int_equal(mpmc_pop(&c[0], &m), 0);
    check(&m);
    for (i = 0; i <= HOLDERS; i++)
        mpmc_producer_detach(&p[i]);
    assert_int_equal(mpmc_init(mem, size, SLOTS_, IPC_MPMC_AT_LEAST_ONCE), 0);
    assert_int_equal(mpmc_producer_attach(&p[0], mem, size, NULL), 0);
    for (i = 0; i <= HOLDERS; i++)
        assert_int_equal(mpmc_consumer_attach(&c[i], mem, size, NULL), 0);
    for (i = 0; i < SLOTS_; i++)
        assert_int_equal(mpmc_push(&p[0], &m), 0);
    for (i = 0; i < HOLDERS; i++)
        assert_non_null(mpmc_peek(&c[i]));
    for (i = 0; i < SLOTS_ - HOLDERS; i++)
        assert_int_equal(mpmc_pop(&c[HOLDERS], &m), 0);
    for (i = 0; i < SLOTS_ - HOLDERS; i++)
        assert_int_equal(mpmc_push(&p[0], &m), 0);
    assert_int_equal(mpmc_push(&p[0], &m), -EAGAIN);
    free(p);
    free(c);
    (void)munmap(mem, size);
}

/* A single consumer that detaches while it holds a message puts it back in its place. */
static void one_consumer_keeps_the_order_when_it_leaves(void **state)
{
    size_t size = mpsc_footprint(64, 0), how;
    void *mem = shared(size);

    (void)state;
    for (how = 0; how < 2; how++) {
        struct mpsc_producer p;
        struct mpsc_consumer c;
        struct message m;
        uint64_t n;

        assert_int_equal(mpsc_init(mem, size, 64, (unsigned)how), 0);
        assert_int_equal(mpsc_producer_attach(&p, mem, size, NULL), 0);
        assert_int_equal(mpsc_consumer_attach(&c, mem, size, NULL), 0);
        for (n = 0; n < 25; n++) {
            m = make(1, n);
            assert_int_equal(mpsc_push(&p, &m), 0);
        }
        for (n = 0; n < 25; n++) {
            if (n % 5 == 3) {
                assert_int_equal(mpsc_peek(&c)->n, n);
                mpsc_consumer_detach(&c);
                assert_int_equal(mpsc_consumer_attach(&c, mem, size, NULL), 0);
            }
            assert_int_equal(mpsc_pop(&c, &m), 0);
            assert_int_equal(m.n, n);
        }
        assert_int_equal(mpsc_pop(&c, &m), -EAGAIN);
    }
    (void)munmap(mem, size);
}

static int seven_is_dead(void *arg, uint64_t id)
{
    (void)arg;
    return id != 7;
}

/* The message that a killed consumer held, also the only consumer, is lost or handed out again, as
 * the ring was made. */
static void what_a_killed_consumer_held_is_lost_or_seen_again(void **state)
{
    static const unsigned ends[] = {0, IPC_MPMC_ONE_CONSUMER, IPC_MPMC_ONE_PRODUCER};
    size_t size = ipc_mpmc_footprint(8, 8, 0);
    void *mem = shared(size);
    struct ipc_peer dies = {7, all_live, NULL, NULL, NULL, "", NULL, NULL};
    struct ipc_peer next = {8, seven_is_dead, NULL, NULL, NULL, "", NULL, NULL};
    unsigned i;

    (void)state;
    for (i = 0; i < 6; i++) {
        int again = i % 2 != 0;
        unsigned end = ends[i / 2];
        struct ipc_mpmc_producer p;
        struct ipc_mpmc_consumer c, d;
        uint64_t m, got = 0;

        assert_int_equal(ipc_mpmc_init(mem, size, 8, 8, end | (again ? 1 : 0)), 0);
        assert_int_equal(ipc_mpmc_producer_attach(&p, mem, size, 8, &next, end), 0);
        assert_int_equal(ipc_mpmc_consumer_attach(&c, mem, size, 8, &dies, end), 0);
        for (m = 1; m <= 3; m++)
            assert_int_equal(ipc_mpmc_push(&p, &m, 8), 0);
        assert_int_equal(*(const uint64_t *)ipc_mpmc_peek(&c), 1); /* it is killed here */
        assert_int_equal(ipc_mpmc_consumer_attach(&d, mem, size, 8, &next, end), 0);
        (void)ipc_mpmc_consumer_recover(&d, 0);
        while (ipc_mpmc_pop(&d, &m, 8) == 0)
            got |= 1u << m;
        assert_int_equal(got, again ? 14 : 12);
        assert_int_equal(ipc_mpmc_consumer_losses(&d).lost, !again);
        for (m = 0; m < 20; m++) { /* its slot is free */
            assert_int_equal(ipc_mpmc_push(&p, &m, 8), 0);
            assert_int_equal(ipc_mpmc_pop(&d, &got, 8), 0);
            assert_int_equal(got, m);
        }
    }
    (void)munmap(mem, size);
}

/* A handle that attaches late, or has not looked for many laps, finds its place in one call. */
static void latecomers_find_their_place_at_once(void **state)
{
    size_t size = mpmc_footprint(16, 0);
    void *mem = shared(size);
    struct mpmc_producer p, early, late;
    struct mpmc_consumer c, idle, behind;
    struct message m[16];
    unsigned i;

    (void)state;
    memset(m, 0, sizeof m);
    m[0] = make(0, 1);
    assert_int_equal(mpmc_init(mem, size, 16, IPC_MPMC_AT_MOST_ONCE), 0);
    assert_int_equal(mpmc_producer_attach(&p, mem, size, NULL), 0);
    assert_int_equal(mpmc_consumer_attach(&c, mem, size, NULL), 0);
    assert_int_equal(mpmc_producer_attach(&early, mem, size, NULL), 0);
    assert_int_equal(mpmc_consumer_attach(&idle, mem, size, NULL), 0);
    for (i = 0; i < 100000; i++) { /* runs that begin and end anywhere */
        assert_int_equal(mpmc_push_n(&p, m, i == 0 ? 1 : 16), i == 0 ? 1 : 16);
        assert_int_equal(mpmc_pop_n(&c, m, 16), i == 0 ? 1 : 16);
    }
    assert_int_equal(mpmc_producer_attach(&late, mem, size, NULL), 0);
    assert_int_equal(mpmc_consumer_attach(&behind, mem, size, NULL), 0);
    m[0] = make(0, 1);
    assert_int_equal(mpmc_push(&late, m), 0);
    assert_int_equal(mpmc_pop(&behind, m), 0);
    check(&m[0]);
    assert_int_equal(mpmc_push(&early, m), 0);
    assert_int_equal(mpmc_pop(&idle, m), 0);
    check(&m[0]);
    (void)munmap(mem, size);
}

/* ------------------------------------------------------------------ hostile memory */

/* Whatever is written to the ring, calls return: with a message, nothing, or -EBADMSG. */
static void scribbling_hangs_and_crashes_nobody(void **state)
{
    unsigned round, i;

    (void)state;
    for (round = 0; round < 400; round++) {
        uint64_t capacity = UINT64_C(1) << chance(6);
        size_t size = mpmc_footprint(capacity, 0);
        size_t header = ipc_mpmc_kind_(sizeof(struct message), 0).header;
        uint64_t *mem = (uint64_t *)shared(size);
        struct mpmc_producer p;
        struct mpmc_consumer c;
        struct message m[20];

        memset(m, 0, sizeof m);
        assert_int_equal(mpmc_init(mem, size, capacity, (unsigned)chance(2)), 0);
        assert_int_equal(mpmc_producer_attach(&p, mem, size, NULL), 0);
        assert_int_equal(mpmc_consumer_attach(&c, mem, size, NULL), 0);
        for (i = 0; i < 200; i++) {
            size_t at = 8 + chance(size / 8 - 8);
            uint64_t word = mem[at];

            if (at >= 64 && at < header / 8 && chance(8) != 0)
                at = header / 8 + chance(capacity) * 8 + 7;
            mem[at] = chance(3) == 0   ? chance(UINT64_MAX)
                      : chance(2) == 0 ? word ^ UINT64_C(1) << chance(64)
                                       : word + chance(5) * IPC_MPMC_LAP_ - 2 * IPC_MPMC_LAP_;
            (void)mpmc_push(&p, m);
            (void)mpmc_pop(&c, m);
            (void)mpmc_push_n(&p, m, chance(20));
            (void)mpmc_pop_n(&c, m, chance(20));
            if (mpmc_claim(&p) != NULL && chance(2))
                (void)mpmc_commit(&p);
            else
                mpmc_cancel(&p);
            if (mpmc_peek(&c) != NULL && chance(2))
                (void)mpmc_release(&c);
            (void)mpmc_consumer_recover(&c, 0);
        }
        mpmc_producer_detach(&p);
        mpmc_consumer_detach(&c);
        (void)munmap(mem, size);
    }
}

/* ------------------------------------------------------------------ killed at random */

enum { SENDERS = 3, TAKERS = 3, SLOTS = 64, PART = 20000, ALL = 200 };

static struct chaos {
    uint64_t start[ALL], sent[ALL]; /* for each sender there ever was: messages pushed */
    uint32_t seen[ALL][PART + 2]; /* 32 bits: not every processor swaps bytes */
    uint64_t held; /* messages that a taker may have held when it was killed */
} * chaos;

static int by_pid(void *arg, uint64_t id)
{
    (void)arg;
    return kill((pid_t)id, 0) == 0;
}

static void sender(void *mem, size_t size, unsigned who)
{
    struct ipc_peer me = {(uint64_t)getpid(), by_pid, NULL, NULL, NULL, "", NULL, NULL};
    struct mpmc_producer p;
    struct message m, *slot;
    uint64_t n = 1;

    if (mpmc_producer_attach(&p, mem, size, &me) != 0)
        _exit(2);
    while (n <= PART) {
        int rc;

        if (n % 3 == 0) {
            slot = mpmc_claim(&p);
            rc = slot == NULL ? -EAGAIN : 0;
            if (slot != NULL) {
                *slot = make(who, n);
                while ((rc = mpmc_commit(&p)) == -EAGAIN)
                    (void)sched_yield();
            }
        } else {
            m = make(who, n);
            rc = mpmc_push(&p, &m);
        }
        if (rc == 0)
            ck_pr_store_64(&chaos->sent[who], n++);
        else if (rc == -EAGAIN)
            (void)sched_yield();
        else
            _exit(3);
    }
    mpmc_producer_detach(&p);
}

static void take(const struct message *m)
{
    struct message good = make(m->from, m->n);

    if (m->from >= ALL || m->n == 0 || m->n > PART || memcmp(m, &good, sizeof *m) != 0)
        _exit(4);
    if (ck_pr_fas_32(&chaos->seen[m->from][m->n], 1) != 0)
        _exit(5); /* twice */
}

static void taker(void *mem, size_t size)
{
    struct ipc_peer me = {(uint64_t)getpid(), by_pid, NULL, NULL, NULL, "", NULL, NULL};
    struct mpmc_consumer c;
    const struct message *slot;
    struct message m;
    unsigned n;

    if (mpmc_consumer_attach(&c, mem, size, &me) != 0)
        _exit(2);
    for (n = 0;; n++) {
        int peeks = n % 2 && (slot = mpmc_peek(&c)) != NULL;
        int rc = peeks ? (take(slot), mpmc_release(&c)) : mpmc_pop(&c, &m);

        if (rc == 0 && !peeks)
            take(&m);
        else if (rc == -EAGAIN)
            (void)sched_yield();
        else if (rc != 0)
            _exit(3);
    }
}

static pid_t start(void *mem, size_t size, int sends, unsigned who)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sends)
            sender(mem, size, who);
        else
            taker(mem, size);
        _exit(0);
    }
    return pid;
}

/* Until the time `until`, or until there have been ALL senders. */
static void kill_at_random(time_t until)
{
    size_t size = mpmc_footprint(SLOTS, 0);
    void *mem = shared(size);
    struct ipc_peer me = {(uint64_t)getpid(), by_pid, NULL, NULL, NULL, "", NULL, NULL};
    struct mpmc_consumer c;
    pid_t senders[SENDERS], takers[TAKERS];
    unsigned who = 0, kills = 0, taker_kills = 0, i;
    uint64_t missing = 0, all = 0, n;
    struct message m;

    chaos = (struct chaos *)shared(sizeof *chaos);
    memset(chaos, 0, sizeof *chaos);
    assert_int_equal(mpmc_init(mem, size, SLOTS, IPC_MPMC_AT_MOST_ONCE), 0);
    for (i = 0; i < SENDERS; i++)
        senders[i] = start(mem, size, 1, who++);
    for (i = 0; i < TAKERS; i++)
        takers[i] = start(mem, size, 0, 0);
    while (time(NULL) < until && who < ALL) {
        struct timespec nap = {0, (long)chance(20000000)};
        pid_t *victim = chance(2) ? &senders[chance(SENDERS)] : &takers[chance(TAKERS)];
        int status, sends = victim < takers || victim >= takers + TAKERS;

        (void)nanosleep(&nap, NULL);
        (void)kill(*victim, SIGKILL);
        assert_int_equal(waitpid(*victim, &status, 0), *victim);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        kills++;
        taker_kills += !sends;
        *victim = start(mem, size, sends, sends ? who++ : 0);
    }
    for (i = 0; i < SENDERS; i++) {
        int status;

        assert_int_equal(waitpid(senders[i], &status, 0), senders[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (i = 0; i < TAKERS; i++) {
        int status;

        (void)kill(takers[i], SIGKILL);
        assert_int_equal(waitpid(takers[i], &status, 0), takers[i]);
        assert_true(WIFSIGNALED(status));
        taker_kills++;
    }
    assert_int_equal(mpmc_consumer_attach(&c, mem, size, &me), 0);
    (void)mpmc_consumer_recover(&c, 0);
    for (i = 0; i < 10 * SLOTS; i++)
        if (mpmc_pop(&c, &m) == 0) {
            check(&m);
            assert_int_equal(ck_pr_fas_32(&chaos->seen[m.from][m.n], 1), 0);
        }
    for (i = 0; i < who; i++)
        for (n = 1; n <= chaos->sent[i]; n++) {
            all++;
            missing += chaos->seen[i][n] == 0;
        }
    print_message("note: %u kills, %llu messages, %llu died with %u consumers\n", kills,
                  (unsigned long long)all, (unsigned long long)missing, taker_kills);
    assert_true(missing <= taker_kills);
    mpmc_consumer_detach(&c);
    (void)munmap(mem, size);
    (void)munmap(chaos, sizeof *chaos);
}

/* Runs for IPC_SOAK_SECONDS. */
static void processes_killed_at_random_lose_only_what_they_held(void **state)
{
    const char *given = getenv("IPC_SOAK_SECONDS");
    time_t until = time(NULL) + (given != NULL ? atoi(given) : 10);

    (void)state;
    while (time(NULL) < until)
        kill_at_random(until);
}

/* Is each of these bytes n? */
static int are(const void *bytes, size_t count, unsigned char n)
{
    while (count-- > 0)
        if (((const unsigned char *)bytes)[count] != n)
            return 0;
    return 1;
}

/* Messages of up to 8 bytes are beside the word of their slot, and a push of them needs no claim:
 * each call that sends, and each that receives, through laps of a ring that runs full and empty. */
static void short_messages_come_by_every_call(void **state)
{
    static const size_t sizes[] = {1, 3, 8, 9};
    size_t k;

    (void)state;
    for (k = 0; k < 4; k++) {
        size_t bytes = sizes[k], size = ipc_mpmc_footprint(bytes, 4, 0);
        void *mem = aligned_alloc(64, size);
        struct ipc_mpmc_producer p;
        struct ipc_mpmc_consumer c;
        unsigned char m[9], n;

        assert_int_equal(ipc_mpmc_init(mem, size, bytes, 4, 0), 0);
        assert_int_equal(ipc_mpmc_producer_attach(&p, mem, size, bytes, NULL, 0), 0);
        assert_int_equal(ipc_mpmc_consumer_attach(&c, mem, size, bytes, NULL, 0), 0);
        for (n = 0; n < 200; n = (unsigned char)(n + 4)) {
            memset(ipc_mpmc_claim(&p), n, bytes);
            assert_int_equal(ipc_mpmc_commit(&p), 0);
            assert_int_equal(ipc_mpmc_push(&p, memset(m, n + 1, sizeof m), bytes), 0);
            assert_non_null(ipc_mpmc_claim(&p)); /* which the next push fills */
            assert_int_equal(ipc_mpmc_push(&p, memset(m, n + 2, sizeof m), bytes), 0);
            assert_int_equal(ipc_mpmc_push_n(&p, memset(m, n + 3, sizeof m), bytes, 1), 1);
            assert_int_equal(ipc_mpmc_push(&p, memset(m, n + 4, sizeof m), bytes), -EAGAIN);
            assert_int_equal(ipc_mpmc_pop(&c, m, bytes), 0);
            assert_true(are(m, bytes, n));
            assert_true(are(ipc_mpmc_peek(&c), bytes, (unsigned char)(n + 1)));
            assert_int_equal(ipc_mpmc_release(&c), 0);
            assert_int_equal(ipc_mpmc_pop_n(&c, m, bytes, 1), 1);
            assert_true(are(m, bytes, (unsigned char)(n + 2)));
            assert_non_null(ipc_mpmc_peek(&c)); /* which the next pop takes */
            assert_int_equal(ipc_mpmc_pop(&c, m, bytes), 0);
            assert_true(are(m, bytes, (unsigned char)(n + 3)));
            assert_int_equal(ipc_mpmc_pop(&c, m, bytes), -EAGAIN);
        }
        free(mem);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_messages_come_by_every_call),
        cmocka_unit_test(impossible_rings_are_refused),
        cmocka_unit_test(single_ends_and_seats_are_limited),
        cmocka_unit_test(a_stopped_successor_keeps_nothing_of_the_dead),
        cmocka_unit_test(there_are_seats_for_as_many_handles_as_asked_for),
        cmocka_unit_test(a_seat_that_becomes_free_behind_us_is_found),
        cmocka_unit_test(a_handle_that_was_idle_for_many_laps_goes_on),
        cmocka_unit_test(batches_of_long_messages_are_those_of_a_queue),
        cmocka_unit_test(random_calls_are_those_of_a_queue),
        cmocka_unit_test(holders_in_a_row_are_passed_over_in_one_call),
        cmocka_unit_test(one_consumer_keeps_the_order_when_it_leaves),
        cmocka_unit_test(what_a_killed_consumer_held_is_lost_or_seen_again),
        cmocka_unit_test(latecomers_find_their_place_at_once),
        cmocka_unit_test(scribbling_hangs_and_crashes_nobody),
        cmocka_unit_test(processes_killed_at_random_lose_only_what_they_held),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("ipc_ring, many", tests, NULL, NULL);
}
