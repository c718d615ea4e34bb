"""`sorigil evaluate --models … --datasets …`: what is named, what is computed once, what cannot be scored, what is written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from yaml_world import PIPELINES, environment, make_project, sorigil

from flows import config, matrix, matrix_notes, matrix_units
from flows.matrix import Matrix, evaluate_matrix, matrix_text, read_request
from flows.matrix_names import named_model, named_slice
from flows.named import Names
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options
from sorigil.audio.spec import AudioSpec, NoNormalize
from sorigil.decoding.ctc import decode
from sorigil.decoding.spec import GreedySpec
from sorigil.errors import RequestError
from sorigil.fingerprint import fingerprint
from sorigil.text.normalize import spec_of
from storage import bundles
from storage import hypotheses as stored
from storage.catalog import Catalog
from storage.dataset import StoredRows, open_dataset
from storage.experiments import Experiments
from tasks import hypotheses
from tasks.recogniser import recogniser

QUIET = PlainReporter(quiet=True)
MORE = """\
  wide:
    source: {kind: manifest, uri: ./source/manifest.jsonl}
    audio: {sample_rate: 16000}
    split: {by: field, dev: 0.2}
    max_rejected: 0.5
  again:
    dataset: tones
    source: {kind: manifest, uri: ./source/manifest.jsonl}
    audio: {sample_rate: 8000}
    split: {by: field}
  tested:
    source: {kind: manifest, uri: ./source/tested.jsonl}
    audio: {sample_rate: 8000}
    split: {by: field}
  empty:
    source: {kind: manifest, uri: ./source/manifest.jsonl}
  one:
    dataset: shared
    source: {kind: manifest, uri: ./source/manifest.jsonl}
  two:
    dataset: shared
    source: {kind: manifest, uri: ./source/manifest.jsonl}
"""


def load(path: Path) -> Any:
    return config.load(path)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two trained models, each registered once, and the same audio at another rate."""
    yaml = PIPELINES.replace("epochs: 2\n", "epochs: 30\n        learning_rate: 2.0e-2\n")
    path = make_project(tmp_path_factory.mktemp("project"), items=20, yaml=yaml + MORE)
    for name, steps in (("tones", ("ingest", "prepare", "train", "evaluate")), ("wide", ("ingest", "prepare"))):
        result = execute(load(path), name, Options(local=True, steps=steps), QUIET)
        assert result["status"] == "completed", result["errors"]
    return path


def made(path: Path, models: str, datasets: str, **options: Any) -> Matrix:
    return evaluate_matrix(load(path), models.split(","), datasets.split(","), local=True, reporter=QUIET, **options)


def key_of(path: Path, name: str) -> str:
    return named_model(Names(load(path).storage.store()), name).key


# -- names ---------------------------------------------------------------------------------------------------------------


def test_a_model_has_many_names(path: Path) -> None:
    store = load(path).storage.store()
    names, key = Names(store), key_of(path, "tones.letters")
    assert bundles.facts(store, key)["name"] == "letters"
    run = Experiments(store)._client.get_model_version("tones.letters", "1").run_id
    for asked in ("tones.letters/1", "tones.letters@newest", key, key[:6], run, run[:8], "letters"):
        assert named_model(names, asked).key == key
    assert named_model(names, "tones.letters@newest").name == "tones.letters/1"
    assert (named_model(names, "tones.letters").origin, named_model(names, key).origin) == ("tones", None)


def test_the_newest_model_is_that_of_the_last_run(path: Path) -> None:
    store = load(path).storage.store()
    experiments, key = Experiments(store), key_of(path, "tones.letters")
    run = str(experiments.version("tones.letters").run)  # type: ignore[union-attr]
    experiments.register("tones.which", run, store.path(store.model(key)))  # a later run made it so
    assert key_of(path, "tones.which") == key
    execute(load(path), "tones", Options(local=True, steps=("evaluate",)), QUIET)
    assert named_model(Names(store), "tones.which").name == "tones.which/1", "what it makes now, found again"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("tones.leters", "did you mean tones.letters?"),
        ("nothing", "there are tones.letters, tones.which"),
        ("tones.letters/7", "no such version or alias; there are versions 1; aliases newest"),
        ("tones.letters@best", "no such version or alias"),
        ("tones.letters@", "no such version or alias"),
        ("pocketsphnix", "did you mean pocketsphinx?"),
        ("0" * 32, "no registered model, run of MLflow, bundle or external is called so"),
        ("it's", "no registered model"),
    ],
)
def test_a_model_that_there_is_not(path: Path, asked: str, said: str) -> None:
    with pytest.raises(RequestError, match=f"^{asked}: ") as wrong:
        named_model(Names(load(path).storage.store()), asked)
    assert said in str(wrong.value)


