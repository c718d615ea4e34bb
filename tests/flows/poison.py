"""Sound files that end whoever decodes them, where `injected/sitecustomize.py` is on the path; elsewhere they are good."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

INJECTED = Path(__file__).parent / "injected"


def poisoned_wav(fault: str, seed: int, rate: int = 8000) -> bytes:
    """A tenth of a second of noise, with the fault's name in a chunk before the samples."""
    samples = np.random.default_rng(seed).integers(-3000, 3000, rate // 10).astype("<i2").tobytes()
    mark = b"sorigil-fault:" + fault.encode() + b";"
    mark += b" " * (len(mark) % 2)
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    chunks += b"note" + struct.pack("<I", len(mark)) + mark
    chunks += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
