"""A training's whole state as named tensors and JSON values, and back: storage writes them as safetensors and JSON.

A checkpoint stands for the end of an epoch, or for a step within one, and is complete, the best weights so far included,
so that any of them can be resumed. Each epoch seeds its own random numbers; within one the generators' states are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sorigil.errors import RequestError
from sorigil.training.learner import Learner, below, weights_of

FORMAT = 2
KEPT, RANDOM = "kept.", "random."


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The weights of one of the best epochs."""

    epoch: int  # from 1
    rank: tuple[float, ...]  # smaller is better
    weights: dict[str, Tensor]


@dataclass(kw_only=True)
class State:
    """Where a training stands: after `epoch` epochs and `step` steps of the next."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0  # the sum over those steps
    seconds: float = 0.0  # that they took
    history: list[dict[str, float]] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)  # the best first

    @property
    def best_epoch(self) -> int:
        """Counted from 1; 0: none yet."""
        return self.kept[0].epoch if self.kept else 0


def pack(state: State, learner: Learner, facts: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return (tensors, meta) of a complete checkpoint; `facts` is what a resumed training must agree with."""
    tensors = learner.tensors()
    for number, kept in enumerate(state.kept):
        if not _is_now(kept.epoch, state, learner):
            tensors |= {f"{KEPT}{number}.{name}": value for name, value in kept.weights.items()}
    if state.step:
        tensors |= _random_states(learner.device)
    meta = {
        "format": FORMAT,
        **{name: getattr(state, name) for name in ("epoch", "step", "loss", "seconds")},
        "history": [dict(row) for row in state.history],
        "kept": [{"epoch": kept.epoch, "rank": list(kept.rank)} for kept in state.kept],
        "scaler": learner.scaler.state_dict(),
        "facts": facts,
    }
    return tensors, meta


def unpack(tensors: dict[str, Tensor], meta: dict[str, Any], learner: Learner, facts: dict[str, Any]) -> State:
    """Put a checkpoint into the learner and torch's generators; return where the training stood.

    Raises:
        RequestError: the checkpoint is of another format, or of a training with other parameters.
    """
    _check(meta, facts)
    learner.restore(tensors, meta["scaler"])
    _restore_random(below(RANDOM, tensors), learner.device)
    state = State(
        **{name: meta[name] for name in ("epoch", "step", "loss", "seconds")},
        history=[dict(row) for row in meta["history"]],
    )
    for number, row in enumerate(meta["kept"]):
        now = _is_now(row["epoch"], state, learner)
        weights = weights_of(learner.judged) if now else below(f"{KEPT}{number}.", tensors)
        state.kept.append(Kept(epoch=row["epoch"], rank=tuple(row["rank"]), weights=weights))
    return state


def _is_now(epoch: int, state: State, learner: Learner) -> bool:
    """Whether the weights kept of this epoch are those that the network has now: no need to write them twice."""
    return epoch == state.epoch and state.step == 0 and learner.mean is None


def _random_states(device: str) -> dict[str, Tensor]:
    states = {f"{RANDOM}cpu": torch.get_rng_state()}
    if torch.device(device).type == "cuda":
        states[f"{RANDOM}cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore_random(states: dict[str, Tensor], device: str) -> None:
    if "cpu" in states:
        torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.device(device).type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


def _check(meta: dict[str, Any], facts: dict[str, Any]) -> None:
    if meta.get("format") != FORMAT:
        raise RequestError(
            f"the checkpoint has format {meta.get('format')}; this version reads format {FORMAT}: delete it to begin anew"
        )
    seen = meta["facts"]
    other = [name for name in sorted(set(seen) | set(facts)) if seen.get(name) != facts.get(name)]
    if other:
        said = "; ".join(f"{name} was {seen.get(name)!r}, is {facts.get(name)!r}" for name in other)
        raise RequestError(f"the checkpoint belongs to a training with other parameters: {said}")
