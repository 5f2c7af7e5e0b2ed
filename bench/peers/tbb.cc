/* tbb::concurrent_bounded_queue. It allocates, so it can only be used between threads. It has no
 * batches. */
#include "message.hpp"
#include <oneapi/tbb/concurrent_queue.h>

template <size_t B> using ring = tbb::concurrent_bounded_queue<message<B>>;

template <size_t B> static ring<B> *queue;

template <size_t B> static int prepare(struct bench_run *)
{
    queue<B> = new ring<B>;
    queue<B>->set_capacity(MANY_CAPACITY);
    return 0;
}

template <size_t B> static inline int64_t push(void *end, void *m, unsigned)
{
    return static_cast<ring<B> *>(end)->try_push(*static_cast<message<B> *>(m));
}

template <size_t B> static inline int64_t pop(void *end, void *m, unsigned)
{
    return static_cast<ring<B> *>(end)->try_pop(*static_cast<message<B> *>(m));
}

template <size_t B> static void serve(struct bench_run *r)
{
    stops = many_holds(r) ? r : nullptr;
    many_serve(r, B, queue<B>, push<B>, pop<B>, hold<B, push<B>>);
}

BENCH_GROUP(tbb) = {MANY_SINGLY("tbb_bounded", MANY_FIFO_THREADS, 8, prepare<8>, serve<8>),
                    MANY_SINGLY("tbb_bounded", MANY_FIFO_THREADS, 56, prepare<56>, serve<56>),
                    MANY_SCALING("tbb_bounded", MANY_FIFO_THREADS, 56, prepare<56>, serve<56>),
                    {}};
