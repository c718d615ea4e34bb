"""Which language model a decoder listens to: parameters only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class NGramSpec:
    """n-grams of up to `order` words, or of the recogniser's own tokens, learned from the texts it was trained on."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["ngram"] = "ngram"
    units: Literal["words", "tokens"] = "words"
    order: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.order <= 10:
            raise ValueError(f"order is {self.order}; it must be 1 to 10")
