/*
 * Channels: what is refused, limits and deadlines of all mechanisms; streams of bytes, and what only
 * sockets have.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "channel.h"

/* ------------------------------------------------------------------ listeners */

/* The listener meets a client of this process, which has connected: they have greeted each other
 * then. */
static void meets(struct ipc_channel *listener)
{
    char byte;

    EVENTUALLY(ipc_channel_recv(listener, &byte, 1, IPC_NOW) == -ETIMEDOUT && listener->in >= 0);
}

/* ------------------------------------------------------------------ strangers, limits, deadlines */

static void is_nobody(struct child *up, void *arg)
{
    int rc;

    (void)arg;
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    rc = ipc_channel_open(&ch, uri, (row->is & SENDER ? IPC_RECV : IPC_SEND), ipc_in_ms(50));
    tell(up, (uint64_t)(int64_t)rc);
    ipc_channel_close(&ch);
    if (NAMED("unix@")) { /* only its user id speaks against it; the listener drops it */
        IS(rc, 0);
        return;
    }
    is_(rc, -EACCES, uri, __FILE__, __LINE__);
    /* Nor is what it makes itself taken for ours. */
}

static void strangers_are_refused(void **state)
{
    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be somebody else");
    EACH_ROW(0)
    {
        struct child c;
        struct stat st;
        mode_t mask = umask(077);
        struct ipc_channel_options how;

        if ((row->is & PATH) == 0 && !NAMED("unix@")) {
            (void)umask(mask);
            continue;
        }
        memset(&how, 0, sizeof how);
        open_as((row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN);
        c = spawn(is_nobody, NULL);
        (void)hear(&c);
        if (NAMED("unix@")) {
            struct ipc_channel_facts facts;

            IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(20)), -ETIMEDOUT);
            IS(ipc_channel_info(&ch, &facts), 0);
            IS(facts.pid, 0); /* no peer yet */
        }
        finish(&c);
        over();
        (void)umask(0777);
        how.mode = NAMED("unix@") ? 0 : 0620;
        IS(ipc_channel_open_with(&ch, uri, (row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN,
                                 IPC_NOW, &how),
           0);
        (void)umask(mask);
        if (!NAMED("mq") && !NAMED("sysv") && !NAMED("unix@") && !(row->is & RING)) {
            IS(stat(strchr(uri, ':') + 1, &st), 0);
            IS(st.st_mode & 0777, 0620);
        }
        if (!NAMED("unix@") && !NAMED("unix") && !NAMED("unix-seq") && !NAMED("unix-dgram")) {
            struct ipc_channel other; /* a client that asked for less gets no more */

            IS(ipc_channel_open(&other, uri, (row->is & SENDER ? IPC_RECV : IPC_SEND), IPC_NOW),
               -EACCES);
        }
        over();
    }
}

struct door {
    const char *uri;
    int accepts; /* with ipc_channel_accept, not recv */
};

