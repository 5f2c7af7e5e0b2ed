"""Tests bindings/python, with tests/python_peer.c at the other end: test_python.py PEER."""

import array
import doctest
import importlib.metadata
import mmap
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

import ipc_ring
from ipc_ring import Broadcast, Call, Mpmc, Mpsc, RecordBroadcast, Records, Segment, Spmc, Spsc, Stream

try:
    import numpy as np

    TICK = np.dtype([("ns", "u8"), ("px", "f8")])
except ImportError:
    np = None
with_numpy = unittest.skipIf(np is None, "no NumPy here")

PEER = sys.argv.pop(1)
LONG = 60  # seconds: no test waits for so long


class WithSegment(unittest.TestCase):
    def setUp(self):
        self.name = os.environ.get("IPC_TEST_PREFIX", f"ipc-test-{os.getpid()}") + "-python"
        self.seg = Segment.create(self.name, 1 << 20, fresh=True)
        self.peers = []

    def tearDown(self):
        for peer in self.peers:
            peer.kill()
            peer.wait()
            if peer.stdout:
                peer.stdout.close()
        self.seg.close()
        Segment.unlink(self.name)

    def peer(self, what):
        self.peers.append(subprocess.Popen([PEER, self.name, what]))
        return self.peers[-1]

    def python(self, code, *arguments, **environment):
        """Another Python process, which has the segment as `seg`."""
        begin = "import ipc_ring, os, sys; seg = ipc_ring.Segment.open(sys.argv[1], 60)\n"
        command = [sys.executable, "-c", begin + code, self.name, *arguments]
        environment = dict(os.environ, **environment)
        self.peers.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment))
        return self.peers[-1]

    def asleep(self, peer):
        """Waits until the process sleeps in the kernel, or has ended."""
        state = ""
        while state not in ("S", "Z"):
            with open(f"/proc/{peer.pid}/stat") as file:
                state = file.read().rsplit(")", 1)[1].split()[0]


class Messages(WithSegment):
    @with_numpy
    def test_c_sends_back_what_python_sends(self):
        out = Spsc(TICK, version=2).producer(self.seg, "ticks", 16)
        inp = Spsc(TICK).consumer(self.seg, "back", 16)
        peer = self.peer("echo")
        out.send((7, 1.5), LONG)
        back = inp.recv(LONG)
        self.assertEqual((back["ns"], back["px"]), (7, 3.0))
        out.send(np.array([(8, 2.5)], TICK)[0])
        self.assertEqual(inp.recv(LONG).tobytes(), np.array((8, 5.0), TICK).tobytes())
        many = np.zeros(1000, TICK)
        many["ns"] = np.arange(1, 1001)
        many["px"] = 0.5
        got, sent = [], 0
        while sent < 1000:  # more than the rings take
            sent += out.push_n(many[sent : sent + 8])
            while sum(map(len, got)) < sent:
                got.append(inp.recv_n(100, LONG))
        got = np.concatenate(got)
        self.assertEqual(got.dtype, TICK)
        self.assertTrue((got["ns"] == many["ns"]).all() and (got["px"] == 1).all())
        out.send((0, 0))
        self.assertEqual(inp.recv(LONG)["ns"], 0)
        with self.assertRaises(ipc_ring.PeerGone) as left:
            inp.recv(LONG)
        self.assertNotIsInstance(left.exception, ipc_ring.PeerDied)
        self.assertEqual(peer.wait(), 0)

    @with_numpy
    def test_the_death_of_a_c_process_is_told(self):
        out = Spsc(TICK, version=2).producer(self.seg, "ticks", 16)
        inp = Spsc(TICK).consumer(self.seg, "back", 16)
        peer = self.peer("killed")
        out.send((0, 0), LONG)
        self.assertEqual(inp.recv(LONG)["ns"], 0)
        with self.assertRaises(ipc_ring.PeerDied):
            inp.recv(LONG)
        self.assertEqual(peer.wait(), -signal.SIGKILL)

    def test_the_end_of_a_python_process_is_told(self):
        inp = Spsc(8).consumer(self.seg, "ring", 16)
        code = 'out = ipc_ring.Spsc(8).producer(seg, "ring"); out.send(b"a record")\n'
        self.python(code)
        self.assertEqual(list(inp), [b"a record"])  # ends when the other process does
        self.python(code + "os.kill(os.getpid(), 9)")
        self.assertEqual(inp.recv(LONG), b"a record")
        with self.assertRaises(ipc_ring.PeerDied):
            next(inp)
        self.python(code + "raise SystemExit(1)")
        self.assertEqual(list(inp), [b"a record"])

    def test_a_producer_that_left_before_the_consumer_came_is_told(self):
        for kind, name in ((Spsc(1), "a"), (Records(), "b"), (Stream(1), "c")):
            with kind.producer(self.seg, name, 4096) as out:
                out.send(b"x")
            inp = kind.consumer(self.seg, name)
            self.assertEqual(bytes(next(inp)), b"x")
            with self.assertRaises(ipc_ring.PeerGone):
                inp.recv(*[1] * (name == "c"), timeout=1)

    def test_what_a_killed_consumer_had_in_hand(self):
        for name, most, again in (("a", None, b"12"), ("b", 0, b"2")):
            out = Spsc(1).producer(self.seg, name, 64)
            out.send_n(b"12")
            code = 'inp = ipc_ring.Spsc(1).consumer(seg, sys.argv[2])\n'
            code += f"inp.replay({most})\n" if most is not None else ""
            self.python(code + "inp.recv(); os.kill(os.getpid(), 9)", name).wait()
            self.assertEqual(Spsc(1).consumer(self.seg, name).pop_n(9), again)
            self.assertRaises(TypeError, out.was_readers)

    def test_bytes_batches_and_places(self):
        ring = Spsc(4)
        with ring.producer(self.seg, "r", 4) as out, ring.consumer(self.seg, "r") as inp:
            with self.assertRaises(ipc_ring.Empty):
                inp.pop()
            self.assertEqual(out.push_n(b"one.two.six.ten.end."), 4)
            with self.assertRaises(ipc_ring.Full):
                out.push(b"full")
            with self.assertRaises(BlockingIOError):
                out.push_n(b"full")
            self.assertEqual(out.was_size(), 4)
            self.assertEqual(inp.pop(), b"one.")
            into = bytearray(8)
            self.assertEqual(inp.recv_into(into, 0), 2)
            self.assertEqual(into, b"two.six.")
            self.assertEqual(inp.pop_n(9), b"ten.")
            with out.claim(0) as slot:
                slot[:] = b"here"
            with self.assertRaisesRegex(RuntimeError, "as it is"):
                with inp.peek() as slot:
                    self.assertEqual(bytes(slot), b"here")
                    raise RuntimeError("as it is")
            with inp.peek() as slot:
                self.assertEqual(bytes(slot), b"here")
            self.assertRaises(ValueError, bytes, slot)
            for wrong in (b"five!", b"", array.array("h", [0, 0])):
                self.assertRaises(ValueError, out.push, wrong)
            self.assertRaises(ValueError, out.send_n, b"fivex")
            self.assertRaises(TypeError, out.send, "text")
            self.assertRaises(TypeError, out.send)
            self.assertRaises(TypeError, out.send, b"good", tiemout=1)
            self.assertRaises(ValueError, inp.recv, float("nan"))
        for call in (out.was_size, lambda: out.push(b"here"), inp.pop):
            self.assertRaises(ipc_ring.Closed, call)

    @with_numpy
    def test_a_view_keeps_its_row(self):
        ring = Spsc(TICK)
        out, inp = ring.producer(self.seg, "r", 4), ring.consumer(self.seg, "r")
        row = out.claim()
        array = np.asarray(row)
        self.assertEqual(array.dtype, TICK)
        array["ns"] = 5
        for call in (out.commit, out.cancel, out.close, self.seg.close, lambda: out.push((1, 1)), out.claim):
            with self.assertRaisesRegex(BufferError, "still"):
                call()
        del array
        out.commit()
        self.assertRaises(BufferError, memoryview, row)
        self.assertRaises(ValueError, out.commit)
        with self.assertRaises(BufferError):
            with inp.peek(1) as view:
                array = np.asarray(view)
        self.assertEqual(array["ns"], 5)
        with self.assertRaises(ValueError):
            array["ns"] = 6  # read-only
        self.assertRaises(BufferError, inp.recv)
        del array, view  # the row is dropped with them
        self.assertRaises(ValueError, inp.release)
        self.assertEqual(inp.recv(0)["ns"], 5)
        row = out.claim()
        del out, call  # the row keeps it
        memoryview(row).cast("B")[:] = b"x" * 16
        del row
        self.assertRaises(ipc_ring.PeerGone, inp.recv, LONG)

    def test_a_row_in_a_cycle_is_collected(self):
        import gc

        out = Spsc(8).producer(self.seg, "r", 4)
        out.claim().__enter__()
        gc.collect()
        out.push(b"possible")


