/* ipc_ring._core: what ipc_ring/__init__.py makes the package of. */
#include "segment.h"
#include "calls.h"

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_core", "The C part of ipc_ring.", -1, NULL, NULL, NULL, NULL, NULL};

static int add_type(PyObject *m, const char *name, PyTypeObject *type)
{
    if (PyType_Ready(type) != 0)
        return -1;
    Py_INCREF(type);
    return PyModule_AddObject(m, name, (PyObject *)type);
}

static int add_types(PyObject *m)
{
    return add_type(m, "Segment", &segment_type) || add_type(m, "Row", &row_type) ||
           add_type(m, "Producer", &producer_type) || add_type(m, "Consumer", &consumer_type) ||
           add_type(m, "RecordProducer", &record_producer_type) ||
           add_type(m, "RecordConsumer", &record_consumer_type) ||
           add_type(m, "StreamProducer", &stream_producer_type) ||
           add_type(m, "StreamConsumer", &stream_consumer_type) ||
           add_type(m, "Client", &client_type) || add_type(m, "Server", &server_type) ||
           add_type(m, "Request", &request_type);
}

static int add_constants(PyObject *m)
{
    return PyModule_AddIntConstant(m, "SPSC", END_SPSC) ||
           PyModule_AddIntConstant(m, "MPMC", END_MPMC) ||
           PyModule_AddIntConstant(m, "BROADCAST", END_BROADCAST) ||
           PyModule_AddIntConstant(m, "RECORD", END_RECORD) ||
           PyModule_AddIntConstant(m, "RECORD_BROADCAST", END_RECORD_BROADCAST) ||
           PyModule_AddIntConstant(m, "STREAM", END_STREAM) ||
           PyModule_AddIntConstant(m, "CALL", END_CALL) ||
           PyModule_AddIntConstant(m, "AT_LEAST_ONCE", IPC_MPMC_AT_LEAST_ONCE) ||
           PyModule_AddIntConstant(m, "ONE_PRODUCER", IPC_MPMC_ONE_PRODUCER) ||
           PyModule_AddIntConstant(m, "ONE_CONSUMER", IPC_MPMC_ONE_CONSUMER) ||
           PyModule_AddIntConstant(m, "LOSSY", IPC_BROADCAST_LOSSY) ||
           PyModule_AddIntConstant(m, "WAKES_READ_ONLY", IPC_BROADCAST_WAKES_READ_ONLY) ||
           PyModule_AddIntConstant(m, "MPMC_SEATS", IPC_MPMC_SEATS) ||
           PyModule_AddIntConstant(m, "BROADCAST_SEATS", IPC_BROADCAST_SEATS) ||
           PyModule_AddStringConstant(m, "version", IPC_RING_VERSION);
}

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *errors = PyImport_ImportModule("ipc_ring._errors"), *m;

    if (errors == NULL)
        return NULL;
    make_error = PyObject_GetAttrString(errors, "error");
    Py_DECREF(errors);
    m = make_error != NULL ? PyModule_Create(&module) : NULL;
    if (m == NULL)
        return NULL;
    if (add_constants(m) || add_types(m)) {
        Py_DECREF(m);
        return NULL;
    }
    return m;
}
