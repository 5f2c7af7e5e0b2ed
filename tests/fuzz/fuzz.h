/*
 * What fuzzers share: an input is read as numbers, and a failed check ends the process, so that
 * libFuzzer keeps the input.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                            \
    do                                                                                             \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    while (0)

static const unsigned char *input;
static size_t left;

static inline unsigned byte(void)
{
    return left > 0 ? left--, *input++ : 0;
}

static inline unsigned number(unsigned below)
{
    unsigned high = byte();

    return (high << 8 | byte()) % below;
}

/* Copies up to `most` bytes of the input unchanged. */
static inline size_t raw(unsigned char *to, size_t most)
{
    size_t n = left < most ? left : most;

    memcpy(to, input, n);
    input += n;
    left -= n;
    return n;
}

/* A word that is likely to break things, or any word. */
static inline uint64_t word(uint64_t was)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   UINT64_MAX,
                                   INT64_MAX,
                                   UINT32_MAX,
                                   1u << 31,
                                   UINT64_MAX << 32,
                                   UINT64_MAX - 7,
                                   0x8000,
                                   0x80000000,
                                   64,
                                   4096};
    unsigned how = byte();
    uint64_t any = 0;

    if (how < 64)
        return odd[how % (sizeof odd / sizeof *odd)];
    if (how < 128)
        return was ^ (uint64_t)1 << how % 64;
    if (how < 192)
        return was + how - 160;
    (void)raw((unsigned char *)&any, how % 8 + 1);
    return how % 16 < 8 ? any : was ^ any;
}

/* Scribbles over one word of shared memory. */
static inline void scribble(void *mem, size_t size)
{
    uint64_t *at;

    if (size >= 8) {
        at = (uint64_t *)mem + number(65536) % (size / 8);
        *(volatile uint64_t *)at = word(*at);
    }
}

/* Writes a seed of the n bytes at `bytes`, named for what they do. */
static inline void seed(const char *folder, const char *what, const void *bytes, size_t n)
{
    char path[300];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", folder, what);
    f = fopen(path, "wb");
    MUST(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

#endif /* FUZZ_H */
