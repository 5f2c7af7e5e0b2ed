/*
 * Calls under the Relacy model checker, with the ck_pr.h of this directory, and with an ipc_ring.h
 * with few seats, and no slots to spare (tests/order makes it):
 *
 *     sed 's/\(IPC_CALL_SERVERS\) 64u/\1 4u/; s/\(IPC_CALL_SLOTS_EACH_\) 2u/\1 1u/' ipc_ring.h
 *     g++ -std=c++14 -O1 -w -Itests/model -Iwhere-that-is tests/model/call.cc -o call
 *     ./call [scenario, or how its name begins [iterations]]
 *
 * Every reply answers its caller's request, at most one server takes each request, no thread
 * touches a message while another owns it, and no caller waits for ever once its servers are gone.
 * Threads may be killed before any of their steps. Otherwise as spsc.cc.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "mortal.h"
#include "ipc_ring.h"

enum { SLOTS = 4, STRIDE = 192, REQUESTS = 64, ANSWER = 1000 };

enum role { NOBODY, CALLER, SERVER };
enum {
    MORTAL = 1,
    GIVES_UP = 2, /* callers: give up after at most three looks */
    REJOINS = 4,  /* after each call or request; servers at times before they answer */
    ASKS = 8      /* callers: ask the kernel at each look whether the server is dead */
};

struct scenario {
    const char *name;
    unsigned long iterations;
    uint64_t callers;
    struct {
        enum role role;
        int rounds;
        unsigned how;
    } thread[THREADS];
};

static const struct scenario *now;

static struct __attribute__((aligned(64))) {
    unsigned char bytes[sizeof(struct ipc_call_shared) + SLOTS * STRIDE];
} memory;

/* The threads' results. */
static struct {
    bool ended[THREADS]; /* not killed */
    int taken[REQUESTS];
    struct ipc_call_client client[THREADS];
} all;

struct scene : rl::test_suite<scene, THREADS> {
    rl::atomic<uint64_t> shadow[sizeof memory / 8];
    rl::atomic<uint64_t> dead[THREADS];
    rl::var<int> payload[SLOTS];

    static size_t size()
    {
        return ipc_call_footprint(8, 8, now->callers);
    }

    static unsigned index_of(const void *at)
    {
        return (unsigned)((static_cast<const unsigned char *>(at) - memory.bytes -
                           sizeof(struct ipc_call_shared)) /
                          STRIDE);
    }

    void before()
    {
        model_end();
        memset(&memory, 0xa5, sizeof memory);
        RL_ASSERT(ipc_call_init(&memory, size(), 8, 8, now->callers) == 0);
        model_begin(&memory, shadow, size() / 8);
        memset(&all, 0, sizeof all);
        mortal_begin(now, MORTAL, dead, 60);
    }

    void thread(unsigned index)
    {
        try {
            if (now->thread[index].role == CALLER)
                call(index);
            else if (now->thread[index].role == SERVER)
                serve(index);
            all.ended[index] = true;
        } catch (const killed &) {
            dead[index].store(1, rl::mo_release, $);
        }
    }

    /* One call, completed or given up. Returns what ended it. */
    int one(struct ipc_call_client *c, int request, unsigned how)
    {
        int rc, looks, most = (how & GIVES_UP) != 0 ? (int)rl::rand(4) : 12;
        void *message = NULL;

        for (looks = 0; (rc = ipc_call_claim(c, &message)) == -EAGAIN && looks < 6; looks++)
            rl::yield(1, $);
        if (rc != 0)
            return rc;
        payload[index_of(message)]($) = request;
        RL_ASSERT(ipc_call_commit(c) == 0);
        for (looks = 0; looks < most; looks++) {
            if ((how & ASKS) != 0)
                c->vain = 0;
            rc = ipc_call_poll(c);
            if (rc != -EAGAIN)
                break;
            rl::yield(1, $);
        }
        if (looks == most)
            return -ETIMEDOUT;
        RL_ASSERT(rc == 0 || rc == -EOWNERDEAD || rc == -EPIPE);
        if (rc == 0)
            RL_ASSERT((int)payload[index_of(ipc_call_peek(c))]($) == request + ANSWER);
        return rc;
    }

    /* Returns false if no slot is free: there may be fewer than callers, or servers hold them. */
    static bool attach(struct ipc_call_client *c, struct ipc_peer *me)
    {
        int rc, tries;

        for (tries = 0; tries < 4; tries++) {
            rc = ipc_call_client_attach(c, &memory, size(), 8, 8, me);
            if (rc == 0)
                return true;
            RL_ASSERT(rc == -EUSERS);
            rl::yield(1, $);
        }
        return false;
    }

    void call(unsigned index)
    {
        struct ipc_peer me = {10 + index, lives, NULL, NULL, NULL, "", NULL, NULL};
        struct ipc_call_client *c = &all.client[index];
        int n, rc, rounds = now->thread[index].rounds;
        unsigned how = now->thread[index].how;

        if (!attach(c, &me))
            return;
        for (n = 1; n <= rounds; n++) {
            rc = one(c, (int)index * 16 + n, how);
            RL_ASSERT(ipc_call_client_error(c) == 0);
            if (rc == -ETIMEDOUT && n < rounds) /* the last call is left for after() */
                ipc_call_cancel(c);
            if ((how & REJOINS) != 0) {
                ipc_call_client_detach(c);
                if (!attach(c, &me))
                    return;
            }
        }
    }

