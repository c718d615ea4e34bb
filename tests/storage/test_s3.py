"""S3 as files see it, on a real server: entity tags, one request a thousand objects, uploads that are never torn, time limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from s3_server import S3Server

from sorigil.errors import RequestError
from storage import files, s3
from storage.streams import NewFile

PLACE = "s3://bucket/folder/file"
LARGE = 3 * s3.PART_BYTES  # four requests and one that puts the parts together


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.s3.ATTEMPTS", 2)
    monkeypatch.setattr("storage.s3.CONNECT_SECONDS", 1)  # also the time in which a byte must be taken
    monkeypatch.setattr("storage.s3.REQUEST_SECONDS", 2)


def test_an_object_replaced_within_a_second_by_as_many_bytes_is_another(s3: S3Server) -> None:
    files.write_bytes(PLACE, b"old")
    before = files.entry(PLACE)
    files.write_bytes(PLACE, b"new")
    after = files.entry(PLACE)
    assert before is not None and after is not None and before.size == after.size
    assert before.stamp != after.stamp and abs(after.modified - time.time()) < 60
    assert list(files.walk("s3://bucket")) == [after] and files.listed("s3://bucket/folder") == {PLACE: after}
    files.write_bytes(PLACE, b"old")
    again = files.entry(PLACE)
    assert again is not None and again.stamp == before.stamp  # the same bytes need not be read again


def test_a_listing_shows_what_a_folder_would(s3: S3Server) -> None:
    for name in ("a/1.wav", "a/b/2.wav", "a/.hidden/3.wav", "ab/4.wav"):
        files.write_bytes(f"s3://bucket/{name}", b"x")
    assert [found.uri for found in files.walk("s3://bucket/a")] == ["s3://bucket/a/1.wav", "s3://bucket/a/b/2.wav"]
    assert list(files.listed("s3://bucket/a") or ()) == ["s3://bucket/a/1.wav"]
    assert list(files.walk("s3://bucket/none")) == [] and files.entry("s3://bucket/a") is None
    with pytest.raises(FileNotFoundError):
        list(files.walk("s3://none/a"))


@pytest.mark.parametrize(
    ("fault", "where"),
    [("error", "partNumber=1"), ("error", "the last"), ("torn", "partNumber=2"), ("hang", "partNumber=2")],
)
def test_an_upload_that_fails_half_way_changes_nothing(s3: S3Server, tmp_path: Path, fault: str, where: str) -> None:
    files.write_bytes(PLACE, b"old")

    def spoil(request: dict[str, str]) -> str | None:
        completes = request["REQUEST_METHOD"] == "POST" and "uploadId" in request["QUERY_STRING"]
        return fault if (completes if where == "the last" else where in request["QUERY_STRING"]) else None

    for place in (PLACE, "s3://bucket/new"):
        s3.spoil = spoil
        new = NewFile(place)
        new.path.write_bytes(bytes(LARGE))
        began = time.monotonic()
        with pytest.raises(OSError, match="s3://bucket/"):
            new.commit()
        assert time.monotonic() - began < 30
        s3.spoil = lambda request: None
        assert not files.exists("s3://bucket/new") and files.read_bytes(PLACE) == b"old"
        assert not _unfinished_uploads()
        new.commit()
        found = files.entry(place)
        assert found is not None and found.size == LARGE
        files.write_bytes(PLACE, b"old")


def _unfinished_uploads() -> list[object]:
    import boto3

    found: list[object] = boto3.client("s3").list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    return found


def test_a_process_killed_in_the_middle_of_an_upload_leaves_what_was_there(s3: S3Server, tmp_path: Path) -> None:
    files.write_bytes(PLACE, b"old")
    s3.spoil = lambda request: "hang" if "partNumber=3" in request["QUERY_STRING"] else None
    (tmp_path / "large").write_bytes(bytes(LARGE))
    code = f"from pathlib import Path; from storage import files; files.upload({PLACE!r}, Path('large'))"
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **path})
    until = time.monotonic() + 30
    while not s3.seen["PUT", "/bucket/folder/file"] >= 4 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    assert files.read_bytes(PLACE) == b"old" and [each.uri for each in files.walk("s3://bucket")] == [PLACE]


@pytest.mark.parametrize("size", [100, 12 << 20], ids=["one PUT", "several parts"])
def test_a_failed_write_leaves_what_was_there(s3: S3Server, size: int) -> None:
    files.write_bytes(PLACE, b"old")
    s3.spoil = lambda request: "error" if request["REQUEST_METHOD"] in ("PUT", "POST") else None
    for target in (PLACE, "s3://bucket/new"):
        with pytest.raises(OSError, match="503"):
            files.write_bytes(target, bytes(size))
    s3.spoil = lambda request: None
    assert files.read_bytes(PLACE) == b"old" and not files.exists("s3://bucket/new")
    files.write_bytes(PLACE, bytes(size))
    assert len(files.read_bytes(PLACE)) == size


@pytest.mark.parametrize(
    "ask", ["read_bytes", "entry", "exists", "walk", pytest.param("write_bytes", marks=pytest.mark.slow)]
)
def test_a_server_that_never_answers_ends_in_an_error_and_a_slow_one_does_not(s3: S3Server, ask: str) -> None:
    files.write_bytes(PLACE, b"old")

    def do() -> object:
        found = getattr(files, ask)(*((PLACE, b"old") if ask == "write_bytes" else (PLACE,)))
        return list(found) if ask == "walk" else found

    s3.spoil = lambda request: "slow"
    expected = do()
    s3.spoil = lambda request: "hang"
    began = time.monotonic()
    with pytest.raises(OSError, match="bucket"):
        do()
    assert time.monotonic() - began < 20  # two attempts of two seconds, and what lies between them
    s3.spoil = lambda request: None
    assert do() == expected


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    for ask in (files.read_bytes, files.entry, files.exists):
        with pytest.raises(RequestError, match=r"s3://\*\*\*@bucket/a: credentials") as refused:
            ask("s3://AKIA:very-secret@bucket/a")
        assert "very-secret" not in str(refused.value)
