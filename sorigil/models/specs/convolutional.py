"""Parameters of the convolutional networks that were made for spectrograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from sorigil.models.specs.checks import check_dropout, check_odd
from sorigil.models.specs.facts import Facts


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
