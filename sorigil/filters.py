"""Which utterances to leave out, by what was measured of them and by their text.

Parameters only; `flows/filters.py` carries them out on columns. Filters are no part of how anything is computed: another
limit is another version of the dataset and no work.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

SignalColumn = Literal["lufs", "snr_db", "silence_share", "speech_share", "bandwidth_hz"]
StoredColumn = Literal["peak", "rms", "clipped_share", "dc", "sample_rate", "channels"]
DerivedColumn = Literal["seconds", "characters", "words", "characters_per_second", "words_per_second"]
Column = Literal[DerivedColumn, StoredColumn, SignalColumn]

SIGNAL_COLUMNS: tuple[str, ...] = get_args(SignalColumn)  # an older program did not measure these


@dataclass(frozen=True, kw_only=True, slots=True)
class RangeFilter:
    """Keep the utterances for which a number lies between two limits, both inside."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    over: Column
    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError(f"over is {self.over!r} without a limit; give min, max or both")
        if self.min is not None and self.max is not None and self.max < self.min:
            raise ValueError(f"max is {self.max}; it must be at least min ({self.min})")

    @property
    def bounds(self) -> str:
        """The limits in words: "at least 0.3", "0.3 to 30"."""
        if self.max is None:
            return f"at least {self.min:g}"
        return f"at most {self.max:g}" if self.min is None else f"{self.min:g} to {self.max:g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class AlphabetFilter:
    """Keep the utterances whose text has no other characters than these and white space; ranges as in `a-z`, `가-힣`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    over: Literal["text"] = "text"
    alphabet: str

    def __post_init__(self) -> None:
        if not self.alphabet:
            raise ValueError("alphabet is empty; it must name the characters that a text may have")
        try:
            re.compile(f"[{self.characters}]")
        except re.error as wrong:
            raise ValueError(f"alphabet is {self.alphabet!r}, which cannot be read: {wrong}") from wrong

    @property
    def characters(self) -> str:
        """What stands between the brackets of a regular expression that matches one character of the alphabet, in NFC."""
        escaped = re.sub(r"[\\\[\]^&~|]", r"\\\g<0>", unicodedata.normalize("NFC", self.alphabet))
        return re.sub(r"^-|-$", r"\\-", escaped)


FilterSpec = RangeFilter | AlphabetFilter


def asks_for_signal(filters: tuple[FilterSpec, ...]) -> bool:
    """Whether any of the filters needs a measure that rows of an older program do not have."""
    return any(spec.over in SIGNAL_COLUMNS for spec in filters)
