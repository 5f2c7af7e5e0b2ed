/*
 * How each kind of ring is read ahead of what is acknowledged, and written.
 *
 * A bridge reads a ring beyond what the other bridge has pushed, but releases no more than that. So
 * the handle that holds the end is copied: the copy publishes nothing, as a reader of a lossy
 * broadcast does, and the first one publishes the place that was acknowledged. This looks into the
 * handles of ipc_ring.h, as no call of it reads on without a release.
 */
#include "bridge.h"

/* ------------------------------------------------------------------ slots: reading */

static int64_t read_ahead_slot(struct source *s, void *to, size_t room)
{
    struct ipc_spsc_consumer *c = &s->ahead.spsc;
    int rc = c->bytes <= room ? ipc_spsc_pop(c, to, (size_t)c->bytes) : -EMSGSIZE;

    return rc == 0 ? (int64_t)c->bytes : rc;
}

static struct place place_of_slot(uint64_t position)
{
    struct place p = {position, position};

    return p;
}

static struct place where_slot(const struct source *s)
{
    return place_of_slot(s->ahead.spsc.head);
}

static struct place start_slot(const struct source *s)
{
    return place_of_slot(s->end.spsc.head);
}

static void release_slot(struct source *s, struct place before)
{
    struct ipc_spsc_consumer *c = &s->end.spsc;

    if ((int64_t)(before.at - c->head) <= 0 || (int64_t)(s->ahead.spsc.head - before.at) < 0)
        return;
    c->head = c->ready = before.at;
    ipc_spsc_publish_(c);
}

static int go_to_slot(struct source *s, struct place from, uint64_t skip)
{
    struct ipc_spsc_consumer *c = &s->end.spsc, *ahead = &s->ahead.spsc;
    uint64_t to = from.at + skip;
    uint64_t full = ipc_spsc_count_full_(c->slots, c->mask, c->head,
                                         ipc_ring_stride_((size_t)c->bytes));

    if ((int64_t)(to - c->head) < 0)
        to = c->head;
    if (to - c->head > full)
        return -ERANGE;
    *ahead = *c;
    ahead->at = NULL;
    ahead->replay = UINT64_MAX;
    ahead->head = ahead->ready = ahead->published = to;
    ahead->idle = 1;
    return 0;
}

static int attach_spsc_source(struct source *s, void *mem, size_t size, size_t bytes,
                              struct ipc_peer *me)
{
    int rc = ipc_spsc_consumer_attach(&s->end.spsc, mem, size, bytes, me);

    return rc != 0 ? rc : go_to_slot(s, start_slot(s), 0);
}

static void detach_spsc_source(struct source *s)
{
    ipc_spsc_consumer_detach(&s->end.spsc);
}

/* A lossless broadcast's reader begins with such a consumer, which publishes in its seat. */
static int attach_broadcast_source(struct source *s, void *mem, size_t size, size_t bytes,
                                   struct ipc_peer *me)
{
    int rc = ipc_broadcast_consumer_attach(&s->end.broadcast, mem, size, bytes, me);

    return rc != 0 || s->end.broadcast.how == IPC_BROADCAST_LOSSY
               ? rc
               : go_to_slot(s, start_slot(s), 0);
}

static void detach_broadcast_source(struct source *s)
{
    ipc_broadcast_consumer_detach(&s->end.broadcast);
}

/* ------------------------------------------------------------------ lossy slots: reading */

static int64_t read_lossy_slot(struct source *s, void *to, size_t room)
{
    size_t bytes = (size_t)s->end.broadcast.s.bytes;
    int rc = bytes <= room ? ipc_broadcast_pop(&s->end.broadcast, to, bytes) : -EMSGSIZE;

    return rc == 0 ? (int64_t)bytes : rc;
}

/* What was overwritten is found by the next read. */
static int go_to_lossy_slot(struct source *s, struct place from, uint64_t skip)
{
    struct ipc_spsc_consumer *c = &s->end.broadcast.s;
    uint64_t to = from.at + skip;

    if ((int64_t)(ck_pr_load_64(&c->ring->head) - to) < 0)
        return -ERANGE;
    c->head = c->ready = to;
    c->idle = 1;
    s->end.broadcast.skip = 0;
    s->end.broadcast.loss_pending = 0;
    return 0;
}

