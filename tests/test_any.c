/*
 * Waiting for any of several channels: every mechanism at once, each with a process that sends,
 * closes, is killed and comes again; and what those without a descriptor, sysv: and sysvshm:, do
 * there. With real processes.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_notify.h"

/* What a test does in a wait, before that sleeps. */
static void (*before_sleep)(void);

static inline int sleep_at(const struct ipc_notify_group_ *g, const uint32_t *keys, int64_t until)
{
    if (before_sleep != NULL)
        before_sleep();
    return ipc_group_sleep_(g, keys, until);
}

#define ipc_group_sleep_ sleep_at

#include "channel.h"

#include <sys/resource.h>

enum { N = sizeof rows / sizeof *rows };

static struct ipc_channel in[N], out, *all[N];
static char uris[N][200], text[100];
static struct child senders[N];
static unsigned n_all; /* of all */
static uint64_t came;  /* the message that came last */

static size_t index_of(const char *scheme)
{
    return (size_t)(row_of(scheme) - rows);
}

static int is_a(size_t i, const char *scheme)
{
    return i == index_of(scheme);
}

/* ------------------------------------------------------------------ the processes that send */

/* Opens an end; the side that is to listens. */
static void opens(struct ipc_channel *c, size_t i, unsigned role)
{
    struct ipc_channel_options how;
    int rc;

    memset(&how, 0, sizeof how);
    how.max = (rows[i].is & RING) != 0 ? ring_max : 0;
    row = &rows[i];
    rc = ipc_channel_open_with(c, uris[i], listens(role), ipc_in_ms(LONG_MS), &how);
    must_(rc == 0, uris[i], ipc_channel_why(c), __FILE__, __LINE__);
}

#define CLOSE 0u /* in place of a number to send */

static void sends(struct child *up, void *arg)
{
    size_t i = (size_t)(struct ipc_channel *)arg - (size_t)in, k;
    struct ipc_channel *c = &out;
    uint64_t order;
    int rc;

    i /= sizeof *in;
    if (is_a(i, "pipe")) /* it has come by fork */
        c = &in[i];
    else
        opens(c, i, IPC_SEND);
    tell(up, 0);
    while ((order = hear(up)) != CLOSE) {
        for (k = 0; k < order % 16; k++) {
            rc = ipc_channel_send(c, &(uint64_t){order / 16 + k}, 8, ipc_in_ms(LONG_MS));
            must_(rc == 0, uris[i], ipc_channel_why(c), __FILE__, __LINE__);
        }
        tell(up, 0);
    }
    ipc_channel_close(c);
}

/* The sender is to send so many messages: first, first + 1, ... */
static void bid(size_t i, uint64_t first, unsigned messages)
{
    tell(&senders[i], first * 16 + messages);
}

/* A sender comes, and is there. */
static void comes(size_t i)
{
    senders[i] = spawn(sends, &in[i]);
    (void)hear(&senders[i]);
}

static void name_it(size_t i)
{
    choose(&rows[i]);
    (void)snprintf(uris[i], sizeof uris[i], "%s", uri);
}

/* Opens both ends. */
static void begin(size_t i)
{
    int listens_first = (rows[i].is & SENDER) != 0;

    name_it(i);
    all[n_all++] = &in[i];
    if (!listens_first)
        opens(&in[i], i, IPC_RECV);
    comes(i);
    if (listens_first)
        opens(&in[i], i, IPC_RECV);
    while (is_a(i, "signal") && /* what the last test has left */
           ipc_channel_recv(&in[i], &came, sizeof came, IPC_NOW) >= 0)
        ;
    /* pipe: closes what the sender has, which later senders would inherit */
    IS(ipc_channel_recv(&in[i], &came, sizeof came, IPC_NOW), -ETIMEDOUT);
}

static void begin_all(void)
{
    size_t i;

    n_all = 0;
    for (i = 0; i < N; i++)
        begin(i);
}

/* The sender is killed, or closes and ends. */
static void ends(size_t i, int kills)
{
    if (kills) {
        kill_child(&senders[i]);
    } else {
        tell(&senders[i], CLOSE);
        finish(&senders[i]);
    }
    senders[i].pid = 0;
}

