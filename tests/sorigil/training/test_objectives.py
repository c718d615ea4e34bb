"""Losses against brute force, and the arithmetic of transcripts that are too long."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sorigil.text.tokenizer import needed_frames
from sorigil.training.objectives import LEARNING, text_rejections, too_long


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != 0)


def brute_force(log_probs_TV: torch.Tensor, target: tuple[int, ...]) -> float:
    """Minus the log of the summed probability of all paths that collapse to the target."""
    frames, tokens = log_probs_TV.shape
    paths = (path for path in itertools.product(range(tokens), repeat=frames) if collapse(path) == target)
    return -math.log(sum(math.exp(sum(float(log_probs_TV[t, v]) for t, v in enumerate(path))) for path in paths))


def test_ctc_loss_is_the_mean_per_token_over_valid_frames() -> None:
    torch.manual_seed(0)
    log_probs_BTV = torch.randn(2, 5, 3).log_softmax(-1)
    loss = LEARNING["ctc"].loss(
        log_probs_BTV, torch.tensor([5, 3]), torch.tensor([[1, 1, 2], [2, 0, 0]]), torch.tensor([3, 1])
    )
    expected = brute_force(log_probs_BTV[0], (1, 1, 2)) + brute_force(log_probs_BTV[1, :3], (2,))
    assert float(loss) == pytest.approx(expected / 4, rel=1e-5)


@settings(deadline=None)
@given(data=st.data(), frames=st.integers(1, 6), tokens=st.integers(2, 4), seed=st.integers(0, 10_000))
def test_ctc_loss_and_its_gradient_equal_the_sum_over_all_alignments(
    data: st.DataObject, frames: int, tokens: int, seed: int
) -> None:
    torch.manual_seed(seed)
    target = data.draw(st.lists(st.integers(1, tokens - 1), min_size=1, max_size=3))
    assume(needed_frames(target) <= frames)
    logits_TV = torch.randn(frames, tokens, dtype=torch.float64, requires_grad=True)
    log_probs_TV = logits_TV.log_softmax(-1)
    lengths = torch.tensor([frames]), torch.tensor([target]), torch.tensor([len(target)])
    loss = LEARNING["ctc"].loss(log_probs_TV[None], *lengths) * len(target)
    paths = [path for path in itertools.product(range(tokens), repeat=frames) if collapse(path) == tuple(target)]
    summed = -torch.logsumexp(torch.stack([log_probs_TV[range(frames), path].sum() for path in paths]), 0)
    torch.testing.assert_close(loss, summed)
    (found,) = torch.autograd.grad(loss, logits_TV, retain_graph=True)
    (expected,) = torch.autograd.grad(summed, logits_TV)
    torch.testing.assert_close(found, expected)


def test_an_impossible_item_adds_nothing_and_an_empty_transcript_is_allowed() -> None:
    log_probs_BTV = torch.randn(2, 4, 3).log_softmax(-1).requires_grad_()
    lengths_B, target_lengths_B = torch.tensor([1, 4]), torch.tensor([2, 0])
    loss = LEARNING["ctc"].loss(log_probs_BTV, lengths_B, torch.tensor([[1, 2], [0, 0]]), target_lengths_B)
    assert float(loss.detach()) == pytest.approx(brute_force(log_probs_BTV[1].detach(), ()) / 2, rel=1e-5)
    loss.backward()
    assert torch.isfinite(log_probs_BTV.grad).all()


def test_label_smoothing_draws_to_the_uniform_distribution_of_valid_frames() -> None:
    log_probs_BTV = torch.randn(1, 4, 3).log_softmax(-1)
    arguments = (torch.tensor([3]), torch.tensor([[1]]), torch.tensor([1]))
    plain = LEARNING["ctc"].loss(log_probs_BTV, *arguments)
    smooth = LEARNING["ctc"].loss(log_probs_BTV, *arguments, label_smoothing=0.25)
    assert float(smooth) == pytest.approx(0.75 * float(plain) - 0.25 * float(log_probs_BTV[0, :3].mean()), rel=1e-5)


def test_classification_is_cross_entropy() -> None:
    log_probs_BC = torch.tensor([[0.1, 0.9], [0.5, 0.5]]).log()
    loss = LEARNING["classification"].loss(log_probs_BC, torch.ones(2), torch.tensor([[1], [0]]), torch.ones(2))
    assert float(loss) == pytest.approx(-(math.log(0.9) + math.log(0.5)) / 2, rel=1e-6)


def test_frames_needed_are_the_shortest_input_with_a_path() -> None:
    for target in itertools.chain.from_iterable(itertools.product((1, 2), repeat=size) for size in range(4)):
        shortest = next(
            frames
            for frames in range(8)
            if any(collapse(path) == target for path in itertools.product(range(3), repeat=frames))
        )
        assert needed_frames(target) == shortest


@given(st.lists(st.tuples(st.lists(st.integers(1, 3), max_size=6), st.integers(0, 12)), max_size=8))
def test_none_but_transcripts_longer_than_their_frames_are_too_long(rows: list[tuple[list[int], int]]) -> None:
    refused = too_long(np.array([frames for _, frames in rows], np.int64), [target for target, _ in rows]).tolist()
    assert refused == [row for row, (target, frames) in enumerate(rows) if needed_frames(target) > frames]


def test_too_long_transcripts_become_rejections_that_say_why() -> None:
    lengths = np.array([3, 3, 4])
    targets = [[1, 2, 1], [1, 1, 2], [1, 1, 2]]
    rows = too_long(lengths, targets)
    assert rows.tolist() == [1]
    (rejection,) = text_rejections(rows, lengths, targets, ["a", "b", "c"], ["a.wav", "b.wav", "c.wav"])
    assert (rejection.id, rejection.uri, rejection.stage) == ("b", "b.wav", "train")
    assert rejection.reason == "text_longer_than_input"
    assert "3 tokens and needs 4 frames" in rejection.detail and "leaves 3 frames" in rejection.detail
