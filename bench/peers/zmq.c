/* ZeroMQ over ipc://. */
#include "sockets.h"
#include <zmq.h>

typedef void *end;

static end open_end(enum kind kind)
{
    static const int types[] = {ZMQ_PUSH, ZMQ_PULL, ZMQ_REP, ZMQ_REQ};
    char address[64];
    void *e = zmq_socket(zmq_ctx_new(), types[kind]);

    sockets_address(address, sizeof address, "ipc://@");
    bench_check((kind == PUSH || kind == REP ? zmq_bind : zmq_connect)(e, address) == 0, "socket");
    return e;
}

#define END_SEND(e, m) bench_check(zmq_send(e, &(m), sizeof(m), 0) == (int)sizeof(m), "send")
#define END_RECV(e, m) bench_check(zmq_recv(e, &(m), sizeof(m), 0) == (int)sizeof(m), "recv")

#define SIZES(F) BENCH_SIZES(F) F(65536)
SIZES(SOCKETS_CASES)

#define ROWS(B) SOCKETS_ROWS("zeromq", B),

BENCH_GROUP(zmq) = {SIZES(ROWS){.system = NULL}};
