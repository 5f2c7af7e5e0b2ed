/*
 * What a bridge keeps in a segment, in an object beside each ring that it carries: "NAME.bridge-out"
 * beside the ring that it reads, "NAME.bridge-in" beside the one that it writes; where there is no
 * room, in a segment named SEGMENT.NAME.bridge. ipc_top shows the figures.
 */
#ifndef IPC_BRIDGE_STATE_H
#define IPC_BRIDGE_STATE_H

#include <stdint.h>

#define BRIDGE_TYPE 0x67647262u                     /* "brdg" */
#define BRIDGE_MAGIC UINT64_C(0x31676472625f6369) /* "ic_brdg1" */

/* A place in the ring that is read. */
struct place {
    uint64_t at;     /* a position of the ring: of slots the message's number, of records bytes */
    uint64_t number; /* how many messages are before it */
};

/* Where the two rings meet: the message at `from` there is the next after position `at` here. */
struct bridge_mark {
    uint64_t epoch; /* of the ring that is read */
    struct place from;
    uint64_t at;
    uint64_t gap; /* the readers were about to be told, behind `at`, that they missed so many; or 0 */
    uint64_t carried, missed; /* as below, at this mark */
    uint64_t pad;
};

struct bridge_state {
    uint64_t magic;
    uint32_t is_out, is_up; /* the direction; the bridges have agreed about this ring */
    uint64_t holder;        /* the id of the bridge, in the segment */
    uint64_t inode;         /* of the ring's segment */
    uint64_t epoch;         /* out: the name of this ring's life, by chance. Never 0 */
    /* Counted from the first bridge on, over restarts. */
    uint64_t carried; /* messages: out: that the other side has; in: that were pushed */
    uint64_t missed;  /* lost on the way, all told */
    uint64_t starts;  /* how often the bridges have agreed */
    uint64_t acked;   /* out: the other side has all messages before this number */
    uint64_t waiting; /* out: sent, and not yet in the other ring */
    /* In: mark[marks % 2] counts. The other one is written, and then `marks`: a bridge that is
     * killed at any instruction leaves a whole one. */
    uint64_t marks;
    struct bridge_mark mark[2];
};

#endif /* IPC_BRIDGE_STATE_H */
