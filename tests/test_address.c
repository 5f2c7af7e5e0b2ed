/*
 * Addresses of channels: which clients reach which listener, what is at an address before and
 * after, what open refuses, and what a channel does whose other side has gone and come again.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "harness.h"

static struct ipc_channel ch;
static char uri[300];
static char scratch[400000];

#define OPENS(ch, uri, role) opens_(ch, uri, role, __LINE__)

static void opens_(struct ipc_channel *c, const char *at, unsigned role, int line)
{
    int rc = ipc_channel_open(c, at, role, (role & IPC_LISTEN) ? IPC_NOW : ipc_in_ms(LONG_MS));

    must_(rc == 0, at, ipc_channel_why(c), __FILE__, line);
}

/* Makes a URI of this test with a fresh name: %s of the form. */
__attribute__((format(printf, 1, 0))) static void choose(const char *form)
{
    next_name(NULL);
    (void)snprintf(uri, sizeof uri, form, name);
}

/* ------------------------------------------------------------------ a network of our own */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        _exit(UNABLE);
    (void)close(fd);
}

static void set_loopback(int up)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq lo;

    memset(&lo, 0, sizeof lo);
    (void)strcpy(lo.ifr_name, "lo");
    lo.ifr_flags = up ? IFF_UP : 0;
    MUST(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
    (void)close(fd);
}

/* Moves this process to a network and names of its own. */
static void move_away(int ipv6)
{
    char path[200], hosts[1000] = "127.0.0.1 both three\n::1 both three\n127.0.0.2 three\n"
                                  "127.0.0.1 three\n";
    int i;

    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        _exit(UNABLE);
    if (!ipv6) {
        write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
        write_file("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "1");
    }
    set_loopback(1);
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    for (i = 1; i <= 17; i++)
        (void)sprintf(hosts + strlen(hosts), "127.0.1.%d many\n", i);
    write_file(path, hosts);
    if (mount(path, "/etc/hosts", NULL, MS_BIND, NULL) != 0)
        _exit(UNABLE);
}

static void in_a_network_of_its_own(body *f, void *arg)
{
    int rc = run(f, arg);

    SKIP_IF(rc == UNABLE, "needs root, for a network of its own");
    IS(rc, 0);
}

/* The listener meets a client of this process, which has connected: they have greeted each other
 * then. */
static void meets(struct ipc_channel *listener)
{
    char byte;

    EVENTUALLY(ipc_channel_recv(listener, &byte, 1, IPC_NOW) == -ETIMEDOUT && listener->in >= 0);
}

/* ------------------------------------------------------------------ names and ports */

/* Is the listener at `listen` reached by a client of that host, there and back? */
static void reaches(const char *scheme, const char *listen, const char *host)
{
    struct ipc_channel client;
    struct ipc_channel_facts facts;
    char at[100];

    (void)snprintf(at, sizeof at, "%s:%s:0", scheme, listen);
    OPENS(&ch, at, IPC_BOTH | IPC_LISTEN);
    IS(ipc_channel_info(&ch, &facts), 0);
    (void)snprintf(at, sizeof at, "%s:%s:%d", scheme, host, facts.port);
    OPENS(&client, at, IPC_BOTH);
    if (strcmp(scheme, "tcp") == 0)
        meets(&ch);
    is_(ipc_channel_send(&client, "ask", 3, ipc_in_ms(LONG_MS)), 0, at, __FILE__, __LINE__);
    is_(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 3, at, __FILE__, __LINE__);
    is_(ipc_channel_send(&ch, "yes!", 4, ipc_in_ms(LONG_MS)), 0, at, __FILE__, __LINE__);
    is_(ipc_channel_recv(&client, scratch, 10, ipc_in_ms(LONG_MS)), 4, at, __FILE__, __LINE__);
    IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&client);
    ipc_channel_close(&ch);
}

static void listens_late(struct child *up, void *arg)
{
    char byte;

    (void)hear(up);
    OPENS(&ch, (const char *)arg, IPC_RECV | IPC_LISTEN);
    IS(ipc_channel_recv(&ch, &byte, 1, ipc_in_ms(LONG_MS)), 1);
}

/* The client is there first, and is refused at each address in another way. */
static void waits_for(const char *client_uri, const char *listener_uri)
{
    char listener[100];
    struct child c;

    (void)snprintf(listener, sizeof listener, "%s", listener_uri);
    is_(ipc_channel_open(&ch, client_uri, IPC_SEND, ipc_in_ms(20)), -ETIMEDOUT, client_uri,
        __FILE__, __LINE__);
    c = spawn(listens_late, listener);
    tell(&c, 0);
    OPENS(&ch, client_uri, IPC_SEND);
    IS(ipc_channel_send(&ch, "x", 1, ipc_in_ms(LONG_MS)), 0);
    finish(&c);
    ipc_channel_close(&ch);
}

static void meets_all(struct child *up, void *arg)
{
    static const char *const schemes[] = {"tcp", "udp"};
    int ipv6 = *(int *)arg, i;

    (void)up;
    move_away(ipv6);
    for (i = 0; i < 2; i++) {
        reaches(schemes[i], "*", "127.0.0.1");
        reaches(schemes[i], "both", "127.0.0.1");
        reaches(schemes[i], "both", "both");
        reaches(schemes[i], "three", "127.0.0.1");
        reaches(schemes[i], "three", "127.0.0.2");
        if (ipv6) {
            reaches(schemes[i], "*", "[::1]");
            reaches(schemes[i], "both", "[::1]");
            reaches(schemes[i], "three", "[::1]");
        }
    }
    waits_for("tcp:both:9001", "tcp:127.0.0.1:9001");
    waits_for("tcp:both:9002", "tcp:both:9002");
    waits_for("tcp:127.0.0.1:9003", "tcp:both:9003");
    waits_for("tcp:three:9004", "tcp:127.0.0.2:9004");
    IS(ipc_channel_open(&ch, "tcp:many:9005", IPC_RECV | IPC_LISTEN, IPC_NOW), -E2BIG);
    MUST(strstr(ipc_channel_why(&ch), "16 addresses") != NULL);
}

