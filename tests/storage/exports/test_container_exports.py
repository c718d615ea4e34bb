"""Exports that hold the audio themselves, to Hugging Face's Parquet and WebDataset's tar, read back by our importers."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import World
from export_world import exported, fill, original, prepared, read_back, said, same_sound

from storage.exports import huggingface, webdataset
from storage.sources import HuggingFaceSource, WebDatasetSource, scan

SOURCES = {"huggingface": HuggingFaceSource, "webdataset": WebDatasetSource}
MODULES = {"huggingface": huggingface, "webdataset": webdataset}


@pytest.mark.parametrize("audio", ["flac", "wav"])
@pytest.mark.parametrize("format", SOURCES)
def test_what_is_exported_is_read_back(world: World, tmp_path: Path, format: str, audio: str) -> None:
    fill(world, **{"mix": {"id": "a.b/c.wav"}})
    exported(world, tmp_path / "out", format, audio)
    source = SOURCES[format](uri=str(tmp_path / "out"))
    rows = read_back(source)
    assert said(rows) == original(world)
    assert json.loads(rows["kim-1"]["extras"])["note"] == {"mic": 2}
    same_sound(world, source.base, rows)


@pytest.mark.parametrize("format", SOURCES)
def test_prepared_audio_of_an_export_is_a_dataset_again(world: World, tmp_path: Path, format: str) -> None:
    """The whole road: scan, plan, read in the containers, prepare; the samples are what they were."""
    fill(world)
    exported(world, tmp_path / "out", format, "flac")
    other = World(tmp_path / "other")
    source = SOURCES[format](uri=str(tmp_path / "out"))
    other.items = lambda: scan(source)  # type: ignore[method-assign]
    done = other.run(base_uri=source.base)
    assert done.version.books["kept"]["items"] == 5
    assert {name: pcm.tobytes() for name, pcm in prepared(other).items()} == {
        name: pcm.tobytes() for name, pcm in prepared(world).items()
    }
    assert other.texts() == world.texts() and other.texts(tier="label") == world.texts(tier="label")
    assert other.plan().units == []


@pytest.mark.parametrize("format", SOURCES)
def test_an_export_is_cut_into_shards_that_a_broken_one_keeps(
    world: World, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        world.add(f"u{number}", text=str(number))
    world.run()
    samples = len(prepared(world)["u0"])
    monkeypatch.setattr(MODULES[format], "SHARD_BYTES", 2 * 2 * samples)  # two utterances
    exported(world, tmp_path / "out", format, "flac")
    names = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.suffix in (".tar", ".parquet"))
    assert (
        names
        == {
            "huggingface": [f"all-0000{number}-of-00003.parquet" for number in range(3)],
            "webdataset": [f"all-00000{number}.tar" for number in range(3)],
        }[format]
    )
    assert sorted(read_back(SOURCES[format](uri=str(tmp_path / "out")))) == [f"u{number}" for number in range(6)]


def test_the_same_export_is_the_same_bytes(world: World, tmp_path: Path) -> None:
    fill(world)
    for format, suffix in (("huggingface", "parquet"), ("webdataset", "tar")):
        one, two = tmp_path / f"{format}1", tmp_path / f"{format}2"
        for output in (one, two):
            exported(world, output, format, "flac")
        made = [path.relative_to(one) for path in one.rglob(f"*.{suffix}")]
        assert made and all((one / path).read_bytes() == (two / path).read_bytes() for path in made)


def test_hugging_faces_metadata_says_what_the_columns_are(world: World, tmp_path: Path) -> None:
    fill(world)
    exported(world, tmp_path / "out", "huggingface", "flac")
    names = sorted(path.name for path in (tmp_path / "out/data").iterdir())
    assert names == [f"{split}-00000-of-00001.parquet" for split in ("test", "train", "validation")]
    schema = pq.read_schema(tmp_path / "out/data/validation-00000-of-00001.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    assert features["audio"] == {"sampling_rate": 8000, "_type": "Audio"}


def test_a_sample_of_a_tar_is_files_with_one_name(world: World, tmp_path: Path) -> None:
    fill(world)
    exported(world, tmp_path / "out", "webdataset", "wav")
    with tarfile.open(tmp_path / "out/dev-000000.tar") as tar:
        members = tar.getmembers()
        key = world.kept()["kim-2"]["key"]
        assert [member.name for member in members] == [f"{key}.wav", f"{key}.json", f"{key}.txt"]
        about = tar.extractfile(members[1])
        assert about is not None and json.loads(about.read()) == {
            "id": "kim-2", "text": "three", "speaker": "kim", "split": "dev", "duration": 0.3, "sample_rate": 8000,
        }  # fmt: skip
        assert {(member.mtime, member.uid, member.uname) for member in members} == {(0, 0, "")}
