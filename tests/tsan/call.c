/*
 * Calls under ThreadSanitizer, with the ck_pr.h of this directory:
 *
 *     gcc -O1 -g -w -fsanitize=thread -Itests/tsan -I. tests/tsan/call.c -o call -lpthread
 *     TSAN_OPTIONS="halt_on_error=1 exitcode=66" ./call
 *
 * Three callers, two of which give up now and then, and two servers; first polling, then sleeping.
 * Ends with 0 if every reply answered its request. -w is for gcc, which warns that TSan does not
 * model fences.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

struct query {
    uint64_t word[5];
};
IPC_CALL(sums, struct query, uint64_t)

enum { EACH = 10000, CALLERS = 3, SERVERS = 2, SLOTS = 8 };

static struct {
    unsigned char call[sizeof(struct ipc_call_shared) + SLOTS * 192];
} memory __attribute__((aligned(64)));
static int sleeps;
static uint64_t through;

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "call: %s\n", what);
        exit(1);
    }
}

static void *ask(void *who)
{
    uint64_t i, k, sum = 0, looks;
    struct sums_client c;

    check(sums_client_attach(&c, &memory, sizeof memory, NULL) == 0, "client_attach");
    for (i = 0; i < EACH; i++) {
        uint64_t patience = who != NULL && i % 8 == 0 ? i / 8 % 64 : UINT64_MAX;
        struct query q;
        int rc;

        for (k = 0; k < 5; k++)
            q.word[k] = i * 16 + (uintptr_t)who + k;
        if (sleeps && patience == UINT64_MAX) {
            rc = sums_call(&c, &q, &sum, ipc_in_ms(60000));
        } else {
            while ((rc = sums_ask(&c, &q)) == -EAGAIN)
                (void)sched_yield();
            check(rc == 0, "ask");
            for (looks = 0; (rc = sums_collect(&c, &sum)) == -EAGAIN && looks < patience; looks++)
                (void)sched_yield();
            if (rc == -EAGAIN)
                sums_cancel(&c);
        }
        check(rc == 0 ? sum == 5 * q.word[0] + 10 : rc == -EAGAIN, "reply");
    }
    sums_client_detach(&c);
    (void)ck_pr_faa_64(&through, 1);
    return NULL;
}

static void *serve(void *who)
{
    struct sums_server s;
    union sums_slot *slot;
    uint64_t sum;
    int k, rc;

    (void)who;
    check(sums_server_attach(&s, &memory, sizeof memory, NULL) == 0, "server_attach");
    while (ck_pr_load_64(&through) < CALLERS) {
        slot = NULL;
        if (!sleeps)
            slot = sums_take(&s);
        else
            (void)sums_serve(&s, &slot, ipc_in_ms(10));
        if (slot == NULL) {
            (void)sched_yield();
            continue;
        }
        for (sum = 0, k = 0; k < 5; k++)
            sum += slot->request.word[k];
        slot->reply = sum;
        rc = sums_answer(&s, slot);
        check(rc == 0 || rc == -ECANCELED, "answer");
    }
    sums_server_detach(&s);
    return NULL;
}

int main(void)
{
    for (sleeps = 0; sleeps < 2; sleeps++) {
        pthread_t t[CALLERS + SERVERS];
        uintptr_t i;

        through = 0;
        check(sums_init(&memory, sizeof memory, SLOTS / IPC_CALL_SLOTS_EACH_) == 0, "init");
        for (i = 0; i < CALLERS + SERVERS; i++)
            check(pthread_create(&t[i], NULL, i < CALLERS ? ask : serve, (void *)i) == 0, "thread");
        for (i = 0; i < CALLERS + SERVERS; i++)
            check(pthread_join(t[i], NULL) == 0, "join");
    }
    return 0;
}
