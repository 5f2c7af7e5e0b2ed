/*
 * The limit of a queue of messages: the barest slot, which is a message and a flag. One process
 * copies a message into a slot and sets the flag; the other waits for the flag and copies the
 * message out. Nobody looks whether the other side is there, and nothing is checked but the
 * message. Every sensible place for the slots and every way to copy is tried, and the best counts.
 */
#include "../kit/copies.h"
#include "../kit/latency.h"
#include "../kit/sizes.h"

#define SLOT_SIZES(F) F(8) F(56) F(64) F(120) F(256) F(1016) F(1024) F(4096) F(16384) F(65536)

SLOT_SIZES(BENCH_MESSAGE)
BENCH_MESSAGE(262144)
BENCH_MESSAGE(1048576)

/* A message, and behind it the flag, in whole lines. */
#define STRIDE(B) (((B) + 8 + 63) / 64 * 64)
#define LANE(B) (SIZES_SLOTS(B) * STRIDE(B)) /* bytes of the slots of one direction */

#define AHEAD(B) (SIZES_SLOTS(B) < 64 ? SIZES_SLOTS(B) / 2 : 16u) /* slots, see own */

struct slots {
    unsigned char *to, *fro; /* slots of process 1, and of process 0 */
    uint64_t *taken;         /* a stream: messages that process 0 has taken, told now and then */
};

static struct slots slots(struct bench_run *r)
{
    struct ipc_shm_object o;
    struct slots s;

    bench_check(ipc_shm_find(&r->seg, "slots", 1, &o) == 0, "find");
    s.taken = (uint64_t *)o.mem;
    s.to = (unsigned char *)o.mem + 4096;
    s.fro = s.to + LANE(r->of->bytes);
    return s;
}

static int prepare(struct bench_run *r)
{
    struct ipc_shm_object o;
    int rc = ipc_shm_make(&r->seg, "slots", 1, 4096 + 2 * LANE(r->of->bytes), &o);

    return rc != 0 ? rc : ipc_shm_publish(&r->seg, &o);
}

CK_CC_FORCE_INLINE static uint64_t *flag(unsigned char *slot, size_t bytes)
{
    return (uint64_t *)(void *)(slot + bytes);
}

/* By words, as a wider load has to wait until the words that were just written have left the store
 * buffer, and all stores before them. */
CK_CC_FORCE_INLINE static void copy_words(void *to, const void *from, size_t bytes)
{
    size_t i;

    for (i = 0; i < bytes / 8; i++) {
        uint64_t word = ((const uint64_t *)from)[i];

        __asm__("" : "+r"(word));
        ((uint64_t *)to)[i] = word;
    }
}

/* Asks for the lines of a message that is written now: a store that waits for its line holds up all
 * those behind it. */
CK_CC_FORCE_INLINE static void own_all(unsigned char *slot, size_t bytes)
{
    size_t i;

    for (i = 0; i < bytes; i += 64)
        ck_pr_rfo(slot + i);
}

/* A long message is copied in parts of 4 KiB, so that its lines are still on their way. */
CK_CC_FORCE_INLINE static void copy_owned(unsigned char *slot, const unsigned char *m, size_t bytes)
{
    size_t i, part = bytes < 4096 ? bytes : 4096;

    for (i = 0; i < bytes; i += part) {
        own_all(slot + i, part);
        copy_block(PLAIN, slot + i, m + i, part);
    }
}

CK_CC_FORCE_INLINE static void put(enum way way, unsigned char *slot, const void *m, size_t bytes,
                                   uint64_t number)
{
    if (way == PLAIN && bytes < 1024)
        copy_words(slot, m, bytes);
    else if (way == PLAIN)
        copy_owned(slot, (const unsigned char *)m, bytes);
    else
        copy_block(way, slot, m, bytes);
    if (way == PAST_CACHES)
        ck_pr_fence_strict_store(); /* which orders these, too */
    else
        ck_pr_fence_store();
    ck_pr_store_64(flag(slot, bytes), number);
}

/* Asks for the lines of a slot that will be written soon. */
CK_CC_FORCE_INLINE static void own(unsigned char *slot, size_t bytes)
{
    size_t i;

    for (i = 0; i < (bytes < 1024 ? STRIDE(bytes) : 1024); i += 64)
        ck_pr_rfo(slot + i);
}

/* pauses: between two looks. A look takes the line away from the writer in the middle of its
 * stores, so too many of them are slow, if the cores are far from each other. */
