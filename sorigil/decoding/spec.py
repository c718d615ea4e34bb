"""How a network's posteriors become text: one spec for each decoder, parameters only (`ctc` decodes)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from sorigil.lm.spec import LanguageModelSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class GreedySpec:
    """The best token of each frame, repeats folded and blanks dropped."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    FINGERPRINT_NAME: ClassVar[str] = "DecodeSpec"  # its name when the first scores were stored

    kind: Literal["greedy"] = "greedy"


@dataclass(frozen=True, kw_only=True, slots=True)
class BeamSpec:
    """A prefix beam search: the `beam_width` best prefixes go on from frame to frame.

    `token_threshold` and `beam_threshold` leave out what is more than so many nats worse than the best token of a frame,
    the best prefix; null leaves out nothing that could matter. `n_best` texts are kept of each utterance.

    A text's score is its log probability, plus `lm_weight` times the language model's, plus `insertion` for each unit (a
    word; a token where the model's units are tokens), plus `hot_word_weight` for each letter of a hot word. With `lexicon`
    only words that the language model knows, or that are hot, can be said.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    FINGERPRINT_NAME: ClassVar[str] = "DecodeSpec"

    kind: Literal["beam"] = "beam"
    beam_width: int = 16
    token_threshold: float | None = None
    beam_threshold: float | None = None
    n_best: int = 1
    lm: LanguageModelSpec | None = None
    lm_weight: float = 0.5
    insertion: float = 0.0
    lexicon: bool = False
    hot_words: tuple[str, ...] = ()
    hot_word_weight: float = 0.5

    @property
    def FORMAT(self) -> int:  # noqa: N802 (as of other specs; here it is not the same for all)
        """Raised where the same spec finds other texts than it did: 2, words are looked ahead to."""
        return 2 if self.lm is not None and self.lm.units == "words" else 1

    def __post_init__(self) -> None:
        if self.beam_width < 1:
            raise ValueError(f"beam_width is {self.beam_width}; it must be at least 1")
        for name in ("token_threshold", "beam_threshold"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; it must be above 0, or null")
        if not 1 <= self.n_best <= self.beam_width:
            raise ValueError(f"n_best is {self.n_best}; it must be 1 to beam_width ({self.beam_width})")
        for name in ("lm_weight", "hot_word_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a finite number of at least 0")
        if not math.isfinite(self.insertion):
            raise ValueError(f"insertion is {self.insertion}; it must be a finite number")
        if self.lexicon and (self.lm is None or self.lm.units != "words"):
            raise ValueError("lexicon is true; it needs an lm with units words, whose words it allows")
        if wrong := [word for word in self.hot_words if len(word.split()) != 1]:
            raise ValueError(f"hot_words holds {wrong[0]!r}; each must be one word, without a space")


DecodeSpec = GreedySpec | BeamSpec
