/*
 * The event count of ipc_notify.h under the Relacy model checker, with the ck_pr.h of this
 * directory and a model of the system calls below:
 *
 *     g++ -std=c++14 -O1 -w -Itests/model -I. tests/model/notify.cc -o notify
 *     ./notify [scenario, or how its name begins [iterations]]
 *
 * Waiters have no deadline: a thread that sleeps when nobody is left to wake it fails the test.
 * Otherwise as spsc.cc.
 *
 * The model's kernel: futex calls see the newest value of the word, and are fences; membarrier
 * interrupts the other threads one by one, each between any two of its steps, with a fence. A
 * thread may be killed before any of its steps. Relacy picks the next thread at each step; in
 * addition, the scheduler here once leaves one thread out for a long while, as rare interleavings
 * are of that kind.
 *
 * What it cannot see, besides what ck_pr.h lists: kinds other than IPC_NOTIFY_FUTEX, deadlines,
 * signals, and watching a peer, which includes ARMED.
 *
 * Weakened twins, which must be caught: those of twin.h by line; TWIN=MEMBARRIER, which makes that
 * call do nothing; and those of notify.twins.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#define _GNU_SOURCE 1
#include "explore.h"
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

static long model_syscall(long number, ...);
static int model_nanosleep(const struct timespec *time, struct timespec *left);
#define syscall model_syscall
#define nanosleep model_nanosleep
#include "ipc_notify.h"
#undef syscall
#undef nanosleep

enum { THREADS = 4, POSTS = 4, BELLS = 2, LONG = 32 };

/* ------------------------------------------------------------------ scenarios */

enum role {
    NOBODY,
    POSTER, /* stores and posts */
    POSTER_ONE /* the same, with ipc_notify_post_one */,
    WAITER, /* waits for each message of all posters */
    TAKER,  /* the same, but each message is for one of the takers */
    PINGER, /* sends to the ponger, and waits for its answer */
    PONGER
};
enum {
    QUIET = 1,  /* each of its posts follows many that found no sleeper */
    BARE = 2,   /* has no membarrier, and attaches while the others run */
    MORTAL = 4, /* may be killed */
    LAST = 8,   /* waits for the last message only */
    READS = 16  /* may only read the memory */
};

struct scenario {
    const char *name;
    unsigned long iterations;
    uint32_t word; /* its initial value */
    struct {
        enum role role;
        int rounds; /* messages to send, or to wait for */
        unsigned how;
    } thread[THREADS];
};

static const struct scenario *now;

/* A notifier of this kind uses only its first sixteen bytes. So notifiers overlap here, which keeps
 * the shadow small. Static for its alignment. */
static struct __attribute__((aligned(64))) {
    struct {
        uint64_t word, deaf;
    } bell[BELLS];
    uint64_t stored[THREADS]; /* messages of each poster */
    uint64_t taken[THREADS];  /* how many of them were taken */
    unsigned char room[IPC_NOTIFY_SIZE];
} memory;

enum { WORDS = BELLS + 2 * THREADS };

/* ------------------------------------------------------------------ the kernel */

enum state { RUNS, FORGOTTEN, SLEEPS, GONE };

static struct {
    enum state state[THREADS];
    const void *asleep_on[THREADS];
    unsigned steps_of[THREADS];
    unsigned steps; /* of all threads */
    unsigned forgotten, forget_at, forget_for;
    unsigned kill_at;
} kernel;

struct killed {
};

static bool model_others(enum state most)
{
    for (unsigned i = 0; i < THREADS; i++)
        if (i != rl::thread_index() && kernel.state[i] <= most)
            return true;
    return false;
}

/* The scheduler leaves this thread out for `steps` steps of the others, if another can run. */
static void model_forget(unsigned steps)
{
    unsigned then = kernel.steps + steps;

    kernel.state[rl::thread_index()] = FORGOTTEN;
    while (kernel.steps < then && model_others(RUNS))
        rl::ctx().sched(); /* not rl::yield, after which newer values are seen */
    kernel.state[rl::thread_index()] = RUNS;
}

static void model_step()
{
    unsigned me = rl::thread_index(), mine = kernel.steps_of[me]++;

    kernel.steps++;
    if ((now->thread[me].how & MORTAL) != 0 && mine == kernel.kill_at)
        throw killed();
    if (me == kernel.forgotten && mine == kernel.forget_at)
        model_forget(kernel.forget_for);
}

