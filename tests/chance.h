/*
 * Random numbers, the same in each run.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef CHANCE_H
#define CHANCE_H

#include <stdint.h>

static uint64_t seed = 88172645463325252u;

static inline uint64_t chance(uint64_t below)
{
    seed ^= seed << 13; /* xorshift: G. Marsaglia, 2003 */
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

#endif /* CHANCE_H */
