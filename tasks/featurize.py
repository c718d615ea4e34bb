"""Features of prepared audio that is already in the store: another feature was asked for, or augmented copies."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import AudioError
from sorigil.types import Report
from storage import parts
from tasks.breadcrumb import Breadcrumb
from tasks.unit_output import Output, unexpected
from tasks.units import FeaturizeUnit


def featurize_unit(unit: FeaturizeUnit) -> Report:
    """Compute features from prepared audio that is in the store, of each item or of an augmented copy of it."""
    reader = parts.PartReader(unit.store, ("audio", "num_samples"), cache_bytes=64 << 20)
    with Breadcrumb(unit.unit, unit.deadline) as breadcrumb, Output(unit) as output:
        for item in unit.items.to_pylist():
            breadcrumb.drop(item["key"], 2 * item["prepared_samples"])
            _item(unit, item, reader, output)
        return output.finish()


def _item(unit: FeaturizeUnit, item: dict[str, Any], reader: parts.PartReader, output: Output) -> None:
    from sorigil.features import compute

    rate = unit.audio.sample_rate
    clock = time.perf_counter()
    samples = _stored(reader, item)
    clock = output.time("read", clock)
    try:
        features = compute(unit.features, _changed(unit, samples, item["key"]), rate)
    except Exception as error:
        wrong = error if isinstance(error, AudioError) else unexpected(error, item["key"])
        nameless = {"id": item["key"], "place": None, "uri": None, "stamp": None}
        output.reject({**item, **nameless}, None, "features", wrong)
        return
    output.time("features", clock)
    row = {"key": item["key"], "audio_key": item["audio_key"]}
    for number, matrix_TF in enumerate(features):
        output.write_feature(row, number, [matrix_TF])
    output.keep(row, len(samples) / rate, len(samples))


def _stored(reader: parts.PartReader, item: dict[str, Any]) -> NDArray[np.float32]:
    from sorigil.audio.prepare import decode_flac, to_float

    flacs = reader.flacs(item["audio_part"], item["audio_row"], item["prepared_samples"])
    return to_float(np.concatenate([decode_flac(flac) for flac in flacs]))


def _changed(unit: FeaturizeUnit, samples: NDArray[np.float32], key: str) -> NDArray[np.float32]:
    if unit.augment is None:
        return samples
    from sorigil.audio.augment import augment, rng_for

    return augment(samples, unit.audio.sample_rate, unit.augment, rng_for(unit.seed, 0, key, unit.copy))
