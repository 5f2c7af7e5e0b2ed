/*
 * Channels: what only those have that are rings, or become one.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "channel.h"

/* ------------------------------------------------------------------ how they begin, and wait */

static void joins(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_BOTH);
    (void)hear(up);
}

/* The program decides the kind of a bell; memory that says another kind is refused. */
static void is_refused(struct child *up, void *arg)
{
    (void)up, (void)arg;
    IS(ipc_channel_open(&ch, uri, IPC_BOTH, ipc_in_ms(LONG_MS)), -EPROTO);
    MUST(strstr(ipc_channel_why(&ch), "bell") != NULL);
}

static void ring_with_a_bell_of_another_kind_is_refused(void **state)
{
    unsigned bell, kind;

    (void)state;
    EACH_ROW(0)
    {
        struct ipc_notify *all[4];

        if (!NAMED("ring") && !NAMED("sysvshm"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        all[0] = &ch.ring->data;
        all[1] = &ch.ring->space;
        all[2] = &ch.ring->out_data;
        all[3] = &ch.ring->out_space;
        for (bell = 0; bell < 4; bell++)
            for (kind = IPC_NOTIFY_SEMAPHORE; kind <= IPC_NOTIFY_SIGNAL; kind++) {
                ck_pr_store_32(&all[bell]->at->kind, kind);
                IS(run(is_refused, NULL), 0);
                ck_pr_store_32(&all[bell]->at->kind, IPC_NOTIFY_FUTEX);
            }
        over();
    }
}

/* Channels over rings wait while each look rewrites the holder of the other end. */
static uint64_t flipped;

static int flip_holder(void *handle, void *argument)
{
    (void)argument;
    ((struct ipc_channel_try_ *)handle)->rc = -EAGAIN;
    flipped += 2;
    return flipped > 2000000;
}

static int waits_for_a_flipped_holder(int64_t deadline)
{
    struct ipc_channel_try_ t = {&ch, NULL, NULL, 0, 0, 0};
    uint64_t other = 0;

    flipped = 1;
    ipc_channel_try_until_(&t, &ch.ring->data, &flipped, &other, deadline, flip_holder);
    return (int)t.rc;
}

static void holder_that_changes_with_each_look_stretches_no_deadline(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        int64_t deadline;

        if (!NAMED("ring") && !NAMED("sysvshm"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        deadline = ipc_in_ms(1);
        IS(waits_for_a_flipped_holder(deadline), -ETIMEDOUT);
        MUST(ipc_left_(deadline) == 0);
        IS(waits_for_a_flipped_holder(IPC_NOW), -ETIMEDOUT);
        over();
    }
}

/* One of the segment's two rings is made already, the other not yet. */
static void half_made_rings_are_waited_for(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct ipc_spsc_shared *from;
        struct child c;
        uint64_t magic;

        if (!NAMED("sysvshm"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        from = ch.ring->out.ring;
        magic = ck_pr_load_64(&from->is.magic);
        ck_pr_store_64(&from->is.magic, 0);
        c = spawn(joins, NULL);
        EVENTUALLY(rests(c.pid) && ck_pr_load_64(&ch.ring->in.ring->end[0]) == 0);
        ck_pr_store_64(&from->is.magic, magic);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

/* A listener that is started again with another maximum wants other rings. The sender still has
 * those that are there: what it sends must come. Once it is gone they are replaced. */
static void rings_in_use_are_not_made_anew(void **state)
{
    struct ipc_channel_options large, small, larger;

    (void)state;
    memset(&large, 0, sizeof large);
    small = larger = large;
    larger.max = 60000;
    large.max = 30000;
    small.max = 100;
    EACH_ROW(0)
    {
        struct ipc_channel in;

        if (!NAMED("ring") && !NAMED("sysvshm"))
            continue;
        memset(&in, 0, sizeof in);
        IS(ipc_channel_open_with(&in, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &large), 0);
        open_as(IPC_SEND);
        send_one(1, 100);
        ipc_channel_close(&in);
        IS(ipc_channel_open_with(&in, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &larger), -EADDRINUSE);
        IS(ipc_channel_open_with(&in, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &small), -EADDRINUSE);
        MUST(strstr(ipc_channel_why(&in), "another size") != NULL);
        IS(ipc_channel_open_with(&in, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &large), 0);
        IS(ipc_channel_recv(&in, scratch, 1 << 20, ipc_in_ms(LONG_MS)), 100);
        ipc_channel_close(&in);
        ipc_channel_close(&ch);
        IS(ipc_channel_open_with(&in, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &small), 0);
        IS(ipc_channel_open_with(&ch, uri, IPC_SEND, ipc_in_ms(LONG_MS), &small), 0);
        send_one(2, 100);
        IS(ipc_channel_recv(&in, scratch, 1 << 20, ipc_in_ms(LONG_MS)), 100);
        ipc_channel_close(&in);
        over();
    }
}

/* ------------------------------------------------------------------ from a socket to a ring */

static void answers(struct child *up, void *arg)
{
    struct rlimit little = {1, 1};

    open_as(IPC_BOTH);
    if (arg != NULL) { /* it can map nothing */
        little.rlim_max = RLIM_INFINITY;
        IS(setrlimit(RLIMIT_AS, &little), 0);
    }
    recv_one(1, 100);
    send_one(2, 200);
    tell(up, (uint64_t)(strcmp(becomes(), "ring") == 0));
    (void)hear(up);
}

static void auto_says_which_it_became(void **state)
{
    static int able;

    (void)state;
    EACH_ROW(0)
    {
        if (!NAMED("auto") && !NAMED("auto-"))
            continue;
        for (able = SANITIZED; able < 2; able++) { /* AddressSanitizer ends who can map nothing */
            struct child c;
            int ring = NAMED("auto") && able;

            open_as(IPC_BOTH | IPC_LISTEN);
            c = spawn(answers, able ? NULL : &able);
            send_one(1, 100);
            recv_one(2, 200);
            IS(hear(&c), ring);
            MUST(strcmp(becomes(), ring ? "ring" : "unix") == 0);
            kill_child(&c);
            IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), gone(ring));
            over();
        }
    }
}

static void answers_as_another_user(struct child *up, void *arg)
{
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    answers(up, arg);
}

static void auto_becomes_a_ring_between_two_users(void **state)
{
    struct ipc_channel_options how;

    (void)state;
    SKIP_IF(geteuid() != 0, "needs root, to be two users");
    memset(&how, 0, sizeof how);
    how.user = 65534;
    EACH_ROW(0)
    {
        struct child c;

        if (!NAMED("auto"))
            continue;
        IS(ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), 0);
        c = spawn(answers_as_another_user, NULL);
        send_one(1, 100);
        recv_one(2, 200);
        IS(hear(&c), 1);
        MUST(strcmp(becomes(), "ring") == 0);
        kill_child(&c);
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), gone(1));
        over();
    }
}

static int raw_client(void)
{
    struct sockaddr_un to;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t n;

    memset(&to, 0, sizeof to);
    to.sun_family = AF_UNIX;
    n = (size_t)snprintf(to.sun_path + 1, sizeof to.sun_path - 1, "ipc-auto-%.90s", name);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&to,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) == 0);
    return fd;
}

