"""Pieces of HTML."""
from systems import FAMILIES

KEY = '<div class="key">' + "".join(
    f'<span><i style="color:var(--{family});border-top-style:{line}"></i>{text}</span>'
    for family, (text, line) in FAMILIES.items()) + "</div>"


def figure(title, text, picture):
    return "" if picture is None else \
        f"<figure><h3>{title}</h3><figcaption>{text}</figcaption>{picture}</figure>"


def plots(*figures):
    return f'<div class="plots">{"".join(figures)}</div>' if any(figures) else ""


def table(head, rows):
    """rows: [(class, cells)]. A column whose head begins with > has numbers."""
    right = [h.startswith(">") for h in head]

    def line(tag, cells):
        return "".join(f'<{tag}{" class=n" if r else ""}>{c}</{tag}>' for c, r in zip(cells, right))

    return ('<div class="wide"><table><thead><tr>' + line("th", [h.lstrip(">") for h in head]) + "</tr></thead><tbody>" +
            "".join(f'<tr class="{k}">{line("td", cells)}</tr>' for k, cells in rows) + "</tbody></table></div>")


def definitions(pairs):
    return "<dl>" + "".join(f"<dt>{a}</dt><dd>{b}</dd>" for a, b in pairs) + "</dl>"
