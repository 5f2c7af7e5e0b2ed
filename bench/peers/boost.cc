/* boost::lockfree::queue: of fixed capacity it has indexes and no pointers, and so lives in shared
 * memory. No batches. */
#include "message.hpp"
#include <boost/lockfree/queue.hpp>
#include <new>

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

const struct bench_case bench_boost[] = {
    MANY_SINGLY("boost_queue", MANY_FIFO_PEER, 8, prepare<8>, serve<8>),
    MANY_SINGLY("boost_queue", MANY_FIFO_PEER, 56, prepare<56>, serve<56>),
    {}};
