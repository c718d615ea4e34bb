"""Bugs that were mended: one test each, named after what went wrong."""

from __future__ import annotations

import signal
from pathlib import Path

from conftest import World
from yaml_world import make_project

from flows import config
from flows.pipeline import pending
from flows.progress import PlainReporter
from flows.run import Options, Run
from flows.runtime import _program


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
