"""SincNet (Ravanelli & Bengio 2018, https://arxiv.org/abs/1808.00158): band-passes with learned edges on raw audio.

The first layer has two parameters a filter, its lower and upper cut-off. Magnitude, pooling and further convolutions
make frames of what it lets through, and any encoder of frames listens to them. The paper normalises by layer norm over
pieces of a fixed length; audio of any length has masked batch norm instead.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.errors import RequestError
from sorigil.models.masking import MaskedBatchNorm, frame_mask, strided_lengths
from sorigil.models.specs import SincNetSpec

KILO = 1000.0  # edges are held in kHz: a step of the optimiser, about its learning rate, moves one by a Hertz or so


class SincConv(nn.Module):
    """Band-passes over samples_B1T, "same" padding: (B, 1, T) -> (B, filters, ceil(T / stride)).

    Filter n is `2 f2 sinc(2 pi f2 n) - 2 f1 sinc(2 pi f1 n)` (f in cycles per sample, sinc(x) = sin(x) / x) under a
    Hamming window. Edges begin evenly spaced on the mel scale, each band reaching from one to the next.
    """

    window: Tensor
    positions: Tensor

    def __init__(
        self,
        filters: int,
        kernel: int,
        stride: int,
        sample_rate: int,
        min_low_hz: float = 50.0,
        min_band_hz: float = 50.0,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.sample_rate = kernel, stride, sample_rate
        self.min_low_hz, self.min_band_hz = min_low_hz, min_band_hz
        highest_hz = sample_rate / 2 - (min_low_hz + min_band_hz)
        edges_hz = _mel_spaced(min(30.0, highest_hz / 2), highest_hz, filters + 1)
        self.low = nn.Parameter(edges_hz[:-1] / KILO)
        self.band = nn.Parameter(edges_hz.diff() / KILO)
        self.register_buffer("window", torch.hamming_window(kernel, periodic=False), persistent=False)
        self.register_buffer("positions", torch.arange(kernel) - (kernel - 1) / 2, persistent=False)

    def cutoffs_hz(self) -> tuple[Tensor, Tensor]:
        """Return the lower and upper edge of each band in Hz, within what the audio holds."""
        low_hz = self.min_low_hz + (self.low * KILO).abs()
        low_hz = low_hz.clamp(max=self.sample_rate / 2 - self.min_band_hz)
        high_hz = low_hz + self.min_band_hz + (self.band * KILO).abs()
        return low_hz, high_hz.clamp(max=self.sample_rate / 2)

    def filters(self) -> Tensor:
        """Return the windowed band-passes, (filters, kernel)."""
        low_F1, high_F1 = (edge.unsqueeze(1) / self.sample_rate for edge in self.cutoffs_hz())
        # 2 f sinc(2 pi f n) is sin(2 pi f n) / (pi n), and 2 f in the middle
        turns_K = 2 * math.pi * self.positions
        waves_FK = torch.sin(high_F1 * turns_K) - torch.sin(low_F1 * turns_K)
        middle_K = self.positions == 0
        sides_FK = waves_FK / (math.pi * self.positions).masked_fill(middle_K, 1.0)
        return torch.where(middle_K, 2 * (high_F1 - low_F1), sides_FK) * self.window

    def forward(self, samples_B1T: Tensor) -> Tensor:
        filters_F1K = self.filters().unsqueeze(1)
        return functional.conv1d(samples_B1T, filters_F1K, stride=self.stride, padding=self.kernel // 2)


def _mel_spaced(lowest_hz: float, highest_hz: float, count: int) -> Tensor:
    """Frequencies at even distances on O'Shaughnessy's mel scale, mel = 2595 log10(1 + f / 700)."""
    lowest, highest = (2595 * math.log10(1 + hz / 700) for hz in (lowest_hz, highest_hz))
    mels = torch.linspace(lowest, highest, count, dtype=torch.float64)
    return (700 * (10 ** (mels / 2595) - 1)).float()


class SincNet(nn.Module):
    """See the module's docstring; `stride` is in samples, the inner encoder's included. Taps are the inner one's."""

    def __init__(self, spec: SincNetSpec, input_dim: int) -> None:
        super().__init__()
        from sorigil.models.network import MODELS  # the table has this network too

        if input_dim != 1:
            raise RequestError(
                f"SincNet hears raw audio, one value per sample; it was given {input_dim} values per frame"
            )
        self.strides, self.pools = spec.strides, spec.pools
        self.bands = SincConv(
            spec.channels[0], spec.kernels[0], spec.strides[0], spec.sample_rate, spec.min_low_hz, spec.min_band_hz
        )
        self.convolutions = nn.ModuleList(
            nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
            for inputs, outputs, kernel, stride in zip(
                spec.channels, spec.channels[1:], spec.kernels[1:], spec.strides[1:], strict=False
            )
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(channels) for channels in spec.channels)
        encoder = cast(Any, MODELS[spec.encoder.kind][1](spec.encoder, spec.channels[-1]))
        self.encoder = encoder
        self.stride = math.prod(spec.strides) * math.prod(spec.pools) * int(encoder.stride)
        self.output_size = int(encoder.output_size)
        self.auxiliary_sizes: tuple[int, ...] = getattr(encoder, "auxiliary_sizes", ())
        self.auxiliary_weight: float = getattr(encoder, "auxiliary_weight", 0.0)
        self.auxiliary_shared: bool = getattr(encoder, "auxiliary_shared", False)

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        for stride, pool in zip(self.strides, self.pools, strict=True):
            lengths_B = strided_lengths(strided_lengths(lengths_B, stride), pool)
        lengths: Tensor = self.encoder.output_lengths(lengths_B)
        return lengths

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        encoded: tuple[Tensor, Tensor] = self.encoder(*self.frames(features_BTF, lengths_B))
        return encoded

    def encode(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """As `forward`, with the taps of the inner encoder."""
        found: tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]] = self.encoder.encode(
            *self.frames(features_BTF, lengths_B)
        )
        return found

    def frames(self, samples_BT1: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames_BTC, what the inner encoder listens to, and their lengths."""
        mask_BT = frame_mask(lengths_B, samples_BT1.shape[1])
        heard_BCT = samples_BT1.transpose(1, 2) * mask_BT.unsqueeze(1)
        for layer, (stride, pool) in enumerate(zip(self.strides, self.pools, strict=True)):
            heard_BCT = self.convolutions[layer - 1](heard_BCT) if layer else self.bands(heard_BCT).abs()
            lengths_B = strided_lengths(lengths_B, stride)
            heard_BCT, lengths_B = _pool(heard_BCT, lengths_B, pool)
            normal_BTC = self._norm(layer).sequence(
                heard_BCT.transpose(1, 2), frame_mask(lengths_B, heard_BCT.shape[2])
            )
            heard_BCT = functional.leaky_relu(normal_BTC, 0.2).transpose(1, 2)
        return heard_BCT.transpose(1, 2), lengths_B

    def _norm(self, layer: int) -> MaskedBatchNorm:
        norm = self.norms[layer]
        assert isinstance(norm, MaskedBatchNorm)
        return norm


def _pool(values_BCT: Tensor, lengths_B: Tensor, pool: int) -> tuple[Tensor, Tensor]:
    """Largest of each `pool` neighbouring values, of those that are the item's own; zero in padding."""
    padding_B1T = ~frame_mask(lengths_B, values_BCT.shape[2]).unsqueeze(1)
    largest_BCT = functional.max_pool1d(values_BCT.masked_fill(padding_B1T, -torch.inf), pool, ceil_mode=True)
    lengths_B = strided_lengths(lengths_B, pool)
    padding_B1T = ~frame_mask(lengths_B, largest_BCT.shape[2]).unsqueeze(1)
    return largest_BCT.masked_fill(padding_B1T, 0.0), lengths_B
