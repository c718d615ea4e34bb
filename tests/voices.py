"""Something like speech, made of sums: what tests of listening code share."""

from __future__ import annotations

from typing import Any

import numpy as np

SAMPLE_RATE = 16000


def babble(seed: int, seconds: float = 2.0) -> Any:
    """Something like speech: harmonics on a gliding pitch, in bursts, over a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    knots = np.arange(0, seconds + 0.2, 0.1)
    pitch = np.interp(time, knots, rng.uniform(90, 240, len(knots)))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    gains = [np.interp(time, knots, rng.uniform(0, 1, len(knots)) ** 3) for _ in range(30)]
    voice = sum(gain * np.sin(number * phase) for number, gain in enumerate(gains, 1))
    return (0.05 * voice + 0.0005 * rng.standard_normal(len(time))).astype(np.float32)
