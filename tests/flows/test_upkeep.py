"""The verbs that keep a store healthy, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import World
from typer.testing import CliRunner
from yaml_world import make_project

from flows import cli
from storage.catalog import CommitLostError
from tasks.prepare import prepare_unit

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


def test_compact_and_prune(project: Path) -> None:
    code, found = as_json(project, "versions", "compact", "tones")
    assert (code, found["from"]) == (0, "v1")
    merged = found["parts_after"] < found["parts_before"]
    assert found["version"] == ("v2" if merged else "v1")
    code, found = as_json(project, "versions", "prune", "tones", "--keep", "1", "--min-age", "0s", "--dry-run")
    assert code == 0 and found["dry_run"] and found["expired"] == (["v1"] if merged else [])
    code, said = sorigil(project, "versions", "prune", "tones", "--keep", "1", "--min-age", "0s")
    assert code == 0 and (not merged or ("1 versions were dropped: v1" in said and "part" in said))
    assert as_json(project, "verify", "tones")[1]["intact"]
    done = CliRunner().invoke(cli.app, ["versions", "prune", "tones", "--older-than", "month", "--file", str(project)])
    assert "--older-than is 'month'; it must be a number and a unit" in str(done.exception)


def test_erase(project: Path) -> None:
    code, found = as_json(project, "erase", "tones", "--where", "speaker=s1", "--dry-run")
    assert (code, found["utterances"]) == (0, ["u1", "u5"])
    assert as_json(project, "versions", "show", "tones")[1]["version"]["books"]["kept"]["items"] == 8
    code, said = sorigil(project, "erase", "tones", "--where", "speaker=s1")
    assert code == 0 and "2 utterances erased" in said and "nothing found" in said and "not covered: the source" in said
    code, found = as_json(project, "versions", "show", "tones")
    books = found["version"]["books"]
    assert (books["scanned"]["items"], books["kept"]["items"], books["filtered"]["items"]) == (9, 6, 2)
    assert sorigil(project, "prepare", "tones", "--local")[0] == 0
    assert as_json(project, "versions", "list", "tones")[1]["versions"][-1]["version"] == "v1", "they do not come back"
    for wrong, said in (
        ("speaker=nobody", "no utterance has speaker=nobody"),
        ("speaker", "it must be a field and its value"),
    ):
        done = CliRunner().invoke(cli.app, ["erase", "tones", "--where", wrong, "--file", str(project)])
        assert said in str(done.exception)


def test_a_run_whose_parts_were_deleted_does_not_publish_them(world: World) -> None:
    world.add("a")
    plan = world.plan()
    for unit in plan.units:
        prepare_unit(unit)
    plan = world.plan()
    assert plan.units == []
    next(Path(world.store.root).glob("parts/*/audio/*/*")).unlink()
    with pytest.raises(CommitLostError, match="parts were deleted while this run was at work"):
        world.do(plan)
    assert world.run().version.name == "v1" and len(world.kept()) == 1


def test_repair_after_a_move(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert "nothing to repair" in sorigil(project, "repair")[1]
    there = tmp_path_factory.mktemp("moved") / "project"
    project.parent.rename(there)
    done = CliRunner().invoke(cli.app, ["versions", "list", "tones", "--file", str(there / project.name)])
    assert "`sorigil repair`" in str(done.exception)
    code, found = as_json(there / project.name, "repair")
    assert code == 0 and len(found["tables"]) == 4
    assert as_json(there / project.name, "verify", "tones")[1]["intact"]


def test_doctor(project: Path) -> None:
    code, found = as_json(project, "doctor")
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert code == (1 if "wrong" in states.values() else 0)
    assert states["pyarrow"] == states["store"] == states["catalogue"] == states["configuration"] == "ok"
    assert "tones v1" in sorigil(project, "doctor")[1]
    project.write_text("version: 2")
    code, said = sorigil(project, "doctor")
    assert code == 1 and "wrong" in said
