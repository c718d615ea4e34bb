"""`sorigil export`: its choices, its splits and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from yaml_world import make_project, sorigil

from flows.export import with_splits
from sorigil.errors import RequestError
from sorigil.split_specs import FieldSplit, SpeakerSplit
from storage.sources import NemoSource, scan


def test_an_export_on_the_command_line(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=6)
    assert sorigil("export", "tones", "--to", "nemo", "--output", "out", cwd=path.parent).returncode == 2, (
        "no version yet"
    )
    assert sorigil("prepare", "tones", "--local", cwd=path.parent).returncode == 0
    ran = sorigil("export", "tones", "--to", "nemo", "--output", "out", "--json", cwd=path.parent)
    found = json.loads(ran.stdout)
    assert (ran.returncode, found["status"], found["rows"], found["audio"]) == (0, "completed", 6, "source")
    assert found["output"] == str(path.parent / "out") and found["unchanged"] is False
    rows = scan(NemoSource(uri=found["output"])).to_pylist()
    assert sorted(row["id"] for row in rows) == [f"u{number}" for number in range(6)]
    assert not any(row["problem"] for row in rows)
    again = sorigil("export", "tones", "--to", "nemo", "--output", "out", cwd=path.parent)
    assert again.returncode == 0 and "was exported before, and is as it was" in again.stdout
    for arguments, says in (
        (("--to", "nemmo", "--output", "x"), "there is no such format; there are lhotse, kaldi, nemo"),
        (("--to", "nemo", "--output", "x", "--audio", "mp3"), "nemo can have source, flac, wav"),
        (("--to", "nemo", "--output", "source"), "something already that Sorigil did not export"),
        (("--to", "nemo", "--output", "x", "--version", "v9"), "no version called v9"),
    ):
        refused = sorigil("export", "tones", *arguments, cwd=path.parent)
        assert refused.returncode == 2 and says in refused.stderr and "Traceback" not in refused.stderr


def table(*splits: str | None) -> pa.Table:
    rows = len(splits)
    return pa.table(
        {
            "key": [f"{index:032x}" for index in range(rows)],
            "speaker": [f"s{index}" for index in range(rows)],
            "split": pa.array(splits, pa.string()),
            "place": [f"{index}.wav\x1f\x1f\x1f" for index in range(rows)],
            "uri": [f"{index}.wav" for index in range(rows)],
            "near_group": pa.nulls(rows, pa.string()),
            "piece": pa.nulls(rows, pa.string()),
        }
    )


def test_splits_are_those_of_training() -> None:
    made, decided = with_splits(table("train", "Test", "other", None, "valid"), FieldSplit())
    assert made.column("split").to_pylist() == ["train", "test", "unused", "unused", "dev"] and decided
    made, other = with_splits(table(None, None, None), SpeakerSplit(test=("s1",), dev=("s2",)))
    assert made.column("split").to_pylist() == ["train", "test", "dev"] and other != decided
    with pytest.raises(RequestError, match="split names nobody"):
        with_splits(table(None), SpeakerSplit(test=("nobody",)))


def test_a_source_without_a_train_and_a_test_split_keeps_its_own_words() -> None:
    for given in (("fold1", "fold2"), (None, None), ("train", None)):
        made, decided = with_splits(table(*given), FieldSplit())
        assert tuple(made.column("split").to_pylist()) == given and decided == ""
