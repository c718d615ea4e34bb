"""DenseNet-121 (Huang et al. 2017, https://arxiv.org/abs/1608.06993): each layer sees what all layers before it found.

Layers normalise before they convolve, so the shared stack of channels holds what convolutions left; what spilt over into
padded frames there is put to zero by every norm that reads it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.images import ImageEncoder, MaxPool, Strides, scaled
from sorigil.models.masking import MaskedBatchNorm, MaskedConv2d, frame_mask, strided_lengths
from sorigil.models.specs import DenseNet121Spec

DEPTHS = (6, 12, 24, 16)  # layers in each block
GROWTH = 32  # channels that each layer adds
BOTTLENECK = 4  # times the growth: channels between a layer's two convolutions


class DenseNet(ImageEncoder):
    """See the module's docstring."""

    def __init__(self, spec: DenseNet121Spec, input_dim: int) -> None:
        strides = Strides(spec.time_stride)
        growth = scaled(GROWTH, spec.width)
        channels = 2 * growth
        layers: list[nn.Module] = [MaskedConv2d(1, channels, (7, 7), strides()), MaxPool(3, strides())]
        for block, depth in enumerate(DEPTHS):
            if block:
                layers.append(Transition(channels, channels // 2, strides()))
                channels //= 2
            for _ in range(depth):
                layers.append(DenseLayer(channels, growth))
                channels += growth
        super().__init__([*layers, NormRelu(channels)], channels)


class NormRelu(nn.Module):
    """Masked batch norm and ReLU: zero in padded frames, whatever was there."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = MaskedBatchNorm(channels)

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        mask_BT = frame_mask(lengths_B, images_BCTF.shape[2])
        return functional.relu(self.norm(images_BCTF, mask_BT)), lengths_B


class DenseLayer(nn.Module):
    """Norm, 1×1, norm, 3×3; its `growth` channels are put behind those it was given."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm = NormRelu(channels)
        self.narrow = MaskedConv2d(channels, BOTTLENECK * growth, (1, 1))
        self.wide = nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False)

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        narrow_BCTF, _ = self.narrow(*self.norm(images_BCTF, lengths_B))
        return torch.cat([images_BCTF, self.wide(narrow_BCTF)], dim=1), lengths_B


class Transition(nn.Module):
    """Norm, 1×1, and the mean of 2×2 neighbours, or of those of them that are there."""

    def __init__(self, channels_in: int, channels_out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.norm = NormRelu(channels_in)
        self.narrow = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.stride, self.time_stride = stride, stride[0]

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        images_BCTF = self.narrow(self.norm(images_BCTF, lengths_B)[0])
        there_BCTF = frame_mask(lengths_B, images_BCTF.shape[2])[:, None, :, None].to(images_BCTF.dtype)
        there_BCTF = there_BCTF.expand(-1, -1, -1, images_BCTF.shape[3])
        sums_BCTF, shares_BCTF = (self._pooled(each) for each in (images_BCTF, there_BCTF))
        smallest = 1 / (self.stride[0] * self.stride[1])  # of a place that is there; where none is, the sum is 0 too
        return sums_BCTF / shares_BCTF.clamp(min=smallest), strided_lengths(lengths_B, self.time_stride)

    def _pooled(self, images_BCTF: Tensor) -> Tensor:
        """The mean over whole neighbourhoods, zeros standing for what is not there."""
        time, frequency = self.stride
        filled_BCTF = functional.pad(
            images_BCTF, (0, -images_BCTF.shape[3] % frequency, 0, -images_BCTF.shape[2] % time)
        )
        return functional.avg_pool2d(filled_BCTF, self.stride)
