"""What `sorigil errors` says to a person: tables of the worst slices, confusions, classes and doubted references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sorigil.report import numbers
from sorigil.report.error_tables import UNITS, class_table, confusion_table, slice_table
from sorigil.report.tables import Cell, Table, in_terminal, table


def errors_text(found: Mapping[str, Any], limit: int) -> str:
    """Tables of at most `limit` rows each; with 0 the first line alone."""
    rate = numbers.score("rate", found["rate"])
    what = UNITS[found["objective"]]
    lines = [
        f"{found['pipeline']}.{found['entry']} on {found['split']}: {found['errors_total']:,} errors in "
        f"{found['units']:,} {what} of {found['utterances']:,} utterances ({rate})",
    ]
    if not limit:
        return lines[0]
    lines += ["", *_slices(found, limit)]
    for unit, rows in found["confusions"].items():
        nothing = [f"{unit}: none was taken for another"]
        lines += ["", *(in_terminal(confusion_table(unit, rows), limit, "pairs") if rows else nothing)]
    name, plural = ("tag", "tags") if found["objective"] == "tagging" else ("class", "classes")
    if found["classes"]:
        lines += ["", *in_terminal(class_table(found["classes"], name), limit, plural)]
    return "\n".join([*lines, "", *_suspects(found, limit)])


def _slices(found: Mapping[str, Any], limit: int) -> list[str]:
    if not found["columns"]:
        return ["no slices: there are too few utterances, or nothing tells them apart"]
    looked = f"{len(found['slices']):,} slices by {', '.join(found['columns'])}"
    if not found["worst"]:
        return [f"no slice is shown to be worse than the rest ({looked})"]
    return [*in_terminal(slice_table(found["worst"]), limit, "slices", title="worst slices"), f"  of {looked}"]


def _suspects(found: Mapping[str, Any], limit: int) -> list[str]:
    rows, models = found["suspects"], ", ".join(found["audited_by"])
    if not rows:
        return [f"no reference is doubted ({models})"]
    return [*in_terminal(_suspect_table(rows), limit, "utterances"), f"  by {models}; listen with --html PAGE"]


def _suspect_table(rows: list[dict[str, Any]]) -> Table:
    """On a page these stand as aligned texts."""
    return table(
        {
            "references to doubt": [Cell(text=row["id"]) for row in rows],
            "reference": [Cell(text=row["reference"]) for row in rows],
            "heard": [Cell(text=next(iter(row["heard"].values()))) for row in rows],
            "alike": [Cell(text=f"{100 * row['agreement']:.0f} %") for row in rows],
            "sure": [Cell(text=f"{row['confidence']:.2f}") for row in rows],
            "where": [Cell(text=f"{row['uri']}{_at(row)}") for row in rows],
        },
        words=("references to doubt", "reference", "heard", "where"),
    )


def _at(row: Mapping[str, Any]) -> str:
    return f" at {row['start']:.1f} s" if row["start"] else ""
