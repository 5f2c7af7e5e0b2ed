/*
 * Row: messages, elements or a record in the ring itself, to be written or read in place, by the
 * buffer protocol. What is made of a row, memoryviews and arrays, keeps it from being committed or
 * released: that is a BufferError, and nothing has changed. After a commit or release the row gives
 * out no more. The two pieces of a stream are two rows, which end together.
 */
#ifndef IPC_PYTHON_ROW_H
#define IPC_PYTHON_ROW_H 1

#include "core.h"

struct row {
    PyObject_HEAD struct end *e;
    struct row *next; /* in e->row */
    void *at; /* NULL: not yet claimed; committed, cancelled or released: it is not in e->row */
    Py_ssize_t shape, item;
    PyObject *format; /* or NULL: bytes */
    Py_ssize_t exports;
    PyObject *view; /* the memoryview that a `with` block has, or NULL */
    int is_piece;   /* of a stream: the end of a `with` block commits nothing */
};

static PyTypeObject row_type;

static void release_view(struct row *r)
{
    PyObject *released;

    if (r->view == NULL)
        return;
    released = PyObject_CallMethod(r->view, "release", NULL);
    if (released != NULL)
        Py_CLEAR(r->view);
    else
        PyErr_Clear(); /* an array of it is there */
    Py_XDECREF(released);
}

static int end_row(struct end *e)
{
    struct row *r, *rows[2];
    int count = 0, used = 0, i;

    for (r = e->row; r != NULL; r = r->next) {
        Py_INCREF(r); /* its view may have the last reference to it */
        rows[count++] = r;
    }
    for (i = 0; i < count; i++) {
        release_view(rows[i]);
        used |= rows[i]->exports > 0;
    }
    for (i = 0; i < count && !used; i++)
        rows[i]->at = NULL;
    if (!used)
        e->row = NULL;
    for (i = 0; i < count; i++)
        Py_DECREF(rows[i]);
    if (used)
        PyErr_SetString(PyExc_BufferError,
                        "an array or a memoryview of what was claimed or peeked is still "
                        "there: delete it first");
    return used ? -1 : 0;
}

/* A row of nothing yet. To be made before anything is claimed: the garbage collector may come here,
 * and what it runs may use the end. */
static struct row *new_row(struct end *e)
{
    struct row *r = (struct row *)row_type.tp_alloc(&row_type, 0);

    if (r == NULL)
        return NULL;
    Py_INCREF(e);
    r->e = e;
    r->format = e->type.format;
    Py_XINCREF(r->format);
    r->item = r->format != NULL ? e->type.bytes : 1;
    return r;
}

/* Makes it a row of n elements, or n bytes of a record or of messages that are bytes. */
static void begin_row(struct row *r, void *at, size_t n)
{
    r->at = at;
    r->shape = (Py_ssize_t)n * (r->format != NULL ? 1 : r->e->type.bytes);
    r->next = r->e->row;
    r->e->row = r;
}

/* Waits until n may be moved, and claims or peeks them: where they are, or NULL with an exception. */
static void *wait_for_claim(struct end *e, size_t *n, int64_t deadline)
{
    void *at;
    int rc, waited = 0;

    if (begin(e) != 0)
        return NULL;
    while ((at = e->is->claim(e->h, n)) == NULL) {
        rc = e->is->error(e->h);
        if (rc == 0 && waited && e->is->half != NULL) {
            PyErr_SetString(PyExc_ValueError,
                            "these elements lie across the end of the memory, which is not "
                            "mapped twice: make a stream whose bytes are whole pages, or take "
                            "both pieces, by room or data");
            return NULL;
        }
        if (rc == 0)
            rc = waited && ipc_left_(deadline) == 0 ? -ETIMEDOUT : wait_for(e, *n, deadline);
        if (rc != 0)
            return raise_error(rc, NULL, e->is->produces);
        waited = 1;
    }
    return at;
}

static PyObject *claim(struct end *e, size_t n, int64_t deadline)
{
    struct row *r = new_row(e);
    void *at = r != NULL ? wait_for_claim(e, &n, deadline) : NULL;

    if (at == NULL) {
        Py_XDECREF(r);
        return NULL;
    }
    begin_row(r, at, n);
    e->held = (Py_ssize_t)n;
    return (PyObject *)r;
}

/* commit and release of the first n of a row; n NULL: of all. */
static PyObject *commit(struct end *e, PyObject *count)
{
    int all = count == NULL || count == Py_None;
    Py_ssize_t n = all ? 0 : PyNumber_AsSsize_t(count, PyExc_OverflowError);
    int rc, tries;

    if ((n == -1 && PyErr_Occurred()) || check(e) != 0)
        return NULL;
    if (e->row == NULL) {
        PyErr_SetString(PyExc_ValueError, "nothing is claimed or peeked");
        return NULL;
    }
    if (all)
        n = e->held;
    if (n < 0 || n > e->held) {
        PyErr_Format(PyExc_ValueError, "%zd of a row of %zd", n, e->held);
        return NULL;
    }
    if (end_row(e) != 0)
        return NULL;
    rc = e->is->commit(e->h, (size_t)n);
    /* A writer overwrites so fast that a lossy reader cannot see whether it was lapped. */
    for (tries = 0; rc == -EAGAIN && !e->is->produces && tries < 1000; tries++)
        rc = e->is->commit(e->h, (size_t)n);
    if (rc == -EAGAIN && !e->is->produces)
        rc = -EOVERFLOW;
    if (rc != 0)
        return raise_error(rc, NULL, e->is->produces);
    Py_RETURN_NONE;
}

