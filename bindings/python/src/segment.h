/* Segment: memory that processes share, by name or by descriptor. */
#ifndef IPC_PYTHON_SEGMENT_H
#define IPC_PYTHON_SEGMENT_H 1

#include "core.h"

static PyTypeObject segment_type;

/* How a segment is made or opened: keywords of the class methods. */
static const char *const segment_options[] = {"name",    "size",    "timeout", "mode",      "owner",
                                              "members", "objects", "fresh",   "read_only", NULL};

struct segment_how {
    const char *name; /* NULL: without one */
    Py_ssize_t size;
    int64_t deadline;
    struct ipc_shm_options options;
};

/* A class method's arguments: `sized` is whether it takes a size, else it takes a timeout. */
static int segment_arguments(struct segment_how *h, PyObject *args, PyObject *keywords,
                             const char *format, int sized)
{
    static const struct ipc_shm_options defaults = IPC_SHM_DEFAULTS;
    const char *names[9], *const *all = segment_options;
    unsigned mode = 0600;
    int fresh = 0, read_only = 0;
    Py_ssize_t owner = -1;
    PyObject *timeout = NULL;
    int n = 0, i;

    for (i = 0; all[i] != NULL; i++)
        if (i != (sized ? 2 : 1))
            names[n++] = all[i];
    names[n] = NULL;
    h->name = NULL;
    h->size = 0;
    h->options = defaults;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, format, (char **)(uintptr_t)names, &h->name,
                                     sized ? (void *)&h->size : (void *)&timeout, &mode, &owner,
                                     &h->options.members, &h->options.objects, &fresh,
                                     &read_only) ||
        to_deadline(timeout, &h->deadline) != 0)
        return -1;
    if (sized && h->size < 0) {
        PyErr_SetString(PyExc_ValueError, "size is negative");
        return -1;
    }
    h->options.mode = (mode_t)mode;
    h->options.owner = (uid_t)owner;
    h->options.flags = (fresh ? IPC_SHM_FRESH : 0) | (read_only ? IPC_SHM_READ_ONLY : 0);
    return 0;
}

static struct segment *new_segment(PyObject *type, const char *name)
{
    struct segment *s = (struct segment *)((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);

    if (s != NULL && name != NULL && (s->name = PyUnicode_DecodeFSDefault(name)) == NULL)
        Py_CLEAR(s);
    return s;
}

/* Hands the segment out if it was opened. */
static PyObject *opened(struct segment *s, int rc)
{
    if (s != NULL && rc == 0) {
        s->is_open = 1;
        return (PyObject *)s;
    }
    if (s != NULL) {
        raise_error(rc, ipc_shm_why(&s->shm), 0);
        Py_DECREF(s);
    }
    return NULL;
}

static PyObject *segment_create(PyObject *type, PyObject *args, PyObject *keywords)
{
    struct segment_how h;
    struct segment *s;

    if (segment_arguments(&h, args, keywords, "zn|$InIIpp:create", 1) != 0)
        return NULL;
    s = new_segment(type, h.name);
    return opened(s,
                  s == NULL ? 0 : ipc_shm_create_with(&s->shm, h.name, (size_t)h.size, &h.options));
}

static PyObject *segment_open_or_create(PyObject *type, PyObject *args, PyObject *keywords)
{
    struct segment_how h;
    struct segment *s;

    if (segment_arguments(&h, args, keywords, "sn|$InIIpp:open_or_create", 1) != 0)
        return NULL;
    s = new_segment(type, h.name);
    return opened(
        s, s == NULL ? 0 : ipc_shm_open_or_create(&s->shm, h.name, (size_t)h.size, &h.options));
}

/* Opens by name, or receives where `socket` is a descriptor; in pieces, as wait_for. */
static int wait_for_segment(struct segment *s, const struct segment_how *h, int socket)
{
    int rc;

    do {
        int64_t piece = h->deadline == IPC_NOW ? IPC_NOW : ipc_clock() + LOOK_NS;

        if (PyErr_CheckSignals() != 0)
            return PENDING;
        piece = piece < h->deadline ? piece : h->deadline;
        Py_BEGIN_ALLOW_THREADS rc = socket < 0
                                        ? ipc_shm_open_with(&s->shm, h->name, piece, &h->options)
                                        : ipc_shm_recv_with(&s->shm, socket, piece, &h->options);
        Py_END_ALLOW_THREADS if (rc == -ETIMEDOUT && piece < h->deadline) rc = -EINTR;
    } while (rc == -EINTR);
    return rc;
}

static PyObject *segment_open(PyObject *type, PyObject *args, PyObject *keywords)
{
    struct segment_how h;
    struct segment *s;

    if (segment_arguments(&h, args, keywords, "s|O$InIIpp:open", 0) != 0)
        return NULL;
    s = new_segment(type, h.name);
    return opened(s, s == NULL ? 0 : wait_for_segment(s, &h, -1));
}

static PyObject *segment_receive(PyObject *type, PyObject *args, PyObject *keywords)
{
    static const char *names[] = {"socket", "timeout", "read_only", "largest", NULL};
    struct segment_how h = {NULL, 0, 0, IPC_SHM_DEFAULTS};
    PyObject *from, *timeout = NULL;
    Py_ssize_t largest = 0;
    struct segment *s;
    int read_only = 0, fd;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|O$pn:receive", (char **)(uintptr_t)names,
                                     &from, &timeout, &read_only, &largest) ||
        to_deadline(timeout, &h.deadline) != 0 || (fd = PyObject_AsFileDescriptor(from)) < 0)
        return NULL;
    h.options.flags = read_only ? IPC_SHM_READ_ONLY : 0;
    h.options.largest = largest > 0 ? (size_t)largest : 0;
    s = new_segment(type, NULL);
    return opened(s, s == NULL ? 0 : wait_for_segment(s, &h, fd));
}