static void all_addresses_of_a_name_are_used(void **state)
{
    int ipv6;

    (void)state;
    for (ipv6 = 0; ipv6 < 2; ipv6++) {
        next_name(NULL);
        in_a_network_of_its_own(meets_all, &ipv6);
    }
}

/* Datagrams meet nobody at the name's first address: the next address has its turn. */
static void tries_the_next(struct child *up, void *arg)
{
    struct ipc_channel client;
    int64_t until;

    (void)up, (void)arg;
    move_away(1);
    OPENS(&ch, "udp:127.0.0.2:9001", IPC_RECV | IPC_LISTEN);
    OPENS(&client, "udp:three:9001", IPC_SEND);
    until = ipc_in_ms(LONG_MS);
    while (ipc_channel_recv(&ch, scratch, 10, IPC_NOW) < 0 && ipc_left_(until) > 0)
        (void)ipc_channel_send(&client, "x", 1, IPC_NOW);
    MUST(ipc_left_(until) > 0);
    ipc_channel_close(&client);
    ipc_channel_close(&ch);
}

static void datagrams_find_the_address_that_answers(void **state)
{
    (void)state;
    in_a_network_of_its_own(tries_the_next, NULL);
}

static void ports_are_checked(void **state)
{
    static const char *const wrong[] = {"65536", "99999", "-1",         "+1", " 1",
                                        "1x",    "",      "4294967297", "0x1"};
    static const char *const schemes[] = {"tcp", "udp"};
    size_t i, k;

    (void)state;
    for (i = 0; i < 2; i++) {
        for (k = 0; k < sizeof wrong / sizeof *wrong; k++) {
            (void)snprintf(uri, sizeof uri, "%s:127.0.0.1:%s", schemes[i], wrong[k]);
            is_(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EINVAL, uri, __FILE__,
                __LINE__);
            MUST(strstr(ipc_channel_why(&ch), "65535") != NULL);
            is_(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), -EINVAL, uri, __FILE__, __LINE__);
        }
        (void)snprintf(uri, sizeof uri, "%s:127.0.0.1:0", schemes[i]);
        IS(ipc_channel_open(&ch, uri, IPC_SEND, IPC_NOW), -EINVAL);
        OPENS(&ch, uri, IPC_RECV | IPC_LISTEN);
        ipc_channel_close(&ch);
    }
}

/* ------------------------------------------------------------------ many clients */

/* A listener that is busy lets clients connect. */
static void a_busy_listener_has_room_for_many_clients(void **state)
{
    static const char *const forms[] = {"unix:@%s", "unix-seq:@%s", "tcp:127.0.0.1:0"};
    static struct ipc_channel client[100];
    struct ipc_channel_facts facts;
    size_t i, k;

    (void)state;
    for (i = 0; i < 3; i++) {
        choose(forms[i]);
        OPENS(&ch, uri, IPC_RECV | IPC_LISTEN);
        IS(ipc_channel_info(&ch, &facts), 0);
        if (i == 2)
            (void)snprintf(uri, sizeof uri, "tcp:127.0.0.1:%d", facts.port);
        for (k = 0; k < 100; k++)
            is_(ipc_channel_open(&client[k], uri, IPC_SEND, ipc_in_ms(i == 2 ? 900 : 0)), 0,
                ipc_channel_why(&client[k]), __FILE__, (int)k);
        for (k = 0; k < 100; k++)
            ipc_channel_close(&client[k]);
        ipc_channel_close(&ch);
    }
}

/* Clients that wait longer look less often. */
static void who_waits_long_looks_less_often(void **state)
{
    struct rusage before, after;

    (void)state;
    choose("unix:@%s");
    MUST(getrusage(RUSAGE_SELF, &before) == 0);
    IS(ipc_channel_open(&ch, uri, IPC_SEND, ipc_in_ms(1000)), -ETIMEDOUT);
    MUST(getrusage(RUSAGE_SELF, &after) == 0);
    MUST(after.ru_nvcsw - before.ru_nvcsw < 200); /* sleeps: some 50, not a thousand */
}

/* ------------------------------------------------------------------ files of sockets */

/* A listener is not disturbed by one that finds its address in use. */
static void a_refused_listener_disturbs_nobody(void **state)
{
    static const char *const forms[] = {"unix:/dev/shm/%s", "unix-seq:/dev/shm/%s",
                                        "auto:/dev/shm/%s", "unix-dgram:/dev/shm/%s"};
    struct ipc_channel second;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        choose(forms[i]);
        OPENS(&ch, uri, IPC_RECV | IPC_LISTEN);
        IS(ipc_channel_open(&second, uri, IPC_RECV | IPC_LISTEN, IPC_NOW), -EADDRINUSE);
        if (i < 3)
            is_(ipc_channel_accept(&ch, &second, IPC_NOW), -ETIMEDOUT, uri, __FILE__, __LINE__);
        IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT);
        ipc_channel_close(&ch);
    }
}

