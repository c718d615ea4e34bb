"""The prefix beam search against known answers, every path of small lattices, and the plain algorithm."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lattices import brute_force, log_probs, peaks

from sorigil.decoding.beam import best_prefixes
from sorigil.decoding.ctc import beam, decode, greedy
from sorigil.decoding.spec import BeamSpec, GreedySpec
from sorigil.fingerprint import digest, fingerprint
from sorigil.text.tokenizer import SymbolTokens, Tokenizer


def found(log_probs_TV: np.ndarray, width: int, **options: float) -> dict[tuple[int, ...], float]:
    """All of the last beam."""
    prefixes = best_prefixes(log_probs_TV, BeamSpec(beam_width=width, n_best=width, **options))
    scores = [prefix.score for prefix in prefixes]
    assert scores == sorted(scores, reverse=True) and len(prefixes) <= width
    assert len({prefix.ids for prefix in prefixes}) == len(prefixes)
    return {prefix.ids: prefix.score for prefix in prefixes}


@settings(max_examples=60, deadline=None)
@given(frames=st.integers(1, 5), tokens=st.integers(2, 4), seed=st.integers(0, 10_000))
def test_a_wide_beam_equals_brute_force(frames: int, tokens: int, seed: int) -> None:
    log_probs_TV = log_probs(frames, tokens, seed)
    expected = brute_force(log_probs_TV)
    prefixes = found(log_probs_TV, width=2000)
    assert prefixes.keys() == expected.keys()
    for ids, probability in expected.items():
        assert math.exp(prefixes[ids]) == pytest.approx(probability, rel=1e-9)
    assert beam(log_probs_TV, BeamSpec(beam_width=2000)).ids == max(expected, key=lambda ids: expected[ids])


@settings(max_examples=60, deadline=None)
@given(frames=st.integers(1, 6), tokens=st.integers(2, 4), width=st.integers(1, 6), seed=st.integers(0, 10_000))
def test_a_narrow_beam_never_claims_too_much(frames: int, tokens: int, width: int, seed: int) -> None:
    log_probs_TV = log_probs(frames, tokens, seed)
    expected = brute_force(log_probs_TV)
    for ids, score in found(log_probs_TV, width).items():
        assert score <= math.log(expected[ids]) + 1e-9


def plain_beam(
    log_probs_TV: np.ndarray, width: int, token_threshold: float = math.inf, beam_threshold: float = math.inf
) -> dict[tuple[int, ...], float]:
    """Hannun et al.'s algorithm 1 with dictionaries, in probabilities and without a language model."""
    beam_now = {(): (1.0, 0.0)}
    for probabilities in np.exp(log_probs_TV):
        worth = probabilities >= probabilities.max() * math.exp(-token_threshold)
        grown: dict[tuple[int, ...], list[float]] = {}
        for prefix, (blank, token) in beam_now.items():
            for c, p in enumerate(probabilities):
                if c == 0:
                    grown.setdefault(prefix, [0.0, 0.0])[0] += p * (blank + token)
                    continue
                if prefix and c == prefix[-1]:
                    grown.setdefault(prefix, [0.0, 0.0])[1] += p * token
                if worth[c] or (*prefix, c) in beam_now:  # what leads into the beam is always counted
                    before = blank if prefix and c == prefix[-1] else blank + token
                    grown.setdefault((*prefix, c), [0.0, 0.0])[1] += p * before
        possible = [prefix for prefix, pair in grown.items() if sum(pair) > 0]
        best = sorted(possible, key=lambda prefix: -sum(grown[prefix]))[:width]
        floor = sum(grown[best[0]]) * math.exp(-beam_threshold)
        beam_now = {prefix: (grown[prefix][0], grown[prefix][1]) for prefix in best if sum(grown[prefix]) >= floor}
    return {prefix: sum(pair) for prefix, pair in beam_now.items()}


@settings(max_examples=150, deadline=None)
@given(
    frames=st.integers(0, 25),
    tokens=st.integers(2, 40),
    width=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    thresholds=st.sampled_from([{}, {"token_threshold": 2.5}, {"beam_threshold": 1.5}]),
)
def test_a_narrow_beam_equals_the_plain_algorithm(
    frames: int, tokens: int, width: int, seed: int, thresholds: dict[str, float]
) -> None:
    log_probs_TV = log_probs(frames, tokens, seed)
    expected = plain_beam(log_probs_TV, width, **thresholds)
    prefixes = found(log_probs_TV, width, **thresholds)
    assert prefixes.keys() == expected.keys()
    for ids, probability in expected.items():
        assert math.exp(prefixes[ids]) == pytest.approx(probability, rel=1e-9)


