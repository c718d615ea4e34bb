"""Inner folds: points are compared within the training rows of each fold alone, and the winner is trained on all of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from test_study import left, load, make_project, run
from yaml_world import environment, sorigil

from flows import config
from flows.progress import PlainReporter
from flows.run import Run
from flows.steps import latest
from flows.study import Study
from flows.study_plan import Planner
from sorigil.report.summary import summary
from storage import bundles, files
from storage.experiments import Experiments

NESTED = (
    "train.which.folds={kind: leave_one_out, only: [s0, s1], dev: 0}",
    "train.which.inner_folds=3",
    "train.which.sweep={learning_rate: [1e-5, 1e-2]}",
    "train.which.epochs=2",
)


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = make_project(tmp_path_factory.mktemp("nested"))
    return path, run(path, *NESTED)


def plan(path: Path, *changes: str) -> Study:
    loaded = load(path, *changes)
    there = Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=PlainReporter(quiet=True))
    latest(there)
    return Planner(there, there.pipeline.train[0]).study()


def trials(result: dict[str, Any], inner: bool) -> list[dict[str, Any]]:
    return [trial for trial in result["studies"][0]["trials"] if bool(trial["inner"]) == inner]


def test_each_fold_compares_on_inner_folds_and_trains_what_won_on_all_its_rows(
    nested: tuple[Path, dict[str, Any]],
) -> None:
    path, result = nested
    assert result["status"] == "completed", result["errors"]
    store = config.load(path).storage.store()
    compared, winners = trials(result, inner=True), trials(result, inner=False)
    assert [trial["inner"] for trial in compared] == ["0/3", "1/3", "2/3"] * 4
    for trial in compared:  # thirty rows of three speakers, one of whom is held out
        rows = bundles.facts(store, trial["model"])["facts"]["rows"]
        assert (rows["train"], rows["dev"], rows["test"]) == (20, 10, 0)
        assert not trial["chosen"] and not trial["scores"]
    for fold, winner in zip(("s0", "s1"), winners, strict=True):
        rows = bundles.facts(store, winner["model"])["facts"]["rows"]
        assert (winner["fold"], rows) == (fold, {"train": 30, "dev": 0, "test": 10})
        means = {}
        for rate in (1e-5, 1e-2):
            of_point = [each for each in compared if (each["fold"], each["point"]) == (fold, {"learning_rate": rate})]
            last = [bundles.facts(store, each["model"])["facts"]["history"][-1]["loss"] for each in of_point]
            assert [each["dev"] for each in of_point] == last  # the winner has no dev rows: its last epoch counts too
            means[rate] = sum(last) / 3
        assert winner["point"]["learning_rate"] == min(means, key=means.__getitem__)
        assert winner["chosen"] and {row["n"] for row in winner["scores"]} == {10}
    choices = [choice for choice in result["studies"][0]["choices"] if choice["chosen"]]
    assert [(each["fold"], each["point"]) for each in choices] == [(each["fold"], each["point"]) for each in winners]
    assert all(choice["n"] == 3 and choice["min"] <= choice["mean"] <= choice["max"] for choice in choices)


def test_a_winner_is_the_model_that_its_fold_and_point_alone_give(nested: tuple[Path, dict[str, Any]]) -> None:
    path, result = nested
    winner = trials(result, inner=False)[1]
    alone = ("split={by: speaker, test: [s1], dev: 0}", f"train.which.learning_rate={winner['point']['learning_rate']}")
    found = run(path, *alone, "train.which.epochs=2", steps=("ingest", "prepare", "train"))
    assert found["models"]["which"] == winner["model"]


def test_the_test_rows_have_no_say(tmp_path: Path) -> None:
    """Other labels of the speaker who is left out give the same comparisons, to the bit of their names."""
    path = make_project(tmp_path)
    run(path, steps=("ingest", "prepare"))
    before = {trial.label: trial.key for trial in plan(path, *NESTED).trials}
    manifest = tmp_path / "source/manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        if row["speaker"] == "s0":
            row["label"] = {"low": "high", "high": "low"}[row["label"]]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(path, steps=("ingest", "prepare"))
    after = {trial.label: trial.key for trial in plan(path, *NESTED).trials}
    same = {label.split(",")[0]: before[label] == after[label] for label in before}
    assert same == {"s0": True, "s1": False}


def test_what_is_there_is_found_and_what_is_missing_is_said(nested: tuple[Path, dict[str, Any]]) -> None:
    path, result = nested
    assert left(path, *NESTED) == []
    again = run(path, *NESTED)
    assert (again["studies"][0]["trainings"], again["studies"][0]["cached"]) == (14, 14)
    assert again["mlflow_run_ids"] == result["mlflow_run_ids"]
    assert run(path, *NESTED, steps=("evaluate",))["studies"][0]["summary"] == result["studies"][0]["summary"]
    store = config.load(path).storage.store()
    for inner, said in ((True, "1 of 12 trainings on inner folds, and then 2 of what they choose"), (False, "1 of 14")):
        one = trials(result, inner)[0]["model"]
        files.remove(store.path(f"{store.model(one)}/model.json"))
        assert left(path, *NESTED)[0].startswith(f"train which: {said}")
        assert "run the step train first" in run(path, *NESTED, steps=("evaluate",))["errors"][0]["message"]
        assert run(path, *NESTED)["studies"][0]["cached"] == 13


def test_the_tables_say_what_won_where(nested: tuple[Path, dict[str, Any]]) -> None:
    path, result = nested
    said = summary(result)
    assert "14 trainings" in said and "inner loss" in said and said.count("chosen") == 2
    assert said.count("1e-05") + said.count("0.01") == 6  # four that were compared, two that won
    page = Path(result["report"]).read_text()
    assert "<th>inner loss</th>" in page and page.count("<td>chosen</td>") == 2
    client = Experiments(config.load(path).storage.store())._client
    parent = client.get_run(result["mlflow_run_ids"][0])
    assert parent.data.params["inner_folds"] == "3"
    assert "| chosen |" in Path(client.download_artifacts(parent.info.run_id, "study.md")).read_text()
    below = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    names = {child.info.run_name: child for child in below}
    assert len(names) == 14
    inner = names["which s0, inner 1/3, learning_rate=0.01, seed=0"]
    assert "loss" in inner.data.metrics and client.list_artifacts(inner.info.run_id) == []


def near(one: Any, other: Any) -> bool:
    """Equal but for the last digits: a worker has one thread, this process several, which add in another order."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(near(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(near, one, other))
    return bool(one == (pytest.approx(other, rel=1e-3, abs=1e-6) if isinstance(one, float) else other))