/* Others may lock the folder. */
static void a_locked_folder_keeps_no_listener_out(void **state)
{
    char folder[200];
    int lock, i;

    (void)state;
    next_name(NULL);
    (void)snprintf(folder, sizeof folder, "/dev/shm/%s", name);
    MUST(mkdir(folder, 0700) == 0);
    (void)snprintf(uri, sizeof uri, "unix:%s/socket", folder);
    lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(lock >= 0 && flock(lock, LOCK_EX) == 0);
    for (i = 0; i < 2; i++) { /* the second finds what the first has left */
        OPENS(&ch, uri, IPC_RECV | IPC_LISTEN);
        ipc_channel_get_socket_(&ch)->has_file = i;
        ipc_channel_close(&ch);
    }
    (void)close(lock);
    IS(rmdir(folder), 0); /* nothing else is left there */
}

static void listens_at_once(struct child *up, void *arg)
{
    int rc;

    (void)arg;
    (void)hear(up);
    rc = ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW);
    tell(up, (uint64_t)-rc);
    (void)hear(up); /* the others have tried */
}

/* While a process replaces what is left, others do not; a lock that was left is no lock. */
static void one_replaces_at_a_time(void **state)
{
    char path[220];
    int lock;

    (void)state;
    choose("unix:/dev/shm/%s");
    OPENS(&ch, uri, IPC_RECV | IPC_LISTEN);
    ipc_channel_get_socket_(&ch)->has_file = 0;
    ipc_channel_close(&ch);
    (void)snprintf(path, sizeof path, "/dev/shm/%s.lock", name);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    MUST(lock >= 0 && flock(lock, LOCK_EX) == 0);
    IS(ipc_channel_open(&ch, uri, IPC_RECV | IPC_LISTEN, ipc_in_ms(5)), -EADDRINUSE);
    (void)close(lock);
    OPENS(&ch, uri, IPC_RECV | IPC_LISTEN);
    MUST(access(path, F_OK) != 0);
    ipc_channel_close(&ch);
}

/* Of many that find what a killed listener has left one listens, and clients reach that one. */
static void one_of_many_replaces_what_is_left(void **state)
{
    struct child c[8];
    int round, i, winners;
    char lock[320];

    (void)state;
    for (round = 0; round < 20; round++) {
        choose("unix:/dev/shm/%s");
        OPENS(&ch, uri, IPC_RECV | IPC_LISTEN);
        ipc_channel_get_socket_(&ch)->has_file = 0;
        ipc_channel_close(&ch);
        for (i = 0; i < 8; i++)
            c[i] = spawn(listens_at_once, NULL);
        for (i = 0; i < 8; i++)
            tell(&c[i], 0);
        for (i = winners = 0; i < 8; i++) {
            uint64_t rc = hear(&c[i]);

            MUST(rc == 0 || rc == EADDRINUSE);
            winners += rc == 0;
        }
        IS(winners, 1);
        OPENS(&ch, uri, IPC_SEND);
        ipc_channel_close(&ch);
        for (i = 0; i < 8; i++) {
            tell(&c[i], 0);
            finish(&c[i]);
        }
        (void)snprintf(lock, sizeof lock, "%s.lock", strchr(uri, ':') + 1);
        MUST(access(lock, F_OK) != 0);
    }
}

/* ------------------------------------------------------------------ successors */

struct meeting {
    const char *form;
    unsigned role; /* of the client */
    int killed;    /* the first server is killed, else it closes */
};

static unsigned other_role(const struct meeting *m)
{
    return (m->role == IPC_BOTH ? IPC_BOTH : IPC_RECV) | IPC_LISTEN;
}

/* Receives one message and sends two, if it can. */
static void serves_one(struct child *up, void *arg)
{
    const struct meeting *m = (const struct meeting *)arg;
    struct ipc_channel_facts facts;
    int i;

    OPENS(&ch, uri, other_role(m));
    IS(ipc_channel_info(&ch, &facts), 0);
    tell(up, (uint64_t)facts.port);
    IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 1);
    for (i = 0; i < 2 && m->role == IPC_BOTH; i++)
        IS(ipc_channel_send(&ch, "answer", 6, ipc_in_ms(LONG_MS)), 0);
    tell(up, 0);
    (void)hear(up);
    ipc_channel_close(&ch);
    tell(up, 0);
    (void)hear(up);
}

/* Counts the messages until an empty one comes. */
static void counts(struct child *up, void *arg)
{
    uint64_t n = 0;

    OPENS(&ch, uri, other_role((const struct meeting *)arg));
    tell(up, 0);
    while (ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)) == 1)
        n++;
    tell(up, n);
    (void)hear(up);
}

static void ends(struct child *c, int killed)
{
    if (killed) {
        kill_child(c);
        return;
    }
    tell(c, 0);
    (void)hear(c);
    tell(c, 0);
    finish(c);
}

/* Is what a killed server has sent received after a send was refused? The kernel drops datagrams
 * then. */
static int keeps_rest(const struct meeting *m)
{
    return m->role == IPC_BOTH && m->killed && strncmp(uri, "unix-dgram", 10) != 0;
}

/* Sends 20 messages to a successor, and an empty one. What the first server sent is received before
 * that; until then each send says that it is gone. */
