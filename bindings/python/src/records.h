/* RecordProducer and RecordConsumer: messages of any length, of records and their broadcasts. */
#ifndef IPC_PYTHON_RECORDS_H
#define IPC_PYTHON_RECORDS_H 1

#include "slots.h"

/* ------------------------------------------------------------------ putting in */

static PyObject *put_record(struct end *e, PyObject *record, int64_t deadline, int wait)
{
    Py_buffer from;
    int64_t rc;

    if (PyObject_GetBuffer(record, &from, PyBUF_SIMPLE) != 0)
        return NULL;
    if (begin(e) != 0)
        rc = PENDING;
    else
        rc = wait ? move(e, from.buf, (size_t)from.len, (size_t)from.len, deadline)
                  : e->is->move(e->h, from.buf, (size_t)from.len);
    PyBuffer_Release(&from);
    if (rc < 0)
        return raise_error(rc, NULL, 1);
    Py_RETURN_NONE;
}

static PyObject *record_push(PyObject *self, PyObject *record)
{
    return put_record((struct end *)self, record, IPC_NOW, 0);
}

static PyObject *record_send(PyObject *self, PyObject *const *args, Py_ssize_t n,
                             PyObject *keywords)
{
    PyObject *a[2];
    int64_t deadline;

    if (get_arguments("send", put_names, 1, 2, args, n, keywords, a) != 0 ||
        to_deadline(a[1], &deadline) != 0)
        return NULL;
    return put_record((struct end *)self, a[0], deadline, 1);
}

static PyObject *record_push_more(PyObject *self, PyObject *record)
{
    struct end *e = (struct end *)self;
    Py_buffer from;
    int64_t rc;

    if (PyObject_GetBuffer(record, &from, PyBUF_SIMPLE) != 0)
        return NULL;
    rc = begin(e) != 0 ? PENDING : put_more(e, &from, (size_t)from.len);
    PyBuffer_Release(&from);
    if (rc < 0)
        return raise_error(rc, NULL, 1);
    Py_RETURN_NONE;
}

/* Puts one of many in. Before it waits for room the other end is woken. */
static int64_t put_one_of_many(struct end *e, PyObject *record, int64_t deadline)
{
    Py_buffer from;
    int64_t rc;

    if (PyObject_GetBuffer(record, &from, PyBUF_SIMPLE) != 0)
        return PENDING;
    rc = begin(e) != 0 ? PENDING : put_more(e, &from, (size_t)from.len);
    if (rc == -EAGAIN) {
        rc = flush(e);
        if (rc == 0)
            rc = move(e, from.buf, (size_t)from.len, (size_t)from.len, deadline);
    }
    PyBuffer_Release(&from);
    return rc;
}

static PyObject *record_send_n(PyObject *self, PyObject *const *args, Py_ssize_t n,
                               PyObject *keywords)
{
    static const char *const names[] = {"records", "timeout"};
    struct end *e = (struct end *)self;
    PyObject *a[2], *all;
    Py_ssize_t done;
    int64_t deadline, rc = 0, flushed;

    if (get_arguments("send_n", names, 1, 2, args, n, keywords, a) != 0 ||
        to_deadline(a[1], &deadline) != 0 ||
        (all = PySequence_Fast(a[0], "send_n takes a sequence of records")) == NULL)
        return NULL;
    if (begin(e) != 0)
        rc = PENDING;
    for (done = 0; rc >= 0 && done < PySequence_Fast_GET_SIZE(all); done += rc >= 0)
        rc = put_one_of_many(e, PySequence_Fast_GET_ITEM(all, done), deadline);
    Py_DECREF(all);
    if (e->h != NULL && !e->busy) {
        flushed = flush(e);
        rc = flushed < 0 && rc >= 0 ? flushed : rc;
    }
    return rc == PENDING || (rc < 0 && done == 0) ? raise_error(rc, NULL, 1)
                                                  : PyLong_FromSsize_t(done);
}

/* n and a deadline of claim and peek, which need n. */
static int get_count(const char *call, PyObject *const *args, Py_ssize_t n, PyObject *keywords,
                     Py_ssize_t *count, int64_t *deadline)
{
    static const char *const names[] = {"n", "timeout"};
    PyObject *a[2];

    if (get_arguments(call, names, 1, 2, args, n, keywords, a) != 0 ||
        to_deadline(a[1], deadline) != 0)
        return -1;
    *count = PyNumber_AsSsize_t(a[0], PyExc_OverflowError);
    if (*count < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "n is negative");
    return *count < 0 ? -1 : 0;
}

