"""`sorigil find-lr`: a suggestion and a picture, and nothing else is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from yaml_world import make_project

from flows import config
from flows.find_lr import find, found_text
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options
from sorigil.errors import RequestError, RunError


def test_a_rate_is_suggested_and_the_store_stays_as_it_is(tmp_path: Path) -> None:
    loaded = config.load(make_project(tmp_path, items=20), pipeline="tones")
    with pytest.raises(RunError, match="has no version yet"):
        find(loaded, "tones", None, 12, str(tmp_path))
    execute(loaded, "tones", Options(local=True, steps=("ingest", "prepare")), PlainReporter(quiet=True))
    before = sorted(path for path in (tmp_path / "store").rglob("*") if path.is_file())
    found = find(loaded, "tones", "letters", 12, str(tmp_path))
    assert sorted(path for path in (tmp_path / "store").rglob("*") if path.is_file()) == before
    assert Path(found["picture"]).read_bytes()[:4] == b"\x89PNG" and len(found["rates"]) == 12
    assert found["rates"][0] <= found["learning_rate"] <= found["rates"][-1]
    assert f"letters: learning_rate: {found['learning_rate']:.1e}  (it is 1.0e-03)" in found_text(found)
    with pytest.raises(RequestError, match="no train entry 'leters'; there are which, letters"):
        find(loaded, "tones", "leters", 12, str(tmp_path))
