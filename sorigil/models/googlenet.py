"""GoogLeNet (Szegedy et al. 2015, https://arxiv.org/abs/1409.4842): inception modules, and auxiliary classifiers on the way.

Table 1 of the paper, with batch norm after each convolution (Ioffe & Szegedy 2015) in place of local response
normalisation. The auxiliary classifiers hang on 4a and 4d and learn in training only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.images import ImageEncoder, Layers, MaxPool, Strides, initialize, scaled, to_images
from sorigil.models.masking import MaskedConv2d, frame_mask
from sorigil.models.specs import GoogLeNetSpec

# channels of 1×1; before 3×3, of 3×3; before 5×5, of 5×5; after pooling. Stages 3, 4 and 5, pooling between them
INCEPTIONS = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
TAPS = (0, 3)  # of stage 4: 4a and 4d
AUXILIARY_CHANNELS, AUXILIARY_HIDDEN, AUXILIARY_DROPOUT = 128, 1024, 0.7


class GoogLeNet(ImageEncoder):
    """See the module's docstring. `auxiliary_weight` of the spec is of each tap, as in the paper."""

    def __init__(self, spec: GoogLeNetSpec, input_dim: int) -> None:
        strides = Strides(spec.time_stride)
        narrow, wide = scaled(64, spec.width), scaled(192, spec.width)
        layers: list[nn.Module] = [
            MaskedConv2d(1, narrow, (7, 7), strides()),
            MaxPool(3, strides()),
            MaskedConv2d(narrow, narrow, (1, 1)),
            MaskedConv2d(narrow, wide, (3, 3)),
        ]
        channels, taps = wide, {}
        for stage, modules in enumerate(INCEPTIONS):
            layers.append(MaxPool(3, strides()))
            for number, sizes in enumerate(modules):
                inception = Inception(channels, tuple(scaled(size, spec.width) for size in sizes))
                layers.append(inception)
                channels = inception.channels
                if stage == 1 and number in TAPS:
                    taps[len(layers) - 1] = channels
        super().__init__(layers, channels)
        self.taps = tuple(taps) if spec.auxiliary_weight else ()
        self.branches = nn.ModuleList(AuxiliaryBranch(taps[place], spec.width) for place in self.taps)
        self.branches.apply(initialize)
        self.auxiliary_sizes = tuple(branch.output_size for branch in self.branches)
        self.auxiliary_weight = spec.auxiliary_weight * len(self.taps)  # the paper adds them, the loss takes their mean

    def encode(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """Return what calling the network returns, and what the auxiliary branches make of 4a and 4d."""
        images_BCTF, lengths_B = to_images(features_BTF, lengths_B)
        taps: list[tuple[Tensor, Tensor]] = []
        for place, layer in enumerate(self.layers):
            images_BCTF, lengths_B = layer(images_BCTF, lengths_B)
            if place in self.taps:
                taps.append(self.branches[len(taps)](images_BCTF, lengths_B))
        return *self.to_frames(images_BCTF, lengths_B), taps


class Inception(nn.Module):
    """1×1, 3×3, 5×5 convolutions and 3×3 max pooling side by side, 1×1 convolutions keeping them cheap."""

    def __init__(self, channels_in: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        one, before_three, three, before_five, five, pooled = sizes
        self.branches = nn.ModuleList(
            [
                Layers([MaskedConv2d(channels_in, one, (1, 1))]),
                Layers([MaskedConv2d(channels_in, before_three, (1, 1)), MaskedConv2d(before_three, three, (3, 3))]),
                Layers([MaskedConv2d(channels_in, before_five, (1, 1)), MaskedConv2d(before_five, five, (5, 5))]),
                Layers([MaxPool(3, (1, 1)), MaskedConv2d(channels_in, pooled, (1, 1))]),
            ]
        )
        self.channels = one + three + five + pooled

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cat([branch(images_BCTF, lengths_B)[0] for branch in self.branches], dim=1), lengths_B


class AuxiliaryBranch(nn.Module):
    """1×1 convolution, mean over frequency, a hidden layer on each frame, dropout."""

    def __init__(self, channels_in: int, width: float) -> None:
        super().__init__()
        channels, self.output_size = scaled(AUXILIARY_CHANNELS, width), scaled(AUXILIARY_HIDDEN, width)
        self.convolution = MaskedConv2d(channels_in, channels, (1, 1))
        self.hidden = nn.Linear(channels, self.output_size)
        self.dropout = nn.Dropout(AUXILIARY_DROPOUT)

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        images_BCTF, lengths_B = self.convolution(images_BCTF, lengths_B)
        hidden_BTH = functional.relu(self.hidden(images_BCTF.mean(dim=3).transpose(1, 2)))
        return self.dropout(hidden_BTH) * frame_mask(lengths_B, hidden_BTH.shape[1]).unsqueeze(2), lengths_B
