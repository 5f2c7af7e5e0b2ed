#!/usr/bin/env python3
"""Makes of ipc_bench's JSON what people read. Called by make:

    report.py page BENCH.json PAGE.html       one page with everything in it (make report)
    report.py keep BENCH.json FOLDER          a dated copy, shortened, to keep (make results)
    report.py readme FOLDER README.md         the newest of those as plots and table (make readme)

Fields that a JSON does not have are left out: a page can be made of any run, also of --only a part.
"""
import html
import io
import json
import math
import pathlib
import re
import sys

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen before)

# ------------------------------------------------------------------ rows and their names

NAMES = {
    "ipc_ring": "ring", "ipc_copy": "ring", "ipc_in_place": "ring, in place", "ck_copy": "ck_ring",
    "ck_in_place": "ck_ring, in place", "iceoryx_in_place": "iceoryx, in place", "ipc_mpmc": "ring, many",
    "ipc_records": "records", "ipc_call": "call", "ipc_stream": "stream",
    "ipc_lossy": "lossy broadcast", "ipc_lossless": "lossless broadcast", "ipc_mpsc": "ring, one consumer", "ipc_spmc": "ring, one producer",
    "ipc_records_lossy": "lossy records", "ipc_records_lossless": "lossless records",
    "chan_ring": "channel ring:", "chan_auto": "channel auto:", "pipe": "pipe", "raw_pipe": "pipe",
    "unix_stream": "Unix socket", "raw_unix": "Unix socket", "raw_unix_stream": "Unix socket",
    "raw_fifo": "FIFO", "raw_file": "file", "raw_udp": "UDP, loopback", "raw_unix_seq": "Unix seqpacket", "raw_unix_dgram": "Unix datagrams", "raw_tcp": "TCP, loopback",
    "raw_mq": "POSIX queue", "raw_posix_mq": "POSIX queue", "raw_sysv": "System V queue",
    "raw_sysv_mq": "System V queue", "raw_posix_sem": "POSIX semaphore", "raw_sysv_sem": "System V semaphore",
    "raw_futex": "futex by hand", "raw_eventfd": "eventfd", "raw_signal": "signal", "ipc_futex": "ipc_wait, futex",
    "ipc_semaphore": "ipc_wait, semaphore", "ipc_eventfd": "ipc_wait, eventfd",
    "ipc_futex_deadline": "ipc_wait, a deadline", "ipc_eventfd_loop": "event loop, eventfd",
    "ipc_signal_loop": "event loop, signal", "raw_futex_deadline": "futex, a deadline", "raw_eventfd_poll": "poll of an eventfd",
    "boost_message_queue": "Boost messages", "jack_records": "JACK with lengths",
    "jack_ring": "JACK ring buffer", "zeromq": "ZeroMQ",
    "limit_stream_lines": "limit: lines streamed", "limit_copy": "limit: plain copies",
    "limit_one_line": "limit: one line", "limit_two_lines": "limit: two lines",
    "limit_rotating_lines": "limit: another line each time", "limit_store": "limit: a store",
    "limit_store_fence": "limit: a store and a fence",
}
USUAL = {"producers": 1, "consumers": 1, "threads": False, "wait": "spin"}  # left out of what is kept
WAITS = ("spin", "adaptive", "sleep")
PERCENTILES = ("50", "90", "99", "99.9", "99.99", "max")


def label(r):
    name = NAMES.get(r["system"], r["system"])
    return name + (" †" if r.get("threads") else "")


def unit(r):
    return {"stream": "msg/s", "many": "msg/s", "idle": "%"}.get(r["test"], "ns")


def role(r):
    s = r["system"]
    return r.get("role") or ("limit" if s.startswith("limit_") else
                             "ours" if s.startswith(("ipc_", "chan_")) or s == "raw_ring" else
                             "kernel" if s.startswith("raw_") or s in ("pipe", "unix_stream") else "peer")


def waiting(r):
    return "adaptive" if r["system"].endswith("_sleep") else r["wait"]


def is_rate(r):
    return r["unit"] == "msg/s"


def better(a, b):
    """How many times better a is than b."""
    if not a["median"] or not b["median"]:
        return None
    return a["median"] / b["median"] if is_rate(a) else b["median"] / a["median"]


def best(rows):
    return max(rows, key=lambda r: r["median"] if is_rate(r) else -r["median"], default=None)


class Run:
    """One run, of one JSON or of the parts of one that is kept. rows(test, system="x", ...) are those whose fields are so, in the JSON's order."""

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
        return [r for r in self.results
                if r["test"] == test and all(r.get(k) == v for k, v in fields.items())]

    def one(self, test, system, **fields):
        return best(self.rows(test, system=system, **fields))

    def series(self, test):
        """Of a test between two processes: name -> {bytes: row}. What waits by sleeping stands for a
        system only where it cannot do otherwise; of several forms of one mechanism the best."""
        of = {}
        for r in self.rows(test):
            if (role(r) == "limit" or r["shape"] in ("broadcast", "blocks") or r["system"].endswith("_sleep")
                    or r["system"].startswith(("ipc_lossy", "ipc_lossless", "ipc_records_loss"))
                    or r["system"] in ("raw_ring", "ipc_slots") or not r["median"]
                    or r["system"].startswith("chan_") and r["system"] != "chan_ring"):
                continue
            at = of.setdefault(label(r), {})
            old = at.get(r["bytes"])
            if old is None or WAITS.index(waiting(r)) < WAITS.index(waiting(old)) or (
                    waiting(r) == waiting(old) and better(r, old) > 1):
                at[r["bytes"]] = r
        return {name: dict(sorted(at.items())) for name, at in of.items()}

    def nearest(self, rows, size):
        """Those of the rows whose size is nearest to this one."""
        sizes = {r["bytes"] for r in rows}
        chosen = min(sizes, key=lambda b: abs(math.log((b + 1) / (size + 1))), default=None)
        return [r for r in rows if r["bytes"] == chosen]

    def of_limit(self, r):
        """What part of the machine's limit a rate is, or how many times it a round trip takes."""
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


# ------------------------------------------------------------------ numbers as people write them

def digits(x):
    return f"{x:.0f}" if x >= 99.95 else f"{x:.1f}" if x >= 9.995 else f"{x:.2f}" if x >= 0.0995 else f"{x:.2g}"


def scaled(x, steps):
    for step, name in steps:
        if x >= step * 0.9995:
            return digits(x / step).removesuffix(".0").removesuffix(".00") + name
    return f"{x:.2g}{steps[-1][1]}" if x else f"0{steps[-1][1]}"


def ratio(x):
    return f"{x:.0f}" if x >= 9.95 else f"{x:.1f}" if x >= 0.995 else f"{x:.2f}"


def rate(x, unit="/s"):
    return scaled(x, ((1e9, "\u00a0G" + unit), (1e6, "\u00a0M" + unit), (1e3, "\u00a0k" + unit), (1, "\u00a0" + unit)))


