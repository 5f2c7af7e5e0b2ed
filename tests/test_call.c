/*
 * Calls: every edge of the raw functions in one process, hostile memory, and real processes that
 * call and serve, sleep, give up, leave, are stopped and killed. Puppets are processes that make
 * one call after the other, on order.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <sys/syscall.h>
#include <unistd.h>

static unsigned kernel_calls; /* that ipc_notify.h made in this process */
#define syscall(...) (kernel_calls++, syscall(__VA_ARGS__))

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#ifndef LONG_MS /* shorter where a test must fail */
#define LONG_MS 60000 /* longer than any working call takes */
#endif
#define HANG_S 300
#include "chance.h"
#include "harness.h"

#define LATE_MS 2000 /* how far a busy machine may exceed a time of the contract */

struct add {
    int64_t a, b;
};
IPC_CALL(adder, struct add, int64_t)

struct large {
    uint64_t word[40];
};
IPC_CALL(mirror, struct large, struct large)
IPC_CALL(shrink, struct large, char)
IPC_CALL(grow, char, struct large)

static struct ipc_shm shm;

static void make_adder(uint64_t callers)
{
    IS(ipc_shm_create(&shm, name, 1 << 20), 0);
    IS(adder_create(&shm, "adder", callers), 0);
}

static struct add add(int64_t a, int64_t b)
{
    struct add x = {0, 0};

    x.a = a;
    x.b = b;
    return x;
}

/* Answers all requests. Returns how many. */
static int answer_all(struct adder_server *s)
{
    union adder_slot *slot;
    int n = 0;

    for (; (slot = adder_take(s)) != NULL; n++) {
        slot->reply = slot->request.a + slot->request.b;
        IS(adder_answer(s, slot), 0);
    }
    return n;
}

/* ------------------------------------------------------------------ in one process */

static void *room(size_t size)
{
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    MUST(mem != MAP_FAILED);
    return mem;
}

static void impossible_places_are_refused(void **state)
{
    size_t size = 1 << 16;
    unsigned char *mem = (unsigned char *)room(size);
    struct ipc_peer me = {7, NULL, NULL, NULL, NULL, "", NULL, NULL};
    struct ipc_call_client c;
    struct ipc_call_server s;
    void *message;

    (void)state;
    IS(ipc_call_footprint(0, 8, 4), 0);
    IS(ipc_call_footprint(8, 0, 4), 0);
    IS(ipc_call_footprint(8, 8, 0), 0);
    IS(ipc_call_footprint(8, SIZE_MAX, 4), 0);
    IS(ipc_call_footprint(SIZE_MAX - 4, 8, 4), 0);
    IS(ipc_call_footprint(8, 8, UINT64_MAX), 0);
    IS(ipc_call_footprint(8, 8, UINT64_C(1) << 63), 0);
    IS(ipc_call_footprint(56, 8, 3), sizeof(struct ipc_call_shared) + 8 * 192);
    IS(ipc_call_footprint(8, 57, 4), sizeof(struct ipc_call_shared) + 8 * 256);
    IS(ipc_call_init(mem + 8, size - 8, 8, 8, 4), -EINVAL);
    IS(ipc_call_init(mem, size, 8, 8, 0), -EINVAL);
    IS(ipc_call_init(mem, 1000, 8, 8, 4), -ENOSPC);
    IS(ipc_call_client_attach(&c, mem, size, 8, 8, NULL), -EAGAIN);
    IS(ipc_call_init(mem, size, 8, 16, 4), 0);
    IS(ipc_call_client_attach(&c, mem, size, 8, 8, &me), -EPROTO);
    MUST(strstr(me.why, "16 there, 8 here") != NULL);
    IS(ipc_call_server_attach(&s, mem, size, 16, 16, &me), -EPROTO);
    IS(ipc_call_client_attach(&c, mem, 1024, 8, 16, &me), -EINVAL);
    IS(ipc_call_client_attach(&c, mem, 2400, 8, 16, &me), -EPROTO);
    IS(ipc_call_claim(&c, &message), -EPROTO); /* no crash */
    MUST(message == NULL);
    IS(ipc_call_ask(&c, &size, 8), -EPROTO);
    IS(ipc_call_commit(&c), -EPROTO);
    IS(ipc_call_poll(&c), -EPROTO);
    IS(ipc_call_collect(&c, mem, 16), -EPROTO);
    MUST(ipc_call_peek(&c) == NULL);
    ipc_call_cancel(&c);
    ipc_call_client_detach(&c);
    IS(ipc_call_client_error(&c), -EINVAL);
    IS(ipc_call_ask(&c, &size, 8), -EINVAL);
    MUST(ipc_call_take(&s) == NULL);
    IS(ipc_call_answer(&s, mem), -EINVAL);
    IS(ipc_call_server_peer(&s, mem), 0);
    IS(ipc_call_server_error(&s), -EPROTO);
    ipc_call_server_detach(&s);
    ipc_call_server_detach(&s);
    IS(ipc_call_server_error(&s), -EINVAL);
    (void)munmap(mem, size);
}

static void calls_out_of_turn_are_refused(void **state)
{
    size_t size = adder_footprint(1);
    void *mem = room(size), *message;
    struct ipc_call_client c, second, other;
    struct ipc_call_server s;
    struct add x = add(3, 5);
    int64_t sum = 0;

    (void)state;
    IS(adder_init(mem, size, 1), 0);
    IS(ipc_call_client_attach(&c, mem, size, 16, 8, NULL), 0);
    IS(ipc_call_client_attach(&second, mem, size, 16, 8, NULL), 0); /* in the slot to spare */
    IS(ipc_call_client_attach(&other, mem, size, 16, 8, NULL), -EUSERS);
    IS(ipc_call_server_attach(&s, mem, size, 16, 8, NULL), 0);
    IS(ipc_call_commit(&c), -EINVAL);
    IS(ipc_call_poll(&c), -EINVAL);
    IS(ipc_call_ask(&c, &x, 8), -EMSGSIZE);
    MUST(ipc_call_peek(&c) == NULL);
    IS(ipc_call_claim(&c, &message), 0);
    ipc_call_cancel(&c);
    IS(ipc_call_commit(&c), -EINVAL);
    IS(ipc_call_ask(&c, &x, 16), 0);
    IS(ipc_call_ask(&c, &x, 16), -EBUSY);
    IS(ipc_call_poll(&c), -EAGAIN);
    IS(ipc_call_collect(&c, &x, 16), -EMSGSIZE);
    IS(ipc_call_answer(&s, message), -EINVAL); /* not taken */
    MUST(ipc_call_take(&s) == message);
    MUST(ipc_call_take(&s) == NULL);
    MUST(ipc_call_server_peer(&s, message) == ~UINT64_C(0)); /* the caller has no ipc_peer */
    IS(ipc_call_answer(&s, (char *)message + 1), -EINVAL);
    IS(ipc_call_answer(&s, (char *)message + 192), -EINVAL); /* that slot has no request */
    IS(ipc_call_answer(&s, (char *)message + 2 * 192), -EINVAL);
    IS(ipc_call_answer(&s, (char *)message - 192), -EINVAL);
    IS(ipc_call_poll(&c), -EAGAIN);
    *(int64_t *)message = 8;
    IS(ipc_call_answer(&s, message), 0);
    IS(ipc_call_answer(&s, message), -EINVAL);
    IS(ipc_call_collect(&c, &sum, 8), 0);
    IS(sum, 8);
    IS(ipc_call_collect(&c, &sum, 8), 0);
    IS(ipc_call_poll(&c), 0);
    MUST(ipc_call_peek(&c) == message);
    IS(ipc_call_claim(&c, &message), 0);
    MUST(ipc_call_peek(&c) == NULL);
    ipc_call_client_detach(&c);
    ipc_call_client_detach(&c);
    IS(ipc_call_client_attach(&c, mem, size, 16, 8, NULL), 0);
    (void)munmap(mem, size);
}

