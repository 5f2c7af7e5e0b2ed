/*
 * Finds segments, and reads what is in them.
 *
 * All memory is mapped without write access, and no byte of it is believed. Who may write a segment
 * can also cut its file while it is read, which is SIGBUS, or fill it so that reading takes long. So
 * memory is read by `guarded` alone, which such a signal ends, as does the timer of each segment. A
 * file is never read by read(): that would wake its sleepers.
 */
#include "top.h"

#include <dirent.h>
#include <err.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/time.h>

enum {
    HOLDS_AT_ONCE = 64,
    MOST_HOLDS = 65536, /* that are kept of one segment */
    HEAD = 64           /* bytes before the rings of a segment of sysvshm: */
};

/* Of processor time, for a segment. It fires again, as the first time may come between two reads. */
static const struct itimerval patience = {{0, 10000}, {0, 500000}};

static sigjmp_buf away;
static volatile sig_atomic_t guarding, too_long;

static void jump(int signal)
{
    too_long |= signal == SIGPROF;
    if (guarding)
        siglongjmp(away, 1);
    if (signal == SIGBUS) { /* a fault of our own */
        (void)sigaction(SIGBUS, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        (void)raise(SIGBUS);
    }
}

/* Reads memory by `f`, which must take nothing that would have to be given back. 0 or -EFAULT. */
static int guarded(void (*f)(void *), void *arg)
{
    if (too_long)
        return -EFAULT;
    if (sigsetjmp(away, 1) != 0) {
        guarding = 0;
        return -EFAULT;
    }
    guarding = 1;
    f(arg);
    guarding = 0;
    return 0;
}

static void begin_segment(void)
{
    static int ready;
    struct sigaction on = {.sa_handler = jump};

    if (!ready++) {
        (void)sigaction(SIGBUS, &on, NULL);
        (void)sigaction(SIGPROF, &on, NULL);
    }
    too_long = 0;
    (void)setitimer(ITIMER_PROF, &patience, NULL);
}

static void end_segment(void)
{
    static const struct itimerval none;

    (void)setitimer(ITIMER_PROF, &none, NULL);
}

/* The array with room for one more. */
static void *with_room(void *array, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0) /* there is room up to each power of two */
        return array;
    array = realloc(array, (count != 0 ? 2 * count : 1) * size);
    if (array == NULL)
        err(1, "no memory for what is to be shown: name the segments to look at");
    return array;
}

/* ------------------------------------------------------------------ rings */

struct reading {
    void *mem;
    size_t size;
    uint64_t from;
    struct ipc_ring_hold holds[HOLDS_AT_ONCE];
    struct ipc_ring_status s;
    struct bridge_state bridge;
    size_t bell;
    int rc;
};

static void read_status(void *arg)
{
    struct reading *r = arg;

    r->rc = ipc_ring_inspect(r->mem, r->size, &r->s);
}

static void read_holds(void *arg)
{
    struct reading *r = arg;

    r->rc = ipc_ring_holders(r->mem, r->size, &r->from, r->holds, HOLDS_AT_ONCE);
}

static void read_bridge(void *arg)
{
    struct reading *r = arg;

    memcpy(&r->bridge, r->mem, sizeof r->bridge);
}

static void read_bell(void *arg)
{
    struct reading *r = arg;

    r->rc = ipc_notify_was_asleep((unsigned char *)r->mem + r->bell, r->size - r->bell);
}

/* Who sleeps on the bell at that offset. */
static int asleep_on(struct reading *r, size_t bell)
{
    r->bell = bell;
    return bell <= r->size && guarded(read_bell, r) == 0 && r->rc > 0 ? r->rc : 0;
}

