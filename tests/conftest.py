"""What many tests share: hypothesis' profiles, and a tiny world of a source, a store and a catalogue in a temporary folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, settings
from s3_server import CREDENTIALS, S3Server, s3_server

from flows.plan import Plan
from flows.prepare import Prepared, do_plan, plan_work
from flows.progress import PlainReporter
from flows.runtime import InProcess
from flows.work import Work
from sorigil.audio.spec import AudioSpec
from sorigil.features import LogMel
from storage.catalog import Catalog
from storage.layout import Store
from storage.sources import ManifestSource, scan

# Wall time says nothing on a shared machine; in CI the same examples every time.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

RATE = 8000
LOG_MEL = LogMel(n_fft=256, win_length=200, hop_length=80, n_mels=20)


def tone(seed: int, seconds: float = 0.3, rate: int = RATE) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A noisy tone, another one for each seed."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 2000) * time) + 0.05 * rng.standard_normal(len(time))
    return sound.astype(np.float32)


@dataclass
class World:
    """A manifest source that tests write row by row, and the store that it is prepared into."""

    folder: Path
    dataset: str = "tiny"
    rows: list[dict[str, Any] | str] = field(default_factory=list)  # a string is a raw line
    settings: dict[str, Any] = field(default_factory=dict)  # of every Work

    def __post_init__(self) -> None:
        self.source.mkdir(parents=True, exist_ok=True)
        root = self.folder / "store"
        self.store = Store(root=str(root), catalog=f"sqlite:///{root}/catalog.db", mlflow=f"sqlite:///{root}/mlflow.db")
        self.catalog = Catalog(self.store.catalog, self.store.root)

    @property
    def source(self) -> Path:
        return self.folder / "source"

    def sound(self, name: str, seed: int = 0, seconds: float = 0.3, rate: int = RATE) -> Path:
        path = self.source / name
        soundfile.write(path, tone(seed, seconds, rate), rate, subtype="PCM_16")
        return path

    def add(self, id: str, seed: int | None = None, *, name: str | None = None, **row: Any) -> Path:
        """A file and its manifest row; `seed` defaults to another sound for each row."""
        name = name or f"{id}.wav"
        made = {key: row.pop(key) for key in ("seconds", "rate") if key in row}
        path = self.sound(name, len(self.rows) if seed is None else seed, **made)
        self.rows.append({"id": id, "audio": name, **row})
        return path

    def add_bytes(self, id: str, data: bytes, **row: Any) -> None:
        (self.source / f"{id}.wav").write_bytes(data)
        self.rows.append({"id": id, "audio": f"{id}.wav", **row})

    def row(self, id: str) -> dict[str, Any]:
        return next(row for row in self.rows if isinstance(row, dict) and row["id"] == id)

    def items(self) -> Any:
        manifest = self.source / "manifest.jsonl"
        lines = [row if isinstance(row, str) else json.dumps(row) for row in self.rows]
        manifest.write_text("".join(line + "\n" for line in lines))
        return scan(ManifestSource(uri=str(manifest)))

    def work(self, **changes: Any) -> Work:
        given = {"audio": AudioSpec(sample_rate=RATE), "features": (LOG_MEL,), "max_rejected": 1.0, "max_vanished": 1.0}
        given |= {"store": self.store, "dataset": self.dataset, "base_uri": str(self.source)}
        return Work(**{**given, **self.settings, **changes})

    def plan(self, *, retry: bool = False, workers: int = 1, **changes: Any) -> Plan:
        return plan_work(self.work(**changes), self.items(), self.catalog, workers=workers, retry=retry)

    def do(self, plan: Plan) -> Prepared:
        return do_plan(plan, InProcess(), PlainReporter(quiet=True), self.catalog, {})

    def run(self, **options: Any) -> Prepared:
        return self.do(self.plan(**options))

    def read(self, table: str, version: str | None = None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.catalog.read(self.catalog.version(self.dataset, version), table).to_pylist()
        return rows

    def kept(self, version: str | None = None) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self.read("utterances", version)}

    def quarantine(self, version: str | None = None) -> dict[str, str]:
        """Reason by id, of what is in the quarantine table."""
        return {row["id"]: row["reason"] for row in self.read("quarantine", version)}

    def texts(self, version: str | None = None, tier: str = "reference") -> dict[str, str]:
        ids = {row["key"]: row["id"] for row in self.read("utterances", version)}
        return {ids[row["key"]]: row["value"] for row in self.read("annotations", version) if row["tier"] == tier}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3Server]:
    """An S3 server with an empty `s3://bucket`, for this process and those it starts."""
    pytest.importorskip("moto", reason="the S3 server of the tests is moto's: install the extra dev")
    import boto3

    for name, value in {**CREDENTIALS, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with s3_server() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield server
