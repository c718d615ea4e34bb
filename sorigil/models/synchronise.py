"""Batch norm over all processes of a training: the statistics are those of the whole batch, not of one process' share.

Where torch.distributed was not started, or only one process takes part, nothing here is used. torch's own SyncBatchNorm
knows no masks and works on GPUs only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
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


def batch_norm(
    values: Tensor,
    running_mean_C: Tensor,
    running_var_C: Tensor,
    weight_C: Tensor,
    bias_C: Tensor,
    momentum: float,
    eps: float,
) -> Tensor:
    """Normalise values of (N, C) or (N, C, F) per channel by the mean and variance over all processes, and update the
    running statistics, as torch.nn.functional.batch_norm does in training over one process' values.

    A single value in all has no variance: it is normalised by the running statistics.
    """
    axes = tuple(axis for axis in range(values.ndim) if axis != 1)
    shape = tuple(-1 if axis == 1 else 1 for axis in range(values.ndim))
    share = float(_counted)
    own = torch.full((1,), share * values.numel() / values.shape[1], device=values.device)
    sums = _sum_of_all(torch.cat([share * values.sum(axes), own]))
    count = sums[-1].detach()
    if count <= 1:
        mean_C, var_C = running_mean_C, running_var_C
    else:
        mean_C = sums[:-1] / count
        centred = values - mean_C.view(shape)
        var_C = _sum_of_all(share * centred.square().sum(axes)) / count
        with torch.no_grad():
            running_mean_C.lerp_(mean_C, momentum)
            running_var_C.lerp_(var_C * count / (count - 1), momentum)
    scale_C = weight_C * torch.rsqrt(var_C + eps)
    return (values - mean_C.view(shape)) * scale_C.view(shape) + bias_C.view(shape)


class _SumOfAll(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of all processes' gradients."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        found = values.clone()
        dist.all_reduce(found)
        return found

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        found = gradients[0].clone()
        dist.all_reduce(found)
        return found


def _sum_of_all(values: Tensor) -> Tensor:
    found: Tensor = _SumOfAll.apply(values)  # type: ignore[no-untyped-call]
    return found