/* Whatever calls are given up, in any state: the reply that comes is that to the last request.
 * Numbers of calls begin near their end. */
static void late_reply_is_never_that_of_the_next_call(void **state)
{
    size_t size = adder_footprint(8);
    unsigned char *mem = (unsigned char *)room(size);
    union adder_slot *held[2][8];
    struct adder_client c[3];
    struct adder_server s[2];
    int64_t wanted[3] = {0, 0, 0}, sum = 0, late = 0, given = 0, right = 0;
    unsigned n[2] = {0, 0}, round, i;

    (void)state;
    IS(adder_init(mem, size, 8), 0);
    for (i = 0; i < 8; i++)
        *(uint64_t *)(void *)(mem + sizeof(struct ipc_call_shared) + i * 192 + 184) =
            IPC_CALL_NUMBERS_ - 5 * IPC_CALL_NUMBER_;
    for (i = 0; i < 3; i++)
        IS(adder_client_attach(&c[i], mem, size, NULL), 0);
    for (i = 0; i < 2; i++)
        IS(adder_server_attach(&s[i], mem, size, NULL), 0);
    for (round = 0; round < 300000; round++) {
        unsigned k = (unsigned)chance(3), j = (unsigned)chance(2);
        struct add x = add((int64_t)round, (int64_t)chance(1000));
        int rc;

        switch (chance(6)) {
        case 0:
            rc = adder_ask(&c[k], &x);
            MUST(rc == (wanted[k] != 0 ? -EBUSY : 0) || (rc == -EAGAIN && wanted[k] == 0));
            wanted[k] = rc == 0 ? x.a + x.b + 1 : wanted[k];
            break;
        case 1:
        case 2:
            rc = adder_collect(&c[k], &sum);
            MUST(wanted[k] != 0 ? rc == 0 || rc == -EAGAIN : rc == 0 || rc == -EINVAL);
            if (rc == 0 && wanted[k] != 0) {
                IS(sum, wanted[k]);
                wanted[k] = 0;
                right++;
            }
            break;
        case 3:
            given += wanted[k] != 0;
            adder_cancel(&c[k]);
            wanted[k] = 0;
            break;
        case 4:
            if (n[j] < 3 && (held[j][n[j]] = adder_take(&s[j])) != NULL)
                n[j]++;
            break;
        default:
            if (n[j] > 0) {
                union adder_slot *slot = held[j][i = (unsigned)chance(n[j])];

                held[j][i] = held[j][--n[j]];
                slot->reply = slot->request.a + slot->request.b + 1;
                rc = adder_answer(&s[j], slot);
                MUST(rc == 0 || rc == -ECANCELED);
                late += rc != 0;
            }
        }
        IS(adder_client_error(&c[k]), 0);
    }
    MUST(right > 1000 && given > 1000 && late > 1000);
    (void)munmap(mem, size);
}

/* Requests and replies larger than a line, and of different sizes. */
static void requests_and_replies_have_any_size(void **state)
{
    size_t size = mirror_footprint(1);
    void *mem = room(size);
    struct mirror_client mc;
    struct mirror_server ms;
    struct shrink_client sc;
    struct shrink_server ss;
    struct grow_client gc;
    struct grow_server gs;
    union mirror_slot *m;
    union shrink_slot *k;
    union grow_slot *g;
    struct large x, y;
    char byte = 9;
    unsigned i;

    (void)state;
    for (i = 0; i < 40; i++)
        x.word[i] = i * UINT64_C(0x9e3779b97f4a7c15);
    IS(mirror_init(mem, size, 1), 0);
    IS(mirror_client_attach(&mc, mem, size, NULL), 0);
    IS(mirror_server_attach(&ms, mem, size, NULL), 0);
    IS(mirror_ask(&mc, &x), 0);
    m = mirror_take(&ms);
    MUST(m != NULL && memcmp(&m->request, &x, sizeof x) == 0);
    IS(mirror_answer(&ms, m), 0);
    IS(mirror_collect(&mc, &y), 0);
    MUST(memcmp(&x, &y, sizeof x) == 0);
    IS(shrink_client_attach(&sc, mem, size, NULL), -EPROTO);
    IS(shrink_init(mem, size, 1), 0);
    IS(shrink_client_attach(&sc, mem, size, NULL), 0);
    IS(shrink_server_attach(&ss, mem, size, NULL), 0);
    IS(shrink_ask(&sc, &x), 0);
    k = shrink_take(&ss);
    MUST(k != NULL && memcmp(&k->request, &x, sizeof x) == 0);
    k->reply = 7;
    IS(shrink_answer(&ss, k), 0);
    IS(shrink_collect(&sc, &byte), 0);
    IS(byte, 7);
    IS(grow_init(mem, size, 1), 0);
    IS(grow_client_attach(&gc, mem, size, NULL), 0);
    IS(grow_server_attach(&gs, mem, size, NULL), 0);
    IS(grow_ask(&gc, &byte), 0);
    g = grow_take(&gs);
    MUST(g != NULL && g->request == 7);
    g->reply = x;
    IS(grow_answer(&gs, g), 0);
    IS(grow_poll(&gc), 0);
    MUST(memcmp(grow_peek(&gc), &x, sizeof x) == 0);
    (void)munmap(mem, size);
}

