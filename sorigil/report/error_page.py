"""Where a model errs as one HTML page: slices by a column of choice, confusions, classes, and what is doubted or worst to be
listened to.

What the page shows was computed elsewhere (`found` is what `sorigil errors --json` prints). Everything that comes from
users is escaped, as on a run's page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sorigil.metrics.align import align_words
from sorigil.report.error_tables import ABOUT, UNITS, class_table, confusion_table, reach, slice_table
from sorigil.report.model import Edit
from sorigil.report.page import fill
from sorigil.report.tables import Table

MOST_PAIRS = 100  # confusions on the page, of each unit
MOST_SLICES = 300  # of each column, the worst


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """An utterance as `found` names it, with its sound where the page has room for it."""

    row: Mapping[str, Any]
    audio_flac: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorPage:
    """`silence` says why some utterances have no sound."""

    found: Mapping[str, Any]
    suspects: tuple[Shown, ...]
    worst: tuple[Shown, ...]
    silence: Mapping[str, int]


def render(page: ErrorPage) -> str:
    """The whole page as HTML text, to be written as UTF-8."""
    found = page.found
    text = found["objective"] == "ctc"
    return fill(
        "error_page.html.j2",
        styles=("page.css", "error_page.css"),
        scripts=("page.js", "error_page.js"),
        page=page,
        found=found,
        what=UNITS[found["objective"]],
        worst_slices=slice_table(found["worst"]) if found["worst"] else None,
        by_column=[_of_column(name, rows) for name, rows in _by_column(found).items()],
        confusions=[
            (unit, confusion_table(unit, rows[:MOST_PAIRS]).without("such as"), max(len(rows) - MOST_PAIRS, 0))
            for unit, rows in found["confusions"].items()
        ],
        classes=class_table(found["classes"], "tag" if found["objective"] == "tagging" else "class"),
        suspects=[(each, _heard(each.row, text)) for each in page.suspects],
        worst=[(each, edits(each.row["reference"], each.row["heard"], text)) for each in page.worst],
    )


def edits(reference: str, heard: str, text: bool) -> Sequence[Edit]:
    """The aligned difference of two texts, or of two labels as a whole."""
    if not text:
        return [("equal" if reference == heard else "substitute", reference, heard)]
    return [(each.op, " ".join(each.reference), " ".join(each.hypothesis)) for each in align_words(reference, heard)]


def _heard(row: Mapping[str, Any], text: bool) -> list[tuple[str, Sequence[Edit]]]:
    """What was heard by which models, each different answer once."""
    models: dict[str, list[str]] = {}
    for model, heard in row["heard"].items():
        models.setdefault(heard, []).append(model)
    return [(", ".join(names), edits(row["reference"], heard, text)) for heard, names in models.items()]


def _of_column(name: str, rows: Sequence[Mapping[str, Any]]) -> tuple[str, str, float, Table]:
    """A column's name, what it is, how far the axis of its intervals goes, and its slices; of pairs each has its name."""
    drawn = slice_table(rows)
    return name, ABOUT.get(name, ""), reach(rows), drawn if name == "pairs" else drawn.without("column")


def _by_column(found: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The slices of each column, those of pairs together behind them."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in found["slices"]:
        rows.setdefault(row["column"] if row["column"] in found["columns"] else "pairs", []).append(row)
    return {
        name: several if len(several) <= MOST_SLICES else sorted(several, key=lambda row: -row["rate"])[:MOST_SLICES]
        for name, several in rows.items()
    }
