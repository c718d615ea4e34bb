"""Decoders as a pipeline's file names them: in scores, in transcripts, in their keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from yaml_world import make_project

from flows import config
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options
from sorigil.errors import RequestError
from storage import parts

QUIET = PlainReporter(lambda line: None)
ONLY_LETTERS = ("train.which.epochs=1", "train.letters.epochs=12")


def run(path: Path, *changes: str) -> dict[str, Any]:
    loaded = config.load(path, [*ONLY_LETTERS, *changes], pipeline="tones")
    return execute(loaded, "tones", Options(local=True), QUIET)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_project(tmp_path_factory.mktemp("project"), items=20)
    run(path)
    return path


def utterances(path: Path, result: dict[str, Any]) -> dict[str, list[Any]]:
    store = config.load(path).storage.store()
    (key,) = result["score_keys"]["letters"]
    return parts.read_table(store.path(f"{store.score(key)}/utterances.parquet")).to_pydict()


def test_a_beam_is_another_score_and_another_transcript_of_the_same_model(project: Path) -> None:
    greedy = run(project)
    beam = "{kind: beam, beam_width: 8, n_best: 3, token_threshold: 12}"
    found = run(project, f"evaluate.decode={beam}", f"transcribe.decode={beam}")
    assert found["models"] == greedy["models"]
    assert found["score_keys"]["letters"] != greedy["score_keys"]["letters"]
    rows = utterances(project, found)
    assert "n_best" not in utterances(project, greedy)
    for hypothesis, n_best in zip(rows["hypothesis"], rows["n_best"], strict=True):
        assert 1 <= len(n_best) <= 3 and n_best[0]["text"] == hypothesis
        assert [each["score"] for each in n_best] == sorted((each["score"] for each in n_best), reverse=True)
    written = json.loads((project.parent / "transcripts" / "one.wav.json").read_text())
    assert written["decoder"] == "beam"


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        ("{kind: beem}", "kind"),
        ("{kind: greedy, beam_width: 4}", "beam_width"),
        ("{kind: beam, beam_width: 0}", "beam_width: 0; it must be at least 1"),
        ("{kind: beam, n_best: 99}", "n_best: 99; it must be 1 to beam_width (16)"),
        ("{kind: beam, beam_with: 9}", "beam_width"),
    ],
)
def test_a_decoder_that_makes_no_sense_is_refused_with_its_place(project: Path, decoder: str, said: str) -> None:
    with pytest.raises(RequestError, match=r"evaluate\.decode") as wrong:
        config.load(project, [f"evaluate.decode={decoder}"], pipeline="tones")
    assert said in str(wrong.value)