static void seats_and_slots_are_limited(void **state)
{
    size_t size = adder_footprint(3);
    void *mem = room(size);
    struct ipc_call_client c[9];
    struct ipc_call_server s[IPC_CALL_SERVERS + 1];
    unsigned i;

    (void)state;
    IS(adder_init(mem, size, 3), 0);
    for (i = 0; i < 9; i++) /* 3 are rounded up to 4, with two slots each */
        IS(ipc_call_client_attach(&c[i], mem, size, 16, 8, NULL), i < 8 ? 0 : -EUSERS);
    ipc_call_client_detach(&c[2]);
    IS(ipc_call_client_attach(&c[8], mem, size, 16, 8, NULL), 0);
    for (i = 0; i <= IPC_CALL_SERVERS; i++)
        IS(ipc_call_server_attach(&s[i], mem, size, 16, 8, NULL),
           i < IPC_CALL_SERVERS ? 0 : -EUSERS);
    ipc_call_server_detach(&s[9]);
    IS(ipc_call_server_attach(&s[i - 1], mem, size, 16, 8, NULL), 0);
    (void)munmap(mem, size);
}

/* While a process looks for a seat, or a slot, the holder of one that it has passed detaches. */
struct leaver {
    struct ipc_call_server s;
    struct ipc_call_client c;
    unsigned asked, at;
};

static int leaves_when_asked(void *arg, uint64_t id)
{
    struct leaver *l = (struct leaver *)arg;

    (void)id;
    if (++l->asked == l->at) {
        ipc_call_server_detach(&l->s);
        ipc_call_client_detach(&l->c);
    }
    return 1;
}

static void what_becomes_free_behind_us_is_found(void **state)
{
    size_t size = adder_footprint(2);
    void *mem = room(size);
    struct leaver l;
    struct ipc_peer other = {7, leaves_when_asked, NULL, NULL, &l, "", NULL, NULL};
    struct ipc_peer me = {9, leaves_when_asked, NULL, NULL, &l, "", NULL, NULL};
    struct ipc_call_server s[IPC_CALL_SERVERS];
    struct ipc_call_client c[4];
    unsigned i, call, others;

    (void)state;
    for (call = 0; call < 2; call++) /* a server, a client */
        for (others = call ? 3 : IPC_CALL_SERVERS - 1, l.at = 1; l.at <= 3 * others; l.at++) {
            IS(adder_init(mem, size, 2), 0);
            IS(ipc_call_server_attach(&l.s, mem, size, 16, 8, NULL), 0);
            IS(ipc_call_client_attach(&l.c, mem, size, 16, 8, NULL), 0);
            for (i = 0; call == 0 && i < others; i++)
                IS(ipc_call_server_attach(&s[i], mem, size, 16, 8, &other), 0);
            for (i = 0; call == 1 && i < others; i++)
                IS(ipc_call_client_attach(&c[i], mem, size, 16, 8, &other), 0);
            l.asked = 0;
            IS(call ? ipc_call_client_attach(&c[3], mem, size, 16, 8, &me)
                    : ipc_call_server_attach(&s[others], mem, size, 16, 8, &me),
               l.at <= 2 * others ? 0 : -EUSERS);
        }
    (void)munmap(mem, size);
}

/* A place for 16 callers serves 16, also when a stopped server keeps a call of each. */
static void stopped_server_takes_no_callers_place(void **state)
{
    enum { MANY = 16 };
    size_t size = adder_footprint(MANY);
    void *mem = room(size);
    struct adder_client c[MANY];
    struct adder_server stopped, s;
    struct add x = add(1, 1);
    int64_t sum = 0;
    unsigned i;

    (void)state;
    IS(adder_init(mem, size, MANY), 0);
    IS(adder_server_attach(&stopped, mem, size, NULL), 0);
    for (i = 0; i < MANY; i++) {
        IS(adder_client_attach(&c[i], mem, size, NULL), 0);
        IS(adder_ask(&c[i], &x), 0);
        MUST(adder_take(&stopped) != NULL);
    }
    for (i = 0; i < MANY; i++)
        adder_cancel(&c[i]);
    IS(adder_server_attach(&s, mem, size, NULL), 0);
    for (i = 0; i < MANY; i++) {
        x.a = i;
        IS(adder_ask(&c[i], &x), 0);
    }
    IS(answer_all(&s), MANY);
    for (i = 0; i < MANY; i++) {
        IS(adder_collect(&c[i], &sum), 0);
        IS(sum, i + 1);
    }
    (void)munmap(mem, size);
}

/* A server asks once what the kernel can do, and not for the bell of each slot. */
static void attaching_costs_no_system_call_for_each_slot(void **state)
{
    static const uint64_t callers[2] = {1, 4096};
    unsigned calls[2], i;

    (void)state;
    for (i = 0; i < 2; i++) {
        size_t size = adder_footprint(callers[i]);
        void *mem = room(size);
        struct adder_server s;

        IS(adder_init(mem, size, callers[i]), 0);
        kernel_calls = 0;
        IS(adder_server_attach(&s, mem, size, NULL), 0);
        calls[i] = kernel_calls;
        adder_server_detach(&s);
        (void)munmap(mem, size);
    }
    IS(calls[1], calls[0]);
    MUST(calls[0] > 0);
}

/* No caller is served twice before all others were served. */
static void servers_take_callers_in_turn(void **state)
{
    size_t size = adder_footprint(4);
    void *mem = room(size);
    struct adder_client c[4];
    struct adder_server s;
    union adder_slot *slot;
    struct add x = add(1, 1);
    unsigned i, k, served[4] = {0, 0, 0, 0};

    (void)state;
    IS(adder_init(mem, size, 4), 0);
    for (i = 0; i < 4; i++)
        IS(adder_client_attach(&c[i], mem, size, NULL), 0);
    IS(adder_server_attach(&s, mem, size, NULL), 0);
    for (i = 0; i < 400; i++) {
        for (k = 0; k < 4; k++)
            if (adder_poll(&c[k]) != -EAGAIN)
                IS(adder_ask(&c[k], &x), 0);
        slot = adder_take(&s);
        MUST(slot != NULL);
        served[((uintptr_t)slot - (uintptr_t)mem - sizeof(struct ipc_call_shared)) / 192]++;
        IS(adder_answer(&s, slot), 0);
    }
    for (k = 0; k < 4; k++)
        IS(served[k], 100);
    (void)munmap(mem, size);
}

static int ask_dead(void *arg, uint64_t id)
{
    return id > 63 || (*(const uint64_t *)arg >> id & 1) == 0;
}

