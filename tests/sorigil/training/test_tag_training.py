"""Tagging: the loss is torch's own, targets are lists of tags, the dev figure is the mean average precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sorigil.errors import RequestError
from sorigil.metrics.tagging import mean_average_precision
from sorigil.models.network import build
from sorigil.models.specs import Cnn1dSpec
from sorigil.text import tags
from sorigil.training.data import Batch
from sorigil.training.judges import TagPrecision
from sorigil.training.learner import Learner
from sorigil.training.objectives import tagging_loss
from sorigil.training.spec import TrainSpec
from sorigil.training.targets import TagTargets, several_hot

TARGETS_BL, LENGTHS_B = torch.tensor([[0, 2], [1, 0], [0, 0]]), torch.tensor([2, 1, 0])
TRUTH_BC = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


def test_lists_of_tags_become_ones_and_padding_nothing() -> None:
    assert torch.equal(several_hot(TARGETS_BL, LENGTHS_B, 3), TRUTH_BC)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_and_its_gradient_are_torchs_binary_cross_entropy(scale: float, smoothing: float) -> None:
    torch.manual_seed(0)
    logits_BC = (torch.randn(3, 3) * scale).requires_grad_()
    weights_C = torch.tensor([1.0, 2.0, 0.5])
    truth_BC = TRUTH_BC * (1 - smoothing) + smoothing / 2
    losses_BC = functional.binary_cross_entropy_with_logits(logits_BC, truth_BC, reduction="none")
    for weights in (None, weights_C):
        expected = losses_BC.mean() if weights is None else (losses_BC * weights).sum() / (3 * weights.sum())
        found = tagging_loss(
            functional.logsigmoid(logits_BC), torch.tensor([4]), TARGETS_BL, LENGTHS_B, smoothing, weights
        )
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
        grads = [torch.autograd.grad(loss, logits_BC, retain_graph=True)[0] for loss in (found, expected)]
        torch.testing.assert_close(*grads, rtol=1e-3, atol=1e-6)


@given(st.lists(st.text("abc |", max_size=6), min_size=1, max_size=5))
def test_tags_come_back_sorted_and_once(texts: list[str]) -> None:
    for text in texts:
        own = tags.read(text, "|")
        expected = sorted({part.strip() for part in text.split("|")} - {""})
        assert tags.split(own) == expected
        assert tags.read(tags.show(own, "|"), "|") == own


def test_tags_are_learned_from_what_there_is_and_unknown_ones_left_out() -> None:
    values = [tags.read(text, ";") for text in ("dog; rain", "", "cat", "rain")]
    learned = TagTargets.learn(values, None)  # type: ignore[arg-type]
    assert learned.outputs == ("cat", "dog", "rain")
    assert learned.encode([*values, tags.join(["bird", "cat"])]) == [[1, 2], [], [0], [2], [0]]
    assert learned.known(values).all()
    with pytest.raises(RequestError, match="no training row has a tag"):
        TagTargets.learn(["", ""], None)  # type: ignore[arg-type]


def batch() -> Batch:
    torch.manual_seed(1)
    return Batch(
        keys=("a", "b", "c"),
        rows=(0, 1, 2),
        features_BTF=torch.randn(3, 20, 4),
        lengths_B=torch.tensor([20, 12, 9]),
        targets_BL=TARGETS_BL,
        target_lengths_B=LENGTHS_B,
    )


def test_the_dev_figure_is_the_metrics() -> None:
    log_probs_BC = torch.tensor([[0.2, 0.4, 0.1], [0.3, 0.1, 0.9], [0.6, 0.2, 0.3]]).log()
    judge = TagPrecision(None, None)
    judge.add(batch(), log_probs_BC, torch.tensor([20, 12, 9]))
    expected = mean_average_precision(TRUTH_BC.numpy() > 0, log_probs_BC.exp().double().numpy(), ["x", "y", "z"])
    assert judge.figures() == {"map": pytest.approx(expected.value)}


@pytest.mark.parametrize("changes", [{}, {"mixup": 0.2}, {"label_smoothing": 0.05}])
def test_tags_of_a_few_items_are_learned_by_heart(changes: dict[str, float]) -> None:
    torch.manual_seed(0)
    network = build(Cnn1dSpec(channels=16, dropout=0.0), "tagging", 4, 3).train()
    learner = Learner(network, TrainSpec(weight_decay=0.0, **changes), "tagging", "cpu")
    for step in range(80):
        learner.learn([batch()], 5e-3, 0, step)
    with torch.no_grad():
        said_BC = network.eval()(batch().features_BTF, batch().lengths_B)[0].exp() >= tags.SAID_FROM
    np.testing.assert_array_equal(said_BC, TRUTH_BC > 0)
