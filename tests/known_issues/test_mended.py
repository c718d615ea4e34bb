"""Bugs that were mended: one test each, named after what went wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import World
from units_for_dask import Unit
from yaml_world import environment, make_project

from flows import config
from flows.on_dask import _program
from flows.pending import pending
from flows.progress import PlainReporter
from flows.run import Options, Run, _new_id
from storage.layout import Store


def test_comparing_versions_with_the_workers_does_not_make_the_driver_deaf_to_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGINT)
    _program()
    assert signal.getsignal(signal.SIGINT) is before


def test_remembered_rejection_at_44100_hz_makes_no_second_version(world: World) -> None:
    world.add("good")
    world.add("short", seconds=0.01, rate=44100)  # 441 samples: not a whole number of microseconds
    assert world.run().version.name == "v1"
    again = world.run()
    assert again.version.name == "v1" and not again.changed


def test_archive_with_a_broken_recording_is_done_after_one_run(tmp_path: Path) -> None:
    from flows.pipeline import execute

    path = make_project(tmp_path, items=10)
    quiet = PlainReporter(quiet=True)
    loaded = config.load(path, ["train.letters.epochs=1", "train.which.epochs=1"], pipeline="tones")
    execute(loaded, "tones", Options(local=True), quiet)
    assert pending(Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=quiet)) == []


def test_preparing_alone_does_not_ask_for_trained_models(tmp_path: Path) -> None:
    from flows.pipeline import execute

    path = make_project(tmp_path, items=4)
    result = execute(
        config.load(path), "tones", Options(local=True, steps=("ingest", "prepare")), PlainReporter(quiet=True)
    )
    assert result["status"] == "completed" and result["errors"] == []


def test_two_first_runs_at_once_make_one_tracking_database(world: World) -> None:
    address = f"sqlite:///{world.folder}/fresh/mlflow.db"
    code = (
        "from storage.layout import Store; from storage.experiments import Experiments; "
        f"Experiments(Store(root={str(world.folder)!r}, catalog='', mlflow={address!r})).find('a', 'b')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=120)[1] for each in running]
    assert [each.returncode for each in running] == [0, 0], said


def test_ctrl_c_in_a_destructor_is_not_forgotten() -> None:
    """Python prints and drops an exception that is raised there; a run once went on to its end after Ctrl-C."""
    code = """
import os, signal
from flows import interrupt

class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(100000))

interrupt.listen()
Closing()
try:
    interrupt.check()
except KeyboardInterrupt:
    print("stopped")
"""
    command = ["env", "--default-signal=INT", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Exception ignored" in done.stderr
    assert done.stdout.strip() == "stopped"


def test_a_crash_is_placed_in_our_package_whatever_the_clone_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import breadcrumb

    said = b'Fatal Python error: Segmentation fault\n\n  File "/home/me/sorigil/storage/files.py", line 7 in read\n'
    monkeypatch.setattr(breadcrumb.scratch, "read", lambda *_: said)
    assert breadcrumb._last_words(1) == "Segmentation fault in storage/files.py:7"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends the worker")
def test_a_worker_deep_in_native_code_does_not_outlive_a_killed_driver(tmp_path: Path) -> None:
    unit = Unit(store=Store(root=str(tmp_path), catalog="", mlflow=""), unit="it", does="linger")
    code = (
        "from flows.on_dask import OnDask; from storage.layout import Store; from units_for_dask import Unit, work; "
        f"list(OnDask(workers=1).run(work, [{unit!r}]))"
    )
    path = [Path(__file__).parents[1] / "flows"]
    driver = subprocess.Popen([sys.executable, "-c", code], env=environment(tmp_path, path))
    until = time.monotonic() + 60
    while not unit.runs.exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)  # from its first line to the native code
    started = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    _, living = psutil.wait_procs(started, timeout=10)
    for each in living:
        each.kill()
    assert started and not living


def test_of_two_runs_in_one_second_the_later_one_is_the_last() -> None:
    names = [_new_id() for _ in range(200)]
    assert [name[:-3] for name in names] == sorted(name[:-3] for name in names)
    assert len(set(names)) == len(names)
