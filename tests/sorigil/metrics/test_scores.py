"""The table of metrics: every one gives a score that JSON can carry, with its interval around its value."""

from __future__ import annotations

import dataclasses
import json

import pytest

from sorigil.errors import RequestError
from sorigil.metrics import METRICS

REFERENCES = ["나는 학교에 간다", "yes no", "", "on"] * 5
HYPOTHESES = ["나는 학교 에간다", "yes yes", "x", "on"] * 5


OF_TEXTS = {name: metric for name, metric in METRICS.items() if metric.reads == "texts"}


@pytest.mark.parametrize("name", OF_TEXTS)
def test_a_score_is_plain_and_holds_its_value(name: str) -> None:
    score = METRICS[name].compute(REFERENCES, HYPOTHESES)
    assert score.metric == name
    assert score.n == 20
    assert score.interval is not None
    assert score.interval[0] <= score.value <= score.interval[1]
    assert json.loads(json.dumps(dataclasses.asdict(score), allow_nan=False))["metric"] == name


def test_values() -> None:
    values = {name: metric.compute(REFERENCES, HYPOTHESES).value for name, metric in OF_TEXTS.items()}
    assert values["wer"] == pytest.approx(4 / 6)  # 2 words of spacing, yes for no, x for nothing
    assert values["swer"] == pytest.approx(2 / 6)
    assert values["cer"] == pytest.approx((3 + 1) / (7 + 5 + 2))
    assert values["cer_spaces"] == pytest.approx((2 + 3 + 1) / (9 + 6 + 2))
    assert values["accuracy"] == pytest.approx(1 / 4)
    assert values["balanced_accuracy"] == pytest.approx(1 / 4)


def test_details_are_the_counts() -> None:
    detail = METRICS["wer"].compute(["a b", "c"], ["a x", "c d"]).detail
    assert detail == {"hits": 2, "substitutions": 1, "deletions": 0, "insertions": 1, "errors": 2, "total": 3}
    detail = METRICS["accuracy"].compute(["a", "b"], ["a", "a"]).detail
    assert detail["confusion"] == [[1, 0], [1, 0]] and detail["classes"] == ["a", "b"] and detail["right"] == 1


@pytest.mark.parametrize("name", OF_TEXTS)
def test_one_row_or_one_group_has_no_interval(name: str) -> None:
    assert METRICS[name].compute(["a"], ["a"]).interval is None
    one = METRICS[name].compute(["a", "b"], ["a", "a"], ["ann", "ann"])
    assert one.interval is not None and one.interval_by_group is None
    assert METRICS[name].compute(["a", "b"], ["a", "a"]).interval_by_group is None
    assert METRICS[name].compute(["a", "b"], ["a", "a"], ["ann", "ben"]).interval_by_group is not None


@pytest.mark.parametrize("name", OF_TEXTS)
def test_one_call_draws_utterances_and_groups(name: str) -> None:
    """By itself each row is a group: that interval is the one by utterance, which groups leave as it is."""
    alone = METRICS[name].compute(REFERENCES, HYPOTHESES)
    one_each = METRICS[name].compute(REFERENCES, HYPOTHESES, [str(row) for row in range(20)])
    assert one_each.interval == one_each.interval_by_group == alone.interval
    fours = METRICS[name].compute(REFERENCES, HYPOTHESES, [text[:1] for text in REFERENCES])
    assert fours.interval == alone.interval != fours.interval_by_group


@pytest.mark.parametrize("name", OF_TEXTS)
def test_nothing_to_score_is_an_error(name: str) -> None:
    with pytest.raises(RequestError, match="nothing to score"):
        METRICS[name].compute([], [])
    with pytest.raises(ValueError, match="1 references come with 2"):
        METRICS[name].compute(["a"], ["a", "b"])
