/*
 * Does relacy/relacy.hpp simulate the machine that it describes? Small programs with outcomes that
 * this machine allows or forbids. It is multi-copy atomic; its release fences keep earlier loads
 * and stores before later stores, and its acquire fences keep earlier loads before later loads and
 * stores. A forbidden outcome must never be seen, and an allowed one must be.
 *
 *     g++ -std=c++14 -O2 -w -Itests/weak -Itests/model tests/weak/litmus.cc -o litmus
 *     ./litmus [program, or how its name begins [iterations]]
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "../model/explore.h"

enum { THREADS = 4, OPERATIONS = 5, WORDS = 2 };
enum { X, Y };

enum what { END, STORE, LOAD, CAS, ADD, RELEASE, ACQUIRE, FULL };

/* CAS: from `value` to `to`. A thread stops where a CAS fails, or where a LOAD finds anything but
 * `value`, unless that is ANY. */
enum { ANY = -1 };
struct operation {
    enum what what;
    int word, value, to;
};

struct program {
    const char *name;
    bool allowed;
    operation thread[THREADS][OPERATIONS];
    bool (*outcome)(const int *ended, const int (*loaded)[OPERATIONS], const int *word);
};

static const program *now;
static unsigned long seen;

struct scene : rl::test_suite<scene, THREADS> {
    rl::atomic<uint64_t> word[WORDS];
    int loaded[THREADS][OPERATIONS]; /* result of each operation */
    int ended[THREADS];              /* after its last operation */

    void before()
    {
        for (rl::atomic<uint64_t> &w : word)
            w.store(0, rl::mo_relaxed, $);
        memset(loaded, 0, sizeof loaded);
        memset(ended, 0, sizeof ended);
    }

    bool run(const operation &o, int *loaded)
    {
        uint64_t from = (uint64_t)o.value;

        switch (o.what) {
        case STORE:
            word[o.word].store((uint64_t)o.value, rl::mo_relaxed, $);
            break;
        case LOAD:
            *loaded = (int)word[o.word].load(rl::mo_relaxed, $);
            return o.value == ANY || *loaded == o.value;
        case CAS:
            return word[o.word].compare_exchange_strong(from, (uint64_t)o.to, rl::mo_relaxed, $);
        case ADD:
            (void)word[o.word].fetch_add((uint64_t)o.value, rl::mo_relaxed, $);
            break;
        case RELEASE:
            rl::atomic_thread_fence(rl::mo_release, $);
            break;
        case ACQUIRE:
            rl::atomic_thread_fence(rl::mo_acquire, $);
            break;
        case FULL:
            rl::atomic_thread_fence(rl::mo_seq_cst, $);
            break;
        case END:
            break;
        }
        return true;
    }

    void thread(unsigned index)
    {
        for (unsigned i = 0; i < OPERATIONS; i++)
            if (!run(now->thread[index][i], &loaded[index][i]))
                return;
        ended[index] = 1;
    }

    void after()
    {
        int last[WORDS] = {(int)word[X].load(rl::mo_relaxed, $),
                           (int)word[Y].load(rl::mo_relaxed, $)};

        if (now->outcome(ended, loaded, last)) {
            seen++;
            RL_ASSERT(now->allowed);
        }
    }
};

#define OUTCOME(is)                                                                                \
    [](const int *ended, const int(*loaded)[OPERATIONS], const int *word) {                        \
        (void)ended, (void)loaded, (void)word;                                                     \
        return (bool)(is);                                                                         \
    }

