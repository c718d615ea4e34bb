"""Parameters of the encoders that attend to the whole utterance: Transformer and Conformer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar, Literal

from sorigil.models.specs.checks import check_dropout, check_odd
from sorigil.models.specs.facts import Facts


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerSpec:
    """The defaults are for two processors; the usual one for CTC has `hidden` 256 and 12 layers.

    `interctc` names layers whose output learns the objective as well, with the share `interctc_weight` of the loss.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    FACTS: ClassVar[Facts] = Facts(
        paper="Vaswani et al. 2017, Attention is all you need, https://arxiv.org/abs/1706.03762",
    )
    kind: Literal["transformer"] = "transformer"
    hidden: int = 144
    layers: int = 6
    heads: int = 4
    feed_forward: int = 4  # times `hidden`
    subsampling: Literal[2, 4] = 4  # input frames per frame of the layers
    dropout: float = 0.1
    interctc: tuple[int, ...] = ()  # counted from 1
    interctc_weight: float = 0.3

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConformerSpec:
    """The defaults are for two processors and little data; the paper's small one has 16 layers and a kernel of 31, its
    medium `hidden` 256 as well.

    `interctc` names layers whose output learns the objective as well, with the share `interctc_weight` of the loss.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    FORMAT: ClassVar[int] = 2  # since the frames are scaled before the layers
    FACTS: ClassVar[Facts] = Facts(
        paper="Gulati et al. 2020, Conformer, https://arxiv.org/abs/2005.08100",
    )
    kind: Literal["conformer"] = "conformer"
    hidden: int = 144
    layers: int = 4
    heads: int = 4
    feed_forward: int = 4  # times `hidden`
    kernel: int = 7  # of the depthwise convolution, in frames of the layers
    subsampling: Literal[2, 4] = 4  # input frames per frame of the layers
    dropout: float = 0.1
    interctc: tuple[int, ...] = ()  # counted from 1
    interctc_weight: float = 0.3

    def __post_init__(self) -> None:
        _check(self)
        check_odd("kernel", (self.kernel,))


def _check(spec: TransformerSpec | ConformerSpec) -> None:
    for name in ("hidden", "layers", "heads", "feed_forward"):
        if getattr(spec, name) < 1:
            raise ValueError(f"{name} is {getattr(spec, name)}; it must be at least 1")
    if spec.hidden % (2 * spec.heads):
        raise ValueError(
            f"hidden is {spec.hidden}; it must be a multiple of {2 * spec.heads}, twice the {spec.heads} heads"
        )
    check_dropout(spec.dropout)
    ascending = all(left < right for left, right in itertools.pairwise(spec.interctc))
    if spec.interctc and not (ascending and spec.interctc[0] >= 1 and spec.interctc[-1] < spec.layers):
        raise ValueError(
            f"interctc is {list(spec.interctc)}; it must name layers from 1 to {spec.layers - 1}, each once, in order"
        )
    if not 0 < spec.interctc_weight < 1:
        raise ValueError(f"interctc_weight is {spec.interctc_weight}; it must be above 0 and below 1")
