"""Checkpoints of transformers in the matrix: heard once, scored by what they are, and left out in words where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from yaml_world import make_project

pytest.importorskip("transformers")
from tiny_checkpoints import save_classifier, save_ctc, save_whisper

import tasks.externals
from flows import config
from flows.matrix import evaluate_matrix, matrix_text
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options
from sorigil import external
from storage import externals
from storage.dataset import StoredRows, open_dataset

QUIET = PlainReporter(quiet=True)
UP = "prepared at 8 kHz, heard at the model's 16 kHz, the band above 4 kHz is empty"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_project(tmp_path_factory.mktemp("project"), items=6)
    result = execute(config.load(path), "tones", Options(local=True, steps=("ingest", "prepare")), QUIET)
    assert result["status"] == "completed", result["errors"]
    return path


def made(path: Path, *models: Path | str) -> Any:
    names = [f"transformers:{model}" for model in models]
    return evaluate_matrix(config.load(path), names, ["tones:all"], local=True, reporter=QUIET)


def cells(path: Path, *models: Path | str) -> dict[str, dict[str, Any]]:
    found = made(path, *models).result
    assert found["status"] == "completed", found["errors"]
    return {Path(cell["model"].partition("?")[0]).name: cell for cell in found["cells"]}


@pytest.mark.slow
def test_each_kind_is_scored_by_what_it_is_and_heard_once(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = (
        save_ctc(tmp_path / "ctc"),
        f"{save_whisper(tmp_path / 'whisper')}?language=en",
        save_classifier(tmp_path / "ast", ("low", "high", "rain"), num_mel_bins=24, max_length=30),
    )
    found = cells(path, *models)
    assert [cell["status"] for cell in found.values()] == ["scored"] * 3
    assert [cell["notes"] for cell in found.values()] == [
        [UP], [UP], [UP, "of 6 utterances it hears the first 0.3 s only"],
    ]  # fmt: skip
    store = config.load(path).storage.store().open()
    for model, cell in zip(models, found.values(), strict=True):
        said = pq.read_table(store.path(f"{store.score(cell['score'])}/utterances.parquet"))
        assert said.column("hypothesis").to_pylist() == asked_by_hand(path, f"transformers:{model}")

    monkeypatch.setattr(tasks.externals, "opened", lambda *_: pytest.fail("it was opened again"))
    again = made(path, *models)
    assert [cell["status"] for cell in again.result["cells"]] == ["known"] * 3
    told = {(board["metric"], row["model"]): row for board in again.result["boards"] for row in board["rows"]}
    assert {metric for metric, _ in told} >= {"wer", "accuracy"}
    assert all(row["rtfx"] > 0 and row["decoder"] == "its own" and row["seen"] is None for row in told.values())
    assert "note: transformers:" in matrix_text(again)


def asked_by_hand(path: Path, name: str) -> list[str]:
    """What the external says of each row in the order of ids."""
    import soxr

    from storage.catalog import Catalog

    store = config.load(path).storage.store().open()
    catalog = Catalog(store.catalog, store.root)
    version = catalog.version("tones", None)
    assert version is not None
    rows = open_dataset(catalog, version)
    stored = StoredRows(store, rows, audio=True)
    sounds = [soxr.resample(stored.samples(row), 8000, 16_000, quality="HQ") for row in range(len(rows))]
    spec = externals.resolve(external.parse(name))
    with externals.at_hand(spec) as folder:
        heard = external.opened(spec, folder).hear(sounds)
    return [each.text if each.text is not None else max(each.scores, key=each.scores.__getitem__) for each in heard]


def test_what_is_damaged_leaves_the_others(path: Path, tmp_path: Path) -> None:
    torn, mute, deaf = (save_ctc(tmp_path / name) for name in ("torn", "mute", "deaf"))
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    for name in ("vocab.json", "tokenizer_config.json"):
        (mute / name).unlink()
    (deaf / "preprocessor_config.json").unlink()
    whisper = save_whisper(tmp_path / "whisper")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (whisper / name).unlink()
    other = save_classifier(tmp_path / "other", ("dog", "cat"), num_mel_bins=24)
    whole = save_classifier(tmp_path / "whole", ("low", "rain"), num_mel_bins=24)
    found = cells(path, torn, mute, deaf, whisper, other, whole)
    assert {name: cell["status"] for name, cell in found.items()} == {
        **dict.fromkeys(("torn", "mute", "deaf", "whisper", "other"), "left out"), "whole": "scored",
    }  # fmt: skip
    assert "torn: transformers cannot load it (SafetensorError: " in found["torn"]["reason"]
    for name in ("mute", "whisper"):
        assert f"{name}: the folder has no tokenizer (tokenizer.json, vocab.json" in found[name]["reason"]
    assert "deaf: the folder has no feature extractor (preprocessor_config.json" in found["deaf"]["reason"]
    assert found["other"]["reason"] == "the model knows none of the labels: it says dog, cat, here are high, low"
    assert "labels that the model does not know count as errors: high" in found["whole"]["notes"]
