/*
 * Tests of ipc_top on a terminal, which is a pty of this test's: what it prints, its keys, and what
 * hostile segments do to it. The first argument is the program.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include "ipc_channel.h"

#define LONG_MS 60000 /* longer than any working call takes */
#define HANG_S 300
#include "harness.h"
#include "terminal.h"
#include "tools/bridge/state.h"

#include <jansson.h>

#define SLOTS 16u

struct tick {
    uint64_t number, twice;
};
IPC_SPSC(spsc, struct tick)
IPC_MPMC(mpmc, struct tick)
IPC_BROADCAST(cast, struct tick)
IPC_RECORDS(records)
IPC_RECORD_BROADCAST(tape)
IPC_STREAM(stream, uint64_t)
IPC_CALL(call, uint64_t, uint64_t)

static const char *program;
static const struct tick t;

static void must_do(int rc, const struct ipc_shm *seg)
{
    if (rc != 0)
        dprintf(2, "%s\n", ipc_shm_why(seg));
    IS(rc, 0);
}

/* ------------------------------------------------------------------ what is shown */

/* A process with one of each kind. */
struct all {
    struct ipc_shm seg;
    struct spsc_producer spsc;
    struct mpmc_producer claims;
    struct mpmc_consumer peeks;
    struct cast_producer cast;
    struct cast_consumer reader;
    struct records_producer records;
    struct tape_producer tape;
    struct stream_producer stream;
    struct call_client client;
    struct call_server server;
};

static void make_all(struct all *a)
{
    struct ipc_shm *seg = &a->seg;
    uint64_t number = 1;

    must_do(ipc_shm_create(seg, name, 1 << 20), seg);
    must_do(spsc_producer_create(&a->spsc, seg, "spsc", SLOTS), seg);
    must_do(mpmc_create(seg, "mpmc", SLOTS, IPC_MPMC_AT_MOST_ONCE), seg);
    must_do(mpmc_producer_open(&a->claims, seg, "mpmc"), seg);
    must_do(mpmc_consumer_open(&a->peeks, seg, "mpmc"), seg);
    must_do(cast_producer_create(&a->cast, seg, "cast", SLOTS, IPC_BROADCAST_LOSSLESS), seg);
    must_do(cast_consumer_open(&a->reader, seg, "cast"), seg);
    must_do(records_producer_create(&a->records, seg, "records", 1024, 2), seg);
    must_do(tape_producer_create(&a->tape, seg, "tape", 1024, IPC_BROADCAST_LOSSY), seg);
    must_do(stream_producer_create(&a->stream, seg, "stream", 512), seg);
    must_do(call_create(seg, "call", 4), seg);
    must_do(call_client_open(&a->client, seg, "call"), seg);
    must_do(call_server_open(&a->server, seg, "call"), seg);
    IS(mpmc_push(&a->claims, &t), 0);
    MUST(mpmc_peek(&a->peeks) != NULL);
    MUST(mpmc_claim(&a->claims) != NULL);
    IS(spsc_push(&a->spsc, &t), 0);
    IS(cast_push(&a->cast, &t), 0);
    IS(records_push(&a->records, "record", 6), 0);
    IS(tape_push(&a->tape, "record", 6), 0);
    IS(stream_push_n(&a->stream, &number, 1), 1);
    IS(call_ask(&a->client, &number), 0);
}

static void makes_all_and_waits(struct child *up, void *arg)
{
    struct all a;

    (void)arg;
    make_all(&a);
    tell(up, a.seg.peer.id);
    wait_for_death();
}

/* What the program prints with these arguments, until it ends with that status. */
static char *prints(char *const *argv, int status)
{
    struct terminal with = open_terminal(program, argv);

    return read_to_end(&with, status);
}

static json_t *json_of(const char *interval)
{
    char *argv[] = {(char *)"ipc_top", (char *)"--json", (char *)"-i", (char *)interval, name, NULL};
    char *text = prints(argv, 0);
    json_error_t why;
    json_t *all = json_loads(text, 0, &why);

    if (all == NULL)
        dprintf(2, "%s\nline %d: %s\n", text, why.line, why.text);
    MUST(all != NULL);
    free(text);
    return all;
}

