"""CTC decoding against known answers and against brute force over every path."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.decoding.beam import best_prefixes
from sorigil.decoding.ctc import CtcPath, DecodeSpec, beam, decode, forced, greedy, words
from sorigil.errors import RunError
from sorigil.text.tokenizer import BpeTokens, SymbolTokens, Tokenizer, TokenSpec

SPECS = [DecodeSpec(), DecodeSpec(kind="beam", beam_width=8)]


def log_probs(frames: int, tokens: int, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, size=(frames, tokens))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def peaks(labels: list[int], tokens: int, posterior: float = 0.9) -> np.ndarray:
    """Posteriors whose best path is `labels`."""
    probabilities = np.full((len(labels), tokens), (1 - posterior) / (tokens - 1))
    probabilities[np.arange(len(labels)), labels] = posterior
    return np.log(probabilities)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != 0)


def brute_force(log_probs_TV: np.ndarray) -> dict[tuple[int, ...], float]:
    """Sum every path's probability into the sequence it spells."""
    totals: dict[tuple[int, ...], float] = {}
    frames, tokens = log_probs_TV.shape
    for path in itertools.product(range(tokens), repeat=frames):
        probability = math.exp(sum(log_probs_TV[t, token] for t, token in enumerate(path)))
        totals[collapse(path)] = totals.get(collapse(path), 0.0) + probability
    return totals


@pytest.mark.parametrize(
    ("labels", "ids", "frames"),
    [
        ([1, 1, 2, 2], (1, 2), ((0, 2), (2, 4))),
        ([1, 1, 0, 1], (1, 1), ((0, 2), (3, 4))),  # a double letter: a blank stands between
        ([1, 0, 0, 1, 1], (1, 1), ((0, 1), (3, 5))),
        ([0, 0, 0], (), ()),
        ([], (), ()),
        ([0, 3, 3, 0], (3,), ((1, 3),)),
        ([2, 1, 2], (2, 1, 2), ((0, 1), (1, 2), (2, 3))),
    ],
)
def test_greedy_and_beam_known_answers(
    labels: list[int], ids: tuple[int, ...], frames: tuple[tuple[int, int], ...]
) -> None:
    for path in (greedy(peaks(labels, 4)), beam(peaks(labels, 4), 8)):
        assert path.ids == ids
        assert path.frames == frames
        assert path.posteriors == pytest.approx([0.9] * len(ids))


@pytest.mark.parametrize("spec", SPECS)
def test_double_letters_reach_the_text(spec: DecodeSpec) -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["hello see"])
    for text in ("hello", "see hello", "helo"):
        labels = [label for token in tokenizer.encode(text) for label in (token, token, 0)]
        (hypothesis,) = decode(peaks(labels, len(tokenizer))[None], [len(labels)], tokenizer, spec, 0.04)
        assert hypothesis.text == text


@settings(deadline=None)
@given(frames=st.integers(0, 30), tokens=st.integers(2, 5), seed=st.integers(0, 10_000))
def test_greedy_is_the_collapsed_best_path(frames: int, tokens: int, seed: int) -> None:
    log_probs_TV = log_probs(frames, tokens, seed)
    path = greedy(log_probs_TV)
    best = log_probs_TV.argmax(axis=1)
    assert path.ids == collapse(tuple(best))
    assert path.score == pytest.approx(log_probs_TV.max(axis=1).sum()) if frames else path.score == 0.0
    for token, (start, end) in zip(path.ids, path.frames, strict=True):
        assert end > start
        assert set(best[start:end]) == {token}


@settings(max_examples=60, deadline=None)
@given(frames=st.integers(1, 5), tokens=st.integers(2, 4), seed=st.integers(0, 10_000))
def test_a_wide_beam_equals_brute_force(frames: int, tokens: int, seed: int) -> None:
    log_probs_TV = log_probs(frames, tokens, seed)
    expected = brute_force(log_probs_TV)
    found = dict(best_prefixes(log_probs_TV, beam_width=2000))
    assert found.keys() == expected.keys()
    for ids, probability in expected.items():
        assert math.exp(found[ids]) == pytest.approx(probability, rel=1e-9)
    best = max(expected, key=lambda ids: expected[ids])
    path = beam(log_probs_TV, 2000)
    assert path.ids == best
    assert path.score == pytest.approx(math.log(expected[best]))


