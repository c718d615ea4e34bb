"""What is trained (a job, which names its model by everything that decides it) and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.audio.spec import AudioSpec
from sorigil.fingerprint import digest, fingerprint
from sorigil.objectives import OBJECTIVES, ObjectiveFacts
from sorigil.splits import DEV, TRAIN
from sorigil.text import tags
from sorigil.types import Rejection
from storage import tables
from storage.layout import Store

CODE_FORMAT = 1  # raised when the same job would give another model


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """One model to train. `rows` is `storage.dataset.open_dataset` with a column `side` (its split).

    `copies` are further places of features for training rows (augmented copies), with the columns of `rows`; `mixed` are
    training rows of other datasets, with a column `share` besides: of the epochs that each takes part in.
    """

    store: Store
    dataset: str
    version: str
    name: str
    model: Any
    objective: Any
    audio: AudioSpec
    feature: Any  # its InputSpec: a feature, or the waveform
    tokens: Any  # TokenSpec
    target: str  # the annotation tier: "reference" or "label"
    separator: str = tags.SEPARATOR  # between the tags of one label, for objectives that learn several
    normalizer: str
    train: Any  # TrainSpec
    rows: pa.Table
    copies: pa.Table | None = None
    augment: str = ""  # what the copies were made by, for the key
    mixed: pa.Table | None = None
    mixed_versions: tuple[dict[str, Any], ...] = ()  # dataset, version and weight of what `mixed` comes from
    loader_workers: int = 0

    @property
    def key(self) -> str:
        """What the model is computed from: rows with their targets and sides, and every spec."""
        used = self.rows.filter(pc.is_in(self.rows.column("side"), value_set=pa.array([TRAIN, DEV])))
        marks = ("key", self.target, "side", *(("speaker",) if self.train.cmvn == "speaker" else ()))
        content = "\n".join(tables.joined(used.sort_by("key"), marks).to_pylist())
        specs = [fingerprint(spec) for spec in (self.audio, self.feature, self.model, self.train)]
        if self.mixed is not None:
            specs += tables.joined(self.mixed.sort_by("key"), ("key", self.target, "share")).to_pylist()
        return digest("train", CODE_FORMAT, content, *specs, self.objective, self._alphabet(), self.augment)

    def _alphabet(self) -> str:
        if self.facts.several:
            return f"tags {self.separator}"
        return f"{self.tokens.name}/{self.normalizer}" if self.facts.text else "labels"

    @property
    def facts(self) -> ObjectiveFacts:
        """What the objective is."""
        return OBJECTIVES[self.objective]


@dataclass(kw_only=True)
class Trained:
    """The bundle's key and what happened on the way to it."""

    key: str
    reused: bool
    seconds: float = 0.0
    audio_seconds: float = 0.0  # gone through, all epochs together
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    rejections: list[Rejection] = field(default_factory=list)
