"""The benchmark compares like with like: the ceiling computes what Sorigil computes, and costs are counted whole."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from benchmarks import ceiling, corpora, measure
from benchmarks.stage import VARIANTS, units
from benchmarks.tables import Row, of_corpus
from storage.parts import read_table
from tasks.prepare import prepare_unit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two clips of noise in place of the speech."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * corpora.RATE)
    monkeypatch.setattr(corpora, "tape", lambda: noise.astype(np.float32))
    found = tmp_path / "flac44"
    corpora.build(corpora.CORPORA["flac44"], 1 / 3, found)
    return found


def test_clips_differ_and_are_what_their_corpus_says(folder: Path) -> None:
    first, second = sorted(folder.rglob("*.flac"))
    infos = [soundfile.info(path) for path in (first, second)]
    assert [(info.samplerate, info.channels, info.duration) for info in infos] == [(44100, 1, 10), (44100, 2, 10)]
    assert not np.array_equal(soundfile.read(first)[0], soundfile.read(second)[0][:, 0])


def test_the_ceiling_and_the_stage_compute_the_same_features(folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.rglob("*.flac"))
    assert ceiling.shard((files, tmp_path / "ceiling.parquet")) == 20
    theirs = pq.read_table(tmp_path / "ceiling.parquet")
    parts = [part for unit in units(folder, tmp_path / "out", 1, VARIANTS["full"]) for part in prepare_unit(unit).parts]
    ours = [read_table(str(tmp_path / "out" / "store" / part.uri)) for part in parts]
    widths = {table.column("dim")[0].as_py(): [] for table in ours}
    for table in ours:
        widths[table.column("dim")[0].as_py()] += table.column("values").to_pylist()
    for name, width in (("mel", 80), ("mfcc", 40)):
        for mine, other in zip(widths[width], theirs.column(name).to_pylist(), strict=True):
            # Sorigil rounds the prepared audio to 16 bits first; both store float16.
            np.testing.assert_allclose(np.asarray(mine, float), np.asarray(other, float), atol=0.5)


def test_costs_count_the_children_of_a_command_and_its_last_line() -> None:
    busy = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    command = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}]); print('x'); print('{{\"a\": 1}}')"
    )
    cost = measure.run([sys.executable, "-c", command])
    assert cost.cpu > 0.3
    assert cost.said == {"a": 1}


def test_processes_that_outlive_the_command_are_waited_for_and_counted() -> None:
    busy = "import time; time.sleep(0.2); end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    command = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {busy!r}], stdout=subprocess.DEVNULL)"
    assert measure.run([sys.executable, "-c", command + "; print('{}')"]).cpu > 0.3


def test_a_command_that_fails_or_says_nothing_is_named_with_its_last_words() -> None:
    with pytest.raises(measure.FailedError, match="out of order"):
        measure.run([sys.executable, "-c", "raise SystemExit('out of order')"])
    with pytest.raises(measure.FailedError, match="exit code 0"):
        measure.run([sys.executable, "-c", "print('no JSON')"])


def test_ratios_are_taken_within_a_round() -> None:
    def row(contestant: str, number: int, seconds: float) -> Row:
        cost = measure.Cost(wall=seconds, cpu=seconds, peak_mb=1)
        return Row(
            corpus="short", minutes=1, contestant=contestant, round=number, seconds=60, files=1, cost=cost
        )  # the second round is twice as slow for both

    rows = [row("ceiling", 0, 1), row("stage", 0, 2), row("ceiling", 1, 2), row("stage", 1, 4)]
    assert "| stage | 3.0 | 3.0 | 20 | 50 % | 50 % | 1 |" in of_corpus(rows)
