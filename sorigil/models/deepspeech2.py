"""Deep Speech 2 (Amodei et al. 2016, https://arxiv.org/abs/1512.02595): 2-D convolutions, then recurrent layers.

Convolutions run over (time, frequency) with batch norm; bidirectional recurrent layers follow, with sequence-wise batch
norm. The defaults are a small one for two processors, with batch norm of each layer's input and a projection for each
direction; with `shared` it is the paper's: norm of the product Wx, W shared by both directions, their outputs summed.
The paper clips its ReLUs at 20; here they are plain, and a plain recurrent layer has tanh.
"""

from __future__ import annotations

from torch import Tensor, nn

from sorigil.models.masking import MaskedConv2d, frame_mask, strided_lengths
from sorigil.models.rnn import RecurrentLayer, SharedRecurrentLayer
from sorigil.models.specs import DeepSpeech2Spec


class DeepSpeech2(nn.Module):
    """See the module's docstring; `stride` is the product of the convolutions' time strides."""

    def __init__(self, spec: DeepSpeech2Spec, input_dim: int) -> None:
        super().__init__()
        ins = (1, *spec.channels[:-1])
        self.convolutions = nn.ModuleList(
            MaskedConv2d(i, o, kernel, stride)
            for i, o, kernel, stride in zip(ins, spec.channels, spec.kernels, spec.strides, strict=True)
        )
        self.time_strides = tuple(time for time, _ in spec.strides)
        self.stride = 1
        bands = input_dim
        for time, frequency in spec.strides:
            self.stride *= time
            bands = -(-bands // frequency)
        size = spec.channels[-1] * bands
        self.recurrent = nn.ModuleList()
        for _ in range(spec.layers):
            layer = _recurrent(spec, size)
            self.recurrent.append(layer)
            size = layer.output_size
        self.dropout = nn.Dropout(spec.dropout)
        self.linear = nn.Sequential(nn.Linear(size, spec.linear), nn.ReLU()) if spec.linear else nn.Identity()
        self.output_size = spec.linear or size

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        for time_stride in self.time_strides:
            lengths_B = strided_lengths(lengths_B, time_stride)
        return lengths_B

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        mask_BT = frame_mask(lengths_B, features_BTF.shape[1])
        images_BCTF = (features_BTF * mask_BT.unsqueeze(2)).unsqueeze(1)
        for convolution in self.convolutions:
            images_BCTF, lengths_B = convolution(images_BCTF, lengths_B)
        encoded_BTH = images_BCTF.transpose(1, 2).flatten(2)
        for layer in self.recurrent:
            encoded_BTH = layer(self.dropout(encoded_BTH), lengths_B)
        return self.linear(encoded_BTH), lengths_B


def _recurrent(spec: DeepSpeech2Spec, inputs: int) -> RecurrentLayer | SharedRecurrentLayer:
    if spec.shared:
        return SharedRecurrentLayer(spec.rnn, inputs, spec.hidden, spec.bidirectional)
    return RecurrentLayer(spec.rnn, inputs, spec.hidden, spec.bidirectional, batch_norm=True)
