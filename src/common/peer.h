/* Who attaches, and who is alive. */
#ifndef IPC_SRC_COMMON_PEER_H
#define IPC_SRC_COMMON_PEER_H 1

#include "prelude.h"

/*
 * The whole of what a ring, a notifier and the holder of their memory know of each other; ipc_shm.h
 * and ipc_notify.h define the same, and ipc_shm.h fills it in. Rings use id and alive. Without one
 * (NULL) nobody's death can be proven: an end stays taken until it is detached.
 */
struct ipc_peer {
    uint64_t id;                          /* mine; not 0 or ~0; never used by another process */
    int (*alive)(void *arg, uint64_t id); /* 0 only with proof that id is dead; NULL: none */
    /* Makes fds[0] readable when another member stirs or leaves, fds[1] when id dies (if not 0).
     * Opens those that are -1, as it can; the caller closes them. 0 when fds[0] is there. */
    int (*watch)(void *arg, uint64_t id, int fds[2]);
    void (*stir)(void *arg); /* makes the others' fds[0] readable */
    void *arg;               /* passed to them */
    char why[256];           /* out: the last refusal, in words */
};

#endif
