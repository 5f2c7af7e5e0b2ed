/*
 * A descriptor, and ipc_channel_wait_any, tell of something only while recv has something to tell: in
 * each state of each mechanism, with peers that have not begun, have begun by half, or are gone. What
 * would keep a processor busy is a descriptor that recv does not make quiet.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "channel.h"

#define IN_VAIN 40 /* wakes; a ring asks for deaths 8 times after a process has come or gone */

/* recv has nothing to tell, and soon poll and ipc_channel_wait_any have not, either. */
static void is_quiet(void)
{
    struct ipc_channel *all[1] = {&ch};
    struct pollfd p = {-1, POLLIN, 0};
    unsigned wakes = 0;
    int rc;

    do {
        IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -ETIMEDOUT);
        p.fd = ipc_channel_fd(&ch);
        must_(wakes++ < IN_VAIN, "poll wakes for nothing over", uri, __FILE__, __LINE__);
    } while (p.fd >= 0 && poll(&p, 1, 0) == 1);
    for (wakes = 0; (rc = ipc_channel_wait_any(all, 1, IPC_NOW)) == 0; wakes++) {
        IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -ETIMEDOUT);
        must_(wakes < IN_VAIN, "wait_any wakes for nothing over", uri, __FILE__, __LINE__);
    }
    IS(rc, -ETIMEDOUT);
}

/* ------------------------------------------------------------------ peers of this library */

static void sends_when_told(struct child *up, void *arg)
{
    (void)arg;
    open_as(listens(IPC_SEND));
    tell(up, 0);
    while (hear(up) != 0) {
        IS(ipc_channel_send(&ch, "message", 7, ipc_in_ms(LONG_MS)), 0);
        tell(up, 0);
    }
    ipc_channel_close(&ch);
}

/* A sender that has opened, has sent, and is gone. */
static void an_idle_sender_wakes_nobody(void **state)
{
    int k;

    (void)state;
    EACH_ROW(0)
    {
        struct child c;

        for (k = 0; k < ((row->is & MEETS) != 0 ? 2 : 1); k++) {
            if (k == 0 && !(row->is & SENDER)) {
                open_as(listens(IPC_RECV));
                while (NAMED("signal") && ipc_channel_recv(&ch, scratch, 8, IPC_NOW) >= 0)
                    ; /* what other tests have left pending */
                if (!NAMED("pipe")) /* which closes what the child is to have */
                    is_quiet();
            }
            c = spawn(sends_when_told, NULL);
            (void)hear(&c);
            if (row->is & SENDER)
                open_as(listens(IPC_RECV));
            is_quiet();
            tell(&c, 1);
            IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), 7);
            (void)hear(&c);
            is_quiet();
            tell(&c, 0);
            finish(&c);
            if (row->is & TELLS)
                IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), -EPIPE);
            if (!NAMED("pipe")) /* which says -EPIPE at each call */
                is_quiet();
        }
        over();
    }
}

/* ------------------------------------------------------------------ peers that stop half way */

/* The address of this row's socket. */
static socklen_t address(struct sockaddr_storage *to)
{
    struct sockaddr_un *un = (struct sockaddr_un *)to;
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    const char *at = strchr(uri, ':') + 1;

    memset(to, 0, sizeof *to);
    if (NAMED("tcp")) {
        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        in->sin_port = htons((uint16_t)atoi(strrchr(uri, ':') + 1));
        return sizeof *in;
    }
    un->sun_family = AF_UNIX;
    if (*at == '/') {
        (void)snprintf(un->sun_path, sizeof un->sun_path, "%s", at);
        return sizeof *un;
    }
    (void)snprintf(un->sun_path + 1, sizeof un->sun_path - 1, "%s%s",
                   row->is & RING ? "ipc-auto-" : "", at + (*at == '@'));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(un->sun_path + 1));
}

