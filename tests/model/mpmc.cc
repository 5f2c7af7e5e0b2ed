/*
 * Rings with many at an end under the Relacy model checker, with the ck_pr.h of this directory, and
 * with an ipc_ring.h whose numbers are small (tests/order makes it):
 *
 *     sed 's/\(IPC_MPMC_SEATS\) 256u/\1 8u/; s/\(IPC_MPMC_LOOKS_\) 128u/\1 1u/' ipc_ring.h
 *     g++ -std=c++14 -O1 -w -Itests/model -Iwhere-that-is tests/model/mpmc.cc -o mpmc
 *     ./mpmc [scenario, or how its name begins [iterations]]
 *
 * mpmc_short.cc has messages of 8 bytes, which a push sends by one compare-and-swap of 16.
 * TWIN=4995 ./mpmc two leaves out the fence on that line of ipc_ring.h. -Itests/weak before the
 * other -I makes the machine whose stores come out of order.
 *
 * Every message comes at most once, whole, and in its producer's order; those of threads that were
 * not killed come exactly once. Threads may be killed before any of their steps, and passed over at
 * any. Otherwise as spsc.cc.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "mortal.h"
#include "ipc_ring.h"

enum { LARGEST = 4, MOST = 6, STRIDE = 64, BATCH = 3 };

#ifdef SHORT
typedef uint32_t half;
#else
typedef uint64_t half;
#endif

struct message {
    half id, same;
};

/* By whole words, in place. */
static void put(struct message *slot, const struct message &m)
{
    uint64_t words[sizeof m / sizeof(uint64_t)];

    memcpy(words, &m, sizeof m);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        ck_pr_store_64(reinterpret_cast<uint64_t *>(slot) + i, words[i]);
}

static void get(struct message &m, const struct message *slot)
{
    uint64_t words[sizeof m / sizeof(uint64_t)];

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        words[i] = ck_pr_load_64(reinterpret_cast<const uint64_t *>(slot) + i);
    memcpy(&m, words, sizeof m);
}

enum role { NOBODY, PUSHER, BATCHER, CLAIMER, CANCELLER, POPPER, DRAINER, PEEKER, QUITTER };
enum {
    MORTAL = 1,
    REJOINS = 2,  /* quitters rejoin, and do not release a message that no thread has seen */
    STAYS = 4,    /* one consumer: takes the remaining messages after the other threads ended */
    RECOVERS = 8, /* producers: recover after each message */
    TRUSTS = 16   /* one that stays: the count alone says whether to look; recovering does not */
};

struct scenario {
    const char *name;
    unsigned long iterations;
    uint64_t capacity;
    unsigned how;
    struct {
        enum role role;
        int rounds;
        unsigned how;
    } thread[THREADS];
};

static const struct scenario *now;

static struct __attribute__((aligned(64))) {
    unsigned char bytes[sizeof(struct ipc_mpmc_shared) + 32 * IPC_MPMC_SEATS + LARGEST * STRIDE];
} memory;

/* The threads' results. */
static struct {
    int sent[THREADS], trying[THREADS]; /* messages that were sent, and that may have been */
    int seen[THREADS][MOST + 1];
    int lost; /* messages that may have died with a consumer */
    struct ipc_mpmc_consumer stayed;
} all;

struct scene : rl::test_suite<scene, THREADS> {
    rl::atomic<uint64_t> shadow[sizeof memory / 8];
    rl::atomic<uint64_t> dead[THREADS];
    rl::var<int> payload[LARGEST];

    static size_t size()
    {
        return ipc_mpmc_footprint(sizeof(struct message), now->capacity, 0);
    }

    static unsigned ends()
    {
        return now->how & (IPC_MPMC_ONE_PRODUCER | IPC_MPMC_ONE_CONSUMER);
    }

    /* Do all threads work in place? Then an rl::var for each slot finds data races. */
    static bool plain()
    {
        for (unsigned i = 0; i < THREADS; i++)
            if (now->thread[i].role != NOBODY && now->thread[i].role != CLAIMER &&
                now->thread[i].role != CANCELLER && now->thread[i].role < PEEKER)
                return false;
        return true;
    }