/* The member of that array whose `key` is `value`, or NULL. */
static json_t *find(json_t *array, const char *key, const char *value)
{
    size_t i;

    for (i = 0; i < json_array_size(array); i++) {
        json_t *one = json_array_get(array, i);
        const char *is = json_string_value(json_object_get(one, key));

        if (is != NULL && strcmp(is, value) == 0)
            return one;
    }
    return NULL;
}

static json_t *segment_in(json_t *all)
{
    json_t *seg = find(json_object_get(all, "segments"), "name", name);

    MUST(seg != NULL);
    return seg;
}

static json_t *ring_in(json_t *all, const char *ring)
{
    json_t *o = find(json_object_get(segment_in(all), "objects"), "name", ring);

    MUST(o != NULL);
    return o;
}

static int64_t number_in(json_t *o, const char *key)
{
    MUST(json_is_number(json_object_get(o, key)));
    return (int64_t)json_number_value(json_object_get(o, key));
}

static void is_text(json_t *o, const char *key, const char *text)
{
    const char *is = json_string_value(json_object_get(o, key));

    must_(is != NULL && strcmp(is, text) == 0, key, is != NULL ? is : "is none", __FILE__, __LINE__);
}

/* Something of the ring is held, by the child, in that state. */
static json_t *is_held(json_t *ring, const char *what, const struct child *c, const char *state)
{
    json_t *hold = find(json_object_get(ring, "holders"), "what", what);

    must_(hold != NULL, "not held:", what, __FILE__, __LINE__);
    is_text(hold, "state", state);
    if (c != NULL)
        IS(number_in(hold, "pid"), c->pid);
    return hold;
}

static void json_has_all_kinds(void **state)
{
    static const char *const kinds[][3] = {
        {"spsc", "SPSC", "producer"},       {"mpmc", "MPMC", "writing"},
        {"cast", "broadcast", "reader"},    {"records", "records", "lane"},
        {"stream", "stream", "producer"},   {"tape", "record broadcast", "producer"},
        {"call", "calls", "request"},
    };
    struct child c = spawn(makes_all_and_waits, NULL);
    json_t *all, *o;
    size_t i;

    (void)state;
    (void)hear(&c);
    all = json_of("0");
    IS(json_array_size(json_object_get(segment_in(all), "members")), 1);
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        o = ring_in(all, kinds[i][0]);
        is_text(o, "kind", kinds[i][1]);
        (void)is_held(o, kinds[i][2], &c, "alive");
        MUST(number_in(o, "sent") >= 1 && json_is_null(json_object_get(o, "per_second")));
    }
    o = ring_in(all, "mpmc");
    MUST(number_in(o, "sent") == 2 && number_in(o, "capacity") == SLOTS);
    IS(number_in(is_held(o, "reading", &c, "alive"), "behind"), 1);
    IS(number_in(is_held(ring_in(all, "cast"), "reader", &c, "alive"), "behind"), 1);
    json_decref(all);

    stop_child(&c);
    all = json_of("0.1"); /* two looks: it has been held for the time between them, and maybe longer */
    o = is_held(ring_in(all, "mpmc"), "writing", &c, "stopped");
    MUST(json_real_value(json_object_get(o, "seconds")) >= 0.1);
    MUST(json_is_true(json_object_get(o, "or_earlier")));
    MUST(json_real_value(json_object_get(ring_in(all, "spsc"), "per_second")) == 0);
    json_decref(all);

    kill_child(&c);
    all = json_of("0");
    is_text(find(json_object_get(segment_in(all), "members"), "state", "dead"), "state", "dead");
    (void)is_held(ring_in(all, "mpmc"), "writing", NULL, "dead");
    json_decref(all);
}

static void sends_on(struct child *up, void *arg)
{
    struct spsc_producer out;
    struct spsc_consumer in;
    struct ipc_shm seg;
    struct tick got;

    (void)arg;
    must_do(ipc_shm_create(&seg, name, 1 << 20), &seg);
    must_do(spsc_producer_create(&out, &seg, "spsc", SLOTS), &seg);
    must_do(spsc_consumer_open(&in, &seg, "spsc"), &seg);
    tell(up, 0);
    for (;;) {
        IS(spsc_push(&out, &t), 0);
        IS(spsc_pop(&in, &got), 0);
        (void)usleep(1000);
    }
}

