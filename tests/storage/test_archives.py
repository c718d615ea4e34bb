"""Members of archives: the same bytes as were packed, every kind, in any order; and archives that mean harm."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import archives, members
from storage.members import ArchiveError

KINDS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
CONTENT = {"a.wav": b"first", "b/c.flac": b"second" * 1000, "b/ü 한.mp3": bytes(range(256)) * 300, "empty.wav": b""}


def tarred(content: Mapping[str, bytes], **kind: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **kind) as archive:
        for name, data in content.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


def zipped(content: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def packed(kind: str, content: Mapping[str, bytes]) -> bytes:
    if kind == ".zip":
        return zipped(content)
    pack = {".gz": gzip.compress, ".tgz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    data = tarred(content)
    return next((each(data) for end, each in pack.items() if kind.endswith(end)), data)


def put(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def problems(archive: str) -> dict[str, str | None]:
    """Reason by member (the archive itself: its own file name)."""
    found = archives.entries(archive)
    return {
        (archives.parted(uri) or ("", uri.rsplit("/", 1)[-1]))[1]: entry.problem and entry.problem.partition(": ")[0]
        for uri, entry in found.items()
    }


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("a.tar!b.wav", ("a.tar", "b.wav")),
        ("s3://x/y.TAR.GZ!b/c.wav", ("s3://x/y.TAR.GZ", "b/c.wav")),
        ("d.zip!/a//./b.wav", ("d.zip", "a/b.wav")),
        ("a.tar!b.zip!c.wav", ("a.tar", "b.zip!c.wav")),
        ("oh!dear.zip!c.wav", ("oh!dear.zip", "c.wav")),
        ("a.tar", None),
        ("hey!.wav", None),
        ("a.tart!b.wav", None),
        ("a.tar!", None),
    ],
)
def test_addresses(uri: str, parts: tuple[str, str] | None) -> None:
    assert archives.parted(uri) == parts


@pytest.mark.parametrize("kind", KINDS)
def test_members_come_back_in_any_order(tmp_path: Path, kind: str) -> None:
    archive = put(tmp_path, f"x{kind}", packed(kind, CONTENT))
    found = archives.entries(archive)
    assert [uri.removeprefix(archive + "!") for uri in found] == list(CONTENT)
    assert [entry.size for entry in found.values()] == [len(data) for data in CONTENT.values()]
    offsets = [entry.offset for entry in found.values()]
    assert offsets == sorted(offsets, key=lambda each: each or 0) and all(
        each.problem is None for each in found.values()
    )
    for name in (*CONTENT, *reversed(CONTENT), "b/c.flac"):
        assert archives.read_bytes(f"{archive}!{name}") == CONTENT[name]
        with archives.open_input(f"{archive}!{name}") as stream:
            assert stream.seek(0, io.SEEK_END) == len(CONTENT[name])
            assert (stream.seek(3), stream.read(4)) == (3, CONTENT[name][3:7])
            assert (stream.seek(0), stream.read()) == (0, CONTENT[name])
    with pytest.raises(FileNotFoundError):
        archives.read_bytes(f"{archive}!b/missing.wav")


_names = st.lists(st.text("ab가!. -", min_size=1, max_size=5), min_size=1, max_size=3).map("/".join)
_content = st.dictionaries(_names, st.binary(max_size=2000), max_size=5)


@given(content=_content, kind=st.sampled_from([".tar", ".tar.gz", ".zip"]))
def test_whatever_was_packed(tmp_path_factory: pytest.TempPathFactory, content: dict[str, bytes], kind: str) -> None:
    archive = put(tmp_path_factory.mktemp("a"), f"x{kind}", packed(kind, content))
    for uri, entry in archives.entries(archive).items():
        if entry.problem is None:
            assert archives.read_bytes(uri) in content.values()
    names = {members.clean_name(name) for name in content}
    usable = {name for name in names if name and ".." not in name.split("/")}
    assert {uri.removeprefix(archive + "!") for uri in archives.entries(archive)} >= usable


def test_a_stream_stands_on_its_own(tmp_path: Path) -> None:
    """Two files of one archive can be read at once, and one outlives the next reading of the archive."""
    for kind in KINDS:
        archive = put(tmp_path, f"x{kind}", packed(kind, CONTENT))
        with archives.open_input(f"{archive}!b/c.flac") as one, archives.open_input(f"{archive}!b/ü 한.mp3") as other:
            assert one.read(6) == b"second" and other.read(3) == b"\0\1\2"
            assert archives.read_bytes(f"{archive}!a.wav") == b"first"
            assert one.read(6) == b"second" and other.read(3) == b"\3\4\5"


def test_a_plain_file_is_read_by_the_same_functions(tmp_path: Path) -> None:
    path = put(tmp_path, "hey!.wav", b"plain")
    assert archives.read_bytes(path) == b"plain" and archives.open_input(path).read() == b"plain"
    entry = archives.entry(path)
    assert entry is not None and entry.size == 5 and entry.offset is None
    assert archives.entry(str(tmp_path / "no.wav")) is None and archives.entry(str(tmp_path / "no.tar!a.wav")) is None
    with pytest.raises(FileNotFoundError, match="the archive does not exist"):
        archives.read_bytes(str(tmp_path / "no.tar!a.wav"))


def test_behind_a_url() -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    for kind in (".tar", ".tar.gz", ".zip"):
        system.pipe(f"/bucket/x{kind}", packed(kind, CONTENT))
        archive = f"memory://bucket/x{kind}"
        assert [entry.problem for entry in archives.entries(archive).values()] == [None] * len(CONTENT)
        assert archives.read_bytes(f"{archive}!b/c.flac") == CONTENT["b/c.flac"]
        with archives.open_input(f"{archive}!b/c.flac") as stream:
            assert (stream.seek(6), stream.read()) == (6, CONTENT["b/c.flac"][6:])


def test_the_stamp_changes_with_the_archive_and_the_member(tmp_path: Path) -> None:
    archive = put(tmp_path, "x.tar", tarred({"a.wav": b"1234", "b.wav": b"1234"}))
    before = {uri: entry.stamp for uri, entry in archives.entries(archive).items()}
    assert len(set(before.values())) == 2
    put(tmp_path, "x.tar", tarred({"a.wav": b"1234", "b.wav": b"123456"}) + bytes(512))
    after = {uri: entry.stamp for uri, entry in archives.entries(archive).items()}
    assert all(after[uri] != before[uri] for uri in before)
    assert archives.read_bytes(f"{archive}!b.wav") == b"123456", "an archive that changed is opened anew"


def test_rows_are_sorted_for_reading() -> None:
    uris = ["z.wav", "b.tar!2", "b.tar!1", "a.wav", "b.tar!2", "z.wav"]
    offsets = pa.chunked_array([[None, 1024, 512], [None, 1024, None]], pa.int64())
    order = archives.reading_order(pa.chunked_array([uris[:3], uris[3:]]), offsets)
    assert [uris[at] for at in order] == ["z.wav", "z.wav", "b.tar!1", "b.tar!2", "b.tar!2", "a.wav"]


# -- what cannot be used, or means harm ------------------------------------------------------------------------------------


def test_what_is_no_plain_file_says_so(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        kinds = {"s.wav": tarfile.SYMTYPE, "h.wav": tarfile.LNKTYPE, "f.wav": tarfile.FIFOTYPE, "d": tarfile.DIRTYPE}
        for name, kind in kinds.items():
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, "/etc/passwd"
            archive.addfile(header)
        climbing = ("../up.wav", "a/../../b.wav", "..\\w.wav")
        for name in (*climbing, "ok.wav", "/abs.wav", "n\n.wav", "in.zip", "twice.wav", "./twice.wav"):
            header = tarfile.TarInfo(name)
            archive.addfile(header, io.BytesIO())
    assert problems(put(tmp_path, "x.tar", buffer.getvalue())) == {
        "s.wav": "link_member", "h.wav": "link_member", "f.wav": "special_member", "../up.wav": "unsafe_name",
        "a/../../b.wav": "unsafe_name", "..\\w.wav": "unsafe_name", "ok.wav": None, "abs.wav": None,
        "n\n.wav": "unsafe_name", "in.zip": "nested_archive", "twice.wav": "doubled_member",
    }  # fmt: skip


def test_names_that_are_no_text(tmp_path: Path) -> None:
    header = tarfile.TarInfo("XXXX.wav")
    data = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    data[:4] = "가나".encode("cp949")
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data)
    assert problems(put(tmp_path, "x.tar", bytes(data) + bytes(1024))) == {
        "\\udcb0\\udca1\\udcb3\\udcaa.wav": "bad_name"
    }


def test_a_link_to_what_is_no_text(tmp_path: Path) -> None:
    header = tarfile.TarInfo("a.wav")
    header.type, header.linkname = tarfile.SYMTYPE, "\udcb0.wav"
    data = header.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape") + bytes(1024)
    (entry,) = archives.entries(put(tmp_path, "x.tar", data)).values()
    assert entry.problem is not None and entry.problem.encode()


@pytest.mark.parametrize(("name", "read"), [("가.wav".encode(), "가.wav"), (b"caf\x82.wav", "café.wav")])
def test_names_in_a_zip_without_the_flag_that_says_utf_8(tmp_path: Path, name: bytes, read: str) -> None:
    data = zipped({"x" * len(name): b"1"}).replace(b"x" * len(name), name)
    archive = put(tmp_path, "x.zip", data)
    assert problems(archive) == {read: None} and archives.read_bytes(f"{archive}!{read}") == b"1"


def test_encrypted_and_unknown_compression_in_a_zip(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.wav": b"1" * 100, "b.wav": b"2" * 100, "c.wav": b"3"}))
    directory = [at for at in range(len(data)) if data[at : at + 4] == b"PK\x01\x02"]
    data[directory[0] + 8] |= 1  # the flag that says encrypted
    data[directory[1] + 10] = 9  # deflate64
    archive = put(tmp_path, "x.zip", bytes(data))
    assert problems(archive) == {"a.wav": "encrypted_member", "b.wav": "unsupported_member", "c.wav": None}
    with pytest.raises(ArchiveError, match="is encrypted"):
        archives.read_bytes(f"{archive}!a.wav")


def test_a_member_that_is_not_what_its_checksum_says(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.wav": b"1" * 100}, zipfile.ZIP_STORED))
    data[60] ^= 1
    archive = put(tmp_path, "x.zip", bytes(data))
    for read in (archives.read_bytes, archives.open_input):
        with pytest.raises(ArchiveError, match="Bad CRC-32"):
            read(f"{archive}!a.wav")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_cut_archive_keeps_what_is_whole_and_says_that_it_is_cut(tmp_path: Path, kind: str, share: float) -> None:
    noise = {f"{number}.wav": bytes((number * each * each) % 251 for each in range(9000)) for number in range(1, 7)}
    data = packed(kind, noise)
    archive = put(tmp_path, f"x{kind}", data[: int(share * len(data))])
    found = problems(archive)
    assert found.pop(f"x{kind}") == "bad_archive"
    assert not share or kind not in (".tar", ".tar.gz") or len(found) >= share * 6 - 1
    for name, problem in found.items():
        if problem is None:
            try:
                assert archives.read_bytes(f"{archive}!{name}") == noise[name]
            except OSError as cut:
                assert name == list(found)[-1], cut  # its header was there, its bytes were not


def test_something_behind_the_end_is_not_passed_over(tmp_path: Path) -> None:
    one, other = tarred({"a.wav": b"1"}), tarred({"b.wav": b"2"})
    assert problems(put(tmp_path, "two.tar", one + other)) == {"a.wav": None, "two.tar": "bad_archive"}
    damaged = bytearray(tarred({"a.wav": b"1", "b.wav": b"2"}))
    damaged[1024 + 20] ^= 1  # in the second header
    assert problems(put(tmp_path, "damaged.tar", bytes(damaged))) == {"a.wav": None, "damaged.tar": "bad_archive"}


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"\x28\xb5\x2f\xfd" + bytes(600), bytes(100), b"\x1f\x8b" + bytes(40)]
)
@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
def test_what_is_no_archive(tmp_path: Path, name: str, data: bytes) -> None:
    archive = put(tmp_path, name, data)
    assert problems(archive) == {name: "bad_archive"}
    entry = archives.entry(f"{archive}!a.wav")
    assert entry is not None and entry.problem is not None and entry.problem.startswith("bad_archive")
    with pytest.raises(OSError):
        archives.read_bytes(f"{archive}!a.wav")


def test_bombs_are_refused_without_being_expanded(tmp_path: Path) -> None:
    """A few kilobytes that claim to become gigabytes: of a tar by its header, of a zip by its directory."""
    header = tarfile.TarInfo("a.wav")
    header.size = 6 << 30
    claims = put(tmp_path, "x.tar.gz", gzip.compress(tarred({"ok.wav": b"1"})[:1024] + header.tobuf() + bytes(1 << 20)))
    data = bytearray(zipped({"a.wav": bytes(1 << 20)}))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (0xFFFF0000).to_bytes(4, "little")
    declares = put(tmp_path, "x.zip", bytes(data))
    tracemalloc.start()
    try:
        assert problems(claims) == {"ok.wav": None, "x.tar.gz": "bad_archive"}
        assert problems(declares) == {"a.wav": "unsafe_member"}
        for archive in (claims, declares):
            with pytest.raises(ArchiveError):
                archives.read_bytes(f"{archive}!a.wav")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_a_header_of_gigabytes_gets_no_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 4 << 30
    assert problems(put(tmp_path, "x.tar", header.tobuf() + bytes(4096))) == {"x.tar": "bad_archive"}


def test_members_of_a_zip_that_overlap(tmp_path: Path) -> None:
    """Fifield's bomb: many directory entries over the same bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = zipped({"a.wav": bytes(range(256)) * 20}, zipfile.ZIP_STORED)
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    one, tail = data[start:end], bytearray(data[end:])
    tail[8:12], tail[12:16] = (3).to_bytes(2, "little") * 2, (3 * len(one)).to_bytes(4, "little")
    assert problems(put(tmp_path, "x.zip", data[:start] + 3 * one + bytes(tail))) == {"x.zip": "bad_archive"}


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    content = {f"{number}.wav": b"" for number in range(5)}
    for kind in (".tar", ".zip"):
        assert problems(put(tmp_path, f"x{kind}", packed(kind, content)))[f"x{kind}"] == "bad_archive"
