"""Columns to slice a score by: words as they are, numbers in bins whose edges are named. What errs where is in `slices`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_DISTINCT = 12  # numbers with no more different values are not binned: a count, a level, a year
QUANTILES = (0.2, 0.4, 0.6, 0.8)  # of other numbers: fifths
SPEAKER = "speaker"  # the column whose values are single speakers
AND = " × "  # between the names, and the values, of two columns at once


@dataclass(frozen=True, kw_only=True, slots=True)
class Bins:
    """Fixed `edges`, the same for every dataset so that slices of two can be read side by side; none: fifths."""

    unit: str
    edges: tuple[float, ...] = ()


BINS: Mapping[str, Bins] = {
    "seconds": Bins(unit="s", edges=(0.5, 1, 2, 4, 8, 15, 30)),
    "snr_db": Bins(unit="dB", edges=(0, 10, 20, 30, 40, 60)),
    "lufs": Bins(unit="LUFS", edges=(-50, -40, -30, -20, -10)),
    "bandwidth_hz": Bins(unit="Hz", edges=(3000, 4500, 6000, 8500)),
    "clipped_share": Bins(unit="", edges=(0.0001, 0.001, 0.01)),
    "silence_share": Bins(unit="", edges=(0.1, 0.25, 0.5, 0.75)),
    "speech_share": Bins(unit="", edges=(0.25, 0.5, 0.75, 0.9)),
    "words": Bins(unit="words", edges=(1, 2, 4, 8, 16, 32)),
    "characters_per_second": Bins(unit="characters/s"),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Column:
    """What each of N utterances is: `values[codes_N]`; the code -1 is not known, which is no slice."""

    name: str
    codes_N: Codes
    values: tuple[str, ...]

    @property
    def of_speakers(self) -> bool:
        """Whether each value is of one speaker, so that what is said of it is said of nobody else."""
        return SPEAKER in self.name.split(AND)


def categories(name: str, values: Sequence[str | None]) -> Column:
    """Words: a slice for each, in their order. Empty ones are not known."""
    different = sorted({value for value in values if value})
    places: dict[str | None, int] = {value: place for place, value in enumerate(different)}
    codes_N = np.fromiter((places.get(value, -1) for value in values), np.int64, len(values))
    return Column(name=name, codes_N=codes_N, values=tuple(different))


def numbers(name: str, values: npt.ArrayLike) -> Column:
    """Numbers (NaN: not known) in bins: `BINS`' edges where it knows the name, the different values where they are few,
    else fifths of what is known. A value at an edge is in the upper bin."""
    found_N = np.asarray(values, np.float64)
    known_N = np.isfinite(found_N)
    bins = BINS.get(name, Bins(unit=""))
    different = np.unique(found_N[known_N])
    if not bins.edges and len(different) <= MOST_DISTINCT:
        codes_N = np.where(known_N, np.searchsorted(different, found_N), -1)
        return Column(name=name, codes_N=codes_N, values=tuple(_named(each, bins.unit) for each in different))
    edges = np.asarray(bins.edges or np.unique(_rounded(np.quantile(found_N[known_N], QUANTILES))))
    codes_N = np.where(known_N, np.searchsorted(edges, found_N, side="right"), -1)
    return Column(name=name, codes_N=codes_N, values=_names(edges, bins.unit))


def pair(one: Column, other: Column) -> Column:
    """Both at once: known where both are."""
    known_N = (one.codes_N >= 0) & (other.codes_N >= 0)
    codes_N = np.where(known_N, one.codes_N * len(other.values) + other.codes_N, -1)
    values = tuple(f"{first}{AND}{second}" for first in one.values for second in other.values)
    return Column(name=f"{one.name}{AND}{other.name}", codes_N=codes_N, values=values)


def _rounded(edges: Floats) -> Floats:
    """To three digits: an edge that can be read out."""
    return np.asarray([float(f"{edge:.3g}") for edge in edges])


def _names(edges: Floats, unit: str) -> tuple[str, ...]:
    if not len(edges):
        return ("all",)
    between = [f"{low:g} to {_named(high, unit)}" for low, high in itertools.pairwise(edges)]
    return (f"below {_named(edges[0], unit)}", *between, f"from {_named(edges[-1], unit)}")


def _named(value: float, unit: str) -> str:
    return f"{value:g} {unit}".rstrip()