def test_slices_are_named_by_pipeline_or_dataset(path: Path) -> None:
    loaded = load(path)
    found = named_slice(loaded, "tones")
    assert (found.name, found.pipeline.name, found.version, found.side) == ("tones:test", "tones", None, "test")
    found = named_slice(loaded, "again@v1:dev")
    assert (found.name, found.pipeline.dataset, found.version, found.side) == ("again@v1:dev", "tones", "v1", "dev")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("tone:dev", "no pipeline, or dataset of one, is called so; did you mean tones?"),
        ("tones:tset", "no side is called 'tset'; there are test, dev, train, all"),
        ("tones@:dev", "after @ comes a version"),
        ("shared", "one and two make shared"),
    ],
)
def test_a_slice_that_there_is_not(path: Path, asked: str, said: str) -> None:
    with pytest.raises(RequestError, match=f"^{asked}: ") as wrong:
        named_slice(load(path), asked)
    assert said in str(wrong.value)


def test_a_request_that_cannot_be(path: Path) -> None:
    with pytest.raises(RequestError, match="--models names nothing"):
        read_request(" , ", "tones", None, None)
    with pytest.raises(
        RequestError, match=r"--metrics werr: there is no such metric; did you mean wer\?; there are wer, cer"
    ):
        read_request("a", "tones", None, "wer,werr")
    with pytest.raises(RequestError, match="--datasets empty: empty has no version yet; `sorigil prepare empty`"):
        made(path, "tones.letters", "empty")
    with pytest.raises(RequestError, match="--metrics map: it judges no model of ctc; there are wer, cer"):
        made(path, "tones.letters", "tones", metrics=("wer", "map"))
    with pytest.raises(RequestError, match=r"--models nope: .*\n--models @: .*\n--datasets tone: "):
        made(path, "nope,tones.which,@", "tones,tone")
    with pytest.raises(RequestError, match="--datasets tones@v9: tones: no version called v9; there is: v1"):
        made(path, "tones.letters", "tones@v9")


def test_a_place_that_cannot_be_written_is_known_before_the_work(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "cell_of", lambda *_: pytest.fail("the work began"))
    with pytest.raises(RequestError, match=r"--output .*pipelines.yaml/out: it cannot be written there"):
        made(path, "tones.letters", "tones", output=f"{path}/out")


# -- the matrix ------------------------------------------------------------------------------------------------------------


def test_every_model_is_scored_where_it_can_be(path: Path) -> None:
    found = made(path, "tones.letters,tones.which", "tones,wide,again").result
    assert found["status"] == "completed"
    cells = {(cell["model"], cell["dataset"]): cell for cell in found["cells"]}
    assert len(cells) == 6
    assert cells["tones.letters/1", "tones:test"]["status"] in ("scored", "known")
    assert cells["tones.which/1", "wide:test"]["notes"] == ["prepared at 16 kHz, heard at the model's 8 kHz"]
    assert cells["tones.letters/1", "tones:test"]["notes"] == [] == cells["tones.letters/1", "again:test"]["notes"]
    boards = {(board["slice"], board["metric"]): board for board in found["boards"]}
    wer = boards["tones:test", "wer"]
    assert (wer["main"], wer["utterances"], wer["normalizer"]) == (True, 4, "basic")
    (row,) = wer["rows"]
    assert row["rank"] == 1 and row["rtfx"] > 0 and row["decoder"] == "greedy" and row["seen"] == 0
    own = execute(load(path), "tones", Options(local=True, steps=("evaluate",)), QUIET)["scores"]
    for score in own:
        (row,) = boards["tones:test", score["metric"]]["rows"]
        assert row["value"] == pytest.approx(score["value"]), "what the pipeline itself says"


