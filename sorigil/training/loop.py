"""The training loop: batches in, a network that has learned out, with checkpoints and progress on the way.

It knows the objective only through its loss, the data only as batches, and no file at all: `save`, `evaluate` and
`progress` are given by the caller. Resuming from any checkpoint gives what the uninterrupted training gives.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sorigil.errors import RequestError, RunError
from sorigil.fingerprint import digest, to_dict
from sorigil.models.network import Network
from sorigil.objectives import OBJECTIVES, Objective
from sorigil.training.checkpoint import State, pack, unpack, weights_of
from sorigil.training.data import Batch
from sorigil.training.objectives import LEARNING
from sorigil.training.optimizer import make_optimizer, set_learning_rate
from sorigil.training.schedule import learning_rate_at, share_done
from sorigil.training.spec import TrainSpec

Save = Callable[[str, dict[str, Tensor], dict[str, Any]], None]
Evaluate = Callable[[Network], dict[str, float]]
HIGHER_IS_BETTER = {facts.metric for facts in OBJECTIVES.values() if facts.higher_is_better}


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One step done, or an epoch evaluated (`metric` is then new). Epochs and steps count from 1."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float  # of this step's batch
    metric: float | None  # what `monitor` names, after the last evaluated epoch
    seconds_left: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """`history` has one row per epoch; `weights` are those of `best_epoch` (from 1), on the CPU."""

    history: list[dict[str, float]]
    best_epoch: int
    weights: dict[str, Tensor]
    stopped_early: bool


class Epochs(Protocol):
    """The training data: an epoch's batches (epochs from 0), their number known beforehand."""

    def batches(self, epoch: int) -> tuple[int, Iterable[Batch]]: ...


def train(
    *,
    network: Network,
    train_spec: TrainSpec,
    objective: Objective,
    data: Epochs,
    evaluate: Evaluate | None,
    save: Save,
    resume: tuple[dict[str, Tensor], dict[str, Any]] | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    device: str = "cpu",
) -> TrainResult:
    """Train `network` in place for `train_spec.epochs` epochs, or until `patience` epochs brought nothing better.

    `save(name, tensors, meta)` is called at the end of each epoch with "last", and with "best" when it is the best so
    far by `monitor` (the dev loss decides between equals; without `evaluate` the newest is the best). `evaluate` gets
    the network in evaluation mode, without gradients, and returns metrics among which `monitor` must be. At the end
    the network holds the best weights. `resume` is a checkpoint as it was saved.

    Raises:
        RunError: the loss is not finite; names the epoch, the step and the utterances.
        RequestError: `monitor` is not among the metrics, there are no batches, or `resume` is of another training.
    """
    network.to(device)
    optimizer = make_optimizer(network, train_spec.learning_rate, train_spec.weight_decay)
    facts = {"train": to_dict(train_spec), "objective": objective, "network": _shapes(network)}
    state = State() if resume is None else unpack(*resume, network, optimizer, facts)
    stepper = _Stepper(network, optimizer, train_spec, objective, device, progress)
    while state.epoch < train_spec.epochs and not _out_of_patience(state, train_spec.patience):
        row = stepper.epoch(state.epoch, data)
        row |= _evaluate(network, evaluate)
        stepper.metric = row.get(train_spec.monitor)
        improved = _note(state, row, train_spec.monitor, evaluate is not None)
        if improved:
            state.best_weights = weights_of(network)
        tensors, meta = pack(state, network, optimizer, facts)
        for name in ("best", "last") if improved else ("last",):
            save(name, tensors, meta)
    network.load_state_dict(state.best_weights)
    return TrainResult(
        history=state.history,
        best_epoch=state.best_epoch,
        weights=state.best_weights,
        stopped_early=state.epoch < train_spec.epochs,
    )


