/*
 * Progress of calls: whatever others hold, and for however long, a server that holds nothing gets a
 * request if there is one that nobody holds; a client whose call has ended is told; and a client
 * that asks gets a slot if one is free.
 *
 * Several clients and servers do random things. Some hold requests for long, give up, leave, or die
 * with what they hold. After each step others look: a server must get exactly the requests that
 * nobody holds, each client must be told exactly how its call ended, and as many clients must find a
 * slot as there are slots free. The memory is restored after each look, so looks change nothing.
 *
 * IPC_PROGRESS_STEPS is the number of steps (200,000 by default).
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#define _GNU_SOURCE
#include "chance.h"
#include "ipc_ring.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { CLIENTS = 5, SERVERS = 3, SLOTS = 8, STRIDE = 192, STEPS_OF_A_RING = 400, IDS = 1 << 16 };
enum { REPLY = 1 << 20 }; /* more than the request */

/* What became of the last request of a slot. */
enum fate { NONE, ASKED, HELD, ANSWERED, LEFT, DIED }; /* the last two: its server */

struct client {
    int attached, waits;
    struct ipc_peer me;
    struct ipc_call_client c;
};

struct server {
    int attached;
    struct ipc_peer me;
    struct ipc_call_server s;
};

static struct {
    uint64_t slots, ids, requests;
    size_t size;
    unsigned char *mem;
    struct client client[CLIENTS];
    struct server server[SERVERS];
    struct {
        const struct client *caller; /* NULL: none, or a dead one */
        enum fate fate;
        const struct server *server; /* of HELD */
        void *message;
        uint64_t request;
    } slot[SLOTS];
} now;

static unsigned char dead[IDS]; /* by id */

static int lives(void *arg, uint64_t id)
{
    (void)arg;
    return id >= IDS || !dead[id];
}

static struct ipc_peer newcomer(void)
{
    struct ipc_peer me = {++now.ids, lives, NULL, NULL, NULL, "", NULL, NULL};

    return me;
}

static unsigned index_of(const void *slot)
{
    size_t offset = (size_t)((const unsigned char *)slot - now.mem) - sizeof(struct ipc_call_shared);

    return (unsigned)(offset / STRIDE);
}

/* May a client that comes, or moves, have this slot? */
static int is_free(unsigned i)
{
    return now.slot[i].caller == NULL && now.slot[i].fate != HELD;
}

static unsigned count_free(void)
{
    unsigned i, n = 0;

    for (i = 0; i < now.slots; i++)
        n += is_free(i) != 0;
    return n;
}

/* ------------------------------------------------------------------ what clients do */

static void sits(struct client *who, unsigned i)
{
    assert_true(is_free(i));
    now.slot[i].caller = who;
    now.slot[i].fate = NONE;
}

static void come(struct client *who)
{
    unsigned n = count_free();
    int rc;

    memset(who, 0, sizeof *who);
    who->me = newcomer();
    rc = ipc_call_client_attach(&who->c, now.mem, now.size, 8, 8, &who->me);
    assert_int_equal(rc, n > 0 ? 0 : -EUSERS);
    who->attached = rc == 0;
    if (rc == 0)
        sits(who, index_of(who->c.slot));
}

static void ask(struct client *who)
{
    unsigned was = index_of(who->c.slot), n = count_free(), i;
    int rc;

    who->c.vain = 0; /* as after enough looks: asks which servers are dead */
    rc = ipc_call_ask(&who->c, &now.requests, 8);
    i = index_of(who->c.slot);
    if (now.slot[was].fate != HELD) {
        assert_int_equal(rc, 0);
        assert_int_equal(i, was);
    } else {
        assert_int_equal(rc, n > 0 ? 0 : -EAGAIN);
        assert_true((rc == 0) == (i != was));
    }
    if (rc != 0)
        return;
    if (i != was) {
        now.slot[was].caller = NULL;
        sits(who, i);
    }
    now.slot[i].fate = ASKED;
    now.slot[i].request = now.requests++;
    who->waits = 1;
}

static int serves_anyone(void)
{
    unsigned i, n = 0;

    for (i = 0; i < SERVERS; i++)
        n += now.server[i].attached != 0;
    return n > 0;
}

/* What the client is told of its call. */
static int is_told(struct client *who)
{
    unsigned i = index_of(who->c.slot);
    uint64_t reply = 0;
    int rc;

    who->c.vain = 0;
    rc = ipc_call_collect(&who->c, &reply, 8);
    switch (now.slot[i].fate) {
    case ANSWERED:
        assert_int_equal(rc, 0);
        assert_int_equal(reply, now.slot[i].request + REPLY);
        break;
    case LEFT:
        assert_int_equal(rc, -EPIPE);
        break;
    case DIED:
        assert_int_equal(rc, -EOWNERDEAD);
        break;
    case ASKED: /* that nobody serves is told once */
        assert_true(rc == -EAGAIN || (!serves_anyone() && (rc == -EPIPE || rc == -EOWNERDEAD)));
        break;
    default:
        assert_int_equal(now.slot[i].fate, HELD);
        assert_int_equal(rc, -EAGAIN);
    }
    return rc;
}

/* The client has given up its call in this slot. */
static void gave_up(struct client *who, unsigned i)
{
    if (now.slot[i].fate == ASKED)
        now.slot[i].fate = NONE;
    who->waits = 0;
}