    static bool trusts()
    {
        for (unsigned i = 0; i < THREADS; i++)
            if ((now->thread[i].how & TRUSTS) != 0)
                return true;
        return false;
    }

    static unsigned index_of(const void *at)
    {
        return (unsigned)((static_cast<const unsigned char *>(at) - memory.bytes -
                           ipc_mpmc_kind_(sizeof(struct message), 0).header) /
                          STRIDE);
    }

    void before()
    {
        model_end();
        memset(&memory, 0xa5, sizeof memory);
        RL_ASSERT(ipc_mpmc_init(&memory, size(), sizeof(struct message), now->capacity, now->how) ==
                  0);
        model_begin(&memory, shadow, size() / 8);
        memset(&all, 0, sizeof all);
        mortal_begin(now, MORTAL, dead, 80);
    }

    void thread(unsigned index)
    {
        try {
            if (now->thread[index].role >= POPPER)
                consume(index);
            else if (now->thread[index].role != NOBODY)
                produce(index);
        } catch (const killed &) {
            enum role role = now->thread[index].role;

            if (role == DRAINER)
                all.lost += BATCH;
            else if (role >= POPPER && (now->how & IPC_MPMC_AT_LEAST_ONCE) == 0)
                all.lost++;
        }
        dead[index].store(1, rl::mo_release, $);
    }

    static struct message make(unsigned index, int n)
    {
        struct message m;

        m.id = m.same = (half)(index * 16 + (unsigned)n);
        return m;
    }

    void produce(unsigned index)
    {
        struct ipc_peer me = {10 + index, lives, NULL, NULL, NULL, "", NULL, NULL};
        struct ipc_mpmc_producer p;
        int n, rounds = now->thread[index].rounds, tries = 0;
        bool bare = plain();

        RL_ASSERT(ipc_mpmc_producer_attach(&p, &memory, size(), sizeof(struct message), &me,
                                           ends()) == 0);
        for (n = 1; n <= rounds && tries < 8;) {
            struct message m[3] = {make(index, n), make(index, n + 1), make(index, n + 2)};
            int64_t rc;

            all.trying[index] = n;
            if (now->thread[index].role == BATCHER) {
                all.trying[index] = rounds;
                rc = ipc_mpmc_push_n(&p, m, sizeof *m, (size_t)(rounds - n + 1));
            } else if (now->thread[index].role == CLAIMER || now->thread[index].role == CANCELLER) {
                struct message *slot = (struct message *)ipc_mpmc_claim(&p);

                rc = -EAGAIN;
                if (slot != NULL && now->thread[index].role == CANCELLER && tries++ % 2 == 0) {
                    ipc_mpmc_cancel(&p); /* every other claim */
                } else if (slot != NULL) {
                    if (bare)
                        payload[index_of(slot)]($) = (int)m->id;
                    put(slot, *m);
                    while ((rc = ipc_mpmc_commit(&p)) == -EAGAIN && tries++ < 8)
                        rl::yield(1, $);
                    rc = rc == 0 ? 1 : rc;
                }
            } else {
                rc = ipc_mpmc_push(&p, m, sizeof *m) == 0 ? 1 : -EAGAIN;
            }
            RL_ASSERT(rc == -EAGAIN || rc > 0);
            RL_ASSERT(ipc_mpmc_producer_error(&p) == 0);
            if (rc > 0) {
                n += (int)rc;
                all.sent[index] = n - 1;
                if ((now->thread[index].how & RECOVERS) != 0)
                    (void)ipc_mpmc_producer_recover(&p, 0);
                if ((now->thread[index].how & REJOINS) != 0) {
                    ipc_mpmc_producer_detach(&p);
                    RL_ASSERT(ipc_mpmc_producer_attach(&p, &memory, size(), sizeof(struct message),
                                                       &me, ends()) == 0);
                }
            } else {
                tries++;
                rl::yield(1, $);
            }
        }
        all.trying[index] = all.sent[index];
        ipc_mpmc_producer_detach(&p); /* cancels an open claim */
    }

