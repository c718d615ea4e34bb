"""Pictures for MLflow: drawn without warnings, whatever script the labels are in and whatever fonts there are."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from sorigil.metrics.calibration import reliability
from sorigil.metrics.per_tag import TagScore
from sorigil.report import figures, glyphs
from sorigil.report.figures import DPI


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """A missing glyph is a warning of matplotlib's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def no_korean_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a machine that has only what matplotlib brings."""
    glyphs.fonts.cache_clear()
    monkeypatch.setattr(glyphs, "KOREAN_FONTS", ())
    yield
    glyphs.fonts.cache_clear()


def size(png: bytes) -> tuple[int, int]:
    from matplotlib.image import imread

    height, width, _ = imread(io.BytesIO(png), format="png").shape
    return width, height


@pytest.mark.parametrize(
    "labels", [("yes", "no"), ("예", "아니요"), ("$x", "a$b$"), ("日本", "\N{GRINNING FACE}"), ("x" * 80, "y")]
)
def test_labels_of_any_script_are_drawn(labels: tuple[str, str], no_korean_font: None) -> None:
    assert size(figures.confusion_png(labels, np.array([[3, 1], [0, 2]]), title=labels[0]))[0] > 300


def test_labels_of_any_script_are_drawn_with_this_machines_fonts() -> None:
    assert size(figures.confusion_png(("예", "아니요 日本"), np.eye(2, dtype=int), title="예"))[0] > 300


def test_labels_without_glyphs_are_numbered_and_romanised(no_korean_font: None) -> None:
    assert glyphs.readable(["one", "한국", "영"]) == ["one", "1: hanguk", "2: yeong"]


def test_a_picture_grows_with_its_classes_but_not_for_ever() -> None:
    def width(number: int) -> int:
        return size(figures.confusion_png([str(i) for i in range(number)], np.eye(number, dtype=int)))[0]

    assert width(2) < width(30)
    assert width(70) == width(figures.MOST_CLASSES)


def test_learning_curves_have_one_chart_per_unit() -> None:
    loss = [{"epoch": e, "train_loss": 1.0 / e} for e in range(1, 4)]
    more = [{**row, "dev_wer": 0.5, "learning_rate": 1e-3} for row in loss]
    assert (
        size(figures.learning_curves_png(more, title="단어", best_epoch=2))[0]
        == 3 * size(figures.learning_curves_png(loss))[0]
    )


@pytest.mark.parametrize("history", [[], [{"epoch": 1, "train_loss": float("nan")}], [{"epoch": 1}]])
def test_learning_curves_of_next_to_nothing(history: list[dict[str, float]]) -> None:
    assert figures.learning_curves_png(history).startswith(b"\x89PNG")


def test_empty_matrices() -> None:
    assert figures.confusion_png([], np.zeros((0, 0), int)).startswith(b"\x89PNG")


def test_nothing_of_matplotlibs_global_state_is_touched() -> None:
    import sys

    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.confusion_png(("예", "b"), np.eye(2, dtype=int))
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.parametrize("count", [0, 1, 200])
def test_tags_are_drawn_however_many(count: int) -> None:
    figure = {"average_precision": 0.5, "area": 0.6, "precision": 0.4, "recall": 0.3, "f1": None, "best_f1": 0.5}
    rows = [
        TagScore(tag=f"$t{n}: 여우 " + "x" * 30, items=n + 1, said=0, threshold=0.1, **figure) for n in range(count)
    ]
    unknown = TagScore(tag="none", items=0, said=1, threshold=None, **dict.fromkeys(figure))
    width, height = size(figures.tags_png([*rows, unknown], title="tags"))
    assert width == 720 and height == pytest.approx(DPI * (0.22 * min(count, 60) + 1.4), abs=2)


def test_reliability_of_some_none_and_empty_bins() -> None:
    sure, right = np.array([0.3, 0.95, 0.99, 1.0]), np.array([False, True, True, False])
    assert size(figures.reliability_png(reliability(sure, right), title="예"))[1] > 400
    assert figures.reliability_png(reliability(sure[:0], right[:0])).startswith(b"\x89PNG")


def test_a_panel_is_drawn_for_each_number_of_a_grid() -> None:
    wer = [0.5, 0.4, 0.3, 0.45]
    one = figures.tuning_png({"lm_weight": [0.0, 0.5, 0.0, 0.5]}, wer)
    two = figures.tuning_png({"lm_weight": [0.0, 0.5, 0.0, 0.5], "insertion": [0.0, 0.0, 1.0, 1.0]}, wer, title="$x")
    assert size(two)[0] == 2 * size(one)[0]