static void says_something(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_BOTH);
    send_one(5, 50);
    (void)hear(up);
}

static void auto_gives_a_liar_nothing_but_a_closed_socket(void **state)
{
    unsigned seed = 3, kind;

    (void)state;
    EACH_ROW(ACCEPTS)
    {
        struct child c;

        if (!NAMED("auto") && !NAMED("auto-"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        for (kind = 0; kind < 300; kind++) {
            struct ipc_channel_hello_ hello = {IPC_CHANNEL_MAGIC_, IPC_CHANNEL_VERSION_, 1, 1000}, choice = hello;
            unsigned char bytes[100];
            size_t n = sizeof bytes, i;
            struct pollfd p = {-1, POLLIN, 0};
            int with[1] = {0};
            ssize_t got;

            for (i = 0; i < sizeof bytes; i++)
                bytes[i] = (unsigned char)rand_r(&seed);
            if (kind % 4 == 1) { /* a hello that is nearly right */
                memcpy(bytes, &hello, n = sizeof hello);
                if (kind % 3 == 0)
                    bytes[kind / 4 % 8] ^= 1;
                else if (kind % 3 == 1)
                    memset(bytes + 8, 0, 4);
                else
                    bytes[12 + kind / 4 % 4] ^= 2;
            } else if (kind % 4 == 2) { /* a right offer, then a wrong choice */
                memcpy(bytes, &hello, sizeof hello);
                choice.ring = 2;
                memcpy(bytes + sizeof hello, &choice, sizeof choice);
                if (kind % 8 == 2)
                    bytes[sizeof hello] ^= 1;
            } else if (kind % 4 == 3) { /* cut short */
                memcpy(bytes, &hello, sizeof hello);
                n = kind / 4 % sizeof hello;
            }
            p.fd = raw_client();
            if (n > 0)
                send_raw(p.fd, bytes, n, with, kind % 5 == 0);
            if (kind % 4 == 3)
                (void)shutdown(p.fd, SHUT_WR);
            IS(ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
            do {
                IS(poll(&p, 1, LONG_MS), 1);
                got = read(p.fd, bytes, sizeof bytes);
            } while (got > 0); /* may be an answer */
            MUST(got == 0 || errno == ECONNRESET);
            (void)close(p.fd);
        }
        c = spawn(says_something, NULL);
        recv_one(5, 50);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

/* A client that sends nothing, or half a hello, does not hold up another; alone it may take its
 * time. */
static void auto_passes_over_the_silent(void **state)
{
    (void)state;
    EACH_ROW(ACCEPTS)
    {
        struct ipc_channel_hello_ hello = {IPC_CHANNEL_MAGIC_, IPC_CHANNEL_VERSION_, 1, 1000};
        struct pollfd p[2] = {{-1, POLLIN, 0}, {-1, POLLIN, 0}};
        struct child c;

        if (!NAMED("auto") && !NAMED("auto-"))
            continue;
        open_as(IPC_BOTH | IPC_LISTEN);
        p[0].fd = raw_client();
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(150)), -ETIMEDOUT);
        IS(poll(p, 1, 0), 0);
        p[1].fd = raw_client();
        send_raw(p[1].fd, &hello, sizeof hello / 2, NULL, 0);
        c = spawn(says_something, NULL);
        recv_one(5, 50);
        tell(&c, 0);
        finish(&c);
        IS(poll(p, 2, 0), 2);
        IS(read(p[0].fd, &hello, 1), 0);
        MUST(read(p[1].fd, &hello, 1) <= 0);
        (void)close(p[0].fd);
        (void)close(p[1].fd);
        over();
    }
}

/* A listener lies: each false answer in turn. */
static void auto_believes_no_listener(void **state)
{
    struct ipc_channel listener, client;
    unsigned kind;

    (void)state;
    choose(row_of("auto"));
    IS(ipc_channel_open(&listener, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    for (kind = 0; kind < 12; kind++) {
        struct ipc_channel_hello_ answer = {IPC_CHANNEL_MAGIC_, IPC_CHANNEL_VERSION_, 1, 1000};
        struct {
            uint64_t magic, size;
        } segment = {IPC_SHM_MAGIC, 100000};
        int fd = -1, got;

        IS(ipc_channel_open(&client, uri, IPC_BOTH, IPC_NOW), 0);
        IS(ipc_channel_recv(&client, scratch, 10, IPC_NOW), -ETIMEDOUT);
        IS(ipc_channel_accept(&listener, &ch, IPC_NOW), 0);
        answer.magic += kind == 0;
        answer.version -= kind == 1;
        answer.ring += kind == 2;
        answer.max = kind == 3 ? 0 : kind == 4 ? UINT64_MAX : answer.max;
        send_raw(ch.in, &answer, sizeof answer, NULL, 0);
        if (kind == 5) /* no descriptor */
            send_raw(ch.in, &segment, sizeof segment, NULL, 0);
        if (kind == 6) { /* one that is not memory */
            fd = open("/dev/null", O_RDWR | O_CLOEXEC);
            send_raw(ch.in, &segment, sizeof segment, &fd, 1);
        }
        if (kind == 7 || kind == 8) { /* memory that may shrink; memory that is no segment */
            fd = (int)syscall(SYS_memfd_create, "liar", 3u);
            MUST(ftruncate(fd, 100000) == 0);
            if (kind == 8)
                MUST(fcntl(fd, F_ADD_SEALS, 7) == 0);
            send_raw(ch.in, &segment, sizeof segment, &fd, 1);
        }
        if (kind >= 9) { /* a segment without rings, then garbage */
            struct ipc_shm seg;

            IS(ipc_shm_create(&seg, NULL, 100000), 0);
            IS(ipc_shm_send(&seg, ch.in), 0);
            ipc_shm_close(&seg);
        }
        send_raw(ch.in, "not a descriptor of a bell", 26, NULL, 0);
        (void)shutdown(ch.in, SHUT_WR);
        got = (int)ipc_channel_recv(&client, scratch, 10, ipc_in_ms(LONG_MS));
        MUST(got == -EBADMSG || got == -EPIPE || got == -EPROTO);
        if (fd >= 0)
            (void)close(fd);
        ipc_channel_close(&ch);
        ipc_channel_close(&client);
    }
    ipc_channel_close(&listener);
}

/* A client that has agreed on a ring, and then breaks the rules: lets all that it has of the wakes
 * block, and fills it; sends bytes. */
static void breaks_the_rules(struct child *up, void *arg)
{
    static const uint64_t full = UINT64_C(0xfffffffffffffffe);
    unsigned role = *(const unsigned *)arg;
    int fds[2], i;

    open_as(role);
    if ((role & IPC_SEND) != 0)
        send_one(1, 10);
    else
        IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), 10);
    fds[0] = (role & IPC_RECV) != 0 ? ch.ring->data.fd : -1;
    fds[1] = ch.in;
    for (i = 0; i < 2; i++)
        if (fds[i] >= 0)
            MUST(fcntl(fds[i], F_SETFL, 0) == 0);
    if (fds[0] >= 0)
        MUST(write(fds[0], &full, sizeof full) == (ssize_t)sizeof full);
    IS(send(ch.in, "bytes", 5, MSG_NOSIGNAL), 5);
    tell(up, 0);
    (void)hear(up);
}

/* A hostile client says, all the time, that it polls, and reads nothing. */
static void sends_to_the_hostile(struct child *up, void *arg)
{
    unsigned role = IPC_BOTH, i;
    struct child c;
    uint32_t *word;

    (void)up, (void)arg;
    (void)alarm(LONG_MS / 1000);
    open_as(IPC_BOTH | IPC_LISTEN);
    c = spawn(breaks_the_rules, &role);
    recv_one(1, 10);
    (void)hear(&c);
    for (i = 0; i < 2000; i++) {
        word = &ch.ring->out_data.at->word;
        ck_pr_store_32(word, ck_pr_load_32(word) | IPC_NOTIFY_ARMED_);
        IS(ipc_channel_send(&ch, "x", 1, ipc_in_ms(LONG_MS)), 0);
    }
    kill_child(&c);
    over();
}

static void a_hostile_client_of_auto_blocks_no_send(void **state)
{
    (void)state;
    choose(row_of("auto"));
    IS(run(sends_to_the_hostile, NULL), 0);
}

/* Bytes beside the ring wake an event loop once; one that only sends leaves the client. */
static void bytes_of_a_client_of_auto_keep_no_loop_awake(void **state)
{
    unsigned role;

    (void)state;
    choose(row_of("auto"));
    for (role = IPC_RECV; role <= IPC_BOTH; role++) {
        struct pollfd p = {-1, POLLIN, 0};
        struct child c;
        unsigned i;
        int rc = 0;

        open_as((role ^ (role == IPC_RECV ? IPC_BOTH : 0)) | IPC_LISTEN);
        c = spawn(breaks_the_rules, &role);
        if (role == IPC_RECV)
            send_one(1, 10);
        else
            recv_one(1, 10);
        (void)hear(&c);
        p.fd = ipc_channel_fd(&ch);
        MUST(p.fd >= 0);
        if (role == IPC_RECV) {
            for (i = 0; i < 1000 && rc == 0; i++)
                rc = ipc_channel_send(&ch, "x", 1, ipc_in_ms(LONG_MS));
            IS(rc, -EPIPE);
        } else {
            IS(poll(&p, 1, 0), 1); /* at first, in any case */
            IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT);
            IS(poll(&p, 1, 0), 0);
        }
        kill_child(&c);
        over();
    }
}

/* ------------------------------------------------------------------ rings */

static void sends_numbers(struct child *up, void *arg)
{
    uint64_t message[20] = {(uint64_t)(uintptr_t)arg}, *i = &message[1];

    open_as(IPC_SEND);
    tell(up, 1);
    (void)hear(up);
    for (; *i < 2000; ++*i)
        IS(ipc_channel_send(&ch, message, 16 + *i % 19 * 8, ipc_in_ms(LONG_MS)), 0);
    tell(up, 1);
    ipc_channel_close(&ch);
}

/* Of four senders one is stopped and one is killed; each has more to send than the ring takes. */
static void senders_that_share_a_ring_do_not_wait_for_each_other(void **state)
{
    struct ipc_channel_options how;
    struct ipc_channel other;
    struct child c[4];
    uint64_t next[5] = {0}, message[20];
    int64_t n;
    uintptr_t k;

    (void)state;
    ring_max = 0;
    memset(&how, 0, sizeof how);
    how.senders = 4;
    how.max = 1000;
    choose(row_of("ring"));
    IS(ipc_channel_open_with(&ch, uri, IPC_RECV | IPC_LISTEN, IPC_NOW, &how), 0);
    for (k = 0; k < 4; k++)
        c[k] = spawn(sends_numbers, (void *)k);
    for (k = 0; k < 4; k++)
        (void)hear(&c[k]);
    IS(ipc_channel_open(&other, uri, IPC_SEND, IPC_NOW), -EBUSY);
    for (k = 0; k < 4; k++)
        tell(&c[k], 0);
    while (next[0] < 2000 || next[1] < 2000 || next[2] < 2000) {
        n = ipc_channel_recv(&ch, message, sizeof message, ipc_in_ms(LONG_MS));
        MUST(n >= 16 && message[0] < 4);
        IS(message[1], next[message[0]]++);
        IS(n, 16 + message[1] % 19 * 8);
        if (message[0] == 2 && message[1] == 10)
            stop_child(&c[2]);
        if (message[0] == 3 && message[1] == 10)
            kill_child(&c[3]);
        if (next[0] == 2000 && next[1] == 2000 && next[2] < 2000)
            signal_child(&c[2], SIGCONT); /* the others are done */
    }
    for (k = 0; k < 3; k++) {
        (void)hear(&c[k]);
        finish(&c[k]);
    }
    /* The dead sender's lane is free. */
    IS(ipc_channel_open(&other, uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
    message[0] = 4;
    IS(ipc_channel_send(&other, message, 8, IPC_NOW), 0);
    do { /* what the killed sender had sent */
        n = ipc_channel_recv(&ch, message, sizeof message, ipc_in_ms(LONG_MS));
        MUST(n == 8 || (n >= 16 && message[0] == 3 && message[1] == next[3]++));
    } while (n != 8);
    while ((n = ipc_channel_recv(&ch, message, sizeof message, IPC_NOW)) >= 16)
        MUST(message[0] == 3 && message[1] == next[3]++);
    IS(n, -ETIMEDOUT); /* with several senders no end is reported */
    ipc_channel_close(&other);
    over();
}

static void receives_one_from_several(struct child *up, void *arg)
{
    (void)arg;
    (void)alarm(10);
    open_as(IPC_RECV);
    ipc_notify_policy(&ch.ring->data, 0, 0);
    tell(up, 0);
    IS(ipc_channel_recv(&ch, scratch, 8, IPC_FOREVER), 8);
}

/* A sender may be killed between its push and its post. */
static void receiver_from_several_looks_once_a_second(void **state)
{
    struct ipc_channel_options how;
    struct child c;

    (void)state;
    memset(&how, 0, sizeof how);
    how.senders = 2;
    choose(row_of("ring"));
    IS(ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how), 0);
    c = spawn(receives_one_from_several, NULL);
    (void)hear(&c);
    EVENTUALLY(rests(c.pid) &&
               (ck_pr_load_32(&ch.ring->out_data.at->word) & IPC_NOTIFY_ASLEEP_) != 0);
    IS(ipc_record_push(&ch.ring->out, scratch, 8), 0);
    finish(&c);
    over();
}

/* ------------------------------------------------------------------ rings in the middle of it */

static void takes_six(struct child *up, void *arg)
{
    uint64_t i;

    (void)arg;
    open_as(listens(IPC_RECV));
    for (i = 0; i < 6; i++)
        recv_one(i, 8);
    ipc_channel_close(&ch);
    tell(up, 1);
}

static void after_its_first_messages_a_ring_refuses_and_tells_as_before(void **state)
{
    (void)state;
    EACH_ROW(RING)
    {
        struct child c = spawn(takes_six, NULL);
        uint64_t i;

        open_as(IPC_SEND);
        for (i = 0; i < 5; i++) /* over auto: the first ones ask the socket, too */
            send_one(i, 8);
        IS(ipc_channel_send(&ch, scratch, ch.max + 1, ipc_in_ms(LONG_MS)), -EMSGSIZE);
        send_one(5, 8);
        MUST(NAMED("auto-") || ch.quick_sends > 0);
        (void)hear(&c);
        finish(&c);
        IS(ipc_channel_send(&ch, scratch, 8, IPC_NOW), -EPIPE);
        over();
    }
}

static void takes_one(struct child *up, void *arg)
{
    (void)up;
    (void)arg;
    open_as(IPC_RECV);
    recv_one(0, 8);
    ipc_channel_close(&ch);
}

static void a_receiver_that_came_and_went_between_two_sends_is_told_once(void **state)
{
    (void)state;
    EACH_ROW(RING)
    {
        if (strncmp(row->scheme, "auto", 4) == 0)
            continue; /* the sides meet first */
        open_as(IPC_SEND | IPC_LISTEN);
        send_one(0, 8);
        IS(run(takes_one, NULL), 0);
        IS(ipc_channel_send(&ch, scratch, 8, IPC_NOW), -EPIPE);
        send_one(0, 8);
        IS(run(takes_one, NULL), 0);
        IS(ipc_channel_send(&ch, scratch, 8, IPC_NOW), -EPIPE);
        send_one(0, 8);
        send_one(1, 8);
        over();
    }
}

static void comes_and_goes(struct child *up, void *arg)
{
    (void)up;
    (void)arg;
    open_as(IPC_RECV);
    ipc_channel_close(&ch);
}

static void a_receiver_that_went_while_a_send_slept_is_told_once(void **state)
{
    struct ipc_channel_options how;

    (void)state;
    ring_max = 0;
    memset(&how, 0, sizeof how);
    how.max = 100;
    EACH_ROW(RING)
    {
        struct child c;

        if (strncmp(row->scheme, "auto", 4) == 0)
            continue;
        IS(ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, ipc_in_ms(LONG_MS), &how), 0);
        while (ipc_channel_send(&ch, scratch, 100, IPC_NOW) == 0)
            ;
        c = spawn(comes_and_goes, NULL);
        IS(ipc_channel_send(&ch, scratch, 100, ipc_in_ms(LONG_MS)), -EPIPE);
        finish(&c);
        IS(ipc_channel_send(&ch, scratch, 100, IPC_NOW), -ETIMEDOUT);
        over();
    }
}

static void takes_one_and_waits(struct child *up, void *arg)
{
    (void)arg;
    open_as(IPC_RECV);
    recv_one(0, 8);
    tell(up, 1);
    wait_for_death();
}

/* An emulator does not wipe what fork should wipe, and no handle can trust the word that tells. */
static void killed_receiver_is_told_of_where_fork_wipes_nothing(void **state)
{
    struct child c;
    unsigned sent;
    int rc;

    (void)state;
    choose(row_of("ring"));
    open_as(IPC_SEND | IPC_LISTEN);
    let_fork_copy_all(&ch.ring->seg);
    ch.ring->out.self.now = ch.ring->seg.peer.self;
    c = spawn(takes_one_and_waits, NULL);
    send_one(0, 8);
    (void)hear(&c);
    kill_child(&c);
    (void)usleep(10000); /* the kernel is asked each 8 ms */
    for (sent = 0; (rc = ipc_channel_send(&ch, scratch, 8, IPC_NOW)) == 0; sent++)
        MUST(sent < 8);
    IS(rc, -EOWNERDEAD);
    over();
}

static void comes_with_the_role(struct child *up, void *arg)
{
    (void)up;
    open_as(*(const unsigned *)arg);
    if (ch.role != IPC_RECV && scratch[0] != 0)
        send_one(0, 8);
    ipc_channel_close(&ch);
}

static void a_sender_that_came_and_went_without_a_message_is_told_once(void **state)
{
    static const unsigned roles[2] = {IPC_SEND, IPC_BOTH};
    int i;

    (void)state;
    EACH_ROW(RING)
    {
        for (i = 0; i < 2 && strncmp(row->scheme, "auto", 4) != 0; i++) {
            unsigned role = roles[i];

            open_as((role == IPC_BOTH ? IPC_BOTH : IPC_RECV) | IPC_LISTEN);
            scratch[0] = 0;
            IS(run(comes_with_the_role, &role), 0);
            IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -EPIPE);
            IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -ETIMEDOUT);
            scratch[0] = 1; /* with one */
            IS(run(comes_with_the_role, &role), 0);
            recv_one(0, 8);
            IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -EPIPE);
            IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -ETIMEDOUT);
            over();
        }
    }
}

