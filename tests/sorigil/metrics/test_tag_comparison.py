"""Two taggers side by side: the figures are those of `tagging`, draws are paired, and equal ones are seldom told apart."""

from __future__ import annotations

import time

import numpy as np
import pytest

from sorigil.metrics.tag_comparison import FIGURES, Tagged, compare_tags
from sorigil.metrics.tagging import d_prime, mean_average_precision, micro_f1

OF_TAGGING = {"map": mean_average_precision, "d_prime": d_prime, "micro_f1": micro_f1}


def taggers(items: int, tags: int, *gains: float, seed: int = 0, share: float = 0.2) -> tuple[np.ndarray, list[Tagged]]:
    """What is hard for one is hard for all; `gains` is how much each knows."""
    rng = np.random.default_rng(seed)
    truth_NC = rng.random((items, tags)) < share
    hard_NC = rng.normal(size=(items, tags))
    found = []
    for gain in gains:
        logits_NC = gain * (truth_NC - share) + hard_NC + 0.5 * rng.normal(size=(items, tags)) - 1
        probabilities_NC = 1 / (1 + np.exp(-logits_NC))
        found.append(Tagged(probabilities_NC=probabilities_NC, said_NC=probabilities_NC >= 0.5))
    return truth_NC, found


def test_values_are_those_of_the_metrics() -> None:
    truth_NC, (a, b) = taggers(150, 4, 1.0, 2.0)
    found = compare_tags(truth_NC, [a], [b])
    assert tuple(found) == FIGURES
    for name, metric in OF_TAGGING.items():
        for value, each in ((found[name].first.a, a), (found[name].first.b, b)):
            answers_NC = each.said_NC if name == "micro_f1" else each.probabilities_NC
            assert value == pytest.approx(metric(truth_NC, answers_NC, list("abcd")).value)
        first = found[name].first
        assert first.delta.value == pytest.approx(first.b - first.a) and first.test is None


def test_the_one_that_knows_more_is_better_in_either_order_and_by_speaker() -> None:
    truth_NC, (a, b) = taggers(300, 5, 1.0, 2.5)
    speakers = [f"s{n % 15}" for n in range(300)]
    for name, found in compare_tags(truth_NC, [a], [b], speakers).items():
        assert found.first.better == "b" and found.first.delta.interval[0] > 0, name
        assert found.first.by_speaker is not None and found.first.by_speaker.interval != found.first.delta.interval
        assert found.first.delta.p == pytest.approx(2 / 1001) and found.pooled is None
    assert {found.first.better for found in compare_tags(truth_NC, [b], [a]).values()} == {"a"}


def test_one_and_the_same_differs_by_nothing() -> None:
    truth_NC, (a,) = taggers(50, 3, 1.0)
    for found in compare_tags(truth_NC, [a], [a]).values():
        assert (found.first.delta.value, found.first.delta.interval, found.first.better) == (0, (0, 0), None)
        assert found.first.delta.p == 1


def test_draws_are_paired() -> None:
    truth_NC, (a, b) = taggers(200, 4, 1.5, 1.6)
    width = np.ptp(compare_tags(truth_NC, [a], [b])["map"].first.delta.interval)
    alone = mean_average_precision(truth_NC, a.probabilities_NC, list("abcd")).interval
    assert alone is not None and width < np.ptp(alone)


def test_no_item_with_a_tag_is_no_difference() -> None:
    nothing_NC = np.zeros((4, 2), bool)
    one = Tagged(probabilities_NC=np.full((4, 2), 0.1), said_NC=nothing_NC)
    for found in compare_tags(nothing_NC, [one], [one]).values():
        assert (found.first.a, found.first.delta.value, found.first.better) == (0, 0, None)


def test_several_trainings_are_pooled() -> None:
    truth_NC, found = taggers(200, 4, 1.0, 1.1, 1.2, 2.4, 2.5)
    compared = compare_tags(truth_NC, found[:3], found[3:], [f"s{n % 10}" for n in range(200)])["map"]
    assert len(compared.values_a) == 3 and len(compared.values_b) == 2
    assert compared.pooled is not None and compared.pooled.better == "b"
    assert compared.pooled.delta.value == pytest.approx(np.mean(compared.values_b) - np.mean(compared.values_a))
    assert compared.pooled.by_speaker is not None


@pytest.mark.parametrize("items, shown", [(1, None), (5, None), (6, "b")])
def test_a_few_utterances_show_nothing(items: int, shown: str | None) -> None:
    truth_NC = np.ones((items, 1), bool)
    silent, right = (
        Tagged(probabilities_NC=np.full((items, 1), said), said_NC=truth_NC & (said > 0.5)) for said in (0.1, 0.9)
    )
    found = compare_tags(truth_NC, [silent] * 2, [right] * 2)["micro_f1"]
    assert found.pooled is not None and found.first.better == found.pooled.better == shown
    assert found.first.delta.value == 1 and found.first.delta.p == found.pooled.delta.p == 2 / 2**items


@pytest.mark.slow
def test_equal_taggers_are_seldom_told_apart() -> None:
    shown = np.zeros(len(FIGURES))
    for seed in range(40):
        truth_NC, (a, b) = taggers(200, 6, 1.5, 1.5, seed=seed, share=0.05)
        shown += [found.first.better is not None for found in compare_tags(truth_NC, [a], [b]).values()]
    assert (shown <= 6).all(), shown  # 2 on average


@pytest.mark.slow
def test_a_large_comparison_takes_seconds() -> None:
    truth_NC, (a, b) = taggers(2000, 50, 1.0, 1.1)
    began = time.process_time()
    compare_tags(truth_NC, [a], [b])
    assert time.process_time() - began < 15  # some 3 s