@pytest.mark.slow
def test_killed_among_its_inner_folds_it_goes_on_to_the_same_choices(
    nested: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """On workers, where the fixture trained in this process."""
    make_project(tmp_path)
    command = ["run", "tones", "--json", *(part for change in NESTED for part in ("--set", change))]
    running = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *command],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while len(list((tmp_path / "store/models").glob("*/model.json"))) < 3:
        assert running.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    running.kill()
    running.wait()
    done = sorigil(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (study,), (expected,) = json.loads(done.stdout)["studies"], nested[1]["studies"]
    assert 3 <= study["cached"] < study["trainings"] == 14
    assert [trial["model"] for trial in study["trials"]] == [trial["model"] for trial in expected["trials"]]
    assert near([study["choices"], study["summary"]], [expected["choices"], expected["summary"]])


def test_without_folds_the_pipeline_s_own_split_is_nested(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    result = run(path, *NESTED[1:], "train.which.folds=null", "train.which.sweep.seed=[0, 1]", "split.dev=0.25")
    assert result["status"] == "completed", result["errors"]
    compared, winners = trials(result, inner=True), trials(result, inner=False)
    assert (len(compared), len(winners)) == (12, 2) and {choice["n"] for choice in result["studies"][0]["choices"]} == {
        6
    }
    assert [trial["seed"] for trial in winners] == [0, 1] and len({str(trial["point"]) for trial in winners}) == 1
    assert result["models"]["which"] == winners[0]["model"]
    store = config.load(path).storage.store()
    for trial in compared:  # the winner has dev rows, by which its epoch is chosen: so has the comparison
        facts = bundles.facts(store, trial["model"])["facts"]
        assert trial["dev"] == min(row["loss"] for row in facts["history"])
    assert bundles.facts(store, winners[0]["model"])["facts"]["rows"]["dev"] > 0


def test_a_point_that_lacks_an_inner_training_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import trainings

    path = make_project(tmp_path, items=20)
    real = trainings.train_model

    def failing(job: Any, *more: Any) -> Any:
        if job.train.learning_rate == 1e-2:
            raise ValueError("the loss became nan")
        return real(job, *more)

    monkeypatch.setattr(trainings, "train_model", failing)
    result = run(path, *NESTED, "train.which.inner_folds=2", "train.which.epochs=1")
    assert result["status"] == "failed" and "s0, inner 0/2, learning_rate=0.01" in result["errors"][0]["message"]
    assert [trial["point"]["learning_rate"] for trial in trials(result, inner=False)] == [1e-5, 1e-5]
    failed = [choice for choice in result["studies"][0]["choices"] if choice["failed"]]
    assert [(choice["n"], choice["mean"], choice["chosen"]) for choice in failed] == [(0, None, False)] * 2
    assert "0, 2 failed" in summary(result)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["train.which.inner_folds=5"], "which: inner_folds is 5, but there are only 3 speakers to train on"),
        (
            ["train.which.patience=3"],
            "patience: 3 follows dev rows, and what inner_folds choose is trained without any",
        ),
        (["train.which.schedule=plateau"], "schedule: plateau follows dev rows"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(nested: tuple[Path, Any], changes: list[str], words: str) -> None:
    result = run(nested[0], *NESTED, *changes)
    assert result["status"] == "failed" and words in result["errors"][0]["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["train.which.inner_folds=1"], "1; it must be 0 (none) or at least 2"),
        (["train.which.inner_folds=3"], "inner_folds compare the values of a sweep, and seeds are none"),
        (["train.which.inner_folds=3", "train.which.sweep={seed: [0, 1]}"], "with nothing to choose"),
        (["train.which.inner_folds=3", "train.which.sweep={learning_rate: [1e-3]}"], "with nothing to choose"),
        (["train.which.sweep={inner_folds: [2, 3]}"], "all points share"),
    ],
)
def test_mistakes_in_the_file_are_told_before_anything_runs(tmp_path: Path, changes: list[str], words: str) -> None:
    path = make_project(tmp_path, items=4)
    with pytest.raises(config.ConfigError) as told:
        load(path, *changes)
    assert words in str(told.value)
