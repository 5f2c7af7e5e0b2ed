/* Processes that share memory: which one this is, and which others are alive. */
#ifndef IPC_SRC_COMMON_PEER_H
#define IPC_SRC_COMMON_PEER_H 1

#include "prelude.h"

/*
 * What this process is to the others, and how to learn of them. ipc_shm_peer fills it in for the
 * members of a segment; a program that has its memory from elsewhere may fill in its own. Attaching
 * functions of rings and notifiers take a pointer to it. Rings use id and alive, notifiers alive,
 * watch and stir; they copy what they need, and pass `arg` to each function, from any thread that
 * uses the ring or notifier. `arg` must stay valid until they are detached.
 *
 * A process that may only read the memory, as it is mapped without write access, says so by the id
 * IPC_PEER_READ_ONLY. Rings and notifiers then store nothing: it can attach as a reader of a lossy
 * broadcast and to notifiers, to sleep, and is refused with -EROFS otherwise.
 *
 * NULL in place of the pointer: no process is ever proven dead. An end of a ring then stays taken
 * until its holder detaches.
 */
#define IPC_PEER_READ_ONLY (~UINT64_C(1)) /* the id of a process that may only read the memory */

struct ipc_peer {
    /* The id of this process: neither 0 nor ~0, and never used by another process of that memory.
     * Or IPC_PEER_READ_ONLY, in any number of processes. */
    uint64_t id;
    /* Is the process `id` alive? 1, also in case of doubt; 0 only with proof of its death; -1 only
     * with proof that it left the memory in good order, without detaching. Must not block. NULL: no
     * process is ever proven dead. */
    int (*alive)(void *arg, uint64_t id);
    /* Makes fds[0] readable from now on when another process calls `stir` or leaves, and, where id
     * is not 0, fds[1] when the process `id` dies. Opens those that are -1, as far as it can; its
     * caller closes them. 0 when fds[0] is there, whether or not fds[1] is, else a negative errno.
     * Called again with the same fds, also with another id. NULL: there are no such descriptors. */
    int (*watch)(void *arg, uint64_t id, int fds[2]);
    /* Makes fds[0] of all others that called `watch` readable. Must not block. NULL: cannot. */
    void (*stir)(void *arg);
    void *arg;     /* passed to the functions above */
    char why[256]; /* out: what the last refusal was, as a sentence */
};

#endif
