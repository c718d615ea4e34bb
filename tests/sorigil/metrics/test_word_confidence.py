"""Confidences of words: NIST's formula and the bins by hand, what counts as right, and what a normaliser makes of them."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.metrics import METRICS
from sorigil.metrics.word_confidence import carried, heard, nce, word_ece
from sorigil.text.normalize import normalizer, spec_of

REFERENCES = ["the cat sat", "", "on the mat", "yes"]
HYPOTHESES = ["the bat on sat", "uh", "on mat", ""]
CONFIDENCES = [[0.9, 0.6, 0.3, 0.8], [0.5], [0.9, 0.7], []]
RIGHT = [True, False, False, True, False, True, True]
SURE = [0.9, 0.6, 0.3, 0.8, 0.5, 0.9, 0.7]

words = st.lists(st.sampled_from(["a", "b", "don't", "colour", "twenty", "one", "it's", "uh"]), max_size=6)


def test_a_word_is_right_where_it_is_a_hit() -> None:
    sure_W, right_W, row_W = heard(REFERENCES, HYPOTHESES, CONFIDENCES)
    assert (sure_W.tolist(), right_W.tolist(), row_W.tolist()) == (SURE, RIGHT, [0, 0, 0, 0, 1, 2, 2])


def test_normalised_cross_entropy_is_nists() -> None:
    n, right = len(RIGHT), sum(RIGHT)
    p = right / n
    most = -right * math.log2(p) - (n - right) * math.log2(1 - p)
    bits = sum(math.log2(sure if hit else 1 - sure) for sure, hit in zip(SURE, RIGHT, strict=True))
    assert nce(REFERENCES, HYPOTHESES, CONFIDENCES).value == pytest.approx((most + bits) / most)


def test_calibration_error_is_that_of_the_bins() -> None:
    apart = [0.9 + 0.9 - 2, 0.6, 0.3, 0.8 - 1, 0.5, 0.7 - 1]  # both 0.9 share ]13/15, 14/15]
    expected = sum(map(abs, apart)) / len(SURE)
    assert word_ece(REFERENCES, HYPOTHESES, CONFIDENCES).value == pytest.approx(expected)


def test_constant_confidence_that_is_the_share_right_tells_nothing_and_is_calibrated() -> None:
    texts, right = ["a b", "c d"], ["a x", "c y"]
    assert nce(texts, right, [[0.5, 0.5]] * 2).value == pytest.approx(0.0)
    assert word_ece(texts, right, [[0.5, 0.5]] * 2).value == pytest.approx(0.0)


def test_perfect_confidences_tell_all_and_reversed_ones_mislead() -> None:
    assert nce(["a b"], ["a x"], [[1.0, 0.0]]).value == pytest.approx(1.0, abs=1e-6)
    assert -25 < nce(["a b"], ["a x"], [[0.0, 1.0]]).value < -10  # finite


@pytest.mark.parametrize("metric", [word_ece, nce])
@pytest.mark.parametrize(
    ("reference", "hypothesis", "sure"),
    [("", "", []), ("a b", "", [])],
)
def test_no_words_heard_is_nothing_to_judge(metric, reference: str, hypothesis: str, sure: list[float]) -> None:  # type: ignore[no-untyped-def]
    score = metric([reference] * 2, [hypothesis] * 2, [sure] * 2, ["ann", "bob"])
    assert (score.value, score.interval, score.interval_by_group, score.detail["words"]) == (0.0, None, None, 0)


def test_nothing_can_be_told_where_all_words_are_right_or_none_is() -> None:
    assert nce(["a b"], ["a b"], [[0.9, 0.2]]).value == 0.0
    assert nce(["a b"], ["x y"], [[0.9, 0.2]]).value == 0.0
    assert word_ece([""], ["uh"], [[0.8]]).value == pytest.approx(0.8)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.reads == "words"])
def test_intervals_are_of_utterances_and_wider_of_speakers(name: str) -> None:
    rng = np.random.default_rng(0)
    said = [" ".join(rng.choice(list("abcdef"), 5)) for _ in range(400)]
    spoken = [f"s{n % 8}" for n in range(400)]
    poor = [n % 8 < 3 for n in range(400)]
    heard_as = [
        " ".join(w if rng.random() < (0.5 if bad else 0.95) else "x" for w in text.split())
        for text, bad in zip(said, poor, strict=True)
    ]
    sure = [rng.uniform(0.6, 1, 5).tolist() for _ in said]
    score = METRICS[name].compute(said, heard_as, sure, spoken)
    assert score.interval and score.interval_by_group and score.n == 400
    assert score.interval[0] < score.interval[1]
    assert np.ptp(score.interval_by_group) > np.ptp(score.interval)
    assert json.loads(json.dumps(dataclasses.asdict(score), allow_nan=False))["metric"] == name


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="row 1 has 1 words and 2 confidences"):
        nce(["a", "b"], ["a", "b"], [[0.5], [0.5, 0.5]])
    with pytest.raises(RequestError, match="nothing to score"):
        nce([], [], [])


@pytest.mark.parametrize(
    ("text", "sure", "kept"),
    [
        ("Don't, stop", [0.2, 0.8], [0.2, 0.2, 0.8]),  # do not stop
        ("twenty one cats", [0.2, 0.4, 0.9], [0.3, 0.9]),  # 21 cats
        ("uh cats", [0.1, 0.9], [0.9]),  # what is taken out takes its confidence along
        ("the cats", [0.5, 0.9], [0.5, 0.9]),
    ],
)
def test_words_that_a_normaliser_splits_joins_or_drops(text: str, sure: list[float], kept: list[float]) -> None:
    clean = normalizer(spec_of("english"))
    assert carried(text, sure, clean(text), clean) == pytest.approx(kept)


@given(words, st.sampled_from(["none", "basic", "english", "korean"]))
def test_each_compared_word_has_a_confidence(said: list[str], name: str) -> None:
    clean = normalizer(spec_of(name))
    text = " ".join(said)
    sure = [0.5 + n / 20 for n in range(len(said))]
    found = carried(text, sure, clean(text), clean)
    assert len(found) == len(clean(text).split()) and all(0.5 <= each <= 0.8 for each in found)


@pytest.mark.parametrize("metric", [nce, word_ece])
def test_one_utterance_with_words_has_no_interval(metric) -> None:  # type: ignore[no-untyped-def]
    """Drawn again it is always itself: an interval of no width would be a promise."""
    silent = metric(["a b", "c"], ["a x", ""], [[0.9, 0.2], []], ["ann", "ben"])
    assert silent.n == 2 and silent.interval is None and silent.interval_by_group is None
    both = metric(["a b", "c"], ["a x", "d"], [[0.9, 0.2], [0.3]], ["ann", "ben"])
    assert both.interval is not None and both.interval_by_group is not None
