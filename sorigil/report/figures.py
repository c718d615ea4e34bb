"""The same charts as PNG bytes, for MLflow's artefacts: learning curves, learning-rate sweep, grid of
decoders, confusion matrix, reliability, tags, histogram.

Drawn with matplotlib's `Figure` objects, never pyplot: no global state, no display, safe in threads. The page itself
does not use these (its text is the browser's).
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigil.metrics.calibration import ReliabilityBin
from sorigil.metrics.per_tag import TagScore
from sorigil.report import charts
from sorigil.report.glyphs import drawable, fonts, readable

DPI = 120
MOST_CLASSES = 60
LONGEST_NAME = 22


def learning_curves_png(
    history: Sequence[Mapping[str, Any]], *, title: str = "", best_epoch: int | None = None
) -> bytes:
    """Loss, dev metrics and learning rate by epoch (`charts.panels` says which keys are drawn), side by side."""
    panels = charts.panels(history)
    figure = _figure(4.8 * max(len(panels), 1), 3.4)
    for number, panel in enumerate(panels, start=1):
        _curves(figure.add_subplot(1, len(panels), number), panel, best_epoch)
    return _png(figure, title)


def _curves(axes: Any, panel: charts.Panel, best_epoch: int | None) -> None:
    from matplotlib.ticker import MaxNLocator

    for name, points in panel.curves:
        marker = "o" if len(points) < 40 else None
        axes.plot([x for x, _ in points], [y for _, y in points], label=drawable(name), marker=marker, markersize=3)
    if best_epoch is not None:
        axes.axvline(best_epoch, color="grey", linestyle=":", label=f"best: epoch {best_epoch}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=drawable(panel.unit))
    if all(value >= 0 for _, points in panel.curves for _, value in points if math.isfinite(value)):
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.25)


def sweep_png(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float, *, title: str = ""
) -> bytes:
    """The loss of each step over its learning rate, on a logarithmic axis, and the rate that is suggested."""
    figure = _figure(5.2, 3.4)
    axes = figure.add_subplot(1, 1, 1)
    axes.plot(rates, losses, alpha=0.35, label="loss of the step")
    axes.plot(rates, smoothed, label="smoothed")
    axes.axvline(suggestion, color="grey", linestyle=":", label=f"suggested: {suggestion:.1e}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.25)
    return _png(figure, title)


def tuning_png(values: Mapping[str, Sequence[float]], wer: Sequence[float], *, title: str = "") -> bytes:
    """How the WER (a share) depends on each number of a grid of decoders: a panel for each, a dot for each decoder.

    `values` holds, by the number's name, one value for each decoder, as `wer` does. The best at each value are joined by
    a line, the first of the best of all has a ring.
    """
    percent = [100 * each for each in wer]
    figure = _figure(3.6 * len(values), 3.4)
    panels = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for axes, (name, column) in zip(panels, values.items(), strict=True):
        best: dict[float, float] = {}
        for value, height in sorted(zip(column, percent, strict=True), reverse=True):
            best[value] = height  # the lowest comes last
        axes.plot(column, percent, "o", color="grey", alpha=0.35, markersize=4, label="a decoder")
        axes.plot(list(best), list(best.values()), marker="o", markersize=4, label="the best at a value")
        winner = percent.index(min(percent))
        axes.plot(
            column[winner], percent[winner], "o", color="black", fillstyle="none", markersize=10, label="the best"
        )
        axes.set_xlabel(charts.spaced(name))
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("dev WER, %")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    return _png(figure, title)


def confusion_png(labels: Sequence[str], matrix: npt.NDArray[Any], *, title: str = "") -> bytes:
    """Counts by reference (rows) and hypothesis (columns), shaded by the share of the row.

    Of more than 60 classes those with the most errors are drawn. Labels that no installed font can write are numbered
    and romanised (`readable`).
    """
    shown, counts = charts.worst_classes(labels, matrix, MOST_CLASSES)
    side = max(3.4, 0.3 * len(shown) + 1.6)
    figure = _figure(side + 0.6, side)
    axes = figure.add_subplot(1, 1, 1)
    if shown:
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.argwhere(counts):
            ink = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=7)
    names = list(map(_short, readable(shown)))
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="hypothesis", ylabel="reference")
    return _png(figure, title)


def reliability_png(bins: Sequence[ReliabilityBin], *, title: str = "") -> bytes:
    """The share that was right by confidence, with the line where the two agree; below, how many answers each bin has."""
    figure = _figure(4.6, 5.2)
    shares, items = figure.subplots(2, 1, height_ratios=(3, 1))
    there = [(each.low, each.confidence, each.right) for each in bins if each.right is not None]
    width = 1 / max(len(bins), 1)
    shares.plot([0, 1], [0, 1], color="grey", linestyle=":", label="as sure as right")
    shares.bar(
        [low for low, *_ in there], [right for *_, right in there], width, align="edge", alpha=0.45, label="right"
    )
    shares.plot(
        [sure for _, sure, _ in there], [right for *_, right in there], "ko", markersize=3, label="mean confidence"
    )
    items.bar([each.low for each in bins], [each.items for each in bins], width, align="edge")
    shares.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share right")
    items.set(xlim=(0, 1), xlabel="confidence", ylabel="answers")
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    return _png(figure, title)


def tags_png(tags: Sequence[TagScore], *, title: str = "") -> bytes:
    """Average precision and F1 of each tag, the best at the top; of more than 60 tags those with the least precision.

    Tags that no item has have no precision and are left out.
    """
    judged = sorted((row for row in tags if row.items), key=lambda row: row.average_precision or 0.0)
    shown = judged[:MOST_CLASSES]
    figure = _figure(6.0, 0.22 * len(shown) + 1.4)
    axes = figure.add_subplot(1, 1, 1)
    places = range(len(shown))
    axes.barh(
        places, [row.average_precision or 0.0 for row in shown], color="lightsteelblue", label="average precision"
    )
    axes.plot([row.f1 or 0.0 for row in shown], places, "ko", markersize=3, label="F1")
    axes.plot([row.best_f1 or 0.0 for row in shown], places, "k|", markersize=7, label="best F1")
    names = readable([f"{_short(row.tag)} ({row.items:,})" for row in shown])
    axes.set_yticks(places, names, fontsize=8)
    axes.set(xlim=(0, 1.02), xlabel="share", ylabel="tag (items)")
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    return _png(figure, title)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _png(figure: Any, title: str) -> bytes:
    """Names from users are text, never formulas: without `parse_math=False` a `$` in a label would be an error."""
    from matplotlib.text import Text

    if title:
        figure.suptitle(drawable(title), fontsize=11)
    families, _ = fonts()
    for text in figure.findobj(Text):
        text.set(fontfamily=families, parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
