/* What systems that carry messages of any length share. */
#ifndef BENCH_RECORDS_H
#define BENCH_RECORDS_H

#include "blocks.h" /* message1024 */

#define RECORDS_BYTES (1u << 20) /* of memory in a ring */
#define RECORDS_SIZES(F) F(64) F(1024) F(65536)

BENCH_MESSAGE(64)
BENCH_MESSAGE(65536)

#define RECORDS_ROW(SYSTEM, PREPARE, SERVE, MEASURE, B)                                            \
    {                                                                                              \
        .system = SYSTEM, .test = "stream", .shape = "records", .bytes = B,                        \
        .memory = 2 * RECORDS_BYTES, .prepare = PREPARE, .serve = SERVE, .measure = MEASURE        \
    }

#endif
