"""What MLflow is told can be found again by the key of the score. One test: MLflow takes seconds to start."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from sorigil.errors import RunError
from storage.experiments import Experiments, Registered
from storage.layout import Store


@pytest.mark.slow
def test_a_run_is_logged_whole_found_by_its_key_and_registered(tmp_path: Path) -> None:
    store = Store(root=str(tmp_path / "store"), catalog="", mlflow=f"sqlite:///{tmp_path}/deeper/mlflow.db")
    experiments = Experiments(store)
    assert experiments.find("tiny", "abc") is None
    history = [{"epoch": float(epoch), "loss": 1.0 / epoch, "dev_wer": 0.5} for epoch in range(1, 701)]
    run = experiments.log(
        experiment="tiny",
        name="words test",
        key="abc",
        params={"long": "x" * 7000, "none": None},
        tags={"dataset": "tiny"},
        history=history,
        metrics={"wer": 0.25},
        artifacts={"scores/utterances.parquet": b"PAR1", "가.txt": "가".encode()},
    )
    again = Experiments(store)
    assert (
        again.find("tiny", "abc") == run and again.find("tiny", "other") is None and again.find("none", "abc") is None
    )
    client = again._client
    found = client.get_run(run)
    assert found.info.status == "FINISHED" and found.data.tags["dataset"] == "tiny"
    assert found.data.metrics["wer"] == 0.25 and found.data.params["none"] == "None"
    curve = client.get_metric_history(run, "loss")
    assert [(point.step, point.value) for point in curve] == [(int(row["epoch"]), row["loss"]) for row in history]
    artifacts = tmp_path / "store" / "mlflow" / "tiny" / run / "artifacts"
    assert (artifacts / "scores" / "utterances.parquet").read_bytes() == b"PAR1"
    assert (artifacts / "가.txt").read_text() == "가"
    bundles = [str(tmp_path / "store" / "models" / name) for name in "kl"]
    for bundle, number in zip((*bundles, bundles[0]), ("1", "2", "1"), strict=True):
        assert again.register("words", run, bundle) == number, "found again, not made again"
        newest = Registered(name="words", version=number, bundle=bundle[-1], run=run)
        assert newest == again.version("words", alias="newest") == again.version("words", version=number)
    assert again.version("words", version="3") is None and again.version("words", alias="best") is None
    assert [run for run, _ in again.runs_called(run[:8], 8)] == [run] and again.runs_called(run[:7], 8) == []
    assert not (Path.cwd() / "mlruns").exists()


@pytest.mark.slow  # MLflow tries a locked database for twenty seconds
@pytest.mark.parametrize(("state", "said"), [("locked", "database is locked"), ("damaged", "not a database")])
def test_a_database_that_cannot_be_read_is_named(tmp_path: Path, state: str, said: str) -> None:
    database = tmp_path / "mlflow.db"
    store = Store(root=str(tmp_path), catalog="", mlflow=f"sqlite:///{database}")
    if state == "damaged":
        database.write_bytes(b"something else" * 1000)
    with contextlib.closing(sqlite3.connect(database)) as other:
        if state == "locked":
            Experiments(store)
            other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunError, match=said) as wrong:
            Experiments(store)
    assert str(wrong.value).startswith(f"{database}: ") and "\n" not in str(wrong.value)
