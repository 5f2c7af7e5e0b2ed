/* What the two sides of tests/test_peers.c share. Numbers go over pipes as they are in memory. */
#ifndef PEERS_H
#define PEERS_H

#include "ipc_shm.h"
#include "ipc_ring.h"
#include "ipc_notify.h"

struct tick {
    uint64_t n;
    double px;
};
IPC_SPSC(ticks, struct tick) /* to the peer */
IPC_SPSC(back, struct tick)  /* and from it */
IPC_MPMC(jobs, struct tick)
IPC_RECORDS(logs)
IPC_CALL(adder, struct tick, double)

#define BELL_TYPE 0x6c6c6562u
#ifdef __GLIBC__
#define LIBC sizeof(long)
#else
#define LIBC (100 + sizeof(long))
#endif

/* What the peer is told to do, and then answers. */
enum {
    ECHO,    /* gives back, by `back`, so many of `ticks` as it is told next: nothing */
    WORKS,   /* takes one of `jobs`, one of `logs`, and asks one of `adder`: the sum of all */
    ALIVE,   /* is the member that it is told next alive? */
    TAKES,   /* what opening the producer's end of `ticks` says: a negative errno, or 0 */
    WAITS,   /* waits for a tick: what recv says */
    RINGS,   /* attaches to the semaphore `bell`: LIBC, what attach says; and posts */
    FORKS    /* goes into the background, after ipc_shm_hand_over if it is told 1 next: its pid there; 0: cannot */
};

#endif
