/*
 * Both sides of one-way latency at a fixed rate, and of bursts. The time at which a message is due
 * is fixed in advance, and the message carries it. Its latency is the receiver's clock minus that
 * time, without one reading of the clock. A sender that was held up by the system that is measured
 * sends all messages that have become due at once, and each of them counts as late as it is.
 *
 * Messages are left out, and counted, that are late because the sender or the receiver had lost its
 * core, or that are due shortly after. The sender sees that in its clock, and the receiver in the
 * kernel's count.
 *
 * The sender always polls the clock for the next due time, so that no timer's lateness is taken for
 * a queue's: bench_case.wait is about the receiver, and about a sender that waits for room.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include "sides.h"

#define LATENCY_LATE 10000    /* nanoseconds; a timer's tick takes less */
#define LATENCY_SETTLE 300000 /* nanoseconds until all messages that came too late are gone */

/* Sends or receives one message of at most 64 bytes, and waits as the case says. */
typedef void latency_move(void *end, void *message);

static inline int64_t latency_period(const struct bench_run *r)
{
    return (int64_t)r->of->burst * 1000000000 / r->of->rate;
}

/* The sender's next reading of the clock, after `last`. waits: it has done nothing in between. */
static inline int64_t latency_now(struct bench_run *r, int64_t last, int waits, uint64_t *losses)
{
    int64_t now = ipc_clock();
    uint64_t lost;

    if (now - last <= LATENCY_LATE)
        return now;
    lost = bench_losses();
    if (waits || lost != *losses)
        ck_pr_store_64((uint64_t *)&r->shared->held_until, (uint64_t)now);
    *losses = lost;
    return now;
}

CK_CC_FORCE_INLINE static void latency_send(struct bench_run *r, size_t bytes, void *end,
                                            latency_move *put)
{
    uint64_t m[8], i;
    unsigned sent = 0;
    int64_t due, now;
    uint64_t losses = 0;

    memset(m, 7, sizeof m);
    bench_start(r);
    now = ipc_clock();
    due = now + 100000;
    for (i = 0; i < r->warm + r->count; i++) {
        now = latency_now(r, now, 0, &losses);
        if (now < due)
            r->waited += due - now;
        while (now < due)
            now = latency_now(r, now, 1, &losses);
        m[0] = m[bytes / 8 - 1] = (uint64_t)due;
        put(end, m);
        if (++sent == r->of->burst) {
            sent = 0;
            due += latency_period(r);
        }
    }
}

struct latency_receiver {
    int64_t settled; /* messages that are due earlier are left out */
    int64_t looked;  /* when the kernel was asked last, which can take as long as a message */
    uint64_t losses;
};

static inline void latency_record(struct bench_run *r, struct latency_receiver *l, int64_t due)
{
    int64_t now = ipc_clock(), ns = now - due - r->clock;

    if (ns > LATENCY_LATE && due >= l->looked) { /* else the kernel was asked after it was due */
        uint64_t lost = bench_losses();
        int64_t held = (int64_t)ck_pr_load_64((uint64_t *)&r->shared->held_until);

        held = lost != l->losses ? now : held;
        l->settled = held + LATENCY_SETTLE > l->settled ? held + LATENCY_SETTLE : l->settled;
        l->losses = lost;
        l->looked = now;
    }
    if (due < l->settled)
        r->shared->left_out++;
    else
        histogram_record(r->latencies, ns > 0 ? (uint64_t)ns : 1);
}

CK_CC_FORCE_INLINE static uint64_t latency_recv(struct bench_run *r, size_t bytes, void *end,
                                                latency_move *get)
{
    uint64_t m[8], i, due = 0;
    struct latency_receiver l = {0, 0, bench_losses()};
    unsigned got = 0;

    bench_start(r);
    for (i = 0; i < r->warm + r->count; i++) {
        get(end, m);
        if (i == r->warm)
            r->began = ipc_clock();
        if (i >= r->warm)
            latency_record(r, &l, (int64_t)m[0]);
        __asm__ volatile("" : : "r"(m) : "memory"); /* as in BENCH_VERIFY */
        due = i == 0 ? m[0] : due;
        bench_check(m[0] == due && m[bytes / 8 - 1] == due, "time");
        if (++got == r->of->burst) {
            got = 0;
            due += (uint64_t)latency_period(r);
        }
    }
    return bench_took(r);
}

#endif
