"""`sorigil errors`: a planted weakness of one accent in one noise is named first, doubted references can be heard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import World
from typer.testing import CliRunner

from flows.cli import app
from sorigil.errors import RequestError
from storage import files, parts, tables
from tasks.card import model_card
from tasks.errors import flat_tables

YAML = """\
version: 1
storage: {root: ./store}
pipelines:
  tiny: {source: {kind: folder, uri: ./nowhere}}
"""
ROWS = 96


def accent(row: int) -> str:
    return ("far", "near")[row % 2]


def noise(row: int) -> str:
    return ("street", "room", "car")[row // 2 % 3]


class Scored:
    """A prepared dataset with the scores of models, as a run leaves them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys: dict[str, list[str]] = {}

    def add(self, entry: str, heard: Sequence[str], confidences: Sequence[float | None], **facts: Any) -> None:
        key = f"{len(self.keys):032}"
        rows = self.world.catalog.read(self.world.catalog.version("tiny"), "utterances").sort_by("id")
        references = facts.pop("references", [said(row) for row in range(ROWS)])
        errors = [_wrong(one, other) for one, other in zip(references, heard, strict=True)]
        place = f"{self.world.store.score(key)}/utterances.parquet"
        same = {name: rows.column(name) for name in ("id", "key", "uri", "speaker", "lang", "audio_part", "audio_row")}
        made = {
            "seconds": np.full(ROWS, 0.2),
            "reference_compared": references,
            "hypothesis_compared": list(heard),
            "errors": errors,
            "confidence": pa.array(confidences, pa.float64()),
        }
        parts.write_table(self.world.store.path(place), pa.table({**same, **made}))
        told = {"key": key, "model": entry, "objective": "ctc", "split": "test", "table": place, **facts}
        files.write_bytes(self.world.store.path(f"{self.world.store.score(key)}/score.json"), json.dumps(told).encode())
        self.keys[entry] = [key]
        result = {"pipeline": "tiny", "run": "r", "dataset": "tiny", "version": "v1", "score_keys": self.keys}
        files.write_bytes(self.world.store.path("runs/20260101T000000/result.json"), json.dumps(result).encode())


def said(row: int) -> str:
    return f"one two three four {'red' if row % 4 else 'blue'}"


def _wrong(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one.split(), other.split(), strict=True))


def heard(row: int) -> str:
    """The far accent in the street is heard badly; of the rest a word here and there."""
    if (accent(row), noise(row)) == ("far", "street"):
        return said(row).replace("two", "too").replace("three", "tree")
    return said(row).replace("one", "won") if row % 7 == 0 else said(row)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("errors"))
    (world.folder / "pipelines.yaml").write_text(YAML)
    for row in range(ROWS):
        extras = {"accent": accent(row), "noise": noise(row), "distance": str(row), "take": f"t{row}"}
        extras |= {"words": ("many", "few")[row % 2], "bytes": str(1000 + row)}
        world.add(f"u{row:03}", seconds=0.1, text=said(row), speaker=f"s{row // 2 % 8}", **extras)
    world.run()
    return world


@pytest.fixture
def scored(prepared: World, monkeypatch: pytest.MonkeyPatch) -> Scored:
    monkeypatch.chdir(prepared.folder)
    for made in ("scores", "runs"):
        shutil.rmtree(prepared.folder / "store" / made, ignore_errors=True)
    return Scored(prepared)