static PyObject *claim_n(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *keywords)
{
    Py_ssize_t count;
    int64_t deadline;

    if (get_count("claim or peek", args, n, keywords, &count, &deadline) != 0)
        return NULL;
    return claim((struct end *)self, (size_t)count, deadline);
}

/* ------------------------------------------------------------------ taking out */

/* Makes room for a record of `size` bytes. 0, or PENDING. */
static int grow_record(struct end *e, size_t size)
{
    unsigned char *record = (unsigned char *)realloc(e->record, size);

    if (record == NULL) {
        PyErr_NoMemory();
        return PENDING;
    }
    e->record = record;
    e->record_size = size;
    return 0;
}

/* Copies a record to e->record, which grows up to the longest that there is: one does not fit the
 * other half of a ring in memory. Its length, or a negative errno, or PENDING. */
static int64_t take_record(struct end *e, int64_t deadline, int wait)
{
    int64_t rc = 0;

    if (e->record == NULL)
        rc = grow_record(e, 4096);
    while (rc == 0) {
        rc = wait ? move(e, e->record, e->record_size, 1, deadline)
                  : e->is->move(e->h, e->record, e->record_size);
        if (rc != -EMSGSIZE || e->record_size > SIZE_MAX / 4)
            break;
        rc = grow_record(e, 2 * e->record_size);
    }
    return rc;
}

static PyObject *record_of(struct end *e, int64_t deadline, int wait)
{
    int64_t rc = begin(e) != 0 ? PENDING : take_record(e, deadline, wait);

    return rc < 0 ? raise_error(rc, NULL, 0)
                  : PyBytes_FromStringAndSize((const char *)e->record, (Py_ssize_t)rc);
}

static PyObject *record_pop(PyObject *self, PyObject *none)
{
    (void)none;
    return record_of((struct end *)self, IPC_NOW, 0);
}

static PyObject *record_recv(PyObject *self, PyObject *const *args, Py_ssize_t n,
                             PyObject *keywords)
{
    PyObject *timeout;
    int64_t deadline;

    if (get_arguments("recv", get_names, 0, 1, args, n, keywords, &timeout) != 0 ||
        to_deadline(timeout, &deadline) != 0)
        return NULL;
    return record_of((struct end *)self, deadline, 1);
}

static PyObject *record_next(PyObject *self)
{
    return end_loop(record_of((struct end *)self, IPC_FOREVER, 1));
}

/* As take_record, of up to n, of which records[] says where they are. How many. */
static int64_t take_records(struct end *e, struct ipc_record *records, size_t n, int64_t deadline)
{
    int64_t rc = e->record_size < 65536 ? grow_record(e, 65536) : 0;
    int waited = 0;

    while (rc == 0) {
        rc = e->is->pop_n(e->h, e->record, e->record_size, records, n);
        if (rc == -EMSGSIZE && e->record_size <= SIZE_MAX / 4)
            rc = grow_record(e, 2 * e->record_size);
        if (rc == -EAGAIN) {
            rc = waited && ipc_left_(deadline) == 0 ? -ETIMEDOUT : wait_for(e, 1, deadline);
            waited = 1;
        }
    }
    return rc;
}

#define RECORDS_AT_A_TIME 1024

static PyObject *record_recv_n(PyObject *self, PyObject *const *args, Py_ssize_t n,
                               PyObject *keywords)
{
    struct end *e = (struct end *)self;
    struct ipc_record records[RECORDS_AT_A_TIME];
    PyObject *a[2], *list;
    Py_ssize_t most, i;
    int64_t deadline, rc;

    if (get_arguments("recv_n", get_n_names, 1, 2, args, n, keywords, a) != 0 ||
        to_deadline(a[1], &deadline) != 0)
        return NULL;
    most = PyNumber_AsSsize_t(a[0], PyExc_OverflowError);
    if (most <= 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "a batch has a message at least");
    if (most <= 0 || begin(e) != 0)
        return NULL;
    rc = take_records(e, records, (size_t)(most < RECORDS_AT_A_TIME ? most : RECORDS_AT_A_TIME),
                      deadline);
    if (rc < 0)
        return raise_error(rc, NULL, 0);
    e->busy = 1; /* a new list may start the garbage collector, and that run what uses this end */
    list = PyList_New((Py_ssize_t)rc);
    e->busy = 0;
    for (i = 0; list != NULL && i < (Py_ssize_t)rc; i++) {
        PyObject *record =
            PyBytes_FromStringAndSize((const char *)records[i].at, (Py_ssize_t)records[i].n);

        if (record == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, record);
    }
    return list;
}

