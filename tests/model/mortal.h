/*
 * Four threads of a model, of which some may be killed before any of their steps.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MORTAL_H
#define MORTAL_H

#include "explore.h"

enum { THREADS = 4 };

struct killed {
};

/* These are fibers of one thread: what is not an rl:: is seen at once. */
static struct {
    bool may_die[THREADS];
    unsigned steps[THREADS], kill_at[THREADS];
    rl::atomic<uint64_t> *dead; /* of each: 1 */
} mortal_;

static void mortal_step()
{
    unsigned me = rl::thread_index();

    if (me < THREADS && mortal_.steps[me]++ == mortal_.kill_at[me] && mortal_.may_die[me])
        throw killed();
}

/* Before the threads run; each may be killed before one of its first so many steps. */
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

/* After they have. */
static void mortal_end()
{
    model_.step = NULL;
}

/* For struct ipc_peer, of thread i as 10 + i: the kernel's word, which orders all that the dead one
 * did before it. */
static int lives(void *arg, uint64_t id)
{
    (void)arg;
    return id < 10 || id >= 10 + THREADS || mortal_.dead[id - 10].load(rl::mo_acquire, $) == 0;
}

#endif /* MORTAL_H */
