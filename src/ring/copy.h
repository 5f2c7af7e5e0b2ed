/* Copies of messages in and out: short ones inline, long ones in the way that a producer finds to
 * be the fastest, words where a late reader may read while a producer writes. */
#ifndef IPC_SRC_RING_COPY_H
#define IPC_SRC_RING_COPY_H 1

#include "trials.h"

#ifdef __x86_64__
#include <emmintrin.h>
#endif

#define IPC_RING_SHORT_ 256u /* bytes; up to here the compiler's copy, or some words, are fastest */

/* May a message of n bytes be put off, so that it shares its fence with others? How many bytes may
 * be at most: by then the fence is a small part of the time. */
#ifdef __x86_64__
#define IPC_RING_IS_PUT_OFF_(n) ((n) >= IPC_RING_SHORT_)
#else
#define IPC_RING_IS_PUT_OFF_(n) 0
#endif
#define IPC_RING_PUT_OFF_ 32768u

/* A function that is called, not inlined, so that rare work does not slow down what calls it. */
#define IPC_RING_NOINLINE_ CK_CC_UNUSED __attribute__((noinline)) static

#ifdef __x86_64__
IPC_FORCE_INLINE void ipc_ring_copy_line_(unsigned char *to, const unsigned char *from, int past)
{
    const __m128i *f = (const __m128i *)(const void *)from;
    __m128i *t = (__m128i *)(void *)to;
    __m128i a = _mm_loadu_si128(f), b = _mm_loadu_si128(f + 1);
    __m128i c = _mm_loadu_si128(f + 2), d = _mm_loadu_si128(f + 3);

    if (past) {
        _mm_stream_si128(t, a);
        _mm_stream_si128(t + 1, b);
        _mm_stream_si128(t + 2, c);
        _mm_stream_si128(t + 3, d);
    } else {
        _mm_storeu_si128(t, a);
        _mm_storeu_si128(t + 1, b);
        _mm_storeu_si128(t + 2, c);
        _mm_storeu_si128(t + 3, d);
    }
}

/* Copies a line or more through the caches. The first line may overlap the second, and the last the
 * one before. The memcpy of a libc is mostly one instruction for long copies. On some processors
 * that takes two to three times as long for some alignments of the source (on Zen 3 for a quarter of
 * them), and it starts slowly. */
IPC_RING_NOINLINE_ void ipc_ring_copy_lines_(unsigned char *to, const unsigned char *from, size_t n)
{
    size_t i = IPC_RING_LINE - (uintptr_t)to % IPC_RING_LINE;

    __asm__(""
            : "+r"(to), "+r"(from)); /* else gcc warns about smaller messages, never copied here */
    ipc_ring_copy_line_(to, from, 0);
    for (; i < n - IPC_RING_LINE; i += IPC_RING_LINE)
        ipc_ring_copy_line_(to + i, from + i, 0);
    ipc_ring_copy_line_(to + n - IPC_RING_LINE, from + n - IPC_RING_LINE, 0);
}

/* Copies in by lines. Asks for as many of them ahead of time, with write intent, as the processor
 * keeps on their way at once: a store waits for its line, and those behind it wait with it. Those of
 * a shorter message were asked for when an earlier one was sent. */
IPC_RING_NOINLINE_ void ipc_ring_copy_lines_in_(unsigned char *to, const unsigned char *from,
                                                size_t n)
{
    size_t part = 4 * IPC_RING_PREFETCH_, i;

    for (; n > 0; to += part, from += part, n -= part) {
        part = n < 2 * part ? n : part; /* none is shorter than a line */
        for (i = 0; part >= IPC_RING_PREFETCH_ && i < part; i += IPC_RING_LINE)
            ck_pr_rfo(to + i);
        ipc_ring_copy_lines_(to, from, part);
    }
}

/* Copies past the caches whole lines, and what is beside them through the caches. A line that is
 * written in both ways has to leave the cache in between, which takes long: so none is. The line
 * behind the message has the word that publishes it, and is asked for ahead of time. */
IPC_RING_NOINLINE_ void ipc_ring_copy_past_(unsigned char *to, const unsigned char *from, size_t n)
{
    size_t i = (0 - (uintptr_t)to) % IPC_RING_LINE, end = n - ((uintptr_t)to + n) % IPC_RING_LINE;

    ck_pr_rfo(to + n);
    memcpy(to, from, i);
    for (; i < end; i += IPC_RING_LINE)
        ipc_ring_copy_line_(to + i, from + i, 1);
    memcpy(to + end, from + end, n - end);
}

