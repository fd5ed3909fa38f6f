"""A result as plots: SVG with its text as text, the same bytes from the same result."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path

import environment
import matplotlib as mpl
import peers
from cases import IMAGE_BYTES, SIZES
from matplotlib import pyplot as plt
from results import Result
from tables import duration, significant

mpl.use("svg")
STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.alpha": 0.3,
    "svg.fonttype": "none",
    "svg.hashsalt": "mmhash",
}

# Colour, dashes and width of a line; the peers that are not drawn are close to one that is.
LINES = {
    peers.READ_LIMIT: ("#888888", ":", 1.5),
    peers.IDENTITY_2: ("#c0392b", "--", 2.0),
    peers.IDENTITY: ("#c0392b", "-", 2.5),
    peers.XXHASH_READY: ("#2471a3", ":", 1.5),
    peers.XXHASH_VALUE: ("#2471a3", "-", 1.5),
    peers.BLAKE3: ("#229954", "-", 1.5),
    peers.SGLANG_0_5_23: ("#b7950b", "-", 1.5),
    peers.SGLANG_0_5_5: ("#7d6608", "--", 1.5),
}


def throughput(result: Result) -> plt.Figure:
    """Speed over size, of a contiguous float32 tensor."""
    figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
    sizes = [result.rows[case][peers.IDENTITY].nbytes for case in SIZES]
    for peer, (colour, dashes, width) in LINES.items():
        speeds = [row.nbytes / row.median / 1e9 for row in (result.rows[c][peer] for c in SIZES)]
        axes.plot(sizes, speeds, color=colour, ls=dashes, lw=width, marker="o", ms=3, label=peer)
    axes.set(xscale="log", yscale="log", xlabel="size of the tensor", ylabel="GB/s")
    axes.set_xticks(sizes, list(SIZES))
    axes.set_xticks([], minor=True)
    ticks = [0.01, 0.1, 1, 10, 50]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(0.004, 100)
    axes.legend(loc="lower right", fontsize=9, frameon=False)
    axes.set_title("Hashing a float32 tensor (log scales; higher is faster)", loc="left")
    return figure


def image(result: Result) -> plt.Figure:
    """What one image's features take, as bars."""
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    rows = result.rows[IMAGE_BYTES]
    names = list(reversed(LINES))
    times = [rows[name].median * 1e3 for name in names]
    bars = axes.barh(names, times, color=[LINES[name][0] for name in names], height=0.7)
    labels = [
        f"{duration(rows[name].median)}  ({significant(rows[name].ratio)}x)" for name in names
    ]
    axes.bar_label(bars, labels, padding=4, fontsize=9)
    axes.set_xlim(0, max(times) * 1.25)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("ms a call")
    axes.set_title(f"One image's features, {IMAGE_BYTES} of float32", loc="left")
    return figure


PLOTS = {"throughput": throughput, "image": image}


def svg(plot: str, result: Result) -> str:
    """The drawing; its description names the machine and `origin`."""
    metadata = {"Date": None, "Creator": None, "Description": description(plot, result)}
    with plt.rc_context(STYLE):
        figure = PLOTS[plot](result)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=metadata)
        plt.close(figure)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def description(plot: str, result: Result) -> str:
    return f"{environment.line(result.machine)}. Drawn from {origin(plot, result)}"


def origin(plot: str, result: Result) -> str:
    """A digest of all that a drawing is made from: the result and this file, but not matplotlib.

    Another release of matplotlib may draw other bytes from them, which outdates no drawing.
    """
    hasher = hashlib.sha256(json.dumps([plot, asdict(result)], sort_keys=True).encode())
    hasher.update(Path(__file__).read_bytes())
    return hasher.hexdigest()[:16]
