/*
 * Runs the scenarios of a model that the command line selects: [scenario, or how its name begins
 * [iterations [first iteration, for tests/weak only]]].
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include "ck_pr.h"
#include <ostream>
#include <stdlib.h>
#include <unistd.h>

static struct {
    const char *only;
    unsigned long iterations; /* of each scenario, or 0 */
    const char *first;        /* iteration, or empty */
    unsigned long done;       /* iterations of all scenarios */
} explore_;

static inline void explore_begin(int argc, char **argv)
{
    explore_.only = argc > 1 ? argv[1] : "";
    explore_.iterations = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    explore_.first = argc > 3 ? argv[3] : "";
}

static inline bool explore_wants(const char *name)
{
    return strncmp(name, explore_.only, strlen(explore_.only)) == 0;
}

/* Runs `iterations` of them, unless the command line says how many. */
template <typename scene> static void explore(const char *what, unsigned long iterations)
{
    rl::test_params params;
    std::ostream nowhere(NULL);
    bool ok;

    params.iteration_count = explore_.iterations != 0 ? explore_.iterations : iterations;
    params.execution_depth_limit = 10000;
    params.progress_stream = &nowhere;
    params.initial_state = explore_.first;
    ok = rl::simulate<scene>(params);
    printf("%s: %lu iterations: %s\n\n", what, (unsigned long)params.stop_iteration,
           rl::test_result_str(params.test_result));
    fflush(stdout);
    explore_.done += params.stop_iteration;
    if (!ok)
        _exit(1); /* Relacy leaves what it allocated in a failed run to two allocators */
}

/* What main returns. */
static inline int explore_end()
{
    printf("model: %lu iterations\n", explore_.done);
    return explore_.done == 0;
}

#endif /* EXPLORE_H */
