/*
 * Broadcasts under the Relacy model checker, with the ck_pr.h of this directory, and an ipc_ring.h
 * with few seats that asks at once whether someone is dead (tests/order makes it):
 *
 *     sed 's/\(IPC_BROADCAST_SEATS\) 64u/\1 2u/; s/\(IPC_BROADCAST_ASK_AGAIN_\) 64u/\1 0u/
 *         s/\(IPC_BROADCAST_ASK_EVERY_\) 1024u/\1 1u/' ipc_ring.h
 *     g++ -std=c++14 -O1 -w -Itests/model -Iwhere-that-is tests/model/broadcast.cc -o broadcast
 *     ./broadcast [scenario, or how its name begins [iterations]]
 *
 * The message at position x is x, twice. Lossless, it is in an rl::var for each slot, so that
 * Relacy sees data races; lossy, it is in the shadow, where old and new words mix. Otherwise as
 * spsc.cc.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "one_dies.h"
#include "ipc_ring.h"

enum { LARGEST = 4, STRIDE = 32, BYTES = 16 };

/* The scenario that runs. */
static struct {
    unsigned capacity, how;
    int all;
    bool rejoin; /* the last reader detaches and attaches again after each message */
    bool dies;   /* the first reader, or the writer, is killed while it holds a message */
} now;

static struct __attribute__((aligned(64))) {
    unsigned char bytes[sizeof(struct ipc_broadcast_shared) +
                        64 * ((IPC_BROADCAST_SEATS + 7) / 8 + IPC_BROADCAST_SEATS) +
                        LARGEST * STRIDE];
} memory;

template <typename scenario> struct cast : rl::test_suite<scenario, 3> {
    rl::atomic<uint64_t> shadow[sizeof memory / 8], dead;
    rl::var<int> payload[LARGEST];

    static size_t size()
    {
        return ipc_broadcast_footprint(BYTES, now.capacity, 0);
    }

    void before()
    {
        model_end();
        memset(&memory, 0xa5, sizeof memory);
        RL_ASSERT(ipc_broadcast_init(&memory, size(), BYTES, now.capacity, now.how) == 0);
        model_begin(&memory, shadow, size() / 8);
        dead.store(0, rl::mo_relaxed, $);
        death = &dead;
    }

    rl::var<int> &slot(const void *at)
    {
        size_t offset = (size_t)(static_cast<const unsigned char *>(at) - memory.bytes);

        return payload[(offset - ipc_broadcast_kind_(BYTES, 0).header) / STRIDE];
    }

    void produce(struct ipc_broadcast_producer &p, uint64_t id)
    {
        struct ipc_peer me = {id, not_yet_dead, NULL, NULL, NULL, "", NULL, NULL};
        int rc;

        while ((rc = ipc_broadcast_producer_attach(&p, &memory, size(), BYTES, &me)) == -EBUSY)
            rl::yield(1, $);
        RL_ASSERT(rc == 0);
    }

    void send(struct ipc_broadcast_producer &p, int to)
    {
        while ((int)p.s.tail < to) {
            uint64_t m[2] = {p.s.tail, p.s.tail};
            void *at;

            if (now.how == IPC_BROADCAST_LOSSY) {
                RL_ASSERT(ipc_broadcast_push(&p, m, BYTES) == 0);
                continue;
            }
            while ((at = ipc_broadcast_claim(&p)) == NULL) {
                RL_ASSERT(ipc_broadcast_producer_error(&p) == 0);
                rl::yield(1, $);
            }
            slot(at)($) = (int)p.s.tail;
            RL_ASSERT(ipc_broadcast_commit(&p) == 0);
        }
    }

    void consume(struct ipc_broadcast_consumer &c, uint64_t id)
    {
        struct ipc_peer me = {id, not_yet_dead, NULL, NULL, NULL, "", NULL, NULL};
        int rc;

        while ((rc = ipc_broadcast_consumer_attach(&c, &memory, size(), BYTES, &me)) == -EUSERS)
            rl::yield(1, $);
        RL_ASSERT(rc == 0);
        RL_ASSERT(c.s.head <= now.all);
    }

    /* Reads one message, or learns of a loss. Returns false if there was none. */
    bool take(struct ipc_broadcast_consumer &c, bool &lapped)
    {
        uint64_t m[2], x = c.s.head, missed = c.missed, skip = c.skip;
        const void *at;
        int rc;

        if (now.how == IPC_BROADCAST_LOSSLESS) {
            at = ipc_broadcast_peek(&c);
            RL_ASSERT(ipc_broadcast_consumer_error(&c) == 0);
            if (at == NULL)
                return false;
            RL_ASSERT((int)slot(at)($) == x);
            RL_ASSERT(ipc_broadcast_release(&c) == 0);
            return true;
        }
        rc = ipc_broadcast_pop(&c, m, BYTES);
        if (rc == 0)
            RL_ASSERT(m[0] == x && m[1] == x);
        else if (rc == -EOVERFLOW)
            RL_ASSERT(c.missed - missed == c.s.head - x && c.s.head > x && c.s.head <= now.all);
        else /* after -EOVERFLOW the next message is there: it is well behind the writer */
            RL_ASSERT(rc == -EAGAIN && !lapped);
        lapped = rc == -EOVERFLOW && now.capacity - skip >= 3;
        return rc != -EAGAIN;
    }

    void read(struct ipc_broadcast_consumer &c, uint64_t to)
    {
        bool lapped = false;

        while (c.s.head < to)
            if (!take(c, lapped))
                rl::yield(1, $);
    }
};

