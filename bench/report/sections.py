"""The sections of the page. Each function returns (text, body): what is said first, and the plots and tables. A section
without a body is left out."""
import html

from findings import growing, leaders, line_trips, ranking, tails, ways
from journey import drawing
from markup import KEY, definitions, figure, plots
from plots import by_size, dots, growth as growth_plot, layer, percentiles, scaling, shares
from prose import GLOSSARY, GROWTH, HOW
from rows import nearest
from systems import label
from tables import limits
from units import duration, listed, rate, size


def where(run):
    lines = drawing(run)
    return ("<p>A message of one cache line, and what each way takes: half of a round trip.</p>"), \
        f'<pre class="wide">{html.escape(chr(10).join(lines))}</pre>' if lines else ""


def throughput(run):
    return f"<p>{ranking(run, 'stream')} The band is the ring's least and most.</p>" + KEY, plots(
        figure("Beside the kernel's mechanisms", "Messages a second, one at a time, both sides polling.",
               by_size(run, "kernel", "stream", ("ours", "kernel"), "limit_copy")),
        figure("Beside other libraries",
               "The same for queues and messaging libraries. † between threads of one process.",
               by_size(run, "peers", "stream", ("ours", "peer"), "limit_copy")))


def round_trips(run):
    trips, timer = line_trips(run), run.machine.get("timer_ns")
    return f"<p>{ranking(run, 'pingpong')} Less is better.</p>" + KEY, plots(
        figure("There and back, one cache line", "Both sides poll. The bar is least to most.",
               dots("trips", trips, "round trips")),
        figure("How long each of them took",
               "What part of the round trips took less, of the fastest; a look at the clock"
               + (f" ({duration(timer)})" if timer else "") + " is taken off.",
               percentiles("tripparts", leaders(trips))),
        figure("Against size, beside the kernel's mechanisms", "Nanoseconds to milliseconds, there and back.",
               by_size(run, "tripsize", "pingpong", ("ours", "kernel"))),
        figure("Against size, beside other libraries", "The same.",
               by_size(run, "trippeers", "pingpong", ("ours", "peer"))))


def latency(run):
    """A plot for each rate, size and way of waiting, so that like is compared with like."""
    how = {"spin": "both sides poll", "adaptive": "who waits looks for a while, then sleeps",
           "sleep": "who waits sleeps"}
    figures = []
    for i, ((test, b, at, w), rows) in enumerate(tails(run)):
        if len(rows) < 2 or b <= 30:
            continue
        if test == "burst":
            title = f"Bursts of {rows[0]['shape'].split('_')[0]}, {size(b)}"
        else:
            title = f"One way, {size(b)}" + (f", {rate(at)}" if at else "")
        figures.append(figure(title, f"What part of the messages arrived in less time; {how.get(w, w)}.",
                              percentiles(f"latency{i}", rows)))
    return ("<p>Averages hide what users feel. Here messages are sent at a fixed rate, and each "
            "is timed from when it should have left, so that a stall counts for all that it held up.</p>"), plots(*figures)


def limit(run):
    return ("<p>1 is what the hardware gives without any queue.</p>"), plots(
        figure("Throughput, as a part of the limit", "Rate over the best that plain copies, lines or slots reach.",
               shares(run, "part", "stream")),
        figure("Round trip, as a part of the limit", "The round trip of the barest slot, or of lines, over the system's.",
               shares(run, "parttrip", "pingpong"))) + limits(run)


def many(run):
    cores = run.machine.get("cores")
    turns = f" This machine has {cores} cores: beyond them processes take turns." if cores else ""
    figures = []
    for i, (way, of) in enumerate(ways(run).items()):
        first = next(iter(next(iter(of.values())).values()))
        figures.append(figure(f"{way} processes, {size(first['bytes'])}",
                              "Messages a second of all together." + turns, scaling(f"many{i}", way, of)))
    held = nearest([r for r in run.rows("many") if r["shape"].endswith("_held")], 56)
    stuck = sorted({label(r) for r in held if not r["median"]})
    text = ""
    if stuck:
        text = f"When one more producer is stopped in the middle of a push, {listed(stuck)} " \
               f"move{'' if len(stuck) > 1 else 's'} nothing any more."
    figures.append(figure("One more producer is stopped in the middle of a push", "What the others still do.",
                          dots("held", held, "one producer stopped")))
    return f"<p>{text}</p>", plots(*figures)


def growth(run):
    found = growing(run)
    return ("<p>What a ring costs must not depend on how large it is, or on how many use it. Where a line is not flat, "
            "the reason stands beside it.</p>"), plots(
        *(figure(title, why, growth_plot("-".join(key), found[key])) for key, (title, why) in GROWTH.items()
          if key in found))


def waking(run):
    figures = [figure(f"There and back, {where}", "Each side sleeps until it is woken.",
                      dots("wake" + shape, run.rows("wake", shape=shape), "wakes", left=132))
               for shape, where in (("one_core", "both on one core"), ("two_cores", "on two cores"))]
    figures.append(figure("On two cores, how long each took", "What part of the round trips took less.",
                          percentiles("wakeparts", leaders(run.rows("wake", shape="two_cores"), 6))))
    return ("<p>Where both sides sleep, the kernel's wake is what takes the time, whatever carries "
            "the message.</p>"), plots(*figures)


def processor_time(run):
    rows = [r for of in run.series("stream").values() for r in of.values() if r.get("cpu_ns")]
    cpu = [dict(r, median=r["cpu_ns"], min=r["cpu_ns"], max=r["cpu_ns"], unit="ns") for r in nearest(rows, 60)]
    return "<p>Of both sides together.</p>", plots(
        figure(f"About {size(cpu[0]['bytes']) if cpu else ''}", "", dots("cpu", cpu, "processor time")))


def layers(run):
    return ("<p>ipc_channel.h over a mechanism, against the same mechanism by hand: 1 is free, "
            "more is faster than by hand.</p>"), plots(
        figure("A channel's rate over the bare mechanism's", "By message size.", layer(run, "layer")))


def how():
    return "", "<ul>" + "".join(f"<li><p>{t}</p></li>" for t in HOW) + "</ul>"


def names():
    return "", definitions(GLOSSARY)
