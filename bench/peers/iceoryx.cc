/*
 * iceoryx 2: chunks of shared memory that a daemon lends. Each run starts the daemon and ends it.
 * Rows of "iceoryx" copy small messages into a chunk and out of it. Rows of "iceoryx_in_place" have
 * all sizes and write and read in the chunk, as iceoryx is meant to be used. The publisher waits
 * while the subscriber's queue is full.
 */
#include "../kit/sizes.h"
#include "spsc.h"
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>

using iox::popo::UntypedPublisher;
using iox::popo::UntypedSubscriber;

static pid_t roudi;

/* Starts the daemon. If it ends at once because another one is running, that one is used. */
static int prepare(struct bench_run *r)
{
    std::string said;
    char some[256];
    int status;
    ssize_t n;

    if (pipe(r->fd) != 0 || pipe(r->fd + 2) != 0 || (roudi = fork()) < 0)
        return -errno;
    if (roudi == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)dup2(r->fd[1], STDOUT_FILENO);
        (void)dup2(r->fd[1], STDERR_FILENO);
        (void)execlp("iox-roudi", "iox-roudi", "-m", "off", static_cast<char *>(nullptr));
        _exit(4); /* it is not installed */
    }
    (void)close(r->fd[1]);
    r->fd[1] = -1;
    while (said.find("ready") == said.npos && (n = read(r->fd[0], some, sizeof some)) > 0)
        said.append(some, static_cast<size_t>(n));
    return waitpid(roudi, &status, WNOHANG) == roudi && WEXITSTATUS(status) == 4 ? -ENOENT : 0;
}

static void clear(struct bench_run *)
{
    (void)kill(roudi, SIGTERM);
    (void)waitpid(roudi, nullptr, 0);
}

static iox::capro::ServiceDescription service(const char *name)
{
    return {"ipc_bench", "ring", iox::capro::IdString_t(iox::cxx::TruncateToCapacity, name)};
}

static void join(struct bench_run *r)
{
    const std::string name = "ipc_bench-" + std::to_string(r->index);

    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
        iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
    iox::runtime::PoshRuntime::initRuntime(
        iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name.c_str()));
}

static UntypedPublisher *publisher(const char *name)
{
    iox::popo::PublisherOptions o;

    o.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    return new UntypedPublisher(service(name), o);
}

/* Its queue is as long as the daemon's default memory allows. */
static UntypedSubscriber *subscriber(struct bench_run *r, const char *name)
{
    iox::popo::SubscriberOptions o;

    o.queueCapacity = r->of->bytes > 1024 ? SIZES_SLOTS(r->of->bytes) : 256;
    o.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    return new UntypedSubscriber(service(name), o);
}

static void met(UntypedPublisher *p)
{
    while (!p->hasSubscribers())
        (void)sched_yield();
}

static void met(UntypedSubscriber *s)
{
    while (s->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED)
        (void)sched_yield();
}

static inline void *lend(UntypedPublisher *p, uint32_t bytes)
{
    void *at = nullptr;

    p->loan(bytes, 8).and_then([&](void *chunk) { at = chunk; });
    bench_check(at != nullptr, "loan");
    return at;
}

static inline const void *take(UntypedSubscriber *s)
{
    const void *at = nullptr;

    for (;;) {
        s->take().and_then([&](const void *chunk) { at = chunk; });
        if (at != nullptr)
            return at;
        ck_pr_stall();
    }
}

template <class T> static inline void send(UntypedPublisher *p, const T &m)
{
    void *at = lend(p, sizeof m);

    memcpy(at, &m, sizeof m);
    p->publish(at);
}

template <class T> static inline void recv(UntypedSubscriber *s, T &m)
{
    const void *at = take(s);

    memcpy(&m, at, sizeof m);
    s->release(at);
}

static UntypedPublisher *only_publisher(struct bench_run *r)
{
    join(r);
    UntypedPublisher *p = publisher("to");
    met(p);
    return p;
}

static UntypedSubscriber *only_subscriber(struct bench_run *r)
{
    join(r);
    UntypedSubscriber *s = subscriber(r, "to");
    met(s);
    return s;
}

