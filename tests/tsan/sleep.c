/*
 * The calls of typed rings that sleep, under ThreadSanitizer, with the ck_pr.h of this directory:
 *
 *     gcc -O1 -g -w -fsanitize=thread -Itests/tsan -I. tests/tsan/sleep.c -o sleep -lpthread
 *     TSAN_OPTIONS="halt_on_error=1 exitcode=66" ./sleep [messages of one case]
 *
 * Ends with 0 if every message came once, in order and whole, no thread slept for ever, and TSan
 * saw no data race. TSan does not know futexes: to it a wake orders nothing. -w is for gcc, which
 * warns that TSan does not model fences.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include <pthread.h>
#include <stdlib.h>

struct m56 {
    uint64_t word[7];
};

IPC_SPSC(m56, struct m56)

struct test {
    void *mem;
    size_t size;
    uint64_t count;
    unsigned spin; /* looks before a sleep */
    int in_place;  /* both ends wait, and post after every second message */
};

static void check(int ok, const char *what, int rc)
{
    if (ok)
        return;
    fprintf(stderr, "sleep: %s: %d\n", what, rc);
    exit(1);
}

static int64_t deadline(void)
{
    return ipc_in_ms(60000);
}

static void fill(struct m56 *m, uint64_t i)
{
    size_t n;

    for (n = 0; n < 7; n++)
        m->word[n] = i * 16 + n;
}

static void verify(const struct m56 *m, uint64_t i)
{
    size_t n;

    for (n = 0; n < 7; n++)
        check(m->word[n] == i * 16 + n, "message", (int)i);
}

static void *send_all(void *arg)
{
    const struct test *t = arg;
    struct m56_producer p;
    struct m56 m, *at;
    uint64_t i;
    int rc;

    check((rc = m56_producer_attach(&p, t->mem, t->size, NULL)) == 0, "produce", rc);
    ipc_notify_policy(m56_producer_bell(&p), t->spin, 0);
    for (i = 0; i < t->count; i++) {
        if (!t->in_place) {
            fill(&m, i);
            check((rc = m56_send(&p, &m, deadline())) == 0, "send", rc);
            continue;
        }
        while ((at = m56_claim(&p)) == NULL) {
            check((rc = m56_producer_post(&p)) == 0, "producer_post", rc);
            check((rc = m56_producer_wait(&p, deadline())) == 0, "producer_wait", rc);
        }
        fill(at, i);
        check((rc = m56_commit(&p)) == 0, "commit", rc);
        if (i % 2 != 0 || i + 1 == t->count)
            check((rc = m56_producer_post(&p)) == 0, "producer_post", rc);
    }
    m56_producer_detach(&p);
    return NULL;
}

static void *receive_all(void *arg)
{
    const struct test *t = arg;
    struct m56_consumer c;
    const struct m56 *at;
    struct m56 m;
    uint64_t i;
    int rc;

    check((rc = m56_consumer_attach(&c, t->mem, t->size, NULL)) == 0, "consume", rc);
    ipc_notify_policy(m56_consumer_bell(&c), t->spin, 0);
    for (i = 0; i < t->count; i++) {
        if (!t->in_place) {
            check((rc = m56_recv(&c, &m, deadline())) == 0, "recv", rc);
            verify(&m, i);
            continue;
        }
        while ((at = m56_peek(&c)) == NULL) {
            check((rc = m56_consumer_post(&c)) == 0, "consumer_post", rc);
            check((rc = m56_consumer_wait(&c, deadline())) == 0, "consumer_wait", rc);
        }
        verify(at, i);
        check((rc = m56_release(&c)) == 0, "release", rc);
        if (i % 2 != 0)
            check((rc = m56_consumer_post(&c)) == 0, "consumer_post", rc);
    }
    m56_consumer_detach(&c);
    return NULL;
}

int main(int argc, char **argv)
{
    static const uint64_t capacity[] = {1, 2, 64};
    static const unsigned spin[] = {0, 30};
    struct test t;
    pthread_t thread[2];
    unsigned cases;

    t.count = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000;
    for (cases = 0; cases < 12; cases++) {
        t.in_place = cases % 2;
        t.spin = spin[cases / 2 % 2];
        t.size = m56_footprint(capacity[cases / 4]);
        check(posix_memalign(&t.mem, IPC_RING_LINE, t.size) == 0, "no memory", 0);
        check(m56_init(t.mem, t.size, capacity[cases / 4]) == 0, "init", 0);
        check(pthread_create(&thread[0], NULL, send_all, &t) == 0, "pthread_create", 0);
        check(pthread_create(&thread[1], NULL, receive_all, &t) == 0, "pthread_create", 0);
        check(pthread_join(thread[0], NULL) == 0, "pthread_join", 0);
        check(pthread_join(thread[1], NULL) == 0, "pthread_join", 0);
        free(t.mem);
    }
    printf("sleep: %u cases of %llu messages\n", cases, (unsigned long long)t.count);
    return 0;
}