def duration(ns):
    return scaled(ns, ((1e9, "\u00a0s"), (1e6, "\u00a0ms"), (1e3, "\u00a0µs"), (1, "\u00a0ns")))


def size(b):
    for step, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if b >= step and b % step == 0:
            return f"{b // step}\u00a0{name}"
    return f"{b}\u00a0B"


def value(r, x=None):
    x = r["median"] if x is None else x
    return {"msg/s": rate, "ns": duration}.get(r["unit"], lambda x: f"{x:.3g} {r['unit']}")(x)


def times(x):
    return "–" if x is None else ratio(x) + "\u00a0×"


def listed(words):
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


# ------------------------------------------------------------------ plots
# Colours are names while a plot is made: the page's style sheet says what they are, light and dark.

COLOUR = {"ink": "#010101", "soft": "#020202", "grid": "#030303", "ours": "#040404", "peer": "#050505",
          "kernel": "#060606", "limit": "#070707", "paper": "#080808"}
WIDTH, FONT = 360, 10  # as wide as a phone: a plot is never made smaller than it is read

plt.rcParams.update({
    "svg.fonttype": "none", "font.size": FONT, "figure.dpi": 72, "axes.edgecolor": COLOUR["grid"],
    "axes.labelcolor": COLOUR["soft"], "text.color": COLOUR["ink"], "xtick.color": COLOUR["soft"],
    "ytick.color": COLOUR["soft"], "axes.grid": True, "grid.color": COLOUR["grid"], "grid.linewidth": 0.6,
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "xtick.minor.size": 0, "ytick.minor.size": 0, "ytick.major.size": 0, "xtick.major.size": 3,
    "figure.facecolor": "none", "axes.facecolor": "none", "axes.axisbelow": True,
})


class Plot:
    def __init__(self, name, height, left=50, right=112, top=10, bottom=34):
        self.name, self.height, self.tips = name, height, []
        plt.rcParams["svg.hashsalt"] = name  # so that names inside one plot are not those of another
        self.figure = plt.figure(figsize=(WIDTH / 72, height / 72))
        self.ax = self.figure.add_axes([left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH,
                                        (height - top - bottom) / height])

    def line(self, xs, ys, rows, colour, bold=False, dashed=False, marker="o"):
        """A line through points, each of which tells its row to a mouse over it."""
        self.tips.append(rows)
        self.ax.plot(xs, ys, color=COLOUR[colour], linewidth=2.2 if bold else 1.2, marker=marker,
                     markersize=4.5 if bold else 3, linestyle="--" if dashed else "-", clip_on=False,
                     markeredgewidth=0, zorder=3 if bold else 2, gid=f"tips{len(self.tips) - 1}")

    def sizes(self, values):
        self.ax.set_xscale("log", base=2)
        low, high = min(values), max(values)
        ticks = [t for t in (8, 64, 1 << 10, 1 << 16, 1 << 20) if low * 0.9 <= t <= high * 1.2]
        self.ax.set_xticks(ticks, [size(t) for t in ticks])
        self.ax.minorticks_off()

    def log(self, axis, low, high, text):
        """A logarithmic axis over whole decades, or over what is needed of few."""
        low, high = low / 1.15, high * 1.15
        if high / low > 30:
            ticks = [10.0 ** k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
        else:
            ticks = [m * 10.0 ** k for k in range(-3, 12) for m in (1, 2, 5) if low <= m * 10.0 ** k <= high]
        if len(ticks) > 5 and axis == "x":
            ticks = ticks[::2]
        getattr(self.ax, f"set_{axis}scale")("log")
        getattr(self.ax, f"set_{axis}lim")(low, high)
        getattr(self.ax, f"set_{axis}ticks")(ticks, [text(t) for t in ticks])
        self.ax.minorticks_off()

    def labels(self, ends, gap=11.5):
        """Names of lines at their right, moved apart where they would touch. ends: (x, y, name,
        colour, bold)"""
        ax, units = self.ax, self.figure.dpi / 72
        placed = sorted([ax.transData.transform((x, y))[1] / units, x, y, name, colour, bold]
                        for x, y, name, colour, bold in ends)
        low = ax.bbox.y0 / units
        for i, p in enumerate(placed):
            p.append(max(p[0], placed[i - 1][-1] + gap if i else low))
        top = self.height - 6
        for p in reversed(placed):
            p[-1] = min(p[-1], top)
            top = p[-1] - gap
        edge = ax.bbox.x1 / units + 12
        for at, x, y, name, colour, bold, to in placed:
            ax.annotate("", xy=(x, y), xytext=(edge - 1, to), textcoords="figure pixels", annotation_clip=False,
                        arrowprops={"arrowstyle": "-", "color": COLOUR[colour], "linewidth": 0.6, "alpha": 0.45,
                                    "shrinkA": 0, "shrinkB": 4})
            self.figure.text((edge + 2) / WIDTH, to / self.height, name, va="center", fontsize=FONT,
                             color=COLOUR[colour], fontweight="bold" if bold else "normal")

    def svg(self, title):
        """The picture, for a page that says what the colours are."""
        out = io.StringIO()
        self.figure.savefig(out, format="svg", metadata={"Date": None})
        plt.close(self.figure)
        text = out.getvalue()[out.getvalue().index("<svg"):]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
        for i, rows in enumerate(self.tips):
            head, tail = text.split(f'<g id="tips{i}">', 1)
            for r in rows:
                tail = re.sub(r"<use ([^>]*[^>/])/>", lambda m: f"<use {m[1]}><title>{tip(r)}</title></use>",
                              tail, count=1)
            text = head + "<g>" + tail
        for name, colour in COLOUR.items():
            text = text.replace(colour, f"var(--{name})")
        text = re.sub(r"(font: (?:\w+ )?[\d.]+px) [^;\"]*", r"\1 var(--font)", text)
        text = re.sub(r' id="(?:figure|axes|patch|line2d|matplotlib\.axis|xtick|ytick|text|PathCollection|'
                      r'PolyCollection|FillBetweenPolyCollection|LineCollection)_\d+"', "", text)
        text = re.sub(r"(\.\d\d)\d+(?=[^<>]*>)", r"\1", text)  # of what is drawn, not of what is written
        text = text.replace("xlink:href", "href")
        return re.sub(r"<svg[^>]*>", f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" '
                      f'aria-label="{html.escape(title)}">', text, count=1)


def alone(picture):
    """The same as a file: with a name space, and with colours and a size of its own."""
    return picture.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * 1.5:.0f}" ', 1) \
        .replace(">", f"><style>{COLOURS}</style>", 1)


def tip(r):
    spread = f" ({value(r, r['min'])} to {value(r, r['max'])})" if r["max"] > r["min"] else ""
    return html.escape(f"{label(r)}, {size(r['bytes'])}: {value(r)}{spread}")