static void waits_for_ever(struct child *up, void *arg)
{
    const struct door *d = (const struct door *)arg;
    struct ipc_channel one;

    IS(ipc_channel_open(&ch, d->uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    tell(up, 1);
    if (d->accepts)
        (void)ipc_channel_accept(&ch, &one, IPC_FOREVER);
    else
        (void)ipc_channel_recv(&ch, scratch, 10, IPC_FOREVER);
    MUST(!"somebody was let in");
}

static void comes_as_nobody(struct child *up, void *arg)
{
    const struct door *d = (const struct door *)arg;

    (void)up;
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    IS(ipc_channel_open(&ch, d->uri, IPC_BOTH, ipc_in_ms(LONG_MS)), 0);
    is_(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE, d->uri, __FILE__, __LINE__);
}

/* A refused client is left at once, not when the next one comes or at the deadline. */
static void refused_stranger_is_left_at_once(void **state)
{
    static const char *const forms[] = {"unix:@%s", "unix-seq:@%s", "auto:%s"};
    size_t i;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be somebody else");
    for (i = 0; i < 6; i++) {
        struct door d = {uri, i % 2};
        struct child c;

        next_name(NULL);
        (void)snprintf(uri, sizeof uri, forms[i / 2], name);
        c = spawn(waits_for_ever, &d);
        (void)hear(&c);
        IS(run(comes_as_nobody, &d), 0);
        kill_child(&c);
    }
}

static void has_no_descriptors(struct child *up, void *arg)
{
    struct rlimit none = {0, 0};

    (void)up, (void)arg;
    none.rlim_cur = none.rlim_max = (rlim_t)dup(0); /* the first free one */
    (void)close((int)none.rlim_cur);
    IS(setrlimit(RLIMIT_NOFILE, &none), 0);
    IS(ipc_channel_open(&ch, uri, (row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN, IPC_NOW),
       -EMFILE);
    MUST(strstr(ipc_channel_why(&ch), "Too many open files") != NULL);
}

static void has_no_queues(struct child *up, void *arg)
{
    struct rlimit none = {100, 100};

    (void)up, (void)arg;
    IS(setrlimit(RLIMIT_MSGQUEUE, &none), 0);
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EMFILE);
    MUST(strstr(ipc_channel_why(&ch), "ulimit -q") != NULL);
}

/* Descriptors run out after the listener is open and before it can accept. */
static void accepts_without_descriptors(struct child *up, void *arg)
{
    struct rlimit few = {0, 100};
    struct ipc_channel client;
    int left;

    (void)up, (void)arg;
    open_as(IPC_BOTH | IPC_LISTEN);
    for (left = 0; left < 2; left++) {
        IS(ipc_channel_open(&client, uri, IPC_BOTH, ipc_in_ms(LONG_MS)), 0);
        few.rlim_cur = (rlim_t)dup(0);
        (void)close((int)few.rlim_cur);
        few.rlim_cur += (rlim_t)left;
        IS(setrlimit(RLIMIT_NOFILE, &few), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), left ? -ETIMEDOUT : -EMFILE);
        few.rlim_cur = 100;
        IS(ipc_channel_recv(&client, scratch, 10, IPC_NOW), -ETIMEDOUT);
        if (left == 0) { /* the client was not lost */
            IS(setrlimit(RLIMIT_NOFILE, &few), 0);
            IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT);
            IS(ipc_channel_recv(&client, scratch, 10, IPC_NOW), -ETIMEDOUT);
        }
        IS(ipc_channel_send(&client, "x", 1, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 1);
        if (NAMED("auto")) /* no segment without a descriptor */
            MUST(strcmp(becomes(), left ? "unix" : "ring") == 0);
        ipc_channel_close(&client);
        IS(setrlimit(RLIMIT_NOFILE, &few), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
    }
    ipc_channel_close(&ch);
}

static void set_limit(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
        _exit(UNABLE);
    (void)close(fd);
}

static void refused_for(const char *scheme, const char *address, int why, const char *hint)
{
    char full[250];

    (void)snprintf(full, sizeof full, "%s:%s", scheme, address);
    IS(ipc_channel_open(&ch, full, IPC_RECV | IPC_LISTEN, IPC_NOW), why);
    must_(strstr(ipc_channel_why(&ch), hint) != NULL, ipc_channel_why(&ch), hint, __FILE__,
          __LINE__);
}

/* In an IPC namespace of its own, where the kernel allows few queues and little memory. */
static void has_little_of_everything(struct child *up, void *arg)
{
    struct ipc_channel_options how;
    struct ipc_channel out;

    (void)up, (void)arg;
    memset(&how, 0, sizeof how);
    if (unshare(CLONE_NEWIPC) != 0)
        _exit(UNABLE);
    set_limit("/proc/sys/kernel/msgmni", "1");
    set_limit("/proc/sys/kernel/msgmax", "100");
    set_limit("/proc/sys/kernel/msgmnb", "300");
    set_limit("/proc/sys/kernel/shmmni", "1");
    set_limit("/proc/sys/kernel/shmmax", "1000");
    set_limit("/proc/sys/fs/mqueue/queues_max", "1");
    set_limit("/proc/sys/fs/mqueue/msg_default", "2");
    set_limit("/proc/sys/fs/mqueue/msgsize_default", "128");

    how.max = 101;
    IS(ipc_channel_open_with(&ch, "sysv:1", IPC_RECV | IPC_LISTEN, IPC_NOW, &how), -EMSGSIZE);
    MUST(strstr(ipc_channel_why(&ch), "kernel.msgmax") != NULL);
    refused_for("sysv", "2", -ENOSPC, "kernel.msgmni");
    IS(ipc_channel_open(&ch, "sysv:1", IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    IS(largest(), 100);
    IS(ipc_channel_open(&out, "sysv:1", IPC_SEND, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 101, IPC_NOW), -EMSGSIZE);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), -ETIMEDOUT);
    IS(ipc_channel_recv(&ch, scratch, 100, IPC_NOW), 100);
    IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
    ipc_channel_close(&out);
    over();

    refused_for("sysvshm", "1", -EINVAL, "Invalid");
    set_limit("/proc/sys/kernel/shmmax", "100000000");
    IS(ipc_channel_open(&out, "sysvshm:1", IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    refused_for("sysvshm", "2", -ENOSPC, "No space");
    ipc_channel_close(&out);

    IS(ipc_channel_open(&out, "mq:one", IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 129, IPC_NOW), -EMSGSIZE);
    IS(ipc_channel_send(&out, scratch, 128, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 128, IPC_NOW), 0);
    IS(ipc_channel_send(&out, scratch, 1, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&out);
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    refused_for("mq", "two", -ENOSPC, "queues_max");
}

static void a_deadline_that_is_no_time_is_refused(void **state)
{
    struct ipc_channel ch, client;
    char uri[128], byte;

    (void)state;
    (void)snprintf(uri, sizeof uri, "unix:@%s", prefix);
    IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, 1000), -EINVAL);
    MUST(strstr(ipc_channel_why(&ch), "ipc_in_ms") != NULL);
    IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_recv(&ch, &byte, 1, -1), -EINVAL);
    IS(ipc_channel_send(&ch, &byte, 1, 1000), -EINVAL);
    IS(ipc_channel_flush(&ch, 1000), -EINVAL);
    IS(ipc_channel_accept(&ch, &client, 1000), -EINVAL);
    MUST(strstr(ipc_channel_why(&client), "ipc_in_ms") != NULL);
    ipc_channel_close(&ch);
}

static void limits_are_told(void **state)
{
    int rc;

    (void)state;
    EACH_ROW(ACCEPTS)
    IS(run(accepts_without_descriptors, NULL), 0);
    rc = run(has_little_of_everything, NULL);
    if (rc == UNABLE)
        print_message("note: no limits of our own, to run into\n");
    else
        IS(rc, 0);
    EACH_ROW(0)
    {
        if (!NAMED("sysv") && !NAMED("sysvshm") && !NAMED("signal"))
            IS(run(has_no_descriptors, NULL), 0);
        if (NAMED("mq"))
            IS(run(has_no_queues, NULL), 0);
        (void)ipc_channel_unlink(uri);
    }
}

static void floods_as_nobody(struct child *up, void *arg)
{
    unsigned i;

    (void)up;
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), 0);
    for (i = 0; i < *(unsigned *)arg; i++)
        IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), 0);
}