/* ------------------------------------------------------------------ receivers that share a ring */

static void open_shared(struct ipc_channel *c, unsigned role, unsigned senders, size_t max)
{
    struct ipc_channel_options how;
    int rc;

    memset(&how, 0, sizeof how);
    how.receivers = 8;
    how.senders = senders;
    how.max = max;
    rc = ipc_channel_open_with(c, uri, role, ipc_in_ms(LONG_MS), &how);
    must_(rc == 0, uri, ipc_channel_why(c), __FILE__, __LINE__);
}

/* The receiver learns the number from the message itself. */
static void send_numbered(uint64_t i)
{
    size_t n = length_of(i, 2000);

    memcpy(scratch, &i, sizeof i);
    fill(scratch + sizeof i, i, n);
    IS(ipc_channel_send(&ch, scratch, sizeof i + n, ipc_in_ms(LONG_MS)), 0);
}

static uint64_t numbered(int64_t got)
{
    static char want[2000];
    uint64_t i;

    MUST(got >= (int64_t)sizeof i);
    memcpy(&i, scratch, sizeof i);
    IS(got, sizeof i + length_of(i, 2000));
    fill(want, i, length_of(i, 2000));
    MUST(memcmp(scratch + sizeof i, want, length_of(i, 2000)) == 0);
    return i;
}