static void leave(size_t i)
{
    if (senders[i].pid != 0)
        ends(i, 1);
    ipc_channel_close(&in[i]);
    (void)ipc_channel_unlink(uris[i]);
}

static void end_all(void)
{
    size_t i;

    for (i = 0; i < N; i++)
        leave(i);
}

/* ------------------------------------------------------------------ the process that waits */

/* Waits, and receives: what recv says at the channel all[*found]. */
static int64_t waits(size_t *found, int64_t deadline)
{
    unsigned in_vain = 0;
    int64_t rc;
    int i;

    do {
        MUST(in_vain++ < 10000); /* it does not spin */
        i = ipc_channel_wait_any(all, n_all, deadline);
        if (i < 0)
            return i;
        *found = (size_t)(all[i] - in);
        rc = ipc_channel_recv(all[i], &came, sizeof came, IPC_NOW);
    } while (rc == -ETIMEDOUT); /* a client, a part of a message, a look at a file */
    return rc;
}

static void is_told(size_t i, int64_t want)
{
    size_t found = N;
    int64_t rc = waits(&found, ipc_in_ms(LONG_MS));

    is_(rc, want, uris[i], __FILE__, __LINE__);
    is_((int64_t)found, (int64_t)i, uris[i], __FILE__, __LINE__);
}

static void gets(size_t i, uint64_t number)
{
    is_told(i, sizeof came);
    is_((int64_t)came, (int64_t)number, uris[i], __FILE__, __LINE__);
}

static void is_quiet(int64_t ms)
{
    int64_t deadline = ms == 0 ? IPC_NOW : ipc_in_ms(ms);
    size_t found;

    IS(waits(&found, deadline), -ETIMEDOUT);
    IS(ipc_left_(deadline), 0);
}

static void only(size_t i)
{
    n_all = 0;
    begin(i);
}

/* ------------------------------------------------------------------ all at once */

static void each_message_of_any_kind_comes(void **state)
{
    uint64_t next[N], i, k;
    size_t found;

    (void)state;
    begin_all();
    for (k = 0; k < 3; k++)
        for (i = 0; i < N; i++) {
            bid(i, 100 * k + i, 2);
            gets(i, 100 * k + i);
            gets(i, 100 * k + i + 1);
        }
    is_quiet(30);
    is_quiet(0);
    for (i = 0; i < N; i++) {
        next[i] = 1000 * i;
        bid(i, next[i], 9);
    }
    for (k = 0; k < 9 * N; k++) {
        IS(waits(&found, ipc_in_ms(LONG_MS)), sizeof came);
        is_((int64_t)came, (int64_t)next[found]++, uris[found], __FILE__, __LINE__);
    }
    is_quiet(0);
    end_all();
}

/* One that always has something keeps out no other. */
static void each_kind_has_its_turn(void **state)
{
    uint64_t seen = 0, i;
    size_t found;

    (void)state;
    begin_all();
    for (i = 0; i < N; i++) {
        bid(i, 1, 9);
        IS(ipc_channel_recv(&in[i], &came, sizeof came, ipc_in_ms(LONG_MS)), sizeof came);
        (void)hear(&senders[i]); /* the others are there, too */
    }
    for (i = 0; i < N; i++) {
        IS(waits(&found, ipc_in_ms(LONG_MS)), sizeof came);
        MUST((seen & (uint64_t)1 << found) == 0);
        seen |= (uint64_t)1 << found;
    }
    end_all();
}

/* Each sender goes, and the next one comes. */
static void loses_each(int kills)
{
    size_t i;

    begin_all();
    for (i = 0; i < N; i++) {
        bid(i, i, 1);
        gets(i, i);
        (void)hear(&senders[i]);
    }
    is_quiet(0);
    for (i = 0; i < N; i++) {
        ends(i, kills);
        if ((rows[i].is & TELLS) != 0)
            is_told(i, (row = &rows[i], gone(kills)));
        if (is_a(i, "pipe")) { /* no other one comes */
            is_told(i, -EPIPE);
            all[i] = &in[0]; /* twice in the list is as good as once */
            continue;
        }
        is_quiet(0);
        comes(i);
        bid(i, 7, 1);
        gets(i, 7);
    }
    is_quiet(20);
    end_all();
}

