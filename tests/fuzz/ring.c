/*
 * Rings of every kind, with memory that somebody scribbles over between any two calls: nothing
 * outside it is read or written, and every call returns. Processes named there may be alive or
 * dead. See `make fuzz`.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_ring.h"

#include "fuzz.h"

enum { SPSC, MPMC, CAST, RECORDS, RECORD_CAST, STREAM, CALL, KINDS };
enum { BYTES = 24, SOME = 20, REPLY = 8 };

static void *mem; /* ends where the ring does */
static size_t size;
static unsigned how; /* as given to init */
static unsigned char x[4096];

static int odd_are_alive(void *arg, uint64_t id)
{
    (void)arg;
    return (int)(id % 2);
}

static struct ipc_peer me = {7, odd_are_alive, NULL, NULL, NULL, "", NULL, NULL};

static void room(size_t n)
{
    size = n;
    MUST(n != 0 && posix_memalign(&mem, 64, n) == 0);
    memset(mem, 0, n);
}

static void read_all(const void *from, size_t n)
{
    MUST(n <= sizeof x);
    memcpy(x, from, n);
}

/* Rings with messages of one size. */
#define FIXED(kind, ...)                                                                           \
    static void kind(void)                                                                         \
    {                                                                                              \
        struct ipc_##kind##_producer p;                                                            \
        struct ipc_##kind##_consumer c;                                                            \
        const void *from;                                                                          \
        void *to;                                                                                  \
                                                                                                   \
        (void)ipc_##kind##_producer_attach(&p, mem, size, __VA_ARGS__);                                    \
        (void)ipc_##kind##_consumer_attach(&c, mem, size, __VA_ARGS__);                                    \
        while (left > 0)                                                                           \
            switch (byte() % 10) {                                                                 \
            case 0:                                                                                \
                (void)ipc_##kind##_push(&p, x, BYTES);                                             \
                break;                                                                             \
            case 1:                                                                                \
                (void)ipc_##kind##_push_n(&p, x, BYTES, byte() % SOME);                            \
                break;                                                                             \
            case 2:                                                                                \
                to = ipc_##kind##_claim(&p);                                                       \
                if (to != NULL)                                                                    \
                    memset(to, 1, BYTES);                                                          \
                if (byte() % 2)                                                                    \
                    (void)ipc_##kind##_commit(&p);                                                 \
                else                                                                               \
                    ipc_##kind##_cancel(&p);                                                       \
                break;                                                                             \
            case 3:                                                                                \
                (void)ipc_##kind##_pop(&c, x, BYTES);                                              \
                break;                                                                             \
            case 4:                                                                                \
                (void)ipc_##kind##_pop_n(&c, x, BYTES, byte() % SOME);                             \
                break;                                                                             \
            case 5:                                                                                \
                from = ipc_##kind##_peek(&c);                                                      \
                if (from != NULL)                                                                  \
                    read_all(from, BYTES);                                                         \
                if (byte() % 2)                                                                    \
                    (void)ipc_##kind##_release(&c);                                                \
                break;                                                                             \
            case 6:                                                                                \
                ipc_##kind##_producer_detach(&p);                                                  \
                (void)ipc_##kind##_producer_attach(&p, mem, size, __VA_ARGS__);                            \
                break;                                                                             \
            case 7:                                                                                \
                ipc_##kind##_consumer_detach(&c);                                                  \
                (void)ipc_##kind##_consumer_attach(&c, mem, size, __VA_ARGS__);                            \
                break;                                                                             \
            default:                                                                               \
                scribble(mem, size);                                                               \
            }                                                                                      \
        ipc_##kind##_producer_detach(&p);                                                          \
        ipc_##kind##_consumer_detach(&c);                                                          \
    }
FIXED(spsc, BYTES, &me)
FIXED(mpmc, BYTES, &me, how)
FIXED(broadcast, BYTES, &me)