#ifdef WEAK_RELACY_HPP
static void model_interrupt(unsigned index)
{
    rl::enter_kernel(index);
}

static uint32_t model_newest(const uint32_t *word)
{
    uint64_t now = model_word_(word, $).newest();
    uint32_t value;

    memcpy(&value, reinterpret_cast<unsigned char *>(&now) + (uintptr_t)word % 8, sizeof value);
    return value;
}
#else
/* Interrupts a thread between two of its steps, for a fence. */
static void model_interrupt(unsigned index)
{
    typedef rl::thread_info<THREADS> info;
    rl::context &c = rl::ctx();
    info *all = static_cast<rl::aligned<info> *>(static_cast<info *>(c.threadx_));

    /* The thread_infos are one array. */
    all = static_cast<rl::aligned<info> *>(all) + ((int)index - (int)rl::thread_index());
    all->atomic_thread_fence_seq_cst(c.seq_cst_fence_order_);
}

static uint32_t model_newest(const uint32_t *word)
{
    return *word;
}
#endif

/* The calling thread enters or leaves the kernel. */
static void model_cross()
{
#ifdef WEAK_RELACY_HPP
    rl::enter_kernel(rl::thread_index());
#else
    rl::atomic_thread_fence(rl::mo_seq_cst, $);
#endif
}

static void model_interrupt_all(bool bare)
{
    unsigned first = rl::rand(THREADS);

    model_cross();
    for (unsigned i = 0; i < THREADS; i++) {
        unsigned to = (first + i) % THREADS;

        if (to == rl::thread_index() || (!bare && (now->thread[to].how & BARE) != 0))
            continue;
        rl::ctx().sched();
        model_interrupt(to);
    }
    model_cross();
}

/* Threads that could not register are left out. */
static long model_membarrier()
{
    if ((now->thread[rl::thread_index()].how & BARE) != 0)
        return -ENOSYS;
    if (twin_name_ != 'M')
        model_interrupt_all(false);
    return 0;
}

/* Sleeps for so long that every processor's stores have become visible. */
static int model_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)time;
    (void)left;
    model_step();
    model_interrupt_all(true);
    return 0;
}

static long model_futex_wait(const uint32_t *word, uint32_t value)
{
    unsigned me = rl::thread_index();

    model_cross();
    if (model_newest(word) != value)
        return -EAGAIN;
    kernel.state[me] = SLEEPS;
    kernel.asleep_on[me] = word;
    while (kernel.state[me] == SLEEPS) {
        if (!model_others(FORGOTTEN))
            rl::ctx().fail_test("asleep, and nobody is left", rl::test_result_deadlock, $);
        rl::ctx().sched();
    }
    model_cross();
    return 0;
}

static long model_futex_wake(const uint32_t *word, uint32_t most)
{
    unsigned first = rl::rand(THREADS);
    long woken = 0;

    model_cross();
    for (unsigned i = 0; i < THREADS && woken < most; i++) {
        unsigned who = (first + i) % THREADS;

        if (kernel.state[who] == SLEEPS && kernel.asleep_on[who] == word) {
            kernel.state[who] = RUNS;
            woken++;
        }
    }
    return woken;
}

static long model_syscall(long number, ...)
{
    const uint32_t *word = NULL;
    uint32_t value = 0;
    long rc;
    int what;
    va_list list;

    va_start(list, number);
    if (number == SYS_futex)
        word = va_arg(list, const uint32_t *);
    what = va_arg(list, int);
    if (number == SYS_futex)
        value = va_arg(list, uint32_t);
    va_end(list);
    if (model_.shadow == NULL)
        return 0; /* all of these calls exist */
    model_step();
    if (number == SYS_membarrier)
        rc = model_membarrier();
    else if (number == SYS_futex && what == IPC_NOTIFY_FUTEX_WAKE_)
        rc = model_futex_wake(word, value);
    else if (number == SYS_futex && what == IPC_NOTIFY_FUTEX_WAIT_)
        rc = model_futex_wait(word, value);
    else
        rc = -ENOSYS;
    if (rl::rand(8) == 0)
        model_forget(rl::rand(LONG));
    errno = (int)-rc;
    return rc < 0 ? -1 : rc;
}

/* ------------------------------------------------------------------ what the threads do */