def test_what_was_heard_is_not_heard_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made(path, "tones.letters", "tones:all,tones", metrics=("wer", "cer")).result
    monkeypatch.setattr(hypotheses, "answers_of", lambda *_: pytest.fail("it was heard before"))
    again = made(path, key_of(path, "tones.letters"), "tones:all,tones", metrics=("wer", "cer")).result
    assert {cell["status"] for cell in again["cells"]} == {"known"}
    names = ("value", "interval", "rank", "rtfx", "seen")
    told = [
        [[row[name] for name in names] for board in found["boards"] for row in board["rows"]]
        for found in (before, again)
    ]
    assert told[0] == told[1]
    other = made(path, "tones.letters", "tones:dev,tones", normalizer=spec_of("english")).result
    assert {cell["status"] for cell in other["cells"]} == {"scored"}, "another normaliser judges the same hypotheses"
    assert {board["normalizer"] for board in other["boards"]} == {"english"}


def test_what_a_model_said_is_looked_up_once_whatever_the_slices(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path, "tones.letters", "tones:all")
    read, places = stored.read, []

    def counted(store: Any, place: str, *columns: Any) -> Any:
        places.append((place, bool(columns)))
        return read(store, place, *columns)

    monkeypatch.setattr(stored, "read", counted)
    found = made(path, "tones.letters", "tones:all,tones:test,tones:train", normalizer=spec_of("none")).result
    assert [cell["status"] for cell in found["cells"]] == ["scored"] * 3
    assert len({place for place, _ in places}) == 1, "all is kept in one place"
    assert [by_key for _, by_key in places] == [True, False, False, False], "to plan, and to score each cell"


def test_who_learned_from_the_utterances_has_no_rank(path: Path) -> None:
    found = made(path, "tones.letters", "tones:train")
    (row,) = next(board for board in found.result["boards"] if board["main"])["rows"]
    assert row["rank"] is None and row["seen"] > 0
    assert f"it learned from, or was chosen by, {row['seen']} of these utterances" in matrix_text(found)


def test_a_model_by_two_names_is_one_row_that_says_so(path: Path) -> None:
    key = key_of(path, "tones.letters")
    found = made(path, f"tones.letters,{key},tones.letters@newest", "tones")
    assert [(cell["model"], cell["asked"]) for cell in found.result["cells"]] == [
        ("tones.letters/1", ["tones.letters", "tones.letters@newest"]),
        (f"letters {key[:8]}", [key]),
    ]
    (row,) = found.result["boards"][0]["rows"]
    note = f"asked for as tones.letters and tones.letters@newest and {key}: the same, shown once"
    assert (row["model"], row["notes"]) == ("tones.letters/1", [note]) and note in matrix_text(found)


def test_a_model_that_decodes_in_two_ways_is_two_rows(path: Path) -> None:
    beam = config.load(path, ["evaluate.decode={kind: beam, beam_width: 4}"], pipeline="tones")
    asked = ["tones.letters", key_of(path, "tones.letters")]
    found = evaluate_matrix(beam, asked, ["tones"], local=True, reporter=QUIET).result
    assert sorted(row["decoder"] for row in found["boards"][0]["rows"]) == ["beam 4", "greedy"]
    assert not any(row["notes"] for row in found["boards"][0]["rows"])


def test_trainings_that_differ_in_the_seed_are_taken_together(path: Path) -> None:
    """Two more bundles as seeds 1 and 2 leave them; what the second learned from is another fold's."""
    models, key = path.parent / "store/models", key_of(path, "tones.letters")
    facts = json.loads((models / key / "model.json").read_text())
    others = ("1" * 32, "2" * 32)
    for seed, other in enumerate(others, start=1):
        shutil.copytree(models / key, models / other)
        facts["key"], facts["facts"]["train"]["seed"] = other, seed
        (models / other / "model.json").write_text(json.dumps(facts))
    pq.write_table(pa.table({"key": ["another"]}), models / others[1] / "rows.parquet")
    try:
        found = made(path, ",".join(["tones.letters/1", *others]), "tones")
    finally:
        for other in others:
            shutil.rmtree(models / other)
    boards = {board["metric"]: board for board in found.result["boards"]}
    value = boards["wer"]["rows"][0]["value"]
    assert boards["wer"]["seeds"] == [
        {
            "models": ["tones.letters/1", "letters 11111111"],
            "n": 2,
            "mean": value,
            "std": 0.0,
            "min": value,
            "max": value,
        }
    ]
    assert "letters 11111111: one training with 2 seeds, mean " in matrix_text(found)
    assert len(boards["wer"]["rows"]) == 3 and boards["cer"]["seeds"][0]["n"] == 2


