/* What is seen, live on a terminal. */
#include "top.h"

#include <curses.h>
#include <err.h>
#include <unistd.h>

/* A line of the table: a ring, or a segment that has none. */
struct row {
    const struct segment *seg;
    const struct object *ring; /* or NULL */
    double lost, behind, held; /* held: slots that are written to, read from, or asked for */
};

enum column { NAME, KIND, FULL, RATE, LOST, BEHIND, HELD, COLUMNS };

static const char *const titles[COLUMNS] = {"name", "kind", "full", "rate", "lost", "behind", "held"};

static struct {
    struct look *last, *now;
    struct row *rows;
    size_t count, selected, top; /* of the table */
    enum column sort;
    int reverse, paused;
    int shows_one; /* segment, of these: */
    uint64_t device, inode;
    size_t scroll; /* lines of it */
} view;

/* ------------------------------------------------------------------ rows */

static double key_of(const struct row *r)
{
    switch (view.sort) {
    case FULL:
        return r->ring != NULL ? part_full(r->ring) : -2;
    case RATE:
        return r->ring != NULL ? r->ring->per_second : -2;
    case LOST:
        return r->lost;
    case BEHIND:
        return r->behind;
    case HELD:
        return r->held;
    default:
        return 0;
    }
}

/* Names go up, numbers down. */
static int by_key(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    double less = key_of(y) - key_of(x);
    int names = strcmp(x->seg->name, y->seg->name), order = less < 0 ? -1 : less > 0;

    if (names == 0 && x->ring != NULL && y->ring != NULL)
        names = strcmp(x->ring->name, y->ring->name);
    if (view.sort == KIND && x->ring != NULL && y->ring != NULL)
        order = strcasecmp(x->ring->s.kind, y->ring->s.kind);
    order = order != 0 ? order : names;
    return view.reverse ? -order : order;
}

static void add_row(const struct segment *seg, const struct object *ring)
{
    struct row *r;
    size_t i;

    view.rows = realloc(view.rows, (view.count + 1) * sizeof *view.rows);
    if (view.rows == NULL)
        err(1, "no memory for the table");
    r = &view.rows[view.count++];
    memset(r, 0, sizeof *r);
    r->seg = seg;
    r->ring = ring;
    r->lost = ring != NULL ? (double)lost_messages(ring) : 0;
    for (i = 0; ring != NULL && i < ring->holds_count; i++) {
        const struct ipc_ring_hold *h = &ring->holds[i].is;

        if ((h->what == IPC_HOLDS_READER || h->what == IPC_HOLDS_LANE) &&
            (double)h->behind > r->behind)
            r->behind = (double)h->behind;
        if (h->what >= IPC_HOLDS_REQUEST)
            r->held += (double)h->count;
    }
}

/* Fills the table anew. The row that was selected stays so, where it is still there. */
static void make_rows(void)
{
    struct row was = {NULL, NULL, 0, 0, 0};
    char seg[sizeof was.seg->name] = "", ring[sizeof was.ring->name] = "";
    size_t i, j;

    if (view.selected < view.count) {
        was = view.rows[view.selected];
        (void)snprintf(seg, sizeof seg, "%s", was.seg->name);
        (void)snprintf(ring, sizeof ring, "%s", was.ring != NULL ? was.ring->name : "");
    }
    view.count = 0;
    for (i = 0; i < view.now->count; i++) {
        const struct segment *s = &view.now->segments[i];
        size_t before = view.count;

        for (j = 0; j < s->objects_count; j++)
            if (s->objects[j].rc == 0)
                add_row(s, &s->objects[j]);
        if (view.count == before)
            add_row(s, NULL);
    }
    if (view.count > 0)
        qsort(view.rows, view.count, sizeof *view.rows, by_key);
    for (i = 0; i < view.count; i++)
        if (strcmp(view.rows[i].seg->name, seg) == 0 &&
            strcmp(view.rows[i].ring != NULL ? view.rows[i].ring->name : "", ring) == 0)
            view.selected = i;
    if (view.selected >= view.count)
        view.selected = view.count > 0 ? view.count - 1 : 0;
}

static void look_again(char **names)
{
    struct look *next = look_at_segments(names, view.now), *old = view.last;

    view.last = view.now;
    view.now = next;
    make_rows(); /* which reads the names of the last look's rows */
    free_look(old);
}

/* ------------------------------------------------------------------ the table */

