"""The whole road on a small project: what a run makes, what the second one skips, what a changed source costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from yaml_world import make_project, sorigil

from flows import config
from flows.pipeline import execute, pending
from flows.progress import PlainReporter
from flows.run import Options, Run
from storage.experiments import Experiments

QUIET = PlainReporter(quiet=True)
CONTRACT = {
    *("schema", "status", "errors", "pipeline", "version", "books", "work", "quarantine", "stages", "scores"),
    *("transcripts", "store", "mlflow_run_ids"),
}


def run(path: Path, *changes: str, **options: Any) -> dict[str, Any]:
    loaded = config.load(path, changes, pipeline="tones")
    return execute(loaded, "tones", Options(local=True, **options), QUIET)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A project that ran once; tests that only look share it."""
    path = make_project(tmp_path_factory.mktemp("project"))
    return path, run(path)


def test_result_keeps_its_contract(done: tuple[Path, dict[str, Any]]) -> None:
    _, result = done
    assert set(result) >= CONTRACT
    assert result["status"] == "completed" and result["errors"] == []
    assert result["version"] == "v1"
    assert json.loads(json.dumps(result)) == result
    books = result["books"]
    assert books["scanned"]["items"] == 41 and books["kept"]["items"] == 40 and books["quarantined"]["items"] == 1
    assert result["work"]["new"]["items"] == 41 and result["work"]["reused"]["items"] == 0
    assert {row["name"] for row in result["stages"]} >= {
        "ingest",
        "prepare",
        "train which",
        "evaluate which",
        "transcribe",
    }
    wanted = {"run", "dataset", "model", "features", "objective", "split", "metric", "value", "interval", "n"}
    wanted |= {"normalizer", "decoder", "seed", "fold"}
    assert all(set(row) >= wanted for row in result["scores"])
    assert {row["metric"] for row in result["scores"]} == {"accuracy", "macro_f1", "wer", "cer", "cer_spaces", "swer"}


def test_quarantine_names_what_was_refused_and_why(done: tuple[Path, dict[str, Any]]) -> None:
    _, result = done
    reasons = {row["id"]: (row["stage"], row["reason"]) for row in result["quarantine"]["rows"]}
    assert reasons["broken"] == ("decode", "not_audio")
    assert reasons["torn.wav"][0] == "transcribe"
    assert result["quarantine"]["total"] == len(result["quarantine"]["rows"])


def test_transcripts_are_written_in_every_format(done: tuple[Path, dict[str, Any]]) -> None:
    path, result = done
    assert [row["uri"] for row in result["transcripts"]] == ["one.wav", "two.flac"]
    for name in ("one.wav", "two.flac"):
        for suffix in ("json", "txt", "srt", "vtt"):
            assert (path.parent / f"transcripts/{name}.{suffix}").exists()
    written = json.loads((path.parent / "transcripts/one.wav.json").read_text())
    assert written["seconds"] == pytest.approx(1.8)


def test_mlflow_has_params_metrics_pictures_tables_and_the_model(done: tuple[Path, dict[str, Any]]) -> None:
    path, result = done
    store = config.load(path).storage.store()
    client = Experiments(store)._client
    for run_id in result["mlflow_run_ids"]:
        found = client.get_run(run_id)
        assert found.data.params["dataset"] == "tones" and found.data.tags["version"] == "v1"
        assert any(name.startswith("test_") for name in found.data.metrics)
        places = {item.path for item in client.list_artifacts(run_id)}
        assert {"model", "learning_curves.png", "test"} <= places
        inside = {item.path for item in client.list_artifacts(run_id, "test")}
        assert {"test/scores.json", "test/utterances.parquet"} <= inside
    history = client.get_metric_history(result["mlflow_run_ids"][0], "train_loss")
    assert [point.step for point in history] == [1, 2, 3]
    assert client.get_model_version_by_alias("tones.which", "newest").run_id == result["mlflow_run_ids"][0]


def test_report_is_one_page_of_its_own(done: tuple[Path, dict[str, Any]]) -> None:
    _, result = done
    page = Path(result["report"]).read_text()
    assert "tones" in page and "broken" in page and "data:audio/flac" in page


def test_second_run_computes_nothing_and_says_so(done: tuple[Path, dict[str, Any]]) -> None:
    path, first = done
    again = run(path)
    assert again["version"] == first["version"] and again["books"] == first["books"]
    assert again["work"]["new"]["items"] == 0 and again["work"]["reused"]["items"] == 41
    assert again["mlflow_run_ids"] == first["mlflow_run_ids"]
    assert all(row["reused"] for row in again["transcripts"])
    assert all(row["audio_seconds"] == 0 for row in again["stages"])
    values = [[(row["metric"], row["value"]) for row in result["scores"]] for result in (first, again)]
    assert values[0] == values[1]


def test_nothing_is_pending_after_a_run(done: tuple[Path, dict[str, Any]]) -> None:
    path, _ = done
    loaded = config.load(path)
    assert pending(Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=QUIET)) == []


