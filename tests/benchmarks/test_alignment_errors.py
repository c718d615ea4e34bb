"""Errors of an alignment are by how much words begin and end too late."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.alignment import line, rows


def test_words_are_held_against_their_true_times(tmp_path: Path) -> None:
    words = [{"text": "a", "start": 0.1, "end": 0.5}, {"text": "b", "start": 0.5, "end": 1.0}]
    (tmp_path / "x.wav.json").write_text(json.dumps({"uri": "x.wav", "utterances": [{"words": words}]}))
    truth = {"words": [[0.12, 0.4, "a"], [0.5, 1.2, "b"]]}
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/x.wav.reference.json").write_text(json.dumps(truth))
    found = dict(rows(tmp_path, tmp_path / "archive"))
    assert found["x.wav"].ravel() == pytest.approx([-20, 100, 0, -200])
    assert found["all"].tolist() == found["x.wav"].tolist()
    assert line("all", found["all"]) == ["all", "2", "10.0", "150.0", "10.0", "150.0", "100.0 %", "0.0 %"]
    truth["words"][0][2] = "c"  # type: ignore[call-overload]
    (tmp_path / "archive/x.wav.reference.json").write_text(json.dumps(truth))
    with pytest.raises(ValueError, match="holds other words"):
        dict(rows(tmp_path, tmp_path / "archive"))


def test_an_empty_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no alignment"):
        dict(rows(tmp_path, tmp_path))
