"""Two runs of one pipeline at once, in processes of their own: one commits, the other finds that and plans again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
from yaml_world import RATE, environment, make_project, sorigil, sound

from flows import config
from storage.catalog import Catalog

pytestmark = pytest.mark.slow
LOST = "another run committed first"


def at_once(path: Path, meeting: str) -> list[tuple[int, str, dict[str, Any]]]:
    """Exit code, what was said and the result of two runs that meet before they commit."""
    folder = path.parent / meeting
    folder.mkdir()
    settings = environment(path.parent, [Path(__file__).parent / "meeting"]) | {"SORIGIL_TEST_MEETING": str(folder)}
    command = [sys.executable, "-m", "flows.cli", "prepare", "tones", "--local", "--json"]
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(command, cwd=path.parent, env=settings, stdout=pipe, stderr=pipe, text=True) for _ in range(2)
    ]
    said = [each.communicate(timeout=240) for each in running]
    return [(each.returncode, err, json.loads(out)) for each, (out, err) in zip(running, said, strict=True)]


def content(path: Path) -> dict[str, Any]:
    store = config.load(path).storage.store()
    catalog = Catalog(store.catalog, store.root)
    found: dict[str, Any] = {"versions": [version.name for version in catalog.versions("tones")]}
    latest = catalog.version("tones")
    assert latest is not None
    found["books"] = latest.books
    where = {"stamp", "when", "audio_part", "audio_row", "audio_part_sha256", "part", "part_sha256", "row"}
    for name in ("utterances", "annotations", "features", "quarantine"):
        table = catalog.read(latest, name)
        rows = table.drop_columns([column for column in table.column_names if column in where]).to_pylist()
        found[name] = sorted(rows, key=str)
    return found


def add_recordings(path: Path) -> None:
    source = path.parent / "source"
    with (source / "manifest.jsonl").open("a") as manifest:
        for number in range(100, 104):
            soundfile.write(source / f"{number}.flac", sound("low", number), RATE)
            manifest.write(json.dumps({"id": f"u{number}", "audio": f"{number}.flac", "text": "a"}) + "\n")


def test_two_processes_that_commit_at_once(tmp_path: Path) -> None:
    alone, path = (make_project(tmp_path / name, items=12) for name in ("alone", "together"))
    for night, change in enumerate((lambda _: None, add_recordings)):
        change(alone)
        change(path)
        assert sorigil("prepare", "tones", "--local", cwd=alone.parent).returncode == 0
        runs = at_once(path, f"night {night}")
        assert [(code, result["status"]) for code, _, result in runs] == [(0, "completed")] * 2, runs
        assert sorted(LOST in said for _, said, _ in runs) == [False, True]
        assert {result["version"] for _, _, result in runs} == {f"v{night + 1}"}
        assert content(path) == content(alone)
