"""Tokenizers: round trips in every kind and script, and determinism."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.text.normalize import NORMALIZERS, normalizer
from sorigil.text.tokenizer import BLANK, BLANK_ID, Tokenizer, TokenKind

KINDS = ("characters", "jamo", "words")
SYLLABLES = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
TEXT = st.text(alphabet=st.one_of(SYLLABLES, st.sampled_from(" \téab'x"), st.characters()), max_size=30)
TEXTS = st.lists(TEXT, min_size=1, max_size=5).filter(lambda texts: any(text.split() for text in texts))


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(texts=TEXTS)
def test_round_trip(kind: TokenKind, texts: list[str]) -> None:
    tokenizer = Tokenizer.train(kind, texts)
    for text in texts:
        ids = tokenizer.encode(text)
        assert BLANK_ID not in ids
        assert tokenizer.decode(ids) == unicodedata.normalize(
            "NFC", " ".join(unicodedata.normalize("NFC", text).split())
        )
    assert tokenizer.unknown(texts) == []


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(texts=TEXTS)
def test_the_order_of_the_texts_does_not_matter(kind: TokenKind, texts: list[str]) -> None:
    tokenizer = Tokenizer.train(kind, texts)
    assert tokenizer == Tokenizer.train(kind, list(reversed(texts)) + texts)
    assert tokenizer == Tokenizer.from_json(json.loads(json.dumps(tokenizer.to_json())))


def test_known_answers() -> None:
    assert Tokenizer.train("characters", ["다 가", "a"]).tokens == (BLANK, " ", "a", "가", "다")
    jamo = Tokenizer.train("jamo", ["각"])
    assert jamo.tokens == (BLANK, "\u1100", "\u1161", "\u11a8")
    assert jamo.encode("각가") == [1, 2, 3, 1, 2]
    assert jamo.decode([1, 2, 1, 2, 3]) == "가각"
    words = Tokenizer.train("words", ["yes no", "no  no"])
    assert words.tokens == (BLANK, "no", "yes")
    assert words.decode([2, 0, 1, 1]) == "yes no no"


def test_characters_hold_double_letters_and_skip_blanks() -> None:
    tokenizer = Tokenizer.train("characters", ["hello"])
    ids = tokenizer.encode("hello")
    assert tokenizer.decode([0, *ids, 0]) == "hello"


def test_an_unknown_symbol_is_named_or_left_out_knowingly() -> None:
    tokenizer = Tokenizer.train("characters", ["abc"])
    with pytest.raises(RequestError, match=r"'azb'.*'z'"):
        tokenizer.encode("azb")
    assert tokenizer.encode("azb", skip_unknown=True) == tokenizer.encode("ab")
    assert tokenizer.unknown(["azb", "qa"]) == ["q", "z"]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_without_a_symbol_are_refused(kind: TokenKind) -> None:
    with pytest.raises(RequestError, match="empty"):
        Tokenizer.train(kind, ["", "  "])


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "letters", "tokens": [BLANK]},
        {"kind": "words", "tokens": ["a"]},
        {"kind": "words", "tokens": [BLANK, "a", "a"]},
        {"kind": "words", "tokens": 3},
    ],
)
def test_what_is_no_tokenizer_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="no tokenizer"):
        Tokenizer.from_json(data)


def test_the_blanks_name_is_no_word() -> None:
    with pytest.raises(RequestError, match=BLANK):
        Tokenizer.train("words", [f"a {BLANK} b"])


@pytest.mark.real_data
@pytest.mark.parametrize("kind", KINDS)
def test_real_transcripts_round_trip(kind: TokenKind) -> None:
    data = Path(__file__).resolve().parents[4] / "shared" / "data"
    manifests = sorted(data.glob("*/manifest.jsonl"))
    if not manifests:
        pytest.skip("the labelled audio (../shared/data) is not here")
    rows = [json.loads(line) for manifest in manifests for line in manifest.read_text("utf-8").splitlines() if line]
    texts = [row["text"] for row in rows if row.get("text")]
    tokenizer = Tokenizer.train(kind, texts)
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text)) == unicodedata.normalize("NFC", " ".join(text.split()))
        composed = unicodedata.normalize("NFC", text)
        for name in NORMALIZERS:
            assert _hangul(normalizer(name)(composed)) == _hangul(composed)


def _hangul(text: str) -> list[str]:
    return [character for character in text if "가" <= character <= "힣"]
