"""Several processes that train one network, each on its share of every batch (torch's DistributedDataParallel).

A `Team` is what a process knows of the others; `ALONE` is a training in one process. Batches are planned as for one
process and then shared out, so N processes take the same steps as one: on the same loss, over all their items together.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from sorigil.errors import RunError

if TYPE_CHECKING:
    from sorigil.models.network import Network

MEETING = datetime.timedelta(minutes=5)  # for all processes to come
PATIENCE = datetime.timedelta(hours=2)  # for one that evaluates while the others wait


@dataclass(frozen=True, kw_only=True, slots=True)
class Team:
    """Process `rank` (from 0) of `size`. The first one evaluates and saves."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], bool]:
        """This process' rows of a batch, and whether they count: one who gets none takes the first along, uncounted."""
        own = rows[self.rank :: self.size]
        return (own, True) if len(own) else (rows[:1], False)

    def total(self, value: float | Tensor) -> Tensor:
        """The sum over all processes, without a gradient, where the value lies."""
        found = torch.as_tensor(value, dtype=torch.float32).detach().clone()
        if self.size > 1:
            dist.all_reduce(found)
        return found

    def once(self, function: Callable[[Any], dict[str, float]]) -> Callable[[Any], dict[str, float]]:
        """The function as the first process computes it; all get its result."""
        if self.size == 1:
            return function

        def shared(argument: Any) -> dict[str, float]:
            told = [function(argument) if self.first else None]
            dist.broadcast_object_list(told, src=0)
            return told[0] or {}

        return shared

    def wrapped(self, network: Network, device: str) -> Any:
        """`network.with_auxiliary`, whose gradients become the mean over all processes."""
        if self.size == 1:
            return network.with_auxiliary
        # Batch norm keeps its buffers equal by itself. A network may leave parameters out (layers that it drops).
        places = [torch.device(device)] if torch.device(device).type == "cuda" else None
        return DistributedDataParallel(
            _Training(network), device_ids=places, broadcast_buffers=False, find_unused_parameters=True
        )

    def exchange(self, forward: Any, last: bool) -> Any:
        """The context of a forward and backward pass: gradients are exchanged with the last batch of a step only."""
        return nullcontext() if self.size == 1 or last else forward.no_sync()


ALONE = Team()


class _Training(nn.Module):
    """What DistributedDataParallel calls: a network as it is trained."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> Any:
        return self.network.with_auxiliary(features_BTF, lengths_B)


@contextmanager
def meeting(rank: int, size: int, host: str, port: int) -> Iterator[tuple[Team, str]]:
    """Meet the other processes at a store that somebody keeps at `host`; gives the team and this process' device.

    Raises:
        RunError: the others did not come, or a machine has more processes than GPUs.
    """
    try:
        store = dist.TCPStore(host, port, None, False, timeout=MEETING)  # type: ignore[attr-defined]
        store.set(f"here {rank}", "")
        store.wait([f"here {other}" for other in range(size)], MEETING)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise RunError(f"process {rank} of {size} did not meet the others at {host}:{port} ({said})") from error
    try:
        yield Team(rank=rank, size=size), _device(rank, size)
    finally:
        dist.destroy_process_group()


def _device(rank: int, size: int) -> str:
    """A GPU of one's own: the first process of a machine takes the first of it, and so on; the CPU where there is none."""
    import socket

    here = (socket.gethostname(), torch.cuda.device_count())
    everybody: list[Any] = [None] * size
    dist.all_gather_object(everybody, here)
    if not any(gpus for _, gpus in everybody):
        return "cpu"
    for host, gpus in everybody:
        wanted = sum(other == host for other, _ in everybody)
        if wanted > gpus:
            raise RunError(
                f"{wanted} processes of the training are on {host}, which has {gpus} GPUs; one needs one each"
            )
    return f"cuda:{sum(other == here[0] for other, _ in everybody[:rank])}"