def errors(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["errors", "tiny", *arguments, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_planted_weakness_is_the_worst_slice_and_its_words_lead(scored: Scored) -> None:
    scored.add("words", [heard(row) for row in range(ROWS)], [0.9] * ROWS)
    found = errors("--html", "page.html")
    first = found["worst"][0]
    assert (first["column"], first["value"]) == ("accent × noise", "far × street")
    assert first["utterances"] == 16 and first["errors"] == sum(
        _wrong(said(row), heard(row)) for row in range(ROWS) if (accent(row), noise(row)) == ("far", "street")
    )
    assert {"accent", "noise", "distance", "speaker"} <= set(found["columns"])
    assert "take" not in found["columns"]  # another in every row: no slice could be told
    assert {row["value"] for row in found["slices"] if row["column"] == "distance"} >= {"below 19"}
    pairs = [(row["said"], row["heard"], row["times"]) for row in found["confusions"]["words"]]
    assert sorted(pairs[:2]) == [("three", "tree", 16), ("two", "too", 16)]
    assert found["errors_total"] == sum(row["times"] for row in found["confusions"]["words"])
    page = (scored.world.folder / "page.html").read_text()
    assert "far × street" in page and "data:audio/flac;base64," in page and "tree" in page
    text = CliRunner().invoke(app, ["errors", "tiny", "--by", "accent,noise", "--limit", "1"]).stdout
    assert "accent × noise  far × street" in text and "more pairs" in text
    (line,) = CliRunner().invoke(app, ["errors", "tiny", "--limit", "0"]).stdout.splitlines()  # no heads without rows
    assert line.startswith("tiny.words on test: ")


def test_the_card_of_the_model_names_the_same_slices(scored: Scored, monkeypatch: pytest.MonkeyPatch) -> None:
    scored.add("words", [heard(row) for row in range(ROWS)], [0.9] * ROWS, scores=[], rejections=[])
    facts = {"when": "2026", "dataset": "tiny", "version": "v1", "rows": {}, "seconds": 1.0, "train": {}}
    model = {"name": "words", "key": "k", "objective": "ctc", "model": {"kind": "cnn2d"}, "audio": {}, "feature": {}}
    monkeypatch.setattr("storage.bundles.facts", lambda store, key: {**model, "normalizer": "basic", "facts": facts})
    card = model_card(scored.world.store, "k", scored.keys["words"], {})
    weak = [line.split(" | ")[1:4] for line in card.splitlines() if line.startswith("| test | ")]
    worst = errors()["worst"]
    assert len(worst) > 1 and weak == [[row["column"], row["value"], str(row["utterances"])] for row in worst]


def test_the_tables_for_mlflow_have_one_value_a_cell(scored: Scored) -> None:
    scored.add("words", [heard(row) for row in range(ROWS)], [0.9] * ROWS)
    world = scored.world
    version = world.catalog.version("tiny")
    assert version is not None
    found = flat_tables(world.store, world.catalog, version, f"{0:032}")
    assert set(found) == {"slices", "confusions"}
    street = next(row for row in found["slices"] if row["value"] == "street")
    assert street["interval_low"] < street["rate"] < street["interval_high"] and street["worse"]
    assert found["confusions"][0]["examples"] == "u000 u006 u012"
    assert all(isinstance(value, int | float | str | None) for rows in found.values() for value in rows[0].values())


def test_what_all_models_hear_otherwise_is_doubted(scored: Scored) -> None:
    truth = [said(row) for row in range(ROWS)]
    references = ["one two three four green" if row in (5, 9) else truth[row] for row in range(ROWS)]
    sure = [0.9 - 0.3 * (row % 7 == 0) for row in range(ROWS)]
    scored.add("words", [heard(row) for row in range(ROWS)], sure, references=references)
    scored.add("other", truth, sure, references=references)
    scored.add("elsewhere", truth, sure)  # it was scored against other references: it cannot testify
    found = errors("words")
    assert found["audited_by"] == ["words", "other"]
    assert [row["id"] for row in found["suspects"]] == ["u005", "u009"]
    first = found["suspects"][0]
    assert first["heard"] == {"words": truth[5], "other": truth[5]} and first["words"] == [["green", "red"]]
    assert (first["uri"], first["start"], first["agreement"]) == ("u005.wav", 0.0, 1.0)
    assert first["doubted_by"] == ["words", "other"]


def test_the_folds_of_a_study_are_taken_together_and_each_seed_is_a_model(scored: Scored) -> None:
    truth = [said(row) for row in range(ROWS)]
    for name in ("zero", "one"):  # of each seed the same utterances in two folds
        scored.add(name, truth, [0.9] * ROWS)
    table = scored.world.store.path(f"{scored.world.store.score(scored.keys['one'][0])}/utterances.parquet")
    whole = parts.read_table(table)
    trials = []
    for seed, key in enumerate(scored.keys[name][0] for name in ("zero", "one")):
        for fold, rows in enumerate((whole.slice(0, 40), whole.slice(40))):
            facts = json.loads(files.read_bytes(scored.world.store.path(f"{scored.world.store.score(key)}/score.json")))
            place = f"{scored.world.store.score(f'{seed}{fold}' + 30 * 'f')}"
            facts["table"] = f"{place}/utterances.parquet"
            parts.write_table(scored.world.store.path(facts["table"]), rows)
            files.write_bytes(scored.world.store.path(f"{place}/score.json"), json.dumps(facts).encode())
            trials.append({"seed": seed, "chosen": True, "score_keys": [f"{seed}{fold}" + 30 * "f"]})
    studies = [{"run": "folds", "trials": [*trials, {"seed": 0, "chosen": False, "score_keys": []}]}]
    result = {"pipeline": "tiny", "run": "r", "dataset": "tiny", "version": "v1", "score_keys": {}, "studies": studies}
    files.write_bytes(scored.world.store.path("runs/20260102T000000/result.json"), json.dumps(result).encode())
    found = errors("folds")
    assert (found["entry"], found["utterances"], found["errors_total"]) == ("folds", ROWS, 0)
    assert found["audited_by"] == ["folds", "folds, seed 1"]


def test_a_model_that_does_not_say_how_sure_it_is_doubts_nothing(scored: Scored) -> None:
    scored.add("words", [heard(row) for row in range(ROWS)], [None] * ROWS)
    assert errors("words")["suspects"] == []


def test_a_classifier_has_a_row_for_each_class(scored: Scored) -> None:
    labels = ["red" if row % 4 else "blue" for row in range(ROWS)]
    answers = ["red"] * ROWS
    scored.add("which", answers, [0.8] * ROWS, references=labels, objective="classification")
    found = errors()
    assert found["confusions"] == {} and [row["label"] for row in found["classes"]] == ["blue", "red"]
    assert (found["classes"][0]["taken_for"], found["classes"][0]["times"]) == ("red", 24)
    assert found["worst"][0]["value"] == "blue" and found["worst"][0]["rate"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--by", "accent,colour"], "--by colour: there is no such column; there are speaker"),
        (["other"], "scored no 'other', but words"),
        (["--split", "dev"], "--split dev: words was not scored on it, but on test"),
    ],
)
def test_what_there_is_not_is_said(scored: Scored, arguments: list[str], says: str) -> None:
    scored.add("words", [heard(row) for row in range(ROWS)], [0.9] * ROWS)
    with pytest.raises(RequestError, match=says):
        errors(*arguments)


def test_a_pipeline_without_scores_is_refused(scored: Scored) -> None:
    with pytest.raises(RequestError, match="no model of tiny was scored yet; `sorigil run tiny` does"):
        errors()


def test_rows_that_the_catalogue_lost_have_what_the_score_knows(scored: Scored) -> None:
    from tasks.slices import catalogued, columns_of

    scored.add("words", [heard(row) for row in range(ROWS)], [0.9] * ROWS)
    table = parts.read_table(scored.world.store.path(f"{scored.world.store.score(f'{0:032}')}/utterances.parquet"))
    keys = tables.flat(table.column("key")).to_pylist()
    table = table.set_column(1, "key", pa.array(["gone", *keys[1:]]))
    version = scored.world.catalog.version("tiny")
    assert version is not None
    known = catalogued(scored.world.catalog, version, table)
    columns = {each.name: each for each in columns_of(table, "ctc", known)}
    assert columns["accent"].codes_N[0] == -1 and (columns["accent"].codes_N[1:] >= 0).all()
    assert (columns["speaker"].codes_N >= 0).all()
    (words,) = columns_of(table, "ctc", known, by=["words"])
    assert "many" not in words.values  # what the source calls so is another thing
    assert "bytes" not in columns