/* One writer, two readers. The first reader may be killed midway, with a message peeked. */
struct readers : cast<readers> {
    void thread(unsigned index)
    {
        struct ipc_broadcast_producer p;
        struct ipc_broadcast_consumer c, other;

        if (index == 0) {
            this->produce(p, 1000);
            this->send(p, now.all);
            ipc_broadcast_producer_detach(&p);
        } else if (index == 1 && now.dies) {
            const void *at;

            this->consume(c, MORTAL);
            this->read(c, now.all / 2);
            if ((at = ipc_broadcast_peek(&c)) != NULL)
                RL_ASSERT((int)this->slot(at)($) == (int)c.s.head);
            this->consume(other, MORTAL); /* so that the last reader needs a dead one's seat */
            this->dead.store(1, rl::mo_release, $);
        } else {
            bool lapped = false;

            this->consume(c, 1 + index);
            while (c.s.head < now.all) {
                if (!this->take(c, lapped))
                    rl::yield(1, $);
                if (now.rejoin) {
                    uint64_t x = c.s.head;
                    const void *at;

                    /* It leaves as it reads a message. */
                    if (now.how == IPC_BROADCAST_LOSSLESS && (at = ipc_broadcast_peek(&c)) != NULL)
                        RL_ASSERT((int)this->slot(at)($) == (int)x);
                    ipc_broadcast_consumer_detach(&c);
                    this->consume(c, 1 + index);
                    lapped = false;
                    /* What it has read had been sent. */
                    RL_ASSERT(c.s.head + (now.how == IPC_BROADCAST_LOSSY) >= x);
                }
            }
            ipc_broadcast_consumer_detach(&c);
        }
    }
};

/* Two writers: the second takes over from the first, which detached, or was killed as it wrote. */
struct writers : cast<writers> {
    void thread(unsigned index)
    {
        struct ipc_broadcast_producer p;
        struct ipc_broadcast_consumer c;
        uint64_t *at;

        if (index == 2) {
            this->consume(c, 3);
            this->read(c, now.all);
            ipc_broadcast_consumer_detach(&c);
            return;
        }
        for (;;) {
            this->produce(p, index == 0 && now.dies ? MORTAL : 20 + index);
            if (index == 0 || p.s.tail >= now.all / 2)
                break;
            ipc_broadcast_producer_detach(&p);
            rl::yield(1, $);
        }
        RL_ASSERT(p.s.tail == (index == 0 ? 0 : now.all / 2));
        this->send(p, index == 0 ? now.all / 2 : now.all);
        if (index == 0 && now.dies) {
            if ((at = (uint64_t *)ipc_broadcast_claim(&p)) != NULL) {
                if (now.how == IPC_BROADCAST_LOSSY)
                    ck_pr_store_64(at, 99);
                else
                    this->slot(at)($) = 99;
            }
            this->dead.store(1, rl::mo_release, $);
        } else {
            ipc_broadcast_producer_detach(&p);
        }
    }
};

template <typename scenario>
static void run(const char *name, unsigned capacity, int all, unsigned how, bool rejoin, bool dies)
{
    char what[100];

    if (!explore_wants(name))
        return;
    now.capacity = capacity;
    now.all = all;
    now.how = how;
    now.rejoin = rejoin;
    now.dies = dies;
    snprintf(what, sizeof what, "%s, capacity %u", name, capacity);
    explore<scenario>(what, 30000);
}

int main(int argc, char **argv)
{
    explore_begin(argc, argv);
    for (unsigned capacity = 1; capacity <= LARGEST; capacity *= 2) {
        int all = 3 * (int)capacity + 2;

        run<readers>("lossless", capacity, all, IPC_BROADCAST_LOSSLESS, false, false);
        run<readers>("lossless, rejoining", capacity, all, IPC_BROADCAST_LOSSLESS, true, false);
        run<readers>("lossless, a reader dies", capacity, all, IPC_BROADCAST_LOSSLESS, true, true);
        run<writers>("lossless, two writers", capacity, all, IPC_BROADCAST_LOSSLESS, false, false);
        run<writers>("lossless, the writer dies", capacity, all, IPC_BROADCAST_LOSSLESS, false,
                     true);
        run<readers>("lossy", capacity, all, IPC_BROADCAST_LOSSY, false, false);
        run<readers>("lossy, rejoining", capacity, all, IPC_BROADCAST_LOSSY, true, false);
        run<writers>("lossy, two writers", capacity, all, IPC_BROADCAST_LOSSY, false, false);
        run<writers>("lossy, the writer dies", capacity, all, IPC_BROADCAST_LOSSY, false, true);
    }
    return explore_end();
}