static void each_end_is_told_once(void **state)
{
    (void)state;
    loses_each(0);
}

static void each_death_is_told_once(void **state)
{
    (void)state;
    loses_each(1);
}

static void on_signal(int number)
{
    (void)number;
}

/* Signals the parent, which waits, until it has heard of one. */
static void disturbs(struct child *up, void *arg)
{
    struct pollfd p = {up->from, POLLIN, 0};

    (void)arg;
    while (poll(&p, 1, 1) == 0) {
        EVENTUALLY(rests(getppid()) || poll(&p, 1, 0) == 1);
        (void)kill(getppid(), SIGUSR1);
    }
}

static void is_interrupted(void)
{
    struct child c = spawn(disturbs, NULL);
    size_t found;
    sigset_t set;

    IS(waits(&found, ipc_in_ms(LONG_MS)), -EINTR);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0); /* one more may come, in waitpid */
    tell(&c, 0);
    (void)reap(&c);
    MUST(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void a_signal_ends_the_wait(void **state)
{
    struct sigaction act;

    (void)state;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_signal;
    MUST(sigaction(SIGUSR1, &act, NULL) == 0);
    begin_all();
    is_quiet(0);
    is_interrupted();
    end_all();
    only(index_of("sysvshm"));
    is_interrupted();
    leave(index_of("sysvshm"));
    only(index_of("sysv"));
    is_interrupted();
    leave(index_of("sysv"));
}

/* ------------------------------------------------------------------ sysv: */

static struct ipc_channel other; /* another end of the same queue */

static void select_type(struct ipc_channel *ch, int32_t select)
{
    ch->select = select;
}

static void put(uint32_t type, const void *message, size_t n)
{
    out.priority = type;
    IS(ipc_channel_send(&out, message, n, IPC_NOW), 0);
}

/* What a look finds it leaves in its place, for this process and for others. */
static void a_queue_is_only_looked_at(void **state)
{
    size_t i = index_of("sysv"), found;
    struct msqid_ds is;
    int queue;

    (void)state;
    only(i);
    opens(&out, i, IPC_SEND);
    opens(&other, i, IPC_RECV);
    queue = msgget((key_t)strtoul(uris[i] + 5, NULL, 10), 0);
    MUST(queue >= 0);
    put(3, "3a", 2);
    put(3, "3b", 2);
    put(4, "", 0);
    select_type(&in[i], 2); /* none of that type */
    is_quiet(0);
    is_quiet(20);
    for (int32_t select = -9; select < 4; select++) {
        if (select > -3 && select != 0 && select != 3)
            continue;
        select_type(&in[i], select);
        IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
        IS(ipc_channel_wait_any(all, 1, ipc_in_ms(LONG_MS)), 0);
        MUST(msgctl(queue, IPC_STAT, &is) == 0 && is.msg_qnum == 3);
    }
    select_type(&in[i], 3);
    IS(ipc_channel_recv(&other, text, 1, IPC_NOW), -EMSGSIZE);
    IS(ipc_channel_recv(&in[i], &came, 1, IPC_NOW), -EMSGSIZE); /* and stays */
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    IS(ipc_channel_recv(&other, text, sizeof text, IPC_NOW), 2);
    MUST(memcmp(text, "3a", 2) == 0);
    IS(ipc_channel_recv(&other, text, sizeof text, IPC_NOW), 2);
    IS(waits(&found, IPC_NOW), -ETIMEDOUT); /* the other one has taken both */
    select_type(&in[i], 0);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    MUST(msgctl(queue, IPC_STAT, &is) == 0 && is.msg_qnum == 1);
    is_told(i, 0);
    IS(in[i].came, 4);
    ipc_channel_close(&out);
    ipc_channel_close(&other);
    leave(i);
}

/* By type, a look at an empty message takes it, and recv has it; or close gives it back. */
static void an_empty_message_is_kept_for_recv(void **state)
{
    size_t i = index_of("sysv");

    (void)state;
    only(i);
    opens(&out, i, IPC_SEND);
    opens(&other, i, IPC_RECV);
    put(5, "", 0);
    put(6, "6", 1);
    select_type(&in[i], 5);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    select_type(&in[i], 6);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    is_told(i, 1);
    IS(in[i].came, 6);
    is_quiet(0);
    select_type(&in[i], -5);
    is_told(i, 0);
    IS(in[i].came, 5);
    is_quiet(0);
    put(5, "", 0);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    ipc_channel_close(&in[i]);
    IS(ipc_channel_recv(&other, text, sizeof text, IPC_NOW), 0);
    IS(other.came, 5);
    ipc_channel_close(&out);
    ipc_channel_close(&other);
    leave(i);
}

/* One that is held and not asked for does not keep a wait from sleeping, nor one from being found. */
static void what_select_does_not_ask_for_ends_no_wait(void **state)
{
    size_t i = index_of("sysv"), found;

    (void)state;
    only(i);
    opens(&out, i, IPC_SEND);
    put(3, "", 0);
    put(9, "9", 1);
    select_type(&in[i], 3);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    select_type(&in[i], 7);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), -ETIMEDOUT);
    IS(waits(&found, ipc_in_ms(20)), -ETIMEDOUT);
    put(7, "", 0);
    put(8, "", 0);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0); /* and both are held */
    select_type(&in[i], 8);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    put(3, "again", 5);
    select_type(&in[i], 7);
    is_told(i, 0);
    IS(in[i].came, 7);
    is_quiet(0);
    select_type(&in[i], 3); /* in order */
    is_told(i, 0);
    is_told(i, 5);
    is_quiet(0);
    select_type(&in[i], -9);
    is_told(i, 0);
    IS(in[i].came, 8);
    is_told(i, 1);
    is_quiet(0);
    ipc_channel_close(&out);
    leave(i);
}

