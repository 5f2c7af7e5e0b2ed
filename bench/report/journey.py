"""Where a message can go, and what each way costs: one picture in characters, for the page and for the README."""
from rows import best, nearest
from units import duration, size

# The picture of each way, and what is measured of it: (test, systems of which the first is taken that a run has, shape).
# A way is half of a round trip. The first one is the ring; those with a blank in front go on from it.
WAYS = (
    ("copy ──▶ ring ── copy ──▶ receiver that polls", ("pingpong", ("ipc_ring",), None)),
    ("            ├─ wake ───▶ receiver asleep on the same core", ("wake", ("ipc_futex",), "one_core")),
    ("            └─ wake ───▶ receiver asleep on another core", ("wake", ("ipc_futex",), "two_cores")),
    ("write ─▶ kernel: pipe ── read ──▶ receiver that polls", ("pingpong", ("pipe", "raw_pipe"), None)),
    ("send ──▶ kernel: Unix socket ── recv ──▶ receiver that polls",
     ("pingpong", ("unix_stream", "raw_unix"), None)),
    ("send ──▶ network: TCP over loopback ── recv ──▶ receiver that polls", ("pingpong", ("tcp", "raw_tcp"), None)),
)
STEPS = (
    ("one cache line from core to core", ("pingpong", ("limit_one_line",), None), 2),
    ("a post while nobody sleeps", ("post_idle", ("ipc_notify",), None), 1),
)


def found(run, measured):
    """The row nearest to one cache line, or None."""
    test, systems, shape = measured
    for system in systems:
        rows = [r for r in run.rows(test, system=system) if shape in (None, r["shape"]) and r["median"]]
        if rows:
            return best(nearest(rows, 56))
    return None


def drawing(run):
    """The lines of the picture; none if the run has no ring, or nothing to hold it against."""
    ways = [(picture, r) for picture, r in ((picture, found(run, measured)) for picture, measured in WAYS) if r]
    forks = [i for i, (picture, _) in enumerate(ways) if picture[0] != " "]
    if len(ways) < 2 or ways[0][1]["system"] != "ipc_ring":
        return []
    lines = [f"a message of {size(ways[0][1]['bytes'])}"]
    for i, (picture, r) in enumerate(ways):
        begins = "sender ─┬─ " if i == 0 else "        └─ " if i == forks[-1] else "        ├─ " if i in forks else \
            "        │  " if i < forks[-1] else "           "
        lines.append((begins + picture).ljust(80) + duration(r["median"] / 2))
    steps = [(what, found(run, measured), parts) for what, measured, parts in STEPS]
    costs = [f"{what}: {duration(r['median'] / parts)}" for what, r, parts in steps if r]
    lines += ["", "; ".join(costs)] if costs else []
    return [line.replace("\u00a0", " ") for line in lines]
