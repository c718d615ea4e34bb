"""The learning-rate finder: the steepest place of a known curve, and a rate that a network learns by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch

from sorigil.errors import RunError
from sorigil.models.network import Network, build
from sorigil.models.specs import GruSpec
from sorigil.training.data import Batch, Item, collate
from sorigil.training.lr_finder import find_learning_rate, smoothed, steepest
from sorigil.training.spec import SgdSpec, TrainSpec


class Bands:
    """Two classes by which of two bands is louder, one batch an epoch; `scale` makes the features absurd."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def batches(self, epoch: int, skip: int = 0) -> tuple[int, Iterable[Batch]]:
        rng = np.random.default_rng(epoch)
        items = []
        for row in range(16):
            features_TF = rng.normal(0, 0.5, (6, 2)).astype(np.float32)
            features_TF[:, row % 2] += 1
            items.append(Item(key=str(row), row=row, features_TF=self.scale * features_TF, target=[row % 2]))
        return 1, [collate(items)][skip:]


def network() -> Network:
    torch.manual_seed(0)
    return build(GruSpec(hidden=8, layers=1, stack=1, dropout=0.0), "classification", 2, 2)


def test_the_steepest_place_of_a_known_curve_is_found() -> None:
    rates = np.geomspace(1e-6, 1, 200)
    falling = 2 - 1 / (1 + np.exp(-3 * (np.log(rates) - np.log(1e-3)))) + np.where(rates > 0.05, 50 * rates, 0)
    assert steepest(rates.tolist(), falling) == pytest.approx(1e-3, rel=0.1)


def test_the_smoothed_course_of_a_constant_is_that_constant() -> None:
    np.testing.assert_allclose(smoothed([3.0] * 20), 3.0)
    assert smoothed([1.0, 0.0])[1] == pytest.approx(0.9 * 0.1 / (1 - 0.81))


def test_a_network_learns_by_the_rate_that_is_suggested() -> None:
    spec = TrainSpec(optimizer=SgdSpec(), gradient_clip=1e9)
    sweep = find_learning_rate(
        network=network(), train_spec=spec, objective="classification", data=Bands(), highest=1e3, steps=80
    )
    assert len(sweep.rates) == len(sweep.losses) == len(sweep.smoothed)
    assert 1e-3 < sweep.suggestion < 100 and list(sweep.rates) == sorted(sweep.rates)
    assert min(sweep.smoothed) < 0.5 * sweep.smoothed[0]


def test_a_sweep_that_diverges_stops_there() -> None:
    arguments = {"objective": "classification", "data": Bands(), "lowest": 1e-5, "highest": 1e12, "steps": 60}
    spec = TrainSpec(optimizer=SgdSpec(), gradient_clip=1e30)
    sweep = find_learning_rate(network=network(), train_spec=spec, **arguments)  # type: ignore[arg-type]
    assert len(sweep.rates) < 60 and np.isfinite(sweep.losses).all()


def test_nothing_to_be_learned_is_said() -> None:
    with pytest.raises(RunError, match="nothing can be learned here"):
        find_learning_rate(
            network=network(),
            train_spec=replace(TrainSpec(), gradient_clip=1e30),
            objective="classification",
            data=Bands(scale=float("nan")),
        )