@pytest.mark.parametrize(
    ("labels", "ids"),
    [
        ([1, 1, 1], (1,)),
        ([1, 0, 1], (1, 1)),  # a double letter: a blank stands between
        ([1, 1, 0, 0, 1, 1, 0, 1], (1, 1, 1)),
        ([0, 0, 2, 1, 0, 0], (2, 1)),  # blanks at the edges
        ([0, 0], ()),
        ([], ()),
    ],
)
@pytest.mark.parametrize("width", [1, 2, 32])
def test_known_answers_at_every_width(labels: list[int], ids: tuple[int, ...], width: int) -> None:
    assert best_prefixes(peaks(labels, 4), BeamSpec(beam_width=width))[0].ids == ids


def test_beam_sums_paths_where_greedy_takes_one() -> None:
    log_probs_TV = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))  # "" by one path 0.36, "a" by three 0.64
    assert greedy(log_probs_TV).ids == ()
    assert beam(log_probs_TV, BeamSpec(beam_width=4)).ids == (1,)
    assert math.exp(beam(log_probs_TV, BeamSpec(beam_width=4)).score) == pytest.approx(0.64)


def test_equally_likely_prefixes_are_chosen_in_the_same_order_each_time() -> None:
    even = np.log(np.full((1, 5), 0.2))
    assert list(found(even, width=3)) == [(), (1,), (2,)]


def test_impossible_tokens_are_never_decoded() -> None:
    with np.errstate(divide="ignore"):
        log_probs_TV = np.log(np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]))
    assert found(log_probs_TV, width=8).keys() == {(1,), (1, 2)}
    assert all(score == pytest.approx(math.log(0.5)) for score in found(log_probs_TV, width=8).values())


def test_a_frame_in_which_nothing_is_possible_leaves_an_impossible_answer() -> None:
    log_probs_TV = np.full((2, 3), -np.inf)
    assert found(log_probs_TV, width=4) == {(): -math.inf}


def test_a_prefix_that_left_the_beam_and_comes_back_is_the_same_prefix() -> None:
    """`a` falls out while `ab` stays; when `a` comes back, what grows from it must meet `ab`."""
    for seed in range(300):
        found(log_probs(12, 3, seed), width=3)  # no prefix twice


def test_the_best_texts_are_told_and_what_several_prefixes_spell_is_one_of_them() -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["a b"])  # blank, space, a, b
    log_probs_TV = log_probs(7, 4, 3)
    spec = BeamSpec(beam_width=3000, n_best=3000)
    (hypothesis,) = decode(log_probs_TV[None], [7], tokenizer, spec, 0.04)
    expected: dict[str, float] = {}
    for ids, probability in brute_force(log_probs_TV).items():
        text = " ".join(tokenizer.decode(ids).split())
        expected[text] = expected.get(text, 0.0) + probability
    told = hypothesis.extras["n_best"]
    assert {text for text, _ in told} == expected.keys()
    assert [score for _, score in told] == sorted((score for _, score in told), reverse=True)
    for text, score in told:
        assert math.exp(score) == pytest.approx(expected[text], rel=1e-9)
    short = decode(log_probs_TV[None], [7], tokenizer, dataclasses.replace(spec, n_best=2), 0.04)[0]
    assert short.text == hypothesis.text and len(short.extras["n_best"]) <= 2


def test_specs_refuse_what_makes_no_sense_and_keep_the_keys_of_old_scores() -> None:
    for wrong, said in [
        ({"beam_width": 0}, "beam_width is 0"),
        ({"token_threshold": 0.0}, "token_threshold is 0.0"),
        ({"beam_threshold": -1.0}, "beam_threshold is -1.0"),
        ({"n_best": 17}, r"n_best is 17; it must be 1 to beam_width \(16\)"),
    ]:
        with pytest.raises(ValueError, match=said):
            BeamSpec(**wrong)
    assert fingerprint(GreedySpec()) == digest("DecodeSpec", 1, '{"kind": "greedy"}')
    assert fingerprint(BeamSpec(beam_width=32)) == digest("DecodeSpec", 1, '{"beam_width": 32, "kind": "beam"}')


def test_numba_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, sorigil.decoding.ctc, flows.config; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
