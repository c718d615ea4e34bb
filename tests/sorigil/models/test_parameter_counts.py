"""Numbers of parameters against the published ones, with what differs here spelled out term by term.

Published: torchvision's weights for three channels and 1,000 classes, but for GoogLeNet, where those have 3×3 in the place
of the paper's 5×5 convolutions; there it is the Caffe model of the paper's table. Networks without a published number
stand against their formula.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sorigil.models.network import build
from sorigil.models.specs import (
    AlexNetSpec,
    Cnn1dSpec,
    Cnn2dSpec,
    CrnnSpec,
    DeepSpeech2Spec,
    DenseNet121Spec,
    GoogLeNetSpec,
    GruSpec,
    LstmSpec,
    MlpSpec,
    ResNet18Spec,
    ResNet34Spec,
    ResNet50Spec,
    RnnSpec,
    SincNetSpec,
    SqueezeNetSpec,
    Vgg11Spec,
    Vgg16Spec,
)

BANDS, CLASSES = 80, 10


def one_channel(channels: int, kernel: int) -> int:
    """The first convolution sees one channel, not three."""
    return -2 * channels * kernel * kernel


def fewer_classes(features: int) -> int:
    """The last layer has 10 outputs, not 1,000."""
    return -(1000 - CLASSES) * (features + 1)


def pooled(channels: int, side: int, hidden: int) -> int:
    """The first fully connected layer sees the mean over frequency, not `side` × `side` places."""
    return -channels * (side * side - 1) * hidden


def without_biases(channels: int) -> int:
    """A convolution before a batch norm has no bias."""
    return -channels


# GoogLeNet: its 57 convolutions have 7,280 outputs together; a batch norm has a weight and a bias where they had a bias
GOOGLENET_NORMS = 7280
# its auxiliary classifiers: 1×1 convolution with norm, hidden layer on the mean over frequency, last layer
GOOGLENET_AUXILIARY = (512 + 528) * 128 + 2 * 2 * 128 + 2 * (128 + 1) * 1024 + 2 * (1024 + 1) * CLASSES

PUBLISHED: list[tuple[Any, int, tuple[int, ...]]] = [
    (AlexNetSpec(), 61_100_840, (one_channel(64, 11), pooled(256, 6, 4096), fewer_classes(4096))),
    (
        Vgg11Spec(),
        132_868_840,
        (one_channel(64, 3), pooled(512, 7, 4096), fewer_classes(4096), without_biases(64 + 128 + 2 * 256 + 4 * 512)),
    ),
    (
        Vgg16Spec(),
        138_365_992,
        (
            one_channel(64, 3),
            pooled(512, 7, 4096),
            fewer_classes(4096),
            without_biases(2 * 64 + 2 * 128 + 3 * 256 + 6 * 512),
        ),
    ),
    (GoogLeNetSpec(auxiliary_weight=0), 6_998_552, (one_channel(64, 7), fewer_classes(1024), GOOGLENET_NORMS)),
    (GoogLeNetSpec(), 6_998_552, (one_channel(64, 7), fewer_classes(1024), GOOGLENET_NORMS, GOOGLENET_AUXILIARY)),
    (ResNet18Spec(), 11_689_512, (one_channel(64, 7), fewer_classes(512))),
    (ResNet34Spec(), 21_797_672, (one_channel(64, 7), fewer_classes(512))),
    (ResNet50Spec(), 25_557_032, (one_channel(64, 7), fewer_classes(2048))),
    (DenseNet121Spec(), 7_978_856, (one_channel(64, 7), fewer_classes(1024))),
    (SqueezeNetSpec(), 1_248_424, (one_channel(96, 7), fewer_classes(512))),
]

NORM = 2  # a weight and a bias for each channel
FORMULAS: list[tuple[Any, int]] = [
    (MlpSpec(), 11 * 80 * 256 + 2 * 256 * 256 + 3 * NORM * 256 + (2 * 256 + 1) * CLASSES),
    (Cnn1dSpec(), 5 * 80 * 192 + 3 * 3 * 192 * 192 + 4 * NORM * 192 + (2 * 192 + 1) * CLASSES),
    # a convolution without bias and its norm, three times, over halved bands; the 10 that are left, joined, into 128
    (
        Cnn2dSpec(),
        9 * (1 * 24 + 24 * 48 + 48 * 96) + NORM * (24 + 48 + 96) + (10 * 96 + 1) * 128 + (2 * 128 + 1) * CLASSES,
    ),
    # a plain layer has one product where a GRU has three and an LSTM four
    (RnnSpec(), 2 * 1 * 128 * (160 + 128 + 2) + 2 * 1 * 128 * (256 + 128 + 2) + (2 * 256 + 1) * CLASSES),
    (LstmSpec(), 2 * 4 * 128 * (160 + 128 + 2) + 2 * 4 * 128 * (256 + 128 + 2) + (2 * 256 + 1) * CLASSES),
    (
        CrnnSpec(),
        (5 * 80 + 5 * 128 + 3 * 128) * 128 + 3 * NORM * 128 + 2 * 3 * 128 * (128 + 128 + 2) + (2 * 256 + 1) * CLASSES,
    ),
    # 32 maps of 80 bands halved twice; of each layer the norm of its input, and 2 × 128 units of 3 gates
    (
        DeepSpeech2Spec(),
        (5 * 11 * 1 + 5 * 7 * 32) * 32
        + 2 * NORM * 32
        + NORM * 640
        + 2 * 3 * 128 * (640 + 128 + 2)
        + NORM * 256
        + 2 * 3 * 128 * (256 + 128 + 2)
        + (2 * 256 + 1) * CLASSES,
    ),
    # two edges a filter; two convolutions of 5; three norms; a GRU of 2 × 128 units on two frames of 60 values
    (
        SincNetSpec(),
        2 * 80
        + 5 * (80 + 60) * 60
        + NORM * (80 + 60 + 60)
        + 2 * 3 * 128 * (120 + 128 + 2)
        + 2 * 3 * 128 * (256 + 128 + 2)
        + (2 * 256 + 1) * CLASSES,
    ),
    # two frames of 80 bands into 2 × 128 units of 3 gates, with torch's two biases; then 256 into as many
    (GruSpec(), 2 * 3 * 128 * (160 + 128 + 2) + 2 * 3 * 128 * (256 + 128 + 2) + (2 * 256 + 1) * CLASSES),
    (
        GruSpec(pooling="attention"),
        2 * 3 * 128 * (160 + 128 + 2) + 2 * 3 * 128 * (256 + 128 + 2) + (256 + 1) * CLASSES + (256 + 1) * 128 + 128,
    ),
]


def parameters(spec: Any) -> int:
    with torch.device("meta"):
        bands = 1 if spec.FACTS.input == "raw" else BANDS
        return sum(weight.numel() for weight in build(spec, "classification", bands, CLASSES).parameters())


@pytest.mark.parametrize(("spec", "published", "differences"), PUBLISHED, ids=lambda value: getattr(value, "kind", ""))
def test_as_many_as_published_but_for_what_differs(spec: Any, published: int, differences: tuple[int, ...]) -> None:
    assert parameters(spec) == published + sum(differences)


@pytest.mark.parametrize(("spec", "expected"), FORMULAS, ids=lambda value: getattr(value, "kind", ""))
def test_as_many_as_the_formula_says(spec: Any, expected: int) -> None:
    assert parameters(spec) == expected