def unmixed(at):
    """Of the shapes in which one mechanism was measured the one that reaches furthest, for a line."""
    return {b: r for b, r in at.items() if r["shape"] == at[max(at)]["shape"]}


def by_size(run, name, test, keep, limit=None):
    """Medians against size, one line a system, ours with its spread; None without two sizes."""
    lines = {k: at for k, at in run.series(test).items() if role(next(iter(at.values()))) in keep}
    lines = {k: unmixed(at) for k, at in lines.items()}
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
    for k, at in sorted(lines.items(), key=lambda x: role(next(iter(x[1].values()))) == "ours"):
        xs, of = list(at), list(at.values())
        who = role(of[0])
        if k == "ring":
            plot.ax.fill_between(xs, [r["min"] for r in of], [r["max"] for r in of], linewidth=0,
                                 color=COLOUR["ours"], alpha=0.13)
        plot.line(xs, [r["median"] for r in of], of, who, bold=k == "ring")
        ends.append((xs[-1], of[-1]["median"], k, who, k == "ring"))
    if top:
        xs = sorted(top)
        plot.line(xs, [top[b]["median"] for b in xs], [top[b] for b in xs], "limit", dashed=True, marker="")
        ends.append((xs[-1], top[xs[-1]]["median"], "plain copies", "limit", False))
    plot.labels(ends)
    return plot.svg(f"{test} against size")


def dots(name, rows, title, names=label, left=122):
    """One row a system: its median and its spread, best first, on a logarithmic axis."""
    rows = sorted((r for r in rows if r["median"]), key=lambda r: -r["median"] if is_rate(r) else r["median"])
    if len(rows) < 2:
        return None
    plot = Plot(name, 46 + 16 * len(rows), left=left, right=52, bottom=30)
    plot.log("x", min(r["min"] or r["median"] for r in rows), max(r["max"] for r in rows),
             rate if is_rate(rows[0]) else duration)
    plot.ax.set_ylim(len(rows) - 0.4, -0.6)
    plot.ax.set_yticks(range(len(rows)), [names(r) for r in rows])
    plot.ax.grid(False, axis="y")
    for i, (r, text) in enumerate(zip(rows, plot.ax.get_yticklabels())):
        who = role(r)
        text.set_color(COLOUR[who])
        text.set_fontweight("bold" if who == "ours" else "normal")
        plot.ax.plot([r["min"] or r["median"], r["max"]], [i, i], color=COLOUR[who], linewidth=4, alpha=0.3,
                     solid_capstyle="round")
        plot.line([r["median"]], [i], [r], who, bold=who == "ours")
        plot.ax.annotate(value(r), (1, i), xycoords=("axes fraction", "data"), xytext=(50, 0), ha="right",
                         textcoords="offset points", va="center", annotation_clip=False,
                         fontweight="bold" if who == "ours" else "normal")
    return plot.svg(title)


def percentiles(name, rows):
    """What part of messages took how long, a line a system."""
    rows = [r for r in rows if r.get("percentiles")]
    points = [(r, [(i, r["percentiles"][p]) for i, p in enumerate(PERCENTILES) if r["percentiles"].get(p)])
              for r in rows]
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
    """Ours, the best peer and the pipe against the machine's limit."""
    of = run.series(test)
    wanted = [k for k, at in of.items() if role(next(iter(at.values()))) == "ours" or k in ("ck_ring", "pipe")]
    lines = {k: {b: run.of_limit(r) for b, r in unmixed(of[k]).items() if run.of_limit(r)} for k in wanted}
    lines = {k: at for k, at in lines.items() if len(at) > 1}
    if not lines:
        return None
    every = [y for at in lines.values() for y in at.values()]
    plot = Plot(name, 260)
    plot.log("y", min(every + [0.9]), max(every + [1.1]), lambda x: f"{x:g} ×")
    plot.sizes([b for at in lines.values() for b in at])
    plot.ax.axhline(1, color=COLOUR["limit"], linestyle="--", linewidth=1)
    ends = [(max(b for at in lines.values() for b in at), 1, "the limit", "limit", False)]
    for k, at in lines.items():
        first = next(iter(of[k].values()))
        plot.line(list(at), list(at.values()), [of[k][b] for b in at], role(first), bold=k == "ring")
        ends.append((list(at)[-1], list(at.values())[-1], k, role(first), k == "ring"))
    plot.labels(ends)
    return plot.svg(f"{test} in parts of the limit")


def ways(run):
    """Producers and consumers of test "many": {way: {system: {n: row}}}, in the size nearest a line."""
    found = {"N to N": {}, "N to 1": {}, "1 to N": {}}
    for r in run.nearest(run.rows("many"), 56):
        m = re.fullmatch(r"(\d+)_to_(\d+)", r["shape"])
        if m is None:
            continue
        p, c = int(m[1]), int(m[2])
        for way, n, fits in (("N to N", p, p == c), ("N to 1", p, c == 1), ("1 to N", c, p == 1)):
            if fits:
                found[way].setdefault(label(r), {})[n] = r
    return {way: of for way, of in found.items() if sum(len(at) > 1 for at in of.values()) > 0}


def scaling(name, way, of):
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
    for k, at in sorted(of.items(), key=lambda x: role(next(iter(x[1].values()))) == "ours"):
        rows, ours = list(at.values()), role(next(iter(at.values()))) == "ours"
        if ours:
            plot.ax.fill_between(list(at), [r["min"] for r in rows], [r["max"] for r in rows], linewidth=0,
                                 color=COLOUR["ours"], alpha=0.13)
        plot.line(list(at), [r["median"] for r in rows], rows, role(rows[0]), bold=ours)
        ends.append((list(at)[-1], rows[-1]["median"], k, role(rows[0]), ours))
    plot.labels(ends)
    return plot.svg(f"{way}: messages a second")


def layer(run, name):
    """What a channel costs over the mechanism below, as a part of that one's rate, by size."""
    above = [r for r in run.rows("stream") if r["system"].startswith("chan_")]
    lines = {}
    for r in above:
        below = run.one("stream", r["system"].replace("chan_", "raw_"), bytes=r["bytes"])
        if below and below["median"]:
            lines.setdefault(r["system"][5:].replace("_", "-") + ":", {})[r["bytes"]] = (r, r["median"] / below["median"])
    lines = {k: at for k, at in lines.items() if len(at) > 1}
    if not lines:
        return None
    every = [y for at in lines.values() for _, y in at.values()]
    plot = Plot(name, max(260, 60 + 13 * len(lines)))
    plot.log("y", min(every + [0.5]), max(every + [2]), lambda x: f"{x:g} ×")
    plot.sizes([b for at in lines.values() for b in at])
    plot.ax.axhline(1, color=COLOUR["limit"], linestyle="--", linewidth=1)
    ends = []
    for k, at in lines.items():
        at = dict(sorted(at.items()))
        bold = k == "ring:"
        plot.line(list(at), [y for _, y in at.values()], [r for r, _ in at.values()], "ours" if bold else "kernel",
                  bold=bold)
        ends.append((list(at)[-1], list(at.values())[-1][1], k, "ours" if bold else "kernel", bold))
    plot.labels(ends)
    return plot.svg("channels against the mechanism below")