/* Copies in. Past the caches ipc_ring_settle_copies_ is due before the message is published. */
IPC_FORCE_INLINE void ipc_ring_copy_way_(unsigned way, unsigned char *to, const unsigned char *from,
                                         size_t n)
{
    if (way == IPC_RING_PAST_)
        ipc_ring_copy_past_(to, from, n);
    else if (way == IPC_RING_BY_STRING_ && n >= IPC_RING_LONG_)
        __asm__ __volatile__("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    else
        ipc_ring_copy_lines_in_(to, from, n);
}

/* Without it stores past the caches, which keep no order, could be seen after the word that says
 * that the message is there. Partner: the load fence of the consumer that looks for that word. It
 * waits for all of them, so one for many messages costs little more than one for one. */
IPC_FORCE_INLINE void ipc_ring_settle_copies_(void)
{
    _mm_sfence();
}

/* Copies in, in the way that trials have found. 1: ipc_ring_settle_copies_ is due before the message
 * is published. */
IPC_RING_NOINLINE_ int ipc_ring_copy_unsettled_(struct ipc_ring_trials_ *t, unsigned char *to,
                                                const unsigned char *from, size_t n)
{
    uint64_t then;
    unsigned way = ipc_ring_trials_way_(t, &then);

    ipc_ring_copy_way_(way, to, from, n);
    ipc_ring_trials_note_(t, n, then);
    return way == IPC_RING_PAST_;
}

/* Copies a long message in. If its place is raced for, a reader may still be there: it is to see
 * that the place was marked before it sees what is copied, so a store past the caches may not
 * overtake the mark either. Partner: the load fence of that reader. */
IPC_RING_NOINLINE_ void ipc_ring_copy_long_(struct ipc_ring_trials_ *t, unsigned char *to,
                                            const unsigned char *from, size_t n, int raced)
{
    if (raced && t->way == IPC_RING_PAST_)
        ipc_ring_settle_copies_();
    if (ipc_ring_copy_unsettled_(t, to, from, n))
        ipc_ring_settle_copies_();
}
#else
IPC_FORCE_INLINE void ipc_ring_settle_copies_(void)
{
}

IPC_INLINE int ipc_ring_copy_unsettled_(struct ipc_ring_trials_ *t, unsigned char *to,
                                        const unsigned char *from, size_t n)
{
    (void)t;
    memcpy(to, from, n);
    return 0;
}
#endif

#define IPC_RING_OUT_BY_LIBC_ 32768u /* bytes: from here on memcpy is faster (bench/results) */

/* Copies out. A single message of less than a page is copied by memcpy, with fewer and wider
 * stores: what is sent next waits for them. */
IPC_FORCE_INLINE void ipc_ring_get_(void *to, const void *from, size_t n, int alone)
{
#ifdef __x86_64__
    if (n < IPC_RING_OUT_BY_LIBC_ && (n >= 4096 || (n > IPC_RING_SHORT_ && !alone)))
        ipc_ring_copy_lines_((unsigned char *)to, (const unsigned char *)from, n);
    else
#endif
        memcpy(to, from, n);
    (void)alone;
}

/* Copies in what is not short. If t is NULL, by lines. */
IPC_FORCE_INLINE void ipc_ring_put_bytes_(struct ipc_ring_trials_ *t, void *to, const void *from,
                                          size_t n)
{
#ifdef __x86_64__
    if (n >= IPC_RING_LONG_ && t != NULL)
        ipc_ring_copy_long_(t, (unsigned char *)to, (const unsigned char *)from, n, 0);
    else if (n > IPC_RING_SHORT_)
        ipc_ring_copy_lines_in_((unsigned char *)to, (const unsigned char *)from, n);
    else
#endif
        memcpy(to, from, n);
    (void)t;
}

/* Copies a message into its slot, by machine words. A caller has mostly just written its fields; a
 * wider load would have to wait until those stores, and all before them, have left the store
 * buffer, and with them the lines that are on their way from the other core. */
IPC_FORCE_INLINE void ipc_ring_put_(struct ipc_ring_trials_ *t, unsigned char *to,
                                    const unsigned char *from, size_t n)
{
#define IPC_RING_WORD_(type, at)                                                                   \
    do {                                                                                           \
        type word;                                                                                 \
        memcpy(&word, from + (at), sizeof word);                                                   \
        __asm__("" : "+r"(word)); /* or the compiler makes one wide copy of several */             \
        memcpy(to + (at), &word, sizeof word);                                                     \
    } while (0)

    if (n > IPC_RING_SHORT_) {
        ipc_ring_put_bytes_(t, to, from, n);
        return;
    }
    for (; n >= 32; n -= 32, to += 32, from += 32) {
        IPC_RING_WORD_(uint64_t, 0);
        IPC_RING_WORD_(uint64_t, 8);
        IPC_RING_WORD_(uint64_t, 16);
        IPC_RING_WORD_(uint64_t, 24);
    }
    if (n & 16) {
        IPC_RING_WORD_(uint64_t, 0);
        IPC_RING_WORD_(uint64_t, 8);
    }
    if (n & 8)
        IPC_RING_WORD_(uint64_t, n & 16);
    if (n & 4)
        IPC_RING_WORD_(uint32_t, n & 24);
    if (n & 2)
        IPC_RING_WORD_(uint16_t, n & 28);
    if (n & 1)
        to[n & 30] = from[n & 30];
#undef IPC_RING_WORD_
}

/* Copies by words that are loaded and stored whole: a consumer that is late may read while a
 * producer writes, and then drops what it read. Spelt out, as the compiler does not unroll them.
 * What is not short is copied as elsewhere: it is dropped whole, whatever it was copied by. */
IPC_FORCE_INLINE void ipc_ring_put_words_(struct ipc_ring_trials_ *t, unsigned char *slot,
                                          const void *message, size_t bytes)
{
    const unsigned char *from = (const unsigned char *)message;
    uint64_t *to = (uint64_t *)(void *)slot, word;

#ifdef __x86_64__
    if (bytes > IPC_RING_SHORT_) {
        if (bytes >= IPC_RING_LONG_)
            ipc_ring_copy_long_(t, slot, from, bytes, 1);
        else
            ipc_ring_copy_lines_in_(slot, from, bytes);
        return;
    }
#endif
    (void)t;
#define IPC_RING_PUT_(n)                                                                           \
    do {                                                                                           \
        memcpy(&word, from, n);                                                                    \
        ck_pr_store_64(to++, word);                                                                \
        from += n;                                                                                 \
    } while (0)

    for (; bytes >= 32; bytes -= 32) {
        IPC_RING_PUT_(8);
        IPC_RING_PUT_(8);
        IPC_RING_PUT_(8);
        IPC_RING_PUT_(8);
    }
    if (bytes & 16) {
        IPC_RING_PUT_(8);
        IPC_RING_PUT_(8);
    }
    if (bytes & 8)
        IPC_RING_PUT_(8);
    word = 0;
    if (bytes & 7)
        IPC_RING_PUT_(bytes & 7);
#undef IPC_RING_PUT_
}

IPC_FORCE_INLINE void ipc_ring_get_words_(void *message, unsigned char *slot, size_t bytes)
{
    unsigned char *to = (unsigned char *)message;
    uint64_t *from = (uint64_t *)(void *)slot, word;

#ifdef __x86_64__
    if (bytes > IPC_RING_SHORT_) {
        ipc_ring_copy_lines_(to, slot, bytes);
        return;
    }
#endif
#define IPC_RING_GET_(n)                                                                           \
    do {                                                                                           \
        word = ck_pr_load_64(from++);                                                              \
        memcpy(to, &word, n);                                                                      \
        to += n;                                                                                   \
    } while (0)

    for (; bytes >= 32; bytes -= 32) {
        IPC_RING_GET_(8);
        IPC_RING_GET_(8);
        IPC_RING_GET_(8);
        IPC_RING_GET_(8);
    }
    if (bytes & 16) {
        IPC_RING_GET_(8);
        IPC_RING_GET_(8);
    }
    if (bytes & 8)
        IPC_RING_GET_(8);
    if (bytes & 7)
        IPC_RING_GET_(bytes & 7);
#undef IPC_RING_GET_
}

#endif