/* Rings with messages of any size. */
#define SIZED(kind)                                                                                \
    static void kind(void)                                                                         \
    {                                                                                              \
        struct ipc_##kind##_producer p;                                                            \
        struct ipc_##kind##_consumer c;                                                            \
        const void *from;                                                                          \
        size_t n;                                                                                  \
        void *to;                                                                                  \
                                                                                                   \
        (void)ipc_##kind##_producer_attach(&p, mem, size, &me);                                            \
        (void)ipc_##kind##_consumer_attach(&c, mem, size, &me);                                            \
        while (left > 0)                                                                           \
            switch (byte() % 8) {                                                                  \
            case 0:                                                                                \
                (void)ipc_##kind##_push(&p, x, byte());                                            \
                break;                                                                             \
            case 1:                                                                                \
                n = byte();                                                                        \
                to = ipc_##kind##_claim(&p, n);                                                    \
                if (to != NULL)                                                                    \
                    memset(to, 1, n);                                                              \
                if (byte() % 4)                                                                    \
                    (void)ipc_##kind##_commit(&p, byte());                                         \
                else                                                                               \
                    ipc_##kind##_cancel(&p);                                                       \
                break;                                                                             \
            case 2:                                                                                \
                n = byte();                                                                        \
                MUST(ipc_##kind##_pop(&c, x, n) <= (int64_t)n);                                    \
                break;                                                                             \
            case 3:                                                                                \
                from = ipc_##kind##_peek(&c, &n);                                                  \
                if (from != NULL)                                                                  \
                    read_all(from, n);                                                             \
                if (byte() % 2)                                                                    \
                    (void)ipc_##kind##_release(&c);                                                \
                break;                                                                             \
            case 4:                                                                                \
                ipc_##kind##_producer_detach(&p);                                                  \
                (void)ipc_##kind##_producer_attach(&p, mem, size, &me);                                    \
                break;                                                                             \
            case 5:                                                                                \
                ipc_##kind##_consumer_detach(&c);                                                  \
                (void)ipc_##kind##_consumer_attach(&c, mem, size, &me);                                    \
                break;                                                                             \
            default:                                                                               \
                scribble(mem, size);                                                               \
            }                                                                                      \
        ipc_##kind##_producer_detach(&p);                                                          \
        ipc_##kind##_consumer_detach(&c);                                                          \
    }
SIZED(record)
SIZED(record_broadcast)

static void stream(void)
{
    struct ipc_stream_producer p;
    struct ipc_stream_consumer c;
    const void *from;
    size_t n;
    void *to;

    (void)ipc_stream_producer_attach(&p, mem, size, BYTES, &me);
    (void)ipc_stream_consumer_attach(&c, mem, size, BYTES, &me);
    while (left > 0) {
        unsigned what = byte() % 8;

        n = byte() % SOME;
        switch (what) {
        case 0:
            (void)ipc_stream_push_n(&p, x, BYTES, n);
            break;
        case 1:
            to = ipc_stream_claim(&p, n);
            if (to != NULL)
                memset(to, 1, n * BYTES);
            (void)ipc_stream_commit(&p, byte() % SOME);
            break;
        case 2:
            (void)ipc_stream_pop_n(&c, x, BYTES, n);
            break;
        case 3:
            from = ipc_stream_peek(&c, n);
            if (from != NULL)
                read_all(from, n * BYTES);
            (void)ipc_stream_release(&c, byte() % SOME);
            break;
        case 4:
            ipc_stream_producer_detach(&p);
            (void)ipc_stream_producer_attach(&p, mem, size, BYTES, &me);
            break;
        case 5:
            ipc_stream_consumer_detach(&c);
            (void)ipc_stream_consumer_attach(&c, mem, size, BYTES, &me);
            break;
        default:
            scribble(mem, size);
        }
    }
    ipc_stream_producer_detach(&p);
    ipc_stream_consumer_detach(&c);
}

static void call(void)
{
    struct ipc_call_client c;
    struct ipc_call_server s;
    void *slot = NULL;

    (void)ipc_call_client_attach(&c, mem, size, BYTES, REPLY, &me);
    (void)ipc_call_server_attach(&s, mem, size, BYTES, REPLY, &me);
    while (left > 0)
        switch (byte() % 9) {
        case 0:
            (void)ipc_call_ask(&c, x, BYTES);
            break;
        case 1:
            (void)ipc_call_collect(&c, x, REPLY);
            break;
        case 2:
            ipc_call_cancel(&c);
            break;
        case 3:
            slot = ipc_call_take(&s);
            if (slot != NULL)
                read_all(slot, BYTES);
            break;
        case 4:
            if (slot != NULL) {
                memset(slot, 1, REPLY);
                (void)ipc_call_answer(&s, slot);
            }
            slot = NULL;
            break;
        case 5:
            ipc_call_client_detach(&c);
            (void)ipc_call_client_attach(&c, mem, size, BYTES, REPLY, &me);
            break;
        case 6:
            ipc_call_server_detach(&s);
            (void)ipc_call_server_attach(&s, mem, size, BYTES, REPLY, &me);
            slot = NULL;
            break;
        default:
            scribble(mem, size);
        }
    ipc_call_client_detach(&c);
    ipc_call_server_detach(&s);
}

/* Looks at it as a monitor does. */
static void look(void)
{
    struct ipc_ring_status status;
    struct ipc_ring_hold holds[4];
    uint64_t from = 0, last;
    int rc;

    (void)ipc_ring_inspect(mem, size, &status);
    do {
        last = from;
        rc = ipc_ring_holders(mem, size, &from, holds, 4);
        MUST(rc < 0 || (rc <= 4 && from > last));
    } while (rc >= 0 && from != UINT64_MAX);
}

/* ------------------------------------------------------------------ main */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* With FUZZ_SEEDS=folder it only makes the seeds there. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const unsigned char some[] = {0, 9, 1, 5, 2, 3, 1, 3,  4,  9,
                                         5, 1, 0, 0, 3, 8, 0, 20, 130};
    const char *folder = getenv("FUZZ_SEEDS");
    unsigned char all[2 + sizeof some];
    unsigned i;

    (void)argc, (void)argv;
    for (i = 0; folder != NULL && i < KINDS; i++) {
        char what[10];

        all[0] = (unsigned char)i;
        all[1] = 3;
        memcpy(all + 2, some, sizeof some);
        (void)snprintf(what, sizeof what, "%u", i);
        seed(folder, what, all, sizeof all);
    }
    if (folder != NULL)
        exit(0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    unsigned kind;
    uint64_t capacity;

    input = data;
    left = length;
    kind = byte() % KINDS;
    how = byte();
    capacity = UINT64_C(1) << how % 8 / 2;
    how /= 8;
    switch (kind) {
    case SPSC:
        room(ipc_spsc_footprint(BYTES, capacity));
        MUST(ipc_spsc_init(mem, size, BYTES, capacity) == 0);
        spsc();
        break;
    case MPMC:
        room(ipc_mpmc_footprint(BYTES, capacity, 0));
        how %= 6;
        MUST(ipc_mpmc_init(mem, size, BYTES, capacity, how) == 0);
        mpmc();
        break;
    case CAST:
        room(ipc_broadcast_footprint(BYTES, capacity, 0));
        MUST(ipc_broadcast_init(mem, size, BYTES, capacity, how % 2) == 0);
        broadcast();
        break;
    case RECORDS:
        room(ipc_record_footprint(64 * capacity, how % 3 + 1));
        MUST(ipc_record_init(mem, size, 64 * capacity, how % 3 + 1) == 0);
        record();
        break;
    case RECORD_CAST:
        room(ipc_record_broadcast_footprint(64 * capacity, 0));
        MUST(ipc_record_broadcast_init(mem, size, 64 * capacity, how % 2) == 0);
        record_broadcast();
        break;
    case STREAM:
        room(ipc_stream_footprint(BYTES, capacity));
        MUST(ipc_stream_init(mem, size, BYTES, capacity) == 0);
        stream();
        break;
    default:
        room(ipc_call_footprint(BYTES, REPLY, capacity));
        MUST(ipc_call_init(mem, size, BYTES, REPLY, capacity) == 0);
        call();
    }
    look();
    free(mem);
    return 0;
}
