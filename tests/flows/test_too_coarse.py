"""A recogniser that leaves too few frames for every transcript says so before training, with the numbers."""

from __future__ import annotations

from pathlib import Path

from yaml_world import PIPELINES, make_project

from flows import config
from flows.pipeline import execute
from flows.run import Options


def test_when_no_transcript_fits_the_numbers_are_said(tmp_path: Path) -> None:
    coarse = PIPELINES.replace("model: {kind: gru, hidden: 16, layers: 1}", "model: {kind: resnet18, width: 0.05}")
    path = make_project(tmp_path, items=10, yaml=coarse)
    manifest = path.parent / "source/manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"text": "', '"text": "a b a '))
    result = execute(config.load(path), "tones", Options(steps=("ingest", "prepare", "train"), local=True))
    assert result["status"] == "failed"
    (said,) = (each["message"] for each in result["errors"] if "letters" in each["message"])
    assert "no training row is left of" in said
    assert (
        "the transcript has 7 tokens and needs 7 frames, but the model's stride leaves 2 frames of this audio" in said
    )
