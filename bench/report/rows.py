"""The rows of one run of ipc_bench, and how two of them compare. A row is a result of the JSON."""
import json
import math

from systems import is_in_series, label, role, sleeps

USUAL = {"producers": 1, "consumers": 1, "threads": False, "wait": "spin"}  # `keep` leaves these out
WAITS = ("spin", "adaptive", "sleep")
PERCENTILES = ("50", "90", "99", "99.9", "99.99", "max")


def unit(r):
    return {"stream": "msg/s", "many": "msg/s", "idle": "%"}.get(r["test"], "ns")


def waiting(r):
    return "adaptive" if sleeps(r["system"]) else r["wait"]


def is_rate(r):
    return r["unit"] == "msg/s"


def percentile(r, p):
    """The row's percentile, or None."""
    return (r.get("percentiles") or {}).get(p)


def better(a, b):
    """How many times better a is than b, or None."""
    if not a["median"] or not b["median"]:
        return None
    return a["median"] / b["median"] if is_rate(a) else b["median"] / a["median"]


def best(rows):
    return max(rows, key=lambda r: r["median"] if is_rate(r) else -r["median"], default=None)


def nearest(rows, size):
    """The rows of the one size that is nearest to this one."""
    sizes = {r["bytes"] for r in rows}
    chosen = min(sizes, key=lambda b: abs(math.log((b + 1) / (size + 1))), default=None)
    return [r for r in rows if r["bytes"] == chosen]


def unmixed(at):
    """at: {bytes: row} of one mechanism. The rows of the one shape that reaches the largest size, as a line in a
    plot must not change from shape to shape."""
    return {b: r for b, r in at.items() if r["shape"] == at[max(at)]["shape"]}


class Run:
    """One run: of one JSON, or of all parts of one that is kept. What a JSON leaves out is filled in."""

    def __init__(self, *files):
        self.machine, self.results = {}, []
        for file in files:
            with open(file, encoding="utf-8") as f:
                data = json.load(f)
            self.machine = data.get("machine", {})
            self.results += data["results"]
        for r in self.results:
            for k, v in {**USUAL, "shape": "", "bytes": 0, "unit": unit(r)}.items():
                r.setdefault(k, v)
            r.setdefault("runs", len(r.get("values", ())))
            r.setdefault("min", min(r.get("values", [r["median"]])))
            r.setdefault("max", max(r.get("values", [r["median"]])))

    def rows(self, test, **fields):
        """The rows of a test whose fields have these values, in the JSON's order."""
        return [r for r in self.results
                if r["test"] == test and all(r.get(k) == v for k, v in fields.items())]

    def one(self, test, system, **fields):
        return best(self.rows(test, system=system, **fields))

    def series(self, test):
        """{name: {bytes: row}}, of a test between two processes. Where several forms of a system have one name,
        a form that polls comes before one that polls for a while, and this one before one that sleeps; of two
        that wait alike the better one is taken."""
        of = {}
        for r in self.rows(test):
            if not r["median"] or not is_in_series(r):
                continue
            at = of.setdefault(label(r), {})
            old = at.get(r["bytes"])
            if old is None or WAITS.index(waiting(r)) < WAITS.index(waiting(old)) or (
                    waiting(r) == waiting(old) and better(r, old) > 1):
                at[r["bytes"]] = r
        return {name: dict(sorted(at.items())) for name, at in of.items()}

    def of_limit(self, r):
        """A rate's part of the machine's limit, or how many times the limit a round trip takes; or None."""
        if role(r) == "limit":
            return None
        copy = self.one(r["test"], "limit_copy", bytes=r["bytes"])
        lines = self.one(r["test"], "limit_stream_lines")
        trip = self.one(r["test"], "limit_two_lines")
        if copy:
            return r["median"] / copy["median"]
        if r["test"] == "stream" and lines and r["shape"] != "broadcast":
            return r["median"] * (r["bytes"] + 8) / 64 / lines["median"]
        if r["test"] == "pingpong" and trip:
            return r["median"] / trip["median"]
        return None
