"""The verbs that keep a store healthy, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from yaml_world import make_project

from flows import cli

PREPARE_ONLY = """\
version: 1
storage: {root: ./store}
pipelines:
  tones:
    source: {kind: manifest, uri: ./source/manifest.jsonl}
    audio: {sample_rate: 8000}
    features:
      - {kind: log_mel, n_fft: 256, win_length: 200, hop_length: 80, n_mels: 20}
    max_rejected: 0.5
    max_vanished: 1.0
"""


def sorigil(project: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and what is on stdout, in this process."""
    done = CliRunner().invoke(cli.app, [*arguments, "--file", str(project)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def as_json(project: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, said = sorigil(project, *arguments, "--json")
    return code, json.loads(said)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A prepared dataset of eight utterances of four speakers."""
    path = make_project(tmp_path, items=8, yaml=PREPARE_ONLY)
    assert sorigil(path, "prepare", "tones", "--local")[0] == 0
    return path


def test_verify(project: Path) -> None:
    code, found = as_json(project, "verify", "tones")
    assert (code, found["intact"], found["damage"], found["advice"]) == (0, True, [], [])
    part = next((project.parent / "store/parts").rglob("audio/*/*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    code, said = sorigil(project, "verify", "tones")
    assert code == 1 and "damaged" in said and "`sorigil verify tones --repair`" in said
    code, found = as_json(project, "verify", "tones", "--repair")
    assert code == 1 and found["status"] == "failed" and found["set_aside"] == [found["damage"][0]["what"]]
    assert found["advice"] == ["`sorigil prepare tones` computes what is gone again, if the source still has it"]
    assert sorigil(project, "prepare", "tones", "--local")[0] == 0
    _, found = as_json(project, "verify", "tones")
    assert not [row for row in found["damage"] if row["latest"]]
