/*
 * Stands in for Relacy when it comes first on the include path (-Itests/weak), and simulates a
 * machine whose stores come out of order. The models of tests/model run on it unchanged, with
 * their ck_pr.h:
 *
 *     g++ -std=c++14 -O2 -w -Itests/weak -Itests/model -I. tests/model/spsc.cc -o spsc
 *     ./spsc [scenario, or how its name begins [iterations [first iteration]]]
 *
 * The number of an iteration is its seed. An iteration that fails is run again, and the history of
 * its operations is printed: what each thread did at which offset of the shared memory, with the
 * line of the header, and when each store became visible. Offsets beyond the shared memory are the
 * model's own variables. To see one iteration alone, give its number, and 1 as the iterations.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * The machine is multi-copy atomic, and only fences order what it does, as AArch64 with the fences
 * of Concurrency Kit, and RISC-V. Each thread has a CPU of its own.
 *
 * Stores. A store is pending in its CPU until it becomes visible, to all other CPUs at once. Stores
 * of a CPU to one address become visible in their order. Stores to different addresses become
 * visible in any order, unless a release fence (store, release, unlock) is between them. That fence
 * drains nothing: the store behind it waits for those before it.
 *
 * Compare-and-swap and fetch-and-add. As ldxr and stxr without barriers they act on the newest
 * value, and no other store comes between their load and their store. Before that, what the CPU has
 * stored to that address, or before its last release fence, becomes visible. The store of a
 * successful one may be pending longer than later stores of its CPU, up to the next release fence.
 * One that fails orders nothing.
 *
 * Loads. A load sees the youngest pending store of its own CPU to that address. If there is none it
 * may be executed early: it returns any value that was current at some time since the last acquire
 * fence (load, acquire, lock), but no older value than this CPU has read or written there. An
 * acquire fence orders later loads behind what earlier loads have seen, not behind the moment of
 * the fence: the earlier loads may have been early, too.
 *
 * Full fences (store_load, atomic_load, memory) are both, and order later loads behind the CPU's
 * own stores.
 *
 * An acquire load stands for the kernel's proof of a death: it sees the newest value, and later
 * loads see all that was visible then. A release store makes all stores before it visible.
 *
 * The kernel (enter_kernel): a CPU that is in it, or is interrupted by it, has made all its stores
 * visible, and its later loads come after that moment.
 *
 * An rl::var is a word of memory like an atomic: a wrong order shows as a wrong value. Reading one
 * that was never written fails.
 *
 * Each iteration draws its habits from its seed: how often threads are switched, which threads run
 * most, how soon stores become visible, which addresses are slow, how often loads are early. When
 * a thread yields or polls, time passes: stores are more likely to become visible. From step LATE
 * on every store becomes visible soon, so that only an endless wait is a livelock.
 *
 * Weaker than Concurrency Kit on AArch64: its acquire and release fences are full ones there (dmb
 * ish). Here they order what their names promise, as the fences of RISC-V do.
 *
 * What it cannot see:
 *
 *   - Loads that are executed after later stores. A fence that only holds back a store until an
 *     earlier load is done goes unnoticed: one before a slot is given back, one after a slot was
 *     claimed. Relacy sees these as data races of an rl::var.
 *   - Machines that are not multi-copy atomic (POWER), where one CPU sees a store before another
 *     does, and what C11 allows beyond that. A fence can be of no use to any multi-copy atomic
 *     machine, because another fence that was passed on the way orders the same.
 *   - A compare-and-swap that fails by an old value.
 *   - Values older than the last KEPT of a word.
 *
 * Dependencies are not tracked: a load may be executed before the load that gave its address, which
 * AArch64 and RISC-V do not do. A failure that needs this is one of C11's, not one of theirs.
 */
#ifndef WEAK_RELACY_HPP
#define WEAK_RELACY_HPP

#include <cxxabi.h>
#include <iostream>
#include <new>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <ucontext.h>