    void see(uint64_t id, int *last)
    {
        unsigned from = (unsigned)(id / 16);
        int n = (int)(id % 16);

        RL_ASSERT(from < THREADS && n >= 1 && n <= MOST);
        RL_ASSERT(n <= all.trying[from] || n <= all.sent[from]);
        RL_ASSERT(all.seen[from][n]++ == 0 || now->how & IPC_MPMC_AT_LEAST_ONCE);
        RL_ASSERT(n > last[from] || now->how & IPC_MPMC_AT_LEAST_ONCE);
        last[from] = n;
    }

    void consume(unsigned index)
    {
        struct ipc_peer me = {10 + index, lives, NULL, NULL, NULL, "", NULL, NULL};
        bool stays = (now->thread[index].how & STAYS) != 0;
        struct ipc_mpmc_consumer own, &c = stays ? all.stayed : own;
        int i, last[THREADS] = {};

        RL_ASSERT(ipc_mpmc_consumer_attach(&c, &memory, size(), sizeof(struct message), &me,
                                           ends()) == 0);
        for (i = 0; i < 3 * now->thread[index].rounds; i++)
            if (!take(c, last, now->thread[index].role)) {
                rl::yield(1, $);
            } else if ((now->thread[index].how & REJOINS) != 0) {
                ipc_mpmc_consumer_detach(&c);
                RL_ASSERT(ipc_mpmc_consumer_attach(&c, &memory, size(), sizeof(struct message), &me,
                                                   ends()) == 0);
            }
        if (!stays)
            ipc_mpmc_consumer_detach(&c);
    }

    bool take(struct ipc_mpmc_consumer &c, int *last, enum role role)
    {
        struct message m, more[BATCH];
        const struct message *slot;
        int64_t i, n;

        if (role == DRAINER) {
            n = ipc_mpmc_pop_n(&c, more, sizeof m, BATCH);
            RL_ASSERT(n == -EAGAIN || (n > 0 && n <= BATCH));
            for (i = 0; i < n; i++) {
                RL_ASSERT(more[i].id == more[i].same);
                see(more[i].id, last);
            }
            return n > 0;
        }
        if (role == POPPER) {
            if (ipc_mpmc_pop(&c, &m, sizeof m) != 0) {
                RL_ASSERT(ipc_mpmc_consumer_error(&c) == 0);
                return false;
            }
        } else {
            slot = (const struct message *)ipc_mpmc_peek(&c);
            RL_ASSERT(ipc_mpmc_consumer_error(&c) == 0);
            if (slot == NULL)
                return false;
            if (plain())
                (void)(int)payload[index_of(slot)]($);
            get(m, slot);
        }
        RL_ASSERT(m.id == m.same);
        see(m.id, last);
        if (role == PEEKER || (role == QUITTER && all.seen[m.id / 16][m.id % 16] > 1))
            RL_ASSERT(ipc_mpmc_release(&c) == 0);
        return true;
    }

    /* The consumer that stays, or a new one, takes the remaining messages. One that stays must also
     * find those that were put back after it last looked for them. */
    void after()
    {
        struct ipc_peer me = {30, lives, NULL, NULL, NULL, "", NULL, NULL};
        struct ipc_mpmc_consumer own, &c = all.stayed.m.ring != NULL ? all.stayed : own;
        struct ipc_mpmc_producer p;
        struct message m = {0, 0};
        int last[THREADS] = {}, missing = 0;

        mortal_end();
        if (&c == &own)
            RL_ASSERT(ipc_mpmc_consumer_attach(&c, &memory, size(), sizeof(struct message), &me,
                                               ends()) == 0);
        if (trusts())
            (void)ipc_mpmc_recover_(&c.m, 0);
        else
            (void)ipc_mpmc_consumer_recover(&c, 0);
        for (int i = 0; i < 64; i++)
            (void)take(c, last, plain() ? PEEKER : POPPER);
        /* Nobody else is left: there is room. */
        RL_ASSERT(ipc_mpmc_producer_attach(&p, &memory, size(), sizeof m, &me, ends()) == 0);
        for (uint64_t i = 0; i < 2 * now->capacity; i++) {
            RL_ASSERT(ipc_mpmc_push(&p, &m, sizeof m) == 0);
            RL_ASSERT(ipc_mpmc_pop(&c, &m, sizeof m) == 0);
        }
        ipc_mpmc_producer_detach(&p);
        ipc_mpmc_consumer_detach(&c);
        for (unsigned i = 0; i < THREADS; i++)
            for (int n = 1; n <= all.sent[i]; n++)
                missing += all.seen[i][n] == 0;
        RL_ASSERT(missing <= all.lost);
    }
};

