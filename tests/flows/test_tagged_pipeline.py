"""Tagging from a manifest to the report: several labels of one recording, their metrics, tags that only test has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from yaml_world import PIPELINES, make_project

from flows import config
from flows.errors import find_errors
from flows.errors_text import errors_text
from flows.pipeline import execute
from flows.run import Options
from sorigil.report import numbers
from storage import bundles

YAML = PIPELINES[: PIPELINES.index("    train:")] + (
    "    train:\n"
    "      - {name: tags, model: {kind: cnn1d, channels: 16}, objective: tagging, separator: '|', monitor: map, epochs: 6}\n"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_project(tmp_path_factory.mktemp("tagged"), items=30, yaml=YAML)
    manifest = path.parent / "source/manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["label"] = f"{row['label']} | tone" if number % 2 else [row["label"], "tone"]
        if number == 5:
            row["label"] += "|rare"  # in test alone, as is the tag of the next that holds a separator
        if number == 10:
            row["label"].append("a|b")
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_tags_are_learned_scored_and_reported(project: Path) -> None:
    loaded = config.load(project)
    steps = ("ingest", "prepare", "train", "evaluate", "report")
    result = execute(loaded, "tones", Options(steps=steps, local=True))
    assert result["status"] == "completed", result["errors"]
    scores = {row["metric"]: row for row in result["scores"]}
    assert set(scores) == {"map", "d_prime", "micro_f1"}
    assert 0.5 < scores["map"]["value"] <= 1 and scores["micro_f1"]["n"] == 6
    (key,) = result["models"].values()
    store = loaded.storage.store()
    facts = bundles.facts(store, key)
    high, *others = facts["thresholds"]  # no dev row has `high`
    assert high == 0.5 and len(others) == 2 and 0.5 not in others
    assert facts["outputs"] == ["high", "low", "tone"] and facts["objective"] == "tagging"
    assert all("map" in row for row in facts["facts"]["history"])
    assert [row["reason"] for row in result["quarantine"]["rows"] if row["id"] == "u5"] == ["tag_not_in_train"]
    page = Path(result["report"]).read_text()
    assert "high|rare|tone" in page and numbers.score("map", scores["map"]["value"]) in page

    for csv in Path(store.root).glob("mlflow/**/test/tags.csv"):
        table = pyarrow.csv.read_csv(csv).to_pydict()
        assert table["tag"] == ["high", "low", "tone", "a|b", "rare"] and table["items"][2:] == [6, 1, 1]
        assert np.mean(table["average_precision"]) == pytest.approx(scores["map"]["value"])
        assert table["said_from"] == [*facts["thresholds"], 0.5, 0.5]
        assert table["recall"][3:] == [0, 0] and csv.with_suffix(".png").exists()
        break
    else:
        raise AssertionError("MLflow has no table of tags")
    assert re.search(r"Every tag.*<td class=\"name\">rare</td><td class=\"n\" data-sort=\"1\">1</td>", page, re.S)

    place = next(Path(store.root).glob("scores/*/utterances.parquet"))
    table = pq.read_table(place)
    (row,) = (row for row in table.to_pylist() if row["id"] == "u5")
    assert row["reference"] == "high | tone|rare" and row["reference_compared"] == "high|rare|tone"
    assert len(row["probabilities"]) == 3 and row["errors"] >= 1
    known = zip(facts["outputs"], row["probabilities"], facts["thresholds"], strict=True)
    said = {tag for tag, value, least in known if value >= least}
    assert set(filter(None, row["hypothesis"].split("|"))) == said
    _, found = find_errors(loaded, "tones", "", "test", [])
    assert found["rate"] == pytest.approx(1 - scores["micro_f1"]["value"]) == found["errors_total"] / found["units"]
    assert {row["label"]: row["items"] for row in found["classes"]} == {
        "high": 3,
        "low": 3,
        "tone": 6,
        "rare": 1,
        "a|b": 1,
    }
    assert "tags there or said of 6 utterances" in errors_text(found, 5)

    again = execute(loaded, "tones", Options(steps=steps, local=True))
    assert [(each["metric"], each["value"]) for each in again["scores"]] == [
        (each["metric"], each["value"]) for each in result["scores"]
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("separator: '|'", "separator: ' '", "must hold a character that is no space"),
        ("monitor: map", "monitor: accuracy", "scored by"),
        ("monitor: map", "tokens: words", "objective: ctc"),
    ],
)
def test_what_does_not_fit_tags_is_said(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = make_project(tmp_path, items=2, yaml=YAML.replace(old, new))
    with pytest.raises(config.ConfigError) as wrong:
        config.load(path)
    assert says in str(wrong.value)
