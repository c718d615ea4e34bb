"""Parameters of the networks that were made for pictures, for spectrograms of one channel here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from sorigil.models.specs.checks import check_dropout
from sorigil.models.specs.facts import Facts, Pooling

TIME_STRIDES = (1, 2, 4, 8, 16, 32)
_VGG = Facts(paper="Simonyan & Zisserman 2015, Very deep convolutional networks, https://arxiv.org/abs/1409.1556")
_RESNET = Facts(paper="He et al. 2016, Deep residual learning, https://arxiv.org/abs/1512.03385")


@dataclass(frozen=True, kw_only=True, slots=True)
class _ImageSpec:
    """What they have in common. With the defaults each is as large as in its paper: for small data choose less `width`.

    The papers shorten both axes by up to 32. `time_stride` is where time stops and only frequency goes on; for ctc, which
    needs a frame per token, 4 is usual. A network that shortens time by less (squeezenet: 16) stops there.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    width: float = 1.0  # factor on all channels
    time_stride: int = 32
    pooling: Pooling = "mean"  # of a classifier's frames

    def __post_init__(self) -> None:
        if not 0 < self.width <= 4:
            raise ValueError(f"width is {self.width}; it must be above 0, and at most 4")
        if self.time_stride not in TIME_STRIDES:
            raise ValueError(
                f"time_stride is {self.time_stride}; it must be one of {', '.join(map(str, TIME_STRIDES))}"
            )
        check_dropout(self.dropout)  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True, slots=True)
class AlexNetSpec(_ImageSpec):
    """Five convolutions and two fully connected layers; no batch norm."""

    FACTS: ClassVar[Facts] = Facts(
        paper="Krizhevsky 2014, One weird trick (after Krizhevsky et al. 2012), https://arxiv.org/abs/1404.5997"
    )
    kind: Literal["alexnet"] = "alexnet"
    dropout: float = 0.5  # after each fully connected layer


@dataclass(frozen=True, kw_only=True, slots=True)
class Vgg11Spec(_ImageSpec):
    """Eight convolutions and two fully connected layers, with batch norm."""

    FACTS: ClassVar[Facts] = _VGG
    kind: Literal["vgg11"] = "vgg11"
    dropout: float = 0.5  # after each fully connected layer


@dataclass(frozen=True, kw_only=True, slots=True)
class Vgg16Spec(_ImageSpec):
    """Thirteen convolutions and two fully connected layers, with batch norm."""

    FACTS: ClassVar[Facts] = _VGG
    kind: Literal["vgg16"] = "vgg16"
    dropout: float = 0.5  # after each fully connected layer


@dataclass(frozen=True, kw_only=True, slots=True)
class GoogLeNetSpec(_ImageSpec):
    """Nine inception modules, with batch norm."""

    FACTS: ClassVar[Facts] = Facts(
        paper="Szegedy et al. 2015, Going deeper with convolutions, https://arxiv.org/abs/1409.4842"
    )
    kind: Literal["googlenet"] = "googlenet"
    dropout: float = 0.4  # before the head
    auxiliary_weight: float = 0.3  # of each of the two auxiliary classifiers' losses, in training; 0: without them

    def __post_init__(self) -> None:
        _ImageSpec.__post_init__(self)
        if not self.auxiliary_weight >= 0:
            raise ValueError(f"auxiliary_weight is {self.auxiliary_weight}; it must be at least 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet18Spec(_ImageSpec):
    """Eight residual blocks of two convolutions."""

    FACTS: ClassVar[Facts] = _RESNET
    kind: Literal["resnet18"] = "resnet18"
    dropout: float = 0.0  # before the head


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet34Spec(_ImageSpec):
    """Sixteen residual blocks of two convolutions."""

    FACTS: ClassVar[Facts] = _RESNET
    kind: Literal["resnet34"] = "resnet34"
    dropout: float = 0.0  # before the head


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet50Spec(_ImageSpec):
    """Sixteen residual bottlenecks of three convolutions."""

    FACTS: ClassVar[Facts] = _RESNET
    kind: Literal["resnet50"] = "resnet50"
    dropout: float = 0.0  # before the head


@dataclass(frozen=True, kw_only=True, slots=True)
class DenseNet121Spec(_ImageSpec):
    """Four dense blocks, 120 convolutions."""

    FACTS: ClassVar[Facts] = Facts(
        paper="Huang et al. 2017, Densely connected convolutional networks, https://arxiv.org/abs/1608.06993"
    )
    kind: Literal["densenet121"] = "densenet121"
    dropout: float = 0.0  # before the head


@dataclass(frozen=True, kw_only=True, slots=True)
class SqueezeNetSpec(_ImageSpec):
    """Eight fire modules; no batch norm."""

    FACTS: ClassVar[Facts] = Facts(paper="Iandola et al. 2016, SqueezeNet, https://arxiv.org/abs/1602.07360")
    kind: Literal["squeezenet"] = "squeezenet"
    dropout: float = 0.5  # before the head
