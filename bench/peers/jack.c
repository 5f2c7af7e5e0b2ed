/* JACK's ring buffer, which is made for threads. Here its struct and its bytes are in shared
 * memory. Its pointers are valid in both processes, which have inherited the memory at the same
 * address. */
#include "../kit/records.h"
#include "spsc.h"
#include <jack/ringbuffer.h>

/* bytes: a power of two. */
static int init_of(void *at, size_t bytes)
{
    jack_ringbuffer_t *made = jack_ringbuffer_create(bytes), *shared = (jack_ringbuffer_t *)at;

    if (made == NULL)
        return -ENOMEM;
    memcpy(shared, made, sizeof *shared);
    shared->buf = (char *)at + 4096;
    jack_ringbuffer_free(made);
    return 0;
}

static int prepare_of(struct bench_run *r, size_t bytes)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "ring", 1, 4096 + bytes, &o);

    rc = rc != 0 ? rc : init_of(o.mem, bytes);
    return rc != 0 ? rc : ipc_shm_publish(&r->seg, &o);
}

static int prepare(struct bench_run *r)
{
    return prepare_of(r, BLOCKS * SAMPLES * sizeof(float));
}

static int prepare_records(struct bench_run *r)
{
    return prepare_of(r, RECORDS_BYTES);
}

static jack_ringbuffer_t *ring_of(struct bench_run *r)
{
    struct ipc_shm_object o;

    bench_check(ipc_shm_find(&r->seg, "ring", 1, &o) == 0, "find");
    return (jack_ringbuffer_t *)o.mem;
}

/* Waits for room or data for a whole block, as its read and write would otherwise move a part. */
static void serve(struct bench_run *r)
{
    jack_ringbuffer_t *k = ring_of(r);

    BENCH_STREAM_SERVE(1024, while (jack_ringbuffer_write_space(k) < sizeof m) ck_pr_stall();
                       (void)jack_ringbuffer_write(k, (const char *)&m, sizeof m));
}

static uint64_t measure(struct bench_run *r)
{
    jack_ringbuffer_t *k = ring_of(r);

    BENCH_STREAM_MEASURE(1024, while (jack_ringbuffer_read_space(k) < sizeof m) ck_pr_stall();
                         (void)jack_ringbuffer_read(k, (char *)&m, sizeof m));
}

/* Records: a length and so many bytes. JACK's users send them by two writes and receive them by two
 * reads. This is faster: both are copied in the ring's own memory, which is in two pieces where it
 * wraps, and then one call advances. */

typedef jack_ringbuffer_data_t pieces[2];

static inline void write_at(const pieces to, size_t at, const void *from, size_t bytes)
{
    size_t room = to[0].len > at ? to[0].len - at : 0, first = bytes < room ? bytes : room;

    memcpy(to[0].buf + at, from, first);
    if (first < bytes)
        memcpy(to[1].buf + (at + first - to[0].len), (const char *)from + first, bytes - first);
}

static inline void read_at(const pieces from, size_t at, void *to, size_t bytes)
{
    size_t room = from[0].len > at ? from[0].len - at : 0, first = bytes < room ? bytes : room;

    memcpy(to, from[0].buf + at, first);
    if (first < bytes)
        memcpy((char *)to + first, from[1].buf + (at + first - from[0].len), bytes - first);
}

static inline int send_record(jack_ringbuffer_t *k, const void *m, uint64_t bytes)
{
    pieces to;

    jack_ringbuffer_get_write_vector(k, to);
    if (to[0].len + to[1].len < sizeof bytes + bytes)
        return 0;
    write_at(to, 0, &bytes, sizeof bytes);
    write_at(to, sizeof bytes, m, bytes);
    jack_ringbuffer_write_advance(k, sizeof bytes + bytes);
    return 1;
}

/* Returns the record's length, or 0 if there is none. */
static inline uint64_t recv_record(jack_ringbuffer_t *k, void *m, size_t size)
{
    uint64_t bytes;
    pieces from;

    jack_ringbuffer_get_read_vector(k, from);
    if (from[0].len + from[1].len < sizeof bytes)
        return 0;
    read_at(from, 0, &bytes, sizeof bytes);
    bench_check(bytes <= size && sizeof bytes + bytes <= from[0].len + from[1].len, "length");
    read_at(from, sizeof bytes, m, bytes);
    jack_ringbuffer_read_advance(k, sizeof bytes + bytes);
    return bytes;
}

#define RECORDS_CASES(B)                                                                           \
    static void records_serve##B(struct bench_run *r)                                              \
    {                                                                                              \
        jack_ringbuffer_t *k = ring_of(r);                                                         \
        BENCH_STREAM_SERVE(B, while (!send_record(k, &m, sizeof m)) ck_pr_stall());                \
    }                                                                                              \
    static uint64_t records_measure##B(struct bench_run *r)                                        \
    {                                                                                              \
        jack_ringbuffer_t *k = ring_of(r);                                                         \
        uint64_t got;                                                                              \
        BENCH_STREAM_MEASURE(B, {                                                                  \
            while ((got = recv_record(k, &m, sizeof m)) == 0)                                      \
                ck_pr_stall();                                                                     \
            bench_check(got == sizeof m, "length");                                                \
        });                                                                                        \
    }

RECORDS_SIZES(RECORDS_CASES)

/* Messages of one length, like blocks. */

/* Bytes of a ring: a power of two for each of BENCH_SIZES. */
#define ONE_BYTES(B) (SPSC_CAPACITY * ((size_t)(B) + 8))

static int one_init(struct bench_run *r, void *at)
{
    return init_of(at, ONE_BYTES(r->of->bytes));
}

static int one_prepare(struct bench_run *r)
{
    return spsc_prepare(r, 4096 + ONE_BYTES(r->of->bytes), one_init);
}

#define ONE(B)                                                                                     \
    BENCH_MESSAGE(B)                                                                               \
                                                                                                   \
    static inline int one_send##B(void *queue, const struct message##B *m)                         \
    {                                                                                              \
        jack_ringbuffer_t *k = (jack_ringbuffer_t *)queue;                                         \
        return jack_ringbuffer_write_space(k) >= B &&                                              \
               jack_ringbuffer_write(k, (const char *)m, B) == B;                                  \
    }                                                                                              \
    static inline int one_recv##B(void *queue, struct message##B *m)                               \
    {                                                                                              \
        jack_ringbuffer_t *k = (jack_ringbuffer_t *)queue;                                         \
        return jack_ringbuffer_read_space(k) >= B && jack_ringbuffer_read(k, (char *)m, B) == B;   \
    }                                                                                              \
    SPSC_CASES(one, spsc_queue, B)

BENCH_SIZES(ONE)

#define ONE_ROWS(B) SPSC_ROWS("jack_ring", one, B, one_prepare, 0),
#define RECORDS(B)                                                                                 \
    RECORDS_ROW("jack_records", prepare_records, records_serve##B, records_measure##B, B),

BENCH_GROUP(jack) = {BLOCKS_ROW("jack_ring", prepare, serve, measure),
                     BENCH_SIZES(ONE_ROWS) RECORDS_SIZES(RECORDS){.system = NULL}};
