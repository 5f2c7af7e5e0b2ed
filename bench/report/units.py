"""Numbers as people write them."""

NEVER = 5e8  # nanoseconds: BENCH_NEVER of case.h


def digits(x):
    for least, places in ((99.95, 0), (9.995, 1), (0.0995, 2)):
        if x >= least:
            return f"{x:.{places}f}"
    return f"{x:.2g}"


def scaled(x, steps):
    """x in the largest of the units that it reaches. steps: (size, name), from the largest."""
    for step, name in steps:
        if x >= step * 0.9995:
            return digits(x / step).removesuffix(".0").removesuffix(".00") + name
    return f"{x:.2g}{steps[-1][1]}" if x else f"0{steps[-1][1]}"


def ratio(x):
    return f"{x:.0f}" if x >= 9.95 else f"{x:.1f}" if x >= 0.995 else f"{x:.2f}"


def times(x):
    return "–" if x is None else ratio(x) + "\u00a0×"


def rate(x, unit="/s"):
    return scaled(x, [(step, f"\u00a0{prefix}{unit}") for step, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))])


def duration(ns):
    return scaled(ns, ((1e9, "\u00a0s"), (1e6, "\u00a0ms"), (1e3, "\u00a0µs"), (1, "\u00a0ns")))


def size(b):
    for step, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if b >= step and b % step == 0:
            return f"{b // step}\u00a0{name}"
    return f"{b}\u00a0B"


def value(r, x=None):
    """A row's median, or another figure of it, in the row's unit."""
    x = r["median"] if x is None else x
    if r.get("test") == "recover" and x >= NEVER:
        return "never"
    return {"msg/s": rate, "ns": duration}.get(r["unit"], lambda x: f"{x:.3g} {r['unit']}")(x)


def spread(r):
    return f"{value(r, r['min'])} – {value(r, r['max'])}"


def listed(words):
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