static void rates_are_of_the_time_between_two_looks(void **state)
{
    struct child c = spawn(sends_on, NULL);
    int64_t until = ipc_in_ms(LONG_MS);
    double rate;

    (void)state;
    (void)hear(&c);
    do { /* on a loaded machine the child may not run in between */
        json_t *all = json_of("0.1");

        rate = json_real_value(json_object_get(ring_in(all, "spsc"), "per_second"));
        json_decref(all);
    } while (rate <= 0 && ipc_left_(until) > 0);
    MUST(rate > 0);
}

static void text_and_figures_for_prometheus(void **state)
{
    char *once[] = {(char *)"ipc_top", (char *)"--once", (char *)"-i", (char *)"0", name, NULL};
    char *figures[] = {(char *)"ipc_top", (char *)"--prometheus", name, NULL};
    struct child c = spawn(makes_all_and_waits, NULL);
    char *text, line[400];

    (void)state;
    (void)hear(&c);
    text = prints(once, 0);
    (void)snprintf(line, sizeof line, "writes to slot 1: pid %ld ", (long)c.pid);
    MUST(strstr(text, line) != NULL && strstr(text, " or earlier") != NULL);
    MUST(strstr(text, "mpmc: MPMC, 16 x 16 bytes, 1 are full (6 %), about 2 sent, lap 0") != NULL);
    MUST(strstr(text, "records: records, 2 x 1024 bytes, 16 are full") != NULL);
    MUST(strstr(text, "its readers leave no trace") != NULL);
    free(text);
    text = prints(figures, 0);
    (void)snprintf(line, sizeof line, "\nipc_ring_sent_total{segment=\"%s\",ring=\"mpmc\",entry=\"", name);
    MUST(strstr(text, line) != NULL);
    MUST(strstr(strstr(text, line), "\",kind=\"MPMC\"} 2\r") != NULL);
    (void)snprintf(line, sizeof line, "\nipc_segment_members{segment=\"%s\",state=\"alive\"} 1\r", name);
    MUST(strstr(text, line) != NULL);
    (void)snprintf(line, sizeof line, "kind=\"MPMC\",what=\"reading\"} 1\r");
    MUST(strstr(text, line) != NULL);
    (void)snprintf(line, sizeof line, "kind=\"broadcast\",place=\"0\",pid=\"%ld\"} 1\r", (long)c.pid);
    MUST(strstr(text, line) != NULL);
    free(text);
}

/* Workers hand the last job on by detach: it is there, and nobody is said to have died. */
static void a_message_that_was_given_back_is_there(void **state)
{
    char *once[] = {(char *)"ipc_top", (char *)"--once", (char *)"-i", (char *)"0", name, NULL};
    struct mpmc_producer out;
    struct mpmc_consumer in[2];
    struct ipc_shm seg;
    struct tick got;
    json_t *all;
    char *text;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 16), &seg);
    must_do(mpmc_producer_create(&out, &seg, "mpmc", SLOTS, IPC_MPMC_AT_LEAST_ONCE), &seg);
    must_do(mpmc_consumer_open(&in[0], &seg, "mpmc"), &seg);
    must_do(mpmc_consumer_open(&in[1], &seg, "mpmc"), &seg);
    IS(mpmc_push(&out, &t), 0);
    IS(mpmc_push(&out, &t), 0);
    MUST(mpmc_peek(&in[0]) != NULL);
    IS(mpmc_pop(&in[1], &got), 0);
    mpmc_consumer_detach(&in[0]);
    text = prints(once, 0);
    MUST(strstr(text, "1 are full (6 %), about 2 sent, lap 0, 1 handed out again\r") != NULL);
    free(text);
    all = json_of("0");
    MUST(number_in(ring_in(all, "mpmc"), "full") == 1);
    json_decref(all);
    ipc_shm_close(&seg);
}