struct scene : rl::test_suite<scene, THREADS> {
    rl::atomic<uint64_t> shadow[WORDS];
    rl::var<int> payload[THREADS][POSTS + 1];
    struct ipc_notify bell[BELLS]; /* threads copy these */

    static void attach(struct ipc_notify *bell, int i)
    {
        RL_ASSERT(
            ipc_notify_attach(bell, &memory.bell[i], IPC_NOTIFY_SIZE, IPC_NOTIFY_FUTEX, NULL) == 0);
        ipc_notify_policy(bell, 0, 0);
    }

    void before()
    {
        model_end();
        memset(&memory, 0, sizeof memory);
        for (int i = 0; i < BELLS; i++) {
            memcpy(&memory.bell[i], &now->word, sizeof now->word);
            attach(&bell[i], i);
        }
        model_begin(&memory, shadow, WORDS);
        memset(&kernel, 0, sizeof kernel);
        kernel.forgotten = rl::rand(THREADS + 1);
        kernel.forget_at = rl::rand(32);
        kernel.forget_for = rl::rand(LONG);
        kernel.kill_at = rl::rand(32);
    }

    void thread(unsigned index)
    {
        try {
            if (now->thread[index].role != NOBODY)
                live(index);
        } catch (const killed &) {
        }
        kernel.state[index] = GONE;
    }

    void live(unsigned index)
    {
        enum role role = now->thread[index].role;
        struct ipc_notify bell[BELLS];

        for (int i = 0; i < BELLS; i++) {
            bell[i] = this->bell[i];
            if ((now->thread[index].how & BARE) != 0) { /* what attach does in such a process */
                bell[i].uses &= ~IPC_USES_MEMBARRIER;
                ipc_notify_set_lacks_(&bell[i]);
            }
            bell[i].read_only = (now->thread[index].how & READS) != 0;
        }
        for (int i = 1; i <= now->thread[index].rounds; i++) {
            if (role == POSTER || role == POSTER_ONE || role == PINGER)
                send(index, i, &bell[role == PINGER]);
            if (role == WAITER &&
                ((now->thread[index].how & LAST) == 0 || i == now->thread[index].rounds))
                RL_ASSERT(ipc_wait(&bell[0], IPC_FOREVER, there(i)) == 0);
            if (role == TAKER)
                RL_ASSERT(ipc_wait(&bell[0], IPC_FOREVER, take()) == 0);
            if (role == PINGER)
                RL_ASSERT(ipc_wait(&bell[0], IPC_FOREVER, has(1, i)) == 0);
            if (role == PONGER) {
                RL_ASSERT(ipc_wait(&bell[1], IPC_FOREVER, has(0, i)) == 0);
                send(index, i, &bell[0]);
            }
        }
    }

    void send(unsigned index, int i, struct ipc_notify *bell)
    {
        if ((now->thread[index].how & QUIET) != 0)
            bell->quiet = IPC_NOTIFY_QUIET_ - 1;
        payload[index][i]($) = i;
        ck_pr_fence_store();
        ck_pr_store_64(&memory.stored[index], i);
        if (now->thread[index].role == POSTER_ONE)
            RL_ASSERT(ipc_notify_post_one(bell) == 0);
        else
            RL_ASSERT(ipc_notify_post(bell) == 0);
    }

    /* Has thread `index` stored i messages? */
    bool has(unsigned index, int i)
    {
        if ((int)ck_pr_load_64(&memory.stored[index]) < i)
            return false;
        ck_pr_fence_load();
        RL_ASSERT((int)payload[index][i]($) == i);
        return true;
    }

    /* Is this a poster that sends all its messages? One that may be killed is not. */
    static bool counts(unsigned index)
    {
        return (now->thread[index].role == POSTER || now->thread[index].role == POSTER_ONE) &&
               (now->thread[index].how & MORTAL) == 0;
    }

    /* Are there n messages, of all posters together? */
    bool there(int n)
    {
        int stored[THREADS] = {}, all = 0;

        for (unsigned i = 0; i < THREADS; i++)
            if (counts(i))
                all += stored[i] = (int)ck_pr_load_64(&memory.stored[i]);
        if (all < n)
            return false;
        ck_pr_fence_load();
        for (unsigned i = 0; i < THREADS; i++)
            if (stored[i] > 0)
                RL_ASSERT((int)payload[i][stored[i]]($) == stored[i]);
        return true;
    }

