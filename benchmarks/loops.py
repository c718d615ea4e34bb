"""The two loops that `benchmarks.training` holds against each other, and what it reads off while they run.

On a CPU time is the processor's, which a busy machine leaves comparable; on a GPU it is the clock's, between moments in
which the GPU has finished everything.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

import psutil
import torch
from torch import nn

from sorigil.models.network import Network
from sorigil.objectives import Objective
from sorigil.training.data import Batch
from sorigil.training.loop import Progress, train
from sorigil.training.objectives import LEARNING
from sorigil.training.precision import autocast, autocast_dtype
from sorigil.training.spec import TrainSpec


@dataclass(frozen=True, kw_only=True)
class Work:
    """What both loops do: these batches once, on this device, in this precision."""

    batches: Sequence[Batch]
    objective: Objective
    spec: TrainSpec
    device: str
    frames: int  # in a second of audio

    @property
    def seconds(self) -> float:
        """Of audio, without padding."""
        return sum(float(batch.lengths_B.sum()) for batch in self.batches) / self.frames


def bare_loop(network: Network, work: Work) -> float:
    """What everybody writes: forward, loss, backward, clip, step. Return its seconds."""
    clock = _clock(work.device)
    began = clock()
    network.to(work.device).train()
    optimizer = torch.optim.AdamW(network.parameters())
    for batch in work.batches:
        _bare_step(network, optimizer, batch.to(work.device), work)
    return clock() - began


def _bare_step(network: Network, optimizer: torch.optim.Optimizer, batch: Batch, work: Work) -> None:
    """A function of its own, so that a step's tensors are gone before the next makes as many."""
    optimizer.zero_grad()
    with autocast(autocast_dtype(work.spec.precision, work.device), work.device):
        outputs, auxiliary = network.with_auxiliary(batch.features_BTF, batch.lengths_B)
    losses = [
        LEARNING[work.objective].loss(log_probs, lengths_B, batch.targets_BL, batch.target_lengths_B)
        for log_probs, lengths_B in (outputs, *auxiliary)
    ]
    loss = losses[0] + (network.auxiliary_weight * torch.stack(losses[1:]).mean() if auxiliary else 0)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), work.spec.gradient_clip)
    optimizer.step()


def our_loop(network: Network, work: Work) -> tuple[float, float]:
    """An epoch of ours. Return its seconds up to the last step, and those of packing the epoch's checkpoint."""
    clock = _clock(work.device)
    ends: list[float] = []

    class Given:
        def batches(self, epoch: int, skip: int = 0) -> tuple[int, Iterable[Batch]]:
            return len(work.batches), work.batches[skip:]

    def told(progress: Progress) -> None:
        if progress.step == progress.steps:
            ends.append(clock())

    began = clock()
    train(
        network=network,
        train_spec=work.spec,
        objective=work.objective,
        data=Given(),
        evaluate=None,
        save=lambda *_: None,
        progress=told,
        device=work.device,
    )
    return ends[-1] - began, clock() - ends[-1]


def clocked(work: Callable[[], None]) -> float:
    """Processor seconds."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _clock(device: str) -> Callable[[], float]:
    if torch.device(device).type != "cuda":
        return time.process_time

    def finished() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return finished


def peak_mb(device: str) -> float:
    """The most memory of torch's tensors on a GPU; on a CPU what the process has now."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return float(psutil.Process().memory_info().rss) / 1e6


@contextlib.contextmanager
def utilisation(device: str, found: list[float]) -> Iterator[None]:
    """Add to `found` the share of the time within it in which the GPU was at work, as nvidia-smi has it; on a CPU nothing."""
    if torch.device(device).type != "cuda":
        yield
        return
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100", "-i", "0"]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as sampler:
        try:
            yield
        finally:
            sampler.terminate()
            said = sampler.stdout.read() if sampler.stdout else ""
    found.extend([mean(float(line) for line in said.split())] if said.split() else [])