static const program programs[] = {
    {"message passing",
     true,
     {{{STORE, X, 1}, {STORE, Y, 1}}, {{LOAD, Y, 1}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"message passing, released",
     true,
     {{{STORE, X, 1}, {RELEASE}, {STORE, Y, 1}}, {{LOAD, Y, 1}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"message passing, acquired",
     true,
     {{{STORE, X, 1}, {STORE, Y, 1}}, {{LOAD, Y, 1}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"message passing, both",
     false,
     {{{STORE, X, 1}, {RELEASE}, {STORE, Y, 1}}, {{LOAD, Y, 1}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"message passing by compare-and-swap",
     true,
     {{{CAS, X, 0, 1}, {STORE, Y, 1}}, {{LOAD, Y, 1}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"message passing by compare-and-swap, both",
     false,
     {{{CAS, X, 0, 1}, {RELEASE}, {STORE, Y, 1}}, {{LOAD, Y, 1}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"message passing to compare-and-swap",
     true,
     {{{STORE, X, 1}, {RELEASE}, {STORE, Y, 1}}, {{CAS, Y, 1, 2}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"message passing to compare-and-swap, acquired",
     false,
     {{{STORE, X, 1}, {RELEASE}, {STORE, Y, 1}}, {{CAS, Y, 1, 2}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"message passing through a third",
     false,
     {{{STORE, X, 1}},
      {{LOAD, X, 1}, {RELEASE}, {STORE, Y, 1}},
      {{LOAD, Y, 1}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[2])},
    {"store buffering",
     true,
     {{{STORE, X, 1}, {LOAD, Y, 0}}, {{STORE, Y, 1}, {LOAD, X, 0}}},
     OUTCOME(ended[0] && ended[1])},
    {"store buffering, one fence",
     true,
     {{{STORE, X, 1}, {FULL}, {LOAD, Y, 0}}, {{STORE, Y, 1}, {RELEASE}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[0] && ended[1])},
    {"store buffering, fences",
     false,
     {{{STORE, X, 1}, {FULL}, {LOAD, Y, 0}}, {{STORE, Y, 1}, {FULL}, {LOAD, X, 0}}},
     OUTCOME(ended[0] && ended[1])},
    {"two writers",
     true,
     {{{STORE, X, 1}, {STORE, Y, 2}}, {{STORE, Y, 1}, {STORE, X, 2}}},
     OUTCOME(word[X] == 1 && word[Y] == 1)},
    {"two writers, released",
     false,
     {{{STORE, X, 1}, {RELEASE}, {STORE, Y, 2}}, {{STORE, Y, 1}, {RELEASE}, {STORE, X, 2}}},
     OUTCOME(word[X] == 1 && word[Y] == 1)},
    {"one word, read twice",
     false,
     {{{STORE, X, 1}}, {{LOAD, X, 1}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"one word, written twice",
     false,
     {{{STORE, X, 1}, {STORE, X, 2}}, {{LOAD, X, 2}, {LOAD, X, 1}}},
     OUTCOME(ended[1])},
    {"one word, own store",
     false,
     {{{STORE, X, 1}, {LOAD, X, 0}}, {{STORE, X, 2}}},
     OUTCOME(ended[0])},
    {"one word, own store, then another's and the own again",
     false,
     {{{STORE, X, 1}, {LOAD, X, 2}, {LOAD, X, 1}}, {{STORE, X, 2}}},
     OUTCOME(ended[0])},
    {"two readers",
     true,
     {{{STORE, X, 1}}, {{STORE, Y, 1}}, {{LOAD, X, 1}, {LOAD, Y, 0}}, {{LOAD, Y, 1}, {LOAD, X, 0}}},
     OUTCOME(ended[2] && ended[3])},
    {"two readers, acquired",
     false,
     {{{STORE, X, 1}},
      {{STORE, Y, 1}},
      {{LOAD, X, 1}, {ACQUIRE}, {LOAD, Y, 0}},
      {{LOAD, Y, 1}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[2] && ended[3])},
    {"additions are not lost",
     false,
     {{{ADD, X, 1}, {ADD, X, 1}}, {{ADD, X, 1}, {ADD, X, 1}}, {{ADD, X, 1}}, {{ADD, X, 1}}},
     OUTCOME(word[X] != 6)},
    {"one compare-and-swap succeeds",
     false,
     {{{CAS, X, 0, 1}}, {{CAS, X, 0, 2}}, {{CAS, X, 0, 3}}, {{CAS, X, 0, 4}}},
     OUTCOME(ended[0] + ended[1] + ended[2] + ended[3] != 1)},
    {"nothing comes into a compare-and-swap",
     false,
     {{{CAS, X, 0, 2}, {LOAD, X, ANY}}, {{STORE, X, 1}}},
     OUTCOME(ended[0] && word[X] == 2 && loaded[0][1] == 1)},
    /* What rings with many at an end do. X: a run's first slot, Y: its second, or ring->again. */
    {"a run is published",
     true,
     {{{CAS, X, 0, 1}, {RELEASE}, {STORE, Y, 2}, {CAS, X, 1, 2}},
      {{LOAD, X, 2}, {ACQUIRE}, {CAS, X, 2, 3}, {RELEASE}, {STORE, Y, 4}}},
     OUTCOME(ended[1] && word[Y] == 2)},
    {"a run is published, released",
     false,
     {{{CAS, X, 0, 1}, {STORE, Y, 2}, {RELEASE}, {CAS, X, 1, 2}},
      {{LOAD, X, 2}, {ACQUIRE}, {CAS, X, 2, 3}, {RELEASE}, {STORE, Y, 4}}},
     OUTCOME(ended[1] && word[Y] == 2)},
    {"handed out again",
     true,
     {{{CAS, X, 0, 6}, {ADD, Y, 1}}, {{LOAD, Y, 1}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"handed out again, acquired",
     true,
     {{{CAS, X, 0, 6}, {ADD, Y, 1}}, {{LOAD, Y, 1}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
    {"handed out again, both",
     false,
     {{{CAS, X, 0, 6}, {RELEASE}, {ADD, Y, 1}}, {{LOAD, Y, 1}, {ACQUIRE}, {LOAD, X, 0}}},
     OUTCOME(ended[1])},
};

int main(int argc, char **argv)
{
    explore_begin(argc, argv);
    for (const program &program : programs) {
        now = &program;
        if (!explore_wants(now->name))
            continue;
        seen = 0;
        explore<scene>(now->name, 200000);
        printf("%s %lu times\n\n", now->allowed ? "allowed, seen" : "forbidden, seen", seen);
        if (now->allowed && seen == 0) {
            printf("FAILED: never seen\n");
            return 1;
        }
    }
    return explore_end();
}
