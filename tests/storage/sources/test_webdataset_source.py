"""WebDataset's tar files: what makes a sample, what is said of it, and what cannot be read."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sorigil.errors import RequestError
from storage.sources import WebDatasetSource, scan


def tar(path: Path, *members: tuple[str, Any], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as made:  # type: ignore[call-overload]
        for name, value in members:
            data = (
                value
                if isinstance(value, bytes)
                else json.dumps(value).encode()
                if isinstance(value, dict)
                else value.encode()
            )
            header = tarfile.TarInfo(name)
            header.size = len(data)
            made.addfile(header, io.BytesIO(data))
    return path


def rows(uri: Path, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scan(WebDatasetSource(uri=str(uri), **options)).to_pylist()
    return found


@pytest.mark.parametrize(("name", "mode"), [("train-0.tar", "w"), ("train-0.tar.gz", "w:gz")])
def test_neighbours_with_one_name_up_to_the_first_dot_are_a_sample(tmp_path: Path, name: str, mode: str) -> None:
    tar(
        tmp_path / name,
        ("a/x.flac", b"sound"), ("a/x.json", {"id": "one", "speaker": "kim", "duration": 3, "path": "p", "offset": 9}),
        ("a/x.txt", "hello\n"), ("v1.0/y.wav", b"more"), ("v1.0/y.cls", "7"), ("z.audio.mp3", b"x"), ("z.npy", b"x"),
        ("README", "no extension: no sample"),
        mode=mode,
    )  # fmt: skip
    one, two, three = rows(tmp_path, lang="ko")
    assert [one[key] for key in ("id", "uri", "text", "speaker", "lang", "split", "start", "problem")] == [
        "one", f"{name}!a/x.flac", "hello", "kim", "ko", "train", None, None,
    ]  # fmt: skip
    assert json.loads(one["extras"]) == {"path": "p", "offset": 9}
    assert (two["id"], two["uri"], two["label"]) == (f"{name}!v1.0/y", f"{name}!v1.0/y.wav", "7")
    assert (three["uri"], three["problem"]) == (f"{name}!z.audio.mp3", None)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (
            (("x.json", {"text": "t"}),),
            "bad_row: the sample has no sounds, one was expected (it has json), sample t.tar!x",
        ),
        ((("x.wav", b"1"), ("x.flac", b"2")), "bad_row: the sample has 2 sounds"),
        ((("x.wav", b"1"), ("x.json", "{")), "bad_row: not JSON"),
        ((("x.wav", b"1"), ("x.json", "[1]")), "bad_row: the line is JSON but not an object"),
        ((("x.wav", b"1"), ("x.json", "")), "bad_row: what is said of the sample cannot be read"),
        ((("x.wav", b"1"), ("x.txt", b"\xff")), "bad_text: a text of the sample is not UTF-8"),
        ((("../x.wav", b"1"),), "unsafe_name: "),
    ],
)
def test_a_bad_sample_is_a_problem_of_its_own(tmp_path: Path, members: Any, said: str) -> None:
    found = rows(tar(tmp_path / "t.tar", *members, ("good.wav", b"x")))
    assert len(found) == 2 and said in found[0]["problem"] and found[1]["problem"] is None


def test_a_torn_tar_gives_what_is_there_and_a_problem(tmp_path: Path) -> None:
    path = tar(tmp_path / "t.tar", ("a.wav", b"1" * 600), ("b.wav", b"2" * 600))
    path.write_bytes(path.read_bytes()[:2200])
    (tmp_path / "u.tar").write_bytes(b"no tar at all" * 100)
    found = rows(tmp_path)
    problems = {row["uri"]: row["problem"] for row in found}
    assert problems["t.tar!a.wav"] is None and "bad_archive" in problems["u.tar"]
    assert any(problem for uri, problem in problems.items() if uri.startswith("t.tar") and uri != "t.tar!a.wav")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such file"):
        rows(tmp_path / "no.tar")
    with pytest.raises(RequestError, match="no tar file with samples"):
        rows(tmp_path)
    with pytest.raises(RequestError, match="no tar file with samples"):
        rows(tar(tmp_path / "x.tar", ("README", "x")))
