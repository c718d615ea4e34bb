"""A file that crashes, hangs or floods the decoder kills workers, not the run: it ends alone in the quarantine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import World
from poison import INJECTED, poisoned_wav

from flows.on_dask import OnDask
from flows.plan import make_plan
from flows.prepare import Prepared, do_plan
from flows.progress import PlainReporter
from storage import tables
from tasks.breadcrumb import Deadline

pytestmark = pytest.mark.slow

FAULTS = {"crash": "worker_died", "hang": "hung", "flood": "out_of_memory"}
GOOD = 24


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[OnDask]:
    """Two workers in which the faults are real; this process itself has none of them."""
    here = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(INJECTED), here, os.environ.get("PYTHONPATH", "")]))
    runner = OnDask(workers=2, memory="700MiB")
    yield runner
    runner.close()


def fill(world: World, *faults: str) -> World:
    """Good files with the poisoned ones among them, and a broken one."""
    world.settings["deadline"] = Deadline(seconds=15.0, seconds_per_mb=0.0)
    for number in range(GOOD):
        world.add(f"u{number}", seed=number)
        if number % 7 == 3 and number // 7 < len(faults):
            fault = faults[number // 7]
            world.add_bytes(fault, poisoned_wav(fault, number))
    world.add_bytes("broken", b"<html>")
    return world


def run(world: World, runner: OnDask, **options: Any) -> Prepared:
    plan = world.plan(workers=runner.workers, **options)
    return do_plan(plan, runner, PlainReporter(quiet=True), world.catalog, {})


def rows(world: World, table: str, *without: str) -> list[dict[str, Any]]:
    """A version's rows but for where they lie, in the order of their ids."""
    found = [{name: row[name] for name in row if name not in without} for row in world.read(table)]
    return sorted(found, key=str)


def test_poison_items_end_alone_in_the_quarantine_and_all_else_is_done(tmp_path: Path, runner: OnDask) -> None:
    clean, world = fill(World(tmp_path / "clean")), fill(World(tmp_path / "world"), *FAULTS)
    clean.run()
    done = run(world, runner)

    places = ("stamp", "audio_part", "audio_row", "audio_part_sha256", "part", "part_sha256", "row")
    for table in ("utterances", "features"):
        assert rows(world, table, *places) == rows(clean, table, *places)
    assert world.quarantine() == {"broken": "not_audio", **FAULTS}
    books = done.state.books
    assert books["scanned"]["items"] == GOOD + 4 == books["kept"]["items"] + books["quarantined"]["items"]

    found = {row["id"]: row for row in world.read("quarantine")}
    for fault in FAULTS:
        data = (world.source / f"{fault}.wav").read_bytes()
        assert (found[fault]["stage"], found[fault]["sha256"]) == ("worker", hashlib.sha256(data).hexdigest())
    assert "Segmentation fault in flows/injected/sitecustomize.py" in found["crash"]["detail"]
    assert "it had 15 s" in found["hang"]["detail"]

    # The next night it is remembered: nothing to do, nobody dies. Also where no version was committed: in the ledger.
    assert not world.plan().units
    nothing = {name: tables.empty(schema) for name, schema in tables.SCHEMAS.items()}
    plan = make_plan(world.work(), world.items(), None, nothing, workers=1)
    assert not plan.units and len(plan.known) == GOOD + 4

    # Asked differently it may work, and so it may with another decoder: this process has no fault in it.
    other = world.plan(features=())
    assert sorted(name for unit in other.units for name in unit.items.column("id").to_pylist()) == sorted(FAULTS)
    world.run(retry=True)
    assert world.quarantine() == {"broken": "not_audio"} and len(world.kept()) == GOOD + 3
