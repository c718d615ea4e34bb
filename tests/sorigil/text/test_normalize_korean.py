"""Korean numbers and units as they are read, and transcriptions in two spellings."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.text.normalize import KoreanNormalizer, normalizer
from sorigil.text.normalize_korean import LARGE, native, one_side, read_out, sino

DIGIT = {digit: place for place, digit in enumerate("일이삼사오육칠팔구", start=1)}
POWER = {"십": 10, "백": 100, "천": 1000}


def value(said: str) -> int:
    """What a Sino-Korean numeral means, read from left to right."""
    total = group = digit = 0
    for character in said.replace(" ", ""):
        if character in DIGIT:
            digit = DIGIT[character]
        elif character in POWER:
            group, digit = group + (digit or 1) * POWER[character], 0
        else:
            total += (group + digit or 1) * 10_000 ** LARGE.index(character)
            group = digit = 0
    return total + group + digit


@settings(deadline=None)
@given(number=st.one_of(st.integers(1, 10**20 - 1), st.integers(1, 200_000)))
def test_a_numeral_means_its_number(number: int) -> None:
    assert value(sino(number)) == number


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "영"),
        (10, "십"),
        (111, "백십일"),
        (10_000, "만"),
        (20_503, "이만 오백삼"),
        (110_000, "십일만"),
        (100_010_000, "일억 일만"),
        (10**12, "일조"),
    ],
)
def test_numerals(number: int, said: str) -> None:
    assert sino(number) == said


def test_native_numerals() -> None:
    assert [native(each) for each in (1, 3, 10, 11, 20, 21, 55, 99)] == [
        "한", "세", "열", "열한", "스무", "스물한", "쉰다섯", "아흔아홉",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("3명이 왔다", "세 명이 왔다"),
        ("100명", "백 명"),
        ("20살 21살", "스무 살 스물한 살"),
        ("2024년 6월 15일", "이천이십사 년 유월 십오 일"),
        ("10월 11월", "시월 십일 월"),
        ("3시 15시 3시간 15시간", "세 시 십오 시 세 시간 열다섯 시간"),
        ("3개 3개월", "세 개 삼 개월"),
        ("3달 3달러", "세 달 삼 달러"),
        ("20대 3대", "이십 대 세 대"),
        ("3번째", "세 번째"),
        ("제3회", "제삼 회"),
        ("2.5kg 5 %", "이 점 오 킬로그램 오 퍼센트"),
        ("0.05", "영 점 영오"),
        ("5 kgs", "오 kgs"),
        ("$5 ₩1,234,567", "오 달러 백이십삼만 사천오백육십칠 원"),
        ("010-1234-5678", "공일공 일이삼사 오육칠팔"),
        ("007", "공공칠"),
        ("-5도", "마이너스 오 도"),
        ("1" * 25, "일" * 25),
        ("LG전자 셋", "LG전자 셋"),
    ],
)
def test_numbers_are_read_out(written: str, read: str) -> None:
    assert read_out(written) == read


@settings(deadline=None)
@given(text=st.text(alphabet="0123456789.,-$%kmg명시월년 가", max_size=25))
def test_no_digit_is_left(text: str) -> None:
    assert not any(character.isascii() and character.isdigit() for character in read_out(text))


TRANSCRIPTION = "b/ 아/ 그+ 그게 (70%)/(칠십 퍼센트) 정도 (3명)(세 명) 어* 국가/언어"


def test_one_side_of_a_dual_transcription() -> None:
    assert " ".join(one_side(TRANSCRIPTION, spoken=True).split()) == "아 그 그게 칠십 퍼센트 정도 세 명 어 국가/언어"
    assert " ".join(one_side(TRANSCRIPTION, spoken=False).split()) == "아 그 그게 70% 정도 3명 어 국가/언어"


def test_both_sides_meet_when_numbers_are_spoken() -> None:
    sides = [normalizer(KoreanNormalizer(dual=side, numbers="spoken"))(TRANSCRIPTION) for side in ("spoken", "written")]
    assert sides[0] == sides[1] == "아 그 그게 칠십 퍼센트 정도 세 명 어 국가 언어"


def test_decomposed_text_is_read_the_same() -> None:
    spoken = normalizer(KoreanNormalizer(numbers="spoken"))
    assert spoken(unicodedata.normalize("NFD", "3명, 5월")) == "세 명 오 월"


@settings(deadline=None)
@given(text=st.text(max_size=30))
def test_without_options_it_is_plain_korean(text: str) -> None:
    assert normalizer(KoreanNormalizer())(text) == normalizer("korean")(text)
