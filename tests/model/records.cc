/*
 * Records under the Relacy model checker, with the ck_pr.h of this directory:
 *
 *     g++ -std=c++14 -O1 -w -Itests/model -I. tests/model/records.cc -o records
 *     ./records [scenario, or how its name begins [iterations]]
 *
 * In each lane record k has lengths[k] bytes, and each of its words is k. Threads at one end take
 * turns if only one may attach. Each producer that attaches has an id of its own: the consumer must
 * be told whose each record is, and that a producer has ended after its last record and once.
 * tests/order has lanes remember three terms instead of 23. A consumer that merges must have the
 * records of all in the order of their numbers. Otherwise as spsc.cc.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "explore.h"
#include "ipc_ring.h"

enum { CAPACITY = 64, LANES = 2, WORDS = CAPACITY / 8 };

static const size_t lengths[] = {24, 8, 0, 16, 24, 24, 8, 24};
enum { ALL = sizeof lengths / sizeof *lengths, NUMBERED = 2, IDS = 1000 };

/* The scenario that runs. */
static struct {
    unsigned lanes, producers;
    bool rejoin; /* after each record */
    bool merge;  /* records have 16 bytes, and begin with numbers */
} now;

static struct __attribute__((aligned(64))) {
    unsigned char bytes[sizeof(struct ipc_record_shared) +
                        LANES * (sizeof(struct ipc_record_lane_) + CAPACITY)];
} memory;

static struct ipc_record_shared *const ring = (struct ipc_record_shared *)(void *)&memory;

