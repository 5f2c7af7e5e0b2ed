/*
 * rpc - a remote procedure call; the URI is the only difference:
 *
 *     rpc -s URI           the server, until it is killed
 *     rpc URI 3 5          a client: prints 8
 *
 *     ring:add     unix:/tmp/add     tcp:127.0.0.1:9000     auto:add     udp:127.0.0.1:9000
 */
#include "ipc_channel.h"
#include <err.h>

struct add {
    int64_t a, b;
};

static int serve(const char *uri)
{
    struct ipc_channel ch;

    if (ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW) != 0)
        errx(1, "%s", ipc_channel_why(&ch));
    for (;;) {
        struct add q;
        int64_t n = ipc_channel_recv(&ch, &q, sizeof q, IPC_FOREVER), sum;

        /* -EPIPE, -EOWNERDEAD, -EBADMSG: this client is gone. The next call meets the next one. */
        if (n != sizeof q)
            continue;
        sum = q.a + q.b;
        (void)ipc_channel_send(&ch, &sum, sizeof sum, ipc_in_ms(1000));
    }
}

int main(int argc, char **argv)
{
    struct ipc_channel ch;
    struct add q;
    int64_t sum, n = 0;

    if (argc == 3 && strcmp(argv[1], "-s") == 0)
        return serve(argv[2]);
    if (argc != 4)
        errx(2, "usage: rpc -s URI | rpc URI A B");
    q.a = strtoll(argv[2], NULL, 10);
    q.b = strtoll(argv[3], NULL, 10);
    if (ipc_channel_open(&ch, argv[1], IPC_BOTH, ipc_in_ms(5000)) != 0 ||
        ipc_channel_send(&ch, &q, sizeof q, ipc_in_ms(5000)) != 0 ||
        (n = ipc_channel_recv(&ch, &sum, sizeof sum, ipc_in_ms(5000))) != sizeof sum)
        errx(1, "no sum: %s", n == -ETIMEDOUT ? "the server takes long" : ipc_channel_why(&ch));
    printf("%lld\n", (long long)sum);
    ipc_channel_close(&ch);
    return 0;
}