static void works(struct child *up, void *arg)
{
    uint64_t sum[2] = {0, 0}, next = 0;
    int64_t got;

    (void)arg;
    open_shared(&ch, IPC_RECV, 0, 0);
    tell(up, 1);
    while ((got = ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS))) >= 0) {
        MUST(numbered(got) >= next);
        next = numbered(got) + 1;
        sum[0]++;
        sum[1] += next;
    }
    IS(got, -EPIPE);
    IS(ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT); /* reported once */
    tell(up, sum[0]);
    tell(up, sum[1]);
    ipc_channel_close(&ch);
}

static void receivers_share_the_messages_of_a_ring(void **state)
{
    uint64_t i, count = 0, sum = 0;
    struct child c[4];

    (void)state;
    choose(row_of("ring"));
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 4000);
    for (i = 0; i < 4; i++)
        c[i] = spawn(works, NULL);
    for (i = 0; i < 4; i++)
        (void)hear(&c[i]);
    for (i = 0; i < 5000; i++)
        send_numbered(i);
    ipc_channel_close(&ch);
    for (i = 0; i < 4; i++) {
        count += hear(&c[i]);
        sum += hear(&c[i]);
        finish(&c[i]);
    }
    IS(count, 5000);
    IS(sum, 5000 * 5001 / 2);
    over();
}

