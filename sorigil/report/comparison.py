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
MOST_SLICES = 12  # in the picture
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
    found, metric = page.found, next(iter(page.found["metrics"]))
    cells = [(each, [_cells(column) for column in each.columns]) for each in page.heard]
    return fill(
        "comparison.html.j2",
        styles=("page.css", "comparison.css"),
        scripts=("page.js", "comparison.js"),
        page=page,
        found=found,
        units="Words" if found["objective"] == "ctc" else "Labels",
        errors=ERRORS[found["objective"]],
        verdicts=[(metric, row, verdict(metric, row)) for metric, row in found["metrics"].items()],
        drawn=drawn(found["metrics"]),
        words=[(title, found["words"][key][:MOST_WORDS], len(found["words"][key])) for title, key in _WORDS],
        same=found["utterances"] - len(found["changes"]),
        kinds=[(kind, found[kind], sum(each.kind == kind for each in page.heard)) for kind in _KINDS],
        cells=cells,
        names=("REF", "A", "B"),
        seeds=seed_lines(found),
        metric=metric,
        metric_name=_NAMES.get(metric, spaced(metric)),
        slices=sorted(found["slices"], key=lambda row: (row["change"] is None, 2.0 if row["q"] is None else row["q"])),
        drawn_slices=_drawn_slices(metric, found["slices"]),
    )


_WORDS = (("Only B has right", "mended"), ("Only A has right", "broken"))
_NAMES = {"wer": "WER", "cer": "CER", "tag_errors": "number of wrong tags"}
_KINDS: tuple[Kind, ...] = ("better", "worse", "otherwise")


def verdict(metric: str, row: Mapping[str, Any]) -> str:
    """One sentence: whether B is better by this metric, by how much, and how sure that is."""
    name = _NAMES.get(metric, spaced(metric))
    chance = f"p {row['test']['p_exact']:.2g}"
    if row["better"]:
        low, high = sorted(abs(bound) for bound in row["interval"])
        way = "higher" if metric in HIGHER_IS_BETTER else "lower"
        least = numbers.points(metric, low).removesuffix(" points")
        sure = f"95 % interval {least} to {numbers.points(metric, high)}, {chance}"
        return (
            f"{row['better'].upper()} is better: its {name} is {numbers.points(metric, row['delta'])} {way} ({sure})."
        )
    if not row["delta"]:
        return f"No difference is shown: the {name} of both is {numbers.score(metric, row['a'])}."
    by = numbers.points(metric, row["delta"])
    return f"No difference is shown: the {name} differs by {by}, which may be chance ({chance})."


def seed_lines(found: Mapping[str, Any]) -> list[str]:
    """The spread over trainings that differ in their seeds only: what is compared is the first of each."""
    return [
        f"{metric} of {letter.upper()} over {row['n']} seeds: mean {numbers.score(metric, row['mean'])}, "
        f"std {numbers.score(metric, row['std'])}; compared is the first"
        for metric, sides in found["seeds"].items()
        for letter, row in sides.items()
        if row
    ]


def drawn(metrics: Mapping[str, Mapping[str, Any]]) -> Markup:
    """The differences B - A with their intervals, a line each, about 0."""
    rows = [(spaced(metric), row["delta"], row["interval"], bool(row["better"])) for metric, row in metrics.items()]
    return _intervals(next(iter(metrics)), rows)


def _drawn_slices(metric: str, slices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is said of all slices, and a picture of those that changed, the surest first."""
    changed = sorted((row for row in slices if row["change"]), key=lambda row: row["q"])
    if not changed:
        return {"said": f"In none of {len(slices):,} slices a change is shown.", "svg": None}
    better = sum(row["change"] == "better" for row in changed)
    rows = [(f"{row['column']} {row['value']}", row["delta"], row["interval"], True) for row in changed[:MOST_SLICES]]
    said = f"B is better in {better:,} and worse in {len(changed) - better:,} of {len(slices):,} slices."
    return {"said": said, "svg": _intervals(metric, rows)}


def _intervals(metric: str, rows: Sequence[tuple[str, float, Sequence[float], bool]]) -> Markup:
    factor = 100.0 if numbers.is_share(metric) else 1.0
    scaled = [
        (name, factor * value, [factor * bound for bound in interval], shown) for name, value, interval, shown in rows
    ]
    better = "right" if metric in HIGHER_IS_BETTER else "left"
    unit = "percentage points" if factor == 100 else "errors an utterance"
    return svg.interval_chart(scaled, x_title=f"B - A, {unit}; {better} of 0 B is better")


def _cells(column: Sequence[str | None]) -> tuple[str, list[tuple[str, str]]]:
    """What B did to the word (mended, broken or nothing), and each row's word with its mark S, D, I or none."""
    said, one, other = column
    changed = "" if one == other else "mended" if other == said else "broken" if one == said else "other"
    return changed, [(word or "", "" if row == 0 else mark(said, word)) for row, word in enumerate(column)]
