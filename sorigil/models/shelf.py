"""What there is to choose from: every kind of network with its facts and its size, without training anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from sorigil.models.cost import parameters
from sorigil.models.network import MODELS, build
from sorigil.objectives import Objective

BANDS, CLASSES = 80, 10  # what the parameters are counted for: log-mel of 80 bands, ten outputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One kind of network. `parameters` are those of its defaults, for `BANDS` and `CLASSES`; none where the libraries it
    is built with are not installed."""

    name: str
    objectives: tuple[Objective, ...]
    input: str
    parameters: int | None
    paper: str


def entries() -> list[Entry]:
    """Return every kind of `MODELS`, in its order."""
    return [
        Entry(
            name=kind,
            objectives=spec_class.FACTS.objectives,
            input=spec_class.FACTS.input,
            parameters=_size(spec_class),
            paper=spec_class.FACTS.paper,
        )
        for kind, (spec_class, _) in MODELS.items()
    ]


def _size(spec_class: type[Any]) -> int | None:
    facts = spec_class.FACTS
    try:
        with torch.device("meta"):  # shapes only: no number is drawn and no memory taken
            return parameters(
                build(spec_class(), facts.objectives[-1], BANDS if facts.input == "features" else 1, CLASSES)
            )
    except ModuleNotFoundError:
        return None
