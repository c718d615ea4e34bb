"""What `pipelines.yaml` says of a run as a whole, as frozen specs; those of the computations come from `sorigil` and `storage`.

Made by `config.load`, which checks the types; ranges are checked here. Annotations from other packages are resolved
when a file is read (`spec_names`), so that importing this is cheap.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from flows.config.places import AddressCluster, LocalCluster, StorageConfig
from flows.config.problems import near_name
from flows.config.schedule import ScheduleConfig
from flows.config.schema import FLAT, HIDDEN
from sorigil.errors import RequestError
from sorigil.objectives import OBJECTIVES, Objective
from sorigil.text import tags
from tasks.breadcrumb import Deadline

if TYPE_CHECKING:
    from sorigil.audio.augment import WaveAugment
    from sorigil.audio.spec import AudioSpec
    from sorigil.decoding.spec import DecodeSpec
    from sorigil.drift import DriftSpec
    from sorigil.duplicates import DuplicatesSpec
    from sorigil.features import FeatureSpec
    from sorigil.filters import FilterSpec
    from sorigil.folds import FoldsSpec
    from sorigil.leaks import LeakSpec
    from sorigil.models.specs import ModelSpec
    from sorigil.split_specs import SplitSpec
    from sorigil.text.normalize import NormalizerSpec
    from sorigil.text.tokenizer import TokenSpec
    from sorigil.training.spec import TrainSpec
    from storage.sources import FolderSource, ManifestSource, SourceSpec

_FORBID: dict[str, Any] = {"extra": "forbid"}


def _audio() -> AudioSpec:
    from sorigil.audio.spec import AudioSpec

    return AudioSpec()


def _train() -> TrainSpec:
    from sorigil.training.spec import TrainSpec

    return TrainSpec()


def _tokens() -> TokenSpec:
    from sorigil.text.tokenizer import SymbolTokens

    return SymbolTokens()


def _split() -> SplitSpec:
    from sorigil.split_specs import FieldSplit

    return FieldSplit()


def _augment() -> WaveAugment:
    from sorigil.audio.augment import WaveAugment

    return WaveAugment()


def _duplicates() -> DuplicatesSpec:
    from sorigil.duplicates import DuplicatesSpec

    return DuplicatesSpec()


def _leaks() -> LeakSpec:
    from sorigil.leaks import LeakSpec

    return LeakSpec()


def _drift() -> DriftSpec:
    from sorigil.drift import DriftSpec

    return DriftSpec()


def _normalizer() -> NormalizerSpec:
    from sorigil.text.normalize import PlainNormalizer

    return PlainNormalizer()


def _decode() -> DecodeSpec:
    from sorigil.decoding.spec import GreedySpec

    return GreedySpec()


@dataclass(frozen=True, kw_only=True, slots=True)
class MixedData:
    """Another dataset of the store to learn from besides; its name alone means all of its training rows."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID
    ALONE: ClassVar[str] = "dataset"  # the key that may stand for the whole

    dataset: str
    weight: float = 1.0  # the share of its rows that takes part in an epoch, drawn anew in each

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight is {self.weight}; it must be above 0, and at most 1 (all its rows)")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainEntry:
    """One model to train. All keys of `TrainSpec` (epochs, learning_rate, …) are written beside these."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    name: str = ""  # default: the model's kind
    model: ModelSpec
    objective: Objective
    features: str = ""  # the name of one of the pipeline's features; default: the first; none for input raw
    tokens: TokenSpec = field(default_factory=_tokens)  # what a recogniser emits
    target: str = ""  # the tier of annotations to learn; default: reference for ctc, label for the others
    separator: str = tags.SEPARATOR  # between the tags of one annotation, for tagging
    data: tuple[MixedData, ...] = ()  # learn from the training rows of these datasets too
    copies: int = 0  # augmented copies of each training row, cached beside the originals
    copy_augment: WaveAugment = field(default_factory=_augment)  # how the copies are changed
    folds: FoldsSpec | None = None  # train and score once for each of these splits, instead of the pipeline's
    sweep: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # dotted keys of this entry, and values to try
    inner_folds: int = 0  # of the training rows, to compare the sweep's points on; 0: they are compared on the dev rows
    processes: int = 1  # that train one model together, one on each worker
    # what `sweep` comes to: the values of one point of the grid, and this entry with them (filled in by `sweeps`)
    points: tuple[tuple[dict[str, Any], TrainEntry], ...] = field(default=(), metadata=HIDDEN)
    train: TrainSpec = field(default_factory=_train, metadata=FLAT)

    def __post_init__(self) -> None:
        if self.copies < 0:
            raise ValueError(f"copies is {self.copies}; it must be at least 0")
        if self.processes < 1:
            raise ValueError(f"processes is {self.processes}; it must be at least 1")
        if self.inner_folds < 0 or self.inner_folds == 1:
            raise ValueError(f"inner_folds is {self.inner_folds}; it must be 0 (none) or at least 2")
        if not self.separator.strip():
            raise ValueError(f"separator is {self.separator!r}; it must hold a character that is no space")
        object.__setattr__(self, "name", self.name or self.model.kind)
        object.__setattr__(self, "target", self.target or OBJECTIVES[self.objective].tier)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """How models are scored. No `metrics` means all that suit a model's objective."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    metrics: tuple[str, ...] = ()
    normalizer: NormalizerSpec = field(default_factory=_normalizer)
    splits: tuple[Literal["train", "dev", "test"], ...] = ("test",)
    speeds: tuple[float, ...] = (
        1.0,
    )  # at which a classifier with input audio or raw hears each utterance; answers are averaged
    decode: DecodeSpec = field(default_factory=_decode)
    latency: int = 0  # utterances of each split that are heard one by one and timed

    def __post_init__(self) -> None:
        if self.latency < 0:
            raise ValueError(f"latency is {self.latency}; it must be 0 (do not measure it) or a number of utterances")
        if not self.speeds or not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise ValueError(f"speeds is {list(self.speeds)}; it must be one or more numbers from 0.5 to 2")


