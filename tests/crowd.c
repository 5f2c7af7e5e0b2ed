/*
 * 200 processes come at once to a server that pauses for 3 s, ask it, and ask it again through a
 * second pause: over unix:, tcp: and auto:. No call of theirs fails within 5 s, and together they
 * take less than half a second of processor time, also where a user has fewer inotify instances than
 * there are clients. A part of make soak.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#include <sys/resource.h>

#define LONG_MS 60000 /* longer than any working call takes */
#define HANG_S 300
#include "harness.h"

#ifndef CLIENTS
#define CLIENTS 200
#endif
#define PAUSE_S 3
#define SOON_MS 5000 /* within which each call of a client succeeds */

static char uri[200];
static struct ipc_channel ch;

static void serves(struct child *up, void *arg)
{
    struct ipc_channel_options how;
    uint64_t value;
    int64_t n;

    (void)arg;
    memset(&how, 0, sizeof how);
    how.clients = CLIENTS;
    how.max = 1000;
    IS(ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), 0);
    tell(up, 0);
    for (;;) {
        n = ipc_channel_recv(&ch, &value, sizeof value, IPC_FOREVER);
        if (n > 0)
            (void)ipc_channel_send(&ch, &value, (size_t)n, IPC_NOW);
    }
}

static void asks(uint64_t value)
{
    uint64_t got;
    int64_t rc = ipc_channel_send(&ch, &value, sizeof value, ipc_in_ms(SOON_MS));

    must_(rc == 0, "send", ipc_channel_why(&ch), __FILE__, __LINE__);
    rc = ipc_channel_recv(&ch, &got, sizeof got, ipc_in_ms(SOON_MS));
    must_(rc == sizeof got, "recv", ipc_channel_why(&ch), __FILE__, __LINE__);
    IS(got, value);
}

/* Of a process, or of the children that were waited for. */
static uint64_t processor_us(int whose)
{
    struct rusage all;

    MUST(getrusage(whose, &all) == 0);
    return (uint64_t)(all.ru_utime.tv_sec + all.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(all.ru_utime.tv_usec + all.ru_stime.tv_usec);
}

static void is_client(struct child *up, void *arg)
{
    int rc = ipc_channel_open(&ch, uri, IPC_BOTH, ipc_in_ms(SOON_MS));

    (void)arg;
    must_(rc == 0, "open", ipc_channel_why(&ch), __FILE__, __LINE__);
    asks((uint64_t)getpid());
    tell(up, processor_us(RUSAGE_SELF));
    (void)hear(up);
    asks((uint64_t)getpid() + 1);
    ipc_channel_close(&ch);
}

/* All of them come, or ask, while the server is stopped. */
static void crowd(const char *scheme)
{
    static struct child clients[CLIENTS];
    uint64_t before = processor_us(RUSAGE_CHILDREN), first = 0, both;
    struct child server = spawn(serves, NULL);
    size_t i;

    (void)hear(&server);
    stop_child(&server);
    for (i = 0; i < CLIENTS; i++)
        clients[i] = spawn(is_client, NULL);
    (void)sleep(PAUSE_S);
    signal_child(&server, SIGCONT);
    for (i = 0; i < CLIENTS; i++)
        first += hear(&clients[i]);
    stop_child(&server);
    for (i = 0; i < CLIENTS; i++)
        tell(&clients[i], 0);
    (void)sleep(PAUSE_S);
    signal_child(&server, SIGCONT);
    for (i = 0; i < CLIENTS; i++)
        finish(&clients[i]);
    both = processor_us(RUSAGE_CHILDREN) - before; /* the server is not waited for yet */
    print_message("note: %s: %d clients took %u ms of processor time until the first answer, %u ms in all\n",
                  scheme, CLIENTS, (unsigned)(first / 1000), (unsigned)(both / 1000));
    MUST(first < 500000);
    MUST(both < 500000);
    kill_child(&server);
    (void)ipc_channel_unlink(uri);
}

static void over_unix(void **state)
{
    (void)state;
    (void)snprintf(uri, sizeof uri, "unix:/dev/shm/%s", name);
    crowd("unix");
}

static void over_tcp(void **state)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
         getsockname(fd, (struct sockaddr *)&a, &size) == 0);
    (void)close(fd);
    (void)snprintf(uri, sizeof uri, "tcp:127.0.0.1:%d", ntohs(a.sin_port));
    crowd("tcp");
}

static void over_auto(void **state)
{
    (void)state;
    (void)snprintf(uri, sizeof uri, "auto:%s", name);
    crowd("auto");
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {TEST(over_unix), TEST(over_tcp), TEST(over_auto)};

    set_up(argc, argv);
    return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
