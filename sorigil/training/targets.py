"""What a network is to say of each row, as numbers: the tokens of its text, or its class, or its tags.

All learn from the training rows only what there is to say (`outputs`), which travels in the model bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sorigil.errors import RequestError
from sorigil.text import tags
from sorigil.text.tokenizer import Tokenizer, TokenSpec


class Targets(Protocol):
    """How the values of an annotation tier become `Item.target`, for one objective."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The name of each of the network's outputs."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """What writes and reads the texts; None where there are none."""

    def encode(self, values: Sequence[str]) -> list[list[int]]:
        """Return each row's numbers."""

    def known(self, values: Sequence[str]) -> NDArray[np.bool_]:
        """Say which rows the network could get right: the dev set judges no others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextTargets:
    """Texts in tokens. A symbol that training never saw is left out of a dev row's target, not of its reference."""

    tokenizer: Tokenizer

    @classmethod
    def learn(cls, values: Sequence[str], tokens: TokenSpec) -> TextTargets:
        return cls(tokenizer=Tokenizer.train(tokens, values))

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.tokenizer.tokens

    def encode(self, values: Sequence[str]) -> list[list[int]]:
        return [self.tokenizer.encode(value, skip_unknown=True) for value in values]

    def known(self, values: Sequence[str]) -> NDArray[np.bool_]:
        return np.ones(len(values), bool)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassTargets:
    """One class of several. A dev row of a class that training never saw is not judged."""

    outputs: tuple[str, ...]
    tokenizer: None = None

    @classmethod
    def learn(cls, values: Sequence[str], tokens: TokenSpec) -> ClassTargets:
        """`tokens` means nothing here."""
        return cls(outputs=tuple(sorted(set(values))))

    def encode(self, values: Sequence[str]) -> list[list[int]]:
        number = {label: index for index, label in enumerate(self.outputs)}
        return [[number.get(value, 0)] for value in values]

    def known(self, values: Sequence[str]) -> NDArray[np.bool_]:
        return np.isin(np.asarray(values, dtype=object), np.asarray(self.outputs, dtype=object))


@dataclass(frozen=True, kw_only=True, slots=True)
class TagTargets:
    """Any number of tags, from texts as `sorigil.text.tags` joins them. A tag that training never saw is left out of a dev
    row's target."""

    outputs: tuple[str, ...]
    tokenizer: None = None

    @classmethod
    def learn(cls, values: Sequence[str], tokens: TokenSpec) -> TagTargets:
        """`tokens` means nothing here."""
        found = tuple(sorted({tag for value in values for tag in tags.split(value)}))
        if not found:
            raise RequestError("no training row has a tag: there is nothing to learn")
        return cls(outputs=found)

    def encode(self, values: Sequence[str]) -> list[list[int]]:
        number = {tag: index for index, tag in enumerate(self.outputs)}
        return [[number[tag] for tag in tags.split(value) if tag in number] for value in values]

    def known(self, values: Sequence[str]) -> NDArray[np.bool_]:
        return np.ones(len(values), bool)


def several_hot(targets_BL: Tensor, target_lengths_B: Tensor, outputs: int) -> Tensor:
    """Return truth_BC of lists of numbers: 1 where a number is in an item's list, else 0."""
    places_L = torch.arange(targets_BL.shape[1], device=targets_BL.device)
    own_BL = torch.where(places_L < target_lengths_B.unsqueeze(1), targets_BL, outputs)  # padding goes behind the last
    truth_BC = torch.zeros(len(targets_BL), outputs + 1, device=targets_BL.device)
    return truth_BC.scatter_(1, own_BL, 1.0)[:, :outputs]
