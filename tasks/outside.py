"""What an external says of the rows of a dataset: of their prepared audio at its own rate, or in a file by their ids."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sorigil import external
from sorigil.errors import RequestError
from sorigil.external.specs import ExternalSpec, FileSpec
from sorigil.objectives import OBJECTIVES
from sorigil.text.exchange import MOST_SHOWN
from sorigil.types import Hypothesis
from storage import externals
from storage.dataset import StoredRows
from tasks.answers import Answers, labelled

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """An external that is known but not opened: small, so it travels to whoever asks it.

    `key` is for an external what a bundle's key is for our models; `objective` says which metrics judge it.
    """

    name: str
    key: str
    objective: str
    outputs: tuple[str, ...]  # the labels of a classifier
    spec: ExternalSpec


def find(spec: ExternalSpec) -> Outside:
    """Read what its files say, without opening it. Raises RequestError where they, or its library, are missing."""
    spec = externals.resolve(spec)
    key = external.key_of(spec)
    return Outside(name=spec.name, key=key, objective=spec.objective, outputs=spec.outputs, spec=spec)


def outside_answers(outside: Outside, rows: pa.Table, stored: StoredRows) -> Answers:
    """What it says of each row, of which a file needs the `id`; `stored` are the same rows, opened for audio.

    Raises RequestError where it cannot be opened. That a file has all of them is for `check` to say before.
    """
    if isinstance(outside.spec, FileSpec):
        return _written(outside.spec, rows.column("id").to_pylist())
    return _heard(outside, stored)


def check(outside: Outside, ids: Sequence[str]) -> None:
    """Raises RequestError where its answers are in a file that lacks some of a whole slice. A CTM cannot say that nothing
    was heard, so only one that knows none of them is refused: of a part of the slice that would say nothing."""
    if not isinstance(outside.spec, FileSpec):
        return
    texts = externals.hypotheses(outside.spec)
    known = {entry.id for entry in texts.entries}
    missing = [each for each in ids if each not in known]
    if missing and (texts.format != "ctm" or len(missing) == len(ids)):
        said = ", ".join(missing[:MOST_SHOWN]) + (", …" if len(missing) > MOST_SHOWN else "")
        raise RequestError(f"{outside.spec.uri} has no answer for {len(missing):,} of {len(ids):,} utterances ({said})")


def _written(spec: FileSpec, ids: Sequence[str]) -> Answers:
    """The answers that a file has for these ids; it may have others, and where it has none nothing was heard (`check`)."""
    known = {entry.id: entry for entry in externals.hypotheses(spec).entries}
    found = [known.get(each) for each in ids]
    return Answers(
        texts=[each.text if each else "" for each in found],
        confidences=[each.confidence if each else None for each in found],
    )


def _heard(outside: Outside, stored: StoredRows) -> Answers:
    listener = _listener(outside.spec)
    heard = stored.heard_at(listener.sample_rate)
    found: list[Hypothesis] = []
    for batch in _batches(stored.seconds):
        found += listener.hear([heard.samples(row) for row in batch])
    if OBJECTIVES[outside.objective].text:
        sure = [None if math.isnan(each.confidence) else each.confidence for each in found]
        return Answers(texts=[each.text or "" for each in found], confidences=sure)
    shares_NC = np.array([[each.scores[name] for name in outside.outputs] for each in found])
    return labelled(outside.outputs, shares_NC, several=OBJECTIVES[outside.objective].several)


@lru_cache(maxsize=1)
def _listener(spec: ExternalSpec) -> external.Listener:
    """A worker opens an external once."""
    with externals.at_hand(spec) as folder:
        return external.opened(spec, folder)


def _batches(seconds: NDArray[np.float64]) -> Iterator[list[int]]:
    """The rows in order, as many together as last `BATCH_SECONDS`."""
    batch: list[int] = []
    filled = 0.0
    for row, length in enumerate(seconds.tolist()):
        if batch and filled + length > BATCH_SECONDS:
            yield batch
            batch, filled = [], 0.0
        batch.append(row)
        filled += length
    if batch:
        yield batch
