#include "message.hpp"
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/lockfree/queue.hpp>
#include <memory>
#include <new>
#include <string>

/* boost::lockfree::queue: of fixed capacity it has indexes and no pointers, and so lives in shared
 * memory. No batches. */

template <size_t B>
using ring = boost::lockfree::queue<message<B>, boost::lockfree::capacity<MANY_CAPACITY>>;

template <size_t B> static int prepare(struct bench_run *r)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "ring", 1, sizeof(ring<B>), &o);

    if (rc == 0) {
        (void)new (o.mem) ring<B>;
        rc = ipc_shm_publish(&r->seg, &o);
    }
    return rc;
}

template <size_t B> static inline int64_t push(void *end, void *m, unsigned)
{
    return static_cast<ring<B> *>(end)->push(*static_cast<message<B> *>(m));
}

template <size_t B> static inline int64_t pop(void *end, void *m, unsigned)
{
    return static_cast<ring<B> *>(end)->pop(*static_cast<message<B> *>(m));
}

template <size_t B> static void serve(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "ring", 1, &o) == 0, "find");
    stops = many_holds(r) ? r : nullptr;
    many_serve(r, B, o.mem, push<B>, pop<B>, hold<B, push<B>>);
}

/* boost::interprocess::message_queue, in shared memory by nature, with a lock. At its best: streams
 * by the calls that sleep (with those that do not, polled, half as many messages), round trips by
 * polling (asleep ten times as long). */

using message_queue = boost::interprocess::message_queue;

static std::unique_ptr<message_queue> to, fro; /* inherited */

/* Its name is gone at once, so that nothing is left. */
static message_queue *make_queue(struct bench_run *r)
{
    const std::string name = "ipc_bench-" + std::to_string(getpid());
    message_queue *made = new message_queue(boost::interprocess::create_only, name.c_str(),
                                            MANY_CAPACITY, r->of->bytes);

    (void)message_queue::remove(name.c_str());
    return made;
}

static int mq_prepare(struct bench_run *r)
{
    try {
        to.reset(make_queue(r));
        fro.reset(make_queue(r));
    } catch (const std::exception &) {
        return -ENOMEM;
    }
    return 0;
}

static inline void mq_poll_send(message_queue *q, const void *m, size_t bytes)
{
    while (!q->try_send(m, bytes, 0))
        ck_pr_stall();
}

static inline void mq_recv(message_queue *q, void *m, size_t bytes, bool poll)
{
    message_queue::size_type got;
    unsigned priority;

    if (poll)
        while (!q->try_receive(m, bytes, got, priority))
            ck_pr_stall();
    else
        q->receive(m, bytes, got, priority);
    bench_check(got == bytes, "length");
}

#define MQ_CASES(B)                                                                                \
    BENCH_MESSAGE(B)                                                                               \
                                                                                                   \
    static void mq_stream_serve##B(struct bench_run *r)                                            \
    {                                                                                              \
        BENCH_STREAM_SERVE(B, to->send(&m, sizeof m, 0));                                          \
    }                                                                                              \
    static uint64_t mq_stream_measure##B(struct bench_run *r)                                      \
    {                                                                                              \
        BENCH_STREAM_MEASURE(B, mq_recv(to.get(), &m, sizeof m, false));                           \
    }                                                                                              \
    static void mq_pingpong_serve##B(struct bench_run *r)                                          \
    {                                                                                              \
        BENCH_PINGPONG_SERVE(B, mq_poll_send(fro.get(), &m, sizeof m),                             \
                             mq_recv(to.get(), &m, sizeof m, true));                               \
    }                                                                                              \
    static uint64_t mq_pingpong_measure##B(struct bench_run *r)                                    \
    {                                                                                              \
        BENCH_PINGPONG_MEASURE(B, mq_poll_send(to.get(), &m, sizeof m),                            \
                               mq_recv(fro.get(), &m, sizeof m, true));                            \
    }

BENCH_SIZES(MQ_CASES)

/* All fields, as in MANY_ROW. */
#define MQ_ROW(TEST, B)                                                                            \
    {                                                                                              \
        .system = "boost_message_queue", .test = #TEST, .shape = "spsc", .bytes = B,               \
        .memory = 4096, .prepare = mq_prepare, .serve = mq_##TEST##_serve##B,                      \
        .measure = mq_##TEST##_measure##B, .how = NULL, .one_core = 0, .readers = 0, .producers = 0, .consumers = 0,    \
        .batch = 0, .held = 0, .threads = 0, .fifo_peer = 0, .raw = NULL, .clear = NULL            \
    }
#define MQ_ROWS(B) MQ_ROW(stream, B), MQ_ROW(pingpong, B),

const struct bench_case bench_boost[] = {
    MANY_SINGLY("boost_queue", MANY_FIFO_PEER, 8, prepare<8>, serve<8>),
    MANY_SINGLY("boost_queue", MANY_FIFO_PEER, 56, prepare<56>, serve<56>), BENCH_SIZES(MQ_ROWS){}};