static void release_nothing(struct source *s, struct place before)
{
    (void)s;
    (void)before;
}

/* ------------------------------------------------------------------ records: reading */

static int64_t read_ahead_record(struct source *s, void *to, size_t room)
{
    struct ipc_record_consumer *c = &s->ahead.record;
    int64_t n = ipc_record_pop(c, to, room);

    s->number += n >= 0;
    return n;
}

static struct place where_record(const struct source *s)
{
    struct place p = {s->ahead.record.head, s->number};

    return p;
}

static struct place start_record(const struct source *s)
{
    struct place p = {s->end.record.head, 0};

    return p;
}

/* Steps from *at, where a record is, to position `to`. 0; -ERANGE: no record ends there: a place that
 * came over the link is not believed. */
static int walk_to(const struct ipc_record_consumer *c, uint64_t *at, uint64_t to)
{
    uint64_t end = c->head + c->mask + 1 - 8;

    if (to - *at > c->mask)
        return -ERANGE;
    while ((int64_t)(to - *at) > 0)
        if (ipc_record_step_over_(c->data, c->mask, at, end - *at) <= 0)
            return -ERANGE;
    return *at == to ? 0 : -ERANGE;
}

static void release_record(struct source *s, struct place before)
{
    struct ipc_record_consumer *c = &s->end.record;
    uint64_t at = c->head;

    if ((int64_t)(s->ahead.record.head - before.at) < 0 || walk_to(c, &at, before.at) != 0)
        return;
    c->head = c->run_start = at;
    c->peeked = 0;
    ipc_record_publish_(c);
}

static int go_to_record(struct source *s, struct place from, uint64_t skip)
{
    struct ipc_record_consumer *c = &s->end.record, *ahead = &s->ahead.record;
    uint64_t at = c->head, end = c->head + c->mask + 1 - 8;

    s->number = from.number + skip;
    if ((int64_t)(from.at - at) < 0) { /* a broadcast went on without us: nobody knows how many */
        s->number++;
        skip = 0;
    } else if (walk_to(c, &at, from.at) != 0)
        return -ERANGE;
    for (; skip > 0; skip--)
        if (ipc_record_step_over_(c->data, c->mask, &at, end - at) <= 0)
            return -ERANGE;
    *ahead = *c;
    ahead->to = NULL;
    ahead->head = ahead->run_start = ahead->published = at;
    ahead->due = at + (UINT64_C(1) << 62);
    ahead->peeked = 0;
    return 0;
}

static int attach_record_source(struct source *s, void *mem, size_t size, size_t bytes,
                                struct ipc_peer *me)
{
    int rc = ipc_record_consumer_attach(&s->end.record, mem, size, me);

    (void)bytes;
    return rc != 0 ? rc : go_to_record(s, start_record(s), 0);
}

static void detach_record_source(struct source *s)
{
    ipc_record_consumer_detach(&s->end.record);
}

static int attach_tape_source(struct source *s, void *mem, size_t size, size_t bytes,
                              struct ipc_peer *me)
{
    int rc = ipc_record_broadcast_consumer_attach(&s->end.tape, mem, size, me);

    (void)bytes;
    return rc != 0 || s->end.tape.how == IPC_BROADCAST_LOSSY
               ? rc
               : go_to_record(s, start_record(s), 0);
}

static void detach_tape_source(struct source *s)
{
    ipc_record_broadcast_consumer_detach(&s->end.tape);
}

/* ------------------------------------------------------------------ lossy records: reading */

static int64_t read_lossy_record(struct source *s, void *to, size_t room)
{
    return ipc_record_broadcast_pop(&s->end.tape, to, room);
}

static struct place where_lossy_record(const struct source *s)
{
    struct place p = {s->end.tape.r.head, s->end.tape.next};

    return p;
}

/* Under an old mark, so that the next look finds what was overwritten. */
static int go_to_lossy_record(struct source *s, struct place from, uint64_t skip)
{
    struct ipc_record_broadcast_consumer *h = &s->end.tape;
    uint64_t number = from.number + skip, looks = 0;
    size_t n;

    if (from.at % 8 != 0)
        return -ERANGE;
    h->r.head = h->r.run_start = from.at;
    h->r.peeked = 0;
    h->next = from.number;
    h->marks = ck_pr_load_64(&h->ring->marks) - 1;
    h->lapped = h->loss_pending = 0;
    while (h->next < number) {
        uint64_t was = h->next;

        if (ipc_record_broadcast_peek(h, &n) != NULL)
            (void)ipc_record_broadcast_release(h);
        if (h->next == was || ++looks > h->r.mask) /* a producer may go on for ever */
            return -ERANGE;
    }
    return 0;
}