namespace rl
{

struct debug_info {
    const char *file;
    int line;

    constexpr debug_info(const char *at, int n) : file(at), line(n)
    {
    }
};
typedef const debug_info &debug_info_param;

#define RL_INFO rl::debug_info(__FILE__, __LINE__)
#define $ RL_INFO

enum memory_order { mo_relaxed, mo_consume, mo_acquire, mo_release, mo_acq_rel, mo_seq_cst };

enum test_result_e {
    test_result_success,
    test_result_user_assert_failed,
    test_result_livelock,
    test_result_deadlock,
};

static inline const char *test_result_str(test_result_e r)
{
    return r == test_result_success    ? "SUCCESS"
           : r == test_result_livelock ? "LIVELOCK"
           : r == test_result_deadlock ? "DEADLOCK"
                                       : "USER ASSERT FAILED";
}

struct test_params {
    unsigned long iteration_count;
    unsigned execution_depth_limit; /* steps of an iteration */
    std::ostream *progress_stream;
    std::string initial_state; /* the first iteration, or empty */

    test_result_e test_result;
    unsigned long stop_iteration;
};

/* ------------------------------------------------------------------ the machine */

namespace weak
{

enum {
    CPUS = 5,    /* the last is that of before() and after() */
    KEPT = 16,   /* values of a cell, a power of 2 */
    DEPTH = 64,  /* pending stores of a CPU */
    LATE = 3000, /* steps until nothing is slow any more */
    STACK = 256 * 1024,
    NOBODY = -1
};

/* One word of memory. Time counts the stores that have become visible. */
struct cell {
    uint64_t value[KEPT];
    uint32_t time[KEPT]; /* when value[i] became visible */
    uint32_t count;      /* of values so far; the newest is [(count - 1) % KEPT] */
    uint32_t seen[CPUS]; /* the time of what each CPU has read or written here */
    uint32_t index;      /* among the cells of the scenario; the shared memory's come first */
    int32_t locked;      /* the CPU whose compare-and-swap is pending, or NOBODY */

    cell();
};

struct pending {
    cell *at;
    uint64_t value;
    uint32_t epoch; /* number of release fences before it */
    bool swap;      /* of a compare-and-swap */
};

struct cpu {
    pending store[DEPTH]; /* the oldest first */
    unsigned stores;
    uint32_t epoch;
    uint32_t floor; /* loads return no value that was replaced before this time */
    uint32_t read;  /* the latest time of what loads returned */
    uint32_t wrote; /* the latest time at which a store became visible */
    const cell *polled;
    unsigned polls;
};

struct coroutine {
    ucontext_t context;
    jmp_buf at;
    unsigned char exceptions[2 * sizeof(void *)]; /* __cxa_eh_globals: caught, uncaught */
    char stack[STACK];
};

static struct machine {
    cpu of[CPUS];
    unsigned threads, me;
    uint32_t now, cells;
    uint64_t random;
    bool running; /* the threads run, not before() or after() */

    /* The iteration's habits. Chances are of 1024. */
    unsigned visible, visible_by_yield, swap_stays, early, switches, slow;
    bool earliest;
    uint64_t salt;
    unsigned weight[CPUS];

    unsigned steps, last_step, limit, alive;
    bool ended[CPUS];
    coroutine *thread;
    bool made; /* the coroutines wait for the next iteration */
    jmp_buf home;
    ucontext_t maker;
    void (*run)(void *, unsigned);
    void *suite;

