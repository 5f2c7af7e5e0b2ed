/* Segments, ends of rings, and waiting without the interpreter's lock. */
#ifndef IPC_PYTHON_CORE_H
#define IPC_PYTHON_CORE_H 1

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "rings.h"
#include <math.h>
#include <stdlib.h>

/* How long a call sleeps before it looks for signals: one that comes just before a sleep does not
 * end it. */
#define LOOK_NS INT64_C(100000000)
#define PENDING INT_MIN /* in place of an errno: a Python exception is set */

static PyObject *make_error; /* of _errors.py */
static PyTypeObject segment_type, producer_type, consumer_type, record_producer_type,
    record_consumer_type, stream_producer_type, stream_consumer_type, client_type, server_type;

/* Which type has the calls of an end, as ring_ends. */
static PyTypeObject *const end_types[][2] = {
    [END_SPSC] = {&producer_type, &consumer_type},
    [END_MPMC] = {&producer_type, &consumer_type},
    [END_BROADCAST] = {&producer_type, &consumer_type},
    [END_RECORD] = {&record_producer_type, &record_consumer_type},
    [END_RECORD_BROADCAST] = {&record_producer_type, &record_consumer_type},
    [END_STREAM] = {&stream_producer_type, &stream_consumer_type},
    [END_CALL] = {&client_type, &server_type},
};

/* ------------------------------------------------------------------ errors and arguments */

/* Raises what `rc` means; why: the sentence of a refusal, or NULL. Returns NULL. */
static PyObject *raise_error(int64_t rc, const char *why, int produces)
{
    PyObject *error;

    if (rc == PENDING)
        return NULL;
    error = PyObject_CallFunction(make_error, "izi", (int)-rc, why, produces);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

/* Seconds from now; NULL and None: for ever. 0, or -1 with an exception. */
static int to_deadline(PyObject *seconds, int64_t *deadline)
{
    double s;

    *deadline = IPC_FOREVER;
    if (seconds == NULL || seconds == Py_None)
        return 0;
    s = PyFloat_AsDouble(seconds);
    if (s == -1 && PyErr_Occurred())
        return -1;
    if (isnan(s)) {
        PyErr_SetString(PyExc_ValueError, "timeout is not a number of seconds");
        return -1;
    }
    if (s <= 0)
        *deadline = IPC_NOW;
    else if (s < 4e9) /* above a century: as good as for ever */
        *deadline = ipc_clock() + (int64_t)(s * 1e9);
    return 0;
}

/* Up to `most` arguments by place or name, the first `least` of which must be there. The others are
 * NULL where they are not given. 0, or -1 with an exception. */
static int get_arguments(const char *call, const char *const *names, int least, int most,
                         PyObject *const *args, Py_ssize_t n, PyObject *keywords, PyObject **to)
{
    Py_ssize_t i;
    int at;

    if (n > most) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments", call, most);
        return -1;
    }
    for (at = 0; at < most; at++)
        to[at] = at < n ? args[at] : NULL;
    for (i = 0; keywords != NULL && i < PyTuple_GET_SIZE(keywords); i++) {
        PyObject *name = PyTuple_GET_ITEM(keywords, i);

        for (at = 0; at < most; at++)
            if (PyUnicode_CompareWithASCIIString(name, names[at]) == 0)
                break;
        if (at == most || to[at] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s(): argument '%U' is not known, or given twice", call,
                         name);
            return -1;
        }
        to[at] = args[n + i];
    }
    for (at = 0; at < least; at++)
        if (to[at] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() needs an argument '%s'", call, names[at]);
            return -1;
        }
    return 0;
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

/* ------------------------------------------------------------------ objects */

struct end;

struct segment {
    PyObject_HEAD struct ipc_shm shm;
    int is_open;
    int calls;        /* that threads are in, without the interpreter's lock */
    PyObject *name;   /* or NULL */
    struct end *ends; /* that are open in it */
};

/* What the messages, or elements, of a ring are in Python: tuples that __init__.py makes. The
 * objects are NULL where messages are bytes. */
struct message_type {
    Py_ssize_t bytes;
    PyObject *pack;   /* makes something with a buffer of any other message */
    PyObject *one;    /* makes a message of bytes */
    PyObject *many;   /* makes an array of a bytearray */
    PyObject *format; /* as the buffer protocol spells it; or NULL */
};

