"""Lhotse's environment: made once below the benchmark's folder, with versions that work together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# torch's own CPU builds are taken where pip is told of an index that has them; else the download is several gigabytes.
LHOTSE = ("lhotse==1.33.0", "torch==2.11.0", "torchaudio==2.11.0", "lilcom", "soundfile", "urllib3")


class MissingError(Exception):
    """The peer cannot be had here; the text says why."""


def lhotse_python(root: Path) -> Path:
    """The interpreter of the environment. Raises MissingError where it cannot be made."""
    folder = root / "lhotse"
    python, made = folder / "bin" / "python", folder / "made"
    if made.exists():
        return python
    print(f"making Lhotse's environment in {folder}", file=sys.stderr)
    commands = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *LHOTSE],
        [str(python), "-c", "import lhotse, lilcom, torchaudio"],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise MissingError(f"{' '.join(command[:4])} failed: {done.stderr.strip().splitlines()[-1:]}")
    made.touch()
    return python
