"""The scheduler dies, the disk is full, two runs at once, the clock jumps: the run is red or right, and the next one completes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import World

from flows.on_dask import OnDask
from flows.plan import Plan
from flows.prepare import do_plan
from flows.progress import PlainReporter, Progress
from sorigil.errors import RunError
from storage import files
from storage.catalog import CommitLostError

QUIET = PlainReporter(quiet=True)
PLACES = ("stamp", "audio_part", "audio_row", "audio_part_sha256", "part", "part_sha256", "row")


def fill(folder: Path, items: int = 12) -> World:
    world = World(folder)
    for number in range(items):
        world.add(f"u{number}", seed=number)
    world.add_bytes("broken", b"<html>")
    return world


def content(world: World) -> dict[str, Any]:
    """What a version says, but for where things lie and when."""
    version = world.catalog.version(world.dataset)
    assert version is not None
    books = version.books
    lines = [books[name]["items"] for name in ("kept", "filtered", "duplicate", "quarantined")]
    assert books["scanned"]["items"] == sum(lines), "the books must balance"
    rows = {
        table: sorted(({k: v for k, v in row.items() if k not in PLACES} for row in world.read(table)), key=str)
        for table in ("utterances", "features")
    }
    return {**rows, "quarantine": world.quarantine(), "books": books}


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, Any]:
    world = fill(tmp_path / "undisturbed")
    world.run()
    return content(world)


# -- the scheduler -------------------------------------------------------------------------------------------------------


class Cluster:
    """A scheduler and a worker that were started by somebody else."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self._environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.scheduler = self._start("scheduler", "--scheduler-file", str(self._file), "--no-dashboard")
        self.worker = self._start(
            "worker", "--scheduler-file", str(self._file), "--nthreads", "1", "--no-dashboard", "--death-timeout", "60"
        )
        until = time.monotonic() + 60
        while not self._file.exists() and time.monotonic() < until:
            time.sleep(0.1)

    def _start(self, *what: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + what[0], "--host", "127.0.0.1", *what[1:]]
        return subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL, start_new_session=True)

    @property
    def address(self) -> str:
        import json

        return str(json.loads(self._file.read_text())["address"])

    def close(self) -> None:
        for process in (self.worker, self.scheduler):
            process.terminate()
        for process in (self.worker, self.scheduler):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


class KillsTheScheduler(PlainReporter):
    """After the first unit."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(quiet=True)
        self._cluster = cluster

    def progress(self, progress: Progress) -> None:
        self._cluster.scheduler.kill()


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_run_red_and_the_next_one_completes(
    tmp_path: Path, cluster: Cluster, undisturbed: dict[str, Any]
) -> None:
    world = fill(tmp_path / "world")
    runner = OnDask(workers=1, scheduler=cluster.address)
    began = time.monotonic()
    try:
        with pytest.raises(RunError, match=r"the Dask scheduler \(tcp://.*\) is gone.*run again"):
            do_plan(world.plan(), runner, KillsTheScheduler(cluster), world.catalog, {})
    finally:
        runner.close()
    assert time.monotonic() - began < 120
    assert world.catalog.version("tiny") is None
    world.run()
    assert content(world) == undisturbed


# -- the disk --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A megabyte of disk."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_told_and_leaves_nothing_half(
    tmp_path: Path, small_disk: Path, undisturbed: dict[str, Any]
) -> None:
    world = fill(tmp_path / "world")
    parts = Path(world.store.root) / "parts"
    parts.symlink_to(small_disk)
    filler = small_disk / "filler"
    filler.write_bytes(bytes((1 << 20) - (40 << 10)))
    with pytest.raises(RunError, match=r"No space left|disk"):
        world.run()
    assert world.catalog.version("tiny") is None
    filler.unlink()
    world.run()
    assert content(world) == undisturbed
    assert not list(files.leftovers(str(small_disk)))


# -- two at once -----------------------------------------------------------------------------------------------------------


def test_of_two_runs_at_once_one_loses_and_finds_the_others_version(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    world = fill(tmp_path / "world")
    plans = [world.plan(), world.plan()]
    outcomes: list[Any] = []

    def run(plan: Plan) -> None:
        try:
            outcomes.append(world.do(plan).version.name)
        except CommitLostError:
            outcomes.append("lost")

    threads = [threading.Thread(target=run, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost", "v1"]
    again = world.run()
    assert not again.changed and not world.plan().units
    assert content(world) == undisturbed


# -- the clock -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("years", [-30, 30])
def test_files_from_another_time_are_files(tmp_path: Path, undisturbed: dict[str, Any], years: int) -> None:
    world = fill(tmp_path / "world")
    moment = time.time() + years * 365 * 86400
    for path in world.source.iterdir():
        os.utime(path, (moment, moment))
    world.run()
    assert content(world) == undisturbed and not world.plan().units


def test_a_clock_that_goes_back_changes_nothing_but_the_times(
    tmp_path: Path, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = fill(tmp_path / "world")
    moments = iter(f"20{90 - number}-01-01T00:00:00+00:00" for number in range(90))
    for module in ("storage.quarantine", "flows.assemble"):
        monkeypatch.setattr(f"{module}.now", lambda: next(moments))
    world.run()
    world.row("u1")["text"] = "corrected"
    world.run()
    assert [version.name for version in world.catalog.versions("tiny")] == ["v1", "v2"]
    assert not world.run().changed and content(world) == undisturbed