    /* Takes a message that nobody has taken, if there is one. */
    bool take()
    {
        for (unsigned i = 0; i < THREADS; i++) {
            uint64_t taken, stored;

            if (!counts(i))
                continue;
            stored = ck_pr_load_64(&memory.stored[i]);
            while ((taken = ck_pr_load_64(&memory.taken[i])) < stored)
                if (ck_pr_cas_64(&memory.taken[i], taken, taken + 1)) {
                    ck_pr_fence_load();
                    RL_ASSERT((int)payload[i][taken + 1]($) == (int)taken + 1);
                    return true;
                }
        }
        return false;
    }
};

static const uint32_t turned = IPC_NOTIFY_FENCED_, highest = ~(IPC_NOTIFY_COUNT_ - 1),
                      unasked = IPC_NOTIFY_UNASKED_;

static const struct scenario scenarios[] = {
    {"one to one", 400000, 0, {{POSTER, 2}, {WAITER, 2}}},
    {"one to one, turned", 200000, turned, {{POSTER, 2}, {WAITER, 2}}},
    {"one to one, turning back", 400000, 0, {{POSTER, 3, QUIET}, {WAITER, 3}}},
    {"two posters", 400000, highest, {{POSTER, 1}, {POSTER, 2}, {WAITER, 3}}},
    {"two waiters", 400000, highest, {{POSTER, 2}, {WAITER, 2}, {WAITER, 2}}},
    {"post one", 400000, 0, {{POSTER_ONE, 2}, {TAKER, 1}, {TAKER, 1}}},
    {"post one, turned", 400000, turned, {{POSTER_ONE, 2, QUIET}, {TAKER, 1}, {TAKER, 1}}},
    {"post one, two posters",
     400000,
     0,
     {{POSTER_ONE, 1}, {POSTER_ONE, 1}, {TAKER, 1}, {TAKER, 1}}},
    {"ping-pong", 400000, 0, {{PINGER, 2, QUIET}, {PONGER, 2, QUIET}}},
    {"turns, two posters", 400000, 0, {{POSTER, 3, QUIET}, {POSTER, 2, QUIET}, {WAITER, 5}}},
    {"turns, two waiters", 400000, 0, {{POSTER, 3, QUIET}, {POSTER, 1}, {WAITER, 4}, {WAITER, 4}}},
    {"turns, three waiters",
     500000,
     0,
     {{POSTER, 4, QUIET}, {WAITER, 4, LAST}, {WAITER, 4, LAST}, {WAITER, 4, LAST}}},
    {"bare poster", 400000, 0, {{POSTER, 2, BARE}, {POSTER, 2, QUIET}, {WAITER, 4}}},
    {"bare waiter", 400000, 0, {{POSTER, 2}, {WAITER, 2, BARE}}},
    {"bare waiter, and another", 1000000, 0, {{POSTER, 2}, {WAITER, 2, BARE}, {WAITER, 2}}},
    {"killed poster", 400000, 0, {{POSTER, 3, MORTAL | QUIET}, {POSTER, 2}, {WAITER, 2}}},
    {"killed poster, two waiters",
     400000,
     0,
     {{POSTER, 3, MORTAL}, {POSTER, 1}, {WAITER, 1}, {WAITER, 1}}},
    {"killed poster, post one",
     400000,
     0,
     {{POSTER_ONE, 3, MORTAL}, {POSTER, 1}, {WAITER, 1}, {WAITER, 1}}},
    {"killed waiter", 400000, 0, {{POSTER, 3, QUIET}, {WAITER, 3, MORTAL}, {WAITER, 3}}},
    {"reader", 100000, unasked, {{POSTER, 3, QUIET}, {WAITER, 3, READS}}},
    {"reader, post one", 100000, unasked, {{POSTER_ONE, 2}, {WAITER, 2, READS}, {WAITER, 2}}},
    {"reader, two posters",
     100000,
     unasked | highest,
     {{POSTER, 2}, {POSTER, 1, MORTAL}, {WAITER, 2, READS}, {WAITER, 2}}},
};

int main(int argc, char **argv)
{
    model_.step = model_step;
    explore_begin(argc, argv);
    for (const struct scenario &scenario : scenarios) {
        now = &scenario;
        if (explore_wants(now->name))
            explore<scene>(now->name, now->iterations);
    }
    return explore_end();
}
