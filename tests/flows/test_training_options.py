"""Options of the training loop through the whole road, and a training that stops at a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from yaml_world import RATE, make_project

from flows import config
from flows.config.problems import ConfigError
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options, Run
from storage import bundles

QUIET = PlainReporter(quiet=True)
STEPS = ("ingest", "prepare", "train", "evaluate")


def run(path: Path, *changes: str) -> dict[str, Any]:
    return execute(config.load(path, changes, pipeline="tones"), "tones", Options(local=True, steps=STEPS), QUIET)


def with_options(folder: Path, **options: Any) -> Path:
    """A project that only trains its classifier, for two epochs, with these options."""
    path = make_project(folder, items=20)
    text = path.read_text()
    text = text[: text.index("      - name: letters")]
    path.write_text(text.replace("epochs: 3", ", ".join(["epochs: 2", *(f"{k}: {v}" for k, v in options.items())])))
    return path


def test_every_option_reaches_the_model(tmp_path: Path) -> None:
    options = {
        "optimizer": "{kind: sgd, momentum: 0.8}",
        "schedule": "one_cycle",
        "accumulate": 2,
        "batch_seconds": 2,
        "freeze": "[encoder.blocks]",
        "ema": 0.9,
        "average_best": 2,
        "mixup": 0.2,
        "class_weights": "balanced",
        "precision": "bf16",
        "checkpoint_minutes": 0.0000001,
    }
    path = with_options(tmp_path, **options)
    result = run(path)
    assert result["status"] == "completed", result["errors"]
    loaded = config.load(path)
    store = Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=QUIET).store
    facts = bundles.facts(store, result["models"]["which"])["facts"]
    assert facts["train"]["optimizer"] == {"kind": "sgd", "momentum": 0.8, "nesterov": True}
    assert facts["train"]["schedule"]["kind"] == "one_cycle" and len(facts["history"]) == 2
    assert not list((tmp_path / "store/checkpoints").rglob("*.*"))
    how = run(path, "train.which.compile=true", "train.which.checkpoint_minutes=5")
    assert how["models"] == result["models"]  # how it is computed names no other model


def test_a_training_that_stops_at_a_batch_names_its_rows_and_keeps_them(tmp_path: Path) -> None:
    result = run(with_options(tmp_path, learning_rate="1e30", gradient_clip="1e30"))
    (error,) = result["errors"]
    assert (
        "the loss or its gradient became nan" in error["message"]
        and "a batch of finite features: u" in error["message"]
    )
    (place,) = (tmp_path / "store/checkpoints").rglob("failed_batch.json")
    assert str(place) in error["message"]
    kept = json.loads(place.read_text())
    assert {row["id"][0] for row in kept["batch"]} == {"u"} and kept["batch"][0]["seconds"] == pytest.approx(0.4)


def test_a_training_goes_on_without_its_damaged_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed before the bundle was written, and what it had saved last is torn: it ends as if nothing had happened."""
    path = with_options(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(bundles, "save", lambda *_: 1 / 0)
        assert run(path)["status"] == "failed"
    (last,) = (tmp_path / "store/checkpoints").rglob("last.safetensors")
    last.write_bytes(last.read_bytes()[:-100])
    done = run(path)
    assert done["status"] == "completed", done["errors"]
    (said,) = [each for each in caplog.messages if "damaged" in each]
    assert str(last) in said and "the training goes on from" in said
    other = with_options(tmp_path / "other")
    assert weights(done, path) == weights(run(other), other)


def weights(result: dict[str, Any], path: Path) -> bytes:
    return (path.parent / f"store/models/{result['models']['which']}/model.safetensors").read_bytes()


def test_options_for_labels_are_refused_where_texts_are_learned(tmp_path: Path) -> None:
    path = make_project(tmp_path)
    with pytest.raises(ConfigError, match=r"objective ctc learns texts"):
        config.load(path, ["train.letters.class_weights=balanced"], pipeline="tones")


def test_tokens_and_classes_are_learned_from_the_training_rows_alone(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=20)
    manifest = path.parent / "source/manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows[1] |= {"split": "dev", "text": "bx", "label": "dev alone"}
    rows[5] |= {"split": "test", "text": "by", "label": "test alone"}
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run(path, "train.which.epochs=1", "train.letters.epochs=1")
    assert result["status"] == "completed", result["errors"]
    loaded = config.load(path)
    store = Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=QUIET).store
    outputs = {name: bundles.facts(store, key)["outputs"] for name, key in result["models"].items()}
    assert outputs == {"which": ["high", "low"], "letters": ["<blank>", "a", "b"]}
    assert bundles.load(store, result["models"]["letters"]).tokenizer().tokens == ("<blank>", "a", "b")
    assert {row["reason"] for row in result["quarantine"]["rows"] if row["id"] == "u5"} == {
        "class_not_in_train",
        "symbol_not_in_train",
    }


def test_recorded_rooms_are_heard_in_training_and_in_copies(tmp_path: Path) -> None:
    """Relative to the file; other rooms are another model, the same ones elsewhere are not; a bad one is named first."""
    path = with_options(tmp_path, input="audio", wave_augment="{rooms: ./rooms, room_p: 0.5}")
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    response = np.exp(-np.arange(800) / 100) * np.random.default_rng(0).standard_normal(800) * 0.3
    soundfile.write(rooms / "a.wav", response, RATE)
    result = run(path)
    assert result["status"] == "completed", result["errors"]
    assert run(path, "train.which.wave_augment.room_p=0.4")["models"] != result["models"]
    rooms.rename(tmp_path / "moved")
    moved = f"train.which.wave_augment.rooms={tmp_path}/moved"
    assert run(path, moved)["models"] == result["models"]
    soundfile.write(tmp_path / "moved/b.wav", response[::-1], RATE)
    assert run(path, moved)["models"] != result["models"]

    copies = ("train.which.input=features", "train.which.wave_augment=null", "train.which.copies=1")
    heard_in = (f"train.which.copy_augment.rooms={tmp_path}/moved", "train.which.copy_augment.room_p=1")
    copied = run(path, *copies, *heard_in)
    assert copied["status"] == "completed", copied["errors"]
    assert copied["models"] != run(path, *copies)["models"]

    (tmp_path / "moved/c.wav").write_bytes(b"no sound")
    (error,) = run(path, moved)["errors"]
    assert "1 of 3 room responses cannot be used: c.wav: " in str(error)
