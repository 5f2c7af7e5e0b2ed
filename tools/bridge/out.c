/*
 * The side that reads a ring: sends ahead of what the other bridge has acknowledged, and releases
 * nothing before that.
 *
 *   step     what goes on to the next
 *   ABSENT   the ring is there, and its end is free
 *   THERE    there is a link, and HELLO is on the way
 *   ASKED    WELCOME: reading begins where the other ring ends
 *   AGREED   messages go; back to THERE where the link is lost, or RESTART comes
 */
#include "bridge.h"

/* The first bytes of the frame that is being made. */
static struct frame *head_of(struct object *o)
{
    return (struct frame *)(void *)o->frame;
}

/* Room for a frame with n bytes of messages. 0 or -ENOMEM. */
static int make_room(struct object *o, size_t n)
{
    unsigned char *more;

    if (o->frame_size >= n + sizeof(struct frame))
        return 0;
    more = realloc(o->frame, n + sizeof(struct frame));
    if (more == NULL)
        return -ENOMEM;
    o->frame = more;
    o->frame_size = n + sizeof(struct frame);
    return 0;
}

void forget_out(struct object *o)
{
    if (o->step > THERE)
        o->step = THERE;
    o->frame_n = 0;
    o->next_try = 0;
    if (o->state != NULL)
        o->state->is_up = 0;
}

static void say_hello(struct object *o)
{
    struct hello h;

    memset(&h, 0, sizeof h);
    if (o->step == THERE)
        o->session = random_number();
    h.head.what = HELLO;
    h.head.session = o->session;
    h.head.at = o->from->start(&o->source);
    h.protocol = PROTOCOL;
    h.epoch = o->state->epoch;
    h.is = o->is;
    (void)snprintf(h.name, sizeof h.name, "%s", o->name);
    if (send_frame(o->bridge, &h, sizeof h) != 0)
        return;
    o->step = ASKED;
    o->next_try = ipc_in_ms(AGAIN_MS);
}

/* Reads the next message to o->frame + at, which grows for one that is longer than all before. */
static int64_t read_message(struct object *o, size_t at)
{
    size_t room;
    int64_t n;

    for (;;) {
        n = at <= o->frame_size ? o->from->read(&o->source, o->frame + at, o->frame_size - at)
                                : -EMSGSIZE;
        if (n != -EMSGSIZE || head_of(o)->count > 0)
            return n;
        room = 2 * o->frame_size > (size_t)o->is.bytes ? 2 * o->frame_size : (size_t)o->is.bytes;
        if (o->frame_size > LONGEST || make_room(o, room) != 0)
            return -EFBIG;
    }
}

/* Copies the next message to the end of the frame. 1; 0: there is none, or the frame is full; or a
 * negative errno. */
static int add_message(struct object *o)
{
    size_t before = is_of_records(&o->is) ? sizeof(struct record) : 0, at = o->frame_n + before;
    int64_t n = o->frame_n < BATCH ? read_message(o, at) : -EMSGSIZE;
    struct record r;

    if (n < 0)
        return n == -EAGAIN || n == -EMSGSIZE ? 0 : (int)n;
    if (before != 0) {
        r.end = o->from->where(&o->source).at;
        r.n = (uint64_t)n;
        memcpy(o->frame + o->frame_n, &r, sizeof r);
    }
    o->frame_n = at + (size_t)n;
    o->sent += (uint64_t)n + before;
    head_of(o)->count++;
    return 1;
}

/* Makes a frame of the messages that are there. A loss ends it: the number of the next one tells.
 * 0, or a negative errno. */
static int fill_frame(struct object *o)
{
    int rc;

    if (make_room(o, BATCH) != 0)
        return -ENOMEM;
    memset(o->frame, 0, sizeof(struct frame));
    o->frame_n = sizeof(struct frame);
    do {
        if (head_of(o)->count == 0)
            head_of(o)->at = o->from->where(&o->source);
        rc = add_message(o);
    } while (rc == 1 || (rc == -EOVERFLOW && head_of(o)->count == 0));
    head_of(o)->what = DATA;
    head_of(o)->session = o->session;
    if (head_of(o)->count > 0)
        return 0;
    o->frame_n = 0;
    return rc;
}