static void meets_successor(struct meeting *m)
{
    struct ipc_channel client;
    struct child c, next;
    uint64_t accepted = 0, told = 0, i;
    int rc;

    choose(m->form);
    c = spawn(serves_one, m);
    i = hear(&c);
    if (i != 0)
        (void)snprintf(uri, sizeof uri, "tcp:127.0.0.1:%d", (int)i);
    OPENS(&client, uri, m->role);
    IS(ipc_channel_send(&client, "x", 1, ipc_in_ms(LONG_MS)), 0);
    for (i = 0; i < 2 && m->role == IPC_BOTH && !keeps_rest(m); i++)
        IS(ipc_channel_recv(&client, scratch, 10, ipc_in_ms(LONG_MS)), 6);
    (void)hear(&c);
    ends(&c, m->killed);
    if (strncmp(uri, "tcp", 3) == 0) { /* it accepts one message before it hears of the end */
        IS(ipc_channel_send(&client, "x", 1, IPC_NOW), 0);
        IS(ipc_channel_wait_(client.out, 0, ipc_in_ms(LONG_MS)), 0);
    }
    for (i = 0; i < 3 && keeps_rest(m); i++)
        is_(ipc_channel_send(&client, "x", 1, IPC_NOW), -EPIPE, uri, __FILE__, __LINE__);
    for (i = 0; i < 2 && keeps_rest(m); i++)
        is_(ipc_channel_recv(&client, scratch, 10, IPC_NOW), 6, uri, __FILE__, __LINE__);
    next = spawn(counts, m);
    (void)hear(&next);
    for (i = 0; i < 20; i++) {
        rc = ipc_channel_send(&client, "x", 1, ipc_in_ms(LONG_MS));
        must_(rc == 0 || rc == -EPIPE, uri, ipc_channel_why(&client), __FILE__, __LINE__);
        accepted += rc == 0;
        told += rc == -EPIPE;
    }
    is_(ipc_channel_send(&client, "", 0, ipc_in_ms(LONG_MS)), 0, uri, __FILE__, __LINE__);
    is_((int64_t)told, keeps_rest(m) ? 0 : 1, uri, __FILE__, __LINE__);
    is_((int64_t)hear(&next), (int64_t)accepted, uri, __FILE__, __LINE__);
    tell(&next, 0);
    finish(&next);
    ipc_channel_close(&client);
}

static void a_loss_is_told_once_then_the_successor_is_met(void **state)
{
    static const char *const forms[] = {"unix:@%s",       "unix:/dev/shm/%s", "unix-seq:@%s",
                                        "unix-dgram:@%s", "auto:%s",          "auto:/dev/shm/%s",
                                        "tcp:127.0.0.1:0"};
    struct meeting m;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof forms / sizeof *forms; i++)
        for (m.killed = 0; m.killed < 2; m.killed++)
            for (m.role = IPC_SEND; m.role <= IPC_BOTH; m.role += IPC_BOTH - IPC_SEND) {
                m.form = forms[i];
                meets_successor(&m);
            }
}

/* Datagrams to nobody are told at the send after the next one. */
static void udp_goes_on_after_it_met_nobody(void **state)
{
    struct ipc_channel client;
    struct ipc_channel_facts facts;
    int64_t until = ipc_in_ms(LONG_MS);

    (void)state;
    OPENS(&ch, "udp:127.0.0.1:0", IPC_BOTH | IPC_LISTEN);
    IS(ipc_channel_info(&ch, &facts), 0);
    ipc_channel_close(&ch);
    (void)snprintf(uri, sizeof uri, "udp:127.0.0.1:%d", facts.port);
    OPENS(&client, uri, IPC_BOTH);
    while (ipc_channel_send(&client, "x", 1, IPC_NOW) != -EPIPE)
        MUST(ipc_left_(until) > 0);
    OPENS(&ch, uri, IPC_BOTH | IPC_LISTEN);
    IS(ipc_channel_send(&client, "x", 1, IPC_NOW), 0);
    IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 1);
    ipc_channel_close(&client);
    ipc_channel_close(&ch);
}

static void a_removed_queue_is_told_once(void **state)
{
    struct ipc_channel sender;

    (void)state;
    (void)snprintf(uri, sizeof uri, "sysv:%ld", 0x5e900000L + (long)(getpid() & 0xfffff));
    OPENS(&ch, uri, IPC_RECV | IPC_LISTEN);
    OPENS(&sender, uri, IPC_SEND);
    IS(ipc_channel_unlink(uri), 0);
    IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -EPIPE);
    IS(ipc_channel_send(&sender, "x", 1, IPC_NOW), -EPIPE);
    IS(ipc_channel_send(&sender, "x", 1, IPC_NOW), -ETIMEDOUT);
    IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT); /* makes it anew */
    IS(ipc_channel_send(&sender, "x", 1, IPC_NOW), 0);
    IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), 1);
    ipc_channel_close(&sender);
    ipc_channel_close(&ch);
    IS(ipc_channel_unlink(uri), 0);
}

/* ------------------------------------------------------------------ what does not fit */

static void refuses(const char *form, const struct ipc_channel_options *how, unsigned role, int why)
{
    int rc;

    choose(form);
    rc = ipc_channel_open_with(&ch, uri, role, IPC_NOW, how);
    is_(rc, why, uri, __FILE__, __LINE__);
    MUST(*ipc_channel_why(&ch) != '\0');
}