static int check_segment(const struct segment *s)
{
    if (s->is_open)
        return 0;
    raise_error(-EBADF, "the segment is closed", 0);
    return -1;
}

static PyObject *segment_send(PyObject *self, PyObject *to)
{
    struct segment *s = (struct segment *)self;
    int fd, rc;

    if ((fd = PyObject_AsFileDescriptor(to)) < 0 || check_segment(s) != 0)
        return NULL;
    s->calls++;
    Py_BEGIN_ALLOW_THREADS rc = ipc_shm_send(&s->shm, fd);
    Py_END_ALLOW_THREADS s->calls--;
    if (rc != 0)
        return raise_error(rc, ipc_shm_why(&s->shm), 0);
    Py_RETURN_NONE;
}

static PyObject *segment_sync(PyObject *self, PyObject *none)
{
    struct segment *s = (struct segment *)self;
    int rc;

    (void)none;
    if (check_segment(s) != 0)
        return NULL;
    s->calls++;
    Py_BEGIN_ALLOW_THREADS rc = ipc_shm_sync(&s->shm);
    Py_END_ALLOW_THREADS s->calls--;
    if (rc != 0)
        return raise_error(rc, ipc_shm_why(&s->shm), 0);
    Py_RETURN_NONE;
}

static PyObject *segment_unlink(PyObject *none, PyObject *name)
{
    Py_ssize_t length;
    const char *n = PyUnicode_AsUTF8AndSize(name, &length);
    char why[300];
    int rc;

    (void)none;
    if (n == NULL)
        return NULL;
    if ((size_t)length != strlen(n)) {
        PyErr_SetString(PyExc_ValueError, "embedded null character");
        return NULL;
    }
    rc = ipc_shm_unlink(n);
    if (rc != 0) {
        (void)snprintf(why, sizeof why, "unlink '%.200s': %s", n, strerror(-rc));
        return raise_error(rc, why, 0);
    }
    Py_RETURN_NONE;
}

/* 0, or -1 with an exception: an end is in use. */
static int close_segment(struct segment *s)
{
    struct end *e, *next;
    int rc;

    if (s->calls > 0) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is in a call of this segment");
        return -1;
    }
    for (e = s->ends; e != NULL; e = next) {
        Py_INCREF(e); /* that of a row which nothing else refers to goes with it */
        rc = begin(e);
        next = e->next;
        Py_DECREF(e);
        if (rc != 0)
            return -1;
    }
    while (s->ends != NULL)
        (void)close_end(s->ends);
    if (s->is_open)
        ipc_shm_close(&s->shm);
    s->is_open = 0;
    return 0;
}

