"""A network and all that changes it: loss, optimizer, running mean of the weights. One call of `learn` is one step.

It knows nothing of epochs or checkpoints; `tensors` and `restore` are all of its state, for those who do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sorigil.errors import RequestError
from sorigil.models.network import Network, Outputs
from sorigil.models.synchronise import left_out
from sorigil.objectives import Objective
from sorigil.training.averaging import running_mean
from sorigil.training.data import Batch
from sorigil.training.distributed import ALONE, Team
from sorigil.training.faults import is_out_of_memory, out_of_memory
from sorigil.training.mixup import Mixed, mixup
from sorigil.training.objectives import LEARNING
from sorigil.training.optimizer import freeze, make_optimizer, optimizer_tensors, restore_optimizer, set_learning_rate
from sorigil.training.precision import autocast, autocast_dtype
from sorigil.training.spec import TrainSpec

WEIGHTS, OPTIMIZER, MEAN = "weights.", "optimizer.", "mean."
Forward = Callable[[Tensor, Tensor], Any]  # as Network.with_auxiliary


class Learner:
    """`judged` is the network to evaluate and to keep: the running mean where there is one, else the network itself."""

    def __init__(
        self,
        network: Network,
        spec: TrainSpec,
        objective: Objective,
        device: str,
        class_weights_C: Tensor | None = None,
        team: Team = ALONE,
    ) -> None:
        self.team = team
        self.network, self.spec, self.objective, self.device = network.to(device), spec, objective, device
        self.class_weights_C = None if class_weights_C is None else class_weights_C.to(device)
        self.frozen = freeze(network, spec.freeze)
        self.optimizer = make_optimizer(network, spec)
        self.mean = running_mean(network, spec.ema) if spec.ema else None
        self.dtype = autocast_dtype(spec.precision, device)
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=self.dtype == torch.float16)
        self.forward: Forward = team.wrapped(network, device)
        if spec.compile:
            self.forward = torch.compile(self.forward, dynamic=True)

    @property
    def judged(self) -> Network:
        return self.network if self.mean is None else self.mean.module  # type: ignore[return-value]

    def train(self) -> None:
        """Go into training mode, all but what is frozen."""
        self.network.train()
        for module in self.frozen:
            module.eval()

    def learn(self, group: Sequence[Batch], rate: float, epoch: int, step: int) -> Tensor:
        """Take one step on the mean loss over these batches together; return it, still on the device. A gradient that is
        not finite has spoiled the weights: its norm is returned then.

        Raises:
            BatchError: out of memory; names the batch.
            RequestError: the network cannot be compiled.
        """
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        together = len(group) > 1 or self.team.size > 1
        counts = [self._count(batch) for batch in group] if together else []
        total = float(self.team.total(sum(counts))) if together else 0.0
        losses = []
        for number, batch in enumerate(group):
            try:
                with self.team.exchange(self.forward, last=number == len(group) - 1), left_out(not batch.counts):
                    loss = self._drawn(batch, (self.spec.seed, epoch, step, number))
                    if together:  # each mean in its share of the whole: as if it were one large batch
                        loss = loss * (counts[number] / total)
                    # of gradients the processes take the mean, and theirs are parts of a sum
                    self.scaler.scale(loss * self.team.size).backward()  # type: ignore[no-untyped-call]
            except Exception as error:
                if is_out_of_memory(error):
                    raise out_of_memory(batch, self.spec.batch_seconds, epoch, step) from error
                if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                    raise RequestError(
                        f"compile is true, but torch cannot compile this model here: {str(error).splitlines()[0]}; "
                        "install a C++ compiler such as g++, or write compile: false"
                    ) from error
                raise
            losses.append(loss.detach())
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.mean is not None:
            self.mean.update_parameters(self.network)
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        if not self.scaler.is_enabled():  # which leaves such a step out
            loss = torch.where(norm.isfinite(), loss, norm)
        return self.team.total(loss) if self.team.size > 1 else loss

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights and the optimizer's state by name, as copies on the CPU."""
        found = {WEIGHTS + name: value for name, value in weights_of(self.network).items()}
        found |= {OPTIMIZER + name: value.cpu() for name, value in optimizer_tensors(self.optimizer).items()}
        if self.mean is not None:
            found |= {MEAN + name: value for name, value in weights_of(self.mean).items()}
        return found

    def restore(self, tensors: dict[str, Tensor], scaler: dict[str, Any]) -> None:
        """Go on from what `tensors` and the scaler's state were."""
        self.network.load_state_dict(below(WEIGHTS, tensors))
        restore_optimizer(self.optimizer, below(OPTIMIZER, tensors))
        self.scaler.load_state_dict(scaler)
        if self.mean is not None:
            self.mean.load_state_dict(below(MEAN, tensors))

    def _count(self, batch: Batch) -> float:
        if not batch.counts:
            return 0.0
        weights_C = None if self.class_weights_C is None else self.class_weights_C.cpu()
        return float(LEARNING[self.objective].count(batch.targets_BL, batch.target_lengths_B, weights_C))

    def _drawn(self, batch: Batch, place: tuple[int, int, int, int]) -> Tensor:
        """The loss of the batch, or of its items mixed with one another."""
        if not self.spec.mixup:
            return self.loss(batch)
        mixed = mixup(batch, self.spec.mixup, place)
        return self.loss(mixed.batch, mixed)

    def loss(self, batch: Batch, mixed: Mixed | None = None) -> Tensor:
        """Return the mean loss of one batch, with that of the encoder's taps where it has some; of a mixed batch with
        that of the partners. The network runs in `dtype`, the loss in float32."""
        moved = batch.to(self.device)
        with autocast(self.dtype, self.device):
            outputs, auxiliary = self.forward(moved.features_BTF, moved.lengths_B)
        everything = (outputs, *auxiliary)
        own = self._mean_loss(everything, moved.targets_BL, moved.target_lengths_B)
        if mixed is None:
            return own
        targets = (each.to(self.device) for each in (mixed.partners_BL, mixed.partner_lengths_B))
        return mixed.share * own + (1 - mixed.share) * self._mean_loss(everything, *targets)

    def _mean_loss(self, everything: Sequence[Outputs], targets_BL: Tensor, target_lengths_B: Tensor) -> Tensor:
        loss, *taps = (
            LEARNING[self.objective].loss(
                log_probs, lengths_B, targets_BL, target_lengths_B, self.spec.label_smoothing, self.class_weights_C
            )
            for log_probs, lengths_B in everything
        )
        return loss + self.network.auxiliary_weight * torch.stack(taps).mean() if taps else loss


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of the network's weights and buffers on the CPU."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