@settings(max_examples=60, deadline=None)
@given(frames=st.integers(1, 6), tokens=st.integers(2, 4), width=st.integers(1, 6), seed=st.integers(0, 10_000))
def test_a_narrow_beam_never_claims_too_much(frames: int, tokens: int, width: int, seed: int) -> None:
    log_probs_TV = log_probs(frames, tokens, seed)
    expected = brute_force(log_probs_TV)
    found = best_prefixes(log_probs_TV, width)
    assert len(found) <= width
    assert len({ids for ids, _ in found}) == len(found)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    for ids, score in found:
        assert score <= math.log(expected[ids]) + 1e-9


def plain_beam(log_probs_TV: np.ndarray, width: int) -> dict[tuple[int, ...], float]:
    """Hannun et al.'s algorithm 1 with dictionaries, in probabilities and without a language model."""
    beam_now = {(): (1.0, 0.0)}
    for probabilities in np.exp(log_probs_TV):
        grown: dict[tuple[int, ...], list[float]] = {}
        for prefix, (blank, token) in beam_now.items():
            for c, p in enumerate(probabilities):
                if c == 0:
                    grown.setdefault(prefix, [0.0, 0.0])[0] += p * (blank + token)
                elif prefix and c == prefix[-1]:
                    grown.setdefault(prefix, [0.0, 0.0])[1] += p * token
                    grown.setdefault((*prefix, c), [0.0, 0.0])[1] += p * blank
                else:
                    grown.setdefault((*prefix, c), [0.0, 0.0])[1] += p * (blank + token)
        best = sorted(grown, key=lambda prefix: -sum(grown[prefix]))[:width]
        beam_now = {prefix: (grown[prefix][0], grown[prefix][1]) for prefix in best}
    return {prefix: sum(pair) for prefix, pair in beam_now.items() if sum(pair) > 0}


@settings(max_examples=60, deadline=None)
@given(frames=st.integers(1, 25), tokens=st.integers(2, 40), width=st.integers(1, 6), seed=st.integers(0, 10_000))
def test_a_narrow_beam_equals_the_plain_algorithm(frames: int, tokens: int, width: int, seed: int) -> None:
    log_probs_TV = log_probs(frames, tokens, seed)
    expected = plain_beam(log_probs_TV, width)
    found = dict(best_prefixes(log_probs_TV, width))
    assert found.keys() == expected.keys()
    for ids, probability in expected.items():
        assert math.exp(found[ids]) == pytest.approx(probability, rel=1e-9)


def test_beam_sums_paths_where_greedy_takes_one() -> None:
    log_probs_TV = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))  # "" by one path 0.36, "a" by three 0.64
    assert greedy(log_probs_TV).ids == ()
    assert beam(log_probs_TV, 4).ids == (1,)
    assert math.exp(beam(log_probs_TV, 4).score) == pytest.approx(0.64)


@settings(max_examples=60, deadline=None)
@given(frames=st.integers(1, 6), tokens=st.integers(2, 4), seed=st.integers(0, 10_000), pick=st.integers(0, 1000))
def test_a_forced_path_is_the_best_of_its_sequence(frames: int, tokens: int, seed: int, pick: int) -> None:
    log_probs_TV = log_probs(frames, tokens, seed)
    paths = list(itertools.product(range(tokens), repeat=frames))
    ids = collapse(paths[pick % len(paths)])
    score = {path: sum(log_probs_TV[t, token] for t, token in enumerate(path)) for path in paths}
    best = max((path for path in paths if collapse(path) == ids), key=lambda path: score[path])
    found = forced(log_probs_TV, ids)
    assert found.ids == ids
    assert found.score == pytest.approx(score[best])
    assert found.frames == greedy(peaks(list(best), tokens)).frames


def test_impossible_tokens_are_never_decoded() -> None:
    with np.errstate(divide="ignore"):
        log_probs_TV = np.log(np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]))
    assert beam(log_probs_TV, 8).ids in ((1,), (1, 2))
    assert all(score > -np.inf for _, score in best_prefixes(log_probs_TV, 8))


@settings(deadline=None)
@given(frames=st.integers(0, 60), seed=st.integers(0, 10_000), offset=st.floats(0, 1e5))
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("tokens", [SymbolTokens(), SymbolTokens(kind="words"), BpeTokens(size=9)], ids=str)
def test_every_word_is_timed(spec: DecodeSpec, tokens: TokenSpec, frames: int, seed: int, offset: float) -> None:
    tokenizer = Tokenizer.train(tokens, ["a b c ab"])
    log_probs_TV = log_probs(frames, len(tokenizer), seed)
    (hypothesis,) = decode(log_probs_TV[None], [frames], tokenizer, spec, 0.04, offsets_B=[offset])
    assert hypothesis.text == " ".join(word.text for word in hypothesis.words)
    assert 0.0 <= hypothesis.confidence <= 1.0
    for word in hypothesis.words:
        assert word.text
        assert offset <= word.start < word.end <= offset + frames * 0.04 + 1e-6
        assert 0.0 < word.confidence <= 1.0
    for first, second in itertools.pairwise(hypothesis.words):
        assert first.end <= second.start


