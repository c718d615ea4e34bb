"""What a figure can write: labels in any script as the installed fonts have them, else numbered and romanised.

matplotlib draws an empty box for a character without a glyph; its own font has no Hangul.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

OWN_FONT = "DejaVu Sans"  # comes with matplotlib, has no Hangul
KOREAN_FONTS = (
    "Noto Sans KR",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",  # the first face of the collection, all that older matplotlib sees; it has all Hangul
    "NanumGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
)
# fmt: off
FIRST = ("g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h")
VOWEL = (
    "a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i",
)
LAST = (  # as they sound at the end of a word
    "", "k", "k", "ks", "n", "nj", "nh", "t", "l", "lk", "lm", "lb", "ls", "lt", "lp", "lh", "m", "p", "ps", "t", "t", "ng",
    "t", "t", "k", "t", "p", "t",
)
# fmt: on


def readable(labels: Sequence[str]) -> list[str]:
    """Labels as matplotlib can write them: unchanged where a font has every glyph, else numbered and romanised.

    The number is the label's place in `labels`, so that two names that read the same are still told apart.
    """
    return [label if drawable(label) == label else f"{place}: {drawable(label)}" for place, label in enumerate(labels)]


def drawable(text: str) -> str:
    """The text with each character that has no glyph romanised (Hangul) or replaced by a question mark."""
    _, glyphs = fonts()
    return "".join(c if ord(c) in glyphs else romanised(c) for c in unicodedata.normalize("NFC", text))


def romanised(character: str) -> str:
    """One Hangul syllable in Latin letters: Revised Romanization, without the sound changes between syllables.

    Any other character becomes its plain ASCII form if it has one, else a question mark.
    """
    place = ord(character) - ord("가")
    if not 0 <= place < len(FIRST) * len(VOWEL) * len(LAST):
        return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"
    rest, last = divmod(place, len(LAST))
    first, vowel = divmod(rest, len(VOWEL))
    return FIRST[first] + VOWEL[vowel] + LAST[last]


@lru_cache(maxsize=1)
def fonts() -> tuple[list[str], frozenset[int]]:
    """The fonts to draw with (matplotlib's own, then a Korean one where installed) and the characters they have."""
    from matplotlib import font_manager, ft2font

    installed = {entry.name: entry.fname for entry in font_manager.fontManager.ttflist}
    families = [OWN_FONT, *[name for name in KOREAN_FONTS if name in installed][:1]]
    glyphs: set[int] = set()
    for family in families:
        glyphs |= set(ft2font.FT2Font(installed[family]).get_charmap())
    return families, frozenset(glyphs)
