/*
 * An epoll loop over two rings and a socket. It sleeps until one of the three has something.
 *
 *     loop NAME PATH           the loop: counts, and tells whoever connects to the socket at PATH
 *     loop NAME ticks N        sends N ticks; a second one at a time is refused
 *     loop NAME orders N       sends N orders
 *     loop -a PATH             asks, and prints the answer
 *
 * A sender that was killed has a successor, for which the loop waits. It ends when both have ended.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

struct tick {
    uint64_t number;
};
struct order {
    uint64_t number, amount;
};
IPC_SPSC(ticks, struct tick)
IPC_SPSC(orders, struct order)

static void check(int rc, const struct ipc_shm *seg)
{
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(seg));
}

/* A socket that is bound to that path, or connected to it. */
static int open_socket(const char *path, int listens)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (s < 0 || strlen(path) >= sizeof at.sun_path)
        errx(1, "%s: no path of a socket", path);
    memcpy(at.sun_path, path, strlen(path));
    if (listens) {
        (void)unlink(path);
        if (bind(s, (struct sockaddr *)&at, sizeof at) != 0 || listen(s, 16) != 0)
            err(1, "%s", path);
    } else if (connect(s, (struct sockaddr *)&at, sizeof at) != 0) {
        err(1, "%s", path);
    }
    return s;
}

static int ask(const char *path)
{
    char line[100];
    ssize_t n = read(open_socket(path, 0), line, sizeof line);

    return n > 0 && fwrite(line, 1, (size_t)n, stdout) == (size_t)n ? 0 : 1;
}

static void answer(int listener, uint64_t ticks, uint64_t orders)
{
    int s = accept(listener, NULL, NULL);
    char line[100];
    int n = snprintf(line, sizeof line, "%llu ticks, %llu orders\n", (unsigned long long)ticks,
                     (unsigned long long)orders);

    if (s >= 0)
        (void)send(s, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(s);
}

static void add(int loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

    if (fd < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0)
        err(1, "cannot add to the loop");
}

/* -EPIPE: that sender has ended. 0: it has not. */
static int went_on(int rc, const char *what)
{
    if (rc == -EOWNERDEAD)
        warnx("the sender of %s was killed: waiting for the next", what);
    else if (rc != -ETIMEDOUT && rc != -EPIPE)
        errx(1, "%s: %s", what, ipc_strerror(rc));
    return rc == -EPIPE ? rc : 0;
}

static void run(struct ticks_consumer *ticks, struct orders_consumer *orders, int listener)
{
    int loop = epoll_create1(EPOLL_CLOEXEC), n = 0, rc, ended[2] = {0, 0};
    struct ipc_notify *bell[2];
    struct epoll_event event;
    uint64_t count[2] = {0, 0};
    struct tick tick;
    struct order order;

    bell[0] = ticks_consumer_bell(ticks);
    bell[1] = orders_consumer_bell(orders);
    add(loop, ipc_notify_fd(bell[0]));
    add(loop, ipc_notify_fd(bell[1]));
    add(loop, listener);
    while (!ended[0] || !ended[1]) {
        if (n > 0 && event.data.fd == listener)
            answer(listener, count[0], count[1]);
        ipc_notify_drain(bell[0]);
        ipc_notify_drain(bell[1]);
        ipc_notify_arm(bell[0]); /* from here on a post makes the descriptor readable */
        ipc_notify_arm(bell[1]);
        while ((rc = ticks_recv(ticks, &tick, IPC_NOW)) == 0)
            count[0]++;
        ended[0] = went_on(rc, "ticks") != 0 || ended[0];
        while ((rc = orders_recv(orders, &order, IPC_NOW)) == 0)
            count[1]++;
        ended[1] = went_on(rc, "orders") != 0 || ended[1];
        if (!ended[0] || !ended[1])
            n = epoll_wait(loop, &event, 1, 1000); /* see the manual of ipc_notify_fd */
    }
    printf("%llu ticks, %llu orders\n", (unsigned long long)count[0], (unsigned long long)count[1]);
    (void)close(loop);
}

static int send_all(struct ipc_shm *seg, const char *what, uint64_t n)
{
    struct ticks_producer ticks;
    struct orders_producer orders;
    struct tick tick = {0};
    struct order order = {0, 1};
    int rc = 0;

    if (strcmp(what, "ticks") == 0) {
        check(ticks_producer_open(&ticks, seg, "ticks"), seg);
        while (tick.number++ < n && rc == 0)
            rc = ticks_send(&ticks, &tick, IPC_FOREVER);
        ticks_producer_detach(&ticks);
    } else {
        check(orders_producer_open(&orders, seg, "orders"), seg);
        while (order.number++ < n && rc == 0)
            rc = orders_send(&orders, &order, IPC_FOREVER);
        orders_producer_detach(&orders);
    }
    ipc_shm_close(seg);
    if (rc != 0)
        errx(1, "the loop has gone: %s", ipc_strerror(rc));
    return 0;
}

int main(int argc, char **argv)
{
    struct ipc_shm seg;
    struct ticks_consumer ticks;
    struct orders_consumer orders;
    int listener;

    if (argc == 3 && strcmp(argv[1], "-a") == 0)
        return ask(argv[2]);
    if (argc != 3 && argc != 4)
        errx(2, "usage: loop NAME PATH | loop NAME ticks|orders N | loop -a PATH");
    if (argc == 4) {
        check(ipc_shm_open(&seg, argv[1], ipc_in_ms(10000)), &seg);
        return send_all(&seg, argv[2], strtoull(argv[3], NULL, 10));
    }
    check(ipc_shm_create(&seg, argv[1], 1 << 20), &seg);
    check(ticks_consumer_create(&ticks, &seg, "ticks", 1024), &seg);
    check(orders_consumer_create(&orders, &seg, "orders", 1024), &seg);
    listener = open_socket(argv[2], 1);
    run(&ticks, &orders, listener);
    ticks_consumer_detach(&ticks);
    orders_consumer_detach(&orders);
    ipc_shm_close(&seg);
    (void)unlink(argv[2]);
    return ipc_shm_unlink(argv[1]) == 0 ? 0 : 1;
}