/* With as many as it can hold in its hands a look takes no more. */
static void a_look_takes_a_few_at_most(void **state)
{
    size_t i = index_of("sysv");
    int32_t type;

    (void)state;
    only(i);
    opens(&out, i, IPC_SEND);
    opens(&other, i, IPC_RECV);
    for (type = 1; type <= 10; type++)
        put((uint32_t)type, "", 0);
    for (type = 1; type <= 10; type++) {
        select_type(&in[i], type);
        IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    }
    IS(ipc_channel_recv(&other, text, sizeof text, IPC_NOW), 0);
    IS(other.came, 9);
    is_told(i, 0);
    IS(in[i].came, 10);
    select_type(&in[i], 11);
    is_quiet(20); /* the queue is empty */
    ipc_channel_close(&in[i]);
    for (type = 1; type <= 8; type++) {
        IS(ipc_channel_recv(&other, text, sizeof text, IPC_NOW), 0);
        IS(other.came, type);
    }
    IS(ipc_channel_recv(&other, text, sizeof text, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&out);
    ipc_channel_close(&other);
    leave(i);
}

/* By a negative select the lowest type is first, also where it came after the look. */
static void the_lowest_type_is_first_after_a_look(void **state)
{
    size_t i = index_of("sysv");

    (void)state;
    only(i);
    opens(&out, i, IPC_SEND);
    put(3, "", 0);
    select_type(&in[i], -5);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    put(3, "3", 1);
    put(1, "one", 3);
    put(2, "", 0);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    IS(ipc_channel_recv(&in[i], text, 2, IPC_NOW), -EMSGSIZE);
    is_told(i, 3);
    IS(in[i].came, 1);
    is_told(i, 0);
    IS(in[i].came, 2);
    is_told(i, 0);
    IS(in[i].came, 3);
    is_told(i, 1);
    is_quiet(0);
    put(4, "", 0); /* two are held: of these it is the lower one, too */
    put(2, "", 0);
    select_type(&in[i], 4);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    select_type(&in[i], 2);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    select_type(&in[i], -5);
    is_told(i, 0);
    IS(in[i].came, 2);
    put(1, "", 0);
    IS(ipc_channel_unlink(uris[i]), 0);
    is_told(i, 0); /* it has come before that */
    IS(in[i].came, 4);
    is_told(i, -EPIPE);
    ipc_channel_close(&out);
    leave(i);
}

static void receives_after_fork(struct child *up, void *arg)
{
    size_t i = index_of("sysv");

    (void)arg;
    (void)hear(up);
    is_quiet(0);
    tell(up, 0);
    (void)hear(up); /* the parent has closed */
    is_told(i, 0);
    is_quiet(0);
    put(3, "", 0);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    ipc_channel_close(&in[i]); /* gives back what this process has taken */
}

/* An empty message that a look has taken is not the child's as well. */
static void what_is_held_is_not_inherited(void **state)
{
    size_t i = index_of("sysv");
    struct child c;

    (void)state;
    only(i);
    opens(&out, i, IPC_SEND);
    opens(&other, i, IPC_RECV);
    put(3, "", 0);
    select_type(&in[i], 3);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    c = spawn(receives_after_fork, NULL);
    tell(&c, 0);
    (void)hear(&c);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    ipc_channel_close(&in[i]);
    tell(&c, 0);
    finish(&c);
    IS(ipc_channel_recv(&other, text, sizeof text, IPC_NOW), 0);
    IS(ipc_channel_recv(&other, text, sizeof text, IPC_NOW), -ETIMEDOUT);
    ipc_channel_close(&out);
    ipc_channel_close(&other);
    leave(i);
}

static void a_removed_queue_is_told_and_the_next_one_is_found(void **state)
{
    size_t i = index_of("sysv");
    int type;

    (void)state;
    for (type = 0; type < 2; type++) {
        only(i); /* the listener: makes the queue anew */
        select_type(&in[i], type);
        is_quiet(0);
        IS(ipc_channel_unlink(uris[i]), 0);
        IS(ipc_channel_wait_any(all, 1, ipc_in_ms(LONG_MS)), 0);
        is_told(i, -EPIPE);
        is_quiet(0);
        opens(&out, i, IPC_SEND);
        put(1, "1", 1);
        is_told(i, 1);
        ipc_channel_close(&out);
        ipc_channel_close(&in[i]);
        IS(ipc_channel_open(&in[i], uris[i], IPC_RECV, IPC_NOW), 0); /* the other side: waits for it */
        select_type(&in[i], type);
        IS(ipc_channel_unlink(uris[i]), 0);
        is_told(i, -EPIPE);
        is_quiet(5);
        IS(ipc_channel_open(&out, uris[i], IPC_SEND | IPC_LISTEN, IPC_NOW), 0);
        put(1, "2", 1);
        is_told(i, 1);
        ipc_channel_close(&out);
        leave(i);
    }
}

/* ------------------------------------------------------------------ sysvshm: */

/* One that comes and goes without a message is a loss, also where nobody looked meanwhile. */
static void one_that_came_and_went_is_told(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < N; i++)
        if (is_a(i, "sysvshm") || is_a(i, "ring")) {
            only(i);
            ends(i, 0);
            is_told(i, -EPIPE);
            is_quiet(20);
            comes(i);
            ends(i, 0);
            is_told(i, -EPIPE);
            is_quiet(20);
            leave(i);
        }
}

