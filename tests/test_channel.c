/*
 * Channels: what must hold for every mechanism, tested with each of them and with real processes.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "channel.h"

/* ------------------------------------------------------------------ messages */

#define LOSES() (strncmp(row->scheme, "udp", 3) == 0)

/* Checks that a message of 8 bytes is number i, or a later one where some may be lost. Returns the
 * number of the next. */
static uint64_t check_next(uint64_t i, int64_t got)
{
    while (LOSES() && scratch[0] != (char)(i * 31))
        i++;
    check_one(i, 8, got);
    return i + 1;
}

/* ------------------------------------------------------------------ over every mechanism */

static void sends_many(struct child *up, void *arg)
{
    uint64_t i, most;

    (void)arg;
    open_as(listens(IPC_SEND));
    most = hear(up); /* the receiver is there */
    for (i = 0; i < MANY; i++) {
        send_one(i, length_of(i, most));
        if (i % 4 == 3)
            (void)hear(up); /* udp: loses messages that come too fast */
    }
    IS(ipc_channel_flush(&ch, ipc_in_ms(LONG_MS)), 0);
    (void)hear(up);
}

static void messages_come_out_as_they_went_in(void **state)
{
    (void)state;
    ring_max = 0;
    EACH_ROW(0)
    {
        struct child c;
        uint64_t i;
        size_t most;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_many, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        most = largest();
        tell(&c, most);
        for (i = 0; i < MANY; i++) {
            recv_one(i, length_of(i, most));
            if (i % 4 == 3)
                tell(&c, 0);
        }
        tell(&c, 0);
        finish(&c);
        over();
    }
}

static void asks(struct child *up, void *arg)
{
    uint64_t i;

    (void)arg;
    open_as(IPC_BOTH);
    for (i = 0; i < 100; i++) {
        send_one(i, i);
        recv_one(i + 1, 2 * i);
    }
    tell(up, 1);
    (void)hear(up);
}

static void both_directions_work_where_there_are_two(void **state)
{
    (void)state;
    EACH_ROW(BOTH)
    {
        struct child c;
        uint64_t i;

        open_as(IPC_BOTH | IPC_LISTEN);
        c = spawn(asks, NULL);
        for (i = 0; i < 100; i++) {
            recv_one(i, i);
            send_one(i + 1, 2 * i);
        }
        (void)hear(&c);
        tell(&c, 0);
        finish(&c);
        over();
    }
    EACH_ROW(0)
    {
        if ((row->is & BOTH) != 0)
            continue;
        IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), -EOPNOTSUPP);
        MUST(strstr(ipc_channel_why(&ch), "direction") != NULL);
    }
}

static void sends_sizes(struct child *up, void *arg)
{
    size_t most;

    (void)arg;
    open_as(listens(IPC_SEND));
    most = hear(up);
    fill(scratch, 0, most + 1);
    IS(ipc_channel_send(&ch, scratch, most + 1, ipc_in_ms(LONG_MS)), -EMSGSIZE);
    send_one(1, most);
    send_one(2, 3 < most ? 3 : most);
    (void)hear(up);
}

