"""What a filter may say."""

from __future__ import annotations

import re
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.filters import AlphabetFilter, RangeFilter, asks_for_signal


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"over": "lufs"}, "over is 'lufs' without a limit"),
        ({"over": "lufs", "min": 0.0, "max": -1.0}, r"max is -1.0; it must be at least min \(0.0\)"),
    ],
)
def test_wrong_limits_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RangeFilter(**wrong)


@pytest.mark.parametrize(("alphabet", "message"), [("", "alphabet is empty"), ("z-a", "alphabet is 'z-a'")])
def test_wrong_alphabets_are_named(alphabet: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AlphabetFilter(alphabet=alphabet)


def test_bounds_in_words() -> None:
    said = [RangeFilter(over="seconds", min=low, max=high).bounds for low, high in ((0.3, None), (None, 30), (0.3, 30))]
    assert said == ["at least 0.3", "at most 30", "0.3 to 30"]


@given(st.text(st.characters(exclude_characters="-"), min_size=1, max_size=12))
def test_every_character_of_an_alphabet_is_in_it_and_no_other(alphabet: str) -> None:
    pattern = re.compile(f"[{AlphabetFilter(alphabet=alphabet).characters}]")
    assert all(pattern.fullmatch(each) for each in normalize("NFC", alphabet))
    assert not any(pattern.fullmatch(each) for each in {*"ab[]^\\&~|\n.*"} - {*normalize("NFC", alphabet)})


def test_which_filters_need_what_older_programs_did_not_measure() -> None:
    old = (RangeFilter(over="seconds", min=1), RangeFilter(over="peak", max=1), AlphabetFilter(alphabet="a-z"))
    assert not asks_for_signal(old) and asks_for_signal((*old, RangeFilter(over="snr_db", min=1)))
