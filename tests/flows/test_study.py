"""Folds and sweeps: which trainings there are, what chooses, what is scored, and what is found again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_pipeline import mixing_project
from yaml_world import PIPELINES, sorigil
from yaml_world import make_project as make_tones

from flows import config
from flows.last_run import card_text
from flows.pending import pending
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options, Run
from flows.steps import latest
from flows.study_plan import Planner
from sorigil.errors import RequestError
from sorigil.report.summary import summary
from storage import bundles, files
from storage.experiments import Experiments

QUIET = PlainReporter(quiet=True)
FOLDS = "train.which.folds={kind: leave_one_out, dev: 0.25}"
SWEEP = "train.which.sweep={learning_rate: [1e-5, 1e-2], seed: [0, 1]}"


def make_project(folder: Path, items: int = 40) -> Path:
    """As `make_tones` with the classifier alone, and each of the four speakers says both words."""
    classifier = PIPELINES[: PIPELINES.index("      - name: letters")]
    path = make_tones(folder, items, classifier)
    manifest = folder / "source/manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["speaker"] = f"s{number // 2 % 4}"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(path: Path, *changes: str) -> Any:
    return config.load(path, changes, pipeline="tones")


def run(path: Path, *changes: str, **options: Any) -> dict[str, Any]:
    return execute(load(path, *changes), "tones", Options(local=True, **options), QUIET)


def left(path: Path, *changes: str) -> list[str]:
    loaded = load(path, *changes)
    return pending(Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=QUIET))


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = make_project(tmp_path_factory.mktemp("folded"))
    return path, run(path, FOLDS)


def test_each_speaker_is_left_out_once(folded: tuple[Path, dict[str, Any]]) -> None:
    path, result = folded
    assert result["status"] == "completed", result["errors"]
    (study,) = result["studies"]
    assert [trial["fold"] for trial in study["trials"]] == ["s0", "s1", "s2", "s3"]
    assert (study["trainings"], study["cached"], study["failed"]) == (4, 0, 0)
    store = config.load(path).storage.store()
    for trial in study["trials"]:
        rows = bundles.facts(store, trial["model"])["facts"]["rows"]
        assert rows["test"] == 10 and rows["train"] + rows["dev"] == 30  # of 40, ten for each speaker
    rows = [row for row in result["scores"] if row["run"] == "which" and row["metric"] == "accuracy"]
    assert [row["fold"] for row in rows] == ["s0", "s1", "s2", "s3"] and all(row["n"] == 10 for row in rows)
    values = [row["value"] for row in rows]
    (spread,) = [row for row in study["summary"] if row["metric"] == "accuracy"]
    assert spread["mean"] == pytest.approx(sum(values) / 4)
    assert (spread["min"], spread["max"], spread["n"]) == (min(values), max(values), 4)
    assert "which" not in result["models"]


def test_a_fold_is_the_model_that_its_split_alone_gives(folded: tuple[Path, dict[str, Any]]) -> None:
    path, result = folded
    alone = run(path, "split={by: speaker, test: [s2], dev: 0.25}", steps=("ingest", "prepare", "train"))
    assert alone["models"]["which"] == result["studies"][0]["trials"][2]["model"]


def test_what_was_trained_is_found_again(folded: tuple[Path, dict[str, Any]]) -> None:
    path, result = folded
    assert left(path, FOLDS) == []
    again = run(path, FOLDS)
    assert again["studies"][0]["cached"] == 4 and again["mlflow_run_ids"] == result["mlflow_run_ids"]
    assert again["studies"][0]["summary"] == result["studies"][0]["summary"]
    assert run(path, FOLDS, steps=("evaluate",))["studies"][0]["summary"] == result["studies"][0]["summary"]
    one = result["studies"][0]["trials"][1]["model"]
    store = config.load(path).storage.store()
    files.remove(store.path(f"{store.model(one)}/model.json"))
    assert left(path, FOLDS) == ["train which: 1 of 4 trainings", "evaluate which"]
    assert run(path, FOLDS, steps=("evaluate",))["errors"][0]["message"].startswith("which: 1 of its 4 models")
    mended = run(path, FOLDS)
    assert mended["studies"][0]["cached"] == 3 and mended["studies"][0]["trials"][1]["model"] == one


def test_mlflow_has_a_parent_with_the_table_and_a_child_for_each(folded: tuple[Path, dict[str, Any]]) -> None:
    path, result = folded
    client = Experiments(config.load(path).storage.store())._client
    parent = client.get_run(result["mlflow_run_ids"][0])
    assert {"test_accuracy_mean", "test_accuracy_std", "test_accuracy_min"} <= set(parent.data.metrics)
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} == {
        "study.json",
        "study.md",
        "model_card.md",
    }
    found = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert sorted(child.info.run_name for child in found) == [f"which s{number}, seed=0" for number in range(4)]
    table = Path(client.download_artifacts(parent.info.run_id, "study.md")).read_text()
    assert table.startswith("# which\n\n4 trainings") and "| s3 |" in table


def test_folds_have_a_card_of_what_all_their_models_came_to(folded: tuple[Path, dict[str, Any]]) -> None:
    path, _ = folded
    result = run(path, FOLDS)  # nothing is trained: a card is of the last run, which another test's may be
    text = card_text(load(path, FOLDS, "licence=CC0"), "tones")
    assert text.startswith(
        "# which\n\n4 cnn2d models for classification, one for each fold (each speaker left out in turn)"
    )
    assert "| tones | v1 | 1 | CC0 |" in text and "train, " in text and ", 10 test." in text
    (spread,) = [row for row in result["studies"][0]["summary"] if row["metric"] == "accuracy"]
    assert f"| test | accuracy | {100 * spread['mean']:.2f} % | {100 * spread['std']:.2f} % |" in text
    values = {trial["fold"]: trial["scores"][0]["value"] for trial in result["studies"][0]["trials"]}
    assert (
        f"Worst fold: {min(values, key=values.__getitem__)}, test accuracy {100 * min(values.values()):.2f} %." in text
    )
    assert "## Known weaknesses" in text and '"kind": "leave_one_out"' in text
    client = Experiments(config.load(path).storage.store())._client
    logged = Path(client.download_artifacts(result["mlflow_run_ids"][0], "model_card.md")).read_text()
    when = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+\+00:00")  # the tests above have run it again since
    assert when.sub("", logged) == when.sub("", text).replace("CC0", "not said (`licence` of the pipeline)")
    with pytest.raises(RequestError, match="no model 'whic'; there are which"):
        card_text(load(path, FOLDS), "tones", "whic")


def test_the_console_and_the_page_show_the_table(folded: tuple[Path, dict[str, Any]]) -> None:
    _, result = folded
    said = summary(result)
    assert "which: 4 trainings: 0 there before, 4 done" in said and "test accuracy" in said
    page = Path(result["report"]).read_text()
    assert "4 trainings" in page and "<td>s3</td>" in page


def test_a_sweep_chooses_on_dev_and_only_the_chosen_is_scored(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    assert left(path, SWEEP)[0].startswith("prepare")
    result = run(path, SWEEP)
    (study,) = result["studies"]
    assert [(trial["point"], trial["seed"]) for trial in study["trials"]] == [
        ({"learning_rate": rate}, seed) for rate in (1e-5, 1e-2) for seed in (0, 1)
    ]
    dev = [trial["dev"] for trial in study["trials"]]
    best = 0 if dev[0] + dev[1] < dev[2] + dev[3] else 2
    assert [trial["chosen"] for trial in study["trials"]] == [best <= place < best + 2 for place in range(4)]
    assert all(bool(trial["scores"]) == trial["chosen"] for trial in study["trials"])
    assert result["models"]["which"] == study["trials"][best]["model"]
    assert {row["n"] for row in study["summary"]} == {2}
    store = config.load(path).storage.store()
    client = Experiments(store)._client
    assert client.get_model_version_by_alias("tones.which", "newest").run_id == result["mlflow_run_ids"][0]
    assert left(path, SWEEP) == []


def test_each_fold_of_a_sweep_chooses_for_itself(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    change = "train.which.sweep={learning_rate: [1e-5, 1e-2]}"
    result = run(path, "train.which.folds={kind: k_fold, k: 2, stratify: label, dev: 0.3}", change)
    (study,) = result["studies"]
    assert [trial["fold"] for trial in study["trials"]] == ["0/2", "0/2", "1/2", "1/2"]
    for fold in (study["trials"][:2], study["trials"][2:]):
        best = min(fold, key=lambda trial: trial["dev"])
        assert [trial["chosen"] for trial in fold] == [trial is best for trial in fold]


def test_a_sweep_without_dev_rows_is_a_sentence(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    result = run(path, SWEEP, "split.dev=0")
    assert "a sweep chooses by the dev rows, and there are none; set split.dev" in result["errors"][0]["message"]
    result = run(path, "train.which.sweep={seed: [0, 1]}", "split.dev=0")  # nothing to choose: two of the same
    assert result["status"] == "completed" and result["studies"][0]["summary"][0]["n"] == 2


def test_one_failed_training_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import trainings

    path = make_project(tmp_path, items=20)
    real = trainings.train_model

    def failing(job: Any, *more: Any) -> Any:
        if "s1" in set(job.rows.filter(pc_equal(job.rows, "test")).column("speaker").to_pylist()):
            raise ValueError("the loss became nan")
        return real(job, *more)

    monkeypatch.setattr(trainings, "train_model", failing)
    result = run(path, FOLDS)
    (study,) = result["studies"]
    assert result["status"] == "failed" and "s1, seed=0: ValueError: the loss became nan" in str(result["errors"])
    assert (study["failed"], study["summary"][0]["n"]) == (1, 3)
    assert "1 failed" in summary(result) and "failed" in summary(result)
    monkeypatch.undo()
    assert run(path, FOLDS)["studies"][0]["cached"] == 3


def test_any_field_of_the_source_can_be_left_out_or_kept_together(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    manifest = tmp_path / "source/manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["site"] = ("seoul", "busan", "jeju")[number // 2 % 3]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(path, steps=("ingest", "prepare"))

    def tested(folds: str) -> dict[str | None, set[str]]:
        loaded = load(path, f"train.which.folds={folds}")
        there = Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=QUIET)
        latest(there)
        sites = {trial.fold: trial.job.rows for trial in Planner(there, there.pipeline.train[0]).study().trials}
        of = {row["id"]: row["site"] for row in rows}
        return {
            fold: {of[name] for name in table.filter(pc_equal(table, "test")).column("id").to_pylist()}
            for fold, table in sites.items()
        }

    assert tested("{kind: leave_one_out, field: site}") == {site: {site} for site in ("busan", "jeju", "seoul")}
    halves = tested("{kind: k_fold, k: 2, group: site, seed: 1}").values()
    assert sum(map(len, halves)) == 3 and len(set.union(*halves)) == 3


def test_folds_say_what_only_one_side_is_labelled(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    manifest = tmp_path / "source/manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        row["label"] = "odd" if row["speaker"] == "s1" else row["label"]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    heard: list[str] = []

    class Heard(PlainReporter):
        def say(self, message: str) -> None:
            heard.append(message)

    changes = (FOLDS, "train.which.epochs=1", "train.which.sweep={seed: [0, 1]}")
    execute(load(path, *changes), "tones", Options(local=True, steps=("ingest", "prepare", "train")), Heard())
    said = [each for each in heard if "has labels that" in each]
    assert "train which (s1): test has labels that train has not (1): odd" in said and len(said) == len(set(said))
    assert "train which (s0): train has labels that test has not (1): odd" in said


def test_folds_learn_from_another_dataset_too_but_never_from_a_row_of_their_own(tmp_path: Path) -> None:
    path = mixing_project(tmp_path)
    folds = ("train.which.folds={kind: k_fold, k: 2, stratify: label, dev: 0}", "train.which.sweep={seed: [0, 1]}")
    changes = (*folds, "train.which.data=[{dataset: others, weight: 0.5}]")
    steps = ("ingest", "prepare", "train")
    plain, mixed = run(path, *folds, "train.which.data=[]", steps=steps), run(path, *changes, steps=steps)
    assert mixed["status"] == "completed", mixed["errors"]
    store = config.load(path).storage.store()
    for without, with_others in zip(plain["studies"][0]["trials"], mixed["studies"][0]["trials"], strict=True):
        facts = [bundles.facts(store, trial["model"])["facts"] for trial in (without, with_others)]
        assert facts[1]["rows"]["train"] == facts[0]["rows"]["train"] + 4  # not what is in any fold, nor another class
        assert facts[1]["mixed"] == [{"dataset": "others", "version": "v1", "weight": 0.5}]
    loaded = load(path, *changes)
    there = Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=QUIET)
    for each in (there, *there.others().values()):
        latest(each)
    trials = Planner(there, there.pipeline.train[0]).study().trials
    assert trials[0].job.mixed is not None and len({id(trial.job.mixed) for trial in trials}) == 1  # read once


def pc_equal(rows: Any, side: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(rows.column("side"), side)


def test_copies_of_all_folds_are_made_once(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    result = run(path, FOLDS, "train.which.copies=1", "train.which.epochs=1")
    assert result["status"] == "completed", result["errors"]
    spec = [each for each in (tmp_path / "store/parts/tones/features").iterdir() if each.is_dir()]
    assert len(spec) == 2  # the originals and one set of copies
    store = config.load(path).storage.store()
    facts = [bundles.facts(store, trial["model"])["facts"]["rows"] for trial in result["studies"][0]["trials"]]
    assert all(row["train"] // 2 + row["dev"] + row["test"] == 20 for row in facts)  # each training row and its copy


@pytest.mark.slow
def test_workers_give_what_this_process_gives(folded: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    _, local = folded
    make_project(tmp_path)
    changes = [part for change in (FOLDS,) for part in ("--set", change)]
    done = sorigil("run", "tones", "--json", *changes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    models = [[trial["model"] for trial in each["studies"][0]["trials"]] for each in (result, local)]
    assert models[0] == models[1]
    assert result["studies"][0]["summary"] == local["studies"][0]["summary"]
    assert list((tmp_path / "store/runs").glob("*/trainings/*.parquet")) == []