/* How processes that poll learn of deaths; an ipc_peer here says which processes are dead. */
static void those_who_poll_are_told(void **state)
{
    size_t size = adder_footprint(1); /* two slots */
    void *mem = room(size);
    uint64_t dead = 0;
    struct ipc_peer p[6];
    struct adder_client c, d, e;
    struct adder_server s, t;
    union adder_slot *slot;
    struct add x = add(1, 2);
    int64_t sum = 0;
    int rc, i;

    (void)state;
    for (i = 0; i < 6; i++) {
        memset(&p[i], 0, sizeof p[i]);
        p[i].id = (uint64_t)i + 2;
        p[i].alive = ask_dead;
        p[i].arg = &dead;
    }
#define SOON(call) /* within the looks after which the kernel is asked */                          \
    do                                                                                             \
        for (i = 0; (rc = call) == -EAGAIN && i < 2 * (int)IPC_CALL_ASK_AFTER_; i++)               \
            ;                                                                                      \
    while (0)
    IS(adder_init(mem, size, 1), 0);
    IS(adder_client_attach(&c, mem, size, &p[0]), 0);
    IS(adder_ask(&c, &x), 0);
    SOON(adder_collect(&c, &sum));
    IS(rc, -EAGAIN); /* the caller waits for the first server */
    IS(adder_server_attach(&s, mem, size, &p[1]), 0);
    IS(adder_server_attach(&t, mem, size, &p[2]), 0);
    IS(answer_all(&t), 1);
    IS(adder_collect(&c, &sum), 0);

    /* A server leaves with the call; then none had taken it; then it waits for the next server. */
    IS(adder_ask(&c, &x), 0);
    MUST(adder_take(&s) != NULL);
    adder_server_detach(&s);
    IS(adder_collect(&c, &sum), -EPIPE);
    IS(adder_collect(&c, &sum), -EINVAL);
    IS(adder_ask(&c, &x), 0);
    adder_server_detach(&t);
    IS(adder_collect(&c, &sum), -EPIPE);
    IS(adder_server_attach(&s, mem, size, &p[3]), 0);
    IS(answer_all(&s), 0); /* the call was taken back */
    adder_server_detach(&s);
    IS(adder_ask(&c, &x), 0);
    IS(adder_collect(&c, &sum), -EPIPE); /* that server has left */
    IS(adder_ask(&c, &x), 0);
    SOON(adder_collect(&c, &sum));
    IS(rc, -EAGAIN);
    IS(adder_server_attach(&s, mem, size, &p[3]), 0);
    IS(answer_all(&s), 1);
    IS(adder_collect(&c, &sum), 0);

    /* The same with death. */
    IS(adder_server_attach(&t, mem, size, &p[4]), 0);
    IS(adder_ask(&c, &x), 0);
    slot = adder_take(&s);
    MUST(slot != NULL);
    SOON(adder_collect(&c, &sum));
    IS(rc, -EAGAIN);
    dead |= 1u << 5;
    SOON(adder_collect(&c, &sum));
    IS(rc, -EOWNERDEAD);
    IS(adder_ask(&c, &x), 0);
    SOON(adder_collect(&c, &sum));
    IS(rc, -EAGAIN); /* one server is alive */
    dead |= 1u << 6;
    SOON(adder_collect(&c, &sum));
    IS(rc, -EOWNERDEAD);
    IS(adder_ask(&c, &x), 0);
    SOON(adder_collect(&c, &sum));
    IS(rc, -EAGAIN);
    adder_cancel(&c);

    /* A successor in the dead server's seat is at once known to be another. */
    IS(adder_server_attach(&s, mem, size, &p[1]), 0);
    IS(adder_ask(&c, &x), 0);
    MUST(adder_take(&s) != NULL);
    dead |= 1u << 3;
    IS(adder_server_attach(&t, mem, size, &p[5]), 0);
    dead &= ~(UINT64_C(1) << 3);
    SOON(adder_collect(&c, &sum));
    IS(rc, -EOWNERDEAD);

    /* A caller gave up, and its server is stuck or dead: it gets another slot, or none, or the same
     * one. */
    IS(adder_ask(&c, &x), 0);
    slot = adder_take(&t);
    MUST(slot != NULL);
    adder_cancel(&c);
    IS(adder_server_peer(&t, slot), 2);
    IS(adder_ask(&c, &x), 0);
    IS(adder_server_peer(&t, slot), 0);
    MUST(adder_take(&t) != NULL);
    adder_cancel(&c);
    SOON(adder_ask(&c, &x));
    IS(rc, -EAGAIN);
    IS(adder_client_attach(&d, mem, size, &p[1]), -EUSERS);
    IS(adder_answer(&t, slot), -ECANCELED);
    IS(adder_ask(&c, &x), 0);
    adder_cancel(&c);
    dead |= 1u << 7;
    IS(adder_client_attach(&d, mem, size, &p[1]), 0);
    IS(adder_client_attach(&e, mem, size, &p[2]), -EUSERS);
    dead |= 1u << 3; /* d */
    IS(adder_client_attach(&e, mem, size, &p[2]), 0);
    (void)munmap(mem, size);
}

/* Whatever is written to the memory, calls return: with a message, nothing, or an error. */
static void scribbling_hangs_and_crashes_nobody(void **state)
{
    unsigned round, i;

    (void)state;
    for (round = 0; round < 400; round++) {
        uint64_t callers = 1 + chance(6);
        size_t size = adder_footprint(callers);
        uint64_t *mem = (uint64_t *)room(size);
        struct ipc_peer me = {5, ask_dead, NULL, NULL, NULL, "", NULL, NULL};
        uint64_t dead = chance(2) ? UINT64_MAX : 0;
        struct adder_client c;
        struct adder_server s;
        union adder_slot *slot = NULL;
        struct add x = add(1, 2);
        int64_t sum = 0;

        me.arg = &dead;
        IS(adder_init(mem, size, callers), 0);
        IS(adder_client_attach(&c, mem, size, &me), 0);
        IS(adder_server_attach(&s, mem, size, &me), 0);
        for (i = 0; i < 300; i++) {
            size_t at = 8 + chance(size / 8 - 8);
            uint64_t word = mem[at];

            if (chance(3) == 0)
                at = (sizeof(struct ipc_call_shared) + chance(callers) * 192 + 184) / 8;
            mem[at] = chance(2)   ? word + chance(16) - 8
                      : chance(2) ? word ^ (UINT64_C(1) << chance(64))
                                  : (uint64_t)chance(UINT64_MAX);
            switch (chance(7)) {
            case 0:
                (void)adder_ask(&c, &x);
                break;
            case 1:
                (void)adder_collect(&c, &sum);
                break;
            case 2:
                adder_cancel(&c);
                break;
            case 3:
                slot = adder_take(&s);
                MUST(slot == NULL || ((unsigned char *)slot >= (unsigned char *)mem &&
                                      (unsigned char *)(slot + 1) <= (unsigned char *)mem + size));
                break;
            case 4:
                if (slot != NULL)
                    (void)adder_answer(&s, slot);
                break;
            case 5:
                c.raw.vain = 0;
                adder_client_detach(&c);
                (void)adder_client_attach(&c, mem, size, &me);
                break;
            default:
                adder_server_detach(&s);
                (void)adder_server_attach(&s, mem, size, &me);
            }
            (void)adder_call(&c, &x, &sum, IPC_NOW);
            (void)adder_serve(&s, &slot, IPC_NOW);
        }
        (void)munmap(mem, size);
    }
}

