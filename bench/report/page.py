"""The page: one HTML file that loads nothing."""
import html

import sections
from findings import headline
from machine import facts, warnings
from rows import STATES
from style import STYLE
from tables import choices, tables


def sections_of(run, state, other):
    """The sections of the plots of one state of the cores. other: there is another state before it."""
    part, suffix = run.of(state), f"-{state}" if other else ""
    where = f", {STATES[state]}" if state and len(run.states()) > 1 else ""
    found = (
        ("where", "Where a message can go", sections.where(part)),
        ("throughput", "Throughput against size", sections.throughput(part)),
        ("roundtrip", "Round trips", sections.round_trips(part)),
        ("latency", "Latency at a fixed rate", sections.latency(part)),
        ("limit", "Against the machine's limit", sections.limit(part)),
        ("scaling", "More producers, more consumers", sections.many(part)),
        ("growth", "Cost as work grows", sections.growth(part)),
        ("waking", "Asleep until woken", sections.waking(part)),
        ("cpu", "Processor time for each message", sections.processor_time(part)),
        ("layer", "What the layer costs", sections.layers(part)),
    )
    return [(key + suffix, title + where, text_and_body) for key, title, text_and_body in found]


def all_sections(run):
    """[(id, title, text, body)]"""
    found = [section for i, state in enumerate(run.states()) for section in sections_of(run, state, i > 0)]
    run_of_most = run.of(run.states()[0])
    found += (
        ("choose", "What to choose",
         ("<p>By what you have; the figure is what this machine gave it.</p>", choices(run_of_most))),
        ("tables", "The tables", ("<p>All that was measured. Tap a line to open it.</p>", tables(run))),
        ("how", "How each figure was made", sections.how()),
        ("names", "What the names mean", sections.names()),
        ("machine", "The machine and the run", ("", facts(run.machine))),
    )
    return [(key, title, text, body) for key, title, (text, body) in found if body]


def joined(*words):
    return html.escape(", ".join(str(x) for x in words if x))


def kicker(run):
    """The two lines above the headline: the machine, and the run."""
    m, runs = run.machine, sorted({r["runs"] for r in run.results if r.get("runs")})
    about = joined(m.get("cpu"), f"{m['cores']} cores" if m.get("cores") else None, m.get("arch"),
                   f"Linux {m['kernel']}" if m.get("kernel") else None)
    made = joined(m.get("date", "")[:10], f"commit {m['commit']}" if m.get("commit") else None,
                  f"medians of {'–'.join(map(str, runs[::max(1, len(runs) - 1)]))} interleaved runs" if runs else None)
    return f"{about}<br>{made}"


def page(run):
    headlines = [headline(run.of(state)) for state in run.states()]
    sentence, tiles = headlines[0]
    others = "".join(f"<p>{html.escape(text)}</p>" for text, _ in headlines[1:])
    parts = all_sections(run)
    tiles = "".join(f'<div class="tile"><b>{html.escape(a)}</b><span>{html.escape(b)}</span></div>' for a, b in tiles)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ipc_bench: {html.escape(run.machine.get('cpu', 'a machine'))}</title><style>{STYLE}</style></head><body><main>
<p class="kicker">{kicker(run)}</p>
<h1>{html.escape(sentence)}</h1>{others}
<div class="tiles">{tiles}</div>
{warnings(run.machine)}
<nav>{"".join(f'<a href="#{i}">{t}</a>' for i, t, _, _ in parts)}</nav>
{"".join(f'<section id="{i}"><h2>{t}</h2>{text}{body}</section>' for i, t, text, body in parts)}
<p class="soft" style="margin-top:56px">Made by ipc_bench of ipc_ring: <code>make deps bench report</code> makes it for your machine.</p>
</main></body></html>
"""