class Kinds(WithSegment):
    @with_numpy
    def test_every_kind_with_c_at_the_other_end(self):
        seg = self.seg
        news = Broadcast(TICK).producer(seg, "news", 16)
        tape = RecordBroadcast().producer(seg, "tape", 4096, lossy=True)
        kinds = (
            ("jobs", Mpmc("i8"), 7, 16, {}),
            ("news", Broadcast(TICK), (1, 2.5), 16, {}),
            ("audio", Stream("f4"), np.array([1, 2, 3, 4], "f4"), 1024, {}),
            ("logs", Records(), b"a line", 4096, {}),
            ("tape", RecordBroadcast(), b"on tape", 4096, {}),
        )
        back = {name: kind.consumer(seg, name + " back", n) for name, kind, _, n, _ in kinds}
        out = {name: kind.producer(seg, name, n) for name, kind, _, n, _ in kinds if name not in ("news", "tape")}
        out["news"], out["tape"] = news, tape
        peer = self.peer("all")
        adder = Call("i8, i8", "i8")
        client = adder.client(seg, "adder", timeout=LONG)  # made when the readers are there
        for name, _, message, _, _ in kinds:
            out[name].send(message, LONG)
        self.assertEqual(back["jobs"].recv(LONG), 7)
        self.assertEqual(tuple(back["news"].recv(LONG)), (1, 2.5))
        back["audio"].wait(4, LONG)
        self.assertEqual(list(back["audio"].recv(100)), [1, 2, 3, 4])
        self.assertEqual(back["logs"].recv(LONG), b"a line")
        self.assertEqual(back["tape"].recv(LONG), b"on tape")
        self.assertEqual(client.call((3, 4), LONG), 7)
        server = adder.server(seg, "python adder", 4)
        request = server.serve(LONG)
        self.assertTrue(request.answer(request.message["f0"] + request.message["f1"]))
        self.assertRaises(ValueError, request.answer, 7)
        self.assertEqual(peer.wait(), 0)
        for name in "news", "audio", "logs", "tape":
            with self.assertRaises(ipc_ring.PeerGone):
                back[name].recv_n(5, LONG) if name != "audio" else back[name].recv(5, LONG)

    @with_numpy
    def test_the_job_of_a_killed_worker_is_handed_out_again(self):
        jobs = Mpmc("i8")
        out = jobs.producer(self.seg, "jobs", 4, at_least_once=True)
        out.send(5)
        self.assertEqual(self.peer("job").wait(), -signal.SIGKILL)
        self.assertEqual((out.recover() > 0, out.recover()), (True, 0))
        with jobs.consumer(self.seg, "jobs").peek(LONG) as job:
            self.assertEqual(job[0], 5)
        self.assertEqual(out.losses(), {"aborted": 0, "lost": 0, "again": 1})

    def test_ends_of_one(self):
        Mpsc(8).consumer(self.seg, "mpsc", 4, handles=300)
        one = Spmc(8).producer(self.seg, "spmc", 4)
        self.assertRaises(ipc_ring.Busy, Spmc(8).producer, self.seg, "spmc")
        two = [Spmc(8).consumer(self.seg, "spmc") for i in range(2)]
        one.send_n(b"12345678" * 2)
        self.assertEqual(two[0].pop_n(1) + two[1].pop_n(1), b"12345678" * 2)
        self.assertRaises(ValueError, Mpmc(8).producer, self.seg, "mpmc", 4, handles=0)

    def test_a_lossless_broadcast_waits_for_the_slowest(self):
        out = Broadcast(1).producer(self.seg, "b", 2, readers=2)
        readers = [Broadcast(1).consumer(self.seg, "b") for i in range(2)]
        self.assertEqual(out.was_readers(), 2)
        self.assertRaises(TypeError, out.was_size)
        self.assertRaises(ValueError, readers[0].replay, 0)
        self.assertEqual(out.send_n(b"abc", 0.01), 2)
        self.assertEqual([r.pop_n(9) for r in readers], [b"ab", b"ab"])
        self.assertRaises(ipc_ring.NoRoom, Broadcast(1).consumer, self.seg, "b")

    def test_the_slowest_reader_and_the_seat_of_a_dead_one(self):
        for kind, name, size in ((Broadcast(8), "b", 64), (RecordBroadcast(), "r", 1024)):
            out, inp = kind.producer(self.seg, name, size), kind.consumer(self.seg, name)
            self.assertEqual(out.was_slowest(), (0, 0))
            child = self.python(
                f"inp = ipc_ring.{type(kind).__name__}({'8' * (name == 'b')}).consumer(seg, '{name}')\n"
                "print(flush=True); __import__('signal').pause()"
            )
            child.stdout.read(1)
            with self.assertRaises(ipc_ring.Full):
                while True:
                    out.push(b"12345678")
            with self.assertRaises(ipc_ring.Empty):
                while True:
                    inp.pop()
            behind, reader = out.was_slowest()
            self.assertEqual(self.seg.processes()[reader], child.pid)
            self.assertTrue(behind >= 64)
            child.kill()
            child.wait()
            self.assertNotIn(reader, self.seg.processes())
            self.assertEqual((out.recover(reader + 1), out.recover(reader), out.recover()), (0, 1, 0))
            self.assertEqual((out.was_readers(), out.was_slowest()), (1, (0, 0)))
            self.assertRaises(TypeError, out.recover, "all")
        out, inp = Spsc(8).producer(self.seg, "s", 4), Spsc(8).consumer(self.seg, "s")
        for call in out.was_slowest, out.recover, inp.recover:
            self.assertRaises(TypeError, call)

    def test_a_lapped_reader_learns_what_it_missed(self):
        for out, inp in (
            (Broadcast(4).producer(self.seg, "b", 4, lossy=True), Broadcast(4).consumer(self.seg, "b")),
            (RecordBroadcast().producer(self.seg, "r", 256, lossy=True), RecordBroadcast().consumer(self.seg, "r")),
        ):
            out.push(b"0000")
            row = inp.peek(LONG)
            for i in range(1, 100):
                out.push(b"%04d" % i)
            self.assertRaises(ipc_ring.Missed, inp.release)  # what was peeked is not to be believed
            del row
            got = inp.recv_n(100)
            last = bytes(got)[-4:] if isinstance(got, bytearray) else got[-1]
            self.assertEqual(last, b"0099")
            n = len(got) // 4 if isinstance(got, bytearray) else len(got)
            self.assertEqual(inp.missed + n, 100)

    def test_records(self):
        logs = Records()
        first = logs.producer(self.seg, "logs", 65536, producers=2)
        inp = logs.consumer(self.seg, "logs")
        long = os.urandom(30000)  # more than what a consumer begins with
        first.send(long)
        self.assertEqual(inp.recv(), long)
        first.send(long)
        self.assertEqual(inp.recv_n(2), [long])
        with first.claim(8) as room:
            room[:] = b"\2" + bytes(7)
        with logs.producer(self.seg, "logs") as second:
            inp.merge(1)
            inp.watch_producers()
            second.push(b"\1" + bytes(7))
            self.assertEqual([inp.recv(LONG)[0] for i in range(2)], [1, 2])
        self.assertRaises(ipc_ring.PeerGone, inp.recv, LONG)
        self.assertRaises(ipc_ring.TooLarge, first.push, bytes(40000))
        self.assertRaises(ipc_ring.TooLarge, first.claim, 40000)
        self.assertRaises(ipc_ring.Timeout, inp.recv_n, 3, 0)
        self.assertRaises(ipc_ring.Empty, inp.pop)
        while True:
            try:
                first.push(long)
            except ipc_ring.Full:
                break
        self.assertEqual(inp.pop(), long)

    def test_which_producer_a_record_is_from_and_which_has_ended(self):
        ours = Records().producer(self.seg, "r", 4096, producers=2)
        inp = Records().consumer(self.seg, "r")
        self.assertRaises(ValueError, inp.source)
        self.assertIsNone(inp.ended())
        code = "out = ipc_ring.Records().producer(seg, 'r'); out.send(b'theirs'); __import__('signal').pause()"
        child = self.python(code)
        self.assertEqual(inp.recv(LONG), b"theirs")
        theirs = inp.source()
        self.assertEqual(self.seg.processes()[theirs["process"]], child.pid)
        ours.send(b"ours")
        self.assertEqual(inp.recv(LONG), b"ours")
        from_us = inp.source()
        self.assertEqual(self.seg.processes()[from_us["process"]], os.getpid())
        self.assertEqual({from_us["lane"], theirs["lane"]}, {0, 1})
        self.assertIsNone(inp.ended())
        child.kill()
        child.wait()
        self.assertEqual(inp.ended(), dict(theirs, killed=True))
        self.assertIsNone(inp.ended())
        inp.watch_producers()
        ours.close()
        self.assertRaises(ipc_ring.PeerGone, inp.recv, LONG)
        self.assertEqual(inp.source(), from_us)
        news = RecordBroadcast().producer(self.seg, "n", 4096)
        for call in RecordBroadcast().consumer(self.seg, "n").source, RecordBroadcast().consumer(self.seg, "n").ended:
            self.assertRaises(TypeError, call)
        news.close()

    def test_more_is_coming(self):
        long = [bytes([i]) * 4096 for i in range(8)]  # so long that rings may put them off
        kinds = Spsc(4096), Mpmc(4096), Broadcast(4096), Records(), RecordBroadcast()
        for i, kind in enumerate(kinds):
            size = 65536 if "Record" in type(kind).__name__ else 8
            with kind.producer(self.seg, str(i), size) as out, kind.consumer(self.seg, str(i)) as inp:
                for message in long[:3]:
                    out.push_more(message)
                out.flush()
                self.assertEqual([bytes(inp.pop()) for _ in range(3)], long[:3])
                self.assertRaises(ipc_ring.Empty, inp.pop)
                with self.assertRaises(ipc_ring.Full):
                    for message in long * 3:
                        out.push_more(message)
                self.assertEqual(inp.pop(), long[0])
        self.assertRaises(ipc_ring.Closed, out.push_more, long[0])
        self.assertRaises(ipc_ring.Closed, out.flush)

    def test_a_flush_wakes_a_sleeper(self):
        out = Spsc(4096).producer(self.seg, "ring", 16)
        inp = Spsc(4096).consumer(self.seg, "ring")
        got = []
        sleeper = threading.Thread(target=lambda: got.append(inp.recv(LONG)))
        sleeper.start()
        time.sleep(0.1)
        began = time.monotonic()
        out.push_more(bytes(4096))
        out.flush()
        sleeper.join()
        self.assertLess(time.monotonic() - began, 0.5)  # it looks by itself after a second
        self.assertEqual(got, [bytes(4096)])

    def test_records_by_the_list(self):
        with Records().producer(self.seg, "r", 65536) as out, Records().consumer(self.seg, "r") as inp:
            many = [bytes([i]) * 4096 for i in range(200)]
            got = []
            taker = threading.Thread(target=lambda: got.extend(inp.recv(LONG) for _ in many))
            taker.start()
            self.assertEqual(out.send_n(many, LONG), 200)
            taker.join()
            self.assertEqual(got, many)
            self.assertEqual(out.send_n([]), 0)
            self.assertEqual(out.send_n(iter(many), 0.01), len(inp.recv_n(100, 0)))
            self.assertRaises(TypeError, out.send_n, [b"first", 2])
            self.assertEqual(inp.pop(), b"first")
            self.assertRaises(ipc_ring.TooLarge, out.send_n, [bytes(100000)])
            self.assertRaises(ipc_ring.Timeout, lambda: out.send_n(many, 0) and out.send_n(many, 0))

    @with_numpy
    def test_streams_in_place(self):
        audio = Stream("f4")
        out = audio.producer(self.seg, "audio", 1024)
        inp = audio.consumer(self.seg, "audio")
        for i in range(5):  # around the end
            with out.claim(700, LONG) as row:
                np.asarray(row)[:] = np.arange(700) + i
            with inp.peek(700) as row:
                array = np.asarray(row)
                self.assertTrue((array == np.arange(700) + i).all())
                self.assertRaises(BufferError, inp.release)
                self.assertRaises(BufferError, inp.recv, 5)
                del array
        self.assertRaises(ipc_ring.TooLarge, out.claim, 1025)
        self.assertRaises(ipc_ring.Timeout, inp.peek, 1, 0)
        self.assertRaises(ValueError, out.send, np.zeros(4, "f8"))
        self.assertEqual(out.send(np.zeros(2000, "f4"), timeout=0.01), 1024)
        into = np.ones(24, "f4")
        self.assertEqual(inp.recv_into(into), 24)
        self.assertFalse(into.any())
        self.assertEqual(len(inp.pop(5000)), 1000)
        small = Stream(3)  # whose bytes are not whole pages
        out, inp = small.producer(self.seg, "small", 4), small.consumer(self.seg, "small")
        out.send(b"onetwosix")
        inp.recv(3)
        with self.assertRaisesRegex(ValueError, "whole pages"):
            out.claim(2)
        code = 'out = ipc_ring.Stream("f4").producer(seg, "long"); out.send(__import__("numpy").arange(100000, dtype="f4"))'
        inp = audio.consumer(self.seg, "long", 1024)
        self.python(code)
        self.assertTrue((np.concatenate(list(inp)) == np.arange(100000)).all())

    def test_the_two_pieces_of_a_stream(self):
        small = Stream(3)  # whose bytes are not whole pages: they are mapped once
        out, inp = small.producer(self.seg, "small", 4), small.consumer(self.seg, "small")
        self.assertEqual([len(piece) for piece in inp.data()], [0, 0])
        out.send(b"onetwosix")
        inp.recv(3)
        first, second = out.room()
        self.assertEqual((len(first), len(second)), (3, 9))
        with first as one, second as two:
            one[:], two[:3] = b"ten", b"end"
        out.commit(2)
        for piece in first, second, one, two:
            self.assertRaises((BufferError, ValueError), memoryview, piece)
        with self.assertRaisesRegex(KeyError, "as it is"):
            with inp.data()[1] as two:
                raise KeyError("as it is")
        self.assertRaises(ValueError, inp.release)  # the pieces are dropped
        first, second = inp.data()
        held = memoryview(second)
        with first as one:
            self.assertEqual((bytes(one), bytes(held)), (b"ten", b"end"))
        for call in inp.release, inp.data, inp.close, lambda: inp.recv(1):
            self.assertRaises(BufferError, call)
        self.assertRaises(ValueError, inp.release, 3)
        del held, first, one
        inp.release(1)
        self.assertEqual(inp.recv(9), b"end")
        audio = Stream(4).producer(self.seg, "audio", 1024)  # mapped twice
        self.assertEqual([len(piece) for piece in audio.room()], [4096, 0])

    def test_calls(self):
        adder = Call(2, 5)
        server, client = adder.server(self.seg, "adder", 4), adder.client(self.seg, "adder")
        self.assertRaises(ipc_ring.Timeout, client.call, b"12", 0.01)
        self.assertRaises(ipc_ring.Timeout, server.serve, 0.01)  # that call was given up
        thread = threading.Thread(target=lambda: [r.answer(r.message + b"...") for r in (server.serve(LONG),)])
        thread.start()
        self.assertEqual(client.call(b"34", LONG), b"34...")
        thread.join()
        client.ask(b"56")
        self.assertRaises(ipc_ring.Timeout, client.collect, 0)
        request = server.serve(LONG)
        self.assertRaises(ValueError, request.answer, b"long reply")
        client.cancel()
        self.assertFalse(request.answer(b"reply"))
        client.ask(b"78")
        request = server.serve(LONG)
        server.close()
        self.assertRaises(ipc_ring.Closed, request.answer, b"reply")
        self.assertRaises(ipc_ring.PeerGone, client.collect, LONG)
        code = 's = ipc_ring.Call(2, 5).server(seg, "adder"); print(flush=True); s.serve(); os.kill(os.getpid(), 9)'
        self.python(code).stdout.read(1)
        self.assertRaises(ipc_ring.PeerDied, client.call, b"90", LONG)


