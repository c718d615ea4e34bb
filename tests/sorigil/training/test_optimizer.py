"""What is decayed, what is frozen, and how fast each layer learns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sorigil.errors import RequestError
from sorigil.training.optimizer import (
    freeze,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)
from sorigil.training.spec import AdamWSpec, OptimizerSpec, SgdSpec, TrainSpec

SPEC = TrainSpec(learning_rate=0.1, weight_decay=0.5)


class Layered(nn.Module):
    """An encoder of three layers, the lowest a batch norm, that tells them."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.low, self.high = nn.BatchNorm1d(3), nn.Linear(3, 3), nn.Linear(3, 3)

    def layer_of(self, parameter_name: str) -> int:
        return ["norm", "low", "high"].index(parameter_name.split(".")[0])

    def forward(self, values: Tensor) -> Any:
        return self.high(self.low(self.norm(values)))


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = Layered(), nn.Linear(3, 2)

    def forward(self, values: Tensor) -> Any:
        return self.head(self.encoder(values))


def rates(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {names[id(p)]: float(group["lr"]) for group in optimizer.param_groups for p in group["params"]}


def test_matrices_decay_and_biases_and_norms_do_not() -> None:
    network = Whole()
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = make_optimizer(network, SPEC).param_groups
    decayed = {names[id(p)] for group in groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {"encoder.low.weight", "encoder.high.weight", "head.weight"}
    assert sum(len(group["params"]) for group in groups) == len(names)


def test_each_layer_below_the_head_learns_slower_by_the_same_factor() -> None:
    network = Whole()
    optimizer = make_optimizer(network, replace(SPEC, layer_decay=0.5))
    set_learning_rate(optimizer, 0.2)
    found = rates(network, optimizer)
    assert {name.rsplit(".", 1)[0]: rate for name, rate in found.items()} == pytest.approx(
        {"head": 0.2, "encoder.high": 0.1, "encoder.low": 0.05, "encoder.norm": 0.025}
    )
    with pytest.raises(RequestError, match=r"layer_decay is 0\.5, but this model does not tell its layers"):
        make_optimizer(nn.Sequential(nn.Linear(2, 2)), replace(SPEC, layer_decay=0.5))


def test_what_is_frozen_neither_learns_nor_counts_statistics() -> None:
    network = Whole()
    still = freeze(network, ("encoder.norm", "encoder.low"))
    assert {name for name, p in network.named_parameters() if not p.requires_grad} == {
        "encoder.norm.weight",
        "encoder.norm.bias",
        "encoder.low.weight",
        "encoder.low.bias",
    }
    assert still == [network.encoder.norm, network.encoder.low]
    assert set(rates(network, make_optimizer(network, SPEC))) == {
        "encoder.high.weight",
        "encoder.high.bias",
        "head.weight",
        "head.bias",
    }


def test_a_name_that_freezes_nothing_is_listed_with_what_there_is() -> None:
    with pytest.raises(RequestError, match=r"freeze names 'encoder.lo', but no weight .* encoder.high, encoder.low"):
        freeze(Whole(), ("encoder.lo",))
    network = Whole()
    freeze(network, ("encoder", "head"))
    with pytest.raises(RequestError, match="every weight is frozen"):
        make_optimizer(network, SPEC)


@pytest.mark.parametrize("optimizer", [AdamWSpec(betas=(0.8, 0.9)), SgdSpec(), SgdSpec(momentum=0.0, nesterov=False)])
def test_a_restored_optimizer_steps_as_before(optimizer: OptimizerSpec) -> None:
    """Against torch's own, which has never been packed."""
    torch.manual_seed(0)
    values, spec = torch.randn(5, 3), replace(SPEC, optimizer=optimizer)

    def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        network(values).square().sum().backward()
        optimizer.step()

    network = Whole()
    straight = make_optimizer(network, spec)
    step(network, straight)
    twin = Whole()
    twin.load_state_dict(network.state_dict())
    resumed = make_optimizer(twin, spec)
    restore_optimizer(resumed, optimizer_tensors(straight))
    step(network, straight)
    step(twin, resumed)
    for left, right in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(left, right)


def test_sgd_is_torchs_with_nesterov_momentum() -> None:
    group = make_optimizer(Whole(), replace(SPEC, optimizer=SgdSpec(momentum=0.7))).param_groups[0]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.7, True, 0.5)


@pytest.mark.parametrize(
    ("values", "said"),
    [({"momentum": 1.0}, "momentum is 1.0"), ({"momentum": 0.0}, "nesterov is true but momentum is 0")],
)
def test_impossible_momentum_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SgdSpec(**values)
    with pytest.raises(ValueError, match="betas is"):
        AdamWSpec(betas=(0.9, 1.0))
