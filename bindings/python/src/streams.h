/* StreamProducer and StreamConsumer: elements without messages. */
#ifndef IPC_PYTHON_STREAMS_H
#define IPC_PYTHON_STREAMS_H 1

#include "records.h"

static PyObject *stream_wait(PyObject *self, PyObject *const *args, Py_ssize_t n,
                             PyObject *keywords)
{
    struct end *e = (struct end *)self;
    Py_ssize_t count;
    int64_t deadline;
    int rc;

    if (get_count("wait", args, n, keywords, &count, &deadline) != 0 || begin(e) != 0)
        return NULL;
    rc = wait_for(e, (size_t)count, deadline);
    if (rc != 0)
        return raise_error(rc, NULL, e->is->produces);
    Py_RETURN_NONE;
}

static PyObject *stream_recv(PyObject *self, PyObject *const *args, Py_ssize_t n,
                             PyObject *keywords)
{
    Py_ssize_t most;
    int64_t deadline;

    if (get_count("recv", args, n, keywords, &most, &deadline) != 0)
        return NULL;
    return take_many((struct end *)self, most, deadline, 1);
}

/* The two pieces of the room, or of what is there. */
static PyObject *stream_pieces(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;
    struct row *first = new_row(e), *second = new_row(e);
    PyObject *both = PyTuple_New(2);
    struct any_stream_regions at;
    int rc = first == NULL || second == NULL || both == NULL || begin(e) != 0 ? PENDING : 0;

    (void)none;
    if (rc == 0) {
        e->held = (Py_ssize_t)(e->is->produces
                                   ? any_stream_room((struct any_stream_producer *)e->h, &at)
                                   : any_stream_data((struct any_stream_consumer *)e->h, &at));
        rc = e->held == 0 ? e->is->error(e->h) : 0;
    }
    if (rc != 0) {
        Py_XDECREF(first);
        Py_XDECREF(second);
        Py_XDECREF(both);
        return raise_error(rc, NULL, e->is->produces);
    }
    begin_row(second, at.at[1], at.n[1]);
    begin_row(first, at.at[0], at.n[0]);
    first->is_piece = second->is_piece = 1;
    PyTuple_SET_ITEM(both, 0, (PyObject *)first);
    PyTuple_SET_ITEM(both, 1, (PyObject *)second);
    return both;
}

/* What is there, 64 KiB at most. */
static PyObject *stream_next(PyObject *self)
{
    struct end *e = (struct end *)self;
    Py_ssize_t n = e->type.bytes < 65536 ? 65536 / e->type.bytes : 1;

    return end_loop(take_many(e, n, IPC_FOREVER, 1));
}

#define STREAM_METHODS                                                                             \
    {                                                                                              \
        "wait", FAST(stream_wait),                                                                 \
            "wait($self, n, timeout=None)\n--\n\nWaits until n elements can be moved at once."     \
    }

static PyMethodDef stream_producer_methods[] = {
    {"send", FAST(producer_send_n),
     "send($self, elements, timeout=None)\n--\n\n"
     "Puts all elements of an array in, as there is room. Returns how many: fewer than all where the\n"
     "time was over, or the other end has left.\n\n"
     ">>> out.send(b'hello world')\n"
     "11\n"
     ">>> inp.recv(5), inp.recv(100)\n"
     "(bytearray(b'hello'), bytearray(b' world'))"},
    {"push", producer_push_n, METH_O,
     "push($self, elements, /)\n--\n\nAs send, of as many as there is room for now; Full: none."},
    {"claim", FAST(claim_n),
     "claim($self, n, timeout=None)\n--\n\n"
     "Waits until there is room for n elements, and gives it in place: a Row.\n\n"
     ">>> with out.claim(5) as row:\n"
     "...     row[:3] = b'one'\n"
     "...     out.commit(3)                    # without this, all 5\n"
     ">>> inp.recv(5)\n"
     "bytearray(b'one')"},
    {"room", stream_pieces, METH_NOARGS,
     "room($self)\n--\n\n"
     "All the room there is now, in two pieces, each a Row: the second one goes on where the memory\n"
     "begins again; either may be empty. It needs no memory that is mapped twice, as claim does. The end\n"
     "of a block sends nothing: say how many elements by commit.\n\n"
     ">>> first, second = out.room()\n"
     ">>> with first as row:\n"
     "...     row[:5] = b'hello'\n"
     ">>> out.commit(5)\n"
     ">>> inp.recv(5)\n"
     "bytearray(b'hello')"},
    {"commit", FAST(end_commit),
     "commit($self, n=None)\n--\n\nSends the first n elements of what was claimed; None: all."},
    {"cancel", end_cancel, METH_NOARGS, "cancel($self)\n--\n\nGives the room back unsent."},
    STREAM_METHODS,
    MONITOR_METHODS,
    END_METHODS,
    {NULL, NULL, 0, NULL}};

static PyMethodDef stream_consumer_methods[] = {
    {"recv", FAST(stream_recv),
     "recv($self, n, timeout=None)\n--\n\n"
     "Takes up to n elements, as soon as there is one: an array of the stream's type, or a bytearray.\n"
     "`for elements in consumer` does so until the other end leaves."},
    {"pop", consumer_pop_n, METH_O, "pop($self, n, /)\n--\n\nAs recv, but Empty where there is none now."},
    {"recv_into", FAST(consumer_recv_into),
     "recv_into($self, to, timeout=None)\n--\n\n"
     "As recv, into an array or other buffer of yours. Returns how many."},
    {"peek", FAST(claim_n),
     "peek($self, n, timeout=None)\n--\n\n"
     "Waits until there are n elements, and gives them in place, read-only: a Row.\n\n"
     ">>> out.send(b'hello')\n"
     "5\n"
     ">>> with inp.peek(5) as row:\n"
     "...     bytes(row[1:])\n"
     "...     inp.release(2)                   # without this, all 5\n"
     "b'ello'\n"
     ">>> inp.recv(100)\n"
     "bytearray(b'llo')"},
    {"data", stream_pieces, METH_NOARGS,
     "data($self)\n--\n\n"
     "All that is there now, in two pieces, each a Row: the second one goes on where the memory begins\n"
     "again; either may be empty. The end of a block takes nothing: say how many elements by release.\n\n"
     ">>> out.send(b'hello')\n"
     "5\n"
     ">>> first, second = inp.data()\n"
     ">>> with first as one, second as two:\n"
     "...     bytes(one) + bytes(two)\n"
     "b'hello'\n"
     ">>> inp.release()"},
    {"release", FAST(end_commit),
     "release($self, n=None)\n--\n\nTakes the first n elements of what was peeked; None: all."},
    STREAM_METHODS,
    MONITOR_METHODS,
    END_METHODS,
    {NULL, NULL, 0, NULL}};

END_TYPE(stream_producer_type, "StreamProducer", "Puts elements in. By `producer` of Stream.", new_producer,
         stream_producer_methods)
END_TYPE_END
END_TYPE(stream_consumer_type, "StreamConsumer", "Takes elements out. By `consumer` of Stream.",
         new_consumer, stream_consumer_methods)
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = stream_next,
END_TYPE_END

#endif
