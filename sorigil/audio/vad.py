"""Voice activity: the probability of speech every 32 ms, by the network of Silero VAD (v6).

The weights beside this file are those of `silero_vad.jit` in the wheel silero-vad 6.2.3 (MIT licence, beside them too),
read once with torch.jit.load and stored under plain names. The network is written out in numpy: a worker then needs no
torch, and all but the recurrence is computed for many frames at once. The tests hold it against probabilities that the
official model gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Floats = npt.NDArray[np.float32]

RATES = (16_000, 8_000)  # Hz; there is a network for each
FRAME_SECONDS = 0.032
_STRIDES = (1, 2, 2, 1)  # of the four convolutions; an STFT of 4 frames becomes 1
_BATCH = 512  # frames computed at once


@dataclass(frozen=True, slots=True)
class _Network:
    stft: Floats  # (2 * bins, n_fft)
    convolutions: tuple[tuple[Floats, Floats], ...]  # (3 * channels in, channels out), bias
    input: tuple[Floats, Floats]  # of the LSTM: (128, 512), both biases
    recurrent: Floats  # (512, 128)
    output: tuple[Floats, float]


@lru_cache(maxsize=2)
def _network(sample_rate: int) -> _Network:
    from safetensors.numpy import load

    stored = load((resources.files("sorigil.audio") / "silero" / "vad.safetensors").read_bytes())
    part = {
        name.split(".", 1)[1]: value for name, value in stored.items() if name.startswith(f"{sample_rate // 1000}k.")
    }
    convolutions = []
    for number in range(len(_STRIDES)):
        weight = part[f"conv{number}.weight"]  # (out, in, 3) → taps beside each other, as `_convolved` lays them
        convolutions.append(
            (np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, len(weight))), part[f"conv{number}.bias"])
        )
    return _Network(
        stft=part["stft"],
        convolutions=tuple(convolutions),
        input=(np.ascontiguousarray(part["lstm.weight_ih"].T), part["lstm.bias_ih"] + part["lstm.bias_hh"]),
        recurrent=np.ascontiguousarray(part["lstm.weight_hh"]),
        output=(part["out.weight"], float(part["out.bias"][0])),
    )


class SpeechProbability:
    """Feed it one channel at 8 or 16 kHz, float32 (num_samples,), in blocks of any size."""

    def __init__(self, sample_rate: int) -> None:
        if sample_rate not in RATES:
            raise ValueError(f"sample_rate is {sample_rate}; there are networks for {RATES}")
        self._network = _network(sample_rate)
        self._size = round(FRAME_SECONDS * sample_rate)
        self._context = self._size // 8
        self._held = np.zeros(self._context, np.float32)  # from the next frame's context on
        self._hidden = np.zeros(128, np.float32)
        self._cell = np.zeros(128, np.float32)

    def add(self, samples: Floats) -> Floats:
        """The probabilities of the frames that these samples complete, float32 (num_frames,)."""
        self._held = np.concatenate([self._held, samples])
        frames = (len(self._held) - self._context) // self._size
        if not frames:
            return np.zeros(0, np.float32)
        view = np.lib.stride_tricks.sliding_window_view(self._held, self._context + self._size)[:: self._size][:frames]
        found = [self._probabilities(view[first : first + _BATCH]) for first in range(0, frames, _BATCH)]
        self._held = self._held[frames * self._size :].copy()
        return np.concatenate(found)

    def finish(self) -> Floats:
        """That of the last frame, which zeros fill up; nothing where there is none."""
        rest = len(self._held) - self._context
        return self.add(np.zeros(self._size - rest, np.float32)) if rest else np.zeros(0, np.float32)

    def _probabilities(self, frames: Floats) -> Floats:
        gates = self._gates(frames)
        hidden, cell, recurrent = self._hidden, self._cell, self._network.recurrent
        states = np.empty((len(frames), 128), np.float32)
        for number, gate in enumerate(gates):
            gate += recurrent @ hidden
            gate[256:384] *= 2  # tanh(x) = 2 sigmoid(2 x) - 1: one call for all four gates
            sigmoid = expit(gate)
            cell = sigmoid[128:256] * cell + sigmoid[:128] * (2 * sigmoid[256:384] - 1)
            hidden = sigmoid[384:] * np.tanh(cell)
            states[number] = hidden
        self._hidden, self._cell = hidden, cell
        weight, bias = self._network.output
        return np.asarray(expit(np.maximum(states, 0) @ weight + bias), dtype=np.float32)

    def _gates(self, frames: Floats) -> Floats:
        """What the LSTM is fed of each frame, before its recurrence: (num_frames, 512)."""
        stft = self._network.stft
        n_fft, hop = stft.shape[1], stft.shape[1] // 2
        padded = np.pad(frames, ((0, 0), (0, self._context)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
        spectrum = windows.reshape(-1, n_fft) @ stft.T
        bins = stft.shape[0] // 2
        values = np.sqrt(np.square(spectrum[:, :bins]) + np.square(spectrum[:, bins:]))
        values = values.reshape(len(frames), -1, bins)
        for (weight, bias), stride in zip(self._network.convolutions, _STRIDES, strict=True):
            values = _convolved(values, weight, bias, stride)
        weight, bias = self._network.input
        return np.asarray(values[:, 0] @ weight + bias)


def _convolved(values: Floats, weight: Floats, bias: Floats, stride: int) -> Floats:
    """A convolution of three taps, padded by one, and a ReLU: (frames, time, channels) → the same."""
    padded = np.pad(values, ((0, 0), (1, 1), (0, 0)))
    taps = np.concatenate([padded[:, tap : tap + values.shape[1] : stride] for tap in range(3)], axis=2)
    return np.asarray(np.maximum(taps @ weight + bias, 0))
