/* What was seen, as text, and for Prometheus. */
#include "top.h"

#include <inttypes.h>
#include <pwd.h>

static const struct {
    const char *name, *says;
} holds[IPC_HOLDS_KINDS] = {
    [IPC_HOLDS_PRODUCER] = {"producer", "producer"},
    [IPC_HOLDS_CONSUMER] = {"consumer", "consumer"},
    [IPC_HOLDS_LANE] = {"lane", "producer, lane"},
    [IPC_HOLDS_READER] = {"reader", "reader, seat"},
    [IPC_HOLDS_HANDLE] = {"handle", "handle, seat"},
    [IPC_HOLDS_SERVER] = {"server", "server, seat"},
    [IPC_HOLDS_CALLER] = {"caller", "caller, slot"},
    [IPC_HOLDS_REQUEST] = {"request", "waits for a reply, slot"},
    [IPC_HOLDS_CALL] = {"call", "serves the call, slot"},
    [IPC_HOLDS_WRITING] = {"writing", "writes to slot"},
    [IPC_HOLDS_READING] = {"reading", "reads from slot"},
    [IPC_HOLDS_LATE_WRITING] = {"late_writing", "passed over, writes to slot"},
    [IPC_HOLDS_LATE_READING] = {"late_reading", "passed over, reads from slot"},
};

const char *name_of_hold(enum ipc_ring_held what)
{
    return holds[what].name;
}

const char *state_of(const struct member *m)
{
    if (m == NULL)
        return "left"; /* or dead, and its place is another's */
    if (!m->is.alive)
        return "dead";
    if (!m->is.here)
        return "elsewhere"; /* in another PID namespace */
    if (m->process.state == 0)
        return "unproven"; /* no such process, but what it left keeps its place */
    return is_stopped(&m->process) ? "stopped" : "alive";
}

int is_bridge_up(const struct segment *seg, const struct object *o)
{
    const struct member *m = member_of(seg, o->bridge.holder);

    return o->bridge.is_up != 0 && m != NULL && m->is.alive;
}

double part_full(const struct object *o)
{
    double room = (double)o->s.capacity;

    if (o->rc != 0 || room <= 0 || (o->s.bell[0] == 0))
        return -1;
    if (strcmp(o->s.kind, "records") == 0) /* the capacity is that of one lane */
        room *= o->s.how > 0 ? o->s.how : 1;
    return (double)o->s.size / room;
}

uint64_t lost_messages(const struct object *o)
{
    return o->rc == 0 ? o->s.losses.aborted + o->s.losses.lost : 0;
}

void print_number(char *to, size_t size, double number)
{
    static const char units[] = " kMGTPE";
    unsigned i = 0;

    for (; number >= 999.5 && units[i + 1] != '\0'; i++)
        number /= 1000;
    (void)snprintf(to, size, number < 9.995 && (i > 0 || number != (double)(int)number) ? "%.2f%s%c" :
                   number < 99.95 && i > 0 ? "%.1f%s%c" : "%.0f%s%c", number, i > 0 ? " " : "",
                   i > 0 ? units[i] : '\0');
}

/* The process that holds something, in words. */
static void print_holder(FILE *to, const struct segment *seg, uint64_t id)
{
    const struct member *m = member_of(seg, id);

    if (id == UINT64_MAX)
        fputs("a process without an ipc_peer", to);
    else if (m == NULL)
        fputs(id == 0 ? "nobody: its holder has left" : "a process that has left or is dead", to);
    else
        fprintf(to, "pid %ld%s%s, %s", (long)m->process.pid, m->process.command[0] ? " " : "",
                m->process.command, state_of(m));
}

static const char *sleep_of(int asleep)
{
    if ((asleep & IPC_SLEEPS_LOOP) != 0)
        return "in an event loop";
    return (asleep & IPC_SLEEPS_LONG) != 0 ? "for long" : "for a moment";
}

static void print_time(FILE *to, const struct hold *h, const struct look *look)
{
    time_t at = (time_t)(h->since / 1000000000);
    char text[32];
    struct tm tm;

    (void)strftime(text, sizeof text, "%H:%M:%S", localtime_r(&at, &tm));
    fprintf(to, ", since %s%s (%.1f s)", text, h->begun ? "" : " or earlier",
            (double)(look->clock - h->since) / 1e9);
}

