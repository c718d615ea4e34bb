"""The parts of which the networks are put together, each step by step from its paper with torch's own functions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.conformer import ConformerLayer
from sorigil.models.densenet import DenseLayer, Transition
from sorigil.models.googlenet import Inception
from sorigil.models.masking import MaskedBatchNorm, MaskedConv2d
from sorigil.models.network import build
from sorigil.models.resnet import Residual
from sorigil.models.specs import AlexNetSpec, ConformerSpec, DenseNet121Spec, GoogLeNetSpec, ResNet50Spec, Vgg16Spec
from sorigil.models.squeezenet import Fire

IMAGES, LENGTHS = (2, 6, 9, 8), torch.tensor([9, 9])  # (B, C, T, F), nothing padded


def ready(part: nn.Module) -> Any:
    """In evaluation mode, with batch norms that are not what they begin as."""
    for module in part.modules():
        if isinstance(module, MaskedBatchNorm):
            for tensor in (module.weight, module.bias, module.running_mean):
                nn.init.normal_(tensor)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return part.eval()


def norm(module: Any, values: Tensor) -> Tensor:
    return functional.batch_norm(values, module.running_mean, module.running_var, module.weight, module.bias)


def convolve(module: MaskedConv2d, images: Tensor, stride: tuple[int, int] = (1, 1)) -> Tensor:
    """Convolution and batch norm (where there is one), no ReLU."""
    weight = module.conv.weight
    convolved = functional.conv2d(images, weight, module.conv.bias, stride, [size // 2 for size in weight.shape[2:]])
    return convolved if module.norm is None else norm(module.norm, convolved)


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(IMAGES)


@torch.no_grad()
def test_a_fire_module_squeezes_and_expands_by_two_sizes(images: Tensor) -> None:
    fire = ready(Fire(6, 3, 5))
    squeezed = convolve(fire.squeeze, images).relu()
    expected = torch.cat([convolve(fire.narrow, squeezed).relu(), convolve(fire.wide, squeezed).relu()], dim=1)
    assert [tuple(each.conv.weight.shape[2:]) for each in (fire.squeeze, fire.narrow, fire.wide)] == [
        (1, 1),
        (1, 1),
        (3, 3),
    ]
    torch.testing.assert_close(fire(images, LENGTHS)[0], expected)


@torch.no_grad()
def test_an_inception_module_has_four_branches_side_by_side(images: Tensor) -> None:
    inception = ready(Inception(6, (2, 3, 4, 2, 3, 5)))
    one, three, five, pooled = inception.branches
    kernels = [[tuple(layer.conv.weight.shape[2:]) for layer in branch if hasattr(layer, "conv")] for branch in
               inception.branches]  # fmt: skip
    assert kernels == [[(1, 1)], [(1, 1), (3, 3)], [(1, 1), (5, 5)], [(1, 1)]]
    expected = [
        convolve(one[0], images).relu(),
        convolve(three[1], convolve(three[0], images).relu()).relu(),
        convolve(five[1], convolve(five[0], images).relu()).relu(),
        convolve(pooled[1], functional.max_pool2d(images.relu(), 3, 1, 1)).relu(),
    ]
    for place, branch in enumerate((one, three, five)):
        torch.testing.assert_close(branch(images, LENGTHS)[0], expected[place])
    found = inception(images.relu(), LENGTHS)[0]  # pooling is for what comes out of a ReLU
    assert found.shape[1] == inception.channels == 2 + 4 + 3 + 5
    torch.testing.assert_close(found[:, -5:], expected[3])


@torch.no_grad()
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 2)])
@pytest.mark.parametrize("expansion", [1, 4])
def test_a_residual_block_adds_to_what_it_was_given(images: Tensor, expansion: int, stride: tuple[int, int]) -> None:
    block = ready(Residual(6, 6 // (1 if expansion == 1 else 2), stride, expansion))
    value, last = images, len(block.branch) - 1
    strided = 0 if expansion == 1 else 1  # of a bottleneck the 3×3 convolution
    for place, layer in enumerate(block.branch):
        value = convolve(layer, value, stride if place == strided else (1, 1))
        value = value if place == last else value.relu()
    if expansion == 1 and stride == (1, 1):
        assert block.shortcut is None
    shortcut = images if block.shortcut is None else convolve(block.shortcut, images, stride)
    found, lengths_B = block(images, LENGTHS)
    torch.testing.assert_close(found, (value + shortcut).relu())
    assert lengths_B.tolist() == [-(-9 // stride[0])] * 2


@torch.no_grad()
def test_a_dense_layer_puts_its_channels_behind_those_it_was_given(images: Tensor) -> None:
    layer = ready(DenseLayer(6, 4))
    narrow = convolve(layer.narrow, norm(layer.norm.norm, images).relu()).relu()
    expected = torch.cat([images, functional.conv2d(narrow, layer.wide.weight, padding=1)], dim=1)
    torch.testing.assert_close(layer(images, LENGTHS)[0], expected)
    half = ready(Transition(6, 3, (2, 2)))
    even = images[:, :, :8]
    thin = functional.conv2d(norm(half.norm.norm, even).relu(), half.narrow.weight)
    torch.testing.assert_close(half(even, torch.tensor([8, 8]))[0], functional.avg_pool2d(thin, 2))


@torch.no_grad()
def test_a_conformer_layer_is_a_macaron_with_halves_around_attention_and_convolution() -> None:
    """Gulati et al. 2020, equation 1."""
    torch.manual_seed(0)
    layer = ready(ConformerLayer(ConformerSpec(hidden=8, heads=2, kernel=3, dropout=0.0)))
    x, mask_BT = torch.randn(2, 7, 8), torch.ones(2, 7, dtype=torch.bool)
    found = layer(x, mask_BT)
    x = x + 0.5 * layer.first(x)
    x = x + layer.attention(layer.norm(x), mask_BT)
    x = x + layer.convolution(x, mask_BT)
    x = x + 0.5 * layer.second(x)
    torch.testing.assert_close(found, functional.layer_norm(x, (8,), layer.final.weight, layer.final.bias))


def test_auxiliary_classifiers_learn_and_are_gone_when_it_answers() -> None:
    torch.manual_seed(0)
    net = build(GoogLeNetSpec(width=1 / 16), "classification", 20, 5)
    features_BTF, lengths_B = torch.randn(2, 40, 20), torch.tensor([40, 33])
    (_, _), taps = net.with_auxiliary(features_BTF, lengths_B)
    assert [tuple(each.shape) for each, _ in taps] == [(2, 5), (2, 5)]
    before, _ = net.eval()(features_BTF, lengths_B)
    for branch in (net.encoder.branches, net.auxiliary):
        for weight in branch.parameters():
            nn.init.zeros_(weight)
    torch.testing.assert_close(net(features_BTF, lengths_B)[0], before, rtol=0, atol=0)


@pytest.mark.parametrize("spec_class", [AlexNetSpec, Vgg16Spec, GoogLeNetSpec, ResNet50Spec, DenseNet121Spec])
def test_half_the_width_has_about_a_quarter_of_the_weights(spec_class: Any) -> None:
    with torch.device("meta"):
        whole, half = (
            sum(weight.numel() for weight in build(spec_class(width=width), "ctc", 80, 5).parameters())
            for width in (1.0, 0.5)
        )
    assert 0.24 < half / whole < 0.27
