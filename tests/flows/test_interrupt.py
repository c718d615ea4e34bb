"""Ctrl-C: the whole group of processes hears it, the run ends in seconds with 130, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from test_kill import ITEMS, content, wait_for_units
from yaml_world import environment, make_project, sorigil

from flows import config
from storage.catalog import Catalog

pytestmark = pytest.mark.slow


def test_an_interrupted_run_is_clean_quick_and_can_go_on(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=ITEMS)
    # Whoever runs the tests in the background of a shell hands SIGINT on as ignored; a terminal's command hears it.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "flows.cli", "prepare", "tones", "--json"]
    running = subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    wait_for_units(path, 1, running)
    started = psutil.Process(running.pid).children(recursive=True)
    began = time.monotonic()
    os.killpg(running.pid, signal.SIGINT)
    _, stderr = running.communicate(timeout=120)
    took = time.monotonic() - began
    assert running.returncode == 130, stderr
    assert "interrupted; what was finished is kept" in stderr and "bug" not in stderr
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    assert took < 30, f"{took:.0f} s to end"
    store = config.load(path).storage.store()
    assert Catalog(store.catalog, store.root).version("tones") is None
    assert sorigil("prepare", "tones", "--local", cwd=tmp_path).returncode == 0
    assert content(path)["books"]["scanned"]["items"] == ITEMS + 1
