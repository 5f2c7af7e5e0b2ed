"""The rows of one run of ipc_bench, and how two of them compare. A row is a result of the JSON."""
import json
import math
import statistics

from systems import is_in_series, label, role, sleeps

USUAL = {"producers": 1, "consumers": 1, "threads": False, "wait": "spin"}  # `keep` leaves these out
WAITS = ("spin", "adaptive", "sleep")
PERCENTILES = ("50", "90", "99", "99.9", "99.99", "max")


def unit(r):
    return {"stream": "msg/s", "many": "msg/s", "growth": "msg/s", "idle": "%"}.get(r["test"], "ns")


def waiting(r):
    return "adaptive" if sleeps(r["system"]) else r["wait"]


def is_rate(r):
    return r["unit"] == "msg/s"


def percentile(r, p):
    """The row's percentile, or None."""
    return (r.get("percentiles") or {}).get(p)


def ratios(a, b):
    """How many times better a is than b, for each round that has both; of the medians if none is known to."""
    there = dict(zip(b.get("rounds", ()), b.get("values", ())))
    pairs = [(x, there[i]) for i, x in zip(a.get("rounds", ()), a.get("values", ())) if i in there]
    pairs = pairs or [(a["median"], b["median"])]
    return [x / y if is_rate(a) else y / x for x, y in pairs if x and y]


def better(a, b):
    """How many times better a is than b: the median of the rounds, or None."""
    found = ratios(a, b)
    return statistics.median(found) if found else None


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


def fits_shape(limit, r):
    """May the limit's shape be held against the row's? See results.c."""
    if r["test"] not in ("wake", "many", "latency", "burst") or limit["shape"] == r["shape"]:
        return True
    return r["shape"] == limit["shape"] + "_1_held" or (r["shape"], limit["shape"]) == ("channel", "two_cores")


STATES = {"near": "cores near each other", "far": "cores far from each other", "": ""}


class Run:
    """One run: of one JSON, or of all parts of one that is kept. What a JSON leaves out is filled in."""

    def __init__(self, *files):
        self.machine, self.results = {}, []
        self.read(files)

    def states(self):
        """The states of the cores that were seen, the one with most runs first. A glimpse of another state, with
        three runs in less than half of the rows, is not one."""
        cases = {(r["system"], r["test"], r["shape"], r["bytes"]) for r in self.results}
        runs = {s: [r["runs"] for r in self.results if r["state"] == s] for s in STATES}
        seen = sorted((s for s in STATES if runs[s]), key=lambda s: -sum(runs[s]))
        return seen[:1] + [s for s in seen[1:] if 2 * sum(n >= 3 for n in runs[s]) >= len(cases)]

    def of(self, state):
        """The same run with the rows of one state only."""
        part = Run()
        part.machine, part.results = self.machine, [r for r in self.results if r["state"] == state]
        return part

    def read(self, files):
        for file in files:
            with open(file, encoding="utf-8") as f:
                data = json.load(f)
            self.machine = data.get("machine", {})
            self.results += data["results"]
        for r in self.results:
            for k, v in {**USUAL, "shape": "", "bytes": 0, "state": "", "unit": unit(r)}.items():
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

    def limits(self, r):
        """The limits of a row, each with what it is multiplied with: those of its size, a wake's of any; and of a
        stream, the lines that the message and 8 bytes fill."""
        lines = self.rows(r["test"], system="limit_stream_lines", state=r["state"])
        rows = [x for x in self.rows(r["test"], state=r["state"]) if fits_shape(x, r) and x not in lines and (
            x["system"] == "raw_futex" if r["test"] == "wake" else role(x) == "limit" and x["bytes"] == r["bytes"])]
        return [(x, 1) for x in rows] + [(x, 64 / (r["bytes"] + 8)) for x in lines]

    def of_limit(self, r):
        """How much of the machine's limit a row reaches: at the limit it is 1. Or None."""
        if role(r) == "limit" or r["shape"] == "broadcast":
            return None
        best_of = max if is_rate(r) else min
        limits = [(dict(zip(x.get("rounds", [0]), x["values"] if x.get("rounds") else [x["median"]])), scale)
                  for x, scale in self.limits(r)]
        found = []
        for i, x in zip(r.get("rounds", [0]), r["values"] if r.get("rounds") else [r["median"]]):
            there = [of[i] * scale for of, scale in limits if of.get(i)]
            if there and x:
                found.append(x / best_of(there) if is_rate(r) else best_of(there) / x)
        return statistics.median(found) if found else None
