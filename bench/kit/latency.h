/*
 * Both sides of one-way latency at a fixed rate, and of bursts. The time at which a message is due
 * is fixed in advance, and the message carries it. Its latency is the receiver's clock minus that
 * time. A sender that was held up sends all messages that have become due at once, and each of them
 * counts as late as it is. The sender always polls the clock for the next due time, so that no
 * timer's lateness is taken for a queue's: bench_case.wait is about the receiver, and about a
 * sender that waits for room.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include "sides.h"

/* Sends or receives one message of at most 64 bytes, and waits as the case says. */
typedef void latency_move(void *end, void *message);

static inline int64_t latency_period(const struct bench_run *r)
{
    return (int64_t)r->of->burst * 1000000000 / r->of->rate;
}

CK_CC_FORCE_INLINE static void latency_send(struct bench_run *r, size_t bytes, void *end,
                                            latency_move *put)
{
    uint64_t m[8], i;
    unsigned sent = 0;
    int64_t due, now;

    memset(m, 7, sizeof m);
    bench_start(r);
    due = ipc_clock() + 100000;
    for (i = 0; i < r->warm + r->count; i++) {
        now = ipc_clock();
        if (now < due)
            r->waited += due - now;
        while (now < due)
            now = ipc_clock();
        m[0] = m[bytes / 8 - 1] = (uint64_t)due;
        put(end, m);
        if (++sent == r->of->burst) {
            sent = 0;
            due += latency_period(r);
        }
    }
}

CK_CC_FORCE_INLINE static uint64_t latency_recv(struct bench_run *r, size_t bytes, void *end,
                                                latency_move *get)
{
    uint64_t m[8], i, due = 0;
    unsigned got = 0;
    int64_t now, then = 0;

    bench_start(r);
    for (i = 0; i < r->warm + r->count; i++) {
        get(end, m);
        now = ipc_clock();
        __asm__ volatile("" : : "r"(m) : "memory"); /* as in BENCH_VERIFY */
        due = i == 0 ? m[0] : due;
        bench_check(m[0] == due && m[bytes / 8 - 1] == due, "time");
        if (i == r->warm)
            then = now;
        if (i >= r->warm)
            histogram_record(r->latencies, now > (int64_t)due ? (uint64_t)now - due : 0);
        if (++got == r->of->burst) {
            got = 0;
            due += (uint64_t)latency_period(r);
        }
    }
    return (uint64_t)(ipc_clock() - then);
}

#endif