/* ------------------------------------------------------------------ writing */

static size_t footprint_of_spsc(const struct geometry *g)
{
    return ipc_spsc_footprint((size_t)g->bytes, g->capacity);
}

static int init_spsc(void *mem, size_t size, const struct geometry *g)
{
    return ipc_spsc_init(mem, size, (size_t)g->bytes, g->capacity);
}

static int attach_spsc_sink(struct sink *s, void *mem, size_t size, size_t bytes,
                            struct ipc_peer *me)
{
    return ipc_spsc_producer_attach(&s->end.spsc, mem, size, bytes, me);
}

static void detach_spsc_sink(struct sink *s)
{
    ipc_spsc_producer_detach(&s->end.spsc);
}

static uint64_t tail_of_spsc(const struct sink *s)
{
    return s->end.spsc.tail;
}

static int64_t count_slots(struct sink *s, uint64_t from)
{
    return (int64_t)(s->end.spsc.tail - from);
}

static uint64_t span_of_slot(uint64_t n)
{
    (void)n;
    return 1;
}

static int push_spsc(struct sink *s, const void *message, size_t n)
{
    return ipc_spsc_push(&s->end.spsc, message, n);
}

static size_t footprint_of_broadcast(const struct geometry *g)
{
    return ipc_broadcast_footprint((size_t)g->bytes, g->capacity, g->how);
}

static int init_broadcast(void *mem, size_t size, const struct geometry *g)
{
    return ipc_broadcast_init(mem, size, (size_t)g->bytes, g->capacity, g->how);
}

static int attach_broadcast_sink(struct sink *s, void *mem, size_t size, size_t bytes,
                                 struct ipc_peer *me)
{
    return ipc_broadcast_producer_attach(&s->end.broadcast, mem, size, bytes, me);
}

static void detach_broadcast_sink(struct sink *s)
{
    ipc_broadcast_producer_detach(&s->end.broadcast);
}

static int push_broadcast(struct sink *s, const void *message, size_t n)
{
    return ipc_broadcast_push(&s->end.broadcast, message, n);
}

static uint64_t *sequence_at(const struct ipc_spsc_producer *p, uint64_t position)
{
    size_t stride = ipc_ring_stride_((size_t)p->bytes);

    return ipc_ring_sequence_(ipc_ring_slot_(p->slots, p->mask, position, stride), stride);
}

/*
 * Moves the tail on over n messages from `from` on that were never there, or over those of them that
 * are left. Their slots say that they are being written for the lap after, so each reader that comes
 * to one finds itself lapped, and counts. Those of a whole capacity do for all. A bridge that is
 * killed in here goes on where it was. If another writer takes its place, a reader misses at most a
 * capacity of what that one sends: no slot but one says anything of messages beyond the tail.
 */
static void skip_slots(struct sink *s, uint64_t from, uint64_t n)
{
    struct ipc_spsc_producer *p = &s->end.broadcast.s;
    uint64_t to = from + n, at;

    if (to - p->tail > n) /* it is behind them */
        return;
    if (to - p->tail > p->mask + 1) {
        for (at = 0; at <= p->mask; at++)
            ck_pr_store_64(sequence_at(p, at), 0);
        /* Without it a reader could see the tail before, and take older slots for corrupt. */
        ck_pr_fence_store();
        p->tail = to - (p->mask + 1);
        ck_pr_store_64(&p->ring->head, p->tail);
    }
    while (p->tail != to) {
        /* Without it a reader could see the mark before the tail, and be far ahead of a writer. */
        ck_pr_fence_store();
        ck_pr_store_64(sequence_at(p, p->tail), IPC_BROADCAST_BUSY_ | (p->tail + p->mask + 2));
        /* Without it a reader could see the tail before the mark. Partner: the load fence in
         * ipc_broadcast_consumer_attach. */
        ck_pr_fence_store();
        ck_pr_store_64(&p->ring->head, ++p->tail);
    }
    p->limit = to - 1;
}