/* Figures of ipc_bridge; where that was killed the link is down. */
static void a_bridge_is_shown(void **state)
{
    char *once[] = {(char *)"ipc_top", (char *)"--once", (char *)"-i", (char *)"0", name, NULL};
    char *figures[] = {(char *)"ipc_top", (char *)"--prometheus", name, NULL};
    struct bridge_state *b;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    json_t *all;
    char *text;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 4096), &seg);
    must_do(ipc_shm_make(&seg, "ticks.bridge-in", BRIDGE_TYPE, sizeof *b, &o), &seg);
    b = o.mem;
    b->magic = BRIDGE_MAGIC;
    b->is_up = 1;
    b->holder = ipc_shm_peer(&seg)->id;
    b->carried = 70;
    b->missed = 8;
    must_do(ipc_shm_publish(&seg, &o), &seg);
    text = prints(once, 0);
    MUST(strstr(text, "ticks.bridge-in: ipc_bridge in, up: 70 carried, 8 missed, 0 on the way") != NULL);
    free(text);
    text = prints(figures, 0);
    MUST(strstr(text, "object=\"ticks.bridge-in\"} 70\r") != NULL);
    free(text);
    b->holder++;
    all = json_of("0");
    IS(json_is_false(json_object_get(json_object_get(json_array_get(json_object_get(json_array_get(
        json_object_get(all, "segments"), 0), "objects"), 0), "bridge"), "up")), 1);
    json_decref(all);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ which segments */

static void nameless_and_unlinked_segments_are_found(void **state)
{
    char *argv[] = {(char *)"ipc_top", (char *)"--once", (char *)"-i", (char *)"0", NULL};
    struct ipc_shm nameless, unlinked;
    char *text, shown[64];
    struct stat st;

    (void)state;
    must_do(ipc_shm_create(&nameless, NULL, 4096), &nameless);
    must_do(ipc_shm_create(&unlinked, name, 4096), &unlinked);
    IS(ipc_shm_unlink(name), 0);
    text = prints(argv, 0);
    MUST(fstat(nameless.fd, &st) == 0);
    (void)snprintf(shown, sizeof shown, "memfd:%llu: ", (unsigned long long)st.st_ino);
    MUST(strstr(text, shown) != NULL);
    MUST(fstat(unlinked.fd, &st) == 0);
    (void)snprintf(shown, sizeof shown, "unlinked:%llu ", (unsigned long long)st.st_ino);
    MUST(strstr(text, shown) != NULL);
    free(text);
    ipc_shm_close(&nameless);
    ipc_shm_close(&unlinked);
}

static void system_v_segments_are_found(void **state)
{
    char uri[64], *argv[] = {(char *)"ipc_top", (char *)"--once", (char *)"-i", (char *)"0", uri, NULL};
    struct ipc_channel ch;
    char *text, line[100];

    (void)state;
    (void)snprintf(uri, sizeof uri, "sysvshm:%#x", 0x70000000u | (unsigned)getpid());
    IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    text = prints(argv, 0);
    (void)snprintf(line, sizeof line, "%s: ", uri);
    MUST(strstr(text, line) != NULL);
    (void)snprintf(line, sizeof line, "consumer: pid %ld ", (long)getpid());
    MUST(strstr(text, line) != NULL);
    free(text);
    ipc_channel_close(&ch);
    IS(ipc_channel_unlink(uri), 0);
}