/* How many were lost before the first message of the frame. */
static void count_gap(struct object *o)
{
    const struct frame *f = head_of(o);

    o->state->missed += f->at.number - o->expected;
    o->expected = f->at.number + f->count;
}

/* Sends what there is. Whether something went out. */
static int send_messages(struct object *o)
{
    int rc, did = 0;

    if (o->has_stage && o->kind->feed(&o->source))
        (void)ipc_notify_post(&o->theirs);
    while (o->sent - o->taken < WINDOW || o->frame_n > 0) {
        if (o->frame_n == 0) {
            rc = fill_frame(o);
            if (rc != 0) {
                complain(o, "cannot be read: %s", ipc_strerror(rc));
                forget_out(o);
                close_object(o);
                o->next_try = ipc_in_ms(AGAIN_MS);
                return 0;
            }
            if (o->frame_n == 0)
                break;
            count_gap(o);
        }
        if (send_frame(o->bridge, o->frame, o->frame_n) != 0)
            break;
        o->frame_n = 0;
        did = 1;
    }
    o->state->waiting = o->from->where(&o->source).number - o->state->acked;
    return did;
}

int work_out(struct object *o)
{
    if (o->step != ABSENT && is_replaced(o)) {
        forget_out(o);
        close_object(o);
    }
    if (o->step == AGREED)
        return send_messages(o);
    if (ipc_left_(o->next_try) > 0)
        return 0;
    if (o->step == ABSENT && open_source(o) != 0) {
        o->next_try = ipc_in_ms(AGAIN_MS / 10);
        return 0;
    }
    say_hello(o);
    return o->step == ASKED;
}

/* What the other ring has by now may be more than what was acknowledged. Where messages are lost on
 * the way nobody knows how many of them. */
static void count_welcomed(struct object *o)
{
    struct bridge_state *s = o->state;

    if (s->starts > 0 && o->from->skip == NULL && o->expected > s->acked)
        s->carried += o->expected - s->acked;
    s->acked = o->expected;
    s->starts++;
}

/* The other ring has all before a place, and so many behind that. */
static void hear_welcome(struct object *o, const struct frame *f)
{
    if (o->from->go_to(&o->source, f->at, f->skip) != 0) {
        complain(o, "the other ring has messages that this one never had: begins anew");
        o->state->epoch = random_number();
        o->state->acked = UINT64_MAX;
        forget_out(o);
        o->next_try = ipc_in_ms(AGAIN_MS / 10);
        return;
    }
    o->expected = f->at.number + f->skip;
    o->step = AGREED;
    o->sent = o->taken = o->pushed = 0;
    o->frame_n = 0;
    o->state->is_up = 1;
    count_welcomed(o);
    o->said[0] = '\0';
    o->from->release(&o->source, o->from->where(&o->source));
    (void)ipc_notify_post(&o->theirs);
}

/* What was not asked for is not heard: else the other side could have this one complain without end. */
void hear_out(struct object *o, const struct frame *f, size_t n)
{
    struct refusal r;

    if (f->what == WELCOME && o->step == ASKED)
        hear_welcome(o, f);
    else if (f->what == ACK && o->step == AGREED) {
        o->from->release(&o->source, f->at);
        (void)ipc_notify_post(&o->theirs);
        o->taken = f->bytes;
        o->state->acked = f->at.number;
        o->state->carried += f->skip - o->pushed;
        o->pushed = f->skip;
        o->state->waiting = o->from->where(&o->source).number - o->state->acked;
    } else if (f->what == REFUSAL && o->step == ASKED && n >= sizeof r) {
        memcpy(&r, f, sizeof r);
        r.why[sizeof r.why - 1] = '\0';
        complain(o, "the other side refuses it: %s", r.why);
        forget_out(o);
        o->next_try = ipc_in_ms(AGAIN_MS);
    } else if (f->what == RESTART) {
        forget_out(o);
        o->next_try = ipc_in_ms(AGAIN_MS / 10);
    }
}
