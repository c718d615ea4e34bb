"""What lets batch norm count the frames of all processes of a training, not of one process' share of the batch.

Where torch.distributed was not started, or only one process takes part, nothing is exchanged. torch's own SyncBatchNorm
knows no masks and works on GPUs only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor
from torch import distributed as dist

_counted = True


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def left_out(which: bool) -> Iterator[None]:
    """Within it (if `which`), this process' frames do not count: it has a row only to take part in the exchange."""
    global _counted
    _counted = not which
    try:
        yield
    finally:
        _counted = True


def share() -> float:
    """What a frame of this process counts: 1, or 0 within `left_out`."""
    return float(_counted)


def sum_of_all(values: Tensor) -> Tensor:
    """Return the sum over all processes, made in place."""
    if processes() > 1:
        dist.all_reduce(values)
    return values