# ------------------------------------------------------------------ sentences

def everyone(run, test):
    """The rows that may be compared, by their size."""
    at = {}
    for of in run.series(test).values():
        for b, r in of.items():
            at.setdefault(b, []).append(r)
    return sorted(at.items())


def near(run):
    """Round trips of a message that fills a cache line, in each system's size that is nearest to that."""
    trips = [r for of in run.series("pingpong").values() for r in run.nearest(list(of.values()), 60)]
    return [r for r in trips if 30 <= r["bytes"] <= 120 or len(trips) < 3] + \
        [r for r in run.rows("pingpong") if r["system"] in ("limit_one_line", "limit_two_lines")]


def tails(run):
    """Rows with percentiles, by what must be alike to be compared: test, size, rate, way of waiting."""
    groups = {}
    for r in run.rows("latency") + run.rows("burst"):
        if r.get("percentiles") and (r["system"] == "chan_ring" or not r["system"].startswith("chan_")):
            groups.setdefault((r["test"], r["bytes"], r.get("rate") or 0, waiting(r)), []).append(r)
    return sorted(groups.items(), key=lambda x: (x[0][0] != "latency", WAITS.index(x[0][3]), *x[0][1:3]))


EVEN = 1.03  # what is told apart by less is not told apart


def ranking(run, test):
    """In which sizes one of ours is first, and by how much it is not in the others, as a sentence."""
    won, even, lost = [], {}, []
    for b, rows in everyone(run, test):
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


def leaders(rows, n=3):
    """Ours, the limits, and the first few of the others: as many as can be told apart in one plot."""
    return [r for k in ("limit", "ours", "peer", "kernel")
            for r in sorted((r for r in rows if role(r) == k), key=lambda r: r["median"])[:None if k in ("limit", "ours") else n]]


def headline(run):
    """The page in one sentence, and its figures: [(figure, what it is)]."""
    rows, trips, tiles, words = run.series("stream"), run.series("pingpong"), [], []

    def at(of, name):
        return (run.nearest(list(of.get(name, {}).values()), 60) or [None])[0]

    ring, pipe, sock, trip = at(rows, "ring"), at(rows, "pipe"), at(rows, "Unix socket"), at(trips, "ring")
    if ring:
        tiles.append((value(ring), f"messages of {size(ring['bytes'])}, from one process to another"))
        against = [f"{ratio(better(ring, r))} times as fast as a {n}" for r, n in ((pipe, "pipe"), (sock, "Unix socket"))
                   if r]
        if against:
            words.append(f"a ring moves messages of {size(ring['bytes'])} {listed(against)}")
        if pipe:
            tiles.append((times(better(ring, pipe)), f"the rate of a pipe, {value(pipe)}"))
    if trip:
        words.append(f"a round trip through two rings takes {value(trip)}")
        tiles.append((value(trip), f"there and back, {size(trip['bytes'])}"))
        limit = run.of_limit(trip)
        if limit:
            tiles.append((times(limit), "the round trip of two bare cache lines"))
    tail = min((r for r in run.rows("latency", system="ipc_ring", wait="spin") if (r.get("percentiles") or {}).get("99")),
               key=lambda r: (abs(r["bytes"] - 60), abs(math.log(r.get("rate", 1) / 1e5))), default=None)
    if tail:
        tiles.append((duration(tail["percentiles"]["99"]), f"99 % of messages, sent at {rate(tail['rate'])}, arrive within"))
    sentence = "; ".join(words)
    return ("On this machine " + sentence + ".") if words else "What this run measured.", tiles


# What to choose: need, what to take, and which row of the run shows what it gives here.
CHOICES = (
    ("Messages of one size, one process to another", "<code>IPC_SPSC</code>", "stream", "ipc_ring", 60),
    ("The same, several at an end, any of which may be killed", "<code>IPC_MPMC</code>, <code>IPC_MPSC</code>, <code>IPC_SPMC</code>", "many", "ipc_ring", 60),
    ("Messages of any length, from one or many", "<code>IPC_RECORDS</code>", "stream", "ipc_records", 64),
    ("Large messages, made and read in place", "<code>IPC_RECORDS</code>: claim, peek", "stream", "ipc_records", 65536),
    ("Audio, text: bytes without boundaries", "<code>IPC_STREAM</code>", "stream", "ipc_stream", 0),
    ("Every reader sees everything; the writer must not wait", "<code>IPC_BROADCAST</code>, lossy", "stream", "ipc_lossy_1", 60),
    ("Every reader sees everything; nothing may be missed", "<code>IPC_BROADCAST</code>, lossless", "stream", "ipc_lossless_1", 60),
    ("A question and its answer", "<code>IPC_CALL</code>", "pingpong", "ipc_call", 60),
    ("A receiver that mostly sleeps", "<code>send</code>, <code>recv</code> of any ring: a wake costs what the kernel's costs", "wake", "ipc_futex", 0),
    ("A peer that may be old, sandboxed or another user", "<code>auto:</code> of ipc_channel.h: a socket that becomes a ring", "stream", "chan_auto", 64),
    ("Simple, parent and child, or a shell", "a pipe: <code>pipe:</code>", "stream", "raw_pipe", 64),
    ("Descriptors, credentials, or many clients that come and go", "a Unix socket: <code>unix:</code>", "stream", "raw_unix", 64),
    ("Priorities", "a POSIX queue: <code>mq:</code>", "stream", "raw_mq", 64),
    ("Another machine", "<code>tcp:</code>, here over loopback", "stream", "raw_tcp", 64),
    ("A history that outlives all processes", "<code>file:</code>", "stream", "chan_file", 64),
)

GLOSSARY = (
    ("limit_…", "What the machine does without any queue: cache lines that go from core to core, or plain copies between two "
     "processes (limit_copy). No ring can be much better; one may be a little, where it moves its lines in a better "
     "order."),
    ("ipc_…", "A ring of ipc_ring.h, polled. ipc_…_sleep: the same by send and recv, which may sleep."),
    ("chan_…", "The same messages through ipc_channel.h: chan_pipe is the URI pipe:, and so on."),
    ("raw_…", "The mechanism below a channel, written by hand as well as we can: no layer of ours. raw_ring is the bare ring."),
    ("†, threads", "Measured between threads of one process, as it cannot live in shared memory. That is an advantage: "
     "nothing has to be found or mapped."),
    ("stream", "One message at a time, as fast as both sides can, each written and read in full and its number checked."),
    ("pingpong", "There and back, both sides polling. Half of it is about the one-way latency."),
    ("latency", "One way, at a fixed rate, from the time at which a message should have been sent: a stall counts for all "
     "messages that it delays (no coordinated omission)."),
    ("wake", "There and back, where each side sleeps until it is woken, on one core or on two."),
    ("many", "Several producers and consumers. With more processes than cores they take turns."),
    ("N_held", "One more producer is stopped in the middle of a push: what do the others still do?"),
    ("missed", "Of a lossy broadcast: the part that a reader was told that it missed."),
)