static const struct segment *shown_segment(void)
{
    size_t i;

    for (i = 0; i < view.now->count; i++)
        if (view.now->segments[i].device == view.device &&
            view.now->segments[i].inode == view.inode)
            return &view.now->segments[i];
    return NULL;
}

/* The process at an end, or how many there are. */
static void print_end(char *to, size_t size, const struct row *r, uint64_t id, int consumers)
{
    const struct member *m = member_of(r->seg, id);
    unsigned n = 0;
    size_t i;

    if (id != 0) {
        (void)snprintf(to, size, "%ld%s", m != NULL ? (long)m->process.pid : 0,
                       m == NULL || !m->is.alive ? "(dead)" : is_stopped(&m->process) ? "(stopped)"
                                                                                    : "");
        return;
    }
    for (i = 0; i < r->ring->holds_count; i++) {
        enum ipc_ring_held what = r->ring->holds[i].is.what;

        n += consumers ? what == IPC_HOLDS_READER || what == IPC_HOLDS_SERVER
                       : what == IPC_HOLDS_LANE || what == IPC_HOLDS_HANDLE ||
                             what == IPC_HOLDS_CALLER || what == IPC_HOLDS_REQUEST;
    }
    (void)snprintf(to, size, n > 0 ? "%u of them" : "-", n);
}

/* The widths of the names of segment, ring and kind. */
static void find_widths(int *width)
{
    int wide = COLS >= 100;

    width[0] = wide ? 20 : 12;
    width[1] = wide ? 14 : 10;
    width[2] = wide ? 16 : 9;
}

static void draw_row(int y, const struct row *r)
{
    int w[3];
    char number[6][16] = {"", "", "", "", "", ""}, ends[2][32] = {"", ""}, text[512];
    const struct object *o = r->ring;

    find_widths(w);
    if (o == NULL) {
        (void)snprintf(text, sizeof text, "%-20.20s %s", r->seg->name,
                       r->seg->rc != 0 ? r->seg->why : "no rings");
    } else {
        (void)snprintf(number[0], sizeof number[0], "%.0f%%", 100 * part_full(o));
        if (o->per_second >= 0)
            print_number(number[1], sizeof number[1], o->per_second);
        print_number(number[2], sizeof number[2], (double)(o->s.sent / o->s.capacity));
        print_number(number[3], sizeof number[3], r->lost);
        print_number(number[4], sizeof number[4], r->behind);
        print_number(number[5], sizeof number[5], r->held);
        print_end(ends[0], sizeof ends[0], r, o->s.producer, 0);
        print_end(ends[1], sizeof ends[1], r, o->s.consumer, 1);
        (void)snprintf(text, sizeof text,
                       "%-*.*s %-*.*s %-*.*s %5s %7s %7s %6s %7s %5s %s%s > %s%s", w[0], w[0],
                       r->seg->name, w[1], w[1], o->name, w[2], w[2], o->s.kind, number[0], number[1], number[2], number[3], number[4],
                       number[5], ends[0], o->asleep[1] ? " sleeps" : "", ends[1],
                       o->asleep[0] ? " sleeps" : "");
    }
    (void)mvaddnstr(y, 0, text, COLS);
}

static void draw_table(void)
{
    size_t lines = LINES > 3 ? (size_t)LINES - 3 : 1, i;
    int w[3];

    find_widths(w);
    if (view.selected < view.top)
        view.top = view.selected;
    if (view.selected >= view.top + lines)
        view.top = view.selected - lines + 1;
    (void)attron(A_REVERSE);
    (void)mvprintw(1, 0, "%-*s %-*s %-*s %5s %7s %7s %6s %7s %5s %-*s", w[0], "SEGMENT", w[1],
                   "RING", w[2], "KIND", "FULL", "RATE/s", "LAP", "LOST", "BEHIND", "HELD",
                   COLS > 97 ? COLS - 97 : 1, "PRODUCER > CONSUMER");
    (void)attroff(A_REVERSE);
    for (i = 0; i < lines && view.top + i < view.count; i++) {
        (void)attrset(view.top + i == view.selected ? A_STANDOUT : A_NORMAL);
        draw_row((int)i + 2, &view.rows[view.top + i]);
    }
    (void)attrset(A_NORMAL);
    if (view.count == 0)
        (void)mvaddstr(2, 0, "no segments here that this user may read");
}

/* ------------------------------------------------------------------ one segment */