static int by_place(const void *a, const void *b)
{
    const struct ipc_ring_hold *x = &((const struct hold *)a)->is, *y = &((const struct hold *)b)->is;

    if (x->what != y->what)
        return x->what < y->what ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* `left`: of the holds that are kept of the segment. */
static void collect_holds(struct object *o, struct reading *r, size_t *left, const struct look *now)
{
    int n, i;

    for (r->from = 0; r->from != UINT64_MAX;) {
        if (guarded(read_holds, r) != 0 || r->rc < 0) {
            o->cut = 1;
            return;
        }
        for (n = r->rc, i = 0; i < n; i++) {
            struct hold *h;

            if ((*left)-- == 0) {
                *left = 0;
                o->cut = 1;
                return;
            }
            o->holds = with_room(o->holds, o->holds_count, sizeof *h);
            h = &o->holds[o->holds_count++];
            memset(h, 0, sizeof *h);
            h->is = r->holds[i];
            h->asleep = h->is.bell != 0 ? asleep_on(r, h->is.bell) : 0;
            h->since = now->clock;
        }
    }
    if (o->holds_count > 0)
        qsort(o->holds, o->holds_count, sizeof *o->holds, by_place);
}

/* Looks for the same holds in the last look at the same object. Both are sorted. */
static void compare_holds(struct object *o, const struct object *last)
{
    size_t i, j = 0;

    for (i = 0; i < o->holds_count; i++) {
        struct hold *h = &o->holds[i];
        const struct hold *was = &last->holds[j];

        while (j < last->holds_count && by_place(was, h) < 0)
            was = &last->holds[++j];
        h->begun = !last->cut;
        if (j < last->holds_count && by_place(was, h) == 0 && was->is.mark == h->is.mark &&
            was->is.id == h->is.id) {
            h->since = was->since;
            h->begun = was->begun;
        }
    }
}

static void compare_object(struct object *o, const struct object *last)
{
    double seconds = (double)(o->at - last->at) / 1e9;
    uint64_t sent = o->s.sent - last->s.sent;

    if (last->rc != 0 || o->rc != 0 || last->s.kind != o->s.kind || seconds <= 0)
        return;
    if (strcmp(o->s.kind, "calls") == 0)
        sent %= UINT64_C(1) << 23;
    o->per_second = (int64_t)sent < 0 ? -1 : (double)sent / seconds;
    compare_holds(o, last);
}

static void collect_ring(struct object *o, void *mem, size_t *left, const struct look *now)
{
    struct reading r = {.mem = mem, .size = o->size};

    o->per_second = -1;
    o->at = ipc_clock();
    o->rc = guarded(read_status, &r);
    o->rc = o->rc != 0 ? o->rc : r.rc;
    if (strcmp(o->type, "bell") == 0)
        o->asleep[0] = asleep_on(&r, 0);
    if (strcmp(o->type, "brdg") == 0 && o->size >= sizeof r.bridge &&
        guarded(read_bridge, &r) == 0 && r.bridge.magic == BRIDGE_MAGIC)
        o->bridge = r.bridge;
    if (o->rc != 0)
        return;
    o->s = r.s;
    o->asleep[0] = asleep_on(&r, o->s.bell[0]);
    o->asleep[1] = asleep_on(&r, o->s.bell[1]);
    collect_holds(o, &r, left, now);
}

/* ------------------------------------------------------------------ segments of ipc_shm.h */

struct listing {
    struct ipc_shm *seg;
    unsigned i;
    struct ipc_shm_object o;
    struct ipc_shm_member who;
    size_t used;
    int rc;
};

static void list_object(void *arg)
{
    struct listing *l = arg;

    l->rc = ipc_shm_list(l->seg, l->i, &l->o);
}

static void list_member(void *arg)
{
    struct listing *l = arg;

    l->rc = ipc_shm_who(l->seg, l->i, &l->who);
}

static void read_used(void *arg)
{
    struct listing *l = arg;

    l->used = ipc_shm_was_used(l->seg);
}

static struct member *add_member(struct segment *seg)
{
    struct member *m;

    seg->members = with_room(seg->members, seg->members_count, sizeof *m);
    m = &seg->members[seg->members_count++];
    memset(m, 0, sizeof *m);
    return m;
}

static struct object *add_object(struct segment *seg, const char *name, uint32_t type, size_t size)
{
    struct object *o;
    unsigned i;

    seg->objects = with_room(seg->objects, seg->objects_count, sizeof *o);
    o = &seg->objects[seg->objects_count++];
    memset(o, 0, sizeof *o);
    make_printable(o->name, sizeof o->name, name);
    for (i = 0; i < 4; i++)
        o->type[i] = (char)(type >> 8 * i);
    for (i = 0; i < 4 && o->type[i] >= 'a' && o->type[i] <= 'z'; i++)
        ;
    if (i < 4)
        (void)snprintf(o->type, sizeof o->type, "%08x", type);
    o->size = size;
    return o;
}

static void collect_segment(struct segment *s, struct ipc_shm *seg, const struct look *now)
{
    struct listing l = {.seg = seg};
    size_t left = MOST_HOLDS;

    s->size = seg->size;
    s->places = seg->members;
    s->cut = guarded(read_used, &l) != 0;
    s->used = l.used;
    for (l.i = 0; l.i < seg->members && !s->cut; l.i++) {
        s->cut = guarded(list_member, &l) != 0;
        if (!s->cut && l.rc == 0) {
            struct member *m = add_member(s);

            m->is = l.who;
            m->process = read_process(l.who.here && l.who.alive ? l.who.pid : 0);
            m->process.pid = l.who.pid;
        }
    }
    for (l.i = 0; l.i < seg->objects && !s->cut; l.i++) {
        s->cut = guarded(list_object, &l) != 0;
        if (!s->cut && l.rc == 0) {
            struct object *o = add_object(s, l.o.name, l.o.type, l.o.size);

            o->index = l.o.index;
            collect_ring(o, l.o.mem, &left, now);
        }
    }
    s->cut |= too_long;
}

struct opening {
    struct ipc_shm seg;
    const char *name; /* or NULL, and */
    int fd;
    struct ipc_shm_options how;
    const void *page;
    int rc;
};

static void open_segment(void *arg)
{
    struct opening *o = arg;

    o->rc = o->name != NULL ? ipc_shm_open_with(&o->seg, o->name, IPC_NOW, &o->how)
                            : ipc_shm_open_fd(&o->seg, o->fd, &o->how);
}

static void read_magic(void *arg)
{
    struct opening *o = arg;

    o->rc = ck_pr_load_64((const uint64_t *)o->page) == IPC_SHM_MAGIC;
}

/* Does the file begin as a segment does? */
static int has_magic(struct opening *o)
{
    int rc;

    o->page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, o->fd, 0);
    if (o->page == MAP_FAILED)
        return 0;
    rc = guarded(read_magic, o) == 0 && o->rc;
    (void)munmap((void *)(uintptr_t)o->page, 4096);
    return rc;
}

