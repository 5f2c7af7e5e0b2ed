"""The measured systems: their names and families, by ../systems.def, and the colour of each family."""
import pathlib
import re

TABLE = (pathlib.Path(__file__).parent.parent / "systems.def").read_text(encoding="utf-8")
SYSTEM = re.compile(r'^SYSTEM\("(\w+)", (\w+), "([^"]*)", (?:NULL|"(\w+)")\)$', re.M)

# key -> (family, name, the mechanism below a channel or None)
SYSTEMS = {key: (family.lower(), name, below or None) for key, family, name, below in
           SYSTEM.findall(TABLE)}
assert len(SYSTEMS) == len(re.findall("^SYSTEM", TABLE, re.M)), "systems.def: a line that is not understood, or is twice"

# family -> (what a plot's key calls it, its line there)
FAMILIES = {
    "ours": ("ours", "solid"),
    "peer": ("other libraries", "solid"),
    "kernel": ("the kernel's", "solid"),
    "limit": ("the machine's limit", "dashed"),
}

# name -> (what stands for it while a plot is made, light, dark); families are among the names
COLOURS = {
    "ink": ("#010101", "#1b1f24", "#e6e9ed"),
    "soft": ("#020202", "#59636e", "#9aa4af"),
    "grid": ("#030303", "#d9dee3", "#333a42"),
    "paper": ("#080808", "#fff", "#0f1317"),
    "card": (None, "#f6f8fa", "#171c22"),
    "ours": ("#040404", "#0b5cad", "#5fb0ff"),
    "peer": ("#050505", "#b4500b", "#f0a04b"),
    "kernel": ("#060606", "#6a7380", "#8d97a3"),
    "limit": ("#070707", "#1b1f24", "#e6e9ed"),
}

# Broadcasts, whose writers have other work to do than that of a ring with one consumer.
NOT_IN_SERIES = ("ipc_lossy", "ipc_lossless", "ipc_records_loss")


def role(row):
    """The family of a row's system. A system that is not in the table is a peer, if the row does not tell."""
    return row.get("role") or SYSTEMS.get(row["system"], ("peer",))[0]


def label(row):
    name = SYSTEMS.get(row["system"], (None, row["system"]))[1]
    return name + (" †" if row.get("threads") else "")


def below(key):
    """The bare mechanism below a channel, or None."""
    return SYSTEMS.get(key, (None, None, None))[2]


def is_channel(key):
    return key.startswith("chan_")


def scheme(key):
    """A channel's URI, up to its colon."""
    return key.removeprefix("chan_").replace("_", "-") + ":"


def sleeps(key):
    """Is it a ring's form that sleeps, beside one that polls?"""
    return key.endswith("_sleep")


def is_in_series(row):
    """Does the row belong into a comparison of all systems? Broadcasts and blocks have other work to do; a
    form that sleeps is shown beside the one that polls; the ring stands for all channels and for slots."""
    key = row["system"]
    if role(row) == "limit" or row["shape"] in ("broadcast", "blocks") or sleeps(key):
        return False
    if key.startswith(NOT_IN_SERIES) or key in ("raw_ring", "ipc_slots"):
        return False
    return key == "chan_ring" or not is_channel(key)