struct row;

struct end {
    PyObject_HEAD const struct ring_end *is;
    void *h; /* NULL: closed */
    struct segment *seg;
    struct end *next, **link; /* in seg->ends */
    struct message_type type, reply;
    int busy; /* a thread is in a call that waits */
    /* What is claimed or peeked: NULL, or a list of one, or of the two pieces of a stream. Each owns
     * a reference to this, not vice versa. */
    struct row *row;
    Py_ssize_t held; /* messages, elements or bytes in all of it */
    unsigned char *record; /* records: where they are copied to first */
    size_t record_size;
};

static int end_row(struct end *e); /* row.h */

/* ------------------------------------------------------------------ message types */

static void drop_type(struct message_type *t)
{
    Py_CLEAR(t->pack);
    Py_CLEAR(t->one);
    Py_CLEAR(t->many);
    Py_CLEAR(t->format);
}

static int keep_type(struct message_type *t, PyObject *tuple)
{
    PyObject **to[4] = {&t->pack, &t->one, &t->many, &t->format};
    PyObject *from[4];
    int i;

    if (!PyArg_ParseTuple(tuple, "nOOOO", &t->bytes, &from[0], &from[1], &from[2], &from[3]))
        return -1;
    if (t->bytes <= 0) {
        PyErr_SetString(PyExc_ValueError, "a message has a byte at least");
        return -1;
    }
    for (i = 0; i < 4; i++)
        if (from[i] != Py_None) {
            Py_INCREF(from[i]);
            *to[i] = from[i];
        }
    return 0;
}

/* The bytes of `one` message, or of several. 0, or -1 with an exception. */
static int get_bytes(const struct message_type *t, PyObject *messages, int one, Py_buffer *view)
{
    PyObject *packed = NULL;
    int rc;

    if (t->pack != NULL && !PyObject_CheckBuffer(messages)) {
        packed = PyObject_CallOneArg(t->pack, messages);
        if (packed == NULL)
            return -1;
        messages = packed;
    }
    rc = PyObject_GetBuffer(messages, view, PyBUF_ND);
    Py_XDECREF(packed);
    if (rc != 0)
        return -1;
    if ((view->itemsize == 1 || view->itemsize == t->bytes) &&
        (one ? view->len == t->bytes : view->len % t->bytes == 0))
        return 0;
    PyErr_Format(PyExc_ValueError, "%zd bytes in items of %zd, where a message has %zd", view->len,
                 view->itemsize, t->bytes);
    PyBuffer_Release(view);
    return -1;
}

/* Makes a message of bytes, whose reference it takes. */
static PyObject *make_one(const struct message_type *t, PyObject *bytes)
{
    PyObject *message;

    if (bytes == NULL || t->one == NULL)
        return bytes;
    message = PyObject_CallOneArg(t->one, bytes);
    Py_DECREF(bytes);
    return message;
}

/* Makes a batch of the first n messages of a bytearray, whose reference it takes. */
static PyObject *make_many(const struct message_type *t, PyObject *bytes, int64_t n)
{
    PyObject *messages;

    if (PyByteArray_Resize(bytes, (Py_ssize_t)n * t->bytes) != 0) {
        Py_DECREF(bytes);
        return NULL;
    }
    if (t->many == NULL)
        return bytes;
    messages = PyObject_CallOneArg(t->many, bytes);
    Py_DECREF(bytes);
    return messages;
}

/* ------------------------------------------------------------------ ends */

/* Is the end open, and not in use by another thread? 0, or -1 with an exception. */
static int check(const struct end *e)
{
    if (e->h == NULL) {
        raise_error(-EBADF, "this end is closed", e->is == NULL || e->is->produces);
        return -1;
    }
    if (e->busy) {
        PyErr_SetString(PyExc_RuntimeError,
                        "another thread is in a call of this end, which one thread "
                        "at a time can use");
        return -1;
    }
    return 0;
}

/* Before a call that moves something: also, is nothing in use that was claimed or peeked? */
static int begin(struct end *e)
{
    return check(e) != 0 ? -1 : e->row != NULL ? end_row(e) : 0;
}

