/* The sizes of messages against which throughput is shown, how many of them a ring holds, and
 * messages that are written and read in place. */
#ifndef BENCH_SIZES_H
#define BENCH_SIZES_H

#include "sides.h"

#define SIZES_ABOVE_8(F) F(64) F(256) F(1024) F(4096) F(16384) F(65536) F(262144) F(1048576)
#define SIZES(F) F(8) SIZES_ABOVE_8(F)
#define USUAL_SIZES(F) F(64) F(1024) F(65536) /* those of `make bench` */

/* Slots of a ring: so many as make a mebibyte, but at most 1024 and at least four. */
#define SIZES_SLOTS(B) ((B) <= 1024 ? 1024u : (B) <= 262144 ? (1u << 20) / (B) : 4u)

#define SIZES_ROW(SYSTEM, B, MEMORY, PREPARE, SERVE, MEASURE)                                      \
    {                                                                                              \
        .system = SYSTEM, .test = "stream", .shape = "sizes", .bytes = B, .memory = MEMORY,        \
        .prepare = PREPARE, .serve = SERVE, .measure = MEASURE                                     \
    }

/* The widest register of every x86-64. */
typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));

/* Writes every byte: the low byte of the number, or in a message below 64 bytes the number itself.
 * The empty assembly hides the size, so that the compiler calls memset: what it would inline for a
 * known size is slow to start. */
CK_CC_FORCE_INLINE static void fill(uint64_t *word, size_t bytes, uint64_t number)
{
    if (bytes < 64) {
        word[0] = number;
    } else {
        __asm__("" : "+r"(bytes));
        memset(word, (int)(number & 255), bytes);
    }
}

/* Has every byte been written by fill with this number? Reads them all. */
CK_CC_FORCE_INLINE static int filled(const uint64_t *word, size_t bytes, uint64_t number)
{
    uint64_t n = (number & 255) * (UINT64_MAX / 255);
    pair want = {n, n}, none = {0, 0}, wrong[2] = {none, none};
    size_t i;

    if (bytes < 64)
        return word[0] == number;
    for (i = 0; i < bytes / sizeof want; i += 4) {
        const pair *from = (const pair *)(const void *)word + i;

        wrong[0] |= (from[0] ^ want) | (from[1] ^ want);
        wrong[1] |= (from[2] ^ want) | (from[3] ^ want);
    }
    wrong[0] |= wrong[1];
    return (wrong[0][0] | wrong[0][1]) == 0;
}

/* A stream of messages in place. GET makes `in` point to a message; PUT hands it over, or back. */
#define IN_PLACE_SERVE(B, GET, PUT)                                                                \
    do {                                                                                           \
        uint64_t i_, end_ = r->warm + r->count, next_ = 0;                                         \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            struct message##B *in;                                                                 \
            if (i_ == next_)                                                                       \
                next_ = bench_pace(r, i_);                                                         \
            GET;                                                                                   \
            fill(in->word, B, i_);                                                                 \
            PUT;                                                                                   \
        }                                                                                          \
    } while (0)

#define IN_PLACE_MEASURE(B, GET, PUT)                                                              \
    do {                                                                                           \
        uint64_t i_, end_ = r->warm + r->count, next_ = r->warm;                                   \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            const struct message##B *in;                                                           \
            if (i_ == next_)                                                                       \
                next_ = bench_window(r, i_);                                                       \
            GET;                                                                                   \
            bench_check(filled(in->word, B, i_), "payload");                                       \
            PUT;                                                                                   \
        }                                                                                          \
        return bench_took(r);                                                                      \
    } while (0)

#endif
