"""Tokenizers: round trips in every kind and script, and determinism."""

from __future__ import annotations

import itertools
import json
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.text.normalize import NORMALIZERS, normalizer
from sorigil.text.tokenizer import BLANK, BLANK_ID, BpeTokens, SymbolTokens, Tokenizer, TokenSpec

CHARACTERS, JAMO, WORDS = SymbolTokens(), SymbolTokens(kind="jamo"), SymbolTokens(kind="words")
SPECS = (CHARACTERS, JAMO, WORDS, BpeTokens(size=1000))
every_kind = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
SYLLABLES = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
TEXT = st.text(alphabet=st.one_of(SYLLABLES, st.sampled_from(" \téab'x"), st.characters(codec="utf-8")), max_size=30)
TEXTS = st.lists(TEXT, min_size=1, max_size=5).filter(lambda texts: any(text.split() for text in texts))


@every_kind
@settings(deadline=None)
@given(texts=TEXTS)
def test_round_trip(spec: TokenSpec, texts: list[str]) -> None:
    tokenizer = Tokenizer.train(spec, texts)
    for text in texts:
        ids = tokenizer.encode(text)
        assert BLANK_ID not in ids
        assert tokenizer.decode(ids) == unicodedata.normalize(
            "NFC", " ".join(unicodedata.normalize("NFC", text).split())
        )
    assert tokenizer.unknown(texts) == []


@every_kind
@settings(deadline=None)
@given(texts=TEXTS)
def test_the_order_of_the_texts_does_not_matter(spec: TokenSpec, texts: list[str]) -> None:
    tokenizer = Tokenizer.train(spec, texts)
    assert tokenizer == Tokenizer.train(spec, list(reversed(texts)) + texts)
    assert tokenizer == Tokenizer.from_json(json.loads(json.dumps(tokenizer.to_json())))


def test_known_answers() -> None:
    assert Tokenizer.train(CHARACTERS, ["다 가", "a"]).tokens == (BLANK, " ", "a", "가", "다")
    jamo = Tokenizer.train(JAMO, ["각"])
    assert jamo.tokens == (BLANK, "\u1100", "\u1161", "\u11a8")
    assert jamo.encode("각가") == [1, 2, 3, 1, 2]
    assert jamo.decode([1, 2, 1, 2, 3]) == "가각"
    words = Tokenizer.train(WORDS, ["yes no", "no  no"])
    assert words.tokens == (BLANK, "no", "yes")
    assert words.decode([2, 0, 1, 1]) == "yes no no"


def test_characters_hold_double_letters_and_skip_blanks() -> None:
    tokenizer = Tokenizer.train(CHARACTERS, ["hello"])
    ids = tokenizer.encode("hello")
    assert tokenizer.decode([0, *ids, 0]) == "hello"


def test_an_unknown_symbol_is_named_or_left_out_knowingly() -> None:
    tokenizer = Tokenizer.train(CHARACTERS, ["abc"])
    with pytest.raises(RequestError, match=r"'azb'.*'z'"):
        tokenizer.encode("azb")
    assert tokenizer.encode("azb", skip_unknown=True) == tokenizer.encode("ab")
    assert tokenizer.unknown(["azb", "qa"]) == ["q", "z"]


@every_kind
def test_texts_without_a_symbol_are_refused(spec: TokenSpec) -> None:
    with pytest.raises(RequestError, match="empty"):
        Tokenizer.train(spec, ["", "  "])


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "letters", "tokens": [BLANK]},
        {"kind": "words", "tokens": ["a"]},
        {"kind": "words", "tokens": [BLANK, "a", "a"]},
        {"kind": "words", "tokens": 3},
        {"kind": "bpe", "tokens": [BLANK, "a"], "merges": [["a", "b"]]},
        {"kind": "bpe", "tokens": [BLANK, "a"], "merges": ["a"]},
    ],
)
def test_what_is_no_tokenizer_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="no tokenizer"):
        Tokenizer.from_json(data)


@pytest.mark.parametrize("spec", [WORDS, BpeTokens(size=40)], ids=lambda spec: spec.kind)
def test_the_blanks_name_is_no_token(spec: TokenSpec) -> None:
    with pytest.raises(RequestError, match=BLANK):
        Tokenizer.train(spec, [f"a x{BLANK} {BLANK} b" if spec.kind == "bpe" else f"a {BLANK} b"])


