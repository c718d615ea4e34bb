"""Work cut into units: recordings by bytes, prepared audio by its length; files are never torn apart.

`plan.py` says what must be computed; `tasks.units` has what a unit is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from flows.work import Work
from sorigil.audio.spec import SIGNAL_FORMAT
from sorigil.features import FeatureSpec
from sorigil.fingerprint import digest, fingerprint
from storage import archives, tables
from tasks.units import FeaturizeUnit, PrepareUnit, feature_spec_key

UNIT_BYTES = 48 << 20  # of source files: minutes of work at most
UNIT_ITEMS = 2000
_ITEM_COLUMNS = ("id", "uri", "size", "place", "stamp", "start", "seconds", "channel")


def prepare_units(work: Work, items: pa.Table, workers: int) -> list[PrepareUnit]:
    """Balanced by bytes, at least four a worker, files never torn apart."""
    if not len(items):
        return []
    items = items.take(pa.array(archives.reading_order(items.column("uri"), items.column("offset"))))
    uris = items.column("uri").combine_chunks().dictionary_encode()
    file_of = np.asarray(uris.indices)
    sizes = np.zeros(len(uris.dictionary), np.int64)
    sizes[file_of] = np.asarray(items.column("size").to_numpy())
    target = min(UNIT_BYTES, max(1, int(sizes.sum()) // (4 * workers) + 1))
    spans = np.bincount(file_of, minlength=len(sizes))
    unit_of_file = np.cumsum(sizes) // target + np.cumsum(spans) // UNIT_ITEMS
    unit_of_item = unit_of_file[file_of]
    order = np.argsort(unit_of_item, kind="stable")
    bounds = np.flatnonzero(np.diff(unit_of_item[order])) + 1
    chosen = items.select(list(_ITEM_COLUMNS))
    return [_unit(work, chosen.take(pa.array(part))) for part in np.split(order, bounds)]


def _unit(work: Work, items: pa.Table) -> PrepareUnit:
    places = tables.joined(items, ("place", "stamp")).to_pylist()
    acoustic = ("acoustic",) if work.duplicates.searches_near else ()
    return PrepareUnit(
        store=work.store,
        dataset=work.dataset,
        base=work.base_uri,
        unit=digest(fingerprint(work.audio), SIGNAL_FORMAT, *map(fingerprint, work.features), *acoustic, *places),
        audio=work.audio,
        features=work.features,
        keep_audio=work.keep_audio,
        raw=work.raw,
        items=items.combine_chunks(),
        deadline=work.deadline,
        acoustic=bool(acoustic),
    )


def featurize_units(
    work: Work,
    rows: pa.Table,
    features: Sequence[FeatureSpec],
    workers: int,
    *,
    augment: Any = None,
    seed: int = 0,
    copy: int = 0,
    acoustic: bool = False,
) -> list[FeaturizeUnit]:
    """Units over prepared audio, balanced by its length."""
    if not len(rows):
        return []
    samples = np.asarray(rows.column("prepared_samples").to_numpy(), np.int64)
    target = min(work.audio.sample_rate * 3600, int(samples.sum()) // (4 * workers) + 1)
    unit_of = np.cumsum(samples) // target + np.arange(len(samples)) // UNIT_ITEMS
    bounds = np.flatnonzero(np.diff(unit_of)) + 1
    names = [feature_spec_key(work.audio, spec, augment, seed, copy) for spec in features]
    names += ["acoustic"] if acoustic else []
    return [
        FeaturizeUnit(
            store=work.store,
            dataset=work.dataset,
            unit=digest(*names, *rows.column("audio_key").take(pa.array(part)).to_pylist()),
            audio=work.audio,
            features=tuple(features),
            items=rows.take(pa.array(part)).combine_chunks(),
            augment=augment,
            seed=seed,
            copy=copy,
            deadline=work.deadline,
            acoustic=acoustic,
        )
        for part in np.split(np.arange(len(rows)), bounds)
    ]