static void users_and_hosts_that_mean_nothing_are_refused(void **state)
{
    static const char *const open_to_all[] = {"tcp:127.0.0.1:0", "udp:127.0.0.1:0", "pipe:"};
    static const char *const without_groups[] = {"ring:%s", "sysvshm:4711", "fifo:/dev/shm/%s",
                                                 "mq:%s", "sysv:4711", "file:/dev/shm/%s"};
    static const unsigned listens[] = {IPC_RECV | IPC_LISTEN, IPC_RECV | IPC_LISTEN,
                                       IPC_RECV | IPC_LISTEN, IPC_RECV | IPC_LISTEN,
                                       IPC_RECV | IPC_LISTEN, IPC_SEND | IPC_LISTEN};
    struct ipc_channel_options how;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        memset(&how, 0, sizeof how);
        how.user = 1234;
        refuses(open_to_all[i], &how, IPC_RECV | IPC_LISTEN, -EOPNOTSUPP);
        how.user = 0;
        how.group = 1234;
        refuses(open_to_all[i], &how, IPC_RECV | IPC_LISTEN, -EOPNOTSUPP);
        how.group = 0;
        how.mode = 0600;
        refuses(open_to_all[i], &how, IPC_RECV | IPC_LISTEN, -EOPNOTSUPP);
    }
    memset(&how, 0, sizeof how);
    how.group = 1234; /* which nothing checks there */
    for (i = 0; i < sizeof without_groups / sizeof *without_groups; i++)
        refuses(without_groups[i], &how, listens[i], -EOPNOTSUPP);
    how.group = 0;
    how.mode = 0620; /* of no file */
    refuses("unix:@%s", &how, IPC_RECV | IPC_LISTEN, -EOPNOTSUPP);
    refuses("unix-dgram:@%s", &how, IPC_RECV | IPC_LISTEN, -EOPNOTSUPP);
    refuses("auto:%s", &how, IPC_RECV | IPC_LISTEN, -EOPNOTSUPP);
    memset(&how, 0, sizeof how);
    how.keepalive = 5;
    refuses("unix:@%s", &how, IPC_RECV | IPC_LISTEN, -EOPNOTSUPP);
    refuses("udp:127.0.0.1:0", &how, IPC_RECV | IPC_LISTEN, -EOPNOTSUPP);
    how.keepalive = 40000;
    refuses("tcp:127.0.0.1:0", &how, IPC_RECV | IPC_LISTEN, -EINVAL);
}

/* A maximum above that of the ring which is there, and of a sender above that of the receiver, which
 * both are told. Without options.max the sender has the receiver's. */
static void larger_messages_than_fit_are_refused_with_both_sizes(void **state)
{
    static const char *const forms[] = {"unix:@%s", "unix-seq:@%s", "tcp:127.0.0.1:0"};
    struct ipc_channel_options little, much;
    struct ipc_channel_facts facts;
    struct ipc_channel sender;
    size_t i;

    (void)state;
    memset(&little, 0, sizeof little);
    memset(&much, 0, sizeof much);
    little.max = 1000;
    much.max = 150000;
    choose("ring:%s");
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &little), 0);
    IS(ipc_channel_open_with(&sender, uri, IPC_SEND, IPC_NOW, &much), -EMSGSIZE);
    MUST(strstr(ipc_channel_why(&sender), "150000") != NULL);
    OPENS(&sender, uri, IPC_SEND);
    ipc_channel_close(&sender);
    ipc_channel_close(&ch);
    choose("fifo:/dev/shm/%s"); /* where nobody greets */
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &little), 0);
    OPENS(&sender, uri, IPC_SEND);
    IS(ipc_channel_send(&sender, scratch, 2000, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_recv(&ch, scratch, sizeof scratch, ipc_in_ms(LONG_MS)), -EBADMSG);
    MUST(strstr(ipc_channel_why(&ch), "2000 bytes") != NULL);
    MUST(strstr(ipc_channel_why(&ch), "1000") != NULL);
    ipc_channel_close(&sender);
    ipc_channel_close(&ch);
    IS(ipc_channel_unlink(uri), 0);
    for (i = 0; i < 3; i++) {
        choose(forms[i]);
        IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &little), 0);
        IS(ipc_channel_info(&ch, &facts), 0);
        if (facts.port != 0)
            (void)snprintf(uri, sizeof uri, "tcp:127.0.0.1:%d", facts.port);
        IS(ipc_channel_open_with(&sender, uri, IPC_SEND, ipc_in_ms(LONG_MS), &much), 0);
        IS(ipc_channel_recv(&ch, scratch, sizeof scratch, ipc_in_ms(LONG_MS)), -EMSGSIZE);
        MUST(strstr(ipc_channel_why(&ch), "150000") != NULL);
        MUST(strstr(ipc_channel_why(&ch), "1000") != NULL);
        IS(ipc_channel_send(&sender, scratch, 2000, ipc_in_ms(LONG_MS)), -EMSGSIZE);
        MUST(strstr(ipc_channel_why(&sender), "1000") != NULL);
        ipc_channel_close(&sender);
        OPENS(&sender, uri, IPC_SEND);
        meets(&ch);
        IS(ipc_channel_send(&sender, scratch, 2000, ipc_in_ms(LONG_MS)), -EMSGSIZE);
        MUST(strstr(ipc_channel_why(&sender), "at most 1000") != NULL);
        IS(ipc_channel_send(&sender, scratch, 1000, ipc_in_ms(LONG_MS)), 0);
        IS(ipc_channel_recv(&ch, scratch, sizeof scratch, ipc_in_ms(LONG_MS)), 1000);
        ipc_channel_close(&sender);
        ipc_channel_close(&ch);
    }
}

static struct ipc_channel_facts facts_with(const struct ipc_channel_options *how, unsigned role)
{
    struct ipc_channel_facts facts;
    int rc = ipc_channel_open_with(&ch, uri, role | IPC_LISTEN, IPC_NOW, how);

    must_(rc == 0, uri, ipc_channel_why(&ch), __FILE__, __LINE__);
    IS(ipc_channel_info(&ch, &facts), 0);
    ipc_channel_close(&ch);
    (void)ipc_channel_unlink(uri);
    return facts;
}

