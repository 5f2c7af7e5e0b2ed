/* Producer and Consumer: messages of one size, of SPSC, MPMC, MPSC, SPMC and broadcasts. */
#ifndef IPC_PYTHON_SLOTS_H
#define IPC_PYTHON_SLOTS_H 1

#include "row.h"

static const char *const put_names[] = {"message", "timeout"};
static const char *const get_names[] = {"timeout"};
static const char *const get_n_names[] = {"most", "timeout"};
static const char *const get_into_names[] = {"to", "timeout"};

/* ------------------------------------------------------------------ putting in */

static PyObject *put_one(struct end *e, PyObject *message, int64_t deadline, int wait)
{
    Py_buffer from;
    int64_t rc;

    if (get_bytes(&e->type, message, 1, &from) != 0)
        return NULL;
    if (begin(e) != 0)
        rc = PENDING;
    else
        rc = wait ? move(e, from.buf, 1, 1, deadline) : e->is->move(e->h, from.buf, 1);
    PyBuffer_Release(&from);
    if (rc < 0)
        return raise_error(rc, NULL, 1);
    Py_RETURN_NONE;
}

static PyObject *producer_push(PyObject *self, PyObject *message)
{
    return put_one((struct end *)self, message, IPC_NOW, 0);
}

/* A kind that knows no hint sends at once, and wakes. */
static int64_t put_more(struct end *e, const Py_buffer *from, size_t n)
{
    return e->is->push_more != NULL ? e->is->push_more(e->h, from->buf, n)
                                    : e->is->move(e->h, from->buf, n);
}

static PyObject *producer_push_more(PyObject *self, PyObject *message)
{
    struct end *e = (struct end *)self;
    Py_buffer from;
    int64_t rc;

    if (get_bytes(&e->type, message, 1, &from) != 0)
        return NULL;
    rc = begin(e) != 0 ? PENDING : put_more(e, &from, 1);
    PyBuffer_Release(&from);
    if (rc < 0)
        return raise_error(rc, NULL, 1);
    Py_RETURN_NONE;
}

static int64_t flush(struct end *e)
{
    return e->is->flush != NULL ? e->is->flush(e->h) : 0;
}

static PyObject *end_flush(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;
    int64_t rc;

    (void)none;
    rc = begin(e) != 0 ? PENDING : flush(e);
    if (rc < 0)
        return raise_error(rc, NULL, 1);
    Py_RETURN_NONE;
}

static PyObject *producer_send(PyObject *self, PyObject *const *args, Py_ssize_t n,
                               PyObject *keywords)
{
    PyObject *a[2];
    int64_t deadline;

    if (get_arguments("send", put_names, 1, 2, args, n, keywords, a) != 0 ||
        to_deadline(a[1], &deadline) != 0)
        return NULL;
    return put_one((struct end *)self, a[0], deadline, 1);
}

/* Puts all in, as far as the deadline permits. How many, or what ended it where none went in. */
static int64_t put_all(struct end *e, const Py_buffer *from, int64_t deadline)
{
    size_t n = (size_t)(from->len / e->type.bytes), done = 0, want = 1;
    int64_t rc = 0;

    while (done < n) {
        if (e->is->half != NULL) { /* half the stream is worth waking up for */
            want = e->is->half(e->h);
            want = n - done < want ? n - done : want;
        }
        rc = move(e, (char *)from->buf + done * (size_t)e->type.bytes, n - done, want, deadline);
        if (rc < 0)
            break;
        done += (size_t)rc;
    }
    return rc == PENDING || (rc < 0 && done == 0) ? rc : (int64_t)done;
}

static PyObject *producer_send_n(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                 PyObject *keywords)
{
    static const char *const names[] = {"messages", "timeout"};
    struct end *e = (struct end *)self;
    PyObject *a[2];
    Py_buffer from;
    int64_t deadline, rc;

    if (get_arguments("send_n", names, 1, 2, args, n, keywords, a) != 0 ||
        to_deadline(a[1], &deadline) != 0 || get_bytes(&e->type, a[0], 0, &from) != 0)
        return NULL;
    rc = begin(e) != 0 ? PENDING : put_all(e, &from, deadline);
    PyBuffer_Release(&from);
    return rc < 0 ? raise_error(rc, NULL, 1) : PyLong_FromLongLong(rc);
}

