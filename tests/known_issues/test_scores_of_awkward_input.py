"""Bugs of the verbs that score, found with awkward input: one test each, named after what went wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from flows import cli
from flows.cli_options import print_json, print_text
from flows.cli_tune import _numbers
from sorigil.decoding.spec import BeamSpec
from sorigil.errors import RequestError
from sorigil.metrics.tag_comparison import Tagged, compare_tags
from sorigil.report.leaderboard import Leaderboard, to_html
from sorigil.text.exchange import read
from storage import bundles, files, hypotheses, parts
from storage.layout import Store


def test_taggers_of_unknown_speakers_have_no_interval_by_speaker() -> None:
    """It was the one by utterance, drawn once more."""
    rng = np.random.default_rng(0)
    truth_NC = rng.random((40, 3)) < 0.4
    a, b = (Tagged(probabilities_NC=each, said_NC=each > 0.5) for each in rng.random((2, 40, 3)))
    assert [each.first.by_speaker for each in compare_tags(truth_NC, [a], [b]).values()] == [None, None, None]


def test_the_leaderboards_own_policy_let_its_script_not_run() -> None:
    html = to_html(Leaderboard(boards=(), missing=(), when="now"))
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html


@pytest.mark.parametrize("text", ["nan,0", "1e400", "-inf"])
def test_tune_chose_a_weight_that_is_no_number(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected numbers"):
        _numbers(text, float)


@pytest.mark.parametrize("name", ["lm_weight", "hot_word_weight", "insertion"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_decoder_took_a_weight_that_is_no_number(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} is .*; it must be a finite number"):
        BeamSpec(**{name: value})


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.trn", "a.ctm"])
def test_utf16_without_a_mark_was_scored_as_text(name: str) -> None:
    with pytest.raises(RequestError, match=f"{name}:2: a zero byte"):
        read(b"\n" + "the cat (a)".encode("utf-16-le"), name)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "a", "text": 3}, "a has the text 3, which is no text"),
        ({"id": "a", "text": ["x"]}, 'a has the text ["x"], which is no text'),
        ({"id": "a", "text": "x", "speaker": {"name": "s"}}, 'the speaker of a is {"name": "s"}; it must be text'),
    ],
)
def test_a_value_of_another_type_was_not_shown_or_became_a_speaker(row: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=re.escape(f"a.jsonl:1: {said}")):
        read(json.dumps(row).encode(), "a.jsonl")


def test_a_list_of_objects_was_called_not_json_line_by_line() -> None:
    with pytest.raises(RequestError, match="It is one list; write each of its objects on a line of its own"):
        read(json.dumps([{"id": "a", "text": "x"}], indent=1).encode(), "a.json")


def test_ids_and_words_could_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_text("a\tb \x1b[31mred\x07\x7f\x9b\n한국어 שלום")
    assert capsys.readouterr().out == "a␉b ␛[31mred␇\ufffd\ufffd\n한국어 שלום\n"


def test_a_name_that_is_not_utf8_made_json_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"reference": "bad\udcff.txt", "hypothesis": "good"})
    print_json({"reference": "한국어"})
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["reference"] == "bad\udcff.txt" and first.isascii()
    assert second == '{"reference": "한국어"}'


@pytest.mark.parametrize("torn", [b"{", b"[]", b"{}"])
def test_the_torn_json_of_a_model_ended_in_a_traceback(tmp_path: Path, torn: bytes) -> None:
    store = Store(root=str(tmp_path), catalog="", mlflow="")
    files.write_bytes(store.path(f"{store.model('k')}/model.json"), torn)
    for function in (bundles.list_models, lambda there: bundles.facts(there, "k")):
        with pytest.raises(RequestError, match=r"models/k/model\.json: damaged \(.*\); delete .*/models/k and train"):
            function(store)


def test_a_damaged_table_of_hypotheses_ended_in_a_traceback(tmp_path: Path) -> None:
    store = Store(root=str(tmp_path), catalog="", mlflow="")
    files.write_bytes(store.path(f"{store.hypotheses('k')}/a.parquet"), b"junk")
    with pytest.raises(RequestError, match=r"hypotheses/k/a\.parquet: damaged \(.*\); delete it and run again"):
        hypotheses.read(store, "k")
    with pytest.raises(FileNotFoundError):  # not damaged, but missing
        parts.read_table(store.path("b.parquet"))


def test_the_torn_json_of_a_score_ended_in_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "score.json").write_bytes(b"{")
    with pytest.raises(RequestError, match=r"score\.json: damaged \(.*\); delete it and run again"):
        files.read_json(str(tmp_path / "score.json"))


def test_a_bug_left_stdout_empty_under_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def buggy(**_: object) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(cli, "app", buggy)
    monkeypatch.setattr(sys, "argv", ["sorigil", "models", "--json"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr()
    assert left.value.code == 1 and "Traceback" in said.err
    assert json.loads(said.out)["errors"][0]["message"] == "KeyError: 'nobody thought of this'"
