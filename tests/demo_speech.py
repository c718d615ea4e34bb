"""A few words of the demo's synthesised voices, for tests that need something a recogniser understands."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from sorigil.demo import DemoSpec, generate


@lru_cache(maxsize=1)
def spoken(rate: int = 16_000) -> list[tuple[str, np.ndarray[Any, np.dtype[np.float32]]]]:
    """English digits and commands: texts with float32 samples at `rate`."""
    pytest.importorskip("espeakng_loader", reason="the demo's voices need the extra `demo`")
    found = []
    for row in generate(DemoSpec(utterances=20, voices=6, languages=("en",)), workers=1):
        if not row.note and len(found) < 10:
            samples, there = soundfile.read(io.BytesIO(row.data), dtype="float32", always_2d=True)
            found.append((row.text, soxr.resample(samples.mean(axis=1), there, rate)))
    return found
