"""One plot: its axes, lines and labels, and the SVG that matplotlib makes of it.

While a plot is made each colour is a placeholder of systems.COLOURS. In the SVG it becomes a variable of the page's
style sheet, which has its values for light and for dark."""
import html
import io
import itertools
import math
import re

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend has to be chosen before)

from style import COLOUR_SHEET  # noqa: E402
from systems import COLOURS, label  # noqa: E402
from units import size, value  # noqa: E402

COLOUR = {name: at for name, (at, _, _) in COLOURS.items() if at}
NUMBERS = itertools.count()  # of the plots of this run
WIDTH, FONT = 360, 10  # the width of a phone, so that no plot is shown smaller than it was made

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
        plt.rcParams["svg.hashsalt"] = f"{name}{next(NUMBERS)}"  # so that no two plots of a page have the same names inside
        self.figure = plt.figure(figsize=(WIDTH / 72, height / 72))
        self.ax = self.figure.add_axes([left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH,
                                        (height - top - bottom) / height])

    def line(self, xs, ys, rows, colour, bold=False, dashed=False, marker="o"):
        """A line through points. Each point tells its row to a mouse over it."""
        self.tips.append(rows)
        self.ax.plot(xs, ys, color=COLOUR[colour], linewidth=2.2 if bold else 1.2, marker=marker,
                     markersize=4.5 if bold else 3, linestyle="--" if dashed else "-", clip_on=False,
                     markeredgewidth=0, zorder=3 if bold else 2, gid=f"tips{len(self.tips) - 1}")

    def band(self, xs, rows):
        """The least and the most of ours."""
        self.ax.fill_between(xs, [r["min"] for r in rows], [r["max"] for r in rows], linewidth=0,
                             color=COLOUR["ours"], alpha=0.13)

    def limit_line(self):
        self.ax.axhline(1, color=COLOUR["limit"], linestyle="--", linewidth=1)

    def sizes(self, values):
        self.ax.set_xscale("log", base=2)
        low, high = min(values), max(values)
        ticks = [t for t in (8, 64, 1 << 10, 1 << 16, 1 << 20) if low * 0.9 <= t <= high * 1.2]
        self.ax.set_xticks(ticks, [size(t) for t in ticks])
        self.ax.minorticks_off()

    def log(self, axis, low, high, text):
        """A logarithmic axis, with a tick at each decade, or at 1, 2 and 5 where there are few decades."""
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
        """The names of lines, at their right ends, moved apart where they would touch.
        ends: [(x, y, name, colour, bold)]"""
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

    def drawn(self):
        """The SVG as matplotlib writes it, from its first tag on."""
        out = io.StringIO()
        self.figure.savefig(out, format="svg", metadata={"Date": None})
        plt.close(self.figure)
        text = out.getvalue()[out.getvalue().index("<svg"):]
        return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)

    def with_tips(self, text):
        """The SVG with a title in each point of each line."""
        for i, rows in enumerate(self.tips):
            head, tail = text.split(f'<g id="tips{i}">', 1)
            for r in rows:
                tail = re.sub(r"<use ([^>]*[^>/])/>", lambda m: f"<use {m[1]}><title>{tip(r)}</title></use>",
                              tail, count=1)
            text = head + "<g>" + tail
        return text

    def svg(self, title):
        """The picture, for a page whose style sheet has the colours."""
        text = self.with_tips(self.drawn())
        for name, colour in COLOUR.items():
            text = text.replace(colour, f"var(--{name})")
        text = re.sub(r"(font: (?:\w+ )?[\d.]+px) [^;\"]*", r"\1 var(--font)", text)
        text = re.sub(r' id="(?:figure|axes|patch|line2d|matplotlib\.axis|xtick|ytick|text|PathCollection|'
                      r'PolyCollection|FillBetweenPolyCollection|LineCollection)_\d+"', "", text)
        text = re.sub(r"(\.\d\d)\d+(?=[^<>]*>)", r"\1", text)  # only in tags, not in the text between them
        text = text.replace("xlink:href", "href")
        return re.sub(r"<svg[^>]*>", f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" '
                      f'aria-label="{html.escape(title)}">', text, count=1)


def tip(r):
    spread = f" ({value(r, r['min'])} to {value(r, r['max'])})" if r["max"] > r["min"] else ""
    return html.escape(f"{label(r)}, {size(r['bytes'])}: {value(r)}{spread}")


def alone(picture):
    """A picture as a file of its own: with a name space, colours and a width."""
    return picture.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * 1.5:.0f}" ', 1) \
        .replace(">", f"><style>{COLOUR_SHEET}</style>", 1)
