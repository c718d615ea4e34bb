"""A place that cannot be written is refused before anything is read, let alone computed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from sorigil.errors import RequestError

YAML = """\
version: 1
storage: {root: ./store}
pipelines:
  speech:
    source: {kind: folder, uri: ./nowhere}
    features: [{kind: log_mel}]
    train: [{model: {kind: deepspeech2}, objective: ctc}]
"""


@pytest.mark.parametrize(
    ("option", "verb"),
    [
        ("--html", "compare one other"),
        ("--html", "errors speech"),
        ("--output", "find-lr speech"),
        ("--output", "export speech --to kaldi"),
        ("--output", "align speech"),
    ],
)
def test_it_is_refused_at_once(option: str, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines.yaml").write_text(YAML)
    place = "pipelines.yaml/below"
    with pytest.raises(RequestError, match=f"{option} {place}: it cannot be written there"):
        CliRunner().invoke(app, [*verb.split(), option, place], catch_exceptions=False)
    assert not (tmp_path / "store").exists()