static PyObject *producer_push_n(PyObject *self, PyObject *messages)
{
    struct end *e = (struct end *)self;
    Py_buffer from;
    int64_t rc;

    if (get_bytes(&e->type, messages, 0, &from) != 0)
        return NULL;
    rc = begin(e) != 0 ? PENDING : e->is->move(e->h, from.buf, (size_t)(from.len / e->type.bytes));
    PyBuffer_Release(&from);
    return rc < 0 ? raise_error(rc, NULL, 1) : PyLong_FromLongLong(rc);
}

static PyObject *slot_claim(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *keywords)
{
    PyObject *timeout;
    int64_t deadline;

    if (get_arguments("claim or peek", get_names, 0, 1, args, n, keywords, &timeout) != 0 ||
        to_deadline(timeout, &deadline) != 0)
        return NULL;
    return claim((struct end *)self, 1, deadline);
}

/* ------------------------------------------------------------------ taking out */

static PyObject *take_one(struct end *e, int64_t deadline, int wait)
{
    PyObject *bytes;
    int64_t rc;

    if (begin(e) != 0 || (bytes = PyBytes_FromStringAndSize(NULL, e->type.bytes)) == NULL)
        return NULL;
    rc = wait ? move(e, PyBytes_AS_STRING(bytes), 1, 1, deadline)
              : e->is->move(e->h, PyBytes_AS_STRING(bytes), 1);
    if (rc > 0)
        return make_one(&e->type, bytes);
    Py_DECREF(bytes);
    return raise_error(rc, NULL, 0);
}

static PyObject *consumer_pop(PyObject *self, PyObject *none)
{
    (void)none;
    return take_one((struct end *)self, IPC_NOW, 0);
}

static PyObject *consumer_recv(PyObject *self, PyObject *const *args, Py_ssize_t n,
                               PyObject *keywords)
{
    PyObject *timeout;
    int64_t deadline;

    if (get_arguments("recv", get_names, 0, 1, args, n, keywords, &timeout) != 0 ||
        to_deadline(timeout, &deadline) != 0)
        return NULL;
    return take_one((struct end *)self, deadline, 1);
}

/* A message for a loop, or NULL without an exception once the other end has left in good order. */
static PyObject *end_loop(PyObject *message)
{
    PyObject *type, *value, *trace, *left;

    if (message != NULL || !PyErr_ExceptionMatches(PyExc_BrokenPipeError))
        return message;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    left = PyObject_GetAttrString(value, "errno");
    if (left != NULL && PyLong_AsLong(left) == EPIPE) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
    } else {
        PyErr_Clear();
        PyErr_Restore(type, value, trace);
    }
    Py_XDECREF(left);
    return NULL;
}

static PyObject *consumer_next(PyObject *self)
{
    return end_loop(take_one((struct end *)self, IPC_FOREVER, 1));
}

/* Takes up to n messages or elements into `to`; the buffer is this call's. */
static PyObject *take_many(struct end *e, Py_ssize_t n, int64_t deadline, int wait)
{
    PyObject *bytes;
    int64_t rc;

    if (n <= 0 || n > PY_SSIZE_T_MAX / e->type.bytes) {
        PyErr_SetString(PyExc_ValueError, "a batch has a message at least, and fits the memory");
        return NULL;
    }
    if (begin(e) != 0 || (bytes = PyByteArray_FromStringAndSize(NULL, n * e->type.bytes)) == NULL)
        return NULL;
    rc = wait ? move(e, PyByteArray_AS_STRING(bytes), (size_t)n, 1, deadline)
              : e->is->move(e->h, PyByteArray_AS_STRING(bytes), (size_t)n);
    if (rc > 0)
        return make_many(&e->type, bytes, rc);
    Py_DECREF(bytes);
    return raise_error(rc, NULL, 0);
}

static PyObject *consumer_recv_n(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                 PyObject *keywords)
{
    PyObject *a[2];
    Py_ssize_t most;
    int64_t deadline;

    if (get_arguments("recv_n", get_n_names, 1, 2, args, n, keywords, a) != 0 ||
        to_deadline(a[1], &deadline) != 0)
        return NULL;
    most = PyNumber_AsSsize_t(a[0], PyExc_OverflowError);
    if (most == -1 && PyErr_Occurred())
        return NULL;
    return take_many((struct end *)self, most, deadline, 1);
}

