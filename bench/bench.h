/* What the driver (driver.h) and the measured systems have in common. */
#ifndef BENCH_H
#define BENCH_H

#include "histogram.h"
#include "ipc_shm.h"
#include <sched.h>
#include <stdint.h>

struct bench_case;

/* How the sides wait for messages, and for room. */
enum bench_wait {
    BENCH_SPIN,     /* poll */
    BENCH_ADAPTIVE, /* look a while, then sleep */
    BENCH_SLEEP
};

/* One run of one case: two fresh processes, each pinned to a core of its own, or both to one. */
struct bench_run {
    const struct bench_case *of;
    struct ipc_shm seg;    /* inherited, with whatever the case makes in it */
    int fd[4];             /* of the kernel mechanisms; -1 where unused; closed after the run */
    int sysv_sem, sysv_mq; /* removed after the run; -1 where unused */
    uint64_t warm;         /* messages before the clock starts */
    uint64_t count;        /* messages that are timed; nanoseconds of tests "idle" and "many" */
    uint64_t each;         /* round trips after those that are timed each by itself */
    unsigned index;        /* which of the processes this is; 0 measures */
    struct histogram *latencies; /* of a fixed rate and of single round trips: 0 records them */
    int64_t waited;              /* of a fixed rate: nanoseconds that the sender waited for times */
    int64_t cpu;                 /* the driver's: processor time when the clock starts */
    uint64_t *taken; /* of a test "many": how many messages this one has taken; of a reader of
                      * a broadcast: how many of those that are timed */
};

struct bench_case {
    const char *system, *test, *shape;
    uint64_t bytes;
    size_t memory;                      /* of the segment */
    int (*prepare)(struct bench_run *); /* in the parent, before the processes are made; or NULL */
    void (*serve)(struct bench_run *);  /* in the process on the second core */
    uint64_t (*measure)(struct bench_run *); /* on the first; returns nanoseconds of `count` */
    const void *how;                         /* for prepare, serve and measure */
    int one_core;                            /* both processes on the first core */
    unsigned readers; /* of a broadcast: the first process writes, and is measured */
    /* Of a test "many", whose processes all serve until they are killed: the driver is the clock,
     * so a system that comes to a stop is measured as well. */
    unsigned producers, consumers; /* 0: not such a test */
    unsigned batch;
    unsigned held;   /* 1: one more producer, stopped in the middle of an operation */
    int threads;     /* of one process, as the system cannot live in shared memory */
    int fifo_peer;   /* ours are compared with the best of these */
    const char *raw; /* or with this system, or NULL */
    void (*clear)(struct bench_run *); /* in the parent, after the processes have ended; or NULL */
    enum bench_wait wait;
    unsigned rate, burst; /* messages a second, and how many at once; a rate of 0: not fixed */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Each ends with a NULL system. */
extern const struct bench_case bench_rings[], bench_shapes[], bench_blocks[], bench_records[],
    bench_call[], bench_many[], bench_kernel[], bench_channel[], bench_limits[], bench_wake[],
    bench_sizes[], bench_latency[];
/* NULL where the peer's package is missing: bench/peers/. */
extern const struct bench_case bench_rte[] __attribute__((weak)),
    bench_boost[] __attribute__((weak)), bench_moodycamel[] __attribute__((weak)),
    bench_jack[] __attribute__((weak)), bench_zmq[] __attribute__((weak)),
    bench_nng[] __attribute__((weak)), bench_readerwriter[] __attribute__((weak)),
    bench_tbb[] __attribute__((weak)), bench_urcu[] __attribute__((weak)),
    bench_iceoryx[] __attribute__((weak));

/* All processes call it once they are ready: returns when the others are too. */
void bench_start(struct bench_run *r);

/* Nanoseconds of processor time: of this process, or of the thread where the case has threads. */
int64_t bench_cpu(const struct bench_run *r);

/* Ends the run with a message when the condition does not hold: the figures would be worthless. */
void bench_fail(const char *what) __attribute__((noreturn, cold));

#ifdef __cplusplus
}
#endif

static inline void bench_check(int ok, const char *what)
{
    if (__builtin_expect(!ok, 0))
        bench_fail(what);
}

/* Messages of the measured sizes. The first and the last word carry the sequence number, what lies
 * between is written and read all the same. */
#define BENCH_SIZES(F) F(8) F(56) F(120) F(1016)

#define BENCH_MESSAGE(B)                                                                           \
    struct message##B {                                                                            \
        uint64_t word[(B) / 8];                                                                    \
    };

#define BENCH_MARK(m, i) ((m).word[0] = (i), (m).word[sizeof(m) / 8 - 1] = (m).word[0])

