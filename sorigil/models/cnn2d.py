"""A small two-dimensional convolutional encoder over (time, frequency): the classifier to start with.

Each block is a 3×3 convolution with masked batch norm and ReLU, then max pooling over frequency and, where asked for,
time. What is left of the frequency axis is joined with the channels and projected to `hidden` values per frame.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.masking import MaskedConv2d, frame_mask, strided_lengths
from sorigil.models.specs import Cnn2dSpec


class Cnn2d(nn.Module):
    """See the module's docstring; `stride` is the product of the blocks' time strides."""

    def __init__(self, spec: Cnn2dSpec, input_dim: int) -> None:
        super().__init__()
        kernel = (spec.kernel, spec.kernel)
        ins = (1, *spec.channels[:-1])
        self.blocks = nn.ModuleList(MaskedConv2d(i, o, kernel) for i, o in zip(ins, spec.channels, strict=True))
        self.time_strides = spec.time_strides
        self.stride = 1
        bands = input_dim
        for time_stride in spec.time_strides:
            self.stride *= time_stride
            bands = -(-bands // 2)
        self.output_size = spec.hidden
        self.dropout = nn.Dropout(spec.dropout)
        self.project = nn.Linear(spec.channels[-1] * bands, spec.hidden)

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        for time_stride in self.time_strides:
            lengths_B = strided_lengths(lengths_B, time_stride)
        return lengths_B

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        mask_BT = frame_mask(lengths_B, features_BTF.shape[1])
        images_BCTF = (features_BTF * mask_BT.unsqueeze(2)).unsqueeze(1)
        for block, time_stride in zip(self.blocks, self.time_strides, strict=True):
            images_BCTF, lengths_B = block(images_BCTF, lengths_B)
            # after ReLU nothing is below zero, so the zeros of the padding never win a maximum
            images_BCTF = functional.max_pool2d(images_BCTF, (time_stride, 2), ceil_mode=True)
            lengths_B = strided_lengths(lengths_B, time_stride)
        frames_BTH = self.project(self.dropout(images_BCTF.transpose(1, 2).flatten(2)))
        mask_BT = frame_mask(lengths_B, frames_BTH.shape[1])
        return functional.relu(frames_BTH) * mask_BT.unsqueeze(2), lengths_B
