"""The path found with little memory is the best there is: against every path, and against the whole matrix."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.alignment.viterbi import best_states
from sorigil.text.tokenizer import needed_frames


def log_probs(frames: int, tokens: int, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, size=(frames, tokens))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def extended(ids: list[int]) -> np.ndarray:
    return np.array([0, *(token for each in ids for token in (each, 0))])


def is_allowed(states: tuple[int, ...], ids: list[int]) -> bool:
    """Starts and ends at the edges, never goes back, and leaves out a blank between different tokens only."""
    labels = extended(ids)
    if states[0] > 1 or states[-1] < len(labels) - 2:
        return False
    for before, after in itertools.pairwise(states):
        skips = after == before + 2 and labels[after] != 0 and labels[after] != labels[before]
        if after - before not in (0, 1) and not skips:
            return False
    return True


def score(log_probs_TV: np.ndarray, ids: list[int], states: tuple[int, ...]) -> float:
    return float(log_probs_TV[np.arange(len(states)), extended(ids)[list(states)]].sum())


@settings(max_examples=100)
@given(
    frames=st.integers(1, 6), ids=st.lists(st.integers(1, 2), max_size=3), seed=st.integers(0, 10_000)
)  # two tokens: doubled letters are common
def test_it_is_the_best_of_all_paths(frames: int, ids: list[int], seed: int) -> None:
    log_probs_TV = log_probs(frames, 3, seed)
    every = itertools.product(range(2 * len(ids) + 1), repeat=frames)
    scores = {path: score(log_probs_TV, ids, path) for path in every if is_allowed(path, ids)}
    if not scores:
        assert frames < needed_frames(ids)
        with pytest.raises(ValueError, match=f"{frames} frames cannot hold {len(ids)} tokens"):
            best_states(log_probs_TV, ids)
        return
    states_T, found = best_states(log_probs_TV, ids)
    assert found == pytest.approx(max(scores.values()))
    assert scores[tuple(states_T.tolist())] == pytest.approx(found)


def whole_matrix(log_probs_TV: np.ndarray, ids: list[int]) -> float:
    labels = extended(ids)
    best = np.full(len(labels), -np.inf)
    best[:2] = log_probs_TV[0, labels[:2]]
    for row in log_probs_TV[1:]:
        moves = np.full((3, len(labels)), -np.inf)
        moves[0], moves[1, 1:] = best, best[:-1]
        moves[2, 2:] = np.where((labels[2:] != 0) & (labels[2:] != labels[:-2]), best[:-2], -np.inf)
        best = moves.max(axis=0) + row[labels]
    return float(best[-2:].max())


@settings(max_examples=60)
@given(frames=st.integers(60, 200), length=st.integers(1, 60), tokens=st.integers(2, 6), seed=st.integers(0, 10_000))
def test_many_short_stretches_make_the_best_path(frames: int, length: int, tokens: int, seed: int) -> None:
    log_probs_TV = log_probs(frames, tokens, seed).astype(np.float32)
    ids = np.random.default_rng(seed).integers(1, tokens, length).tolist()
    if needed_frames(ids) > frames:
        return
    states_T, found = best_states(log_probs_TV, ids)
    path = tuple(states_T.tolist())
    assert is_allowed(path, ids)
    assert found == pytest.approx(whole_matrix(log_probs_TV, ids))
    assert score(log_probs_TV, ids, path) == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("frames", [3, 4, 50])
def test_a_doubled_letter_needs_a_blank_between(frames: int) -> None:
    states_T, _ = best_states(np.log(np.full((frames, 2), 0.5)), [1, 1])
    assert set(states_T.tolist()) >= {1, 2, 3}


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_no_text_is_blanks(frames: int) -> None:
    log_probs_TV = log_probs(frames, 3, 0)
    states_T, found = best_states(log_probs_TV, [])
    assert states_T.tolist() == [0] * frames
    assert found == pytest.approx(log_probs_TV[:, 0].sum())


def test_a_text_that_cannot_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="2 frames cannot hold 2 tokens: they need 3"):
        best_states(log_probs(2, 3, 0), [1, 1])
    with pytest.raises(ValueError, match="0 frames cannot hold 1 tokens: they need 1"):
        best_states(log_probs(0, 3, 0), [1])


def test_a_token_that_is_impossible_is_refused() -> None:
    log_probs_TV = log_probs(5, 3, 0)
    log_probs_TV[:, 2] = -np.inf
    with pytest.raises(ValueError, match="one of them has probability 0"):
        best_states(log_probs_TV, [1, 2])


HALF_AN_HOUR = """
import resource
import numpy as np
from sorigil.alignment.viterbi import best_states
log_probs_TV = np.log(np.random.default_rng(0).dirichlet(np.ones(8), 45_000)).astype(np.float32)
ids = np.random.default_rng(1).integers(1, 8, 5_000).tolist()
best_states(log_probs_TV[:10], ids[:2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
states_T, _ = best_states(log_probs_TV, ids)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, states_T[0], states_T[-1] >= 2 * len(ids) - 1)
"""


def test_half_an_hour_needs_megabytes() -> None:
    """45,000 frames and 10,001 states: backpointers of a byte each would be 450 MB."""
    run = subprocess.run([sys.executable, "-c", HALF_AN_HOUR], capture_output=True, text=True, check=True)
    kilobytes, first, ends = run.stdout.split()
    assert int(kilobytes) < 30_000
    assert int(first) <= 1
    assert ends == "True"
