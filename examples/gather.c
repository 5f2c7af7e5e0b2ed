/*
 * Lines of any length from several processes to one: records.
 *
 *     gather NAME N            prints the lines, until N senders have ended
 *     gather NAME - <lines     a sender; up to 8 at a time
 *
 * Each sender has memory of its own: one that is stopped or killed in the middle of a line holds up no
 * other, and its half line was never there. One that was killed does not count: it is started again.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>
#include <stdlib.h>

enum { LANE = 1 << 16, SENDERS = 8 };
IPC_RECORDS(lines)

static int send_all(const char *name)
{
    struct ipc_shm seg;
    struct lines_producer out;
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    int rc = ipc_shm_open(&seg, name, ipc_in_ms(10000)); /* waits for the one that prints */

    rc = rc != 0 ? rc : lines_producer_open(&out, &seg, "lines");
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    while ((n = getline(&line, &size, stdin)) >= 0) {
        do /* -EMSGSIZE: longer than half of the lane */
            rc = lines_send(&out, line, (size_t)n, IPC_FOREVER);
        while (rc == -EOWNERDEAD); /* the reader was killed: the next one goes on */
        if (rc != 0)
            errx(1, "not sent: %s", ipc_strerror(rc));
    }
    free(line);
    lines_producer_detach(&out); /* what it has sent stays */
    ipc_shm_close(&seg);
    return 0;
}

int main(int argc, char **argv)
{
    static char line[LANE / 2];
    struct ipc_shm seg;
    struct lines_consumer in;
    int64_t n = 0;
    int left, rc;

    if (argc != 3)
        errx(2, "usage: gather NAME N | gather NAME - <lines");
    if (strcmp(argv[2], "-") == 0)
        return send_all(argv[1]);
    rc = ipc_shm_create(&seg, argv[1], 1 << 20);
    rc = rc != 0 ? rc : lines_consumer_create(&in, &seg, "lines", LANE, SENDERS);
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    lines_watch_producers(&in); /* or it would not be told of their ends, as there may be more */
    for (left = atoi(argv[2]); left > 0;) {
        n = lines_recv(&in, line, sizeof line, IPC_FOREVER);
        if (n >= 0)
            (void)fwrite(line, 1, (size_t)n, stdout);
        else if (n == -EPIPE)
            left--;
        else if (n == -EOWNERDEAD)
            warnx("a sender was killed");
        else
            errx(1, "%s", ipc_strerror((int)n));
    }
    lines_consumer_detach(&in);
    ipc_shm_close(&seg);
    return ipc_shm_unlink(argv[1]) == 0 ? 0 : 1;
}