static PyObject *consumer_pop_n(PyObject *self, PyObject *most)
{
    Py_ssize_t n = PyNumber_AsSsize_t(most, PyExc_OverflowError);

    if (n == -1 && PyErr_Occurred())
        return NULL;
    return take_many((struct end *)self, n, IPC_NOW, 0);
}

static PyObject *consumer_recv_into(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                    PyObject *keywords)
{
    struct end *e = (struct end *)self;
    PyObject *a[2];
    Py_buffer to;
    int64_t deadline, rc;

    if (get_arguments("recv_into", get_into_names, 1, 2, args, n, keywords, a) != 0 ||
        to_deadline(a[1], &deadline) != 0 ||
        PyObject_GetBuffer(a[0], &to, PyBUF_ND | PyBUF_WRITABLE) != 0)
        return NULL;
    if ((to.itemsize != 1 && to.itemsize != e->type.bytes) || to.len < e->type.bytes) {
        PyErr_Format(PyExc_ValueError, "%zd bytes in items of %zd, where messages have %zd", to.len,
                     to.itemsize, e->type.bytes);
        rc = PENDING;
    } else {
        rc = begin(e) != 0 ? PENDING
                           : move(e, to.buf, (size_t)(to.len / e->type.bytes), 1, deadline);
    }
    PyBuffer_Release(&to);
    return rc < 0 ? raise_error(rc, NULL, 0) : PyLong_FromLongLong(rc);
}

/* ------------------------------------------------------------------ the types */

#define MONITOR_METHODS                                                                            \
    {                                                                                              \
        "was_size", end_was_size, METH_NOARGS,                                                     \
            "was_size($self)\n--\n\nAbout how many messages, or elements, were in the ring just "  \
            "now."                                                                                 \
    }

#define FLUSH_METHOD                                                                               \
    {                                                                                              \
        "flush", end_flush, METH_NOARGS,                                                           \
            "flush($self)\n--\n\nLets the other end see what push_more has put in, and wakes it."  \
    }

static PyMethodDef producer_methods[] = {
    {"send", FAST(producer_send),
     "send($self, message, timeout=None)\n--\n\n"
     "Sends a message: bytes, or a NumPy scalar of the ring's type, or what makes one. Waits while the\n"
     "ring is full.\n\n"
     ">>> out.send(b'one', timeout=1)\n"
     ">>> out.send(b'four')\n"
     "Traceback (most recent call last):\n"
     "  ...\n"
     "ValueError: 4 bytes in items of 1, where a message has 3"},
    {"push", producer_push, METH_O,
     "push($self, message, /)\n--\n\nAs send, but Full where there is no room now."},
    {"push_more", producer_push_more, METH_O,
     "push_more($self, message, /)\n--\n\n"
     "As push, with the hint that more is coming: the other end may see it only after flush or the next\n"
     "of the other calls, and is not woken. SPSC; the other kinds know no hint.\n\n"
     ">>> for message in b'one', b'two', b'six':\n"
     "...     out.push_more(message)\n"
     ">>> out.flush()\n"
     ">>> inp.recv_n(100, timeout=1)\n"
     "bytearray(b'onetwosix')"},
    FLUSH_METHOD,
    {"send_n", FAST(producer_send_n),
     "send_n($self, messages, timeout=None)\n--\n\n"
     "Sends the messages of an array, or of bytes in which they are back to back. Returns how many:\n"
     "fewer than all where the time was over, or the other end has left.\n\n"
     ">>> out.send_n(b'twosix')\n"
     "2"},
    {"push_n", producer_push_n, METH_O,
     "push_n($self, messages, /)\n--\n\nAs send_n, of as many as there is room for now; Full: none."},
    {"claim", FAST(slot_claim),
     "claim($self, timeout=None)\n--\n\n"
     "The next slot, to write the message in place: a Row.\n\n"
     ">>> with out.claim() as slot:\n"
     "...     slot[:] = b'ten'\n"
     ">>> inp.recv(timeout=1)\n"
     "b'ten'"},
    {"commit", FAST(end_commit), "commit($self)\n--\n\n"
     "Sends the slot that was claimed. Full, where there are several producers: others have passed this\n"
     "one over, and there is no room now; claim gives the slot again, as it was written."},
    {"cancel", end_cancel, METH_NOARGS, "cancel($self)\n--\n\nGives the slot back unsent."},
    {"losses", end_losses, METH_NOARGS,
     "losses($self)\n--\n\nMPMC, MPSC, SPMC: how many messages were lost with killed\n"
     "processes, or handed out again, also as a consumer detached with one in hand."},
    RECOVER_METHOD,
    MONITOR_METHODS,
    WAS_READERS_METHOD,
    WAS_SLOWEST_METHOD,
    END_METHODS,
    {NULL, NULL, 0, NULL}};