static void what_is_too_large_is_refused_and_nothing_lost(void **state)
{
    (void)state;
    ring_max = 0;
    EACH_ROW(0)
    {
        struct ipc_channel_facts facts;
        struct child c;
        size_t most;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_sizes, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        IS(ipc_channel_info(&ch, &facts), 0);
        most = facts.max;
        tell(&c, most);
        IS(ipc_channel_recv(&ch, scratch, 0, ipc_in_ms(LONG_MS)), -EMSGSIZE);
        IS(ipc_channel_recv(&ch, scratch, most - 1, ipc_in_ms(LONG_MS)), -EMSGSIZE);
        MUST(NAMED("sysv") || next_length() == most);
        recv_one(1, most);
        IS(next_length(), 0);
        recv_one(2, 3 < most ? 3 : most);
        IS(ipc_channel_recv(&ch, scratch, most, IPC_NOW), -ETIMEDOUT);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

/* Sends until there is no room and reports how many. Then, on order, flushes and sends one more. */
static void fills(struct child *up, void *arg)
{
    size_t n = (size_t)(uintptr_t)arg;
    uint64_t i = 0;
    int64_t began;
    int rc;

    open_as(listens(IPC_SEND));
    (void)hear(up);
    send_one(i++, n); /* so that the two sides have met */
    do {
        fill(scratch, i, n);
        began = ipc_clock();
        rc = ipc_channel_send(&ch, scratch, n, ipc_in_ms(20));
    } while (rc == 0 && ++i < 1000000);
    IS(rc, -ETIMEDOUT);
    MUST(ipc_clock() - began >= 20000000);
    do /* tcp: for a while it makes room by itself */
        fill(scratch, i, n);
    while ((rc = ipc_channel_send(&ch, scratch, n, IPC_NOW)) == 0 && ++i < 1000000);
    IS(rc, -ETIMEDOUT);
    tell(up, i);
    (void)hear(up);
    IS(ipc_channel_flush(&ch, ipc_in_ms(LONG_MS)), 0);
    send_one(i, n);
    (void)hear(up);
}

static void who_waits_is_told_of_the_deadline(void **state)
{
    static const size_t sizes[] = {8, 5000, 300000};
    struct rlimit few = {100, 100}, before;
    size_t k;

    (void)state;
    IS(getrlimit(RLIMIT_SIGPENDING, &before), 0);
    few.rlim_max = before.rlim_max;
    IS(setrlimit(RLIMIT_SIGPENDING, &few), 0); /* for signal: */
    for (k = 0; k < 3; k++)
        EACH_ROW(FILLS)
        {
            struct ipc_channel_facts facts;
            struct child c;
            uint64_t i, count;
            int64_t began;

            open_as(listens(IPC_RECV));
            IS(ipc_channel_info(&ch, &facts), 0);
            if (sizes[k] > facts.max) {
                over();
                continue;
            }
            c = spawn(fills, (void *)(uintptr_t)sizes[k]);
            IS(ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
            began = ipc_clock();
            IS(ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(20)), -ETIMEDOUT);
            MUST(ipc_clock() - began >= 20000000);
            tell(&c, 0);
            recv_one(0, sizes[k]);
            count = hear(&c);
            MUST(count > 1);
            tell(&c, 0);
            for (i = 1; i <= count; i++)
                recv_one(i, sizes[k]);
            IS(ipc_channel_recv(&ch, scratch, 1 << 20, IPC_NOW), -ETIMEDOUT);
            tell(&c, 0);
            finish(&c);
            over();
        }
    IS(setrlimit(RLIMIT_SIGPENDING, &before), 0);
}

static void sends_three(struct child *up, void *arg)
{
    uint64_t i;

    open_as(listens(IPC_SEND));
    for (i = 0; i < 3; i++)
        send_one(i, 10);
    tell(up, 3);
    if (arg != NULL)
        wait_for_death();
    ipc_channel_close(&ch);
}

static void end_of_the_other_side_is_told_after_all_it_sent(void **state)
{
    int killed, again;
    uint64_t i;

    (void)state;
    for (killed = 0; killed < 2; killed++)
        EACH_ROW(TELLS)
        {
            open_as(listens(IPC_RECV));
            for (again = 0; again < 3; again++) {
                struct child c = spawn(sends_three, killed ? &killed : NULL);

                for (i = 0; i < 3; i++)
                    recv_one(i, 10);
                (void)hear(&c);
                if (killed)
                    kill_child(&c);
                else
                    finish(&c);
                IS(ipc_channel_recv(&ch, scratch, 10, ipc_in_ms(LONG_MS)), gone(killed));
                if ((row->is & MEETS) == 0)
                    break;
                IS(ipc_channel_recv(&ch, scratch, 10, IPC_NOW), -ETIMEDOUT);
            }
            over();
        }
}

static void receives_one(struct child *up, void *arg)
{
    (void)arg;
    open_as(listens(IPC_RECV));
    recv_one(0, 10);
    tell(up, 1);
    wait_for_death();
}

/* SIGPIPE has its default action, so it would kill the test. */
static void sender_is_told_that_nobody_is_left_and_gets_no_signal(void **state)
{
    (void)state;
    EACH_ROW(TELLS)
    {
        struct child c;
        int64_t until = ipc_in_ms(LONG_MS);
        sigset_t pending;
        int rc, mask;

        /* The child receives and therefore listens; but a pipe is opened before the fork. */
        if (NAMED("pipe"))
            open_as(IPC_SEND);
        c = spawn(receives_one, NULL);
        if (!NAMED("pipe"))
            open_as(listens(IPC_SEND));
        for (mask = 0; mask < 2; mask++) {
            ch.flags |= mask ? IPC_CHANNEL_MASK_ : 0u; /* as on an old kernel */
            send_one(0, 10);
            (void)hear(&c);
            kill_child(&c);
            do
                rc = ipc_channel_send(&ch, scratch, 10, ipc_in_ms(LONG_MS));
            while (rc == 0 && ipc_left_(until) > 0); /* tcp: the first one gets out */
            IS(rc, gone(1));
            MUST(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 0);
            MUST(sigprocmask(SIG_BLOCK, NULL, &pending) == 0 && !sigismember(&pending, SIGPIPE));
            if (mask || (row->is & MEETS) == 0 || (row->is & RING) != 0) /* rings keep messages */
                break;
            c = spawn(receives_one, NULL); /* a successor */
        }
        if ((row->is & MEETS) == 0)
            IS(ipc_channel_send(&ch, scratch, 10, ipc_in_ms(LONG_MS)), -EPIPE);
        over();
    }
}

static void sends_until_gone(struct child *up, void *arg)
{
    struct sigaction now;
    int rc;

    open_as(listens(IPC_SEND));
    send_one(0, 10);
    send_one(1, 20000);
    (void)hear(up);
    while ((rc = ipc_channel_send(&ch, scratch, 10, ipc_in_ms(LONG_MS))) == 0)
        ; /* tcp: the first one gets out */
    is_(rc, -EPIPE, uri, __FILE__, __LINE__);
    MUST(sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == (arg ? SIG_IGN : SIG_DFL));
}

static void host_may_ignore_broken_pipes_or_not(void **state)
{
    int ignores;

    (void)state;
    for (ignores = 0; ignores < 2; ignores++)
        EACH_ROW(FRAMED)
        {
            struct child c;

            (void)signal(SIGPIPE, ignores ? SIG_IGN : SIG_DFL);
            if (NAMED("pipe")) /* else the child would have our end too */
                open_as(IPC_RECV);
            c = spawn(sends_until_gone, ignores ? &ignores : NULL);
            if (!NAMED("pipe"))
                open_as(listens(IPC_RECV));
            recv_one(0, 10);
            recv_one(1, 20000);
            over();
            tell(&c, 0);
            finish(&c);
        }
    (void)signal(SIGPIPE, SIG_DFL);
}

static void begins_and_asks(struct child *up, void *arg)
{
    struct ipc_channel_facts facts;
    uint64_t i = 0;

    (void)arg;
    open_as(IPC_BOTH);
    send_one(0, 8);
    do { /* until a message is sent in part */
        fill(scratch, ++i, 300000);
        IS(ipc_channel_send(&ch, scratch, 300000, IPC_NOW), 0);
        IS(ipc_channel_info(&ch, &facts), 0);
    } while (facts.pending == 0);
    tell(up, i);
    recv_one(1, 8);
    IS(ipc_channel_info(&ch, &facts), 0);
    IS(facts.pending, 0);
    (void)hear(up);
}

static void what_a_deadline_cut_off_goes_out_while_we_wait_for_answers(void **state)
{
    (void)state;
    EACH_ROW(FRAMED | BOTH)
    {
        struct child c;
        uint64_t i, n;

        open_as(IPC_BOTH | IPC_LISTEN);
        c = spawn(begins_and_asks, NULL);
        recv_one(0, 8);
        n = hear(&c);
        for (i = 1; i <= n; i++)
            recv_one(i, 300000);
        send_one(1, 8);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

static void begins_one(struct child *up, void *arg)
{
    uint64_t i = 0;

    (void)arg;
    open_as(listens(IPC_SEND));
    send_one(7, 5);
    fill(scratch, 0, 300000);
    while (ipc_channel_send(&ch, scratch, 300000, IPC_NOW) == 0)
        i++;
    tell(up, i);
    wait_for_death();
}

static void death_in_the_middle_of_a_message_is_told(void **state)
{
    (void)state;
    EACH_ROW(FRAMED)
    {
        struct child c;
        uint64_t whole, i;

        open_as(listens(IPC_RECV));
        c = spawn(begins_one, NULL);
        recv_one(7, 5);
        whole = hear(&c);
        MUST(whole > 0);
        kill_child(&c);
        for (i = 0; i < whole - 1; i++)
            check_one(0, 300000, ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS)));
        IS(ipc_channel_recv(&ch, scratch, 1 << 20, ipc_in_ms(LONG_MS)), -EOWNERDEAD);
        over();
    }
}

static void stopped_peer_costs_what_it_holds_and_nothing_else(void **state)
{
    int times;

    (void)state;
    EACH_ROW(0)
    {
        struct child c;
        uint64_t i = 0, count;
        int64_t got = 0;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_until_told, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        for (times = 0; times < 5; times++) {
            i = check_next(i, ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)));
            stop_child(&c);
            while ((got = ipc_channel_recv(&ch, scratch, 8, IPC_NOW)) >= 0)
                i = check_next(i, got);
            IS(got, -ETIMEDOUT);
            signal_child(&c, SIGCONT);
        }
        tell(&c, 0);
        while ((got = ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(100))) >= 0)
            i = check_next(i, got);
        count = hear(&c);
        while (i < count && !LOSES())
            recv_one(i++, 8);
        MUST(LOSES() ? i <= count : i == count);
        tell(&c, 0);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

static void sleeps_for_one(struct child *up, void *arg)
{
    (void)up;
    open_as(listens(IPC_RECV));
    check_one(7, 5, ipc_channel_recv(&ch, scratch, 10, arg ? IPC_FOREVER : ipc_in_ms(LONG_MS)));
}

/* Only a signal handler interrupts a call. */
static void receiver_that_was_stopped_in_its_sleep_sleeps_on(void **state)
{
    int forever;

    (void)state;
    for (forever = 0; forever < 2; forever++)
        EACH_ROW(0)
        {
            struct child c;

            if (NAMED("signal")) /* only the process of the address receives */
                continue;
            if (NAMED("pipe"))
                open_as(IPC_SEND);
            c = spawn(sleeps_for_one, forever ? &forever : NULL);
            if (!NAMED("pipe"))
                open_as(listens(IPC_SEND));
            EVENTUALLY(rests(c.pid));
            stop_child(&c);
            signal_child(&c, SIGCONT);
            EVENTUALLY(rests(c.pid)); /* else the message could come before the call goes on */
            send_one(7, 5);
            finish(&c);
            over();
        }
}

static void comes_first(struct child *up, void *arg)
{
    int listener = *(int *)arg;
    unsigned role = listens(IPC_RECV) & IPC_LISTEN ? IPC_SEND : IPC_RECV;

    role = listener ? role ^ IPC_BOTH : role;
    open_as(listens(role));
    tell(up, 1);
    if (role == IPC_SEND)
        send_one(7, 5);
    else
        recv_one(7, 5);
    (void)hear(up);
}

static void either_side_may_start_first(void **state)
{
    int listener;

    (void)state;
    for (listener = 0; listener < 2; listener++)
        EACH_ROW(0)
        {
            struct child c;
            unsigned role;

            if (NAMED("pipe") || NAMED("signal") || LOSES())
                continue; /* nobody waits there */
            c = spawn(comes_first, &listener);
            if (listener)
                (void)hear(&c);
            else
                EVENTUALLY(rests(c.pid));
            role = (row->is & SENDER ? IPC_SEND : IPC_RECV);
            role = listener ? role ^ IPC_BOTH : role;
            open_as(listens(role));
            if (!listener)
                (void)hear(&c);
            if (role == IPC_SEND)
                send_one(7, 5);
            else
                recv_one(7, 5);
            tell(&c, 0);
            finish(&c);
            over();
        }
    EACH_ROW(0)
    { /* nor does open wait for ever */
        if (NAMED("pipe") || NAMED("signal") || LOSES())
            continue;
        IS(ipc_channel_open(&ch, uri, (row->is & SENDER ? IPC_RECV : IPC_SEND), ipc_in_ms(5)),
           -ETIMEDOUT);
        MUST(*ipc_channel_why(&ch) != '\0');
        IS(ipc_channel_send(&ch, scratch, 1, IPC_NOW), -EINVAL);
        IS(ipc_channel_recv(&ch, scratch, 1, IPC_NOW), -EINVAL);
        IS(ipc_channel_fd(&ch), -EINVAL);
        ipc_channel_close(&ch);
    }
}

static void listens_until_killed(struct child *up, void *arg)
{
    (void)arg;
    open_as((row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN);
    tell(up, 1);
    wait_for_death();
}

static void what_a_killed_listener_left_is_taken_over(void **state)
{
    (void)state;
    ring_max = 0;
    EACH_ROW(0)
    {
        struct child c;

        if (NAMED("pipe") || NAMED("signal"))
            continue;
        c = spawn(listens_until_killed, NULL);
        (void)hear(&c);
        if ((row->is & BINDS) != 0) { /* a live listener is never replaced */
            int rc = ipc_channel_open(
                &ch, uri, (row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN, IPC_NOW);

            is_(rc, NAMED("file") ? -EBUSY : -EADDRINUSE, uri, __FILE__, __LINE__);
            open_as(row->is & SENDER ? IPC_RECV : IPC_SEND);
            ipc_channel_close(&ch);
        }
        kill_child(&c);
        open_as((row->is & SENDER ? IPC_SEND : IPC_RECV) | IPC_LISTEN);
        c = spawn(comes_first, &(int){0});
        if (row->is & SENDER)
            send_one(7, 5);
        else
            recv_one(7, 5);
        tell(&c, 0);
        finish(&c);
        over();
        if ((row->is & PATH) != 0 && !NAMED("mq") && !NAMED("sysv"))
            IS(access(strchr(uri, ':') + 1, F_OK), -1);
    }
}

static volatile unsigned alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

static void storm(void)
{
    struct sigaction act;
    struct itimerval often = {{0, 300}, {0, 300}};

    memset(&act, 0, sizeof act);
    act.sa_handler = on_alarm;
    IS(sigaction(SIGALRM, &act, NULL), 0);
    IS(setitimer(ITIMER_REAL, &often, NULL), 0);
}

static void sends_in_a_storm(struct child *up, void *arg)
{
    uint64_t i, interrupted = 0;
    int rc;

    (void)arg;
    open_as(listens(IPC_SEND));
    (void)hear(up);
    storm();
    for (i = 0; i < 500; i++) {
        size_t n = i % 50 == 0 ? length_of(1, hear(up)) : 8;

        fill(scratch, i, n);
        while ((rc = ipc_channel_send(&ch, scratch, n, i % 2 ? IPC_FOREVER : ipc_in_ms(LONG_MS))) ==
               -EINTR)
            interrupted++;
        IS(rc, 0);
    }
    while ((rc = ipc_channel_flush(&ch, IPC_FOREVER)) == -EINTR)
        ;
    IS(rc, 0);
    tell(up, interrupted);
    for (;;)
        (void)pause();
}

static void interruptions_lose_nothing(void **state)
{
    struct itimerval never = {{0, 0}, {0, 0}};

    (void)state;
    EACH_ROW(0)
    {
        struct child c;
        uint64_t i;
        int64_t got;
        size_t most;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_in_a_storm, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        most = largest();
        tell(&c, 0);
        storm();
        for (i = 0; i < 500; i++) {
            if (i % 50 == 0) {
                uint64_t word = most;

                MUST(write(c.to, &word, sizeof word) == (ssize_t)sizeof word);
            }
            while ((got = ipc_channel_recv(&ch, scratch, 1 << 20,
                                           i % 3 ? IPC_FOREVER : ipc_in_ms(LONG_MS))) == -EINTR)
                ;
            check_one(i, i % 50 == 0 ? most : 8, got);
        }
        IS(setitimer(ITIMER_REAL, &never, NULL), 0);
        (void)signal(SIGALRM, SIG_DFL);
        kill_child(&c);
        over();
    }
    MUST(alarms > 0);
}

/* Sends a message each time it is told to. */
static void sends_when_told(struct child *up, void *arg)
{
    uint64_t i = 0;

    (void)arg;
    open_as(listens(IPC_SEND));
    for (;;) {
        fill(scratch, i++, 8);
        IS(ipc_channel_send(&ch, scratch, 8, ipc_in_ms(LONG_MS)), 0);
        tell(up, i);
        (void)hear(up);
    }
}

/* The descriptor is asked for only after a recv has found nothing. */
static void a_descriptor_that_comes_late_is_readable(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct pollfd p = {-1, POLLIN, 0};
        struct child c;

        if (NAMED("sysv") || NAMED("sysvshm"))
            continue;
        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        while (NAMED("signal") && ipc_channel_recv(&ch, scratch, 8, IPC_NOW) >= 0)
            ; /* what other tests have left pending */
        c = spawn(sends_when_told, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        IS(check_next(0, ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS))), 1);
        IS(hear(&c), 1);
        IS(ipc_channel_recv(&ch, scratch, 8, IPC_NOW), -ETIMEDOUT);
        p.fd = ipc_channel_fd(&ch);
        MUST(p.fd >= 0);
        tell(&c, 0);
        IS(hear(&c), 2);
        IS(poll(&p, 1, LONG_MS), 1);
        IS(check_next(1, ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS))), 2);
        kill_child(&c);
        over();
    }
}

