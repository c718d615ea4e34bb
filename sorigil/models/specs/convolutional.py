"""Parameters of the networks that were made for features: a multi-layer perceptron and plain convolutional ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from sorigil.models.specs.checks import check_at_least_one, check_dropout, check_odd
from sorigil.models.specs.facts import Facts


@dataclass(frozen=True, kw_only=True, slots=True)
class MlpSpec:
    """A multi-layer perceptron on each frame and its neighbours: the acoustic model of before convolutions."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    FACTS: ClassVar[Facts] = Facts(
        paper="Hinton et al. 2012, Deep neural networks for acoustic modeling, https://doi.org/10.1109/MSP.2012.2205597"
    )
    kind: Literal["mlp"] = "mlp"
    context: int = 5  # frames on either side that each frame is seen with
    hidden: int = 256
    layers: int = 3
    dropout: float = 0.2  # after each layer and before the head

    def __post_init__(self) -> None:
        if self.context < 0:
            raise ValueError(f"context is {self.context}; it must be at least 0 frames")
        check_at_least_one("hidden", self.hidden)
        check_at_least_one("layers", self.layers)
        check_dropout(self.dropout)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cnn1dSpec:
    """Convolutions over time, all bands at once; `kernels`, `strides` and `dilations` are in frames, one for each."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    FACTS: ClassVar[Facts] = Facts(
        paper="Waibel et al. 1989, Phoneme recognition using time-delay neural networks, https://doi.org/10.1109/29.21701"
    )
    kind: Literal["cnn1d"] = "cnn1d"
    channels: int = 192
    kernels: tuple[int, ...] = (5, 3, 3, 3)
    strides: tuple[int, ...] = (1, 2, 1, 1)
    dilations: tuple[int, ...] = (1, 1, 2, 3)
    dropout: float = 0.2  # after each convolution and before the head

    def __post_init__(self) -> None:
        check_at_least_one("channels", self.channels)
        if not self.kernels:
            raise ValueError("kernels is empty; it needs one odd number for each convolution")
        check_odd("kernels", self.kernels)
        for name, sizes in (("strides", self.strides), ("dilations", self.dilations)):
            if len(sizes) != len(self.kernels) or min(sizes) < 1:
                raise ValueError(
                    f"{name} is {list(sizes)}; it needs one number of at least 1 for each of the "
                    f"{len(self.kernels)} kernels"
                )
        check_dropout(self.dropout)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cnn2dSpec:
    """One block per entry of `channels`; `time_strides` says by how much each block's pooling shortens time.

    For CTC keep the product of `time_strides` small (2 to 4 at 10 ms hops): there must be a frame per token.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    FACTS: ClassVar[Facts] = Facts(
        paper="after Hershey et al. 2017, CNN architectures for large-scale audio classification, https://arxiv.org/abs/1609.09430",
    )
    kind: Literal["cnn2d"] = "cnn2d"
    channels: tuple[int, ...] = (24, 48, 96)
    time_strides: tuple[int, ...] = (1, 2, 2)
    kernel: int = 3
    hidden: int = 128
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels is {list(self.channels)}; it needs one number of at least 1 per block")
        if len(self.time_strides) != len(self.channels) or min(self.time_strides) < 1:
            raise ValueError(
                f"time_strides is {list(self.time_strides)}; it needs one number of at least 1 for each of the "
                f"{len(self.channels)} channels"
            )
        check_odd("kernel", (self.kernel,))
        check_dropout(self.dropout)
        if self.hidden < 1:
            raise ValueError(f"hidden is {self.hidden}; it must be at least 1")