CK_CC_FORCE_INLINE static void get(enum way way, void *m, unsigned char *slot, size_t bytes,
                                   uint64_t number, unsigned pauses)
{
    unsigned i;

    while (ck_pr_load_64(flag(slot, bytes)) != number)
        for (i = 0; i < pauses; i++)
            ck_pr_stall();
    ck_pr_fence_load();
    copy_block(way, m, slot, bytes);
}

/* ------------------------------------------------------------------ round trips */

/* A trial: where a message and its answer are, and how they are copied. */
struct trial {
    uint64_t mask; /* slots of a direction, minus one */
    int together;  /* the answer is in the place of the question */
    int ahead;     /* a later slot's lines are asked for when one is written */
    size_t stride; /* whole lines, or as little as possible */
    unsigned pauses;
    enum way out, in;
};

enum { PLACES = 9 };

static struct trial trial(size_t bytes, unsigned which)
{
    enum way out = (enum way)(which / PLACES);
    static const unsigned pauses[] = {1, 5, 16};
    unsigned place = which % 3;
    struct trial t = {place == 2 ? SIZES_SLOTS(bytes) - 1 : 0,
                      place == 0,
                      place == 2,
                      place == 2 && out == PLAIN ? bytes + 8 : STRIDE(bytes),
                      pauses[which % PLACES / 3],
                      out,
                      out == PLAIN ? PLAIN : STRING};

    return t;
}

/* Round trips of a trial; the first two laps are not timed. */
static uint64_t trips(const struct bench_run *r)
{
    return r->count / (PLACES * WAYS_OF(r->of->bytes)) + 2 * r->window +
           2 * SIZES_SLOTS(r->of->bytes);
}

CK_CC_FORCE_INLINE static void answer(struct slots *s, void *m, size_t bytes, struct trial t,
                                      uint64_t i)
{
    size_t at = (i & t.mask) * t.stride;

    get(t.in, m, s->fro + at, bytes, 2 * i + 1, t.pauses);
    put(t.out, (t.together ? s->fro : s->to) + at, m, bytes, 2 * i + 2);
    if (t.ahead)
        own(s->to + ((i + AHEAD(bytes)) & t.mask) * t.stride, bytes);
}

CK_CC_FORCE_INLINE static void ask(struct slots *s, void *m, size_t bytes, struct trial t,
                                   uint64_t i)
{
    size_t at = (i & t.mask) * t.stride;

    put(t.out, s->fro + at, m, bytes, 2 * i + 1);
    if (t.ahead)
        own(s->fro + ((i + AHEAD(bytes)) & t.mask) * t.stride, bytes);
    get(t.in, m, (t.together ? s->fro : s->to) + at, bytes, 2 * i + 2, t.pauses);
}

#define TRIPS(B)                                                                                   \
    static void trip_serve##B(struct bench_run *r)                                                 \
    {                                                                                              \
        struct slots s = slots(r);                                                                 \
        static struct message##B m CK_CC_CACHELINE;                                                \
        uint64_t i = 0, end;                                                                       \
        unsigned which;                                                                            \
        bench_start(r);                                                                            \
        for (which = 0; which < PLACES * WAYS_OF(B); which++)                                      \
            for (end = i + trips(r); i < end; i++)                                                 \
                answer(&s, &m, B, trial(B, which), i);                                             \
        for (end = i + r->each; i < end; i++)                                                      \
            answer(&s, &m, B, trial(B, PLACES - 1), i);                                            \
    }                                                                                              \
    static uint64_t trip_measure##B(struct bench_run *r)                                           \
    {                                                                                              \
        struct slots s = slots(r);                                                                 \
        static struct message##B m CK_CC_CACHELINE;                                                \
        uint64_t i = 0, end;                                                                       \
        int64_t before = 0;                                                                        \
        unsigned which;                                                                            \
        bench_start(r);                                                                            \
        r->began = ipc_clock();                                                                    \
        for (which = 0; which < PLACES * WAYS_OF(B); which++) {                                    \
            uint64_t timed = i + 2 * SIZES_SLOTS(B);                                               \
            for (end = i + trips(r); i < end; i++) {                                               \
                if (i == timed)                                                                    \
                    bench_trial_begin(r);                                                          \
                BENCH_MARK(m, i);                                                                  \
                ask(&s, &m, B, trial(B, which), i);                                                \
                BENCH_VERIFY(m, i);                                                                \
                if (i >= timed)                                                                    \
                    bench_trial_add(r, 1);                                                         \
            }                                                                                      \
            bench_trial_end(r);                                                                    \
        }                                                                                          \
        for (end = i + r->each; i < end; i++) {                                                    \
            bench_each(r, &before, before == 0);                                                   \
            ask(&s, &m, B, trial(B, PLACES - 1), i);                                               \
        }                                                                                          \
        return bench_took(r);                                                                      \
    }

