/* Finds, or makes, the rings at both ends. */
#include "bridge.h"

#include <err.h>
#include <stdarg.h>
#include <sys/random.h>

uint64_t random_number(void)
{
    uint64_t n = 0;

    while (n == 0)
        if (getrandom(&n, sizeof n, 0) != (ssize_t)sizeof n && errno != EINTR)
            err(1, "no random numbers");
    return n;
}

void complain(struct object *o, const char *format, ...)
{
    char text[sizeof o->said], *at;
    va_list rest;

    va_start(rest, format);
    (void)vsnprintf(text, sizeof text, format, rest);
    va_end(rest);
    for (at = text; *at != '\0'; at++) /* it may be the other side's */
        *at = *at >= ' ' && *at < 0x7f ? *at : '?';
    if (strcmp(text, o->said) != 0)
        warnx("%s:%s: %s", o->segment, o->name, text);
    (void)snprintf(o->said, sizeof o->said, "%s", text);
}

/* Finds the object of that name, whatever its type. 0 or -ENOENT. */
static int find_object(struct object *o)
{
    unsigned i;

    for (i = 0; i < o->seg.objects; i++)
        if (ipc_shm_list(&o->seg, i, &o->ring) == 0 && strcmp(o->ring.name, o->name) == 0)
            return 0;
    return -ENOENT;
}

/* Reads what the ring is. 0; -EAGAIN: it is not made yet; or another errno. */
static int read_geometry(const struct object *o, struct geometry *g, size_t bell[2])
{
    struct ipc_ring_status s;
    int rc = ipc_ring_inspect(o->ring.mem, o->ring.size, &s);

    if (rc != 0)
        return rc;
    memset(g, 0, sizeof *g);
    g->type = type_of(s.kind);
    g->how = s.how;
    g->version = s.version;
    g->bytes = s.bytes;
    g->capacity = s.capacity;
    memcpy(bell, s.bell, sizeof s.bell);
    return 0;
}

/* Opens or makes the segment of the bridge's own for this ring. anew: the one that is open goes
 * first. 0, or -1: it has complained. */
static int open_own(struct object *o, size_t bytes, int anew)
{
    char name[sizeof o->segment + sizeof o->name + 10];

    (void)snprintf(name, sizeof name, "%s.%s.bridge", o->segment, o->name);
    if (anew) {
        ipc_shm_close(&o->own);
        (void)ipc_shm_unlink(name);
        o->has_own = 0;
    }
    if (ipc_shm_open_or_create(&o->own, name, bytes, NULL) != 0) {
        complain(o, "%s", ipc_shm_why(&o->own));
        return -1;
    }
    o->has_own = 1;
    return 0;
}

/* Takes the state for this bridge. 0, or -EBUSY: marks are of one bridge that writes. (Several may
 * read one broadcast; then the figures are of all.) */
static int hold_state(struct object *o, struct ipc_shm *seg)
{
    struct ipc_peer *me = ipc_shm_peer(seg);
    uint64_t *at = &o->state->holder, holder = ck_pr_load_64(at);

    if (!o->is_out && holder != 0 && holder != me->id && me->alive(me->arg, holder) > 0)
        return ipc_shm_refuse(seg, -EBUSY, "another bridge writes '%s'", o->name);
    if (!ck_pr_cas_64(at, holder, me->id) && !o->is_out)
        return ipc_shm_refuse(seg, -EBUSY, "another bridge takes '%s'", o->name);
    o->state->is_up = 0;
    return 0;
}

