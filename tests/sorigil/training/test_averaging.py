"""Means of weights by their formulas."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sorigil.training.averaging import decay_at, mean_of, running_mean


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=20), st.floats(0.1, 0.999))
def test_the_running_mean_follows_its_formula(values: list[float], decay: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    network.register_buffer("seen", torch.zeros(1))
    mean = running_mean(network, decay)
    expected = values[0]
    for number, value in enumerate(values):
        with torch.no_grad():
            network.weight.fill_(value)
            network.seen.fill_(value)
        mean.update_parameters(network)
        if number:
            now = min(decay, (1 + number) / (10 + number))
            expected = now * expected + (1 - now) * value
    assert np.isclose(float(mean.module.weight.detach()), expected, rtol=1e-4, atol=1e-4)
    assert np.isclose(float(mean.module.seen), expected, rtol=1e-4, atol=1e-4)


def test_the_decay_grows_to_its_limit() -> None:
    assert [decay_at(step, 0.5) for step in (0, 1, 100)] == [0.1, 2 / 11, 0.5]


def test_the_mean_of_several_epochs_is_that_of_each_tensor() -> None:
    weights = [{"a": torch.full((2,), value), "count": torch.tensor(int(value))} for value in (1.0, 2.0, 6.0)]
    mean = mean_of(weights)
    assert mean["a"].tolist() == [3.0, 3.0] and mean["a"].dtype == torch.float32
    assert int(mean["count"]) == 1