static void draw_one(void)
{
    const struct segment *seg = shown_segment();
    size_t size = 0, line = 0;
    char *text = NULL, *at, *end;
    FILE *to = open_memstream(&text, &size);
    int y = 2;

    if (to == NULL)
        err(1, "no memory for what is to be shown");
    if (seg != NULL)
        print_segment(to, seg, view.now);
    else
        fputs("it is gone\n", to);
    if (fclose(to) != 0)
        err(1, "no memory for what is to be shown");
    for (at = text; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        if (line++ >= view.scroll && y < LINES - 1)
            (void)mvaddnstr(y++, 0, at, COLS);
    }
    if (view.scroll >= line)
        view.scroll = line > 0 ? line - 1 : 0;
    free(text);
}

static void draw(void)
{
    time_t at = (time_t)(view.now->clock / 1000000000);
    unsigned alive = 0, stopped = 0, dead = 0;
    char text[32];
    struct tm tm;
    size_t i, j;

    for (i = 0; i < view.now->count; i++)
        for (j = 0; j < view.now->segments[i].members_count; j++) {
            const struct member *m = &view.now->segments[i].members[j];

            dead += !m->is.alive;
            stopped += m->is.alive && is_stopped(&m->process);
            alive += m->is.alive && !is_stopped(&m->process);
        }
    (void)strftime(text, sizeof text, "%H:%M:%S", localtime_r(&at, &tm));
    (void)erase();
    (void)mvprintw(0, 0, "ipc_top %s%s, %zu segments; processes in them: %u alive, %u stopped, %u dead",
                   text, view.paused ? " paused" : "", view.now->count, alive, stopped, dead);
    if (view.shows_one)
        draw_one();
    else
        draw_table();
    (void)mvprintw(LINES - 1, 0, view.shows_one ? "q: back   up, down: scroll   p: pause"
                   : "q: quit   Enter: all of a segment   s: sort (%s%s)   r: the other way   p: pause",
                   titles[view.sort], view.reverse ? ", reversed" : "");
    (void)refresh();
}

/* ------------------------------------------------------------------ keys */

static void move_by(int lines)
{
    size_t *at = view.shows_one ? &view.scroll : &view.selected;

    if (lines < 0)
        *at = *at > (size_t)-lines ? *at - (size_t)-lines : 0;
    else
        *at += (size_t)lines;
    if (!view.shows_one && *at >= view.count)
        *at = view.count > 0 ? view.count - 1 : 0;
}

/* Acts on a key. 0: the program is to end. */
static int act(int key)
{
    int page = LINES > 4 ? LINES - 4 : 1;

    switch (key) {
    case 'q':
    case 27: /* Escape */
        if (!view.shows_one)
            return key != 'q';
        view.shows_one = 0;
        break;
    case KEY_UP:
    case 'k':
        move_by(-1);
        break;
    case KEY_DOWN:
    case 'j':
        move_by(1);
        break;
    case KEY_PPAGE:
        move_by(-page);
        break;
    case KEY_NPAGE:
    case ' ':
        move_by(page);
        break;
    case '\r':
    case '\n':
    case KEY_ENTER:
        if (view.shows_one || view.count == 0)
            break;
        view.shows_one = 1;
        view.scroll = 0;
        view.device = view.rows[view.selected].seg->device;
        view.inode = view.rows[view.selected].seg->inode;
        break;
    case 's':
        view.sort = (enum column)((view.sort + 1) % COLUMNS);
        make_rows();
        break;
    case 'r':
        view.reverse = !view.reverse;
        make_rows();
        break;
    case 'p':
        view.paused = !view.paused;
    }
    return 1;
}

int show_live(char **names, int64_t interval)
{
    int64_t next, left;
    SCREEN *screen;
    int key, goes_on;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        errx(1, "not a terminal: use --once, --json or --prometheus");
    screen = newterm(NULL, stdout, stdin);
    if (screen == NULL)
        errx(1, "terminal '%s' is not known here: set TERM, or use --once",
             getenv("TERM") != NULL ? getenv("TERM") : "");
    (void)cbreak();
    (void)noecho();
    (void)keypad(stdscr, TRUE);
    (void)curs_set(0);
    do {
        if (!view.paused || view.now == NULL)
            look_again(names);
        next = ipc_clock() + interval;
        do {
            draw();
            left = (next - ipc_clock()) / 1000000;
            timeout(left > 0 ? (int)left : 0);
            key = getch();
            goes_on = act(key);
        } while (goes_on && (key != ERR || ipc_clock() < next));
    } while (goes_on);
    (void)endwin();
    delscreen(screen);
    free_look(view.last);
    free_look(view.now);
    free(view.rows);
    return 0;
}
