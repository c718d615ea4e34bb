"""A table as data, set for a terminal, in Markdown, and by the macro `sheet` on a page.

What is in a table is said once (`error_tables`, `comparison_tables`), so that a terminal and a page tell the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sorigil.report import markdown, summary

WIDE = 40  # columns of a terminal that one cell takes at most
SMALLEST_P = 0.0001  # below it nobody reads the digits

Mark = Literal["", "better", "worse"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """What a cell says. A page sorts numbers by `sort`, words by the text; it puts `note` below it in small print, and draws
    `reach`, an interval with its value (low, value, high) as shares of the column's width."""

    text: str
    sort: float | None = None
    note: str = ""
    mark: Mark = ""
    reach: tuple[float, float, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Heads and rows of as many cells; the columns of the heads in `numbers` are aligned to the right."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[str] = frozenset()

    def behind(self, head: str, words: Sequence[str]) -> Table:
        """The same with a column of words in front."""
        rows = tuple((Cell(text=word), *row) for word, row in zip(words, self.rows, strict=True))
        return replace(self, heads=(head, *self.heads), rows=rows)

    def without(self, head: str) -> Table:
        """The same without a column."""
        place = self.heads.index(head)
        cut = [(*row[:place], *row[place + 1 :]) for row in self.rows]
        return replace(self, heads=(*self.heads[:place], *self.heads[place + 1 :]), rows=tuple(cut))


def table(columns: Mapping[str, Sequence[Cell]], words: Sequence[str]) -> Table:
    """Return a table of columns by their heads. Those in `words` are read, all others are numbers."""
    rows = tuple(zip(*columns.values(), strict=True))
    return Table(heads=tuple(columns), rows=rows, numbers=frozenset(columns) - frozenset(words))


def chance(p: float | None) -> Cell:
    """A probability with two digits; a dash where it is not known."""
    if p is None:
        return Cell(text="–")
    return Cell(text=f"< {SMALLEST_P}" if p < SMALLEST_P else f"{p:.2g}", sort=p)


def in_terminal(given: Table, most: int | None = None, what: str = "rows", title: str = "") -> list[str]:
    """Lines of at most `most` rows, and how many more of `what` there are. A `title` stands over the first column."""
    right = [place for place, head in enumerate(given.heads) if head in given.numbers]
    heads = [title or given.heads[0], *given.heads[1:]]
    shown = given.rows[:most]
    lines = summary.table([heads, *([summary.cut(cell.text, WIDE) for cell in row] for row in shown)], right)
    hidden = len(given.rows) - len(shown)
    return [*lines, *([f"  and {hidden:,} more {what}"] if hidden else [])]


def in_markdown(given: Table) -> str:
    """The whole table."""
    return markdown.table([given.heads, *([cell.text for cell in row] for row in given.rows)])