    void serve(unsigned index)
    {
        struct ipc_peer me = {10 + index, lives, NULL, NULL, NULL, "", NULL, NULL};
        unsigned how = now->thread[index].how;
        int i, request, rc, rounds = now->thread[index].rounds;
        struct ipc_call_server s;

        RL_ASSERT(ipc_call_server_attach(&s, &memory, size(), 8, 8, &me) == 0);
        for (i = 0; i < 4 * rounds; i++) {
            void *message = ipc_call_take(&s);

            if (message == NULL) {
                rl::yield(1, $);
                continue;
            }
            request = (int)payload[index_of(message)]($);
            RL_ASSERT(request > 0 && request < REQUESTS && all.taken[request]++ == 0);
            payload[index_of(message)]($) = request + ANSWER;
            if ((how & REJOINS) == 0 || rl::rand(2) == 0) {
                rc = ipc_call_answer(&s, message);
                RL_ASSERT(rc == 0 || rc == -ECANCELED);
            }
            if ((how & REJOINS) != 0) {
                ipc_call_server_detach(&s);
                RL_ASSERT(ipc_call_server_attach(&s, &memory, size(), 8, 8, &me) == 0);
            }
        }
        ipc_call_server_detach(&s);
    }

    /* Callers that still wait learn how their call ended; then new callers can use all slots. */
    void after()
    {
        struct ipc_call_client c[SLOTS];
        struct ipc_call_server s;
        struct ipc_peer me = {30, lives, NULL, NULL, NULL, "", NULL, NULL};
        unsigned i;
        bool mortal = false;

        mortal_end();
        for (i = 0; i < THREADS; i++)
            mortal |= now->thread[i].role == SERVER && (now->thread[i].how & MORTAL) != 0;
        for (i = 0; i < THREADS; i++) {
            struct ipc_call_client *w = &all.client[i];

            if (now->thread[i].role != CALLER || !all.ended[i] || w->error != 0)
                continue;
            if (w->doing == IPC_CALL_WAITING_) {
                int rc;

                if (mortal)
                    w->vain = 0;
                rc = ipc_call_poll(w);
                RL_ASSERT(rc == 0 || rc == -EPIPE || rc == -EOWNERDEAD ||
                          (rc == -EAGAIN && w->reported == ck_pr_load_64(&w->ring->changes)));
            }
            ipc_call_client_detach(w);
        }
        for (i = 0; i < now->callers; i++)
            RL_ASSERT(ipc_call_client_attach(&c[i], &memory, size(), 8, 8, &me) == 0);
        RL_ASSERT(ipc_call_server_attach(&s, &memory, size(), 8, 8, &me) == 0);
        for (i = 0; i < 2 * now->callers; i++) {
            struct ipc_call_client *one = &c[i % now->callers];
            void *message;

            RL_ASSERT(ipc_call_claim(one, &message) == 0 && ipc_call_commit(one) == 0);
            RL_ASSERT(ipc_call_take(&s) == message && ipc_call_answer(&s, message) == 0);
            RL_ASSERT(ipc_call_poll(one) == 0 && ipc_call_peek(one) == message);
        }
    }
};

static const struct scenario scenarios[] = {
    {"one and one", 50000, 1, {{CALLER, 3}, {SERVER, 3}}},
    {"two and two", 100000, 2, {{CALLER, 2}, {CALLER, 2}, {SERVER, 2}, {SERVER, 2}}},
    {"giving up", 100000, 1, {{CALLER, 3, GIVES_UP}, {SERVER, 3}, {SERVER, 2}}},
    {"giving up, two and two",
     200000,
     4,
     {{CALLER, 3, GIVES_UP}, {CALLER, 3, GIVES_UP}, {SERVER, 2}, {SERVER, 2}}},
    {"callers come and go",
     200000,
     2,
     {{CALLER, 3, GIVES_UP | REJOINS}, {CALLER, 3, GIVES_UP | REJOINS}, {SERVER, 3}, {SERVER, 2}}},
    {"callers share a slot",
     200000,
     1,
     {{CALLER, 3, GIVES_UP | REJOINS}, {CALLER, 3, GIVES_UP | REJOINS}, {SERVER, 3}, {SERVER, 2}}},
    {"servers come and go",
     200000,
     2,
     {{CALLER, 3, ASKS}, {CALLER, 3, GIVES_UP}, {SERVER, 2, REJOINS}, {SERVER, 2, REJOINS}}},
    {"killed callers",
     200000,
     2,
     {{CALLER, 3, MORTAL | GIVES_UP}, {CALLER, 3, MORTAL}, {SERVER, 3}, {CALLER, 2, REJOINS}}},
    {"killed server",
     200000,
     2,
     {{CALLER, 3, ASKS}, {CALLER, 3, ASKS | GIVES_UP}, {SERVER, 3, MORTAL}, {SERVER, 2, MORTAL}}},
    {"killed server, successor",
     200000,
     1,
     {{CALLER, 4, ASKS}, {SERVER, 1, MORTAL}, {SERVER, 2, MORTAL | REJOINS}, {SERVER, 2}}},
    {"all may be killed",
     200000,
     4,
     {{CALLER, 3, MORTAL | GIVES_UP},
      {CALLER, 3, MORTAL | REJOINS},
      {SERVER, 3, MORTAL},
      {SERVER, 2, MORTAL | REJOINS}}},
};

int main(int argc, char **argv)
{
    explore_begin(argc, argv);
    for (const struct scenario &scenario : scenarios) {
        now = &scenario;
        if (explore_wants(now->name))
            explore<scene>(now->name, now->iterations);
    }
    return explore_end();
}
