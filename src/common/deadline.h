/* Deadlines: when a call that may block is to end. */
#ifndef IPC_SRC_COMMON_DEADLINE_H
#define IPC_SRC_COMMON_DEADLINE_H 1

#include "linux.h"

/*
 * A deadline is an absolute time of CLOCK_MONOTONIC in nanoseconds, as an int64_t. One deadline can
 * serve several calls in a row. One that has passed means: do not wait. A number that cannot be
 * such a time, but is a span by mistake, is refused with -EINVAL by a call that would have to wait:
 * negative numbers, and all below a second but IPC_NOW. The fix is ipc_in_ms.
 */
#define IPC_NOW INT64_C(0)    /* do not wait */
#define IPC_FOREVER INT64_MAX /* wait without limit */

#define IPC_DEADLINE_FIRST_ INT64_C(1000000000) /* in the first second nobody waits */

IPC_INLINE int ipc_is_deadline_(int64_t deadline)
{
    return deadline == IPC_NOW || deadline >= IPC_DEADLINE_FIRST_;
}

/* The time now, in nanoseconds of CLOCK_MONOTONIC. Wait-free; any thread, also a signal handler. */
IPC_INLINE int64_t ipc_clock(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The nanoseconds that are left until the deadline, 0 when it has passed. */
IPC_INLINE int64_t ipc_left_(int64_t deadline)
{
    int64_t now = deadline > IPC_NOW ? ipc_clock() : 0;

    return deadline > now ? deadline - now : 0;
}

/* The deadline that is `ms` milliseconds from now. IPC_FOREVER when ms is negative, or above
 * INT64_MAX / 2000000 (146 years). Wait-free; any thread, also a signal handler. */
IPC_INLINE int64_t ipc_in_ms(int64_t ms)
{
    return ms < 0 || ms > INT64_MAX / 2000000 ? IPC_FOREVER : ipc_clock() + ms * 1000000;
}

#endif
