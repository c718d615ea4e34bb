"""The command line: what it imports, what it says of a wrong request, its exit codes and its JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from yaml_world import environment, make_project, sorigil


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.argv = ['sorigil', '--help']\nfrom flows.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'prefect', 'mlflow', 'distributed', 'librosa', 'pyarrow', 'numpy', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "transcribe" in ran.stdout


def test_check_names_every_mistake_at_once(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=2)
    text = (
        path.read_text()
        .replace("n_mels: 20", "n_mel: 20")
        .replace("epochs: 3", "epochs: many")
        .replace("kind: gru", "kind: grru")
    )
    path.write_text(text)
    ran = sorigil("check", cwd=path.parent)
    assert ran.returncode == 2 and "Traceback" not in ran.stderr
    for expected in ("n_mel", "did you mean n_mels", "epochs", "many", "grru"):
        assert expected in ran.stderr
    said = json.loads(sorigil("check", "--json", cwd=path.parent).stdout)
    assert said["status"] == "failed" and len(said["errors"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("run", "tone"), 2, "tones"),
        (("run", "tones", "--file", "nowhere.yaml"), 2, "nowhere.yaml"),
        (("run", "tones", "--set", "train.which.epoch=3"), 2, "epochs"),
        (("rnu", "tones"), 2, "rnu"),
        (("versions", "list", "tones"), 0, ""),
        (("quarantine", "list", "tones"), 2, "no version yet"),
        (("evaluate", "tones", "--local"), 1, "no version yet"),
        (("report", "tones"), 2, "has not run yet"),
    ],
)
def test_wrong_requests_get_a_sentence_and_an_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    path = make_project(tmp_path, items=2)
    ran = sorigil(*arguments, cwd=path.parent)
    assert ran.returncode == code, ran.stderr
    assert says in ran.stderr + ran.stdout and "Traceback" not in ran.stderr


def test_failed_run_still_ends_with_one_json_object(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=4)
    (path.parent / "source/manifest.jsonl").unlink()
    ran = sorigil("run", "tones", "--local", "--json", cwd=path.parent)
    result = json.loads(ran.stdout)
    assert ran.returncode == 1 and result["status"] == "failed" and "manifest" in result["errors"][0]["message"]


def test_looking_verbs_after_a_run(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=6)
    assert sorigil("prepare", "tones", "--local", cwd=path.parent).returncode == 0
    (path.parent / "source/1.flac").unlink()
    assert sorigil("prepare", "tones", "--local", "--json", cwd=path.parent).returncode == 0
    versions = json.loads(sorigil("versions", "list", "tones", "--json", cwd=path.parent).stdout)["versions"]
    assert [row["version"] for row in versions] == ["v1", "v2"]
    diff = json.loads(sorigil("versions", "diff", "tones", "v1", "v2", "--json", cwd=path.parent).stdout)["diff"]
    assert diff["removed"] == ["u1"] and diff["added"] == []
    listed = json.loads(sorigil("quarantine", "list", "tones", "--json", cwd=path.parent).stdout)
    assert {row["id"]: row["reason"] for row in listed["quarantine"]} == {"broken": "not_audio", "u1": "missing_file"}
    assert sorigil("versions", "tag", "tones", "v1", "before", cwd=path.parent).returncode == 0
    shown = sorigil("versions", "show", "tones", "--version", "before", cwd=path.parent).stdout
    assert "before" in shown and "signal to noise, dB" in shown
    said = json.loads(sorigil("versions", "show", "tones", "--json", cwd=path.parent).stdout)["version"]
    assert said["measures"]["bandwidth_hz"]["known"] == 5 and said["measures"]["lufs"]["median"] < -5