static void removed_semaphores_are_told(void **state)
{
    size_t i = index_of("sysvshm");

    (void)state;
    only(i);
    bid(i, 1, 2);
    gets(i, 1);
    (void)hear(&senders[i]);
    IS(ipc_channel_unlink(uris[i]), 0);
    gets(i, 2); /* what is there is received */
    is_told(i, -EPIPE);
    is_told(i, -EPIPE);
    leave(i);
    only(i);
    ends(i, 1);
    is_told(i, -EOWNERDEAD);
    IS(ipc_channel_unlink(uris[i]), 0); /* nobody is there */
    is_told(i, -EPIPE);
    leave(i);
}

/* Sends once the parent sleeps at the bell. */
static void wakes(struct child *up, void *arg)
{
    const uint32_t *word;
    int i;

    (void)arg;
    opens(&out, index_of("sysvshm"), IPC_SEND);
    word = &out.ring->out_data.at->word;
    for (i = 0; i < 20; i++) {
        EVENTUALLY((ck_pr_load_32(word) & IPC_NOTIFY_ASLEEP_) != 0 && rests(getppid()));
        IS(ipc_channel_send(&out, &(uint64_t){(uint64_t)i}, 8, IPC_NOW), 0);
        (void)hear(up);
    }
}

static unsigned sleeps(void)
{
    struct rusage r;

    MUST(getrusage(RUSAGE_SELF, &r) == 0);
    return (unsigned)r.ru_nvcsw;
}

