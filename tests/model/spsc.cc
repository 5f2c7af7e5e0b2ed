/*
 * The SPSC ring under the Relacy model checker, with the ck_pr.h of this directory:
 *
 *     g++ -std=c++14 -O1 -w -Itests/model -I. tests/model/spsc.cc -o spsc
 *     ./spsc [scenario, or how its name begins [iterations]]
 *
 * Runs each scenario in many interleavings, chosen at random from a fixed seed. Ends with 0 if
 * every message came once and in order, and no access to a slot was a data race. Otherwise prints
 * what Relacy found, with the history that led there, and ends with 1, as it must with each twin of
 * ck_pr.h. -w is for Relacy, which is older than today's warnings.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "explore.h"
#include "ipc_ring.h"
#include "ipc_notify.h"

enum { LARGEST = 8, STRIDE = 16 };
#define DEFAULT (~UINT64_C(0)) /* replay as attach sets it */

/* The scenario that runs. Not template arguments: Relacy takes long to compile. */
static struct {
    int capacity, count;
    uint64_t replay; /* or DEFAULT */
    bool producer;   /* the end that is inherited is the producer's */
} now;

/* Static for its alignment; every iteration begins with a fresh ring in it. */
static struct __attribute__((aligned(64))) {
    unsigned char bytes[sizeof(struct ipc_spsc_shared) + LARGEST * STRIDE];
} memory;

/*
 * A ring with its shadow. The messages are in an rl::var for each slot, which is read and written
 * between the call that hands out the slot and the one that gives it back.
 */
template <typename scenario, int threads> struct ring : rl::test_suite<scenario, threads> {
    rl::atomic<uint64_t> shadow[sizeof memory / 8];
    rl::var<int> payload[LARGEST];

    void before()
    {
        model_end();
        memset(&memory, 0xa5, sizeof memory);
        RL_ASSERT(ipc_spsc_init(&memory, size(), sizeof(uint64_t), now.capacity) == 0);
        model_begin(&memory, shadow, size() / 8);
    }

    static size_t size()
    {
        return ipc_spsc_footprint(sizeof(uint64_t), now.capacity);
    }

    rl::var<int> &slot(const void *at)
    {
        size_t offset = (size_t)(static_cast<const unsigned char *>(at) - memory.bytes);

        return payload[(offset - sizeof(struct ipc_spsc_shared)) / STRIDE];
    }

    /* Waits while another thread holds the end. */
    void produce(struct ipc_spsc_producer &p, struct ipc_peer *me = NULL)
    {
        int rc;

        while ((rc = ipc_spsc_producer_attach(&p, &memory, size(), sizeof(uint64_t), me)) == -EBUSY)
            rl::yield(1, $);
        RL_ASSERT(rc == 0);
    }

    void consume(struct ipc_spsc_consumer &c, uint64_t replay, struct ipc_peer *me = NULL)
    {
        int rc;

        while ((rc = ipc_spsc_consumer_attach(&c, &memory, size(), sizeof(uint64_t), me)) == -EBUSY)
            rl::yield(1, $);
        RL_ASSERT(rc == 0);
        if (replay != ~UINT64_C(0))
            ipc_spsc_replay(&c, replay);
    }

    void send(struct ipc_spsc_producer &p, int from, int to)
    {
        void *at;

        for (; from < to; from++) {
            while ((at = ipc_spsc_claim(&p)) == NULL) {
                RL_ASSERT(ipc_spsc_producer_error(&p) == 0);
                rl::yield(1, $);
            }
            slot(at)($) = from;
            RL_ASSERT(ipc_spsc_commit(&p) == 0);
        }
    }

    void take(struct ipc_spsc_consumer &c, int from, int to)
    {
        const void *at;

        for (; from < to; from++) {
            while ((at = ipc_spsc_peek(&c)) == NULL) {
                RL_ASSERT(ipc_spsc_consumer_error(&c) == 0);
                rl::yield(1, $);
            }
            RL_ASSERT((int)slot(at)($) == from);
            RL_ASSERT(ipc_spsc_release(&c) == 0);
        }
    }
};

/* One producer, one consumer. At the end the ring must be empty. */
struct stream : ring<stream, 2> {
    void thread(unsigned index)
    {
        if (index == 0) {
            struct ipc_spsc_producer p;

            this->produce(p);
            this->send(p, 0, now.count);
        } else {
            struct ipc_spsc_consumer c;

            this->consume(c, now.replay);
            this->take(c, 0, now.count);
            RL_ASSERT(ipc_spsc_peek(&c) == NULL && ipc_spsc_consumer_error(&c) == 0);
            ipc_spsc_consumer_detach(&c);
        }
    }

    void after()
    {
        struct ipc_spsc_consumer c;

        this->consume(c, DEFAULT);
        RL_ASSERT(c.head == now.count && ipc_spsc_consumer_was_size(&c) == 0);
    }
};

/* As stream, but each end is detached and attached again by the same thread: the producer after
 * every message, the consumer after every second one. */