/* An impossible word is reported as corrupt, and the error sticks. */
static void impossible_words_are_corrupt(void **state)
{
    size_t size = adder_footprint(1);
    unsigned char *mem = (unsigned char *)room(size);
    uint64_t *word = (uint64_t *)(void *)(mem + sizeof(struct ipc_call_shared) + 184);
    struct adder_client c;
    struct add x = add(1, 2);
    int64_t sum = 0;
    unsigned i;

    (void)state;
    for (i = 0; i < 9; i++) {
        IS(adder_init(mem, size, 1), 0);
        IS(adder_client_attach(&c, mem, size, NULL), 0);
        IS(adder_ask(&c, &x), 0);
        IS(adder_collect(&c, &sum), -EAGAIN);
        *word = i == 0  ? *word - IPC_CALL_ASKED_ + IPC_CALL_IDLE_
                : i < 4 ? *word - IPC_CALL_ASKED_ + IPC_CALL_GIVEN_ + i - 1
                : i < 8 ? *word + IPC_CALL_NUMBER_ + i - 4
                        : *word + IPC_CALL_NAME_;
        IS(adder_collect(&c, &sum), -EBADMSG);
        IS(adder_ask(&c, &x), -EBADMSG);
        IS(adder_client_error(&c), -EBADMSG);
        adder_client_detach(&c);
    }
    (void)munmap(mem, size);
}

/* ------------------------------------------------------------------ puppets */

enum order { CALL, ASK, WAIT, COLLECT, SERVE, ANSWER, SERVE_ALL, DETACH };

/* A puppet is a caller, a server, or both. It answers orders with a sum or a negative errno. */
static void puppet(struct child *up, void *arg)
{
    int serves = arg != NULL;
    struct adder_client c;
    struct adder_server s;
    union adder_slot *slot = NULL;
    struct ipc_shm seg;
    struct add x;

    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    if (serves) {
        IS(adder_server_open(&s, &seg, "adder"), 0);
        ipc_notify_policy(adder_server_bell(&s), 0, 0);
    } else {
        IS(adder_client_open(&c, &seg, "adder"), 0);
        ipc_notify_policy(adder_client_bell(&c), 0, 0);
    }
    tell(up, 0);
    for (;;) {
        uint64_t word = hear(up);
        int64_t sum = 0;
        int rc = 0;

        x = add((int64_t)(word / 16), 1);
        switch ((enum order)(word % 16)) {
        case CALL:
            rc = adder_call(&c, &x, &sum, ipc_in_ms(LONG_MS));
            break;
        case ASK:
            rc = adder_ask(&c, &x);
            break;
        case WAIT:
            rc = adder_client_wait(&c, ipc_in_ms(LONG_MS));
            break;
        case COLLECT:
            rc = adder_collect(&c, &sum);
            break;
        case SERVE:
            rc = adder_serve(&s, &slot, ipc_in_ms(LONG_MS));
            sum = rc == 0 ? slot->request.a : 0;
            break;
        case ANSWER:
            slot->reply = sum = slot->request.a + slot->request.b;
            rc = adder_answer(&s, slot);
            break;
        case SERVE_ALL:
            tell(up, 0);
            while (adder_serve(&s, &slot, IPC_FOREVER) == 0) {
                slot->reply = slot->request.a + slot->request.b;
                (void)adder_answer(&s, slot);
            }
            break;
        case DETACH:
            if (serves)
                adder_server_detach(&s);
            else
                adder_client_detach(&c);
            break;
        }
        tell(up, (uint64_t)(rc != 0 ? rc : sum));
    }
}

static struct child new_puppet(int serves)
{
    struct child c = spawn(puppet, serves ? &shm : NULL);

    IS(hear(&c), 0);
    return c;
}

static void order(const struct child *c, enum order what, uint64_t n)
{
    tell(c, n * 16 + what);
}

static int64_t has_done(const struct child *c, enum order what, uint64_t n)
{
    order(c, what, n);
    return (int64_t)hear(c);
}

static struct ipc_call_shared *shared_part(void)
{
    struct ipc_shm_object o;

    IS(ipc_shm_find(&shm, "adder", IPC_CALL_TYPE, &o), 0);
    return (struct ipc_call_shared *)o.mem;
}

/* The word of a bell: that of the caller in slot i, or one of these. */
enum { SERVERS_BELL = -1, SLOT_BELL = -2 };

static uint32_t bell(int i)
{
    struct ipc_call_shared *r = shared_part();
    unsigned char *slots = (unsigned char *)(r + 1);

    return ck_pr_load_32((const uint32_t *)(void *)(i == SERVERS_BELL ? r->server_bell
                                                    : i == SLOT_BELL  ? r->slot_bell
                                                                      : slots + i * 192 + 64));
}

/* How often sleepers on the bell were woken. A sleeper also looks by itself once a second. */
static uint32_t wakes(int which)
{
    return bell(which) / IPC_NOTIFY_COUNT_;
}

/* Gives a puppet an order and waits until it sleeps on that bell; deeply: until it waits for
 * events, too. */
static void goes_to_sleep(const struct child *c, enum order what, uint64_t n, int which, int deeply)
{
    order(c, what, n);
    EVENTUALLY((bell(which) & (deeply ? IPC_NOTIFY_DOZING_ : IPC_NOTIFY_ASLEEP_)) != 0 &&
               rests(c->pid));
}

/* Interrupts a puppet by a signal that it handles; one that comes between two sleeps is lost. */
static void is_interrupted(const struct child *c)
{
    struct pollfd p = {c->from, POLLIN, 0};

    do
        signal_child(c, SIGUSR1);
    while (poll(&p, 1, 1) == 0);
    IS((int64_t)hear(c), -EINTR);
}

static void hears_soon(const struct child *c, int64_t what, int64_t since)
{
    IS((int64_t)hear(c), what);
    MUST(ipc_clock() - since < LATE_MS * INT64_C(1000000));
}

static void end_of_round(void)
{
    (void)clean_up(NULL);
    ipc_shm_close(&shm);
    (void)next_name(NULL);
}

/* ------------------------------------------------------------------ calls that sleep */

