/*
 * The side that writes a ring: pushes what comes, and acknowledges what was pushed.
 *
 * Nothing is pushed twice, whoever is killed when: what was pushed is what the ring's tail says, and
 * a mark (state.h) says which message of the other ring is next at a position of this one. A bridge
 * that is started again counts what was pushed behind the last mark, and asks for what follows. So
 * that this count is right nobody else pushes into the ring, and so that what was counted is still
 * there at the other end, an acknowledgement goes out only behind a mark.
 */
#include "bridge.h"

static uint64_t tail_of(const struct object *o)
{
    return o->kind->tail(&o->sink);
}

/* From here on `from` of the other ring is next, once `gap` messages more were told to be missed. */
static void make_mark(struct object *o, uint64_t gap)
{
    struct bridge_state *s = o->state;
    struct bridge_mark *m = &s->mark[(s->marks + 1) % 2];

    m->epoch = o->epoch;
    m->from = o->place;
    m->at = tail_of(o);
    m->gap = gap;
    m->carried = s->carried;
    m->missed = s->missed;
    /* Without it the mark could count before it is whole. Partner: the kernel, which lets the next
     * bridge in when this one is dead. */
    ck_pr_fence_store();
    ck_pr_store_64(&s->marks, s->marks + 1);
    o->marked = m->at;
}

/* The other ring has lost so many before o->place: the readers are told where they can be. */
static void tell_gap(struct object *o, uint64_t gap)
{
    o->state->missed += gap;
    if (o->kind->skip != NULL) {
        make_mark(o, gap);
        o->kind->skip(&o->sink, tail_of(o), gap);
        (void)ipc_notify_post(&o->theirs);
    }
    make_mark(o, 0);
}

void forget_in(struct object *o)
{
    struct pending *p;

    while ((p = o->first) != NULL) {
        o->first = p->next;
        free(p);
    }
    o->last = &o->first;
    o->pending = 0;
    o->session = 0;
    o->ack_due = 0;
    o->next_try = 0;
    if (o->step > THERE)
        o->step = THERE;
    if (o->state != NULL)
        o->state->is_up = 0;
}

/* ------------------------------------------------------------------ hello */

/* Finds how many messages were pushed behind the last mark. A negative errno: it cannot be. */
static int64_t resume(struct object *o, uint64_t epoch, struct place oldest)
{
    struct bridge_state *s = o->state;
    const struct bridge_mark *m = &s->mark[s->marks % 2];
    int64_t n;

    o->epoch = epoch;
    if (m->epoch != epoch) { /* another ring, or the first one */
        o->place = oldest;
        make_mark(o, 0); /* of many at an end the count goes on */
        o->is_placed = 1;
        return 0;
    }
    o->place = m->from;
    s->carried = m->carried;
    s->missed = m->missed;
    o->marked = m->at;
    if (m->gap != 0) {
        o->kind->skip(&o->sink, m->at, m->gap);
        make_mark(o, 0);
    }
    n = o->kind->count(&o->sink, o->marked);
    o->is_placed = n == 0;
    s->carried += n > 0 ? (uint64_t)n : 0;
    return n;
}

static void refuse(struct object *o, uint64_t session)
{
    struct refusal r;

    memset(&r, 0, sizeof r);
    r.head.what = REFUSAL;
    r.head.session = session;
    (void)snprintf(r.why, sizeof r.why, "%.255s", o->said);
    (void)send_frame(o->bridge, &r, sizeof r);
    o->next_try = ipc_in_ms(AGAIN_MS / 2); /* a bridge waits longer before it asks again */
}

/* Is the ring here, and the one that is meant? Else it has complained. */
static int has_ring(struct object *o, const struct hello *h)
{
    struct geometry is = h->is;

    if (h->protocol != PROTOCOL) {
        complain(o, "the other side has another version of ipc_bridge");
        return 0;
    }
    if (is.bytes > LONGEST) {
        complain(o, "the other side's messages are longer than 64 MiB");
        return 0;
    }
    if (o->step != ABSENT && is_replaced(o))
        close_object(o);
    if (o->step != ABSENT && is.type == o->is.type && is.bytes == o->is.bytes &&
        is.version == o->is.version && (!is_of_records(&is) || is.capacity <= o->is.capacity))
        return 1;
    if (o->step != ABSENT)
        close_object(o);
    return open_sink(o, &is) == 0;
}

static void hear_hello(struct object *o, const struct hello *h)
{
    struct frame f;
    int64_t n;

    if (ipc_left_(o->next_try) > 0)
        return;
    forget_in(o);
    if (!has_ring(o, h)) {
        refuse(o, h->head.session);
        return;
    }
    n = resume(o, h->epoch, h->head.at);
    if (n < 0) {
        complain(o, "the ring is not as the bridge left it");
        refuse(o, h->head.session);
        return;
    }
    memset(&f, 0, sizeof f);
    f.what = WELCOME;
    f.session = h->head.session;
    f.at = o->place;
    f.skip = (uint64_t)n;
    o->place.number += (uint64_t)n;
    o->got = o->pushed = 0;
    if (send_frame(o->bridge, &f, sizeof f) != 0)
        return; /* HELLO comes again */
    o->session = f.session;
    o->step = AGREED;
    o->state->is_up = 1;
    o->state->starts++;
    o->said[0] = '\0';
}

/* ------------------------------------------------------------------ data */