static void in_an_event_loop_every_message_is_found(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c;
        uint64_t i = 0;
        int64_t got;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_until_told, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        if (NAMED("sysv") || NAMED("sysvshm"))
            IS(ipc_channel_fd(&ch), -EOPNOTSUPP);
        while (i < 2000 && !NAMED("sysv") && !NAMED("sysvshm")) {
            struct pollfd p = {-1, POLLIN, 0};

            while ((got = ipc_channel_recv(&ch, scratch, 8, IPC_NOW)) >= 0)
                i = check_next(i, got);
            IS(got, -ETIMEDOUT);
            p.fd = ipc_channel_fd(&ch);
            MUST(p.fd >= 0);
            IS(poll(&p, 1, LONG_MS), 1);
        }
        kill_child(&c);
        over();
    }
}

/* ------------------------------------------------------------------ what is no channel */

static void sends_and_closes(struct child *up, void *arg)
{
    uint64_t i;

    (void)arg;
    open_as(listens(IPC_BOTH));
    recv_one(0, 8);
    (void)hear(up); /* more has come, which is not read */
    for (i = 0; i < 3; i++)
        send_one(i, 8);
    ipc_channel_close(&ch);
}

static void what_was_sent_before_a_close_is_received_by_one_who_was_not_read(void **state)
{
    (void)state;
    EACH_ROW(BOTH | TELLS)
    {
        struct child c;
        uint64_t i;

        if (NAMED("pipe"))
            continue;
        c = spawn(sends_and_closes, NULL);
        open_as(IPC_BOTH);
        for (i = 0; i < 3; i++)
            send_one(i, 8);
        tell(&c, 0);
        finish(&c);
        for (i = 0; i < 3; i++)
            recv_one(i, 8);
        IS(ipc_channel_recv(&ch, scratch, 8, ipc_in_ms(LONG_MS)), -EPIPE);
        over();
    }
}