struct again : ring<again, 2> {
    void thread(unsigned index)
    {
        if (index == 0) {
            struct ipc_spsc_producer p;

            for (int i = 0; i < now.count; i++) {
                this->produce(p);
                this->send(p, i, i + 1);
                ipc_spsc_producer_detach(&p);
            }
        } else {
            struct ipc_spsc_consumer c;

            for (int i = 0; i < now.count; i += 2) {
                this->consume(c, now.replay);
                this->take(c, i, i + 2 < now.count ? i + 2 : now.count);
                ipc_spsc_consumer_detach(&c);
            }
        }
    }
};

/* Proof of death for a process that is killed and whose successor runs in the same thread. */
static int nobody_lives(void *arg, uint64_t id)
{
    (void)arg;
    (void)id;
    return 0;
}

/* Each end is killed midway, the producer with a message half written, the consumer with one
 * peeked; a successor goes on. It sees at most `replay` messages again, and the message peeked. */
struct killed : ring<killed, 2> {
    void thread(unsigned index)
    {
        struct ipc_peer dead = {10 + index, nobody_lives, NULL, NULL, NULL, "", NULL, NULL};
        struct ipc_peer next = {20 + index, nobody_lives, NULL, NULL, NULL, "", NULL, NULL};

        if (index == 0) {
            struct ipc_spsc_producer p;
            void *at;

            this->produce(p, &dead);
            this->send(p, 0, now.count / 2);
            if ((at = ipc_spsc_claim(&p)) != NULL)
                this->slot(at)($) = -1;
            this->produce(p, &next);
            RL_ASSERT(p.tail == now.count / 2);
            this->send(p, now.count / 2, now.count);
        } else {
            struct ipc_spsc_consumer c;
            const void *at;

            this->consume(c, now.replay, &dead);
            this->take(c, 0, now.count / 2);
            if ((at = ipc_spsc_peek(&c)) != NULL)
                RL_ASSERT((int)this->slot(at)($) == now.count / 2);
            this->consume(c, now.replay, &next);
            RL_ASSERT(c.head <= now.count / 2 && now.count / 2 - c.head <= c.replay);
            this->take(c, (int)c.head, now.count);
        }
    }
};

/* Two threads for one end: the second attaches once the first has detached, which it learns from
 * the ring alone. */
struct next_producer : ring<next_producer, 3> {
    void thread(unsigned index)
    {
        if (index < 2) {
            struct ipc_spsc_producer p;
            int from;

            this->produce(p);
            from = (int)p.tail;
            RL_ASSERT(from == 0 || from == now.count / 2);
            this->send(p, from, from + now.count / 2);
            ipc_spsc_producer_detach(&p);
        } else {
            struct ipc_spsc_consumer c;

            this->consume(c, now.replay);
            this->take(c, 0, now.count / 2 * 2);
        }
    }
};

struct next_consumer : ring<next_consumer, 3> {
    void thread(unsigned index)
    {
        if (index < 2) {
            struct ipc_spsc_consumer c;
            int from;

            this->consume(c, now.replay);
            from = (int)c.head;
            RL_ASSERT(from == 0 || from == now.count / 2);
            this->take(c, from, from + now.count / 2);
            ipc_spsc_consumer_detach(&c);
        } else {
            struct ipc_spsc_producer p;

            this->produce(p);
            this->send(p, 0, now.count / 2 * 2);
        }
    }
};

/* The second takes the end from the first, which was killed. The kernel's proof of death comes
 * after all that the dead process did: here it is an acquire of what its thread released. */
static rl::atomic<uint64_t> *death;

static int not_yet_dead(void *arg, uint64_t id)
{
    (void)arg;
    (void)id;
    return death->load(rl::mo_acquire, $) == 0;
}

struct heir : ring<heir, 3> {
    rl::atomic<uint64_t> dead;

    void before()
    {
        ring<heir, 3>::before();
        dead.store(0, rl::mo_relaxed, $);
        death = &dead;
    }

    void thread(unsigned index)
    {
        struct ipc_peer me = {10 + index, not_yet_dead, NULL, NULL, NULL, "", NULL, NULL};
        struct ipc_spsc_producer p;
        struct ipc_spsc_consumer c;

        if (index == 2) { /* the end that lives on */
            if (now.producer) {
                this->consume(c, now.replay);
                this->take(c, 0, now.count);
            } else {
                this->produce(p);
                this->send(p, 0, now.count);
            }
            return;
        }
        if (index == 1)
            while (dead.load(rl::mo_relaxed, $) == 0) /* or this thread could be first */
                rl::yield(1, $);
        if (now.producer) {
            this->produce(p, &me);
            RL_ASSERT(p.tail == (index == 0 ? 0 : now.count / 2));
            this->send(p, (int)p.tail, index == 0 ? now.count / 2 : now.count);
        } else {
            this->consume(c, now.replay, &me);
            RL_ASSERT(index == 0 ? c.head == 0
                                 : c.head <= now.count / 2 && now.count / 2 - c.head <= c.replay);
            this->take(c, (int)c.head, index == 0 ? now.count / 2 : now.count);
        }
        if (index == 0)
            dead.store(1, rl::mo_release, $);
    }
};

