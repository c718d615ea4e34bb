"""`sorigil normalize`: names, mappings and files; arguments and stdin; what is wrong is said in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.config import ConfigError, load
from flows.normalize import asked
from sorigil.errors import RequestError
from sorigil.text.normalize import CustomNormalizer, KoreanNormalizer, PlainNormalizer, Rule


def test_texts_come_out_line_by_line() -> None:
    done = CliRunner().invoke(app, ["normalize", "Don't — 3.5", "B!"])
    assert done.stdout == "dont 3 5\nb\n"


def test_lines_of_stdin_with_json() -> None:
    command = ["normalize", "--normalizer", "{kind: korean, numbers: spoken}", "--json"]
    done = CliRunner().invoke(app, command, input="\ufeff3명!\r\n\n".encode())
    said = json.loads(done.stdout)
    assert said["lines"] == [{"text": "3명!", "normalized": "세 명"}, {"text": "", "normalized": ""}]
    assert said["version"] == 1 and said["options"] == {"kind": "korean", "numbers": "spoken", "dual": "keep"}


def test_stdin_that_is_no_text_is_told() -> None:
    done = CliRunner().invoke(app, ["normalize"], input=b"fine\n\xff\n")
    assert done.stdout == "fine\n"
    assert isinstance(done.exception, RequestError) and "line 2 of stdin is not UTF-8" in str(done.exception)


def test_a_name_a_mapping_and_a_file(tmp_path: Path) -> None:
    assert asked("english") == PlainNormalizer(kind="english")
    assert asked("{kind: korean, dual: written}") == KoreanNormalizer(dual="written")
    file = tmp_path / "mine.yaml"
    file.write_text("kind: custom\nname: mine\nrules:\n  - {match: '\\bDr\\.', put: doctor}\n", encoding="utf-8")
    assert asked(str(file)) == CustomNormalizer(name="mine", rules=(Rule(match=r"\bDr\.", put="doctor"),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("englsh", "normalizer.kind: 'englsh'.*did you mean english"),
        ("{kind: korean, number: spoken}", "normalizer.number: unknown key; did you mean numbers"),
        ("{kind: custom, name: m, rules: [{match: '('}]}", r"normalizer.rules\[0\].match.*not a replacement"),
        ("{kind: [}", "not valid YAML"),
        ("custom", "normalizer.name: missing"),
    ],
)
def test_mistakes_are_told(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        asked(text)


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(RequestError, match=r"nothere\.yaml: the file cannot be read"):
        asked("nothere.yaml")


def test_a_pipeline_takes_the_same(tmp_path: Path) -> None:
    file = tmp_path / "pipelines.yaml"
    file.write_text(
        "version: 1\npipelines:\n  p:\n    source: {kind: folder, uri: .}\n"
        "    evaluate: {normalizer: {kind: korean, numbers: spoken}}\n",
        encoding="utf-8",
    )
    assert load(file).pipelines["p"].evaluate.normalizer == KoreanNormalizer(numbers="spoken")
    assert load(file, ["evaluate.normalizer=none"], pipeline="p").pipelines["p"].evaluate.normalizer.kind == "none"
