"""A convolutional recurrent network: 1-D convolutions over time, all bands at once, then recurrent layers.

The plainest member of the family that joins the two (Sainath et al. 2015, "Convolutional, long short-term memory, fully
connected deep neural networks"; Çakır et al. 2017 call it CRNN). Cheaper than 2-D convolutions, and on short words from
few speakers better than them: the first layer learns shapes of whole spectra.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.masking import MaskedBatchNorm, frame_mask, strided_lengths
from sorigil.models.rnn import RecurrentLayer
from sorigil.models.specs import CrnnSpec


class Crnn(nn.Module):
    """See the module's docstring; `stride` is the product of the convolutions' strides."""

    def __init__(self, spec: CrnnSpec, input_dim: int) -> None:
        super().__init__()
        inputs = [input_dim] + [spec.channels] * (len(spec.kernels) - 1)
        self.strides = spec.strides
        self.stride = 1
        for stride in spec.strides:
            self.stride *= stride
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, spec.channels, kernel, stride, kernel // 2, bias=False)
            for size, kernel, stride in zip(inputs, spec.kernels, spec.strides, strict=True)
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(spec.channels) for _ in spec.kernels)
        self.dropout = nn.Dropout(spec.dropout)
        self.output_size = spec.hidden * (2 if spec.bidirectional else 1)
        sizes = [spec.channels] + [self.output_size] * (spec.layers - 1)
        self.recurrent = nn.ModuleList(
            RecurrentLayer(spec.rnn, size, spec.hidden, spec.bidirectional) for size in sizes
        )

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        for stride in self.strides:
            lengths_B = strided_lengths(lengths_B, stride)
        return lengths_B

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        mask_BT = frame_mask(lengths_B, features_BTF.shape[1])
        encoded_BTH = features_BTF * mask_BT.unsqueeze(2)
        for layer, stride in enumerate(self.strides):
            encoded_BTH = self.convolutions[layer](encoded_BTH.transpose(1, 2)).transpose(1, 2)
            lengths_B = strided_lengths(lengths_B, stride)
            normal_BTH = self._norm(layer).sequence(encoded_BTH, frame_mask(lengths_B, encoded_BTH.shape[1]))
            encoded_BTH = self.dropout(functional.relu(normal_BTH))
        for number, recurrent in enumerate(self.recurrent):
            encoded_BTH = recurrent(self.dropout(encoded_BTH) if number else encoded_BTH, lengths_B)
        return encoded_BTH, lengths_B

    def _norm(self, layer: int) -> MaskedBatchNorm:
        norm = self.norms[layer]
        assert isinstance(norm, MaskedBatchNorm)
        return norm