SLOT_SIZES(TRIPS)

/* As two rings do it: another slot each time, a line or more for each, and one's answers are not in
 * the places of the other's questions. */
struct turn {
    unsigned char *out, *in;
    uint64_t i; /* round trips */
};

CK_CC_FORCE_INLINE static unsigned char *turn_slot(unsigned char *slots, uint64_t i, size_t bytes)
{
    return slots + i % SIZES_SLOTS(bytes) * STRIDE(bytes);
}

CK_CC_FORCE_INLINE static void turn_put(struct turn *t, const void *m, size_t bytes)
{
    put(PLAIN, turn_slot(t->out, t->i, bytes), m, bytes, t->i + 1);
    own(turn_slot(t->out, t->i + AHEAD(bytes), bytes), bytes);
}

CK_CC_FORCE_INLINE static void turn_get(struct turn *t, void *m, size_t bytes)
{
    get(PLAIN, m, turn_slot(t->in, t->i, bytes), bytes, t->i + 1, 1);
}

#define TURNS(B)                                                                                   \
    static void turn_serve##B(struct bench_run *r)                                                 \
    {                                                                                              \
        struct slots s = slots(r);                                                                 \
        struct turn t = {s.to, s.fro, 0};                                                          \
        BENCH_PINGPONG_SERVE(B, (turn_put(&t, &m, B), t.i++), turn_get(&t, &m, B));                \
    }                                                                                              \
    static uint64_t turn_measure##B(struct bench_run *r)                                           \
    {                                                                                              \
        struct slots s = slots(r);                                                                 \
        struct turn t = {s.fro, s.to, 0};                                                          \
        BENCH_PINGPONG_MEASURE(B, turn_put(&t, &m, B), (turn_get(&t, &m, B), t.i++));              \
    }
TURNS(8)
TURNS(56)
TURNS(64)

/* ------------------------------------------------------------------ streams */

/* The consumer tells its position twice a lap. The producer looks at it if its copy says full. */
CK_CC_FORCE_INLINE static void stream_serve(struct bench_run *r, struct slots *s, void *m,
                                            size_t bytes)
{
    uint64_t i = 0, end, taken = 0, mask = SIZES_SLOTS(bytes) - 1, next = 0, *word = (uint64_t *)m;
    unsigned way;

    bench_start(r);
    for (way = 0; way < WAYS_OF(bytes); way++)
        for (end = i + r->warm + r->count / WAYS_OF(bytes); i < end; i++) {
            if (i == next)
                next = bench_pace(r, i);
            while (i - taken > mask)
                taken = ck_pr_load_64(s->taken);
            word[0] = word[bytes / 8 - 1] = i;
            put((enum way)way, s->to + (i & mask) * STRIDE(bytes), m, bytes, i + 1);
            if (way == PLAIN && bytes <= 1024)
                own(s->to + ((i + AHEAD(bytes)) & mask) * STRIDE(bytes), bytes);
        }
}

CK_CC_FORCE_INLINE static uint64_t stream_measure(struct bench_run *r, struct slots *s, void *m,
                                                  size_t bytes)
{
    uint64_t i = 0, end, timed, mask = SIZES_SLOTS(bytes) - 1, *word = (uint64_t *)m;
    unsigned way;

    bench_start(r);
    r->began = ipc_clock();
    for (way = 0; way < WAYS_OF(bytes); way++) {
        timed = i + r->warm;
        for (end = timed + r->count / WAYS_OF(bytes); i < end; i++) {
            if (i == timed)
                bench_trial_begin(r);
            get(way == PLAIN ? PLAIN : STRING, m, s->to + (i & mask) * STRIDE(bytes), bytes, i + 1,
                1);
            if ((i & mask / 2) == mask / 2)
                ck_pr_store_64(s->taken, i + 1);
            bench_check(word[0] == i && word[bytes / 8 - 1] == i, "sequence number");
            if (i >= timed)
                bench_trial_add(r, 1);
        }
        bench_trial_end(r);
    }
    return bench_took(r);
}

#define STREAMS(B)                                                                                 \
    static void stream_serve##B(struct bench_run *r)                                               \
    {                                                                                              \
        static struct message##B m CK_CC_CACHELINE;                                                \
        struct slots s = slots(r);                                                                 \
        stream_serve(r, &s, &m, B);                                                                \
    }                                                                                              \
    static uint64_t stream_measure##B(struct bench_run *r)                                         \
    {                                                                                              \
        static struct message##B m CK_CC_CACHELINE;                                                \
        struct slots s = slots(r);                                                                 \
        return stream_measure(r, &s, &m, B);                                                       \
    }