static void sends_to_two(struct child *up, void *arg)
{
    uint64_t i, base = (uint64_t)(uintptr_t)arg * 100000;

    (void)up;
    open_shared(&ch, IPC_SEND, 3, 0);
    for (i = 0; i < 2000; i++)
        send_numbered(base + i);
    ipc_channel_close(&ch);
}

static void several_send_to_several_over_a_ring(void **state)
{
    uint64_t next[2][3] = {{0}}, count[3] = {0}, i, all = 0;
    struct ipc_channel end[2];
    struct child c[3];

    (void)state;
    choose(row_of("ring"));
    open_shared(&end[0], IPC_RECV | IPC_LISTEN, 3, 4000);
    open_shared(&end[1], IPC_RECV, 3, 0);
    for (i = 0; i < 3; i++)
        c[i] = spawn(sends_to_two, (void *)(uintptr_t)i);
    for (; all < 6000; all++) {
        unsigned at = (unsigned)all % 2;

        i = numbered(ipc_channel_recv(&end[at], scratch, 1 << 20, ipc_in_ms(LONG_MS)));
        MUST(i % 100000 >= next[at][i / 100000]);
        next[at][i / 100000] = i % 100000 + 1;
        count[i / 100000]++;
    }
    for (i = 0; i < 3; i++) {
        IS(count[i], 2000);
        finish(&c[i]);
    }
    for (i = 0; i < 2; i++) {
        IS(ipc_channel_recv(&end[i], scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
        ipc_channel_close(&end[i]);
    }
    over();
}

static void has_one_in_hand(struct child *up, void *arg)
{
    (void)arg;
    open_shared(&ch, IPC_RECV, 0, 0);
    IS(ipc_channel_recv(&ch, scratch, 7, ipc_in_ms(LONG_MS)), -EMSGSIZE);
    IS(next_length(), 8);
    tell(up, 1);
    wait_for_death();
}

static void takes_the_others(struct child *up, void *arg)
{
    (void)arg;
    open_shared(&ch, IPC_RECV, 0, 0);
    recv_one(1, 8);
    recv_one(2, 8);
    IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -ETIMEDOUT);
    tell(up, 1);
    recv_one(0, 8);
    tell(up, 1);
    IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
    tell(up, 1);
    wait_for_death();
}

static void sends_three_and_waits(struct child *up, void *arg)
{
    (void)arg;
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 100);
    send_one(0, 8);
    send_one(1, 8);
    send_one(2, 8);
    tell(up, 1);
    wait_for_death();
}

