/*
 * Broadcasts of records under the Relacy model checker, with the ck_pr.h of this directory, and an
 * ipc_ring.h with few seats that asks at once whether someone is dead (tests/order makes it):
 *
 *     sed 's/\(IPC_BROADCAST_SEATS\) 64u/\1 2u/; s/\(IPC_BROADCAST_ASK_AGAIN_\) 64u/\1 0u/
 *         s/\(IPC_BROADCAST_ASK_EVERY_\) 1024u/\1 1u/' ipc_ring.h
 *     g++ -std=c++14 -O1 -w -Itests/model -Iwhere-that-is tests/model/record_broadcast.cc -o record_broadcast
 *     ./record_broadcast [scenario, or how its name begins [iterations]]
 *
 * Each word of record x is x, except the second, which looks like the end. Lossless, the words are
 * in rl::vars, so that Relacy sees data races; lossy, they are in the shadow, where old and new
 * words mix. Otherwise as spsc.cc.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "one_dies.h"
#include "ipc_ring.h"

enum { CAPACITY = 64, WORDS = CAPACITY / 8, ALL = 10 };

static size_t length_of(uint64_t x)
{
    static const size_t some[] = {8, 16, 16, 24, 8};

    return some[x % 5];
}

/* The scenario that runs. */
static struct {
    unsigned how;
    bool rejoin; /* the last reader detaches and attaches again after each record */
    bool dies;   /* the first reader, or the writer, is killed while it holds a record */
} now;

static struct __attribute__((aligned(64))) {
    unsigned char bytes[sizeof(struct ipc_record_broadcast_shared) +
                        64 * ((IPC_BROADCAST_SEATS + 7) / 8 + IPC_BROADCAST_SEATS) + CAPACITY];
} memory;

template <typename scenario> struct cast : rl::test_suite<scenario, 3> {
    rl::atomic<uint64_t> shadow[sizeof memory / 8], dead;
    rl::var<int> word[WORDS];
    uint64_t sent;      /* by all writers */
    uint64_t committed; /* lossless: how many of these are committed */
    uint64_t written;   /* the position behind them */

    static size_t size()
    {
        return ipc_record_broadcast_footprint(CAPACITY, 0);
    }

    void before()
    {
        model_end();
        memset(&memory, 0xa5, sizeof memory);
        RL_ASSERT(ipc_record_broadcast_init(&memory, size(), CAPACITY, now.how) == 0);
        model_begin(&memory, shadow, size() / 8);
        dead.store(0, rl::mo_relaxed, $);
        death = &dead;
        sent = committed = written = 0;
    }

    rl::var<int> *words(const void *at)
    {
        size_t offset = (size_t)(static_cast<const unsigned char *>(at) - memory.bytes);

        return word + (offset - ipc_record_broadcast_kind_(0).header) / 8;
    }

    void produce(struct ipc_record_broadcast_producer &p, uint64_t id)
    {
        struct ipc_peer me = {id, not_yet_dead, NULL, NULL, NULL, "", NULL, NULL};
        int rc;

        while ((rc = ipc_record_broadcast_producer_attach(&p, &memory, size(), &me)) == -EBUSY)
            rl::yield(1, $);
        RL_ASSERT(rc == 0 && p.r.tail == written);
        RL_ASSERT(now.how == IPC_BROADCAST_LOSSLESS || p.mark.next == sent);
    }

    void send(struct ipc_record_broadcast_producer &p, uint64_t to)
    {
        while (sent < to) {
            uint64_t m[3] = {sent, 0, sent};
            size_t n = length_of(sent);
            void *at;

            if (now.how == IPC_BROADCAST_LOSSY) {
                sent++;
                RL_ASSERT(ipc_record_broadcast_push(&p, m, n) == 0);
                written = p.r.tail;
                continue;
            }
            while ((at = ipc_record_broadcast_claim(&p, n)) == NULL) {
                RL_ASSERT(ipc_record_broadcast_producer_error(&p) == 0);
                rl::yield(1, $);
            }
            for (size_t i = 0; i < n / 8; i++)
                words(at)[i]($) = (int)sent;
            sent++;
            RL_ASSERT(ipc_record_broadcast_commit(&p, n) == 0);
            written = p.r.tail;
            committed = sent;
        }
    }

    /* x: the next record that it will read */
    void consume(struct ipc_record_broadcast_consumer &c, uint64_t id, uint64_t &x)
    {
        struct ipc_peer me = {id, not_yet_dead, NULL, NULL, NULL, "", NULL, NULL};
        int rc;

        while ((rc = ipc_record_broadcast_consumer_attach(&c, &memory, size(), &me)) == -EUSERS)
            rl::yield(1, $);
        RL_ASSERT(rc == 0);
        if (now.how == IPC_BROADCAST_LOSSY)
            x = c.next;
        else
            x = c.r.head == written && committed == ALL ? ALL : ~UINT64_C(0);
    }

    /* Reads one record, or learns of a loss. Returns false if there was none. */
    bool take(struct ipc_record_broadcast_consumer &c, uint64_t &x)
    {
        uint64_t m[3], missed = c.missed;
        const void *at;
        int64_t rc;
        size_t n;

        if (now.how == IPC_BROADCAST_LOSSLESS) {
            at = ipc_record_broadcast_peek(&c, &n);
            RL_ASSERT(ipc_record_broadcast_consumer_error(&c) == 0);
            if (at == NULL)
                return false;
            if (x == ~UINT64_C(0))
                x = (int)words(at)[0]($);
            RL_ASSERT(n == length_of(x));
            for (size_t i = 0; i < n / 8; i++)
                RL_ASSERT((int)words(at)[i]($) == (int)x);
            RL_ASSERT(ipc_record_broadcast_release(&c) == 0);
            x++;
            return true;
        }
        rc = ipc_record_broadcast_pop(&c, m, sizeof m);
        if (rc >= 0) {
            RL_ASSERT((size_t)rc == length_of(x));
            for (size_t i = 0; i < (size_t)rc / 8; i++)
                RL_ASSERT(m[i] == (i == 1 ? 0 : x));
            x++;
        } else if (rc == -EOVERFLOW) {
            RL_ASSERT(c.missed > missed);
            x += c.missed - missed;
        }
        RL_ASSERT(rc >= 0 || rc == -EOVERFLOW || rc == -EAGAIN);
        RL_ASSERT(x <= sent && x == c.next);
        return rc != -EAGAIN;
    }

    void read(struct ipc_record_broadcast_consumer &c, uint64_t &x, uint64_t to)
    {
        while (x + 1 < to + 1) /* also when x is not known yet */
            if (!take(c, x))
                rl::yield(1, $);
    }
};