template <int threads> struct scene : rl::test_suite<scene<threads>, threads> {
    rl::atomic<uint64_t> shadow[sizeof memory / 8];
    rl::var<int> word[LANES][WORDS];
    unsigned sent[LANES], received[LANES]; /* by the holders of the end */
    unsigned ids;                          /* given to producers so far */
    uint64_t numbers;                      /* given to records so far */
    unsigned of[LANES][ALL];               /* by which producer each record was sent */
    int left[IDS];                         /* of each producer: records that are not received yet */
    bool told[IDS];                        /* its end */

    static size_t size()
    {
        return ipc_record_footprint(CAPACITY, now.lanes);
    }

    void before()
    {
        model_end();
        memset(&memory, 0xa5, sizeof memory);
        memset(sent, 0, sizeof sent);
        memset(received, 0, sizeof received);
        memset(left, 0, sizeof left);
        memset(told, 0, sizeof told);
        ids = 0;
        numbers = 0;
        RL_ASSERT(ipc_record_init(&memory, size(), CAPACITY, now.lanes) == 0);
        model_begin(&memory, shadow, size() / 8);
    }

    bool over(const unsigned *count)
    {
        for (unsigned i = 0; i < now.lanes; i++)
            if (count[i] < ALL)
                return false;
        return true;
    }

    void produce()
    {
        bool turns = now.producers > now.lanes;
        struct ipc_record_producer p;

        while (!over(sent)) {
            unsigned id = ids < IDS - 1 ? ++ids : ids;
            struct ipc_peer me = {id, lives, NULL, NULL, NULL, "", NULL, NULL};
            int rc = ipc_record_producer_attach(&p, &memory, size(), &me);

            if (rc != 0) {
                RL_ASSERT(rc == -EBUSY);
                rl::yield(1, $);
                continue;
            }
            unsigned lane = now.lanes > 1 && p.head != ipc_record_head_(ring, now.lanes, 0);
            while (sent[lane] < ALL) {
                size_t n = lengths[sent[lane]];
                unsigned at;

                /* some are claimed longer than they are committed */
                if (ipc_record_claim(&p, sent[lane] % 2 ? n : 24) == NULL) {
                    RL_ASSERT(p.error == 0);
                    rl::yield(1, $);
                    if (turns)
                        break;
                    continue;
                }
                at = (unsigned)(p.at % CAPACITY) / 8 + 1;
                for (unsigned i = 0; i < n / 8; i++)
                    word[lane][at + i]($) = (int)sent[lane];
                of[lane][sent[lane]++] = id;
                left[id]++;
                RL_ASSERT(ipc_record_commit(&p, n) == 0);
                if (turns || now.rejoin)
                    break;
            }
            ipc_record_producer_detach(&p);
        }
    }

    static int lives(void *, uint64_t)
    {
        return 1;
    }

    /* The consumer has been told whose a record is, or who has ended. */
    void check_source(struct ipc_record_consumer *c, unsigned lane, unsigned id)
    {
        struct ipc_record_sender from;

        RL_ASSERT(ipc_record_source(c, &from) == 0 && from.lane == lane);
        /* Producers that find no room attach again and again: a term may be forgotten. */
        struct ipc_record_lane_ *l =
            ipc_record_lane_at_((struct ipc_record_shared *)(void *)c->ring, lane);

        RL_ASSERT(from.id == id ||
                  (from.id == 0 && ck_pr_load_64(&l->terms) >= IPC_RECORD_TERMS_));
    }

    void look_for_ends(struct ipc_record_consumer *c)
    {
        int rc;

        while ((rc = ipc_record_ended(c)) != 0) {
            RL_ASSERT(rc == -EPIPE && c->ended.id - 1 < ids);
            RL_ASSERT(left[c->ended.id] == 0 && !told[c->ended.id]);
            told[c->ended.id] = true;
        }
    }

    void consume()
    {
        struct ipc_record_consumer c;

        while (!over(received)) {
            int rc = ipc_record_consumer_attach(&c, &memory, size(), NULL);

            if (rc != 0) {
                RL_ASSERT(rc == -EBUSY);
                rl::yield(1, $);
                continue;
            }
            while (!over(received)) {
                unsigned lane, at;
                size_t n;

                if (ipc_record_peek(&c, &n) == NULL) {
                    RL_ASSERT(c.error == 0);
                    look_for_ends(&c);
                    rl::yield(1, $);
                    break;
                }
                lane = c.lane;
                RL_ASSERT(received[lane] < ALL);
                check_source(&c, lane, of[lane][received[lane]]);
                left[of[lane][received[lane]]]--;
                at = (unsigned)(c.at % CAPACITY) / 8 + 1;
                RL_ASSERT(n == lengths[received[lane]]);
                for (unsigned i = 0; i < n / 8; i++)
                    RL_ASSERT((int)word[lane][at + i]($) == (int)received[lane]);
                received[lane]++;
                RL_ASSERT(ipc_record_release(&c) == 0);
                if (now.rejoin)
                    break;
            }
            ipc_record_consumer_detach(&c);
        }
    }

    /* Waits until a word is not 0. */
    static void wait_for(uint64_t *word)
    {
        while (ck_pr_load_64(word) == 0)
            rl::yield(1, $);
        ck_pr_fence_acquire();
    }

    /* Each record has the next number of all. */
    void produce_numbers(unsigned id)
    {
        struct ipc_peer me = {id, lives, NULL, NULL, NULL, "", NULL, NULL};
        struct ipc_record_producer p;
        uint64_t *at;

        RL_ASSERT(ipc_record_producer_attach(&p, &memory, size(), &me) == 0);
        wait_for((uint64_t *)(void *)ring->s.space_bell);
        for (unsigned i = 0; i < NUMBERED; i++) {
            while ((at = (uint64_t *)ipc_record_claim(&p, 16)) == NULL)
                rl::yield(1, $);
            ck_pr_store_64(at, numbers++);
            RL_ASSERT(ipc_record_commit(&p, 16) == 0);
        }
        ipc_record_producer_detach(&p);
    }

    void consume_numbers()
    {
        struct ipc_record_consumer c;
        struct ipc_record_sender from;
        uint64_t *at;
        size_t n;

        RL_ASSERT(ipc_record_consumer_attach(&c, &memory, size(), NULL) == 0);
        ipc_record_merge(&c, INT64_MAX, no_time);
        for (unsigned i = 0; i < LANES; i++)
            wait_for(ipc_record_holder_(ring, LANES, i));
        ck_pr_store_64((uint64_t *)(void *)ring->s.space_bell, 1);
        for (uint64_t next = 0; next < LANES * NUMBERED; next++) {
            while ((at = (uint64_t *)ipc_record_peek(&c, &n)) == NULL) {
                RL_ASSERT(c.error == 0);
                rl::yield(1, $);
            }
            RL_ASSERT(n == 16 && ck_pr_load_64(at) == next);
            RL_ASSERT(ipc_record_source(&c, &from) == 0 && from.late == 0 && from.id - 1 < LANES);
            RL_ASSERT(ipc_record_release(&c) == 0);
        }
        ipc_record_consumer_detach(&c);
    }

    static int64_t no_time()
    {
        return 0;
    }

    void thread(unsigned index)
    {
        if (now.merge)
            index < now.producers ? produce_numbers(index + 1) : consume_numbers();
        else
            index < now.producers ? produce() : consume();
    }
};

template <int threads>
static void run(const char *name, unsigned lanes, unsigned producers, bool rejoin,
                bool merge = false)
{
    if (!explore_wants(name))
        return;
    now.lanes = lanes;
    now.producers = producers;
    now.rejoin = rejoin;
    now.merge = merge;
    explore<scene<threads>>(name, 100000);
}

int main(int argc, char **argv)
{
    explore_begin(argc, argv);
    run<2>("one and one", 1, 1, false);
    run<2>("one and one, rejoining", 1, 1, true);
    run<3>("two producers", 2, 2, false);
    run<3>("two producers, rejoining", 2, 2, true);
    run<3>("one place for two producers", 1, 2, false);
    run<3>("two consumers", 1, 1, true);
    run<3>("merged", 2, 2, false, true);
    return explore_end();
}
