"""Parts: what goes in comes out, in any Parquet reader, under the conventions that others read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.prepare import decode_flac, encode_flac
from sorigil.audio.spec import AudioSpec
from sorigil.features import LogMel, Spectrogram
from sorigil.fingerprint import to_dict
from sorigil.types import Part
from storage import part_writers, parts
from storage.layout import Store
from storage.part_writers import CHUNK_FRAMES, AudioWriter, FeatureWriter, chunked
from storage.parts import PartReader


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=str(tmp_path), catalog="", mlflow="")


def pcm(seed: int, length: int = 800) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(seed).integers(-(2**15), 2**15, length).astype(np.int16)


def matrices(*lengths: int, dim: int = 5, seed: int = 0) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((length, dim)) * 50).astype(np.float32) for length in lengths]


@dataclass
class Written:
    part: Part
    rows: list[int]
    num_frames: list[int]


def write(store: Store, features: list[Any], dtype: str = "float32", uri: str = "f.parquet") -> Written:
    writer = FeatureWriter(store, uri, to_dict(LogMel()), "print", dtype)
    places = [writer.add(f"key{index}", [matrix]) for index, matrix in enumerate(features)]
    return Written(writer.commit(123), [row for row, _ in places], [frames for _, frames in places])


def write_audio(
    store: Store, uri: str, spec: Any, sounds: dict[str, list[np.ndarray[Any, np.dtype[np.int16]]]]
) -> Part:
    """Each sound in the pieces given."""
    writer = AudioWriter(store, uri, spec, "print", 16000)
    for key, pieces in sounds.items():
        writer.add(key, [(encode_flac(piece, 16000), len(piece)) for piece in pieces])
    return writer.commit(sum(len(piece) for pieces in sounds.values() for piece in pieces))


def read(store: Store, found: Written, index: int, reader: PartReader | None = None) -> Any:
    """As anybody would who knows docs/data-format.md."""
    reader = reader or PartReader(store, ("key", "chunk", "num_frames", "dim", "values"))
    count = max(1, -(-found.num_frames[index] // CHUNK_FRAMES))
    rows = reader.rows(found.part.uri, found.rows[index], count)
    assert [row["chunk"].as_py() for row in rows] == list(range(count))
    assert {row["key"].as_py() for row in rows} == {f"key{index}"}
    return np.concatenate(
        [row["values"].values.to_numpy().reshape(row["num_frames"].as_py(), row["dim"].as_py()) for row in rows]
    )


# -- audio -----------------------------------------------------------------------------------------------------------------


def test_audio_comes_back_and_the_part_tells_what_it_is(store: Store) -> None:
    sounds = [pcm(1, 100), pcm(2, 5000), pcm(3, 1)]
    spec = to_dict(AudioSpec())
    part = write_audio(store, "a/b.parquet", spec, {name: [sound] for name, sound in zip("xyz", sounds, strict=True)})
    path = Path(store.path("a/b.parquet"))
    assert (part.stage, part.fingerprint, part.uri, part.rows, part.samples) == (
        "audio",
        "print",
        "a/b.parquet",
        3,
        5101,
    )
    assert part.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    table = pq.read_table(path)
    assert table.column_names == ["key", "audio", "sample_rate", "num_samples", "chunk"]
    for row, sound in zip(table.to_pylist(), sounds, strict=True):
        assert np.array_equal(decode_flac(row["audio"]["bytes"]), sound)
        assert (row["sample_rate"], row["num_samples"], row["audio"]["path"]) == (
            16000,
            len(sound),
            f"{row['key']}.flac",
        )
    metadata = table.schema.metadata
    assert json.loads(metadata[b"sorigil.spec"]) == spec and metadata[b"sorigil.format"] == b"1"


def test_audio_follows_the_convention_of_hugging_face(store: Store) -> None:
    """`datasets` is not installed here; this is what `Features.from_arrow_schema` looks at."""
    write_audio(store, "a", {}, {"x": [pcm(1)]})
    schema = pq.read_schema(store.path("a"))
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features == {"audio": {"_type": "Audio"}}
    audio = schema.field("audio").type
    assert {audio.field(index).name: str(audio.field(index).type) for index in range(audio.num_fields)} == {
        "bytes": "binary", "path": "string",
    }  # fmt: skip


def test_audio_row_groups_are_small_enough_to_shuffle(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_writers, "ROW_GROUP_BYTES", 10_000)
    sounds = [pcm(seed, 2000) for seed in range(10)]  # noise: FLAC cannot make it smaller, about 4 kB each
    write_audio(store, "a", {}, {str(seed): [sound] for seed, sound in enumerate(sounds)})
    assert pq.ParquetFile(store.path("a")).metadata.num_row_groups == 5
    reader = PartReader(store, ("key", "audio"))
    for index in (9, 0, 4, 5, 9):
        (row,) = reader.rows("a", index)
        assert row["key"].as_py() == str(index)
        assert np.array_equal(decode_flac(row["audio"]["bytes"].as_py()), sounds[index])
    assert [reader.group_of("a", row) for row in range(10)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_long_sound_in_pieces_is_joined_by_the_reader(store: Store) -> None:
    pieces = [pcm(seed, length) for seed, length in enumerate((500, 500, 20))]
    part = write_audio(store, "a", {}, {"short": [pcm(9, 30)], "long": pieces, "next": [pcm(8, 40)]})
    assert (part.rows, part.samples) == (5, 1090)
    table = pq.read_table(store.path("a"))
    assert table.column("chunk").to_pylist() == [0, 0, 1, 2, 0]
    assert [row["path"] for row in table.column("audio").to_pylist()][1:4] == [
        "long.flac",
        "long.1.flac",
        "long.2.flac",
    ]
    reader = PartReader(store, ("audio", "num_samples"))
    again = [decode_flac(flac) for flac in reader.flacs("a", 1, 1020)]
    assert np.array_equal(np.concatenate(again), np.concatenate(pieces))
    assert [len(decode_flac(flac)) for flac in reader.flacs("a", 4, 40)] == [40]


# -- parts that are not finished -------------------------------------------------------------------------------------------


def test_an_abandoned_part_leaves_no_file_and_an_unfinished_one_is_not_seen(store: Store) -> None:
    writer = FeatureWriter(store, "p/f.parquet", {}, "print", "float32")
    writer.abandon()  # before the first row
    writer.add("a", matrices(CHUNK_FRAMES * 60, dim=5))  # several row groups: the file is there, under another name
    folder = Path(store.path("p"))
    assert [path.name[:11] for path in folder.iterdir()] == [".f.parquet."]
    writer.abandon()
    assert list(folder.iterdir()) == []


def test_abandoning_a_finished_part_does_it_no_harm(store: Store) -> None:
    writer = FeatureWriter(store, "p/f.parquet", {}, "print", "float32")
    writer.add("a", matrices(3))
    writer.commit(1)
    writer.abandon()
    assert [path.name for path in Path(store.path("p")).iterdir()] == ["f.parquet"]


# -- features --------------------------------------------------------------------------------------------------------------


_lengths = st.sampled_from([1, 2, CHUNK_FRAMES - 1, CHUNK_FRAMES, CHUNK_FRAMES + 1, 2 * CHUNK_FRAMES + 7])


@given(
    lengths=st.lists(_lengths, min_size=1, max_size=5),
    dim=st.integers(1, 3),
    dtype=st.sampled_from(["float16", "float32"]),
)
@settings(max_examples=25)
def test_features_come_back_from_their_chunks(
    lengths: list[int], dim: int, dtype: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(root=str(tmp_path_factory.mktemp("parts")), catalog="", mlflow="")
    features = matrices(*lengths, dim=dim)
    found = write(store, features, dtype)
    assert found.num_frames == lengths
    assert found.part.rows == sum(-(-length // CHUNK_FRAMES) for length in lengths)
    for index, matrix in enumerate(features):
        again = read(store, found, index)
        assert again.dtype == dtype and np.array_equal(again, matrix.astype(dtype))


def test_the_feature_part_tells_what_it_is_to_plain_pyarrow(store: Store) -> None:
    found = write(store, matrices(3, CHUNK_FRAMES + 1), "float16")
    path = Path(store.path(found.part.uri))
    part = found.part
    assert (part.stage, part.fingerprint, part.samples) == ("features", "print", 123)
    assert part.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    table = pq.read_table(path)
    assert table.column_names == ["key", "chunk", "num_frames", "dim", "values"]
    assert [str(field.type) for field in table.schema][:4] == ["string", "int32", "int32", "int32"]
    assert str(table.schema.field("values").type.value_type) == "halffloat"
    assert table.column("num_frames").to_pylist() == [3, CHUNK_FRAMES, 1]
    assert [len(values) for values in table.column("values").to_pylist()] == [15, CHUNK_FRAMES * 5, 5]
    assert json.loads(table.schema.metadata[b"sorigil.spec"]) == to_dict(LogMel())


def test_features_are_stored_as_measured_best(store: Store) -> None:
    """Byte-stream split, no dictionary, zstd: a quarter smaller than the defaults (design/libraries.md)."""
    found = write(store, matrices(1000, dim=80), "float16")
    metadata = pq.ParquetFile(store.path(found.part.uri)).metadata
    column = metadata.row_group(0).column(4)
    assert column.path_in_schema == "values.list.element" and column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings and not column.has_dictionary_page


def test_feature_row_groups_are_small_and_chunks_may_cross_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_writers, "ROW_GROUP_BYTES", 1)
    features = matrices(10, 3 * CHUNK_FRAMES, 20)
    found = write(store, features)
    assert pq.ParquetFile(store.path(found.part.uri)).metadata.num_row_groups == 5
    reader = PartReader(store, ("key", "chunk", "num_frames", "dim", "values"))
    for index in (2, 0, 1):
        assert np.array_equal(read(store, found, index, reader), features[index])


@given(cuts=st.lists(st.integers(0, 3 * CHUNK_FRAMES), max_size=6))
@settings(max_examples=15)
def test_a_matrix_may_come_in_blocks_of_any_length(cuts: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store(root=str(tmp_path_factory.mktemp("parts")), catalog="", mlflow="")
    (matrix,) = matrices(3 * CHUNK_FRAMES, dim=1)
    (whole,) = write(store, [matrix]).rows
    writer = FeatureWriter(store, "blocks", {}, "print", "float32")
    row, frames = writer.add("key0", np.split(matrix, sorted(cuts)))
    found = Written(writer.commit(123), [row], [frames])
    assert whole == row and found.part.rows == 3 and np.array_equal(read(store, found, 0), matrix)


def test_an_item_without_a_frame_keeps_its_place(store: Store) -> None:
    found = write(store, [np.zeros((0, 5), np.float32), *matrices(4)])
    assert found.rows == [0, 1] and found.num_frames == [0, 4]
    assert read(store, found, 0).shape == (0, 5) and read(store, found, 1).shape == (4, 5)


def test_spectrograms_keep_values_beyond_what_float16_holds(store: Store) -> None:
    large = np.full((2, 5), 1e6, np.float32)
    assert Spectrogram.dtype == "float32"
    found = write(store, [large], Spectrogram.dtype)
    assert np.array_equal(read(store, found, 0), large)


# -- the reader's cache -----------------------------------------------------------------------------------------------------


def test_the_reader_holds_no_more_than_it_may_and_reads_a_group_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_writers, "ROW_GROUP_BYTES", 1)
    features = matrices(*[100] * 6)
    found = write(store, features)
    read_groups = []
    real = pq.ParquetFile.read_row_group

    def counting(self: Any, group: int, **named: Any) -> Any:
        read_groups.append(group)
        return real(self, group, **named)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    wide = PartReader(store, ("values", "key"))
    for row in (0, 1, 0, 1):
        wide.rows(found.part.uri, row)
    assert read_groups == [0, 1]
    narrow = PartReader(store, ("values", "key"), cache_bytes=4500)  # two groups of 2 kB
    for row in (0, 1, 2, 1, 2, 0):
        narrow.rows(found.part.uri, row)
    assert read_groups[2:] == [0, 1, 2, 0]
    assert narrow._held <= 4500 and narrow._held == sum(group.nbytes for group in narrow._groups.values())


def test_one_reader_for_several_parts(store: Store) -> None:
    one, other = matrices(3, 4), matrices(5, 6, seed=1)
    first, second = write(store, one, uri="1.parquet"), write(store, other, uri="2.parquet")
    reader = PartReader(store, ("key", "chunk", "num_frames", "dim", "values"))
    for index in (0, 1):
        assert np.array_equal(read(store, first, index, reader), one[index])
        assert np.array_equal(read(store, second, index, reader), other[index])


def test_a_part_behind_a_url() -> None:
    store = Store(root="memory://parts-test", catalog="", mlflow="")
    features = matrices(3, 4)
    found = write(store, features)
    assert np.array_equal(read(store, found, 1), features[1])
    assert parts.read_table(store.path(found.part.uri), ["key"]).num_rows == 2


@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=8), size=st.integers(1, 20))
def test_chunks_hold_the_same_rows_and_all_but_the_last_are_full(lengths: list[int], size: int) -> None:
    rows = np.arange(sum(lengths))
    blocks = np.split(rows, np.cumsum(lengths)[:-1])
    found = list(chunked(blocks, size))
    assert np.array_equal(np.concatenate(found), rows)
    assert all(len(chunk) == size for chunk in found[:-1]) and (len(found[-1]) <= size)
    assert len(found) == max(1, -(-len(rows) // size))
