"""SqueezeNet 1.0 (Iandola et al. 2016, https://arxiv.org/abs/1602.07360): fire modules, AlexNet's accuracy at 1/50 its size.

Its last 1×1 convolution and average pooling are the head: a linear layer after the mean over frames is the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sorigil.models.images import ImageEncoder, MaxPool, Strides, scaled
from sorigil.models.masking import MaskedConv2d
from sorigil.models.specs import SqueezeNetSpec

# squeeze and expand channels of the fire modules between the poolings
FIRES = (((16, 64), (16, 64), (32, 128)), ((32, 128), (48, 192), (48, 192), (64, 256)), ((64, 256),))


class SqueezeNet(ImageEncoder):
    """See the module's docstring."""

    def __init__(self, spec: SqueezeNetSpec, input_dim: int) -> None:
        strides = Strides(spec.time_stride)
        channels_in = scaled(96, spec.width)
        layers: list[nn.Module] = [MaskedConv2d(1, channels_in, (7, 7), strides(), norm=False)]
        for fires in FIRES:
            layers.append(MaxPool(3, strides()))
            for squeeze, expand in fires:
                layers.append(Fire(channels_in, scaled(squeeze, spec.width), scaled(expand, spec.width)))
                channels_in = 2 * scaled(expand, spec.width)
        super().__init__(layers, channels_in)


class Fire(nn.Module):
    """Squeeze by 1×1, expand by 1×1 and 3×3 side by side."""

    def __init__(self, channels_in: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = MaskedConv2d(channels_in, squeeze, (1, 1), norm=False)
        self.narrow = MaskedConv2d(squeeze, expand, (1, 1), norm=False)
        self.wide = MaskedConv2d(squeeze, expand, (3, 3), norm=False)

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        squeezed_BCTF, lengths_B = self.squeeze(images_BCTF, lengths_B)
        both = (self.narrow(squeezed_BCTF, lengths_B)[0], self.wide(squeezed_BCTF, lengths_B)[0])
        return torch.cat(both, dim=1), lengths_B