HOW = (
    "Every case runs in fresh processes for each run, each process on a core of its own unless the table says otherwise.",
    "All cases run interleaved and in random order within each round, so that what the machine does meanwhile "
    "meets all alike. Ratios within this page hold better than the figures themselves.",
    "A figure is the median of its runs; what stands beside it in brackets, or as a band or a bar, is the least and "
    "the most of all runs, none left out.",
    "Both sides poll, unless the row is of a mechanism that only sleeps, or says “sleep”. The kernel's mechanisms are "
    "used well: non-blocking, one write for each message, a reader that takes all there is.",
    "The median of round trips and of wakes has no look at the clock in it; their percentiles are of further ones, "
    "each of which was timed by itself.",
    "Of the limit: where plain copies of that size were measured, the rate against theirs; else the cache lines that "
    "messages and 8 bytes for each fill, against lines streamed without a queue. A round trip against that of two bare "
    "lines. So 1 is as fast as the machine, for rates more is better, for round trips less.",
)


# ------------------------------------------------------------------ the page

COLOURS = """
:root{--ink:#1b1f24;--soft:#59636e;--grid:#d9dee3;--paper:#fff;--card:#f6f8fa;--ours:#0b5cad;--peer:#b4500b;--kernel:#6a7380;--limit:#1b1f24;--font:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa4af;--grid:#333a42;--paper:#0f1317;--card:#171c22;--ours:#5fb0ff;--peer:#f0a04b;--kernel:#8d97a3;--limit:#e6e9ed}}
"""

STYLE = COLOURS + """
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 var(--font);-webkit-text-size-adjust:100%}
main{max-width:1120px;margin:0 auto;padding:40px 16px 80px}
.kicker{color:var(--soft);font-size:14px;margin:0 0 10px}
h1{font-size:clamp(25px,4.2vw,42px);line-height:1.18;letter-spacing:-.02em;font-weight:680;margin:0 0 28px;max-width:27em;text-wrap:balance}
h2{font-size:25px;letter-spacing:-.01em;line-height:1.25;margin:72px 0 8px}
h3{font-size:16px;line-height:1.35;margin:0 0 2px}
p{max-width:44em;margin:0 0 12px}
.soft,figcaption,dd{color:var(--soft)}
a{color:var(--ours)}
code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:12px;margin:0 0 16px}
.tile{background:var(--card);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:27px;line-height:1.2;letter-spacing:-.02em;color:var(--ours);font-variant-numeric:tabular-nums}
.tile span{font-size:13.5px;line-height:1.4;color:var(--soft);display:block;margin-top:4px}
.warn{border-left:4px solid var(--peer);background:var(--card);padding:12px 16px;border-radius:0 8px 8px 0;margin:20px 0;max-width:46em}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:14px;margin:24px 0 0}
.key{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:14px;color:var(--soft);margin:10px 0 4px}
.key i{display:inline-block;width:18px;border-top:3px solid;vertical-align:middle;margin-right:7px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:36px 48px;margin:22px 0}
figure{margin:0;min-width:0}
figure svg{display:block;width:100%;max-width:540px;height:auto;margin-top:10px;overflow:visible}
figcaption{font-size:14px;line-height:1.5;max-width:36em}
.wide{overflow-x:auto;margin:10px 0 20px;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;font-size:14px;line-height:1.4;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:5px 12px 5px 0;text-align:left;border-bottom:1px solid var(--grid);vertical-align:baseline}
th{color:var(--soft);font-weight:600}
.n{text-align:right;white-space:nowrap}
tr.ours td:first-child{color:var(--ours);font-weight:650}
tr.peer td:first-child{color:var(--peer)}tr.kernel td:first-child{color:var(--kernel)}tr.limit td{font-style:italic}
tr.first td{border-top:2px solid var(--grid)}
details{border-bottom:1px solid var(--grid)}
summary{cursor:pointer;padding:11px 0;font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 22px;margin:12px 0;font-size:15px}
dt{font-weight:600}dd{margin:0;max-width:46em;overflow-wrap:anywhere}
@media(max-width:560px){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:10px}main{padding-top:24px}h2{margin-top:52px}}
@media print{details>*{display:block}}
"""

KEY = '<div class="key">' + "".join(
    f'<span><i style="color:var(--{c});border-top-style:{s}"></i>{t}</span>'
    for c, s, t in (("ours", "solid", "ours"), ("peer", "solid", "other libraries"), ("kernel", "solid", "the kernel's"),
                    ("limit", "dashed", "the machine's limit"))) + "</div>"


def figure(title, text, picture):
    return "" if picture is None else \
        f"<figure><h3>{title}</h3><figcaption>{text}</figcaption>{picture}</figure>"


def plots(*figures):
    return f'<div class="plots">{"".join(figures)}</div>' if any(figures) else ""


def table(head, rows):
    """rows: (class, cells). The cells of columns whose head begins with > are numbers."""
    right = [h.startswith(">") for h in head]

    def line(tag, cells):
        return "".join(f'<{tag}{" class=n" if r else ""}>{c}</{tag}>' for c, r in zip(cells, right))

    return ('<div class="wide"><table><thead><tr>' + line("th", [h.lstrip(">") for h in head]) + "</tr></thead><tbody>" +
            "".join(f'<tr class="{k}">{line("td", cells)}</tr>' for k, cells in rows) + "</tbody></table></div>")


def spread(r):
    return f"{value(r, r['min'])} – {value(r, r['max'])}"


TESTS = {
    "stream": "Throughput, one message at a time", "many": "Several producers and consumers",
    "pingpong": "Round trips, polling", "latency": "One way, at a fixed rate", "burst": "Bursts",
    "wake": "Round trips, asleep until woken", "post_idle": "A post while nobody sleeps",
    "idle": "Processor time while asleep",
}