static void killed_receiver_of_a_ring_costs_no_message(void **state)
{
    struct child sender, holder, other;

    (void)state;
    choose(row_of("ring"));
    sender = spawn(sends_three_and_waits, NULL);
    (void)hear(&sender);
    holder = spawn(has_one_in_hand, NULL);
    (void)hear(&holder);
    stop_child(&holder);
    other = spawn(takes_the_others, NULL);
    (void)hear(&other); /* a stopped receiver costs what it holds, no more */
    kill_child(&holder);
    (void)hear(&other);
    kill_child(&sender);
    (void)hear(&other);
    kill_child(&other);
    over();
}

static void drains(struct child *up, void *arg)
{
    uint64_t i, count = hear(up);

    (void)arg;
    open_shared(&ch, IPC_RECV, 0, 0);
    IS(ipc_channel_recv(&ch, scratch, 99, IPC_NOW), -EMSGSIZE);
    IS(next_length(), 100);
    for (i = 0; i < count; i++)
        recv_one(i, i == 0 ? 100 : length_of(i, 100));
    recv_one(count, 100); /* from the sender that waits for room */
    IS(ipc_channel_recv(&ch, scratch, 100, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&ch);
}

static void full_ring_that_is_shared_holds_up_until_the_deadline(void **state)
{
    struct child c;
    uint64_t i = 0;
    int rc = 0;

    (void)state;
    choose(row_of("ring"));
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 100);
    IS(largest(), 100);
    IS(ipc_channel_send(&ch, scratch, 101, IPC_NOW), -EMSGSIZE);
    for (; rc == 0; i++) {
        fill(scratch, i, 100);
        rc = ipc_channel_send(&ch, scratch, i == 0 ? 100 : length_of(i, 100), IPC_NOW);
    }
    IS(rc, -ETIMEDOUT);
    i--;
    MUST(i >= 16);
    fill(scratch, i, 100);
    IS(ipc_channel_send(&ch, scratch, 100, ipc_in_ms(1)), -ETIMEDOUT);
    c = spawn(drains, NULL);
    tell(&c, i);
    IS(ipc_channel_send(&ch, scratch, 100, ipc_in_ms(LONG_MS)), 0);
    finish(&c);
    over();
}

