"""Normalisers: what each does to a sentence, and that none breaks a script or raises on any text."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.text import normalize
from sorigil.text.normalize import (
    NORMALIZERS,
    CustomNormalizer,
    KoreanNormalizer,
    PlainNormalizer,
    Rule,
    label,
    normalizer,
    spec_of,
    version,
)

TEXTS = st.text(max_size=40)
HANGUL = st.text(alphabet=st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("none", "  Hello,\tWorld ", "  Hello,\tWorld "),
        ("basic", "  Hello,\tWorld! ", "hello world"),
        ("basic", "Don't — WELL-known: it’s 3.5", "dont well known its 3 5"),
        ("basic", "Cafe\u0301\u200b \ufeffÜber", "café über"),
        ("basic", "हिन्दी की बोली।", "हिन्दी की बोली"),
        ("basic", "…!?", ""),
        ("korean", "데이터, 모델, 국가/언어에만 적용 됩니다.", "데이터 모델 국가 언어에만 적용 됩니다"),
        ("korean", unicodedata.normalize("NFD", "각 프로젝트는"), "각 프로젝트는"),
        ("korean", "가\u3164나 ㅋㅋ LG전자", "가 나 ㅋㅋ lg전자"),
        ("english", "I'll pay twenty five dollars, Mr. Smith: colour!", "i will pay $25 mister smith color"),
        ("english", "one two three", "123"),
        ("english", "안녕하세요, 세계", "안녕하세요 세계"),
    ],
)
def test_known_answers(name: str, text: str, expected: str) -> None:
    assert normalizer(name)(text) == expected
    assert normalizer(spec_of(name))(text) == expected


@pytest.mark.parametrize("name", ["basic", "korean"])
@settings(deadline=None)
@given(text=TEXTS)
def test_twice_is_once(name: str, text: str) -> None:
    once = normalizer(name)(text)
    assert normalizer(name)(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == " ".join(once.split())


@settings(deadline=None)
@given(text=TEXTS)
def test_no_punctuation_is_left(text: str) -> None:
    assert not any(unicodedata.category(character)[0] in "PS" for character in normalizer("basic")(text))


@pytest.mark.parametrize("name", ["basic", "korean", "english"])
@settings(deadline=None)
@given(text=HANGUL)
def test_syllables_are_never_split(name: str, text: str) -> None:
    assert normalizer(name)(text) == text
    assert normalizer(name)(unicodedata.normalize("NFD", text)) == text


@settings(deadline=None, max_examples=300)
@given(text=st.one_of(TEXTS, st.text(alphabet="0123456789.,$%/'- onetwhuadpfi½²", max_size=30)))
def test_english_never_raises(text: str) -> None:
    assert isinstance(normalizer("english")(text), str)


def test_a_mistyped_name_gets_the_nearest() -> None:
    with pytest.raises(RequestError, match=r"'englsh'.*did you mean 'english'"):
        normalizer("englsh")


def test_whisper_is_imported_only_by_those_who_ask() -> None:
    import subprocess

    code = "import sys, sorigil.text.normalize as n; n.normalizer('korean')('가'); print('whisper_normalizer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# -- names and versions --------------------------------------------------------------------------------------------------


def test_plain_names_are_their_labels() -> None:
    assert [label(spec_of(name)) for name in NORMALIZERS] == list(NORMALIZERS)
    assert label(PlainNormalizer()) == "basic"


def test_another_result_is_another_label(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [
        *map(spec_of, NORMALIZERS),
        KoreanNormalizer(numbers="spoken"),
        KoreanNormalizer(dual="spoken"),
        CustomNormalizer(name="mine"),
        CustomNormalizer(name="mine", words={"okay": "ok"}),
        CustomNormalizer(name="mine", rules=(Rule(match="a"),)),
        CustomNormalizer(name="mine", base="none"),
    ]
    labels = [label(spec) for spec in specs]
    assert len(set(labels)) == len(specs)
    monkeypatch.setitem(normalize.VERSIONS, "basic", 2)
    later = [label(spec) for spec in specs]
    made_of_basic = [now != before for now, before in zip(later, labels, strict=True)]
    assert made_of_basic == [False, True, False, False, False, False, True, True, True, False]
    assert later[1] == "basic v2" and version(specs[6]) == 2


# -- rules of one's own --------------------------------------------------------------------------------------------------


def test_rules_come_before_the_base_and_words_after_it() -> None:
    mine = CustomNormalizer(
        name="mine",
        rules=(Rule(match=r"\bDr\.", put="doctor"), Rule(match=r"(\w+)=(\w+)", put=r"\2 \1"), Rule(match=r"<[^>]*>")),
        words={"okay": "ok", "ok": "yes", "uh": "", "new york": "ny", "new": "old"},
    )
    clean = normalizer(mine)
    assert clean("Dr. Who: uh, OKAY <noise> a=b") == "doctor who ok b a"
    assert clean("New York, new okays") == "ny old okays"
    assert clean("uh") == ""


def test_without_rules_it_is_its_base() -> None:
    assert normalizer(CustomNormalizer(name="mine", base="korean"))("가\u3164나!") == "가 나"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "basic"}, "name is 'basic'"),
        ({"name": "two words"}, "name is 'two words'"),
        ({"name": "m", "words": {"Okay": "ok"}}, "words has 'Okay'.*'okay'"),
        ({"name": "m", "words": {" ": "ok"}}, "words has ' '"),
    ],
)
def test_what_can_never_match_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CustomNormalizer(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("match", "put"), [("(", ""), ("a", r"\1"), ("(?P<x>a)", r"\g<y>"), ("*", "")])
def test_a_rule_that_cannot_be_applied_is_refused(match: str, put: str) -> None:
    with pytest.raises(ValueError, match="not a replacement"):
        Rule(match=match, put=put)