#define ONCE IPC_MPMC_AT_MOST_ONCE
#define AGAIN IPC_MPMC_AT_LEAST_ONCE

static const struct scenario scenarios[] = {
    {"one and one", 100000, 2, ONCE, {{PUSHER, 4}, {POPPER, 4}}},
    {"one and one, capacity 1", 100000, 1, ONCE, {{PUSHER, 3}, {POPPER, 3}}},
    {"two and two", 200000, 2, ONCE, {{PUSHER, 2}, {PUSHER, 2}, {POPPER, 2}, {POPPER, 2}}},
    {"two and one", 200000, 2, ONCE, {{PUSHER, 3}, {PUSHER, 2}, {POPPER, 5}}},
    {"three and one", 200000, 2, ONCE, {{PUSHER, 2}, {PUSHER, 2}, {CLAIMER, 2}, {POPPER, 6}}},
    {"one and two", 200000, 2, ONCE, {{PUSHER, 5}, {POPPER, 3}, {POPPER, 3}}},
    {"no copy", 200000, 2, ONCE, {{CLAIMER, 2}, {CLAIMER, 2}, {PEEKER, 2}, {PEEKER, 2}}},
    {"no copy and copy", 200000, 2, ONCE, {{CLAIMER, 2}, {PUSHER, 2}, {PEEKER, 2}, {POPPER, 2}}},
    {"claims given back",
     200000,
     2,
     ONCE,
     {{CLAIMER, 2}, {CANCELLER, 3}, {PUSHER, 2}, {POPPER, 4}}},
    {"claims given back, killed",
     200000,
     2,
     ONCE,
     {{CLAIMER, 2, MORTAL}, {CANCELLER, 3, MORTAL}, {PUSHER, 2}, {PEEKER, 4}}},
    {"mpsc, killed consumer",
     200000,
     2,
     ONCE | IPC_MPMC_ONE_CONSUMER,
     {{CLAIMER, 3}, {PUSHER, 3}, {PEEKER, 3, MORTAL}}},
    {"batches", 200000, 2, ONCE, {{BATCHER, 3}, {PUSHER, 2}, {POPPER, 2}, {POPPER, 2}}},
    {"batches, capacity 4",
     200000,
     4,
     ONCE,
     {{BATCHER, 3}, {BATCHER, 3}, {POPPER, 3}, {PEEKER, 2}}},
    {"batches to batches",
     200000,
     4,
     ONCE,
     {{BATCHER, 3}, {BATCHER, 3}, {DRAINER, 2}, {DRAINER, 2}}},
    {"batches to batches, capacity 2",
     200000,
     2,
     ONCE,
     {{BATCHER, 3}, {CLAIMER, 2}, {DRAINER, 3}, {POPPER, 2}}},
    {"batches, killed consumers",
     200000,
     4,
     ONCE,
     {{BATCHER, 3}, {PUSHER, 3}, {DRAINER, 2, MORTAL}, {DRAINER, 3, MORTAL}}},
    {"batches, killed and peeking, again",
     200000,
     4,
     AGAIN,
     {{BATCHER, 3}, {BATCHER, 3}, {DRAINER, 2, MORTAL}, {PEEKER, 3}}},
    {"killed producer",
     200000,
     2,
     ONCE,
     {{PUSHER, 3, MORTAL}, {PUSHER, 3}, {POPPER, 3}, {POPPER, 2}}},
    {"killed batch",
     200000,
     4,
     ONCE,
     {{BATCHER, 3, MORTAL}, {PUSHER, 4}, {POPPER, 3}, {POPPER, 2}}},
    {"killed consumer",
     200000,
     2,
     ONCE,
     {{PUSHER, 3}, {PUSHER, 2}, {PEEKER, 2, MORTAL}, {POPPER, 4}}},
    {"killed consumer, again",
     200000,
     2,
     AGAIN,
     {{PUSHER, 3}, {PUSHER, 2}, {PEEKER, 2, MORTAL}, {POPPER, 4}}},
    {"killed consumer, batches, again",
     200000,
     4,
     AGAIN,
     {{BATCHER, 3}, {BATCHER, 3}, {PEEKER, 2, MORTAL}, {POPPER, 4}}},
    {"no copy, killed consumer",
     200000,
     2,
     AGAIN,
     {{CLAIMER, 3}, {CLAIMER, 2}, {PEEKER, 2, MORTAL}, {PEEKER, 3}}},
    {"rejoining",
     200000,
     2,
     ONCE,
     {{PUSHER, 3, REJOINS}, {CLAIMER, 2, REJOINS | MORTAL}, {PEEKER, 2, REJOINS}, {POPPER, 3}}},
    {"rejoining, killed consumer",
     200000,
     2,
     AGAIN,
     {{PUSHER, 3, REJOINS}, {PUSHER, 2}, {PEEKER, 2, REJOINS | MORTAL}, {PEEKER, 3, REJOINS}}},
    {"quitting",
     200000,
     2,
     AGAIN,
     {{CLAIMER, 3}, {CLAIMER, 2}, {QUITTER, 2, REJOINS}, {PEEKER, 4}}},
    {"quitting, one stays",
     200000,
     4,
     AGAIN,
     {{PUSHER, 3}, {PUSHER, 2}, {QUITTER, 2, REJOINS}, {POPPER, 5, STAYS | TRUSTS}}},
    {"killed consumer, recovered, one stays",
     200000,
     4,
     AGAIN,
     {{PUSHER, 3, RECOVERS},
      {PUSHER, 2, RECOVERS},
      {PEEKER, 3, MORTAL},
      {POPPER, 4, STAYS | TRUSTS}}},
    {"killed in handing back, one stays",
     200000,
     2,
     AGAIN,
     {{PUSHER, 2}, {POPPER, 4}, {QUITTER, 2, MORTAL}, {POPPER, 6, STAYS}}},
    {"killed in freeing the dead, one stays",
     200000,
     2,
     AGAIN,
     {{PUSHER, 4, REJOINS}, {PEEKER, 2, MORTAL}, {PEEKER, 2, MORTAL}, {POPPER, 5, STAYS}}},
    {"mpsc, quitting",
     200000,
     2,
     AGAIN | IPC_MPMC_ONE_CONSUMER,
     {{CLAIMER, 3, REJOINS}, {CLAIMER, 2}, {QUITTER, 3, REJOINS}}},
    {"mpsc", 200000, 2, ONCE | IPC_MPMC_ONE_CONSUMER, {{PUSHER, 3}, {CLAIMER, 2}, {POPPER, 5}}},
    {"mpsc, no copy",
     200000,
     2,
     ONCE | IPC_MPMC_ONE_CONSUMER,
     {{CLAIMER, 3}, {CLAIMER, 2}, {PEEKER, 5}}},
    {"spmc", 200000, 2, ONCE | IPC_MPMC_ONE_PRODUCER, {{PUSHER, 5}, {POPPER, 3}, {PEEKER, 3}}},
    {"spmc, no copy",
     200000,
     2,
     ONCE | IPC_MPMC_ONE_PRODUCER,
     {{CLAIMER, 5}, {PEEKER, 3}, {PEEKER, 3}}},
};

/* Are runs skipped, so that a look may find an old word? */
static bool skips()
{
    for (unsigned i = 0; i < THREADS; i++)
        if (now->thread[i].role == BATCHER)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    explore_begin(argc, argv);
    for (const struct scenario &scenario : scenarios) {
        now = &scenario;
        if (explore_wants(now->name) && (IPC_MPMC_IMPOSSIBLE_LOOKS_ > 0 || !skips()))
            explore<scene>(now->name, now->iterations);
    }
    return explore_end();
}
