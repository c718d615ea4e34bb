"""The learning rate over a training."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sorigil.training.schedule import (
    ConstantSpec,
    OneCycleSpec,
    PlateauSpec,
    learning_rate_at,
    plateaus,
    share_done,
)


@given(st.floats(0, 1), st.floats(0, 0.9))
def test_the_rate_stays_between_zero_and_its_peak(share: float, warmup: float) -> None:
    assert 0 <= learning_rate_at(share, 2e-3, warmup) <= 2e-3 * (1 + 1e-12)


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine() -> None:
    assert learning_rate_at(0.05, 1.0, 0.1) == pytest.approx(0.5)
    assert learning_rate_at(0.1, 1.0, 0.1) == pytest.approx(1.0)
    assert learning_rate_at(0.1 + 0.9 / 4, 1.0, 0.1) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert learning_rate_at(1.0, 1.0, 0.1) == pytest.approx(0.0)
    assert learning_rate_at(0.0, 1.0, 0.0) == pytest.approx(1.0)


def test_the_share_grows_through_epochs_of_different_lengths() -> None:
    shares = [share_done(epoch, step, steps, 3) for epoch, steps in enumerate((4, 2, 5)) for step in range(steps)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1


def shares(steps: int) -> list[float]:
    return [step / steps for step in range(steps)]


def test_one_cycle_has_the_rates_of_torch() -> None:
    steps, peak, warmup = 50, 0.1, 0.3
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=peak)
    # torch counts steps from 0 to steps - 1 and ends each phase on a whole step
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak, total_steps=steps + 1, pct_start=(warmup * steps + 1) / (steps + 1)
    )
    for share in shares(steps):
        assert learning_rate_at(share, peak, warmup, OneCycleSpec()) == pytest.approx(theirs.get_last_lr()[0], rel=1e-6)
        optimizer.step()
        theirs.step()
    assert learning_rate_at(1.0, peak, warmup, OneCycleSpec()) == pytest.approx(peak / 25 / 1e4)


def test_a_constant_rate_warms_up_and_stays() -> None:
    assert learning_rate_at(0.05, 2.0, 0.1, ConstantSpec()) == pytest.approx(1.0)
    assert {learning_rate_at(share, 2.0, 0.1, ConstantSpec()) for share in (0.1, 0.5, 1.0)} == {2.0}


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(0, 4))
def test_the_plateau_reduces_where_torch_does(ranks: list[int], patience: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, threshold=0, eps=0)
    for number, rank in enumerate(ranks):
        theirs.step(rank)
        ours = learning_rate_at(0.5, 1.0, 0.1, PlateauSpec(patience=patience), ranks[: number + 1])
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])


def test_a_figure_that_is_infinite_is_no_gain() -> None:
    assert plateaus([math.inf] * 4, patience=2) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PlateauSpec(factor=1.0), "factor is 1.0"),
        (lambda: PlateauSpec(patience=-1), "patience is -1"),
        (lambda: OneCycleSpec(start=0.5), "start is 0.5"),
    ],
)
def test_impossible_schedules_are_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
