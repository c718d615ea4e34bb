"""Recordings in Parquet files, read in any order and refused in good order."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import archives
from storage.parquets import Parquet


def write(path: Path, count: int, group: int) -> str:
    sound = [{"bytes": None if index == 5 else bytes([index]) * 9, "path": None} for index in range(count)]
    pq.write_table(pa.table({"text": ["t"] * count, "audio": sound, "more": sound[::-1]}), path, row_group_size=group)
    return str(path)


@given(order=st.lists(st.integers(0, 39), max_size=60), group=st.integers(1, 40), columns=st.booleans())
def test_every_row_in_any_order(
    order: list[int], group: int, columns: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = Parquet(write(tmp_path_factory.mktemp("any") / "x.parquet", 40, group), 1000)
    for index in order:
        column, there = ("more", 39 - index) if columns and index % 2 else ("audio", index)
        if there == 5:
            with pytest.raises(FileNotFoundError):
                file.read(f"{column}/{index}")
        else:
            assert file.read(f"{column}/{index}") == bytes([there]) * 9


@pytest.mark.parametrize("member", ["audio/40", "audio/-1", "audio/x", "text/1", "audio", "audio/5", "audio/²"])
def test_what_is_not_there(tmp_path: Path, member: str) -> None:
    uri = write(tmp_path / "x.parquet", 40, 7)
    with pytest.raises(FileNotFoundError):
        archives.read_bytes(f"{uri}!{member}")


def test_a_manifest_may_name_a_row(tmp_path: Path) -> None:
    uri = write(tmp_path / "x.parquet", 3, 2)
    found = archives.entry(f"{uri}!audio/2")
    assert found is not None and found.problem is None and found.offset == 2
    assert archives.entry(f"{uri}!audio/3") is None
    assert not archives.is_archive(uri), "a folder of tables is not a folder of recordings"
    with archives.open_input(f"{uri}!audio/1") as stream:
        assert stream.read() == b"\x01" * 9


def test_a_damaged_file_is_an_unreadable_one(tmp_path: Path) -> None:
    uri = write(tmp_path / "x.parquet", 40, 40)
    data = bytearray(Path(uri).read_bytes())
    data[4:200] = bytes(196)
    (tmp_path / "torn.parquet").write_bytes(data)
    (tmp_path / "none.parquet").write_bytes(b"nothing")
    for name in ("torn", "none"):
        with pytest.raises(OSError, match="Parquet"):
            archives.read_bytes(f"{tmp_path}/{name}.parquet!audio/0")
