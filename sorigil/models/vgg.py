"""VGG (Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556), configurations A and D, with batch norm.

Stacks of 3×3 convolutions between max poolings, then two fully connected layers, each frame by itself as in the paper's
dense evaluation.
"""

from __future__ import annotations

from sorigil.models.images import ImageEncoder, MaxPool, Strides, fully_connected, scaled
from sorigil.models.masking import MaskedConv2d
from sorigil.models.specs import Vgg11Spec, Vgg16Spec

CHANNELS = (64, 128, 256, 512, 512)  # of the five stacks
DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3)}  # convolutions in each


class Vgg(ImageEncoder):
    """See the module's docstring."""

    def __init__(self, spec: Vgg11Spec | Vgg16Spec, input_dim: int) -> None:
        strides = Strides(spec.time_stride)
        layers: list[MaskedConv2d | MaxPool] = []
        channels_in = 1
        for channels, depth in zip(CHANNELS, DEPTHS[spec.kind], strict=True):
            channels = scaled(channels, spec.width)
            for _ in range(depth):
                layers.append(MaskedConv2d(channels_in, channels, (3, 3)))
                channels_in = channels
            layers.append(MaxPool(2, strides()))
        hidden = scaled(4096, spec.width)
        super().__init__(layers, hidden, fully_connected(channels_in, hidden, spec.dropout))
