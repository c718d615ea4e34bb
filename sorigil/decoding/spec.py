"""How a network's posteriors become text: one spec for each decoder, parameters only (`ctc` decodes)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


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
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    FINGERPRINT_NAME: ClassVar[str] = "DecodeSpec"

    kind: Literal["beam"] = "beam"
    beam_width: int = 16
    token_threshold: float | None = None
    beam_threshold: float | None = None
    n_best: int = 1

    def __post_init__(self) -> None:
        if self.beam_width < 1:
            raise ValueError(f"beam_width is {self.beam_width}; it must be at least 1")
        for name in ("token_threshold", "beam_threshold"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; it must be above 0, or null")
        if not 1 <= self.n_best <= self.beam_width:
            raise ValueError(f"n_best is {self.n_best}; it must be 1 to beam_width ({self.beam_width})")


DecodeSpec = GreedySpec | BeamSpec
