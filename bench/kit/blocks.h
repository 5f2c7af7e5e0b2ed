/* What systems that move blocks of audio samples share. */
#ifndef BENCH_BLOCKS_H
#define BENCH_BLOCKS_H

#include "sides.h"

#define SAMPLES 256 /* floats in a block */
#define BLOCKS 64   /* in a ring */

BENCH_MESSAGE(1024)

#define BLOCKS_ROW(SYSTEM, PREPARE, SERVE, MEASURE)                                                \
    {                                                                                              \
        .system = SYSTEM, .test = "stream", .shape = "blocks", .bytes = 1024,                      \
        .memory = BLOCKS * 1024 + 65536, .prepare = PREPARE, .serve = SERVE, .measure = MEASURE    \
    }

#endif
