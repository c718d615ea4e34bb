"""Features of prepared audio that is already in the store: another feature was asked for, or augmented copies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import AudioError
from sorigil.types import Report
from storage import parts, rooms
from storage.streams import Spool
from tasks.breadcrumb import Breadcrumb
from tasks.unit_output import Output, unexpected
from tasks.units import FeaturizeUnit

Floats = NDArray[np.float32]
LONG_SECONDS = 900.0  # of audio; augmented copies are made of the whole whatever its length


def featurize_unit(unit: FeaturizeUnit) -> Report:
    """Compute features from prepared audio that is in the store, of each item or of an augmented copy of it."""
    reader = parts.PartReader(unit.store, ("audio", "num_samples"), cache_bytes=64 << 20)
    heard_in = rooms.read(unit.augment, unit.audio.sample_rate)
    with Breadcrumb(unit.unit, unit.deadline) as breadcrumb, Output(unit) as output:
        for item in unit.items.to_pylist():
            breadcrumb.drop(item["key"], 2 * item["prepared_samples"])
            _item(unit, item, reader, output, heard_in)
        return output.finish()


def _item(
    unit: FeaturizeUnit, item: dict[str, Any], reader: parts.PartReader, output: Output, heard_in: tuple[Floats, ...]
) -> None:
    row = {"key": item["key"], "audio_key": item["audio_key"]}
    seconds = item["prepared_samples"] / unit.audio.sample_rate
    try:
        output.listen(row, _stored(reader, item))
        if not unit.features:
            samples = int(item["prepared_samples"])
        elif seconds > LONG_SECONDS and unit.augment is None:
            samples = _long(unit, item, row, reader, output)
        else:
            samples = _short(unit, item, row, reader, output, heard_in)
    except OSError:
        raise  # of the store's disk: no verdict on the item
    except Exception as error:
        wrong = error if isinstance(error, AudioError) else unexpected(error, item["key"])
        nameless = {"id": item["key"], "place": None, "uri": None, "stamp": None}
        output.reject({**item, **nameless}, None, "features", wrong)
        return
    output.keep(row, samples / unit.audio.sample_rate, samples)


def _short(
    unit: FeaturizeUnit,
    item: dict[str, Any],
    row: dict[str, Any],
    reader: parts.PartReader,
    output: Output,
    heard_in: tuple[Floats, ...],
) -> int:
    """Write the item's features into the parts; returns the length of its audio in samples."""
    from sorigil.features import compute

    clock = time.perf_counter()
    samples = np.concatenate(list(_stored(reader, item)))
    clock = output.time("read", clock)
    features = compute(unit.features, _changed(unit, samples, item["key"], heard_in), unit.audio.sample_rate)
    output.time("features", clock)
    for number, matrix_TF in enumerate(features):
        output.write_feature(row, number, [matrix_TF])
    return len(samples)


def _long(
    unit: FeaturizeUnit, item: dict[str, Any], row: dict[str, Any], reader: parts.PartReader, output: Output
) -> int:
    """The same, a piece of the audio at a time."""
    from sorigil.features.long import compute_long

    clock = time.perf_counter()
    features = compute_long(
        unit.features, _stored(reader, item), unit.audio.sample_rate, lambda width: Spool(width=width)
    )
    for number, blocks in features:
        clock = output.time("features", clock)
        output.write_feature(row, number, blocks)
        clock = time.perf_counter()
    return int(item["prepared_samples"])


def _stored(reader: parts.PartReader, item: dict[str, Any]) -> Iterator[NDArray[np.float32]]:
    """The item's prepared audio, in the pieces in which it is stored."""
    from sorigil.audio.prepare import decode_flac, to_float

    for flac in reader.flacs(item["audio_part"], item["audio_row"], item["prepared_samples"]):
        yield to_float(decode_flac(flac))


def _changed(unit: FeaturizeUnit, samples: Floats, key: str, heard_in: tuple[Floats, ...]) -> Floats:
    if unit.augment is None:
        return samples
    from sorigil.audio.augment import augment, rng_for

    return augment(samples, unit.audio.sample_rate, unit.augment, rng_for(unit.seed, 0, key, unit.copy), heard_in)
