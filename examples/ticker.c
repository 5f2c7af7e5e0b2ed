/*
 * One writer, any number of readers that it never waits for: a lossy broadcast.
 *
 *     ticker NAME <lines       the writer: a line a message
 *     ticker -r NAME           a reader: prints what is sent from now on, and what it has missed
 *
 * Either side may start first, and be killed and started again. A reader ends when the writer has
 * ended; one that was killed has a successor, for which it waits.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>

struct item {
    char text[120];
};
IPC_BROADCAST(items, struct item)

static int read_all(const char *name)
{
    struct ipc_shm seg;
    struct items_consumer in;
    struct item item;
    uint64_t missed = 0;
    int rc = ipc_shm_open(&seg, name, ipc_in_ms(10000)); /* waits for the writer */

    rc = rc != 0 ? rc : items_consumer_open(&in, &seg, "items");
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    while ((rc = items_recv(&in, &item, IPC_FOREVER)) != -EPIPE) /* -EPIPE: the writer has ended */
        switch (rc) {
        case 0:
            printf("%.*s", (int)sizeof item.text, item.text);
            (void)fflush(stdout);
            break;
        case -EOVERFLOW: /* it goes on with the oldest that is left */
            warnx("missed %llu", (unsigned long long)(items_missed(&in) - missed));
            missed = items_missed(&in);
            break;
        case -EOWNERDEAD:
            warnx("the writer was killed: waiting for the next");
            break;
        default:
            errx(1, "%s", ipc_strerror(rc));
        }
    items_consumer_detach(&in);
    ipc_shm_close(&seg);
    return 0;
}

int main(int argc, char **argv)
{
    struct ipc_shm seg;
    struct items_producer out;
    struct item item;
    int rc;

    if (argc == 3 && strcmp(argv[1], "-r") == 0)
        return read_all(argv[2]);
    if (argc != 2)
        errx(2, "usage: ticker NAME <lines | ticker -r NAME");
    rc = ipc_shm_create(&seg, argv[1], 1 << 20); /* or takes over what a killed writer has left */
    rc = rc != 0 ? rc : items_producer_create(&out, &seg, "items", 1024, IPC_BROADCAST_LOSSY);
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    while (rc == 0 && fgets(item.text, sizeof item.text, stdin) != NULL)
        rc = items_send(&out, &item, IPC_FOREVER); /* never waits: the oldest is overwritten */
    if (rc != 0)
        errx(1, "not sent: %s", ipc_strerror(rc));
    items_producer_detach(&out);
    ipc_shm_close(&seg);
    return ipc_shm_unlink(argv[1]) == 0 ? 0 : 1; /* readers that have it open read to the end */
}
