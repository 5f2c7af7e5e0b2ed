/*
 * The kernel's proof that one thread of a model is dead. It comes after all that the thread did.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef ONE_DIES_H
#define ONE_DIES_H

#include "explore.h"

static rl::atomic<uint64_t> *death;
enum { MORTAL = 10 }; /* its id */

/* For struct ipc_peer. */
static int not_yet_dead(void *arg, uint64_t id)
{
    (void)arg;
    return id != MORTAL || death->load(rl::mo_acquire, $) == 0;
}

#endif /* ONE_DIES_H */