def tables(run):
    out = ""
    for test in dict.fromkeys([t for t in TESTS] + [r["test"] for r in run.results]):
        rows = run.rows(test)
        if not rows:
            continue
        rows.sort(key=lambda r: (test in ("many", "wake") and (len(r["shape"]), r["shape"]), r["bytes"],
                                 r.get("rate") or 0, -r["median"] if is_rate(r) else r["median"]))
        tails = [p for p in PERCENTILES if any((r.get("percentiles") or {}).get(p) for r in rows)]
        limits = any(run.of_limit(r) for r in rows)
        extra = [f for f in ("rate", "wait", "cpu_ns", "reader", "missed") if any(r.get(f) is not None for r in rows)]
        shown = {"rate": (">at", lambda r: rate(r["rate"])), "wait": ("waits", lambda r: r["wait"]),
                 "cpu_ns": (">CPU/message", lambda r: duration(r["cpu_ns"])),
                 "reader": (">each reader", lambda r: value(r, r["reader"])),
                 "missed": (">missed", lambda r: f"{100 * r['missed']:.0f} %")}
        pipes = {r["bytes"]: r for r in run.series(test).get("pipe", {}).values()} if test in ("stream", "pingpong") else {}
        head = ["system", "shape", ">size", ">median", ">least – most"] + [shown[f][0] for f in extra] + \
               [">" + (p if p == "max" else f"p{p}") for p in tails] + \
               ([">of limit"] if limits else []) + ([">× pipe"] if pipes else []) + [">runs"]
        lines, last = [], None
        for r in rows:
            group = (r["shape"], r["bytes"]) if test in ("many", "wake") else (r["bytes"], r.get("rate"))
            cells = [html.escape(r["system"]) + (" †" if r.get("threads") else ""), html.escape(r["shape"].replace("_", " ")),
                     size(r["bytes"]) if r["bytes"] else "", value(r), spread(r)]
            cells += [shown[f][1](r) if r.get(f) is not None else "" for f in extra]
            cells += [duration(r["percentiles"][p]) if (r.get("percentiles") or {}).get(p) else "" for p in tails]
            if limits:
                cells.append(digits(run.of_limit(r)) if run.of_limit(r) else "")
            if pipes:
                x = better(r, pipes[r["bytes"]]) if r["bytes"] in pipes and role(r) != "limit" else None
                cells.append(ratio(x) if x else "")
            lines.append((role(r) + (" first" if last not in (None, group) else ""), cells + [str(r.get("runs", ""))]))
            last = group
        out += f"<details><summary>{TESTS.get(test, html.escape(test))} <span class=soft>({len(rows)} rows)</span></summary>" \
               + table(head, lines) + "</details>"
    return out


def limits(run):
    what = {
        "limit_stream_lines": "cache lines a second from one core to the other, without a queue",
        "limit_copy": "plain copies a second from one process to the other, the fastest way found",
        "limit_one_line": "round trip of one line that both sides write",
        "limit_two_lines": "round trip over two lines, one for each direction: what two rings need",
        "limit_rotating_lines": "the same, another line each time, as a ring does",
        "limit_store": "a store that nobody waits for", "limit_store_fence": "a store and a full fence",
    }
    rows = [r for r in run.results if role(r) == "limit"]
    return table(["limit", "what it is", ">size", ">median", ">least – most", ">bytes a second"], [
        ("", (html.escape(r["system"]), what.pop(r["system"], "the same" if r["system"].startswith("limit_") else ""),
              size(r["bytes"]) if r["bytes"] else "", value(r), spread(r),
              rate(r["median"] * r["bytes"], "B/s") if is_rate(r) and r["bytes"] else "")) for r in rows]) if rows else ""


def choices(run):
    rows = []
    for need, take, test, system, bytes_ in CHOICES:
        found = run.nearest([r for r in run.rows(test, system=system) if test != "many" or r["shape"] == "2_to_2"]
                            or run.rows(test, system={"raw_pipe": "pipe", "raw_unix": "unix_stream"}.get(system, "")), bytes_)
        r = best(found)
        rows.append(("", (need, take, f"{value(r)}" if r else "", (
            (f"{size(r['bytes'])}, " if r["bytes"] else "") + {"stream": "one way", "many": "2 to 2", "wake": "there and back, "
             + r["shape"].replace("_", " "), "pingpong": "there and back"}[test]) if r else "not in this run")))
    return table(["you have", "take", ">here", ""], rows)


def quiet(noise):
    """What the run's self-check saw, in words."""
    def of(key, text):
        return text(noise[key]) if noise.get(key) is not None else None

    percent = lambda xs: " and ".join(f"{100 * x:.1f}\u00a0%" for x in xs)  # noqa: E731
    return "; ".join(filter(None, (
        of("ok", lambda ok: "quiet" if ok else "not quiet"),
        of("lost", lambda x: f"a loop on each core lost {percent(x)} of it"),
        of("longest_ns", lambda x: f"at most {duration(max(x))} at once"),
        of("stolen", lambda x: f"the host stole {percent([x])}"),
        of("others", lambda x: f"other processes used {percent([x])}"),
        of("one_line_ns", lambda x: f"a line there and back took {duration(x['median'])}, from {duration(x['min'])} to "
                                    f"{duration(x['max'])} in the rounds, as the cores were near each other or not"))))


def facts(machine):
    """The machine's description, whatever of it there is."""
    names = {"cpu": "processor", "ck": "Concurrency Kit", "pinned": "pinned to cores", "timer_ns": "a look at the clock",
             "kernel": "Linux", "date": "measured"}
    out = ""
    for k, v in machine.items():
        if k == "noise" and isinstance(v, dict):
            v = quiet(v)
        elif isinstance(v, list):
            v = ", ".join(map(str, v))
        elif isinstance(v, bool):
            v = "yes" if v else "no"
        elif k == "timer_ns":
            v = duration(v)
        out += f"<dt>{html.escape(names.get(k, k.replace('_', ' ')))}</dt><dd>{html.escape(str(v))}</dd>"
    return f"<dl>{out}</dl>"


def warnings(run):
    noise, out = run.machine.get("noise"), []
    if isinstance(noise, dict) and noise.get("ok") in (False, 0):
        out.append("The machine was noisy during this run (see its description): take ratios, not figures.")
    if run.machine.get("quick"):
        out.append("Fewer and shorter runs (<code>--quick</code>): good for a look, not for quoting.")
    if "dirty" in run.machine.get("commit", ""):
        out.append("Built from sources that were changed after the commit.")
    return f'<p class="warn">{" ".join(out)}</p>' if out else ""


def latencies(run):
    """A plot for each rate, size and way of waiting: like with like."""
    how = {"spin": "both sides poll", "adaptive": "who waits looks for a while, then sleeps", "sleep": "who waits sleeps"}
    return plots(*(figure(
        f"Bursts of {rows[0]['shape'].split('_')[0]}, {size(b)}" if test == "burst" else
        f"One way, {size(b)}" + (f", {rate(at)}" if at else ""),
        f"What part of the messages arrived in less time; {how.get(w, w)}.",
        percentiles(f"latency{i}", rows)) for i, ((test, b, at, w), rows) in enumerate(tails(run)) if len(rows) > 1 and b > 30))


