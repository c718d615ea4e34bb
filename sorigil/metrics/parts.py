"""The evaluated utterances in parts, and what is summed over each: what tests of many slices at once need of them.

No rows are looked at one by one: a million of them cost some bincounts. What the sums say is in `contrasts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

DENSE_UP_TO = 16_000_000  # parts × groups that are counted in one array; more are sorted first


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The evaluated utterances: `errors_N` of `units_N` words (or of one answer) each, and who said them, as codes."""

    errors_N: Floats
    units_N: Floats
    groups_N: Codes | None = None

    @cached_property
    def rate(self) -> float:
        """Errors by units of all rows."""
        return float(self.errors_N.sum() / max(self.units_N.sum(), 1))

    @cached_property
    def of_shares(self) -> bool:
        """Whether each row is right or wrong once: its rate is a share, which has less spread near 1."""
        return bool((self.units_N == 1).all() and (self.errors_N <= 1).all())

    @cached_property
    def dispersion(self) -> float:
        """How much more the errors of utterances vary than those of single units would: they come in bursts."""
        variance = float(np.square(self.errors_N - self.rate * self.units_N).sum() / max(self.units_N.sum(), 1))
        alone = float(self.variance_of_units(np.array([self.rate]))[0])
        return variance / alone if alone > 0 else 1.0

    @cached_property
    def products(self) -> tuple[Floats, ...]:
        """What is summed over parts besides errors and units."""
        return self.errors_N**2, self.errors_N * self.units_N, self.units_N**2

    def variance_of_units(self, rate_K: Floats) -> Floats:
        """Return the variance of one unit's errors at a rate, were each unit right or wrong by itself."""
        return rate_K * (1 - rate_K) if self.of_shares else rate_K

    @cached_property
    def groups(self) -> int:
        """How many different groups there are; 0 where they are not known."""
        return 0 if self.groups_N is None else int(self.groups_N.max(initial=-1)) + 1

    @cached_property
    def variance_of_groups(self) -> float:
        """The variance of the groups' own rates, beyond what utterances explain (DerSimonian and Laird 1986, with units
        as weights)."""
        if self.groups_N is None or len(self.errors_N) <= self.groups:
            return 0.0
        errors_G, units_G = (np.bincount(self.groups_N, each, self.groups) for each in (self.errors_N, self.units_N))
        rate_G = errors_G / np.maximum(units_G, 1)
        inside = float(np.square(self.errors_N - rate_G[self.groups_N] * self.units_N).sum())
        inside *= len(self.errors_N) / (len(self.errors_N) - self.groups) / max(units_G.sum(), 1)
        between = float((units_G * np.square(rate_G - self.rate)).sum()) - (self.groups - 1) * inside
        weight = float(units_G.sum() - np.square(units_G).sum() / max(units_G.sum(), 1))
        return max(between / weight, 0.0) if weight > 0 else 0.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sums:
    """Sums over the utterances of K parts: how many, their errors, units, and the products of these."""

    table_6K: Floats

    @property
    def rows(self) -> Floats:
        rows_K: Floats = self.table_6K[0]
        return rows_K

    @property
    def errors(self) -> Floats:
        errors_K: Floats = self.table_6K[1]
        return errors_K

    @property
    def units(self) -> Floats:
        units_K: Floats = self.table_6K[2]
        return units_K

    @property
    def rate(self) -> Floats:
        """Errors by units; NaN without units."""
        rate_K: Floats = np.divide(self.errors, self.units, out=np.full(len(self.units), np.nan), where=self.units > 0)
        return rate_K

    def squares(self, rate_K: Floats) -> Floats:
        """The sum of squares of errors less rate × units."""
        ee, eu, uu = self.table_6K[3:]
        found: Floats = np.maximum(ee - 2 * rate_K * eu + rate_K**2 * uu, 0)
        return found

    @property
    def variance(self) -> Floats:
        """Of the rate, over utterances."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = self.squares(self.rate) / self.units**2 * self.rows / (self.rows - 1)
        return found


class Parts:
    """The rows in K parts, `codes_N` (-1: in none), with what a contrast needs of them: made once, contrasted often."""

    def __init__(self, rows: Rows, codes_N: Codes, n_parts: int) -> None:
        self.codes_N, self.n_parts = codes_N, n_parts
        self._places_N = codes_N + 1  # what is in no part is counted in front, and left out
        columns = (None, rows.errors_N, rows.units_N, *rows.products)
        self.sums = Sums(table_6K=np.stack([self.sum(column) for column in columns]))
        self.groups_K: Codes | None = None  # how many speak in each part
        if rows.groups_N is not None:
            self._count_groups(rows, rows.groups_N)

    def sum(self, column_N: Floats | None) -> Floats:
        """The sum of a column (without one: the number of rows) over each part."""
        return np.bincount(self._places_N, column_N, self.n_parts + 1)[1:].astype(np.float64)

    def _count_groups(self, rows: Rows, groups_N: Codes) -> None:
        cell_N = self._places_N * rows.groups + groups_N
        size = (self.n_parts + 1) * rows.groups
        if size > DENSE_UP_TO:
            cells, cell_N = np.unique(cell_N, return_inverse=True)
        else:
            cells = np.arange(size)
        there = np.bincount(cell_N, minlength=len(cells)) > 0
        self.groups_K = np.bincount(cells[there] // rows.groups, minlength=self.n_parts + 1)[1:]
        if rows.variance_of_groups:
            self.alike_N = np.bincount(cell_N, rows.units_N, len(cells))[cell_N]  # units of one's group in one's part
            self.alike_squared = self.sum(rows.units_N * self.alike_N)
