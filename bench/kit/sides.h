/*
 * Messages, and both sides of the tests between two processes, for any system that can SEND and
 * RECV a message. A case file includes this.
 *
 * The receiver's clock times the windows of a stream, and the clock of the side that asks times
 * each round trip: the
 * MEASURE macros are its body, the SERVE macros are the body of the other side. SEND and RECV are
 * code that sends and receives the message `m`, and returns when that is done.
 */
#ifndef BENCH_SIDES_H
#define BENCH_SIDES_H

#include "../process.h"
#include <sched.h>

/* The sizes of messages that most systems are measured with. The first and the last word of a
 * message carry its sequence number; the bytes between are written and read all the same. */
#define BENCH_SIZES(F) F(8) F(56) F(120) F(1016)

#define BENCH_MESSAGE(B)                                                                           \
    struct message##B {                                                                            \
        uint64_t word[(B) / 8];                                                                    \
    };

#define BENCH_MARK(m, i) ((m).word[0] = (i), (m).word[sizeof(m) / 8 - 1] = (m).word[0])

/* The empty assembly makes the compiler believe that every byte is read. */
#define BENCH_VERIFY(m, i)                                                                         \
    do {                                                                                           \
        __asm__ volatile("" : : "r"(&(m)) : "memory");                                             \
        bench_check((m).word[0] == (i) && (m).word[sizeof(m) / 8 - 1] == (i), "sequence number");  \
    } while (0)

/* A stream: one message at a time, as fast as both sides can. */
#define BENCH_STREAM_SERVE(B, SEND)                                                                \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, end_ = r->warm + r->count, next_ = 0;                                         \
        memset(&m, 7, sizeof m);                                                                   \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            if (i_ == next_)                                                                       \
                next_ = bench_pace(r, i_);                                                         \
            BENCH_MARK(m, i_);                                                                     \
            SEND;                                                                                  \
        }                                                                                          \
    } while (0)

#define BENCH_STREAM_MEASURE(B, RECV)                                                              \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, end_ = r->warm + r->count, next_ = r->warm;                                   \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            if (i_ == next_)                                                                       \
                next_ = bench_window(r, i_);                                                       \
            RECV;                                                                                  \
            BENCH_VERIFY(m, i_);                                                                   \
        }                                                                                          \
        return bench_took(r);                                                                      \
    } while (0)

/* A broadcast: the clock runs in the writer, and each reader counts the messages that it gets. SEND
 * and RECV are expressions. SEND: 0 if it sent `m`. RECV: below 0 if it got no message. MISSED: how
 * many messages the reader has missed so far. A reader that finds nothing yields where readers
 * share a core. */
#define BENCH_BROADCAST_MEASURE(B, SEND)                                                           \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, end_ = r->warm + r->count, next_ = r->warm;                                   \
        memset(&m, 7, sizeof m);                                                                   \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            if (i_ == next_)                                                                       \
                next_ = bench_window(r, i_);                                                       \
            BENCH_MARK(m, i_);                                                                     \
            while ((SEND) != 0)                                                                    \
                ck_pr_stall();                                                                     \
        }                                                                                          \
        return bench_took(r);                                                                      \
    } while (0)

#define BENCH_BROADCAST_SERVE(B, RECV, MISSED)                                                     \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, n_ = 0, end_ = r->warm + r->count, warm_ = r->warm, timed_ = 0,               \
                 next_ = 0;                                                                        \
        bench_start(r);                                                                            \
        while ((i_ = n_ + (MISSED)) < end_) {                                                      \
            int64_t rc_;                                                                           \
            if (n_ == next_)                                                                       \
                next_ = bench_pace(r, n_);                                                         \
            rc_ = (RECV);                                                                          \
            if (rc_ >= 0) {                                                                        \
                BENCH_VERIFY(m, i_);                                                               \
                n_++;                                                                              \
                timed_ += i_ >= warm_;                                                             \
            } else if (rc_ != -EAGAIN) {                                                           \
                bench_check(rc_ == -EOVERFLOW, "read");                                            \
            } else if (r->of->readers > 1) {                                                       \
                (void)sched_yield();                                                               \
            } else {                                                                               \
                ck_pr_stall();                                                                     \
            }                                                                                      \
        }                                                                                          \
        *r->taken = timed_;                                                                        \
    } while (0)

/* A ping-pong: there and back. */
#define BENCH_PINGPONG_SERVE(B, SEND, RECV)                                                        \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, end_ = r->warm + r->count + r->each;                                          \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            RECV;                                                                                  \
            BENCH_VERIFY(m, i_);                                                                   \
            SEND;                                                                                  \
        }                                                                                          \
    } while (0)

#define BENCH_PINGPONG_MEASURE(B, SEND, RECV)                                                      \
    do {                                                                                           \
        struct message##B m;                                                                       \
        uint64_t i_, next_ = r->warm, each_ = r->warm + r->count, end_ = each_ + r->each;          \
        uint64_t took_ = 0;                                                                        \
        int64_t before_ = 0;                                                                       \
        memset(&m, 7, sizeof m);                                                                   \
        bench_start(r);                                                                            \
        for (i_ = 0; i_ < end_; i_++) {                                                            \
            if (i_ == next_ && i_ <= each_)                                                        \
                next_ = bench_window(r, i_);                                                       \
            if (i_ == each_)                                                                       \
                took_ = bench_took(r);                                                             \
            if (i_ >= each_)                                                                       \
                bench_each(r, &before_, i_ == each_);                                              \
            BENCH_MARK(m, i_);                                                                     \
            SEND;                                                                                  \
            RECV;                                                                                  \
            BENCH_VERIFY(m, i_);                                                                   \
        }                                                                                          \
        bench_each(r, &before_, 0);                                                                \
        return took_;                                                                              \
    } while (0)

#endif
