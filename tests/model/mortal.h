/*
 * Four threads of a model; some may be killed before any of their steps.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MORTAL_H
#define MORTAL_H

#include "explore.h"

enum { THREADS = 4 };

struct killed {
};

/* The threads are fibers of one thread: each sees at once what is not an rl:: variable. */
static struct {
    bool may_die[THREADS];
    unsigned steps[THREADS], kill_at[THREADS];
    rl::atomic<uint64_t> *dead; /* for each thread: 1 once it is dead */
} mortal_;

static void mortal_step()
{
    unsigned me = rl::thread_index();

    if (me < THREADS && mortal_.steps[me]++ == mortal_.kill_at[me] && mortal_.may_die[me])
        throw killed();
}

/* Call before the threads run. Each may be killed before one of its first steps, which are counted
 * below. */
template <typename scenario>
static void mortal_begin(const scenario *now, unsigned flag, rl::atomic<uint64_t> *dead,
                         unsigned steps)
{
    memset(&mortal_, 0, sizeof mortal_);
    mortal_.dead = dead;
    for (unsigned i = 0; i < THREADS; i++) {
        mortal_.may_die[i] = (now->thread[i].how & flag) != 0;
        dead[i].store(0, rl::mo_relaxed, $);
        mortal_.kill_at[i] = rl::rand(steps);
    }
    model_.step = mortal_step;
}

/* Call after the threads have run. */
static void mortal_end()
{
    model_.step = NULL;
}

/* For struct ipc_peer; thread i has id 10 + i. The kernel's proof of death comes after all that the
 * dead thread did. */
static int lives(void *arg, uint64_t id)
{
    (void)arg;
    return id < 10 || id >= 10 + THREADS || mortal_.dead[id - 10].load(rl::mo_acquire, $) == 0;
}

#endif /* MORTAL_H */
