"""Folders: the pattern language, sidecar transcripts, and file names of every kind."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from storage.sources import ITEMS, FolderSource, scan
from storage.sources.folder import compile_pattern


def put(folder: Path, *names: str, data: bytes = b"x") -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def rows(folder: Path | str, **options: Any) -> list[dict[str, Any]]:
    found = scan(FolderSource(uri=str(folder), **options))
    assert found.schema == ITEMS
    made: list[dict[str, Any]] = found.to_pylist()
    return made


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("{label}.wav", "dog.wav", {"label": "dog"}),
        ("{label}.wav", "a/dog.wav", None),
        ("{label}.wav", "dogXwav", None),
        ("{split}/{label}_{id}.wav", "train/dog_7.wav", {"split": "train", "label": "dog", "id": "7"}),
        ("{speaker}_{id}.wav", "s1_7_8.wav", {"speaker": "s1", "id": "7_8"}),
        ("*/{label}/*.flac", "any/dog/1.flac", {"label": "dog"}),
        ("*/{label}/*.flac", "any/more/dog/1.flac", None),
        ("**/{label}/*", "dog/1.wav", {"label": "dog"}),
        ("**/{label}/*", "a/b/dog/1.wav", {"label": "dog"}),
        ("{label}/**", "dog/a/b/1.wav", {"label": "dog"}),
        ("{label}-{take}.wav", "dog-2.wav", {"label": "dog", "take": "2"}),
        ("a+b(c)/{label}.wav", "a+b(c)/x.wav", {"label": "x"}),
        ("{label}_.wav", "_.wav", None),
        ("{이름}.wav", "가.wav", {"이름": "가"}),
    ],
)  # fmt: skip
def test_patterns(pattern: str, path: str, fields: dict[str, str] | None) -> None:
    found = compile_pattern(pattern).fullmatch(path)
    assert (found.groupdict() if found else None) == fields


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("{label}/{label}.wav", "stands in it twice"), ("{two words}.wav", "is not a field name"), ("{}.wav", "is not a field name")],
)  # fmt: skip
def test_a_pattern_that_is_none(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FolderSource(uri="x", pattern=pattern)


_word = st.text("ab1가-", min_size=1, max_size=4)


@given(split=_word, label=_word, identity=_word, deep=st.lists(_word, max_size=2))
def test_a_pattern_reads_back_what_a_path_was_made_of(split: str, label: str, identity: str, deep: list[str]) -> None:
    path = "/".join([*deep, split, f"{label}_{identity}.wav"])
    found = compile_pattern("**/{split}/{label}_{id}.wav").fullmatch(path)
    assert found is not None and found.groupdict() == {"split": split, "label": label, "id": identity}


def test_what_the_path_says(tmp_path: Path) -> None:
    put(tmp_path, "train/dog/s1_1.wav", "test/cat/s2_2.FLAC", "train/notes.md", "train/dog/.hidden.wav", "odd.mp3")
    found = {row["uri"]: row for row in rows(tmp_path, pattern="{split}/{label}/{speaker}_{take}.*", lang="und")}
    assert set(found) == {"train/dog/s1_1.wav", "test/cat/s2_2.FLAC", "odd.mp3"}
    dog = found["train/dog/s1_1.wav"]
    assert [dog[name] for name in ("id", "split", "label", "speaker", "lang", "text", "problem")] == [
        "train/dog/s1_1.wav", "train", "dog", "s1", "und", None, None,
    ]  # fmt: skip
    assert json.loads(dog["extras"]) == {"take": "1"} and dog["stamp"] and dog["size"] == 1
    assert found["odd.mp3"]["problem"].startswith("pattern_mismatch: odd.mp3 does not match the pattern")


def test_an_id_from_the_path(tmp_path: Path) -> None:
    put(tmp_path, "x/1.wav", "y/1.wav")
    assert [row["id"] for row in rows(tmp_path, pattern="{label}/{id}.wav")] == ["1", "1"], "the plan refuses both"


def test_sidecars(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "a.b.wav", "sub/c.flac", "none.wav", "empty.wav", "bad.wav")
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf  hello\r\n")
    (tmp_path / "a.b.txt").write_text("안녕")
    (tmp_path / "sub" / "c.txt").write_text("two\nlines")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "bad.txt").write_bytes("안녕".encode("cp949"))
    found = {row["uri"]: row for row in rows(tmp_path, text="sidecar")}
    assert {uri: row["text"] for uri, row in found.items()} == {
        "a.wav": "hello", "a.b.wav": "안녕", "sub/c.flac": "two\nlines", "none.wav": None, "empty.wav": None, "bad.wav": None,
    }  # fmt: skip
    assert found["bad.wav"]["problem"].startswith("bad_text: the transcript beside bad.wav is not UTF-8")
    assert all(row["problem"] is None for uri, row in found.items() if uri != "bad.wav")
    assert {row["text"] for row in rows(tmp_path)} == {None}


def test_file_names_that_are_no_text_are_rows_with_a_problem(tmp_path: Path) -> None:
    """Old archives have names in the code page of their day."""
    put(tmp_path, "good.wav")
    with Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + "한글.wav".encode("cp949"))).open("wb") as file:
        file.write(b"x")
    bad, good = sorted(rows(tmp_path), key=lambda row: row["problem"] is None)
    assert bad["problem"].startswith("bad_name: ") and bad["id"].endswith(".wav") and good["uri"] == "good.wav"


def test_a_folder_may_be_written_in_any_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "in", "x/a.wav")
    monkeypatch.chdir(tmp_path)
    for uri in ("in", "./in", "in/", str(tmp_path / "in"), f"file://{tmp_path}/in"):
        (row,) = rows(uri, pattern="{label}/{id}.wav")
        assert (row["uri"], row["label"], row["problem"]) == ("x/a.wav", "x", None), uri


def test_a_folder_without_audio_or_without_being(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt")
    with pytest.raises(RequestError, match=r"no audio below this folder \(looked for \.wav, \.flac"):
        rows(tmp_path)
    with pytest.raises(RequestError, match="no such folder"):
        rows(tmp_path / "missing")


def test_other_suffixes(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "b.dat")
    assert [row["uri"] for row in rows(tmp_path, suffixes=(".dat",))] == ["b.dat"]


def tarred(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in content.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


ARCHIVED = {
    "./b/2.wav": b"22", "b/2.txt": "둘".encode(), "b/1.wav": b"1", "notes.md": b"", ".x/h.wav": b"", "b/._1.wav": b"",
    "in.zip": b"", "../up.wav": b"",
}  # fmt: skip


def test_archives_are_folders_that_are_looked_into(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "z.wav")
    put(tmp_path, "m/train.tar", data=tarred(ARCHIVED))
    put(tmp_path, "m/broken.zip", data=b"PK")
    found = rows(tmp_path, text="sidecar", pattern="**/{split}.*/{label}/{id}.wav")
    assert [row["uri"] for row in found] == [
        "a.wav", "m/broken.zip", "m/train.tar!b/2.wav", "m/train.tar!b/1.wav", "m/train.tar!in.zip",
        "m/train.tar!../up.wav", "z.wav",
    ]  # fmt: skip
    two = found[2]
    fields = ("id", "split", "label", "text", "size", "offset", "problem")
    assert [two[name] for name in fields] == ["2", "train", "b", "둘", 2, 512, None]
    reasons = [(row["problem"] or "").partition(":")[0] for row in found]
    assert reasons == ["pattern_mismatch", "bad_archive", "", "", "nested_archive", "unsafe_name", "pattern_mismatch"]
    assert [row["uri"] for row in rows(tmp_path, archives=False)] == ["a.wav", "z.wav"]


def test_an_archive_as_the_source_itself(tmp_path: Path) -> None:
    put(tmp_path, "all.tar", data=tarred(ARCHIVED))
    for uri in (str(tmp_path / "all.tar"), f"file://{tmp_path}/all.tar"):
        found = rows(uri)
        names = ["b/2.wav", "b/1.wav", "in.zip", "../up.wav"]
        assert [row["id"] for row in found] == [f"all.tar!{name}" for name in names]
    with pytest.raises(RequestError, match="no such archive"):
        rows(tmp_path / "none.tar")