def page(run):
    m = run.machine
    sentence, tiles = headline(run)
    trips = near(run)
    wakes = {s: [r for r in run.rows("wake", shape=s)] for s in ("one_core", "two_cores")}
    cpu = [dict(r, median=r["cpu_ns"], min=r["cpu_ns"], max=r["cpu_ns"], unit="ns")
           for r in run.nearest([r for of in run.series("stream").values() for r in of.values() if r.get("cpu_ns")], 60)]
    held = run.nearest([r for r in run.rows("many") if r["shape"].endswith("_held")], 56)
    stuck = [label(r) for r in held if not r["median"]]
    many = "".join(figure(
        f"{way} processes, {size(next(iter(next(iter(of.values())).values()))['bytes'])}",
        "Messages a second of all together." + (f" This machine has {m['cores']} cores: beyond them processes take turns."
                                                if m.get("cores") else ""),
        scaling(f"many{i}", way, of)) for i, (way, of) in enumerate(ways(run).items()))
    parts = [
        ("throughput", "Throughput against size", f"<p>{ranking(run, 'stream')} The band is the ring's least and most.</p>" + KEY, plots(
            figure("Beside the kernel's mechanisms", "Messages a second, one at a time, both sides polling.",
                   by_size(run, "kernel", "stream", ("ours", "kernel"), "limit_copy")),
            figure("Beside other libraries", "The same for queues and messaging libraries. † between threads of one process.",
                   by_size(run, "peers", "stream", ("ours", "peer"), "limit_copy")))),
        ("roundtrip", "Round trips", f"<p>{ranking(run, 'pingpong')} Less is better.</p>" + KEY, plots(
            figure("There and back, one cache line", "Both sides poll. The bar is least to most.",
                   dots("trips", trips, "round trips")),
            figure("How long each of them took", "What part of the round trips took less, of the fastest; one look at the clock"
                   + (f" ({duration(m['timer_ns'])})" if m.get("timer_ns") else "") + " is in each.",
                   percentiles("tripparts", leaders(trips))),
            figure("Against size, beside the kernel's mechanisms", "Nanoseconds to milliseconds, there and back.",
                   by_size(run, "tripsize", "pingpong", ("ours", "kernel"))),
            figure("Against size, beside other libraries", "The same.", by_size(run, "trippeers", "pingpong", ("ours", "peer"))))),
        ("latency", "Latency at a fixed rate", "<p>Averages hide what users feel. Here messages are sent at a fixed rate, and each "
         "is timed from when it should have left, so that a stall counts for all that it held up.</p>", latencies(run)),
        ("limit", "Against the machine's limit", "<p>1 is what the hardware gives without any queue. For rates more is "
         "better; for round trips less.</p>", plots(
             figure("Throughput, as a part of the limit", "Rate over what plain copies, or plain lines, reach.",
                    shares(run, "part", "stream")),
             figure("Round trip, in times the limit", "Over the round trip of two bare lines, whatever the size.",
                    shares(run, "parttrip", "pingpong"))) + limits(run)),
        ("scaling", "More producers, more consumers", "<p>" + (
            f"When one more producer is stopped in the middle of a push, {listed(sorted(set(stuck)))} "
            f"move{'' if len(set(stuck)) > 1 else 's'} nothing any more." if stuck else "") + "</p>",
         plots(many, figure("One more producer is stopped in the middle of a push", "What the others still do.",
                            dots("held", held, "one producer stopped")))),
        ("waking", "Asleep until woken", "<p>Where both sides sleep, the kernel's wake is what takes the time, whatever carries "
         "the message.</p>", plots(*(figure(
             f"There and back, {'both on one core' if s == 'one_core' else 'on two cores'}", "Each side sleeps until it is woken.",
             dots("wake" + s, rows, "wakes", left=132)) for s, rows in wakes.items()), figure(
                 "On two cores, how long each took", "What part of the round trips took less.",
                 percentiles("wakeparts", leaders(wakes["two_cores"], 6))))),
        ("cpu", "Processor time for each message", "<p>Of both sides together.</p>", plots(
            figure(f"About {size(cpu[0]['bytes']) if cpu else ''}", "", dots("cpu", cpu, "processor time")))),
        ("layer", "What the layer costs", "<p>ipc_channel.h over a mechanism, against the same mechanism by hand: 1 is free, "
         "more is faster than by hand.</p>", plots(figure("A channel's rate over the bare mechanism's", "By message size.",
                                                          layer(run, "layer")))),
        ("choose", "What to choose", "<p>By what you have; the figure is what this machine gave it.</p>", choices(run)),
        ("tables", "The tables", "<p>All that was measured. Tap a line to open it.</p>", tables(run)),
        ("how", "How each figure was made", "", "<ul>" + "".join(f"<li><p>{t}</p></li>" for t in HOW) + "</ul>"),
        ("names", "What the names mean", "", "<dl>" + "".join(f"<dt>{a}</dt><dd>{b}</dd>" for a, b in GLOSSARY) + "</dl>"),
        ("machine", "The machine and the run", "", facts(m)),
    ]
    parts = [p for p in parts if p[3]]
    runs = sorted({r["runs"] for r in run.results if r.get("runs")})
    about = ", ".join(str(x) for x in (m.get("cpu"), f"{m['cores']} cores" if m.get("cores") else None, m.get("arch"),
                                       f"Linux {m['kernel']}" if m.get("kernel") else None) if x)
    made = ", ".join(str(x) for x in (
        m.get("date", "")[:10] or None, f"commit {m['commit']}" if m.get("commit") else None,
        f"medians of {'–'.join(map(str, runs[::max(1, len(runs) - 1)]))} interleaved runs" if runs else None) if x)
    tiles = "".join(f'<div class="tile"><b>{html.escape(a)}</b><span>{html.escape(b)}</span></div>' for a, b in tiles)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ipc_bench: {html.escape(m.get('cpu', 'a machine'))}</title><style>{STYLE}</style></head><body><main>