/* ------------------------------------------------------------------ writing records */

static size_t footprint_of_records(const struct geometry *g)
{
    return ipc_record_footprint(g->capacity, g->how);
}

static int init_records(void *mem, size_t size, const struct geometry *g)
{
    return ipc_record_init(mem, size, g->capacity, g->how);
}

static int attach_record_sink(struct sink *s, void *mem, size_t size, size_t bytes,
                              struct ipc_peer *me)
{
    (void)bytes;
    return ipc_record_producer_attach(&s->end.record, mem, size, me);
}

static void detach_record_sink(struct sink *s)
{
    ipc_record_producer_detach(&s->end.record);
}

static uint64_t tail_of_records(const struct sink *s)
{
    return s->end.record.tail;
}

/* What was pushed is there until the tail comes round to it, also where it was read. */
static int64_t count_records(struct sink *s, uint64_t from)
{
    struct ipc_record_producer *p = &s->end.record;
    uint64_t count = 0;

    if (p->tail - from > p->mask ||
        ipc_record_walk_to_end_(p->data, p->mask, &from, &count) != 0 || from != p->tail)
        return -EBADMSG;
    return (int64_t)count;
}

static uint64_t span_of_record(uint64_t n)
{
    return 2 * (n + 16) + 8; /* with what it skips at the end of the memory, and the word after it */
}

static int push_record(struct sink *s, const void *message, size_t n)
{
    return ipc_record_push(&s->end.record, message, n);
}

static size_t footprint_of_tape(const struct geometry *g)
{
    return ipc_record_broadcast_footprint(g->capacity, g->how);
}

static int init_tape(void *mem, size_t size, const struct geometry *g)
{
    return ipc_record_broadcast_init(mem, size, g->capacity, g->how);
}

static int attach_tape_sink(struct sink *s, void *mem, size_t size, size_t bytes,
                            struct ipc_peer *me)
{
    (void)bytes;
    return ipc_record_broadcast_producer_attach(&s->end.tape, mem, size, me);
}

static void detach_tape_sink(struct sink *s)
{
    ipc_record_broadcast_producer_detach(&s->end.tape);
}

static int push_tape(struct sink *s, const void *message, size_t n)
{
    return ipc_record_broadcast_push(&s->end.tape, message, n);
}

/*
 * Moves the tail on by one word, in the place of n records that were never there. The mark says that
 * nothing before the new tail is whole, and which number comes next: so each reader finds itself
 * lapped, and counts. A bridge that is killed in here begins again, or finds the tail behind the word.
 */
static void skip_records(struct sink *s, uint64_t from, uint64_t n)
{
    struct ipc_record_broadcast_producer *h = &s->end.tape;
    struct ipc_record_broadcast_mark_ *m;
    struct ipc_record_producer *p = &h->r;

    if (p->tail != from)
        return;
    if (p->limit - p->tail < 16)
        (void)ipc_record_broadcast_forget_oldest_(h, 16);
    ck_pr_store_64(ipc_record_word_(p->data, p->mask, p->tail + 8), 0);
    m = &h->ring->mark[(h->marks + 1) % 2];
    h->mark.oldest = h->mark.tail = p->tail += 8;
    h->mark.first = h->mark.next += n;
    ck_pr_store_64(&m->oldest, h->mark.oldest);
    ck_pr_store_64(&m->first, h->mark.first);
    ck_pr_store_64(&m->tail, h->mark.tail);
    ck_pr_store_64(&m->next, h->mark.next);
    /* Both as in ipc_record_broadcast_forget_oldest_. */
    ck_pr_fence_store();
    ck_pr_store_64(&h->ring->marks, ++h->marks);
    ck_pr_fence_store();
    p->limit = p->tail + p->mask + 1;
    h->checkpoints = h->first_checkpoint = 0;
    h->checkpoint[IPC_RECORD_BROADCAST_CHECKPOINTS_ - 1].at = p->tail;
}

/* ------------------------------------------------------------------ many at an end */

static unsigned how_of(const void *mem)
{
    return ck_pr_load_32(&((const struct ipc_ring_shared_ *)mem)->how);
}

