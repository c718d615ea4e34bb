"""Every verb on a store, sources and outputs behind s3://, as it is typed; and the credentials are nowhere in what it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from s3_server import S3Server
from typer.testing import CliRunner
from yaml_world import PIPELINES, environment, make_project

from flows import cli
from storage import files

SECRET = "b7Qk-not-to-be-seen-anywhere-Zx93"
FAR = 'storage: {root: "s3://bucket/store", catalog: "sqlite:///catalog.db", mlflow: "sqlite:///mlflow.db"}'


@pytest.fixture
def project(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project of `yaml_world`, with its recordings, its store and its transcripts in a bucket."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.chdir(tmp_path)
    yaml = PIPELINES.replace("storage: {root: ./store}", FAR)
    for place in ("source/manifest.jsonl", "archive", "transcripts"):
        yaml = yaml.replace(f"./{place}", f"s3://bucket/{place}")
    path = make_project(tmp_path, items=16, yaml=yaml)
    for folder in ("source", "archive"):
        for file in (tmp_path / folder).iterdir():
            files.write_bytes(f"s3://bucket/{folder}/{file.name}", file.read_bytes())
            file.unlink()
    return path


def sorigil(*arguments: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(cli.app, [*arguments, "--json"])
    assert done.exit_code == code, (arguments, done.stdout, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def names(prefix: str) -> list[str]:
    return [entry.uri.removeprefix(prefix) for entry in files.walk(prefix)]


def test_the_verbs_of_a_prepared_dataset(project: Path, s3: S3Server) -> None:
    assert sorigil("prepare", "tones", "--local")["books"]["kept"]["items"] == 16
    s3.seen.clear()
    assert sorigil("prepare", "tones", "--local")["work"]["new"]["items"] == 0
    assert not s3.gets(".flac"), "nothing is read a second time"
    assert sorigil("verify", "tones")["intact"]

    kaldi = "s3://bucket/exports/kaldi/"
    asked = ("export", "tones", "--to", "kaldi", "--output", kaldi.rstrip("/"))
    assert sorigil(*asked)["rows"] == 16 and "train/wav.scp" in names(kaldi)
    assert sorigil(*asked)["unchanged"]

    compacted = sorigil("versions", "compact", "tones")
    assert compacted["version"] == "v2" and compacted["parts_after"] < compacted["parts_before"]
    assert sorigil("versions", "prune", "tones", "--keep", "1", "--min-age", "0s")["expired"] == ["v1"]
    assert sorigil("verify", "tones")["parts"] == compacted["parts_after"]

    found = sorigil("erase", "tones", "--where", "speaker=s1")
    assert found["clean"] and len(found["utterances"]) == 4
    assert names(kaldi) == [] and len(found["reach"]["exports"]) == 1
    assert sorigil("prepare", "tones", "--local")["books"]["kept"]["items"] == 12
    assert sorigil("repair")["tables"] == {}


class CommandLines(threading.Thread):
    """What `ps` would show of a process and all that it starts."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self.seen: set[str] = set()

    def run(self) -> None:
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self.seen |= {" ".join(process.cmdline()) for process in family}
            except psutil.Error:
                pass
            threading.Event().wait(0.1)


@pytest.mark.slow
def test_the_whole_road_leaves_no_credentials(project: Path, s3: S3Server) -> None:
    said = _run(project, "prepare") + _run(project, "run", "--local")
    transcripts = names("s3://bucket/transcripts/")
    assert len(transcripts) == 8 and {"one.wav.json", "two.flac.srt"} <= set(transcripts)
    assert len(sorigil("models", "--trained")["models"]) == 2
    assert sorigil("report", "tones")["report"].startswith("s3://bucket/store/runs/")
    for verb in ("train", "evaluate", "transcribe"):
        s3.seen.clear()
        assert sorigil(verb, "tones", "--local")["status"] == "completed"
        assert not [path for (method, path), _ in s3.seen.items() if method == "PUT" and "/runs/" not in path], verb
    assert sorigil("verify", "tones")["models"] == 2
    assert sorigil("erase", "tones", "--where", "speaker=s1", "--delete-models")["clean"]
    assert not [name for name in names("s3://bucket/store/") if name.endswith(".safetensors")]

    s3.spoil = lambda request: "error" if "/parts/" in request["PATH_INFO"] else None
    said += _run(project, "prepare", "--local", "--set", "audio.sample_rate=4000", code=1)
    s3.spoil = lambda request: None
    assert SECRET not in said
    for file in project.parent.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file
    for entry in files.walk("s3://bucket"):
        assert SECRET.encode() not in files.read_bytes(entry.uri), entry.uri


def _run(project: Path, verb: str, *more: str, code: int = 0) -> str:
    """A verb in a process of its own, watched; returns what it said."""
    command = [sys.executable, "-m", "flows.cli", verb, "tones", "--json", *more]
    pipe = subprocess.PIPE
    settings = environment(project.parent)
    running = subprocess.Popen(command, cwd=project.parent, env=settings, stdout=pipe, stderr=pipe, text=True)
    watcher = CommandLines(running.pid)
    watcher.start()
    out, err = running.communicate(timeout=300)
    watcher.join(10)
    assert running.returncode == code, err
    assert watcher.seen and not [line for line in watcher.seen if SECRET in line]
    return out + err
