"""Residual networks (He et al. 2016, https://arxiv.org/abs/1512.03385): each block adds to what it was given.

18 and 34 layers of basic blocks, 50 of bottlenecks. The bottleneck's stride is in its 3×3 convolution, as everywhere since
the paper.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.images import ImageEncoder, Layers, MaxPool, Strides, scaled
from sorigil.models.masking import MaskedConv2d
from sorigil.models.specs import ResNet18Spec, ResNet34Spec, ResNet50Spec

CHANNELS = (64, 128, 256, 512)  # of the four stages
DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}  # blocks in each
EXPANSION = 4  # of a bottleneck's output


class ResNet(ImageEncoder):
    """See the module's docstring."""

    def __init__(self, spec: ResNet18Spec | ResNet34Spec | ResNet50Spec, input_dim: int) -> None:
        strides = Strides(spec.time_stride)
        expansion = EXPANSION if spec.kind == "resnet50" else 1
        channels_in = scaled(CHANNELS[0], spec.width)
        layers: list[nn.Module] = [MaskedConv2d(1, channels_in, (7, 7), strides()), MaxPool(3, strides())]
        for stage, (channels, depth) in enumerate(zip(CHANNELS, DEPTHS[spec.kind], strict=True)):
            channels = scaled(channels, spec.width)
            for number in range(depth):
                stride = strides() if stage and number == 0 else (1, 1)
                layers.append(Residual(channels_in, channels, stride, expansion))
                channels_in = channels * expansion
        super().__init__(layers, channels_in)


class Residual(nn.Module):
    """A basic block (two 3×3 convolutions) where `expansion` is 1, a bottleneck (1×1, 3×3, 1×1) otherwise."""

    def __init__(self, channels_in: int, channels: int, stride: tuple[int, int], expansion: int) -> None:
        super().__init__()
        channels_out = channels * expansion
        self.time_stride = stride[0]
        if expansion == 1:
            self.branch = Layers(
                [
                    MaskedConv2d(channels_in, channels, (3, 3), stride),
                    MaskedConv2d(channels, channels, (3, 3), relu=False),
                ]
            )
        else:
            self.branch = Layers(
                [
                    MaskedConv2d(channels_in, channels, (1, 1)),
                    MaskedConv2d(channels, channels, (3, 3), stride),
                    MaskedConv2d(channels, channels_out, (1, 1), relu=False),
                ]
            )
        same = stride == (1, 1) and channels_in == channels_out
        self.shortcut = None if same else MaskedConv2d(channels_in, channels_out, (1, 1), stride, relu=False)

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        added_BCTF = images_BCTF if self.shortcut is None else self.shortcut(images_BCTF, lengths_B)[0]
        branch_BCTF, lengths_B = self.branch(images_BCTF, lengths_B)
        return functional.relu(branch_BCTF + added_BCTF), lengths_B
