"""Features of prepared audio that is already in the store: another feature was asked for, or augmented copies."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import AudioError
from sorigil.types import Report
from storage import parts
from tasks.breadcrumb import Breadcrumb
from tasks.unit_output import Output, finish, reject, unexpected, write_features
from tasks.units import FeaturizeUnit


def featurize_unit(unit: FeaturizeUnit) -> Report:
    """Compute features from prepared audio that is in the store, of each item or of an augmented copy of it."""
    from sorigil.audio.prepare import decode_flac, to_float
    from sorigil.features import compute

    output = Output(features=[[] for _ in unit.features])
    reader = parts.PartReader(unit.store, ("audio",), cache_bytes=64 << 20)
    rate = unit.audio.sample_rate
    with Breadcrumb(unit.store, unit.ledger) as breadcrumb:
        for item in unit.items.to_pylist():
            breadcrumb.drop(item["key"])
            clock = time.perf_counter()
            (stored,) = reader.rows(item["audio_part"], item["audio_row"])
            samples = to_float(decode_flac(stored["audio"]["bytes"].as_py()))
            clock = output.time("read", clock)
            try:
                features = compute(unit.features, _changed(unit, samples, item["key"]), rate)
            except Exception as error:
                wrong = error if isinstance(error, AudioError) else unexpected(error, item["key"])
                nameless = {"id": item["key"], "place": None, "uri": None, "stamp": None}
                reject(output, {**item, **nameless}, None, "features", wrong)
                continue
            output.time("features", clock)
            row = {"key": item["key"], "audio_key": item["audio_key"]}
            output.rows.append(row)
            output.kept.append(row)
            output.audio_seconds += len(samples) / rate
            for column, matrix_TF in zip(output.features, features, strict=True):
                column.append(matrix_TF)
    clock = time.perf_counter()
    samples_done = round(output.audio_seconds * rate)
    made = {"augment": unit.augment, "seed": unit.seed, "copy": unit.copy}
    written = (
        write_features(unit, output.kept, output.features, unit.audio, samples_done, **made) if output.kept else []
    )
    return finish(unit, output, written, clock)


def _changed(unit: FeaturizeUnit, samples: NDArray[np.float32], key: str) -> NDArray[np.float32]:
    if unit.augment is None:
        return samples
    from sorigil.audio.augment import augment, rng_for

    return augment(samples, unit.audio.sample_rate, unit.augment, rng_for(unit.seed, 0, key, unit.copy))
