/*
 * A server that outlives its clients, and clients that outlive their server.
 *
 *     calls NAME               a server; as many as you like; SIGTERM ends it after the call it is at
 *     calls NAME N             a client: N calls, one after the other
 *
 * A client that is killed costs the server nothing. When the server is killed or ended, the call that
 * it had taken fails; the client asks again until a server is there.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct add {
    int64_t a, b;
};
IPC_CALL(adder, struct add, int64_t)

static volatile sig_atomic_t ends;

static void end(int number)
{
    ends = number;
}

static int serve(const char *name)
{
    struct sigaction on_term = {.sa_handler = end}; /* without SA_RESTART: it ends the sleep */
    struct ipc_shm seg;
    struct adder_server s;
    union adder_slot *call;
    int rc = ipc_shm_open_or_create(&seg, name, 1 << 20, NULL);

    rc = rc != 0 ? rc : adder_server_create(&s, &seg, "adder", 64); /* callers at a time */
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    (void)sigaction(SIGTERM, &on_term, NULL);
    while (!ends) { /* looks once a second, as the signal may come just before the sleep */
        rc = adder_serve(&s, &call, ipc_in_ms(1000));
        if (rc == -ETIMEDOUT || rc == -EINTR)
            continue;
        if (rc != 0)
            errx(1, "serve: %s", ipc_strerror(rc));
        call->reply = call->request.a + call->request.b;
        (void)adder_answer(&s, call);
    }
    adder_server_detach(&s);
    ipc_shm_close(&seg); /* the name stays: the next server goes on there */
    return 0;
}

/* Asks until there is an answer. A request that failed may have had an effect: this one has none. */
static int64_t add(struct adder_client *c, struct add request, unsigned *failed)
{
    const struct timespec pause = {0, 10000000};
    int64_t sum;
    int rc;

    while ((rc = adder_call(c, &request, &sum, ipc_in_ms(5000))) != 0) {
        if (rc != -EOWNERDEAD && rc != -EPIPE && rc != -ETIMEDOUT)
            errx(1, "call: %s", ipc_strerror(rc));
        ++*failed;
        (void)nanosleep(&pause, NULL); /* the next call may fail at once, too */
    }
    return sum;
}

int main(int argc, char **argv)
{
    struct ipc_shm seg;
    struct adder_client c;
    unsigned failed = 0;
    int64_t i, n;
    int rc;

    if (argc == 2)
        return serve(argv[1]);
    if (argc != 3)
        errx(2, "usage: calls NAME [N]");
    n = strtoll(argv[2], NULL, 10);
    rc = ipc_shm_open(&seg, argv[1], ipc_in_ms(5000)); /* waits for the first server */
    rc = rc != 0 ? rc : adder_client_open(&c, &seg, "adder");
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    for (i = 0; i < n; i++)
        if (add(&c, (struct add){i, 1}, &failed) != i + 1)
            errx(1, "%lld + 1 is wrong", (long long)i);
    printf("%lld calls, %u asked again\n", (long long)n, failed);
    adder_client_detach(&c);
    ipc_shm_close(&seg);
    return 0;
}