/* Finds or makes the object in which the bridge keeps its state, in that segment. 0 or an errno. */
static int make_state(struct object *o, struct ipc_shm *seg)
{
    struct ipc_shm_object own;
    char name[IPC_SHM_NAME_MAX + 20];
    int rc;

    (void)snprintf(name, sizeof name, "%s.bridge-%s", o->name, o->is_out ? "out" : "in");
    rc = ipc_shm_make(seg, name, BRIDGE_TYPE, sizeof *o->state, &own);
    if (rc == 0) {
        o->state = own.mem;
        o->state->is_out = (uint32_t)o->is_out;
        o->state->epoch = random_number();
        o->state->inode = o->seg.inode;
        o->state->magic = BRIDGE_MAGIC;
        rc = ipc_shm_publish(seg, &own);
    } else if (rc == -EEXIST) {
        rc = ipc_shm_find(seg, name, BRIDGE_TYPE, &own);
        o->state = own.mem;
        if (rc == 0 && (own.size < sizeof *o->state || o->state->magic != BRIDGE_MAGIC))
            rc = ipc_shm_refuse(seg, -EPROTO, "'%s' is of another version of ipc_bridge", name);
    }
    return rc == 0 ? hold_state(o, seg) : rc;
}

/* The state is beside the ring that is read ahead, or written; where there is no room for it, in a
 * segment of its own, which may know an earlier segment of that name. 0 or -1. */
static int open_state(struct object *o)
{
    struct ipc_shm *seg = o->has_stage ? &o->own : &o->seg;
    int rc = make_state(o, seg);

    if (rc == -ENOSPC && !o->has_stage) {
        if (open_own(o, 8192, 0) != 0)
            return -1;
        seg = &o->own;
        rc = make_state(o, seg);
        if (rc == 0 && o->state->inode != o->seg.inode) {
            o->state->inode = o->seg.inode;
            o->state->epoch = random_number();
            o->state->acked = UINT64_MAX;
            o->state->mark[0].epoch = o->state->mark[1].epoch = 0;
        }
    }
    if (rc != 0)
        complain(o, "%s", ipc_shm_why(seg));
    return rc == 0 ? 0 : -1;
}

static int open_bells(struct object *o, const size_t bell[2])
{
    unsigned char *mem = o->ring.mem;
    struct ipc_peer *me = ipc_shm_peer(&o->seg);
    int rc = ipc_notify_attach(&o->ours, mem + bell[!o->is_out], IPC_NOTIFY_SIZE, IPC_NOTIFY_FUTEX,
                               me);

    if (rc == 0)
        rc = ipc_notify_attach(&o->theirs, mem + bell[o->is_out], IPC_NOTIFY_SIZE, IPC_NOTIFY_FUTEX,
                               me);
    if (rc != 0)
        complain(o, "the ring's bell: %s", ipc_strerror(rc));
    return rc == 0 ? 0 : -1;
}

/* The rest of opening, where the ring's end is attached. */
static int finish_opening(struct object *o, const size_t bell[2])
{
    const char *why;

    o->from = o->has_stage ? find_kind(o->kind->stage, o->kind->stage == IPC_RECORD_TYPE, &why)
                           : o->kind;
    o->step = THERE;
    if (open_state(o) != 0 || open_bells(o, bell) != 0) {
        close_object(o);
        return -1;
    }
    (void)ipc_notify_post(&o->theirs); /* a sleeper there is to watch this process now */
    o->said[0] = '\0';
    o->next_look = ipc_in_ms(AGAIN_MS);
    return 0;
}

static int give_up_opening(struct object *o)
{
    if (o->has_own)
        ipc_shm_close(&o->own);
    ipc_shm_close(&o->seg);
    o->is_open = o->has_own = o->has_stage = 0;
    return -1;
}

/* Is the stage that of an earlier ring of the name, with no place for this one's messages? 0; 1: yes,
 * and nothing is left in it; -1: something is, or a bridge holds it: it has complained. */
static int is_outdated(struct object *o, const struct ipc_shm_object *ring, const struct geometry *g)
{
    struct ipc_peer *me = ipc_shm_peer(&o->own);
    struct ipc_ring_status s;

    if (ipc_ring_inspect(ring->mem, ring->size, &s) != 0 ||
        (s.bytes == g->bytes && (!is_of_records(g) || s.capacity >= g->capacity)))
        return 0;
    if (s.size == 0 && (s.producer == 0 || me->alive(me->arg, s.producer) <= 0))
        return 1;
    complain(o, "%s.%s.bridge has messages of an earlier, smaller ring of the name: remove it",
             o->segment, o->name);
    return -1;
}