static void scribbled_length_is_told(void **state)
{
    struct ipc_channel other;
    unsigned char *slot;
    uint64_t length = 101;

    (void)state;
    choose(row_of("ring"));
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 100);
    open_shared(&other, IPC_RECV, 0, 0);
    send_one(0, 100);
    slot = ch.ring->put.m.slots;
    memcpy(slot, &length, sizeof length);
    IS(ipc_channel_recv(&other, scratch, 1 << 20, IPC_NOW), -EBADMSG);
    IS(ipc_channel_recv(&other, scratch, 1 << 20, IPC_NOW), -EBADMSG);
    ipc_channel_close(&other);
    over();
}

/* More processes than a segment has places for if nothing is said: each handle is a member. */
static void a_shared_ring_has_places_for_all_its_receivers(void **state)
{
    enum { MANY = 100 };
    static struct ipc_channel in[MANY];
    char path[170];
    int i;

    (void)state;
    choose(row_of("ring"));
    open_shared(&ch, IPC_SEND | IPC_LISTEN, 0, 100);
    for (i = 0; i < MANY; i++)
        open_shared(&in[i], IPC_RECV, 0, 0);
    for (i = 0; i < MANY; i++) {
        send_one((uint64_t)i, 100);
        IS(ipc_channel_recv(&in[i], scratch, 1 << 20, ipc_in_ms(LONG_MS)), 100);
    }
    for (i = 0; i < MANY; i++)
        ipc_channel_close(&in[i]);
    ipc_channel_close(&ch);
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    goes(uri, path);
}

static void sharing_is_refused_where_there_is_none(void **state)
{
    struct ipc_channel_options how;

    (void)state;
    memset(&how, 0, sizeof how);
    how.receivers = 2;
    choose(row_of("ring"));
    IS(ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how), -EOPNOTSUPP);
    MUST(strstr(ipc_channel_why(&ch), "one direction") != NULL);
    EACH_ROW(0)
    {
        if (NAMED("ring"))
            continue;
        IS(ipc_channel_open_with(&ch, uri, listens(IPC_RECV), IPC_NOW, &how), -EOPNOTSUPP);
    }
}

/* ------------------------------------------------------------------ roles */