static void client_step(struct client *who)
{
    uint64_t what = chance(10);
    unsigned i;
    int rc;

    if (!who->attached) {
        come(who);
        return;
    }
    i = index_of(who->c.slot);
    if (what == 0) {
        ipc_call_client_detach(&who->c);
        gave_up(who, i);
    } else if (what == 1) { /* what it has asked may still be taken */
        dead[who->me.id] = 1;
    }
    if (what < 2) {
        now.slot[i].caller = NULL;
        who->attached = who->waits = 0;
    } else if (!who->waits) {
        ask(who);
    } else if (what < 5) {
        ipc_call_cancel(&who->c);
        gave_up(who, i);
    } else if ((rc = is_told(who)) != -EAGAIN) {
        who->waits = 0;
        now.slot[i].fate = NONE;
    }
}

/* ------------------------------------------------------------------ what servers do */

static void server_comes(struct server *who)
{
    memset(who, 0, sizeof *who);
    who->me = newcomer();
    assert_int_equal(ipc_call_server_attach(&who->s, now.mem, now.size, 8, 8, &who->me), 0);
    who->attached = 1;
}

static void server_goes(struct server *who, enum fate fate)
{
    unsigned i;

    if (fate == DIED)
        dead[who->me.id] = 1;
    else
        ipc_call_server_detach(&who->s);
    who->attached = 0;
    for (i = 0; i < now.slots; i++)
        if (now.slot[i].fate == HELD && now.slot[i].server == who)
            now.slot[i].fate = fate;
}

static void server_answers(struct server *who)
{
    unsigned i = (unsigned)chance(now.slots);
    int rc;

    if (now.slot[i].fate != HELD || now.slot[i].server != who)
        return;
    *(uint64_t *)now.slot[i].message = now.slot[i].request + REPLY;
    rc = ipc_call_answer(&who->s, now.slot[i].message);
    assert_true(rc == 0 || rc == -ECANCELED);
    now.slot[i].fate = rc == 0 ? ANSWERED : NONE;
}

/* Takes a request that nobody holds. Returns its slot. */
static unsigned takes(struct ipc_call_server *s, void **message)
{
    unsigned i;

    *message = ipc_call_take(s);
    if (*message == NULL)
        return SLOTS;
    i = index_of(*message);
    assert_int_equal(now.slot[i].fate, ASKED);
    assert_int_equal(*(uint64_t *)*message, now.slot[i].request);
    return i;
}

static void server_step(struct server *who)
{
    uint64_t what = chance(12);
    void *message;
    unsigned i;

    if (!who->attached) {
        server_comes(who);
    } else if (what < 2) {
        server_goes(who, what == 0 ? LEFT : DIED);
    } else if (what < 6) {
        server_answers(who);
    } else if (what < 10 && (i = takes(&who->s, &message)) < SLOTS) {
        now.slot[i].fate = HELD;
        now.slot[i].server = who;
        now.slot[i].message = message;
    }
}

/* ------------------------------------------------------------------ looking */

static void a_server_gets_what_nobody_holds(void)
{
    const struct server *one = &now.server[chance(SERVERS)];
    unsigned char seen[SLOTS] = {0};
    struct server s;
    void *message;
    unsigned i;

    if (one->attached && chance(2))
        s = *one; /* wherever it looks next */
    else
        server_comes(&s);
    while ((i = takes(&s.s, &message)) < SLOTS)
        assert_int_equal(seen[i]++, 0);
    for (i = 0; i < now.slots; i++)
        assert_int_equal(seen[i], now.slot[i].fate == ASKED);
}

static void clients_are_told(void)
{
    unsigned i;

    for (i = 0; i < CLIENTS; i++)
        if (now.client[i].attached && now.client[i].waits) {
            struct client copy = now.client[i];

            (void)is_told(&copy);
        }
}

static void free_slots_are_had(void)
{
    unsigned n = count_free(), i;

    for (i = 0; i <= n; i++) {
        struct ipc_peer me = newcomer();
        struct ipc_call_client c;

        assert_int_equal(ipc_call_client_attach(&c, now.mem, now.size, 8, 8, &me),
                         i < n ? 0 : -EUSERS);
    }
}

static void look(void)
{
    static unsigned char was[sizeof(struct ipc_call_shared) + SLOTS * STRIDE];
    void (*const looks[])(void) = {a_server_gets_what_nobody_holds, clients_are_told,
                                   free_slots_are_had};
    uint64_t ids = now.ids;
    unsigned i;

    memcpy(was, now.mem, now.size);
    for (i = 0; i < sizeof looks / sizeof *looks; i++) {
        looks[i]();
        memcpy(now.mem, was, now.size);
        now.ids = ids;
    }
}

static void begin(uint64_t callers)
{
    free(now.mem);
    memset(&now, 0, sizeof now);
    memset(dead, 0, sizeof dead);
    now.ids = 1;
    now.slots = callers * IPC_CALL_SLOTS_EACH_;
    now.size = ipc_call_footprint(8, 8, callers);
    assert_int_equal(now.size, sizeof(struct ipc_call_shared) + now.slots * STRIDE);
    now.mem = (unsigned char *)aligned_alloc(64, now.size);
    assert_non_null(now.mem);
    assert_int_equal(ipc_call_init(now.mem, now.size, 8, 8, callers), 0);
}

static void every_request_slot_and_reply_is_had(void **state)
{
    const char *asked = getenv("IPC_PROGRESS_STEPS");
    uint64_t steps = asked != NULL ? strtoull(asked, NULL, 10) : 200000, i;

    (void)state;
    for (i = 0; i < steps; i++) {
        if (i % STEPS_OF_A_RING == 0)
            begin(UINT64_C(1) << chance(3));
        if (chance(2) != 0)
            client_step(&now.client[chance(CLIENTS)]);
        else
            server_step(&now.server[chance(SERVERS)]);
        look();
    }
    free(now.mem);
    now.mem = NULL;
    print_message("%llu steps\n", (unsigned long long)steps);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_request_slot_and_reply_is_had)};

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
