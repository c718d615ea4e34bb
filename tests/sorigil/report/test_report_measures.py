"""Spreads of measures, and how they are written."""

from __future__ import annotations

import numpy as np
import pytest

from sorigil.filters import SIGNAL_COLUMNS
from sorigil.report.measures import MEASURES, Spread, spread, spread_rows
from sorigil.report.model import Columns, Page
from sorigil.report.page import render
from storage import tables


def test_every_measure_is_a_column_and_every_signal_column_is_shown() -> None:
    columns = [measure.column for measure in MEASURES]
    assert set(SIGNAL_COLUMNS) < set(columns) < set(tables.UTTERANCES.names) and len(set(columns)) == len(columns)


def test_a_spread_is_of_what_is_known() -> None:
    found = spread(np.r_[np.arange(101.0), np.nan, np.nan])
    assert found == Spread(low=5.0, median=50.0, high=95.0, known=101, unknown=2)
    assert spread([]) is None and spread([np.nan]) is None


def test_values_are_read_in_the_units_of_people() -> None:
    spreads = {"peak": spread([0.1, 1.0, 0.0]), "speech_share": spread([0.5]), "lufs": spread([-20.0, np.nan])}
    rows = {row[0]: row[1:] for row in spread_rows({name: found for name, found in spreads.items() if found})}
    assert rows["loudness, LUFS"] == ["-20.0", "-20.0", "-20.0", "1"]
    assert rows["speech, % of the time"][1] == "50.0"
    assert rows["peak, dBFS"][1] == "-20.0" and list(rows) == ["loudness, LUFS", "peak, dBFS", "speech, % of the time"]


@pytest.mark.parametrize("values", [[-23.1, -19.0, -40.5, np.nan], [0.0, 0.0], [-70.0]])
def test_the_page_has_a_histogram_of_each_measure_that_is_known(values: list[float]) -> None:
    measures = {"lufs": np.array(values), "snr_db": np.full(len(values), np.nan)}
    page = render(Page(title="t", pipeline="p", columns=Columns(durations=np.ones(len(values)), measures=measures)))
    assert "<h3>Loudness</h3>" in page and "utterances by loudness, LUFS" in page and "Signal to noise" not in page
    assert ("not known of 1" in page) == bool(np.isnan(values).any())
