/* Client, Server and Request: a request and its reply. */
#ifndef IPC_PYTHON_CALLS_H
#define IPC_PYTHON_CALLS_H 1

#include "streams.h"

/* ------------------------------------------------------------------ a client */

static int64_t ask(struct end *e, const void *request, int64_t deadline)
{
    struct any_call_client *c = (struct any_call_client *)e->h;
    int waited = 0;
    int64_t rc;

    while ((rc = any_call_ask(c, request)) == -EAGAIN) {
        rc = waited && ipc_left_(deadline) == 0 ? -ETIMEDOUT : wait_for(e, 1, deadline);
        if (rc != 0)
            break;
        waited = 1;
    }
    return rc;
}

/* Waits for the reply. 0, a negative errno, or PENDING. */
static int64_t take_reply(struct end *e, PyObject *reply, int64_t deadline)
{
    int rc = wait_for(e, 0, deadline);

    return rc != 0 ? rc
                   : any_call_collect((struct any_call_client *)e->h, PyBytes_AS_STRING(reply));
}

/* Between the request and its reply nothing is allocated, and no other code of Python's runs: a call
 * that fails is given up. It is so before the exception is made, as that may let another thread
 * close e. */
static PyObject *client_ask_or_call(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                    PyObject *keywords, int calls)
{
    static const char *const names[] = {"request", "timeout"};
    struct end *e = (struct end *)self;
    PyObject *a[2], *reply = NULL;
    Py_buffer request;
    int64_t deadline, rc = PENDING;

    if (get_arguments(calls ? "call" : "ask", names, 1, 2, args, n, keywords, a) != 0 ||
        to_deadline(a[1], &deadline) != 0 || get_bytes(&e->type, a[0], 1, &request) != 0)
        return NULL;
    if (!calls || (reply = PyBytes_FromStringAndSize(NULL, e->reply.bytes)) != NULL)
        rc = begin(e) != 0 ? PENDING : ask(e, request.buf, deadline);
    if (calls && rc == 0) {
        rc = take_reply(e, reply, deadline);
        if (rc != 0)
            any_call_cancel((struct any_call_client *)e->h);
    }
    PyBuffer_Release(&request);
    if (rc == 0 && calls)
        return make_one(&e->reply, reply);
    Py_XDECREF(reply);
    if (rc != 0)
        return raise_error(rc, NULL, 1);
    Py_RETURN_NONE;
}

static PyObject *client_call(PyObject *self, PyObject *const *args, Py_ssize_t n,
                             PyObject *keywords)
{
    return client_ask_or_call(self, args, n, keywords, 1);
}

static PyObject *client_ask(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *keywords)
{
    return client_ask_or_call(self, args, n, keywords, 0);
}

static PyObject *client_collect(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                PyObject *keywords)
{
    struct end *e = (struct end *)self;
    PyObject *timeout, *reply;
    int64_t deadline, rc;

    if (get_arguments("collect", get_names, 0, 1, args, n, keywords, &timeout) != 0 ||
        to_deadline(timeout, &deadline) != 0 || begin(e) != 0 ||
        (reply = PyBytes_FromStringAndSize(NULL, e->reply.bytes)) == NULL)
        return NULL;
    rc = take_reply(e, reply, deadline);
    if (rc == 0)
        return make_one(&e->reply, reply);
    Py_DECREF(reply);
    return raise_error(rc, NULL, 0);
}