/* In memory, to read what was never written would allocate it. No segment is made so. */
static int has_holes(int fd, const struct stat *st)
{
    struct statfs fs;

    return fstatfs(fd, &fs) != 0 ||
           (fs.f_type == TMPFS_MAGIC && (uint64_t)st->st_blocks * 512 < (uint64_t)st->st_size);
}

static struct segment *add_segment(struct look *now, const char *name)
{
    struct segment *s;

    now->segments = with_room(now->segments, now->count, sizeof *s);
    s = &now->segments[now->count++];
    memset(s, 0, sizeof *s);
    make_printable(s->name, sizeof s->name, name);
    return s;
}

static struct segment *refuse(struct look *now, const char *name, int rc, const char *why)
{
    struct segment *s = add_segment(now, name);

    s->rc = rc;
    make_printable(s->why, sizeof s->why, why);
    return s;
}

static int is_known(const struct look *now, const struct stat *st)
{
    size_t i;

    for (i = 0; i < now->count; i++)
        if (now->segments[i].device == st->st_dev && now->segments[i].inode == st->st_ino)
            return 1;
    return 0;
}

/* Looks at what is behind `path`, which is to be shown as `shown`. What is no segment is left out,
 * unless it is `asked` for. `name`: by which ipc_shm.h opens it; NULL: by the descriptor. */
