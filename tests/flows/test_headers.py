"""What `versions show` says of headers that promise another length than was decoded."""

from __future__ import annotations

import io

import pyarrow as pa
import soundfile
from conftest import RATE, World, tone

from flows.headers import HEADER_COLUMNS, header_differences


def test_another_length_than_the_header_says(world: World) -> None:
    world.add("exact")
    mp3 = io.BytesIO()
    soundfile.write(mp3, tone(1), RATE, format="MP3")
    world.add_bytes("lossy", mp3.getvalue())
    short = io.BytesIO()
    soundfile.write(short, tone(2), RATE, format="WAV", subtype="PCM_16")
    world.add_bytes("short", short.getvalue()[:-80])  # 40 samples, 5 ms
    world.run()
    kept = world.kept()
    assert kept["exact"]["header_samples"] == kept["exact"]["num_samples"] == 2400
    assert (kept["short"]["header_samples"], kept["short"]["num_samples"]) == (2400, 2360)
    lossy = abs(kept["lossy"]["header_samples"] - kept["lossy"]["num_samples"]) / RATE
    rows = world.catalog.read(world.catalog.version(world.dataset), "utterances", HEADER_COLUMNS)
    expected = {"recordings": 2 if lossy else 1, "seconds": max(lossy, 40 / RATE)}
    assert header_differences(rows) == expected


def test_spans_are_not_compared_and_nothing_is_nothing() -> None:
    row = {"piece": None, "num_samples": 10, "sample_rate": 8000, "header_samples": 99}
    rows = [{**row, "place": "a.wav\x1f1.5\x1f\x1f"}, {**row, "place": "b.wav\x1f\x1f2.0\x1f0"}]
    whole = [{**row, "place": "c.wav\x1f\x1f\x1f1"}, {**row, "place": "d.wav\x1f\x1f\x1f", "header_samples": None}]
    schema = {"place": pa.string(), "piece": pa.string()} | dict.fromkeys(HEADER_COLUMNS[2:], pa.int64())
    table = pa.Table.from_pylist([*rows, *whole], schema=pa.schema(schema))
    assert header_differences(table) == {"recordings": 1, "seconds": 89 / 8000}
    assert header_differences(table.slice(0, 0)) == {"recordings": 0, "seconds": 0.0}