@dataclass(frozen=True, kw_only=True, slots=True)
class TranscribeDeadline(Deadline):
    """A recogniser takes longer over a megabyte than a decoder does."""

    seconds: float = 600.0
    seconds_per_mb: float = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TranscribeConfig:
    """An archive to transcribe with a trained model: a file per recording and format, written as each is done."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    source: FolderSource | ManifestSource
    model: str  # the name of a train entry with objective ctc
    output: str
    formats: tuple[Literal["json", "txt", "srt", "vtt"], ...] = ("json", "txt", "srt", "vtt")
    max_seconds: float = 30.0  # longest window given to the model at once; longer recordings are cut at quiet points
    overlap_seconds: float = 1.0  # by which neighbouring windows reach into each other
    decode: DecodeSpec = field(default_factory=_decode)
    deadline: TranscribeDeadline = field(default_factory=TranscribeDeadline)  # of one recording

    def __post_init__(self) -> None:
        if not self.formats:
            raise ValueError("formats is empty; it must name at least one of json, txt, srt, vtt")
        if self.max_seconds <= 0:
            raise ValueError(f"max_seconds is {self.max_seconds}; it must be above 0")
        if not 0 <= self.overlap_seconds < self.max_seconds / 2:
            limit = f"at least 0 and below half of max_seconds ({self.max_seconds})"
            raise ValueError(f"overlap_seconds is {self.overlap_seconds}; it must be {limit}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineConfig:
    """One pipeline: a source, what is computed from it, what is learned from that, and when."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    name: str = field(default="", metadata=HIDDEN)  # its key in the file
    source: SourceSpec
    dataset: str = ""  # default: the pipeline's name
    licence: str = ""  # of the data, for model cards
    audio: AudioSpec = field(default_factory=_audio)
    features: tuple[FeatureSpec, ...] = ()
    filters: tuple[FilterSpec, ...] = ()
    split: SplitSpec = field(default_factory=_split)
    train: tuple[TrainEntry, ...] = ()
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    transcribe: TranscribeConfig | None = None
    schedule: ScheduleConfig | None = None
    max_rejected: float = 0.1  # share of the items that may be rejected before the run is red
    max_vanished: float = 0.1  # share of the last version's items that may be gone
    keep_audio: bool = True  # store the prepared audio too
    deadline: Deadline = field(
        default_factory=Deadline
    )  # of one recording's preparation; the worker that misses it is ended
    max_deaths: int = 100  # workers that may end in the middle of their work before the run is red
    duplicates: DuplicatesSpec = field(default_factory=_duplicates)
    leaks: LeakSpec = field(default_factory=_leaks)
    drift: DriftSpec = field(default_factory=_drift)

    def __post_init__(self) -> None:
        for name in ("max_rejected", "max_vanished"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 to 1")
        if self.max_deaths < 0:
            raise ValueError(f"max_deaths is {self.max_deaths}; it must be at least 0")
        features = tuple(dataclasses.replace(each, name=each.name or each.kind) for each in self.features)
        first = str(features[0].name) if features else ""
        train = tuple(
            each if each.train.input == "raw" else dataclasses.replace(each, features=each.features or first)
            for each in self.train
        )
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "train", train)


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A whole file. Every path in it is absolute, every default filled in."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    version: Literal[1]
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: LocalCluster | AddressCluster = field(default_factory=LocalCluster)
    pipelines: dict[str, PipelineConfig]

    def __post_init__(self) -> None:
        named = {
            name: dataclasses.replace(each, name=name, dataset=each.dataset or name)
            for name, each in self.pipelines.items()
        }
        object.__setattr__(self, "pipelines", named)

    def pipeline(self, name: str) -> PipelineConfig:
        """The pipeline of that name. Raises RequestError with the nearest name where there is none."""
        if name not in self.pipelines:
            known = ", ".join(self.pipelines)
            near = near_name(name, self.pipelines)
            raise RequestError(f"there is no pipeline {name!r}; " + (near or f"there are {known}"))
        return self.pipelines[name]

    def licences(self) -> dict[str, str]:
        """What is said of each dataset's licence."""
        return {each.dataset: each.licence for each in self.pipelines.values() if each.licence}

    def maker(self, dataset: str, like: PipelineConfig, feature: Any) -> PipelineConfig | None:
        """The first pipeline that makes this dataset with the audio of `like` and with such a feature (None: with any)."""
        from sorigil.fingerprint import fingerprint

        for pipeline in self.pipelines.values():
            made_alike = pipeline.dataset == dataset and fingerprint(pipeline.audio) == fingerprint(like.audio)
            if made_alike and (feature is None or fingerprint(feature) in map(fingerprint, pipeline.features)):
                return pipeline
        return None