/* Our message is behind `strange` others that are not for us. */
static void finds_its_own(struct ipc_channel *own, unsigned strange)
{
    IS(ipc_channel_send(own, "own", 3, IPC_NOW), 0);
    if (strange == IPC_CHANNEL_SKIPS_)
        IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT);
    IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), 3);
}

static void is_flooded(struct child *up, void *arg)
{
    struct ipc_channel own;
    unsigned n;

    (void)up, (void)arg;
    if (unshare(CLONE_NEWNET) != 0)
        _exit(UNABLE);
    set_limit("/proc/sys/net/unix/max_dgram_qlen", "200");
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_open(&own, uri, IPC_SEND, IPC_NOW), 0);
    for (n = IPC_CHANNEL_SKIPS_ - 1; n <= IPC_CHANNEL_SKIPS_; n++) {
        IS(run(floods_as_nobody, &n), 0);
        finds_its_own(&own, n);
    }
}

/* Strangers send signals and datagrams: after the deadline a call skips some of them, not all. */
static void deadlines_hold_in_a_flood(void **state)
{
    struct ipc_channel own;
    unsigned i, n;
    int rc;

    (void)state;
    choose(row_of("signal"));
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_open(&own, uri, IPC_SEND, IPC_NOW), 0);
    for (n = IPC_CHANNEL_SKIPS_ - 1; n <= IPC_CHANNEL_SKIPS_; n++) {
        for (i = 0; i < n; i++)
            IS(kill(getpid(), SIGRTMIN), 0);
        finds_its_own(&own, n);
    }
    ipc_channel_close(&own);
    over();

    SKIP_IF(geteuid() != 0, "needs root, to be somebody else");
    (void)snprintf(uri, sizeof uri, "unix-dgram:@%s", name);
    rc = run(is_flooded, NULL);
    SKIP_IF(rc == UNABLE, "no network of our own, to be flooded");
    IS(rc, 0);
}

