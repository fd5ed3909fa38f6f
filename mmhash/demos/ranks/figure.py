"""The results as a figure: timelines on the left, throughput and p99 on the right."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

from mmhash.demos.ranks import document as documents

SUFFIXES = (".png", ".svg")
COLOURS = {
    "hash": "#c0392b",
    "copy": "#2471a3",
    "send": "#7fb3d5",
    "receive": "#a9cce3",
    "map": "#1abc9c",
    "wait": "#d5d8dc",
}
BARS = "#566573"
STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "mmhash",
}


def save(document: dict[str, Any], path: Path) -> None:
    """Write the figure; the suffix tells the format. OSError: it cannot be written."""
    if path.suffix == ".svg":
        path.write_text(svg(document))
    else:
        path.write_bytes(_rendered(document, "png", {"Description": _description(document)}))


def svg(document: dict[str, Any]) -> str:
    """The figure as SVG, its text as text: the same from the same document.

    Its description names the machine and `origin`.
    """
    metadata = {"Date": None, "Creator": None, "Description": _description(document)}
    text = _rendered(document, "svg", metadata).decode()
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def origin(document: dict[str, Any]) -> str:
    """A digest of what the figure is made from: the document and this file, but not matplotlib.

    Another release of matplotlib may draw other bytes from them, which outdates no figure.
    """
    hasher = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    hasher.update(Path(__file__).read_bytes())
    return hasher.hexdigest()[:16]


def _description(document: dict[str, Any]) -> str:
    line = documents.environment_line(document["environment"])
    return f"{line}. Drawn from {origin(document)}"


def _rendered(document: dict[str, Any], kind: str, metadata: dict[str, Any]) -> bytes:
    import matplotlib as mpl
    from matplotlib.figure import Figure  # not pyplot: that would look for a display

    with mpl.rc_context(STYLE):
        strategies = document["strategies"]
        figure = Figure(figsize=(10, 0.9 + 1.15 * len(strategies)), layout="constrained", dpi=150)
        panels: Any = figure.subfigures(1, 2, width_ratios=(2.2, 1))
        left, right = panels
        _draw_timelines(left, document)
        _draw_numbers(right, strategies)
        output = io.BytesIO()
        figure.savefig(output, format=kind, metadata=metadata)
    return output.getvalue()


def _draw_timelines(panel: Any, document: dict[str, Any]) -> None:
    timeline, settings = document["timeline"], document["settings"]
    found = timeline["strategies"]
    rows = panel.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, one) in zip(rows, found.items(), strict=True):
        processes = list(one["processes"])
        for row, process in enumerate(processes):
            for stage, colour in COLOURS.items():
                spans = [
                    (start * 1e3, (end - start) * 1e3)
                    for event, start, end in one["processes"][process]
                    if event == stage
                ]
                axes.broken_barh(spans, (row - 0.42, 0.84), color=colour, lw=0)
        ends = [end * 1e3 for end in one["readable"]]
        axes.plot(ends, [len(processes) - 0.2] * len(ends), "k^", ms=3.5, clip_on=False)
        axes.set_yticks(range(len(processes)), processes, fontsize=7)
        axes.set_ylim(len(processes), -0.6)
        axes.tick_params(axis="y", length=0)
        count = len(ends)
        plural = "s" * (count != 1)
        axes.set_title(
            f"{name}: {count} request{plural} readable on all ranks ({chr(0x25B2)})",
            loc="left",
            fontsize=9,
        )
    rows[-1].set_xlim(0, timeline["seconds"] * 1e3)
    rows[-1].set_xlabel("ms since the sender had the first request's features")
    images = settings["images"]
    panel.suptitle(
        f"{settings['ranks']} ranks, {images} image{'s' * (images != 1)} of "
        f"{settings['image_size']} a request, by {settings['transport']}",
        x=0.01,
        ha="left",
    )
    handles = [mpl_patch(colour, stage) for stage, colour in COLOURS.items()]
    panel.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def mpl_patch(colour: str, label: str) -> Any:
    """A legend's entry."""
    from matplotlib.patches import Patch

    return Patch(color=colour, label=label)


def _draw_numbers(panel: Any, strategies: list[dict[str, Any]]) -> None:
    names = [strategy["name"] for strategy in strategies]
    upper, lower = panel.subplots(2, 1)
    speeds = [(s["requests_per_s"], s["rounds"]) for s in strategies]
    _draw_bars(upper, names, speeds, "requests/s (marks: the rounds)")
    latencies: list[tuple[float, list[float]]] = [
        (s["latency"]["p99"] * 1e3, []) for s in strategies
    ]
    _draw_bars(lower, names, latencies, "p99, ms from receipt to pad_value")


def _draw_bars(
    axes: Any, names: list[str], values: list[tuple[float, list[float]]], label: str
) -> None:
    """One bar a strategy, and marks for the single values that it stands for."""
    ends = [max([value, *marks]) for value, marks in values]
    for row, (value, marks) in enumerate(values):
        axes.barh(row, value, color=BARS, height=0.7)
        axes.plot(marks, [row] * len(marks), "k|", ms=7, mew=0.8)
        axes.annotate(
            f"{value:.3g}",
            (ends[row], row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, max(ends) * 1.25)
    axes.invert_yaxis()
    axes.set_xlabel(label)