class _Stepper:
    """Runs one epoch's steps; keeps the clock for the time left."""

    def __init__(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        spec: TrainSpec,
        objective: Objective,
        device: str,
        progress: Callable[[Progress], None],
    ) -> None:
        self.network, self.optimizer, self.spec = network, optimizer, spec
        self.objective, self.device, self.progress = objective, device, progress
        self.metric: float | None = None
        self.began = time.monotonic()
        self.began_share: float | None = None

    def epoch(self, epoch: int, data: Epochs) -> dict[str, float]:
        """Take one step per batch; return the row of the history so far."""
        _seed(self.spec.seed, epoch)
        began = time.monotonic()
        self.network.train()
        steps, batches = data.batches(epoch)
        if steps == 0:
            raise RequestError("there is nothing to train on: the training split has no usable utterance")
        total = 0.0
        for step, batch in enumerate(batches):
            share = share_done(epoch, step, steps, self.spec.epochs)
            loss = self.step(batch, share, epoch, step)
            total += loss
            self._report(epoch, step, steps, loss, share)
        return {
            "epoch": epoch + 1,
            "train_loss": total / steps,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "seconds": round(time.monotonic() - began, 3),
        }

    def step(self, batch: Batch, share: float, epoch: int, step: int) -> float:
        """Learn from one batch; return its loss."""
        set_learning_rate(self.optimizer, learning_rate_at(share, self.spec.learning_rate, self.spec.warmup))
        self.optimizer.zero_grad(set_to_none=True)
        loss = batch_loss(self.network, batch, self.objective, self.device, self.spec.label_smoothing)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RunError(_not_finite(value, batch, epoch, step))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.gradient_clip)
        self.optimizer.step()
        return value

    def _report(self, epoch: int, step: int, steps: int, loss: float, share: float) -> None:
        if self.began_share is None:
            self.began_share = share
            self.began = time.monotonic()
        done = share - self.began_share
        left = (time.monotonic() - self.began) * (1 - share) / done if done > 0 else math.nan
        self.progress(
            Progress(
                epoch=epoch + 1,
                epochs=self.spec.epochs,
                step=step + 1,
                steps=steps,
                loss=loss,
                metric=self.metric,
                seconds_left=left,
            )
        )


def batch_loss(
    network: Network, batch: Batch, objective: Objective, device: str, label_smoothing: float = 0.0
) -> Tensor:
    """Return the mean loss of one batch, with that of the encoder's taps where it has some.

    On CUDA the network runs in bfloat16, the loss in float32.
    """
    moved = batch.to(device)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=torch.device(device).type == "cuda"):
        outputs, auxiliary = network.with_auxiliary(moved.features_BTF, moved.lengths_B)
    learned = LEARNING[objective].loss
    loss, *taps = (
        learned(log_probs, lengths_B, moved.targets_BL, moved.target_lengths_B, label_smoothing)
        for log_probs, lengths_B in (outputs, *auxiliary)
    )
    return loss + network.auxiliary_weight * torch.stack(taps).mean() if taps else loss


def _seed(seed: int, epoch: int) -> None:
    """Give each epoch its own dropout, whatever ran before: so a checkpoint needs no generator's state."""
    torch.manual_seed(seed * 1_000_003 + epoch)


def _evaluate(network: Network, evaluate: Evaluate | None) -> dict[str, float]:
    if evaluate is None:
        return {}
    network.eval()
    with torch.no_grad():
        return dict(evaluate(network))


def _note(state: State, row: dict[str, float], monitor: str, evaluated: bool) -> bool:
    """Add an epoch to the state; say whether it is the best so far."""
    state.epoch += 1
    state.history.append(row)
    if not evaluated:
        state.best_epoch = state.epoch
        return True
    if monitor not in row:
        metrics = ", ".join(sorted(row))
        raise RequestError(f"monitor is {monitor!r}, but the evaluation gives {metrics}")
    value = -row[monitor] if monitor in HIGHER_IS_BETTER else row[monitor]
    value = math.inf if math.isnan(value) else value  # a NaN compares with nothing: it would stay the best for ever
    rank = (value, row.get("loss", 0.0))
    if state.best_rank is not None and not rank < state.best_rank:
        return False
    state.best_epoch, state.best_rank = state.epoch, rank
    return True


def _out_of_patience(state: State, patience: int | None) -> bool:
    return patience is not None and state.epoch - state.best_epoch >= patience and state.epoch > 0


def _shapes(network: nn.Module) -> str:
    """Name the network's shapes in one word: another model, or another number of classes, is another training."""
    shapes = [f"{name}{tuple(value.shape)}" for name, value in network.state_dict().items()]
    return f"{len(shapes)} arrays, {digest(*shapes)[:8]}"


def _not_finite(value: float, batch: Batch, epoch: int, step: int) -> str:
    bad = [
        key
        for key, length, features_TF in zip(batch.keys, batch.lengths_B, batch.features_BTF, strict=True)
        if not torch.isfinite(features_TF[: int(length)]).all()
    ]
    keys: Sequence[str] = bad or batch.keys
    what = "features that are not finite in" if bad else "a batch of finite features:"
    shown = ", ".join(keys[:8]) + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")
    return f"the loss became {value} in epoch {epoch + 1}, step {step + 1}, with {what} {shown}"
