"""Convolutions over time, all bands at once: a time-delay neural network (Waibel et al. 1989) with dilations and batch norm.

Later layers look further: with the defaults a frame of the output sees 27 frames of the input.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from sorigil.models.masking import MaskedConv1d, frame_mask, strided_lengths
from sorigil.models.specs import Cnn1dSpec


class Cnn1d(nn.Module):
    """See the module's docstring; `stride` is the product of the convolutions' strides."""

    def __init__(self, spec: Cnn1dSpec, input_dim: int) -> None:
        super().__init__()
        self.stride = math.prod(spec.strides)
        self.output_size = spec.channels
        sizes = (input_dim, *(spec.channels,) * (len(spec.kernels) - 1))
        self.layers = nn.ModuleList(
            MaskedConv1d(size, spec.channels, *shape)
            for size, *shape in zip(sizes, spec.kernels, spec.strides, spec.dilations, strict=True)
        )
        self.dropout = nn.Dropout(spec.dropout)

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        return strided_lengths(lengths_B, self.stride)

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        encoded_BTH = features_BTF * frame_mask(lengths_B, features_BTF.shape[1]).unsqueeze(2)
        for layer in self.layers:
            encoded_BTH, lengths_B = layer(encoded_BTH, lengths_B)
            encoded_BTH = self.dropout(encoded_BTH)
        return encoded_BTH, lengths_B