@pytest.mark.parametrize("kind", ["greedy", "beam"])
def test_subwords_become_words_at_their_spaces(kind: Literal["greedy", "beam"]) -> None:
    tokenizer = Tokenizer.train(BpeTokens(size=12), ["the cat sat on the mat", "a cat"])
    text = "the mat sat a cat"
    labels = [label for token in tokenizer.encode(text) for label in (token, 0)]
    (hypothesis,) = decode(peaks(labels, len(tokenizer))[None], [len(labels)], tokenizer, DecodeSpec(kind=kind), 0.04)
    assert hypothesis.text == text and len(hypothesis.words) == 5
    assert len(labels) > 2 * 5, "some word must be of several subwords"


def test_word_times_are_frames_times_seconds() -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["ab c"])  # blank, space, a, b, c
    path = greedy(peaks([0, 2, 2, 3, 0, 1, 1, 4, 0], 5))
    first, second = words(path, tokenizer, 0.02, offset=10.0)
    assert (first.text, first.start, first.end) == ("ab", pytest.approx(10.02), pytest.approx(10.08))
    assert (second.text, second.start, second.end) == ("c", pytest.approx(10.14), pytest.approx(10.16))
    assert first.confidence == pytest.approx(0.9)


def test_jamo_come_out_as_syllables() -> None:
    tokenizer = Tokenizer.train(SymbolTokens(kind="jamo"), ["한국 말"])
    labels = [label for token in tokenizer.encode("한국 말") for label in (token, 0)]
    (hypothesis,) = decode(peaks(labels, len(tokenizer))[None], [len(labels)], tokenizer, DecodeSpec(), 0.04)
    assert [word.text for word in hypothesis.words] == ["한국", "말"]


@pytest.mark.parametrize("spec", SPECS)
def test_a_batch_is_its_rows_and_padding_is_not_read(spec: DecodeSpec) -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["abc d"])
    rows = [log_probs(frames, len(tokenizer), seed) for seed, frames in enumerate((12, 0, 7))]
    batch = np.full((3, 12, len(tokenizer)), np.nan, dtype=np.float32)
    for row, log_probs_TV in enumerate(rows):
        batch[row, : len(log_probs_TV)] = log_probs_TV
    together = decode(batch, np.array([12, 0, 7]), tokenizer, spec, 0.04, ids=["x", "y", "z"])
    assert [hypothesis.id for hypothesis in together] == ["x", "y", "z"]
    assert together[1].text == "" and together[1].words == ()
    for row, log_probs_TV in enumerate(rows):
        alone = decode(log_probs_TV[None].astype(np.float32), [len(log_probs_TV)], tokenizer, spec, 0.04)
        assert alone[0].text == together[row].text
        assert alone[0].words == together[row].words


def test_bad_input_is_told() -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["ab"])
    good = log_probs(4, 3, 0)[None]
    broken = good.copy()
    broken[0, 1, 1] = np.nan
    with pytest.raises(RunError, match=r"utt-7.*NaN"):
        decode(broken, [4], tokenizer, DecodeSpec(), 0.04, ids=["utt-7"])
    with pytest.raises(ValueError, match="never above 0"):
        decode(np.abs(good) + 1, [4], tokenizer, DecodeSpec(), 0.04)
    with pytest.raises(ValueError, match="expected"):
        decode(good, [5], tokenizer, DecodeSpec(), 0.04)
    with pytest.raises(ValueError, match="beam_width is 0"):
        DecodeSpec(kind="beam", beam_width=0)


def test_a_pause_parts_words_where_the_model_wrote_no_space() -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["ab cd"])
    ids = tuple(tokenizer.encode("abcd"))
    path = CtcPath(ids=ids, frames=((0, 1), (2, 3), (20, 21), (22, 23)), posteriors=(1.0,) * 4, score=0.0)
    assert [word.text for word in words(path, tokenizer, 0.02)] == ["abcd"]
    assert [word.text for word in words(path, tokenizer, 0.02, pause_seconds=0.3)] == ["ab", "cd"]
