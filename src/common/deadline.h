/* When a wait is to end. */
#ifndef IPC_SRC_COMMON_DEADLINE_H
#define IPC_SRC_COMMON_DEADLINE_H 1

#include "linux.h"

/* Deadlines are nanoseconds of CLOCK_MONOTONIC, absolute. */
#define IPC_NOW INT64_C(0)    /* do not wait */
#define IPC_FOREVER INT64_MAX /* wait without limit */

IPC_INLINE int64_t ipc_clock(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds until the deadline, 0 when it has passed. */
IPC_INLINE int64_t ipc_left_(int64_t deadline)
{
    int64_t now = deadline > IPC_NOW ? ipc_clock() : 0;

    return deadline > now ? deadline - now : 0;
}

/* The deadline ms milliseconds from now; IPC_FOREVER for a negative or very large ms. */
IPC_INLINE int64_t ipc_in_ms(int64_t ms)
{
    return ms < 0 || ms > INT64_MAX / 2000000 ? IPC_FOREVER : ipc_clock() + ms * 1000000;
}

#endif
