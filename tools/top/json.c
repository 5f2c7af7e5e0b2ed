/* What was seen, as JSON. */
#include "top.h"

#include <err.h>
#include <jansson.h>

static json_int_t count(uint64_t n)
{
    return n <= INT64_MAX ? (json_int_t)n : INT64_MAX;
}

/* An id as text, as it may be above what JSON's readers keep exactly. */
static json_t *id(uint64_t n)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    return json_string(text);
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (value == NULL || json_object_set_new(object, key, value) != 0)
        errx(1, "no memory for the JSON text");
}

static void append(json_t *array, json_t *value)
{
    if (value == NULL || json_array_append_new(array, value) != 0)
        errx(1, "no memory for the JSON text");
}

static void set_process(json_t *to, const struct member *m)
{
    set(to, "state", json_string(state_of(m)));
    if (m == NULL)
        return;
    set(to, "pid", json_integer(m->process.pid));
    set(to, "command", json_string(m->process.command));
}

static json_t *sleep_to_json(int asleep)
{
    if (asleep == 0)
        return json_false();
    if ((asleep & IPC_SLEEPS_LOOP) != 0)
        return json_string("loop");
    return json_string((asleep & IPC_SLEEPS_LONG) != 0 ? "long" : "briefly");
}

static json_t *hold_to_json(const struct segment *seg, const struct hold *h, const struct look *look)
{
    json_t *to = json_object();

    set(to, "what", json_string(name_of_hold(h->is.what)));
    set(to, "id", id(h->is.id));
    set_process(to, member_of(seg, h->is.id));
    set(to, "place", json_integer(count(h->is.place)));
    set(to, "count", json_integer(count(h->is.count)));
    set(to, "behind", json_integer(count(h->is.behind)));
    set(to, "asleep", sleep_to_json(h->asleep));
    set(to, "since", json_real((double)h->since / 1e9));
    set(to, "or_earlier", json_boolean(!h->begun));
    set(to, "seconds", json_real((double)(look->clock - h->since) / 1e9));
    return to;
}

static void set_ring(json_t *to, const struct object *o)
{
    const struct ipc_ring_status *s = &o->s;

    set(to, "kind", json_string(s->kind));
    set(to, "message_bytes", json_integer(count(s->bytes)));
    set(to, "capacity", json_integer(count(s->capacity)));
    set(to, "how", json_integer(s->how));
    set(to, "version", json_integer(s->version));
    set(to, "sent", json_integer(count(s->sent)));
    set(to, "full", json_integer(count(s->size)));
    set(to, "part_full", json_real(part_full(o)));
    set(to, "laps", json_integer(count(s->sent / s->capacity)));
    set(to, "per_second", o->per_second >= 0 ? json_real(o->per_second) : json_null());
    set(to, "aborted", json_integer(count(s->losses.aborted)));
    set(to, "lost", json_integer(count(s->losses.lost)));
    set(to, "again", json_integer(count(s->losses.again)));
    set(to, "readers", json_integer(s->readers));
}

static json_t *bridge_to_json(const struct segment *seg, const struct object *o)
{
    const struct bridge_state *b = &o->bridge;
    json_t *to = json_object();

    set(to, "direction", json_string(b->is_out ? "out" : "in"));
    set(to, "up", json_boolean(is_bridge_up(seg, o)));
    set(to, "carried", json_integer(count(b->carried)));
    set(to, "missed", json_integer(count(b->missed)));
    set(to, "waiting", json_integer(count(b->waiting)));
    set(to, "starts", json_integer(count(b->starts)));
    return to;
}

static json_t *object_to_json(const struct segment *seg, const struct object *o,
                              const struct look *look)
{
    json_t *to = json_object(), *holds = json_array();
    size_t i;

    set(to, "name", json_string(o->name));
    set(to, "type", json_string(o->type));
    set(to, "bytes", json_integer(count(o->size)));
    if (o->rc == 0)
        set_ring(to, o);
    else if (o->bridge.magic != 0)
        set(to, "bridge", bridge_to_json(seg, o));
    else
        set(to, "error", json_string(ipc_strerror(o->rc)));
    set(to, "consumers_asleep", sleep_to_json(o->asleep[0]));
    set(to, "producers_asleep", sleep_to_json(o->asleep[1]));
    for (i = 0; i < o->holds_count; i++)
        append(holds, hold_to_json(seg, &o->holds[i], look));
    set(to, "holders", holds);
    set(to, "cut", json_boolean(o->cut));
    return to;
}

static json_t *segment_to_json(const struct segment *seg, const struct look *look)
{
    json_t *to = json_object(), *members = json_array(), *objects = json_array();
    size_t i;

    set(to, "name", json_string(seg->name));
    set(to, "user", json_integer(seg->owner));
    set(to, "mode", json_integer(seg->mode));
    set(to, "device", json_integer(count(seg->device)));
    set(to, "inode", json_integer(count(seg->inode)));
    set(to, "bytes", json_integer(count(seg->size)));
    set(to, "used", json_integer(count(seg->used)));
    set(to, "places", json_integer(seg->places));
    if (seg->rc != 0)
        set(to, "error", json_string(seg->why));
    for (i = 0; i < seg->members_count; i++) {
        json_t *m = json_object();

        set(m, "id", id(seg->members[i].is.id));
        set_process(m, &seg->members[i]);
        append(members, m);
    }
    for (i = 0; i < seg->objects_count; i++)
        append(objects, object_to_json(seg, &seg->objects[i], look));
    set(to, "members", members);
    set(to, "objects", objects);
    set(to, "cut", json_boolean(seg->cut));
    return to;
}

void print_json(FILE *to, const struct look *look)
{
    json_t *all = json_object(), *segments = json_array();
    size_t i;

    for (i = 0; i < look->count; i++)
        append(segments, segment_to_json(&look->segments[i], look));
    set(all, "ipc_top", json_string(IPC_RING_VERSION));
    set(all, "time", json_real((double)look->clock / 1e9));
    set(all, "segments", segments);
    (void)json_dumpf(all, to, JSON_INDENT(1)); /* its caller asks for errors of the file */
    (void)fputc('\n', to);
    json_decref(all);
}