static void finds_no_place(struct child *up, void *arg)
{
    struct ipc_channel client;

    (void)up;
    IS(ipc_channel_open(&client, uri, *(unsigned *)arg, ipc_in_ms(LONG_MS)), -EPROTO);
    MUST(strstr(ipc_channel_why(&client), "roles") != NULL);
}

/* One call of the listener, and the next, which knows nothing of it any more. */
static void is_told_of_roles(unsigned role, int64_t next)
{
    int64_t rc;
    int i;

    for (i = 0; i < 2; i++) {
        rc = role == IPC_SEND ? ipc_channel_send(&ch, "x", 1, ipc_in_ms(i == 0 ? LONG_MS : 0))
                              : ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(i == 0 ? LONG_MS : 0));
        is_(rc, i == 0 ? -EPROTO : next, uri, __FILE__, __LINE__);
        MUST(i > 0 || strstr(ipc_channel_why(&ch), "roles") != NULL);
    }
}

/* As over sockets, but that open tells the side that comes later. */
static void roles_that_do_not_fit_a_ring_are_refused(void **state)
{
    static const unsigned roles[][3] = {{IPC_RECV, IPC_BOTH, IPC_SEND},
                                        {IPC_RECV, IPC_RECV, IPC_SEND},
                                        {IPC_SEND, IPC_SEND, IPC_RECV},
                                        {IPC_SEND, IPC_BOTH, IPC_RECV}};
    struct ipc_channel one;
    struct child c;
    size_t i;

    (void)state;
    for (i = 0; i < 8; i++) {
        const unsigned *is = roles[i % 4];
        unsigned misfit = is[1];

        choose(row_of(i < 4 ? "ring" : "sysvshm"));
        IS(ipc_channel_open(&ch, uri, is[0] | IPC_LISTEN, ipc_in_ms(LONG_MS)), 0);
        c = spawn(finds_no_place, &misfit);
        if (is[0] == IPC_SEND)
            finish(&c);
        is_told_of_roles(is[0], is[0] == IPC_SEND ? 0 : -ETIMEDOUT);
        if (is[0] != IPC_SEND)
            finish(&c);
        IS(ipc_channel_open(&one, uri, is[2], ipc_in_ms(LONG_MS)), 0);
        if (is[0] == IPC_SEND)
            IS(ipc_channel_recv(&one, scratch, 10, ipc_in_ms(LONG_MS)), 1);
        else
            IS(ipc_channel_send(&one, "x", 1, ipc_in_ms(LONG_MS)), 0);
        ipc_channel_close(&one);
        ipc_channel_close(&ch);
        IS(ipc_channel_unlink(uri), 0); /* a ring keeps the message */
    }
    /* The other side was there first, in rings that another listener has left. */
    IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, ipc_in_ms(LONG_MS)), 0);
    ipc_channel_close(&ch);
    IS(ipc_channel_open(&one, uri, IPC_SEND, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_open(&ch, uri, IPC_SEND | IPC_LISTEN, ipc_in_ms(LONG_MS)), 0);
    is_told_of_roles(IPC_SEND, 0);
    IS(ipc_channel_send(&one, "x", 1, ipc_in_ms(LONG_MS)), -EPROTO);
    ipc_channel_close(&one);
    ipc_channel_close(&ch);
    IS(ipc_channel_unlink(uri), 0);
}

/* ------------------------------------------------------------------ all of them */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(ring_with_a_bell_of_another_kind_is_refused),
        TEST(holder_that_changes_with_each_look_stretches_no_deadline),
        TEST(half_made_rings_are_waited_for),
        TEST(rings_in_use_are_not_made_anew),
        TEST(auto_says_which_it_became),
        TEST(auto_becomes_a_ring_between_two_users),
        TEST(auto_gives_a_liar_nothing_but_a_closed_socket),
        TEST(auto_passes_over_the_silent),
        TEST(auto_believes_no_listener),
        TEST(a_hostile_client_of_auto_blocks_no_send),
        TEST(bytes_of_a_client_of_auto_keep_no_loop_awake),
        TEST(senders_that_share_a_ring_do_not_wait_for_each_other),
        TEST(receiver_from_several_looks_once_a_second),
        TEST(after_its_first_messages_a_ring_refuses_and_tells_as_before),
        TEST(a_receiver_that_came_and_went_between_two_sends_is_told_once),
        TEST(a_receiver_that_went_while_a_send_slept_is_told_once),
        TEST(killed_receiver_is_told_of_where_fork_wipes_nothing),
        TEST(a_sender_that_came_and_went_without_a_message_is_told_once),
        TEST(receivers_share_the_messages_of_a_ring),
        TEST(several_send_to_several_over_a_ring),
        TEST(killed_receiver_of_a_ring_costs_no_message),
        TEST(full_ring_that_is_shared_holds_up_until_the_deadline),
        TEST(scribbled_length_is_told),
        TEST(a_shared_ring_has_places_for_all_its_receivers),
        TEST(sharing_is_refused_where_there_is_none),
        TEST(roles_that_do_not_fit_a_ring_are_refused),
    };

    prepare(argc, argv);
    return cmocka_run_group_tests_name("channel_rings", tests, NULL, NULL);
}