static void look_at(struct look *now, const char *path, const char *name, const char *shown,
                    int asked)
{
    struct opening o = {.name = name, .how = IPC_SHM_DEFAULTS};
    struct segment *s;
    struct stat st;

    o.seg.fd = -1; /* it may be closed before it was opened */
    o.fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (name != NULL ? O_NOFOLLOW : 0));
    if (o.fd < 0 || fstat(o.fd, &st) != 0) {
        if (asked || (errno != ENOENT && errno != EACCES && errno != ELOOP && errno != ENXIO))
            (void)refuse(now, shown, -errno, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size < 4096) {
        if (asked)
            (void)refuse(now, shown, -EPROTO, "not a segment of ipc_shm.h");
    } else if (!is_known(now, &st)) {
        begin_segment();
        o.how.mode = 07777;
        o.how.owner = st.st_uid;
        o.how.flags = IPC_SHM_READ_ONLY | IPC_SHM_NO_PREFAULT | IPC_SHM_TORN;
        if (has_holes(o.fd, &st)) {
            o.rc = -EPROTO;
            s = asked ? refuse(now, shown, o.rc, "has holes, as no segment of ipc_shm.h") : NULL;
        } else if (!has_magic(&o)) {
            s = asked ? refuse(now, shown, -EPROTO, "not a segment of ipc_shm.h") : NULL;
        } else if (guarded(open_segment, &o) != 0 || o.rc != 0) {
            s = !asked && o.rc == -ENOENT ? NULL /* it was unlinked, or replaced */
                : refuse(now, shown, o.rc != 0 ? o.rc : -EFAULT,
                         o.rc != 0 ? ipc_shm_why(&o.seg) : "the file was cut meanwhile");
            ipc_shm_close(&o.seg);
        } else {
            s = add_segment(now, shown);
            collect_segment(s, &o.seg, now);
            ipc_shm_close(&o.seg);
        }
        end_segment();
        if (s != NULL) {
            s->owner = st.st_uid;
            s->mode = st.st_mode & 07777;
            s->device = st.st_dev;
            s->inode = st.st_ino;
            s->size = (uint64_t)st.st_size;
        }
    }
    if (o.fd >= 0)
        (void)close(o.fd);
}

static void look_at_descriptor(void *arg, const char *path, const char *link)
{
    char shown[400];
    struct stat st;

    if (stat(path, &st) != 0)
        return;
    if (strncmp(link, "/memfd:", 7) == 0)
        (void)snprintf(shown, sizeof shown, "memfd:%llu", (unsigned long long)st.st_ino);
    else /* its name, or a number that it had before it got one; and that it is deleted */
        (void)snprintf(shown, sizeof shown, "unlinked:%llu %s", (unsigned long long)st.st_ino,
                       link + 9);
    look_at(arg, path, NULL, shown, 0);
}

/* ------------------------------------------------------------------ System V segments */

static void collect_sysv(struct segment *s, unsigned char *mem, key_t key, const struct look *now)
{
    size_t half = ((size_t)s->size - HEAD) / 2 & ~(size_t)63, left = MOST_HOLDS, i;
    int sem = semget(key, 2, 0);

    s->places = 2;
    s->ids_are_places = 1;
    for (i = 0; i < 2; i++) {
        struct object *o = add_object(s, i == 0 ? "to" : "from", IPC_RECORD_TYPE, half);
        int value = sem >= 0 ? semctl(sem, (int)i, GETVAL) : -1;

        o->index = (uint32_t)i;
        collect_ring(o, mem + HEAD + i * half, &left, now);
        if (value > 0) {
            struct member *m = add_member(s);

            m->is.id = i; /* of which it has one: which, the memory does not say */
            m->is.alive = m->is.here = 1;
            m->process = read_process(semctl(sem, (int)i, GETPID));
        }
    }
    s->used = s->size;
}

/* Is the segment of that key one of those to look at? */
static int is_asked_for(char **names, key_t key)
{
    int none = names[0] == NULL;

    for (; *names != NULL; names++)
        none |= strncmp(*names, "sysvshm:", 8) == 0 && (key_t)strtoul(*names + 8, NULL, 0) == key;
    return none && key != IPC_PRIVATE;
}