/* Where no channel has a descriptor, a sender over sysvshm: wakes, and looks are rare. */
static void rings_alone_sleep_on_their_bells(void **state)
{
    size_t i = index_of("sysvshm");
    struct child c;
    uint64_t k;
    unsigned before;

    (void)state;
    only(i);
    ends(i, 1);
    is_told(i, -EOWNERDEAD);
    c = spawn(wakes, NULL);
    for (k = 0; k < 20; k++) {
        gets(i, k);
        tell(&c, 0);
    }
    finish(&c);
    is_told(i, -EOWNERDEAD);
    before = sleeps();
    is_quiet(200);
    MUST(sleeps() - before < 100);
    leave(i);
}

static int64_t end_of_wait;

static void one_sends_at_the_end(void)
{
    before_sleep = NULL;
    EVENTUALLY(ipc_left_(end_of_wait) == 0);
    bid(index_of("sysvshm"), 1, 1);
    (void)hear(&senders[index_of("sysvshm")]);
}

/* A message that comes as the deadline passes is found by it. */
static void a_last_look_follows_the_deadline(void **state)
{
    size_t i = index_of("sysvshm");

    (void)state;
    only(i);
    before_sleep = one_sends_at_the_end;
    end_of_wait = ipc_in_ms(3);
    IS(ipc_channel_wait_any(all, 1, end_of_wait), 0);
    MUST(before_sleep == NULL);
    gets(i, 1);
    leave(i);
}

/* What a listener has answered to one client is nothing for the next. */
static void answers_to_another_are_not_told(void **state)
{
    static const char *const schemes[] = {"sysvshm", "ring"};
    size_t k, i;

    (void)state;
    for (k = 0; k < 2; k++) {
        i = index_of(schemes[k]);
        name_it(i);
        opens(&other, i, IPC_BOTH);
        for (unsigned client = 0; client < 2; client++) {
            IS(ipc_channel_open(&in[i], uris[i], IPC_BOTH, ipc_in_ms(LONG_MS)), 0);
            n_all = 1;
            all[0] = &in[i];
            is_quiet(20);
            IS(ipc_channel_send(&in[i], "ask", 3, IPC_NOW), 0);
            while (ipc_channel_recv(&other, text, sizeof text, ipc_in_ms(LONG_MS)) != 3)
                ;
            IS(ipc_channel_send(&other, "answer1", 8, IPC_NOW), 0);
            is_told(i, 8);
            IS(ipc_channel_send(&other, "answer2", 8, IPC_NOW), 0);
            ipc_channel_close(&in[i]); /* does not read that */
        }
        ipc_channel_close(&other);
        (void)ipc_channel_unlink(uris[i]);
    }
}

static void waits_after_fork(struct child *up, void *arg)
{
    size_t i = (size_t)(uintptr_t)arg;

    (void)up;
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    IS(ipc_channel_recv(&in[i], &came, sizeof came, IPC_NOW), -ECHILD);
    IS(ipc_channel_wait_any(all, 1, IPC_NOW), 0);
    IS(ipc_channel_recv(&in[i], &came, sizeof came, IPC_NOW), -ECHILD);
}

static void a_child_is_told_that_it_has_none(void **state)
{
    static const char *const schemes[] = {"sysvshm", "ring"};
    size_t k, i;

    (void)state;
    for (k = 0; k < 2; k++) {
        i = index_of(schemes[k]);
        only(i);
        IS(run(waits_after_fork, (void *)(uintptr_t)i), 0);
        bid(i, 1, 1);
        gets(i, 1);
        leave(i);
    }
}

