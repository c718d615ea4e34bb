"""Exports to Lhotse, Kaldi and NeMo, read back by our own importers: the same ids, words, stretches and samples."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from conftest import World
from export_world import SPANS, exported, fill, original, read_back, said, same_sound

from sorigil.errors import RequestError
from storage.sources import KaldiSource, LhotseSource, NemoSource, scan

SOURCES = {"lhotse": LhotseSource, "kaldi": KaldiSource, "nemo": NemoSource}


@pytest.mark.parametrize("audio", ["flac", "wav", "source"])
@pytest.mark.parametrize("format", SOURCES)
def test_what_is_exported_is_read_back(world: World, tmp_path: Path, format: str, audio: str) -> None:
    fill(world)
    found = exported(world, tmp_path / "out", format, audio)
    assert (
        found["rows"] == 5
        and found["splits"]["train"]["rows"] == 2
        and set(found["splits"]) == {"train", "dev", "test"}
    )
    source = SOURCES[format](uri=str(tmp_path / "out"))
    rows = read_back(source)
    assert said(rows) == original(world)
    if format != "kaldi":
        assert json.loads(rows["kim-1"]["extras"]) == {"note": {"mic": 2}}
        assert [row["extras"] for name, row in rows.items() if name != "kim-1"] == [None] * 4
    if audio != "source":
        same_sound(world, source.base, rows)
        assert {Path(row["uri"]).suffix for row in rows.values()} == {f".{audio}"}


@pytest.mark.parametrize("format", SOURCES)
def test_audio_that_stays_in_the_source_is_the_same_stretch_to_the_sample(
    world: World, tmp_path: Path, format: str
) -> None:
    """The version that is made of the export has the same keys: the same bytes, start, length and channel."""
    fill(world, **({"mix": {"channel": 1}} if format != "kaldi" else {}))
    exported(world, tmp_path / "out", format, "source")
    other = World(tmp_path / "other")
    source = SOURCES[format](uri=str(tmp_path / "out"))
    other.items = lambda: scan(source)  # type: ignore[method-assign]
    other.run(base_uri=source.base)
    assert {name: row["key"] for name, row in other.kept().items()} == {
        name: row["key"] for name, row in world.kept().items()
    }
    assert other.texts() == world.texts()


def test_a_span_is_a_span_in_every_format(world: World, tmp_path: Path) -> None:
    fill(world)
    for format, source in SOURCES.items():
        exported(world, tmp_path / format, format, "source")
        row = read_back(source(uri=str(tmp_path / format)))["lee-2"]
        uri, start, seconds, channel = (row[name] for name in SPANS)
        assert (uri, channel) == (str(world.source / "long.wav"), None)
        assert (start, seconds) == pytest.approx((0.35, 0.55), abs=1e-9)


def test_rows_in_no_split_are_called_all(world: World, tmp_path: Path) -> None:
    world.add("a", text="one")
    world.run()
    for format, source in SOURCES.items():
        found = exported(world, tmp_path / format, format, "flac")
        assert list(found["splits"]) == ["all"]
        assert read_back(source(uri=str(tmp_path / format)))["a"]["split"] is None


def test_one_split_alone(world: World, tmp_path: Path) -> None:
    fill(world)
    found = exported(world, tmp_path / "out", "nemo", "source", split="test")
    assert (found["rows"], list(found["splits"])) == (2, ["test"])
    assert sorted(read_back(NemoSource(uri=str(tmp_path / "out")))) == ["lee-1", "lee-2"]
    with pytest.raises(RequestError, match="no utterance in the split tset; its splits are: dev, test, train"):
        exported(world, tmp_path / "other", "nemo", "source", split="tset")


def validate(folder: Path) -> dict[str, dict[str, str]]:
    """A data folder by the rules of Kaldi's validate_data_dir.sh (with --no-spk-sort); its tables."""
    tables = {}
    for path in folder.iterdir():
        text = path.read_bytes()
        assert text.endswith(b"\n"), path
        pairs = [line.split(b" ", 1) for line in text[:-1].split(b"\n")]
        names = [name for name, _ in pairs]
        assert names == sorted(set(names)), f"{path} is not sorted as LC_ALL=C sort does, or names a thing twice"
        tables[path.name] = {name.decode(): value.decode() for name, value in pairs}
    assert {"wav.scp", "text", "utt2spk", "spk2utt", "utt2dur"} <= set(tables)
    names = set(tables["utt2spk"])
    for table in ("text", "utt2dur", "utt2lang", "segments"):
        assert table not in tables or set(tables[table]) == names, table
    back = {name: speaker for speaker, each in tables["spk2utt"].items() for name in each.split()}
    assert back == tables["utt2spk"] and all(len(value.split()) == 1 for value in back.values())
    assert all(float(value) > 0 for value in tables["utt2dur"].values())
    recordings = set(tables["wav.scp"])
    if "segments" in tables:
        fields = [value.split() for value in tables["segments"].values()]
        assert all(len(each) == 3 and float(each[2]) > float(each[1]) for each in fields)
        assert {each[0] for each in fields} == recordings
    else:
        assert recordings == names
    assert all(Path(value).is_file() for value in tables["wav.scp"].values())
    return tables