#define PORTS "/proc/sys/net/ipv4/ip_local_port_range"

/* The kernel can choose only one port, the one to which the client connects. */
static void meets_itself(struct child *up, void *arg)
{
    static const char *const uris[] = {"tcp:127.0.0.1:40000", "tcp:[::1]:40000",
                                       "udp:127.0.0.1:40000", "udp:[::1]:40000"};
    struct ipc_channel client;
    struct ifreq lo;
    size_t i;
    int fd;

    (void)up, (void)arg;
    memset(&lo, 0, sizeof lo);
    (void)strcpy(lo.ifr_name, "lo");
    lo.ifr_flags = IFF_UP;
    if (unshare(CLONE_NEWNET) != 0)
        _exit(UNABLE);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0 && close(fd) == 0);
    for (i = 0; i < sizeof uris / sizeof *uris; i++) {
        set_limit(PORTS, "40000 40000");
        is_(ipc_channel_open(&client, uris[i], IPC_BOTH, ipc_in_ms(20)), -ETIMEDOUT, uris[i],
            __FILE__, __LINE__);
        /* The port is free for the listener. */
        is_(ipc_channel_open(&ch, uris[i], IPC_BOTH | IPC_LISTEN, IPC_NOW), 0, uris[i], __FILE__,
            __LINE__);
        set_limit(PORTS, "40000 40001");
        if (i >= 2) /* datagram clients find another port also while nobody listens */
            ipc_channel_close(&ch);
        is_(ipc_channel_open(&client, uris[i], IPC_BOTH, ipc_in_ms(LONG_MS)), 0, uris[i], __FILE__,
            __LINE__);
        if (i >= 2)
            IS(ipc_channel_open(&ch, uris[i], IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
        meets(&ch);
        IS(ipc_channel_send(&client, "own", 3, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 3);
        ipc_channel_close(&client);
        ipc_channel_close(&ch);
    }
}

static void client_does_not_meet_itself(void **state)
{
    int rc = run(meets_itself, NULL);

    (void)state;
    SKIP_IF(rc == UNABLE, "no network of our own, with one port");
    IS(rc, 0);
}

/* ------------------------------------------------------------------ streams of bytes */

/* Connects a plain descriptor to the listener of this row. */
static int plain(void)
{
    struct ipc_channel other;
    int fd;

    if (NAMED("pipe"))
        return fcntl(((struct ipc_channel_pipe_ *)ch.state)->child_out, F_DUPFD_CLOEXEC, 0);
    IS(ipc_channel_open(&other, uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
    fd = dup(other.out);
    ipc_channel_close(&other);
    MUST(fd >= 0);
    (void)fcntl(fd, F_SETFL, 0);
    return fd;
}

static void any_split_of_the_stream_is_put_together(void **state)
{
    unsigned seed = 1;

    (void)state;
    EACH_ROW(FRAMED)
    {
        unsigned char *all = malloc(1 << 20);
        size_t end = 0, sent = 0, n;
        uint64_t i, received = 0;
        int64_t got;
        int fd;

        open_as(listens(IPC_RECV));
        fd = plain();
        for (i = 0; i < 200; i++) {
            n = i % 20 == 19 ? 20000 : length_of(i + 4, 300);
            ipc_channel_put_header_(all + end, n);
            fill((char *)all + end + IPC_CHANNEL_HEADER_, i, n);
            end += IPC_CHANNEL_HEADER_ + n;
        }
        while (sent < end) {
            size_t part = (size_t)rand_r(&seed) % (sent % 3 ? 12 : 3000) + 1;

            part = part < end - sent ? part : end - sent;
            MUST(write(fd, all + sent, part) == (ssize_t)part);
            sent += part;
            while ((got = ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW)) >= 0) {
                check_one(received, received % 20 == 19 ? 20000 : length_of(received + 4, 300),
                          got);
                received++;
            }
            IS(got, -ETIMEDOUT);
        }
        while (received < 200) {
            recv_one(received, received % 20 == 19 ? 20000 : length_of(received + 4, 300));
            received++;
        }
        (void)close(fd);
        IS(ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS)), -EPIPE);
        free(all);
        over();
    }
}

static void garbage_is_refused_and_its_sender_left(void **state)
{
    unsigned seed = 7, kind, k;

    (void)state;
    EACH_ROW(TELLS)
    {
        if ((row->is & RING) != 0)
            continue;
        open_as(listens(IPC_RECV));
        for (kind = 0; kind < 60; kind++) {
            unsigned char bytes[64];
            int64_t got;
            int fd = NAMED("pipe") ? plain() : -1;

            IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT); /* meets the next peer */
            fd = NAMED("pipe") ? fd : plain();
            for (k = 0; k < sizeof bytes; k++)
                bytes[k] = (unsigned char)rand_r(&seed);
            if (kind % 3 == 1)
                ipc_channel_put_header_(bytes, kind == 1 ? UINT32_MAX : (1u << 21) + kind);
            if (kind % 3 == 2) { /* a good header, then one with a bit flipped */
                ipc_channel_put_header_(bytes, 4);
                ipc_channel_put_header_(bytes + 12, 4);
                bytes[12 + kind % 8] ^= (unsigned char)(1 << kind % 7);
            }
            if (NAMED("unix-seq") && kind % 3 == 2)
                ipc_channel_put_header_(bytes, 4); /* with more than 4 bytes behind it */
            IS(write(fd, bytes, sizeof bytes), sizeof bytes);
            (void)close(fd);
            got = ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS));
            if (got == 4)
                got = ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS));
            IS(got, -EBADMSG);
            if (NAMED("pipe")) { /* a pipe has no next peer */
                IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
                over();
                open_as(IPC_RECV);
            }
        }
        over();
    }
}