static void what_cannot_be_shown_is_named(void **state)
{
    char *absent[] = {(char *)"ipc_top", (char *)"--once", (char *)"-i", (char *)"0", name, NULL};
    char *wrong[] = {(char *)"ipc_top", (char *)"--once", (char *)"--json", NULL};
    char *span[] = {(char *)"ipc_top", (char *)"-i", (char *)"0.01", NULL};
    char path[200], *text;
    int fd;

    (void)state;
    text = prints(absent, 1);
    MUST(strstr(text, "No such file") != NULL);
    free(text);
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    MUST(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
    text = prints(absent, 1);
    MUST(strstr(text, "has holes") != NULL); /* and none was filled by reading it */
    free(text);
    MUST(posix_fallocate(fd, 0, 1 << 20) == 0);
    text = prints(absent, 1);
    MUST(strstr(text, "not a segment") != NULL);
    free(text);
    (void)close(fd);
    text = prints(wrong, 2);
    MUST(strstr(text, "one of --once, --json and --prometheus") != NULL);
    free(text);
    text = prints(span, 2);
    MUST(strstr(text, "-i takes 0.1 to 3600 seconds") != NULL);
    free(text);
}

/* Its look is neither seen by the sleepers' watch of the file, nor in the memory. */
static void it_disturbs_nobody(void **state)
{
    char *argv[] = {(char *)"ipc_top", (char *)"--once", (char *)"-i", (char *)"0.1", name, NULL};
    struct all *a = calloc(1, sizeof *a);
    char path[200], events[4096];
    void *before;
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    (void)state;
    MUST(a != NULL && fd >= 0);
    make_all(a);
    before = malloc(a->seg.size);
    MUST(before != NULL);
    memcpy(before, a->seg.base, a->seg.size);
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    MUST(inotify_add_watch(fd, path, IN_ACCESS | IN_MODIFY | IN_CLOSE_WRITE) >= 0);
    free(prints(argv, 0));
    MUST(read(fd, events, sizeof events) < 0 && errno == EAGAIN);
    MUST(memcmp(before, a->seg.base, a->seg.size) == 0);
    (void)close(fd);
    ipc_shm_close(&a->seg);
    free(before);
    free(a);
}

/* ------------------------------------------------------------------ hostile segments */

static void names_reach_no_terminal_raw(void **state)
{
    char *argv[] = {(char *)"ipc_top", (char *)"--once", (char *)"-i", (char *)"0", name, NULL};
    struct spsc_producer out;
    struct ipc_shm seg;
    char *text;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 16), &seg);
    must_do(spsc_producer_create(&out, &seg, "\033[2Jx\377", SLOTS), &seg);
    text = prints(argv, 0);
    MUST(strstr(text, "\\x1b[2Jx\\xff: SPSC") != NULL && strchr(text, '\033') == NULL);
    free(text);
    json_decref(json_of("0"));
    ipc_shm_close(&seg);
}

/* A process cuts the file and makes it whole again, all the time. */
static void cuts(struct child *up, void *arg)
{
    struct ipc_shm *seg = arg;
    off_t size = (off_t)seg->size;

    tell(up, 0);
    for (;;) { /* as long cut as whole: whoever maps it while it is whole soon finds it cut */
        MUST(ftruncate(seg->fd, 4096) == 0);
        (void)a_moment(0);
        MUST(ftruncate(seg->fd, size) == 0 && posix_fallocate(seg->fd, 0, size) == 0);
        (void)a_moment(0);
    }
}

static void a_file_that_is_cut_ends_nothing(void **state)
{
    char *argv[] = {(char *)"ipc_top", (char *)"--once", (char *)"-i", (char *)"0", name, NULL};
    struct all *a = calloc(1, sizeof *a);
    struct child c;
    unsigned i;

    (void)state;
    MUST(a != NULL);
    make_all(a);
    c = spawn(cuts, &a->seg);
    (void)hear(&c);
    for (i = 0; i < 150; i++) {
        struct terminal with = open_terminal(program, argv);
        int status;

        free(read_until_end(&with));
        MUST(waitpid(with.child.pid, &status, 0) == with.child.pid);
        forget_terminal(&with);
        MUST(WIFEXITED(status)); /* whatever it could read */
    }
    kill_child(&c);
    free(a);
}

/* Rings that lie over each other, each of which takes long to walk over. */
static void what_takes_long_is_cut_short(void **state)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    uint64_t *word;
    struct records_producer out;
    struct ipc_shm_object o;
    struct ipc_shm seg;
    json_t *all, *one;
    unsigned i;
    size_t at;

    (void)state;
    how.objects = 128;
    must_do(ipc_shm_create_with(&seg, name, 40 << 20, &how), &seg);
    must_do(records_producer_create(&out, &seg, "long", 32 << 20, 1), &seg);
    must_do(ipc_shm_find(&seg, "long", IPC_RECORD_TYPE, &o), &seg);
    word = (uint64_t *)o.mem;
    for (at = (o.size - (32 << 20)) / 8; at < o.size / 8; at++)
        word[at] = IPC_RECORD_IS_; /* of no bytes each */
    for (i = 0; i < seg.objects; i++) {
        struct ipc_shm_entry_ *e = ipc_shm_entry_at_(&seg, i);

        e->offset = (uint64_t)((unsigned char *)o.mem - (unsigned char *)seg.base);
        e->size = o.size;
        e->type = IPC_RECORD_TYPE;
        (void)snprintf(e->name, sizeof e->name, "%u", i);
        e->state = IPC_SHM_READY_;
    }
    all = json_of("0"); /* 128 times 4 million records, twice each */
    one = segment_in(all);
    MUST(json_is_true(json_object_get(one, "cut")));
    MUST(json_array_size(json_object_get(one, "objects")) < seg.objects);
    json_decref(all);
    ipc_shm_close(&seg);
}