/* Messages of 1 MiB over each mechanism that can; a ring pays for them with memory, and a ring for
 * many, which would need it for each, has a smaller maximum. */
static void the_default_maximum_is_the_same_for_all(void **state)
{
    static const char *const forms[] = {"ring:%s", "sysvshm:4712", "auto:%s", "fifo:/dev/shm/%s",
                                        "unix:@%s", "tcp:127.0.0.1:0"};
    static const size_t all = (size_t)1 << 20;
    struct ipc_channel_options how;
    struct ipc_channel_facts facts;
    size_t i, one_way;

    (void)state;
    memset(&how, 0, sizeof how);
    for (i = 0; i < sizeof forms / sizeof *forms; i++) {
        choose(forms[i]);
        facts = facts_with(NULL, IPC_RECV);
        must_(facts.max == all, uri, "has another maximum", __FILE__, __LINE__);
        one_way = facts.memory;
        if (i > 1) {
            IS(one_way, 0);
            continue;
        }
        facts = facts_with(NULL, IPC_BOTH);
        MUST(one_way > 4 * all && one_way < 5 * all); /* a ring is twice its longest records */
        MUST(facts.memory > 8 * all && facts.memory < 9 * all);
    }
    choose("ring:%s");
    how.senders = 64;
    facts = facts_with(&how, IPC_RECV);
    MUST(facts.max >= 65536 && facts.max < all);
    how.senders = 0;
    how.clients = 64;
    MUST(facts_with(&how, IPC_BOTH).max < all);
    how.clients = 0;
    how.publish = IPC_LOSSY;
    facts = facts_with(&how, IPC_SEND);
    MUST(facts.max < all && facts.memory != 0);
    how.publish = 0;
    how.max = 1000;
    MUST(facts_with(&how, IPC_BOTH).memory < 65536);
}

static void calls_a_misfit(struct child *up, void *arg)
{
    unsigned role = *(unsigned *)arg, i;
    int64_t rc;

    (void)up;
    OPENS(&ch, uri, role);
    for (i = 0; i < 2; i++) {
        rc = (role & IPC_RECV) != 0 && (i == 0 || role == IPC_RECV)
                 ? ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS))
                 : ipc_channel_send(&ch, "x", 1, ipc_in_ms(LONG_MS));
        IS(rc, -EPROTO);
        MUST(strstr(ipc_channel_why(&ch), "roles") != NULL);
    }
}

/* A client that waits for what the listener does not send is refused, and so is one that sends what it
 * does not receive. Both sides are told. The next client is served. */
static void roles_that_do_not_fit_are_refused(void **state)
{
    static const unsigned roles[][3] = {{IPC_RECV, IPC_BOTH, IPC_SEND},
                                        {IPC_RECV, IPC_RECV, IPC_SEND},
                                        {IPC_SEND, IPC_SEND, IPC_RECV},
                                        {IPC_SEND, IPC_BOTH, IPC_RECV}};
    static const char *const forms[] = {"auto:%s", "unix:@%s", "unix-seq:@%s", "tcp:127.0.0.1:0"};
    struct ipc_channel_facts facts;
    struct ipc_channel one;
    struct child c;
    size_t i;

    (void)state;
    for (i = 0; i < 16; i++) {
        const unsigned *is = roles[i % 4];
        unsigned misfit = is[1], told = 0;
        siginfo_t ended;

        choose(forms[i / 4]);
        OPENS(&ch, uri, is[0] | IPC_LISTEN);
        IS(ipc_channel_info(&ch, &facts), 0);
        if (facts.port != 0)
            (void)snprintf(uri, sizeof uri, "tcp:127.0.0.1:%d", facts.port);
        c = spawn(calls_a_misfit, &misfit);
        ended.si_pid = 0;
        while (waitid(P_PID, (id_t)c.pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               ended.si_pid == 0) {
            int64_t rc = is[0] == IPC_SEND ? ipc_channel_send(&ch, "x", 1, ipc_in_ms(10))
                                           : ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(10));

            MUST(rc == -ETIMEDOUT || rc == -EPROTO);
            MUST(rc != -EPROTO || strstr(ipc_channel_why(&ch), "roles") != NULL);
            told += rc == -EPROTO;
        }
        finish(&c);
        MUST(told >= 1 && told <= 2); /* once for each time that it came */
        OPENS(&one, uri, is[2]);
        ipc_channel_close(&one);
        ipc_channel_close(&ch);
    }
}

/* ------------------------------------------------------------------ hosts that vanish */

