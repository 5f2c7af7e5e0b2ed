/* The same calls in C and, by ipc_ring.hpp, in C++: tests/run counts their instructions. */
#ifdef __cplusplus
#include "ipc_ring.hpp"
#define OK(rc) bool(rc)
#else
#include "ipc_shm.h"
#include "ipc_ring.h"
#include "ipc_notify.h"
#define OK(rc) ((rc) >= 0)
#endif

struct tick {
    uint64_t ns[7];
};

#ifdef __cplusplus
#define END(kind, K, end) ipc::kind::end &
#define CALL(p, NAME, verb, ...) (p).verb(__VA_ARGS__)
#define OF(x) *(x)
extern "C" {
#else
IPC_SPSC(spsc, struct tick)
IPC_MPMC(mpmc, struct tick)
IPC_BROADCAST(broadcast, struct tick)
IPC_RECORDS(records)
#define END(kind, K, end) struct K##_##end *
#define CALL(p, NAME, verb, ...) NAME##_##verb(p, __VA_ARGS__)
#define OF(x) (x)
#endif

#define SLOTS(K)                                                                                   \
    int K##_1(END(K<tick>, K, producer) p, const struct tick *t);                                  \
    int K##_1(END(K<tick>, K, producer) p, const struct tick *t)                                   \
    {                                                                                              \
        return OK(CALL(p, K, push, OF(t)));                                                        \
    }                                                                                              \
    int K##_2(END(K<tick>, K, consumer) c, struct tick *t);                                        \
    int K##_2(END(K<tick>, K, consumer) c, struct tick *t)                                         \
    {                                                                                              \
        return OK(CALL(c, K, pop, OF(t)));                                                         \
    }
SLOTS(spsc)
SLOTS(mpmc)
SLOTS(broadcast)

int records_1(END(records, records, producer) p, const void *data, size_t n);
int records_1(END(records, records, producer) p, const void *data, size_t n)
{
    return OK(CALL(p, records, push, data, n));
}
int records_2(END(records, records, consumer) c, void *to, size_t n);
int records_2(END(records, records, consumer) c, void *to, size_t n)
{
    return OK(CALL(c, records, pop, to, n));
}

#ifdef __cplusplus
}
#endif
