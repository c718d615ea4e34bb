"""Bring two transcripts to the same spelling before they are compared, or a text to the symbols a model learns.

Not a tokenizer, and no score: the normaliser is part of what a score means, so its name stands in every score's row.
Scripts are never broken: no step splits a Hangul syllable or takes a vowel sign away.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

from sorigil.errors import RequestError

NormalizerName = Literal["none", "basic", "english", "korean"]
Normalizer = Callable[[str], str]

APOSTROPHES = "'\u2019\u02bc\uff07"  # taken out without a trace, so that "don't" stays one word
JOINERS = "\u200c\u200d"  # format characters that spell words in Persian and the Indic scripts
HANGUL_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters by category, blanks to the eye


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalizerSpec:
    """Which normaliser; in YAML its plain name (`normalizer: english`). `FORMAT` is raised when any output changes."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    FORMAT: ClassVar[int] = 1

    kind: NormalizerName = "basic"


def none(text: str) -> str:
    """Leave the text as it is."""
    return text


def basic(text: str) -> str:
    """Any language: NFC, lower case, punctuation and symbols out, white space folded.

    An apostrophe goes without a trace ("don't" -> "dont"); any other punctuation or symbol (Unicode categories P and S)
    becomes a space ("well-known" -> "well known", "3.5" -> "3 5"). Combining marks stay.
    """
    lowered = unicodedata.normalize("NFC", text).lower()
    kept = "".join(_without_punctuation(character) for character in lowered)
    return " ".join(unicodedata.normalize("NFC", kept).split())


def korean(text: str) -> str:
    """Korean: as `basic`, and the Hangul fillers (letters nobody sees) count as white space.

    Syllables are composed (NFC) and never split. Spaces are kept here; whether they count is the metric's choice:
    `cer` leaves them out, `cer_spaces` and `wer` count them, `swer` takes the reference's.
    """
    return basic("".join(" " if character in HANGUL_FILLERS else character for character in text))


def english(text: str) -> str:
    """English as OpenAI's Whisper is scored (Radford et al. 2022, appendix C), then composed again and folded.

    Contractions are written out, spelling is American, fillers ("um") go, and numbers become digits: "one two three" is
    the one word "123", so a WER over digit strings is not comparable with one under `basic`.
    """
    composed = unicodedata.normalize("NFC", _whisper_english()(text))  # Whisper decomposes; Hangul would stay in pieces
    return " ".join(composed.split())


NORMALIZERS: dict[NormalizerName, Normalizer] = {
    "none": none,
    "basic": basic,
    "english": english,
    "korean": korean,
}


def normalizer(name: str) -> Normalizer:
    """Return the normaliser of that name. Raises `RequestError` with the nearest name when there is none."""
    for known, function in NORMALIZERS.items():
        if known == name:
            return function
    near = difflib.get_close_matches(name, NORMALIZERS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise RequestError(f"normalizer {name!r} is not known; there are {', '.join(NORMALIZERS)}{hint}")


def _without_punctuation(character: str) -> str:
    if character in APOSTROPHES:
        return ""
    category = unicodedata.category(character)
    if category == "Cf" and character not in JOINERS:  # byte order marks, soft hyphens, zero-width spaces
        return ""
    return " " if category[0] in "PS" or category == "Cc" else character


@cache
def _whisper_english() -> Normalizer:
    from whisper_normalizer.english import EnglishTextNormalizer  # 0.1 s, so only for those who ask

    made: Normalizer = EnglishTextNormalizer()
    return made