/* Finds or makes the stage, in a segment of the bridge's own. 0 or -1. */
static int make_stage(struct object *o, const struct kind *k, const struct geometry *g,
                      struct ipc_shm_object *ring)
{
    size_t n = k->footprint(g);
    int rc, anew = 0;

    for (;; anew = 1) {
        if (open_own(o, n + 8192, anew) != 0)
            return -1;
        rc = ipc_shm_make_with_others_(&o->own, "stage", g->type, n, ring);
        if (rc == 0)
            rc = k->init(ring->mem, n, g) | ipc_shm_publish(&o->own, ring);
        else if (rc == -EEXIST)
            rc = ipc_shm_find(&o->own, "stage", g->type, ring);
        if (rc != 0) {
            complain(o, "%s", ipc_shm_why(&o->own));
            return -1;
        }
        rc = anew ? 0 : is_outdated(o, ring, g);
        if (rc <= 0)
            return rc;
    }
}

/* Attaches both ends of the stage. 0 or -1. */
static int open_stage(struct object *o)
{
    const struct kind *k;
    struct ipc_shm_object ring;
    struct geometry g = o->is;
    const char *why;
    struct sink to;
    int rc;

    g.type = o->kind->stage;
    g.how = g.type == IPC_RECORD_TYPE;
    k = find_kind(g.type, g.how, &why);
    if (make_stage(o, k, &g, &ring) != 0)
        return -1;
    o->has_stage = 1;
    rc = k->attach_sink(&to, ring.mem, ring.size, (size_t)g.bytes, ipc_shm_peer(&o->own));
    memcpy(&o->source.stage, &to.end, sizeof o->source.stage);
    if (rc == 0)
        rc = k->attach_source(&o->source, ring.mem, ring.size, (size_t)g.bytes,
                              ipc_shm_peer(&o->own));
    if (rc != 0)
        complain(o, "the stage: %s", ipc_shm_peer(&o->own)->why);
    return rc == 0 ? 0 : -1;
}

/* Attaches the end that is read. 0 or -1. */
static int attach_source(struct object *o)
{
    const struct kind *k = o->kind;
    int rc = (k->feed != NULL ? k->attach_feed : k->attach_source)(
        &o->source, o->ring.mem, o->ring.size, (size_t)o->is.bytes, ipc_shm_peer(&o->seg));

    if (rc != 0)
        complain(o, "%s", ipc_shm_peer(&o->seg)->why);
    else if (k->feed != NULL && open_stage(o) != 0) {
        k->detach_feed(&o->source);
        rc = -1;
    }
    return rc == 0 ? 0 : -1;
}

int open_source(struct object *o)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    size_t bell[2];
    const char *why;
    int rc;

    how.flags = IPC_SHM_NO_PREFAULT; /* it may be opened often before the ring is there */
    rc = ipc_shm_open_with(&o->seg, o->segment, IPC_NOW, &how);
    if (rc != 0) {
        if (rc != -ENOENT)
            complain(o, "%s", ipc_shm_why(&o->seg));
        return -1;
    }
    o->is_open = 1;
    rc = find_object(o);
    if (rc == 0)
        rc = read_geometry(o, &o->is, bell);
    if (rc != 0) {
        if (rc != -ENOENT && rc != -EAGAIN)
            complain(o, "not a ring of this version: %s", ipc_strerror(rc));
        return give_up_opening(o);
    }
    o->kind = find_kind(o->is.type, o->is.how, &why);
    if (o->kind == NULL || o->is.bytes > LONGEST) {
        complain(o, "%s", o->kind == NULL ? why : "its messages are longer than 64 MiB");
        return give_up_opening(o);
    }
    return attach_source(o) == 0 ? finish_opening(o, bell) : give_up_opening(o);
}

