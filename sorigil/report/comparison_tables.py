"""What is said of a comparison of two systems, in a sentence and in tables. The facts are those of `sorigil compare --json`;
how they look on a terminal and on a page is not said here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sorigil.report import numbers
from sorigil.report.charts import spaced
from sorigil.report.error_tables import slice_columns
from sorigil.report.tables import Cell, Table, chance, table

Row = Mapping[str, Any]

NAMES = {  # the others are called as they are
    "wer": "WER",
    "cer": "CER",
    "map": "mAP",
    "d_prime": "d′",
    "micro_f1": "micro F1",
    "tag_errors": "wrong tags an utterance",
}
ERRORS = {"ctc": "word errors", "classification": "wrong answers", "tagging": "wrong tags"}


def name_of(metric: str) -> str:
    """A metric as a person calls it."""
    return NAMES.get(metric, spaced(metric))


def verdict(metric: str, row: Row) -> str:
    """Whether B is better by this metric, by how much, and how sure that is; and where speakers make it doubtful."""
    a, b = (numbers.score(metric, row[each]) for each in ("a", "b"))
    if not row["delta"]:
        return f"No difference is shown: the {name_of(metric)} of both is {a}."
    difference = _difference_said(metric, row)
    if not row["better"]:
        return f"No difference is shown: {name_of(metric)} {a} of A and {b} of B, {difference}, which may be chance."
    mine, other = (b, f"A's {a}") if row["better"] == "b" else (a, f"B's {b}")
    said = f"{row['better'].upper()} is better: {name_of(metric)} {mine} instead of {other}, {difference}."
    by_speaker = row["interval_by_speaker"]
    if by_speaker and by_speaker[0] <= 0 <= by_speaker[1]:
        interval = numbers.difference_interval(metric, by_speaker)
        said += f" Of other speakers it may not hold: the interval by speaker is {interval}."
    return said


def metric_table(metrics: Mapping[str, Row]) -> Table:
    """A and B by each metric, and the difference; by speaker where any is known."""
    rows = list(metrics.items())
    intervals = [
        (title, key)
        for title, key in zip(numbers.INTERVALS, ("interval", "interval_by_speaker"), strict=True)
        if any(row[key] for row in metrics.values())
    ]
    return table(
        {
            "metric": [Cell(text=name_of(metric)) for metric, _ in rows],
            **{letter.upper(): [_score(metric, row[letter]) for metric, row in rows] for letter in ("a", "b")},
            _difference_head(metrics): [_difference(metric, row["delta"]) for metric, row in rows],
            **{title: [_interval(metric, row[key]) for metric, row in rows] for title, key in intervals},
            "p": [chance(_p(row)) for _, row in rows],
            "shown": [
                Cell(text=f"{row['better'].upper()} is better" if row["better"] else "nothing") for _, row in rows
            ],
        },
        words=("metric", "shown"),
    )


def changed_slices(slices: Sequence[Row]) -> list[Row]:
    """Those in which B is shown to be better or worse, the surest first."""
    return sorted((row for row in slices if row["change"]), key=lambda row: row["q"])


def slices_said(slices: Sequence[Row]) -> str:
    """In how many of them B is better and worse."""
    changed = changed_slices(slices)
    if not changed:
        return f"in none of {len(slices):,} slices a difference is shown"
    better = sum(row["change"] == "better" for row in changed)
    return f"B is better in {better:,} and worse in {len(changed) - better:,} of {len(slices):,} slices"


def paired_table(metric: str, rows: Sequence[Row]) -> Table:
    """A and B in each slice, and the difference."""
    return table(
        {
            **slice_columns(rows),
            **{letter.upper(): [_score(metric, row[letter]) for row in rows] for letter in ("a", "b")},
            _difference_head([metric]): [_difference(metric, row["delta"]) for row in rows],
            "95 %": [_interval(metric, row["interval"]) for row in rows],
            "q": [chance(row["q"]) for row in rows],
            "B is": [Cell(text=row["change"] or "–", mark=row["change"] or "") for row in rows],
        },
        words=("column", "value", "B is"),
    )


def seed_lines(found: Mapping[str, Any]) -> list[str]:
    """Over trainings that differ in their seeds only: all of A against all of B where both have several, else how those of
    one spread, the first of which is compared."""
    lines: list[str] = []
    for metric, sides in found["seeds"].items():
        together = found["pooled"].get(metric)
        lines += [_pooled_line(metric, together, sides)] if together else _spread_lines(metric, sides)
    return lines


def _spread_lines(metric: str, sides: Mapping[str, Row | None]) -> list[str]:
    return [
        f"{name_of(metric)} of {letter.upper()} over {row['n']} seeds: mean {_mean(metric, row)}; compared is the first"
        for letter, row in sides.items()
        if row
    ]


def _pooled_line(metric: str, row: Row, sides: Mapping[str, Row]) -> str:
    means = " and ".join(f"{_mean(metric, sides[each])} of {each.upper()}'s {sides[each]['n']}" for each in ("a", "b"))
    shown = f"{row['better'].upper()} is better, whatever the seed" if row["better"] else "no difference is shown"
    return f"{name_of(metric)} over seeds: mean {means}, {_difference_said(metric, row)}: {shown}"


def _mean(metric: str, row: Row) -> str:
    return f"{numbers.score(metric, row['mean'])} (standard deviation {numbers.score(metric, row['std'])})"


def _difference_said(metric: str, row: Row) -> str:
    """How large it is, and how sure that is."""
    p = chance(_p(row)).text
    sure = f"95 % interval {numbers.difference_interval(metric, row['interval'])}, p {p if p.startswith('<') else f'= {p}'}"
    return f"a difference of {numbers.difference(metric, row['delta'])}{_unit(metric)} ({sure})"


def _p(row: Row) -> float:
    """Of the exact test; of a figure that has none, of the bootstrap."""
    return float(row["test"]["p_exact"] if row.get("test") else row["p"])


def _score(metric: str, value: float) -> Cell:
    return Cell(text=numbers.score(metric, value), sort=value)


def _difference(metric: str, value: float) -> Cell:
    return Cell(text=numbers.difference(metric, value), sort=value)


def _interval(metric: str, bounds: Sequence[float] | None) -> Cell:
    return Cell(text=numbers.difference_interval(metric, bounds), sort=bounds[0] if bounds else None)


def _unit(metric: str) -> str:
    return " points" if numbers.is_share(metric) else ""


def _difference_head(metrics: Sequence[str] | Mapping[str, Row]) -> str:
    """Differences of shares are in percentage points."""
    shares = [numbers.is_share(metric) for metric in metrics]
    return "B − A, points" if all(shares) else "B − A, shares in points" if any(shares) else "B − A"
