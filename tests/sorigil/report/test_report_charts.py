"""What charts show, and how it is drawn."""

from __future__ import annotations

import math
import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from sorigil.report import charts, numbers, svg
from sorigil.report.spectrogram import MAX_COLUMNS, spectrogram_png

finite = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


@given(finite, st.floats(min_value=1e-6, max_value=1e6), st.integers(2, 10))
def test_ticks_are_round_inside_and_about_as_many_as_asked(low: float, width: float, about: int) -> None:
    high = low + width
    if high - low < abs(low) * 1e-6:  # narrower than a tick label could tell
        return
    found = svg.ticks(low, high, about)
    slack = width * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in found)
    assert len(found) <= about + 1
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (3, 3, [3]),
        (math.nan, 1, []),
    ],
)
def test_ticks_of_usual_axes(low: float, high: float, expected: list[float]) -> None:
    assert svg.ticks(low, high) == pytest.approx(expected)


@given(st.lists(st.floats(min_value=0, max_value=1e5) | st.just(math.nan), max_size=200))
@settings(max_examples=60)
def test_bins_count_every_finite_value_once(values: list[float]) -> None:
    found = charts.bins(values)
    assert sum(found.counts) + found.over == sum(math.isfinite(value) for value in values)
    assert len(found.edges) == len(found.counts) + 1
    assert len(found.counts) <= 40


def test_bins_of_durations_have_a_round_width_and_leave_the_tail_out() -> None:
    found = charts.bins([*np.linspace(0.1, 2.9, 500), 90.0])
    assert found.edges[0] == 0
    assert found.edges[1] == pytest.approx(0.1)
    assert found.over == 1
    assert found.edges[-1] == pytest.approx(2.9)


@pytest.mark.parametrize(
    ("values", "last"), [([0, 37, 100], 100), ([2400, 4000], 4000), ([5, 5], None), ([0, 0], None)]
)
def test_the_largest_value_may_be_the_last_edge(values: list[float], last: float | None) -> None:
    found = charts.bins(values)
    assert sum(found.counts) == len(values) and found.counts[-1] > 0
    assert last is None or found.edges[-1] == pytest.approx(last)


def test_categories_count_items_and_seconds_with_missing_names_last() -> None:
    names = np.array(["b", None, "a", "b", "", None, None], dtype=object)
    found = charts.categories(names, np.array([1.0, 2, 3, 4, 5, math.nan, 1]))
    assert [(c.label, c.items, c.seconds) for c in found] == [("b", 2, 5.0), ("a", 1, 3.0), (charts.NOT_GIVEN, 4, 8.0)]


def test_shortened_sums_up_what_it_leaves_out() -> None:
    found = charts.shortened([charts.Category(label=str(i), items=10 - i, seconds=1.0) for i in range(8)], most=4)
    assert [c.label for c in found] == ["0", "1", "2", "(5 others)"]
    assert found[-1].items == 7 + 6 + 5 + 4 + 3
    assert found[-1].summed


def test_panels_sort_a_history_into_charts_by_unit() -> None:
    history = [
        {
            "epoch": 1,
            "train_loss": 2.0,
            "dev_loss": 2.5,
            "dev_wer": 0.5,
            "dev_perplexity": 40.0,
            "learning_rate": 1e-3,
            "seconds": 9.0,
        },
        {
            "epoch": 2,
            "train_loss": None,
            "dev_loss": 1.5,
            "dev_wer": 0.25,
            "dev_perplexity": 30.0,
            "learning_rate": 1e-4,
            "note": "x",
        },
    ]
    found = charts.panels(history)
    assert [(p.title, p.unit, [name for name, _ in p.curves]) for p in found] == [
        ("loss", "loss", ["train loss", "dev loss"]),
        ("score on dev", "%", ["dev wer"]),
        ("dev perplexity", "dev perplexity", ["dev perplexity"]),
        ("learning rate", "learning rate", ["learning rate"]),
    ]
    assert found[1].curves[0][1] == [(1.0, 50.0), (2.0, 25.0)]
    assert math.isnan(found[0].curves[0][1][1][1])


def test_class_scores_agree_with_their_definition() -> None:
    matrix = np.array([[8, 2, 0], [1, 4, 0], [0, 0, 0]])
    first, second, never = charts.class_scores(["a", "b", "c"], matrix)
    assert (first.n, first.recall, first.precision) == (10, 0.8, pytest.approx(8 / 9))
    assert first.f1 == pytest.approx(2 * 0.8 * (8 / 9) / (0.8 + 8 / 9))
    assert (second.recall, second.precision) == (0.8, pytest.approx(4 / 6))
    assert (never.recall, never.precision, never.f1) == (None, None, None)


def test_confusions_are_the_largest_cells_off_the_diagonal() -> None:
    assert charts.confusions(["a", "b"], np.array([[9, 1], [4, 6]]), most=1) == [("b", "a", 4, 10)]
    assert charts.confusions(["a", "b"], np.diag([3, 3])) == []


