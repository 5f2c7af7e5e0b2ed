/*
 * iceoryx 2: chunks of shared memory that a daemon lends. Each run starts the daemon and ends it, and
 * has no result if another one is running. Rows of "iceoryx" copy small messages into a chunk and out
 * of it. Rows of "iceoryx_in_place" have all sizes and write and read in the chunk, as iceoryx is
 * meant to be used. The publisher waits while the subscriber's queue is full, except in rows of
 * "iceoryx_overwriting": there the queue loses its oldest message, as it does by default.
 */
#include "../kit/recover.h"
#include "../kit/sizes.h"
#include "spsc.h"
#include <glob.h>
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>

using iox::popo::UntypedPublisher;
using iox::popo::UntypedSubscriber;

static pid_t roudi;
static std::string said;  /* by the daemon */
static std::string names; /* the beginning of those of the run's processes */

/* Starts the daemon. It looks for dead processes only where some are killed, as a process that polls
 * at a real-time priority would seem dead. */
static int prepare(struct bench_run *r)
{
    const char *looks = bench_is_recovery(r->of) ? "on" : "off";
    char some[256];
    int status = 0;
    ssize_t n;

    said.clear();
    names = "ipc_bench-" + std::to_string(getpid()) + "-";
    roudi = 0;
    if (pipe(r->fd) != 0 || pipe(r->fd + 2) != 0 || (roudi = fork()) < 0)
        return -errno;
    if (roudi == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)dup2(r->fd[1], STDOUT_FILENO);
        (void)dup2(r->fd[1], STDERR_FILENO);
        (void)execlp("iox-roudi", "iox-roudi", "-m", looks, static_cast<char *>(nullptr));
        _exit(4); /* it is not installed */
    }
    (void)close(r->fd[1]);
    r->fd[1] = -1;
    while (said.find("ready") == said.npos) {
        n = read(r->fd[0], some, sizeof some);
        if (n <= 0) { /* it has ended */
            (void)waitpid(roudi, &status, 0);
            roudi = 0;
            return WIFEXITED(status) && WEXITSTATUS(status) == 4 ? -ENOENT : -EBUSY;
        }
        said.append(some, static_cast<size_t>(n));
    }
    return 0;
}

/* Asked to end, the daemon aborts if processes were killed, and leaves its memory behind. So it is
 * killed, and what it and they have made is removed. Its lock goes last: up to then no other daemon
 * can make the same names. */
static void clear(struct bench_run *)
{
    static const char memory[] = "shared memory [";
    size_t at, end;
    glob_t files;

    if (roudi <= 0)
        return;
    for (at = 0; (at = said.find(memory, at)) != said.npos; at = end) {
        at += sizeof memory - 1;
        end = said.find(']', at);
        (void)shm_unlink(("/" + said.substr(at, end - at)).c_str());
    }
    if (glob(("/tmp/" + names + "*").c_str(), 0, nullptr, &files) == 0)
        for (at = 0; at < files.gl_pathc; at++)
            (void)unlink(files.gl_pathv[at]);
    globfree(&files);
    for (const char *path : {"/tmp/roudi", "/tmp/roudi.lock", "/tmp/iox-unique-roudi.lock"})
        (void)unlink(path);
    (void)kill(roudi, SIGKILL);
    (void)waitpid(roudi, nullptr, 0);
    roudi = 0;
}

static iox::capro::ServiceDescription service(const char *name)
{
    return {"ipc_bench", "ring", iox::capro::IdString_t(iox::cxx::TruncateToCapacity, name)};
}

static void join()
{
    const std::string name = names + std::to_string(getpid());

    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
        iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
    iox::runtime::PoshRuntime::initRuntime(
        iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name.c_str()));
}

/* A publisher waits while a subscriber's queue is full, or the queue loses its oldest message. */
static UntypedPublisher *publisher(const char *name, bool waits)
{
    iox::popo::PublisherOptions o;

    o.subscriberTooSlowPolicy = waits ? iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER
                                      : iox::popo::ConsumerTooSlowPolicy::DISCARD_OLDEST_DATA;
    return new UntypedPublisher(service(name), o);
}

