"""What the networks that were made for pictures share here: layers over (time, frequency) that keep padding out.

A spectrogram is a picture of one channel and any width. Layers take and give (images_BCTF, lengths_B), zero in padded
frames. What is left of the frequency axis is averaged, so that each frame of the output is one vector: with the mean over
time in the head this is the global average pooling of the papers. B batch, C channels, T frames, F bands, H = output_size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.masking import frame_mask, strided_lengths, zero_padding


class Strides:
    """Hands out (time, frequency) strides in the order of the layers.

    Once the product of the time strides has reached `limit`, what would shorten both axes shortens frequency alone.
    """

    def __init__(self, limit: int) -> None:
        self.left = limit

    def __call__(self, stride: int = 2) -> tuple[int, int]:
        time = min(stride, self.left)
        self.left //= time
        return time, stride


class Layers(nn.ModuleList):
    """Layers one after the other; `time_stride` is the product of theirs."""

    @property
    def time_stride(self) -> int:
        return math.prod(int(getattr(layer, "time_stride", 1)) for layer in self)

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self:
            images_BCTF, lengths_B = layer(images_BCTF, lengths_B)
        return images_BCTF, lengths_B


class MaxPool(nn.Module):
    """The maximum of 2×2 or 3×3 neighbours; ceil(T / stride) frames are left.

    For what comes out of a ReLU: there the zeros of the padding never win.
    """

    def __init__(self, kernel: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.kernel, self.stride, self.time_stride = kernel, stride, stride[0]

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        if self.kernel == 3:
            pooled_BCTF = functional.max_pool2d(images_BCTF, 3, self.stride, padding=1)
        else:
            pooled_BCTF = functional.max_pool2d(images_BCTF, self.stride, ceil_mode=True)
        lengths_B = strided_lengths(lengths_B, self.time_stride)
        # neighbourhoods of 3 reach over the item's end
        return zero_padding(pooled_BCTF, frame_mask(lengths_B, pooled_BCTF.shape[2])), lengths_B


class ImageEncoder(nn.Module):
    """Runs `layers` over the spectrogram, averages over frequency, and runs `frames` (if any) on each frame."""

    def __init__(self, layers: Iterable[nn.Module], output_size: int, frames: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = Layers(layers)
        self.frames = frames or nn.Identity()
        self.stride = self.layers.time_stride
        self.output_size = output_size
        self.apply(initialize)

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        return strided_lengths(lengths_B, self.stride)

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        return self.to_frames(*self.layers(*to_images(features_BTF, lengths_B)))

    def to_frames(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return encoded_BTH of what the layers leave, zero in padded frames."""
        encoded_BTH: Tensor = self.frames(images_BCTF.mean(dim=3).transpose(1, 2))
        return encoded_BTH * frame_mask(lengths_B, encoded_BTH.shape[1]).unsqueeze(2), lengths_B


def to_images(features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return images of one channel, zero in padded frames, and their lengths."""
    mask_BT = frame_mask(lengths_B, features_BTF.shape[1])
    return (features_BTF * mask_BT.unsqueeze(2)).unsqueeze(1), lengths_B


def fully_connected(inputs: int, hidden: int, dropout: float) -> nn.Sequential:
    """The two hidden layers of AlexNet and VGG, on each frame: VGG's dense evaluation (section 3.2 of its paper)."""
    layers = (nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU())
    return nn.Sequential(*layers)


def scaled(channels: int, width: float) -> int:
    """Return a number of channels at a width factor, at least 1."""
    return max(1, round(channels * width))


def initialize(module: nn.Module) -> None:
    """He et al. 2015: the variance of what a ReLU follows stays the same from layer to layer."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
