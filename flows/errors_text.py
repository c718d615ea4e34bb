"""What `sorigil errors` says to a person: tables of the worst slices, confusions, classes and doubted references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sorigil.report import numbers
from sorigil.report.summary import cut, table

NOTHING = "***"  # as sclite writes what was not said, or not heard
WIDE = 40


def errors_text(found: Mapping[str, Any], limit: int) -> str:
    """Tables of at most `limit` rows each; with 0 the first line alone."""
    rate = numbers.score("rate", found["rate"])
    what = "words" if found["objective"] == "ctc" else "answers"
    lines = [
        f"{found['pipeline']}.{found['entry']} on {found['split']}: {found['errors_total']:,} errors in "
        f"{found['units']:,} {what} of {found['utterances']:,} utterances ({rate})",
    ]
    if not limit:
        return lines[0]
    lines += ["", *_slices(found, limit)]
    for unit, rows in found["confusions"].items():
        lines += ["", *_confusions(unit, rows, limit)]
    if found["classes"]:
        lines += ["", *_classes(found["classes"], limit)]
    return "\n".join([*lines, "", *_suspects(found, limit)])


def _slices(found: Mapping[str, Any], limit: int) -> list[str]:
    looked = f"{len(found['slices']):,} slices by {', '.join(found['columns'])}"
    if not found["worst"]:
        return [f"no slice is shown to be worse than the rest ({looked})"]
    head = ["worst slices", "", "utterances", "rate", "95 %", "rest", "q", "of all errors"]
    body = [
        [
            row["column"],
            cut(row["value"], WIDE),
            f"{row['utterances']:,}",
            numbers.score("rate", row["rate"]),
            numbers.interval("rate", row["interval"]),
            numbers.score("rate", row["rest"]),
            f"{row['q']:.2g}",
            f"{100 * row['share_of_errors']:.0f} %",
        ]
        for row in found["worst"][:limit]
    ]
    return [*table([head, *body], right=(2, 3, 4, 5, 6, 7)), f"  of {looked}"]


def _confusions(unit: str, rows: list[dict[str, Any]], limit: int) -> list[str]:
    if not rows:
        return [f"{unit}: none was taken for another"]
    body = [
        [
            cut(row["said"] or NOTHING, WIDE),
            cut(row["heard"] or NOTHING, WIDE),
            f"{row['times']:,}",
            "" if row["of"] is None else f"{row['of']:,}",
            cut(", ".join(row["examples"]), WIDE),
        ]
        for row in rows[:limit]
    ]
    lines = table([[f"{unit} said", "heard", "times", "of", "such as"], *body], right=(2, 3))
    return [*lines, *_more(rows, limit, "pairs")]


def _classes(rows: list[dict[str, Any]], limit: int) -> list[str]:
    body = [
        [
            cut(row["label"], WIDE),
            f"{row['items']:,}",
            f"{row['said']:,}",
            *(numbers.score(name, row[name]) for name in ("precision", "recall", "f1")),
            f"{cut(row['taken_for'], WIDE)} × {row['times']:,}" if row["taken_for"] else "",
        ]
        for row in rows[:limit]
    ]
    head = ["class", "items", "answered", "precision", "recall", "F1", "taken for"]
    return [*table([head, *body], right=(1, 2, 3, 4, 5)), *_more(rows, limit, "classes")]


def _suspects(found: Mapping[str, Any], limit: int) -> list[str]:
    rows, models = found["suspects"], ", ".join(found["audited_by"])
    if not rows:
        return [f"no reference is doubted ({models})"]
    body = [
        [
            cut(row["id"], WIDE),
            cut(row["reference"], WIDE),
            cut(next(iter(row["heard"].values())), WIDE),
            f"{100 * row['agreement']:.0f} %",
            f"{row['confidence']:.2f}",
            cut(f"{row['uri']}{_at(row)}", WIDE),
        ]
        for row in rows[:limit]
    ]
    head = ["references to doubt", "reference", "heard", "alike", "sure", "where"]
    lines = table([head, *body], right=(3, 4))
    return [*lines, *_more(rows, limit, "utterances"), f"  by {models}; listen with --html PAGE"]


def _at(row: Mapping[str, Any]) -> str:
    return f" at {row['start']:.1f} s" if row["start"] else ""


def _more(rows: list[dict[str, Any]], limit: int, what: str) -> list[str]:
    return [f"  and {len(rows) - limit:,} more {what}"] if len(rows) > limit else []