static PyMethodDef consumer_methods[] = {
    {"recv", FAST(consumer_recv),
     "recv($self, timeout=None)\n--\n\n"
     "Takes the oldest message: bytes, or a NumPy scalar of the ring's type. Waits while the ring is\n"
     "empty. `for message in consumer` does so until the other end leaves.\n\n"
     ">>> out.send(b'one')\n"
     ">>> inp.recv(timeout=1)\n"
     "b'one'\n"
     ">>> inp.recv(timeout=0)\n"
     "Traceback (most recent call last):\n"
     "  ...\n"
     "ipc_ring._errors.Timeout: [Errno 110] the time is over"},
    {"pop", consumer_pop, METH_NOARGS,
     "pop($self)\n--\n\nAs recv, but Empty where there is no message now."},
    {"recv_n", FAST(consumer_recv_n),
     "recv_n($self, most, timeout=None)\n--\n\n"
     "Takes up to `most` messages, as soon as there is one: an array of the ring's type, or a bytearray\n"
     "in which they are back to back.\n\n"
     ">>> out.send_n(b'twosix')\n"
     "2\n"
     ">>> inp.recv_n(100, timeout=1)\n"
     "bytearray(b'twosix')"},
    {"pop_n", consumer_pop_n, METH_O, "pop_n($self, most, /)\n--\n\nAs recv_n, but Empty where there is none now."},
    {"recv_into", FAST(consumer_recv_into),
     "recv_into($self, to, timeout=None)\n--\n\n"
     "As recv_n, into an array or other buffer of yours. Returns how many."},
    {"peek", FAST(slot_claim),
     "peek($self, timeout=None)\n--\n\n"
     "The oldest message in place, read-only: a Row. MPMC and SPMC: no other consumer gets it until it\n"
     "is released, or this process is killed.\n\n"
     ">>> out.send(b'one')\n"
     ">>> with inp.peek() as slot:\n"
     "...     bytes(slot)\n"
     "b'one'"},
    {"release", FAST(end_commit),
     "release($self)\n--\n\n"
     "Ends a peek: the message is taken. Missed, in a lossy broadcast: what was read of it is not to be\n"
     "believed, as the writer has overwritten it."},
    {"losses", end_losses, METH_NOARGS,
     "losses($self)\n--\n\nMPMC, MPSC, SPMC: how many messages were lost with killed\n"
     "processes, or handed out again, also as a consumer detached with one in hand."},
    RECOVER_METHOD,
    MONITOR_METHODS,
    REPLAY_METHOD,
    END_METHODS,
    {NULL, NULL, 0, NULL}};

static PyGetSetDef end_getset[] = {
    END_GETSET,
    {"missed", end_missed, NULL, "Lossy broadcasts: how many messages this reader has missed.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

#define END_TYPE(variable, name, doc, make, methods)                                               \
    static PyTypeObject variable = {                                                               \
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "ipc_ring." name,                                 \
        .tp_doc = doc,                                                                             \
        .tp_basicsize = sizeof(struct end),                                                        \
        .tp_flags = Py_TPFLAGS_DEFAULT,                                                            \
        .tp_new = make,                                                                            \
        .tp_dealloc = end_dealloc,                                                                 \
        .tp_methods = methods,                                                                     \
        .tp_getset = end_getset,
#define END_TYPE_END };

END_TYPE(producer_type, "Producer", "Puts messages of one size in. By `producer` of a kind of ring.",
         new_producer, producer_methods)
END_TYPE_END
END_TYPE(consumer_type, "Consumer", "Takes messages of one size out. By `consumer` of a kind of ring.",
         new_consumer, consumer_methods)
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = consumer_next,
END_TYPE_END

#endif