/* A socket that listens there, or is connected. */
static int stranger(int to_listen)
{
    struct sockaddr_storage a;
    socklen_t size = address(&a);
    int fd = socket(a.ss_family, NAMED("unix-seq") ? SOCK_SEQPACKET : SOCK_STREAM, 0);

    MUST(fd >= 0);
    if (to_listen)
        MUST(bind(fd, (struct sockaddr *)&a, size) == 0 && listen(fd, 5) == 0);
    else
        MUST(connect(fd, (struct sockaddr *)&a, size) == 0);
    return fd;
}

/* What a peer says first that sends, and the header of a message of 7 bytes. How many bytes it is. */
static size_t says(unsigned char to[100], int to_listen, uint32_t ring)
{
    struct ipc_channel_hello_ hello = {IPC_CHANNEL_MAGIC_, 0, 0, 4096};

    if (row->is & RING) {
        hello.version = IPC_CHANNEL_VERSION_ | IPC_SEND << IPC_CHANNEL_VERSION_BITS_;
        hello.ring = ring;
        memcpy(to, &hello, sizeof hello);
        return sizeof hello;
    }
    ipc_channel_put_(to, IPC_CHANNEL_HELLO_);
    ipc_channel_put_(to + 4, IPC_SEND | (to_listen ? IPC_CHANNEL_GREETING_LISTENS_ : 0) |
                                 IPC_CHANNEL_GREETING_VERSION_);
    ipc_channel_put_(to + 8, 4096);
    return IPC_CHANNEL_GREETING_;
}

/* What peers say before they stop: nothing, a part of a greeting, all of it, and a part of a message. */
static const unsigned parts[] = {0, 5, 100, 1000};

static void goes_half_way(int fd, unsigned part, int to_listen, uint32_t ring)
{
    unsigned char what[100];
    size_t n = says(what, to_listen, ring);

    if (NAMED("unix-seq") && part == 5)
        return; /* such a packet is refused */
    IS(send(fd, what, part < n ? part : n, MSG_NOSIGNAL), part < n ? part : n);
    if (part == 1000 && (row->is & FRAMED) != 0) {
        ipc_channel_put_header_(what, 7);
        IS(send(fd, what, 10, MSG_NOSIGNAL), 10);
    }
}

static void a_client_that_goes_half_way_wakes_no_listener(void **state)
{
    struct ipc_channel_options how;
    unsigned i, k;
    int fd;

    (void)state;
    memset(&how, 0, sizeof how);
    EACH_ROW(ACCEPTS)
    for (i = 0; i < 2 * sizeof parts / sizeof *parts && !NAMED("tcp6"); i++) {
        choose(row);
        how.clients = i % 2 * 4;
        k = parts[i / 2];
        IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), 0);
        is_quiet();
        fd = stranger(0);
        goes_half_way(fd, k, 0, 1);
        is_quiet();
        (void)close(fd);
        while (k >= 100 && ipc_channel_recv(&ch, scratch, 8, IPC_NOW) != -ETIMEDOUT)
            ; /* its loss */
        is_quiet();
        over();
    }
}

static void a_listener_that_goes_half_way_wakes_no_client(void **state)
{
    unsigned i;
    int fd, client;

    (void)state;
    EACH_ROW(ACCEPTS)
    for (i = 0; i < sizeof parts / sizeof *parts * 2 && !NAMED("tcp6"); i++) {
        choose(row);
        fd = stranger(1);
        open_as(IPC_RECV);
        client = accept(fd, NULL, NULL);
        MUST(client >= 0);
        is_quiet();
        goes_half_way(client, parts[i / 2], 1, 1 + i % 2); /* auto: a segment is to follow */
        is_quiet();
        (void)close(client);
        (void)close(fd);
        over();
    }
}

/* Bytes beside the ring, as many as the other side likes. */
static void sends_bytes(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_SEND);
    IS(ipc_channel_send(&ch, "message", 7, ipc_in_ms(LONG_MS)), 0);
    while (hear(up) != 0) {
        MUST(send(ch.in, scratch, 1000, 0) == 1000);
        tell(up, 0);
    }
}

