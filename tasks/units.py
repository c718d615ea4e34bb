"""Units of work of the preparing stage: what one is, and the names of what it makes.

A unit is a few items and the specs that apply to them: references in, parts and a ledger out. `prepare.py` and
`featurize.py` carry units out; `flows.units` makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from sorigil.audio.spec import AudioSpec, RawAudio
from sorigil.errors import AudioError
from sorigil.features import FeatureSpec
from sorigil.fingerprint import digest, fingerprint
from storage import erased
from storage.layout import Store
from tasks.breadcrumb import Deadline

RAW_SUFFIXES = (".raw", ".pcm")  # headerless, read with the source's `raw`


@dataclass(frozen=True, kw_only=True)
class PrepareUnit:
    """Some recordings of one source; `items` has the columns id, uri, size, place, stamp, start, seconds, channel."""

    store: Store
    dataset: str
    base: str  # what the items' uris are relative to
    unit: str
    audio: AudioSpec
    features: tuple[FeatureSpec, ...]
    keep_audio: bool
    raw: RawAudio | None
    items: pa.Table
    acoustic: bool = False  # acoustic fingerprints too
    deadline: Deadline = field(default_factory=Deadline)
    erased: frozenset[str] = frozenset()  # marks of files and keys that were erased and must not come back
    item_name: ClassVar[str] = "uri"  # the column that breadcrumbs name items by

    @property
    def code(self) -> str:
        return feature_code(self.audio, self.features)

    @property
    def ledger(self) -> str:
        return self.store.unit(self.dataset, work_key(self.audio, self.keep_audio), self.unit)

    def refuse_erased(self, kind: str, value: str) -> None:
        """Raises AudioError for a file (by the sha256 of its bytes) or an utterance (by its key) that was erased."""
        if self.erased and self.erased.intersection(erased.marks(kind, [value])):
            raise AudioError("erased", "these bytes were erased on request, under this name or another")

    @cached_property
    def audio_spec(self) -> str:
        """The fingerprint of `audio`, which every row carries."""
        return fingerprint(self.audio)


@dataclass(frozen=True, kw_only=True)
class FeaturizeUnit:
    """Some rows of prepared audio; `items` has the columns key, audio_key, audio_part, audio_row,
    prepared_samples.

    With `augment` each feature is computed from a changed copy of the audio; `seed` and `copy` say which.
    """

    store: Store
    dataset: str
    unit: str
    audio: AudioSpec
    features: tuple[FeatureSpec, ...]
    items: pa.Table
    augment: Any = None
    seed: int = 0
    copy: int = 0
    acoustic: bool = False  # acoustic fingerprints too
    deadline: Deadline = field(default_factory=Deadline)
    item_name: ClassVar[str] = "key"

    @property
    def ledger(self) -> str:
        specs = [feature_spec_key(self.audio, spec, self.augment, self.seed, self.copy) for spec in self.features]
        specs += ["acoustic"] if self.acoustic else []
        return self.store.unit(self.dataset, digest("featurize", *specs), self.unit)


def work_key(audio: AudioSpec, keep_audio: bool) -> str:
    """Names the folder of the ledger that all units of this work share, whatever features they computed besides."""
    return digest("prepare", fingerprint(audio), int(keep_audio))


def feature_code(audio: AudioSpec, features: Sequence[FeatureSpec]) -> str:
    """What a rejection depends on, besides the bytes, that may be a feature's doing."""
    return digest(fingerprint(audio), *sorted(map(fingerprint, features)))


def feature_spec_key(audio: AudioSpec, spec: FeatureSpec, augment: Any = None, seed: int = 0, copy: int = 0) -> str:
    """One name for all rows that were made in this way; a feature key is H(audio key, this)."""
    if augment is None:
        return digest("features", fingerprint(audio), fingerprint(spec))
    return digest("features", fingerprint(audio), fingerprint(spec), fingerprint(augment), seed, copy)