static void print_hold(FILE *to, const struct segment *seg, const struct hold *h,
                       const struct look *look)
{
    fprintf(to, "        %s", holds[h->is.what].says);
    if (h->is.what > IPC_HOLDS_CONSUMER)
        fprintf(to, " %" PRIu64, h->is.place);
    if (h->is.count > 1)
        fprintf(to, " to %" PRIu64, h->is.place + h->is.count - 1);
    fputs(": ", to);
    print_holder(to, seg, h->is.id);
    print_time(to, h, look);
    if (h->is.what == IPC_HOLDS_READER || h->is.what == IPC_HOLDS_LANE)
        fprintf(to, ", %" PRIu64 " %s", h->is.behind,
                h->is.what == IPC_HOLDS_READER ? "behind" : "bytes are unread");
    else if (h->is.behind > 0)
        fprintf(to, ", %" PRIu64 " sent since", h->is.behind);
    fprintf(to, "%s\n", h->asleep ? ", sleeps" : "");
}

static void print_ring(FILE *to, const struct object *o)
{
    const struct ipc_ring_status *s = &o->s;
    char number[32];

    if (strcmp(s->kind, "records") == 0)
        fprintf(to, "%s, %" PRIu32 " x %" PRIu64 " bytes, %" PRIu64 " are full", s->kind, s->how,
                s->capacity, s->size);
    else
        fprintf(to, "%s, %" PRIu64 " x %" PRIu64 " bytes", s->kind, s->capacity, s->bytes);
    if (strcmp(s->kind, "records") != 0)
        fprintf(to, ", %" PRIu64 " are %s", s->size,
                strcmp(s->kind, "calls") == 0 ? "under way" : "full");
    fprintf(to, " (%.0f %%), %s%" PRIu64 " sent, lap %" PRIu64, 100 * part_full(o),
            strcmp(s->kind, "MPMC") == 0 ? "about " : "", s->sent, s->sent / s->capacity);
    if (o->per_second >= 0) {
        print_number(number, sizeof number, o->per_second);
        fprintf(to, ", %s/s", number);
    }
    if (lost_messages(o) > 0)
        fprintf(to, ", lost with the dead: %" PRIu64 " unsent, %" PRIu64 " taken", s->losses.aborted,
                s->losses.lost);
    if (s->losses.again > 0)
        fprintf(to, ", %" PRIu64 " handed out again", s->losses.again);
    if (s->readers > 0)
        fprintf(to, ", %u readers", s->readers);
    if (strstr(s->kind, "broadcast") != NULL && (s->how & IPC_BROADCAST_LOSSY) != 0)
        fputs(", lossy: its readers leave no trace", to);
    fputc('\n', to);
}

static void print_object(FILE *to, const struct segment *seg, const struct object *o,
                         const struct look *look)
{
    static const char *const sleepers[2][2] = {{"consumers sleep", "producers sleep"},
                                               {"servers sleep", "callers sleep, for a slot"}};
    char number[32];
    size_t i;

    print_number(number, sizeof number, (double)o->size);
    fprintf(to, "    %s: ", o->name);
    if (o->rc == 0)
        print_ring(to, o);
    else if (o->bridge.magic != 0)
        fprintf(to, "ipc_bridge %s, %s: %" PRIu64 " carried, %" PRIu64 " missed, %" PRIu64
                " on the way, agreed %" PRIu64 " times\n",
                o->bridge.is_out ? "out" : "in", is_bridge_up(seg, o) ? "up" : "down", o->bridge.carried,
                o->bridge.missed, o->bridge.waiting, o->bridge.starts);
    else if (o->rc == -EFAULT)
        fprintf(to, "%s, %sB: could not be read in time\n", o->type, number);
    else
        fprintf(to, "%s, %sB%s\n", o->type, number,
                o->rc == -EBADMSG ? ": a ring that is corrupt"
                : o->rc == -EAGAIN && strcmp(o->type, "bell") != 0 && strcmp(o->type, "none") != 0
                    ? ": is being made" : ""); /* none: a direction that its listener does not use */
    for (i = 0; i < 2; i++)
        if (o->asleep[i])
            fprintf(to, "        %s %s\n",
                    o->rc != 0 ? "processes sleep"
                               : sleepers[strcmp(o->s.kind, "calls") == 0][i],
                    sleep_of(o->asleep[i]));
    for (i = 0; i < o->holds_count; i++)
        print_hold(to, seg, &o->holds[i], look);
    if (o->cut)
        fputs("        there is more\n", to);
}

static void print_owner(FILE *to, const struct segment *seg)
{
    const struct passwd *user = getpwuid((uid_t)seg->owner);

    if (user != NULL)
        fprintf(to, "user %s", user->pw_name);
    else
        fprintf(to, "user %" PRId64, seg->owner);
    fprintf(to, ", mode %03o", seg->mode);
}

