"""Means over classes: scikit-learn's values, and intervals that are those of copying the rows of each draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from sorigil.metrics import METRICS
from sorigil.metrics.intervals import weights_of_draws

PAIRS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abce")), min_size=2, max_size=30)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@given(PAIRS)
def test_the_values_are_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    references, heard = map(list, zip(*pairs, strict=True))
    score = {name: METRICS[name].compute(references, heard).value for name in ("balanced_accuracy", "macro_f1")}
    assert score["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(references, heard))
    assert score["macro_f1"] == pytest.approx(f1_score(references, heard, average="macro", zero_division=0))


def test_micro_f1_of_one_label_an_item_is_the_accuracy() -> None:
    references, heard = list("aabbcc"), list("abbbcd")
    assert METRICS["accuracy"].compute(references, heard).value == pytest.approx(
        f1_score(references, heard, average="micro")
    )


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_the_intervals_are_those_of_rows_drawn_again(name: str) -> None:
    rng = np.random.default_rng(3)
    references = rng.choice(list("aaabbc"), 60)
    heard = np.where(rng.random(60) < 0.7, references, rng.choice(list("abcd"), 60))
    groups = [f"s{row % 9}" for row in range(60)]
    score = METRICS[name].compute(references.tolist(), heard.tolist(), groups)
    for units, found in ((None, score.interval), (groups, score.interval_by_group)):
        assert found == pytest.approx(slow_interval(name, references, heard, units))
    assert score.interval is not None and score.interval[0] < score.value < score.interval[1]


def slow_interval(name: str, references: np.ndarray, heard: np.ndarray, groups: list[str] | None) -> list[float]:
    values = []
    for weights in weights_of_draws(len(references), 1000, groups):
        rows = np.repeat(np.arange(len(references)), weights.astype(int))
        values.append(SLOW[name](references[rows], heard[rows]))
    return np.quantile(values, [0.025, 0.975]).tolist()


def slow_recall(said: np.ndarray, answered: np.ndarray) -> float:
    return float(np.mean([np.mean(answered[said == c] == c) for c in np.unique(said)]))


def slow_f1(said: np.ndarray, answered: np.ndarray) -> float:
    hits = [(np.sum((said == c) & (answered == c)), np.sum(said == c), np.sum(answered == c)) for c in "abcd"]
    return float(np.mean([2 * right / (items + given) for right, items, given in hits if items + given]))


SLOW = {"accuracy": accuracy_score, "balanced_accuracy": slow_recall, "macro_f1": slow_f1}


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1"])
def test_what_is_all_right_has_no_spread(name: str) -> None:
    labels = list("abcc" * 5)
    score = METRICS[name].compute(labels, labels)
    assert (score.value, score.interval) == (1.0, (1.0, 1.0))
