"""Files appear whole or not at all, on a disk and behind a URL; names are joined and taken apart without loss."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from storage import files

_names = st.text("abc.가 -_", min_size=1, max_size=6).filter(lambda name: name.strip(". ") == name)
_paths = st.lists(_names, min_size=1, max_size=3).map("/".join)


@pytest.fixture(params=["disk", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "disk" else f"memory://bucket-{uuid.uuid4().hex}"


# -- anywhere --------------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_listed_and_removed(root: str) -> None:
    place = files.join(root, "a/b/c.bin")
    assert not files.exists(place) and files.entry(place) is None
    files.write_bytes(place, b"one")
    first = files.entry(place)
    assert files.read_bytes(place) == b"one" and files.exists(place) and first is not None and first.size == 3
    files.write_bytes(place, b"three")
    second = files.entry(place)
    assert files.read_bytes(place) == b"three" and second is not None and second.stamp != first.stamp
    files.write_bytes(files.join(root, "a/z.bin"), b"")
    found = list(files.walk(files.join(root, "a")))
    assert [files.relative_to(entry.uri, root) for entry in found] == ["a/b/c.bin", "a/z.bin"]
    assert [entry.size for entry in found] == [5, 0]
    assert files.read_bytes(found[0].uri) == b"three"
    files.remove(place)
    files.remove(place)
    assert not files.exists(place)


def test_reading_what_is_not_there(root: str) -> None:
    with pytest.raises(OSError):
        files.read_bytes(files.join(root, "nothing"))


def test_an_unknown_scheme_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="nonsense://bucket: no file system answers for this address"):
        files.read_bytes("nonsense://bucket/file")


# -- on a disk --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_content_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    place = tmp_path / "file"
    files.write_bytes(str(place), b"old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(step, full)
        for target in (place, tmp_path / "other"):
            with pytest.raises(OSError, match="No space left"):
                files.write_bytes(str(target), b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and place.read_bytes() == b"old"


def test_content_reaches_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the rename must not find an empty file under the final name."""
    order = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: order.append("sync") or sync(handle))
    monkeypatch.setattr(Path, "replace", lambda self, target: order.append("rename") or replace(self, target))
    files.write_bytes(str(tmp_path / "file"), b"x")
    assert order == ["sync", "rename", "sync"]


def test_what_a_killed_writer_left_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / ".file.parquet.1234.tmp").write_bytes(b"half")
    files.write_bytes(str(tmp_path / "file.parquet"), b"whole")
    assert [Path(entry.uri).name for entry in files.walk(str(tmp_path))] == ["file.parquet"]


def test_walking_a_missing_folder_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"missing: no such folder"):
        list(files.walk(str(tmp_path / "missing")))


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_bytes(b"x")
    base = tmp_path / "base"
    (base / "a").mkdir(parents=True)
    (base / "a" / "y").write_bytes(b"y")
    (base / "a" / "up").symlink_to(base)
    (base / "linked").symlink_to(tmp_path / "elsewhere")
    (base / "again").symlink_to(tmp_path / "elsewhere")
    (base / "dangling").symlink_to(tmp_path / "nowhere")
    found = [files.relative_to(entry.uri, str(base)) for entry in files.walk(str(base))]
    assert found == ["a/y", "again/x", "linked/x"]


def test_a_file_that_goes_away_while_the_folder_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run's breadcrumbs come and go while a plan reads the ledger."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")
    real = files.entry

    def late(uri: str) -> Any:
        (tmp_path / "a").unlink(missing_ok=True)
        return real(uri)

    monkeypatch.setattr(files, "entry", late)
    assert [Path(entry.uri).name for entry in files.walk(str(tmp_path))] == ["b"]


# -- names ---------------------------------------------------------------------------------------------------------------------


@given(relative=_paths, base=st.sampled_from(["/a/b", "a", "./a", "/a/b/", "s3://bucket/x", "s3://bucket/x/"]))
def test_relative_to_undoes_join(relative: str, base: str) -> None:
    assert files.relative_to(files.join(base, relative), base) == relative


@pytest.mark.parametrize("base", ["/a/b", "s3://bucket/x"])
@pytest.mark.parametrize("absolute", ["/c/d.wav", "s3://other/d.wav", "https://host/d.wav"])
def test_what_is_absolute_stays_what_it_is(base: str, absolute: str) -> None:
    assert files.join(base, absolute) == absolute == files.relative_to(absolute, base)


def test_a_name_that_only_begins_like_the_base_is_not_below_it() -> None:
    assert files.relative_to("/a/bc/d", "/a/b") == "/a/bc/d"


@pytest.mark.parametrize(
    ("uri", "url", "parent", "stem", "suffix"),
    [
        ("/a/b.Wav", False, "/a", "b", ".wav"),
        ("file:///a/b.flac", False, "/a", "b", ".flac"),
        ("s3://bucket/a/b.tar.gz", True, "s3://bucket/a", "b.tar", ".gz"),
        ("b", False, ".", "b", ""),
        ("C:odd.wav", False, ".", "C:odd", ".wav"),
    ],
)
def test_parts_of_a_name(uri: str, url: bool, parent: str, stem: str, suffix: str) -> None:
    assert (files.is_url(uri), files.parent(uri), files.stem(uri), files.suffix(uri)) == (url, parent, stem, suffix)


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    there = tmp_path / "there.html"
    there.write_text("as it was")
    files.try_write(str(there))
    files.try_write(str(tmp_path / "deep/new.html"))
    assert there.read_text() == "as it was" and list((tmp_path / "deep").iterdir()) == []
    for place in (tmp_path, there / "below.html"):
        with pytest.raises(OSError, match=r"directory|exists"):
            files.try_write(str(place))