void print_segment(FILE *to, const struct segment *seg, const struct look *look)
{
    char size[32], used[32];
    size_t i;

    if (seg->rc != 0) {
        fprintf(to, "%s: %s\n", seg->name, seg->why);
        return;
    }
    print_number(size, sizeof size, (double)seg->size);
    print_number(used, sizeof used, (double)seg->used);
    fprintf(to, "%s: %sB, %sB are used, ", seg->name, size, used);
    print_owner(to, seg);
    fprintf(to, ", %zu of %u places are taken%s\n", seg->members_count, seg->places,
            seg->cut ? "; it could not be read to its end" : "");
    for (i = 0; i < seg->members_count; i++) {
        const struct member *m = &seg->members[i];

        fprintf(to, "    pid %ld%s%s: %s\n", (long)m->process.pid,
                m->process.command[0] ? " " : "", m->process.command, state_of(m));
    }
    for (i = 0; i < seg->objects_count; i++)
        print_object(to, seg, &seg->objects[i], look);
}

void print_text(FILE *to, const struct look *look)
{
    size_t i;

    for (i = 0; i < look->count; i++)
        print_segment(to, &look->segments[i], look);
    if (look->count == 0)
        fputs("no segments here that this user may read\n", to);
}

/* ------------------------------------------------------------------ Prometheus */