/* Waits as the end does, without the interpreter's lock. 0, a negative errno, or PENDING. */
static int wait_for(struct end *e, size_t n, int64_t deadline)
{
    int rc;

    if (deadline == IPC_NOW)
        return e->is->wait(e->h, n, deadline);
    e->busy = 1;
    do {
        int64_t piece = ipc_clock() + LOOK_NS;

        if (PyErr_CheckSignals() != 0) {
            rc = PENDING;
            break;
        }
        Py_BEGIN_ALLOW_THREADS rc = e->is->wait(e->h, n, piece < deadline ? piece : deadline);
        Py_END_ALLOW_THREADS if (rc == -ETIMEDOUT && piece < deadline) rc = -EINTR;
    } while (rc == -EINTR);
    e->busy = 0;
    return rc;
}

/* Moves 1 to n messages, elements, or one record of n bytes; waits until one can be, or `want` are.
 * How many, a negative errno, or PENDING. */
static int64_t move(struct end *e, void *messages, size_t n, size_t want, int64_t deadline)
{
    int64_t rc;
    int waited = 0;

    while ((rc = e->is->move(e->h, messages, n)) == -EAGAIN) {
        if (waited && ipc_left_(deadline) == 0)
            return -ETIMEDOUT; /* what a hostile peer gives may come and go */
        rc = wait_for(e, want, deadline);
        if (rc != 0)
            return rc;
        waited = 1;
    }
    return rc;
}

static void forget_end(struct end *e)
{
    free(e->h);
    e->h = NULL;
    *e->link = e->next;
    if (e->next != NULL)
        e->next->link = e->link;
}

/* Leaves the ring. 0, or -1 with an exception. */
static int close_end(struct end *e)
{
    if (e->h == NULL)
        return 0;
    if (begin(e) != 0)
        return -1;
    e->is->detach(e->h);
    forget_end(e);
    return 0;
}

static PyObject *end_close(PyObject *self, PyObject *none)
{
    (void)none;
    if (close_end((struct end *)self) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *return_self(PyObject *self, PyObject *none)
{
    (void)none;
    Py_INCREF(self);
    return self;
}

static PyObject *end_exit(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    (void)n;
    return end_close(self, NULL);
}

static PyObject *end_closed(PyObject *self, void *none)
{
    (void)none;
    return PyBool_FromLong(((struct end *)self)->h == NULL);
}

static void end_dealloc(PyObject *self)
{
    struct end *e = (struct end *)self;

    if (e->busy) /* came by fork while another thread, which is not here, was in the midst of a call */
        forget_end(e);
    (void)close_end(e); /* nothing of it is in use, as that refers to it */
    drop_type(&e->type);
    drop_type(&e->reply);
    free(e->record);
    Py_CLEAR(e->seg);
    Py_TYPE(self)->tp_free(self);
}

/* Tries once to make or open the ring: see `opening`. */
static int try_to_open(struct end *e, const char *name, uint64_t capacity, unsigned how,
                       unsigned ends, int version)
{
    opening.bytes = (size_t)e->type.bytes;
    opening.reply = (size_t)e->reply.bytes;
    opening.ends = ends;
    opening.version = version;
    e->seg->shm.deadline = IPC_NOW;
    return capacity > 0 ? e->is->create(e->h, &e->seg->shm, name, capacity, how)
                        : e->is->open(e->h, &e->seg->shm, name);
}

/* Opens the end; waits until the ring is there. 0, a negative errno, or PENDING. */
static int open_end(struct end *e, const char *name, uint64_t capacity, unsigned how, unsigned ends,
                    int version, int64_t deadline)
{
    int64_t pause = 1000000;
    int rc;

    while ((rc = try_to_open(e, name, capacity, how, ends, version)) == -ENOENT) {
        int64_t left = ipc_left_(deadline);
        struct timespec t = ipc_notify_time_(left < pause ? left : pause);

        if (left == 0)
            return deadline == IPC_NOW ? rc : -ETIMEDOUT;
        if (PyErr_CheckSignals() != 0)
            return PENDING;
        Py_BEGIN_ALLOW_THREADS(void) nanosleep(&t, NULL);
        Py_END_ALLOW_THREADS if (!e->seg->is_open) /* closed by another thread */
            return -EBADF;
        if (pause < 16000000)
            pause *= 2;
    }
    return rc;
}

/* END(segment, name, kind, ends, version, type, reply, capacity, how, timeout): __init__.py calls
 * it. capacity 0: opens what is there. */
static PyObject *new_end(PyTypeObject *type, PyObject *args, int consumes)
{
    struct end *e;
    struct segment *seg;
    PyObject *types[2], *timeout;
    const char *name;
    unsigned kind, ends, how;
    unsigned long long capacity;
    int64_t deadline;
    int version, rc;

    if (!PyArg_ParseTuple(args, "O!sIIiO!O!KIO", &segment_type, &seg, &name, &kind, &ends, &version,
                          &PyTuple_Type, &types[0], &PyTuple_Type, &types[1], &capacity, &how,
                          &timeout) ||
        to_deadline(timeout, &deadline) != 0)
        return NULL;
    if (kind > END_CALL || type != end_types[kind][consumes]) {
        PyErr_SetString(PyExc_TypeError, "an end of another kind of ring");
        return NULL;
    }
    if (!seg->is_open)
        return raise_error(-EBADF, "the segment is closed", 0);
    e = (struct end *)type->tp_alloc(type, 0);
    if (e == NULL)
        return NULL;
    Py_INCREF(seg);
    e->seg = seg;
    e->is = &ring_ends[kind][consumes];
    if (keep_type(&e->type, types[0]) != 0 || keep_type(&e->reply, types[1]) != 0) {
        Py_DECREF(e);
        return NULL;
    }
    e->h = calloc(1, e->is->size);
    if (e->h == NULL) {
        Py_DECREF(e);
        return PyErr_NoMemory();
    }
    rc = open_end(e, name, capacity, how, ends, version, deadline);
    if (rc != 0) {
        free(e->h);
        e->h = NULL;
        raise_error(rc, ipc_shm_why(&seg->shm), 0);
        Py_DECREF(e);
        return NULL;
    }
    e->next = seg->ends;
    e->link = &seg->ends;
    if (e->next != NULL)
        e->next->link = &e->next;
    seg->ends = e;
    return (PyObject *)e;
}

static PyObject *new_producer(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)keywords;
    return new_end(type, args, 0);
}

static PyObject *new_consumer(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)keywords;
    return new_end(type, args, 1);
}

