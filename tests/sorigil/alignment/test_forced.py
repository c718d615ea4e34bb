"""Words and characters of a known text: when they are, how sure they are, and which texts are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.alignment.forced import align, as_written
from sorigil.errors import AudioError, RunError
from sorigil.text.normalize import NORMALIZERS
from sorigil.text.tokenizer import BpeTokens, SymbolTokens, Tokenizer, TokenSpec

basic, english, none = (NORMALIZERS[name] for name in ("basic", "english", "none"))
CHARACTERS = Tokenizer.train(SymbolTokens(), ["see hello dont well known"])


def peaks(labels: list[int], tokens: int, posterior: float = 0.9) -> np.ndarray:
    """Posteriors whose best path is `labels`."""
    probabilities = np.full((len(labels), tokens), (1 - posterior) / (tokens - 1))
    probabilities[np.arange(len(labels)), labels] = posterior
    return np.log(probabilities)


def said(pattern: str, tokenizer: Tokenizer = CHARACTERS) -> np.ndarray:
    """Posteriors of one frame for each sign: a token, or `-` for a blank and `_` for a space."""
    names = {"-": "<blank>", "_": " "}
    return peaks([tokenizer.tokens.index(names.get(sign, sign)) for sign in pattern], len(tokenizer))


def times(found: list) -> list[tuple[str, float, float]]:
    return [(each.text, round(each.start, 6), round(each.end, 6)) for each in found]


def test_words_and_characters_have_their_frames() -> None:
    found = align(said("-see-e_-hhel-lo--"), "See hello!", CHARACTERS, basic, 0.1, offset=10.0)
    assert times(found.words) == [("See", 10.1, 10.6), ("hello!", 10.8, 11.5)]
    assert times(found.words[0].characters) == [("s", 10.1, 10.2), ("e", 10.2, 10.4), ("e", 10.5, 10.6)]
    assert times(found.words[1].characters)[0] == ("h", 10.8, 11.0)
    assert "".join(character.text for character in found.words[1].characters) == "hello"
    assert found.confidence == pytest.approx(0.9)
    assert found.log_prob == pytest.approx(np.log(0.9))


def test_a_word_that_was_not_said_is_not_believed() -> None:
    found = align(said("-se-e_-----------_hel-lo-"), "see dont hello", CHARACTERS, basic, 0.1)
    sure = {word.text: word.confidence for word in found.words}
    assert sure["see"] > 0.8
    assert sure["hello"] > 0.8
    assert sure["dont"] < 0.1


def test_a_written_word_may_be_several_that_are_spelled() -> None:
    found = align(said("-wel-l_known_se-e-"), "“Well-known — SEE", CHARACTERS, basic, 0.1)
    assert times(found.words) == [("“Well-known", 0.1, 1.2), ("SEE", 1.3, 1.7)]
    assert "".join(each.text for each in found.words[0].characters) == "wellknown"


def test_as_written_follows_the_normaliser_or_gives_up() -> None:
    assert as_written("Don't stop - now.", basic) == [("Don't", "dont"), ("stop", "stop"), ("now.", "now")]
    assert as_written("twenty one dogs", english) == [("21", "21"), ("dogs", "dogs")]
    assert as_written("  a  b ", none) == [("a", "a"), ("b", "b")]
    assert as_written("…", basic) == []


def test_a_model_that_was_taught_single_words_aligns_several() -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["on", "off"])
    found = align(said("-on--of-f-on", tokenizer), "on off on", tokenizer, basic, 1.0)
    assert times(found.words) == [("on", 1, 3), ("off", 5, 9), ("on", 10, 12)]


@pytest.mark.parametrize("spec", [SymbolTokens(), SymbolTokens(kind="jamo")])
def test_a_syllable_is_one_character(spec: TokenSpec) -> None:
    tokenizer = Tokenizer.train(spec, ["불 꺼 줘"])
    ids = tokenizer.encode("불 꺼 줘")
    found = align(peaks([0, *ids, 0], len(tokenizer)), "불 꺼 줘", tokenizer, basic, 0.1)
    assert [word.text for word in found.words] == ["불", "꺼", "줘"]
    assert [[each.text for each in word.characters] for word in found.words] == [["불"], ["꺼"], ["줘"]]
    first = found.words[0].characters[0]
    assert (first.start, first.end) == (found.words[0].start, found.words[0].end)


@pytest.mark.parametrize("spec", [SymbolTokens(kind="words"), BpeTokens(size=30)])
def test_larger_tokens_have_words_only(spec: TokenSpec) -> None:
    tokenizer = Tokenizer.train(spec, ["light on light off"])
    labels = [label for token in tokenizer.encode("light off light") for label in (0, token, token)]
    found = align(peaks(labels, len(tokenizer)), "light off light", tokenizer, basic, 0.5)
    assert [word.text for word in found.words] == ["light", "off", "light"]
    assert all(word.characters == () for word in found.words)


@given(text=st.text("selo dh", min_size=1).filter(str.strip), spare=st.integers(0, 20), seed=st.integers(0, 1000))
def test_words_are_those_of_the_text_in_order_and_apart(text: str, spare: int, seed: int) -> None:
    frames = 2 * len(text) + spare
    logits = np.random.default_rng(seed).normal(0, 2, (frames, len(CHARACTERS)))
    log_probs_TV = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = align(log_probs_TV, text, CHARACTERS, none, 0.04)
    assert [word.text for word in found.words] == text.split()
    reached = 0.0
    for word in found.words:
        assert "".join(each.text for each in word.characters) == word.text
        assert word.start == word.characters[0].start
        assert word.end == word.characters[-1].end
        for each in word.characters:
            assert reached <= each.start < each.end
            assert 0 <= each.confidence <= 1
            reached = each.end
    assert reached <= frames * 0.04 + 1e-9


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("…", "no_text", "holds nothing that is said"),
        ("see xylo 7", "symbol_not_in_train", "the text has '7', 'x', 'y'"),
        (
            "hello see",
            "text_longer_than_input",
            r"9 tokens and needs 11 frames of the model, but there are 5 .*0\.50 s",
        ),
    ],
)
def test_a_text_that_cannot_be_aligned_is_refused(text: str, reason: str, detail: str) -> None:
    with pytest.raises(AudioError, match=detail) as refused:
        align(said("-see-"), text, CHARACTERS, basic, 0.1)
    assert refused.value.reason == reason


def test_a_broken_model_is_told_from_a_bad_text() -> None:
    with pytest.raises(RunError, match="NaN"):
        align(said("-see-") * np.nan, "see", CHARACTERS, basic, 0.1)
