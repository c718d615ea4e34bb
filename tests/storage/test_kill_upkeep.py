"""Real SIGKILLs while a store is being kept: whatever was going on, the versions that stay read as before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import LOG_MEL, World

from storage.dataset import StoredRows, open_dataset
from storage.verify import verify
from tasks.units import feature_spec_key

pytestmark = pytest.mark.slow

# One program; it dies by its own hand at the N-th call of what is on disk the last step before something changes.
PROGRAM = """
import os, signal, sys
from datetime import timedelta
from storage import collect, compact, erase, files, rewrite
from storage.catalog import Catalog
from storage.layout import Store
from storage.streams import NewFile
from storage.traces import find

root, verb, after = sys.argv[1], sys.argv[2], [int(sys.argv[3])]

def dying(real):
    def call(*arguments, **named):
        if not after[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        after[0] -= 1
        return real(*arguments, **named)
    return call

files.remove = dying(files.remove)
NewFile.commit = dying(NewFile.commit)
Catalog.writable = dying(Catalog.writable)
store = Store(root=root, catalog=f"sqlite:///{root}/catalog.db", mlflow="")
catalog = Catalog(store.catalog, root)
if verb == "prune":
    collect.prune(store, catalog, collect.plan_pruning(store, catalog, "tiny", keep=1, min_age=timedelta(0)))
elif verb == "compact":
    compact.compact(store, catalog, catalog.version("tiny"))
else:
    erase.erase(store, catalog, "tiny", find(store, catalog, "tiny", (("speaker", "eve"),), None))
"""


@pytest.fixture
def nights(world: World) -> World:
    for night in range(3):
        world.add(f"a{night}", 2 * night, text=f"a {night}", speaker="adam")
        world.add(f"e{night}", 2 * night + 1, text=f"e {night}", speaker="eve")
        if night == 1:
            del world.rows[0]
        world.run()
    return world


def content(world: World, version: str | None = None) -> dict[str, Any]:
    feature = feature_spec_key(world.work().audio, LOG_MEL)
    table = open_dataset(world.catalog, world.catalog.version(world.dataset, version), feature)
    audio, features = StoredRows(world.store, table, audio=True), StoredRows(world.store, table)
    return {
        id: (audio.flac(row), features.features(row).tobytes()) for row, id in enumerate(table.column("id").to_pylist())
    }


def run(world: World, verb: str, after: int) -> int:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PROGRAM, world.store.root, verb, str(after)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.mark.parametrize("verb", ["prune", "compact", "erase"])
def test_killed_again_and_again_and_then_finished(nights: World, verb: str) -> None:
    before = content(nights)
    adam = {id: row for id, row in before.items() if id.startswith("a")}
    killed = 0
    for after in (0, 1, 3, 6, 12):
        killed += run(nights, verb, after) == -signal.SIGKILL
        now = content(nights)
        assert now in (before, adam) if verb == "erase" else now == before
    assert killed, "nothing was killed: the program does not die where it should"
    assert run(nights, verb, 10**6) == 0
    assert content(nights) == (adam if verb == "erase" else before)
    assert not [damage for damage in verify(nights.store, nights.catalog, nights.dataset).damage if damage.latest]
    assert len(nights.catalog.versions(nights.dataset)) == {"prune": 1, "compact": 4, "erase": 1}[verb]
