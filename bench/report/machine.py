"""The machine and the run, in words."""
import html

from markup import definitions
from units import duration

NAMES = {"cpu": "processor", "ck": "Concurrency Kit", "pinned": "pinned to cores", "timer_ns": "a look at the clock",
         "kernel": "Linux", "date": "measured", "one_line_ns": "a line there and back"}


def percent(*parts):
    return " and ".join(f"{100 * x:.1f}\u00a0%" for x in parts)


# key of the JSON's "noise" -> a function that says it
NOISE = {
    "ok": lambda ok: "quiet" if ok else "not quiet",
    "lost": lambda x: f"a loop on each core lost {percent(*x)} of it",
    "longest_ns": lambda x: f"at most {duration(max(x))} at once",
    "stolen": lambda x: f"the host stole {percent(x)}",
    "others": lambda x: f"other processes used {percent(x)}",
    "one_line_ns": lambda x: f"a line there and back took {duration(x['median'])}, from {duration(x['min'])} to "
                             f"{duration(x['max'])} in the rounds, as the cores were near each other or not",
}


def quiet(noise):
    """What the run saw of others on its cores."""
    return "; ".join(filter(None, (text(noise[k]) for k, text in NOISE.items() if noise.get(k) is not None)))


def distances(lines):
    """How long a line took there and back in each state of the cores."""
    return "; ".join(f"cores {state}: {duration(x['median'])}, {x['looks']} looks" for state, x in lines.items())


def fact(key, x):
    if key == "one_line_ns":
        return distances(x)
    if key == "noise" and isinstance(x, dict):
        return quiet(x)
    if isinstance(x, list):
        return ", ".join(map(str, x))
    if isinstance(x, bool):
        return "yes" if x else "no"
    return duration(x) if key == "timer_ns" else x


def facts(machine):
    """All that the JSON says of the machine."""
    return definitions((html.escape(NAMES.get(k, k.replace("_", " "))), html.escape(str(fact(k, v))))
                       for k, v in machine.items())


def warnings(machine):
    noise, out = machine.get("noise"), []
    if isinstance(noise, dict) and noise.get("ok") in (False, 0):
        out.append("The machine was noisy during this run (see its description): what was interrupted is left out, but the tails of latencies and wakes are not as on a quiet machine.")
    if machine.get("quick"):
        out.append("Fewer and shorter runs (<code>--quick</code>): good for a look, not for quoting.")
    if "dirty" in machine.get("commit", ""):
        out.append("Built from sources that were changed after the commit.")
    return f'<p class="warn">{" ".join(out)}</p>' if out else ""