/* A name within quotation marks. Names are printable. */
static void print_quoted(FILE *to, const char *name)
{
    for (; *name != '\0'; name++)
        fprintf(to, *name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
}

static void begin_line(FILE *to, const char *metric, const struct segment *seg,
                       const struct object *o)
{
    fprintf(to, "%s{segment=\"", metric);
    print_quoted(to, seg->name);
    if (o != NULL) {
        fputs("\",ring=\"", to);
        print_quoted(to, o->name);
        fprintf(to, "\",entry=\"%" PRIu32 "\",kind=\"%s", o->index, o->s.kind);
    }
    fputc('"', to);
}

static void end_line(FILE *to, double value)
{
    fprintf(to, "} %.17g\n", value);
}

static void print_help(FILE *to, const char *metric, const char *type, const char *help)
{
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

static double value_of_ring(const struct object *o, int metric)
{
    switch (metric) {
    case 0:
        return (double)o->s.sent;
    case 1:
        return (double)o->s.size;
    case 2:
        return (double)o->s.capacity;
    case 3:
        return (double)o->s.losses.aborted;
    case 4:
        return (double)o->s.losses.lost;
    case 5:
        return (double)o->s.losses.again;
    case 6:
        return o->asleep[0] != 0;
    case 7:
        return o->asleep[1] != 0;
    default:
        return o->s.readers;
    }
}

static void print_rings(FILE *to, const struct look *look)
{
    static const struct {
        const char *name, *type, *help;
    } metrics[] = {
        {"ipc_ring_sent_total", "counter",
         "Messages sent, MPMC: about; bytes of records; calls begin anew after 2^23."},
        {"ipc_ring_full", "gauge", "Messages not taken yet, bytes of records; calls under way."},
        {"ipc_ring_capacity", "gauge", "Room for messages, bytes of records for each producer."},
        {"ipc_ring_aborted_total", "counter", "Messages that a dead producer left unsent."},
        {"ipc_ring_lost_total", "counter", "Messages that died with their consumer."},
        {"ipc_ring_again_total", "counter", "Messages handed out again that a killed consumer had, or one gave back."},
        {"ipc_ring_consumers_asleep", "gauge", "1 while consumers, readers or servers sleep."},
        {"ipc_ring_producers_asleep", "gauge", "1 while producers, or callers for a slot, sleep."},
        {"ipc_ring_readers", "gauge", "Readers of a lossless broadcast."},
    };
    size_t i, j;
    int m;

    for (m = 0; m < (int)(sizeof metrics / sizeof *metrics); m++) {
        print_help(to, metrics[m].name, metrics[m].type, metrics[m].help);
        for (i = 0; i < look->count; i++)
            for (j = 0; j < look->segments[i].objects_count; j++) {
                const struct object *o = &look->segments[i].objects[j];

                if (o->rc != 0)
                    continue;
                begin_line(to, metrics[m].name, &look->segments[i], o);
                end_line(to, value_of_ring(o, m));
            }
    }
}

/* What ipc_bridge keeps beside a ring. */
static void print_bridges(FILE *to, const struct look *look)
{
    static const struct {
        const char *name, *type, *help;
    } metrics[] = {
        {"ipc_bridge_up", "gauge", "1 while the two bridges carry the ring."},
        {"ipc_bridge_carried_total", "counter", "Messages that were carried."},
        {"ipc_bridge_missed_total", "counter", "Messages that were lost on the way."},
    };
    size_t i, j, m;

    for (m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        print_help(to, metrics[m].name, metrics[m].type, metrics[m].help);
        for (i = 0; i < look->count; i++)
            for (j = 0; j < look->segments[i].objects_count; j++) {
                const struct object *o = &look->segments[i].objects[j];
                const struct bridge_state *b = &o->bridge;

                if (b->magic == 0)
                    continue;
                begin_line(to, metrics[m].name, &look->segments[i], NULL);
                fputs(",object=\"", to);
                print_quoted(to, o->name);
                fputc('"', to);
                end_line(to, m == 0   ? is_bridge_up(&look->segments[i], o)
                             : m == 1 ? (double)b->carried
                                      : (double)b->missed);
            }
    }
}

/* How far readers and lanes are behind, and how many slots are held. */
static void print_holds(FILE *to, const struct look *look, int slots)
{
    const char *metric = slots ? "ipc_ring_held_slots" : "ipc_ring_behind";
    size_t i, j, k;

    print_help(to, metric, "gauge",
               slots ? "Slots, by what is done with them." :
                       "Messages, or bytes of records, before a reader or in a producer's lane.");
    for (i = 0; i < look->count; i++)
        for (j = 0; j < look->segments[i].objects_count; j++) {
            const struct segment *seg = &look->segments[i];
            const struct object *o = &seg->objects[j];
            uint64_t held[IPC_HOLDS_KINDS] = {0};

            for (k = 0; k < o->holds_count; k++) {
                const struct ipc_ring_hold *h = &o->holds[k].is;
                const struct member *m = member_of(seg, h->id);

                held[h->what] += h->count;
                if (slots || (h->what != IPC_HOLDS_READER && h->what != IPC_HOLDS_LANE))
                    continue;
                begin_line(to, metric, seg, o);
                fprintf(to, ",place=\"%" PRIu64 "\",pid=\"%ld\"", h->place,
                        m != NULL ? (long)m->process.pid : 0);
                end_line(to, (double)h->behind);
            }
            for (k = IPC_HOLDS_REQUEST; slots && k < IPC_HOLDS_KINDS; k++) {
                if (held[k] == 0)
                    continue;
                begin_line(to, metric, seg, o);
                fprintf(to, ",what=\"%s\"", holds[k].name);
                end_line(to, (double)held[k]);
            }
        }
}

void print_prometheus(FILE *to, const struct look *look)
{
    static const char *const states[] = {"alive", "stopped", "dead", "elsewhere", "unproven"};
    size_t i, j, k;

    print_help(to, "ipc_segment_bytes", "gauge", "Size of the segment.");
    for (i = 0; i < look->count; i++) {
        begin_line(to, "ipc_segment_bytes", &look->segments[i], NULL);
        end_line(to, (double)look->segments[i].size);
    }
    print_help(to, "ipc_segment_used_bytes", "gauge", "How much of it objects have.");
    for (i = 0; i < look->count; i++) {
        begin_line(to, "ipc_segment_used_bytes", &look->segments[i], NULL);
        end_line(to, (double)look->segments[i].used);
    }
    print_help(to, "ipc_segment_readable", "gauge", "0 if it was refused, or not read to its end.");
    for (i = 0; i < look->count; i++) {
        begin_line(to, "ipc_segment_readable", &look->segments[i], NULL);
        end_line(to, look->segments[i].rc == 0 && !look->segments[i].cut);
    }
    print_help(to, "ipc_segment_members", "gauge", "Processes that have it open, by their state.");
    for (i = 0; i < look->count; i++)
        for (j = 0; j < sizeof states / sizeof *states; j++) {
            const struct segment *seg = &look->segments[i];
            unsigned n = 0;

            for (k = 0; k < seg->members_count; k++)
                n += strcmp(state_of(&seg->members[k]), states[j]) == 0;
            begin_line(to, "ipc_segment_members", seg, NULL);
            fprintf(to, ",state=\"%s\"", states[j]);
            end_line(to, n);
        }
    print_rings(to, look);
    print_bridges(to, look);
    print_holds(to, look, 0);
    print_holds(to, look, 1);
}
