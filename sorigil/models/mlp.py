"""A multi-layer perceptron on each frame and its neighbours (Hinton et al. 2012, "Deep neural networks for acoustic modeling").

The first layer sees `context` frames on either side, which is a convolution over time; the others see one frame. With
masked batch norm, which the networks of that time had not.
"""

from __future__ import annotations

from torch import Tensor, nn

from sorigil.models.masking import MaskedConv1d, frame_mask
from sorigil.models.specs import MlpSpec


class Mlp(nn.Module):
    """See the module's docstring."""

    def __init__(self, spec: MlpSpec, input_dim: int) -> None:
        super().__init__()
        self.stride = 1
        self.output_size = spec.hidden
        kernels = (2 * spec.context + 1, *(1,) * (spec.layers - 1))
        sizes = (input_dim, *(spec.hidden,) * (spec.layers - 1))
        self.layers = nn.ModuleList(
            MaskedConv1d(size, spec.hidden, kernel) for size, kernel in zip(sizes, kernels, strict=True)
        )
        self.dropout = nn.Dropout(spec.dropout)

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        return lengths_B

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        encoded_BTH = features_BTF * frame_mask(lengths_B, features_BTF.shape[1]).unsqueeze(2)
        for layer in self.layers:
            encoded_BTH = self.dropout(layer(encoded_BTH, lengths_B)[0])
        return encoded_BTH, lengths_B