<p class="kicker">{html.escape(about)}<br>{html.escape(made)}</p>
<h1>{html.escape(sentence)}</h1>
<div class="tiles">{tiles}</div>
{warnings(run)}
<nav>{"".join(f'<a href="#{i}">{t}</a>' for i, t, _, _ in parts)}</nav>
{"".join(f'<section id="{i}"><h2>{t}</h2>{text}{body}</section>' for i, t, text, body in parts)}
<p class="soft" style="margin-top:56px">Made by ipc_bench of ipc_ring: <code>make deps bench report</code> makes it for your machine.</p>
</main></body></html>
"""


# ------------------------------------------------------------------ what is kept, and the README

PART = 95000  # bytes of results in a file; what is more goes to a second


def keep(file, folder):
    """A dated copy without what Run knows by itself, and with the digits that mean something."""
    with open(file, encoding="utf-8") as f:
        data = json.load(f)

    def short(x):
        if isinstance(x, dict):
            return {k: short(v) for k, v in x.items()}
        if isinstance(x, list):
            return [short(v) for v in x]
        if not isinstance(x, float):
            return x
        x = float(f"{x:.3g}")
        return int(x) if x == int(x) else x

    def known(k, v, r):
        return k in ("min", "max", "runs") and "values" in r or (k, v) in USUAL.items() or \
            k == "role" and v == role(dict(r, role=None))

    rows = [{k: short(v) for k, v in r.items() if not known(k, v, r)} for r in data["results"]]
    for r in rows:
        (r.get("percentiles") or {}).pop("samples", None)
    files = [[]]
    for r in rows:
        line = json.dumps(r, separators=(",", ":"))
        if sum(len(x) + 2 for x in files[-1]) + len(line) > PART:
            files.append([])
        files[-1].append(line)
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for i, lines in enumerate(files):
        name = f"{data['machine']['date'][:10]}-{data['machine']['commit']}{f'-{i + 1}' if i else ''}.json"
        (pathlib.Path(folder) / name).write_text(
            '{"machine":' + json.dumps(short(data["machine"])) + ',\n"results":[\n' + ",\n".join(lines) + "\n]}\n",
            encoding="utf-8")
        print(pathlib.Path(folder) / name)


BEGIN, END = "<!-- measured: made by make readme -->", "<!-- /measured -->"


def channels(run, bytes):
    """Messages of a size through every channel: beside the bare mechanism, and how much faster the ring is."""
    ring, lines = {t: run.one(t, "chan_ring", bytes=bytes) for t in ("stream", "pingpong")}, []
    if not all(ring.values()):
        return lines
    for r in sorted(run.rows("stream", bytes=bytes), key=lambda r: -r["median"]):
        if not r["system"].startswith("chan_"):
            continue
        raw = {"chan_ring": "raw_ring", "chan_auto": "raw_ring", "chan_sysvshm": "raw_ring"}.get(
            r["system"], r["system"].replace("chan_", "raw_"))
        below, trip = run.one("stream", raw, bytes=bytes), run.one("pingpong", r["system"], bytes=bytes)
        lines.append(f"| `{r['system'][5:].replace('_', '-')}:` | {value(r)} ({spread(r)}) | "
                     f"{ratio(better(r, below)) if below else '–'} | {ratio(better(ring['stream'], r))} | "
                     + (f"{value(trip)} | {ratio(better(ring['pingpong'], trip))} |" if trip else "– | – |"))
    return ["", f"The same calls over every mechanism (`ipc_channel.h`), messages of {bytes} bytes:", "",
            "| | messages a second | of the bare mechanism | `ring:`, times as fast | round trip | `ring:`, times as fast |",
            "|---|---|---|---|---|---|", *lines]


def readme(folder, file):
    """The newest of what is kept: the two plots, and how ours stand to the best of others in each size."""
    when = {f: json.loads(f.read_text(encoding="utf-8"))["machine"]["date"] for f in pathlib.Path(folder).glob("*.json")}
    parts = sorted((f for f in when if when[f] == max(when.values())), key=lambda f: (len(f.name), f.name))
    newest = parts[0] if parts else None
    text = pathlib.Path(file).read_text(encoding="utf-8")
    if newest is None:
        sys.exit(f"report: nothing is kept in {folder}: make bench results")
    if BEGIN not in text or END not in text:
        sys.exit(f"report: {file} has no lines '{BEGIN}' and '{END}'")
    run = Run(*parts)
    svgs = {"throughput": by_size(run, "throughput", "stream", ("ours", "peer", "kernel"), "limit_copy"),
            "roundtrip": dots("roundtrip", near(run), "round trips")}
    pictures = []
    for name, picture in svgs.items():
        if picture:
            at = newest.parent / f"{name}.svg"
            at.write_text(alone(picture), encoding="utf-8")
            pictures.append(f"![{'Messages a second against their size' if name == 'throughput' else 'Round trips'}]({at})")
    m = run.machine
    lines = [BEGIN, f"{m.get('cpu', 'A machine')}, {m.get('cores', '?')} cores, Linux {m.get('kernel', '?')}, "
             f"{m.get('compiler', '?')} `{m.get('flags', '')}`; medians, and in brackets the least and most of all runs; "
             f"commit {m['commit']}, {m['date'][:10]}: [the figures]({newest}).", "", *pictures, "",
             "| | bytes | the best of ours | the best of other libraries | the best of the kernel | ours, times the best "
             "| of the limit |", "|---|---|---|---|---|---|---|"]
    for test, what in (("stream", "messages a second"), ("stream", "the same, copied in and out"), ("pingpong", "round trip")):
        for b, rows in everyone(run, test):
            if "copied" in what:  # where the best of ours is in place
                rows = [r for r in rows if "in place" not in label(r)] if b >= 4096 else []
            ours, peer, kernel = (best(r for r in rows if role(r) == k) for k in ("ours", "peer", "kernel"))
            other = best(r for r in (peer, kernel) if r)
            if ours and other:
                share = run.of_limit(ours)
                lines.append(f"| {what} | {b} | **{value(ours)}** ({spread(ours)}), {label(ours)} | " + " | ".join(
                    f"{value(r)}, {label(r)}" if r else "–" for r in (peer, kernel)) +
                    f" | {ratio(better(ours, other))} | {ratio(share) if share else '–'} |")
    for (test, b, at, w), rows in tails(run):
        if test == "latency" and (b, at) == (56, 100000):
            lines += [f"| {p} % arrive within, {rate(at)}, { {'spin': 'polling', 'sleep': 'asleep'}.get(w, w)} | {b} | " + " | ".join(
                f"{duration(r['percentiles'][p])}, {label(r)}" if r else "–" for r in found) +
                f" | {ratio(found[other]['percentiles'][p] / found[0]['percentiles'][p])} | – |"
                for p in ("50", "99", "99.9")
                for found in [[min((r for r in rows if role(r) == k and r["percentiles"].get(p)), default=None,
                                   key=lambda r: r["percentiles"][p]) for k in ("ours", "peer", "kernel")]]
                for other in [min((i for i in (1, 2) if found[i]), default=0, key=lambda i: found[i]["percentiles"][p])]
                if found[0] and other]
    lines += channels(run, 64)
    lines += ["", "† between threads of one process.", END] if any("†" in x for x in lines) else [END]
    head, tail = text.split(BEGIN)[0], text.split(END, 1)[1]
    pathlib.Path(file).write_text(head + "\n".join(lines) + tail, encoding="utf-8")
    print(f"{file} and {newest.parent}/*.svg, of {newest}")


def main(arguments):
    match arguments:
        case ["page", source, target]:
            pathlib.Path(target).write_text(page(Run(source)), encoding="utf-8")
            print(target)
        case ["keep", source, folder]:
            keep(source, folder)
        case ["readme", folder, file]:
            readme(folder, file)
        case _:
            sys.exit(__doc__.strip())


if __name__ == "__main__":
    main(sys.argv[1:])
