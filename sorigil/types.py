"""What flows along the road. Time is integer samples plus a rate; seconds are a view of them.

Tables of these travel as Arrow columns (`storage`); the classes here are for one item at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """One item that could not be used, and why: a row of the quarantine table."""

    id: str
    uri: str
    stage: str  # scan, decode, prepare, features, train, transcribe, worker
    reason: str  # a short stable code
    detail: str  # a sentence for a person
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One immutable Parquet file, named by what it was computed from."""

    stage: str  # audio or features
    fingerprint: str  # of the spec that made it
    uri: str  # relative to the store's root
    rows: int
    samples: int  # at the prepared rate
    sha256: str  # of the file's bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What one unit of work did. Small: it is all that crosses the scheduler."""

    unit: str
    items: int
    audio_seconds: float
    parts: tuple[Part, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    seconds: dict[str, float] = field(
        default_factory=dict
    )  # wall time by step: read, decode, resample, features, write


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """A recognised word with its place, in seconds from the start of the recording."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """What a model says of one utterance: a transcript with timed words, or a label with every class's probability."""

    id: str
    text: str | None = None
    label: str | None = None
    confidence: float = 0.0
    words: tuple[Word, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
