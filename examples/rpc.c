/*
 * rpc - a remote procedure call; the URI is the only difference:
 *
 *     rpc -s URI           the server, of up to 64 clients at a time, until it is killed
 *     rpc URI 3 5          a client: prints 8
 *
 *     ring:add     unix:/tmp/add     tcp:127.0.0.1:9000     auto:add     udp:127.0.0.1:9000
 *
 * Each call has a number, which its answer repeats. So a client that reads what another client was
 * answered, or it itself before it gave up, leaves that out.
 */
#include "ipc_channel.h"
#include <err.h>

struct question {
    uint64_t call;
    int64_t a, b;
};

struct answer {
    uint64_t call;
    int64_t sum;
};

static int serve(const char *uri)
{
    struct ipc_channel_options how = {.clients = 64};
    struct ipc_channel ch;
    int rc = ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how);

    if (rc == -EOPNOTSUPP) /* sysvshm: serves one after the other, udp: whoever asked last */
        rc = ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW);
    if (rc != 0)
        errx(1, "%s", ipc_channel_why(&ch));
    for (;;) {
        struct question q;
        struct answer a;
        int64_t n = ipc_channel_recv(&ch, &q, sizeof q, IPC_FOREVER);

        if (n == -EMSGSIZE) /* no question, and it would stay */
            (void)ipc_channel_drop(&ch, ch.from);
        /* -EPIPE, -EOWNERDEAD, -EBADMSG: a client is gone. The others stay, the next may come. */
        if (n != sizeof q)
            continue;
        a.call = q.call;
        a.sum = q.a + q.b;
        (void)ipc_channel_send(&ch, &a, sizeof a, IPC_NOW); /* a client that does not read waits */
    }
}

int main(int argc, char **argv)
{
    struct ipc_channel ch;
    struct question q;
    struct answer a = {0, 0};
    int64_t until = ipc_in_ms(5000), n;

    if (argc == 3 && strcmp(argv[1], "-s") == 0)
        return serve(argv[2]);
    if (argc != 4)
        errx(2, "usage: rpc -s URI | rpc URI A B");
    q.call = (uint64_t)ipc_clock() << 22 ^ (uint64_t)getpid(); /* no other process has it */
    q.a = strtoll(argv[2], NULL, 10);
    q.b = strtoll(argv[3], NULL, 10);
    n = ipc_channel_open(&ch, argv[1], IPC_BOTH, until);
    if (n == 0)
        n = ipc_channel_send(&ch, &q, sizeof q, until);
    do
        n = n < 0 ? n : ipc_channel_recv(&ch, &a, sizeof a, until);
    while (n >= 0 && (n != sizeof a || a.call != q.call));
    if (n < 0)
        errx(1, "no sum: %s", n == -ETIMEDOUT ? "the server takes long" : ipc_channel_why(&ch));
    printf("%lld\n", (long long)a.sum);
    ipc_channel_close(&ch);
    return 0;
}
