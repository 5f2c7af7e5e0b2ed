/*
 * Streams under the Relacy model checker, with the ck_pr.h of this directory, and an ipc_ring.h
 * whose pages are small (tests/order makes it):
 *
 *     sed 's/\(IPC_STREAM_PAGE_\) 4096u/\1 64u/' ipc_ring.h
 *     g++ -std=c++14 -O1 -w -Itests/model -Iwhere-that-is tests/model/stream.cc -o stream
 *     ./stream [scenario, or how its name begins [iterations]]
 *
 * The element at position x is x. Threads at one end take turns, and learn their position from the
 * stream alone. Otherwise as spsc.cc.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "explore.h"
#include "ipc_ring.h"

enum { LARGEST = 4, ALL = 7 };

/* The scenario that runs. */
static struct {
    uint64_t capacity;
    unsigned producers, consumers;
    bool rejoin; /* detach and attach again after each piece */
} now;

static struct __attribute__((aligned(64))) {
    unsigned char bytes[sizeof(struct ipc_stream_shared) + IPC_STREAM_PAGE_ + LARGEST * 8];
} memory;

template <int threads> struct scene : rl::test_suite<scene<threads>, threads> {
    rl::atomic<uint64_t> shadow[sizeof memory / 8];
    rl::var<int> element[LARGEST];

    static size_t size()
    {
        return ipc_stream_footprint(8, now.capacity);
    }

    void before()
    {
        model_end();
        memset(&memory, 0xa5, sizeof memory);
        RL_ASSERT(ipc_stream_init(&memory, size(), 8, now.capacity) == 0);
        model_begin(&memory, shadow, size() / 8);
    }

    void thread(unsigned index)
    {
        bool produces = index < now.producers;
        unsigned mine = produces ? now.producers : now.consumers;
        struct ipc_stream_producer p;
        struct ipc_stream_consumer c;
        struct ipc_stream *s = produces ? &p.s : &c.s;
        bool there = false;

        for (;;) {
            struct ipc_stream_regions r;
            uint64_t n, most;

            if (!there) {
                int rc = produces ? ipc_stream_producer_attach(&p, &memory, size(), 8, NULL)
                                  : ipc_stream_consumer_attach(&c, &memory, size(), 8, NULL);

                if (rc != 0) {
                    RL_ASSERT(rc == -EBUSY);
                    rl::yield(1, $);
                    continue;
                }
                there = true;
            }
            if (s->at == ALL)
                break;
            most = 1 + s->at % 2;
            most = most < ALL - s->at ? most : ALL - s->at;
            n = produces ? ipc_stream_room(&p, &r) : ipc_stream_data(&c, &r);
            RL_ASSERT(s->error == 0 && n <= now.capacity);
            n = n < most ? n : most;
            for (uint64_t x = s->at; x < s->at + n; x++) {
                rl::var<int> &e = element[x % now.capacity];

                if (produces)
                    e($) = (int)x;
                else
                    RL_ASSERT((int)e($) == (int)x);
            }
            RL_ASSERT((produces ? ipc_stream_commit(&p, n) : ipc_stream_release(&c, n)) == 0);
            if (mine > 1 || now.rejoin) {
                produces ? ipc_stream_producer_detach(&p) : ipc_stream_consumer_detach(&c);
                there = false;
            }
            if (n == 0 || mine > 1)
                rl::yield(1, $);
        }
        produces ? ipc_stream_producer_detach(&p) : ipc_stream_consumer_detach(&c);
    }
};

template <int threads>
static void run(const char *name, uint64_t capacity, unsigned producers, bool rejoin)
{
    char what[100];

    if (!explore_wants(name))
        return;
    now.capacity = capacity;
    now.producers = producers;
    now.consumers = threads - producers;
    now.rejoin = rejoin;
    snprintf(what, sizeof what, "%s, capacity %d", name, (int)capacity);
    explore<scene<threads>>(what, 100000);
}

int main(int argc, char **argv)
{
    explore_begin(argc, argv);
    for (uint64_t capacity = 1; capacity <= LARGEST; capacity *= 2) {
        run<2>("one and one", capacity, 1, false);
        run<2>("one and one, rejoining", capacity, 1, true);
        run<3>("two producers", capacity, 2, false);
        run<3>("two consumers", capacity, 1, false);
    }
    return explore_end();
}
