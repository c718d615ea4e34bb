"""What is to be scored and what a score is, as JSON too. The work itself is in `evaluate`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from sorigil.fingerprint import digest, fingerprint, to_dict
from sorigil.text import tags
from sorigil.text.normalize import label
from sorigil.types import Rejection
from storage import tables
from storage.layout import Store

SCORE_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class EvaluateJob:
    """`rows` is `storage.dataset.open_dataset` of the evaluated slice only; `split` is what to call it."""

    store: Store
    dataset: str
    model_key: str
    split: str
    target: str
    separator: str  # between the tags of one label, for objectives with several
    normalizer: Any  # NormalizerSpec
    metrics: tuple[str, ...]
    decode: Any  # DecodeSpec
    rows: pa.Table
    from_audio: bool = False
    speeds: tuple[float, ...] = (1.0,)  # of a classifier's audio: its answers at each are averaged
    external: Any = None  # tasks.externals.External that answers instead of a bundle; its key is the model's
    compared: bool = (
        False  # with other systems: all hear prepared audio, whatever they learned from and however it was made
    )
    latency: int = 0  # utterances that are heard one by one and timed
    by_speaker: bool = False  # the model hears features normalised by speaker: who speaks is part of the slice

    @cached_property
    def slice(self) -> str:
        """Names the evaluated rows with their references, and how those are read where that is not as usual."""
        marks = ("key", self.target, *(("speaker",) if self.by_speaker else ()))
        read = () if self.separator == tags.SEPARATOR else (self.separator,)
        return digest("slice", "\n".join(tables.joined(self.rows.sort_by("key"), marks).to_pylist()), *read)

    @cached_property
    def key(self) -> str:
        speeds = () if self.speeds == (1.0,) else map(str, ("speeds", *self.speeds))
        how = (fingerprint(self.decode), label(self.normalizer), *self.metrics, *speeds)
        heard = ("compared", *self.rows.sort_by("key").column("audio_key").to_pylist()) if self.compared else ()
        timed = ("latency", str(self.latency)) if self.latency else ()
        return digest("score", SCORE_FORMAT, self.slice, self.model_key, *how, *heard, *timed)


@dataclass(kw_only=True)
class Scored:
    """`scores` are plain rows (metric, value, interval, n, detail); `tags` has one a tag where utterances have several
    (`sorigil.metrics.per_tag`); `table` says where the utterances are; `normalizer` is the label of what both sides went
    through, null of labels."""

    key: str
    reused: bool
    model: str
    objective: str
    split: str
    scores: list[dict[str, Any]]
    table: str
    seconds: float = 0.0
    audio_seconds: float = 0.0
    decoding_seconds: float = 0.0  # of one worker, whenever the hypotheses were made
    latency: dict[str, float] | None = None  # seconds that one waits for one answer (`tasks.latency`)
    rejections: list[Rejection] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    normalizer: str | None = None


def to_json(scored: Scored) -> bytes:
    return json.dumps(to_dict(scored), ensure_ascii=False, indent=1, default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def from_json(data: dict[str, Any], *, reused: bool) -> Scored:
    rejections = [Rejection(**row) for row in data.pop("rejections")]
    return Scored(**{**data, "reused": reused}, rejections=rejections)
