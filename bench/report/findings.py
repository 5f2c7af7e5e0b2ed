"""What a run shows: which rows belong together, and the sentences that say it."""
import math
import re

from rows import STATES, WAITS, best, better, nearest, percentile, waiting
from systems import is_channel, label, role
from units import duration, listed, rate, ratio, size, times, value

EVEN = 1.03  # a smaller difference is not told


def by_bytes(run, test):
    """[(bytes, rows)]: the rows of a test that may be compared."""
    at = {}
    for of in run.series(test).values():
        for b, r in of.items():
            at.setdefault(b, []).append(r)
    return sorted(at.items())


def line_trips(run):
    """Round trips of a message that fills a cache line, each system in its size that is nearest to that."""
    trips = [r for of in run.series("pingpong").values() for r in nearest(list(of.values()), 60)]
    return [r for r in trips if 30 <= r["bytes"] <= 120 or len(trips) < 3] + \
        [r for r in run.rows("pingpong") if r["system"] in ("limit_one_line", "limit_two_lines")]


def tails(run):
    """[((test, bytes, rate, way of waiting), rows)]: rows with percentiles that may be compared."""
    groups = {}
    for r in run.rows("latency") + run.rows("burst"):
        if r.get("percentiles") and (r["system"] == "chan_ring" or not is_channel(r["system"])):
            groups.setdefault((r["test"], r["bytes"], r.get("rate") or 0, waiting(r)), []).append(r)
    return sorted(groups.items(), key=lambda x: (x[0][0] != "latency", WAITS.index(x[0][3]), *x[0][1:3]))


def ways(run):
    """{way: {system: {n: row}}}: producers and consumers of test "many", in the size that is nearest to a line."""
    found = {"N to N": {}, "N to 1": {}, "1 to N": {}}
    for r in nearest(run.rows("many"), 56):
        m = re.fullmatch(r"(\d+)_to_(\d+)", r["shape"])
        if m is None:
            continue
        p, c = int(m[1]), int(m[2])
        for way, n, fits in (("N to N", p, p == c), ("N to 1", p, c == 1), ("1 to N", c, p == 1)):
            if fits:
                found[way].setdefault(label(r), {})[n] = r
    return {way: of for way, of in found.items() if any(len(at) > 1 for at in of.values())}


def growing(run):
    """{(test, what grows): {system: {how many: row}}}, where there are two points at least."""
    found = {}
    for r in run.rows("growth") + run.rows("attach") + run.rows("wake"):
        m = re.fullmatch(r"([a-z]+)_(\d+)", r["shape"])
        if m:
            found.setdefault((r["test"], m[1]), {}).setdefault(label(r), {})[int(m[2])] = r
    return {key: of for key, of in found.items() if any(len(at) > 1 for at in of.values())}


def leaders(rows, n=3):
    """Ours, the limits, and the first n of the others: as many as one plot can tell apart."""
    found = []
    for k in ("limit", "ours", "peer", "kernel"):
        of = sorted((r for r in rows if role(r) == k), key=lambda r: r["median"])
        found += of if k in ("limit", "ours") else of[:n]
    return found


def ranking(run, test):
    """A sentence: in which sizes one of ours is first, and by how much it is not in the others."""
    won, even, lost = [], {}, []
    for b, rows in by_bytes(run, test):
        ours, other = best(r for r in rows if role(r) == "ours"), best(r for r in rows if role(r) != "ours")
        if ours is None or other is None:
            continue
        if better(ours, other) >= EVEN:
            won.append((b, better(ours, other)))
        elif better(other, ours) < EVEN:
            even.setdefault(label(other), []).append(b)
        else:
            lost.append((b, other, better(other, ours)))
    text = ""
    if won:
        low, high = min(x for _, x in won), max(x for _, x in won)
        text = f"One of ours is first at {listed([size(b) for b, _ in won])}, by " + (
            times(low) if ratio(low) == ratio(high) else f"{times(low)} to {times(high)}") + "."
    for name, at in even.items():
        text += f" At {listed([size(b) for b in at])} {name} and ours are even."
    for b, other, x in lost:
        text += f" At {size(b)} {label(other)} is first, by {times(x)}."
    return text


def rate_headline(run, tiles, words):
    of = run.series("stream")
    ring, pipe, sock = (next(iter(nearest(list(of.get(name, {}).values()), 60)), None)
                        for name in ("ring", "pipe", "Unix socket"))
    if ring is None:
        return
    tiles.append((value(ring), f"messages of {size(ring['bytes'])}, from one process to another"))
    against = [f"{ratio(better(ring, r))} times as fast as a {n}"
               for r, n in ((pipe, "pipe"), (sock, "Unix socket")) if r]
    if against:
        words.append(f"a ring moves messages of {size(ring['bytes'])} {listed(against)}")
    if pipe:
        tiles.append((times(better(ring, pipe)), f"the rate of a pipe, {value(pipe)}"))


def trip_headline(run, tiles, words):
    trip = next(iter(nearest(list(run.series("pingpong").get("ring", {}).values()), 60)), None)
    if trip is None:
        return
    words.append(f"a round trip through two rings takes {value(trip)}")
    tiles.append((value(trip), f"there and back, {size(trip['bytes'])}"))
    limit = run.of_limit(trip)
    if limit:
        tiles.append((f"{100 * limit:.0f}\u00a0%", "of what the machine can do, for a round trip"))


def tail_headline(run, tiles):
    tail = min((r for r in run.rows("latency", system="ipc_ring", wait="spin") if percentile(r, "99")),
               key=lambda r: (abs(r["bytes"] - 60), abs(math.log(r.get("rate", 1) / 1e5))), default=None)
    if tail:
        tiles.append((duration(tail["percentiles"]["99"]),
                      f"99 % of messages, sent at {rate(tail['rate'])}, arrive within"))


def headline(run):
    """The page in one sentence, and its figures: [(figure, what it is)]."""
    tiles, words = [], []
    rate_headline(run, tiles, words)
    trip_headline(run, tiles, words)
    tail_headline(run, tiles)
    where = next((STATES[r["state"]] for r in run.results), "")
    return ("On this machine" + (f", {where}, " if where else " ") + "; ".join(words) + ".") if words \
        else "What this run measured.", tiles
