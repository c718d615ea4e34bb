"""A training's whole state as named tensors and JSON values, and back: storage writes them as safetensors and JSON.

Each checkpoint stands for the end of an epoch and is complete, the best weights so far included, so that any of them
can be resumed. Random numbers need no state: every epoch seeds its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sorigil.errors import RequestError
from sorigil.training.optimizer import optimizer_tensors, restore_optimizer

FORMAT = 1
WEIGHTS, BEST, OPTIMIZER = "weights.", "best.", "optimizer."


@dataclass(kw_only=True)
class State:
    """Where a training stands after `epoch` epochs."""

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0  # counted from 1; 0: none yet
    best_rank: tuple[float, ...] | None = None  # smaller is better
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of the network's weights and buffers on the CPU."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}


def pack(
    state: State, network: nn.Module, optimizer: torch.optim.Optimizer, facts: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return (tensors, meta) of a complete checkpoint; `facts` is what a resumed training must agree with."""
    tensors = {WEIGHTS + name: value for name, value in weights_of(network).items()}
    tensors |= {OPTIMIZER + name: value.cpu() for name, value in optimizer_tensors(optimizer).items()}
    if state.best_epoch != state.epoch:
        tensors |= {BEST + name: value for name, value in state.best_weights.items()}
    meta = {
        "format": FORMAT,
        "epoch": state.epoch,
        "history": [dict(row) for row in state.history],
        "best_epoch": state.best_epoch,
        "best_rank": None if state.best_rank is None else list(state.best_rank),
        "facts": facts,
    }
    return tensors, meta


def unpack(
    tensors: dict[str, Tensor],
    meta: dict[str, Any],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    facts: dict[str, Any],
) -> State:
    """Put a checkpoint into the network and the optimizer; return where the training stood.

    Raises:
        RequestError: the checkpoint is of a newer format, or of a training with other parameters.
    """
    _check(meta, facts)
    network.load_state_dict(_under(WEIGHTS, tensors))
    restore_optimizer(optimizer, _under(OPTIMIZER, tensors))
    best_weights = _under(BEST, tensors) or weights_of(network)
    return State(
        epoch=int(meta["epoch"]),
        history=[dict(row) for row in meta["history"]],
        best_epoch=int(meta["best_epoch"]),
        best_rank=None if meta["best_rank"] is None else tuple(meta["best_rank"]),
        best_weights=best_weights,
    )


def _check(meta: dict[str, Any], facts: dict[str, Any]) -> None:
    if meta.get("format") != FORMAT:
        raise RequestError(f"the checkpoint has format {meta.get('format')}; this version reads format {FORMAT}")
    seen = meta["facts"]
    other = [name for name in sorted(set(seen) | set(facts)) if seen.get(name) != facts.get(name)]
    if other:
        said = "; ".join(f"{name} was {seen.get(name)!r}, is {facts.get(name)!r}" for name in other)
        raise RequestError(f"the checkpoint belongs to a training with other parameters: {said}")


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