def test_corrected_text_trains_and_scores_again_but_computes_no_audio(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    first = run(path, steps=("ingest", "prepare", "train", "evaluate"))
    manifest = path.parent / "source/manifest.jsonl"
    manifest.write_text(
        manifest.read_text().replace(
            '"id": "u1", "audio": "1.flac", "text": "b"', '"id": "u1", "audio": "1.flac", "text": "a b"'
        )
    )
    loaded = config.load(path)
    todo = pending(Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=QUIET))
    assert todo[0].startswith("commit a new version") and not any("prepare" in each for each in todo)
    second = run(path, steps=("ingest", "prepare", "train", "evaluate"))
    assert second["version"] == "v2" and second["work"]["new"]["items"] == 0
    assert second["models"]["which"] == first["models"]["which"]  # labels did not change
    assert second["models"]["letters"] != first["models"]["letters"]


def test_class_that_is_only_in_test_counts_as_error_and_is_named(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    manifest = path.parent / "source/manifest.jsonl"
    manifest.write_text(
        manifest.read_text().replace(
            '"id": "u0", "audio": "0.flac", "text": "a", "label": "low"',
            '"id": "u0", "audio": "0.flac", "text": "a", "label": "strange"',
        )
    )
    result = run(path, "train.which.epochs=1", steps=("ingest", "prepare", "train", "evaluate"))
    assert result["status"] == "completed"
    assert {"u0": "class_not_in_train"}.items() <= {
        row["id"]: row["reason"] for row in result["quarantine"]["rows"]
    }.items()
    accuracy = next(row for row in result["scores"] if row["metric"] == "accuracy")
    assert accuracy["n"] == 4 and accuracy["value"] <= 0.75


def test_transcript_longer_than_the_input_is_rejected_and_the_rest_is_trained(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    manifest = path.parent / "source/manifest.jsonl"
    manifest.write_text(
        manifest.read_text().replace(
            '"id": "u1", "audio": "1.flac", "text": "b"', f'"id": "u1", "audio": "1.flac", "text": "{"b a " * 200}"'
        )
    )
    result = run(path, steps=("ingest", "prepare", "train", "evaluate"))
    assert result["status"] == "completed"
    assert {row["id"]: row["reason"] for row in result["quarantine"]["rows"]}["u1"] == "text_longer_than_input"


def test_model_that_cannot_be_trained_does_not_stop_the_other(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    manifest = path.parent / "source/manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps({**row, "label": None}) + "\n" for row in rows))
    result = run(path, steps=("ingest", "prepare", "train", "evaluate"))
    assert result["status"] == "failed" and [error["stage"] for error in result["errors"]] == ["train which"]
    assert "label" in result["errors"][0]["message"]
    assert {row["run"] for row in result["scores"]} == {"letters"}


def test_copies_are_cached_beside_the_originals_and_made_once(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    steps = ("ingest", "prepare", "train", "evaluate")
    plain = run(path, "train.which.epochs=1", steps=steps)
    copied = run(path, "train.which.epochs=1", "train.which.copies=2", steps=steps)
    assert copied["models"]["which"] != plain["models"]["which"]
    assert copied["version"] == plain["version"]  # copies belong to a training, not to the dataset
    parts = sorted((path.parent / "store/parts/tones/features").glob("*/*.parquet"))
    again = run(path, "train.which.epochs=2", "train.which.copies=2", steps=steps)
    assert sorted((path.parent / "store/parts/tones/features").glob("*/*.parquet")) == parts
    assert again["status"] == "completed"


def test_training_from_audio_on_the_fly(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    changes = ("train.which.epochs=1", "train.which.input=audio", "train.which.wave_augment={}")
    result = run(path, *changes, steps=("ingest", "prepare", "train", "evaluate"))
    assert result["status"] == "completed"
    assert {row["run"] for row in result["scores"]} == {"which", "letters"}


def test_limit_is_a_dataset_of_its_own(done: tuple[Path, dict[str, Any]]) -> None:
    path, first = done
    trial = run(path, steps=("ingest", "prepare"), limit=10)
    assert trial["dataset"] == "tones-first-10" and trial["books"]["scanned"]["items"] == 10
    again = run(path, steps=("ingest", "prepare"))
    assert again["version"] == first["version"]


def test_empty_dataset_is_a_sentence(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=4)
    (path.parent / "source/manifest.jsonl").write_text("")
    result = run(path)
    assert result["status"] == "failed" and "no rows" in result["errors"][0]["message"]
    assert result["version"] is None and result["books"] is None


def test_prefect_and_dask_give_what_the_local_run_gives(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    _, local = done
    path = make_project(tmp_path)
    ran = sorigil("run", "tones", "--json", cwd=path.parent)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["books"] == local["books"]
    key = ("run", "metric", "value")
    assert [[row[name] for name in key] for row in result["scores"]] == [
        [row[name] for name in key] for row in local["scores"]
    ]
