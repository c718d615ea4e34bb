"""One training by two processes on workers: the model of one process, and what happens when one of them dies."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from yaml_world import make_project

from flows import config
from flows.pipeline import execute, plainly, road
from flows.progress import PlainReporter
from flows.run import Options, Run
from storage import bundles, checkpoints

STEPS = ("ingest", "prepare", "train")
ONE = ("transcribe=null", "train.letters.epochs=1", "train.which.model.dropout=0", "train.which.batch_seconds=4")
TWO = (*ONE, "train.which.processes=2")


def run(path: Path, *changes: str) -> dict[str, Any]:
    """On workers, but without Prefect."""
    loaded = config.load(path, changes, pipeline="tones")
    made = Run(
        config=loaded,
        pipeline=loaded.pipeline("tones"),
        reporter=PlainReporter(quiet=True),
        options=Options(steps=STEPS),
    )
    made.use_dask()
    try:
        road(made, plainly)
    finally:
        made.runner.close()
    return made.result()


def losses(path: Path, key: str) -> list[tuple[float, float]]:
    history = bundles.facts(config.load(path).storage.store(), key)["facts"]["history"]
    return [(row["train_loss"], row["loss"]) for row in history]


def one_process(folder: Path, *changes: str) -> tuple[str, list[tuple[float, float]]]:
    path = make_project(folder)
    loaded = config.load(path, changes, pipeline="tones")
    result = execute(loaded, "tones", Options(local=True, steps=STEPS), PlainReporter(quiet=True))
    assert result["status"] == "completed", result["errors"]
    return result["models"]["which"], losses(path, result["models"]["which"])


@pytest.mark.slow
def test_two_processes_make_the_model_of_one(tmp_path: Path) -> None:
    path = make_project(tmp_path / "two")
    result = run(path, *TWO)
    assert result["status"] == "completed", result["errors"]
    key, alone = one_process(tmp_path / "one", *ONE)
    assert result["models"]["which"] == key
    for theirs, ours in zip(losses(path, key), alone, strict=True):
        assert theirs == pytest.approx(ours, abs=1e-5)
    assert list((tmp_path / "two/store/runs").glob("*/trainings/*.parquet")) == []


@pytest.mark.slow
def test_a_process_that_dies_ends_the_training_and_the_next_run_goes_on(tmp_path: Path) -> None:
    path = make_project(tmp_path / "two")
    changes = (*TWO, "train.which.epochs=40")

    def kill_one() -> None:
        while not list((tmp_path / "two/store/checkpoints").glob("*/last.safetensors")):
            time.sleep(0.02)
        workers = [
            each for each in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(each.cmdline())
        ]
        workers[0].kill()

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    result = run(path, *changes)
    killer.join(10)
    assert result["status"] == "failed"
    assert "of 2 failed" in result["errors"][0]["message"] and "run again" in result["errors"][0]["message"]
    (checkpoint,) = (tmp_path / "two/store/checkpoints").glob("*/last.safetensors")
    store = config.load(path).storage.store()
    found = checkpoints.load(store, checkpoint.parent.name)
    assert found is not None and 1 <= found[1]["epoch"] < 40
    done = run(path, *changes)
    assert done["status"] == "completed", done["errors"]
    history = bundles.facts(store, done["models"]["which"])["facts"]["history"]
    assert history[: found[1]["epoch"]] == found[1]["history"]  # to the millisecond: these were not trained again
    key, alone = one_process(tmp_path / "one", *ONE, "train.which.epochs=40")
    assert done["models"]["which"] == key
    assert losses(path, key)[-1] == pytest.approx(alone[-1], abs=1e-3)


@pytest.mark.slow
def test_folds_are_trained_in_turn_each_by_two_processes(tmp_path: Path) -> None:
    folds = "train.which.folds={kind: k_fold, k: 2, stratify: label, dev: 0.2}"
    path = make_project(tmp_path, items=20)
    result = run(path, *TWO, folds, "train.which.epochs=1")
    assert result["status"] == "completed", result["errors"]
    together = [trial["model"] for trial in result["studies"][0]["trials"]]
    alone = make_project(tmp_path / "alone", items=20)
    loaded = config.load(alone, (*ONE, folds, "train.which.epochs=1"), pipeline="tones")
    one = execute(loaded, "tones", Options(local=True, steps=STEPS), PlainReporter(quiet=True))
    assert together == [trial["model"] for trial in one["studies"][0]["trials"]]
    for key in together:
        assert losses(path, key)[0] == pytest.approx(losses(alone, key)[0], abs=1e-5)


def test_processes_need_workers(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    loaded = config.load(path, TWO, pipeline="tones")
    result = execute(loaded, "tones", Options(local=True, steps=STEPS), PlainReporter(quiet=True))
    assert "processes is 2, and --local has no workers" in result["errors"][0]["message"]
    few = config.load(path, (*TWO, "cluster.workers=1"), pipeline="tones")
    made = Run(
        config=few, pipeline=few.pipeline("tones"), reporter=PlainReporter(quiet=True), options=Options(steps=STEPS)
    )
    made.use_dask()
    road(made, plainly)
    assert "processes is 2, but cluster.workers is 1" in made.errors[0]["message"]