/* A publisher and a subscriber: for both directions. */
static void both(struct bench_run *r, UntypedPublisher **p, UntypedSubscriber **s)
{
    join(r);
    *s = subscriber(r, r->index == 0 ? "fro" : "to");
    *p = publisher(r->index == 0 ? "to" : "fro");
    met(*p);
    met(*s);
}

/* Both processes leave after the last message has come, as messages are lost when their publisher
 * ends. If a process ends without leaving, the daemon aborts and leaves its memory behind. */
static void leave()
{
    iox::runtime::PoshRuntime::getInstance().~PoshRuntime();
}

template <void (*all)(struct bench_run *)> static void serve(struct bench_run *r)
{
    char c;

    all(r);
    bench_check(read(r->fd[2], &c, 1) == 1, "end");
    leave();
}

template <uint64_t (*all)(struct bench_run *)> static uint64_t measure(struct bench_run *r)
{
    uint64_t ns = all(r);

    bench_check(write(r->fd[3], "", 1) == 1, "end");
    leave();
    return ns;
}

#define COPIED(B)                                                                                  \
    BENCH_MESSAGE(B)                                                                               \
                                                                                                   \
    static void stream_serve##B(struct bench_run *r)                                               \
    {                                                                                              \
        UntypedPublisher *p = only_publisher(r);                                                   \
        BENCH_STREAM_SERVE(B, send(p, m));                                                         \
    }                                                                                              \
    static uint64_t stream_measure##B(struct bench_run *r)                                         \
    {                                                                                              \
        UntypedSubscriber *s = only_subscriber(r);                                                 \
        BENCH_STREAM_MEASURE(B, recv(s, m));                                                       \
    }                                                                                              \
    static void pingpong_serve##B(struct bench_run *r)                                             \
    {                                                                                              \
        UntypedPublisher *p;                                                                       \
        UntypedSubscriber *s;                                                                      \
        both(r, &p, &s);                                                                           \
        BENCH_PINGPONG_SERVE(B, send(p, m), recv(s, m));                                           \
    }                                                                                              \
    static uint64_t pingpong_measure##B(struct bench_run *r)                                       \
    {                                                                                              \
        UntypedPublisher *p;                                                                       \
        UntypedSubscriber *s;                                                                      \
        both(r, &p, &s);                                                                           \
        BENCH_PINGPONG_MEASURE(B, send(p, m), recv(s, m));                                         \
    }

BENCH_SIZES(COPIED)
SIZES_ABOVE_8(BENCH_MESSAGE)

#define IN_PLACE(B)                                                                                \
    static void in_place_serve##B(struct bench_run *r)                                             \
    {                                                                                              \
        UntypedPublisher *p = only_publisher(r);                                                   \
        IN_PLACE_SERVE(B, in = static_cast<message##B *>(lend(p, B)), p->publish(in));             \
    }                                                                                              \
    static uint64_t in_place_measure##B(struct bench_run *r)                                       \
    {                                                                                              \
        UntypedSubscriber *s = only_subscriber(r);                                                 \
        IN_PLACE_MEASURE(B, in = static_cast<const message##B *>(take(s)), s->release(in));        \
    }

SIZES(IN_PLACE)

#define COPIED_ROWS(B)                                                                             \
    SPSC_ROW("iceoryx", "stream", "spsc", B, 4096, prepare, serve<stream_serve##B>,                \
             measure<stream_measure##B>, 0, clear),                                                \
        SPSC_ROW("iceoryx", "pingpong", "spsc", B, 4096, prepare, serve<pingpong_serve##B>,        \
                 measure<pingpong_measure##B>, 0, clear),
#define IN_PLACE_ROWS(B)                                                                           \
    SPSC_ROW("iceoryx_in_place", "stream", "sizes", B, 4096, prepare, serve<in_place_serve##B>,    \
             measure<in_place_measure##B>, 0, clear),

BENCH_GROUP(iceoryx) = {BENCH_SIZES(COPIED_ROWS) SIZES(IN_PLACE_ROWS){}};