static void bytes_beside_a_ring_are_taken_off(void **state)
{
    struct child c;
    int k;

    (void)state;
    choose(row_of("auto"));
    open_as(IPC_RECV | IPC_LISTEN);
    c = spawn(sends_bytes, NULL);
    IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), 7);
    for (k = 0; k < 3; k++) {
        is_quiet();
        tell(&c, 1);
        (void)hear(&c);
    }
    is_quiet();
    tell(&c, 0);
    finish(&c);
    over();
}

/* Fills the socket beside the ring, as often as it is told, and then sends a message. */
static void fills_the_socket(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_SEND);
    IS(ipc_channel_send(&ch, "message", 7, ipc_in_ms(LONG_MS)), 0);
    while (hear(up) != 0) {
        while (send(ch.in, scratch, 1 << 16, MSG_DONTWAIT) > 0)
            ;
        MUST(errno == EAGAIN);
        tell(up, 0);
    }
    IS(ipc_channel_send(&ch, "another", 7, ipc_in_ms(LONG_MS)), 0);
    (void)hear(up);
}

/* At its deadline recv leaves the bytes that are still there: to take all of them off takes longer
 * than it sleeps at the socket, for 0.1 ms at most, and with a flood it would never end. */
static void bytes_beside_a_ring_hold_no_recv(void **state)
{
    struct child c;
    int k, left;

    (void)state;
    choose(row_of("auto"));
    open_as(IPC_RECV | IPC_LISTEN);
    c = spawn(fills_the_socket, NULL);
    IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), 7);
    for (k = 0; k < 5; k++) {
        tell(&c, 1);
        (void)hear(&c);
        IS(ipc_channel_recv(&ch, scratch, 8, ipc_clock() + IPC_NOTIFY_SHORT_ + 100000), -ETIMEDOUT);
        MUST(ioctl(ch.in, FIONREAD, &left) == 0 && left > 0);
    }
    tell(&c, 0);
    IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), 7);
    kill_child(&c);
    IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), -EPIPE);
    over();
}

/* A client that says nothing keeps no other one from ipc_channel_wait_any. */
static void a_silent_client_keeps_out_nobody(void **state)
{
    struct ipc_channel *all[1] = {&ch};
    int64_t n;
    int fd;

    (void)state;
    EACH_ROW(ACCEPTS)
    {
        struct child c;

        if (NAMED("tcp6"))
            continue;
        open_as(IPC_RECV | IPC_LISTEN);
        fd = stranger(0);
        is_quiet();
        c = spawn(sends_bytes, NULL);
        do {
            IS(ipc_channel_wait_any(all, 1, ipc_in_ms(LONG_MS)), 0);
            n = ipc_channel_recv(&ch, scratch, 8, IPC_NOW);
        } while (n == -ETIMEDOUT);
        IS(n, 7);
        tell(&c, 0);
        finish(&c);
        (void)close(fd);
        over();
    }
}

/* What ipc_channel_wait_any refuses is told with the first channel. */
static void the_first_channel_has_the_sentence(void **state)
{
    struct ipc_channel out, *all[2] = {&ch, &out};

    (void)state;
    choose(row_of("unix"));
    open_as(IPC_RECV | IPC_LISTEN);
    IS(ipc_channel_open(&out, uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_wait_any(all, 2, IPC_NOW), -EINVAL);
    MUST(strstr(ipc_channel_why(&ch), "not opened to receive") != NULL);
    is_quiet();
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), -ETIMEDOUT);
    MUST(strstr(ipc_channel_why(&ch), "no error") == ipc_channel_why(&ch));
    ipc_channel_close(&out);
    over();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_sender_wakes_nobody),
        TEST(a_client_that_goes_half_way_wakes_no_listener),
        TEST(a_listener_that_goes_half_way_wakes_no_client),
        TEST(bytes_beside_a_ring_are_taken_off),
        TEST(bytes_beside_a_ring_hold_no_recv),
        TEST(a_silent_client_keeps_out_nobody),
        TEST(the_first_channel_has_the_sentence),
    };

    prepare(argc, argv);
    ring_max = 4096;
    return cmocka_run_group_tests_name("wakes", tests, NULL, NULL);
}
