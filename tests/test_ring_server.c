/*
 * ring: in event loops, ring: servers of many clients, and which client an answer is for: with real
 * processes that are stopped and killed.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#define LONG_MS 20000 /* longer than any working call takes */
#define HANG_S 120
#include "harness.h"

static char uri[200];
static struct ipc_channel ch;

static void open_as(unsigned role, unsigned clients)
{
    struct ipc_channel_options how;
    int rc;

    (void)snprintf(uri, sizeof uri, "ring:%s", name);
    memset(&how, 0, sizeof how);
    how.clients = clients;
    rc = ipc_channel_open_with(&ch, uri, role, ipc_in_ms(LONG_MS), &how);
    must_(rc == 0, uri, ipc_channel_why(&ch), __FILE__, __LINE__);
}

static void put(uint64_t number)
{
    IS(ipc_channel_send(&ch, &number, sizeof number, ipc_in_ms(LONG_MS)), 0);
}

/* ------------------------------------------------------------------ in an event loop */

/* What recv says next, for a loop that sleeps in poll alone. */
static int64_t poll_and_get(uint64_t *number)
{
    struct pollfd p = {ipc_channel_fd(&ch), POLLIN, 0};
    int64_t rc;

    while ((rc = ipc_channel_recv(&ch, number, sizeof *number, IPC_NOW)) == -ETIMEDOUT)
        IS(poll(&p, 1, LONG_MS), 1);
    return rc;
}

static void sends_as_told(struct child *up, void *arg)
{
    uint64_t word;

    (void)arg;
    open_as(IPC_SEND, 0);
    tell(up, 1);
    while ((word = hear(up)) != 0)
        put(word);
    ipc_channel_close(&ch);
}

/* As long as the other side says nothing, the loop may be woken a few times, but not for ever. */
static void the_loop_rests(void)
{
    struct pollfd p = {ipc_channel_fd(&ch), POLLIN, 0};
    uint64_t number;
    unsigned i;

    for (i = 0; i < 100 && poll(&p, 1, 30) == 1; i++)
        IS(ipc_channel_recv(&ch, &number, sizeof number, IPC_NOW), -ETIMEDOUT);
    MUST(i < 100);
}

static void a_loop_learns_of_messages_and_of_each_end(void **state)
{
    unsigned how;

    (void)state;
    open_as(IPC_RECV | IPC_LISTEN, 0);
    MUST(ipc_channel_fd(&ch) >= 0);
    for (how = 0; how < 4; how++) {
        struct child c = spawn(sends_as_told, NULL);
        uint64_t number = 0, i;

        (void)hear(&c);
        for (i = 1; i <= 3; i++) {
            the_loop_rests();
            tell(&c, i);
            IS(poll_and_get(&number), sizeof number);
            IS(number, i);
        }
        if (how % 2 == 0)
            the_loop_rests();
        if (how < 2)
            tell(&c, 0);
        else
            signal_child(&c, SIGKILL);
        IS(poll_and_get(&number), how < 2 ? -EPIPE : -EOWNERDEAD);
        if (how < 2)
            finish(&c);
        else
            was_killed(&c);
        the_loop_rests(); /* told once */
    }
    ipc_channel_close(&ch);
    open_as(IPC_SEND | IPC_LISTEN, 0);
    IS(ipc_channel_fd(&ch), -EOPNOTSUPP);
    ipc_channel_close(&ch);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_loop_learns_of_messages_and_of_each_end),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("ring_server", tests, NULL, NULL);
}