/* The network goes down, so neither side hears of the other. */
static void loses_its_host(struct child *up, void *arg)
{
    struct ipc_channel_options how;
    struct ipc_channel client;

    (void)up, (void)arg;
    move_away(1);
    memset(&how, 0, sizeof how);
    how.keepalive = 1;
    IS(ipc_channel_open_with(&ch, "tcp:127.0.0.1:9001", IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), 0);
    IS(ipc_channel_open_with(&client, "tcp:127.0.0.1:9001", IPC_BOTH, ipc_in_ms(LONG_MS), &how), 0);
    meets(&ch);
    IS(ipc_channel_send(&client, "x", 1, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 1);
    set_loopback(0);
    IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
    IS(ipc_channel_recv(&client, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
}

static void a_host_that_vanishes_is_told_if_asked_for(void **state)
{
    (void)state;
    in_a_network_of_its_own(loses_its_host, NULL);
}

/* ------------------------------------------------------------------ descriptors handed over */

static void set_address(struct sockaddr_storage *at, int family, socklen_t *size)
{
    struct sockaddr_un un;
    struct sockaddr_in in;

    memset(at, 0, sizeof *at);
    memset(&un, 0, sizeof un);
    memset(&in, 0, sizeof in);
    un.sun_family = AF_UNIX;
    (void)snprintf(un.sun_path, sizeof un.sun_path, "/dev/shm/%.80s", name);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *size = family == AF_UNIX ? sizeof un : sizeof in;
    memcpy(at, family == AF_UNIX ? (void *)&un : (void *)&in, *size);
}

/* A server that somebody else has bound: echoes one message. */
static void serves_what_it_was_given(struct child *up, void *arg)
{
    char at[20];

    (void)snprintf(at, sizeof at, "fd:%d", *(int *)arg);
    OPENS(&ch, at, IPC_BOTH | IPC_LISTEN);
    tell(up, 0);
    IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 5);
    IS(ipc_channel_send(&ch, scratch, 5, ipc_in_ms(LONG_MS)), 0);
    (void)hear(up);
    ipc_channel_close(&ch);
    MUST(fcntl(*(int *)arg, F_GETFD) < 0);
}

static void listeners_may_be_handed_over(void **state)
{
    static const struct {
        const char *scheme;
        int family, type;
    } kinds[] = {{"unix", AF_UNIX, SOCK_STREAM},
                 {"unix-seq", AF_UNIX, SOCK_SEQPACKET},
                 {"unix-dgram", AF_UNIX, SOCK_DGRAM},
                 {"tcp", AF_INET, SOCK_STREAM},
                 {"udp", AF_INET, SOCK_DGRAM}};
    struct sockaddr_storage at;
    struct ipc_channel client;
    struct child c;
    socklen_t size;
    size_t i;
    int fd;

    (void)state;
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        next_name(NULL);
        fd = socket(kinds[i].family, kinds[i].type, 0);
        set_address(&at, kinds[i].family, &size);
        MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, size) == 0);
        MUST(kinds[i].type == SOCK_DGRAM || listen(fd, 5) == 0);
        if (kinds[i].family == AF_UNIX)
            (void)snprintf(uri, sizeof uri, "%s:/dev/shm/%s", kinds[i].scheme, name);
        else
            (void)snprintf(uri, sizeof uri, "%s:127.0.0.1:%d", kinds[i].scheme,
                           ipc_channel_get_port_(fd));
        c = spawn(serves_what_it_was_given, &fd);
        (void)hear(&c);
        OPENS(&client, uri, IPC_BOTH);
        IS(ipc_channel_send(&client, "hello", 5, ipc_in_ms(LONG_MS)), 0);
        IS(ipc_channel_recv(&client, scratch, 10, ipc_in_ms(LONG_MS)), 5);
        ipc_channel_close(&client);
        tell(&c, 0);
        finish(&c);
        if (kinds[i].family == AF_UNIX) /* the file is not the channel's */
            MUST(unlink(strchr(uri, ':') + 1) == 0);
        (void)close(fd);
    }
}

static void adopt(struct ipc_channel *c, int fd, unsigned role, int want)
{
    (void)snprintf(uri, sizeof uri, "fd:%d", fd);
    is_(ipc_channel_open(c, uri, role, IPC_NOW), want, uri, __FILE__, __LINE__);
    MUST(want == 0 || *ipc_channel_why(c) != '\0');
}

static void connections_may_be_handed_over(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    struct ipc_channel other;
    int fds[2];
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        if (i < 3)
            MUST(socketpair(AF_UNIX, types[i], 0, fds) == 0);
        else
            MUST(pipe(fds) == 0);
        adopt(&ch, fds[0], IPC_BOTH | IPC_LISTEN, -EINVAL);
        adopt(&ch, fds[0], i < 3 ? IPC_BOTH : IPC_SEND, i < 3 ? 0 : -EINVAL);
        if (i == 3)
            adopt(&ch, fds[0], IPC_RECV, 0);
        adopt(&other, fds[1], i < 3 ? IPC_BOTH : IPC_SEND, 0);
        IS(ipc_channel_send(&other, "hello", 5, ipc_in_ms(LONG_MS)), 0);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 5);
        ipc_channel_close(&other);
        if (i != 2) { /* no other peer can come */
            IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
            IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
        }
        ipc_channel_close(&ch);
    }
}

/* O_NONBLOCK is one flag for all processes that share a socket: that of a connection stays. */
static void a_connection_that_was_handed_over_blocks_as_before(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    struct ipc_channel other;
    int fds[2], flags;
    size_t i;

    (void)state;
    for (i = 0; i < 6; i++) {
        flags = i % 2 != 0 ? O_RDWR | O_NONBLOCK : O_RDWR;
        MUST(socketpair(AF_UNIX, types[i / 2], 0, fds) == 0);
        MUST(fcntl(fds[0], F_SETFL, flags) == 0);
        adopt(&ch, fds[0], IPC_BOTH, 0);
        adopt(&other, fds[1], IPC_BOTH, 0);
        IS(fcntl(fds[0], F_GETFL) & (O_ACCMODE | O_NONBLOCK), flags);
        IS(ipc_channel_send(&ch, "hello", 5, IPC_FOREVER), 0);
        IS(ipc_channel_recv(&other, scratch, 10, IPC_FOREVER), 5);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(1)), -ETIMEDOUT);
        ipc_channel_close(&other);
        ipc_channel_close(&ch);
    }
}

/* A sender whose bytes come one by one, always in time for the next read. A pipe of packets gives
 * one for each. After its deadline a call reads some of them, not all. */
