"""What a ring moves a second between this process and one in C, and between two in Python: messages
one by one and in batches, of 56 bytes. python3 bench.py [SECONDS]; needs NumPy and gcc."""

import os
import subprocess
import sys
import tempfile
import time

import ipc_ring
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
MESSAGE = np.dtype([("n", "u8"), ("rest", "u8", 6)])
BATCH = 4096
PEER = r"""
#include "ipc_shm.h"
#include "ipc_ring.h"
#include "ipc_notify.h"
#include <err.h>
#include <stdlib.h>
struct message { uint64_t n, rest[6]; };
IPC_SPSC(ring, struct message)
int main(int argc, char **argv) /* SEGMENT send|recv COUNT */
{
    static struct message many[256];
    struct ipc_shm seg;
    struct ring_producer out;
    struct ring_consumer in;
    uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 0, n = 0;
    int64_t rc = ipc_shm_open(&seg, argv[1], ipc_in_ms(10000)), i;
    int sends = argv[2][0] == 's';
    if (rc == 0)
        rc = sends ? ring_producer_open(&out, &seg, "ring") : ring_consumer_open(&in, &seg, "ring");
    while (rc >= 0 && n < count) {
        if (sends) {
            for (i = 0; i < 256; i++)
                many[i].n = n + (uint64_t)i;
            if ((rc = ring_push_n(&out, many, count - n < 256 ? count - n : 256)) >= 0)
                (void)ring_producer_post(&out);
            else if (rc == -EAGAIN)
                rc = ring_producer_wait(&out, ipc_in_ms(10000));
        } else {
            rc = ring_pop_n(&in, many, 256);
            for (i = 0; i < rc; i++)
                if (many[i].n != n + (uint64_t)i)
                    errx(1, "%llu in place of %llu", (unsigned long long)many[i].n, (unsigned long long)n + i);
            if (rc == -EAGAIN)
                rc = ring_consumer_wait(&in, ipc_in_ms(10000));
        }
        n += rc > 0 ? (uint64_t)rc : 0;
    }
    if (rc < 0)
        errx(1, "%s", ipc_strerror((int)rc));
    return 0;
}
"""


def batches(count):
    """Arrays of messages that are numbered from 0."""
    batch = np.zeros(BATCH, MESSAGE)
    numbers = np.arange(BATCH, dtype="u8")
    for at in range(0, count, BATCH):
        np.add(numbers, at, out=batch["n"])
        yield batch[: count - at]


def send_one_by_one(out, count):
    send, message = out.send, bytearray(MESSAGE.itemsize)
    for n in range(count):
        message[:8] = n.to_bytes(8, sys.byteorder)
        send(message)


def send_batches(out, count):
    for batch in batches(count):
        out.send_n(batch)


def recv_one_by_one(inp, count):
    recv, order = inp.recv, sys.byteorder
    for n in range(count):
        if int.from_bytes(recv()[:8], order) != n:
            raise SystemExit(f"not message {n}")


def recv_batches(inp, count):
    into, n = np.empty(BATCH, MESSAGE), 0
    while n < count:
        got = inp.recv_into(into)
        if into["n"][0] != n or into["n"][got - 1] != n + got - 1:
            raise SystemExit(f"not messages from {n} on")
        n += got


def measure(what, move, count, peer):
    """Messages a second, while the peer, a command, has the other end; and nanoseconds of processor time
    of this process for each, which other work on the machine does not change."""
    name = f"ipc-bench-{os.getpid()}"
    with ipc_ring.Segment.create(name, 1 << 21, fresh=True) as seg:
        other = None
        try:
            plain = ipc_ring.Spsc(MESSAGE.itemsize)
            end = plain.producer if move in (send_one_by_one, send_batches) else plain.consumer
            end = end(seg, "ring", 16384)
            other = subprocess.Popen(peer(name, count))
            if move in (recv_one_by_one, recv_batches):
                end.peek(10)  # it has begun
            else:
                time.sleep(0.2)
            began, used = time.perf_counter(), time.process_time()
            move(end, count)
            used = time.process_time() - used
            if move in (send_one_by_one, send_batches):
                other.wait()
            took = time.perf_counter() - began
            if other.wait() != 0:
                raise SystemExit(f"{what}: the other process has failed")
        finally:
            if other is not None:
                other.kill()
            ipc_ring.Segment.unlink(name)
    return count / took, used / count * 1e9


def python_peer(name, move, count):
    """The other process, in Python."""
    with ipc_ring.Segment.open(name, 10) as seg:
        ring = ipc_ring.Spsc(MESSAGE.itemsize)
        if move.startswith("send"):
            with ring.producer(seg, "ring") as out:
                globals()[move](out, count)
        else:
            with ring.consumer(seg, "ring") as inp:
                globals()[move](inp, count)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        peer = os.path.join(folder, "peer")
        above = os.path.join(HERE, "..", "..")
        subprocess.run(["gcc", "-O2", "-I", above, "-x", "c", "-", "-o", peer, "-lpthread"],
                       input=PEER.encode(), check=True)  # fmt: skip

        def c(what):
            return lambda name, count: [peer, name, what, str(count)]

        def python(what):
            return lambda name, count: [sys.executable, __file__, "peer", name, what, str(count)]

        for what, move, other, rate in (
            ("Python sends one by one, C receives", send_one_by_one, c("recv"), 2e6),
            ("C sends, Python receives one by one", recv_one_by_one, c("send"), 2e6),
            ("Python sends batches, C receives", send_batches, c("recv"), 40e6),
            ("C sends, Python receives batches", recv_batches, c("send"), 40e6),
            ("Python to Python, one by one", recv_one_by_one, python("send_one_by_one"), 2e6),
            ("Python to Python, batches", recv_batches, python("send_batches"), 40e6),
        ):
            runs = [measure(what, move, int(rate * seconds), other) for _ in range(5)]
            rates, used = (sorted(run[i] for run in runs) for i in range(2))
            rates = [rate / 1e6 for rate in rates]
            print(f"{what:38} {rates[2]:7.2f} M/s ({rates[0]:.2f} to {rates[4]:.2f}), {used[2]:6.1f} ns", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "peer":
        python_peer(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