static void look_at_sysv(struct look *now, char **names, int index)
{
    struct reading r = {.mem = NULL};
    struct shmid_ds is;
    struct segment *s;
    char name[64];
    int id = shmctl(index, SHM_STAT, &is);
    void *mem;

    if (id < 0 || is.shm_segsz < 4096 || !is_asked_for(names, is.shm_perm.__key))
        return;
    mem = shmat(id, NULL, SHM_RDONLY);
    if (mem == (void *)-1)
        return;
    begin_segment();
    r.mem = (unsigned char *)mem + HEAD;
    r.size = (is.shm_segsz - HEAD) / 2 & ~(size_t)63;
    if (guarded(read_status, &r) == 0 && r.rc == 0 && strcmp(r.s.kind, "records") == 0) {
        (void)snprintf(name, sizeof name, "sysvshm:%#lx", (unsigned long)(uint32_t)is.shm_perm.__key);
        s = add_segment(now, name);
        s->owner = is.shm_perm.uid;
        s->mode = is.shm_perm.mode & 0777;
        s->size = is.shm_segsz;
        s->inode = (uint64_t)id;
        collect_sysv(s, mem, is.shm_perm.__key, now);
        s->cut = too_long;
    }
    end_segment();
    (void)shmdt(mem);
}

static void look_at_all_sysv(struct look *now, char **names)
{
    struct shm_info info;
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info), i;

    for (i = 0; i <= last; i++)
        look_at_sysv(now, names, i);
}

/* ------------------------------------------------------------------ all of them */

const struct member *member_of(const struct segment *seg, uint64_t id)
{
    size_t i;

    for (i = 0; i < seg->members_count; i++)
        if (id != 0 && (seg->ids_are_places ? id % seg->places : id) == seg->members[i].is.id)
            return &seg->members[i];
    return NULL;
}

int is_stopped(const struct process *p)
{
    return p->state == 'T' || p->state == 't';
}

static void compare_segment(struct segment *s, const struct look *last)
{
    const struct segment *was = NULL;
    size_t i, j = 0;

    for (i = 0; i < last->count; i++)
        if (last->segments[i].device == s->device && last->segments[i].inode == s->inode)
            was = &last->segments[i];
    for (i = 0; was != NULL && i < s->objects_count; i++) {
        while (j < was->objects_count && was->objects[j].index < s->objects[i].index)
            j++;
        if (j < was->objects_count && was->objects[j].index == s->objects[i].index)
            compare_object(&s->objects[i], &was->objects[j]);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct segment *)a)->name, ((const struct segment *)b)->name);
}

struct look *look_at_segments(char **names, const struct look *last)
{
    struct look *now = calloc(1, sizeof *now);
    struct timespec t;
    struct dirent *e;
    char path[PATH_MAX];
    DIR *d;
    size_t i;

    if (now == NULL)
        err(1, "no memory");
    (void)clock_gettime(CLOCK_REALTIME, &t);
    now->clock = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    for (i = 0; names[i] != NULL; i++) {
        (void)snprintf(path, sizeof path, "%s%s", strchr(names[i], '/') ? "" : "/dev/shm/", names[i]);
        if (strncmp(names[i], "sysvshm:", 8) != 0)
            look_at(now, path, names[i], names[i], 1);
    }
    d = i == 0 ? opendir("/dev/shm") : NULL;
    while (d != NULL && (e = readdir(d)) != NULL) {
        (void)snprintf(path, sizeof path, "/dev/shm/%s", e->d_name);
        if (e->d_name[0] != '.' || strlen(e->d_name) > 2)
            look_at(now, path, e->d_name, e->d_name, 0);
    }
    if (d != NULL)
        (void)closedir(d);
    if (i == 0)
        find_descriptors(look_at_descriptor, now);
    look_at_all_sysv(now, names);
    if (now->count > 0)
        qsort(now->segments, now->count, sizeof *now->segments, by_name);
    for (i = 0; last != NULL && i < now->count; i++)
        compare_segment(&now->segments[i], last);
    return now;
}

void free_look(struct look *look)
{
    size_t i, j;

    if (look == NULL)
        return;
    for (i = 0; i < look->count; i++) {
        for (j = 0; j < look->segments[i].objects_count; j++)
            free(look->segments[i].objects[j].holds);
        free(look->segments[i].objects);
        free(look->segments[i].members);
    }
    free(look->segments);
    free(look);
}
