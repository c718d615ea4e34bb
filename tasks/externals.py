"""What an external says of the rows of a dataset: of their prepared audio at its own rate, or in a file by their ids."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import RequestError
from sorigil.external import KINDS, Listener, key_of, opened
from sorigil.external.specs import ExternalSpec, FileSpec, TransformersSpec
from sorigil.objectives import OBJECTIVES
from sorigil.text.exchange import MOST_SHOWN
from sorigil.types import Hypothesis
from storage import externals
from storage.dataset import StoredRows
from tasks.answers import Answers, labelled, said_from, seconds_used

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_SECONDS = 120.0

log = logging.getLogger("sorigil")


@dataclass(frozen=True, kw_only=True, slots=True)
class External:
    """A resolved external that is not opened: small, so it travels to whoever asks it.

    `key` is for it what a bundle's key is for our models; the rest is what tables, metrics and scores read of a bundle too.
    """

    key: str
    spec: ExternalSpec

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def objective(self) -> str:
        """Says which metrics judge it."""
        return self.spec.objective

    @property
    def outputs(self) -> tuple[str, ...]:
        """The labels of a classifier."""
        return self.spec.outputs

    @property
    def hears(self) -> bool:
        """False where all its answers are written down."""
        return KINDS[self.spec.kind].opened is not None


def find(spec: ExternalSpec) -> External:
    """Read what its files say, without opening it. Raises RequestError where they, or its library, are missing."""
    spec = externals.resolve(spec)
    return External(key=key_of(spec), spec=spec)


def check(external: External, ids: Sequence[str]) -> None:
    """Raises RequestError where it cannot answer for all of a slice. A CTM cannot say that nothing was heard, so only one
    that knows none of the utterances is refused: of a part of the slice that would say nothing."""
    spec = external.spec
    if isinstance(spec, TransformersSpec) and spec.lacks:
        raise RequestError(f"{spec.name}: the folder has no {spec.lacks}; save it there too, with save_pretrained")
    if not isinstance(spec, FileSpec):
        return
    texts = externals.hypotheses(spec)
    known = {entry.id for entry in texts.entries}
    missing = [each for each in ids if each not in known]
    if missing and (texts.format != "ctm" or len(missing) == len(ids)):
        said = ", ".join(missing[:MOST_SHOWN]) + (", …" if len(missing) > MOST_SHOWN else "")
        raise RequestError(f"{spec.uri} has no answer for {len(missing):,} of {len(ids):,} utterances ({said})")


def external_answers(external: External, rows: pa.Table, stored: StoredRows) -> Answers:
    """What it says of each row, of which a file needs the `id`; `stored` are the same rows, opened for audio. Timed as
    `answers_of` times our own models: it is loaded, and has heard an utterance, before the clock starts.

    Raises RequestError where it cannot be opened. That a file has all of them is for `check` to say before.
    """
    if isinstance(external.spec, FileSpec):
        return _written(external.spec, rows.column("id").to_pylist())
    listener = _listener(external.spec)
    sounds = stored.heard_at(listener.sample_rate)
    listener.hear([sounds.samples(0)])
    began = seconds_used()
    found: list[Hypothesis] = []
    for batch in _batches(stored.seconds):
        found += listener.hear([sounds.samples(row) for row in batch])
    if unfinished := sum("unfinished" in each.extras for each in found):
        log.warning(
            f"{external.name}: {unfinished:,} of {len(found):,} texts are as long as its decoder may write, and may be broken "
            "off there (max_length in its generation_config.json)"
        )
    return replace(_answers(external, found), seconds=seconds_used() - began)


def _written(spec: FileSpec, ids: Sequence[str]) -> Answers:
    """The answers that a file has for these ids; it may have others, and where it has none nothing was heard (`check`)."""
    known = {entry.id: entry for entry in externals.hypotheses(spec).entries}
    found = [known.get(each) for each in ids]
    return Answers(
        texts=[each.text if each else "" for each in found],
        confidences=[each.confidence if each else None for each in found],
    )


def _answers(external: External, found: Sequence[Hypothesis]) -> Answers:
    if OBJECTIVES[external.objective].text:
        sure = [None if math.isnan(each.confidence) else each.confidence for each in found]
        return Answers(texts=[each.text or "" for each in found], confidences=sure)
    shares_NC = np.array([[each.scores[name] for name in external.outputs] for each in found])
    return labelled(external.outputs, shares_NC, OBJECTIVES[external.objective].several, said_from(external))


@lru_cache(maxsize=1)
def _listener(spec: ExternalSpec) -> Listener:
    """A worker opens an external once."""
    with externals.at_hand(spec) as folder:
        return opened(spec, folder)


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