static UntypedSubscriber *subscriber(const char *name, bool waits, uint64_t capacity)
{
    iox::popo::SubscriberOptions o;

    o.queueCapacity = capacity;
    o.queueFullPolicy = waits ? iox::popo::QueueFullPolicy::BLOCK_PRODUCER
                              : iox::popo::QueueFullPolicy::DISCARD_OLDEST_DATA;
    return new UntypedSubscriber(service(name), o);
}

/* As long as the daemon's default memory allows. */
static uint64_t capacity(const struct bench_run *r)
{
    return r->of->bytes > 1024 ? SIZES_SLOTS(r->of->bytes) : 256;
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

static UntypedPublisher *only_publisher(struct bench_run *)
{
    join();
    UntypedPublisher *p = publisher("to", true);
    met(p);
    return p;
}

static UntypedSubscriber *only_subscriber(struct bench_run *r)
{
    join();
    UntypedSubscriber *s = subscriber("to", true, capacity(r));
    met(s);
    return s;
}

/* A publisher and a subscriber: for both directions. */
static void both(struct bench_run *r, UntypedPublisher **p, UntypedSubscriber **s)
{
    join();
    *s = subscriber(r->index == 0 ? "fro" : "to", true, capacity(r));
    *p = publisher(r->index == 0 ? "to" : "fro", true);
    met(*p);
    met(*s);
}

/* Both processes leave after the last message has come, as messages are lost when their publisher
 * ends. */
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

/* Time to recover. Every subscriber gets all messages, so the successor is one more of them. */

static UntypedPublisher *out;
static UntypedSubscriber *in;
static iox::popo::WaitSet<1> *waiting; /* of a subscriber that sleeps */

/* Publishers and subscribers find each other through the daemon. Whoever comes second waits for it. */
template <bool waits> static int recover_out(struct bench_run *r)
{
    join();
    out = publisher("to", waits);
    if (recover_shape_of(r) >= RECOVER_SENDER_IN_CALL)
        met(out);
    return 0;
}

template <bool waits> static int recover_in(struct bench_run *r)
{
    join();
    in = subscriber("to", waits, RECOVER_SLOTS);
    if (recover_shape_of(r) == RECOVER_SLEEPING) {
        waiting = new iox::popo::WaitSet<1>;
        bench_check(
            !waiting->attachState(*in, iox::popo::SubscriberState::HAS_DATA).has_error(), "attach");
    }
    if (recover_shape_of(r) < RECOVER_SENDER_IN_CALL)
        met(in);
    return 0;
}

static int recover_publish(const struct recover_message *m, int)
{
    void *at = lend(out, sizeof *m);

    memcpy(at, m, sizeof *m);
    out->publish(at);
    return 0;
}

static int recover_take(struct recover_message *m, int sleeps)
{
    const void *at = nullptr;

    if (sleeps)
        (void)waiting->timedWait(iox::units::Duration::fromMilliseconds(int{RECOVER_SLEEP_MS}));
    in->take().and_then([&](const void *chunk) { at = chunk; });
    if (at == nullptr)
        return 1;
    memcpy(m, at, sizeof *m);
    in->release(at);
    return 0;
}

template <bool waits>
static constexpr struct recover_way recover = {
    prepare, recover_out<waits>, recover_publish, recover_in<waits>, recover_take, leave, clear,
    0,       1,                  waits};

#define COPIED_ROWS(B)                                                                             \
    SPSC_ROW("iceoryx", "stream", "spsc", B, 4096, prepare, serve<stream_serve##B>,                \
             measure<stream_measure##B>, 0, clear),                                                \
        SPSC_ROW("iceoryx", "pingpong", "spsc", B, 4096, prepare, serve<pingpong_serve##B>,        \
                 measure<pingpong_measure##B>, 0, clear),
#define IN_PLACE_ROWS(B)                                                                           \
    SPSC_ROW("iceoryx_in_place", "stream", "sizes", B, 4096, prepare, serve<in_place_serve##B>,    \
             measure<in_place_measure##B>, 0, clear),

BENCH_GROUP(iceoryx) = {BENCH_SIZES(COPIED_ROWS) SIZES(IN_PLACE_ROWS)
                            RECOVER_ROWS("iceoryx", recover<true>),
                        RECOVER_ROW("iceoryx", "sender_polling", recover<true>),
                        RECOVER_ROWS("iceoryx_overwriting", recover<false>),
                        {}};
