"""What was measured of each utterance, as people read it: titles, units, and how the values are spread.

The page draws a histogram of each measure, `sorigil versions show` has a line for it; both take names and units from here.
The values themselves are columns of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A column of numbers; `scale` says how it becomes what people read."""

    column: str
    title: str
    unit: str
    scale: Literal["as it is", "percent", "decibels"] = "as it is"

    def read(self, values: npt.ArrayLike) -> Values:
        """The column's values in `unit`; what is not known is NaN."""
        found = np.asarray(values, np.float64)
        if self.scale == "percent":
            return 100 * found
        if self.scale == "decibels":
            return 20 * np.log10(np.maximum(found, 1e-5))  # -100 dB stands for silence
        return found


MEASURES = (
    Measure(column="lufs", title="Loudness", unit="LUFS"),
    Measure(column="peak", title="Peak", unit="dBFS", scale="decibels"),
    Measure(column="snr_db", title="Signal to noise", unit="dB"),
    Measure(column="speech_share", title="Speech", unit="% of the time", scale="percent"),
    Measure(column="silence_share", title="Silence", unit="% of the time", scale="percent"),
    Measure(column="bandwidth_hz", title="Bandwidth in use", unit="Hz"),
    Measure(column="clipped_share", title="Clipping", unit="% of the samples", scale="percent"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """How a measure is spread over the utterances for which it is known."""

    low: float  # the 5th percentile
    median: float
    high: float  # the 95th
    known: int  # utterances
    unknown: int


def spread(values: npt.ArrayLike) -> Spread | None:
    """None where nothing is known."""
    given = np.asarray(values, np.float64)
    known = given[np.isfinite(given)]
    if not known.size:
        return None
    low, median, high = (float(each) for each in np.percentile(known, [5, 50, 95]))
    return Spread(low=low, median=median, high=high, known=known.size, unknown=given.size - known.size)


def spread_rows(spreads: Mapping[str, Spread]) -> list[list[str]]:
    """A line of text cells for each measure (by column, as stored): name, 5 %, median, 95 %, of how many not known."""
    rows = []
    for measure in MEASURES:
        if (found := spreads.get(measure.column)) is not None:
            values = measure.read([found.low, found.median, found.high])
            cells = [f"{value:,.1f}" for value in values]
            rows.append([f"{measure.title.lower()}, {measure.unit}", *cells, f"{found.unknown:,}"])
    return rows
