/* Copies of messages in and out: short ones inline, long ones in the way that a producer finds to
 * be the fastest, words where a late reader may read while a producer writes. */
#ifndef IPC_SRC_RING_COPY_H
#define IPC_SRC_RING_COPY_H 1

#include "core.h"

#ifdef __x86_64__
#include <emmintrin.h>
#endif

#define IPC_RING_WAYS_ 3           /* to copy long messages in: ipc_ring_copy_long_ */
#define IPC_RING_TRIAL_AFTER_ 250u /* laps between trials, which take two of each */

/* What a producer has found out about these ways. Private to it. */
struct ipc_ring_copier_ {
    uint64_t lap;                  /* bytes of its ring */
    uint64_t done;                 /* bytes copied since the last trials */
    uint64_t cost[IPC_RING_WAYS_]; /* cycles to copy a KiB, for each way */
    uint64_t took[IPC_RING_WAYS_]; /* cycles for a whole lap, for each way */
    unsigned way;                  /* in use */
};

IPC_INLINE void ipc_ring_copier_begin_(struct ipc_ring_copier_ *c, uint64_t lap)
{
    memset(c, 0, sizeof *c);
    c->lap = lap;
    c->done = (IPC_RING_TRIAL_AFTER_ - 8) * lap; /* soon, but not while pages are still fresh */
}

#define IPC_RING_SHORT_                                                                            \
    256u /* bytes; up to here the compiler's copy, or some words, are fastest                      \
          */

/* A function that is called, not inlined, so that rare work does not slow down what calls it. */
#define IPC_RING_NOINLINE_ CK_CC_UNUSED __attribute__((noinline)) static

#ifdef __x86_64__
#define IPC_RING_LONG_ 16384u /* bytes; below it the ways to copy in differ little (bench/) */

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

/* Copies a line or more, through the caches or past them. The first line may overlap the second,
 * and the last the one before. The memcpy of a libc is mostly one instruction for long copies. On
 * some processors that takes two to three times as long for some alignments of the source (on Zen 3
 * for a quarter of them), and it starts slowly. */
IPC_RING_NOINLINE_ void ipc_ring_copy_lines_(unsigned char *to, const unsigned char *from, size_t n,
                                             int past)
{
    size_t i = IPC_RING_LINE - (uintptr_t)to % IPC_RING_LINE;

    __asm__(""
            : "+r"(to), "+r"(from)); /* else gcc warns about smaller messages, never copied here */
    ipc_ring_copy_line_(to, from, 0);
    for (; i < n - IPC_RING_LINE; i += IPC_RING_LINE)
        ipc_ring_copy_line_(to + i, from + i, past);
    ipc_ring_copy_line_(to + n - IPC_RING_LINE, from + n - IPC_RING_LINE, 0);
}

IPC_INLINE void ipc_ring_copy_way_(unsigned way, unsigned char *to, const unsigned char *from,
                                   size_t n)
{
    if (way == 0) {
        ipc_ring_copy_lines_(to, from, n, 0);
    } else if (way == 1) {
        memcpy(to, from, n);
    } else {
        ipc_ring_copy_lines_(to, from, n, 1);
        /* Without it these stores, which keep no order, could be seen after the word that says that
         * the message is there. Partner: the load fence of the consumer that looks for that word.
         */
        _mm_sfence();
    }
}

/*
 * Copies a long message in. Cores that are near each other hand lines from cache to cache at two to
 * three times the rate of memory; which way is best there depends on the size of the ring, the
 * processor and the libc. If they are far apart (another socket, another part of the chip), a store
 * waits for a line that the other core has, and a copy past the caches is faster by as much. No
 * system tells which it is, and processes move; so the producer measures. In the last of every 256
 * laps of the ring it copies in each way for two laps, and times the second, when the lines are
 * where that way leaves them. A way is better if the copy takes less time and the lap clearly less:
 * the consumer has to fetch the message from where that way leaves it.
 */
IPC_RING_NOINLINE_ void ipc_ring_copy_long_(struct ipc_ring_copier_ *c, unsigned char *to,
                                            const unsigned char *from, size_t n)
{
    uint64_t lap = c->done / c->lap, next = (c->done + n) / c->lap, then, now;
    unsigned way =
                 lap < IPC_RING_TRIAL_AFTER_ ? c->way : (unsigned)(lap - IPC_RING_TRIAL_AFTER_) / 2,
             best = 0;

    then = __builtin_ia32_rdtsc();
    ipc_ring_copy_way_(way, to, from, n);
    now = __builtin_ia32_rdtsc();
    c->done += n;
    if (lap < IPC_RING_TRIAL_AFTER_)
        return;
    then = ((now - then) << 10) / n;
    if (lap % 2 == 1 && then < c->cost[way])
        c->cost[way] = then; /* the least, which no interruption makes longer */
    if (next == lap)
        return;
    if (lap % 2 == 0) { /* the next one is timed */
        c->cost[way] = UINT64_MAX;
        c->took[way] = now;
        return;
    }
    c->took[way] = now - c->took[way];
    if (way < IPC_RING_WAYS_ - 1)
        return;
    for (way = 1; way < IPC_RING_WAYS_; way++)
        if (c->cost[way] < c->cost[best] && c->took[way] < c->took[best] - c->took[best] / 8)
            best = way;
    c->way = best;
    c->done = 0;
}
#endif

/* Copies out. A single message of less than a page is copied by memcpy, with fewer and wider
 * stores: what is sent next waits for them. */
IPC_FORCE_INLINE void ipc_ring_get_(void *to, const void *from, size_t n, int alone)
{
#ifdef __x86_64__
    if (n >= 4096 || (n > IPC_RING_SHORT_ && !alone))
        ipc_ring_copy_lines_((unsigned char *)to, (const unsigned char *)from, n, 0);
    else
#endif
        memcpy(to, from, n);
    (void)alone;
}

/* Copies in what is not short. If c is NULL it does not choose a way. */
IPC_FORCE_INLINE void ipc_ring_put_bytes_(struct ipc_ring_copier_ *c, void *to, const void *from,
                                          size_t n)
{
#ifdef __x86_64__
    if (n >= IPC_RING_LONG_ && c != NULL)
        ipc_ring_copy_long_(c, (unsigned char *)to, (const unsigned char *)from, n);
    else if (n > IPC_RING_SHORT_)
        ipc_ring_copy_lines_((unsigned char *)to, (const unsigned char *)from, n, 0);
    else
#endif
        memcpy(to, from, n);
    (void)c;
}

/* Copies a message into its slot, by machine words. A caller has mostly just written its fields; a
 * wider load would have to wait until those stores, and all before them, have left the store
 * buffer, and with them the lines that are on their way from the other core. */
IPC_FORCE_INLINE void ipc_ring_put_(struct ipc_ring_copier_ *c, unsigned char *to,
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
        ipc_ring_put_bytes_(c, to, from, n);
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
 * producer writes, and then drops what it read. Spelt out, as the compiler does not unroll them. */
IPC_FORCE_INLINE void ipc_ring_put_words_(unsigned char *slot, const void *message, size_t bytes)
{
    const unsigned char *from = (const unsigned char *)message;
    uint64_t *to = (uint64_t *)(void *)slot, word;

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