/* ------------------------------------------------------------------ auto: */

/* Sends, and leaves the socket to a child. */
static void bequeaths(struct child *up, void *arg)
{
    pid_t heir;

    (void)arg;
    opens(&out, index_of("auto"), IPC_SEND);
    IS(ipc_channel_send(&out, &(uint64_t){1}, 8, ipc_in_ms(LONG_MS)), 0);
    heir = fork();
    MUST(heir >= 0);
    if (heir == 0) {
        become_orphan();
        for (;;)
            (void)pause();
    }
    tell(up, (uint64_t)heir);
    (void)hear(up);
}

/* The socket of a killed process that its child has still does not end, and tells nothing. */
static void a_death_is_told_though_a_child_has_the_socket(void **state)
{
    size_t i = index_of("auto");
    struct child c;
    pid_t heir;

    (void)state;
    SKIP_IF(is_emulated(), NO_DONTFORK);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans come to us */
    name_it(i);
    n_all = 1;
    all[0] = &in[i];
    opens(&in[i], i, IPC_RECV);
    c = spawn(bequeaths, NULL);
    gets(i, 1);
    heir = (pid_t)hear(&c);
    keep_in_mind(heir, 0);
    is_quiet(20);
    kill_child(&c);
    is_told(i, -EPIPE);
    MUST(kill(heir, 0) == 0);
    (void)kill(heir, SIGKILL);
    (void)waitpid(heir, NULL, 0);
    keep_in_mind(0, heir);
    is_quiet(20);
    leave(i);
}

/* ------------------------------------------------------------------ file: without inotify */

static void follows_without_inotify(struct child *up, void *arg)
{
    struct rlimit few = {0, 0}, was;
    size_t i = index_of("file");
    int fd = dup(0);

    (void)up, (void)arg;
    MUST(fd >= 0 && close(fd) == 0 && getrlimit(RLIMIT_NOFILE, &was) == 0);
    few.rlim_max = was.rlim_max;
    few.rlim_cur = (rlim_t)fd + 1; /* for the log itself */
    opens(&out, i, IPC_SEND);
    ipc_channel_close(&out);
    MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
    opens(&in[i], i, IPC_RECV);
    MUST(setrlimit(RLIMIT_NOFILE, &was) == 0);
    IS(ipc_channel_fd(&in[i]), -EOPNOTSUPP);
    n_all = 1;
    all[0] = &in[i];
    is_quiet(0);
    comes(i);
    bid(i, 1, 3);
    gets(i, 1);
    gets(i, 2);
    gets(i, 3);
    is_quiet(20);
    ends(i, 0);
}

static void a_log_needs_no_inotify(void **state)
{
    (void)state;
    name_it(index_of("file"));
    IS(run(follows_without_inotify, NULL), 0);
    (void)ipc_channel_unlink(uris[index_of("file")]);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(each_message_of_any_kind_comes),
        TEST(each_kind_has_its_turn),
        TEST(each_end_is_told_once),
        TEST(each_death_is_told_once),
        TEST(a_signal_ends_the_wait),
        TEST(a_queue_is_only_looked_at),
        TEST(an_empty_message_is_kept_for_recv),
        TEST(what_select_does_not_ask_for_ends_no_wait),
        TEST(a_look_takes_a_few_at_most),
        TEST(the_lowest_type_is_first_after_a_look),
        TEST(what_is_held_is_not_inherited),
        TEST(a_removed_queue_is_told_and_the_next_one_is_found),
        TEST(one_that_came_and_went_is_told),
        TEST(removed_semaphores_are_told),
        TEST(rings_alone_sleep_on_their_bells),
        TEST(a_last_look_follows_the_deadline),
        TEST(answers_to_another_are_not_told),
        TEST(a_child_is_told_that_it_has_none),
        TEST(a_death_is_told_though_a_child_has_the_socket),
        TEST(a_log_needs_no_inotify),
    };
    prepare(argc, argv);
    return cmocka_run_group_tests_name("any", tests, NULL, NULL);
}