/* ------------------------------------------------------------------ records of several producers */

static PyObject *record_merge(PyObject *self, PyObject *seconds)
{
    struct end *e = (struct end *)self;
    double patience = PyFloat_AsDouble(seconds);

    if ((patience == -1 && PyErr_Occurred()) || begin(e) != 0)
        return NULL;
    if (e->is != &ring_ends[END_RECORD][1] || !(patience > 0 && patience < 4e9)) {
        PyErr_SetString(PyExc_ValueError,
                        "patience is a number of seconds; a broadcast has one producer");
        return NULL;
    }
    any_record_merge((struct any_record_consumer *)e->h, (int64_t)(patience * 1e9));
    Py_RETURN_NONE;
}

static PyObject *record_watch(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;

    (void)none;
    if (begin(e) != 0)
        return NULL;
    if (e->is == &ring_ends[END_RECORD][1])
        any_record_watch_producers((struct any_record_consumer *)e->h);
    Py_RETURN_NONE;
}

/* 0, or -1 with an exception: the end is in use, or reads a broadcast. */
static int check_sources(const struct end *e)
{
    if (check(e) != 0)
        return -1;
    if (e->is == &ring_ends[END_RECORD][1])
        return 0;
    PyErr_SetString(PyExc_TypeError, "a broadcast has one producer");
    return -1;
}

static PyObject *source_of(struct end *e)
{
    struct ipc_record_sender from;
    int rc = any_record_source((struct any_record_consumer *)e->h, &from);

    if (rc != 0) {
        PyErr_SetString(PyExc_ValueError, "no record was taken yet");
        return NULL;
    }
    return Py_BuildValue("{sKsIsO}", "process", (unsigned long long)from.id, "lane", from.lane,
                         "late", from.late ? Py_True : Py_False);
}

static PyObject *record_source(PyObject *self, PyObject *none)
{
    (void)none;
    return check_sources((struct end *)self) != 0 ? NULL : source_of((struct end *)self);
}

static PyObject *record_ended(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;
    PyObject *from;
    int rc;

    (void)none;
    if (check_sources(e) != 0)
        return NULL;
    rc = any_record_ended((struct any_record_consumer *)e->h);
    if (rc == 0)
        Py_RETURN_NONE;
    if (rc != -EPIPE && rc != -EOWNERDEAD)
        return raise_error(rc, NULL, 0);
    from = source_of(e);
    if (from != NULL &&
        PyDict_SetItemString(from, "killed", rc == -EOWNERDEAD ? Py_True : Py_False) != 0)
        Py_CLEAR(from);
    return from;
}

/* ------------------------------------------------------------------ the types */

static PyMethodDef record_producer_methods[] = {
    {"send", FAST(record_send),
     "send($self, record, timeout=None)\n--\n\n"
     "Sends a record of any length, of bytes or another buffer. Waits while there is no room.\n\n"
     ">>> out.send(b'a line', timeout=1)\n"
     ">>> out.send(bytes(1 << 20))\n"
     "Traceback (most recent call last):\n"
     "  ...\n"
     "ipc_ring._errors.TooLarge: [Errno 90] longer than the ring can ever take"},
    {"push", record_push, METH_O,
     "push($self, record, /)\n--\n\nAs send, but Full where there is no room now."},
    {"send_n", FAST(record_send_n),
     "send_n($self, records, timeout=None)\n--\n\n"
     "Sends the records of a list or other sequence, which costs less than one at a time. Returns how\n"
     "many: fewer than all where the time was over, or the other end has left.\n\n"
     ">>> out.send_n([b'a line', b'', b'and another'])\n"
     "3\n"
     ">>> inp.recv_n(10)\n"
     "[b'a line', b'', b'and another']"},
    {"push_more", record_push_more, METH_O,
     "push_more($self, record, /)\n--\n\n"
     "As push, with the hint that more is coming: the other end may see it only after flush or the next\n"
     "of the other calls, and is not woken. A broadcast knows no hint."},
    FLUSH_METHOD,
    {"claim", FAST(claim_n),
     "claim($self, n, timeout=None)\n--\n\n"
     "Room for a record of up to n bytes, to write it in place: a Row.\n\n"
     ">>> with out.claim(100) as room:\n"
     "...     room[:4] = b'four'\n"
     "...     out.commit(4)                    # without this, all 100\n"
     ">>> inp.recv()\n"
     "b'four'"},
    {"commit", FAST(end_commit),
     "commit($self, n=None)\n--\n\nSends the first n bytes of what was claimed; None: all."},
    {"cancel", end_cancel, METH_NOARGS, "cancel($self)\n--\n\nGives the room back unsent."},
    WAS_READERS_METHOD,
    WAS_SLOWEST_METHOD,
    RECOVER_METHOD,
    END_METHODS,
    {NULL, NULL, 0, NULL}};

