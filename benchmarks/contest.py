"""What the contestants share: which files there are, how they are dealt out, and the line of JSON that each prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SUFFIXES = (".flac", ".wav", ".mp3")


def audio_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)


def shares(files: Sequence[Path], most: int) -> list[list[Path]]:
    """At most about `most` runs of neighbouring files, as equal as whole files allow."""
    size = max(1, len(files) // most)
    return [list(files[start : start + size]) for start in range(0, len(files), size)]


def said(files: Sequence[Path], audio_seconds: float, **more: Any) -> None:
    """The last line on stdout."""
    print(json.dumps({"files": len(files), "audio_seconds": round(audio_seconds, 3), **more}), flush=True)
