"""AlexNet (Krizhevsky et al. 2012; in one column: Krizhevsky 2014, https://arxiv.org/abs/1404.5997).

Five convolutions, three of them followed by overlapping max pooling, then two fully connected layers. No batch norm: it
was not known.
"""

from __future__ import annotations

from sorigil.models.images import ImageEncoder, MaxPool, Strides, fully_connected, scaled
from sorigil.models.masking import MaskedConv2d
from sorigil.models.specs import AlexNetSpec

CONVOLUTIONS = ((64, 11, 4, True), (192, 5, 1, True), (384, 3, 1, False), (256, 3, 1, False), (256, 3, 1, True))


class AlexNet(ImageEncoder):
    """`CONVOLUTIONS` has channels, kernel, stride, and whether pooling follows."""

    def __init__(self, spec: AlexNetSpec, input_dim: int) -> None:
        strides = Strides(spec.time_stride)
        layers: list[MaskedConv2d | MaxPool] = []
        channels_in = 1
        for channels, kernel, stride, pool in CONVOLUTIONS:
            channels = scaled(channels, spec.width)
            layers.append(MaskedConv2d(channels_in, channels, (kernel, kernel), strides(stride), norm=False))
            if pool:
                layers.append(MaxPool(3, strides()))
            channels_in = channels
        hidden = scaled(4096, spec.width)
        super().__init__(layers, hidden, fully_connected(channels_in, hidden, spec.dropout))