static PyObject *segment_close(PyObject *self, PyObject *none)
{
    (void)none;
    if (close_segment((struct segment *)self) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *segment_exit(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    (void)n;
    return segment_close(self, NULL);
}

static void segment_dealloc(PyObject *self)
{
    struct segment *s = (struct segment *)self;

    if (s->is_open) /* without ends, as each refers to its segment */
        ipc_shm_close(&s->shm);
    Py_XDECREF(s->name);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *segment_name(PyObject *self, void *none)
{
    PyObject *name = ((struct segment *)self)->name;

    (void)none;
    name = name != NULL ? name : Py_None;
    Py_INCREF(name);
    return name;
}

static PyObject *segment_created(PyObject *self, void *none)
{
    (void)none;
    return PyBool_FromLong(((struct segment *)self)->shm.created);
}

static PyObject *segment_closed(PyObject *self, void *none)
{
    (void)none;
    return PyBool_FromLong(!((struct segment *)self)->is_open);
}

static PyObject *segment_list(PyObject *self, PyObject *none)
{
    struct segment *s = (struct segment *)self;
    struct ipc_shm_object o;
    PyObject *names, *name;
    unsigned i;

    (void)none;
    if (check_segment(s) != 0 || (names = PyList_New(0)) == NULL)
        return NULL;
    for (i = 0; i < s->shm.objects; i++) {
        if (ipc_shm_list(&s->shm, i, &o) != 0)
            continue;
        name = PyUnicode_DecodeFSDefault(o.name);
        if (name == NULL || PyList_Append(names, name) != 0) {
            Py_XDECREF(name);
            Py_DECREF(names);
            return NULL;
        }
        Py_DECREF(name);
    }
    return names;
}

static PyObject *segment_processes(PyObject *self, PyObject *none)
{
    struct segment *s = (struct segment *)self;
    PyObject *all, *id, *pid;
    struct ipc_shm_member who;
    unsigned i;
    int rc = 0;

    (void)none;
    if (check_segment(s) != 0 || (all = PyDict_New()) == NULL)
        return NULL;
    for (i = 0; rc == 0 && s->is_open && i < s->shm.members; i++) {
        if (ipc_shm_who(&s->shm, i, &who) != 0 || !who.alive)
            continue;
        id = PyLong_FromUnsignedLongLong(who.id);
        pid = who.here ? PyLong_FromLong(who.pid) : Py_BuildValue("");
        rc = id == NULL || pid == NULL ? -1 : PyDict_SetItem(all, id, pid);
        Py_XDECREF(id);
        Py_XDECREF(pid);
    }
    if (rc != 0)
        Py_CLEAR(all);
    return all;
}

#define KEYWORDS(function)                                                                         \
    (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS | METH_CLASS

static PyMethodDef segment_methods[] = {
    {"create", KEYWORDS(segment_create),
     "create($type, name, size, *, mode=0o600, owner=-1, members=0, objects=0, fresh=False)\n--\n\n"
     "Creates a segment with room for `size` bytes of rings, or takes over what a dead creator left.\n"
     "name None: nameless and sealed, for `send`. A name with a slash is the path of a file.\n\n"
     ">>> with Segment.create(name, 1 << 20) as seg:\n"
     "...     seg.name == name, seg.created, seg.rings()\n"
     "(True, True, [])"},
    {"open", KEYWORDS(segment_open),
     "open($type, name, timeout=None, *, owner=-1, mode=0o600, read_only=False)\n--\n\n"
     "Opens the segment; waits until it is there, `timeout` seconds at most.\n\n"
     ">>> Segment.open(name, timeout=0)\n"
     "Traceback (most recent call last):\n"
     "  ...\n"
     "ipc_ring._errors.NotFound: ..."},
    {"open_or_create", KEYWORDS(segment_open_or_create),
     "open_or_create($type, name, size, *, mode=0o600, owner=-1, members=0, objects=0)\n--\n\n"
     "Opens the segment, or creates it: for processes any of which may come first."},
    {"receive", KEYWORDS(segment_receive),
     "receive($type, socket, timeout=None, *, read_only=False, largest=0)\n--\n\n"
     "Opens the segment that the process at the other end of a Unix socket sends by `send`."},
    {"send", segment_send, METH_O,
     "send($self, socket, /)\n--\n\nSends the segment over a connected Unix socket."},
    {"sync", segment_sync, METH_NOARGS,
     "sync($self)\n--\n\nOf a segment in a file: returns when all that was stored is on the disk."},
    {"rings", segment_list, METH_NOARGS, "rings($self)\n--\n\nThe names of what is in the segment."},
    {"processes", segment_processes, METH_NOARGS,
     "processes($self)\n--\n\n"
     "The living processes that have the segment open: the pid of each by its id, which is what the ends\n"
     "know a process by. None: the pid is of another PID namespace.\n\n"
     ">>> import os\n"
     ">>> with Segment.create(name, 1 << 20) as seg:\n"
     "...     list(seg.processes().values()) == [os.getpid()]\n"
     "True"},
    {"unlink", segment_unlink, METH_O | METH_STATIC,
     "unlink(name, /)\n--\n\nFrees the name. A process that has the segment open keeps it."},
    {"close", segment_close, METH_NOARGS,
     "close($self)\n--\n\nCloses the ends that are open in the segment, and leaves it. The name and what\n"
     "is in the rings stay. A segment that is dropped is closed once the ends in it are."},
    {"__enter__", return_self, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))segment_exit, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef segment_getset[] = {
    {"name", segment_name, NULL, "The name; None where there is none.", NULL},
    {"created", segment_created, NULL, "Was it created, or taken over, by this call?", NULL},
    {"closed", segment_closed, NULL, "Is it closed?", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyTypeObject segment_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "ipc_ring.Segment",
    .tp_doc = "Memory that processes share. By `create`, `open`, `open_or_create` or `receive`.",
    .tp_basicsize = sizeof(struct segment),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = segment_dealloc,
    .tp_methods = segment_methods,
    .tp_getset = segment_getset,
};

#endif