/* ------------------------------------------------------------------ live */

static void keys_lead_through_what_is_live(void **state)
{
    char *argv[] = {(char *)"ipc_top", (char *)"-i", (char *)"0.1", name, NULL};
    struct child c = spawn(makes_all_and_waits, NULL);
    struct terminal with;
    char line[80];

    (void)state;
    (void)hear(&c);
    with = open_terminal(program, argv);
    read_until(&with, "SEGMENT");
    read_until(&with, "Enter: all of a segment");
    read_until(&with, "sort (name)");
    press(&with, "s");
    read_until(&with, "kind");
    press(&with, "r");
    read_until(&with, "reversed");
    press(&with, "\r");
    (void)snprintf(line, sizeof line, "pid %ld ", (long)c.pid);
    read_until(&with, line);
    read_until(&with, "back ");
    stop_child(&c);
    read_until(&with, "stopped");
    press(&with, "q"); /* back */
    read_until(&with, "quit ");
    press(&with, "p");
    read_until(&with, "paused");
    press(&with, "q");
    free(read_to_end(&with, 0));
}

/* A slot that is claimed while the program looks on is held since then, not "or earlier". */
static void a_hold_that_begins_is_known_since_when(void **state)
{
    char *argv[] = {(char *)"ipc_top", (char *)"-i", (char *)"0.1", name, NULL};
    struct mpmc_producer out;
    struct terminal with;
    struct ipc_shm seg;

    (void)state;
    must_do(ipc_shm_create(&seg, name, 1 << 16), &seg);
    must_do(mpmc_create(&seg, "mpmc", SLOTS, IPC_MPMC_AT_MOST_ONCE), &seg);
    with = open_terminal(program, argv);
    read_until(&with, "mpmc");
    press(&with, "\r");
    read_until(&with, "back ");
    must_do(mpmc_producer_open(&out, &seg, "mpmc"), &seg);
    MUST(mpmc_claim(&out) != NULL);
    read_until(&with, "writes to slot 0");
    press(&with, "qq");
    MUST(strstr(read_to_end(&with, 0), "earlier") == NULL);
    ipc_shm_close(&seg);
}

static void only_a_terminal_shows_it_live(void **state)
{
    char *argv[] = {(char *)"ipc_top", NULL};
    struct terminal with;

    (void)state;
    MUST(setenv("TERM", "no-such-terminal", 1) == 0);
    with = open_terminal(program, argv);
    MUST(strstr(read_to_end(&with, 1), "--once") != NULL);
}

/* ------------------------------------------------------------------ all tests */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(json_has_all_kinds),
        TEST(rates_are_of_the_time_between_two_looks),
        TEST(text_and_figures_for_prometheus),
        TEST(a_message_that_was_given_back_is_there),
        TEST(a_bridge_is_shown),
        TEST(nameless_and_unlinked_segments_are_found),
        TEST(system_v_segments_are_found),
        TEST(what_cannot_be_shown_is_named),
        TEST(it_disturbs_nobody),
        TEST(names_reach_no_terminal_raw),
        TEST(a_file_that_is_cut_ends_nothing),
        TEST(what_takes_long_is_cut_short),
        TEST(keys_lead_through_what_is_live),
        TEST(a_hold_that_begins_is_known_since_when),
        TEST(only_a_terminal_shows_it_live),
    };

    if (argc < 2)
        return 2;
    program = argv[1];
    set_up(argc - 1, argv + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
