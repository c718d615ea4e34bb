"""Framing, windows and the power of the short-time Fourier transform, as librosa computes it, in blocks of frames.

The transform is the costly part of every feature, so `sorigil.features.compute` runs it once for all specs whose
parameters here coincide. Blocks keep the working memory within the processor's cache, whatever the recording's length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy import fft

from sorigil.errors import AudioError

Floats = npt.NDArray[np.float32]

BLOCK_FRAMES = 192  # with n_fft 512 a block and its spectrum take 0.8 MB
Window = Literal["hann", "hamming", "blackman", "nuttall", "boxcar"]
PadMode = Literal["constant", "edge", "reflect", "symmetric"]

_COSINES: dict[str, tuple[float, ...]] = {  # a window is the sum of (-1)^k a_k cos(2 pi k n / length)
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StftSpec:
    """The parameters of `librosa.stft`, in samples of the prepared audio."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    n_fft: int = 512
    win_length: int | None = 400  # None: n_fft
    hop_length: int = 160
    window: Window = "hann"
    center: bool = True  # frame t is centred on sample t * hop_length; False: it begins there
    pad_mode: PadMode = "constant"  # what lies beyond the ends when centred

    def __post_init__(self) -> None:
        check_stft(self)


def check_stft(spec: StftSpec) -> None:
    """Refuse values outside their range (called by every feature's spec: slotted classes cannot chain by super)."""
    if spec.n_fft < 2:
        raise ValueError(f"n_fft is {spec.n_fft}; it must be at least 2")
    if spec.hop_length < 1:
        raise ValueError(f"hop_length is {spec.hop_length}; it must be at least 1")
    if spec.win_length is not None and not 1 <= spec.win_length <= spec.n_fft:
        raise ValueError(f"win_length is {spec.win_length}; it must be 1 to n_fft ({spec.n_fft})")


def stft_of(spec: StftSpec) -> StftSpec:
    """Only the transform's parameters of a feature spec: equal ones share one transform."""
    return StftSpec(
        n_fft=spec.n_fft,
        win_length=spec.win_length if spec.win_length is not None else spec.n_fft,
        hop_length=spec.hop_length,
        window=spec.window,
        center=spec.center,
        pad_mode=spec.pad_mode,
    )


def num_bins(spec: StftSpec) -> int:
    return spec.n_fft // 2 + 1


def num_frames(spec: StftSpec, num_samples: int) -> int:
    """Frames of a recording; 0 where it is empty, or shorter than n_fft and not centred."""
    padded = num_samples + (spec.n_fft // 2 * 2 if spec.center else 0)
    return 0 if num_samples < 1 or padded < spec.n_fft else 1 + (padded - spec.n_fft) // spec.hop_length


@lru_cache(maxsize=32)
def window(spec: StftSpec) -> Floats:
    """The periodic window, zero-padded on both sides to n_fft: (n_fft,)."""
    length = spec.win_length if spec.win_length is not None else spec.n_fft
    phase = 2 * np.pi * np.arange(length) / length
    shape = sum((-1) ** k * a * np.cos(k * phase) for k, a in enumerate(_COSINES[spec.window]))
    if length == 1:
        shape = np.ones(1)
    padded = np.zeros(spec.n_fft, dtype=np.float32)
    first = (spec.n_fft - length) // 2
    padded[first : first + length] = shape
    padded.flags.writeable = False  # cached: nobody may change it
    return padded


def power_blocks(spec: StftSpec, frames: Floats) -> Iterator[tuple[slice, Floats]]:
    """Yield (rows, |STFT|² of shape (rows, n_fft // 2 + 1)) of frames (num_frames, n_fft), from the first to the last.

    Each block is new memory and may be changed by its receiver.
    """
    shape = window(spec)
    windowed = np.empty((min(BLOCK_FRAMES, len(frames)), spec.n_fft), dtype=np.float32)
    for first in range(0, len(frames), BLOCK_FRAMES):
        block = frames[first : first + BLOCK_FRAMES]
        product = np.multiply(block, shape, out=windowed[: len(block)])
        spectrum = fft.rfft(product, axis=1, overwrite_x=True)
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag, out=spectrum.imag)
        yield slice(first, first + len(block)), power


def framed(spec: StftSpec, samples: Floats) -> Floats:
    """A view of the (padded) samples as (frames, n_fft). Raises AudioError: no_samples, too_short."""
    if len(samples) == 0:
        raise AudioError("no_samples", "there is no sample to compute a feature from")
    if not spec.center and len(samples) < spec.n_fft:
        detail = f"{len(samples)} samples are fewer than one window of {spec.n_fft}; use center: true to pad"
        raise AudioError("too_short", detail)
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if spec.center:
        samples = _padded(samples, spec.n_fft // 2, spec.pad_mode)
    count, step = 1 + (len(samples) - spec.n_fft) // spec.hop_length, samples.itemsize
    # What sliding_window_view()[::hop_length] gives, made in a fiftieth of the time: it matters for short clips.
    return np.ndarray((count, spec.n_fft), np.float32, samples, strides=(spec.hop_length * step, step))


def _padded(samples: Floats, width: int, mode: PadMode) -> Floats:
    if mode != "constant":
        return np.pad(samples, width, mode=mode)
    padded = np.zeros(len(samples) + 2 * width, dtype=np.float32)  # several times faster than np.pad on short clips
    padded[width : width + len(samples)] = samples
    return padded


class Framer:
    """Frames of samples that come in blocks of any size: the same as `framed` gives of the whole."""

    def __init__(self, spec: StftSpec) -> None:
        self._spec = spec
        self._width = spec.n_fft // 2 if spec.center else 0
        self._begun = not spec.center
        self._last = np.zeros(0, np.float32)  # the samples that padding at an end looks at
        self._held = np.zeros(0, np.float32)  # from the next frame's first sample on
        self._skip = 0  # samples between two frames, where they do not touch

    def add(self, samples: Floats) -> Floats:
        """The frames (n, n_fft) that these samples complete."""
        self._last = np.concatenate([self._last, samples])
        if not self._begun and len(self._last) > self._width:
            self._begun = True
            samples = np.pad(self._last, (self._width, 0), mode=self._spec.pad_mode)
        if not self._begun:
            return self._complete(np.zeros(0, np.float32))
        self._last = self._last[len(self._last) - self._width - 1 :] if self._width else np.zeros(0, np.float32)
        return self._complete(samples)

    def finish(self) -> Floats:
        """The frames that reach beyond the end."""
        if not self._begun:
            return self._complete(np.pad(self._last, self._width, mode=self._spec.pad_mode))
        if not self._width:
            return self._complete(np.zeros(0, np.float32))
        padded = np.pad(self._last, (0, self._width), mode=self._spec.pad_mode)
        return self._complete(padded[len(self._last) :])

    def _complete(self, samples: Floats) -> Floats:
        skipped = min(self._skip, len(samples))
        self._skip -= skipped
        held = np.concatenate([self._held, samples[skipped:]])
        n_fft, hop = self._spec.n_fft, self._spec.hop_length
        if len(held) < n_fft:
            self._held = held
            return np.zeros((0, n_fft), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(held, n_fft)[::hop]
        used = len(frames) * hop
        self._held, self._skip = held[used:].copy(), max(0, used - len(held))
        return frames
