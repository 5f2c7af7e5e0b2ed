"""The plots of the page. Each function returns an SVG, or None if the run has too little for it."""
import matplotlib.ticker

from canvas import COLOUR, Plot
from rows import PERCENTILES, is_rate, percentile, unmixed
from systems import below, is_channel, label, role, scheme
from units import duration, rate, size, value


def family(at):
    """The family of one mechanism's rows. at: {size or number: row}"""
    return role(next(iter(at.values())))


def ours_last(lines):
    """The lines in the order in which they are drawn, so that ours are above the others."""
    return sorted(lines.items(), key=lambda x: family(x[1]) == "ours")


def by_size(run, name, test, families, limit=None):
    """Medians against size, a line for each system, the ring's with its spread."""
    lines = {k: unmixed(at) for k, at in run.series(test).items() if family(at) in families}
    rows = [r for at in lines.values() for r in at.values()]
    top = {r["bytes"]: r for r in run.rows(test, system=limit)} if limit else {}
    if len({r["bytes"] for r in rows}) < 2:
        return None
    plot = Plot(name, max(300, 60 + 14 * (len(lines) + bool(top))))
    ends = []
    everything = rows + list(top.values())
    plot.log("y", min(r["median"] for r in everything), max(r["median"] for r in everything),
             rate if is_rate(rows[0]) else duration)
    plot.sizes([r["bytes"] for r in rows])
    for k, at in ours_last(lines):
        xs, of = list(at), list(at.values())
        if k == "ring":
            plot.band(xs, of)
        plot.line(xs, [r["median"] for r in of], of, family(at), bold=k == "ring")
        ends.append((xs[-1], of[-1]["median"], k, family(at), k == "ring"))
    if top:
        xs = sorted(top)
        plot.line(xs, [top[b]["median"] for b in xs], [top[b] for b in xs], "limit", dashed=True, marker="")
        ends.append((xs[-1], top[xs[-1]]["median"], "plain copies", "limit", False))
    plot.labels(ends)
    return plot.svg(f"{test} against size")


def dots(name, rows, title, left=122):
    """A row's median and spread on a line of its own, the best first, on a logarithmic axis."""
    rows = sorted((r for r in rows if r["median"]), key=lambda r: -r["median"] if is_rate(r) else r["median"])
    if len(rows) < 2:
        return None
    plot = Plot(name, 46 + 16 * len(rows), left=left, right=52, bottom=30)
    plot.log("x", min(r["min"] or r["median"] for r in rows), max(r["max"] for r in rows),
             rate if is_rate(rows[0]) else duration)
    plot.ax.set_ylim(len(rows) - 0.4, -0.6)
    plot.ax.set_yticks(range(len(rows)), [label(r) for r in rows])
    plot.ax.grid(False, axis="y")
    for i, (r, text) in enumerate(zip(rows, plot.ax.get_yticklabels())):
        who = role(r)
        weight = "bold" if who == "ours" else "normal"
        text.set_color(COLOUR[who])
        text.set_fontweight(weight)
        plot.ax.plot([r["min"] or r["median"], r["max"]], [i, i], color=COLOUR[who], linewidth=4, alpha=0.3,
                     solid_capstyle="round")
        plot.line([r["median"]], [i], [r], who, bold=who == "ours")
        plot.ax.annotate(value(r), (1, i), xycoords=("axes fraction", "data"), xytext=(50, 0), ha="right",
                         textcoords="offset points", va="center", annotation_clip=False, fontweight=weight)
    return plot.svg(title)


def percentiles(name, rows):
    """Which part of the messages took how long, a line for each system."""
    points = [(r, [(i, percentile(r, p)) for i, p in enumerate(PERCENTILES) if percentile(r, p)]) for r in rows]
    points = [(r, p) for r, p in points if p]
    if not points:
        return None
    plot = Plot(name, max(280, 60 + 13 * len(points)))
    every = [y for _, p in points for _, y in p]
    plot.log("y", min(every), max(every), duration)
    plot.ax.set_xticks(range(len(PERCENTILES)), ["50 %", *PERCENTILES[1:]])
    plot.ax.tick_params("x", labelsize=9)
    ends = []
    for r, p in sorted(points, key=lambda x: role(x[0]) == "ours"):
        plot.line([x for x, _ in p], [y for _, y in p], [], role(r), bold=role(r) == "ours",
                  dashed=role(r) == "limit")
        ends.append((p[-1][0], p[-1][1], label(r), role(r), role(r) == "ours"))
    plot.labels(ends)
    return plot.svg("latency percentiles")


