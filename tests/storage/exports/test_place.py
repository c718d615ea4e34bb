"""The folder of an export: whole or not there, taken up again where it stopped, and nobody else's."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import World
from export_world import exported, fill, original, read_back, said

from sorigil.errors import RequestError
from storage import files
from storage.exports.place import MARKER, ExportPlace
from storage.sources import HuggingFaceSource

REQUEST = {"dataset": "d", "format": "nemo", "version": "v1"}


def write(output: Path, name: str = "a", data: bytes = b"x", **changes: Any) -> None:
    with ExportPlace(str(output), {**REQUEST, **changes}) as place:
        with place.create(name) as file:
            file.write(data)
        place.finish({"rows": 1})


def tree(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_nothing_is_there_before_the_end_and_nothing_else_after(tmp_path: Path) -> None:
    output = tmp_path / "out.d"
    with ExportPlace(str(output), REQUEST) as place:
        with place.create("deep/a") as file:
            file.write(b"x")
        assert not output.exists() and place.is_done() is None
        place.finish({"rows": 1})
    assert list(tmp_path.iterdir()) == [output]
    assert sorted(path.name for path in output.iterdir()) == [MARKER, "deep"]
    with ExportPlace(str(output), REQUEST) as place:
        assert place.is_done() == {"rows": 1}


def test_a_newer_version_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    write(tmp_path / "out", "new", version="v2")
    assert list(tree(tmp_path / "out")) == ["new"]
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


@pytest.mark.parametrize("changes", [{"dataset": "other"}, {"format": "kaldi"}])
def test_the_export_of_something_else_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    write(tmp_path / "out")
    with pytest.raises(RequestError, match="holds the export of d to nemo; name another folder"):
        write(tmp_path / "out", **changes)
    assert list(tree(tmp_path / "out")) == ["a"]


def test_what_is_no_export_is_refused_and_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for name in ("mine", "file"):
        with pytest.raises(RequestError, match="there is something already that Sorigil did not export"):
            write(tmp_path / name)
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"


def test_finished_files_of_a_broken_export_are_kept_and_torn_ones_are_not(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), ExportPlace(str(tmp_path / "out"), REQUEST) as place:
        with place.create("whole") as file:
            file.write(b"x")
        with place.create("torn") as file:
            file.write(b"half")
            raise OSError("disk full")
    assert not (tmp_path / "out").exists()
    with ExportPlace(str(tmp_path / "out"), REQUEST) as place:
        assert place.has("whole") and not place.has("torn")
    with ExportPlace(str(tmp_path / "out"), {**REQUEST, "version": "v2"}) as place:
        assert not place.has("whole"), "of another version: begun anew"


def test_killed_between_the_two_renames_nothing_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.replaced")
    with ExportPlace(str(tmp_path / "out"), REQUEST) as place:
        assert place.is_done() == {"rows": 1}
    write(tmp_path / "out", "b", version="v2")
    (tmp_path / ".out.replaced").mkdir()
    write(tmp_path / "out", "c", version="v3")
    assert list(tree(tmp_path / "out")) == ["c"] and list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        ExportPlace(str(tmp_path / "out"), REQUEST),
        pytest.raises(RequestError, match="another process is writing this export"),
        ExportPlace(str(tmp_path / "out"), REQUEST),
    ):
        pass


def test_an_export_that_is_there_is_left_as_it_is(world: World, tmp_path: Path) -> None:
    fill(world)
    first = exported(world, tmp_path / "out", "nemo", "flac")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    again = exported(world, tmp_path / "out", "nemo", "flac")
    assert again == {**first, "unchanged": True} and not first["unchanged"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    assert not exported(world, tmp_path / "out", "nemo", "wav")["unchanged"]


SLOWLY = """
import sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
from conftest import World
import export_world
from storage.exports.clips import Clips
write, done = Clips.write, []
def slow(self, row, file):
    write(self, row, file)
    done.append(row["id"])
    if len(done) == 3:
        print("three", flush=True)
        time.sleep(60)
Clips.write = slow
export_world.exported(World(Path({world!r})), Path({output!r}), {format!r}, "flac")
"""


@pytest.mark.parametrize("format", ["lhotse"])
def test_a_killed_export_is_finished_by_the_next(world: World, tmp_path: Path, format: str) -> None:
    fill(world)
    exported(world, tmp_path / "whole" / "out", format, "flac")
    output = tmp_path / "killed" / "out"
    root = Path(__file__).parents[3]
    paths = [str(root), str(root / "tests"), str(Path(__file__).parent)]
    code = SLOWLY.format(paths=paths, world=str(world.folder), output=str(output), format=format)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "three\n"
        os.kill(child.pid, signal.SIGKILL)
    assert not output.exists()
    left = [path for path in (output.parent / ".out.exporting").rglob("*.flac") if not path.name.startswith(".")]
    began = {path.name: path.stat().st_mtime_ns for path in left}
    assert began
    time.sleep(0.01)
    exported(world, output, format, "flac")
    assert {path.name: path.stat().st_mtime_ns for path in output.rglob("*.flac")}.items() >= began.items()
    sounds = {name: value for name, value in tree(output).items() if name.endswith(".flac")}
    assert sounds == {name: value for name, value in tree(tmp_path / "whole/out").items() if name.endswith(".flac")}
    assert tree(output).keys() == tree(tmp_path / "whole/out").keys()
    assert list(output.parent.iterdir()) == [output]


def test_an_export_to_an_object_store_is_complete_when_its_marker_says_so(world: World) -> None:
    """The marker is first and last; what was begun and not finished is begun anew for another version."""
    fill(world)
    output = f"memory://exports/{world.folder.name}"
    found = exported(world, output, "huggingface", "flac")
    marker = json.loads(files.read_bytes(f"{output}/{MARKER}"))
    assert marker["complete"] and marker["facts"]["rows"] == found["rows"] == 5
    assert said(read_back(HuggingFaceSource(uri=output))) == original(world)
    assert exported(world, output, "huggingface", "flac")["unchanged"]
    assert MARKER not in {entry.uri.rsplit("/", 1)[-1] for entry in files.walk(output)}, "hidden, as on a disk"
    with pytest.raises(RequestError, match="holds the export of tiny to huggingface"):
        exported(world, output, "webdataset", "flac")
    with ExportPlace(output, {"dataset": "tiny", "format": "huggingface", "version": "v2"}) as place:
        assert not place.has("data/test-00000-of-00001.parquet") and place.is_done() is None
        with pytest.raises(OSError, match="disk"), place.create("torn") as file:
            file.write(b"half")
            raise OSError("disk full")
        assert not place.has("torn")
