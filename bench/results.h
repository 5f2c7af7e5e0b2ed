/* The results of this run of the benchmark, and what they are compared with. */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "case.h"
#include "distance.h"
#include "run.h"
#include "statistics.h"

enum { RESULTS = 3072, RUNS = STATISTICS_VALUES };

struct result {
    const struct bench_case *of;
    enum distance state;
    struct amount amount;  /* of a run; its count is 0 if the case failed */
    double value[RUNS];    /* msg/s, ns or percent; at a fixed rate the run's median latency */
    double cpu[RUNS];      /* nanoseconds of processor time for each message */
    double got[RUNS];      /* a broadcast: msg/s that one reader got, the mean of all readers */
    double missed[RUNS];   /* a broadcast: the part of the messages that a reader did not get; test
                            * "recover": messages that were lost at each kill */
    double left_out[RUNS]; /* as in struct outcome */
    int round[RUNS];     /* in which a run was; rising */
    int runs;
    double median, min, max, cpu_ns, reader, misses,
        left;                    /* of the runs, after results_summarise */
    struct histogram *latencies; /* of all runs, where messages are timed one by one; or NULL */
};

extern struct result results[RESULTS];
extern int results_count;

/* The percentiles that tables and files show. */
enum { PERCENTS = 5 };
extern const double results_percents[PERCENTS];

/* A test, in the order of the tables. */
struct test {
    const char *name, *title, *unit;
    const char *shown; /* the unit of the tables' figures */
    double scale;      /* that unit, in the other */
    int digits;
    const char *limit; /* what x is held against where that is no limit_ system, or NULL */
};

/* The result of this system, test, shape and size in this state, or NULL. bytes 0: of any size. */
const struct result *results_find(enum distance state, const char *system, const char *test,
                                  const char *shape, uint64_t bytes);

/* The test of a case. */
const struct test *results_test(const struct bench_case *c);

/* Adds a case without a run: two results, one for each state. */
void results_add(const struct bench_case *c);

/* Removes result i: a case that fails, as a peer that does not work here, does not keep the others
 * from being shown. */
void results_remove(int i);

/* Adds what a run of a round has measured. */
void results_record(struct result *x, int round, const struct outcome *o);

/* Removes results without a run, computes the medians of the others, and sorts the results into the order of the tables. */
void results_summarise(void);

/* Are the rows of different shapes different things, which are not to be compared? */
int results_by_shape(const struct bench_case *c);

/* Does the case leave out windows or messages? */
int results_leaves_out(const struct bench_case *c);

/* Does the case tell the processor time of each message? */
int results_has_cpu(const struct bench_case *c);

/* The result that x is compared with, or NULL. A channel: the mechanism below it. A case of "many":
 * the best peer that keeps the order of all messages. Else the better one of the pipe and the Unix
 * socket. */
const struct result *results_rival(const struct result *x);

/* Ratios of two results of one state, each of runs of one round. */
struct ratio {
    double median, min, max; /* 0: there is no round with both */
};

/* How many times better x is than y. */
struct ratio results_times(const struct result *x, const struct result *y);

/* The machine's limit for a result, in its unit. 0: there is none. */
double results_limit(const struct result *x);

/* How much of the machine's limit a result reaches: at the limit it is 1. */
struct ratio results_of_limit(const struct result *x);

#endif
