"""The parameters of every network, without the networks: whoever reads a configuration needs no torch.

To add a model write its spec here, its network in a file of its own, and a line in `network.MODELS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Cnn2dSpec:
    """One block per entry of `channels`; `time_strides` says by how much each block's pooling shortens time.

    For CTC keep the product of `time_strides` small (2 to 4 at 10 ms hops): there must be a frame per token.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

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


@dataclass(frozen=True, kw_only=True, slots=True)
class _RecurrentSpec:
    """What the three kinds have in common."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    hidden: int = 128  # of each direction
    layers: int = 2
    bidirectional: bool = True
    dropout: float = 0.1  # before each layer but the first, and before the head
    stack: int = 2  # joins that many neighbouring frames into one: the time reduction

    def __post_init__(self) -> None:
        check_recurrent(self.hidden, self.layers, self.dropout)
        if self.stack < 1:
            raise ValueError(f"stack is {self.stack}; it must be at least 1 frame")


@dataclass(frozen=True, kw_only=True, slots=True)
class RnnSpec(_RecurrentSpec):
    """A plain recurrent network with tanh (Elman 1990)."""

    kind: Literal["rnn"] = "rnn"


@dataclass(frozen=True, kw_only=True, slots=True)
class LstmSpec(_RecurrentSpec):
    """A long short-term memory network (Hochreiter & Schmidhuber 1997)."""

    kind: Literal["lstm"] = "lstm"


@dataclass(frozen=True, kw_only=True, slots=True)
class GruSpec(_RecurrentSpec):
    """A gated recurrent network (Cho et al. 2014)."""

    kind: Literal["gru"] = "gru"


@dataclass(frozen=True, kw_only=True, slots=True)
class CrnnSpec:
    """`kernels` and `strides` are in frames, one for each convolution of `channels` outputs."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["crnn"] = "crnn"
    channels: int = 128
    kernels: tuple[int, ...] = (5, 5, 3)
    strides: tuple[int, ...] = (1, 2, 1)
    rnn: Literal["gru", "lstm"] = "gru"
    hidden: int = 128  # of each direction
    layers: int = 1
    bidirectional: bool = True
    dropout: float = 0.2  # after each convolution and before the head

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ValueError(f"channels is {self.channels}; it must be at least 1")
        check_odd("kernels", self.kernels)
        if len(self.strides) != len(self.kernels) or min(self.strides, default=0) < 1:
            raise ValueError(
                f"strides is {list(self.strides)}; it needs one number of at least 1 for each of the "
                f"{len(self.kernels)} kernels"
            )
        check_recurrent(self.hidden, self.layers, self.dropout)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeepSpeech2Spec:
    """One convolution per entry of `channels`; kernels and strides are (time, frequency) pairs."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["deepspeech2"] = "deepspeech2"
    channels: tuple[int, ...] = (32, 32)
    kernels: tuple[tuple[int, int], ...] = ((5, 11), (5, 7))
    strides: tuple[tuple[int, int], ...] = ((2, 2), (1, 2))
    rnn: Literal["gru", "lstm"] = "gru"
    hidden: int = 128  # of each direction
    layers: int = 2
    bidirectional: bool = True
    dropout: float = 0.1  # before each recurrent layer and before the head

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels is {list(self.channels)}; it needs one number of at least 1 per convolution")
        for name, pairs in (("kernels", self.kernels), ("strides", self.strides)):
            if len(pairs) != len(self.channels):
                raise ValueError(
                    f"{name} has {len(pairs)} pairs; it needs one (time, frequency) pair for each of the "
                    f"{len(self.channels)} channels"
                )
        check_odd("kernels", tuple(size for pair in self.kernels for size in pair))
        if min(size for pair in self.strides for size in pair) < 1:
            raise ValueError(f"strides is {[list(pair) for pair in self.strides]}; each must be at least 1")
        check_recurrent(self.hidden, self.layers, self.dropout)


ModelSpec = Cnn2dSpec | RnnSpec | LstmSpec | GruSpec | CrnnSpec | DeepSpeech2Spec


def check_odd(name: str, sizes: tuple[int, ...]) -> None:
    """Refuse even kernel sizes: "same" padding needs a middle."""
    for size in sizes:
        if size < 1 or size % 2 == 0:
            raise ValueError(f"{name} has the size {size}; each must be an odd number of at least 1")


def check_recurrent(hidden: int, layers: int, dropout: float) -> None:
    """Refuse sizes that no network can have."""
    if hidden < 1:
        raise ValueError(f"hidden is {hidden}; it must be at least 1")
    if layers < 1:
        raise ValueError(f"layers is {layers}; it must be at least 1")
    check_dropout(dropout)


def check_dropout(dropout: float) -> None:
    """Refuse a dropout that is no probability, or that drops everything."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}; it must be at least 0 and below 1")
