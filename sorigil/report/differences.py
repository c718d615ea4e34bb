"""Aligned words in a fixed-width font: a reference above one or several hypotheses, and what went wrong below each."""

from __future__ import annotations

from collections.abc import Sequence

from sorigil.metrics.align import columns
from sorigil.report.summary import table

NOTHING = "*"


def aligned(reference: str, hypotheses: Sequence[tuple[str, str]], indent: str = "  ") -> list[str]:
    """Return lines: `REF` with its words, then each (name, hypothesis) with its words under them, and where it errs a
    line of S, D, I.

    Stars stand where one side has nothing, as in sclite's alignments.
    """
    found = columns(reference, *(text for _, text in hypotheses))
    return aligned_columns(found, ["REF", *(name for name, _ in hypotheses)], indent)


def aligned_columns(found: Sequence[Sequence[str | None]], names: Sequence[str], indent: str = "  ") -> list[str]:
    """The same of columns (reference, hypothesis, …); `names` are of their rows."""
    rows = []
    for place, name in enumerate(names):
        rows.append([name, *(column[place] or NOTHING * _longest(column) for column in found)])
        marks = [mark(column[0], column[place]) for column in found]
        rows += [["", *marks]] if any(marks) else []
    return table(rows, indent=indent)


def mark(said: str | None, heard: str | None) -> str:
    """S for a substitution, D for a deletion, I for an insertion, nothing for a hit or for nothing on both sides."""
    if said == heard:
        return ""
    return "I" if said is None else "D" if heard is None else "S"


def _longest(column: Sequence[str | None]) -> int:
    return max(len(word or "") for word in column)