/* What is wrong with this session is begun anew. */
static int restart(struct object *o, uint64_t session)
{
    struct frame f;

    memset(&f, 0, sizeof f);
    f.what = RESTART;
    f.session = session;
    (void)send_frame(o->bridge, &f, sizeof f);
    forget_in(o);
    return -EPROTO;
}

/* The next message in bytes[*at..n): its length, and the position behind it. -EPROTO: none. */
static int64_t find_message(const struct object *o, const unsigned char *bytes, size_t n, size_t *at,
                            uint64_t *end)
{
    struct record r;

    if (!is_of_records(&o->is)) {
        *end = o->place.at + 1;
        return n - *at >= o->is.bytes ? (int64_t)o->is.bytes : -EPROTO;
    }
    if (n - *at < sizeof r)
        return -EPROTO;
    memcpy(&r, bytes + *at, sizeof r);
    *at += sizeof r;
    *end = r.end;
    return r.n <= n - *at ? (int64_t)r.n : -EPROTO;
}

/* Pushes the messages of bytes[*at..n). 0; -EAGAIN: the ring is full, *at is behind what went in; or
 * another errno. */
static int push_all(struct object *o, const unsigned char *bytes, size_t n, size_t *at)
{
    uint64_t most = o->is.capacity;

    while (*at < n) {
        size_t here = *at;
        uint64_t end;
        int64_t length = find_message(o, bytes, n, &here, &end);
        int rc;

        if (length < 0)
            return (int)length;
        if (tail_of(o) - o->marked + o->kind->span((uint64_t)length) > most)
            make_mark(o, 0);
        rc = o->kind->push(&o->sink, bytes + here, (size_t)length);
        if (rc != 0)
            return rc;
        o->place.at = end;
        o->place.number++;
        o->state->carried++;
        o->pushed++;
        o->got += here + (size_t)length - *at;
        *at = here + (size_t)length;
    }
    return 0;
}

/* Before the first message of a frame: the place is known from now on, and what was lost. 0, or
 * -EPROTO: it goes back. */
static int begin_frame(struct object *o, const struct frame *f)
{
    uint64_t gap = f->at.number - o->place.number;

    if ((int64_t)gap < 0 || tail_of(o) + gap > FURTHEST) /* no bridge says so */
        return -EPROTO;
    if (o->is_placed && gap == 0)
        return 0;
    o->is_placed = 1;
    o->place = f->at;
    if (gap != 0)
        tell_gap(o, gap);
    else
        make_mark(o, 0);
    return 0;
}

/* Takes a frame, of which *at bytes were pushed before. As push_all. */
static int take(struct object *o, const struct frame *f, const unsigned char *bytes, size_t n,
                size_t *at)
{
    uint64_t before = o->pushed;
    int rc = *at == 0 ? begin_frame(o, f) : 0;

    rc = rc == 0 ? push_all(o, bytes, n, at) : rc;
    if (o->pushed != before) {
        make_mark(o, 0);
        (void)ipc_notify_post(&o->theirs);
        o->ack_due = 1;
    }
    if (rc == 0 || rc == -EAGAIN)
        return rc;
    if (rc != -EPROTO)
        complain(o, "cannot be written: %s", ipc_strerror(rc));
    return restart(o, o->session);
}

/* Keeps what did not go in. */
static void keep(struct object *o, const struct frame *f, const unsigned char *bytes, size_t n,
                 size_t at)
{
    struct pending *p;

    if (o->pending > 2 * (size_t)WINDOW + 2 * (size_t)LONGEST ||
        (p = malloc(sizeof *p + n)) == NULL) {
        (void)restart(o, o->session);
        return;
    }
    p->next = NULL;
    p->head = *f;
    p->n = n;
    p->at = at;
    memcpy(p->bytes, bytes, n);
    *o->last = p;
    o->last = &p->next;
    o->pending += sizeof *p + n; /* an empty one takes memory, too */
}

void hear_in(struct object *o, const struct frame *f, size_t n)
{
    const unsigned char *bytes = (const unsigned char *)(f + 1);
    size_t at = 0;

    if (f->what == HELLO && n >= sizeof(struct hello))
        hear_hello(o, (const struct hello *)(const void *)f);
    if (f->what != DATA || o->step != AGREED)
        return;
    n -= sizeof *f;
    if (o->first != NULL || take(o, f, bytes, n, &at) == -EAGAIN)
        keep(o, f, bytes, n, at);
}

static int push_pending(struct object *o)
{
    struct pending *p;
    int did = 0;

    while ((p = o->first) != NULL) {
        size_t at = p->at;
        int rc = take(o, &p->head, p->bytes, p->n, &p->at);

        did |= rc != -EAGAIN || p->at != at;
        if (rc != 0)
            break; /* -EPROTO: all are gone */
        o->first = p->next;
        o->pending -= sizeof *p + p->n;
        if (o->first == NULL)
            o->last = &o->first;
        free(p);
    }
    return did;
}

int work_in(struct object *o)
{
    struct frame f;
    int did = push_pending(o);

    if (o->step != AGREED)
        return did;
    if (is_replaced(o)) {
        (void)restart(o, o->session);
        close_object(o);
        return 1;
    }
    if (!o->ack_due)
        return did;
    memset(&f, 0, sizeof f);
    f.what = ACK;
    f.session = o->session;
    f.at = o->place;
    f.skip = o->pushed;
    f.bytes = o->got;
    if (send_frame(o->bridge, &f, sizeof f) != 0)
        return did;
    o->ack_due = 0;
    return 1;
}
