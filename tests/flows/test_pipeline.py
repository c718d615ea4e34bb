"""The whole road on a small project: what a run makes, what the second one skips, what a changed source costs."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_pretrained import WAV2VEC2
from yaml_world import RATE, make_project, sorigil, sound

from flows import config
from flows.last_run import card_text
from flows.pending import pending
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options, Run
from sorigil.errors import RequestError, RunError
from storage import bundles, parts
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
    for row in result["scores"]:  # four speakers
        (low, high), (lowest, highest) = row["interval"], row["interval_by_speaker"]
        assert low <= row["value"] <= high and lowest <= row["value"] <= highest
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
        assert {"model", "model_card.md", "learning_curves.png", "test"} <= places
        inside = {item.path for item in client.list_artifacts(run_id, "test")}
        assert {"test/scores.json", "test/utterances.parquet"} <= inside
        assert ("test/classes.csv" if "test_accuracy" in found.data.metrics else "test/confusions.csv") in inside
    history = client.get_metric_history(result["mlflow_run_ids"][0], "train_loss")
    assert [point.step for point in history] == [1, 2, 3]
    assert client.get_model_version_by_alias("tones.which", "newest").run_id == result["mlflow_run_ids"][0]


def test_report_is_one_page_of_its_own(done: tuple[Path, dict[str, Any]]) -> None:
    _, result = done
    page = Path(result["report"]).read_text()
    assert "tones" in page and "broken" in page and "data:audio/flac" in page


def test_a_model_has_a_card(done: tuple[Path, dict[str, Any]]) -> None:
    path, result = done
    loaded = config.load(path, ["licence=CC0"], pipeline="tones")
    text = card_text(loaded, "tones", "which")
    accuracy = next(row for row in result["scores"] if row["metric"] == "accuracy")
    assert text.startswith("# which") and "| tones | v1 | 1 | CC0 |" in text
    assert f"| test | accuracy | {100 * accuracy['value']:.2f} % |" in text
    assert "## Known weaknesses" in text and result["models"]["which"] in text
    with pytest.raises(RequestError, match="no model 'whic'; there are which, letters"):
        card_text(loaded, "tones", "whic")


def test_labels_of_one_side_alone_are_listed(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=10)
    manifest = path.parent / "source/manifest.jsonl"
    manifest.write_text(
        manifest.read_text().replace(
            '"text": "a", "label": "low", "split": "test"', '"text": "ax", "label": "odd", "split": "test"'
        )
    )
    heard: list[str] = []

    class Heard(PlainReporter):
        def say(self, message: str) -> None:
            heard.append(message)

    loaded = config.load(path, ["train.which.epochs=1", "train.letters.epochs=1", "split.dev=0"], pipeline="tones")
    execute(loaded, "tones", Options(local=True, steps=("ingest", "prepare", "train")), Heard())
    assert "train which: test has labels that train has not (1): odd" in heard
    assert "train which: train has labels that test has not (1): low" in heard
    assert "train letters: test has symbols that train has not (1): 'x'; each counts as an error" in heard


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
    metrics = ("accuracy", "balanced_accuracy", "macro_f1", "top_3", "ece", "brier", "roc_auc")
    asked = f"evaluate.metrics=[{', '.join(metrics)}]"
    result = run(
        path, asked, "evaluate.latency=3", "train.which.epochs=1", steps=("ingest", "prepare", "train", "evaluate")
    )
    assert result["status"] == "completed"
    assert {"u0": "class_not_in_train"}.items() <= {
        row["id"]: row["reason"] for row in result["quarantine"]["rows"]
    }.items()
    values = {row["metric"]: row["value"] for row in result["scores"] if row["run"] == "which"}
    assert set(values) == set(metrics) and {row["n"] for row in result["scores"]} == {4}
    assert values["accuracy"] <= 0.75
    logged = Experiments(config.load(path).storage.store())._client.get_run(result["mlflow_run_ids"][0]).data.metrics
    waited = [logged[f"test_latency_{name}"] for name in ("p50", "p95", "p99")]
    assert 0 < waited[0] <= waited[1] <= waited[2] < 10 and logged["test_rtfx"] > 0
    assert values["top_3"] < 1  # though there are but three classes: the strange one has no probability


def test_symbol_that_is_only_in_test_counts_as_error_and_is_named(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    manifest = path.parent / "source/manifest.jsonl"
    manifest.write_text(
        manifest.read_text().replace(
            '"id": "u0", "audio": "0.flac", "text": "a"', '"id": "u0", "audio": "0.flac", "text": "a qué"'
        )
    )
    result = run(path, "train.letters.epochs=1", steps=("ingest", "prepare", "train", "evaluate"))
    (row,) = [row for row in result["quarantine"]["rows"] if row["reason"] == "symbol_not_in_train"]
    assert row["id"] == "u0" and "'q', 'u', 'é'" in row["detail"]
    assert next(row for row in result["scores"] if row["metric"] == "wer")["value"] > 0


def test_subwords_are_learned_scored_and_transcribed(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    tokens = "train.letters.tokens={kind: bpe, size: 6}"
    result = run(path, tokens)
    assert result["status"] == "completed" and result["transcripts"]
    loaded = config.load(path, (tokens,), pipeline="tones")
    bundle = bundles.load(loaded.storage.store(), result["models"]["letters"])
    assert set(bundle.outputs) == {"<blank>", " ", "a", "b", " a", " b"}
    assert set(bundle.merges) == {(" ", "a"), (" ", "b")}
    other = run(path, "train.letters.tokens={kind: bpe, size: 5}", steps=("train",))
    assert other["models"]["letters"] != result["models"]["letters"]


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


def mixing_project(folder: Path) -> Path:
    """Another pipeline, `others`, with a source of its own: four rows of known classes, one that is in the dataset's
    test split too, one of a class that the dataset has not, and one of its own test rows."""
    path = make_project(folder, items=20)
    source = folder / "others"
    source.mkdir()
    rows = []
    for number in range(7):
        word, label = ("low", "high")[number % 2], "third" if number == 5 else ("low", "high")[number % 2]
        seed = 0 if number == 4 else 1000 + number  # item 0 of the dataset is a test row
        soundfile.write(source / f"{number}.flac", sound(word, seed), RATE)
        split = "test" if number == 6 else "train"
        rows.append({"id": f"o{number}", "audio": f"{number}.flac", "text": "a", "label": label, "split": split})
    (source / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = path.read_text()
    features = text[text.index("    features:") : text.index("    split:")]
    text = text.replace("objective: classification, epochs: 3", "objective: classification, epochs: 1, data: [others]")
    head = "  others:\n    source: {kind: manifest, uri: ./others/manifest.jsonl}\n    audio: {sample_rate: 8000}\n"
    path.write_text(text + head + features + "    split: {by: field, dev: 0}\n")
    return path


def test_mixed_rows_are_prepared_learned_from_and_never_a_test_row(tmp_path: Path) -> None:
    path = mixing_project(tmp_path)
    plain = run(path, "train.which.data=[]", steps=("ingest", "prepare", "train", "evaluate"))
    mixed = run(path)
    assert mixed["status"] == "completed", mixed["errors"]
    assert mixed["version"] == plain["version"] and mixed["dataset"] == "tones"
    assert mixed["books"] == plain["books"]
    names = [row["name"] for row in mixed["stages"]]
    assert names.index("prepare others") < names.index("train which")
    assert mixed["models"]["which"] != plain["models"]["which"]
    assert mixed["models"]["letters"] == plain["models"]["letters"]
    store = config.load(path).storage.store()
    facts = [bundles.facts(store, result["models"]["which"])["facts"] for result in (plain, mixed)]
    # neither the test row, nor the leak, nor the other class
    assert facts[1]["rows"]["train"] == facts[0]["rows"]["train"] + 4
    others = [{"dataset": "others", "version": "v1", "weight": 1.0}]
    assert [each["mixed"] for each in facts] == [[], others]
    logged = Experiments(store)._client.get_run(mixed["mlflow_run_ids"][0]).data.params
    assert json.loads(logged["data"]) == others
    assert run(path, steps=("evaluate",))["models"] == mixed["models"]


def test_a_mixed_dataset_that_changed_is_something_to_do(tmp_path: Path) -> None:
    path = mixing_project(tmp_path)
    run(path)

    def left() -> list[str]:
        loaded = config.load(path)
        return pending(Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=QUIET))

    assert left() == []
    soundfile.write(tmp_path / "others/0.flac", sound("low", 77), RATE)
    assert left()[0] == "others: prepare 1 items in 1 units"
    assert "train which" in left()


def test_normalised_by_speaker_who_spoke_decides_models_and_scores(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    change = ("train.letters.cmvn=speaker", "split.dev=0")
    first = run(path, *change)
    assert first["status"] == "completed" and len(first["transcripts"]) == 2
    assert run(path, *change)["score_keys"] == first["score_keys"]
    manifest = tmp_path / "source/manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"speaker": "s1"', '"speaker": "s2"'))
    again = run(path, *change)
    assert again["models"]["letters"] != first["models"]["letters"]
    assert again["models"]["which"] == first["models"]["which"]
    assert again["score_keys"]["which"] == first["score_keys"]["which"]
    manifest.write_text(manifest.read_text().replace('"speaker": "s0"', '"speaker": "s9"'))  # test rows are among these
    assert run(path, *change)["score_keys"]["letters"] != again["score_keys"]["letters"]


def test_a_classifier_hears_each_utterance_at_several_speeds(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    audio = ("train.which.input=audio", "train.which.epochs=1", "split.dev=0")
    once = run(path, *audio)
    several = run(path, *audio, "evaluate.speeds=[0.5, 1, 2]")
    assert several["models"] == once["models"]
    assert several["score_keys"]["letters"] == once["score_keys"]["letters"]  # a transcript is heard once
    assert several["score_keys"]["which"] != once["score_keys"]["which"]
    store = config.load(path).storage.store()

    def confidences(*changes: str) -> np.ndarray[Any, Any]:
        (key,) = run(path, *audio, *changes)["score_keys"]["which"]
        table = parts.read_table(store.path(f"{store.score(key)}/utterances.parquet"))
        low = np.asarray(table.column("hypothesis").to_pylist()) == "low"
        sure = table.column("confidence").to_numpy()
        return np.where(low, sure, 1 - sure)

    alone = [confidences(f"evaluate.speeds=[{speed}]") for speed in (0.5, 1, 2)]
    assert abs(alone[0] - alone[2]).max() > 1e-4
    np.testing.assert_allclose(confidences("evaluate.speeds=[0.5, 1, 2]"), np.mean(alone, axis=0), atol=1e-6)


def test_training_from_audio_on_the_fly(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    changes = ("train.which.epochs=1", "train.which.input=audio", "train.which.wave_augment={}")
    result = run(path, *changes, steps=("ingest", "prepare", "train", "evaluate"))
    assert result["status"] == "completed"
    assert {row["run"] for row in result["scores"]} == {"which", "letters"}


def test_raw_audio_is_trained_on_scored_and_transcribed_without_features(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    features = "features:\n      - {kind: log_mel, n_fft: 256, win_length: 200, hop_length: 80, n_mels: 20}"
    heard = """input: raw, model: {kind: sincnet, sample_rate: 8000, channels: [8, 8], kernels: [51, 5], strides: [5, 1],
         pools: [4, 4], encoder: {kind: gru, hidden: 8, layers: 1}}"""
    text = path.read_text().replace(features, "features: []")
    text = text.replace("model: {kind: cnn2d, channels: [8, 8], time_strides: [1, 2], hidden: 16}", heard)
    text = text.replace(
        "- name: letters\n        model: {kind: gru, hidden: 16, layers: 1}\n", "- {name: letters, " + heard
    )
    text = text.replace("        objective: ctc\n        epochs: 2\n", ", objective: ctc, epochs: 2}\n")
    path.write_text(text)
    changes = ("train.which.wave_augment={}", "evaluate.speeds=[0.9, 1]")
    result = run(path, *changes)
    assert result["status"] == "completed", result["errors"]
    assert {row["features"] for row in result["scores"]} == {"raw"}
    assert [row["uri"] for row in result["transcripts"]] == ["one.wav", "two.flac"]
    bundle = bundles.load(config.load(path).storage.store(), result["models"]["letters"])
    assert (bundle.feature.kind, bundle.input_dim, bundle.network().stride) == ("waveform", 1, 160)
    again = run(path, *changes)
    assert again["models"] == result["models"] and all(row["reused"] for row in again["transcripts"])


def test_a_pretrained_encoder_is_tuned_and_its_bundle_stands_alone(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    path = make_project(tmp_path, items=20)
    published = tmp_path / "published"
    made = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**WAV2VEC2))
    made.save_pretrained(published)
    heard = "input: raw, model: {kind: wav2vec2, pretrained: ./published, sample_rate: 8000}"
    text = path.read_text().replace("model: {kind: cnn2d, channels: [8, 8], time_strides: [1, 2], hidden: 16}", heard)
    path.write_text(text)
    # nothing moves, so that what was trained is what was published
    result = run(path, "train.which.learning_rate=1e-30", "train.which.weight_decay=0", "train.which.epochs=1")
    assert result["status"] == "completed", result["errors"]
    shutil.rmtree(published)
    bundle = bundles.load(config.load(path).storage.store(), result["models"]["which"])
    network = bundle.network()
    for name, value in made.state_dict().items():
        if "layer_norm" not in name:
            np.testing.assert_allclose(network.encoder.model.state_dict()[name], value, atol=1e-6)
    failed = run(path, "train.which.epochs=2")
    assert failed["status"] == "failed" and "published" in failed["errors"][0]["message"]
    assert not any(stage["name"].startswith("prepare") for stage in failed["stages"])


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
    with contextlib.closing(sqlite3.connect(path.parent / "home/.prefect/prefect.db")) as prefect:
        assert prefect.execute("select name, state_type from flow_run").fetchall() == [(result["run"], "COMPLETED")]
        tasks = dict(prefect.execute("select name, state_type from task_run").fetchall())
        said = [message for (message,) in prefect.execute("select message from log")]
    assert tasks == dict.fromkeys(
        [
            "ingest",
            "prepare",
            "train which",
            "evaluate which",
            "train letters",
            "evaluate letters",
            "transcribe",
            "report",
        ],
        "COMPLETED",
    )
    assert "prepare: tones is at v1" in said, "what is said last must still reach Prefect"


def test_engines_start_before_the_source_of_a_first_run_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_here(run: Run, units: bool) -> None:
        assert run.plan is None and units
        raise RunError("they are on their way")

    monkeypatch.setattr(Run, "start_engines", stop_here)
    path = make_project(tmp_path, items=4)
    options = Options(steps=("ingest", "prepare"))
    result = execute(config.load(path, pipeline="tones"), "tones", options, QUIET)
    assert [error["message"] for error in result["errors"]] == ["they are on their way"]


def test_nothing_to_do_starts_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(run: Run, units: bool) -> None:
        raise AssertionError("there is nothing to do")

    path = make_project(tmp_path, items=4)
    run(path, steps=("ingest", "prepare"))
    monkeypatch.setattr(Run, "start_engines", never)
    options = Options(steps=("ingest", "prepare"))
    result = execute(config.load(path, pipeline="tones"), "tones", options, QUIET)
    assert result["status"] == "completed" and result["version"] == "v1"
