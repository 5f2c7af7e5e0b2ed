/* What a case is, and what one run of a case is: the types that all parts of the benchmark share.
 */
#ifndef BENCH_CASE_H
#define BENCH_CASE_H

#include "ipc_shm.h"
#include "histogram.h"
#include <stdint.h>

enum { BENCH_PROCESSES = 16 };    /* of a run, at most */
enum { BENCH_NEVER = 500000000 }; /* nanoseconds: what has not recovered by then never does */

/* How a side waits for a message or for room. */
enum bench_wait {
    BENCH_SPIN,     /* it polls */
    BENCH_ADAPTIVE, /* it polls for a while, then sleeps */
    BENCH_SLEEP     /* it sleeps at once */
};

struct bench_case;

/* What the processes of a run share. run.c makes it, process.c uses it. */
struct bench_shared {
    unsigned ready;                      /* processes that have called bench_start */
    uint64_t ns;                         /* what `measure` returned */
    int is_cut;                          /* it took too long, and was ended early */
    uint64_t left_out;                   /* of a stream, nanoseconds; of messages, how many */
    uint64_t lost[BENCH_PROCESSES][16];  /* [i][0]: how often a process has lost its core */
    int64_t held_until;                  /* when a sender got back a core that it had lost */
    int64_t cpu[BENCH_PROCESSES];        /* processor time of each process */
    uint64_t taken[BENCH_PROCESSES][16]; /* [i][0] is used; the rest keeps the counters of two
                                          * processes off one cache line */
    struct histogram latencies; /* of single messages at a fixed rate, of single round trips */
    struct histogram windows;
};

/* One run of one case, in fresh processes. Each process is pinned to a core. */
struct bench_run {
    const struct bench_case *of;
    struct bench_shared *shared;
    struct ipc_shm seg;    /* inherited, with whatever the case makes in it */
    int fd[4];             /* for kernel mechanisms; -1: not used; closed after the run */
    int sysv_sem, sysv_mq; /* removed after the run; -1: not used */
    uint64_t warm;         /* messages before the clock starts */
    uint64_t count;        /* messages that are timed; in tests "idle" and "many" nanoseconds */
    uint64_t each;         /* further round trips, each timed by itself */
    uint64_t window;       /* messages that are timed together, or round trips */
    int64_t clock;         /* nanoseconds that a reading of the clock takes */
    int64_t until;         /* when it is ended early, by the clock */
    int64_t began, since;  /* when the timed messages and the window began */
    int64_t settled;       /* windows that begin earlier are left out: a core had been lost */
    uint64_t lost;         /* how often, in all processes */
    uint64_t messages;     /* of a trial's window, so far */
    unsigned index;        /* which process this is; process 0 measures */
    struct histogram *latencies; /* process 0 records into it */
    int64_t waited;  /* at a fixed rate: nanoseconds that the sender spent waiting for a due time */
    int64_t cpu;     /* processor time when the clock started */
    uint64_t *taken; /* test "many": messages that this process has taken. A broadcast's reader:
                      * timed messages that it got. Test "recover": messages that were lost */
};

struct bench_case {
    const char *system; /* a key of systems.def */
    const char *test;   /* a name of tests.c */
    const char *shape;
    uint64_t bytes;                          /* of a message */
    size_t memory;                           /* of the segment */
    size_t lap;   /* bytes of a ring that nobody has touched: a stream goes through them once before
                   * the clock starts. 0: see least_warm */
    int (*prepare)(struct bench_run *);      /* in the parent, before the fork; or NULL */
    void (*serve)(struct bench_run *);       /* in the process on the second core */
    uint64_t (*measure)(struct bench_run *); /* in the process on the first core; returns the
                                              * nanoseconds that `count` messages took */
    const void *how;                         /* for prepare, serve and measure */
    int one_core;                            /* both processes run on the first core */
    unsigned readers;                        /* of a broadcast, whose writer measures; 0: none */
    /* Test "many": every process serves until it is killed, and the driver is the clock. So a
     * system that comes to a stop is measured as well. 0 producers: another test. */
    unsigned producers, consumers;
    unsigned batch;
    unsigned held; /* 1: one more producer, which stops in the middle of a push */
    int threads;   /* of one process, for a system that cannot live in shared memory */
    int fifo_peer; /* a peer that keeps the order of all messages: ours is compared with the best */
    void (*clear)(struct bench_run *); /* in the parent, after the processes have ended; or NULL */
    enum bench_wait wait;
    int usual;            /* `make bench` measures it, not only `make bench-full` */
    unsigned rate, burst; /* messages a second, and how many are due at once; rate 0: not fixed */
};

#ifdef __cplusplus
#define BENCH_EXTERN extern "C"
#else
#define BENCH_EXTERN extern
#endif

/* Declares the cases of one file, and begins their definition: BENCH_GROUP(rings) = {...};
 * The last row has a system of NULL. groups.c lists all groups. */
#define BENCH_GROUP_DECLARE(NAME) BENCH_EXTERN const struct bench_case bench_##NAME[]
#define BENCH_GROUP(NAME)                                                                          \
    BENCH_GROUP_DECLARE(NAME);                                                                     \
    const struct bench_case bench_##NAME[]

/* "system/test/shape/bytes", by which --only chooses. */
BENCH_EXTERN void bench_case_name(const struct bench_case *c, char *name, size_t size);

/* Processes, or threads, of one run. */
BENCH_EXTERN unsigned bench_processes(const struct bench_case *c);

/* Is the figure a rate, so that more is better? */
BENCH_EXTERN int bench_is_rate(const struct bench_case *c);

/* Is the figure that of windows? Those of a stream take about a hundred microseconds, those of
 * round trips two, as a clock may have steps of ten nanoseconds. */
BENCH_EXTERN int bench_has_windows(const struct bench_case *c);

/* Does the case measure how long it takes to recover from a kill? */
BENCH_EXTERN int bench_is_recovery(const struct bench_case *c);

/* Does the case measure how long it takes to attach? Each attach is timed by itself. */
BENCH_EXTERN int bench_is_attach(const struct bench_case *c);

/* Does the case measure round trips? Some of them are then timed each by itself. */
BENCH_EXTERN int bench_is_round_trip(const struct bench_case *c);

#endif