static PyMethodDef record_consumer_methods[] = {
    {"recv", FAST(record_recv),
     "recv($self, timeout=None)\n--\n\n"
     "Takes the next record, as bytes. Waits while there is none. `for record in consumer` does so\n"
     "until the other end leaves.\n\n"
     ">>> out.send(b'')\n"
     ">>> inp.recv(timeout=1)\n"
     "b''"},
    {"pop", record_pop, METH_NOARGS,
     "pop($self)\n--\n\nAs recv, but Empty where there is no record now."},
    {"recv_n", FAST(record_recv_n),
     "recv_n($self, most, timeout=None)\n--\n\n"
     "A list of up to `most` records, as soon as there is one; at most 1,024, and what fits 64 KiB.\n\n"
     ">>> out.send(b'a line'), out.send(b'and another')\n"
     "(None, None)\n"
     ">>> inp.recv_n(10)\n"
     "[b'a line', b'and another']"},
    {"peek", FAST(slot_claim),
     "peek($self, timeout=None)\n--\n\n"
     "The next record in place, read-only: a Row.\n\n"
     ">>> out.send(b'a line')\n"
     ">>> with inp.peek() as record:\n"
     "...     bytes(record[2:])\n"
     "b'line'"},
    {"release", FAST(end_commit),
     "release($self)\n--\n\n"
     "Ends a peek: the record is taken. Missed, in a lossy broadcast: what was read of it is not to be\n"
     "believed, as the writer has overwritten it."},
    {"merge", record_merge, METH_O,
     "merge($self, patience, /)\n--\n\n"
     "From now on records come in the order of the 64-bit number that each begins with, of whichever\n"
     "producer. A producer that sends nothing is waited for `patience` seconds."},
    {"watch_producers", record_watch, METH_NOARGS,
     "watch_producers($self)\n--\n\n"
     "From now on recv tells the end of each of several producers, by PeerGone or PeerDied; `source`\n"
     "says whose it is."},
    {"source", record_source, METH_NOARGS,
     "source($self)\n--\n\n"
     "Which producer the last record is from, or, after PeerGone and PeerDied, has ended: the id of its\n"
     "process, as in Segment.processes (0: not known any more), its lane, and whether the record is\n"
     "late: one with a higher number came before (merge).\n\n"
     ">>> import os\n"
     ">>> out.send(b'a line')\n"
     ">>> inp.recv()\n"
     "b'a line'\n"
     ">>> inp.source()['lane'], seg.processes()[inp.source()['process']] == os.getpid()\n"
     "(0, True)"},
    {"ended", record_ended, METH_NOARGS,
     "ended($self)\n--\n\n"
     "A producer that has ended, all of whose records were taken: as `source`, and whether it was\n"
     "killed. Each is told once. None: no other one has ended.\n\n"
     ">>> inp.ended()\n"
     ">>> out.close()\n"
     ">>> inp.ended()['killed'], inp.ended()\n"
     "(False, None)"},
    REPLAY_METHOD,
    END_METHODS,
    {NULL, NULL, 0, NULL}};

END_TYPE(record_producer_type, "RecordProducer", "Puts records in. By `producer` of a kind of ring.",
         new_producer, record_producer_methods)
END_TYPE_END
END_TYPE(record_consumer_type, "RecordConsumer", "Takes records out. By `consumer` of a kind of ring.",
         new_consumer, record_consumer_methods)
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = record_next,
END_TYPE_END

#endif
