/* nng over its ipc transport. It never runs at real-time priority: its polling thread would take
 * the core from the threads that it polls for, and all would stop. */
#include "sockets.h"
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <sched.h>

typedef nng_socket end;

static end open_end(enum kind kind)
{
    static int (*const open[])(nng_socket *) = {nng_push0_open, nng_pull0_open, nng_rep0_open,
                                                nng_req0_open};
    const struct sched_param normal = {0};
    char address[64];
    end e;

    bench_check(sched_setscheduler(0, SCHED_OTHER, &normal) == 0, "priority");
    sockets_address(address, sizeof address, "abstract://");
    bench_check(open[kind](&e) == 0 && (kind == PUSH || kind == REP
                                            ? nng_listen(e, address, NULL, 0)
                                            : nng_dial(e, address, NULL, NNG_FLAG_NONBLOCK)) == 0,
                "socket");
    return e;
}

#define END_SEND(e, m) bench_check(nng_send(e, &(m), sizeof(m), 0) == 0, "send")

static inline int recv_whole(end e, void *message, size_t bytes)
{
    size_t got = bytes;

    return nng_recv(e, message, &got, 0) == 0 && got == bytes;
}

#define END_RECV(e, m) bench_check(recv_whole(e, &(m), sizeof(m)), "recv")

BENCH_SIZES(SOCKETS_CASES)

#define ROWS(B) SOCKETS_ROWS("nng", B),

BENCH_GROUP(nng) = {BENCH_SIZES(ROWS){.system = NULL}};
