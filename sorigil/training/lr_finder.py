"""A learning rate to begin with: train with a rate that grows in every step, and see where the loss falls fastest.

The range test of Smith (2017). It spoils the network that it is given and keeps nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sorigil.errors import RunError
from sorigil.models.network import Network
from sorigil.objectives import Objective
from sorigil.training.data import Batch
from sorigil.training.learner import Learner
from sorigil.training.loop import Epochs, grouped
from sorigil.training.spec import TrainSpec

SMOOTHING = 0.9  # of the losses, as an exponential mean
DIVERGED = 3.0  # times the first loss: enough has been seen
FEWEST = 10  # steps from which something can be said


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """The rates tried, in order, the loss of each step and its smoothed course."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float


def find_learning_rate(
    *,
    network: Network,
    train_spec: TrainSpec,
    objective: Objective,
    data: Epochs,
    device: str = "cpu",
    class_weights_C: Tensor | None = None,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
) -> Sweep:
    """Train `network` for `steps` steps whose rates grow evenly in their logarithm, until the loss leaves all bounds.

    Everything but the rate is as in the training: optimizer, batches (from as many epochs as it takes), augmentation.

    Raises:
        RunError: the loss leaves all bounds before ten steps are done: even the lowest rates are too high.
    """
    learner = Learner(network, train_spec, objective, device, class_weights_C)
    learner.train()
    rates = np.geomspace(lowest, highest, steps).tolist()
    losses: list[float] = []
    for (epoch, step, group), rate in zip(_endless(data, train_spec.accumulate), rates, strict=False):
        losses.append(float(learner.learn(group, rate, epoch, step)))
        if not losses[-1] <= DIVERGED * losses[0]:  # nor is NaN
            break
    seen = losses if math.isfinite(losses[-1]) else losses[:-1]
    if len(seen) < FEWEST:
        raise RunError(
            f"the loss went from {losses[0]:.3g} to {losses[-1]:.3g} in {len(losses)} steps, at rates up to "
            f"{rates[len(losses) - 1]:.1e}: nothing can be learned here; look at the data, or begin at a lower rate"
        )
    smooth = smoothed(seen)
    return Sweep(
        rates=tuple(rates[: len(seen)]),
        losses=tuple(seen),
        smoothed=tuple(smooth.tolist()),
        suggestion=steepest(rates[: len(seen)], smooth),
    )


def _endless(data: Epochs, accumulate: int) -> Iterator[tuple[int, int, list[Batch]]]:
    epoch = 0
    while True:
        _, batches = data.batches(epoch)
        for step, group in enumerate(grouped(batches, accumulate)):
            yield epoch, step, group
        epoch += 1


def smoothed(losses: Sequence[float]) -> NDArray[np.float64]:
    """Return the exponential mean up to each step, without the pull of its beginning."""
    means = np.empty(len(losses))
    mean = 0.0
    for number, loss in enumerate(losses):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means[number] = mean / (1 - SMOOTHING ** (number + 1))
    return means


def steepest(rates: Sequence[float], smooth: NDArray[np.float64]) -> float:
    """Return the rate at which the smoothed loss falls fastest over the logarithm of the rate, before its lowest point."""
    end = max(int(np.argmin(smooth)) + 1, 2)
    slopes = np.gradient(smooth[:end], np.log(np.asarray(rates[:end])))
    return float(rates[int(np.argmin(slopes))])
