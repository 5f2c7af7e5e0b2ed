"""The README's part that is made of the newest results that are kept: two plots and two tables."""
import json
import pathlib
import sys

from canvas import alone
from findings import by_bytes, line_trips, tails
from journey import drawing
from plots import by_size, dots
from rows import STATES, Run, best, better, percentile
from systems import below, is_channel, label, role, scheme
from units import duration, rate, ratio, spread, value

BEGIN, END = "<!-- measured: made by make readme -->", "<!-- /measured -->"
HEAD = ["| | bytes | the best of ours | the best of other libraries | the best of the kernel | ours, times the best "
        "| of the limit |", "|---|---|---|---|---|---|---|"]
SIZES = 8, 64, 1024, 4096, 65536, 1048576  # those that the README has; the page has all
FIGURES = (("stream", "messages a second"), ("stream", "the same, copied in and out"), ("pingpong", "round trip"))


def newest(folder):
    """The files of the newest run in the folder, the first one first."""
    when = {f: json.loads(f.read_text(encoding="utf-8"))["machine"]["date"] for f in pathlib.Path(folder).glob("*.json")}
    if not when:
        sys.exit(f"report: nothing is kept in {folder}: make bench results")
    return sorted((f for f in when if when[f] == max(when.values())), key=lambda f: (len(f.name), f.name))


def pictures(run, folder, suffix):
    """Writes the plots of one state, and returns the lines that show them."""
    svgs = {"throughput": by_size(run, "throughput", "stream", ("ours", "peer", "kernel"), "limit_copy"),
            "roundtrip": dots("roundtrip", line_trips(run), "round trips")}
    titles, lines = {"throughput": "Messages a second against their size", "roundtrip": "Round trips"}, []
    for name, picture in svgs.items():
        if picture:
            at = folder / f"{name}{suffix}.svg"
            at.write_text(alone(picture), encoding="utf-8")
            lines.append(f"![{titles[name]}]({at})")
    return lines


def size_line(run, what, b, rows):
    """The best of ours against the best of the others, in one size; or None."""
    ours, peer, kernel = (best(r for r in rows if role(r) == k) for k in ("ours", "peer", "kernel"))
    other = best(r for r in (peer, kernel) if r)
    if not ours or not other:
        return None
    share = run.of_limit(ours)
    others = " | ".join(f"{value(r)}, {label(r)}" if r else "–" for r in (peer, kernel))
    return f"| {what} | {b} | **{value(ours)}** ({spread(ours)}), {label(ours)} | {others} | " \
           f"{ratio(better(ours, other))} | {ratio(share) if share else '–'} |"


def size_lines(run):
    for test, what in FIGURES:
        for b, rows in (x for x in by_bytes(run, test) if x[0] in SIZES):
            if "copied" in what:  # only in the sizes where the best of ours is in place
                rows = [r for r in rows if "in place" not in label(r)] if b >= 4096 else []
            yield size_line(run, what, b, rows)


def tail_line(rows, b, at, wait, p):
    """The best latencies at one percentile; or None."""
    def of(r):
        return percentile(r, p)

    ours, peer, kernel = (min((r for r in rows if role(r) == k and of(r)), key=of, default=None)
                          for k in ("ours", "peer", "kernel"))
    other = min((r for r in (peer, kernel) if r), key=of, default=None)
    if not ours or not other:
        return None
    how = {"spin": "polling", "sleep": "asleep"}.get(wait, wait)
    found = " | ".join(f"{duration(of(r))}, {label(r)}" if r else "–" for r in (ours, peer, kernel))
    return f"| {p} % arrive within, {rate(at)}, {how} | {b} | {found} | {ratio(of(other) / of(ours))} | – |"


def tail_lines(run):
    for (test, b, at, wait), rows in tails(run):
        if test == "latency" and (b, at) == (56, 100000):
            for p in ("50", "99", "99.9"):
                yield tail_line(rows, b, at, wait, p)


def channel_lines(run, b):
    """Messages of one size through every channel, beside the bare mechanism and beside the ring."""
    ring, lines = {t: run.one(t, "chan_ring", bytes=b) for t in ("stream", "pingpong")}, []
    if not all(ring.values()):
        return lines
    for r in sorted(run.rows("stream", bytes=b), key=lambda r: -r["median"]):
        if not is_channel(r["system"]):
            continue
        bare = run.one("stream", below(r["system"]), bytes=b)
        trip = run.one("pingpong", r["system"], bytes=b)
        lines.append(f"| `{scheme(r['system'])}` | {value(r)} ({spread(r)}) | "
                     f"{ratio(better(r, bare)) if bare else '–'} | {ratio(better(ring['stream'], r))} | "
                     + (f"{value(trip)} | {ratio(better(ring['pingpong'], trip))} |" if trip else "– | – |"))
    return ["", f"The same calls over every mechanism (`ipc_channel.h`), messages of {b} bytes:", "",
            "| | messages a second | of the bare mechanism | `ring:`, times as fast | round trip | `ring:`, times as fast |",
            "|---|---|---|---|---|---|", *lines]


def line_ns(machine, state):
    """How long a line takes there and back in this state, in brackets."""
    seen = machine.get("one_line_ns", {}).get(state)
    return f" (one line there and back takes {duration(seen['median'])})" if seen else ""


def machine_line(m, file):
    return f"{m.get('cpu', 'A machine')}, {m.get('cores', '?')} cores, Linux {m.get('kernel', '?')}, " \
           f"{m.get('compiler', '?')} `{m.get('flags', '')}`; medians, and in brackets the least and most of all runs; " \
           f"commit {m['commit']}, {m['date'][:10]}: [the figures]({file})."


def readme(folder, file):
    """Replaces the part between BEGIN and END in the file, and the plots in the folder."""
    parts = newest(folder)
    text = pathlib.Path(file).read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        sys.exit(f"report: {file} has no lines '{BEGIN}' and '{END}'")
    run = Run(*parts)
    lines = [BEGIN, machine_line(run.machine, parts[0])]
    for i, state in enumerate(run.states()):
        part = run.of(state)
        lines += ["", f"With {STATES[state]}{line_ns(run.machine, state)}:"] if state else []
        if i == 0 and drawing(part):
            lines += ["", "Where a message can go, and what each way takes, half of a round trip:", "", "```",
                      *drawing(part), "```"]
        lines += ["", *pictures(part, parts[0].parent, f"-{state}" if i else ""), "", *HEAD]
        lines += [line for line in (*size_lines(part), *tail_lines(part)) if line]
        lines += channel_lines(part, 64)
    if any("†" in x for x in lines):
        lines += ["", "† between threads of one process."]
    head, tail = text.split(BEGIN)[0], text.split(END, 1)[1]
    pathlib.Path(file).write_text(head + "\n".join([*lines, END]) + tail, encoding="utf-8")
    print(f"{file} and {parts[0].parent}/*.svg, of {parts[0]}")