static PyObject *end_commit(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *keywords)
{
    static const char *const names[] = {"n"};
    PyObject *count;

    if (get_arguments("commit or release", names, 0, 1, args, n, keywords, &count) != 0)
        return NULL;
    return commit((struct end *)self, count);
}

static PyObject *end_cancel(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;

    (void)none;
    if (begin(e) != 0)
        return NULL;
    if (e->is->cancel != NULL)
        e->is->cancel(e->h);
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ the type */

static int row_get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    struct row *r = (struct row *)self;

    if (r->at == NULL || ((flags & PyBUF_WRITABLE) != 0 && !r->e->is->produces)) {
        PyErr_SetString(PyExc_BufferError, r->at == NULL
                                               ? "this row was committed, cancelled or released"
                                               : "what a consumer peeks at is read-only");
        view->obj = NULL;
        return -1;
    }
    view->buf = r->at;
    view->len = r->shape * r->item;
    view->readonly = !r->e->is->produces;
    view->itemsize = r->item;
    view->format = NULL;
    if ((flags & PyBUF_FORMAT) != 0)
        view->format = (char *)(uintptr_t)(r->format != NULL ? PyUnicode_AsUTF8(r->format) : "B");
    view->ndim = 1;
    view->shape = (flags & PyBUF_ND) != 0 ? &r->shape : NULL;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &r->item : NULL;
    view->suboffsets = NULL;
    view->internal = NULL;
    view->obj = self;
    Py_INCREF(self);
    r->exports++;
    return 0;
}

static void row_release_buffer(PyObject *self, Py_buffer *view)
{
    (void)view;
    ((struct row *)self)->exports--;
}

static PyObject *row_enter(PyObject *self, PyObject *none)
{
    struct row *r = (struct row *)self;

    (void)none;
    if (r->view == NULL && (r->view = PyMemoryView_FromObject(self)) == NULL)
        return NULL;
    Py_INCREF(r->view);
    return r->view;
}

/* Commits or releases all, if that was not done in the block. After an exception: cancels, once
 * nothing of the row is in use any more. */
static PyObject *row_exit(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    struct row *r = (struct row *)self;
    struct end *e = r->e;

    if (r->is_piece)
        release_view(r);
    if (r->at == NULL || r->is_piece)
        Py_RETURN_NONE;
    if (n == 0 || args[0] == Py_None)
        return commit(e, NULL);
    if (check(e) != 0 || end_row(e) != 0)
        PyErr_Clear(); /* the block's own exception is the one to be seen */
    else if (e->is->cancel != NULL)
        e->is->cancel(e->h);
    Py_RETURN_NONE;
}

static Py_ssize_t row_length(PyObject *self)
{
    return ((struct row *)self)->shape;
}

static int row_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((struct row *)self)->view);
    Py_VISIT(((struct row *)self)->e);
    return 0;
}

static int row_clear(PyObject *self)
{
    Py_CLEAR(((struct row *)self)->view);
    return 0;
}

/* Nothing of it is in use, as that would refer to it. What a producer has claimed it gives back. */
static void row_dealloc(PyObject *self)
{
    struct row *r = (struct row *)self, **link;
    struct end *e = r->e;

    PyObject_GC_UnTrack(self);
    Py_CLEAR(r->view);
    if (r->at != NULL) {
        for (link = &e->row; *link != r; link = &(*link)->next)
            ;
        *link = r->next;
        if (e->h != NULL && !e->busy && e->is->cancel != NULL)
            e->is->cancel(e->h);
    }
    Py_XDECREF(r->format);
    Py_XDECREF(e);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef row_methods[] = {
    {"__enter__", row_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))row_exit, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL}};

static PyBufferProcs row_buffer = {row_get_buffer, row_release_buffer};
static PySequenceMethods row_sequence = {.sq_length = row_length};

static PyTypeObject row_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "ipc_ring.Row",
    .tp_doc = "What was claimed or peeked, in place: memoryview(row) and numpy.asarray(row) copy nothing.\n"
              "`with` gives a memoryview, and commits or releases all at the end of the block; if the\n"
              "block ends by an exception, nothing is sent, or taken. Commit and release raise\n"
              "BufferError while an array or memoryview of the row is there.",
    .tp_basicsize = sizeof(struct row),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_dealloc = row_dealloc,
    .tp_traverse = row_traverse,
    .tp_clear = row_clear,
    .tp_methods = row_methods,
    .tp_as_buffer = &row_buffer,
    .tp_as_sequence = &row_sequence,
};

#endif
