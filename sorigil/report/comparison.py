"""A comparison of two systems as one HTML page: the verdict, the differences as a picture, slices, words, and what changed,
to be listened to.

What the page shows was computed elsewhere (`found` is what `sorigil compare --json` prints); here it is put into words and
drawn. Everything that comes from users is escaped, as on a run's page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from sorigil.metrics.comparison import HIGHER_IS_BETTER
from sorigil.report import numbers, svg
from sorigil.report.comparison_tables import (
    ERRORS,
    changed_slices,
    metric_table,
    name_of,
    paired_table,
    seed_lines,
    slices_said,
    verdict,
)
from sorigil.report.differences import mark
from sorigil.report.page import fill

Kind = Literal["better", "worse", "otherwise"]
MOST_WORDS = 40
MOST_SLICES = 12  # in the picture
LONGEST_NAME = 48  # in the heading


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """An utterance that the two heard differently. `columns`: (reference, A, B) words, None where one has nothing."""

    id: str
    errors_a: int
    errors_b: int
    columns: Sequence[Sequence[str | None]]
    speaker: str | None = None
    seconds: float | None = None
    audio_flac: bytes | None = None

    @property
    def gain(self) -> int:
        """Errors that B has fewer than A."""
        return self.errors_a - self.errors_b

    @property
    def kind(self) -> Kind:
        """What B did to it."""
        return "better" if self.gain > 0 else "worse" if self.gain < 0 else "otherwise"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonPage:
    """`heard` are those of the changes that the page has room for; `silence` says why some have no sound."""

    found: Mapping[str, Any]
    heard: tuple[Heard, ...]
    silence: Mapping[str, int]


def render(page: ComparisonPage) -> str:
    """The whole page as HTML text, to be written as UTF-8."""
    found, metric, sliced = page.found, next(iter(page.found["metrics"])), page.found["slice_metric"]
    changed = changed_slices(found["slices"])
    return fill(
        "comparison.html.j2",
        styles=("page.css", "comparison.css"),
        scripts=("page.js", "comparison.js"),
        page=page,
        found=found,
        called=[_called(side) for side in found["sides"]],
        units="Words" if found["objective"] == "ctc" else "Labels",
        errors=ERRORS[found["objective"]],
        verdict=verdict(metric, found["metrics"][metric]),
        metrics=metric_table(found["metrics"]),
        drawn=drawn(found["metrics"]),
        words=[(title, found["words"][key][:MOST_WORDS], len(found["words"][key])) for title, key in _WORDS],
        same=found["utterances"] - len(found["changes"]),
        kinds=[(kind, found[kind], sum(each.kind == kind for each in page.heard)) for kind in _KINDS],
        cells=[(each, [_cells(column) for column in each.columns]) for each in page.heard],
        names=("REF", "A", "B"),
        seeds=seed_lines(found),
        metric_name=name_of(sliced),
        slices_said=slices_said(found["slices"]),
        changed_slices=paired_table(sliced, changed) if changed else None,
        drawn_slices=_drawn_slices(sliced, changed) if changed else None,
        all_slices=paired_table(sliced, _shown_first(found["slices"])),
    )


_WORDS = (("Only B has right", "mended"), ("Only A has right", "broken"))
_KINDS: tuple[Kind, ...] = ("better", "worse", "otherwise")


def _called(side: Mapping[str, Any]) -> str:
    """A name that fits into a heading: of a score by its key or its path what was scored, of a long path its end."""
    name, score = str(side["name"]), str(side["score"] or "")
    if score and (score.startswith(name) or score in name):
        return f"{side['model'] or 'score'} {score[:12]}"
    return name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME:]}"


def _shown_first(slices: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that changed, the surest of the others, and those that may not be tested."""
    return sorted(slices, key=lambda row: (row["change"] is None, row["q"] is None, row["q"] or 0.0))


def drawn(metrics: Mapping[str, Mapping[str, Any]]) -> Markup:
    """The differences B - A with their intervals, a line each, about 0: of those metrics that have the first one's unit."""
    first = next(iter(metrics))
    rows = [
        (name_of(metric), row["delta"], row["interval"], bool(row["better"]))
        for metric, row in metrics.items()
        if (numbers.is_share(metric), metric in HIGHER_IS_BETTER)
        == (numbers.is_share(first), first in HIGHER_IS_BETTER)
    ]
    return _intervals(first, rows)


def _drawn_slices(metric: str, changed: Sequence[Mapping[str, Any]]) -> Markup:
    return _intervals(
        metric,
        [(f"{row['column']} {row['value']}", row["delta"], row["interval"], True) for row in changed[:MOST_SLICES]],
    )


def _intervals(metric: str, rows: Sequence[tuple[str, float, Sequence[float], bool]]) -> Markup:
    factor = 100.0 if numbers.is_share(metric) else 1.0
    scaled = [
        (name, factor * value, [factor * bound for bound in interval], shown) for name, value, interval, shown in rows
    ]
    better = "right" if metric in HIGHER_IS_BETTER else "left"
    unit = "percentage points" if factor == 100 else "errors an utterance"
    return svg.interval_chart(scaled, x_title=f"B − A, {unit}; {better} of 0 B is better")


def _cells(column: Sequence[str | None]) -> tuple[str, list[tuple[str, str]]]:
    """What B did to the word (mended, broken or nothing), and each row's word with its mark S, D, I or none."""
    said, one, other = column
    changed = "" if one == other else "mended" if other == said else "broken" if one == said else "other"
    return changed, [(word or "", "" if row == 0 else mark(said, word)) for row, word in enumerate(column)]
