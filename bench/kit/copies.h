/* Ways to copy, which the limits try one after the other. */
#ifndef BENCH_COPIES_H
#define BENCH_COPIES_H

#include "sides.h"
#ifdef __x86_64__
#include <emmintrin.h>
#endif

enum way { PLAIN, STRING, PAST_CACHES };
#ifdef __x86_64__
#define WAYS 3
#else
#define WAYS 1
#endif

#ifdef __x86_64__
static inline void copy_string(void *to, const void *from, size_t bytes)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static inline void copy_past_caches(void *to, const void *from, size_t bytes)
{
    const __m128i *in = (const __m128i *)from;
    __m128i *out = (__m128i *)to;
    size_t i;

    for (i = 0; i < bytes / sizeof *in; i += 4) {
        __m128i a = in[i], b = in[i + 1], c = in[i + 2], d = in[i + 3];

        _mm_stream_si128(&out[i], a);
        _mm_stream_si128(&out[i + 1], b);
        _mm_stream_si128(&out[i + 2], c);
        _mm_stream_si128(&out[i + 3], d);
    }
}
#endif

/* Inlined where `bytes` is a constant: a call would cost more than a small block. */
CK_CC_FORCE_INLINE static void copy_block(enum way way, void *to, const void *from, size_t bytes)
{
#ifdef __x86_64__
    if (bytes >= 64 && way == STRING)
        copy_string(to, from, bytes);
    else if (bytes >= 64 && way == PAST_CACHES)
        copy_past_caches(to, from, bytes);
    else
#endif
        memcpy(to, from, bytes);
}

/* How many ways are worth a trial for messages of this size. */
#define WAYS_OF(BYTES) ((BYTES) < 1024 ? 1u : (unsigned)WAYS)

#endif
