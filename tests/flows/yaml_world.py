"""A whole small project in a folder: tones in two classes with texts, an archive to transcribe, a pipelines.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 8000
WORDS = {"low": (300.0, "a"), "high": (1500.0, "b")}

PIPELINES = """\
version: 1
storage: {root: ./store}
cluster: {kind: local, workers: 2}
pipelines:
  tones:
    source: {kind: manifest, uri: ./source/manifest.jsonl}
    audio: {sample_rate: 8000}
    features:
      - {kind: log_mel, n_fft: 256, win_length: 200, hop_length: 80, n_mels: 20}
    split: {by: field, dev: 0.2}
    max_rejected: 0.5
    train:
      - {name: which, model: {kind: cnn2d, channels: [8, 8], time_strides: [1, 2], hidden: 16},
         objective: classification, epochs: 3}
      - name: letters
        model: {kind: gru, hidden: 16, layers: 1}
        objective: ctc
        epochs: 2
    transcribe: {source: {kind: folder, uri: ./archive}, model: letters, output: ./transcripts}
"""


def sound(word: str, seed: int, seconds: float = 0.4) -> np.ndarray[Any, np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tone = 0.4 * np.sin(2 * np.pi * WORDS[word][0] * rng.uniform(0.95, 1.05) * time)
    return (tone + 0.02 * rng.standard_normal(len(time))).astype(np.float32)


def make_project(folder: Path, items: int = 40, yaml: str = PIPELINES) -> Path:
    """Write sources, archive and pipelines.yaml; returns the path of the YAML."""
    source, archive = folder / "source", folder / "archive"
    source.mkdir(parents=True)
    archive.mkdir()
    rows = []
    for number in range(items):
        word = ("low", "high")[number % 2]
        soundfile.write(source / f"{number}.flac", sound(word, number), RATE)
        split = "test" if number % 5 == 0 else "train"
        row = {"id": f"u{number}", "audio": f"{number}.flac", "text": WORDS[word][1], "label": word, "split": split}
        rows.append({**row, "speaker": f"s{number % 4}"})
    (source / "broken.wav").write_text("<html>not audio</html>")
    rows.append({"id": "broken", "audio": "broken.wav", "text": "a", "label": "low", "split": "train"})
    (source / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number, name in enumerate(("one.wav", "two.flac")):
        pieces = [sound("low", number), np.zeros(RATE, np.float32), sound("high", number)]
        soundfile.write(archive / name, np.concatenate(pieces), RATE)
    (archive / "torn.wav").write_bytes(b"RIFF")
    path = folder / "pipelines.yaml"
    path.write_text(yaml)
    return path


def sorigil(
    *arguments: str, cwd: Path, check: bool = False, path: Sequence[Path] = (), **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with a home of its own; `path` comes before ours on PYTHONPATH."""
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=cwd, env=environment(cwd, path), capture_output=True, text=True, check=check, timeout=300, **options,
    )  # fmt: skip


def environment(cwd: Path, path: Sequence[Path] = ()) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    home = cwd / "home"
    home.mkdir(exist_ok=True)
    found = os.pathsep.join(map(str, (*path, Path(__file__).parents[2])))
    return {**kept, "HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": found}
