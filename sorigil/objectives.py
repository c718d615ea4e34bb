"""What a model can be trained for, by name: what a configuration and a job must know of it, without torch.

To add an objective: its name in `Objective`, a line in `OBJECTIVES` here, its head in `sorigil.models.network.HEADS`, its
loss, targets and judge in `sorigil.training.objectives.LEARNING`, and its metrics in `sorigil.metrics.METRICS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Objective = Literal["ctc", "classification", "tagging"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveFacts:
    """A row of `OBJECTIVES`."""

    tier: str  # of the annotations that it learns, where none is named
    text: bool  # learns normalised text, written in tokens; otherwise labels
    several: bool  # labels of one item, in one text between separators (`sorigil.text.tags`)
    aligned: bool  # each token needs a frame of the network's output, so a text can be too long for its audio
    metric: str  # of the dev set, beside the loss
    higher_is_better: bool  # of that metric


OBJECTIVES: dict[str, ObjectiveFacts] = {
    "ctc": ObjectiveFacts(
        tier="reference", text=True, several=False, aligned=True, metric="wer", higher_is_better=False
    ),
    "classification": ObjectiveFacts(
        tier="label", text=False, several=False, aligned=False, metric="accuracy", higher_is_better=True
    ),
    "tagging": ObjectiveFacts(
        tier="label", text=False, several=True, aligned=False, metric="map", higher_is_better=True
    ),
}
