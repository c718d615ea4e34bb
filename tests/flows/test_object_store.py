"""A store and a source behind s3://, on a real server: each object is read once, and faults leave nothing torn."""

from __future__ import annotations

import io
import itertools
import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile
from conftest import LOG_MEL, RATE, tone
from s3_server import CREDENTIALS, S3Server

from flows.prepare import Prepared, do_plan, plan_work
from flows.progress import PlainReporter
from flows.runtime import InProcess
from flows.work import Work
from sorigil.audio.spec import AudioSpec
from sorigil.errors import RunError
from storage import archives, files
from storage import s3 as s3_module
from storage.catalog import Catalog
from storage.layout import Store
from storage.sources import ManifestSource, scan

SOURCE = "s3://bucket/source"
ITEMS = 6


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
    monkeypatch.setattr(s3_module, "ATTEMPTS", 2)
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


@pytest.mark.parametrize("fault", ["error", pytest.param("hang", marks=pytest.mark.slow)])
def test_an_outage_of_the_source_is_no_verdict_on_its_items(
    s3: S3Server, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "ATTEMPTS", 1)
    monkeypatch.setattr(s3_module, "REQUEST_SECONDS", 2)
    put_source()
    run(tmp_path, "s3://bucket/undisturbed")
    s3.spoil = lambda request: (
        fault if request["REQUEST_METHOD"] == "GET" and request["PATH_INFO"].endswith(".wav") else None
    )
    began = time.monotonic()
    with pytest.raises(RunError, match=r"units failed.*AWS Error"):
        run(tmp_path)
    assert time.monotonic() - began < 60
    s3.spoil = lambda request: None
    run(tmp_path)
    assert content(tmp_path) == content(tmp_path, "s3://bucket/undisturbed")


def test_an_outage_while_an_archive_is_listed_is_no_verdict_on_its_members(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "ATTEMPTS", 1)
    (tmp_path / "in.wav").write_bytes(b"x")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "tar", tmp_path, "in.wav"))
    files.write_bytes("s3://bucket/packed.tar", packed.read_bytes())
    s3.spoil = lambda request: "error" if request["REQUEST_METHOD"] == "GET" else None
    with pytest.raises(OSError, match="503"):
        archives.entries("s3://bucket/packed.tar")
    s3.spoil = lambda request: None
    assert list(archives.entries("s3://bucket/packed.tar")) == ["s3://bucket/packed.tar!in.wav"]
