/* zmq:ipc: of ipc_channel.h, beside ZeroMQ by hand. */
#include "ipc_zmq.h"

#include "sockets.h"

typedef struct ipc_channel *end;

static end open_end(enum kind kind)
{
    static const unsigned roles[] = {IPC_SEND, IPC_RECV | IPC_LISTEN, IPC_BOTH | IPC_LISTEN, IPC_BOTH};
    static struct ipc_channel channel;
    char address[64];

    sockets_address(address, sizeof address, "zmq:ipc://@");
    bench_check(ipc_channel_open(&channel, address, roles[kind], ipc_in_ms(10000)) == 0, "channel");
    return &channel;
}

#define END_SEND(e, m) bench_check(ipc_channel_send(e, &(m), sizeof(m), IPC_FOREVER) == 0, "send")
#define END_RECV(e, m)                                                                             \
    bench_check(ipc_channel_recv(e, &(m), sizeof(m), IPC_FOREVER) == (int64_t)sizeof(m), "recv")

#define SIZES(F) BENCH_SIZES(F) F(65536)
SIZES(SOCKETS_CASES)

#define ROWS(B) SOCKETS_ROWS("chan_zmq", B),

BENCH_GROUP(ipc_zmq) = {SIZES(ROWS){.system = NULL}};
