/*
 * The weakened twins of both stand-ins for ck_pr.h, chosen when the program starts, so that one
 * program serves them all. The environment variable TWIN is the number of a line of the header
 * under test, whose fences are left out, or LOAD, STORE, ACQUIRE or RELEASE, to leave out every
 * fence of that name.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef TWIN_H
#define TWIN_H

#include <stdlib.h>

static int twin_line_;
static char twin_name_; /* its first letter */

__attribute__((constructor)) static void twin_choose_(void)
{
    const char *twin = getenv("TWIN");

    if (twin == NULL)
        return;
    twin_line_ = atoi(twin);
    twin_name_ = *twin;
}

/* Is this fence kept, on this line of the header? */
#define TWIN_HAS(name) (twin_name_ != *#name && __LINE__ != twin_line_)

#endif /* TWIN_H */
