"""The tables of the page."""
import html

from markup import table
from prose import CHOICES, LIMITS, TESTS
from rows import PERCENTILES, best, better, is_rate, nearest, percentile
from systems import role
from units import digits, duration, rate, ratio, size, spread, value

# field of a row -> (a column's head, its text)
EXTRA = {
    "rate": (">at", lambda r: rate(r["rate"])),
    "wait": ("waits", lambda r: r["wait"]),
    "cpu_ns": (">CPU/message", lambda r: duration(r["cpu_ns"])),
    "reader": (">each reader", lambda r: value(r, r["reader"])),
    "missed": (">missed", lambda r: f"{100 * r['missed']:.0f} %"),
    "lost": (">lost", lambda r: "" if r.get("never") else digits(r["lost"])),
    "left_out": (">left out", lambda r: f"{100 * r['left_out']:.1f} %"),
    "state": ("cores", lambda r: r["state"]),
}


def by_shape(test):
    """Are the shapes of the test different things, which stand apart in its table?"""
    return test in ("many", "wake", "recover", "growth", "attach")


def columns(run, test, rows):
    """[(head, function of a row)]: the columns of a test's table, as far as its rows have something for them."""
    tails = [p for p in PERCENTILES if any(percentile(r, p) for r in rows)]
    extra = [f for f in EXTRA if any(r.get(f) not in (None, "") for r in rows)]
    pipes = {r["bytes"]: r for r in run.series(test).get("pipe", {}).values()} if test in ("stream", "pingpong") else {}

    def times_pipe(r):
        x = better(r, pipes[r["bytes"]]) if r["bytes"] in pipes and role(r) != "limit" else None
        return ratio(x) if x else ""

    def of_limit(r):
        x = run.of_limit(r)
        return digits(x) if x else ""

    found = [("system", lambda r: html.escape(r["system"]) + (" †" if r.get("threads") else "")),
             ("shape", lambda r: html.escape(r["shape"].replace("_", " "))),
             (">size", lambda r: size(r["bytes"]) if r["bytes"] else ""), (">median", value), (">least – most", spread)]
    found += [(EXTRA[f][0], lambda r, f=f: EXTRA[f][1](r) if r.get(f) is not None else "") for f in extra]
    found += [(">" + (p if p == "max" else f"p{p}"),
               lambda r, p=p: value(dict(r, unit="ns"), percentile(r, p)) if percentile(r, p) else "") for p in tails]
    if any(run.of_limit(r) for r in rows):
        found.append((">of limit", of_limit))
    if pipes:
        found.append((">× pipe", times_pipe))
    return found + [(">runs", lambda r: str(r.get("runs", "")))]


def test_table(run, test, rows):
    rows = sorted(rows, key=lambda r: (by_shape(test) and (len(r["shape"]), r["shape"]), r["bytes"],
                                       r.get("rate") or 0, -r["median"] if is_rate(r) else r["median"]))
    shown = columns(run, test, rows)
    lines, last = [], None
    for r in rows:
        group = (r["shape"], r["bytes"]) if by_shape(test) else (r["bytes"], r.get("rate"))
        lines.append((role(r) + (" first" if last not in (None, group) else ""), [text(r) for _, text in shown]))
        last = group
    return table([head for head, _ in shown], lines)


def tables(run):
    """All rows, in a table of each test that opens at a click."""
    out = ""
    for test in dict.fromkeys([*TESTS, *(r["test"] for r in run.results)]):
        rows = run.rows(test)
        if rows:
            parts = [run.of(state) for state in dict.fromkeys(r["state"] for r in rows)]
            out += f"<details><summary>{TESTS.get(test, html.escape(test))} <span class=soft>({len(rows)} rows)</span>" \
                   f"</summary>{''.join(test_table(part, test, part.rows(test)) for part in parts)}</details>"
    return out


def limits(run):
    rows = [r for r in run.results if role(r) == "limit"]
    if not rows:
        return ""
    told, lines = set(), []
    for r in rows:
        key = r["system"]
        what = "the same" if key in told or key not in LIMITS else LIMITS[key]
        told.add(key)
        lines.append(("", (html.escape(key), what, size(r["bytes"]) if r["bytes"] else "", value(r), spread(r),
                           rate(r["median"] * r["bytes"], "B/s") if is_rate(r) and r["bytes"] else "")))
    return table(["limit", "what it is", ">size", ">median", ">least – most", ">bytes a second"], lines)


def choices(run):
    """What to take for what, and what this run measured of it."""
    instead = {"raw_pipe": "pipe", "raw_unix": "unix_stream"}
    how = {"stream": lambda r: "one way", "many": lambda r: "2 to 2", "pingpong": lambda r: "there and back",
           "wake": lambda r: "there and back, " + r["shape"].replace("_", " ")}
    lines = []
    for need, take, test, system, bytes_ in CHOICES:
        found = [r for r in run.rows(test, system=system) if test != "many" or r["shape"] == "2_to_2"]
        r = best(nearest(found or run.rows(test, system=instead.get(system, "")), bytes_))
        if r:
            lines.append(("", (need, take, value(r), (f"{size(r['bytes'])}, " if r["bytes"] else "") + how[test](r))))
        else:
            lines.append(("", (need, take, "", "not in this run")))
    return table(["you have", "take", ">here", ""], lines)