@pytest.mark.parametrize("audio", ["wav", "source"])
def test_a_kaldi_folder_is_what_kaldis_own_check_asks_for(world: World, tmp_path: Path, audio: str) -> None:
    odd = {"id": "kim 3", "text": "a\nb\u00a0c  d", "speaker": "Kim Lee", "lang": "ko"}
    fill(world, **{"kim-2": odd, "mix": {"id": "Zoe"}})
    found = exported(world, tmp_path / "out", "kaldi", audio)
    train, dev, test = (validate(tmp_path / "out" / split) for split in ("train", "dev", "test"))
    assert list(train["text"]) == ["Zoe", "kim-1"]
    assert dev["text"] == {"kim%203": "a b c  d"} and dev["utt2spk"] == {"kim%203": "Kim%20Lee"}
    assert train["utt2spk"]["Zoe"] == "Zoe" and train["utt2label"] == {"kim-1": "예"}
    assert train["utt2lang"] == {"Zoe": "und", "kim-1": "ko"} and "utt2lang" not in test
    assert [note for note in found["notes"] if "not sorted by speaker" not in note] == [
        "1 ids are written as in an address (%20), because they or others hold white space",
        "1 speakers are written as in an address (%20), because they or others hold white space",
        "1 times text holds a line break or unusual white space: a blank stands for it",
        "1 utterances have extras, for which Kaldi has no file",
    ]


def test_kaldi_says_where_speakers_are_no_prefixes(world: World, tmp_path: Path) -> None:
    world.add("a", speaker="z", split="train", text="a")
    world.add("b", speaker="y", split="train", text="b")
    world.run()
    (note,) = exported(world, tmp_path / "out", "kaldi", "wav")["notes"]
    assert note.startswith("train: speakers are no prefixes of ids")


def test_kaldi_takes_no_channel_and_says_what_is_no_wav(world: World, tmp_path: Path) -> None:
    fill(world, mix={"channel": 1})
    with pytest.raises(RequestError, match="takes one channel of a file only by a command; export with --audio wav"):
        exported(world, tmp_path / "out", "kaldi", "source")
    assert not (tmp_path / "out").exists()


def test_recordings_of_lhotse_have_their_full_length(world: World, tmp_path: Path) -> None:
    fill(world)
    exported(world, tmp_path / "out", "lhotse", "source")
    found = set()
    for split in ("test", "train"):
        for line in gzip.decompress((tmp_path / f"out/recordings_{split}.jsonl.gz").read_bytes()).splitlines():
            row = json.loads(line)
            found.add((Path(row["id"]).name, row["num_samples"], len(row["channel_ids"])))
    assert found == {("long.wav", 8000, 1), ("stereo.wav", 2400, 2), ("kim-1.wav", 2400, 1)}
