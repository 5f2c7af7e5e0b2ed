/* The sizes of messages against which throughput is shown, and how many of them a ring holds. */
#ifndef BENCH_SIZES_H
#define BENCH_SIZES_H

#define SIZES_ABOVE_8(F) F(64) F(256) F(1024) F(4096) F(16384) F(65536) F(262144) F(1048576)
#define SIZES(F) F(8) SIZES_ABOVE_8(F)

/* A mebibyte, but at most 1024 and at least four. */
#define SIZES_SLOTS(B) ((B) <= 1024 ? 1024u : (B) <= 262144 ? (1u << 20) / (B) : 4u)

#define SIZES_ROW(SYSTEM, B, MEMORY, PREPARE, SERVE, MEASURE)                                      \
    {                                                                                              \
        .system = SYSTEM, .test = "stream", .shape = "sizes", .bytes = B, .memory = MEMORY,        \
        .prepare = PREPARE, .serve = SERVE, .measure = MEASURE                                     \
    }

#endif
