/* Processes that share memory: which one this is, and which others are alive. */
#ifndef IPC_SRC_COMMON_PEER_H
#define IPC_SRC_COMMON_PEER_H 1

#include "prelude.h"

/*
 * What this process is to the others, and how to learn of them. ipc_shm_peer fills it in for the
 * members of a segment; a program that has its memory from elsewhere may fill in its own. Attaching
 * functions of rings and notifiers take a pointer to it. Rings use id and alive, notifiers alive,
 * watch and stir; they copy what they need, and pass `arg` to each function, from any thread that
 * uses the ring or notifier. `arg` and `watch` must stay valid until they are detached.
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
    /* How sleepers learn of deaths, and of stirs. NULL: they ask every 8 ms. */
    struct ipc_watch *watch;
    /* Makes the descriptors of all others that have opened `watch` readable. Must not block. NULL:
     * cannot. */
    void (*stir)(void *arg);
    void *arg;     /* passed to the functions above, and to those of `watch` */
    char why[256]; /* out: what the last refusal was, as a sentence */
    /* How the end of a ring notices that it came by fork. A word that is all ones in the process
     * that `id` is, and 0 in a child that inherited it, as the kernel wipes it there. NULL: no end
     * notices. Not NULL: this struct ipc_peer must stay where it is, as `arg`. */
    const uint64_t *self;
    /* Called where *self is 0, for an end that `id` held. May this process go on with it?
     * 1: yes, as `id`, which is its own again. 0: yes, by the new `id` of this struct, as the
     * process that held it is dead; others may compete. -ECHILD: no. `leaves`: only to detach, so 0
     * is not needed. May wait for up to a second for the death of a parent that is about to exit. */
    int (*inherit)(void *arg, uint64_t id, int leaves);
};

/*
 * What all threads of a process sleep by that use one `arg`: one descriptor, which one of them
 * polls for all. The functions are called by any of them at any time, and must not block.
 */
struct ipc_watch {
    /* Returns the descriptor, and opens it if need be. From now on it becomes readable when another
     * process calls `stir` or leaves, and, where id is not 0, when the process `id` dies. Else a
     * negative errno. In a process that has not called it yet, as after fork, it opens another
     * descriptor, makes `turn` and `followers` 0 and changes `news`, before `ours` says 1. */
    int (*open)(void *arg, uint64_t id);
    /* Has this process opened the descriptor? 0 in a child that has only inherited it. */
    int (*ours)(void *arg);
    /* Takes what the descriptor reports, so that it is readable no more. IPC_WATCH_*. */
    int (*take)(void *arg);
    /* Opens a descriptor for one event loop, which becomes readable when another process calls
     * `stir` or leaves. Its caller closes it. Else a negative errno. */
    int (*loop)(void *arg);
    /* Of notify/watch.h, and made 0 by the program that fills in the rest. Not shared with other
     * processes. */
    uint64_t fd;        /* what open returned last */
    uint32_t turn;      /* is a thread in poll? And a count above that */
    uint32_t followers; /* threads that rely on the one in poll */
    uint32_t news;      /* moves on when a process may have died */
    uint64_t unproven;  /* a process may have died, but there is no proof: when to ask next, or 0 */
    uint64_t pause;     /* and how long after the last time that is, in nanoseconds */
    uint64_t known;     /* the process that an attach found alive last, ... */
    uint64_t known_at;  /* ... at that time of ipc_clock */
};

#define IPC_WATCH_STIRRED 0 /* nothing but stirs, if anything */
#define IPC_WATCH_MAYBE 1   /* a process may have left: there is proof in a moment, or never */
#define IPC_WATCH_LEFT 2    /* a process that is watched has left: there is proof */

#endif