static int attach_mpmc_feed(struct source *s, void *mem, size_t size, size_t bytes,
                            struct ipc_peer *me)
{
    return ipc_mpmc_consumer_attach(&s->feed.mpmc, mem, size, bytes, me, how_of(mem));
}

static void detach_mpmc_feed(struct source *s)
{
    ipc_mpmc_consumer_detach(&s->feed.mpmc);
}

/* A message that was pushed into the stage, and not released, is dealt with by the ring as any that
 * a killed consumer held: lost, so the stage has the only one, or handed out again. */
static int feed_from_mpmc(struct source *s)
{
    const void *message;
    int did = 0;

    while (ipc_spsc_claim(&s->stage.spsc) != NULL &&
           (message = ipc_mpmc_peek(&s->feed.mpmc)) != NULL) {
        (void)ipc_spsc_push(&s->stage.spsc, message, (size_t)s->stage.spsc.bytes);
        (void)ipc_mpmc_release(&s->feed.mpmc);
        did = 1;
    }
    return did;
}

static int attach_lanes_feed(struct source *s, void *mem, size_t size, size_t bytes,
                             struct ipc_peer *me)
{
    int rc = ipc_record_consumer_attach(&s->feed.lanes, mem, size, me);

    (void)bytes;
    if (rc == 0)
        ipc_record_replay(&s->feed.lanes, 0);
    return rc;
}

static void detach_lanes_feed(struct source *s)
{
    ipc_record_consumer_detach(&s->feed.lanes);
}

static int feed_from_lanes(struct source *s)
{
    const void *record;
    size_t n;
    int did = 0;

    while ((record = ipc_record_peek(&s->feed.lanes, &n)) != NULL &&
           ipc_record_push(&s->stage.record, record, n) == 0) {
        (void)ipc_record_release(&s->feed.lanes);
        did = 1;
    }
    return did;
}

/* Others push into these rings, so that their tails say nothing: a mark for each message does. */
static uint64_t count_of_many(const struct sink *s)
{
    return s->count;
}

static int64_t count_nothing(struct sink *s, uint64_t from)
{
    s->count = from;
    return 0;
}

static uint64_t span_of_many(uint64_t n)
{
    (void)n;
    return UINT64_MAX / 2;
}

static size_t footprint_of_mpmc(const struct geometry *g)
{
    return ipc_mpmc_footprint((size_t)g->bytes, g->capacity, g->how);
}

static int init_mpmc(void *mem, size_t size, const struct geometry *g)
{
    return ipc_mpmc_init(mem, size, (size_t)g->bytes, g->capacity, g->how);
}

static int attach_mpmc_sink(struct sink *s, void *mem, size_t size, size_t bytes,
                            struct ipc_peer *me)
{
    s->count = 0;
    return ipc_mpmc_producer_attach(&s->end.mpmc, mem, size, bytes, me, how_of(mem));
}

static void detach_mpmc_sink(struct sink *s)
{
    ipc_mpmc_producer_detach(&s->end.mpmc);
}

static int push_mpmc(struct sink *s, const void *message, size_t n)
{
    int rc = ipc_mpmc_push(&s->end.mpmc, message, n);

    s->count += rc == 0;
    return rc;
}

static int push_lane(struct sink *s, const void *message, size_t n)
{
    int rc = ipc_record_push(&s->end.record, message, n);

    s->count += rc == 0;
    return rc;
}

/* ------------------------------------------------------------------ the kinds */

enum { ONE, LOSSY, MANY };

#define SLOTS_FROM                                                                                 \
    .start = start_slot, .go_to = go_to_slot, .read = read_ahead_slot, .where = where_slot,        \
    .release = release_slot
#define RECORDS_FROM                                                                               \
    .start = start_record, .go_to = go_to_record, .read = read_ahead_record,                       \
    .where = where_record, .release = release_record
#define TO_SPSC                                                                                    \
    .footprint = footprint_of_spsc, .init = init_spsc, .attach_sink = attach_spsc_sink,            \
    .detach_sink = detach_spsc_sink, .tail = tail_of_spsc, .count = count_slots,                   \
    .span = span_of_slot, .push = push_spsc
