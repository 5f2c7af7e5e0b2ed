#include "groups.h"
#include <err.h>

#define WEAK(NAME) BENCH_GROUP_DECLARE(NAME) __attribute__((weak));

BENCH_GROUP_DECLARE(limits);
BENCH_GROUP_DECLARE(slots);
BENCH_GROUP_DECLARE(tickets);
BENCH_GROUP_DECLARE(usual);
BENCH_GROUP_DECLARE(rings);
BENCH_GROUP_DECLARE(shapes);
BENCH_GROUP_DECLARE(blocks);
BENCH_GROUP_DECLARE(records);
BENCH_GROUP_DECLARE(call);
BENCH_GROUP_DECLARE(many);
BENCH_GROUP_DECLARE(kernel);
BENCH_GROUP_DECLARE(channel);
BENCH_GROUP_DECLARE(wake);
BENCH_GROUP_DECLARE(sizes);
BENCH_GROUP_DECLARE(latency);
BENCH_GROUP_DECLARE(recover);
BENCH_GROUP_DECLARE(growth);

/* NULL where the peer's package is missing: the Makefile then leaves its file out. */
WEAK(jack)
WEAK(zmq)
WEAK(ipc_zmq)
WEAK(nng)
WEAK(rte)
WEAK(boost)
WEAK(moodycamel)
WEAK(tbb)
WEAK(urcu)
WEAK(readerwriter)
WEAK(iceoryx)

static const struct bench_case none[] = {{.system = NULL}};

const struct bench_case *group_cases(size_t n)
{
    static const struct bench_case *const groups[] = {
        bench_limits,     bench_slots,  bench_tickets, bench_usual,        bench_rings,
        bench_shapes,     bench_blocks, bench_records, bench_jack,         bench_call,
        bench_zmq,        bench_nng,    bench_many,    bench_rte,          bench_boost,
        bench_moodycamel, bench_tbb,    bench_urcu,    bench_readerwriter, bench_kernel,
        bench_channel,    bench_wake,   bench_sizes,   bench_iceoryx,      bench_ipc_zmq,
        bench_latency,    bench_recover, bench_growth};

    if (n >= sizeof groups / sizeof groups[0])
        return NULL;
    return groups[n] != NULL ? groups[n] : none;
}

const struct bench_case *group_find(const char *system)
{
    const struct bench_case *c;
    size_t n;

    for (n = 0; (c = group_cases(n)) != NULL; n++)
        for (; c->system != NULL; c++)
            if (strcmp(c->system, system) == 0)
                return c;
    errx(1, "there is no case of %s", system);
}
