"""What a run asks of a dataset: parameters that decide its tables, and the names of what they decide."""

from __future__ import annotations

from dataclasses import dataclass, field

from flows.runtime import MOST_DEATHS
from sorigil.audio.spec import AudioSpec, RawAudio
from sorigil.drift import DriftSpec
from sorigil.duplicates import DuplicatesSpec
from sorigil.features import FeatureSpec
from sorigil.filters import FilterSpec
from sorigil.fingerprint import fingerprint
from sorigil.leaks import LeakSpec
from sorigil.split_specs import FieldSplit, SplitSpec
from storage.layout import Store
from tasks.breadcrumb import Deadline
from tasks.units import feature_code


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What is asked of a dataset: the part of a pipeline that decides its tables."""

    store: Store
    dataset: str
    base_uri: str  # what the items' uris are relative to
    audio: AudioSpec
    features: tuple[FeatureSpec, ...]
    keep_audio: bool = True
    raw: RawAudio | None = None
    filters: tuple[FilterSpec, ...] = ()
    max_rejected: float = 0.1
    max_vanished: float = 0.1
    deadline: Deadline = field(default_factory=Deadline)
    max_deaths: int = MOST_DEATHS
    duplicates: DuplicatesSpec = field(default_factory=DuplicatesSpec)
    split: SplitSpec = field(default_factory=FieldSplit)
    leaks: LeakSpec = field(default_factory=LeakSpec)
    drift: DriftSpec = field(default_factory=DriftSpec)

    @property
    def code(self) -> str:
        """What a remembered rejection depends on besides the bytes."""
        return fingerprint(self.audio)

    @property
    def feature_code(self) -> str:
        """The same for a rejection that may be a feature's doing: shorter than one window, or the end of a worker."""
        return feature_code(self.audio, self.features)
