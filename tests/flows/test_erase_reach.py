"""Erasing a person reaches what was made of them: exports, transcripts, alignments go; models are marked or go; MLflow is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner
from yaml_world import make_project

from flows import cli
from storage import bundles, outputs, parts
from storage.layout import Store

YAML = """\
version: 1
storage: {root: ./store}
pipelines:
  tones:
    source: {kind: manifest, uri: ./source/manifest.jsonl}
    audio: {sample_rate: 8000}
    features:
      - {kind: log_mel, n_fft: 256, win_length: 200, hop_length: 80, n_mels: 20}
    split: {by: field, dev: 0.2}
    max_rejected: 0.5
    train:
      - {name: letters, model: {kind: gru, hidden: 16, layers: 1}, objective: ctc, epochs: 1}
    transcribe: {source: {kind: folder, uri: ./archive}, model: letters, output: ./transcripts}
"""


def sorigil(project: Path, *arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli.app, [*arguments, "--json", "--file", str(project)])
    assert done.exit_code == 0, (done.stdout, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def export(project: Path, to: str, *more: str) -> Path:
    output = project.parent / "exports" / to
    sorigil(project, "export", "tones", "--to", to, "--output", str(output), *more)
    return output


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Trained and transcribed; the archive has a copy of a recording of s1, and one of s2."""
    path = make_project(tmp_path, items=16, yaml=YAML)
    for name, number in (("of-s1.flac", 1), ("of-s2.flac", 2)):
        shutil.copy(tmp_path / f"source/{number}.flac", tmp_path / "archive" / name)
    sorigil(path, "run", "tones", "--local")
    return path


@pytest.mark.slow
def test_everything_that_the_store_knows_of_is_reached(project: Path) -> None:
    folder = project.parent
    store = Store(root=str(folder / "store"), catalog="", mlflow=f"sqlite:///{folder}/mlflow.db")
    exported, moved = export(project, "huggingface"), export(project, "nemo", "--audio", "wav")
    moved.rename(folder / "moved")
    (folder / "store/checkpoints/unfinished").mkdir(parents=True)
    (folder / "store/checkpoints/unfinished/last.safetensors").write_bytes(b"weights")
    sorigil(project, "align", "tones", "--output", str(folder / "aligned"), "--split", "test", "--local")
    (model,) = bundles.keys(store)
    assert {each.kind for each in outputs.noted(store, "tones")} == {"export", "transcripts"}
    learned = _rows(store, model)

    seen = sorigil(project, "erase", "tones", "--where", "speaker=s1", "--dry-run")
    assert exported.exists() and _rows(store, model) == learned
    found = sorigil(project, "erase", "tones", "--where", "speaker=s1")
    asked = ("models", "checkpoints", "exports", "transcripts")
    assert [seen["reach"][each] for each in asked] == [
        {model: 3},
        1,
        [row for row in seen["reach"]["exports"] if row["facts"]["format"] in ("huggingface", "nemo")],
        seen["reach"]["transcripts"],
    ]
    assert [found["reach"][each] for each in asked] == [seen["reach"][each] for each in asked]
    assert sorted(seen["reach"]["transcripts"]) == [
        str(folder / place) for place in ("aligned/5.flac", "transcripts/of-s1.flac")
    ]
    assert found["clean"]

    assert not list((folder / "aligned").glob("5.flac*")) and len(list((folder / "aligned").iterdir())) == 9
    assert not exported.exists() and (folder / "moved").exists()
    assert any("to nemo" in each and "it is not there" in each for each in found["not_covered"])
    assert [output.facts.get("format") for output in outputs.noted(store, "tones") if output.kind == "export"] == [
        "nemo"
    ]
    left = sorted(path.name for path in (folder / "transcripts").iterdir() if path.suffix == ".json")
    assert left == ["of-s2.flac.json", "one.wav.json", "two.flac.json"]
    assert not list((folder / "transcripts").glob("of-s1*")) and not list((folder / "store/checkpoints").rglob("*.*"))
    assert bundles.facts(store, model)["facts"]["learned_from_erased"]["utterances"] == 3
    assert len(_rows(store, model)) == len(learned) - 3
    (listed,) = sorigil(project, "models", "--trained")["models"]
    assert listed["note"] == "learned from erased data"
    (run,) = found["reach"]["mlflow_runs"]
    assert MlflowClient(store.mlflow).get_run(run).data.tags["sorigil.learned_from_erased"]

    result = sorigil(project, "run", "tones", "--local")
    assert [row["reason"] for row in result["quarantine"]["rows"] if row["uri"] == "of-s1.flac"] == ["erased"]
    assert not list((folder / "transcripts").glob("of-s1*")) and list((folder / "transcripts").glob("of-s2*"))
    assert sorigil(project, "erase", "tones", "--where", "speaker=s1")["reach"]["models"] == {}


@pytest.mark.slow
def test_models_can_be_deleted_with_their_copies_in_mlflow(project: Path) -> None:
    store = Store(root=str(project.parent / "store"), catalog="", mlflow="")
    assert list((project.parent / "store/mlflow").rglob("model.safetensors"))
    found = sorigil(project, "erase", "tones", "--where", "speaker=s2", "--delete-models")
    assert found["clean"] and len(found["reach"]["models"]) == 1 and bundles.list_models(store) == []
    assert not list((project.parent / "store").rglob("model.safetensors"))


def _rows(store: Store, model: str) -> list[str]:
    rows: list[str] = parts.read_table(store.path(f"models/{model}/rows.parquet")).column("key").to_pylist()
    return rows