/* Sleeps, and wakes when another thread may have done something. */
static int sleep_once(struct ipc_notify *n, int64_t deadline, ipc_notify_look_ *look, void *handle,
                      void *argument)
{
    (void)n;
    (void)deadline;
    (void)look(handle, argument);
    rl::yield(1, $);
    return 0;
}

static int finds_message(void *handle, void *argument)
{
    (void)argument;
    return ipc_spsc_peek(static_cast<struct ipc_spsc_consumer *>(handle)) != NULL;
}

static int finds_room(void *handle, void *argument)
{
    (void)argument;
    return ipc_spsc_claim(static_cast<struct ipc_spsc_producer *>(handle)) != NULL;
}

/* A process comes to the other end, and leaves it: a waiter is told of that after it was given all
 * messages, or all room. */
struct leaver : ring<leaver, 2> {
    struct ipc_notify_peer_ peer;

    void before()
    {
        struct ipc_spsc_producer p;

        ring<leaver, 2>::before();
        memset(&peer, 0, sizeof peer);
        if (now.producer)
            return;
        this->produce(p);
        this->send(p, 0, now.capacity);
        ipc_spsc_producer_detach(&p);
    }

    template <typename end> int wait(end &e, unsigned other, ipc_notify_look_ *look)
    {
        struct ipc_notify n;

        memset(&n, 0, sizeof n);
        return ipc_notify_wait_with_peer_(&n, &e.ring->end[other], &e.ring->left[other], &peer,
                                          IPC_FOREVER, sleep_once, look, &e, NULL);
    }

    void thread(unsigned index)
    {
        struct ipc_spsc_producer p;
        struct ipc_spsc_consumer c;
        int n = 0;

        if (index == 0 && now.producer) { /* the end that is left is the producer's */
            this->produce(p);
            this->send(p, 0, now.count);
            ipc_spsc_producer_detach(&p);
        } else if (index == 0) {
            this->consume(c, now.replay);
            this->take(c, 0, now.count);
            ipc_spsc_consumer_detach(&c);
        } else if (now.producer) {
            this->consume(c, now.replay);
            for (; wait(c, 0, finds_message) == 0; n++)
                this->take(c, n, n + 1);
            RL_ASSERT(n == now.count);
        } else {
            this->produce(p);
            for (; wait(p, 1, finds_room) == 0; n++)
                this->send(p, now.capacity + n, now.capacity + n + 1);
            RL_ASSERT(n == now.count);
        }
    }
};

template <typename scenario>
static void run(const char *name, unsigned long iterations, int capacity, int n, uint64_t replay)
{
    char what[100];

    if (!explore_wants(name))
        return;
    now.capacity = capacity;
    now.count = n;
    now.replay = replay;
    snprintf(what, sizeof what, "%s: capacity %d, %d messages, replay %lld", name, capacity, n,
             (long long)replay);
    explore<scenario>(what, iterations);
}

int main(int argc, char **argv)
{
    explore_begin(argc, argv);
    run<stream>("stream", 100000, 1, 4, 0);
    run<stream>("stream", 100000, 2, 5, 0);
    run<stream>("stream", 100000, 2, 5, 1);
    run<stream>("stream", 100000, 4, 7, 2);
    run<stream>("stream", 30000, 8, 12, DEFAULT);
    run<again>("again", 50000, 1, 4, 0);
    run<again>("again", 50000, 2, 5, 1);
    run<again>("again", 50000, 4, 7, 2);
    run<killed>("killed", 50000, 1, 4, 0);
    run<killed>("killed", 50000, 2, 6, 1);
    run<killed>("killed", 50000, 4, 8, 2);
    now.producer = true;
    run<heir>("heir of a producer", 50000, 1, 4, 0);
    run<heir>("heir of a producer", 50000, 2, 4, 0);
    run<heir>("heir of a producer", 50000, 4, 6, 2);
    now.producer = false;
    run<heir>("heir of a consumer", 50000, 1, 4, 0);
    run<heir>("heir of a consumer", 50000, 2, 4, 1);
    run<heir>("heir of a consumer", 50000, 4, 6, 2);
    run<next_producer>("next producer", 50000, 1, 4, 0);
    run<next_producer>("next producer", 50000, 2, 4, 0);
    run<next_producer>("next producer", 50000, 4, 6, 2);
    run<next_consumer>("next consumer", 50000, 1, 4, 0);
    run<next_consumer>("next consumer", 50000, 2, 6, 0);
    run<next_consumer>("next consumer", 50000, 4, 8, 2);
    now.producer = true;
    run<leaver>("leaving producer", 50000, 2, 1, 0);
    run<leaver>("leaving producer", 50000, 2, 2, 1);
    now.producer = false;
    run<leaver>("leaving consumer", 50000, 2, 1, 0);
    run<leaver>("leaving consumer", 50000, 2, 2, 1);
    return explore_end();
}