static PyObject *client_cancel(PyObject *self, PyObject *none)
{
    struct end *e = (struct end *)self;

    (void)none;
    if (begin(e) != 0)
        return NULL;
    any_call_cancel((struct any_call_client *)e->h);
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ a server */

struct request {
    PyObject_HEAD struct end *server;
    union any_call_slot *slot; /* NULL: answered */
    PyObject *message;
};

static PyTypeObject request_type;

static PyObject *serve(struct end *e, int64_t deadline)
{
    union any_call_slot *slot = NULL;
    struct request *r;
    PyObject *bytes;
    int rc;

    if (begin(e) != 0)
        return NULL;
    r = (struct request *)request_type.tp_alloc(&request_type,
                                                0); /* first: what is taken is handed out */
    bytes = PyBytes_FromStringAndSize(NULL, e->type.bytes);
    if (r == NULL || bytes == NULL) {
        Py_XDECREF(r);
        Py_XDECREF(bytes);
        return NULL;
    }
    rc = wait_for(e, (size_t)(uintptr_t)&slot, deadline);
    if (rc != 0) {
        Py_DECREF(r);
        Py_DECREF(bytes);
        return raise_error(rc, NULL, 0);
    }
    memcpy(PyBytes_AS_STRING(bytes), slot->message, (size_t)e->type.bytes);
    Py_INCREF(e);
    r->server = e;
    r->slot = slot;
    r->message = make_one(&e->type, bytes);
    if (r->message == NULL)
        Py_CLEAR(r);
    return (PyObject *)r;
}

static PyObject *server_serve(PyObject *self, PyObject *const *args, Py_ssize_t n,
                              PyObject *keywords)
{
    PyObject *timeout;
    int64_t deadline;

    if (get_arguments("serve", get_names, 0, 1, args, n, keywords, &timeout) != 0 ||
        to_deadline(timeout, &deadline) != 0)
        return NULL;
    return serve((struct end *)self, deadline);
}

static PyObject *server_next(PyObject *self)
{
    return serve((struct end *)self, IPC_FOREVER);
}

static PyObject *request_answer(PyObject *self, PyObject *reply)
{
    struct request *r = (struct request *)self;
    struct end *e = r->server;
    Py_buffer from;
    int rc;

    if (get_bytes(&e->reply, reply, 1, &from) != 0)
        return NULL;
    if (check(e) == 0 && r->slot == NULL)
        PyErr_SetString(PyExc_ValueError, "this request was answered");
    if (PyErr_Occurred()) {
        PyBuffer_Release(&from);
        return NULL;
    }
    memcpy(r->slot->message, from.buf, (size_t)from.len);
    PyBuffer_Release(&from);
    rc = any_call_answer((struct any_call_server *)e->h, r->slot);
    r->slot = NULL;
    if (rc != 0 && rc != -ECANCELED)
        return raise_error(rc, NULL, 1);
    return PyBool_FromLong(rc == 0);
}

static PyObject *request_message(PyObject *self, void *none)
{
    PyObject *message = ((struct request *)self)->message;

    (void)none;
    Py_INCREF(message);
    return message;
}

static void request_dealloc(PyObject *self)
{
    struct request *r = (struct request *)self;

    Py_XDECREF(r->message);
    Py_XDECREF(r->server);
    Py_TYPE(self)->tp_free(self);
}

/* ------------------------------------------------------------------ the types */

static PyMethodDef client_methods[] = {
    {"call", FAST(client_call),
     "call($self, request, timeout=None)\n--\n\n"
     "Sends a request, and returns the reply of the server that took it. After an exception the call is\n"
     "given up; it is not known whether it has had an effect.\n\n"
     ">>> client.call(b'12', timeout=0)        # nobody answers so quickly\n"
     "Traceback (most recent call last):\n"
     "  ...\n"
     "ipc_ring._errors.Timeout: [Errno 110] the time is over"},
    {"ask", FAST(client_ask),
     "ask($self, request, timeout=None)\n--\n\n"
     "Sends a request, and does not wait for its reply; for a slot, where a call that was given up has it.\n\n"
     ">>> client.ask(b'12')\n"
     ">>> request = server.serve()\n"
     ">>> request.message\n"
     "b'12'\n"
     ">>> request.answer(b'three')\n"
     "True\n"
     ">>> client.collect()\n"
     "b'three'"},
    {"collect", FAST(client_collect),
     "collect($self, timeout=None)\n--\n\n"
     "Waits for the reply to what was asked. After Timeout the call goes on."},
    {"cancel", client_cancel, METH_NOARGS,
     "cancel($self)\n--\n\nGives up what was asked: its reply will never be seen."},
    END_METHODS,
    {NULL, NULL, 0, NULL}};

static PyMethodDef server_methods[] = {
    {"serve", FAST(server_serve),
     "serve($self, timeout=None)\n--\n\n"
     "Waits for a request of any client: a Request. `for request in server` does so for ever.\n\n"
     ">>> server.serve(timeout=0)\n"
     "Traceback (most recent call last):\n"
     "  ...\n"
     "ipc_ring._errors.Timeout: [Errno 110] the time is over"},
    END_METHODS,
    {NULL, NULL, 0, NULL}};

static PyMethodDef request_methods[] = {
    {"answer", request_answer, METH_O,
     "answer($self, reply, /)\n--\n\n"
     "Gives the reply to the caller; once. False: the caller has given the call up. A caller waits for a\n"
     "request that is never answered until its time is over, or the server is closed."},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef request_getset[] = {
    {"message", request_message, NULL, "The request.", NULL}, {NULL, NULL, NULL, NULL, NULL}};

END_TYPE(client_type, "Client", "Asks servers. By `client` of Call.", new_producer, client_methods)
END_TYPE_END
END_TYPE(server_type, "Server", "Answers clients. By `server` of Call.", new_consumer, server_methods)
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = server_next,
END_TYPE_END

static PyTypeObject request_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "ipc_ring.Request",
    .tp_doc = "A request that a server has taken, and is to answer.",
    .tp_basicsize = sizeof(struct request),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = request_dealloc,
    .tp_methods = request_methods,
    .tp_getset = request_getset,
};

#endif