/* A message longer than the receiver asked for is dropped, and does not block later ones. */
static void what_is_longer_than_agreed_is_dropped(void **state)
{
    static const char *const schemes[] = {"unix-dgram", "udp", "sysv"};
    struct ipc_channel_options how;
    struct ipc_channel out;
    int i;

    (void)state;
    memset(&how, 0, sizeof how);
    how.max = 100;
    for (i = 0; i < 3; i++) {
        choose(row_of(schemes[i]));
        IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), 0);
        IS(ipc_channel_open(&out, uri, IPC_SEND, IPC_NOW), 0);
        fill(scratch, 0, 101);
        IS(ipc_channel_send(&out, scratch, 101, IPC_NOW), 0);
        fill(scratch, 1, 100);
        IS(ipc_channel_send(&out, scratch, 100, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 1000, ipc_in_ms(LONG_MS)), -EBADMSG);
        MUST(strstr(ipc_channel_why(&ch), "dropped") != NULL);
        recv_one(1, 100);
        ipc_channel_close(&out);
        over();
    }
}

static void closes_before_it_has_read(struct child *up, void *arg)
{
    uint64_t i;

    (void)arg;
    open_as(IPC_BOTH);
    send_one(0, 8);
    (void)hear(up); /* what the other side sends is there */
    for (i = 1; i < 20; i++)
        send_one(i, 4000);
    ipc_channel_close(&ch);
}

/* The kernel tells a reset then. Over Unix sockets all that was sent has arrived before; over tcp: what
 * has reached this host. */
static void who_closes_with_messages_unread_takes_none_back(void **state)
{
    (void)state;
    EACH_ROW(ACCEPTS | TELLS | BOTH)
    {
        int tcp = NAMED("tcp") || NAMED("tcp6");
        struct child c;
        uint64_t i;
        int64_t got = 0;

        open_as(IPC_BOTH | IPC_LISTEN);
        c = spawn(closes_before_it_has_read, NULL);
        recv_one(0, 8);
        send_one(99, 8);
        tell(&c, 1);
        for (i = 1; i < 20 && got >= 0; i++) {
            got = ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS));
            if (got >= 0 || !tcp)
                check_one(i, 4000, got);
        }
        got = got < 0 ? got : ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS));
        MUST(got == -EPIPE || (tcp && got == -EOWNERDEAD));
        finish(&c);
        over();
    }
}

/* ------------------------------------------------------------------ Unix sockets */

static void calls_in(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_BOTH);
    send_one((uint64_t)getpid(), 20);
    (void)hear(up);
    recv_one((uint64_t)getpid(), 30);
    ipc_channel_close(&ch);
}