static PyObject *end_missed(PyObject *self, void *none)
{
    struct end *e = (struct end *)self;

    (void)none;
    if (check(e) != 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(e->is->missed != NULL ? e->is->missed(e->h) : 0);
}

static PyObject *end_was_size(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;

    (void)none;
    if (check(e) != 0)
        return NULL;
    if (e->is->was_size == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "a broadcast does not know how many messages each reader has left");
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(e->is->was_size(e->h));
}

static PyObject *end_was_readers(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;

    (void)none;
    if (check(e) != 0)
        return NULL;
    if (e->is->was_readers == NULL) {
        PyErr_SetString(PyExc_TypeError, "only a broadcast has readers");
        return NULL;
    }
    return PyLong_FromUnsignedLong(e->is->was_readers(e->h));
}

static PyObject *end_was_slowest(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;
    uint64_t behind, id;

    (void)none;
    if (check(e) != 0)
        return NULL;
    if (e->is->was_slowest == NULL) {
        PyErr_SetString(PyExc_TypeError, "only a broadcast has readers");
        return NULL;
    }
    behind = e->is->was_slowest(e->h, &id);
    return Py_BuildValue("KK", (unsigned long long)behind, (unsigned long long)id);
}

static PyObject *end_recover(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *keywords)
{
    static const char *const names[] = {"process"};
    struct end *e = (struct end *)self;
    unsigned long long id = 0;
    PyObject *process;
    int64_t rc;

    if (get_arguments("recover", names, 0, 1, args, n, keywords, &process) != 0)
        return NULL;
    if (process != NULL)
        id = PyLong_AsUnsignedLongLong(process);
    if (PyErr_Occurred() || check(e) != 0)
        return NULL;
    if (e->is->recover == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "only Mpmc, Mpsc and Spmc, and producers of broadcasts, have what dead "
                        "processes held");
        return NULL;
    }
    rc = e->is->recover(e->h, id);
    return rc < 0 ? raise_error(rc, NULL, e->is->produces) : PyLong_FromLongLong(rc);
}

/* ------------------------------------------------------------------ event loops */

static PyObject *end_fileno(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;
    int fd;

    (void)none;
    if (check(e) != 0)
        return NULL;
    fd = ipc_notify_fd(e->is->bell(e->h));
    if (fd >= 0)
        return PyLong_FromLong(fd);
    return raise_error(fd,
                       fd == -EROFS ? "a segment that is open read-only has no descriptors: let a "
                                      "thread wait"
                                    : strerror(-fd),
                       e->is->produces);
}

