"""Kill it anywhere, run it again, same result: SIGKILL of the driver and of a worker in the middle of prepare."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from yaml_world import environment, make_project, sorigil

from flows import config
from storage.catalog import Catalog

ITEMS = 800
pytestmark = pytest.mark.slow


def start(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.cli", "prepare", "tones", "--json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=path.parent, env=environment(path.parent), stdout=pipe, stderr=pipe, text=True)


def wait_for_units(path: Path, number: int, running: subprocess.Popen[str]) -> None:
    """Until so many units have finished while others have not."""
    for _ in range(6000):
        if len(list((path.parent / "store/units").glob("*/*/*.parquet"))) >= number:
            return
        assert running.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    raise AssertionError("no unit was finished in a minute")


def content(path: Path) -> dict[str, Any]:
    """Everything that a version says and holds, without names of parts and times."""
    store = config.load(path).storage.store()
    catalog = Catalog(store.catalog, store.root)
    version = catalog.version("tones")
    assert version is not None
    utterances = catalog.read(version, "utterances").drop_columns(
        ["audio_part", "audio_row", "audio_part_sha256", "stamp"]
    )
    features = {}
    for row in catalog.read(version, "features").to_pylist():
        table = pq.read_table(store.path(row["part"]))
        features[row["feature_key"]] = table.column("values")[row["row"]].as_py()
    quarantine = catalog.read(version, "quarantine").select(["id", "reason", "detail", "books", "seconds"])
    return {
        "utterances": utterances.sort_by("id").to_pylist(),
        "features": features,
        "annotations": catalog.read(version, "annotations").drop_columns(["when"]).sort_by("key").to_pylist(),
        "quarantine": quarantine.sort_by("id").to_pylist(),
        "books": version.books,
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = make_project(tmp_path_factory.mktemp("undisturbed"), items=ITEMS)
    assert sorigil("prepare", "tones", "--local", cwd=path.parent).returncode == 0
    return content(path)


def test_killed_driver_loses_nothing(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    path = make_project(tmp_path, items=ITEMS)
    running = start(path)
    wait_for_units(path, 1, running)
    workers = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGKILL)
    running.wait()
    psutil.wait_procs(workers, timeout=30)
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    store = config.load(path).storage.store()
    assert Catalog(store.catalog, store.root).version("tones") is None, "a killed run must commit nothing"
    finished = len(list((path.parent / "store/units").glob("*/*/*.parquet")))
    again = sorigil("prepare", "tones", "--json", cwd=path.parent)
    result = json.loads(again.stdout)
    assert again.returncode == 0, again.stderr
    assert result["work"]["reused"]["items"] > 0 and finished > 0, "what was finished must be found again"
    assert content(path) == undisturbed


def test_killed_worker_is_replaced_and_its_unit_done_again(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    path = make_project(tmp_path, items=ITEMS)
    running = start(path)
    wait_for_units(path, 1, running)
    busy = [child for child in psutil.Process(running.pid).children(recursive=True) if is_worker(child)]
    assert busy, "no worker process was found"
    os.kill(busy[0].pid, signal.SIGKILL)
    stdout, stderr = running.communicate(timeout=240)
    assert running.returncode == 0, stderr
    assert json.loads(stdout)["status"] == "completed"
    assert content(path) == undisturbed


def is_worker(process: psutil.Process) -> bool:
    """A Dask worker is a spawned child of its nanny that has opened our code; the nanny lives in the driver."""
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "spawn_main" in line
