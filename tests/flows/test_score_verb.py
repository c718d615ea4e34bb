"""`sorigil score`: figures, intervals, aligned differences; what cannot be scored ends with a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jiwer
import pytest
from typer.testing import CliRunner

from flows.cli import app
from sorigil.errors import RequestError

TRN = "the cat sat (ann-1)\nyes no (ben-1)\n(ben-2)\n"
JSONL = '{"id":"ben-1","text":"Yes, yes"}\n{"id":"ann-1","text":"the bat on sat"}\n{"id":"ben-2","text":""}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("r.trn", TRN), ("h.jsonl", JSONL), ("h.ctm", "ann-1 1 0 1 the\n"), ("r.txt", "a\n\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def score(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["score", *arguments, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_figures_are_there_and_are_jiwers(folder: Path) -> None:
    found = score("r.trn", "h.jsonl")
    theirs = jiwer.process_words(["the cat sat", "yes no", ""], ["the bat on sat", "yes yes", ""])
    assert {name: found[name] for name in ("substitutions", "deletions", "insertions", "reference_words")} == {
        "substitutions": theirs.substitutions,
        "deletions": theirs.deletions,
        "insertions": theirs.insertions,
        "reference_words": 5,
    }
    assert found["wer"] == pytest.approx(theirs.wer) and found["metrics"]["mer"]["value"] == pytest.approx(theirs.mer)
    assert found["cer"] == found["metrics"]["cer"]["value"] == pytest.approx(6 / 14)
    low, high = found["interval"]
    assert low <= found["wer"] <= high and found["interval_by_speaker"] != found["interval"]
    assert (found["utterances"], found["speakers"], found["normalizer"]) == (3, 2, "basic")
    assert "differences" not in found


def test_the_normaliser_is_part_of_what_is_said(folder: Path) -> None:
    none = score("r.trn", "h.jsonl", "--normalizer", "none")
    assert none["wer"] == pytest.approx(4 / 5) and none["normalizer"] == "none"  # "Yes," is not "yes"
    assert none["slice"] == score("r.trn", "h.jsonl")["slice"]


def test_the_slice_names_the_references(folder: Path) -> None:
    (folder / "other.trn").write_text(TRN.replace("cat", "dog"), encoding="utf-8")
    assert score("other.trn", "h.jsonl")["slice"] != score("r.trn", "h.jsonl")["slice"]


def test_differences_are_aligned(folder: Path) -> None:
    found = score("r.trn", "h.jsonl", "--differences")
    assert [row["id"] for row in found["differences"]] == ["ann-1", "ben-1"]
    assert found["differences"][0]["columns"] == [["the", "the"], [None, "bat"], ["cat", "on"], ["sat", "sat"]]
    text = CliRunner().invoke(app, ["score", "r.trn", "h.jsonl", "--differences"]).stdout
    assert "  REF  the  ***  cat  sat\n  HYP  the  bat  on   sat\n            I    S\n" in text
    assert "3 utterances, 5 words: substitutions 2, deletions 0, insertions 1" in text


def test_what_a_ctm_lacks_is_noted(folder: Path) -> None:
    found = score("r.trn", "h.ctm")
    assert found["deletions"] == 4
    assert found["notes"] == ["h.ctm is a CTM and lacks 2 of the utterances (ben-1, ben-2): nothing was heard there"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["r.trn", "nothere.trn"], "nothere.trn: the file cannot be read"),
        (["r.trn", "r.txt"], "plain lines without ids"),
        (["empty.trn", "r.trn"], "holds no utterance"),
        (["h.ctm", "h.jsonl"], "2 ids"),
        (["r.trn", "h.jsonl", "--normalizer", "baisc"], "did you mean basic"),
    ],
)
def test_what_cannot_be_scored_is_told(folder: Path, arguments: list[str], said: str) -> None:
    (folder / "empty.trn").write_text("", encoding="utf-8")
    with pytest.raises(RequestError, match=said):
        score(*arguments)


def test_every_key_is_in_the_document(folder: Path) -> None:
    said = (Path(__file__).resolve().parents[2] / "docs/scoring.md").read_text(encoding="utf-8")
    assert [key for key in score("r.trn", "h.jsonl", "--differences") if f"`{key}`" not in said] == []
