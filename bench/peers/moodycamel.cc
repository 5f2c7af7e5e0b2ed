/* moodycamel::ConcurrentQueue. It allocates, so it can only be used between threads. It keeps the
 * order of each producer's messages, not that of all. It is used in its best mode: without a bound,
 * and with tokens. */
#include "message.hpp"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wstringop-overflow" /* a false warning about its own code */
#endif
#include <concurrentqueue/concurrentqueue.h>

template <size_t B> using ring = moodycamel::ConcurrentQueue<message<B>>;
template <size_t B> static ring<B> *queue;

template <size_t B> static int prepare(struct bench_run *)
{
    queue<B> = new ring<B>(64 * MANY_CAPACITY);
    return 0;
}

template <size_t B> static inline int64_t push(void *end, void *messages, unsigned n)
{
    auto &token = *static_cast<moodycamel::ProducerToken *>(end);
    auto *m = static_cast<message<B> *>(messages);
    bool done = n > 1 ? queue<B>->enqueue_bulk(token, m, n) : queue<B>->enqueue(token, *m);

    return done ? n : 0;
}

template <size_t B> static inline int64_t pop(void *end, void *messages, unsigned n)
{
    auto &token = *static_cast<moodycamel::ConsumerToken *>(end);
    auto *m = static_cast<message<B> *>(messages);

    return n > 1 ? (int64_t)queue<B>->try_dequeue_bulk(token, m, n)
                 : queue<B>->try_dequeue(token, *m);
}

template <size_t B> static void serve(struct bench_run *r)
{
    moodycamel::ProducerToken out(*queue<B>);
    moodycamel::ConsumerToken in(*queue<B>);

    stops = many_holds(r) ? r : nullptr;
    many_serve(r, B, many_consumes(r) ? (void *)&in : (void *)&out, push<B>, pop<B>,
               hold<B, push<B>>);
}

BENCH_GROUP(moodycamel) = {MANY_SINGLY("moodycamel", MANY_THREADS, 8, prepare<8>, serve<8>),
                           MANY_BATCHED("moodycamel", MANY_THREADS, 8, prepare<8>, serve<8>),
                           MANY_SINGLY("moodycamel", MANY_THREADS, 56, prepare<56>, serve<56>),
                           MANY_BATCHED("moodycamel", MANY_THREADS, 56, prepare<56>, serve<56>),
                           MANY_SCALING("moodycamel", MANY_THREADS, 56, prepare<56>, serve<56>),
                           {}};
