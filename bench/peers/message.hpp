/* A message whose copy constructor can stop for good, so that the process that copies it stops in
 * the middle of a push. */
#ifndef BENCH_PEERS_MESSAGE_HPP
#define BENCH_PEERS_MESSAGE_HPP

#include "../kit/many.h"

namespace /* one for each peer */
{
thread_local struct bench_run *stops; /* the run, in the thread that has to stop */

template <size_t B> struct message {
    uint64_t word[B / 8];

    message() = default;
    message &operator=(const message &) = default;
    message(const message &from) noexcept
    {
        memcpy(word, from.word, B);
        if (__builtin_expect(stops != nullptr, 0)) {
            bench_start(stops);
            for (;;)
                (void)pause();
        }
    }
};

/* For many_serve. */
template <size_t B, many_move push> void hold(void *end)
{
    message<B> m{};

    (void)push(end, &m, 1);
    bench_fail("copy");
}
} // namespace

#endif
