/*
 * locks - a producer and a consumer share a buffer: guarded by a process-shared mutex, by
 * semaphores, and without locks. Prints the rates. Each side waits when there is nothing to do.
 *
 *     locks [MESSAGES]
 */
#define _GNU_SOURCE
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>
#include <pthread.h>
#include <sys/wait.h>

enum { SLOTS = 1024 };

IPC_SPSC(numbers, uint64_t)

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty, not_full;
    sem_t filled, empty;
    uint64_t head, tail, slot[SLOTS];
};

static struct ipc_shm seg;
static struct shared *s;

/* ------------------------------------------------------------------ three ways */

static void mutex_put(uint64_t n)
{
    (void)pthread_mutex_lock(&s->mutex);
    while (s->tail - s->head == SLOTS)
        (void)pthread_cond_wait(&s->not_full, &s->mutex);
    s->slot[s->tail++ % SLOTS] = n;
    (void)pthread_cond_signal(&s->not_empty);
    (void)pthread_mutex_unlock(&s->mutex);
}

static uint64_t mutex_get(void)
{
    uint64_t n;

    (void)pthread_mutex_lock(&s->mutex);
    while (s->tail == s->head)
        (void)pthread_cond_wait(&s->not_empty, &s->mutex);
    n = s->slot[s->head++ % SLOTS];
    (void)pthread_cond_signal(&s->not_full);
    (void)pthread_mutex_unlock(&s->mutex);
    return n;
}

/* One producer and one consumer: each has its own end, and the semaphores order the rest. */
static void sem_put(uint64_t n)
{
    while (sem_wait(&s->empty) != 0)
        ;
    s->slot[s->tail++ % SLOTS] = n;
    (void)sem_post(&s->filled);
}

static uint64_t sem_get(void)
{
    uint64_t n;

    while (sem_wait(&s->filled) != 0)
        ;
    n = s->slot[s->head++ % SLOTS];
    (void)sem_post(&s->empty);
    return n;
}

static struct numbers_producer out;
static struct numbers_consumer in;

static void ring_put(uint64_t n)
{
    if (numbers_send(&out, &n, IPC_FOREVER) != 0)
        errx(1, "the consumer is gone");
}

static uint64_t ring_get(void)
{
    uint64_t n = 0;

    if (numbers_recv(&in, &n, IPC_FOREVER) != 0)
        errx(1, "the producer is gone");
    return n;
}

/* ------------------------------------------------------------------ the same work for each */

static void measure(const char *what, void (*put)(uint64_t), uint64_t (*get)(void), uint64_t count)
{
    int64_t began = 0;
    uint64_t i;
    int status;

    switch (fork()) {
    case -1:
        err(1, "fork");
    case 0:
        if (put == ring_put && numbers_producer_create(&out, &seg, "numbers", SLOTS) != 0)
            errx(1, "%s", ipc_shm_why(&seg));
        for (i = 1; i <= count; i++)
            put(i);
        if (put == ring_put)
            numbers_producer_detach(&out);
        _exit(0);
    }
    if (put == ring_put) {
        seg.deadline = ipc_in_ms(5000); /* the child makes it */
        if (numbers_consumer_open(&in, &seg, "numbers") != 0)
            errx(1, "%s", ipc_shm_why(&seg));
    }
    for (i = 1; i <= count; i++) {
        if (get() != i)
            errx(1, "%s: a number is lost", what);
        began = i == 1 ? ipc_clock() : began; /* the child is there */
    }
    printf("%-10s %8.2f M messages/s\n", what, (double)count * 1e3 / (double)(ipc_clock() - began));
    if (wait(&status) < 0 || status != 0)
        errx(1, "%s: the producer failed", what);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    pthread_mutexattr_t shared_mutex;
    pthread_condattr_t shared_cond;
    struct ipc_shm_object o;

    if (ipc_shm_create(&seg, NULL, 1 << 20) != 0 ||
        ipc_shm_make(&seg, "locks", 0, sizeof *s, &o) != 0 || ipc_shm_publish(&seg, &o) != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    s = (struct shared *)o.mem;
    (void)pthread_mutexattr_init(&shared_mutex);
    (void)pthread_mutexattr_setpshared(&shared_mutex, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutex_init(&s->mutex, &shared_mutex);
    (void)pthread_condattr_init(&shared_cond);
    (void)pthread_condattr_setpshared(&shared_cond, PTHREAD_PROCESS_SHARED);
    (void)pthread_cond_init(&s->not_empty, &shared_cond);
    (void)pthread_cond_init(&s->not_full, &shared_cond);
    (void)sem_init(&s->filled, 1, 0);
    (void)sem_init(&s->empty, 1, SLOTS);
    measure("mutex", mutex_put, mutex_get, count);
    s->head = s->tail = 0;
    measure("semaphore", sem_put, sem_get, count);
    measure("ring", ring_put, ring_get, count);
    ipc_shm_close(&seg);
    return 0;
}
