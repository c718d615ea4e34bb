"""Several labels in one text: read as they were written, whatever they hold."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sorigil.text import tags

NAMES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters=tags.BETWEEN), max_size=4), max_size=4)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rain; dog ;dog", ["dog", "rain"]),
        ("", []),
        (" ; ", []),
        ('["a;b","c"]', ["a;b", "c"]),
        ("[]", []),
        ("[dog];rain", ["[dog]", "rain"]),
        ('["dog"', ['["dog"']),
        ('["dog", 1]', ['["dog", 1]']),
        ("[" * 100_000, ["[" * 100_000]),
    ],
)
def test_tags_are_read_from_separators_or_an_array(text: str, found: list[str]) -> None:
    assert tags.split(tags.read(text, ";")) == found


@given(NAMES, st.sampled_from([";", "|", ", ", "ab", "aa"]))
@example(['["x"]'], ";")
@example(["[", "]"], ";")
def test_what_is_written_and_shown_is_read_again(names: list[str], separator: str) -> None:
    own = tags.join(names)
    assert tags.split(own) == sorted({name.strip() for name in names} - {""})
    assert tags.read(tags.write(names), separator) == own
    assert tags.read(tags.show(own, separator), separator) == own


def test_plain_tags_are_shown_between_separators() -> None:
    assert tags.show(tags.join(["dog", "a;b"]), "|") == "a;b|dog"
    assert tags.show(tags.join(["dog", "a;b"]), ";") == '["a;b","dog"]'