class Waiting(WithSegment):
    def setUp(self):
        super().setUp()
        self.out = Spsc(8).producer(self.seg, "ring", 2)
        self.inp = Spsc(8).consumer(self.seg, "ring")

    def test_timeouts(self):
        for seconds in (0, -1, 0.01):
            with self.assertRaises(ipc_ring.Timeout):
                self.inp.recv(seconds)
            self.assertRaises(TimeoutError, self.inp.recv_n, 5, timeout=seconds)
            self.assertRaises(ipc_ring.Error, self.inp.peek, seconds)
        self.assertEqual(self.out.send_n(b"12345678" * 3, timeout=0.01), 2)
        self.assertRaises(ipc_ring.Timeout, self.out.send, b"12345678", 0)

    def test_other_threads_run_while_one_waits(self):
        got = []
        thread = threading.Thread(target=lambda: got.extend(self.inp.recv(LONG) for i in range(100)))
        thread.start()
        for i in range(100):
            self.out.send(b"message!", LONG)
        thread.join()
        self.assertEqual(got, [b"message!"] * 100)

    def test_one_thread_at_a_time(self):
        thread = threading.Thread(target=self.inp.recv, args=(LONG,))
        thread.start()
        while True:
            try:
                self.inp.pop()
            except RuntimeError:
                break
            except ipc_ring.Empty:
                pass
        self.assertRaises(RuntimeError, self.inp.close)
        self.assertRaises(RuntimeError, self.seg.close)
        self.out.send(b"message!")
        thread.join()

    def test_ctrl_c_ends_a_wait(self):
        for code in (
            'ipc_ring.Spsc(8).consumer(seg, "another", 2).recv()',
            'ipc_ring.Spsc(8).consumer(seg, "missing")',
            'ipc_ring.Segment.open("ipc-test-there-is-none")',
        ):
            child = self.python(f"try: print(1, flush=True); {code}\nexcept KeyboardInterrupt: sys.exit(42)")
            child.stdout.read(1)
            self.asleep(child)
            child.send_signal(signal.SIGINT)
            self.assertEqual(child.wait(15), 42)  # else it waits on

    def test_a_handler_that_returns_does_not_end_a_wait(self):
        code = (
            "import signal; inp = ipc_ring.Spsc(8).consumer(seg, 'a'); out = ipc_ring.Spsc(8).producer(seg, 'b')\n"
            "def handler(*_):\n"
            "    try: inp.pop()\n"
            "    except (RuntimeError, ipc_ring.Empty): out.send(b'handled!')\n"
            "signal.signal(signal.SIGUSR1, handler); out.send(b'handler!'); inp.recv()"
        )
        out = Spsc(8).producer(self.seg, "a", 2)
        inp = Spsc(8).consumer(self.seg, "b", 2)
        child = self.python(code)
        self.assertEqual(inp.recv(LONG), b"handler!")
        self.asleep(child)
        child.send_signal(signal.SIGUSR1)
        self.assertEqual(inp.recv(LONG), b"handled!")
        out.send(b"message!")
        self.assertEqual(child.wait(), 0)

    def test_an_event_loop_is_woken(self):
        import selectors

        def look():
            inp.arm()
            try:
                return inp.recv(0)
            except ipc_ring.Timeout:
                return None

        inp = Records().consumer(self.seg, "events", 4096)
        code = (
            "inp = ipc_ring.Spsc(8).consumer(seg, 'ring'); out = ipc_ring.Records().producer(seg, 'events')\n"
            "for message in inp: out.send(message) if message[0] else os.kill(os.getpid(), 9)\n"
        )
        self.inp.close()
        self.python(code)
        with selectors.DefaultSelector() as loop:
            loop.register(inp, selectors.EVENT_READ)
            for i in range(3):
                self.assertIsNone(look())
                self.out.send(b"message%d" % i)
                got = None
                while got is None:
                    self.assertTrue(loop.select(LONG))
                    got = look()
                self.assertEqual(got, b"message%d" % i)
            self.out.send(bytes(8))
            with self.assertRaises(ipc_ring.PeerDied):
                while True:
                    loop.select(1)
                    look()
        news = Broadcast(4).producer(self.seg, "news", 4, lossy=True)
        with Segment.open(self.name, read_only=True) as seg:
            self.assertRaisesRegex(ipc_ring.NotPermitted, "thread", Broadcast(4).consumer(seg, "news").fileno)
        news.close()
        self.assertRaises(ipc_ring.Closed, news.fileno)
        server, client = Call(2, 5).server(self.seg, "adder", 4), Call(2, 5).client(self.seg, "adder")
        self.assertEqual(len({server.fileno(), client.fileno(), client.fileno(), inp.fileno()}), 3)
        server.arm()
        client.arm()

    def test_fork(self):
        pid = os.fork()
        if pid == 0:
            try:
                self.out.push(b"message!")
            except ipc_ring.Forked:
                os._exit(0)
            os._exit(1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.out.send(b"message!")
        self.assertEqual(self.inp.recv(), b"message!")


class Abuse(WithSegment):
    """What a program may do in the midst of a call. Memory that is freed is filled with 0xdd."""

    def survives(self, code):
        self.assertEqual(self.python(code, PYTHONMALLOC="debug").wait(), 0)

    def test_a_view_may_have_the_last_reference_to_its_row(self):
        self.survives(
            "import gc; gc.disable(); out = ipc_ring.Spsc(8).producer(seg, 'r', 4)\n"
            "for call in (lambda: out.push(b'possible')), out.commit, out.cancel:\n"
            "    out.claim().__enter__()\n"
            "    call()\n"
            "assert out.was_size() == 2\n"
            "for name in 'ab':\n"
            "    ipc_ring.Spsc(8).producer(seg, name, 4).claim().__enter__()\n"
            "seg.close()"
        )

    def test_a_count_may_end_the_row(self):
        self.survives(
            "out = ipc_ring.Records().producer(seg, 'r', 4096)\n"
            "class Count:\n"
            "    def __index__(self): out.cancel(); return 1\n"
            "row = out.claim(5)\n"
            "try: out.commit(Count())\n"
            "except ValueError as error: assert 'nothing is claimed' in str(error)"
        )

    def test_an_end_may_be_closed_while_an_exception_is_made(self):
        self.survives(
            "from ipc_ring import _errors\n"
            "class Closes(dict):  # as another thread may, which runs meanwhile\n"
            "    def get(self, *key): client.close(); return super().get(*key)\n"
            "client = ipc_ring.Call(2, 5).client(seg, 'adder', 4)\n"
            "_errors._running = Closes(_errors._running)\n"
            "try: client.call(b'12', 0)\n"
            "except ipc_ring.Timeout: assert client.closed"
        )

    def test_a_call_that_gets_no_memory_is_not_begun(self):
        self.survives(
            "import resource\n"
            "seg = ipc_ring.Segment.create(None, 1 << 24)\n"
            "adder = ipc_ring.Call(2, 1 << 22)\n"
            "server, client = adder.server(seg, 'adder', 1), adder.client(seg, 'adder')\n"
            "pages = int(open('/proc/self/statm').read().split()[0])\n"
            "limit = pages * os.sysconf('SC_PAGE_SIZE') + (1 << 21)  # less than a reply\n"
            "resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))\n"
            "try: client.call(b'12', 0)\n"
            "except MemoryError: pass\n"
            "else: sys.exit('there was memory')\n"
            "client.ask(b'34', 0)\n"
            "assert server.serve(0).message == b'34'"
        )

    def while_garbage_is_collected(self, call, other):
        """Both calls' results. Before Python 3.12 `other` is called by what `call` allocates."""
        import gc

        got = []

        class Garbage:
            def __init__(self):
                self.me = self

            def __del__(self):
                try:
                    got.append(other())
                except RuntimeError:
                    pass

        thresholds = gc.get_threshold()
        gc.disable()
        kept = [[] for i in range(200)]  # or a new list would be an old one
        try:
            Garbage()
            gc.set_threshold(1)
            gc.enable()
            got.append(call())
        finally:
            gc.set_threshold(*thresholds)
            gc.collect()
        del kept
        return got

    def test_what_is_collected_may_use_the_end(self):
        out, inp = Records().producer(self.seg, "r", 4096), Records().consumer(self.seg, "r")
        out.send_n([b"first", b"other"])
        got = self.while_garbage_is_collected(lambda: inp.recv_n(1, LONG), lambda: inp.recv_n(1, LONG))
        self.assertEqual(sorted(sum(got, [])), [b"first", b"other"][: len(got)])

        def is_claimed(row):
            try:
                return bool(memoryview(row))
            except BufferError:
                return False

        out = Spsc(8).producer(self.seg, "s", 4)
        rows = self.while_garbage_is_collected(out.claim, out.claim)
        self.assertEqual(sum(map(is_claimed, rows)), 1)

    def test_other_threads_run_while_one_sends_a_segment(self):
        self.survives(
            "import signal, socket, threading\n"
            "made = ipc_ring.Segment.create(None, 65536)\n"
            "ours, theirs = socket.socketpair()\n"
            "ours.setblocking(False)\n"
            "try:\n"
            "    while True: ours.send(bytes(4096))  # until it is full\n"
            "except BlockingIOError: ours.setblocking(True)\n"
            "sys.setswitchinterval(1000)  # a thread runs until it lets others run\n"
            "thread = threading.Thread(target=made.send, args=(ours,))\n"
            "signal.alarm(20)  # ends this process, where no thread runs any more\n"
            "thread.start()\n"
            "try: made.close()\n"
            "except RuntimeError: pass\n"
            "else: sys.exit('closed')\n"
            "theirs.setblocking(False)\n"
            "while thread.is_alive():\n"
            "    try: theirs.recv(65536)\n"
            "    except BlockingIOError: thread.join(0.001)\n"
            "made.close()"
        )


class Hostile(WithSegment):
    def calls(self, ends, server, client):
        for out, inp in ends:
            n = [1] if hasattr(inp, "wait") else []  # a stream: how many
            room = [] if hasattr(out, "push_n") else [1]
            yield lambda: out.push(b"12345678")
            yield lambda: inp.pop(*n)
            yield lambda: out.send(b"87654321", 0)
            if hasattr(out, "flush"):
                yield lambda: out.push_more(b"12345678")
                yield out.flush
                yield lambda: inp.recv_n(8, 0)
            yield lambda: (inp.recv if n else inp.recv_n)(8, 0)
            yield lambda: bytes(out.claim(*room, 0))
            yield out.commit
            yield lambda: bytes(inp.peek(*n, 0))
            yield inp.release
            for i in range(70):
                yield lambda: out.push(b"12345678")
            for i in range(70):
                yield lambda: inp.pop(*n)
        yield lambda: client.ask(b"12345678", 0)
        yield lambda: server.serve(0).answer(b"12345678")
        yield lambda: client.collect(0)

    def test_whatever_is_in_the_memory_is_an_exception_at_worst(self):
        """Random bytes, written to the rings, and to what the segment says of itself."""
        chance = random.Random(1)
        kinds = [Spsc(8), Mpmc(8), Broadcast(8), Records(), RecordBroadcast(), Stream(8)]
        seen = set()
        with open("/dev/shm/" + self.name, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            whole = bytes(memory)
            for turn in range(60):
                memory[:] = whole
                with Segment.open(self.name, 0) as seg:
                    ends = [(k.producer(seg, f"{i}", 64), k.consumer(seg, f"{i}")) for i, k in enumerate(kinds)]
                    server, client = Call(8, 8).server(seg, "call", 4), Call(8, 8).client(seg, "call")
                    for step in range(10):
                        for k in range(chance.choice((1, 100, 5000))):
                            at = chance.randrange(16384) & ~7
                            memory[at : at + 8] = chance.choice((bytes(8), b"\xff" * 8, chance.randbytes(8)))
                        for call in self.calls(ends, server, client):
                            try:
                                call()
                            except (ipc_ring.Error, ValueError) as error:
                                seen.add(type(error))
                    for end in [server, client] + [end for both in ends for end in both]:
                        end.close()
            memory[:] = whole
        self.assertLessEqual({ipc_ring.Corrupt, ipc_ring.Empty, ipc_ring.Full}, seen)


class Refusals(WithSegment):
    def test_reasons(self):
        out = Spsc(8).producer(self.seg, "ring", 16)
        for kind, error, says in (
            (Spsc(16), ipc_ring.Mismatch, "message size differs; bytes: 8 there, 16 here"),
            (Spsc(8, version=3), ipc_ring.Mismatch, "another version: 0 there, 3 here"),
            (Mpmc(8), ipc_ring.Mismatch, "ring"),
            (Spsc(8), ipc_ring.Busy, "this process has taken.*: detach it first"),
        ):
            with self.assertRaisesRegex(error, says) as refused:
                kind.producer(self.seg, "ring")
            self.assertIsInstance(refused.exception, ipc_ring.Refused)
        self.assertRaises(ipc_ring.NotFound, Spsc(8).producer, self.seg, "missing", timeout=0)
        self.assertRaises(ipc_ring.Timeout, Spsc(8).producer, self.seg, "missing", timeout=0.01)
        self.assertRaises(ipc_ring.NoRoom, Spsc(8).producer, self.seg, "large", 1 << 20)
        self.assertRaises(ipc_ring.Refused, Spsc(8).producer, self.seg, "odd", 3)
        self.assertRaises(ValueError, Spsc(8).producer, self.seg, "none", 0)
        self.assertRaises(ValueError, Spsc(0).producer, self.seg, "none", 4)
        self.assertRaises(ValueError, Spsc(8).producer, self.seg, "none", 1 << 64)
        self.assertRaises(ValueError, Records().producer, self.seg, "none", 4096, producers=1 << 32)
        self.assertRaises(ValueError, Segment.unlink, "nul\0")
        if np:
            self.assertRaises(TypeError, Spsc, "O")
        spsc = Spsc(8)
        self.assertRaises(TypeError, spsc._open, ipc_ring.Server, self.seg, "ring", None, 0, None)
        self.assertRaises(FileExistsError, Segment.create, self.name, 4096)
        self.assertRaises(FileNotFoundError, Segment.open, self.name + "-missing", 0)
        self.assertRaises(ipc_ring.Timeout, Segment.open, self.name + "-missing", 0.01)
        self.assertRaises(FileNotFoundError, Segment.unlink, self.name + "-missing")
        self.assertRaises(ValueError, Segment.create, self.name, -1)
        self.assertEqual(out.closed, False)
        self.seg.close()
        self.assertEqual(out.closed, True)
        for call in (lambda: out.push(b"12345678"), lambda: Spsc(8).producer(self.seg, "ring"), self.seg.rings):
            self.assertRaises(ipc_ring.Closed, call)

    def test_segments_by_descriptor_and_read_only(self):
        import socket

        ours, theirs = socket.socketpair()
        with ours, theirs, Segment.create(None, 1 << 16) as made:
            self.assertRaises(ipc_ring.Timeout, Segment.receive, theirs, 0.01)
            made.send(ours)
            with Segment.receive(theirs, LONG) as got:
                out = Spsc(3).producer(made, "ring", 4)
                self.assertEqual(got.rings(), ["ring"])
                out.send(b"one")
                self.assertEqual(Spsc(3).consumer(got, "ring").recv(), b"one")
        news = Broadcast(4).producer(self.seg, "news", 4, lossy=True)
        with Segment.open(self.name, read_only=True) as seg:
            self.assertRaises(ipc_ring.NotPermitted, Broadcast(4).producer, seg, "news")
            inp = Broadcast(4).consumer(seg, "news")
            news.send(b"item")
            self.assertEqual(inp.recv(LONG), b"item")
        with Segment.open_or_create(self.name, 1) as again:
            self.assertFalse(again.created)


class Documentation(WithSegment):
    def test_the_version_is_that_of_the_headers(self):
        self.assertEqual(importlib.metadata.version("ipc_ring"), ipc_ring.__version__)

    def test_the_stubs_name_what_there_is(self):
        import ast

        with open(os.path.join(os.path.dirname(ipc_ring.__file__), "__init__.pyi")) as file:
            classes = {each.name: each for each in ast.parse(file.read()).body if isinstance(each, ast.ClassDef)}

        def names(of):
            bases = [base.value if isinstance(base, ast.Subscript) else base for base in of.bases]
            own = {each.name for each in of.body if isinstance(each, ast.FunctionDef)}
            return own.union(*(names(classes[base.id]) for base in bases if base.id in classes))

        for name, of in classes.items():
            if not name.startswith("_"):
                there = {each for each in dir(getattr(ipc_ring, name)) if not each.startswith("_")}
                self.assertEqual({each for each in names(of) if not each.startswith("_")}, there, name)

    @with_numpy
    def test_the_manual(self):
        manual = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bindings", "python", "README.md")
        failures, tries = doctest.testfile(manual, module_relative=False, globs={"name": self.name + "-manual"})
        self.assertGreater(tries, 40)
        self.assertEqual(failures, 0)

    @with_numpy
    def test_the_first_program(self):
        start = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "start.md")
        with open(start) as file:
            program = file.read().split("```python\n")[1].split("```")[0].replace('"feed"', "sys.argv[1]")
        out = Spsc(TICK).producer(self.seg, "ticks", 4096)
        child = self.python(program)
        ticks = np.zeros(1000000, TICK)
        ticks["ns"] = np.arange(1, 1000001)
        ticks["px"] = 101
        self.assertEqual(out.send_n(ticks, LONG), 1000000)
        self.assertEqual(child.communicate()[0], b"1000000 ticks, the last at 101.00\n")
        Segment.create(self.name, 1 << 20).close()  # the program has unlinked it

    def ends(self, of, name):
        """The two ends of a new ring, for the examples of a method."""
        if of in (ipc_ring.Client, ipc_ring.Server):
            ring = Call(2, 5)
            return {"server": ring.server(self.seg, name, 4), "client": ring.client(self.seg, name)}
        ring = Spsc(3)
        if of.__name__.startswith("Stream"):
            ring = Stream(1)
        if of.__name__.startswith("Record"):
            ring = Records()
        return {"out": ring.producer(self.seg, name, 4096), "inp": ring.consumer(self.seg, name)}

    @with_numpy
    def test_examples(self):
        finder = doctest.DocTestFinder(recurse=False)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        for of in [ipc_ring] + [each for each in vars(ipc_ring).values() if isinstance(each, type)]:
            for name, each in [(of.__name__, of)] + [m for m in vars(of).items() if of is not ipc_ring]:
                if isinstance(each, int) or ">>>" not in (getattr(each, "__doc__", None) or ""):
                    continue
                name = f"{of.__name__}.{name}"
                known = dict(vars(ipc_ring), seg=self.seg, name=self.name + "-doc")
                if isinstance(of, type) and of.__module__ == "ipc_ring" and of is not Segment and each is not of:
                    known.update(self.ends(of, name))
                [example] = finder.find(each, name, module=False, globs=known)
                runner.run(example)
                for left in "seg", "out", "inp", "server", "client", "worker", "request":
                    known.pop(left, None)
                if self.name + "-doc" in os.listdir("/dev/shm"):
                    Segment.unlink(self.name + "-doc")
        self.assertGreater(runner.tries, 30)
        self.assertEqual(runner.failures, 0)


if __name__ == "__main__":
    unittest.main()