SLOT_SIZES(STREAMS)
STREAMS(262144)
STREAMS(1048576)

/* ------------------------------------------------------------------ one way, at a fixed rate */

struct end {
    struct slots s;
    uint64_t i;
};

static struct end *attach(struct bench_run *r)
{
    static struct end e;

    e.s = slots(r);
    return &e;
}

#define LATENCIES(B)                                                                               \
    static inline void put##B(void *end, void *m)                                                  \
    {                                                                                              \
        struct end *e = (struct end *)end;                                                         \
        uint64_t i = e->i++;                                                                       \
        while (i - ck_pr_load_64(e->s.taken) >= SIZES_SLOTS(B))                                    \
            ck_pr_stall();                                                                         \
        put(PLAIN, e->s.to + i % SIZES_SLOTS(B) * STRIDE(B), m, B, i + 1);                         \
        own(e->s.to + (i + AHEAD(B)) % SIZES_SLOTS(B) * STRIDE(B), B);                             \
    }                                                                                              \
    static inline void get##B(void *end, void *m)                                                  \
    {                                                                                              \
        struct end *e = (struct end *)end;                                                         \
        uint64_t i = e->i++;                                                                       \
        get(PLAIN, m, e->s.to + i % SIZES_SLOTS(B) * STRIDE(B), B, i + 1, 1);                      \
        if (i % (SIZES_SLOTS(B) / 2) == 0)                                                         \
            ck_pr_store_64(e->s.taken, i);                                                         \
    }                                                                                              \
    static void latency_serve##B(struct bench_run *r)                                              \
    {                                                                                              \
        latency_send(r, B, attach(r), put##B);                                                     \
    }                                                                                              \
    static uint64_t latency_measure##B(struct bench_run *r)                                        \
    {                                                                                              \
        return latency_recv(r, B, attach(r), get##B);                                              \
    }
LATENCIES(8)
LATENCIES(56)
LATENCIES(64)

/* ------------------------------------------------------------------ rows */

#define USUAL(B) ((B) == 64 || (B) == 1024 || (B) == 65536)
#define ROW(B, TEST, SHAPE, KIND, RATE, BURST, IS_USUAL)                                           \
    SYSTEM_ROW("limit_slot", B, TEST, SHAPE, KIND, RATE, BURST, IS_USUAL)
#define TURN_ROW(B) SYSTEM_ROW("limit_rotating_slot", B, "pingpong", "slots", turn, 0, 0, 0)
#define SYSTEM_ROW(SYSTEM, B, TEST, SHAPE, KIND, RATE, BURST, IS_USUAL)                            \
    {.system = SYSTEM,                                                                             \
     .test = TEST,                                                                                 \
     .shape = SHAPE,                                                                               \
     .bytes = B,                                                                                   \
     .memory = 2 * LANE(B) + 65536,                                                                \
     .prepare = prepare,                                                                           \
     .serve = KIND##_serve##B,                                                                     \
     .measure = KIND##_measure##B,                                                                 \
     .rate = RATE,                                                                                 \
     .burst = BURST,                                                                               \
     .usual = IS_USUAL},
#define STREAM_ROW(B) ROW(B, "stream", "slots", stream, 0, 0, USUAL(B))
#define ROWS(B) STREAM_ROW(B) ROW(B, "pingpong", "slots", trip, 0, 0, USUAL(B))
#define LATENCY_ROW(B, SHAPE, RATE, IS_USUAL)                                                      \
    ROW(B, "latency", SHAPE, latency, RATE, 1, IS_USUAL)

/* clang-format off */
BENCH_GROUP(slots) = {
    SLOT_SIZES(ROWS)
    TURN_ROW(8)
    TURN_ROW(56)
    TURN_ROW(64)
    STREAM_ROW(262144)
    STREAM_ROW(1048576)
    LATENCY_ROW(8, "100k_spin", 100000, 0)
    LATENCY_ROW(56, "10k_spin", 10000, 0)
    LATENCY_ROW(56, "100k_spin", 100000, 0)
    LATENCY_ROW(56, "1M_spin", 1000000, 0)
    LATENCY_ROW(64, "100k_spin", 100000, 1)
    ROW(56, "burst", "32_spin", latency, 32000, 32, 0)
    ROW(56, "burst", "256_spin", latency, 256000, 256, 0)
    {.system = NULL}};
/* clang-format on */