static void calls_that_nobody_serves_time_out(void **state)
{
    struct adder_client c, other;
    struct adder_server s;
    union adder_slot *slot;
    struct add x = add(3, 5);
    int64_t sum = 0, deadline;

    (void)state;
    make_adder(1);
    IS(adder_create(&shm, "adder", 1), 0);       /* it exists */
    IS(adder_create(&shm, "adder", 7), -EPROTO); /* but not for so many */
    IS(adder_client_open(&c, &shm, "adder"), 0);
    IS(adder_call(&c, &x, &sum, IPC_NOW), -ETIMEDOUT);
    deadline = ipc_in_ms(30);
    IS(adder_call(&c, &x, &sum, deadline), -ETIMEDOUT);
    IS(ipc_left_(deadline), 0);
    IS(adder_client_wait(&c, IPC_FOREVER), -EINVAL); /* the call was given up */
    IS(adder_server_open(&s, &shm, "adder"), 0);
    IS(adder_serve(&s, &slot, IPC_NOW), -ETIMEDOUT); /* ... and is not served */
    deadline = ipc_in_ms(30);
    IS(adder_serve(&s, &slot, deadline), -ETIMEDOUT);
    IS(ipc_left_(deadline), 0);
    IS(adder_ask(&c, &x), 0);
    IS(adder_call(&c, &x, &sum, IPC_NOW), -EBUSY);
    IS(adder_client_wait(&c, ipc_in_ms(10)), -ETIMEDOUT);
    IS(answer_all(&s), 1);
    IS(adder_client_wait(&c, IPC_FOREVER), 0);
    IS(*adder_peek(&c), 8);
    /* The server holds its slot, and there is no other. */
    IS(adder_client_open(&other, &shm, "adder"), 0);
    IS(adder_ask(&c, &x), 0);
    IS(adder_serve(&s, &slot, IPC_NOW), 0);
    IS(adder_client_wait(&c, ipc_in_ms(10)), -ETIMEDOUT);
    adder_cancel(&c);
    deadline = ipc_in_ms(30);
    IS(adder_call(&c, &x, &sum, deadline), -ETIMEDOUT);
    IS(ipc_left_(deadline), 0);
    IS(adder_ask(&c, &x), -EAGAIN);
    IS(adder_answer(&s, slot), -ECANCELED);
    IS(adder_call(&c, &x, &sum, IPC_NOW), -ETIMEDOUT);
    adder_client_detach(&c);
    adder_server_detach(&s);
    IS(adder_call(&c, &x, &sum, IPC_FOREVER), -EINVAL);
    IS(adder_client_wait(&c, IPC_FOREVER), -EINVAL);
    IS(adder_serve(&s, &slot, IPC_FOREVER), -EINVAL);
    IS(adder_server_open(&s, &shm, "other"), -ENOENT);
    IS(adder_serve(&s, &slot, IPC_FOREVER), -ENOENT);
    ipc_shm_close(&shm);
}

enum { CALLERS = 3, SERVERS = 2 };

struct crowd {
    unsigned calls, spin;
};

static void calls_all(struct child *up, void *arg)
{
    const struct crowd *how = (const struct crowd *)arg;
    struct adder_client c;
    struct ipc_shm seg;
    int64_t sum = 0;
    unsigned i;

    (void)up;
    seed += (uint64_t)getpid();
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(adder_client_open(&c, &seg, "adder"), 0);
    ipc_notify_policy(adder_client_bell(&c), how->spin, 0);
    for (i = 0; i < FLOOD(how->calls); i++) {
        struct add x = add((int64_t)chance(1u << 30), (int64_t)chance(1u << 30));

        IS(adder_call(&c, &x, &sum, i % 2 ? IPC_FOREVER : ipc_in_ms(LONG_MS)), 0);
        IS(sum, x.a + x.b);
    }
    adder_client_detach(&c);
    ipc_shm_close(&seg);
}

/* -1, -1 ends it. */
static void serves_until_told(struct child *up, void *arg)
{
    const struct crowd *how = (const struct crowd *)arg;
    struct adder_server s;
    union adder_slot *slot;
    struct ipc_shm seg;

    (void)up;
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(adder_server_open(&s, &seg, "adder"), 0);
    ipc_notify_policy(adder_server_bell(&s), how->spin, 0);
    for (;;) {
        struct add x;

        IS(adder_serve(&s, &slot, IPC_FOREVER), 0);
        x = slot->request;
        slot->reply = x.a + x.b;
        IS(adder_answer(&s, slot), 0);
        if (x.a == -1 && x.b == -1)
            break;
    }
    adder_server_detach(&s);
    ipc_shm_close(&seg);
}

static void every_call_is_answered_with_its_own_sum(void **state)
{
    static struct crowd cases[] = {{3000, 0}, {10000, 50}, {20000, 1000}};
    struct add end = add(-1, -1);
    unsigned i, k;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct child c[CALLERS], s[SERVERS];
        struct adder_client last;
        int64_t sum = 0;

        make_adder(CALLERS + 1);
        IS(adder_client_open(&last, &shm, "adder"), 0);
        for (k = 0; k < CALLERS; k++)
            c[k] = spawn(calls_all, &cases[i]);
        for (k = 0; k < SERVERS; k++)
            s[k] = spawn(serves_until_told, &cases[i]);
        for (k = 0; k < CALLERS; k++)
            finish(&c[k]);
        for (k = 0; k < SERVERS; k++)
            IS(adder_call(&last, &end, &sum, ipc_in_ms(LONG_MS)), 0);
        for (k = 0; k < SERVERS; k++)
            finish(&s[k]);
        end_of_round();
    }
}

static void death_of_a_server_is_told_to_who_sleeps(void **state)
{
    int deeply, taken;
    int64_t then;

    (void)state;
    for (deeply = 0; deeply < 2; deeply++)
        for (taken = 0; taken < 2; taken++) {
            struct child c, s, next;

            make_adder(2);
            s = new_puppet(1);
            c = new_puppet(0);
            goes_to_sleep(&c, CALL, 3, 0, deeply);
            if (taken)
                IS(has_done(&s, SERVE, 0), 3);
            then = ipc_clock();
            kill_child(&s);
            hears_soon(&c, -EOWNERDEAD, then);
            next = new_puppet(1);
            IS(has_done(&next, SERVE_ALL, 0), 0);
            IS(has_done(&c, CALL, 4), 5);
            end_of_round();
        }
}

static void leaving_of_a_server_is_told_to_who_sleeps(void **state)
{
    int deeply, taken;

    (void)state;
    for (deeply = 0; deeply < 2; deeply++)
        for (taken = 0; taken < 2; taken++) {
            struct child c, s;
            uint32_t before;

            make_adder(2);
            s = new_puppet(1);
            c = new_puppet(0);
            goes_to_sleep(&c, CALL, 3, 0, deeply);
            if (taken)
                IS(has_done(&s, SERVE, 0), 3);
            before = wakes(0);
            IS(has_done(&s, DETACH, 0), 0);
            MUST(wakes(0) != before);
            IS((int64_t)hear(&c), -EPIPE);
            end_of_round();
        }
}

