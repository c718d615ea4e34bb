"""The normalisers without options: `none`, `basic` for any language, `english` as Whisper is scored."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache

APOSTROPHES = "'\u2019\u02bc\uff07"  # taken out without a trace, so that "don't" stays one word
JOINERS = "\u200c\u200d"  # format characters that spell words in Persian and the Indic scripts


def none(text: str) -> str:
    """Leave the text as it is."""
    return text


def basic(text: str) -> str:
    """Any language: NFC, lower case, punctuation and symbols out, white space folded.

    An apostrophe goes without a trace ("don't" -> "dont"); any other punctuation or symbol (Unicode categories P and S)
    becomes a space ("well-known" -> "well known", "3.5" -> "3 5"). Combining marks stay.
    """
    kept = unicodedata.normalize("NFC", text).lower().translate(_KEPT)
    return " ".join(unicodedata.normalize("NFC", kept).split())


def english(text: str) -> str:
    """English as OpenAI's Whisper is scored (Radford et al. 2022, appendix C), then composed again and folded.

    Contractions are written out, spelling is American, fillers ("um") go, and numbers become digits: "one two three" is
    the one word "123", so a WER over digit strings is not comparable with one under `basic`.
    """
    composed = unicodedata.normalize("NFC", _whisper_english()(text))  # Whisper decomposes; Hangul would stay in pieces
    return " ".join(composed.split())


class _Kept(dict[int, str]):
    """What stands for each character, found once: a corpus has few of them, so this is ten times a loop's speed."""

    def __missing__(self, code: int) -> str:
        self[code] = _without_punctuation(chr(code))
        return self[code]


def _without_punctuation(character: str) -> str:
    if character in APOSTROPHES:
        return ""
    category = unicodedata.category(character)
    if category == "Cf" and character not in JOINERS:  # byte order marks, soft hyphens, zero-width spaces
        return ""
    return " " if category[0] in "PS" or category == "Cc" else character


_KEPT = _Kept()


@cache
def _whisper_english() -> Callable[[str], str]:
    from whisper_normalizer.english import EnglishTextNormalizer  # 0.1 s, so only for those who ask

    made: Callable[[str], str] = EnglishTextNormalizer()
    return made
