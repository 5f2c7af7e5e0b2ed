"""Lock-free rings in shared memory between processes, in Python and C.

One program:

>>> import ipc_ring
>>> seg = ipc_ring.Segment.create(name, 1 << 20)
>>> ticks = ipc_ring.Spsc("u8, f8")               # a NumPy dtype; or a number of bytes
>>> out = ticks.producer(seg, "ticks", 4096)      # makes the ring, where it is not there
>>> out.send((1, 101.5))

Another:

>>> seg = ipc_ring.Segment.open(name, timeout=1)
>>> inp = ipc_ring.Spsc("u8, f8").consumer(seg, "ticks")
>>> inp.recv(timeout=1)
(1, 101.5)

The other program may be in C or C++: it is the same memory, and the calls are those of the headers.
Timeouts are seconds; None waits without limit. A wait lets other threads run, and Ctrl-C ends it. What
ends a call otherwise is an exception, of a class for each reason: see Error. A handle belongs to one
thread at a time; its segment stays open as long as it does.
"""

from . import _core
from ._core import (
    Client,
    Consumer,
    Producer,
    RecordConsumer,
    RecordProducer,
    Request,
    Row,
    Segment,
    Server,
    StreamConsumer,
    StreamProducer,
)
from ._errors import (
    Busy,
    Closed,
    Corrupt,
    Empty,
    Error,
    Exists,
    Forked,
    Full,
    Mismatch,
    Missed,
    NoRoom,
    NotFound,
    NotPermitted,
    PeerDied,
    PeerGone,
    Refused,
    Timeout,
    TooLarge,
)

__version__ = _core.version

_BYTES = (1, None, None, None, None)  # what struct message_type of core.h is made of


def _message_type(of):
    if isinstance(of, int):
        return (of, None, None, None, None)
    import numpy

    dtype = numpy.dtype(of)
    if dtype.hasobject:
        raise TypeError(f"{dtype} refers to objects of this process")
    try:
        layout = memoryview(numpy.empty(0, dtype)).format
    except ValueError:  # dates have none: what is in place is seen as bytes
        layout = None
    return (
        dtype.itemsize,
        lambda message: numpy.array(message, dtype),
        lambda message: numpy.frombuffer(message, dtype)[0],
        lambda messages: numpy.frombuffer(messages, dtype),
        layout,
    )


def _seats(many, usual):
    """IPC_RING_HOW_MANY_ of the C header."""
    if many is None:
        return 0
    if not 1 <= many <= 65536:
        raise ValueError("1 to 65,536 at a time")
    return (many ^ usual) << 8


class _Kind:
    """A kind of ring, and the type of its messages."""

    _ends = 0

    def __init__(self, message=None, version=0):
        self._type = _BYTES if message is None else _message_type(message)
        self._reply = _BYTES
        self._version = version

    def _open(self, end, segment, name, capacity, how, timeout):
        if capacity is not None and not 0 < capacity < 1 << 63:
            raise ValueError("capacity is out of range")
        if not 0 <= how < 1 << 32:
            raise ValueError("a number of ends is out of range")
        return end(
            segment, name, self._kind, self._ends, self._version, self._type, self._reply,
            capacity or 0, how, timeout,
        )  # fmt: skip


class Spsc(_Kind):
    """One producer, one consumer, messages of one size.

    `message` is the number of bytes, or a NumPy dtype; `version` is the number that the C program
    gives its type, if it does.

    >>> ring = Spsc(8)
    >>> with ring.producer(seg, "spsc", 16) as out, ring.consumer(seg, "spsc") as inp:
    ...     out.send(b"a tick !")
    ...     inp.recv()
    b'a tick !'
    """

    _kind = _core.SPSC

    def __init__(self, message, version=0):
        super().__init__(message, version)

    def producer(self, segment, name, capacity=None, *, timeout=None):
        """The producer's end. With a capacity, a power of two, the ring is made if it is not there;
        else this waits until it is: for ever, where no timeout is given and nobody makes a ring of
        that name, also in the process that created the segment."""
        return self._open(Producer, segment, name, capacity, 0, timeout)

    def consumer(self, segment, name, capacity=None, *, timeout=None):
        """The consumer's end, as `producer`."""
        return self._open(Consumer, segment, name, capacity, 0, timeout)


class Mpmc(_Kind):
    """Many producers, many consumers, any of which may be killed.

    at_least_once: what a killed consumer had peeked, and not released, is handed out again; else it
    is lost, and counted. handles: how many can be attached at a time (256).

    >>> jobs = Mpmc("i8")
    >>> out = jobs.producer(seg, "jobs", 16, at_least_once=True)
    >>> out.send(7)
    >>> worker = jobs.consumer(seg, "jobs")
    >>> with worker.peek() as job:                 # killed in here: another worker gets it
    ...     job[0]
    7
    """

    _kind = _core.MPMC

    def __init__(self, message, version=0):
        super().__init__(message, version)

    def _how(self, at_least_once, handles):
        return _core.AT_LEAST_ONCE * bool(at_least_once) | _seats(handles, _core.MPMC_SEATS)

    def producer(self, segment, name, capacity=None, *, at_least_once=False, handles=None, timeout=None):
        how = self._how(at_least_once, handles)
        return self._open(Producer, segment, name, capacity, how, timeout)

    def consumer(self, segment, name, capacity=None, *, at_least_once=False, handles=None, timeout=None):
        how = self._how(at_least_once, handles)
        return self._open(Consumer, segment, name, capacity, how, timeout)