/* The compiler must believe that every byte is looked at. */
#define BENCH_VERIFY(m, i)                                                                         \
    do {                                                                                           \
        __asm__ volatile("" : : "r"(&(m)) : "memory");                                             \
        bench_check((m).word[0] == (i) && (m).word[sizeof(m) / 8 - 1] == (i), "sequence number");  \
    } while (0)

/* Called before each round trip from number warm + count on, and after the last: the clock stops
 * there for all of those before, and a look at it is in each of the others. */
static inline void bench_each(struct bench_run *r, int64_t *begin, int64_t *before, int first)
{
    int64_t now = ipc_clock();

    if (first)
        *begin = now - *begin;
    else
        histogram_record(r->latencies, (uint64_t)(now - *before));
    *before = now;
}

/* Both sides of the two tests, for any system that can SEND(&m) and RECV(&m): they wait for room
 * and for data by polling. The clock of a stream runs in the receiver, that of a ping-pong in the
 * one that asks. */
#define BENCH_STREAM_SERVE(B, SEND)                                                                \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, end_ = r->warm + r->count;                                                    \
        memset(&m, 7, sizeof m);                                                                   \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            BENCH_MARK(m, i_);                                                                     \
            SEND;                                                                                  \
        }                                                                                          \
    } while (0)

#define BENCH_STREAM_MEASURE(B, RECV)                                                              \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, end_ = r->warm + r->count;                                                    \
        int64_t t_ = 0;                                                                            \
        const uint64_t warm_ = r->warm;                                                            \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            if (i_ == warm_)                                                                       \
                t_ = ipc_clock();                                                                  \
            RECV;                                                                                  \
            BENCH_VERIFY(m, i_);                                                                   \
        }                                                                                          \
        return (uint64_t)(ipc_clock() - t_);                                                       \
    } while (0)

/* Both sides of a broadcast: the clock runs in the writer, and each reader counts what it gets. Who
 * finds nothing lets another run, where readers share a core. */
#define BENCH_CAST_MEASURE(B, SEND)                                                                \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, end_ = r->warm + r->count;                                                    \
        int64_t t_ = 0;                                                                            \
        const uint64_t warm_ = r->warm;                                                            \
        memset(&m, 7, sizeof m);                                                                   \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            if (i_ == warm_)                                                                       \
                t_ = ipc_clock();                                                                  \
            BENCH_MARK(m, i_);                                                                     \
            while ((SEND) != 0)                                                                    \
                ck_pr_stall();                                                                     \
        }                                                                                          \
        return (uint64_t)(ipc_clock() - t_);                                                       \
    } while (0)

#define BENCH_CAST_SERVE(B, RECV, MISSED)                                                          \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, n_ = 0, end_ = r->warm + r->count, warm_ = r->warm, timed_ = 0;               \
        bench_start(r);                                                                            \
        while ((i_ = n_ + (MISSED)) < end_) {                                                      \
            int64_t rc_ = (RECV);                                                                  \
            if (rc_ >= 0) {                                                                        \
                BENCH_VERIFY(m, i_);                                                               \
                n_++;                                                                              \
                timed_ += i_ >= warm_;                                                             \
            } else if (rc_ != -EAGAIN) {                                                           \
                bench_check(rc_ == -EOVERFLOW, "read");                                            \
            } else if (r->of->readers > 1) {                                                       \
                (void)sched_yield();                                                               \
            } else {                                                                               \
                ck_pr_stall();                                                                     \
            }                                                                                      \
        }                                                                                          \
        *r->taken = timed_;                                                                        \
    } while (0)

#define BENCH_PINGPONG_SERVE(B, SEND, RECV)                                                        \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, end_ = r->warm + r->count + r->each;                                          \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            RECV;                                                                                  \
            BENCH_VERIFY(m, i_);                                                                   \
            SEND;                                                                                  \
        }                                                                                          \
    } while (0)

#define BENCH_PINGPONG_MEASURE(B, SEND, RECV)                                                      \
    do {                                                                                           \
        struct message##B m;                                                                       \
        const uint64_t warm_ = r->warm, each_ = warm_ + r->count;                                  \
        uint64_t i_, end_ = each_ + r->each;                                                       \
        int64_t t_ = 0, before_ = 0;                                                               \
        memset(&m, 7, sizeof m);                                                                   \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            if (i_ == warm_)                                                                       \
                t_ = ipc_clock();                                                                  \
            if (i_ >= each_)                                                                       \
                bench_each(r, &t_, &before_, i_ == each_);                                         \
            BENCH_MARK(m, i_);                                                                     \
            SEND;                                                                                  \
            RECV;                                                                                  \
            BENCH_VERIFY(m, i_);                                                                   \
        }                                                                                          \
        bench_each(r, &t_, &before_, 0);                                                           \
        return (uint64_t)t_;                                                                       \
    } while (0)

#endif
