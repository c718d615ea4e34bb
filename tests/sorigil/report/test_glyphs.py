"""What no font can write is written in Latin letters."""

from __future__ import annotations

import pytest

from sorigil.report.glyphs import romanised


@pytest.mark.parametrize(
    ("syllable", "letters"),
    [("가", "ga"), ("힣", "hit"), ("왼", "oen"), ("쪽", "jjok"), ("값", "gaps"), ("é", "e"), ("日", "?")],
)
def test_romanised_syllables(syllable: str, letters: str) -> None:
    assert romanised(syllable) == letters