    unsigned long iteration;
    test_result_e result;
    bool again;   /* run this iteration again, as it failed */
    bool history; /* print the history */
} m;

enum { ALL_ENDED = 1, FAILED = 2 };

static inline uint32_t random_below(uint32_t n)
{
    m.random ^= m.random >> 12;
    m.random ^= m.random << 25;
    m.random ^= m.random >> 27;
    return (uint32_t)((m.random * UINT64_C(2685821657736338717) >> 32) * n >> 32);
}

static inline bool chance(unsigned of_1024)
{
    return random_below(1024) < of_1024;
}

template <size_t n> static unsigned one_of(const unsigned (&values)[n])
{
    return values[random_below(n)];
}

static inline uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

inline cell::cell() : count(0), seen(), index(m.cells++), locked(NOBODY)
{
}

static inline const char *file_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static void tell(const char *what, const cell *at, uint64_t value, debug_info_param info)
{
    printf("%5u  thread %u  %-12s +%-5u %#-20llx %s:%d\n", m.steps, m.me, what, at->index * 8,
           (unsigned long long)value, file_of(info.file), info.line);
}

[[noreturn]] static void fail(const char *what, test_result_e result, debug_info_param info)
{
    if (m.me < m.threads)
        printf("thread %u, ", m.me);
    printf("%s:%d: %s\niteration %lu: %s\n", file_of(info.file), info.line, what, m.iteration,
           test_result_str(result));
    m.result = result;
    _longjmp(m.home, FAILED);
}

/* ------------------------------------------------------------------ stores become visible */

static void make_visible(unsigned who, unsigned i);

/* No store may come between the load and the store of another CPU's compare-and-swap: the pending
 * compare-and-swap becomes visible first. */
static void unlock(cell *at)
{
    cpu *c = &m.of[at->locked];

    for (unsigned i = 0; i < c->stores; i++)
        if (c->store[i].at == at && c->store[i].swap) {
            make_visible((unsigned)at->locked, i);
            return;
        }
    abort();
}

static void set(cell *at, unsigned who, uint64_t value)
{
    at->value[at->count % KEPT] = value;
    at->time[at->count++ % KEPT] = ++m.now;
    at->seen[who] = m.of[who].wrote = m.now;
}

static void make_visible(unsigned who, unsigned i)
{
    cpu *c = &m.of[who];
    pending store = c->store[i];

    c->stores--;
    memmove(&c->store[i], &c->store[i + 1], (c->stores - i) * sizeof store);
    if (store.swap)
        store.at->locked = NOBODY;
    else if (store.at->locked != NOBODY)
        unlock(store.at);
    set(store.at, who, store.value);
    if (m.history)
        printf("%5s  cpu %u     becomes visible +%-5u %#llx\n", "", who, store.at->index * 8,
               (unsigned long long)store.value);
}

/* May store i of the CPU become visible, with nothing left that must come before it? */
static bool may_become_visible(const cpu *c, unsigned i)
{
    if (c->store[i].epoch != c->store[0].epoch)
        return false;
    for (unsigned k = 0; k < i; k++)
        if (c->store[k].at == c->store[i].at)
            return false;
    return true;
}

static bool is_slow(const cell *at)
{
    return mix(m.salt + at->index) % 1024 < m.slow;
}

/* Makes one store of some CPU visible, if there is one. */
static void let_one_store_out(bool also_slow)
{
    unsigned who = random_below(m.threads), i;
    cpu *c;

    for (i = 0; i < m.threads && m.of[who].stores == 0; i++)
        who = (who + 1) % m.threads;
    c = &m.of[who];
    if (c->stores == 0)
        return;
    i = random_below(c->stores);
    if (may_become_visible(c, i) && (also_slow || !is_slow(c->store[i].at) || chance(8)))
        make_visible(who, i);
}

/* Makes visible the CPU's stores that are older than the epoch, and those to that address. */
static void let_out(unsigned who, uint32_t epoch, const cell *at)
{
    cpu *c = &m.of[who];
    unsigned i;

    while (c->stores > 0 && (int32_t)(c->store[0].epoch - epoch) < 0) {
        unsigned first = 0; /* any order within an epoch */

        while (first < c->stores && c->store[first].epoch == c->store[0].epoch)
            first++;
        first = random_below(first);
        if (may_become_visible(c, first))
            make_visible(who, first);
    }
    for (i = 0; i < c->stores;)
        if (c->store[i].at == at)
            make_visible(who, i);
        else
            i++;
}

static void let_all_out()
{
    for (;;) {
        unsigned stores = 0;

        for (const cpu &c : m.of)
            stores += c.stores;
        if (stores == 0)
            return;
        let_one_store_out(true);
    }
}

/* ------------------------------------------------------------------ threads */

static __attribute__((noinline)) void go_to(unsigned next)
{
    coroutine *mine = &m.thread[m.me];
    void *exceptions = abi::__cxa_get_globals();

    if (next == m.me)
        return;
    memcpy(mine->exceptions, exceptions, sizeof mine->exceptions);
    if (_setjmp(mine->at) == 0) {
        m.me = next;
        memcpy(exceptions, m.thread[next].exceptions, sizeof mine->exceptions);
        _longjmp(m.thread[next].at, 1);
    }
}

/* Chooses a thread that has not ended, by the threads' weights. */
static unsigned some_thread(bool not_me)
{
    unsigned sum = 0, i;

    for (i = 0; i < m.threads; i++)
        sum += m.ended[i] || (not_me && i == m.me) ? 0 : m.weight[i];
    if (sum == 0)
        return m.me;
    sum = random_below(sum);
    for (i = 0;; i++) {
        unsigned weight = m.ended[i] || (not_me && i == m.me) ? 0 : m.weight[i];

        if (sum < weight)
            return i;
        sum -= weight;
    }
}

static void draw_weights()
{
    for (unsigned i = 0; i < m.threads; i++)
        m.weight[i] = one_of({1, 1, 4, 16, 64});
}

/* Called before each operation. */
static void step(debug_info_param info)
{
    if (++m.steps > m.last_step)
        fail("livelock", test_result_livelock, info);
    if (!m.running)
        return;
    if (m.steps == LATE) {
        m.visible = m.visible_by_yield = m.switches = 1024;
        m.early = m.swap_stays = m.slow = 0;
        for (unsigned i = 0; i < m.threads; i++)
            m.weight[i] = 1;
    } else if (m.steps % 64 == 0 && m.steps < LATE && chance(512)) {
        draw_weights();
    }
    if (chance(m.visible))
        let_one_store_out(false);
    if (chance(m.switches))
        go_to(some_thread(false));
}

static void thread_main()
{
    unsigned me = m.me;

    if (_setjmp(m.thread[me].at) == 0)
        swapcontext(&m.thread[me].context, &m.maker);
    for (;;) {
        m.run(m.suite, me);
        m.ended[me] = true;
        if (--m.alive > 0)
            go_to(some_thread(true));
        else if (_setjmp(m.thread[me].at) == 0)
            _longjmp(m.home, ALL_ENDED);
    }
}

static void make_threads()
{
    if (m.made)
        return;
    if (m.thread == NULL)
        m.thread = new coroutine[CPUS]();
    for (m.me = 0; m.me < CPUS - 1; m.me++) {
        coroutine *c = &m.thread[m.me];

        memset(c->exceptions, 0, sizeof c->exceptions);
        getcontext(&c->context);
        c->context.uc_stack.ss_sp = c->stack;
        c->context.uc_stack.ss_size = STACK;
        c->context.uc_link = NULL;
        makecontext(&c->context, thread_main, 0);
        swapcontext(&m.maker, &c->context);
    }
    m.made = true;
}

/* ------------------------------------------------------------------ operations */

static uint64_t newest(const cell *at)
{
    return at->value[(at->count - 1) % KEPT];
}

static uint32_t newest_time(const cell *at)
{
    return at->time[(at->count - 1) % KEPT];
}

static const pending *own_pending(const cell *at)
{
    const cpu *c = &m.of[m.me];

    for (unsigned i = c->stores; i-- > 0;)
        if (c->store[i].at == at)
            return &c->store[i];
    return NULL;
}

/* This CPU has read what became visible at that time. */
static void has_read(cell *at, uint32_t time)
{
    cpu *c = &m.of[m.me];

    at->seen[m.me] = time;
    if (time > c->read)
        c->read = time;
}

[[noreturn]] static void not_written_yet(debug_info_param info)
{
    fail("assertion: a variable is read after it was written", test_result_user_assert_failed,
         info);
}

/* Chooses the value to load, of those that the CPU may see. */
static uint64_t choose(cell *at, debug_info_param info)
{
    cpu *c = &m.of[m.me];
    uint32_t bound = c->floor > at->seen[m.me] ? c->floor : at->seen[m.me];
    uint32_t kept = at->count > KEPT ? at->count - KEPT : 0, i = at->count - 1, first = i;

    if (at->count == 0)
        not_written_yet(info);
    if (m.running && newest_time(at) > bound && chance(m.early)) {
        while (first > kept && at->time[first % KEPT] > bound)
            first--;
        if (first == 0 && at->time[0] > bound && (m.earliest || chance(512)))
            not_written_yet(info);
        i = m.earliest ? first : first + random_below(i - first + 1);
    }
    has_read(at, at->time[i % KEPT]);
    return at->value[i % KEPT];
}

static uint64_t load(cell *at, memory_order order, debug_info_param info)
{
    cpu *c;
    const pending *own;
    uint64_t value;

    step(info);
    c = &m.of[m.me];
    c->polls = c->polled == at ? c->polls + 1 : 0;
    c->polled = at;
    if (m.running && c->polls > 4 && chance(64))
        let_one_store_out(chance(128));
    own = own_pending(at);
    if (own != NULL) {
        value = own->value;
    } else if (order == mo_relaxed) {
        value = choose(at, info);
    } else {
        if (at->count == 0)
            not_written_yet(info);
        c->floor = c->read = m.now;
        at->seen[m.me] = newest_time(at);
        value = newest(at);
    }
    if (m.history)
        tell(own != NULL           ? "loads its own"
             : value != newest(at) ? "loads early"
                                   : "loads",
             at, value, info);
    return value;
}

static void add_store(cell *at, uint64_t value, bool swap)
{
    cpu *c = &m.of[m.me];
    pending *store;

    while (c->stores == DEPTH)
        make_visible(m.me, 0);
    store = &c->store[c->stores++];
    store->at = at;
    store->value = value;
    store->epoch = c->epoch;
    store->swap = swap;
    if (swap)
        at->locked = (int32_t)m.me;
}

static void store(cell *at, uint64_t value, memory_order order, debug_info_param info)
{
    cpu *c;

    step(info);
    c = &m.of[m.me];
    c->polled = NULL;
    if (m.history)
        tell("stores", at, value, info);
    if (order != mo_relaxed)
        let_out(m.me, c->epoch + 1, NULL);
    if (!m.running || order != mo_relaxed) {
        if (at->locked != NOBODY)
            unlock(at);
        set(at, m.me, value);
    } else {
        add_store(at, value, false);
    }
}

/* The value that a compare-and-swap acts on. */
static uint64_t before_swap(cell *at, debug_info_param info)
{
    const pending *own;

    step(info);
    m.of[m.me].polled = NULL;
    own = own_pending(at);
    if (own != NULL)
        return own->value;
    if (at->locked != NOBODY)
        unlock(at);
    if (at->count == 0)
        not_written_yet(info);
    return newest(at);
}

static void failed_swap(cell *at, uint64_t seen, debug_info_param info)
{
    if (own_pending(at) == NULL)
        has_read(at, newest_time(at));
    if (m.history)
        tell("does not swap", at, seen, info);
}

static void swap(cell *at, uint64_t value, debug_info_param info)
{
    let_out(m.me, m.of[m.me].epoch, at);
    has_read(at, newest_time(at));
    if (m.history)
        tell("swaps", at, value, info);
    add_store(at, value, true);
    if (!m.running || !chance(m.swap_stays))
        make_visible(m.me, m.of[m.me].stores - 1);
}

static void fence(memory_order order, debug_info_param info)
{
    cpu *c;

    step(info);
    c = &m.of[m.me];
    c->polled = NULL;
    if (m.history)
        printf("%5u  thread %u  %s fence %37s:%d\n", m.steps, m.me,
               order == mo_acquire   ? "acquire"
               : order == mo_release ? "release"
                                     : "full   ",
               file_of(info.file), info.line);
    if (order != mo_acquire)
        c->epoch++;
    if (order == mo_seq_cst) {
        let_out(m.me, c->epoch, NULL);
        c->floor = c->wrote > c->floor ? c->wrote : c->floor;
    }
    if (order != mo_release)
        c->floor = c->read > c->floor ? c->read : c->floor;
}

/* The CPU is in the kernel, or is interrupted by it: all that it has stored is visible then, and its
 * later loads come after this moment. */
static void enter_kernel(unsigned who)
{
    cpu *c = &m.of[who];

    let_out(who, ++c->epoch, NULL);
    c->floor = c->read = m.now;
}

/* What a word says in this moment. */
static uint64_t newest_of(cell *at)
{
    if (at->locked != NOBODY)
        unlock(at);
    has_read(at, newest_time(at));
    return newest(at);
}

/* The scheduler chooses another thread. */
static void schedule()
{
    if (m.running && chance(m.visible))
        let_one_store_out(false);
    if (m.running)
        go_to(some_thread(true));
}

static void let_time_pass(debug_info_param info)
{
    if (m.running) {
        if (chance(m.visible_by_yield))
            let_one_store_out(chance(128));
        step(info);
        if (chance(768))
            go_to(some_thread(true));
    }
}

/* ------------------------------------------------------------------ iterations */

static void begin_iteration(unsigned long iteration)
{
    m.iteration = iteration;
    m.random = mix(iteration + UINT64_C(0x9e3779b97f4a7c15)) | 1;
    m.salt = mix(m.random);
    m.visible = one_of({512, 128, 32, 8, 1, 0});
    m.visible_by_yield = one_of({512, 128, 32});
    m.swap_stays = one_of({0, 0, 256, 900});
    m.early = one_of({0, 64, 256, 512});
    m.earliest = chance(512);
    m.switches = one_of({1024, 512, 128, 32});
    m.slow = one_of({0, 0, 128, 512});
    draw_weights();
    memset(m.ended, 0, sizeof m.ended);
    m.alive = m.threads;
    m.now = m.cells = m.steps = 0;
    m.last_step = m.limit;
    m.running = m.history = false;
    m.me = m.threads;
    m.result = test_result_success;
    for (cpu &c : m.of)
        memset(&c, 0, sizeof c);
}

/* A thread starts after all that was done before; what comes later is after its end. */
static void threads_begin()
{
    for (cpu &c : m.of)
        c.floor = c.read = m.now;
    m.running = true;
    m.history = m.again;
    m.steps = 0;
    m.last_step = m.limit;
}

static void threads_end()
{
    m.running = false;
    m.me = m.threads;
    let_all_out();
    m.of[m.me].floor = m.of[m.me].read = m.now;
    m.last_step = m.steps + m.limit;
}

template <typename suite> static void run_thread(void *s, unsigned index)
{
    static_cast<suite *>(s)->thread(index);
}

template <typename suite> static bool iterate(suite *memory, unsigned long iteration)
{
    begin_iteration(iteration);
    m.suite = new (memory) suite;
    switch (_setjmp(m.home)) {
    case 0:
        static_cast<suite *>(m.suite)->before();
        threads_begin();
        m.me = some_thread(false);
        _longjmp(m.thread[m.me].at, 1);
    case ALL_ENDED:
        threads_end();
        static_cast<suite *>(m.suite)->after();
    }
    m.running = false;
    return m.result == test_result_success;
}

} // namespace weak

/* ------------------------------------------------------------------ Relacy's names */

template <typename scenario, int threads> struct test_suite {
    enum { weak_threads = threads };
    static_assert(threads < weak::CPUS, "a CPU for each thread, and one more");

    void before()
    {
    }

    void after()
    {
    }
};

template <typename T> class atomic
{
    weak::cell cell_;

  public:
    T load(memory_order order, debug_info_param info)
    {
        return static_cast<T>(weak::load(&cell_, order, info));
    }

    void store(T value, memory_order order, debug_info_param info)
    {
        weak::store(&cell_, static_cast<uint64_t>(value), order, info);
    }

    bool compare_exchange_strong(T &from, T to, memory_order, debug_info_param info)
    {
        T seen = static_cast<T>(weak::before_swap(&cell_, info));

        if (seen != from) {
            weak::failed_swap(&cell_, static_cast<uint64_t>(seen), info);
            from = seen;
            return false;
        }
        weak::swap(&cell_, static_cast<uint64_t>(to), info);
        return true;
    }

    T newest()
    {
        return static_cast<T>(weak::newest_of(&cell_));
    }

    T fetch_add(T more, memory_order, debug_info_param info)
    {
        T seen = static_cast<T>(weak::before_swap(&cell_, info));

        weak::swap(&cell_, static_cast<uint64_t>(seen + more), info);
        return seen;
    }
};

template <typename T> class var
{
    weak::cell cell_;

    class place
    {
        weak::cell *at_;
        debug_info info_;

      public:
        place(weak::cell *at, debug_info_param info) : at_(at), info_(info)
        {
        }

        operator T() const
        {
            return static_cast<T>(weak::load(at_, mo_relaxed, info_));
        }

        void operator=(T value)
        {
            weak::store(at_, static_cast<uint64_t>(value), mo_relaxed, info_);
        }
    };

  public:
    place operator()(debug_info_param info)
    {
        return place(&cell_, info);
    }
};

static inline void atomic_thread_fence(memory_order order, debug_info_param info)
{
    weak::fence(order, info);
}

/* Of thread `index`'s CPU; only here, not in Relacy. */
static inline void enter_kernel(unsigned index)
{
    weak::enter_kernel(index);
}

static inline void yield(unsigned, debug_info_param info)
{
    weak::let_time_pass(info);
}

static inline unsigned rand(unsigned limit)
{
    return weak::random_below(limit);
}

static inline unsigned thread_index()
{
    return weak::m.me;
}

struct context {
    void sched()
    {
        weak::schedule();
    }