#define TO_BROADCAST                                                                               \
    .footprint = footprint_of_broadcast, .init = init_broadcast,                                   \
    .attach_sink = attach_broadcast_sink, .detach_sink = detach_broadcast_sink,                    \
    .tail = tail_of_spsc, .count = count_slots, .span = span_of_slot, .push = push_broadcast
#define TO_RECORDS                                                                                 \
    .footprint = footprint_of_records, .init = init_records, .attach_sink = attach_record_sink,    \
    .detach_sink = detach_record_sink
#define TO_TAPE                                                                                    \
    .footprint = footprint_of_tape, .init = init_tape, .attach_sink = attach_tape_sink,            \
    .detach_sink = detach_tape_sink, .tail = tail_of_records, .count = count_records,              \
    .span = span_of_record, .push = push_tape

static const struct kind kinds[] = {
    {.type = IPC_SPSC_TYPE, .attach_source = attach_spsc_source,
     .detach_source = detach_spsc_source, SLOTS_FROM, TO_SPSC},
    {.type = IPC_BROADCAST_TYPE, .attach_source = attach_broadcast_source,
     .detach_source = detach_broadcast_source, SLOTS_FROM, TO_BROADCAST},
    {.type = IPC_BROADCAST_TYPE, .variant = LOSSY, .attach_source = attach_broadcast_source,
     .detach_source = detach_broadcast_source, .start = start_slot, .go_to = go_to_lossy_slot,
     .read = read_lossy_slot, .where = start_slot, .release = release_nothing, TO_BROADCAST,
     .skip = skip_slots},
    {.type = IPC_RECORD_TYPE, .attach_source = attach_record_source,
     .detach_source = detach_record_source, RECORDS_FROM, TO_RECORDS, .tail = tail_of_records,
     .count = count_records, .span = span_of_record, .push = push_record},
    {.type = IPC_RECORD_BROADCAST_TYPE, .attach_source = attach_tape_source,
     .detach_source = detach_tape_source, RECORDS_FROM, TO_TAPE},
    {.type = IPC_RECORD_BROADCAST_TYPE, .variant = LOSSY, .attach_source = attach_tape_source,
     .detach_source = detach_tape_source, .start = where_lossy_record, .go_to = go_to_lossy_record,
     .read = read_lossy_record, .where = where_lossy_record, .release = release_nothing, TO_TAPE,
     .skip = skip_records},
    {.type = IPC_MPMC_TYPE, .variant = MANY, .stage = IPC_SPSC_TYPE, .attach_feed = attach_mpmc_feed,
     .detach_feed = detach_mpmc_feed, .feed = feed_from_mpmc, .footprint = footprint_of_mpmc,
     .init = init_mpmc, .attach_sink = attach_mpmc_sink, .detach_sink = detach_mpmc_sink,
     .tail = count_of_many, .count = count_nothing, .span = span_of_many, .push = push_mpmc},
    {.type = IPC_RECORD_TYPE, .variant = MANY, .stage = IPC_RECORD_TYPE,
     .attach_feed = attach_lanes_feed, .detach_feed = detach_lanes_feed, .feed = feed_from_lanes,
     TO_RECORDS, .tail = count_of_many, .count = count_nothing, .span = span_of_many,
     .push = push_lane},
};

const struct kind *find_kind(uint32_t type, uint32_t how, const char **why)
{
    int variant = ONE;
    size_t i;

    *why = "streams and calls are not carried";
    if ((type == IPC_BROADCAST_TYPE || type == IPC_RECORD_BROADCAST_TYPE) &&
        (how & IPC_BROADCAST_LOSSY) != 0)
        variant = LOSSY;
    if (type == IPC_MPMC_TYPE || (type == IPC_RECORD_TYPE && how != 1))
        variant = MANY;
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].type == type && kinds[i].variant == variant)
            return &kinds[i];
    return NULL;
}

uint32_t type_of(const char *kind)
{
    static const struct {
        const char *says;
        uint32_t type;
    } types[] = {{"SPSC", IPC_SPSC_TYPE},
                 {"MPMC", IPC_MPMC_TYPE},
                 {"broadcast", IPC_BROADCAST_TYPE},
                 {"records", IPC_RECORD_TYPE},
                 {"record broadcast", IPC_RECORD_BROADCAST_TYPE}};
    size_t i;

    for (i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].says, kind) == 0)
            return types[i].type;
    return 0;
}