def shares(run, name, test):
    """Ours, ck_ring and the pipe, in parts of the machine's limit, against size."""
    of = run.series(test)
    wanted = [k for k, at in of.items() if family(at) == "ours" or k in ("ck_ring", "pipe")]
    lines = {k: {b: run.of_limit(r) for b, r in unmixed(of[k]).items() if run.of_limit(r)} for k in wanted}
    lines = {k: at for k, at in lines.items() if len(at) > 1}
    if not lines:
        return None
    every = [y for at in lines.values() for y in at.values()]
    plot = Plot(name, 260)
    plot.log("y", min(every + [0.9]), max(every + [1.1]), lambda x: f"{x:g} ×")
    plot.sizes([b for at in lines.values() for b in at])
    plot.limit_line()
    ends = [(max(b for at in lines.values() for b in at), 1, "the limit", "limit", False)]
    for k, at in lines.items():
        plot.line(list(at), list(at.values()), [of[k][b] for b in at], family(of[k]), bold=k == "ring")
        ends.append((list(at)[-1], list(at.values())[-1], k, family(of[k]), k == "ring"))
    plot.labels(ends)
    return plot.svg(f"{test} in parts of the limit")


def scaling(name, way, of):
    """Messages a second against the number of processes. of: {system: {number: row}}"""
    of = {k: dict(sorted(at.items())) for k, at in of.items() if len(at) > 1}
    plot = Plot(name, max(260, 60 + 13 * len(of)))
    ns = sorted({n for at in of.values() for n in at})
    plot.ax.set_xscale("log", base=2)
    plot.ax.set_xticks(ns, [way.replace("N", str(n)) for n in ns])
    plot.ax.minorticks_off()
    plot.ax.set_ylim(0, max(r["max"] for at in of.values() for r in at.values()) * 1.05)
    plot.ax.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    plot.ax.yaxis.set_major_formatter(lambda y, _: rate(y) if y else "0")
    ends = []
    for k, at in ours_last(of):
        rows, ours = list(at.values()), family(at) == "ours"
        if ours:
            plot.band(list(at), rows)
        plot.line(list(at), [r["median"] for r in rows], rows, family(at), bold=ours)
        ends.append((list(at)[-1], rows[-1]["median"], k, family(at), ours))
    plot.labels(ends)
    return plot.svg(f"{way}: messages a second")


def growth(name, of):
    """Medians against what grows, both logarithmic. of: {system: {number: row}}"""
    of = {k: dict(sorted(at.items())) for k, at in of.items()}
    rows = [r for at in of.values() for r in at.values()]
    ns = sorted({n for at in of.values() for n in at})
    plot = Plot(name, 280)
    low, high = min(r["median"] for r in rows), max(r["median"] for r in rows)
    plot.log("y", min(low, high / 20), max(high, low * 20), rate if is_rate(rows[0]) else duration)
    plot.ax.set_xscale("log", base=2)
    shown = ns if len(ns) <= 4 else ns[::2]
    plot.ax.set_xticks(shown, [size(n).removesuffix("\u00a0B").replace("iB", "i") for n in shown])
    plot.ax.minorticks_off()
    ends = []
    for k, at in of.items():
        plot.line(list(at), [r["median"] for r in at.values()], list(at.values()), "ours")
        ends.append((list(at)[-1], list(at.values())[-1]["median"], k, "ours", False))
    plot.labels(ends)
    return plot.svg("cost as work grows")


def layer(run, name):
    """Channels' rates in parts of the rate of the mechanism below, against size. The channel ring: stands for all
    that have a ring below."""
    lines = {}
    for r in run.rows("stream"):
        key = r["system"]
        if not is_channel(key) or below(key) == "raw_ring" and key != "chan_ring":
            continue
        under = run.one("stream", below(key), bytes=r["bytes"])
        if under and under["median"]:
            lines.setdefault(scheme(key), {})[r["bytes"]] = (r, r["median"] / under["median"])
    lines = {k: at for k, at in lines.items() if len(at) > 1}
    if not lines:
        return None
    every = [y for at in lines.values() for _, y in at.values()]
    plot = Plot(name, max(260, 60 + 13 * len(lines)))
    plot.log("y", min(every + [0.5]), max(every + [2]), lambda x: f"{x:g} ×")
    plot.sizes([b for at in lines.values() for b in at])
    plot.limit_line()
    ends = []
    for k, at in lines.items():
        at = dict(sorted(at.items()))
        bold = k == "ring:"
        colour = "ours" if bold else "kernel"
        plot.line(list(at), [y for _, y in at.values()], [r for r, _ in at.values()], colour, bold=bold)
        ends.append((list(at)[-1], list(at.values())[-1][1], k, colour, bold))
    plot.labels(ends)
    return plot.svg("channels against the mechanism below")
