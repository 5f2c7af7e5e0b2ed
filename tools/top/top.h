/* What the parts of ipc_top share: what was seen of the segments of this machine. */
#ifndef IPC_TOP_H
#define IPC_TOP_H

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#include "../bridge/state.h"

/* A process, as /proc has it. */
struct process {
    pid_t pid;        /* 0: not known here */
    char state;       /* its letter in /proc/PID/stat; 0: not known */
    char command[64]; /* printable */
};

struct member {
    struct ipc_shm_member is;
    struct process process;
};

struct hold {
    struct ipc_ring_hold is;
    int asleep;    /* on its own bell: IPC_SLEEPS_* */
    int64_t since; /* the clock's time at the first of the looks in a row that have found it */
    int begun;     /* the look before that one did not find it */
};

struct object {
    char name[4 * IPC_SHM_NAME_MAX + 5]; /* printable */
    char type[16];
    size_t size; /* bytes */
    uint32_t index;
    int64_t at;               /* of CLOCK_MONOTONIC, in ns: when it was looked at */
    int rc;                   /* of ipc_ring_inspect; -EFAULT: it could not be read, or took too long */
    struct ipc_ring_status s; /* if rc is 0 */
    struct bridge_state bridge; /* of one that ipc_bridge keeps; magic 0: it is none */
    int asleep[2];            /* on the ring's bells, or, of a bell, on [0] */
    double per_second;        /* negative: not known */
    struct hold *holds;
    size_t holds_count;
    int cut; /* there are more holds */
};

struct segment {
    char name[1200]; /* printable */
    int rc;          /* of opening it; then why */
    char why[256];
    int64_t owner;
    unsigned mode;
    uint64_t device, inode, size, used;
    unsigned places;        /* for members; an id is of the place id % places */
    int ids_are_places;     /* a System V segment: other ids of a place are of the same process */
    struct member *members; /* those that are there */
    size_t members_count;
    struct object *objects;
    size_t objects_count;
    int cut; /* it could not be read to its end */
};

struct look {
    int64_t clock; /* the time, in ns since 1970 */
    struct segment *segments;
    size_t count;
};

/* collect.c: looks at the segments of these names, or at all. `last` may be NULL. */
struct look *look_at_segments(char **names, const struct look *last);
void free_look(struct look *look);
const struct member *member_of(const struct segment *seg, uint64_t id);
int is_stopped(const struct process *p);

/* process.c */
struct process read_process(pid_t pid);
void make_printable(char *to, size_t size, const char *from);
/* Calls `each` for the descriptors of other processes that are of memory: nameless or unlinked. */
void find_descriptors(void (*each)(void *arg, const char *path, const char *link), void *arg);

/* print.c */
const char *state_of(const struct member *m); /* NULL: none has the id any more */
const char *name_of_hold(enum ipc_ring_held what);
int is_bridge_up(const struct segment *seg, const struct object *o);
double part_full(const struct object *o); /* 0 to 1; negative: says nothing */
uint64_t lost_messages(const struct object *o);
void print_number(char *to, size_t size, double number);
void print_segment(FILE *to, const struct segment *seg, const struct look *look);
void print_text(FILE *to, const struct look *look);
void print_prometheus(FILE *to, const struct look *look);

/* json.c */
void print_json(FILE *to, const struct look *look);

/* live.c */
int show_live(char **names, int64_t interval);

#endif /* IPC_TOP_H */