def test_a_metric_that_judges_another_model_is_said(path: Path) -> None:
    found = made(path, "tones.letters,tones.which", "tones", metrics=("wer",))
    assert {(board["metric"], row["model"]) for board in found.result["boards"] for row in board["rows"]} == {
        ("wer", "tones.letters/1"), ("accuracy", "tones.which/1"), ("macro_f1", "tones.which/1")
    }  # fmt: skip
    note = "wer: no metric of classification, which is judged by the usual ones: accuracy, macro_f1"
    assert [cell["notes"] for cell in found.result["cells"]] == [[], [note]] and note in matrix_text(found)


def test_a_unit_that_fails_leaves_the_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = key_of(path, "tones.letters")
    heard = matrix.hear_unit

    def torn(unit: Any) -> Any:
        if unit.job.model_key == letters:
            raise OSError("the disk is gone")
        return heard(unit)

    monkeypatch.setattr(matrix, "hear_unit", torn)
    monkeypatch.setattr(hypotheses, "HYPOTHESES_FORMAT", 99)  # nothing is known under it
    options = {"normalizer": spec_of("korean")}
    found = made(path, "tones.letters,tones.which", "again", **options).result
    cells = {cell["model"]: cell for cell in found["cells"]}
    assert found["status"] == "failed" and "the disk is gone" in found["errors"][0]["message"]
    assert cells["tones.letters/1"]["status"] == "failed" and cells["tones.which/1"]["status"] == "scored"
    monkeypatch.setattr(matrix, "hear_unit", heard)
    mended = made(path, "tones.letters,tones.which", "again", **options).result
    assert [cell["status"] for cell in mended["cells"]] == ["scored", "known"]