    [[noreturn]] void fail_test(const char *what, test_result_e result, debug_info_param info)
    {
        weak::fail(what, result, info);
    }
};

static inline context ctx()
{
    return context();
}

#define RL_ASSERT(x)                                                                               \
    do {                                                                                           \
        if (!(x))                                                                                  \
            rl::ctx().fail_test("assertion: " #x, rl::test_result_user_assert_failed, RL_INFO);    \
    } while (0)

template <typename suite> static bool simulate(test_params &params)
{
    suite *memory = static_cast<suite *>(::operator new(sizeof(suite)));
    unsigned long first = strtoul(params.initial_state.c_str(), NULL, 10), i;
    bool ok = true;

    weak::m.threads = suite::weak_threads;
    weak::m.limit = params.execution_depth_limit;
    weak::m.again = false;
    weak::m.run = weak::run_thread<suite>;
    weak::make_threads();
    for (i = first; i < first + params.iteration_count && ok; i++)
        ok = weak::iterate(memory, i);
    params.stop_iteration = i - first;
    params.test_result = weak::m.result;
    if (!ok) {
        weak::m.made = false;
        weak::make_threads();
        weak::m.again = true;
        printf("history:\n");
        (void)weak::iterate(memory, i - 1);
    }
    ::operator delete(memory);
    return ok;
}

} // namespace rl

#endif /* WEAK_RELACY_HPP */
