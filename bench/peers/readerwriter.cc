/* moodycamel::ReaderWriterQueue. It allocates, so it can only be used between threads. It is used
 * in its best mode, in which it never allocates after it was made. */
#include "spsc.h"
#include <readerwriterqueue/readerwriterqueue.h>

template <class T> static moodycamel::ReaderWriterQueue<T> *queues[2];

#define CASES(B)                                                                                   \
    BENCH_MESSAGE(B)                                                                               \
                                                                                                   \
    static int prepare##B(struct bench_run *)                                                      \
    {                                                                                              \
        for (auto &q : queues<message##B>)                                                         \
            q = new moodycamel::ReaderWriterQueue<message##B>(SPSC_CAPACITY);                      \
        return 0;                                                                                  \
    }                                                                                              \
    static void *queue##B(struct bench_run *, const char *name)                                    \
    {                                                                                              \
        return queues<message##B>[*name == 't' ? 0 : 1];                                           \
    }                                                                                              \
    static inline bool rw_send##B(void *queue, const message##B *m)                                \
    {                                                                                              \
        return static_cast<moodycamel::ReaderWriterQueue<message##B> *>(queue)->try_enqueue(*m);   \
    }                                                                                              \
    static inline bool rw_recv##B(void *queue, message##B *m)                                      \
    {                                                                                              \
        return static_cast<moodycamel::ReaderWriterQueue<message##B> *>(queue)->try_dequeue(*m);   \
    }                                                                                              \
    SPSC_CASES(rw, queue##B, B)

BENCH_SIZES(CASES)

#define ROWS(B) SPSC_ROWS("readerwriterqueue", rw, B, prepare##B, 1),

BENCH_GROUP(readerwriter) = {BENCH_SIZES(ROWS){}};
