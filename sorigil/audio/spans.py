"""Stretches of a recording and of its channels: which samples a span takes, and where they lie at another rate."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from sorigil.audio.spec import AudioSpec
from sorigil.errors import AudioError

SPAN_SLACK_SECONDS = 0.05  # manifests round seconds: a span may end this much after the recording and is cut there
MARGIN_TAPS = 256  # source samples around a span, times the rate's ratio: soxr VHQ's filter is shorter

Floats = npt.NDArray[np.float32]


def checked_span(total: int, sample_rate: int, start: int, length: int | None) -> tuple[int, int]:
    """Start and end of a span of a recording of `total` samples. Raises AudioError: span_outside."""
    end = total if length is None else start + length
    if (
        start < 0
        or end < start
        or (start >= total and start > 0)
        or end > total + int(SPAN_SLACK_SECONDS * sample_rate)
    ):
        spans = f"samples {start} to {end}" if length is not None else f"sample {start} to the end"
        raise AudioError("span_outside", f"the span is {spans} but the recording has {total} samples")
    return start, min(end, total)


def with_margin(spec: AudioSpec, sample_rate: int, start: int, end: int) -> tuple[int, int]:
    """The span widened by the resampler's reach, from where source and target samples coincide; the recording may end
    before the widened end."""
    if sample_rate == spec.sample_rate:
        return start, end
    margin = MARGIN_TAPS * math.ceil(max(1.0, sample_rate / spec.sample_rate))
    block = sample_rate // math.gcd(sample_rate, spec.sample_rate)
    return max(0, start - margin) // block * block, end + margin


def scaled_place(sample: int, source_rate: int, sample_rate: int) -> int:
    """A place on the source's grid → the nearest one on the target's, in integers (half rounds up)."""
    return (2 * sample * sample_rate + source_rate) // (2 * source_rate)


def used_channels(samples: Floats, channels: Literal["mono", "each"] | int) -> Floats:
    """Of (num_samples, channels) those that take part: all of them for a mix, or the one chosen."""
    if isinstance(channels, str):  # who wants each asks for one after the other
        return samples
    if not 0 <= channels < samples.shape[1]:
        raise AudioError("bad_channel", f"channel {channels} is wanted (from 0) but there are {samples.shape[1]}")
    return samples[:, channels : channels + 1]


def mix(used: Floats) -> Floats:
    """The mean over channels, as a product: numpy's mean is 40 times slower over so short an axis."""
    channels = used.shape[1]
    return used[:, 0] if channels == 1 else used @ np.full(channels, 1 / channels, dtype=np.float32)
