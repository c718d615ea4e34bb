"""Parameters of externals. What `storage.externals.resolve` fills in, and not the place it was read from, is identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sorigil.objectives import Objective

FILLED_IN: dict[str, Any] = {"hidden": True}  # no key of pipelines.yaml


@dataclass(frozen=True, kw_only=True, slots=True)
class PocketsphinxSpec:
    """CMU PocketSphinx with the English model of its own package: Gaussian mixtures and trigrams, the baseline that needs
    no download.

    `grammar` is a file that says what can be heard: a JSGF grammar, or one phrase a line (an utterance is one of them).
    Without one it hears general English.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    objective: ClassVar[Objective] = "ctc"

    kind: Literal["pocketsphinx"] = "pocketsphinx"
    grammar: str = field(default="", metadata={"identity": False})
    grammar_text: str = field(default="", metadata=FILLED_IN)

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.kind}:{self.grammar}" if self.grammar else self.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSpec:
    """What any other system said, in a file by the ids of the utterances: JSON lines (texts or labels), TRN or CTM."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    uri: str = field(metadata={"identity": False})
    kind: Literal["file"] = "file"
    objective: Objective = field(default="ctc", metadata=FILLED_IN)
    sha256: str = field(default="", metadata=FILLED_IN)  # of the file

    def __post_init__(self) -> None:
        if not self.uri:
            raise ValueError("it names no file; write file:PATH")

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.uri}"


ExternalSpec = PocketsphinxSpec | FileSpec