static PyObject *end_arm(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;
    struct ipc_notify *bell;

    (void)none;
    if (check(e) != 0)
        return NULL;
    bell = e->is->bell(e->h);
    ipc_notify_drain(bell);
    ipc_notify_arm(bell);
    Py_RETURN_NONE;
}

static PyObject *end_replay(PyObject *self, PyObject *most)
{
    struct end *e = (struct end *)self;
    Py_ssize_t n = PyNumber_AsSsize_t(most, PyExc_OverflowError);

    if ((n == -1 && PyErr_Occurred()) || begin(e) != 0)
        return NULL;
    if (e->is->replay == NULL || n < 0) {
        PyErr_SetString(PyExc_ValueError, "Spsc and Records have a replay, of no less than 0");
        return NULL;
    }
    e->is->replay(e->h, (uint64_t)n);
    Py_RETURN_NONE;
}

static PyObject *end_losses(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;
    struct ipc_mpmc_losses l = {0, 0, 0};

    (void)none;
    if (check(e) != 0)
        return NULL;
    if (e->is->losses != NULL)
        l = e->is->losses(e->h);
    return Py_BuildValue("{sKsKsK}", "aborted", (unsigned long long)l.aborted, "lost",
                         (unsigned long long)l.lost, "again", (unsigned long long)l.again);
}

#define WAS_READERS_METHOD                                                                         \
    {"was_readers", end_was_readers, METH_NOARGS,                                                  \
     "was_readers($self)\n--\n\nBroadcasts, lossless: how many readers there were just now."}
#define WAS_SLOWEST_METHOD                                                                         \
    {"was_slowest", end_was_slowest, METH_NOARGS,                                                  \
     "was_slowest($self)\n--\n\n"                                                                  \
     "Broadcasts, lossless: how many messages, or bytes of records, the slowest reader had still to\n" \
     "read just now, about; and the id of its process, as in Segment.processes. (0, 0): none had any."}
#define RECOVER_METHOD                                                                             \
    {"recover", FAST(end_recover),                                                                 \
     "recover($self, process=0)\n--\n\n"                                                          \
     "Mpmc, Mpsc, Spmc: frees, or hands out again, all that the dead process of this id held; 0: that\n" \
     "any dead process held. Producers of broadcasts: frees the seats of dead readers. Returns how\n" \
     "many. The other calls do so for what is in their way."}
#define REPLAY_METHOD                                                                              \
    {"replay", end_replay, METH_O,                                                                 \
     "replay($self, most, /)\n--\n\n"                                                             \
     "Spsc, Records: how many of what was taken last the successor of this consumer sees again, if\n" \
     "this process is killed: Spsc: messages, 256 if nothing is said, or an eighth of the capacity;\n" \
     "Records: bytes. With 0 nothing comes twice, and what was in hand is lost."}
#define END_METHODS                                                                                \
    {"close", end_close, METH_NOARGS,                                                              \
     "close($self)\n--\n\nGives the end back; what is in the ring stays. The other end is told "   \
     "(PeerGone).\nAn end that is dropped, or whose `with` block ends, is closed, too."},          \
        {"fileno", end_fileno, METH_NOARGS,                                                        \
         "fileno($self)\n--\n\nA descriptor for event loops such as asyncio, selectors and select, to be read from.\n" \
         "It belongs to this end, which closes it; only `arm` may read it."},                      \
        {"arm", end_arm, METH_NOARGS,                                                              \
         "arm($self)\n--\n\nFrom now on what the other end does makes `fileno` readable, until the next arm. Call it\n" \
         "before a look with timeout=0, and sleep in the loop only if that found nothing; for a second\n" \
         "at most, as a program that wakes nobody may be at the other end. It may be readable for\n" \
         "nothing: look again."},                                                                  \
        {"__enter__", return_self, METH_NOARGS, NULL},                                             \
    {                                                                                              \
        "__exit__", (PyCFunction)(void (*)(void))end_exit, METH_FASTCALL, NULL                     \
    }
#define END_GETSET                                                                                 \
    {                                                                                              \
        "closed", end_closed, NULL, "Is the end closed?", NULL                                     \
    }

#endif
