"""The optimizers with decay on matrices only, what they leave alone, and their state as named tensors.

AdamW: Loshchilov & Hutter 2019. Frozen parts are no longer trained at all; layer-wise decay (BEiT, Bao et al. 2022)
gives the layers of a pretrained encoder smaller rates the further they are from the head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sorigil.errors import RequestError
from sorigil.training.spec import AdamWSpec, OptimizerSpec, TrainSpec

SHOWN = 8  # names in a message


def make_optimizer(network: nn.Module, spec: TrainSpec) -> torch.optim.Optimizer:
    """Decay weights of two or more dimensions; biases and norms are left alone. Call `freeze` before.

    Raises:
        RequestError: `layer_decay` is asked for, but the encoder does not tell its layers.
    """
    scales = _scales(network, spec.layer_decay)
    groups: list[dict[str, Any]] = []
    for scale in sorted(set(scales.values()), reverse=True):
        alike = [
            parameter
            for name, parameter in network.named_parameters()
            if parameter.requires_grad and scales[name] == scale
        ]
        for decay, chosen in (
            (spec.weight_decay, [p for p in alike if p.dim() >= 2]),
            (0.0, [p for p in alike if p.dim() < 2]),
        ):
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "scale": scale})
    if not groups:
        raise RequestError("every weight is frozen: nothing can be learned; leave the head out of freeze")
    return _optimizer(groups, spec.optimizer, spec.learning_rate)


def _optimizer(groups: list[dict[str, Any]], spec: OptimizerSpec, learning_rate: float) -> torch.optim.Optimizer:
    if isinstance(spec, AdamWSpec):
        return torch.optim.AdamW(groups, lr=learning_rate, betas=spec.betas, eps=spec.eps)
    return torch.optim.SGD(groups, lr=learning_rate, momentum=spec.momentum, nesterov=spec.nesterov)


def _scales(network: nn.Module, decay: float) -> dict[str, float]:
    """The share of the learning rate that each parameter gets: 1 for the head, `decay` once more for each layer below."""
    names = [name for name, _ in network.named_parameters()]
    if decay == 1:
        return dict.fromkeys(names, 1.0)
    layer_of = getattr(getattr(network, "encoder", None), "layer_of", None)
    if layer_of is None:
        raise RequestError(
            f"layer_decay is {decay}, but this model does not tell its layers; pretrained encoders do: write layer_decay: 1"
        )
    inside = {name: int(layer_of(name.removeprefix("encoder."))) for name in names if name.startswith("encoder.")}
    top = max(inside.values()) + 1
    return {name: decay ** (top - inside[name]) if name in inside else 1.0 for name in names}


def freeze(network: nn.Module, prefixes: tuple[str, ...]) -> list[nn.Module]:
    """Stop training what lies below these dotted names; return the modules that must stay in evaluation mode.

    A frozen module keeps its batch statistics too and drops nothing out.

    Raises:
        RequestError: a name fits no parameter; lists what there is.
    """
    for prefix in prefixes:
        found = [parameter for name, parameter in network.named_parameters() if _below(name, prefix)]
        if not found:
            there = sorted({name.rsplit(".", 1)[0] for name, _ in network.named_parameters()})
            more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
            raise RequestError(
                f"freeze names {prefix!r}, but no weight of the model lies below it; there are "
                f"{', '.join(there[:SHOWN])}{more}"
            )
        for parameter in found:
            parameter.requires_grad_(False)
    return [module for name, module in network.named_modules() if any(_below(name, prefix) for prefix in prefixes)]


def _below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every parameter group its share of this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["scale"]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return copies of the optimizer's tensors as `NUMBER.NAME` (of the parameter; exp_avg, exp_avg_sq, step)."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value.detach().clone()
        for number, values in state.items()
        for name, value in values.items()
        if value is not None  # SGD without momentum has no buffer
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put tensors from `optimizer_tensors` back."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