static void several_clients_are_served_at_once(void **state)
{
    (void)state;
    EACH_ROW(ACCEPTS)
    {
        struct ipc_channel listener, client[5];
        struct ipc_channel_facts facts;
        struct child c[5];
        int i, k;

        IS(ipc_channel_open(&listener, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
        IS(ipc_channel_accept(&listener, &client[0], IPC_NOW), -ETIMEDOUT);
        for (i = 0; i < 5; i++)
            c[i] = spawn(calls_in, NULL);
        for (i = 0; i < 5; i++)
            IS(ipc_channel_accept(&listener, &client[i], ipc_in_ms(LONG_MS)), 0);
        for (i = 4; i >= 0; i--) {
            pid_t who = 0;

            ch = client[i];
            IS(ipc_channel_recv(&ch, scratch, 100, ipc_in_ms(LONG_MS)), 20);
            for (k = 0; k < 5; k++) {
                char want[20];

                fill(want, (uint64_t)c[k].pid, 20);
                if (memcmp(scratch, want, 20) == 0)
                    who = c[k].pid;
            }
            MUST(who != 0);
            IS(ipc_channel_info(&ch, &facts), 0);
            if (strncmp(row->scheme, "unix", 4) == 0) {
                IS(facts.pid, who);
                IS(facts.uid, getuid());
                IS(facts.gid, getgid());
            }
            send_one((uint64_t)who, 30);
            client[i] = ch;
        }
        for (i = 0; i < 5; i++)
            tell(&c[i], 0);
        for (i = 0; i < 5; i++)
            finish(&c[i]);
        for (i = 0; i < 5; i++) {
            IS(ipc_channel_recv(&client[i], scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
            IS(ipc_channel_recv(&client[i], scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
            ipc_channel_close(&client[i]);
        }
        ipc_channel_close(&listener);
    }
    EACH_ROW(0)
    {
        struct ipc_channel other;

        if ((row->is & ACCEPTS) != 0)
            continue;
        open_as((row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN);
        IS(ipc_channel_accept(&ch, &other, IPC_NOW), -EOPNOTSUPP);
        over();
    }
}

static void sends_more_than_fits(struct child *up, void *arg)
{
    (void)up, (void)arg;
    open_as(IPC_SEND);
    IS(ipc_channel_send(&ch, scratch, 150000, ipc_in_ms(LONG_MS)), -EMSGSIZE);
    IS(ipc_channel_send(&ch, scratch, 1000, ipc_in_ms(LONG_MS)), 0);
    ipc_channel_close(&ch);
}

/* The kernel's default for the buffers of Unix sockets has grown since the channel was opened: its own
 * are as large as they were. */
static void what_later_sockets_carry_fits_into_the_buffers(void **state)
{
    struct ipc_channel_options how;
    struct child c;

    (void)state;
    choose(row_of("unix-seq"));
    memset(&how, 0, sizeof how);
    how.max = 1000;
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), 0);
    ch.how.max = 0; /* as if it had been the default */
    c = spawn(sends_more_than_fits, NULL);
    IS(ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS)), 1000);
    finish(&c);
    over();
}

static void long_paths_work(void **state)
{
    char folder[400], deep[600];
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        static const char *const schemes[] = {"unix", "unix-seq", "unix-dgram"};
        struct ipc_channel other;

        next_name(NULL);
        (void)snprintf(folder, sizeof folder, "/dev/shm/%s-%0200d", name, 0);
        IS(mkdir(folder, 0700), 0);
        (void)snprintf(deep, sizeof deep, "%s:%s/socket", schemes[i], folder);
        IS(ipc_channel_open(&ch, deep, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
        IS(ipc_channel_open(&other, deep, IPC_SEND, IPC_NOW), 0);
        meets(&ch);
        IS(ipc_channel_send(&other, "x", 1, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 1);
        ipc_channel_close(&other);
        ipc_channel_close(&ch);
        IS(rmdir(folder), 0); /* works, so the socket's file is gone */
        (void)snprintf(deep, sizeof deep, "%s:/dev/shm/%0300d", schemes[i], 0);
        IS(ipc_channel_open(&ch, deep, IPC_RECV | IPC_LISTEN, IPC_NOW), -ENAMETOOLONG);
        (void)snprintf(deep, sizeof deep, "%s:@%0200d", schemes[i], 0);
        IS(ipc_channel_open(&ch, deep, IPC_RECV | IPC_LISTEN, IPC_NOW), -ENAMETOOLONG);
    }
}

static void no_client_is_answered_before_it_asked(void **state)
{
    (void)state;
    EACH_ROW(BOTH)
    {
        struct ipc_channel client;
        char answer[8];

        if (!NAMED("unix-dgram") && !NAMED("udp"))
            continue;
        IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
        IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EDESTADDRREQ);
        IS(ipc_channel_open(&client, uri, IPC_BOTH, IPC_NOW), 0);
        IS(ipc_channel_send(&client, "ask", 3, IPC_NOW), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 3);
        IS(ipc_channel_send(&ch, "answer", 6, IPC_NOW), 0);
        IS(ipc_channel_recv(&client, answer, sizeof answer, ipc_in_ms(LONG_MS)), 6);
        ipc_channel_close(&client);
        if (NAMED("unix-dgram"))
            IS(ipc_channel_send(&ch, "answer", 6, IPC_NOW), -EPIPE);
        IS(ipc_channel_open(&client, uri, IPC_RECV, IPC_NOW), -EOPNOTSUPP);
        over();
    }
}

/* ------------------------------------------------------------------ what is no channel */

static void what_is_no_channel_is_refused(void **state)
{
    static const char *const wrong[] = {"",         "x",         "unix",   "nothing:x",
                                        ":x",       "tcp:1",     "tcp::1", "tcp:127.0.0.1:",
                                        "signal:x", "signal:-1", "pipes:", "pipe:x"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int rc = ipc_channel_open(&ch, wrong[i], IPC_RECV | IPC_LISTEN, IPC_NOW);

        is_(rc, -EINVAL, wrong[i], __FILE__, __LINE__);
        MUST(*ipc_channel_why(&ch) != '\0');
        ipc_channel_close(&ch);
    }
    IS(ipc_channel_open(&ch, NULL, IPC_RECV, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "pipe:", 0, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "pipe:", 8 | IPC_RECV, IPC_NOW), -EINVAL);
    IS(ipc_channel_unlink("pipe:"), -EOPNOTSUPP);
    IS(ipc_channel_unlink("nothing:"), -EINVAL);
    IS(ipc_channel_open(&ch, "pipe:", IPC_RECV, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EINVAL);
    ipc_channel_close(&ch);
    ipc_channel_close(&ch);
    IS(ipc_channel_open(&ch, "tcp:host.invalid:1", IPC_SEND, IPC_NOW) < 0, 1);
    IS(ipc_channel_open(&ch, "unix:/dev/shm/no/such", IPC_RECV | IPC_LISTEN, IPC_NOW), -ENOENT);
    IS(ipc_channel_open(&ch, "file:", IPC_RECV, IPC_NOW), -EINVAL);
    IS(ipc_channel_open(&ch, "udp:127.0.0.1:9", IPC_RECV, IPC_NOW), -EOPNOTSUPP);
    MUST(strstr(ipc_channel_why(&ch), "the receiver is the one that listens") != NULL);
}

static void a_deadline_that_came_has_a_sentence(void **state)
{
    char uri[128], byte;

    (void)state;
    (void)snprintf(uri, sizeof uri, "unix:@%s", prefix);
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), 0);
    IS(ipc_channel_send(&ch, "x", 1, IPC_NOW), -EINVAL); /* its sentence does not stay */
    IS(ipc_channel_recv(&ch, &byte, 1, IPC_NOW), -ETIMEDOUT);
    MUST(strstr(ipc_channel_why(&ch), "ended at its deadline") != NULL);
    ipc_channel_close(&ch);
}

/* ------------------------------------------------------------------ all of them */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(strangers_are_refused),
        TEST(refused_stranger_is_left_at_once),
        TEST(limits_are_told),
        TEST(a_deadline_that_is_no_time_is_refused),
        TEST(deadlines_hold_in_a_flood),
        TEST(client_does_not_meet_itself),
        TEST(any_split_of_the_stream_is_put_together),
        TEST(garbage_is_refused_and_its_sender_left),
        TEST(what_is_longer_than_agreed_is_dropped),
        TEST(who_closes_with_messages_unread_takes_none_back),
        TEST(several_clients_are_served_at_once),
        TEST(what_later_sockets_carry_fits_into_the_buffers),
        TEST(long_paths_work),
        TEST(no_client_is_answered_before_it_asked),
        TEST(what_is_no_channel_is_refused),
        TEST(a_deadline_that_came_has_a_sentence),
    };

    prepare(argc, argv);
    return cmocka_run_group_tests_name("channel_sockets", tests, NULL, NULL);
}
