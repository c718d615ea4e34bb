"""`sorigil tune`: a decoder's numbers are chosen on dev rows of a trained model, and on no others."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from yaml_world import PIPELINES, make_project, sorigil

from flows import config, tune_log
from flows.evaluate import jobs_of
from flows.find_lr import entry_of
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options, Run
from flows.steps import known_model, latest
from flows.train import rows_of
from flows.tune import tune, tuned_text
from sorigil.decoding.spec import BeamSpec
from sorigil.errors import RequestError, RunError
from storage.experiments import Experiments
from tasks.tune import try_decoders

QUIET = PlainReporter(lambda line: None)
BEAM = "evaluate.decode={kind: beam, beam_width: 4, lm: {kind: ngram, order: 2}, hot_words: [zz]}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    yaml = PIPELINES.replace("epochs: 2\n", "epochs: 12\n        learning_rate: 2.0e-2\n")
    path = make_project(tmp_path_factory.mktemp("project"), items=30, yaml=yaml)
    loaded = config.load(path, pipeline="tones")
    with pytest.raises(RunError, match="has no version yet"):
        tune(loaded, "tones", None)
    execute(loaded, "tones", Options(local=True, steps=("ingest", "prepare", "train")), QUIET)
    return path


def found(path: Path, *changes: str, **grid: Any) -> dict[str, Any]:
    return tune(config.load(path, changes, pipeline="tones"), "tones", None, **grid)


def test_the_best_of_the_grid_is_what_evaluating_dev_says_of_it(project: Path) -> None:
    tuned = found(project, BEAM, beam_widths=[2, 8], lm_weights=[0.0, 1.0, 3.0], insertions=[-4.0, 0.0, 9.0])
    assert tuned["model"] == "letters" and tuned["split"] == "dev" and len(tuned["tried"]) == 18
    assert [row["wer"] for row in tuned["tried"]] == sorted(row["wer"] for row in tuned["tried"])
    assert len({row["wer"] for row in tuned["tried"]}) > 1, "the grid must matter"
    assert tuned["decode"] == tuned["tried"][0]["decode"] and tuned["decode"]["hot_words"] == ["zz"]
    for row in (tuned["tried"][0], tuned["tried"][-1]):
        decode = f"evaluate.decode={json.dumps(row['decode'])}"
        loaded = config.load(project, [decode, "evaluate.splits=[dev]"], pipeline="tones")
        scores = execute(loaded, "tones", Options(local=True, steps=("evaluate",)), QUIET)["scores"]
        (wer,) = [score for score in scores if score["metric"] == "wer"]
        assert (wer["value"], wer["n"]) == (pytest.approx(row["wer"]), tuned["utterances"])


def runs_of(project: Path, parent: str) -> tuple[Any, list[Any]]:
    """A run of MLflow, and those that it shows below it."""
    client = Experiments(config.load(project).storage.store())._client
    run = client.get_run(parent)
    below = f"tags.`mlflow.parentRunId` = '{parent}'"
    return run, list(client.search_runs([run.info.experiment_id], below, order_by=["metrics.dev_wer"]))


def test_the_grid_is_told_to_mlflow_once(project: Path) -> None:
    once = found(project, BEAM, lm_weights=[0.0, 1.0], insertions=[-4.0, 0.0, 9.0])
    parent, children = runs_of(project, once["mlflow_run"])
    best = once["tried"][0]
    assert parent.data.metrics["dev_wer"] == pytest.approx(best["wer"])
    assert parent.data.tags["split"] == "dev" and parent.data.params["tried"] == "6"
    assert "decode.lm" in parent.data.params
    assert [run.data.metrics["dev_wer"] for run in children] == pytest.approx([row["wer"] for row in once["tried"]])
    asked = {(run.data.params["decode.lm_weight"], run.data.params["decode.insertion"]) for run in children}
    assert asked == {(weight, insertion) for weight in ("0.0", "1.0") for insertion in ("-4.0", "0.0", "9.0")}
    assert all(f"insertion={run.data.params['decode.insertion']}" in run.info.run_name for run in children)
    again = found(project, BEAM, insertions=[9.0, -4.0, 0.0], lm_weights=[0.0, 1.0])
    assert again["mlflow_run"] == once["mlflow_run"]
    assert [run.info.run_id for run in runs_of(project, once["mlflow_run"])[1]] == [run.info.run_id for run in children]
    other = found(project, BEAM, lm_weights=[0.0, 2.0])["mlflow_run"]
    assert other != once["mlflow_run"] and len(runs_of(project, other)[1]) == 2


def test_the_grid_is_a_table_and_a_figure_in_mlflow(project: Path) -> None:
    tuned = found(project, BEAM, lm_weights=[0.0, 1.0], insertions=[0.0, 1.0])
    experiments = Experiments(config.load(project).storage.store())
    assert json.loads(experiments.read_artifact(tuned["mlflow_run"], "tried.json")) == tuned["tried"]
    table = list(csv.DictReader(experiments.read_artifact(tuned["mlflow_run"], "tried.csv").decode().splitlines()))
    assert [float(row["wer"]) for row in table] == [row["wer"] for row in tuned["tried"]]
    assert {(row["beam_width"], row["lexicon"]) for row in table} == {("4", "false")}
    assert experiments.read_artifact(tuned["mlflow_run"], "tried.png").startswith(b"\x89PNG")


def test_a_grid_that_was_killed_while_it_was_told_is_made_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Experiments, parent: str, children: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Experiments, "adopt", killed)
        found(project, BEAM, lm_weights=[0.1, 0.2, 0.3])
    whole = found(project, BEAM, lm_weights=[0.1, 0.2, 0.3])
    assert len(runs_of(project, whole["mlflow_run"])[1]) == 3


def test_of_a_large_grid_the_best_have_runs_and_the_table_has_all(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune_log, "MOST_RUNS", 2)
    tuned = found(project, BEAM, insertions=[-4.0, 0.5, 9.0, 12.0])
    parent, children = runs_of(project, tuned["mlflow_run"])
    assert [run.data.metrics["dev_wer"] for run in children] == pytest.approx(
        [row["wer"] for row in tuned["tried"][:2]]
    )
    assert parent.data.params["tried"] == "4"


def test_without_a_language_model_beam_and_insertion_can_be_chosen(project: Path) -> None:
    tuned = found(project, beam_widths=[1, 4], insertions=[-9.0, 0.0, 9.0])
    assert len(tuned["tried"]) == 6 and len({row["wer"] for row in tuned["tried"]}) > 1
    assert "lm" not in tuned["decode"]
    shown = tuned_text(tuned).splitlines()
    assert shown[-1].startswith("decode: {kind: beam") and len(shown) == 8


def test_the_weight_of_a_recurrent_language_model_can_be_chosen(project: Path) -> None:
    lstm = "evaluate.decode={kind: beam, beam_width: 4, lm: {kind: lstm, hidden: 8, epochs: 2}}"
    tuned = found(project, lstm, lm_weights=[0.0, 1.0], insertions=[-4.0, 12.0])
    assert len(tuned["tried"]) == 4 and len({row["cer"] for row in tuned["tried"]}) > 1
    assert tuned["decode"]["lm"] == {"kind": "lstm", "hidden": 8, "epochs": 2}


def test_whether_a_lexicon_helps_can_be_asked(project: Path) -> None:
    tuned = found(project, BEAM, lm_weights=[0.0], insertions=[9.0], lexicons=[True, False])
    assert sorted(row["decode"].get("lexicon", False) for row in tuned["tried"]) == [False, True]
    assert len({row["cer"] for row in tuned["tried"]}) == 2, "free letters make other words than those of the texts"
    with pytest.raises(RequestError, match="it needs an lm with units words"):
        found(project, lexicons=[True])


@pytest.mark.parametrize("side", ["test", "train"])
def test_no_rows_but_those_of_dev_are_taken(project: Path, side: str) -> None:
    """The task itself refuses them, whoever asks it."""
    loaded = config.load(project, [BEAM], pipeline="tones")
    run = Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=QUIET)
    entry = entry_of(run, "letters", objective="ctc")
    latest(run)
    known_model(run, entry)
    rows = rows_of(run, entry)
    job = jobs_of(run, entry, rows, run.trained["letters"].key)[0]
    for wrong in (rows.filter(pc.equal(rows.column("side"), side)), rows):
        assert len(wrong)
        with pytest.raises(RequestError, match=f"decoders are chosen on dev rows; these are of .*{side}"):
            try_decoders(replace(job, split="dev", rows=wrong), [BeamSpec()])


def test_what_cannot_be_tuned_is_told(project: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has no lm whose weight could be tuned"):
        found(project, lm_weights=[0.5])
    with pytest.raises(RequestError, match="beam_width is 0"):
        found(project, beam_widths=[0])
    with pytest.raises(RequestError, match="letters is not trained for these rows"):
        found(project, "train.letters.epochs=3")
    loaded = config.load(project, pipeline="tones")
    with pytest.raises(RequestError, match="no train entry 'which' with objective ctc; there are letters"):
        tune(loaded, "tones", "which")
    bare = make_project(tmp_path / "bare", items=10)
    no_dev = config.load(bare, ["split.dev=0", "train.letters.epochs=1", "train.which.epochs=1"], pipeline="tones")
    execute(no_dev, "tones", Options(local=True, steps=("ingest", "prepare", "train")), QUIET)
    with pytest.raises(RequestError, match="tones has no dev rows to tune on"):
        tune(no_dev, "tones", "letters")


def test_the_verb_prints_what_to_write(project: Path) -> None:
    options = ("tune", "tones", "--set", BEAM, "--lm-weight", "0,1", "--insertion=-1,0", "--json")
    done = sorigil(*options, cwd=project.parent, check=True)
    said = json.loads(done.stdout)
    assert said["status"] == "completed" and len(said["tried"]) == 4 and said["decode"]["lm"]["kind"] == "ngram"
    wrong = sorigil("tune", "tones", "--beam-width", "8,x", cwd=project.parent)
    assert wrong.returncode == 2 and "expected numbers with commas between" in wrong.stderr
