"""CTC decoding against known answers and against brute force over every path."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lattices import collapse, log_probs, peaks

from sorigil.decoding.ctc import CtcPath, beam, decode, forced, greedy, words
from sorigil.decoding.spec import BeamSpec, DecodeSpec, GreedySpec
from sorigil.errors import RunError
from sorigil.text.tokenizer import BpeTokens, SymbolTokens, Tokenizer, TokenSpec

SPECS = [GreedySpec(), BeamSpec(beam_width=8)]


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
    for path in (greedy(peaks(labels, 4)), beam(peaks(labels, 4), BeamSpec(beam_width=8))):
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


@pytest.mark.parametrize("spec", SPECS)
def test_subwords_become_words_at_their_spaces(spec: DecodeSpec) -> None:
    tokenizer = Tokenizer.train(BpeTokens(size=12), ["the cat sat on the mat", "a cat"])
    text = "the mat sat a cat"
    labels = [label for token in tokenizer.encode(text) for label in (token, 0)]
    (hypothesis,) = decode(peaks(labels, len(tokenizer))[None], [len(labels)], tokenizer, spec, 0.04)
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
    (hypothesis,) = decode(peaks(labels, len(tokenizer))[None], [len(labels)], tokenizer, GreedySpec(), 0.04)
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
        decode(broken, [4], tokenizer, GreedySpec(), 0.04, ids=["utt-7"])
    with pytest.raises(ValueError, match="never above 0"):
        decode(np.abs(good) + 1, [4], tokenizer, GreedySpec(), 0.04)
    with pytest.raises(ValueError, match="expected"):
        decode(good, [5], tokenizer, GreedySpec(), 0.04)
    with pytest.raises(ValueError, match="beam_width is 0"):
        BeamSpec(beam_width=0)


def test_a_pause_parts_words_where_the_model_wrote_no_space() -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["ab cd"])
    ids = tuple(tokenizer.encode("abcd"))
    path = CtcPath(ids=ids, frames=((0, 1), (2, 3), (20, 21), (22, 23)), posteriors=(1.0,) * 4, score=0.0)
    assert [word.text for word in words(path, tokenizer, 0.02)] == ["abcd"]
    assert [word.text for word in words(path, tokenizer, 0.02, pause_seconds=0.3)] == ["ab", "cd"]
