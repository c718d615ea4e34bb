"""Normalisers: what each does to a sentence, and that none breaks a script or raises on any text."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.fingerprint import fingerprint
from sorigil.text.normalize import NORMALIZERS, NormalizerSpec, normalizer

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


@pytest.mark.parametrize("name", ["basic", "korean"])
@settings(deadline=None)
@given(text=TEXTS)
def test_twice_is_once(name: str, text: str) -> None:
    once = normalizer(name)(text)
    assert normalizer(name)(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == " ".join(once.split())


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


def test_every_normalizer_has_a_fingerprint_of_its_own() -> None:
    assert len({fingerprint(NormalizerSpec(kind=name)) for name in NORMALIZERS}) == len(NORMALIZERS)


def test_whisper_is_imported_only_by_those_who_ask() -> None:
    import subprocess

    code = "import sys, sorigil.text.normalize as n; n.korean('가'); print('whisper_normalizer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