/* One of two servers goes on, and the death of the other is not reported to other calls. */
static void death_of_one_of_two_servers_costs_what_it_had(void **state)
{
    struct child a, b, c, d;

    (void)state;
    make_adder(4);
    a = new_puppet(1);
    b = new_puppet(1);
    c = new_puppet(0);
    d = new_puppet(0);
    IS(has_done(&c, ASK, 10), 0);
    IS(has_done(&a, SERVE, 0), 10);
    goes_to_sleep(&d, CALL, 20, 1, 1);
    kill_child(&a);
    IS(has_done(&b, SERVE, 0), 20);
    IS(has_done(&b, ANSWER, 0), 21);
    IS(hear(&d), 21);
    IS(has_done(&c, WAIT, 0), -EOWNERDEAD);
    IS(has_done(&c, ASK, 30), 0);
    IS(has_done(&b, SERVE, 0), 30);
    IS(has_done(&b, ANSWER, 0), 31);
    IS(has_done(&c, COLLECT, 0), 31);
    ipc_shm_close(&shm);
}

/* A stopped server costs the call that it took, and its late reply reaches nobody. */
static void stopped_server_costs_the_call_that_it_has(void **state)
{
    struct adder_client c;
    struct add x = add(1, 1);
    struct child a, b;
    int64_t sum = 0, k;

    (void)state;
    make_adder(2);
    a = new_puppet(1);
    IS(adder_client_open(&c, &shm, "adder"), 0);
    IS(adder_ask(&c, &x), 0);
    IS(has_done(&a, SERVE, 0), 1);
    stop_child(&a);
    IS(adder_client_wait(&c, ipc_in_ms(20)), -ETIMEDOUT);
    adder_cancel(&c);
    b = new_puppet(1);
    IS(has_done(&b, SERVE_ALL, 0), 0);
    for (k = 0; k < 100; k++) {
        x = add(k, 1000);
        IS(adder_call(&c, &x, &sum, ipc_in_ms(LONG_MS)), 0);
        IS(sum, k + 1000);
        if (k == 50) {
            signal_child(&a, SIGCONT);
            IS(has_done(&a, ANSWER, 0), -ECANCELED);
        }
    }
    ipc_shm_close(&shm);
}

/* What makes a slot free for a caller that waits for one. */
enum slot_giver {
    SERVER_ANSWERS, /* what the caller gave up */
    SERVER_LEAVES,
    SERVER_DIES,
    CALLER_LEAVES,
    CALLER_DIES,
    CALLER_HAD_LEFT, /* and the server answers its call */
    MISSED_CANCEL,   /* the same, of a server that does not see that the call was given up */
    SLOT_GIVERS
};

static uint64_t *word_of_slot(unsigned i)
{
    return (uint64_t *)(void *)((unsigned char *)(shared_part() + 1) + i * 192 + 184);
}

/* c sleeps: both slots are taken, its own by the server. Makes one free. */
static void gives_a_slot(enum slot_giver how, const struct child *c, const struct child *s,
                         const struct child *other)
{
    uint32_t before = wakes(SLOT_BELL);

    switch (how) {
    case SERVER_ANSWERS:
        IS(has_done(s, ANSWER, 0), -ECANCELED);
        break;
    case SERVER_LEAVES:
        IS(has_done(s, DETACH, 0), 0);
        break;
    case SERVER_DIES:
        kill_child(s);
        return; /* no process is there that could wake c */
    case CALLER_LEAVES:
        IS(has_done(other, DETACH, 0), 0);
        break;
    case CALLER_DIES:
        kill_child(other);
        return;
    default:
        IS(has_done(other, ASK, 7), 0);
        IS(has_done(s, SERVE, 0), 7);
        IS(has_done(other, DETACH, 0), 0);
        MUST(wakes(SLOT_BELL) != before); /* in vain */
        EVENTUALLY((bell(SLOT_BELL) & IPC_NOTIFY_ASLEEP_) != 0 && rests(c->pid));
        before = wakes(SLOT_BELL);
        if (how == MISSED_CANCEL)
            *word_of_slot(1) -= IPC_CALL_GIVEN_ - IPC_CALL_TAKEN_;
        IS(has_done(s, ANSWER, 0), how == MISSED_CANCEL ? 8 : -ECANCELED);
    }
    MUST(wakes(SLOT_BELL) != before);
}

static void slot_that_becomes_free_wakes_who_waits_for_one(void **state)
{
    int deeply, how;

    (void)state;
    for (deeply = 0; deeply < 2; deeply++)
        for (how = 0; how < SLOT_GIVERS; how++) {
            struct child c, s, other, next;
            int64_t then;

            make_adder(1);
            s = new_puppet(1);
            c = new_puppet(0);
            other = new_puppet(0);
            goes_to_sleep(&c, CALL, 1, 0, 0);
            IS(has_done(&s, SERVE, 0), 1);
            is_interrupted(&c);
            next = new_puppet(1);
            goes_to_sleep(&c, CALL, 5, SLOT_BELL, deeply);
            then = ipc_clock();
            gives_a_slot((enum slot_giver)how, &c, &s, &other);
            order(&next, SERVE_ALL, 0);
            hears_soon(&c, 6, then);
            end_of_round();
        }
}

/* A caller that moves to another slot leaves one, which its server may just have given back. */
static void moving_to_another_slot_wakes_who_waits_for_one(void **state)
{
    struct ipc_call_client quiet; /* wakes nobody */
    struct ipc_shm_object o;
    struct child c, s, other;
    uint32_t before;

    (void)state;
    make_adder(2);
    IS(ipc_shm_find(&shm, "adder", IPC_CALL_TYPE, &o), 0);
    s = new_puppet(1);
    c = new_puppet(0);
    other = new_puppet(0);
    IS(ipc_call_client_attach(&quiet, o.mem, o.size, 16, 8, NULL), 0);
    (void)new_puppet(0);
    goes_to_sleep(&c, CALL, 1, 0, 0);
    IS(has_done(&s, SERVE, 0), 1);
    is_interrupted(&c);
    goes_to_sleep(&other, CALL, 2, 1, 0);
    IS(has_done(&s, SERVE, 0), 2);
    is_interrupted(&other);
    goes_to_sleep(&c, CALL, 3, SLOT_BELL, 1);
    before = wakes(SLOT_BELL);
    ipc_call_client_detach(&quiet);
    IS(has_done(&other, ASK, 4), 0);
    MUST(wakes(SLOT_BELL) != before);
    ipc_shm_close(&shm);
}