static void a_message_in_pieces_keeps_no_call_beyond_its_deadline(void **state)
{
    static const size_t sizes[] = {300, 20000}; /* a large one is read to the caller's memory */
    int fds[2], left;
    size_t i, k;

    (void)state;
    for (i = 0; i < 2; i++) {
        unsigned char frame[20008];

        MUST(pipe2(fds, O_CLOEXEC | O_DIRECT) == 0 && fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) > 0);
        adopt(&ch, fds[0], IPC_RECV, 0);
        ipc_channel_put_header_(frame, sizes[i]);
        for (k = 0; k < sizes[i]; k++)
            frame[8 + k] = (unsigned char)(k * 7 + (k >> 8));
        MUST(write(fds[1], frame, 8) == 8);
        for (k = 0; k < 200; k++)
            MUST(write(fds[1], frame + 8 + k, 1) == 1);
        IS(ipc_channel_recv(&ch, scratch, sizeof scratch, IPC_NOW), -ETIMEDOUT);
        MUST(ioctl(fds[0], FIONREAD, &left) == 0 && left > 100);
        MUST(write(fds[1], frame + 8 + k, sizes[i] - k) == (ssize_t)(sizes[i] - k));
        IS(ipc_channel_recv(&ch, scratch, sizeof scratch, ipc_in_ms(LONG_MS)), sizes[i]);
        MUST(memcmp(scratch, frame + 8, sizes[i]) == 0);
        ipc_channel_close(&ch);
        (void)close(fds[1]);
    }
}

/* Where open refuses, also for what it finds out late, the descriptor stays open. */
static void a_refused_descriptor_stays_the_callers(void **state)
{
    struct ipc_channel_options how;
    struct sockaddr_storage at;
    socklen_t size;
    int fds[2];
    char heard;

    (void)state;
    memset(&how, 0, sizeof how);
    how.max = (size_t)1 << 29;
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    (void)snprintf(uri, sizeof uri, "fd:%d", fds[0]);
    IS(ipc_channel_open_with(&ch, uri, IPC_BOTH, IPC_NOW, &how), -EMSGSIZE);
    MUST(fcntl(fds[0], F_GETFD) >= 0);
    MUST(recv(fds[1], &heard, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN); /* no greeting */
    (void)close(fds[0]);
    (void)close(fds[1]);
    how.max = 0;
    how.keepalive = 1;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    (void)snprintf(uri, sizeof uri, "fd:%d", fds[0]);
    IS(ipc_channel_open_with(&ch, uri, IPC_BOTH, IPC_NOW, &how), -EOPNOTSUPP);
    MUST(recv(fds[1], &heard, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    (void)close(fds[0]);
    (void)close(fds[1]);
    MUST(pipe(fds) == 0);
    (void)snprintf(uri, sizeof uri, "fd:%d", fds[0]);
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV, IPC_NOW, &how), -EOPNOTSUPP);
    MUST(fcntl(fds[0], F_GETFD) >= 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    next_name(NULL);
    fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set_address(&at, AF_UNIX, &size);
    MUST(fds[0] >= 0 && bind(fds[0], (struct sockaddr *)&at, size) == 0 && listen(fds[0], 5) == 0);
    (void)snprintf(uri, sizeof uri, "fd:%d", fds[0]);
    IS(ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), -EOPNOTSUPP);
    MUST(fcntl(fds[0], F_GETFD) >= 0);
    (void)close(fds[0]);
    MUST(unlink(((struct sockaddr_un *)&at)->sun_path) == 0);
}

static void descriptors_of_other_things_are_refused(void **state)
{
    static const char *const wrong[] = {"fd:", "fd:x", "fd:-1", "fd:1x", "fd:99999999999"};
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++)
        is_(ipc_channel_open(&ch, wrong[i], IPC_RECV, IPC_NOW), -EINVAL, wrong[i], __FILE__,
            __LINE__);
    adopt(&ch, fd, IPC_RECV, -EPROTO);
    (void)close(fd);
    adopt(&ch, fd, IPC_RECV, -EBADF);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    adopt(&ch, fd, IPC_RECV, -EINVAL);
    (void)close(fd);
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        adopt(&ch, fd, IPC_RECV, -EPROTO);
    (void)close(fd);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(all_addresses_of_a_name_are_used),
        TEST(datagrams_find_the_address_that_answers),
        TEST(ports_are_checked),
        TEST(a_busy_listener_has_room_for_many_clients),
        TEST(who_waits_long_looks_less_often),
        TEST(a_refused_listener_disturbs_nobody),
        TEST(a_locked_folder_keeps_no_listener_out),
        TEST(one_replaces_at_a_time),
        TEST(one_of_many_replaces_what_is_left),
        TEST(a_loss_is_told_once_then_the_successor_is_met),
        TEST(udp_goes_on_after_it_met_nobody),
        TEST(a_removed_queue_is_told_once),
        TEST(users_and_hosts_that_mean_nothing_are_refused),
        TEST(larger_messages_than_fit_are_refused_with_both_sizes),
        TEST(the_default_maximum_is_the_same_for_all),
        TEST(roles_that_do_not_fit_are_refused),
        TEST(a_host_that_vanishes_is_told_if_asked_for),
        TEST(listeners_may_be_handed_over),
        TEST(connections_may_be_handed_over),
        TEST(a_connection_that_was_handed_over_blocks_as_before),
        TEST(a_message_in_pieces_keeps_no_call_beyond_its_deadline),
        TEST(a_refused_descriptor_stays_the_callers),
        TEST(descriptors_of_other_things_are_refused),
    };

    set_up(argc, argv);
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