def test_a_unit_that_fails_leaves_the_other_slices_of_its_model(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = matrix.hear_unit

    def torn(unit: Any) -> Any:
        if "u0" in unit.job.rows.column("id").to_pylist():  # of the side test
            raise OSError("the disk is gone")
        return heard(unit)

    monkeypatch.setattr(matrix, "hear_unit", torn)
    monkeypatch.setattr(matrix_units, "MOST_SECONDS", 0.1)  # a unit each
    monkeypatch.setattr(hypotheses, "HYPOTHESES_FORMAT", 98)  # nothing is known under it
    found = made(path, "tones.which", "tones:test,tones:train,tones:all", metrics=("top_2",)).result
    assert [cell["status"] for cell in found["cells"]] == ["failed", "scored", "failed"]
    assert len(found["errors"]) == 2 and {board["slice"] for board in found["boards"]} == {"tones:train"}


def test_metrics_that_were_asked_for_are_shown(path: Path) -> None:
    found = made(path, "tones.letters", "tones", metrics=["wer", "cer"])
    assert "tones:test: cer" in matrix_text(found, ["wer", "cer"]) and "tones:test: cer" not in matrix_text(found)


def test_audio_that_was_prepared_otherwise_is_noted(path: Path, tmp_path: Path) -> None:
    peak = config.load(path, ["audio.normalize={kind: none}", "dataset=louder"], pipeline="tones")
    execute(peak, "tones", Options(local=True, steps=("ingest", "prepare")), QUIET)
    (cell,) = evaluate_matrix(
        peak, ["tones.which"], ["tones"], local=True, reporter=QUIET, output=str(tmp_path)
    ).result["cells"]
    assert cell["status"] == "scored"
    (note,) = (note for note in cell["notes"] if "prepared otherwise" in note)
    assert "normalize is {'kind': 'none'" in note and "there {'kind': 'peak'" in note


def test_a_dataset_that_nobody_learns_from_needs_no_train_rows(path: Path) -> None:
    lines = [json.loads(line) for line in (path.parent / "source" / "manifest.jsonl").read_text().splitlines()]
    tested = "".join(json.dumps(line) + "\n" for line in lines if line["split"] == "test")
    (path.parent / "source" / "tested.jsonl").write_text(tested)
    execute(load(path), "tested", Options(local=True, steps=("ingest", "prepare")), QUIET)
    (cell, none) = made(path, "tones.letters", "tested,tested:train").result["cells"]
    assert cell["status"] in ("scored", "known")
    assert none["status"] == "left out" and "is on the side train" in none["reason"]


def test_a_model_hears_audio_of_another_rate_as_resampled_by_hand(path: Path) -> None:
    import soxr

    loaded = load(path)
    store = loaded.storage.store().open()
    (cell,) = made(path, "tones.letters", "wide:all").result["cells"]
    assert cell["status"] in ("scored", "known") and "heard at the model's 8 kHz" in cell["notes"][0]
    catalog = Catalog(store.catalog, store.root)
    version = catalog.version("wide", None)
    assert version is not None
    rows = open_dataset(catalog, version)
    stored = StoredRows(store, rows, audio=True)
    model = recogniser(store, key_of(path, "tones.letters"))
    said = pq.read_table(store.path(f"{store.score(cell['score'])}/utterances.parquet")).to_pylist()
    assert len(said) == len(rows) == 20 and {*rows.column("prepared_rate").to_pylist()} == {16_000}
    by_id = {row["id"]: row["hypothesis"] for row in said}
    for row, name in enumerate(rows.column("id").to_pylist()):
        samples = soxr.resample(stored.samples(row), 16_000, 8000, quality="HQ")
        log_probs_TV = model.log_probs(samples)
        (own,) = decode(log_probs_TV[None], [len(log_probs_TV)], model.tokenizer, GreedySpec(), seconds_per_frame=1.0)
        assert by_id[name] == own.text
    assert len({*by_id.values()}) > 1, "it hears something"


def test_what_the_audio_is_otherwise_is_said() -> None:
    def said(learned: AudioSpec, made: AudioSpec, here: AudioSpec | None = None) -> list[str]:
        table = {"prepared_rate": [made.sample_rate] * 2, "audio_spec": [fingerprint(made)] * 2}
        return list(matrix_notes.of_audio(learned, here or made, pa.table(table)))

    narrow, wide, plain = AudioSpec(sample_rate=8000), AudioSpec(), AudioSpec(normalize=NoNormalize())
    assert said(wide, wide) == []
    assert said(narrow, wide) == ["prepared at 16 kHz, heard at the model's 8 kHz"]
    assert said(wide, narrow) == ["prepared at 8 kHz, heard at the model's 16 kHz, the band above 4 kHz is empty"]
    rate, level = said(narrow, plain)
    assert rate == "prepared at 16 kHz, heard at the model's 8 kHz"
    assert "normalize is" in level and "sample_rate" not in level
    assert said(narrow, plain, wide)[1].endswith("learned: in another way"), "the file says something else by now"


def test_a_language_model_of_a_file_serves_any_version_of_a_model(path: Path, tmp_path: Path) -> None:
    def cell(lm: str, model: str = "tones.letters/1") -> Any:
        settings = [f"evaluate.decode={{kind: beam, lm: {lm}}}"]
        asked = config.load(path, settings, pipeline="tones")
        (found,) = evaluate_matrix(asked, [model], ["tones"], local=True, reporter=QUIET).result["cells"]
        return found

    key = key_of(path, "tones.letters")
    with pytest.raises(RequestError, match=f"name the model by its key, {key[:8]}, and it decodes"):
        cell("ngram")
    assert cell("ngram", key[:8])["status"] in ("scored", "known"), "the advice works"
    arpa = tmp_path / "letters.arpa"
    arpa.write_text("\\data\\\nngram 1=5\n\n\\1-grams:\n-0.5 a\n-0.5 b\n-1 <unk>\n-99 <s>\n-0.5 </s>\n\n\\end\\\n")
    assert cell(f"{{kind: arpa, uri: {arpa}}}")["status"] == "scored"
    arpa.write_text(arpa.read_text().replace(" a\n", " Z\n").replace(" b\n", " Q\n"))
    with pytest.raises(RequestError, match=r"none of its 2 words \(such as 'Z'\) can be written"):
        cell(f"{{kind: arpa, uri: {arpa}}}")


def test_what_others_said_is_judged_beside_ours(path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said = [{"id": f"u{number}", "text": "ab"[number % 2]} for number in range(20)]
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    whole.write_text("".join(json.dumps(row) + "\n" for row in said))
    torn.write_text("".join(json.dumps(row) + "\n" for row in said[:10]))
    found = made(path, f"tones.letters,file:{whole},file:{torn}", "tones").result
    assert found["status"] == "completed"
    cells = {cell["model"]: cell for cell in found["cells"]}
    assert cells[f"file:{torn}"]["status"] == "left out"
    assert "has no answer for 2 of 4 utterances (u10, u15)" in cells[f"file:{torn}"]["reason"]
    assert not caplog.records, "a reason is no failure of ours"
    first, *_ = found["boards"][0]["rows"]
    assert (first["model"], first["value"], first["rank"]) == (f"file:{whole}", 0.0, 1)
    assert (first["rtfx"], first["seen"], first["decoder"]) == (None, None, "its own")


def test_labels_without_probabilities_have_no_such_metric(path: Path, tmp_path: Path) -> None:
    place = tmp_path / "labels.jsonl"
    rows = [{"id": f"u{number}", "label": ("low", "high")[number % 2]} for number in range(20)]
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = made(path, f"tones.which,file:{place}", "tones", metrics=("roc_auc",)).result
    ours, theirs = found["cells"]
    assert ours["status"] == "scored" and {board["metric"] for board in found["boards"]} == {"roc_auc"}
    assert (theirs["status"], theirs["reason"]) == ("left out", "it says no probabilities, which roc_auc would judge")
    with pytest.raises(
        RequestError, match=r"nothing can be scored:\n  file:.*labels.jsonl on tones:test: it says no prob"
    ):
        made(path, f"file:{place}", "tones", metrics=("roc_auc",))


def test_a_file_is_read_once_for_all_its_rows(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "h.ctm"
    place.write_text("u0 1 0.0 0.4 a\n")  # of u0, u5, u10 and u15
    monkeypatch.setattr(matrix_units, "MOST_SECONDS", 0.1)  # of a model that hears: a unit each
    units: list[int] = []
    heard = matrix.hear_unit
    monkeypatch.setattr(matrix, "hear_unit", lambda unit: units.append(len(unit.job.rows)) or heard(unit))
    (cell,) = made(path, f"file:{place}", "tones").result["cells"]
    assert cell["status"] == "scored" and units == [4], "a CTM is silent about the others"


def test_what_a_file_lacks_is_known_before_a_worker_is_asked(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "h.ctm"
    place.write_text("x 1 0.0 0.4 a\n")
    monkeypatch.setattr(matrix, "hear_unit", lambda _: pytest.fail("a worker was asked"))
    with pytest.raises(RequestError, match=r"no answer for 4 of 4 utterances \(u0, u10, u15, u5\)"):
        made(path, f"file:{place}", "tones")


# -- what is written -------------------------------------------------------------------------------------------------------


def test_the_leaderboard_is_written_and_told_to_mlflow_once(path: Path, tmp_path: Path) -> None:
    found = made(path, "tones.letters,tones.which", "tones", output=str(tmp_path / "out")).result
    assert found["files"] == [str(tmp_path / "out" / f"leaderboard.{kind}") for kind in ("parquet", "md", "html")]
    rows = pq.read_table(tmp_path / "out/leaderboard.parquet").to_pylist()
    assert {(row["slice"], row["metric"], row["model"]) for row in rows} >= {
        ("tones:test", "wer", "tones.letters/1"),
        ("tones:test", "accuracy", "tones.which/1"),
    }
    assert len(rows) == sum(len(board["rows"]) for board in found["boards"])
    wer = next(row for row in rows if row["metric"] == "wer")
    assert wer["low"] <= wer["value"] <= wer["high"] and wer["dataset"] == "tones" and wer["version"] == "v1"
    page = (tmp_path / "out/leaderboard.html").read_text()
    assert "tones.letters/1" in page and "tones.letters/1" in (tmp_path / "out/leaderboard.md").read_text()
    data = Experiments(load(path).storage.store())._client.get_run(found["mlflow_run"]).data
    assert data.metrics["tones:test/wer/tones.letters/1"] == pytest.approx(wer["value"])
    assert made(path, "tones.letters,tones.which", "tones").result["mlflow_run"] == found["mlflow_run"]
    assert json.loads(json.dumps(found)) == found


def test_the_same_scores_under_other_names_are_shown_so(path: Path) -> None:
    runs = [made(path, name, "tones").result["mlflow_run"] for name in ("tones.letters", key_of(path, "tones.letters"))]
    experiments = Experiments(load(path).storage.store())
    metrics = [experiments._client.get_run(run).data.metrics for run in runs]
    assert [list(each) for each in metrics] == [
        ["tones:test/wer/tones.letters/1"],
        [f"tones:test/wer/letters {key_of(path, 'tones.letters')[:8]}"],
    ]


def test_mlflow_takes_the_name_of_any_file(path: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 240)
    deep.mkdir()
    places = [f"{tmp_path}//h+.jsonl", f"{tmp_path}//h=.jsonl", f"{deep}/../h.jsonl", f"{deep}/h.jsonl"]
    for right, place in enumerate(places):
        rows = [{"id": f"u{number}", "text": "ab"[number % 2] if number < 5 * right else ""} for number in range(20)]
        Path(place).write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = made(path, ",".join(f"file:{place}" for place in places), "tones").result
    metrics = Experiments(load(path).storage.store())._client.get_run(found["mlflow_run"]).data.metrics
    assert sorted(metrics.values()) == [0.25, 0.5, 0.75, 1.0]
    assert all(name.startswith("tones:test/wer/file:") or name.startswith("tones:test/wer/d") for name in metrics)


def test_the_verb(path: Path) -> None:
    asked = ("evaluate", "--models", "tones.which", "--datasets", "tones", "--local", "--json")
    said = json.loads(sorigil(*asked, cwd=path.parent, check=True).stdout)
    assert said["status"] == "completed" and said["boards"][0]["rows"][0]["model"] == "tones.which/1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name a pipeline, or --models and --datasets"),
        (("--models", "a"), "--models and --datasets go together"),
        (("tones", "--models", "a", "--datasets", "b"), "without the name of a pipeline"),
        (("tones", "--normalizer", "english"), "--normalizer goes with --models"),
        (("--models", "a", "--datasets", "tones", "--normalizer", "englisch"), "englisch"),
    ],
)
@pytest.mark.slow
def test_the_verb_refuses(path: Path, options: tuple[str, ...], said: str) -> None:
    ran = sorigil("evaluate", *options, cwd=path.parent)
    assert ran.returncode == 2 and said in ran.stderr


@pytest.mark.slow
def test_a_killed_matrix_goes_on_where_it_was(path: Path) -> None:
    whole = made(path, "tones.letters,tones.which", "tones:all").result["boards"]
    store = path.parent / "store"
    for folder in ("hypotheses", "scores", "leaderboards"):
        shutil.rmtree(store / folder)
    command = ("evaluate", "--models", "tones.letters,tones.which", "--datasets", "tones:all", "--local", "--json")
    killed = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *command],
        cwd=path.parent, env=environment(path.parent), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    while not (heard := list(store.glob("hypotheses/*/*.parquet"))):
        assert killed.poll() is None, "it was done before it was killed"
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert len(heard) == 1 and not (store / "leaderboards").exists()
    before = heard[0].stat().st_mtime_ns
    told = [json.loads(sorigil(*command, cwd=path.parent, check=True).stdout) for _ in range(2)]
    assert heard[0].stat().st_mtime_ns == before, "what was heard is not heard again"
    assert told[0]["boards"] == told[1]["boards"] and told[0]["files"] == told[1]["files"]
    names = ("model", "value", "interval", "rank", "seen")
    rows = [
        [[row[name] for name in names] for board in boards for row in board["rows"]]
        for boards in (told[0]["boards"], whole)
    ]
    assert rows[0] == rows[1]