static void reply_wakes_its_caller_and_no_other(void **state)
{
    struct child a, b, s;
    uint32_t word, before;

    (void)state;
    make_adder(2);
    s = new_puppet(1);
    a = new_puppet(0);
    b = new_puppet(0);
    goes_to_sleep(&a, CALL, 1, 0, 0);
    IS(has_done(&s, SERVE, 0), 1);
    goes_to_sleep(&b, CALL, 2, 1, 1);
    word = bell(1);
    before = wakes(0);
    IS(has_done(&s, ANSWER, 0), 2);
    MUST(wakes(0) != before);
    IS(hear(&a), 2);
    IS(bell(1), word);
    IS(has_done(&s, SERVE, 0), 2);
    IS(has_done(&s, ANSWER, 0), 3);
    IS(hear(&b), 3);
    /* A request wakes a server. */
    goes_to_sleep(&s, SERVE, 0, SERVERS_BELL, 0);
    order(&a, CALL, 7);
    IS(hear(&s), 7);
    IS(has_done(&s, ANSWER, 0), 8);
    IS(hear(&a), 8);
    ipc_shm_close(&shm);
}

/* The next caller gets a dead caller's slot, and the dead one's request does no harm. */
static void dead_callers_hold_nobody_up(void **state)
{
    struct child s;
    int taken, i;

    (void)state;
    for (taken = 0; taken < 2; taken++) {
        make_adder(2);
        s = new_puppet(1);
        for (i = 0; i < 6; i++) {
            struct child c = new_puppet(0);

            IS(has_done(&c, ASK, 9), 0);
            if (taken)
                IS(has_done(&s, SERVE, 0), 9);
            kill_child(&c);
            if (taken)
                IS(has_done(&s, ANSWER, 0), 10);
        }
        IS(has_done(&s, SERVE_ALL, 0), 0);
        for (i = 0; i < 2; i++) {
            struct child c = new_puppet(0);

            IS(has_done(&c, CALL, 4), 5);
        }
        end_of_round();
    }
}

/* ------------------------------------------------------------------ kills at random */

static void calls_without_end(struct child *up, void *arg)
{
    struct adder_client c;
    struct ipc_shm seg;
    uint64_t *through = (uint64_t *)arg;
    int64_t sum = 0;

    (void)up;
    seed += (uint64_t)getpid();
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    IS(adder_client_open(&c, &seg, "adder"), 0);
    ipc_notify_policy(adder_client_bell(&c), (unsigned)chance(100), 0);
    for (;;) {
        struct add x = add((int64_t)chance(1u << 30), (int64_t)chance(1u << 30));
        int patient = chance(16) != 0;
        int rc = adder_call(&c, &x, &sum, patient ? ipc_in_ms(LONG_MS) : ipc_clock() + 20000);

        MUST(rc == 0 || rc == -EOWNERDEAD || rc == -EPIPE || (!patient && rc == -ETIMEDOUT));
        MUST(rc != 0 || sum == x.a + x.b);
        if (rc == 0)
            (void)ck_pr_faa_64(through, 1);
    }
}

static void serves_and_leaves(struct child *up, void *arg)
{
    struct adder_server s;
    union adder_slot *slot;
    struct ipc_shm seg;

    (void)up, (void)arg;
    seed += (uint64_t)getpid();
    IS(ipc_shm_open(&seg, name, ipc_in_ms(LONG_MS)), 0);
    for (;;) {
        uint64_t n = chance(5000);

        IS(adder_server_open(&s, &seg, "adder"), 0);
        ipc_notify_policy(adder_server_bell(&s), (unsigned)chance(100), 0);
        while (n-- > 0) {
            struct add x;
            int rc;

            IS(adder_serve(&s, &slot, IPC_FOREVER), 0);
            x = slot->request;
            slot->reply = x.a + x.b;
            if (n == 0 && chance(2)) /* leaves with the call */
                break;
            rc = adder_answer(&s, slot);
            MUST(rc == 0 || rc == -ECANCELED);
        }
        adder_server_detach(&s);
    }
}

static void whoever_is_killed_at_random_the_others_go_on(void **state)
{
    const char *seconds = getenv("IPC_SOAK_SECONDS");
    int64_t until = ipc_in_ms(seconds != NULL ? 1000 * atoi(seconds) : 1000);
    uint64_t *through = (uint64_t *)room(4096), before = 0;
    struct child all[CALLERS + SERVERS];
    struct timespec nap = {0, 0};
    unsigned kills = 0, i;

    (void)state;
    make_adder(CALLERS + SERVERS);
    for (i = 0; i < CALLERS + SERVERS; i++)
        all[i] = i < CALLERS ? spawn(calls_without_end, through) : spawn(serves_and_leaves, NULL);
    while (ipc_left_(until) > 0) {
        i = (unsigned)chance(CALLERS + SERVERS);
        nap.tv_nsec = (long)chance(5000000);
        (void)nanosleep(&nap, NULL);
        kill_child(&all[i]);
        all[i] = i < CALLERS ? spawn(calls_without_end, through) : spawn(serves_and_leaves, NULL);
        if (++kills % 64 == 0) {
            before = ck_pr_load_64(through);
            EVENTUALLY(ck_pr_load_64(through) > before);
        }
    }
    before = ck_pr_load_64(through);
    EVENTUALLY(ck_pr_load_64(through) > before + 100);
    print_message("note: %u kills, %llu calls\n", kills, (unsigned long long)*through);
    ipc_shm_close(&shm);
}

/* ------------------------------------------------------------------ main */

static void on_signal(int number)
{
    (void)number;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(impossible_places_are_refused),
        TEST(calls_out_of_turn_are_refused),
        TEST(late_reply_is_never_that_of_the_next_call),
        TEST(requests_and_replies_have_any_size),
        TEST(seats_and_slots_are_limited),
        TEST(what_becomes_free_behind_us_is_found),
        TEST(stopped_server_takes_no_callers_place),
        TEST(attaching_costs_no_system_call_for_each_slot),
        TEST(servers_take_callers_in_turn),
        TEST(those_who_poll_are_told),
        TEST(scribbling_hangs_and_crashes_nobody),
        TEST(impossible_words_are_corrupt),
        TEST(calls_that_nobody_serves_time_out),
        TEST(every_call_is_answered_with_its_own_sum),
        TEST(death_of_a_server_is_told_to_who_sleeps),
        TEST(leaving_of_a_server_is_told_to_who_sleeps),
        TEST(death_of_one_of_two_servers_costs_what_it_had),
        TEST(stopped_server_costs_the_call_that_it_has),
        TEST(slot_that_becomes_free_wakes_who_waits_for_one),
        TEST(moving_to_another_slot_wakes_who_waits_for_one),
        TEST(reply_wakes_its_caller_and_no_other),
        TEST(dead_callers_hold_nobody_up),
        TEST(whoever_is_killed_at_random_the_others_go_on),
    };
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    (void)sigaction(SIGUSR1, &action, NULL);
    set_up(argc, argv);
    return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
