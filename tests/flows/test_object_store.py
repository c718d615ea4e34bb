"""A store and a source behind s3://, on a real server: each object is read once, and faults leave nothing torn."""

from __future__ import annotations

import io
import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from conftest import LOG_MEL, RATE, tone
from s3_server import CREDENTIALS, S3Server, s3_server

from flows.prepare import Prepared, do_plan, plan_work
from flows.progress import PlainReporter
from flows.runtime import InProcess
from flows.work import Work
from sorigil.audio.spec import AudioSpec
from sorigil.errors import RunError
from storage import files
from storage.catalog import Catalog
from storage.layout import Store
from storage.sources import ManifestSource, scan

pytest.importorskip("moto", reason="the S3 server of the tests is moto's: install the extra dev")

SOURCE = "s3://bucket/source"
ITEMS = 6


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3Server]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with s3_server() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        import boto3

        boto3.client("s3").create_bucket(Bucket="bucket")
        yield server
        files._s3.cache_clear()


def put_sound(name: str, seed: int, seconds: float = 0.3) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(seed, seconds), RATE, format="WAV", subtype="PCM_16")
    files.write_bytes(f"{SOURCE}/{name}", buffer.getvalue())


def put_source() -> None:
    rows = []
    for number in range(ITEMS):
        put_sound(f"{number}.wav", number)
        rows.append(json.dumps({"id": f"u{number}", "audio": f"{number}.wav", "text": "a"}))
    files.write_bytes(f"{SOURCE}/manifest.jsonl", "\n".join(rows).encode())


def store_in(folder: Path, root: str = "s3://bucket/store") -> tuple[Store, Catalog]:
    store = Store(root=root, catalog=f"sqlite:///{folder}/{root.rsplit('/', 1)[1]}.db", mlflow="").open()
    return store, Catalog(store.catalog, store.root)


def run(folder: Path, root: str = "s3://bucket/store") -> Prepared:
    store, catalog = store_in(folder, root)
    work = Work(store=store, dataset="far", base_uri=SOURCE, audio=AudioSpec(sample_rate=RATE), features=(LOG_MEL,))
    plan = plan_work(work, scan(ManifestSource(uri=f"{SOURCE}/manifest.jsonl")), catalog, workers=1)
    return do_plan(plan, InProcess(), PlainReporter(quiet=True), catalog, {})


def content(folder: Path, root: str = "s3://bucket/store") -> list[dict[str, Any]]:
    _, catalog = store_in(folder, root)
    table = catalog.read(catalog.version("far"), "utterances")
    return table.drop_columns(["audio_part", "audio_part_sha256"]).sort_by("id").to_pylist()


def test_each_object_is_read_once_and_again_only_when_it_changed(s3: S3Server, tmp_path: Path) -> None:
    put_source()
    s3.seen.clear()
    first = run(tmp_path)
    assert first.version.books["kept"]["items"] == ITEMS
    assert s3.gets(".wav") == {f"/bucket/source/{number}.wav": 1 for number in range(ITEMS)}
    second = run(tmp_path)
    assert not second.changed and sum(s3.gets(".wav").values()) == ITEMS
    put_sound("3.wav", 99, seconds=0.4)
    third = run(tmp_path)
    assert third.changed and third.state.new["items"] == 1
    assert s3.gets(".wav") == {f"/bucket/source/{number}.wav": 1 + (number == 3) for number in range(ITEMS)}


@pytest.mark.slow
def test_a_busy_store_is_asked_again(s3: S3Server, tmp_path: Path) -> None:
    put_source()
    run(tmp_path)
    count = itertools.count()
    s3.spoil = lambda request: {3: "error", 7: "torn"}.get(next(count) % 12)
    run(tmp_path, "s3://bucket/other")
    assert content(tmp_path, "s3://bucket/other") == content(tmp_path)


@pytest.mark.parametrize("fault", ["error", "torn"])
def test_an_upload_that_fails_for_good_commits_nothing_and_the_next_run_completes(
    s3: S3Server, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "S3_ATTEMPTS", 2)
    files._s3.cache_clear()
    put_source()
    run(tmp_path, "s3://bucket/undisturbed")
    s3.spoil = lambda request: (
        fault if request["REQUEST_METHOD"] == "PUT" and "/store/parts" in request["PATH_INFO"] else None
    )
    with caplog.at_level(logging.INFO), pytest.raises(RunError, match="units failed") as red:
        run(tmp_path)
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in caplog.text + str(red.value)
    store, catalog = store_in(tmp_path)
    assert catalog.version("far") is None and not list(files.walk(store.path("parts")))
    s3.spoil = lambda request: None
    run(tmp_path)
    assert content(tmp_path) == content(tmp_path, "s3://bucket/undisturbed")


@pytest.mark.parametrize("size", [100, 12 << 20], ids=["one PUT", "several parts"])
def test_a_failed_write_leaves_what_was_there(s3: S3Server, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(files, "S3_ATTEMPTS", 2)
    files._s3.cache_clear()
    place = "s3://bucket/file"
    files.write_bytes(place, b"old")
    s3.spoil = lambda request: "error" if request["REQUEST_METHOD"] in ("PUT", "POST") else None
    for target in (place, "s3://bucket/new"):
        with pytest.raises(OSError, match="503"):
            files.write_bytes(target, bytes(size))
    s3.spoil = lambda request: None
    assert files.read_bytes(place) == b"old" and not files.exists("s3://bucket/new")
    files.write_bytes(place, bytes(size))
    assert len(files.read_bytes(place)) == size
