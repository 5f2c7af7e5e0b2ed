/*
 * sum - ten workers add the numbers from 1 to 10000, and report over one channel:
 *
 *     sum pipe:            sum fifo:/tmp/sum         sum ring:sum         sum mq:sum
 */
#include "ipc_channel.h"
#include <err.h>
#include <sys/wait.h>

enum { WORKERS = 10, LAST = 10000 };

struct report {
    int worker;
    uint64_t sum;
};

static int work(struct ipc_channel *ch, const char *uri, int worker)
{
    struct report r = {worker, 0};
    uint64_t i;

    for (i = (uint64_t)worker + 1; i <= LAST; i += WORKERS)
        r.sum += i;
    if (strcmp(uri, "pipe:") != 0)
        ipc_channel_close(ch); /* our copy of the parent's */
    if (strcmp(uri, "pipe:") != 0 && ipc_channel_open(ch, uri, IPC_SEND, ipc_in_ms(5000)) != 0)
        errx(1, "%s", ipc_channel_why(ch));
    if (ipc_channel_send(ch, &r, sizeof r, ipc_in_ms(5000)) != 0)
        errx(1, "%s", ipc_channel_why(ch));
    ipc_channel_close(ch);
    return 0;
}

int main(int argc, char **argv)
{
    const char *uri = argc > 1 ? argv[1] : "pipe:";
    struct ipc_channel_options how;
    struct ipc_channel ch;
    uint64_t sum = 0;
    int i;

    memset(&how, 0, sizeof how);
    if (strncmp(uri, "ring:", 5) == 0)
        how.senders = WORKERS; /* a lane for each */
    if (ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, ipc_in_ms(1000), &how) != 0)
        errx(1, "%s", ipc_channel_why(&ch));
    for (i = 0; i < WORKERS; i++)
        switch (fork()) {
        case -1:
            err(1, "fork");
        case 0:
            return work(&ch, uri, i);
        }
    for (i = 0; i < WORKERS;) {
        struct report r;
        int64_t n = ipc_channel_recv(&ch, &r, sizeof r, ipc_in_ms(5000));

        if (n == -EPIPE)
            continue; /* a FIFO reports when it has no sender for a while */
        if (n != sizeof r)
            errx(1, "%s", n < 0 ? ipc_channel_why(&ch) : "a report of another size");
        printf("worker %d: %llu\n", r.worker, (unsigned long long)r.sum);
        sum += r.sum;
        i++;
    }
    while (wait(NULL) > 0)
        ;
    ipc_channel_close(&ch);
    (void)ipc_channel_unlink(uri);
    printf("sum: %llu\n", (unsigned long long)sum);
    return sum != (uint64_t)LAST * (LAST + 1) / 2;
}
