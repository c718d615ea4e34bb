"""What each spec states about its network, so that it can be chosen and refused without building it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sorigil.objectives import Objective as Objective

Pooling = Literal["mean", "mean_max", "attention"]  # how a classifier makes one vector of an item's frames
Input = Literal["features", "raw"]  # features per frame, or the samples themselves


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The `FACTS` of a spec; `sorigil models` shows them."""

    paper: str  # who described it, when and where
    objectives: tuple[Objective, ...] = get_args(Objective)  # what the network can be trained for
    input: Input = "features"
