"""Parameters of externals. What their files say, as `storage.externals.resolve` fills it in, is identity; where those
files are is not.

Each has a `sample_rate` (Hz) at which it hears; what lasts longer than `longest` (seconds) it does not hear to the end.
Either is 0 where nothing is to be said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlencode

from sorigil.objectives import Objective

FILLED_IN: dict[str, Any] = {"hidden": True}  # no key of pipelines.yaml
BESIDE: dict[str, Any] = {**FILLED_IN, "identity": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class PocketsphinxSpec:
    """CMU PocketSphinx with the English model of its own package: Gaussian mixtures and trigrams, the baseline that needs
    no download.

    `grammar` is a file that says what can be heard: a JSGF grammar, or one phrase a line (an utterance is one of them).
    Without one it hears general English.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    objective: ClassVar[Objective] = "ctc"
    outputs: ClassVar[tuple[str, ...]] = ()
    sample_rate: ClassVar[int] = 16_000
    longest: ClassVar[float] = 0.0

    kind: Literal["pocketsphinx"] = "pocketsphinx"
    grammar: str = field(default="", metadata={"identity": False})
    grammar_text: str = field(default="", metadata=FILLED_IN)

    @classmethod
    def named(cls, rest: str) -> PocketsphinxSpec:
        """The spec whose name is `kind:rest`."""
        return cls(grammar=rest)

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.kind}:{self.grammar}" if self.grammar else self.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSpec:
    """What any other system said, in a file by the ids of the utterances: JSON lines (texts or labels), TRN or CTM."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    outputs: ClassVar[tuple[str, ...]] = ()  # which labels its system knows is not written
    sample_rate: ClassVar[int] = 0
    longest: ClassVar[float] = 0.0

    uri: str = field(metadata={"identity": False})
    kind: Literal["file"] = "file"
    objective: Objective = field(default="ctc", metadata=FILLED_IN)
    sha256: str = field(default="", metadata=FILLED_IN)  # of the file
    place: str = field(default="", metadata=BESIDE)  # its address, from whatever folder it is read

    def __post_init__(self) -> None:
        if not self.uri:
            raise ValueError("it names no file; write file:PATH")

    @classmethod
    def named(cls, rest: str) -> FileSpec:
        return cls(uri=rest)

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.uri}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformersSpec:
    """A checkpoint as `transformers` saves one with its feature extractor and tokenizer: CTC, an encoder with a decoder, or
    a classifier. Whisper may be told the language (else it listens for it) and the task."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    model: str = field(metadata={"identity": False})  # a folder, or OWNER/NAME on the hub, with @REVISION if need be
    kind: Literal["transformers"] = "transformers"
    language: str = ""
    task: Literal["", "transcribe", "translate"] = ""
    files: str = field(default="", metadata=FILLED_IN)  # a digest of all of them
    head: str = field(default="", metadata=FILLED_IN)  # how its architecture ends: ForCTC
    objective: Objective = field(default="ctc", metadata=FILLED_IN)
    outputs: tuple[str, ...] = field(default=(), metadata=FILLED_IN)  # the labels of a classifier
    place: str = field(
        default="", metadata=BESIDE
    )  # the folder's address, from whatever folder it is read; or a hub name
    lacks: str = field(default="", metadata=BESIDE)  # what else must be in the folder for it to be asked
    sample_rate: int = field(default=0, metadata=BESIDE)
    longest: float = field(default=0.0, metadata=BESIDE)

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("it names no model; write transformers:FOLDER or transformers:OWNER/NAME")
        if self.task not in ("", "transcribe", "translate"):
            raise ValueError(f"task is {self.task!r}; it must be transcribe or translate")

    @classmethod
    def named(cls, rest: str) -> TransformersSpec:
        """`FOLDER?language=ko&task=translate`. Raises ValueError."""
        model, _, said = rest.partition("?")
        options = dict(parse_qsl(said, keep_blank_values=True, strict_parsing=bool(said)))
        if unknown := sorted({*options} - {"language", "task"}):
            raise ValueError(f"there is no option {', '.join(unknown)}; there are language and task")
        return cls(model=model, **options)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        said = {"language": self.language, "task": self.task}
        options = urlencode({option: value for option, value in said.items() if value})
        return f"{self.kind}:{self.model}" + (f"?{options}" if options else "")


ExternalSpec = PocketsphinxSpec | FileSpec | TransformersSpec