def spec_names() -> dict[str, Any]:
    """The specs of other packages by name: what the annotations above mean. Imports their packages."""
    from sorigil.audio.augment import WaveAugment
    from sorigil.audio.spec import AudioSpec
    from sorigil.decoding.spec import DecodeSpec
    from sorigil.drift import DriftSpec
    from sorigil.duplicates import DuplicatesSpec
    from sorigil.features import FeatureSpec
    from sorigil.filters import FilterSpec
    from sorigil.folds import FoldsSpec
    from sorigil.leaks import LeakSpec
    from sorigil.models.specs import ModelSpec
    from sorigil.split_specs import SplitSpec
    from sorigil.text.normalize import NormalizerSpec
    from sorigil.text.tokenizer import TokenSpec
    from sorigil.training.spec import TrainSpec
    from storage.sources import FolderSource, ManifestSource, SourceSpec

    names = {
        "AudioSpec": AudioSpec,
        "DecodeSpec": DecodeSpec,
        "FeatureSpec": FeatureSpec,
        "FilterSpec": FilterSpec,
        "FoldsSpec": FoldsSpec,
        "ModelSpec": ModelSpec,
    }
    names |= {
        "NormalizerSpec": NormalizerSpec,
        "TokenSpec": TokenSpec,
        "TrainSpec": TrainSpec,
        "SourceSpec": SourceSpec,
        "DuplicatesSpec": DuplicatesSpec,
        "LeakSpec": LeakSpec,
        "DriftSpec": DriftSpec,
        "SplitSpec": SplitSpec,
        "WaveAugment": WaveAugment,
    }
    return {**names, "FolderSource": FolderSource, "ManifestSource": ManifestSource}
