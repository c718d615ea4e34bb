"""Sources opened small and large, new files that appear whole, arrays set aside and read back."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.errors import RunError
from storage import files, streams
from storage.streams import NewFile, Spool, open_source


@pytest.mark.parametrize("url", [False, True])
@pytest.mark.parametrize("size", [0, 99, 100, 101, 5000])
def test_a_source_is_the_same_however_it_is_opened(
    url: bool, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "IN_MEMORY", 100)
    content = np.random.default_rng(size).bytes(size)
    uri = f"memory://streams-test/{size}" if url else str(tmp_path / "a")
    files.write_bytes(uri, content)
    with open_source(uri) as source:
        assert source.sha256 == hashlib.sha256(content).hexdigest()
        assert source.file.read() == content and source.file.seek(0) == 0 and source.file.read(3) == content[:3]


@pytest.mark.parametrize("url", [False, True])
@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("size", [99, 5000])
def test_a_source_in_an_archive(
    url: bool, kind: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "IN_MEMORY", 100)
    content = np.random.default_rng(size).bytes(size)
    (tmp_path / "in.wav").write_bytes(content)
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path, "in.wav"))
    archive = f"memory://streams-test/{size}.{kind}" if url else str(packed)
    files.write_bytes(archive, packed.read_bytes())
    with open_source(f"{archive}!in.wav") as source:
        assert source.sha256 == hashlib.sha256(content).hexdigest()
        assert source.file.read() == content and source.file.seek(7) == 7 and source.file.read(3) == content[7:10]


@pytest.mark.parametrize("uri", ["memory://streams-test/none", "/nowhere/none"])
def test_a_missing_source_is_said_to_be_missing(uri: str) -> None:
    with pytest.raises(FileNotFoundError), open_source(uri):
        raise AssertionError


@pytest.mark.parametrize("url", [False, True])
def test_a_new_file_appears_at_commit(url: bool, tmp_path: Path) -> None:
    uri = "memory://streams-test/new" if url else str(tmp_path / "folder" / "new")
    new = NewFile(uri)
    new.path.write_bytes(b"fifteen letters")
    assert not files.exists(uri)
    assert new.commit() == hashlib.sha256(b"fifteen letters").hexdigest()
    assert files.read_bytes(uri) == b"fifteen letters" and not new.path.exists()


@given(st.lists(st.integers(0, 50), max_size=8), st.integers(1, 40), st.sampled_from([None, 1, 3]), st.data())
@settings(max_examples=50)
def test_what_was_spooled_comes_back(lengths: list[int], size: int, width: int | None, data: Any) -> None:
    rng = np.random.default_rng(sum(lengths))
    spool = Spool(np.float32, width)
    blocks = [rng.standard_normal((length, width or 1)).astype(np.float32) for length in lengths]
    for block in blocks:
        spool.append(block if width else block[:, 0])
    whole = np.concatenate([np.zeros((0, width or 1), np.float32), *blocks])
    whole = whole if width else whole[:, 0]
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    found = list(spool.blocks(size, start, stop))
    assert len(spool) == len(whole) and all(len(block) <= size for block in found)
    assert np.array_equal(np.concatenate([whole[:0], *found]), whole[start:stop])
    spool.close()


def test_a_spool_can_be_read_while_it_grows() -> None:
    spool = Spool(np.int16)
    spool.append(np.arange(5, dtype=np.int16))
    assert next(spool.blocks(3)).tolist() == [0, 1, 2]
    spool.append(np.arange(5, 9, dtype=np.int16)[::1])
    assert [block.tolist() for block in spool.blocks(4, 2)] == [[2, 3, 4, 5], [6, 7, 8]]


def test_a_full_disk_is_the_runs_trouble_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, *_: int) -> None: ...

        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    spool = Spool()
    monkeypatch.setattr(spool, "_file", Full())
    with pytest.raises(RunError, match=r"No space left on device.*TMPDIR"):
        spool.append(np.zeros(3, np.float32))
