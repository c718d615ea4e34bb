"""Which language model a decoder listens to: parameters only.

Files that a model reads (`places`) count by what is in them: `storage.language_models.resolve` fills in `content` before
a run, and where they lie is no part of what was computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

ELSEWHERE: dict[str, Any] = {"identity": False}
FILLED_IN: dict[str, Any] = {"hidden": True}  # no key of pipelines.yaml


@dataclass(frozen=True, kw_only=True, slots=True)
class NGramSpec:
    """n-grams of up to `order` words, or of the recogniser's own tokens, learned from the texts it was trained on.

    `texts` are files to learn from besides, a text in each line.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["ngram"] = "ngram"
    units: Literal["words", "tokens"] = "words"
    order: int = 3
    texts: tuple[str, ...] = field(default=(), metadata=ELSEWHERE)
    content: str = field(default="", metadata=FILLED_IN)

    def __post_init__(self) -> None:
        if not 1 <= self.order <= 10:
            raise ValueError(f"order is {self.order}; it must be 1 to 10")

    @property
    def places(self) -> tuple[str, ...]:
        """The files that it reads."""
        return self.texts


@dataclass(frozen=True, kw_only=True, slots=True)
class ArpaSpec:
    """The n-grams of an ARPA file, plain or gzipped, as SRILM, KenLM and others write it: nothing is learned."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["arpa"] = "arpa"
    uri: str = field(metadata=ELSEWHERE)
    units: Literal["words", "tokens"] = "words"
    content: str = field(default="", metadata=FILLED_IN)

    @property
    def places(self) -> tuple[str, ...]:
        """The files that it reads."""
        return (self.uri,)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecurrentSpec:
    """A recurrent network over the recogniser's own tokens, learned from the texts that the recogniser was trained on.

    It learns for `epochs` at most, and stops where the perplexity on dev has not fallen for `patience` of them; the best
    epoch is kept. `texts` are files to learn from besides, a text in each line.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["lstm"] = "lstm"
    hidden: int = 256
    dropout: float = 0.2
    epochs: int = 40
    patience: int = 3
    batch_tokens: int = 1024
    learning_rate: float = 0.003
    seed: int = 0
    texts: tuple[str, ...] = field(default=(), metadata=ELSEWHERE)
    content: str = field(default="", metadata=FILLED_IN)

    def __post_init__(self) -> None:
        for name in ("hidden", "epochs", "patience", "batch_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must be at least 0 and below 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0")

    @property
    def units(self) -> Literal["tokens"]:
        """What it predicts, one after the other."""
        return "tokens"

    @property
    def places(self) -> tuple[str, ...]:
        """The files that it reads."""
        return self.texts


LanguageModelSpec = NGramSpec | ArpaSpec | RecurrentSpec
