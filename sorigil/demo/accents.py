"""English digits as readers of other languages say them: the words in their own spelling, for their own synthetic voice.

A first language shows in the sounds that it lacks and the ones it has instead. The spellings are those by which the
digits are commonly written down for such readers (Hindi ज़ीरो, Korean 제로), or approximate them.
"""

from __future__ import annotations

from typing import Literal, get_args

Accent = Literal["de", "el", "es", "fr", "hi", "it", "ko", "nl", "pl", "ru", "tr"]
ACCENTS: tuple[Accent, ...] = get_args(Accent)

_ENGLISH = "zero one two three four five six seven eight nine"
_SPELLINGS: dict[Accent, str] = {
    "de": "siro uann tu sri foor faif sicks sewen ejt nain",
    "el": "ζίρο ουάν του θρι φορ φάιβ σιξ σέβεν έιτ νάιν",
    "es": "siro uan tu sri for faif sics seven eit nain",
    "fr": "ziro ouane tou sri fôr faïve sixe sévène eïte naïne",
    "hi": "ज़ीरो वन टू थ्री फ़ोर फ़ाइव सिक्स सेवन एट नाइन",
    "it": "ziro uan tu tri for faiv sics seven eit nain",
    "ko": "제로 원 투 쓰리 포 파이브 식스 세븐 에이트 나인",
    "nl": "ziero wan toe srie foor faif siks seven eet naain",
    "pl": "ziro łan tu sri for fajw siks sewen ejt najn",
    "ru": "зиро уан ту сри фор файв сикс севен эйт найн",
    "tr": "ziro van tu tri for fayv siks sevın eyt nayn",
}
_WORDS = {accent: dict(zip(_ENGLISH.split(), spelling.split(), strict=True)) for accent, spelling in _SPELLINGS.items()}


def respelled(text: str, accent: Accent) -> str:
    """English digit words, as `accent`'s voice reads them."""
    return " ".join(_WORDS[accent][word] for word in text.split())
