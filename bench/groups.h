/* All cases: the groups of cases/ and of the peers that are installed. */
#ifndef BENCH_GROUPS_H
#define BENCH_GROUPS_H

#include "case.h"
#include <stddef.h>

/* Group number n, from 0, whose last row has a system of NULL. It is empty if its peer is not
 * installed. NULL: there are no more groups. */
const struct bench_case *group_cases(size_t n);

/* The first case of this system; ends the program if there is none. */
const struct bench_case *group_find(const char *system);

#endif