def test_other_names_are_the_same_tokens() -> None:
    """So that they give the same model key: a Hangul syllable is one composed character."""
    assert SymbolTokens(kind="chars") == SymbolTokens(kind="syllables") == CHARACTERS
    assert Tokenizer.train(SymbolTokens(kind="syllables"), ["\u1112\u1161\u11ab국"]).tokens == (BLANK, "국", "한")


# -- subwords ------------------------------------------------------------------------------------------------------------

WORDS_OF_FEW_LETTERS = st.lists(st.text(alphabet="abc", min_size=1, max_size=7), min_size=1, max_size=12)


def merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """A word's pieces with each such pair made one, from the left (Sennrich et al. 2016, algorithm 1)."""
    found: list[str] = []
    for piece in pieces:
        if found and (found[-1], piece) == pair:
            found[-1] += piece
        else:
            found.append(piece)
    return found


@settings(deadline=None)
@given(words=WORDS_OF_FEW_LETTERS, size=st.integers(5, 30))
def test_each_merge_is_the_most_frequent_pair_of_its_time(words: list[str], size: int) -> None:
    tokenizer = Tokenizer.train(BpeTokens(size=size), [" ".join(words)])
    corpus = [list(" " + word) for word in words]
    for pair in tokenizer.merges:
        pairs = Counter(pair for pieces in corpus for pair in itertools.pairwise(pieces))
        assert pairs[pair] == max(pairs.values())
        corpus = [merged(pieces, pair) for pieces in corpus]
    letters = {letter for word in words for letter in " " + word}
    assert tokenizer.tokens == (BLANK, *sorted(letters), *dict.fromkeys(map("".join, tokenizer.merges)))
    assert len(tokenizer) <= size
    if len(tokenizer) < size:  # the corpus is used up: each word is one token
        assert all(len(pieces) == 1 for pieces in corpus)


@settings(deadline=None)
@given(words=WORDS_OF_FEW_LETTERS, text=WORDS_OF_FEW_LETTERS, size=st.integers(5, 30))
def test_subwords_are_the_merges_applied_in_their_order(words: list[str], text: list[str], size: int) -> None:
    tokenizer = Tokenizer.train(BpeTokens(size=size), [" ".join(words), "abc"])
    pieces = [list(" " + word) for word in text]
    for pair in tokenizer.merges:
        pieces = [merged(word, pair) for word in pieces]
    ids = tokenizer.encode(" ".join(text))
    assert [tokenizer.tokens[i] for i in ids] == [piece for word in pieces for piece in word]
    assert [tokenizer.starts_word(i) for i in ids] == [place == 0 for word in pieces for place in range(len(word))]


def test_a_bpe_leaves_unknown_characters_out_knowingly() -> None:
    tokenizer = Tokenizer.train(BpeTokens(size=60), ["the cat sat on the mat"])
    assert tokenizer.encode("thé q cat", skip_unknown=True) == tokenizer.encode("th cat")
    assert tokenizer.encode("q", skip_unknown=True) == []
    assert tokenizer.decode(tokenizer.encode("cat mat")) == "cat mat"


def test_a_bpe_smaller_than_the_alphabet_says_so() -> None:
    with pytest.raises(RequestError, match=r"hold 4 different characters.*4 tokens"):
        Tokenizer.train(BpeTokens(size=4), ["ab c"])
    assert len(Tokenizer.train(BpeTokens(size=5), ["ab c"])) == 5
    with pytest.raises(ValueError, match="size is 1"):
        BpeTokens(size=1)


@pytest.mark.real_data
@every_kind
def test_real_transcripts_round_trip(spec: TokenSpec) -> None:
    data = Path(__file__).resolve().parents[4] / "shared" / "data"
    manifests = sorted(data.glob("*/manifest.jsonl"))
    if not manifests:
        pytest.skip("the labelled audio (../shared/data) is not here")
    rows = [json.loads(line) for manifest in manifests for line in manifest.read_text("utf-8").splitlines() if line]
    texts = [row["text"] for row in rows if row.get("text")]
    tokenizer = Tokenizer.train(spec, texts)
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text)) == unicodedata.normalize("NFC", " ".join(text.split()))
        composed = unicodedata.normalize("NFC", text)
        for name in NORMALIZERS:
            assert _hangul(normalizer(name)(composed)) == _hangul(composed)


def _hangul(text: str) -> list[str]:
    return [character for character in text if "가" <= character <= "힣"]
