"""What is in the tables of a model's errors: slices, what is taken for what, classes. The rows are those of `sorigil errors
--json`; how they look on a terminal, on a page and in a card is not said here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sorigil.metrics.slice_columns import SPEAKER
from sorigil.report import numbers
from sorigil.report.tables import Cell, Mark, Table, chance, table

Row = Mapping[str, Any]

UNITS = {"ctc": "words", "classification": "answers", "tagging": "tags there or said"}  # what errors are counted of
NOTHING = "***"  # as sclite writes what was not said, or not heard
ABOUT = {  # columns whose names do not say what they are
    "lang": "language",
    "seconds": "how long it is",
    "words": "of the reference",
    "characters_per_second": "how fast it is spoken",
    "snr_db": "signal to noise",
    "lufs": "loudness",
    "bandwidth_hz": "up to where there is sound",
    "clipped_share": "of the samples",
    "silence_share": "of the time",
    "speech_share": "of the time",
    "container": "of the file",
    "sample_rate": "of the file",
}


def slice_table(rows: Sequence[Row]) -> Table:
    """Rates by slice; their intervals are drawn from 0 to `reach`."""
    most = reach(rows)
    return table(
        {
            **slice_columns(rows),
            "rate": [share(row["rate"]) for row in rows],
            "95 %": [_interval(row, most) for row in rows],
            "rest": [share(row["rest"]) for row in rows],
            "q": [chance(row["q"]) for row in rows],
            "of all errors": [
                Cell(text=f"{100 * row['share_of_errors']:.0f} %", sort=row["share_of_errors"]) for row in rows
            ],
        },
        words=("column", "value"),
    )


def reach(rows: Sequence[Row]) -> float:
    """How far the axis of a table's intervals goes."""
    return max((row["interval"][1] for row in rows), default=0.0) or 1.0


def slice_columns(rows: Sequence[Row]) -> dict[str, list[Cell]]:
    """What every table of slices begins with: which utterances these are, and of how many speakers where it is known."""
    columns = {
        "column": [Cell(text=row["column"], note=ABOUT.get(row["column"], "")) for row in rows],
        "value": [Cell(text=row["value"], mark=_mark(row)) for row in rows],
        "utterances": [count(row["utterances"]) for row in rows],
    }
    if any(row["groups"] is not None for row in rows if row["column"] != SPEAKER):
        columns["speakers"] = [count(row["groups"]) for row in rows]
    return columns


def confusion_table(unit: str, rows: Sequence[Row]) -> Table:
    """Pairs of what was said and what was heard in its place."""
    return table(
        {
            f"{unit} said": [Cell(text=row["said"] or NOTHING) for row in rows],
            "heard": [Cell(text=row["heard"] or NOTHING) for row in rows],
            "times": [count(row["times"]) for row in rows],
            "of": [Cell(text="") if row["of"] is None else count(row["of"]) for row in rows],
            "such as": [Cell(text=", ".join(row["examples"])) for row in rows],
        },
        words=(f"{unit} said", "heard", "such as"),
    )


def class_table(rows: Sequence[Row], name: str = "class") -> Table:
    """Classes, or tags, and what they are most often taken for."""
    return table(
        {
            name: [Cell(text=row["label"]) for row in rows],
            "items": [count(row["items"]) for row in rows],
            "answered": [count(row["said"]) for row in rows],
            **{
                title: [Cell(text=numbers.score(name, row[name]), sort=row[name]) for row in rows]
                for title, name in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
            },
            "taken for": [
                Cell(text=f"{row['taken_for']} × {row['times']:,}" if row["taken_for"] else "") for row in rows
            ],
        },
        words=(name, "taken for"),
    )


def count(number: int | None) -> Cell:
    """How many; a dash where it is not known."""
    return Cell(text=numbers.count(number), sort=number)


def share(value: float | None) -> Cell:
    """A rate in percent."""
    return Cell(text=numbers.score("rate", value), sort=value)


def _interval(row: Row, most: float) -> Cell:
    low, high = row["interval"]
    text = numbers.interval("rate", row["interval"])
    return Cell(text=text, sort=low, reach=(low / most, row["rate"] / most, high / most), mark=_mark(row))


def _mark(row: Row) -> Mark:
    return "worse" if row.get("worse") else ""  # of two systems another column says it