def test_worst_classes_keep_their_order_and_their_counts() -> None:
    matrix = np.diag([5, 5, 5, 5])
    matrix[3, 1] = 2
    labels, part = charts.worst_classes(["a", "b", "c", "d"], matrix, most=2)
    assert labels == ["b", "d"]
    assert part.tolist() == [[5, 0], [2, 5]]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.417, "0.42 s"),
        (12.34, "12.3 s"),
        (59.99, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3600, "1.00 h"),
        (45_000, "12.5 h"),
        (5e6, "1,389 h"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_lengths_of_time_take_the_unit_that_suits_them(seconds: float | None, text: str) -> None:
    assert numbers.span(seconds) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("wer", 0.0417, "4.17 %"),
        ("macro_f1", 1.0, "100.00 %"),
        ("top_5", 0.5, "50.00 %"),
        ("d_prime", 0.5, "0.5"),
        ("accuracy@1", 0.5, "50.00 %"),
        ("perplexity", 12.3456, "12.35"),
        ("wer", None, "–"),
        ("answer", 0.5, "0.5"),
    ],
)
def test_shares_are_written_in_percent(metric: str, value: float | None, text: str) -> None:
    assert numbers.score(metric, value) == text


class Texts(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(markup)

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def test_a_line_has_a_gap_where_a_value_is_missing() -> None:
    chart = svg.line_chart(
        [("loss", [(1, 3.0), (2, math.nan), (3, 1.0), (4, 0.5)])],
        x_title="epoch",
        y_title="loss",
        mark=3,
        mark_label="best",
    )
    path = re.search(r'<path d="([^"]*)"', chart)
    assert path is not None
    assert path[1].count("M") == 2
    assert path[1].count("L") == 1
    assert chart.count("<circle") == 3
    assert {"epoch", "loss", "best", "loss, 3: 1"} <= set(Texts(chart).found)


def test_bars_are_as_high_as_their_counts() -> None:
    chart = svg.histogram((0, 1, 2, 3), (1, 0, 4), x_title="s", y_title="n", over=7)
    heights = [float(height) for height in re.findall(r'<rect [^>]*height="([\d.]+)" class="bar"', chart)]
    assert heights[1] == pytest.approx(4 * heights[0], rel=0.01)
    assert "and 7 beyond 3 →" in Texts(chart).found


def test_charts_escape_names() -> None:
    hostile = "<b>&\"'"
    for chart in (
        svg.line_chart([(hostile, [(1, 1.0)])], x_title=hostile, y_title=hostile, mark=1, mark_label=hostile),
        svg.confusion_matrix([hostile, "b"], np.array([[1, 1], [0, 1]])),
        svg.histogram((0, 1), (1,), x_title=hostile, y_title=hostile),
        svg.framed_image("data:,", seconds=1, top=1, x_title=hostile, y_title=hostile, label=hostile),
    ):
        assert isinstance(chart, Markup)
        assert "<b>" not in chart


def test_the_matrix_shows_every_count_and_its_share() -> None:
    chart = svg.confusion_matrix(["a", "b"], np.array([[9, 1], [0, 123456]]))
    assert {"a → a: 9 of 10", "a → b: 1 of 10", "b → b: 123,456 of 123,456", "123k"} <= set(Texts(chart).found)
    assert chart.count("<rect") == 3
    assert chart.count('class="right"') == 2


@pytest.mark.parametrize("kind", ["log_mel", "mfcc", "linear", "power"])
def test_spectrograms_have_time_across_and_low_bands_below(kind: str) -> None:
    from matplotlib.image import imread

    features = np.full((50, 20), 1e-3)
    features[25:, :10] = np.linspace(1.0, 2.0, 25)[:, None]  # loud, late and low
    image = _decoded(spectrogram_png(features, kind), imread)
    assert image.shape[:2] == (20, 50)
    light = image[:, :, :3].sum(axis=2)
    assert light[-10:, 40:].mean() > light[-10:, :20].mean() + 0.5
    assert light[-10:, 40:].mean() > light[:10, 40:].mean() + 0.5


@pytest.mark.parametrize(
    ("frames", "columns"),
    [(0, 1), (1, 1), (MAX_COLUMNS, MAX_COLUMNS), (MAX_COLUMNS + 1, 601), (10 * MAX_COLUMNS, MAX_COLUMNS)],
)
def test_long_pictures_are_narrowed(frames: int, columns: int) -> None:
    from matplotlib.image import imread

    assert _decoded(spectrogram_png(np.ones((frames, 4)), "log_mel"), imread).shape[:2] == (4, columns)


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
@pytest.mark.parametrize("kind", ["log_mel", "mfcc", "linear", "power"])
def test_values_that_are_no_numbers_are_drawn_all_the_same(kind: str, value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert spectrogram_png(np.full((5, 3), value), kind).startswith(b"\x89PNG")
        partly = np.ones((5, 3))
        partly[1, 1] = value
        assert spectrogram_png(partly, kind).startswith(b"\x89PNG")


def test_a_picture_needs_two_dimensions() -> None:
    with pytest.raises(ValueError, match=r"\(7,\)"):
        spectrogram_png(np.zeros(7), "log_mel")


def _decoded(png: bytes, imread: object) -> np.ndarray:
    import io

    return np.asarray(imread(io.BytesIO(png), format="png"))  # type: ignore[operator]
