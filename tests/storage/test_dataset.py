"""A version as others read it: a row per utterance, and random access to what is stored of it."""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np
import pytest
import soxr
from conftest import LOG_MEL, RATE, World, tone

from sorigil.audio.prepare import to_float
from sorigil.audio.spec import AudioSpec, NoNormalize
from sorigil.features import LogMel, compute
from storage import part_writers, parts
from storage.dataset import StoredRows, open_dataset
from tasks.units import feature_spec_key

PLAIN = AudioSpec(sample_rate=RATE, normalize=NoNormalize())


@pytest.fixture
def made(world: World) -> World:
    world.settings = {"audio": PLAIN}
    world.add("c", 1, text="see", label="x", speaker="s1", split="train", lang="en", note="extra")
    world.add("a", 2, label="y", seconds=0.5)
    world.add("b", 3, text="bee")
    world.run()
    return world


def opened(world: World, feature: Any = None) -> Any:
    version = world.catalog.version("tiny")
    assert version is not None
    return open_dataset(world.catalog, version, feature_spec_key(PLAIN, feature) if feature else None)


def test_one_row_per_utterance_ordered_by_id_with_its_words(made: World) -> None:
    rows = opened(made).to_pylist()
    assert [(row["id"], row["reference"], row["label"]) for row in rows] == [
        ("a", None, "y"), ("b", "bee", None), ("c", "see", "x"),
    ]  # fmt: skip
    last = rows[-1]
    assert (last["speaker"], last["split"], last["lang"], last["extras"]) == ("s1", "train", "en", '{"note": "extra"}')
    assert "feature_part" not in rows[0]


def test_features_and_audio_of_each_row_are_its_own(made: World) -> None:
    table = opened(made, LOG_MEL)
    features, audio = StoredRows(made.store, table), StoredRows(made.store, table, audio=True)
    assert features.keys == audio.keys == table.column("key").to_pylist()
    assert np.allclose(features.seconds, [0.5, 0.3, 0.3])
    for index, (seed, seconds) in enumerate(((2, 0.5), (3, 0.3), (1, 0.3))):
        pcm = np.round(tone(seed, seconds).astype(np.float64) * 32767).astype(np.int16)
        assert np.abs(audio.samples(index) - to_float(pcm)).max() < 2 / 32768
        (expected,) = compute([LOG_MEL], audio.samples(index), RATE)
        assert np.array_equal(features.features(index), expected.astype(np.float16).astype(np.float32))
    assert audio.flac(0)[:4] == b"fLaC"


def test_rows_without_the_feature_have_nulls(made: World) -> None:
    other = LogMel(n_mels=12)
    assert opened(made, other).column("feature_part").null_count == 3
    made.add("d", 9)
    made.run(features=(LOG_MEL, other))
    table = opened(made, other)
    assert table.column("feature_part").null_count == 0
    assert StoredRows(made.store, table).features(3).shape == (16, 12)


def test_rows_can_be_heard_at_another_rate(made: World) -> None:
    rows = StoredRows(made.store, opened(made), audio=True)
    low = rows.heard_at(RATE // 2)
    for each in (low, pickle.loads(pickle.dumps(low))):
        assert np.array_equal(each.samples(1), soxr.resample(rows.samples(1), RATE, RATE // 2, quality="HQ"))
    assert np.array_equal(rows.heard_at(RATE).samples(1), rows.samples(1))
    assert len(rows.samples(1)) == rows.seconds[1] * RATE, "itself it is as it was"


def test_a_loader_process_reads_the_same(made: World) -> None:
    table = opened(made, LOG_MEL)
    for audio in (False, True):
        rows = StoredRows(made.store, table, audio=audio)
        copy = pickle.loads(pickle.dumps(rows))
        assert copy.keys == rows.keys and np.array_equal(copy.groups, rows.groups)
        read = (lambda one: one.samples(1)) if audio else (lambda one: one.features(1))
        assert np.array_equal(read(rows), read(copy))


def test_groups_tell_which_rows_lie_together(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def groups(**options: Any) -> tuple[list[int], list[str]]:
        made.run(**options)
        table = opened(made, options["features"][0])
        found = StoredRows(made.store, table).groups
        assert found is not None
        return found.tolist(), table.column("feature_part").to_pylist()

    for seed, name in enumerate("defghijk", start=11):
        made.add(name, seed)
    together, part_of = groups(features=(LOG_MEL,))
    assert 1 < len(set(part_of)) < 11, "some share a part"
    assert [one == other for one in together for other in together] == [
        one == other for one in part_of for other in part_of
    ]
    monkeypatch.setattr(part_writers, "ROW_GROUP_BYTES", 1)
    apart, _ = groups(features=(LogMel(n_mels=12),))
    assert len(set(apart)) == 11


def test_chunks_of_another_length_than_todays_are_read(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = StoredRows(made.store, opened(made, LOG_MEL)).features(1)
    with monkeypatch.context() as patched:
        patched.setattr(part_writers, "CHUNK_FRAMES", 7)
        made.sound("b.wav", 3)
        os.utime(made.source / "b.wav", ns=(1, 1))
        made.run(features=(LOG_MEL, LogMel(n_mels=12)))
    table = opened(made, LogMel(n_mels=12))
    chunks = parts.read_table(made.store.path(table.column("feature_part")[1].as_py())).column("num_frames").to_pylist()
    assert max(chunks) == 7 and len(chunks) > 1
    rows = StoredRows(made.store, table)
    assert [len(rows.features(index)) for index in range(3)] == table.column("num_frames").to_pylist()
    assert np.array_equal(StoredRows(made.store, opened(made, LOG_MEL)).features(1), before)
