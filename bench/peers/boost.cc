#include "../kit/recover.h"
#include "message.hpp"
#include "spsc.h"
#include <boost/date_time/posix_time/posix_time_types.hpp>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <memory>
#include <new>
#include <string>

/* boost::lockfree::queue. With a fixed capacity it holds indexes, not pointers, and so can live in
 * shared memory. It has no batches. */

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

BENCH_SIZES(BENCH_MESSAGE)

/* boost::lockfree::spsc_queue. With a fixed capacity it has no pointers, either. */

template <class T>
using spsc = boost::lockfree::spsc_queue<T, boost::lockfree::capacity<SPSC_CAPACITY>>;

#define SPSC(B)                                                                                    \
    static int spsc_init##B(struct bench_run *, void *at)                                          \
    {                                                                                              \
        (void)new (at) spsc<message##B>;                                                           \
        return 0;                                                                                  \
    }                                                                                              \
    static int spsc_prepare##B(struct bench_run *r)                                                \
    {                                                                                              \
        return spsc_prepare(r, sizeof(spsc<message##B>), spsc_init##B);                            \
    }                                                                                              \
    static inline bool spsc_send##B(void *queue, const message##B *m)                              \
    {                                                                                              \
        return static_cast<spsc<message##B> *>(queue)->push(*m);                                   \
    }                                                                                              \
    static inline bool spsc_recv##B(void *queue, message##B *m)                                    \
    {                                                                                              \
        return static_cast<spsc<message##B> *>(queue)->pop(*m);                                    \
    }                                                                                              \
    SPSC_CASES(spsc, spsc_queue, B)

BENCH_SIZES(SPSC)

/* boost::interprocess::message_queue, a queue in shared memory with a lock. It is used in its best
 * way. Streams use the functions that sleep; polling moved half as many messages. Round trips poll;
 * with sleeping they took ten times as long. */

using message_queue = boost::interprocess::message_queue;

static std::unique_ptr<message_queue> to, fro; /* inherited */

/* Removes the name at once, so that nothing is left behind. */
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

/* Time to recover. Whoever is killed in the middle of its call leaves the lock locked: the others then
 * wait for ever, or get an exception at each call, where the lock knows that its owner has died. */

static int mq_attach(struct bench_run *)
{
    return 0;
}

static boost::posix_time::ptime mq_until(int ms)
{
    return boost::posix_time::microsec_clock::universal_time() + boost::posix_time::milliseconds(ms);
}

static int mq_send(const struct recover_message *m, int sleeps)
{
    try {
        return sleeps ? !to->timed_send(m, sizeof *m, 0, mq_until(RECOVER_SEND_MS))
                      : !to->try_send(m, sizeof *m, 0);
    } catch (const boost::interprocess::interprocess_exception &) {
        return 1;
    }
}

static int mq_receive(struct recover_message *m, int sleeps)
{
    message_queue::size_type got;
    unsigned priority;

    try {
        if (!sleeps)
            return !to->try_receive(m, sizeof *m, got, priority);
        return !to->timed_receive(m, sizeof *m, got, priority, mq_until(RECOVER_SLEEP_MS));
    } catch (const boost::interprocess::interprocess_exception &) {
        return 1;
    }
}

static void mq_leave()
{
}

static const struct recover_way mq_way = {mq_prepare, mq_attach, mq_send, mq_attach, mq_receive,
                                          mq_leave,   NULL,      0,       0,         0};

#define MQ_ROW(TEST, B)                                                                            \
    SPSC_ROW("boost_message_queue", #TEST, "spsc", B, 4096, mq_prepare, mq_##TEST##_serve##B,      \
             mq_##TEST##_measure##B, 0, NULL)
#define MQ_ROWS(B) MQ_ROW(stream, B), MQ_ROW(pingpong, B),
#define SPSCS(B) SPSC_ROWS("boost_spsc", spsc, B, spsc_prepare##B, 0),

BENCH_GROUP(boost) = {MANY_SINGLY("boost_queue", MANY_FIFO_PEER, 8, prepare<8>, serve<8>),
                      MANY_SINGLY("boost_queue", MANY_FIFO_PEER, 56, prepare<56>, serve<56>),
                      BENCH_SIZES(SPSCS) BENCH_SIZES(MQ_ROWS)
                          RECOVER_ROWS("boost_message_queue", mq_way),
                      RECOVER_SENDER_ROWS("boost_message_queue", mq_way),
                      {}};