static void *volatile no_memory; /* NULL, which the compiler does not know */

static void sends_nothing(struct child *up, void *arg)
{
    (void)arg;
    open_as(listens(IPC_SEND));
    IS(ipc_channel_send(&ch, no_memory, 0, ipc_in_ms(LONG_MS)), 0);
    IS(ipc_channel_send(&ch, no_memory, 0, ipc_in_ms(LONG_MS)), 0);
    (void)hear(up);
}

/* Undefined behaviour of memcpy is seen with the sanitizer. */
static void an_empty_message_may_be_null(void **state)
{
    (void)state;
    EACH_ROW(0)
    {
        struct child c;

        if (!(row->is & SENDER))
            open_as(listens(IPC_RECV));
        c = spawn(sends_nothing, NULL);
        if (row->is & SENDER)
            open_as(listens(IPC_RECV));
        IS(ipc_channel_recv(&ch, no_memory, 0, ipc_in_ms(LONG_MS)), 0);
        IS(ipc_channel_recv(&ch, no_memory, 0, ipc_in_ms(LONG_MS)), 0);
        tell(&c, 0);
        finish(&c);
        over();
    }
}

/* ------------------------------------------------------------------ all of them */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(messages_come_out_as_they_went_in),
        TEST(both_directions_work_where_there_are_two),
        TEST(what_is_too_large_is_refused_and_nothing_lost),
        TEST(who_waits_is_told_of_the_deadline),
        TEST(end_of_the_other_side_is_told_after_all_it_sent),
        TEST(sender_is_told_that_nobody_is_left_and_gets_no_signal),
        TEST(host_may_ignore_broken_pipes_or_not),
        TEST(what_a_deadline_cut_off_goes_out_while_we_wait_for_answers),
        TEST(death_in_the_middle_of_a_message_is_told),
        TEST(stopped_peer_costs_what_it_holds_and_nothing_else),
        TEST(receiver_that_was_stopped_in_its_sleep_sleeps_on),
        TEST(either_side_may_start_first),
        TEST(what_a_killed_listener_left_is_taken_over),
        TEST(interruptions_lose_nothing),
        TEST(in_an_event_loop_every_message_is_found),
        TEST(a_descriptor_that_comes_late_is_readable),
        TEST(what_was_sent_before_a_close_is_received_by_one_who_was_not_read),
        TEST(an_empty_message_may_be_null),
    };

    prepare(argc, argv);
    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
