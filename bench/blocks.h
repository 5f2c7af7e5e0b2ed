/* What the systems that move blocks of samples have in common. */
#ifndef BENCH_BLOCKS_H
#define BENCH_BLOCKS_H

#include "bench.h"

#define SAMPLES 256 /* floats of a block */
#define BLOCKS 64   /* that a ring holds */

BENCH_MESSAGE(1024)

#define BLOCKS_ROW(SYSTEM, PREPARE, SERVE, MEASURE)                                                \
    {                                                                                              \
        .system = SYSTEM, .test = "stream", .shape = "blocks", .bytes = 1024,                      \
        .memory = BLOCKS * 1024 + 65536, .prepare = PREPARE, .serve = SERVE, .measure = MEASURE    \
    }

#endif
