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
from sorigil.report.charts import spaced
from sorigil.report.differences import mark
from sorigil.report.page import fill

Kind = Literal["better", "worse", "otherwise"]
MOST_WORDS = 40
ERRORS = {"ctc": "word errors", "classification": "wrong answers", "tagging": "wrong tags"}


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
    found = page.found
    cells = [(each, [_cells(column) for column in each.columns]) for each in page.heard]
    return fill(
        "comparison.html.j2",
        styles=("page.css", "comparison.css"),
        scripts=("page.js", "comparison.js"),
        page=page,
        found=found,
        errors=ERRORS[found["objective"]],
        verdicts=[(metric, row, verdict(metric, row)) for metric, row in found["metrics"].items()],
        drawn=drawn(found["metrics"]),
        words=[(title, found["words"][key][:MOST_WORDS], len(found["words"][key])) for title, key in _WORDS],
        same=found["utterances"] - len(found["changes"]),
        kinds=[(kind, found[kind], sum(each.kind == kind for each in page.heard)) for kind in _KINDS],
        cells=cells,
        names=("REF", "A", "B"),
        slices=found.get("slices", []),
    )


_WORDS = (("Only B has right", "mended"), ("Only A has right", "broken"))
_KINDS: tuple[Kind, ...] = ("better", "worse", "otherwise")


def verdict(metric: str, row: Mapping[str, Any]) -> str:
    """One sentence: whether B is better by this metric, by how much, and how sure that is."""
    name = spaced(metric).upper() if metric in ("wer", "cer") else spaced(metric)
    chance = f"p {row['test']['p_exact']:.2g}"
    if row["better"]:
        low, high = sorted(abs(bound) for bound in row["interval"])
        way = "higher" if metric in HIGHER_IS_BETTER else "lower"
        sure = f"95 % interval {numbers.points(metric, low)} to {numbers.points(metric, high)}, {chance}"
        return (
            f"{row['better'].upper()} is better: its {name} is {numbers.points(metric, row['delta'])} {way} ({sure})."
        )
    if not row["delta"]:
        return f"No difference is shown: the {name} of both is {numbers.score(metric, row['a'])}."
    by = numbers.points(metric, row["delta"])
    return f"No difference is shown: the {name} differs by {by}, which may be chance ({chance})."


def drawn(metrics: Mapping[str, Mapping[str, Any]]) -> Markup:
    """The differences B - A with their intervals, a line each, about 0."""
    shares = [numbers.is_share(metric) for metric in metrics]
    factor = 100.0 if all(shares) else 1.0
    rows = [
        (spaced(metric), factor * row["delta"], [factor * bound for bound in row["interval"]], row["better"] or "")
        for metric, row in metrics.items()
    ]
    better = "right" if any(metric in HIGHER_IS_BETTER for metric in metrics) else "left"
    unit = "percentage points" if factor == 100 else "errors an utterance"
    return svg.interval_chart(rows, x_title=f"B - A, {unit}; {better} of 0 B is better")


def _cells(column: Sequence[str | None]) -> tuple[str, list[tuple[str, str]]]:
    """What B did to the word (mended, broken or nothing), and each row's word with its mark S, D, I or none."""
    said, one, other = column
    changed = "" if one == other else "mended" if other == said else "broken" if one == said else "other"
    return changed, [(word or "", "" if row == 0 else mark(said, word)) for row, word in enumerate(column)]
