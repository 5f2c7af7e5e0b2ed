"""A dated copy of a run's JSON, shortened: without what Run fills in, and with three digits."""
import json
import pathlib

from rows import USUAL
from systems import role

PART = 95000  # bytes of results in one file; the rest goes to further files


def short(x):
    if isinstance(x, dict):
        return {k: short(v) for k, v in x.items()}
    if isinstance(x, list):
        return [short(v) for v in x]
    if not isinstance(x, float):
        return x
    x = float(f"{x:.3g}")
    return int(x) if x == int(x) else x


def is_filled_in(k, v, r):
    """Does Run know this field of the row by itself?"""
    if k in ("min", "max", "runs") and "values" in r or (k, v) in USUAL.items():
        return True
    return k == "role" and v == role(dict(r, role=None))


def lines_of(results):
    """One line of JSON for each row."""
    for r in results:
        row = {k: short(v) for k, v in r.items() if not is_filled_in(k, v, r)}
        (row.get("percentiles") or {}).pop("samples", None)
        yield json.dumps(row, separators=(",", ":"))


def parts_of(lines):
    """The lines of each file."""
    parts = [[]]
    for line in lines:
        if sum(len(x) + 2 for x in parts[-1]) + len(line) > PART:
            parts.append([])
        parts[-1].append(line)
    return parts


def keep(file, folder):
    """Writes the copy to the folder, and prints the names of its files."""
    with open(file, encoding="utf-8") as f:
        data = json.load(f)
    machine = data["machine"]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for i, lines in enumerate(parts_of(lines_of(data["results"]))):
        name = folder / f"{machine['date'][:10]}-{machine['commit']}{f'-{i + 1}' if i else ''}.json"
        name.write_text('{"machine":' + json.dumps(short(machine)) + ',\n"results":[\n' + ",\n".join(lines) + "\n]}\n",
                        encoding="utf-8")
        print(name)