class Mpsc(Mpmc):
    """Many producers, one consumer: as Mpmc."""

    _ends = _core.ONE_CONSUMER


class Spmc(Mpmc):
    """One producer, many consumers: as Mpmc."""

    _ends = _core.ONE_PRODUCER


class Broadcast(_Kind):
    """One producer; every consumer sees every message that was sent since it was opened.

    lossy: the producer never waits, and a slow consumer learns by Missed that it was lapped; else
    the slowest of up to `readers` (64) holds up the producer. wakes_read_only: also consumers sleep
    that have the segment read-only, at the cost of a system call for each message.

    >>> news = Broadcast(4)
    >>> out = news.producer(seg, "news", 4, lossy=True)
    >>> inp = news.consumer(seg, "news")
    >>> out.send_n(b"one.two.six.ten.end.")
    5
    >>> inp.recv()
    Traceback (most recent call last):
      ...
    ipc_ring._errors.Missed: [Errno 75] messages were overwritten before they were read
    >>> inp.missed + len(inp.recv_n(4)) // 4
    5
    """

    _kind = _core.BROADCAST

    def __init__(self, message, version=0):
        super().__init__(message, version)

    def _how(self, lossy, readers, wakes_read_only):
        how = _core.LOSSY * bool(lossy) | _core.WAKES_READ_ONLY * bool(wakes_read_only)
        return how | _seats(readers, _core.BROADCAST_SEATS)

    def producer(
        self, segment, name, capacity=None, *, lossy=False, readers=None, wakes_read_only=False, timeout=None
    ):
        how = self._how(lossy, readers, wakes_read_only)
        return self._open(Producer, segment, name, capacity, how, timeout)

    def consumer(
        self, segment, name, capacity=None, *, lossy=False, readers=None, wakes_read_only=False, timeout=None
    ):
        how = self._how(lossy, readers, wakes_read_only)
        return self._open(Consumer, segment, name, capacity, how, timeout)


class Records(_Kind):
    """Messages of any length, of several producers and one consumer. `capacity` is in bytes, of each
    of `producers`; a record has less than half of it. Each producer's records are in its order.

    >>> out = Records().producer(seg, "logs", 4096)
    >>> out.send(b"a line"); out.send(b"and another")
    >>> Records().consumer(seg, "logs").recv_n(10)
    [b'a line', b'and another']
    """

    _kind = _core.RECORD

    def __init__(self):
        super().__init__()

    def producer(self, segment, name, capacity=None, *, producers=1, timeout=None):
        return self._open(RecordProducer, segment, name, capacity, producers, timeout)

    def consumer(self, segment, name, capacity=None, *, producers=1, timeout=None):
        return self._open(RecordConsumer, segment, name, capacity, producers, timeout)


class RecordBroadcast(_Kind):
    """Messages of any length, of one producer; every consumer sees every message: as Broadcast.

    >>> out = RecordBroadcast().producer(seg, "tape", 4096, lossy=True)
    >>> inp = RecordBroadcast().consumer(seg, "tape")
    >>> out.send(b"a line")
    >>> inp.recv()
    b'a line'
    """

    _kind = _core.RECORD_BROADCAST
    _how = Broadcast._how

    def __init__(self):
        super().__init__()

    def producer(
        self, segment, name, capacity=None, *, lossy=False, readers=None, wakes_read_only=False, timeout=None
    ):
        how = self._how(lossy, readers, wakes_read_only)
        return self._open(RecordProducer, segment, name, capacity, how, timeout)

    def consumer(
        self, segment, name, capacity=None, *, lossy=False, readers=None, wakes_read_only=False, timeout=None
    ):
        how = self._how(lossy, readers, wakes_read_only)
        return self._open(RecordConsumer, segment, name, capacity, how, timeout)


class Stream(_Kind):
    """Elements without messages: any number goes in, any number comes out.

    >>> import numpy
    >>> audio = Stream("f4")
    >>> out = audio.producer(seg, "audio", 4096)
    >>> inp = audio.consumer(seg, "audio")
    >>> with out.claim(3) as row:
    ...     numpy.asarray(row)[:] = 0.5, 1, 2
    >>> inp.recv(100)
    array([0.5, 1. , 2. ], dtype=float32)
    """

    _kind = _core.STREAM

    def __init__(self, element, version=0):
        super().__init__(element, version)

    def producer(self, segment, name, capacity=None, *, timeout=None):
        return self._open(StreamProducer, segment, name, capacity, 0, timeout)

    def consumer(self, segment, name, capacity=None, *, timeout=None):
        return self._open(StreamConsumer, segment, name, capacity, 0, timeout)


class Call(_Kind):
    """A request and its reply. `capacity` is how many clients there can be at a time.

    >>> adder = Call("i8, i8", "i8")
    >>> server = adder.server(seg, "adder", 4)
    >>> client = adder.client(seg, "adder")
    >>> client.ask((3, 4))
    >>> request = server.serve()
    >>> request.answer(request.message["f0"] + request.message["f1"])
    True
    >>> client.collect() + 0
    7
    """

    _kind = _core.CALL

    def __init__(self, request, reply, version=0):
        super().__init__(request, version)
        self._reply = _message_type(reply)

    def client(self, segment, name, capacity=None, *, timeout=None):
        return self._open(Client, segment, name, capacity, 0, timeout)

    def server(self, segment, name, capacity=None, *, timeout=None):
        return self._open(Server, segment, name, capacity, 0, timeout)