/* One writer, two readers. The first reader may be killed midway, with a record peeked. */
struct readers : cast<readers> {
    void thread(unsigned index)
    {
        struct ipc_record_broadcast_producer p;
        struct ipc_record_broadcast_consumer c;
        uint64_t x;
        size_t n;

        if (index == 0) {
            this->produce(p, 1000);
            this->send(p, ALL);
            ipc_record_broadcast_producer_detach(&p);
        } else if (index == 1 && now.dies) {
            const void *at;

            this->consume(c, MORTAL, x);
            this->read(c, x, ALL / 2);
            if ((at = ipc_record_broadcast_peek(&c, &n)) != NULL)
                RL_ASSERT((int)this->words(at)[0]($) == (int)x);
            this->dead.store(1, rl::mo_release, $);
        } else {
            this->consume(c, 1 + index, x);
            while (x + 1 < ALL + 1) {
                if (!this->take(c, x))
                    rl::yield(1, $);
                if (now.rejoin) {
                    ipc_record_broadcast_consumer_detach(&c);
                    this->consume(c, 1 + index, x);
                }
            }
            ipc_record_broadcast_consumer_detach(&c);
        }
    }
};

/* Two writers: the second takes over from the first, which detached, or was killed as it wrote. */
struct writers : cast<writers> {
    void thread(unsigned index)
    {
        struct ipc_record_broadcast_producer p;
        struct ipc_record_broadcast_consumer c;
        uint64_t *at, x;

        if (index == 2) {
            this->consume(c, 3, x);
            this->read(c, x, ALL);
            ipc_record_broadcast_consumer_detach(&c);
            return;
        }
        for (;;) {
            this->produce(p, index == 0 && now.dies ? MORTAL : 20 + index);
            if (index == 0 || this->sent >= ALL / 2)
                break;
            ipc_record_broadcast_producer_detach(&p);
            rl::yield(1, $);
        }
        this->send(p, index == 0 ? ALL / 2 : ALL);
        if (index == 0 && now.dies) {
            if ((at = (uint64_t *)ipc_record_broadcast_claim(&p, 24)) != NULL) {
                if (now.how == IPC_BROADCAST_LOSSY)
                    ck_pr_store_64(at, 99);
                else
                    this->words(at)[0]($) = 99;
            }
            this->dead.store(1, rl::mo_release, $);
        } else {
            ipc_record_broadcast_producer_detach(&p);
        }
    }
};

template <typename scenario> static void run(const char *name, unsigned how, bool rejoin, bool dies)
{
    if (!explore_wants(name))
        return;
    now.how = how;
    now.rejoin = rejoin;
    now.dies = dies;
    explore<scenario>(name, 100000);
}

int main(int argc, char **argv)
{
    explore_begin(argc, argv);
    run<readers>("lossless", IPC_BROADCAST_LOSSLESS, false, false);
    run<readers>("lossless, rejoining", IPC_BROADCAST_LOSSLESS, true, false);
    run<readers>("lossless, a reader dies", IPC_BROADCAST_LOSSLESS, true, true);
    run<writers>("lossless, two writers", IPC_BROADCAST_LOSSLESS, false, false);
    run<writers>("lossless, the writer dies", IPC_BROADCAST_LOSSLESS, false, true);
    run<readers>("lossy", IPC_BROADCAST_LOSSY, false, false);
    run<readers>("lossy, rejoining", IPC_BROADCAST_LOSSY, true, false);
    run<writers>("lossy, two writers", IPC_BROADCAST_LOSSY, false, false);
    run<writers>("lossy, the writer dies", IPC_BROADCAST_LOSSY, false, true);
    return explore_end();
}