/* Makes the ring, as the one at the other end is. 0 or -1. */
static int make_ring(struct object *o, const struct geometry *g)
{
    size_t n = o->kind->footprint(g);
    int rc = n != 0 ? ipc_shm_make_with_others_(&o->seg, o->name, g->type, n, &o->ring) : -EINVAL;

    if (rc == -EEXIST) /* another has just made it */
        rc = find_object(o);
    else if (rc == 0) {
        ipc_ring_say_version_(o->ring.mem, n, n, (int)g->version);
        rc = o->kind->init(o->ring.mem, n, g);
        rc = rc != 0 ? rc : ipc_shm_publish(&o->seg, &o->ring);
    }
    if (rc != 0)
        complain(o, "cannot make a ring of %zu bytes: %s", n, ipc_shm_why(&o->seg));
    return rc == 0 ? 0 : -1;
}

/* May messages of a ring that is `g` be pushed into one that is `here`? */
static int fits(struct object *o, const struct geometry *g, const struct geometry *here)
{
    if (here->type != g->type || here->bytes != g->bytes || here->version != g->version)
        complain(o, "the ring at the other end has another kind, size of messages or version");
    else if (is_of_records(g) && here->capacity < g->capacity)
        complain(o, "the records of the other end do not fit: it has %llu bytes, this one %llu",
                 (unsigned long long)g->capacity, (unsigned long long)here->capacity);
    else
        return 1;
    return 0;
}

int open_sink(struct object *o, const struct geometry *g)
{
    struct geometry here;
    size_t bell[2], room = o->room;
    const char *why;
    int rc;

    o->kind = find_kind(g->type, g->how, &why);
    if (o->kind == NULL) {
        complain(o, "%s", why);
        return -1;
    }
    room = room != 0 ? room : o->kind->footprint(g) + (1 << 20);
    rc = ipc_shm_open_or_create(&o->seg, o->segment, room, NULL);
    if (rc != 0) {
        complain(o, "%s", ipc_shm_why(&o->seg));
        return -1;
    }
    o->is_open = 1;
    if (find_object(o) != 0 && make_ring(o, g) != 0)
        return give_up_opening(o);
    rc = read_geometry(o, &here, bell);
    if (rc != 0 || !fits(o, g, &here)) {
        if (rc != 0)
            complain(o, "not a ring of this version: %s", ipc_strerror(rc));
        return give_up_opening(o);
    }
    o->kind = find_kind(here.type, here.how, &why);
    o->is = here;
    rc = o->kind != NULL ? o->kind->attach_sink(&o->sink, o->ring.mem, o->ring.size,
                                                (size_t)here.bytes, ipc_shm_peer(&o->seg))
                         : -EOPNOTSUPP;
    if (rc != 0) {
        complain(o, "%s", rc == -EOPNOTSUPP ? why : ipc_shm_peer(&o->seg)->why);
        return give_up_opening(o);
    }
    return finish_opening(o, bell);
}

void close_object(struct object *o)
{
    if (o->step != ABSENT) {
        if (o->has_stage)
            o->kind->detach_feed(&o->source);
        if (o->is_out)
            o->from->detach_source(&o->source);
        else
            o->kind->detach_sink(&o->sink);
        if (o->theirs.at != NULL)
            (void)ipc_notify_post(&o->theirs);
    }
    ipc_notify_detach(&o->ours);
    ipc_notify_detach(&o->theirs);
    if (o->has_own)
        ipc_shm_close(&o->own);
    if (o->is_open)
        ipc_shm_close(&o->seg);
    o->is_open = o->has_own = o->has_stage = 0;
    o->step = ABSENT;
    o->state = NULL;
}

int is_replaced(struct object *o)
{
    char path[PATH_MAX];
    struct stat st;

    if (ipc_left_(o->next_look) > 0)
        return 0;
    o->next_look = ipc_in_ms(AGAIN_MS);
    (void)snprintf(path, sizeof path, "%s%s", strchr(o->segment, '/') != NULL ? "" : "/dev/shm/",
                   o->segment);
    return stat(path, &st) != 0 || st.st_ino != o->seg.inode || st.st_dev != o->seg.device;
}
