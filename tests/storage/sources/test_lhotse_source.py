"""Lhotse's manifests: which stretch of which file each supervision is, and which cuts cannot be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from sorigil.errors import RequestError
from storage.sources import LhotseSource, scan

Row = dict[str, Any]


def recording(id: str = "r", source: str = "a.wav", channels: int = 1, **more: Any) -> Row:
    there = list(range(channels))
    sources = [{"type": "file", "channels": there, "source": source}]
    return {"id": id, "sources": sources, "sampling_rate": 8000, "num_samples": 80000, "duration": 10.0,
            "channel_ids": there, **more}  # fmt: skip


def supervision(id: str = "u", start: float = 0.0, duration: float = 10.0, **more: Any) -> Row:
    return {"id": id, "recording_id": "r", "start": start, "duration": duration, "channel": 0, **more}


def cut(*supervisions: Row, start: float = 0.0, duration: float = 10.0, **more: Any) -> Row:
    return {"id": "cut", "start": start, "duration": duration, "channel": 0, "supervisions": list(supervisions),
            "recording": recording(), "type": "MonoCut", **more}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"audio")
    return tmp_path


def write(path: Path, *lines: Row | str) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def rows(path: Path, **options: Any) -> list[Row]:
    found: list[Row] = scan(LhotseSource(uri=str(path), **options)).to_pylist()
    return found


def one(folder: Path, row: Row) -> Row:
    (found,) = rows(write(folder / "cuts.jsonl", row))
    return found


def test_a_supervision_is_an_utterance_with_all_that_is_said_of_it(folder: Path) -> None:
    said = supervision(
        text="하나", speaker="kim", language="ko", gender="F", custom={"label": "yes", "split": "dev", "snr": 3}
    )
    row = one(folder, cut(said))
    assert [row[name] for name in ("id", "uri", "text", "label", "speaker", "lang", "split", "problem")] == [
        "u", "a.wav", "하나", "yes", "kim", "ko", "dev", None,
    ]  # fmt: skip
    assert json.loads(row["extras"]) == {"gender": "F", "snr": 3}
    assert row["start"] is row["seconds"] is row["channel"] is None


@pytest.mark.parametrize(
    ("made", "span"),
    [
        (cut(supervision(duration=10.0)), (None, None)),
        (cut(supervision(duration=0.75), start=2.5, duration=0.75), (2.5, 0.75)),
        (cut(supervision(start=1.0, duration=2.0), start=2.5, duration=5.0), (3.5, 2.0)),
        (cut(supervision(start=-1.0, duration=2.0), start=0.5, duration=5.0), (0.0, 2.0)),
        (cut(start=2.0, duration=3.0), (2.0, 3.0)),
        (cut(), (None, None)),
    ],
)
def test_a_supervision_starts_where_its_cut_does(folder: Path, made: Row, span: tuple[Any, Any]) -> None:
    row = one(folder, made)
    assert (row["start"], row["seconds"], row["problem"]) == (*span, None)


def test_a_cut_with_several_supervisions_is_as_many_utterances(folder: Path) -> None:
    found = rows(write(folder / "cuts.jsonl", cut(supervision("u", 0, 2), supervision("v", 2, 3, text="v"))))
    assert [(row["id"], row["start"], row["seconds"], row["text"]) for row in found] == [
        ("u", 0.0, 2.0, None), ("v", 2.0, 3.0, "v"),
    ]  # fmt: skip


def two_files() -> Row:
    sources = [{"type": "file", "channels": [n], "source": name} for n, name in enumerate(("a.wav", "b.wav"))]
    return {**recording(channels=2), "sources": sources}


@pytest.mark.parametrize(
    ("held", "channel", "place"),
    [
        (recording(channels=2), 1, ("a.wav", 1)),
        (recording(channels=1), 0, ("a.wav", None)),
        (recording(channels=2), [0, 1], ("a.wav", None)),
        (two_files(), 1, ("b.wav", None)),
    ],
)
def test_a_channel_is_its_place_in_the_file_that_holds_it(
    folder: Path, held: Row, channel: Any, place: tuple[str, Any]
) -> None:
    kind = "MultiCut" if isinstance(channel, list) else "MonoCut"
    row = one(folder, cut(supervision(channel=channel), recording=held, channel=channel, type=kind))
    assert (row["uri"], row["channel"], row["problem"]) == (*place, None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (cut(type="MixedCut"), "bad_row: row 1 of cuts.jsonl: a MixedCut is computed from several sounds"),
        (cut(type="PaddingCut"), "a PaddingCut is computed"),
        (cut(recording=None), "it names no recording"),
        (cut(recording={"id": "r"}), "it names no recording"),
        (cut(recording=recording(transforms=[{"name": "Speed"}])), "is changed by transforms"),
        (cut(recording={**recording(), "sources": [{"type": "command", "source": "touch x", "channels": [0]}]}),
         "command_refused: row 1 of cuts.jsonl: its audio comes out of a command"),
        (cut(recording={**recording(), "sources": [{"type": "memory", "source": "", "channels": [0]}]}), "the type memory"),
        (cut(recording=recording(channels=4), channel=[0, 1], type="MultiCut"), "it takes 2 of 4 channels"),
        (cut(channel=7), "no file of its recording holds channel 7"),
        (cut(supervision(duration=-1)), "duration is -1"),
        (cut(supervision(duration=0)), "the span is 0.0 s long"),
        (cut(start="soon"), "start is 'soon', not a number"),
        (cut(recording=recording(source="no.wav")), "missing_file: "),
        (supervision(), "it names no recording"),
        ("[1]", "bad_row: the line is JSON but not an object, row 1 of cuts.jsonl"),
        ("{", "bad_row: not JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_problem_of_its_own(folder: Path, row: Row | str, said: str) -> None:
    bad, good = rows(write(folder / "cuts.jsonl", row, cut(supervision("good"))))
    assert said in bad["problem"] and bad["stamp"] is None
    assert (good["id"], good["problem"]) == ("good", None)


def test_recordings_and_supervisions_are_matched(folder: Path) -> None:
    write(folder / "x_recordings_train.jsonl.gz", recording("r"), recording("s", "b.wav"), "{")
    write(
        folder / "x_supervisions_train.jsonl.gz",
        supervision("u", 1, 2, text="one"),
        supervision("v", 0, 10),
        {**supervision("w"), "recording_id": "gone"},
    )
    found = {row["id"]: row for row in rows(folder)}
    place = {name: (row["uri"], row["start"], row["seconds"], row["split"]) for name, row in found.items()}
    assert place["u"] == ("a.wav", 1.0, 2.0, "train")
    assert place["v"] == ("a.wav", None, None, "train")
    assert place["s"] == ("b.wav", None, None, "train"), "nothing speaks of this recording: it is there without text"
    said = sorted(row["problem"] for row in found.values() if row["problem"])
    assert len(said) == 2 and "its recording gone is not in x_recordings_train.jsonl.gz" in said[0]
    assert "not JSON" in said[1] and len(found) == 5


def test_cuts_win_over_recordings_and_name_their_split(folder: Path) -> None:
    write(folder / "cuts_train.jsonl.gz", cut(supervision("u")))
    write(folder / "cuts_all.jsonl", cut(supervision("v")))
    write(folder / "recordings_train.jsonl", recording("s"))
    (folder / "about.json").write_text("{}")
    assert {(row["id"], row["split"]) for row in rows(folder)} == {("u", "train"), ("v", None)}


def test_paths_are_relative_to_the_manifest_or_to_the_root(folder: Path) -> None:
    (folder / "manifests").mkdir()
    path = write(folder / "manifests/cuts.jsonl", cut(supervision()))
    assert rows(path)[0]["problem"].startswith("missing_file")
    (row,) = rows(path, root=str(folder), lang="en")
    assert (row["uri"], row["problem"], row["lang"]) == (f"{folder}/a.wav", None, "en")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("cuts.jsonl", b"", "the manifest has no rows"),
        ("cuts.jsonl.gz", b"not gzip", "the manifest cannot be read"),
        ("cuts.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 50, mtime=0)[:-12], "the manifest cannot be read"),
        ("other.jsonl", b"{}", "no manifest of cuts and none of recordings"),
        ("x.txt", b"", "no manifest below this folder"),
    ],
)
def test_a_manifest_that_is_none_is_a_wrong_request(folder: Path, name: str, data: bytes, said: str) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(RequestError, match=said):
        rows(folder)
    with pytest.raises(RequestError, match="the manifest cannot be read"):
        rows(folder / "none.jsonl")
