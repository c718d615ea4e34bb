"""Parameters of the recurrent networks, with convolutions before them or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from sorigil.models.specs.checks import check_odd, check_recurrent
from sorigil.models.specs.facts import Facts, Pooling


@dataclass(frozen=True, kw_only=True, slots=True)
class _RecurrentSpec:
    """What the three kinds have in common."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    hidden: int = 128  # of each direction
    layers: int = 2
    bidirectional: bool = True
    dropout: float = 0.1  # before each layer but the first, and before the head
    stack: int = 2  # joins that many neighbouring frames into one: the time reduction
    pooling: Pooling = "mean_max"  # of a classifier's frames

    def __post_init__(self) -> None:
        check_recurrent(self.hidden, self.layers, self.dropout)
        if self.stack < 1:
            raise ValueError(f"stack is {self.stack}; it must be at least 1 frame")


@dataclass(frozen=True, kw_only=True, slots=True)
class RnnSpec(_RecurrentSpec):
    """A plain recurrent network with tanh (Elman 1990)."""

    FACTS: ClassVar[Facts] = Facts(
        paper="Elman 1990, Finding structure in time, https://doi.org/10.1207/s15516709cog1402_1",
    )
    kind: Literal["rnn"] = "rnn"


@dataclass(frozen=True, kw_only=True, slots=True)
class LstmSpec(_RecurrentSpec):
    """A long short-term memory network (Hochreiter & Schmidhuber 1997)."""

    FACTS: ClassVar[Facts] = Facts(
        paper="Hochreiter & Schmidhuber 1997, Long short-term memory, https://doi.org/10.1162/neco.1997.9.8.1735",
    )
    kind: Literal["lstm"] = "lstm"


@dataclass(frozen=True, kw_only=True, slots=True)
class GruSpec(_RecurrentSpec):
    """A gated recurrent network (Cho et al. 2014)."""

    FACTS: ClassVar[Facts] = Facts(
        paper="Cho et al. 2014, Learning phrase representations, https://arxiv.org/abs/1406.1078",
    )
    kind: Literal["gru"] = "gru"


@dataclass(frozen=True, kw_only=True, slots=True)
class CrnnSpec:
    """`kernels` and `strides` are in frames, one for each convolution of `channels` outputs."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    FACTS: ClassVar[Facts] = Facts(
        paper="Sainath et al. 2015, CLDNNs, https://doi.org/10.1109/ICASSP.2015.7178838",
    )
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
    """One convolution per entry of `channels`; kernels and strides are (time, frequency) pairs.

    The paper's best has `channels` 32, 32 and 96 with kernels (11, 41), (11, 21), (11, 21), strides (2, 2), (1, 2), (1, 2),
    seven layers, `shared` and one `linear` layer.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    FACTS: ClassVar[Facts] = Facts(
        paper="Amodei et al. 2016, Deep Speech 2, https://arxiv.org/abs/1512.02595",
    )
    kind: Literal["deepspeech2"] = "deepspeech2"
    channels: tuple[int, ...] = (32, 32)
    kernels: tuple[tuple[int, int], ...] = ((5, 11), (5, 7))
    strides: tuple[tuple[int, int], ...] = ((2, 2), (1, 2))
    rnn: Literal["rnn", "gru", "lstm"] = "gru"
    hidden: int = 128  # of each direction
    layers: int = 2
    bidirectional: bool = True
    dropout: float = 0.1  # before each recurrent layer and before the head
    shared: bool = (
        False  # directions share the projection of their input, its product is normalised, outputs are summed
    )
    linear: int = 0  # values of a fully connected layer behind the recurrent ones; 0: there is none

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
        if self.linear < 0:
            raise ValueError(f"linear is {self.linear}; it must be at least 0")
        check_recurrent(self.hidden, self.layers, self.dropout)
